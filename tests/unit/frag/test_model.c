/* SPDX-License-Identifier: BSD-3-Clause */
/* Random fragments against a naive twin that keeps, for each byte, the fragment it came with. */
#include <time.h>

#include "fixture.h"

enum { DATAGRAMS = 5, BYTES_MAX = 24 * 256 };

/* The twin of one datagram. */
struct twin {
    bool have[BYTES_MAX + 8];
    uint8_t value[BYTES_MAX + 8];
    uint32_t from[BYTES_MAX + 8], to[BYTES_MAX + 8];
    uint32_t total, highest;
};

static struct twin twins[DATAGRAMS];
static struct build b;

static bool wins(enum ws_overlap policy, uint32_t old_from, uint32_t old_to, uint32_t from,
                 uint32_t to)
{
    switch (policy) {
    case WS_OVERLAP_FIRST:
        return false;
    case WS_OVERLAP_LAST:
        return true;
    case WS_OVERLAP_BSD:
        return !(old_from <= from);
    case WS_OVERLAP_LINUX:
    case WS_OVERLAP_OLD_LINUX:
        return !(old_from < from);
    case WS_OVERLAP_WINDOWS:
        return from < old_from && old_to < to;
    case WS_OVERLAP_SOLARIS:
        return from < old_from && old_to <= to;
    }
    return false;
}

/* Puts a fragment into the twin; true if the datagram is whole now. */
static bool twin_put(struct twin *t, enum ws_overlap policy, const uint8_t *data, uint32_t from,
                     uint32_t to, bool more)
{
    if (t->total && (to > t->total || (!more && to != t->total)))
        return false;
    if (!more && to < t->highest)
        return false;
    for (uint32_t i = from; i < to; i++)
        if (!t->have[i] || wins(policy, t->from[i], t->to[i], from, to)) {
            t->have[i] = true;
            t->value[i] = data[i - from];
            t->from[i] = from;
            t->to[i] = to;
        }
    if (to > t->highest)
        t->highest = to;
    if (!more)
        t->total = to;
    for (uint32_t i = 0; i < t->total; i++)
        if (!t->have[i])
            return false;
    return t->total != 0;
}

static void equals_twin(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
    printf("SEED=%u\n", seed);
    srand(seed);
    unsigned whole = 0;
    for (unsigned round = 0; round < 70; round++) {
        struct ws_frag_config cfg = ws_frag_defaults;
        cfg.overlap = (enum ws_overlap)(round % (WS_OVERLAP_OLD_LINUX + 1));
        cfg.seed = (uint64_t)rand();
        cfg.timeout_ns = INT64_MAX;          /* the twin knows no time */
        uint32_t unit = round % 3 ? 8 : 256; /* 256: pieces that span chunks */
        frag_begin(&cfg);
        memset(twins, 0, sizeof(twins));
        for (unsigned n = 0; n < 1500; n++) {
            unsigned d = (unsigned)rand() % DATAGRAMS;
            uint32_t units = 6 + d * 4, from, to;
            from = (uint32_t)rand() % units;
            to = from + 1 + (uint32_t)rand() % 6;
            bool more = to < units;
            if (!more)
                to = units;
            if (rand() % 50 == 0)
                more = !more;  /* contradicts itself */
            more |= from == 0; /* else it is no fragment */
            from *= unit;
            to *= unit;
            if (!more && rand() % 8 == 0)
                to -= 1 + (uint32_t)rand() % 7; /* ends at an odd byte, or lies about the end */
            uint8_t data[BYTES_MAX];
            for (uint32_t i = 0; i < to - from; i++)
                data[i] = (uint8_t)rand();
            build_start(&b);
            build_data(&b, data, to - from);
            build_ip4_full(&b, A4, B4, 253, (uint16_t)d,
                           (uint16_t)(from / 8 | (more ? 0x2000u : 0)), NULL, 0);
            unsigned before = out.datagrams;
            now_ns += 1000;
            push(&b);
            if (twin_put(&twins[d], cfg.overlap, data, from, to, more)) {
                assert_int_equal(out.datagrams, before + 1);
                assert_int_equal(out.len, twins[d].total);
                assert_memory_equal(out.bytes, twins[d].value, out.len);
                memset(&twins[d], 0, sizeof(twins[d]));
                now_ns += 1000000000; /* past the time that finished ones are remembered */
                whole++;
            } else {
                assert_int_equal(out.datagrams, before);
            }
            ws_frag_expire(frag, now_ns, (unsigned)rand() % 2);
        }
        /* Contradictions can leave a datagram that never becomes whole: not lost without a word. */
        frag_end();
    }
    assert_true(whole > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_twin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
