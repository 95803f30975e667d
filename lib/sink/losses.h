/* SPDX-License-Identifier: BSD-3-Clause */
/* What a packet output lacks, by interface: for epb_dropcount and interface statistics of pcapng.
 *
 * One a packet sink and worker; its worker is the only writer, any thread reads the atomics. A packet is lost here when its sink
 * had no block for it: that is known to the packet. Before the sink, the device and the receive stage lose packets, which
 * counters of threads tell; they are looked at once in WS_LOSSES_LOOK packets, since another thread's counters cost a
 * cache miss, and devices are asked seldom anyway. With several interfaces those have no known interface, and are not told.
 */
#ifndef WS_SINK_LOSSES_H
#define WS_SINK_LOSSES_H

#include "base/compiler.h"
#include "base/counters.h"
#include "format/pcapng.h"

#define WS_LOSSES_IFACES 64u
#define WS_LOSSES_LOOK   32u

struct ws_losses {
    unsigned n_iface;
    unsigned until_look; /* packets */
    uint64_t before_seen;
    uint64_t pending[WS_LOSSES_IFACES]; /* since the last packet that was written */
    _Atomic uint64_t shed[WS_LOSSES_IFACES], written[WS_LOSSES_IFACES];
    /* The i-th thread whose losses are those of this output; NULL past the last. user is this struct. */
    const struct ws_counters *(*before)(void *user, unsigned i);
    void *run; /* before()'s own, as is worker */
    unsigned worker;
};

/* Packets that a thread of ours lost before packet sinks. */
static inline uint64_t ws_losses_ours(const struct ws_counters *c)
{
    return ws_count_get(c, WS_C_SHED_STEER) + ws_count_get(c, WS_C_SHED_OTHER) + ws_count_get(c, WS_C_SHED_FLOW);
}

static inline void ws_losses_look(struct ws_losses *l)
{
    const struct ws_counters *c;
    uint64_t sum = 0;
    l->until_look = WS_LOSSES_LOOK;
    if (l->n_iface != 1)
        return;
    for (unsigned i = 0; (c = l->before(l, i)); i++)
        sum += ws_losses_ours(c) + ws_count_get(c, WS_C_PORT_MISSED) + ws_count_get(c, WS_C_PORT_NOMBUF);
    l->pending[0] += sum - l->before_seen;
    l->before_seen = sum;
}

/* How many packets of the interface were lost since the last one that was written: for the next one's record.
 * WS_PCAPNG_UNKNOWN: none. l may be NULL. */
static inline uint64_t ws_losses_before(struct ws_losses *l, unsigned iface)
{
    if (!l || iface >= WS_LOSSES_IFACES)
        return WS_PCAPNG_UNKNOWN;
    if (l->until_look-- == 0)
        ws_losses_look(l);
    return l->pending[iface] ? l->pending[iface] : WS_PCAPNG_UNKNOWN;
}

/* The packet after ws_losses_before() was not written. */
static inline void ws_losses_shed(struct ws_losses *l, unsigned iface)
{
    if (!l || iface >= WS_LOSSES_IFACES)
        return;
    l->pending[iface]++;
    atomic_store_explicit(&l->shed[iface], atomic_load_explicit(&l->shed[iface], memory_order_relaxed) + 1, memory_order_relaxed);
}

/* It was, with what came before it. */
static inline void ws_losses_written(struct ws_losses *l, unsigned iface)
{
    if (!l || iface >= WS_LOSSES_IFACES)
        return;
    l->pending[iface] = 0;
    atomic_store_explicit(&l->written[iface], atomic_load_explicit(&l->written[iface], memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

#endif
