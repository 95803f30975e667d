/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow stage of a worker. */
#include "engine/flow_stage.h"

#include <string.h>

#include "engine/stage.h"
#include "packet/decode.h"
#include "tcp/brief.h"

/* Entries of the flow table that expiry looks at after each burst: at 1 Mpps and bursts of 32 the
 * cursor passes 1M flows in 1 s, far below the shortest idle timeout. At 10 Mpps and bursts of 64 it looks at 5M a second:
 * where 1M flows a second begin and end, few of those that ended wait for it. */
enum { EXPIRE_BUDGET = 32 };

/* How many packets ahead the neighbours of a flow in the table's lists are prefetched: by then its own lines have come. */
enum { LINKS_AHEAD = 4, LINES_AHEAD = 10 };

/* Packets of an open TCP connection whose handshake was not seen both ways, until it counts as
 * established (filtered ones too: class and so expiry must not depend on a filter). */
enum { ESTABLISHED_PACKETS = 4 };

struct ws_flow_stage {
    struct ws_flow_table *table;
    struct ws_tcp *tcp;       /* for flows that an output selected */
    struct ws_tcp *tcp_state; /* for the others: connection state only */
    struct ws_tcp_pool *pool; /* of connections that take more than their flows have room for */
    struct ws_tcp_whole closing;
    struct ws_counters *counters;
    const struct ws_select *select;
    struct ws_flow_ids *ids;
    struct ws_sink *sink[WS_SINKS_MAX];
    unsigned n_sink;
    unsigned needs;           /* of all sinks */
    size_t ext_bytes;         /* of the area behind each flow */
    bool frames_all;          /* packet sinks take frames of no flow too */
    bool gaps;                /* struct ws_tcp_gaps lies behind each connection */
    bool count_ids;
    bool count_streams;       /* of TCP, not by first packets */
    bool want_udp, want_all_ip, verify_checksums;
    bool per_tuple;
    bool stale;               /* the table let a flow go during this burst: look up again */
    uint64_t last_ordinal;
    int64_t timeout_ns[WS_FLOW_CLASSES]; /* the table's */
    struct ws_counters scratch; /* of tcp_state: its bytes are REFUSED_NO_SINK in the real ledger */
};

/* Runs call for each sink that needs the event. */
#define FOR_SINKS(fs, need, s)                                                                     \
    for (struct ws_sink *const *s = (fs)->sink; s < (fs)->sink + (fs)->n_sink; s++)                \
        if ((*s)->needs & (need))

/* The connection of a TCP flow. */
static inline struct ws_tcp_brief *brief_of(struct ws_flow *f)
{
    return (struct ws_tcp_brief *)(void *)f->transport;
}

static struct ws_tcp *tcp_of(const struct ws_flow_stage *fs, const struct ws_flow *f)
{
    return f->selected ? fs->tcp : fs->tcp_state;
}

static void on_data(void *flow, unsigned dir, uint64_t off, const uint8_t *data, uint32_t len,
                    const struct ws_tcp_meta *meta, void *user)
{
    struct ws_flow_stage *fs = user;
    struct ws_flow *f = flow;
    if (!(f->selected >> dir & 1))
        return;
    FOR_SINKS(fs, WS_SINK_DATA, s)
        (*s)->ops->data(*s, f, dir, off, data, len, meta);
}

static void on_gap(void *flow, unsigned dir, uint64_t off, uint64_t len, enum ws_gap_cause cause,
                   void *user)
{
    struct ws_flow_stage *fs = user;
    struct ws_flow *f = flow;
    if (!(f->selected >> dir & 1))
        return;
    FOR_SINKS(fs, WS_SINK_DATA | WS_SINK_GAPS, s)
        if ((*s)->ops->gap)
            (*s)->ops->gap(*s, f, dir, off, len, cause);
}

static void on_segment(void *flow, unsigned dir, int64_t off, const struct ws_tcp_segment *seg,
                       void *user)
{
    struct ws_flow_stage *fs = user;
    struct ws_flow *f = flow;
    if (!(f->selected >> dir & 1))
        return;
    FOR_SINKS(fs, WS_SINK_SEGMENT, s)
        (*s)->ops->segment(*s, f, dir, off, seg);
}

