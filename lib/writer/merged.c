/* SPDX-License-Identifier: BSD-3-Clause */
/* One sequential file fed by all workers: merges their records by order and writes them.
 *
 * Runs of records go from the blocks to the kernel by iovec; nothing is copied. A write begins and
 * ends between records, so that after a failure the file is cut back to a whole record.
 */
#include "writer/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define PART_SUFFIX ".part"

/* ---- merging ---- */

/* The next run of records of a channel; NULL = none queued. Gives back blocks that are used up. */
static struct ws_op *head(struct ws_channel *ch)
{
    for (struct ws_wblock *b; (b = ch->merge_block) != NULL;) {
        if (b->cursor < b->ops) {
            struct ws_block *blk = ws_channel_block(ch, (uint32_t)(b - ch->block));
            return ws_block_op(blk, ch->block_bytes, b->cursor);
        }
        ch->merge_block = b->next;
        ws_wblock_put(b);
    }
    return NULL;
}

/* Keeps a copy of a vital record until it is on disk. At the bound, or without memory, it is like any other. */
static void keep_vital(struct ws_output *o, const uint8_t *data, size_t len)
{
    if (o->vital_len + len > WS_VITAL_MAX)
        return;
    if (o->vital_len + len > o->vital_room) {
        size_t room = WS_MAX(2 * o->vital_room, o->vital_len + len);
        uint8_t *more = realloc(o->vital, room);
        if (!more)
            return;
        o->vital = more;
        o->vital_room = room;
    }
    memcpy(o->vital + o->vital_len, data, len);
    o->vital_len += len;
}

/* Puts the vital records that a failed write cost before those of the request. */
static void prepend_vital(struct ws_output *o)
{
    struct ws_io_req *r = o->req;
    if (!o->vital_owed || r->n == WS_IOV_MAX)
        return;
    memmove(r->iov + 1, r->iov, r->n * sizeof(r->iov[0]));
    memmove(r->blk + 1, r->blk, r->n * sizeof(r->blk[0]));
    if (o->run_records) {
        memmove(o->run_records + 1, o->run_records, r->n * sizeof(*o->run_records));
        o->run_records[0] = 0;
    }
    r->iov[0] = (struct iovec){.iov_base = o->vital, .iov_len = o->vital_owed};
    r->blk[0] = NULL;
    r->n++;
    r->bytes += o->vital_owed;
    o->vital_in = true;
}

/* The request is over. Returns its bytes that are lost if it failed: vital ones come again. */
static size_t settle_vital(struct ws_output *o, bool failed)
{
    size_t vital = o->vital_in ? o->vital_len : o->vital_len - o->vital_owed;
    o->vital_in = false;
    if (failed)
        o->vital_owed = o->vital_len;
    else
        o->vital_len = o->vital_owed = 0;
    return o->req->bytes - vital;
}

/* Takes runs of ch whose order is at most limit. False: the request is full. */
static bool take_runs(struct ws_output *o, struct ws_channel *ch, uint64_t limit)
{
    struct ws_io_req *r = o->req;
    for (struct ws_op *op; (op = head(ch)) != NULL && op->id <= limit;) {
        struct ws_wblock *b = ch->merge_block;
        struct ws_block *blk = ws_channel_block(ch, (uint32_t)(b - ch->block));
        if (r->n == WS_IOV_MAX - 1 || r->bytes >= (o->direct ? 2 * WS_DIRECT_FLUSH : 4 * WS_FLUSH_BYTES)) /* one for prepend_vital() */
            return false;
        if (r->n == 0)
            o->req_since_ns = b->since_ns;
        b->refs++;
        if (WS_UNLIKELY(op->kind == WS_OP_VITAL))
            keep_vital(o, (uint8_t *)blk + op->pos, op->len);
        uint32_t pieces = r->n;
        ws_io_add(r, (uint8_t *)blk + op->pos, op->len, b);
        r->records += op->aux;
        if (o->run_records)
            o->run_records[r->n - 1] = op->aux + (r->n == pieces ? o->run_records[r->n - 1] : 0);
        ch->record_taken += op->len;
        b->cursor++;
    }
    return true;
}

