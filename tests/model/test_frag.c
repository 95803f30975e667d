/* SPDX-License-Identifier: BSD-3-Clause */
/* Defragmentation of IPv4 and IPv6 against the reference defragmenter, on generated fragments.
 *
 * WS_MODEL_SEED and WS_MODEL_ROUNDS choose them; round i has the seed SEED + i. What differs is
 * made smaller and printed as lines for a unit test. */
#include <stdio.h>

#include "frag/frag.h"
#include "frag_model.h"
#include "rng.h"
#include "unit/packet/build.h"

enum { ROUNDS = 40000, SEED = 1, FLOWS = 4, PROTO = 253 };

/* --- the generator --- */

static void fill(struct rng *r, struct frag_model_fragment *f, unsigned n, bool letters, bool cuts)
{
    for (unsigned i = 0; i < f->len; i++)
        f->bytes[i] = letters ? (uint8_t)('A' + n) : (uint8_t)('a' + (f->from + i) / 3 % 26);
    if (f->len && !letters && one_in(r, 8))
        f->bytes[rnd(r, f->len)] = '!';
    f->cap_len = f->len;
    if (cuts && f->len && one_in(r, 6))
        f->cap_len = (uint16_t)rnd(r, f->len);
}

/* Datagrams cut in order, with what may go wrong; mixed with each other. */
static void generate(struct rng *r, struct frag_model_input *in)
{
    unsigned datagrams = 1 + rnd(r, 4);
    bool letters = one_in(r, 2), cuts = one_in(r, 6), anywhere = one_in(r, 3);
    int64_t now = 1000, step = one_in(r, 4) ? 40000000 : 1000;
    in->policy = (enum ws_overlap)rnd(r, WS_OVERLAP_OLD_LINUX + 1);
    in->timeout_ns = one_in(r, 3) ? 10 * step : INT64_C(60000000000);
    in->n = 0;
    for (unsigned d = 0; d < datagrams && in->n < FRAG_MODEL_FRAGMENTS; d++) {
        uint8_t flow = (uint8_t)rnd(r, FLOWS);
        uint32_t id = rnd(r, 3), size = 9 + rnd(r, one_in(r, 4) ? 1500 : 120), at = 0;
        unsigned room = 2 + rnd(r, 12);
        while (room-- && in->n < FRAG_MODEL_FRAGMENTS) {
            struct frag_model_fragment *f = &in->fragment[in->n];
            uint32_t len = 8 * (1 + rnd(r, WS_MIN(size / 16 + 1, 40u)));
            if (anywhere)
                at = 8 * rnd(r, size / 8 + 1);
            if (at >= size)
                break;
            if (!room && !one_in(r, 8))
                len = WS_MIN(8u * 40, size - at); /* the rest, if it fits */
            len = WS_MIN(len, size - at);
            *f = (struct frag_model_fragment){.flow = flow,
                                              .id = id,
                                              .from = at,
                                              .len = (uint16_t)len,
                                              .header = flow == 2 ? 0 : 20};
            f->more = at + len < size;
            at += len;
            switch (rnd(r, 40)) {
            case 0: /* missing */
                continue;
            case 1: /* overlaps what was before */
                f->from -= 8 * rnd(r, WS_MIN(f->from / 8 + 1, 4u));
                break;
            case 2: /* teardrop: a last one inside another */
                f->more = false;
                f->from -= f->from ? 8 : 0;
                f->len = (uint16_t)(1 + rnd(r, 8));
                break;
            case 3: /* a last one that is not */
                f->more = !f->more;
                break;
            case 4: /* of no multiple of eight */
                f->len = (uint16_t)(f->len - rnd(r, f->len));
                break;
            case 5: /* ping of death */
                f->from = 65528 - 8 * rnd(r, 40);
                break;
            default:
                break;
            }
            f->more |= f->from == 0; /* else it is no fragment */
            fill(r, f, in->n, letters, cuts);
            in->n++;
            if (in->n < FRAG_MODEL_FRAGMENTS && one_in(r, 7)) {
                in->fragment[in->n] = *f;
                if (one_in(r, 3) && f->len)
                    in->fragment[in->n].bytes[rnd(r, f->len)] = '?';
                in->n++;
            }
        }
    }
    unsigned shuffle = rnd(r, 3), n = in->n;
    for (unsigned i = 0; shuffle && n && i < n; i++) {
        unsigned k = shuffle == 1 ? i + rnd(r, 3) : rnd(r, n);
        k = WS_MIN(k, n - 1);
        struct frag_model_fragment t = in->fragment[i];
        in->fragment[i] = in->fragment[k];
        in->fragment[k] = t;
    }
    if (one_in(r, 8)) /* all in reverse */
        for (unsigned i = 0; i < n / 2; i++) {
            struct frag_model_fragment t = in->fragment[i];
            in->fragment[i] = in->fragment[n - 1 - i];
            in->fragment[n - 1 - i] = t;
        }
    for (unsigned i = 0; i < n; i++) {
        in->fragment[i].ts_ns = now;
        now += one_in(r, 20) ? 5 * step : step;
    }
}

