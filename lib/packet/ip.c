/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding of IPv4 and IPv6 headers, extension headers and fragment headers. */
#include "packet/cursor.h"

/* An IP header begins at the cursor. */
static bool begin_datagram(struct ws_cursor *c, uint8_t version)
{
    if (c->base) {
        ptrdiff_t off = c->at - c->base;
        if (off > UINT16_MAX - 40)
            return false;
        c->p->l3_off = (uint16_t)off;
    }
    c->version = version;
    c->ext_left = WS_IP6_EXT_MAX;
    c->cut = false;
    c->unsized = false;
    return true;
}

/* An IP header was found in a tunnel that was known (always right) or guessed from a port: proof is
 * something in the header that chance does not bring. Without it the outer flow stays the one to
 * fall back on; a length beyond the tunnel's disproves the guess. */
static bool tunnel_holds(struct ws_cursor *c, bool proof)
{
    if (c->outer_guess && c->cut)
        return false;
    if (!c->outer_guess || proof)
        c->have_outer = false;
    return true;
}

/* The header checksum of RFC 791 section 3.1. */
static bool header_sum_ok(const uint8_t *h, uint32_t len)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < len; i += 2)
        sum += ws_load_be16(h + i);
    return (sum >> 16) + (sum & 0xffff) == 0xffff;
}

enum ws_next ws_decode_ip(struct ws_cursor *c)
{
    if (c->at == c->end)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_IP);
    switch (c->at[0] >> 4) {
    case 4:
        return WS_NEXT_IP4;
    case 6:
        return WS_NEXT_IP6;
    default:
        return ws_cursor_stop(c, WS_DECODE_BAD_IP);
    }
}

/* RFC 791 section 3.1 */
enum ws_next ws_decode_ip4(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (left && h[0] >> 4 != 4)
        return ws_cursor_stop(c, WS_DECODE_BAD_IP);
    if (left < 20)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_IP);
    uint32_t header = (h[0] & 15u) * 4u, total = ws_load_be16(h + 2);
    if (header < 20 || (total != 0 && total < header))
        return ws_cursor_stop(c, WS_DECODE_BAD_IP);
    if (header > left)
        return ws_cursor_stop(c, header > c->wire ? WS_DECODE_BAD_IP : WS_DECODE_TRUNC_IP);
    if (!begin_datagram(c, 4))
        return ws_cursor_stop(c, WS_DECODE_OFFSET);
    /* Segmentation offload shows datagrams to the capture before their length is set. */
    if (total == 0)
        c->unsized = true;
    else
        ws_cursor_limit(c, total);
    c->src = h + 12;
    c->dst = h + 16;
    c->type = h[9];
    if (WS_UNLIKELY(c->have_outer) && !tunnel_holds(c, c->outer_guess && header_sum_ok(h, header)))
        return ws_cursor_stop(c, WS_DECODE_BAD_IP);
    ws_cursor_skip(c, header);
    unsigned frag = ws_load_be16(h + 6);
    if (WS_UNLIKELY(frag & 0x3fff))
        return ws_decode_fragment(c, ws_load_be16(h + 4), (uint16_t)((frag & 0x1fff) * 8),
                                  (frag & 0x2000) != 0);
    return WS_NEXT_PROTO;
}

/* The Jumbo Payload option (RFC 2675 section 2) of the hop-by-hop header h, or 0. */
static uint32_t jumbo_length(const uint8_t *h, const uint8_t *end)
{
    if (end - h < 8)
        return 0;
    ptrdiff_t len = (h[1] + 1) * 8;
    if (end - h > len)
        end = h + len;
    for (const uint8_t *o = h + 2; end - o >= 2;) {
        if (o[0] == 0) { /* Pad1 (RFC 8200 section 4.2) */
            o++;
            continue;
        }
        if (o[0] == 0xc2 && o[1] == 4 && end - o >= 6)
            return ws_load_be32(o + 2);
        if (end - o < 2 + o[1])
            break;
        o += 2 + o[1];
    }
    return 0;
}

/* RFC 8200 section 3 */
enum ws_next ws_decode_ip6(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (left && h[0] >> 4 != 6)
        return ws_cursor_stop(c, WS_DECODE_BAD_IP);
    if (left < 40)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_IP);
    if (!begin_datagram(c, 6))
        return ws_cursor_stop(c, WS_DECODE_OFFSET);
    c->src = h + 8;
    c->dst = h + 24;
    c->type = h[6];
    ws_cursor_skip(c, 40);
    uint32_t length = ws_load_be16(h + 4);
    if (length == 0) {
        /* A jumbogram says its length in an option; else it is offload, as in IPv4. */
        c->unsized = true;
        length = c->type == WS_IPPROTO_HOPOPTS ? jumbo_length(c->at, c->end) : 0;
    }
    bool exact = length == c->wire;
    if (length)
        ws_cursor_limit(c, length);
    if (WS_UNLIKELY(c->have_outer) && !tunnel_holds(c, exact))
        return ws_cursor_stop(c, WS_DECODE_BAD_IP);
    return WS_NEXT_PROTO;
}

/* While segments are left the destination field is only a waypoint; the flow's endpoint is the
 * final address (RFC 8200 section 8.1 uses the same one for checksums). False: the header
 * contradicts itself. h has len captured bytes. */
