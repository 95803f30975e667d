/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet path: receive, decode, flow lookup and state update in one worker, without files; cycles by stage.
 *
 * usage: ws-bench-engine [options] [PACKETS [FLOWS [FRAME-BYTES [RUNS]]]]; --help names the options. A line a run, then
 * the medians. Frames are TCP over IPv4 with tuples, sequence numbers and checksums of their own (frames.h), so each
 * packet misses the caches as real traffic of that many flows does. They come from a source inside the worker, whose time
 * counts, or through DPDK's net_ring, filled by the worker itself or by another lcore (ring_source.h). What is measured
 * begins when all connections are open and both sides have sent (--warm), so that memory is warm and the work is that of open
 * connections for any number of them, and ends with the last packet.
 *
 * ws-bench-stages is the same program with marks between the stages (engine/stage.h).
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/flow_stage.h"
#include "engine/ledger.h"
#include "engine/stage.h"
#include "frames.h"
#include "ring_source.h"

/* An odd number of lines, so that the frames of a burst lie in different sets of the cache. */
enum { SLOT = 1600, RUNS_MAX = 101 };

#ifdef WS_STAGES
struct ws_stage_clock ws_stage_clock;
#endif

struct options {
    struct ws_bench_frames frames;
    uint64_t packets, runs;
    uint32_t table, timeout_ms, warm;
    bool reassemble, sums, json, hugepages, receive_only;
    enum ws_bench_ring ring;
};

struct result {
    double wall_s, cpu_s;
    uint64_t flows_created, flows_idle;
    double cycles[WS_STAGES_COUNT], longest_us[WS_STAGES_COUNT];
    bool good;
};

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- the source ---------------------------------------------------------------------------------- */

/* Counts what passes, and the time of it; the packets are its own or those of a ring. */
struct feed {
    struct ws_source base;
    struct ws_bench_frames frames;
    struct ws_source_iface iface;
    const struct options *o;
    struct ws_bench_ring_source *ring; /* NULL: own packets */
    uint64_t n, warm, all;
    int64_t now_ns;
    struct result *result;
    double tsc_hz;
    uint8_t *buf;
};

static void warmed_up(struct feed *g)
{
    g->result->wall_s = -seconds(CLOCK_MONOTONIC);
    g->result->cpu_s = -seconds(CLOCK_THREAD_CPUTIME_ID);
#ifdef WS_STAGES
    memset(&ws_stage_clock, 0, sizeof(ws_stage_clock));
    ws_stage_clock.last = __rdtsc();
    g->tsc_hz = -(double)ws_stage_clock.last;
#endif
}

static void ended(struct feed *g)
{
    struct result *r = g->result;
    r->wall_s += seconds(CLOCK_MONOTONIC);
    r->cpu_s += seconds(CLOCK_THREAD_CPUTIME_ID);
#ifdef WS_STAGES
    g->tsc_hz = (g->tsc_hz + (double)__rdtsc()) / r->wall_s;
    for (unsigned s = 0; s < WS_STAGES_COUNT; s++) {
        r->cycles[s] = (double)ws_stage_clock.cycles[s] / (double)(g->all - g->warm);
        r->longest_us[s] = (double)ws_stage_clock.longest[s] / g->tsc_hz * 1e6;
    }
#endif
}

static int make_burst(struct feed *g, struct ws_packet *pkt, unsigned n)
{
    const uint32_t len = g->o->frames.frame_len;
    for (unsigned i = 0; i < n; i++) {
        uint8_t *p = g->buf + (size_t)i * SLOT;
        ws_bench_frames_next(&g->frames, p);
        g->now_ns += 67; /* 14.88 Mpps */
        pkt[i].data = p;
        pkt[i].ts_ns = g->now_ns;
        pkt[i].cap_len = pkt[i].wire_len = len;
        pkt[i].flags = 0;
        pkt[i].link_type = 1;
        pkt[i].iface = 0;
        pkt[i].device = 0;
    }
    return (int)n;
}

static int feed_rx(struct ws_source *s, struct ws_packet *pkt, unsigned max)
{
    struct feed *g = (struct feed *)s;
    uint64_t end = g->n < g->warm ? g->warm : g->all;
    if (g->n == g->all) {
        ended(g);
        return WS_SOURCE_END;
    }
    if (g->n == g->warm)
        warmed_up(g);
    unsigned n = end - g->n < max ? (unsigned)(end - g->n) : max;
#if WS_BENCH_HAVE_RING
    int got = g->ring ? ws_bench_ring_rx(g->ring, pkt, n) : make_burst(g, pkt, n);
#else
    int got = make_burst(g, pkt, n);
#endif
    g->n += (uint64_t)got;
    return got;
}

