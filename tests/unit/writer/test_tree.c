/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer's tree outputs: extents, gathering, names, what exists already, the LRU of open files.
 */
#include "bed.h"

#include <sys/resource.h>

static enum ws_backend_kind backend = WS_BACKEND_PLAIN;

static void start(struct bed *b, struct ws_writer_config w, struct ws_output_config o)
{
    w.backend = backend;
    bed_init(b, &w);
    o.kind = WS_OUTPUT_TREE;
    o.path = bed_path(b, "out");
    o.channels = o.channels ? o.channels : 1;
    bed_add(b, o);
}

static void finish(struct bed *b, struct ws_channel *ch)
{
    ws_channel_finish(ch);
    bed_drain(b);
}

/* Who could not say that a file is whole leaves it unfinished. */
static void test_not_closed(void **state)
{
    struct bed b;
    (void)state;
    start(&b, (struct ws_writer_config){0}, (struct ws_output_config){.may_wait = true});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    uint64_t id = ws_channel_file_open(ch, "half", WS_FILE_PART | WS_FILE_STRICT), plain = ws_channel_file_open(ch, "plain", WS_FILE_PART);
    assert_int_equal(put_str(ch, id, 0, "hello"), 0);
    assert_int_equal(put_str(ch, plain, 0, "world"), 0);
    finish(&b, ch);
    bed_expect(bed_path(&b, "out/half.part"), "hello", 5);
    assert_false(bed_exists(bed_path(&b, "out/half")));
    bed_expect(bed_path(&b, "out/plain"), "world", 5);
    bed_fini(&b);
}

static void test_small_files(void **state)
{
    struct bed b;
    (void)state;
    start(&b, (struct ws_writer_config){0}, (struct ws_output_config){.may_wait = true});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    uint64_t id = ws_channel_file_open(ch, "one", 0);
    assert_int_not_equal(id, 0);
    assert_int_equal(put_str(ch, id, 0, "hello "), 0);
    assert_int_equal(put_str(ch, id, 6, "world"), 0);
    assert_int_equal(ws_channel_file_close(ch, id, UINT64_MAX, INT64_C(1234567890123456789), 77),
                     0);
    uint64_t empty = ws_channel_file_open(ch, "d1/d2/empty", WS_FILE_PART);
    assert_int_not_equal(empty, id);
    assert_int_equal(ws_channel_file_close(ch, empty, UINT64_MAX, INT64_MIN, 78), 0);
    finish(&b, ch);
    bed_expect(bed_path(&b, "out/one"), "hello world", 11);
    bed_expect(bed_path(&b, "out/d1/d2/empty"), "", 0);
    assert_false(bed_exists(bed_path(&b, "out/d1/d2/empty.part")));
    struct stat st;
    assert_int_equal(stat(bed_path(&b, "out/one"), &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1234567890);
    assert_int_equal(st.st_mtim.tv_nsec, 123456789);
    assert_int_equal(b.closed, 2);
    assert_int_equal(b.closed_error, 0);
    if (backend == WS_BACKEND_PLAIN) { /* else in any order */
        assert_string_equal(b.closed_path, "d1/d2/empty");
        assert_int_equal(b.closed_tag, 78);
    }
    assert_int_equal(bed_count(&b, WS_C_OUT_FILES), 2);
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), 11);
    assert_int_equal(bed_count(&b, WS_C_WRITE_CALLS), 1);
    bed_fini(&b);
}

/* Small holes between extents go out as zeros with them, in one write; large ones stay holes. */
static void test_small_holes(void **state)
{
    struct bed b;
    static char want[20000];
    (void)state;
    start(&b, (struct ws_writer_config){0}, (struct ws_output_config){.may_wait = true});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    uint64_t id = ws_channel_file_open(ch, "f", 0), bytes = 0;
    for (unsigned off = 0; off < 8000; off += 8) {
        assert_int_equal(put_str(ch, id, off, "abc"), 0);
        memcpy(want + off, "abc", 3);
        bytes += 3;
    }
    assert_int_equal(put_str(ch, id, 7995 + 4096, "far"), 0);
    memcpy(want + 7995 + 4096, "far", 3);
    assert_int_equal(ws_channel_file_close(ch, id, UINT64_MAX, INT64_MIN, 0), 0);
    finish(&b, ch);
    bed_expect(bed_path(&b, "out/f"), want, 7995 + 4096 + 3);
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), bytes + 3);
    assert_int_equal(bed_count(&b, WS_C_WRITE_CALLS), 1000 * 2 / 1024 + 1 + 1);
    bed_fini(&b);
}

