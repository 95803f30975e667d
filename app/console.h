/* SPDX-License-Identifier: BSD-3-Clause */
/* The console output of a run: --console and what goes with it. */
#ifndef WS_APP_CONSOLE_H
#define WS_APP_CONSOLE_H

#include "app/run.h"

/* Whether bytes are printed in stream order. */
bool console_ordered(const struct options *o);

/* Whether streams are printed and not written to files. */
bool console_only(const struct options *o, enum command cmd);

/* What the options need of each other; counts the output. 0 or exit code. */
int console_count(struct run *r);

/* Adds the output. 0 or exit code. */
int console_prepare(struct run *r);

/* Makes a worker's sink. 0 or -errno, with a message when it is a matter of usage. */
int console_make_sink(struct run *r, unsigned worker, struct ws_sink **s);

#endif
