/* SPDX-License-Identifier: BSD-3-Clause */
/* The walk over a frame: one header after another, in a bounded loop, until a flow is known. */
#include "packet/checksum.h"
#include "packet/cursor.h"

/* Bytes of headers without options. */
enum { ETHER = 14, IP4 = 20, TCP = 20 };

const struct ws_decode_config ws_decode_defaults = {
    .key_vlan = true,
    .tunnels = true,
    .depth_max = 8,
    .port_vxlan = 4789,
    .port_geneve = 6081,
    .port_gtpu = 2152,
    .port_teredo = 3544,
    .port_l2tp = 1701,
};

/* The flags that sources and the defragmenter set; decode owns the others. */
#define KEPT_FLAGS                                                                                 \
    (uint32_t)(WS_PKT_RELEASED | WS_PKT_FILTERED | WS_PKT_HW_TS | WS_PKT_SUM_UNKNOWN | WS_PKT_CONTINUES)

/* Empties what decode fills. The fields from the key to the end of the descriptor are all its own.
 */
static inline void clear(struct ws_packet *p)
{
    p->owner_hash = 0;
    p->l3_off = 0;
    p->l4_off = 0;
    p->dir = 0;
    p->tcp_flags = 0;
    p->frag_more = 0;
    memset((uint8_t *)p + offsetof(struct ws_packet, key), 0,
           sizeof(*p) - offsetof(struct ws_packet, key));
    p->flags = (p->flags & KEPT_FLAGS) | (p->cap_len < p->wire_len ? WS_PKT_SNAPPED : 0u);
}

static inline void begin(struct ws_cursor *c, struct ws_packet *p,
                         const struct ws_decode_config *cfg, const uint8_t *at, uint32_t len,
                         uint32_t wire_len)
{
    c->at = at;
    c->end = at + len;
    c->p = p;
    c->cfg = cfg;
    c->wire = WS_MAX(len, wire_len);
    c->cut = false;
    c->unsized = false;
    c->defragmented = false;
    c->have_mac = false;
    c->have_outer = false;
    c->outer_guess = false;
}

/* No IP, or none that is valid, where a tunnel was expected to hold it: the outer flow counts. */
static void fall_back(struct ws_cursor *c)
{
    struct ws_packet *p = c->p;
    if (c->have_outer && p->status != WS_DECODE_OK &&
        (c->outer_guess || p->status == WS_DECODE_NON_IP)) {
        *p = c->outer;
        p->status = WS_DECODE_OK;
    }
}

static enum ws_decode_status walk(struct ws_cursor *c, enum ws_next next)
{
    struct ws_packet *p = c->p;
    for (unsigned steps = 0; next != WS_NEXT_STOP; steps++) {
        if (steps == WS_STEPS_MAX) {
            ws_cursor_stop(c, WS_DECODE_DEPTH);
            break;
        }
        switch (next) {
        case WS_NEXT_ETHERNET:
            next = ws_decode_ethernet(c);
            break;
        case WS_NEXT_ETHERTYPE:
            next = ws_decode_ethertype(c);
            break;
        case WS_NEXT_LLC:
            next = ws_decode_llc(c);
            break;
        case WS_NEXT_WLAN:
            next = ws_decode_wlan(c);
            break;
        case WS_NEXT_MPLS:
            next = ws_decode_mpls(c);
            break;
        case WS_NEXT_PPPOE:
            next = ws_decode_pppoe(c);
            break;
        case WS_NEXT_PPP:
            next = ws_decode_ppp(c);
            break;
        case WS_NEXT_HDLC:
            next = ws_decode_hdlc(c);
            break;
        case WS_NEXT_IP:
            next = ws_decode_ip(c);
            break;
        case WS_NEXT_IP4:
            next = ws_decode_ip4(c);
            break;
        case WS_NEXT_IP6:
            next = ws_decode_ip6(c);
            break;
        case WS_NEXT_PROTO:
            next = ws_decode_proto(c);
            break;
        case WS_NEXT_STOP:
            break;
        }
    }
    fall_back(c);
    if (p->status == WS_DECODE_NON_IP)
        p->flags |= WS_PKT_NON_IP;
    return (enum ws_decode_status)p->status;
}

enum ws_decode_status ws_decode_general(struct ws_packet *p, const struct ws_decode_config *cfg)
{
    struct ws_cursor c;
    clear(p);
    begin(&c, p, cfg, p->data, p->cap_len, p->wire_len);
    c.base = p->data;
    return walk(&c, ws_decode_link(&c, p->link_type));
}

