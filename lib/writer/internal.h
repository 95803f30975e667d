/* SPDX-License-Identifier: BSD-3-Clause */
/* What the writer's own files share: channels, blocks, files, outputs and requests. Not for
 * callers.
 *
 * Each field has one writing thread: its section says which.
 */
#ifndef WS_WRITER_INTERNAL_H
#define WS_WRITER_INTERNAL_H

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "base/ring.h"
#include "writer/block.h"
#include "writer/direct.h"
#include "writer/idmap.h"
#include "writer/path.h"
#include "writer/writer.h"

#define WS_OUTPUTS_MAX    32u   /* outputs of a writer: pcap, streams, flows, ... with room */
#define WS_IOV_MAX        1024u /* the kernel's UIO_MAXIOV */
#define WS_IO_DEPTH       64u   /* requests in flight */
#define WS_IO_PAUSE_NS    500000 /* of a few blocks at most; a writer that looks this seldom takes 1 % of a CPU to look */
#define WS_FLUSH_BYTES    (256u * 1024u) /* a file with so much pending is written */
#define WS_FD_RESERVE     32u            /* descriptors left to the rest of the process */
#define WS_OPEN_FILES_MAX 65536u         /* bound of the LRU, whatever the limit of the process */
#define WS_NAME_TRIES     65536u         /* counters c1, c2, ... tried for a name */
#define WS_TRAILER_MAX    65536u
#define WS_VITAL_MAX      (1u << 20) /* bytes of records kept until they are on disk */
#define WS_FILL_MAX       4096u /* holes below this are written as zeros: a page of any file system */
#define WS_ERROR_LINES    8u /* failed files named a run and output; the rest is counted */

/* ---- channels and blocks ---- */

/* The writer's view of a block. */
struct ws_wblock {
    struct ws_channel *ch;
    struct ws_wblock *prev, *next; /* held blocks of the channel, oldest first */
    int64_t since_ns;              /* when it came */
    uint32_t refs;                 /* pending extents, requests and the parser that need it */
    uint32_t ops, cursor;          /* MERGED: operations, next one to merge */
    uint32_t used;
    bool flushed; /* its extents were put into requests */
};

struct ws_channel {
    /* worker */
    WS_CACHE_ALIGNED struct ws_block *cur; /* NULL = none in hand */
    struct ws_op *last;                    /* newest operation of cur */
    uint32_t pos;                          /* end of the payload */
    uint32_t op_low;                       /* begin of the operation table */
    bool from_reserve;                     /* cur is the block kept for closes */
    bool cur_seen;                         /* cur_ns is set */
    int64_t cur_ns;                        /* first tick that saw cur */
    uint64_t next_id;
    uint64_t order_last;
    uint64_t bound_set; /* what bound holds */
    uint64_t record_off; /* MERGED: in the file, of the next record of the only channel */

    /* constant */
    WS_CACHE_ALIGNED struct ws_output *out;
    uint8_t *mem;
    void *ring_mem;
    uint32_t block_bytes;
    uint32_t blocks;
    uint32_t reserve; /* blocks that only closes may take */
    bool may_wait;
    bool merge; /* MERGED with several channels: keeps orders apart */
    bool direct; /* payload is laid for direct writes */
    int64_t flush_ns;
    const _Atomic bool *abort;
    struct ws_channel *sibling; /* ring of the channels of the same worker in all outputs */
    struct ws_channel *part[WS_CHANNEL_PARTS_MAX]; /* the first of a joined channel: all, itself included */
    unsigned parts;                                /* 1 = not joined */
    unsigned turn;                                 /* worker: the part that is asked first for the next file */

    /* worker -> writer */
    WS_CACHE_ALIGNED _Atomic uint64_t bound; /* records not handed over have order >= bound */
    _Atomic bool finished;
    struct ws_ring full; /* producer: worker, consumer: writer; uint32_t block numbers */

