/* SPDX-License-Identifier: BSD-3-Clause */
/* Graceful overload: which bytes of a stream are left out when the blocks of a live output get short.
 *
 * The writer of a tree holds up to half of the blocks on purpose; below that
 *
 *   blocks free   up to 3/8          up to 5/16        up to 1/4
 *   left out      beyond 64 x keep   beyond 8 x keep   beyond keep
 *
 * so the longest streams give first, the last quarter is for the first bytes of every stream, and the last block for closes
 * (channel.c). */
#ifndef WS_SINK_OVERLOAD_H
#define WS_SINK_OVERLOAD_H

#include "base/compiler.h"
#include "writer/channel.h"

/* How far into a stream bytes are still taken. The channel's worker only. */
static inline uint64_t ws_overload_taken_up_to(const struct ws_channel *ch, uint64_t keep)
{
    uint64_t free16 = 16 * (uint64_t)ws_channel_blocks_free(ch), all = ws_channel_blocks(ch);
    if (WS_LIKELY(free16 > 6 * all))
        return UINT64_MAX;
    return free16 > 5 * all ? 64 * keep : free16 > 4 * all ? 8 * keep : keep;
}

/* Whether bytes that begin at off of their stream are left out. keep 0: never. */
static inline bool ws_overload_sheds(const struct ws_channel *ch, uint64_t keep, uint64_t off)
{
    return keep && off >= keep && off >= ws_overload_taken_up_to(ch, keep);
}

#endif
