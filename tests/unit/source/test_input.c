/* SPDX-License-Identifier: BSD-3-Clause */
/* Inputs as bytes: compressors, members, damage, pipes and standard input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "source/input.h"
#include "unit/source/pack.h"
#include "unit/source/slurp.h"

enum { PACKETS = 4000, PACKET_LEN = 200 };

static struct build capture; /* some 860 KB that do not shrink to nothing */

static int make_capture(void **state)
{
    struct build *b = &capture;
    uint32_t x = 1;
    (void)state;
    put_pcap_header(b, 0xa1b23c4d, 65535, 1);
    for (unsigned i = 0; i < PACKETS; i++) {
        put_pcap_record(b, i, i, PACKET_LEN, PACKET_LEN);
        for (unsigned k = 0; k < PACKET_LEN; k++) {
            x = x * 1103515245 + 12345;
            uint8_t c = (uint8_t)(x >> 28); /* 16 values: half the size when packed */
            put_bytes(b, &c, 1);
        }
    }
    return 0;
}

static int free_capture(void **state)
{
    (void)state;
    build_free(&capture);
    return 0;
}

/* The first n packets of s are those of this capture. */
static void check_packets(const struct slurp *s, const struct build *of, unsigned n)
{
    assert_true(s->n >= n);
    for (unsigned i = 0; i < n; i++) {
        assert_true(s->row[i].k.ts_ns == (int64_t)i * 1000000001);
        assert_memory_equal(s->row[i].k.data, of->p + 24 + i * (16 + PACKET_LEN) + 16,
                            PACKET_LEN);
    }
}

static void all_compressors_one_and_several_members(void **state)
{
    (void)state;
    clear_log();
    for (int how = 0; how < PACK_COUNT; how++) {
        for (size_t members = 1; members <= 7; members += 3) {
            struct build packed = {0};
            struct slurp s;
            for (size_t m = 0; m < members; m++) { /* members end in the middle of records */
                size_t from = capture.len * m / members, to = capture.len * (m + 1) / members;
                pack_append(&packed, (enum pack)how, capture.p + from, to - from);
            }
            assert_int_equal(slurp_bytes(&s, packed.p, packed.len, NULL), 0);
            check_packets(&s, &capture, PACKETS);
            assert_false(s.damaged);
            assert_int_equal(s.bytes_total, packed.len);
            assert_int_equal(s.bytes_done, packed.len);
            slurp_free(&s);
            build_free(&packed);
        }
    }
    assert_string_equal(logged, "");
}

static void cut_compressed_data_gives_what_it_can(void **state)
{
    (void)state;
    for (int how = PACK_GZIP; how < PACK_COUNT; how++) {
        struct build packed = {0};
        pack_append(&packed, (enum pack)how, capture.p, capture.len);
        for (unsigned part = 1; part < 8; part++) {
            struct slurp s;
            size_t len = packed.len * part / 8;
            clear_log();
            int r = slurp_bytes(&s, packed.p, len, NULL);
            if (r) { /* a compressor of large blocks has nothing for us yet */
                assert_int_equal(r, -EINVAL);
                assert_non_null(strstr(s.err, "cut short"));
                continue;
            }
            assert_true(s.damaged);
            assert_true(s.n < PACKETS);
            assert_non_null(strstr(logged, "data is cut short"));
            char offset[64];
            snprintf(offset, sizeof(offset), "offset %zu: ", len);
            assert_non_null(strstr(logged, offset));
            if (how != PACK_XZ && part == 7)
                assert_true(s.n > PACKETS / 2);
            check_packets(&s, &capture, s.n);
            slurp_free(&s);
        }
        /* the last byte is missing, which no packet needs: all come, and the damage is said */
        struct slurp s;
        clear_log();
        assert_int_equal(slurp_bytes(&s, packed.p, packed.len - 1, NULL), 0);
        check_packets(&s, &capture, PACKETS);
        assert_true(s.damaged);
        slurp_free(&s);
        build_free(&packed);
    }
}

