/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP reassembly against the reference reassembler, on generated sequences.
 *
 * WS_MODEL_SEED and WS_MODEL_ROUNDS choose them; round i has the seed SEED + i. What differs is
 * made smaller and printed as a case for tests/unit/tcp. */
#include <stdio.h>
#include <string.h>

#include "tcp/brief.h"
#include "tcp_gen.h"

enum { ROUNDS = 60000, SEED = 1, PAST = MODEL_CONNS_MAX };

/* What lib/tcp made of an input. */
struct engine {
    struct ws_tcp *t;
    struct ws_tcp_conn c;
    struct ws_counters counters;
    uint64_t *mem;
    size_t mem_bytes;
    unsigned want;
    struct model_result r;
    uint64_t gap_bytes[PAST][2];
    uint64_t folded; /* times that the connection fitted in brief */
    const char *wrong; /* some rule of the interface was broken */
};

static void broken(struct engine *e, const char *what)
{
    if (!e->wrong)
        e->wrong = what;
}

static struct model_conn *current(struct engine *e)
{
    if (e->r.n == MODEL_CONNS_MAX) {
        broken(e, "too many connections");
        e->r.n--;
    }
    return &e->r.conn[e->r.n];
}

static void on_data(void *flow, unsigned dir, uint64_t off, const uint8_t *data, uint32_t len,
                    const struct ws_tcp_meta *meta, void *user)
{
    struct engine *e = user;
    struct model_conn *c = current(e);
    (void)flow;
    if (!meta || !len || off != c->len[dir] || off + len > MODEL_SPACE) {
        broken(e, "data() out of order");
        return;
    }
    for (uint32_t i = 0; i < len; i++)
        c->at[dir][c->len[dir]++] = data[i];
}

static void on_gap(void *flow, unsigned dir, uint64_t off, uint64_t len, enum ws_gap_cause cause,
                   void *user)
{
    static const int16_t codes[WS_GAP_CAUSES] = {[WS_GAP_NEVER_SEEN] = MODEL_GAP_NEVER_SEEN,
                                                 [WS_GAP_SNAPLEN] = MODEL_GAP_SNAPLEN,
                                                 [WS_GAP_FILTERED] = MODEL_GAP_FILTERED};
    struct engine *e = user;
    struct model_conn *c = current(e);
    (void)flow;
    e->gap_bytes[e->r.n][dir] += len;
    if (!(e->want & WS_TCP_WANT_DATA))
        return;
    if (!len || off != c->len[dir] || off + len > MODEL_SPACE || cause >= WS_GAP_CAUSES) {
        broken(e, "gap() out of order");
        return;
    }
    for (uint64_t i = 0; i < len; i++)
        c->at[dir][c->len[dir]++] = codes[cause] ? codes[cause] : MODEL_GAP_OTHER;
}

static void check_ledger(struct engine *e)
{
    const struct ws_counters *n = &e->counters;
    uint64_t sum = ws_count_get(n, WS_C_PAYLOAD_DELIVERED) +
                   ws_count_get(n, WS_C_PAYLOAD_DUPLICATE) + ws_count_get(n, WS_C_PAYLOAD_OVERLAP) +
                   ws_count_get(n, WS_C_PAYLOAD_HELD);
    for (int i = WS_C_REFUSED_WINDOW; i <= (int)WS_C_REFUSED_NO_SINK; i++)
        sum += ws_count_get(n, (enum ws_counter)i);
    if (sum != ws_count_get(n, WS_C_PAYLOAD_SEEN))
        broken(e, "ledger: payload");
    if (ws_count_get(n, WS_C_PAYLOAD_HELD) != ws_tcp_held_bytes(e->t))
        broken(e, "ledger: held");
    if (ws_count_get(n, WS_C_STREAM_BYTES) !=
        ws_count_get(n, WS_C_PAYLOAD_DELIVERED) + ws_count_get(n, WS_C_GAP_BYTES))
        broken(e, "ledger: streams");
    if (ws_count_get(n, WS_C_GAPS_CAP) || ws_count_get(n, WS_C_REFUSED_CAP))
        broken(e, "a cap was hit");
}

