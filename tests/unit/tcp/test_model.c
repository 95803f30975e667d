/* SPDX-License-Identifier: BSD-3-Clause */
/* A naive twin of reassembly, a byte map, against random sequences of segments: long ones, and tiny caps. What
 * connections do, and short sequences by the ten thousand, is the job of tests/model.
 *
 * WS_TEST_ROUNDS (150) sequences from WS_TEST_SEED; a failure prints the seed of its round, which
 * WS_TEST_SEED=seed WS_TEST_ROUNDS=1 repeats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "tcp/internal.h"

enum { MAP_MAX = 40000, EMPTY = -1, HOLE = -2, SEGMENTS_MAX = 240 };

struct range {
    uint32_t from, to;
};

struct model {
    int16_t map[MAP_MAX];   /* byte, EMPTY or HOLE */
    uint8_t owner[MAP_MAX]; /* segment that brought it */
    struct range seg[SEGMENTS_MAX];
    enum ws_overlap policy;
    uint32_t next, top, low;
    bool hold;
};

static uint64_t rng_state;

static uint32_t rnd(uint32_t n)
{
    /* splitmix64 (Steele and others, 2014) */
    uint64_t z = rng_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) % n);
}

static void model_init(struct model *m, enum ws_overlap policy, bool hold)
{
    memset(m, 0, sizeof(*m));
    for (size_t i = 0; i < MAP_MAX; i++)
        m->map[i] = EMPTY;
    m->policy = policy;
    m->hold = hold;
    m->low = UINT32_MAX;
}

static void model_push(struct model *m, unsigned n, uint32_t pos, const uint8_t *data, uint32_t len,
                       uint32_t wire_len)
{
    m->seg[n] = (struct range){pos, pos + wire_len};
    if (!m->hold && wire_len == 1 && len == 1 &&
        (pos + 1 == m->next || (pos + 1 == m->top && m->map[pos] >= 0)))
        return; /* a keep-alive */
    m->top = WS_MAX(m->top, pos + wire_len);
    m->low = WS_MIN(m->low, pos);
    for (uint32_t i = 0; i < wire_len; i++) {
        uint32_t at = pos + i;
        if (at < m->next)
            continue;
        bool old = m->map[at] >= 0;
        if (i >= len) {
            if (m->map[at] == EMPTY)
                m->map[at] = HOLE;
            continue;
        }
        struct range *o = &m->seg[m->owner[at]];
        if (old && (m->map[at] == data[i] ||
                    !ws_overlap_new_wins(m->policy, pos, pos + wire_len, o->from, o->to)))
            continue;
        m->map[at] = data[i];
        m->owner[at] = (uint8_t)n;
    }
    while (!m->hold && m->map[m->next] != EMPTY)
        m->next++;
}

/* The stream as it must come out: bytes, dots for what never came. */
static uint64_t model_result(const struct model *m, uint8_t *out)
{
    uint32_t from = m->hold ? m->low : 0, last = from;
    for (uint32_t i = from; i < m->top; i++)
        if (m->map[i] != EMPTY)
            last = i + 1;
    for (uint32_t i = from; i < last; i++)
        out[i - from] = m->map[i] >= 0 ? (uint8_t)m->map[i] : '.';
    return last - from;
}

struct plan {
    enum ws_overlap policy;
    uint32_t isn, size, len_max;
    unsigned segments;
    bool midstream, letters, noise, snap, fin;
};

static struct plan make_plan(void)
{
    struct plan p = {
        .policy = (enum ws_overlap)rnd(7),
        .isn = rnd(2) ? rnd(UINT32_MAX) : 0u - rnd(700),
        .size = 20 + rnd(rnd(4) ? 400 : 20000),
        .segments = 1 + rnd(SEGMENTS_MAX - 1),
        .midstream = rnd(4) == 0,
        .letters = rnd(2),
        .noise = rnd(2),
        .snap = rnd(4) == 0,
        .fin = rnd(2),
    };
    uint32_t most = rnd(3) ? 30 : 7000;
    p.len_max = 1 + rnd(WS_MIN(p.size, most));
    /* ranges of equal bytes among other ones would make ownership a matter of how runs are cut */
    if (!p.letters && p.noise)
        p.policy = rnd(2) ? WS_OVERLAP_FIRST : WS_OVERLAP_LAST;
    return p;
}

/* Fills data for the segment of positions pos..: the truth, noise in it, or a letter of its own. */
static void make_bytes(const struct plan *p, unsigned n, uint32_t pos, uint8_t *data, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        data[i] =
            p->letters ? (uint8_t)(n + 1 + (n >= '.' - 1)) : (uint8_t)('A' + (pos + i) * 7 % 26);
    if (len && !p->letters && p->noise && rnd(8) == 0)
        for (uint32_t i = rnd(len); i < len; i += 1 + rnd(9))
            data[i] = (uint8_t)('a' + rnd(26));
}

static void push_wire(struct rig *r, uint32_t seq, const uint8_t *data, uint32_t len,
                      uint32_t wire_len)
{
    uint8_t *whole = malloc(wire_len);
    assert_non_null(whole);
    memset(whole, '#', wire_len);
    memcpy(whole, data, len);
    r->snap = len < wire_len ? len : 0;
    if (len == 0 && wire_len) { /* the rig's snap of 0 is none */
        r->no_payload = true;
        r->snap = 0;
    }
    rig_push(r, 0, "AP", seq, 5001, whole, wire_len);
    r->no_payload = false;
    r->snap = 0;
    free(whole);
}