static void on_event(void *flow, unsigned dir, enum ws_tcp_event ev,
                     const struct ws_tcp_meta *meta, void *user)
{
    struct ws_flow_stage *fs = user;
    FOR_SINKS(fs, WS_SINK_EVENT, s)
        (*s)->ops->event(*s, flow, dir, ev, meta);
}

static const struct ws_tcp_ops tcp_ops = {on_data, on_gap, on_segment, on_event};
static const struct ws_tcp_ops tcp_state_ops = {NULL, NULL, NULL, NULL};

/* Ends the connection of a TCP flow, and says how it was: valid until the next one ends. */
static struct ws_tcp_whole *close_conn(struct ws_flow_stage *fs, struct ws_flow *f, enum ws_gap_cause cause)
{
    struct ws_tcp_brief *b = brief_of(f);
    struct ws_tcp_whole *w = &fs->closing;
    if (b->is_whole)
        w = ws_tcp_whole_of(fs->pool, b);
    else
        ws_tcp_unfold(b, fs->gaps ? (struct ws_tcp_gaps *)(void *)(b + 1) : NULL, &w->conn, w->payload);
    ws_tcp_close(tcp_of(fs, f), &w->conn, f, cause);
    f->payload_bytes[0] = w->payload[0];
    f->payload_bytes[1] = w->payload[1];
    return w;
}

/* Ends the flow's life for the sinks; its table entry stays, to be zeroed before it is used again. */
static void close_flow(struct ws_flow_stage *fs, struct ws_flow *f, enum ws_flow_cause cause)
{
    const bool tcp = f->key.proto == 6, whole = tcp && brief_of(f)->is_whole;
    if (!whole && !(fs->needs & WS_SINK_CLOSE))
        return; /* nothing is held, and nobody asks */
    struct ws_tcp_whole *w =
        tcp ? close_conn(fs, f, cause == WS_FLOW_EVICTED ? WS_GAP_EVICTED : WS_GAP_NEVER_SEEN) : NULL;
    FOR_SINKS(fs, WS_SINK_CLOSE, s)
        (*s)->ops->flow_close(*s, f, w ? &w->conn : NULL, cause);
    if (whole)
        ws_tcp_release(fs->pool, w);
}

/* The table lets a flow go: idle, evicted, or the end. */
static void on_gone(void *user, struct ws_flow *f, enum ws_flow_cause cause)
{
    struct ws_flow_stage *fs = user;
    fs->stale = true;
    close_flow(fs, f, cause);
}

/* Begins a flow on an entry whose fields are fresh; first is the ordinal that identifies it. */
static void open_flow(struct ws_flow_stage *fs, struct ws_flow *f, unsigned dir, uint64_t first)
{
    f->orig = (uint8_t)dir;
    ws_flow_first(f)->ordinal[dir] = first;
    ws_flow_first(f)->ordinal[!dir] = WS_ORDINAL_NONE;
    f->selected = (uint8_t)ws_select_flow(fs->select, &f->key, first);
    ws_count(fs->counters, WS_C_FLOWS_SELECTED, f->selected != 0);
    FOR_SINKS(fs, WS_SINK_OPEN, s)
        (*s)->ops->flow_open(*s, f);
}

/* Ends the flow and makes its table entry the next one on the same tuple, in place: pointers to it stay
 * good. The table counts only what it adds and lets go itself. */
static void renew_flow(struct ws_flow_stage *fs, struct ws_flow *f, int64_t now_ns,
                       enum ws_flow_cause cause)
{
    close_flow(fs, f, cause);
    ws_count(fs->counters, WS_C_FLOWS_CLOSED, 1);
    ws_count(fs->counters, cause == WS_FLOW_IDLE ? WS_C_FLOWS_IDLE : WS_C_FLOWS_REUSED, 1);
    ws_count(fs->counters, WS_C_FLOWS_CREATED, 1);
    f->last_clock_ns = now_ns;
    for (unsigned d = 0; d < 2; d++) {
        f->packets[d] = f->bytes[d] = 0;
        ws_flow_first(f)->ts_ns[d] = f->last_ts_ns[d] = 0;
        ws_flow_first(f)->ordinal[d] = WS_ORDINAL_NONE;
    }
    f->seen = 0;
    memset(f->transport, 0, sizeof(f->transport));
    memset(ws_flow_ext(f, 0), 0, fs->ext_bytes);
    ws_flow_table_touch(fs->table, f, now_ns, WS_FLOW_UNANSWERED);
}

