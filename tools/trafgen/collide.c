/* SPDX-License-Identifier: BSD-3-Clause */
/* Tuples that collide: by xor for Toeplitz, by Gaussian elimination for CRC32C. */
#include "collide.h"

#include <string.h>

#define CLIENT 0xc6120000u /* 198.18.0.0/15 */
#define SERVER 0xac140000u /* 172.20.0.0/16 */

/* What may change of a tuple: 17 bits of the client, 16 of its port, 16 of the server, 16 of its
 * port. 65 unknowns and 32 equations leave 33 dimensions to choose from. */
#define FREE_BITS 65u

static void put_address(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

void tg_collide_owner(struct tg_tuple *t, uint32_t number)
{
    uint32_t client = CLIENT | (number >> 7 & 0x1ffff);
    uint32_t low = client ^ client >> 16;
    t->port[1] = 80;
    t->port[0] = (uint16_t)(number << 9 | (number & 0x1ff));
    /* the server takes up what the others changed */
    uint32_t server = (low ^ t->port[0]) & 0xffff;
    put_address(t->address[0], client);
    put_address(t->address[1], SERVER | server);
}

struct bits {
    uint64_t word[2];
};

/* A key with only these bits set, as the CRC reads it: the server's endpoint comes first. */
static void place(uint8_t key[64], const struct bits *b)
{
    uint32_t client = (uint32_t)(b->word[0] & 0x1ffff),
             server = (uint32_t)(b->word[0] >> 33 & 0xffff);
    uint16_t port[2] = {(uint16_t)(b->word[0] >> 49 | b->word[1] << 15),
                        (uint16_t)(b->word[0] >> 17)};
    memset(key, 0, 64);
    put_address(key, server);
    put_address(key + 16, client);
    memcpy(key + 32, port, sizeof(port));
}

/* CRC32C without start value and end mask: linear. */
static uint32_t crc32c(const uint8_t *p, unsigned n)
{
    uint32_t crc = 0;
    for (unsigned i = 0; i < n; i++) {
        crc ^= p[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return crc;
}

/* A basis of the differences that leave the CRC as it is. Returns its size, at least 33. */
static unsigned find_kernel(struct bits kernel[FREE_BITS])
{
    struct {
        uint32_t crc;
        struct bits bits;
    } row[32];
    unsigned rows = 0, size = 0;
    for (unsigned i = 0; i < FREE_BITS; i++) {
        struct bits b = {{0, 0}};
        uint8_t key[64];
        b.word[i / 64] = UINT64_C(1) << (i % 64);
        place(key, &b);
        uint32_t crc = crc32c(key, sizeof(key));
        for (unsigned r = 0; r < rows; r++) {
            if ((crc ^ row[r].crc) < crc) { /* clears that row's leading bit */
                crc ^= row[r].crc;
                b.word[0] ^= row[r].bits.word[0];
                b.word[1] ^= row[r].bits.word[1];
            }
        }
        if (crc == 0) {
            kernel[size++] = b;
            continue;
        }
        row[rows].crc = crc;
        row[rows++].bits = b;
    }
    return size;
}

void tg_collide_crc(struct tg_tuple *t, uint32_t number)
{
    static struct bits kernel[FREE_BITS];
    static unsigned size;
    if (size == 0)
        size = find_kernel(kernel);
    struct bits b = {{UINT64_C(0x123456789abcdef0), 1}};
    for (unsigned i = 0; i < 24 && i < size; i++) {
        if ((number >> i & 1) != 0) {
            b.word[0] ^= kernel[i].word[0];
            b.word[1] ^= kernel[i].word[1];
        }
    }
    put_address(t->address[0], CLIENT | (uint32_t)(b.word[0] & 0x1ffff));
    put_address(t->address[1], SERVER | (uint32_t)(b.word[0] >> 33 & 0xffff));
    t->port[0] = (uint16_t)(b.word[0] >> 17);
    t->port[1] = (uint16_t)(b.word[0] >> 49 | b.word[1] << 15);
}
