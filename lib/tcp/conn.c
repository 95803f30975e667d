/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a connection: handshake, close, reset, and which connection a segment belongs to. */
#include "tcp/internal.h"

const char ws_conn_letters[17] = "SsHhAaDdFfRrTtGg";

void ws_conn_history_add(struct ws_tcp_conn *c, unsigned dir, enum ws_history what)
{
    const unsigned code = what * 2u + (dir != c->orig);
    c->history_seen = (uint16_t)(c->history_seen | 1u << code);
    if (c->history_len + 1u < sizeof(c->history))
        c->history[c->history_len++] = ws_conn_letters[code];
}

/* The originator turns out to be dir: Zeek's "^". Letters written before stay as they are. */
static void set_orig(struct ws_tcp_conn *c, unsigned dir)
{
    if (!c->orig_known && c->orig != dir && c->history_len + 1u < sizeof(c->history)) {
        uint32_t seen = c->history_seen;
        c->history_seen = (uint16_t)((seen & 0x5555u) << 1 | (seen & 0xaaaau) >> 1);
        c->history[c->history_len++] = '^';
    }
    if (!c->orig_known)
        c->orig = (uint8_t)dir;
    c->orig_known = 1;
}

void ws_conn_event(struct ws_tcp_ctx *x, unsigned dir, enum ws_tcp_event ev)
{
    x->c->events |= (uint8_t)(1u << ev);
    if (x->t->ops.event)
        x->t->ops.event(x->flow, dir, ev, x->seg ? &x->seg->meta : NULL, x->t->user);
}

static inline void set_flags(struct ws_tcp_dir *d, unsigned set, unsigned clear)
{
    d->flags = (uint16_t)((d->flags & ~clear) | set);
}

void ws_conn_reopen(struct ws_tcp_conn *c)
{
    const unsigned fins = (c->dir[0].flags & DIR_FIN) + (c->dir[1].flags & DIR_FIN);
    c->state = fins == 2 * DIR_FIN ? WS_TCP_CLOSED : fins ? WS_TCP_CLOSING : WS_TCP_OPEN;
}

/* Nothing of the stream has left yet, so a handshake may still move its start. */
static inline bool undelivered(const struct ws_tcp_dir *d)
{
    return d->flags & DIR_HOLD || d->next == d->base;
}

/* Whether a SYN with that ISN can be the one that began d, of which bytes were seen before it (RX
 * queues reorder): all of them lie above, and not far. */
static bool syn_fits(const struct ws_tcp *t, const struct ws_tcp_conn *c, unsigned dir,
                     uint32_t isn)
{
    const struct ws_tcp_dir *d = &c->dir[dir];
    uint64_t reach = ws_tcp_reach(t, c, dir);
    if (d->flags & DIR_SYNCED) {
        uint64_t base = ws_seq_extend(d->seq0, d->next, isn + 1);
        /* Nothing was delivered in order: the start may move as long as a midstream wait would have lasted. */
        if (!(t->cfg.want & WS_TCP_TRACK))
            return base == d->base || (base < d->base && d->top - base <= t->cfg.midstream_bytes);
        return undelivered(d) ? base <= d->next && d->next - base <= reach : base == d->base;
    }
    int32_t behind = ws_seq_diff(d->ack_raw, isn + 1);
    return d->flags & DIR_ACKRAW && behind >= 0 && (uint64_t)behind <= reach;
}

/* Anchors d at its ISN. */
static void anchor(struct ws_tcp_dir *d, uint32_t isn, unsigned flags)
{
    d->seq0 = ws_seq_anchor(isn + 1, WS_SEQ_BIAS);
    d->next = d->base = d->top = WS_SEQ_BIAS;
    set_flags(d, DIR_SYNCED | DIR_STARTED | flags, DIR_HOLD | DIR_ACKED | DIR_INFERRED);
    if (d->flags & DIR_ACKRAW) {
        uint64_t acked = ws_seq_extend(d->seq0, d->next, d->ack_raw);
        if (acked >= d->base && acked - d->base <= WS_TCP_WINDOW_MIN) {
            d->acked = acked;
            d->flags |= DIR_ACKED;
        }
        set_flags(d, 0, DIR_ACKRAW);
    }
}

