/* SPDX-License-Identifier: BSD-3-Clause */
/* Tuples that meet in one place of a hash without a secret. */
#ifndef TG_COLLIDE_H
#define TG_COLLIDE_H

#include "build.h"

/* The number-th of 2^24 IPv4 tuples whose symmetric Toeplitz hash (key 6d5a...) is the same: that
 * key repeats after 16 bits, so the hash depends on the xor of a tuple's 16-bit words alone. */
void tg_collide_owner(struct tg_tuple *t, uint32_t number);

/* The number-th of 2^24 IPv4 tuples whose CRC32C is the same with any start value, over the sorted
 * key of lib/packet/packet.h: CRCs are linear, so differences from the kernel change none of them.
 */
void tg_collide_crc(struct tg_tuple *t, uint32_t number);

#endif
