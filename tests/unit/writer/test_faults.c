/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer on a bad day: full disks, I/O errors, short writes, stalls, no io_uring. */
#include "bed.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ws_config.h"

static struct ws_channel *start(struct bed *b, struct ws_fault fault, struct ws_output_config o)
{
    bed_init(b, &(struct ws_writer_config){
                    .backend = WS_BACKEND_FAULT, .fault = fault, .retry_ns = 1000000});
    o.path = bed_path(b, "out");
    o.channels = 1;
    o.may_wait = true;
    o.block_bytes = o.kind == WS_OUTPUT_TREE ? 65536 : 0;
    bed_add(b, o);
    return ws_output_channel(b->out, 0);
}

enum { REC = 1000 };

/* Feeds numbered records, a block at a time, with time between for retries. */
static uint64_t feed(struct bed *b, struct ws_channel *ch, unsigned n)
{
    uint8_t rec[REC];
    for (unsigned i = 0; i < n; i++) {
        memset(rec, 0, REC);
        memcpy(rec, &i, sizeof(i));
        assert_int_equal(put_record(ch, i, rec, REC), 0);
        if (i % 10 == 9) {
            ws_channel_tick(ch, i, 0, true);
            while (ws_writer_poll(b->w))
                ;
            usleep(500);
            /* pressed() waits for age: poll until what was handed over is gone */
            for (int k = 0; k < 50 && ws_channel_blocks_free(ch) < 64; k++) {
                usleep(200);
                ws_writer_poll(b->w);
            }
        }
    }
    ws_channel_finish(ch);
    return (uint64_t)n * REC;
}

/* The file holds whole records only, in rising order. Returns their count. */
static unsigned check_records(const char *path)
{
    size_t len = 0;
    uint8_t *p = bed_read(path, &len);
    unsigned last = 0;
    assert_non_null(p);
    assert_int_equal(len % REC, 0);
    for (size_t at = 0; at < len; at += REC) {
        unsigned i;
        memcpy(&i, p + at, sizeof(i));
        assert_true(at == 0 || i > last);
        last = i;
    }
    free(p);
    return (unsigned)(len / REC);
}

static void merged_fault(int error, const char *text)
{
    struct bed b;
    enum { N = 500 };
    struct ws_channel *ch =
        start(&b, (struct ws_fault){.byte_budget = 123456, .error = error, .recover_after = 3},
              (struct ws_output_config){.kind = WS_OUTPUT_MERGED, .flush_ns = 1000});
    uint64_t total = feed(&b, ch, N);
    bed_drain(&b);
    unsigned whole = check_records(bed_path(&b, "out"));
    assert_in_range(whole, 130, N - 10);
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES), (uint64_t)whole * REC);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES), total - (uint64_t)whole * REC);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_PACKETS), N - whole);
    assert_int_equal(bed_count(&b, WS_C_WRITE_SUSPENDS), 1);
    assert_int_equal(bed_count(&b, WS_C_WRITE_RESUMES), 1);
    assert_int_equal(bed_count(&b, WS_C_WRITE_ERRORS), 3);
    char line[600];
    snprintf(line, sizeof(line), "%s: write failed: %s; output suspended, retrying every 0.001 s\n",
             bed_path(&b, "out"), text);
    assert_string_equal(strndupa(bed_log, strlen(line)), line);
    snprintf(line, sizeof(line), "%s: resumed, %llu bytes lost\n", bed_path(&b, "out"),
             (unsigned long long)bed_count(&b, WS_C_WRITE_LOST_BYTES));
    assert_non_null(strstr(bed_log, line));
    assert_int_equal(ws_writer_suspended(b.w), 0);
    snprintf(line, sizeof(line), "%s: %s", bed_path(&b, "out"), text);
    assert_string_equal(ws_writer_first_error(b.w), line);
    bed_fini(&b);
}

static void test_merged_enospc(void **state)
{
    (void)state;
    merged_fault(ENOSPC, "No space left on device");
}

static void test_merged_eio(void **state)
{
    (void)state;
    merged_fault(EIO, "Input/output error");
}

