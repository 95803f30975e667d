/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports over real DPDK devices, one case a process: port_test CASE. */
#include "port_test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if WS_HAVE_NET_RING
#include <rte_eth_ring.h>
#endif
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "base/bytes.h"
#include "base/log.h"

static char dir[64]; /* own, made when needed, removed at exit */

static void dir_remove(void)
{
    if (dir[0])
        test_run("rm -rf %s", dir);
}

static const char *dir_path(void)
{
    if (!dir[0]) {
        snprintf(dir, sizeof(dir), "/tmp/ws_port_test.XXXXXX");
        CHECK(mkdtemp(dir), "mkdtemp");
        CHECK(chmod(dir, 0755) == 0, "chmod");
        atexit(dir_remove);
    }
    return dir;
}

struct ws_runtime *test_runtime(unsigned threads, const struct ws_port_config *cfg)
{
    char err[512];
    struct ws_runtime *rt;
    struct ws_runtime_config rc = {.eal = true,
                                   .threads = threads,
                                   .eal_memory_bytes =
                                       (cfg ? ws_port_pool_bytes(cfg) : 0) + (32u << 20)};
    CHECK(ws_runtime_start(&rt, &rc, err, sizeof(err)) == 0, "%s", err);
    return rt;
}

struct ws_port *test_port(const struct ws_port_config *cfg)
{
    char err[512];
    struct ws_port *port;
    CHECK(ws_port_open(&port, cfg, err, sizeof(err)) == 0, "%s", err);
    CHECK(ws_port_start(port, err, sizeof(err)) == 0, "%s", err);
    return port;
}

/* ---- capture files ---- */

/* Packet number n of a test file: its length, stamp and bytes follow from n and seed. */
static uint32_t packet_len(unsigned n, unsigned seed)
{
    return 14 + (n * 37 + seed) % 1500;
}

static int64_t packet_ts_us(unsigned n, unsigned seed)
{
    /* every 10th goes back in time */
    return INT64_C(1600000000000000) + seed + (int64_t)n * 1000003 - (n % 10 == 9 ? 5000000 : 0);
}

static unsigned char packet_byte(unsigned n, unsigned seed, uint32_t at)
{
    return (unsigned char)(n * 7 + seed * 13 + at * 3 + (at >> 8));
}

struct file_spec {
    unsigned count, seed;
    const uint32_t *lens; /* NULL: packet_len() */
    long cut;             /* bytes taken off the end */
};

static const char *file_make(const char *name, const struct file_spec *spec)
{
    static char paths[8][128];
    static unsigned used;
    char *path = paths[used++ % 8];
    uint8_t head[24] = {0};
    snprintf(path, sizeof(paths[0]), "%s/%s", dir_path(), name);
    FILE *f = fopen(path, "w");
    CHECK(f, "%s", path);
    ws_store_le32(head, 0xa1b2c3d4);
    ws_store_le16(head + 4, 2);
    ws_store_le16(head + 6, 4);
    ws_store_le32(head + 16, 262144);
    ws_store_le32(head + 20, 1);
    fwrite(head, sizeof(head), 1, f);
    for (unsigned n = 0; n < spec->count; n++) {
        const uint32_t len = spec->lens ? spec->lens[n] : packet_len(n, spec->seed);
        const int64_t us = packet_ts_us(n, spec->seed);
        ws_store_le32(head, (uint32_t)(us / 1000000));
        ws_store_le32(head + 4, (uint32_t)(us % 1000000));
        ws_store_le32(head + 8, len);
        ws_store_le32(head + 12, len);
        fwrite(head, 16, 1, f);
        for (uint32_t i = 0; i < len; i++)
            fputc(packet_byte(n, spec->seed, i), f);
    }
    fflush(f);
    if (spec->cut)
        CHECK(ftruncate(fileno(f), ftell(f) - spec->cut) == 0, "ftruncate");
    fclose(f);
    chmod(path, 0644);
    return path;
}

struct replayed {
    unsigned packets;
    int end;
};

/* Polls a queue to its end and compares everything with the file; cap_max: longer ones may be cut.
 */
