/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow table's promises one by one: adding, finding, eviction, expiry, flush. */
#include "fixture.h"

#define SECOND INT64_C(1000000000)

static const struct ws_flow_table_config small = {.flows_max = 4, .ext_bytes = 24, .seed = 7};

static bool all_zero(const void *p, size_t len)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < len; i++)
        if (b[i])
            return false;
    return true;
}

static void refuses_bad_sizes(void **state)
{
    (void)state;
    struct ws_flow_table_config cfg = small;
    static WS_CACHE_ALIGNED uint8_t mem[4096];
    struct ws_counters c = {0};
    cfg.flows_max = 0;
    assert_null(ws_flow_table_init(mem, &cfg, &c, fixture_gone, NULL));
    cfg.flows_max = UINT32_MAX;
    assert_null(ws_flow_table_init(mem, &cfg, &c, fixture_gone, NULL));
}

/* Ten million flows cost what the header says. */
static void memory_is_as_said(void **state)
{
    (void)state;
    struct ws_flow_table_config cfg = {.flows_max = 10000000, .ext_bytes = 129};
    size_t per_flow = ws_flow_table_bytes(&cfg) / cfg.flows_max;
    assert_int_equal(per_flow, 16 + 384 + 32 + 12);
}

static void add_fills_fields(void **state)
{
    (void)state;
    struct fixture *x = fixture_create(small);
    struct ws_flow *f = add_key(x, 3, 55);
    struct ws_key k = make_key(3);
    assert_non_null(f);
    assert_int_equal((uintptr_t)f % WS_CACHE_LINE, 0);
    assert_memory_equal(&f->key, &k, sizeof(k));
    assert_int_equal(f->last_clock_ns, 55);
    assert_true(ws_flow_first(f)->ordinal[0] == WS_ORDINAL_NONE && ws_flow_first(f)->ordinal[1] == WS_ORDINAL_NONE);
    assert_int_equal(f->flow_class, WS_FLOW_UNANSWERED);
    assert_true(all_zero(f->packets, sizeof(f->packets)) && f->seen == 0 && f->selected == 0);
    assert_true(all_zero(ws_flow_ext(f, 0), 24));
    assert_int_equal(ws_flow_table_count(x->table), 1);
    assert_int_equal(ws_flow_table_capacity(x->table), 4);
    assert_ptr_equal(find_key(x, 3), f);
    assert_null(find_key(x, 4));
    fixture_destroy(x);
}

/* A used entry is as clean as a fresh one when it is given out again, by whichever way it came
 * back. */
static void reused_entries_are_clean(void **state)
{
    (void)state;
    struct fixture *x = fixture_create(small);
    for (unsigned way = 0; way < 3; way++) {
        struct ws_flow *f[4];
        for (uint32_t i = 0; i < 4; i++) {
            f[i] = add_key(x, i, 1);
            f[i]->packets[0] = f[i]->bytes[1] = UINT64_MAX;
            f[i]->last_ts_ns[1] = -1;
            f[i]->seen = 3;
            memset(ws_flow_ext(f[i], 0), 0xee, 24);
        }
        if (way == 0)
            ws_flow_table_remove(x->table, f[2]);
        else if (way == 1)
            ws_flow_table_flush(x->table, WS_FLOW_END_OF_INPUT);
        struct ws_flow *again = add_key(x, 9, 2);
        assert_non_null(again);
        assert_true(all_zero(ws_flow_ext(again, 0), 24));
        assert_true(again->packets[0] == 0 && again->bytes[1] == 0 && again->last_ts_ns[1] == 0);
        assert_int_equal(again->seen, 0);
        ws_flow_table_flush(x->table, WS_FLOW_END_OF_INPUT);
    }
    fixture_destroy(x);
}