static void end_conn(struct engine *e)
{
    ws_tcp_close(e->t, &e->c, e, WS_GAP_NEVER_SEEN);
    if (ws_tcp_held_nodes(e->t))
        broken(e, "nodes left behind");
    struct model_conn *c = current(e);
    for (unsigned d = 0; d < 2; d++) {
        uint64_t len = ws_tcp_dir_length(&e->c.dir[d]);
        if (!(e->want & WS_TCP_WANT_DATA))
            c->len[d] = (unsigned)len;
        else if (len != c->len[d])
            broken(e, "stream length");
    }
    check_ledger(e);
    e->r.n++;
}

/* What fits in 64 bytes must come out of them as it was, for all that follows. */
static void through_brief(struct engine *e)
{
    struct ws_tcp_brief b = {0};
    struct ws_tcp_gaps gaps = {{0}, {0}};
    uint64_t payload[2] = {e->r.n, UINT64_C(1) << 40}, again[2];
    if (!ws_tcp_fold(&e->c, payload, &b, &gaps))
        return;
    e->folded++;
    memset(&e->c, 0xa5, sizeof(e->c));
    ws_tcp_unfold(&b, &gaps, &e->c, again);
    if (again[0] != payload[0] || again[1] != payload[1])
        broken(e, "payload in brief");
}

static void engine_run(struct engine *e, const struct model_input *in, unsigned want)
{
    static const struct ws_tcp_ops ops = {.data = on_data, .gap = on_gap};
    struct ws_tcp_config cfg = ws_tcp_defaults;
    cfg.overlap = in->policy;
    cfg.nodes_max = 512;
    cfg.bytes_max = 512 << 8;
    cfg.midstream_bytes = in->midstream_bytes;
    cfg.midstream_ns = in->midstream_ns;
    cfg.want = want;
    size_t bytes = ws_align_up(ws_tcp_bytes(&cfg), 64);
    if (e->mem_bytes < bytes) {
        free(e->mem);
        e->mem = aligned_alloc(64, bytes);
        e->mem_bytes = bytes;
    }
    if (!e->mem)
        abort();
    memset(e->mem, 0, bytes);
    memset(&e->c, 0, sizeof(e->c));
    memset(&e->counters, 0, sizeof(e->counters));
    memset(e->gap_bytes, 0, sizeof(e->gap_bytes));
    e->wrong = NULL;
    e->want = want;
    e->r.n = 0;
    for (unsigned i = 0; i < MODEL_CONNS_MAX; i++)
        e->r.conn[i].len[0] = e->r.conn[i].len[1] = 0;
    e->t = ws_tcp_init(e->mem, &cfg, &e->counters, &ops, e);

    for (unsigned i = 0; i < in->n && !e->wrong; i++) {
        const struct model_segment *s = &in->segment[i];
        uint8_t *copy = malloc(s->len ? s->len : 1); /* gone after the call */
        if (!copy)
            abort();
        memcpy(copy, s->bytes, s->len);
        struct ws_tcp_segment seg = {
            .data = copy,
            .len = s->len,
            .wire_len = s->wire_len,
            .no_payload = s->no_payload,
            .frame_bytes = 54u + s->wire_len,
            .meta = {.ts_ns = s->ts_ns,
                     .ordinal = i,
                     .seq = s->seq,
                     .ack = s->ack,
                     .window = 65535,
                     .flags = s->flags},
        };
        enum ws_tcp_verdict v = ws_tcp_push(e->t, &e->c, e, s->dir, &seg);
        if (v != WS_TCP_TAKEN) {
            struct ws_tcp_conn old = e->c;
            end_conn(e);
            memset(&e->c, 0, sizeof(e->c));
            if (v == WS_TCP_NEW_CANDIDATE)
                ws_tcp_adopt(e->t, &e->c, &old);
            if (ws_tcp_push(e->t, &e->c, e, s->dir, &seg) != WS_TCP_TAKEN)
                broken(e, "a new connection within a new connection");
        }
        memset(copy, '#', s->len);
        free(copy);
        through_brief(e);
        e->r.last[i] = e->r.n;
        check_ledger(e);
    }
    end_conn(e);
}

