/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, and Zeek's conn_state and history for every row of its table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "tcp/seq.h"

static void expect(struct rig *r, const char *state, const char *history)
{
    assert_string_equal(ws_tcp_conn_state(&r->c), state);
    assert_string_equal(r->c.history, history);
}

CASE(s0)
{
    S(r, 0, "S", 1000, 0, "");
    expect(r, "S0", "S");
}

CASE(s1)
{
    rig_open(r, 1000, 5000);
    expect(r, "S1", "ShA");
}

CASE(s2_s3_sf)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "FA", 1001, 5001, "");
    expect(r, "S2", "ShAF");
    S(r, 1, "A", 5001, 1002, "");
    S(r, 1, "FA", 5001, 1002, "");
    expect(r, "SF", "ShAFaf");
}

CASE(s3)
{
    rig_open(r, 1000, 5000);
    S(r, 1, "FA", 5001, 1001, "bye");
    expect(r, "S3", "ShAdf");
}

CASE(rej)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 1, "RA", 0, 1001, "");
    expect(r, "REJ", "Sr");
}

CASE(rsto)
{
    rig_open(r, 1000, 5000);
    S(r, 0, "A", 1001, 5001, "x");
    S(r, 0, "RA", 1002, 5001, "");
    expect(r, "RSTO", "ShADR");
}

CASE(rstr)
{
    rig_open(r, 1000, 5000);
    S(r, 1, "RA", 5001, 1001, "");
    expect(r, "RSTR", "ShAr");
}

CASE(rstos0)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "R", 1001, 0, "");
    expect(r, "RSTOS0", "SR");
}

CASE(rstrh)
{
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 1, "R", 5001, 0, "");
    expect(r, "RSTRH", "^hr");
}

CASE(sh)
{
    S(r, 0, "S", 1000, 0, "");
    S(r, 0, "FA", 1001, 5001, "");
    expect(r, "SH", "SF");
}

CASE(shr)
{
    S(r, 1, "SA", 5000, 1001, "");
    S(r, 1, "FA", 5001, 1001, "");
    expect(r, "SHR", "^hf");
}

CASE(oth)
{
    S(r, 0, "AP", 1000, 5000, "x");
    S(r, 1, "A", 5000, 1001, "");
    expect(r, "OTH", "Da");
}

CASE(letters_come_once)
{
    rig_open(r, 1000, 5000);
    for (uint32_t i = 0; i < 100; i++) {
        S(r, 0, "A", 1001 + i, 5001, "x");
        S(r, 0, "A", 1000 + i, 5001, "xx");
        S(r, 1, "A", 5001, 1002 + i, "");
    }
    expect(r, "S1", "ShADTa");
}

static void names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WS_GAP_CAUSES; i++)
        assert_string_not_equal(ws_gap_cause_name((enum ws_gap_cause)i), "unknown");
    for (unsigned i = 0; i < WS_TCP_EV_EVENTS; i++)
        assert_string_not_equal(ws_tcp_event_name((enum ws_tcp_event)i), "unknown");
    assert_string_equal(ws_gap_cause_name(WS_GAP_NEVER_SEEN), "never_seen");
    assert_string_equal(ws_tcp_event_name(WS_TCP_EV_OVERLAP), "overlap");
}

static void sequence_arithmetic(void **state)
{
    (void)state;
    assert_int_equal(ws_seq_diff(5, 0xfffffffe), 7);
    assert_int_equal(ws_seq_diff(0xfffffffe, 5), -7);
    for (uint64_t at = WS_SEQ_BIAS; at < WS_SEQ_BIAS + (UINT64_C(20) << 30); at += 0x3fffffff) {
        uint32_t seq0 = 0xfffffff0;
        assert_int_equal(ws_seq_extend(seq0, at, ws_seq_of(seq0, at + 5)), at + 5);
        assert_int_equal(ws_seq_extend(seq0, at, ws_seq_of(seq0, at - 5)), at - 5);
        assert_int_equal(ws_seq_extend(seq0, at, ws_seq_of(seq0, at + 0x7fffffff)),
                         at + 0x7fffffff);
    }
    assert_int_equal(ws_seq_of(ws_seq_anchor(1234, 99999999999), 99999999999), 1234);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s0),
        cmocka_unit_test(s1),
        cmocka_unit_test(s2_s3_sf),
        cmocka_unit_test(s3),
        cmocka_unit_test(rej),
        cmocka_unit_test(rsto),
        cmocka_unit_test(rstr),
        cmocka_unit_test(rstos0),
        cmocka_unit_test(rstrh),
        cmocka_unit_test(sh),
        cmocka_unit_test(shr),
        cmocka_unit_test(oth),
        cmocka_unit_test(letters_come_once),
        cmocka_unit_test(names),
        cmocka_unit_test(sequence_arithmetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