/* Anchors d anew at another ISN: what was held by the old one belonged to something else. Bytes
 * already delivered stay, and the stream goes on behind them. */
static void reanchor(struct ws_tcp_ctx *x, unsigned dir, uint32_t isn, unsigned flags)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    ws_deliver_drop_from(x->t, d, 0, WS_C_REFUSED_SYN);
    if (undelivered(d)) {
        anchor(d, isn, flags);
    } else {
        d->seq0 = ws_seq_anchor(isn + 1, d->next);
        d->top = d->next;
        set_flags(d, flags, DIR_ACKED);
    }
    const bool closing = x->c->state == WS_TCP_CLOSING || x->c->state == WS_TCP_CLOSED;
    const bool fin = d->flags & DIR_FIN;
    set_flags(d, 0, DIR_SYNDATA | DIR_FIN | DIR_FIN_ACKED | DIR_FIN_OTHER);
    if (fin && closing)
        ws_conn_reopen(x->c);
}

/* Gives d the ISN of its SYN: moves the start of what was seen before when it fits, else begins
 * anew. */
static void take_isn(struct ws_tcp_ctx *x, unsigned dir, uint32_t isn, unsigned flags)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    if (!(d->flags & DIR_SYNCED)) {
        anchor(d, isn, flags);
    } else if (syn_fits(x->t, x->c, dir, isn)) {
        uint64_t base = ws_seq_extend(d->seq0, d->next, isn + 1);
        set_flags(d, flags, DIR_INFERRED);
        if (!(x->t->cfg.want & WS_TCP_TRACK))
            d->base = base;
        else if (d->flags & DIR_HOLD || d->base != base)
            ws_deliver_rebase(x, dir, base);
    } else {
        reanchor(x, dir, isn, flags);
    }
}

/* Window scaling holds when both SYNs offered it (RFC 7323 section 2.2). */
static void note_window(struct ws_tcp_conn *c, unsigned dir, const struct ws_tcp_segment *s)
{
    struct ws_tcp_dir *d = &c->dir[dir];
    unsigned shift = 0;
    if (s->meta.flags & WS_TCP_SYN) {
        if (s->wscale)
            d->wscale = s->wscale;
    } else if (d->wscale && c->dir[dir ^ 1].wscale) {
        shift = WS_MIN(d->wscale - 1u, 14u);
    }
    d->window = (uint32_t)s->meta.window << shift;
}

static void remember(struct ws_tcp_conn *c, unsigned dir, unsigned state,
                     const struct ws_tcp_segment *s)
{
    if (c->candidate_state == state && c->candidate_dir == dir && c->candidate.isn == s->meta.seq) {
        if (c->candidate.packets < UINT32_MAX && s->frame_bytes < UINT32_MAX - c->candidate.frame_bytes) {
            c->candidate.packets++;
            c->candidate.frame_bytes += (uint32_t)s->frame_bytes;
        }
        return;
    }
    c->candidate.ordinal = s->meta.ordinal;
    c->candidate.frame_bytes = (uint32_t)WS_MIN(s->frame_bytes, UINT32_MAX);
    c->candidate.ts_ns = s->meta.ts_ns;
    c->candidate.isn = s->meta.seq;
    c->candidate.ack = s->meta.ack;
    c->candidate.packets = 1;
    c->candidate_dir = (uint8_t)dir;
    c->candidate_state = (uint8_t)state;
    c->candidate_wscale = s->wscale;
}

/* A SYN that opens nothing now. */
static bool ignore_syn(struct ws_tcp_ctx *x, unsigned dir)
{
    ws_tcp_note(x->t, WS_C_REFUSED_SYN, ws_tcp_captured(x->seg));
    ws_conn_event(x, dir, WS_TCP_EV_SYN_IGNORED);
    return false;
}

