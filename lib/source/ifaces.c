/* SPDX-License-Identifier: BSD-3-Clause */
/* The interfaces of all inputs of a source. */
#include "source/ifaces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ws_ifaces_init(struct ws_ifaces *t)
{
    memset(t, 0, sizeof(*t));
    t->v = calloc(WS_IFACES_MAX, sizeof(*t->v));
    t->section = calloc(WS_IFACES_MAX, sizeof(*t->section));
    if (t->v && t->section)
        return 0;
    ws_ifaces_fini(t);
    return -ENOMEM;
}

void ws_ifaces_fini(struct ws_ifaces *t)
{
    free(t->v);
    free(t->section);
    t->v = NULL;
    t->section = NULL;
}

void ws_ifaces_begin(struct ws_ifaces *t)
{
    t->section_now++;
}

static bool same(const struct ws_source_iface *a, const struct ws_source_iface *b)
{
    return a->link_type == b->link_type && a->snaplen == b->snaplen && !strcmp(a->name, b->name);
}

int ws_ifaces_add(struct ws_ifaces *t, const struct ws_source_iface *want)
{
    int like = -ENOSPC;
    for (unsigned i = 0; i < t->n; i++) {
        if (t->v[i].link_type == want->link_type && like < 0)
            like = (int)i;
        if (t->section[i] != t->section_now && same(&t->v[i], want)) {
            t->section[i] = t->section_now;
            return (int)i;
        }
    }
    if (t->n == WS_IFACES_MAX)
        return like;
    t->v[t->n] = *want;
    t->v[t->n].received = t->v[t->n].dropped = UINT64_MAX;
    t->section[t->n] = t->section_now;
    __atomic_store_n(&t->n, t->n + 1, __ATOMIC_RELEASE); /* other threads read entries below n */
    return (int)t->n - 1;
}
