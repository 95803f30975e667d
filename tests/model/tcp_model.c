/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference reassembler (tcp_model.h). */
#include "tcp_model.h"

#include <limits.h>
#include <string.h>

enum { NEVER = INT_MAX, BEFORE_ALL = -1 };

/* One segment's payload, where it lies and when it came. */
struct arrival {
    int from, data_to, wire_to; /* [from, data_to) captured, [data_to, wire_to) a hole */
    int seg_from, seg_to;       /* the whole segment as sent, for the policies */
    const uint8_t *bytes;       /* of position seg_from */
    int when;                   /* segment number */
    int16_t hole;               /* what the hole is */
};

struct side {
    bool synced; /* sequence numbers have positions: ref is that of MODEL_ZERO */
    uint32_t ref;
    bool syn, syn_ack;
    int base;         /* where the stream begins; while it waits: the first byte seen */
    int low;          /* while it waits: the lowest position seen */
    bool waits;       /* midstream: may still begin lower */
    int waited;       /* delivery began after this segment */
    int64_t until_ns; /* packet time that ends the wait */
    bool undecided;   /* holds payload of its SYN that the handshake has not chosen */
    int top;          /* highest position seen */
    bool fin_known, fin_accepted; /* accepted: acknowledged, so nothing changes it */
    int fin;
    bool other_known; /* another FIN, which the peer may accept instead */
    int other;
    bool acked_known, raw_known;
    int acked;
    uint32_t raw; /* the peer's last ACK number while there are no positions */
    unsigned far;
    bool sent_rst;
    unsigned n;
    struct arrival arrival[MODEL_SEGMENTS_MAX];
    int first[MODEL_SPACE];  /* when each position was first covered */
    int kept_to[MODEL_SPACE]; /* it lay beyond a FIN until after this segment */
};

enum cand { CAND_NONE, CAND_ALT, CAND_SYN, CAND_SYNACK };

struct conn {
    bool begun, syn_sent, syn_received; /* the handshake so far; neither of the latter: open */
    bool reset;
    enum cand cand;
    unsigned cand_dir;
    uint32_t cand_isn, cand_ack;
    struct side side[2];
};

struct run {
    const struct model_input *in;
    struct model_result *r;
    struct conn c;
    int now; /* number of the segment */
    const struct model_segment *s;
};

static void outside(struct run *m, const char *why)
{
    if (!m->r->outside)
        m->r->outside = why;
}

static bool over(const struct conn *c)
{
    return c->reset || (c->side[0].fin_known && c->side[1].fin_known);
}

/* The position of a sequence number; *far: not in the known space. */
static int position(struct run *m, const struct side *d, uint32_t seq, bool *far)
{
    int32_t off = (int32_t)(seq - d->ref);
    *far = off <= -MODEL_FAR || off >= MODEL_FAR;
    if (!*far &&
        (off < -MODEL_ZERO / 2 || off > MODEL_SPACE - MODEL_ZERO - 2 * MODEL_SEGMENT_BYTES)) {
        outside(m, "a segment neither near nor far");
        return MODEL_ZERO;
    }
    return *far ? 0 : off + MODEL_ZERO;
}

/* The next byte that the stream waits for. */
static int next_of(const struct side *d)
{
    if (d->waits)
        return d->low;
    int p = d->base;
    while (!d->undecided && p < MODEL_SPACE && d->first[p] != NEVER && !(d->fin_known && p >= d->fin))
        p++;
    return p;
}

static bool delivered_any(const struct side *d)
{
    return !d->waits && next_of(d) != d->base;
}

static void forget(struct side *d)
{
    d->n = 0;
    for (int p = 0; p < MODEL_SPACE; p++) {
        d->first[p] = NEVER;
        d->kept_to[p] = BEFORE_ALL;
    }
}

