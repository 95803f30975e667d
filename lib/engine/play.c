/* SPDX-License-Identifier: BSD-3-Clause */
/* From the events of an archive to those of sinks. */
#include "engine/play.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Events between two looks at the clock and the stop flag. */
enum { EVENTS_A_CALL = 256 };

/* A flow that is open. Freed ones are kept in a list. */
struct open_flow {
    union {
        struct open_flow *next_free;
        uint64_t next[2]; /* stream offset that must come next, per direction */
    };
    _Alignas(64) struct ws_flow flow; /* the sinks' area follows, then struct ws_flow_first */
};

struct ws_play {
    struct ws_play_config cfg;
    struct open_flow **open; /* by index in the archive */
    struct open_flow *free;
    size_t closed; /* flows before this index are over, or unwanted, when the run is stopped */
    uint8_t *wanted;
    uint64_t missing, twice;
    bool begun;
};

static bool needs(const struct ws_sink *s, unsigned need)
{
    return (s->needs & need) != 0;
}

/* Runs call for each sink that needs the event. */
#define FOR_SINKS(f, need, s)                                                                      \
    for (struct ws_sink **s = (f)->sink; s < (f)->sink + (f)->n_sink; s++)                         \
        if (needs(*s, need))

/* Shows sinks that look at packets the MACs of a direction's first one: all that an archive knows of packets. */
static void show_macs(struct ws_engine_feed *f, struct ws_flow *flow, unsigned dir, const uint8_t mac[12])
{
    struct ws_packet p = {.dir = (uint8_t)dir, .key = flow->key, .ts_ns = ws_flow_first(flow)->ts_ns[dir]};
    memcpy(p.mac_src, mac, 6);
    memcpy(p.mac_dst, mac + 6, 6);
    FOR_SINKS(f, WS_SINK_PACKET, s)
        (*s)->ops->packet(*s, flow, &p);
}

/* Notes the directions that have had a packet by now. */
static void note_seen(struct ws_engine_feed *f, struct ws_flow *flow, const struct ws_archive_entry *e, bool ending)
{
    for (unsigned d = 0; d < 2; d++) {
        if (flow->seen >> d & 1 || !(e->seen >> d & 1) || (!ending && ws_flow_first(flow)->ordinal[d] > f->ordinal))
            continue;
        flow->seen |= (uint8_t)(1u << d);
        show_macs(f, flow, d, e->mac[d]);
    }
}

/* The flow in the making; NULL: no memory. */
static struct open_flow *open_flow(struct ws_play *p, struct ws_engine_feed *f, size_t i)
{
    const struct ws_archive_entry *e = ws_archive_flow(p->cfg.archive, i);
    size_t bytes = ws_align_up(sizeof(struct open_flow) + f->ext_bytes + sizeof(struct ws_flow_first), 64);
    struct open_flow *o = p->free;
    if (p->open[i])
        return p->open[i];
    if (o)
        p->free = o->next_free;
    else if (!(o = aligned_alloc(64, bytes))) {
        if (!f->damaged)
            ws_log(WS_LOG_ERROR, "out of memory: flows of the archive are left out");
        f->damaged = true;
        return NULL;
    }
    memset(o, 0, bytes);
    struct ws_flow *flow = &o->flow;
    flow->key = e->rec.key;
    flow->orig = e->orig;
    flow->selected = p->cfg.dirs[i];
    ws_flow_set_first(flow, (struct ws_flow_first *)((uintptr_t)o + bytes - sizeof(struct ws_flow_first)));
    for (unsigned d = 0; d < 2; d++) {
        ws_flow_first(flow)->ordinal[d] = e->rec.first_ordinal[d];
        ws_flow_first(flow)->ts_ns[d] = e->rec.first_ts_ns[d];
    }
    p->open[i] = o;
    ws_count(f->counters, WS_C_FLOWS_CREATED, 1);
    ws_count(f->counters, WS_C_FLOWS_SELECTED, flow->selected != 0);
    FOR_SINKS(f, WS_SINK_OPEN, s)
        (*s)->ops->flow_open(*s, flow);
    return o;
}

static enum ws_flow_cause cause_of(const char *end)
{
    static const struct {
        const char *name;
        enum ws_flow_cause cause;
    } causes[] = {{"idle", WS_FLOW_IDLE},
                  {"reused", WS_FLOW_REUSED},
                  {"evicted", WS_FLOW_EVICTED},
                  {"finished", WS_FLOW_FINISHED}};
    for (size_t i = 0; i < WS_ARRAY_SIZE(causes); i++)
        if (strcmp(end, causes[i].name) == 0)
            return causes[i].cause;
    return WS_FLOW_END_OF_INPUT;
}

/* --- streams --- */

