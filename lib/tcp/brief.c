/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections in 64 bytes: folding, unfolding, the straight path, and the pool of those that do not fit. */
#include <string.h>

#include "tcp/brief.h"
#include "tcp/internal.h"

#define LOW48 ((UINT64_C(1) << 48) - 1)

/* Places that a full pool looks at for one whose connection can do without, and for one that goes on without what it waits for. */
enum { RECLAIM_LOOK = 8, SETTLE_LOOK = 64 };

struct ws_tcp_pool {
    struct ws_counters *counters;
    struct ws_tcp_pool_config cfg;
    uint32_t places;            /* one more than may be taken between calls */
    uint32_t used, fresh, free; /* places from 1 on; 0: none */
    uint32_t look, hand;        /* next to be looked at by reclaim(), and by make_room() */
    struct ws_tcp_whole place[];
};

size_t ws_tcp_pool_bytes(const struct ws_tcp_pool_config *cfg)
{
    return sizeof(struct ws_tcp_pool) + (cfg->wholes_max + (size_t)2) * sizeof(struct ws_tcp_whole);
}

struct ws_tcp_pool *ws_tcp_pool_init(void *mem, const struct ws_tcp_pool_config *cfg, struct ws_counters *counters)
{
    struct ws_tcp_pool *p = mem;
    *p = (struct ws_tcp_pool){
        .counters = counters, .cfg = *cfg, .places = cfg->wholes_max + 1, .fresh = 1, .look = 1, .hand = 1};
    return p;
}

uint32_t ws_tcp_pool_used(const struct ws_tcp_pool *p)
{
    return p->used;
}

/* --- in brief and back ------------------------------------------------------------------------ */

static inline uint64_t low48(uint64_t v)
{
    return v & LOW48;
}

static inline unsigned top16(uint64_t v)
{
    return (unsigned)(v >> 48);
}

static inline uint64_t with_top(uint64_t low, unsigned top)
{
    return low | (uint64_t)top << 48;
}

/* As take_straight() and note_window() have it; 15 stands for all that is more, as there. */
static inline unsigned shift_of(unsigned wscale, unsigned peer)
{
    return wscale && peer ? WS_MIN(wscale - 1u, 14u) : 0;
}

/* Whether all that is said of a direction has its place in a brief one. */
static bool dir_fits(const struct ws_tcp_dir *d)
{
    if (d->head || d->far_count || d->flags & (DIR_HOLD | DIR_SYNDATA | DIR_MISSING | DIR_FIN_OTHER))
        return false;
    if (!(d->flags & DIR_SYNCED))
        return !(d->flags & (DIR_ACKED | DIR_FIN)) && !(d->next | d->top | d->base);
    if (d->base != WS_SEQ_BIAS || d->top - d->next > 1 || d->next > LOW48)
        return false;
    if (d->flags & DIR_ACKED && d->next - d->acked + INT32_MAX > (uint64_t)2 * INT32_MAX)
        return false;
    return !(d->flags & DIR_FIN) || d->fin == d->next;
}

/* A window as it was advertised. False: nothing that is advertised gives it. */
static bool fold_window(const struct ws_tcp_dir *d, unsigned shift, unsigned *window, bool *unscaled)
{
    *window = d->window >> shift;
    *unscaled = false;
    if (*window <= UINT16_MAX && (uint32_t)*window << shift == d->window)
        return true;
    *window = d->window;
    *unscaled = true;
    return *window <= UINT16_MAX;
}

static uint64_t fold_history(const struct ws_tcp_conn *c, uint8_t *caret)
{
    uint64_t letters = 0;
    unsigned n = 0;
    *caret = 0;
    for (unsigned i = 0; i < c->history_len; i++) {
        if (c->history[i] == '^')
            *caret = (uint8_t)(1 + n);
        else
            letters |= (uint64_t)ws_conn_letter(c->history[i]) << 4 * n++;
    }
    return letters;
}

