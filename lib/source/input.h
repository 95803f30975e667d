/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of an input: a file, a pipe or standard input, plain or compressed, pulled in order. */
#ifndef WS_SOURCE_INPUT_H
#define WS_SOURCE_INPUT_H

#include <sys/types.h>

#include "base/compiler.h"

struct ws_input;

/* Opens path ("-": standard input, left open at close) and recognises compression by the first
 * bytes, not by the name: gzip, zstd, xz, bzip2. Waits for those bytes. -errno and "PATH: reason"
 * in err: -EISDIR, -ENODATA for an empty file, -EINTR when a signal came, others of open(2). */
int ws_input_open(struct ws_input **in, const char *path, char *err, size_t err_len);

/* Up to len bytes: a count, 0 at the end, -EAGAIN: nothing now (a pipe, waited for some ms), or
 * another -errno: unreadable or damaged from here, ws_input_error() says how. Bytes before the
 * damage come first. */
ssize_t ws_input_read(struct ws_input *in, uint8_t *buf, size_t len);

/* "offset N: reason" of the last failure, N counted in the file as stored. Borrowed. */
const char *ws_input_error(const struct ws_input *in);

bool ws_input_compressed(const struct ws_input *in);

/* Bytes taken from the file as stored. */
uint64_t ws_input_consumed(const struct ws_input *in);

/* The descriptor of a plain regular file of which nothing is kept here, else -1: its bytes from *offset on are those that
 * ws_input_read() would give, and may be read by position (pread), too. */
int ws_input_plain(const struct ws_input *in, uint64_t *offset);

/* len bytes were read so: ws_input_read() goes on behind them. 0 or -errno. */
int ws_input_pass(struct ws_input *in, uint64_t len);

void ws_input_close(struct ws_input *in);

/* Size of path for progress: st_size of a regular file, 0 for what has none or cannot be looked at.
 */
uint64_t ws_input_size(const char *path);

#endif
