/* SPDX-License-Identifier: BSD-3-Clause */
/* Lookups in the flow table against rte_hash_lookup_bulk: same keys, memory of the same kind, alternating rounds.
 *
 * usage: ws-bench-flow [--json] [--key 40|64] [--lookups N] [--rounds N] [FLOWS...]
 * Ours is the work of the packet path: hash of the 64-byte key, burst lookup, and the update of the flow's counters, stamps
 * and class. The peer only looks up (its hash is CRC32C over 64 bytes or, packed, 40). Both are sized for FLOWS flows and
 * hold as many; each key is drawn at random, so every lookup misses the caches. Memory is DPDK's for both: hugepages when
 * enough are free, else ordinary memory that the kernel may back with large pages. Cycles a lookup, medians of the rounds.
 * Then all flows end by timeout, in steps as the engine takes after each burst, each flow with a record: how long a step
 * takes, in turns with a loop of about the same length that touches memory alone, so that what delays both is the machine.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_cycles.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_memory.h>

#include "engine/runtime.h"
#include "flow/table.h"

enum { ROUNDS_MAX = 101, EXPIRE_STEP = 32, STEPS_MAX = 100000, RECORDS = 1 << 14 };
/* What the loop beside expiry touches. */
#define OTHER_BYTES ((size_t)256 << 20)

static const unsigned ours_burst[] = {32, 64};

struct bench {
    struct ws_flow_table *table;
    struct rte_hash *peer;
    struct ws_counters *counters;
    uint32_t flows, key_len;
    uint64_t lookups, rng, gone;
    uint8_t *other; /* OTHER_BYTES that the table has nothing to do with */
    int64_t now_ns;
};

struct short_key {
    uint8_t addr[2][16];
    uint16_t port[2];
    uint8_t proto, version;
    uint16_t vlan;
};
static_assert(sizeof(struct short_key) == 40, "the key of limits and of most flow tables");

static void make_key(struct ws_key *k, uint32_t n)
{
    const uint32_t addr = __builtin_bswap32(0x0a000000 | n);
    memset(k, 0, sizeof(*k));
    memcpy(k->addr[0], &addr, 4);
    memcpy(k->addr[1], (const uint8_t[]){172, 16, 0, 1}, 4);
    k->port[0] = (uint16_t)(1024 + (n * 7 & 0x7fff));
    k->port[1] = 443;
    k->ip_version = 4;
    k->proto = 6;
}

static void make_short_key(struct short_key *s, const struct ws_key *k)
{
    memset(s, 0, sizeof(*s));
    memcpy(s->addr, k->addr, sizeof(s->addr));
    memcpy(s->port, k->port, sizeof(s->port));
    s->proto = k->proto;
    s->version = k->ip_version;
}

static uint32_t draw(struct bench *b)
{
    b->rng ^= b->rng << 13; /* Marsaglia 2003 */
    b->rng ^= b->rng >> 7;
    b->rng ^= b->rng << 17;
    return (uint32_t)((b->rng >> 32) * b->flows >> 32);
}

/* What a sink of records keeps of a flow, about. */
static struct record {
    struct ws_flow flow;
    struct ws_flow_first first;
    enum ws_flow_cause cause;
} records[RECORDS];

static void on_gone(void *user, struct ws_flow *f, enum ws_flow_cause cause)
{
    struct bench *b = user;
    struct record *r = &records[b->gone++ % RECORDS];
    *r = (struct record){*f, *ws_flow_first(f), cause};
    __asm__ volatile("" : : "r"(r) : "memory"); /* it is read by nobody */
}

/* What a packet changes in its flow. */
static inline void update(struct bench *b, struct ws_flow *f)
{
    f->packets[0]++;
    f->bytes[0] += 64;
    f->last_ts_ns[0] = b->now_ns;
    ws_flow_table_touch(b->table, f, b->now_ns, WS_FLOW_UNANSWERED);
}

