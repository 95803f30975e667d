/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets as pcap or pcapng bytes. */
#include "sink/frame.h"

#include "ws_config.h"

/* What tools take as "no limit" in a classic header (MAXIMUM_SNAPLEN of libpcap). */
#define SNAPLEN_MAX 262144u

/* Room for a section header with our name. */
#define SECTION_MAX 128u

void ws_frame_encode(struct ws_frame *f, const struct ws_frame_format *fmt, uint32_t iface,
                     const struct ws_packet *p)
{
    ws_frame_encode_after(f, fmt, iface, p, WS_PCAPNG_UNKNOWN);
}

void ws_frame_encode_after(struct ws_frame *f, const struct ws_frame_format *fmt, uint32_t iface,
                           const struct ws_packet *p, uint64_t drop_count)
{
    uint32_t cap = fmt->snaplen ? WS_MIN(p->cap_len, fmt->snaplen) : p->cap_len;
    f->cap_len = cap;
    f->piece[0].data = f->head;
    f->piece[1] = (struct ws_bytes){p->data, cap};
    if (fmt->pcapng) {
        struct ws_pcapng_packet e = {
            .iface = iface,
            .has_ts = true,
            .ticks = (uint64_t)p->ts_ns,
            .cap_len = cap,
            .wire_len = p->wire_len,
            .drop_count = drop_count,
        };
        f->piece[0].len = WS_PCAPNG_EPB_HEAD;
        f->len = ws_pcapng_epb_head(f->head, &e);
        f->piece[2] = (struct ws_bytes){f->tail, ws_pcapng_epb_tail(f->tail, &e)};
        f->n = 3;
    } else {
        struct ws_pcap_record r = {.ts_ns = p->ts_ns, .cap_len = cap, .wire_len = p->wire_len};
        f->piece[0].len = WS_PCAP_RECORD_LEN;
        ws_pcap_record_encode(f->head, !fmt->us, &r);
        f->len = (size_t)WS_PCAP_RECORD_LEN + cap;
        f->n = 2;
    }
}

size_t ws_frame_len(const struct ws_frame_format *fmt, const struct ws_packet *p, uint64_t drop_count,
                    uint32_t *cap_len)
{
    enum { DROP_COUNT = 16 }; /* the option and the end of options */
    uint32_t cap = fmt->snaplen ? WS_MIN(p->cap_len, fmt->snaplen) : p->cap_len;
    *cap_len = cap;
    if (!fmt->pcapng)
        return WS_PCAP_RECORD_LEN + (size_t)cap;
    /* padding, and the length once more */
    return WS_PCAPNG_EPB_HEAD + ws_align_up(cap, 4) + 4 + (drop_count == WS_PCAPNG_UNKNOWN ? 0 : DROP_COUNT);
}

/* memcpy() of small packets without a call and without branches on each length: the last piece overlaps the one before. */
static void copy_packet(uint8_t *to, const uint8_t *from, size_t len)
{
    enum { STEP = 32, SMALL = 160 };
    if (len < STEP || len > SMALL) {
        memcpy(to, from, len);
        return;
    }
    for (size_t at = 0; at < len - STEP; at += STEP)
        memcpy(to + at, from + at, STEP);
    memcpy(to + len - STEP, from + len - STEP, STEP);
}

void ws_frame_put(uint8_t *to, const struct ws_frame_format *fmt, uint32_t iface, const struct ws_packet *p,
                  uint64_t drop_count, uint32_t cap_len)
{
    if (!fmt->pcapng) {
        struct ws_pcap_record r = {.ts_ns = p->ts_ns, .cap_len = cap_len, .wire_len = p->wire_len};
        ws_pcap_record_encode(to, !fmt->us, &r);
        copy_packet(to + WS_PCAP_RECORD_LEN, p->data, cap_len);
        return;
    }
    struct ws_pcapng_packet e = {
        .iface = iface,
        .has_ts = true,
        .ticks = (uint64_t)p->ts_ns,
        .cap_len = cap_len,
        .wire_len = p->wire_len,
        .drop_count = drop_count,
    };
    uint32_t len = ws_pcapng_epb_head(to, &e);
    if (WS_UNLIKELY(drop_count != WS_PCAPNG_UNKNOWN)) {
        memcpy(to + WS_PCAPNG_EPB_HEAD, p->data, cap_len);
        ws_pcapng_epb_tail(to + WS_PCAPNG_EPB_HEAD + cap_len, &e);
        return;
    }
    /* The padding, under the packet's last bytes, before them: at most 3 bytes of the word before the length. */
    if (cap_len)
        ws_store_le32(to + len - 8, 0);
    copy_packet(to + WS_PCAPNG_EPB_HEAD, p->data, cap_len);
    ws_store_le32(to + len - 4, len);
}

size_t ws_frame_header_room(unsigned n)
{
    return SECTION_MAX + (size_t)n * WS_FRAME_IDB_MAX;
}

size_t ws_frame_header(uint8_t *out, size_t room, const struct ws_frame_format *fmt,
                       const struct ws_pcapng_iface *iface, unsigned n)
{
    if (!fmt->pcapng) {
        struct ws_pcap_file h = {
            .ns = !fmt->us,
            .link_type = iface[0].link_type,
            .snaplen = fmt->snaplen ? fmt->snaplen : SNAPLEN_MAX,
        };
        if (room < WS_PCAP_HEADER_LEN)
            return 0;
        ws_pcap_header_encode(out, &h);
        return WS_PCAP_HEADER_LEN;
    }
    struct ws_pcapng_about about = {.appl = "wirespool " WS_VERSION};
    size_t len = ws_pcapng_section_encode(out, room, &about);
    for (unsigned i = 0; len && i < n; i++) {
        size_t k = ws_pcapng_iface_encode(out + len, room - len, &iface[i]);
        len = k ? len + k : 0;
    }
    return len;
}
