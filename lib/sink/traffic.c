/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts for a picture of the traffic, and the sink that makes them. */
#include "sink/traffic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "packet/decode.h"

#define PORTS     65536u
#define EPHEMERAL 32768u

struct traffic_sink {
    struct ws_sink base;
    struct ws_traffic traffic;
};

int ws_traffic_init(struct ws_traffic *t, const struct ws_sink_traffic_config *cfg)
{
    uint32_t addresses = cfg->addresses_max ? cfg->addresses_max : 65536;
    memset(t, 0, sizeof(*t));
    t->port = calloc(PORTS, sizeof(*t->port));
    if (t->port && ws_timeline_init(&t->time, cfg->bins_max ? cfg->bins_max : 1000) == 0 &&
        ws_heavy_init(&t->src, addresses, cfg->seed) == 0 &&
        ws_heavy_init(&t->dst, addresses, ~cfg->seed) == 0)
        return 0;
    ws_traffic_fini(t);
    return -ENOMEM;
}

void ws_traffic_fini(struct ws_traffic *t)
{
    free(t->port);
    ws_timeline_fini(&t->time);
    ws_heavy_fini(&t->src);
    ws_heavy_fini(&t->dst);
    memset(t, 0, sizeof(*t));
}

static void add_count(struct ws_traffic_count *c, uint64_t packets, uint64_t bytes)
{
    c->packets += packets;
    c->bytes += bytes;
}

/* Whether a frame without an IP datagram carries ARP: by the EtherType behind any VLAN tags, or as
 * cooked captures say. */
static bool is_arp(const struct ws_packet *p)
{
    uint32_t off = p->link_type == 1 ? 12 : p->link_type == 113 ? 14 : 0;
    if (p->link_type != 1 && p->link_type != 113 && p->link_type != 276)
        return false;
    for (unsigned tags = 0; tags < 4 && off + 2 <= p->cap_len; tags++, off += 4) {
        uint16_t type = ws_load_be16(p->data + off);
        if (type == 0x0806)
            return true;
        if (p->link_type != 1 ||
            (type != 0x8100 && type != 0x88a8 && type != 0x9100 && type != 0x9200))
            return false;
    }
    return false;
}

static enum ws_traffic_layer layer(const struct ws_packet *p)
{
    if (p->flags & WS_PKT_IP)
        return p->key.ip_version == 4 ? WS_TRAFFIC_IP4 : WS_TRAFFIC_IP6;
    return p->status == WS_DECODE_NON_IP && is_arp(p) ? WS_TRAFFIC_ARP : WS_TRAFFIC_OTHER;
}

uint32_t ws_traffic_service(const struct ws_flow *flow, const struct ws_packet *p)
{
    uint32_t a = p->key.port[0], b = p->key.port[1];
    uint32_t low = WS_MIN(a, b), high = WS_MAX(a, b);
    if (!(p->flags & WS_PKT_IP) || high == 0)
        return WS_TIMELINE_NO_PORT;
    if (low && ((low < 1024) != (high < 1024) || (low < EPHEMERAL) != (high < EPHEMERAL)))
        return low;
    return flow ? p->key.port[!flow->orig] : low ? low : high;
}

void ws_traffic_add(struct ws_traffic *t, const struct ws_flow *flow, const struct ws_packet *p)
{
    uint64_t bytes = p->wire_len;
    if (p->flags & (WS_PKT_DATAGRAM | WS_PKT_FILTERED)) /* no frame of its own */
        return;
    if (t->all.packets == 0)
        t->first_ns = t->last_ns = p->ts_ns;
    t->first_ns = WS_MIN(t->first_ns, p->ts_ns);
    t->last_ns = WS_MAX(t->last_ns, p->ts_ns);
    add_count(&t->all, 1, bytes);
    add_count(&t->layer[layer(p)], 1, bytes);
    if (p->vlan_tci)
        add_count(&t->vlan, 1, bytes);
    ws_timeline_add(&t->time, p->ts_ns, ws_traffic_service(flow, p), bytes);
    if (!(p->flags & WS_PKT_IP))
        return;
    const struct ws_key *k = &p->key;
    unsigned from = p->dir & 1u, to = from ^ 1;
    add_count(&t->proto[k->proto], 1, bytes);
    if (k->tunnel_type)
        add_count(&t->tunnel, 1, bytes);
    ws_heavy_add(&t->src, k->addr[from], k->ip_version, bytes);
    ws_heavy_add(&t->dst, k->addr[to], k->ip_version, bytes);
    if (k->port[from] | k->port[to]) {
        t->port[k->port[from]][0] += bytes;
        t->port[k->port[to]][1] += bytes;
    }
}

