/* SPDX-License-Identifier: BSD-3-Clause */
/* The Toeplitz hash: published vectors for the plain one, the plain one for the cheap one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "packet/toeplitz.h"

/* Microsoft, "Verifying the RSS Hash Calculation". */
static const uint8_t ms_key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                   0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                   0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                   0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static void published_vectors(void **state)
{
    (void)state;
    static const struct {
        uint8_t in[12]; /* source, destination, source port, destination port */
        uint32_t with_ports, without;
    } v[] = {
        {{66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6}, 0x51ccc178, 0x323e8fc2},
        {{199, 92, 111, 2, 65, 69, 140, 83, 0x37, 0x96, 0x12, 0x83}, 0xc626b0ea, 0xd718262a},
        {{24, 19, 198, 95, 12, 22, 207, 184, 0x32, 0x62, 0x94, 0x88}, 0x5c2b394a, 0xd2d0a5de},
        {{38, 27, 205, 30, 209, 142, 163, 6, 0xbc, 0x64, 0x08, 0xa9}, 0xafc7327f, 0x82989176},
        {{153, 39, 163, 191, 202, 188, 127, 2, 0xac, 0xdb, 0x05, 0x17}, 0x10e828a2, 0x5d1809c5},
    };
    for (size_t i = 0; i < WS_ARRAY_SIZE(v); i++) {
        assert_int_equal(ws_toeplitz_naive(ms_key, sizeof(ms_key), v[i].in, 12), v[i].with_ports);
        assert_int_equal(ws_toeplitz_naive(ms_key, sizeof(ms_key), v[i].in, 8), v[i].without);
    }
}

static uint32_t naive_owner(const struct ws_key *k, unsigned from)
{
    uint8_t in[36];
    size_t addr_len = k->ip_version == 4 ? 4 : 16, len = 2 * addr_len;
    memcpy(in, k->addr[from], addr_len);
    memcpy(in + addr_len, k->addr[from ^ 1], addr_len);
    if (k->proto == 6 || k->proto == 17 || k->proto == 132) {
        ws_store_be16(in + len, k->port[from]);
        ws_store_be16(in + len + 2, k->port[from ^ 1]);
        len += 4;
    }
    return ws_toeplitz_naive(ws_toeplitz_key, sizeof(ws_toeplitz_key), in, len);
}

/* The cheap hash is the plain one with our key, in both directions, over random tuples. */
static void equals_naive(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
    printf("SEED=%u\n", seed);
    srand(seed);
    static const uint8_t protos[] = {6, 17, 132, 1, 58, 50, 33};
    for (unsigned n = 0; n < 5000; n++) {
        struct ws_key k = {0};
        k.ip_version = rand() & 1 ? 4 : 6;
        for (unsigned i = 0; i < (k.ip_version == 4 ? 4u : 16u); i++) {
            k.addr[0][i] = (uint8_t)rand();
            k.addr[1][i] = (uint8_t)rand();
        }
        k.proto = protos[(unsigned)rand() % sizeof(protos)];
        k.port[0] = (uint16_t)rand();
        k.port[1] = (uint16_t)rand();
        assert_int_equal(ws_toeplitz_owner(&k), naive_owner(&k, 0));
        assert_int_equal(ws_toeplitz_owner(&k), naive_owner(&k, 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(equals_naive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
