/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng: decoding of blocks (encoding: pcapng_encode.c). */
#include "format/pcapng.h"

enum {
    BYTE_ORDER_MAGIC = 0x1a2b3c4d,
    OPT_END = 0,
    OPT_IF_NAME = 2,
    OPT_IF_TSRESOL = 9,
    OPT_IF_FCSLEN = 13,
    OPT_IF_TSOFFSET = 14,
    OPT_ISB_START = 2,
    OPT_ISB_END = 3,
    OPT_ISB_IFRECV = 4,
    OPT_ISB_IFDROP = 5,
    OPT_EPB_FLAGS = 2,
    OPT_EPB_DROPCOUNT = 4,
};

static uint16_t load16(bool be, const uint8_t *p)
{
    return be ? ws_load_be16(p) : ws_load_le16(p);
}

static uint32_t load32(bool be, const uint8_t *p)
{
    return be ? ws_load_be32(p) : ws_load_le32(p);
}

static uint64_t load64(bool be, const uint8_t *p)
{
    return be ? ws_load_be64(p) : ws_load_le64(p);
}

/* Stamps are two words, the high one first, in either byte order (draft section 4.3). */
static uint64_t load_ticks(bool be, const uint8_t *p)
{
    return (uint64_t)load32(be, p) << 32 | load32(be, p + 4);
}

/* A walk over options: code, length, value padded to 4 bytes (draft section 3.5). */
struct options {
    bool be;
    const uint8_t *p, *end;
    uint16_t code, len;
    const uint8_t *value;
};

/* The next option in o; false at the end of the list or where it overruns the block. */
static bool next_option(struct options *o)
{
    if (o->end - o->p < 4)
        return false;
    o->code = load16(o->be, o->p);
    o->len = load16(o->be, o->p + 2);
    o->value = o->p + 4;
    if (o->code == OPT_END || o->end - o->value < o->len)
        return false;
    size_t padded = ws_align_up(o->len, 4);
    o->p = (size_t)(o->end - o->value) < padded ? o->end : o->value + padded;
    return true;
}

/* The trailing length must repeat the leading one (draft section 3.1). */
static bool trailer_matches(bool be, const uint8_t *p, const struct ws_pcapng_block *b)
{
    return load32(be, p + b->len - 4) == b->len;
}

enum ws_format_status ws_pcapng_block_decode(struct ws_pcapng_block *b,
                                             struct ws_pcapng_section *sec, const uint8_t *p,
                                             size_t len)
{
    if (len < 8)
        return WS_FORMAT_INCOMPLETE;
    b->type = load32(sec->big_endian, p);
    if (b->type == WS_PCAPNG_SHB) {
        if (len < 12)
            return WS_FORMAT_INCOMPLETE;
        sec->big_endian = ws_load_be32(p + 8) == BYTE_ORDER_MAGIC;
        if (!sec->big_endian && ws_load_le32(p + 8) != BYTE_ORDER_MAGIC)
            return WS_FORMAT_INVALID;
    }
    b->len = load32(sec->big_endian, p + 4);
    if (b->len < WS_PCAPNG_BLOCK_MIN || b->len % 4 != 0)
        return WS_FORMAT_INVALID;
    return WS_FORMAT_COMPLETE;
}

enum ws_format_status ws_pcapng_section_decode(struct ws_pcapng_section *sec, const uint8_t *p,
                                               const struct ws_pcapng_block *b)
{
    bool be = sec->big_endian;
    if (b->len < 28 || !trailer_matches(be, p, b))
        return WS_FORMAT_INVALID;
    sec->version_major = load16(be, p + 12);
    sec->version_minor = load16(be, p + 14);
    sec->len = (int64_t)load64(be, p + 16);
    /* draft section 4.1: a reader must not go on with a major version that it does not know */
    return sec->version_major == 1 ? WS_FORMAT_COMPLETE : WS_FORMAT_INVALID;
}

static void iface_option(struct ws_pcapng_iface *iface, const struct options *o)
{
    if (o->code == OPT_IF_NAME) {
        size_t n = WS_MIN(o->len, sizeof(iface->name) - 1);
        memcpy(iface->name, o->value, n);
        iface->name[n] = '\0';
    } else if (o->code == OPT_IF_TSRESOL && o->len == 1) {
        iface->tsresol = o->value[0];
    } else if (o->code == OPT_IF_FCSLEN && o->len == 1) {
        iface->fcs_len = o->value[0];
    } else if (o->code == OPT_IF_TSOFFSET && o->len == 8) {
        iface->tsoffset_s = (int64_t)load64(o->be, o->value);
    }
}

enum ws_format_status ws_pcapng_iface_decode(struct ws_pcapng_iface *iface,
                                             const struct ws_pcapng_section *sec, const uint8_t *p,
                                             const struct ws_pcapng_block *b)
{
    bool be = sec->big_endian;
    if (b->len < 20 || !trailer_matches(be, p, b))
        return WS_FORMAT_INVALID;
    memset(iface, 0, sizeof(*iface));
    iface->link_type = load16(be, p + 8);
    iface->snaplen = load32(be, p + 12);
    iface->tsresol = 6;
    struct options o = {.be = be, .p = p + 16, .end = p + b->len - 4};
    while (next_option(&o))
        iface_option(iface, &o);
    return WS_FORMAT_COMPLETE;
}

