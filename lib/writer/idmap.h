/* SPDX-License-Identifier: BSD-3-Clause */
/* A hash map from a channel's file ids to files; the writer thread's own.
 *
 * Ids count up, so that id & mask is a perfect hash but for long-lived files; linear probing,
 * deletion by moving back. Bounded by the files that the worker holds open; grows in the writer
 * thread.
 */
#ifndef WS_WRITER_IDMAP_H
#define WS_WRITER_IDMAP_H

#include "base/compiler.h"

struct ws_wfile;

struct ws_idmap_entry {
    uint64_t id; /* 0 = empty */
    struct ws_wfile *file;
};

struct ws_idmap {
    struct ws_idmap_entry *entry;
    size_t mask; /* entries - 1; 0 before the first insertion */
    size_t count;
};

void ws_idmap_fini(struct ws_idmap *m);

/* Adds id (> 0, not in the map). 0 or -ENOMEM. file is borrowed. */
int ws_idmap_put(struct ws_idmap *m, uint64_t id, struct ws_wfile *file);

/* NULL when id is not in the map. */
static inline struct ws_wfile *ws_idmap_get(const struct ws_idmap *m, uint64_t id)
{
    if (m->count == 0)
        return NULL;
    for (size_t i = (size_t)id & m->mask; m->entry[i].id != 0; i = (i + 1) & m->mask)
        if (m->entry[i].id == id)
            return m->entry[i].file;
    return NULL;
}

/* Takes id out and returns its file; NULL when it is not in the map. */
struct ws_wfile *ws_idmap_take(struct ws_idmap *m, uint64_t id);

#endif