/* Asks the channels that hold up order p to hand over what they have. */
static void want(struct ws_output *o, uint64_t p)
{
    for (unsigned c = 0; c < o->cfg.channels; c++) {
        struct ws_channel *ch = &o->channel[c];
        if (!ch->merge_block && !ch->ended && ch->bound_read < p &&
            !atomic_load_explicit(&ch->want, memory_order_relaxed))
            atomic_store_explicit(&ch->want, true, memory_order_relaxed);
    }
}

/* True when waiting any longer costs: a quota fills, or records grow old. */
static bool pressed(const struct ws_output *o)
{
    if (o->ended)
        return true;
    for (unsigned c = 0; c < o->cfg.channels; c++) {
        const struct ws_channel *ch = &o->channel[c];
        if (ch->held > ch->blocks / 4 ||
            (ch->oldest && o->w->now_ns - ch->oldest->since_ns >= o->cfg.flush_ns / 4))
            return true;
    }
    return false;
}

/* Merges into the request what may go: the least order, unless a channel with nothing queued could
 * still bring a lower one. Orders of different channels differ, so that equal ones cannot
 * mislead. True when something was taken. */
static bool merge(struct ws_output *o)
{
    size_t before = o->req->bytes;
    for (;;) {
        struct ws_channel *best = NULL;
        uint64_t best_order = UINT64_MAX, limit = UINT64_MAX;
        for (unsigned c = 0; c < o->cfg.channels; c++) {
            struct ws_channel *ch = &o->channel[c];
            struct ws_op *op = head(ch);
            uint64_t key = op ? op->id : ch->ended ? UINT64_MAX : ch->bound_read;
            if (op && (!best || key < best_order)) {
                if (best)
                    limit = WS_MIN(limit, best_order);
                best = ch;
                best_order = key;
            } else {
                limit = WS_MIN(limit, key);
            }
        }
        if (!best)
            break;
        if (best_order > limit) {
            if (pressed(o))
                want(o, best_order);
            break;
        }
        if (!take_runs(o, best, limit))
            break;
    }
    return o->req->bytes != before;
}

/* ---- writing ---- */

#define LOCK_WAIT_NS 100000000

/* Takes the semaphore of the output, unless it is ours already. Who holds it may hold it for long. False: an abort
 * ended the wait. */
static bool lock(struct ws_output *o)
{
    struct timespec t;
    while (o->lock && !o->locked && !atomic_load_explicit(&o->w->abort, memory_order_relaxed)) {
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_nsec += LOCK_WAIT_NS;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        o->locked = sem_timedwait(o->lock, &t) == 0;
    }
    return !o->lock || o->locked;
}

static void unlock(struct ws_output *o)
{
    if (o->locked)
        sem_post(o->lock);
    o->locked = false;
}

static int open_lock(struct ws_output *o)
{
    if (!o->cfg.lock)
        return 0;
    o->lock = sem_open(o->cfg.lock, O_CREAT, 0666, 1);
    if (o->lock != SEM_FAILED)
        return 0;
    o->lock = NULL;
    return -errno;
}

/* Cuts the file back to the last whole record after a failed write. */
static void cut_back(struct ws_output *o)
{
    if (!o->regular)
        return;
    o->cut = (o->direct && ws_direct_close(o->direct, o->fd) != 0) || ftruncate(o->fd, (off_t)o->off) != 0;
    if (o->stream && lseek(o->fd, (off_t)o->off, SEEK_SET) < 0)
        o->cut = true;
}

static void write_failed(struct ws_output *o, int error)
{
    if (ws_error_is_disk(error))
        ws_out_suspend(o, "write", error);
    else if (!o->failed)
        ws_out_fail(o, "write", error);
    cut_back(o);
}

/* Tells the worker where its next block's records will stand after all that was lost. */
static void tell_shift(struct ws_output *o)
{
    if (o->direct)
        atomic_store_explicit(&o->channel->record_shift,
                              o->off - o->cfg.header_len - o->channel->record_taken, memory_order_relaxed);
}

void ws_merged_complete(struct ws_writer *w, struct ws_io_req *r, int error)
{
    struct ws_output *o = r->out;
    o->in_flight = 0;
    unlock(o);
    if (error) {
        write_failed(o, error);
        ws_out_lost(o, settle_vital(o, true), r->records);
    } else {
        settle_vital(o, false);
        o->off += r->bytes;
        o->sure = o->sure_next;
        ws_count(&w->counters, WS_C_WRITE_BYTES, r->bytes);
        ws_out_ok(o);
    }
    ws_io_release(r);
    r->bytes = r->done = 0;
    r->records = 0;
    tell_shift(o);
}