enum ws_tcp_verdict ws_conn_verdict(const struct ws_tcp_conn *c, unsigned dir,
                                    const struct ws_tcp_segment *s)
{
    const struct ws_tcp_dir *d = &c->dir[dir], *p = &c->dir[dir ^ 1];
    const struct ws_tcp_meta *m = &s->meta;
    bool over = c->state == WS_TCP_CLOSED || c->state == WS_TCP_RESET;
    bool ack = m->flags & WS_TCP_ACK;

    if (c->state == WS_TCP_NEW || m->flags & WS_TCP_RST)
        return WS_TCP_TAKEN;
    if (m->flags & WS_TCP_SYN) {
        if (d->flags & DIR_SYN && ws_tcp_isn(d) == m->seq)
            return WS_TCP_TAKEN; /* a copy of the SYN that we know */
        if (ack && c->candidate_state == CAND_SYN && c->candidate_dir != dir &&
            m->ack == c->candidate.isn + 1)
            return WS_TCP_NEW_CANDIDATE;
        if (ack && p->flags & DIR_SYN && !(d->flags & DIR_SYN) && m->ack == ws_tcp_isn(p) + 1)
            return WS_TCP_TAKEN; /* a SYN tried again after a reset (RFC 9293 section 3.10.7.3) */
        /* RFC 9293 section 3.6.1: a closed tuple may be opened again at once */
        return over ? WS_TCP_NEW_CONNECTION : WS_TCP_TAKEN;
    }
    /* Bytes or ACKs that only make sense in the candidate connection. What continues the open
     * stream never counts, or a forged SYN with a well chosen ISN could cut it. */
    if (d->flags & DIR_SYNCED && m->seq == ws_seq_of(d->seq0, d->next))
        return WS_TCP_TAKEN;
    if (c->candidate_state == CAND_SYN && c->candidate_dir == dir && m->seq == c->candidate.isn + 1)
        return WS_TCP_NEW_CANDIDATE;
    if (c->candidate_state == CAND_SYNACK &&
        ((c->candidate_dir != dir && ack && m->ack == c->candidate.isn + 1 &&
          m->seq == c->candidate.ack) ||
         (c->candidate_dir == dir && m->seq == c->candidate.isn + 1)))
        return WS_TCP_NEW_CANDIDATE;
    return WS_TCP_TAKEN;
}

enum ws_tcp_verdict ws_tcp_verdict(const struct ws_tcp_conn *c, unsigned dir,
                                   const struct ws_tcp_segment *seg)
{
    return c->closed ? WS_TCP_TAKEN : ws_conn_verdict(c, dir, seg);
}

/* Chooses the other ISN of an undecided handshake when ack (or a first sequence number) asks for
 * it. */
static void choose_isn(struct ws_tcp_ctx *x, unsigned dir, uint32_t first)
{
    struct ws_tcp_conn *c = x->c;
    struct ws_tcp_dir *d = &c->dir[dir];
    if (c->candidate_state != CAND_ALT || c->candidate_dir != dir)
        return;
    if (first == c->candidate.isn + 1 && undelivered(d)) {
        reanchor(x, dir, c->candidate.isn, 0);
        c->candidate_state = CAND_NONE;
    } else if (first == ws_tcp_isn(d) + 1) {
        c->candidate_state = CAND_NONE;
    }
}

/* The payload of d's SYN is now known to count, or not. */
static void decide_syn_data(struct ws_tcp_ctx *x, unsigned dir, bool counts)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    if (!(d->flags & DIR_SYNDATA))
        return;
    set_flags(d, 0, DIR_SYNDATA);
    if (!counts) {
        ws_deliver_drop_from(x->t, d, 0, WS_C_REFUSED_SYN);
        d->top = d->base;
    }
    ws_deliver_drain(x, dir);
}

/* SYN without ACK. */
static bool plain_syn(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_conn *c = x->c;
    struct ws_tcp_dir *d = &c->dir[dir], *p = &c->dir[dir ^ 1];
    uint32_t isn = x->seg->meta.seq;

    if (c->state == WS_TCP_NEW) {
        anchor(d, isn, DIR_SYN);
        set_orig(c, dir);
        c->state = WS_TCP_SYN_SENT;
        return true;
    }
    if (d->flags & DIR_SYN) {
        if (ws_tcp_isn(d) == isn)
            return true;
        if (c->state == WS_TCP_SYN_SENT && !(p->flags & DIR_SYN) && undelivered(d)) {
            /* unanswered, tried again: the answer chooses */
            struct ws_tcp_segment old = *x->seg;
            old.meta.seq = ws_tcp_isn(d);
            remember(c, dir, CAND_ALT, &old);
            reanchor(x, dir, isn, 0);
            return true;
        }
    } else if (c->state == WS_TCP_SYN_SENT && p->flags & DIR_SYN && !(p->flags & DIR_SYNACK)) {
        /* simultaneous open (RFC 9293 section 3.5, figure 7) or a split handshake */
        take_isn(x, dir, isn, DIR_SYN);
        return true;
    } else if (syn_fits(x->t, c, dir, isn)) {
        take_isn(x, dir, isn, DIR_SYN); /* captured late */
        set_orig(c, p->flags & DIR_SYN && !(p->flags & DIR_SYNACK) ? dir ^ 1 : dir);
        return true;
    }
    remember(c, dir, CAND_SYN, x->seg);
    return ignore_syn(x, dir);
}

