/* SPDX-License-Identifier: BSD-3-Clause */
/* Heavy hitters: which addresses have most bytes, in a table of fixed size.
 *
 * Weighted Misra-Gries ("Finding repeated elements", Science of Computer Programming 2, 1982) with
 * the decrement by a sampled median of Anderson et al., "A High-Performance Algorithm for
 * Identifying Frequent Items in Data Streams" (IMC 2017), so that an update costs O(1) amortised
 * however many addresses there are. Counts are exact as long as the table was never full; after
 * that each is at most ws_heavy.missing bytes below the truth, and never above it. Tables merge
 * without a worse bound (Agarwal et al., "Mergeable Summaries", PODS 2012).
 */
#ifndef WS_SINK_HEAVY_H
#define WS_SINK_HEAVY_H

#include "base/compiler.h"

struct ws_heavy_item {
    uint8_t addr[16];
    uint64_t bytes; /* 0: free slot */
    uint8_t ip_version;
};

struct ws_heavy {
    struct ws_heavy_item *slot; /* open addressing, linear probing */
    uint32_t mask;              /* slots - 1 */
    uint32_t n, n_max;          /* items, and how many fill the table (3/4 of the slots) */
    uint64_t seed;              /* of the hash: collisions cannot be computed ahead */
    uint64_t missing;           /* a count may be so many bytes too low */
    uint64_t purges;            /* how often the table was full */
};

/* A table of at least items_max addresses (at least 64, at most 2^24). Heap. 0 or -ENOMEM. */
int ws_heavy_init(struct ws_heavy *h, uint32_t items_max, uint64_t seed);
void ws_heavy_fini(struct ws_heavy *h);

/* Adds bytes to an address: 16 bytes, IPv4 in the first 4 with the rest zero. */
void ws_heavy_add(struct ws_heavy *h, const uint8_t addr[16], uint8_t ip_version, uint64_t bytes);

/* Adds all of src to dst; sizes and seeds may differ. */
void ws_heavy_merge(struct ws_heavy *dst, const struct ws_heavy *src);

/* Copies the items with most bytes to out, largest first, equal ones by version and address;
 * returns how many (at most n). */
unsigned ws_heavy_top(const struct ws_heavy *h, struct ws_heavy_item *out, unsigned n);

#endif
