/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoding and decoding of stream archives. */
#include "format/archive.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#define VERSION      1u
#define RECORD_MAGIC 0xd35au
#define CRC_OFF      8u
#define HELD_OFF     60u

static const uint8_t header_magic[8] = {'W', 'S', 'A', 0xd3, '\r', '\n', 0x1a, '\n'};
static const uint8_t tail_magic[8] = {'W', 'S', 'A', 'E', 'N', 'D', '\r', '\n'};

/* By the code on disk. */
static const char *const ends[] = {"end_of_input", "idle", "reused", "evicted", "finished", "unfinished"};

static void put_u64(uint8_t **p, uint64_t v)
{
    ws_store_le64(*p, v);
    *p += 8;
}

static void put_pair(uint8_t **p, const uint64_t v[2])
{
    put_u64(p, v[0]);
    put_u64(p, v[1]);
}

static void put_times(uint8_t **p, const int64_t v[2])
{
    put_u64(p, (uint64_t)v[0]);
    put_u64(p, (uint64_t)v[1]);
}

static void put_bytes(uint8_t **p, const void *src, size_t len)
{
    memcpy(*p, src, len);
    *p += len;
}

static uint64_t get_u64(const uint8_t **p)
{
    *p += 8;
    return ws_load_le64(*p - 8);
}

static void get_pair(const uint8_t **p, uint64_t v[2])
{
    v[0] = get_u64(p);
    v[1] = get_u64(p);
}

static void get_times(const uint8_t **p, int64_t v[2])
{
    v[0] = (int64_t)get_u64(p);
    v[1] = (int64_t)get_u64(p);
}

static void get_bytes(const uint8_t **p, void *dst, size_t len)
{
    memcpy(dst, *p, len);
    *p += len;
}

/* --- segments --- */

static uint32_t finished(uint32_t crc)
{
    return ~crc;
}

void ws_archive_header_encode(uint8_t buf[WS_ARCHIVE_HEADER_LEN], const struct ws_archive_header *h)
{
    memset(buf, 0, WS_ARCHIVE_HEADER_LEN);
    memcpy(buf, header_magic, sizeof(header_magic));
    ws_store_le16(buf + 8, VERSION);
    ws_store_le16(buf + 10, WS_ARCHIVE_HEADER_LEN);
    ws_store_le32(buf + 12, h->flags);
    ws_store_le32(buf + 16, h->worker);
    ws_store_le32(buf + 20, h->workers);
    ws_store_le32(buf + 24, h->segment);
    ws_store_le32(buf + 60, finished(ws_crc32c(~0u, buf, 60)));
}

enum ws_format_status ws_archive_header_decode(const uint8_t *p, size_t len, struct ws_archive_header *h)
{
    if (memcmp(p, header_magic, WS_MIN(len, sizeof(header_magic))) != 0)
        return WS_FORMAT_INVALID;
    if (len < WS_ARCHIVE_HEADER_LEN)
        return WS_FORMAT_INCOMPLETE;
    if (ws_load_le16(p + 8) != VERSION || ws_load_le16(p + 10) != WS_ARCHIVE_HEADER_LEN ||
        ws_load_le32(p + 60) != finished(ws_crc32c(~0u, p, 60)))
        return WS_FORMAT_INVALID;
    h->flags = ws_load_le32(p + 12);
    h->worker = ws_load_le32(p + 16);
    h->workers = ws_load_le32(p + 20);
    h->segment = ws_load_le32(p + 24);
    return h->worker < h->workers && h->segment < WS_ARCHIVE_SEGMENTS_MAX ? WS_FORMAT_COMPLETE : WS_FORMAT_INVALID;
}

void ws_archive_tail_encode(uint8_t buf[WS_ARCHIVE_TAIL_LEN], uint64_t footer_off)
{
    ws_store_le64(buf, footer_off);
    memcpy(buf + 8, tail_magic, sizeof(tail_magic));
}

uint64_t ws_archive_tail_decode(const uint8_t p[WS_ARCHIVE_TAIL_LEN])
{
    return memcmp(p + 8, tail_magic, sizeof(tail_magic)) == 0 ? ws_load_le64(p) : 0;
}

/* --- what every record begins with --- */