static void anchor(struct side *d, uint32_t first_seq)
{
    d->synced = true;
    d->ref = first_seq;
    d->base = d->low = d->top = MODEL_ZERO;
    d->waits = d->acked_known = false;
    d->waited = BEFORE_ALL;
    forget(d);
    if (d->raw_known) {
        int32_t off = (int32_t)(d->raw - first_seq);
        d->acked_known = off >= 0 && off <= 65535;
        d->acked = d->acked_known ? MODEL_ZERO + off : 0;
        d->raw_known = false;
    }
}

static void begin_wait(struct run *m, struct side *d)
{
    d->waits = true;
    d->until_ns = m->s->ts_ns + m->in->midstream_ns;
}

static void end_wait(struct side *d, int when)
{
    d->waits = false;
    d->base = d->low;
    d->waited = when;
}

/* Which copy wins, by the ranges of the two segments: Novak and Sturges (2007). */
static bool later_wins(enum ws_overlap policy, const struct arrival *old, const struct arrival *new)
{
    int a = old->seg_from, b = old->seg_to, x = new->seg_from, y = new->seg_to;
    switch (policy) {
    case WS_OVERLAP_FIRST:
        return false;
    case WS_OVERLAP_LAST:
        return true;
    case WS_OVERLAP_BSD:
    case WS_OVERLAP_WINDOWS:
        return x < a;
    case WS_OVERLAP_LINUX:
        return x < a || (x == a && y > b);
    case WS_OVERLAP_OLD_LINUX:
        return x < a || (x == a && y >= b);
    case WS_OVERLAP_SOLARIS:
        return y > b || (y == b && x <= a);
    }
    return false;
}

/* The payload of the side's SYN is now known to count, or not. */
static void decide_syn_payload(struct side *d, bool counts, int when)
{
    if (!d->undecided)
        return;
    d->undecided = false;
    if (!counts) {
        forget(d);
        d->top = d->base;
    }
    d->waited = when;
}

/* --- the end: each position from all its copies --- */

static int16_t decide(const struct run *m, const struct side *d, int p, int delivered)
{
    const struct arrival *owner = NULL;
    int16_t hole = MODEL_GAP_NEVER_SEEN;
    for (unsigned i = 0; i < d->n; i++) {
        const struct arrival *a = &d->arrival[i];
        if (a->when > delivered || p < a->from || p >= a->wire_to)
            continue;
        if (p >= a->data_to) {
            if (hole == MODEL_GAP_NEVER_SEEN)
                hole = a->hole;
        } else if (!owner || later_wins(m->in->policy, owner, a)) {
            owner = a;
        }
    }
    return owner ? owner->bytes[p - owner->seg_from] : hole;
}

static void write_down(const struct run *m, const struct side *d, int16_t *at, unsigned *len)
{
    int from = d->waits ? d->low : d->base, end = from, delivered = d->waits ? NEVER : d->waited;
    *len = 0;
    if (!d->synced)
        return;
    for (int p = from; p < MODEL_SPACE; p++)
        if (d->first[p] != NEVER)
            end = p + 1;
    if (d->fin_known)
        end = d->fin;
    for (int p = from; p < end; p++) {
        if (d->first[p] > delivered)
            delivered = d->first[p]; /* and never again earlier: order */
        if (d->kept_to[p] > delivered)
            delivered = d->kept_to[p];
        at[(*len)++] = decide(m, d, p, delivered);
    }
}

static void end_conn(struct run *m)
{
    if (m->r->n == MODEL_CONNS_MAX) {
        outside(m, "too many connections");
        return;
    }
    struct model_conn *out = &m->r->conn[m->r->n++];
    for (unsigned i = 0; i < 2; i++) {
        decide_syn_payload(&m->c.side[i], true,
                           NEVER); /* nothing decided against it: it was sent */
        write_down(m, &m->c.side[i], out->at[i], &out->len[i]);
    }
}

