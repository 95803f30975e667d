/* SPDX-License-Identifier: BSD-3-Clause */
/* FIN, RST and reuse of the tuple: cases 21 to 40 of the reassembly list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

CASE(c21_fin_with_data_retransmitted)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "FAP", 1004, 5001, "def");
    S(r, 0, "FAP", 1004, 5001, "def");
    S(r, 0, "FAP", 1001, 5001, "abcdef");
    rig_expect(r, 0, "abcdef");
    assert_int_equal(r->event_count[WS_TCP_EV_FIN], 1);
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_DUPLICATE), 9);
    assert_int_equal(r->c.state, WS_TCP_CLOSING);
}

CASE(c22_fin_before_the_last_data)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "FA", 1007, 5001, "");
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 0, "A", 1001, 5001, "abc");
    rig_expect(r, 0, "abcdef");
    rig_close(r);
    assert_int_equal(r->stream[0].gaps, 0);
}

CASE(c23_data_beyond_fin)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "FA", 1001, 5001, "abc");
    S(r, 0, "A", 1004, 5001, "zzz");
    S(r, 0, "A", 1002, 5001, "bcyy");
    S(r, 0, "A", 1100, 5001, "xx");
    rig_close(r);
    rig_expect(r, 0, "abc");
    assert_int_equal(rig_count(r, WS_C_REFUSED_BEYOND_FIN), 3 + 2);
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_OVERLAP), 2); /* "yy" against "zz", which was held */
    assert_int_equal(r->stream[0].gaps, 0);
}

CASE(c23_held_beyond_fin)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1003, 5001, "cdEF");
    S(r, 0, "A", 1010, 5001, "XYZ");
    S(r, 0, "FA", 1005, 5001, "");
    S(r, 0, "A", 1001, 5001, "ab");
    rig_expect(r, 0, "abcd");
    rig_close(r);
    rig_expect(r, 0, "abcd");
    assert_int_equal(rig_count(r, WS_C_REFUSED_BEYOND_FIN), 5);
}

/* A FIN that the peer did not accept: it acknowledges bytes beyond. */
CASE(c23_fin_taken_back)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "FA", 1004, 5001, "");
    S(r, 0, "A", 1004, 5001, "def");
    rig_expect(r, 0, "abc"); /* until the peer has spoken */
    assert_int_equal(r->c.state, WS_TCP_CLOSING);
    S(r, 1, "A", 5001, 1007, "");
    rig_expect(r, 0, "abcdef");
    assert_int_equal(r->c.state, WS_TCP_OPEN);
    assert_int_equal(rig_count(r, WS_C_FIN_IGNORED), 1);
    S(r, 0, "A", 1007, 5001, "ghi");
    rig_expect(r, 0, "abcdefghi");
    S(r, 0, "FA", 1010, 5001, "");
    S(r, 1, "A", 5001, 1011, "");
    S(r, 0, "A", 1010, 5001, "no more");
    rig_expect(r, 0, "abcdefghi");
    assert_int_equal(r->c.state, WS_TCP_CLOSING);
    assert_int_equal(rig_count(r, WS_C_REFUSED_BEYOND_FIN), 7);
}

/* What an accepted FIN is followed by is not the sender's, whatever is acknowledged later. */
CASE(c23_fin_accepted)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "FA", 1001, 5001, "abc");
    S(r, 1, "A", 5001, 1005, "");
    S(r, 0, "A", 1004, 5001, "zzz");
    S(r, 1, "A", 5001, 1007, "");
    S(r, 0, "A", 1004, 5001, "zzz");
    rig_close(r);
    rig_expect(r, 0, "abc");
    assert_int_equal(rig_count(r, WS_C_REFUSED_BEYOND_FIN), 6);
    assert_int_equal(rig_count(r, WS_C_FIN_IGNORED), 0);
}

/* The ACK alone is a hint: without bytes beyond, it contradicts nothing. */
CASE(c23_fin_and_a_wild_ack)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "FA", 1001, 5001, "abc");
    S(r, 1, "A", 5001, 2005, "");
    S(r, 0, "A", 1004, 5001, "z");
    assert_int_equal(r->c.state, WS_TCP_CLOSING);
    rig_close(r);
    rig_expect(r, 0, "abc");
}

