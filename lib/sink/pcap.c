/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet sink of a merged PCAP or pcapng file. */
#include "sink/pcap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

/* Interfaces up to iface_end are to be described between the packets of order and those after. */
struct pending {
    uint64_t order;
    unsigned iface_end;
};

struct pcap_sink {
    struct ws_sink base;
    struct ws_sink_pcap_config cfg;
    uint16_t link_type;   /* of a classic file */
    unsigned described;   /* interfaces whose description is in the file */
    unsigned announced;   /* interfaces that are described or pending */
    unsigned n_pending;
    uint64_t last_order;  /* of the last record: orders never fall within a channel */
    struct pending pending[WS_BURST_MAX];
};

static _Atomic int said_link_type;

/* A packet's place in the merged file. One more than its ordinal, so that there is a place before packet 0: a
 * description that belongs before packet k has order k, that of packet k - 1, and comes after it because the announcer's
 * channel is the last of the output. */
static uint64_t order_of(uint64_t ordinal)
{
    return ordinal + 1;
}

/* Writes the descriptions of interfaces up to end. False: the channel had no room, or an interface is unknown. */
static bool describe_until(struct pcap_sink *ps, uint64_t order, unsigned end)
{
    while (ps->described < end) {
        struct ws_pcapng_iface iface;
        uint8_t buf[WS_FRAME_IDB_MAX];
        if (!ps->cfg.describe || !ps->cfg.describe(ps->cfg.user, ps->described, &iface))
            return false;
        size_t len = ws_pcapng_iface_encode(buf, sizeof(buf), &iface);
        struct ws_bytes piece = {buf, len};
        order = WS_MAX(order, ps->last_order);
        if (len == 0 || ws_channel_record(ps->cfg.channel, order, &piece, 1) != 0)
            return false;
        ps->last_order = order;
        ps->described++;
    }
    return true;
}

/* Writes pending descriptions that belong before a packet of this order. */
static void flush_pending(struct pcap_sink *ps, uint64_t before)
{
    unsigned done = 0;
    while (done < ps->n_pending && ps->pending[done].order < before) {
        if (!describe_until(ps, ps->pending[done].order, ps->pending[done].iface_end))
            break;
        done++;
    }
    ps->n_pending -= done;
    for (unsigned i = 0; i < ps->n_pending; i++)
        ps->pending[i] = ps->pending[i + done];
}

void ws_sink_pcap_announce(struct ws_sink *s, const struct ws_packet *pkt, unsigned n)
{
    struct pcap_sink *ps = (struct pcap_sink *)s;
    if (!ps->cfg.format.pcapng || ps->cfg.role == WS_SINK_PCAP_PACKETS)
        return;
    /* All packets before this burst are written: what waits still belongs here. */
    if (ps->n_pending && n)
        flush_pending(ps, UINT64_MAX);
    for (unsigned i = 0; i < n; i++) {
        if (WS_LIKELY(pkt[i].iface < ps->announced))
            continue;
        /* When the channel refused earlier ones, they go along with these. */
        if (ps->n_pending == WS_BURST_MAX)
            ps->n_pending--;
        ps->announced = pkt[i].iface + 1u;
        ps->pending[ps->n_pending].order = pkt[i].ordinal; /* that of the packet before it */
        ps->pending[ps->n_pending].iface_end = ps->announced;
        ps->n_pending++;
    }
    if (ps->n_pending && ps->cfg.role == WS_SINK_PCAP_ANNOUNCER)
        flush_pending(ps, UINT64_MAX);
}

static void on_packet(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p)
{
    struct pcap_sink *ps = (struct pcap_sink *)s;
    struct ws_frame f;
    (void)flow;
    if (p->flags & WS_PKT_DATAGRAM) /* no frame of its own */
        return;
    uint64_t order = WS_MAX(order_of(WS_MAX(p->ordinal, s->order)), ps->last_order);
    if (!ps->cfg.format.pcapng) {
        if (WS_UNLIKELY(p->link_type != ps->link_type)) {
            ws_count(s->counters, WS_C_OUT_LINK_TYPE, 1);
            ws_log_once(&said_link_type, WS_LOG_WARN,
                        "packets of link type %u left out: a pcap file holds one link type (%u here); "
                        "pcapng holds several",
                        p->link_type, ps->link_type);
            return;
        }
    } else if (ps->cfg.role == WS_SINK_PCAP_ALONE) {
        if (WS_UNLIKELY(ps->n_pending))
            flush_pending(ps, order);
        if (WS_UNLIKELY(p->iface >= ps->described) && !describe_until(ps, order, p->iface + 1u)) {
            ws_count(s->counters, WS_C_SHED_BLOCK_PACKETS, 1);
            return;
        }
    }
    ws_frame_encode(&f, &ps->cfg.format, p->iface, p);
    if (WS_UNLIKELY(ws_channel_record(ps->cfg.channel, order, f.piece, f.n) != 0)) {
        ws_count(s->counters, WS_C_SHED_BLOCK_PACKETS, 1);
        return;
    }
    ps->last_order = order;
    ws_count(s->counters, WS_C_OUT_PACKETS, 1);
    ws_count(s->counters, WS_C_OUT_PACKET_BYTES, f.cap_len);
}

static void on_finish(struct ws_sink *s)
{
    struct pcap_sink *ps = (struct pcap_sink *)s;
    if (ps->n_pending)
        flush_pending(ps, UINT64_MAX);
}

static void on_destroy(struct ws_sink *s)
{
    free(s);
}

static const struct ws_sink_ops pcap_ops = {
    .packet = on_packet,
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
    ps->base = (struct ws_sink){.ops = &pcap_ops,
                                .needs = cfg->role == WS_SINK_PCAP_ANNOUNCER ? 0 : WS_SINK_PACKET,
                                .channel = cfg->channel};
    *s = &ps->base;
    return 0;
}
