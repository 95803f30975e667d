/* SPDX-License-Identifier: BSD-3-Clause */
/* The stream sink over the real writer: names, holes, framings, sidecars, lack of blocks. */
#include "rig.h"

#include <jansson.h>
#include <pcap/pcap.h>

#include "format/chunk.h"
#include "sink/stream.h"

#define A "010.000.000.001.01111-010.000.000.002.00080"
#define B "010.000.000.002.00080-010.000.000.001.01111"

static void begin(struct rig *r, struct ws_sink_stream_config cfg, unsigned blocks, bool may_wait)
{
    char err[200] = "";
    memset(r, 0, sizeof(*r));
    bed_init(&r->bed, &(struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
    struct ws_output *o = bed_add(&r->bed, (struct ws_output_config){
                                               .kind = WS_OUTPUT_TREE,
                                               .path = bed_path(&r->bed, "out"),
                                               .channels = 1,
                                               .blocks = blocks ? blocks : 16,
                                               .block_bytes = 65536,
                                               .may_wait = may_wait,
                                           });
    struct ws_sink *s;
    cfg.channel = ws_output_channel(o, 0);
    if (!cfg.names_max)
        cfg.names_max = 64;
    int rc = ws_sink_stream_create(&s, &cfg, err, sizeof(err));
    if (rc)
        fail_msg("create: %d %s", rc, err);
    rig_attach(r, s);
}

static const char *in_out(const struct rig *r, const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "out/%s", name);
    return bed_path(&r->bed, path);
}

static unsigned files_in(const char *path)
{
    unsigned n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void raw_both_directions(void **state)
{
    struct rig r;
    struct rig_flow f, empty;
    struct stat st;
    (void)state;
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_RAW}, 0, true);
    rig_flow_init(&f, 0);
    rig_flow_init(&empty, 5);
    rig_str(&r, &f, 0, 0, "GET ");
    rig_str(&r, &f, 1, 0, "200 OK");
    rig_str(&r, &f, 0, 4, "/ HTTP");
    rig_close(&r, &f);
    rig_close(&r, &empty);
    rig_finish(&r);
    bed_expect(in_out(&r, A), "GET / HTTP", 10);
    bed_expect(in_out(&r, B), "200 OK", 6);
    assert_int_equal(files_in(in_out(&r, "")), 2);
    assert_int_equal(stat(in_out(&r, B), &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1000000000);
    assert_int_equal(st.st_mtim.tv_nsec, 251000000);
    assert_int_equal(rig_count(&r, WS_C_OUT_STREAM_BYTES), 16);
    rig_fini(&r);
}

/* Leading, middle and trailing gap; as holes, skipped, and with a bound on holes. */
static void gaps(void **state)
{
    static const struct {
        bool skip;
        uint64_t holes_max;
        const char *want;
        size_t len;
        uint64_t skipped;
    } cases[] = {
        {false, 0, "\0\0\0abc\0\0\0\0\0de\0\0", 15, 0},
        {true, 0, "abcde", 5, 10},
        {false, 4, "\0\0\0abcde", 8, 7},
        {false, 9, "\0\0\0abc\0\0\0\0\0de", 13, 2},
        {false, 10, "\0\0\0abc\0\0\0\0\0de\0\0", 15, 0},
    };
    (void)state;
    for (size_t i = 0; i < WS_ARRAY_SIZE(cases); i++) {
        struct rig r;
        struct rig_flow f;
        begin(&r,
              (struct ws_sink_stream_config){.format = WS_STREAM_RAW,
                                             .gaps_skip = cases[i].skip,
                                             .holes_max = cases[i].holes_max,
                                             .gaps_file = true},
              0, true);
        rig_flow_init(&f, 0);
        rig_gap(&r, &f, 0, 0, 3, WS_GAP_NEVER_SEEN);
        rig_str(&r, &f, 0, 3, "abc");
        rig_gap(&r, &f, 0, 6, 5, WS_GAP_CAP);
        rig_str(&r, &f, 0, 11, "de");
        rig_gap(&r, &f, 0, 13, 2, WS_GAP_SNAPLEN);
        rig_gap(&r, &f, 1, 0, 99, WS_GAP_NEVER_SEEN); /* no data: no file, no sidecar */
        rig_close(&r, &f);
        rig_finish(&r);
        bed_expect(in_out(&r, A), cases[i].want, cases[i].len);
        static const char side[] = "{\"offset\":0,\"length\":3,\"cause\":\"never_seen\"}\n"
                                   "{\"offset\":6,\"length\":5,\"cause\":\"cap\"}\n"
                                   "{\"offset\":13,\"length\":2,\"cause\":\"snaplen\"}\n";
        bed_expect(in_out(&r, A ".gaps"), side, sizeof(side) - 1);
        assert_int_equal(files_in(in_out(&r, "")), 2);
        /* direction 1's gap counts too when skipping or bounded */
        uint64_t extra = cases[i].skip || cases[i].holes_max ? 99 : 0;
        assert_int_equal(rig_count(&r, WS_C_HOLE_BYTES_SKIPPED), cases[i].skipped + extra);
        rig_fini(&r);
    }
}

static struct ws_stream_record last_record;
static char last_path[256];
static unsigned records;

static uint64_t on_record(void *user, const struct ws_stream_record *rec)
{
    (void)user;
    last_record = *rec;
    snprintf(last_path, sizeof(last_path), "%s", rec->path);
    return ++records;
}

static void name_counters(void **state)
{
    struct rig r;
    struct rig_flow f;
    (void)state;
    records = 0;
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_RAW, .closed = on_record}, 0,
          true);
    for (unsigned i = 0; i < 3; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%u", i);
        rig_flow_init(&f, i * 10);
        if (i == 1) /* opens no file of direction 1: takes no name */
            rig_str(&r, &f, 0, 0, "x");
        else
            rig_str(&r, &f, 1, 0, text);
        rig_close(&r, &f);
    }
    assert_string_equal(last_path, B "c1");
    assert_int_equal(records, 3);
    assert_int_equal(last_record.dir, 1);
    assert_int_equal(last_record.data_bytes[1], 1);
    assert_int_equal(last_record.first_ts_ns, RIG_T0 + 1000000);
    rig_finish(&r);
    assert_int_equal(r.bed.closed_tag, 3); /* what the callback said of the last file */
    bed_expect(in_out(&r, B), "0", 1);
    bed_expect(in_out(&r, B "c1"), "2", 1);
    bed_expect(in_out(&r, A), "x", 1);
    rig_fini(&r);
}