/* Whether payloads of the flow's protocol, which is not TCP, go to data sinks. */
static bool writes_payload(const struct ws_flow_stage *fs, const struct ws_flow *f)
{
    return f->key.proto == 17 || f->key.proto == 136 ? fs->want_udp : fs->want_all_ip;
}

/* ws_flow_ids.streams: a direction's number comes with its first SYN or byte. */
static void count_stream(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p)
{
    uint64_t *id = (uint64_t *)ws_flow_ext(f, fs->ids->ext_off) + p->dir;
    if (!*id && !(p->flags & WS_PKT_FILTERED) && (p->tcp_flags & WS_TCP_SYN || p->payload_wire_len))
        *id = ++fs->ids->next;
}

/* Notes a direction's first packet. True: this is it. */
static bool note_first(struct ws_flow_stage *fs, struct ws_flow *f, unsigned dir, uint64_t ordinal,
                       int64_t ts_ns)
{
    if (f->seen >> dir & 1)
        return false;
    ws_count(fs->counters, WS_C_FLOW_DIRECTIONS, 1);
    f->seen = (uint8_t)(f->seen | 1u << dir);
    ws_flow_first(f)->ordinal[dir] = ordinal;
    ws_flow_first(f)->ts_ns[dir] = ts_ns;
    f->last_ts_ns[dir] = ts_ns;
    if (fs->count_ids && (!fs->ids->streams || (f->key.proto != 6 && writes_payload(fs, f))))
        ((uint64_t *)ws_flow_ext(f, fs->ids->ext_off))[dir] = ++fs->ids->next;
    return true;
}

static void show_frame(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p)
{
    if (!fs->frames_all && !(f->selected >> p->dir & 1))
        return;
    /* With no selection a fragment's frame was shown when it came to who takes frames of no flow. */
    const bool shown = fs->frames_all && p->flags & WS_PKT_RELEASED;
    FOR_SINKS(fs, WS_SINK_PACKET, s)
        if (!shown || (*s)->needs & WS_SINK_OF_FLOWS)
            (*s)->ops->packet(*s, f, p);
}

/* Counts a frame in its flow and shows it to packet sinks. */
static inline void account_frame(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p)
{
    unsigned dir = p->dir;
    if (p->flags & (WS_PKT_DATAGRAM | WS_PKT_FILTERED))
        return;
    f->packets[dir]++;
    f->bytes[dir] += p->wire_len;
    f->last_ts_ns[dir] = p->ts_ns;
    ws_count(fs->counters, WS_C_FLOW_PACKETS, 1);
    if (fs->needs & WS_SINK_PACKET)
        show_frame(fs, f, p);
}

static void fill_segment(struct ws_tcp_segment *seg, const struct ws_packet *p)
{
    seg->data = p->payload;
    seg->len = p->payload_len;
    seg->wire_len = p->payload_wire_len;
    seg->wscale = p->tcp_wscale;
    seg->no_payload = (p->flags & WS_PKT_FILTERED) != 0;
    seg->keep_alive = false;
    seg->frame_bytes = p->wire_len;
    seg->meta.ts_ns = p->ts_ns;
    seg->meta.ordinal = p->ordinal;
    seg->meta.seq = p->tcp_seq;
    seg->meta.ack = p->tcp_ack;
    seg->meta.window = p->tcp_window;
    seg->meta.flags = p->tcp_flags;
    seg->meta.piece = 0;
}

/* What a flow is worth when the table is full. Established is who shook hands both ways, or has
 * gone on for a few packets: one stray packet a tuple must not buy what a handshake costs, nor may
 * a capture of one side, or one begun midstream, lose its connections to a flood of SYNs. */
static enum ws_flow_class tcp_class(struct ws_flow *f)
{
    struct ws_tcp_brief *c = brief_of(f);
    if (c->state == WS_TCP_CLOSED || c->state == WS_TCP_RESET)
        return WS_FLOW_CLOSED;
    if (c->state >= WS_TCP_OPEN) {
        if (WS_LIKELY(f->flow_class == WS_FLOW_ESTABLISHED))
            return WS_FLOW_ESTABLISHED;
        if (f->seen == 3 && c->events >> WS_TCP_EV_ESTABLISHED & 1)
            return WS_FLOW_ESTABLISHED;
        if (++c->early >= ESTABLISHED_PACKETS)
            return WS_FLOW_ESTABLISHED;
    }
    return f->seen == 3 ? WS_FLOW_ANSWERED : WS_FLOW_UNANSWERED;
}

