/* SPDX-License-Identifier: BSD-3-Clause */
/* Content codings: made by the encoders, undone in pieces; damaged, cut, nested, and bombs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

struct bytes {
    uint8_t *data;
    size_t len;
};

static struct bytes text_of(size_t len)
{
    struct bytes b = {malloc(len + 32), len};
    assert_non_null(b.data);
    for (size_t i = 0, line = 0; i < len; line++)
        i += (size_t)snprintf((char *)b.data + i, 32, "line %zu of a text\n", line * 7919);
    return b;
}

static struct bytes zlib_of(struct bytes in, int window_bits)
{
    struct bytes b = {malloc(in.len + 1000), in.len + 1000};
    z_stream z = {0};
    assert_non_null(b.data);
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = in.data;
    z.avail_in = (uInt)in.len;
    z.next_out = b.data;
    z.avail_out = (uInt)b.len;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    b.len -= z.avail_out;
    deflateEnd(&z);
    return b;
}

static struct bytes coded(struct bytes in, enum ws_http_coding coding)
{
    struct bytes b;
    switch (coding) {
    case WS_HTTP_CODING_GZIP:
        return zlib_of(in, 16 + MAX_WBITS);
    case WS_HTTP_CODING_DEFLATE:
        return zlib_of(in, MAX_WBITS);
    case WS_HTTP_CODING_BR:
        b.len = BrotliEncoderMaxCompressedSize(in.len) + 100;
        b.data = malloc(b.len);
        assert_true(
            BrotliEncoderCompress(5, 22, BROTLI_MODE_GENERIC, in.len, in.data, &b.len, b.data));
        return b;
    default:
        b.len = ZSTD_compressBound(in.len);
        b.data = malloc(b.len);
        b.len = ZSTD_compress(b.data, b.len, in.data, in.len, 3);
        assert_false(ZSTD_isError(b.len));
        return b;
    }
}

static struct ws_http_decoder *decoder; /* one for all tests: its states are used again */
static struct bytes got;
static size_t got_room;
static int refuse;

static int take(void *user, const uint8_t *data, size_t len)
{
    assert_ptr_equal(user, &got);
    assert_true(len > 0);
    if (got.len + len > got_room) {
        got_room = (got.len + len) * 2;
        got.data = realloc(got.data, got_room);
        assert_non_null(got.data);
    }
    memcpy(got.data + got.len, data, len);
    got.len += len;
    return refuse;
}

struct outcome {
    int status;
    bool ended;
};

static struct outcome decode(struct bytes in, const enum ws_http_coding *list, unsigned count,
                             size_t piece, uint64_t bytes_max, uint32_t ratio_max)
{
    struct outcome o = {0};
    got.len = 0;
    assert_int_equal(ws_http_decoder_begin(decoder, list, count, bytes_max, ratio_max, take, &got),
                     0);
    for (size_t at = 0; at < in.len;) {
        size_t n = piece < in.len - at ? piece : in.len - at;
        uint8_t *copy = malloc(n); /* exact, so that reads beyond show */
        memcpy(copy, in.data + at, n);
        o.status = ws_http_decoder_feed(decoder, copy, n);
        free(copy);
        at += n;
    }
    o.ended = ws_http_decoder_end(decoder);
    return o;
}

static void expect_same(struct bytes a)
{
    assert_int_equal(got.len, a.len);
    assert_memory_equal(got.data, a.data, a.len);
}

static const enum ws_http_coding all[] = {WS_HTTP_CODING_GZIP, WS_HTTP_CODING_DEFLATE,
                                          WS_HTTP_CODING_BR, WS_HTTP_CODING_ZSTD};

static void test_each(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 1000, 65536, 150000};
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 5; j++) {
            struct bytes in = text_of(sizes[j]), c = coded(in, all[i]);
            const size_t pieces[] = {1, 2, 13, 4096, SIZE_MAX};
            for (size_t p = 0; p < 5; p++) {
                struct outcome o = decode(c, &all[i], 1, pieces[p], 0, 0);
                assert_int_equal(o.status, WS_HTTP_DECODE_OK);
                assert_true(o.ended);
                expect_same(in);
            }
            free(in.data);
            free(c.data);
        }
    }
}

static void test_bare_deflate(void **state)
{
    (void)state;
    struct bytes in = text_of(100000), c = zlib_of(in, -MAX_WBITS);
    for (size_t piece = 1; piece < 4; piece++) {
        struct outcome o = decode(c, &all[1], 1, piece, 0, 0);
        assert_int_equal(o.status, WS_HTTP_DECODE_OK);
        assert_true(o.ended);
        expect_same(in);
    }
    free(in.data);
    free(c.data);
}

