/* SPDX-License-Identifier: BSD-3-Clause */
/* The file source: every kind of capture file, several in order, cut and damaged ones, chunks and
 * their release. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "source/file_private.h"
#include "unit/source/slurp.h"

enum { SMALL = 5 }; /* packets of the usual small capture */

static uint32_t small_len(unsigned i)
{
    return i * 13; /* the first is empty */
}

/* SMALL packets of growing length, a second apart, 100 bytes longer on the wire. */
static void put_small_pcap(struct build *b, uint32_t magic)
{
    put_pcap_header(b, magic, 65535, 1);
    for (unsigned i = 0; i < SMALL; i++) {
        put_pcap_record(b, 1000 + i, 7, small_len(i), small_len(i) + 100);
        if (magic == 0xa1b2cd34)
            put_bytes(b, "\1\0\0\0\10\0\0\0", 8);
        put_fill(b, small_len(i), i);
    }
}

static void put_small_pcapng(struct build *b)
{
    put_shb(b);
    put_idb(b, 1, 65535);
    for (unsigned i = 0; i < SMALL; i++)
        put_epb(b, 0, (1000 + i) * UINT64_C(1000000) + 7, small_len(i), small_len(i) + 100, i);
}

static void check_small_row(const struct ws_packet *k, unsigned i, int64_t frac_ns)
{
    struct build expected = {0};
    put_fill(&expected, small_len(i), i);
    assert_true(k->ts_ns == (1000 + (int64_t)i) * 1000000000 + frac_ns);
    assert_int_equal(k->cap_len, small_len(i));
    assert_int_equal(k->wire_len, small_len(i) + 100);
    assert_int_equal(k->flags, WS_PKT_SNAPPED);
    assert_int_equal(k->link_type, 1);
    assert_int_equal(k->device, 0);
    if (k->cap_len)
        assert_memory_equal(k->data, expected.p, expected.len);
    build_free(&expected);
}

static void check_small(const struct slurp *s, int64_t frac_ns)
{
    assert_int_equal(s->n, SMALL);
    assert_false(s->damaged);
    for (unsigned i = 0; i < SMALL; i++) {
        check_small_row(&s->row[i].k, i, frac_ns);
        assert_int_equal(s->row[i].k.ordinal, i);
        assert_true(s->row[i].k.clock_ns == s->row[i].k.ts_ns);
        assert_int_equal(s->row[i].k.iface, 0);
    }
    assert_int_equal(s->n_iface, 1);
    assert_int_equal(s->iface[0].link_type, 1);
    assert_int_equal(s->iface[0].snaplen, 65535);
}

static void every_format_in_both_byte_orders(void **state)
{
    static const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34, 0};
    (void)state;
    clear_log();
    for (int be = 0; be < 2; be++) {
        for (int i = 0; i < 4; i++) {
            struct build b = {.be = be};
            struct slurp s;
            if (magics[i])
                put_small_pcap(&b, magics[i]);
            else
                put_small_pcapng(&b);
            assert_int_equal(slurp_bytes(&s, b.p, b.len, NULL), 0);
            check_small(&s, magics[i] == 0xa1b23c4d ? 7 : 7000);
            assert_int_equal(s.bytes_total, b.len);
            assert_int_equal(s.bytes_done, b.len);
            slurp_free(&s);
            build_free(&b);
        }
    }
    assert_string_equal(logged, "");
}

/* Every shorter file gives the packets that are whole; only a cut at a record's end goes unnoticed.
 */
static void every_truncation(void **state)
{
    (void)state;
    for (int ng = 0; ng < 2; ng++) {
        struct build b = {0};
        size_t end[SMALL + 1]; /* where each whole packet ends */
        size_t head = ng ? 28 : 24;
        if (ng)
            put_small_pcapng(&b);
        else
            put_small_pcap(&b, 0xa1b2c3d4);
        end[0] = ng ? 48 : 24;
        for (unsigned i = 0; i < SMALL; i++)
            end[i + 1] = end[i] + (ng ? 32 + ws_align_up(small_len(i), 4) : 16 + small_len(i));
        assert_int_equal(end[SMALL], b.len);
        for (size_t len = 0; len < b.len; len++) {
            struct slurp s;
            unsigned whole = 0;
            bool at_end = ng && len == head; /* between the section header and its interface */
            for (unsigned i = 0; i <= SMALL; i++) {
                whole = end[i] <= len ? i : whole;
                at_end |= end[i] == len;
            }
            clear_log();
            int r = slurp_bytes(&s, b.p, len, NULL);
            if (len < (ng ? 12u : 24u)) {
                assert_int_equal(r, -EINVAL);
                assert_non_null(strstr(s.err, len ? "file header is cut" : "empty file"));
                continue;
            }
            assert_int_equal(r, 0);
            assert_int_equal(s.n, whole);
            assert_int_equal(s.damaged, !at_end);
            assert_int_equal(strstr(logged, "is cut") != NULL, !at_end);
            slurp_free(&s);
        }
        build_free(&b);
    }
}