bool ws_tcp_fold(const struct ws_tcp_conn *c, const uint64_t payload[2], struct ws_tcp_brief *b, struct ws_tcp_gaps *gaps)
{
    struct ws_tcp_brief to = {.early = b->early};
    uint8_t caret;
    const unsigned scale[2] = {WS_MIN(c->dir[0].wscale, 15u), WS_MIN(c->dir[1].wscale, 15u)};
    const bool beyond[2] = {c->dir[0].top != c->dir[0].next, c->dir[1].top != c->dir[1].next};
    if (c->candidate_state || (c->state == WS_TCP_OPEN && (beyond[0] || beyond[1])) || !dir_fits(&c->dir[0]) || !dir_fits(&c->dir[1]) ||
        (!gaps && (c->dir[0].gaps | c->dir[1].gaps)) || (payload[0] | payload[1]) > LOW48)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        const struct ws_tcp_dir *d = &c->dir[i];
        unsigned window;
        bool unscaled;
        if (!fold_window(d, shift_of(scale[i], scale[i ^ 1]), &window, &unscaled))
            return false;
        to.unscaled = (to.unscaled | (unsigned)unscaled << i) & 3u;
        to.dir[i].next_window = with_top(d->next, window);
        to.dir[i].payload_flags = with_top(payload[i], d->flags);
        to.dir[i].seq0 = d->seq0;
        to.dir[i].acked = d->flags & DIR_SYNCED ? (uint32_t)d->acked : d->ack_raw;
    }
    for (unsigned i = 0; gaps && i < 2; i++) {
        to.gappy |= c->dir[i].gaps != 0;
        gaps->n[i] = c->dir[i].gaps;
        gaps->bytes[i] = ws_tcp_gap_bytes(c, i);
    }
    to.wscale = (uint8_t)(scale[0] | scale[1] << 4);
    to.beyond = (beyond[0] | (unsigned)beyond[1] << 1) & 3u;
    to.history = fold_history(c, &caret);
    to.caret = caret & 31u;
    to.history_seen = c->history_seen;
    to.state = c->state;
    to.events = c->events;
    to.orig = c->orig != 0;
    to.orig_known = c->orig_known != 0;
    to.closed = c->closed != 0;
    *b = to;
    return true;
}

static void unfold_history(const struct ws_tcp_brief *b, struct ws_tcp_conn *c)
{
    const unsigned n = (unsigned)__builtin_popcount(b->history_seen);
    c->history_seen = b->history_seen;
    for (unsigned i = 0; i <= n; i++) {
        if (b->caret == i + 1)
            c->history[c->history_len++] = '^';
        if (i < n)
            c->history[c->history_len++] = ws_conn_letters[b->history >> 4 * i & 15];
    }
}

void ws_tcp_unfold(const struct ws_tcp_brief *b, const struct ws_tcp_gaps *gaps, struct ws_tcp_conn *c, uint64_t payload[2])
{
    memset(c, 0, sizeof(*c));
    for (unsigned i = 0; i < 2; i++) {
        const struct ws_tcp_brief_dir *from = &b->dir[i];
        struct ws_tcp_dir *d = &c->dir[i];
        const unsigned shift = b->unscaled >> i & 1 ? 0 : shift_of(b->wscale >> 4 * i & 15, b->wscale >> 4 * (i ^ 1) & 15);
        d->next = d->fin = low48(from->next_window);
        d->top = d->next + (b->beyond >> i & 1);
        d->flags = (uint16_t)top16(from->payload_flags);
        d->base = d->flags & DIR_SYNCED ? WS_SEQ_BIAS : 0;
        d->acked = d->next + (uint64_t)(int64_t)ws_seq_diff(from->acked, (uint32_t)d->next);
        d->ack_raw = from->acked;
        d->seq0 = from->seq0;
        d->wscale = b->wscale >> 4 * i & 15;
        d->window = (uint32_t)top16(from->next_window) << shift;
        payload[i] = low48(from->payload_flags);
        if (b->gappy) {
            d->gaps = gaps->n[i];
            c->rare[i].gap_bytes = gaps->bytes[i];
        }
    }
    unfold_history(b, c);
    c->state = b->state;
    c->events = b->events;
    c->orig = b->orig;
    c->orig_known = b->orig_known;
    c->closed = b->closed;
}

/* --- the pool --------------------------------------------------------------------------------- */

static struct ws_tcp_gaps *gaps_of(const struct ws_tcp_pool *p, struct ws_tcp_brief *b)
{
    return p->cfg.gaps ? (struct ws_tcp_gaps *)(void *)(b + 1) : NULL;
}

struct ws_tcp_whole *ws_tcp_whole_of(struct ws_tcp_pool *p, const struct ws_tcp_brief *b)
{
    return &p->place[b->whole];
}

void ws_tcp_release(struct ws_tcp_pool *p, struct ws_tcp_whole *w)
{
    w->brief = NULL;
    w->next_free = p->free;
    p->free = (uint32_t)(w - p->place);
    p->used--;
}

/* Folds a whole connection into its brief one and frees its place, if it fits. */
static bool fold_place(struct ws_tcp_pool *p, struct ws_tcp_whole *w)
{
    if (!ws_tcp_fold(&w->conn, w->payload, w->brief, gaps_of(p, w->brief)))
        return false;
    ws_tcp_release(p, w);
    return true;
}

/* A few places on, a connection may be there only for a SYN or for far segments that nothing came of, or fit by now. What it
 * forgets costs no byte that it has taken. Returns whether there was one. */
