/* SPDX-License-Identifier: BSD-3-Clause */
/* Command lines of any words: the parsers of lib/base end with a value or with one line that says why. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/opts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct values {
    bool flag, other;
    const char *text;
    struct ws_opt_list list;
    uint64_t count, count0, size, size0;
    int64_t duration;
    int choice;
    uint32_t guard;
};
#define AT(m) offsetof(struct values, m)

static const struct ws_opt table[] = {
    {"flag", 'f', WS_OPT_FLAG, NULL, 1, AT(flag), "a flag"},
    {"flagged", 0, WS_OPT_FLAG, NULL, 1, AT(other), "begins alike"},
    {"text", 't', WS_OPT_STRING, "TEXT", 1, AT(text), "text"},
    {"list", 'l', WS_OPT_LIST, "ITEM", 1, AT(list), "many"},
    {"count", 'c', WS_OPT_U64, "N", 1, AT(count), "from 1"},
    {"count0", 0, WS_OPT_U64_OR_0, "N", 1, AT(count0), "from 0"},
    {"size", 's', WS_OPT_SIZE, "SIZE", 1, AT(size), "bytes"},
    {"size0", 0, WS_OPT_SIZE_OR_0, "SIZE", 1, AT(size0), "bytes from 0"},
    {"duration", 'd', WS_OPT_DURATION, "TIME", 1, AT(duration), "time"},
    {"choice", 0, WS_OPT_CHOICE, "raw|headers|json", 1, AT(choice), "one of"},
    {"elsewhere", 0, WS_OPT_FLAG, NULL, 2, AT(other), "another command's"},
    {0},
};

static void check(int ok)
{
    if (!ok)
        abort();
}

static int set(void *user, const struct ws_opt *o, const char *value, char *err, size_t err_len)
{
    unsigned *calls = user;
    (void)err;
    (void)err_len;
    ++*calls;
    check(o && o->commands & 1 && (value == NULL) == (o->type == WS_OPT_FLAG));
    return 0;
}

/* Words are what stands between zero bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    enum { WORDS = 300 };
    static struct values v;
    static struct ws_opt_list positional;
    char *text = malloc(len + 1), *argv[WORDS + 2], *moved[WORDS + 2], err[200] = "";
    int argc = 0, rest = -1;
    check(text != NULL);
    memcpy(text, data, len);
    text[len] = '\0';
    argv[argc++] = (char *)(uintptr_t)"fuzz";
    for (size_t at = 0; at < len && argc <= WORDS; at += strlen(text + at) + 1)
        argv[argc++] = text + at;
    argv[argc] = NULL;

    memset(&v, 0, sizeof(v));
    memset(&positional, 0, sizeof(positional));
    v.count = v.size = 1;
    v.duration = 1;
    v.guard = 0xfeedbeef;
    int rc = ws_opts_parse(table, 1, argc, (const char *const *)argv, &v, &positional, &rest, err, sizeof(err));
    check(v.guard == 0xfeedbeef && v.list.n <= WS_OPT_LIST_MAX && positional.n <= WS_OPT_LIST_MAX);
    if (rc == 0) {
        check(rest >= 1 && rest <= argc && v.count && v.size && v.duration > 0);
        check(v.choice >= 0 && v.choice <= 2);
    } else {
        check(rc < 0 && *err && strlen(err) < sizeof(err));
    }

    unsigned calls = 0;
    memcpy(moved, argv, sizeof(argv[0]) * (size_t)(argc + 1));
    *err = '\0';
    rest = -1;
    rc = ws_opts_getopt(table, 1, argc, moved, set, &calls, &rest, err, sizeof(err));
    check(rc == 0 ? rest >= 1 && rest <= argc : rc < 0 && *err && strlen(err) < sizeof(err));

    for (int i = 1; i < argc; i++) {
        uint64_t n = 0, s = 0;
        int64_t d = 0;
        check(ws_parse_u64(argv[i], &n) <= 0 && ws_parse_size(argv[i], &s) <= 0);
        check(ws_parse_duration(argv[i], &d) < 0 || d >= 0);
    }
    free(text);
    return 0;
}
