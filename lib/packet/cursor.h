/* SPDX-License-Identifier: BSD-3-Clause */
/* The cursor that walks a frame, and the steps of the walk (private to lib/packet). */
#ifndef WS_PACKET_CURSOR_H
#define WS_PACKET_CURSOR_H

#include <string.h>

#include "base/bytes.h"
#include "packet/decode.h"
#include "packet/toeplitz.h"

/* What stands at the cursor. Each step takes one header and returns what comes next. */
enum ws_next {
    WS_NEXT_STOP,      /* packet->status says how it ended */
    WS_NEXT_ETHERNET,  /* an Ethernet header */
    WS_NEXT_ETHERTYPE, /* what cursor->type (an EtherType) names */
    WS_NEXT_LLC,       /* IEEE 802.2 LLC */
    WS_NEXT_WLAN,      /* an IEEE 802.11 MAC header */
    WS_NEXT_MPLS,      /* a label stack entry */
    WS_NEXT_PPPOE,     /* a PPPoE session header */
    WS_NEXT_PPP,       /* [address, control,] PPP protocol number */
    WS_NEXT_HDLC,      /* Cisco HDLC */
    WS_NEXT_IP,        /* IPv4 or IPv6 by the version nibble */
    WS_NEXT_IP4,
    WS_NEXT_IP6,
    WS_NEXT_PROTO, /* what cursor->type (an IP protocol number) names */
};

/* IP protocol numbers that the decoder treats specially
 * (https://www.iana.org/assignments/protocol-numbers). */
enum ws_ipproto {
    WS_IPPROTO_HOPOPTS = 0,
    WS_IPPROTO_IPIP = 4,
    WS_IPPROTO_TCP = 6,
    WS_IPPROTO_UDP = 17,
    WS_IPPROTO_DCCP = 33,
    WS_IPPROTO_IPV6 = 41,
    WS_IPPROTO_ROUTING = 43,
    WS_IPPROTO_FRAGMENT = 44,
    WS_IPPROTO_GRE = 47,
    WS_IPPROTO_AH = 51,
    WS_IPPROTO_NONE = 59,
    WS_IPPROTO_DSTOPTS = 60,
    WS_IPPROTO_SCTP = 132,
    WS_IPPROTO_UDPLITE = 136,
};

/* Bounds of one walk. Besides, lists of options and extensions cost a step for each few of their bytes. */
enum ws_decode_limit {
    WS_STEPS_MAX = 64,   /* headers of any kind; more is WS_DECODE_DEPTH */
    WS_IP6_EXT_MAX = 16, /* extension headers of one datagram; more is WS_DECODE_BAD_EXT */
};

struct ws_cursor {
    const uint8_t *at;   /* the next byte */
    const uint8_t *end;  /* end of the captured bytes of the current layer */
    const uint8_t *base; /* start of the frame; NULL when at is not inside the frame */
    const uint8_t *src;  /* addresses of the current IP datagram: 4 or 16 bytes */
    const uint8_t *dst;
    struct ws_packet *p;
    const struct ws_decode_config *cfg;
    uint32_t wire;     /* bytes that were on the wire from at; at least end - at */
    uint16_t type;     /* EtherType or IP protocol number, by enum ws_next */
    uint8_t version;   /* 4 or 6 of the current IP datagram */
    uint8_t ext_left;  /* extension headers that may still come */
    bool cut;          /* a length field claims more than the wire had */
    bool unsized;      /* the IP length field is 0: jumbogram or segmentation offload */
    bool defragmented; /* at is inside a datagram put together from fragments */
    bool have_mac;
    bool have_outer;     /* outer holds the flow to fall back on when no IP comes next */
    bool outer_guess;    /* ... and also when what comes next is no valid IP */
    uint8_t addr[2][16]; /* addresses that stand nowhere in one piece (RFC 6554, defragmented) */
    struct ws_packet outer;
};

/* Captured bytes from at. */
static inline uint32_t ws_cursor_left(const struct ws_cursor *c)
{
    return (uint32_t)(c->end - c->at);
}

/* Steps over n bytes; n is at most ws_cursor_left(). */
static inline void ws_cursor_skip(struct ws_cursor *c, uint32_t n)
{
    c->at += n;
    c->wire -= n;
}

/* Lets the current layer end len bytes from at, as a length field says: what follows is padding or
 * a trailer. A length beyond what the wire had is not believed, so that it makes no phantom hole.
 */
static inline void ws_cursor_limit(struct ws_cursor *c, uint32_t len)
{
    if (len < ws_cursor_left(c))
        c->end = c->at + len;
    if (len < c->wire)
        c->wire = len;
    else if (len > c->wire)
        c->cut = true;
}

static inline enum ws_next ws_cursor_stop(struct ws_cursor *c, enum ws_decode_status status)
{
    c->p->status = (uint8_t)status;
    return WS_NEXT_STOP;
}

