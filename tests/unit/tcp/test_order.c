/* SPDX-License-Identifier: BSD-3-Clause */
/* Order, overlap, loss and sequence space: cases 41 to 49 and 51 to 70 of the reassembly list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "tcp/internal.h"

CASE(c41_swapped_pair)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1004, 5001, "def");
    rig_expect(r, 0, "");
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_HELD), 3);
    S(r, 0, "A", 1001, 5001, "abc");
    rig_expect(r, 0, "abcdef");
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_HELD), 0);
}

CASE(c42_fifty_in_reverse)
{
    char want[501] = "";
    rig_open(r, 1000, 5000);
    for (int i = 49; i >= 0; i--) {
        char part[11];
        for (int k = 0; k < 10; k++)
            want[i * 10 + k] = part[k] = (char)('a' + (i + k) % 26);
        part[10] = 0;
        S(r, 0, "A", 1001 + (uint32_t)i * 10, 5001, part);
    }
    rig_expect(r, 0, want);
}

CASE(c43_exact_retransmission)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1007, 5001, "ghi"); /* also while held */
    S(r, 0, "A", 1007, 5001, "ghi");
    S(r, 0, "A", 1004, 5001, "def");
    rig_expect(r, 0, "abcdefghi");
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_DUPLICATE), 6);
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_OVERLAP), 0);
    assert_non_null(strchr(r->c.history, 'T'));
}

CASE(c44_longer_retransmission)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1001, 5001, "abcdef");
    rig_expect(r, 0, "abcdef");
}

CASE(c45_coalesced_retransmission)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "ab");
    S(r, 0, "A", 1005, 5001, "ef");
    S(r, 0, "A", 1001, 5001, "abcdefgh");
    rig_expect(r, 0, "abcdefgh");
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_DUPLICATE), 4);
}

CASE(c46_same_range_other_bytes)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 0, "A", 1004, 5001, "DEF");
    S(r, 0, "A", 1001, 5001, "abc");
    rig_expect(r, 0, "abcdef");
    assert_true(EVENT(r, OVERLAP));
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_OVERLAP), 3);
    assert_int_equal(rig_count(r, WS_C_TCP_OVERLAP_DIFF), 1);
}

CASE(c47_left_overlap)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1005, 5001, "efgh");
    S(r, 0, "A", 1003, 5001, "cdEF");
    S(r, 0, "A", 1001, 5001, "ab");
    rig_expect(r, 0, "abcdefgh");
}

CASE(c48_right_overlap)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1003, 5001, "cdef");
    S(r, 0, "A", 1005, 5001, "EFgh");
    S(r, 0, "A", 1001, 5001, "ab");
    rig_expect(r, 0, "abcdefgh");
}

CASE(c49_covering_overlap)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1005, 5001, "ef");
    S(r, 0, "A", 1009, 5001, "ij");
    S(r, 0, "A", 1003, 5001, "cdEFghIJkl");
    S(r, 0, "A", 1001, 5001, "ab");
    rig_expect(r, 0, "abcdefghijkl");
}

CASE(c49_covering_overlap_in_order)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1003, 5001, "cd");
    S(r, 0, "A", 1001, 5001, "abCDef");
    rig_expect(r, 0, "abcdef");
    assert_true(EVENT(r, OVERLAP));
}

CASE(c51_hole_never_filled)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1007, 5001, "ghi");
    rig_close(r);
    rig_expect(r, 0, "abc...ghi");
    assert_int_equal(r->stream[0].gaps, 1);
    assert_int_equal(r->stream[0].causes, 1u << WS_GAP_NEVER_SEEN);
    assert_int_equal(rig_count(r, WS_C_GAP_BYTES), 3);
    assert_non_null(strchr(r->c.history, 'G'));
}

CASE(c52_leading_hole)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 0, "FA", 1007, 5001, "");
    rig_close(r);
    rig_expect(r, 0, "...def");
}

CASE(c53_ack_captured_before_its_data)
{
    rig_open(r, 1000, 5000);
    S(r, 1, "A", 5001, 1007, "");
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 1, "A", 5001, 1010, "");
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1007, 5001, "g");
    rig_close(r);
    rig_expect(r, 0, "abcdefg");
    assert_int_equal(r->stream[0].gaps, 0);
}

