/* SPDX-License-Identifier: BSD-3-Clause */
/* Networks that IEEE 802.11 access points announce: beacons and probe responses. */
#ifndef WS_PACKET_BEACON_H
#define WS_PACKET_BEACON_H

#include "packet/packet.h"

struct ws_beacon {
    uint8_t bssid[6];
    uint8_t ssid_len; /* 0: hidden (also when it was sent as zeros only) */
    uint8_t ssid[32]; /* any bytes; the rest zero */
    uint8_t channel;  /* as announced, 0 = not said */
    bool response;    /* a probe response, not a beacon */
    bool privacy;     /* the network asks for encryption */
};

enum ws_beacon_status {
    WS_BEACON_NONE, /* another frame, or another link type */
    WS_BEACON_OK,
    WS_BEACON_BAD,     /* cut before its SSID, or its elements are invalid */
    WS_BEACON_BAD_FCS, /* the frame check sequence is there and wrong (only with check_fcs) */
};

/* Reads the beacon or probe response in a frame as captured: link types 105 (IEEE 802.11), 119
 * (Prism or AVS), 127 (radiotap), 163 (AVS); fills *b when OK. check_fcs: refuse a frame whose
 * check sequence is wrong, where it is captured and known to be one (radiotap says so), or that the
 * receiver marked. IEEE 802.11-2020 sections 9.3.3.2, 9.3.3.10 and 9.4.2. Pure; reads p->data
 * (cap_len, wire_len, link_type) alone. */
enum ws_beacon_status ws_beacon_parse(struct ws_beacon *b, const struct ws_packet *p,
                                      bool check_fcs);

#endif