static void cut_record_is_said_with_offset_and_bytes(void **state)
{
    struct build b = {0};
    struct slurp s;
    (void)state;
    clear_log();
    put_small_pcap(&b, 0xa1b2c3d4);
    assert_int_equal(slurp_bytes(&s, b.p, b.len - 3, NULL), 0);
    size_t last = b.len - small_len(SMALL - 1) - 16;
    char expected[100];
    snprintf(expected, sizeof(expected), ": offset %zu: the last record is cut: 3 bytes missing\n",
             last);
    assert_non_null(strstr(logged, expected));
    slurp_free(&s);
    build_free(&b);
}

static void absurd_length_stops_this_file_only(void **state)
{
    struct build bad = {0}, good = {0};
    struct slurp s;
    char path[2][256];
    const char *list[2] = {path[0], path[1]};
    struct ws_file_config cfg = {.path = list, .n_path = 2};
    (void)state;
    clear_log();
    put_small_pcap(&bad, 0xa1b2c3d4);
    size_t at = bad.len;
    put_pcap_record(&bad, 1, 1, UINT32_MAX, UINT32_MAX);
    put_fill(&bad, 1000, 1);
    put_small_pcap(&good, 0xa1b23c4d);
    write_temp(path[0], bad.p, bad.len);
    write_temp(path[1], good.p, good.len);
    assert_int_equal(slurp(&s, &cfg), 0);
    char expected[512];
    snprintf(
        expected, sizeof(expected),
        "%s: offset %zu: record length 4294967295 is absurd; reading of this file stops here\n",
        path[0], at);
    assert_string_equal(logged, expected);
    assert_true(s.damaged);
    assert_int_equal(s.n, 2 * SMALL);
    assert_int_equal(s.row[SMALL].k.ordinal, SMALL);
    check_small_row(&s.row[SMALL + 2].k, 2, 7);
    assert_int_equal(s.bytes_done, bad.len + good.len);
    slurp_free(&s);
    build_free(&bad);
    build_free(&good);
    unlink(path[0]);
    unlink(path[1]);
}

static void longest_packet_believed(void **state)
{
    static const struct {
        uint32_t snaplen, len, bytes_max;
        bool believed;
    } rows[] = {
        {65535, 300000, 0, false},    {65535, 262144, 0, true},       {65535, 262145, 0, false},
        {0, 262145, 0, false},        {UINT32_MAX, 262145, 0, false}, {1000000, 1000000, 0, true},
        {1000000, 1000001, 0, false}, {100, 1001, 1000, false},       {100, 1000, 1000, true},
    };
    (void)state;
    for (size_t i = 0; i < WS_ARRAY_SIZE(rows); i++) {
        for (int ng = 0; ng < 2; ng++) {
            struct build b = {0};
            struct slurp s;
            struct ws_file_config cfg = {.packet_bytes_max = rows[i].bytes_max};
            clear_log();
            if (ng) {
                put_shb(&b);
                put_idb(&b, 1, rows[i].snaplen);
                put_epb(&b, 0, 1, rows[i].len, rows[i].len, 3);
            } else {
                put_pcap_header(&b, 0xa1b2c3d4, rows[i].snaplen, 1);
                put_pcap_record(&b, 1, 1, rows[i].len, rows[i].len);
                put_fill(&b, rows[i].len, 3);
            }
            assert_int_equal(slurp_bytes(&s, b.p, b.len, &cfg), 0);
            assert_int_equal(s.n, rows[i].believed);
            assert_int_equal(s.damaged, !rows[i].believed);
            assert_int_equal(strstr(logged, "absurd") != NULL, !rows[i].believed);
            slurp_free(&s);
            build_free(&b);
        }
    }
}