static void begin_conn(struct run *m)
{
    memset(&m->c, 0, offsetof(struct conn, side));
    for (unsigned i = 0; i < 2; i++)
        memset(&m->c.side[i], 0, offsetof(struct side, arrival));
}

/* --- handshakes --- */

/* Another ISN was meant: what was taken by the old one is no part of the stream. */
static void other_isn(struct run *m, struct side *d, uint32_t isn)
{
    if (delivered_any(d))
        outside(m, "an ISN changes behind delivered bytes");
    bool syn = d->syn;
    anchor(d, isn + 1);
    d->syn = syn;
    d->undecided = d->fin_known = d->fin_accepted = d->other_known = false;
}

static bool isn_fits(struct run *m, const struct side *d, uint32_t isn)
{
    bool far;
    if (!d->synced) {
        int32_t behind = (int32_t)(d->raw - (isn + 1));
        return d->raw_known && behind >= 0 && behind < MODEL_FAR;
    }
    int p = position(m, d, isn + 1, &far);
    if (far)
        return false;
    return delivered_any(d) ? p == d->base : p <= (d->waits ? d->low : d->base);
}

static void take_isn(struct run *m, struct side *d, uint32_t isn)
{
    bool far;
    if (!d->synced) {
        anchor(d, isn + 1);
    } else if (isn_fits(m, d, isn)) {
        int p = position(m, d, isn + 1, &far);
        if (d->waits)
            d->waited = m->now - 1; /* before the payload of the SYN itself */
        d->waits = false;
        d->base = p;
        if (d->top < p)
            d->top = p;
    } else {
        other_isn(m, d, isn);
    }
}

static uint32_t isn_of(const struct side *d)
{
    return d->ref + (uint32_t)(d->base - MODEL_ZERO) - 1;
}

static bool stray_syn(struct run *m, enum cand kind)
{
    struct conn *c = &m->c;
    if (c->cand == CAND_ALT)
        outside(m, "a stray SYN in an undecided handshake");
    c->cand = kind;
    c->cand_dir = m->s->dir;
    c->cand_isn = m->s->seq;
    c->cand_ack = m->s->ack;
    return false;
}

/* Of two ISNs that stand open the one counts that something else confirms. */
static void choose(struct run *m, unsigned dir, uint32_t first)
{
    struct conn *c = &m->c;
    struct side *d = &c->side[dir];
    if (c->cand != CAND_ALT || c->cand_dir != dir)
        return;
    if (first == c->cand_isn + 1)
        other_isn(m, d, c->cand_isn);
    else if (first != isn_of(d) + 1)
        outside(m, "two ISNs, and nothing chooses");
    c->cand = CAND_NONE;
}

static bool plain_syn(struct run *m)
{
    struct conn *c = &m->c;
    struct side *d = &c->side[m->s->dir], *p = &c->side[m->s->dir ^ 1];
    uint32_t isn = m->s->seq;
    if (!c->begun) {
        c->begun = c->syn_sent = true;
        anchor(d, isn + 1);
        d->syn = true;
        return true;
    }
    if (d->syn) {
        if (isn_of(d) == isn)
            return true;
        if (c->syn_sent && !p->syn && !delivered_any(d)) {
            if (d->n || p->synced)
                outside(m, "a second ISN behind payload");
            c->cand = CAND_ALT;
            c->cand_dir = m->s->dir;
            c->cand_isn = isn_of(d);
            other_isn(m, d, isn);
            return true;
        }
    } else if (c->syn_sent && p->syn && !p->syn_ack) {
        take_isn(m, d, isn); /* both open at once */
        d->syn = true;
        return true;
    } else if (isn_fits(m, d, isn)) {
        take_isn(m, d, isn); /* captured late */
        d->syn = true;
        return true;
    }
    return stray_syn(m, CAND_SYN);
}

