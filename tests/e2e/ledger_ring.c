/* SPDX-License-Identifier: BSD-3-Clause */
/* The program with a generator in front of it and a hand on its brakes: what it takes is known to the packet.
 *
 * Linked into the program with -Wl,--wrap. A net_ring device "lab" is made before the program opens it; a thread offers
 * packets to its rings, each stamped with queue and sequence number, and counts what a full ring rejects: the device's drops,
 * as its statistics say them here. Everything goes by counting, nothing by time: in a round the generator offers `offer`
 * packets to each queue, then each receive stage polls `polls` times (64 packets a queue at most each), and each `every` rounds each
 * writer works once. When all is offered the brakes are off. With `pace` there are no brakes: the generator offers so many frame bytes
 * a second of the clock (tools/bench_overload.py).
 *
 *   ledger_ring LAB WORDS OF THE PROGRAM...      LAB: key=number,...  (struct lab); a report as JSON goes to $WS_LAB_REPORT
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "base/bytes.h"
#include "engine/engine.h"
#include "engine/receive.h"
#include "packet/decode.h"
#include "source/port_impl.h"

#define QUEUES_MAX 4u
#define FLOWS_MAX  4096u
#define FRAME_MAX  1600u
#define HEAD       54u /* Ethernet, IPv4, TCP; of UDP the rest is payload */
#define CHECK(ok, what)                                                                            \
    do {                                                                                           \
        if (!(ok)) {                                                                               \
            fprintf(stderr, "ledger_ring: %s\n", what);                                            \
            exit(99);                                                                              \
        }                                                                                          \
    } while (0)

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);
int __real_ws_port_open(struct ws_port **p, const struct ws_port_config *cfg, char *err, size_t err_len);
int __wrap_ws_port_open(struct ws_port **p, const struct ws_port_config *cfg, char *err, size_t err_len);
int __real_rte_eth_stats_get(uint16_t port, struct rte_eth_stats *st);
int __wrap_rte_eth_stats_get(uint16_t port, struct rte_eth_stats *st);
int __real_ws_engine_start(struct ws_engine *e, char *err, size_t err_len);
int __wrap_ws_engine_start(struct ws_engine *e, char *err, size_t err_len);
unsigned __real_ws_receive_poll(struct ws_receive *r);
unsigned __wrap_ws_receive_poll(struct ws_receive *r);
void __real_ws_runtime_stop(struct ws_runtime *rt);
void __wrap_ws_runtime_stop(struct ws_runtime *rt);
unsigned __real_ws_writer_poll(struct ws_writer *w);
unsigned __wrap_ws_writer_poll(struct ws_writer *w);

/* What the first word says. */
static struct lab {
    uint64_t queues, workers, packets, offer, every, ring, flows, bytes, seed, polls;
    uint64_t tcp;    /* 1: TCP connections with handshake, `bytes` a direction as 1,000-byte segments, one every round */
    uint64_t pace;   /* frame bytes a second; 0: by counting */
    uint64_t segment; /* TCP: payload bytes of a segment */
    uint64_t placed; /* 1: each flow comes on the queue of its owner, as symmetric RSS places it */
} lab = {.queues = 1, .workers = 1, .packets = 2000, .offer = 64, .every = 1, .ring = 256, .flows = 50, .bytes = 300, .polls = 1, .placed = 1, .segment = 1000};

static struct rte_ring *ring[QUEUES_MAX];
static struct rte_mempool *pool;
static struct ws_engine *engine;
static pthread_t generator;
static bool started;
static uint64_t random_state;

/* Written by the generator. */
static _Atomic uint64_t offered[QUEUES_MAX], rejected[QUEUES_MAX];
static _Atomic uint64_t rounds; /* that were offered */
static _Atomic bool brakes_off;

/* One a receive stage and one a writer; written by its thread. */
static struct brake {
    void *of;
    _Atomic uint64_t done; /* rounds */
} receive_brake[QUEUES_MAX + 1], writer_brake[4];
static _Atomic unsigned receive_stages, writers;

static void parse_lab(char *text)
{
    const struct {
        const char *name;
        uint64_t *to;
    } keys[] = {{"queues", &lab.queues}, {"workers", &lab.workers}, {"packets", &lab.packets}, {"offer", &lab.offer},
                {"every", &lab.every},   {"ring", &lab.ring},       {"flows", &lab.flows},     {"bytes", &lab.bytes},
                {"seed", &lab.seed},     {"tcp", &lab.tcp},         {"placed", &lab.placed},
                {"polls", &lab.polls},   {"pace", &lab.pace},       {"segment", &lab.segment}};
    char *save = NULL;
    for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        char *value = strchr(word, '=');
        bool known = false;
        CHECK(value, "bad lab");
        *value++ = '\0';
        for (size_t i = 0; i < WS_ARRAY_SIZE(keys); i++)
            if (strcmp(word, keys[i].name) == 0) {
                *keys[i].to = strtoull(value, NULL, 10);
                known = true;
            }
        CHECK(known, "bad lab");
    }
    CHECK(lab.queues >= 1 && lab.queues <= QUEUES_MAX && lab.flows <= FLOWS_MAX && lab.every && lab.segment && lab.segment <= FRAME_MAX - HEAD, "bad lab");
    random_state = lab.seed * 2 + 1;
}

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

