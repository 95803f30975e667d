/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow table against a naive twin: random operations, small capacities, poor hashes. */
#include "fixture.h"

#include <stdio.h>

enum { KEYS = 700, ROUNDS = 60, STEPS = 4000, EXT = 40 };

struct twin_flow {
    bool here;
    int64_t last_clock_ns;
    uint8_t cls;
    uint64_t ordinal;
    uint32_t mark;
};

struct world {
    struct fixture *x;
    struct twin_flow twin[KEYS];
    uint32_t count;
    uint32_t hash_values; /* 0: the table's own hash, else that many different ones */
    struct ws_flow *held[WS_BURST_MAX];
    unsigned n_held;
    bool adding; /* an eviction may come */
    uint64_t crowded_before;
    int64_t now_ns;
    uint64_t flushed_ordinal;
    uint64_t next_ordinal;
};

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
    rng_state = rng_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((rng_state >> 32) * below >> 32);
}

static uint32_t hash_of(const struct world *w, uint32_t n)
{
    struct ws_key k = make_key(n);
    uint32_t h = ws_flow_table_hash(w->x->table, &k);
    return w->hash_values ? (h % w->hash_values) * 0x20000001u : h;
}

static bool twin_idle(const struct world *w, const struct twin_flow *f)
{
    int64_t timeout_ns = w->x->cfg.timeout_ns[f->cls];
    return timeout_ns && w->now_ns - f->last_clock_ns > timeout_ns;
}

static void check_same(const struct ws_flow *f, const struct twin_flow *t)
{
    assert_int_equal(f->last_clock_ns, t->last_clock_ns);
    assert_int_equal(f->flow_class, t->cls);
    assert_int_equal(f->first_ordinal[0], t->ordinal);
    const uint8_t *ext = ws_flow_ext((struct ws_flow *)(uintptr_t)f, 0);
    for (unsigned i = 0; i < EXT; i += 4)
        assert_int_equal(ws_load_le32(ext + i), t->mark);
}

static bool held(const struct world *w, const struct ws_flow *f)
{
    for (unsigned i = 0; i < w->n_held; i++)
        if (w->held[i] == f)
            return true;
    return false;
}

static void check_victim(const struct world *w, const struct ws_flow *f)
{
    assert_true(w->adding);
    assert_false(held(w, f));
    if (ws_count_get(&w->x->counters, WS_C_FLOWS_CROWDED) != w->crowded_before)
        return;
    assert_int_equal(w->count, w->x->cfg.flows_max);
    for (uint32_t i = 0; i < KEYS; i++) {
        if (!w->twin[i].here || w->twin[i].cls >= f->flow_class)
            continue;
        struct ws_key k = make_key(i);
        assert_true(held(w, ws_flow_table_lookup(w->x->table, &k, hash_of(w, i))));
    }
}

static void world_gone(void *user, struct ws_flow *f, enum ws_flow_cause cause)
{
    struct world *w = user;
    uint32_t n = key_number(&f->key, KEYS);
    assert_true(n < KEYS);
    struct twin_flow *t = &w->twin[n];
    assert_true(t->here);
    check_same(f, t);
    if (cause == WS_FLOW_EVICTED) {
        check_victim(w, f);
    } else if (cause == WS_FLOW_IDLE) {
        assert_true(twin_idle(w, t));
    } else {
        assert_int_equal(cause, WS_FLOW_END_OF_INPUT);
        assert_true(w->flushed_ordinal == 0 || t->ordinal > w->flushed_ordinal);
        w->flushed_ordinal = t->ordinal;
    }
    t->here = false;
    w->count--;
}

static struct ws_flow *look(struct world *w, uint32_t n)
{
    struct ws_key k = make_key(n);
    struct ws_flow *f = ws_flow_table_lookup(w->x->table, &k, hash_of(w, n));
    assert_int_equal(f != NULL, w->twin[n].here);
    if (f)
        check_same(f, &w->twin[n]);
    return f;
}

static void step_add(struct world *w, uint32_t n)
{
    struct twin_flow *t = &w->twin[n];
    if (look(w, n))
        return;
    w->n_held = rng(3) ? 0 : rng(WS_BURST_MAX);
    for (unsigned i = 0; i < w->n_held; i++)
        w->held[i] = look(w, rng(KEYS));
    w->adding = true;
    w->crowded_before = ws_count_get(&w->x->counters, WS_C_FLOWS_CROWDED);
    struct ws_key k = make_key(n);
    struct ws_flow *f =
        ws_flow_table_add(w->x->table, &k, hash_of(w, n), w->now_ns, w->held, w->n_held);
    w->adding = false;
    if (!f) { /* full, and every flow in there is held */
        assert_int_equal(w->count, w->x->cfg.flows_max);
        for (uint32_t i = 0; i < KEYS; i++)
            assert_true(!w->twin[i].here || held(w, look(w, i)));
        return;
    }
    for (unsigned i = 0; i < EXT; i++)
        assert_int_equal(((uint8_t *)ws_flow_ext(f, 0))[i], 0);
    *t = (struct twin_flow){.here = true,
                            .last_clock_ns = w->now_ns,
                            .cls = WS_FLOW_UNANSWERED,
                            .ordinal = ++w->next_ordinal,
                            .mark = rng(UINT32_MAX)};
    f->first_ordinal[0] = t->ordinal;
    for (unsigned i = 0; i < EXT; i += 4)
        ws_store_le32((uint8_t *)ws_flow_ext(f, i), t->mark);
    w->count++;
}

