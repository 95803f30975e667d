/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool and the ordered set of held segments (held.h). */
#include "tcp/held.h"

#include <assert.h>
#include <string.h>

static uint32_t cells_for(const struct ws_tcp_config *cfg)
{
    uint64_t n = cfg->want & WS_TCP_WANT_DATA ? cfg->bytes_max / WS_HELD_CELL : 0;
    return (uint32_t)WS_MIN(n, UINT32_MAX - 1);
}

static uint32_t nodes_for(const struct ws_tcp_config *cfg)
{
    if (!(cfg->want & (WS_TCP_WANT_DATA | WS_TCP_WANT_GAPS)))
        return 0;
    return WS_MIN(cfg->nodes_max, UINT32_MAX - 1);
}

static size_t nodes_bytes(const struct ws_tcp_config *cfg)
{
    return ws_align_up(((size_t)nodes_for(cfg) + 1) * sizeof(struct ws_held_node), WS_CACHE_LINE);
}

static size_t owners_bytes(const struct ws_tcp_config *cfg)
{
    return ws_align_up(((size_t)nodes_for(cfg) + 1) * sizeof(struct ws_held_owner), WS_CACHE_LINE);
}

static size_t links_bytes(const struct ws_tcp_config *cfg)
{
    return ws_align_up(((size_t)cells_for(cfg) + 1) * sizeof(uint32_t), WS_CACHE_LINE);
}

size_t ws_held_pool_bytes(const struct ws_tcp_config *cfg)
{
    return nodes_bytes(cfg) + owners_bytes(cfg) + links_bytes(cfg) +
           (size_t)cells_for(cfg) * WS_HELD_CELL;
}

void ws_held_pool_init(struct ws_held_pool *p, void *mem, const struct ws_tcp_config *cfg)
{
    uint8_t *owners = (uint8_t *)mem + nodes_bytes(cfg), *links = owners + owners_bytes(cfg);
    *p = (struct ws_held_pool){
        .nodes = (struct ws_held_node *)mem,
        .owners = (struct ws_held_owner *)(void *)owners,
        .cell_next = (uint32_t *)(void *)links,
        .cells = links + links_bytes(cfg),
        .nodes_max = nodes_for(cfg),
        .cells_max = cells_for(cfg),
        .nodes_fresh = 1,
        .cells_fresh = 1,
        .owners_fresh = 1,
        .rng = cfg->seed ? cfg->seed : UINT32_C(0x9e3779b9), /* not 0: it would stay 0 */
    };
    p->owners[0] = (struct ws_held_owner){0};
}

/* Cells. */

static inline uint8_t *cell_data(const struct ws_held_pool *p, uint32_t cell)
{
    return p->cells + (size_t)(cell - 1) * WS_HELD_CELL;
}

static void cell_put(struct ws_held_pool *p, uint32_t cell)
{
    p->cell_next[cell] = p->cells_free;
    p->cells_free = cell;
    p->cells_used--;
}

static void chain_put(struct ws_held_pool *p, uint32_t cell)
{
    while (cell) {
        uint32_t next = p->cell_next[cell];
        cell_put(p, cell);
        cell = next;
    }
}

/* Takes a cell; the caller has seen that one is left. */
static uint32_t cell_get(struct ws_held_pool *p)
{
    uint32_t cell = p->cells_free;
    if (cell)
        p->cells_free = p->cell_next[cell];
    else
        cell = p->cells_fresh++;
    p->cells_used++;
    return cell;
}

static inline uint32_t cells_of(uint32_t len)
{
    return (len + WS_HELD_CELL - 1) / WS_HELD_CELL;
}

/* A chain of cells for len bytes, not filled, or 0. */
static uint32_t chain_get(struct ws_held_pool *p, uint32_t len)
{
    uint32_t n = cells_of(len), first = 0;
    if (p->cells_max - p->cells_used < n)
        return 0;
    while (n--) {
        uint32_t cell = cell_get(p);
        p->cell_next[cell] = first;
        first = cell;
    }
    return first;
}

static void chain_fill(struct ws_held_pool *p, uint32_t cell, const uint8_t *data, uint32_t len)
{
    while (len) {
        uint32_t n = WS_MIN(len, (uint32_t)WS_HELD_CELL);
        memcpy(cell_data(p, cell), data, n);
        data += n;
        len -= n;
        cell = p->cell_next[cell];
    }
}