void ws_archive_head_encode(uint8_t buf[WS_ARCHIVE_HEAD_LEN], const struct ws_archive_head *h)
{
    ws_store_le16(buf, RECORD_MAGIC);
    buf[2] = h->type;
    buf[3] = h->flags;
    ws_store_le32(buf + 4, h->bytes);
    ws_store_le32(buf + CRC_OFF, 0);
    ws_store_le32(buf + 12, h->flow);
    ws_store_le64(buf + 16, h->order);
    ws_store_le64(buf + 24, h->prev);
}

/* Of a record's offset and first 16 bytes, of which the checksum counts as zero. */
static uint32_t checksum_begin(const uint8_t *head, uint64_t off)
{
    uint8_t first[24];
    ws_store_le64(first, off);
    memcpy(first + 8, head, CRC_OFF);
    ws_store_le32(first + 16, 0);
    memcpy(first + 20, head + 12, 4);
    return ws_crc32c(~0u, first, sizeof(first));
}

static uint32_t checksum(const uint8_t *head, size_t head_len, const void *body, size_t body_len, uint64_t off)
{
    uint32_t crc = ws_crc32c(checksum_begin(head, off), head + 16, head_len - 16);
    return finished(ws_crc32c(crc, body, body_len));
}

void ws_archive_seal(uint8_t *head, size_t head_len, const void *body, size_t body_len, uint64_t off)
{
    ws_store_le32(head + CRC_OFF, checksum(head, head_len, body, body_len, off));
}

static uint32_t least_bytes(uint8_t type, uint8_t flags)
{
    switch (type) {
    case WS_ARCHIVE_DATA:
        return flags & WS_ARCHIVE_HELD ? WS_ARCHIVE_HELD_LEN : WS_ARCHIVE_DATA_LEN;
    case WS_ARCHIVE_GAP:
        return WS_ARCHIVE_GAP_LEN;
    case WS_ARCHIVE_OPEN:
        return WS_ARCHIVE_OPEN_LEN;
    case WS_ARCHIVE_RESTART:
        return WS_ARCHIVE_HEAD_LEN;
    case WS_ARCHIVE_FLOWS:
        return WS_ARCHIVE_HEAD_LEN + WS_ARCHIVE_ENTRY_LEN;
    case WS_ARCHIVE_FOOTER:
        return WS_ARCHIVE_FOOTER_LEN;
    default:
        return UINT32_MAX;
    }
}

/* Whether the length is one that the type can have. */
static bool fits(const struct ws_archive_head *h)
{
    uint32_t least = least_bytes(h->type, h->flags);
    if (h->bytes < least || h->bytes > WS_ARCHIVE_RECORD_MAX)
        return false;
    switch (h->type) {
    case WS_ARCHIVE_DATA:
        return h->flow && h->bytes - least <= WS_ARCHIVE_PIECE_MAX;
    case WS_ARCHIVE_FLOWS:
        return h->flow && h->flow <= WS_ARCHIVE_BATCH_MAX &&
               h->bytes == WS_ARCHIVE_HEAD_LEN + h->flow * WS_ARCHIVE_ENTRY_LEN;
    case WS_ARCHIVE_FOOTER:
        return (h->bytes - least) % 8 == 0;
    default:
        return h->flow && h->bytes == least;
    }
}

bool ws_archive_head_peek(const uint8_t p[WS_ARCHIVE_HEAD_LEN], struct ws_archive_head *h)
{
    if (ws_load_le16(p) != RECORD_MAGIC)
        return false;
    h->type = p[2];
    h->flags = p[3];
    h->bytes = ws_load_le32(p + 4);
    h->flow = ws_load_le32(p + 12);
    h->order = ws_load_le64(p + 16);
    h->prev = ws_load_le64(p + 24);
    return fits(h);
}

enum ws_format_status ws_archive_head_decode(const uint8_t *p, size_t len, uint64_t off, struct ws_archive_head *h)
{
    h->bytes = 0;
    if (len < WS_ARCHIVE_HEAD_LEN)
        return len >= 2 && ws_load_le16(p) != RECORD_MAGIC ? WS_FORMAT_INVALID : WS_FORMAT_INCOMPLETE;
    if (!ws_archive_head_peek(p, h))
        return WS_FORMAT_INVALID;
    if (len < h->bytes)
        return WS_FORMAT_INCOMPLETE;
    uint32_t crc = checksum(p, WS_ARCHIVE_HEAD_LEN, p + WS_ARCHIVE_HEAD_LEN, h->bytes - WS_ARCHIVE_HEAD_LEN, off);
    return crc == ws_load_le32(p + CRC_OFF) ? WS_FORMAT_COMPLETE : WS_FORMAT_INVALID;
}