static void discard(struct ws_output *o)
{
    struct ws_io_req *r = o->req;
    ws_out_lost(o, settle_vital(o, true), r->records);
    ws_io_release(r);
    unlock(o);
    r->bytes = r->done = 0;
    r->records = 0;
    r->again = false;
    tell_shift(o);
}

/* Finds the last beginning of a run that will lie before the file's last page when req is written. */
static void find_sure(struct ws_output *o)
{
    const struct ws_io_req *r = o->req;
    uint64_t end = r->off + r->bytes, off = end, records = 0;
    uint32_t i = r->n;
    while (i && off > end - end % WS_DIRECT_ALIGN) {
        off -= r->iov[--i].iov_len;
        records += o->run_records[i];
    }
    if (off <= end - end % WS_DIRECT_ALIGN)
        o->sure_next = (struct ws_sure){off, records};
    else /* all of req lies in that page */
        o->sure_next = (struct ws_sure){o->sure.off, o->sure.records + r->records};
}

static void submit(struct ws_output *o)
{
    struct ws_io_req *r = o->req;
    if (!r->again) {
        if (ws_out_may_try(o) && o->cut)
            cut_back(o);
        if (!ws_out_may_try(o)) {
            discard(o);
            return;
        }
        prepend_vital(o);
        r->out = o;
        r->file = NULL;
        r->fd = o->fd;
        r->stream = o->stream;
        r->off = o->off;
    }
    if (!lock(o)) {
        discard(o);
        return;
    }
    int rc = 0;
    if (o->direct) {
        find_sure(o);
        rc = ws_direct_prepare(o->direct, r);
    }
    if (rc) {
        o->in_flight = 1;
        ws_io_complete(o->w, r, rc);
        return;
    }
    o->in_flight = 1;
    ws_io_submit(o->w, r);
    if (r->again)
        o->in_flight = 0;
}

/* Writes bytes at once (headers, trailers). 0 or -errno. */
static int put_bytes(struct ws_output *o, const void *data, size_t len)
{
    struct ws_writer *w = o->w;
    struct ws_io_req *r = o->req;
    int rc = 0;
    if (len == 0)
        return 0;
    r->out = o;
    r->fd = o->fd;
    r->stream = o->stream;
    r->off = o->off;
    ws_io_add(r, (void *)(uintptr_t)data, len, NULL);
    while (r->done < r->bytes && !rc) {
        ssize_t n = w->write(w, r);
        if (n > 0)
            ws_io_advance(r, (size_t)n);
        else if (n == -EAGAIN && !atomic_load_explicit(&w->abort, memory_order_relaxed))
            poll(&(struct pollfd){.fd = o->fd, .events = POLLOUT}, 1, 100);
        else if (n < 0 && n != -EINTR)
            rc = (int)n;
    }
    if (!rc) {
        o->off += len;
        ws_count(&w->counters, WS_C_WRITE_BYTES, len);
    }
    ws_io_release(r);
    r->bytes = r->done = 0;
    return rc;
}

/* ---- begin and end ---- */

