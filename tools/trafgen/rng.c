/* SPDX-License-Identifier: BSD-3-Clause */
/* Seeding of the random numbers, and the one floating-point draw. */
#include "rng.h"

void tg_rng_init(struct tg_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        rng->state[i] = tg_mix64(seed);
    }
}

double tg_rng_unit(struct tg_rng *rng)
{
    return (double)((tg_rng_next(rng) >> 11) + 1) * 0x1.0p-53;
}
