/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding of IEEE 802.11 data frames and the capture headers that precede them. */
#include "packet/cursor.h"
#include "packet/wlan.h"

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

enum ws_next ws_decode_radiotap(struct ws_cursor *c)
{
    struct ws_wlan_prefix prefix;
    if (!ws_wlan_radiotap(&prefix, c->at, ws_cursor_left(c)))
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    ws_cursor_skip(c, prefix.len);
    if (prefix.fcs)
        ws_cursor_limit(c, c->wire - WS_MIN(c->wire, 4u));
    return decode_mac(c, prefix.pad);
}

enum ws_next ws_decode_prism(struct ws_cursor *c)
{
    struct ws_wlan_prefix prefix;
    if (!ws_wlan_prism(&prefix, c->at, ws_cursor_left(c)))
        return ws_cursor_stop(c, WS_DECODE_TRUNC_LINK);
    ws_cursor_skip(c, prefix.len);
    return decode_mac(c, false);
}