/* n packets of pseudo-random lengths; a chunk holds few of them. */
static void put_many(struct build *b, unsigned n, bool ng)
{
    uint32_t x = 12345;
    if (ng) {
        put_shb(b);
        put_idb(b, 1, 65535);
    } else {
        put_pcap_header(b, 0xa1b2c3d4, 65535, 1);
    }
    for (unsigned i = 0; i < n; i++) {
        x = x * 1103515245 + 12345;
        uint32_t len = (x >> 16) % (i % 50 == 49 ? 2000 : 300);
        if (ng) {
            put_epb(b, 0, i, len, len, i);
        } else {
            put_pcap_record(b, 0, i, len, len);
            put_fill(b, len, i);
        }
    }
}

static void check_many(const struct slurp *s, unsigned n)
{
    uint32_t x = 12345;
    assert_int_equal(s->n, n);
    for (unsigned i = 0; i < n; i++) {
        struct build expected = {0};
        x = x * 1103515245 + 12345;
        uint32_t len = (x >> 16) % (i % 50 == 49 ? 2000 : 300);
        const struct ws_packet *k = &s->row[i].k;
        put_fill(&expected, len, i);
        assert_int_equal(k->cap_len, len);
        assert_int_equal(k->ordinal, i);
        assert_true(k->ts_ns == (int64_t)i * 1000);
        assert_int_equal(k->flags, 0);
        if (len)
            assert_memory_equal(k->data, expected.p, len);
        build_free(&expected);
    }
}

static void records_that_straddle_chunks(void **state)
{
    (void)state;
    clear_log();
    for (int ng = 0; ng < 2; ng++) {
        struct build b = {0};
        put_many(&b, 3000, ng);
        for (int stable = 0; stable < 2; stable++) {
            for (uint32_t chunk = 6144; chunk <= 16384; chunk += 1024) {
                struct slurp s;
                struct ws_file_config cfg = {
                    .chunk_bytes = chunk, .packet_bytes_max = 2048, .stable = stable, .chunks = 2};
                assert_int_equal(slurp_bytes(&s, b.p, b.len, &cfg), 0);
                check_many(&s, 3000);
                assert_false(s.damaged);
                slurp_free(&s);
            }
        }
        build_free(&b);
    }
    assert_string_equal(logged, "");
}

/* Records that are longer than the room in front of what is read ahead, between short ones. */
static void long_records_between_short_ones(void **state)
{
    static const uint32_t lens[] = {100, 60000, 66000, 70000, 1500, 200000, 60, 250000, 250000, 9000};
    struct build b = {0};
    struct slurp s;
    (void)state;
    clear_log();
    put_pcap_header(&b, 0xa1b2c3d4, 262144, 1);
    for (unsigned i = 0; i < 60; i++) {
        uint32_t len = lens[i * 7 % WS_ARRAY_SIZE(lens)];
        put_pcap_record(&b, i, 0, len, len);
        put_fill(&b, len, i);
    }
    assert_int_equal(slurp_bytes(&s, b.p, b.len, NULL), 0);
    assert_int_equal(s.n, 60);
    assert_false(s.damaged);
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(s.row[i].k.cap_len, lens[i * 7 % WS_ARRAY_SIZE(lens)]);
    assert_string_equal(logged, "");
    slurp_free(&s);
    build_free(&b);
}

/* The cases above would pass without reading ahead, too: here it is seen at work. */
static void who_reads_ahead(void **state)
{
    struct build b = {0};
    struct ws_packet pkt[WS_BURST_MAX];
    char err[256], path[256];
    const char *list[1] = {path};
    (void)state;
    put_pcap_header(&b, 0xa1b2c3d4, 65535, 1);
    for (unsigned i = 0; i < 100; i++) {
        put_pcap_record(&b, i, 0, 1000, 1000);
        put_fill(&b, 1000, i);
    }
    write_temp(path, b.p, b.len);
    for (unsigned wanted = 0; wanted < 2; wanted++) {
        const struct ws_file_config cfg = {.path = list, .n_path = 1, .ahead_from = wanted, .ahead_window = 4096};
        struct ws_source *src;
        unsigned packets = 0, ahead = 0;
        assert_int_equal(ws_file_open(&src, &cfg, err, sizeof(err)), 0);
        for (int n; (n = ws_source_rx(src, pkt, WS_BURST_MAX)) != WS_SOURCE_END;) {
            packets += (unsigned)n;
            ahead += n > 0 && ((const struct ws_file *)src)->ahead_bytes > 0;
        }
        assert_int_equal(packets, 100);
        assert_int_equal(ahead > 0, wanted);
        src->ops->close(src);
    }
    unlink(path);
    build_free(&b);
}