/* Two names fit in the table; further ones are made unique by the flow's ordinal, and counted. */
static void name_table_full(void **state)
{
    struct rig r;
    struct rig_flow f;
    (void)state;
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_RAW, .names_max = 2}, 0, true);
    for (uint16_t i = 0; i < 4; i++) {
        rig_flow_init(&f, 100u + i);
        f.flow.key.port[1] = (uint16_t)(80 + i);
        rig_str(&r, &f, 0, 0, "x");
        rig_close(&r, &f);
    }
    rig_finish(&r);
    assert_int_equal(rig_count(&r, WS_C_NAME_TABLE_FULL), 2);
    bed_expect(in_out(&r, "010.000.000.001.01111-010.000.000.002.00082.p102"), "x", 1);
    bed_expect(in_out(&r, "010.000.000.001.01111-010.000.000.002.00083.p103"), "x", 1);
    rig_fini(&r);
}

static void macs_and_directories(void **state)
{
    struct rig r;
    struct rig_flow f;
    (void)state;
    begin(&r,
          (struct ws_sink_stream_config){
              .format = WS_STREAM_RAW, .name_template = "%E/%e/%-a", .name = {.colon = '-'}},
          0, true);
    assert_false(ws_sink_stream_names_complete(r.sink));
    assert_true(r.sink->needs & WS_SINK_PACKET);
    struct ws_packet p = {
        .dir = 0, .mac_src = {1, 2, 3, 4, 5, 6}, .mac_dst = {10, 11, 12, 13, 14, 15}};
    rig_flow_init(&f, 0);
    r.sink->ops->packet(r.sink, &f.flow, &p);
    r.sink->ops->packet(r.sink, NULL, &p);
    rig_str(&r, &f, 0, 0, "a");
    rig_str(&r, &f, 1, 0, "b"); /* no packet of its own seen: the peer's, turned */
    rig_close(&r, &f);
    rig_finish(&r);
    bed_expect(in_out(&r, "01-02-03-04-05-06/0a-0b-0c-0d-0e-0f/1111"), "a", 1);
    bed_expect(in_out(&r, "0a-0b-0c-0d-0e-0f/01-02-03-04-05-06/80"), "b", 1);
    rig_fini(&r);
}