static struct replayed replay(struct ws_source *src, const struct file_spec *spec)
{
    struct ws_packet pkt[WS_BURST_MAX];
    struct replayed r = {0};
    int64_t clock = 0;
    for (;;) {
        int n = ws_source_rx(src, pkt, WS_BURST_MAX);
        if (n < 0) {
            r.end = n;
            return r;
        }
        for (int i = 0; i < n; i++, r.packets++) {
            const struct ws_packet *p = &pkt[i];
            const uint32_t len =
                spec->lens ? spec->lens[r.packets] : packet_len(r.packets, spec->seed);
            const int64_t ts = packet_ts_us(r.packets, spec->seed) * 1000;
            clock = ts > clock ? ts : clock;
            CHECK(r.packets < spec->count, "too many packets");
            /* net_pcap itself loses all but the last two mbufs' worth of what is longer */
            const bool cut = len >= 2 * 65536 && p->cap_len < len;
            CHECK((cut || p->cap_len == len) && p->wire_len == len, "packet %u: %u of %u bytes",
                  r.packets, p->cap_len, len);
            CHECK(p->ts_ns == ts && p->clock_ns == clock, "packet %u: stamp", r.packets);
            CHECK(p->ordinal == r.packets && p->link_type == 1 &&
                      p->flags == (cut ? WS_PKT_SNAPPED : 0),
                  "packet %u: fields", r.packets);
            for (uint32_t b = 0; b < p->cap_len; b++)
                CHECK(p->data[b] == packet_byte(r.packets, spec->seed, b), "packet %u byte %u",
                      r.packets, b);
        }
    }
}

static int case_pcap(void)
{
    const struct file_spec spec = {.count = 1000, .seed = 3};
    char devargs[256];
    snprintf(devargs, sizeof(devargs), "net_pcap,rx_pcap=%s", file_make("one.pcap", &spec));
    struct ws_port_config cfg = {.devargs = devargs, .queues_want = 4, .promiscuous = true};
    struct ws_counters c = {0};
    struct ws_runtime *rt = test_runtime(1, &cfg);
    /* twice: nothing of the first time is left */
    for (int round = 0; round < 2; round++) {
        struct ws_port *port = test_port(&cfg);
        const struct ws_port_info *info = ws_port_info(port);
        struct ws_source *src = ws_port_queue(port, 0);
        CHECK(info->replay && info->queues == 1 && !info->rss && !info->hw_timestamps,
              "properties");
        CHECK(strcmp(info->name, "net_pcap0") == 0 && strcmp(info->driver, "net_pcap") == 0,
              "%s %s", info->name, info->driver);
        CHECK(src->can_wait && !src->stable && !src->damaged, "source");
        CHECK(ws_port_queue(port, 1) == NULL, "a second queue");
        struct replayed r = replay(src, &spec);
        CHECK(r.packets == 1000 && r.end == WS_SOURCE_END && !src->damaged, "%u packets",
              r.packets);
        CHECK(src->bytes_total > 0 && src->bytes_done == src->bytes_total, "progress");
        CHECK(ws_source_rx(src, &(struct ws_packet){0}, 1) == WS_SOURCE_END, "after the end");
        src->ops->stats(src, &c);
        CHECK(ws_count_get(&c, WS_C_PORT_NOMBUF) == 0 && ws_count_get(&c, WS_C_PORT_ERRORS) == 0,
              "losses");
        unsigned n;
        const struct ws_source_iface *iface = src->ops->ifaces(src, &n);
        CHECK(n == 1 && iface->received == 1000 && iface->dropped == 0, "interface");
        ws_port_close(port);
    }
    ws_runtime_stop(rt);
    return 0;
}

/* Three files in one device give three queues, though one was asked for: none is silently left out.
 */
