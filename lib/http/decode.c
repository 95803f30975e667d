/* SPDX-License-Identifier: BSD-3-Clause */
/* Undoes the content codings of a body, by zlib, brotli and zstd. */
#include "http/decode.h"

#include "base/compiler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <brotli/decode.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#define OUT_BYTES (64u * 1024u)

/* RFC 9659: what a client must be able to do, and may refuse beyond. */
#define ZSTD_WINDOW_LOG 23

struct step {
    enum ws_http_coding coding;
    bool begun;      /* input was seen */
    bool ended;      /* at the end of a gzip member, a zlib or br stream, a zstd frame */
    bool over;       /* what follows the end is not wanted */
    bool passed;     /* no such coding at all: bytes pass as they are */
    uint8_t head[2]; /* deflate: its first bytes, until they tell its kind */
    unsigned head_len;
    uint64_t made; /* bytes given on */
    z_stream z;
    bool z_ready; /* inflateInit2 was called */
    BrotliDecoderState *brotli;
    ZSTD_DCtx *zstd;
    uint8_t *out; /* OUT_BYTES, from the first use on */
};

struct ws_http_decoder {
    struct step steps[WS_HTTP_CODINGS_MAX]; /* in the order of undoing */
    unsigned count;
    int status;
    uint64_t taken, given, bytes_max;
    uint32_t ratio_max;
    ws_http_decode_out *sink;
    void *user;
};

static int feed(struct ws_http_decoder *d, unsigned i, const uint8_t *data, size_t len);

struct ws_http_decoder *ws_http_decoder_create(void)
{
    return calloc(1, sizeof(struct ws_http_decoder));
}

void ws_http_decoder_destroy(struct ws_http_decoder *d)
{
    if (d == NULL)
        return;
    for (unsigned i = 0; i < WS_HTTP_CODINGS_MAX; i++) {
        struct step *s = &d->steps[i];

        if (s->z_ready)
            inflateEnd(&s->z);
        if (s->brotli != NULL)
            BrotliDecoderDestroyInstance(s->brotli);
        ZSTD_freeDCtx(s->zstd);
        free(s->out);
    }
    free(d);
}

bool ws_http_codings_parse(const char *value, enum ws_http_coding list[WS_HTTP_CODINGS_MAX],
                           unsigned *count)
{
    static const struct {
        const char *name;
        enum ws_http_coding coding;
    } names[] = {
        {"identity", WS_HTTP_CODING_IDENTITY},
        {"gzip", WS_HTTP_CODING_GZIP},
        {"x-gzip", WS_HTTP_CODING_GZIP},
        {"deflate", WS_HTTP_CODING_DEFLATE},
        {"br", WS_HTTP_CODING_BR},
        {"zstd", WS_HTTP_CODING_ZSTD},
        {"chunked", WS_HTTP_CODING_IDENTITY}, /* undone before */
    };

    while (*value != 0) {
        size_t len = strcspn(value, ","), skip = strspn(value, " \t");
        enum ws_http_coding coding = WS_HTTP_CODING_UNKNOWN;
        const char *name = value + WS_MIN(skip, len);
        size_t name_len = len - WS_MIN(skip, len);

        while (name_len > 0 && (name[name_len - 1] == ' ' || name[name_len - 1] == '\t'))
            name_len--;
        for (size_t i = 0; i < WS_ARRAY_SIZE(names); i++) {
            if (strlen(names[i].name) == name_len && memcmp(names[i].name, name, name_len) == 0)
                coding = names[i].coding;
        }
        if (name_len == 0)
            coding = WS_HTTP_CODING_IDENTITY; /* an empty element of the list */
        if (coding == WS_HTTP_CODING_UNKNOWN)
            return false;
        if (coding != WS_HTTP_CODING_IDENTITY) {
            if (*count == WS_HTTP_CODINGS_MAX)
                return false;
            list[(*count)++] = coding;
        }
        value += len + (value[len] == ',');
    }
    return true;
}

/* Makes zlib ready for a stream with these window bits. */
static int zlib_begin(struct step *s, int window_bits)
{
    int r = s->z_ready ? inflateReset2(&s->z, window_bits) : inflateInit2(&s->z, window_bits);

    if (r != Z_OK)
        return -ENOMEM;
    s->z_ready = true;
    return 0;
}

