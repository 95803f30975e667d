/* SPDX-License-Identifier: BSD-3-Clause */
/* Case 69: what a cap costs, and that it never costs in-order bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "tcp/internal.h"

CASE(c69_bytes_of_a_direction)
{
    r->cfg.dir_bytes_max = 8;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "ab");
    S(r, 0, "A", 1005, 5001, "efgh");
    S(r, 0, "A", 1011, 5001, "klmn");
    rig_expect(r, 0, "ab");
    S(r, 0, "A", 1017, 5001, "qrst"); /* 12 bytes: the oldest hole is given up */
    rig_expect(r, 0, "ab..efgh");
    S(r, 0, "A", 1009, 5001, "ij");
    rig_expect(r, 0, "ab..efghijklmn");
    S(r, 0, "A", 1003, 5001, "cd"); /* too late */
    rig_close(r);
    rig_expect(r, 0, "ab..efghijklmn..qrst");
    assert_int_equal(r->stream[0].causes, 1u << WS_GAP_CAP | 1u << WS_GAP_NEVER_SEEN);
    assert_int_equal(rig_count(r, WS_C_REFUSED_CAP), 0);
}

/* Cut segments bring a hole each. When the nodes run out during a midstream wait the stream begins, and every hole
 * keeps its place, its length and its cause. */
static void cut_midstream(struct rig *r, uint32_t nodes_max, uint32_t n, bool backwards)
{
    char want[256] = "";
    r->cfg.dir_nodes_max = nodes_max;
    rig_restart(r);
    r->snap = 2;
    for (uint32_t i = 0; i < n; i++) {
        S(r, 0, "A", 1001 + 5 * (backwards ? n - 1 - i : i), 5001, "abcde");
        strcat(want, "ab...");
    }
    rig_close(r);
    if (backwards) /* what lies below the start is refused */
        assert_true(r->stream[0].len <= 5 * n && r->stream[0].gap_bytes < r->stream[0].len);
    else
        rig_expect(r, 0, want);
    assert_int_equal(r->stream[0].causes & ~(1u << WS_GAP_SNAPLEN | 1u << WS_GAP_CAP), 0);
    if (!backwards)
        assert_int_equal(r->stream[0].causes, 1u << WS_GAP_SNAPLEN);
}

CASE(cut_segments_at_the_cap_of_a_midstream_wait)
{
    for (uint32_t nodes = 1; nodes < 12; nodes++) {
        cut_midstream(r, nodes, 20, false);
        cut_midstream(r, nodes, 20, true);
    }
}

CASE(c69_nodes_of_a_direction)
{
    r->cfg.dir_nodes_max = 3;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    for (uint32_t i = 0; i < 5; i++)
        S(r, 0, "A", 1002 + 2 * i, 5001, "x");
    rig_expect(r, 0, ".x.x");
    rig_close(r);
    rig_expect(r, 0, ".x.x.x.x.x");
}

CASE(c69_larger_than_the_cap)
{
    static char big[5000];
    memset(big, 'x', sizeof(big));
    r->cfg.dir_bytes_max = 100;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    rig_push(r, 0, "A", 1011, 5001, big, sizeof(big));
    assert_int_equal(r->stream[0].len, 10 + sizeof(big));
    S(r, 0, "A", 1011 + sizeof(big), 5001, "end");
    assert_int_equal(r->stream[0].len, 13 + sizeof(big));
}

CASE(c69_new_segment_is_the_lowest)
{
    r->cfg.dir_bytes_max = 4;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1007, 5001, "ghij");
    S(r, 0, "A", 1003, 5001, "cd"); /* no room: the hole before it goes, it is delivered itself */
    rig_expect(r, 0, "..cd");
    S(r, 0, "A", 1005, 5001, "ef");
    rig_expect(r, 0, "..cdefghij");
}

CASE(c69_pool_in_all)
{
    r->cfg.nodes_max = 4;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    for (uint32_t i = 0; i < 4; i++)
        S(r, 1, "A", 5002 + 2 * i, 1001, "y");
    /* the other direction has it all; in-order bytes need none, others cost it its oldest holes */
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1005, 5001, "e");
    S(r, 0, "A", 1007, 5001, "g");
    rig_expect(r, 0, "abc");
    rig_expect(r, 1, ".y.y");
    S(r, 0, "A", 1004, 5001, "d");
    rig_expect(r, 0, "abcde");
    S(r, 1, "A", 5005, 1001, "a");
    rig_expect(r, 1, ".y.yay");
}