static const struct ws_source_iface *feed_ifaces(struct ws_source *s, unsigned *n)
{
    *n = 1;
    return &((struct feed *)s)->iface;
}

static void feed_close(struct ws_source *s)
{
    struct feed *g = (struct feed *)s;
    free(g->buf);
    free(g);
}

static const struct ws_source_ops feed_ops = {.rx = feed_rx, .ifaces = feed_ifaces, .close = feed_close};

static struct feed *feed_open(const struct options *o, struct result *r)
{
    struct feed *g = calloc(1, sizeof(*g));
    if (!g || !(g->buf = aligned_alloc(64, (size_t)WS_BURST_MAX * SLOT)))
        abort();
    g->base = (struct ws_source){.ops = &feed_ops, .can_wait = true};
    g->iface.link_type = 1;
    g->o = o;
    g->frames = o->frames;
    g->warm = o->warm * (uint64_t)o->frames.flows;
    g->all = g->warm + o->packets;
    g->result = r;
    g->now_ns = INT64_C(1700000000000000000);
    for (unsigned i = 0; i < WS_BURST_MAX; i++)
        ws_bench_frames_prepare(&o->frames, g->buf + (size_t)i * SLOT);
    return g;
}

/* --- a sink that wants ordered bytes ------------------------------------------------------------- */

static void sum_data(struct ws_sink *s, struct ws_flow *flow, unsigned dir, uint64_t off, const uint8_t *data,
                     uint32_t len, const struct ws_tcp_meta *meta)
{
    (void)flow, (void)dir, (void)off, (void)meta;
    volatile uint8_t look = data[len - 1];
    (void)look;
    ws_count(s->counters, WS_C_OUT_STREAM_BYTES, len);
}

static void sum_destroy(struct ws_sink *s)
{
    free(s);
}

static const struct ws_sink_ops sum_ops = {.data = sum_data, .destroy = sum_destroy};

static int make_sinks(void *user, unsigned worker, struct ws_sink **out)
{
    const struct options *o = user;
    (void)worker;
    if (!o->reassemble)
        return 0;
    if (!(out[0] = calloc(1, sizeof(*out[0]))))
        abort();
    *out[0] = (struct ws_sink){.ops = &sum_ops, .needs = WS_SINK_DATA};
    return 1;
}

/* --- a run --------------------------------------------------------------------------------------- */

static struct ws_engine_config engine_config(const struct options *o, struct ws_runtime *rt)
{
    const int64_t s = INT64_C(1000000000), t = o->timeout_ms ? o->timeout_ms * (s / 1000) : 3600 * s;
    struct ws_engine_config cfg = {
        .runtime = rt,
        .workers = 1,
        .n_source = 1,
        .make_sinks = make_sinks,
        .user = (void *)(uintptr_t)o,
        .decode = ws_decode_defaults,
        .frag = {.datagrams_max = 64, .bytes_max = 1 << 20, .timeout_ns = 60 * s, .seed = 1},
        .flow = {.flows_max = o->table, .seed = 1, .timeout_ns = {t, t, t, t}},
        .tcp = ws_tcp_defaults,
        .live = o->ring != WS_BENCH_RING_NONE,
    };
    cfg.decode.verify_l4 = o->sums;
    ws_select_init(&cfg.select);
    return cfg;
}

/* Memory by flow, all in: buckets, flow, connection, pool of connections that do not fit, areas of sinks. */
static double bytes_per_flow(const struct options *o)
{
    struct ws_sink *sink[WS_SINKS_MAX];
    struct ws_flow_ids ids = {0};
    struct ws_engine_config e = engine_config(o, NULL);
    int n = make_sinks((void *)(uintptr_t)o, 0, sink);
    struct ws_flow_stage_config cfg = {
        .sink = sink, .n_sink = (unsigned)n, .flow = e.flow, .tcp = e.tcp, .select = &e.select, .ids = &ids};
    ws_flow_stage_bytes(&cfg);
    double bytes = (double)ws_flow_stage_flow_bytes(&cfg) / o->table;
    for (int i = 0; i < n; i++)
        sink[i]->ops->destroy(sink[i]);
    return bytes;
}

