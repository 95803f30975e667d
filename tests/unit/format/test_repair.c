/* SPDX-License-Identifier: BSD-3-Clause */
/* Valid prefixes: every cut of small files in both formats and byte orders, judged by libpcap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "format/repair.h"
#include "guard.h"
#include "unit/source/build.h"

enum { UNITS_MAX = 32 };

/* A file and where its units end. */
struct file {
    struct build b;
    size_t end[UNITS_MAX];
    unsigned units;
    unsigned head;               /* units before a reader can open it */
    unsigned packets[UNITS_MAX]; /* up to and including this unit */
};

static void unit(struct file *f, unsigned is_packet)
{
    assert_true(f->units < UNITS_MAX);
    unsigned before = f->units ? f->packets[f->units - 1] : 0;
    f->end[f->units] = f->b.len;
    f->packets[f->units++] = before + is_packet;
}

static struct file make_pcap(bool be, uint32_t magic)
{
    static const uint32_t size[] = {60, 0, 1, 1514, 7};
    struct file f = {.b = {.be = be}, .head = 1};
    put_pcap_header(&f.b, magic, 65535, 1);
    unit(&f, 0);
    for (unsigned i = 0; i < WS_ARRAY_SIZE(size); i++) {
        put_pcap_record(&f.b, 1000 + i, i, size[i], size[i] + i);
        put_fill(&f.b, size[i], i);
        unit(&f, 1);
    }
    return f;
}

static struct file make_pcapng(bool be)
{
    struct file f = {.b = {.be = be}, .head = 2};
    size_t at;
    put_shb(&f.b);
    unit(&f, 0);
    put_idb(&f.b, 1, 0);
    unit(&f, 0);
    for (unsigned i = 0; i < 3; i++) {
        put_epb(&f.b, 0, 1000 + i, 50 + i, 60 + i, i);
        unit(&f, 1);
    }
    at = begin_block(&f.b, 0x80000bad); /* of nobody's format */
    put_fill(&f.b, 33, 1);
    end_block(&f.b, at);
    unit(&f, 0);
    at = begin_block(&f.b, 3); /* a simple packet */
    put32(&f.b, 21);
    put_fill(&f.b, 21, 9);
    end_block(&f.b, at);
    unit(&f, 1);
    at = begin_block(&f.b, 5); /* statistics */
    put32(&f.b, 0);
    put64(&f.b, 0);
    put_option_uint(&f.b, 4, 4, 8);
    put_option(&f.b, 0, "", 0);
    end_block(&f.b, at);
    unit(&f, 0);
    return f;
}

/* Feeds p in pieces of step bytes (0 = all at once), each at a guard page. */
static struct ws_repair scan_by(const uint8_t *p, size_t len, size_t step)
{
    struct ws_repair r;
    size_t at = 0, shown = 0;
    ws_repair_init(&r);
    for (;;) {
        size_t want = step ? WS_MAX(at + (size_t)r.need, shown + step) : len;
        shown = WS_MIN(want, len);
        struct guard g = guard_copy(p + at, shown - at);
        at += ws_repair_feed(&r, g.data, shown - at, shown == len);
        guard_free(&g);
        assert_int_equal(r.at, at);
        assert_true(r.need <= WS_REPAIR_UNIT_MAX);
        if (r.reason || shown == len)
            break;
    }
    return r;
}

/* The same result whatever the pieces are. */
static struct ws_repair scan(const uint8_t *p, size_t len)
{
    static const size_t steps[] = {1, 13, 100};
    struct ws_repair r = scan_by(p, len, 0);
    for (unsigned i = 0; i < WS_ARRAY_SIZE(steps); i++) {
        struct ws_repair s = scan_by(p, len, steps[i]);
        assert_int_equal(s.kind, r.kind);
        assert_int_equal(s.keep, r.keep);
        assert_int_equal(s.packets, r.packets);
        assert_ptr_equal(s.reason, r.reason);
        assert_int_equal(s.reason_off, r.reason_off);
        if (r.kind != WS_REPAIR_UNKNOWN || len >= 4)
            assert_int_equal(s.number, r.number);
    }
    return r;
}