static void headers12(void **state)
{
    struct rig r;
    struct rig_flow f;
    static uint8_t big[70000];
    size_t len = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 31 >> 3);
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_HEADERS12}, 0, true);
    rig_flow_init(&f, 0);
    rig_str(&r, &f, 0, 0, "abc");
    rig_gap(&r, &f, 0, 3, 1000, WS_GAP_NEVER_SEEN);
    rig_data(&r, &f, 0, 1003, big, sizeof(big));
    rig_close(&r, &f);
    rig_finish(&r);
    uint8_t *p = bed_read(in_out(&r, A), &len);
    assert_non_null(p);
    assert_int_equal(len, 12 + 3 + 12 + 65535 + 12 + 70000 - 65535);
    static const uint8_t head[15] = {0x80, 0xb2, 0x4a, 0xb6, 0xb3, 0xb6, 0xe0, 0x0d,
                                     3,    0,    0,    0,    'a',  'b',  'c'};
    assert_memory_equal(p, head, sizeof(head));
    assert_int_equal(p[15 + 8] | p[15 + 9] << 8, 65535);
    assert_memory_equal(p + 27, big, 65535);
    assert_int_equal(p[27 + 65535 + 8] | p[27 + 65535 + 9] << 8, 70000 - 65535);
    assert_memory_equal(p + 27 + 65535 + 12, big + 65535, 70000 - 65535);
    free(p);
    rig_fini(&r);
}

static void headers32(void **state)
{
    struct rig r;
    struct rig_flow f;
    size_t len = 0;
    (void)state;
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_HEADERS32}, 0, true);
    rig_flow_init(&f, 0);
    rig_str(&r, &f, 0, 0, "abc");
    r.ordinal = 9;
    rig_str(&r, &f, 0, 3, "d"); /* brought by packet 9, which closed a gap */
    r.ordinal = 5;
    rig_str(&r, &f, 0, 4, "e"); /* held since packet 5 */
    rig_close(&r, &f);
    rig_finish(&r);
    uint8_t *p = bed_read(in_out(&r, A), &len);
    assert_int_equal(len, 32 + 32 + 3 + 32 + 1 + 32 + 1);
    assert_int_equal(p[8] | p[9] << 8, 0);
    assert_int_equal(p[24] | p[25] << 8, 0x8010); /* RESET, ACK */
    assert_int_equal(p[32 + 8], 3);
    assert_int_equal(p[32 + 24] | p[32 + 25] << 8, 0x0010);
    assert_int_equal(p[67 + 24] | p[67 + 25] << 8, 0x0010);
    assert_int_equal(p[100 + 24] | p[100 + 25] << 8, 0x4010); /* REASSEMBLE */
    assert_int_equal(p[100 + 12], 5);                         /* sequence number */
    free(p);
    rig_fini(&r);
}

static void chunks(void **state)
{
#define LINE(side, size)                                                                           \
    "\r\n{\"_\":\"--------------------\",\"side\":\"" side "\",\"size\":\"" size "\"}\r\n"
    static const char want[] = LINE("0", "1") "a" LINE("1", "20") "[42 bytes missing]bc" LINE(
        "0", "1") "d" LINE("1", "17") "[7 bytes missing]";
    struct rig r;
    struct rig_flow f;
    (void)state;
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_CHUNKS}, 0, true);
    rig_flow_init(&f, 0);
    f.flow.orig = 1; /* side 0 is the first endpoint seen */
    rig_str(&r, &f, 1, 0, "a");
    rig_gap(&r, &f, 0, 0, 40, WS_GAP_NEVER_SEEN);
    rig_gap(&r, &f, 0, 40, 2, WS_GAP_CAP);
    rig_str(&r, &f, 0, 42, "bc");
    rig_str(&r, &f, 1, 1, "d");
    rig_gap(&r, &f, 0, 44, 7, WS_GAP_NEVER_SEEN);
    rig_close(&r, &f);
    rig_finish(&r);
    bed_expect(in_out(&r, "20010909014640-TCP-10.0.0.2.80-10.0.0.1.1111.txt"), want,
               sizeof(want) - 1);
    assert_int_equal(files_in(in_out(&r, "")), 1);
    rig_fini(&r);
}

