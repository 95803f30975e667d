/* SPDX-License-Identifier: BSD-3-Clause */
/* Sinks of flow records. */
#include "sink/record.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"

#define RECORDS_MAX_DEFAULT (UINT64_C(1) << 24)
#define PATH_MAX_BYTES      512u

/* Of a TCP flow, when order is asked for. */
struct record_order {
    int64_t top[2]; /* end of the highest segment of the connection */
    uint32_t begin_seq[2], late[2], gaps[2];
};

/* Of any flow, when ip_bytes is asked for. */
struct record_packets {
    uint64_t ip_bytes[2];
    uint32_t icmp; /* as struct ws_flow_record's */
    uint32_t reserved;
};

/* What both sinks share. In the flow's area, when ip_bytes is asked for: struct record_packets; when order is: struct record_order. */
struct record_sink {
    struct ws_sink base;
    bool lengths, ip_bytes, worker, order;
    uint32_t order_off;

    /* kept */
    struct ws_sink_record_config kept;
    struct ws_flow_record **chunk;
    uint64_t count;

    struct ws_sink_record_told_config told;

    /* written */
    struct ws_sink_record_live_config live;
    uint64_t file, pos;
    char path[PATH_MAX_BYTES];
};

static struct record_packets *packets_of(const struct record_sink *rs, struct ws_flow *flow)
{
    return ws_flow_ext(flow, rs->base.flow_off);
}

/* Length of the innermost datagram as its header says; the captured bytes when it says 0
 * (segmentation offload). */
static uint64_t ip_length(const struct ws_packet *p)
{
    const uint8_t *ip = p->data + p->l3_off;
    uint32_t left = p->cap_len - p->l3_off;
    uint32_t total = 0;
    if (p->key.ip_version == 4 && left >= 4)
        total = ws_load_be16(ip + 2);
    else if (p->key.ip_version == 6 && left >= 6 && ws_load_be16(ip + 4))
        total = 40u + ws_load_be16(ip + 4);
    return total ? total : left;
}

static void on_packet(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p)
{
    if (!flow || p->flags & WS_PKT_DATAGRAM || p->l3_off > p->cap_len)
        return;
    struct record_packets *a = packets_of((struct record_sink *)s, flow);
    a->ip_bytes[p->dir] += ip_length(p);
    if (WS_UNLIKELY((flow->key.proto == 1 || flow->key.proto == 58) && !a->icmp && p->payload_len >= 2 &&
                    !(p->flags & WS_PKT_FRAGMENT)))
        a->icmp = 1u << 24 | (uint32_t)p->dir << 16 | (uint32_t)p->payload[0] << 8 | p->payload[1];
}

static struct record_order *order_of(struct record_sink *rs, struct ws_flow *flow)
{
    return ws_flow_ext(flow, rs->base.flow_off + rs->order_off);
}

static void on_first(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p)
{
    struct record_order *o = order_of((struct record_sink *)s, flow);
    if (p->tcp_flags & WS_TCP_SYN)
        o->begin_seq[p->dir] = p->tcp_flags & WS_TCP_ACK ? p->tcp_ack - 1 : p->tcp_seq;
}

static void on_segment(struct ws_sink *s, struct ws_flow *flow, unsigned dir, int64_t off,
                       const struct ws_tcp_segment *seg)
{
    struct record_order *o = order_of((struct record_sink *)s, flow);
    if (seg->wire_len == 0 || seg->keep_alive)
        return;
    if (off < o->top[dir])
        o->late[dir]++;
    o->top[dir] = WS_MAX(o->top[dir], off + (int64_t)seg->wire_len);
}

static void on_gap(struct ws_sink *s, struct ws_flow *flow, unsigned dir, uint64_t off, uint64_t len,
                   enum ws_gap_cause cause)
{
    (void)off;
    (void)len;
    (void)cause;
    struct record_sink *rs = (struct record_sink *)s;
    if (rs->order)
        order_of(rs, flow)->gaps[dir]++;
}

