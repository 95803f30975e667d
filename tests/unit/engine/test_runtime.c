/* SPDX-License-Identifier: BSD-3-Clause */
/* The plain runtime: threads run and return, memory is zeroed, aligned and released. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "engine/runtime.h"
#include "ws_config.h"

static struct ws_runtime *start(unsigned threads, bool hugepages)
{
    char err[256] = "";
    struct ws_runtime *rt = NULL;
    struct ws_runtime_config cfg = {.threads = threads, .hugepages = hugepages};
    int rc = ws_runtime_start(&rt, &cfg, err, sizeof(err));
    if (rc != 0)
        fail_msg("start: %d %s", rc, err);
    return rt;
}

struct job {
    unsigned index;
    _Atomic unsigned *met; /* how many threads have arrived */
    unsigned all;
    char name[16];
    bool signals_blocked;
};

/* Returns only when all threads run at once: more threads than CPUs must work. */
static int meet(void *arg)
{
    struct job *j = arg;
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    j->signals_blocked = sigismember(&set, SIGINT) == 1 && sigismember(&set, SIGTERM) == 1;
    pthread_getname_np(pthread_self(), j->name, sizeof(j->name));
    atomic_fetch_add(j->met, 1);
    while (atomic_load(j->met) < j->all)
        sched_yield();
    return (int)(100 + j->index);
}

static void threads_run(void **state)
{
    (void)state;
    enum { N = 9 };
    struct job job[N];
    _Atomic unsigned met = 0;
    struct ws_runtime *rt = start(N, false);
    for (unsigned i = 0; i < N; i++) {
        char name[32];
        job[i] = (struct job){.index = i, .met = &met, .all = N};
        snprintf(name, sizeof(name), "a-long-thread-name-%u", i);
        assert_int_equal(ws_runtime_launch(rt, i, name, meet, &job[i]), 0);
    }
    assert_int_equal(ws_runtime_launch(rt, 0, "again", meet, &job[0]), -EBUSY);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(ws_runtime_join(rt, i), 100 + i);
        assert_string_equal(job[i].name, "a-long-thread-n");
        assert_true(job[i].signals_blocked);
    }
    assert_int_equal(ws_runtime_join(rt, 0), -EINVAL);
    assert_int_equal(ws_runtime_launch(rt, N, "beyond", meet, &job[0]), -EINVAL);
    met = N;
    assert_int_equal(ws_runtime_launch(rt, 3, "again", meet, &job[3]), 0);
    assert_int_equal(ws_runtime_join(rt, 3), 103);
    ws_runtime_stop(rt);
}

static void memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,        4096,           5000,      (2u << 20) - 1,
                                   2u << 20, (3u << 20) + 1, 100u << 20};
    for (int huge = 0; huge < 2; huge++) {
        struct ws_runtime *rt = start(1, huge);
        for (size_t i = 0; i < WS_ARRAY_SIZE(sizes); i++) {
            for (int node = -1; node < 1; node++) {
                uint8_t *p = ws_runtime_alloc(rt, sizes[i], node);
                assert_non_null(p);
                assert_int_equal((uintptr_t)p % 4096, 0);
                for (size_t at = 0; at < sizes[i]; at += 1021)
                    assert_int_equal(p[at], 0);
                p[0] = 1;
                p[sizes[i] - 1] = 1;
            }
        }
        assert_null(ws_runtime_alloc(rt, 0, -1));
        assert_null(ws_runtime_alloc(rt, SIZE_MAX - 100, -1));
        if (!huge)
            assert_false(ws_runtime_has_hugepages(rt));
        ws_runtime_stop(rt);
    }
}

/* A reservation far above what is used must not cost memory. */
static void memory_is_touched_as_used(void **state)
{
    (void)state;
    struct ws_runtime *rt = start(1, false);
    uint8_t *p = ws_runtime_alloc(rt, (size_t)64 << 30, -1);
    assert_non_null(p);
    p[0] = 1;
    p[((size_t)64 << 30) - 1] = 1;
    ws_runtime_stop(rt);
}

static void bad_configurations(void **state)
{
    (void)state;
    char err[256] = "";
    struct ws_runtime *rt = NULL;
    struct ws_runtime_config cfg = {.threads = 0};
    assert_int_equal(ws_runtime_start(&rt, &cfg, err, sizeof(err)), -EINVAL);
    assert_null(rt);
    assert_true(strlen(err) > 0);
    cfg.threads = 100000;
    assert_int_equal(ws_runtime_start(&rt, &cfg, err, sizeof(err)), -EINVAL);
    int cpu[1] = {1000};
    cfg = (struct ws_runtime_config){.threads = 1, .cpu = cpu};
    assert_int_equal(ws_runtime_start(&rt, &cfg, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "1000"));
#if !WS_HAVE_DPDK
    cfg = (struct ws_runtime_config){.threads = 1, .eal = true};
    assert_int_equal(ws_runtime_start(&rt, &cfg, err, sizeof(err)), -ENOTSUP);
    assert_non_null(strstr(err, "built without DPDK"));
#endif
}

static int cpu_now(void *arg)
{
    (void)arg;
    return sched_getcpu();
}

static void threads_are_pinned(void **state)
{
    (void)state;
    cpu_set_t set;
    char err[256] = "";
    int cpu[1] = {-1};
    struct ws_runtime *rt = NULL;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    for (int c = CPU_SETSIZE - 1; c >= 0 && cpu[0] < 0; c--)
        if (CPU_ISSET((size_t)c, &set))
            cpu[0] = c;
    struct ws_runtime_config cfg = {.threads = 1, .cpu = cpu};
    assert_int_equal(ws_runtime_start(&rt, &cfg, err, sizeof(err)), 0);
    assert_int_equal(ws_runtime_launch(rt, 0, "pinned", cpu_now, NULL), 0);
    assert_int_equal(ws_runtime_join(rt, 0), cpu[0]);
    ws_runtime_stop(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_run),
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(memory_is_touched_as_used),
        cmocka_unit_test(bad_configurations),
        cmocka_unit_test(threads_are_pinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
