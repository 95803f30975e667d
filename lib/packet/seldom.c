/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding of capture headers and tags that few networks have. */
#include "packet/cursor.h"

/* LINKTYPE_ numbers, https://www.tcpdump.org/linktypes.html. */
enum link_type {
    LINK_FRELAY = 107,
    LINK_ARCNET_LINUX = 129,
    LINK_USER2 = 149, /* PKTAP of older macOS */
    LINK_IPNET = 226,
    LINK_NFLOG = 239,
    LINK_IPOIB = 242,
    LINK_PKTAP = 258,
};

/* RFC 2427 sections 3 and 4: a Q.922 address that ends with the octet whose low bit is set, then UI
 * and an NLPID; Cisco's framing has an EtherType there. */
static enum ws_next decode_frame_relay(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c), n = 2;
    while (n <= 4 && n <= left && !(h[n - 1] & 1))
        n++;
    if (n > 4 && left >= 4)
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    if (left < n + 2)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    if (h[n] != 0x03) {
        c->type = ws_load_be16(h + n);
        ws_cursor_skip(c, n + 2);
        return c->type < 0x0600 ? ws_cursor_stop(c, WS_DECODE_NON_IP) : WS_NEXT_ETHERTYPE;
    }
    n += h[n + 1] == 0 ? 2 : 1; /* a pad octet may stand before the NLPID */
    if (left < n + 1)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    uint8_t nlpid = h[n];
    ws_cursor_skip(c, n + 1);
    if (nlpid == 0xcc)
        return WS_NEXT_IP4;
    if (nlpid == 0x8e)
        return WS_NEXT_IP6;
    if (nlpid != 0x80) /* SNAP */
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    if (ws_cursor_left(c) < 5)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    uint32_t oui = ws_load_be24(c->at);
    c->type = ws_load_be16(c->at + 3);
    ws_cursor_skip(c, 5);
    if (oui == 0x0080c2 && (c->type == 1 || c->type == 7)) /* bridged Ethernet, section 4.2 */
        return WS_NEXT_ETHERNET;
    return oui == 0 && c->type >= 0x0600 ? WS_NEXT_ETHERTYPE : ws_cursor_stop(c, WS_DECODE_NON_IP);
}

/* Source, destination, two octets of offset, the system code; RFC 1201 (IPv4 212, IPv6 196 by RFC
 * 2497) adds a split flag and a sequence number, RFC 1051 (IPv4 240) does not. */
static enum ws_next decode_arcnet(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c), n = 5;
    if (left < n)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    uint8_t code = h[4];
    if (code != 212 && code != 196 && code != 240)
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    if (code != 240) {
        n = left > 5 && h[5] == 0xff ? 12 : 8; /* an exception packet repeats the header */
        if (left < n)
            return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
        if (h[n == 12 ? 9 : 5] != 0) /* a piece of a split packet */
            return ws_cursor_stop(c, WS_DECODE_NON_IP);
    }
    ws_cursor_skip(c, n);
    return code == 196 ? WS_NEXT_IP6 : WS_NEXT_IP4;
}

/* Solaris: 24 octets; the second is an address family of that system. */
static enum ws_next decode_ipnet(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    if (ws_cursor_left(c) < 24)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    ws_cursor_skip(c, 24);
    if (h[1] == 2)
        return WS_NEXT_IP4;
    return h[1] == 26 ? WS_NEXT_IP6 : ws_cursor_stop(c, WS_DECODE_NON_IP);
}

/* Family, version, resource, then length-type-value items in the byte order of the capturing host.
 * The types are small, so that the place of their zero octet tells the order. The payload is
 * item 9. */
static enum ws_next decode_nflog(struct ws_cursor *c)
{
    if (ws_cursor_left(c) < 4)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    uint8_t family = c->at[0];
    if ((family != 2 && family != 10) || c->at[1] != 0)
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    ws_cursor_skip(c, 4);
    while (ws_cursor_left(c) >= 4) {
        const uint8_t *h = c->at;
        bool little = h[3] == 0;
        uint32_t len = little ? ws_load_le16(h) : ws_load_be16(h);
        unsigned type = little ? ws_load_le16(h + 2) : ws_load_be16(h + 2);
        if (len < 4)
            return ws_cursor_stop(c, WS_DECODE_NON_IP);
        if (type == 9) {
            ws_cursor_skip(c, 4);
            ws_cursor_limit(c, len - 4);
            return family == 2 ? WS_NEXT_IP4 : WS_NEXT_IP6;
        }
        len = (len + 3) & ~3u;
        if (len > ws_cursor_left(c))
            return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
        ws_cursor_skip(c, len);
    }
    return ws_cursor_stop(c, ws_cursor_left(c) ? WS_DECODE_TRUNC_LINK : WS_DECODE_NON_IP);
}