static void test_nested(void **state)
{
    (void)state;
    struct bytes in = text_of(50000), c = in;
    for (unsigned i = 0; i < 4; i++) {
        struct bytes next = coded(c, all[i]);
        if (c.data != in.data)
            free(c.data);
        c = next;
    }
    struct outcome o = decode(c, all, 4, 100, 0, 0);
    assert_int_equal(o.status, WS_HTTP_DECODE_OK);
    assert_true(o.ended);
    expect_same(in);
    o = decode(in, all, 0, 100, 0, 0);
    assert_true(o.ended);
    expect_same(in);
    free(in.data);
    free(c.data);
}

static void test_members(void **state)
{
    (void)state;
    struct bytes in = text_of(1000), c = coded(in, WS_HTTP_CODING_GZIP), two = {NULL, c.len * 2};
    two.data = malloc(two.len + 8);
    memcpy(two.data, c.data, c.len);
    memcpy(two.data + c.len, c.data, c.len);
    for (size_t piece = 1; piece < 2 * c.len; piece += 7) {
        assert_true(decode(two, all, 1, piece, 0, 0).ended);
        assert_int_equal(got.len, 2 * in.len);
    }
    memset(two.data + c.len, 0, c.len); /* padding behind the end does no harm */
    assert_true(decode(two, all, 1, 5, 0, 0).ended);
    expect_same(in);
    free(in.data);
    free(c.data);
    free(two.data);
}

static void test_cut_and_damaged(void **state)
{
    (void)state;
    struct bytes in = text_of(2000000);
    for (size_t i = 0; i < 4; i++) {
        struct bytes c = coded(in, all[i]), half = {c.data, c.len / 2};
        struct outcome o = decode(half, &all[i], 1, 1000, 0, 0);
        assert_int_equal(o.status, WS_HTTP_DECODE_OK);
        assert_false(o.ended);
        assert_true(got.len > 0 && got.len < in.len);
        assert_memory_equal(got.data, in.data, got.len);
        memset(c.data + c.len / 2, 0xff, 16);
        o = decode(c, &all[i], 1, 1000, 0, 0);
        assert_false(o.ended);
        free(c.data);
    }
    /* not compressed at all, whatever the header says: passes as it is */
    struct outcome o = decode(in, &all[0], 1, 1000, 0, 0);
    assert_int_equal(o.status, WS_HTTP_DECODE_OK);
    assert_false(o.ended);
    expect_same(in);
    assert_false(decode(in, &all[3], 1, 3, 0, 0).ended);
    expect_same(in);
    free(in.data);
}

static void test_limits(void **state)
{
    (void)state;
    struct bytes in = {calloc(1, 24u << 20), 24u << 20};
    for (size_t i = 0; i < 4; i++) {
        struct bytes c = coded(in, all[i]);
        struct outcome o = decode(c, &all[i], 1, SIZE_MAX, 100000, 0);
        assert_int_equal(o.status, WS_HTTP_DECODE_LIMITED);
        assert_int_equal(got.len, 100000);
        o = decode(c, &all[i], 1, SIZE_MAX, 0, 100);
        assert_int_equal(o.status, WS_HTTP_DECODE_LIMITED);
        assert_true(got.len <= WS_HTTP_RATIO_FREE_BYTES + 65536);
        free(c.data);
    }
    /* a bomb in a bomb is bounded at every step */
    struct bytes c = coded(in, WS_HTTP_CODING_ZSTD), d = coded(c, WS_HTTP_CODING_GZIP);
    const enum ws_http_coding list[] = {WS_HTTP_CODING_ZSTD, WS_HTTP_CODING_GZIP};
    assert_int_equal(decode(d, list, 2, SIZE_MAX, 0, 100).status, WS_HTTP_DECODE_LIMITED);
    refuse = -ENOSPC;
    assert_int_equal(decode(d, list, 2, SIZE_MAX, 0, 0).status, -ENOSPC);
    refuse = 0;
    free(in.data);
    free(c.data);
    free(d.data);
}

static void test_names(void **state)
{
    (void)state;
    enum ws_http_coding list[WS_HTTP_CODINGS_MAX];
    unsigned count = 0;
    assert_true(ws_http_codings_parse("gzip, identity ,br,,  zstd", list, &count));
    assert_int_equal(count, 3);
    assert_int_equal(list[0], WS_HTTP_CODING_GZIP);
    assert_int_equal(list[1], WS_HTTP_CODING_BR);
    assert_int_equal(list[2], WS_HTTP_CODING_ZSTD);
    assert_true(ws_http_codings_parse("x-gzip", list, &count));
    assert_false(ws_http_codings_parse("deflate", list, &count)); /* a fifth */
    count = 0;
    assert_false(ws_http_codings_parse("compress", list, &count));
    assert_true(ws_http_codings_parse("", list, &count));
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each),   cmocka_unit_test(test_bare_deflate),
        cmocka_unit_test(test_nested), cmocka_unit_test(test_members),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_cut_and_damaged),
        cmocka_unit_test(test_names),
    };
    decoder = ws_http_decoder_create();
    if (decoder == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_http_decoder_destroy(decoder);
    free(got.data);
    return failed;
}
