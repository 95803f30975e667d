/* SPDX-License-Identifier: BSD-3-Clause */
/* Undoes the content codings of a body: gzip, deflate, br, zstd, one behind the other, as a stream
 * and within bounds. */
#ifndef WS_HTTP_DECODE_H
#define WS_HTTP_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Codings on one body; a longer list is not undone. */
#define WS_HTTP_CODINGS_MAX 4u

/* What the ratio bound leaves alone: bodies up to here. */
#define WS_HTTP_RATIO_FREE_BYTES (16u * 1024u * 1024u)

enum ws_http_coding {
    WS_HTTP_CODING_IDENTITY,
    WS_HTTP_CODING_GZIP,    /* RFC 1952, several members too */
    WS_HTTP_CODING_DEFLATE, /* zlib's (RFC 1950) or, as some servers send it, bare (RFC 1951) */
    WS_HTTP_CODING_BR,      /* RFC 7932 */
    WS_HTTP_CODING_ZSTD,    /* RFC 8878, windows up to 8 MiB (RFC 9659) */
    WS_HTTP_CODING_UNKNOWN,
};

enum ws_http_decode_status {
    WS_HTTP_DECODE_OK,
    WS_HTTP_DECODE_BAD,     /* no such data; what came before was handed out */
    WS_HTTP_DECODE_LIMITED, /* a bound reached */
};

struct ws_http_decoder; /* one a thread: holds the libraries' states for the next body */

/* NULL: out of memory. */
struct ws_http_decoder *ws_http_decoder_create(void);
void ws_http_decoder_destroy(struct ws_http_decoder *d);

/* Takes len > 0 decoded bytes; returns < 0 to end. */
typedef int ws_http_decode_out(void *user, const uint8_t *data, size_t len);

/* Adds the codings of a field's value ("gzip, br": in the order in which they were put on) to
 * list[*count]. Identity is left out; returns false for an unknown one or one too many. */
bool ws_http_codings_parse(const char *value, enum ws_http_coding list[WS_HTTP_CODINGS_MAX],
                           unsigned *count);

/*
 * Begins a body with the codings that were put on it, in that order; none: bytes pass as they are.
 * bytes_max bounds what is handed out, ratio_max what any step makes out of a byte of the body; 0 =
 * no bound. 0 or -ENOMEM.
 */
int ws_http_decoder_begin(struct ws_http_decoder *d, const enum ws_http_coding *list,
                          unsigned count, uint64_t bytes_max, uint32_t ratio_max,
                          ws_http_decode_out *out, void *user);

/* The next bytes of the body. enum ws_http_decode_status (it stays what it is once not OK), what
 * out returned, or -ENOMEM. */
int ws_http_decoder_feed(struct ws_http_decoder *d, const uint8_t *data, size_t len);

/* The body is over: whether every coding came to its end, too. Frees what need not be kept. */
bool ws_http_decoder_end(struct ws_http_decoder *d);

#endif
