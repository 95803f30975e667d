/* SPDX-License-Identifier: BSD-3-Clause */
/* Payload as a function of (seed, connection, direction, offset), so that truth needs no storage.
 */
#ifndef TG_PAYLOAD_H
#define TG_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

/*
 * A stream is a sequence of 64-bit little-endian words: word i = mix64(key + i), where mix64 is
 * splitmix64's finaliser. mix64 is a bijection, so any aligned word (any 15 bytes hold one) names
 * key + i, that is its stream and its offset; keys of different streams are 64 random bits apart.
 */
uint64_t tg_payload_key(uint64_t seed, uint64_t connection, unsigned direction);

/* Writes the len bytes at stream offset off. dst is borrowed. */
void tg_payload_fill(uint64_t key, uint64_t off, uint8_t *dst, size_t len);

/* The same range with each bit turned: differs from the stream in every byte. */
void tg_payload_fill_garbage(uint64_t key, uint64_t off, uint8_t *dst, size_t len);

#endif