/* In a file written at any offset zeros never land on bytes of an earlier write. */
static void test_small_holes_over_data(void **state)
{
    struct bed b;
    static char want[4000];
    (void)state;
    start(&b, (struct ws_writer_config){0}, (struct ws_output_config){.may_wait = true});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    uint64_t id = ws_channel_file_open(ch, "f", 0);
    assert_int_equal(put_str(ch, id, 1000, "first"), 0); /* one gather: 1000, then back to 0 */
    assert_int_equal(put_str(ch, id, 0, "a"), 0);
    assert_int_equal(put_str(ch, id, 2000, "b"), 0);
    assert_int_equal(put_str(ch, id, 1500, "c"), 0);
    assert_int_equal(put_str(ch, id, 3999, "d"), 0);
    assert_int_equal(ws_channel_file_close(ch, id, UINT64_MAX, INT64_MIN, 0), 0);
    finish(&b, ch);
    memcpy(want + 1000, "first", 5);
    want[0] = 'a';
    want[2000] = 'b';
    want[1500] = 'c';
    want[3999] = 'd';
    bed_expect(bed_path(&b, "out/f"), want, sizeof(want));
    bed_fini(&b);
}

static void test_offsets_and_size(void **state)
{
    struct bed b;
    (void)state;
    start(&b, (struct ws_writer_config){0}, (struct ws_output_config){.may_wait = true});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    uint64_t id = ws_channel_file_open(ch, "f", 0);
    /* out of order, with a hole, and one rewritten: the later wins */
    assert_int_equal(put_str(ch, id, 10, "KLMNO"), 0);
    assert_int_equal(put_str(ch, id, 0, "abcde"), 0);
    assert_int_equal(put_str(ch, id, 3, "XY"), 0);
    assert_int_equal(ws_channel_file_close(ch, id, 20, INT64_MIN, 0), 0);
    uint64_t cut = ws_channel_file_open(ch, "cut", 0);
    assert_int_equal(put_str(ch, cut, 0, "0123456789"), 0);
    assert_int_equal(ws_channel_file_close(ch, cut, 4, INT64_MIN, 0), 0);
    uint64_t hole = ws_channel_file_open(ch, "hole", 0);
    assert_int_equal(ws_channel_file_close(ch, hole, 3, INT64_MIN, 0), 0);
    finish(&b, ch);
    bed_expect(bed_path(&b, "out/f"), "abcXY\0\0\0\0\0KLMNO\0\0\0\0", 20);
    bed_expect(bed_path(&b, "out/cut"), "0123", 4);
    bed_expect(bed_path(&b, "out/hole"), "\0\0\0", 3);
    bed_fini(&b);
}

/* Many files written a little at a time, in all sizes, against a model in memory. */
struct model {
    uint64_t id;
    uint8_t *data;
    size_t len, max;
};

