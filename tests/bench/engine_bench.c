/* SPDX-License-Identifier: BSD-3-Clause */
/* Receive + decode + flow: a source inside the worker makes packets of many flows; no output.
 *
 * usage: ws-bench-engine [PACKETS [FLOWS [FRAME-BYTES [RUNS]]]]. A line a run: packets, seconds, Mpps, Gbit/s,
 * processor seconds.
 * Frames are TCP over IPv4 with valid checksums; flows come in an order that no prefetcher foresees, so each
 * packet misses the caches as real traffic of that many flows does. The first run warms the memory up.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "engine/engine.h"
#include "engine/ledger.h"

enum { ETHER = 14, IP = 20, TCP = 20, FRAME_MAX = 1514, SLOT = 1536 };

struct generator {
    struct ws_source base;
    struct ws_source_iface iface;
    uint64_t left, n, flows;
    uint32_t frame_len, ip_sum, tcp_sum; /* sums of all that does not change */
    uint32_t *turns;                     /* segments that a flow has sent */
    int64_t now_ns;
    uint8_t *buf;
};

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

static uint32_t sum16(const uint8_t *p, uint32_t len)
{
    uint32_t s = 0;
    for (uint32_t i = 0; i + 1 < len; i += 2)
        s += (uint32_t)p[i] << 8 | p[i + 1];
    return len & 1 ? s + ((uint32_t)p[len - 1] << 8) : s;
}

static uint32_t fold(uint64_t s)
{
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return ~(uint32_t)s & 0xffff;
}

static void prepare(struct generator *g)
{
    uint32_t total = g->frame_len - ETHER;
    for (unsigned i = 0; i < WS_BURST_MAX; i++) {
        uint8_t *p = g->buf + (size_t)i * SLOT;
        memset(p, 0x5a, g->frame_len);
        memset(p, 2, 12);
        put16(p + 12, 0x0800);
        uint8_t *ip = p + ETHER, *tcp = ip + IP;
        memset(ip, 0, IP + TCP);
        ip[0] = 0x45;
        put16(ip + 2, total);
        ip[8] = 64;
        ip[9] = 6;
        put32(ip + 16, 0xac100001); /* 172.16.0.1 */
        put16(tcp + 2, 443);
        tcp[12] = 5 << 4;
        tcp[13] = WS_TCP_ACK;
        put16(tcp + 14, 65535);
        g->ip_sum = sum16(ip, IP);
        g->tcp_sum = sum16(ip + 16, 4) + 6 + (total - IP) + sum16(tcp, total - IP);
    }
}

/* The flow's frame into a slot: source address, port and sequence number vary. */
static void make_frame(struct generator *g, uint8_t *p, uint32_t flow)
{
    uint32_t payload = g->frame_len - ETHER - IP - TCP;
    uint32_t src = 0x0a000000 | flow, port = 1024 + flow % 60000;
    uint32_t seq = 1 + g->turns[flow]++ * payload;
    uint8_t *ip = p + ETHER, *tcp = ip + IP;
    put32(ip + 12, src);
    put16(ip + 10, fold((uint64_t)g->ip_sum + (src >> 16) + (src & 0xffff)));
    put16(tcp, port);
    put32(tcp + 4, seq);
    put16(tcp + 16, fold((uint64_t)g->tcp_sum + (src >> 16) + (src & 0xffff) + port + (seq >> 16) +
                         (seq & 0xffff)));
}

static int generate(struct ws_source *s, struct ws_packet *pkt, unsigned max)
{
    struct generator *g = (struct generator *)s;
    if (!g->left)
        return WS_SOURCE_END;
    unsigned n = g->left < max ? (unsigned)g->left : max;
    for (unsigned i = 0; i < n; i++) {
        uint64_t k = g->n++;
        /* an odd multiplier walks through all flows in a scattered order (flows is a power of two) */
        make_frame(g, g->buf + (size_t)i * SLOT, (uint32_t)(k * 0x9e3779b1u & (g->flows - 1)));
        g->now_ns += 67; /* 14.88 Mpps */
        pkt[i].data = g->buf + (size_t)i * SLOT;
        pkt[i].ts_ns = g->now_ns;
        pkt[i].cap_len = pkt[i].wire_len = g->frame_len;
        pkt[i].flags = 0;
        pkt[i].link_type = 1;
        pkt[i].iface = 0;
        pkt[i].device = 0;
    }
    g->left -= n;
    return (int)n;
}

static const struct ws_source_iface *generator_ifaces(struct ws_source *s, unsigned *n)
{
    *n = 1;
    return &((struct generator *)s)->iface;
}

