/* SPDX-License-Identifier: BSD-3-Clause */
/* Delivery: bytes and gaps leave here, in stream order, and nothing else moves ws_tcp_dir.next. */
#include "tcp/internal.h"

/* Hands out len bytes at d->next. data may be NULL when nobody wants the bytes. */
static void deliver_bytes(struct ws_tcp_ctx *x, unsigned dir, const uint8_t *data, uint32_t len,
                          const struct ws_tcp_meta *meta)
{
    struct ws_tcp *t = x->t;
    struct ws_tcp_dir *d = &x->c->dir[dir];
    uint64_t off = d->next - d->base;
    d->next += len;
    ws_tcp_note(t, WS_C_PAYLOAD_DELIVERED, len);
    ws_tcp_note(t, WS_C_STREAM_BYTES, len);
    if (t->ops.data)
        t->ops.data(x->flow, dir, off, data, len, meta, t->user);
}

static void deliver_gap(struct ws_tcp_ctx *x, unsigned dir, uint64_t to, enum ws_gap_cause cause)
{
    struct ws_tcp *t = x->t;
    struct ws_tcp_dir *d = &x->c->dir[dir];
    uint64_t off = d->next - d->base, len = to - d->next;
    d->next = to;
    x->c->rare[dir].gap_bytes = ws_tcp_gap_bytes(x->c, dir) + len;
    d->gaps += d->gaps != UINT32_MAX;
    ws_tcp_note(t, WS_C_GAPS, 1);
    if (cause == WS_GAP_CAP)
        ws_tcp_note(t, WS_C_GAPS_CAP, 1);
    ws_tcp_note(t, WS_C_GAP_BYTES, len);
    ws_tcp_note(t, WS_C_STREAM_BYTES, len);
    ws_conn_history(x->c, dir, WS_HISTORY_GAP);
    if (t->ops.gap)
        t->ops.gap(x->flow, dir, off, len, cause, t->user);
}

void ws_deliver_gap(struct ws_tcp_ctx *x, unsigned dir, uint64_t to, enum ws_gap_cause cause)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    while (d->next < to) {
        uint64_t end = to;
        enum ws_gap_cause why = cause;
        if (WS_UNLIKELY(cause == WS_GAP_NEVER_SEEN && d->flags & DIR_MISSING))
            why = ws_missing_cause(x->t, x->c, dir, d->next, &end);
        deliver_gap(x, dir, end, why);
    }
}

/* Hands out the first len bytes of the head node, which lies at d->next, and frees them. */
static void deliver_head(struct ws_tcp_ctx *x, unsigned dir, uint32_t len)
{
    struct ws_tcp *t = x->t;
    struct ws_tcp_dir *d = &x->c->dir[dir];
    uint32_t i = d->head;
    struct ws_held_node *n = ws_held_node(&t->pool, i);
    ws_tcp_note(t, WS_C_PAYLOAD_HELD, n->kind == WS_HELD_HOLE ? 0 : 0 - (uint64_t)len);
    if (n->kind == WS_HELD_HOLE)
        ws_deliver_gap(x, dir, n->pos + len, (enum ws_gap_cause)n->cause);
    else
        deliver_bytes(
            x, dir, n->kind == WS_HELD_DATA ? ws_held_bytes(&t->pool, i, 0, len, t->scratch) : NULL,
            len, &n->meta);
    if (len < n->len) {
        n->meta.piece = 1;
        ws_held_cut_front(&t->pool, d, i, len);
    } else {
        ws_held_remove(&t->pool, d, i);
    }
}

void ws_deliver_drain(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    const uint64_t limit = ws_tcp_limit(d);
    while (d->head && ws_held_node(&x->t->pool, d->head)->pos == d->next && d->next < limit)
        deliver_head(x, dir,
                     (uint32_t)WS_MIN(ws_held_node(&x->t->pool, d->head)->len, limit - d->next));
}

/* Hands out the run's bytes [r->from, to) at d->next. */
static void deliver_from_run(struct ws_tcp_ctx *x, unsigned dir, struct ws_tcp_run *r, uint64_t to)
{
    struct ws_tcp_meta meta = *r->meta;
    if (r->data) {
        meta.piece = r->placed;
        r->placed = true;
        deliver_bytes(x, dir, r->data + (r->from - r->seg_from), (uint32_t)(to - r->from), &meta);
    } else {
        ws_deliver_gap(x, dir, to, r->cause);
    }
    r->from = to;
}