static void random_run(uint64_t seed, unsigned files, unsigned writes, size_t len_max,
                       struct ws_writer_config wc, struct ws_output_config oc, bool threaded)
{
    struct bed b;
    threaded |= backend == WS_BACKEND_URING; /* one poll does not see its own writes end there */
    start(&b, wc, oc);
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    struct model *m = calloc(files, sizeof(*m));
    uint8_t *buf = malloc(len_max);
    uint64_t s = seed, total = 0;
    char name[64];
    assert_non_null(m);
    assert_non_null(buf);
    if (threaded)
        bed_start(&b);
    for (unsigned i = 0; i < files; i++) {
        m[i].max = 4 * len_max + (size_t)writes / files * len_max;
        m[i].data = calloc(1, m[i].max);
        assert_non_null(m[i].data);
        snprintf(name, sizeof(name), "%u/f%u", i % 7, i);
        m[i].id = ws_channel_file_open(ch, name, i % 3 ? 0 : WS_FILE_PART);
        assert_int_not_equal(m[i].id, 0);
    }
    for (unsigned k = 0; k < writes; k++) {
        struct model *f = &m[bed_random(&s) % files];
        size_t len = bed_random(&s) % len_max + 1;
        size_t off = bed_random(&s) % 8 ? f->len : bed_random(&s) % (f->len + 1000);
        if (off + len > f->max)
            continue;
        for (size_t i = 0; i < len; i++)
            buf[i] = (uint8_t)(off + i + k);
        memcpy(f->data + off, buf, len);
        f->len = WS_MAX(f->len, off + len);
        size_t half = len / 2;
        struct ws_bytes piece[2] = {{buf, half}, {buf + half, len - half}};
        assert_int_equal(ws_channel_file_write(ch, f->id, off, piece, 2), 0);
        total += len;
        if (k % 64 == 0)
            ws_channel_tick(ch, 0, (int64_t)k * 1000000, false);
        if (!threaded)
            ws_writer_poll(b.w);
    }
    for (unsigned i = 0; i < files; i += 2) /* the others end with the channel */
        assert_int_equal(ws_channel_file_close(ch, m[i].id, UINT64_MAX, INT64_MIN, i), 0);
    finish(&b, ch);
    assert_int_equal(b.closed, files);
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), total);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES), 0);
    for (unsigned i = 0; i < files; i++) {
        snprintf(name, sizeof(name), "out/%u/f%u", i % 7, i);
        bed_expect(bed_path(&b, name), m[i].data, m[i].len);
        free(m[i].data);
    }
    print_message("seed %llu: %llu bytes in %llu calls\n", (unsigned long long)seed,
                  (unsigned long long)total, (unsigned long long)bed_count(&b, WS_C_WRITE_CALLS));
    free(m);
    free(buf);
    bed_fini(&b);
}

static void test_random(void **state)
{
    (void)state;
    struct ws_output_config small = {.may_wait = true, .blocks = 4, .block_bytes = 65536};
    random_run(1, 40, 3000, 1460, (struct ws_writer_config){0}, small, false);
    random_run(2, 40, 3000, 1460, (struct ws_writer_config){.open_files_max = 5}, small, true);
    random_run(3, 5, 400, 200000, (struct ws_writer_config){0}, small, true);
    random_run(4, 200, 4000, 100, (struct ws_writer_config){.gather_bytes = 65536},
               (struct ws_output_config){.may_wait = true, .blocks = 16, .block_bytes = 65536},
               true);
    small.blocks = 2;
    random_run(5, 20, 2000, 3000, (struct ws_writer_config){.fsync = WS_FSYNC_CLOSE}, small, true);
    random_run(6, 20, 500, 3000,
               (struct ws_writer_config){.fsync = WS_FSYNC_INTERVAL, .fsync_interval_ns = 1000000},
               small, true);
}

static void test_short_writes(void **state)
{
    (void)state;
    struct ws_output_config small = {.may_wait = true, .blocks = 4, .block_bytes = 65536};
    enum ws_backend_kind saved = backend;
    backend = WS_BACKEND_FAULT;
    random_run(7, 40, 3000, 1460, (struct ws_writer_config){.fault = {.short_every = 3}}, small,
               true);
    backend = saved;
}

/* Gathering: interleaved small extents come to disk in few calls. */
static void test_gather(void **state)
{
    struct bed b;
    enum { FILES = 8, ROUNDS = 400 };
    uint64_t id[FILES];
    uint8_t buf[1460];
    char name[16];
    (void)state;
    start(&b, (struct ws_writer_config){0}, (struct ws_output_config){.may_wait = true});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    memset(buf, 'x', sizeof(buf));
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "g%u", i);
        id[i] = ws_channel_file_open(ch, name, 0);
    }
    for (unsigned k = 0; k < ROUNDS; k++)
        for (unsigned i = 0; i < FILES; i++)
            assert_int_equal(put(ch, id[i], k * sizeof(buf), buf, sizeof(buf)), 0);
    finish(&b, ch);
    /* 570 KiB a file: two writes at 256 KiB and the rest; while one is in flight more is gathered */
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), FILES * ROUNDS * sizeof(buf));
    assert_in_range(bed_count(&b, WS_C_WRITE_CALLS),
                    backend == WS_BACKEND_URING ? FILES : FILES * 3, FILES * 3);
    bed_fini(&b);
}