static void stable_chunks_wait_for_their_release(void **state)
{
    enum { CHUNKS = 4, HELD_MAX = 4096 };
    static struct ws_packet held[HELD_MAX + WS_BURST_MAX];
    struct build b = {0};
    struct ws_source *src;
    char err[256], path[256];
    const char *list[1] = {path};
    struct ws_file_config cfg = {.path = list,
                                 .n_path = 1,
                                 .chunk_bytes = 8192,
                                 .packet_bytes_max = 2048,
                                 .chunks = CHUNKS,
                                 .stable = true};
    (void)state;
    put_many(&b, 3000, false);
    write_temp(path, b.p, b.len);
    assert_int_equal(ws_file_open(&src, &cfg, err, sizeof(err)), 0);
    assert_true(src->stable && src->can_wait);
    struct slurp s = {0};
    unsigned waits = 0, n_held = 0;
    uint64_t seq_max = 0, seq_first_held = 1;
    for (;;) {
        int n = ws_source_rx(src, held + n_held, WS_BURST_MAX);
        if (n > 0) {
            assert_true(src->chunk_seq == seq_max || src->chunk_seq == seq_max + 1);
            seq_max = src->chunk_seq;
            assert_true(seq_max < seq_first_held + CHUNKS); /* no more chunks than there are */
            n_held += (unsigned)n;
            assert_true(n_held <= HELD_MAX);
            continue;
        }
        assert_int_equal(ws_source_rx(src, held + n_held, WS_BURST_MAX), n); /* it stays so */
        waits += n == 0;
        /* all that was given is still as it was */
        for (unsigned i = 0; i < n_held; i++)
            slurp_add(&s, &held[i]);
        n_held = 0;
        seq_first_held = seq_max + 1;
        src->ops->release(src, seq_max);
        if (n == WS_SOURCE_END)
            break;
    }
    check_many(&s, 3000);
    assert_true(waits > 10);
    src->ops->close(src);
    slurp_free(&s);
    build_free(&b);
    unlink(path);
}

static void *count_alloc(void *user, size_t bytes)
{
    static _Alignas(64) uint8_t arena[1 << 20];
    *(size_t *)user += bytes;
    return bytes <= sizeof(arena) ? arena : NULL;
}

static void memory_comes_from_the_caller(void **state)
{
    struct build b = {0};
    struct slurp s;
    size_t asked = 0;
    struct ws_file_config cfg = {.chunk_bytes = 65536,
                                 .packet_bytes_max = 2048,
                                 .chunks = 3,
                                 .stable = true,
                                 .alloc = count_alloc,
                                 .alloc_user = &asked};
    (void)state;
    put_many(&b, 500, false);
    assert_int_equal(slurp_bytes(&s, b.p, b.len, &cfg), 0);
    check_many(&s, 500);
    assert_int_equal(asked, 3 * 65536);
    slurp_free(&s);
    cfg.chunk_bytes = 1 << 20; /* more than the arena: no memory */
    assert_int_equal(slurp_bytes(&s, b.p, b.len, &cfg), -ENOMEM);
    build_free(&b);
}

static void packet_max_counts_over_files(void **state)
{
    struct build b = {0};
    char path[256];
    const char *list[3] = {path, path, path};
    (void)state;
    put_small_pcap(&b, 0xa1b2c3d4);
    write_temp(path, b.p, b.len);
    for (unsigned max = 1; max <= 3 * SMALL + 1; max++) {
        struct slurp s;
        struct ws_file_config cfg = {.path = list, .n_path = 3, .packet_max = max};
        assert_int_equal(slurp(&s, &cfg), 0);
        assert_int_equal(s.n, WS_MIN(max, 3u * SMALL));
        assert_int_equal(s.row[s.n - 1].k.ordinal, s.n - 1);
        slurp_free(&s);
    }
    unlink(path);
    build_free(&b);
}