static bool syn_ack(struct run *m)
{
    struct conn *c = &m->c;
    struct side *d = &c->side[m->s->dir], *p = &c->side[m->s->dir ^ 1];
    uint32_t isn = m->s->seq, ack = m->s->ack;
    bool far;
    if (!c->begun) {
        c->begun = c->syn_received = true;
        anchor(d, isn + 1);
        d->syn = d->syn_ack = true;
        anchor(p, ack);
        return true;
    }
    if (d->syn && isn_of(d) == isn) {
        d->syn_ack = true;
        if (c->syn_sent && p->syn) {
            c->syn_sent = false;
            c->syn_received = true;
        }
        decide_syn_payload(p, true, m->now);
        return true;
    }
    if (d->syn) {
        if (c->syn_received && next_of(d) == d->base) {
            c->cand = CAND_ALT;
            c->cand_dir = m->s->dir;
            c->cand_isn = isn;
            return false;
        }
    } else if (p->syn) {
        choose(m, m->s->dir ^ 1, ack);
        int acked = position(m, p, ack, &far);
        if (far || acked < p->base || acked > p->top)
            return false; /* answers no SYN of ours */
        take_isn(m, d, isn);
        d->syn = d->syn_ack = true;
        decide_syn_payload(p, acked > p->base, m->now);
        if (c->syn_sent || c->reset) {
            c->syn_sent = c->reset = d->sent_rst = false;
            c->syn_received = true;
        }
        return true;
    } else if (isn_fits(m, d, isn)) {
        take_isn(m, d, isn);
        d->syn = d->syn_ack = true;
        if (!p->synced)
            anchor(p, ack);
        else if (p->waits && isn_fits(m, p, ack - 1))
            take_isn(m, p, ack - 1);
        return true;
    }
    return stray_syn(m, CAND_SYNACK);
}

/* What a segment without SYN says about the handshake. */
static void plain(struct run *m)
{
    struct conn *c = &m->c;
    struct side *d = &c->side[m->s->dir], *p = &c->side[m->s->dir ^ 1];
    bool ack = m->s->flags & WS_TCP_ACK, far, fits = true;
    if (!c->begun) {
        c->begun = true;
        return;
    }
    if (!c->syn_sent && !c->syn_received)
        return;
    choose(m, m->s->dir, m->s->seq);
    if (ack)
        choose(m, m->s->dir ^ 1, m->s->ack);
    if (d->synced) {
        int at = position(m, d, m->s->seq, &far);
        fits = !far && at >= d->base;
        if (fits)
            decide_syn_payload(d, true, m->now - 1);
    }
    if (ack && p->synced) {
        int acked = position(m, p, m->s->ack, &far);
        fits = fits && !far && acked >= p->base;
        if (c->syn_sent && !d->syn) /* it has answered nothing yet: only the SYN can be meant */
            fits = fits && acked <= p->top;
    }
    if (fits && (d->syn || (p->syn && m->s->wire_len))) {
        c->syn_sent = c->syn_received = false;
        if (c->cand == CAND_ALT)
            c->cand = CAND_NONE;
    }
}

