/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers from a seed: the same on every machine. */
#ifndef WS_TESTS_MODEL_RNG_H
#define WS_TESTS_MODEL_RNG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct rng {
    uint64_t state;
};

/* splitmix64 (Steele and others, 2014). */
static inline uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 .. n - 1; n > 0. */
static inline uint32_t rnd(struct rng *r, uint32_t n)
{
    return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

/* True once in n. */
static inline bool one_in(struct rng *r, uint32_t n)
{
    return rnd(r, n) == 0;
}

/* A number from the environment. */
static inline uint64_t rng_env(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);
    return s && *s ? strtoull(s, NULL, 0) : otherwise;
}

#endif
