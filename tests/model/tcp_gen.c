/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator of TCP sequences: connections as they might be, then what networks, sniffers and
 * attackers do. */
#include "tcp_gen.h"

#include <string.h>

enum { CONNS = 3, BODY = 24 };

/* How the capture sees a connection begin. */
enum opening {
    OPEN_WHOLE,
    OPEN_NO_SYN,
    OPEN_NO_SYNACK,
    OPEN_NO_ACK,
    OPEN_MIDSTREAM,
    OPEN_ONE_SIDED,
    OPEN_FAST,     /* data on the SYN (RFC 7413) */
    OPEN_TWO_SYNS, /* the first one unanswered */
    OPEN_TWO_SYNACKS,
    OPEN_BOTH,       /* simultaneous */
    OPEN_DATA_FIRST, /* data captured before its SYN */
    OPENINGS
};

struct gen {
    struct rng *rng;
    const struct tcp_gen_options *o;
    struct model_input *in;
    uint32_t isn[2];
    uint32_t size[2]; /* stream lengths */
    uint32_t at[2];   /* sent so far: what a truthful ACK acknowledges */
    bool letters, noise, anywhere;
    uint32_t len_max;
    unsigned conn_first; /* first segment of this connection */
    unsigned old_first, old_end;
    bool one_sided;
    unsigned side; /* of a one-sided capture */
};

static struct model_segment *add(struct gen *g, unsigned dir, unsigned flags, uint32_t seq,
                                 uint32_t ack)
{
    struct model_input *in = g->in;
    static struct model_segment none;
    if (in->n == MODEL_SEGMENTS_MAX || (g->one_sided && dir != g->side)) {
        none = (struct model_segment){.flags = 0};
        return &none;
    }
    struct model_segment *s = &in->segment[in->n++];
    *s = (struct model_segment){
        .dir = (uint8_t)dir, .flags = (uint8_t)flags, .seq = seq, .ack = ack};
    return s;
}

static char printable(uint32_t n)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    return set[n % (sizeof(set) - 1)];
}

/* Payload for stream positions from: the truth, noise in it, or a letter of the segment's own. */
static void fill(struct gen *g, struct model_segment *s, uint32_t from, uint32_t len)
{
    if (len > MODEL_SEGMENT_BYTES)
        len = MODEL_SEGMENT_BYTES;
    for (uint32_t i = 0; i < len; i++)
        s->bytes[i] =
            (uint8_t)(g->letters ? printable(g->in->n) : printable((from + i) * 7 + s->dir));
    if (len && !g->letters && g->noise && one_in(g->rng, 3))
        for (uint32_t i = rnd(g->rng, len); i < len; i += 1 + rnd(g->rng, 9))
            s->bytes[i] = (uint8_t)printable(rnd(g->rng, 62));
    s->len = s->wire_len = (uint16_t)len;
    if (g->o->no_cuts || !len)
        return;
    if (one_in(g->rng, 30))
        s->len = (uint16_t)rnd(g->rng, len + 1);
    s->no_payload = one_in(g->rng, 60);
}

static void data(struct gen *g, unsigned dir, unsigned flags, uint32_t from, uint32_t len)
{
    struct model_segment *s = add(g, dir, WS_TCP_ACK | flags, g->isn[dir] + 1 + from,
                                  g->isn[dir ^ 1] + 1 + g->at[dir ^ 1]);
    fill(g, s, from, len);
    if (one_in(g->rng, 2))
        s->flags |= WS_TCP_PSH;
}

static void ack(struct gen *g, unsigned dir)
{
    uint32_t to = one_in(g->rng, 4) ? rnd(g->rng, g->at[dir ^ 1] + 1) : g->at[dir ^ 1];
    add(g, dir, WS_TCP_ACK, g->isn[dir] + 1 + g->at[dir], g->isn[dir ^ 1] + 1 + to);
}

static void twice(struct gen *g)
{
    struct model_input *in = g->in;
    if (in->n && in->n < MODEL_SEGMENTS_MAX && one_in(g->rng, 6)) {
        in->segment[in->n] = in->segment[in->n - 1];
        in->n++;
    }
}

