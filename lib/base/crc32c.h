/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC32C (Castagnoli) of 64-bit words: one instruction where the CPU has it, else a table.
 *
 * Reflected polynomial 0x82f63b78 (RFC 3720 section 12.1 and appendix B.4), without the inversions
 * at both ends: callers that want the published check values pass ~0 and invert the result. Both
 * variants give the same value on every machine. Pure; any thread.
 */
#ifndef WS_BASE_CRC32C_H
#define WS_BASE_CRC32C_H

#include "base/compiler.h"

#if defined(__x86_64__)
#define WS_CRC32C_HW     1
#define WS_CRC32C_TARGET __attribute__((target("sse4.2")))
#else
#define WS_CRC32C_HW 0
#define WS_CRC32C_TARGET
#endif

extern const uint32_t ws_crc32c_table[256];

/* One word by table, least significant byte first. */
static inline uint32_t ws_crc32c_u64_soft(uint32_t crc, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++, word >>= 8)
        crc = crc >> 8 ^ ws_crc32c_table[(crc ^ word) & 0xff];
    return crc;
}

#if WS_CRC32C_HW
/* One word by the SSE4.2 instruction. Only inside functions marked WS_CRC32C_TARGET, and only
 * called when ws_crc32c_has_hw(). */
WS_CRC32C_TARGET static inline uint32_t ws_crc32c_u64_hw(uint32_t crc, uint64_t word)
{
    return (uint32_t)__builtin_ia32_crc32di(crc, word);
}
#endif

/* len bytes, by the better variant; the same as words where len is a multiple of 8. p may have any alignment. */
uint32_t ws_crc32c(uint32_t crc, const void *p, size_t len);

/* The same of len zero bytes, in a step a bit of len: a CRC is linear, so that with a as the CRC of some bytes from 0 and b that of the same
 * and n more, ws_crc32c_zeros(crc ^ a, n) ^ b is ws_crc32c(crc, the n bytes). */
uint32_t ws_crc32c_zeros(uint32_t crc, uint32_t len);

/* Whether this CPU has the instruction: asked once at start by whoever chooses a variant. */
bool ws_crc32c_has_hw(void);

#endif
