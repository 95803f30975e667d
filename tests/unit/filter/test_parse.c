/* SPDX-License-Identifier: BSD-3-Clause */
/* Parsers of selector values: what they take, what they refuse, and that a refusal changes nothing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter/select.h"

typedef int (*add_fn)(struct ws_select *s, const char *text, char *err, size_t err_len);

/* Each text is refused with a line that names it, and leaves the selectors as they were. */
static void refuse_all(add_fn add, const char *const *text)
{
    for (; *text; text++) {
        char err[256] = "";
        struct ws_select s, before;
        ws_select_init(&s);
        before = s;
        if (add(&s, *text, err, sizeof(err)) != -EINVAL)
            fail_msg("taken: '%s'", *text);
        assert_non_null(strstr(err, *text));
        assert_null(strchr(err, '\n'));

        assert_memory_equal(&s, &before, sizeof(s));
    }
}

static void ports(void **state)
{
    (void)state;
    struct ws_select s;
    char err[256];
    ws_select_init(&s);
    assert_int_equal(ws_select_add_port(&s, "80", err, sizeof(err)), 0);
    assert_int_equal(ws_select_add_port(&s, "0-65535", err, sizeof(err)), 0);
    assert_int_equal(ws_select_add_port_not(&s, "22-22", err, sizeof(err)), 0);
    assert_true(s.n_port == 2 && s.n_port_not == 1);
    assert_true(s.port[0].lo == 80 && s.port[0].hi == 80 && s.port[0].proto == 0);
    assert_true(s.port[1].lo == 0 && s.port[1].hi == 65535);
    assert_int_equal(ws_select_add_port(&s, "tcp,80", err, sizeof(err)), 0);
    assert_int_equal(ws_select_add_port_not(&s, "sctp,1-2", err, sizeof(err)), 0);
    assert_true(s.port[2].lo == 80 && s.port[2].hi == 80 && s.port[2].proto == 6);
    assert_true(s.port_not[1].lo == 1 && s.port_not[1].hi == 2 && s.port_not[1].proto == 132);
    static const char *const bad[] = {"icmp,1", "tcp,", ",80", "tcp,80,81", "tcp80", "TCP,80", "tc,80",
                                      "",      "-",     "80-",   "-80",      "65536",
                                      "80-79", "80 ",   " 80",   "+80",      "0x50",
                                      "http",  "80,81", "1-2-3", "80-65536", "99999999999999999999",
                                      NULL};
    refuse_all(ws_select_add_port, bad);
    refuse_all(ws_select_add_port_not, bad);
}

static void hosts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t version, prefix;
        uint8_t addr[16];
    } good[] = {
        {"10.1.2.3", 4, 32, {10, 1, 2, 3}},
        {"10.1.2.3/8", 4, 8, {10}},
        {"10.1.2.3/0", 4, 0, {0}},
        {"10.1.255.3/20", 4, 20, {10, 1, 240}},
        {"10.1.255.3/255.255.240.0", 4, 20, {10, 1, 240}},
        {"1.2.3.4/0.0.0.0", 4, 0, {0}},
        {"1.2.3.4/255.255.255.255", 4, 32, {1, 2, 3, 4}},
        {"::1", 6, 128, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
        {"2001:db8:ffff::/33", 6, 33, {0x20, 0x01, 0x0d, 0xb8, 0x80}},
        {"::ffff:1.2.3.4", 6, 128, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4}},
    };
    for (unsigned i = 0; i < WS_ARRAY_SIZE(good); i++) {
        struct ws_select s;
        char err[256];
        ws_select_init(&s);
        assert_int_equal(ws_select_add_host(&s, good[i].text, err, sizeof(err)), 0);
        assert_int_equal(s.n_host, 1);
        assert_int_equal(s.host[0].ip_version, good[i].version);
        assert_int_equal(s.host[0].prefix, good[i].prefix);
        assert_memory_equal(s.host[0].addr, good[i].addr, 16);
    }
    static const char *const bad[] = {
        "",
        "10.1.2",
        "10.1.2.3/",
        "10.1.2.3/33",
        "::1/129",
        "/8",
        "10.1.2.3/-1",
        "localhost",
        "fe80::1%lo",
        "1.2.3.4/255.0.255.0",
        "::1/255.0.0.0",
        "1.2.3.4/8/8",
        "1.2.3.4 ",
        "[::1]",
        "1.2.3.4/0.0.0.255",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd",
        NULL};
    refuse_all(ws_select_add_host, bad);
}

