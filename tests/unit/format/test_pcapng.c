/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng blocks: hand-written in both byte orders, cut anywhere, and our own encoding read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/pcapng.h"
#include "guard.h"
#include "unit/source/build.h"

/* The block at p, which must be sound. */
static struct ws_pcapng_block block_at(struct ws_pcapng_section *sec, const uint8_t *p, size_t len)
{
    struct ws_pcapng_block b;
    assert_int_equal(ws_pcapng_block_decode(&b, sec, p, len), WS_FORMAT_COMPLETE);
    assert_true(b.len <= len);
    return b;
}

static void section_in_both_byte_orders(void **state)
{
    (void)state;
    for (int be = 0; be < 2; be++) {
        struct build b = {.be = be};
        struct ws_pcapng_section sec = {.big_endian = !be};
        put_shb(&b);
        struct ws_pcapng_block k = block_at(&sec, b.p, b.len);
        assert_int_equal(k.type, WS_PCAPNG_SHB);
        assert_int_equal(k.len, 28);
        assert_int_equal(sec.big_endian, be);
        assert_int_equal(ws_pcapng_section_decode(&sec, b.p, &k), WS_FORMAT_COMPLETE);
        assert_int_equal(sec.version_major, 1);
        assert_true(sec.len == -1);
        b.p[be ? 13 : 12] = 2; /* major version */
        assert_int_equal(ws_pcapng_section_decode(&sec, b.p, &k), WS_FORMAT_INVALID);
        build_free(&b);
    }
}

static void block_heads_cut_and_wrong(void **state)
{
    struct build b = {0};
    struct ws_pcapng_section sec = {0};
    struct ws_pcapng_block k;
    (void)state;
    put_shb(&b);
    for (size_t len = 0; len < 12; len++) {
        struct guard g = guard_copy(b.p, len);
        assert_int_equal(ws_pcapng_block_decode(&k, &sec, g.data, len), WS_FORMAT_INCOMPLETE);
        guard_free(&g);
    }
    b.p[8] ^= 1; /* byte-order magic */
    assert_int_equal(ws_pcapng_block_decode(&k, &sec, b.p, b.len), WS_FORMAT_INVALID);
    static const uint32_t bad_len[] = {0, 8, 11, 13, 30, UINT32_MAX};
    for (size_t i = 0; i < WS_ARRAY_SIZE(bad_len); i++) {
        uint8_t head[8];
        ws_store_le32(head, WS_PCAPNG_EPB);
        ws_store_le32(head + 4, bad_len[i]);
        assert_int_equal(ws_pcapng_block_decode(&k, &sec, head, 8), WS_FORMAT_INVALID);
    }
    build_free(&b);
}

/* An interface with all options that we read, among others that we do not. */
static void put_full_idb(struct build *b)
{
    size_t at = begin_block(b, 1);
    put16(b, 276);
    put16(b, 0);
    put32(b, 96);
    put_option(b, 1, "a comment", 9);
    put_option(b, 2, "eth0", 4);
    put_option(b, 9, "\x8a", 1);
    put_option(b, 13, "\4", 1);
    put_option_uint(b, 14, (uint64_t)-7, 8);
    put_option(b, 0, "", 0);
    end_block(b, at);
}

static void interface_options(void **state)
{
    (void)state;
    for (int be = 0; be < 2; be++) {
        struct build b = {.be = be};
        struct ws_pcapng_section sec = {.big_endian = be};
        struct ws_pcapng_iface i;
        put_full_idb(&b);
        struct ws_pcapng_block k = block_at(&sec, b.p, b.len);
        assert_int_equal(ws_pcapng_iface_decode(&i, &sec, b.p, &k), WS_FORMAT_COMPLETE);
        assert_int_equal(i.link_type, 276);
        assert_int_equal(i.snaplen, 96);
        assert_string_equal(i.name, "eth0");
        assert_int_equal(i.tsresol, 0x8a);
        assert_int_equal(i.fcs_len, 4);
        assert_true(i.tsoffset_s == -7);
        b.p[b.len - (be ? 1 : 4)] ^= 4; /* trailing length */
        assert_int_equal(ws_pcapng_iface_decode(&i, &sec, b.p, &k), WS_FORMAT_INVALID);
        build_free(&b);
    }
}

