/* SPDX-License-Identifier: BSD-3-Clause */
/* A plain file read ahead, window by window, by two threads. */
#include "source/ahead.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "source/chunks.h"

/*
 *   freed                           claim      freed + n
 *     | in hand | read | being read | ... nobody's |
 *
 * Windows are numbered from the beginning of the file; window s lies in slot s % n. Whoever raises claim from s to s + 1 reads
 * window s: the helper as long as there is a slot, the reader when what it needs next is not there. So both processors
 * are busy, whichever of the two jobs is the longer one, and nobody waits for more than the rest of a window.
 */
#define CLOSED UINT64_MAX /* of claim: nothing more is to be read */

/* How long the reader waits for a window that the helper reads before it says "not yet". */
enum { SPINS = 4096, YIELDS = 64, NAPS = 100 };

struct slot {
    _Atomic uint64_t ready; /* number of the window in it + 1; written by who has read it, after len and the bytes */
    size_t len;
};

struct ws_ahead {
    struct ws_ahead_config cfg;
    uint8_t *mem;
    struct slot *slot;
    uint64_t next;  /* window that the reader gets next */
    bool short_one; /* it had less than a window: the last one */
    int fd; /* these: written while no thread reads */
    uint64_t offset; /* of window 0, a multiple of window_bytes, so that pages are copied whole */
    size_t skip;     /* its bytes that are not wanted */
    pthread_t thread;
    sem_t wake;
    WS_CACHE_ALIGNED _Atomic uint64_t claim;
    _Atomic bool reading; /* the helper may be in a read */
    _Atomic bool asleep;  /* the helper waits for wake; who clears it posts */
    _Atomic bool stop;
    WS_CACHE_ALIGNED _Atomic uint64_t freed; /* written by the reader */
};

static uint8_t *window_of(const struct ws_ahead *a, uint64_t s)
{
    return a->mem + (s & (a->cfg.windows - 1)) * (a->cfg.front_bytes + a->cfg.window_bytes) + a->cfg.front_bytes;
}

static struct slot *slot_of(const struct ws_ahead *a, uint64_t s)
{
    return &a->slot[s & (a->cfg.windows - 1)];
}

/* Reads the first window that is nobody's. False: there is no slot for it, or nothing is to be read. */
static bool read_one(struct ws_ahead *a)
{
    uint64_t s = atomic_load(&a->claim);
    do
        if (s - atomic_load(&a->freed) >= a->cfg.windows) /* also when closed */
            return false;
    while (!atomic_compare_exchange_weak(&a->claim, &s, s + 1));
    uint8_t *data = window_of(a, s);
    const size_t skip = s ? 0 : a->skip;
    size_t got = skip;
    while (got < a->cfg.window_bytes) {
        ssize_t n = pread(a->fd, data + got, a->cfg.window_bytes - got,
                          (off_t)(a->offset + s * a->cfg.window_bytes + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* whoever reads on in the ordinary way learns why */
        got += (size_t)n;
    }
    if (got < a->cfg.window_bytes)
        atomic_store(&a->claim, CLOSED);
    slot_of(a, s)->len = got - skip;
    atomic_store_explicit(&slot_of(a, s)->ready, s + 1, memory_order_release);
    return true;
}

/* Whether it is worth to wake the helper: once for many windows. */
static bool is_wanted(struct ws_ahead *a)
{
    return atomic_load(&a->claim) - atomic_load(&a->freed) <= a->cfg.windows / 2;
}

static void wake(struct ws_ahead *a)
{
    if (atomic_load(&a->asleep) && atomic_exchange(&a->asleep, false))
        sem_post(&a->wake);
}

static void *helper(void *arg)
{
    struct ws_ahead *a = arg;
    (void)pthread_setname_np(pthread_self(), "ws-ahead");
    while (!atomic_load(&a->stop)) {
        atomic_store(&a->reading, true);
        while (read_one(a))
            ;
        atomic_store(&a->reading, false);
        atomic_store(&a->asleep, true);
        /* What was freed or stopped before asleep was seen is seen here. */
        if ((is_wanted(a) || atomic_load(&a->stop)) && atomic_exchange(&a->asleep, false))
            continue;
        while (sem_wait(&a->wake) != 0)
            ;
    }
    return NULL;
}

static int start_helper(struct ws_ahead *a)
{
    sigset_t all, old;
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&a->thread, NULL, helper, a);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -rc;
}

int ws_ahead_create(struct ws_ahead **out, const struct ws_ahead_config *cfg)
{
    struct ws_ahead *a = aligned_alloc(WS_CACHE_LINE, ws_align_up(sizeof(*a), WS_CACHE_LINE));
    if (!a)
        return -ENOMEM;
    *a = (struct ws_ahead){.cfg = *cfg, .fd = -1, .claim = CLOSED};
    a->slot = calloc(cfg->windows, sizeof(*a->slot));
    a->mem = ws_chunks_alloc(cfg->windows * (cfg->front_bytes + cfg->window_bytes));
    int rc = a->slot && a->mem ? 0 : -ENOMEM;
    sem_init(&a->wake, 0, 0);
    if (!rc)
        rc = start_helper(a);
    if (rc) {
        sem_destroy(&a->wake);
        free(a->mem);
        free(a->slot);
        free(a);
        return rc;
    }
    *out = a;
    return 0;
}

void ws_ahead_begin(struct ws_ahead *a, int fd, uint64_t offset)
{
    ws_ahead_end(a);
    for (unsigned i = 0; i < a->cfg.windows; i++)
        atomic_store_explicit(&a->slot[i].ready, 0, memory_order_relaxed);
    a->fd = fd;
    a->skip = (size_t)(offset % a->cfg.window_bytes);
    a->offset = offset - a->skip;
    a->next = 0;
    a->short_one = false;
    atomic_store(&a->freed, 0);
    atomic_store(&a->claim, 0); /* from here on the helper may see all this */
    wake(a);
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Waits for window s; reads others meanwhile. */
static bool wait_for(struct ws_ahead *a, uint64_t s)
{
    for (unsigned n = 0; atomic_load_explicit(&slot_of(a, s)->ready, memory_order_acquire) != s + 1;) {
        if (read_one(a))
            continue;
        if (n++ < SPINS)
            relax();
        else if (n < SPINS + YIELDS)
            sched_yield();
        else if (n < SPINS + YIELDS + NAPS)
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        else
            return false;
    }
    return true;
}

size_t ws_ahead_next(struct ws_ahead *a, uint8_t **data)
{
    const size_t skip = a->next ? 0 : a->skip;
    *data = window_of(a, a->next) + skip;
    if (a->short_one)
        return 0;
    if (!wait_for(a, a->next))
        return SIZE_MAX;
    size_t len = slot_of(a, a->next)->len;
    a->short_one = skip + len < a->cfg.window_bytes;
    a->next++;
    return len;
}

void ws_ahead_free(struct ws_ahead *a)
{
    atomic_store(&a->freed, a->next - 1);
    if (is_wanted(a))
        wake(a);
}

void ws_ahead_end(struct ws_ahead *a)
{
    atomic_store(&a->claim, CLOSED);
    while (atomic_load(&a->reading))
        sched_yield();
}

void ws_ahead_destroy(struct ws_ahead *a)
{
    if (!a)
        return;
    ws_ahead_end(a);
    atomic_store(&a->stop, true);
    wake(a);
    pthread_join(a->thread, NULL);
    sem_destroy(&a->wake);
    free(a->mem);
    free(a->slot);
    free(a);
}
