/* SPDX-License-Identifier: BSD-3-Clause */
/* A plain file read ahead, window by window, by two threads: a helper and whoever wants the bytes. */
#ifndef WS_SOURCE_AHEAD_H
#define WS_SOURCE_AHEAD_H

#include "base/compiler.h"

struct ws_ahead;

struct ws_ahead_config {
    size_t window_bytes; /* read at a time, from multiples of it; a multiple of 4096 */
    unsigned windows;    /* kept at most: a power of two, at least 4 */
    size_t front_bytes;  /* writable room in front of each window */
};

/* Starts the helper, which sleeps until there is a file. It runs on the processors of the calling thread, with all signals
 * blocked. 0, -ENOMEM, or what pthread_create() says. All other calls are one thread's, the reader's. */
int ws_ahead_create(struct ws_ahead **out, const struct ws_ahead_config *cfg);

/* Begins with the bytes of fd at offset. fd is a regular file, read by position only, and must stay open until
 * ws_ahead_end(). */
void ws_ahead_begin(struct ws_ahead *a, int fd, uint64_t offset);

/* The next window: its bytes at *data, with the configured room in front of them, and their count. It is the reader's until
 * a later one is had and ws_ahead_free() called, or ws_ahead_begin(). 0: the file ends here, or
 * cannot be read further. SIZE_MAX: not there yet after some ms. */
size_t ws_ahead_next(struct ws_ahead *a, uint8_t **data);

/* Gives back all windows but the latest. */
void ws_ahead_free(struct ws_ahead *a);

/* No more reading: fd is left alone when this returns. The latest window stays. */
void ws_ahead_end(struct ws_ahead *a);

/* Ends the helper. NULL is fine. */
void ws_ahead_destroy(struct ws_ahead *a);

#endif
