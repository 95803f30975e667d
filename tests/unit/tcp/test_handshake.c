/* SPDX-License-Identifier: BSD-3-Clause */
/* Handshakes and streams begun midstream: cases 1 to 20 of the reassembly list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

CASE(c01_plain_handshake)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "AP", 1001, 5001, "hello");
    S(r, 1, "AP", 5001, 1006, "world!");
    S(r, 0, "A", 1006, 5007, "");
    rig_expect(r, 0, "hello");
    rig_expect(r, 1, "world!");
    assert_int_equal(r->c.state, WS_TCP_OPEN);
    assert_true(EVENT(r, ESTABLISHED) && !EVENT(r, MIDSTREAM));
    assert_int_equal(r->event_count[WS_TCP_EV_ESTABLISHED], 1);
    assert_string_equal(r->c.history, "ShADd");
}

CASE(c02_syn_retransmitted)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "S", 1000, 0, "");
    rig_open(r, 1000, 5000);
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "S", 1000, 0, ""); /* a late copy inside the connection */
    S(r, 0, "A", 1004, 5001, "def");
    rig_expect(r, 0, "abcdef");
    assert_int_equal(r->past_count, 0);
    assert_false(EVENT(r, SYN_IGNORED));
}

CASE(c03_only_the_answered_isn_counts)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "S", 90000, 0, "");
    S(r, 1, "SA", 5000, 90001, "");
    S(r, 0, "A", 90001, 5001, "new");
    rig_expect(r, 0, "new");
    assert_int_equal(r->past_count, 0);
}

CASE(c03_the_first_isn_answered)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "S", 90000, 0, "");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "A", 1001, 5001, "old");
    rig_expect(r, 0, "old");
}

CASE(c03_one_side_only)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "S", 90000, 0, "");
    S(r, 0, "A", 1001, 5001, "old");
    rig_expect(r, 0, "old");
}

CASE(c04_syn_ack_duplicated)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "A", 1001, 5001, "");
    S(r, 1, "A", 5001, 1001, "abc");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 1, "A", 5004, 1001, "def");
    rig_expect(r, 1, "abcdef");
    assert_int_equal(r->past_count, 0);
}

CASE(c05_the_ack_selects_the_syn_ack)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 1, "SA", 700000, 1001, "");
    S(r, 0, "A", 1001, 700001, "");
    S(r, 1, "A", 700001, 1001, "second");
    rig_expect(r, 1, "second");
    assert_int_equal(r->c.state, WS_TCP_OPEN);
}

CASE(c05_the_first_syn_ack_selected)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 1, "SA", 700000, 1001, "");
    S(r, 0, "A", 1001, 5001, "");
    S(r, 1, "A", 5001, 1001, "first");
    rig_expect(r, 1, "first");
}

CASE(c06_simultaneous_open)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "S", 5000, 0, "");
    S(r, 0, "SA", 1000, 5001, "");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "A", 1001, 5001, "a");
    S(r, 1, "A", 5001, 1002, "b");
    rig_expect(r, 0, "a");
    rig_expect(r, 1, "b");
    assert_int_equal(r->past_count, 0);
    assert_int_equal(r->c.orig, 0);
}

CASE(c07_split_handshake_four)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "S", 5000, 0, "");
    S(r, 0, "SA", 1000, 5001, "");
    S(r, 1, "A", 5001, 1001, "");
    S(r, 0, "A", 1001, 5001, "GET");
    S(r, 1, "A", 5001, 1004, "200");
    rig_expect(r, 0, "GET");
    rig_expect(r, 1, "200");
    assert_int_equal(r->past_count, 0);
}

CASE(c07_split_handshake_five)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "A", 777777, 1001, "");
    S(r, 1, "S", 5000, 0, "");
    S(r, 0, "SA", 1000, 5001, "");
    S(r, 1, "A", 5001, 1001, "");
    S(r, 0, "A", 1001, 5001, "GET");
    S(r, 1, "A", 5001, 1004, "200");
    rig_expect(r, 0, "GET");
    rig_expect(r, 1, "200");
    assert_int_equal(r->past_count, 0);
}

CASE(c08_syn_ack_before_syn)
{
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "A", 1001, 5001, "x");
    S(r, 1, "A", 5001, 1002, "y");
    rig_expect(r, 0, "x");
    rig_expect(r, 1, "y");
    assert_int_equal(r->past_count, 0);
    assert_int_equal(r->c.orig, 0);
    assert_string_equal(r->c.history, "^hSDd");
    assert_string_equal(ws_tcp_conn_state(&r->c), "S1");
}