int ws_http_decoder_begin(struct ws_http_decoder *d, const enum ws_http_coding *list,
                          unsigned count, uint64_t bytes_max, uint32_t ratio_max,
                          ws_http_decode_out *out, void *user)
{
    d->count = count;
    d->status = WS_HTTP_DECODE_OK;
    d->taken = d->given = 0;
    d->bytes_max = bytes_max;
    d->ratio_max = ratio_max;
    d->sink = out;
    d->user = user;
    for (unsigned i = 0; i < count; i++) {
        struct step *s = &d->steps[i];
        int r = 0;

        s->coding = list[count - 1 - i];
        s->begun = s->ended = s->over = s->passed = false;
        s->head_len = 0;
        s->made = 0;
        if (s->out == NULL)
            s->out = malloc(OUT_BYTES);
        if (s->out == NULL)
            return -ENOMEM;
        switch (s->coding) {
        case WS_HTTP_CODING_GZIP:
            r = zlib_begin(s, 16 + MAX_WBITS);
            break;
        case WS_HTTP_CODING_BR:
            if (s->brotli != NULL)
                BrotliDecoderDestroyInstance(s->brotli);
            s->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
            r = s->brotli == NULL ? -ENOMEM : 0;
            break;
        case WS_HTTP_CODING_ZSTD:
            if (s->zstd == NULL)
                s->zstd = ZSTD_createDCtx();
            if (s->zstd == NULL)
                return -ENOMEM;
            ZSTD_DCtx_reset(s->zstd, ZSTD_reset_session_only);
            ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
            break;
        default: /* deflate: when its kind is known */
            break;
        }
        if (r != 0)
            return r;
    }
    return 0;
}

/* To the next step, within the bound on what may come out of what came in. */
static int give(struct ws_http_decoder *d, unsigned i, const uint8_t *data, size_t len)
{
    struct step *s = &d->steps[i];

    if (len == 0)
        return WS_HTTP_DECODE_OK;
    s->made += len;
    if (d->ratio_max != 0 && s->made > WS_HTTP_RATIO_FREE_BYTES &&
        s->made / d->ratio_max > d->taken)
        return WS_HTTP_DECODE_LIMITED;
    return feed(d, i + 1, data, len);
}

static int feed_zlib(struct ws_http_decoder *d, unsigned i, const uint8_t *data, size_t len)
{
    struct step *s = &d->steps[i];

    while (len > 0 || s->z.avail_out == 0) {
        int z, r;

        if (s->ended) {
            /* Another gzip member, or padding and rubbish, which end the body in peace as all
             * programs let them. */
            if (len == 0)
                return WS_HTTP_DECODE_OK;
            s->over |= s->coding != WS_HTTP_CODING_GZIP || *data != 0x1f;
            if (s->over)
                return WS_HTTP_DECODE_OK;
            if (inflateReset(&s->z) != Z_OK)
                return -ENOMEM;
            s->ended = false;
        }
        s->z.next_in = data;
        s->z.avail_in = (uInt)len;
        s->z.next_out = s->out;
        s->z.avail_out = OUT_BYTES;
        z = inflate(&s->z, Z_NO_FLUSH);
        data += len - s->z.avail_in;
        len = s->z.avail_in;
        s->ended = z == Z_STREAM_END;
        r = give(d, i, s->out, OUT_BYTES - s->z.avail_out);
        if (r != WS_HTTP_DECODE_OK)
            return r;
        if (z == Z_MEM_ERROR)
            return -ENOMEM;
        if (z == Z_BUF_ERROR)
            break; /* wants more */
        if (z != Z_OK && z != Z_STREAM_END)
            return WS_HTTP_DECODE_BAD;
    }
    return WS_HTTP_DECODE_OK;
}

