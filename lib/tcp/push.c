/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of a segment: the straight path of in-order bytes, then everything else; and the end. */
#include "tcp/internal.h"

const struct ws_tcp_config ws_tcp_defaults = {
    .overlap = WS_OVERLAP_FIRST,
    .nodes_max = 262144,
    .bytes_max = UINT64_C(256) << 20,
    .dir_bytes_max = UINT64_C(16) << 20,
    .dir_nodes_max = 16384,
    .jump_max = UINT64_C(16) << 20,
    .midstream_bytes = UINT64_C(64) << 10,
    .midstream_ns = INT64_C(1000000000),
    .want = WS_TCP_WANT_DATA,
};

size_t ws_tcp_bytes(const struct ws_tcp_config *cfg)
{
    return ws_align_up(sizeof(struct ws_tcp), WS_CACHE_LINE) + ws_held_pool_bytes(cfg);
}

struct ws_tcp *ws_tcp_init(void *mem, const struct ws_tcp_config *cfg, struct ws_counters *counters,
                           const struct ws_tcp_ops *ops, void *user)
{
    struct ws_tcp *t = mem;
    *t = (struct ws_tcp){.cfg = *cfg, .counters = counters, .ops = *ops, .user = user};
    if (!(cfg->want & WS_TCP_WANT_DATA))
        t->ops.data = NULL;
    if (!(cfg->want & WS_TCP_TRACK))
        t->ops.gap = NULL;
    if (!(cfg->want & WS_TCP_WANT_SEGMENT))
        t->ops.segment = NULL;
    ws_held_pool_init(&t->pool, (uint8_t *)mem + ws_align_up(sizeof(*t), WS_CACHE_LINE), cfg);
    return t;
}

/* Whether a segment that would be held acknowledges something near what its peer sends. A stray of
 * an older connection on the tuple does not (RFC 5961 section 5). */
static bool ack_plausible(const struct ws_tcp_ctx *x, unsigned dir)
{
    const struct ws_tcp_dir *p = &x->c->dir[dir ^ 1];
    if (!(x->seg->meta.flags & WS_TCP_ACK) || !(p->flags & DIR_SYNCED))
        return true;
    uint64_t near = WS_MAX(p->next, p->flags & DIR_ACKED ? p->acked : 0);
    uint64_t ack = ws_seq_extend(p->seq0, near, x->seg->meta.ack);
    uint64_t reach = ws_tcp_reach(x->t, x->c, dir ^ 1);
    return ack > near ? ack - near <= reach : near - ack <= reach;
}

/* Neither in the known sequence space nor near it: dropped and counted, unless the direction has
 * gone there for good (we lost more than the reach), which a run of segments shows.
 * Returns whether the segment is to be taken, with a gap up to *pos. */
static bool far_segment(struct ws_tcp_ctx *x, unsigned dir, uint64_t *pos)
{
    const struct ws_tcp_segment *s = x->seg;
    struct ws_tcp_dir *d = &x->c->dir[dir];
    if (d->flags & DIR_FIN) { /* far_seq is another FIN's */
        ws_conn_event(x, dir, WS_TCP_EV_FAR_SEGMENT);
        return false;
    }
    int32_t off = ws_seq_diff(s->meta.seq, d->far_seq);
    bool near = d->far_count && off > -WS_TCP_FAR_NEAR && off < WS_TCP_FAR_NEAR;

    d->far_count = near ? (uint8_t)(d->far_count + 1) : 1;
    if (!near)
        d->flags &= (uint16_t)~DIR_FAR_ACKED;
    /* an ACK before the run says whether the peer can be heard */
    const bool believed = ack_plausible(x, dir) && (d->flags & DIR_FAR_ACKED || !(d->flags & DIR_ACKED));
    const unsigned run = believed ? WS_TCP_FAR_RUN : WS_TCP_FAR_RUN_ACK;
    d->far_seq = s->meta.seq + s->wire_len;
    ws_conn_event(x, dir, WS_TCP_EV_FAR_SEGMENT);
    if (d->far_count < run || d->flags & DIR_SYNDATA || x->c->state == WS_TCP_RESET)
        return false;
    d->far_count = 0;
    if (*pos < d->next)
        *pos += UINT64_C(1) << 32; /* more than 2 GiB ahead */
    if (d->flags & DIR_HOLD) /* may move next beyond pos, which is no jump then */
        ws_deliver_start(x, dir);
    if (x->t->cfg.want & WS_TCP_TRACK) {
        ws_deliver_flush(x, dir, *pos, WS_GAP_NEVER_SEEN);
        ws_deliver_gap(x, dir, *pos, WS_GAP_NEVER_SEEN);
    } else {
        d->next = WS_MAX(d->next, *pos);
    }
    return true;
}