void ws_traffic_merge(struct ws_traffic *dst, const struct ws_traffic *src)
{
    if (src->all.packets == 0)
        return;
    bool first = dst->all.packets == 0;
    dst->first_ns = first ? src->first_ns : WS_MIN(dst->first_ns, src->first_ns);
    dst->last_ns = first ? src->last_ns : WS_MAX(dst->last_ns, src->last_ns);
    add_count(&dst->all, src->all.packets, src->all.bytes);
    for (unsigned i = 0; i < WS_TRAFFIC_LAYERS; i++)
        add_count(&dst->layer[i], src->layer[i].packets, src->layer[i].bytes);
    for (unsigned i = 0; i < 256; i++)
        add_count(&dst->proto[i], src->proto[i].packets, src->proto[i].bytes);
    add_count(&dst->vlan, src->vlan.packets, src->vlan.bytes);
    add_count(&dst->tunnel, src->tunnel.packets, src->tunnel.bytes);
    ws_timeline_merge(&dst->time, &src->time);
    ws_heavy_merge(&dst->src, &src->src);
    ws_heavy_merge(&dst->dst, &src->dst);
    for (unsigned i = 0; i < PORTS; i++) {
        dst->port[i][0] += src->port[i][0];
        dst->port[i][1] += src->port[i][1];
    }
}

unsigned ws_traffic_top_ports(const struct ws_traffic *t, unsigned dir, uint16_t *port, unsigned n)
{
    unsigned have = 0;
    for (unsigned i = 0; n && i < PORTS; i++) {
        uint64_t bytes = t->port[i][dir];
        if (bytes == 0 || (have == n && bytes <= t->port[port[n - 1]][dir]))
            continue;
        unsigned at = have < n ? have++ : n - 1;
        for (; at && bytes > t->port[port[at - 1]][dir]; at--)
            port[at] = port[at - 1];
        port[at] = (uint16_t)i;
    }
    return have;
}

static void on_packet(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p)
{
    ws_traffic_add(&((struct traffic_sink *)s)->traffic, flow, p);
}

static void on_finish(struct ws_sink *s)
{
    const struct ws_traffic *t = &((struct traffic_sink *)s)->traffic;
    ws_count(s->counters, WS_C_CHART_ADDRESSES_FULL, t->src.purges + t->dst.purges);
    ws_count(s->counters, WS_C_CHART_PORTS_FULL, t->time.trims);
}

static void on_destroy(struct ws_sink *s)
{
    ws_traffic_fini(&((struct traffic_sink *)s)->traffic);
    free(s);
}

static const struct ws_sink_ops traffic_ops = {
    .packet = on_packet, .finish = on_finish, .destroy = on_destroy};

int ws_sink_traffic_create(struct ws_sink **s, const struct ws_sink_traffic_config *cfg)
{
    struct traffic_sink *ts = calloc(1, sizeof(*ts));
    if (!ts)
        return -ENOMEM;
    if (ws_traffic_init(&ts->traffic, cfg) < 0) {
        free(ts);
        return -ENOMEM;
    }
    ts->base = (struct ws_sink){.ops = &traffic_ops, .needs = WS_SINK_PACKET};
    *s = &ts->base;
    return 0;
}

const struct ws_traffic *ws_sink_traffic_counts(const struct ws_sink *s)
{
    return &((const struct traffic_sink *)s)->traffic;
}
