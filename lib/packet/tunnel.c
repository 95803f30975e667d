/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding of tunnel headers: GRE and what it carries, IP in IP, and tunnels over UDP. */
#include "packet/cursor.h"

/* EtherTypes and GRE protocol types of this file. */
enum {
    TYPE_TRANSPARENT_ETHERNET = 0x6558,
    TYPE_PPP = 0x880b,
    TYPE_WCCP = 0x883e,
    TYPE_ERSPAN2 = 0x88be, /* also ERSPAN I */
    TYPE_ERSPAN3 = 0x22eb,
};

/* The packet so far becomes the outer flow; what is decoded next, the inner one. The outer flow is
 * what counts if there is no IP inside and, where only a port number suggested the tunnel
 * (guess), if the inside is invalid. */
static enum ws_next enter(struct ws_cursor *c, enum ws_tunnel type, uint32_t id, bool guess,
                          enum ws_next next)
{
    struct ws_packet *p = c->p;
    c->outer = *p;
    c->have_outer = true;
    c->outer_guess = guess;
    if (p->key.tunnel_depth >= c->cfg->depth_max)
        return ws_cursor_stop(c, WS_DECODE_DEPTH);
    p->key.tunnel_type = (uint8_t)type;
    p->key.tunnel_id = id;
    p->key.tunnel_depth++;
    p->flags &= ~(uint32_t)(WS_PKT_TCP | WS_PKT_UDP | WS_PKT_BAD_L4_SUM);
    return next;
}

enum ws_next ws_decode_ipip(struct ws_cursor *c, enum ws_next inner)
{
    return enter(c, WS_TUNNEL_IPIP, 0, false, inner);
}

/* The frame behind a GRE header with protocol type 0x88be: ERSPAN I has no header and no sequence
 * number, ERSPAN II both (draft-foschiano-erspan-03 sections 4.1 and 4.2). */
static enum ws_next decode_erspan2(struct ws_cursor *c, bool sequence)
{
    if (!sequence)
        return enter(c, WS_TUNNEL_ERSPAN, 0, false, WS_NEXT_ETHERNET);
    if (ws_cursor_left(c) < 8)
        return c->wire < 8 ? ws_cursor_stop(c, WS_DECODE_BAD_TUNNEL) : WS_NEXT_STOP;
    if (c->at[0] >> 4 != 1)
        return ws_cursor_stop(c, WS_DECODE_BAD_TUNNEL);
    uint32_t session = ws_load_be16(c->at + 2) & 0x3ffu;
    ws_cursor_skip(c, 8);
    return enter(c, WS_TUNNEL_ERSPAN, session, false, WS_NEXT_ETHERNET);
}

/* ERSPAN III: 12 bytes and, with the O bit, 8 more (section 4.3 of the same draft). */
static enum ws_next decode_erspan3(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    uint32_t len = left >= 12 && h[11] & 1 ? 20 : 12;
    if (left < len)
        return c->wire < len ? ws_cursor_stop(c, WS_DECODE_BAD_TUNNEL) : WS_NEXT_STOP;
    if (h[0] >> 4 != 2)
        return ws_cursor_stop(c, WS_DECODE_BAD_TUNNEL);
    uint32_t session = ws_load_be16(h + 2) & 0x3ffu;
    unsigned frame_type = h[10] >> 2 & 0x1f;
    if (frame_type != 0 && frame_type != 2)
        return WS_NEXT_STOP; /* neither Ethernet nor IP: a GRE flow */
    ws_cursor_skip(c, len);
    return enter(c, WS_TUNNEL_ERSPAN, session, false,
                 frame_type == 0 ? WS_NEXT_ETHERNET : WS_NEXT_IP);
}

/* RFC 2784, RFC 2890 (key, sequence), RFC 2637 section 4.1 (version 1), RFC 7637 (NVGRE). The
 * packet is already a GRE flow: WS_NEXT_STOP leaves it at that. */
