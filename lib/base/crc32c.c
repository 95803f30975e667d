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