static void test_flush_by_age(void **state)
{
    struct bed b;
    (void)state;
    start(&b, (struct ws_writer_config){0},
          (struct ws_output_config){.may_wait = true, .flush_ns = 1000000});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    uint64_t id = ws_channel_file_open(ch, "tail", 0);
    put_str(ch, id, 0, "first");
    ws_channel_tick(ch, 0, 5000000, false);
    assert_int_equal(ws_writer_poll(b.w), 0); /* too young */
    ws_channel_tick(ch, 0, 6000000, false);
    for (int i = 0; i < 1000 && !bed_exists(bed_path(&b, "out/tail")); i++) {
        ws_writer_poll(b.w);
        usleep(1000);
    }
    bed_expect(bed_path(&b, "out/tail"), "first", 5);
    assert_int_equal(ws_channel_blocks_free(ch), 64);
    finish(&b, ch);
    bed_fini(&b);
}

static void test_lru(void **state)
{
    struct bed b;
    const unsigned files = backend == WS_BACKEND_PLAIN ? 20000 : 4000;
    struct rlimit old, low;
    char name[64];
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    /* 60 is more than the process can have: EMFILE makes the LRU shrink */
    start(&b, (struct ws_writer_config){.open_files_max = 60},
          (struct ws_output_config){.may_wait = true, .blocks = 8, .block_bytes = 65536});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    uint64_t *id = calloc(files, sizeof(*id));
    assert_non_null(id);
    bed_start(&b);
    for (unsigned i = 0; i < files; i++) {
        snprintf(name, sizeof(name), "%02u/x/stream-%u", i % 500, i);
        id[i] = ws_channel_file_open(ch, name, 0);
    }
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < files; i++)
            assert_int_equal(put(ch, id[i], k * 4, &i, 4), 0);
    for (unsigned i = 0; i < files; i++)
        assert_int_equal(ws_channel_file_close(ch, id[i], UINT64_MAX, INT64_MIN, 0), 0);
    finish(&b, ch);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_string_equal(ws_writer_first_error(b.w), "");
    assert_int_equal(bed_count(&b, WS_C_OUT_FILES), files);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES), 0);
    for (unsigned i = 0; i < files; i++) {
        uint32_t want[2] = {i, i};
        snprintf(name, sizeof(name), "out/%02u/x/stream-%u", i % 500, i);
        bed_expect(bed_path(&b, name), want, sizeof(want));
    }
    free(id);
    bed_fini(&b);
}

