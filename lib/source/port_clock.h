/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns a NIC's clock ticks into ns since the Unix epoch, by pairs of readings of both clocks.
 * Pure. */
#ifndef WS_SOURCE_PORT_CLOCK_H
#define WS_SOURCE_PORT_CLOCK_H

#include "base/compiler.h"

/* A line through the first and the latest pair: its slope gets better as the run goes on, and each
 * new pair takes the drift out. */
struct ws_port_clock {
    uint64_t ticks_first, ticks_last;
    int64_t ns_first, ns_last;
    double ns_per_tick; /* 0: not calibrated yet */
};

/* Gives a pair read at the same moment. The first call only anchors. Pairs whose ticks did not
 * advance re-anchor (the NIC's clock was reset). */
void ws_port_clock_update(struct ws_port_clock *c, uint64_t ticks, int64_t ns);

static inline bool ws_port_clock_ready(const struct ws_port_clock *c)
{
    return c->ns_per_tick > 0;
}

/* Epoch ns of a stamp near the latest pair, before or after it. Only when ready. */
static inline int64_t ws_port_clock_ns(const struct ws_port_clock *c, uint64_t ticks)
{
    /* the difference is small (seconds), so that the double's 53 bits are exact to the ns */
    return c->ns_last + (int64_t)((double)(int64_t)(ticks - c->ticks_last) * c->ns_per_tick);
}

#endif
