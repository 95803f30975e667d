/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-ends: other tools' command lines, found by subcommand or by the name of the program. */
#ifndef WS_APP_FRONTENDS_H
#define WS_APP_FRONTENDS_H

#include "base/opts.h"

struct front_end {
    const char *name;    /* subcommand; also the program's name, alone or after "wirespool-" */
    const char *alias;   /* a second name, or NULL */
    const char *usage;   /* what follows the name */
    const char *summary; /* one line without a full stop */
    int (*run)(int argc, char **argv); /* argv[0] is the name it was called by; returns the exit code */
    const struct ws_opt *table;        /* its options (command bit 1), for the man page and completion */
    const char *manual;                /* more of the man page in roff, or NULL */
};

/* name NULL ends. */
extern const struct front_end front_ends[];

/* The front-end of this name: a subcommand, or the last component of argv[0] without "wirespool-". NULL: none. */
const struct front_end *front_end_find(const char *name);
const struct front_end *front_end_of_program(const char *argv0);

#endif