static void burst_agrees_with_single(void **state)
{
    (void)state;
    struct fixture *x =
        fixture_create((struct ws_flow_table_config){.flows_max = 1000, .ext_bytes = 64});
    for (uint32_t i = 0; i < 1000; i += 2)
        assert_non_null(add_key(x, i, 1));
    struct ws_key key[WS_BURST_MAX];
    const struct ws_key *ptr[WS_BURST_MAX];
    uint32_t hash[WS_BURST_MAX];
    struct ws_flow *out[WS_BURST_MAX];
    for (uint32_t base = 0; base < 1000; base += WS_BURST_MAX) {
        for (uint32_t i = 0; i < WS_BURST_MAX; i++) {
            key[i] = make_key(base + i);
            ptr[i] = &key[i];
            hash[i] = ws_flow_table_hash(x->table, &key[i]);
        }
        ws_flow_table_lookup_burst(x->table, ptr, hash, WS_BURST_MAX, out);
        for (uint32_t i = 0; i < WS_BURST_MAX; i++) {
            assert_ptr_equal(out[i], find_key(x, base + i));
            assert_int_equal(out[i] != NULL, (base + i) % 2 == 0 && base + i < 1000);
        }
    }
    ws_flow_table_lookup_burst(x->table, NULL, NULL, 0, NULL);
    fixture_destroy(x);
}

/* A key counts as a whole: VLAN, tunnel, MAC and device tell flows apart that share a hash. */
static void whole_key_decides(void **state)
{
    (void)state;
    struct fixture *x = fixture_create((struct ws_flow_table_config){.flows_max = 16});
    struct ws_key k[8];
    struct ws_flow *f[8];
    for (unsigned i = 0; i < 8; i++)
        k[i] = make_key(1);
    k[1].vlan[0] = 5;
    k[2].vlan[1] = 5;
    k[3].tunnel_id = 1;
    k[4].tunnel_type = WS_TUNNEL_VXLAN;
    k[5].mac[1][5] = 1;
    k[6].device = 1;
    k[7].proto = 17;
    for (unsigned i = 0; i < 8; i++)
        f[i] = ws_flow_table_add(x->table, &k[i], 42, 1, NULL, 0);
    for (unsigned i = 0; i < 8; i++)
        assert_ptr_equal(ws_flow_table_lookup(x->table, &k[i], 42), f[i]);
    fixture_destroy(x);
}

/* A full table evicts by class, and within a class the one longest unused. */
static void evicts_lowest_class_oldest(void **state)
{
    (void)state;
    struct fixture *x = fixture_create(small);
    struct ws_flow *f[4];
    for (uint32_t i = 0; i < 4; i++)
        f[i] = add_key(x, i, i * SECOND);
    ws_flow_table_touch(x->table, f[0], 4 * SECOND, WS_FLOW_ESTABLISHED);
    ws_flow_table_touch(x->table, f[1], 5 * SECOND, WS_FLOW_CLOSED);
    ws_flow_table_touch(x->table, f[2], 6 * SECOND, WS_FLOW_UNANSWERED); /* used, same class */

    assert_non_null(add_key(x, 10, 7 * SECOND)); /* 2 has a second chance: 3 goes */
    assert_int_equal(key_number(&x->gone_key[0], 20), 3);
    assert_int_equal(x->gone_cause[0], WS_FLOW_EVICTED);
    ws_flow_table_touch(x->table, find_key(x, 10), 8 * SECOND, WS_FLOW_ESTABLISHED);
    assert_non_null(add_key(x, 11, 9 * SECOND)); /* 2 is the only one unanswered */
    assert_int_equal(key_number(&x->gone_key[1], 20), 2);
    ws_flow_table_touch(x->table, find_key(x, 11), 10 * SECOND, WS_FLOW_ESTABLISHED);
    assert_non_null(add_key(x, 12, 11 * SECOND)); /* then closed */
    assert_int_equal(key_number(&x->gone_key[2], 20), 1);
    ws_flow_table_touch(x->table, find_key(x, 12), 12 * SECOND, WS_FLOW_ANSWERED);
    assert_non_null(add_key(x, 13, 13 * SECOND));
    assert_int_equal(key_number(&x->gone_key[3], 20), 12); /* then answered */
    ws_flow_table_touch(x->table, find_key(x, 13), 14 * SECOND, WS_FLOW_ESTABLISHED);
    assert_non_null(add_key(x, 14, 15 * SECOND)); /* established, the oldest: 0, 10, 11, 13 */
    assert_int_equal(key_number(&x->gone_key[4], 20), 0);
    assert_int_equal(x->n_gone, 5);
    assert_int_equal(fixture_count(x, WS_C_FLOWS_EVICTED_SYN), 2);
    assert_int_equal(fixture_count(x, WS_C_FLOWS_EVICTED_CLOSED), 1);
    assert_int_equal(fixture_count(x, WS_C_FLOWS_EVICTED_ANSWERED), 1);
    assert_int_equal(fixture_count(x, WS_C_FLOWS_EVICTED), 1);
    assert_int_equal(fixture_count(x, WS_C_FLOWS_CREATED), 9);
    assert_int_equal(fixture_count(x, WS_C_FLOWS_CLOSED), 5);
    fixture_destroy(x);
}

