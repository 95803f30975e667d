/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng: encoding of blocks, little-endian, stamps in ns. */
#include "format/pcapng.h"

enum { TEXT_MAX = 255 };

/* A block being written: at never passes room; full says that something did not fit. */
struct out {
    uint8_t *p;
    size_t at, room;
    bool full;
};

/* The next n bytes of the block, or NULL when they do not fit. */
static uint8_t *take(struct out *o, size_t n)
{
    if (o->full || o->room - o->at < n) {
        o->full = true;
        return NULL;
    }
    o->at += n;
    return o->p + o->at - n;
}

static void put32(struct out *o, uint32_t v)
{
    uint8_t *p = take(o, 4);
    if (p)
        ws_store_le32(p, v);
}

static void put16x2(struct out *o, uint16_t a, uint16_t b)
{
    put32(o, (uint32_t)b << 16 | a);
}

static void put_ticks(struct out *o, uint64_t t)
{
    put32(o, (uint32_t)(t >> 32));
    put32(o, (uint32_t)t);
}

static void put_option(struct out *o, uint16_t code, const void *value, size_t len)
{
    put16x2(o, code, (uint16_t)len);
    uint8_t *p = take(o, ws_align_up(len, 4));
    if (!p)
        return;
    memset(p, 0, ws_align_up(len, 4));
    memcpy(p, value, len);
}

static void put_text(struct out *o, uint16_t code, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    if (len)
        put_option(o, code, text, WS_MIN(len, (size_t)TEXT_MAX));
}

/* An option of 8 bytes; UNKNOWN values are left out. */
static void put_option64(struct out *o, uint16_t code, uint64_t v, bool ticks)
{
    if (v == WS_PCAPNG_UNKNOWN)
        return;
    put16x2(o, code, 8);
    put32(o, (uint32_t)(ticks ? v >> 32 : v));
    put32(o, (uint32_t)(ticks ? v : v >> 32));
}

static struct out begin(uint8_t *p, size_t room, uint32_t type)
{
    struct out o = {.p = p, .room = room};
    put32(&o, type);
    put32(&o, 0); /* the length, known at the end */
    return o;
}

/* Writes both lengths; returns the block's length, 0 when it did not fit. */
static size_t end(struct out *o)
{
    uint32_t len = (uint32_t)o->at + 4;
    put32(o, len);
    if (o->full)
        return 0;
    ws_store_le32(o->p + 4, len);
    return len;
}

size_t ws_pcapng_section_encode(uint8_t *out, size_t room, const struct ws_pcapng_about *about)
{
    struct out o = begin(out, room, WS_PCAPNG_SHB);
    put32(&o, 0x1a2b3c4d);
    put16x2(&o, 1, 0);
    put32(&o, UINT32_MAX); /* the section's length is not said: -1 */
    put32(&o, UINT32_MAX);
    put_text(&o, 2, about->hardware);
    put_text(&o, 3, about->os);
    put_text(&o, 4, about->appl);
    put32(&o, 0);
    return end(&o);
}

size_t ws_pcapng_iface_encode(uint8_t *out, size_t room, const struct ws_pcapng_iface *iface)
{
    const uint8_t tsresol = 9;
    struct out o = begin(out, room, WS_PCAPNG_IDB);
    put16x2(&o, iface->link_type, 0);
    put32(&o, iface->snaplen);
    put_text(&o, 2, iface->name);
    put_option(&o, 9, &tsresol, 1);
    put32(&o, 0);
    return end(&o);
}

size_t ws_pcapng_stats_encode(uint8_t *out, size_t room, const struct ws_pcapng_stats *st)
{
    struct out o = begin(out, room, WS_PCAPNG_ISB);
    put32(&o, st->iface);
    put_ticks(&o, st->ticks);
    put_option64(&o, 2, st->start_ticks, true);
    put_option64(&o, 3, st->end_ticks, true);
    put_option64(&o, 4, st->received, false);
    put_option64(&o, 5, st->dropped, false);
    put_option64(&o, 7, st->os_dropped, false);
    put_option64(&o, 8, st->delivered, false);
    put32(&o, 0);
    return end(&o);
}

/* Bytes after the packet's own: padding, options, length. */
static uint32_t tail_len(const struct ws_pcapng_packet *pkt)
{
    uint32_t n = (4 - pkt->cap_len % 4) % 4 + 4;
    if (pkt->drop_count != WS_PCAPNG_UNKNOWN)
        n += 12;
    if (pkt->flags)
        n += 8;
    if (pkt->drop_count != WS_PCAPNG_UNKNOWN || pkt->flags)
        n += 4;
    return n;
}

uint32_t ws_pcapng_epb_head(uint8_t *out, const struct ws_pcapng_packet *pkt)
{
    uint32_t len = WS_PCAPNG_EPB_HEAD + pkt->cap_len + tail_len(pkt);
    ws_store_le32(out, WS_PCAPNG_EPB);
    ws_store_le32(out + 4, len);
    ws_store_le32(out + 8, pkt->iface);
    ws_store_le32(out + 12, (uint32_t)(pkt->ticks >> 32));
    ws_store_le32(out + 16, (uint32_t)pkt->ticks);
    ws_store_le32(out + 20, pkt->cap_len);
    ws_store_le32(out + 24, pkt->wire_len);
    return len;
}

size_t ws_pcapng_epb_tail(uint8_t *out, const struct ws_pcapng_packet *pkt)
{
    size_t room = tail_len(pkt), pad = (4 - pkt->cap_len % 4) % 4;
    memset(out, 0, pad);
    struct out o = {.p = out, .at = pad, .room = room};
    if (pkt->flags) {
        put16x2(&o, 2, 4);
        put32(&o, pkt->flags);
    }
    put_option64(&o, 4, pkt->drop_count, false);
    if (pkt->flags || pkt->drop_count != WS_PCAPNG_UNKNOWN)
        put32(&o, 0);
    put32(&o, WS_PCAPNG_EPB_HEAD + pkt->cap_len + (uint32_t)room);
    return room;
}
