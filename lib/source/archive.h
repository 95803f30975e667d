/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a stream archive back: its flows, and what happened to their streams, in the order in which it was written.
 *
 * One thread. Whole segments are known by their index; of others (the run is still going on, or was killed, or
 * bytes are damaged) everything that is whole is found by reading them through.
 */
#ifndef WS_SOURCE_ARCHIVE_H
#define WS_SOURCE_ARCHIVE_H

#include "format/archive.h"

struct ws_archive;

/* Whether path is an archive: a directory with segments, or a segment. */
bool ws_archive_is(const char *path);

/* Opens it and loads its flows. 0, or -errno with a line in err: -EBADMSG when nothing can be read. */
int ws_archive_open(struct ws_archive **a, const char *path, char *err, size_t err_len);
void ws_archive_close(struct ws_archive *a);

/* What was written (enum ws_archive_flag), and the bytes of all segments. */
uint32_t ws_archive_flags(const struct ws_archive *a);
uint64_t ws_archive_bytes(const struct ws_archive *a);

/* All flows, by worker in the order of their ends. The reader may fill rec.flow_id and change rec.selected. */
size_t ws_archive_count(const struct ws_archive *a);
struct ws_archive_entry *ws_archive_flow(struct ws_archive *a, size_t i);

/* What is wrong with it, a line for each thing, NULL past the last: 16 at most, and one that counts the others. None:
 * it is whole. May grow while events are read. Borrowed. */
const char *ws_archive_fault(const struct ws_archive *a, unsigned i);

/* What is unfinished, though nothing of it is known to be missing, a line a worker: its run goes on, or was killed. NULL past the last. */
const char *ws_archive_note(const struct ws_archive *a, unsigned i);

/* --- events --- */

struct ws_archive_event {
    enum { WS_ARCHIVE_EV_DATA, WS_ARCHIVE_EV_GAP, WS_ARCHIVE_EV_RESTART, WS_ARCHIVE_EV_CLOSE } kind;
    size_t flow;     /* index */
    uint64_t order;  /* ordinal of the packet that let it go, or, ending, the flow's first */
    bool ending;
    uint8_t dir;
    bool piece;      /* DATA: as struct ws_tcp_meta's */
    struct ws_archive_data data; /* bytes are valid until the next event */
    struct ws_archive_gap gap;
};

/* Begins reading events. wanted: a byte a flow, not 0 for those that are asked for; NULL: all. Of few flows only their
 * own records are read. 0 or -ENOMEM. */
int ws_archive_begin(struct ws_archive *a, const uint8_t *wanted);

/* The next event of a flow that is wanted. Each has one CLOSE, its last event. False: the end. */
bool ws_archive_next(struct ws_archive *a, struct ws_archive_event *ev);

/* Bytes of segments that ws_archive_next() has passed, for progress. */
uint64_t ws_archive_passed(const struct ws_archive *a);

#endif
