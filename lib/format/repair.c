/* SPDX-License-Identifier: BSD-3-Clause */
/* The longest valid prefix of a capture file. */
#include "format/repair.h"

enum {
    CAP_MAX = 262144,         /* libpcap's MAXIMUM_SNAPLEN, Wireshark's WTAP_MAX_PACKET_SIZE */
    CAP_MAX_EBHSCR = 8 << 20, /* the exceptions of both */
    CAP_MAX_LARGE = 128 << 20,
    BLOCK_MAX = 16 << 20, /* of both */
    BLOCK_EXTRA = 1024,   /* around a packet of CAP_MAX_LARGE bytes; options are few */
    LINK_USB_LINUX = 189,
    LINK_USB_LINUX_MMAPPED = 220,
    LINK_DBUS = 231,
    LINK_USBPCAP = 249,
    LINK_EBHSCR = 279,
};

void ws_repair_init(struct ws_repair *r)
{
    *r = (struct ws_repair){.need = 4, .block_max = BLOCK_MAX};
}

bool ws_repair_usable(const struct ws_repair *r)
{
    if (r->kind == WS_REPAIR_ARCHIVE)
        return r->keep >= WS_ARCHIVE_HEADER_LEN;
    return r->kind == WS_REPAIR_PCAP ? r->keep >= WS_PCAP_HEADER_LEN
                                     : r->kind == WS_REPAIR_PCAPNG && r->ever_described;
}

/* Captured bytes beyond which readers call a packet of this link type absurd. */
static uint32_t cap_max(uint16_t link_type)
{
    switch (link_type) {
    case LINK_DBUS:
    case LINK_USB_LINUX:
    case LINK_USB_LINUX_MMAPPED:
    case LINK_USBPCAP:
        return CAP_MAX_LARGE;
    case LINK_EBHSCR:
        return CAP_MAX_EBHSCR;
    default:
        return CAP_MAX;
    }
}

static enum ws_format_status wrong(struct ws_repair *r, const char *reason, uint64_t number)
{
    r->reason = reason;
    r->reason_off = r->at;
    r->number = number;
    return WS_FORMAT_INVALID;
}

static enum ws_format_status need(struct ws_repair *r, uint64_t bytes)
{
    r->need = bytes;
    return WS_FORMAT_INCOMPLETE;
}

/* ---- pcap ---- */

static enum ws_format_status pcap_head(struct ws_repair *r, const uint8_t *p, size_t len,
                                       uint64_t *unit)
{
    switch (ws_pcap_header_decode(&r->pcap, p, len)) {
    case WS_FORMAT_INCOMPLETE:
        return need(r, WS_PCAP_HEADER_LEN);
    case WS_FORMAT_INVALID:
        return wrong(r, "unknown version of the file format, major number", r->pcap.version_major);
    case WS_FORMAT_COMPLETE:
        break;
    }
    r->cap_max = cap_max(r->pcap.link_type);
    *unit = WS_PCAP_HEADER_LEN;
    return WS_FORMAT_COMPLETE;
}

static bool all_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i])
            return false;
    return true;
}

static enum ws_format_status pcap_record(struct ws_repair *r, const uint8_t *p, size_t len,
                                         uint64_t *unit, bool *zero)
{
    struct ws_pcap_record rec;
    switch (ws_pcap_record_decode(&r->pcap, r->pcap.big_endian, p, len, r->cap_max, &rec)) {
    case WS_FORMAT_INCOMPLETE:
        return need(r, rec.len);
    case WS_FORMAT_INVALID:
        return wrong(r, "absurd record length", rec.cap_len);
    case WS_FORMAT_COMPLETE:
        break;
    }
    /* A stamp and lengths of zero: what a file system leaves of bytes that it had not yet written
     * when the machine went down. Real if more follows, else not. */
    *zero = rec.len == r->pcap.record_len && all_zero(p, r->pcap.record_len);
    *unit = rec.len;
    return WS_FORMAT_COMPLETE;
}

/* ---- pcapng ---- */

static enum ws_format_status iface_block(struct ws_repair *r, const uint8_t *p,
                                         const struct ws_pcapng_block *b)
{
    struct ws_pcapng_iface iface;
    if (ws_pcapng_iface_decode(&iface, &r->section, p, b) != WS_FORMAT_COMPLETE)
        return wrong(r, "interface description is invalid, block of length", b->len);
    uint32_t cap = cap_max(iface.link_type);
    if (r->ifaces == 0)
        r->snaplen0 = iface.snaplen;
    if (cap > BLOCK_MAX)
        r->block_max = cap + BLOCK_EXTRA;
    r->cap_max = WS_MAX(r->cap_max, cap);
    r->ifaces++;
    r->ever_described = true;
    return WS_FORMAT_COMPLETE;
}