static void json_lines(void **state)
{
    struct rig r;
    struct rig_flow f;
    size_t len = 0;
    static uint8_t big[70000];
    (void)state;
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_JSON, .json_ns = true}, 0, true);
    rig_flow_init(&f, 0);
    f.flow.key.ip_version = 6;
    rig_gap(&r, &f, 0, 0, 9, WS_GAP_NEVER_SEEN);
    rig_str(&r, &f, 0, 9, "hi\n");
    rig_data(&r, &f, 1, 0, big, sizeof(big));
    rig_close(&r, &f);
    rig_finish(&r);
    uint8_t *p = bed_read(in_out(&r, "20010909014640-TCP-a00_1__.1111-a00_2__.80.json"), &len);
    assert_non_null(p);
    p[len] = '\0';
    unsigned lines = 0;
    size_t bytes = 0;
    for (char *s = (char *)p, *e; (e = strstr(s, "\r\n")); s = e + 2, lines++) {
        json_error_t je;
        json_t *j = json_loadb(s, (size_t)(e - s), JSON_ALLOW_NUL, &je);
        assert_non_null(j);
        if (lines == 0) {
            assert_string_equal(json_string_value(json_object_get(j, "data")), "hi\n");
            assert_string_equal(json_string_value(json_object_get(j, "missing")), "9");
            assert_string_equal(json_string_value(json_object_get(j, "size")), "3");
        } else {
            assert_null(json_object_get(j, "missing"));
            assert_string_equal(json_string_value(json_object_get(j, "side")), "1");
        }
        json_t *t = json_object_get(j, "time");
        assert_string_equal(json_string_value(json_object_get(t, "conn")),
                            lines ? "0.000001000" : "0.000000000");
        bytes += json_string_length(json_object_get(j, "data_hex")) / 2;
        json_decref(j);
    }
    assert_int_equal(lines, 3);
    assert_int_equal(bytes, 3 + sizeof(big));
    free(p);
    rig_fini(&r);
}

static void one_packet(struct rig *r, struct rig_flow *f, uint8_t dir, uint16_t link, uint32_t len)
{
    uint8_t bytes[200];
    memset(bytes, (int)len, sizeof(bytes));
    struct ws_packet p = {.data = bytes,
                          .ts_ns = RIG_T0 + (int64_t)r->ordinal,
                          .ordinal = r->ordinal,
                          .cap_len = len,
                          .wire_len = len + 5,
                          .link_type = link,
                          .dir = dir};
    r->ordinal++;
    r->sink->ops->packet(r->sink, &f->flow, &p);
}

static void pcap_per_flow(void **state)
{
    char err[PCAP_ERRBUF_SIZE];
    (void)state;
    for (int separate = 0; separate < 2; separate++) {
        struct rig r;
        struct rig_flow f;
        begin(&r,
              (struct ws_sink_stream_config){
                  .format = WS_STREAM_PCAP, .separate = separate != 0, .pcap_tcp = true},
              0, true);
        rig_flow_init(&f, 0);
        one_packet(&r, &f, 0, 1, 60);
        one_packet(&r, &f, 1, 1, 61);
        one_packet(&r, &f, 0, 113, 62); /* another link type */
        rig_close(&r, &f);
        rig_finish(&r);
        assert_int_equal(rig_count(&r, WS_C_OUT_STREAM_PACKETS), 2);
        assert_int_equal(rig_count(&r, WS_C_OUT_LINK_TYPE), 1);
        assert_int_equal(files_in(in_out(&r, "")), 1 + separate);
        pcap_t *pc = pcap_open_offline_with_tstamp_precision(in_out(&r, A ".pcap"),
                                                             PCAP_TSTAMP_PRECISION_NANO, err);
        assert_non_null(pc);
        for (uint32_t i = 0; i < (separate ? 1u : 2u); i++) {
            struct pcap_pkthdr *h;
            const u_char *data;
            assert_int_equal(pcap_next_ex(pc, &h, &data), 1);
            assert_int_equal(h->caplen, 60 + i);
            assert_int_equal(h->len, 65 + i);
            assert_int_equal(h->ts.tv_usec, 250000000 + i);
        }
        pcap_close(pc);
        rig_fini(&r);
    }
}