static void packet_clock_never_goes_back(void **state)
{
    static const uint32_t sec[] = {10, 5, 12, 11, 12, 3};
    static const int64_t clock[] = {10, 10, 12, 12, 12, 12};
    struct build b = {0};
    struct slurp s;
    (void)state;
    put_pcap_header(&b, 0xa1b2c3d4, 65535, 1);
    for (unsigned i = 0; i < 6; i++)
        put_pcap_record(&b, sec[i], 0, 0, 0);
    assert_int_equal(slurp_bytes(&s, b.p, b.len, NULL), 0);
    assert_int_equal(s.n, 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_true(s.row[i].k.ts_ns == (int64_t)sec[i] * 1000000000);
        assert_true(s.row[i].k.clock_ns == clock[i] * 1000000000);
    }
    slurp_free(&s);
    build_free(&b);
}

/* --- pcapng --- */

static void interfaces_with_their_own_link_type_and_clock(void **state)
{
    struct build b = {0};
    struct slurp s;
    (void)state;
    clear_log();
    put_shb(&b);
    put_idb(&b, 1, 0);
    size_t at = begin_block(&b, 1);
    put16(&b, 113);
    put16(&b, 0);
    put32(&b, 96);
    put_option(&b, 2, "cooked", 6);
    put_option(&b, 9, "\x09", 1);
    put_option(&b, 13, "\4", 1);
    put_option_uint(&b, 14, 100, 8);
    end_block(&b, at);
    at = begin_block(&b, 1);
    put16(&b, 101);
    put16(&b, 0);
    put32(&b, 0);
    put_option(&b, 9, "\x94", 1); /* 2^-20 s */
    end_block(&b, at);
    put_epb(&b, 1, 5, 10, 20, 1); /* FCS of 4 bytes: 16 on the wire, the captured ones before it */
    put_epb(&b, 0, 5, 10, 10, 2);
    put_epb(&b, 2, 3 << 19, 10, 10, 3);
    put_epb(&b, 1, 6, 20, 20, 4);
    put_epb(&b, 0, 7, 6, 2, 5); /* captured more than there was */
    assert_int_equal(slurp_bytes(&s, b.p, b.len, NULL), 0);
    static const struct {
        uint16_t iface, link;
        uint32_t cap, wire, flags;
        int64_t ts_ns;
    } rows[] = {{1, 113, 10, 16, WS_PKT_SNAPPED, 100000000005},
                {0, 1, 10, 10, 0, 5000},
                {2, 101, 10, 10, 0, 1500000000},
                {1, 113, 16, 16, 0, 100000000006},
                {0, 1, 6, 6, 0, 7000}};
    assert_int_equal(s.n, WS_ARRAY_SIZE(rows));
    for (unsigned i = 0; i < s.n; i++) {
        const struct ws_packet *k = &s.row[i].k;
        assert_int_equal(k->iface, rows[i].iface);
        assert_int_equal(k->link_type, rows[i].link);
        assert_int_equal(k->cap_len, rows[i].cap);
        assert_int_equal(k->wire_len, rows[i].wire);
        assert_int_equal(k->flags, rows[i].flags);
        assert_true(k->ts_ns == rows[i].ts_ns);
    }
    assert_int_equal(s.n_iface, 3);
    assert_string_equal(s.iface[1].name, "cooked");
    assert_int_equal(s.iface[1].snaplen, 96);
    assert_true(s.iface[0].received == UINT64_MAX && s.iface[0].dropped == UINT64_MAX);
    assert_string_equal(logged, "");
    slurp_free(&s);
    build_free(&b);
}

static void put_isb(struct build *b, uint32_t iface, uint64_t received, uint64_t dropped)
{
    size_t at = begin_block(b, 5);
    put32(b, iface);
    put64(b, 0);
    put_option_uint(b, 4, received, 8);
    put_option_uint(b, 5, dropped, 8);
    end_block(b, at);
}

static void put_epb_drops(struct build *b, uint32_t iface, uint64_t drops)
{
    size_t at = begin_block(b, 6);
    put32(b, iface);
    put64(b, 0);
    put32(b, 0);
    put32(b, 0);
    put_option_uint(b, 4, drops, 8);
    end_block(b, at);
}

