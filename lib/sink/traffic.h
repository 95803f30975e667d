/* SPDX-License-Identifier: BSD-3-Clause */
/* What a picture of the traffic needs: totals, a histogram over time, top addresses and ports; and
 * the sink that counts. */
#ifndef WS_SINK_TRAFFIC_H
#define WS_SINK_TRAFFIC_H

#include "sink/heavy.h"
#include "sink/sink.h"
#include "sink/timeline.h"

/* What a packet is, on the network layer: each is one of these. */
enum ws_traffic_layer {
    WS_TRAFFIC_IP4,
    WS_TRAFFIC_IP6,
    WS_TRAFFIC_ARP,
    WS_TRAFFIC_OTHER,
    WS_TRAFFIC_LAYERS
};

struct ws_traffic_count {
    uint64_t packets, bytes;
};

/* Bytes are those of whole frames as they were on the wire; addresses, ports and protocols are the
 * innermost datagram's. Packets that a selection left out are not counted. */
struct ws_traffic {
    struct ws_traffic_count all;
    struct ws_traffic_count layer[WS_TRAFFIC_LAYERS];
    struct ws_traffic_count proto[256]; /* of the IP ones */
    struct ws_traffic_count vlan;       /* in a VLAN */
    struct ws_traffic_count tunnel;     /* through a tunnel */
    int64_t first_ns, last_ns;          /* earliest and latest stamp, when all.packets */
    struct ws_timeline time;            /* by the service's port: see ws_traffic_service() */
    struct ws_heavy src, dst;
    uint64_t (*port)[2]; /* bytes from and to each of 65,536 ports of any protocol */
};

struct ws_sink_traffic_config {
    uint32_t addresses_max; /* told apart exactly, sources and destinations each; 0: 65,536 (some 4
                               MiB each) */
    uint32_t bins_max;      /* of the histogram; 0: 1,000 */
    uint64_t seed;          /* of the hashes */
};

/* Empty counts; heap, 10 MiB with the defaults. 0 or -ENOMEM. */
int ws_traffic_init(struct ws_traffic *t, const struct ws_sink_traffic_config *cfg);
void ws_traffic_fini(struct ws_traffic *t);

/* Counts a packet; flow may be NULL. */
void ws_traffic_add(struct ws_traffic *t, const struct ws_flow *flow, const struct ws_packet *p);

/* Adds src to dst. The sum is the same however packets were dealt to several counts, while no table
 * was full (heavy.purges and time.trims are 0). */
void ws_traffic_merge(struct ws_traffic *dst, const struct ws_traffic *src);

/* The port that names the service of a packet: the one below 1,024, else the one that is no
 * ephemeral port (32,768 and up), else the one that the flow's first packet was sent to.
 * WS_TIMELINE_NO_PORT without ports. */
uint32_t ws_traffic_service(const struct ws_flow *flow, const struct ws_packet *p);

/* The ports with most bytes, by direction (0: from, 1: to the port), largest first, equal ones by
 * number. Returns how many, at most n. */
unsigned ws_traffic_top_ports(const struct ws_traffic *t, unsigned dir, uint16_t *port, unsigned n);

/* Makes a sink that counts each packet that it is given. Heap at creation only. 0 or -ENOMEM. */
int ws_sink_traffic_create(struct ws_sink **s, const struct ws_sink_traffic_config *cfg);

/* The sink's counts; to be read after the run, borrowed until the sink is destroyed. */
const struct ws_traffic *ws_sink_traffic_counts(const struct ws_sink *s);

#endif
