/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's log lines, brought into ours. */
#include "source/port_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include <rte_log.h>

#include "base/log.h"

/* All of it is guarded by the stream's own lock (flockfile): DPDK may log from any thread. */
static struct {
    FILE *stream;
    bool verbose, held;
    uint32_t line_level;
    size_t len;
    char line[512];
    char first_error[512];
} port_log;

static void line_end(void)
{
    char *text = port_log.line;
    text[port_log.len] = '\0';
    while (port_log.len > 0 && (unsigned char)text[port_log.len - 1] <= ' ')
        text[--port_log.len] = '\0';
    if (port_log.len == 0)
        return;
    port_log.len = 0;
    const bool error = port_log.line_level <= RTE_LOG_ERR;
    if (error && port_log.held) {
        if (port_log.first_error[0] == '\0')
            memcpy(port_log.first_error, text, sizeof(port_log.first_error));
        ws_log(WS_LOG_DEBUG, "%s", text);
        return;
    }
    ws_log(error ? WS_LOG_WARN : port_log.verbose ? WS_LOG_INFO : WS_LOG_DEBUG, "%s", text);
}

static ssize_t log_write(void *cookie, const char *buf, size_t size)
{
    (void)cookie;
    for (size_t i = 0; i < size; i++) {
        if (port_log.len == 0)
            port_log.line_level = (uint32_t)rte_log_cur_msg_loglevel();
        if (buf[i] == '\n' || port_log.len == sizeof(port_log.line) - 1)
            line_end();
        else
            port_log.line[port_log.len++] = buf[i];
    }
    return (ssize_t)size;
}

int ws_port_log_open(bool verbose)
{
    port_log.verbose = verbose;
    if (port_log.stream)
        return 0;
    port_log.stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = log_write});
    if (!port_log.stream)
        return -ENOMEM;
    setvbuf(port_log.stream, NULL, _IOLBF, BUFSIZ);
    return rte_openlog_stream(port_log.stream);
}

void ws_port_log_hold(void)
{
    if (!port_log.stream)
        return;
    flockfile(port_log.stream);
    port_log.held = true;
    port_log.first_error[0] = '\0';
    funlockfile(port_log.stream);
}

void ws_port_log_release(char *line, size_t line_len)
{
    line[0] = '\0';
    if (!port_log.stream)
        return;
    flockfile(port_log.stream);
    port_log.held = false;
    snprintf(line, line_len, "%s", port_log.first_error);
    funlockfile(port_log.stream);
}