static double ours(struct bench *b, unsigned burst)
{
    struct ws_key key[WS_BURST_MAX];
    const struct ws_key *at[WS_BURST_MAX];
    struct ws_flow *flow[WS_BURST_MAX];
    uint32_t hash[WS_BURST_MAX];
    uint64_t cycles = 0, missing = 0;
    for (unsigned i = 0; i < burst; i++)
        at[i] = &key[i];
    for (uint64_t n = 0; n < b->lookups; n += burst) {
        for (unsigned i = 0; i < burst; i++)
            make_key(&key[i], draw(b));
        b->now_ns += 1000;
        uint64_t start = rte_rdtsc();
        for (unsigned i = 0; i < burst; i++)
            hash[i] = ws_flow_table_hash(b->table, at[i]);
        ws_flow_table_lookup_burst(b->table, at, hash, burst, flow);
        for (unsigned i = 0; i < burst; i++) {
            if (WS_LIKELY(flow[i] != NULL))
                update(b, flow[i]);
            else
                missing++;
        }
        cycles += rte_rdtsc() - start;
    }
    return missing ? -1 : (double)cycles / (double)b->lookups;
}

static double peer(struct bench *b, unsigned burst)
{
    struct ws_key key[WS_BURST_MAX];
    struct short_key small[WS_BURST_MAX];
    const void *at[WS_BURST_MAX];
    int32_t position[WS_BURST_MAX];
    uint64_t cycles = 0, missing = 0;
    for (unsigned i = 0; i < burst; i++)
        at[i] = b->key_len == sizeof(struct ws_key) ? (const void *)&key[i] : &small[i];
    for (uint64_t n = 0; n < b->lookups; n += burst) {
        for (unsigned i = 0; i < burst; i++) {
            make_key(&key[i], draw(b));
            make_short_key(&small[i], &key[i]);
        }
        uint64_t start = rte_rdtsc();
        rte_hash_lookup_bulk(b->peer, at, burst, position);
        cycles += rte_rdtsc() - start;
        for (unsigned i = 0; i < burst; i++)
            missing += position[i] < 0;
    }
    return missing ? -1 : (double)cycles / (double)b->lookups;
}

static int fill(struct bench *b)
{
    for (uint32_t i = 0; i < b->flows; i++) {
        struct ws_key key;
        struct short_key small;
        make_key(&key, i);
        make_short_key(&small, &key);
        if (!ws_flow_table_add(b->table, &key, ws_flow_table_hash(b->table, &key), 0, NULL, 0))
            return -1;
        const void *k = b->key_len == sizeof(key) ? (const void *)&key : &small;
        if (rte_hash_add_key(b->peer, k) < 0)
            return -1;
    }
    return ws_flow_table_count(b->table) == b->flows ? 0 : -1;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct steps {
    double median_us, nearly_us, longest_us; /* nearly: all but one in a thousand are shorter */
    unsigned over; /* how many take more than 100 us */
};

static struct steps judge_steps(double *us, size_t n)
{
    struct steps s = {.over = 0};
    for (size_t i = 0; i < n; i++)
        s.over += us[i] > 100;
    qsort(us, n, sizeof(*us), by_value);
    s.median_us = us[n / 2];
    s.nearly_us = us[n - 1 - n / 1000];
    s.longest_us = us[n - 1];
    return s;
}

/* Writes to n lines of memory, here and there. */
static void touch(struct bench *b, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        b->rng = b->rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
        b->other[(b->rng >> 32) % (OTHER_BYTES / WS_CACHE_LINE) * WS_CACHE_LINE]++;
    }
}

