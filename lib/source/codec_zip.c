/* SPDX-License-Identifier: BSD-3-Clause */
/* A zip archive of one file, read as a stream (PKWARE APPNOTE 6.3.10, sections 4.3.7 to 4.3.9). */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "source/codec.h"

/*   local header | name, extra | data | [descriptor] | central directory ...
 *
 * The central directory at the end is not needed for one file, and a pipe cannot be read from its end. A descriptor
 * stands where the writer did not know the lengths before (flag 3): [signature], CRC, two lengths of 4 or 8 bytes. */
enum {
    LOCAL_LEN = 30,
    LOCAL_MAGIC = 0x04034b50,
    DESCRIPTOR_MAGIC = 0x08074b50,
    FLAG_ENCRYPTED = 1,
    FLAG_DESCRIPTOR = 8,
    METHOD_STORED = 0,
    METHOD_DEFLATE = 8,
    REST_LOOK = 20, /* where another file's header would stand at the latest: behind two lengths of 8 bytes */
    STEP_MAX = 1 << 30,
};

enum zip_state { ZIP_LOCAL, ZIP_NAMES, ZIP_STORED, ZIP_DEFLATE, ZIP_CRC, ZIP_REST };

struct zip {
    enum zip_state state;
    uint8_t buf[LOCAL_LEN]; /* of what is looked at as a whole */
    unsigned have;
    bool described, inflating, past_magic;
    uint16_t method;
    uint32_t names; /* bytes of name and extra field to pass over */
    uint32_t left;  /* bytes of a stored file still to come */
    uint32_t crc, crc_want;
    z_stream z;
};

static enum ws_codec_result fail(struct ws_codec_io *io, const char *reason)
{
    io->reason = reason;
    return WS_CODEC_FAILED;
}

static void *zip_create(void)
{
    return calloc(1, sizeof(struct zip));
}

static void zip_destroy(void *state)
{
    struct zip *z = state;
    if (z->inflating)
        inflateEnd(&z->z);
    free(z);
}

/* Fills buf to want bytes; true when they are there. */
static bool collect(struct zip *z, struct ws_codec_io *io, unsigned want)
{
    size_t n = WS_MIN((size_t)(want - z->have), io->in_len);
    memcpy(z->buf + z->have, io->in, n);
    z->have += (unsigned)n;
    io->in += n;
    io->in_len -= n;
    return z->have == want;
}

static enum ws_codec_result begin(struct zip *z, struct ws_codec_io *io)
{
    const uint8_t *h = z->buf;
    unsigned flags = ws_load_le16(h + 6);
    z->have = 0;
    if (ws_load_le32(h) != LOCAL_MAGIC)
        return fail(io, "the zip archive holds no file");
    z->method = ws_load_le16(h + 8);
    z->crc_want = ws_load_le32(h + 14);
    z->left = ws_load_le32(h + 18);
    z->names = (uint32_t)ws_load_le16(h + 26) + ws_load_le16(h + 28);
    z->described = flags & FLAG_DESCRIPTOR;
    if (flags & FLAG_ENCRYPTED)
        return fail(io, "the zip archive is encrypted");
    if (z->method != METHOD_STORED && z->method != METHOD_DEFLATE)
        return fail(io, "the zip archive is packed in a way other than deflate");
    if (z->method == METHOD_STORED && (z->described || z->left == UINT32_MAX))
        return fail(io, "the zip archive stores a file of unknown length");
    z->state = ZIP_NAMES;
    return WS_CODEC_MORE;
}

static enum ws_codec_result pass_names(struct zip *z, struct ws_codec_io *io)
{
    size_t n = WS_MIN((size_t)z->names, io->in_len);
    io->in += n;
    io->in_len -= n;
    z->names -= (uint32_t)n;
    if (z->names)
        return WS_CODEC_MORE;
    z->crc = (uint32_t)crc32(0, NULL, 0);
    if (z->method == METHOD_STORED) {
        /* an empty one is a directory: the file comes next */
        z->state = z->left ? ZIP_STORED : ZIP_LOCAL;
        return WS_CODEC_MORE;
    }
    if (inflateInit2(&z->z, -15) != Z_OK)
        return fail(io, "no memory for zip");
    z->inflating = true;
    z->state = ZIP_DEFLATE;
    return WS_CODEC_MORE;
}

static void wrote(struct zip *z, struct ws_codec_io *io, size_t n)
{
    z->crc = (uint32_t)crc32(z->crc, io->out, (unsigned)n);
    io->out += n;
    io->out_len -= n;
}

