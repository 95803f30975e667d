/* SPDX-License-Identifier: BSD-3-Clause */
/* Heads of messages, by libhtp. Each gets a parser of its own, which stops itself at the empty
 * line: libhtp, made to guess what a server or browser would do, goes on through broken framing and
 * takes later messages for bodies; where a body ends is decided by http.c. */
#include "http/head.h"

#include "base/compiler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <htp/htp.h>

struct ws_http_parser {
    htp_cfg_t *config;
    uint8_t *buf; /* WS_HTTP_HEAD_BYTES_MAX: a head that comes in pieces */
};

/* What the callbacks of one head fill. */
struct head_state {
    struct ws_http_head *head;
    bool parsed;
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* A string of the library into out, cut at size; bytes that are no printable ASCII become '?'. */
static void copy(char *out, size_t size, bstr *b, bool lower_case)
{
    size_t n = 0;

    if (b != NULL) {
        const unsigned char *p = bstr_ptr(b);

        for (; n < bstr_len(b) && n < size - 1; n++) {
            char c = p[n] >= 0x20 && p[n] < 0x7f ? (char)p[n] : '?';

            out[n] = lower_case ? lower(c) : c;
        }
    }
    out[n] = 0;
}

/* Cuts a media type's parameters and the space around it. */
static void trim_mime(char *mime)
{
    size_t from = strspn(mime, " \t"), len = strcspn(mime + from, ";");

    while (len > 0 && (mime[from + len - 1] == ' ' || mime[from + len - 1] == '\t'))
        len--;
    memmove(mime, mime + from, len);
    mime[len] = 0;
}

/* Digits, or a list of equal numbers (RFC 9112 section 6.3, point 5). */
static bool parse_length(bstr *b, uint64_t *length)
{
    const unsigned char *p = bstr_ptr(b), *end = p + bstr_len(b);
    bool first = true;

    for (;;) {
        uint64_t n = 0;
        unsigned digits = 0;

        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        for (; p < end && *p >= '0' && *p <= '9'; p++, digits++) {
            if (n > (INT64_MAX - 9) / 10)
                return false;
            n = n * 10 + (uint64_t)(*p - '0');
        }
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        if (digits == 0 || (!first && n != *length) || (p < end && *p != ','))
            return false;
        *length = n;
        first = false;
        if (p++ >= end)
            return true;
    }
}

static bstr *field(const htp_table_t *fields, const char *name)
{
    const htp_header_t *h = htp_table_get_c(fields, name);

    return h == NULL ? NULL : h->value;
}

static bool ends_in_chunked(const char *codings)
{
    const char *last = strrchr(codings, ',');

    last = last == NULL ? codings : last + 1;
    last += strspn(last, " \t");
    return strncmp(last, "chunked", 7) == 0 && last[7 + strspn(last + 7, " \t")] == 0;
}

static void read_fields(struct ws_http_head *head, const htp_table_t *fields)
{
    bstr *length = field(fields, "content-length");

    copy(head->mime, sizeof head->mime, field(fields, "content-type"), true);
    trim_mime(head->mime);
    copy(head->coding, sizeof head->coding, field(fields, "content-encoding"), true);
    copy(head->transfer_coding, sizeof head->transfer_coding, field(fields, "transfer-encoding"),
         true);
    head->partial = field(fields, "content-range") != NULL;
    if (head->transfer_coding[0] != 0 && strcmp(head->transfer_coding, "identity") != 0) {
        /* chunked, which is always the last, wins over any length */
        head->framing = ends_in_chunked(head->transfer_coding) ? WS_HTTP_FRAMING_CHUNKED
                                                               : WS_HTTP_FRAMING_CLOSE;
    } else if (length != NULL) {
        head->framing =
            parse_length(length, &head->length) ? WS_HTTP_FRAMING_LENGTH : WS_HTTP_FRAMING_BROKEN;
    }
}

static int on_request_headers(htp_tx_t *tx)
{
    struct head_state *s = htp_connp_get_user_data(tx->connp);

    copy(s->head->method, sizeof s->head->method, tx->request_method, false);
    copy(s->head->target, sizeof s->head->target, tx->request_uri, false);
    read_fields(s->head, tx->request_headers);
    s->parsed = true;
    return HTP_STOP;
}

static int on_response_line(htp_tx_t *tx)
{
    struct head_state *s = htp_connp_get_user_data(tx->connp);

    s->head->status = tx->response_status_number;
    /* libhtp would swallow "100 Continue", and refuse some responses for what it thinks of their
     * body; an answer to HEAD has none, whatever its fields say. */
    tx->response_status_number = 200;
    tx->request_method_number = HTP_M_HEAD;
    return HTP_OK;
}

static int on_response_headers(htp_tx_t *tx)
{
    struct head_state *s = htp_connp_get_user_data(tx->connp);

    read_fields(s->head, tx->response_headers);
    s->parsed = true;
    return HTP_STOP;
}

struct ws_http_parser *ws_http_parser_create(void)
{
    struct ws_http_parser *parser = calloc(1, sizeof *parser);

