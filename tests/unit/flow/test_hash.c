/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC32C against published values, and the flow hash: same on all CPUs, seeded, well spread. */
#include "fixture.h"

#include <math.h>

#include "base/crc32c.h"
#include "flow/hash.h"

/* CRC32C of 8-byte multiples, with the inversions of RFC 3720. */
static uint32_t crc_bytes(const uint8_t *p, size_t len)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < len; i += 8)
        crc = ws_crc32c_u64_soft(crc, ws_load_le64(p + i));
    return ~crc;
}

/* RFC 3720 appendix B.4: 32 zeros, 32 ones, ascending, descending. */
static void crc_published(void **state)
{
    (void)state;
    uint8_t b[32];
    memset(b, 0, sizeof(b));
    assert_int_equal(crc_bytes(b, sizeof(b)), 0x8a9136aau);
    memset(b, 0xff, sizeof(b));
    assert_int_equal(crc_bytes(b, sizeof(b)), 0x62a8ab43u);
    for (unsigned i = 0; i < 32; i++)
        b[i] = (uint8_t)i;
    assert_int_equal(crc_bytes(b, sizeof(b)), 0x46dd794eu);
    for (unsigned i = 0; i < 32; i++)
        b[i] = (uint8_t)(31 - i);
    assert_int_equal(crc_bytes(b, sizeof(b)), 0x113fdb5cu);
}

#if WS_CRC32C_HW
WS_CRC32C_TARGET static uint32_t crc_hw(uint32_t crc, uint64_t word)
{
    return ws_crc32c_u64_hw(crc, word);
}

static void crc_variants_agree(void **state)
{
    (void)state;
    if (!ws_crc32c_has_hw())
        skip();
    uint64_t w = 1;
    for (uint32_t i = 0; i < 10000; i++) {
        w = w * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        assert_int_equal(crc_hw(i * 77777, w), ws_crc32c_u64_soft(i * 77777, w));
    }
}
#endif

static void hash_variants_agree(void **state)
{
    (void)state;
    struct ws_flow_secret s;
    ws_flow_hash_fn fast = ws_flow_hash_choose();
    for (uint32_t i = 0; i < 10000; i++) {
        ws_flow_secret_init(&s, i / 100);
        struct ws_key k = make_key(i);
        assert_int_equal(fast(&s, &k), ws_flow_hash_soft(&s, &k));
    }
}

/* Every bit of the key matters, and so does the seed. */
static void hash_depends_on_all(void **state)
{
    (void)state;
    struct ws_flow_secret s, s2;
    ws_flow_secret_init(&s, 1);
    ws_flow_secret_init(&s2, 2);
    struct ws_key k = make_key(1);
    uint32_t h = ws_flow_hash_soft(&s, &k);
    assert_int_not_equal(h, ws_flow_hash_soft(&s2, &k));
    for (unsigned bit = 0; bit < 8 * sizeof(k); bit++) {
        struct ws_key flipped = k;
        ((uint8_t *)&flipped)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(h, ws_flow_hash_soft(&s, &flipped));
    }
}

/* The parity of a hash's bits under a mask. */
static bool parity(uint32_t h, uint32_t mask)
{
    return __builtin_parity(h & mask);
}

/* Keys that a plain CRC32C confuses under every seed must not stay together under ours: two keys
 * whose difference has CRC zero are found by Gauss elimination over the bits of both addresses. */
static void hash_is_not_linear(void **state)
{
    (void)state;
    uint32_t basis[32] = {0}, combo_lo[32] = {0}, combo_hi[32] = {0};
    struct ws_key diff = {0};
    bool found = false;
    for (unsigned bit = 0; bit < 64 && !found; bit++) {
        struct ws_key k = {0};
        k.addr[bit / 32][bit % 32 / 8] = (uint8_t)(1u << bit % 8);
        uint64_t w[8];
        memcpy(w, &k, sizeof(w));
        uint32_t v = 0, lo = bit < 32 ? 1u << bit : 0, hi = bit < 32 ? 0 : 1u << (bit - 32);
        for (unsigned i = 0; i < 8; i++)
            v = ws_crc32c_u64_soft(v, w[i]);
        for (int b = 31; b >= 0 && v; b--) {
            if (!parity(v, 1u << b))
                continue;
            if (!basis[b]) {
                basis[b] = v;
                combo_lo[b] = lo;
                combo_hi[b] = hi;
                break;
            }
            v ^= basis[b];
            lo ^= combo_lo[b];
            hi ^= combo_hi[b];
        }
        if (v == 0) {
            for (unsigned i = 0; i < 32; i++) {
                diff.addr[0][i / 8] |= (uint8_t)((lo >> i & 1) << i % 8);
                diff.addr[1][i / 8] |= (uint8_t)((hi >> i & 1) << i % 8);
            }
            found = true;
        }
    }
    assert_true(found);
    unsigned collisions = 0;
    for (uint32_t n = 0; n < 1000; n++) {
        struct ws_flow_secret s;
        ws_flow_secret_init(&s, n);
        struct ws_key a = make_key(n), b = a;
        uint64_t wa[8], wb[8];
        for (unsigned i = 0; i < 16; i++) {
            b.addr[0][i] ^= diff.addr[0][i];
            b.addr[1][i] ^= diff.addr[1][i];
        }
        memcpy(wa, &a, sizeof(wa));
        memcpy(wb, &b, sizeof(wb));
        uint32_t ca = n, cb = n;
        for (unsigned i = 0; i < 8; i++) {
            ca = ws_crc32c_u64_soft(ca, wa[i]);
            cb = ws_crc32c_u64_soft(cb, wb[i]);
        }
        assert_int_equal(ca, cb);
        collisions += ws_flow_hash_soft(&s, &a) == ws_flow_hash_soft(&s, &b);
    }
    assert_int_equal(collisions, 0);
}

/* Dense keys fall into 4,096 buckets (high bits) and 4,096 tags (low bits) as chance would have it:
 * chi-squared with 4,095 degrees of freedom, six standard deviations either way. */
static void hash_spreads(void **state)
{
    (void)state;
    enum { CELLS = 4096, KEYS = 200000 };
    static unsigned high[CELLS], low[CELLS];
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct ws_flow_secret s;
        ws_flow_secret_init(&s, seed);
        memset(high, 0, sizeof(high));
        memset(low, 0, sizeof(low));
        for (uint32_t i = 0; i < KEYS; i++) {
            struct ws_key k = make_key(i);
            uint32_t h = ws_flow_hash_soft(&s, &k);
            high[h >> 20]++;
            low[h & 4095]++;
        }
        double chi_high = 0, chi_low = 0, want = (double)KEYS / CELLS;
        for (unsigned i = 0; i < CELLS; i++) {
            chi_high += (high[i] - want) * (high[i] - want) / want;
            chi_low += (low[i] - want) * (low[i] - want) / want;
        }
        assert_true(fabs(chi_high - 4095) < 6 * 90.5);
        assert_true(fabs(chi_low - 4095) < 6 * 90.5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_published),
#if WS_CRC32C_HW
        cmocka_unit_test(crc_variants_agree),
#endif
        cmocka_unit_test(hash_variants_agree),
        cmocka_unit_test(hash_depends_on_all),
        cmocka_unit_test(hash_is_not_linear),
        cmocka_unit_test(hash_spreads),
    };
    return cmocka_run_group_tests_name("flow/hash", tests, NULL, NULL);
}
