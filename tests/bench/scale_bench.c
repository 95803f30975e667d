/* SPDX-License-Identifier: BSD-3-Clause */
/* How the packet path scales: workers with a queue each, as RSS fills them, or fed by one receiver in software.
 *
 * usage: ws-bench-scale [--json] [--steer | --apart] [WORKERS [FRAME-BYTES [FLOWS [SECONDS]]]]
 *
 * Each queue makes frames (frames.h) of those of FLOWS connections that its worker owns by the port's hash, so that nothing
 * crosses from worker to worker; with --steer one queue with all of them is a receiver's, which hashes and hands copies over, as it
 * must for a port without RSS. With --apart each queue has a process of its own with one worker: they share nothing but the
 * machine, and so say what it gives at best. Measured are SECONDS after all connections (of all processes) have had two packets:
 * packets of all workers, and the time of all threads, waiting ones included.
 */
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/ledger.h"
#include "frames.h"

enum { SLOT = 1600, WORKERS_LIMIT = 16 };

struct queue {
    struct ws_source base;
    struct ws_source_iface iface;
    const struct ws_bench_frames *frames;
    uint32_t *own; /* slots of the connections that belong here */
    uint32_t n_own, at;
    uint64_t turn;
    int64_t now_ns;
    const _Atomic int *stop;
    uint8_t *buf;
};

struct run {
    struct ws_bench_frames frames;
    unsigned workers;
    unsigned queue, queues; /* the first of its queues, and how many all processes have; queues 0: all are here */
    bool steer;
    double seconds;
    _Atomic int stop;
    struct together *together; /* NULL: one process */
};

struct sample {
    double wall_s, cpu_s;
    uint64_t packets;
};

/* What processes know of each other, so that they are measured while all of them run. */
struct together {
    _Atomic unsigned warm, measured;
    _Atomic bool failed; /* one of them: the others do not wait for it */
    struct sample from[WORKERS_LIMIT], to[WORKERS_LIMIT];
};

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int queue_rx(struct ws_source *s, struct ws_packet *pkt, unsigned max)
{
    struct queue *q = (struct queue *)s;
    if (atomic_load_explicit(q->stop, memory_order_relaxed))
        return WS_SOURCE_END;
    for (unsigned i = 0; i < max; i++) {
        uint8_t *p = q->buf + (size_t)i * SLOT;
        ws_bench_frames_make(q->frames, p, q->own[q->at], (uint32_t)q->turn);
        if (++q->at == q->n_own) {
            q->at = 0;
            q->turn++;
        }
        q->now_ns += 67;
        pkt[i].data = p;
        pkt[i].ts_ns = q->now_ns;
        pkt[i].cap_len = pkt[i].wire_len = q->frames->frame_len;
        pkt[i].flags = 0;
        pkt[i].link_type = 1;
        pkt[i].iface = 0;
        pkt[i].device = 0;
    }
    return (int)max;
}

static const struct ws_source_iface *queue_ifaces(struct ws_source *s, unsigned *n)
{
    *n = 1;
    return &((struct queue *)s)->iface;
}

static void queue_close(struct ws_source *s)
{
    struct queue *q = (struct queue *)s;
    free(q->own);
    free(q->buf);
    free(q);
}

static const struct ws_source_ops queue_ops = {.rx = queue_rx, .ifaces = queue_ifaces, .close = queue_close};

/* The queue of worker w of n; n 1: all connections. */
static struct ws_source *queue_open(struct run *r, unsigned w, unsigned n)
{
    struct queue *q = calloc(1, sizeof(*q));
    if (!q || !(q->buf = aligned_alloc(64, (size_t)WS_BURST_MAX * SLOT)) ||
        !(q->own = malloc(r->frames.flows * sizeof(*q->own))))
        abort();
    q->base = (struct ws_source){.ops = &queue_ops, .can_wait = true};
    q->iface.link_type = 1;
    q->frames = &r->frames;
    q->now_ns = INT64_C(1700000000000000000);
    q->stop = &r->stop;
    for (unsigned i = 0; i < WS_BURST_MAX; i++)
        ws_bench_frames_prepare(&r->frames, q->buf + (size_t)i * SLOT);
    uint32_t slot = 0;
    for (uint32_t k = 0; k < r->frames.flows; k++, slot = ws_bench_frames_after(&r->frames, slot)) {
        struct ws_packet p = {.data = q->buf, .cap_len = r->frames.frame_len, .wire_len = r->frames.frame_len, .link_type = 1};
        ws_bench_frames_make(&r->frames, q->buf, slot, 0);
        ws_decode(&p, &ws_decode_defaults);
        if ((p.owner_hash & 127u) % n == w) /* as the receive stage has it */
            q->own[q->n_own++] = slot;
    }
    return &q->base;
}