static enum ws_format_status packet_block(struct ws_repair *r, const uint8_t *p,
                                          const struct ws_pcapng_block *b)
{
    struct ws_pcapng_packet k;
    if (ws_pcapng_packet_decode(&k, &r->section, p, b->len, b, r->snaplen0) != WS_FORMAT_COMPLETE)
        return wrong(r, "captured length does not fit in its block of length", b->len);
    if (ws_pcapng_packet_options(&k, &r->section, p, b) != WS_FORMAT_COMPLETE)
        return wrong(r, "trailing length differs from the block's length", b->len);
    if (k.iface >= r->ifaces)
        return wrong(r, "packet of an interface that was not described, number", k.iface);
    if (k.cap_len > r->cap_max)
        return wrong(r, "absurd record length", k.cap_len);
    /* A simple packet's captured length follows from others; readers of ours cut it to the block.
     */
    uint32_t snaplen = r->snaplen0 ? r->snaplen0 : r->cap_max;
    if (b->type == WS_PCAPNG_SPB && WS_MIN(k.wire_len, snaplen) > b->len - 16)
        return wrong(r, "captured length does not fit in its block of length", b->len);
    return WS_FORMAT_COMPLETE;
}

static enum ws_format_status section_block(struct ws_repair *r, const uint8_t *p,
                                           const struct ws_pcapng_block *b)
{
    if (ws_pcapng_section_decode(&r->section, p, b) != WS_FORMAT_COMPLETE)
        return wrong(r, "section header is invalid, block of length", b->len);
    r->ifaces = 0;
    r->snaplen0 = 0;
    return WS_FORMAT_COMPLETE;
}

static enum ws_format_status stats_block(struct ws_repair *r, const uint8_t *p,
                                         const struct ws_pcapng_block *b)
{
    struct ws_pcapng_stats st;
    if (ws_pcapng_stats_decode(&st, &r->section, p, b) != WS_FORMAT_COMPLETE)
        return wrong(r, "interface statistics are invalid, block of length", b->len);
    if (st.iface >= r->ifaces)
        return wrong(r, "statistics of an interface that was not described, number", st.iface);
    return WS_FORMAT_COMPLETE;
}

/* Any other block: its two lengths must agree (draft-ietf-opsawg-pcapng section 3.1). */
static enum ws_format_status other_block(struct ws_repair *r, const uint8_t *p,
                                         const struct ws_pcapng_block *b)
{
    const uint8_t *end = p + b->len - 4;
    uint32_t again = r->section.big_endian ? ws_load_be32(end) : ws_load_le32(end);
    return again == b->len ? WS_FORMAT_COMPLETE
                           : wrong(r, "trailing length differs from the block's length", b->len);
}

static bool is_packet(uint32_t type)
{
    return type == WS_PCAPNG_EPB || type == WS_PCAPNG_PB || type == WS_PCAPNG_SPB;
}

static enum ws_format_status pcapng_block(struct ws_repair *r, const uint8_t *p, size_t len,
                                          uint64_t *unit, bool *packet)
{
    struct ws_pcapng_block b;
    switch (ws_pcapng_block_decode(&b, &r->section, p, len)) {
    case WS_FORMAT_INCOMPLETE:
        return need(r, len < 8 ? 8 : 12);
    case WS_FORMAT_INVALID:
        return wrong(r, "block length or byte order is invalid, block of type", b.type);
    case WS_FORMAT_COMPLETE:
        break;
    }
    if (b.len > r->block_max)
        return wrong(r, "absurd block length", b.len);
    if (b.len > len)
        return need(r, b.len);
    *unit = b.len;
    *packet = is_packet(b.type);
    if (*packet)
        return packet_block(r, p, &b);
    switch (b.type) {
    case WS_PCAPNG_SHB:
        return section_block(r, p, &b);
    case WS_PCAPNG_IDB:
        return iface_block(r, p, &b);
    case WS_PCAPNG_ISB:
        return stats_block(r, p, &b);
    default:
        return other_block(r, p, &b);
    }
}

/* ---- segments of stream archives ---- */