CASE(c54_hole_of_a_mebibyte)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1004 + (1 << 20), 5001, "def");
    rig_close(r);
    assert_int_equal(r->stream[0].len, 3 + (1 << 20) + 3);
    assert_int_equal(r->stream[0].gap_bytes, 1 << 20);
    assert_memory_equal(r->stream[0].bytes + 3 + (1 << 20), "def", 3);
}

CASE(c55_everything_twice)
{
    for (int i = 0; i < 2; i++)
        S(r, 0, "S", 1000, 0, "");
    for (int i = 0; i < 2; i++)
        S(r, 1, "SA", 5000, 1001, "");
    for (int i = 0; i < 2; i++)
        S(r, 0, "A", 1001, 5001, "");
    for (int i = 0; i < 2; i++)
        S(r, 0, "A", 1001, 5001, "abc");
    for (int i = 0; i < 2; i++)
        S(r, 1, "A", 5001, 1004, "xyz");
    for (int i = 0; i < 2; i++)
        S(r, 0, "FA", 1004, 5004, "");
    for (int i = 0; i < 2; i++)
        S(r, 1, "FA", 5004, 1005, "");
    rig_close(r);
    rig_expect(r, 0, "abc");
    rig_expect(r, 1, "xyz");
    assert_int_equal(r->past_count, 0);
    assert_string_equal(ws_tcp_conn_state(&r->c), "SF");
}

CASE(c56_keep_alive_without_bytes)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1003, 5001, "");
    S(r, 0, "A", 1004, 5001, "def");
    rig_close(r);
    rig_expect(r, 0, "abcdef");
}

CASE(c57_keep_alive_with_a_byte)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1003, 5001, "?");
    S(r, 0, "A", 1004, 5001, "def");
    rig_close(r);
    rig_expect(r, 0, "abcdef");
    assert_int_equal(rig_count(r, WS_C_REFUSED_KEEPALIVE), 1);
}

CASE(c57_keep_alive_behind_a_hole)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 0, "A", 1006, 5001, "?");
    S(r, 0, "A", 1001, 5001, "abc");
    rig_expect(r, 0, "abcdef");
    assert_false(EVENT(r, OVERLAP));
}

CASE(c58_keep_alive_at_the_isn)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1000, 5001, "?");
    S(r, 0, "A", 1000, 5001, "");
    S(r, 0, "A", 1001, 5001, "abc");
    rig_close(r);
    rig_expect(r, 0, "abc");
    assert_int_equal(rig_count(r, WS_C_REFUSED_KEEPALIVE), 1);
}

CASE(c59_zero_window_probe)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1004, 5001, "d");
    S(r, 0, "A", 1004, 5001, "def");
    rig_expect(r, 0, "abcdef");
}

CASE(c60_urgent_data_in_line)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "ab");
    S(r, 0, "AU", 1003, 5001, "!c");
    S(r, 0, "A", 1005, 5001, "d");
    rig_expect(r, 0, "ab!cd");
}

CASE(c61_a_segment_a_gibibyte_away)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    assert_int_equal(S(r, 0, "A", 1004 + (1 << 30), 5001, "far"), WS_TCP_TAKEN);
    S(r, 0, "A", 1004, 5001, "def");
    rig_close(r);
    rig_expect(r, 0, "abcdef");
    assert_int_equal(r->stream[0].gaps, 0);
    assert_int_equal(rig_count(r, WS_C_REFUSED_WINDOW), 3);
    assert_true(EVENT(r, FAR_SEGMENT));
}

CASE(c61_two_sequence_spaces)
{
    /* a capture on both sides of a device that rewrites sequence numbers */
    rig_open(r, 1000, 5000);
    for (uint32_t i = 0; i < 20; i++) {
        S(r, 0, "A", 1001 + i * 2, 5001, "ab");
        S(r, 0, "A", 2000000000 + i * 2, 5001, "ab");
    }
    rig_close(r);
    assert_int_equal(r->stream[0].len, 40);
    assert_int_equal(r->past_count, 0);
    assert_int_equal(rig_count(r, WS_C_REFUSED_WINDOW), 40);
}