enum ws_next ws_decode_gre(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (left < 4)
        return c->wire < 4 ? ws_cursor_stop(c, WS_DECODE_BAD_TUNNEL) : WS_NEXT_STOP;
    unsigned flags = ws_load_be16(h), version = flags & 7;
    bool sum = flags & 0x8000, routing = flags & 0x4000, key = flags & 0x2000,
         sequence = flags & 0x1000, ack = version == 1 && flags & 0x0080;
    c->type = ws_load_be16(h + 2);
    if (version > 1)
        return ws_cursor_stop(c, WS_DECODE_BAD_TUNNEL);
    if (routing) /* RFC 1701 source routes: obsolete and never seen */
        return WS_NEXT_STOP;
    uint32_t len = 4u + (sum ? 4u : 0u) + (key ? 4u : 0u) + (sequence ? 4u : 0u) + (ack ? 4u : 0u);
    if (left < len)
        return c->wire < len ? ws_cursor_stop(c, WS_DECODE_BAD_TUNNEL) : WS_NEXT_STOP;
    if (version == 1) {
        if (!sequence || c->type != TYPE_PPP) /* an acknowledgement alone carries nothing */
            return WS_NEXT_STOP;
        ws_cursor_skip(c, len);
        return enter(c, WS_TUNNEL_GRE, 0, false, WS_NEXT_PPP); /* call ids differ by direction */
    }
    uint32_t id = key ? ws_load_be32(h + (sum ? 8 : 4)) : 0;
    ws_cursor_skip(c, len);
    switch (c->type) {
    case TYPE_TRANSPARENT_ETHERNET:
        /* NVGRE has a key and neither checksum nor sequence (RFC 7637 section 3.2); the low 8 bits
         * of the key vary by flow. */
        if (key && !sum && !sequence)
            return enter(c, WS_TUNNEL_NVGRE, id >> 8, false, WS_NEXT_ETHERNET);
        return enter(c, WS_TUNNEL_GRE, id, false, WS_NEXT_ETHERNET);
    case TYPE_WCCP:
        /* IPv4, in version 2 behind 4 bytes (draft-mclaggan-wccp-v2rev1 section 4.12). */
        if (ws_cursor_left(c) >= 4 && c->at[0] >> 4 != 4)
            ws_cursor_skip(c, 4);
        return enter(c, WS_TUNNEL_GRE, id, false, WS_NEXT_IP4);
    case TYPE_ERSPAN2:
        return decode_erspan2(c, sequence);
    case TYPE_ERSPAN3:
        return decode_erspan3(c);
    default:
        return enter(c, WS_TUNNEL_GRE, id, false, WS_NEXT_ETHERTYPE);
    }
}

static bool port_is(uint16_t port, uint16_t tunnel)
{
    return port == tunnel && tunnel != 0;
}

/* VXLAN and Geneve take their source port from a hash of the inner flow, so that only the
 * destination tells (RFC 7348 section 5, RFC 8926 section 3.3); the others answer from their port.
 */
bool ws_decode_is_udp_tunnel(const struct ws_decode_config *cfg, uint16_t sport, uint16_t dport)
{
    return cfg->tunnels && (port_is(dport, cfg->port_vxlan) || port_is(dport, cfg->port_geneve) ||
                            port_is(dport, cfg->port_gtpu) || port_is(sport, cfg->port_gtpu) ||
                            port_is(dport, cfg->port_teredo) || port_is(sport, cfg->port_teredo) ||
                            port_is(dport, cfg->port_l2tp) || port_is(sport, cfg->port_l2tp));
}

/* RFC 7348 section 5 */
static enum ws_next decode_vxlan(struct ws_cursor *c)
{
    if (ws_cursor_left(c) < 8 || !(c->at[0] & 0x08)) /* the I bit: the VNI is valid */
        return WS_NEXT_STOP;
    uint32_t vni = ws_load_be24(c->at + 4);
    ws_cursor_skip(c, 8);
    return enter(c, WS_TUNNEL_VXLAN, vni, true, WS_NEXT_ETHERNET);
}

/* RFC 8926 section 3.4 */
static enum ws_next decode_geneve(struct ws_cursor *c)
{
    if (ws_cursor_left(c) < 8 || c->at[0] >> 6 != 0)
        return WS_NEXT_STOP;
    uint32_t len = 8 + (c->at[0] & 0x3fu) * 4, vni = ws_load_be24(c->at + 4);
    if (len > ws_cursor_left(c))
        return WS_NEXT_STOP;
    c->type = ws_load_be16(c->at + 2);
    ws_cursor_skip(c, len);
    return enter(c, WS_TUNNEL_GENEVE, vni, true,
                 c->type == TYPE_TRANSPARENT_ETHERNET ? WS_NEXT_ETHERNET : WS_NEXT_ETHERTYPE);
}