static void test_merged_for_ever(void **state)
{
    struct bed b;
    (void)state;
    struct ws_channel *ch = start(&b, (struct ws_fault){.byte_budget = 25500, .error = ENOSPC},
                                  (struct ws_output_config){.kind = WS_OUTPUT_MERGED,
                                                            .flush_ns = 1000,
                                                            .commit = true,
                                                            .header = "0123",
                                                            .header_len = 0});
    feed(&b, ch, 100);
    assert_true(ws_channel_suspended(ch));
    bed_drain(&b);
    assert_int_equal(check_records(bed_path(&b, "out")), 20); /* a write of ten records, twice */
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_PACKETS), 80);
    assert_int_equal(ws_writer_suspended(b.w), 1);
    assert_int_equal(b.closed_error, -ENOSPC);
    bed_fini(&b);
}

/* A record that others need is not lost with a write that fails: it comes before the next ones that arrive. */
static void test_merged_vital(void **state)
{
    struct bed b;
    (void)state;
    struct ws_channel *ch = start(&b, (struct ws_fault){.byte_budget = 35000, .error = ENOSPC, .recover_after = 3},
                                  (struct ws_output_config){.kind = WS_OUTPUT_MERGED, .flush_ns = 1000});
    uint8_t rec[REC] = {0};
    unsigned vital = 0;
    for (unsigned i = 0; i < 200; i++) { /* a vital record before each tenth one, numbered by itself */
        if (i % 10 == 5) {
            memset(rec, 0xff, sizeof(rec));
            memcpy(rec, &vital, sizeof(vital));
            struct ws_bytes piece = {rec, sizeof(rec)};
            assert_int_equal(ws_channel_record_vital(ch, i, &piece, 1), 0);
            vital++;
        }
        memset(rec, 0, sizeof(rec));
        memcpy(rec, &i, sizeof(i));
        assert_int_equal(put_record(ch, i, rec, REC), 0);
        if (i % 10 == 9) {
            ws_channel_tick(ch, i, 0, true);
            for (int k = 0; k < 50 && (k == 0 || ws_channel_blocks_free(ch) < 64); k++) {
                usleep(300);
                while (ws_writer_poll(b.w))
                    ;
            }
        }
    }
    ws_channel_finish(ch);
    bed_drain(&b);
    size_t len = 0;
    uint8_t *p = bed_read(bed_path(&b, "out"), &len);
    unsigned seen = 0, plain = 0;
    assert_non_null(p);
    assert_int_equal(len % REC, 0);
    for (size_t at = 0; at < len; at += REC) {
        unsigned n;
        memcpy(&n, p + at, sizeof(n));
        if (p[at + 8] == 0xff) {
            assert_int_equal(n, seen); /* each once, in order */
            seen++;
        } else {
            assert_true(seen >= (n + 5) / 10); /* behind those that it needs */
            plain++;
        }
    }
    assert_int_equal(seen, vital);
    assert_int_equal(plain + bed_count(&b, WS_C_WRITE_LOST_PACKETS), 200);
    assert_true(bed_count(&b, WS_C_WRITE_LOST_PACKETS) > 0);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES), bed_count(&b, WS_C_WRITE_LOST_PACKETS) * REC);
    free(p);
    bed_fini(&b);
}

/* Another error ends the output at once. */
static void test_merged_odd_error(void **state)
{
    struct bed b;
    (void)state;
    struct ws_channel *ch =
        start(&b, (struct ws_fault){.byte_budget = 15000, .error = EBADF, .recover_after = 1},
              (struct ws_output_config){.kind = WS_OUTPUT_MERGED, .flush_ns = 1000});
    feed(&b, ch, 100);
    bed_drain(&b);
    assert_int_equal(check_records(bed_path(&b, "out")), 10);
    assert_int_equal(ws_writer_suspended(b.w), 1);
    assert_non_null(strstr(bed_log, "write failed: Bad file descriptor; output ended"));
    bed_fini(&b);
}