static void handshake(struct gen *g, enum opening how)
{
    uint32_t c = g->isn[0], s = g->isn[1];
    struct model_segment *x;
    unsigned begin = g->in->n;
    switch (how) {
    case OPEN_MIDSTREAM:
        g->at[0] = rnd(g->rng, g->size[0] + 1) / 4;
        g->at[1] = rnd(g->rng, g->size[1] + 1) / 4;
        return;
    case OPEN_ONE_SIDED:
        g->one_sided = true;
        g->side = rnd(g->rng, 2);
        break;
    case OPEN_FAST:
        x = add(g, 0, WS_TCP_SYN, c, 0);
        fill(g, x, 0, g->size[0] / 3);
        x->no_payload = false;
        twice(g);
        if (one_in(g->rng, 2)) { /* acknowledged */
            g->at[0] = g->size[0] / 3;
            add(g, 1, WS_TCP_SYN | WS_TCP_ACK, s, c + 1 + g->at[0]);
        } else {
            add(g, 1, WS_TCP_SYN | WS_TCP_ACK, s, c + 1);
        }
        ack(g, 0);
        return;
    case OPEN_TWO_SYNS:
        add(g, 0, WS_TCP_SYN, c ^ 0x5a5a5a5au, 0);
        break;
    case OPEN_TWO_SYNACKS:
        add(g, 0, WS_TCP_SYN, c, 0);
        add(g, 1, WS_TCP_SYN | WS_TCP_ACK, s ^ 0x3c3c3c3cu, c + 1);
        add(g, 1, WS_TCP_SYN | WS_TCP_ACK, s, c + 1);
        add(g, 0, WS_TCP_ACK, c + 1, s + 1);
        return;
    case OPEN_BOTH:
        add(g, 0, WS_TCP_SYN, c, 0);
        add(g, 1, WS_TCP_SYN, s, 0);
        add(g, 0, WS_TCP_SYN | WS_TCP_ACK, c, s + 1);
        add(g, 1, WS_TCP_SYN | WS_TCP_ACK, s, c + 1);
        return;
    default:
        break;
    }
    if (how != OPEN_NO_SYN)
        add(g, 0, WS_TCP_SYN, c, 0);
    twice(g);
    if (how != OPEN_NO_SYNACK) {
        x = add(g, 1, WS_TCP_SYN | WS_TCP_ACK, s, c + 1);
        if (one_in(g->rng, 12)) { /* data on the SYN/ACK */
            g->at[1] = g->size[1] / 4;
            fill(g, x, 0, g->at[1]);
        }
    }
    twice(g);
    if (how == OPEN_WHOLE && one_in(g->rng, 8) &&
        g->in->n == begin + 2) { /* queues show it the wrong way round */
        struct model_segment t = g->in->segment[begin];
        g->in->segment[begin] = g->in->segment[begin + 1];
        g->in->segment[begin + 1] = t;
    }
    if (how != OPEN_NO_ACK)
        ack(g, 0);
}

