/* SPDX-License-Identifier: BSD-3-Clause */
/* The file source's state, shared by file.c (files, classic pcap) and file_pcapng.c. Private to
 * both. */
#ifndef WS_SOURCE_FILE_PRIVATE_H
#define WS_SOURCE_FILE_PRIVATE_H

#include "format/pcap.h"
#include "format/pcapng.h"
#include "source/ahead.h"
#include "source/chunks.h"
#include "source/file.h"
#include "source/ifaces.h"
#include "source/input.h"

/* Room in a chunk beyond the longest packet: record headers, pcapng options. */
#define WS_FILE_RECORD_EXTRA 4096u

enum ws_file_state {
    WS_FILE_NONE,   /* between files */
    WS_FILE_HEADER, /* opened; the first bytes are not known yet */
    WS_FILE_PCAP,
    WS_FILE_PCAPNG,
};

/* An interface of the current pcapng section. */
struct ws_file_ng_iface {
    struct ws_pcapng_iface desc;
    uint64_t ticks_max; /* up to here: ns = ticks * tick_ns + offset_ns, without overflow */
    int64_t tick_ns, offset_ns;
    uint32_t cap_max;
    uint16_t number;            /* in the source's interface table */
    bool drops_stated;          /* by an ISB: drop counts of packets are part of it */
    uint64_t received, dropped; /* of this section, as added to the table so far */
};

struct ws_file_ng {
    struct ws_pcapng_section section;
    struct ws_file_ng_iface *iface; /* WS_IFACES_MAX entries, or NULL until a pcapng file comes */
    unsigned n_iface;
    bool said;    /* one complaint a file about packets that cannot be placed */
    bool stopped; /* reading of this file stops; packets before were still to be given */
};

struct ws_file {
    struct ws_source base; /* first: the source is this object */
    struct ws_chunks chunks;
    enum ws_file_state state;
    /* the packet path */
    uint64_t ordinal; /* of the next packet */
    uint64_t left;    /* packets until packet_max */
    int64_t clock_ns;
    uint64_t need;    /* bytes that the record at chunks.pos needs, when more are wanted */
    uint32_t cap_max; /* of the current pcap file */
    uint16_t iface;
    uint32_t flags;   /* of every packet of the current file */
    struct ws_pcap_file pcap;
    /* the current file */
    uint64_t skip; /* bytes to pass over before the next block */
    uint64_t read; /* plain bytes of it read so far, the unread ones included */
    struct ws_input *in;
    struct ws_ahead *ahead; /* NULL: nothing is read ahead */
    bool ahead_tried, ahead_on; /* of this file */
    uint64_t ahead_bytes;   /* read by it, of which the input does not know yet */
    const char *name;
    void (*begins)(void *user, const char *path);
    void *begins_user;
    struct ws_file_ng ng;
    /* all files */
    struct ws_ifaces ifaces;
    const char *const *path;
    unsigned n_path, n_continue, next;
    uint32_t packet_bytes_max;
    uint64_t done_before; /* stored bytes of the files that are over */
};

/* Where chunks.pos lies in the current file, in plain bytes. */
static inline uint64_t ws_file_offset(const struct ws_file *f)
{
    return f->read - ws_chunks_unread(&f->chunks);
}

/* The longest packet believed of an interface: a snap length above the general limit is believed
 * while it fits in a chunk; zero and absurd ones are not. */
static inline uint32_t ws_file_cap_max(const struct ws_file *f, uint32_t snaplen)
{
    bool fits = snaplen < f->chunks.chunk_bytes - WS_FILE_RECORD_EXTRA;
    return fits ? WS_MAX(snaplen, f->packet_bytes_max) : f->packet_bytes_max;
}

/* Logs "NAME: offset N: TEXT" and marks the input damaged. N is that of the record at chunks.pos.
 */
void ws_file_damage(struct ws_file *f, const char *fmt, ...) WS_PRINTF(2, 3);

/* Fills pkt's fields of a source and counts it. */
static inline void ws_file_give(struct ws_file *f, struct ws_packet *pkt, const uint8_t *data,
                                int64_t ts_ns)
{
    pkt->data = data;
    pkt->ts_ns = ts_ns;
    f->clock_ns = WS_MAX(f->clock_ns, ts_ns);
    pkt->clock_ns = f->clock_ns;
    pkt->ordinal = f->ordinal++;
    pkt->flags = f->flags | (pkt->cap_len < pkt->wire_len ? WS_PKT_SNAPPED : 0);
    pkt->device = 0;
}

/* A pcapng file begins. 0 or -ENOMEM. */
int ws_file_ng_begin(struct ws_file *f);

/* Deals with the blocks before the first packet. Whether more bytes are needed to come so far. */
bool ws_file_ng_describe(struct ws_file *f);

/* Up to max packets of the bytes at hand: a count; 0: more bytes are needed (f->need); -1: reading
 * of this file stops (logged). */
int ws_file_ng_parse(struct ws_file *f, struct ws_packet *pkt, unsigned max);

#endif