/* Of two FINs the acknowledged one counts: a forged one ahead makes no hole at the end, */
CASE(c23_forged_fin_ahead)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "FA", 60000, 5001, "");
    S(r, 0, "FA", 1001, 5001, "abc");
    S(r, 1, "A", 5001, 1005, "");
    rig_close(r);
    rig_expect(r, 0, "abc");
    assert_int_equal(r->stream[0].gaps, 0);
}

/* nor does one between end the stream early, though the other came before the answer. */
CASE(c23_forged_fin_between)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 1, "FA", 5001, 1004, "");
    S(r, 0, "FA", 1004, 5002, "");
    assert_int_equal(r->c.state, WS_TCP_CLOSED);
    S(r, 0, "FA", 1004, 5002, "def");
    rig_expect(r, 0, "abc");
    S(r, 1, "A", 5002, 1008, "");
    rig_expect(r, 0, "abcdef");
    assert_int_equal(r->c.state, WS_TCP_CLOSED);
    S(r, 0, "A", 1007, 5002, "behind");
    rig_expect(r, 0, "abcdef");
    assert_string_equal(ws_tcp_conn_state(&r->c), "SF");
}

/* What is held for a FIN to be taken back costs no other byte: at a cap it goes first. */
CASE(c23_beyond_fin_at_a_cap)
{
    r->cfg.dir_nodes_max = 4;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    S(r, 0, "FA", 1011, 5001, "");
    for (uint32_t i = 0; i < 6; i++)
        S(r, 0, "A", 1020 + 2 * i, 5001, "z");
    for (uint32_t i = 2; i <= 8; i += 2)
        S(r, 0, "A", 1001 + i, 5001, "x");
    assert_int_equal(rig_count(r, WS_C_REFUSED_BEYOND_FIN), 6);
    S(r, 0, "A", 1001, 5001, "a");
    for (uint32_t i = 1; i <= 9; i += 2)
        S(r, 0, "A", 1001 + i, 5001, "y");
    rig_close(r);
    rig_expect(r, 0, "ayxyxyxyxy");
    assert_int_equal(rig_count(r, WS_C_REFUSED_BEYOND_FIN), 6);
    assert_int_equal(r->stream[0].gaps, 0);
}

/* Nobody keeps bytes: what comes before the peer's ACK is refused, what comes after it is not. */
CASE(c23_fin_taken_back_segments_only)
{
    r->cfg.want = WS_TCP_WANT_SEGMENT;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    S(r, 0, "FA", 1001, 5001, "abc");
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 1, "A", 5001, 1007, "");
    S(r, 0, "A", 1007, 5001, "ghi");
    assert_string_equal(r->segments, "0:abc 6:ghi ");
    assert_int_equal(rig_count(r, WS_C_REFUSED_BEYOND_FIN), 3);
}

CASE(c24_half_close)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "FA", 1001, 5001, "q");
    S(r, 1, "A", 5001, 1003, "answer ");
    S(r, 1, "A", 5008, 1003, "goes on");
    rig_expect(r, 1, "answer goes on");
    assert_int_equal(r->c.state, WS_TCP_CLOSING);
    assert_string_equal(ws_tcp_conn_state(&r->c), "S2");
    S(r, 1, "FA", 5015, 1003, "");
    assert_int_equal(r->c.state, WS_TCP_CLOSED);
    assert_string_equal(ws_tcp_conn_state(&r->c), "SF");
}

static void finish(struct rig *r)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "FA", 1004, 5001, "");
    S(r, 1, "FA", 5001, 1005, "");
    S(r, 0, "A", 1005, 5002, "");
}

CASE(c25_retransmission_after_both_fins)
{
    finish(r);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "FA", 1004, 5001, "");
    S(r, 1, "FA", 5001, 1005, "");
    rig_expect(r, 0, "abc");
    assert_int_equal(r->past_count, 0);
    assert_int_equal(r->c.state, WS_TCP_CLOSED);
}

CASE(c26_hole_filled_after_fin)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "ab");
    S(r, 0, "FA", 1005, 5001, "ef");
    S(r, 1, "FA", 5001, 1008, "");
    rig_expect(r, 0, "ab");
    S(r, 0, "A", 1003, 5001, "cd");
    rig_expect(r, 0, "abcdef");
}

CASE(c27_rst_then_late_retransmission)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "RA", 1004, 5001, "");
    S(r, 0, "A", 1001, 5001, "abc");
    rig_expect(r, 0, "abc");
    assert_int_equal(r->c.state, WS_TCP_RESET);
    assert_int_equal(r->past_count, 0);
    assert_string_equal(ws_tcp_conn_state(&r->c), "RSTO");
}

