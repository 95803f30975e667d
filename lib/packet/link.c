/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding of link layers down to IP: Ethernet, tags, LLC, MPLS, PPP, and capture pseudo-headers.
 */
#include "packet/cursor.h"

/* LINKTYPE_ numbers, https://www.tcpdump.org/linktypes.html; 12 and 14 are DLT_RAW of some systems.
 */
enum link_type {
    LINK_NULL = 0,
    LINK_ETHERNET = 1,
    LINK_PPP = 9,
    LINK_RAW_DLT = 12,
    LINK_RAW_OPENBSD = 14,
    LINK_PPP_HDLC = 50,
    LINK_PPP_ETHER = 51,
    LINK_RAW = 101,
    LINK_C_HDLC = 104,
    LINK_WLAN = 105,
    LINK_LOOP = 108,
    LINK_SLL = 113,
    LINK_PRISM = 119,
    LINK_RADIOTAP = 127,
    LINK_AVS = 163,
    LINK_IPV4 = 228,
    LINK_IPV6 = 229,
    LINK_SLL2 = 276,
};

/* EtherTypes, https://www.iana.org/assignments/ieee-802-numbers. */
enum ethertype {
    TYPE_LLC_MAX = 0x05ff, /* below 0x0600 the field is a length (IEEE 802.3 section 3.2.6) */
    TYPE_IP4 = 0x0800,
    TYPE_ARP = 0x0806,
    TYPE_TRANSPARENT_ETHERNET = 0x6558,
    TYPE_VLAN = 0x8100,
    TYPE_IP6 = 0x86dd,
    TYPE_PPP = 0x880b,
    TYPE_MPLS = 0x8847,
    TYPE_MPLS_UPSTREAM = 0x8848,
    TYPE_PPPOE_SESSION = 0x8864,
    TYPE_QINQ = 0x88a8,
    TYPE_QINQ_OLD = 0x9100,
    TYPE_QINQ_OLD2 = 0x9200,
};

/* BSD loopback: an address family in the byte order of the capturing host (NULL) or of the network
 * (LOOP). The families of IPv6 differ by system: 10 Linux, 24 NetBSD, 28 FreeBSD, 30 Darwin. */
static enum ws_next decode_null(struct ws_cursor *c)
{
    if (ws_cursor_left(c) < 4)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    uint32_t family = ws_load_le32(c->at);
    if (family > 0xffff)
        family = ws_load_be32(c->at);
    ws_cursor_skip(c, 4);
    switch (family) {
    case 2:
        return WS_NEXT_IP4;
    case 10:
    case 24:
    case 28:
    case 30:
        return WS_NEXT_IP6;
    default:
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    }
}

/* Linux cooked capture: the protocol field is an EtherType unless the device type (ARPHRD_) says
 * that it is something else: 824 netlink, 802 and 803 IEEE 802.11 with headers of its own. */
static enum ws_next decode_sll(struct ws_cursor *c, uint32_t len, uint32_t type_off,
                               uint32_t device_off)
{
    const uint8_t *h = c->at;
    if (ws_cursor_left(c) < len)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    unsigned device = ws_load_be16(h + device_off);
    c->type = ws_load_be16(h + type_off);
    ws_cursor_skip(c, len);
    if (device == 824 || device == 802 || device == 803)
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    if (c->type == 4) /* LINUX_SLL_P_802_2 */
        return WS_NEXT_LLC;
    return c->type <= TYPE_LLC_MAX ? ws_cursor_stop(c, WS_DECODE_NON_IP) : WS_NEXT_ETHERTYPE;
}

