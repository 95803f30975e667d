/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets as pcap or pcapng bytes: the one encoding that all packet sinks share. */
#ifndef WS_SINK_FRAME_H
#define WS_SINK_FRAME_H

#include "format/pcap.h"
#include "format/pcapng.h"
#include "packet/packet.h"
#include "writer/channel.h"

/* How packets are written. */
struct ws_frame_format {
    bool pcapng;
    bool us;          /* classic pcap only: microsecond magic; stamps are cut, not rounded */
    uint32_t snaplen; /* longer packets are cut to it; 0 = whole */
};

/* A packet as up to three pieces; they point into this struct and into the packet. */
struct ws_frame {
    struct ws_bytes piece[3];
    unsigned n;
    uint32_t cap_len; /* packet bytes after the cut */
    size_t len;       /* bytes in all */
    uint8_t head[WS_PCAPNG_EPB_HEAD];
    uint8_t tail[WS_PCAPNG_EPB_TAIL_MAX];
};

/* Encodes p. iface is the index of its interface description (pcapng only). */
void ws_frame_encode(struct ws_frame *f, const struct ws_frame_format *fmt, uint32_t iface,
                     const struct ws_packet *p);

/* The same when drop_count packets of the interface were lost before this one: pcapng says so (epb_dropcount).
 * WS_PCAPNG_UNKNOWN: nothing is said. */
void ws_frame_encode_after(struct ws_frame *f, const struct ws_frame_format *fmt, uint32_t iface,
                           const struct ws_packet *p, uint64_t drop_count);

/* Bytes of p as ws_frame_put() writes it with this drop_count; *cap_len = packet bytes after the cut. */
size_t ws_frame_len(const struct ws_frame_format *fmt, const struct ws_packet *p, uint64_t drop_count,
                    uint32_t *cap_len);

/* Writes the same bytes as ws_frame_encode_after()'s pieces to where they go: ws_frame_len() of them. For the packet
 * path. */
void ws_frame_put(uint8_t *to, const struct ws_frame_format *fmt, uint32_t iface, const struct ws_packet *p,
                  uint64_t drop_count, uint32_t cap_len);

/* Writes what stands before the first packet of a file: the pcap header with iface[0]'s link type,
 * or a section header and the n interface descriptions. Returns the length, 0 when room is too
 * small. A classic file needs n >= 1; ws_frame_header_room(n) bytes always suffice. */
size_t ws_frame_header(uint8_t *out, size_t room, const struct ws_frame_format *fmt,
                       const struct ws_pcapng_iface *iface, unsigned n);
size_t ws_frame_header_room(unsigned n);

/* Bytes that suffice for one interface description. */
#define WS_FRAME_IDB_MAX 160u

#endif
