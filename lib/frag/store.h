/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of datagrams under reassembly: pooled chunks and runs (private to lib/frag). */
#ifndef WS_FRAG_STORE_H
#define WS_FRAG_STORE_H

#include "base/compiler.h"
#include "base/overlap.h"

/* "No chunk", "no run", "no entry". */
#define WS_FRAG_NONE UINT32_MAX

enum ws_frag_limit {
    WS_FRAG_CHUNK = 2048,    /* bytes of a chunk: an Ethernet frame and its descriptor fit in one */
    WS_FRAG_CHUNKS = 32,     /* chunks of the largest datagram, 64 KiB */
    WS_FRAG_RUNS_MAX = 1024, /* runs of one datagram: its list is searched linearly */
    WS_FRAG_CHUNKS_MIN = 256, /* the smallest pool: one datagram and its frames always fit */
    WS_FRAG_RUNS_EACH = 8,    /* runs in the pool for each datagram that is allowed */
};

/* Bytes [from, to) of a datagram that came with the fragment [frag_from, frag_to): overlap policies
 * compare whole fragments. A datagram's runs are sorted and do not overlap. */
struct ws_frag_run {
    uint16_t from, to;
    uint16_t frag_from, frag_to;
    uint32_t next;
};

/* Free list over an array of equal items that lie untouched until they are first used. */
struct ws_frag_pool {
    uint8_t *base;
    uint32_t item_bytes;
    uint32_t items;
    uint32_t fresh; /* items from here on have never been used */
    uint32_t free;  /* first free item; its first 4 bytes name the next */
    uint32_t used;  /* items that are taken now */
};

void ws_frag_pool_init(struct ws_frag_pool *pool, void *base, uint32_t item_bytes, uint32_t items);

/* An item, or WS_FRAG_NONE when all are taken. Its content is undefined. */
uint32_t ws_frag_pool_get(struct ws_frag_pool *pool);

void ws_frag_pool_put(struct ws_frag_pool *pool, uint32_t item);

static inline void *ws_frag_pool_at(const struct ws_frag_pool *pool, uint32_t item)
{
    return pool->base + (size_t)item * pool->item_bytes;
}

/* The bytes of one datagram: at their offsets in chunks, with runs that say which are there. */
struct ws_frag_bytes {
    uint32_t head, tail; /* runs */
    uint32_t runs;
    uint32_t covered; /* bytes in runs */
    uint32_t cut;     /* from this offset on some bytes were not captured (snap length) */
    uint32_t chunk[WS_FRAG_CHUNKS];
};

void ws_frag_bytes_init(struct ws_frag_bytes *b);

/* Gives all chunks and runs back. */
void ws_frag_bytes_free(struct ws_frag_bytes *b, struct ws_frag_pool *chunks,
                        struct ws_frag_pool *runs);

/* The end of the highest run; 0 if there is none. */
uint32_t ws_frag_bytes_end(const struct ws_frag_bytes *b, const struct ws_frag_pool *runs);

/* A fragment [from, to), to <= 65,535, of which the first len bytes at data were captured. */
struct ws_frag_piece {
    const uint8_t *data;
    uint32_t from, to, len;
};

/* What a piece did to the datagram. */
struct ws_frag_change {
    bool overlap;   /* it shares bytes with earlier fragments */
    bool differs;   /* ... and some of them differ */
    uint32_t added; /* bytes that were not covered before */
};

/* Where a chunk or run is missing, asks for it: frees something and returns true, or false. */
typedef bool ws_frag_reclaim(void *user);

/* Puts a piece in, by policy where it overlaps (store.c has the rules). Returns 0, or -ENOMEM when
 * neither the pools nor reclaim give room: the datagram must then be freed. */
int ws_frag_bytes_put(struct ws_frag_bytes *b, struct ws_frag_pool *chunks,
                      struct ws_frag_pool *runs, const struct ws_frag_piece *piece,
                      enum ws_overlap policy, ws_frag_reclaim *reclaim, void *user,
                      struct ws_frag_change *change);

/* True if the captured bytes of a piece inside the covered range are the stored ones. */
bool ws_frag_bytes_equal(const struct ws_frag_bytes *b, const struct ws_frag_pool *chunks,
                         const struct ws_frag_piece *piece);

/* Copies bytes [0, len) to out. */
void ws_frag_bytes_copy(const struct ws_frag_bytes *b, const struct ws_frag_pool *chunks,
                        uint32_t len, uint8_t *out);

#endif
