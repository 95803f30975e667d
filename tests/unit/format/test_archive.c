/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of archives: what goes in comes out, inputs end at a guard page, one bit is enough to refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/archive.h"
#include "guard.h"

#define PLACE UINT64_C(0x1234567890)

static const struct ws_archive_head data_head = {
    .type = WS_ARCHIVE_DATA, .flags = WS_ARCHIVE_DIR | WS_ARCHIVE_PIECE, .flow = 7, .order = UINT64_C(1) << 40, .prev = 99};

static const struct ws_key key = {
    .addr = {{10, 0, 0, 1}, {10, 0, 0, 2}},
    .port = {80, 40000},
    .tunnel_id = 5,
    .device = 6,
    .vlan = {7, 8},
    .ip_version = 4,
    .proto = 6,
    .tunnel_type = WS_TUNNEL_GRE,
    .tunnel_depth = 1,
    .mac = {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11, 12}},
};

static void test_crc32c(void **state)
{
    (void)state;
    /* RFC 3720 appendix B.4 */
    uint8_t buf[32];
    memset(buf, 0, sizeof(buf));
    assert_int_equal(~ws_crc32c(~0u, buf, 32), 0x8a9136aau);
    for (unsigned i = 0; i < 32; i++)
        buf[i] = (uint8_t)i;
    assert_int_equal(~ws_crc32c(~0u, buf, 32), 0x46dd794eu);
    for (size_t cut = 0; cut <= 32; cut++)
        assert_int_equal(~ws_crc32c(ws_crc32c(~0u, buf, cut), buf + cut, 32 - cut), 0x46dd794eu);
}

/* The CRC of a piece by those of what is before it and of what is up to its end; and the same for whole records in a window. */
static void test_scan(void **state)
{
    (void)state;
    static uint8_t buf[1024];
    static uint32_t prefix[sizeof(buf) / 4 + 1];
    uint8_t head[WS_ARCHIVE_HELD_LEN];
    for (unsigned i = 0; i < sizeof(buf); i++)
        buf[i] = (uint8_t)(i * 7 + (i >> 3));
    for (uint32_t a = 0; a < 300; a += 7)
        for (uint32_t n = 0; n < 700; n += 13) {
            uint32_t upto_a = ws_crc32c(0, buf, a), upto_b = ws_crc32c(0, buf, a + n);
            assert_int_equal(ws_crc32c_zeros(0x12345678 ^ upto_a, n) ^ upto_b, ws_crc32c(0x12345678, buf + a, n));
        }
    for (uint32_t len = 1; len < 200; len++) {
        struct ws_archive_head h = data_head, scanned, decoded;
        struct ws_archive_data d = {.off = 5, .ts_ns = 6, .seq = 7};
        h.bytes = WS_ARCHIVE_DATA_LEN + len;
        unsigned head_len = ws_archive_data_encode(head, &h, &d);
        const size_t at = 100;
        ws_archive_seal(head, head_len, buf + at + head_len, len, PLACE);
        memcpy(buf + at, head, head_len);
        ws_archive_scan_begin(prefix, buf, sizeof(buf));
        for (size_t i = 0; i + 4 < at + head_len + len; i += 4) {
            enum ws_format_status want = ws_archive_head_decode(buf + i, sizeof(buf) - i, PLACE, &decoded);
            assert_int_equal(ws_archive_scan(prefix, buf, sizeof(buf), i, PLACE, &scanned), want);
            assert_int_equal(want == WS_FORMAT_COMPLETE, i == at);
        }
        buf[at + head_len + len - 1] ^= 1;
        ws_archive_scan_begin(prefix, buf, sizeof(buf));
        assert_int_equal(ws_archive_scan(prefix, buf, sizeof(buf), at, PLACE, &scanned), WS_FORMAT_INVALID);
        for (size_t cut = at; cut < at + head_len + len; cut++)
            assert_int_equal(ws_archive_scan(prefix, buf, cut, at, PLACE, &scanned),
                             ws_archive_head_decode(buf + at, cut - at, PLACE, &decoded));
    }
}