static void tell_gap(struct ws_engine_feed *f, struct ws_flow *flow, unsigned dir, uint64_t off, uint64_t len,
                     enum ws_gap_cause cause)
{
    ws_count(f->counters, WS_C_GAPS, 1);
    ws_count(f->counters, WS_C_GAP_BYTES, len);
    ws_count(f->counters, WS_C_STREAM_BYTES, len);
    FOR_SINKS(f, WS_SINK_DATA | WS_SINK_GAPS, s)
        if ((*s)->ops->gap)
            (*s)->ops->gap(*s, flow, dir, off, len, cause);
}

/* What the flow's record says of a stream and no record of bytes or gaps brought is missing at its end. */
static void come_to_end(struct ws_play *p, struct ws_engine_feed *f, struct open_flow *o, const struct ws_flow_record *r,
                        unsigned dir)
{
    uint64_t len = r->stream_bytes[dir], next = o->next[dir];
    if (r->key.proto != 6 || p->cfg.tcp_off || !(ws_archive_flags(p->cfg.archive) & WS_ARCHIVE_TCP) ||
        !(o->flow.selected >> dir & 1) || len > INT64_MAX || len <= next)
        return;
    p->missing += len - next;
    tell_gap(f, &o->flow, dir, next, len - next, WS_GAP_NEVER_SEEN);
}

static void close_flow(struct ws_play *p, struct ws_engine_feed *f, size_t i, bool ending)
{
    const struct ws_flow_record *r = &ws_archive_flow(p->cfg.archive, i)->rec;
    struct open_flow *o = open_flow(p, f, i);
    if (!o)
        return;
    struct ws_flow *flow = &o->flow;
    for (unsigned d = 0; d < 2; d++) {
        flow->last_ts_ns[d] = r->last_ts_ns[d];
        flow->packets[d] = r->packets[d];
        flow->bytes[d] = r->bytes[d];
        flow->payload_bytes[d] = r->payload_bytes[d];
        ws_count(f->counters, WS_C_RX_PACKETS, r->packets[d]);
        ws_count(f->counters, WS_C_FLOW_PACKETS, r->packets[d]);
        ws_count(f->counters, WS_C_RX_BYTES, r->bytes[d]);
        ws_count(f->counters, WS_C_RX_WIRE_BYTES, r->bytes[d]);
    }
    note_seen(f, flow, ws_archive_flow(p->cfg.archive, i), true);
    for (unsigned k = 0; k < f->n_sink; k++)
        f->sink[k]->ending = ending;
    for (unsigned d = 0; d < 2 && !f->stop; d++) /* a run that was stopped reads no further */
        come_to_end(p, f, o, r, d);
    enum ws_flow_cause cause = cause_of(r->end);
    FOR_SINKS(f, WS_SINK_CLOSE, s)
        (*s)->ops->flow_close(*s, flow, NULL, cause);
    ws_count(f->counters, WS_C_FLOWS_CLOSED, 1);
    p->open[i] = NULL;
    o->next_free = p->free;
    p->free = o;
}

/* What comes begins at off: what should lie before it and does not is missing from the archive. False: it came already. */
static bool come_to(struct ws_play *p, struct ws_engine_feed *f, struct open_flow *o, unsigned dir, uint64_t off)
{
    uint64_t next = o->next[dir];
    if (off < next)
        return false;
    if (off > next) {
        p->missing += off - next;
        tell_gap(f, &o->flow, dir, next, off - next, WS_GAP_NEVER_SEEN);
    }
    return true;
}

/* Whether sinks get this protocol's payload. */
static bool gives(const struct ws_play *p, uint8_t proto)
{
    if (proto == 6)
        return !p->cfg.tcp_off;
    return proto == 17 || proto == 136 ? p->cfg.udp || p->cfg.all_ip : p->cfg.all_ip;
}

static void play_data(struct ws_play *p, struct ws_engine_feed *f, struct open_flow *o, const struct ws_archive_event *ev)
{
    const struct ws_archive_data *d = &ev->data;
    unsigned need = WS_SINK_DATA | (o->flow.key.proto == 6 ? 0u : WS_SINK_DATAGRAM);
    const struct ws_tcp_meta meta = {
        .ts_ns = d->ts_ns,
        .ordinal = d->ordinal,
        .seq = d->seq,
        .ack = d->ack,
        .window = d->window,
        .flags = d->tcp_flags,
        .piece = ev->piece,
    };
    if (!come_to(p, f, o, ev->dir, d->off)) {
        p->twice += d->len;
        return;
    }
    o->next[ev->dir] = d->off + d->len;
    if (o->flow.key.proto == 6) {
        ws_count(f->counters, WS_C_PAYLOAD_SEEN, d->len);
        ws_count(f->counters, WS_C_PAYLOAD_DELIVERED, d->len);
        ws_count(f->counters, WS_C_STREAM_BYTES, d->len);
    } else {
        ws_count(f->counters, WS_C_UDP_BYTES, d->len);
    }
    FOR_SINKS(f, need, s)
        (*s)->ops->data(*s, &o->flow, ev->dir, d->off, d->bytes, d->len, &meta);
}

