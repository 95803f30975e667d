/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames through DPDK's net_ring into the engine, filled by the lcore that receives them or by another one. */
#ifndef WS_BENCH_RING_SOURCE_H
#define WS_BENCH_RING_SOURCE_H

#include "engine/runtime.h"
#include "frames.h"
#include "packet/packet.h"

enum ws_bench_ring { WS_BENCH_RING_NONE, WS_BENCH_RING_SAME, WS_BENCH_RING_OTHER };

struct ws_bench_ring_source;

/* Up to n packets; 0: none now. */
int ws_bench_ring_rx(struct ws_bench_ring_source *r, struct ws_packet *pkt, unsigned n);

#endif
