/* SPDX-License-Identifier: BSD-3-Clause */
/* The seeded hash of a flow key: secrets drawn from a seed, and the hash itself.
 *
 * What it resists: CRC alone is linear, so keys that collide do so under every starting value, and
 * anyone can compute such keys. Here one CRC32C runs over the key and a second one over products of
 * pairs of words, each xored with a secret first; an attacker without the seed cannot predict the
 * second one, so he cannot choose keys that share buckets. What it does not: it is no cryptographic
 * PRF. Whoever learns the seed (from a core dump, or by patient timing of a live system) can make
 * collisions; the table's probes stay bounded then too (table.h), but such flows evict each other.
 */
#ifndef WS_FLOW_HASH_H
#define WS_FLOW_HASH_H

#include "packet/packet.h"

struct ws_flow_secret {
    uint64_t word[8];  /* xored to the key's words before multiplying */
    uint64_t fold[2];  /* odd multipliers of the last mix */
    uint32_t start[2]; /* starting values of the two CRCs */
};

typedef uint32_t (*ws_flow_hash_fn)(const struct ws_flow_secret *s, const struct ws_key *key);

/* Draws the secrets from a seed. The same seed gives the same hashes on every machine of the same
 * byte order. */
void ws_flow_secret_init(struct ws_flow_secret *s, uint64_t seed);

/* The hash by table, on any CPU. Pure, like all here. */
uint32_t ws_flow_hash_soft(const struct ws_flow_secret *s, const struct ws_key *key);

/* The fastest variant that this CPU runs; all give the same values. */
ws_flow_hash_fn ws_flow_hash_choose(void);

#endif
