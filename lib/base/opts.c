/* SPDX-License-Identifier: BSD-3-Clause */
/* Option tables: parsing, help, man page. */
#include "base/opts.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A non-negative number with an optional suffix; scale(suffix) < 0 means no such suffix. */
static int parse_scaled(const char *text, double (*scale)(const char *), double max, double *out)
{
    char *end;
    if (!((text[0] >= '0' && text[0] <= '9') || text[0] == '.'))
        return -EINVAL;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return -EINVAL;
    double v = strtod(text, &end);
    double k = scale(end);
    if (end == text || k < 0 || !isfinite(v) || v * k >= max)
        return -EINVAL;
    *out = v * k;
    return 0;
}

static double power_scale(const char *s, double base)
{
    static const char letters[] = "KMGT";
    if (!*s)
        return 1;
    char upper = (char)(*s >= 'a' ? *s - 'a' + 'A' : *s);
    const char *at = memchr(letters, upper, 4);
    if (!at)
        return -1;
    /* "64K", "64KB" and "64KiB" all mean the same */
    if (s[1] && strcmp(s + 1, "B") != 0 && strcmp(s + 1, "iB") != 0)
        return -1;
    double k = base;
    for (const char *l = letters; l < at; l++)
        k *= base;
    return k;
}

static double count_scale(const char *s)
{
    return power_scale(s, 1000);
}

static double size_scale(const char *s)
{
    return strcmp(s, "B") == 0 ? 1 : power_scale(s, 1024);
}

static double time_scale(const char *s)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"", 1e9},   {"s", 1e9},   {"ms", 1e6},   {"us", 1e3},
                 {"ns", 1},   {"m", 60e9},  {"h", 3600e9}, {"d", 86400e9}};
    for (size_t i = 0; i < WS_ARRAY_SIZE(units); i++)
        if (strcmp(s, units[i].unit) == 0)
            return units[i].ns;
    return -1;
}

/* Plain digits are exact to 64 bits; other spellings go through double. */
static int parse_unsigned(const char *text, double (*scale)(const char *), bool whole, uint64_t *out)
{
    double v;
    if (*text && strspn(text, "0123456789") == strlen(text)) {
        errno = 0;
        unsigned long long n = strtoull(text, NULL, 10);
        if (errno)
            return -EINVAL;
        *out = n;
        return 0;
    }
    if (parse_scaled(text, scale, 18446744073709549568.0, &v) < 0 || (whole && v != floor(v)))
        return -EINVAL;
    *out = (uint64_t)v;
    return 0;
}

int ws_parse_u64(const char *text, uint64_t *out)
{
    return parse_unsigned(text, count_scale, true, out);
}

int ws_parse_size(const char *text, uint64_t *out)
{
    return parse_unsigned(text, size_scale, false, out);
}

int ws_parse_duration(const char *text, int64_t *out_ns)
{
    double v;
    if (parse_scaled(text, time_scale, 9.2e18, &v) < 0)
        return -EINVAL;
    *out_ns = (int64_t)v;
    return 0;
}