/* The cell of byte off of node n, and the offset in it. */
static uint32_t cell_at(const struct ws_held_pool *p, const struct ws_held_node *n, uint32_t off,
                        uint32_t *in_cell)
{
    uint32_t cell = n->cell, at = n->cell_off + off;
    for (; at >= WS_HELD_CELL; at -= WS_HELD_CELL)
        cell = p->cell_next[cell];
    *in_cell = at;
    return cell;
}

void ws_held_copy(const struct ws_held_pool *p, uint32_t i, uint32_t off, uint32_t len,
                  uint8_t *dst)
{
    uint32_t at, cell = cell_at(p, &p->nodes[i], off, &at);
    while (len) {
        uint32_t n = WS_MIN(len, WS_HELD_CELL - at);
        memcpy(dst, cell_data(p, cell) + at, n);
        dst += n;
        len -= n;
        at = 0;
        cell = p->cell_next[cell];
    }
}

bool ws_held_equal(const struct ws_held_pool *p, uint32_t i, uint32_t off, uint32_t len,
                   const uint8_t *data)
{
    uint32_t at, cell = cell_at(p, &p->nodes[i], off, &at);
    while (len) {
        uint32_t n = WS_MIN(len, WS_HELD_CELL - at);
        if (memcmp(data, cell_data(p, cell) + at, n) != 0)
            return false;
        data += n;
        len -= n;
        at = 0;
        cell = p->cell_next[cell];
    }
    return true;
}

const uint8_t *ws_held_bytes(const struct ws_held_pool *p, uint32_t i, uint32_t off, uint32_t len,
                             uint8_t *scratch)
{
    uint32_t at, cell = cell_at(p, &p->nodes[i], off, &at);
    if (at + len <= WS_HELD_CELL)
        return cell_data(p, cell) + at;
    ws_held_copy(p, i, off, len, scratch);
    return scratch;
}

/* Nodes. */

static uint32_t node_get(struct ws_held_pool *p)
{
    uint32_t i;
    if (p->nodes_used >= p->nodes_max)
        return 0;
    i = p->nodes_free;
    if (i)
        p->nodes_free = p->nodes[i].next;
    else
        i = p->nodes_fresh++;
    p->nodes_used++;
    return i;
}

static void node_put(struct ws_held_pool *p, uint32_t i)
{
    p->nodes[i].next = p->nodes_free;
    p->nodes_free = i;
    p->nodes_used--;
}

/* Owners: at most one a node, so that there is always a free one for the first node. */

static uint32_t owner_get(struct ws_held_pool *p, const struct ws_held_owner *like)
{
    struct ws_held_owner *o = p->owners;
    uint32_t i = p->owners_free;
    if (i)
        p->owners_free = o[i].newer;
    else
        i = p->owners_fresh++;
    o[i] = *like;
    o[i].newer = 0;
    o[i].older = o[0].older;
    o[o[0].older].newer = i;
    o[0].older = i;
    return i;
}

static void owner_put(struct ws_held_pool *p, uint32_t i)
{
    struct ws_held_owner *o = p->owners;
    o[o[i].older].newer = o[i].newer;
    o[o[i].newer].older = o[i].older;
    o[i].newer = p->owners_free;
    p->owners_free = i;
}

/* xorshift32 (Marsaglia 2003): priorities that a sender who does not know the seed cannot foresee.
 */
static uint32_t next_prio(struct ws_held_pool *p)
{
    uint32_t x = p->rng;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return p->rng = x;
}

/* The treap (Seidel and Aragon, "Randomized Search Trees", 1996): keyed by position, a heap by
 * priority, so its shape is that of random insertion: expected depth O(log n). */

static void treap_insert(struct ws_held_pool *p, uint32_t *root, uint32_t i)
{
    struct ws_held_node *nodes = p->nodes, *n = &nodes[i];
    uint32_t *link = root;
    while (*link && nodes[*link].prio >= n->prio)
        link = n->pos < nodes[*link].pos ? &nodes[*link].left : &nodes[*link].right;
    /* split what hangs below by position: lower to the left, higher to the right */
    uint32_t sub = *link, *l = &n->left, *r = &n->right;
    *link = i;
    while (sub) {
        if (nodes[sub].pos < n->pos) {
            *l = sub;
            l = &nodes[sub].right;
            sub = *l;
        } else {
            *r = sub;
            r = &nodes[sub].left;
            sub = *r;
        }
    }
    *l = *r = 0;
}

