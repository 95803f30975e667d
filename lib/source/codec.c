/* SPDX-License-Identifier: BSD-3-Clause */
/* Decompressors: gzip, zstd, xz, bzip2; each accepts several members one after the other. */
#include "source/codec.h"

#include <bzlib.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* Each library counts in its own type; a step of at most this much fits in all. */
enum { STEP_MAX = 1 << 30 };

/* Memory that a hostile xz header may ask for: xz -9 needs 65 MiB. */
enum { XZ_MEMORY_MAX = 256 << 20 };

static unsigned step_len(size_t n)
{
    return (unsigned)WS_MIN(n, (size_t)STEP_MAX);
}

static void advance(struct ws_codec_io *io, size_t in, size_t out)
{
    io->in += in;
    io->in_len -= in;
    io->out += out;
    io->out_len -= out;
}

static enum ws_codec_result fail(struct ws_codec_io *io, const char *reason)
{
    io->reason = reason;
    return WS_CODEC_FAILED;
}

/* --- gzip (RFC 1952) --- */

struct gzip {
    z_stream z;
    bool between; /* at the end of a member */
};

static void *gzip_create(void)
{
    struct gzip *g = calloc(1, sizeof(*g));
    if (g && inflateInit2(&g->z, 15 + 16) != Z_OK) { /* 16: gzip wrapper only */
        free(g);
        return NULL;
    }
    return g;
}

/* Between members: zero padding is skipped (tape blocks), another member begins, all else is
 * damage. */
static enum ws_codec_result gzip_between(struct gzip *g, struct ws_codec_io *io)
{
    while (io->in_len && *io->in == 0)
        advance(io, 1, 0);
    if (!io->in_len)
        return WS_CODEC_BETWEEN;
    if (*io->in != 0x1f)
        return fail(io, "bytes after the end of the gzip data are not gzip");
    if (inflateReset(&g->z) != Z_OK)
        return fail(io, "gzip state is invalid");
    g->between = false;
    return WS_CODEC_MORE;
}

static enum ws_codec_result gzip_step(void *state, struct ws_codec_io *io)
{
    struct gzip *g = state;
    if (g->between)
        return gzip_between(g, io);
    unsigned in = step_len(io->in_len), out = step_len(io->out_len);
    g->z.next_in = (Bytef *)(uintptr_t)io->in; /* zlib's declaration lacks const */
    g->z.avail_in = in;
    g->z.next_out = io->out;
    g->z.avail_out = out;
    int r = inflate(&g->z, Z_NO_FLUSH);
    advance(io, in - g->z.avail_in, out - g->z.avail_out);
    if (r == Z_STREAM_END) {
        g->between = true;
        return WS_CODEC_BETWEEN;
    }
    if (r == Z_OK || r == Z_BUF_ERROR)
        return WS_CODEC_MORE;
    return fail(io, r == Z_MEM_ERROR ? "no memory for gzip" : "gzip data is corrupt");
}

static void gzip_destroy(void *state)
{
    struct gzip *g = state;
    inflateEnd(&g->z);
    free(g);
}

/* --- zstd (RFC 8878) --- */

struct zstd {
    ZSTD_DStream *d;
    bool between;
};

static void *zstd_create(void)
{
    struct zstd *z = calloc(1, sizeof(*z));
    if (z && !(z->d = ZSTD_createDStream())) {
        free(z);
        return NULL;
    }
    return z;
}

static enum ws_codec_result zstd_step(void *state, struct ws_codec_io *io)
{
    struct zstd *z = state;
    if (z->between && !io->in_len)
        return WS_CODEC_BETWEEN;
    ZSTD_inBuffer in = {io->in, io->in_len, 0};
    ZSTD_outBuffer out = {io->out, io->out_len, 0};
    size_t r = ZSTD_decompressStream(z->d, &out, &in);
    advance(io, in.pos, out.pos);
    if (ZSTD_isError(r)) {
        if (z->between && ZSTD_getErrorCode(r) == ZSTD_error_prefix_unknown)
            return fail(io, "bytes after the end of the zstd data are not zstd");
        return fail(io, ZSTD_getErrorName(r));
    }
    z->between = r == 0;
    return z->between ? WS_CODEC_BETWEEN : WS_CODEC_MORE;
}

static void zstd_destroy(void *state)
{
    struct zstd *z = state;
    ZSTD_freeDStream(z->d);
    free(z);
}

/* --- xz --- */

struct xz {
    lzma_stream s;
    bool between;
};

static void *xz_create(void)
{
    struct xz *x = calloc(1, sizeof(*x));
    if (x && lzma_stream_decoder(&x->s, XZ_MEMORY_MAX, 0) != LZMA_OK) {
        free(x);
        return NULL;
    }
    return x;
}