static void on_restart(struct ws_sink *s, struct ws_flow *flow)
{
    struct record_sink *rs = (struct record_sink *)s;
    if (rs->order)
        order_of(rs, flow)->top[0] = order_of(rs, flow)->top[1] = 0;
}

static const char *cause_name(enum ws_flow_cause cause)
{
    switch (cause) {
    case WS_FLOW_END_OF_INPUT:
        return "end_of_input";
    case WS_FLOW_IDLE:
        return "idle";
    case WS_FLOW_REUSED:
        return "reused";
    case WS_FLOW_EVICTED:
        return "evicted";
    case WS_FLOW_FINISHED:
        return "finished";
    }
    return "unknown";
}

static void copy_text(char *dst, size_t max, const char *src, size_t len)
{
    len = WS_MIN(len, max - 1);
    memcpy(dst, src, len);
    dst[len] = '\0';
}

/* Zeek's conn_state and history for protocols without connections: who sent anything. */
static void datagram_state(struct ws_flow_record *r, const struct ws_flow *f)
{
    bool o = f->seen >> f->orig & 1, p = f->seen >> !f->orig & 1;
    const char *state = f->key.proto == 17 ? (o && p ? "SF" : "S0") : "OTH";
    const char *history = f->key.proto != 17 ? "" : o && p ? "Dd" : "D";
    copy_text(r->conn_state, sizeof(r->conn_state), state, strlen(state));
    copy_text(r->history, sizeof(r->history), history, strlen(history));
}

static void fill(struct record_sink *rs, struct ws_flow_record *r, struct ws_flow *f,
                 const struct ws_tcp_conn *tcp, enum ws_flow_cause cause)
{
    const char *end = cause_name(cause);
    memset(r, 0, sizeof(*r));
    r->key = f->key;
    if (rs->ip_bytes && f->selected)
        r->icmp = packets_of(rs, f)->icmp;
    for (unsigned d = 0; d < 2; d++) {
        r->first_ordinal[d] = ws_flow_first(f)->ordinal[d];
        r->first_ts_ns[d] = ws_flow_first(f)->ts_ns[d];
        r->last_ts_ns[d] = f->last_ts_ns[d];
        r->packets[d] = f->packets[d];
        r->bytes[d] = f->bytes[d];
        r->payload_bytes[d] = f->payload_bytes[d];
        r->ip_bytes[d] = rs->ip_bytes && f->selected ? packets_of(rs, f)->ip_bytes[d] : WS_RECORD_UNKNOWN;
        r->stream_bytes[d] = WS_RECORD_UNKNOWN;
        if (tcp && rs->lengths && f->selected) {
            r->stream_bytes[d] = ws_tcp_dir_length(&tcp->dir[d]);
            r->gap_bytes[d] = ws_tcp_gap_bytes(tcp, d);
            r->gaps[d] = tcp->dir[d].gaps;
        }
        if (tcp && rs->order) {
            const struct record_order *o = order_of(rs, f);
            r->begin_seq[d] = o->begin_seq[d];
            r->late[d] = o->late[d];
            r->gaps[d] = o->gaps[d];
        }
        if (rs->base.ids)
            r->flow_id[d] = ws_flow_ids_get(rs->base.ids, f, d);
    }
    r->worker = rs->worker ? rs->base.worker : UINT32_MAX;
    r->orig = f->orig;
    r->selected = f->selected;
    copy_text(r->end, sizeof(r->end), end, strlen(end));
    if (tcp) {
        const char *state = ws_tcp_conn_state(tcp);
        if (tcp->orig_known)
            r->orig = tcp->orig;
        r->tcp_events = tcp->events;
        copy_text(r->conn_state, sizeof(r->conn_state), state, strlen(state));
        copy_text(r->history, sizeof(r->history), tcp->history,
                  WS_MIN(tcp->history_len, sizeof(tcp->history)));
    } else {
        datagram_state(r, f);
    }
}

/* --- kept --- */