static void treap_remove(struct ws_held_pool *p, uint32_t *root, uint32_t i)
{
    struct ws_held_node *nodes = p->nodes;
    uint64_t pos = nodes[i].pos;
    uint32_t *link = root;
    while (*link != i)
        link = pos < nodes[*link].pos ? &nodes[*link].left : &nodes[*link].right;
    uint32_t a = nodes[i].left, b = nodes[i].right;
    while (a && b) {
        if (nodes[a].prio >= nodes[b].prio) {
            *link = a;
            link = &nodes[a].right;
            a = *link;
        } else {
            *link = b;
            link = &nodes[b].left;
            b = *link;
        }
    }
    *link = a ? a : b;
}

uint32_t ws_held_find(const struct ws_held_pool *p, const struct ws_tcp_dir *d, uint64_t pos)
{
    const struct ws_held_node *nodes = p->nodes;
    uint32_t found = 0;
    if (!d->head || ws_held_end(&nodes[nodes[d->head].prev]) <= pos)
        return 0; /* the common case: it goes to the end */
    for (uint32_t i = d->root; i;) {
        if (ws_held_end(&nodes[i]) > pos) {
            found = i;
            i = nodes[i].left;
        } else {
            i = nodes[i].right;
        }
    }
    return found;
}

static void list_insert(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i, uint32_t succ)
{
    struct ws_held_node *nodes = p->nodes;
    if (!d->head) {
        nodes[i].prev = i;
        nodes[i].next = 0;
        d->head = i;
        return;
    }
    uint32_t at = succ ? succ : d->head; /* at.prev becomes the predecessor */
    uint32_t pred = nodes[at].prev;
    nodes[i].prev = pred;
    nodes[i].next = succ;
    nodes[at].prev = i;
    if (succ == d->head)
        d->head = i; /* pred is the tail: head.prev, as it must be */
    else
        nodes[pred].next = i;
}

static void list_remove(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i)
{
    struct ws_held_node *nodes = p->nodes;
    uint32_t prev = nodes[i].prev, next = nodes[i].next;
    if (i == d->head) {
        d->head = next;
        if (next)
            nodes[next].prev = prev == i ? next : prev;
        return;
    }
    nodes[prev].next = next;
    nodes[next ? next : d->head].prev = prev;
}

static void account(struct ws_held_pool *p, struct ws_tcp_dir *d, const struct ws_held_node *n,
                    uint32_t add, uint32_t sub)
{
    if (n->kind == WS_HELD_HOLE)
        return;
    p->bytes += add;
    p->bytes -= sub;
    d->held_bytes += add;
    d->held_bytes -= sub;
}

uint32_t ws_held_add(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t succ,
                     const struct ws_held_new *w)
{
    uint32_t i = node_get(p), cell = 0;
    if (!i)
        return 0;
    if (w->kind == WS_HELD_DATA) {
        cell = chain_get(p, w->len);
        if (!cell) {
            node_put(p, i);
            return 0;
        }
        chain_fill(p, cell, w->data, w->len);
    }
    struct ws_held_node *n = &p->nodes[i];
    *n = (struct ws_held_node){
        .pos = w->pos,
        .seg_pos = w->seg_pos,
        .len = w->len,
        .seg_len = w->seg_len,
        .prio = next_prio(p),
        .cell = cell,
        .meta = *w->meta,
        .kind = (uint8_t)w->kind,
        .cause = (uint8_t)w->cause,
        .owner = d->head ? p->nodes[d->head].owner : owner_get(p, w->owner),
    };
    treap_insert(p, &d->root, i);
    list_insert(p, d, i, succ);
    account(p, d, n, w->len, 0);
    d->held_nodes++;
    return i;
}

