/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding of IEEE 802.11 data frames and the capture headers that precede them. */
#include "packet/cursor.h"

/* IEEE 802.11-2020 section 9.2.4 and 9.3.2. Only plain data frames carry IP that can be read:
 * not encrypted ones, not A-MSDUs, not later fragments of an MSDU. pad: the header was padded to
 * a multiple of 4 (radiotap's DATAPAD). */
static enum ws_next decode_mac(struct ws_cursor *c, bool pad)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (left < 2)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    bool data = (h[0] & 0x0f) == 0x08; /* protocol version 0, type data */
    bool null = h[0] & 0x40, qos = h[0] & 0x80, protected = h[1] & 0x40, order = h[1] & 0x80;
    if (!data || null || protected)
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    bool wds = (h[1] & 0x03) == 0x03; /* to and from DS: a fourth address */
    uint32_t qos_off = wds ? 30 : 24;
    uint32_t len = qos_off + (qos ? 2u : 0u) + (qos && order ? 4u : 0u);
    if (left < len)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    if (h[22] & 0x0f) /* fragment number */
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    if (qos && h[qos_off] & 0x80) /* A-MSDU */
        return ws_cursor_stop(c, WS_DECODE_NON_IP);
    if (pad)
        len = (len + 3) & ~3u;
    if (left < len)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    ws_cursor_skip(c, len);
    return WS_NEXT_LLC;
}

enum ws_next ws_decode_wlan(struct ws_cursor *c)
{
    return decode_mac(c, false);
}

/* https://www.radiotap.org: version 0, length, then a chain of presence words; the fields stand in
 * order of their bits, each aligned to its size: TSFT (8 bytes) before FLAGS (1 byte). */
enum ws_next ws_decode_radiotap(struct ws_cursor *c)
{
    const uint8_t *h = c->at;
    uint32_t left = ws_cursor_left(c);
    if (left < 8)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    uint32_t len = ws_load_le16(h + 2), present = ws_load_le32(h + 4);
    if (h[0] != 0 || len < 8 || len > left)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    uint32_t off = 8;
    for (uint32_t word = present; word >> 31; off += 4) {
        if (off + 4 > len)
            return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
        word = ws_load_le32(h + off);
    }
    unsigned flags = 0;
    if (present & 1)
        off = ((off + 7) & ~7u) + 8;
    if (present & 2 && off < len)
        flags = h[off];
    ws_cursor_skip(c, len);
    if (flags & 0x10) /* the FCS is in the frame */
        ws_cursor_limit(c, c->wire - WS_MIN(c->wire, 4u));
    return decode_mac(c, flags & 0x20);
}

/* Prism and AVS capture headers; frames of link type 119 come with either. An AVS header begins
 * with a version cookie, a Prism one with a message code, then both have their length. */
enum ws_next ws_decode_prism(struct ws_cursor *c)
{
    if (ws_cursor_left(c) < 8)
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    uint32_t cookie = ws_load_be32(c->at), len = ws_load_be32(c->at + 4);
    if (cookie >> 12 != 0x80211) {
        /* Prism is in the byte order of the capturing host. */
        if (len > 0xffff)
            len = ws_load_le32(c->at + 4);
    }
    if (len < 8 || len > ws_cursor_left(c))
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    ws_cursor_skip(c, len);
    return decode_mac(c, false);
}