static void play_gap(struct ws_play *p, struct ws_engine_feed *f, struct open_flow *o, const struct ws_archive_event *ev)
{
    enum ws_gap_cause cause = ev->gap.cause < WS_GAP_CAUSES ? (enum ws_gap_cause)ev->gap.cause : WS_GAP_NEVER_SEEN;
    if (!come_to(p, f, o, ev->dir, ev->gap.off)) {
        p->twice += ev->gap.len;
        return;
    }
    o->next[ev->dir] = ev->gap.off + ev->gap.len;
    tell_gap(f, &o->flow, ev->dir, ev->gap.off, ev->gap.len, cause);
}

static void play_restart(struct ws_engine_feed *f, struct open_flow *o)
{
    o->next[0] = o->next[1] = 0;
    ws_count(f->counters, WS_C_FLOWS_RESTARTED, 1);
    for (unsigned i = 0; i < f->n_sink; i++)
        if (f->sink[i]->ops->restart)
            f->sink[i]->ops->restart(f->sink[i], &o->flow);
}

static void play(struct ws_play *p, struct ws_engine_feed *f, const struct ws_archive_event *ev)
{
    if (ev->kind == WS_ARCHIVE_EV_CLOSE) {
        if (!ev->ending)
            f->ordinal = WS_MAX(f->ordinal, ev->order);
        close_flow(p, f, ev->flow, ev->ending);
        return;
    }
    if (!ev->ending)
        f->ordinal = WS_MAX(f->ordinal, ev->order);
    struct open_flow *o = open_flow(p, f, ev->flow);
    if (!o)
        return;
    note_seen(f, &o->flow, ws_archive_flow(p->cfg.archive, ev->flow), ev->ending);
    for (unsigned i = 0; i < f->n_sink; i++)
        f->sink[i]->ending = ev->ending;
    if (ev->kind == WS_ARCHIVE_EV_RESTART)
        play_restart(f, o);
    else if (!(o->flow.selected >> ev->dir & 1) || !gives(p, o->flow.key.proto))
        return;
    else if (ev->kind == WS_ARCHIVE_EV_DATA)
        play_data(p, f, o, ev);
    else
        play_gap(p, f, o, ev);
}

/* The run was stopped: flows that are open end here. */
static void close_all(struct ws_play *p, struct ws_engine_feed *f)
{
    for (size_t i = 0; i < ws_archive_count(p->cfg.archive); i++)
        if (p->open[i])
            close_flow(p, f, i, true);
}

bool ws_play_feed(void *user, struct ws_engine_feed *f)
{
    struct ws_play *p = user;
    struct ws_archive_event ev;
    if (!p->begun) {
        p->begun = true;
        __atomic_store_n(&f->bytes_total, ws_archive_bytes(p->cfg.archive), __ATOMIC_RELAXED);
        if (ws_archive_begin(p->cfg.archive, p->wanted) < 0) {
            f->damaged = true;
            return false;
        }
    }
    for (unsigned n = 0; n < EVENTS_A_CALL && !f->stop; n++) {
        if (!ws_archive_next(p->cfg.archive, &ev)) {
            f->stop = true;
            break;
        }
        play(p, f, &ev);
    }
    __atomic_store_n(&f->bytes_done, ws_archive_passed(p->cfg.archive), __ATOMIC_RELAXED);
    if (!f->stop)
        return true;
    close_all(p, f);
    f->damaged |= ws_archive_fault(p->cfg.archive, 0) != NULL || p->missing || p->twice;
    return false;
}

int ws_play_create(struct ws_play **out, const struct ws_play_config *cfg)
{
    size_t n = ws_archive_count(cfg->archive);
    struct ws_play *p = calloc(1, sizeof(*p));
    if (p) {
        p->cfg = *cfg;
        p->open = calloc(n + 1, sizeof(struct open_flow *));
        p->wanted = malloc(n + 1);
    }
    if (!p || !p->open || !p->wanted) {
        ws_play_destroy(p);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        p->wanted[i] = cfg->dirs[i] != 0;
    *out = p;
    return 0;
}

uint64_t ws_play_missing(const struct ws_play *p)
{
    return p->missing;
}

uint64_t ws_play_twice(const struct ws_play *p)
{
    return p->twice;
}

void ws_play_destroy(struct ws_play *p)
{
    if (!p)
        return;
    for (struct open_flow *o = p->free, *next; o; o = next) {
        next = o->next_free;
        free(o);
    }
    free(p->open);
    free(p->wanted);
    free(p);
}
