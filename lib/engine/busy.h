/* SPDX-License-Identifier: BSD-3-Clause */
/* How busy a thread is: time in rounds of its loop that found work, against rounds that found none.
 *
 * A thread that polls has the CPU all the time, so its CPU time says little; and where threads share CPUs, a round lasts
 * longer than its work. Both are kept, therefore: the lower of the two is nearer to the truth. A round costs one read of the time stamp
 * counter. The thread is the only writer; any thread may read. */
#ifndef WS_ENGINE_BUSY_H
#define WS_ENGINE_BUSY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/compiler.h"

struct ws_busy {
    uint64_t last;               /* ticks at the end of the round before */
    _Atomic uint64_t work, idle; /* ticks in rounds with and without work */
    _Atomic int64_t begin_ns, spent_ns; /* of the thread's CPU time; spent_ns once it has ended */
    _Atomic int clock;           /* that time's, for other threads */
    _Atomic int state;           /* 0 not begun, 1 works, 2 ended */
};

/* A look from outside. Ticks are of no unit: only their ratio is told. */
struct ws_busy_look {
    uint64_t work, idle;
    int64_t cpu_ns;
};

static inline uint64_t ws_busy_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
#endif
}

/* The thread's first and last word. */
void ws_busy_begin(struct ws_busy *b);
void ws_busy_end(struct ws_busy *b);

/* A round ended. */
static inline void ws_busy_round(struct ws_busy *b, bool worked)
{
    _Atomic uint64_t *sum = worked ? &b->work : &b->idle;
    uint64_t now = ws_busy_ticks();
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + (now - b->last), memory_order_relaxed);
    b->last = now;
}

/* Any thread. */
struct ws_busy_look ws_busy_look(struct ws_busy *b);

/* The share of rounds with work between two looks, 0 to 1; 0 where nothing happened. */
static inline double ws_busy_share(const struct ws_busy_look *from, const struct ws_busy_look *to)
{
    double work = (double)(to->work - from->work), idle = (double)(to->idle - from->idle);
    return work + idle > 0 ? work / (work + idle) : 0;
}

#endif