void ws_held_remove(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i)
{
    struct ws_held_node *n = &p->nodes[i];
    treap_remove(p, &d->root, i);
    list_remove(p, d, i);
    chain_put(p, n->cell);
    account(p, d, n, 0, n->len);
    d->held_nodes--;
    if (!d->head)
        owner_put(p, n->owner);
    node_put(p, i);
}

void ws_held_cut_front(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i, uint32_t k)
{
    struct ws_held_node *n = &p->nodes[i];
    account(p, d, n, 0, k);
    n->pos += k;
    n->len -= k;
    if (n->kind != WS_HELD_DATA)
        return;
    uint32_t at = n->cell_off + k;
    for (; at >= WS_HELD_CELL; at -= WS_HELD_CELL) {
        uint32_t next = p->cell_next[n->cell];
        cell_put(p, n->cell);
        n->cell = next;
    }
    n->cell_off = (uint16_t)at;
}

void ws_held_cut_back(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i, uint32_t k)
{
    struct ws_held_node *n = &p->nodes[i];
    account(p, d, n, 0, k);
    n->len -= k;
    if (n->kind != WS_HELD_DATA)
        return;
    uint32_t at, cell = cell_at(p, n, n->len - 1, &at);
    chain_put(p, p->cell_next[cell]);
    p->cell_next[cell] = 0;
}

/* Puts len bytes behind those of node n. Its caller has just freed as many cells as that can need.
 */
static void append(struct ws_held_pool *p, struct ws_held_node *n, const uint8_t *data,
                   uint32_t len)
{
    uint32_t at, last = cell_at(p, n, n->len - 1, &at), here = WS_MIN(len, WS_HELD_CELL - 1 - at);
    memcpy(cell_data(p, last) + at + 1, data, here);
    if (len > here) {
        uint32_t more = chain_get(p, len - here);
        assert(more);
        p->cell_next[last] = more;
        chain_fill(p, more, data + here, len - here);
    }
}

bool ws_held_join(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i)
{
    struct ws_held_node *a = &p->nodes[i];
    const uint32_t next = a->next;
    if (!next)
        return false;
    const struct ws_held_node b = p->nodes[next];
    const uint64_t most = a->kind == WS_HELD_DATA ? WS_HELD_PIECE : UINT32_MAX / 2;
    if (b.pos != ws_held_end(a) || b.kind != a->kind || a->kind == WS_HELD_HOLE ||
        (uint64_t)a->len + b.len > most)
        return false;
    uint8_t bytes[WS_HELD_PIECE];
    if (b.kind == WS_HELD_DATA)
        ws_held_copy(p, next, 0, b.len, bytes);
    ws_held_remove(p, d, next);
    if (b.kind == WS_HELD_DATA)
        append(p, a, bytes, b.len);
    account(p, d, a, b.len, 0);
    a->len += b.len;
    a->seg_len = (uint32_t)(WS_MAX(a->seg_pos + a->seg_len, b.seg_pos + b.seg_len) - a->seg_pos);
    return true;
}

bool ws_held_carve(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i, uint64_t from,
                   uint64_t to)
{
    struct ws_held_node *n = &p->nodes[i];
    uint64_t end = ws_held_end(n);
    if (from <= n->pos && to >= end) {
        ws_held_remove(p, d, i);
    } else if (from <= n->pos) {
        ws_held_cut_front(p, d, i, (uint32_t)(to - n->pos));
    } else if (to >= end) {
        ws_held_cut_back(p, d, i, (uint32_t)(end - from));
    } else {
        uint8_t tail[WS_HELD_PIECE];
        struct ws_tcp_meta meta = n->meta;
        uint32_t tail_len = (uint32_t)(end - to);
        if (n->kind == WS_HELD_DATA)
            ws_held_copy(p, i, (uint32_t)(to - n->pos), tail_len, tail);
        meta.piece = 1;
        struct ws_held_new w = {
            .pos = to,
            .seg_pos = n->seg_pos,
            .data = tail,
            .len = tail_len,
            .seg_len = n->seg_len,
            .kind = (enum ws_held_kind)n->kind,
            .cause = (enum ws_gap_cause)n->cause,
            .meta = &meta,
        };
        if (!ws_held_add(p, d, n->next, &w))
            return false;
        ws_held_cut_back(p, d, i, (uint32_t)(end - from));
    }
    return true;
}
