/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes past the page cache: the file is what it would be through it, on good days and bad ones. */
#include "bed.h"

#include <signal.h>
#include <sys/resource.h>

#include "writer/direct.h"

/* On the disk of the build directory; where that takes no direct writes the tests skip. */
static void begin(struct bed *b, struct ws_writer_config cfg)
{
    char name[] = "ws-direct-XXXXXX";
    int fd = mkstemp(name), direct = open(name, O_WRONLY | O_DIRECT);
    assert_true(fd >= 0);
    unlink(name);
    close(fd);
    if (direct < 0)
        skip();
    close(direct);
    if (!cfg.retry_ns)
        cfg.retry_ns = 1000000;
    bed_init_at(b, &cfg, ".");
}

enum { BLOCK = 1 << 20, HEAD = 5000 };

/* What byte `at` of a file is. */
static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 0x9e3779b97f4a7c15u >> 56);
}

static void fill(uint8_t *to, uint64_t at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = pattern(at + i);
}

static void check_whole(const char *path, uint64_t bytes)
{
    struct stat st;
    size_t len = 0;
    uint8_t *p = bed_read(path, &len);
    assert_non_null(p);
    assert_int_equal(len, bytes);
    for (size_t i = 0; i < len; i++)
        if (p[i] != pattern(i))
            fail_msg("%s: byte %zu", path, i);
    free(p);
    /* Space that was reserved ahead is given back. */
    assert_int_equal(stat(path, &st), 0);
    assert_true((uint64_t)st.st_blocks * 512 <= bytes + (64 << 10));
}

/* Records of random lengths in whole and in partly filled blocks: every alignment of what two blocks share. */
static void merged_run(enum ws_backend_kind backend, uint64_t seed, unsigned blocks, unsigned partial)
{
    struct bed b;
    static uint8_t head[HEAD];
    uint8_t *rec = malloc(70000);
    uint64_t at = HEAD, s = seed;
    assert_non_null(rec);
    begin(&b, (struct ws_writer_config){.backend = backend});
    fill(head, 0, HEAD);
    bed_add(&b, (struct ws_output_config){.kind = WS_OUTPUT_MERGED,
                                          .path = bed_path(&b, "m"),
                                          .direct = true,
                                          .commit = true,
                                          .channels = 1,
                                          .blocks = blocks,
                                          .may_wait = true,
                                          .flush_ns = 1000,
                                          .header = head,
                                          .header_len = HEAD});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    bed_start(&b);
    for (unsigned i = 0; at < 24u << 20; i++) {
        size_t len = 1 + bed_random(&s) % (bed_random(&s) % 8 ? 1500 : 65000);
        fill(rec, at, len);
        assert_int_equal(put_record(ch, i, rec, len), 0);
        at += len;
        ws_channel_tick(ch, i, 0, partial && bed_random(&s) % partial == 0);
    }
    ws_channel_finish(ch);
    bed_drain(&b);
    check_whole(bed_path(&b, "m"), at);
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), at);
    assert_true(bed_count(&b, WS_C_WRITE_DIRECT) > at / 4);
    bed_fini(&b);
    free(rec);
}

static void test_merged(void **state)
{
    (void)state;
    merged_run(WS_BACKEND_AUTO, 1, 32, 0);
    merged_run(WS_BACKEND_AUTO, 2, 4, 300);
    merged_run(WS_BACKEND_PLAIN, 3, 32, 2000);
    merged_run(WS_BACKEND_PLAIN, 4, 2, 0);
}

