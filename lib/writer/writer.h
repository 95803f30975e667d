/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer: one thread that owns files. It takes blocks from channels, gathers consecutive bytes
 * of a file into large writes, keeps a bounded set of open files, and gives blocks back.
 */
#ifndef WS_WRITER_WRITER_H
#define WS_WRITER_WRITER_H

#include <sys/types.h>
#include "base/counters.h"
#include "writer/channel.h"

#define WS_PATH_MAX   1024u
#define WS_RECORD_MAX (512u * 1024u)
#define WS_CHANNELS_MAX 256u /* of an output: one a worker */

struct ws_writer;
struct ws_output;

/* How bytes reach the disk. FAULT wraps PLAIN and fails as ws_fault says (tests). */
enum ws_backend_kind {
    WS_BACKEND_AUTO, /* io_uring where the kernel gives it, else plain */
    WS_BACKEND_URING,
    WS_BACKEND_PLAIN,
    WS_BACKEND_FAULT,
};

/* Injected faults: after byte_budget bytes every write fails with error (ENOSPC, EIO) until
 * recover_after failures have happened (0 = for ever); short_every: every k-th write is cut in
 * half; stall_ns once at stall_at bytes; rate: bytes a second that each writer takes. 0 = off. Bytes and writes are those of the outputs that
 * path selects. */
struct ws_fault {
    const char *path; /* only outputs whose path contains this; borrowed; NULL = all */
    uint64_t byte_budget;
    int error;
    uint32_t recover_after;
    uint32_t short_every;
    uint32_t discard; /* not 0: writes take no time and nothing is kept: what a run would reach without a disk */
    uint64_t stall_at;
    int64_t stall_ns;
    uint64_t rate;
};

enum ws_fsync {
    WS_FSYNC_NONE,
    WS_FSYNC_CLOSE,    /* each file when closed */
    WS_FSYNC_INTERVAL, /* all dirty files every fsync_interval_ns */
};

/* What to do with a file that exists. */
enum ws_exists {
    WS_EXISTS_REFUSE,   /* an error of that file: counted and said */
    WS_EXISTS_TRUNCATE, /* --overwrite */
    WS_EXISTS_COUNT,    /* the writer appends c1, c2, ... (tcpflow front-end) */
};

/* What the writers of one run share before the start: a worker that waits for one of them serves its channels to all. Zero it. */
struct ws_writer_group {
    struct ws_channel *first[WS_CHANNELS_MAX]; /* any channel of that worker */
};

struct ws_writer_config {
    struct ws_writer_group *group; /* borrowed until the last output is added; NULL = this writer is alone */
    enum ws_backend_kind backend;
    struct ws_fault fault;
    unsigned open_files_max; /* LRU of open files; 0 = from RLIMIT_NOFILE less a reserve */
    enum ws_fsync fsync;
    int64_t fsync_interval_ns;
    int64_t retry_ns;      /* how long an output stays suspended before a try (default 1 s) */
    uint64_t gather_bytes; /* bytes a writer may hold back to make writes large (default 64 MiB;
                              bounded by the quotas) */
};

enum ws_output_kind {
    WS_OUTPUT_TREE,   /* many files under a directory */
    WS_OUTPUT_MERGED, /* one sequential file, or "-" for standard output, of records of all channels
                       */
};

struct ws_output_config {
    enum ws_output_kind kind;
    const char *path; /* directory or file; copied */
    enum ws_exists exists;
    bool direct; /* files are written from front to end, each channel its own: past the page cache where that is possible (direct.h) */
    bool commit;          /* MERGED: write PATH.part and rename at the end */
    const char *lock;     /* MERGED: name of a POSIX semaphore, made when there is none, that the writer holds while it
                             writes; it waits for it, and so do the worker's other outputs of this writer. NULL = none */
    bool not_packets;     /* MERGED: lost records count as WRITE_LOST_RECORDS, not _PACKETS */
    unsigned channels;    /* one a worker */
    unsigned blocks;      /* quota a channel (default 64) */
    uint32_t block_bytes; /* default 1 MiB; power of two >= 64 KiB and > WS_RECORD_MAX for MERGED */
    bool may_wait; /* a channel without a free block waits (files) or returns -EAGAIN (live) */
    int64_t
        flush_ns; /* age at which a partial block is handed over (default 100 ms live, 1 s files) */
    /* Bytes put before the first and after the last record of a MERGED file (file headers, ISB).
     * trailer is called by the writer thread at the end; returns the count of bytes it put in buf
     * (at most max). */
    const void *header;
    size_t header_len;
    size_t (*trailer)(void *user, uint8_t *buf, size_t max);
    /* Called by the writer thread after a file was closed (and renamed): for reports, --on-close.
     * May be NULL. */
    void (*on_closed)(void *user, const char *path, uint64_t tag, int error);
    /* TREE: called by the writer thread when a file was made, with its final name. May be NULL. */
    void (*on_opened)(void *user, const char *path);
    void *user;
};

