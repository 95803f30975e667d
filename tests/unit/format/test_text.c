/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers, addresses and times as text; JSON escapes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "format/json.h"
#include "format/text.h"
#include "guard.h"

#define EXPECT(want, call)                                                                         \
    do {                                                                                           \
        char buf_[256];                                                                            \
        struct ws_text t_, *t = &t_;                                                               \
        ws_text_init(t, buf_, sizeof(buf_));                                                       \
        call;                                                                                      \
        assert_true(ws_text_end(t) >= 0);                                                          \
        assert_string_equal(buf_, want);                                                           \
    } while (0)

static void numbers(void **state)
{
    (void)state;
    EXPECT("0", ws_text_u64(t, 0, 0, '0'));
    EXPECT("18446744073709551615", ws_text_u64(t, UINT64_MAX, 0, '0'));
    EXPECT("00042", ws_text_u64(t, 42, 5, '0'));
    EXPECT("   42", ws_text_u64(t, 42, 5, ' '));
    EXPECT("-9223372036854775808", ws_text_i64(t, INT64_MIN));
    EXPECT("0", ws_text_grouped(t, 0));
    EXPECT("999", ws_text_grouped(t, 999));
    EXPECT("1,000", ws_text_grouped(t, 1000));
    EXPECT("18,446,744,073,709,551,615", ws_text_grouped(t, UINT64_MAX));
    EXPECT("999", ws_text_si(t, 999));
    EXPECT("1.00 kB", ws_text_si(t, 1000));
    EXPECT("1.23 kB", ws_text_si(t, 1239));
    EXPECT("12.3 MB", ws_text_si(t, 12399999));
    EXPECT("999 GB", ws_text_si(t, UINT64_C(999999999999)));
    EXPECT("18.4 EB", ws_text_si(t, UINT64_MAX));
}

static void seconds(void **state)
{
    (void)state;
    EXPECT("0.000000000", ws_text_seconds(t, 0, 9));
    EXPECT("1.000000001", ws_text_seconds(t, 1000000001, 9));
    EXPECT("-1.500000000", ws_text_seconds(t, -1500000000, 9));
    EXPECT("-0.000000001", ws_text_seconds(t, -1, 9));
    EXPECT("1700000000.123", ws_text_seconds(t, INT64_C(1700000000123999999), 3));
    EXPECT("-9223372036.854775808", ws_text_seconds(t, INT64_MIN, 9));
}

/* Every address that inet_ntop() writes by RFC 5952 is written alike. */
static void addresses(void **state)
{
    static const char *const v6[] = {
        "::",
        "::1",
        "1::",
        "2001:db8::1",
        "fe80::1:2:3:4",
        "1:2:3:4:5:6:7:8",
        "1:0:2::3",
        "1::2:0:0:3",
        "0:1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:0",
        "::ffff:1.2.3.4",
        "a:b:c:d:e:f:0:1",
        "1:0:0:2:0:0:0:3",
        "ff02::fb",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(v6) / sizeof(*v6); i++) {
        uint8_t a[16];
        char want[64];
        assert_int_equal(inet_pton(AF_INET6, v6[i], a), 1);
        inet_ntop(AF_INET6, a, want, sizeof(want));
        EXPECT(want, ws_text_addr(t, a, 6));
    }
    uint8_t a4[16] = {10, 0, 255, 1};
    EXPECT("10.0.255.1", ws_text_addr(t, a4, 4));
    EXPECT("10.0.255.1:80", ws_text_endpoint(t, a4, 4, 80));
    EXPECT("10.0.255.1", ws_text_endpoint(t, a4, 4, 0));
    uint8_t a6[16] = {0x20, 1, [15] = 9};
    EXPECT("[2001::9]:443", ws_text_endpoint(t, a6, 6, 443));
}

/* Against the C library, over days around year and leap boundaries and the ends of int64. */
static void calendar(void **state)
{
    static const int64_t s[] = {
        0,          -1,          1,          951782400,  951868799, 951868800,
        4107542400, 4107456000,  1709164800, 1000000000, -62135596, -2208988800,
        9223372036, -9223372036, 1735689599, 1735689600,
    };
    (void)state;
    for (size_t i = 0; i < sizeof(s) / sizeof(*s); i++) {
        time_t tt = (time_t)s[i];
        struct tm tm;
        char want[64];
        gmtime_r(&tt, &tm);
        strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm);
        EXPECT(want, ws_text_iso(t, s[i] * 1000000000, 0));
    }
    EXPECT("1969-12-31T23:59:59.999999999Z", ws_text_iso(t, -1, 9));
    EXPECT("2001-09-09T01:46:40.123Z", ws_text_iso(t, INT64_C(1000000000123456789), 3));
    EXPECT("20010909-014640", ws_text_stamp(t, INT64_C(1000000000000000000), true));
}

