/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames through a port of DPDK's net_ring into the engine, filled by the lcore that receives them or by another one. */
#ifndef WS_BENCH_RING_SOURCE_H
#define WS_BENCH_RING_SOURCE_H

#include <stddef.h>

#include "engine/runtime.h"
#include "frames.h"
#include "packet/packet.h"

enum ws_bench_ring { WS_BENCH_RING_NONE, WS_BENCH_RING_SAME, WS_BENCH_RING_OTHER };

struct ws_bench_ring_source;

/* A port whose ring gets the first n frames of f. WS_BENCH_RING_SAME: as they are asked for. WS_BENCH_RING_OTHER: by thread 1
 * of the runtime (EAL), which waits while the ring is full, so that none is lost. NULL with a line in err. Main thread. */
struct ws_bench_ring_source *ws_bench_ring_open(struct ws_runtime *rt, const struct ws_bench_frames *f, uint64_t n,
                                                enum ws_bench_ring who, char *err, size_t err_len);

/* Up to n packets; 0: none now. The receiving thread. */
int ws_bench_ring_rx(struct ws_bench_ring_source *r, struct ws_packet *pkt, unsigned n);

/* After the engine's end. */
void ws_bench_ring_close(struct ws_bench_ring_source *r);

#endif