/* 3GPP TS 29.281 section 5.1 and 5.2: version 1, protocol type GTP, message type G-PDU. */
static enum ws_next decode_gtpu(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    if (ws_cursor_left(c) < 8 || h[0] >> 5 != 1 || !(h[0] & 0x10) || h[1] != 255)
        return WS_NEXT_STOP;
    ws_cursor_skip(c, 8);
    ws_cursor_limit(c, ws_load_be16(h + 2));
    if (h[0] & 0x07) { /* any of E, S, PN: sequence number, N-PDU number, next extension */
        if (ws_cursor_left(c) < 4)
            return WS_NEXT_STOP;
        unsigned ext = h[0] & 0x04 ? c->at[3] : 0;
        ws_cursor_skip(c, 4);
        while (ext) {
            uint32_t left = ws_cursor_left(c);
            if (!left || !c->at[0] || c->at[0] * 4u > left)
                return WS_NEXT_STOP;
            uint32_t len = c->at[0] * 4u;
            ext = c->at[len - 1];
            ws_cursor_skip(c, len);
        }
    }
    return enter(c, WS_TUNNEL_GTPU, 0, true, WS_NEXT_IP);
}

/* RFC 4380 section 5.1.1: authentication and origin indication, both optional, then IPv6. */
static enum ws_next decode_teredo(struct ws_cursor *c)
{
    if (ws_cursor_left(c) >= 13 && ws_load_be16(c->at) == 1) {
        uint32_t len = 13u + c->at[2] + c->at[3];
        if (len > ws_cursor_left(c))
            return WS_NEXT_STOP;
        ws_cursor_skip(c, len);
    }
    if (ws_cursor_left(c) >= 8 && ws_load_be16(c->at) == 0)
        ws_cursor_skip(c, 8);
    return enter(c, WS_TUNNEL_TEREDO, 0, true, WS_NEXT_IP6);
}

/* RFC 2661 section 3.1: data messages of version 2 */
static enum ws_next decode_l2tp(struct ws_cursor *c)
{
    uint32_t left = ws_cursor_left(c);
    if (left < 6)
        return WS_NEXT_STOP;
    const uint8_t *h = c->at;
    unsigned flags = ws_load_be16(h);
    if ((flags & 0x800f) != 2) /* control, or another version */
        return WS_NEXT_STOP;
    uint32_t len = 6u + (flags & 0x4000 ? 2u : 0u) + (flags & 0x0800 ? 4u : 0u);
    if (flags & 0x0200) { /* offset size, then as many bytes of padding */
        if (left < len + 2)
            return WS_NEXT_STOP;
        len += 2u + ws_load_be16(h + len);
    }
    if (left < len)
        return WS_NEXT_STOP;
    if (flags & 0x4000) {
        uint32_t total = ws_load_be16(h + 2);
        if (total < len)
            return WS_NEXT_STOP;
        ws_cursor_limit(c, total);
    }
    ws_cursor_skip(c, len);
    return enter(c, WS_TUNNEL_L2TP, 0, true, WS_NEXT_PPP);
}

/* The packet is already a UDP flow: WS_NEXT_STOP leaves it at that. */
enum ws_next ws_decode_udp_tunnel(struct ws_cursor *c, uint16_t sport, uint16_t dport)
{
    const struct ws_decode_config *cfg = c->cfg;
    if (port_is(dport, cfg->port_vxlan))
        return decode_vxlan(c);
    if (port_is(dport, cfg->port_geneve))
        return decode_geneve(c);
    if (port_is(dport, cfg->port_gtpu) || port_is(sport, cfg->port_gtpu))
        return decode_gtpu(c);
    if (port_is(dport, cfg->port_teredo) || port_is(sport, cfg->port_teredo))
        return decode_teredo(c);
    return decode_l2tp(c);
}
