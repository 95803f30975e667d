/* SPDX-License-Identifier: BSD-3-Clause */
/* Classic pcap headers and records: every variant by hand, every truncation at a guard page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/pcap.h"
#include "guard.h"
#include "unit/source/build.h"

static struct ws_pcap_file header(struct build *b)
{
    struct ws_pcap_file f;
    assert_int_equal(ws_pcap_header_decode(&f, b->p, b->len), WS_FORMAT_COMPLETE);
    return f;
}

static enum ws_format_status record(const struct ws_pcap_file *f, const uint8_t *p, size_t len,
                                    struct ws_pcap_record *r)
{
    return ws_pcap_record_decode(f, f->big_endian, p, len, 1000, r);
}

static void headers_of_each_magic_and_byte_order(void **state)
{
    static const struct {
        uint32_t magic;
        bool ns;
        uint8_t record_len;
    } rows[] = {{0xa1b2c3d4, false, 16}, {0xa1b23c4d, true, 16}, {0xa1b2cd34, false, 24}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (int be = 0; be < 2; be++) {
            struct build b = {.be = be};
            put_pcap_header(&b, rows[i].magic, 65535, 113);
            assert_true(ws_pcap_is_magic(b.p));
            struct ws_pcap_file f = header(&b);
            assert_int_equal(f.big_endian, be);
            assert_int_equal(f.ns, rows[i].ns);
            assert_int_equal(f.record_len, rows[i].record_len);
            assert_int_equal(f.frac_ns, rows[i].ns ? 1 : 1000);
            assert_int_equal(f.snaplen, 65535);
            assert_int_equal(f.link_type, 113);
            assert_int_equal(f.fcs_len, 0);
            assert_false(f.odd);
            build_free(&b);
        }
    }
}

static void header_truncated_anywhere(void **state)
{
    struct build b = {0};
    (void)state;
    put_pcap_header(&b, 0xa1b2c3d4, 0, 1);
    for (size_t len = 0; len < b.len; len++) {
        struct guard g = guard_copy(b.p, len);
        struct ws_pcap_file f;
        assert_int_equal(ws_pcap_header_decode(&f, g.data, len), WS_FORMAT_INCOMPLETE);
        guard_free(&g);
    }
    build_free(&b);
}

static void foreign_magic_and_versions(void **state)
{
    struct ws_pcap_file f;
    struct build b = {0};
    (void)state;
    assert_int_equal(ws_pcap_header_decode(&f, (const uint8_t *)"GET / HTTP", 10),
                     WS_FORMAT_INVALID);
    put_pcap_header(&b, 0xa1b2c3d4, 65535, 1);
    b.p[4] = 3; /* major version */
    assert_int_equal(ws_pcap_header_decode(&f, b.p, b.len), WS_FORMAT_INVALID);
    ws_store_le16(b.p + 4, 543);
    ws_store_le16(b.p + 6, 0);
    assert_int_equal(ws_pcap_header_decode(&f, b.p, b.len), WS_FORMAT_COMPLETE);
    assert_int_equal(f.lengths, WS_PCAP_LENGTHS_EXCHANGED);
    build_free(&b);
}

static void link_type_field_bits(void **state)
{
    struct build b = {0};
    (void)state;
    put_pcap_header(&b, 0xa1b2c3d4, 65535, 0x24000001); /* FCS present, 2 words of 16 bits */
    struct ws_pcap_file f = header(&b);
    assert_int_equal(f.link_type, 1);
    assert_int_equal(f.fcs_len, 4);
    build_free(&b);
    put_pcap_header(&b, 0xa1b2c3d4, 65535, 0x20000001); /* a length without the presence bit */
    f = header(&b);
    assert_int_equal(f.fcs_len, 0);
    build_free(&b);
    put_pcap_header(&b, 0xa1b2c3d4, 65535, 0x02240007); /* wider than 16 bits */
    f = header(&b);
    assert_int_equal(f.link_type, UINT16_MAX);
    build_free(&b);
}