/* The place of the next record, NULL at the cap. */
static struct ws_flow_record *next_place(struct record_sink *rs)
{
    uint64_t c = rs->count / WS_RECORD_CHUNK;
    size_t bytes = WS_RECORD_CHUNK * sizeof(struct ws_flow_record);
    if (rs->count >= rs->kept.records_max)
        return NULL;
    if (!rs->chunk[c])
        rs->chunk[c] = rs->kept.alloc ? rs->kept.alloc(rs->kept.alloc_user, bytes) : malloc(bytes);
    return rs->chunk[c] ? rs->chunk[c] + rs->count % WS_RECORD_CHUNK : NULL;
}

static void keep_on_close(struct ws_sink *s, struct ws_flow *flow, const struct ws_tcp_conn *tcp,
                          enum ws_flow_cause cause)
{
    struct record_sink *rs = (struct record_sink *)s;
    struct ws_flow_record *r = next_place(rs);
    if (!r) {
        ws_count(s->counters, WS_C_FLOW_RECORDS_LOST, 1);
        return;
    }
    fill(rs, r, flow, tcp, cause);
    rs->count++;
}

static void on_destroy(struct ws_sink *s)
{
    struct record_sink *rs = (struct record_sink *)s;
    if (rs->chunk && !rs->kept.alloc)
        for (uint64_t i = 0; i * WS_RECORD_CHUNK < rs->kept.records_max && rs->chunk[i]; i++)
            free(rs->chunk[i]);
    free(rs->chunk);
    free(rs);
}

uint64_t ws_sink_record_count(const struct ws_sink *s)
{
    return ((const struct record_sink *)s)->count;
}

struct ws_flow_record *ws_sink_record_at(struct ws_sink *s, uint64_t i)
{
    struct record_sink *rs = (struct record_sink *)s;
    return rs->chunk[i / WS_RECORD_CHUNK] + i % WS_RECORD_CHUNK;
}

static const struct ws_sink_ops kept_ops = {
    .packet = on_packet,
    .first = on_first,
    .segment = on_segment,
    .gap = on_gap,
    .restart = on_restart,
    .flow_close = keep_on_close,
    .destroy = on_destroy,
};

static void set_needs(struct record_sink *rs)
{
    rs->base.needs = WS_SINK_CLOSE | WS_SINK_IDS;
    if (rs->lengths)
        rs->base.needs |= WS_SINK_GAPS;
    if (rs->ip_bytes) {
        rs->base.needs |= WS_SINK_PACKET | WS_SINK_OF_FLOWS;
        rs->base.flow_bytes = (uint32_t)sizeof(struct record_packets);
    }
    if (rs->order) {
        rs->base.needs |= WS_SINK_FIRST | WS_SINK_SEGMENT | WS_SINK_GAPS;
        rs->order_off = rs->base.flow_bytes;
        rs->base.flow_bytes += (uint32_t)sizeof(struct record_order);
    }
}

int ws_sink_record_create(struct ws_sink **s, const struct ws_sink_record_config *cfg)
{
    struct record_sink *rs = calloc(1, sizeof(*rs));
    if (!rs)
        return -ENOMEM;
    rs->kept = *cfg;
    if (rs->kept.records_max == 0)
        rs->kept.records_max = RECORDS_MAX_DEFAULT;
    rs->lengths = cfg->lengths;
    rs->ip_bytes = cfg->ip_bytes;
    rs->worker = cfg->worker;
    rs->order = cfg->order;
    rs->chunk = calloc((size_t)(rs->kept.records_max / WS_RECORD_CHUNK + 2), sizeof(*rs->chunk));
    if (!rs->chunk) {
        free(rs);
        return -ENOMEM;
    }
    rs->base.ops = &kept_ops;
    set_needs(rs);
    *s = &rs->base;
    return 0;
}

/* --- told --- */

static void tell_on_close(struct ws_sink *s, struct ws_flow *flow, const struct ws_tcp_conn *tcp,
                          enum ws_flow_cause cause)
{
    struct record_sink *rs = (struct record_sink *)s;
    struct ws_flow_record r;
    fill(rs, &r, flow, tcp, cause);
    rs->told.told(rs->told.user, flow, &r);
}