static void play(struct rig *r, struct rig *gaps, struct model *m, const struct plan *p)
{
    static uint8_t data[8000];
    static uint32_t at[SEGMENTS_MAX], len[SEGMENTS_MAX];
    unsigned n = p->segments;
    /* half in stream order with losses and swaps, half anywhere */
    bool ordered = rnd(2);
    uint32_t pos = 0;
    for (unsigned i = 0; i < n; i++) {
        len[i] = 1 + rnd(p->len_max);
        if (!ordered)
            pos = rnd(p->size);
        at[i] = pos;
        pos += len[i];
        if (pos + p->len_max > MAP_MAX - 8000)
            pos = 0;
        if (ordered && rnd(8) == 0)
            pos -= rnd(WS_MIN(pos + 1, 40)); /* overlapping the one before */
    }
    for (unsigned i = 0; i + 1 < n; i++)
        if (ordered && rnd(4) == 0) {
            unsigned k = i + 1 + rnd(6);
            k = WS_MIN(k, n - 1);
            uint32_t a = at[i], l = len[i];
            at[i] = at[k];
            len[i] = len[k];
            at[k] = a;
            len[k] = l;
        }
    for (unsigned i = 0; i < n; i++) {
        if (ordered && rnd(16) == 0)
            continue; /* lost */
        uint32_t cut = p->snap && rnd(3) == 0 ? rnd(len[i] + 1) : 0;
        uint32_t have = len[i] - cut;
        make_bytes(p, i, at[i], data, have);
        push_wire(r, p->isn + 1 + at[i], data, have, len[i]);
        if (gaps)
            push_wire(gaps, p->isn + 1 + at[i], data, have, len[i]);
        if (m)
            model_push(m, i, at[i], data, have, len[i]);
        if (rnd(4) == 0 && !p->midstream) {
            uint32_t acked = p->isn + 1 + rnd(p->size);
            S(r, 1, "A", 5001, acked, "");
            if (gaps)
                S(gaps, 1, "A", 5001, acked, "");
        }
    }
}

static void begin(struct rig *r, const struct plan *p, struct ws_tcp_config cfg, unsigned want)
{
    cfg.overlap = p->policy;
    cfg.want = want;
    cfg.midstream_ns = INT64_MAX / 2;
    cfg.midstream_bytes = UINT64_MAX;
    rig_init(r, &cfg);
    if (!p->midstream)
        rig_open(r, p->isn, 5000);
}

static void one_round(void)
{
    static struct model m;
    static uint8_t want[MAP_MAX];
    struct rig r, gaps;
    struct plan p = make_plan();

    struct ws_tcp_config ample = rig_config();
    ample.bytes_max = (uint64_t)SEGMENTS_MAX * 2 * (p.len_max + 2 * WS_HELD_CELL);
    ample.dir_bytes_max = ample.bytes_max;
    begin(&r, &p, ample, WS_TCP_WANT_DATA);
    begin(&gaps, &p, ample, WS_TCP_WANT_GAPS);
    model_init(&m, p.policy, p.midstream);
    play(&r, &gaps, &m, &p);
    uint64_t len = model_result(&m, want);
    rig_close(&r);
    rig_close(&gaps);
    assert_int_equal(r.stream[0].len, len);
    assert_memory_equal(r.stream[0].bytes, want, len);
    /* lengths and gaps alone come out the same */
    assert_int_equal(ws_tcp_dir_length(&gaps.c.dir[0]), len);
    assert_int_equal(gaps.stream[0].gap_bytes, r.stream[0].gap_bytes);
    assert_int_equal(rig_count(&gaps, WS_C_PAYLOAD_DELIVERED),
                     rig_count(&r, WS_C_PAYLOAD_DELIVERED));
    rig_fini(&r);
    rig_fini(&gaps);

    /* Tiny caps: the rig checks order and ledger after each push. What comes out must have come in.
     */
    struct ws_tcp_config tiny = rig_config();
    tiny.nodes_max = rnd(12);
    tiny.dir_nodes_max = 1 + rnd(12);
    tiny.dir_bytes_max = 1 + rnd(3000);
    tiny.bytes_max = WS_HELD_CELL * (uint64_t)rnd(12);
    p.noise = p.letters = p.midstream = false;
    begin(&r, &p, tiny, WS_TCP_WANT_DATA);
    play(&r, NULL, NULL, &p);
    if (p.fin)
        S(&r, 0, "FA", p.isn + 1 + (uint32_t)r.stream[0].len + 10, 5001, "");
    rig_close(&r);
    for (uint64_t i = 0; i < r.stream[0].len; i++)
        if (r.stream[0].bytes[i] != '.')
            assert_int_equal(r.stream[0].bytes[i], 'A' + i * 7 % 26);
    assert_int_equal(rig_count(&r, WS_C_REFUSED_CAP), 0);
    rig_fini(&r);
}

static uint64_t env(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);
    return s && *s ? strtoull(s, NULL, 0) : otherwise;
}

static uint64_t round_seed;
static bool round_done;

static void random_sequences(void **state)
{
    uint64_t seed = env("WS_TEST_SEED", 20240229), rounds = env("WS_TEST_ROUNDS", 150);
    (void)state;
    for (uint64_t i = 0; i < rounds; i++) {
        round_seed = rng_state = seed + i;
        one_round();
    }
    round_done = true;
}

static int say_seed(void **state)
{
    (void)state;
    if (!round_done)
        fprintf(stderr, "failed: WS_TEST_SEED=%llu WS_TEST_ROUNDS=1\n",
                (unsigned long long)round_seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(random_sequences, say_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
