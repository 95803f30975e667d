/* SPDX-License-Identifier: BSD-3-Clause */
/* The seeded hash of a flow key, in a portable variant and one for CPUs with a CRC32C instruction.
 */
#include <string.h>

#include "base/crc32c.h"
#include "flow/hash.h"

/* Sebastiano Vigna's splitmix64: turns one seed into independent words. */
static uint64_t next_secret(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void ws_flow_secret_init(struct ws_flow_secret *s, uint64_t seed)
{
    for (unsigned i = 0; i < WS_ARRAY_SIZE(s->word); i++)
        s->word[i] = next_secret(&seed);
    for (unsigned i = 0; i < WS_ARRAY_SIZE(s->fold); i++)
        s->fold[i] = next_secret(&seed) | 1;
    for (unsigned i = 0; i < WS_ARRAY_SIZE(s->start); i++)
        s->start[i] = (uint32_t)next_secret(&seed);
}

/* Both halves of the 128-bit product, xored. */
static inline uint64_t fold_product(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 u128;
    u128 p = (u128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint32_t last_mix(const struct ws_flow_secret *s, uint32_t plain, uint32_t secret)
{
    uint64_t x = ((uint64_t)plain << 32 | secret) * s->fold[0];
    x = (x ^ x >> 32) * s->fold[1];
    return (uint32_t)(x >> 32);
}

/* The body of both variants: they differ in the CRC step alone, which must be inlined to be fast.
 */
#define HASH_BODY(crc_u64)                                                                         \
    uint64_t w[8];                                                                                 \
    memcpy(w, key, sizeof(w));                                                                     \
    uint32_t plain = s->start[0], secret = s->start[1];                                            \
    for (unsigned i = 0; i < 8; i += 2) {                                                          \
        plain = crc_u64(crc_u64(plain, w[i]), w[i + 1]);                                           \
        secret = crc_u64(secret, fold_product(w[i] ^ s->word[i], w[i + 1] ^ s->word[i + 1]));      \
    }                                                                                              \
    return last_mix(s, plain, secret)

uint32_t ws_flow_hash_soft(const struct ws_flow_secret *s, const struct ws_key *key)
{
    HASH_BODY(ws_crc32c_u64_soft);
}

#if WS_CRC32C_HW
WS_CRC32C_TARGET static uint32_t hash_hw(const struct ws_flow_secret *s, const struct ws_key *key)
{
    HASH_BODY(ws_crc32c_u64_hw);
}
#endif

ws_flow_hash_fn ws_flow_hash_choose(void)
{
#if WS_CRC32C_HW
    if (ws_crc32c_has_hw())
        return hash_hw;
#endif
    return ws_flow_hash_soft;
}
