/* SPDX-License-Identifier: BSD-3-Clause */
/* Overlap policies on undelivered bytes: which copy wins, and holding out-of-order runs by them. */
#include "tcp/internal.h"

/* The rules of Novak and Sturges, "Target-Based TCP Stream Reassembly" (2007), by the ranges of the
 * two segments as they were sent. Windows here is the older one, which does as BSD does; Vista and
 * later keep the first copy: Suricata's and Snort's documentation map them the same way. */
bool ws_overlap_new_wins(enum ws_overlap policy, uint64_t new_from, uint64_t new_to,
                         uint64_t old_from, uint64_t old_to)
{
    bool before = new_from < old_from, same = new_from == old_from;
    switch (policy) {
    case WS_OVERLAP_LAST:
        return true;
    case WS_OVERLAP_BSD:
    case WS_OVERLAP_WINDOWS:
        return before;
    case WS_OVERLAP_LINUX:
        return before || (same && new_to > old_to);
    case WS_OVERLAP_OLD_LINUX:
        return before || (same && new_to >= old_to);
    case WS_OVERLAP_SOLARIS:
        return new_to > old_to || (new_to == old_to && (before || same));
    case WS_OVERLAP_FIRST:
        break;
    }
    return false;
}

enum ws_overlap_fate ws_overlap_decide(const struct ws_tcp *t, uint32_t i,
                                       const struct ws_tcp_run *r, uint64_t to)
{
    const struct ws_held_node *n = ws_held_node(&t->pool, i);
    /* a hole is not a copy of anything: captured bytes win over it, whatever the policy */
    if (!r->data)
        return WS_OVERLAP_HOLE_LOSES;
    if (n->kind == WS_HELD_HOLE)
        return WS_OVERLAP_HOLE_FILLED;
    if (n->kind != WS_HELD_DATA)
        return WS_OVERLAP_SAME;
    bool wins = ws_overlap_new_wins(t->cfg.overlap, r->seg_from, r->seg_to, n->seg_pos,
                                    n->seg_pos + n->seg_len);
    if (!ws_held_equal(&t->pool, i, (uint32_t)(r->from - n->pos), (uint32_t)(to - r->from),
                       r->data + (r->from - r->seg_from)))
        return wins ? WS_OVERLAP_NEW : WS_OVERLAP_OLD;
    /* FIRST and LAST do not ask which segment a byte came with. */
    bool asks = t->cfg.overlap != WS_OVERLAP_FIRST && t->cfg.overlap != WS_OVERLAP_LAST;
    bool moves = r->seg_from != n->seg_pos || r->seg_to != n->seg_pos + n->seg_len;
    return wins && asks && moves ? WS_OVERLAP_SAME_NEW : WS_OVERLAP_SAME;
}

void ws_overlap_count(struct ws_tcp *t, struct ws_tcp_run *r, enum ws_overlap_fate fate,
                      uint64_t len)
{
    if (fate == WS_OVERLAP_SAME || fate == WS_OVERLAP_SAME_NEW) {
        ws_tcp_note(t, WS_C_PAYLOAD_DUPLICATE, len);
    } else if (fate == WS_OVERLAP_NEW || fate == WS_OVERLAP_OLD) {
        ws_tcp_note(t, WS_C_PAYLOAD_OVERLAP, len);
        r->differed = true;
    }
}

/* The kind of node that a run becomes. */
static enum ws_held_kind kind_of(const struct ws_tcp *t, const struct ws_tcp_run *r)
{
    if (!r->data)
        return WS_HELD_HOLE;
    return t->cfg.want & WS_TCP_WANT_DATA ? WS_HELD_DATA : WS_HELD_RANGE;
}

/* The node before succ (0: the last one), or 0. */
static uint32_t node_before(const struct ws_tcp *t, const struct ws_tcp_dir *d, uint32_t succ)
{
    if (!d->head || succ == d->head)
        return 0;
    return ws_held_node(&t->pool, succ ? succ : d->head)->prev;
}

/* A run that covers very many nodes joins them as it goes, so that the next one finds few. */
static void join_before(struct ws_tcp *t, struct ws_tcp_dir *d, uint32_t succ)
{
    for (unsigned n = 0; n < 2;
         n++) { /* a step leaves two at most: what filled a hole, and a node */
        uint32_t last = node_before(t, d, succ), other = last ? node_before(t, d, last) : 0;
        if (!other || !ws_held_join(&t->pool, d, other))
            return;
    }
}

/* Grows the node before succ, or succ, over [r->from, to) when that is a range without bytes: they
 * are only counted, so a long out-of-order run needs one node. */
