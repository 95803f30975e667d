/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's end: describes each flow that ends in a slot, and hands it to the post thread. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "post/internal.h"

/* Ranges of a stream that are told apart while it has holes; with more, the direction's end is not
 * noticed. */
#define RANGES_MAX 4u

/* What the report tells of a direction beside the flow's own counts; in the flow's area. */
struct post_dir {
    struct {
        int64_t from, to;
    } range[RANGES_MAX]; /* bytes seen, apart from each other */
    int64_t map_off;     /* stream offset of map_seq */
    uint32_t map_seq, fin_seq;
    uint8_t n_range, mapped, fin, over;
    uint32_t after_packets; /* what came when the direction was over */
    uint64_t after_bytes;
    int64_t pos;                       /* where the segment before ended */
    int64_t end;                       /* highest byte seen */
    int64_t part_ts_ns;                /* first packet of this part */
    int64_t ts_ns[2];                  /* of the latest packet, and of the one before */
    uint64_t cut_bytes;                /* not captured */
    uint64_t base_packets, base_bytes; /* told with earlier parts */
    uint32_t last_wire, last_cut;      /* latest packet */
    uint32_t out_of_order, violations;
    uint8_t mac_src[6], mac_dst[6];
    uint8_t macs, parts, syn, pad;
};

struct post_sink {
    struct ws_sink base;
    struct ws_post *p;
    struct ws_post_worker *w;
    bool detail; /* the flow's area is kept */
};

static struct post_dir *dir_of(const struct post_sink *ps, struct ws_flow *flow, unsigned dir)
{
    return (struct post_dir *)ws_flow_ext(flow, ps->base.flow_off) + dir;
}

static int64_t steady_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* --- slots --- */

/* Waits for a slot, as a reader of files does. The closes that the post thread waits for may still
 * lie in this worker's own block: it is handed over, so that the writer, which waits for nobody
 * here, gets on. */
static bool wait_for_slot(struct ws_post *p, struct ws_post_worker *w)
{
    static const struct timespec nap = {0, 100000};
    for (unsigned round = 0; !ws_ring_count(&w->free, 1); round++) {
        if (atomic_load_explicit(&p->abort, memory_order_relaxed))
            return false;
        if (w->channel && round % 64 == 0)
            ws_channel_tick(w->channel, 0, steady_ns(), true);
        if (round < 64)
            sched_yield();
        else
            nanosleep(&nap, NULL);
    }
    return true;
}

/* The slot of the flow that closes, or NULL: it is skipped. */
static struct ws_post_slot *take(struct ws_post *p, struct ws_post_worker *w, bool may_wait)
{
    if (w->cur || w->skipping)
        return w->cur;
    if (!ws_ring_count(&w->free, 1) && !(may_wait && wait_for_slot(p, w))) {
        w->skipping = true;
        ws_count(w->sink->counters, WS_C_POST_SKIPPED, 1);
        return NULL;
    }
    w->cur = &w->slot[*(uint32_t *)ws_ring_peek(&w->free, 0)];
    ws_ring_release(&w->free, 1);
    w->cur->files = 0;
    w->cur->side[0].used = w->cur->side[1].used = false;
    return w->cur;
}

/* There is always room: the ring holds all slots. */
static void publish(struct ws_post_worker *w)
{
    if (w->cur) {
        (void)ws_ring_space(&w->described, 1);
        *(uint32_t *)ws_ring_slot(&w->described, 0) = (uint32_t)(w->cur - w->slot);
        ws_ring_publish(&w->described, 1);
    }
    w->cur = NULL;
    w->skipping = false;
}

/* --- descriptions --- */