CASE(c09_data_before_its_syn)
{
    S(r, 0, "AP", 1004, 5001, "def");
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "SA", 5000, 1001, "");
    rig_expect(r, 0, "");
    S(r, 0, "AP", 1001, 5001, "abc");
    rig_expect(r, 0, "abcdef");
    assert_int_equal(r->past_count, 0);
}

CASE(c09_data_of_both_before_the_handshake)
{
    S(r, 1, "AP", 5001, 1001, "banner");
    S(r, 0, "A", 1001, 5001, "");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "AP", 1001, 5007, "cmd");
    rig_expect(r, 0, "cmd");
    rig_expect(r, 1, "banner");
    assert_int_equal(r->past_count, 0);
    assert_int_equal(r->c.orig, 0);
}

CASE(c10_syn_with_ecn)
{
    /* ECE and CWR on the SYN are no part of the rig's letters: set by hand */
    struct ws_tcp_segment s = {
        .meta = {.seq = 1000, .flags = WS_TCP_SYN | WS_TCP_ECE | WS_TCP_CWR}};
    assert_int_equal(ws_tcp_push(r->t, &r->c, r, 0, &s), WS_TCP_TAKEN);
    s.meta = (struct ws_tcp_meta){
        .seq = 5000, .ack = 1001, .flags = WS_TCP_SYN | WS_TCP_ACK | WS_TCP_ECE};
    assert_int_equal(ws_tcp_push(r->t, &r->c, r, 1, &s), WS_TCP_TAKEN);
    S(r, 0, "A", 1001, 5001, "abc");
    s.meta = (struct ws_tcp_meta){
        .seq = 1004, .ack = 5001, .flags = WS_TCP_ACK | WS_TCP_CWR | WS_TCP_ECE};
    s.data = (const uint8_t *)"def";
    s.len = s.wire_len = 3;
    assert_int_equal(ws_tcp_push(r->t, &r->c, r, 0, &s), WS_TCP_TAKEN);
    rig_expect(r, 0, "abcdef");
}

CASE(c11_fast_open_acknowledged)
{
    S(r, 0, "S", 1000, 0, "fast");
    rig_expect(r, 0, "");
    S(r, 1, "SA", 5000, 1005, "");
    rig_expect(r, 0, "fast");
    S(r, 0, "A", 1005, 5001, "er");
    rig_expect(r, 0, "faster");
}

CASE(c12_fast_open_refused)
{
    S(r, 0, "S", 1000, 0, "fast");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "A", 1001, 5001, "fast");
    S(r, 0, "A", 1005, 5001, "er");
    rig_expect(r, 0, "faster");
    assert_int_equal(rig_count(r, WS_C_REFUSED_SYN), 4);
}

CASE(c12_fast_open_one_side_only)
{
    S(r, 0, "S", 1000, 0, "fast");
    S(r, 0, "A", 1001, 5001, "fast");
    S(r, 0, "A", 1005, 5001, "er");
    rig_expect(r, 0, "faster");
}

CASE(c12_fast_open_never_answered)
{
    S(r, 0, "S", 1000, 0, "fast");
    S(r, 0, "S", 1000, 0, "fast");
    rig_expect(r, 0, "");
    rig_close(r);
    rig_expect(r, 0, "fast"); /* it was sent, and nothing says that it was refused */
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_DUPLICATE), 4);
}

CASE(c13_data_on_syn_ack)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "SA", 5000, 1001, "hi");
    rig_expect(r, 1, "");
    S(r, 0, "A", 1001, 5003, "");
    rig_expect(r, 1, "hi");
    S(r, 1, "A", 5003, 1001, " there");
    rig_expect(r, 1, "hi there");
}

CASE(c14_stale_challenge_ack)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "A", 300000, 7777, "");
    S(r, 0, "R", 7777, 0, "");
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "A", 1001, 5001, "real");
    S(r, 1, "A", 5001, 1005, "data");
    rig_expect(r, 0, "real");
    rig_expect(r, 1, "data");
    assert_int_equal(r->c.state, WS_TCP_OPEN);
    assert_int_equal(r->past_count, 0);
    assert_true(EVENT(r, RST_IGNORED) && !EVENT(r, RST));
}