/* As gzip_between(): streams may be padded with zeros (xz file format 2.2). */
static enum ws_codec_result xz_between(struct xz *x, struct ws_codec_io *io)
{
    while (io->in_len && *io->in == 0)
        advance(io, 1, 0);
    if (!io->in_len)
        return WS_CODEC_BETWEEN;
    if (*io->in != 0xfd)
        return fail(io, "bytes after the end of the xz data are not xz");
    if (lzma_stream_decoder(&x->s, XZ_MEMORY_MAX, 0) != LZMA_OK)
        return fail(io, "no memory for xz");
    x->between = false;
    return WS_CODEC_MORE;
}

static enum ws_codec_result xz_step(void *state, struct ws_codec_io *io)
{
    struct xz *x = state;
    if (x->between)
        return xz_between(x, io);
    size_t in = io->in_len, out = io->out_len;
    x->s.next_in = io->in;
    x->s.avail_in = in;
    x->s.next_out = io->out;
    x->s.avail_out = out;
    lzma_ret r = lzma_code(&x->s, LZMA_RUN);
    advance(io, in - x->s.avail_in, out - x->s.avail_out);
    switch (r) {
    case LZMA_OK:
    case LZMA_BUF_ERROR: /* no progress: the caller gives more, or finds the data cut */
        return WS_CODEC_MORE;
    case LZMA_STREAM_END:
        x->between = true;
        return WS_CODEC_BETWEEN;
    case LZMA_MEMLIMIT_ERROR:
        return fail(io, "xz data needs more than 256 MiB of memory");
    case LZMA_MEM_ERROR:
        return fail(io, "no memory for xz");
    default:
        return fail(io, "xz data is corrupt");
    }
}

static void xz_destroy(void *state)
{
    struct xz *x = state;
    lzma_end(&x->s);
    free(x);
}

/* --- bzip2 --- */

struct bz2 {
    bz_stream s;
    bool between, live; /* live: the library's state exists */
};

static void *bz2_create(void)
{
    return calloc(1, sizeof(struct bz2));
}

static void bz2_end(struct bz2 *b)
{
    if (b->live)
        BZ2_bzDecompressEnd(&b->s);
    b->live = false;
}

static enum ws_codec_result bz2_step(void *state, struct ws_codec_io *io)
{
    struct bz2 *b = state;
    if (!io->in_len && b->between)
        return WS_CODEC_BETWEEN;
    if (!b->live) {
        if (b->between && *io->in != 'B')
            return fail(io, "bytes after the end of the bzip2 data are not bzip2");
        memset(&b->s, 0, sizeof(b->s));
        if (BZ2_bzDecompressInit(&b->s, 0, 0) != BZ_OK)
            return fail(io, "no memory for bzip2");
        b->live = true;
    }
    unsigned in = step_len(io->in_len), out = step_len(io->out_len);
    b->between = false;
    b->s.next_in = (char *)(uintptr_t)io->in; /* the library's declaration lacks const */
    b->s.avail_in = in;
    b->s.next_out = (char *)io->out;
    b->s.avail_out = out;
    int r = BZ2_bzDecompress(&b->s);
    advance(io, in - b->s.avail_in, out - b->s.avail_out);
    if (r == BZ_STREAM_END) {
        bz2_end(b);
        b->between = true;
        return WS_CODEC_BETWEEN;
    }
    if (r == BZ_OK)
        return WS_CODEC_MORE;
    return fail(io, r == BZ_MEM_ERROR ? "no memory for bzip2" : "bzip2 data is corrupt");
}

static void bz2_destroy(void *state)
{
    struct bz2 *b = state;
    bz2_end(b);
    free(b);
}

enum { CODEC_ZSTD = 1 };

static const struct ws_codec_ops codecs[] = {
    {"gzip", {0x1f, 0x8b}, 2, gzip_create, gzip_step, gzip_destroy},
    [CODEC_ZSTD] = {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, zstd_create, zstd_step, zstd_destroy},
    {"xz", {0xfd, '7', 'z', 'X', 'Z', 0x00}, 6, xz_create, xz_step, xz_destroy},
    {"bzip2", {'B', 'Z', 'h'}, 3, bz2_create, bz2_step, bz2_destroy},
};

/* Parallel compressors begin with a skippable frame, one of sixteen magics (RFC 8878 3.1.2). */
static bool is_skippable_frame(const uint8_t *p, size_t len)
{
    return len >= 4 && (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18;
}

const struct ws_codec_ops *ws_codec_find(const uint8_t *p, size_t len)
{
    if (is_skippable_frame(p, len))
        return &codecs[CODEC_ZSTD];
    if (len >= ws_codec_zip.magic_len && !memcmp(p, ws_codec_zip.magic, ws_codec_zip.magic_len))
        return &ws_codec_zip;
    for (size_t i = 0; i < WS_ARRAY_SIZE(codecs); i++) {
        if (len >= codecs[i].magic_len && !memcmp(p, codecs[i].magic, codecs[i].magic_len))
            return &codecs[i];
    }
    return NULL;
}
