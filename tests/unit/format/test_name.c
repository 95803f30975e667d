/* SPDX-License-Identifier: BSD-3-Clause */
/* File names from templates; the expected ones are what tcpflow 1.6.1 wrote for the same flows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "format/name.h"
#include "guard.h"

static const struct ws_name_values v4 = {
    .src = {10, 0, 0, 1},
    .dst = {10, 0, 0, 2},
    .src_mac = {2, 0, 0, 0, 0, 1},
    .dst_mac = {2, 0, 0, 0, 0, 2},
    .ts_ns = INT64_C(1000000000250000000),
    .number = 1234567,
    .src_port = 1234,
    .dst_port = 80,
    .ip_version = 4,
    .proto = 6,
};

static void check(const char *tpl, const struct ws_name_values *v, char colon, const char *want)
{
    struct ws_name n;
    struct ws_name_options opt = {.colon = colon};
    char err[160] = "", buf[256];
    if (ws_name_compile(&n, tpl, &opt, err, sizeof(err)) != 0)
        fail_msg("%s: %s", tpl, err);
    assert_int_equal(ws_name_render(&n, v, buf, sizeof(buf)), strlen(want));
    assert_string_equal(buf, want);
}

static void default_template(void **state)
{
    struct ws_name_values v = v4;
    (void)state;
    check(WS_NAME_DEFAULT, &v, 0, "010.000.000.001.01234-010.000.000.002.00080");
    v.counter = 1;
    check(WS_NAME_DEFAULT, &v, 0, "010.000.000.001.01234-010.000.000.002.00080c1");
    v.counter = 12;
    v.vlan[0] = 7;
    check(WS_NAME_DEFAULT, &v, 0, "010.000.000.001.01234-010.000.000.002.00080--7c12");
    v.counter = 0;
    v.vlan[1] = 100;
    check(WS_NAME_DEFAULT, &v, 0, "010.000.000.001.01234-010.000.000.002.00080--7.100");
}

static void ipv6(void **state)
{
    struct ws_name_values v = v4;
    (void)state;
    memset(v.src, 0, 16);
    memset(v.dst, 0, 16);
    v.src[0] = 0xfe;
    v.src[1] = 0x80;
    v.src[15] = 1;
    memcpy(v.dst, "\x20\x01\x0d\xb8", 4);
    v.dst[15] = 2;
    v.ip_version = 6;
    check(WS_NAME_DEFAULT, &v, 0, "fe80::1.01234-2001:db8::2.00080");
    check(WS_NAME_DEFAULT, &v, '_', "fe80__1.01234-2001_db8__2.00080");
}

static void letters(void **state)
{
    struct ws_name_values v = v4;
    (void)state;
    check("%E_%e_%T_%t_%N_%K_%M_%G_%S_%#_%%", &v, 0,
          "02:00:00:00:00:01_02:00:00:00:00:02_2001-09-09T01:46:40Z_1000000000_567_234_001_000_"
          "00000000000001234567_0_%");
    check("%E:%T", &v, '.', "02.00.00.00.00.01:2001-09-09T01.46.40Z");
    check("%N", &v, 0, "567");
    check("%V%v|", &v, 0, "|");
    check("%A/%a/%B/%b/%c%N.flow", &v, 0, "010.000.000.001/01234/010.000.000.002/00080/567.flow");
    v.counter = 3;
    check("x", &v, 0, "xc3");
    check("%04#-%c", &v, 0, "0003-3");
    v.ts_ns = -1;
    check("%t", &v, 0, "-1c3");
}

static void our_letters(void **state)
{
    struct ws_name_values v = v4;
    (void)state;
    check("%D-%P-%-A.%-a-%-B.%-b%C%c.txt", &v, '_',
          "20010909014640-TCP-10.0.0.1.1234-10.0.0.2.80.txt");
    check("%_A->%_6a", &v, 0, " 10.  0.  0.  1->  1234");
    v.proto = 58;
    check("%P", &v, 0, "IPV6-ICMP");
    v.proto = 254;
    check("%P", &v, 0, "IP(254)");
}

static void zones(void **state)
{
    struct ws_name_values v = v4;
    (void)state;
    v.zone_s = 2 * 3600;
    check("%T %D %t|", &v, 0, "2001-09-09T03:46:40+02:00 20010909034640 1000000000|");
    v.zone_s = -(9 * 3600 + 1800); /* the Marquesas */
    check("%T|", &v, '_', "2001-09-08T16_16_40-09_30|");
    v.ts_ns = INT64_MAX;
    v.zone_s = 3600;
    check("%D|", &v, 0, "22620411234716|"); /* no such time: UTC */
}