static void tuples(void **state)
{
    (void)state;
    struct ws_select s;
    char err[256];
    ws_select_init(&s);
    assert_int_equal(ws_select_add_tuple(&s, "tcp,1.2.3.4:80,5.6.7.8:9", err, sizeof(err)), 0);
    assert_int_equal(ws_select_add_tuple(&s, "17,[::1]:80,[fe80::1]:0", err, sizeof(err)), 0);
    assert_int_equal(ws_select_add_tuple(&s, "ICMP,1.2.3.4,5.6.7.8", err, sizeof(err)), 0);
    assert_int_equal(ws_select_add_tuple(&s, "any,1.2.3.4:1,5.6.7.8:2", err, sizeof(err)), 0);
    assert_int_equal(ws_select_add_tuple(&s, "icmp6,::1,[::2]", err, sizeof(err)), 0);
    assert_int_equal(s.n_tuple, 5);
    assert_true(s.tuple[0].proto == 6 && s.tuple[0].ip_version == 4 && !s.tuple[0].one_way);
    assert_true(s.tuple[0].port[0] == 80 && s.tuple[0].port[1] == 9);
    assert_memory_equal(s.tuple[0].addr[1], ((uint8_t[16]){5, 6, 7, 8}), 16);
    assert_true(s.tuple[1].proto == 17 && s.tuple[1].ip_version == 6 && s.tuple[1].port[1] == 0);
    assert_int_equal(s.tuple[1].addr[1][0], 0xfe);
    assert_true(s.tuple[2].proto == 1 && s.tuple[2].port[0] == 0 && s.tuple[3].proto == 0);
    assert_int_equal(s.tuple[4].addr[1][15], 2);
    static const char *const bad[] = {"",
                                      "tcp",
                                      "tcp,1.2.3.4:80",
                                      "tcp,1.2.3.4:80,",
                                      "tcp,1.2.3.4:80,5.6.7.8",
                                      "tcp,1.2.3.4,5.6.7.8",
                                      "tcp,1.2.3.4:80,5.6.7.8:9,",
                                      "tcp,1.2.3.4:80,[::1]:9",
                                      "tcp,::1:80,::2:9",
                                      "tcp,[::1]80,[::2]:9",
                                      "tcp,[::1:80,[::2]:9",
                                      "tcp,1.2.3.4:80x,5.6.7.8:9",
                                      "tcp,1.2.3.4:,5.6.7.8:9",
                                      "tcp,1.2.3.4:65536,5.6.7.8:9",
                                      "256,1.2.3.4:80,5.6.7.8:9",
                                      "tcpp,1.2.3.4:80,5.6.7.8:9",
                                      ",1.2.3.4:80,5.6.7.8:9",
                                      "icmp,1.2.3.4:80,5.6.7.8:9",
                                      "tcp, 1.2.3.4:80,5.6.7.8:9",
                                      NULL};
    refuse_all(ws_select_add_tuple, bad);
}

static void community_ids(void **state)
{
    (void)state;
    struct ws_select s;
    char err[256];
    ws_select_init(&s);
    const char *id = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=";
    assert_int_equal(ws_select_add_community_id(&s, id, err, sizeof(err)), 0);
    assert_string_equal(s.community_id[0], id);
    static const char *const bad[] = {"",
                                      "1:",
                                      "LQU9qZlK+B5F3KDmev6m5PMibrg=",
                                      "2:LQU9qZlK+B5F3KDmev6m5PMibrg=",
                                      "1:LQU9qZlK+B5F3KDmev6m5PMibrg",
                                      "1:LQU9qZlK+B5F3KDmev6m5PMibrg==",
                                      "1:LQU9qZlK+B5F3KDmev6m5PMibrh=",
                                      "1:LQU9qZlK-B5F3KDmev6m5PMibrg=",
                                      "1:LQU9qZlK+B5F3KDmev6m5PMibr=g",
                                      NULL};
    refuse_all(ws_select_add_community_id, bad);
}

