/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages to people. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static void log_to_stderr(enum ws_log_level level, const char *line)
{
    (void)level;
    fprintf(stderr, "wirespool: %s\n", line);
}

enum ws_log_level ws_log_level = WS_LOG_INFO;
void (*ws_log_sink)(enum ws_log_level level, const char *line) = log_to_stderr;

static void WS_PRINTF(2, 0) log_va(enum ws_log_level level, const char *fmt, va_list ap)
{
    char line[1024];
    if (level > ws_log_level)
        return;
    vsnprintf(line, sizeof(line), fmt, ap);
    ws_log_sink(level, line);
}

void ws_log(enum ws_log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_va(level, fmt, ap);
    va_end(ap);
}

void ws_log_once(_Atomic int *once, enum ws_log_level level, const char *fmt, ...)
{
    va_list ap;
    if (atomic_exchange(once, 1))
        return;
    va_start(ap, fmt);
    log_va(level, fmt, ap);
    va_end(ap);
}