    if (parser == NULL)
        return NULL;
    parser->config = htp_config_create();
    parser->buf = malloc(WS_HTTP_HEAD_BYTES_MAX);
    if (parser->config == NULL || parser->buf == NULL) {
        ws_http_parser_destroy(parser);
        return NULL;
    }
    htp_config_set_server_personality(parser->config, HTP_SERVER_GENERIC);
    htp_config_set_log_level(parser->config, HTP_LOG_NONE);
    htp_config_set_field_limits(parser->config, WS_HTTP_HEAD_BYTES_MAX, WS_HTTP_HEAD_BYTES_MAX);
    htp_config_set_number_headers_limit(parser->config, WS_HTTP_FIELDS_MAX);
    htp_config_set_response_decompression(parser->config, 0);
    htp_config_set_request_decompression(parser->config, 0);
    htp_config_set_parse_request_cookies(parser->config, 0);
    htp_config_set_parse_request_auth(parser->config, 0);
    htp_config_register_request_headers(parser->config, on_request_headers);
    htp_config_register_response_line(parser->config, on_response_line);
    htp_config_register_response_headers(parser->config, on_response_headers);
    return parser;
}

void ws_http_parser_destroy(struct ws_http_parser *parser)
{
    if (parser == NULL)
        return;
    if (parser->config != NULL)
        htp_config_destroy(parser->config);
    free(parser->buf);
    free(parser);
}

/* Whether a first line may begin like this: "HTTP/1." or a method, as far as len goes. */
static bool may_begin(const uint8_t *data, size_t len, bool request)
{
    if (!request)
        return memcmp(data, "HTTP/1.", WS_MIN(len, (size_t)7)) == 0;
    return data[0] >= 'A' && data[0] <= 'z'; /* tokens with other bytes are nobody's methods */
}

/* libhtp on a whole head: it does not find the end of one reliably that comes in two pieces. */
static int parse(struct ws_http_parser *parser, const uint8_t *data, size_t len, bool request,
                 struct ws_http_head *head)
{
    struct head_state state = {.head = head};
    htp_connp_t *connp = htp_connp_create(parser->config);

    memset(head, 0, sizeof *head);
    if (connp == NULL)
        return -ENOMEM;
    htp_connp_set_user_data(connp, &state);
    htp_connp_open(connp, NULL, 0, NULL, 0, NULL);
    if (request)
        htp_connp_req_data(connp, NULL, data, len);
    else
        htp_connp_res_data(connp, NULL, data, len);
    htp_connp_destroy_all(connp);
    return state.parsed ? WS_HTTP_HEAD_PARSED : WS_HTTP_HEAD_BROKEN;
}

/* How many of these bytes belong to the head; *line_len is the length so far of the line that they
 * begin in, up to 1 and carriage returns aside, and UINT64_MAX once the empty line was there. */
static size_t head_part(const uint8_t *data, size_t len, uint64_t *line_len)
{
    size_t at = 0;

    while (at < len && *line_len != UINT64_MAX) {
        const uint8_t *end = memchr(data + at, '\n', len - at);
        size_t stop = end == NULL ? len : (size_t)(end - data);

        for (; at < stop && *line_len == 0; at++)
            *line_len = data[at] != '\r';
        if (end == NULL)
            return len;
        *line_len = *line_len == 0 ? UINT64_MAX : 0;
        at = stop + 1;
    }
    return at;
}

int ws_http_head_parse(struct ws_http_parser *parser, struct ws_http_reader *r, bool request,
                       struct ws_http_head *head, uint64_t *offset)
{
    uint64_t line_len = 0;
    size_t have = 0; /* bytes gathered in parser->buf */

    for (;;) {
        const uint8_t *data = NULL;
        uint64_t len = 0;
        size_t n;
        int next = ws_http_reader_peek(r, &data, &len);

        if (next < 0)
            return next;
        if (next != WS_HTTP_NEXT_DATA)
            return next == WS_HTTP_NEXT_GAP ? WS_HTTP_HEAD_GAP : WS_HTTP_HEAD_END;
        if (have == 0) {
            uint64_t empty = 0;

            while (empty < len && (data[empty] == '\r' || data[empty] == '\n'))
                empty++;
            if (empty > 0) {
                ws_http_reader_skip(r, empty);
                continue;
            }
            *offset = r->offset;
            if (!may_begin(data, (size_t)len, request))
                return WS_HTTP_HEAD_BROKEN;
        }
        n = head_part(data, (size_t)len, &line_len);
        if (n > WS_HTTP_HEAD_BYTES_MAX - have)
            return WS_HTTP_HEAD_BROKEN;
        if (line_len == UINT64_MAX && have == 0) { /* whole where it lies */
            int result = parse(parser, data, n, request, head);

            ws_http_reader_skip(r, n);
            return result;
        }
        memcpy(parser->buf + have, data, n);
        have += n;
        ws_http_reader_skip(r, n);
        if (!may_begin(parser->buf, have, request)) /* the first piece was too short to tell */
            return WS_HTTP_HEAD_BROKEN;
        if (line_len == UINT64_MAX)
            return parse(parser, parser->buf, have, request, head);
    }
}
