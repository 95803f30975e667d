/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow stage of a worker: finds flows, tracks TCP, hands events to the sinks. One thread only. */
#ifndef WS_ENGINE_FLOW_STAGE_H
#define WS_ENGINE_FLOW_STAGE_H

#include "filter/select.h"
#include "flow/ids.h"
#include "flow/table.h"
#include "sink/sink.h"
#include "tcp/tcp.h"

struct ws_flow_stage_config {
    struct ws_sink **sink; /* borrowed */
    unsigned n_sink;
    struct ws_flow_table_config flow; /* ext_bytes is set here from tcp, ids and sinks */
    struct ws_tcp_config tcp;         /* want is set here from the sinks' needs */
    uint32_t wholes_max; /* TCP connections at a time of which there is more to say than fits in their flows; 0: by
                            flow.flows_max */
    const struct ws_select *select;   /* borrowed */
    struct ws_flow_ids *ids;          /* borrowed; counting mode uses this stage's own numbers */
    struct ws_counters *counters;     /* the thread's own; borrowed */
    bool udp, all_ip, tcp_off, verify_checksums;
    bool per_tuple; /* a new connection on a tuple does not end its flow; flow.timeout_ns is ignored */
};

struct ws_flow_stage;

/* Computes sink offsets and the memory needed: fills cfg->flow.ext_bytes, cfg->tcp.want and each sink's flow_off. */
size_t ws_flow_stage_bytes(struct ws_flow_stage_config *cfg);

/* Of those, what flows take: their table, and the pool of TCP connections that their flows have no room for. */
size_t ws_flow_stage_flow_bytes(const struct ws_flow_stage_config *cfg);

/* Builds it in mem (zero, 64-byte aligned, borrowed) after ws_flow_stage_bytes(). */
struct ws_flow_stage *ws_flow_stage_init(void *mem, const struct ws_flow_stage_config *cfg);

/* Takes n (at most WS_BURST_MAX) packets in order. Non-IP and undecodable ones go to packet sinks only. */
void ws_flow_stage_burst(struct ws_flow_stage *fs, const struct ws_packet *const *pkt, unsigned n);

/* What time alone brings, when no packets come: frees idle flows (a bounded step), lets sinks rotate. */
void ws_flow_stage_idle(struct ws_flow_stage *fs, int64_t now_ns);

/* Ends every flow that is idle at now_ns, so that at the end of a file its cause does not depend on how far the
 * bounded steps had come (6a.3). */
void ws_flow_stage_expire_all(struct ws_flow_stage *fs, int64_t now_ns);

/* Lets the channels of the sinks know the time and the watermark (ws_channel_tick). */
void ws_flow_stage_tick(struct ws_flow_stage *fs, uint64_t watermark, int64_t steady_ns, bool force);

/* Ends all flows, sinks and channels (end of run). */
void ws_flow_stage_finish(struct ws_flow_stage *fs);

/* Flows now and at most; bytes held out of order, for gauges (owner's thread, or after the end). */
uint32_t ws_flow_stage_flows(const struct ws_flow_stage *fs);

/* Ordinal of the last packet processed. */
uint64_t ws_flow_stage_last_ordinal(const struct ws_flow_stage *fs);

#endif