/* One piece of traffic of an open connection. */
static void piece(struct gen *g)
{
    struct rng *r = g->rng;
    unsigned dir = one_in(r, 4);
    uint32_t len = 1 + rnd(r, g->len_max), at = g->at[dir], left = g->size[dir] - at;
    switch (rnd(r, 24)) {
    case 0:
        ack(g, 0);
        return;
    case 1:
        ack(g, 1);
        return;
    case 2: /* a keep-alive, empty or with a byte of garbage, at the last byte or the ISN */
        data(g, dir, 0, at - 1, rnd(r, 2));
        return;
    case 3: /* retransmission: exact, longer, of several at once */
        at = rnd(r, at + 1);
        data(g, dir, 0, at, WS_MIN(g->size[dir] - at, rnd(r, 3) ? len : g->size[dir]));
        return;
    case 4: /* far away */
        data(g, dir, 0, at + UINT32_C(100000000) + rnd(r, 1000), len);
        return;
    case 5: /* lost */
        g->at[dir] += WS_MIN(len, left);
        return;
    case 6: /* a SYN out of nothing */
        if (one_in(r, 3))
            add(g, dir, WS_TCP_SYN, g->isn[dir] + UINT32_C(300000000) + rnd(r, 1000), 0);
        return;
    case 7: /* a reset that is forged, or not quite */
        if (one_in(r, 3))
            add(g, dir, one_in(r, 2) ? WS_TCP_RST : WS_TCP_RST | WS_TCP_ACK,
                g->isn[dir] + 1 + (one_in(r, 2) ? at : at + UINT32_C(200000000)),
                g->isn[dir ^ 1] + 1 + g->at[dir ^ 1]);
        return;
    case 8: /* of the connection before */
        if (g->old_end > g->old_first && g->in->n < MODEL_SEGMENTS_MAX) {
            unsigned k = g->old_first + rnd(r, g->old_end - g->old_first);
            if (!(g->in->segment[k].flags & WS_TCP_SYN))
                g->in->segment[g->in->n++] = g->in->segment[k];
        }
        return;
    case 9: /* a FIN that its sender did not send */
        if (one_in(r, 3))
            add(g, dir, WS_TCP_FIN | WS_TCP_ACK, g->isn[dir] + 1 + at + (one_in(r, 3) ? rnd(r, 60) : 0),
                g->isn[dir ^ 1] + 1 + g->at[dir ^ 1]);
        return;
    default:
        break;
    }
    if (g->anywhere) {
        at = rnd(r, g->size[dir] + 1);
        data(g, dir, 0, at, WS_MIN(len, g->size[dir] - at));
        if (g->at[dir] < at)
            g->at[dir] = at;
        return;
    }
    if (one_in(r, 5)) /* beginning in what was sent before */
        at -= rnd(r, WS_MIN(at + 1, 20));
    len = WS_MIN(len, g->size[dir] - at);
    data(g, dir, 0, at, len);
    if (g->at[dir] < at + len)
        g->at[dir] = at + len;
}

static void fin(struct gen *g, unsigned dir)
{
    uint32_t end = g->size[dir], len = WS_MIN(rnd(g->rng, 12), end);
    if (one_in(g->rng, 12))
        end = rnd(g->rng, end + 1); /* not the end */
    len = WS_MIN(len, end);
    data(g, dir, WS_TCP_FIN, end - len, len);
    if (g->at[dir] < end)
        g->at[dir] = end;
    twice(g);
    if (one_in(g->rng, 8)) /* beyond the end */
        data(g, dir, 0, end + rnd(g->rng, 8), 1 + rnd(g->rng, 8));
}

static void closing(struct gen *g)
{
    struct rng *r = g->rng;
    unsigned dir = rnd(r, 2);
    struct model_segment *s;
    switch (rnd(r, 5)) {
    case 0: /* not captured */
        return;
    case 1:
        s = add(g, dir, one_in(r, 2) ? WS_TCP_RST : WS_TCP_RST | WS_TCP_ACK,
                g->isn[dir] + 1 + g->at[dir], g->isn[dir ^ 1] + 1 + g->at[dir ^ 1]);
        if (one_in(r, 4)) {
            fill(g, s, 0, 5); /* a reason */
            s->no_payload = false;
        }
        return;
    case 2:
        fin(g, dir);
        return;
    default:
        fin(g, dir);
        if (one_in(r, 2)) /* accepted before the other side closes */
            add(g, dir ^ 1, WS_TCP_ACK, g->isn[dir ^ 1] + 1 + g->at[dir ^ 1],
                g->isn[dir] + 2 + g->size[dir]);
        fin(g, dir ^ 1);
        add(g, dir, WS_TCP_ACK, g->isn[dir] + 2 + g->size[dir],
            g->isn[dir ^ 1] + 2 + g->size[dir ^ 1]);
    }
}