static int no_sinks(void *user, unsigned worker, struct ws_sink **out)
{
    (void)user, (void)worker, (void)out;
    return 0;
}

static struct sample take(struct ws_engine *e)
{
    struct ws_counters sum;
    struct sample s = {.wall_s = seconds(CLOCK_MONOTONIC), .cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID)};
    ws_engine_counters(e, &sum);
    s.packets = ws_count_get(&sum, WS_C_FLOW_PACKETS);
    return s;
}

/* Until all processes have come here. */
static void wait_for_others(const struct run *r, _Atomic unsigned *here)
{
    if (!here)
        return;
    atomic_fetch_add(here, 1);
    while (atomic_load(here) < r->queues && !atomic_load(&r->together->failed))
        usleep(1000);
}

/* 0, 1: the ledger does not balance, 3: no memory or threads. */
static int measure(struct run *r, struct ws_runtime *rt, struct sample *from, struct sample *to)
{
    const int64_t s = INT64_C(1000000000);
    char err[512];
    struct ws_engine *e;
    struct ws_counters sum;
    struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS];
    struct ws_engine_config cfg = {
        .runtime = rt,
        .workers = r->workers,
        .receivers = r->steer,
        .make_sinks = no_sinks,
        .decode = ws_decode_defaults,
        .frag = {.datagrams_max = 64, .bytes_max = 1 << 20, .timeout_ns = 60 * s, .seed = 1},
        .flow = {.flows_max = r->frames.flows, .seed = 1, .timeout_ns = {3600 * s, 3600 * s, 3600 * s, 3600 * s}},
        .tcp = ws_tcp_defaults,
    };
    ws_select_init(&cfg.select);
    cfg.n_source = r->steer ? 1 : r->workers;
    const unsigned queues = r->queues ? r->queues : cfg.n_source;
    uint64_t flows = 0;
    for (unsigned i = 0; i < cfg.n_source; i++) {
        struct ws_source *q = queue_open(r, r->queue + i, queues);
        flows += ((struct queue *)q)->n_own;
        cfg.source[i] = (struct ws_engine_source){q, r->steer ? r->workers : i, -1};
    }
    if (ws_engine_create(&e, &cfg, err, sizeof(err)) < 0 || ws_engine_start(e, err, sizeof(err)) < 0) {
        fprintf(stderr, "ws-bench-scale: %s\n", err);
        return 3;
    }
    do
        ws_engine_wait(e, 10000000);
    while (take(e).packets < 2 * flows);
    wait_for_others(r, r->together ? &r->together->warm : NULL);
    *from = take(e);
    do
        ws_engine_wait(e, 10000000);
    while ((*to = take(e)).wall_s - from->wall_s < r->seconds);
    wait_for_others(r, r->together ? &r->together->measured : NULL);
    atomic_store(&r->stop, 1);
    while (!ws_engine_wait(e, 10000000)) {
    }
    ws_engine_join(e);
    ws_engine_counters(e, &sum);
    bool good = !ws_ledger_check(&sum, eq) && ws_count_get(&sum, WS_C_FLOWS_CREATED) == flows &&
                (r->steer || !ws_count_get(&sum, WS_C_STEERED));
    ws_engine_destroy(e);
    if (!good)
        fputs("ws-bench-scale: the counts are wrong\n", stderr);
    return !good;
}

/* Threads first .. of cpu[n] get a processor each, as far as there are enough of them: the scheduler would move them about. */
static void spread(int *cpu, unsigned n, unsigned first)
{
    cpu_set_t allowed;
    unsigned found = 0;
    for (unsigned i = 0; i < n; i++)
        cpu[i] = -1;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return;
    for (int c = 0; c < CPU_SETSIZE; c++)
        if (CPU_ISSET((size_t)c, &allowed) && found++ >= first && found - first <= n)
            cpu[found - first - 1] = c;
}

