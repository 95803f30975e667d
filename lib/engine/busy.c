/* SPDX-License-Identifier: BSD-3-Clause */
/* How busy a thread is: its CPU time. */
#include "engine/busy.h"

#include <pthread.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) == 0 ? t.tv_sec * INT64_C(1000000000) + t.tv_nsec : -1;
}

void ws_busy_begin(struct ws_busy *b)
{
    clockid_t clock = CLOCK_THREAD_CPUTIME_ID;
    bool known = pthread_getcpuclockid(pthread_self(), &clock) == 0;
    b->last = ws_busy_ticks();
    atomic_store_explicit(&b->begin_ns, clock_ns(CLOCK_THREAD_CPUTIME_ID), memory_order_relaxed);
    atomic_store_explicit(&b->clock, clock, memory_order_relaxed);
    atomic_store_explicit(&b->state, known, memory_order_release);
}

void ws_busy_end(struct ws_busy *b)
{
    int64_t spent = clock_ns(CLOCK_THREAD_CPUTIME_ID) - atomic_load_explicit(&b->begin_ns, memory_order_relaxed);
    atomic_store_explicit(&b->spent_ns, spent, memory_order_relaxed);
    atomic_store_explicit(&b->state, 2, memory_order_release);
}

struct ws_busy_look ws_busy_look(struct ws_busy *b)
{
    struct ws_busy_look l = {
        .work = atomic_load_explicit(&b->work, memory_order_relaxed),
        .idle = atomic_load_explicit(&b->idle, memory_order_relaxed),
    };
    if (atomic_load_explicit(&b->state, memory_order_acquire) == 0)
        return l;
    /* First the clock, then whether it was still there. */
    int64_t now = clock_ns((clockid_t)atomic_load_explicit(&b->clock, memory_order_relaxed));
    if (atomic_load_explicit(&b->state, memory_order_acquire) == 2)
        l.cpu_ns = atomic_load_explicit(&b->spent_ns, memory_order_relaxed);
    else
        l.cpu_ns = now - atomic_load_explicit(&b->begin_ns, memory_order_relaxed);
    return l;
}
