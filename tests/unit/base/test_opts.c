/* SPDX-License-Identifier: BSD-3-Clause */
/* Option tables and the parsers of values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/opts.h"

struct values {
    bool flag;
    const char *text;
    struct ws_opt_list list;
    uint64_t count, size;
    int64_t time;
    int choice;
};

static const struct ws_opt table[] = {
    {"", 0, WS_OPT_FLAG, NULL, 3, 0, "Group"},
    {"flag", 'f', WS_OPT_FLAG, NULL, 1, offsetof(struct values, flag), "a flag"},
    {"text", 't', WS_OPT_STRING, "TEXT", 1, offsetof(struct values, text), "a text"},
    {"list", 'l', WS_OPT_LIST, "ITEM", 1, offsetof(struct values, list), "a list"},
    {"count", 0, WS_OPT_U64, "N", 1, offsetof(struct values, count), "a count"},
    {"size", 0, WS_OPT_SIZE, "SIZE", 1, offsetof(struct values, size), "a size"},
    {"time", 0, WS_OPT_DURATION, "TIME", 1, offsetof(struct values, time), "a time"},
    {"choice", 0, WS_OPT_CHOICE, "one|two|three", 1, offsetof(struct values, choice), "a choice"},
    {"other", 0, WS_OPT_FLAG, NULL, 2, offsetof(struct values, flag), "of another command"},
    {NULL, 0, WS_OPT_FLAG, NULL, 0, 0, NULL},
};

static int parse(struct values *v, struct ws_opt_list *pos, int *rest, char *err, const char *const *argv)
{
    int argc = 0;
    memset(v, 0, sizeof(*v));
    memset(pos, 0, sizeof(*pos));
    while (argv[argc])
        argc++;
    return ws_opts_parse(table, 1, argc, argv, v, pos, rest, err, 200);
}

static void mixes_options_and_files(void **state)
{
    const char *const argv[] = {"cmd", "a.pcap", "-f", "--text=x=y", "-lone", "--list", "two", "-", "--count", "1e6",
                    "--size", "64K", "--time", "5m", "--choice", "three", "b.pcap", "--", "tcp", "-x", NULL};
    struct values v;
    struct ws_opt_list pos;
    char err[200];
    int rest;
    (void)state;
    assert_int_equal(parse(&v, &pos, &rest, err, argv), 0);
    assert_true(v.flag);
    assert_string_equal(v.text, "x=y");
    assert_int_equal(v.list.n, 2);
    assert_string_equal(v.list.item[0], "one");
    assert_string_equal(v.list.item[1], "two");
    assert_int_equal(v.count, 1000000);
    assert_int_equal(v.size, 65536);
    assert_int_equal(v.time, INT64_C(300000000000));
    assert_int_equal(v.choice, 2);
    assert_int_equal(pos.n, 3);
    assert_string_equal(pos.item[1], "-");
    assert_string_equal(pos.item[2], "b.pcap");
    assert_string_equal(argv[rest], "tcp");
}

static void expect_error(const char *want, const char *const *argv)
{
    struct values v;
    struct ws_opt_list pos;
    char err[200] = "";
    int rest;
    assert_int_equal(parse(&v, &pos, &rest, err, argv), -EINVAL);
    assert_non_null(strstr(err, want));
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    expect_error("unknown option --nope", (const char *const[]){"cmd", "--nope", NULL});
    expect_error("unknown option --other", (const char *const[]){"cmd", "--other", NULL});
    expect_error("unknown option -z", (const char *const[]){"cmd", "-z", NULL});
    expect_error("--text needs a value", (const char *const[]){"cmd", "--text", NULL});
    expect_error("--flag takes no value", (const char *const[]){"cmd", "--flag=1", NULL});
    expect_error("'12x' is not a number", (const char *const[]){"cmd", "--count", "12x", NULL});
    expect_error("'0' is not a number from 1", (const char *const[]){"cmd", "--count", "0", NULL});
    expect_error("'1.5' is not a number", (const char *const[]){"cmd", "--count", "1.5", NULL});
    expect_error("'0' is not a size", (const char *const[]){"cmd", "--size", "0", NULL});
    expect_error("'0' is not a time", (const char *const[]){"cmd", "--time", "0", NULL});
    expect_error("'-1' is not a size", (const char *const[]){"cmd", "--size", "-1", NULL});
    expect_error("'soon' is not a time", (const char *const[]){"cmd", "--time=soon", NULL});
    expect_error("none of one|two|three", (const char *const[]){"cmd", "--choice", "tw", NULL});
}

static void parses_values(void **state)
{
    uint64_t u;
    int64_t t;
    (void)state;
    assert_int_equal(ws_parse_u64("18446744073709551615", &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(ws_parse_u64("18446744073709551616", &u), -EINVAL);
    assert_int_equal(ws_parse_u64("2k", &u), 0);
    assert_int_equal(u, 2000);
    assert_int_equal(ws_parse_u64("1.5k", &u), 0);
    assert_int_equal(u, 1500);
    assert_int_equal(ws_parse_u64("0", &u), 0);
    assert_int_equal(ws_parse_u64("0.5", &u), -EINVAL);
    assert_int_equal(ws_parse_size("1.5G", &u), 0);
    assert_int_equal(u, 1610612736);
    assert_int_equal(ws_parse_size("3MiB", &u), 0);
    assert_int_equal(u, 3 << 20);
    assert_int_equal(ws_parse_size("10B", &u), 0);
    assert_int_equal(u, 10);
    const char *bad[] = {"", " 1", "1 ", "0x10", "nan", "inf", "1e99", "K", "1KK", "+1", "1Q"};
    for (size_t i = 0; i < WS_ARRAY_SIZE(bad); i++) {
        assert_int_equal(ws_parse_size(bad[i], &u), -EINVAL);
        assert_int_equal(ws_parse_duration(bad[i], &t), -EINVAL);
    }
    assert_int_equal(ws_parse_duration("1.5", &t), 0);
    assert_int_equal(t, 1500000000);
    assert_int_equal(ws_parse_duration("250ms", &t), 0);
    assert_int_equal(t, 250000000);
    assert_int_equal(ws_parse_duration("2d", &t), 0);
    assert_int_equal(t, INT64_C(172800000000000));
}

/* What ws_opts_getopt() called, as text: "a=x b c=y ". */
struct calls {
    char text[256];
};