enum ws_next ws_decode_link(struct ws_cursor *c, uint16_t link_type)
{
    switch (link_type) {
    case LINK_ETHERNET:
        return WS_NEXT_ETHERNET;
    case LINK_RAW:
    case LINK_RAW_DLT:
    case LINK_RAW_OPENBSD:
        return WS_NEXT_IP;
    case LINK_IPV4:
        return WS_NEXT_IP4;
    case LINK_IPV6:
        return WS_NEXT_IP6;
    case LINK_NULL:
    case LINK_LOOP:
        return decode_null(c);
    case LINK_SLL:
        return decode_sll(c, 16, 14, 2);
    case LINK_SLL2:
        return decode_sll(c, 20, 0, 8);
    case LINK_PPP:
        return WS_NEXT_PPP;
    case LINK_PPP_HDLC:
        /* PPP in HDLC framing (RFC 1662) or, by its first byte, Cisco HDLC. */
        if (ws_cursor_left(c) && (c->at[0] == 0x0f || c->at[0] == 0x8f))
            return WS_NEXT_HDLC;
        return WS_NEXT_PPP;
    case LINK_PPP_ETHER:
        return WS_NEXT_PPPOE;
    case LINK_C_HDLC:
        return WS_NEXT_HDLC;
    case LINK_WLAN:
        return WS_NEXT_WLAN;
    case LINK_RADIOTAP:
        return ws_decode_radiotap(c);
    case LINK_PRISM:
    case LINK_AVS:
        return ws_decode_prism(c);
    default:
        return ws_decode_seldom_link(c, link_type);
    }
}

enum ws_next ws_decode_ethernet(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    if (ws_cursor_left(c) < 14)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    if (!c->have_mac) {
        c->have_mac = true;
        memcpy(c->p->mac_dst, h, 6);
        memcpy(c->p->mac_src, h + 6, 6);
    }
    c->type = ws_load_be16(h + 12);
    ws_cursor_skip(c, 14);
    return WS_NEXT_ETHERTYPE;
}

/* An IEEE 802.1Q tag. The key holds the first and the last VID; VID 0 is only a priority. */
static enum ws_next decode_vlan(struct ws_cursor *c)
{
    if (ws_cursor_left(c) < 4)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    uint16_t tci = ws_load_be16(c->at), vid = tci & 0xfff;
    struct ws_packet *p = c->p;
    if (p->vlan_tci == 0)
        p->vlan_tci = tci;
    if (vid && c->cfg->key_vlan)
        p->key.vlan[p->key.vlan[0] != 0] = vid;
    c->type = ws_load_be16(c->at + 2);
    ws_cursor_skip(c, 4);
    return WS_NEXT_ETHERTYPE;
}

enum ws_next ws_decode_ethertype(struct ws_cursor *c)
{
    switch (c->type) {
    case TYPE_IP4:
        return WS_NEXT_IP4;
    case TYPE_IP6:
        return WS_NEXT_IP6;
    case TYPE_VLAN:
    case TYPE_QINQ:
    case TYPE_QINQ_OLD:
    case TYPE_QINQ_OLD2:
        return decode_vlan(c);
    case TYPE_MPLS:
    case TYPE_MPLS_UPSTREAM:
        return WS_NEXT_MPLS;
    case TYPE_PPPOE_SESSION:
        return WS_NEXT_PPPOE;
    case TYPE_PPP:
        return WS_NEXT_PPP;
    case TYPE_TRANSPARENT_ETHERNET:
        return WS_NEXT_ETHERNET;
    default:
        break;
    }
    if (c->type > TYPE_LLC_MAX)
        return ws_decode_seldom_tag(c);
    ws_cursor_limit(c, c->type);
    return WS_NEXT_LLC;
}

/* IEEE 802.2; SNAP as in RFC 1042 */
enum ws_next ws_decode_llc(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (left < 3)
        return ws_cursor_stop(c, c->wire < 3 ? WS_DECODE_NON_IP : WS_DECODE_TRUNC_LINK);
    if (h[0] == 0x06 && h[1] == 0x06 && h[2] == 0x03) { /* the IP SAP */
        ws_cursor_skip(c, 3);
        return WS_NEXT_IP4;
    }
    if (h[0] != 0xaa || h[1] != 0xaa || h[2] != 0x03)
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    if (left < 8)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    uint32_t oui = ws_load_be24(h + 3);
    c->type = ws_load_be16(h + 6);
    ws_cursor_skip(c, 8);
    /* 00-00-00 is RFC 1042, 00-00-f8 IEEE 802.1H: an EtherType follows. 00-80-c2 with 1 or 7 is a
     * bridged Ethernet frame (RFC 2427 section 4.2). */
    if (oui == 0x0080c2 && (c->type == 1 || c->type == 7))
        return WS_NEXT_ETHERNET;
    if ((oui != 0 && oui != 0x0000f8) || c->type <= TYPE_LLC_MAX)
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    return WS_NEXT_ETHERTYPE;
}

