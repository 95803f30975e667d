/* SPDX-License-Identifier: BSD-3-Clause */
/* A source: one thing that a thread polls for bursts of packets. The worker cannot tell which kind. */
#ifndef WS_SOURCE_SOURCE_H
#define WS_SOURCE_SOURCE_H

#include "base/counters.h"
#include "packet/packet.h"

/* What ws_source_rx() says besides a count. */
#define WS_SOURCE_END (-1) /* nothing will come any more */

/* An input interface (pcapng IDB, pcap header, port): what sinks need to write faithful files. */
struct ws_source_iface {
    uint16_t link_type;
    uint32_t snaplen;
    char name[64];     /* may be empty */
    bool us;           /* stamps are no finer than a microsecond */
    uint64_t received, dropped; /* as the device or file says; UINT64_MAX = unknown */
};

struct ws_source;

struct ws_source_ops {
    /* Up to max (<= WS_BURST_MAX) packets with the source's fields set. 0: nothing now. WS_SOURCE_END: end. The packets and their bytes are valid
     * until the next rx on this source, unless stable says otherwise. */
    int (*rx)(struct ws_source *s, struct ws_packet *pkt, unsigned max);
    /* The steering side tells that all packets returned so far are no longer needed by anyone up to
     * and including chunk sequence number seq (see chunk_seq). NULL when not stable. */
    void (*release)(struct ws_source *s, uint64_t seq);
    /* Interface table; *n entries. Grows while a file is read; called between bursts. */
    const struct ws_source_iface *(*ifaces)(struct ws_source *s, unsigned *n);
    /* Fills device totals (PORT_*) into c; called by the polling thread. */
    void (*stats)(struct ws_source *s, struct ws_counters *c);
    void (*close)(struct ws_source *s);
};

struct ws_source {
    const struct ws_source_ops *ops;
    bool can_wait;     /* files, net_pcap: a full ring makes the reader wait; NICs cannot */
    bool stable;       /* bytes stay valid until release(): may be steered without a copy */
    bool damaged;      /* the input was cut or invalid: exit code 1; message was logged */
    uint64_t chunk_seq; /* stable sources: sequence number of the chunk that the last burst lies in (a burst never spans chunks) */
    uint64_t shed_steer, shed_other; /* packets of it that were lost on their way to their owner (WS_C_SHED_STEER, _OTHER). Kept by the polling thread */
    uint64_t packets_about; /* no more packets with an IP header than about this will come; 0 = unknown */
    uint64_t bytes_total, bytes_done; /* for progress; total 0 = unknown. Written by the polling thread only (relaxed __atomic) */
};

static inline int ws_source_rx(struct ws_source *s, struct ws_packet *pkt, unsigned max)
{
    return s->ops->rx(s, pkt, max);
}

#endif