/* Index of word among the choices "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word)
{
    size_t len = strlen(word);
    int i = 0;
    for (const char *c = choices; c; i++) {
        const char *bar = strchr(c, '|');
        size_t n = bar ? (size_t)(bar - c) : strlen(c);
        if (n == len && memcmp(c, word, n) == 0)
            return i;
        c = bar ? bar + 1 : NULL;
    }
    return -1;
}

static int bad_value(const struct ws_opt *o, const char *value, const char *want, char *err,
                     size_t err_len)
{
    snprintf(err, err_len, "--%s: '%s' is not %s", o->name, value, want);
    return -EINVAL;
}

static int store(const struct ws_opt *o, const char *value, void *values, char *err, size_t err_len)
{
    void *at = (char *)values + o->offset;
    struct ws_opt_list *list;
    int i;
    switch (o->type) {
    case WS_OPT_FLAG:
        *(bool *)at = true;
        return 0;
    case WS_OPT_STRING:
        *(const char **)at = value;
        return 0;
    case WS_OPT_LIST:
        list = at;
        if (list->n == WS_OPT_LIST_MAX) {
            snprintf(err, err_len, "--%s: given more than %u times", o->name, WS_OPT_LIST_MAX);
            return -EINVAL;
        }
        list->item[list->n++] = value;
        return 0;
    case WS_OPT_U64:
    case WS_OPT_U64_OR_0:
        if (ws_parse_u64(value, at) < 0 || (o->type == WS_OPT_U64 && *(uint64_t *)at == 0))
            return bad_value(o, value, o->type == WS_OPT_U64 ? "a number from 1" : "a number", err,
                             err_len);
        return 0;
    case WS_OPT_SIZE:
    case WS_OPT_SIZE_OR_0:
        if (ws_parse_size(value, at) < 0 || (o->type == WS_OPT_SIZE && *(uint64_t *)at == 0))
            return bad_value(o, value, "a size such as 64K or 1G", err, err_len);
        return 0;
    case WS_OPT_DURATION:
        if (ws_parse_duration(value, at) < 0 || *(int64_t *)at == 0)
            return bad_value(o, value, "a time such as 10s, 5m or 200ms", err, err_len);
        return 0;
    case WS_OPT_CHOICE:
        i = choice_index(o->arg, value);
        if (i < 0) {
            snprintf(err, err_len, "--%s: '%s' is none of %s", o->name, value, o->arg);
            return -EINVAL;
        }
        *(int *)at = i;
        return 0;
    }
    return -EINVAL;
}

static bool has_long(const struct ws_opt *o)
{
    return *o->name && strcmp(o->name, WS_OPT_SHORT) != 0;
}

static const struct ws_opt *find_long(const struct ws_opt *table, uint32_t command,
                                      const char *name, size_t len)
{
    for (const struct ws_opt *o = table; o->name; o++)
        if ((o->commands & command) && has_long(o) && strlen(o->name) == len &&
            memcmp(o->name, name, len) == 0)
            return o;
    return NULL;
}

static const struct ws_opt *find_letter(const struct ws_opt *table, uint32_t command, char letter)
{
    for (const struct ws_opt *o = table; o->name; o++)
        if ((o->commands & command) && o->letter == letter && letter)
            return o;
    return NULL;
}

/* One option word at argv[*i], its value perhaps the next word. */
static int parse_word(const struct ws_opt *table, uint32_t command, int argc, const char *const *argv, int *i,
                      void *values, char *err, size_t err_len)
{
    const char *word = argv[*i];
    const char *value = NULL;
    const struct ws_opt *o;

    if (word[1] == '-') {
        const char *eq = strchr(word, '=');
        size_t len = eq ? (size_t)(eq - word) - 2 : strlen(word) - 2;
        o = find_long(table, command, word + 2, len);
        if (!o) {
            snprintf(err, err_len, "unknown option --%.*s", (int)len, word + 2);
            return -EINVAL;
        }
        if (eq)
            value = eq + 1;
        if (o->type == WS_OPT_FLAG && value) {
            snprintf(err, err_len, "--%s takes no value", o->name);
            return -EINVAL;
        }
    } else {
        o = find_letter(table, command, word[1]);
        if (!o) {
            snprintf(err, err_len, "unknown option -%c", word[1]);
            return -EINVAL;
        }
        if (o->type == WS_OPT_FLAG && word[2]) {
            snprintf(err, err_len, "-%c takes no value", word[1]);
            return -EINVAL;
        }
        if (word[2])
            value = word + 2;
    }
    if (o->type != WS_OPT_FLAG && !value) {
        if (*i + 1 >= argc) {
            snprintf(err, err_len, "--%s needs a value: %s", o->name, o->arg);
            return -EINVAL;
        }
        value = argv[++*i];
    }
    return store(o, value, values, err, err_len);
}

int ws_opts_parse(const struct ws_opt *table, uint32_t command, int argc, const char *const *argv,
                  void *values, struct ws_opt_list *positional, int *rest, char *err,
                  size_t err_len)
{
    *rest = argc;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            *rest = i + 1;
            return 0;
        }
        if (argv[i][0] == '-' && argv[i][1]) {
            int rc = parse_word(table, command, argc, argv, &i, values, err, err_len);
            if (rc < 0)
                return rc;
        } else if (positional->n == WS_OPT_LIST_MAX) {
            snprintf(err, err_len, "more than %u files", WS_OPT_LIST_MAX);
            return -EINVAL;
        } else {
            positional->item[positional->n++] = argv[i];
        }
    }
    return 0;
}

/* True when some option of the group that begins at o belongs to the command. */
static bool group_used(const struct ws_opt *o, uint32_t command)
{
    for (o++; o->name && *o->name; o++)
        if (o->commands & command)
            return true;
    return false;
}

