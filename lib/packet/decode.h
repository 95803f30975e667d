/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding of frames to the innermost IP datagram and its transport header: pure, bounds-safe. */
#ifndef WS_PACKET_DECODE_H
#define WS_PACKET_DECODE_H

#include "base/counters.h"
#include "packet/packet.h"

/* Outcome of a decode. Anything but OK and NON_IP is a reason that the packet cannot be decoded. */
enum ws_decode_status {
    WS_DECODE_OK,
    WS_DECODE_NON_IP,
    WS_DECODE_LINK_TYPE,
    WS_DECODE_TRUNC_LINK,
    WS_DECODE_TRUNC_TAG,
    WS_DECODE_TRUNC_IP,
    WS_DECODE_BAD_IP,
    WS_DECODE_BAD_EXT,
    WS_DECODE_TRUNC_L4,
    WS_DECODE_BAD_TCP,
    WS_DECODE_BAD_UDP,
    WS_DECODE_BAD_TUNNEL,
    WS_DECODE_DEPTH,
    WS_DECODE_OFFSET,
};

struct ws_decode_config {
    bool key_vlan;       /* VIDs are part of the key (default true; false for asymmetric VLANs) */
    bool key_mac;        /* MAC addresses are part of the key (pcap_flow) */
    bool key_device;     /* the packet's device id is part of the key (pcap_flow) */
    bool device_vlan;    /* ... and its low 16 bits are the outer VID of a tagged frame */
    bool tunnels;        /* look into tunnels (default true) */
    bool tcp_udp_ports;  /* of TCP and UDP alone: SCTP, DCCP and UDP-Lite are IP payload as any other protocol */
    bool verify_l4;      /* compute TCP/UDP checksums and set WS_PKT_BAD_L4_SUM */
    bool no_owner;       /* one worker owns all flows: owner_hash may stay 0 */
    uint8_t depth_max;   /* tunnels and nested datagrams (default 8) */
    uint16_t port_vxlan, port_geneve, port_gtpu, port_teredo, port_l2tp; /* 0 = off */
};

/* The defaults named above, with the IANA ports 4789, 6081, 2152, 3544, 1701. */
extern const struct ws_decode_config ws_decode_defaults;

/* Decodes p->data (cap_len bytes, link_type) and fills every field that decode owns; returns
 * p->status. Never reads outside data. On a fragment it stops with WS_PKT_FRAGMENT set, ports 0 (but
 * WS_PKT_FLOW_KNOWN and the ports when the offset is 0 and 4 bytes of a port protocol are there),
 * l4 = the fragment's bytes, payload empty. Thread-safe: no state. */
enum ws_decode_status ws_decode(struct ws_packet *p, const struct ws_decode_config *cfg);

/* Goes on after defragmentation: p is a copy of the descriptor of one of the fragments; l4 (borrowed,
 * len bytes, wire_len on the wire) is the whole payload of that IP datagram with protocol proto.
 * Clears the fragment fields, sets WS_PKT_DATAGRAM, decodes transport or tunnel (which may again
 * end at a fragment). */
enum ws_decode_status ws_decode_datagram(struct ws_packet *p, const struct ws_decode_config *cfg,
                                         uint8_t proto, const uint8_t *l4, uint32_t len,
                                         uint32_t wire_len);

/* The counter that a status other than OK and NON_IP belongs to. */
enum ws_counter ws_decode_counter(enum ws_decode_status status);

/* One-line name of a status for messages. Static string. */
const char *ws_decode_status_name(enum ws_decode_status status);

#endif
