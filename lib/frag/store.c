/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools, and the bytes of a datagram: putting fragments in by overlap policy, comparing, copying.
 */
#include "frag/store.h"

#include <errno.h>
#include <string.h>

void ws_frag_pool_init(struct ws_frag_pool *pool, void *base, uint32_t item_bytes, uint32_t items)
{
    *pool = (struct ws_frag_pool){
        .base = base, .item_bytes = item_bytes, .items = items, .free = WS_FRAG_NONE};
}

uint32_t ws_frag_pool_get(struct ws_frag_pool *pool)
{
    uint32_t item = pool->free;
    if (item != WS_FRAG_NONE)
        memcpy(&pool->free, ws_frag_pool_at(pool, item), sizeof(pool->free));
    else if (pool->fresh < pool->items)
        item = pool->fresh++;
    pool->used += item != WS_FRAG_NONE;
    return item;
}

void ws_frag_pool_put(struct ws_frag_pool *pool, uint32_t item)
{
    memcpy(ws_frag_pool_at(pool, item), &pool->free, sizeof(pool->free));
    pool->free = item;
    pool->used--;
}

void ws_frag_bytes_init(struct ws_frag_bytes *b)
{
    *b = (struct ws_frag_bytes){.head = WS_FRAG_NONE, .tail = WS_FRAG_NONE, .cut = UINT32_MAX};
    memset(b->chunk, 0xff, sizeof(b->chunk));
}

void ws_frag_bytes_free(struct ws_frag_bytes *b, struct ws_frag_pool *chunks,
                        struct ws_frag_pool *runs)
{
    for (uint32_t i = b->head; i != WS_FRAG_NONE;) {
        uint32_t next = ((struct ws_frag_run *)ws_frag_pool_at(runs, i))->next;
        ws_frag_pool_put(runs, i);
        i = next;
    }
    for (unsigned i = 0; i < WS_FRAG_CHUNKS; i++)
        if (b->chunk[i] != WS_FRAG_NONE)
            ws_frag_pool_put(chunks, b->chunk[i]);
    ws_frag_bytes_init(b);
}

uint32_t ws_frag_bytes_end(const struct ws_frag_bytes *b, const struct ws_frag_pool *runs)
{
    return b->tail == WS_FRAG_NONE ? 0 : ((struct ws_frag_run *)ws_frag_pool_at(runs, b->tail))->to;
}

/* The policies of Novak, "Target-Based Fragmentation Reassembly" (2005): whether the new fragment n
 * takes the bytes that it shares with the earlier fragment of run r. */
static bool new_wins(enum ws_overlap policy, const struct ws_frag_run *r,
                     const struct ws_frag_piece *n)
{
    switch (policy) {
    case WS_OVERLAP_FIRST:
        return false;
    case WS_OVERLAP_LAST:
        return true;
    case WS_OVERLAP_BSD: /* the earlier one wins if it does not begin later */
        return n->from < r->frag_from;
    case WS_OVERLAP_LINUX: /* the earlier one wins if it begins before */
    case WS_OVERLAP_OLD_LINUX:
        return n->from <= r->frag_from;
    case WS_OVERLAP_WINDOWS: /* the new one wins if it begins before and ends after */
        return n->from < r->frag_from && n->to > r->frag_to;
    case WS_OVERLAP_SOLARIS: /* ... or ends with it */
        return n->from < r->frag_from && n->to >= r->frag_to;
    }
    return false;
}

/* The end of the captured part of bytes up to `to` of a piece. */
static uint32_t captured_end(const struct ws_frag_piece *p, uint32_t to)
{
    return WS_MIN(to, p->from + p->len);
}

static void write_bytes(struct ws_frag_bytes *b, const struct ws_frag_pool *chunks,
                        const struct ws_frag_piece *p, uint32_t from, uint32_t to)
{
    to = captured_end(p, to);
    while (from < to) {
        uint32_t in = from % WS_FRAG_CHUNK, n = WS_MIN(to - from, WS_FRAG_CHUNK - in);
        uint8_t *chunk = ws_frag_pool_at(chunks, b->chunk[from / WS_FRAG_CHUNK]);
        memcpy(chunk + in, p->data + (from - p->from), n);
        from += n;
    }
}