/* ---- frames ---- */

struct tuple {
    uint32_t queue;
    uint32_t client; /* address 10.c.c.c */
    uint16_t sport;
    uint32_t sent[2]; /* TCP: payload bytes offered, by direction */
};
static struct tuple flow[FLOWS_MAX];

static size_t headers(uint8_t *f, const struct tuple *t, unsigned dir, uint8_t proto, size_t payload)
{
    size_t l4 = proto == 6 ? 20 : 8;
    memset(f, 0, HEAD);
    f[5] = (uint8_t)(1 + dir);
    f[11] = (uint8_t)(2 - dir);
    ws_store_be16(f + 12, 0x0800);
    f[14] = 0x45;
    ws_store_be16(f + 16, (uint16_t)(20 + l4 + payload));
    f[22] = 64;
    f[23] = proto;
    ws_store_be32(f + 26, dir ? 0x0b000001 : 0x0a000000 + t->client);
    ws_store_be32(f + 30, dir ? 0x0a000000 + t->client : 0x0b000001);
    ws_store_be16(f + 34, dir ? 80 : t->sport);
    ws_store_be16(f + 36, dir ? t->sport : 80);
    if (proto == 17)
        ws_store_be16(f + 38, (uint16_t)(8 + payload));
    else
        f[46] = 0x50;
    return 34 + l4;
}

static unsigned owner(const struct tuple *t)
{
    uint8_t f[128] = {0};
    size_t len = headers(f, t, 0, lab.tcp ? 6 : 17, 0);
    struct ws_packet p = {.data = f, .cap_len = (uint32_t)len, .wire_len = (uint32_t)len, .link_type = 1};
    struct ws_decode_config cfg = ws_decode_defaults;
    ws_decode(&p, &cfg);
    CHECK(p.status == WS_DECODE_OK, "own frame");
    return (p.owner_hash & 127u) % (unsigned)lab.workers;
}

static void make_flows(void)
{
    for (uint32_t i = 0; i < lab.flows; i++) {
        struct tuple *t = &flow[i];
        *t = (struct tuple){.queue = i % (uint32_t)lab.queues, .client = i + 1, .sport = (uint16_t)(1024 + random_next() % 60000)};
        while (lab.placed && lab.queues > 1 && owner(t) != t->queue)
            t->sport++;
    }
}

/* The byte at offset off of a stream, or of a packet's filling. */
static uint8_t filling(uint64_t a, uint64_t off)
{
    return (uint8_t)(a * 131 + off * 7 + (off >> 8) * 13);
}

/* The same for n bytes at once: the pattern comes again after 64 KiB, and a shifts it. */
static void fill(uint8_t *d, uint64_t a, uint64_t off, size_t n)
{
    static uint8_t pattern[65536 + FRAME_MAX];
    if (!pattern[1])
        for (size_t i = 0; i < sizeof(pattern); i++)
            pattern[i] = filling(0, i);
    const uint8_t *from = pattern + (off & 65535);
    uint8_t add = filling(a, 0);
    for (size_t i = 0; i < n; i++)
        d[i] = (uint8_t)(from[i] + add);
}

static struct rte_mbuf *frame_of(const uint8_t *head, size_t head_len, size_t payload)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
    CHECK(m, "no mbuf");
    uint8_t *d = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(head_len + payload));
    CHECK(d, "frame too long");
    memcpy(d, head, head_len);
    return m;
}

/* UDP: queue (1), sequence number (8), its flow (4), then a filling that follows from the number. */
static struct rte_mbuf *stamped(uint32_t q, uint64_t seq)
{
    uint8_t head[HEAD];
    uint32_t n = (uint32_t)(random_next() % lab.flows);
    n -= n % (uint32_t)lab.queues;
    n += q;
    n = n < lab.flows ? n : q;
    size_t payload = 13 + random_next() % (2 * lab.bytes);
    payload = WS_MIN(payload, FRAME_MAX - HEAD);
    size_t len = headers(head, &flow[n], 0, 17, payload);
    struct rte_mbuf *m = frame_of(head, len, payload);
    uint8_t *d = rte_pktmbuf_mtod(m, uint8_t *) + len;
    d[0] = (uint8_t)q;
    ws_store_be32(d + 1, (uint32_t)(seq >> 32));
    ws_store_be32(d + 5, (uint32_t)seq);
    ws_store_be32(d + 9, n);
    for (size_t i = 13; i < payload; i++)
        d[i] = filling(seq, i);
    return m;
}

