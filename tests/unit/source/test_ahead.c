/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading ahead: all bytes in order, whoever reads them; a new file at any moment; files that change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "source/ahead.h"

enum { WINDOW = 4096, WINDOWS = 8, FRONT = 100 };

static const struct ws_ahead_config config = {.window_bytes = WINDOW, .windows = WINDOWS, .front_bytes = FRONT};

static uint8_t byte_at(uint64_t off)
{
    return (uint8_t)((off * 2654435761u) >> 7 ^ off);
}

/* An unnamed file of len bytes that tell their place. */
static int make_file(size_t len)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    for (size_t i = 0; i < len; i++)
        fputc(byte_at(i), f);
    assert_int_equal(fflush(f), 0);
    int fd = dup(fileno(f));
    fclose(f);
    assert_true(fd >= 0);
    return fd;
}

/* The next window, waited for. */
static size_t next(struct ws_ahead *a, uint8_t **data)
{
    size_t n;
    while ((n = ws_ahead_next(a, data)) == SIZE_MAX)
        ;
    return n;
}

/* Reads up to max windows from offset on; the bytes that came. */
static uint64_t read_all(struct ws_ahead *a, uint64_t offset, unsigned max)
{
    uint64_t at = offset;
    uint8_t *data;
    for (unsigned w = 0; w < max; w++) {
        size_t n = next(a, &data);
        if (n == 0)
            break;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(data[i], byte_at(at + i));
        memset(data - FRONT, 0xff, FRONT); /* is no other window's */
        ws_ahead_free(a);
        at += n;
    }
    return at - offset;
}

static void every_byte_from_any_offset(void **state)
{
    static const size_t sizes[] = {0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW, 100 * WINDOW + 77, 1000 * WINDOW};
    static const uint64_t offsets[] = {0, 1, 24, WINDOW - 1, WINDOW, WINDOW + 24, 5 * WINDOW + 4000};
    struct ws_ahead *a;
    (void)state;
    assert_int_equal(ws_ahead_create(&a, &config), 0);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        int fd = make_file(sizes[s]);
        for (size_t o = 0; o < sizeof(offsets) / sizeof(*offsets); o++) {
            uint8_t *data;
            uint64_t left = sizes[s] > offsets[o] ? sizes[s] - offsets[o] : 0;
            ws_ahead_begin(a, fd, offsets[o]);
            assert_int_equal(read_all(a, offsets[o], UINT32_MAX), left);
            assert_int_equal(next(a, &data), 0); /* it stays so */
            ws_ahead_end(a);
        }
        close(fd);
    }
    ws_ahead_destroy(a);
}

static void files_that_are_left_early(void **state)
{
    struct ws_ahead *a;
    int fd = make_file(300 * WINDOW);
    (void)state;
    assert_int_equal(ws_ahead_create(&a, &config), 0);
    for (unsigned i = 0; i < 500; i++) {
        unsigned windows = i * 7 % 40;
        ws_ahead_begin(a, fd, i);
        read_all(a, i, windows);
        if (i % 3)
            ws_ahead_end(a);
    }
    ws_ahead_destroy(a); /* in the middle of one */
    ws_ahead_destroy(NULL);
    close(fd);
}

/* What is cut off meanwhile ends the reading, at the latest where it was when the windows before came. */
static void a_file_that_shrinks(void **state)
{
    struct ws_ahead *a;
    (void)state;
    assert_int_equal(ws_ahead_create(&a, &config), 0);
    for (unsigned i = 0; i < 50; i++) {
        int fd = make_file(100 * WINDOW);
        ws_ahead_begin(a, fd, 0);
        assert_int_equal(read_all(a, 0, i), (uint64_t)i * WINDOW);
        assert_int_equal(ftruncate(fd, (off_t)(i + 20) * WINDOW + 5), 0);
        assert_int_equal(read_all(a, (uint64_t)i * WINDOW, UINT32_MAX), 20 * WINDOW + 5);
        ws_ahead_end(a);
        close(fd);
    }
    ws_ahead_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_from_any_offset),
        cmocka_unit_test(files_that_are_left_early),
        cmocka_unit_test(a_file_that_shrinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