static void describe(const struct ws_flow *flow, unsigned dir, struct ws_dfxml_object *o)
{
    memset(o, 0, sizeof(*o));
    o->has_flow = true;
    memcpy(o->src, flow->key.addr[dir], 16);
    memcpy(o->dst, flow->key.addr[!dir], 16);
    o->src_port = flow->key.port[dir];
    o->dst_port = flow->key.port[!dir];
    o->ip_version = flow->key.ip_version;
    o->proto = flow->key.proto;
    o->start_ns = ws_flow_first(flow)->ts_ns[dir];
    o->end_ns = flow->last_ts_ns[dir];
    o->packets = flow->packets[dir];
    o->bytes = o->captured_bytes = flow->bytes[dir];
}

static void add_detail(const struct post_sink *ps, struct ws_flow *flow, unsigned dir,
                       struct ws_post_side *s, bool goes_on)
{
    struct post_dir *d = dir_of(ps, flow, dir);
    struct ws_dfxml_object *o = &s->about;
    o->macs = d->macs;
    memcpy(o->mac_src, d->mac_src, 6);
    memcpy(o->mac_dst, d->mac_dst, 6);
    o->out_of_order = d->out_of_order;
    o->violations = d->violations;
    o->bytes -= WS_MIN(o->bytes, d->base_bytes + d->after_bytes);
    o->packets -= WS_MIN(o->packets, d->base_packets + d->after_packets);
    if (d->over)
        o->end_ns = d->ts_ns[0];
    if (d->parts)
        o->start_ns = d->part_ts_ns;
    if (goes_on) { /* the latest packet begins the next part */
        o->packets -= o->packets > 0;
        o->bytes -= WS_MIN(o->bytes, d->last_wire);
        o->end_ns = d->ts_ns[1];
        d->base_packets += o->packets;
        d->base_bytes += o->bytes;
        o->captured_bytes = o->bytes - WS_MIN(o->bytes, d->cut_bytes - d->last_cut);
        d->cut_bytes = d->last_cut;
        d->part_ts_ns = d->ts_ns[0];
        d->parts = 1;
        d->out_of_order = d->violations = 0;
    }
    if (!goes_on)
        o->captured_bytes = o->bytes - WS_MIN(o->bytes, d->cut_bytes);
    if (d->end > 0 && !d->parts && !s->has_file)
        s->length = (uint64_t)d->end;
}

static void note_gaps(struct ws_post_side *s, const struct ws_stream_record *rec)
{
    unsigned d = rec->dir;
    s->n_gap = 0;
    for (uint32_t n = 0, i = rec->gap_first[d]; n < rec->gaps_listed[d] && n < WS_POST_GAPS;
         n++, i = rec->gap[i].next)
        s->gap[s->n_gap++] = (struct ws_http_gap){rec->gap[i].off, rec->gap[i].len};
    if (rec->gaps[d] == s->n_gap)
        return;
    /* More than are known one by one: nothing behind the last known one is trusted; of none, nothing at all. */
    if (s->n_gap == 0)
        s->gap[s->n_gap++] = (struct ws_http_gap){0};
    s->gap[s->n_gap - 1].bytes = UINT64_MAX - s->gap[s->n_gap - 1].offset;
}

static struct post_sink *sink_of(const struct ws_post_worker *w)
{
    return (struct post_sink *)w->sink;
}

uint64_t ws_post_file(struct ws_post *p, unsigned worker, const struct ws_stream_record *rec,
                      uint64_t *serial)
{
    struct ws_post_worker *w = &p->worker[worker];
    struct post_sink *ps = sink_of(w);
    w->closes_wait = rec->closes_wait;
    bool may_wait = p->cfg.may_wait ||
                    (!rec->goes_on && rec->cause == WS_FLOW_END_OF_INPUT && !w->closes_wait);
    if (serial)
        *serial = 0;
    struct ws_post_slot *slot = take(p, w, may_wait);
    if (!slot) {
        if (rec->goes_on)
            publish(w);
        return 0;
    }
    unsigned side = rec->goes_on ? 0 : rec->dir != rec->flow->orig;
    struct ws_post_side *s = &slot->side[side];
    s->used = s->has_file = true;
    s->dir = (uint8_t)rec->dir;
    s->serial = ++w->serial * p->cfg.workers + worker;
    s->length = rec->length;
    snprintf(s->path, sizeof(s->path), "%s", rec->path);
    describe(rec->flow, rec->dir, &s->about);
    note_gaps(s, rec);
    slot->files++;
    if (serial)
        *serial = s->serial;
    uint64_t tag = ((uint64_t)worker << 32 | (uint64_t)(slot - w->slot) << 1 | side) + 1;
    if (rec->goes_on) {
        if (ps->detail)
            add_detail(ps, (struct ws_flow *)(uintptr_t)rec->flow, rec->dir, s, true);
        publish(w);
    }
    return tag;
}