static void corrupt_compressed_data_is_said(void **state)
{
    (void)state;
    for (int how = PACK_GZIP; how < PACK_COUNT; how++) {
        struct build packed = {0};
        struct slurp s;
        /* the damage lies in a second member, so that the first is certain to be read */
        size_t half = 24 + (16 + PACKET_LEN) * (PACKETS / 2);
        pack_append(&packed, (enum pack)how, capture.p, half);
        size_t second = packed.len;
        pack_append(&packed, (enum pack)how, capture.p + half, capture.len - half);
        for (size_t i = 0; i < 64; i++)
            packed.p[second + (packed.len - second) / 2 + i] ^= 0x55;
        clear_log();
        assert_int_equal(slurp_bytes(&s, packed.p, packed.len, NULL), 0);
        assert_true(s.damaged);
        assert_true(s.n >= PACKETS / 2 && s.n <= PACKETS);
        assert_true(strlen(logged) > 0);
        if (how == PACK_GZIP) /* has no blocks: what precedes the damage in its member comes too */
            assert_true(s.n > PACKETS * 5 / 8);
        check_packets(&s, &capture, PACKETS / 2);
        slurp_free(&s);
        build_free(&packed);
    }
}

static void rubbish_behind_compressed_data(void **state)
{
    (void)state;
    for (int how = PACK_GZIP; how < PACK_COUNT; how++) {
        struct build packed = {0};
        struct slurp s;
        pack_append(&packed, (enum pack)how, capture.p, capture.len);
        put_bytes(&packed, "rubbish behind it", 17);
        clear_log();
        assert_int_equal(slurp_bytes(&s, packed.p, packed.len, NULL), 0);
        check_packets(&s, &capture, PACKETS);
        assert_true(s.damaged);
        assert_non_null(strstr(logged, "bytes after the end of the"));
        slurp_free(&s);
        build_free(&packed);
    }
    struct build padded = {0};
    struct slurp s;
    clear_log();
    pack_append(&padded, PACK_GZIP, capture.p, capture.len);
    put_bytes(&padded, "\0\0\0\0\0\0\0\0", 8); /* tapes pad with zeros: no damage */
    assert_int_equal(slurp_bytes(&s, padded.p, padded.len, NULL), 0);
    check_packets(&s, &capture, PACKETS);
    assert_false(s.damaged);
    slurp_free(&s);
    build_free(&padded);
}

static void compressed_nothing_and_compressed_text(void **state)
{
    (void)state;
    for (int how = PACK_GZIP; how < PACK_COUNT; how++) {
        struct build packed = {0};
        struct slurp s;
        pack_append(&packed, (enum pack)how, (const uint8_t *)"", 0);
        assert_int_equal(slurp_bytes(&s, packed.p, packed.len, NULL), -EINVAL);
        assert_non_null(strstr(s.err, "empty file"));
        build_free(&packed);
        pack_append(&packed, (enum pack)how, (const uint8_t *)"some text", 9);
        assert_int_equal(slurp_bytes(&s, packed.p, packed.len, NULL), -EINVAL);
        assert_non_null(strstr(s.err, "starts with 73 6f 6d 65"));
        build_free(&packed);
    }
}

/* Writes bytes into a pipe, a few at a time, with pauses so long that the reader meets an empty
 * pipe. */
struct feeder {
    int fd;
    const struct build *b;
    size_t step;
    unsigned pause_us;
};

static void *feed(void *arg)
{
    struct feeder *f = arg;
    for (size_t at = 0; at < f->b->len;) {
        size_t n = WS_MIN(f->step, f->b->len - at);
        ssize_t w = write(f->fd, f->b->p + at, n);
        if (w <= 0)
            break;
        at += (size_t)w;
        if (f->pause_us)
            usleep(f->pause_us);
    }
    close(f->fd);
    return NULL;
}

