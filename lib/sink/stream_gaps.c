/* SPDX-License-Identifier: BSD-3-Clause */
/* The stream sink's memory of gaps: lists in one bounded pool, for records and late sidecars. */
#include <errno.h>
#include <stdlib.h>

#include "sink/stream_impl.h"

#define GAP_POOL_DEFAULT 262144u

int ws_stream_gaps_init(struct stream_sink *ss)
{
    if (ss->cfg.gap_pool == 0)
        ss->cfg.gap_pool = GAP_POOL_DEFAULT;
    ss->gap_free = WS_STREAM_GAP_END;
    /* calloc of this size: pages are touched only as gaps come */
    ss->gap = calloc(ss->cfg.gap_pool, sizeof(*ss->gap));
    return ss->gap ? 0 : -ENOMEM;
}

bool ws_stream_gaps_note(struct stream_sink *ss, struct ws_flow *flow, unsigned dir, uint64_t off,
                         uint64_t len, enum ws_gap_cause cause)
{
    struct gap_list *l = ws_stream_gaps_of(ss, flow, dir);
    uint32_t i = ss->gap_free;
    if (l->n >= ss->gaps_kept)
        return false;
    if (i != WS_STREAM_GAP_END)
        ss->gap_free = ss->gap[i].next;
    else if (ss->gap_fresh < ss->cfg.gap_pool)
        i = ss->gap_fresh++;
    else
        return false;
    ss->gap[i] = (struct ws_stream_gap){off, len, WS_STREAM_GAP_END, (uint8_t)cause};
    if (l->n++)
        ss->gap[l->last].next = i;
    else
        l->first = i;
    l->last = i;
    return true;
}

void ws_stream_gaps_drop(struct stream_sink *ss, struct ws_flow *flow, unsigned dir)
{
    struct gap_list *l = ws_stream_gaps_of(ss, flow, dir);
    if (l->n) {
        ss->gap[l->last].next = ss->gap_free;
        ss->gap_free = l->first;
    }
    l->n = 0;
}