/* No writer takes blocks: what does not fit is counted, and the file keeps its shape. */
static void no_blocks(void **state)
{
    struct rig r;
    struct rig_flow f;
    static uint8_t piece[1000];
    uint64_t off = 0;
    (void)state;
    memset(piece, 'p', sizeof(piece));
    records = 0;
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_RAW, .closed = on_record}, 4,
          false);
    rig_flow_init(&f, 0);
    for (; off < 1000000; off += sizeof(piece))
        rig_data(&r, &f, 0, off, piece, sizeof(piece));
    uint64_t lost = rig_count(&r, WS_C_SHED_BLOCK_BYTES);
    assert_true(lost > 500000 && lost < 1000000);
    assert_int_equal(lost + rig_count(&r, WS_C_OUT_STREAM_BYTES), 1000000);
    rig_close(&r, &f);
    assert_int_equal(last_record.shed_bytes, lost);
    assert_int_equal(last_record.file_bytes, off);
    while (ws_writer_poll(r.bed.w))
        ;
    rig_finish(&r);
    struct stat st;
    assert_int_equal(stat(in_out(&r, A), &st), 0);
    assert_int_equal(st.st_size, off);
    assert_int_equal(st.st_mtim.tv_sec, 1000000000);
    rig_fini(&r);
}

/* More ends of files than the channel's reserve takes: they are kept and given later, none is lost.
 */
static void no_blocks_for_closes(void **state)
{
    enum { FLOWS = 6000 };
    struct rig r;
    struct stat st;
    unsigned opened = 0;
    (void)state;
    struct rig_flow *f = calloc(FLOWS, sizeof(*f));
    assert_non_null(f);
    records = 0;
    begin(&r,
          (struct ws_sink_stream_config){.format = WS_STREAM_RAW,
                                         .closed = on_record,
                                         .name_template = "%-a",
                                         .names_max = 65536},
          4, false);
    for (unsigned i = 0; i < FLOWS; i++) {
        rig_flow_init(&f[i], i);
        f[i].flow.key.port[0] = (uint16_t)(1 + i);
        rig_str(&r, &f[i], 0, 0, "x");
    }
    for (unsigned i = 0; i < FLOWS; i++)
        rig_close(&r, &f[i]);
    for (uint16_t i = 0; i < 16; i++) { /* each file that is opened gives them a try */
        struct rig_flow next;
        while (ws_writer_poll(r.bed.w))
            ;
        rig_flow_init(&next, FLOWS + i);
        next.flow.key.port[0] = (uint16_t)(60000 + i);
        rig_str(&r, &next, 0, 0, "x");
    }
    rig_finish(&r);
    assert_int_equal(rig_count(&r, WS_C_OUT_CLOSES_LOST), 0);
    for (unsigned i = 0; i < FLOWS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%u", 1 + i);
        if (stat(in_out(&r, name), &st) != 0)
            continue;
        assert_int_equal(st.st_mtim.tv_sec, 1000000000);
        assert_int_equal(st.st_size, 1);
        opened++;
    }
    assert_true(opened > 1500 && opened < FLOWS);
    assert_int_equal(records, opened);
    free(f);
    rig_fini(&r);
}

/* The same for chunks: the reader of the file is told of what is missing. */
static void no_blocks_chunks(void **state)
{
    struct rig r;
    struct rig_flow f;
    static char piece[1001];
    size_t len = 0;
    (void)state;
    memset(piece, 'p', 1000);
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_CHUNKS}, 4, false);
    rig_flow_init(&f, 0);
    for (unsigned i = 0; i < 1000; i++)
        rig_str(&r, &f, 0, i * 1000, piece);
    uint64_t lost = rig_count(&r, WS_C_SHED_BLOCK_BYTES);
    assert_true(lost > 0);
    while (ws_writer_poll(r.bed.w))
        ;
    rig_str(&r, &f, 0, 1000000, "end");
    rig_close(&r, &f);
    rig_finish(&r);
    char want[64];
    uint8_t *p = bed_read(in_out(&r, "20010909014640-TCP-10.0.0.1.1111-10.0.0.2.80.txt"), &len);
    int n = snprintf(want, sizeof(want), "[%llu bytes missing]end", (unsigned long long)lost);
    assert_memory_equal(p + len - (size_t)n, want, (size_t)n);
    free(p);
    rig_fini(&r);
}

