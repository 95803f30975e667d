/* SPDX-License-Identifier: BSD-3-Clause */
/* The checksum of TCP and UDP.
 *
 * The one's complement sum may be taken in either byte order and in words of any width (RFC 1071 section 2): the words
 * here are as wide as the CPU's and in its own order, which spares swapping each and lets the compiler use vectors. Only
 * what comes from outside memory, protocol and length, is put into that order.
 */
#include "packet/checksum.h"

#include <string.h>

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* A 16-bit value as two bytes in network order would be loaded. */
static inline uint16_t network16(uint16_t v)
{
    const uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    memcpy(&v, b, sizeof(v));
    return v;
}

static inline uint64_t halves64(uint64_t v)
{
    return (v >> 32) + (uint32_t)v;
}

/* Sums of 32-bit words over a multiple of 64 bytes: wide enough for 16 GiB. */
static __attribute__((noinline)) uint64_t sum_blocks(const uint8_t *at, uint32_t len)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < len; i += 4)
        sum += load32(at + i);
    return sum;
}

static inline uint64_t sum_words(const uint8_t *at, uint32_t len)
{
    uint64_t sum = 0;
    if (len >= 128) {
        const uint32_t blocks = len & ~63u;
        sum = sum_blocks(at, blocks);
        at += blocks;
        len -= blocks;
    }
    for (; len >= 8; at += 8, len -= 8)
        sum += halves64(load64(at));
    if (len & 4) {
        sum += load32(at);
        at += 4;
    }
    uint16_t last[2] = {0};
    if (len & 2) {
        memcpy(&last[0], at, 2);
        at += 2;
    }
    if (len & 1) /* padded (RFC 1071 section 4.1) */
        memcpy(&last[1], at, 1);
    sum += (uint32_t)last[0] + last[1];
    return sum;
}

bool ws_checksum_ok(const uint8_t *src, const uint8_t *dst, uint32_t addr_len, uint8_t proto, const uint8_t *at,
                    uint32_t len)
{
    uint64_t sum = addr_len == 4 ? (uint64_t)load32(src) + load32(dst)
                                 : sum_words(src, addr_len) + sum_words(dst, addr_len);
    /* the length has 32 bits in the pseudo header of IPv6 */
    sum += network16(proto) + (uint64_t)network16((uint16_t)len) + network16((uint16_t)(len >> 16));
    sum += sum_words(at, len);
    sum = halves64(halves64(sum));
    uint32_t s = (uint32_t)(sum >> 16) + (uint32_t)(sum & 0xffff);
    s = (s >> 16) + (s & 0xffff);
    s = (s >> 16) + (s & 0xffff);
    return s == 0xffff;
}
