/* SPDX-License-Identifier: BSD-3-Clause */
/* Goes through one stream of an input in order, in pieces, and stops at its gaps. */
#ifndef WS_HTTP_READER_H
#define WS_HTTP_READER_H

#include "http/http.h"

#define WS_HTTP_PIECE_BYTES (128u * 1024u)

enum ws_http_next {
    WS_HTTP_NEXT_END,  /* no more of this stream */
    WS_HTTP_NEXT_DATA, /* len bytes at data */
    WS_HTTP_NEXT_GAP,  /* len bytes are missing here */
};

struct ws_http_reader {
    const struct ws_http_input *input;
    unsigned side;
    uint64_t offset;         /* of the next byte, in the stream */
    uint64_t end;            /* of the stream; less once read() found it shorter */
    size_t gap;              /* the first that does not end before offset */
    uint8_t *buf;            /* WS_HTTP_PIECE_BYTES, not ours */
    size_t buf_pos, buf_len; /* bytes [buf_pos, buf_len) belong to offset onwards */
};

/* buf must outlive the reader. A side that is not present has only an end. */
void ws_http_reader_init(struct ws_http_reader *r, const struct ws_http_input *input, unsigned side,
                         uint8_t *buf);

/* What stands at offset: enum ws_http_next, or -errno. The same again until something is skipped;
 * data stays valid until the next call. */
int ws_http_reader_peek(struct ws_http_reader *r, const uint8_t **data, uint64_t *len);

/* Moves on by n, which may be at most what peek said. */
void ws_http_reader_skip(struct ws_http_reader *r, uint64_t n);

/* Goes back by n bytes, which were data and skipped just before. */
void ws_http_reader_back(struct ws_http_reader *r, uint64_t n);

#endif