void ws_archive_scan_begin(uint32_t *prefix, const uint8_t *p, size_t len)
{
    uint32_t crc = 0;
    prefix[0] = 0;
    for (size_t i = 0; i < len / 4; i++)
        prefix[i + 1] = crc = ws_crc32c(crc, p + 4 * i, 4);
}

enum ws_format_status ws_archive_scan(const uint32_t *prefix, const uint8_t *p, size_t len, size_t at, uint64_t off,
                                      struct ws_archive_head *h)
{
    const uint8_t *r = p + at;
    size_t left = len - at;
    h->bytes = 0;
    if (left < WS_ARCHIVE_HEAD_LEN)
        return left >= 2 && ws_load_le16(r) != RECORD_MAGIC ? WS_FORMAT_INVALID : WS_FORMAT_INCOMPLETE;
    if (WS_LIKELY(ws_load_le16(r) != RECORD_MAGIC) || !ws_archive_head_peek(r, h))
        return WS_FORMAT_INVALID;
    if (left < h->bytes)
        return WS_FORMAT_INCOMPLETE;
    uint32_t words = (h->bytes - 16) / 4;
    size_t from = at / 4 + 4;
    uint32_t crc = ws_crc32c_zeros(checksum_begin(r, off) ^ prefix[from], 4 * words) ^ prefix[from + words];
    crc = ws_crc32c(crc, r + 16 + 4 * (size_t)words, (h->bytes - 16) % 4);
    return finished(crc) == ws_load_le32(r + CRC_OFF) ? WS_FORMAT_COMPLETE : WS_FORMAT_INVALID;
}

/* --- data, gaps --- */

unsigned ws_archive_data_encode(uint8_t buf[WS_ARCHIVE_HELD_LEN], const struct ws_archive_head *h,
                                const struct ws_archive_data *d)
{
    ws_archive_head_encode(buf, h);
    ws_store_le64(buf + 32, d->off);
    ws_store_le64(buf + 40, (uint64_t)d->ts_ns);
    ws_store_le32(buf + 48, d->seq);
    ws_store_le32(buf + 52, d->ack);
    ws_store_le16(buf + 56, d->window);
    buf[58] = d->tcp_flags;
    buf[59] = 0;
    if (!(h->flags & WS_ARCHIVE_HELD))
        return WS_ARCHIVE_DATA_LEN;
    ws_store_le64(buf + HELD_OFF, d->ordinal);
    return WS_ARCHIVE_HELD_LEN;
}

bool ws_archive_data_decode(const uint8_t *p, const struct ws_archive_head *h, struct ws_archive_data *d)
{
    uint32_t before = least_bytes(WS_ARCHIVE_DATA, h->flags);
    d->off = ws_load_le64(p + 32);
    d->ts_ns = (int64_t)ws_load_le64(p + 40);
    d->seq = ws_load_le32(p + 48);
    d->ack = ws_load_le32(p + 52);
    d->window = ws_load_le16(p + 56);
    d->tcp_flags = p[58];
    d->ordinal = h->flags & WS_ARCHIVE_HELD ? ws_load_le64(p + HELD_OFF) : h->order;
    d->bytes = p + before;
    d->len = h->bytes - before;
    return h->type == WS_ARCHIVE_DATA && d->len && d->off <= (uint64_t)INT64_MAX - d->len;
}

void ws_archive_gap_encode(uint8_t buf[WS_ARCHIVE_GAP_LEN], const struct ws_archive_head *h,
                           const struct ws_archive_gap *g)
{
    ws_archive_head_encode(buf, h);
    ws_store_le64(buf + 32, g->off);
    ws_store_le64(buf + 40, g->len);
    ws_store_le32(buf + 48, g->cause);
}