/* The source alone, on the worker's thread: no engine can be faster. */
static int receive_main(void *arg)
{
    static struct ws_packet pkt[WS_BURST_MAX];
    while (ws_source_rx(arg, pkt, WS_BURST_MAX) != WS_SOURCE_END) {
    }
    return 0;
}

static int run_source(struct ws_runtime *rt, struct feed *g)
{
    int code = ws_runtime_launch(rt, 0, "receive", receive_main, &g->base);
    if (!code)
        ws_runtime_join(rt, 0);
    g->result->good = !code;
    feed_close(&g->base);
    return code ? 3 : 0;
}

static int run(struct ws_runtime *rt, const struct options *o, struct ws_bench_ring_source *ring, struct result *r)
{
    char err[512];
    struct ws_engine *e;
    struct ws_counters sum = {0};
    struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS];
    struct ws_engine_config cfg = engine_config(o, rt);
    struct feed *g = feed_open(o, r);
    const uint64_t all = g->all;
    g->ring = ring;
    if (o->receive_only)
        return run_source(rt, g);
    cfg.source[0] = (struct ws_engine_source){&g->base, 0, -1};
    if (ws_engine_create(&e, &cfg, err, sizeof(err)) < 0 || ws_engine_start(e, err, sizeof(err)) < 0) {
        fprintf(stderr, "ws-bench-engine: %s\n", err);
        return 3;
    }
    while (!ws_engine_wait(e, 10000000)) {
    }
    ws_engine_join(e);
    ws_engine_counters(e, &sum);
    r->flows_created = ws_count_get(&sum, WS_C_FLOWS_CREATED);
    r->flows_idle = ws_count_get(&sum, WS_C_FLOWS_IDLE);
    r->good = ws_count_get(&sum, WS_C_FLOW_PACKETS) == all && !ws_ledger_check(&sum, eq) &&
              r->flows_created == ws_bench_frames_opened(o->frames, all) &&
              !ws_count_get(&sum, WS_C_TCP_BAD_CHECKSUM) && !ws_count_get(&sum, WS_C_GAPS) &&
              !ws_count_get(&sum, WS_C_FLOWS_EVICTED_SYN) && !ws_count_get(&sum, WS_C_FLOWS_EVICTED) &&
              ws_count_get(&sum, WS_C_OUT_STREAM_BYTES) ==
                  (o->reassemble ? ws_count_get(&sum, WS_C_PAYLOAD_DELIVERED) : 0);
    ws_engine_destroy(e);
    return r->good ? 0 : 1;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_value);
    return n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* The median over results of their double at byte offset off. */
static double median_at(const struct result *r, size_t n, size_t off)
{
    double v[RUNS_MAX];
    for (size_t i = 0; i < n; i++)
        memcpy(&v[i], (const uint8_t *)&r[i] + off, sizeof(v[i]));
    return median(v, n);
}