static void touch(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void write_one(struct ws_channel *ch, const char *name, unsigned flags, const char *text)
{
    uint64_t id = ws_channel_file_open(ch, name, flags);
    assert_int_not_equal(id, 0);
    assert_int_equal(put_str(ch, id, 0, text), 0);
    assert_int_equal(ws_channel_file_close(ch, id, UINT64_MAX, INT64_MIN, 0), 0);
}

/* The next free counter in the place of the name's own, before a suffix. */
static void test_exists_counters(void **state)
{
    static const struct {
        const char *path;
        unsigned counter_len, suffix_len;
        const char *want;
    } cases[] = {
        {"a", 0, 0, "ac2"},           {"ac1", 2, 0, "ac3"},          {"ac2", 2, 0, "ac4"},
        {"a.gaps", 0, 5, "ac1.gaps"}, {"ac9.gaps", 2, 5, "ac10.gaps"}, {"::c1", 0, 0, "::c1c1"},
        {"n", 0, 0, "n"},
    };
    static const char *const there[] = {"a", "ac1", "a.gaps", "ac9.gaps", "::c1"};
    struct bed b;
    (void)state;
    start(&b, (struct ws_writer_config){0},
          (struct ws_output_config){.may_wait = true, .exists = WS_EXISTS_COUNT});
    for (size_t i = 0; i < WS_ARRAY_SIZE(there); i++) {
        char path[32];
        snprintf(path, sizeof(path), "out/%s", there[i]);
        touch(bed_path(&b, path), "old");
    }
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    for (size_t i = 0; i < WS_ARRAY_SIZE(cases); i++)
        write_one(ch, cases[i].path, WS_FILE_COUNTER(cases[i].counter_len, cases[i].suffix_len),
                  cases[i].path);
    finish(&b, ch);
    for (size_t i = 0; i < WS_ARRAY_SIZE(cases); i++) {
        char path[32];
        snprintf(path, sizeof(path), "out/%s", cases[i].want);
        bed_expect(bed_path(&b, path), cases[i].path, strlen(cases[i].path));
    }
    assert_int_equal(bed_count(&b, WS_C_WRITE_ERRORS), 0);
    bed_fini(&b);
}

static void test_exists(void **state)
{
    static const enum ws_exists how[] = {WS_EXISTS_REFUSE, WS_EXISTS_TRUNCATE, WS_EXISTS_COUNT};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned part = 0; part < 2; part++) {
            struct bed b;
            start(&b, (struct ws_writer_config){0},
                  (struct ws_output_config){.may_wait = true, .exists = how[i]});
            touch(bed_path(&b, "out/a"), "old and long");
            touch(bed_path(&b, "out/ac1"), "old c1");
            struct ws_channel *ch = ws_output_channel(b.out, 0);
            write_one(ch, "a", part ? WS_FILE_PART : 0, "new");
            write_one(ch, "b", 0, "other");
            finish(&b, ch);
            bed_expect(bed_path(&b, "out/b"), "other", 5);
            bed_expect(bed_path(&b, "out/ac1"), "old c1", 6);
            assert_int_equal(bed_count(&b, WS_C_OUT_REPLACED), how[i] == WS_EXISTS_TRUNCATE && !part);
            if (how[i] == WS_EXISTS_TRUNCATE)
                bed_expect(bed_path(&b, "out/a"), "new", 3);
            else
                bed_expect(bed_path(&b, "out/a"), "old and long", 12);
            if (how[i] == WS_EXISTS_COUNT)
                bed_expect(bed_path(&b, "out/ac2"), "new", 3);
            if (how[i] == WS_EXISTS_REFUSE) {
                assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES), 3);
                assert_int_equal(bed_count(&b, WS_C_WRITE_ERRORS), 1);
                assert_int_equal(bed_count(&b, WS_C_OUT_EXISTS), 1);
                assert_non_null(strstr(bed_log, "out/a: exists already"));
                assert_non_null(strstr(ws_writer_first_error(b.w), "File exists"));
            } else {
                assert_int_equal(bed_count(&b, WS_C_WRITE_ERRORS), 0);
            }
            assert_false(bed_exists(bed_path(&b, "out/a.part")));
            assert_int_equal(ws_writer_suspended(b.w), 0);
            bed_fini(&b);
        }
    }
}

/* Closed as not wanted: nothing stays, whether it had been written or not. */
static void test_discard(void **state)
{
    struct bed b;
    (void)state;
    start(&b, (struct ws_writer_config){0}, (struct ws_output_config){.may_wait = true});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    uint64_t unwritten = ws_channel_file_open(ch, "unwritten", 0);
    assert_int_equal(put_str(ch, unwritten, 0, "x"), 0);
    assert_int_equal(ws_channel_file_close(ch, unwritten, WS_FILE_DISCARD, 5, 1), 0);
    uint64_t written = ws_channel_file_open(ch, "d/written", WS_FILE_PART);
    assert_int_equal(put_str(ch, written, 0, "hello"), 0);
    ws_channel_tick(ch, 0, INT64_MAX / 2, true);
    for (unsigned i = 0; i < 100; i++)
        ws_writer_poll(b.w);
    uint64_t kept = ws_channel_file_open(ch, "kept", 0);
    assert_int_equal(put_str(ch, kept, 0, "yes"), 0);
    assert_int_equal(put_str(ch, written, 5, "again"), 0);
    assert_int_equal(ws_channel_file_close(ch, written, WS_FILE_DISCARD, 5, 2), 0);
    assert_int_equal(ws_channel_file_close(ch, kept, UINT64_MAX, INT64_MIN, 3), 0);
    finish(&b, ch);
    assert_false(bed_exists(bed_path(&b, "out/unwritten")));
    assert_false(bed_exists(bed_path(&b, "out/d/written")));
    assert_false(bed_exists(bed_path(&b, "out/d/written.part")));
    bed_expect(bed_path(&b, "out/kept"), "yes", 3);
    assert_int_equal(b.closed, 1);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES), 0);
    bed_fini(&b);
}

