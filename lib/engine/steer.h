/* SPDX-License-Identifier: BSD-3-Clause */
/* Steering: descriptors travel by value from a receive stage to the worker that owns their flow.
 *
 *   receive stage r --- ring of struct ws_packet ---> worker w
 *
 * The producer of a link is one receive stage, the consumer one worker. Bytes of stable sources (file
 * chunks) travel by reference; others are copied into the receive stage's copy chunks. A chunk is free
 * again when every link's released count has passed what was published when the chunk was left.
 */
#ifndef WS_ENGINE_STEER_H
#define WS_ENGINE_STEER_H

#include "base/counters.h"
#include "base/ring.h"
#include "packet/packet.h"
#include "source/source.h"

#define WS_STEER_LINKS_MAX 64u

/* The longest packet that a copy chunk must hold. */
#define WS_STEER_CHUNK_BYTES (1u << 20)

struct ws_steer_link {
    struct ws_ring ring;
    uint32_t pending;          /* producer: slots filled but not published */
    WS_CACHE_ALIGNED _Atomic bool closed; /* set by the producer after its last publish */
};

/* One chunk that waits until the links have passed these counts. */
struct ws_steer_mark {
    uint64_t published[WS_STEER_LINKS_MAX];
    uint64_t chunk_seq; /* of the source, for source chunks */
};

/* The producer's side: all links of one receive stage, its copy chunks and marks. */
struct ws_steer {
    struct ws_steer_link *link[WS_STEER_LINKS_MAX]; /* by worker; NULL: local or unused */
    unsigned n_link;
    uint8_t *copy_mem;         /* n_copy chunks of WS_STEER_CHUNK_BYTES */
    struct ws_steer_mark *copy_mark;
    uint32_t n_copy, copy_cur;
    uint32_t copy_used;
    /* marks of source chunks, a FIFO of mark_max */
    struct ws_steer_mark *mark;
    uint32_t mark_max, mark_head, mark_count;
    bool source_chunk_open;    /* packets of chunk_seq_cur may be in flight */
    uint64_t chunk_seq_cur;
};

/* Bytes of memory for the marks and copy chunks. */
size_t ws_steer_bytes(uint32_t n_copy, uint32_t mark_max);
/* mem: zero, 64-byte aligned, borrowed. Links are set by the caller afterwards. */
void ws_steer_init(struct ws_steer *s, void *mem, uint32_t n_copy, uint32_t mark_max);

/* Puts a packet on the link of worker w. copy: its bytes (data, or the datagram's l4) are copied first.
 * Returns false when the ring or the copy chunks are full: nothing was taken; the caller waits
 * (after ws_steer_publish) or sheds. */
bool ws_steer_put(struct ws_steer *s, unsigned w, const struct ws_packet *p, bool copy);

/* Publishes what was put, on all links. */
void ws_steer_publish(struct ws_steer *s);

/* Tells that the packets that follow lie in chunk seq of the source; marks the one before. */
void ws_steer_source_chunk(struct ws_steer *s, uint64_t seq);

/* Gives source chunks back that no link needs any more. */
void ws_steer_retire(struct ws_steer *s, struct ws_source *src);

#endif