/* Lets flows end in steps. Returns how many steps there were. */
static size_t expire(struct bench *b, struct steps *step, struct steps *control)
{
    static double us[2][STEPS_MAX];
    const double per_us = (double)rte_get_tsc_hz() / 1e6;
    const int64_t end_ns = b->now_ns + INT64_C(7200000000000);
    uint64_t lines = 32;
    size_t n = 0;
    memset(records, 0xff, sizeof(records)); /* a page that is not there yet is no part of a step */
    memset(us, 0xff, sizeof(us));
    for (; n < STEPS_MAX && ws_flow_table_count(b->table) >= EXPIRE_STEP; n++) {
        const uint64_t start = rte_rdtsc();
        ws_flow_table_expire(b->table, end_ns, EXPIRE_STEP);
        const uint64_t middle = rte_rdtsc();
        touch(b, lines);
        const uint64_t end = rte_rdtsc();
        us[0][n] = (double)(middle - start) / per_us;
        us[1][n] = (double)(end - middle) / per_us;
        if (n < 1000) /* until it takes as long as a step */
            lines = us[1][n] < us[0][n] ? lines + 1 : lines - (lines > 1);
    }
    if (!n)
        return 0;
    *step = judge_steps(us[0], n);
    *control = judge_steps(us[1], n);
    return n;
}

/* One size of table. 0, 1: something was not found, 3: no memory. */
static int measure(struct bench *b, void *mem, unsigned rounds, bool json, bool first)
{
    double v[3][ROUNDS_MAX];
    const int64_t hour = INT64_C(3600000000000);
    const struct ws_flow_table_config cfg = {.flows_max = b->flows, .seed = 1, .timeout_ns = {hour, hour, hour, hour}};
    const struct rte_hash_parameters hp = {.name = "peer", .entries = b->flows, .key_len = b->key_len,
                                           .hash_func = rte_hash_crc, .hash_func_init_val = 0,
                                           .socket_id = SOCKET_ID_ANY};
    const double per_flow = (double)ws_flow_table_bytes(&cfg) / b->flows;
    memset(mem, 0, ws_flow_table_bytes(&cfg));
    b->peer = rte_hash_create(&hp);
    if (!b->peer) {
        fputs("ws-bench-flow: no memory\n", stderr);
        return 3;
    }
    b->table = ws_flow_table_init(mem, &cfg, b->counters, on_gone, b);
    if (fill(b) < 0) {
        fputs("ws-bench-flow: a flow was not added\n", stderr);
        return 1;
    }
    for (unsigned r = 0; r < rounds; r++) {
        v[0][r] = ours(b, ours_burst[0]);
        v[1][r] = peer(b, 32);
        v[2][r] = ours(b, ours_burst[1]);
    }
    rte_hash_free(b->peer);
    for (unsigned i = 0; i < 3; i++)
        qsort(v[i], rounds, sizeof(v[i][0]), by_value);
    if (v[0][0] < 0 || v[1][0] < 0 || v[2][0] < 0) {
        fputs("ws-bench-flow: a flow was not found\n", stderr);
        return 1;
    }
    const double m[3] = {v[0][rounds / 2], v[1][rounds / 2], v[2][rounds / 2]};
    struct steps step = {0}, control = {0};
    const size_t n = expire(b, &step, &control);
    if (json)
        printf("%s{\"flows\":%u,\"ours_32_cycles\":%.1f,\"rte_hash_32_cycles\":%.1f,\"ours_64_cycles\":%.1f,"
               "\"ratio_32\":%.2f,\"ratio_64\":%.2f,\"bytes_per_flow\":%.1f,\"expire_steps\":%zu,\"expire_median_us\":%.2f,"
               "\"expire_999_us\":%.2f,\"expire_longest_us\":%.1f,\"expire_over_100us\":%u,\"control_median_us\":%.2f,"
               "\"control_999_us\":%.2f,\"control_longest_us\":%.1f,\"control_over_100us\":%u}",
               first ? "" : ",", b->flows, m[0], m[1], m[2], m[1] / m[0], m[1] / m[2], per_flow, n, step.median_us,
               step.nearly_us, step.longest_us, step.over, control.median_us, control.nearly_us, control.longest_us,
               control.over);
    else
        printf("%9u flows: ours, with hash and update, %.1f cycles (bursts of 64: %.1f), rte_hash_lookup_bulk %.1f: %.2f "
               "times (%.2f); %.1f bytes a flow\n"
               "          %zu steps of expiry, each ends %u flows: median %.2f us, 99.9 %% %.2f, longest %.1f, over 100 us %u; a "
               "loop as long that touches memory: %.2f, %.2f, %.1f, %u\n",
               b->flows, m[0], m[2], m[1], m[1] / m[0], m[1] / m[2], per_flow, n, EXPIRE_STEP, step.median_us,
               step.nearly_us, step.longest_us, step.over, control.median_us, control.nearly_us, control.longest_us,
               control.over);
    fflush(stdout);
    return 0;
}

