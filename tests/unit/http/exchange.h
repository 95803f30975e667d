/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a hand-written exchange through lib/http and writes down what came out, as text. */
#ifndef WS_TESTS_HTTP_EXCHANGE_H
#define WS_TESTS_HTTP_EXCHANGE_H

#include "http/http.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct exchange {
    const uint8_t *data[2];
    size_t len[2];
    bool absent[2];
    size_t piece;    /* most bytes that a read returns; 0 = all */
    size_t split[2]; /* no read goes across this offset; 0 = none */
    struct ws_http_gap gaps[2][4];
    size_t gap_count[2];
    struct ws_http_options options;
    int fail_at; /* read number that fails, from 1; 0 = none */
    int reads;
    int refuse; /* returned by the data callback */

    /* Results. */
    char log[16384]; /* a line a message: see exchange_run() */
    size_t log_len;
    uint8_t *body; /* bytes of all bodies */
    size_t body_len, body_at;
    struct ws_http_sums sums;
    int result;
    bool open; /* between begin and end */
};

static inline void exchange_say(struct exchange *x, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline void exchange_say(struct exchange *x, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(x->log + x->log_len, sizeof x->log - x->log_len, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof x->log - x->log_len)
        abort();
    x->log_len += (size_t)n;
}

static inline ssize_t exchange_read(void *user, unsigned side, uint64_t offset, uint8_t *buf,
                                    size_t len)
{
    struct exchange *x = user;
    if (++x->reads == x->fail_at)
        return -5;
    for (size_t i = 0; i < x->gap_count[side]; i++) { /* nobody may ask for what is missing */
        struct ws_http_gap *g = &x->gaps[side][i];
        if (offset < g->offset + g->bytes && offset + len > g->offset)
            abort();
    }
    if (x->absent[side])
        abort();
    size_t left = offset < x->len[side] ? x->len[side] - (size_t)offset : 0;
    if (len > left)
        len = left;
    if (x->piece != 0 && len > x->piece)
        len = x->piece;
    if (offset < x->split[side] && len > x->split[side] - offset)
        len = x->split[side] - (size_t)offset;
    if (len > 0)
        memcpy(buf, x->data[side] + offset, len);
    return (ssize_t)len;
}

static inline int exchange_begin(void *user, const struct ws_http_message *m)
{
    struct exchange *x = user;
    (void)m;
    if (x->open)
        abort();
    x->open = true;
    x->body_at = x->body_len;
    return 0;
}

static inline int exchange_data(void *user, const struct ws_http_message *m, const uint8_t *data,
                                size_t len)
{
    struct exchange *x = user;
    (void)m;
    if (!x->open || len == 0)
        abort();
    if (x->refuse != 0)
        return x->refuse;
    x->body = realloc(x->body, x->body_len + len + 1);
    if (x->body == NULL)
        abort();
    memcpy(x->body + x->body_len, data, len);
    x->body_len += len;
    x->body[x->body_len] = 0;
    return 0;
}

/* "2: 200 GET text/css.css br partial @120+5/5 complete 'hello'" or "1: > POST /x ..." for a
 * request. Bodies over 40 bytes are left out. */
static inline int exchange_end(void *user, const struct ws_http_message *m)
{
    struct exchange *x = user;
    if (!x->open || m->body_bytes != x->body_len - x->body_at ||
        m->body_offset != m->head_offset + m->head_bytes)
        abort();
    x->open = false;
    exchange_say(x, "%u: ", m->number);
    if (m->request)
        exchange_say(x, "> %s %s", m->method, m->target);
    else
        exchange_say(x, "%d %s", m->status, m->method);
    exchange_say(x, " %s%s%s %s%s @%llu+%llu/%llu %s", m->mime, *m->extension ? "." : "",
                 m->extension, m->coding, m->partial ? " partial" : "",
                 (unsigned long long)m->body_offset, (unsigned long long)m->body_span,
                 (unsigned long long)m->body_bytes, ws_http_fate_name(m->fate));
    if (m->body_bytes > 0 && m->body_bytes <= 40) {
        exchange_say(x, " '");
        for (size_t i = x->body_at; i < x->body_len; i++)
            exchange_say(x, x->body[i] >= 0x20 && x->body[i] < 0x7f ? "%c" : "\\x%02x", x->body[i]);
        exchange_say(x, "'");
    }
    exchange_say(x, "\n");
    return 0;
}

static inline void exchange_run(struct exchange *x)
{
    struct ws_http *http = ws_http_create(&x->options);
    struct ws_http_input input = {.read = exchange_read, .user = x};
    struct ws_http_output output = {
        .begin = exchange_begin, .data = exchange_data, .end = exchange_end, .user = x};
    if (http == NULL)
        abort();
    for (unsigned side = 0; side < 2; side++) {
        input.side[side].present = !x->absent[side];
        input.side[side].bytes = x->len[side];
        input.side[side].gaps = x->gaps[side];
        input.side[side].gap_count = x->gap_count[side];
    }
    x->reads = 0;
    x->log_len = 0;
    x->log[0] = 0;
    x->body_len = 0;
    x->open = false;
    x->result = ws_http_run(http, &input, &output, &x->sums);
    if (x->result == 0 && x->open)
        abort();
    ws_http_destroy(http);
}

#endif