static void stamps_are_exact(void **state)
{
    (void)state;
    for (int be = 0; be < 2; be++) {
        for (int ns = 0; ns < 2; ns++) {
            struct build b = {.be = be};
            struct ws_pcap_record r;
            put_pcap_header(&b, ns ? 0xa1b23c4d : 0xa1b2c3d4, 65535, 1);
            put_pcap_record(&b, 0xf0000001, ns ? 999999999 : 999999, 2, 60);
            put_bytes(&b, "ab", 2);
            struct ws_pcap_file f = header(&b);
            assert_int_equal(record(&f, b.p + 24, b.len - 24, &r), WS_FORMAT_COMPLETE);
            assert_true(r.ts_ns == INT64_C(0xf0000001) * 1000000000 + (ns ? 999999999 : 999999000));
            assert_int_equal(r.cap_len, 2);
            assert_int_equal(r.wire_len, 60);
            assert_int_equal(r.len, 18);
            build_free(&b);
        }
    }
}

static void record_truncated_anywhere(void **state)
{
    (void)state;
    for (int modified = 0; modified < 2; modified++) {
        struct build b = {0};
        put_pcap_header(&b, modified ? 0xa1b2cd34 : 0xa1b2c3d4, 65535, 1);
        struct ws_pcap_file f = header(&b);
        put_pcap_record(&b, 1, 2, 5, 5);
        if (modified)
            put_bytes(&b, "\0\0\0\0\0\0\0\0", 8);
        put_bytes(&b, "hello", 5);
        size_t head = modified ? 24 : 16;
        for (size_t len = 0; len < head + 5; len++) {
            struct guard g = guard_copy(b.p + 24, len);
            struct ws_pcap_record r;
            assert_int_equal(record(&f, g.data, len, &r), WS_FORMAT_INCOMPLETE);
            assert_int_equal(r.len, len < head ? head : head + 5);
            guard_free(&g);
        }
        build_free(&b);
    }
}

static void absurd_lengths_are_invalid_even_when_cut(void **state)
{
    struct build b = {0};
    struct ws_pcap_record r;
    (void)state;
    put_pcap_header(&b, 0xa1b2c3d4, 65535, 1);
    struct ws_pcap_file f = header(&b);
    put_pcap_record(&b, 1, 2, UINT32_MAX, 60);
    assert_int_equal(record(&f, b.p + 24, 16, &r), WS_FORMAT_INVALID);
    assert_true(r.cap_len == UINT32_MAX);
    ws_store_le32(b.p + 24 + 8, 1001);
    assert_int_equal(record(&f, b.p + 24, 16, &r), WS_FORMAT_INVALID);
    ws_store_le32(b.p + 24 + 8, 1000);
    assert_int_equal(record(&f, b.p + 24, 16, &r), WS_FORMAT_INCOMPLETE);
    build_free(&b);
}

static void lengths_exchanged_in_old_versions(void **state)
{
    static const struct {
        uint16_t minor;
        uint32_t first, second, cap, wire;
    } rows[] = {
        {2, 60, 4, 4, 60}, {3, 60, 4, 4, 60}, {3, 4, 60, 4, 60}, {4, 4, 60, 4, 60}, {4, 4, 1, 4, 4},
    };
    (void)state;
    for (size_t i = 0; i < WS_ARRAY_SIZE(rows); i++) {
        struct build b = {0};
        struct ws_pcap_record r;
        put_pcap_header_v(&b, 0xa1b2c3d4, rows[i].minor, 65535, 1);
        put_pcap_record(&b, 1, 2, rows[i].first, rows[i].second);
        put_bytes(&b, "abcd", 4);
        struct ws_pcap_file f = header(&b);
        assert_int_equal(record(&f, b.p + 24, b.len - 24, &r), WS_FORMAT_COMPLETE);
        assert_int_equal(r.cap_len, rows[i].cap);
        assert_int_equal(r.wire_len, rows[i].wire);
        assert_int_equal(r.len, 20);
        build_free(&b);
    }
}

