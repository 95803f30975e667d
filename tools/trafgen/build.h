/* SPDX-License-Identifier: BSD-3-Clause */
/* Rendering of one datagram into frames: Ethernet, VLAN, MPLS, tunnels, IPv4/IPv6, TCP/UDP,
 * fragments. */
#ifndef TG_BUILD_H
#define TG_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tg_tunnel {
    TG_TUNNEL_NONE,
    TG_TUNNEL_GRE,    /* RFC 2784 with RFC 2890 key and sequence */
    TG_TUNNEL_VXLAN,  /* RFC 7348 */
    TG_TUNNEL_GENEVE, /* RFC 8926, one option */
    TG_TUNNEL_GTPU,   /* 3GPP TS 29.281, one extension header */
    TG_TUNNEL_IPIP,   /* RFC 2003, 4213, 2473: v4 or v6 in v4 or v6 */
    TG_TUNNEL_COUNT,
};

extern const char *const tg_tunnel_names[TG_TUNNEL_COUNT];

/* Endpoint 0 opens the connection; addresses are in network order, IPv4 in the first four bytes. */
struct tg_tuple {
    uint8_t address[2][16];
    uint16_t port[2];
    uint8_t protocol; /* 6 or 17 */
    bool v6;
};

/* What a connection's frames are wrapped in, the same for all of its life. */
struct tg_wrap {
    uint16_t vlan[2]; /* VLAN ids, outermost first */
    uint8_t vlan_count;
    uint8_t mpls_count; /* labels, 0 to 2 */
    uint32_t mpls_label;
    uint8_t tunnel; /* enum tg_tunnel */
    bool outer_v6;  /* IPIP only */
    uint32_t tunnel_id;
    uint8_t outer[2]; /* last byte of the tunnel ends' addresses */
};

enum tg_fragmenting {
    TG_WHOLE,
    TG_FRAGMENTS_FORWARD,
    TG_FRAGMENTS_REVERSED,
};

#define TG_TCP_FIN 0x01u
#define TG_TCP_SYN 0x02u
#define TG_TCP_RST 0x04u
#define TG_TCP_PSH 0x08u
#define TG_TCP_ACK 0x10u

/* One datagram to be sent, not rendered yet. Plain value. */
struct tg_segment {
    uint64_t off;  /* stream offset of the payload */
    uint32_t len;  /* payload bytes */
    uint32_t kept; /* of these, bytes inside the snap length */
    uint32_t seq, ack;
    uint32_t ts_value, ts_echo;
    uint16_t window;
    uint16_t ip_id;
    uint16_t fragment_bytes; /* multiple of 8: payload of each fragment */
    uint8_t direction;       /* index of the sending endpoint */
    uint8_t flags;           /* TG_TCP_* */
    uint8_t fragmenting;     /* enum tg_fragmenting */
    bool fragment_outer;     /* split the tunnel's packet instead of the inner one */
    bool fragment_missing;   /* leave one fragment out */
    bool timestamps;         /* carry the TCP timestamps option */
    bool garbage;            /* payload differs from the stream in every byte */
    bool must_show;          /* not lost */
    bool in_order;           /* not delayed */
};

#define TG_MSS_OFFERED   1460u
#define TG_WINDOW_SCALE  7u
#define TG_FRAGMENTS_MAX 64u

/* Bytes in front of the payload of an unfragmented frame. */
size_t tg_build_header_bytes(const struct tg_tuple *tuple, const struct tg_wrap *wrap,
                             const struct tg_segment *segment);

/*
 * Renders a whole frame into p (borrowed, TG_FRAME_MAX bytes). key is the sending stream's payload
 * key. Returns the frame's length. Checksums are right in every layer that has one.
 */
size_t tg_build_frame(uint8_t *p, const struct tg_tuple *tuple, const struct tg_wrap *wrap,
                      const struct tg_segment *segment, uint64_t key);

/* One fragment after another: call init once, then next until it returns 0. */
struct tg_fragmenter {
    const struct tg_tuple *tuple;
    const struct tg_wrap *wrap;
    const struct tg_segment *segment;
    const uint8_t *packet; /* the IP packet that is split, in scratch */
    size_t packet_len;
    size_t prefix_len; /* what stands before it in each frame */
    size_t header_len; /* its unfragmentable part */
    const uint8_t *prefix;
    unsigned count, index;
};

/* scratch (TG_FRAME_MAX bytes) is borrowed until the last call of next. */
void tg_fragmenter_init(struct tg_fragmenter *f, uint8_t *scratch, const struct tg_tuple *tuple,
                        const struct tg_wrap *wrap, const struct tg_segment *segment, uint64_t key);

/* Renders the next fragment's frame into p and returns its length; 0 when there is none left. */
size_t tg_fragmenter_next(struct tg_fragmenter *f, uint8_t *p);

/* One IPv4 fragment with bytes of the caller's choice, for attacks. off in bytes, a multiple of 8.
 */
struct tg_raw_fragment {
    uint32_t source, destination; /* host order */
    uint16_t id;
    uint16_t off;
    uint16_t len;
    bool more;
    uint8_t protocol;
};

size_t tg_build_raw_fragment(uint8_t *p, const struct tg_raw_fragment *fragment, uint64_t key);

#endif