static int run_here(struct run *r, struct sample *from, struct sample *to)
{
    char err[512];
    int cpu[WORKERS_LIMIT + 1];
    struct ws_runtime *rt;
    const struct ws_runtime_config rc = {.threads = r->workers + r->steer, .cpu = cpu};
    spread(cpu, rc.threads, r->queue);
    if (ws_runtime_start(&rt, &rc, err, sizeof(err)) < 0) {
        fprintf(stderr, "ws-bench-scale: %s\n", err);
        return 3;
    }
    int code = measure(r, rt, from, to);
    ws_runtime_stop(rt);
    return code;
}

/* A process for each queue; sum gets what they measured. */
static int run_apart(struct run *r, struct together *sum)
{
    int worst = 0;
    r->together = mmap(NULL, sizeof(*r->together), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r->together == MAP_FAILED)
        return 3;
    r->queues = r->workers;
    r->workers = 1;
    for (r->queue = 0; r->queue < r->queues; r->queue++) {
        const pid_t child = fork();
        if (child < 0) {
            atomic_store(&r->together->failed, true); /* those that run do not wait for the others */
            return 3;
        }
        if (child == 0)
            _exit(run_here(r, &r->together->from[r->queue], &r->together->to[r->queue]));
    }
    for (int status; wait(&status) > 0;) {
        worst = WS_MAX(worst, WIFEXITED(status) ? WEXITSTATUS(status) : 3);
        atomic_store(&r->together->failed, worst != 0);
    }
    r->workers = r->queues;
    memcpy(sum, r->together, sizeof(*sum));
    return worst;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"json", no_argument, NULL, 'j'}, {"steer", no_argument, NULL, 's'}, {"apart", no_argument, NULL, 'a'}, {NULL, 0, NULL, 0}};
    struct run r = {.workers = 2, .seconds = 1, .frames = {.frame_len = 60, .flows = 1 << 18}};
    static struct together sum;
    bool json = false, apart = false;
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (c == '?')
            return 2;
        *(c == 'j' ? &json : c == 's' ? &r.steer : &apart) = true;
    }
    argc -= optind;
    argv += optind;
    if (argc > 0)
        r.workers = (unsigned)strtoul(argv[0], NULL, 10);
    if (argc > 1)
        r.frames.frame_len = (uint32_t)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        r.frames.flows = (uint32_t)strtoul(argv[2], NULL, 10);
    if (argc > 3)
        r.seconds = strtod(argv[3], NULL);
    const uint32_t flows = r.frames.flows;
    if (r.workers < 1 || r.workers > WORKERS_LIMIT || r.frames.frame_len < WS_BENCH_FRAME_MIN ||
        r.frames.frame_len > WS_BENCH_FRAME_MAX || (apart && r.steer) || flows < 256 || flows > 1 << 24 || flows & (flows - 1)) {
        fputs("usage: ws-bench-scale [--json] [--steer | --apart] [WORKERS [FRAME-BYTES [FLOWS [SECONDS]]]]: 1 to 16 workers, frames of 60 to "
              "1514 bytes, a power of two of flows from 256 to 16777216\n", stderr);
        return 2;
    }
    ws_bench_frames_init(&r.frames);
    int code = apart ? run_apart(&r, &sum) : run_here(&r, &sum.from[0], &sum.to[0]);
    if (code)
        return code;
    double mpps = 0, cpu_mpps = 0, cpu_s = 0, packets = 0;
    for (unsigned i = 0; i < (apart ? r.workers : 1); i++) {
        const struct sample *from = &sum.from[i], *to = &sum.to[i];
        packets += (double)(to->packets - from->packets);
        mpps += (double)(to->packets - from->packets) / (to->wall_s - from->wall_s) / 1e6;
        cpu_s += to->cpu_s - from->cpu_s;
    }
    cpu_mpps = packets / cpu_s / 1e6;
    static const char *const words[2][2] = {{"no", "yes"}, {"false", "true"}};
    printf(json ? "{\"bench\":\"scale\",\"workers\":%u,\"steered\":%s,\"apart\":%s,\"frame_bytes\":%u,\"flows\":%u,\"mpps\":%.3f,\"cpu_mpps\":%.3f}\n"
                : "%u workers, steered: %s, in processes of their own: %s, %u bytes, %u flows: %.2f Mpps, %.2f Mpps a processor second\n",
           r.workers, words[json][r.steer], words[json][apart], r.frames.frame_len, flows, mpps, cpu_mpps);
    return 0;
}
