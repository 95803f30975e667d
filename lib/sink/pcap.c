/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet sink of a merged PCAP or pcapng file. */
#include "sink/pcap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "packet/decode.h"

/* Interface numbers have 16 bits (ws_packet.iface), and each group has a new one. */
#define GROUPS_MAX 65536u

/* Interfaces up to iface_end are new with the packet of this ordinal. */
struct group {
    uint64_t ordinal;
    unsigned iface_end;
};

/* The groups that turned up so far. Producer: the thread that calls announce(). Consumers: all
 * packet sinks of the output, which see a group before any packet that comes after it was handed to
 * them. */
struct groups {
    _Atomic unsigned n;
    struct group group[GROUPS_MAX];
};

/* A record's place in the merged file: a packet's is its ordinal plus the number of groups that
 * came with or before it, a group's is that of the packet that brought it less one. So every place
 * is taken once, and writers need not decide between equal ones:
 *
 *   packets      0   1   2       3   4       (2 interfaces turn up with packet 3)
 *   groups                 0
 *   places       0   1   2 3     4   5
 */
struct pcap_sink {
    struct ws_sink base;
    struct ws_sink_pcap_config cfg;
    uint16_t link_type;    /* of a classic file */
    unsigned described;    /* interfaces whose description is in the file */
    unsigned announced;    /* interfaces that are described or in a group */
    unsigned passed;       /* groups that came with or before the latest packet */
    uint64_t last_order;   /* of the last record: orders never fall within a channel */
    struct groups *groups; /* own, or the announcer's; NULL: no interface turns up */
    bool own_groups;
};

static _Atomic int said_link_type, said_unknown;

/* Writes the descriptions of interfaces up to end. False: the channel had no room, or an interface
 * is unknown. */
static bool describe_until(struct pcap_sink *ps, uint64_t order, unsigned end)
{
    while (ps->described < end) {
        struct ws_pcapng_iface iface;
        uint8_t buf[WS_FRAME_IDB_MAX];
        if (!ps->cfg.describe(ps->cfg.user, ps->described, &iface))
            return false;
        size_t len = ws_pcapng_iface_encode(buf, sizeof(buf), &iface);
        struct ws_bytes piece = {buf, len};
        order = WS_MAX(order, ps->last_order);
        if (len == 0 || ws_channel_record_vital(ps->cfg.channel, order, &piece, 1) != 0)
            return false;
        ps->last_order = order;
        ps->described++;
    }
    return true;
}

/* Writes the groups that no record of this sink has followed yet, up to and including the one of
 * ordinal. */
static void describe_groups(struct pcap_sink *ps, uint64_t ordinal)
{
    struct groups *g = ps->groups;
    unsigned n = atomic_load_explicit(&g->n, memory_order_relaxed);
    while (ps->passed < n && g->group[ps->passed].ordinal <= ordinal) {
        const struct group *next = &g->group[ps->passed];
        if (!describe_until(ps, next->ordinal + ps->passed, next->iface_end))
            break;
        ps->passed++;
    }
}

void ws_sink_pcap_announce(struct ws_sink *s, const struct ws_packet *pkt, unsigned n)
{
    struct pcap_sink *ps = (struct pcap_sink *)s;
    struct groups *g = ps->groups;
    if (!g || ps->cfg.role == WS_SINK_PCAP_PACKETS)
        return;
    for (unsigned i = 0; i < n; i++) {
        if (WS_LIKELY(pkt[i].iface < ps->announced))
            continue;
        unsigned k = atomic_load_explicit(&g->n, memory_order_relaxed);
        ps->announced = pkt[i].iface + 1u;
        g->group[k] = (struct group){pkt[i].ordinal, ps->announced};
        atomic_store_explicit(&g->n, k + 1, memory_order_release);
    }
    if (ps->cfg.role == WS_SINK_PCAP_ANNOUNCER && ps->described < ps->announced)
        describe_groups(ps, UINT64_MAX);
}

static uint64_t on_order(struct ws_sink *s, uint64_t ordinal)
{
    struct pcap_sink *ps = (struct pcap_sink *)s;
    if (ps->groups && ps->cfg.role != WS_SINK_PCAP_ALONE) {
        unsigned n = atomic_load_explicit(&ps->groups->n, memory_order_acquire);
        unsigned k = ps->passed;
        while (k < n && ps->groups->group[k].ordinal <= ordinal)
            k++;
        if (ps->cfg.role == WS_SINK_PCAP_PACKETS)
            ps->passed = k;
        /* The announcer's next group may be the one that comes with packet ordinal itself. */
        else if (k && ps->groups->group[k - 1].ordinal == ordinal)
            k--;
        ordinal += k;
    }
    return ordinal;
}