/* A later connection's bytes follow, with a marker of their own, and its gaps lie behind the first one's bytes. */
static void later_connections(void **state)
{
    struct rig r;
    struct rig_flow f;
    uint8_t want[4 * WS_CHUNK32_LEN + 6] = {0};
    char text[256] = "";
    (void)state;
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_RAW, .gaps_holes = true, .gaps_file = true}, 0, true);
    rig_flow_init(&f, 0);
    rig_str(&r, &f, 0, 0, "abc");
    r.sink->ops->restart(r.sink, &f.flow);
    rig_gap(&r, &f, 0, 0, 2, WS_GAP_NEVER_SEEN);
    rig_str(&r, &f, 0, 2, "def");
    rig_close(&r, &f);
    rig_finish(&r);
    bed_expect(in_out(&r, A), "abc\0\0def", 8);
    FILE *g = fopen(in_out(&r, A ".gaps"), "r");
    assert_non_null(g);
    assert_non_null(fgets(text, sizeof(text), g));
    fclose(g);
    assert_non_null(strstr(text, "\"offset\":3,\"length\":2"));
    rig_fini(&r);

    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_HEADERS32}, 0, true);
    rig_flow_init(&f, 0);
    rig_str(&r, &f, 0, 0, "abc");
    r.sink->ops->restart(r.sink, &f.flow);
    rig_str(&r, &f, 0, 0, "def");
    rig_close(&r, &f);
    rig_finish(&r);
    g = fopen(in_out(&r, A), "rb");
    assert_non_null(g);
    assert_int_equal(fread(want, 1, sizeof(want), g), sizeof(want));
    assert_int_equal(fgetc(g), EOF);
    fclose(g);
    assert_int_equal(want[25] & 0x80, 0x80);
    assert_int_equal(want[32 + 25] & 0x80, 0);
    assert_int_equal(want[64 + 3 + 25] & 0x80, 0x80);
    assert_memory_equal(want + sizeof(want) - 3, "def", 3);
    rig_fini(&r);
}

/* Streams of at most size_min bytes leave nothing, whatever was written of them. */
static void small_streams(void **state)
{
    struct rig r;
    struct rig_flow f;
    (void)state;
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_RAW, .gaps_file = true, .size_min = 5}, 0, true);
    rig_flow_init(&f, 0);
    rig_gap(&r, &f, 0, 0, 100, WS_GAP_NEVER_SEEN);
    rig_str(&r, &f, 0, 100, "small");
    rig_str(&r, &f, 1, 0, "larger");
    rig_close(&r, &f);
    rig_finish(&r);
    assert_int_equal(files_in(in_out(&r, "")), 1);
    bed_expect(in_out(&r, B), "larger", 6);
    assert_int_equal(rig_count(&r, WS_C_OUT_SMALL), 1);
    assert_int_equal(rig_count(&r, WS_C_OUT_SMALL_BYTES), 5);
    rig_fini(&r);
}

/* The header before a datagram's payload, raw and in records. */
static void udp_headers(void **state)
{
    static const uint8_t datagrams[2][11] = {"12345678abc", "hgfedcbaxyz"};
    static const enum ws_stream_format formats[] = {WS_STREAM_RAW, WS_STREAM_HEADERS12};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig r;
        struct rig_flow f;
        uint8_t want[2 * (12 + 11)];
        size_t len = 0;
        begin(&r, (struct ws_sink_stream_config){.format = formats[i], .udp_header = true}, 0, true);
        rig_flow_init(&f, 0);
        f.flow.key.proto = 17;
        for (size_t d = 0; d < 2; d++) {
            struct ws_tcp_meta m = {.ts_ns = 5, .ordinal = d};
            r.sink->ops->data(r.sink, &f.flow, 0, d * 3, datagrams[d] + 8, 3, &m);
            if (i) {
                ws_chunk12_encode(want + len, &(struct ws_chunk){.ts_ns = 5, .len = 11});
                len += 12;
            }
            memcpy(want + len, datagrams[d], 11);
            len += 11;
        }
        rig_close(&r, &f);
        rig_finish(&r);
        bed_expect(in_out(&r, A), want, len);
        rig_fini(&r);
    }
}

/* A gap between such datagrams: its line says where the file has it. */
static void udp_headers_gap(void **state)
{
    static const char side[] = "{\"offset\":11,\"length\":4,\"cause\":\"shed\"}\n";
    struct rig r;
    struct rig_flow f;
    const struct ws_tcp_meta m = {.ts_ns = 5};
    (void)state;
    begin(&r, (struct ws_sink_stream_config){.format = WS_STREAM_RAW, .udp_header = true, .gaps_file = true}, 0, true);
    rig_flow_init(&f, 0);
    f.flow.key.proto = 17;
    r.sink->ops->data(r.sink, &f.flow, 0, 0, (const uint8_t *)"12345678abc" + 8, 3, &m);
    rig_gap(&r, &f, 0, 3, 4, WS_GAP_SHED);
    r.sink->ops->data(r.sink, &f.flow, 0, 7, (const uint8_t *)"hgfedcbaxyz" + 8, 3, &m);
    rig_close(&r, &f);
    rig_finish(&r);
    bed_expect(in_out(&r, A), "12345678abc\0\0\0\0hgfedcbaxyz", 26);
    bed_expect(in_out(&r, A ".gaps"), side, sizeof(side) - 1);
    rig_fini(&r);
}