CASE(c28_rst_payload)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "RA", 1004, 5001, "because");
    rig_close(r);
    rig_expect(r, 0, "abc");
    assert_int_equal(rig_count(r, WS_C_REFUSED_RST), 7);
}

CASE(c29_rst_outside_the_window)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 1, "A", 5001, 1004, "");
    S(r, 0, "R", 1004 + (1 << 20), 0, "");
    S(r, 0, "R", 900, 0, "");
    assert_int_equal(r->c.state, WS_TCP_OPEN);
    assert_int_equal(r->event_count[WS_TCP_EV_RST_IGNORED], 2);
    S(r, 0, "A", 1004, 5001, "def");
    rig_expect(r, 0, "abcdef");
    assert_false(EVENT(r, RST));
}

CASE(c30_forged_rst_and_the_stream_goes_on)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "R", 1004, 0, "");
    assert_int_equal(r->c.state, WS_TCP_RESET);
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 1, "A", 5001, 1007, "ok");
    rig_expect(r, 0, "abcdef");
    rig_expect(r, 1, "ok");
    assert_int_equal(r->c.state, WS_TCP_OPEN);
    assert_true(EVENT(r, RST) && EVENT(r, RST_IGNORED));
    assert_int_equal(r->past_count, 0);
}

CASE(c30_forged_rst_between_both_fins)
{
    rig_open(r, 1000, 5000);
    S(r, 1, "FA", 5001, 1001, "");
    S(r, 0, "R", 1001, 0, "");
    S(r, 0, "FA", 1001, 5002, "abc"); /* takes the reset back, and is the second FIN */
    assert_int_equal(r->c.state, WS_TCP_CLOSED);
    S(r, 0, "S", 90000, 0, "");
    assert_int_equal(r->verdict, WS_TCP_NEW_CONNECTION);
    assert_string_equal(r->past[0].text[0], "abc");
}

CASE(c30_bytes_of_the_other_side_are_kept)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "RA", 1001, 5001, "");
    S(r, 1, "A", 5001, 1001, "in flight");
    rig_expect(r, 1, "in flight");
    assert_int_equal(r->c.state, WS_TCP_RESET);
}

CASE(c31_rst_before_everything_is_acknowledged)
{
    rig_open(r, 1000, 5000);
    S(r, 1, "A", 5001, 1001, "abc");
    S(r, 1, "A", 5007, 1001, "ghi");
    S(r, 0, "R", 1001, 0, "");
    S(r, 1, "A", 5004, 1001, "def");
    rig_close(r);
    rig_expect(r, 1, "abcdefghi");
    assert_int_equal(r->stream[1].gaps, 0);
}

CASE(c31_no_gap_up_to_the_rst)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 1, "A", 5001, 1004, "");
    S(r, 0, "R", 1400, 5001, "");
    rig_close(r);
    rig_expect(r, 0, "abc");
    assert_int_equal(r->stream[0].gaps, 0);
}

/* A FIN of an older connection, captured between SYN and SYN/ACK, does not end the new one. */
CASE(fin_of_another_isn)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "FA", 3000000000u, 77, "");
    S(r, 0, "FA", 1001, 5001, "abc");
    S(r, 1, "SA", 5000, 1001, "");
    assert_int_equal(r->c.state, WS_TCP_CLOSING);
    S(r, 0, "S", 90000, 0, ""); /* a stray, then */
    assert_int_equal(r->verdict, WS_TCP_TAKEN);
    S(r, 1, "FA", 5001, 1005, "xy");
    assert_int_equal(r->c.state, WS_TCP_CLOSED);
    rig_expect(r, 0, "abc");
    rig_expect(r, 1, "xy");
}

CASE(c33_reuse_after_fin)
{
    finish(r);
    assert_int_equal(S(r, 0, "S", 900000, 0, ""), WS_TCP_NEW_CONNECTION);
    assert_string_equal(r->past[0].text[0], "abc");
    S(r, 1, "SA", 70000, 900001, "");
    S(r, 0, "A", 900001, 70001, "new");
    rig_expect(r, 0, "new");
    assert_int_equal(r->past_count, 1);
}

CASE(c34_reuse_after_rst)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 1, "RA", 5001, 1004, "");
    assert_int_equal(S(r, 0, "S", 900000, 0, ""), WS_TCP_NEW_CONNECTION);
    S(r, 1, "SA", 70000, 900001, "");
    S(r, 0, "A", 900001, 70001, "new");
    rig_expect(r, 0, "new");
    assert_string_equal(r->past[0].text[0], "abc");
    assert_string_equal(r->past[0].state, "RSTR");
}

