/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole way of packets against the model: captures of many generated connections and datagrams,
 * some in IP fragments, through the stages of one worker, and through the program ($WIRESPOOL) on
 * one and four workers.
 *
 * WS_MODEL_SEED and WS_MODEL_ROUNDS choose the captures; capture i has the seed SEED + i. */
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/flow_stage.h"
#include "engine/ledger.h"
#include "engine/receive.h"
#include "source/file.h"
#include "tcp_gen.h"
#include "unit/packet/build.h"

enum {
    ROUNDS = 400,
    SEED = 1,
    FLOWS_SMALL = 12,
    FLOWS_LARGE = 300,
    PROGRAM_EVERY = 100,
    DATAGRAMS = 12
};

/* Flow i is client 10.0.0.(i % 200):(20000 + i) to server 10.1.0.1:80, TCP, or UDP for every eighth
 * one. */
struct flow {
    bool udp;
    struct model_input in; /* UDP: datagrams, by their order alone */
};

struct capture {
    enum ws_overlap policy;
    unsigned n;
    struct flow *flow;
    uint8_t *file;
    size_t len, room;
    unsigned packets;
};

static void fail(const char *fmt, ...) WS_PRINTF(1, 2);
static char why[400];

static void fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!why[0])
        vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
}

/* --- making captures --- */

static void file_put(struct capture *c, const void *p, size_t n)
{
    if (c->len + n > c->room) {
        c->room = 2 * (c->len + n);
        c->file = realloc(c->file, c->room);
        if (!c->file)
            abort();
    }
    memcpy(c->file + c->len, p, n);
    c->len += n;
}

static void file_le32(struct capture *c, uint32_t v)
{
    uint8_t b[4];
    ws_store_le32(b, v);
    file_put(c, b, 4);
}

static void put_frame(struct capture *c, struct build *b)
{
    build_ether(b, 0x0800);
    if (b->len < 60)
        build_fill(b, 'p', 60 - b->len); /* padding is no data */
    file_le32(c, 1000);
    file_le32(c, 1000 * ++c->packets);
    file_le32(c, (uint32_t)b->len);
    file_le32(c, (uint32_t)b->len);
    file_put(c, b->at, b->len);
}

static void address(unsigned flow, bool server, uint8_t a[4])
{
    a[0] = 10;
    a[1] = server;
    a[2] = 0;
    a[3] = server ? 1 : (uint8_t)(1 + flow % 200);
}

/* Puts a transport segment into the capture, whole or in fragments. */
static void put_segment(struct capture *c, struct rng *r, unsigned flow,
                        const struct model_segment *s, bool udp)
{
    static struct build whole, part;
    uint8_t src[4], dst[4];
    uint16_t client = (uint16_t)(20000 + flow),
             port[2] = {s->dir ? 80 : client, s->dir ? client : 80};
    uint8_t proto = udp ? 17 : 6;
    address(flow, s->dir, src);
    address(flow, !s->dir, dst);
    build_start(&whole);
    build_data(&whole, s->bytes, s->len);
    if (udp)
        build_udp(&whole, port[0], port[1]);
    else
        build_tcp(&whole, port[0], port[1], s->seq, s->ack, s->flags);
    uint32_t cut =
        whole.len > 48 && one_in(r, 6) ? 24 + 8 * rnd(r, (uint32_t)(whole.len - 32) / 8) : 0;
    uint16_t id = (uint16_t)(1 + c->packets); /* of one datagram at a time */
    if (!cut) {
        build_ip4_full(&whole, src, dst, proto, id, 0, NULL, 0);
        put_frame(c, &whole);
        return;
    }
    build_l4_sum(&whole, src, dst, 4, proto);
    bool reversed = one_in(r, 2);
    for (unsigned i = 0; i < 2; i++) {
        bool last = (i == 1) != reversed;
        uint32_t from = last ? cut : 0, to = last ? (uint32_t)whole.len : cut;
        build_start(&part);
        build_data(&part, whole.at + from, to - from);
        build_ip4_full(&part, src, dst, proto, id, (uint16_t)(from / 8 | (last ? 0 : 0x2000u)),
                       NULL, 0);
        put_frame(c, &part);
    }
}