/* --- lib/frag --- */

static struct {
    struct ws_frag *frag;
    void *mem;
    size_t mem_bytes;
    struct ws_counters counters;
    unsigned shown, unknown, known, settled, datagrams;
    uint32_t len, wire_len;
    uint8_t bytes[FRAG_MODEL_TOP + 1];
} e;

static void on_frame(void *user, const struct ws_packet *p)
{
    (void)user;
    if (p->flags & WS_PKT_RELEASED)
        e.settled++;
    else
        e.shown++;
    if (!(p->flags & WS_PKT_FLOW_KNOWN))
        e.unknown++;
}

static void on_datagram(void *user, const struct ws_packet *p, uint8_t proto, const uint8_t *l4,
                        uint32_t len, uint32_t wire_len)
{
    (void)user;
    (void)p;
    (void)proto;
    e.datagrams++;
    e.len = len;
    e.wire_len = wire_len;
    memcpy(e.bytes, l4, WS_MIN(len, sizeof(e.bytes)));
}

static void on_lost(void *user, uint32_t n, enum ws_counter cause)
{
    (void)user;
    (void)cause;
    e.settled += n;
}

static void start(const struct frag_model_input *in)
{
    static const struct ws_frag_ops ops = {
        .frame = on_frame, .datagram = on_datagram, .lost = on_lost};
    struct ws_frag_config cfg = ws_frag_defaults;
    cfg.datagrams_max = 64;
    cfg.bytes_max = 1 << 20;
    cfg.overlap = in->policy;
    cfg.timeout_ns = in->timeout_ns;
    size_t bytes = ws_align_up(ws_frag_bytes(&cfg), 64);
    if (bytes > e.mem_bytes) {
        free(e.mem);
        e.mem = aligned_alloc(64, bytes);
        e.mem_bytes = bytes;
        if (!e.mem)
            abort();
        memset(e.mem, 0, bytes);
    }
    memset(&e.counters, 0, sizeof(e.counters));
    e.shown = e.unknown = e.known = e.settled = e.datagrams = 0;
    e.frag = ws_frag_init(e.mem, &cfg, &e.counters, &ops, NULL);
}

/* A fragment of the flow: two directions of an IPv4 pair, an IPv6 pair, and the first with another
 * protocol. */
static void push(const struct frag_model_fragment *f, unsigned ordinal)
{
    static const uint8_t a4[4] = {10, 0, 0, 1}, b4[4] = {10, 0, 0, 2};
    static const uint8_t a6[16] = {0x20, 1, [15] = 1}, b6[16] = {0x20, 1, [15] = 2};
    static struct build b;
    build_start(&b);
    build_data(&b, f->bytes, f->len);
    if (f->flow == 2) {
        uint8_t *h = build_front(&b, NULL, 8);
        h[0] = PROTO;
        ws_store_be16(h + 2, (uint16_t)(f->from | f->more));
        ws_store_be32(h + 4, f->id);
        build_ip6(&b, a6, b6, 44);
    } else {
        build_ip4_full(&b, f->flow == 1 ? b4 : a4, f->flow == 1 ? a4 : b4,
                       f->flow == 3 ? PROTO + 1 : PROTO, (uint16_t)f->id,
                       (uint16_t)(f->from / 8 | (f->more ? 0x2000u : 0)), NULL, 0);
    }
    uint32_t cap_len = (uint32_t)b.len - (f->len - f->cap_len);
    uint8_t *copy = malloc(cap_len); /* its exact size, and gone after the call */
    if (!copy)
        abort();
    memcpy(copy, b.at, cap_len);
    struct ws_packet p = build_packet(&b, 101);
    p.data = copy;
    p.cap_len = cap_len;
    p.ts_ns = p.clock_ns = f->ts_ns;
    p.ordinal = ordinal;
    if (ws_decode(&p, &ws_decode_defaults) == WS_DECODE_OK && p.flags & WS_PKT_FRAGMENT)
        ws_frag_push(e.frag, &p);
    else
        e.shown++; /* no fragment, or undecodable: not the defragmenter's */
    memset(copy, '#', cap_len);
    free(copy);
}

/* --- comparing --- */

static struct frag_model_result model;
static char why[160];

static bool count_differs(const char *what, enum ws_counter id, unsigned want)
{
    if (ws_count_get(&e.counters, id) == want)
        return false;
    snprintf(why, sizeof(why), "%s: the model says %u, not %u", what, want,
             (unsigned)ws_count_get(&e.counters, id));
    return true;
}