CASE(c69_cells_in_all)
{
    r->cfg.bytes_max = 4 * WS_HELD_CELL;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    for (uint32_t i = 0; i < 6; i++)
        S(r, 0, "A", 1002 + 2 * i, 5001, "x");
    rig_expect(r, 0, ".x.x");
}

CASE(c69_no_pool_at_all)
{
    r->cfg.nodes_max = 0;
    r->cfg.bytes_max = 0;
    rig_restart(r);
    S(r, 0, "A", 1001, 5001, "midstream");
    S(r, 0, "A", 1012, 5001, "x");
    S(r, 0, "A", 1010, 5001, "late");
    rig_close(r);
    rig_expect(r, 0, "midstream..xe");
}

CASE(c69_policy_that_splits_without_a_node)
{
    r->cfg.overlap = WS_OVERLAP_LAST;
    r->cfg.nodes_max = 1;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1002, 5001, "bcdefg");
    S(r, 0, "A", 1004, 5001, "D");
    rig_expect(r, 0, ".bcdefg"); /* out, before the later copy had a place */
}

CASE(c69_fast_open_data_without_room)
{
    r->cfg.nodes_max = 0;
    rig_restart(r);
    S(r, 0, "S", 1000, 0, "fast");
    assert_int_equal(rig_count(r, WS_C_REFUSED_CAP), 4);
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "A", 1001, 5001, "fast");
    rig_expect(r, 0, "fast");
}

/* One byte at each second position: 2,000 nodes. */
static void comb(struct rig *r)
{
    rig_open(r, 1000, 5000);
    for (uint32_t i = 0; i < 1000; i++)
        S(r, 0, "A", 1003 + 2 * i, 5001, "x");
    assert_int_equal(r->c.dir[0].held_nodes, 1000);
}

/* A segment that covers many held ones must not cost as many steps each time that it comes. */
static void cover(struct rig *r)
{
    static uint8_t y[2048];
    memset(y, 'y', sizeof(y));
    for (unsigned i = 0; i < 3; i++)
        rig_push(r, 0, "A", 1002, 5001, y, 2002);
    assert_true(r->c.dir[0].held_nodes < 80);
    S(r, 0, "A", 1001, 5001, "z");
    assert_int_equal(r->c.dir[0].held_nodes, 0);
    assert_int_equal(r->stream[0].len, 2003);
    assert_int_equal(r->stream[0].gaps, 0);
}

CASE(covered_nodes_are_joined)
{
    comb(r);
    cover(r);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(r->stream[0].bytes[2 + 2 * i], 'x'); /* the first copies */
        assert_int_equal(r->stream[0].bytes[1 + 2 * i], 'y');
    }
}

CASE(covered_nodes_are_joined_last_wins)
{
    r->cfg.overlap = WS_OVERLAP_LAST;
    rig_restart(r);
    comb(r);
    cover(r);
    for (uint32_t i = 1; i < 2003; i++)
        assert_int_equal(r->stream[0].bytes[i], 'y');
}

CASE(covered_ranges_are_joined)
{
    r->cfg.want = WS_TCP_WANT_GAPS;
    rig_restart(r);
    comb(r);
    rig_push(r, 0, "A", 1002, 5001, r->stream[0].bytes, 200);
    static const uint8_t y[2002];
    rig_push(r, 0, "A", 1002, 5001, y, sizeof(y));
    assert_true(r->c.dir[0].held_nodes < 80);
    S(r, 0, "A", 1001, 5001, "z");
    assert_int_equal(ws_tcp_dir_length(&r->c.dir[0]), 2003);
    assert_int_equal(r->stream[0].gaps, 0);
}

CASE(a_hole_over_many_pieces_is_bounded)
{
    static const uint8_t y[2000];
    comb(r);
    r->snap = 1;
    rig_push(r, 0, "A", 1002, 5001, y, sizeof(y));
    r->snap = 0;
    assert_true(r->c.dir[0].held_nodes < 1000 + 40);
    rig_close(r);
    assert_int_equal(r->stream[0].len, 2001);
}

/* The rig records one connection; others have these. */
struct other {
    uint32_t bytes, gaps;
};

static void other_data(void *flow, unsigned dir, uint64_t off, const uint8_t *data, uint32_t len,
                       const struct ws_tcp_meta *meta, void *user)
{
    struct other *o = flow;
    (void)dir, (void)off, (void)data, (void)meta, (void)user;
    o->bytes += len;
}

static void other_gap(void *flow, unsigned dir, uint64_t off, uint64_t len, enum ws_gap_cause cause,
                      void *user)
{
    struct other *o = flow;
    (void)dir, (void)off, (void)len, (void)user;
    assert_int_equal(cause, WS_GAP_CAP);
    o->gaps++;
}

