/* SPDX-License-Identifier: BSD-3-Clause */
/* The interfaces of all inputs of a source, numbered across files and pcapng sections. */
#ifndef WS_SOURCE_IFACES_H
#define WS_SOURCE_IFACES_H

#include "source/source.h"

/* More are refused: sections can repeat without end, and a packet's number has 16 bits. */
#define WS_IFACES_MAX 4096u

struct ws_ifaces {
    struct ws_source_iface
        *v;            /* WS_IFACES_MAX entries, in place for ever: readers may keep the pointer */
    uint32_t *section; /* in which section each was last described */
    uint32_t section_now;
    unsigned n;
};

int ws_ifaces_init(struct ws_ifaces *t); /* 0 or -ENOMEM */
void ws_ifaces_fini(struct ws_ifaces *t);

/* A file or section begins: interfaces described from now on may be those of earlier sections. */
void ws_ifaces_begin(struct ws_ifaces *t);

/* The number of the interface described by want: an equal one (link type, snap length, name) of an
 * earlier section is the same; within a section each is its own. -ENOSPC: the table is full and
 * holds no like one. Polling thread. */
int ws_ifaces_add(struct ws_ifaces *t, const struct ws_source_iface *want);

/* Adds delta to a count in the table that may still be unknown. */
static inline void ws_ifaces_count(uint64_t *count, uint64_t delta)
{
    *count = (*count == UINT64_MAX ? 0 : *count) + delta;
}

#endif
