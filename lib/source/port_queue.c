/* SPDX-License-Identifier: BSD-3-Clause */
/* One RX queue as a source: bursts of mbufs become packet descriptors; the data path of ports. */
#define ALLOW_EXPERIMENTAL_API /* rte_eth_read_clock, experimental until DPDK 24 */

#include "source/port_impl.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_mbuf_dyn.h>

#include "base/log.h"

/* net_pcap is at its end after this many empty polls with no error counted between them: it has no
 * other sign, and an empty pool or a read error also gives an empty poll. */
#define EOF_EMPTY_POLLS 3u

/* An empty poll that counts an error each time is a file that cannot be read on. */
#define EOF_TROUBLED_POLLS 64u

/* A us stamp has this size in the year 5138, a ns stamp in 1973: net_pcap gives us up to DPDK 24.11
 * and ns on request later. */
#define STAMP_NS_MIN UINT64_C(100000000000000000)

/* How often a hardware clock is compared with the system's. */
#define HW_CALIBRATE_NS INT64_C(1000000000)

/* Asking a NIC for its totals costs microseconds; an idle queue asks this often at most. */
#define STATS_PER_S 1000u

/* How often to look whether the device is still there. */
#define GONE_PER_S 2u

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void calibrate(struct ws_port_queue *q, int64_t now)
{
    uint64_t ticks;
    if (rte_eth_read_clock(q->port_id, &ticks) == 0)
        ws_port_clock_update(&q->hw, ticks, now);
    /* the second reading soon after the first, then at leisure */
    q->hw_next_ns = now + (ws_port_clock_ready(&q->hw) ? HW_CALIBRATE_NS : HW_CALIBRATE_NS / 20);
}

/* The stamp of an mbuf, or now where it has none. */
static int64_t stamp(struct ws_port_queue *q, const struct rte_mbuf *m, int64_t now,
                     uint32_t *flags)
{
    if (!(m->ol_flags & q->ts_flag))
        return now;
    uint64_t raw;
    memcpy(&raw, (const uint8_t *)m + q->ts_offset, sizeof(raw));
    if (q->port->hw_timestamps) {
        if (!ws_port_clock_ready(&q->hw))
            return now;
        *flags |= WS_PKT_HW_TS;
        return ws_port_clock_ns(&q->hw, raw);
    }
    return raw >= STAMP_NS_MIN ? (int64_t)raw : (int64_t)(raw * 1000);
}

/* Some drivers (kernel sockets) deliver the VLAN tag beside the frame: it is put back. The mbuf's
 * headroom has the place. */
static void put_vlan_back(struct rte_mbuf **m)
{
    const bool outer = ((*m)->ol_flags & RTE_MBUF_F_RX_QINQ_STRIPPED) != 0;
    if (rte_vlan_insert(m) < 0 || !outer)
        return;
    (*m)->vlan_tci = (*m)->vlan_tci_outer;
    if (rte_vlan_insert(m) == 0) {
        /* IEEE 802.1ad: a stripped outer tag of the two is an S-tag */
        uint8_t *tpid = rte_pktmbuf_mtod_offset(*m, uint8_t *, 2 * RTE_ETHER_ADDR_LEN);
        tpid[0] = RTE_ETHER_TYPE_QINQ >> 8;
        tpid[1] = RTE_ETHER_TYPE_QINQ & 0xff;
    }
}

/* Lays a chain out in the bounce buffer. The bound is the sum of the segments: pkt_len may promise
 * more (net_pcap above 65,535 bytes). */
static void lay_out_chain(struct ws_port_queue *q, const struct rte_mbuf *m, struct ws_packet *p)
{
    uint8_t *to = q->bounce + q->bounce_used;
    size_t room = q->bounce_bytes - q->bounce_used;
    size_t len = 0;
    bool cut = false;

    for (const struct rte_mbuf *seg = m; seg; seg = seg->next) {
        size_t n = seg->data_len;
        if (n > room - len) {
            n = room - len;
            cut = true;
        }
        memcpy(to + len, rte_pktmbuf_mtod(seg, const uint8_t *), n);
        len += n;
    }
    q->bounce_used = WS_MIN(ws_align_up(q->bounce_used + len, WS_CACHE_LINE), q->bounce_bytes);
    q->chained++;
    q->chain_cut += cut;
    p->data = to;
    p->cap_len = (uint32_t)len;
}

#if WS_PORT_COPY
static void copies_free(struct ws_port_queue *q)
{
    while (q->copies > 0)
        free(q->copy[--q->copies]);
}

static void copies_make(struct ws_port_queue *q, struct ws_packet *pkt, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        void *to = malloc(pkt[i].cap_len ? pkt[i].cap_len : 1);
        if (!to)
            abort();
        memcpy(to, pkt[i].data, pkt[i].cap_len);
        pkt[i].data = to;
        q->copy[q->copies++] = to;
    }
}
#endif

