/* SPDX-License-Identifier: BSD-3-Clause */
/* Beacons and probe responses. */
#include "packet/beacon.h"

#include <string.h>

#include "packet/wlan.h"

enum {
    MAC_HEADER = 24, /* of a management frame */
    HT_CONTROL = 4,  /* behind it when the order bit is set (section 9.2.4.1.10) */
    FIXED = 12,      /* timestamp, interval, capabilities */
    ELEMENT_SSID = 0,
    ELEMENT_DS = 3,
    ELEMENT_HT = 61, /* HT operation: begins with the primary channel */
};

/* CRC-32 as in section 9.2.4.8: reflected, four bits a step. */
static uint32_t crc32_802(const uint8_t *p, uint32_t len)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t c = ~UINT32_C(0);
    for (uint32_t i = 0; i < len; i++) {
        c ^= p[i];
        c = c >> 4 ^ nibble[c & 15];
        c = c >> 4 ^ nibble[c & 15];
    }
    return ~c;
}

static bool all_zero(const uint8_t *p, uint32_t n)
{
    uint8_t any = 0;
    for (uint32_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}

/* The SSID element must be there, the rest may be cut. */
static enum ws_beacon_status elements(struct ws_beacon *b, const uint8_t *at, const uint8_t *end)
{
    bool ssid = false;
    while (end - at >= 2 && end - at - 2 >= at[1]) {
        uint32_t len = at[1];
        const uint8_t *body = at + 2;
        if (at[0] == ELEMENT_SSID && !ssid) {
            if (len > sizeof(b->ssid))
                return WS_BEACON_BAD;
            ssid = true;
            if (!all_zero(body, len)) {
                memcpy(b->ssid, body, len);
                b->ssid_len = (uint8_t)len;
            }
        } else if ((at[0] == ELEMENT_DS || at[0] == ELEMENT_HT) && len >= 1 && !b->channel) {
            b->channel = body[0];
        }
        at = body + len;
    }
    return ssid ? WS_BEACON_OK : WS_BEACON_BAD;
}

enum ws_beacon_status ws_beacon_parse(struct ws_beacon *b, const struct ws_packet *p,
                                      bool check_fcs)
{
    struct ws_wlan_prefix prefix = {0};
    bool ok = true;
    if (p->link_type == 127)
        ok = ws_wlan_radiotap(&prefix, p->data, p->cap_len);
    else if (p->link_type == 119 || p->link_type == 163)
        ok = ws_wlan_prism(&prefix, p->data, p->cap_len);
    else if (p->link_type != 105)
        return WS_BEACON_NONE;
    if (!ok || p->cap_len - prefix.len < 2)
        return WS_BEACON_NONE;

    const uint8_t *h = p->data + prefix.len;
    uint32_t left = p->cap_len - prefix.len;
    if (h[0] != 0x80 && h[0] != 0x50) /* version 0, management, subtype 8 or 5 */
        return WS_BEACON_NONE;
    uint32_t len = MAC_HEADER + (h[1] & 0x80 ? HT_CONTROL : 0u);
    if (check_fcs && prefix.bad_fcs)
        return WS_BEACON_BAD_FCS;
    /* The last 4 bytes on the wire: cut off when captured, and then they can be checked. */
    uint32_t cut = p->wire_len > p->cap_len ? p->wire_len - p->cap_len : 0;
    if (prefix.fcs && cut < 4) {
        if (left < 4 - cut)
            return WS_BEACON_BAD;
        left -= 4 - cut;
        if (check_fcs && cut == 0 && crc32_802(h, left) != ws_load_le32(h + left))
            return WS_BEACON_BAD_FCS;
    }
    if (prefix.pad)
        len = (len + 3) & ~3u;
    if (left < len + FIXED || h[1] & 0x40) /* protected: not readable */
        return WS_BEACON_BAD;
    memset(b, 0, sizeof(*b));
    b->response = h[0] == 0x50;
    memcpy(b->bssid, h + 16, sizeof(b->bssid));
    b->privacy = h[len + 10] & 0x10;
    return elements(b, h + len + FIXED, h + left);
}
