/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference defragmenter (frag_model.h). */
#include "frag_model.h"

#include <string.h>

#include "base/compiler.h"

/* A finished datagram's copies are known for so long. */
#define LINGER_NS INT64_C(250000000)

/* One datagram in the making: the fragments that it was made of. */
struct datagram {
    bool used, done;
    uint8_t flow;
    uint32_t id;
    int64_t since_ns; /* first fragment, or completion */
    unsigned n;
    const struct frag_model_fragment *part[FRAG_MODEL_FRAGMENTS];
    uint32_t total; /* 0: the last one is missing */
    uint32_t cap_len;
    uint8_t bytes[FRAG_MODEL_DATAGRAM];
};

static uint32_t end_of(const struct frag_model_fragment *f)
{
    return f->from + f->len;
}

/* Novak, "Target-Based Fragmentation Reassembly" (2005), as pairs of fragments. */
static bool later_wins(enum ws_overlap policy, const struct frag_model_fragment *old,
                       const struct frag_model_fragment *new)
{
    switch (policy) {
    case WS_OVERLAP_FIRST:
        return false;
    case WS_OVERLAP_LAST:
        return true;
    case WS_OVERLAP_BSD:
        return new->from < old->from;
    case WS_OVERLAP_LINUX:
    case WS_OVERLAP_OLD_LINUX:
        return new->from <= old->from;
    case WS_OVERLAP_WINDOWS:
        return new->from < old->from &&end_of(new) > end_of(old);
    case WS_OVERLAP_SOLARIS:
        return new->from < old->from &&end_of(new) >= end_of(old);
    }
    return false;
}

static const struct frag_model_fragment *owner(const struct datagram *d, enum ws_overlap policy,
                                               uint32_t at)
{
    const struct frag_model_fragment *own = NULL;
    for (unsigned i = 0; i < d->n; i++) {
        const struct frag_model_fragment *f = d->part[i];
        if (at >= f->from && at < end_of(f) && (!own || later_wins(policy, own, f)))
            own = f;
    }
    return own;
}

/* Whether all of it came; then writes it down. It is cut at the first byte that some fragment did
 * not bring, whichever fragment won there. */
static bool whole(struct datagram *d, enum ws_overlap policy)
{
    if (!d->total)
        return false;
    for (uint32_t at = 0; at < d->total; at++)
        if (!owner(d, policy, at))
            return false;
    d->cap_len = d->total;
    for (unsigned i = 0; i < d->n; i++)
        if (d->part[i]->cap_len < d->part[i]->len)
            d->cap_len = WS_MIN(d->cap_len, d->part[i]->from + d->part[i]->cap_len);
    for (uint32_t at = 0; at < d->cap_len; at++)
        d->bytes[at] = owner(d, policy, at)->bytes[at - owner(d, policy, at)->from];
    return true;
}

static bool is_copy(const struct datagram *d, const struct frag_model_fragment *f)
{
    if (f->ts_ns - d->since_ns > LINGER_NS || end_of(f) > d->total ||
        f->more != (end_of(f) < d->total))
        return false;
    for (uint32_t i = 0; i < f->cap_len && f->from + i < d->cap_len; i++)
        if (f->bytes[i] != d->bytes[f->from + i])
            return false;
    return true;
}

static bool contradicts(const struct datagram *d, const struct frag_model_fragment *f)
{
    uint32_t highest = 0;
    for (unsigned i = 0; i < d->n; i++)
        highest = WS_MAX(highest, end_of(d->part[i]));
    if (d->total && (end_of(f) > d->total || (!f->more && end_of(f) != d->total)))
        return true;
    return !f->more && end_of(f) < highest;
}

void frag_model_run(const struct frag_model_input *in, struct frag_model_result *r)
{
    static struct datagram all[FRAG_MODEL_FRAGMENTS];
    memset(all, 0, sizeof(all));
    r->whole = r->invalid = r->oversize = r->timed_out = r->copies = 0;
    for (unsigned i = 0; i < in->n; i++) {
        const struct frag_model_fragment *f = &in->fragment[i];
        struct datagram *d = NULL, *spare = NULL;
        r->step[i].what = FRAG_MODEL_NOTHING;
        for (unsigned k = 0; k < WS_ARRAY_SIZE(all); k++) {
            if (all[k].used && all[k].flow == f->flow && all[k].id == f->id)
                d = &all[k];
            if (!all[k].used && !spare)
                spare = &all[k];
        }
        if (d && !d->done && f->ts_ns - d->since_ns > in->timeout_ns) {
            r->timed_out += d->n;
            d->used = false;
            d = NULL;
        }
        if (end_of(f) + f->header > FRAG_MODEL_TOP) {
            r->oversize++;
            continue;
        }
        if (f->len == 0 || (f->more && f->len % 8) || (d && !d->done && contradicts(d, f))) {
            r->invalid++;
            continue;
        }
        if (d && d->done) {
            if (is_copy(d, f)) {
                r->copies++;
                continue;
            }
            d->used = false; /* the identification is used again */
            d = NULL;
        }
        if (!d) {
            if (!spare)
                for (unsigned k = 0; k < WS_ARRAY_SIZE(all); k++)
                    if (!all[k].used)
                        spare = &all[k];
            d = spare;
            memset(d, 0, sizeof(*d));
            *d =
                (struct datagram){.used = true, .flow = f->flow, .id = f->id, .since_ns = f->ts_ns};
        }
        d->part[d->n++] = f;
        if (!f->more)
            d->total = end_of(f);
        if (whole(d, in->policy)) {
            d->done = true;
            d->since_ns = f->ts_ns;
            r->step[i].what = FRAG_MODEL_WHOLE;
            r->step[i].len = d->cap_len;
            r->step[i].wire_len = d->total;
            memcpy(r->step[i].bytes, d->bytes, d->cap_len);
            r->whole++;
        }
    }
    for (unsigned k = 0; k < WS_ARRAY_SIZE(all); k++)
        if (all[k].used && !all[k].done)
            r->timed_out += all[k].n;
}