static void acknowledge(struct run *m, bool exact)
{
    struct conn *c = &m->c;
    struct side *d = &c->side[m->s->dir], *p = &c->side[m->s->dir ^ 1];
    uint8_t f = m->s->flags;
    bool far;
    if (!(f & WS_TCP_ACK))
        return;
    if (!p->synced) {
        if (d->syn && !(f & (WS_TCP_SYN | WS_TCP_FIN)) && exact && next_of(d) == d->base &&
            !m->s->wire_len && !p->raw_known) {
            anchor(p, m->s->ack); /* the SYN/ACK was lost */
            begin_wait(m, p);
        } else {
            p->raw = m->s->ack;
            p->raw_known = true;
        }
        return;
    }
    int acked = position(m, p, m->s->ack, &far);
    if (far && exact &&
        ((int32_t)(m->s->ack - p->ref) > 0 ||
         (int32_t)(m->s->ack - p->ref) < INT32_MIN + MODEL_SPACE))
        outside(m, "a segment in order that acknowledges far bytes");
    if (!far && p->waits && d->syn && acked < p->low)
        p->low = acked; /* who opened acknowledges from the other's ISN + 1 on */
    if (far ||
        acked < p->base) /* of what was sent before the first byte seen: says nothing of it */
        return;
    if (!p->acked_known || acked > p->acked)
        p->acked = acked;
    p->acked_known = true;
    int lowest = NEVER;
    for (unsigned i = 0; i < p->n; i++)
        if (p->arrival[i].from < p->arrival[i].wire_to && p->arrival[i].from < lowest)
            lowest = p->arrival[i].from;
    if (p->waits && lowest != NEVER && p->acked > lowest)
        end_wait(p, m->now);
    if (!(f & WS_TCP_SYN))
        decide_syn_payload(p, p->syn_ack || acked > p->base, m->now);
}

/* --- segments --- */

static void reset(struct run *m)
{
    struct conn *c = &m->c;
    struct side *d = &c->side[m->s->dir], *p = &c->side[m->s->dir ^ 1];
    bool ack = m->s->flags & WS_TCP_ACK, far, valid = true;
    if (c->syn_sent && !d->syn) {
        valid = ack && p->syn;
        if (valid) {
            int acked = position(m, p, m->s->ack, &far);
            valid = !far && acked >= p->base && acked <= p->top;
        }
        if (ack && c->cand == CAND_ALT && c->cand_dir != m->s->dir)
            valid = valid || m->s->ack == c->cand_isn + 1;
    } else if (d->synced) {
        int next = next_of(d), at = position(m, d, m->s->seq, &far);
        int low = d->acked_known && d->acked < next ? d->acked : next;
        valid = !far && at >= low; /* every near position lies in the window of 65,535 */
        if (c->syn_sent && at > (d->top > next ? d->top : next))
            valid = false;
        if (valid && at > d->top)
            d->top = at;
    } else if (d->raw_known) {
        int32_t off = (int32_t)(m->s->seq - d->raw);
        valid = off > -MODEL_FAR && off < MODEL_FAR;
    }
    if (over(c))
        return;
    if (!valid)
        return;
    c->begun = c->reset = d->sent_rst = true;
    c->syn_sent = c->syn_received = false;
}

static bool keep_alive(const struct side *d, int at)
{
    if (at + 1 == next_of(d))
        return true;
    if (at + 1 != d->top)
        return false;
    for (unsigned i = 0; i < d->n; i++)
        if (at >= d->arrival[i].from && at < d->arrival[i].data_to)
            return true;
    return false;
}

static bool ack_far(struct run *m)
{
    const struct side *p = &m->c.side[m->s->dir ^ 1];
    if (!(m->s->flags & WS_TCP_ACK) || !p->synced)
        return false;
    int32_t off = (int32_t)(m->s->ack - p->ref);
    if (off > -MODEL_FAR && off < MODEL_FAR && (off < -MODEL_SPACE || off > MODEL_SPACE))
        outside(m, "an ACK neither near nor far");
    return off <= -MODEL_FAR || off >= MODEL_FAR;
}

static void take_fin(struct run *m, struct side *d, int end)
{
    if (end < next_of(d) || d->fin_accepted)
        return;
    if (d->fin_known) {
        if (end != d->fin) {
            d->other_known = true;
            d->other = end;
        }
        return;
    }
    d->fin_known = true;
    d->fin = end;
    m->c.syn_sent = m->c.syn_received = false; /* whatever the handshake was, it is over */
}

/* The FIN is not the end: what lies behind it, up to another one, comes out now. */
static void move_fin(struct run *m, struct side *d, bool another)
{
    for (int p = d->fin; p < MODEL_SPACE; p++)
        d->kept_to[p] = m->now;
    d->fin_known = another;
    d->fin = another ? d->other : 0;
    d->other_known = false;
}