/* What does not fit is said, never written beyond the end. */
static void bounds(void **state)
{
    (void)state;
    for (size_t max = 0; max <= 12; max++) {
        struct guard g = guard_copy("............", max);
        struct ws_text t;
        ws_text_init(&t, (char *)g.data, max);
        ws_text_puts(&t, "0123456789");
        int rc = ws_text_end(&t);
        if (max > 10) {
            assert_int_equal(rc, 10);
            assert_string_equal((char *)g.data, "0123456789");
        } else {
            assert_int_equal(rc, -ENOBUFS);
        }
        guard_free(&g);
    }
}

static void json_structure(void **state)
{
    char buf[256];
    struct ws_text t;
    struct ws_json j;
    (void)state;
    ws_text_init(&t, buf, sizeof(buf));
    ws_json_init(&j, &t);
    ws_json_object(&j);
    ws_json_key(&j, "a");
    ws_json_u64(&j, 1);
    ws_json_key(&j, "b");
    ws_json_array(&j);
    ws_json_i64(&j, -2);
    ws_json_bool(&j, true);
    ws_json_null(&j);
    ws_json_object(&j);
    ws_json_object_end(&j);
    ws_json_array(&j);
    ws_json_array_end(&j);
    ws_json_array_end(&j);
    ws_json_key(&j, "c");
    ws_json_strz(&j, "x");
    ws_json_key(&j, "d");
    ws_json_seconds(&j, INT64_C(1700000000000000001));
    ws_json_key(&j, "e");
    ws_json_ns_str(&j, -5);
    ws_json_object_end(&j);
    ws_text_end(&t);
    assert_string_equal(buf, "{\"a\":1,\"b\":[-2,true,null,{},[]],\"c\":\"x\","
                             "\"d\":1700000000.000000001,\"e\":\"-5\"}");
}

static void escape(const char *in, size_t n, bool ascii, const char *want)
{
    char buf[256];
    struct ws_text t;
    struct guard g = guard_copy(in, n);
    ws_text_init(&t, buf, sizeof(buf));
    ws_json_escape(&t, g.data, n, ascii);
    ws_text_end(&t);
    assert_string_equal(buf, want);
    guard_free(&g);
}
#define ESCAPE(in, ascii, want) escape(in, sizeof(in) - 1, ascii, want)

static void json_escapes(void **state)
{
    (void)state;
    ESCAPE("", false, "");
    ESCAPE("plain /", false, "plain /");
    ESCAPE("\"\\\b\f\n\r\t", false, "\\\"\\\\\\b\\f\\n\\r\\t");
    ESCAPE("\0\x1f", false, "\\u0000\\u001f");
    ESCAPE("\x7f", false, "\x7f");
    ESCAPE("\x7f", true, "\\u007F");
    /* well-formed UTF-8 stands */
    ESCAPE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", false, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    ESCAPE("\xc3\xa9", true, "\\u00C3\\u00A9");
    /* cut, overlong, surrogate, above U+10FFFF, stray continuation: byte by byte */
    ESCAPE("a\xc3", false, "a\\u00c3");
    ESCAPE("\xe2\x82", false, "\\u00e2\\u0082");
    ESCAPE("\xc0\xaf", false, "\\u00c0\\u00af");
    ESCAPE("\xe0\x80\xaf", false, "\\u00e0\\u0080\\u00af");
    ESCAPE("\xed\xa0\x80", false, "\\u00ed\\u00a0\\u0080");
    ESCAPE("\xf4\x90\x80\x80", false, "\\u00f4\\u0090\\u0080\\u0080");
    ESCAPE("\x80z", false, "\\u0080z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),      cmocka_unit_test(seconds), cmocka_unit_test(addresses),
        cmocka_unit_test(calendar),     cmocka_unit_test(bounds),  cmocka_unit_test(json_structure),
        cmocka_unit_test(json_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
