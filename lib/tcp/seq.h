/* SPDX-License-Identifier: BSD-3-Clause */
/* The only 32-bit sequence arithmetic: from sequence numbers to 64-bit positions and back. */
#ifndef WS_TCP_SEQ_H
#define WS_TCP_SEQ_H

#include <stdint.h>

/* The position of a direction's anchor, the byte whose sequence number is seq0. It lies far from 0,
 * so that bytes below the anchor (midstream) and streams of any length have positions. Its low 32
 * bits are zero. */
#define WS_SEQ_BIAS (UINT64_C(1) << 40)

/* a - b in sequence space (RFC 9293 section 3.4): negative when a is before b. */
static inline int32_t ws_seq_diff(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

/* The sequence number of position pos. */
static inline uint32_t ws_seq_of(uint32_t seq0, uint64_t pos)
{
    return seq0 + (uint32_t)pos;
}

/* The position nearest to near that has sequence number seq: within 2 GiB on either side, so a
 * stream may be of any length as long as near follows it. */
static inline uint64_t ws_seq_extend(uint32_t seq0, uint64_t near, uint32_t seq)
{
    return near + (uint64_t)(int64_t)ws_seq_diff(seq, ws_seq_of(seq0, near));
}

/* The anchor that gives sequence number seq the position pos. */
static inline uint32_t ws_seq_anchor(uint32_t seq, uint64_t pos)
{
    return seq - (uint32_t)pos;
}

#endif
