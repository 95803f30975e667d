/* SPDX-License-Identifier: BSD-3-Clause */
/* Metamako trailers: with and without the last FCS, chained, cut, and bytes that only look like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "guard.h"
#include "base/bytes.h"
#include "packet/trailer.h"

#define T0 INT64_C(1700000000000000000)

static const struct ws_trailer_config automatic = {.kind = WS_TRAILER_METAMAKO};

/* Appends a trailer without its last FCS; the FCS before it stands there already. */
static uint32_t put(uint8_t *at, int64_t ts_ns, uint16_t device, uint8_t port)
{
    ws_store_be32(at, (uint32_t)(ts_ns / 1000000000));
    ws_store_be32(at + 4, (uint32_t)(ts_ns % 1000000000));
    at[8] = 1;
    at[9] = (uint8_t)(device >> 8);
    at[10] = (uint8_t)device;
    at[11] = port;
    return 12;
}

/* A frame of 60 bytes of 0xaa, FCS, n trailers, and perhaps the last FCS. Its length. */
static uint32_t frame(uint8_t *buf, unsigned n, bool fcs)
{
    uint32_t len = 60;
    memset(buf, 0xaa, 60);
    for (unsigned i = 0; i < n; i++) {
        memset(buf + len, 0xf0 + (int)i, 4);
        len += 4;
        len += put(buf + len, T0 + 123456789 + (int64_t)i * 1000, (uint16_t)(1000 + i), (uint8_t)(7 + i));
    }
    if (fcs) {
        memset(buf + len, 0xee, 4);
        len += 4;
    }
    return len;
}

static void test_both_layouts(void **state)
{
    uint8_t buf[200];
    struct ws_trailer t;
    (void)state;
    for (int fcs = 0; fcs < 2; fcs++) {
        uint32_t len = frame(buf, 1, fcs);
        assert_true(ws_trailer_find(&t, &automatic, buf, len, T0));
        assert_int_equal(t.ts_ns, T0 + 123456789);
        assert_int_equal(t.device, 1000);
        assert_int_equal(t.port, 7);
        assert_int_equal(len - t.len, 60);
    }
}

static void test_offset(void **state)
{
    uint8_t buf[200];
    struct ws_trailer t;
    struct ws_trailer_config cfg = {.kind = WS_TRAILER_METAMAKO, .offset_known = true};
    (void)state;
    /* a stamp years away from the capture's is taken when the place is known */
    uint32_t len = frame(buf, 1, true);
    assert_true(ws_trailer_find(&t, &cfg, buf, len, 0));
    assert_int_equal(t.ts_ns, T0 + 123456789);
    assert_false(ws_trailer_find(&t, &automatic, buf, len, 0));
    len = frame(buf, 1, false);
    cfg.offset = 4;
    assert_true(ws_trailer_find(&t, &cfg, buf, len, 0));
    assert_int_equal(t.device, 1000);
    /* three bytes behind the trailer */
    len = frame(buf, 1, true) + 3;
    cfg.offset = -3;
    assert_true(ws_trailer_find(&t, &cfg, buf, len, 0));
    assert_int_equal(len - t.len, 60);
}

static void test_chained(void **state)
{
    uint8_t buf[200];
    struct ws_trailer t;
    struct ws_trailer_config cfg = {.kind = WS_TRAILER_METAMAKO_DOUBLE};
    (void)state;
    for (int fcs = 0; fcs < 2; fcs++) {
        uint32_t len = frame(buf, 2, fcs);
        assert_true(ws_trailer_find(&t, &cfg, buf, len, T0));
        assert_int_equal(t.ts_ns, T0 + 123456789);
        assert_int_equal(t.device, 1000);
        assert_int_equal(len - t.len, 60);
        assert_true(ws_trailer_find(&t, &automatic, buf, len, T0));
        assert_int_equal(t.ts_ns, T0 + 123457789);
        assert_int_equal(t.device, 1001);
        assert_int_equal(t.port, 8);
        len = frame(buf, 1, fcs);
        assert_true(ws_trailer_find(&t, &cfg, buf, len, T0));
        assert_int_equal(t.device, 1000);
    }
}

static void test_none(void **state)
{
    uint8_t buf[200];
    struct ws_trailer t;
    struct ws_trailer_config known = {.kind = WS_TRAILER_METAMAKO, .offset_known = true, .offset = 4};
    (void)state;
    uint32_t len = frame(buf, 0, false);
    assert_false(ws_trailer_find(&t, &automatic, buf, len, T0)); /* 0xaaaaaaaa ns is no fraction */
    assert_false(ws_trailer_find(&t, &known, buf, len, T0));
    memset(buf, 0, sizeof(buf));
    assert_false(ws_trailer_find(&t, &automatic, buf, 100, T0)); /* 1970 */
    assert_false(ws_trailer_find(&t, &(struct ws_trailer_config){.kind = WS_TRAILER_NONE}, buf, 100, 0));
}

/* Every length up to a trailer's, at the end of the readable page. */
static void test_short(void **state)
{
    uint8_t buf[200];
    struct ws_trailer t;
    struct ws_trailer_config cfg = {.kind = WS_TRAILER_METAMAKO_DOUBLE};
    (void)state;
    uint32_t len = frame(buf, 2, true);
    for (uint32_t cut = 0; cut <= len; cut++) {
        struct guard g = guard_copy(buf + cut, len - cut);
        bool found = ws_trailer_find(&t, &cfg, g.data, len - cut, T0);
        assert_int_equal(found, len - cut >= 20);
        if (found)
            assert_true(t.len <= len - cut);
        guard_free(&g);
    }
    for (int off = -70; off <= 4; off++) {
        cfg.offset_known = true;
        cfg.offset = off;
        for (uint32_t n = 0; n < 64; n++) {
            struct guard g = guard_copy(buf, n);
            if (ws_trailer_find(&t, &cfg, g.data, n, T0))
                assert_true(t.len <= n);
            guard_free(&g);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_layouts), cmocka_unit_test(test_offset), cmocka_unit_test(test_chained),
        cmocka_unit_test(test_none), cmocka_unit_test(test_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
