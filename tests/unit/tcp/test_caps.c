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
    /* the other direction has it all; in-order bytes need none, others cost a gap */
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1005, 5001, "e");
    S(r, 0, "A", 1006, 5001, "f");
    rig_expect(r, 0, "abc.ef");
    rig_expect(r, 1, "");
    S(r, 1, "A", 5001, 1001, "a");
    rig_expect(r, 1, "ay");
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
        cmocka_unit_test(c69_nodes_of_a_direction),
        cmocka_unit_test(c69_larger_than_the_cap),
        cmocka_unit_test(c69_new_segment_is_the_lowest),
        cmocka_unit_test(c69_pool_in_all),
        cmocka_unit_test(c69_cells_in_all),
        cmocka_unit_test(c69_no_pool_at_all),
        cmocka_unit_test(c69_policy_that_splits_without_a_node),
        cmocka_unit_test(c69_fast_open_data_without_room),
        cmocka_unit_test(tiny_segments_in_reverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