/* Whether the byte at pos is the last one that its sender sent, seen before. */
static bool keep_alive(const struct ws_tcp_ctx *x, unsigned dir, uint64_t pos)
{
    const struct ws_tcp_dir *d = &x->c->dir[dir];
    if (pos + 1 == d->next)
        return true;
    uint32_t i = pos + 1 == d->top ? ws_held_find(&x->t->pool, d, pos) : 0;
    return i && ws_held_node(&x->t->pool, i)->pos <= pos &&
           ws_held_node(&x->t->pool, i)->kind != WS_HELD_HOLE;
}

/* Shows a segment to who takes them as they come, without payload that was refused: beyond the FIN, or below the SYN. */
static void tell_segment(const struct ws_tcp_ctx *x, unsigned dir, uint64_t from, uint64_t to, uint64_t pos)
{
    const struct ws_tcp_segment *s = x->seg;
    uint32_t cut = (uint32_t)(from - pos);
    if (WS_LIKELY(to - pos == s->len && !cut)) {
        x->t->ops.segment(x->flow, dir, (int64_t)(pos - WS_SEQ_BIAS), s, x->t->user);
        return;
    }
    struct ws_tcp_segment part = *s;
    part.data += cut;
    part.len = (uint32_t)(to - from);
    part.wire_len = to - pos < s->len ? part.len : s->wire_len - cut;
    part.meta.seq += cut;
    x->t->ops.segment(x->flow, dir, (int64_t)(from - WS_SEQ_BIAS), &part, x->t->user);
}