static void uses_and_completeness(void **state)
{
    struct ws_name n;
    char err[160];
    (void)state;
    assert_int_equal(ws_name_compile(&n, WS_NAME_DEFAULT, NULL, err, sizeof(err)), 0);
    assert_true(n.complete);
    assert_int_equal(n.uses, WS_NAME_USES_ADDR | WS_NAME_USES_PORT | WS_NAME_USES_COUNTER);
    assert_int_equal(ws_name_compile(&n, "%A-%B.%b", NULL, err, sizeof(err)), 0);
    assert_false(n.complete);
    assert_int_equal(ws_name_compile(&n, "%N%E", NULL, err, sizeof(err)), 0);
    assert_int_equal(n.uses, WS_NAME_USES_NUMBER | WS_NAME_USES_MAC | WS_NAME_USES_COUNTER);
    struct ws_name_options opt = {.no_counter = true};
    assert_int_equal(ws_name_compile(&n, "x", &opt, err, sizeof(err)), 0);
    assert_int_equal(n.uses, 0);
}

static void refused(const char *tpl, int rc, const char *part)
{
    struct ws_name n;
    char err[160] = "";
    struct guard g = guard_copy(tpl, strlen(tpl) + 1);
    assert_int_equal(ws_name_compile(&n, (const char *)g.data, NULL, err, sizeof(err)), rc);
    if (!strstr(err, part))
        fail_msg("%s: \"%s\" does not say \"%s\"", tpl, err, part);
    guard_free(&g);
}

static void errors(void **state)
{
    char big[2048];
    (void)state;
    refused("", -EINVAL, "empty");
    refused("%Q%c", -EINVAL, "%Q");
    refused("%A%", -EINVAL, "%");
    refused("%-", -EINVAL, "%-");
    refused("%09", -EINVAL, "%09");
    refused("%99999999999A", -EINVAL, "unknown");
    refused("%41a", -EINVAL, "unknown");
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    refused(big, -E2BIG, "longer");
    for (size_t i = 0; i + 2 < sizeof(big); i += 2)
        memcpy(big + i, "%A", 2);
    big[sizeof(big) - 2] = '\0';
    refused(big, -E2BIG, "parts");
}

/* Every buffer size: a name that fits is whole, a name that does not is an error. */
static void bounded(void **state)
{
    struct ws_name n;
    char err[160];
    const size_t len = strlen("010.000.000.001.01234-010.000.000.002.00080");
    (void)state;
    assert_int_equal(ws_name_compile(&n, WS_NAME_DEFAULT, NULL, err, sizeof(err)), 0);
    for (size_t max = 0; max < len + 3; max++) {
        char zero[64] = {0};
        struct guard g = guard_copy(zero, max);
        int rc = ws_name_render(&n, &v4, (char *)g.data, max);
        assert_int_equal(rc, max > len ? (int)len : -ENOBUFS);
        guard_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_template),
        cmocka_unit_test(ipv6),
        cmocka_unit_test(letters),
        cmocka_unit_test(our_letters),
        cmocka_unit_test(zones),
        cmocka_unit_test(uses_and_completeness),
        cmocka_unit_test(errors),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