/* Files one after another, written in pieces of any length that go on in the next block. */
static void tree_run(enum ws_backend_kind backend, uint64_t seed, unsigned partial)
{
    struct bed b;
    uint8_t *piece = malloc(200000);
    uint64_t s = seed, size[5];
    assert_non_null(piece);
    begin(&b, (struct ws_writer_config){.backend = backend});
    bed_add(&b, (struct ws_output_config){.kind = WS_OUTPUT_TREE,
                                          .path = bed_path(&b, "t"),
                                          .direct = true,
                                          .channels = 1,
                                          .blocks = 16,
                                          .may_wait = true,
                                          .flush_ns = 1000});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    bed_start(&b);
    for (unsigned f = 0; f < 5; f++) {
        char name[8];
        snprintf(name, sizeof(name), "f%u", f);
        uint64_t id = ws_channel_file_open(ch, name, WS_FILE_PART), want = f == 4 ? 100 : bed_random(&s) % (12u << 20);
        for (size[f] = 0; size[f] < want;) {
            size_t len = 1 + bed_random(&s) % (bed_random(&s) % 8 ? 1500 : 200000);
            struct ws_bytes bytes = {piece, len};
            fill(piece, size[f], len);
            assert_int_equal(ws_channel_file_write(ch, id, size[f], &bytes, 1), 0);
            size[f] += len;
            ws_channel_tick(ch, 0, 0, partial && bed_random(&s) % partial == 0);
        }
        assert_int_equal(ws_channel_file_close(ch, id, size[f], INT64_MIN, 0), 0);
    }
    ws_channel_finish(ch);
    bed_drain(&b);
    for (unsigned f = 0; f < 5; f++) {
        char name[8];
        snprintf(name, sizeof(name), "t/f%u", f);
        check_whole(bed_path(&b, name), size[f]);
    }
    assert_true(bed_count(&b, WS_C_WRITE_DIRECT) > 1 << 20);
    assert_int_equal(b.closed, 5);
    bed_fini(&b);
    free(piece);
}

static void test_tree(void **state)
{
    (void)state;
    tree_run(WS_BACKEND_AUTO, 5, 0);
    tree_run(WS_BACKEND_PLAIN, 6, 500);
}

enum { REC = 3001 };

/* Starts the writer with one output of few blocks that go to the disk soon. */
static struct ws_channel *start_small(struct bed *b, enum ws_output_kind kind, const char *name)
{
    bed_add(b, (struct ws_output_config){.kind = kind,
                                         .path = bed_path(b, name),
                                         .direct = true,
                                         .channels = 1,
                                         .blocks = 8,
                                         .may_wait = true,
                                         .flush_ns = 1000});
    bed_start(b);
    return ws_output_channel(b->out, 0);
}

/* A disk that fails and comes back: the file holds whole records in rising order, and what is missing was counted. */
static void fault_run(struct ws_fault fault, bool loses)
{
    struct bed b;
    enum { N = 6000 };
    uint8_t rec[REC] = {0};
    begin(&b, (struct ws_writer_config){.backend = WS_BACKEND_FAULT, .fault = fault});
    struct ws_channel *ch = start_small(&b, WS_OUTPUT_MERGED, "m");
    for (unsigned i = 0; i < N; i++) {
        memcpy(rec, &i, sizeof(i));
        memset(rec + 4, (int)(i * 7 & 0xff), REC - 4);
        assert_int_equal(put_record(ch, i, rec, REC), 0);
        ws_channel_tick(ch, i, 0, i % 1000 == 999);
        if (i % 200 == 0)
            usleep(500);
    }
    ws_channel_finish(ch);
    bed_drain(&b);
    size_t len = 0;
    uint8_t *p = bed_read(bed_path(&b, "m"), &len);
    assert_non_null(p);
    assert_int_equal(len % REC, 0);
    unsigned n = (unsigned)(len / REC);
    for (unsigned k = 0, last = 0; k < n; k++) {
        unsigned i;
        memcpy(&i, p + (size_t)k * REC, sizeof(i));
        assert_true(k == 0 || i > last);
        for (size_t j = 4; j < REC; j++)
            assert_int_equal(p[(size_t)k * REC + j], i * 7 & 0xff);
        last = i;
    }
    free(p);
    assert_int_equal(n + bed_count(&b, WS_C_WRITE_LOST_PACKETS), N);
    assert_int_equal(len, bed_count(&b, WS_C_WRITE_BYTES));
    assert_int_equal(bed_count(&b, WS_C_WRITE_DIRECT) > 0, fault.error != EINVAL);
    assert_int_equal(n < N, loses);
    assert_int_equal(ws_writer_suspended(b.w), 0);
    bed_fini(&b);
}

