/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages to people: one line each on standard error, "wirespool: ...". */
#ifndef WS_BASE_LOG_H
#define WS_BASE_LOG_H

#include "base/compiler.h"

enum ws_log_level {
    WS_LOG_ERROR,
    WS_LOG_WARN,
    WS_LOG_INFO,
    WS_LOG_DEBUG,
};

/* Messages above this level are dropped; default INFO. Set before threads start. */
extern enum ws_log_level ws_log_level;

/* Where lines go; the default writes "wirespool: TEXT\n" to stderr in one write. Any thread. Set before threads start; the progress
 * line uses it to clear itself first. */
extern void (*ws_log_sink)(enum ws_log_level level, const char *line);

void ws_log(enum ws_log_level level, const char *fmt, ...) WS_PRINTF(2, 3);

/* The same, but a given *once (zero at start, one a call site) lets only the first through. */
void ws_log_once(_Atomic int *once, enum ws_log_level level, const char *fmt, ...) WS_PRINTF(3, 4);

#endif