/* True if an Ethernet header with a type that makes sense stands off bytes from the cursor. */
static bool looks_ethernet(const struct ws_cursor *c, uint32_t off)
{
    uint32_t left = ws_cursor_left(c);
    if (left < off + 14)
        return false;
    switch (ws_load_be16(c->at + off + 12)) {
    case TYPE_IP4:
    case TYPE_ARP:
    case TYPE_IP6:
    case TYPE_VLAN:
    case TYPE_QINQ:
    case TYPE_QINQ_OLD:
    case TYPE_MPLS:
    case TYPE_PPPOE_SESSION:
        return true;
    default:
        return false;
    }
}

/* True if an IP header of that version stands at the cursor although an Ethernet header would make
 * sense there too: RFC 4928 section 3 lets the first nibble decide, but the MAC address of a
 * pseudo-wire may begin with the same. Its length must then fit. */
static bool looks_ip(const struct ws_cursor *c, unsigned version)
{
    const uint8_t *h = c->at;
    if (ws_cursor_left(c) < 20)
        return false;
    if (version == 6)
        return ws_load_be16(h + 4) + 40u == c->wire;
    uint32_t total = ws_load_be16(h + 2);
    return (h[0] & 15) >= 5 && total >= 20 && total <= c->wire;
}

/* RFC 3032 section 2.1. Behind the last label: IP, or an Ethernet pseudo-wire (RFC 4448) with or
 * without a control word (RFC 4385 section 3: first nibble 0). */
enum ws_next ws_decode_mpls(struct ws_cursor *c)
{
    if (ws_cursor_left(c) < 4)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    bool bottom = c->at[2] & 1;
    ws_cursor_skip(c, 4);
    if (!bottom)
        return WS_NEXT_MPLS;
    if (ws_cursor_left(c) == 0)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    unsigned nibble = c->at[0] >> 4;
    bool ethernet = looks_ethernet(c, 0);
    if ((nibble == 4 || nibble == 6) && (!ethernet || looks_ip(c, nibble)))
        return WS_NEXT_IP;
    if (nibble == 0 && looks_ethernet(c, 4)) {
        ws_cursor_skip(c, 4);
        return WS_NEXT_ETHERNET;
    }
    return ethernet ? WS_NEXT_ETHERNET : ws_cursor_stop(c, WS_DECODE_NON_IP);
}

/* RFC 2516 section 4: version 1, type 1, code 0 for session data */
enum ws_next ws_decode_pppoe(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    if (ws_cursor_left(c) < 6)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    if (h[0] != 0x11 || h[1] != 0)
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    ws_cursor_skip(c, 6);
    ws_cursor_limit(c, ws_load_be16(h + 4));
    return WS_NEXT_PPP;
}

/* RFC 1661 section 2; address and control (RFC 1662 section 3.1) may be left out, and a protocol
 * number that is odd in its first byte has only that byte. */
enum ws_next ws_decode_ppp(struct ws_cursor *c)
{
    if (ws_cursor_left(c) >= 2 && c->at[0] == 0xff && c->at[1] == 0x03)
        ws_cursor_skip(c, 2);
    uint32_t left = ws_cursor_left(c);
    if (left == 0 || (left == 1 && !(c->at[0] & 1)))
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    bool compressed = c->at[0] & 1;
    unsigned proto = compressed ? c->at[0] : ws_load_be16(c->at);
    ws_cursor_skip(c, compressed ? 1 : 2);
    switch (proto) {
    case 0x0021:
        return WS_NEXT_IP4;
    case 0x0057:
        return WS_NEXT_IP6;
    case 0x0281: /* RFC 3032 section 4.3 */
    case 0x0283:
        return WS_NEXT_MPLS;
    default:
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    }
}

/* Cisco HDLC: address, control, EtherType. */
enum ws_next ws_decode_hdlc(struct ws_cursor *c)
{
    if (ws_cursor_left(c) < 4)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    c->type = ws_load_be16(c->at + 2);
    ws_cursor_skip(c, 4);
    return c->type <= TYPE_LLC_MAX ? ws_cursor_stop(c, WS_DECODE_NON_IP) : WS_NEXT_ETHERTYPE;
}
