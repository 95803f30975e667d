/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection in 64 bytes, for as long as there is nothing unusual about it, and the pool of those of which there is.
 *
 * struct ws_tcp_conn says all that can be said of a connection. Of nearly every one at nearly every moment most of that is
 * nothing: no bytes held, no far segments, no candidate, no end in doubt. Then all of it fits in struct ws_tcp_brief, which
 * lies behind the flow, without loss: ws_tcp_fold() says no rather than round. A connection that does not fit has a place in
 * the worker's pool, as a struct ws_tcp_conn, until it fits again or its flow ends.
 *
 *   flow ─> brief ── (does not fit) ──> pool: struct ws_tcp_whole
 *             ^──────── fits again ─────┘
 */
#ifndef WS_TCP_BRIEF_H
#define WS_TCP_BRIEF_H

#include "tcp/tcp.h"

/* One direction. Positions are those of struct ws_tcp_dir; base is at its usual place, top is next (or, in beyond, one more). */
struct ws_tcp_brief_dir {
    uint64_t next_window;   /* low 48 bits: next; above: the window as advertised, before scaling */
    uint64_t payload_flags; /* low 48 bits: payload bytes on the wire, for the flow's record; above: flags */
    uint32_t seq0;
    uint32_t acked; /* low half of the position; without anchor: ack_raw */
};

/* All zero is a fresh one. */
struct ws_tcp_brief {
    struct ws_tcp_brief_dir dir[2];
    union {
        uint64_t history; /* letters, 4 bits each: kind and side */
        uint32_t whole;   /* where is_whole: the place in the pool */
    };
    uint16_t history_seen;
    uint8_t state, events; /* of a whole connection, too, between calls */
    uint8_t wscale;        /* 4 bits a direction */
    uint8_t caret : 5;     /* 1 + letters before Zeek's "^"; 0: none */
    uint8_t beyond : 2;    /* bit d: top of direction d is next + 1, as a reset behind a FIN leaves it */
    uint8_t early; /* no part of lib/tcp: the caller's count of packets before it takes the connection for an
                      established one */
    uint8_t orig : 1, orig_known : 1, closed : 1, gappy : 1, is_whole : 1;
    uint8_t unscaled : 2; /* bit d: the window of direction d is not to be scaled */
    uint8_t unused : 1;
};
static_assert(sizeof(struct ws_tcp_brief) == WS_CACHE_LINE, "a connection is one cache line");

/* Gaps of a connection. It lies behind the brief one where ranges are tracked; else there are none. */
struct ws_tcp_gaps {
    uint64_t bytes[2];
    uint32_t n[2];
};

/* A connection that does not fit. */
struct ws_tcp_whole {
    struct ws_tcp_conn conn;
    uint64_t payload[2];        /* as ws_tcp_brief_dir's; the caller's to count */
    struct ws_tcp_brief *brief; /* whose place this is; NULL: free */
    struct ws_tcp *tcp;         /* as given to ws_tcp_narrow() */
    void *flow;
    uint32_t next_free;
};

struct ws_tcp_pool_config {
    uint32_t wholes_max; /* at least 1 */
    bool gaps;           /* struct ws_tcp_gaps lies behind each brief connection */
};

struct ws_tcp_pool;

/* Bytes of a pool, and the pool in mem (8-byte aligned, zero, borrowed; touched as used). counters are the thread's. */
size_t ws_tcp_pool_bytes(const struct ws_tcp_pool_config *cfg);
struct ws_tcp_pool *ws_tcp_pool_init(void *mem, const struct ws_tcp_pool_config *cfg, struct ws_counters *counters);

/* Writes a connection in brief. False: it does not fit, and nothing was done. gaps may be NULL, where there are none. Keeps
 * b->early. */
bool ws_tcp_fold(const struct ws_tcp_conn *c, const uint64_t payload[2], struct ws_tcp_brief *b, struct ws_tcp_gaps *gaps);

/* The connection that was folded. b is no whole one. */
void ws_tcp_unfold(const struct ws_tcp_brief *b, const struct ws_tcp_gaps *gaps, struct ws_tcp_conn *c, uint64_t payload[2]);

/* The connection as a whole one, to be pushed to and then given to ws_tcp_narrow(); one at a time. Always succeeds. */
struct ws_tcp_whole *ws_tcp_widen(struct ws_tcp_pool *p, struct ws_tcp_brief *b);

/* Ends what ws_tcp_widen() began: folds it if it fits. Where it does not fit and the pool is full, the connection that has
 * had its place for longest, roughly, gives up what it waits for: holes become gaps of cause WS_GAP_CAP, and what was held comes out behind
 * them. So callbacks may come for another flow. t and flow, which stay good until the connection ends, are for them. */
void ws_tcp_narrow(struct ws_tcp_pool *p, struct ws_tcp *t, struct ws_tcp_whole *w, void *flow);

/* Frees the place of a whole connection that is over (ws_tcp_close()). Its brief one must be zeroed before it is used again. */
void ws_tcp_release(struct ws_tcp_pool *p, struct ws_tcp_whole *w);

/* The place of a connection that is a whole one. */
struct ws_tcp_whole *ws_tcp_whole_of(struct ws_tcp_pool *p, const struct ws_tcp_brief *b);

/* Takes a segment as ws_tcp_push() would, payload for the record included, if it is the next of its direction. False:
 * nothing was done, it is for ws_tcp_widen() and ws_tcp_push(). */
bool ws_tcp_brief_push(struct ws_tcp *t, struct ws_tcp_brief *b, void *flow, unsigned dir, const struct ws_tcp_segment *s);

/* The same with a TCP packet without FILTERED content, where nobody wants bytes or segments; else false. */
bool ws_tcp_brief_push_packet(struct ws_tcp *t, struct ws_tcp_brief *b, const struct ws_packet *p);

/* Connections in the pool now, for gauges. */
uint32_t ws_tcp_pool_used(const struct ws_tcp_pool *p);

#endif