static bool same_bytes(const struct ws_frag_bytes *b, const struct ws_frag_pool *chunks,
                       const struct ws_frag_piece *p, uint32_t from, uint32_t to)
{
    to = WS_MIN(captured_end(p, to), b->cut);
    while (from < to) {
        uint32_t in = from % WS_FRAG_CHUNK, n = WS_MIN(to - from, WS_FRAG_CHUNK - in);
        const uint8_t *chunk = ws_frag_pool_at(chunks, b->chunk[from / WS_FRAG_CHUNK]);
        if (memcmp(chunk + in, p->data + (from - p->from), n) != 0)
            return false;
        from += n;
    }
    return true;
}

bool ws_frag_bytes_equal(const struct ws_frag_bytes *b, const struct ws_frag_pool *chunks,
                         const struct ws_frag_piece *piece)
{
    return same_bytes(b, chunks, piece, piece->from, piece->to);
}

void ws_frag_bytes_copy(const struct ws_frag_bytes *b, const struct ws_frag_pool *chunks,
                        uint32_t len, uint8_t *out)
{
    for (uint32_t at = 0; at < len; at += WS_FRAG_CHUNK)
        memcpy(out + at, ws_frag_pool_at(chunks, b->chunk[at / WS_FRAG_CHUNK]),
               WS_MIN(len - at, (uint32_t)WS_FRAG_CHUNK));
}

static uint32_t get_or_reclaim(struct ws_frag_pool *pool, ws_frag_reclaim *reclaim, void *user)
{
    uint32_t item;
    while ((item = ws_frag_pool_get(pool)) == WS_FRAG_NONE)
        if (!reclaim(user))
            break;
    return item;
}

/* Takes care that bytes [from, to) have chunks. */
static bool have_chunks(struct ws_frag_bytes *b, struct ws_frag_pool *chunks, uint32_t from,
                        uint32_t to, ws_frag_reclaim *reclaim, void *user)
{
    if (from == to)
        return true;
    for (uint32_t i = from / WS_FRAG_CHUNK; i <= (to - 1) / WS_FRAG_CHUNK; i++)
        if (b->chunk[i] == WS_FRAG_NONE &&
            (b->chunk[i] = get_or_reclaim(chunks, reclaim, user)) == WS_FRAG_NONE)
            return false;
    return true;
}

/* One insertion in progress. prev is the run before the place in the list, or WS_FRAG_NONE. */
struct insertion {
    struct ws_frag_bytes *b;
    struct ws_frag_pool *runs;
    ws_frag_reclaim *reclaim;
    void *user;
    uint32_t prev;
};

static struct ws_frag_run *run_at(const struct insertion *s, uint32_t i)
{
    return ws_frag_pool_at(s->runs, i);
}

static uint32_t next_run(const struct insertion *s)
{
    return s->prev == WS_FRAG_NONE ? s->b->head : run_at(s, s->prev)->next;
}

/* Puts a run behind prev and moves there. */
static bool add_run(struct insertion *s, struct ws_frag_run run)
{
    uint32_t i = get_or_reclaim(s->runs, s->reclaim, s->user);
    if (i == WS_FRAG_NONE || s->b->runs == WS_FRAG_RUNS_MAX) {
        if (i != WS_FRAG_NONE)
            ws_frag_pool_put(s->runs, i);
        return false;
    }
    run.next = next_run(s);
    *run_at(s, i) = run;
    if (s->prev == WS_FRAG_NONE)
        s->b->head = i;
    else
        run_at(s, s->prev)->next = i;
    if (run.next == WS_FRAG_NONE)
        s->b->tail = i;
    s->b->runs++;
    s->prev = i;
    return true;
}

