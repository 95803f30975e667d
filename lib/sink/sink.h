/* SPDX-License-Identifier: BSD-3-Clause */
/* A sink: one output of one worker, fed by events of the flow stage (design 6a.7). */
#ifndef WS_SINK_SINK_H
#define WS_SINK_SINK_H

#include "base/counters.h"
#include "flow/flow.h"
#include "flow/ids.h"
#include "tcp/tcp.h"
#include "writer/channel.h"

/* In data() of a UDP datagram, the 8 bytes before data are its header. */

/* Sinks of one worker at most. */
#define WS_SINKS_MAX 16u

/* Events that a sink needs; the flow stage skips the rest. */
enum ws_sink_need {
    WS_SINK_OPEN = 1,
    WS_SINK_PACKET = 2,       /* frames of selected flows (and all frames when nothing is selected) */
    WS_SINK_SEGMENT = 4,      /* TCP segments in arrival order */
    WS_SINK_DATA = 8,         /* ordered bytes and gaps; also payloads of other protocols, a datagram an event */
    WS_SINK_EVENT = 16,
    WS_SINK_CLOSE = 32,
    WS_SINK_FIRST = 128,      /* the first TCP packet of each direction, also of flows that are not selected */
    WS_SINK_GAPS = 64,        /* lengths and gaps wanted in records, no bytes */
    WS_SINK_IDS = 1024,       /* FlowIDs (ws_flow_ids_get()) */
    WS_SINK_DATAGRAM = 256,   /* of data(): payloads of other protocols only, no TCP */
    WS_SINK_OF_FLOWS = 512,   /* of packet(): no frame without its flow. A fragment that came before the one with the ports is shown
                                 when its flow is known, not when it comes */
};

struct ws_sink;

/* All are called on the worker's thread. flow is NULL for packets of no flow. tcp is NULL unless the flow is TCP and reassembled. Members may be NULL when not needed. */
struct ws_sink_ops {
    void (*flow_open)(struct ws_sink *s, struct ws_flow *flow);
    void (*packet)(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p);
    void (*first)(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p);
    void (*segment)(struct ws_sink *s, struct ws_flow *flow, unsigned dir, int64_t off,
                    const struct ws_tcp_segment *seg);
    void (*data)(struct ws_sink *s, struct ws_flow *flow, unsigned dir, uint64_t off,
                 const uint8_t *data, uint32_t len, const struct ws_tcp_meta *meta);
    void (*gap)(struct ws_sink *s, struct ws_flow *flow, unsigned dir, uint64_t off, uint64_t len,
                enum ws_gap_cause cause);
    void (*event)(struct ws_sink *s, struct ws_flow *flow, unsigned dir, enum ws_tcp_event ev,
                  const struct ws_tcp_meta *meta);
    void (*flow_close)(struct ws_sink *s, struct ws_flow *flow, const struct ws_tcp_conn *tcp,
                       enum ws_flow_cause cause);
    /* A new connection on the tuple goes on with the flow (--per-tuple): the old one's last bytes have been delivered,
     * offsets begin at 0 again. */
    void (*restart)(struct ws_sink *s, struct ws_flow *flow);
    /* The order number in the sink's merged output that a packet of this ordinal would get at least: what the engine
     * promises to ws_channel_tick() for a watermark of ordinals. NULL: the ordinal itself. */
    uint64_t (*order)(struct ws_sink *s, uint64_t ordinal);
    /* Live, when no packets come: the time now, on the clock of the packets' stamps. */
    void (*tick)(struct ws_sink *s, int64_t now_ns);
    void (*finish)(struct ws_sink *s);  /* end of run, after all flows are closed */
    void (*destroy)(struct ws_sink *s);
};

struct ws_sink {
    const struct ws_sink_ops *ops;
    unsigned needs;              /* enum ws_sink_need bits */
    uint32_t flow_bytes;         /* per-flow area wanted, zeroed at flow start; multiple of 8 */
    size_t flow_off;             /* where it lies (ws_flow_ext); set by the engine */
    struct ws_channel *channel;  /* NULL when the sink writes no files */
    struct ws_counters *counters; /* the worker's; set by the engine */
    struct ws_flow_ids *ids;     /* FlowIDs (ws_flow_ids_get); set by the engine */
    unsigned worker;
    const uint64_t *ordinal; /* of the packet that is being looked at, or was last; set by the engine */
    bool ending; /* what comes is let go by the end of the input, flow by flow in order of their first packets; set by the engine */
};

#endif
