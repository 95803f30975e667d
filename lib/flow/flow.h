/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow: one bidirectional connection or conversation, as it lies in a worker's flow table. */
#ifndef WS_FLOW_FLOW_H
#define WS_FLOW_FLOW_H

#include "packet/packet.h"

/* Why a flow ended. */
enum ws_flow_cause {
    WS_FLOW_END_OF_INPUT,
    WS_FLOW_IDLE,
    WS_FLOW_REUSED,   /* a new connection took the tuple */
    WS_FLOW_EVICTED,  /* the table was full */
    WS_FLOW_FINISHED, /* TCP close completed and the entry was freed */
};

/* Expiry class of a flow: which timeout holds, and the order of eviction (lowest first). */
enum ws_flow_class {
    WS_FLOW_UNANSWERED, /* packets of one direction only */
    WS_FLOW_CLOSED,     /* TCP, over; kept to absorb late retransmissions */
    WS_FLOW_ANSWERED,   /* both directions, not TCP or not established */
    WS_FLOW_ESTABLISHED,
    WS_FLOW_CLASSES
};

/* No packet of that direction yet (first_ordinal). */
#define WS_ORDINAL_NONE UINT64_MAX

/* What is written of a flow when its directions begin: apart from what each packet touches. */
struct ws_flow_first {
    int64_t ts_ns[2]; /* by packet stamp, per direction */
    uint64_t ordinal[2];
};

/* Direction 0 is sent by key endpoint 0, direction 1 by endpoint 1. The originator's direction is
 * orig. Counts are of packets that passed the filter; the first ordinal counts all (docs: FlowIDs).
 * After the struct follow the per-flow areas of reassembly and sinks
 * (ws_flow_table_config.ext_bytes). A packet touches these three lines and no other of the flow. */
struct ws_flow {
    struct ws_key key;

    int64_t last_clock_ns; /* packet-time clock of the last packet, for expiry */
    int64_t last_ts_ns[2]; /* by packet stamp, per direction */
    uint64_t packets[2];
    uint64_t bytes[2];     /* original (wire) bytes of whole frames */
    uint8_t orig;          /* direction of the originator */
    uint8_t flow_class;    /* enum ws_flow_class */
    uint8_t selected;      /* outputs want it (selectors; decided at creation) */
    uint8_t seen;          /* bit d: direction d has had a packet */
    uint16_t first_at;     /* where its struct ws_flow_first lies: behind it, in units of 8 bytes */
    uint16_t table_age;    /* owned by the table: when it was put in the list of its class */

    union {
        uint64_t payload_bytes[2]; /* original transport payload bytes; of a TCP flow: only when it ends */
        uint64_t transport[8];     /* of a TCP flow until then: its connection (tcp/brief.h) */
    };
};
static_assert(sizeof(struct ws_flow) == 192, "three cache lines");
static_assert(offsetof(struct ws_flow, transport) == 128, "each in a line of its own: key, counts, connection");

static inline struct ws_flow_first *ws_flow_first(const struct ws_flow *f)
{
    return (struct ws_flow_first *)((uintptr_t)f + f->first_at * (uintptr_t)8);
}

/* For who makes flows outside a table: first lies behind f, less than 512 KiB. */
static inline void ws_flow_set_first(struct ws_flow *f, const struct ws_flow_first *first)
{
    f->first_at = (uint16_t)(((uintptr_t)first - (uintptr_t)f) / 8);
}

/* The area behind a flow at byte offset off (given out by the engine at start). */
static inline void *ws_flow_ext(struct ws_flow *f, size_t off)
{
    return (uint8_t *)f + sizeof(*f) + off;
}

/* Whether the idle timeout of the flow's class, of timeout_ns by class (0 = never), has passed at now_ns. */
static inline bool ws_flow_is_idle(const struct ws_flow *f, const int64_t *timeout_ns, int64_t now_ns)
{
    const int64_t timeout = timeout_ns[f->flow_class];
    /* stamps of damaged files may lie further apart than an int64_t can say */
    return timeout > 0 && now_ns > f->last_clock_ns &&
           (uint64_t)now_ns - (uint64_t)f->last_clock_ns > (uint64_t)timeout;
}

/* The ordinal of the flow's first packet of either direction: what identifies a flow in a file. */
static inline uint64_t ws_flow_first_ordinal(const struct ws_flow *f)
{
    const struct ws_flow_first *first = ws_flow_first(f);
    return WS_MIN(first->ordinal[0], first->ordinal[1]);
}

#endif