/* Allocation of the block memory of one channel (= worker) is the caller's: give bytes of zeroed, 4096-aligned
 * memory (hugepages, of that worker's node). */
typedef void *(*ws_writer_alloc_fn)(void *user, unsigned channel, size_t bytes);

/* Makes a writer (heap). Returns 0 or -errno. */
int ws_writer_create(struct ws_writer **w, const struct ws_writer_config *cfg);

/* Adds an output before the start. Creates the directory or opens the file at once, so that an
 * unwritable place is an error here (-errno, message in err). Block memory from alloc. */
int ws_writer_add_output(struct ws_writer *w, const struct ws_output_config *cfg,
                         ws_writer_alloc_fn alloc, void *alloc_user, struct ws_output **out,
                         char *err, size_t err_len);

/* The channel of a worker (0..channels). Borrowed; used by that worker's thread only. */
struct ws_channel *ws_output_channel(struct ws_output *o, unsigned worker);

/* How full an output is. Counts of blocks over all of its channels; taken and given back count up from 0, so that two
 * looks tell the rates at which workers fill and the disk drains. A block that a worker has in hand is taken. */
struct ws_output_gauges {
    const char *path;             /* borrowed; "-" = standard output */
    uint64_t blocks, blocks_free; /* least_free: of the channel that has the fewest */
    uint64_t least_free, blocks_each;
    uint64_t taken, given_back;
    uint32_t block_bytes;
    bool may_wait, suspended;
};

/* Any thread. */
void ws_output_gauges(const struct ws_output *o, struct ws_output_gauges *g);

/* Gives an output's open file to another owner, before the start of a run that gives up root. A tree's files are
 * opened later, as that user; standard output and devices stay as they are. 0 or -errno. */
int ws_output_chown(struct ws_output *o, uid_t uid, gid_t gid);

/* The name that a MERGED output's file has on disk now: with .part before the end, and after it when it could not be renamed.
 * Others: the path as given. Borrowed. Before the start and after the threads have ended. */
const char *ws_output_name(const struct ws_output *o);

/* What was handed to an output and lost there, by all writers of its path: bytes, and records where they are known (a tree's
 * are not: 0). Any thread. */
void ws_output_lost(const struct ws_output *o, uint64_t *bytes, uint64_t *records);

/* One round of the writer's loop: takes blocks, writes, gives back. Returns a count of the work
 * done or in flight; 0 = idle. Called by the writer's thread only. */
unsigned ws_writer_poll(struct ws_writer *w);

/* True when every channel has finished and all bytes are written, files closed and renamed. */
bool ws_writer_done(const struct ws_writer *w);

/* Asks the writer to give up waiting (second Ctrl-C): unfinished .part files stay. Any thread. */
void ws_writer_abort(struct ws_writer *w);

/* The writer's own counters (WRITE_*, OUT_FILES). */
const struct ws_counters *ws_writer_counters(const struct ws_writer *w);

/* Number of outputs that are suspended now / that failed for good; first error as text ("PATH: No
 * space left on device"). Any thread. */
unsigned ws_writer_suspended(const struct ws_writer *w);
const char *ws_writer_first_error(const struct ws_writer *w);

/* Frees everything. After the threads have ended. */
void ws_writer_destroy(struct ws_writer *w);

/* Opens the directory that path lies in, so that the file can be renamed after chroot(2), too: its descriptor, or -errno.
 * *name, in path, is the file's name there. Any thread. */
int ws_path_parent(const char *path, const char **name);

/* rename(2) that can refuse to replace. 0 or -errno. Any thread. */
int ws_path_rename(int dirfd, const char *from, const char *to, bool replace);

#endif