CASE(c61_the_stream_really_went_there)
{
    /* more than the reach was lost: four segments in a row show it */
    const uint32_t far = 1004 + (1u << 20);
    r->cfg.jump_max = 10000;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1006, 5001, "f");
    S(r, 0, "A", far, 5001, "11");
    S(r, 1, "A", 5001, far + 2, "");
    S(r, 0, "A", far + 2, 5001, "22");
    S(r, 0, "A", far + 4, 5001, "33");
    S(r, 0, "A", far + 6, 5001, "44");
    S(r, 0, "A", far + 8, 5001, "55");
    assert_int_equal(r->stream[0].len, 3 + (1u << 20) + 10);
    assert_int_equal(r->stream[0].gap_bytes, (1u << 20) + 6 - 1);
    assert_memory_equal(r->stream[0].bytes, "abc..f..", 8);
    assert_memory_equal(r->stream[0].bytes + 3 + (1u << 20) + 6, "4455", 4);
    assert_int_equal(rig_count(r, WS_C_REFUSED_WINDOW), 6);
}

CASE(c61_forged_far_segments)
{
    /* they agree with what the server sends, but it acknowledges nothing of them */
    const uint32_t far = 1001 + (1u << 30);
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    for (unsigned round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < 14; i++)
            S(r, 0, "A", far + round * 28 + 2 * i, 5001, "zz");
        S(r, 1, "A", 5001, 1004, ""); /* what lies outside the window is answered like that */
    }
    S(r, 0, "A", 1004, 5001, "def");
    rig_expect(r, 0, "abcdef");
    assert_int_equal(r->stream[0].gaps, 0);
}

CASE(c61_a_burst_of_strays_is_not_the_stream)
{
    /* retransmissions of an older connection, six in a row; they acknowledge its other side */
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    for (uint32_t i = 0; i < 6; i++)
        S(r, 0, "A", 1000000000 + i * 3, 900000000, "old");
    S(r, 0, "A", 1004, 5001, "def");
    rig_close(r);
    rig_expect(r, 0, "abcdef");
}

CASE(c61_strays_near_a_stream_that_waits)
{
    /* a direction begun midstream still waits for lower bytes, when a run of segments that acknowledge nothing
     * near ends the wait; they lie in what was held: no jump, and nothing comes twice */
    r->cfg.midstream_ns = INT64_MAX / 2;
    rig_restart(r);
    S(r, 1, "S", 5000, 0, "");
    S(r, 0, "A", 1000, 5001, "abc");
    S(r, 0, "A", 1005, 5001, "fg");
    for (unsigned i = 0; i < 20; i++)
        S(r, 0, "A", 1001, 900000000, "BCD");
    rig_close(r);
    rig_expect(r, 0, "abcD.fg");
    assert_int_equal(r->stream[0].gap_bytes, 1);
}

static void wrap(struct rig *r, uint32_t isn)
{
    rig_open(r, isn, 5000);
    S(r, 0, "A", isn + 1, 5001, "0123456789");
    S(r, 0, "A", isn + 11, 5001, "abcdefghij");
    S(r, 0, "A", isn + 31, 5001, "klmnopqrst");
    S(r, 0, "A", isn + 21, 5001, "ABCDEFGHIJ");
    S(r, 1, "A", 5001, isn + 41, "");
    S(r, 0, "FA", isn + 41, 5001, "!");
    rig_close(r);
    rig_expect(r, 0, "0123456789abcdefghijABCDEFGHIJklmnopqrst!");
}

CASE(c62_isn_fffffff0)
{
    wrap(r, 0xfffffff0);
}

CASE(c63_isn_fffffffe)
{
    wrap(r, 0xfffffffe);
}

CASE(c64_isn_ffffffff)
{
    wrap(r, 0xffffffff);
}

CASE(c65_isn_7ffffffe)
{
    wrap(r, 0x7ffffffe);
}

CASE(c66_reordered_across_the_wrap)
{
    rig_open(r, 0xfffffffa, 5000);
    S(r, 0, "A", 5, 5001, "klm");
    S(r, 0, "A", 0, 5001, "fghij");
    S(r, 0, "A", 0xfffffffe, 5001, "de");
    S(r, 0, "A", 0xfffffffb, 5001, "abc");
    rig_expect(r, 0, "abcdefghijklm");
}

