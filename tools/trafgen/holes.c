/* SPDX-License-Identifier: BSD-3-Clause */
/* Which bytes of a stream no captured packet has carried. */
#include <stdlib.h>
#include <string.h>

#include "model.h"

static void reserve_one(struct tg_holes *h)
{
    if (h->count < h->capacity)
        return;
    uint32_t capacity = h->capacity != 0 ? h->capacity * 2 : 4;
    struct tg_range *range = realloc(h->range, capacity * sizeof(*range));
    if (range == NULL)
        abort();
    h->range = range;
    h->capacity = capacity;
}

void tg_holes_add(struct tg_holes *h, uint64_t begin, uint64_t end)
{
    if (begin >= end)
        return;
    if (h->count != 0 && h->range[h->count - 1].end == begin) {
        h->range[h->count - 1].end = end;
        return;
    }
    reserve_one(h);
    h->range[h->count++] = (struct tg_range){begin, end};
}

void tg_holes_remove(struct tg_holes *h, uint64_t begin, uint64_t end)
{
    /* From the end: retransmissions follow their originals closely. */
    for (uint32_t i = h->count; i-- > 0 && h->range[i].end > begin;) {
        struct tg_range *r = &h->range[i];
        if (r->begin >= end)
            continue;
        if (r->begin < begin && r->end > end) { /* split */
            reserve_one(h);
            r = &h->range[i];
            memmove(r + 1, r, (h->count - i) * sizeof(*r));
            h->count++;
            r[0].end = begin;
            r[1].begin = end;
            return;
        }
        if (r->begin < begin) {
            r->end = begin;
        } else if (r->end > end) {
            r->begin = end;
        } else {
            memmove(r, r + 1, (h->count - i - 1) * sizeof(*r));
            h->count--;
        }
    }
}

void tg_holes_fini(struct tg_holes *h)
{
    free(h->range);
    memset(h, 0, sizeof(*h));
}