/* Few of a class, all used lately: the look is bounded, the longest unused of those seen goes. */
static void eviction_look_is_bounded(void **state)
{
    (void)state;
    struct fixture *x = fixture_create((struct ws_flow_table_config){.flows_max = 500});
    for (uint32_t i = 0; i < 500; i++)
        add_key(x, i, 1);
    for (uint32_t i = 0; i < 500; i++)
        ws_flow_table_touch(x->table, find_key(x, i), (1000 - i) * SECOND,
                            i < 100 ? WS_FLOW_UNANSWERED : WS_FLOW_ESTABLISHED);
    assert_non_null(add_key(x, 1000, 1001 * SECOND));
    assert_int_equal(x->n_gone, 1);
    assert_int_equal(key_number(&x->gone_key[0], 500), 63);
    fixture_destroy(x);
}

/* A flood that answers itself and comes back once to each of its flows looks as used as flows that
 * go on all the time; these stay. */
static void active_flows_outlive_an_answered_flood(void **state)
{
    (void)state;
    enum { TABLE = 500, ACTIVE = 20, LAG = 50, FLOOD = 4000 };
    struct fixture *x = fixture_create((struct ws_flow_table_config){.flows_max = TABLE});
    int64_t now_ns = 0;
    uint32_t random = 1;
    for (uint32_t i = 0; i < FLOOD; i++) {
        now_ns += 1000000000;
        if (i < ACTIVE)
            add_key(x, i, now_ns);
        /* one of the active ones, each about every ACTIVE flows of the flood */
        random = random * 1103515245 + 12345;
        struct ws_flow *f = find_key(x, WS_MIN((random >> 16) % ACTIVE, i));
        assert_non_null(f);
        ws_flow_table_touch(x->table, f, now_ns, WS_FLOW_ESTABLISHED);
        f = add_key(x, 1000000 + i, now_ns);
        assert_non_null(f);
        ws_flow_table_touch(x->table, f, now_ns, WS_FLOW_ESTABLISHED);
        f = i < LAG ? NULL : find_key(x, 1000000 + i - LAG);
        if (f)
            ws_flow_table_touch(x->table, f, now_ns, WS_FLOW_ESTABLISHED);
    }
    for (uint32_t i = 0; i < ACTIVE; i++)
        assert_non_null(find_key(x, i));
    fixture_destroy(x);
}

static void protected_flows_stay(void **state)
{
    (void)state;
    struct fixture *x = fixture_create(small);
    struct ws_flow *held[5] = {NULL};
    struct ws_key k = make_key(50);
    for (uint32_t i = 0; i < 4; i++)
        held[i + 1] = add_key(x, i, i * SECOND);
    /* all but key 2; then all */
    struct ws_flow *three[4] = {NULL, held[1], held[2], held[4]};
    assert_non_null(ws_flow_table_add(x->table, &k, 1, 9 * SECOND, three, 4));
    assert_int_equal(key_number(&x->gone_key[0], 10), 2);
    struct ws_key k2 = make_key(51);
    held[3] = ws_flow_table_lookup(x->table, &k, 1);
    assert_null(ws_flow_table_add(x->table, &k2, 2, 9 * SECOND, held, 5));
    assert_int_equal(ws_flow_table_count(x->table), 4);
    assert_int_equal(x->n_gone, 1);
    fixture_destroy(x);
}

/* More protected flows than the look is long stand before the only one that may go. */
static void protected_flows_do_not_hide_others(void **state)
{
    (void)state;
    struct fixture *x = fixture_create((struct ws_flow_table_config){.flows_max = 65});
    struct ws_flow *held[64];
    for (uint32_t i = 0; i < 64; i++)
        held[i] = add_key(x, i, 1);
    add_key(x, 64, 1);
    struct ws_key k = make_key(99);
    assert_non_null(ws_flow_table_add(x->table, &k, 3, 2, held, 64));
    assert_int_equal(key_number(&x->gone_key[0], 100), 64);
    fixture_destroy(x);
}

/* All hashes equal: both buckets and the overflow fill up; from then on each new flow pushes out
 * the oldest, although the table has room, and every other flow is still found. */
