/* SPDX-License-Identifier: BSD-3-Clause */
/* Heavy hitters in a table of fixed size. */
#include "sink/heavy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_MIN 64u
#define ITEMS_MAX (1u << 24)
/* Counters that a purge looks at for the median (1,024 in the paper). */
#define SAMPLE 1024u

int ws_heavy_init(struct ws_heavy *h, uint32_t items_max, uint64_t seed)
{
    uint32_t slots = ITEMS_MIN;
    memset(h, 0, sizeof(*h));
    items_max = WS_MIN(WS_MAX(items_max, ITEMS_MIN), ITEMS_MAX);
    while (slots / 4 * 3 < items_max)
        slots *= 2;
    h->slot = calloc(slots, sizeof(*h->slot));
    if (!h->slot)
        return -ENOMEM;
    h->mask = slots - 1;
    h->n_max = items_max;
    h->seed = seed;
    return 0;
}

void ws_heavy_fini(struct ws_heavy *h)
{
    free(h->slot);
    memset(h, 0, sizeof(*h));
}

/* Products of words that were mixed with the seed: who does not know it cannot choose addresses
 * that collide. */
static uint32_t home(const struct ws_heavy *h, const uint8_t addr[16], uint8_t ip_version)
{
    uint64_t a, b;
    memcpy(&a, addr, 8);
    memcpy(&b, addr + 8, 8);
    a ^= h->seed;
    b ^= h->seed * UINT64_C(0x9e3779b97f4a7c15) + ip_version;
    __extension__ const unsigned __int128 m =
        (unsigned __int128)(a ^ UINT64_C(0x2d358dccaa6c78a5)) * (b ^ UINT64_C(0x8bb84b93962eacc9));
    uint64_t x = (uint64_t)m ^ (uint64_t)(m >> 64);
    x *= UINT64_C(0x4b33a62ed433d4a3);
    return (uint32_t)(x >> 32);
}

static bool same(const struct ws_heavy_item *i, const uint8_t addr[16], uint8_t ip_version)
{
    return i->ip_version == ip_version && memcmp(i->addr, addr, 16) == 0;
}

/* The slot of an address, or the free one where it belongs; there is always a free one. */
static struct ws_heavy_item *find(const struct ws_heavy *h, const uint8_t addr[16],
                                  uint8_t ip_version)
{
    for (uint32_t k = home(h, addr, ip_version);; k++) {
        struct ws_heavy_item *i = &h->slot[k & h->mask];
        if (i->bytes == 0 || same(i, addr, ip_version))
            return i;
    }
}

static int by_count(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Median of a sample of the counters. */
static uint64_t sampled_median(const struct ws_heavy *h)
{
    uint64_t count[SAMPLE];
    unsigned n = 0;
    /* An odd step visits all slots, so that every counter may be met. */
    uint32_t step = (uint32_t)(h->seed >> 7) | 1u;
    for (uint32_t i = 0, k = (uint32_t)h->purges; i <= h->mask && n < SAMPLE; i++, k += step)
        if (h->slot[k & h->mask].bytes)
            count[n++] = h->slot[k & h->mask].bytes;
    qsort(count, n, sizeof(count[0]), by_count);
    return count[n / 2];
}

/* Closes the hole that a removal left at slot k: what was pushed past it moves back. */
static void close_hole(struct ws_heavy *h, uint32_t k)
{
    for (uint32_t j = k;;) {
        j = (j + 1) & h->mask;
        struct ws_heavy_item *i = &h->slot[j];
        if (i->bytes == 0)
            return;
        uint32_t from = home(h, i->addr, i->ip_version) & h->mask;
        if (((j - from) & h->mask) < ((j - k) & h->mask))
            continue;
        h->slot[k] = *i;
        i->bytes = 0;
        k = j;
    }
}

/* Takes the median off every counter, and those out that had no more. */
static void purge(struct ws_heavy *h)
{
    uint64_t cut = sampled_median(h);
    h->missing += cut;
    h->purges++;
    /* From behind a free slot on, and backwards within runs, so that what close_hole() moves was
     * looked at already. */
    uint32_t end = 0;
    while (h->slot[end].bytes)
        end++;
    for (uint32_t i = 0; i <= h->mask; i++) {
        uint32_t k = (end - i) & h->mask;
        struct ws_heavy_item *item = &h->slot[k];
        if (item->bytes == 0)
            continue;
        if (item->bytes > cut) {
            item->bytes -= cut;
            continue;
        }
        item->bytes = 0;
        h->n--;
        close_hole(h, k);
    }
}

void ws_heavy_add(struct ws_heavy *h, const uint8_t addr[16], uint8_t ip_version, uint64_t bytes)
{
    struct ws_heavy_item *i = find(h, addr, ip_version);
    if (WS_LIKELY(i->bytes)) {
        i->bytes += bytes;
        return;
    }
    if (bytes == 0)
        return;
    memcpy(i->addr, addr, 16);
    i->ip_version = ip_version;
    i->bytes = bytes;
    if (WS_UNLIKELY(++h->n > h->n_max))
        purge(h);
}

void ws_heavy_merge(struct ws_heavy *dst, const struct ws_heavy *src)
{
    for (uint32_t k = 0; k <= src->mask; k++)
        if (src->slot[k].bytes)
            ws_heavy_add(dst, src->slot[k].addr, src->slot[k].ip_version, src->slot[k].bytes);
    dst->missing += src->missing;
    dst->purges += src->purges;
}

/* Whether a stands before b in a list. */
static bool before(const struct ws_heavy_item *a, const struct ws_heavy_item *b)
{
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes;
    if (a->ip_version != b->ip_version)
        return a->ip_version < b->ip_version;
    return memcmp(a->addr, b->addr, 16) < 0;
}

unsigned ws_heavy_top(const struct ws_heavy *h, struct ws_heavy_item *out, unsigned n)
{
    unsigned have = 0;
    for (uint32_t k = 0; n && k <= h->mask; k++) {
        const struct ws_heavy_item *i = &h->slot[k];
        if (i->bytes == 0 || (have == n && !before(i, &out[n - 1])))
            continue;
        unsigned at = have < n ? have++ : n - 1;
        for (; at && before(i, &out[at - 1]); at--)
            out[at] = out[at - 1];
        out[at] = *i;
    }
    return have;
}