/* Prints text wrapped at 100 columns, continuation lines at indent. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
    int col = indent;
    for (const char *w = text; *w;) {
        size_t n = strcspn(w, " ");
        if (col > indent && col + 1 + (int)n > 100) {
            fprintf(out, "\n%*s", indent, "");
            col = indent;
        } else if (col > indent) {
            fputc(' ', out);
            col++;
        }
        fwrite(w, 1, n, out);
        col += (int)n;
        w += n;
        while (*w == ' ')
            w++;
    }
    fputc('\n', out);
}

void ws_opts_help(FILE *out, const struct ws_opt *table, uint32_t command)
{
    for (const struct ws_opt *o = table; o->name; o++) {
        char left[64];
        if (!*o->name) {
            if (group_used(o, command))
                fprintf(out, "\n%s:\n", o->help);
            continue;
        }
        if (!(o->commands & command))
            continue;
        int n = snprintf(left, sizeof(left), "  %c%c%s%s%s%s%s", o->letter ? '-' : ' ',
                         o->letter ? o->letter : ' ',
                         !has_long(o) ? "" : o->letter ? ", " : "  ", has_long(o) ? "--" : "",
                         has_long(o) ? o->name : "", o->type == WS_OPT_FLAG ? "" : " ",
                         o->type == WS_OPT_FLAG ? "" : o->arg);
        if (n < 32)
            fprintf(out, "%-32s", left);
        else
            fprintf(out, "%s\n%32s", left, "");
        print_wrapped(out, o->help, 32);
    }
}

/* Text with the characters that roff reads as its own escaped. */
static void print_roff(FILE *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '-' || *c == '\\')
            fputc('\\', out);
        fputc(*c, out);
    }
}

void ws_opts_man(FILE *out, const struct ws_opt *table, uint32_t command)
{
    for (const struct ws_opt *o = table; o->name; o++) {
        if (!*o->name) {
            if (group_used(o, command))
                fprintf(out, ".SS %s\n", o->help);
            continue;
        }
        if (!(o->commands & command))
            continue;
        fputs(".TP\n", out);
        if (o->letter)
            fprintf(out, "\\fB\\-%c\\fR%s", o->letter, has_long(o) ? ", " : "");
        if (has_long(o)) {
            fputs("\\fB\\-\\-", out);
            print_roff(out, o->name);
            fputs("\\fR", out);
        }
        if (o->type != WS_OPT_FLAG) {
            fputs(" \\fI", out);
            print_roff(out, o->arg);
            fputs("\\fR", out);
        }
        fputc('\n', out);
        print_roff(out, o->help);
        fputc('\n', out);
    }
}

void ws_opts_words(FILE *out, const struct ws_opt *table, uint32_t command)
{
    for (const struct ws_opt *o = table; o->name; o++) {
        if (!*o->name || !(o->commands & command))
            continue;
        if (o->letter)
            fprintf(out, "-%c ", o->letter);
        if (has_long(o))
            fprintf(out, "--%s ", o->name);
    }
}

enum {
    GETOPT_OPTIONS_MAX = 128,
    GETOPT_LONG = 256, /* values of long options without a letter begin here */
};

int ws_opts_getopt(const struct ws_opt *table, uint32_t command, int argc, char **argv,
                   int (*set)(void *user, const struct ws_opt *o, const char *value, char *err, size_t err_len),
                   void *user, int *rest, char *err, size_t err_len)
{
    const struct ws_opt *of[GETOPT_OPTIONS_MAX];
    struct option longs[GETOPT_OPTIONS_MAX + 1] = {{0}};
    char letters[2 * GETOPT_OPTIONS_MAX + 2] = ":", *l = letters + 1;
    int n = 0, n_long = 0, c, rc;

    for (const struct ws_opt *o = table; o->name; o++) {
        if (!*o->name || !(o->commands & command))
            continue;
        if (n == GETOPT_OPTIONS_MAX)
            return -E2BIG;
        bool valued = o->type != WS_OPT_FLAG;
        if (o->letter) {
            *l++ = o->letter;
            if (valued)
                *l++ = ':';
        }
        if (has_long(o))
            longs[n_long++] = (struct option){o->name, valued, NULL, GETOPT_LONG + n};
        of[n++] = o;
    }
    optind = 0; /* begins anew, which glibc needs for each argv */
    opterr = 0;
    while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        const struct ws_opt *o = NULL;
        int known = c == '?' || c == ':' ? optopt : c;
        if (known >= GETOPT_LONG)
            o = of[known - GETOPT_LONG];
        else if (known)
            o = find_letter(table, command, (char)known);
        if (c == ':' && o) {
            if (known < GETOPT_LONG)
                snprintf(err, err_len, "-%c needs a value: %s", o->letter, o->arg);
            else
                snprintf(err, err_len, "--%s needs a value: %s", o->name, o->arg);
            return -EINVAL;
        }
        if (c == '?' || !o) {
            const char *word = argv[optind > 1 ? optind - 1 : 1];
            if (known && known < GETOPT_LONG)
                snprintf(err, err_len, "unknown option -%c", known);
            else if (known)
                snprintf(err, err_len, "--%s takes no value", of[known - GETOPT_LONG]->name);
            else
                snprintf(err, err_len, "unknown option %s", word);
            return -EINVAL;
        }
        if ((rc = set(user, o, o->type == WS_OPT_FLAG ? NULL : optarg, err, err_len)) < 0)
            return rc;
    }
    *rest = optind;
    return 0;
}