/* --- events --- */

static bool reported(const struct post_sink *ps, const struct ws_flow *flow, unsigned dir)
{
    return ps->p->cfg.report && (flow->seen >> dir & 1) && (flow->selected >> dir & 1) &&
           flow->key.proto == 6;
}

static void on_open(struct ws_sink *s, struct ws_flow *flow)
{
    struct ws_post_worker *w = ((struct post_sink *)s)->w;
    if (flow->key.proto != 6)
        return;
    w->flows_max = WS_MAX(w->flows_max, ++w->flows);
}

/* Whether all bytes up to the FIN have come. */
static bool is_over(const struct post_dir *d)
{
    if (!d->fin || d->n_range > 1)
        return false;
    if (!d->mapped)
        return true;
    return d->n_range == 1 && d->range[0].to == d->map_off + (int32_t)(d->fin_seq - d->map_seq);
}

/* Adds the bytes of a segment to those seen. */
static void note_range(struct post_dir *d, int64_t from, int64_t to)
{
    unsigned n = 0;
    for (unsigned i = 0; i < d->n_range; i++) {
        if (d->range[i].to < from || d->range[i].from > to) {
            d->range[n++] = d->range[i];
        } else {
            from = WS_MIN(from, d->range[i].from);
            to = WS_MAX(to, d->range[i].to);
        }
    }
    if (n < RANGES_MAX) {
        d->range[n].from = from;
        d->range[n].to = to;
        n++;
    }
    d->n_range = (uint8_t)n;
}

static void on_packet(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *pkt)
{
    struct post_sink *ps = (struct post_sink *)s;
    if (!flow || (pkt->flags & WS_PKT_DATAGRAM))
        return;
    struct post_dir *d = dir_of(ps, flow, pkt->dir);
    if (!d->macs) {
        static const uint8_t none[6];
        memcpy(d->mac_src, pkt->mac_src, 6);
        memcpy(d->mac_dst, pkt->mac_dst, 6);
        d->macs = memcmp(d->mac_src, none, 6) != 0 || memcmp(d->mac_dst, none, 6) != 0;
    }
    /* tcpflow's counts of a direction end with its FIN, when all bytes before it have come. */
    if (d->over || is_over(d)) {
        d->over = 1;
        d->after_packets++;
        d->after_bytes += pkt->wire_len;
        return;
    }
    if (pkt->tcp_flags & WS_TCP_FIN && flow->key.proto == 6) {
        d->fin = 1;
        d->fin_seq = pkt->tcp_seq + pkt->payload_wire_len;
    }
    d->last_wire = pkt->wire_len;
    d->last_cut = pkt->wire_len > pkt->cap_len ? pkt->wire_len - pkt->cap_len : 0;
    d->cut_bytes += d->last_cut;
    d->ts_ns[1] = d->ts_ns[0];
    d->ts_ns[0] = pkt->ts_ns;
}

/* As tcpflow counts: bytes that go to a place before the end of the bytes that came last are out of
 * order; bytes with a SYN, and bytes before the begin that a SYN told, are violations. */
