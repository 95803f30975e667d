/* SPDX-License-Identifier: BSD-3-Clause */
/* Compression of test data in memory, with the libraries themselves. */
#ifndef WS_TESTS_SOURCE_PACK_H
#define WS_TESTS_SOURCE_PACK_H

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "unit/source/build.h"

enum pack { PACK_NONE, PACK_GZIP, PACK_ZSTD, PACK_XZ, PACK_BZIP2, PACK_COUNT };

/* Appends src as one member (frame, stream) of its own. */
static inline void pack_append(struct build *out, enum pack how, const uint8_t *src, size_t len)
{
    size_t room = len + len / 2 + 4096, n = 0;
    uint8_t *tmp = malloc(room);
    bool ok = tmp != NULL;
    if (how == PACK_GZIP && ok) {
        z_stream z = {.next_in = (Bytef *)(uintptr_t)src,
                      .avail_in = (uInt)len,
                      .next_out = tmp,
                      .avail_out = (uInt)room};
        ok = deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK &&
             deflate(&z, Z_FINISH) == Z_STREAM_END;
        n = z.total_out;
        deflateEnd(&z);
    } else if (how == PACK_ZSTD && ok) {
        ZSTD_CCtx *c = ZSTD_createCCtx();
        ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
        n = ZSTD_compress2(c, tmp, room, src, len);
        ok = !ZSTD_isError(n);
        ZSTD_freeCCtx(c);
    } else if (how == PACK_XZ && ok) {
        ok = lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL, src, len, tmp, &n, room) == LZMA_OK;
    } else if (how == PACK_BZIP2 && ok) {
        unsigned u = (unsigned)room;
        ok = BZ2_bzBuffToBuffCompress((char *)tmp, &u, (char *)(uintptr_t)src, (unsigned)len, 1, 0,
                                      0) == BZ_OK;
        n = u;
    } else if (ok) {
        memcpy(tmp, src, len);
        n = len;
    }
    if (!ok)
        abort();
    put_bytes(out, tmp, n);
    free(tmp);
}

#endif
