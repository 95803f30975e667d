/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng: decoding and encoding of blocks. Source: draft-ietf-opsawg-pcapng. Pure functions, any
 * thread. */
#ifndef WS_FORMAT_PCAPNG_H
#define WS_FORMAT_PCAPNG_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "format/status.h"

enum ws_pcapng_block_type {
    WS_PCAPNG_IDB = 1,          /* interface description */
    WS_PCAPNG_PB = 2,           /* packet, obsolete */
    WS_PCAPNG_SPB = 3,          /* simple packet */
    WS_PCAPNG_ISB = 5,          /* interface statistics */
    WS_PCAPNG_EPB = 6,          /* enhanced packet */
    WS_PCAPNG_SHB = 0x0a0d0d0a, /* section header; a palindrome, so that any byte order reads it */
};

#define WS_PCAPNG_BLOCK_MIN 12u /* type, length, length again */
#define WS_PCAPNG_NAME_MAX  64u /* interface name and its NUL */
#define WS_PCAPNG_UNKNOWN   UINT64_MAX

/* A section: everything after its header is read with its byte order. */
struct ws_pcapng_section {
    bool big_endian;
    uint16_t version_major, version_minor;
    int64_t len; /* bytes of the section after its header, -1 = not said */
};

/* The general block structure. */
struct ws_pcapng_block {
    uint32_t type;
    uint32_t len; /* whole block in bytes, both length fields included; a multiple of 4 */
};

struct ws_pcapng_iface {
    uint16_t link_type; /* LINKTYPE_ number */
    uint8_t tsresol;    /* if_tsresol: high bit set 2^-n seconds, else 10^-n; default 6 */
    uint8_t fcs_len;    /* if_fcslen: bytes of frame check sequence; 0 = none or unknown */
    uint32_t snaplen;   /* 0 = no limit */
    int64_t tsoffset_s; /* if_tsoffset */
    char name[WS_PCAPNG_NAME_MAX]; /* if_name, cut to fit; may be empty */
};

struct ws_pcapng_packet {
    uint32_t iface; /* index of the IDB in its section */
    bool has_ts;    /* false: a simple packet block, which has no stamp */
    uint64_t ticks; /* stamp in units of the interface */
    uint32_t cap_len;
    uint32_t wire_len; /* as written: may be below cap_len */
    uint32_t data_off; /* of the packet's bytes, from the start of the block */
    uint64_t
        drop_count; /* lost between the packet before and this one; WS_PCAPNG_UNKNOWN = not said */
    uint32_t flags; /* epb_flags, 0 = not said */
};

struct ws_pcapng_stats {
    uint32_t iface;
    uint64_t ticks;                  /* stamp of the statistics, in units of the interface */
    uint64_t start_ticks, end_ticks; /* of the capture; WS_PCAPNG_UNKNOWN = not said */
    uint64_t received, dropped;      /* isb_ifrecv, isb_ifdrop; WS_PCAPNG_UNKNOWN = not said */
    uint64_t os_dropped, delivered;  /* isb_osdrop, isb_usrdeliv; likewise; encoded only */
};

/* --- decoding --- */

/* Reads type and length of the block at p; of a section header also its byte order, which is left
 * in sec->big_endian. INCOMPLETE: fewer than 8 bytes (12 for a section header). INVALID: length
 * below the minimum, not a multiple of 4, or no byte-order magic. */
enum ws_format_status ws_pcapng_block_decode(struct ws_pcapng_block *b,
                                             struct ws_pcapng_section *sec, const uint8_t *p,
                                             size_t len);

/* The next five decode a whole block of b->len bytes at p (the caller has it complete, and has
 * compared nothing: a trailing length that differs from the leading one is INVALID here). Options
 * that overrun the block end the list of options, no more. */
enum ws_format_status ws_pcapng_section_decode(struct ws_pcapng_section *sec, const uint8_t *p,
                                               const struct ws_pcapng_block *b);
enum ws_format_status ws_pcapng_iface_decode(struct ws_pcapng_iface *iface,
                                             const struct ws_pcapng_section *sec, const uint8_t *p,
                                             const struct ws_pcapng_block *b);
enum ws_format_status ws_pcapng_stats_decode(struct ws_pcapng_stats *st,
                                             const struct ws_pcapng_section *sec, const uint8_t *p,
                                             const struct ws_pcapng_block *b);

/* Decodes the fixed fields of an EPB, PB or SPB from the first len bytes of the block: INCOMPLETE
 * only while len is below ws_pcapng_packet_fixed(b->type); data_off + cap_len is within the block,
 * else INVALID. snaplen0 is that of the section's interface 0 (for SPB). */
enum ws_format_status ws_pcapng_packet_decode(struct ws_pcapng_packet *pkt,
                                              const struct ws_pcapng_section *sec, const uint8_t *p,
                                              size_t len, const struct ws_pcapng_block *b,
                                              uint32_t snaplen0);

/* Reads drop count and flags of a packet block that is at hand wholly, and checks its trailing
 * length. */
enum ws_format_status ws_pcapng_packet_options(struct ws_pcapng_packet *pkt,
                                               const struct ws_pcapng_section *sec,
                                               const uint8_t *p, const struct ws_pcapng_block *b);

/* Bytes of block header and fixed fields before the packet's own bytes: 28, or 12 for SPB. */
static inline uint32_t ws_pcapng_packet_fixed(uint32_t type)
{
    return type == WS_PCAPNG_SPB ? 12 : 28;
}

/* A stamp in ns since the Unix epoch, rounded down; beyond int64 it is the nearest int64. */
int64_t ws_pcapng_ticks_to_ns(const struct ws_pcapng_iface *iface, uint64_t ticks);

/* --- encoding: little-endian, stamps in ns --- */

/* Texts of a section header; NULL = left out. Each is cut to 255 bytes. */
struct ws_pcapng_about {
    const char *hardware, *os, *appl;
};

/* Each writes one block and returns its length, or 0 when room bytes are too few. */
size_t ws_pcapng_section_encode(uint8_t *out, size_t room, const struct ws_pcapng_about *about);
/* Of iface, link_type, snaplen and name are used; the resolution is written as ns. */
size_t ws_pcapng_iface_encode(uint8_t *out, size_t room, const struct ws_pcapng_iface *iface);
/* Fields are ns since the epoch (ticks, start_ticks, end_ticks) and counts: received, dropped, os_dropped, delivered; WS_PCAPNG_UNKNOWN is
 * left out. */
#define WS_PCAPNG_STATS_MAX 100u
size_t ws_pcapng_stats_encode(uint8_t *out, size_t room, const struct ws_pcapng_stats *st);

#define WS_PCAPNG_EPB_HEAD 28u
#define WS_PCAPNG_EPB_TAIL_MAX                                                                     \
    31u /* padding 3, drop count 12, flags 8, end of options 4, length 4 */

/* An EPB goes around the packet's bytes, so that they need no second copy: head (28 bytes), cap_len
 * bytes of the packet, tail. Of pkt, ticks (ns since the epoch), iface, cap_len, wire_len,
 * drop_count (UNKNOWN: left out) and flags (0: left out) are used. The head returns the length of
 * the whole block, the tail its own length. */
uint32_t ws_pcapng_epb_head(uint8_t *out, const struct ws_pcapng_packet *pkt);
size_t ws_pcapng_epb_tail(uint8_t *out, const struct ws_pcapng_packet *pkt);

#endif
