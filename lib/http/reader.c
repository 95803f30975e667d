/* SPDX-License-Identifier: BSD-3-Clause */
/* Goes through one stream of an input in order, in pieces, and stops at its gaps. */
#include "http/reader.h"

#include "base/compiler.h"

void ws_http_reader_init(struct ws_http_reader *r, const struct ws_http_input *input, unsigned side,
                         uint8_t *buf)
{
    const struct ws_http_stream *s = &input->side[side];

    *r = (struct ws_http_reader){
        .input = input, .side = side, .end = s->present ? s->bytes : 0, .buf = buf};
}

int ws_http_reader_peek(struct ws_http_reader *r, const uint8_t **data, uint64_t *len)
{
    const struct ws_http_stream *s = &r->input->side[r->side];
    uint64_t until = r->end;

    if (r->buf_pos == r->buf_len) {
        ssize_t n;

        if (r->offset >= r->end)
            return WS_HTTP_NEXT_END;
        while (r->gap < s->gap_count &&
               (s->gaps[r->gap].bytes == 0 ||
                s->gaps[r->gap].offset + s->gaps[r->gap].bytes <= r->offset))
            r->gap++;
        if (r->gap < s->gap_count) {
            uint64_t from = s->gaps[r->gap].offset;

            if (from <= r->offset) {
                *len = WS_MIN(from + s->gaps[r->gap].bytes, r->end) - r->offset;
                return WS_HTTP_NEXT_GAP;
            }
            until = WS_MIN(until, from);
        }
        n = r->input->read(r->input->user, r->side, r->offset, r->buf,
                           (size_t)WS_MIN(until - r->offset, WS_HTTP_PIECE_BYTES));
        if (n < 0)
            return (int)n;
        if (n == 0) { /* shorter than said: this is the end */
            r->end = r->offset;
            return WS_HTTP_NEXT_END;
        }
        r->buf_pos = 0;
        r->buf_len = (size_t)n;
    }
    *data = r->buf + r->buf_pos;
    *len = r->buf_len - r->buf_pos;
    return WS_HTTP_NEXT_DATA;
}

void ws_http_reader_skip(struct ws_http_reader *r, uint64_t n)
{
    r->offset += n;
    if (r->buf_pos < r->buf_len)
        r->buf_pos += (size_t)n;
}

void ws_http_reader_back(struct ws_http_reader *r, uint64_t n)
{
    r->offset -= n;
    r->buf_pos = r->buf_len = 0; /* read again: seldom */
}