static bool syn_ack(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_conn *c = x->c;
    struct ws_tcp_dir *d = &c->dir[dir], *p = &c->dir[dir ^ 1];
    const struct ws_tcp_meta *m = &x->seg->meta;

    if (c->state == WS_TCP_NEW) {
        /* the SYN was lost or comes later: its ISN is what is acknowledged, less one */
        anchor(d, m->seq, DIR_SYN | DIR_SYNACK);
        anchor(p, m->ack - 1, DIR_INFERRED);
        set_orig(c, dir ^ 1);
        c->state = WS_TCP_SYN_RECEIVED;
        return true;
    }
    if (d->flags & DIR_SYN && ws_tcp_isn(d) == m->seq) {
        set_flags(d, DIR_SYNACK, 0);
        if (c->state == WS_TCP_SYN_SENT && p->flags & DIR_SYN)
            c->state = WS_TCP_SYN_RECEIVED;
        decide_syn_data(x, dir ^ 1, true);
        return true;
    }
    if (d->flags & DIR_SYN) {
        if (c->state == WS_TCP_SYN_RECEIVED && d->next == d->base) {
            remember(c, dir, CAND_ALT, x->seg); /* the client's ACK chooses */
            ws_tcp_note(x->t, WS_C_REFUSED_SYN, ws_tcp_captured(x->seg));
            return false;
        }
    } else if (p->flags & DIR_SYN) {
        choose_isn(x, dir ^ 1, m->ack);
        uint64_t acked = ws_seq_extend(p->seq0, p->next, m->ack);
        if (acked < p->base || acked > p->top)
            return ignore_syn(x, dir); /* stale: answers no SYN of ours */
        take_isn(x, dir, m->seq, DIR_SYN | DIR_SYNACK);
        /* RFC 7413 section 4.2: data on the SYN counts when it is acknowledged */
        decide_syn_data(x, dir ^ 1, acked > p->base);
        if (c->state == WS_TCP_SYN_SENT || c->state == WS_TCP_RESET) {
            set_flags(d, 0, DIR_RST);
            c->state = WS_TCP_SYN_RECEIVED;
        }
        return true;
    } else if (syn_fits(x->t, c, dir, m->seq)) {
        take_isn(x, dir, m->seq, DIR_SYN | DIR_SYNACK);
        set_orig(c, dir ^ 1);
        if (!(p->flags & DIR_SYNCED))
            anchor(p, m->ack - 1, DIR_INFERRED);
        else if (p->flags & DIR_HOLD && syn_fits(x->t, c, dir ^ 1, m->ack - 1))
            take_isn(x, dir ^ 1, m->ack - 1, DIR_INFERRED);
        return true;
    }
    remember(c, dir, CAND_SYNACK, x->seg);
    return ignore_syn(x, dir);
}

bool ws_conn_syn(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_conn *c = x->c;
    struct ws_tcp_dir *d = &c->dir[dir];
    bool ack = x->seg->meta.flags & WS_TCP_ACK;
    if (!(ack ? syn_ack(x, dir) : plain_syn(x, dir)))
        return false;
    note_window(c, dir, x->seg);
    /* its payload waits for the handshake, unless that is over or the bytes are known */
    if (x->seg->wire_len && undelivered(d) && !(d->flags & DIR_HOLD) &&
        (c->state == WS_TCP_SYN_SENT || (ack && c->state == WS_TCP_SYN_RECEIVED)))
        set_flags(d, DIR_SYNDATA, 0);
    return true;
}