static void sections_restart_interfaces(void **state)
{
    struct build b = {0};
    struct slurp s;
    (void)state;
    clear_log();
    put_shb(&b);
    put_idb(&b, 1, 65535);
    put_idb(&b, 1, 65535); /* alike, yet another interface of the section */
    put_epb(&b, 1, 1, 4, 4, 1);
    put_isb(&b, 0, 10, 1);
    put_isb(&b, 0, 12, 3); /* counts of a section grow: the last holds */
    b.be = true;
    put_shb(&b);
    put_idb(&b, 101, 65535);
    put_idb(&b, 1, 65535); /* the first section's interface 0 */
    put_epb(&b, 0, 2, 4, 4, 2);
    put_epb(&b, 1, 3, 4, 4, 3);
    put_isb(&b, 1, 100, 7);
    put_epb_drops(&b, 0, 5);
    put_epb_drops(&b, 0, 6);
    assert_int_equal(slurp_bytes(&s, b.p, b.len, NULL), 0);
    assert_int_equal(s.n, 5);
    assert_int_equal(s.row[0].k.iface, 1);
    assert_int_equal(s.row[1].k.iface, 2);
    assert_int_equal(s.row[1].k.link_type, 101);
    assert_int_equal(s.row[2].k.iface, 0);
    assert_int_equal(s.n_iface, 3);
    assert_int_equal(s.iface[0].received, 112);
    assert_int_equal(s.iface[0].dropped, 10);
    assert_true(s.iface[1].received == UINT64_MAX);
    assert_int_equal(s.iface[2].dropped, 11);
    assert_string_equal(logged, "");
    slurp_free(&s);
    build_free(&b);
}

static void other_blocks_are_passed_over(void **state)
{
    struct build b = {0};
    struct slurp s;
    struct ws_file_config cfg = {.chunk_bytes = 8192, .packet_bytes_max = 2048};
    (void)state;
    clear_log();
    put_shb(&b);
    size_t at = begin_block(&b, 4); /* name resolution */
    put_fill(&b, 40, 1);
    end_block(&b, at);
    put_idb(&b, 1, 65535);
    at = begin_block(&b, 0x0000000a); /* secrets, longer than several chunks */
    put_fill(&b, 50000, 1);
    end_block(&b, at);
    put_epb(&b, 0, 1, 4, 4, 1);
    at = begin_block(&b, 6); /* a packet whose options are longer than a chunk */
    put32(&b, 0);
    put64(&b, 0);
    put32(&b, 4);
    put32(&b, 4);
    put_fill(&b, 4, 2);
    put16(&b, 1);
    put16(&b, 40000);
    put_fill(&b, 40000, 2);
    end_block(&b, at);
    at = begin_block(&b, 3); /* a simple packet */
    put32(&b, 9);
    put_fill(&b, 9, 3);
    end_block(&b, at);
    assert_int_equal(slurp_bytes(&s, b.p, b.len, &cfg), 0);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.row[1].k.cap_len, 4);
    assert_int_equal(s.row[2].k.cap_len, 9);
    assert_true(s.row[2].k.ts_ns == 0);
    assert_string_equal(logged, "");
    slurp_free(&s);
    build_free(&b);
}

static void packets_of_unknown_interfaces_are_left_out(void **state)
{
    struct build b = {0};
    struct slurp s;
    (void)state;
    clear_log();
    put_shb(&b);
    put_epb(&b, 0, 1, 4, 4, 1);
    put_idb(&b, 1, 65535);
    put_epb(&b, 0, 1, 4, 4, 1);
    put_epb(&b, 7, 1, 4, 4, 1);
    put_epb(&b, 0, 1, 4, 4, 1);
    assert_int_equal(slurp_bytes(&s, b.p, b.len, NULL), 0);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.row[1].k.ordinal, 1);
    assert_true(s.damaged);
    assert_non_null(strstr(logged, "offset 28: a packet is of an interface"));
    assert_null(strstr(strstr(logged, "interface") + 1, "a packet")); /* said once */
    slurp_free(&s);
    build_free(&b);
}

static void damaged_blocks_are_said_once(void **state)
{
    static const struct {
        size_t at; /* of the byte to change, after the interface description */
        uint8_t value;
        const char *text;
    } rows[] = {
        {4, 33, "block length"},       /* leading length, no multiple of 4 */
        {21, 0xff, "captured length"}, /* beyond the block */
        {32, 32, "trailing length"},
    };
    (void)state;
    for (size_t i = 0; i < WS_ARRAY_SIZE(rows); i++) {
        struct build b = {0};
        struct slurp s;
        char expected[64];
        clear_log();
        put_shb(&b);
        put_idb(&b, 1, 65535);
        for (unsigned k = 0; k < 3; k++)
            put_epb(&b, 0, 1, 4, 4, 1);
        size_t third = 48 + 2 * 36;
        b.p[third + rows[i].at] = rows[i].value;
        assert_int_equal(slurp_bytes(&s, b.p, b.len, NULL), 0);
        assert_int_equal(s.n, 2);
        assert_true(s.damaged);
        snprintf(expected, sizeof(expected), ": offset %zu: ", third);
        assert_non_null(strstr(logged, expected));
        assert_non_null(strstr(logged, rows[i].text));
        assert_ptr_equal(strchr(logged, '\n'), logged + strlen(logged) - 1);
        slurp_free(&s);
        build_free(&b);
    }
}