static void make_flow(struct rng *r, struct capture *c, unsigned i)
{
    static const struct tcp_gen_options options = {.no_cuts = true, .no_times = true};
    static struct model_result result;
    struct flow *f = &c->flow[i];
    f->udp = i % 8 == 7;
    if (!f->udp) {
        do {
            tcp_generate(r, &options, &f->in);
            f->in.policy = c->policy;
            f->in.midstream_bytes = 65536;
            f->in.midstream_ns = INT64_C(1000000000);
            for (unsigned k = 0; k < f->in.n; k++)
                f->in.segment[k].ts_ns =
                    0; /* waits end by ACKs alone: a capture lasts less than a second */
        } while (!model_run(&f->in, &result));
        return;
    }
    f->in.n = 1 + rnd(r, DATAGRAMS);
    for (unsigned k = 0; k < f->in.n; k++) {
        struct model_segment *s = &f->in.segment[k];
        *s = (struct model_segment){.dir = (uint8_t)rnd(r, 2), .len = (uint16_t)rnd(r, 100)};
        for (unsigned p = 0; p < s->len; p++)
            s->bytes[p] = (uint8_t)('a' + (k + p) % 26);
    }
}

static void make_capture(struct rng *r, struct capture *c, unsigned flows)
{
    unsigned next[FLOWS_LARGE] = {0}, left = flows;
    static const uint8_t head[24] = {0x4d, 0x3c,        0xb2, 0xa1, 2, 0, 4,
                                     0,    [16] = 0xff, 0xff, 0,    0, 1};
    c->policy = (enum ws_overlap)rnd(r, WS_OVERLAP_OLD_LINUX + 1);
    c->n = flows;
    c->len = 0;
    c->packets = 0;
    file_put(c, head, sizeof(head));
    for (unsigned i = 0; i < flows; i++)
        make_flow(r, c, i);
    for (unsigned i = 0; i < flows; i++)
        left -= c->flow[i].in.n == 0;
    while (left) {
        unsigned i = rnd(r, flows), burst = 1 + rnd(r, 3);
        struct model_input *in = &c->flow[i].in;
        for (; burst && next[i] < in->n; burst--) {
            put_segment(c, r, i, &in->segment[next[i]++], c->flow[i].udp);
            left -= next[i] == in->n;
        }
    }
}

/* What the model says of flow i: connections of both directions' bytes. */
static const struct model_result *expected(const struct capture *c, unsigned i)
{
    static struct model_result r;
    const struct model_input *in = &c->flow[i].in;
    if (!c->flow[i].udp) {
        if (!model_run(in, &r))
            fail("flow %u: %s", i, r.outside);
        return &r;
    }
    r.n = in->n > 0;
    r.conn[0].len[0] = r.conn[0].len[1] = 0;
    for (unsigned k = 0; k < in->n; k++)
        for (unsigned p = 0; p < in->segment[k].len; p++)
            r.conn[0].at[in->segment[k].dir][r.conn[0].len[in->segment[k].dir]++] =
                in->segment[k].bytes[p];
    return &r;
}

/* --- the stages of one worker --- */

struct spy {
    struct ws_sink sink;
    unsigned conns[FLOWS_LARGE]; /* of each flow so far */
    struct model_conn *seen[FLOWS_LARGE][MODEL_CONNS_MAX];
};

static unsigned number(const struct ws_flow *f)
{
    return (unsigned)f->key.port[0] - 20000u;
}

static struct model_conn *seen(struct ws_sink *s, struct ws_flow *f)
{
    uint64_t *conn = ws_flow_ext(f, s->flow_off);
    return ((struct spy *)(void *)s)->seen[number(f)][*conn];
}

static void spy_open(struct ws_sink *s, struct ws_flow *f)
{
    struct spy *spy = (struct spy *)(void *)s;
    unsigned i = number(f);
    uint64_t *conn = ws_flow_ext(f, s->flow_off);
    if (spy->conns[i] == MODEL_CONNS_MAX) {
        fail("flow %u: too many connections", i);
        spy->conns[i]--;
    }
    *conn = spy->conns[i]++;
    if (!spy->seen[i][*conn])
        spy->seen[i][*conn] = malloc(sizeof(struct model_conn));
    if (!spy->seen[i][*conn])
        abort();
    spy->seen[i][*conn]->len[0] = spy->seen[i][*conn]->len[1] = 0;
}

static void spy_data(struct ws_sink *s, struct ws_flow *f, unsigned dir, uint64_t off,
                     const uint8_t *data, uint32_t len, const struct ws_tcp_meta *meta)
{
    struct model_conn *c = seen(s, f);
    (void)meta;
    if (off != c->len[dir] || off + len > MODEL_SPACE) {
        fail("flow %u: data out of order", number(f));
        return;
    }
    for (uint32_t i = 0; i < len; i++)
        c->at[dir][c->len[dir]++] = data[i];
}

static void spy_gap(struct ws_sink *s, struct ws_flow *f, unsigned dir, uint64_t off, uint64_t len,
                    enum ws_gap_cause cause)
{
    struct model_conn *c = seen(s, f);
    if (off != c->len[dir] || off + len > MODEL_SPACE) {
        fail("flow %u: gap out of order", number(f));
        return;
    }
    for (uint64_t i = 0; i < len; i++)
        c->at[dir][c->len[dir]++] =
            cause == WS_GAP_NEVER_SEEN ? MODEL_GAP_NEVER_SEEN : MODEL_GAP_OTHER;
}