static int note(void *user, const struct ws_opt *o, const char *value, char *err, size_t err_len)
{
    struct calls *k = user;
    size_t at = strlen(k->text);
    if (value && strcmp(value, "bad") == 0) {
        snprintf(err, err_len, "refused");
        return -EINVAL;
    }
    snprintf(k->text + at, sizeof(k->text) - at, "%c%s%s ", o->letter ? o->letter : *o->name, value ? "=" : "",
             value ? value : "");
    return 0;
}

static const struct ws_opt getopt_table[] = {
    {"", 0, WS_OPT_FLAG, NULL, 1, 0, "Group"},
    {WS_OPT_SHORT, 'B', WS_OPT_FLAG, NULL, 1, 0, "a flag"},
    {WS_OPT_SHORT, 'F', WS_OPT_STRING, "F", 1, 0, "a value"},
    {"read", 'r', WS_OPT_STRING, "FILE", 1, 0, "both"},
    {"chroot", 0, WS_OPT_STRING, "DIR", 1, 0, "long only"},
    {NULL, 0, WS_OPT_FLAG, NULL, 0, 0, NULL},
};

static int parse_getopt(struct calls *k, int *rest, char *err, char **argv)
{
    int argc = 0;
    k->text[0] = '\0';
    while (argv[argc])
        argc++;
    return ws_opts_getopt(getopt_table, 1, argc, argv, note, k, rest, err, 200);
}

static void parses_as_getopt(void **state)
{
    char *argv[] = {(char[]){"cmd"}, (char[]){"port"}, (char[]){"-BBFkt"}, (char[]){"-Br"}, (char[]){"x"}, (char[]){"80"},
                    (char[]){"--chr=d"}, (char[]){"--read"}, (char[]){"-"}, (char[]){"--"}, (char[]){"-B"}, NULL};
    struct calls k;
    char err[200];
    int rest;
    (void)state;
    for (int again = 0; again < 2; again++) {
        assert_int_equal(parse_getopt(&k, &rest, err, argv), 0);
        assert_string_equal(k.text, "B B F=kt B r=x c=d r=- ");
        assert_int_equal(rest, 8);
        assert_string_equal(argv[rest], "port");
        assert_string_equal(argv[rest + 1], "80");
        assert_string_equal(argv[rest + 2], "-B");
    }
    const struct {
        char *argv[4];
        const char *want;
    } bad[] = {
        {{argv[0], (char[]){"-BQ"}, NULL}, "unknown option -Q"},
        {{argv[0], (char[]){"--nothing"}, NULL}, "unknown option --nothing"},
        {{argv[0], (char[]){"-BF"}, NULL}, "-F needs a value: F"},
        {{argv[0], (char[]){"--chroot"}, NULL}, "--chroot needs a value: DIR"},
        {{argv[0], (char[]){"-r"}, (char[]){"bad"}, NULL}, "refused"},
        {{argv[0], (char[]){"---"}, NULL}, "unknown option ---"},
    };
    for (size_t i = 0; i < WS_ARRAY_SIZE(bad); i++) {
        char *copy[4];
        memcpy(copy, bad[i].argv, sizeof(copy));
        assert_int_equal(parse_getopt(&k, &rest, err, copy), -EINVAL);
        assert_string_equal(err, bad[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixes_options_and_files),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(parses_values),
        cmocka_unit_test(parses_as_getopt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
