/* SPDX-License-Identifier: BSD-3-Clause */
/* How many files have had a name: a bounded table from the hash of a name to a count. */
#ifndef WS_SINK_NAMES_H
#define WS_SINK_NAMES_H

#include "base/compiler.h"

/* Open addressing over names_max entries, rounded up to a power of two, and at most WS_NAMES_PROBE
 * looks a name. Two names of one 64-bit hash share a counter: a gap in the numbering, nothing
 * worse. */
struct ws_names {
    struct ws_names_entry {
        uint64_t hash; /* 0 = free */
        uint64_t count;
    } * entry;
    uint64_t mask;
};

#define WS_NAMES_PROBE 64u

/* Bytes of zeroed memory for a table of names_max. */
size_t ws_names_bytes(uint32_t names_max);
void ws_names_init(struct ws_names *n, void *mem, uint32_t names_max);

/* Counts one more file of this name. Returns how many there were before, or UINT64_MAX when the
 * table has no place for the name. */
uint64_t ws_names_take(struct ws_names *n, const char *name, size_t len);

#endif