/* --- comparing --- */

struct verdict {
    enum { AGREES, DIFFERS, OUTSIDE } kind;
    char why[160];
};

static bool differs(struct verdict *v, const char *what, unsigned conn, unsigned dir, long want,
                    long got)
{
    v->kind = DIFFERS;
    snprintf(v->why, sizeof(v->why), "connection %u direction %u: %s: the model says %ld, not %ld",
             conn, dir, what, want, got);
    return true;
}

static struct model_result model;
static struct engine engine;

static bool compare_conn(struct verdict *v, unsigned i, bool content)
{
    const struct model_conn *a = &model.conn[i], *b = &engine.r.conn[i];
    for (unsigned d = 0; d < 2; d++) {
        uint64_t gap_bytes = 0;
        for (unsigned p = 0; content && p < a->len[d] && p < b->len[d]; p++)
            if (a->at[d][p] != b->at[d][p]) {
                char what[40];
                snprintf(what, sizeof(what), "offset %u", p);
                return differs(v, what, i, d, a->at[d][p], b->at[d][p]);
            }
        if (a->len[d] != b->len[d])
            return differs(v, "length", i, d, a->len[d], b->len[d]);
        for (unsigned p = 0; p < a->len[d]; p++)
            gap_bytes += a->at[d][p] < 0;
        if (gap_bytes != engine.gap_bytes[i][d])
            return differs(v, "gap bytes", i, d, (long)gap_bytes, (long)engine.gap_bytes[i][d]);
    }
    return false;
}

static struct verdict judge(const struct model_input *in)
{
    struct verdict v = {.kind = AGREES};
    if (!model_run(in, &model)) {
        v.kind = OUTSIDE;
        snprintf(v.why, sizeof(v.why), "%s", model.outside);
        return v;
    }
    for (unsigned want = WS_TCP_WANT_DATA; want <= WS_TCP_WANT_GAPS; want += 3) {
        engine_run(&engine, in, want);
        if (engine.wrong) {
            v.kind = DIFFERS;
            snprintf(v.why, sizeof(v.why), "%s", engine.wrong);
            return v;
        }
        if (model.n != engine.r.n) {
            differs(&v, "connections", 0, 0, model.n, engine.r.n);
            return v;
        }
        for (unsigned i = 0; i < model.n; i++)
            if (compare_conn(&v, i, want == WS_TCP_WANT_DATA))
                return v;
    }
    return v;
}

/* --- shrinking and printing --- */

static bool still_differs(const struct model_input *in)
{
    return judge(in).kind == DIFFERS;
}

static void drop(struct model_input *in, unsigned i)
{
    memmove(&in->segment[i], &in->segment[i + 1], (in->n - i - 1) * sizeof(in->segment[0]));
    in->n--;
}

static void shrink(struct model_input *in)
{
    static struct model_input try;
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (unsigned i = in->n; i-- > 0;) {
            try = *in;
            drop(&try, i);
            if (still_differs(&try)) {
                *in = try;
                smaller = true;
            }
        }
        for (unsigned i = 0; i < in->n; i++) { /* shorter from the end */
            try = *in;
            struct model_segment *s = &try.segment[i];
            if (!s->wire_len)
                continue;
            s->wire_len = (uint16_t)(s->wire_len / 2);
            s->len = WS_MIN(s->len, s->wire_len);
            if (still_differs(&try)) {
                *in = try;
                smaller = true;
            }
        }
    }
}

static void print_stream(const char *who, const struct model_result *r)
{
    printf("   /* %s:", who);
    for (unsigned i = 0; i < r->n; i++)
        for (unsigned d = 0; d < 2; d++) {
            printf(" \"");
            for (unsigned p = 0; p < r->conn[i].len[d] && p < 200; p++)
                putchar(r->conn[i].at[d][p] < 0 ? '.' : r->conn[i].at[d][p]);
            putchar('"');
        }
    printf(" */\n");
}

