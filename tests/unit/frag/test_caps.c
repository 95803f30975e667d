/* SPDX-License-Identifier: BSD-3-Clause */
/* Caps: what happens when datagrams, bytes or runs are used up, and that nothing leaks. */
#include <time.h>

#include "fixture.h"

static struct build b;
static uint8_t payload[65536];

/* Too many datagrams: the oldest leaves, and its fragments are counted. */
static void datagrams_max(void **state)
{
    (void)state;
    struct ws_frag_config cfg = ws_frag_defaults;
    cfg.datagrams_max = 3;
    frag_begin(&cfg);
    for (uint16_t id = 0; id < 10; id++) {
        fragment4(&b, payload, 800, 800, true, 17, id);
        push(&b);
    }
    assert_int_equal(counted(WS_C_FRAG_EVICTED), 6); /* one entry is spare */
    assert_int_equal(out.lost, 6);
    fragment4(&b, payload, 0, 800, true, 17, 9); /* the newest still work */
    push(&b);
    fragment4(&b, payload, 1600, 8, false, 17, 9);
    push(&b);
    assert_int_equal(out.datagrams, 1);
    frag_end();
}

/* Too many bytes: the same. A datagram that is being worked on is never the one to go. */
static void bytes_max(void **state)
{
    (void)state;
    struct ws_frag_config cfg = ws_frag_defaults;
    cfg.bytes_max = 1; /* the least there is: 512 KiB */
    frag_begin(&cfg);
    for (uint16_t id = 0; id < 100; id++)
        for (uint32_t off = 0; off < 60000; off += 1480) {
            fragment4(&b, payload, off, 1480, true, 17, id);
            push(&b);
        }
    assert_true(counted(WS_C_FRAG_EVICTED) > 90 * 40);
    fragment4(&b, payload, 60680, 20, false, 17, 99);
    push(&b);
    assert_int_equal(out.datagrams, 1);
    frag_end();

    frag_begin(&cfg); /* backwards: frames are held besides the bytes */
    for (uint16_t id = 0; id < 100; id++)
        for (uint32_t off = 59200; off > 0; off -= 1480) {
            fragment4(&b, payload, off, 1480, off < 59200, 17, id);
            push(&b);
        }
    assert_int_equal(out.unknown, 4000);
    assert_true(out.lost > 3500);
    fragment4(&b, payload, 0, 1480, true, 17, 99);
    push(&b);
    assert_int_equal(out.datagrams, 1);
    assert_int_equal(out.released, 40);
    frag_end();
}

/* A datagram of a known flow that is given up says which bytes go with it. */
static void a_hole_is_told(void **state)
{
    (void)state;
    static uint8_t tcp[3000] = {0x04, 0, 0, 80, 0, 0, 0x10, 0, 0, 0, 0, 1, 0x50, 0x10, 1, 0};
    frag_begin(&ws_frag_defaults);
    fragment4(&b, tcp, 0, 1480, true, 6, 1);
    push(&b);
    fragment4(&b, tcp, 2960, 40, false, 6, 1);
    push(&b);
    fragment4(&b, tcp, 0, 1480, true, 6, 2); /* of this one the end is not known either */
    push(&b);
    fragment4(&b, tcp, 1480, 40, false, 6, 3); /* and of this one no header */
    push(&b);
    assert_int_equal(out.gave_up, 0);
    now_ns += ws_frag_defaults.timeout_ns + 1;
    ws_frag_expire(frag, now_ns, 1);
    assert_int_equal(out.gave_up, 1);
    assert_int_equal(out.given_up.status, WS_DECODE_OK);
    assert_int_equal(out.given_up.tcp_seq, 0x1000);
    assert_int_equal(out.given_up.payload_wire_len, 2980);
    ws_frag_flush(frag);
    assert_int_equal(out.gave_up, 2);
    assert_int_equal(out.given_up.payload_wire_len, 1460);
    assert_int_equal(out.datagrams, 0);
    frag_end();
}

/* A datagram in more runs than its list may have is given up. */
static void runs_max(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    for (uint32_t off = 0; off < 65000; off += 16) { /* every second 8 bytes */
        fragment4(&b, payload, off, 8, true, 17, 1);
        push(&b);
    }
    assert_true(counted(WS_C_FRAG_EVICTED) > 1000);
    assert_int_equal(out.datagrams, 0);
    frag_end();
}

/* Stamps of damaged files lie anywhere in int64. */
static void stamps_far_apart(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    now_ns = INT64_MIN;
    fragment4(&b, payload, 0, 800, true, 17, 1);
    push(&b);
    now_ns = INT64_MAX;
    fragment4(&b, payload, 800, 8, false, 17, 1);
    push(&b);
    assert_int_equal(counted(WS_C_FRAG_TIMEOUT), 1);
    assert_int_equal(out.datagrams, 0);
    ws_frag_expire(frag, INT64_MIN, 10);
    frag_end();
}

/* Long random use of a tiny pool under every policy: everything comes back. */
static void nothing_leaks(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
    printf("SEED=%u\n", seed);
    srand(seed);
    for (int policy = 0; policy <= WS_OVERLAP_OLD_LINUX; policy++) {
        struct ws_frag_config cfg = ws_frag_defaults;
        cfg.datagrams_max = 12;
        cfg.bytes_max = 1;
        cfg.timeout_ns = 1000000;
        cfg.overlap = (enum ws_overlap)policy;
        frag_begin(&cfg);
        for (unsigned n = 0; n < 6000; n++) {
            uint32_t off = (uint32_t)rand() % 3000 * 8, len = 8 + (uint32_t)rand() % 900 * 8;
            bool more = off == 0 || rand() % 8;
            uint16_t id = (uint16_t)(rand() % 20);
            if (rand() % 2)
                fragment4(&b, payload, off, len, more, rand() % 2 ? 17 : 47, id);
            else
                fragment6(&b, payload, off, len, more, rand() % 2 ? 17 : 47, id);
            push_link(&b, 101, rand() % 4 ? (uint32_t)b.len : 60 + (uint32_t)rand() % 8);
            now_ns += rand() % 20000;
            if (rand() % 3 == 0)
                ws_frag_expire(frag, now_ns, 2);
        }
        ws_frag_flush(frag);
        assert_int_equal(out.unknown, out.released + out.lost);
        /* All memory is free again: as large a datagram as fits goes through. */
        unsigned before = out.datagrams;
        for (uint32_t off = 59200;; off -= 1480) {
            fragment4(&b, payload, off, 1480, off < 59200, 17, 99);
            push(&b);
            if (off == 0)
                break;
        }
        assert_int_equal(out.datagrams, before + 1);
        frag_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_max),
        cmocka_unit_test(bytes_max),
        cmocka_unit_test(a_hole_is_told),
        cmocka_unit_test(runs_max),
        cmocka_unit_test(stamps_far_apart),
        cmocka_unit_test(nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