static const struct ws_sink_ops told_ops = {
    .packet = on_packet,
    .flow_close = tell_on_close,
    .destroy = on_destroy,
};

int ws_sink_record_told_create(struct ws_sink **s, const struct ws_sink_record_told_config *cfg)
{
    struct record_sink *rs = calloc(1, sizeof(*rs));
    if (!rs)
        return -ENOMEM;
    rs->told = *cfg;
    rs->lengths = cfg->lengths;
    rs->ip_bytes = cfg->ip_bytes;
    rs->worker = cfg->worker;
    rs->base.ops = &told_ops;
    set_needs(rs);
    *s = &rs->base;
    return 0;
}

/* --- written --- */

/* Opens the worker's own file, with the names of the columns for CSV. */
static bool open_own(struct record_sink *rs)
{
    char head[WS_RECORD_LINE_MAX];
    struct ws_text t;
    if (!rs->file)
        rs->file = ws_channel_file_open(rs->base.channel, rs->path, 0);
    if (!rs->file)
        return false;
    if (rs->live.format == WS_RECORD_CSV && rs->pos == 0) {
        ws_text_init(&t, head, sizeof(head));
        ws_record_csv_header(&t);
        struct ws_bytes piece = {head, t.len};
        if (ws_channel_file_write(rs->base.channel, rs->file, 0, &piece, 1) != 0)
            return false;
        rs->pos = t.len;
    }
    return true;
}

static bool put_line(struct record_sink *rs, const struct ws_text *line)
{
    struct ws_bytes piece = {line->buf, line->len};
    if (!rs->live.path) {
        /* Flows end when they do, long after packets of higher ordinals: lines have no order. */
        return ws_channel_record(rs->base.channel, 0, &piece, 1) == 0;
    }
    if (!open_own(rs) || ws_channel_file_write(rs->base.channel, rs->file, rs->pos, &piece, 1) != 0)
        return false;
    rs->pos += line->len;
    return true;
}

static void write_on_close(struct ws_sink *s, struct ws_flow *flow, const struct ws_tcp_conn *tcp,
                           enum ws_flow_cause cause)
{
    struct record_sink *rs = (struct record_sink *)s;
    char buf[WS_RECORD_LINE_MAX], id[64] = "";
    struct ws_flow_record r;
    struct ws_text t;

    if (rs->live.selected_only && !flow->selected)
        return;
    fill(rs, &r, flow, tcp, cause);
    if (rs->live.community_id)
        rs->live.community_id(&r, rs->live.community_seed, id);
    ws_text_init(&t, buf, sizeof(buf));
    if (rs->live.format == WS_RECORD_JSON)
        ws_record_json(&t, &r, id);
    else
        ws_record_csv(&t, &r, id);
    if (t.cut || !put_line(rs, &t))
        ws_count(s->counters, WS_C_FLOW_RECORDS_LOST, 1);
}

static void live_finish(struct ws_sink *s)
{
    struct record_sink *rs = (struct record_sink *)s;
    if (rs->file)
        ws_channel_file_close(s->channel, rs->file, UINT64_MAX, INT64_MIN, 0);
}

static const struct ws_sink_ops live_ops = {
    .packet = on_packet,
    .flow_close = write_on_close,
    .finish = live_finish,
    .destroy = on_destroy,
};

int ws_sink_record_live_create(struct ws_sink **s, const struct ws_sink_record_live_config *cfg)
{
    if (cfg->path && strlen(cfg->path) >= PATH_MAX_BYTES)
        return -ENAMETOOLONG;
    struct record_sink *rs = calloc(1, sizeof(*rs));
    if (!rs)
        return -ENOMEM;
    rs->live = *cfg;
    if (cfg->path)
        copy_text(rs->path, sizeof(rs->path), cfg->path, strlen(cfg->path));
    rs->lengths = cfg->lengths;
    rs->ip_bytes = cfg->ip_bytes;
    rs->worker = true;
    rs->base.ops = &live_ops;
    rs->base.channel = cfg->channel;
    set_needs(rs);
    *s = &rs->base;
    return 0;
}