CASE(c35_reuse_with_the_close_not_captured)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    assert_int_equal(S(r, 0, "S", 900000, 0, ""), WS_TCP_TAKEN);
    assert_int_equal(S(r, 1, "SA", 70000, 900001, ""), WS_TCP_NEW_CANDIDATE);
    assert_int_equal(r->c.state, WS_TCP_SYN_RECEIVED);
    S(r, 0, "A", 900001, 70001, "new");
    rig_expect(r, 0, "new");
    assert_string_equal(r->past[0].text[0], "abc");
    assert_string_equal(r->c.history, "ShD");
}

CASE(c35_client_only)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "S", 900000, 0, "");
    assert_int_equal(S(r, 0, "A", 900001, 70001, "new"), WS_TCP_NEW_CANDIDATE);
    rig_expect(r, 0, "new");
}

CASE(c35_syn_lost)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    assert_int_equal(S(r, 1, "SA", 70000, 900001, ""), WS_TCP_TAKEN);
    assert_int_equal(S(r, 0, "A", 900001, 70001, ""), WS_TCP_NEW_CANDIDATE);
    S(r, 0, "A", 900001, 70001, "new");
    S(r, 1, "A", 70001, 900004, "yes");
    rig_expect(r, 0, "new");
    rig_expect(r, 1, "yes");
    assert_int_equal(r->c.orig, 0);
}

CASE(c36_lone_injected_syn)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "S", 900000, 0, "");
    S(r, 1, "A", 5001, 1004, "ack");
    S(r, 0, "A", 1004, 5004, "def");
    rig_expect(r, 0, "abcdef");
    rig_expect(r, 1, "ack");
    assert_int_equal(r->past_count, 0);
    assert_true(EVENT(r, SYN_IGNORED));
}

CASE(c36_its_isn_chosen_to_fit_the_stream)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "S", 1003, 0, ""); /* the stream's next byte would be the new one's first */
    S(r, 0, "A", 1004, 5001, "def");
    rig_expect(r, 0, "abcdef");
    assert_int_equal(r->past_count, 0);
}

CASE(c37_new_isn_just_above_the_old_end)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "S", 1010, 0, "");
    S(r, 1, "SA", 70000, 1011, "");
    S(r, 0, "A", 1011, 70001, "new");
    rig_expect(r, 0, "new");
    assert_int_equal(r->past_count, 1);
    assert_string_equal(r->past[0].text[0], "abc");
}

CASE(c37_after_fin)
{
    finish(r);
    S(r, 0, "S", 1005, 0, "");
    S(r, 1, "SA", 5002, 1006, "");
    S(r, 0, "A", 1006, 5003, "new");
    rig_expect(r, 0, "new");
    assert_int_equal(r->past_count, 1);
}

CASE(c38_late_duplicate_of_the_old_connection)
{
    rig_open(r, 40000000, 5000);
    S(r, 0, "A", 40000001, 5001, "abc");
    S(r, 0, "FA", 40000004, 5001, "");
    S(r, 1, "FA", 5001, 40000005, "");
    S(r, 0, "S", 39999000, 0, "");
    S(r, 1, "SA", 700000000, 39999001, "");
    S(r, 0, "A", 39999001, 700000001, "new");
    /* ahead of the new stream and in its window; but it acknowledges the old server's bytes */
    S(r, 0, "A", 40000001, 5001, "abc");
    S(r, 0, "A", 39999004, 700000001, "er");
    rig_close(r);
    rig_expect(r, 0, "newer");
    assert_int_equal(r->past_count, 1);
    assert_int_equal(rig_count(r, WS_C_REFUSED_WINDOW), 3);
    assert_int_equal(r->stream[0].gaps, 0);
}

CASE(c38_below_the_new_isn)
{
    finish(r);
    S(r, 0, "S", 900000, 0, "");
    S(r, 1, "SA", 70000, 900001, "");
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "S", 1000, 0, ""); /* the old SYN as well */
    S(r, 0, "A", 900001, 70001, "new");
    rig_close(r);
    rig_expect(r, 0, "new");
    assert_int_equal(r->past_count, 1);
}

