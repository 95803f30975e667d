/* SPDX-License-Identifier: BSD-3-Clause */
/* Symmetric Toeplitz hash: the RSS function that gives both directions of a tuple one value. */
#ifndef WS_PACKET_TOEPLITZ_H
#define WS_PACKET_TOEPLITZ_H

#include "packet/packet.h"

/* RSS key of 6d5a repeated (Woo and Park, "Scalable TCP Session Monitoring with Symmetric
 * Receive-side Scaling", 2012). 52 bytes: the longest key that common NICs take. */
extern const uint8_t ws_toeplitz_key[52];

/* Toeplitz over (addresses, ports) of a key as a NIC computes it with ws_toeplitz_key: addresses and,
 * for TCP, UDP and SCTP, ports. Because that key repeats every 16 bits the hash is a function
 * of the XOR of all 16-bit words of the input, hence symmetric and cheap. */
uint32_t ws_toeplitz_owner(const struct ws_key *key);

/* The hash of a byte as the first of the input, 16 bits of it: the other half is the same. */
extern const uint16_t ws_toeplitz_byte[256];

/* The hash of input whose 16-bit words (network order) xor to w. A byte later the key's windows are 8 bits on. */
static inline uint32_t ws_toeplitz_words(uint32_t w)
{
    const uint32_t second = ws_toeplitz_byte[w & 0xff];
    const uint32_t h = ws_toeplitz_byte[w >> 8 & 0xff] ^ (second << 8 & 0xff00) ^ second >> 8;
    return h << 16 | h;
}

/* The same as ws_toeplitz_owner() for TCP, UDP or SCTP over IPv4, of the two addresses xored and the two ports xored (host order). */
static inline uint32_t ws_toeplitz_owner_ip4(uint32_t addrs, uint16_t ports)
{
    return ws_toeplitz_words((addrs >> 16 ^ addrs) ^ ports);
}

/* Plain bit-by-bit Toeplitz of len bytes (the naive twin, and for checking a device's key). */
uint32_t ws_toeplitz_naive(const uint8_t *key, size_t key_len, const uint8_t *in, size_t len);

#endif