static bool extend_range(struct ws_tcp *t, struct ws_tcp_dir *d, uint32_t succ,
                         struct ws_tcp_run *r, uint64_t to)
{
    const uint32_t most = UINT32_MAX / 2, len = (uint32_t)(to - r->from);
    struct ws_held_node *after = succ ? ws_held_node(&t->pool, succ) : NULL;
    uint32_t pred = node_before(t, d, succ);
    struct ws_held_node *before = pred ? ws_held_node(&t->pool, pred) : NULL;

    if (before && before->kind == WS_HELD_RANGE && ws_held_end(before) == r->from &&
        before->len < most) {
        before->len += len;
    } else if (after && after->kind == WS_HELD_RANGE && after->pos == to && after->len < most) {
        after->pos = r->from; /* still between the same neighbours: the treap stands */
        after->len += len;
    } else {
        return false;
    }
    d->held_bytes += len;
    t->pool.bytes += len;
    r->from = to;
    return true;
}

/* Holds [r->from, to), which no node covers, before node succ. */
static bool hold_free(struct ws_tcp *t, struct ws_tcp_dir *d, uint32_t succ, struct ws_tcp_run *r,
                      uint64_t to)
{
    enum ws_held_kind kind = kind_of(t, r);
    if (kind == WS_HELD_RANGE && extend_range(t, d, succ, r, to))
        return true;
    while (r->from < to) {
        uint64_t most = kind == WS_HELD_DATA ? WS_HELD_PIECE : UINT32_MAX / 2;
        uint32_t len = (uint32_t)WS_MIN(to - r->from, most);
        struct ws_tcp_meta meta = *r->meta;
        meta.piece = r->placed;
        r->own_cap = d->held_nodes >= t->cfg.dir_nodes_max ||
                     (kind == WS_HELD_DATA && d->held_bytes + (uint64_t)len > t->cfg.dir_bytes_max);
        if (r->own_cap)
            return false;
        struct ws_held_new w = {
            .pos = r->from,
            .seg_pos = r->seg_from,
            .data = r->data ? r->data + (r->from - r->seg_from) : NULL,
            .len = len,
            .seg_len = (uint32_t)(r->seg_to - r->seg_from),
            .kind = kind,
            .cause = r->cause,
            .meta = &meta,
            .owner = r->owner,
        };
        if (!ws_held_add(&t->pool, d, succ, &w))
            return false;
        r->placed = true;
        r->from += len;
    }
    return true;
}

/* Makes [r->from, to) of node i a part of the run's segment. Returns whether the node has to be carved for that. */
static bool take_over(struct ws_tcp *t, uint32_t i, const struct ws_tcp_run *r, uint64_t to)
{
    struct ws_held_node *n = ws_held_node(&t->pool, i);
    if (n->pos != r->from || to != ws_held_end(n))
        return true;
    n->seg_pos = r->seg_from;
    n->seg_len = (uint32_t)(r->seg_to - r->seg_from);
    return false;
}

bool ws_overlap_hold(struct ws_tcp *t, struct ws_tcp_dir *d, struct ws_tcp_run *r)
{
    uint32_t i = ws_held_find(&t->pool, d, r->from);
    for (unsigned steps = 0; r->from < r->to; steps++) {
        struct ws_held_node *n = i ? ws_held_node(&t->pool, i) : NULL;
        if (!n || n->pos >= r->to)
            return hold_free(t, d, i, r, r->to);
        if (n->pos > r->from && !hold_free(t, d, i, r, n->pos))
            return false;
        uint64_t to = WS_MIN(r->to, ws_held_end(n));
        uint32_t after = n->next;
        enum ws_overlap_fate fate = ws_overlap_decide(t, i, r, to);
        if (fate == WS_OVERLAP_NEW || fate == WS_OVERLAP_HOLE_FILLED ||
            (fate == WS_OVERLAP_SAME_NEW && take_over(t, i, r, to))) {
            bool splits = n->pos < r->from && to < ws_held_end(n);
            bool stays = to < ws_held_end(n); /* what lies behind, as i or as a new node */
            if (!ws_held_carve(&t->pool, d, i, r->from, to))
                return false;
            ws_overlap_count(t, r, fate, to - r->from);
            if (splits)
                after = ws_held_node(&t->pool, i)->next;
            else if (stays)
                after = i;
            if (!hold_free(t, d, after, r, to))
                return false;
        } else {
            ws_overlap_count(t, r, fate, to - r->from);
            r->from = to;
        }
        i = after;
        if (WS_UNLIKELY(steps >= WS_TCP_COVER_MAX)) {
            if (!r->data) /* a hole between so many pieces: what caused it is forgotten */
                r->from = r->to;
            join_before(t, d, i);
        }
    }
    return true;
}