/* Fills the key of the current IP datagram, endpoints sorted, and the direction. */
static inline void ws_cursor_key(struct ws_cursor *c, uint8_t proto, uint16_t sport, uint16_t dport)
{
    struct ws_packet *p = c->p;
    struct ws_key *k = &p->key;
    unsigned dir;
    if (WS_LIKELY(c->version == 4)) {
        uint32_t s = ws_load_be32(c->src), d = ws_load_be32(c->dst);
        dir = s > d || (s == d && sport > dport);
        memset(k->addr, 0, sizeof(k->addr));
        memcpy(k->addr[dir], c->src, 4);
        memcpy(k->addr[dir ^ 1], c->dst, 4);
    } else {
        int order = memcmp(c->src, c->dst, 16);
        dir = order > 0 || (order == 0 && sport > dport);
        memcpy(k->addr[dir], c->src, 16);
        memcpy(k->addr[dir ^ 1], c->dst, 16);
    }
    if (WS_UNLIKELY(c->cfg->key_mac)) {
        /* With MAC addresses in the key, they also order endpoints that are equal otherwise. */
        if (sport == dport && memcmp(k->addr[0], k->addr[1], 16) == 0)
            dir = memcmp(p->mac_src, p->mac_dst, 6) > 0;
        memcpy(k->mac[dir], p->mac_src, 6);
        memcpy(k->mac[dir ^ 1], p->mac_dst, 6);
    }
    if (WS_UNLIKELY(c->cfg->key_device)) {
        k->device = p->device;
        if (c->cfg->device_vlan && p->vlan_tci & 0xfff)
            k->device = (p->device & 0xffff0000u) | (p->vlan_tci & 0xfffu);
    }
    k->port[dir] = sport;
    k->port[dir ^ 1] = dport;
    k->ip_version = c->version;
    k->proto = proto;
    p->dir = (uint8_t)dir;
}

/* Says where the transport header is: at the cursor. Payload is what follows hdr_len bytes. */
static inline void ws_cursor_l4(struct ws_cursor *c, uint32_t hdr_len)
{
    struct ws_packet *p = c->p;
    uint32_t left = ws_cursor_left(c), have = WS_MIN(hdr_len, left);
    p->l4 = c->at;
    p->l4_len = left;
    p->payload = c->at + have;
    p->payload_len = left - have;
    p->payload_wire_len = c->wire - WS_MIN(hdr_len, c->wire);
    if (WS_LIKELY(c->base != NULL)) {
        p->l4_off = (uint16_t)(c->at - c->base);
        p->ip_hdr_len = (uint16_t)(p->l4_off - p->l3_off);
    }
}

/* Ends the walk at a flow: its key, owner and flags. */
static inline enum ws_next ws_cursor_flow(struct ws_cursor *c, uint8_t proto, uint16_t sport,
                                          uint16_t dport)
{
    ws_cursor_key(c, proto, sport, dport);
    c->p->flags |= WS_PKT_IP;
    if (!c->cfg->no_owner)
        c->p->owner_hash = ws_toeplitz_owner(&c->p->key);
    return ws_cursor_stop(c, WS_DECODE_OK);
}

/* The steps. link.c: */
enum ws_next ws_decode_link(struct ws_cursor *c, uint16_t link_type);
enum ws_next ws_decode_ethernet(struct ws_cursor *c);
enum ws_next ws_decode_ethertype(struct ws_cursor *c);
enum ws_next ws_decode_llc(struct ws_cursor *c);
enum ws_next ws_decode_mpls(struct ws_cursor *c);
enum ws_next ws_decode_pppoe(struct ws_cursor *c);
enum ws_next ws_decode_ppp(struct ws_cursor *c);
enum ws_next ws_decode_hdlc(struct ws_cursor *c);
/* seldom.c: */
enum ws_next ws_decode_seldom_link(struct ws_cursor *c, uint16_t link_type);
enum ws_next ws_decode_seldom_tag(struct ws_cursor *c);
/* wlan.c: */
enum ws_next ws_decode_wlan(struct ws_cursor *c);
enum ws_next ws_decode_radiotap(struct ws_cursor *c);
enum ws_next ws_decode_prism(struct ws_cursor *c);
/* ip.c: */
enum ws_next ws_decode_ip(struct ws_cursor *c);
enum ws_next ws_decode_ip4(struct ws_cursor *c);
enum ws_next ws_decode_ip6(struct ws_cursor *c);
enum ws_next ws_decode_ip6_ext(struct ws_cursor *c);
enum ws_next ws_decode_fragment(struct ws_cursor *c, uint32_t id, uint16_t off, bool more);
/* transport.c: */
enum ws_next ws_decode_proto(struct ws_cursor *c);
enum ws_next ws_decode_tcp(struct ws_cursor *c);
/* The window scale option among the TCP options [o, end), plus one; 0 if absent (RFC 7323 section 2.2). */
uint8_t ws_decode_window_scale(const uint8_t *o, const uint8_t *end);
/* tunnel.c: */
bool ws_decode_is_udp_tunnel(const struct ws_decode_config *cfg, uint16_t sport, uint16_t dport);
enum ws_next ws_decode_udp_tunnel(struct ws_cursor *c, uint16_t sport, uint16_t dport);
enum ws_next ws_decode_gre(struct ws_cursor *c);
enum ws_next ws_decode_ipip(struct ws_cursor *c, enum ws_next inner);

/* decode.c: ws_decode() without its short cut for plain Ethernet, IPv4 and TCP; the tests hold
 * the two against each other. */
enum ws_decode_status ws_decode_general(struct ws_packet *p, const struct ws_decode_config *cfg);

#endif