/* Medians of all runs but the first, which warms the machine's memory up. */
static void report(const struct options *o, const struct result *all, size_t n)
{
    static const char *const ring[] = {"worker", "net_ring, same lcore", "net_ring, other lcore"};
    const struct result *rs = n > 1 ? all + 1 : all;
    const size_t m = n > 1 ? n - 1 : n;
    const double packets = (double)o->packets, bits = (o->frames.frame_len + 4) * 8.0;
    const double mpps = packets / median_at(rs, m, offsetof(struct result, wall_s)) / 1e6;
    const double cpu_mpps = packets / median_at(rs, m, offsetof(struct result, cpu_s)) / 1e6;
    const double new_flows = (double)rs[0].flows_created /
                             (packets + (double)o->warm * o->frames.flows) * cpu_mpps * 1e6;
    if (o->json) {
        printf("{\"bench\":\"engine\",\"source\":\"%s\",\"frame_bytes\":%u,\"flows\":%u,\"packets\":%" PRIu64
               ",\"runs\":%zu,\"mpps\":%.3f,\"cpu_mpps\":%.3f,\"gbit_s\":%.3f,\"cpu_gbit_s\":%.3f,"
               "\"bytes_per_flow\":%.1f,\"new_flows_per_s\":%.0f",
               ring[o->ring], o->frames.frame_len, o->frames.flows, o->packets, m, mpps, cpu_mpps,
               mpps * bits / 1e3, cpu_mpps * bits / 1e3, bytes_per_flow(o), o->frames.life ? new_flows : 0.0);
    } else {
        printf("median: %.2f Mpps %.2f Gbit/s, of processor time %.2f Mpps %.2f Gbit/s; %.1f bytes a flow", mpps,
               mpps * bits / 1e3, cpu_mpps, cpu_mpps * bits / 1e3, bytes_per_flow(o));
        if (o->frames.life)
            printf("; %.2f M new flows a second", new_flows / 1e6);
        printf("\n");
    }
#ifdef WS_STAGES
    static const char *const name[WS_STAGES_COUNT] = {"source", "number", "decode", "hash", "lookup", "state", "expire", "rest"};
    double total = 0;
    for (unsigned s = 0; s < WS_STAGES_COUNT; s++)
        total += median_at(rs, m, offsetof(struct result, cycles[s]));
    if (o->json)
        printf(",\"cycles\":{");
    for (unsigned s = 0; s < WS_STAGES_COUNT; s++) {
        const double c = median_at(rs, m, offsetof(struct result, cycles[s]));
        if (o->json)
            printf("%s\"%s\":%.1f", s ? "," : "", name[s], c);
        else
            printf("  %-8s %6.1f cycles a packet, %4.1f %%\n", name[s], c, 100 * c / total);
    }
    const double expire = median_at(rs, m, offsetof(struct result, longest_us[WS_STAGE_EXPIRE]));
    const double noise = median_at(rs, m, offsetof(struct result, longest_us[WS_STAGE_HASH]));
    if (o->json)
        printf("},\"expire_longest_us\":%.1f,\"hash_longest_us\":%.1f", expire, noise);
    else
        printf("  all      %6.1f cycles a packet; longest step of expiry %.1f us (of hashing, which only the machine "
               "delays, %.1f)\n",
               total, expire, noise);
#endif
    if (o->json)
        printf("}\n");
}

static int usage(int code)
{
    fputs("usage: ws-bench-engine [options] [PACKETS [FLOWS [FRAME-BYTES [RUNS]]]]\n"
          "PACKETS (20000000) a run; FLOWS (1048576) at a time, at most 16777216; FRAME-BYTES 60 (60) to\n"
          "1514, without the check sequence; RUNS (6), of which the first warms up.\n"
          "  --one-way        only clients send\n"
          "  --life N         a connection has N packets (a power of two), then a new one takes its place\n"
          "  --timeout-ms N   idle timeout of flows (an hour)\n"
          "  --warm N         rounds through all flows before the measure begins (5)\n"
          "  --table N        capacity of the flow table (FLOWS and a quarter)\n"
          "  --reassemble     deliver ordered bytes to a sink\n"
          "  --sums           verify TCP checksums, as --stats and --verify-checksums do\n"
          "  --ring WHO       packets come through net_ring, filled by WHO: same (lcore), other\n"
          "  --receive-only   the source alone, without the engine: its bound\n"
          "  --hugepages      ask for hugepages\n"
          "  --json           the result as an object\n",
          code ? stderr : stdout);
    return code;
}

static int parse(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {
        {"one-way", no_argument, NULL, '1'},          {"life", required_argument, NULL, 'l'},
        {"timeout-ms", required_argument, NULL, 't'}, {"warm", required_argument, NULL, 'w'},
        {"table", required_argument, NULL, 'T'},
        {"reassemble", no_argument, NULL, 'r'},       {"sums", no_argument, NULL, 's'},
        {"ring", required_argument, NULL, 'R'},       {"json", no_argument, NULL, 'j'},
        {"receive-only", no_argument, NULL, 'o'},
        {"hugepages", no_argument, NULL, 'H'},        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    *o = (struct options){
        .frames = {.flows = 1 << 20, .frame_len = WS_BENCH_FRAME_MIN}, .packets = 20000000, .runs = 6, .warm = 5};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) >= 0;) {
        switch (c) {
        case '1': o->frames.one_way = true; break;
        case 'l': o->frames.life = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 't': o->timeout_ms = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'w': o->warm = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'T': o->table = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'r': o->reassemble = true; break;
        case 's': o->sums = true; break;
        case 'R': o->ring = strcmp(optarg, "same") == 0 ? WS_BENCH_RING_SAME : WS_BENCH_RING_OTHER; break;
        case 'j': o->json = true; break;
        case 'o': o->receive_only = true; break;
        case 'H': o->hugepages = true; break;
        case 'h': return usage(0);
        default: return usage(2);
        }
    }
    uint64_t *const number[] = {&o->packets, &(uint64_t){0}, &(uint64_t){0}, &o->runs};
    *number[1] = o->frames.flows;
    *number[2] = o->frames.frame_len;
    for (int i = 0; i < 4 && optind < argc; i++)
        *number[i] = strtoull(argv[optind++], NULL, 10);
    const uint64_t flows = *number[1], len = *number[2], life = o->frames.life;
    if (optind < argc || flows < 2 || flows > 1 << 24 || len < WS_BENCH_FRAME_MIN ||
        len > WS_BENCH_FRAME_MAX || !o->runs || o->runs > RUNS_MAX || !o->packets || life & (life - 1) || life == 1)
        return usage(2);
    o->frames.flows = (uint32_t)flows;
    o->frames.frame_len = (uint32_t)len;
    if (!o->table)
        o->table = o->frames.flows + o->frames.flows / 4;
    ws_bench_frames_init(&o->frames);
    return -1;
}