static void interfaces_are_bounded(void **state)
{
    struct build b = {0};
    struct slurp s;
    (void)state;
    clear_log();
    put_shb(&b);
    for (unsigned i = 0; i < 4097; i++)
        put_idb(&b, 1, i);
    put_epb(&b, 4095, 1, 4, 4, 1);
    put_epb(&b, 4096, 1, 4, 4, 1); /* left out */
    put_shb(&b);
    put_idb(&b, 1, 77777); /* unlike all, but of a link type that the table has */
    put_epb(&b, 0, 1, 4, 4, 1);
    put_shb(&b);
    put_idb(&b, 101, 0); /* no place and nothing alike */
    put_epb(&b, 0, 1, 4, 4, 1);
    assert_int_equal(slurp_bytes(&s, b.p, b.len, NULL), 0);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.row[0].k.iface, 4095);
    assert_int_equal(s.row[1].k.link_type, s.iface[s.row[1].k.iface].link_type);
    assert_int_equal(s.n_iface, 4096);
    assert_true(s.damaged);
    slurp_free(&s);
    build_free(&b);
}

/* Interfaces described before the first packet are in the table as soon as the file is open. */
static void interfaces_known_at_open(void **state)
{
    struct build b = {0};
    struct ws_source *src;
    struct ws_packet pkt[WS_BURST_MAX];
    char path[256], err[256];
    const char *list[1] = {path};
    struct ws_file_config cfg = {.path = list, .n_path = 1};
    unsigned n;
    (void)state;
    put_shb(&b);
    put_idb(&b, 101, 0);
    put_isb(&b, 0, 1, 0);
    put_idb(&b, 113, 0);
    put_epb(&b, 1, 1, 4, 4, 1);
    put_idb(&b, 1, 0);
    put_epb(&b, 0, 1, 4, 4, 1);
    write_temp(path, b.p, b.len);
    assert_int_equal(ws_file_open(&src, &cfg, err, sizeof(err)), 0);
    const struct ws_source_iface *f = src->ops->ifaces(src, &n);
    assert_int_equal(n, 2);
    assert_int_equal(f[0].link_type, 101);
    assert_int_equal(f[1].link_type, 113);
    assert_int_equal(ws_source_rx(src, pkt, WS_BURST_MAX), 2);
    assert_int_equal(pkt[0].ordinal, 0);
    assert_ptr_equal(src->ops->ifaces(src, &n), f); /* in place for ever */
    assert_int_equal(n, 3);
    src->ops->close(src);
    unlink(path);
    build_free(&b);
}

/* Chunks that no packet was given of need no release, which would never come. */
static void chunks_without_packets(void **state)
{
    struct build b = {0};
    char path[256], err[256];
    const char *list[1] = {path};
    struct ws_source *src;
    struct ws_packet pkt[WS_BURST_MAX];
    struct ws_file_config cfg = {.path = list,
                                 .n_path = 1,
                                 .chunk_bytes = 8192,
                                 .packet_bytes_max = 2048,
                                 .stable = true,
                                 .chunks = 2};
    (void)state;
    put_shb(&b);
    put_idb(&b, 1, 0);
    put_epb(&b, 0, 1, 4, 4, 1);
    for (int i = 0; i < 20; i++) { /* names, passed over in one go or several */
        size_t at = begin_block(&b, 4);
        put_fill(&b, i % 2 ? 3000 : 30000, 1);
        end_block(&b, at);
    }
    put_epb(&b, 0, 2, 4, 4, 2);
    write_temp(path, b.p, b.len);
    assert_int_equal(ws_file_open(&src, &cfg, err, sizeof(err)), 0);
    assert_int_equal(ws_source_rx(src, pkt, WS_BURST_MAX), 1);
    uint64_t seq = src->chunk_seq;
    assert_int_equal(ws_source_rx(src, pkt + 1, WS_BURST_MAX - 1), 1);
    assert_int_equal(src->chunk_seq, seq + 1);
    struct build first = {0};
    put_fill(&first, 4, 1);
    assert_memory_equal(pkt[0].data, first.p, 4); /* not released, not touched */
    assert_int_equal(ws_source_rx(src, pkt, WS_BURST_MAX), WS_SOURCE_END);
    src->ops->close(src);
    unlink(path);
    build_free(&first);
    build_free(&b);
}

