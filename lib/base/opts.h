/* SPDX-License-Identifier: BSD-3-Clause */
/* Option tables: one table feeds the command line, --help, the man page and shell completion. Pure. */
#ifndef WS_BASE_OPTS_H
#define WS_BASE_OPTS_H

#include <stdio.h>
#include "base/compiler.h"

enum ws_opt_type {
    WS_OPT_FLAG,     /* bool */
    WS_OPT_STRING,   /* const char * (borrowed from argv) */
    WS_OPT_LIST,     /* struct ws_opt_list: repeatable */
    WS_OPT_U64,      /* uint64_t: a count from 1; "1e6" and suffixes K M G T (1000-based) accepted */
    WS_OPT_U64_OR_0, /* the same, or 0: where it is not given is told by another value */
    WS_OPT_SIZE,     /* uint64_t bytes from 1: suffixes K M G T are 1024-based */
    WS_OPT_SIZE_OR_0,
    WS_OPT_DURATION, /* int64_t ns from 1: 10, 1.5s, 200ms, 5m, 2h, 1d; a bare number is seconds */
    WS_OPT_CHOICE,   /* int: index into the arg names "raw|headers|json" */
};

/* Name of an option that has a letter only. */
#define WS_OPT_SHORT "-"

#define WS_OPT_LIST_MAX 256u

struct ws_opt_list {
    const char *item[WS_OPT_LIST_MAX];
    unsigned n;
};

struct ws_opt {
    const char *name;    /* long name without dashes; NULL ends the table; "" begins a group headed by help */
    char letter;         /* short form, 0 = none */
    enum ws_opt_type type;
    const char *arg;     /* name of the argument in help; the choices for WS_OPT_CHOICE */
    uint32_t commands;   /* bits of the commands that take it */
    size_t offset;       /* of the value in the caller's struct */
    const char *help;
};

/* Parses argv[1..argc) for the given command bit into *values. Options and positionals may mix; positionals
 * go to *positional. After "--" everything is the filter: joined by the caller from rest. Errors: -EINVAL with one line in err.
 * *rest is the index in argv of the first word after "--", or argc. */
int ws_opts_parse(const struct ws_opt *table, uint32_t command, int argc, const char *const *argv,
                  void *values, struct ws_opt_list *positional, int *rest, char *err,
                  size_t err_len);

/* Prints the options of a command, in columns that fit 100. */
void ws_opts_help(FILE *out, const struct ws_opt *table, uint32_t command);

/* Prints them as man page source (roff .TP items). */
void ws_opts_man(FILE *out, const struct ws_opt *table, uint32_t command);

/* Prints the words that begin options, a blank after each, for shell completion. */
void ws_opts_words(FILE *out, const struct ws_opt *table, uint32_t command);

/* Parses as getopt_long does: letters may stand together (-Bcr FILE), values may be attached, long names may be cut short,
 * positionals may stand anywhere (argv is put in order), and "--" ends options. Each option goes to set in the order of the
 * command line (value NULL for a WS_OPT_FLAG), which returns 0, or -EINVAL with a line in err to end the parsing.
 * *rest is the index in argv of the first positional, or argc. Not reentrant (getopt_long). 0, -EINVAL with one line in
 * err, or -E2BIG (table too large). */
int ws_opts_getopt(const struct ws_opt *table, uint32_t command, int argc, char **argv,
                   int (*set)(void *user, const struct ws_opt *o, const char *value, char *err, size_t err_len),
                   void *user, int *rest, char *err, size_t err_len);

/* The parsers of values: 0 or -EINVAL. Whole text must be used. Counts are whole numbers; of sizes and times, what is below
 * a byte or a nanosecond is cut. */
int ws_parse_u64(const char *text, uint64_t *out);
int ws_parse_size(const char *text, uint64_t *out);
int ws_parse_duration(const char *text, int64_t *out_ns);

#endif
