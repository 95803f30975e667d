/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files as a source: pcap and pcapng, plain or compressed, several in order, standard
 * input. */
#ifndef WS_SOURCE_FILE_H
#define WS_SOURCE_FILE_H

#include "source/source.h"

struct ws_file_config {
    const char *const *path; /* n_path names, "-" = standard input; borrowed until close */
    unsigned n_path;
    /* Refillable chunks (default 4 MiB); raised where packet_bytes_max does not fit. */
    uint32_t chunk_bytes;
    /* How many when stable (default 32, at least 2): all in use = the reader waits. Direct reading
     * needs one and takes one. */
    unsigned chunks;
    /* The last n_continue paths only complete flows that are open (WS_PKT_CONTINUES). */
    unsigned n_continue;
    uint64_t packet_max;       /* stop after so many packets; 0 = all (counted before filters) */
    uint32_t packet_bytes_max; /* longest packet believed (default 256 KiB; more = damaged) */
    /* Direct reading: when an input is at least this large, a second thread helps to read plain files (0: never). It gains
     * where a processor is idle, and costs where none is. Windows of ahead_window bytes (0: 256 KiB; a multiple of 4096). */
    size_t ahead_from, ahead_window;
    bool stable;               /* packets are steered: keep chunks until released */
    /* Told when the reading of a path begins, on the thread that reads (the first: in ws_file_open()). May be NULL. */
    void (*begins)(void *user, const char *path);
    void *begins_user;
    /* Chunk memory, given once in one piece and never given back to alloc; NULL = C library. */
    void *(*alloc)(void *user, size_t bytes);
    void *alloc_user;
};

/* Opens the first file and reads on to its first packet (of a pipe that pauses: to its first
 * interface), so that a missing or foreign file is an error here and its interfaces are known:
 * -errno and one line "PATH: reason" in err. -EINVAL: no capture, or empty, or its header cut or
 * badly packed; others as open(2) and read(2) say. Waits for the first bytes of a pipe; -EINTR when
 * a signal comes first. A later file that cannot be read is logged, sets damaged, and reading goes
 * on with the next. The source belongs to the caller, who ends it with ops->close(). */
int ws_file_open(struct ws_source **s, const struct ws_file_config *cfg, char *err, size_t err_len);

#endif
