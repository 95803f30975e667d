/* SPDX-License-Identifier: BSD-3-Clause */
/* Held segments: a capped pool of nodes and data cells, and an ordered set of ranges a direction.
 *
 *   ws_tcp_dir.root ─> treap by position (search, O(log n) whatever the arrival order)
 *   ws_tcp_dir.head ─> node <-> node <-> node ─┐   list in stream order
 *                        ^──── head.prev ──────┘   (head.prev is the tail)
 *   node.cell ─> cell -> cell -> 0                 its bytes, from cell_off of the first cell
 *
 * Nodes of a direction never overlap. Indices are 1-based, 0 is none.
 */
#ifndef WS_TCP_HELD_H
#define WS_TCP_HELD_H

#include "tcp/tcp.h"

enum {
    WS_HELD_CELL = 256,   /* bytes of a data cell: 1,460 bytes fill six of them to 95 % */
    WS_HELD_PIECE = 2048, /* bytes of a node: bounds what a split has to copy */
};

enum ws_held_kind {
    WS_HELD_DATA,  /* bytes are kept in cells */
    WS_HELD_RANGE, /* captured, but nobody wants the bytes (WS_TCP_WANT_GAPS alone) */
    WS_HELD_HOLE,  /* on the wire, not captured: cause says why */
};

struct ws_held_node {
    uint64_t pos;
    uint64_t seg_pos; /* where the segment that brought it began, for the overlap policies */
    uint32_t len;
    uint32_t seg_len;
    uint32_t left, right; /* treap */
    uint32_t prev, next;  /* list; next also links the free list */
    uint32_t prio;
    uint32_t cell;
    struct ws_tcp_meta meta;
    uint16_t cell_off;
    uint8_t kind;  /* enum ws_held_kind */
    uint8_t cause; /* enum ws_gap_cause of a WS_HELD_HOLE */
    uint32_t owner;
};
static_assert(sizeof(struct ws_held_node) == 88, "touched for each held segment");

/* A direction that holds something; listed from the one that has been for longest. */
struct ws_held_owner {
    struct ws_tcp_conn *conn;
    void *flow;
    uint32_t newer, older; /* newer also links the free list */
    unsigned dir;
};

struct ws_held_pool {
    struct ws_held_node *nodes;   /* nodes_max + 1; [0] unused */
    struct ws_held_owner *owners; /* nodes_max + 1; [0]: newer = the oldest, older = the newest */
    uint32_t *cell_next;          /* cells_max + 1 */
    uint8_t *cells;
    uint32_t nodes_max, cells_max;
    uint32_t nodes_used, cells_used;   /* in use now */
    uint32_t nodes_fresh, cells_fresh; /* never used yet begin here: memory is touched as needed */
    uint32_t nodes_free, cells_free;   /* free lists */
    uint32_t owners_fresh, owners_free;
    uint32_t rng;
    uint64_t bytes; /* payload bytes held (holes do not count) */
};

/* What a node to be added is like; data is NULL unless kind is WS_HELD_DATA. */
struct ws_held_new {
    uint64_t pos, seg_pos;
    const uint8_t *data;
    uint32_t len, seg_len;
    enum ws_held_kind kind;
    enum ws_gap_cause cause;
    const struct ws_tcp_meta *meta;
    const struct ws_held_owner *owner; /* conn, flow, dir of d; read when d holds nothing yet */
};

/* Bytes that a pool for cfg needs. */
size_t ws_held_pool_bytes(const struct ws_tcp_config *cfg);
/* Builds the pool in mem (zero, 64-byte aligned, borrowed). */
void ws_held_pool_init(struct ws_held_pool *p, void *mem, const struct ws_tcp_config *cfg);

static inline struct ws_held_node *ws_held_node(const struct ws_held_pool *p, uint32_t i)
{
    return &p->nodes[i];
}

static inline uint64_t ws_held_end(const struct ws_held_node *n)
{
    return n->pos + n->len;
}

/* The first node of d that ends beyond pos, or 0. */
uint32_t ws_held_find(const struct ws_held_pool *p, const struct ws_tcp_dir *d, uint64_t pos);

/* The node after i in stream order, or 0. */
static inline uint32_t ws_held_after(const struct ws_held_pool *p, uint32_t i)
{
    return p->nodes[i].next;
}

/* The direction that has been holding for longest, or NULL. */
static inline const struct ws_held_owner *ws_held_oldest(const struct ws_held_pool *p)
{
    return p->owners[0].newer ? &p->owners[p->owners[0].newer] : NULL;
}

/* Adds a node (len 1..WS_HELD_PIECE, overlapping no other) before node succ (0: at the end).
 * Returns its index, or 0 when the pool has no node or cells left: nothing is changed then. */
uint32_t ws_held_add(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t succ,
                     const struct ws_held_new *n);

/* Takes node i out and frees it. */
void ws_held_remove(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i);

/* Cuts the first or last k bytes (k < len) off node i. */
void ws_held_cut_front(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i, uint32_t k);
void ws_held_cut_back(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i, uint32_t k);

/* Makes one node of i and the one behind it, with i's metadata, if both hold bytes or both are
 * ranges, touch, and are not too long together. Returns whether it did; the node behind is gone
 * then. */
bool ws_held_join(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i);

/* Makes room for [from, to) inside node i: what lies before stays, what lies behind moves to a new
 * node. Returns false, with nothing changed, when that needs a node and there is none. When all of
 * i is covered it is removed. */
bool ws_held_carve(struct ws_held_pool *p, struct ws_tcp_dir *d, uint32_t i, uint64_t from,
                   uint64_t to);

/* Copies len bytes from offset off of node i (WS_HELD_DATA) to dst. */
void ws_held_copy(const struct ws_held_pool *p, uint32_t i, uint32_t off, uint32_t len,
                  uint8_t *dst);

/* Whether len bytes from offset off of node i equal data. */
bool ws_held_equal(const struct ws_held_pool *p, uint32_t i, uint32_t off, uint32_t len,
                   const uint8_t *data);

/* The node's bytes [off, off + len): in place when they lie in one cell, else copied to scratch
 * (WS_HELD_PIECE bytes). */
const uint8_t *ws_held_bytes(const struct ws_held_pool *p, uint32_t i, uint32_t off, uint32_t len,
                             uint8_t *scratch);

#endif