static void one_hash_for_all(void **state)
{
    (void)state;
    struct fixture *x = fixture_create((struct ws_flow_table_config){.flows_max = 1000});
    enum { ROOM = 2 * 10 + 64, FLOWS = 200 };
    for (uint32_t i = 0; i < FLOWS; i++) {
        struct ws_key k = make_key(i);
        assert_null(ws_flow_table_lookup(x->table, &k, 0xffffffff));
        assert_non_null(ws_flow_table_add(x->table, &k, 0xffffffff, i, NULL, 0));
    }
    assert_int_equal(ws_flow_table_count(x->table), ROOM);
    assert_int_equal(fixture_count(x, WS_C_FLOWS_CROWDED), FLOWS - ROOM);
    for (uint32_t i = 0; i < FLOWS; i++) {
        struct ws_key k = make_key(i);
        assert_int_equal(ws_flow_table_lookup(x->table, &k, 0xffffffff) != NULL, i >= FLOWS - ROOM);
    }
    /* a burst's worth of protected flows leaves enough to evict */
    struct ws_flow *held[WS_BURST_MAX];
    for (uint32_t i = 0; i < WS_BURST_MAX; i++) {
        struct ws_key k = make_key(FLOWS - ROOM + i);
        held[i] = ws_flow_table_lookup(x->table, &k, 0xffffffff);
    }
    struct ws_key k = make_key(900);
    assert_non_null(ws_flow_table_add(x->table, &k, 0xffffffff, FLOWS, held, WS_BURST_MAX));
    for (uint32_t i = 0; i < WS_BURST_MAX; i++) {
        k = make_key(FLOWS - ROOM + i);
        assert_ptr_equal(ws_flow_table_lookup(x->table, &k, 0xffffffff), held[i]);
    }
    ws_flow_table_flush(x->table, WS_FLOW_END_OF_INPUT);
    assert_null(ws_flow_table_lookup(x->table, &k, 0xffffffff));
    fixture_destroy(x);
}

/* The counts of flows that live elsewhere go down again: 70,000 comings and goings leave no trace
 * in 16 bits, beside a flow that stays. */
static void counts_do_not_wrap(void **state)
{
    (void)state;
    struct fixture *x = fixture_create((struct ws_flow_table_config){.flows_max = 100});
    for (uint32_t full = 10; full <= 20;
         full += 10) { /* the next goes to the second bucket, overflow */
        struct ws_key stays = make_key(500), k;
        for (uint32_t i = 0; i < full; i++) {
            k = make_key(i);
            assert_non_null(ws_flow_table_add(x->table, &k, 5, 1, NULL, 0));
        }
        assert_non_null(ws_flow_table_add(x->table, &stays, 5, 1, NULL, 0));
        k = make_key(600);
        for (uint32_t i = 0; i < 70000; i++) {
            struct ws_flow *f = ws_flow_table_add(x->table, &k, 5, 1, NULL, 0);
            assert_non_null(f);
            ws_flow_table_remove(x->table, f);
            if (!ws_flow_table_lookup(x->table, &stays, 5))
                fail_msg("lost after %u rounds", i);
        }
        ws_flow_table_flush(x->table, WS_FLOW_END_OF_INPUT);
        x->n_gone = 0;
    }
    fixture_destroy(x);
}

/* With the real hash a table fills to its last entry without crowding. */
static void fills_to_the_last(void **state)
{
    (void)state;
    for (uint32_t max = 1; max <= 60000; max = max * 5 / 2 + 1) {
        struct fixture *x =
            fixture_create((struct ws_flow_table_config){.flows_max = max, .seed = max});
        for (uint32_t i = 0; i < max; i++)
            assert_non_null(add_key(x, i, 1));
        for (uint32_t i = 0; i < max; i++)
            assert_non_null(find_key(x, i));
        assert_int_equal(x->n_gone, 0);
        assert_int_equal(ws_flow_table_count(x->table), max);
        fixture_destroy(x);
    }
}

static void idle_is_later_than_timeout(void **state)
{
    (void)state;
    struct ws_flow_table_config cfg = small;
    cfg.timeout_ns[WS_FLOW_UNANSWERED] = 5 * SECOND;
    struct fixture *x = fixture_create(cfg);
    struct ws_flow *f = add_key(x, 1, 10 * SECOND);
    assert_false(ws_flow_table_is_idle(x->table, f, 15 * SECOND));
    assert_true(ws_flow_table_is_idle(x->table, f, 15 * SECOND + 1));
    assert_false(ws_flow_table_is_idle(x->table, f, 0));
    ws_flow_table_touch(x->table, f, 10 * SECOND, WS_FLOW_ANSWERED); /* no timeout there */
    assert_false(ws_flow_table_is_idle(x->table, f, INT64_MAX));
    f = add_key(x, 2, INT64_MIN);
    assert_true(ws_flow_table_is_idle(x->table, f, INT64_MAX));
    fixture_destroy(x);
}