/* The short cut: an Ethernet frame, untagged, with a whole header of IPv4 without options that is no fragment, and a
 * whole header of TCP. That is most of all traffic, and here it costs no loop and no cursor: each field is set once. */
static inline bool is_plain(const struct ws_packet *p, const struct ws_decode_config *cfg)
{
    const uint8_t *d = p->data;
    return p->link_type == 1 && p->cap_len >= ETHER + IP4 + TCP &&
           (ws_load_be32(d + 12) & 0xffffff00) == 0x08004500 &&               /* EtherType, version, header length */
           (ws_load_be32(d + 20) & 0x3fff00ff) == WS_IPPROTO_TCP &&           /* MF, fragment offset, protocol */
           ws_load_be16(d + 16) >= IP4 + TCP && !cfg->key_mac && !cfg->key_device;
}

/* The key, direction and owner of a plain packet. Endpoints are sorted without a branch: which comes first is as good as
 * random from packet to packet. */
static inline void plain_key(struct ws_packet *p, const struct ws_decode_config *cfg, const uint8_t *ip,
                             const uint8_t *tcp)
{
    const uint64_t src = (uint64_t)ws_load_be32(ip + 12) << 16 | ws_load_be16(tcp);
    const uint64_t dst = (uint64_t)ws_load_be32(ip + 16) << 16 | ws_load_be16(tcp + 2);
    const bool dir = src > dst;
    const uint64_t swap = (src ^ dst) & (0 - (uint64_t)dir);
    struct ws_key *k = &p->key;
    uint64_t addrs, other; /* both as they lie in the header: the key has them in network order, too */
    memcpy(&addrs, ip + 12, sizeof(addrs));
    other = addrs >> 32 | addrs << 32;
    addrs ^= (addrs ^ other) & (0 - (uint64_t)dir);
    memset(k, 0, sizeof(*k));
    memcpy(k->addr[0], &addrs, 4);
    memcpy(k->addr[1], (const uint8_t *)&addrs + 4, 4);
    k->port[0] = (uint16_t)(src ^ swap);
    k->port[1] = (uint16_t)(dst ^ swap);
    k->ip_version = 4;
    k->proto = WS_IPPROTO_TCP;
    p->dir = dir;
    p->owner_hash = cfg->no_owner ? 0 : ws_toeplitz_owner_ip4((uint32_t)((src ^ dst) >> 16), (uint16_t)(src ^ dst));
}

enum ws_decode_status ws_decode(struct ws_packet *p, const struct ws_decode_config *cfg)
{
    if (WS_UNLIKELY(!is_plain(p, cfg)))
        return ws_decode_general(p, cfg);
    const uint8_t *const frame = p->data, *const ip = frame + ETHER, *const tcp = ip + IP4;
    const uint32_t cap = p->cap_len, frame_wire = p->wire_len;
    /* what the lengths say is the datagram, captured and on the wire: what follows is padding or a trailer */
    const uint32_t total = ws_load_be16(ip + 2) - IP4, header = (tcp[12] >> 4) * 4u;
    const uint32_t left = WS_MIN(cap - ETHER - IP4, total);
    const uint32_t wire = WS_MIN(WS_MAX(cap, frame_wire) - ETHER - IP4, total), have = WS_MIN(header, left);
    if (WS_UNLIKELY(header < TCP || header > wire))
        return ws_decode_general(p, cfg);

    plain_key(p, cfg, ip, tcp);
    p->l3_off = ETHER;
    p->l4_off = ETHER + IP4;
    p->status = WS_DECODE_OK;
    p->tcp_flags = tcp[13];
    p->frag_more = 0;
    p->payload = tcp + have;
    p->payload_len = left - have;
    p->payload_wire_len = wire - header;
    p->tcp_seq = ws_load_be32(tcp + 4);
    p->tcp_ack = ws_load_be32(tcp + 8);
    p->tcp_window = ws_load_be16(tcp + 14);
    p->tcp_urgent = ws_load_be16(tcp + 18);
    p->frag_id = 0;
    p->frag_off = 0;
    p->vlan_tci = 0;
    memcpy(p->mac_src, frame + 6, 6);
    memcpy(p->mac_dst, frame, 6);
    p->tcp_wscale = WS_UNLIKELY(tcp[13] & WS_TCP_SYN) ? ws_decode_window_scale(tcp + TCP, tcp + have) : 0;
    p->tcp_hdr_len = (uint8_t)header;
    p->ip_hdr_len = IP4;
    p->l4_len = left;
    p->l4 = tcp;
    p->flags = (p->flags & KEPT_FLAGS) | (cap < frame_wire ? WS_PKT_SNAPPED : 0u) | WS_PKT_IP | WS_PKT_TCP;
    /* not what was captured in part, nor what a length field claims beyond the wire */
    if (cfg->verify_l4 && left == total && !(p->flags & WS_PKT_SUM_UNKNOWN) &&
        WS_UNLIKELY(!ws_checksum_ok(ip + 12, ip + 16, 4, WS_IPPROTO_TCP, tcp, total)))
        p->flags |= WS_PKT_BAD_L4_SUM;
    return WS_DECODE_OK;
}

