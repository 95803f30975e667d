/* SPDX-License-Identifier: BSD-3-Clause */
/* Classic capture files: the file header. */
#include "format/pcap.h"

enum {
    FIELD_FCS_PRESENT = 0x04000000, /* the FCS length bits of the link type field are valid */
    FIELD_FCS_SHIFT = 28,           /* 4 bits, in units of 16 bits */
    FIELD_LINK_MASK = 0x03ffffff,
};

static const struct {
    uint32_t magic;
    bool ns;
    uint8_t record_len;
} variants[] = {
    {0xa1b2c3d4, false, 16},
    {0xa1b23c4d, true, 16},
    {0xa1b2cd34, false, 24}, /* modified records: interface index, protocol and type follow */
};

/* The row of the magic at p in *variant; whether there is one. */
static bool find_magic(const uint8_t *p, bool *big_endian, size_t *variant)
{
    for (size_t i = 0; i < WS_ARRAY_SIZE(variants); i++) {
        *variant = i;
        *big_endian = ws_load_be32(p) == variants[i].magic;
        if (*big_endian || ws_load_le32(p) == variants[i].magic)
            return true;
    }
    return false;
}

bool ws_pcap_is_magic(const uint8_t *p)
{
    bool big_endian;
    size_t variant;
    return find_magic(p, &big_endian, &variant);
}

/* Fills version-dependent fields; false for a version that nobody has defined. */
static bool set_version(struct ws_pcap_file *f)
{
    f->lengths = WS_PCAP_LENGTHS_NORMAL;
    if (f->version_major == 543) { /* DG/UX */
        f->lengths = WS_PCAP_LENGTHS_EXCHANGED;
        return f->version_minor == 0;
    }
    if (f->version_minor < 3)
        f->lengths = WS_PCAP_LENGTHS_EXCHANGED;
    else if (f->version_minor == 3)
        f->lengths = WS_PCAP_LENGTHS_MAYBE_EXCHANGED;
    return f->version_major == 2;
}

enum ws_format_status ws_pcap_header_decode(struct ws_pcap_file *f, const uint8_t *p, size_t len)
{
    size_t variant;
    if (len < 4)
        return WS_FORMAT_INCOMPLETE;
    if (!find_magic(p, &f->big_endian, &variant))
        return WS_FORMAT_INVALID;
    if (len < WS_PCAP_HEADER_LEN)
        return WS_FORMAT_INCOMPLETE;
    bool be = f->big_endian;
    f->ns = variants[variant].ns;
    f->frac_ns = f->ns ? 1 : 1000;
    f->record_len = variants[variant].record_len;
    f->version_major = be ? ws_load_be16(p + 4) : ws_load_le16(p + 4);
    f->version_minor = be ? ws_load_be16(p + 6) : ws_load_le16(p + 6);
    /* p + 8: time zone and accuracy, zero in practice and ignored by all readers */
    f->snaplen = be ? ws_load_be32(p + 16) : ws_load_le32(p + 16);
    uint32_t link = be ? ws_load_be32(p + 20) : ws_load_le32(p + 20);
    uint32_t type = link & FIELD_LINK_MASK;
    f->link_type = type > UINT16_MAX ? UINT16_MAX : (uint16_t)type;
    f->fcs_len = link & FIELD_FCS_PRESENT ? (uint8_t)(2 * (link >> FIELD_FCS_SHIFT)) : 0;
    if (!set_version(f))
        return WS_FORMAT_INVALID;
    f->odd = f->lengths != WS_PCAP_LENGTHS_NORMAL || f->fcs_len != 0;
    return WS_FORMAT_COMPLETE;
}

void ws_pcap_header_encode(uint8_t *out, const struct ws_pcap_file *f)
{
    ws_store_le32(out, f->ns ? 0xa1b23c4d : 0xa1b2c3d4);
    ws_store_le16(out + 4, 2);
    ws_store_le16(out + 6, 4);
    ws_store_le32(out + 8, 0);
    ws_store_le32(out + 12, 0);
    ws_store_le32(out + 16, f->snaplen);
    ws_store_le32(out + 20, f->link_type);
}