static bool differs(const struct frag_model_input *in)
{
    frag_model_run(in, &model);
    start(in);
    for (unsigned i = 0; i < in->n; i++) {
        const struct frag_model_step *s = &model.step[i];
        e.datagrams = 0;
        push(&in->fragment[i], i);
        if (e.shown != i + 1) {
            snprintf(why, sizeof(why), "fragment %u: shown %u times so far", i, e.shown);
            return true;
        }
        if (e.datagrams != (s->what == FRAG_MODEL_WHOLE)) {
            snprintf(why, sizeof(why), "fragment %u: the model gives %u datagrams, not %u", i,
                     s->what == FRAG_MODEL_WHOLE, e.datagrams);
            return true;
        }
        if (!e.datagrams)
            continue;
        if (e.len != s->len || e.wire_len != s->wire_len) {
            snprintf(why, sizeof(why), "fragment %u: length %u of %u, not %u of %u", i, s->len,
                     s->wire_len, e.len, e.wire_len);
            return true;
        }
        for (uint32_t k = 0; k < e.len; k++)
            if (e.bytes[k] != s->bytes[k]) {
                snprintf(why, sizeof(why), "fragment %u, byte %u: the model says %c, not %c", i, k,
                         s->bytes[k], e.bytes[k]);
                return true;
            }
    }
    ws_frag_flush(e.frag);
    if (e.unknown != e.settled) {
        snprintf(why, sizeof(why), "%u frames without flow, %u released or lost", e.unknown,
                 e.settled);
        return true;
    }
    return count_differs("datagrams", WS_C_FRAG_DATAGRAMS, model.whole) ||
           count_differs("invalid", WS_C_FRAG_INVALID, model.invalid) ||
           count_differs("oversize", WS_C_FRAG_OVERSIZE, model.oversize) ||
           count_differs("timed out", WS_C_FRAG_TIMEOUT, model.timed_out) ||
           count_differs("evicted", WS_C_FRAG_EVICTED, 0);
}

static void shrink(struct frag_model_input *in)
{
    static struct frag_model_input try;
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (unsigned i = in->n; i-- > 0;) {
            try = *in;
            memmove(&try.fragment[i], &try.fragment[i + 1],
                    (try.n - i - 1) * sizeof(try.fragment[0]));
            try.n--;
            if (differs(&try)) {
                *in = try;
                smaller = true;
            }
        }
    }
}

static void print_case(const struct frag_model_input *in)
{
    printf("/* %s */\nstatic void model_found_this(void **state)\n{\n", why);
    printf("    struct ws_frag_config cfg = ws_frag_defaults;\n    (void)state;\n"
           "    cfg.overlap = (enum ws_overlap)%d;\n    cfg.timeout_ns = INT64_C(%lld);\n    "
           "frag_begin(&cfg);\n",
           (int)in->policy, (long long)in->timeout_ns);
    for (unsigned i = 0; i < in->n; i++) {
        const struct frag_model_fragment *f = &in->fragment[i];
        printf("    now_ns = INT64_C(%lld);\n    build_start(&b);\n    build_text(&b, \"%.*s\");\n",
               (long long)f->ts_ns, f->len, (const char *)f->bytes);
        if (f->flow == 2)
            printf("    build_bytes(&b, 253, 0, %u, %u, 0, 0, 0, %u);\n    build_ip6(&b, A6, B6, "
                   "44);\n",
                   f->from >> 8, (f->from & 255) | f->more, f->id);
        else
            printf("    build_ip4_full(&b, %s, %u, %u, 0x%xu, NULL, 0);\n",
                   f->flow == 1 ? "B4, A4" : "A4, B4", f->flow == 3 ? PROTO + 1 : PROTO, f->id,
                   f->from / 8 | (f->more ? 0x2000u : 0));
        printf("    push_link(&b, 101, (uint32_t)b.len - %u);\n", f->len - f->cap_len);
    }
    printf("    frag_end();\n}\n");
}

int main(void)
{
    static struct frag_model_input in;
    uint64_t seed = rng_env("WS_MODEL_SEED", SEED), rounds = rng_env("WS_MODEL_ROUNDS", ROUNDS);
    unsigned long long fragments = 0, whole = 0, invalid = 0, timed_out = 0, copies = 0;

    for (uint64_t i = 0; i < rounds; i++) {
        struct rng rng = {seed + i};
        generate(&rng, &in);
        if (differs(&in)) {
            printf("WS_MODEL_SEED=%llu WS_MODEL_ROUNDS=1 differs, %u fragments: %s\n",
                   (unsigned long long)(seed + i), in.n, why);
            shrink(&in);
            differs(&in);
            print_case(&in);
            return 1;
        }
        fragments += in.n;
        whole += model.whole;
        invalid += model.invalid + model.oversize;
        timed_out += model.timed_out;
        copies += model.copies;
    }
    printf("%llu sequences from seed %llu agree: %llu fragments, %llu datagrams; %llu fragments "
           "invalid, %llu in "
           "vain, %llu copies of finished ones\n",
           (unsigned long long)rounds, (unsigned long long)seed, fragments, whole, invalid,
           timed_out, copies);
    free(e.mem);
    return 0;
}
