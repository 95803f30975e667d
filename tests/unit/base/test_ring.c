/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring against a queue of its own, and between two threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ring.h"

struct elem {
    uint64_t value, check;
};

static struct ws_ring *make_ring(size_t count)
{
    struct ws_ring *r = aligned_alloc(64, ws_align_up(sizeof(*r), 64));
    void *mem = aligned_alloc(64, ws_ring_bytes(count, sizeof(struct elem)));
    assert_non_null(r);
    assert_non_null(mem);
    ws_ring_init(r, mem, count, sizeof(struct elem));
    return r;
}

static void free_ring(struct ws_ring *r)
{
    free(r->slots);
    free(r);
}

static void fills_and_refuses(void **state)
{
    struct ws_ring *r = make_ring(5); /* rounded up to 8 */
    (void)state;
    assert_int_equal(ws_ring_count(r, 1), 0);
    assert_int_equal(ws_ring_space(r, 100), 8);
    for (uint64_t i = 0; i < 8; i++)
        *(struct elem *)ws_ring_slot(r, i) = (struct elem){i, ~i};
    assert_int_equal(ws_ring_count(r, 1), 0); /* not before it is published */
    ws_ring_publish(r, 8);
    assert_int_equal(ws_ring_space(r, 1), 0);
    assert_int_equal(ws_ring_count(r, 3), 3);
    assert_int_equal(((struct elem *)ws_ring_peek(r, 2))->value, 2);
    ws_ring_release(r, 3);
    assert_int_equal(ws_ring_released(r), 3);
    assert_int_equal(ws_ring_space(r, 100), 3);
    assert_int_equal(ws_ring_count(r, 100), 5);
    assert_int_equal(((struct elem *)ws_ring_peek(r, 0))->value, 3);
    free_ring(r);
}

static void random_bursts_keep_order(void **state)
{
    const char *env = getenv("WS_TEST_SEED");
    unsigned seed = env ? (unsigned)strtoul(env, NULL, 10) : 20261u;
    struct ws_ring *r = make_ring(64);
    uint64_t put = 0, got = 0;
    (void)state;
    printf("seed %u\n", seed);
    while (got < 100000) {
        size_t n = ws_ring_space(r, (size_t)(rand_r(&seed) % 80));
        for (size_t i = 0; i < n; i++)
            *(struct elem *)ws_ring_slot(r, i) = (struct elem){put + i, 0};
        ws_ring_publish(r, n);
        put += n;
        n = ws_ring_count(r, (size_t)(rand_r(&seed) % 80));
        assert_true(n <= put - got);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(((struct elem *)ws_ring_peek(r, i))->value, got + i);
        ws_ring_release(r, n);
        got += n;
    }
    free_ring(r);
}

enum { THREAD_ELEMENTS = 300000 };

static void *produce(void *arg)
{
    struct ws_ring *r = arg;
    for (uint64_t put = 0; put < THREAD_ELEMENTS;) {
        size_t n = ws_ring_space(r, WS_MIN((size_t)33, (size_t)(THREAD_ELEMENTS - put)));
        for (size_t i = 0; i < n; i++)
            *(struct elem *)ws_ring_slot(r, i) = (struct elem){put + i, ~(put + i)};
        if (n)
            ws_ring_publish(r, n);
        else
            sched_yield();
        put += n;
    }
    return NULL;
}

static void two_threads_lose_nothing(void **state)
{
    struct ws_ring *r = make_ring(128);
    pthread_t t;
    (void)state;
    assert_int_equal(pthread_create(&t, NULL, produce, r), 0);
    for (uint64_t got = 0; got < THREAD_ELEMENTS;) {
        size_t n = ws_ring_count(r, 17);
        for (size_t i = 0; i < n; i++) {
            const struct elem *e = ws_ring_peek(r, i);
            assert_int_equal(e->value, got + i);
            assert_int_equal(e->check, ~(got + i));
        }
        if (n)
            ws_ring_release(r, n);
        else
            sched_yield();
        got += n;
    }
    pthread_join(t, NULL);
    free_ring(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_refuses),
        cmocka_unit_test(random_bursts_keep_order),
        cmocka_unit_test(two_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