static void step_touch(struct world *w, uint32_t n)
{
    struct ws_flow *f = look(w, n);
    if (!f)
        return;
    assert_int_equal(ws_flow_table_is_idle(w->x->table, f, w->now_ns), twin_idle(w, &w->twin[n]));
    w->twin[n].cls = rng(2) ? w->twin[n].cls : (uint8_t)rng(WS_FLOW_CLASSES);
    w->twin[n].last_clock_ns = w->now_ns;
    ws_flow_table_touch(w->x->table, f, w->now_ns, w->twin[n].cls);
}

static void step_burst(struct world *w)
{
    struct ws_key key[WS_BURST_MAX];
    const struct ws_key *ptr[WS_BURST_MAX] = {NULL};
    uint32_t hash[WS_BURST_MAX] = {0}, number[WS_BURST_MAX];
    struct ws_flow *out[WS_BURST_MAX];
    unsigned n = rng(WS_BURST_MAX + 1);
    for (unsigned i = 0; i < n; i++) {
        number[i] = rng(KEYS);
        key[i] = make_key(number[i]);
        ptr[i] = &key[i];
        hash[i] = hash_of(w, number[i]);
    }
    ws_flow_table_lookup_burst(w->x->table, ptr, hash, n, out);
    for (unsigned i = 0; i < n; i++)
        assert_ptr_equal(out[i], look(w, number[i]));
}

static void step(struct world *w)
{
    uint32_t n = rng(KEYS), what = rng(1000);
    w->now_ns += rng(2) ? 0 : (int64_t)rng(1u << 30);
    if (what < 450) {
        step_add(w, n);
    } else if (what < 700) {
        step_touch(w, n);
    } else if (what < 850) {
        struct ws_flow *f = look(w, n);
        if (f) {
            ws_flow_table_remove(w->x->table, f);
            w->twin[n].here = false;
            w->count--;
        }
    } else if (what < 950) {
        step_burst(w);
    } else if (what < 998) {
        ws_flow_table_expire(w->x->table, w->now_ns, rng(50));
    } else {
        w->flushed_ordinal = 0;
        ws_flow_table_flush(w->x->table, WS_FLOW_END_OF_INPUT);
        assert_int_equal(w->count, 0);
    }
    assert_int_equal(ws_flow_table_count(w->x->table), w->count);
}

static void random_operations(void **state)
{
    (void)state;
    const char *env = getenv("WS_TEST_SEED");
    rng_state = env ? strtoull(env, NULL, 0) : 20240607;
    printf("WS_TEST_SEED=%llu\n", (unsigned long long)rng_state);
    static const uint32_t hash_values[] = {0, 0, 1, 2, 7, 50};
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct ws_flow_table_config cfg = {
            .flows_max = 1 + rng(rng(2) ? 20 : 500), .ext_bytes = EXT, .seed = rng_state};
        for (unsigned c = 0; c < WS_FLOW_CLASSES; c++)
            cfg.timeout_ns[c] = rng(3) ? (int64_t)rng(100) << 30 : 0;
        struct fixture *x = fixture_create(cfg);
        struct world *w = calloc(1, sizeof(*w));
        assert_non_null(w);
        w->x = x;
        w->hash_values = hash_values[rng(WS_ARRAY_SIZE(hash_values))];
        /* the same memory once more, with the twin's own callback */
        memset(x->mem, 0, ws_flow_table_bytes(&cfg));
        x->table = ws_flow_table_init(x->mem, &cfg, &x->counters, world_gone, w);
        for (unsigned i = 0; i < STEPS; i++)
            step(w);
        for (uint32_t n = 0; n < KEYS; n++)
            look(w, n);
        /* one round of expiry leaves nothing idle */
        w->now_ns += INT64_C(50) << 30;
        ws_flow_table_expire(x->table, w->now_ns, cfg.flows_max);
        for (uint32_t n = 0; n < KEYS; n++)
            assert_false(w->twin[n].here && twin_idle(w, &w->twin[n]));
        w->flushed_ordinal = 0;
        ws_flow_table_flush(x->table, WS_FLOW_END_OF_INPUT);
        assert_int_equal(w->count, 0);
        assert_int_equal(fixture_count(x, WS_C_FLOWS_CREATED), fixture_count(x, WS_C_FLOWS_CLOSED));
        assert_int_equal(fixture_count(x, WS_C_FLOWS_CREATED), w->next_ordinal);
        free(w);
        fixture_destroy(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_operations)};
    return cmocka_run_group_tests_name("flow/model", tests, NULL, NULL);
}
