/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of name counters. */
#include "sink/names.h"

#include <string.h>

size_t ws_names_bytes(uint32_t names_max)
{
    return (size_t)ws_pow2_ceil(names_max) * sizeof(struct ws_names_entry);
}

void ws_names_init(struct ws_names *n, void *mem, uint32_t names_max)
{
    n->entry = mem;
    n->mask = ws_pow2_ceil(names_max) - 1;
}

/* Multiply-and-fold over 8 bytes a step; never 0, which marks a free entry. */
static uint64_t hash_name(const char *s, size_t len)
{
    const uint64_t k = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t h = len * k;
    while (len) {
        uint64_t w = 0;
        size_t n = len < 8 ? len : 8;
        memcpy(&w, s, n);
        h = (h ^ w) * k;
        h ^= h >> 29;
        s += n;
        len -= n;
    }
    h *= UINT64_C(0xbf58476d1ce4e5b9);
    h ^= h >> 32;
    return h ? h : 1;
}

uint64_t ws_names_take(struct ws_names *n, const char *name, size_t len)
{
    uint64_t h = hash_name(name, len);
    for (uint64_t i = 0; i < WS_NAMES_PROBE && i <= n->mask; i++) {
        struct ws_names_entry *e = &n->entry[(h + i) & n->mask];
        if (e->hash == 0)
            e->hash = h;
        if (e->hash == h)
            return e->count++;
    }
    return UINT64_MAX;
}
