/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as the two streams of a connection: what comes out does not depend on the pieces that
 * are read, and every message lies where it says.
 *
 * Byte 0: bit 0 requests wanted, bit 1 raw, bit 2 one side absent, bit 3 a gap; byte 1: size of the
 * pieces; bytes 2-3: length of the first stream (of what is left, at most); bytes 4-5: where the
 * gap is; byte 6: its length; the rest: both streams. */
#include <stdlib.h>
#include <string.h>

#include "http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct exchange {
    const uint8_t *data[2];
    size_t len[2];
    size_t piece;
    struct ws_http_gap gap;
    struct ws_http_input input;
    bool open;
    uint64_t bytes, end[2];
    uint32_t number[2];
    uint64_t hash; /* of all that was called out */
    uint64_t body; /* of the data of one message */
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* FNV-1a, so that pieces of data do not matter. */
static uint64_t hash_of(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void mix(struct exchange *x, const void *data, size_t len)
{
    x->hash = hash_of(x->hash, data, len);
}

static void mix_number(struct exchange *x, uint64_t n)
{
    mix(x, &n, sizeof n);
}

static ssize_t take(void *user, unsigned side, uint64_t offset, uint8_t *buf, size_t len)
{
    struct exchange *x = user;
    size_t left = offset < x->len[side] ? x->len[side] - (size_t)offset : 0;

    require(x->input.side[side].present && len > 0);
    if (x->input.side[side].gap_count != 0)
        require(offset + len <= x->gap.offset || offset >= x->gap.offset + x->gap.bytes);
    len = len < left ? len : left;
    len = len < x->piece ? len : x->piece;
    if (len > 0)
        memcpy(buf, x->data[side] + offset, len);
    return (ssize_t)len;
}

static int begin(void *user, const struct ws_http_message *m)
{
    struct exchange *x = user;

    require(!x->open && m->side < 2 && m->number == ++x->number[m->side]);
    require(m->head_offset >= x->end[m->side] && m->head_bytes > 0);
    require(m->body_offset == m->head_offset + m->head_bytes);
    require(m->request ? m->status == 0 : m->status >= 100);
    x->open = true;
    x->bytes = x->body = 0;
    return 0;
}

static int body(void *user, const struct ws_http_message *m, const uint8_t *data, size_t len)
{
    struct exchange *x = user;

    (void)m;
    require(x->open && len > 0);
    x->bytes += len;
    x->body = hash_of(x->body, data, len);
    return 0;
}

static int end(void *user, const struct ws_http_message *m)
{
    struct exchange *x = user;

    require(x->open && m->body_bytes == x->bytes && m->fate < WS_HTTP_FATES);
    x->end[m->side] = m->body_offset + m->body_span;
    require(x->end[m->side] <= x->len[m->side]);
    x->open = false;
    /* How much a decoder hands out before it sees that data is bad is its own matter. */
    if (m->fate != WS_HTTP_BAD_CODING) {
        mix_number(x, x->body);
        mix_number(x, m->body_bytes);
    }
    mix_number(x, m->side);
    mix_number(x, m->head_offset);
    mix_number(x, m->body_offset);
    mix_number(x, m->body_span);
    mix_number(x, m->fate);
    mix(x, m->mime, strlen(m->mime));
    mix(x, m->method, strlen(m->method));
    return 0;
}

static uint64_t run(struct exchange x, struct ws_http *http)
{
    struct ws_http_output output = {.begin = begin, .data = body, .end = end, .user = &x};
    struct ws_http_sums sums;

    x.input.read = take;
    x.input.user = &x;
    for (unsigned side = 0; side < 2; side++) {
        if (x.input.side[side].gap_count != 0)
            x.input.side[side].gaps = &x.gap;
    }
    require(ws_http_run(http, &x.input, &output, &sums) == 0);
    require(!x.open);
    mix_number(&x, sums.responses);
    return x.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct exchange x = {.hash = 1};
    struct ws_http_options options = {.bytes_max = 4 << 20};
    struct ws_http *http;
    size_t first;
    uint64_t whole;

    if (len < 7)
        return 0;
    options.requests = data[0] & 1;
    options.raw = data[0] & 2;
    first = (size_t)data[2] * 256 + data[3];
    first = first < len - 7 ? first : len - 7;
    x.data[0] = data + 7;
    x.len[0] = first;
    x.data[1] = data + 7 + first;
    x.len[1] = len - 7 - first;
    x.gap = (struct ws_http_gap){(uint64_t)data[4] * 256 + data[5], data[6]};
    for (unsigned side = 0; side < 2; side++) {
        x.input.side[side].present = side == 1 || !(data[0] & 4);
        x.input.side[side].bytes = x.len[side];
        x.input.side[side].gap_count = data[0] & 8 && x.gap.bytes > 0;
    }
    http = ws_http_create(&options);
    require(http != NULL);
    x.piece = SIZE_MAX;
    whole = run(x, http);
    x.piece = 1 + (size_t)data[1];
    require(run(x, http) == whole);
    ws_http_destroy(http);
    return 0;
}