static int fail(const char *what)
{
    fprintf(stderr, "ws-bench-engine: %s\n", what);
    return 3;
}

static int run_plain(const struct options *o, struct result *r)
{
    char err[512];
    struct ws_runtime *rt;
    const struct ws_runtime_config rc = {.threads = 1, .hugepages = o->hugepages};
    if (ws_runtime_start(&rt, &rc, err, sizeof(err)) < 0)
        return fail(err);
    int code = run(rt, o, NULL, r);
    ws_runtime_stop(rt);
    return code;
}

#if WS_BENCH_HAVE_RING
static int run_ring(const struct options *o, struct result *r)
{
    char err[512];
    struct ws_runtime *rt;
    const struct ws_runtime_config rc = {
        .eal = true,
        .threads = 2,
        .eal_memory_bytes = (size_t)(bytes_per_flow(o) * o->table) + ((size_t)768 << 20),
    };
    if (ws_runtime_start(&rt, &rc, err, sizeof(err)) < 0)
        return fail(err);
    const uint64_t all = o->warm * (uint64_t)o->frames.flows + o->packets;
    struct ws_bench_ring_source *ring = ws_bench_ring_open(rt, &o->frames, all, o->ring, err, sizeof(err));
    if (!ring)
        return fail(err);
    int code = run(rt, o, ring, r);
    ws_bench_ring_close(ring);
    ws_runtime_stop(rt);
    return code;
}

/* EAL starts once in a process: each run has its own, and writes its result to a pipe. */
static int run_ring_apart(const struct options *o, struct result *r)
{
    int fd[2], status = 0;
    fflush(stdout);
    if (pipe(fd) < 0)
        return fail("no pipe");
    pid_t child = fork();
    if (child < 0)
        return fail("cannot fork");
    if (child == 0) {
        int code = run_ring(o, r);
        if (write(fd[1], r, sizeof(*r)) != (ssize_t)sizeof(*r))
            code = 3;
        _exit(code);
    }
    close(fd[1]);
    ssize_t got = read(fd[0], r, sizeof(*r));
    close(fd[0]);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return fail("a run ended early");
    return got == (ssize_t)sizeof(*r) ? WEXITSTATUS(status) : fail("a run said nothing");
}
#else
static int run_ring_apart(const struct options *o, struct result *r)
{
    (void)o, (void)r;
    fputs("ws-bench-engine: skipped: built without net_ring\n", stderr);
    return 77;
}
#endif

int main(int argc, char **argv)
{
    static struct result results[RUNS_MAX];
    struct options o;
    int code = parse(&o, argc, argv);
    size_t n = 0;

    if (code >= 0)
        return code;
    for (code = 0; n < o.runs && !code; n++) {
        struct result *r = &results[n];
        code = o.ring == WS_BENCH_RING_NONE ? run_plain(&o, r) : run_ring_apart(&o, r);
        if (!o.json && code < 3)
            printf("%" PRIu64 " packets %.3f s %.2f Mpps, processor %.3f s %.2f Mpps; %" PRIu64 " flows, %" PRIu64
                   " idle%s\n",
                   o.packets, r->wall_s, (double)o.packets / r->wall_s / 1e6, r->cpu_s,
                   (double)o.packets / r->cpu_s / 1e6, r->flows_created, r->flows_idle, r->good ? "" : " WRONG");
        fflush(stdout);
    }
    if (!code)
        report(&o, results, n);
    return code;
}