/* How many packets libpcap reads; fails on any error. */
static unsigned judge(const uint8_t *p, size_t len)
{
    char err[PCAP_ERRBUF_SIZE];
    FILE *in = tmpfile();
    struct pcap_pkthdr *h;
    const u_char *data;
    unsigned n = 0;
    int rc;
    assert_non_null(in);
    assert_int_equal(fwrite(p, 1, len, in), len);
    rewind(in);
    pcap_t *pc = pcap_fopen_offline(in, err);
    if (!pc)
        fail_msg("libpcap refuses the first %zu bytes: %s", len, err);
    while ((rc = pcap_next_ex(pc, &h, &data)) == 1)
        n++;
    if (rc != PCAP_ERROR_BREAK)
        fail_msg("libpcap stops in the first %zu bytes: %s", len, pcap_geterr(pc));
    pcap_close(pc); /* and in */
    return n;
}

static void every_cut(struct file *f)
{
    for (size_t len = 0; len <= f->b.len; len++) {
        unsigned whole = 0; /* units */
        while (whole < f->units && f->end[whole] <= len)
            whole++;
        struct ws_repair r = scan(f->b.p, len);
        assert_int_equal(r.keep, whole ? f->end[whole - 1] : 0);
        assert_int_equal(r.packets, whole ? f->packets[whole - 1] : 0);
        assert_int_equal(ws_repair_usable(&r), whole >= f->head);
        bool is_whole = whole && f->end[whole - 1] == len;
        assert_int_equal(r.reason == NULL, is_whole);
        if (r.reason)
            assert_int_equal(r.reason_off, r.keep);
        if (ws_repair_usable(&r))
            assert_int_equal(judge(f->b.p, (size_t)r.keep), r.packets);
    }
    build_free(&f->b);
}

static void every_cut_of_pcap(void **state)
{
    static const uint32_t magic[] = {0xa1b2c3d4, 0xa1b23c4d};
    (void)state;
    for (unsigned be = 0; be < 2; be++)
        for (unsigned i = 0; i < WS_ARRAY_SIZE(magic); i++) {
            struct file f = make_pcap(be, magic[i]);
            every_cut(&f);
        }
}

static void every_cut_of_pcapng(void **state)
{
    (void)state;
    for (unsigned be = 0; be < 2; be++) {
        struct file f = make_pcapng(be);
        every_cut(&f);
    }
}

/* A second section, of the other byte order: what was described in the first does not hold. */
static void sections(void **state)
{
    (void)state;
    struct file f = make_pcapng(false);
    size_t first = f.b.len;
    f.b.be = true;
    put_shb(&f.b);
    size_t head = f.b.len;
    put_epb(&f.b, 0, 1, 10, 10, 1);
    struct ws_repair r = scan(f.b.p, f.b.len);
    assert_int_equal(r.keep, head);
    assert_int_equal(r.packets, 4);
    assert_non_null(strstr(r.reason, "not described"));
    assert_true(first < head);
    build_free(&f.b);
}

/* Any one byte of a pcapng file destroyed: never more than the file is kept, and libpcap agrees
 * with whatever is kept. */
static void damaged_bytes(void **state)
{
    (void)state;
    for (unsigned be = 0; be < 2; be++) {
        struct file f = be ? make_pcap(true, 0xa1b2c3d4) : make_pcapng(false);
        for (size_t i = 24; i < f.b.len; i++) {
            uint8_t saved = f.b.p[i];
            f.b.p[i] = 0xff;
            struct ws_repair r = scan_by(f.b.p, f.b.len, 0);
            assert_true(r.keep <= f.b.len);
            assert_int_equal(r.reason == NULL, r.keep == f.b.len);
            if (ws_repair_usable(&r))
                assert_int_equal(judge(f.b.p, (size_t)r.keep), r.packets);
            f.b.p[i] = saved;
        }
        build_free(&f.b);
    }
}