static void expire_keeps_to_its_budget(void **state)
{
    (void)state;
    struct fixture *x = fixture_create(
        (struct ws_flow_table_config){.flows_max = 100, .timeout_ns = {SECOND, 0, 0, 0}});
    for (uint32_t i = 0; i < 30; i++)
        add_key(x, i, 0);
    ws_flow_table_touch(x->table, find_key(x, 4), 0, WS_FLOW_ESTABLISHED);
    ws_flow_table_expire(x->table, SECOND, 100);
    assert_int_equal(x->n_gone, 0);
    ws_flow_table_expire(x->table, SECOND + 1, 10);
    assert_int_equal(x->n_gone, 9); /* 10 entries looked at, of which 4 has no timeout */
    assert_int_equal(key_number(&x->gone_key[4], 30), 5);
    ws_flow_table_expire(x->table, SECOND + 1, 20);
    assert_int_equal(x->n_gone, 29);
    assert_int_equal(ws_flow_table_count(x->table), 1);
    assert_non_null(find_key(x, 4));
    assert_int_equal(fixture_count(x, WS_C_FLOWS_IDLE), 29);
    assert_int_equal(x->gone_cause[0], WS_FLOW_IDLE);
    ws_flow_table_expire(x->table, SECOND + 1, 0);
    fixture_destroy(x);
}

/* Flush goes by first ordinal, whatever place reuse gave the flows; then the table works again. */
static void flush_goes_by_ordinal(void **state)
{
    (void)state;
    struct fixture *x = fixture_create((struct ws_flow_table_config){.flows_max = 300});
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 300; i++) {
            struct ws_flow *f = add_key(x, i, 1);
            /* a permutation of 0..299, far apart, by either direction */
            ws_flow_first(f)->ordinal[i & 1] = UINT64_C(1) << 40 | i * 101 % 300;
        }
        x->n_gone = 0;
        ws_flow_table_flush(x->table, WS_FLOW_END_OF_INPUT);
        assert_int_equal(x->n_gone, 300);
        for (uint32_t i = 0; i < 300; i++)
            assert_int_equal(key_number(&x->gone_key[i * 101 % 300], 300), i);
        assert_int_equal(ws_flow_table_count(x->table), 0);
        for (uint32_t i = 0; i < 300; i++)
            assert_null(find_key(x, i));
        /* without ordinals: by id */
        add_key(x, 5, 1);
        add_key(x, 3, 1);
        x->n_gone = 0;
        ws_flow_table_flush(x->table, WS_FLOW_END_OF_INPUT);
        assert_int_equal(x->n_gone, 2);
        assert_int_equal(key_number(&x->gone_key[0], 9), 5);
    }
    x->n_gone = 0;
    ws_flow_table_flush(x->table, WS_FLOW_END_OF_INPUT);
    assert_int_equal(x->n_gone, 0);
    fixture_destroy(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_sizes),
        cmocka_unit_test(memory_is_as_said),
        cmocka_unit_test(add_fills_fields),
        cmocka_unit_test(reused_entries_are_clean),
        cmocka_unit_test(burst_agrees_with_single),
        cmocka_unit_test(whole_key_decides),
        cmocka_unit_test(evicts_lowest_class_oldest),
        cmocka_unit_test(eviction_look_is_bounded),
        cmocka_unit_test(active_flows_outlive_an_answered_flood),
        cmocka_unit_test(protected_flows_stay),
        cmocka_unit_test(protected_flows_do_not_hide_others),
        cmocka_unit_test(one_hash_for_all),
        cmocka_unit_test(counts_do_not_wrap),
        cmocka_unit_test(fills_to_the_last),
        cmocka_unit_test(idle_is_later_than_timeout),
        cmocka_unit_test(expire_keeps_to_its_budget),
        cmocka_unit_test(flush_goes_by_ordinal),
    };
    return cmocka_run_group_tests_name("flow/table", tests, NULL, NULL);
}