CASE(c67_beyond_four_gibibytes)
{
    /* a callback-free walk: 70,000-byte steps through more than 2^32 bytes, a swap at the end */
    static uint8_t big[70000];
    struct ws_tcp_config cfg = rig_config();
    struct ws_tcp_ops none = {0};
    struct ws_tcp_conn c = {0};
    struct ws_tcp *t = ws_tcp_init(r->mem, &cfg, &r->counters, &none, NULL);
    struct ws_tcp_segment s = {.meta = {.seq = 1000, .flags = WS_TCP_SYN}};
    uint64_t at = 0;
    ws_tcp_push(t, &c, NULL, 0, &s);
    s.data = big;
    s.len = s.wire_len = sizeof(big);
    s.meta.flags = WS_TCP_ACK;
    for (; at < UINT64_C(5) << 30; at += sizeof(big)) {
        s.meta.seq = 1001 + (uint32_t)at;
        ws_tcp_push(t, &c, NULL, 0, &s);
        assert_int_equal(ws_tcp_dir_length(&c.dir[0]), at + sizeof(big));
    }
    s.meta.seq = 1001 + (uint32_t)at + sizeof(big);
    ws_tcp_push(t, &c, NULL, 0, &s);
    assert_int_equal(ws_tcp_dir_length(&c.dir[0]), at);
    s.meta.seq = 1001 + (uint32_t)at;
    ws_tcp_push(t, &c, NULL, 0, &s);
    assert_int_equal(ws_tcp_dir_length(&c.dir[0]), at + 2 * sizeof(big));
    ws_tcp_close(t, &c, NULL, WS_GAP_NEVER_SEEN);
}

CASE(c68_old_timestamps_are_kept)
{
    /* PAWS would drop it; stamps that go back do not matter here */
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    r->ts_ns = 5;
    S(r, 0, "A", 1004, 5001, "def");
    rig_expect(r, 0, "abcdef");
}

CASE(c70_first_segment_out_of_order)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1003, 5001, "2");
    S(r, 0, "A", 1001, 5001, "H");
    S(r, 0, "A", 1001, 5001, "H");
    S(r, 0, "A", 1002, 5001, "1");
    S(r, 0, "A", 1004, 5001, "3");
    S(r, 0, "A", 1001, 5001, "H");
    rig_close(r);
    rig_expect(r, 0, "H123");
    assert_int_equal(r->stream[0].gaps, 0);
}

CASE(c70_midstream)
{
    S(r, 0, "AP", 1003, 5001, "2");
    S(r, 0, "AP", 1001, 5001, "H");
    S(r, 0, "AP", 1001, 5001, "H");
    S(r, 0, "AP", 1002, 5001, "1");
    S(r, 0, "AP", 1004, 5001, "3");
    S(r, 0, "AP", 1001, 5001, "H");
    rig_close(r);
    rig_expect(r, 0, "H123");
}

CASE(c86_snap_length_in_order)
{
    rig_open(r, 1000, 5000);
    r->snap = 4;
    S(r, 0, "A", 1001, 5001, "abcdefgh");
    S(r, 0, "A", 1009, 5001, "ijklmnop");
    S(r, 0, "FA", 1017, 5001, "qrs");
    rig_expect(r, 0, "abcd....ijkl....qrs");
    rig_close(r);
    assert_int_equal(r->stream[0].causes, 1u << WS_GAP_SNAPLEN);
}

CASE(c86_snap_length_out_of_order)
{
    rig_open(r, 1000, 5000);
    r->snap = 4;
    S(r, 0, "A", 1009, 5001, "ijklmnop");
    S(r, 0, "A", 1001, 5001, "abcdefgh");
    rig_expect(r, 0, "abcd....ijkl....");
    assert_int_equal(r->stream[0].causes, 1u << WS_GAP_SNAPLEN);
}

CASE(c86_full_copy_comes_in_time)
{
    rig_open(r, 1000, 5000);
    r->snap = 4;
    S(r, 0, "A", 1009, 5001, "ijklmnop");
    r->snap = 0;
    S(r, 0, "A", 1009, 5001, "ijklmnop");
    S(r, 0, "A", 1001, 5001, "abcdefgh");
    rig_expect(r, 0, "abcdefghijklmnop");
    assert_int_equal(r->stream[0].gaps, 0);
}