static bool reclaim(struct ws_tcp_pool *p)
{
    for (unsigned n = 0; n < RECLAIM_LOOK; n++) {
        struct ws_tcp_whole *w = &p->place[p->look];
        p->look = p->look % p->places + 1;
        const uint8_t state = w->conn.candidate_state, far[2] = {w->conn.dir[0].far_count, w->conn.dir[1].far_count};
        w->conn.candidate_state = w->conn.dir[0].far_count = w->conn.dir[1].far_count = 0;
        if (fold_place(p, w))
            return true;
        w->conn.candidate_state = state;
        w->conn.dir[0].far_count = far[0];
        w->conn.dir[1].far_count = far[1];
    }
    return false;
}

struct ws_tcp_whole *ws_tcp_widen(struct ws_tcp_pool *p, struct ws_tcp_brief *b)
{
    if (b->is_whole)
        return ws_tcp_whole_of(p, b);
    assert(p->used < p->places); /* ws_tcp_narrow() sees to it */
    const uint32_t i = p->free ? p->free : p->fresh++;
    struct ws_tcp_whole *w = &p->place[i];
    if (p->free)
        p->free = w->next_free;
    p->used++;
    ws_tcp_unfold(b, gaps_of(p, b), &w->conn, w->payload);
    w->brief = b;
    b->is_whole = 1;
    b->whole = i;
    return w;
}

/* Makes a connection that is over fit: what is said of it stays, what its next segment would have been judged by does not. */
static void forget(struct ws_tcp_whole *w)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ws_tcp_dir *d = &w->conn.dir[i];
        d->next = d->flags & DIR_SYNCED ? WS_SEQ_BIAS + WS_MIN(ws_tcp_dir_length(d), LOW48 - WS_SEQ_BIAS) : 0;
        d->base = d->flags & DIR_SYNCED ? WS_SEQ_BIAS : 0;
        d->top = d->fin = d->next;
        d->window = 0;
        d->flags &= (uint16_t)~(DIR_ACKED | DIR_FIN_OTHER | DIR_HOLD | DIR_SYNDATA | DIR_MISSING);
        w->payload[i] = WS_MIN(w->payload[i], LOW48);
    }
}

/* A connection gives up what it waits for, and goes on. What does not fit then ends here: it takes no further bytes. */
static void settle(struct ws_tcp_pool *p, struct ws_tcp_whole *w)
{
    struct ws_tcp_ctx x = {.t = w->tcp, .c = &w->conn, .flow = w->flow};
    for (unsigned dir = 0; dir < 2; dir++) {
        struct ws_tcp_dir *d = &w->conn.dir[dir];
        ws_deliver_settle(&x, dir);
        if (d->flags & DIR_FIN && w->tcp->cfg.want & WS_TCP_TRACK)
            ws_deliver_gap(&x, dir, d->fin, WS_GAP_CAP);
        d->top = d->next;
        d->far_count = 0;
        d->flags &= (uint16_t)~DIR_FIN_OTHER;
    }
    w->conn.candidate_state = 0;
    if (fold_place(p, w))
        return;
    ws_tcp_close(w->tcp, &w->conn, w->flow, WS_GAP_CAP);
    forget(w);
    const bool folded = fold_place(p, w);
    assert(folded);
    (void)folded;
}

/* Whether settling ends it, since its stream does not begin where those in brief do. */
static bool start_moved(const struct ws_tcp_dir *d)
{
    return d->flags & (DIR_STARTED | DIR_HOLD) && (d->flags & DIR_HOLD ? d->next : d->base) != WS_SEQ_BIAS;
}

/* The last place was taken. The hand goes round, and who comes gets the place that it has just left: so those that were there
 * for longest go first, and connections that leave holes open for ever cannot keep the pool from the others. */
static void make_room(struct ws_tcp_pool *p, const struct ws_tcp_whole *last)
{
    ws_count(p->counters, WS_C_TCP_POOL_FULL, 1);
    if (reclaim(p))
        return;
    struct ws_tcp_whole *w;
    unsigned n = 0;
    do {
        w = &p->place[p->hand];
        p->hand = p->hand % p->places + 1;
    } while (n++ < SETTLE_LOOK && (w == last || start_moved(&w->conn.dir[0]) || start_moved(&w->conn.dir[1])));
    settle(p, w);
}

void ws_tcp_narrow(struct ws_tcp_pool *p, struct ws_tcp *t, struct ws_tcp_whole *w, void *flow)
{
    if (fold_place(p, w))
        return;
    w->tcp = t;
    w->flow = flow;
    w->brief->state = w->conn.state;
    w->brief->events = w->conn.events;
    if (WS_UNLIKELY(p->used == p->places))
        make_room(p, w);
}