static int case_pcap_files(void)
{
    const struct file_spec spec[3] = {
        {.count = 100, .seed = 1}, {.count = 0, .seed = 2}, {.count = 300, .seed = 9}};
    char devargs[512];
    snprintf(devargs, sizeof(devargs), "net_pcap7,rx_pcap=%s,rx_pcap=%s,rx_pcap=%s",
             file_make("a.pcap", &spec[0]), file_make("b.pcap", &spec[1]),
             file_make("c.pcap", &spec[2]));
    struct ws_port_config cfg = {.devargs = devargs, .queues_want = 1};
    struct ws_runtime *rt = test_runtime(1, &cfg);
    struct ws_port *port = test_port(&cfg);
    CHECK(ws_port_info(port)->queues == 3, "%u queues", ws_port_info(port)->queues);
    for (uint16_t q = 0; q < 3; q++) {
        struct replayed r = replay(ws_port_queue(port, q), &spec[q]);
        CHECK(r.packets == spec[q].count, "queue %u: %u packets", q, r.packets);
    }
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}

struct lane {
    struct ws_source *src;
    const struct file_spec *spec;
    unsigned packets;
};

static int lane_main(void *arg)
{
    struct lane *l = arg;
    l->packets = replay(l->src, l->spec).packets;
    return 42;
}

/* Four queues and two idle threads on however many CPUs there are; two devices. */
static int case_pcap_threads(void)
{
    const struct file_spec spec[4] = {{.count = 2000, .seed = 1},
                                      {.count = 1500, .seed = 2},
                                      {.count = 1000, .seed = 3},
                                      {.count = 1, .seed = 4}};
    char devargs[2][512];
    struct lane lane[4];
    struct ws_port *port[2];
    snprintf(devargs[0], 512, "net_pcap,rx_pcap=%s,rx_pcap=%s", file_make("a.pcap", &spec[0]),
             file_make("b.pcap", &spec[1]));
    snprintf(devargs[1], 512, "net_pcap,rx_pcap=%s,rx_pcap=%s", file_make("c.pcap", &spec[2]),
             file_make("d.pcap", &spec[3]));
    struct ws_port_config cfg[2] = {{.devargs = devargs[0], .device_id = 0},
                                    {.devargs = devargs[1], .device_id = 1}};
    char err[512];
    struct ws_runtime *rt;
    struct ws_runtime_config rc = {.eal = true,
                                   .threads = 6,
                                   .eal_memory_bytes =
                                       ws_port_pool_bytes(&cfg[0]) + ws_port_pool_bytes(&cfg[1])};
    CHECK(ws_runtime_start(&rt, &rc, err, sizeof(err)) == 0, "%s", err);
    for (int i = 0; i < 2; i++)
        port[i] = test_port(&cfg[i]);
    CHECK(strcmp(ws_port_info(port[1])->name, "net_pcap1") == 0, "%s", ws_port_info(port[1])->name);
    for (unsigned i = 0; i < 4; i++) {
        lane[i] =
            (struct lane){.src = ws_port_queue(port[i / 2], (uint16_t)(i % 2)), .spec = &spec[i]};
        CHECK(ws_runtime_launch(rt, i + 1, "lane", lane_main, &lane[i]) == 0, "launch");
    }
    for (unsigned i = 0; i < 4; i++) {
        CHECK(ws_runtime_join(rt, i + 1) == 42, "join");
        CHECK(lane[i].packets == spec[i].count, "lane %u: %u", i, lane[i].packets);
    }
    uint8_t *table = ws_runtime_alloc(rt, 10u << 20, 0);
    CHECK(table && table[0] == 0 && (uintptr_t)table % 4096 == 0, "memory");
    table[(10u << 20) - 1] = 1;
    for (int i = 0; i < 2; i++)
        ws_port_close(port[i]);
    ws_runtime_stop(rt);
    return 0;
}

/* A file that ends in the middle of a record: what is whole is delivered, then the end, marked
 * damaged. */
static int case_pcap_damaged(void)
{
    const struct file_spec spec = {.count = 100, .seed = 5, .cut = 7};
    char devargs[256];
    snprintf(devargs, sizeof(devargs), "net_pcap,rx_pcap=%s", file_make("cut.pcap", &spec));
    struct ws_port_config cfg = {.devargs = devargs};
    struct ws_runtime *rt = test_runtime(1, &cfg);
    struct ws_port *port = test_port(&cfg);
    struct ws_source *src = ws_port_queue(port, 0);
    struct replayed r = replay(src, &spec);
    CHECK(r.packets == 99 && r.end == WS_SOURCE_END && src->damaged, "%u packets, damaged %d",
          r.packets, src->damaged);
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}