/* UDP-Lite whose ports were not read: its header is part of the payload already. */
static void udp_lite_without_ports(void **state)
{
    (void)state;
    struct rig r;
    struct rig_flow f;
    const struct ws_tcp_meta m = {.ts_ns = 5};
    begin(&r, (struct ws_sink_stream_config){.name_template = "f", .udp_header = true}, 0, true);
    rig_flow_init(&f, 0);
    f.flow.key.proto = 136;
    f.flow.key.port[0] = f.flow.key.port[1] = 0;
    r.sink->ops->data(r.sink, &f.flow, 0, 0, (const uint8_t *)"IPHEADER12345678abc" + 8, 11, &m);
    rig_close(&r, &f);
    rig_finish(&r);
    bed_expect(in_out(&r, "f"), "12345678abc", 11);
    rig_fini(&r);
}

static void bad_template(void **state)
{
    struct ws_sink *s = NULL;
    char err[200] = "";
    (void)state;
    struct ws_sink_stream_config cfg = {.name_template = "%Q", .names_max = 8};
    assert_int_equal(ws_sink_stream_create(&s, &cfg, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "%Q"));
}

/* Both directions in one file: gaps as text, as holes, or left out; one last gap. */
static void plain(void **state)
{
    static const struct {
        bool skip, holes;
        uint64_t holes_max;
        const char *want;
        size_t len;
    } cases[] = {
        {false, false, 0, "[3 bytes missing]abcxy[5 bytes missing]de[2 bytes missing]", 58},
        {true, false, 0, "abcxyde", 7},
        {false, true, 0, "\0\0\0abcxy\0\0\0\0\0de\0\0", 17},
        {false, true, 7, "\0\0\0abcxyde\0\0", 12},
    };
    (void)state;
    for (size_t i = 0; i < WS_ARRAY_SIZE(cases); i++) {
        struct rig r;
        struct rig_flow f;
        begin(&r,
              (struct ws_sink_stream_config){.format = WS_STREAM_PLAIN,
                                             .gaps_skip = cases[i].skip,
                                             .gaps_holes = cases[i].holes,
                                             .holes_max = cases[i].holes_max},
              0, true);
        rig_flow_init(&f, 0);
        rig_gap(&r, &f, 0, 0, 3, WS_GAP_NEVER_SEEN);
        rig_str(&r, &f, 0, 3, "abc");
        rig_str(&r, &f, 1, 0, "xy");
        rig_gap(&r, &f, 0, 6, 5, WS_GAP_CAP);
        rig_str(&r, &f, 0, 11, "de");
        rig_gap(&r, &f, 0, 13, 2, WS_GAP_SNAPLEN);
        rig_close(&r, &f);
        rig_finish(&r);
        bed_expect(in_out(&r, A), cases[i].want, cases[i].len);
        assert_int_equal(files_in(in_out(&r, "")), 1);
        assert_int_equal(rig_count(&r, WS_C_OUT_STREAM_BYTES), 7);
        rig_fini(&r);
    }
}