static void test_header(void **state)
{
    (void)state;
    uint8_t buf[WS_ARCHIVE_HEADER_LEN];
    const struct ws_archive_header in = {.flags = 5, .worker = 3, .workers = 4, .segment = 17};
    struct ws_archive_header out;
    ws_archive_header_encode(buf, &in);
    assert_int_equal(ws_load_be32(buf), WS_ARCHIVE_MAGIC);
    for (size_t len = 0; len < sizeof(buf); len++) {
        struct guard g = guard_copy(buf, len);
        assert_int_equal(ws_archive_header_decode(g.data, len, &out), WS_FORMAT_INCOMPLETE);
        guard_free(&g);
    }
    assert_int_equal(ws_archive_header_decode(buf, sizeof(buf), &out), WS_FORMAT_COMPLETE);
    assert_memory_equal(&in, &out, sizeof(in));
    for (size_t bit = 0; bit < 8 * sizeof(buf); bit++) {
        buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(ws_archive_header_decode(buf, sizeof(buf), &out), WS_FORMAT_INVALID);
        buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* A sealed data record of n bytes. */
static size_t make_data(uint8_t *buf, bool held, uint32_t n)
{
    struct ws_archive_head h = data_head;
    struct ws_archive_data d = {.off = 1000, .ts_ns = -5, .ordinal = 12, .seq = 1, .ack = 2, .window = 3, .tcp_flags = 0x18};
    if (held)
        h.flags |= WS_ARCHIVE_HELD;
    h.bytes = (held ? WS_ARCHIVE_HELD_LEN : WS_ARCHIVE_DATA_LEN) + n;
    size_t len = ws_archive_data_encode(buf, &h, &d);
    for (uint32_t i = 0; i < n; i++)
        buf[len + i] = (uint8_t)(i * 7);
    ws_archive_seal(buf, len, buf + len, n, PLACE);
    assert_int_equal(len + n, h.bytes);
    return h.bytes;
}

static void test_data(void **state)
{
    (void)state;
    static uint8_t buf[WS_ARCHIVE_RECORD_MAX];
    for (unsigned held = 0; held < 2; held++) {
        for (uint32_t n = 1; n < 40; n += 13) {
            size_t len = make_data(buf, held, n);
            struct ws_archive_head h;
            struct ws_archive_data d;
            for (size_t cut = 0; cut < len; cut++) {
                struct guard g = guard_copy(buf, cut);
                assert_int_equal(ws_archive_head_decode(g.data, cut, PLACE, &h), WS_FORMAT_INCOMPLETE);
                assert_int_equal(h.bytes, cut < WS_ARCHIVE_HEAD_LEN ? 0 : len);
                guard_free(&g);
            }
            struct guard g = guard_copy(buf, len);
            assert_int_equal(ws_archive_head_decode(g.data, len, PLACE, &h), WS_FORMAT_COMPLETE);
            assert_true(ws_archive_data_decode(g.data, &h, &d));
            assert_int_equal(h.flow, 7);
            assert_int_equal(h.order, UINT64_C(1) << 40);
            assert_int_equal(h.prev, 99);
            assert_int_equal(d.ordinal, held ? 12 : UINT64_C(1) << 40);
            assert_int_equal(d.off, 1000);
            assert_int_equal(d.ts_ns, -5);
            assert_int_equal(d.window, 3);
            assert_int_equal(d.len, n);
            assert_memory_equal(d.bytes, buf + len - n, n);
            /* elsewhere it is none: bytes of traffic that look like a record */
            assert_int_equal(ws_archive_head_decode(g.data, len, PLACE + 4, &h), WS_FORMAT_INVALID);
            guard_free(&g);
        }
    }
}

static void test_one_bit(void **state)
{
    (void)state;
    uint8_t buf[256];
    struct ws_archive_head h;
    size_t len = make_data(buf, false, 20);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(ws_archive_head_decode(buf, len, PLACE, &h), WS_FORMAT_COMPLETE);
        buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(ws_archive_head_decode(buf, len, PLACE, &h), WS_FORMAT_COMPLETE);
}

static void test_open_and_gap(void **state)
{
    (void)state;
    uint8_t buf[WS_ARCHIVE_OPEN_LEN];
    struct ws_archive_head h = {.type = WS_ARCHIVE_OPEN, .bytes = WS_ARCHIVE_OPEN_LEN, .flow = 1};
    struct ws_archive_open in = {.key = key, .first_ordinal = {3, UINT64_MAX}, .first_ts_ns = {-1, 0}, .orig = 0, .seen = 1};
    struct ws_archive_open out;
    memset(in.mac, 0xab, sizeof(in.mac));
    ws_archive_open_encode(buf, &h, &in);
    ws_archive_seal(buf, sizeof(buf), NULL, 0, 64);
    assert_int_equal(ws_archive_head_decode(buf, sizeof(buf), 64, &h), WS_FORMAT_COMPLETE);
    memset(&out, 0, sizeof(out));
    assert_true(ws_archive_open_decode(buf, &h, &out));
    assert_memory_equal(&in.key, &out.key, sizeof(key));
    assert_memory_equal(in.first_ordinal, out.first_ordinal, 16);
    assert_memory_equal(in.first_ts_ns, out.first_ts_ns, 16);
    assert_memory_equal(in.mac, out.mac, 24);
    assert_int_equal(out.seen, 1);

    uint8_t gap_buf[WS_ARCHIVE_GAP_LEN];
    struct ws_archive_gap gap = {UINT64_C(1) << 35, 1460, 4}, again;
    h = (struct ws_archive_head){.type = WS_ARCHIVE_GAP, .bytes = WS_ARCHIVE_GAP_LEN, .flow = 1};
    ws_archive_gap_encode(gap_buf, &h, &gap);
    assert_true(ws_archive_gap_decode(gap_buf, &h, &again));
    assert_int_equal(again.off, gap.off);
    assert_int_equal(again.len, gap.len);
    assert_int_equal(again.cause, 4);
    gap.len = 0;
    ws_archive_gap_encode(gap_buf, &h, &gap);
    assert_false(ws_archive_gap_decode(gap_buf, &h, &again));
    gap = (struct ws_archive_gap){INT64_MAX, 2, 0};
    ws_archive_gap_encode(gap_buf, &h, &gap);
    assert_false(ws_archive_gap_decode(gap_buf, &h, &again));
}

static void test_flows_and_footer(void **state)
{
    (void)state;
    static uint8_t buf[WS_ARCHIVE_HEAD_LEN + 2 * WS_ARCHIVE_ENTRY_LEN];
    struct ws_archive_entry in = {.seen = 3, .orig = 1, .ending = true, .flow = 9, .order = 10, .at = 11, .last = 12}, out;
    struct ws_flow_record *r = &in.rec;
    r->key = key;
    for (unsigned d = 0; d < 2; d++) {
        r->first_ordinal[d] = d + 1;
        r->first_ts_ns[d] = d + 2;
        r->last_ts_ns[d] = d + 3;
        r->packets[d] = d + 4;
        r->bytes[d] = d + 5;
        r->ip_bytes[d] = d + 6;
        r->payload_bytes[d] = d + 7;
        r->stream_bytes[d] = d ? WS_RECORD_UNKNOWN : 8;
        r->gap_bytes[d] = d + 9;
        r->gaps[d] = d + 10;
    }
    r->icmp = 11;
    r->worker = UINT32_MAX;
    r->orig = 1;
    r->selected = 3;
    r->tcp_events = 12;
    strcpy(r->conn_state, "RSTOS0");
    strcpy(r->history, "ShADadFf");
    strcpy(r->end, "reused");
    memset(in.mac, 0x5c, sizeof(in.mac));
    struct ws_archive_head h = {.type = WS_ARCHIVE_FLOWS, .bytes = sizeof(buf), .flow = 2};
    ws_archive_head_encode(buf, &h);
    ws_archive_entry_encode(buf + WS_ARCHIVE_HEAD_LEN, &in);
    ws_archive_entry_encode(buf + WS_ARCHIVE_HEAD_LEN + WS_ARCHIVE_ENTRY_LEN, &in);
    ws_archive_seal(buf, WS_ARCHIVE_HEAD_LEN, buf + WS_ARCHIVE_HEAD_LEN, sizeof(buf) - WS_ARCHIVE_HEAD_LEN, 4);
    struct guard g = guard_copy(buf, sizeof(buf));
    assert_int_equal(ws_archive_head_decode(g.data, sizeof(buf), 4, &h), WS_FORMAT_COMPLETE);
    assert_true(ws_archive_entry_decode(g.data, &h, 1, &out));
    assert_memory_equal(&in, &out, sizeof(in));
    assert_false(ws_archive_entry_decode(g.data, &h, 2, &out));
    guard_free(&g);
    static const char *const bad[] = {"S\x1b[1m", "a\",1", "ab\ncd", "\xc3\xa4", "1234567"};
    for (size_t i = 0; i < WS_ARRAY_SIZE(bad); i++) {
        struct ws_archive_entry forged = in;
        strcpy(i % 2 ? forged.rec.history : forged.rec.conn_state, bad[i]);
        ws_archive_entry_encode(buf + WS_ARCHIVE_HEAD_LEN, &forged);
        assert_int_equal(ws_archive_entry_decode(buf, &h, 0, &out), i == 4);
    }
    h.flow = 3; /* a count that the length contradicts */
    ws_archive_head_encode(buf, &h);
    assert_int_equal(ws_archive_head_decode(buf, sizeof(buf), 4, &h), WS_FORMAT_INVALID);

    uint8_t foot[WS_ARCHIVE_FOOTER_LEN + 16];
    struct ws_archive_footer f = {true, 5, 6, -7, 8, 2, NULL}, got;
    h = (struct ws_archive_head){.type = WS_ARCHIVE_FOOTER, .bytes = sizeof(foot)};
    ws_archive_footer_encode(foot, &h, &f);
    assert_true(ws_archive_footer_decode(foot, &h, &got));
    assert_true(got.last && got.flows == 5 && got.data_bytes == 6 && got.first_ts_ns == -7 && got.last_ts_ns == 8);
    assert_ptr_equal(got.list, foot + WS_ARCHIVE_FOOTER_LEN);
    ws_store_le32(foot + 36, 3);
    assert_false(ws_archive_footer_decode(foot, &h, &got));
    uint8_t tail[WS_ARCHIVE_TAIL_LEN];
    ws_archive_tail_encode(tail, 777);
    assert_int_equal(ws_archive_tail_decode(tail), 777);
    tail[15] ^= 1;
    assert_int_equal(ws_archive_tail_decode(tail), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_scan),       cmocka_unit_test(test_header),           cmocka_unit_test(test_data),
        cmocka_unit_test(test_one_bit),      cmocka_unit_test(test_open_and_gap),     cmocka_unit_test(test_flows_and_footer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