/* Packets beyond an mbuf's 65,535 bytes come in chains and are laid out whole. */
static int case_pcap_jumbo(void)
{
    static const uint32_t lens[] = {60,    9014,  65000,  65407, 65408,  65535,
                                    65536, 70000, 200000, 60,    262144, 1500};
    const struct file_spec spec = {.count = 12, .seed = 8, .lens = lens};
    char devargs[256];
    snprintf(devargs, sizeof(devargs), "net_pcap,rx_pcap=%s", file_make("jumbo.pcap", &spec));
    struct ws_port_config cfg = {.devargs = devargs};
    struct ws_counters c = {0};
    struct ws_runtime *rt = test_runtime(1, &cfg);
    struct ws_port *port = test_port(&cfg);
    struct ws_source *src = ws_port_queue(port, 0);
    struct replayed r = replay(src, &spec);
    CHECK(r.packets == spec.count, "%u packets", r.packets);
    src->ops->stats(src, &c);
    src->ops->stats(src, &c); /* adds what is new only */
    CHECK(ws_count_get(&c, WS_C_PORT_CHAINED) == 6, "%llu chained",
          (unsigned long long)ws_count_get(&c, WS_C_PORT_CHAINED));
    CHECK(ws_count_get(&c, WS_C_PORT_CHAIN_CUT) == 0, "cut");
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}

static int case_pcap_infinite(void)
{
    const struct file_spec spec = {.count = 700, .seed = 5};
    char devargs[256];
    snprintf(devargs, sizeof(devargs), "net_pcap,rx_pcap=%s,infinite_rx=1",
             file_make("loop.pcap", &spec));
    struct ws_port_config cfg = {.devargs = devargs};
    static struct ws_packet pkt[WS_BURST_MAX];
    struct ws_runtime *rt = test_runtime(1, &cfg);
    struct ws_port *port = test_port(&cfg);
    struct ws_source *src = ws_port_queue(port, 0);
    CHECK(!ws_port_info(port)->replay && !src->can_wait, "taken for a replay");
    for (unsigned at = 0; at < 5000;) {
        int n = ws_source_rx(src, pkt, WS_BURST_MAX);
        CHECK(n >= 0, "ended");
        for (int i = 0; i < n; i++, at++) {
            const unsigned k = at % spec.count;
            CHECK(pkt[i].cap_len == packet_len(k, 5) && pkt[i].data[13] == packet_byte(k, 5, 13),
                  "packet %u", at);
            CHECK(pkt[i].ts_ns > INT64_C(1700000000000000000), "stamp");
        }
    }
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}

/* Too few buffers: net_pcap loses packets then; each is counted, and the end is still found. */
static int case_pcap_no_buffers(void)
{
    const struct file_spec spec = {.count = 5000, .seed = 5};
    char devargs[256];
    snprintf(devargs, sizeof(devargs), "net_pcap,rx_pcap=%s", file_make("many.pcap", &spec));
    struct ws_port_config cfg = {.devargs = devargs, .mbufs = 31};
    static struct ws_packet pkt[WS_BURST_MAX];
    struct ws_counters c = {0};
    struct ws_runtime *rt = test_runtime(1, &cfg);
    struct ws_port *port = test_port(&cfg);
    struct ws_source *src = ws_port_queue(port, 0);
    unsigned got = 0;
    for (int n; (n = ws_source_rx(src, pkt, WS_BURST_MAX)) >= 0;)
        got += (unsigned)n;
    src->ops->stats(src, &c);
    const uint64_t lost = ws_count_get(&c, WS_C_PORT_NOMBUF);
    CHECK(lost > 0 && got + lost == spec.count, "%u received, %llu lost", got,
          (unsigned long long)lost);
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}

/* ---- errors ---- */