/* Counts by side, for connections with and without data; not for what nobody wanted. */
static void metadata(void **state)
{
    static const char text[] = "Number of data packets in side 0:  2\n"
                               "Number of data packets in side 1:  3\n"
                               "Total number of data packets:      5\n"
                               "\n"
                               "Number of bytes in side 0:         2\n"
                               "Number of bytes in side 1:         6\n"
                               "Total number of bytes:             8\n"
                               "\n"
                               "Number of messages in side 0:      1\n"
                               "Number of messages in side 1:      2\n";
    struct rig r;
    struct rig_flow f, empty, other, udp;
    (void)state;
    begin(&r,
          (struct ws_sink_stream_config){.format = WS_STREAM_CHUNKS,
                                         .name_template = "%D.%-a-%-b%C%c.txt",
                                         .separate = true,
                                         .metadata = WS_STREAM_METADATA_TEXT,
                                         .pcap_tcp = true},
          0, true);
    rig_flow_init(&f, 0);
    rig_flow_init(&empty, 10);
    rig_flow_init(&other, 20);
    rig_flow_init(&udp, 30);
    other.flow.selected = 0;
    udp.flow.key.proto = 17;
    f.flow.orig = empty.flow.orig = 1; /* side 0 */
    f.first.ts_ns[0] += INT64_C(5000000000); /* both files have the connection's time */
    rig_str(&r, &f, 0, 0, "ab");
    rig_str(&r, &f, 1, 0, "x");
    rig_str(&r, &f, 1, 1, "y");
    rig_str(&r, &f, 0, 2, "cd");
    rig_str(&r, &f, 0, 4, "ef");
    rig_close(&r, &f);
    rig_close(&r, &empty);
    rig_close(&r, &other);
    rig_close(&r, &udp);
    rig_finish(&r);
    assert_int_equal(files_in(in_out(&r, "")), 4);
    bed_expect(in_out(&r, "20010909014640.80-1111-metadata.txt"), text, sizeof(text) - 1);
    assert_int_equal(access(in_out(&r, "20010909014640.80-1111.txt"), F_OK), 0);
    assert_int_equal(access(in_out(&r, "20010909014640.1111-80.txt"), F_OK), 0);
    assert_int_equal(access(in_out(&r, "20010909014640.80-1111c1-metadata.txt"), F_OK), 0);
    rig_fini(&r);
}

/* All connections in one output: records in the order of the packets that brought them, whatever was promised before. */
static void merged(void **state)
{
    struct rig r;
    struct rig_flow f, g;
    struct ws_sink *s;
    char err[200];
    (void)state;
    memset(&r, 0, sizeof(r));
    bed_init(&r.bed, &(struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
    struct ws_output *o = bed_add(&r.bed, (struct ws_output_config){
                                              .kind = WS_OUTPUT_MERGED,
                                              .path = bed_path(&r.bed, "all"),
                                              .channels = 1,
                                              .blocks = 16,
                                              .block_bytes = 1 << 20,
                                              .may_wait = true,
                                          });
    struct ws_sink_stream_config cfg = {
        .channel = ws_output_channel(o, 0), .format = WS_STREAM_CHUNKS, .merged = true, .names_max = 64};
    assert_int_equal(ws_sink_stream_create(&s, &cfg, err, sizeof(err)), 0);
    rig_attach(&r, s);
    rig_flow_init(&f, 0);
    rig_flow_init(&g, 1);
    r.ordinal = 7;
    rig_str(&r, &f, 0, 0, "one");
    assert_true(s->ops->order(s, 9) <= s->ops->order(s, UINT64_MAX - 1));
    r.ordinal = 5; /* had waited */
    rig_str(&r, &g, 1, 0, "two");
    rig_gap(&r, &f, 0, 3, 4, WS_GAP_NEVER_SEEN);
    rig_close(&r, &f);
    rig_close(&r, &g);
    rig_finish(&r);
    static const char want[] = "\r\n{\"_\":\"--------------------\",\"side\":\"0\",\"size\":\"3\"}\r\none"
                               "\r\n{\"_\":\"--------------------\",\"side\":\"1\",\"size\":\"3\"}\r\ntwo"
                               "\r\n{\"_\":\"--------------------\",\"side\":\"0\",\"size\":\"17\"}\r\n[4 bytes missing]";
    bed_expect(bed_path(&r.bed, "all"), want, sizeof(want) - 1);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_both_directions),
        cmocka_unit_test(gaps),
        cmocka_unit_test(name_counters),
        cmocka_unit_test(name_table_full),
        cmocka_unit_test(macs_and_directories),
        cmocka_unit_test(headers12),
        cmocka_unit_test(headers32),
        cmocka_unit_test(chunks),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(pcap_per_flow),
        cmocka_unit_test(no_blocks),
        cmocka_unit_test(no_blocks_for_closes),
        cmocka_unit_test(no_blocks_chunks),
        cmocka_unit_test(bad_template),
        cmocka_unit_test(later_connections),
        cmocka_unit_test(small_streams),
        cmocka_unit_test(udp_headers), cmocka_unit_test(udp_headers_gap),
        cmocka_unit_test(udp_lite_without_ports),
        cmocka_unit_test(plain),
        cmocka_unit_test(metadata),
        cmocka_unit_test(merged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