    /* writer -> worker */
    WS_CACHE_ALIGNED _Atomic bool
        want;            /* the merge waits for this channel: hand over what is there */
    _Atomic uint64_t record_shift; /* what was lost (or came again) moved record_off by; modulo 2^64 */
    struct ws_ring free; /* producer: writer, consumer: worker */

    /* writer */
    WS_CACHE_ALIGNED struct ws_wblock *block; /* [blocks] */
    struct ws_wblock *oldest, *newest;        /* held */
    struct ws_wblock *flush_next;             /* oldest held block that was not flushed */
    uint32_t held, unflushed;
    bool ended; /* finished, and all blocks were taken */
    uint64_t bound_read;
    uint64_t record_taken; /* where the file would end, had nothing been lost */
    struct ws_wblock *merge_block; /* MERGED: where the cursor is; NULL = nothing queued */
    struct ws_idmap files;
};

/* ---- files of a tree ---- */

struct ws_wfile {
    struct ws_channel *ch;
    struct ws_wfile *lru_prev, *lru_next;
    uint64_t pend_bytes;
    uint32_t pend_first, pend_last; /* operations: offset in ch->mem / 32; 0 = none */
    uint64_t end;                   /* highest byte written */
    struct ws_direct *direct;       /* NULL: through the page cache */
    uint64_t lost;
    uint64_t id;
    bool inflight; /* a write is; never two */
    bool flush;    /* the pending extents follow it */
    uint32_t name_count; /* how far the counter of the name was moved on; 0: the name is as given */
    uint32_t name_first; /* the counter as given, 0 = none, */
    uint16_t name_stem;  /* and where in path it is to stand, */
    char suffix[16];     /* with this behind it */
    int fd;
    int error; /* first error of this file */
    bool part, aside, created, dead, closing;
    bool strict, not_closed; /* keeps .part if its close never comes, and: it never came */
    bool discard; /* closed as not wanted */
    uint64_t close_size, close_tag;
    int64_t close_mtime_ns;
    size_t path_len;
    char path[]; /* relative, NUL-terminated */
};

/* ---- requests ---- */

/* One vectored write; the blocks that it reads from are held by one reference an iovec. */
struct ws_io_req {
    struct ws_io_req *next_free;
    struct ws_output *out;
    struct ws_wfile *file; /* NULL: the output's merged file */
    int fd;
    bool stream; /* no offset: write at the position */
    bool again;  /* a stream that would block: try later */
    bool past_cache;          /* direct.c: it goes by O_DIRECT, and */
    struct ws_direct *direct; /* off and bytes count lead bytes more and rest fewer than were put in; NULL = as they are */
    size_t lead, rest;
    uint64_t off;
    size_t bytes, done;
    size_t fill; /* of bytes: zeros of small holes (tree.c), with blk NULL */
    uint64_t records;
    uint32_t n, at; /* iovecs, first one that is not written wholly */
    struct iovec iov[WS_IOV_MAX];
    struct ws_wblock *blk[WS_IOV_MAX]; /* NULL = not from a block */
};

/* Writes synchronously: at most what is left of r. Bytes or -errno. */
typedef ssize_t (*ws_io_write_fn)(struct ws_writer *w, struct ws_io_req *r);

struct ws_uring;

/* ---- outputs ---- */

/* What is said of an output once, though several writers may own parts of it: trees of one path. */
struct ws_out_said {
    _Atomic unsigned refs, suspended, error_lines;
    _Atomic bool failed, exists;
    _Atomic uint64_t lost; /* since the first part was suspended */
    _Atomic uint64_t all_bytes, all_records; /* lost, all in all */
};