bool ws_archive_gap_decode(const uint8_t *p, const struct ws_archive_head *h, struct ws_archive_gap *g)
{
    g->off = ws_load_le64(p + 32);
    g->len = ws_load_le64(p + 40);
    g->cause = p[48];
    return h->type == WS_ARCHIVE_GAP && g->len && g->off <= INT64_MAX && g->len <= (uint64_t)INT64_MAX - g->off;
}

/* --- flows --- */

/* 64 bytes. */
static void put_key(uint8_t **p, const struct ws_key *k)
{
    put_bytes(p, k->addr, 32);
    ws_store_le16(*p, k->port[0]);
    ws_store_le16(*p + 2, k->port[1]);
    ws_store_le32(*p + 4, k->tunnel_id);
    ws_store_le32(*p + 8, k->device);
    ws_store_le16(*p + 12, k->vlan[0]);
    ws_store_le16(*p + 14, k->vlan[1]);
    (*p)[16] = k->ip_version;
    (*p)[17] = k->proto;
    (*p)[18] = k->tunnel_type;
    (*p)[19] = k->tunnel_depth;
    *p += 20;
    put_bytes(p, k->mac, 12);
}

static bool get_key(const uint8_t **p, struct ws_key *k)
{
    get_bytes(p, k->addr, 32);
    k->port[0] = ws_load_le16(*p);
    k->port[1] = ws_load_le16(*p + 2);
    k->tunnel_id = ws_load_le32(*p + 4);
    k->device = ws_load_le32(*p + 8);
    k->vlan[0] = ws_load_le16(*p + 12);
    k->vlan[1] = ws_load_le16(*p + 14);
    k->ip_version = (*p)[16];
    k->proto = (*p)[17];
    k->tunnel_type = (*p)[18];
    k->tunnel_depth = (*p)[19];
    *p += 20;
    get_bytes(p, k->mac, 12);
    return k->ip_version == 4 || k->ip_version == 6;
}

void ws_archive_open_encode(uint8_t buf[WS_ARCHIVE_OPEN_LEN], const struct ws_archive_head *h,
                            const struct ws_archive_open *o)
{
    uint8_t *p = buf + WS_ARCHIVE_HEAD_LEN;
    ws_archive_head_encode(buf, h);
    put_key(&p, &o->key);
    put_pair(&p, o->first_ordinal);
    put_times(&p, o->first_ts_ns);
    put_bytes(&p, o->mac, 24);
    ws_store_le32(p, (uint32_t)o->orig | (uint32_t)o->seen << 8);
}

bool ws_archive_open_decode(const uint8_t *p, const struct ws_archive_head *h, struct ws_archive_open *o)
{
    p += WS_ARCHIVE_HEAD_LEN;
    if (!get_key(&p, &o->key))
        return false;
    get_pair(&p, o->first_ordinal);
    get_times(&p, o->first_ts_ns);
    get_bytes(&p, o->mac, 24);
    o->orig = p[0];
    o->seen = p[1];
    return h->type == WS_ARCHIVE_OPEN && o->orig <= 1 && o->seen && o->seen <= 3;
}

static uint8_t end_code(const char *end)
{
    uint8_t i = 0;
    while (i < WS_ARRAY_SIZE(ends) && strcmp(ends[i], end) != 0)
        i++;
    return i;
}

void ws_archive_entry_encode(uint8_t buf[WS_ARCHIVE_ENTRY_LEN], const struct ws_archive_entry *e)
{
    const struct ws_flow_record *r = &e->rec;
    uint8_t *p = buf;
    put_key(&p, &r->key);
    put_pair(&p, r->first_ordinal);
    put_times(&p, r->first_ts_ns);
    put_times(&p, r->last_ts_ns);
    put_pair(&p, r->packets);
    put_pair(&p, r->bytes);
    put_pair(&p, r->ip_bytes);
    put_pair(&p, r->payload_bytes);
    put_pair(&p, r->stream_bytes);
    put_pair(&p, r->gap_bytes);
    ws_store_le32(p, r->gaps[0]);
    ws_store_le32(p + 4, r->gaps[1]);
    ws_store_le32(p + 8, r->icmp);
    ws_store_le32(p + 12, r->worker);
    p[16] = r->orig;
    p[17] = r->selected;
    p[18] = r->tcp_events;
    p[19] = end_code(r->end);
    p += 20;
    put_bytes(&p, r->conn_state, 8);
    put_bytes(&p, r->history, 24);
    put_bytes(&p, e->mac, 24);
    ws_store_le32(p, (uint32_t)e->seen | (uint32_t)e->ending << 8 | (uint32_t)e->orig << 16);
    ws_store_le32(p + 4, e->flow);
    ws_store_le32(p + 8, 0);
    p += 12;
    put_u64(&p, e->order);
    put_u64(&p, e->at);
    put_u64(&p, e->last);
}