/* Ordinary memory: large pages where the kernel gives them, for both sides. */
static int ask_large_pages(const struct rte_memseg_list *msl, void *arg)
{
    (void)arg;
    (void)madvise(msl->base_va, msl->len, MADV_HUGEPAGE);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                          {"key", required_argument, NULL, 'k'},
                                          {"lookups", required_argument, NULL, 'l'},
                                          {"rounds", required_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
    static struct ws_counters counters;
    uint32_t sizes[16] = {1000000, 4000000, 10000000}, largest = 0;
    unsigned n = 0, rounds = 5;
    bool json = false;
    char err[512];
    struct bench b = {.key_len = 64, .lookups = 2000000, .rng = 88172645463325252u, .counters = &counters};

    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) >= 0;) {
        switch (c) {
        case 'j': json = true; break;
        case 'k': b.key_len = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'l': b.lookups = strtoull(optarg, NULL, 10) & ~UINT64_C(63); break;
        case 'r': rounds = (unsigned)strtoul(optarg, NULL, 10); break;
        default: return 2;
        }
    }
    for (int i = optind; i < argc && n < WS_ARRAY_SIZE(sizes); i++)
        sizes[n++] = (uint32_t)strtoul(argv[i], NULL, 10);
    n = n ? n : 3;
    for (unsigned i = 0; i < n; i++)
        largest = WS_MAX(largest, sizes[i]);
    if ((b.key_len != 64 && b.key_len != 40) || !b.lookups || !rounds || rounds > ROUNDS_MAX || largest < 8 ||
        largest > 1 << 24) {
        fputs("usage: ws-bench-flow [--json] [--key 40|64] [--lookups N] [--rounds N] [FLOWS...]\n", stderr);
        return 2;
    }
    const struct ws_runtime_config rc = {
        .eal = true, .threads = 1, .eal_memory_bytes = (size_t)largest * 380 + OTHER_BYTES + ((size_t)64 << 20)};
    struct ws_runtime *rt;
    if (ws_runtime_start(&rt, &rc, err, sizeof(err)) < 0) {
        fprintf(stderr, "ws-bench-flow: %s\n", err);
        return 3;
    }
    const bool huge = ws_runtime_has_hugepages(rt);
    if (!huge)
        rte_memseg_list_walk(ask_large_pages, NULL);
    if (json)
        printf("{\"bench\":\"flow\",\"key_bytes\":%u,\"hugepages\":%s,\"rounds\":%u,\"sizes\":[", b.key_len,
               huge ? "true" : "false", rounds);
    else
        printf("keys of %u bytes, %s, medians of %u rounds of %" PRIu64 " lookups\n", b.key_len,
               huge ? "hugepages" : "ordinary memory", rounds, b.lookups);
    const struct ws_flow_table_config cfg = {.flows_max = largest};
    void *mem = ws_runtime_alloc(rt, ws_flow_table_bytes(&cfg), -1);
    b.other = ws_runtime_alloc(rt, OTHER_BYTES, -1);
    int code = mem && b.other ? 0 : 3;
    if (!code)
        memset(b.other, 1, OTHER_BYTES);
    for (unsigned i = 0; i < n && !code; i++) {
        b.flows = sizes[i];
        code = measure(&b, mem, rounds, json, i == 0);
    }
    if (json)
        printf("]}\n");
    ws_runtime_stop(rt);
    return code;
}
