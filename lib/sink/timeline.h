/* SPDX-License-Identifier: BSD-3-Clause */
/* A histogram over time whose range need not be known: bins grow wider as the range grows.
 *
 * Widths are steps that people read (1, 2, 10, 20, 100, ... us up to days), each a multiple of the
 * one before, and bins begin at multiples of their width. So the width and all bins follow from the
 * range of stamps alone, whatever their order and however they were spread over several timelines
 * that are merged later.
 */
#ifndef WS_SINK_TIMELINE_H
#define WS_SINK_TIMELINE_H

#include "base/compiler.h"

/* Ports that a bin tells apart. With more, counts become lower bounds (Misra-Gries): what is
 * missing is in the bin's total only. */
#define WS_TIMELINE_PORTS 16u

/* "Port" of what has none: ARP, ICMP, later fragments. */
#define WS_TIMELINE_NO_PORT 65536u

struct ws_time_bin {
    uint64_t packets, bytes;
    struct ws_time_port {
        uint64_t bytes;
        uint32_t port;
    } port[WS_TIMELINE_PORTS]; /* the first n_port, in no order */
    uint32_t n_port;
};

struct ws_timeline {
    struct ws_time_bin *bin, *spare; /* n_bin each; bin number i is at i modulo n_bin */
    uint32_t n_bin;
    unsigned width;      /* which of the steps */
    int64_t first, last; /* numbers of the first and last bin in use: stamp / width, rounded down */
    bool any;
    struct ws_time_bin *now; /* the bin of the last stamp, for stamps in [now_ns, now_end_ns) */
    int64_t now_ns, now_end_ns;
    uint64_t trims; /* how often a bin had more ports than it tells apart */
};

/* bins: 256 to 65,536 (what is outside is taken as the nearest). Heap. 0 or -ENOMEM. */
int ws_timeline_init(struct ws_timeline *t, uint32_t bins);
void ws_timeline_fini(struct ws_timeline *t);

/* A packet of so many bytes at a time, ns since the Unix epoch. */
void ws_timeline_add(struct ws_timeline *t, int64_t ts_ns, uint32_t port, uint64_t bytes);

void ws_timeline_merge(struct ws_timeline *dst, const struct ws_timeline *src);

/* Bins in use, empty ones between included; width of each in ns; bin k of them; when it begins (not
 * before the earliest time that there is). */
uint32_t ws_timeline_bins(const struct ws_timeline *t);
int64_t ws_timeline_width_ns(const struct ws_timeline *t);
const struct ws_time_bin *ws_timeline_bin(const struct ws_timeline *t, uint32_t k);
int64_t ws_timeline_begin_ns(const struct ws_timeline *t, uint32_t k);

#endif