/* The lists take WS_SELECT_MAX and refuse one more. */
static void lists_are_bounded(void **state)
{
    (void)state;
    static const struct {
        add_fn add;
        const char *text;
    } kind[] = {
        {ws_select_add_port, "80"},
        {ws_select_add_port_not, "80"},
        {ws_select_add_host, "::1"},
        {ws_select_add_tuple, "tcp,1.2.3.4:80,5.6.7.8:9"},
        {ws_select_add_community_id, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
    };
    struct ws_select s;
    char err[256];
    ws_select_init(&s);
    for (unsigned k = 0; k < WS_ARRAY_SIZE(kind); k++) {
        for (unsigned i = 0; i < WS_SELECT_MAX; i++)
            assert_int_equal(kind[k].add(&s, kind[k].text, err, sizeof(err)), 0);
        assert_int_equal(kind[k].add(&s, kind[k].text, err, sizeof(err)), -EINVAL);
        assert_non_null(strstr(err, "more than 64"));
    }
    assert_true(s.n_port == 64 && s.n_port_not == 64 && s.n_host == 64 && s.n_tuple == 64 &&
                s.n_community_id == 64);
}

/* Reference values from `date -u -d ... +%s`. */
static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"1700000000", INT64_C(1700000000000000000)},
        {"1700000000.5", INT64_C(1700000000500000000)},
        {"1700000000.123456789", INT64_C(1700000000123456789)},
        {"9223372036.854775807", INT64_MAX},
        {"2026-01-02T03:04:05.123456789", INT64_C(1767323045123456789)},
        {"2026-01-02T03:04:05Z", INT64_C(1767323045000000000)},
        {"2026-01-02 03:04:05+02:30", INT64_C(1767314045000000000)},
        {"2026-01-02T03:04:05.25-01:00", INT64_C(1767326645250000000)},
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59.999999999Z", -1},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000000000)},
        {"2024-12-31T23:59:59Z", INT64_C(1735689599000000000)},
        {"2100-03-01T00:00:00Z", INT64_C(4107542400000000000)},
    };
    for (unsigned i = 0; i < WS_ARRAY_SIZE(good); i++) {
        char err[256];
        int64_t ns = 42;
        assert_int_equal(ws_select_time(good[i].text, &ns, err, sizeof(err)), 0);
        assert_true(ns == good[i].ns);
    }
    static const char *const bad[] = {"",
                                      "now",
                                      "-1",
                                      "1.",
                                      ".5",
                                      "1.1234567890",
                                      "1x",
                                      "1 ",
                                      "9223372036.854775808",
                                      "99999999999999999999",
                                      "2026-01-02",
                                      "2026-01-02T03:04",
                                      "2026-1-2T03:04:05",
                                      "2026-13-02T03:04:05",
                                      "2026-00-02T03:04:05",
                                      "2026-02-29T03:04:05",
                                      "2100-02-29T00:00:00",
                                      "2026-01-32T03:04:05",
                                      "2026-01-02T24:00:00",
                                      "2026-01-02T03:60:05",
                                      "2026-01-02T03:04:60",
                                      "2026-01-02T03:04:05.",
                                      "2026-01-02T03:04:05z",
                                      "2026-01-02T03:04:05+0200",
                                      "2026-01-02T03:04:05+02:",
                                      "2026-01-02T03:04:05+24:00",
                                      "2026-01-02T03:04:05Zjunk",
                                      "2300-01-01T00:00:00Z",
                                      "0001-01-01T00:00:00Z",
                                      "2026-",
                                      NULL};
    for (unsigned i = 0; bad[i]; i++) {
        char err[256] = "";
        int64_t ns = 42;
        if (ws_select_time(bad[i], &ns, err, sizeof(err)) != -EINVAL)
            fail_msg("taken: '%s'", bad[i]);
        assert_true(ns == 42);
        assert_non_null(strstr(err, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports),
        cmocka_unit_test(hosts),
        cmocka_unit_test(tuples),
        cmocka_unit_test(community_ids),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(times),
    };
    return cmocka_run_group_tests_name("filter/parse", tests, NULL, NULL);
}