static enum ws_format_status archive_unit(struct ws_repair *r, const uint8_t *p, size_t len, uint64_t *unit, bool *record)
{
    struct ws_archive_header header;
    struct ws_archive_head h;
    enum ws_format_status st;
    if (r->footer == 2)
        return wrong(r, "bytes behind the end of the archive's segment", WS_REPAIR_NO_NUMBER);
    if (r->footer == 1) {
        if (len < WS_ARCHIVE_TAIL_LEN)
            return need(r, WS_ARCHIVE_TAIL_LEN);
        if (!ws_archive_tail_decode(p))
            return wrong(r, "the segment's tail is damaged", WS_REPAIR_NO_NUMBER);
        r->footer = 2;
        *unit = WS_ARCHIVE_TAIL_LEN;
        return WS_FORMAT_COMPLETE;
    }
    if (r->at == 0) {
        st = ws_archive_header_decode(p, len, &header);
        *unit = WS_ARCHIVE_HEADER_LEN;
        return st == WS_FORMAT_INCOMPLETE ? need(r, WS_ARCHIVE_HEADER_LEN)
               : st == WS_FORMAT_INVALID  ? wrong(r, "the segment's header is damaged or of another version", WS_REPAIR_NO_NUMBER)
                                          : st;
    }
    st = ws_archive_head_decode(p, len, r->at, &h);
    if (st == WS_FORMAT_INCOMPLETE)
        return need(r, h.bytes ? ws_archive_padded(h.bytes) : WS_ARCHIVE_HEAD_LEN);
    if (st == WS_FORMAT_INVALID)
        return wrong(r, "a record is damaged", WS_REPAIR_NO_NUMBER);
    if (len < ws_archive_padded(h.bytes))
        return need(r, ws_archive_padded(h.bytes));
    r->footer = h.type == WS_ARCHIVE_FOOTER;
    *unit = ws_archive_padded(h.bytes);
    *record = true;
    return WS_FORMAT_COMPLETE;
}

/* ---- both ---- */

static enum ws_format_status recognise(struct ws_repair *r, const uint8_t *p, size_t len)
{
    if (len < 4)
        return need(r, 4);
    if (ws_pcap_is_magic(p))
        r->kind = WS_REPAIR_PCAP;
    else if (ws_load_be32(p) == WS_PCAPNG_SHB)
        r->kind = WS_REPAIR_PCAPNG;
    else if (ws_load_be32(p) == WS_ARCHIVE_MAGIC)
        r->kind = WS_REPAIR_ARCHIVE;
    else
        return wrong(r, "not a pcap or pcapng file", WS_REPAIR_NO_NUMBER);
    return WS_FORMAT_COMPLETE;
}

/* The unit at p; on success its length is in *unit. */
static enum ws_format_status unit_at(struct ws_repair *r, const uint8_t *p, size_t len,
                                     uint64_t *unit, bool *packet, bool *zero)
{
    enum ws_format_status st;
    *packet = *zero = false;
    if (r->kind == WS_REPAIR_UNKNOWN && (st = recognise(r, p, len)) != WS_FORMAT_COMPLETE)
        return st;
    if (r->kind == WS_REPAIR_PCAPNG)
        return pcapng_block(r, p, len, unit, packet);
    if (r->kind == WS_REPAIR_ARCHIVE)
        return archive_unit(r, p, len, unit, packet);
    if (r->at == 0)
        return pcap_head(r, p, len, unit);
    *packet = true;
    return pcap_record(r, p, len, unit, zero);
}

/* The unit is part of the file; zeros count once something follows them. */
static void accept(struct ws_repair *r, uint64_t unit, bool packet, bool zero)
{
    r->at += unit;
    if (zero) {
        r->zero_packets++;
        return;
    }
    r->packets += packet + r->zero_packets;
    r->zero_packets = 0;
    r->keep = r->at;
}

/* The file ends len bytes into the unit at hand. */
static void cut(struct ws_repair *r, size_t len)
{
    if (r->kind == WS_REPAIR_UNKNOWN)
        wrong(r, "too short for a capture file, bytes", len);
    else if (r->kind == WS_REPAIR_PCAP && r->at)
        wrong(r, "the last record is cut; bytes missing, at least", r->need - len);
    else
        wrong(r, "the last block or header is cut; bytes missing, at least", r->need - len);
}

size_t ws_repair_feed(struct ws_repair *r, const uint8_t *p, size_t len, bool at_end)
{
    size_t used = 0;
    while (!r->reason && (used < len || (at_end && r->at == 0))) {
        uint64_t unit = 0;
        bool packet, zero;
        enum ws_format_status st = unit_at(r, p + used, len - used, &unit, &packet, &zero);
        if (st == WS_FORMAT_INCOMPLETE && at_end)
            cut(r, len - used);
        if (st != WS_FORMAT_COMPLETE)
            return used;
        accept(r, unit, packet, zero);
        used += (size_t)unit;
    }
    if (at_end && !r->reason && r->zero_packets)
        wrong(r, "only zeros follow; empty records", r->zero_packets);
    return used;
}