/* Reads b through a pipe that stands as standard input. */
static void slurp_stdin(struct slurp *s, const struct build *b, size_t step, unsigned pause_us,
                        bool stable)
{
    int fds[2], saved = dup(STDIN_FILENO);
    pthread_t t;
    const char *list[1] = {"-"};
    struct ws_file_config cfg = {.path = list, .n_path = 1, .stable = stable};
    assert_int_equal(pipe(fds), 0);
    dup2(fds[0], STDIN_FILENO);
    close(fds[0]);
    struct feeder f = {fds[1], b, step, pause_us};
    assert_int_equal(pthread_create(&t, NULL, feed, &f), 0);
    assert_int_equal(slurp(s, &cfg), 0);
    pthread_join(t, NULL);
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
}

static void standard_input_by_pipe(void **state)
{
    (void)state;
    clear_log();
    for (int how = 0; how < PACK_COUNT; how++) {
        struct build packed = {0};
        pack_append(&packed, (enum pack)how, capture.p, capture.len);
        for (int stable = 0; stable < 2; stable++) {
            struct slurp s;
            slurp_stdin(&s, &packed, 777, 0, stable);
            check_packets(&s, &capture, PACKETS);
            assert_false(s.damaged);
            assert_int_equal(s.bytes_total, 0); /* unknown */
            assert_int_equal(s.bytes_done, packed.len);
            slurp_free(&s);
        }
        build_free(&packed);
    }
    assert_string_equal(logged, "");
}

static void standard_input_that_pauses(void **state)
{
    struct build few = {0};
    (void)state;
    clear_log();
    put_pcap_header(&few, 0xa1b23c4d, 65535, 1);
    for (unsigned i = 0; i < 30; i++) {
        put_pcap_record(&few, i, i, PACKET_LEN, PACKET_LEN);
        put_fill(&few, PACKET_LEN, i);
    }
    for (int how = 0; how < PACK_COUNT; how++) {
        struct build packed = {0};
        struct slurp s;
        pack_append(&packed, (enum pack)how, few.p, few.len);
        slurp_stdin(&s, &packed, packed.len / 4 + 1, 30000,
                    false); /* first less than the magic, too */
        check_packets(&s, &few, 30);
        assert_false(s.damaged);
        slurp_free(&s);
        build_free(&packed);
    }
    assert_string_equal(logged, "");
    build_free(&few);
}

/* A pipe that stays open and silent does not hold up the reading thread. */
static void silent_pipe_says_nothing_now(void **state)
{
    int fds[2], saved = dup(STDIN_FILENO);
    char err[256];
    struct ws_source *src;
    struct ws_packet pkt[WS_BURST_MAX];
    const char *list[1] = {"-"};
    struct ws_file_config cfg = {.path = list, .n_path = 1};
    struct build b = {0};
    (void)state;
    put_pcap_header(&b, 0xa1b23c4d, 65535, 1);
    put_pcap_record(&b, 1, 1, 4, 4);
    put_fill(&b, 4, 1);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[0], STDIN_FILENO);
    close(fds[0]);
    assert_int_equal(write(fds[1], b.p, b.len), b.len);
    assert_int_equal(ws_file_open(&src, &cfg, err, sizeof(err)), 0);
    assert_int_equal(ws_source_rx(src, pkt, WS_BURST_MAX), 1);
    for (int i = 0; i < 40; i++) /* as often as a library might lose patience */
        assert_int_equal(ws_source_rx(src, pkt, WS_BURST_MAX), 0);
    assert_int_equal(write(fds[1], b.p + 24, b.len - 24), b.len - 24);
    assert_int_equal(ws_source_rx(src, pkt, WS_BURST_MAX), 1);
    assert_int_equal(pkt[0].ordinal, 1);
    close(fds[1]);
    assert_int_equal(ws_source_rx(src, pkt, WS_BURST_MAX), WS_SOURCE_END);
    src->ops->close(src);
    dup2(saved, STDIN_FILENO);
    close(saved);
    build_free(&b);
}