/* What keeps a buffer from going straight back to its pool, or 0: other segments or owners, bytes that are not its own.
 * Reads its first line only. */
static inline uint64_t not_whole(const struct rte_mbuf *m)
{
    return (m->ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) | (m->nb_segs ^ 1u) | (rte_mbuf_refcnt_read(m) ^ 1u);
}

/* Gives the last burst's buffers back. Nearly always they are whole and of one pool, and go there in one piece: freeing them
 * one by one would fetch the second line of each, which receiving has not touched. */
static void held_free(struct ws_port_queue *q)
{
    if (q->held_count > 0 && WS_LIKELY(q->held_whole))
        rte_mempool_put_bulk(q->held[0]->pool, (void **)q->held, q->held_count);
    else if (q->held_count > 0)
        rte_pktmbuf_free_bulk(q->held, q->held_count);
    q->held_count = 0;
#if WS_PORT_COPY
    copies_free(q);
#endif
}

void ws_port_queue_drain(struct ws_port_queue *q)
{
    held_free(q);
}

/* An empty poll of a replay: at the end, or only out of buffers? */
static int replay_empty(struct ws_port_queue *q)
{
    struct rte_eth_stats st;
    if (rte_eth_stats_get(q->port_id, &st) != 0)
        memset(&st, 0, sizeof(st));
    if (q->empty_polls++ == 0 || st.rx_nombuf != q->nombuf_seen) {
        q->quiet_polls = 0;
        q->troubled_polls = 0;
    } else if (st.ierrors != q->errors_seen) {
        q->quiet_polls = 0;
        q->troubled_polls++;
    }
    q->nombuf_seen = st.rx_nombuf;
    q->errors_seen = st.ierrors;
    if (++q->quiet_polls < EOF_EMPTY_POLLS && q->troubled_polls < EOF_TROUBLED_POLLS)
        return 0;
    if (st.ierrors > 0) {
        q->source.damaged = true;
        if (!atomic_exchange(&q->port->damaged_said, true))
            ws_log(WS_LOG_ERROR,
                   "%s: the capture file is damaged; what could be read of it was delivered",
                   q->port->info.name);
    }
    __atomic_store_n(&q->source.bytes_done, q->source.bytes_total, __ATOMIC_RELAXED);
    return WS_SOURCE_END;
}

static int rx_empty(struct ws_port_queue *q)
{
    if (q->replay)
        return replay_empty(q);
    if (WS_LIKELY(!atomic_load_explicit(&q->port->gone, memory_order_relaxed)))
        return 0;
    q->source.damaged = true;
    return WS_SOURCE_END;
}

/* Whether a queue with a limit has taken all that is due by now. What a pause leaves over for later is bounded: a tenth of a
 * second, so that the rate holds behind it as well. */
static bool ahead_of_rate(struct ws_port_queue *q)
{
    const double hz = (double)rte_get_tsc_hz(), took = (double)q->rate_bytes / (double)q->rate * hz;
    const uint64_t now = rte_rdtsc();
    if (!q->rate_tsc)
        q->rate_tsc = now;
    const double passed = (double)(now - q->rate_tsc);
    if (passed > took + hz / 10)
        q->rate_tsc += (uint64_t)(passed - took - hz / 10);
    return took > passed;
}

