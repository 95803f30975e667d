/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding of transport headers: TCP, UDP, other protocols with ports, and checksums. */
#include "packet/checksum.h"
#include "packet/cursor.h"

static bool checksum_ok(const struct ws_cursor *c, uint8_t proto, uint32_t len)
{
    return ws_checksum_ok(c->src, c->dst, c->version == 4 ? 4 : 16, proto, c->at, len);
}

static bool may_verify(const struct ws_cursor *c, uint32_t len)
{
    return WS_UNLIKELY(c->cfg->verify_l4) && !(c->p->flags & WS_PKT_SUM_UNKNOWN) && !c->cut &&
           len <= ws_cursor_left(c);
}

uint8_t ws_decode_window_scale(const uint8_t *o, const uint8_t *end)
{
    while (o < end) {
        if (o[0] == 0) /* end of options (RFC 9293 section 3.1) */
            break;
        if (o[0] == 1) {
            o++;
            continue;
        }
        if (end - o < 2 || o[1] < 2 || end - o < o[1])
            break;
        if (o[0] == 3 && o[1] == 3)
            return (uint8_t)(WS_MIN(o[2], 14) + 1); /* 14 at most, section 2.3 */
        o += o[1];
    }
    return 0;
}

/* A header of at least hdr_min bytes that the snap length cut. With its ports there the flow is
 * known: a frame of it, but no segment or datagram (no WS_PKT_TCP, no WS_PKT_UDP), and none of its
 * bytes are payload. */
static enum ws_next cut_header(struct ws_cursor *c, uint8_t proto, uint32_t hdr_min)
{
    const uint8_t *h = c->at;
    if (ws_cursor_left(c) < 4 || c->wire < hdr_min)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_L4);
    ws_cursor_l4(c, c->wire);
    return ws_cursor_flow(c, proto, ws_load_be16(h), ws_load_be16(h + 2));
}

/* RFC 9293 section 3.1 */
enum ws_next ws_decode_tcp(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    struct ws_packet *p = c->p;
    uint32_t left = ws_cursor_left(c);
    if (WS_UNLIKELY(left < 20))
        return cut_header(c, WS_IPPROTO_TCP, 20);
    uint32_t header = (h[12] >> 4) * 4u;
    if (WS_UNLIKELY(header < 20 || header > c->wire))
        return ws_cursor_stop(c, WS_DECODE_BAD_TCP);
    p->tcp_seq = ws_load_be32(h + 4);
    p->tcp_ack = ws_load_be32(h + 8);
    p->tcp_flags = h[13];
    p->tcp_window = ws_load_be16(h + 14);
    p->tcp_urgent = ws_load_be16(h + 18);
    p->tcp_hdr_len = (uint8_t)header;
    if (WS_UNLIKELY(h[13] & WS_TCP_SYN))
        p->tcp_wscale = ws_decode_window_scale(h + 20, h + WS_MIN(header, left));
    ws_cursor_l4(c, header);
    p->flags |= WS_PKT_TCP;
    if (may_verify(c, c->wire) && !checksum_ok(c, WS_IPPROTO_TCP, c->wire))
        p->flags |= WS_PKT_BAD_L4_SUM;
    return ws_cursor_flow(c, WS_IPPROTO_TCP, ws_load_be16(h), ws_load_be16(h + 2));
}

/* RFC 768 */
static enum ws_next decode_udp(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    struct ws_packet *p = c->p;
    if (ws_cursor_left(c) < 8)
        return cut_header(c, WS_IPPROTO_UDP, 8);
    uint32_t len = ws_load_be16(h + 4);
    if (len == 0 && c->unsized)
        len = c->wire; /* a jumbogram (RFC 2675 section 4) or offload */
    if (len < 8 || (len > c->wire && !c->cut))
        return ws_cursor_stop(c, WS_DECODE_BAD_UDP);
    ws_cursor_limit(c, len);
    ws_cursor_l4(c, 8);
    p->flags |= WS_PKT_UDP;
    /* 0: no checksum was made. IPv6 forbids that except for tunnels (RFC 6935). */
    if (may_verify(c, c->wire) && ws_load_be16(h + 6) != 0 &&
        !checksum_ok(c, WS_IPPROTO_UDP, c->wire))
        p->flags |= WS_PKT_BAD_L4_SUM;
    uint16_t sport = ws_load_be16(h), dport = ws_load_be16(h + 2);
    enum ws_next next = ws_cursor_flow(c, WS_IPPROTO_UDP, sport, dport);
    if (ws_decode_is_udp_tunnel(c->cfg, sport, dport)) {
        ws_cursor_skip(c, 8);
        next = ws_decode_udp_tunnel(c, sport, dport);
    }
    return next;
}

/* Protocols of which only the ports matter here. hdr_len is where their payload begins. */
static enum ws_next decode_ports(struct ws_cursor *c, uint8_t proto, uint32_t hdr_len)
{
    const uint8_t *h = c->at;
    if (c->cfg->tcp_udp_ports) {
        ws_cursor_l4(c, 0);
        return ws_cursor_flow(c, proto, 0, 0);
    }
    if (ws_cursor_left(c) < 4)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_L4);
    ws_cursor_l4(c, hdr_len);
    return ws_cursor_flow(c, proto, ws_load_be16(h), ws_load_be16(h + 2));
}

enum ws_next ws_decode_proto(struct ws_cursor *c)
{
    uint8_t proto = (uint8_t)c->type;
    if (c->base && c->at - c->base > UINT16_MAX)
        return ws_cursor_stop(c, WS_DECODE_OFFSET);
    switch (proto) {
    case WS_IPPROTO_TCP:
        return ws_decode_tcp(c);
    case WS_IPPROTO_UDP:
        return decode_udp(c);
    case WS_IPPROTO_SCTP: /* RFC 9260 section 3.1 */
        return decode_ports(c, proto, 12);
    case WS_IPPROTO_UDPLITE: /* RFC 3828 section 3.1 */
        return decode_ports(c, proto, 8);
    case WS_IPPROTO_DCCP: /* RFC 4340 section 5.1 */
        return decode_ports(c, proto, ws_cursor_left(c) > 4 ? c->at[4] * 4u : 12u);
    case WS_IPPROTO_AH:
        return ws_decode_ip6_ext(c);
    case WS_IPPROTO_HOPOPTS:
    case WS_IPPROTO_ROUTING:
    case WS_IPPROTO_FRAGMENT:
    case WS_IPPROTO_DSTOPTS:
        if (c->version == 6)
            return ws_decode_ip6_ext(c);
        break;
    case WS_IPPROTO_NONE: /* RFC 8200 section 4.7: what follows is ignored */
        ws_cursor_limit(c, 0);
        break;
    case WS_IPPROTO_IPIP:
    case WS_IPPROTO_IPV6:
    case WS_IPPROTO_GRE:
        ws_cursor_l4(c, 0);
        if (!c->cfg->tunnels)
            break;
        ws_cursor_flow(c, proto, 0, 0);
        if (proto == WS_IPPROTO_GRE)
            return ws_decode_gre(c);
        return ws_decode_ipip(c, proto == WS_IPPROTO_IPIP ? WS_NEXT_IP4 : WS_NEXT_IP6);
    default:
        break;
    }
    ws_cursor_l4(c, 0);
    return ws_cursor_flow(c, proto, 0, 0);
}
