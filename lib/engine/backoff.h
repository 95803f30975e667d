/* SPDX-License-Identifier: BSD-3-Clause */
/* What a thread does when it finds nothing to do: spin, then yield, then sleep a little; the writer naps at once. */
#ifndef WS_ENGINE_BACKOFF_H
#define WS_ENGINE_BACKOFF_H

#include <sched.h>
#include <time.h>

struct ws_backoff {
    unsigned idle; /* polls without work in a row */
};

static inline void ws_backoff_reset(struct ws_backoff *b)
{
    b->idle = 0;
}

/* Waits a little, the longer the idler. There may be more threads than CPUs, so spinning is short. */
static inline void ws_backoff_wait(struct ws_backoff *b)
{
    static const struct timespec nap = {0, 50000};
    b->idle++;
    if (b->idle < 32) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    } else if (b->idle < 256) {
        sched_yield();
    } else {
        nanosleep(&nap, NULL);
    }
}

/* The same for the writer: it is handed large pieces, whose owners have room for many more. So it does not yield, which
 * would be spinning on a CPU of its own, and the naps of one that stays idle grow. */
static inline void ws_backoff_nap(struct ws_backoff *b)
{
    static const struct timespec nap = {0, 50000}, longer = {0, 200000};
    b->idle++;
    if (b->idle < 32) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    } else {
        nanosleep(b->idle < 64 ? &nap : &longer, NULL);
    }
}

#endif
