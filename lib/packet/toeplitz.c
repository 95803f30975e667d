/* SPDX-License-Identifier: BSD-3-Clause */
/* Toeplitz hash over flow keys: the cheap symmetric form and its bit-by-bit twin. */
#include "packet/toeplitz.h"

#include <string.h>

#include "base/bytes.h"

#define K4 0x6d, 0x5a, 0x6d, 0x5a
const uint8_t ws_toeplitz_key[52] = {K4, K4, K4, K4, K4, K4, K4, K4, K4, K4, K4, K4, K4};
#undef K4

/* XOR of the key windows (16 bits of them: the other half repeats) at the set bits of a nibble that
 * starts at bit 0 of a word; a nibble that starts at bit n gives the same, rotated left by n. */
static const uint16_t nibble_hash[16] = {
    0,
    0x6ad3,
    0xb569,
    0xb569 ^ 0x6ad3,
    0xdab4,
    0xdab4 ^ 0x6ad3,
    0xdab4 ^ 0xb569,
    0xdab4 ^ 0xb569 ^ 0x6ad3,
    0x6d5a,
    0x6d5a ^ 0x6ad3,
    0x6d5a ^ 0xb569,
    0x6d5a ^ 0xb569 ^ 0x6ad3,
    0x6d5a ^ 0xdab4,
    0x6d5a ^ 0xdab4 ^ 0x6ad3,
    0x6d5a ^ 0xdab4 ^ 0xb569,
    0x6d5a ^ 0xdab4 ^ 0xb569 ^ 0x6ad3,
};

static inline uint32_t rotate16(uint32_t v, unsigned n)
{
    return (v << n | v >> (16 - n)) & 0xffff;
}

/* The hash of input whose 16-bit words xor to w. */
static inline uint32_t hash_of(uint32_t w)
{
    uint32_t h = nibble_hash[w >> 12] ^ rotate16(nibble_hash[w >> 8 & 15], 4) ^
                 rotate16(nibble_hash[w >> 4 & 15], 8) ^ rotate16(nibble_hash[w & 15], 12);
    return h << 16 | h;
}

uint32_t ws_toeplitz_owner_ip4(uint32_t addrs, uint16_t ports)
{
    return hash_of(((addrs >> 16 ^ addrs) & 0xffff) ^ ports);
}

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
    return hash_of(w);
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
