/* SPDX-License-Identifier: BSD-3-Clause */
/* FlowIDs: the number of each direction of each flow, in order of first packets, from 1.
 *
 * A FlowID is the rank of (ordinal of the direction's first packet); ordinals are unique, so the
 * sorted list of first ordinals of a whole input gives every id by binary search, for any number of
 * workers (design 6a.1). Where the input cannot be read twice, the only worker counts directions as
 * they appear.
 */
#ifndef WS_FLOW_IDS_H
#define WS_FLOW_IDS_H

#include "flow/flow.h"

struct ws_flow_ids {
    const uint64_t
        *ordinal; /* sorted first ordinals of all directions; NULL: count as they appear */
    size_t n;
    size_t ext_off; /* of uint64_t[2] in the flow's area, when counting */
    uint64_t next;  /* last id given out, when counting */
    bool streams;   /* counting: only what is written, TCP at its first SYN or byte, as tcpflow */
};

/* The FlowID of a direction that has had a packet; 0 when it has none or the list lacks it. */
static inline uint64_t ws_flow_ids_get(const struct ws_flow_ids *ids, struct ws_flow *f,
                                       unsigned dir)
{
    if (!(f->seen >> dir & 1))
        return 0;
    if (!ids->ordinal)
        return ((uint64_t *)ws_flow_ext(f, ids->ext_off))[dir];
    size_t lo = 0, hi = ids->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ids->ordinal[mid] < ws_flow_first(f)->ordinal[dir])
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < ids->n && ids->ordinal[lo] == ws_flow_first(f)->ordinal[dir] ? lo + 1 : 0;
}

#endif