static int feed_brotli(struct ws_http_decoder *d, unsigned i, const uint8_t *data, size_t len)
{
    struct step *s = &d->steps[i];
    BrotliDecoderResult b;

    if (s->ended)
        return WS_HTTP_DECODE_OK;
    do {
        uint8_t *out = s->out;
        size_t room = OUT_BYTES;
        int r;

        b = BrotliDecoderDecompressStream(s->brotli, &len, &data, &room, &out, NULL);
        s->ended = b == BROTLI_DECODER_RESULT_SUCCESS;
        r = give(d, i, s->out, OUT_BYTES - room);
        if (r != WS_HTTP_DECODE_OK)
            return r;
    } while (b == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
    return b == BROTLI_DECODER_RESULT_ERROR ? WS_HTTP_DECODE_BAD : WS_HTTP_DECODE_OK;
}

static int feed_zstd(struct ws_http_decoder *d, unsigned i, const uint8_t *data, size_t len)
{
    struct step *s = &d->steps[i];
    ZSTD_inBuffer in = {.src = data, .size = len};
    ZSTD_outBuffer out = {.dst = s->out, .size = OUT_BYTES};

    do {
        size_t left;
        int r;

        out.pos = 0;
        left = ZSTD_decompressStream(s->zstd, &out, &in);
        if (ZSTD_isError(left))
            return WS_HTTP_DECODE_BAD;
        s->ended = left == 0;
        r = give(d, i, s->out, out.pos);
        if (r != WS_HTTP_DECODE_OK)
            return r;
        /* a full buffer may mean that more waits, but not at the end of a frame */
    } while (in.pos < in.size || (out.pos == out.size && !s->ended));
    return WS_HTTP_DECODE_OK;
}

/* Whether data cannot be what its coding says, from the first byte on. */
static bool is_other(enum ws_http_coding coding, uint8_t first)
{
    switch (coding) {
    case WS_HTTP_CODING_GZIP:
        return first != 0x1f;
    case WS_HTTP_CODING_ZSTD: /* a frame, or a skippable one */
        return first != 0x28 && (first & 0xf0) != 0x50;
    default:
        return false;
    }
}

/* RFC 1950 section 2.2: method 8, and a header that divides by 31. */
static bool is_zlib_header(const uint8_t head[2])
{
    return (head[0] & 0x0f) == 8 && (head[0] >> 4) <= 7 &&
           ((unsigned)head[0] * 256 + head[1]) % 31 == 0;
}

static int feed_step(struct ws_http_decoder *d, unsigned i, const uint8_t *data, size_t len)
{
    struct step *s = &d->steps[i];

    switch (s->coding) {
    case WS_HTTP_CODING_GZIP:
        return feed_zlib(d, i, data, len);
    case WS_HTTP_CODING_DEFLATE:
        if (s->head_len < 2) {
            uint8_t head[2];
            int r;

            while (len > 0 && s->head_len < 2) {
                s->head[s->head_len++] = *data++;
                len--;
            }
            if (s->head_len < 2)
                return WS_HTTP_DECODE_OK;
            memcpy(head, s->head, sizeof head);
            if (zlib_begin(s, is_zlib_header(head) ? MAX_WBITS : -MAX_WBITS) != 0)
                return -ENOMEM;
            r = feed_zlib(d, i, head, sizeof head);
            if (r != WS_HTTP_DECODE_OK || len == 0)
                return r;
        }
        return feed_zlib(d, i, data, len);
    case WS_HTTP_CODING_BR:
        return feed_brotli(d, i, data, len);
    default:
        return feed_zstd(d, i, data, len);
    }
}

/* Bytes before step i; behind the last step they go out. */
static int feed(struct ws_http_decoder *d, unsigned i, const uint8_t *data, size_t len)
{
    struct step *s = &d->steps[i];

    if (i == d->count) {
        bool limited = d->bytes_max != 0 && len > d->bytes_max - d->given;
        int r = 0;

        if (limited)
            len = (size_t)(d->bytes_max - d->given);
        d->given += len;
        if (len > 0)
            r = d->sink(d->user, data, len);
        return r < 0 ? r : limited ? WS_HTTP_DECODE_LIMITED : WS_HTTP_DECODE_OK;
    }
    if (!s->begun) {
        s->begun = true;
        s->passed = is_other(s->coding, *data);
    }
    return s->passed ? give(d, i, data, len) : feed_step(d, i, data, len);
}

int ws_http_decoder_feed(struct ws_http_decoder *d, const uint8_t *data, size_t len)
{
    if (d->status != WS_HTTP_DECODE_OK || len == 0)
        return d->status;
    d->taken += len;
    d->status = feed(d, 0, data, len);
    return d->status;
}

bool ws_http_decoder_end(struct ws_http_decoder *d)
{
    bool ended = d->status == WS_HTTP_DECODE_OK;

    for (unsigned i = 0; i < d->count; i++) {
        struct step *s = &d->steps[i];

        ended &= !s->begun || (s->ended && !s->passed);
        if (s->brotli != NULL) { /* holds up to 16 MiB, and cannot be reset */
            BrotliDecoderDestroyInstance(s->brotli);
            s->brotli = NULL;
        }
    }
    return ended;
}