static void test_hostile_names(void **state)
{
    struct bed b;
    char name[WS_PATH_MAX + 64];
    (void)state;
    start(&b, (struct ws_writer_config){0}, (struct ws_output_config){.may_wait = true});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    assert_int_equal(mkdir(bed_path(&b, "outside"), 0755), 0);
    assert_int_equal(symlink(bed_path(&b, "outside"), bed_path(&b, "out/link")), 0);
    assert_int_equal(symlink(bed_path(&b, "outside/new"), bed_path(&b, "out/dangling")), 0);
    touch(bed_path(&b, "out/file"), "x");
    snprintf(name, sizeof(name), "%s/abs", b.dir);
    static const char *const bad[] = {
        "../escape", "a/../../escape", "..",          ".",        "",           "a/..", "dir/", "/",
        "x/.",       "link/in",        "link/sub/in", "dangling", "file/below",
    };
    write_one(ch, name, 0, "x");
    for (unsigned i = 0; i < WS_ARRAY_SIZE(bad); i++)
        write_one(ch, bad[i], 0, "x");
    memset(name, 'n', sizeof(name));
    name[300] = '\0'; /* a component too long */
    write_one(ch, name, 0, "x");
    memset(name, 'n', sizeof(name));
    for (unsigned i = 100; i < sizeof(name); i += 100)
        name[i] = '/';
    name[sizeof(name) - 1] = '\0'; /* a path too long */
    write_one(ch, name, 0, "x");
    write_one(ch, "..ok/...", 0, "fine");
    finish(&b, ch);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES), WS_ARRAY_SIZE(bad) + 3);
    assert_int_equal(bed_count(&b, WS_C_WRITE_ERRORS), WS_ARRAY_SIZE(bad) + 3);
    assert_false(bed_exists(bed_path(&b, "escape")));
    assert_false(bed_exists(bed_path(&b, "abs")));
    assert_int_equal(rmdir(bed_path(&b, "outside")), 0); /* still empty */
    bed_expect(bed_path(&b, "out/..ok/..."), "fine", 4);
    assert_non_null(strstr(bed_log, "more files failed"));
    assert_int_equal(ws_writer_suspended(b.w), 0);
    bed_fini(&b);
}

static void test_unknown_id(void **state)
{
    struct bed b;
    (void)state;
    start(&b, (struct ws_writer_config){0}, (struct ws_output_config){.may_wait = true});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    assert_int_equal(put_str(ch, 99, 0, "lost"), 0);
    assert_int_equal(ws_channel_file_close(ch, 99, UINT64_MAX, INT64_MIN, 0), 0);
    uint64_t id = ws_channel_file_open(ch, "f", 0);
    assert_int_equal(put_str(ch, 0, 0, "lost"), 0); /* of an open that found no block */
    assert_int_equal(ws_channel_file_close(ch, 0, UINT64_MAX, INT64_MIN, 0), 0);
    assert_int_equal(put_str(ch, id, 0, "there"), 0);
    finish(&b, ch);
    bed_expect(bed_path(&b, "out/f"), "there", 5);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES), 8);
    bed_fini(&b);
}