struct ws_output {
    struct ws_writer *w;
    struct ws_output_config cfg;
    char *path;
    struct ws_channel *channel; /* [cfg.channels] */
    unsigned ended;             /* channels that ended */
    bool done;
    /* health */
    _Atomic bool suspended;
    bool failed; /* for good */
    bool write_failed; /* suspended because a write failed: only a write resumes */
    int64_t retry_at_ns;
    int last_error; /* of the output's last failure, -errno */
    struct ws_out_said *said;
    /* TREE */
    int dirfd;
    uint64_t files_live;
    bool no_openat2;
    /* MERGED */
    int fd;
    bool stream, regular, close_fd, cut, renamed;
    char *part_path;
    uint64_t off;
    unsigned in_flight;
    struct ws_direct *direct; /* NULL: through the page cache */
    struct ws_io_req *req; /* the next write, while it is built */
    /* With direct: the last beginning of a run of records that lies before the file's last page, so that what this page cannot
     * take can be cut off between records and counted. sure: of what is written; sure_next: once req is. */
    struct ws_sure {
        uint64_t off, records; /* where; and how many records come behind it */
    } sure, sure_next;
    uint32_t *run_records; /* [WS_IOV_MAX] of each of req's iovecs; NULL without direct */
    /* Vital records that are not on disk: the first vital_owed bytes were lost with a write, the rest is in req. */
    uint8_t *vital;
    size_t vital_len, vital_owed, vital_room;
    bool vital_in; /* req begins with what was owed */
    int64_t req_since_ns;  /* when its oldest block came */
    sem_t *lock;           /* shared with other processes; NULL = none */
    bool locked;
};

struct ws_writer {
    struct ws_writer_config cfg;
    struct ws_writer_group own_group;
    ws_io_write_fn write;
    struct ws_uring *uring; /* NULL = plain */
    struct ws_io_req *req;  /* [WS_IO_DEPTH] */
    struct ws_io_req *req_free;
    unsigned in_flight;
    int64_t now_ns;
    int64_t fsync_at_ns;
    uint64_t unflushed_bytes; /* in held blocks of tree outputs */
    /* LRU of open files: first = least recently used */
    struct ws_wfile *lru_first, *lru_last;
    unsigned open_files, open_files_max;
    /* injected faults */
    uint64_t fault_bytes;
    uint32_t fault_failures, fault_writes;
    bool fault_stalled;
    int64_t fault_free_ns; /* when the injected disk has taken what it was given */

    struct ws_output *out[WS_OUTPUTS_MAX];
    unsigned out_count;
    struct ws_counters counters;
    _Atomic bool abort;
    _Atomic bool done;
    _Atomic unsigned out_bad; /* suspended or failed outputs */
    _Atomic int first_error_set;
    char first_error[512];
};

/* channel.c: sets up the worker's end over mem (borrowed). 0 or -errno. */
int ws_channel_init(struct ws_channel *ch, struct ws_output *out, void *mem);
void ws_channel_fini(struct ws_channel *ch);

/* blocks (writer.c) */
void ws_wblock_put(struct ws_wblock *b);

/* io.c */
int ws_io_init(struct ws_writer *w);
void ws_io_fini(struct ws_writer *w);
/* A free request; waits for one when all are in flight. */
struct ws_io_req *ws_io_get(struct ws_writer *w);
void ws_io_put(struct ws_writer *w, struct ws_io_req *r);
/* Adds bytes of a block (or blk NULL) to r; takes over one reference of blk. False: r is full. */
bool ws_io_add(struct ws_io_req *r, void *data, size_t len, struct ws_wblock *blk);
/* Writes r now or asynchronously; ws_io_complete() is called once, maybe before this returns,
 * unless r->again is set. */
void ws_io_submit(struct ws_writer *w, struct ws_io_req *r);
/* Takes completions; waits for one when wait is set and something is in flight. */
unsigned ws_io_reap(struct ws_writer *w, bool wait);
/* Sleeps until one of the writes in flight has ended, or for WS_IO_PAUSE_NS: then blocks may have come. */
void ws_io_pause(struct ws_writer *w);
/* Tells the kernel what was queued. */
void ws_io_kick(struct ws_writer *w);
/* Marks n bytes of r as written. */
void ws_io_advance(struct ws_io_req *r, size_t n);
/* Drops the references of r. */
void ws_io_release(struct ws_io_req *r);
/* End of a request (writer.c): error 0 or -errno, r->done bytes were written. */
void ws_io_complete(struct ws_writer *w, struct ws_io_req *r, int error);