CASE(c39_roles_swapped)
{
    finish(r);
    S(r, 1, "S", 70000, 0, "");
    S(r, 0, "SA", 900000, 70001, "");
    S(r, 1, "A", 70001, 900001, "hello");
    rig_expect(r, 1, "hello");
    assert_int_equal(r->c.orig, 1);
    assert_int_equal(r->past_count, 1);
    assert_string_equal(r->c.history, "ShD");
}

CASE(c40_replaced_at_once)
{
    finish(r);
    r->step_ns = 0;
    for (uint32_t i = 1; i <= 4; i++) {
        uint32_t isn = i * 100000;
        assert_int_equal(S(r, 0, "S", isn, 0, ""), WS_TCP_NEW_CONNECTION);
        S(r, 1, "SA", 70000, isn + 1, "");
        S(r, 0, "FA", isn + 1, 70001, "again");
        S(r, 1, "FA", 70001, isn + 7, "");
        rig_expect(r, 0, "again");
    }
    assert_int_equal(r->past_count, 4);
}

CASE(refused_connection_tried_again)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "RA", 0, 1001, "");
    assert_string_equal(ws_tcp_conn_state(&r->c), "REJ");
    S(r, 0, "S", 1000, 0, ""); /* the same SYN once more: the same connection */
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "A", 1001, 5001, "abc");
    rig_expect(r, 0, "abc");
    assert_int_equal(r->past_count, 0);
}

CASE(pushed_after_close)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    rig_close(r);
    S(r, 0, "A", 1004, 5001, "def");
    rig_expect(r, 0, "abc");
    assert_int_equal(rig_count(r, WS_C_REFUSED_CLOSED), 3);
}

CASE(trailing_hole_only_when_a_fin_tells)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 1, "A", 5001, 1204, "");  /* acknowledges 200 bytes that we never saw: no gap */
    S(r, 1, "FA", 5011, 1204, ""); /* ten bytes before this FIN are missing */
    rig_close(r);
    rig_expect(r, 0, "abc");
    rig_expect(r, 1, "..........");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c21_fin_with_data_retransmitted),
        cmocka_unit_test(c22_fin_before_the_last_data),
        cmocka_unit_test(c23_data_beyond_fin),
        cmocka_unit_test(c23_held_beyond_fin),
        cmocka_unit_test(c23_fin_taken_back),
        cmocka_unit_test(c23_fin_accepted),
        cmocka_unit_test(c23_fin_and_a_wild_ack),
        cmocka_unit_test(c23_forged_fin_ahead),
        cmocka_unit_test(c23_forged_fin_between),
        cmocka_unit_test(c23_beyond_fin_at_a_cap),
        cmocka_unit_test(c23_fin_taken_back_segments_only),
        cmocka_unit_test(c24_half_close),
        cmocka_unit_test(c25_retransmission_after_both_fins),
        cmocka_unit_test(c26_hole_filled_after_fin),
        cmocka_unit_test(c27_rst_then_late_retransmission),
        cmocka_unit_test(c28_rst_payload),
        cmocka_unit_test(c29_rst_outside_the_window),
        cmocka_unit_test(c30_forged_rst_and_the_stream_goes_on),
        cmocka_unit_test(c30_forged_rst_between_both_fins),
        cmocka_unit_test(c30_bytes_of_the_other_side_are_kept),
        cmocka_unit_test(c31_rst_before_everything_is_acknowledged),
        cmocka_unit_test(c31_no_gap_up_to_the_rst),
        cmocka_unit_test(fin_of_another_isn),
        cmocka_unit_test(c33_reuse_after_fin),
        cmocka_unit_test(c34_reuse_after_rst),
        cmocka_unit_test(c35_reuse_with_the_close_not_captured),
        cmocka_unit_test(c35_client_only),
        cmocka_unit_test(c35_syn_lost),
        cmocka_unit_test(c36_lone_injected_syn),
        cmocka_unit_test(c36_its_isn_chosen_to_fit_the_stream),
        cmocka_unit_test(c37_new_isn_just_above_the_old_end),
        cmocka_unit_test(c37_after_fin),
        cmocka_unit_test(c38_late_duplicate_of_the_old_connection),
        cmocka_unit_test(c38_below_the_new_isn),
        cmocka_unit_test(c39_roles_swapped),
        cmocka_unit_test(c40_replaced_at_once),
        cmocka_unit_test(refused_connection_tried_again),
        cmocka_unit_test(pushed_after_close),
        cmocka_unit_test(trailing_hole_only_when_a_fin_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
