/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames through net_ring: mbufs whose constant bytes were written once, made anew with each use. */
#include "ring_source.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_memory.h>
#include <rte_pause.h>
#include <rte_ring.h>

#include "source/port.h"

/* Few, so that mbufs stay in the cache, as a NIC's do with direct cache access. */
enum { RING = 512, MBUFS = 2047, CACHE = 128 };

struct ws_bench_ring_source {
    struct ws_runtime *rt;
    struct ws_bench_frames frames;
    uint64_t left;
    enum ws_bench_ring who;
    struct rte_mempool *pool;
    struct rte_ring *ring;
    struct ws_port *port;
    struct ws_source *queue;
    _Atomic bool stop;
};

static void prepare(struct rte_mempool *pool, void *frames, void *obj, unsigned i)
{
    struct rte_mbuf *m = obj;
    (void)pool, (void)i;
    ws_bench_frames_prepare(frames, (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM);
}

static int ask_large_pages(const struct rte_memseg_list *msl, void *arg)
{
    (void)arg;
    (void)madvise(msl->base_va, msl->len, MADV_HUGEPAGE);
    return 0;
}

/* Puts up to n frames into the ring; those that find no room are made again next time. */
static unsigned fill(struct ws_bench_ring_source *r, unsigned n)
{
    struct rte_mbuf *m[WS_BURST_MAX];
    if (n > rte_ring_free_count(r->ring) || rte_pktmbuf_alloc_bulk(r->pool, m, n) != 0)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        m[i]->data_len = (uint16_t)r->frames.frame_len;
        m[i]->pkt_len = r->frames.frame_len;
        ws_bench_frames_next(&r->frames, rte_pktmbuf_mtod(m[i], uint8_t *));
    }
    return rte_ring_sp_enqueue_bulk(r->ring, (void **)m, n, NULL);
}

static int generator_main(void *arg)
{
    struct ws_bench_ring_source *r = arg;
    while (r->left && !atomic_load_explicit(&r->stop, memory_order_relaxed)) {
        unsigned n = fill(r, (unsigned)WS_MIN(r->left, WS_BURST_MAX));
        if (!n)
            rte_pause();
        r->left -= n;
    }
    return 0;
}

struct ws_bench_ring_source *ws_bench_ring_open(struct ws_runtime *rt, const struct ws_bench_frames *f, uint64_t n,
                                                enum ws_bench_ring who, char *err, size_t err_len)
{
    struct ws_bench_ring_source *r = calloc(1, sizeof(*r));
    if (!r)
        abort();
    *r = (struct ws_bench_ring_source){.rt = rt, .frames = *f, .left = n, .who = who};
    if (!ws_runtime_has_hugepages(rt))
        rte_memseg_list_walk(ask_large_pages, NULL);
    r->pool = rte_pktmbuf_pool_create("bench", MBUFS, CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    r->ring = rte_ring_create("bench", RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (!r->pool || !r->ring || rte_eth_from_rings("bench", &r->ring, 1, &r->ring, 1, 0) < 0) {
        snprintf(err, err_len, "no port on a ring");
        free(r);
        return NULL;
    }
    rte_mempool_obj_iter(r->pool, prepare, &r->frames);
    const struct ws_port_config cfg = {.devargs = "net_ring_bench", .queues_want = 1, .descriptors = 64, .mbufs = 300};
    if (ws_port_open(&r->port, &cfg, err, err_len) < 0 || ws_port_start(r->port, err, err_len) < 0) {
        free(r);
        return NULL;
    }
    r->queue = ws_port_queue(r->port, 0);
    if (who == WS_BENCH_RING_OTHER && ws_runtime_launch(rt, 1, "generator", generator_main, r) < 0) {
        snprintf(err, err_len, "no thread for the generator");
        free(r);
        return NULL;
    }
    return r;
}

int ws_bench_ring_rx(struct ws_bench_ring_source *r, struct ws_packet *pkt, unsigned n)
{
    if (r->who == WS_BENCH_RING_SAME)
        fill(r, n);
    return ws_source_rx(r->queue, pkt, n);
}

void ws_bench_ring_close(struct ws_bench_ring_source *r)
{
    atomic_store_explicit(&r->stop, true, memory_order_relaxed);
    if (r->who == WS_BENCH_RING_OTHER)
        ws_runtime_join(r->rt, 1);
    ws_port_stop(r->port);
    ws_port_close(r->port);
    free(r);
}