static void test_no_wait(void **state)
{
    struct bed b;
    uint8_t buf[20000] = {0};
    (void)state;
    start(&b, (struct ws_writer_config){0},
          (struct ws_output_config){.blocks = 4, .block_bytes = 65536});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    uint64_t id = ws_channel_file_open(ch, "live", 0);
    uint64_t taken = 0;
    /* more than the quota in one piece: refused as a whole */
    static uint8_t big[5 * 65536];
    assert_int_equal(put(ch, id, 0, big, sizeof(big)), -EAGAIN);
    while (put(ch, id, taken, buf, sizeof(buf)) == 0)
        taken += sizeof(buf);
    assert_in_range(taken, 160000, 65536 * 4);
    assert_int_equal(ws_channel_file_open(ch, "another-file-that-needs-a-block", 0) == 0 ||
                         taken + 100 < 3 * 65536,
                     1);
    /* a close has a block in reserve, which data cannot take */
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(ws_channel_file_close(ch, i + 1000, UINT64_MAX, INT64_MIN, 0), 0);
    assert_int_equal(ws_channel_file_close(ch, id, UINT64_MAX, INT64_MIN, 5), 0);
    assert_int_equal(put(ch, id, taken, buf, sizeof(buf)), -EAGAIN);
    while (ws_writer_poll(b.w) != 0)
        ;
    ws_channel_tick(ch, 0, 0, true);
    while (ws_writer_poll(b.w) != 0)
        ;
    assert_int_equal(b.closed_tag, 5);
    assert_int_equal(ws_channel_blocks_free(ch), 4);
    id = ws_channel_file_open(ch, "next", 0); /* and on it goes */
    assert_int_not_equal(id, 0);
    assert_int_equal(put(ch, id, 0, buf, sizeof(buf)), 0);
    finish(&b, ch);
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), taken + sizeof(buf));
    bed_fini(&b);
}

/* Two writers share a directory: each file is wholly one's, both get some, and calls find the one by the id. */
static void test_joined(void **state)
{
    enum { FILES = 400, PIECES = 6 };
    struct bed a, b;
    static uint64_t id[FILES];
    char name[32], want[256];
    (void)state;
    const struct ws_output_config o = {.may_wait = true, .blocks = 4, .block_bytes = 65536};
    start(&a, (struct ws_writer_config){0}, o);
    bed_init(&b, &(struct ws_writer_config){.backend = backend});
    struct ws_output_config same = o;
    same.kind = WS_OUTPUT_TREE;
    same.path = bed_path(&a, "out");
    same.channels = 1;
    bed_add(&b, same);
    struct ws_channel *ch = ws_output_channel(a.out, 0);
    ws_channel_join(ch, ws_output_channel(b.out, 0));
    assert_int_equal(ws_channel_blocks_free(ch), 8);
    struct ws_output_gauges g;
    ws_output_gauges(a.out, &g);
    assert_int_equal(g.blocks, 8);
    assert_int_equal(g.blocks_free, 8);
    bed_start(&a);
    bed_start(&b);
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "%u/f%u", i % 7, i);
        id[i] = ws_channel_file_open(ch, name, 0);
        assert_int_not_equal(id[i], 0);
        for (unsigned k = 0; k < i; k++)
            assert_int_not_equal(id[i], id[k]);
    }
    for (unsigned k = 0; k < PIECES; k++)
        for (unsigned i = 0; i < FILES; i++) {
            int n = snprintf(want, sizeof(want), "%u of %05u.", k, i);
            assert_int_equal(put(ch, id[i], k * (unsigned)n, want, (size_t)n), 0);
        }
    for (unsigned i = 0; i < FILES; i++) {
        if (i % 3 == 0)
            assert_int_equal(ws_channel_file_insert(ch, id[i], 2), 0);
        ws_channel_tick(ch, 0, i, i % 50 == 0);
        assert_int_equal(ws_channel_file_close(ch, id[i], UINT64_MAX, INT64_MIN, i), 0);
    }
    assert_false(ws_channel_suspended(ch));
    ws_channel_finish(ch);
    bed_drain(&a);
    bed_drain(&b);
    for (unsigned i = 0; i < FILES; i++) {
        size_t len = i % 3 == 0 ? 2 : 0;
        memset(want, 0, sizeof(want));
        for (unsigned k = 0; k < PIECES; k++)
            len += (size_t)snprintf(want + len, sizeof(want) - len, "%u of %05u.", k, i);
        snprintf(name, sizeof(name), "out/%u/f%u", i % 7, i);
        bed_expect(bed_path(&a, name), want, len);
    }
    assert_int_equal(bed_count(&a, WS_C_OUT_FILES) + bed_count(&b, WS_C_OUT_FILES), FILES);
    assert_int_not_equal(bed_count(&a, WS_C_OUT_FILES), 0);
    assert_int_not_equal(bed_count(&b, WS_C_OUT_FILES), 0);
    assert_int_equal(a.closed + b.closed, FILES);
    bed_fini(&b);
    bed_fini(&a);
}