/* Swaps neighbours in [from, to), up to reach apart. */
static void reorder(struct gen *g, unsigned from, unsigned to, unsigned reach)
{
    for (unsigned i = from; i + 1 < to; i++)
        if (one_in(g->rng, 4)) {
            unsigned k = i + 1 + rnd(g->rng, reach);
            k = WS_MIN(k, to - 1);
            struct model_segment t = g->in->segment[i];
            g->in->segment[i] = g->in->segment[k];
            g->in->segment[k] = t;
        }
}

static void connection(struct gen *g, bool first)
{
    struct rng *r = g->rng;
    static const uint8_t openings[] = {
        OPEN_WHOLE,    OPEN_WHOLE,       OPEN_WHOLE,     OPEN_WHOLE,     OPEN_WHOLE,
        OPEN_WHOLE,    OPEN_WHOLE,       OPEN_WHOLE,     OPEN_NO_SYN,    OPEN_NO_SYNACK,
        OPEN_NO_ACK,   OPEN_MIDSTREAM,   OPEN_MIDSTREAM, OPEN_ONE_SIDED, OPEN_FAST,
        OPEN_TWO_SYNS, OPEN_TWO_SYNACKS, OPEN_BOTH,      OPEN_DATA_FIRST};
    enum opening how = (enum opening)openings[rnd(r, sizeof(openings))];
    if (!first && (how == OPEN_MIDSTREAM || how == OPEN_DATA_FIRST || how == OPEN_ONE_SIDED))
        how = OPEN_WHOLE; /* nothing would tell it from the one before */
    uint32_t close_to = first || !one_in(r, 3) ? 0 : 1 + rnd(r, 20);
    for (unsigned d = 0; d < 2; d++) {
        uint32_t end = g->isn[d] + 1 + g->size[d];
        g->isn[d] = one_in(r, 3)   ? 0u - rnd(r, 400)
                    : one_in(r, 8) ? 0x80000000u - rnd(r, 400)
                                   : (uint32_t)rng_next(r);
        if (close_to && g->size[0] + g->size[1] < 500)
            g->isn[d] = end + close_to; /* just above the old end */
        g->size[d] = one_in(r, 12) ? 20 + rnd(r, 1500) : 1 + rnd(r, one_in(r, 3) ? 400 : 60);
        g->at[d] = 0;
    }
    if (one_in(r, 5))
        g->size[1] = 0;
    g->one_sided = false;
    g->len_max = 1 + rnd(r, WS_MIN(g->size[0] + g->size[1], one_in(r, 6) ? 600u : 30u));
    unsigned begin = g->in->n, body;
    handshake(g, how);
    body = g->in->n;
    for (unsigned i = 2 + rnd(r, BODY - 2); i; i--)
        piece(g);
    closing(g);
    if (one_in(r, 2))
        reorder(g, body, g->in->n, 1 + rnd(r, 8));
    if (how == OPEN_DATA_FIRST)
        reorder(g, begin, g->in->n, 3);
    g->old_first = begin;
    g->old_end = g->in->n;
}

void tcp_generate(struct rng *rng, const struct tcp_gen_options *o, struct model_input *in)
{
    struct gen g = {.rng = rng, .o = o, .in = in};
    int64_t now = INT64_C(1000000000);
    in->n = 0;
    in->policy = (enum ws_overlap)rnd(rng, WS_OVERLAP_OLD_LINUX + 1);
    in->midstream_bytes = one_in(rng, 2) ? 65536 : 1 + rnd(rng, 60);
    in->midstream_ns = one_in(rng, 2) || o->no_times ? INT64_C(1000000000000) : 1 + rnd(rng, 20000);
    g.letters = one_in(rng, 2);
    g.noise = one_in(rng, 2);
    g.anywhere = one_in(rng, 3);
    unsigned conns = one_in(rng, 3) ? 1 + rnd(rng, CONNS) : 1;
    for (unsigned i = 0; i < conns && in->n + BODY < MODEL_SEGMENTS_MAX; i++)
        connection(&g, i == 0);
    for (unsigned i = 0; i < in->n; i++) {
        in->segment[i].ts_ns = now;
        now += 1000;
    }
}