CASE(c14_stale_data_instead)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "AP", 300000, 7777, "stale");
    S(r, 0, "R", 7777, 0, "");
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "A", 1001, 5001, "real");
    S(r, 1, "A", 5001, 1005, "data");
    rig_expect(r, 0, "real");
    rig_expect(r, 1, "data");
}

CASE(c15_midstream_both)
{
    S(r, 0, "AP", 1000, 5000, "abc");
    S(r, 1, "AP", 5000, 1003, "xyz");
    S(r, 0, "AP", 1003, 5003, "def");
    S(r, 1, "A", 5003, 1006, "");
    rig_expect(r, 0, "abcdef");
    rig_expect(r, 1, "xyz");
    assert_true(EVENT(r, MIDSTREAM) && !EVENT(r, ESTABLISHED));
    assert_string_equal(ws_tcp_conn_state(&r->c), "OTH");
}

CASE(c16_midstream_lowest_comes_later)
{
    S(r, 0, "AP", 1006, 5000, "ghi");
    S(r, 0, "AP", 1003, 5000, "def");
    S(r, 0, "AP", 1000, 5000, "abc");
    rig_expect(r, 0, "");
    S(r, 1, "A", 5000, 1009, "");
    rig_expect(r, 0, "abcdefghi");
    S(r, 0, "AP", 990, 5000, "0123456789");
    S(r, 0, "AP", 1009, 5000, "jkl");
    rig_expect(r, 0, "abcdefghijkl");
    assert_int_equal(rig_count(r, WS_C_REFUSED_BEFORE_START), 10);
}

CASE(c16_the_wait_ends_with_time)
{
    S(r, 0, "AP", 1003, 5000, "def");
    S(r, 0, "AP", 1000, 5000, "abc");
    rig_expect(r, 0, "");
    r->ts_ns += 2000000000;
    S(r, 1, "A", 5000, 900, "");
    rig_expect(r, 0, "abcdef");
}

CASE(c16_the_wait_ends_with_bytes)
{
    static char big[70000];
    memset(big, 'x', sizeof(big));
    rig_push(r, 0, "A", 100000, 5000, big, sizeof(big));
    assert_int_equal(r->stream[0].len, sizeof(big));
}

CASE(c17_syn_and_first_segment_lost)
{
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 0, "AP", 1004, 5001, "def");
    S(r, 1, "A", 5001, 1007, "");
    rig_expect(r, 0, "");
    rig_close(r);
    rig_expect(r, 0, "...def");
    assert_int_equal(r->stream[0].gaps, 1);
}

CASE(c17_syn_ack_and_first_segment_lost)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "A", 1001, 5001, "");
    S(r, 1, "AP", 5004, 1001, "def");
    r->ts_ns += 2000000000;
    S(r, 0, "A", 1001, 5007, "");
    rig_close(r);
    rig_expect(r, 1, "...def");
}

CASE(c17_second_segment_before_syn_ack)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "AP", 5004, 1001, "def"); /* held: where its stream begins is not known */
    S(r, 0, "A", 1001, 5001, "");     /* there: whoever opened acknowledges from the ISN on */
    S(r, 0, "A", 1001, 5007, "");
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 1, "A", 5001, 1001, "abc");
    rig_expect(r, 1, "abcdef");
    assert_int_equal(r->stream[1].gaps, 0);
}

CASE(c18_client_only)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "A", 1001, 5001, "");
    S(r, 0, "AP", 1001, 5001, "abc");
    S(r, 0, "AP", 1004, 5301, "def");
    S(r, 0, "FA", 1007, 5301, "");
    rig_expect(r, 0, "abcdef");
    assert_int_equal(r->past_count, 0);
}

CASE(c18_server_only)
{
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 1, "AP", 5001, 1301, "abc");
    S(r, 1, "AP", 5004, 1301, "def");
    S(r, 1, "FA", 5007, 1301, "");
    rig_expect(r, 1, "abcdef");
    rig_close(r);
    rig_expect(r, 0, "");
    assert_string_equal(ws_tcp_conn_state(&r->c), "SHR");
}

CASE(c18_client_only_without_syn)
{
    S(r, 0, "AP", 1001, 5001, "abc");
    S(r, 0, "AP", 1004, 5301, "def");
    r->ts_ns += 2000000000;
    S(r, 0, "AP", 1007, 5301, "ghi");
    rig_expect(r, 0, "abcdefghi");
}