/* A SYN, an answer, data of one direction, a FIN: step by step. NULL: the connection is over. */
static struct rte_mbuf *segment(struct tuple *t, uint32_t n, uint64_t step)
{
    enum { ISN = 100 };
    const uint64_t SEGMENT = lab.segment;
    uint8_t head[HEAD];
    uint64_t left = step < 2 ? 0 : lab.bytes - WS_MIN(lab.bytes, (step - 2) * SEGMENT);
    size_t payload = step < 2 ? 0 : (size_t)WS_MIN(left, SEGMENT);
    unsigned dir = step == 1;
    if (step >= 2 && left == 0 && (step - 2) * SEGMENT >= lab.bytes + SEGMENT)
        return NULL;
    size_t len = headers(head, t, dir, 6, payload);
    uint64_t off = step < 2 ? 0 : WS_MIN(lab.bytes, (step - 2) * SEGMENT);
    ws_store_be32(head + 38, step < 2 ? ISN : (uint32_t)(ISN + 1 + off));
    ws_store_be32(head + 42, step ? ISN + 1 : 0);
    head[47] = step == 0 ? 0x02 : step == 1 ? 0x12 : left ? 0x10 : 0x11;
    ws_store_be16(head + 48, 65535);
    struct rte_mbuf *m = frame_of(head, len, payload);
    uint8_t *d = rte_pktmbuf_mtod(m, uint8_t *) + len;
    fill(d, n, off, payload);
    return m;
}

/* Until the clock has come to what was offered so far. */
static void keep_pace(uint32_t bytes)
{
    static struct timespec start;
    static uint64_t offered_bytes;
    struct timespec t;
    if (offered_bytes == 0)
        clock_gettime(CLOCK_MONOTONIC, &start);
    offered_bytes += bytes;
    do
        clock_gettime(CLOCK_MONOTONIC, &t);
    while ((double)(t.tv_sec - start.tv_sec) + (double)(t.tv_nsec - start.tv_nsec) / 1e9 < (double)offered_bytes / (double)lab.pace &&
           sched_yield() == 0);
}

static void offer(uint32_t q, struct rte_mbuf *m)
{
    if (lab.pace)
        keep_pace(rte_pktmbuf_pkt_len(m));
    atomic_fetch_add(&offered[q], 1);
    if (rte_ring_enqueue(ring[q], m) == 0)
        return;
    rte_pktmbuf_free(m);
    atomic_fetch_add(&rejected[q], 1);
}

/* ---- the brakes ---- */

static struct brake *brake_of(struct brake *all, size_t max, _Atomic unsigned *n, void *of)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    for (unsigned i = 0; i < atomic_load(n); i++)
        if (all[i].of == of)
            return &all[i];
    pthread_mutex_lock(&lock);
    unsigned k = atomic_load(n);
    CHECK(k < max, "too many threads");
    all[k].of = of;
    atomic_store(n, k + 1);
    pthread_mutex_unlock(&lock);
    return &all[k];
}

unsigned __wrap_ws_receive_poll(struct ws_receive *r)
{
    struct brake *b = brake_of(receive_brake, WS_ARRAY_SIZE(receive_brake), &receive_stages, r);
    uint64_t done = atomic_load(&b->done);
    if (!atomic_load(&brakes_off) && done >= atomic_load(&rounds)) {
        sched_yield();
        return 0;
    }
    unsigned n = 0, got = 1;
    for (uint64_t i = 0; i < lab.polls && got; i++)
        n += got = __real_ws_receive_poll(r);
    atomic_store(&b->done, done + 1);
    return n;
}

unsigned __wrap_ws_writer_poll(struct ws_writer *w)
{
    struct brake *b = brake_of(writer_brake, WS_ARRAY_SIZE(writer_brake), &writers, w);
    uint64_t done = atomic_load(&b->done);
    if (!atomic_load(&brakes_off) && done * lab.every >= atomic_load(&rounds)) {
        sched_yield();
        return 0;
    }
    unsigned n = __real_ws_writer_poll(w);
    atomic_store(&b->done, done + 1);
    return n;
}