/* A new connection took the tuple: the old flow ends, the entry becomes the new one. When the new
 * connection began with a SYN that had looked like a stray (the candidate), that frame moves over. */
static struct ws_tcp_whole *reuse_flow(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p,
                                       const struct ws_tcp_whole *w, bool candidate)
{
    const struct ws_tcp_conn old = w->conn;
    unsigned cdir = old.candidate_dir;
    if (candidate) {
        f->packets[cdir] -= WS_MIN(f->packets[cdir], old.candidate.packets);
        f->bytes[cdir] -= WS_MIN(f->bytes[cdir], old.candidate.frame_bytes);
    }
    renew_flow(fs, f, p->clock_ns, WS_FLOW_REUSED);
    if (!candidate) {
        open_flow(fs, f, p->dir, p->ordinal);
        note_first(fs, f, p->dir, p->ordinal, p->ts_ns);
        return ws_tcp_widen(fs->pool, brief_of(f));
    }
    open_flow(fs, f, cdir, old.candidate.ordinal);
    note_first(fs, f, cdir, old.candidate.ordinal, old.candidate.ts_ns);
    f->packets[cdir] = old.candidate.packets;
    f->bytes[cdir] = old.candidate.frame_bytes;
    struct ws_tcp_whole *fresh = ws_tcp_widen(fs->pool, brief_of(f));
    ws_tcp_adopt(tcp_of(fs, f), &fresh->conn, &old);
    note_first(fs, f, p->dir, p->ordinal, p->ts_ns);
    return fresh;
}

/* The same where flows never end: reassembly begins anew, everything else of the flow goes on. */
static void restart_flow(struct ws_flow_stage *fs, struct ws_flow *f, struct ws_tcp_whole *w, bool candidate)
{
    struct ws_tcp_conn *c = &w->conn, old = *c;
    ws_tcp_close(tcp_of(fs, f), c, f, WS_GAP_NEVER_SEEN);
    for (unsigned i = 0; i < fs->n_sink; i++)
        if (fs->sink[i]->ops->restart)
            fs->sink[i]->ops->restart(fs->sink[i], f);
    ws_count(fs->counters, WS_C_FLOWS_RESTARTED, 1);
    memset(c, 0, sizeof(*c));
    brief_of(f)->early = 0;
    if (candidate)
        ws_tcp_adopt(tcp_of(fs, f), c, &old);
}

/* A segment with a wrong checksum: counted; with --verify-checksums it is a frame and no segment. */
static bool refuse_checksum(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p)
{
    ws_count(fs->counters, WS_C_TCP_BAD_CHECKSUM, 1);
    if (!fs->verify_checksums)
        return false;
    note_first(fs, f, p->dir, p->ordinal, p->ts_ns);
    ws_count(fs->counters, WS_C_PAYLOAD_SEEN, p->payload_len);
    ws_count(fs->counters, WS_C_REFUSED_CHECKSUM, p->payload_len);
    account_frame(fs, f, p);
    ws_flow_table_touch(fs->table, f, p->clock_ns, f->flow_class);
    return true;
}

/* The fate of a frame that would open a flow and may not; that of filtered frames and of a datagram's is counted already. */
static void count_not_continued(struct ws_flow_stage *fs, const struct ws_packet *p)
{
    if (!(p->flags & (WS_PKT_DATAGRAM | WS_PKT_FILTERED)))
        ws_count(fs->counters, WS_C_NOT_CONTINUED, 1);
}

/* The payload of segments that no output selected: the counts of tcp_state are not the ledger's. */
static void count_payload(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p)
{
    if (!f->selected) {
        ws_count(fs->counters, WS_C_TCP_SEGMENTS, 1);
        ws_count(fs->counters, WS_C_PAYLOAD_SEEN, p->payload_len);
        ws_count(fs->counters, WS_C_REFUSED_NO_SINK, p->payload_len);
    }
}

/* A segment that is not simply the next one. w: the connection, if it has been widened. */
static void push_whole(struct ws_flow_stage *fs, struct ws_flow *f, struct ws_tcp_whole *w, unsigned dir,
                       const struct ws_tcp_segment *seg)
{
    if (!w)
        w = ws_tcp_widen(fs->pool, brief_of(f));
    ws_tcp_push(tcp_of(fs, f), &w->conn, f, dir, seg);
    if (!seg->no_payload)
        w->payload[dir] += seg->wire_len;
    ws_tcp_narrow(fs->pool, tcp_of(fs, f), w, f);
}