static void test_tree_enospc(void **state)
{
    struct bed b;
    enum { FILES = 10, ROUNDS = 100 };
    uint64_t id[FILES], total = 0;
    uint8_t buf[REC];
    char name[16];
    (void)state;
    struct ws_channel *ch =
        start(&b, (struct ws_fault){.byte_budget = 200500, .error = ENOSPC, .recover_after = 4},
              (struct ws_output_config){.kind = WS_OUTPUT_TREE, .flush_ns = 1});
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        id[i] = ws_channel_file_open(ch, name, i == 1 ? WS_FILE_PART : 0);
    }
    memset(buf, 'z', sizeof(buf));
    for (unsigned k = 0; k < ROUNDS; k++) {
        for (unsigned i = 0; i < FILES; i++, total += REC)
            assert_int_equal(put(ch, id[i], (uint64_t)k * REC, buf, REC), 0);
        ws_channel_tick(ch, 0, 0, true);
        while (ws_writer_poll(b.w))
            ;
        usleep(500);
    }
    for (unsigned i = 0; i < FILES; i++)
        assert_int_equal(ws_channel_file_close(ch, id[i], (uint64_t)ROUNDS * REC, INT64_MIN, 0), 0);
    ws_channel_finish(ch);
    bed_drain(&b);
    uint64_t written = bed_count(&b, WS_C_WRITE_BYTES), lost = bed_count(&b, WS_C_WRITE_LOST_BYTES);
    assert_int_equal(written + lost, total);
    assert_true(lost > 0 && written > 200500);
    assert_int_equal(bed_count(&b, WS_C_WRITE_SUSPENDS), 1);
    assert_int_equal(bed_count(&b, WS_C_WRITE_RESUMES), 1);
    /* what is there stands at its offset; what is lost is a hole */
    uint64_t z = 0;
    for (unsigned i = 0; i < FILES; i++) {
        size_t len = 0;
        snprintf(name, sizeof(name), i == 1 ? "out/f%u.part" : "out/f%u", i);
        uint8_t *p = bed_read(bed_path(&b, name), &len);
        assert_non_null(p);
        assert_int_equal(len, ROUNDS * REC);
        for (size_t k = 0; k < len; k++)
            z += p[k] == 'z';
        free(p);
    }
    assert_int_equal(z, written);
    assert_int_equal(b.closed_error, -ENOSPC);
    bed_fini(&b);
}

/* The same disk error with a worker that would wait: it must not wait for ever. */
static void test_tree_full_for_ever(void **state)
{
    struct bed b;
    static uint8_t buf[50000];
    (void)state;
    struct ws_channel *ch = start(&b, (struct ws_fault){.error = EIO, .byte_budget = 1},
                                  (struct ws_output_config){.kind = WS_OUTPUT_TREE, .blocks = 3});
    bed_start(&b);
    for (unsigned i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%u", i);
        uint64_t id = ws_channel_file_open(ch, name, 0);
        assert_int_equal(put(ch, id, 0, buf, sizeof(buf)), 0);
        assert_int_equal(ws_channel_file_close(ch, id, UINT64_MAX, INT64_MIN, 0), 0);
    }
    ws_channel_finish(ch);
    bed_drain(&b);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES) + bed_count(&b, WS_C_WRITE_BYTES),
                     200 * sizeof(buf));
    assert_int_equal(b.closed, 200);
    assert_int_equal(b.closed_error, -EIO);
    bed_fini(&b);
}