/* Grows a neighbour of the place by bytes [from, to), instead of adding a run, for policies that do
 * not ask which fragment a byte came with. done: nothing follows, so that the runs on both sides
 * may become one if they now touch. */
static bool extend_run(struct insertion *s, uint32_t from, uint32_t to, bool done)
{
    uint32_t next = next_run(s);
    if (s->prev != WS_FRAG_NONE && run_at(s, s->prev)->to == from) {
        struct ws_frag_run *p = run_at(s, s->prev);
        p->to = (uint16_t)to;
        if (done && next != WS_FRAG_NONE && run_at(s, next)->from == to) {
            p->to = run_at(s, next)->to;
            p->next = run_at(s, next)->next;
            if (s->b->tail == next)
                s->b->tail = s->prev;
            ws_frag_pool_put(s->runs, next);
            s->b->runs--;
        }
        return true;
    }
    if (next != WS_FRAG_NONE && run_at(s, next)->from == to) {
        run_at(s, next)->from = (uint16_t)from;
        return true;
    }
    return false;
}

int ws_frag_bytes_put(struct ws_frag_bytes *b, struct ws_frag_pool *chunks,
                      struct ws_frag_pool *runs, const struct ws_frag_piece *piece,
                      enum ws_overlap policy, ws_frag_reclaim *reclaim, void *user,
                      struct ws_frag_change *change)
{
    struct insertion s = {b, runs, reclaim, user, WS_FRAG_NONE};
    const bool plain = policy == WS_OVERLAP_FIRST || policy == WS_OVERLAP_LAST;
    struct ws_frag_run run = {.frag_from = (uint16_t)piece->from, .frag_to = (uint16_t)piece->to};
    *change = (struct ws_frag_change){0};
    if (!have_chunks(b, chunks, piece->from, captured_end(piece, piece->to), reclaim, user))
        return -ENOMEM;
    /* Fragments mostly come in order: begin at the end. */
    if (b->tail != WS_FRAG_NONE && run_at(&s, b->tail)->to <= piece->from)
        s.prev = b->tail;
    for (uint32_t pos = piece->from; pos < piece->to;) {
        uint32_t i = next_run(&s);
        struct ws_frag_run *r = i == WS_FRAG_NONE ? NULL : run_at(&s, i);
        if (r && r->to <= pos) {
            s.prev = i;
            continue;
        }
        if (!r || r->from > pos) { /* nothing there yet */
            uint32_t to = r ? WS_MIN(r->from, piece->to) : piece->to;
            run.from = (uint16_t)pos;
            run.to = (uint16_t)to;
            if (!(plain && extend_run(&s, pos, to, to == piece->to)) && !add_run(&s, run))
                return -ENOMEM;
            write_bytes(b, chunks, piece, pos, to);
            change->added += to - pos;
            pos = to;
            continue;
        }
        uint32_t to = WS_MIN(r->to, piece->to);
        change->overlap = true;
        if (!change->differs)
            change->differs = !same_bytes(b, chunks, piece, pos, to);
        if (new_wins(policy, r, piece)) {
            write_bytes(b, chunks, piece, pos, to);
            if (!plain) {
                /* r becomes up to three runs: what it keeps before, the new one, what it keeps. */
                struct ws_frag_run old = *r;
                run.from = (uint16_t)pos;
                run.to = (uint16_t)to;
                s.prev = i;
                if (old.from < pos) {
                    r->to = (uint16_t)pos;
                    if (!add_run(&s, run))
                        return -ENOMEM;
                } else {
                    run.next = old.next;
                    *r = run;
                }
                if (old.to > to) {
                    old.from = (uint16_t)to;
                    if (!add_run(&s, old))
                        return -ENOMEM;
                }
            }
        }
        pos = to;
    }
    b->covered += change->added;
    if (piece->len < piece->to - piece->from)
        b->cut = WS_MIN(b->cut, piece->from + piece->len);
    return 0;
}
