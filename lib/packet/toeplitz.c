/* SPDX-License-Identifier: BSD-3-Clause */
/* Toeplitz hash over flow keys: the cheap symmetric form and its bit-by-bit twin. */
#include "packet/toeplitz.h"

#include <string.h>

#include "base/bytes.h"

#define K4 0x6d, 0x5a, 0x6d, 0x5a
const uint8_t ws_toeplitz_key[52] = {K4, K4, K4, K4, K4, K4, K4, K4, K4, K4, K4, K4, K4};
#undef K4

/* XOR of the key windows (16 bits of them: the other half repeats) at the set bits of a byte, the first of the input. The key
 * repeats, so each window is the one before it, rotated. */
#define W(n, bit, window) ((n) & (bit) ? (window) : 0u)
#define B(n)                                                                                       \
    (W(n, 0x80u, 0x6d5au) ^ W(n, 0x40u, 0xdab4u) ^ W(n, 0x20u, 0xb569u) ^ W(n, 0x10u, 0x6ad3u) ^   \
     W(n, 0x08u, 0xd5a6u) ^ W(n, 0x04u, 0xab4du) ^ W(n, 0x02u, 0x569bu) ^ W(n, 0x01u, 0xad36u))
#define B4(n)  B(n), B((n) + 1), B((n) + 2), B((n) + 3)
#define B16(n) B4(n), B4((n) + 4), B4((n) + 8), B4((n) + 12)
#define B64(n) B16(n), B16((n) + 16), B16((n) + 32), B16((n) + 48)

const uint16_t ws_toeplitz_byte[256] = {B64(0u), B64(64u), B64(128u), B64(192u)};

uint32_t ws_toeplitz_owner(const struct ws_key *key)
{
    uint64_t a[4];
    memcpy(a, key->addr, sizeof(a));
    uint64_t x = a[0] ^ a[1] ^ a[2] ^ a[3];
    x ^= x >> 32;
    x ^= x >> 16;
    uint8_t b[2];
    uint16_t x16 = (uint16_t)x;
    memcpy(b, &x16, 2);
    uint32_t w = ws_load_be16(b);
    if (key->proto == 6 || key->proto == 17 || key->proto == 132)
        w ^= (uint32_t)(key->port[0] ^ key->port[1]);
    return ws_toeplitz_words(w);
}

uint32_t ws_toeplitz_naive(const uint8_t *key, size_t key_len, const uint8_t *in, size_t len)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < len * 8; i++) {
        if (!(in[i / 8] >> (7 - i % 8) & 1))
            continue;
        for (size_t b = 0; b < 32; b++) {
            size_t k = i + b;
            if (k / 8 < key_len && key[k / 8] >> (7 - k % 8) & 1)
                hash ^= UINT32_C(1) << (31 - b);
        }
    }
    return hash;
}