/* The file's bytes are over: their sum is known already, or comes. */
static enum ws_codec_result end(struct zip *z, struct ws_codec_io *io)
{
    if (!z->described && z->crc != z->crc_want)
        return fail(io, "zip data is corrupt (CRC)");
    z->state = z->described ? ZIP_CRC : ZIP_REST;
    z->have = 0;
    return z->described ? WS_CODEC_MORE : WS_CODEC_BETWEEN;
}

static enum ws_codec_result copy(struct zip *z, struct ws_codec_io *io)
{
    size_t n = WS_MIN(WS_MIN(io->in_len, io->out_len), (size_t)WS_MIN(z->left, (uint32_t)STEP_MAX));
    memcpy(io->out, io->in, n);
    io->in += n;
    io->in_len -= n;
    z->left -= (uint32_t)n;
    wrote(z, io, n);
    return z->left ? WS_CODEC_MORE : end(z, io);
}

static enum ws_codec_result unpack(struct zip *z, struct ws_codec_io *io)
{
    unsigned in = (unsigned)WS_MIN(io->in_len, (size_t)STEP_MAX);
    unsigned out = (unsigned)WS_MIN(io->out_len, (size_t)STEP_MAX);
    z->z.next_in = (Bytef *)(uintptr_t)io->in; /* zlib's declaration lacks const */
    z->z.avail_in = in;
    z->z.next_out = io->out;
    z->z.avail_out = out;
    int r = inflate(&z->z, Z_NO_FLUSH);
    io->in += in - z->z.avail_in;
    io->in_len -= in - z->z.avail_in;
    wrote(z, io, out - z->z.avail_out);
    if (r == Z_STREAM_END)
        return end(z, io);
    if (r == Z_OK || r == Z_BUF_ERROR)
        return WS_CODEC_MORE;
    return fail(io, r == Z_MEM_ERROR ? "no memory for zip" : "zip data is corrupt");
}

/* The sum behind the data, perhaps after a signature. */
static enum ws_codec_result check_crc(struct zip *z, struct ws_codec_io *io)
{
    if (!collect(z, io, 4))
        return WS_CODEC_MORE;
    uint32_t v = ws_load_le32(z->buf);
    z->have = 0;
    if (v == DESCRIPTOR_MAGIC && !z->past_magic && v != z->crc) {
        z->past_magic = true;
        return WS_CODEC_MORE;
    }
    if (v != z->crc)
        return fail(io, "zip data is corrupt (CRC)");
    z->state = ZIP_REST;
    return WS_CODEC_BETWEEN;
}

/* What follows is passed over, unless it is another file. */
static enum ws_codec_result pass_rest(struct zip *z, struct ws_codec_io *io)
{
    if (z->have < REST_LOOK && collect(z, io, REST_LOOK)) {
        for (unsigned at = 0; at + 4 <= REST_LOOK; at += z->described ? 8 : REST_LOOK)
            if (ws_load_le32(z->buf + at) == LOCAL_MAGIC)
                return fail(io, "the zip archive holds more than one file, and only the first is read");
    }
    if (z->have == REST_LOOK) {
        io->in += io->in_len;
        io->in_len = 0;
    }
    return WS_CODEC_BETWEEN;
}

static enum ws_codec_result step(struct zip *z, struct ws_codec_io *io)
{
    switch (z->state) {
    case ZIP_LOCAL:
        return collect(z, io, LOCAL_LEN) ? begin(z, io) : WS_CODEC_MORE;
    case ZIP_NAMES:
        return pass_names(z, io);
    case ZIP_STORED:
        return copy(z, io);
    case ZIP_DEFLATE:
        return unpack(z, io);
    case ZIP_CRC:
        return check_crc(z, io);
    case ZIP_REST:
        return pass_rest(z, io);
    }
    return WS_CODEC_MORE;
}

/* A state that takes no bytes must not look like one that waits for them. */
static enum ws_codec_result zip_step(void *state, struct ws_codec_io *io)
{
    struct zip *z = state;
    enum zip_state before;
    enum ws_codec_result r;
    do {
        before = z->state;
        r = step(z, io);
    } while (r == WS_CODEC_MORE && z->state != before && io->in_len);
    return r;
}

const struct ws_codec_ops ws_codec_zip = {
    "zip", {'P', 'K', 3, 4}, 4, zip_create, zip_step, zip_destroy,
};