static void tcp_segment(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p)
{
    if (WS_UNLIKELY(p->flags & WS_PKT_BAD_L4_SUM) && refuse_checksum(fs, f, p))
        return;
    struct ws_tcp_segment seg;
    struct ws_tcp_whole *w = NULL; /* the connection, where it does not fit in brief or may not after this */

    fill_segment(&seg, p);
    if (WS_UNLIKELY(p->tcp_flags & WS_TCP_SYN || brief_of(f)->is_whole)) {
        w = ws_tcp_widen(fs->pool, brief_of(f));
        enum ws_tcp_verdict v = ws_tcp_verdict(&w->conn, p->dir, &seg);
        if (v != WS_TCP_TAKEN && p->flags & WS_PKT_CONTINUES) {
            count_not_continued(fs, p);
            ws_tcp_narrow(fs->pool, tcp_of(fs, f), w, f);
            return;
        }
        if (v != WS_TCP_TAKEN && fs->per_tuple)
            restart_flow(fs, f, w, v == WS_TCP_NEW_CANDIDATE);
        else if (v != WS_TCP_TAKEN)
            w = reuse_flow(fs, f, p, w, v == WS_TCP_NEW_CANDIDATE);
    }
    if (WS_UNLIKELY(note_first(fs, f, p->dir, p->ordinal, p->ts_ns)))
        FOR_SINKS(fs, WS_SINK_FIRST, s)
            (*s)->ops->first(*s, f, p);
    if (WS_UNLIKELY(fs->count_streams))
        count_stream(fs, f, p);
    account_frame(fs, f, p);
    if (w || !ws_tcp_brief_push(tcp_of(fs, f), brief_of(f), f, p->dir, &seg))
        push_whole(fs, f, w, p->dir, &seg);
    if (!seg.no_payload)
        count_payload(fs, f, p);
    ws_flow_table_touch(fs->table, f, p->clock_ns, tcp_class(f));
}

/* Where nobody takes bytes, a packet that only goes on needs no segment made of it. */
static inline void tcp_packet(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p)
{
    const bool plain = !(p->flags & (WS_PKT_BAD_L4_SUM | WS_PKT_FILTERED)) && f->seen >> p->dir & 1 && !fs->count_streams;
    if (!plain || !ws_tcp_brief_push_packet(tcp_of(fs, f), brief_of(f), p)) {
        tcp_segment(fs, f, p);
        return;
    }
    account_frame(fs, f, p);
    count_payload(fs, f, p);
    ws_flow_table_touch(fs->table, f, p->clock_ns, tcp_class(f));
}

/* UDP and the rest: each datagram's payload follows the one before. */
static void datagram_packet(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p)
{
    unsigned dir = p->dir;
    note_first(fs, f, dir, p->ordinal, p->ts_ns);
    account_frame(fs, f, p);
    if (!(p->flags & (WS_PKT_FILTERED | WS_PKT_FRAGMENT))) {
        uint64_t off = f->payload_bytes[dir];
        f->payload_bytes[dir] += p->payload_len;
        ws_count(fs->counters, WS_C_UDP_BYTES, p->payload_len);
        if (p->payload_len && (f->selected >> dir & 1) && writes_payload(fs, f)) {
            struct ws_tcp_meta meta = {.ts_ns = p->ts_ns, .ordinal = p->ordinal};
            FOR_SINKS(fs, WS_SINK_DATA | WS_SINK_DATAGRAM, s)
                (*s)->ops->data(*s, f, dir, off, p->payload, p->payload_len, &meta);
        }
    }
    ws_flow_table_touch(fs->table, f, p->clock_ns,
                        f->seen == 3 ? WS_FLOW_ANSWERED : WS_FLOW_UNANSWERED);
}

/* A frame that is counted in its flow and says nothing more: a fragment, whose payload comes with the datagram,
 * or a TCP header that the snap length cut. */
static void bare_frame(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p)
{
    note_first(fs, f, p->dir, p->ordinal, p->ts_ns);
    account_frame(fs, f, p);
    ws_flow_table_touch(fs->table, f, p->clock_ns,
                        f->key.proto == 6 ? tcp_class(f)
                                          : (enum ws_flow_class)f->flow_class);
}