/* 40 octets of addresses, then the encapsulation header of RFC 4391 section 6. */
static enum ws_next decode_ipoib(struct ws_cursor *c)
{
    if (ws_cursor_left(c) < 44)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    c->type = ws_load_be16(c->at + 40);
    ws_cursor_skip(c, 44);
    return c->type < 0x0600 ? ws_cursor_stop(c, WS_DECODE_NON_IP) : WS_NEXT_ETHERTYPE;
}

/* macOS: a little-endian header that says its length and the link type behind it. As a user-defined
 * link type it must look like one. */
static enum ws_next decode_pktap(struct ws_cursor *c, bool sure)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (left < 12)
        return ws_cursor_stop(c, sure ? WS_DECODE_TRUNC_LINK : WS_DECODE_LINK_TYPE);
    uint32_t len = ws_load_le32(h), record = ws_load_le32(h + 4), link = ws_load_le32(h + 8);
    if (!sure && (len < 108 || len > 1024 || record > 1))
        return ws_cursor_stop(c, WS_DECODE_LINK_TYPE);
    if (len < 12 || record != 1) /* 1: a packet follows */
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    if (len > left)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    if (link > UINT16_MAX || link == LINK_PKTAP || link == LINK_USER2)
        return ws_cursor_stop(c, WS_DECODE_LINK_TYPE);
    ws_cursor_skip(c, len);
    return ws_decode_link(c, (uint16_t)link);
}

enum ws_next ws_decode_seldom_link(struct ws_cursor *c, uint16_t link_type)
{
    switch (link_type) {
    case LINK_FRELAY:
        return decode_frame_relay(c);
    case LINK_ARCNET_LINUX:
        return decode_arcnet(c);
    case LINK_IPNET:
        return decode_ipnet(c);
    case LINK_NFLOG:
        return decode_nflog(c);
    case LINK_IPOIB:
        return decode_ipoib(c);
    case LINK_PKTAP:
    case LINK_USER2:
        return decode_pktap(c, link_type == LINK_PKTAP);
    default:
        return ws_cursor_stop(c, WS_DECODE_LINK_TYPE);
    }
}

/* IEEE 802.1AE section 9: flags and association, short length, packet number, with SC the channel.
 * What is encrypted, or changed (C), cannot be read; what is only protected can. */
static enum ws_next decode_macsec(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (left < 6)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    uint32_t len = h[0] & 0x20 ? 14 : 6, secured = h[1] & 0x3f;
    if (h[0] & 0x8c) /* another version, encrypted, changed */
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    if (left < len + 2)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    ws_cursor_skip(c, len);
    if (secured >= 2) /* 0: 48 octets or more, up to the check value */
        ws_cursor_limit(c, secured);
    c->type = ws_load_be16(c->at);
    ws_cursor_skip(c, 2);
    return WS_NEXT_ETHERTYPE;
}

/* RFC 8300 section 2.2: the length of the header in words, and what follows it. */
static enum ws_next decode_nsh(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (left < 8)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    uint32_t len = (h[1] & 0x3fu) * 4;
    if (h[0] >> 6 != 0 || len < 8)
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    if (left < len)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    ws_cursor_skip(c, len);
    switch (h[3]) {
    case 1:
        return WS_NEXT_IP4;
    case 2:
        return WS_NEXT_IP6;
    case 3:
        return WS_NEXT_ETHERNET;
    case 5:
        return WS_NEXT_MPLS;
    default:
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    }
}

/* The time stamp tag of Arista switches: subtype 1, a version that tells the width of the stamp
 * (low byte 0x10: 64 bits, 0x20: 48) and its scale, the stamp, the EtherType. */
static enum ws_next decode_arista(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (left < 4)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    if (ws_load_be16(h) != 1 || h[2] > 1 || (h[3] != 0x10 && h[3] != 0x20))
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    uint32_t len = h[3] == 0x10 ? 12 : 10;
    if (left < len + 2)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_TAG);
    c->type = ws_load_be16(h + len);
    ws_cursor_skip(c, len + 2);
    return WS_NEXT_ETHERTYPE;
}

enum ws_next ws_decode_seldom_tag(struct ws_cursor *c)
{
    switch (c->type) {
    case 0x88e5:
        return decode_macsec(c);
    case 0x894f:
        return decode_nsh(c);
    case 0xd28b:
        return decode_arista(c);
    default:
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    }
}