/* A file of a tree on such a disk: each byte is in the file or was counted as lost. */
static void tree_fault_run(enum ws_backend_kind backend, struct ws_fault fault, unsigned flush_each)
{
    struct bed b;
    enum { N = 6000 };
    uint8_t rec[REC];
    struct ws_bytes bytes = {rec, REC};
    begin(&b, (struct ws_writer_config){.backend = backend, .fault = fault});
    struct ws_channel *ch = start_small(&b, WS_OUTPUT_TREE, "t");
    uint64_t id = ws_channel_file_open(ch, "f", WS_FILE_PART);
    memset(rec, 0x5a, sizeof(rec));
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(ws_channel_file_write(ch, id, (uint64_t)i * REC, &bytes, 1), 0);
        ws_channel_tick(ch, 0, 0, i % flush_each == flush_each - 1);
        if (i % 200 == 0)
            usleep(500);
    }
    assert_int_equal(ws_channel_file_close(ch, id, (uint64_t)N * REC, INT64_MIN, 0), 0);
    ws_channel_finish(ch);
    bed_drain(&b);
    size_t len = 0, there = 0;
    uint8_t *p = bed_read(bed_path(&b, "t/f.part"), &len);
    assert_non_null(p);
    for (size_t i = 0; i < len; i++)
        there += p[i] == 0x5a;
    free(p);
    assert_int_equal(there, bed_count(&b, WS_C_WRITE_BYTES));
    assert_int_equal(there + bed_count(&b, WS_C_WRITE_LOST_BYTES), (uint64_t)N * REC);
    assert_true(there < (uint64_t)N * REC);
    bed_fini(&b);
}

static void test_tree_faults(void **state)
{
    (void)state;
    for (unsigned each = 100; each <= 1000; each += 900) {
        tree_fault_run(WS_BACKEND_FAULT, (struct ws_fault){.byte_budget = 5000001, .error = ENOSPC}, each);
        tree_fault_run(WS_BACKEND_FAULT, (struct ws_fault){.byte_budget = 5000001, .error = ENOSPC, .recover_after = 2}, each);
        tree_fault_run(WS_BACKEND_FAULT, (struct ws_fault){.byte_budget = 4096 * 1500, .error = EIO, .recover_after = 1}, each);
    }
}

static void test_faults(void **state)
{
    (void)state;
    fault_run((struct ws_fault){.byte_budget = 5000001, .error = ENOSPC, .recover_after = 2}, true);
    fault_run((struct ws_fault){.byte_budget = 4096 * 1000, .error = EIO, .recover_after = 1}, true);
    fault_run((struct ws_fault){.short_every = 2}, false);
    fault_run((struct ws_fault){.stall_at = 3000000, .stall_ns = 20000000}, false);
}

/* The kernel refuses the first direct write: what was laid for it goes through the page cache. */
static void test_refused(void **state)
{
    (void)state;
    fault_run((struct ws_fault){.byte_budget = 1000, .error = EINVAL, .recover_after = 1}, false);
}

/* File m of one channel, written directly. */
static struct ws_channel *add_direct(struct bed *b, int64_t flush_ns)
{
    bed_add(b, (struct ws_output_config){.kind = WS_OUTPUT_MERGED,
                                         .path = bed_path(b, "m"),
                                         .direct = true,
                                         .channels = 1,
                                         .may_wait = true,
                                         .flush_ns = flush_ns});
    return ws_output_channel(b->out, 0);
}

/* File m ends between two of its n records, and what is not in it was counted. Its length. */
static size_t check_cut(struct bed *b, unsigned n)
{
    size_t len = 0;
    uint8_t *p = bed_read(bed_path(b, "m"), &len);
    assert_non_null(p);
    free(p);
    assert_int_equal(len % REC, 0);
    assert_int_equal(len, bed_count(b, WS_C_WRITE_BYTES));
    assert_int_equal(len / REC + bed_count(b, WS_C_WRITE_LOST_PACKETS), n);
    assert_int_equal(len + bed_count(b, WS_C_WRITE_LOST_BYTES), (size_t)n * REC);
    return len;
}