/* Delivers a run that begins at d->next. Needs no memory, so no cap can cost these bytes. */
static void deliver_in_order(struct ws_tcp_ctx *x, unsigned dir, struct ws_tcp_run *r)
{
    struct ws_tcp *t = x->t;
    struct ws_tcp_dir *d = &x->c->dir[dir];
    while (r->from < r->to) {
        struct ws_held_node *n = d->head ? ws_held_node(&t->pool, d->head) : NULL;
        if (!n || n->pos > r->from) {
            deliver_from_run(x, dir, r, n ? WS_MIN(n->pos, r->to) : r->to);
            continue;
        }
        uint64_t to = WS_MIN(r->to, ws_held_end(n));
        uint32_t len = (uint32_t)(to - r->from);
        enum ws_overlap_fate fate = ws_overlap_decide(t, d->head, r, to);
        ws_overlap_count(t, r, fate, len);
        if (fate == WS_OVERLAP_NEW || fate == WS_OVERLAP_HOLE_FILLED) {
            if (fate == WS_OVERLAP_NEW)
                ws_tcp_note(t, WS_C_PAYLOAD_HELD, 0 - (uint64_t)len);
            ws_held_carve(&t->pool, d, d->head, r->from, to); /* from its front: cannot fail */
            deliver_from_run(x, dir, r, to);
        } else {
            deliver_head(x, dir, len);
            r->from = to;
        }
    }
    ws_deliver_drain(x, dir);
}

/* Drops what of the run lies below d->next: delivered, or given up, before. */
static void trim_run(struct ws_tcp_ctx *x, unsigned dir, struct ws_tcp_run *r)
{
    uint64_t next = WS_MIN(x->c->dir[dir].next, r->to);
    if (r->from >= next)
        return;
    if (r->data)
        ws_tcp_note(x->t, WS_C_PAYLOAD_DUPLICATE, next - r->from);
    r->from = next;
}

/* Holds the run; returns whether all of it is dealt with. Keeps the gauge. */
static bool hold_run(struct ws_tcp_ctx *x, unsigned dir, struct ws_tcp_run *r)
{
    struct ws_tcp *t = x->t;
    struct ws_tcp_dir *d = &x->c->dir[dir];
    const struct ws_held_owner owner = {.conn = x->c, .flow = x->flow, .dir = dir};
    uint32_t before = d->held_bytes;
    r->owner = &owner;
    r->own_cap = false;
    bool done = ws_overlap_hold(t, d, r);
    r->owner = NULL;
    ws_tcp_note(t, WS_C_PAYLOAD_HELD, (uint64_t)d->held_bytes - before);
    return done;
}

/* Drops what is held beyond a FIN. Returns whether there was something. */
static bool drop_beyond_fin(struct ws_tcp *t, struct ws_tcp_dir *d)
{
    const uint32_t tail = d->head ? ws_held_node(&t->pool, d->head)->prev : 0;
    if (!tail || ws_held_end(ws_held_node(&t->pool, tail)) <= ws_tcp_limit(d))
        return false;
    ws_deliver_drop_from(t, d, d->fin, WS_C_REFUSED_BEYOND_FIN);
    return true;
}

/* Lets a direction give up its oldest hole: up to the first thing held. Frees a node at least. */
static void give_up_hole(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    if (drop_beyond_fin(x->t, d))
        return;
    if (d->flags & DIR_SYNDATA) {
        d->flags &= (uint16_t)~DIR_SYNDATA;
        ws_deliver_drop_from(x->t, d, 0, WS_C_REFUSED_CAP);
        d->top = d->base;
        return;
    }
    if (d->flags & DIR_HOLD)
        ws_deliver_start(x, dir);
    if (!d->head)
        return;
    ws_deliver_gap(x, dir, ws_held_node(&x->t->pool, d->head)->pos, WS_GAP_CAP);
    ws_deliver_drain(x, dir);
}

void ws_deliver_settle(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    while (d->head)
        give_up_hole(x, dir);
    if (d->flags & DIR_HOLD)
        ws_deliver_start(x, dir);
    if (d->flags & DIR_MISSING)
        ws_missing_forget(x->t, x->c);
    d->flags &= (uint16_t)~(DIR_SYNDATA | DIR_MISSING);
}

/* The pool is out: the direction that has been holding for longest makes room. False: it is dir
 * itself, or none holds anything. */