static bool routing_final(struct ws_cursor *c, const uint8_t *h, uint32_t len)
{
    if (h[3] == 0)
        return true;
    switch (h[2]) {
    case 0: /* RFC 2460 section 4.4: addresses in order of travel */
    case 2: /* RFC 6275 section 6.4: one address */
        if (len < 24)
            return false;
        c->dst = h + 8 + ((len - 8) / 16 - 1) * 16;
        return true;
    case 3: { /* RFC 6554 section 3: the last address without CmprE leading bytes */
        uint32_t prefix = h[4] & 15u, pad = h[5] >> 4;
        if (len < 8 + pad + 16 - prefix)
            return false;
        uint8_t final[16];
        memcpy(final, c->dst, prefix);
        memcpy(final + prefix, h + len - pad - (16 - prefix), 16 - prefix);
        memcpy(c->addr[1], final, 16);
        c->dst = c->addr[1];
        return true;
    }
    case 4: /* RFC 8754 section 2: segments in reverse, the last one first */
        if (len < 24)
            return false;
        c->dst = h + 8;
        return true;
    default:
        return true;
    }
}

/* Steps over one extension header, whose number is in c->type. IPv4 comes here for AH only. */
enum ws_next ws_decode_ip6_ext(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (c->ext_left-- == 0)
        return ws_cursor_stop(c, WS_DECODE_BAD_EXT);
    if (left < 8)
        return ws_cursor_stop(c, c->wire < 8 ? WS_DECODE_BAD_EXT : WS_DECODE_TRUNC_IP);
    uint32_t len;
    if (c->type == WS_IPPROTO_AH)
        len = (h[1] + 2u) * 4u; /* RFC 4302 section 2.2 */
    else if (c->type == WS_IPPROTO_FRAGMENT)
        len = 8;
    else
        len = (h[1] + 1u) * 8u; /* RFC 8200 section 4 */
    if (len > left)
        return ws_cursor_stop(c, len > c->wire ? WS_DECODE_BAD_EXT : WS_DECODE_TRUNC_IP);
    if (c->type == WS_IPPROTO_ROUTING && !routing_final(c, h, len))
        return ws_cursor_stop(c, WS_DECODE_BAD_EXT);
    bool fragment = c->type == WS_IPPROTO_FRAGMENT;
    /* AH counts its length in words and has 12 fixed bytes. */
    if (c->type == WS_IPPROTO_AH && len < 12)
        return ws_cursor_stop(c, WS_DECODE_BAD_EXT);
    c->type = h[0];
    ws_cursor_skip(c, len);
    if (fragment) {
        unsigned off = ws_load_be16(h + 2);
        if (off & 0xfff9) { /* else atomic, RFC 6946: whole, whatever its identification */
            /* One Fragment header a datagram (RFC 8200 section 4.1): no nests of them. */
            if (c->defragmented)
                return ws_cursor_stop(c, WS_DECODE_BAD_EXT);
            return ws_decode_fragment(c, ws_load_be32(h + 4), (uint16_t)(off & 0xfff8), off & 1);
        }
    }
    return WS_NEXT_PROTO;
}

/* True for protocols whose header begins with two ports. */
static bool has_ports(const struct ws_cursor *c, unsigned proto)
{
    return proto == WS_IPPROTO_TCP || proto == WS_IPPROTO_UDP ||
           (!c->cfg->tcp_udp_ports && (proto == WS_IPPROTO_SCTP || proto == WS_IPPROTO_DCCP ||
                                       proto == WS_IPPROTO_UDPLITE));
}

/* True for protocols that only lead to another header. */
static bool is_outer(const struct ws_cursor *c, unsigned proto)
{
    switch (proto) {
    case WS_IPPROTO_AH:
        return true;
    case WS_IPPROTO_HOPOPTS:
    case WS_IPPROTO_ROUTING:
    case WS_IPPROTO_FRAGMENT:
    case WS_IPPROTO_DSTOPTS:
        return c->version == 6;
    case WS_IPPROTO_IPIP:
    case WS_IPPROTO_IPV6:
    case WS_IPPROTO_GRE:
        return c->cfg->tunnels;
    default:
        return false;
    }
}

/* Ends the walk at the bytes of one fragment. The flow is known at once if the protocol has no
 * ports or if they are here; inside a possible tunnel it is not known before the datagram is whole.
 */
enum ws_next ws_decode_fragment(struct ws_cursor *c, uint32_t id, uint16_t off, bool more)
{
    struct ws_packet *p = c->p;
    uint8_t proto = (uint8_t)c->type;
    uint16_t sport = 0, dport = 0;
    bool known = false;
    if (c->base && c->at - c->base > UINT16_MAX)
        return ws_cursor_stop(c, WS_DECODE_OFFSET);
    if (has_ports(c, proto)) {
        if (off == 0 && ws_cursor_left(c) >= 4) {
            sport = ws_load_be16(c->at);
            dport = ws_load_be16(c->at + 2);
            known = proto != WS_IPPROTO_UDP || !ws_decode_is_udp_tunnel(c->cfg, sport, dport);
        }
    } else if (c->version == 4 || off == 0) {
        /* IPv6 takes the next header from the first fragment only (RFC 8200 section 4.5). */
        known = !is_outer(c, proto);
    }
    if (!known)
        sport = dport = 0;
    ws_cursor_l4(c, 0);
    p->payload_len = 0;
    p->payload_wire_len = 0;
    p->frag_wire_len = c->wire;
    p->frag_id = id;
    p->frag_off = off;
    p->frag_more = more;
    /* All fragments of a datagram must meet at one owner, so that their hash is without ports, as
     * a NIC's would be. */
    ws_cursor_key(c, proto, 0, 0);
    p->owner_hash = ws_toeplitz_owner(&p->key);
    ws_cursor_key(c, proto, sport, dport);
    p->flags |= WS_PKT_IP | WS_PKT_FRAGMENT | (known ? WS_PKT_FLOW_KNOWN : 0u);
    return ws_cursor_stop(c, WS_DECODE_OK);
}