static void absurd_lengths(void **state)
{
    static const uint32_t bad[] = {262145, 0x7fffffff, 0x80000000, UINT32_MAX};
    (void)state;
    for (unsigned i = 0; i < WS_ARRAY_SIZE(bad); i++) {
        struct file f = make_pcap(i & 1, 0xa1b2c3d4);
        size_t whole = f.b.len;
        put_pcap_record(&f.b, 1, 2, bad[i], bad[i]);
        put_fill(&f.b, 100, 1);
        struct ws_repair r = scan(f.b.p, f.b.len);
        assert_int_equal(r.keep, whole);
        assert_int_equal(r.packets, 5);
        assert_string_equal(r.reason, "absurd record length");
        assert_int_equal(r.number, bad[i]);
        build_free(&f.b);
    }
    static const uint32_t bad_block[] = {0, 11, 13, (16u << 20) + 4, 0xfffffff0};
    for (unsigned i = 0; i < WS_ARRAY_SIZE(bad_block); i++) {
        struct file f = make_pcapng(i & 1);
        size_t whole = f.b.len;
        put32(&f.b, 6);
        put32(&f.b, bad_block[i]);
        put_fill(&f.b, 100, 1);
        struct ws_repair r = scan(f.b.p, f.b.len);
        assert_int_equal(r.keep, whole);
        assert_non_null(r.reason);
        build_free(&f.b);
    }
}

/* D-Bus has larger messages: a record of 1 MiB is none too large there. */
static void large_records(void **state)
{
    (void)state;
    for (unsigned dbus = 0; dbus < 2; dbus++) {
        struct build b = {0};
        put_pcap_header(&b, 0xa1b2c3d4, 128u << 20, dbus ? 231 : 1);
        put_pcap_record(&b, 1, 2, 1u << 20, 1u << 20);
        put_fill(&b, 1u << 20, 1);
        struct ws_repair r = scan_by(b.p, b.len, 65536);
        assert_int_equal(r.packets, dbus);
        assert_int_equal(r.keep, dbus ? b.len : 24);
        build_free(&b);
    }
}

/* Zeros at the end were never written; zeros with more behind them are records. */
static void zeros(void **state)
{
    static const uint8_t nothing[40] = {0};
    (void)state;
    for (unsigned more = 0; more < 2; more++)
        for (size_t n = 16; n <= 40; n += more ? 16 : 8) {
            struct file f = make_pcap(false, 0xa1b2c3d4);
            size_t whole = f.b.len;
            put_bytes(&f.b, nothing, n);
            if (more) {
                put_pcap_record(&f.b, 5, 0, 4, 4);
                put_fill(&f.b, 4, 1);
            }
            struct ws_repair r = scan(f.b.p, f.b.len);
            assert_int_equal(r.keep, more ? f.b.len : whole);
            assert_int_equal(r.packets, more ? 6 + n / 16 : 5);
            assert_int_equal(r.reason == NULL, more);
            build_free(&f.b);
        }
}

static void foreign(void **state)
{
    (void)state;
    static const char text[] = "hello, this is no capture file at all";
    struct ws_repair r = scan((const uint8_t *)text, sizeof(text));
    assert_int_equal(r.kind, WS_REPAIR_UNKNOWN);
    assert_int_equal(r.keep, 0);
    assert_false(ws_repair_usable(&r));
    assert_string_equal(r.reason, "not a pcap or pcapng file");
    struct build b = {0};
    put_pcap_header(&b, 0xa1b2c3d4, 65535, 1);
    b.p[4] = 9; /* version 9 */
    r = scan(b.p, b.len);
    assert_int_equal(r.keep, 0);
    assert_false(ws_repair_usable(&r));
    build_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_of_pcap),
        cmocka_unit_test(every_cut_of_pcapng),
        cmocka_unit_test(sections),
        cmocka_unit_test(damaged_bytes),
        cmocka_unit_test(absurd_lengths),
        cmocka_unit_test(large_records),
        cmocka_unit_test(zeros),
        cmocka_unit_test(foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
