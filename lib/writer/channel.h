/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's end of an output: a log of file operations in blocks that travel to the writer core.
 *
 *   worker --- full blocks (struct ws_ring) ---> writer --- pwritev ---> files
 *      ^------ free blocks (struct ws_ring) --------'
 *
 * A channel belongs to one worker and one output and has its own quota of blocks, so that a slow
 * output never costs another one its bytes. A block is a fixed-size aligned buffer; payload grows
 * from its start, and a table of operations (open, data extent, close, record) grows down from its
 * end: the log of (file, offset, length) extents that small streams share. Operations of a channel
 * take effect in order. Producer: the worker. Consumer: the writer that owns the output.
 */
#ifndef WS_WRITER_CHANNEL_H
#define WS_WRITER_CHANNEL_H

#include "base/compiler.h"
#include "base/counters.h"

struct ws_channel;

/* Flags of ws_channel_file_open(). */
enum ws_file_flag {
    WS_FILE_PART =
        1, /* written as PATH.part, renamed to PATH when closed: appears whole or not at all */
    WS_FILE_STRICT = 4, /* with PART: without a close it keeps that name; else the channel's end closes it */
    WS_FILE_ASIDE = 2, /* lies beside a stream file (gaps, metadata, index): on_opened() is not told */
};

/* For outputs with WS_EXISTS_COUNT, in flags: the last suffix_len bytes of the path are a suffix (.findx), and the
 * counter_len before those the counter of the name (c12; 0 = it has none yet). A name that is taken gets the next free
 * counter in that place; without this one is put behind it. */
#define WS_FILE_COUNTER(counter_len, suffix_len)                                                   \
    (((unsigned)(counter_len) & 255) << 8 | ((unsigned)(suffix_len) & 255) << 16)

/* A piece of bytes to copy. */
struct ws_bytes {
    const void *data;
    size_t len;
};

/* Joins other to ch: each file that is opened on ch belongs, for its life, to one of the two. Both are a worker's channels
 * to tree outputs of the same directory that different writers own, so that two threads share the work; which gets a file
 * depends on their load. From here on only ch is used. Main thread, before any other call on them. */
#define WS_CHANNEL_PARTS_MAX 8u
void ws_channel_join(struct ws_channel *ch, struct ws_channel *other);

/* Begins a file of a tree output. path is relative to the output's directory (copied; at most
 * WS_PATH_MAX bytes); directories in it are made. Returns an id > 0 that is unique in this channel,
 * or 0 when no block was free (counted by the caller). What happens to a file that exists already
 * is the output's configuration. The file is created by the writer, later. */
uint64_t ws_channel_file_open(struct ws_channel *ch, const char *path, unsigned flags);

/* Appends an extent: the n pieces one after another go to byte offset off of file id. Consecutive
 * extents of a file in one block grow together. Copies. Returns 0, or -EAGAIN when the quota of
 * blocks is used up and the channel may not wait (then nothing was taken). Any length. */
int ws_channel_file_write(struct ws_channel *ch, uint64_t id, uint64_t off,
                          const struct ws_bytes *piece, unsigned n);

/* The same for a caller that makes the bytes itself: the place of len bytes that go to off of file id, where this is the
 * channel's latest file, off its end, and the block in hand has room; else NULL, and ws_channel_file_write() can do it.
 * The caller fills all of it before its next call for the channel. */
uint8_t *ws_channel_file_place(struct ws_channel *ch, uint64_t id, uint64_t off, size_t len);

/* Moves all that was written to file id so far len bytes up, and fills what is left free in front
 * with zeros. Later extents count from the new front. What is still in blocks is moved for nothing;
 * what is on disk the writer reads and writes again, so the caller bounds how often and how much.
 * Returns 0, or -EAGAIN as above. */
int ws_channel_file_insert(struct ws_channel *ch, uint64_t id, uint64_t len);

/* Ends a file: it gets size bytes (trailing holes by ftruncate; UINT64_MAX = as written) and, when
 * mtime_ns is not INT64_MIN, that modification time. tag is given back to the output's on_closed().
 */
#define WS_FILE_DISCARD (UINT64_MAX - 1) /* as size: the file was not wanted, it goes */
int ws_channel_file_close(struct ws_channel *ch, uint64_t id, uint64_t size, int64_t mtime_ns,
                          uint64_t tag);

/* Appends one whole record to a merged output (one sequential file fed by all workers): the pieces,
 * at most WS_RECORD_MAX bytes. The writer merges records of all channels by order (the packet's
 * ordinal): not falling within a worker, over all its merged outputs, and of different workers
 * never the same. Returns 0, -EAGAIN as above, or -EMSGSIZE; a record is never split by a lost
 * block. */
int ws_channel_record(struct ws_channel *ch, uint64_t order, const struct ws_bytes *piece,
                      unsigned n);

/* The same for a caller that makes the bytes itself: the place of a record of len bytes (1 to WS_RECORD_MAX), or NULL where
 * ws_channel_record() says -EAGAIN. The caller fills all of it before its next call for the channel. */
uint8_t *ws_channel_record_place(struct ws_channel *ch, uint64_t order, size_t len);

/* The same for a record without which later ones mean nothing, such as an interface description: when a failing disk
 * costs it, the writer puts it before the next records that reach the file. Not for the packet path: the writer keeps
 * a copy. It is not counted among lost records. */
int ws_channel_record_vital(struct ws_channel *ch, uint64_t order, const struct ws_bytes *piece,
                            unsigned n);

/* Called by the worker at least once a burst and once an idle poll: promises that all later records
 * have order >= watermark; hands a partly filled block over when it is older than the flush
 * interval at now_ns (steady clock), when the merge waits for it, or when force is set. Never
 * waits. An idle worker's watermark must rise too (the reader's position, read before the input was
 * found empty): other workers may wait for it (README.md, Merging). */
void ws_channel_tick(struct ws_channel *ch, uint64_t watermark, int64_t now_ns, bool force);

/* Hands over what is left and marks the channel's end. Never waits. */
void ws_channel_finish(struct ws_channel *ch);

/* True when the writer has suspended the output: callers may skip the work of encoding. */
bool ws_channel_suspended(const struct ws_channel *ch);

/* Blocks of the quota that are free, for gauges and for who wants to give way before there is none; any thread. */
unsigned ws_channel_blocks_free(const struct ws_channel *ch);

/* The quota. */
unsigned ws_channel_blocks(const struct ws_channel *ch);

#endif