void ws_conn_rst(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_conn *c = x->c;
    struct ws_tcp_dir *d = &c->dir[dir], *p = &c->dir[dir ^ 1];
    const struct ws_tcp_meta *m = &x->seg->meta;
    bool ack = m->flags & WS_TCP_ACK;
    bool valid = true;

    /* RFC 9293 section 3.5.3 allows a reason as payload: no stream data */
    ws_tcp_note(x->t, WS_C_REFUSED_RST, ws_tcp_captured(x->seg));
    if (c->state == WS_TCP_SYN_SENT && !(d->flags & DIR_SYN)) {
        /* RFC 9293 section 3.10.7.3: in SYN-SENT a reset must acknowledge the SYN */
        uint64_t acked = ws_seq_extend(p->seq0, p->next, m->ack);
        valid = ack && p->flags & DIR_SYN && acked >= p->base && acked <= p->top;
        if (ack && c->candidate_state == CAND_ALT && c->candidate_dir != dir)
            valid = valid || m->ack == c->candidate.isn + 1;
    } else if (d->flags & DIR_SYNCED) {
        /* RFC 9293 section 3.10.7.4, RFC 5961 section 3.2: within the window; an observer that may
         * have lost segments cannot ask for the exact number. A sender of nothing but a SYN can
         * only be there. */
        uint64_t pos = ws_seq_extend(d->seq0, d->next, m->seq);
        uint64_t low = d->flags & DIR_ACKED ? WS_MIN(d->acked, d->next) : d->next;
        uint64_t high = WS_MAX(d->top, d->next);
        if (c->state != WS_TCP_SYN_SENT)
            high += WS_MAX(p->window, (uint32_t)WS_TCP_WINDOW_MIN);
        valid = pos >= low && pos <= high;
        if (valid && pos > d->top)
            d->top = pos; /* up to here nothing that comes is new (take_payload() in push.c asks) */
    } else if (d->flags & DIR_ACKRAW) {
        int32_t off = ws_seq_diff(m->seq, d->ack_raw);
        uint32_t window = WS_MAX(p->window, (uint32_t)WS_TCP_WINDOW_MIN);
        valid = off >= -(int32_t)WS_TCP_WINDOW_MIN && (off < 0 || (uint32_t)off <= window);
    }
    if (c->state == WS_TCP_CLOSED || c->state == WS_TCP_RESET)
        return; /* over already: how it ended stands */
    if (!valid) {
        ws_conn_event(x, dir, WS_TCP_EV_RST_IGNORED);
        return;
    }
    set_flags(d, DIR_RST, 0);
    c->state = WS_TCP_RESET;
    ws_conn_event(x, dir, WS_TCP_EV_RST);
}

/* The handshake is over, or the capture began behind it. */
static void open_up(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_conn *c = x->c;
    bool known = (c->dir[0].flags | c->dir[1].flags) & DIR_SYN;
    c->state = WS_TCP_OPEN;
    if (c->candidate_state == CAND_ALT)
        c->candidate_state = CAND_NONE;
    if (known)
        ws_conn_event(x, dir, WS_TCP_EV_ESTABLISHED);
}

/* Lets a direction whose start is uncertain wait for lower bytes. */
static void begin_hold(struct ws_tcp_ctx *x, unsigned dir)
{
    const struct ws_tcp_config *cfg = &x->t->cfg;
    struct ws_tcp_dir *d = &x->c->dir[dir];
    if (!(cfg->want & WS_TCP_TRACK) || cfg->midstream_ns <= 0 || !cfg->midstream_bytes)
        return;
    set_flags(d, DIR_HOLD, DIR_STARTED);
    /* stamps of damaged files may be anything */
    if (__builtin_add_overflow(x->seg->meta.ts_ns, cfg->midstream_ns, &x->c->rare[dir].hold_until_ns))
        x->c->rare[dir].hold_until_ns = INT64_MAX;
}

