/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow table against a naive twin: random operations, small capacities, poor hashes. The twin
 * knows each flow's class, when it came into it, and which flow an eviction takes. */
#include "fixture.h"

#include <stdio.h>

#include "flow/hash.h"

enum { KEYS = 700, ROUNDS = 60, STEPS = 4000, EXT = 40 };

struct twin_flow {
    bool here;
    int64_t last_clock_ns;
    uint8_t cls;
    uint64_t ordinal;
    uint32_t mark;
    uint32_t id;
    int64_t listed_ns; /* when it last came to the end of its class's list */
};

struct world {
    struct fixture *x;
    struct twin_flow twin[KEYS];
    uint32_t list[WS_FLOW_CLASSES][KEYS]; /* keys of each class, longest in place first */
    uint32_t listed[WS_FLOW_CLASSES];
    uint32_t draw;     /* the table's random numbers */
    uint32_t expected; /* the key that the next eviction takes; KEYS: none */
    bool evicted;      /* it has */
    uint32_t count;
    uint32_t hash_values; /* 0: the table's own hash, else that many different ones */
    struct ws_flow *held[WS_BURST_MAX];
    unsigned n_held;
    bool adding; /* an eviction may come */
    uint64_t crowded_before;
    int64_t now_ns;
    bool even; /* times are multiples of 2^28 ns, as timeouts are: they pass at the very nanosecond
                */
    bool settled; /* flows come to a class for good, and are used often */
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
    assert_int_equal(ws_flow_first(f)->ordinal[0], t->ordinal);
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

/* --- the twin's lists, and whom an eviction takes (table.h, README.md) --- */

static void list_add(struct world *w, uint32_t n)
{
    struct twin_flow *t = &w->twin[n];
    w->list[t->cls][w->listed[t->cls]++] = n;
    t->listed_ns = t->last_clock_ns;
}

static void list_drop(struct world *w, uint32_t n)
{
    uint32_t *l = w->list[w->twin[n].cls], *count = &w->listed[w->twin[n].cls], i = 0;
    while (l[i] != n)
        i++;
    memmove(&l[i], &l[i + 1], (--*count - i) * sizeof(*l));
}

/* Whether it was used since it was put there, as far as the table's clock of 2^20 ns and 16 bits tells. */
static bool used_since(const struct twin_flow *t)
{
    return (uint16_t)(t->last_clock_ns >> 20) != (uint16_t)(t->listed_ns >> 20);
}

static bool protects(const struct world *w, uint32_t n)
{
    for (unsigned i = 0; i < w->n_held; i++)
        if (w->held[i] && ws_flow_table_id(w->x->table, w->held[i]) == w->twin[n].id)
            return true;
    return false;
}

/* The longest unused of 16 flows drawn from the full table, when half of them are of the class. */
static uint32_t longest_unused_drawn(struct world *w, unsigned c)
{
    uint32_t best = KEYS, fit = 0;
    for (unsigned i = 0; i < 16; i++) {
        w->draw ^= w->draw << 13;
        w->draw ^= w->draw >> 17;
        w->draw ^= w->draw << 5;
        uint32_t id = (uint32_t)((uint64_t)w->draw * w->x->cfg.flows_max >> 32), n = 0;
        while (!w->twin[n].here || w->twin[n].id != id)
            n++;
        if (w->twin[n].cls != c || protects(w, n))
            continue;
        fit++;
        if (best == KEYS || w->twin[n].last_clock_ns < w->twin[best].last_clock_ns)
            best = n;
    }
    return fit >= 8 ? best : KEYS;
}

/* Along the list: the first one not used since; those that were get a second chance, 64 of them. */
static uint32_t second_chance(struct world *w, unsigned c)
{
    uint32_t best = KEYS, looks = WS_MIN(w->listed[c], 64 + w->n_held);
    while (looks--) {
        uint32_t n = w->list[c][0];
        bool held_now = protects(w, n);
        if (!held_now && !used_since(&w->twin[n]))
            return n;
        if (!held_now && (best == KEYS || w->twin[n].last_clock_ns < w->twin[best].last_clock_ns))
            best = n;
        list_drop(w, n);
        list_add(w, n);
    }
    return best;
}

static uint32_t victim(struct world *w)
{
    uint32_t v = KEYS;
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned c = 0; c < WS_FLOW_CLASSES && v == KEYS; c++) {
            bool beginners = c == WS_FLOW_UNANSWERED || c == WS_FLOW_ANSWERED;
            if (w->listed[c] <= (pass == 0 && beginners ? w->x->cfg.flows_max / 64 : 0))
                continue;
            if (c != WS_FLOW_UNANSWERED || used_since(&w->twin[w->list[c][0]]))
                v = longest_unused_drawn(w, c);
            if (v == KEYS)
                v = second_chance(w, c);
        }
    return v;
}