static void expect_error(const char *devargs, const char *word, int code)
{
    char err[512] = "";
    struct ws_port *port = NULL;
    struct ws_port_config cfg = {.devargs = devargs, .queues_want = 1};
    int rc = ws_port_open(&port, &cfg, err, sizeof(err));
    printf("%d: %s\n", rc, err);
    CHECK(rc < 0 && port == NULL, "%s was opened", devargs);
    CHECK(code == 0 || rc == code, "%s: %d, not %d", devargs, rc, code);
    CHECK(devargs[0] == '\0' || strstr(err, devargs), "the message does not name %s: %s", devargs,
          err);
    CHECK(strstr(err, word), "the message does not say '%s': %s", word, err);
    CHECK(!strchr(err, '\n'), "more than a line: %s", err);
}

static int case_errors(void)
{
    const struct file_spec spec = {.count = 10, .seed = 1};
    char devargs[256], text[256];
    snprintf(devargs, sizeof(devargs), "net_pcap0,rx_pcap=%s", file_make("fine.pcap", &spec));
    struct ws_port_config cfg = {.devargs = devargs};
    struct ws_runtime *rt = test_runtime(1, &cfg);
    struct ws_runtime *second;
    char err[512];
    struct ws_runtime_config rc = {.eal = true, .threads = 1};
    CHECK(ws_runtime_start(&second, &rc, err, sizeof(err)) == -EALREADY, "a second EAL");
    expect_error("", "no device name", -EINVAL);
    expect_error("net_pcap,rx_pcap=/nonexistent/x.pcap", "No such file", -ENOENT);
    snprintf(text, sizeof(text), "net_pcap,rx_pcap=%s", dir_path());
    expect_error(text, "directory", 0);
    expect_error("net_pcap,rx_pcap=/proc/self/exe", "format", 0);
    expect_error("net_nonsense", "no such device", 0);
    expect_error("0000:fe:1f.7", "no such device", 0);
    expect_error("net_af_packet,iface=wsnoif", "", 0);
    expect_error("net_pcap,rx_iface=wsnoif", "", 0);
    struct ws_port *port = test_port(&cfg);
    expect_error(devargs, "already in use", -EBUSY);
    CHECK(replay(ws_port_queue(port, 0), &spec).packets == 10, "after the errors");
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}

static int case_eal_arguments(void)
{
    char err[512] = "";
    struct ws_runtime *rt;
    struct ws_runtime_config rc = {.eal = true, .threads = 3, .eal_args = "--file-prefix 'open"};
    CHECK(ws_runtime_start(&rt, &rc, err, sizeof(err)) == -EINVAL && strstr(err, "quote"), "%s",
          err);
    int none[3] = {-1, 5000, -1};
    rc = (struct ws_runtime_config){.eal = true, .threads = 3, .cpu = none};
    CHECK(ws_runtime_start(&rt, &rc, err, sizeof(err)) == -EINVAL && strstr(err, "5000"), "%s",
          err);
    /* the user's arguments win: memory mode, lcores; and a device that EAL itself makes can be used
     */
    rc = (struct ws_runtime_config){
        .eal = true,
        .threads = 2,
        .eal_args =
            "--no-huge --no-shconf -m 64 --lcores '3@0,5@0,7@0' \"--vdev=net_null4,size=80\""};
    CHECK(ws_runtime_start(&rt, &rc, err, sizeof(err)) == 0, "%s", err);
    struct ws_port_config cfg = {
        .devargs = "net_null4", .queues_want = 1, .mbufs = 500, .descriptors = 64};
    struct ws_port *port = test_port(&cfg);
    struct ws_packet pkt[4];
    CHECK(ws_source_rx(ws_port_queue(port, 0), pkt, 4) == 4 && pkt[3].cap_len == 80, "net_null4");
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}

static int case_eal_bad_argument(void)
{
    char err[512] = "";
    struct ws_runtime *rt;
    struct ws_runtime_config rc = {.eal = true, .threads = 1, .eal_args = "--no-such-option"};
    CHECK(ws_runtime_start(&rt, &rc, err, sizeof(err)) < 0, "started");
    printf("%s\n", err);
    CHECK(strlen(err) > 10 && !strchr(err, '\n'), "%s", err);
    return 0;
}

static int case_eal_few_lcores(void)
{
    char err[512] = "";
    struct ws_runtime *rt;
    struct ws_runtime_config rc = {.eal = true, .threads = 3, .eal_args = "--lcores 0@0,1@0"};
    CHECK(ws_runtime_start(&rt, &rc, err, sizeof(err)) == -EINVAL && strstr(err, "3 are needed"),
          "%s", err);
    return 0;
}