CASE(c86_one_byte_cut_off_comes_later)
{
    /* the last byte seen on the wire, but not captured: its copy is no keep-alive */
    rig_open(r, 1000, 5000);
    r->no_payload = true;
    S(r, 0, "A", 1003, 5001, "c");
    r->no_payload = false;
    S(r, 0, "A", 1003, 5001, "c");
    S(r, 0, "A", 1001, 5001, "ab");
    rig_expect(r, 0, "abc");
}

CASE(filtered_payload_is_a_gap)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    r->no_payload = true;
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 0, "A", 1010, 5001, "jkl");
    r->no_payload = false;
    S(r, 0, "A", 1007, 5001, "ghi");
    S(r, 0, "FA", 1013, 5001, "m");
    rig_expect(r, 0, "abc...ghi...m");
    assert_int_equal(r->stream[0].causes, 1u << WS_GAP_FILTERED);
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_SEEN), 7);
}

CASE(segments_in_arrival_order)
{
    r->cfg.want |= WS_TCP_WANT_SEGMENT;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "A", 1000, 5001, "?");
    S(r, 0, "A", 1007, 5001, "g");
    assert_string_equal(r->segments, "3:def 0:abc 0:abc 6:g ");
    rig_expect(r, 0, "abcdefg");
}

CASE(segments_midstream_go_below_zero)
{
    r->cfg.want |= WS_TCP_WANT_SEGMENT;
    rig_restart(r);
    S(r, 0, "AP", 1004, 5001, "def");
    S(r, 0, "AP", 1001, 5001, "abc");
    r->ts_ns += 2000000000;
    S(r, 0, "AP", 1007, 5001, "g");
    S(r, 0, "AP", 998, 5001, "xyz"); /* too late for the stream, not for a file */
    assert_string_equal(r->segments, "0:def -3:abc 3:g -6:xyz ");
    rig_expect(r, 0, "abcdefg");
}

CASE(segments_only)
{
    r->cfg.want = WS_TCP_WANT_SEGMENT;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "FA", 1007, 5001, "gh");
    S(r, 0, "A", 1009, 5001, "beyond");
    assert_string_equal(r->segments, "3:def 0:abc 6:gh ");
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_DELIVERED), 8);
    assert_int_equal(rig_count(r, WS_C_REFUSED_BEYOND_FIN), 6);
    assert_int_equal(ws_tcp_dir_length(&r->c.dir[0]), 8);
}

CASE(gaps_without_bytes)
{
    r->cfg.want = WS_TCP_WANT_GAPS;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "abc");
    for (uint32_t i = 0; i < 100; i++)
        S(r, 0, "A", 1010 + i * 2, 5001, "xy");
    assert_int_equal(ws_tcp_held_nodes(r->t), 1); /* one range, whatever the number of segments */
    S(r, 0, "A", 1012, 5001, "other bytes, unseen");
    for (uint32_t i = 0; i < 3; i++)
        S(r, 0, "A", 1009 - i, 5001, "z");
    assert_int_equal(ws_tcp_held_nodes(r->t), 1); /* nor their order */
    rig_close(r);
    assert_int_equal(r->calls, 0);
    assert_int_equal(r->stream[0].gaps, 1);
    assert_int_equal(r->stream[0].gap_bytes, 3);
    assert_int_equal(ws_tcp_dir_length(&r->c.dir[0]), 9 + 200);
}

CASE(nothing_wanted)
{
    r->cfg.want = 0;
    rig_restart(r);
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1004, 5001, "def");
    S(r, 0, "A", 1001, 5001, "abc");
    S(r, 0, "FA", 1007, 5001, "");
    S(r, 1, "FA", 5001, 1008, "");
    assert_int_equal(r->c.state, WS_TCP_CLOSED);
    assert_int_equal(ws_tcp_dir_length(&r->c.dir[0]), 6);
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_DELIVERED), 6);
}

CASE(window_scale_widens_the_reach)
{
    r->cfg.jump_max = 1000;
    rig_restart(r);
    r->wscale = 8; /* shift 7 */
    r->window = 100;
    rig_open(r, 1000, 5000);
    S(r, 1, "A", 5001, 1001, "");
    S(r, 0, "A", 1001 + 1000 + 12800, 5001, "in");
    S(r, 0, "A", 1001 + 1000 + 12801, 5001, "out");
    assert_int_equal(rig_count(r, WS_C_REFUSED_WINDOW), 3);
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_HELD), 2);
}