/* Whether a packet of a file that only completes flows finds none open in its direction. Its frame's fate is counted. */
static bool refuse_opening(struct ws_flow_stage *fs, const struct ws_flow *f,
                           const struct ws_packet *p)
{
    if (f && f->seen >> p->dir & 1 && !ws_flow_table_is_idle(fs->table, f, p->clock_ns))
        return false;
    count_not_continued(fs, p);
    return true;
}

/* Bytes that lie in a datagram of which a fragment is missing. */
static void note_missing(struct ws_flow_stage *fs, struct ws_flow *f, const struct ws_packet *p)
{
    struct ws_tcp_whole *w = ws_tcp_widen(fs->pool, brief_of(f));
    ws_tcp_note_missing(fs->tcp, &w->conn, p->dir, p->tcp_seq, p->payload_wire_len);
    ws_tcp_narrow(fs->pool, fs->tcp, w, f);
}

static void flow_packet(struct ws_flow_stage *fs, struct ws_flow *f, uint32_t hash,
                        const struct ws_packet *p)
{
    if (!f || fs->stale)
        f = ws_flow_table_lookup(fs->table, &p->key, hash);
    if (WS_UNLIKELY(p->flags & WS_PKT_INCOMPLETE)) {
        if (f && f->selected && f->key.proto == 6)
            note_missing(fs, f, p);
        return;
    }
    if (WS_UNLIKELY(p->flags & WS_PKT_CONTINUES) && refuse_opening(fs, f, p))
        return;
    if (!f) {
        f = ws_flow_table_add(fs->table, &p->key, hash, p->clock_ns, NULL, 0);
        if (WS_UNLIKELY(!f)) {
            if (!(p->flags & (WS_PKT_DATAGRAM | WS_PKT_FILTERED)))
                ws_count(fs->counters, WS_C_SHED_FLOW, 1);
            return;
        }
        open_flow(fs, f, p->dir, p->ordinal);
    } else if (WS_UNLIKELY(ws_flow_is_idle(f, fs->timeout_ns, p->clock_ns))) {
        renew_flow(fs, f, p->clock_ns, WS_FLOW_IDLE);
        open_flow(fs, f, p->dir, p->ordinal);
    }
    if (WS_UNLIKELY(p->flags & WS_PKT_FRAGMENT))
        bare_frame(fs, f, p);
    else if (WS_LIKELY(p->flags & WS_PKT_TCP))
        tcp_packet(fs, f, p);
    else if (WS_UNLIKELY(f->key.proto == 6))
        bare_frame(fs, f, p);
    else
        datagram_packet(fs, f, p);
}

/* Whether the packet belongs to a flow by what decode found. */
static bool has_flow(const struct ws_packet *p)
{
    if (p->status != WS_DECODE_OK || !(p->flags & WS_PKT_IP))
        return false;
    return !(p->flags & WS_PKT_FRAGMENT) || (p->flags & WS_PKT_FLOW_KNOWN);
}

/* A TCP flow on its way to established changes its class soon, and so its place in the lists of the table. */
static inline void prefetch_links(const struct ws_flow_stage *fs, const struct ws_flow *f)
{
    if (f && (f->flow_class == WS_FLOW_UNANSWERED || f->flow_class == WS_FLOW_ANSWERED) && f->key.proto == 6)
        ws_flow_table_prefetch_links(fs->table, f);
}

static void other_frame(struct ws_flow_stage *fs, const struct ws_packet *p)
{
    if (!fs->frames_all || (p->flags & WS_PKT_FILTERED))
        return;
    FOR_SINKS(fs, WS_SINK_PACKET, s)
        if (!((*s)->needs & WS_SINK_OF_FLOWS))
            (*s)->ops->packet(*s, NULL, p);
}

