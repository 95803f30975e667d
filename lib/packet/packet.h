/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet descriptor that travels from sources through decode to flows and sinks.
 *
 * A descriptor borrows its bytes: data is valid for the burst that brought it (or until the
 * steering slot that carries it is released), never longer. Whoever keeps bytes copies them.
 */
#ifndef WS_PACKET_PACKET_H
#define WS_PACKET_PACKET_H

#include "base/compiler.h"

/* Bursts are at most this long everywhere (design: work in bursts of up to 64). */
#define WS_BURST_MAX 64u

/* What a packet is, in ws_packet.flags. */
enum ws_packet_flag {
    WS_PKT_IP = 1u << 0,        /* an IP datagram was found: key, l3_off are valid */
    WS_PKT_TCP = 1u << 1,       /* tcp fields are valid: the whole fixed header is there */
    WS_PKT_UDP = 1u << 2,       /* UDP ports in key are valid */
    WS_PKT_FRAGMENT = 1u << 3,  /* (part of) an IP datagram in fragments: frag_* are valid */
    WS_PKT_DATAGRAM = 1u << 4,  /* put together from fragments: payload only, no frame of its own */
    WS_PKT_RELEASED = 1u << 5,  /* a fragment's frame shown again, now that its flow is known */
    WS_PKT_FILTERED = 1u << 6,  /* numbered, but rejected by the filter: no content, no counts */
    WS_PKT_SNAPPED = 1u << 7,   /* cap_len < wire_len by snap length */
    WS_PKT_BAD_L4_SUM = 1u << 8, /* transport checksum checked and wrong */
    WS_PKT_NON_IP = 1u << 9,    /* decoded well, but carries no IP datagram */
    WS_PKT_HW_TS = 1u << 10,    /* ts_ns comes from the NIC */
    WS_PKT_FLOW_KNOWN = 1u << 11, /* a fragment whose flow key (ports) is known */
    WS_PKT_INCOMPLETE = 1u << 13, /* a datagram given up incomplete: its header, to say what is lost */
    WS_PKT_CONTINUES = 1u << 14,  /* of a file that only completes open flows: it opens none */
    WS_PKT_SUM_UNKNOWN = 1u << 12, /* (port) checksums are not on the wire yet: do not judge them */
};

/* Tunnel that the innermost datagram came through (ws_key.tunnel_type). */
enum ws_tunnel {
    WS_TUNNEL_NONE,
    WS_TUNNEL_GRE,    /* id: key, or 0 */
    WS_TUNNEL_NVGRE,  /* id: VSID */
    WS_TUNNEL_ERSPAN, /* id: session */
    WS_TUNNEL_VXLAN,  /* id: VNI */
    WS_TUNNEL_GENEVE, /* id: VNI */
    WS_TUNNEL_GTPU,   /* id: 0: TEIDs differ by direction and are not part of the key */
    WS_TUNNEL_IPIP,   /* 4in4, 6in4, 4in6, 6in6 */
    WS_TUNNEL_TEREDO,
    WS_TUNNEL_L2TP,   /* id: 0: ids differ by direction */
};

/* The key of a bidirectional flow: endpoints sorted (lower address, then port, first), so that both
 * directions give the same bytes. Exactly one cache line, no padding: compare with memcmp.
 * IPv4 addresses fill the first 4 bytes of addr, the rest zero. Ports are in host order, 0 for
 * protocols without. mac and device stay zero unless the engine was asked to key on them. */
struct ws_key {
    uint8_t addr[2][16];
    uint16_t port[2];
    uint32_t tunnel_id;
    uint32_t device;
    uint16_t vlan[2];      /* outer and inner VID, 0 = none (also priority tags) */
    uint8_t ip_version;    /* 4 or 6 */
    uint8_t proto;         /* IP protocol number after extension headers */
    uint8_t tunnel_type;   /* enum ws_tunnel of the innermost tunnel */
    uint8_t tunnel_depth;  /* how many tunnels were crossed */
    uint8_t mac[2][6];
};
static_assert(sizeof(struct ws_key) == 64, "a key is one cache line");

/* TCP flag bits as on the wire (RFC 9293 section 3.1). */
enum ws_tcp_flag {
    WS_TCP_FIN = 0x01,
    WS_TCP_SYN = 0x02,
    WS_TCP_RST = 0x04,
    WS_TCP_PSH = 0x08,
    WS_TCP_ACK = 0x10,
    WS_TCP_URG = 0x20,
    WS_TCP_ECE = 0x40,
    WS_TCP_CWR = 0x80,
};

struct ws_packet {
    /* set by the source */
    const uint8_t *data; /* borrowed; cap_len bytes */
    int64_t ts_ns;       /* capture stamp, ns since the Unix epoch */
    int64_t clock_ns;    /* packet-time clock: the largest ts_ns so far; never goes back */
    uint64_t ordinal;    /* 0-based number of the packet in the input; set before any filter */
    uint32_t cap_len;
    uint32_t wire_len;
    uint32_t flags;      /* enum ws_packet_flag */
    uint16_t link_type;  /* LINKTYPE_ number, https://www.tcpdump.org/linktypes.html */
    uint16_t iface;      /* input interface: index into the source's interface table */
    /* set by decode */
    uint32_t owner_hash; /* symmetric over the innermost tuple: which worker owns the flow */
    uint16_t l3_off;     /* of the innermost IP header, in data */
    uint16_t l4_off;     /* of its payload (transport header), in data */
    uint8_t status;      /* enum ws_decode_status */
    uint8_t dir;         /* 0: sent by key endpoint 0, 1: by endpoint 1 */
    uint8_t tcp_flags;
    uint8_t frag_more;   /* MF bit */
    uint32_t device;     /* device id in the low, its port in the high 16 bits; the source sets the
                            number of its port as id; a trailer may rewrite both */

    struct ws_key key;

    /* Transport payload as captured; the wire may have had more (payload_wire_len). It points into
     * data, or into the defragmenter's buffer for WS_PKT_DATAGRAM. */
    const uint8_t *payload;
    uint32_t payload_len;
    uint32_t payload_wire_len;
    uint32_t tcp_seq;
    union {
        uint32_t tcp_ack;
        uint32_t frag_wire_len; /* WS_PKT_FRAGMENT: bytes on the wire from l4 (l4_len captured) */
    };
    uint16_t tcp_window;
    uint16_t tcp_urgent;
    uint32_t frag_id;         /* IPv4 16-bit or IPv6 32-bit identification */
    uint16_t frag_off;        /* byte offset in the datagram */
    uint16_t vlan_tci;        /* raw TCI of the outer tag, 0 if none */
    uint8_t mac_src[6], mac_dst[6]; /* of the outermost Ethernet header, else zero */
    uint8_t tcp_wscale;       /* on SYN: shift count + 1, 0 = option absent (RFC 7323) */
    uint8_t tcp_hdr_len;      /* bytes */
    uint16_t ip_hdr_len;      /* l4_off - l3_off for frames; extension headers included */
    uint32_t l4_len;          /* bytes of transport header + payload captured, from l4 */
    const uint8_t *l4;        /* the transport header; as payload, it may point outside data */
};
static_assert(sizeof(struct ws_packet) == 192, "three cache lines");
static_assert(offsetof(struct ws_packet, key) == 64, "the key has a line of its own");

#endif
