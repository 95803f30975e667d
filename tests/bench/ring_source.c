/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames through net_ring: mbufs whose constant bytes were written once, made anew with each use. */
#include "ring_source.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_pause.h>
#include <rte_ring.h>

#include "source/port.h"

/* So few that their lines stay in the caches, as a NIC's do with direct cache access. PAUSES until a full ring is looked at
 * again, whose end the receiver writes. */
enum { RING = 1024, MBUFS = 4095, CACHE = 256, PAUSES = 20 };

#if defined(__x86_64__)
#define TARGET __attribute__((target("prfchw"))) /* else asking for a line to write it means to read it */
#else
#define TARGET
#endif

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

/* The pool of who fills the ring; one thread takes from it, one gives back. Without hugepages of DPDK's the buffers lie in the
 * runtime's memory, which asks for large pages: DPDK's own shared memory has none then. */
static struct rte_mempool *make_pool(struct ws_runtime *rt)
{
    const struct rte_pktmbuf_pool_private sizes = {.mbuf_data_room_size = RTE_MBUF_DEFAULT_BUF_SIZE};
    const unsigned element = sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE;
    struct rte_mempool_objsz size;
    struct rte_mempool *pool = rte_mempool_create_empty("bench", MBUFS, element, CACHE, sizeof(sizes), SOCKET_ID_ANY,
                                                        RTE_MEMPOOL_F_NO_IOVA_CONTIG); /* no device reads them */
    if (!pool || rte_mempool_set_ops_byname(pool, "ring_sp_sc", NULL) != 0)
        return NULL;
    rte_pktmbuf_pool_init(pool, (void *)(uintptr_t)&sizes);
    rte_mempool_calc_obj_size(element, 0, &size);
    const size_t bytes = (size_t)size.total_size * (MBUFS + 1);
    void *mem = ws_runtime_has_hugepages(rt) ? NULL : ws_runtime_alloc(rt, bytes, -1);
    const int n = mem ? rte_mempool_populate_iova(pool, mem, RTE_BAD_IOVA, bytes, NULL, NULL) : rte_mempool_populate_default(pool);
    if (n != MBUFS)
        return NULL;
    rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
    return pool;
}

/* Puts n frames into the ring, or none while it has no room. Buffers are filled in as drivers of NICs do it: straight from the
 * pool, the first line of each alone; asked for to be written, so that those in the other core's cache come side by side. */
TARGET static unsigned fill(struct ws_bench_ring_source *r, unsigned n)
{
    struct rte_mbuf *m[WS_BURST_MAX];
    if (n > rte_ring_free_count(r->ring) || rte_mempool_get_bulk(r->pool, (void **)m, n) != 0)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        __builtin_prefetch(m[i], 1);
        __builtin_prefetch((const uint8_t *)(m[i] + 1) + RTE_PKTMBUF_HEADROOM, 1);
    }
    for (unsigned i = 0; i < n; i++) {
        m[i]->data_off = RTE_PKTMBUF_HEADROOM;
        rte_mbuf_refcnt_set(m[i], 1);
        m[i]->nb_segs = 1;
        m[i]->port = 0;
        m[i]->ol_flags = 0;
        m[i]->packet_type = 0;
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
        for (unsigned i = 0; !n && i < PAUSES; i++)
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
    r->pool = make_pool(rt);
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