/* Payload and FIN of a segment whose direction has an anchor. */
static void take_payload(struct ws_tcp_ctx *x, unsigned dir, uint32_t seq, bool fin)
{
    struct ws_tcp *t = x->t;
    struct ws_tcp_conn *c = x->c;
    struct ws_tcp_dir *d = &c->dir[dir];
    const struct ws_tcp_segment *s = x->seg;
    const bool track = t->cfg.want & WS_TCP_TRACK;
    uint32_t len = ws_tcp_captured(s);
    uint64_t pos = ws_seq_extend(d->seq0, d->next, seq), end = pos + s->wire_len;
    uint64_t reach = ws_tcp_reach(t, c, dir);

    if (pos > d->next + reach || end + reach < d->next ||
        (pos > d->next && !ack_plausible(x, dir))) {
        if (!far_segment(x, dir, &pos)) {
            ws_tcp_note(t, WS_C_REFUSED_WINDOW, len);
            return;
        }
        end = pos + s->wire_len;
    }
    const bool hold = d->flags & DIR_HOLD; /* a far segment ends the hold */
    d->far_count = 0;

    /* A keep-alive repeats the last byte with any value (RFC 9293 section 3.8.4); also at the ISN.
     */
    if (len == 1 && s->wire_len == 1 && !fin && !hold && keep_alive(x, dir, pos)) {
        ws_tcp_note(t, WS_C_REFUSED_KEEPALIVE, 1);
        if (t->ops.segment && pos >= d->base) { /* perhaps a lone byte sent again: shown as it came */
            struct ws_tcp_segment again = *s;
            again.keep_alive = true;
            t->ops.segment(x->flow, dir, (int64_t)(pos - WS_SEQ_BIAS), &again, t->user);
        }
        return;
    }
    struct ws_tcp_run r = {
        .from = pos,
        .to = pos + len,
        .seg_from = pos,
        .seg_to = end,
        .data = s->data,
        .meta = &s->meta,
    };
    bool below = !hold && pos < d->base;
    if (below && !track && !(d->flags & DIR_SYN))
        d->base = pos;
    if (!hold && pos < d->base) {
        uint64_t to = WS_MIN(d->base, r.to);
        ws_tcp_note(t, WS_C_REFUSED_BEFORE_START, to > r.from ? to - r.from : 0);
        r.from = WS_MAX(r.from, to);
    }
    if (hold && pos < d->next)
        d->next = pos;
    if (fin)
        ws_conn_fin(x, dir, end);
    const bool ended = d->flags & DIR_FIN && (!track || d->flags & DIR_FIN_ACKED);
    if (ended && r.to > d->fin) {
        uint64_t beyond = WS_MAX(d->fin, r.from);
        ws_tcp_note(t, WS_C_REFUSED_BEYOND_FIN, r.to - WS_MIN(beyond, r.to));
        r.to = WS_MIN(beyond, r.to);
    }
    if (c->state == WS_TCP_RESET && d->flags & DIR_RST && r.to > d->top && r.to > r.from) {
        /* its sender goes on behind the reset: that was not its own (RFC 5961 section 3) */
        d->flags &= (uint16_t)~DIR_RST;
        ws_conn_reopen(c);
        ws_conn_event(x, dir, WS_TCP_EV_RST_IGNORED);
    }
    if (len && r.to <= d->next && !hold)
        ws_conn_history(c, dir, WS_HISTORY_RETRANSMITTED);
    const uint64_t told = WS_MIN(r.to, WS_MAX(ws_tcp_limit(d), r.from)); /* beyond a FIN: not yet */
    if (t->ops.segment) {
        const bool early = below && !(d->flags & DIR_SYN); /* not refused for its place in a file */
        const bool bare = fin && !len && r.from == pos; /* says where the stream ends */
        if (r.from < told || (len && early) || bare)
            tell_segment(x, dir, early ? pos : r.from, WS_MAX(told, early ? pos + len : 0), pos);
    }
    uint64_t seen = d->flags & DIR_FIN_ACKED ? WS_MIN(end, d->fin) : end;
    if (s->wire_len) /* a bare FIN far ahead tells of no byte */
        d->top = WS_MAX(d->top, seen);

    if (!track) {
        /* nobody wants order: every byte counts as delivered */
        ws_tcp_note(t, WS_C_PAYLOAD_DELIVERED, r.to - r.from);
        ws_tcp_note(t, WS_C_STREAM_BYTES, r.to - r.from);
        d->next = WS_MAX(d->next, WS_MIN(seen, ws_tcp_limit(d)));
        return;
    }
    if (r.from < r.to)
        ws_deliver_run(x, dir, &r);
    if (s->wire_len > len) {
        struct ws_tcp_run hole = {
            .from = WS_MAX(pos + len, hold ? 0 : d->next),
            .to = seen,
            .seg_from = pos,
            .seg_to = end,
            .cause = s->no_payload ? WS_GAP_FILTERED : WS_GAP_SNAPLEN,
            .meta = &s->meta,
        };
        if (hole.from < hole.to)
            ws_deliver_run(x, dir, &hole);
    }
    if (d->flags & DIR_HOLD && d->held_bytes >= t->cfg.midstream_bytes)
        ws_deliver_start(x, dir);
}

static void payload(struct ws_tcp_ctx *x, unsigned dir)
{
    const struct ws_tcp_segment *s = x->seg;
    struct ws_tcp_dir *d = &x->c->dir[dir];
    bool syn = s->meta.flags & WS_TCP_SYN;
    bool fin = s->meta.flags & WS_TCP_FIN && !syn;
    uint32_t seq = s->meta.seq + (syn ? 1 : 0);
    if (!s->wire_len && !fin)
        return;
    if (!(d->flags & DIR_SYNCED)) {
        /* a lone byte without PSH is a keep-alive or a window probe: no stream begins with it, unless
         * the peer has said that it waits for that very byte */
        if (s->wire_len == 1 && !fin && !(s->meta.flags & WS_TCP_PSH) &&
            !(d->flags & DIR_ACKRAW && d->ack_raw == seq)) {
            ws_tcp_note(x->t, WS_C_REFUSED_KEEPALIVE, ws_tcp_captured(s));
            return;
        }
        ws_conn_midstream(x, dir, seq);
    }
    take_payload(x, dir, seq, fin);
}

