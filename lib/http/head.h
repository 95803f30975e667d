/* SPDX-License-Identifier: BSD-3-Clause */
/* Heads of messages: first line and header fields, parsed by libhtp, and what they say of the body.
 */
#ifndef WS_HTTP_HEAD_H
#define WS_HTTP_HEAD_H

#include "http/reader.h"

/* Longest head that is accepted; and the most fields of it that are looked at. */
#define WS_HTTP_HEAD_BYTES_MAX (256u * 1024u)
#define WS_HTTP_FIELDS_MAX     1024u

/* What the header fields say of the body's length, RFC 9112 section 6.3; who asks and what the
 * status is comes on top. */
enum ws_http_framing {
    WS_HTTP_FRAMING_NONE,   /* no field: no body in a request, until the end in a response */
    WS_HTTP_FRAMING_LENGTH, /* length bytes */
    WS_HTTP_FRAMING_CHUNKED,
    WS_HTTP_FRAMING_CLOSE,  /* until the end of the stream, as the fields say */
    WS_HTTP_FRAMING_BROKEN, /* a Content-Length that is no number, or two that differ */
};

struct ws_http_head {
    int status;      /* of a response, 0 if unreadable */
    char method[32]; /* of a request; both cut if longer */
    char target[2048];
    char mime[128];
    char coding[128];          /* Content-Encoding */
    char transfer_coding[128]; /* Transfer-Encoding */
    bool partial;              /* there is a Content-Range */
    enum ws_http_framing framing;
    uint64_t length;
};

struct ws_http_parser; /* libhtp's configuration for heads; one a thread */

struct ws_http_parser *ws_http_parser_create(void);
void ws_http_parser_destroy(struct ws_http_parser *parser);

enum ws_http_head_result {
    WS_HTTP_HEAD_END,    /* the stream ends before the head does */
    WS_HTTP_HEAD_PARSED, /* head filled; the reader stands behind the empty line */
    WS_HTTP_HEAD_GAP,    /* the reader stands at a gap */
    WS_HTTP_HEAD_BROKEN, /* no HTTP/1 head; the reader stands where that showed */
};

/* Empty lines in front are skipped. *offset is where the first line begins. enum
 * ws_http_head_result, or -errno. */
int ws_http_head_parse(struct ws_http_parser *parser, struct ws_http_reader *r, bool request,
                       struct ws_http_head *head, uint64_t *offset);

#endif