/* Letters and digits, ^, then zeros to the end: what is printed must not be able to drive a terminal. */
static bool is_plain(const char *text, size_t room)
{
    size_t n = strnlen(text, room);
    for (size_t i = 0; i < n; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'Z') ||
              (text[i] >= 'a' && text[i] <= 'z') || text[i] == '^'))
            return false;
    return n < room;
}

bool ws_archive_entry_decode(const uint8_t *p, const struct ws_archive_head *h, uint32_t i, struct ws_archive_entry *e)
{
    struct ws_flow_record *r = &e->rec;
    if (h->type != WS_ARCHIVE_FLOWS || i >= h->flow)
        return false;
    p += WS_ARCHIVE_HEAD_LEN + i * WS_ARCHIVE_ENTRY_LEN;
    memset(e, 0, sizeof(*e));
    if (!get_key(&p, &r->key))
        return false;
    get_pair(&p, r->first_ordinal);
    get_times(&p, r->first_ts_ns);
    get_times(&p, r->last_ts_ns);
    get_pair(&p, r->packets);
    get_pair(&p, r->bytes);
    get_pair(&p, r->ip_bytes);
    get_pair(&p, r->payload_bytes);
    get_pair(&p, r->stream_bytes);
    get_pair(&p, r->gap_bytes);
    r->gaps[0] = ws_load_le32(p);
    r->gaps[1] = ws_load_le32(p + 4);
    r->icmp = ws_load_le32(p + 8);
    r->worker = ws_load_le32(p + 12);
    r->orig = p[16];
    r->selected = p[17];
    r->tcp_events = p[18];
    uint8_t end = p[19];
    p += 20;
    get_bytes(&p, r->conn_state, 8);
    get_bytes(&p, r->history, 24);
    get_bytes(&p, e->mac, 24);
    e->seen = p[0];
    e->ending = p[1];
    e->orig = p[2];
    e->flow = ws_load_le32(p + 4);
    p += 12;
    e->order = get_u64(&p);
    e->at = get_u64(&p);
    e->last = get_u64(&p);
    if (end >= WS_ARRAY_SIZE(ends) || r->orig > 1 || e->orig > 1 || r->selected > 3 || e->seen > 3 ||
        !is_plain(r->conn_state, 8) || !is_plain(r->history, 24))
        return false;
    memcpy(r->end, ends[end], strlen(ends[end]) + 1);
    return true;
}

/* --- footer --- */

void ws_archive_footer_encode(uint8_t buf[WS_ARCHIVE_FOOTER_LEN], const struct ws_archive_head *h,
                              const struct ws_archive_footer *f)
{
    ws_archive_head_encode(buf, h);
    ws_store_le32(buf + 32, f->last);
    ws_store_le32(buf + 36, f->batches);
    ws_store_le64(buf + 40, f->flows);
    ws_store_le64(buf + 48, f->data_bytes);
    ws_store_le64(buf + 56, (uint64_t)f->first_ts_ns);
    ws_store_le64(buf + 64, (uint64_t)f->last_ts_ns);
}

bool ws_archive_footer_decode(const uint8_t *p, const struct ws_archive_head *h, struct ws_archive_footer *f)
{
    f->last = p[32];
    f->batches = ws_load_le32(p + 36);
    f->flows = ws_load_le64(p + 40);
    f->data_bytes = ws_load_le64(p + 48);
    f->first_ts_ns = (int64_t)ws_load_le64(p + 56);
    f->last_ts_ns = (int64_t)ws_load_le64(p + 64);
    f->list = p + WS_ARCHIVE_FOOTER_LEN;
    return h->type == WS_ARCHIVE_FOOTER && f->batches <= WS_ARCHIVE_BATCHES_MAX &&
           h->bytes == WS_ARCHIVE_FOOTER_LEN + f->batches * 8;
}
