/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of many TCP connections for benches, cheap to make: IPv4, valid checksums, one after the other.
 *
 * All connections begin one after the other, then they are gone through in a scattered order that no prefetcher foresees, again and again; no memory is read for
 * it, which would cost as much as the work that is measured.
 */
#ifndef WS_BENCH_FRAMES_H
#define WS_BENCH_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

enum { WS_BENCH_FRAME_MIN = 60, WS_BENCH_FRAME_MAX = 1514 };

struct ws_bench_frames {
    /* set by the caller */
    uint32_t flows;     /* connections at a time, at most 2^24 */
    uint32_t life;      /* turns of a connection, then another one takes its place: a power of two; 0: for ever */
    uint32_t frame_len; /* bytes without check sequence */
    bool one_way;       /* only the client's segments are seen, without handshake */
    /* by init */
    uint32_t step; /* from a connection's slot to the next one's: coprime to flows, near the golden ratio of it */
    unsigned life_bits;
    uint32_t payload, ip_sum, tcp_sum, payload_sum;
    /* where it stands */
    uint32_t slot, round;
};

/* Begins anew. */
void ws_bench_frames_init(struct ws_bench_frames *f);

/* Writes what all frames have in common to a buffer of frame_len bytes, once. */
void ws_bench_frames_prepare(const struct ws_bench_frames *f, uint8_t *p);

/* Makes a prepared buffer the next frame. Each has its own tuple, sequence numbers and checksums. */
void ws_bench_frames_next(struct ws_bench_frames *f, uint8_t *p);

/* Makes a prepared buffer the frame of a connection (slot: 0..flows) in a round. */
void ws_bench_frames_make(const struct ws_bench_frames *f, uint8_t *p, uint32_t slot, uint32_t round);

/* The slot that follows in the scattered order. */
static inline uint32_t ws_bench_frames_after(const struct ws_bench_frames *f, uint32_t slot)
{
    slot += f->step;
    return slot < f->flows ? slot : slot - f->flows;
}

/* Connections that the first n packets open. */
uint64_t ws_bench_frames_opened(struct ws_bench_frames f, uint64_t n);

#endif
