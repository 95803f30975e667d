/* SPDX-License-Identifier: BSD-3-Clause */
/* The program with a net_ring device that always has packets: capture to disk from a ring instead of a file in memory.
 *
 * Linked into the program with -Wl,--wrap. The device "lab" is made before the program opens it; its ring is filled by the thread
 * that polls it, before each poll, so that the making of the frames counts for that thread, as the receiving does.
 *
 *   ws-bench-capture-ring SIZE,SIZE,... WORDS OF THE PROGRAM...      --dev net_ring_lab is the device; sizes in turn
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "engine/receive.h"
#include "frames.h"
#include "source/port.h"

/* Few buffers, so that they stay in the cache, as a NIC's do with direct cache access. */
enum { RING = 512, MBUFS = 2047, CACHE = 128, SIZES_MAX = 64, BURST = 64, FLOWS = 8192 };

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);
int __real_ws_port_open(struct ws_port **p, const struct ws_port_config *cfg, char *err, size_t err_len);
int __wrap_ws_port_open(struct ws_port **p, const struct ws_port_config *cfg, char *err, size_t err_len);
unsigned __real_ws_receive_poll(struct ws_receive *r);
unsigned __wrap_ws_receive_poll(struct ws_receive *r);

static struct ws_bench_frames frames[SIZES_MAX]; /* in the order of the sizes */
static unsigned sizes, turn;
static struct rte_mempool *pool;
static struct rte_ring *ring;

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "ws-bench-capture-ring: %s\n", what);
    exit(3);
}

static void prepare(struct rte_mempool *mp, void *arg, void *obj, unsigned i)
{
    const struct ws_bench_frames longest = {.frame_len = WS_BENCH_FRAME_MAX};
    struct rte_mbuf *m = obj;
    (void)mp, (void)arg, (void)i;
    ws_bench_frames_prepare(&longest, (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM);
}

unsigned __wrap_ws_receive_poll(struct ws_receive *r)
{
    struct rte_mbuf *m[BURST];
    if (rte_ring_free_count(ring) >= BURST && rte_pktmbuf_alloc_bulk(pool, m, BURST) == 0) {
        for (unsigned i = 0; i < BURST; i++) {
            struct ws_bench_frames *f = &frames[turn];
            turn = turn + 1 == sizes ? 0 : turn + 1;
            m[i]->data_len = (uint16_t)f->frame_len;
            m[i]->pkt_len = f->frame_len;
            ws_bench_frames_next(f, rte_pktmbuf_mtod(m[i], uint8_t *));
        }
        rte_ring_sp_enqueue_bulk(ring, (void **)m, BURST, NULL);
    }
    return __real_ws_receive_poll(r);
}

int __wrap_ws_port_open(struct ws_port **p, const struct ws_port_config *cfg, char *err, size_t err_len)
{
    pool = rte_pktmbuf_pool_create("lab", MBUFS, CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    ring = rte_ring_create("lab", RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    need(pool && ring && rte_eth_from_rings("lab", &ring, 1, &ring, 1, 0) >= 0, "no port on a ring");
    rte_mempool_obj_iter(pool, prepare, NULL);
    return __real_ws_port_open(p, cfg, err, err_len);
}

int __wrap_main(int argc, char **argv)
{
    need(argc > 2, "usage: ws-bench-capture-ring SIZE,... WORDS...");
    for (char *save = NULL, *word = strtok_r(argv[1], ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        unsigned long n = strtoul(word, NULL, 10);
        need(n >= WS_BENCH_FRAME_MIN && n <= WS_BENCH_FRAME_MAX && sizes < SIZES_MAX, "sizes are 60 to 1514, 64 of them at most");
        frames[sizes] = (struct ws_bench_frames){.flows = FLOWS, .frame_len = (uint32_t)n, .one_way = true};
        ws_bench_frames_init(&frames[sizes++]);
    }
    argv[1] = argv[0];
    return __real_main(argc - 1, argv + 1);
}
