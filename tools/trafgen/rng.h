/* SPDX-License-Identifier: BSD-3-Clause */
/* The seeded random numbers that every choice of the generator comes from. */
#ifndef TG_RNG_H
#define TG_RNG_H

#include <stdbool.h>
#include <stdint.h>

/* xoshiro256** (Blackman and Vigna, 2018). One writer: the generator's only thread. */
struct tg_rng {
    uint64_t state[4];
};

/* The finaliser of splitmix64: a bijection on 64 bits, so each output names its one input. */
static inline uint64_t tg_mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t tg_rng_next(struct tg_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t five = s[1] * 5;
    uint64_t result = ((five << 7) | (five >> 57)) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* Uniform in [0, bound); bound 0 gives 0. The multiply-shift bias (< bound / 2^64) does not matter.
 */
static inline uint64_t tg_rng_below(struct tg_rng *rng, uint64_t bound)
{
    uint64_t x = tg_rng_next(rng);
    if (bound <= UINT32_MAX)
        return ((x >> 32) * bound) >> 32;
    return x % bound;
}

/* Uniform in [low, high], both ends in. */
static inline uint64_t tg_rng_range(struct tg_rng *rng, uint64_t low, uint64_t high)
{
    return low + tg_rng_below(rng, high - low + 1);
}

/* A probability as a threshold in [0, 2^32]: 0 never, 2^32 always. */
typedef uint64_t tg_odds;

static inline tg_odds tg_odds_from(double p)
{
    return p <= 0 ? 0 : p >= 1 ? UINT64_C(1) << 32 : (tg_odds)(p * 4294967296.0);
}

/* Draws a number only when the odds are open, so that an unused option changes no other choice. */
static inline bool tg_rng_chance(struct tg_rng *rng, tg_odds odds)
{
    return odds != 0 && (tg_rng_next(rng) >> 32) < odds;
}

/* Spreads a 64-bit seed over the whole state by splitmix64, as the authors of xoshiro advise. */
void tg_rng_init(struct tg_rng *rng, uint64_t seed);

/* Uniform in (0, 1]. */
double tg_rng_unit(struct tg_rng *rng);

#endif