/* One output fails, another one of the same writer goes on. */
static void test_others_go_on(void **state)
{
    struct bed b;
    (void)state;
    struct rlimit old, low;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    bed_init(&b, &(struct ws_writer_config){.backend = WS_BACKEND_PLAIN, .retry_ns = 1000000});
    struct ws_output_config c = {.kind = WS_OUTPUT_MERGED,
                                 .path = bed_path(&b, "big"),
                                 .channels = 1,
                                 .may_wait = true,
                                 .flush_ns = 1000};
    bed_add(&b, c);
    struct ws_channel *big = ws_output_channel(b.out, 0);
    c.path = bed_path(&b, "small");
    bed_add(&b, c);
    struct ws_channel *small = ws_output_channel(b.out, 0);
    low = old;
    low.rlim_cur = 20500;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    put_record(small, 0, "small", 5);
    feed(&b, big, 100);
    put_record(small, 1, "SMALL", 5);
    ws_channel_finish(small);
    bed_drain(&b);
    setrlimit(RLIMIT_FSIZE, &old);
    bed_expect(bed_path(&b, "small"), "smallSMALL", 10);
    assert_int_equal(check_records(bed_path(&b, "big")), 20);
    assert_int_equal(ws_writer_suspended(b.w), 1);
    assert_non_null(strstr(bed_log, "big: write failed: File too large; output suspended"));
    bed_fini(&b);
}

/* A file that may not grow costs the other files of its tree nothing. */
static void tree_too_large(enum ws_backend_kind backend)
{
    struct bed b;
    static uint8_t buf[30000];
    struct rlimit old, low;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    bed_init(&b, &(struct ws_writer_config){.backend = backend, .retry_ns = INT64_MAX / 2});
    bed_add(&b, (struct ws_output_config){.kind = WS_OUTPUT_TREE,
                                          .path = bed_path(&b, "out"),
                                          .channels = 1,
                                          .may_wait = true,
                                          .flush_ns = 1});
    struct ws_channel *ch = ws_output_channel(b.out, 0);
    uint64_t big = ws_channel_file_open(ch, "big", 0), small = ws_channel_file_open(ch, "small", 0);
    low = old;
    low.rlim_cur = 20000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    assert_int_equal(put(ch, big, 0, buf, sizeof(buf)), 0);
    assert_int_equal(put_str(ch, small, 0, "first "), 0);
    for (unsigned k = 0; k < 2; k++) {
        ws_channel_tick(ch, 0, 0, true);
        while (ws_writer_poll(b.w))
            usleep(100);
        usleep(1000);
        while (ws_writer_poll(b.w))
            usleep(100);
        if (k == 0)
            assert_int_equal(put_str(ch, small, 6, "second"), 0);
    }
    assert_int_equal(put(ch, big, 10, buf, 100), 0);
    assert_int_equal(ws_channel_file_close(ch, big, 30000, INT64_MIN, 0), 0);
    assert_int_equal(ws_channel_file_close(ch, small, UINT64_MAX, INT64_MIN, 0), 0);
    ws_channel_finish(ch);
    bed_drain(&b);
    setrlimit(RLIMIT_FSIZE, &old);
    bed_expect(bed_path(&b, "out/small"), "first second", 12);
    assert_int_equal(ws_writer_suspended(b.w), 0);
    assert_int_equal(bed_count(&b, WS_C_WRITE_SUSPENDS), 0);
    assert_non_null(strstr(bed_log, "out/big: write failed: File too large"));
    assert_int_equal(bed_count(&b, WS_C_WRITE_BYTES) + bed_count(&b, WS_C_WRITE_LOST_BYTES), 30112);
    bed_fini(&b);
}

static void test_tree_too_large(void **state)
{
    (void)state;
    tree_too_large(WS_BACKEND_PLAIN);
    tree_too_large(WS_BACKEND_AUTO);
}

static void test_short_and_stall(void **state)
{
    struct bed b;
    enum { N = 300 };
    (void)state;
    struct ws_channel *ch =
        start(&b, (struct ws_fault){.short_every = 2, .stall_at = 50000, .stall_ns = 50000000},
              (struct ws_output_config){.kind = WS_OUTPUT_MERGED});
    bed_start(&b);
    uint8_t rec[REC];
    for (unsigned i = 0; i < N; i++) {
        memset(rec, (int)i, REC);
        memcpy(rec, &i, sizeof(i));
        assert_int_equal(put_record(ch, i, rec, REC), 0);
        ws_channel_tick(ch, i, 0, i % 7 == 0);
    }
    ws_channel_finish(ch);
    bed_drain(&b);
    assert_int_equal(check_records(bed_path(&b, "out")), N);
    assert_int_equal(bed_count(&b, WS_C_WRITE_ERRORS), 0);
    bed_fini(&b);
}