static int open_path(struct ws_output *o)
{
    struct stat st;
    bool replace = o->cfg.exists == WS_EXISTS_TRUNCATE;
    int found = stat(o->path, &st) == 0;
    if (found && S_ISDIR(st.st_mode))
        return -EISDIR;
    if (found && !S_ISREG(st.st_mode)) {
        /* A device or FIFO that the user named: written as it is. */
        o->cfg.commit = false;
        o->stream = true;
        o->fd = open(o->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return o->fd >= 0 ? 0 : -errno;
    }
    if (found && o->cfg.commit && !replace)
        return -EEXIST;
    if (o->cfg.commit && asprintf(&o->part_path, "%s" PART_SUFFIX, o->path) < 0) {
        o->part_path = NULL;
        return -ENOMEM;
    }
    o->regular = true;
    const char *name;
    if (o->dirfd < 0 && (o->dirfd = ws_path_parent(o->path, &name)) < 0)
        return o->dirfd;
    o->fd = open(o->cfg.commit ? o->part_path : o->path,
                 O_WRONLY | O_CREAT | O_CLOEXEC | (replace ? O_TRUNC : O_EXCL), 0666);
    return o->fd >= 0 ? 0 : -errno;
}

/* open_path(), with counters behind the name as configured. */
static int open_counted(struct ws_output *o)
{
    int rc = open_path(o);
    char *base = o->path;
    for (unsigned n = 1; rc == -EEXIST && o->cfg.exists == WS_EXISTS_COUNT && n < WS_NAME_TRIES;
         n++) {
        char *path;
        free(o->part_path);
        o->part_path = NULL;
        if (asprintf(&path, "%sc%u", base, n) < 0)
            return -ENOMEM;
        if (o->path != base)
            free(o->path);
        o->path = path;
        rc = open_path(o);
    }
    if (o->path != base)
        free(base);
    return rc;
}

int ws_merged_add(struct ws_output *o, char *err, size_t err_len)
{
    int rc = 0;
    o->req = calloc(1, sizeof(*o->req));
    if (!o->req)
        return -ENOMEM;
    if (strcmp(o->path, "-") == 0) {
        struct stat st;
        o->cfg.commit = false;
        o->stream = true;
        o->fd = STDOUT_FILENO;
        o->regular = fstat(o->fd, &st) == 0 && S_ISREG(st.st_mode);
        off_t at = o->regular ? lseek(o->fd, 0, SEEK_CUR) : 0;
        o->off = at > 0 ? (uint64_t)at : 0;
    } else {
        rc = open_counted(o);
        o->close_fd = true;
    }
    if (rc == -EEXIST) {
        /* The file itself, or what an aborted run left behind. */
        bool part = o->part_path && access(o->path, F_OK) != 0;
        snprintf(err, err_len, "%s: exists already", part ? o->part_path : o->path);
        return rc;
    }
    if (!rc && (rc = open_lock(o)) != 0) {
        snprintf(err, err_len, "semaphore %s: %s", o->cfg.lock, strerror(-rc));
        return rc == -EEXIST ? -EIO : rc;
    }
    if (!rc)
        rc = put_bytes(o, o->cfg.header, o->cfg.header_len);
    if (!rc && o->cfg.direct && o->close_fd && o->regular && o->cfg.channels == 1 && ws_direct_possible(o->fd)) {
        const uint8_t *head = o->cfg.header;
        o->direct = ws_direct_create(o->off, head ? head + (o->off - o->off % WS_DIRECT_ALIGN) : NULL);
        o->run_records = calloc(WS_IOV_MAX, sizeof(*o->run_records));
        o->sure.off = o->off;
        rc = o->direct && o->run_records ? 0 : -ENOMEM;
    }
    if (rc)
        snprintf(err, err_len, "%s: cannot write: %s", o->path, strerror(-rc));
    return rc;
}

/* A failed last step: one line, kept for on_closed(). */
static void end_error(struct ws_output *o, const char *verb, int error)
{
    ws_out_file_error(o, NULL, verb, error);
    o->last_error = error;
}

const char *ws_output_name(const struct ws_output *o)
{
    return o->part_path && !o->renamed ? o->part_path : o->path;
}

static void rename_error(struct ws_output *o, int error)
{
    o->renamed = false;
    end_error(o, "rename", error);
    ws_log(WS_LOG_WARN, "%s: keeps this name, with all that was written", o->part_path);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The last page, kept in memory, cannot be written: the file ends between records before it, and they are counted. */
static void lose_end(struct ws_output *o, int error)
{
    uint64_t bytes = o->off - o->sure.off;
    end_error(o, o->direct->tail_on_disk ? "truncate" : "write", error);
    if (o->direct->tail_on_disk) /* only the space that was reserved is not given back */
        return;
    ws_direct_give_up(o->direct, o->fd);
    ws_count(&o->w->counters, WS_C_WRITE_BYTES, 0 - bytes);
    ws_out_lost(o, bytes, o->sure.records);
    o->off = o->sure.off;
    o->cut = ftruncate(o->fd, (off_t)o->off) != 0;
}

/* What an output puts behind its last record. Without it the file is whole all the same. */
static void put_trailer(struct ws_output *o)
{
    uint8_t *buf = malloc(WS_TRAILER_MAX);
    size_t len = buf ? o->cfg.trailer(o->cfg.user, buf, WS_TRAILER_MAX) : 0;
    int rc = buf ? put_bytes(o, buf, len) : -ENOMEM;
    free(buf);
    if (rc) {
        write_failed(o, rc);
        ws_out_lost(o, len, 0);
        ws_count(&o->w->counters, WS_C_WRITE_LOST_TRAILERS, 1);
    } else if (len) {
        ws_out_ok(o);
    }
}

static void finish(struct ws_output *o)
{
    struct ws_writer *w = o->w;
    int rc;
    o->retry_at_ns = w->now_ns; /* a last try */
    if (o->cut && !o->failed)
        cut_back(o);
    if (o->direct && (rc = ws_direct_close(o->direct, o->fd)) != 0)
        lose_end(o, rc);
    if (o->cfg.trailer && !o->failed && !o->cut)
        put_trailer(o);
    else if (o->cfg.trailer)
        ws_count(&w->counters, WS_C_WRITE_LOST_TRAILERS, 1);
    if (w->cfg.fsync != WS_FSYNC_NONE && o->regular && fsync(o->fd) != 0)
        end_error(o, "fsync", -errno);
    if (o->close_fd && close(o->fd) != 0)
        end_error(o, "close", -errno);
    o->close_fd = false;
    o->renamed = true;
    if (o->part_path && (rc = ws_path_rename(o->dirfd, base_name(o->part_path), base_name(o->path),
                                             o->cfg.exists == WS_EXISTS_TRUNCATE)) != 0)
        rename_error(o, rc);
    else if (o->regular && !o->stream && w->cfg.fsync == WS_FSYNC_CLOSE &&
             (rc = ws_path_sync_dir(o->dirfd, base_name(o->path))) != 0)
        end_error(o, "fsync of the directory", rc);
    if (o->cfg.on_closed)
        o->cfg.on_closed(o->cfg.user, o->path, 0, o->last_error);
    o->done = true;
}

static bool all_merged(struct ws_output *o)
{
    if (o->ended < o->cfg.channels)
        return false;
    for (unsigned c = 0; c < o->cfg.channels; c++)
        if (head(&o->channel[c]))
            return false;
    return true;
}

unsigned ws_merged_poll(struct ws_output *o)
{
    unsigned work = 0;
    if (o->done)
        return 0;
    while (!o->in_flight) {
        struct ws_io_req *r = o->req;
        if (!r->again && merge(o))
            work++;
        if (r->bytes == 0 ||
            !(r->again || r->bytes >= (o->direct ? WS_DIRECT_FLUSH : WS_FLUSH_BYTES) || r->n >= WS_IOV_MAX / 2 || pressed(o)))
            break;
        size_t done = r->done;
        submit(o);
        if (r->again) {
            work += r->done != done;
            break;
        }
        work++;
    }
    if (!o->in_flight && o->req->bytes == 0 && all_merged(o))
        finish(o);
    return work;
}

void ws_merged_abort(struct ws_output *o)
{
    if (o->done)
        return;
    discard(o);
    for (unsigned c = 0; c < o->cfg.channels; c++)
        for (struct ws_op *op; (op = head(&o->channel[c])) != NULL;
             o->channel[c].merge_block->cursor++)
            ws_out_lost(o, op->len, op->aux);
    int rc = o->direct ? ws_direct_close(o->direct, o->fd) : 0;
    if (rc)
        lose_end(o, rc);
    if (o->close_fd)
        close(o->fd);
    o->close_fd = false;
    o->done = true;
}

void ws_merged_fini(struct ws_output *o)
{
    unlock(o);
    if (o->lock)
        sem_close(o->lock);
    if (o->close_fd && o->fd >= 0) {
        close(o->fd);
        /* A run that did not come to its first record leaves nothing that a second try would stumble over. */
        if (o->part_path && o->off <= o->cfg.header_len)
            unlinkat(o->dirfd, base_name(o->part_path), 0);
    }
    if (o->dirfd >= 0)
        close(o->dirfd);
    free(o->part_path);
    free(o->direct);
    free(o->run_records);
    free(o->vital);
    free(o->req);
}

int ws_output_chown(struct ws_output *o, uid_t uid, gid_t gid)
{
    if (o->cfg.kind != WS_OUTPUT_MERGED || !o->close_fd || !o->regular)
        return 0;
    return fchown(o->fd, uid, gid) < 0 ? -errno : 0;
}
