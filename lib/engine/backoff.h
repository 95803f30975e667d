/* SPDX-License-Identifier: BSD-3-Clause */
/* What a thread does when it finds nothing to do: spin, then yield, then sleep a little. */
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

#endif
