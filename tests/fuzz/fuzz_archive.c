/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a segment of a stream archive: records are found within the input, what they hold too, and what is
 * encoded again is the same. Checksums of the input are made right first, or nothing would be decoded; byte 0 says
 * whether. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* Looks at everything a record says. */
static void look(const uint8_t *p, const struct ws_archive_head *h)
{
    struct ws_archive_data d;
    struct ws_archive_gap g;
    struct ws_archive_open o;
    struct ws_archive_entry e;
    struct ws_archive_footer f;
    uint8_t sum = 0, again[WS_ARCHIVE_ENTRY_LEN];

    switch (h->type) {
    case WS_ARCHIVE_DATA:
        if (ws_archive_data_decode(p, h, &d)) {
            require(d.bytes >= p && d.bytes + d.len == p + h->bytes);
            for (uint32_t i = 0; i < d.len; i++)
                sum = (uint8_t)(sum + d.bytes[i]);
        }
        break;
    case WS_ARCHIVE_GAP:
        require(!ws_archive_gap_decode(p, h, &g) || g.off + g.len >= g.len);
        break;
    case WS_ARCHIVE_OPEN:
        if (ws_archive_open_decode(p, h, &o)) {
            require(o.orig <= 1 && o.seen <= 3);
            ws_archive_open_encode(again, h, &o);
            require(memcmp(again + WS_ARCHIVE_HEAD_LEN, p + WS_ARCHIVE_HEAD_LEN, 122) == 0);
        }
        break;
    case WS_ARCHIVE_FLOWS:
        for (uint32_t i = 0; i < h->flow; i++) {
            if (!ws_archive_entry_decode(p, h, i, &e))
                continue;
            require(strlen(e.rec.conn_state) < 8 && strlen(e.rec.history) < 24 && strlen(e.rec.end) < 16);
            ws_archive_entry_encode(again, &e);
            require(memcmp(again, p + WS_ARCHIVE_HEAD_LEN + i * WS_ARCHIVE_ENTRY_LEN, 224) == 0);
        }
        break;
    case WS_ARCHIVE_FOOTER:
        if (ws_archive_footer_decode(p, h, &f))
            for (uint32_t i = 0; i < 8 * f.batches; i++)
                sum = (uint8_t)(sum + f.list[i]);
        break;
    default:
        require(h->type == WS_ARCHIVE_RESTART);
    }
    (void)sum;
}

/* Looking for records in a window says of each place what decoding there says. */
static void scan(const uint8_t *p, size_t n)
{
    struct ws_archive_head h, scanned;
    uint32_t *prefix = malloc((n / 4 + 1) * sizeof(*prefix));
    require(prefix != NULL);
    ws_archive_scan_begin(prefix, p, n);
    for (size_t at = 0; at < n; at += 4) {
        require(ws_archive_head_decode(p + at, n - at, at, &h) == ws_archive_scan(prefix, p, n, at, at, &scanned));
        require(h.bytes == scanned.bytes);
    }
    free(prefix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ws_archive_header header;
    struct ws_archive_head h;
    if (len < 1)
        return 0;
    bool seal = data[0] & 1;
    size_t n = len - 1;
    uint8_t *p = malloc(n ? n : 1);
    require(p != NULL);
    memcpy(p, data + 1, n);
    ws_archive_header_decode(p, n, &header);
    if (n >= WS_ARCHIVE_TAIL_LEN)
        ws_archive_tail_decode(p + n - WS_ARCHIVE_TAIL_LEN);
    for (size_t at = 0; at < n;) {
        if (seal && n - at >= WS_ARCHIVE_HEAD_LEN && ws_archive_head_peek(p + at, &h) && h.bytes <= n - at)
            ws_archive_seal(p + at, WS_ARCHIVE_HEAD_LEN, p + at + WS_ARCHIVE_HEAD_LEN, h.bytes - WS_ARCHIVE_HEAD_LEN, at);
        enum ws_format_status st = ws_archive_head_decode(p + at, n - at, at, &h);
        require(!seal || st != WS_FORMAT_COMPLETE || h.bytes <= n - at);
        if (st == WS_FORMAT_COMPLETE) {
            look(p + at, &h);
            at += h.bytes;
        } else {
            at += 4;
        }
    }
    scan(p, n);
    free(p);
    return 0;
}