static void note_history(struct ws_tcp_conn *c, unsigned dir, const struct ws_tcp_segment *s)
{
    uint8_t f = s->meta.flags;
    if (f & WS_TCP_SYN)
        ws_conn_history(c, dir, f & WS_TCP_ACK ? WS_HISTORY_SYNACK : WS_HISTORY_SYN);
    if (s->wire_len && !(f & WS_TCP_RST))
        ws_conn_history(c, dir, WS_HISTORY_DATA);
    else if ((f & (WS_TCP_SYN | WS_TCP_FIN | WS_TCP_RST | WS_TCP_ACK)) == WS_TCP_ACK)
        ws_conn_history(c, dir, WS_HISTORY_ACK);
    if (f & WS_TCP_FIN)
        ws_conn_history(c, dir, WS_HISTORY_FIN);
    if (f & WS_TCP_RST)
        ws_conn_history(c, dir, WS_HISTORY_RST);
}

static enum ws_tcp_verdict push_slow(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp *t = x->t;
    struct ws_tcp_conn *c = x->c;
    const struct ws_tcp_segment *s = x->seg;
    enum ws_tcp_verdict verdict = c->closed ? WS_TCP_TAKEN : ws_conn_verdict(c, dir, s);
    if (verdict != WS_TCP_TAKEN)
        return verdict;

    ws_tcp_note(t, WS_C_TCP_SEGMENTS, 1);
    ws_tcp_note(t, WS_C_PAYLOAD_SEEN, ws_tcp_captured(s));
    if (c->closed) {
        ws_tcp_note(t, WS_C_REFUSED_CLOSED, ws_tcp_captured(s));
        return WS_TCP_TAKEN;
    }
    if (c->state == WS_TCP_NEW)
        c->orig = (uint8_t)dir;
    c->dir[dir].flags |= DIR_SEEN;
    for (unsigned i = 0; i < 2; i++)
        if (c->dir[i].flags & DIR_HOLD && s->meta.ts_ns >= c->rare[i].hold_until_ns)
            ws_deliver_start(x, i);

    if (s->meta.flags & WS_TCP_RST) {
        note_history(c, dir, s);
        ws_conn_rst(x, dir);
        return WS_TCP_TAKEN;
    }
    bool counts = true;
    if (s->meta.flags & WS_TCP_SYN)
        counts = ws_conn_syn(x, dir);
    else
        ws_conn_plain(x, dir);
    note_history(c, dir, s); /* after the roles are known */
    if (!counts)
        return WS_TCP_TAKEN;
    x->exact = c->dir[dir].flags & DIR_SYNCED &&
               s->meta.seq == ws_seq_of(c->dir[dir].seq0, c->dir[dir].next);
    payload(x, dir);
    ws_conn_ack(x, dir);
    ws_conn_judge_fin(x, dir ^ 1);
    ws_conn_judge_fin(x, dir);
    return WS_TCP_TAKEN;
}

/* Whether a segment is the next bytes of an open stream, all captured, or an ACK there: what nearly every one is. */
static inline bool is_straight(const struct ws_tcp_conn *c, unsigned dir, uint32_t seq, uint8_t flags)
{
    const struct ws_tcp_dir *d = &c->dir[dir], *p = &c->dir[dir ^ 1];
    return c->state == WS_TCP_OPEN && !c->candidate_state && !c->closed && (flags & (uint8_t)~WS_TCP_PSH) == WS_TCP_ACK &&
           (d->flags & (DIR_STARTED | DIR_SEEN | DIR_FIN | DIR_SYNDATA)) == (DIR_STARTED | DIR_SEEN) && !d->head &&
           seq == ws_seq_of(d->seq0, d->next) && !(p->flags & (DIR_HOLD | DIR_SYNDATA | DIR_FIN));
}

/* Takes the ACK of a straight segment if it acknowledges what its peer p has sent, and nothing else depends on it. */
static inline bool take_ack(struct ws_tcp_dir *p, uint32_t ack)
{
    const int32_t more = ws_seq_diff(ack, ws_seq_of(p->seq0, p->acked));
    if (!(p->flags & DIR_ACKED) || p->far_count || more < 0 || p->acked + (uint32_t)more > p->top)
        return false;
    p->acked += (uint32_t)more;
    return true;
}