void ws_flow_stage_burst(struct ws_flow_stage *fs, const struct ws_packet *const *pkt, unsigned n)
{
    const struct ws_key *key[WS_BURST_MAX];
    uint32_t hash[WS_BURST_MAX];
    struct ws_flow *flow[WS_BURST_MAX];
    unsigned n_key = 0, k = 0;

    WS_STAGE_MARK(DECODE); /* of the receive stage, which calls this with the burst decoded */
    for (unsigned i = 0; i < n; i++) {
        if (!has_flow(pkt[i]))
            continue;
        key[n_key] = &pkt[i]->key;
        hash[n_key] = ws_flow_table_hash(fs->table, key[n_key]);
        n_key++;
    }
    WS_STAGE_MARK(HASH);
    if (n_key)
        ws_flow_table_lookup_burst(fs->table, key, hash, n_key, flow);
    WS_STAGE_MARK(LOOKUP);
    fs->stale = false;
    for (unsigned i = 0; i < n; i++) {
        fs->last_ordinal = pkt[i]->ordinal;
        if (WS_LIKELY(n_key == n || has_flow(pkt[i]))) {
            if (k + LINES_AHEAD < n_key)
                ws_flow_table_prefetch(fs->table, flow[k + LINES_AHEAD]);
            if (k + LINKS_AHEAD < n_key)
                prefetch_links(fs, flow[k + LINKS_AHEAD]);
            flow_packet(fs, flow[k], hash[k], pkt[i]);
            k++;
        } else {
            other_frame(fs, pkt[i]);
        }
    }
    WS_STAGE_MARK(STATE);
    if (n)
        ws_flow_table_expire(fs->table, pkt[n - 1]->clock_ns, EXPIRE_BUDGET);
    WS_STAGE_MARK(EXPIRE);
}

void ws_flow_stage_idle(struct ws_flow_stage *fs, int64_t now_ns)
{
    ws_flow_table_expire(fs->table, now_ns, EXPIRE_BUDGET);
    for (unsigned i = 0; i < fs->n_sink; i++)
        if (fs->sink[i]->ops->tick)
            fs->sink[i]->ops->tick(fs->sink[i], now_ns);
}

void ws_flow_stage_expire_all(struct ws_flow_stage *fs, int64_t now_ns)
{
    ws_flow_table_expire(fs->table, now_ns, UINT32_MAX);
}

void ws_flow_stage_tick(struct ws_flow_stage *fs, uint64_t watermark, int64_t steady_ns, bool force)
{
    for (unsigned i = 0; i < fs->n_sink; i++) {
        struct ws_sink *s = fs->sink[i];
        if (s->channel)
            ws_channel_tick(s->channel, s->ops->order ? s->ops->order(s, watermark) : watermark,
                            steady_ns, force);
    }
}

void ws_flow_stage_finish(struct ws_flow_stage *fs)
{
    for (unsigned i = 0; i < fs->n_sink; i++)
        fs->sink[i]->ending = true;
    ws_flow_table_flush(fs->table, WS_FLOW_END_OF_INPUT);
    for (unsigned i = 0; i < fs->n_sink; i++) {
        struct ws_sink *s = fs->sink[i];
        if (s->ops->finish)
            s->ops->finish(s);
        if (s->channel)
            ws_channel_finish(s->channel);
    }
}

uint32_t ws_flow_stage_flows(const struct ws_flow_stage *fs)
{
    return ws_flow_table_count(fs->table);
}

uint64_t ws_flow_stage_last_ordinal(const struct ws_flow_stage *fs)
{
    return fs->last_ordinal;
}

/* Where ranges are tracked a connection has gaps, and may hold bytes: those that do, or begin in the middle, are the pool's.
 * Else only what is odd about a connection takes a place there: second handshakes, stray segments. */
static struct ws_tcp_pool_config pool_config(const struct ws_flow_stage_config *cfg)
{
    const uint32_t flows = cfg->flow.flows_max;
    const bool track = cfg->tcp.want & (WS_TCP_WANT_DATA | WS_TCP_WANT_GAPS);
    const uint32_t wanted = WS_MAX(track ? flows / 4 : flows / 80, track ? 65536u : 1024u);
    return (struct ws_tcp_pool_config){.wholes_max = cfg->wholes_max ? cfg->wholes_max : WS_MIN(wanted, flows), .gaps = track};
}