/* Until all threads have done what the rounds so far allow. */
static void wait_for_all(unsigned stages)
{
    uint64_t r = atomic_load(&rounds);
    for (bool all = false; !all;) {
        all = atomic_load(&receive_stages) >= stages;
        for (unsigned i = 0; i < atomic_load(&receive_stages); i++)
            all &= atomic_load(&receive_brake[i].done) >= r;
        for (unsigned i = 0; i < atomic_load(&writers); i++)
            all &= atomic_load(&writer_brake[i].done) * lab.every >= r;
        if (!all)
            sched_yield();
    }
}

static void *generate(void *unused)
{
    unsigned stages = lab.placed ? (unsigned)lab.queues : 1;
    uint64_t seq = 0, step = 0;
    (void)unused;
    if (lab.pace)
        atomic_store(&brakes_off, true);
    for (bool more = true; more; step++) {
        more = lab.tcp ? false : seq < lab.packets;
        if (lab.tcp) {
            for (uint32_t n = 0; n < lab.flows; n++) {
                /* connections begin one after another, `offer` a round, and go on side by side */
                uint64_t first = n / lab.offer;
                struct rte_mbuf *m = step < first ? NULL : segment(&flow[n], n, step - first);
                more |= step <= first || m;
                if (m)
                    offer(flow[n].queue, m);
            }
        } else {
            for (uint64_t i = 0; i < lab.offer && seq < lab.packets; i++, seq++)
                for (uint32_t q = 0; q < lab.queues; q++)
                    offer(q, stamped(q, seq));
        }
        atomic_fetch_add(&rounds, 1);
        if (!lab.pace)
            wait_for_all(stages);
    }
    atomic_store(&brakes_off, true);
    for (uint32_t q = 0; q < lab.queues; q++)
        while (rte_ring_count(ring[q]))
            sched_yield();
    ws_engine_stop(engine);
    return NULL;
}

/* ---- where the program is held ---- */

int __wrap_ws_port_open(struct ws_port **p, const struct ws_port_config *cfg, char *err, size_t err_len)
{
    char name[16];
    pool = rte_pktmbuf_pool_create("lab", (unsigned)(lab.queues * (lab.ring + 512) + 1023), 0, 0, FRAME_MAX + 256, SOCKET_ID_ANY);
    CHECK(pool, "pool");
    for (unsigned q = 0; q < lab.queues; q++) {
        snprintf(name, sizeof(name), "lab%u", q);
        ring[q] = rte_ring_create(name, (unsigned)lab.ring, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
        CHECK(ring[q], "ring");
    }
    CHECK(rte_eth_from_rings("lab", ring, (unsigned)lab.queues, ring, (unsigned)lab.queues, 0) >= 0, "net_ring");
    make_flows();
    int rc = __real_ws_port_open(p, cfg, err, err_len);
    if (rc == 0) {
        (*p)->info.missed_unknown = false;
        (*p)->info.rss = lab.placed && lab.queues > 1; /* the generator places flows as symmetric RSS does */
    }
    return rc;
}

int __wrap_rte_eth_stats_get(uint16_t port, struct rte_eth_stats *st)
{
    int rc = __real_rte_eth_stats_get(port, st);
    for (unsigned q = 0; q < lab.queues; q++) {
        st->q_errors[q] = atomic_load(&rejected[q]);
        st->imissed += st->q_errors[q];
    }
    return rc;
}

int __wrap_ws_engine_start(struct ws_engine *e, char *err, size_t err_len)
{
    engine = e;
    int rc = __real_ws_engine_start(e, err, err_len);
    if (rc == 0) {
        started = true;
        CHECK(pthread_create(&generator, NULL, generate, NULL) == 0, "thread");
    }
    return rc;
}

static unsigned buffers_left;

void __wrap_ws_runtime_stop(struct ws_runtime *rt)
{
    buffers_left = pool ? rte_mempool_in_use_count(pool) : 0;
    __real_ws_runtime_stop(rt);
}

int __wrap_main(int argc, char **argv)
{
    CHECK(argc > 2, "usage: ledger_ring LAB WORDS...");
    parse_lab(argv[1]);
    argv[1] = argv[0];
    int code = __real_main(argc - 1, argv + 1);
    if (started)
        pthread_join(generator, NULL);
    const char *path = getenv("WS_LAB_REPORT");
    FILE *f = path ? fopen(path, "w") : NULL;
    CHECK(f, "WS_LAB_REPORT");
    fprintf(f, "{\"buffers_left\":%u,\"queues\":[", buffers_left);
    for (unsigned q = 0; q < lab.queues; q++)
        fprintf(f, "%s{\"offered\":%" PRIu64 ",\"rejected\":%" PRIu64 "}", q ? "," : "", atomic_load(&offered[q]),
                atomic_load(&rejected[q]));
    fputs("]}\n", f);
    fclose(f);
    return code;
}