static bool make_room(struct ws_tcp_ctx *x, unsigned dir)
{
    const struct ws_held_owner *o = ws_held_oldest(&x->t->pool);
    if (!o || (o->conn == x->c && o->dir == dir))
        return false;
    struct ws_tcp_ctx other = {.t = x->t, .c = o->conn, .flow = o->flow};
    give_up_hole(&other, o->dir);
    return true;
}

static void deliver_run(struct ws_tcp_ctx *x, unsigned dir, struct ws_tcp_run *r)
{
    struct ws_tcp *t = x->t;
    struct ws_tcp_dir *d = &x->c->dir[dir];
    for (;;) {
        bool wait = d->flags & (DIR_HOLD | DIR_SYNDATA);
        if (!wait) {
            trim_run(x, dir, r);
            if (r->from == d->next) {
                deliver_in_order(x, dir, r);
                break;
            }
        }
        if (r->from >= r->to || hold_run(x, dir, r))
            break;
        /* A cap. A hole without bytes is not worth a gap: forget its cause. But in a midstream wait what follows would
         * then wait behind it for bytes that never come: the wait ends instead. */
        if (!r->data && !(d->flags & DIR_HOLD))
            break;
        if (!r->data) {
            ws_deliver_start(x, dir);
            continue;
        }
        if (drop_beyond_fin(t, d) || (!r->own_cap && make_room(x, dir)))
            continue;
        if (d->flags & DIR_SYNDATA) {
            ws_tcp_note(t, WS_C_REFUSED_CAP, r->to - r->from);
            break;
        }
        if (wait) {
            ws_deliver_start(x, dir);
            continue;
        }
        /* The oldest hole becomes a gap: up to the first thing held, or up to this run. */
        uint64_t head = d->head ? ws_held_node(&t->pool, d->head)->pos : UINT64_MAX;
        ws_deliver_gap(x, dir, WS_MIN(head, r->from), WS_GAP_CAP);
        ws_deliver_drain(x, dir);
    }
}

void ws_deliver_run(struct ws_tcp_ctx *x, unsigned dir, struct ws_tcp_run *r)
{
    struct ws_tcp *t = x->t;
    const uint64_t limit = ws_tcp_limit(&x->c->dir[dir]), to = r->to;
    if (r->from < limit) {
        r->to = WS_MIN(to, limit);
        deliver_run(x, dir, r);
    }
    if (to > limit) {
        r->from = WS_MAX(r->from, limit);
        r->to = to;
        if (!hold_run(x, dir, r) && r->data)
            ws_tcp_note(t, WS_C_REFUSED_BEYOND_FIN, r->to - r->from);
    }
    if (r->differed) {
        ws_tcp_note(t, WS_C_TCP_OVERLAP_DIFF, 1);
        ws_conn_event(x, dir, WS_TCP_EV_OVERLAP);
    }
}

void ws_deliver_start(struct ws_tcp_ctx *x, unsigned dir)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    d->base = d->next; /* the lowest seen */
    d->flags = (uint16_t)((d->flags & ~DIR_HOLD) | DIR_STARTED);
    ws_deliver_drain(x, dir);
}

void ws_deliver_drop_from(struct ws_tcp *t, struct ws_tcp_dir *d, uint64_t from, enum ws_counter id)
{
    uint32_t before = d->held_bytes;
    for (uint32_t i = ws_held_find(&t->pool, d, from); i;) {
        struct ws_held_node *n = ws_held_node(&t->pool, i);
        uint32_t after = n->next;
        ws_held_carve(&t->pool, d, i, from, UINT64_MAX); /* to its end: cannot fail */
        i = after;
    }
    ws_tcp_note(t, id, before - d->held_bytes);
    ws_tcp_note(t, WS_C_PAYLOAD_HELD, (uint64_t)d->held_bytes - before);
}

void ws_deliver_rebase(struct ws_tcp_ctx *x, unsigned dir, uint64_t base)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    d->base = d->next = base;
    d->top = WS_MAX(d->top, base);
    d->flags = (uint16_t)((d->flags & ~DIR_HOLD) | DIR_STARTED);
    if (!(d->flags & DIR_SYNDATA))
        ws_deliver_drain(x, dir);
}

void ws_deliver_flush(struct ws_tcp_ctx *x, unsigned dir, uint64_t to, enum ws_gap_cause cause)
{
    struct ws_tcp_dir *d = &x->c->dir[dir];
    while (d->head && ws_held_node(&x->t->pool, d->head)->pos < to) {
        ws_deliver_gap(x, dir, ws_held_node(&x->t->pool, d->head)->pos, cause);
        ws_deliver_drain(x, dir);
    }
}
