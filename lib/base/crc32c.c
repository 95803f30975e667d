/* SPDX-License-Identifier: BSD-3-Clause */
/* The byte table of CRC32C, built by the compiler, and the question whether the CPU can do better.
 */
#include "base/crc32c.h"

#include "base/bytes.h"

/* A CRC is linear: the entry of a byte is the sum of the entries of its bits. The entry of the top
 * bit is the polynomial; each lower bit is one more shift of it. */
#define B(n, bit, entry) ((n) & (bit) ? (entry) : 0u)
#define E(n)                                                                                       \
    (B(n, 0x80u, 0x82f63b78u) ^ B(n, 0x40u, 0x417b1dbcu) ^ B(n, 0x20u, 0x20bd8edeu) ^              \
     B(n, 0x10u, 0x105ec76fu) ^ B(n, 0x08u, 0x8ad958cfu) ^ B(n, 0x04u, 0xc79a971fu) ^              \
     B(n, 0x02u, 0xe13b70f7u) ^ B(n, 0x01u, 0xf26b8303u))
#define E4(n)  E(n), E((n) + 1), E((n) + 2), E((n) + 3)
#define E16(n) E4(n), E4((n) + 4), E4((n) + 8), E4((n) + 12)
#define E64(n) E16(n), E16((n) + 16), E16((n) + 32), E16((n) + 48)

const uint32_t ws_crc32c_table[256] = {E64(0u), E64(64u), E64(128u), E64(192u)};

bool ws_crc32c_has_hw(void)
{
#if WS_CRC32C_HW
    return __builtin_cpu_supports("sse4.2");
#else
    return false;
#endif
}

#if WS_CRC32C_HW
WS_CRC32C_TARGET static uint32_t crc_hw(uint32_t crc, const uint8_t *p, size_t len)
{
    for (; len >= 8; len -= 8, p += 8)
        crc = ws_crc32c_u64_hw(crc, ws_load_le64(p));
    for (; len; len--)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}
#endif

uint32_t ws_crc32c(uint32_t crc, const void *p, size_t len)
{
    const uint8_t *b = p;
#if WS_CRC32C_HW
    if (WS_LIKELY(__builtin_cpu_supports("sse4.2")))
        return crc_hw(crc, b, len);
#endif
    for (; len >= 8; len -= 8, b += 8)
        crc = ws_crc32c_u64_soft(crc, ws_load_le64(b));
    for (; len; len--)
        crc = crc >> 8 ^ ws_crc32c_table[(crc ^ *b++) & 0xff];
    return crc;
}

/* a times b modulo the polynomial; the top bit is x^0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (; a; a <<= 1) {
        product ^= b & (0u - (a >> 31));
        b = b >> 1 ^ (0x82f63b78u & (0u - (b & 1)));
    }
    return product;
}

uint32_t ws_crc32c_zeros(uint32_t crc, uint32_t len)
{
    /* x^(8 * 2^k): each is the square of the one before. */
    static const uint32_t power[32] = {
        0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
        0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
        0xfe7740e6, 0xf946610b, 0x3c204f8f, 0x538586e3, 0x59726915, 0x734d5309, 0xbc1ac763, 0x7d0722cc,
        0xd289cabe, 0xe94ca9bc, 0x05b74f3f, 0xa51e1f42, 0x40000000, 0x20000000, 0x08000000, 0x00800000,
    };
    for (unsigned k = 0; len; k++, len >>= 1)
        if (len & 1)
            crc = multiply(power[k], crc);
    return crc;
}