/* Layout of a flow's area: gaps of a TCP connection where ranges are tracked, FlowIDs when counted, then each sink's. */
size_t ws_flow_stage_bytes(struct ws_flow_stage_config *cfg)
{
    size_t off = 0;
    unsigned needs = 0;

    for (unsigned i = 0; i < cfg->n_sink; i++)
        needs |= cfg->sink[i]->needs;
    cfg->tcp.want = 0;
    if ((needs & WS_SINK_DATA) && !cfg->tcp_off)
        cfg->tcp.want |= WS_TCP_WANT_DATA;
    if ((needs & WS_SINK_SEGMENT) && !cfg->tcp_off)
        cfg->tcp.want |= WS_TCP_WANT_SEGMENT;
    if (needs & WS_SINK_GAPS)
        cfg->tcp.want |= WS_TCP_WANT_GAPS;
    if (pool_config(cfg).gaps)
        off += sizeof(struct ws_tcp_gaps);

    if (!cfg->ids->ordinal && needs & WS_SINK_IDS) {
        cfg->ids->ext_off = off;
        off += 2 * sizeof(uint64_t);
    }
    for (unsigned i = 0; i < cfg->n_sink; i++) {
        cfg->sink[i]->flow_off = off;
        off += ws_align_up(cfg->sink[i]->flow_bytes, 8);
    }
    cfg->flow.ext_bytes = (uint32_t)off;
    /* a sink that takes what each packet brings uses its area for it */
    cfg->flow.hot_bytes = needs & (WS_SINK_PACKET | WS_SINK_SEGMENT | WS_SINK_DATA) ? WS_CACHE_LINE + (uint32_t)off : WS_CACHE_LINE;

    const struct ws_tcp_pool_config pool = pool_config(cfg);
    struct ws_tcp_config state = cfg->tcp;
    state.want = 0;
    state.nodes_max = 1;
    state.bytes_max = 1;
    return ws_align_up(sizeof(struct ws_flow_stage), 64) +
           ws_align_up(ws_flow_table_bytes(&cfg->flow), 64) +
           ws_align_up(ws_tcp_bytes(&cfg->tcp), 64) + ws_align_up(ws_tcp_bytes(&state), 64) + ws_tcp_pool_bytes(&pool);
}

size_t ws_flow_stage_flow_bytes(const struct ws_flow_stage_config *cfg)
{
    const struct ws_tcp_pool_config pool = pool_config(cfg);
    return ws_flow_table_bytes(&cfg->flow) + ws_tcp_pool_bytes(&pool);
}

struct ws_flow_stage *ws_flow_stage_init(void *mem, const struct ws_flow_stage_config *cfg)
{
    struct ws_flow_stage *fs = mem;
    uint8_t *at = (uint8_t *)mem + ws_align_up(sizeof(*fs), 64);
    const struct ws_tcp_pool_config pool = pool_config(cfg);
    struct ws_tcp_config state = cfg->tcp;

    state.want = 0;
    state.nodes_max = 1;
    state.bytes_max = 1;
    fs->counters = cfg->counters;
    fs->select = cfg->select;
    fs->ids = cfg->ids;
    fs->n_sink = cfg->n_sink;
    fs->want_udp = cfg->udp || cfg->all_ip;
    fs->want_all_ip = cfg->all_ip;
    fs->verify_checksums = cfg->verify_checksums;
    fs->per_tuple = cfg->per_tuple;
    for (unsigned i = 0; i < cfg->n_sink; i++) {
        fs->sink[i] = cfg->sink[i];
        fs->sink[i]->ordinal = &fs->last_ordinal;
        fs->needs |= cfg->sink[i]->needs;
    }
    fs->count_ids = !cfg->ids->ordinal && fs->needs & WS_SINK_IDS;
    fs->count_streams = fs->count_ids && cfg->ids->streams;
    fs->frames_all = ws_select_flows_all(cfg->select);
    fs->gaps = pool.gaps;
    fs->ext_bytes = cfg->flow.ext_bytes;
    memcpy(fs->timeout_ns, cfg->flow.timeout_ns, sizeof(fs->timeout_ns));
    fs->table = ws_flow_table_init(at, &cfg->flow, cfg->counters, on_gone, fs);
    at += ws_align_up(ws_flow_table_bytes(&cfg->flow), 64);
    fs->tcp = ws_tcp_init(at, &cfg->tcp, cfg->counters, &tcp_ops, fs);
    at += ws_align_up(ws_tcp_bytes(&cfg->tcp), 64);
    fs->tcp_state = ws_tcp_init(at, &state, &fs->scratch, &tcp_state_ops, fs);
    at += ws_align_up(ws_tcp_bytes(&state), 64);
    fs->pool = ws_tcp_pool_init(at, &pool, cfg->counters);
    return fs;
}
