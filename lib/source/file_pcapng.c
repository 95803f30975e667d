/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files as a source: the blocks of pcapng. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/file_private.h"

/* What becomes of a block. */
enum step {
    STEP_NEXT,   /* dealt with */
    STEP_PACKET, /* a packet was given */
    STEP_MORE,   /* f->need bytes are needed */
    STEP_STOP,   /* reading of this file stops */
};

int ws_file_ng_begin(struct ws_file *f)
{
    if (!f->ng.iface)
        f->ng.iface = malloc(WS_IFACES_MAX * sizeof(*f->ng.iface));
    if (!f->ng.iface)
        return -ENOMEM;
    f->ng.n_iface = 0;
    f->ng.said = f->ng.stopped = false;
    f->state = WS_FILE_PCAPNG;
    return 0;
}

static enum step stop(struct ws_file *f, const char *what, uint32_t number)
{
    ws_file_damage(f, "%s %u; reading of this file stops here", what, number);
    return STEP_STOP;
}

/* A complaint after which reading goes on; one a file. */
static void complain(struct ws_file *f, const char *what, uint32_t number)
{
    if (!f->ng.said)
        ws_file_damage(f, "%s %u; such packets are left out", what, number);
    f->ng.said = true;
}

static enum step more(struct ws_file *f, uint64_t need)
{
    f->need = need;
    return STEP_MORE;
}

static void section_block(struct ws_file *f)
{
    ws_ifaces_begin(&f->ifaces);
    f->ng.n_iface = 0;
}

/* Prepares the conversion of stamps: a multiplication where the unit divides a nanosecond's
 * multiple. */
static void prepare_ticks(struct ws_file_ng_iface *i)
{
    const int64_t offset_max = INT64_MAX / 4 / 1000000000;
    int64_t offset = i->desc.tsoffset_s;
    i->ticks_max = 0;
    if (i->desc.tsresol > 9 || offset > offset_max || offset < -offset_max)
        return; /* the general conversion */
    i->tick_ns = 1;
    for (unsigned n = i->desc.tsresol; n < 9; n++)
        i->tick_ns *= 10;
    i->offset_ns = offset * 1000000000;
    i->ticks_max = (uint64_t)(INT64_MAX / 2 / i->tick_ns);
}

static int64_t stamp_ns(const struct ws_file_ng_iface *i, const struct ws_pcapng_packet *k)
{
    if (!k->has_ts)
        return 0; /* a simple packet block has no stamp */
    if (WS_LIKELY(k->ticks <= i->ticks_max && i->ticks_max))
        return (int64_t)k->ticks * i->tick_ns + i->offset_ns;
    return ws_pcapng_ticks_to_ns(&i->desc, k->ticks);
}

static enum step iface_block(struct ws_file *f, const uint8_t *p, const struct ws_pcapng_block *b)
{
    struct ws_file_ng_iface *i = &f->ng.iface[f->ng.n_iface];
    if (f->ng.n_iface == WS_IFACES_MAX) {
        complain(f, "more interfaces in a section than", WS_IFACES_MAX);
        return STEP_NEXT;
    }
    memset(i, 0, sizeof(*i));
    if (ws_pcapng_iface_decode(&i->desc, &f->ng.section, p, b) != WS_FORMAT_COMPLETE)
        return stop(f, "interface description is invalid, block of length", b->len);
    struct ws_source_iface want = {
        .link_type = i->desc.link_type, .snaplen = i->desc.snaplen, .us = i->desc.tsresol <= 6};
    static_assert(sizeof(want.name) >= WS_PCAPNG_NAME_MAX, "names fit");
    memcpy(want.name, i->desc.name, WS_PCAPNG_NAME_MAX);
    int number = ws_ifaces_add(&f->ifaces, &want);
    if (number < 0)
        return stop(f, "more interfaces in all inputs than", WS_IFACES_MAX);
    i->number = (uint16_t)number;
    i->cap_max = ws_file_cap_max(f, i->desc.snaplen);
    prepare_ticks(i);
    f->ng.n_iface++;
    return STEP_NEXT;
}

/* Sets a section's count of an interface, and the source's table by the difference. */
static void set_count(uint64_t *section, uint64_t *table, uint64_t now)
{
    ws_ifaces_count(table, now - *section);
    *section = now;
}

static enum step stats_block(struct ws_file *f, const uint8_t *p, const struct ws_pcapng_block *b)
{
    struct ws_pcapng_stats st;
    if (ws_pcapng_stats_decode(&st, &f->ng.section, p, b) != WS_FORMAT_COMPLETE)
        return stop(f, "interface statistics are invalid, block of length", b->len);
    if (st.iface >= f->ng.n_iface)
        return STEP_NEXT;
    struct ws_file_ng_iface *i = &f->ng.iface[st.iface];
    struct ws_source_iface *t = &f->ifaces.v[i->number];
    if (st.received != WS_PCAPNG_UNKNOWN)
        set_count(&i->received, &t->received, st.received);
    if (st.dropped != WS_PCAPNG_UNKNOWN) {
        set_count(&i->dropped, &t->dropped, st.dropped);
        i->drops_stated = true;
    }
    return STEP_NEXT;
}