enum ws_decode_status ws_decode_datagram(struct ws_packet *p, const struct ws_decode_config *cfg,
                                         uint8_t proto, const uint8_t *l4, uint32_t len,
                                         uint32_t wire_len)
{
    struct ws_cursor c;
    begin(&c, p, cfg, l4, len, wire_len);
    c.base = NULL;
    c.version = p->key.ip_version;
    c.type = proto;
    c.ext_left = WS_IP6_EXT_MAX;
    c.defragmented = true;
    c.have_mac = true; /* those of the frame stay */
    memcpy(c.addr[0], p->key.addr[p->dir & 1], 16);
    memcpy(c.addr[1], p->key.addr[~p->dir & 1], 16);
    c.src = c.addr[0];
    c.dst = c.addr[1];
    p->flags = (p->flags & KEPT_FLAGS) | WS_PKT_IP | WS_PKT_DATAGRAM |
               (len < wire_len ? WS_PKT_SNAPPED : 0u);
    p->tcp_flags = 0;
    p->tcp_seq = 0;
    p->tcp_ack = 0; /* frag_wire_len */
    p->tcp_window = 0;
    p->tcp_urgent = 0;
    p->tcp_wscale = 0;
    p->tcp_hdr_len = 0;
    p->frag_id = 0;
    p->frag_off = 0;
    p->frag_more = 0;
    p->payload = l4;
    p->payload_len = 0;
    p->payload_wire_len = 0;
    p->l4 = l4;
    p->l4_len = len;
    return walk(&c, WS_NEXT_PROTO);
}

static const struct {
    const char *name;
    enum ws_counter counter;
} status_info[] = {
    [WS_DECODE_OK] = {"decoded", WS_C_FLOW_PACKETS},
    [WS_DECODE_NON_IP] = {"no IP datagram", WS_C_NON_FLOW},
    [WS_DECODE_LINK_TYPE] = {"link type not supported", WS_C_UNDEC_LINK_TYPE},
    [WS_DECODE_TRUNC_LINK] = {"link header cut short", WS_C_UNDEC_TRUNC_LINK},
    [WS_DECODE_TRUNC_TAG] = {"VLAN, MPLS, PPPoE or PPP header cut short", WS_C_UNDEC_TRUNC_TAG},
    [WS_DECODE_TRUNC_IP] = {"IP header cut short", WS_C_UNDEC_TRUNC_IP},
    [WS_DECODE_BAD_IP] = {"IP header invalid", WS_C_UNDEC_BAD_IP},
    [WS_DECODE_BAD_EXT] = {"IPv6 extension header invalid", WS_C_UNDEC_BAD_EXT},
    [WS_DECODE_TRUNC_L4] = {"transport header cut short", WS_C_UNDEC_TRUNC_L4},
    [WS_DECODE_BAD_TCP] = {"TCP data offset invalid", WS_C_UNDEC_BAD_TCP},
    [WS_DECODE_BAD_UDP] = {"UDP length invalid", WS_C_UNDEC_BAD_UDP},
    [WS_DECODE_BAD_TUNNEL] = {"tunnel header invalid", WS_C_UNDEC_BAD_TUNNEL},
    [WS_DECODE_DEPTH] = {"nested too deep", WS_C_UNDEC_DEPTH},
    [WS_DECODE_OFFSET] = {"headers beyond 65,535 bytes", WS_C_UNDEC_OFFSET},
};

enum ws_counter ws_decode_counter(enum ws_decode_status status)
{
    return status_info[status].counter;
}

const char *ws_decode_status_name(enum ws_decode_status status)
{
    return (size_t)status < WS_ARRAY_SIZE(status_info) ? status_info[status].name : "unknown";
}