void ws_conn_ack(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_conn *c = x->c;
    struct ws_tcp_dir *d = &c->dir[dir], *p = &c->dir[dir ^ 1];
    const struct ws_tcp_meta *m = &x->seg->meta;

    if (!(m->flags & WS_TCP_ACK))
        return;
    if (!(p->flags & DIR_SYNCED)) {
        /* The third segment of a handshake whose second was lost: p's stream begins there. It may
         * also be a later ACK, so wait for lower bytes. */
        if (d->flags & DIR_SYN && !(m->flags & (WS_TCP_SYN | WS_TCP_FIN)) && x->exact &&
            d->next == d->base && !x->seg->wire_len && !(p->flags & DIR_ACKRAW)) {
            anchor(p, m->ack - 1, DIR_INFERRED);
            begin_hold(x, dir ^ 1);
        } else {
            p->ack_raw = m->ack;
            set_flags(p, DIR_ACKRAW, 0);
        }
        return;
    }
    if (WS_UNLIKELY(p->far_count && !(p->flags & DIR_FIN))) {
        /* A run of far segments that the peer acknowledges is the stream's; while it goes on acknowledging what was
         * known, as the answer to what lies outside its window does (RFC 9293 section 3.10.7.4), it is not. */
        const int32_t off = ws_seq_diff(m->ack, p->far_seq);
        if (off > -WS_TCP_FAR_NEAR && off < WS_TCP_FAR_NEAR)
            set_flags(p, DIR_FAR_ACKED, 0);
        else
            p->far_count = 0;
    }
    uint64_t near = WS_MAX(p->next, p->flags & DIR_ACKED ? p->acked : 0);
    uint64_t acked = ws_seq_extend(p->seq0, near, m->ack);
    /* Who opened acknowledges from the other side's ISN + 1 on (RFC 9293 section 3.5): where its SYN was seen, lower
     * bytes than those held are still to come, be they reordered or lost. */
    if (p->flags & DIR_HOLD && d->flags & DIR_SYN && acked < p->next &&
        p->next - acked <= ws_tcp_reach(x->t, c, dir ^ 1))
        p->next = acked;
    if (acked < p->base ||
        (!x->exact && acked > WS_MAX(p->top, near) + ws_tcp_reach(x->t, c, dir ^ 1)))
        return; /* RFC 5961 section 5: acknowledges what cannot have been sent */
    if (!(p->flags & DIR_ACKED) || acked > p->acked) {
        p->acked = acked;
        set_flags(p, DIR_ACKED, 0);
    }
    if (p->flags & DIR_HOLD && p->head && p->acked > ws_held_node(&x->t->pool, p->head)->pos)
        ws_deliver_start(x, dir ^ 1);
    if (!(m->flags & WS_TCP_SYN) && acked >= p->base)
        decide_syn_data(x, dir ^ 1, p->flags & DIR_SYNACK || acked > p->base);
}

void ws_conn_plain(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_conn *c = x->c;
    struct ws_tcp_dir *d = &c->dir[dir], *p = &c->dir[dir ^ 1];
    const struct ws_tcp_segment *s = x->seg;

    note_window(c, dir, s);
    if (c->state == WS_TCP_NEW) {
        open_up(x, dir);
        return;
    }
    if (c->state != WS_TCP_SYN_SENT && c->state != WS_TCP_SYN_RECEIVED)
        return;
    choose_isn(x, dir, s->meta.seq);
    bool ack = s->meta.flags & WS_TCP_ACK, fits = true;
    if (ack)
        choose_isn(x, dir ^ 1, s->meta.ack);
    if (d->flags & DIR_SYNCED) {
        uint64_t pos = ws_seq_extend(d->seq0, d->next, s->meta.seq);
        fits = pos >= d->base && pos - d->base <= ws_tcp_reach(x->t, c, dir);
        /* it goes on behind its SYN, so the SYN was answered: its payload counts, unless sent again
         */
        if (fits)
            decide_syn_data(x, dir, true);
    }
    if (ack && p->flags & DIR_SYNCED) {
        /* A challenge ACK of an older connection (RFC 5961 section 4) acknowledges something else;
         * a side that has not answered the SYN yet can only acknowledge that. */
        uint64_t acked = ws_seq_extend(p->seq0, p->next, s->meta.ack);
        uint64_t slack = c->state == WS_TCP_SYN_SENT && !(d->flags & DIR_SYN)
                             ? 0
                             : ws_tcp_reach(x->t, c, dir ^ 1);
        fits = fits && acked >= p->base && acked <= p->top + slack;
    }
    /* a bare ACK of the side that has not sent its SYN opens nothing: a split handshake may follow
     */
    if (fits && (d->flags & DIR_SYN || (p->flags & DIR_SYN && s->wire_len)))
        open_up(x, dir);
}

