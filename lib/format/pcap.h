/* SPDX-License-Identifier: BSD-3-Clause */
/* Classic capture files: decoding and encoding of the file header and of record headers.
 *
 * Source: draft-ietf-opsawg-pcap; the variants (modified records, exchanged lengths, FCS bits) as
 * documented in libpcap's pcap-savefile(5) and sf-pcap.c. Pure functions, any thread.
 */
#ifndef WS_FORMAT_PCAP_H
#define WS_FORMAT_PCAP_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "format/status.h"

#define WS_PCAP_HEADER_LEN 24u
#define WS_PCAP_RECORD_LEN 16u /* of a record header, as we write it */

enum ws_pcap_lengths {
    WS_PCAP_LENGTHS_NORMAL,          /* captured length, then original length */
    WS_PCAP_LENGTHS_EXCHANGED,       /* files before version 2.3 */
    WS_PCAP_LENGTHS_MAYBE_EXCHANGED, /* version 2.3: exchanged when the first is the larger */
};

/* A decoded file header: what is needed to read the records. */
struct ws_pcap_file {
    bool big_endian;
    bool ns;            /* record stamps count ns, else us */
    bool odd;           /* lengths are exchanged or frames end in an FCS: the slow way */
    uint8_t record_len; /* bytes of a record header: 16, or 24 in the modified format */
    uint8_t lengths;    /* enum ws_pcap_lengths */
    uint8_t fcs_len;    /* bytes of frame check sequence at the end of each frame; 0 = none known */
    uint16_t link_type; /* LINKTYPE_ number; 65,535 when the field holds more than 16 bits */
    uint16_t version_major, version_minor;
    uint32_t snaplen; /* as written: 0 and absurd values occur */
    uint32_t frac_ns; /* ns that one unit of the fraction field stands for: 1 or 1,000 */
};

/* A record: its header decoded, lengths after removal of an FCS. */
struct ws_pcap_record {
    int64_t ts_ns;     /* ns since the Unix epoch; seconds are unsigned 32 bits in the file */
    uint32_t cap_len;  /* bytes of the packet that follow the header */
    uint32_t wire_len; /* original length; never below cap_len */
    uint64_t len;      /* bytes of header and packet in the file: distance to the next record */
};

/* Whether p (4 bytes) is one of the magic numbers, in either byte order. */
bool ws_pcap_is_magic(const uint8_t *p);

/* Decodes the 24 bytes of a file header. INVALID: foreign magic, or a version other than 2.x and
 * 543.0. */
enum ws_format_status ws_pcap_header_decode(struct ws_pcap_file *f, const uint8_t *p, size_t len);

/* Decodes the record at p, of which len bytes are at hand. INCOMPLETE: r->len says how many bytes
 * are needed (at least, while the header itself is incomplete). INVALID: the captured length in the
 * file, left in r->cap_len, is above cap_max. big_endian is f->big_endian; a parameter so that a
 * loop can be specialised by byte order. */
static inline __attribute__((always_inline)) enum ws_format_status
ws_pcap_record_decode(const struct ws_pcap_file *f, const bool big_endian, const uint8_t *p,
                      size_t len, uint32_t cap_max, struct ws_pcap_record *r)
{
    if (WS_UNLIKELY(len < f->record_len)) {
        r->len = f->record_len;
        return WS_FORMAT_INCOMPLETE;
    }
    uint32_t sec = big_endian ? ws_load_be32(p) : ws_load_le32(p);
    uint32_t frac = big_endian ? ws_load_be32(p + 4) : ws_load_le32(p + 4);
    uint32_t cap = big_endian ? ws_load_be32(p + 8) : ws_load_le32(p + 8);
    uint32_t wire = big_endian ? ws_load_be32(p + 12) : ws_load_le32(p + 12);
    uint32_t stored;
    if (WS_UNLIKELY(f->odd) && (f->lengths == WS_PCAP_LENGTHS_EXCHANGED ||
                                (f->lengths == WS_PCAP_LENGTHS_MAYBE_EXCHANGED && cap > wire))) {
        uint32_t t = cap;
        cap = wire;
        wire = t;
    }
    stored = cap;
    r->cap_len = cap;
    r->len = (uint64_t)f->record_len + stored;
    if (WS_UNLIKELY(cap > cap_max))
        return WS_FORMAT_INVALID;
    if (WS_UNLIKELY(len < r->len))
        return WS_FORMAT_INCOMPLETE;
    wire = WS_MAX(wire, cap);
    if (WS_UNLIKELY(f->odd) && wire >= f->fcs_len) {
        wire -= f->fcs_len;
        r->cap_len = WS_MIN(cap, wire);
    }
    r->ts_ns = (int64_t)sec * 1000000000 + (int64_t)((uint64_t)frac * f->frac_ns);
    r->wire_len = wire;
    return WS_FORMAT_COMPLETE;
}

/* Writes a little-endian file header of version 2.4 (WS_PCAP_HEADER_LEN bytes): of f, ns, snaplen
 * and link_type are used. */
void ws_pcap_header_encode(uint8_t *out, const struct ws_pcap_file *f);

/* Writes a little-endian record header (WS_PCAP_RECORD_LEN bytes) with ts_ns, cap_len and wire_len
 * of r. Stamps before 1970 or after 2106 do not fit in the format and become its first or last
 * second. */
static inline void ws_pcap_record_encode(uint8_t *out, bool ns, const struct ws_pcap_record *r)
{
    uint64_t t = r->ts_ns < 0 ? 0 : (uint64_t)r->ts_ns;
    uint64_t sec = t / 1000000000u;
    uint32_t frac = (uint32_t)(t % 1000000000u);
    ws_store_le32(out, sec > UINT32_MAX ? UINT32_MAX : (uint32_t)sec);
    ws_store_le32(out + 4, ns ? frac : frac / 1000);
    ws_store_le32(out + 8, r->cap_len);
    ws_store_le32(out + 12, r->wire_len);
}

#endif
