/* SPDX-License-Identifier: BSD-3-Clause */
/* Set-up of the single-producer single-consumer ring. */
#include "base/ring.h"

size_t ws_ring_bytes(size_t count, size_t elem_size)
{
    return ws_align_up((size_t)ws_pow2_ceil(count) * elem_size, WS_CACHE_LINE);
}

void ws_ring_init(struct ws_ring *r, void *mem, size_t count, size_t elem_size)
{
    atomic_init(&r->tail, 0);
    atomic_init(&r->head, 0);
    r->head_seen = 0;
    r->tail_seen = 0;
    r->slots = mem;
    r->mask = ws_pow2_ceil(count) - 1;
    r->elem_size = elem_size;
}
