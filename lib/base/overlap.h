/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of the overlap policies, shared by defragmentation and TCP reassembly. */
#ifndef WS_BASE_OVERLAP_H
#define WS_BASE_OVERLAP_H

/* Which copy of overlapping bytes wins (Novak and Sturges, "Target-Based TCP Stream Reassembly",
 * 2007; Novak, "Target-Based Fragmentation Reassembly", 2005). */
enum ws_overlap {
    WS_OVERLAP_FIRST,
    WS_OVERLAP_LAST,
    WS_OVERLAP_BSD,
    WS_OVERLAP_LINUX,
    WS_OVERLAP_WINDOWS,
    WS_OVERLAP_SOLARIS,
    WS_OVERLAP_OLD_LINUX, /* TCP only; for fragments the same as linux */
};

#endif