void ws_conn_fin(struct ws_tcp_ctx *x, unsigned dir, uint64_t fin)
{
    struct ws_tcp_conn *c = x->c;
    struct ws_tcp_dir *d = &c->dir[dir];
    if (fin < d->next || (d->flags & DIR_FIN && (fin == d->fin || d->flags & DIR_FIN_ACKED)))
        return; /* stale: bytes beyond it have been delivered; or a copy */
    if (d->flags & DIR_FIN) { /* one of the two is not its sender's: the peer's ACK will tell */
        d->far_seq = ws_seq_of(d->seq0, fin);
        set_flags(d, DIR_FIN_OTHER, 0);
        return;
    }
    d->fin = fin;
    set_flags(d, DIR_FIN, 0);
    if (c->state != WS_TCP_RESET)
        ws_conn_reopen(c);
    ws_conn_event(x, dir, WS_TCP_EV_FIN);
}

/* A FIN takes a sequence number (RFC 9293 section 3.4): who accepts it acknowledges that number plus
 * 1 and nothing beyond, ever. Who acknowledges bytes beyond, which were sent, has not accepted it. */
void ws_conn_judge_fin(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    while ((d->flags & (DIR_FIN | DIR_FIN_ACKED | DIR_ACKED)) == (DIR_FIN | DIR_ACKED)) {
        const uint64_t other =
            d->flags & DIR_FIN_OTHER ? ws_seq_extend(d->seq0, d->fin, d->far_seq) : d->fin;
        if (d->acked == d->fin + 1 && d->top <= d->fin) {
            set_flags(d, DIR_FIN_ACKED, DIR_FIN_OTHER);
            return;
        }
        const bool accepted = d->acked == other + 1 && d->top <= other;
        if (!accepted && (d->acked <= d->fin + 1 || d->acked > WS_MAX(d->top, other + 1)))
            return;
        /* the FIN was not its sender's; the other one may be, if it lies beyond or was accepted */
        ws_tcp_note(x->t, WS_C_FIN_IGNORED, 1);
        if (accepted || other > d->fin) {
            d->fin = other;
            set_flags(d, accepted ? DIR_FIN_ACKED : 0, DIR_FIN_OTHER);
        } else {
            set_flags(d, 0, DIR_FIN | DIR_FIN_OTHER);
            if (x->c->state == WS_TCP_CLOSING || x->c->state == WS_TCP_CLOSED)
                ws_conn_reopen(x->c);
        }
        if (!(d->flags & (DIR_HOLD | DIR_SYNDATA)))
            ws_deliver_drain(x, dir);
    }
}

void ws_conn_midstream(struct ws_tcp_ctx *x, unsigned dir, uint32_t seq)
{
    anchor(&x->c->dir[dir], seq - 1, 0);
    begin_hold(x, dir);
    ws_conn_event(x, dir, WS_TCP_EV_MIDSTREAM);
}

void ws_tcp_adopt(struct ws_tcp *t, struct ws_tcp_conn *c, const struct ws_tcp_conn *old)
{
    const struct ws_tcp_segment seg = {
        .wscale = old->candidate_wscale,
        .meta = {.ts_ns = old->candidate.ts_ns,
                 .ordinal = old->candidate.ordinal,
                 .seq = old->candidate.isn,
                 .ack = old->candidate.ack,
                 .flags =
                     old->candidate_state == CAND_SYNACK ? WS_TCP_SYN | WS_TCP_ACK : WS_TCP_SYN},
    };
    struct ws_tcp_ctx x = {.t = t, .c = c, .seg = &seg};
    unsigned dir = old->candidate_dir;
    if (old->candidate_state != CAND_SYN && old->candidate_state != CAND_SYNACK)
        return;
    c->orig = (uint8_t)dir;
    c->dir[dir].flags |= DIR_SEEN;
    ws_conn_syn(&x, dir);
    ws_conn_history(c, dir, seg.meta.flags & WS_TCP_ACK ? WS_HISTORY_SYNACK : WS_HISTORY_SYN);
}