/* Two processes at once do not get in each other's way. */
static int case_two_processes(void)
{
    (void)dir_path();
    pid_t pid[2];
    for (int i = 0; i < 2; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            const struct file_spec spec = {.count = 20000, .seed = 3};
            char devargs[256], name[32];
            snprintf(name, sizeof(name), "p%d.pcap", i);
            snprintf(devargs, sizeof(devargs), "net_pcap0,rx_pcap=%s", file_make(name, &spec));
            struct ws_port_config cfg = {.devargs = devargs};
            struct ws_runtime *rt = test_runtime(2, &cfg);
            struct ws_port *port = test_port(&cfg);
            CHECK(replay(ws_port_queue(port, 0), &spec).packets == spec.count, "packets");
            sleep(1); /* both are up for a while */
            ws_port_close(port);
            ws_runtime_stop(rt);
            _exit(0);
        }
    }
    for (int i = 0; i < 2; i++) {
        int st;
        CHECK(waitpid(pid[i], &st, 0) == pid[i] && st == 0, "process %d: %x", i, st);
    }
    return 0;
}

/* An ordinary user without hugepages replays. */
static int case_unprivileged(void)
{
    (void)dir_path();
    const struct file_spec spec = {.count = 500, .seed = 3};
    char devargs[256];
    snprintf(devargs, sizeof(devargs), "net_pcap,rx_pcap=%s", file_make("user.pcap", &spec));
    if (geteuid() == 0) {
        pid_t pid = fork();
        if (pid > 0) {
            int st;
            CHECK(waitpid(pid, &st, 0) == pid && st == 0, "as nobody: %x", st);
            return 0;
        }
        dir[0] = '\0'; /* the parent removes it */
        CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0, "setuid");
    }
    struct ws_port_config cfg = {.devargs = devargs};
    struct ws_runtime *rt = test_runtime(2, &cfg);
    struct ws_port *port = test_port(&cfg);
    CHECK(replay(ws_port_queue(port, 0), &spec).packets == spec.count, "packets");
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}

#if WS_HAVE_NET_RING
/* ---- net_ring: what only a driver can hand us is made by hand ---- */

static struct rte_mbuf *ring_frame(struct rte_mempool *pool, unsigned n, uint16_t len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
    CHECK(m, "no mbuf");
    char *d = rte_pktmbuf_append(m, len);
    CHECK(d, "append");
    memset(d, 0, len);
    d[12] = 0x08;
    d[14] = (char)n;
    return m;
}

/* A buffer of another pool, one that somebody else holds too, and a clone, each in a burst with a plain one: each goes
 * where it belongs, and nowhere before its last owner is through with it. */
static void ring_owners(struct rte_mempool *pool, struct rte_ring *ring, struct ws_source *src)
{
    static struct ws_packet pkt[WS_BURST_MAX];
    struct rte_mempool *other = rte_pktmbuf_pool_create("other", 63, 0, 0, 2176, SOCKET_ID_ANY);
    CHECK(other, "pool");
    struct rte_mbuf *shared = ring_frame(pool, 1, 60), *cloned = ring_frame(pool, 2, 60);
    rte_mbuf_refcnt_update(shared, 1);
    struct rte_mbuf *odd[] = {ring_frame(other, 0, 60), shared, rte_pktmbuf_clone(cloned, other)};
    for (unsigned i = 0; i < 3; i++) {
        CHECK(odd[i] && rte_ring_enqueue(ring, ring_frame(pool, 9, 60)) == 0 && rte_ring_enqueue(ring, odd[i]) == 0, "enqueue");
        CHECK(ws_source_rx(src, pkt, WS_BURST_MAX) == 2 && pkt[1].data[14] == (uint8_t)i, "burst %u", i);
        CHECK(ws_source_rx(src, pkt, WS_BURST_MAX) == 0, "burst");
    }
    CHECK(rte_mempool_in_use_count(other) == 0, "%u of the other pool kept", rte_mempool_in_use_count(other));
    CHECK(rte_mempool_in_use_count(pool) == 2, "%u buffers kept", rte_mempool_in_use_count(pool));
    CHECK(rte_mbuf_refcnt_read(shared) == 1 && rte_mbuf_refcnt_read(cloned) == 1, "owners");
    rte_pktmbuf_free(shared);
    rte_pktmbuf_free(cloned);
    CHECK(rte_mempool_in_use_count(pool) == 0, "%u buffers kept", rte_mempool_in_use_count(pool));
    rte_mempool_free(other);
}

