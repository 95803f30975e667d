/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer's merged outputs: records of several workers in one file, in order. */
#include "bed.h"

#include <signal.h>

static enum ws_backend_kind backend = WS_BACKEND_PLAIN;

static size_t trailer(void *user, uint8_t *buf, size_t max)
{
    (void)user;
    assert_true(max >= 8);
    memcpy(buf, "TRAILER!", 8);
    return 8;
}

static void start(struct bed *b, const char *name, struct ws_output_config o)
{
    bed_init(b, &(struct ws_writer_config){.backend = backend});
    o.kind = WS_OUTPUT_MERGED;
    o.path = bed_path(b, name);
    bed_add(b, o);
}

static void test_one_channel(void **state)
{
    struct bed b;
    (void)state;
    start(&b, "m",
          (struct ws_output_config){.channels = 1,
                                    .may_wait = true,
                                    .commit = true,
                                    .header = "HEAD",
                                    .header_len = 4,
                                    .trailer = trailer});
    assert_true(bed_exists(bed_path(&b, "m.part")));
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    assert_int_equal(put_record(ch, 5, "five", 4), 0);
    assert_int_equal(put_record(ch, 5, "Five", 4), 0);
    assert_int_equal(put_record(ch, 9, "nine", 4), 0);
    struct ws_bytes piece[3] = {{"a", 1}, {"", 0}, {"bc", 2}};
    assert_int_equal(ws_channel_record(ch, 10, piece, 3), 0);
    assert_int_equal(put_record(ch, 11, "", 0), 0);
    static uint8_t big[WS_RECORD_MAX + 1];
    assert_int_equal(put_record(ch, 12, big, sizeof(big)), -EMSGSIZE);
    ws_channel_finish(ch);
    assert_false(bed_exists(bed_path(&b, "m")));
    bed_drain(&b);
    bed_expect(bed_path(&b, "m"), "HEADfiveFivenineabcTRAILER!", 27);
    assert_false(bed_exists(bed_path(&b, "m.part")));
    assert_int_equal(b.closed, 1);
    assert_int_equal(b.closed_error, 0);
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), 27);
    bed_fini(&b);
}

static void test_largest_records(void **state)
{
    struct bed b;
    enum { N = 12 };
    (void)state;
    start(&b, "m", (struct ws_output_config){.channels = 1, .may_wait = true, .blocks = 2});
    uint8_t *all = malloc((size_t)N * WS_RECORD_MAX);
    assert_non_null(all);
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    bed_start(&b);
    for (unsigned i = 0; i < N; i++) {
        memset(all + (size_t)i * WS_RECORD_MAX, 'a' + (int)i, WS_RECORD_MAX);
        assert_int_equal(put_record(ch, i, all + (size_t)i * WS_RECORD_MAX, WS_RECORD_MAX), 0);
    }
    ws_channel_finish(ch);
    bed_drain(&b);
    bed_expect(bed_path(&b, "m"), all, (size_t)N * WS_RECORD_MAX);
    free(all);
    bed_fini(&b);
}

/* Workers as the engine has them: a common position stands for the reader, each takes orders from
 * it. */
struct worker {
    pthread_t thread;
    struct ws_output *out[2];
    unsigned outs, index, workers;
    uint64_t seed, orders;
    _Atomic uint64_t *reader;
};

/* A record says its own order; lengths differ widely. */
static size_t record_make(uint8_t *buf, uint64_t order)
{
    uint64_t s = order * 77 + 1;
    size_t len = 16 + bed_random(&s) % (bed_random(&s) % 16 ? 200 : 60000);
    uint64_t head[2] = {order, len};
    memcpy(buf, head, sizeof(head));
    memset(buf + 16, (int)(order & 0xff), len - 16);
    return len;
}

/* Which worker an order belongs to: runs of random length, and now and then long one-sided phases.
 */
static unsigned owner(uint64_t order, unsigned workers)
{
    uint64_t s = order / 4096 % 3 == 2 ? order / 4096 : order / 3;
    return (unsigned)(bed_random(&s) % workers);
}