enum ws_format_status ws_pcapng_stats_decode(struct ws_pcapng_stats *st,
                                             const struct ws_pcapng_section *sec, const uint8_t *p,
                                             const struct ws_pcapng_block *b)
{
    bool be = sec->big_endian;
    if (b->len < 24 || !trailer_matches(be, p, b))
        return WS_FORMAT_INVALID;
    st->iface = load32(be, p + 8);
    st->ticks = load_ticks(be, p + 12);
    st->start_ticks = st->end_ticks = st->received = st->dropped = WS_PCAPNG_UNKNOWN;
    struct options o = {.be = be, .p = p + 20, .end = p + b->len - 4};
    while (next_option(&o)) {
        if (o.len != 8)
            continue;
        if (o.code == OPT_ISB_START)
            st->start_ticks = load_ticks(be, o.value);
        else if (o.code == OPT_ISB_END)
            st->end_ticks = load_ticks(be, o.value);
        else if (o.code == OPT_ISB_IFRECV)
            st->received = load64(be, o.value);
        else if (o.code == OPT_ISB_IFDROP)
            st->dropped = load64(be, o.value);
    }
    return WS_FORMAT_COMPLETE;
}

enum ws_format_status ws_pcapng_packet_decode(struct ws_pcapng_packet *pkt,
                                              const struct ws_pcapng_section *sec, const uint8_t *p,
                                              size_t len, const struct ws_pcapng_block *b,
                                              uint32_t snaplen0)
{
    bool be = sec->big_endian;
    uint32_t fixed = ws_pcapng_packet_fixed(b->type);
    if (b->len < fixed + 4)
        return WS_FORMAT_INVALID;
    if (len < fixed)
        return WS_FORMAT_INCOMPLETE;
    uint32_t body = b->len - fixed - 4;
    pkt->data_off = fixed;
    pkt->drop_count = WS_PCAPNG_UNKNOWN;
    pkt->flags = 0;
    pkt->has_ts = b->type != WS_PCAPNG_SPB;
    if (b->type == WS_PCAPNG_SPB) {
        /* draft section 4.4: the captured length is not written, it follows from the others */
        pkt->iface = 0;
        pkt->ticks = 0;
        pkt->wire_len = load32(be, p + 8);
        pkt->cap_len = snaplen0 ? WS_MIN(snaplen0, pkt->wire_len) : pkt->wire_len;
        pkt->cap_len = WS_MIN(pkt->cap_len, body);
        return WS_FORMAT_COMPLETE;
    }
    pkt->iface = load32(be, p + 8);
    if (b->type == WS_PCAPNG_PB) {
        uint16_t drops = load16(be, p + 10);
        pkt->iface = load16(be, p + 8);
        if (drops != UINT16_MAX)
            pkt->drop_count = drops;
    }
    pkt->ticks = load_ticks(be, p + 12);
    pkt->cap_len = load32(be, p + 20);
    pkt->wire_len = load32(be, p + 24);
    return pkt->cap_len <= body ? WS_FORMAT_COMPLETE : WS_FORMAT_INVALID;
}

enum ws_format_status ws_pcapng_packet_options(struct ws_pcapng_packet *pkt,
                                               const struct ws_pcapng_section *sec,
                                               const uint8_t *p, const struct ws_pcapng_block *b)
{
    bool be = sec->big_endian;
    if (!trailer_matches(be, p, b))
        return WS_FORMAT_INVALID;
    if (b->type == WS_PCAPNG_SPB)
        return WS_FORMAT_COMPLETE;
    uint64_t off = pkt->data_off + ws_align_up((size_t)pkt->cap_len, 4);
    if (off > b->len - 4)
        return WS_FORMAT_COMPLETE;
    struct options o = {.be = be, .p = p + off, .end = p + b->len - 4};
    while (next_option(&o)) {
        if (o.code == OPT_EPB_FLAGS && o.len == 4)
            pkt->flags = load32(be, o.value);
        else if (o.code == OPT_EPB_DROPCOUNT && o.len == 8 && b->type == WS_PCAPNG_EPB)
            pkt->drop_count = load64(be, o.value);
    }
    return WS_FORMAT_COMPLETE;
}

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

int64_t ws_pcapng_ticks_to_ns(const struct ws_pcapng_iface *iface, uint64_t ticks)
{
    unsigned n = iface->tsresol & 0x7fu;
    uwide ns = ticks;
    if (iface->tsresol & 0x80) {
        ns = (ns * 1000000000u) >> n; /* below 2^94: no overflow; n <= 127 */
    } else {
        for (; n < 9; n++)
            ns *= 10;
        for (; n > 9 && ns; n--)
            ns /= 10;
    }
    wide sum = (wide)ns + (wide)iface->tsoffset_s * 1000000000;
    if (sum > INT64_MAX)
        return INT64_MAX;
    return sum < INT64_MIN ? INT64_MIN : (int64_t)sum;
}
