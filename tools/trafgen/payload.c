/* SPDX-License-Identifier: BSD-3-Clause */
/* Filling of payload, eight bytes at a time. */
#include "payload.h"

#include <string.h>

#include "rng.h"

uint64_t tg_payload_key(uint64_t seed, uint64_t connection, unsigned direction)
{
    uint64_t x = tg_mix64(seed + UINT64_C(0x9e3779b97f4a7c15));
    return tg_mix64(x ^ tg_mix64(connection * 2 + direction + 1));
}

static inline uint64_t word_at(uint64_t key, uint64_t index)
{
    uint64_t w = tg_mix64(key + index);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

static inline void fill(uint64_t key, uint64_t off, uint8_t *dst, size_t len, uint64_t flip)
{
    uint64_t index = off / 8;
    size_t skip = (size_t)(off % 8);
    if (skip != 0 && len != 0) {
        uint8_t bytes[8];
        uint64_t w = word_at(key, index++) ^ flip;
        size_t n = 8 - skip < len ? 8 - skip : len;
        memcpy(bytes, &w, 8);
        memcpy(dst, bytes + skip, n);
        dst += n;
        len -= n;
    }
    for (; len >= 8; len -= 8, dst += 8) {
        uint64_t w = word_at(key, index++) ^ flip;
        memcpy(dst, &w, 8);
    }
    if (len != 0) {
        uint64_t w = word_at(key, index) ^ flip;
        memcpy(dst, &w, len);
    }
}

void tg_payload_fill(uint64_t key, uint64_t off, uint8_t *dst, size_t len)
{
    fill(key, off, dst, len, 0);
}

void tg_payload_fill_garbage(uint64_t key, uint64_t off, uint8_t *dst, size_t len)
{
    fill(key, off, dst, len, UINT64_MAX);
}
