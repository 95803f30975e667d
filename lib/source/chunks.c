/* SPDX-License-Identifier: BSD-3-Clause */
/* Refillable chunks of input bytes. */
#include "source/chunks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    TAIL_MIN = 64 * 1024, /* below this much room a read is not worth its call: move on */
    HUGE_BYTES = 2 * 1024 * 1024,
    /* What is read at a time where packets are dealt with before the next read: the kernel's copy finds its
     * destination in the second-level cache, and so do those who look at the packets. */
    WINDOW_BYTES = 256 * 1024,
};

void *ws_chunks_alloc(size_t bytes)
{
    if (bytes < HUGE_BYTES)
        return aligned_alloc(WS_CACHE_LINE, ws_align_up(bytes, WS_CACHE_LINE));
    void *p = aligned_alloc(HUGE_BYTES, ws_align_up(bytes, HUGE_BYTES));
    if (p)
        madvise(p, ws_align_up(bytes, HUGE_BYTES),
                MADV_HUGEPAGE); /* advice: failure costs speed only */
    return p;
}

int ws_chunks_init(struct ws_chunks *c, const struct ws_chunks *like,
                   void *(*alloc)(void *user, size_t bytes), void *user)
{
    memset(c, 0, sizeof(*c));
    c->stable = like->stable;
    c->chunk_bytes = like->chunk_bytes;
    c->n = like->stable ? WS_MAX(like->n, 2u) : 1;
    c->own_mem = !alloc;
    c->mem = alloc ? alloc(user, c->n * c->chunk_bytes) : ws_chunks_alloc(c->n * c->chunk_bytes);
    if (!c->mem)
        return -ENOMEM;
    c->seq = 1;
    c->base = c->mem;
    c->pos = c->end = c->base;
    return 0;
}

void ws_chunks_fini(struct ws_chunks *c)
{
    if (c->own_mem)
        free(c->mem);
    c->mem = NULL;
}

/* Where the next chunk begins, or NULL while its slot is still in use. */
static uint8_t *next_base(const struct ws_chunks *c)
{
    if (!c->stable || !c->given)
        return c->base;
    /* pairs with the release in ws_source release(): workers are done with the old bytes */
    uint64_t released = atomic_load_explicit(&c->released, memory_order_acquire);
    if (c->seq + 1 > released + c->n)
        return NULL;
    return c->mem + (c->seq % c->n) * c->chunk_bytes;
}

void ws_chunks_borrow(struct ws_chunks *c, uint8_t *data, size_t len)
{
    size_t rest = ws_chunks_unread(c);
    memcpy(data - rest, c->pos, rest);
    c->base = data - rest;
    c->pos = c->base;
    c->end = data + len;
}

void ws_chunks_return(struct ws_chunks *c)
{
    size_t rest = ws_chunks_unread(c);
    memmove(c->mem, c->pos, rest);
    c->base = c->mem;
    c->pos = c->base;
    c->end = c->base + rest;
}

size_t ws_chunks_room(struct ws_chunks *c, uint8_t **dst)
{
    size_t rest = ws_chunks_unread(c);
    size_t tail = (size_t)(c->base + c->chunk_bytes - c->end);
    size_t enough = WS_MIN((size_t)TAIL_MIN, c->chunk_bytes / 4);
    bool fresh = c->pos != c->base &&
                 (tail < enough || (c->stable ? rest == 0 && !c->given : rest <= WINDOW_BYTES / 4));
    if (fresh) {
        uint8_t *base = next_base(c);
        if (!base)
            return 0;
        memmove(base, c->pos, rest);
        c->seq += base != c->base;
        c->given = false;
        c->base = base;
        c->pos = base;
        c->end = base + rest;
    }
    *dst = c->end;
    size_t room = (size_t)(c->base + c->chunk_bytes - c->end);
    return c->stable ? room : WS_MIN(room, (size_t)WINDOW_BYTES);
}
