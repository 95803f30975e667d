/* SPDX-License-Identifier: BSD-3-Clause */
/* A flow table with its memory, and a log of the flows that it let go. */
#ifndef WS_TESTS_FLOW_FIXTURE_H
#define WS_TESTS_FLOW_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "flow/table.h"

enum { GONE_MAX = 4096 };

struct fixture {
    void *mem;
    struct ws_flow_table *table;
    struct ws_flow_table_config cfg;
    struct ws_counters counters;
    unsigned n_gone;
    struct ws_key gone_key[GONE_MAX];
    enum ws_flow_cause gone_cause[GONE_MAX];
};

static inline void fixture_gone(void *user, struct ws_flow *flow, enum ws_flow_cause cause)
{
    struct fixture *x = user;
    assert_true(x->n_gone < GONE_MAX);
    x->gone_key[x->n_gone] = flow->key;
    x->gone_cause[x->n_gone++] = cause;
}

static inline struct fixture *fixture_create(struct ws_flow_table_config cfg)
{
    struct fixture *x = calloc(1, sizeof(*x));
    assert_non_null(x);
    size_t bytes = ws_align_up(ws_flow_table_bytes(&cfg), WS_CACHE_LINE);
    x->mem = aligned_alloc(WS_CACHE_LINE, bytes);
    assert_non_null(x->mem);
    memset(x->mem, 0, bytes);
    x->cfg = cfg;
    x->table = ws_flow_table_init(x->mem, &cfg, &x->counters, fixture_gone, x);
    assert_non_null(x->table);
    return x;
}

static inline void fixture_destroy(struct fixture *x)
{
    free(x->mem);
    free(x);
}

static inline uint64_t fixture_count(const struct fixture *x, enum ws_counter id)
{
    return ws_count_get(&x->counters, id);
}

/* The n-th of a family of TCP keys. */
static inline struct ws_key make_key(uint32_t n)
{
    struct ws_key k = {.ip_version = 4, .proto = 6, .port = {(uint16_t)(1024 + n % 50000), 80}};
    ws_store_be32(k.addr[0], 0x0a000000u + n / 7);
    ws_store_be32(k.addr[1], 0xc0a80001u);
    return k;
}

static inline uint32_t key_number(const struct ws_key *k, uint32_t limit)
{
    for (uint32_t n = 0; n < limit; n++) {
        struct ws_key x = make_key(n);
        if (memcmp(&x, k, sizeof(x)) == 0)
            return n;
    }
    return UINT32_MAX;
}

static inline struct ws_flow *add_key(struct fixture *x, uint32_t n, int64_t now_ns)
{
    struct ws_key k = make_key(n);
    return ws_flow_table_add(x->table, &k, ws_flow_table_hash(x->table, &k), now_ns, NULL, 0);
}

static inline struct ws_flow *find_key(struct fixture *x, uint32_t n)
{
    struct ws_key k = make_key(n);
    return ws_flow_table_lookup(x->table, &k, ws_flow_table_hash(x->table, &k));
}

#endif