/* The end of the file fills no page and cannot be written (a limit of the file's size stands for a disk that fails): the file
 * ends between records, and those that are missing were counted. */
static void test_end_that_does_not_fit(void **state)
{
    (void)state;
    for (unsigned flush_each = 7; flush_each <= 7000; flush_each *= 1000) {
        struct bed b;
        enum { N = 2000 };
        struct rlimit old, limit;
        uint8_t rec[REC] = {0};
        begin(&b, (struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
        struct ws_channel *ch = add_direct(&b, 1000000000);
        getrlimit(RLIMIT_FSIZE, &old);
        limit = old;
        limit.rlim_cur = (rlim_t)N * REC / WS_DIRECT_ALIGN * WS_DIRECT_ALIGN;
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        for (unsigned i = 0; i < N; i++) {
            memcpy(rec, &i, sizeof(i));
            assert_int_equal(put_record(ch, i, rec, REC), 0);
            ws_channel_tick(ch, i, 0, i % flush_each == flush_each - 1);
            ws_writer_poll(b.w);
        }
        ws_channel_finish(ch);
        while (!ws_writer_done(b.w))
            ws_writer_poll(b.w);
        setrlimit(RLIMIT_FSIZE, &old);
        const size_t len = check_cut(&b, N);
        assert_true(len < (size_t)N * REC && len > 0);
        assert_true(bed_count(&b, WS_C_WRITE_DIRECT) > 0);
        bed_fini(&b);
    }
}

/* The same when a run is aborted: the file ends between records, and all that is not in it was counted. */
static void test_abort_at_an_end_that_does_not_fit(void **state)
{
    struct bed b;
    enum { N = 2000 };
    struct rlimit old, limit;
    uint8_t rec[REC] = {0};
    (void)state;
    begin(&b, (struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
    struct ws_channel *ch = add_direct(&b, 4);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(put_record(ch, i, rec, REC), 0);
    ws_channel_tick(ch, N, 0, true);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = (rlim_t)N * REC / WS_DIRECT_ALIGN * WS_DIRECT_ALIGN;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (unsigned polls = 0; polls < 1000 && bed_count(&b, WS_C_WRITE_BYTES) == 0; polls++)
        ws_writer_poll(b.w);
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), N * REC); /* the last page's in memory */
    assert_true(bed_count(&b, WS_C_WRITE_DIRECT) > 0);
    ws_writer_abort(b.w);
    ws_writer_poll(b.w);
    assert_true(ws_writer_done(b.w));
    setrlimit(RLIMIT_FSIZE, &old);
    check_cut(&b, N);
    bed_fini(&b);
}

/* In memory there is no direct write, and nothing is said about it. */
static void test_not_possible(void **state)
{
    struct bed b;
    uint8_t rec[4000];
    (void)state;
    bed_init(&b, &(struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
    bed_add(&b, (struct ws_output_config){
                    .kind = WS_OUTPUT_MERGED, .path = bed_path(&b, "m"), .direct = true, .channels = 1, .may_wait = true});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    bed_start(&b);
    for (unsigned i = 0; i < 3000; i++) {
        fill(rec, (uint64_t)i * sizeof(rec), sizeof(rec));
        assert_int_equal(put_record(ch, i, rec, sizeof(rec)), 0);
    }
    ws_channel_finish(ch);
    bed_drain(&b);
    check_whole(bed_path(&b, "m"), 3000 * sizeof(rec));
    assert_string_equal(bed_log, "");
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merged),  cmocka_unit_test(test_tree),         cmocka_unit_test(test_faults),
        cmocka_unit_test(test_tree_faults), cmocka_unit_test(test_refused), cmocka_unit_test(test_not_possible),
        cmocka_unit_test(test_end_that_does_not_fit), cmocka_unit_test(test_abort_at_an_end_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
