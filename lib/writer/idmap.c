/* SPDX-License-Identifier: BSD-3-Clause */
/* The map from file ids to files. */
#include "writer/idmap.h"

#include <errno.h>
#include <stdlib.h>

enum { IDMAP_MIN = 64 };

void ws_idmap_fini(struct ws_idmap *m)
{
    free(m->entry);
    *m = (struct ws_idmap){0};
}

static void insert(struct ws_idmap_entry *entry, size_t mask, struct ws_idmap_entry e)
{
    size_t i = (size_t)e.id & mask;
    while (entry[i].id != 0)
        i = (i + 1) & mask;
    entry[i] = e;
}

static int grow(struct ws_idmap *m)
{
    size_t n = m->entry ? (m->mask + 1) * 2 : IDMAP_MIN;
    struct ws_idmap_entry *entry = calloc(n, sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    for (size_t i = 0; m->entry && i <= m->mask; i++)
        if (m->entry[i].id != 0)
            insert(entry, n - 1, m->entry[i]);
    free(m->entry);
    m->entry = entry;
    m->mask = n - 1;
    return 0;
}

int ws_idmap_put(struct ws_idmap *m, uint64_t id, struct ws_wfile *file)
{
    if (!m->entry || m->count * 2 > m->mask) {
        int rc = grow(m);
        if (rc)
            return rc;
    }
    insert(m->entry, m->mask, (struct ws_idmap_entry){.id = id, .file = file});
    m->count++;
    return 0;
}

struct ws_wfile *ws_idmap_take(struct ws_idmap *m, uint64_t id)
{
    if (m->count == 0 || id == 0)
        return NULL;
    size_t i = (size_t)id & m->mask;
    while (m->entry[i].id != id) {
        if (m->entry[i].id == 0)
            return NULL;
        i = (i + 1) & m->mask;
    }
    struct ws_wfile *file = m->entry[i].file;
    /* Move later entries of the probe run back, as far as their own home allows. */
    for (size_t j = (i + 1) & m->mask; m->entry[j].id != 0; j = (j + 1) & m->mask) {
        size_t home = (size_t)m->entry[j].id & m->mask;
        if (((j - home) & m->mask) >= ((j - i) & m->mask)) {
            m->entry[i] = m->entry[j];
            i = j;
        }
    }
    m->entry[i] = (struct ws_idmap_entry){0};
    m->count--;
    return file;
}