static void *worker_main(void *arg)
{
    struct worker *k = arg;
    struct ws_channel *ch[2] = {NULL, NULL};
    uint8_t *buf = malloc(65536);
    assert_non_null(buf);
    for (unsigned i = 0; i < k->outs; i++)
        ch[i] = ws_output_channel(k->out[i], k->index);
    uint64_t next = 0; /* all orders below were looked at */
    int64_t now = 0;
    while (next < k->orders) {
        /* A burst of what the reader has given; it goes on only as the slowest worker does. */
        uint64_t end = WS_MIN(k->orders, next + 64);
        uint64_t r = atomic_load(k->reader);
        while (r < end && !atomic_compare_exchange_weak(k->reader, &r, end))
            ;
        for (; next < end; next++) {
            if (owner(next, k->workers) != k->index)
                continue;
            size_t len = record_make(buf, next);
            for (unsigned i = 0; i < k->outs; i++)
                assert_int_equal(put_record(ch[i], next, buf, len), 0);
        }
        for (unsigned i = 0; i < k->outs; i++)
            ws_channel_tick(ch[i], next, now += 1000, false);
    }
    for (unsigned i = 0; i < k->outs; i++)
        ws_channel_finish(ch[i]);
    free(buf);
    return NULL;
}

static void check_merged(const char *path, uint64_t orders)
{
    size_t len = 0, at = 0;
    uint8_t *p = bed_read(path, &len);
    uint8_t *want = malloc(65536);
    assert_non_null(p);
    assert_non_null(want);
    for (uint64_t i = 0; i < orders; i++) {
        size_t n = record_make(want, i);
        assert_true(len - at >= n);
        assert_memory_equal(p + at, want, n);
        at += n;
    }
    assert_int_equal(at, len);
    free(p);
    free(want);
}

static void merge_run(unsigned workers, unsigned outs, unsigned blocks, uint64_t orders)
{
    struct bed b;
    struct worker k[8];
    _Atomic uint64_t reader = 0;
    struct ws_output *out[2];
    bed_init(&b, &(struct ws_writer_config){.backend = backend});
    for (unsigned i = 0; i < outs; i++)
        out[i] = bed_add(&b, (struct ws_output_config){.kind = WS_OUTPUT_MERGED,
                                                       .path = bed_path(&b, i ? "second" : "first"),
                                                       .channels = workers,
                                                       .blocks = blocks,
                                                       .may_wait = true});
    bed_start(&b);
    for (unsigned i = 0; i < workers; i++) {
        k[i] = (struct worker){
            .outs = outs, .index = i, .workers = workers, .orders = orders, .reader = &reader};
        /* each in its own sequence of outputs: the hardest case for waits across outputs */
        for (unsigned j = 0; j < outs; j++)
            k[i].out[j] = out[(i + j) % outs];
        assert_int_equal(pthread_create(&k[i].thread, NULL, worker_main, &k[i]), 0);
    }
    for (unsigned i = 0; i < workers; i++)
        pthread_join(k[i].thread, NULL);
    bed_drain(&b);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES), 0);
    for (unsigned i = 0; i < outs; i++)
        check_merged(bed_path(&b, i ? "second" : "first"), orders);
    bed_fini(&b);
}

static void test_merge(void **state)
{
    (void)state;
    merge_run(1, 1, 4, 20000);
    merge_run(2, 1, 4, 20000);
    merge_run(4, 1, 4, 20000);
    merge_run(4, 1, 2, 20000);
}

/* Workers that wait in one output hold up the merge of the other: must not stop for ever. */
static void test_two_merged_outputs(void **state)
{
    (void)state;
    merge_run(2, 2, 2, 20000);
    merge_run(4, 2, 2, 20000);
}

/* Each worker fills one output beyond its quota and says nothing in the other, in one burst without
 * a tick: each output's merge waits for the worker that waits in the other one. Hangs when waiting
 * workers do not serve their other channels. */
struct crossing {
    struct ws_channel *busy, *quiet;
    uint64_t first;
};

static void *crossing_main(void *arg)
{
    struct crossing *x = arg;
    uint8_t *rec = malloc(WS_RECORD_MAX);
    assert_non_null(rec);
    memset(rec, (int)x->first, WS_RECORD_MAX);
    assert_int_equal(put_record(x->quiet, x->first, "q", 1), 0);
    for (uint64_t order = x->first; order < 60; order += 2)
        assert_int_equal(put_record(x->busy, order, rec, WS_RECORD_MAX), 0);
    free(rec);
    ws_channel_finish(x->busy);
    ws_channel_finish(x->quiet);
    return NULL;
}