static void check_victim(struct world *w, const struct ws_flow *f, uint32_t n)
{
    assert_true(w->adding);
    assert_false(held(w, f));
    if (w->expected != KEYS && !w->evicted) {
        assert_int_equal(n, w->expected);
        w->evicted = true;
    } else { /* beside that only for want of room in the buckets of its hash */
        assert_true(ws_count_get(&w->x->counters, WS_C_FLOWS_CROWDED) > w->crowded_before);
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
        check_victim(w, f, n);
    } else if (cause == WS_FLOW_IDLE) {
        assert_true(twin_idle(w, t));
    } else {
        assert_int_equal(cause, WS_FLOW_END_OF_INPUT);
        assert_true(w->flushed_ordinal == 0 || t->ordinal > w->flushed_ordinal);
        w->flushed_ordinal = t->ordinal;
    }
    list_drop(w, n);
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
    w->evicted = false;
    w->expected = w->count == w->x->cfg.flows_max ? victim(w) : KEYS;
    w->crowded_before = ws_count_get(&w->x->counters, WS_C_FLOWS_CROWDED);
    struct ws_key k = make_key(n);
    struct ws_flow *f =
        ws_flow_table_add(w->x->table, &k, hash_of(w, n), w->now_ns, w->held, w->n_held);
    w->adding = false;
    assert_true(w->expected == KEYS || w->evicted);
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
                            .mark = rng(UINT32_MAX),
                            .id = ws_flow_table_id(w->x->table, f)};
    list_add(w, n);
    ws_flow_first(f)->ordinal[0] = t->ordinal;
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
    uint8_t cls = w->twin[n].cls;
    if (w->settled && cls == WS_FLOW_UNANSWERED)
        cls = rng(3) ? WS_FLOW_ESTABLISHED : WS_FLOW_ANSWERED;
    else if (!w->settled && rng(2))
        cls = (uint8_t)rng(WS_FLOW_CLASSES);
    bool moves = cls != w->twin[n].cls;
    if (moves)
        list_drop(w, n);
    w->twin[n].cls = cls;
    w->twin[n].last_clock_ns = w->now_ns;
    if (moves)
        list_add(w, n);
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
    if (rng(2))
        w->now_ns += w->even ? (int64_t)rng(5) << 28 : (int64_t)rng(1u << 30);
    if (w->settled)
        what = what < 800 ? 100 + what : what; /* fewer new ones; none is removed */
    if (w->settled && what >= 700 && what < 850)
        what = 500;
    if (what < 450) {
        step_add(w, n);
    } else if (what < 700) {
        step_touch(w, n);
    } else if (what < 850) {
        struct ws_flow *f = look(w, n);
        if (f) {
            ws_flow_table_remove(w->x->table, f);
            list_drop(w, n);
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
        w->even = rng(2);
        w->settled = rng(3) == 0;
        struct ws_flow_secret secret;
        ws_flow_secret_init(&secret, cfg.seed);
        w->draw = secret.start[0] | 1;
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
