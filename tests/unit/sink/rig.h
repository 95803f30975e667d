/* SPDX-License-Identifier: BSD-3-Clause */
/* What sink tests share: flows with a sink's area, and events as the flow stage would send them. */
#ifndef WS_TESTS_SINK_RIG_H
#define WS_TESTS_SINK_RIG_H

#include "unit/writer/bed.h"

#include "packet/packet.h"
#include "sink/sink.h"

struct rig {
    struct bed bed;
    struct ws_sink *sink;
    struct ws_counters counters;
    uint64_t ordinal;
};

/* A flow with room for any sink's area; endpoint 0 is 10.0.0.1:1111, endpoint 1 is 10.0.0.2:80. */
struct rig_flow {
    struct ws_flow flow;
    uint64_t ext[128];
    struct ws_flow_first first;
};

#define RIG_T0 INT64_C(1000000000250000000)

static inline void rig_flow_init(struct rig_flow *f, uint64_t first_ordinal)
{
    memset(f, 0, sizeof(*f));
    ws_flow_set_first(&f->flow, &f->first);
    struct ws_key *k = &f->flow.key;
    memcpy(k->addr[0], (uint8_t[]){10, 0, 0, 1}, 4);
    memcpy(k->addr[1], (uint8_t[]){10, 0, 0, 2}, 4);
    k->port[0] = 1111;
    k->port[1] = 80;
    k->ip_version = 4;
    k->proto = 6;
    f->flow.seen = 3;
    f->flow.selected = 3;
    f->first.ordinal[0] = first_ordinal;
    f->first.ordinal[1] = first_ordinal + 1;
    f->first.ts_ns[0] = RIG_T0;
    f->first.ts_ns[1] = RIG_T0 + 1000000;
    f->flow.last_ts_ns[0] = f->flow.last_ts_ns[1] = RIG_T0 + 2000000000;
}

static inline void rig_attach(struct rig *r, struct ws_sink *s)
{
    r->sink = s;
    s->counters = &r->counters;
    s->flow_off = 0;
    assert_true(s->flow_bytes <= sizeof(((struct rig_flow *)0)->ext));
    assert_int_equal(s->flow_bytes % 8, 0);
}

static inline void rig_data(struct rig *r, struct rig_flow *f, unsigned dir, uint64_t off,
                            const void *data, uint32_t len)
{
    struct ws_tcp_meta m = {.ts_ns = RIG_T0 + (int64_t)r->ordinal * 1000,
                            .ordinal = r->ordinal++,
                            .seq = (uint32_t)off + 1,
                            .ack = 7,
                            .window = 512,
                            .flags = WS_TCP_ACK};
    /* An exact copy, so that the sanitizer sees a read beyond it. */
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, data, len);
    r->sink->ops->data(r->sink, &f->flow, dir, off, copy, len, &m);
    free(copy);
}

static inline void rig_str(struct rig *r, struct rig_flow *f, unsigned dir, uint64_t off,
                           const char *s)
{
    rig_data(r, f, dir, off, s, (uint32_t)strlen(s));
}

static inline void rig_gap(struct rig *r, struct rig_flow *f, unsigned dir, uint64_t off,
                           uint64_t len, enum ws_gap_cause cause)
{
    r->sink->ops->gap(r->sink, &f->flow, dir, off, len, cause);
}

static inline void rig_close(struct rig *r, struct rig_flow *f)
{
    r->sink->ops->flow_close(r->sink, &f->flow, NULL, WS_FLOW_END_OF_INPUT);
}

static inline uint64_t rig_count(const struct rig *r, enum ws_counter id)
{
    return ws_count_get(&r->counters, id);
}

/* Ends the sink and the channels, and lets the writer finish. */
static inline void rig_finish(struct rig *r)
{
    if (r->sink->ops->finish)
        r->sink->ops->finish(r->sink);
    ws_channel_finish(r->sink->channel);
    bed_drain(&r->bed);
}

static inline void rig_fini(struct rig *r)
{
    r->sink->ops->destroy(r->sink);
    bed_fini(&r->bed);
}

#endif