static void generator_close(struct ws_source *s)
{
    struct generator *g = (struct generator *)s;
    free(g->buf);
    free(g->turns);
    free(g);
}

static const struct ws_source_ops generator_ops = {
    .rx = generate, .ifaces = generator_ifaces, .close = generator_close};

static struct ws_source *generator_open(uint64_t packets, uint64_t flows, uint32_t frame_len)
{
    struct generator *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->base = (struct ws_source){.ops = &generator_ops, .can_wait = true};
    g->iface.link_type = 1;
    g->left = packets;
    g->flows = flows;
    g->frame_len = frame_len;
    g->now_ns = INT64_C(1700000000000000000);
    g->buf = aligned_alloc(64, (size_t)WS_BURST_MAX * SLOT);
    g->turns = calloc(flows, sizeof(*g->turns));
    if (!g->buf || !g->turns) {
        generator_close(&g->base);
        return NULL;
    }
    prepare(g);
    return &g->base;
}

static int no_sinks(void *user, unsigned worker, struct ws_sink **out)
{
    (void)user;
    (void)worker;
    (void)out;
    return 0;
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run(struct ws_runtime *rt, uint64_t packets, uint64_t flows, uint32_t frame_len)
{
    const int64_t s = INT64_C(1000000000);
    char err[512];
    struct ws_engine *e;
    struct ws_counters sum = {0};
    struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS];
    struct ws_engine_config cfg = {
        .runtime = rt,
        .workers = 1,
        .n_source = 1,
        .make_sinks = no_sinks,
        .decode = ws_decode_defaults,
        .frag = {.datagrams_max = 64, .bytes_max = 1 << 20, .timeout_ns = 60 * s, .seed = 1},
        .flow = {.flows_max = (uint32_t)flows + (uint32_t)flows / 4, .seed = 1,
                 .timeout_ns = {3600 * s, 3600 * s, 3600 * s, 3600 * s}},
        .tcp = ws_tcp_defaults,
    };
    ws_select_init(&cfg.select);
    struct ws_source *src = generator_open(packets, flows, frame_len);
    if (!src)
        return 3;
    cfg.source[0] = (struct ws_engine_source){src, 0, -1};
    if (ws_engine_create(&e, &cfg, err, sizeof(err)) < 0) {
        fprintf(stderr, "ws-bench-engine: %s\n", err);
        return 3;
    }
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (ws_engine_start(e, err, sizeof(err)) < 0) {
        fprintf(stderr, "ws-bench-engine: %s\n", err);
        return 3;
    }
    while (!ws_engine_wait(e, 10000000)) {
    }
    double took = seconds(CLOCK_MONOTONIC) - start;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    ws_engine_join(e);
    ws_engine_counters(e, &sum);
    uint64_t counted = ws_count_get(&sum, WS_C_FLOW_PACKETS);
    bool good = counted == packets && !ws_ledger_check(&sum, eq) &&
                ws_count_get(&sum, WS_C_FLOWS_CREATED) == WS_MIN(flows, packets) &&
                !ws_count_get(&sum, WS_C_TCP_BAD_CHECKSUM);
    printf("%" PRIu64 " packets %.3f s %.2f Mpps %.2f Gbit/s cpu %.3f s%s\n", packets,
           took, (double)packets / took / 1e6, (double)packets * (frame_len + 4) * 8 / took / 1e9, cpu,
           good ? "" : " WRONG");
    ws_engine_destroy(e);
    return good ? 0 : 1;
}

static uint64_t argument(int argc, char **argv, int i, uint64_t otherwise)
{
    return argc > i ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    char err[512];
    uint64_t packets = argument(argc, argv, 1, 20000000), flows = argument(argc, argv, 2, 1 << 20);
    uint32_t frame_len = (uint32_t)argument(argc, argv, 3, 60);
    uint64_t runs = argument(argc, argv, 4, 6);
    int code = 0;

    if (flows & (flows - 1) || flows > 1 << 24 || frame_len < 60 || frame_len > FRAME_MAX) {
        fputs("usage: ws-bench-engine [PACKETS [FLOWS [FRAME-BYTES [RUNS]]]]: FLOWS is a power of two, at most "
              "16777216; FRAME-BYTES 60 to 1514, without the check sequence\n",
              stderr);
        return 2;
    }
    for (uint64_t i = 0; i < runs && !code; i++) {
        struct ws_runtime *rt;
        const struct ws_runtime_config rc = {.threads = 1};
        if (ws_runtime_start(&rt, &rc, err, sizeof(err)) < 0) {
            fprintf(stderr, "ws-bench-engine: %s\n", err);
            return 3;
        }
        code = run(rt, packets, flows, frame_len);
        ws_runtime_stop(rt);
    }
    return code;
}