static void interface_block_of_any_length(void **state)
{
    struct build b = {0};
    struct ws_pcapng_section sec = {0};
    (void)state;
    put_full_idb(&b);
    for (uint32_t len = 12; len <= b.len; len += 4) {
        struct guard g = guard_copy(b.p, len);
        struct ws_pcapng_block k = {.type = 1, .len = len};
        struct ws_pcapng_iface i;
        ws_store_le32(g.data + len - 4, len);
        enum ws_format_status st = ws_pcapng_iface_decode(&i, &sec, g.data, &k);
        assert_int_equal(st, len < 20 ? WS_FORMAT_INVALID : WS_FORMAT_COMPLETE);
        guard_free(&g);
    }
    build_free(&b);
}

static void names_are_cut_to_fit(void **state)
{
    char longer[200];
    struct build b = {0};
    struct ws_pcapng_section sec = {0};
    struct ws_pcapng_iface i;
    (void)state;
    memset(longer, 'x', sizeof(longer));
    size_t at = begin_block(&b, 1);
    put32(&b, 1);
    put32(&b, 0);
    put_option(&b, 2, longer, sizeof(longer));
    end_block(&b, at);
    struct ws_pcapng_block k = block_at(&sec, b.p, b.len);
    assert_int_equal(ws_pcapng_iface_decode(&i, &sec, b.p, &k), WS_FORMAT_COMPLETE);
    assert_int_equal(strlen(i.name), WS_PCAPNG_NAME_MAX - 1);
    build_free(&b);
}

static void packet_blocks(void **state)
{
    (void)state;
    for (int be = 0; be < 2; be++) {
        struct build b = {.be = be};
        struct ws_pcapng_section sec = {.big_endian = be};
        struct ws_pcapng_packet p;
        size_t at = begin_block(&b, 6);
        put32(&b, 3);
        put32(&b, 0x00060000);
        put32(&b, 0x12345678);
        put32(&b, 5);
        put32(&b, 99);
        put_bytes(&b, "hello", 5);
        put_pad(&b, 4);
        put_option_uint(&b, 2, 0x1234, 4);
        put_option_uint(&b, 4, 77, 8);
        put_option(&b, 0, "", 0);
        end_block(&b, at);
        struct ws_pcapng_block k = block_at(&sec, b.p, b.len);
        assert_int_equal(ws_pcapng_packet_decode(&p, &sec, b.p, b.len, &k, 0), WS_FORMAT_COMPLETE);
        assert_int_equal(ws_pcapng_packet_options(&p, &sec, b.p, &k), WS_FORMAT_COMPLETE);
        assert_int_equal(p.iface, 3);
        assert_true(p.has_ts && p.ticks == 0x0006000012345678);
        assert_int_equal(p.cap_len, 5);
        assert_int_equal(p.wire_len, 99);
        assert_memory_equal(b.p + p.data_off, "hello", 5);
        assert_true(p.drop_count == 77);
        assert_int_equal(p.flags, 0x1234);
        build_free(&b);

        at = begin_block(&b, 2); /* obsolete: 16-bit interface and drop count */
        put16(&b, 1);
        put16(&b, 9);
        put32(&b, 1);
        put32(&b, 2);
        put32(&b, 3);
        put32(&b, 3);
        put_bytes(&b, "abc", 3);
        end_block(&b, at);
        k = block_at(&sec, b.p, b.len);
        assert_int_equal(ws_pcapng_packet_decode(&p, &sec, b.p, b.len, &k, 0), WS_FORMAT_COMPLETE);
        assert_int_equal(ws_pcapng_packet_options(&p, &sec, b.p, &k), WS_FORMAT_COMPLETE);
        assert_int_equal(p.iface, 1);
        assert_true(p.drop_count == 9 && p.ticks == (UINT64_C(1) << 32 | 2));
        assert_memory_equal(b.p + p.data_off, "abc", 3);
        build_free(&b);

        at = begin_block(&b, 3); /* simple: cut by the snap length of interface 0 */
        put32(&b, 100);
        put_bytes(&b, "12345678", 8);
        end_block(&b, at);
        k = block_at(&sec, b.p, b.len);
        assert_int_equal(ws_pcapng_packet_decode(&p, &sec, b.p, b.len, &k, 6), WS_FORMAT_COMPLETE);
        assert_int_equal(p.cap_len, 6);
        assert_int_equal(p.wire_len, 100);
        assert_false(p.has_ts);
        assert_memory_equal(b.p + p.data_off, "123456", 6);
        assert_int_equal(ws_pcapng_packet_decode(&p, &sec, b.p, b.len, &k, 0), WS_FORMAT_COMPLETE);
        assert_int_equal(p.cap_len, 8); /* no more than the block has */
        build_free(&b);
    }
}