CASE(held_segment_comes_whole)
{
    /* one callback for a held segment of several cells; pieces only beyond a node's size */
    static char big[9000];
    memset(big, 'x', sizeof(big));
    rig_open(r, 1000, 5000);
    rig_push(r, 0, "A", 1002, 5001, big, 1460);
    S(r, 0, "A", 1001, 5001, "a");
    assert_int_equal(r->calls, 2);
    assert_int_equal(r->pieces, 0);
    rig_push(r, 0, "A", 2463, 5001, big, 9000);
    S(r, 0, "A", 2462, 5001, "a");
    assert_int_equal(r->calls, 3 + (9000 + WS_HELD_PIECE - 1) / WS_HELD_PIECE);
    assert_int_equal(r->pieces, r->calls - 4);
}

CASE(pieces_are_marked)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "ab");
    S(r, 0, "A", 1001, 5001, "abcd"); /* what is new of it is its first piece */
    assert_int_equal(r->pieces, 0);
    S(r, 0, "A", 1007, 5001, "gh");
    S(r, 0, "A", 1005, 5001, "efghij"); /* comes out around what was held */
    rig_expect(r, 0, "abcdefghij");
    assert_int_equal(r->calls, 5);
    assert_int_equal(r->pieces, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c41_swapped_pair),
        cmocka_unit_test(c42_fifty_in_reverse),
        cmocka_unit_test(c43_exact_retransmission),
        cmocka_unit_test(c44_longer_retransmission),
        cmocka_unit_test(c45_coalesced_retransmission),
        cmocka_unit_test(c46_same_range_other_bytes),
        cmocka_unit_test(c47_left_overlap),
        cmocka_unit_test(c48_right_overlap),
        cmocka_unit_test(c49_covering_overlap),
        cmocka_unit_test(c49_covering_overlap_in_order),
        cmocka_unit_test(c51_hole_never_filled),
        cmocka_unit_test(c52_leading_hole),
        cmocka_unit_test(c53_ack_captured_before_its_data),
        cmocka_unit_test(c54_hole_of_a_mebibyte),
        cmocka_unit_test(c55_everything_twice),
        cmocka_unit_test(c56_keep_alive_without_bytes),
        cmocka_unit_test(c57_keep_alive_with_a_byte),
        cmocka_unit_test(c57_keep_alive_behind_a_hole),
        cmocka_unit_test(c58_keep_alive_at_the_isn),
        cmocka_unit_test(c59_zero_window_probe),
        cmocka_unit_test(c60_urgent_data_in_line),
        cmocka_unit_test(c61_a_segment_a_gibibyte_away),
        cmocka_unit_test(c61_two_sequence_spaces),
        cmocka_unit_test(c61_the_stream_really_went_there),
        cmocka_unit_test(c61_forged_far_segments),
        cmocka_unit_test(c61_a_burst_of_strays_is_not_the_stream),
        cmocka_unit_test(c61_strays_near_a_stream_that_waits),
        cmocka_unit_test(c62_isn_fffffff0),
        cmocka_unit_test(c63_isn_fffffffe),
        cmocka_unit_test(c64_isn_ffffffff),
        cmocka_unit_test(c65_isn_7ffffffe),
        cmocka_unit_test(c66_reordered_across_the_wrap),
        cmocka_unit_test(c67_beyond_four_gibibytes),
        cmocka_unit_test(c68_old_timestamps_are_kept),
        cmocka_unit_test(c70_first_segment_out_of_order),
        cmocka_unit_test(c70_midstream),
        cmocka_unit_test(c86_snap_length_in_order),
        cmocka_unit_test(c86_snap_length_out_of_order),
        cmocka_unit_test(c86_full_copy_comes_in_time),
        cmocka_unit_test(c86_one_byte_cut_off_comes_later),
        cmocka_unit_test(filtered_payload_is_a_gap),
        cmocka_unit_test(segments_in_arrival_order),
        cmocka_unit_test(segments_midstream_go_below_zero),
        cmocka_unit_test(segments_only),
        cmocka_unit_test(gaps_without_bytes),
        cmocka_unit_test(nothing_wanted),
        cmocka_unit_test(window_scale_widens_the_reach),
        cmocka_unit_test(held_segment_comes_whole),
        cmocka_unit_test(pieces_are_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