static void input_bytes_as_they_are(void **state)
{
    struct build b = {0};
    char path[256], err[256];
    uint8_t buf[100];
    struct ws_input *in;
    (void)state;
    put_fill(&b, 1000, 9);
    for (int how = 0; how < PACK_COUNT; how++) {
        struct build packed = {0}, got = {0};
        pack_append(&packed, (enum pack)how, b.p, b.len);
        write_temp(path, packed.p, packed.len);
        assert_int_equal(ws_input_open(&in, path, err, sizeof(err)), 0);
        assert_int_equal(ws_input_compressed(in), how != PACK_NONE);
        assert_int_equal(ws_input_size(path), packed.len);
        for (size_t step = 1;; step = step % sizeof(buf) + 1) {
            ssize_t n = ws_input_read(in, buf, step);
            assert_true(n >= 0 && (size_t)n <= step);
            if (n == 0)
                break;
            put_bytes(&got, buf, (size_t)n);
        }
        assert_int_equal(ws_input_read(in, buf, 1), 0); /* the end stays the end */
        assert_int_equal(got.len, b.len);
        assert_memory_equal(got.p, b.p, b.len);
        assert_int_equal(ws_input_consumed(in), packed.len);
        ws_input_close(in);
        unlink(path);
        build_free(&packed);
        build_free(&got);
    }
    build_free(&b);
}

static void zstd_that_begins_with_a_skippable_frame(void **state)
{
    struct build packed = {0};
    struct slurp s;
    (void)state;
    clear_log();
    for (int i = 0; i < 2; i++) {
        put32(&packed, 0x184d2a50 + (uint32_t)i * 15);
        put32(&packed, 4);
        put_bytes(&packed, "skip", 4);
        size_t half = capture.len / 2;
        pack_append(&packed, PACK_ZSTD, capture.p + (i ? half : 0), i ? capture.len - half : half);
    }
    assert_int_equal(slurp_bytes(&s, packed.p, packed.len, NULL), 0);
    assert_int_equal(s.n, PACKETS);
    check_packets(&s, &capture, PACKETS);
    assert_false(s.damaged);
    assert_string_equal(logged, "");
    slurp_free(&s);
    build_free(&packed);
}

/* The last stored byte is taken long before the last plain one is given. */
static void few_stored_bytes_for_many(void **state)
{
    enum { PLAIN = 100000 };
    uint8_t *zeros = calloc(1, PLAIN), packed[1000], buf[1000];
    char path[256], err[256];
    struct ws_input *in;
    size_t sum = 0;
    ssize_t n;
    (void)state;
    size_t len = ZSTD_compress(packed, sizeof(packed), zeros, PLAIN, 1); /* without a checksum */
    assert_false(ZSTD_isError(len));
    write_temp(path, packed, len);
    assert_int_equal(ws_input_open(&in, path, err, sizeof(err)), 0);
    while ((n = ws_input_read(in, buf, sizeof(buf))) > 0)
        sum += (size_t)n;
    assert_int_equal(n, 0);
    assert_int_equal(sum, PLAIN);
    ws_input_close(in);
    unlink(path);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_compressors_one_and_several_members),
        cmocka_unit_test(cut_compressed_data_gives_what_it_can),
        cmocka_unit_test(corrupt_compressed_data_is_said),
        cmocka_unit_test(rubbish_behind_compressed_data),
        cmocka_unit_test(compressed_nothing_and_compressed_text),
        cmocka_unit_test(standard_input_by_pipe),
        cmocka_unit_test(standard_input_that_pauses),
        cmocka_unit_test(silent_pipe_says_nothing_now),
        cmocka_unit_test(input_bytes_as_they_are),
        cmocka_unit_test(few_stored_bytes_for_many),
        cmocka_unit_test(zstd_that_begins_with_a_skippable_frame),
    };
    return cmocka_run_group_tests(tests, make_capture, free_capture);
}