static void packet_block_cut_anywhere(void **state)
{
    struct build b = {0};
    struct ws_pcapng_section sec = {0};
    (void)state;
    put_epb(&b, 0, 1, 10, 10, 1);
    for (size_t len = 8; len <= b.len; len++) {
        struct guard g = guard_copy(b.p, len);
        struct ws_pcapng_block k;
        struct ws_pcapng_packet p;
        assert_int_equal(ws_pcapng_block_decode(&k, &sec, g.data, len), WS_FORMAT_COMPLETE);
        assert_int_equal(ws_pcapng_packet_decode(&p, &sec, g.data, len, &k, 0),
                         len < 28 ? WS_FORMAT_INCOMPLETE : WS_FORMAT_COMPLETE);
        guard_free(&g);
    }
    struct ws_pcapng_block k = {.type = WS_PCAPNG_EPB, .len = (uint32_t)b.len};
    struct ws_pcapng_packet p;
    ws_store_le32(b.p + 20, 13); /* one more than the block's body */
    assert_int_equal(ws_pcapng_packet_decode(&p, &sec, b.p, b.len, &k, 0), WS_FORMAT_INVALID);
    k.len = 28;
    assert_int_equal(ws_pcapng_packet_decode(&p, &sec, b.p, b.len, &k, 0), WS_FORMAT_INVALID);
    build_free(&b);
}

static void options_overrunning_their_block(void **state)
{
    struct build b = {0};
    struct ws_pcapng_section sec = {0};
    (void)state;
    put_epb(&b, 0, 1, 4, 4, 1);
    size_t at = b.len - 4;
    put16(&b, 2); /* over the trailing length: an option of 60,000 bytes in a block of 40 */
    put16(&b, 60000);
    memmove(b.p + at, b.p + b.len - 4, 4);
    struct guard g = guard_copy(b.p, b.len);
    struct ws_pcapng_block k = {.type = WS_PCAPNG_EPB, .len = (uint32_t)b.len};
    struct ws_pcapng_packet p;
    ws_store_le32(g.data + b.len - 4, (uint32_t)b.len);
    assert_int_equal(ws_pcapng_packet_decode(&p, &sec, g.data, b.len, &k, 0), WS_FORMAT_COMPLETE);
    assert_int_equal(ws_pcapng_packet_options(&p, &sec, g.data, &k), WS_FORMAT_COMPLETE);
    assert_int_equal(p.flags, 0);
    guard_free(&g);
    build_free(&b);
}