static void print_case(const struct model_input *in, const struct verdict *v)
{
    static const char letters[] = "FSRPAU";
    printf("/* %s */\nCASE(model_found_this)\n{\n", v->why);
    printf("    r->cfg.overlap = (enum ws_overlap)%d;\n    r->cfg.midstream_bytes = %u;\n"
           "    r->cfg.midstream_ns = INT64_C(%lld);\n    rig_restart(r);\n",
           (int)in->policy, in->midstream_bytes, (long long)in->midstream_ns);
    for (unsigned i = 0; i < in->n; i++) {
        const struct model_segment *s = &in->segment[i];
        char flags[8], text[MODEL_SEGMENT_BYTES + 1];
        unsigned n = 0;
        for (unsigned b = 0; b < 6; b++)
            if (s->flags >> b & 1)
                flags[n++] = letters[b];
        flags[n] = '\0';
        memset(text, '#', sizeof(text));
        memcpy(text, s->bytes, s->len);
        text[s->wire_len] = '\0';
        printf("    r->ts_ns = INT64_C(%lld);\n", (long long)s->ts_ns);
        if (s->len < s->wire_len && !s->no_payload)
            printf("    r->snap = %u;\n", s->len);
        if (s->no_payload)
            printf("    r->no_payload = true;\n");
        printf("    S(r, %u, \"%s\", %uu, %uu, \"%s\");\n", s->dir, flags, s->seq, s->ack, text);
        if (s->no_payload || s->len < s->wire_len)
            printf("    r->snap = 0;\n    r->no_payload = false;\n");
    }
    printf("    rig_close(r);\n");
    print_stream("the model ", &model);
    print_stream("the engine", &engine.r);
    printf("}\n");
}

int main(void)
{
    static struct model_input in;
    static const struct tcp_gen_options options = {.no_cuts = false};
    uint64_t seed = rng_env("WS_MODEL_SEED", SEED), rounds = rng_env("WS_MODEL_ROUNDS", ROUNDS);
    uint64_t left_out = 0, bytes = 0, segments = 0, conns = 0, fins = 0;
    bool verbose = getenv("WS_MODEL_VERBOSE");

    for (uint64_t i = 0, judged = 0; judged < rounds; i++) {
        struct rng rng = {seed + i};
        tcp_generate(&rng, &options, &in);
        struct verdict v = judge(&in);
        if (v.kind == OUTSIDE) {
            if (verbose)
                printf("seed %llu: %s\n", (unsigned long long)(seed + i), v.why);
            left_out++;
            if (left_out > 1000 && left_out > rounds / 4) {
                printf("too many sequences are outside the rules, the last: %s\n", v.why);
                return 1;
            }
            continue;
        }
        judged++;
        if (v.kind == DIFFERS) {
            printf("WS_MODEL_SEED=%llu WS_MODEL_ROUNDS=1 differs, %u segments: %s\n",
                   (unsigned long long)(seed + i), in.n, v.why);
            shrink(&in);
            v = judge(&in);
            print_case(&in, &v);
            return 1;
        }
        segments += in.n;
        fins += ws_count_get(&engine.counters, WS_C_FIN_IGNORED);
        conns += model.n;
        for (unsigned c = 0; c < model.n; c++)
            bytes += model.conn[c].len[0] + model.conn[c].len[1];
    }
    printf("%llu sequences from seed %llu agree: %llu segments, %llu connections, %llu stream "
           "bytes, %llu FINs taken back; %llu more were left out as undecided\n",
           (unsigned long long)rounds, (unsigned long long)seed, (unsigned long long)segments,
           (unsigned long long)conns, (unsigned long long)bytes, (unsigned long long)fins,
           (unsigned long long)left_out);
    printf("%llu times the connection fitted in brief\n", (unsigned long long)engine.folded);
    free(engine.mem);
    if (!engine.folded)
        return 1;
    if (!fins && rounds >= ROUNDS) { /* a generator that never gets there proves nothing of it */
        printf("no FIN was taken back\n");
        return 1;
    }
    return 0;
}