/* --- what is no capture --- */

static int open_error(const char *path, char *err)
{
    struct ws_source *src;
    struct ws_file_config cfg = {.path = &path, .n_path = 1};
    int r = ws_file_open(&src, &cfg, err, 256);
    if (r == 0)
        src->ops->close(src);
    return r;
}

static void unreadable_first_inputs(void **state)
{
    char err[256], path[256], expected[600];
    (void)state;
    assert_int_equal(open_error("/nonexistent/x.pcap", err), -ENOENT);
    assert_string_equal(err, "/nonexistent/x.pcap: No such file or directory");
    assert_int_equal(open_error("/", err), -EISDIR);
    assert_string_equal(err, "/: Is a directory");
    write_temp(path, "", 0);
    assert_int_equal(open_error(path, err), -EINVAL);
    snprintf(expected, sizeof(expected), "%s: empty file", path);
    assert_string_equal(err, expected);
    if (geteuid() != 0) { /* root reads everything */
        chmod(path, 0);
        assert_int_equal(open_error(path, err), -EACCES);
    }
    unlink(path);
    write_temp(path, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(open_error(path, err), -EINVAL);
    snprintf(expected, sizeof(expected), "%s: not a pcap or pcapng file (starts with 47 45 54 20)",
             path);
    assert_string_equal(err, expected);
    unlink(path);
    write_temp(path, "\x0a\x0d\x0d\x0a\0\0\0\x1c\0\0\0\0abcdefgh", 20); /* no byte-order magic */
    assert_int_equal(open_error(path, err), -EINVAL);
    unlink(path);
    struct ws_source *src;
    struct ws_file_config none = {0};
    assert_int_equal(ws_file_open(&src, &none, err, sizeof(err)), -EINVAL);
}

static void unreadable_later_inputs(void **state)
{
    struct build b = {0};
    struct slurp s;
    char path[256], text[256];
    const char *list[] = {path, "/nonexistent/y.pcap", text, "/", path};
    struct ws_file_config cfg = {.path = list, .n_path = 5};
    (void)state;
    clear_log();
    put_small_pcap(&b, 0xa1b2c3d4);
    write_temp(path, b.p, b.len);
    write_temp(text, "hello world\n", 12);
    assert_int_equal(slurp(&s, &cfg), 0);
    assert_int_equal(s.n, 2 * SMALL);
    assert_true(s.damaged);
    assert_non_null(strstr(logged, "/nonexistent/y.pcap: No such file or directory\n"));
    assert_non_null(strstr(logged, "not a pcap or pcapng file (starts with 68 65 6c 6c)\n"));
    assert_non_null(strstr(logged, "/: Is a directory\n"));
    assert_int_equal(s.n_iface, 1); /* alike in both files */
    slurp_free(&s);
    build_free(&b);
    unlink(path);
    unlink(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_in_both_byte_orders),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(cut_record_is_said_with_offset_and_bytes),
        cmocka_unit_test(absurd_length_stops_this_file_only),
        cmocka_unit_test(longest_packet_believed),
        cmocka_unit_test(records_that_straddle_chunks),
        cmocka_unit_test(long_records_between_short_ones),
        cmocka_unit_test(who_reads_ahead),
        cmocka_unit_test(stable_chunks_wait_for_their_release),
        cmocka_unit_test(memory_comes_from_the_caller),
        cmocka_unit_test(packet_max_counts_over_files),
        cmocka_unit_test(packet_clock_never_goes_back),
        cmocka_unit_test(interfaces_with_their_own_link_type_and_clock),
        cmocka_unit_test(sections_restart_interfaces),
        cmocka_unit_test(other_blocks_are_passed_over),
        cmocka_unit_test(packets_of_unknown_interfaces_are_left_out),
        cmocka_unit_test(damaged_blocks_are_said_once),
        cmocka_unit_test(interfaces_are_bounded),
        cmocka_unit_test(interfaces_known_at_open),
        cmocka_unit_test(chunks_without_packets),
        cmocka_unit_test(unreadable_first_inputs),
        cmocka_unit_test(unreadable_later_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
