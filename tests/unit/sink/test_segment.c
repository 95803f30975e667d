/* SPDX-License-Identifier: BSD-3-Clause */
/* Stream files in arrival order over the real writer: offsets, bytes in front, new files, cuts,
 * index. */
#include "rig.h"

#include "sink/stream.h"

#define A "010.000.000.001.01111-010.000.000.002.00080"

static struct ws_stream_record record[8];
static unsigned records;

static uint64_t on_record(void *user, const struct ws_stream_record *rec)
{
    (void)user;
    if (records < WS_ARRAY_SIZE(record))
        record[records] = *rec;
    records++;
    return 0;
}

static void begin(struct rig *r, struct ws_sink_stream_config cfg, int64_t flush_ns)
{
    char err[200] = "";
    memset(r, 0, sizeof(*r));
    records = 0;
    bed_init(&r->bed, &(struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
    struct ws_output *o = bed_add(&r->bed, (struct ws_output_config){
                                               .kind = WS_OUTPUT_TREE,
                                               .path = bed_path(&r->bed, "out"),
                                               .channels = 1,
                                               .blocks = 16,
                                               .block_bytes = 65536,
                                               .may_wait = true,
                                               .flush_ns = flush_ns,
                                           });
    struct ws_sink *s;
    cfg.channel = ws_output_channel(o, 0);
    cfg.format = WS_STREAM_RAW;
    cfg.arrival = true;
    cfg.names_max = 64;
    cfg.closed = on_record;
    assert_int_equal(ws_sink_stream_create(&s, &cfg, err, sizeof(err)), 0);
    rig_attach(r, s);
}

static void segment(struct rig *r, struct rig_flow *f, int64_t off, const char *text)
{
    uint32_t len = (uint32_t)strlen(text);
    struct ws_tcp_segment seg = {
        .len = len,
        .wire_len = len,
        .frame_bytes = len + 54,
        .meta = {.ts_ns = RIG_T0 + (int64_t)r->ordinal * 1000,
                 .ordinal = r->ordinal,
                 .flags = WS_TCP_ACK},
    };
    r->ordinal++;
    f->flow.packets[0]++;
    f->flow.bytes[0] += seg.frame_bytes;
    uint8_t *copy = malloc(len); /* exact, so that the sanitizer sees a read beyond it */
    assert_non_null(copy);
    memcpy(copy, text, len);
    seg.data = copy;
    r->sink->ops->segment(r->sink, &f->flow, 0, off, &seg);
    free(copy);
}

static const char *in_out(const struct rig *r, const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "out/%s", name);
    return bed_path(&r->bed, path);
}

/* Out of order, overwritten, with a hole at the end that nothing fills. */
static void offsets(void **state)
{
    struct rig r;
    struct rig_flow f;
    (void)state;
    begin(&r, (struct ws_sink_stream_config){.findx = true}, 0);
    rig_flow_init(&f, 0);
    segment(&r, &f, 3, "def");
    segment(&r, &f, 0, "abc");
    segment(&r, &f, 2, "XY");
    segment(&r, &f, 9, "j");
    rig_close(&r, &f);
    rig_finish(&r);
    bed_expect(in_out(&r, A), "abXYef\0\0\0j", 10);
    static const char lines[] = "3|1000000000.250000|3\n0|1000000000.250001|3\n"
                                "2|1000000000.250002|2\n9|1000000000.250003|1\n";
    bed_expect(in_out(&r, A ".findx"), lines, sizeof(lines) - 1);
    assert_int_equal(records, 1);
    assert_int_equal(record[0].packets[0], 4);
    assert_int_equal(record[0].out_of_order, 2);
    assert_int_equal(record[0].data_bytes[0], 9);
    assert_int_equal(record[0].file_bytes, 10);
    assert_false(record[0].goes_on);
    rig_fini(&r);
}

/* Bytes in front of the first: while all is in blocks, and when the file is on disk already. */
static void in_front(void **state)
{
    (void)state;
    for (unsigned on_disk = 0; on_disk < 2; on_disk++) {
        struct rig r;
        struct rig_flow f;
        begin(&r, (struct ws_sink_stream_config){0}, 1);
        rig_flow_init(&f, 0);
        segment(&r, &f, 0, "klm");
        segment(&r, &f, 4, "o");
        for (unsigned i = 0; on_disk && i < 100; i++) {
            ws_channel_tick(r.sink->channel, 0, (int64_t)i * 1000000, true);
            ws_writer_poll(r.bed.w);
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
            if (access(in_out(&r, A), F_OK) == 0)
                break;
        }
        assert_int_equal(access(in_out(&r, A), F_OK), on_disk ? 0 : -1);
        segment(&r, &f, -3, "hi");
        segment(&r, &f, -7, "de");
        segment(&r, &f, 3, "n");
        rig_close(&r, &f);
        rig_finish(&r);
        bed_expect(in_out(&r, A), "de\0\0hi\0klmno", 12);
        assert_int_equal(records, 1);
        assert_int_equal(record[0].file_bytes, 12);
        assert_int_equal(rig_count(&r, WS_C_FRONT_REFUSED), 0);
        rig_fini(&r);
    }
}

/* A file of much hole and little data is not moved again and again. */
static void front_refused(void **state)
{
    struct rig r;
    struct rig_flow f;
    struct stat st;
    (void)state;
    begin(&r, (struct ws_sink_stream_config){0}, 0);
    rig_flow_init(&f, 0);
    segment(&r, &f, 0, "a");
    segment(&r, &f, 12 << 20, "b");
    segment(&r, &f, -1, "c");  /* moves 12 MiB */
    segment(&r, &f, -2, "dd"); /* would be 24 MiB */
    rig_close(&r, &f);
    rig_finish(&r);
    assert_int_equal(rig_count(&r, WS_C_FRONT_REFUSED), 2);
    assert_int_equal(stat(in_out(&r, A), &st), 0);
    assert_int_equal(st.st_size, (12 << 20) + 2);
    rig_fini(&r);
}

/* Far ahead, far behind, and too much of a hole: a new file each, of the same name. */
static void new_files(void **state)
{
    struct rig r;
    struct rig_flow f;
    struct stat st;
    (void)state;
    begin(&r,
          (struct ws_sink_stream_config){
              .split = true, .split_gap = 100, .holes_max = 150, .findx = true},
          0);
    rig_flow_init(&f, 0);
    segment(&r, &f, 0, "ab");
    segment(&r, &f, 102, "c"); /* just near enough */
    segment(&r, &f, 204, "d"); /* 101 from the end of the one before */
    segment(&r, &f, 103, "e");
    segment(&r, &f, 105, "f");
    segment(&r, &f, 204, "g"); /* near enough, and no hole too large */
    segment(&r, &f, 300, "h"); /* near enough, but 193 bytes of hole */
    rig_close(&r, &f);
    rig_finish(&r);
    assert_int_equal(records, 4);
    assert_int_equal(stat(in_out(&r, A), &st), 0);
    assert_int_equal(st.st_size, 103);
    bed_expect(in_out(&r, A "c1"), "d", 1);
    assert_int_equal(stat(in_out(&r, A "c2"), &st), 0);
    assert_int_equal(st.st_size, 102);
    bed_expect(in_out(&r, A "c3"), "h", 1);
    bed_expect(in_out(&r, A "c1.findx"), "0|1000000000.250002|1\n", 22);
    assert_true(record[0].goes_on && record[1].goes_on && record[2].goes_on && !record[3].goes_on);
    assert_int_equal(record[0].packets[0], 2);
    assert_int_equal(record[1].packets[0], 1);
    assert_int_equal(record[2].packets[0], 3);
    assert_int_equal(record[3].packets[0], 1);
    assert_int_equal(record[2].wire_bytes[0], 3 * 55);
    assert_int_equal(record[2].first_ts_ns, RIG_T0 + 3000);
    rig_fini(&r);
}

/* Bytes at and beyond the limit are not written; the record knows of them. */
static void cut(void **state)
{
    static const struct {
        uint64_t max;
        const char *want;
    } cases[] = {{0, ""}, {4, "ab\0\0"}, {7, "ab\0\0cde"}, {9, "ab\0\0cdefg"}, {99, "ab\0\0cdefg"}};
    (void)state;
    for (size_t i = 0; i < WS_ARRAY_SIZE(cases); i++) {
        struct rig r;
        struct rig_flow f;
        begin(&r, (struct ws_sink_stream_config){.cut = true, .bytes_max = cases[i].max}, 0);
        rig_flow_init(&f, 0);
        segment(&r, &f, 0, "ab");
        segment(&r, &f, 4, "cdefg");
        rig_close(&r, &f);
        rig_finish(&r);
        uint64_t size = WS_MIN(cases[i].max, UINT64_C(9));
        bed_expect(in_out(&r, A), cases[i].want, (size_t)size);
        assert_int_equal(record[0].length, 9);
        assert_int_equal(record[0].file_bytes, size);
        assert_int_equal(rig_count(&r, WS_C_STREAM_CUT) + rig_count(&r, WS_C_OUT_STREAM_BYTES), 7);
        rig_fini(&r);
    }
}

static void strip(void **state)
{
    struct rig r;
    struct rig_flow f;
    char long_text[10001];
    (void)state;
    begin(&r, (struct ws_sink_stream_config){.strip = true}, 0);
    rig_flow_init(&f, 0);
    memset(long_text, 7, 10000);
    long_text[10000] = '\0';
    segment(&r, &f, 0, "a\tb\r\n~\x7f\xe9 ");
    segment(&r, &f, 9, long_text);
    rig_close(&r, &f);
    rig_finish(&r);
    char want[10009] = "a.b\r\n~.. ";
    memset(want + 9, '.', 10000);
    bed_expect(in_out(&r, A), want, 10009);
    rig_fini(&r);
}

/* A byte that repeats the last one is a keep-alive, whatever it is. */
static void keep_alive(void **state)
{
    struct rig r;
    struct rig_flow f;
    (void)state;
    begin(&r, (struct ws_sink_stream_config){0}, 0);
    rig_flow_init(&f, 0);
    segment(&r, &f, 0, "abc");
    segment(&r, &f, 2, "Z");
    segment(&r, &f, 3, "d");
    rig_close(&r, &f);
    rig_finish(&r);
    bed_expect(in_out(&r, A), "abcd", 4);
    assert_int_equal(record[0].out_of_order, 0);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets),    cmocka_unit_test(in_front), cmocka_unit_test(front_refused),
        cmocka_unit_test(new_files),  cmocka_unit_test(cut),      cmocka_unit_test(strip),
        cmocka_unit_test(keep_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