/* Which FIN the peer has accepted: it acknowledges one more than the bytes before it. */
static void judge_fin(struct run *m, struct side *d)
{
    while (d->fin_known && !d->fin_accepted && d->acked_known) {
        bool sent_behind = d->top > d->fin, sent_behind_other = d->other_known && d->top > d->other;
        int highest = d->other_known && d->other >= d->top ? d->other + 1 : d->top;
        if (d->acked == d->fin + 1 && !sent_behind) {
            d->fin_accepted = true;
            d->other_known = false;
        } else if (d->other_known && d->acked == d->other + 1 && !sent_behind_other) {
            move_fin(m, d, true);
            d->fin_accepted = true;
        } else if (d->acked > d->fin + 1 && d->acked <= highest) {
            move_fin(m, d, d->other_known && d->other > d->fin);
        } else {
            return;
        }
    }
}

static void payload(struct run *m)
{
    const struct model_segment *s = m->s;
    struct conn *c = &m->c;
    struct side *d = &c->side[s->dir];
    bool syn = s->flags & WS_TCP_SYN, fin = s->flags & WS_TCP_FIN && !syn, far;
    uint32_t seq = s->seq + (syn ? 1 : 0);
    int len = s->no_payload ? 0 : s->len;
    if (!s->wire_len && !fin)
        return;
    if (!d->synced) {
        if (s->wire_len == 1 && !fin && !(s->flags & WS_TCP_PSH) &&
            !(d->raw_known && d->raw == seq))
            return; /* a keep-alive or a probe, unless the peer waits for that very byte */
        anchor(d, seq);
        begin_wait(m, d);
    }
    int at = position(m, d, seq, &far), end = at + s->wire_len;
    if (far || (at > next_of(d) && ack_far(m))) {
        if (++d->far == 4)
            outside(m, "a run of far segments");
        return;
    }
    d->far = 0;
    if (len == 1 && s->wire_len == 1 && !fin && !d->waits && keep_alive(d, at))
        return;
    if (d->waits && at < d->low)
        d->low = at;
    if (fin)
        take_fin(m, d, end);
    struct arrival a = {.from = at,
                        .data_to = at + len,
                        .wire_to = end,
                        .seg_from = at,
                        .seg_to = end,
                        .bytes = s->bytes,
                        .when = m->now,
                        .hole = s->no_payload ? MODEL_GAP_FILTERED : MODEL_GAP_SNAPLEN};
    if (d->fin_accepted && a.wire_to > d->fin)
        a.wire_to = d->fin;
    if (a.data_to > a.wire_to)
        a.data_to = a.wire_to;
    if (!d->waits && a.from < d->base)
        a.from = d->base;
    if (c->reset && d->sent_rst && a.data_to > d->top && a.data_to > a.from)
        c->reset = d->sent_rst = false; /* its sender goes on: it was not its own */
    if (s->wire_len && d->top < a.wire_to)
        d->top = a.wire_to;
    if (a.from >= a.wire_to)
        return;
    d->arrival[d->n++] = a;
    for (int p = a.from; p < a.wire_to; p++)
        if (d->first[p] == NEVER)
            d->first[p] = m->now;
    if (d->waits) {
        unsigned held = 0;
        for (int p = 0; p < MODEL_SPACE; p++) {
            bool data = false;
            for (unsigned i = 0; i < d->n && d->first[p] != NEVER && !data; i++)
                data = p >= d->arrival[i].from && p < d->arrival[i].data_to;
            held += data;
        }
        if (held >= m->in->midstream_bytes)
            end_wait(d, m->now);
    }
}

enum belongs { HERE, NEW_CONNECTION, NEW_CANDIDATE };