/* A packet block; b->len bytes are in the file, at least the block header is at hand. */
static enum step packet_block(struct ws_file *f, const struct ws_pcapng_block *b,
                              struct ws_packet *out)
{
    const uint8_t *p = f->chunks.pos;
    size_t len = ws_chunks_unread(&f->chunks);
    struct ws_pcapng_packet k;
    uint32_t snaplen0 = f->ng.n_iface ? f->ng.iface[0].desc.snaplen : 0;
    enum ws_format_status st = ws_pcapng_packet_decode(&k, &f->ng.section, p, len, b, snaplen0);
    if (st == WS_FORMAT_INCOMPLETE)
        return more(f, ws_pcapng_packet_fixed(b->type));
    if (st == WS_FORMAT_INVALID)
        return stop(f, "captured length does not fit in its block of length", b->len);
    bool known = k.iface < f->ng.n_iface;
    struct ws_file_ng_iface *i = known ? &f->ng.iface[k.iface] : NULL;
    if (k.cap_len > (known ? i->cap_max : f->packet_bytes_max))
        return stop(f, "absurd record length", k.cap_len);
    /* options that do not fit in a chunk with their packet are passed over */
    bool whole = b->len <= f->chunks.chunk_bytes;
    uint64_t need = whole ? b->len : (uint64_t)k.data_off + k.cap_len;
    if (len < need)
        return more(f, need);
    if (whole && ws_pcapng_packet_options(&k, &f->ng.section, p, b) != WS_FORMAT_COMPLETE)
        return stop(f, "trailing length differs from the block's length", b->len);
    if (!known) {
        complain(f, "a packet is of an interface that was not described, number", k.iface);
        f->skip = b->len;
        return STEP_NEXT;
    }
    if (k.drop_count != WS_PCAPNG_UNKNOWN && !i->drops_stated)
        set_count(&i->dropped, &f->ifaces.v[i->number].dropped, i->dropped + k.drop_count);
    out->wire_len = WS_MAX(k.wire_len, k.cap_len);
    out->cap_len = k.cap_len;
    if (WS_UNLIKELY(i->desc.fcs_len) && out->wire_len >= i->desc.fcs_len) {
        out->wire_len -= i->desc.fcs_len;
        out->cap_len = WS_MIN(out->cap_len, out->wire_len);
    }
    out->link_type = i->desc.link_type;
    out->iface = i->number;
    ws_file_give(f, out, p + k.data_off, stamp_ns(i, &k));
    f->skip = b->len;
    return STEP_PACKET;
}

/* Blocks other than packets, wholly at hand. */
static enum step meta_block(struct ws_file *f, const struct ws_pcapng_block *b)
{
    const uint8_t *p = f->chunks.pos;
    enum step s = STEP_NEXT;
    switch (b->type) {
    case WS_PCAPNG_SHB:
        if (ws_pcapng_section_decode(&f->ng.section, p, b) != WS_FORMAT_COMPLETE)
            return stop(f, "section header is invalid, block of length", b->len);
        section_block(f);
        break;
    case WS_PCAPNG_IDB:
        s = iface_block(f, p, b);
        break;
    case WS_PCAPNG_ISB:
        s = stats_block(f, p, b);
        break;
    default: /* names, secrets, custom blocks: passed over */
        break;
    }
    if (s == STEP_NEXT)
        f->skip = b->len;
    return s;
}

/* The block at chunks.pos. Without out, a packet is left where it is. */
static enum step block(struct ws_file *f, struct ws_packet *out)
{
    struct ws_pcapng_block b;
    size_t len = ws_chunks_unread(&f->chunks);
    switch (ws_pcapng_block_decode(&b, &f->ng.section, f->chunks.pos, len)) {
    case WS_FORMAT_INCOMPLETE:
        return more(f, len < 8 ? 8 : 12);
    case WS_FORMAT_INVALID:
        return stop(f, "block length or byte order is invalid, block of type", b.type);
    case WS_FORMAT_COMPLETE:
        break;
    }
    bool packet = b.type == WS_PCAPNG_EPB || b.type == WS_PCAPNG_PB || b.type == WS_PCAPNG_SPB;
    if (packet)
        return out ? packet_block(f, &b, out) : STEP_PACKET;
    if (len >= b.len)
        return meta_block(f, &b);
    if (b.len <= f->chunks.chunk_bytes)
        return more(f, b.len);
    if (b.type == WS_PCAPNG_SHB || b.type == WS_PCAPNG_IDB)
        return stop(f, "absurd block length", b.len);
    f->skip = b.len;
    return STEP_NEXT;
}

/* Passes over f->skip bytes as far as they are at hand; whether all were. */
static bool skip(struct ws_file *f)
{
    size_t n = ws_chunks_unread(&f->chunks);
    n = f->skip < n ? (size_t)f->skip : n;
    f->chunks.pos += n;
    f->skip -= n;
    return f->skip == 0;
}

bool ws_file_ng_describe(struct ws_file *f)
{
    while (skip(f)) {
        enum step s = block(f, NULL);
        if (s == STEP_STOP)
            f->ng.stopped = true;
        if (s != STEP_NEXT)
            return s == STEP_MORE;
    }
    return true;
}

int ws_file_ng_parse(struct ws_file *f, struct ws_packet *pkt, unsigned max)
{
    unsigned n = 0;
    if (f->ng.stopped)
        return -1;
    while (n < max && skip(f)) {
        if (f->chunks.pos == f->chunks.end) {
            f->need = 8;
            break;
        }
        enum step s = block(f, &pkt[n]);
        if (s == STEP_MORE)
            break;
        if (s == STEP_STOP) {
            f->ng.stopped = true;
            return n ? (int)n : -1;
        }
        n += s == STEP_PACKET;
    }
    return (int)n;
}