static int queue_rx(struct ws_source *s, struct ws_packet *pkt, unsigned max)
{
    struct ws_port_queue *q = (struct ws_port_queue *)s;

    held_free(q);
    q->bounce_used = 0;
    if (WS_UNLIKELY(q->rate) && ahead_of_rate(q)) {
        q->polled = q->idle = true;
        return 0;
    }
    const uint16_t n =
        rte_eth_rx_burst(q->port_id, q->queue_id, q->held, (uint16_t)WS_MIN(max, WS_BURST_MAX));
    q->polled = true;
    q->idle = n == 0;
    if (n == 0)
        return rx_empty(q);
    q->held_count = n;
    q->empty_polls = 0;
    /* Buffer and frame at once: where nearly all drivers put the frame needs no look at the buffer, whose line may be
     * in another core's cache yet. */
    for (unsigned i = 0; i < n; i++) {
        WS_PREFETCH(q->held[i]);
        WS_PREFETCH((const uint8_t *)(q->held[i] + 1) + RTE_PKTMBUF_HEADROOM);
    }
    const int64_t now = now_ns();
    if (q->port->hw_timestamps && now >= q->hw_next_ns)
        calibrate(q, now);
    const struct rte_mempool *const pool = q->held[0]->pool;
    int64_t clock_ns = q->clock_ns;
    uint64_t any = 0, bytes = 0, odd = 0;
    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *m = q->held[i];
        struct ws_packet *p = &pkt[i];
        const uint64_t ol = m->ol_flags;
        uint32_t flags = q->flags_base;

        any |= ol;
        odd |= not_whole(m) | (m->pool != pool);
        if (WS_UNLIKELY(ol & RTE_MBUF_F_RX_VLAN_STRIPPED)) {
            put_vlan_back(&q->held[i]);
            m = q->held[i];
        }
        p->ts_ns = stamp(q, m, now, &flags);
        clock_ns = WS_MAX(clock_ns, p->ts_ns);
        p->clock_ns = clock_ns;
        if (WS_LIKELY(m->nb_segs == 1)) {
            p->data = rte_pktmbuf_mtod(m, const uint8_t *);
            p->cap_len = m->data_len;
        } else {
            lay_out_chain(q, m, p);
        }
        p->wire_len = WS_MAX(m->pkt_len, p->cap_len);
        if (WS_UNLIKELY(p->wire_len > p->cap_len))
            flags |= WS_PKT_SNAPPED;
        /* "not computed, but integrity is verified": local traffic of virtio and its like */
        if ((ol & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE)
            flags |= WS_PKT_SUM_UNKNOWN;
        p->ordinal = q->ordinal++;
        p->flags = flags;
        p->link_type = 1; /* LINKTYPE_ETHERNET */
        p->iface = (uint16_t)q->device;
        p->device = q->device;
        bytes += p->cap_len;
    }
    q->held_whole = odd == 0;
    q->clock_ns = clock_ns;
    q->rate_bytes += bytes;
    if (any & RTE_MBUF_F_RX_RSS_HASH)
        atomic_store_explicit(&q->rss_seen, true, memory_order_relaxed);
    if (q->replay) {
        /* 16: a record's header in the file */
        const uint64_t done = s->bytes_done + bytes + 16u * (uint64_t)n;
        __atomic_store_n(&s->bytes_done, WS_MIN(done, s->bytes_total), __ATOMIC_RELAXED);
    }
#if WS_PORT_COPY
    copies_make(q, pkt, n);
#endif
    return n;
}

static const struct ws_source_iface *queue_ifaces(struct ws_source *s, unsigned *n)
{
    *n = 1;
    return &((struct ws_port_queue *)s)->iface;
}

/* Adds what came since the last call: one thread may poll queues of several ports. */
static void add_new(struct ws_counters *c, enum ws_counter id, uint64_t now, uint64_t *said)
{
    if (now > *said)
        ws_count(c, id, now - *said);
    *said = now;
}

static void look_for_device(struct ws_port_queue *q)
{
    struct ws_port *p = q->port;
    char name[IF_NAMESIZE];
    const bool gone = p->if_index ? if_indextoname(p->if_index, name) == NULL
                                  : rte_eth_dev_is_removed(q->port_id) != 0;
    if (gone && !atomic_exchange(&p->gone, true))
        ws_log(WS_LOG_ERROR, "%s: the device is gone", p->info.name);
}

static void queue_stats(struct ws_source *s, struct ws_counters *c)
{
    struct ws_port_queue *q = (struct ws_port_queue *)s;
    struct rte_eth_stats st;
    const uint64_t now = rte_rdtsc(), hz = rte_get_tsc_hz();
    /* Two calls with no rx between: this one is the last, and must be exact. */
    const bool soon = q->idle && q->polled && now - q->stats_tsc < hz / STATS_PER_S;

    q->polled = false;
    add_new(c, WS_C_PORT_CHAINED, q->chained, &q->chained_said);
    add_new(c, WS_C_PORT_CHAIN_CUT, q->chain_cut, &q->chain_cut_said);
    if (q->queue_id != 0 || soon)
        return;
    q->stats_tsc = now;
    if (q->idle && !q->replay && now - q->gone_tsc > hz / GONE_PER_S) {
        q->gone_tsc = now;
        look_for_device(q);
    }
    if (rte_eth_stats_get(q->port_id, &st) != 0)
        return;
    add_new(c, WS_C_PORT_MISSED, st.imissed, &q->missed_said);
    add_new(c, WS_C_PORT_ERRORS, st.ierrors, &q->errors_said);
    add_new(c, WS_C_PORT_NOMBUF, st.rx_nombuf, &q->nombuf_said);
    if (!q->port->info.missed_unknown) {
        /* trailers of files read them */
        __atomic_store_n(&q->iface.received, st.ipackets + st.imissed + st.rx_nombuf, __ATOMIC_RELAXED);
        __atomic_store_n(&q->iface.dropped, st.imissed + st.rx_nombuf, __ATOMIC_RELAXED);
    }
}

/* Queues belong to their port, which closes them. */
static void queue_close(struct ws_source *s)
{
    (void)s;
}

const struct ws_source_ops ws_port_queue_ops = {
    .rx = queue_rx,
    .ifaces = queue_ifaces,
    .stats = queue_stats,
    .close = queue_close,
};
