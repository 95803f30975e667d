/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files as a source: pcap and pcapng, plain or compressed, several in order, standard input. */
#ifndef WS_SOURCE_FILE_H
#define WS_SOURCE_FILE_H

#include "source/source.h"

struct ws_file_config {
    const char *const *path; /* n_path names, "-" = standard input; borrowed until close */
    unsigned n_path;
    uint32_t chunk_bytes;    /* refillable chunks (default 4 MiB) */
    unsigned chunks;         /* how many (default 2 direct, 32 when steered): all in use = reader waits */
    uint64_t packet_max;     /* stop after so many packets; 0 = all (counted before filters) */
    uint32_t packet_bytes_max; /* longest packet believed (default 256 KiB; more = damaged) */
    bool stable;             /* packets are steered: keep chunks until released */
    void *(*alloc)(void *user, size_t bytes); /* chunk memory; NULL = aligned_alloc */
    void *alloc_user;
};

/* Opens the first file and reads its header, so that a missing or foreign file is an error here: -errno
 * (-EINVAL: not a capture) and one line "PATH: reason" in err. A later file that cannot be read is logged, sets damaged, and reading
 * goes on with the next. */
int ws_file_open(struct ws_source **s, const struct ws_file_config *cfg, char *err, size_t err_len);

#endif