static void test_crossing_waits(void **state)
{
    struct bed b;
    struct ws_output *out[2];
    struct crossing x[2];
    pthread_t t[2];
    size_t len = 0;
    (void)state;
    bed_init(&b, &(struct ws_writer_config){.backend = backend});
    for (unsigned i = 0; i < 2; i++)
        out[i] = bed_add(&b, (struct ws_output_config){.kind = WS_OUTPUT_MERGED,
                                                       .path = bed_path(&b, i ? "second" : "first"),
                                                       .channels = 2,
                                                       .blocks = 2,
                                                       .may_wait = true});
    bed_start(&b);
    for (unsigned i = 0; i < 2; i++) {
        x[i] = (struct crossing){ws_output_channel(out[i], i), ws_output_channel(out[!i], i), i};
        assert_int_equal(pthread_create(&t[i], NULL, crossing_main, &x[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    bed_drain(&b);
    for (unsigned i = 0; i < 2; i++) {
        free(bed_read(bed_path(&b, i ? "second" : "first"), &len));
        assert_int_equal(len, 30 * WS_RECORD_MAX + 1);
    }
    bed_fini(&b);
}

/* Without threads: what may be written before the other channel promised something? */
static void test_watermark(void **state)
{
    struct bed b;
    size_t len = 0;
    (void)state;
    start(&b, "m", (struct ws_output_config){.channels = 2, .may_wait = true, .flush_ns = 1});
    struct ws_channel *c0 = ws_output_channel(b.out, 0), *c1 = ws_output_channel(b.out, 1);
    put_record(c0, 10, "[10]", 4);
    ws_channel_tick(c0, 11, 0, true);
    for (int i = 0; i < 10; i++)
        ws_writer_poll(b.w);
    free(bed_read(bed_path(&b, "m"), &len));
    assert_int_equal(len, 0); /* channel 1 may still bring less than 10 */
    put_record(c1, 7, "[7]", 3);
    ws_channel_tick(c1, 20, 0, false); /* asked for: handed over though young */
    for (int i = 0; i < 10; i++)
        ws_writer_poll(b.w);
    free(bed_read(bed_path(&b, "m"), &len));
    assert_int_equal(len, 7); /* 10 goes on the word of 20 */
    put_record(c1, 30, "[30]", 4);
    ws_channel_tick(c1, 31, 0, true);
    for (int i = 0; i < 10; i++)
        ws_writer_poll(b.w);
    free(bed_read(bed_path(&b, "m"), &len));
    assert_int_equal(len, 7);
    put_record(c0, 31, "[31]", 4);
    ws_channel_tick(c0, 40, 0, false); /* asked for since 30 waits */
    for (int i = 0; i < 10; i++)
        ws_writer_poll(b.w);
    free(bed_read(bed_path(&b, "m"), &len));
    assert_int_equal(len, 15);
    put_record(c0, 45, "[45]",
               4); /* not handed over: holds the bound at 45, whatever is promised */
    ws_channel_tick(c0, 60, 0, false);
    put_record(c1, 50, "[50]", 4);
    ws_channel_finish(c1);
    for (int i = 0; i < 10; i++)
        ws_writer_poll(b.w);
    free(bed_read(bed_path(&b, "m"), &len));
    assert_int_equal(len, 15);
    ws_channel_finish(c0);
    bed_drain(&b);
    bed_expect(bed_path(&b, "m"), "[7][10][30][31][45][50]", 23);
    bed_fini(&b);
}

static void touch(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void test_exists(void **state)
{
    struct bed b;
    struct ws_output *o;
    (void)state;
    for (unsigned commit = 0; commit < 2; commit++) {
        struct ws_output_config c = {
            .kind = WS_OUTPUT_MERGED, .channels = 1, .may_wait = true, .commit = commit};
        bed_init(&b, &(struct ws_writer_config){.backend = backend});
        touch(bed_path(&b, "old"), "old bytes");
        c.path = bed_path(&b, "old");
        assert_int_equal(ws_writer_add_output(b.w, &c, bed_alloc, &b, &o, b.err, sizeof(b.err)),
                         -EEXIST);
        assert_non_null(strstr(b.err, "/old: exists already"));
        bed_expect(bed_path(&b, "old"), "old bytes", 9);
        c.exists = WS_EXISTS_TRUNCATE;
        bed_add(&b, c);
        if (commit) /* the old one stays until the new one is whole */
            bed_expect(bed_path(&b, "old"), "old bytes", 9);
        put_record(ws_output_channel(b.out, 0), 1, "new", 3);
        ws_channel_finish(ws_output_channel(b.out, 0));
        c.exists = WS_EXISTS_COUNT;
        bed_add(&b, c);
        put_record(ws_output_channel(b.out, 0), 1, "counted", 7);
        ws_channel_finish(ws_output_channel(b.out, 0));
        bed_drain(&b);
        bed_expect(bed_path(&b, "old"), "new", 3);
        bed_expect(bed_path(&b, "oldc1"), "counted", 7);
        bed_fini(&b);
    }
    bed_init(&b, &(struct ws_writer_config){.backend = backend});
    struct ws_output_config c = {.kind = WS_OUTPUT_MERGED, .channels = 1, .path = b.dir};
    assert_int_equal(ws_writer_add_output(b.w, &c, bed_alloc, &b, &o, b.err, sizeof(b.err)),
                     -EISDIR);
    c.path = bed_path(&b, "no/such/dir");
    assert_int_equal(ws_writer_add_output(b.w, &c, bed_alloc, &b, &o, b.err, sizeof(b.err)),
                     -ENOENT);
    assert_non_null(strstr(b.err, "no/such/dir: cannot write: No such file or directory"));
    c.path = bed_path(&b, "x");
    c.block_bytes = 65536;
    assert_int_equal(ws_writer_add_output(b.w, &c, bed_alloc, &b, &o, b.err, sizeof(b.err)),
                     -EINVAL);
    bed_fini(&b);
}

/* A file that turned up while we wrote is not replaced. */
static void test_commit_race(void **state)
{
    struct bed b;
    (void)state;
    start(&b, "m", (struct ws_output_config){.channels = 1, .may_wait = true, .commit = true});
    put_record(ws_output_channel(b.out, 0), 1, "ours", 4);
    touch(bed_path(&b, "m"), "theirs");
    ws_channel_finish(ws_output_channel(b.out, 0));
    bed_drain(&b);
    bed_expect(bed_path(&b, "m"), "theirs", 6);
    bed_expect(bed_path(&b, "m.part"), "ours", 4);
    assert_int_equal(b.closed_error, -EEXIST);
    assert_int_equal(bed_count(&b, WS_C_WRITE_ERRORS), 1);
    bed_fini(&b);
}

/* Standard output as a pipe with a slow reader, then one that goes away. */
struct drain {
    int fd;
    size_t max;
    uint8_t *data;
    size_t len;
};

static void *drain_main(void *arg)
{
    struct drain *d = arg;
    for (ssize_t n; d->len < d->max &&
                    (n = read(d->fd, d->data + d->len, WS_MIN(d->max - d->len, 5000))) > 0;) {
        d->len += (size_t)n;
        if (d->len % 3 == 0)
            usleep(100);
    }
    close(d->fd);
    return NULL;
}

static void stdout_run(size_t read_max, bool ends)
{
    struct bed b;
    enum { N = 3000, LEN = 1001 };
    int p[2], saved = dup(STDOUT_FILENO);
    uint8_t rec[LEN];
    pthread_t t;
    struct drain d = {.max = read_max, .data = malloc(read_max)};
    assert_non_null(d.data);
    fflush(stdout);
    assert_int_equal(pipe(p), 0);
    assert_int_equal(dup2(p[1], STDOUT_FILENO), STDOUT_FILENO);
    close(p[1]);
    d.fd = p[0];
    bed_init(&b, &(struct ws_writer_config){.backend = backend});
    bed_add(&b, (struct ws_output_config){.kind = WS_OUTPUT_MERGED,
                                          .path = "-",
                                          .channels = 1,
                                          .may_wait = true,
                                          .header = "H",
                                          .header_len = 1});
    assert_int_equal(pthread_create(&t, NULL, drain_main, &d), 0);
    bed_start(&b);
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    for (unsigned i = 0; i < N; i++) {
        memset(rec, (int)(i % 251), LEN);
        assert_int_equal(put_record(ch, i, rec, LEN), 0);
        if (i % 100 == 0)
            ws_channel_tick(ch, i, 0, true);
    }
    ws_channel_finish(ch);
    bed_drain(&b);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    pthread_join(t, NULL);
    if (ends) {
        assert_int_equal(b.closed_error, -EPIPE);
        assert_true(bed_count(&b, WS_C_WRITE_LOST_PACKETS) > 0);
        assert_int_equal(ws_writer_suspended(b.w), 1);
    } else {
        assert_int_equal(d.len, 1 + N * LEN);
        for (size_t i = 1; i < d.len; i++)
            if (d.data[i] != (i - 1) / LEN % 251)
                fail_msg("byte %zu differs", i);
        assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), 1 + N * LEN);
    }
    free(d.data);
    bed_fini(&b);
}

static void test_stdout(void **state)
{
    (void)state;
    stdout_run(1 + 3000 * 1001, false);
    stdout_run(100000, true);
}

/* Standard output sent to a file that has bytes already: ours follow them. */
static void test_stdout_file(void **state)
{
    struct bed b;
    int saved = dup(STDOUT_FILENO);
    (void)state;
    fflush(stdout);
    bed_init(&b, &(struct ws_writer_config){.backend = backend});
    int fd = open(bed_path(&b, "redirected"), O_WRONLY | O_CREAT | O_APPEND, 0644);
    assert_int_equal(write(fd, "before ", 7), 7);
    assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    close(fd);
    bed_add(&b, (struct ws_output_config){.kind = WS_OUTPUT_MERGED,
                                          .path = "-",
                                          .channels = 1,
                                          .may_wait = true,
                                          .header = "head ",
                                          .header_len = 5});
    put_record(ws_output_channel(b.out, 0), 1, "record", 6);
    ws_channel_finish(ws_output_channel(b.out, 0));
    bed_drain(&b);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    bed_expect(bed_path(&b, "redirected"), "before head record", 18);
    bed_fini(&b);
}

static void test_device(void **state)
{
    struct bed b;
    (void)state;
    bed_init(&b, &(struct ws_writer_config){.backend = backend});
    bed_add(&b, (struct ws_output_config){.kind = WS_OUTPUT_MERGED,
                                          .path = "/dev/null",
                                          .channels = 1,
                                          .commit = true,
                                          .may_wait = true});
    put_record(ws_output_channel(b.out, 0), 1, "gone", 4);
    ws_channel_finish(ws_output_channel(b.out, 0));
    bed_drain(&b);
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), 4);
    assert_false(bed_exists("/dev/null.part"));
    bed_fini(&b);
}

static void test_no_wait(void **state)
{
    struct bed b;
    static uint8_t rec[1000];
    uint64_t n = 0;
    size_t len = 0;
    (void)state;
    start(&b, "m", (struct ws_output_config){.channels = 1, .blocks = 2});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    while (put_record(ch, n, rec, sizeof(rec)) == 0)
        n++;
    assert_in_range(n, 2000, 2 * 1048576 / 1000);
    while (ws_writer_poll(b.w))
        ;
    assert_int_equal(put_record(ch, n, rec, sizeof(rec)), 0);
    ws_channel_finish(ch);
    bed_drain(&b);
    free(bed_read(bed_path(&b, "m"), &len));
    assert_int_equal(len, (n + 1) * sizeof(rec));
    bed_fini(&b);
}

static void *fill_main(void *arg)
{
    struct ws_channel *ch = arg;
    static uint8_t rec[1000];
    for (uint64_t n = 0;; n++)
        if (put_record(ch, n, rec, sizeof(rec)) != 0)
            return NULL;
}

static void test_abort_while_waiting(void **state)
{
    struct bed b;
    pthread_t t;
    (void)state;
    start(&b, "m",
          (struct ws_output_config){.channels = 2, .may_wait = true, .commit = true, .blocks = 2});
    /* channel 1 never says anything: channel 0 waits */
    assert_int_equal(pthread_create(&t, NULL, fill_main, ws_output_channel(b.out, 0)), 0);
    bed_start(&b);
    usleep(20000);
    ws_writer_abort(b.w);
    pthread_join(t, NULL);
    bed_drain(&b);
    assert_true(bed_exists(bed_path(&b, "m.part")));
    assert_false(bed_exists(bed_path(&b, "m")));
    bed_fini(&b);
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
        cmocka_unit_test(test_one_channel),
        cmocka_unit_test(test_largest_records),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_two_merged_outputs),
        cmocka_unit_test(test_crossing_waits),
        cmocka_unit_test(test_watermark),
        cmocka_unit_test(test_exists),
        cmocka_unit_test(test_commit_race),
        cmocka_unit_test(test_stdout),
        cmocka_unit_test(test_stdout_file),
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_no_wait),
        cmocka_unit_test(test_abort_while_waiting),
    };
    const struct CMUnitTest uring[] = {
        cmocka_unit_test(test_one_channel),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_stdout),
        cmocka_unit_test(test_no_wait),
        cmocka_unit_test(test_abort_while_waiting),
    };
    signal(SIGPIPE, SIG_IGN);
    int rc = cmocka_run_group_tests(plain, NULL, NULL);
    return rc + cmocka_run_group_tests(uring, use_uring, NULL);
}