static void spy_close(struct ws_sink *s, struct ws_flow *f, const struct ws_tcp_conn *c,
                      enum ws_flow_cause cause)
{
    (void)s;
    (void)c;
    if (cause != WS_FLOW_END_OF_INPUT && cause != WS_FLOW_REUSED)
        fail("flow %u: ended by cause %d", number(f), (int)cause);
}

static void *zeroed(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

static void run_stages(const struct capture *c, const char *path, struct spy *spy)
{
    static const struct ws_sink_ops ops = {
        .flow_open = spy_open, .data = spy_data, .gap = spy_gap, .flow_close = spy_close};
    static struct ws_counters counters;
    struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS];
    struct ws_select select;
    struct ws_flow_ids ids = {.ordinal = NULL};
    struct ws_source *source;
    const _Atomic int stop = 0;
    char err[256];
    struct ws_file_config file = {.path = &path, .n_path = 1, .chunk_bytes = 65536};

    memset(&counters, 0, sizeof(counters));
    memset(spy->conns, 0, sizeof(spy->conns));
    ws_select_init(&select);
    spy->sink = (struct ws_sink){.ops = &ops,
                                 .needs = WS_SINK_OPEN | WS_SINK_DATA | WS_SINK_CLOSE,
                                 .flow_bytes = 8,
                                 .counters = &counters};
    if (ws_file_open(&source, &file, err, sizeof(err)) != 0) {
        fail("%s", err);
        return;
    }
    struct ws_sink *sink = &spy->sink;
    struct ws_flow_stage_config fc = {.sink = &sink,
                                      .n_sink = 1,
                                      .select = &select,
                                      .ids = &ids,
                                      .counters = &counters,
                                      .udp = true,
                                      .tcp = ws_tcp_defaults,
                                      .flow = {.flows_max = 1000, .seed = c->packets}};
    fc.tcp.overlap = c->policy;
    fc.tcp.seed = c->packets;
    size_t bytes = ws_flow_stage_bytes(&fc), receive_bytes;
    void *mem = zeroed(bytes), *receive_mem;
    struct ws_flow_stage *fs = ws_flow_stage_init(mem, &fc);
    struct ws_receive_config rc = {.source = {source},
                                   .n_source = 1,
                                   .decode = ws_decode_defaults,
                                   .frag = ws_frag_defaults,
                                   .select = &select,
                                   .local = fs,
                                   .workers = 1,
                                   .counters = &counters,
                                   .stop = &stop};
    receive_bytes = ws_receive_bytes(&rc);
    receive_mem = zeroed(receive_bytes);
    struct ws_receive *r = ws_receive_init(receive_mem, &rc);
    while (!ws_receive_done(r))
        ws_receive_poll(r);
    ws_flow_stage_finish(fs);
    ws_receive_fini(r);
    source->ops->close(source);
    munmap(mem, bytes);
    munmap(receive_mem, receive_bytes);
    if (ws_ledger_check(&counters, eq))
        fail("the ledger does not balance");
    if (ws_count_get(&counters, WS_C_RX_PACKETS) != c->packets ||
        ws_count_get(&counters, WS_C_FLOW_PACKETS) != c->packets)
        fail("%u packets, %llu counted in flows", c->packets,
             (unsigned long long)ws_count_get(&counters, WS_C_FLOW_PACKETS));
}

static void compare_stages(const struct capture *c, const struct spy *spy)
{
    for (unsigned i = 0; i < c->n && !why[0]; i++) {
        const struct model_result *m = expected(c, i);
        unsigned conns = c->flow[i].in.n ? m->n : 0;
        if (conns != spy->conns[i])
            fail("flow %u: %u connections, the model says %u", i, spy->conns[i], conns);
        for (unsigned k = 0; k < conns && !why[0]; k++)
            for (unsigned d = 0; d < 2; d++) {
                const struct model_conn *a = &m->conn[k], *b = spy->seen[i][k];
                if (a->len[d] != b->len[d] ||
                    memcmp(a->at[d], b->at[d], a->len[d] * sizeof(a->at[d][0])) != 0)
                    fail("flow %u connection %u direction %u differs (%u bytes, the model has %u)",
                         i, k, d, b->len[d], a->len[d]);
            }
    }
}

