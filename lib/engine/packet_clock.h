/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet-time clock of a reader: the largest stamp so far, but for damaged ones. */
#ifndef WS_ENGINE_PACKET_CLOCK_H
#define WS_ENGINE_PACKET_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* How far a stamp may be ahead of all others without a second one to confirm it: a day. */
#define WS_PACKET_CLOCK_JUMP_NS (INT64_C(86400) * 1000000000)

struct ws_packet_clock {
    int64_t now_ns;  /* INT64_MIN before the first packet */
    int64_t jump_ns; /* a stamp far ahead of the clock that no other one has confirmed, */
    bool jumped;     /* if there is one */
};

/* True when a is over a day later than b. */
static inline bool ws_packet_clock_is_far(int64_t a, int64_t b)
{
    return a > b && (uint64_t)a - (uint64_t)b > (uint64_t)WS_PACKET_CLOCK_JUMP_NS;
}

/* Takes the stamp of the next packet; returns the clock for it. A jump of over a day must be
 * confirmed by the packet that follows: one damaged stamp would otherwise make every flow look idle
 * and cut all streams in two. next_ns is that packet's stamp, NULL where it is not known yet (then
 * the first packet after a jump still counts as of before). */
static inline int64_t ws_packet_clock_advance(struct ws_packet_clock *c, int64_t ts_ns,
                                              const int64_t *next_ns)
{
    /* nearly every packet: a little later than the last one (no clock yet is far away) */
    if (!c->jumped && (uint64_t)ts_ns - (uint64_t)c->now_ns <= (uint64_t)WS_PACKET_CLOCK_JUMP_NS && ts_ns >= c->now_ns) {
        c->jump_ns = ts_ns;
        return c->now_ns = ts_ns;
    }
    if (c->now_ns == INT64_MIN)
        c->now_ns = ts_ns;
    if (c->jumped && !ws_packet_clock_is_far(c->jump_ns, ts_ns))
        c->now_ns = c->jump_ns;
    c->jumped = ws_packet_clock_is_far(ts_ns, c->now_ns) &&
                (!next_ns || ws_packet_clock_is_far(ts_ns, *next_ns));
    c->jump_ns = ts_ns;
    if (!c->jumped && ts_ns > c->now_ns)
        c->now_ns = ts_ns;
    return c->now_ns;
}

#endif