/* Makes sure that the interface of p has its description. */
static bool describe_for(struct pcap_sink *ps, const struct ws_packet *p)
{
    if (ps->groups)
        describe_groups(ps, p->ordinal);
    return p->iface < ps->described;
}

static void on_packet(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p)
{
    struct pcap_sink *ps = (struct pcap_sink *)s;
    uint64_t order = p->ordinal;
    uint32_t cap_len;
    (void)flow;
    if (p->flags & WS_PKT_DATAGRAM) /* no frame of its own */
        return;
    if (ps->cfg.rest && p->status == WS_DECODE_OK && p->key.proto == 6)
        return;
    if (!ps->cfg.format.pcapng) {
        if (WS_UNLIKELY(p->link_type != ps->link_type)) {
            ws_count(s->counters, WS_C_OUT_LINK_TYPE, 1);
            ws_log_once(
                &said_link_type, WS_LOG_WARN,
                "packets of link type %u left out: a pcap file holds one link type (%u here); "
                "pcapng holds several",
                p->link_type, ps->link_type);
            return;
        }
    } else if (ps->cfg.role == WS_SINK_PCAP_PACKETS) {
        order = on_order(s, p->ordinal);
    } else {
        if (WS_UNLIKELY(!describe_for(ps, p))) {
            ws_count(s->counters, WS_C_OUT_LINK_TYPE, 1);
            ws_log_once(&said_unknown, WS_LOG_WARN,
                        "packets of interface %u left out: it could not be described", p->iface);
            return;
        }
        order += ps->passed;
    }
    order = WS_MAX(order, ps->last_order);
    uint64_t drops = ws_losses_before(ps->cfg.losses, p->iface);
    size_t len = ws_frame_len(&ps->cfg.format, p, drops, &cap_len);
    uint8_t *to = ws_channel_record_place(ps->cfg.channel, order, len);
    if (WS_UNLIKELY(!to)) {
        ws_count(s->counters, WS_C_SHED_BLOCK_PACKETS, 1);
        ws_losses_shed(ps->cfg.losses, p->iface);
        return;
    }
    ws_frame_put(to, &ps->cfg.format, p->iface, p, drops, cap_len);
    ps->last_order = order;
    ws_losses_written(ps->cfg.losses, p->iface);
    ws_count(s->counters, WS_C_OUT_PACKETS, 1);
    ws_count(s->counters, WS_C_OUT_PACKET_BYTES, cap_len);
}

static void on_finish(struct ws_sink *s)
{
    struct pcap_sink *ps = (struct pcap_sink *)s;
    if (ps->groups && ps->cfg.role != WS_SINK_PCAP_PACKETS)
        describe_groups(ps, UINT64_MAX);
}

static void on_destroy(struct ws_sink *s)
{
    struct pcap_sink *ps = (struct pcap_sink *)s;
    if (ps->own_groups)
        free(ps->groups);
    free(ps);
}

static const struct ws_sink_ops pcap_ops = {
    .packet = on_packet,
    .order = on_order,
    .finish = on_finish,
    .destroy = on_destroy,
};

int ws_sink_pcap_create(struct ws_sink **s, const struct ws_sink_pcap_config *cfg)
{
    if (!cfg->format.pcapng && cfg->n_iface == 0)
        return -EINVAL;
    struct pcap_sink *ps = calloc(1, sizeof(*ps));
    if (!ps)
        return -ENOMEM;
    ps->cfg = *cfg;
    ps->cfg.iface = NULL;
    ps->link_type = cfg->n_iface ? cfg->iface[0].link_type : 0;
    ps->described = ps->announced = cfg->n_iface;
    if (cfg->role == WS_SINK_PCAP_PACKETS) {
        ps->groups = cfg->announcer ? ((const struct pcap_sink *)cfg->announcer)->groups : NULL;
    } else if (cfg->format.pcapng && cfg->describe) {
        ps->groups = calloc(1, sizeof(*ps->groups));
        ps->own_groups = true;
        if (!ps->groups) {
            free(ps);
            return -ENOMEM;
        }
    }
    ps->base = (struct ws_sink){.ops = &pcap_ops,
                                .needs = cfg->role == WS_SINK_PCAP_ANNOUNCER ? 0 : WS_SINK_PACKET,
                                .channel = cfg->channel};
    *s = &ps->base;
    return 0;
}
