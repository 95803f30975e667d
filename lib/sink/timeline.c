/* SPDX-License-Identifier: BSD-3-Clause */
/* A histogram over time whose range need not be known. */
#include "sink/timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define US INT64_C(1000)
#define MS (1000 * US)
#define S  (1000 * MS)
#define H  (3600 * S)
#define D  (24 * H)

/* Each a multiple of the one before. 256 bins of the last hold all times that 64 bits of ns can
 * say. */
static const int64_t step_ns[] = {
    US,      2 * US,  10 * US,  20 * US,  100 * US, 200 * US, MS,       2 * MS,
    10 * MS, 20 * MS, 100 * MS, 200 * MS, S,        2 * S,    10 * S,   20 * S,
    60 * S,  120 * S, 600 * S,  1200 * S, H,        2 * H,    6 * H,    12 * H,
    D,       2 * D,   10 * D,   20 * D,   100 * D,  200 * D,  1000 * D, 2000 * D,
};

#define BINS_MIN 256u
#define BINS_MAX 65536u

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b < 0 ? q - 1 : q;
}

int ws_timeline_init(struct ws_timeline *t, uint32_t bins)
{
    memset(t, 0, sizeof(*t));
    t->n_bin = WS_MIN(WS_MAX(bins, BINS_MIN), BINS_MAX);
    t->bin = calloc(t->n_bin, sizeof(*t->bin));
    t->spare = calloc(t->n_bin, sizeof(*t->spare));
    if (t->bin && t->spare)
        return 0;
    ws_timeline_fini(t);
    return -ENOMEM;
}

void ws_timeline_fini(struct ws_timeline *t)
{
    free(t->bin);
    free(t->spare);
    memset(t, 0, sizeof(*t));
}

static struct ws_time_bin *at(const struct ws_timeline *t, int64_t number)
{
    int64_t k = number % (int64_t)t->n_bin;
    return &t->bin[k < 0 ? k + t->n_bin : k];
}

/* Adds to a port of a bin. A full bin lowers all its counts by the same, as much as frees a place
 * or is all of bytes: weighted Misra-Gries. Returns whether it did. */
static bool add_port(struct ws_time_bin *b, uint32_t port, uint64_t bytes)
{
    uint64_t least = bytes;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->n_port; i++) {
        if (b->port[i].port == port) {
            b->port[i].bytes += bytes;
            return false;
        }
    }
    if (WS_LIKELY(b->n_port < WS_TIMELINE_PORTS)) {
        b->port[b->n_port++] = (struct ws_time_port){bytes, port};
        return false;
    }
    for (uint32_t i = 0; i < b->n_port; i++)
        least = WS_MIN(least, b->port[i].bytes);
    for (uint32_t i = 0; i < b->n_port; i++)
        if (b->port[i].bytes > least)
            b->port[kept++] = (struct ws_time_port){b->port[i].bytes - least, b->port[i].port};
    b->n_port = kept;
    if (bytes > least)
        b->port[b->n_port++] = (struct ws_time_port){bytes - least, port};
    return true;
}

static void add_bin(struct ws_timeline *t, struct ws_time_bin *dst, const struct ws_time_bin *src)
{
    dst->packets += src->packets;
    dst->bytes += src->bytes;
    for (uint32_t i = 0; i < src->n_port; i++)
        t->trims += add_port(dst, src->port[i].port, src->port[i].bytes);
}

/* Goes to the next wider step. */
static void widen(struct ws_timeline *t)
{
    int64_t factor = step_ns[t->width + 1] / step_ns[t->width];
    struct ws_time_bin *old = t->bin;
    const struct ws_timeline from = *t;
    t->width++;
    t->now = NULL;
    if (!t->any)
        return;
    t->bin = t->spare;
    t->spare = old;
    memset(t->bin, 0, t->n_bin * sizeof(*t->bin));
    t->first = floor_div(from.first, factor);
    t->last = floor_div(from.last, factor);
    for (int64_t i = from.first; i <= from.last; i++)
        add_bin(t, at(t, floor_div(i, factor)), at(&from, i));
}

/* Whether bins first to last can be held at once. */
static bool fits(const struct ws_timeline *t, int64_t first, int64_t last)
{
    return (uint64_t)last - (uint64_t)first < t->n_bin;
}

/* Makes number, counted in bins of the present width, part of the range; returns what its number is
 * then. */
static int64_t reach(struct ws_timeline *t, int64_t number)
{
    if (!t->any)
        t->first = t->last = number;
    while (!fits(t, WS_MIN(t->first, number), WS_MAX(t->last, number))) {
        number = floor_div(number, step_ns[t->width + 1] / step_ns[t->width]);
        widen(t);
    }
    t->any = true;
    t->first = WS_MIN(t->first, number);
    t->last = WS_MAX(t->last, number);
    return number;
}

/* Goes to the bin of a stamp. */
static void move(struct ws_timeline *t, int64_t ts_ns)
{
    int64_t number = reach(t, floor_div(ts_ns, step_ns[t->width])), width = step_ns[t->width];
    t->now = at(t, number);
    if (__builtin_mul_overflow(number, width, &t->now_ns))
        t->now_ns = INT64_MIN;
    if (__builtin_mul_overflow(number + 1, width, &t->now_end_ns))
        t->now_end_ns = INT64_MAX;
}

void ws_timeline_add(struct ws_timeline *t, int64_t ts_ns, uint32_t port, uint64_t bytes)
{
    if (WS_UNLIKELY(!t->now || ts_ns < t->now_ns || ts_ns >= t->now_end_ns))
        move(t, ts_ns);
    t->now->packets++;
    t->now->bytes += bytes;
    t->trims += add_port(t->now, port, bytes);
}

void ws_timeline_merge(struct ws_timeline *dst, const struct ws_timeline *src)
{
    if (!src->any)
        return;
    while (dst->width < src->width)
        widen(dst);
    dst->now = NULL;
    dst->trims += src->trims;
    for (int64_t i = src->first; i <= src->last; i++) {
        const struct ws_time_bin *b = at(src, i);
        if (b->packets)
            add_bin(dst,
                    at(dst, reach(dst, floor_div(i, step_ns[dst->width] / step_ns[src->width]))),
                    b);
    }
}

uint32_t ws_timeline_bins(const struct ws_timeline *t)
{
    return t->any ? (uint32_t)(t->last - t->first) + 1 : 0;
}

int64_t ws_timeline_width_ns(const struct ws_timeline *t)
{
    return step_ns[t->width];
}

const struct ws_time_bin *ws_timeline_bin(const struct ws_timeline *t, uint32_t k)
{
    return at(t, t->first + k);
}

int64_t ws_timeline_begin_ns(const struct ws_timeline *t, uint32_t k)
{
    int64_t ns;
    return __builtin_mul_overflow(t->first + k, step_ns[t->width], &ns) ? INT64_MIN : ns;
}
