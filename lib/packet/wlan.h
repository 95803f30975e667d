/* SPDX-License-Identifier: BSD-3-Clause */
/* The capture headers before an IEEE 802.11 frame (private to lib/packet). */
#ifndef WS_PACKET_WLAN_H
#define WS_PACKET_WLAN_H

#include "base/bytes.h"

struct ws_wlan_prefix {
    uint32_t len; /* of the capture header */
    bool fcs;     /* the frame check sequence is in the frame */
    bool bad_fcs; /* the receiver found it wrong */
    bool pad;     /* the MAC header was padded to a multiple of 4 */
};

/* https://www.radiotap.org: version 0, length, then a chain of presence words; the fields stand in
 * order of their bits, each aligned to its size: TSFT (8 bytes) before FLAGS (1 byte). False: cut
 * or invalid. */
static inline bool ws_wlan_radiotap(struct ws_wlan_prefix *out, const uint8_t *h, uint32_t left)
{
    *out = (struct ws_wlan_prefix){0};
    if (left < 8)
        return false;
    uint32_t len = ws_load_le16(h + 2), present = ws_load_le32(h + 4);
    if (h[0] != 0 || len < 8 || len > left)
        return false;
    uint32_t off = 8;
    for (uint32_t word = present; word >> 31; off += 4) {
        if (off + 4 > len)
            return false;
        word = ws_load_le32(h + off);
    }
    unsigned flags = 0;
    if (present & 1)
        off = ((off + 7) & ~7u) + 8;
    if (present & 2 && off < len)
        flags = h[off];
    *out = (struct ws_wlan_prefix){
        .len = len, .fcs = flags & 0x10, .bad_fcs = flags & 0x40, .pad = flags & 0x20};
    return true;
}

/* Prism and AVS capture headers; frames of link type 119 come with either. An AVS header begins
 * with a version cookie, a Prism one with a message code, then both have their length. False: cut
 * or invalid. */
static inline bool ws_wlan_prism(struct ws_wlan_prefix *out, const uint8_t *h, uint32_t left)
{
    *out = (struct ws_wlan_prefix){0};
    if (left < 8)
        return false;
    uint32_t cookie = ws_load_be32(h), len = ws_load_be32(h + 4);
    if (cookie >> 12 != 0x80211) {
        /* Prism is in the byte order of the capturing host. */
        if (len > 0xffff)
            len = ws_load_le32(h + 4);
    }
    out->len = len;
    return len >= 8 && len <= left;
}

#endif