static int case_ring(void)
{
    static struct ws_packet pkt[WS_BURST_MAX];
    struct ws_runtime *rt = test_runtime(1, NULL);
    struct rte_mempool *pool = rte_pktmbuf_pool_create("feed", 255, 0, 0, 2176, SOCKET_ID_ANY);
    struct rte_ring *ring[2];
    CHECK(pool, "pool");
    ring[0] = rte_ring_create("r0", 256, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    ring[1] = rte_ring_create("r1", 256, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    CHECK(ring[0] && ring[1], "rings");
    CHECK(rte_eth_from_rings("wsring", ring, 2, ring, 2, 0) >= 0, "rte_eth_from_rings");
    struct ws_port_config cfg = {
        .devargs = "net_ring_wsring", .queues_want = 1, .descriptors = 64, .mbufs = 300};
    struct ws_port *port = test_port(&cfg);
    CHECK(ws_port_info(port)->queues == 2, "%u queues", ws_port_info(port)->queues);
    CHECK(!ws_port_rss_seen(port), "hash seen too early");

    /* queue 0: 100 plain frames in two bursts; buffers come back one rx later */
    for (unsigned i = 0; i < 100; i++) {
        struct rte_mbuf *m = ring_frame(pool, i, (uint16_t)(60 + i));
        CHECK(rte_ring_enqueue(ring[0], m) == 0, "enqueue");
    }
    struct ws_source *src = ws_port_queue(port, 0);
    unsigned got = 0;
    for (int n; (n = ws_source_rx(src, pkt, WS_BURST_MAX)) > 0;)
        for (int i = 0; i < n; i++, got++)
            CHECK(pkt[i].cap_len == 60 + got && pkt[i].data[14] == got && pkt[i].ordinal == got &&
                      pkt[i].flags == 0,
                  "frame %u", got);
    CHECK(got == 100, "%u frames", got);
    CHECK(rte_mempool_in_use_count(pool) == 0, "%u buffers kept", rte_mempool_in_use_count(pool));
    CHECK(ws_source_rx(src, pkt, WS_BURST_MAX) == 0, "a live port ended");

    ring_owners(pool, ring[0], src);

    /* queue 1: stripped tags, a chain, a chain that promises more than it has, hash and checksum
     * flags */
    src = ws_port_queue(port, 1);
    struct rte_mbuf *vlan = ring_frame(pool, 1, 60), *qinq = ring_frame(pool, 2, 60);
    struct rte_mbuf *chain = ring_frame(pool, 3, 1000), *liar = ring_frame(pool, 4, 1000);
    struct rte_mbuf *hashed = ring_frame(pool, 5, 60), *local = ring_frame(pool, 6, 60);
    vlan->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    vlan->vlan_tci = 0x6123;
    qinq->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_QINQ |
                      RTE_MBUF_F_RX_QINQ_STRIPPED;
    qinq->vlan_tci = 7;
    qinq->vlan_tci_outer = 9;
    for (unsigned i = 0; i < 3; i++) {
        struct rte_mbuf *more = ring_frame(pool, 10 + i, 500);
        CHECK(rte_pktmbuf_chain(chain, more) == 0, "chain");
    }
    liar->next = ring_frame(pool, 20, 300);
    liar->nb_segs = 2;
    liar->pkt_len = 90000;
    hashed->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
    local->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
    struct rte_mbuf *all[] = {vlan, qinq, chain, liar, hashed, local};
    for (unsigned i = 0; i < 6; i++)
        CHECK(rte_ring_enqueue(ring[1], all[i]) == 0, "enqueue");
    CHECK(ws_source_rx(src, pkt, WS_BURST_MAX) == 6, "burst");
    CHECK(pkt[0].cap_len == 64 && ws_load_be32(pkt[0].data + 12) == 0x81006123 &&
              ws_load_be16(pkt[0].data + 16) == 0x0800 && pkt[0].data[18] == 1,
          "tag");
    CHECK(pkt[1].cap_len == 68 && ws_load_be32(pkt[1].data + 12) == 0x88a80009 &&
              ws_load_be32(pkt[1].data + 16) == 0x81000007 && pkt[1].data[22] == 2,
          "two tags");
    CHECK(pkt[2].cap_len == 2500 && pkt[2].wire_len == 2500 && pkt[2].data[14] == 3 &&
              pkt[2].data[1000 + 14] == 10 && pkt[2].data[2000 + 14] == 12,
          "chain");
    CHECK(pkt[3].cap_len == 1300 && pkt[3].wire_len == 90000 && (pkt[3].flags & WS_PKT_SNAPPED),
          "chain with a wrong length: %u", pkt[3].cap_len);
    CHECK(pkt[5].flags == WS_PKT_SUM_UNKNOWN && pkt[4].flags == 0, "flags");
    CHECK(ws_port_rss_seen(port), "hash not seen");
    ws_port_close(port);
    CHECK(rte_mempool_in_use_count(pool) == 0, "%u buffers kept", rte_mempool_in_use_count(pool));
    rte_ring_free(ring[0]);
    rte_ring_free(ring[1]);
    rte_mempool_free(pool);
    ws_runtime_stop(rt);
    return 0;
}
#else
static int case_ring(void)
{
    printf("skipped: no library of the net_ring driver to link with\n");
    return SKIP;
}
#endif

static int case_null(void)
{
    static struct ws_packet pkt[WS_BURST_MAX];
    struct ws_port_config cfg = {.devargs = "net_null,size=128,copy=1",
                                 .queues_want = 2,
                                 .promiscuous = true,
                                 .hw_timestamps = true};
    struct ws_runtime *rt = test_runtime(1, &cfg);
    struct ws_port *port = test_port(&cfg);
    const struct ws_port_info *info = ws_port_info(port);
    CHECK(info->queues == 2 && !info->replay && !info->hw_timestamps, "properties");
    for (uint16_t q = 0; q < 2; q++) {
        struct ws_source *src = ws_port_queue(port, q);
        for (int i = 0; i < 1000; i++) {
            CHECK(ws_source_rx(src, pkt, WS_BURST_MAX) == WS_BURST_MAX, "burst %d", i);
            CHECK(pkt[0].cap_len == 128 && pkt[63].ordinal == (uint64_t)i * 64 + 63, "packet");
            CHECK(pkt[0].clock_ns > 0 && pkt[63].clock_ns >= pkt[0].clock_ns, "clock");
        }
    }
    /* it offers RSS, takes the key and hashes nothing */
    CHECK(info->rss && !ws_port_rss_seen(port), "RSS %d", info->rss);
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {
        {"pcap", case_pcap},
        {"pcap_files", case_pcap_files},
        {"pcap_threads", case_pcap_threads},
        {"pcap_damaged", case_pcap_damaged},
        {"pcap_jumbo", case_pcap_jumbo},
        {"pcap_infinite", case_pcap_infinite},
        {"pcap_no_buffers", case_pcap_no_buffers},
        {"errors", case_errors},
        {"eal_arguments", case_eal_arguments},
        {"eal_bad_argument", case_eal_bad_argument},
        {"eal_few_lcores", case_eal_few_lcores},
        {"two_processes", case_two_processes},
        {"unprivileged", case_unprivileged},
        {"ring", case_ring},
        {"null", case_null},
        {"af_packet", case_af_packet},
        {"af_packet_queues", case_af_packet_queues},
        {"af_xdp", case_af_xdp},
        {"gone", case_gone},
        {"pcap_iface", case_pcap_iface},
        {"tap", case_tap},
    };
    if (argc == 2)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
            if (strcmp(argv[1], cases[i].name) == 0)
                return cases[i].run();
    fprintf(stderr, "usage: port_test CASE\n");
    return 2;
}