static void test_bad_config(void **state)
{
    struct bed b;
    struct ws_output *o;
    (void)state;
    bed_init(&b, &(struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
    struct ws_output_config c = {.kind = WS_OUTPUT_TREE, .channels = 1, .path = bed_path(&b, "x")};
    c.block_bytes = 100000;
    assert_int_equal(ws_writer_add_output(b.w, &c, bed_alloc, &b, &o, b.err, sizeof(b.err)),
                     -EINVAL);
    c.block_bytes = 0;
    c.channels = 0;
    assert_int_equal(ws_writer_add_output(b.w, &c, bed_alloc, &b, &o, b.err, sizeof(b.err)),
                     -EINVAL);
    c.channels = 1;
    touch(bed_path(&b, "file"), "x");
    c.path = bed_path(&b, "file");
    assert_int_equal(ws_writer_add_output(b.w, &c, bed_alloc, &b, &o, b.err, sizeof(b.err)),
                     -ENOTDIR);
    assert_non_null(strstr(b.err, "file: cannot write into this directory: Not a directory"));
    c.path = "/proc/nothing/here";
    assert_int_not_equal(ws_writer_add_output(b.w, &c, bed_alloc, &b, &o, b.err, sizeof(b.err)), 0);
    bed_fini(&b);
}

/* Live with few blocks: they come back though none is old, or data would wait for the clock. */
static void test_few_blocks(void **state)
{
    static uint8_t buf[30000];
    (void)state;
    for (unsigned blocks = 2; blocks <= 8; blocks++) {
        struct bed b;
        start(&b, (struct ws_writer_config){0},
              (struct ws_output_config){.blocks = blocks, .block_bytes = 65536, .flush_ns = INT64_C(3600) * 1000000000});
        struct ws_channel *ch = ws_output_channel(b.out, 0);
        uint64_t id = ws_channel_file_open(ch, "f", 0), off = 0;
        for (unsigned i = 0; i < 200; i++) {
            for (unsigned polls = 0; put(ch, id, off, buf, sizeof(buf)) != 0; polls++) {
                assert_true(polls < 100);
                ws_writer_poll(b.w);
            }
            off += sizeof(buf);
        }
        finish(&b, ch);
        assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), off);
        bed_fini(&b);
    }
}

static int use_uring(void **state)
{
    (void)state;
    bed_want_uring(&backend);
    return 0;
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(test_not_closed),    cmocka_unit_test(test_small_files),   cmocka_unit_test(test_offsets_and_size),
        cmocka_unit_test(test_small_holes),   cmocka_unit_test(test_small_holes_over_data),
        cmocka_unit_test(test_random),        cmocka_unit_test(test_short_writes),
        cmocka_unit_test(test_gather),        cmocka_unit_test(test_flush_by_age),
        cmocka_unit_test(test_lru),           cmocka_unit_test(test_exists), cmocka_unit_test(test_exists_counters),
        cmocka_unit_test(test_discard), cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_unknown_id),
        cmocka_unit_test(test_no_wait),       cmocka_unit_test(test_joined),
        cmocka_unit_test(test_few_blocks),    cmocka_unit_test(test_bad_config),
    };
    const struct CMUnitTest uring[] = {
        cmocka_unit_test(test_small_files), cmocka_unit_test(test_offsets_and_size),
        cmocka_unit_test(test_random),      cmocka_unit_test(test_gather),
        cmocka_unit_test(test_lru),         cmocka_unit_test(test_exists), cmocka_unit_test(test_exists_counters),
        cmocka_unit_test(test_no_wait),
    };
    int rc = cmocka_run_group_tests(plain, NULL, NULL);
    return rc + cmocka_run_group_tests(uring, use_uring, NULL);
}