static void *write_until_refused(void *arg)
{
    struct ws_channel *ch = arg;
    static uint8_t buf[30000];
    uint64_t id = ws_channel_file_open(ch, "f", 0), off = 0;
    while (put(ch, id, off, buf, sizeof(buf)) == 0)
        off += sizeof(buf);
    /* once refused, nothing waits any more */
    assert_int_equal(put(ch, id, off, buf, sizeof(buf)), -EAGAIN);
    return NULL;
}

static void test_abort_while_waiting(void **state)
{
    struct bed b;
    pthread_t t;
    (void)state;
    struct ws_channel *ch = start(&b, (struct ws_fault){0},
                                  (struct ws_output_config){.kind = WS_OUTPUT_TREE, .blocks = 2});
    assert_int_equal(pthread_create(&t, NULL, write_until_refused, ch), 0);
    usleep(10000); /* no writer runs: it waits */
    ws_writer_abort(b.w);
    pthread_join(t, NULL);
    bed_drain(&b);
    assert_true(bed_count(&b, WS_C_WRITE_LOST_BYTES) > 65536);
    assert_int_equal(b.closed, 0);
    bed_fini(&b);
}

static void test_tree_directory_errors(void **state)
{
    struct bed b;
    (void)state;
    struct ws_channel *ch =
        start(&b, (struct ws_fault){0}, (struct ws_output_config){.kind = WS_OUTPUT_TREE});
    uint64_t dir = ws_channel_file_open(ch, "a/b", 0), conflict = ws_channel_file_open(ch, "a", 0);
    put_str(ch, dir, 0, "below");
    assert_int_equal(ws_channel_file_close(ch, dir, UINT64_MAX, INT64_MIN, 1), 0);
    put_str(ch, conflict, 0, "conflict");
    assert_int_equal(ws_channel_file_close(ch, conflict, UINT64_MAX, INT64_MIN, 2), 0);
    ws_channel_finish(ch);
    bed_drain(&b);
    bed_expect(bed_path(&b, "out/a/b"), "below", 5);
    assert_int_equal(bed_count(&b, WS_C_WRITE_LOST_BYTES), 8);
    assert_int_equal(b.closed, 2);
    assert_int_equal(b.closed_error, -EEXIST);
    assert_int_equal(ws_writer_suspended(b.w), 0);
    bed_fini(&b);
}

#if WS_HAVE_URING
/* Forbids io_uring_setup() to this process from here on. */
static bool forbid_uring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = WS_ARRAY_SIZE(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

static int without_uring(void)
{
    struct ws_writer *w;
    if (!forbid_uring())
        return 77;
    bed_log[0] = '\0';
    ws_log_sink = bed_log_sink;
    if (ws_writer_create(&w, &(struct ws_writer_config){.backend = WS_BACKEND_URING}) != -EPERM)
        return 1;
    for (int i = 0; i < 2; i++) {
        if (ws_writer_create(&w, &(struct ws_writer_config){.backend = WS_BACKEND_AUTO}) != 0)
            return 2;
        ws_writer_destroy(w);
    }
    /* said once */
    return strcmp(bed_log, "no io_uring here (Operation not permitted): plain writes\n") ? 3 : 0;
}

static void test_no_uring(void **state)
{
    int status;
    (void)state;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(without_uring());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merged_enospc),
        cmocka_unit_test(test_merged_eio),
        cmocka_unit_test(test_merged_for_ever), cmocka_unit_test(test_merged_vital),
        cmocka_unit_test(test_merged_odd_error),
        cmocka_unit_test(test_tree_enospc),
        cmocka_unit_test(test_tree_full_for_ever),
        cmocka_unit_test(test_others_go_on),
        cmocka_unit_test(test_tree_too_large),
        cmocka_unit_test(test_short_and_stall),
        cmocka_unit_test(test_abort_while_waiting),
        cmocka_unit_test(test_tree_directory_errors),
#if WS_HAVE_URING
        cmocka_unit_test(test_no_uring),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