/* --- the straight path ------------------------------------------------------------------------ */

/* Whether a segment is the next bytes of an open stream, all captured, or an ACK there: what nearly every one is. */
static inline bool is_straight(const struct ws_tcp_brief *b, unsigned dir, uint32_t seq, uint8_t flags)
{
    const struct ws_tcp_brief_dir *d = &b->dir[dir];
    return b->state == WS_TCP_OPEN && !b->is_whole && !b->closed && (flags & (uint8_t)~WS_TCP_PSH) == WS_TCP_ACK &&
           (top16(d->payload_flags) & (DIR_STARTED | DIR_SEEN | DIR_FIN)) == (DIR_STARTED | DIR_SEEN) &&
           seq == ws_seq_of(d->seq0, d->next_window) && !(top16(b->dir[dir ^ 1].payload_flags) & DIR_FIN);
}

/* Takes the ACK of a straight segment of p's peer, as ws_conn_ack() would. False: it says something about the handshake. */
static inline bool take_ack(struct ws_tcp_brief_dir *p, uint32_t ack)
{
    const unsigned flags = top16(p->payload_flags);
    if (WS_UNLIKELY(!(flags & DIR_ACKED))) {
        if (!(flags & DIR_ACKRAW))
            return false;
        p->acked = ack;
        return true;
    }
    const int32_t more = ws_seq_diff(ack, ws_seq_of(p->seq0, p->acked));
    const int64_t ahead = ws_seq_diff(p->acked, (uint32_t)p->next_window);
    if (more <= 0)
        return true;
    if (WS_UNLIKELY(ahead + more > INT32_MAX))
        return false;
    p->acked += (uint32_t)more;
    return true;
}

static inline void note_history(struct ws_tcp_brief *b, unsigned dir, enum ws_history what)
{
    const unsigned code = what * 2u + (dir != b->orig);
    if (WS_LIKELY(b->history_seen >> code & 1u))
        return;
    b->history |= (uint64_t)code << 4 * (unsigned)__builtin_popcount(b->history_seen);
    b->history_seen = (uint16_t)(b->history_seen | 1u << code);
}

/* Takes a straight segment of len bytes, unless a number outgrows its place. */
static inline bool take_straight(struct ws_tcp *t, struct ws_tcp_brief *b, unsigned dir, uint32_t ack, uint16_t window,
                                 uint32_t len)
{
    struct ws_tcp_brief_dir *d = &b->dir[dir];
    const uint64_t next = low48(d->next_window) + len, payload = low48(d->payload_flags) + len;
    if (WS_UNLIKELY((next | payload) > LOW48 ||
                    (int64_t)ws_seq_diff((uint32_t)d->next_window, d->acked) + len > INT32_MAX || !take_ack(&b->dir[dir ^ 1], ack)))
        return false;
    d->next_window = with_top(next, window);
    d->payload_flags += len;
    b->unscaled = b->unscaled & ~(1u << dir) & 3u;
    ws_count(t->counters, WS_C_TCP_SEGMENTS, 1);
    note_history(b, dir, len ? WS_HISTORY_DATA : WS_HISTORY_ACK);
    if (!len)
        return true;
    ws_count(t->counters, WS_C_PAYLOAD_SEEN, len);
    ws_count(t->counters, WS_C_PAYLOAD_DELIVERED, len);
    ws_count(t->counters, WS_C_STREAM_BYTES, len);
    return true;
}

bool ws_tcp_brief_push_packet(struct ws_tcp *t, struct ws_tcp_brief *b, const struct ws_packet *p)
{
    return !t->ops.data && !t->ops.segment && p->payload_wire_len == p->payload_len &&
           is_straight(b, p->dir, p->tcp_seq, p->tcp_flags) &&
           take_straight(t, b, p->dir, p->tcp_ack, p->tcp_window, p->payload_len);
}

bool ws_tcp_brief_push(struct ws_tcp *t, struct ws_tcp_brief *b, void *flow, unsigned dir, const struct ws_tcp_segment *s)
{
    const uint64_t off = low48(b->dir[dir].next_window) - WS_SEQ_BIAS;
    if (s->wire_len != s->len || s->no_payload || !is_straight(b, dir, s->meta.seq, s->meta.flags) ||
        !take_straight(t, b, dir, s->meta.ack, s->meta.window, s->len))
        return false;
    if (s->len && t->ops.segment)
        t->ops.segment(flow, dir, (int64_t)off, s, t->user);
    if (s->len && t->ops.data)
        t->ops.data(flow, dir, off, s->data, s->len, &s->meta, t->user);
    return true;
}