/* Connections that leave holes open for ever must not keep the pool from others. */
static void oldest_holes_go_first(void **state)
{
    enum { OLD = 5, MANY = 300 };
    static const struct ws_tcp_ops ops = {.data = other_data, .gap = other_gap};
    static struct ws_tcp_conn c[OLD + 1];
    static struct other seen[OLD + 1];
    struct ws_tcp_config cfg = rig_config();
    struct ws_counters counters = {0};
    (void)state;
    cfg.nodes_max = 1000;
    cfg.want = WS_TCP_WANT_DATA;
    size_t bytes = ws_align_up(ws_tcp_bytes(&cfg), 64);
    void *mem = aligned_alloc(64, bytes);
    assert_non_null(mem);
    memset(mem, 0, bytes);
    struct ws_tcp *t = ws_tcp_init(mem, &cfg, &counters, &ops, NULL);
    for (unsigned i = 0; i <= OLD; i++) {
        struct ws_tcp_segment s = {.meta = {.flags = WS_TCP_SYN, .seq = 1000, .window = 1000}};
        ws_tcp_push(t, &c[i], &seen[i], 0, &s);
        s.data = (const uint8_t *)"x";
        s.len = s.wire_len = 1;
        if (i == 4) { /* payload on an undecided SYN */
            s.meta.seq = 1000;
            ws_tcp_push(t, &c[i], &seen[i], 0, &s);
            continue;
        }
        for (uint32_t n = 0; n < (i < OLD ? MANY : 10); n++) {
            s.meta =
                (struct ws_tcp_meta){.flags = WS_TCP_ACK, .seq = (i < OLD ? 1010 : 1002) + 2 * n};
            ws_tcp_push(t, &c[i], &seen[i], 0, &s);
        }
    }
    assert_int_equal(t->pool.nodes_used, 1000);
    assert_true(seen[0].gaps >= 200);
    assert_int_equal(seen[1].gaps, 0);
    for (unsigned i = 1; i < OLD; i++)
        assert_int_equal(seen[i].gaps, 0);
    assert_int_equal(seen[OLD].gaps, 0); /* the new one lost nothing */
    assert_int_equal(c[OLD].dir[0].held_nodes, 10);
    assert_int_equal(ws_count_get(&counters, WS_C_PAYLOAD_SEEN),
                     ws_count_get(&counters, WS_C_PAYLOAD_DELIVERED) +
                         ws_count_get(&counters, WS_C_PAYLOAD_HELD));
    /* all the way to the end: the pool is empty, whoever made room */
    for (unsigned i = 0; i <= OLD; i++) {
        seen[i].gaps = 0;
        ws_tcp_close(t, &c[i], &seen[i], WS_GAP_CAP);
    }
    assert_int_equal(t->pool.nodes_used, 0);
    assert_null(ws_held_oldest(&t->pool));
    free(mem);
}

/* Payload of an undecided SYN makes room too. */
static void syn_payload_makes_room(void **state)
{
    static const struct ws_tcp_ops ops = {.data = other_data, .gap = other_gap};
    static struct ws_tcp_conn c[2];
    static struct other seen[2];
    struct ws_tcp_config cfg = rig_config();
    struct ws_counters counters = {0};
    (void)state;
    cfg.nodes_max = 1;
    cfg.want = WS_TCP_WANT_DATA;
    size_t bytes = ws_align_up(ws_tcp_bytes(&cfg), 64);
    void *mem = aligned_alloc(64, bytes);
    assert_non_null(mem);
    memset(mem, 0, bytes);
    struct ws_tcp *t = ws_tcp_init(mem, &cfg, &counters, &ops, NULL);
    struct ws_tcp_segment s = {.data = (const uint8_t *)"x", .len = 1, .wire_len = 1};
    s.meta = (struct ws_tcp_meta){.flags = WS_TCP_SYN, .seq = 1000};
    ws_tcp_push(t, &c[0], &seen[0], 0, &s);
    assert_int_equal(c[0].dir[0].held_nodes, 1);
    s.len = s.wire_len = 0;
    ws_tcp_push(t, &c[1], &seen[1], 0, &s);
    s.len = s.wire_len = 1;
    s.meta = (struct ws_tcp_meta){.flags = WS_TCP_ACK, .seq = 1002};
    ws_tcp_push(t, &c[1], &seen[1], 0, &s);
    assert_int_equal(c[0].dir[0].held_nodes, 0);
    assert_int_equal(c[1].dir[0].held_nodes, 1);
    assert_int_equal(ws_count_get(&counters, WS_C_REFUSED_CAP), 1);
    /* sent again, it counts */
    s.meta = (struct ws_tcp_meta){.flags = WS_TCP_SYN | WS_TCP_ACK, .seq = 5000, .ack = 1001};
    s.len = s.wire_len = 0;
    ws_tcp_push(t, &c[0], &seen[0], 1, &s);
    s.len = s.wire_len = 1;
    s.meta = (struct ws_tcp_meta){.flags = WS_TCP_ACK, .seq = 1001, .ack = 5001};
    ws_tcp_push(t, &c[0], &seen[0], 0, &s);
    assert_int_equal(seen[0].bytes, 1);
    for (unsigned i = 0; i < 2; i++)
        ws_tcp_close(t, &c[i], &seen[i], WS_GAP_CAP);
    assert_int_equal(t->pool.nodes_used, 0);
    free(mem);
}