/* io_uring.c */
int ws_uring_create(struct ws_uring **u);
void ws_uring_destroy(struct ws_uring *u);
void ws_uring_queue(struct ws_uring *u, struct ws_io_req *r);
void ws_uring_kick(struct ws_uring *u);
/* Sleeps until a completion is there, at most ns (below a second). False: this kernel cannot. */
bool ws_uring_pause(struct ws_uring *u, int64_t ns);
/* The next completion or NULL; *res = bytes or -errno. */
struct ws_io_req *ws_uring_next(struct ws_uring *u, bool wait, int *res);

/* path.c */
/* Opens path below dirfd without following symbolic links; fd or -errno. */
int ws_path_open(struct ws_output *out, const char *path, int flags);
/* Makes the directories in path, below dirfd. 0 or -errno. */
int ws_path_mkdirs(int dirfd, const char *path);
/* Makes a directory with its parents (of the user's own choice: links are followed). 0 or -errno.
 */
int ws_path_mkdir_p(const char *path);
/* fsync of the directory that holds path. 0 or -errno. */
int ws_path_sync_dir(int dirfd, const char *path);

/* The steady clock, in ns. */
int64_t ws_writer_clock_ns(void);

/* health.c */
bool ws_error_is_disk(int error);
/* True when the output may touch the disk now: not suspended, or time for a try. */
bool ws_out_may_try(const struct ws_output *o);
/* Counts bytes and records that are lost because the output is suspended or failed. */
void ws_out_lost(struct ws_output *o, uint64_t bytes, uint64_t records);
/* An operation (verb: "write", "create") failed with a disk-like error: suspends. */
void ws_out_suspend(struct ws_output *o, const char *verb, int error);
/* Ends an output for good. */
void ws_out_fail(struct ws_output *o, const char *verb, int error);
/* A write or open succeeded. */
void ws_out_ok(struct ws_output *o);
/* A file that exists is left as it is: counted, and said of the first one. */
void ws_out_file_exists(struct ws_output *o, const char *path);
/* An error of one file only: counts and says it. path as shown. */
void ws_out_file_error(struct ws_output *o, const char *path, const char *verb, int error);

/* tree.c */
int ws_tree_add(struct ws_output *o, char *err, size_t err_len);
void ws_tree_fini(struct ws_output *o);
void ws_tree_block(struct ws_wblock *b);
void ws_tree_flush_block(struct ws_wblock *b);
void ws_tree_complete(struct ws_writer *w, struct ws_io_req *r, int error);
/* Closes what the worker left open. */
void ws_tree_end_channel(struct ws_channel *ch);

/* merged.c */
int ws_merged_add(struct ws_output *o, char *err, size_t err_len);
void ws_merged_fini(struct ws_output *o);
/* Merges and writes what can be; returns a count of work done. */
unsigned ws_merged_poll(struct ws_output *o);
void ws_merged_complete(struct ws_writer *w, struct ws_io_req *r, int error);
void ws_merged_abort(struct ws_output *o);

static inline struct ws_block *ws_channel_block(const struct ws_channel *ch, uint32_t i)
{
    return (struct ws_block *)(void *)(ch->mem + (size_t)i * ch->block_bytes);
}

/* Operations by number within the channel's memory; 0 is a block's header, thus none. */
static inline uint32_t ws_op_ref(const struct ws_channel *ch, const struct ws_op *op)
{
    return (uint32_t)((size_t)((const uint8_t *)op - ch->mem) / sizeof(struct ws_op));
}

static inline struct ws_op *ws_op_at(const struct ws_channel *ch, uint32_t ref)
{
    return (struct ws_op *)(void *)(ch->mem + (size_t)ref * sizeof(struct ws_op));
}

static inline struct ws_wblock *ws_op_block(const struct ws_channel *ch, const struct ws_op *op)
{
    return &ch->block[(size_t)((const uint8_t *)op - ch->mem) / ch->block_bytes];
}

#endif