static void fcs_is_taken_off(void **state)
{
    static const struct {
        uint32_t cap, wire, cap_left, wire_left;
    } rows[] = {{10, 10, 6, 6}, {8, 10, 6, 6}, {5, 10, 5, 6}, {2, 2, 2, 2}, {4, 4, 0, 0}};
    (void)state;
    for (size_t i = 0; i < WS_ARRAY_SIZE(rows); i++) {
        struct build b = {0};
        struct ws_pcap_record r;
        put_pcap_header(&b, 0xa1b2c3d4, 65535, 0x24000001);
        put_pcap_record(&b, 1, 2, rows[i].cap, rows[i].wire);
        put_fill(&b, rows[i].cap, 1);
        struct ws_pcap_file f = header(&b);
        assert_int_equal(record(&f, b.p + 24, b.len - 24, &r), WS_FORMAT_COMPLETE);
        assert_int_equal(r.cap_len, rows[i].cap_left);
        assert_int_equal(r.wire_len, rows[i].wire_left);
        assert_int_equal(r.len, 16 + rows[i].cap); /* the next record is where it was */
        build_free(&b);
    }
}

static void encoding_is_read_back(void **state)
{
    static const uint8_t expected[24] = {0x4d, 0x3c, 0xb2, 0xa1, 2,    0, 4, 0, 0, 0, 0, 0,
                                         0,    0,    0,    0,    0xff, 0, 0, 0, 1, 0, 0, 0};
    uint8_t head[WS_PCAP_HEADER_LEN], rec[WS_PCAP_RECORD_LEN];
    struct ws_pcap_file f = {.ns = true, .snaplen = 255, .link_type = 1};
    struct ws_pcap_record in = {.ts_ns = 1700000000123456789, .cap_len = 0, .wire_len = 9}, out;
    (void)state;
    ws_pcap_header_encode(head, &f);
    assert_memory_equal(head, expected, sizeof(expected));
    for (int ns = 0; ns < 2; ns++) {
        f.ns = ns;
        ws_pcap_header_encode(head, &f);
        struct ws_pcap_file back;
        assert_int_equal(ws_pcap_header_decode(&back, head, 24), WS_FORMAT_COMPLETE);
        ws_pcap_record_encode(rec, ns, &in);
        assert_int_equal(record(&back, rec, sizeof(rec), &out), WS_FORMAT_COMPLETE);
        assert_true(out.ts_ns == (ns ? in.ts_ns : 1700000000123456000));
        assert_int_equal(out.wire_len, 9);
    }
}

static void encoding_of_stamps_that_do_not_fit(void **state)
{
    uint8_t rec[WS_PCAP_RECORD_LEN];
    struct ws_pcap_record r = {.ts_ns = -5};
    (void)state;
    ws_pcap_record_encode(rec, true, &r);
    assert_int_equal(ws_load_le32(rec), 0);
    assert_int_equal(ws_load_le32(rec + 4), 0);
    r.ts_ns = INT64_MAX;
    ws_pcap_record_encode(rec, true, &r);
    assert_true(ws_load_le32(rec) == UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_each_magic_and_byte_order),
        cmocka_unit_test(header_truncated_anywhere),
        cmocka_unit_test(foreign_magic_and_versions),
        cmocka_unit_test(link_type_field_bits),
        cmocka_unit_test(stamps_are_exact),
        cmocka_unit_test(record_truncated_anywhere),
        cmocka_unit_test(absurd_lengths_are_invalid_even_when_cut),
        cmocka_unit_test(lengths_exchanged_in_old_versions),
        cmocka_unit_test(fcs_is_taken_off),
        cmocka_unit_test(encoding_is_read_back),
        cmocka_unit_test(encoding_of_stamps_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