static void on_segment(struct ws_sink *s, struct ws_flow *flow, unsigned dir, int64_t off,
                       const struct ws_tcp_segment *seg)
{
    struct post_dir *d = dir_of((struct post_sink *)s, flow, dir);
    if (seg->meta.flags & WS_TCP_SYN) {
        d->syn = 1;
        d->violations += seg->len > 0;
    }
    if (seg->len == 0 || seg->keep_alive)
        return;
    if (off < 0 && d->syn) {
        d->violations++;
        return;
    }
    if (d->over && d->n_range == 1 && off >= d->range[0].from && off + seg->len <= d->range[0].to)
        return;
    if (d->over) { /* bytes from before what was thought to be the begin */
        d->over = d->fin = 0;
        d->after_packets = 0;
        d->after_bytes = 0;
        d->ts_ns[0] = seg->meta.ts_ns;
    }
    note_range(d, off, off + seg->len);
    d->map_off = off;
    d->map_seq = seg->meta.seq + (seg->meta.flags & WS_TCP_SYN ? 1 : 0);
    d->mapped = 1;
    d->out_of_order += off < d->pos;
    d->pos = off + seg->len;
    d->end = WS_MAX(d->end, d->pos);
}

/* A later connection of the tuple, whose offsets begin anew: what was known of the end of the one before is over. */
static void on_restart(struct ws_sink *s, struct ws_flow *flow)
{
    struct post_sink *ps = (struct post_sink *)s;
    for (unsigned dir = 0; dir < 2 && ps->detail; dir++) {
        struct post_dir *d = dir_of(ps, flow, dir);
        d->n_range = d->mapped = d->fin = d->over = d->syn = 0;
        d->pos = 0;
    }
}

static void on_close(struct ws_sink *s, struct ws_flow *flow, const struct ws_tcp_conn *tcp,
                     enum ws_flow_cause cause)
{
    struct post_sink *ps = (struct post_sink *)s;
    struct ws_post_worker *w = ps->w;
    bool may_wait = ps->p->cfg.may_wait || (cause == WS_FLOW_END_OF_INPUT && !w->closes_wait);
    (void)tcp;
    if (ps->detail && flow->key.proto == 6) {
        unsigned seen = (flow->seen & 1) + (flow->seen >> 1 & 1);
        w->flows -= w->flows > 0;
        w->flows_all += seen;
        w->flows_left += cause == WS_FLOW_END_OF_INPUT ? seen : 0;
    }
    for (unsigned dir = 0; dir < 2; dir++) {
        unsigned i = dir != flow->orig;
        bool has_file = w->cur && w->cur->side[i].used;
        if (!reported(ps, flow, dir) && !(has_file && ps->detail))
            continue;
        struct ws_post_slot *slot = take(ps->p, w, may_wait);
        if (!slot)
            break;
        struct ws_post_side *side = &slot->side[i];
        if (!side->used) {
            side->used = true;
            side->has_file = false;
            side->dir = (uint8_t)dir;
            side->serial = 0;
            side->length = 0;
            side->n_gap = 0;
            describe(flow, dir, &side->about);
        }
        add_detail(ps, flow, dir, side, false);
    }
    publish(w);
}

static void on_destroy(struct ws_sink *s)
{
    free(s);
}

static const struct ws_sink_ops post_ops = {
    .flow_open = on_open,
    .packet = on_packet,
    .segment = on_segment,
    .restart = on_restart,
    .flow_close = on_close,
    .destroy = on_destroy,
};

int ws_post_sink_create(struct ws_sink **s, struct ws_post *p, unsigned worker,
                        struct ws_channel *streams)
{
    struct post_sink *ps = calloc(1, sizeof(*ps));
    if (!ps)
        return -ENOMEM;
    ps->base.ops = &post_ops;
    ps->base.needs = WS_SINK_CLOSE;
    ps->p = p;
    ps->w = &p->worker[worker];
    ps->detail = p->cfg.report != NULL;
    if (ps->detail) {
        ps->base.needs |= WS_SINK_OPEN | WS_SINK_PACKET | WS_SINK_OF_FLOWS | WS_SINK_SEGMENT;
        ps->base.flow_bytes = 2 * sizeof(struct post_dir);
    }
    ps->w->sink = &ps->base;
    ps->w->channel = streams;
    *s = &ps->base;
    return 0;
}