static enum belongs belongs(struct run *m)
{
    const struct conn *c = &m->c;
    const struct model_segment *s = m->s;
    const struct side *d = &c->side[s->dir], *p = &c->side[s->dir ^ 1];
    bool ack = s->flags & WS_TCP_ACK;
    if (!c->begun || s->flags & WS_TCP_RST)
        return HERE;
    if (s->flags & WS_TCP_SYN) {
        if (d->syn && isn_of(d) == s->seq)
            return HERE;
        if (ack && c->cand == CAND_SYN && c->cand_dir != s->dir && s->ack == c->cand_isn + 1)
            return NEW_CANDIDATE;
        if (ack && p->syn && !d->syn && s->ack == isn_of(p) + 1)
            return HERE;
        return over(c) ? NEW_CONNECTION : HERE;
    }
    if (d->synced && s->seq == d->ref + (uint32_t)(next_of(d) - MODEL_ZERO))
        return HERE;
    if (c->cand == CAND_SYN && c->cand_dir == s->dir && s->seq == c->cand_isn + 1)
        return NEW_CANDIDATE;
    if (c->cand == CAND_SYNACK && c->cand_dir == s->dir && s->seq == c->cand_isn + 1)
        return NEW_CANDIDATE;
    if (c->cand == CAND_SYNACK && c->cand_dir != s->dir && ack && s->ack == c->cand_isn + 1 &&
        s->seq == c->cand_ack)
        return NEW_CANDIDATE;
    return HERE;
}

/* The candidate's SYN opens the fresh connection. */
static void adopt(struct run *m, enum cand kind, unsigned dir, uint32_t isn, uint32_t ack)
{
    const struct model_segment syn = {.dir = (uint8_t)dir,
                                      .flags = kind == CAND_SYNACK ? WS_TCP_SYN | WS_TCP_ACK
                                                                   : WS_TCP_SYN,
                                      .seq = isn,
                                      .ack = ack};
    m->s = &syn;
    if (kind == CAND_SYNACK)
        syn_ack(m);
    else
        plain_syn(m);
}

static void take(struct run *m, const struct model_segment *s)
{
    struct conn *c = &m->c;
    m->s = s;
    enum belongs where = belongs(m);
    if (where != HERE) {
        enum cand kind = c->cand;
        unsigned dir = c->cand_dir;
        uint32_t isn = c->cand_isn, ack = c->cand_ack;
        end_conn(m);
        begin_conn(m);
        if (where == NEW_CANDIDATE)
            adopt(m, kind, dir, isn, ack);
        m->s = s;
    }
    m->r->last[m->now] = m->r->n;
    for (unsigned i = 0; i < 2; i++)
        if (c->side[i].waits && s->ts_ns >= c->side[i].until_ns)
            end_wait(&c->side[i], m->now - 1);
    if (s->flags & WS_TCP_RST) {
        reset(m);
        return;
    }
    struct side *d = &c->side[s->dir];
    if (s->flags & WS_TCP_SYN) {
        if (!(s->flags & WS_TCP_ACK ? syn_ack(m) : plain_syn(m)))
            return;
        if (s->wire_len && !d->waits && next_of(d) == d->base &&
            (c->syn_sent || (s->flags & WS_TCP_ACK && c->syn_received)))
            d->undecided = true;
    } else {
        plain(m);
    }
    bool exact = d->synced && s->seq == d->ref + (uint32_t)(next_of(d) - MODEL_ZERO);
    payload(m);
    acknowledge(m, exact);
    judge_fin(m, &c->side[0]);
    judge_fin(m, &c->side[1]);
}

bool model_run(const struct model_input *in, struct model_result *r)
{
    static struct run m;
    m.in = in;
    m.r = r;
    r->n = 0;
    r->outside = NULL;
    begin_conn(&m);
    for (unsigned i = 0; i < in->n && !r->outside; i++) {
        m.now = (int)i;
        take(&m, &in->segment[i]);
    }
    end_conn(&m);
    return !r->outside;
}