/* The rest of a straight segment: window, history, counts, position. */
static inline void take_straight(struct ws_tcp *t, struct ws_tcp_conn *c, unsigned dir, uint16_t window, uint32_t len)
{
    struct ws_tcp_dir *d = &c->dir[dir];
    const unsigned shift = d->wscale && c->dir[dir ^ 1].wscale ? WS_MIN(d->wscale - 1u, 14u) : 0;
    d->window = (uint32_t)window << shift;
    ws_count(t->counters, WS_C_TCP_SEGMENTS, 1);
    ws_conn_history(c, dir, len ? WS_HISTORY_DATA : WS_HISTORY_ACK);
    if (!len)
        return;
    ws_count(t->counters, WS_C_PAYLOAD_SEEN, len);
    ws_count(t->counters, WS_C_PAYLOAD_DELIVERED, len);
    ws_count(t->counters, WS_C_STREAM_BYTES, len);
    d->next += len;
    if (d->top < d->next)
        d->top = d->next;
    d->far_count = 0;
}

bool ws_tcp_push_straight(struct ws_tcp *t, struct ws_tcp_conn *c, const struct ws_packet *p)
{
    if (t->ops.data || t->ops.segment || p->payload_wire_len != p->payload_len ||
        !is_straight(c, p->dir, p->tcp_seq, p->tcp_flags) || !take_ack(&c->dir[p->dir ^ 1], p->tcp_ack))
        return false;
    take_straight(t, c, p->dir, p->tcp_window, p->payload_len);
    return true;
}

enum ws_tcp_verdict ws_tcp_push(struct ws_tcp *t, struct ws_tcp_conn *c, void *flow, unsigned dir,
                                const struct ws_tcp_segment *s)
{
    const struct ws_tcp_dir *d = &c->dir[dir];
    const uint64_t pos = d->next;
    if (WS_UNLIKELY(s->wire_len != s->len || s->no_payload || !is_straight(c, dir, s->meta.seq, s->meta.flags)))
        return push_slow(&(struct ws_tcp_ctx){t, c, flow, s, false}, dir);
    if (WS_UNLIKELY(!take_ack(&c->dir[dir ^ 1], s->meta.ack)))
        ws_conn_ack(&(struct ws_tcp_ctx){t, c, flow, s, true}, dir);
    take_straight(t, c, dir, s->meta.window, s->len);
    if (s->len && t->ops.segment)
        t->ops.segment(flow, dir, (int64_t)(pos - WS_SEQ_BIAS), s, t->user);
    if (s->len && t->ops.data)
        t->ops.data(flow, dir, pos - d->base, s->data, s->len, &s->meta, t->user);
    return WS_TCP_TAKEN;
}

void ws_tcp_close(struct ws_tcp *t, struct ws_tcp_conn *c, void *flow, enum ws_gap_cause cause)
{
    struct ws_tcp_ctx x = {.t = t, .c = c, .flow = flow};
    if (c->closed)
        return;
    for (unsigned dir = 0; dir < 2; dir++) {
        struct ws_tcp_dir *d = &c->dir[dir];
        d->flags &= (uint16_t)~DIR_SYNDATA; /* nothing decided against them: they were sent */
        if (d->flags & DIR_HOLD)
            ws_deliver_start(&x, dir);
        ws_deliver_drain(&x, dir);
        if (d->flags & DIR_FIN)
            ws_deliver_drop_from(t, d, d->fin, WS_C_REFUSED_BEYOND_FIN);
        ws_deliver_flush(&x, dir, UINT64_MAX, cause);
        /* beyond the last byte seen only a FIN tells of a hole: an ACK or a RST may count it too */
        if (d->flags & DIR_FIN && t->cfg.want & WS_TCP_TRACK)
            ws_deliver_gap(&x, dir, d->fin, cause);
    }
    if ((c->dir[0].flags | c->dir[1].flags) & DIR_MISSING)
        ws_missing_forget(t, c);
    c->closed = 1;
}

uint64_t ws_tcp_dir_length(const struct ws_tcp_dir *d)
{
    return d->flags & DIR_STARTED ? d->next - d->base : 0;
}

uint64_t ws_tcp_held_bytes(const struct ws_tcp *t)
{
    return t->pool.bytes;
}

uint32_t ws_tcp_held_nodes(const struct ws_tcp *t)
{
    return t->pool.nodes_used;
}
