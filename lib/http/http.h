/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of an HTTP/1 connection, out of its two finished streams, with their bodies decoded.
 */
#ifndef WS_HTTP_HTTP_H
#define WS_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A range that a stream lacks: half-open, [offset, offset + bytes). */
struct ws_http_gap {
    uint64_t offset, bytes;
};

/* One direction of a connection. */
struct ws_http_stream {
    bool present;   /* false: this direction was not captured */
    uint64_t bytes; /* length, gaps included */
    const struct ws_http_gap *gaps;
    size_t gap_count; /* in rising order, not overlapping; 0 = none known */
};

/* A connection. Which side answers is found by content. */
struct ws_http_input {
    /* Copies up to len bytes of a side from offset. Returns how many (fewer is fine), 0 at the end
     * (a file that somebody cut shorter), or -errno. Is not asked for bytes in gaps. */
    ssize_t (*read)(void *user, unsigned side, uint64_t offset, uint8_t *buf, size_t len);
    void *user;
    struct ws_http_stream side[2];
};

/* What can be said of a body once it is over. */
enum ws_http_fate {
    WS_HTTP_COMPLETE,   /* all of it, as its framing says */
    WS_HTTP_CUT,        /* the stream ended, or its framing broke, before the body did */
    WS_HTTP_GAP,        /* bytes are missing inside */
    WS_HTTP_BAD_CODING, /* compressed data that does not decode: what came before it was handed out
                         */
    WS_HTTP_LIMITED,    /* bytes_max or ratio_max reached: the rest was not handed out */
    WS_HTTP_FATES
};
const char *ws_http_fate_name(enum ws_http_fate fate);

/* A message. Strings live until its end callback returns, are never NULL, "" when not known. */
struct ws_http_message {
    unsigned side;   /* the stream that it lies in: 0 or 1 */
    bool request;    /* only with options.requests */
    uint32_t number; /* from 1 in its direction; interim (1xx) and bodiless messages count */
    int status;      /* of a response; 0 in a request */
    const char *method, *target; /* of the request; of a response: those of its request, if seen
                                    (target only of requests themselves) */
    const char *mime;            /* media type, lower case, without parameters */
    const char *extension;       /* for a file name, without a dot; see ws_http_extension() */
    const char *coding;          /* value of Content-Encoding, lower case */
    bool partial;                /* 206 or Content-Range: the body is a range of something larger */
    uint64_t head_offset, head_bytes; /* in the stream: first line and header fields */

    /* Right only in the end callback. */
    uint64_t body_offset, body_span; /* in the stream, chunk framing and gaps included */
    uint64_t body_bytes;             /* handed to data() */
    enum ws_http_fate fate;
};

/* Where messages go. Each may return < 0 to end the run with that value. data may be NULL. */
struct ws_http_output {
    int (*begin)(void *user, const struct ws_http_message *m); /* at the end of each head */
    /* len > 0 decoded bytes, in order: borrowed for the call. */
    int (*data)(void *user, const struct ws_http_message *m, const uint8_t *data, size_t len);
    int (*end)(void *user, const struct ws_http_message *m); /* once for each begin */
    void *user;
};

struct ws_http_options {
    bool raw;           /* leave gzip, deflate, br and zstd as they are */
    bool requests;      /* also messages of the asking side */
    uint64_t bytes_max; /* of one decoded body; 0 = no bound */
    uint32_t ratio_max; /* decoded bytes for one coded byte; bodies of up to 16 MiB are never
                           counted; 0 = the default */
};

#define WS_HTTP_RATIO_MAX 2048u

/* Sums of one run, for counters. */
struct ws_http_sums {
    bool found; /* a side that begins with "HTTP/1." (an empty message list is possible) */
    uint32_t responses, requests;
    uint32_t bodies;               /* messages with body_bytes > 0 */
    uint64_t bytes;                /* of bodies, decoded */
    uint32_t fates[WS_HTTP_FATES]; /* of messages */
};

struct ws_http; /* buffers and parser configuration, one a thread */

/* NULL: out of memory. options are copied. */
struct ws_http *ws_http_create(const struct ws_http_options *options);
void ws_http_destroy(struct ws_http *http);

/*
 * Goes through a connection and calls out. Both calls on one thread at a time; memory is bounded
 * whatever the streams hold (README.md). Returns 0 (also where there is no HTTP: sums->found),
 * -errno of read() or memory, or what a callback returned. sums are set in any case.
 */
int ws_http_run(struct ws_http *http, const struct ws_http_input *input,
                const struct ws_http_output *output, struct ws_http_sums *sums);

/* Whether a stream that begins with these bytes is the answering side of HTTP/1. */
bool ws_http_is_response(const uint8_t *data, size_t len);

/* Whether it may be the asking side: a word in capitals and a space, as far as 16 bytes tell. */
bool ws_http_may_be_request(const uint8_t *data, size_t len);

/* The suffix, without its dot, that files of this media type (lower case) get; "" for one unknown.
 */
const char *ws_http_extension(const char *mime);

#endif