CASE(a_stamp_at_the_end_of_time)
{
    r->ts_ns = INT64_MAX - 10;
    r->step_ns = 1;
    S(r, 0, "A", 2006, 5001, "world");
    S(r, 0, "A", 2001, 5001, "hello");
    rig_close(r);
    rig_expect(r, 0, "helloworld");
}

/* Ranges of datagrams given up incomplete: the cause of their gaps, unless the bytes come. */
CASE(gaps_of_missing_fragments)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1021, 5001, "xyz");
    ws_tcp_note_missing(r->t, &r->c, 0, 1006, 5);
    ws_tcp_note_missing(r->t, &r->c, 0, 1001, 3); /* came */
    S(r, 0, "A", 1006, 5001, "de");               /* came in part */
    rig_close(r);
    rig_expect(r, 0, "abc..de.............xyz");
    /* [3,5) never seen, [7,10) fragment, [10,20) never seen */
    assert_int_equal(r->stream[0].gaps, 3);
    assert_int_equal(r->stream[0].causes, 1u << WS_GAP_NEVER_SEEN | 1u << WS_GAP_FRAGMENT);
    for (unsigned i = 0; i < WS_TCP_MISSING; i++)
        assert_null(r->t->missing[i].c);
}

CASE(tiny_segments_in_reverse)
{
    /* 2,000 one-byte segments downwards: a list would need two million steps, this must not */
    rig_open(r, 1000, 5000);
    for (uint32_t i = 2000; i > 0; i--)
        S(r, 0, "A", 1001 + i, 5001, "z");
    assert_int_equal(ws_tcp_held_nodes(r->t), 2000);
    /* the depth of the treap, not time, says so: 2000 random keys stay far below 64 levels */
    const struct ws_held_pool *p = &r->t->pool;
    uint32_t stack[2048], depth[2048], top = 0, deepest = 0;
    stack[top] = r->c.dir[0].root;
    depth[top++] = 1;
    while (top) {
        uint32_t i = stack[--top], level = depth[top];
        const struct ws_held_node *n = ws_held_node(p, i);
        deepest = WS_MAX(deepest, level);
        if (n->left) {
            stack[top] = n->left;
            depth[top++] = level + 1;
        }
        if (n->right) {
            stack[top] = n->right;
            depth[top++] = level + 1;
        }
    }
    assert_true(deepest < 64);
    S(r, 0, "A", 1001, 5001, "a");
    assert_int_equal(r->stream[0].len, 2001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c69_bytes_of_a_direction),
        cmocka_unit_test(cut_segments_at_the_cap_of_a_midstream_wait),
        cmocka_unit_test(c69_nodes_of_a_direction),
        cmocka_unit_test(c69_larger_than_the_cap),
        cmocka_unit_test(c69_new_segment_is_the_lowest),
        cmocka_unit_test(c69_pool_in_all),
        cmocka_unit_test(c69_cells_in_all),
        cmocka_unit_test(c69_no_pool_at_all),
        cmocka_unit_test(c69_policy_that_splits_without_a_node),
        cmocka_unit_test(c69_fast_open_data_without_room),
        cmocka_unit_test(covered_nodes_are_joined),
        cmocka_unit_test(covered_nodes_are_joined_last_wins),
        cmocka_unit_test(covered_ranges_are_joined),
        cmocka_unit_test(a_hole_over_many_pieces_is_bounded),
        cmocka_unit_test(oldest_holes_go_first),
        cmocka_unit_test(syn_payload_makes_room),
        cmocka_unit_test(a_stamp_at_the_end_of_time),
        cmocka_unit_test(gaps_of_missing_fragments),
        cmocka_unit_test(tiny_segments_in_reverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