CASE(c19_midstream_fin_with_data)
{
    S(r, 0, "FAP", 1000, 5000, "bye");
    S(r, 1, "A", 5000, 1004, "");
    rig_expect(r, 0, "bye");
    assert_true(EVENT(r, FIN));
    S(r, 1, "FA", 5000, 1004, "");
    assert_int_equal(r->c.state, WS_TCP_CLOSED);
}

CASE(c19_unknown_window_scale)
{
    /* 1 MiB ahead of a window of 501 whose scale nobody saw: no reason to refuse */
    r->window = 501;
    S(r, 0, "AP", 1000, 5000, "abc");
    S(r, 1, "A", 5000, 1003, "");
    S(r, 0, "AP", 1003 + (1 << 20), 5000, "def");
    S(r, 0, "AP", 1003, 5000, "xyz");
    rig_expect(r, 0, "abcxyz");
    assert_int_equal(rig_count(r, WS_C_REFUSED_WINDOW), 0);
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_HELD), 3);
}

CASE(c20_midstream_keep_alive_first)
{
    S(r, 0, "A", 999, 5000, "\1");
    S(r, 1, "A", 5000, 1000, "");
    S(r, 0, "AP", 1000, 5000, "abc");
    S(r, 1, "A", 5000, 1003, "");
    rig_close(r);
    rig_expect(r, 0, "abc");
    assert_int_equal(r->stream[0].gaps, 0);
    assert_int_equal(rig_count(r, WS_C_REFUSED_KEEPALIVE), 1);
}

/* A byte that the peer waits for is data, PSH or not. */
CASE(c20_midstream_one_byte_awaited)
{
    S(r, 1, "AP", 5000, 1000, "xyz");
    S(r, 0, "A", 1000, 5003, "a");
    S(r, 0, "A", 1001, 5003, "b");
    rig_close(r);
    rig_expect(r, 0, "ab");
    assert_int_equal(rig_count(r, WS_C_REFUSED_KEEPALIVE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c01_plain_handshake),
        cmocka_unit_test(c02_syn_retransmitted),
        cmocka_unit_test(c03_only_the_answered_isn_counts),
        cmocka_unit_test(c03_the_first_isn_answered),
        cmocka_unit_test(c03_one_side_only),
        cmocka_unit_test(c04_syn_ack_duplicated),
        cmocka_unit_test(c05_the_ack_selects_the_syn_ack),
        cmocka_unit_test(c05_the_first_syn_ack_selected),
        cmocka_unit_test(c06_simultaneous_open),
        cmocka_unit_test(c07_split_handshake_four),
        cmocka_unit_test(c07_split_handshake_five),
        cmocka_unit_test(c08_syn_ack_before_syn),
        cmocka_unit_test(c09_data_before_its_syn),
        cmocka_unit_test(c09_data_of_both_before_the_handshake),
        cmocka_unit_test(c10_syn_with_ecn),
        cmocka_unit_test(c11_fast_open_acknowledged),
        cmocka_unit_test(c12_fast_open_refused),
        cmocka_unit_test(c12_fast_open_one_side_only),
        cmocka_unit_test(c12_fast_open_never_answered),
        cmocka_unit_test(c13_data_on_syn_ack),
        cmocka_unit_test(c14_stale_challenge_ack),
        cmocka_unit_test(c14_stale_data_instead),
        cmocka_unit_test(c15_midstream_both),
        cmocka_unit_test(c16_midstream_lowest_comes_later),
        cmocka_unit_test(c16_the_wait_ends_with_time),
        cmocka_unit_test(c16_the_wait_ends_with_bytes),
        cmocka_unit_test(c17_syn_and_first_segment_lost),
        cmocka_unit_test(c17_syn_ack_and_first_segment_lost),
        cmocka_unit_test(c17_second_segment_before_syn_ack),
        cmocka_unit_test(c18_client_only),
        cmocka_unit_test(c18_server_only),
        cmocka_unit_test(c18_client_only_without_syn),
        cmocka_unit_test(c19_midstream_fin_with_data),
        cmocka_unit_test(c19_unknown_window_scale),
        cmocka_unit_test(c20_midstream_keep_alive_first),
        cmocka_unit_test(c20_midstream_one_byte_awaited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
