/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of a port share: the port, its queues, and the drivers' peculiarities. */
#ifndef WS_SOURCE_PORT_IMPL_H
#define WS_SOURCE_PORT_IMPL_H

#include <stdatomic.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "source/port.h"
#include "source/port_clock.h"
#include "source/port_devargs.h"

/* Under ASan each packet is copied to a heap buffer of its exact size that dies with its burst:
 * mbufs are reused silently, so that otherwise neither overruns nor late uses would be seen. */
#if defined(__SANITIZE_ADDRESS__)
#define WS_PORT_COPY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WS_PORT_COPY 1
#endif
#endif
#ifndef WS_PORT_COPY
#define WS_PORT_COPY 0
#endif

/* Things that no capability flag tells. */
struct ws_port_driver {
    const char *name;
    bool all_queues;     /* each queue has an own feed: one that is not polled loses packets */
    bool missed_unknown; /* imissed stays 0, whatever was lost */
    bool sum_unknown;    /* local traffic may come before its checksums were filled in */
    bool kernel;         /* sits on a kernel interface (rte_eth_dev_info.if_index) */
    bool xdp;
    bool no_promiscuous; /* has nothing to switch: not worth a line */
    bool no_link;        /* link status means nothing */
};

/* One RX queue as a source. Written by the thread that polls it, unless said otherwise. */
struct ws_port_queue {
    struct ws_source source; /* first: ops get it back by cast */
    struct ws_port *port;
    uint16_t port_id, queue_id;
    bool replay;
    uint16_t held_count; /* mbufs of the last burst, freed by the next rx */
    bool held_whole;     /* they are of one pool, one segment each, and nobody else's */
    int ts_offset;       /* of the timestamp in mbufs, -1 = none */
    uint64_t ts_flag;    /* mbufs with this flag have a timestamp; 0 = none do */
    uint32_t flags_base; /* for all packets */
    uint32_t device;
    uint64_t ordinal; /* of the next packet */
    uint64_t rate;    /* bytes a second that are taken at most; 0 = no limit */
    uint64_t rate_bytes, rate_tsc; /* taken since then */
    int64_t clock_ns;
    struct ws_port_clock hw; /* hardware timestamps: calibration */
    int64_t hw_next_ns;      /* when to calibrate again */
    /* replay: empty polls in a row; of those, the last ones without and those with an error counted
     */
    unsigned empty_polls, quiet_polls, troubled_polls;
    uint64_t nombuf_seen, errors_seen;
    uint8_t *bounce; /* chained packets are laid out here; bounce_bytes long */
    size_t bounce_bytes, bounce_used;
    uint64_t chained, chain_cut;                    /* packets */
    uint64_t chained_said, chain_cut_said;          /* already added to counters */
    uint64_t missed_said, errors_said, nombuf_said; /* queue 0 */
    bool idle, polled;     /* the last rx gave nothing; there was one since the last stats */
    uint64_t stats_tsc;    /* when the device was last asked for its totals */
    uint64_t gone_tsc;     /* queue 0: when it was last looked whether the device is still there */
    _Atomic bool rss_seen; /* read by any thread */
    struct ws_source_iface iface;
    struct rte_mbuf *held[WS_BURST_MAX];
#if WS_PORT_COPY
    void *copy[WS_BURST_MAX];
    unsigned copies;
#endif
};

struct ws_port {
    struct ws_port_info info;
    const struct ws_port_driver *driver;
    struct rte_device *device; /* probed by us, removed at close; else NULL */
    struct rte_mempool *pool;
    struct ws_port_queue *queue; /* info.queues of them */
    uint16_t id;
    bool started, hw_timestamps;
    int promiscuous_fd; /* -1, or a socket that keeps the kernel interface promiscuous */
    uint32_t reta_size;
    uint8_t rss_key_len;
    uint64_t rss_hf; /* 0: no RSS */
    _Atomic bool damaged_said;
    _Atomic bool gone; /* the device was removed; set by who polls queue 0, read by all */
    unsigned if_index; /* of the kernel interface below, 0 = none */
    struct ws_port_devargs devargs;
    char *devargs_text;
};

extern const struct ws_source_ops ws_port_queue_ops;

/* Frees what the queue holds. Main thread, when nobody polls any more. */
void ws_port_queue_drain(struct ws_port_queue *q);

/* Prepares conf for symmetric RSS where info offers it (p->rss_hf tells). key: room for the key,
 * kept until configured. */
void ws_port_rss_prepare(struct ws_port *p, const struct rte_eth_dev_info *info,
                         struct rte_eth_conf *conf, uint8_t key[static 256]);

/* On a started device: spreads the table, reads the key back. Sets p->info.rss; says when it is
 * not. */
void ws_port_rss_check(struct ws_port *p);

#endif