static void stamps_of_every_resolution(void **state)
{
    static const struct {
        uint8_t tsresol;
        int64_t offset_s;
        uint64_t ticks;
        int64_t ns;
    } rows[] = {
        {6, 0, 1700000000123456, 1700000000123456000},
        {9, 0, 1700000000123456789, 1700000000123456789},
        {3, 0, 1700000000123, 1700000000123000000},
        {0, 0, 1700000000, 1700000000000000000},
        {12, 0, UINT64_C(17000000001234567890), 17000000001234567},
        {12, 0, 1999, 1}, /* rounded down */
        {127, 0, UINT64_MAX, 0},
        {0x80, 0, 1700000000, 1700000000000000000},
        {0x81, 0, 3, 1500000000},
        {0x80 | 10, 0, 1025, 1000976562},
        {0x80 | 32, 0, UINT64_C(5) << 32 | 0x80000000, 5500000000},
        {0x80 | 63, 0, UINT64_C(1) << 63, 1000000000},
        {0xff, 0, UINT64_MAX, 0},
        {6, 1000, 5, 1000000005000},
        {6, -1000, 5, -999999995000},  /* before 1970 */
        {6, 0, UINT64_MAX, INT64_MAX}, /* beyond int64: the nearest */
        {6, INT64_MIN, 0, INT64_MIN},
        {0, INT64_MAX, UINT64_MAX, INT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < WS_ARRAY_SIZE(rows); i++) {
        struct ws_pcapng_iface f = {.tsresol = rows[i].tsresol, .tsoffset_s = rows[i].offset_s};
        int64_t ns = ws_pcapng_ticks_to_ns(&f, rows[i].ticks);
        if (ns != rows[i].ns)
            fail_msg("row %zu: %lld instead of %lld", i, (long long)ns, (long long)rows[i].ns);
    }
}

static void statistics(void **state)
{
    (void)state;
    for (int be = 0; be < 2; be++) {
        struct build b = {.be = be};
        struct ws_pcapng_section sec = {.big_endian = be};
        struct ws_pcapng_stats st;
        size_t at = begin_block(&b, 5);
        put32(&b, 2);
        put32(&b, 1);
        put32(&b, 2);
        put_option_uint(&b, 4, 1234567890123, 8);
        put_option_uint(&b, 5, 55, 8);
        put_option_uint(&b, 5, 1, 4); /* of a wrong length: not read */
        end_block(&b, at);
        struct ws_pcapng_block k = block_at(&sec, b.p, b.len);
        assert_int_equal(ws_pcapng_stats_decode(&st, &sec, b.p, &k), WS_FORMAT_COMPLETE);
        assert_int_equal(st.iface, 2);
        assert_true(st.ticks == (UINT64_C(1) << 32 | 2));
        assert_true(st.received == 1234567890123 && st.dropped == 55);
        assert_true(st.start_ticks == WS_PCAPNG_UNKNOWN && st.end_ticks == WS_PCAPNG_UNKNOWN);
        build_free(&b);
    }
}

static void section_and_interface_encoded(void **state)
{
    uint8_t out[256];
    struct ws_pcapng_section sec = {.big_endian = true};
    struct ws_pcapng_iface in = {.link_type = 1, .snaplen = 65535, .name = "enp3s0"}, back;
    struct ws_pcapng_about about = {.appl = "wirespool 1", .os = "Linux"};
    (void)state;
    size_t len = ws_pcapng_section_encode(out, sizeof(out), &about);
    struct ws_pcapng_block k = block_at(&sec, out, len);
    assert_int_equal(k.len, len);
    assert_false(sec.big_endian);
    assert_int_equal(ws_pcapng_section_decode(&sec, out, &k), WS_FORMAT_COMPLETE);
    assert_memory_equal(out + 24, "\3\0\5\0Linux\0\0\0\4\0\13\0wirespool 1", 27);
    for (size_t room = 0; room < len; room++) {
        uint8_t *small = malloc(room + 1);
        assert_int_equal(ws_pcapng_section_encode(small, room, &about), 0);
        free(small);
    }
    len = ws_pcapng_iface_encode(out, sizeof(out), &in);
    k = block_at(&sec, out, len);
    assert_int_equal(ws_pcapng_iface_decode(&back, &sec, out, &k), WS_FORMAT_COMPLETE);
    assert_int_equal(back.link_type, 1);
    assert_int_equal(back.snaplen, 65535);
    assert_int_equal(back.tsresol, 9);
    assert_string_equal(back.name, "enp3s0");
}

static void packet_encoded(void **state)
{
    struct ws_pcapng_section sec = {0};
    (void)state;
    for (uint32_t cap = 0; cap < 9; cap++) {
        for (int opts = 0; opts < 4; opts++) {
            uint8_t out[128];
            struct ws_pcapng_packet back, in = {.iface = 4,
                                                .ticks = 1700000000123456789,
                                                .cap_len = cap,
                                                .wire_len = 1500,
                                                .flags = opts & 1 ? 2 : 0,
                                                .drop_count = opts & 2 ? 6 : WS_PCAPNG_UNKNOWN};
            memset(out, 0xaa, sizeof(out));
            uint32_t len = ws_pcapng_epb_head(out, &in);
            memset(out + WS_PCAPNG_EPB_HEAD, 'd', cap);
            size_t tail = ws_pcapng_epb_tail(out + WS_PCAPNG_EPB_HEAD + cap, &in);
            assert_int_equal(WS_PCAPNG_EPB_HEAD + cap + tail, len);
            assert_true(tail <= WS_PCAPNG_EPB_TAIL_MAX);
            assert_int_equal(out[len], 0xaa);
            struct ws_pcapng_block k = block_at(&sec, out, len);
            assert_int_equal(k.len, len);
            assert_int_equal(ws_pcapng_packet_decode(&back, &sec, out, len, &k, 0),
                             WS_FORMAT_COMPLETE);
            assert_int_equal(ws_pcapng_packet_options(&back, &sec, out, &k), WS_FORMAT_COMPLETE);
            assert_int_equal(back.iface, 4);
            assert_true(back.ticks == in.ticks && back.drop_count == in.drop_count);
            assert_int_equal(back.cap_len, cap);
            assert_int_equal(back.wire_len, 1500);
            assert_int_equal(back.flags, in.flags);
        }
    }
}

static void statistics_encoded(void **state)
{
    uint8_t out[128];
    struct ws_pcapng_section sec = {0};
    struct ws_pcapng_stats back, in = {.iface = 1,
                                       .ticks = 1700000000123456789,
                                       .start_ticks = 1600000000123456789,
                                       .end_ticks = WS_PCAPNG_UNKNOWN,
                                       .received = UINT64_C(1) << 40,
                                       .dropped = 3,
                                       .os_dropped = 5,
                                       .delivered = WS_PCAPNG_UNKNOWN};
    (void)state;
    size_t len = ws_pcapng_stats_encode(out, sizeof(out), &in);
    struct ws_pcapng_block k = block_at(&sec, out, len);
    assert_int_equal(ws_pcapng_stats_decode(&back, &sec, out, &k), WS_FORMAT_COMPLETE);
    assert_true(back.iface == 1 && back.ticks == in.ticks && back.start_ticks == in.start_ticks);
    assert_true(back.end_ticks == WS_PCAPNG_UNKNOWN);
    assert_true(back.received == in.received && back.dropped == 3);
    assert_int_equal(ws_pcapng_stats_encode(out, len - 1, &in), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(section_in_both_byte_orders),
        cmocka_unit_test(block_heads_cut_and_wrong),
        cmocka_unit_test(interface_options),
        cmocka_unit_test(interface_block_of_any_length),
        cmocka_unit_test(names_are_cut_to_fit),
        cmocka_unit_test(packet_blocks),
        cmocka_unit_test(packet_block_cut_anywhere),
        cmocka_unit_test(options_overrunning_their_block),
        cmocka_unit_test(stamps_of_every_resolution),
        cmocka_unit_test(statistics),
        cmocka_unit_test(section_and_interface_encoded),
        cmocka_unit_test(packet_encoded),
        cmocka_unit_test(statistics_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