/* --- the program --- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void compare_file(const struct capture *c, const char *dir, unsigned flow, unsigned d,
                         unsigned count, const struct model_conn *conn, unsigned conn_number)
{
    static uint8_t bytes[MODEL_SPACE + 1];
    char path[600], suffix[16] = "";
    uint8_t a[4], b[4];
    unsigned client = 20000 + flow;
    address(flow, d, a);
    address(flow, !d, b);
    if (count)
        snprintf(suffix, sizeof(suffix), "c%u", count);
    snprintf(path, sizeof(path), "%s/%03u.%03u.%03u.%03u.%05u-%03u.%03u.%03u.%03u.%05u%s", dir,
             a[0], a[1], a[2], a[3], d ? 80 : client, b[0], b[1], b[2], b[3], d ? client : 80,
             suffix);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail("flow %u connection %u direction %u: no file %s", flow, conn_number, d, path);
        return;
    }
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    bool same = n == conn->len[d];
    for (unsigned i = 0; same && i < n; i++)
        same = bytes[i] == (conn->at[d][i] < 0 ? 0 : (uint8_t)conn->at[d][i]);
    if (!same)
        fail("%s: %zu bytes; the model has %u for flow %u connection %u direction %u (policy %d)",
             path, n, conn->len[d], flow, conn_number, d, (int)c->policy);
}

/* A stream of which no byte came is no file. */
static bool is_file(const struct model_conn *c, unsigned d)
{
    for (unsigned i = 0; i < c->len[d]; i++)
        if (c->at[d][i] >= 0)
            return true;
    return false;
}

static void run_program(const struct capture *c, const char *path, const char *program,
                        const char *workers)
{
    static const char *const policies[] = {"first",   "last",    "bsd",      "linux",
                                           "windows", "solaris", "old-linux"};
    char dir[256], out[300];
    int status;
    snprintf(dir, sizeof(dir), "%s.out", path);
    pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, "streams", "-q", "--udp", "--workers", workers, "--overlap",
              policies[c->policy], path, "-o", dir, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0) {
        fail("%s on %s workers failed", program, workers);
        return;
    }
    unsigned files = 0, found = 0;
    for (unsigned i = 0; i < c->n && !why[0]; i++) {
        const struct model_result *m = expected(c, i);
        for (unsigned d = 0; d < 2; d++)
            for (unsigned k = 0, count = 0; k < m->n && c->flow[i].in.n; k++)
                if (is_file(&m->conn[k], d)) {
                    compare_file(c, dir, i, d, count++, &m->conn[k], k);
                    files++;
                }
    }
    snprintf(out, sizeof(out), "ls %s | wc -l", dir);
    FILE *f = popen(out, "r");
    if (!f || fscanf(f, "%u", &found) != 1 || found != files)
        fail("%u files, the model has %u streams", found, files);
    if (f)
        pclose(f);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    static struct spy spy;
    static struct flow flows[FLOWS_LARGE];
    struct capture c = {.flow = flows};
    const char *program = getenv("WIRESPOOL");
    uint64_t seed = rng_env("WS_MODEL_SEED", SEED), rounds = rng_env("WS_MODEL_ROUNDS", ROUNDS);
    unsigned long long packets = 0, by_program = 0;
    char path[128];

    snprintf(path, sizeof(path), "%s/ws-model-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    for (uint64_t i = 0; i < rounds && !why[0]; i++) {
        struct rng r = {seed + i};
        bool large = program && (seed + i) % PROGRAM_EVERY == 0;
        make_capture(&r, &c, large ? FLOWS_LARGE : 1 + rnd(&r, FLOWS_SMALL));
        packets += c.packets;
        if (ftruncate(fd, 0) || pwrite(fd, c.file, c.len, 0) != (ssize_t)c.len)
            return 1;
        run_stages(&c, path, &spy);
        if (!why[0])
            compare_stages(&c, &spy);
        if (large && !why[0]) {
            run_program(&c, path, program, "1");
            if (!why[0])
                run_program(&c, path, program, "4");
            by_program += c.packets;
        }
        if (why[0])
            printf("WS_MODEL_SEED=%llu WS_MODEL_ROUNDS=1 differs: %s\n",
                   (unsigned long long)(seed + i), why);
    }
    close(fd);
    free(c.file);
    for (unsigned i = 0; i < FLOWS_LARGE; i++)
        for (unsigned k = 0; k < MODEL_CONNS_MAX; k++)
            free(spy.seen[i][k]);
    if (why[0]) {
        printf("the capture is %s\n", path);
        return 1;
    }
    unlink(path);
    printf("%llu captures from seed %llu agree: %llu packets, %llu of them through the program "
           "too%s\n",
           (unsigned long long)rounds, (unsigned long long)seed, packets, by_program,
           program ? "" : " (WIRESPOOL is not set)");
    return 0;
}
