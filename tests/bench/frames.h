/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of many TCP connections for benches, cheap to make: IPv4, valid checksums, in any order of packet numbers.
 *
 * Nothing is remembered from frame to frame: the packet's number says which connection's turn it is and which turn. All
 * connections are gone through in a scattered order that no prefetcher foresees, again and again.
 */
#ifndef WS_BENCH_FRAMES_H
#define WS_BENCH_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

enum { WS_BENCH_FRAME_MIN = 60, WS_BENCH_FRAME_MAX = 1514 };

struct ws_bench_frames {
    /* set by the caller */
    uint32_t flows;     /* connections at a time: a power of two, at most 2^24 */
    uint32_t life;      /* turns of a connection, then another one takes its place: a power of two; 0: for ever */
    uint32_t frame_len; /* bytes without check sequence */
    bool one_way;       /* only the client's segments are seen, without handshake */
    /* by init */
    unsigned flow_bits, life_bits;
    uint32_t payload, ip_sum, tcp_sum, payload_sum;
};

void ws_bench_frames_init(struct ws_bench_frames *f);

/* Writes what all frames have in common to a buffer of frame_len bytes, once. */
void ws_bench_frames_prepare(const struct ws_bench_frames *f, uint8_t *p);

/* Makes a prepared buffer the frame of packet number k. Each has its own tuple, sequence numbers and checksums. */
void ws_bench_frames_make(const struct ws_bench_frames *f, uint8_t *p, uint64_t k);

/* Connections that packets 0..n open. */
uint64_t ws_bench_frames_opened(const struct ws_bench_frames *f, uint64_t n);

#endif
