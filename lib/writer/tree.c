/* SPDX-License-Identifier: BSD-3-Clause */
/* Many files under a directory: gathers the extents of each file, writes them in few calls, and
 * keeps a bounded set of files open.
 *
 * A file's pending extents are a list through the operations in the blocks themselves, so that
 * gathering needs no memory of its own and is bounded by the quotas.
 */
#include "writer/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_SUFFIX ".part"
/* Room behind a path for a counter and .part. */
#define NAME_SPARE 32u

static void file_advance(struct ws_wfile *f);

/* ---- open files ---- */

static void lru_unlink(struct ws_writer *w, struct ws_wfile *f)
{
    if (f->lru_prev)
        f->lru_prev->lru_next = f->lru_next;
    else
        w->lru_first = f->lru_next;
    if (f->lru_next)
        f->lru_next->lru_prev = f->lru_prev;
    else
        w->lru_last = f->lru_prev;
}

static void lru_append(struct ws_writer *w, struct ws_wfile *f)
{
    f->lru_prev = w->lru_last;
    f->lru_next = NULL;
    if (w->lru_last)
        w->lru_last->lru_next = f;
    else
        w->lru_first = f;
    w->lru_last = f;
}

static void lru_touch(struct ws_writer *w, struct ws_wfile *f)
{
    if (w->lru_last != f) {
        lru_unlink(w, f);
        lru_append(w, f);
    }
}

/* Where the counter of a name stands and what it is (WS_FILE_COUNTER). */
static void parse_counter(struct ws_wfile *f, uint64_t flags)
{
    const size_t digits_max = 9; /* with WS_NAME_TRIES more it still is a uint32_t */
    size_t suffix = flags >> 16 & 255, counter = flags >> 8 & 255;
    f->name_stem = (uint16_t)f->path_len;
    if (suffix >= sizeof(f->suffix) || suffix + counter > f->path_len)
        return;
    memcpy(f->suffix, f->path + f->path_len - suffix, suffix);
    f->name_stem = (uint16_t)(f->path_len - suffix);
    if (counter < 2 || counter - 1 > digits_max)
        return;
    f->name_stem = (uint16_t)(f->name_stem - counter);
    f->name_first = (uint32_t)strtoul(f->path + f->name_stem + 1, NULL, 10);
}

/* The name that is on disk while the file is written. */
static const char *disk_name(struct ws_wfile *f, bool part)
{
    const size_t max = f->path_len + NAME_SPARE;
    size_t len = f->path_len;
    if (f->name_count)
        len = f->name_stem + (size_t)snprintf(f->path + f->name_stem, max - f->name_stem, "c%u%s",
                                              f->name_first + f->name_count, f->suffix);
    snprintf(f->path + len, max - len, "%s", part ? PART_SUFFIX : "");
    return f->path;
}

static void file_error(struct ws_wfile *f, const char *verb, int error)
{
    if (!f->error)
        f->error = error;
    ws_out_file_error(f->ch->out, disk_name(f, false), verb, error);
}

/* Puts what direct writes keep in memory on disk. 0 or -errno; what could not be written is lost. */
static int direct_close(struct ws_wfile *f)
{
    int rc = f->direct ? ws_direct_close(f->direct, f->fd) : 0;
    if (rc) {
        size_t n = ws_direct_give_up(f->direct, f->fd);
        ws_count(&f->ch->out->w->counters, WS_C_WRITE_BYTES, 0 - (uint64_t)n);
        f->end = WS_MIN(f->end, f->direct->end);
        f->lost += n;
        ws_out_lost(f->ch->out, n, 0);
    }
    return rc;
}

static void fd_close(struct ws_wfile *f)
{
    struct ws_writer *w = f->ch->out->w;
    lru_unlink(w, f);
    w->open_files--;
    int rc = direct_close(f), fd = f->fd;
    if (rc)
        file_error(f, "write", rc);
    if (f->direct)
        ws_direct_reopened(f->direct);
    f->fd = -1;
    if (close(fd) != 0 && errno != EINTR)
        file_error(f, "close", -errno);
}

/* Closes the least recently used file that has nothing in flight. False: there is none. */
static bool evict_one(struct ws_writer *w)
{
    for (struct ws_wfile *f = w->lru_first; f; f = f->lru_next) {
        if (f->inflight)
            continue;
        fd_close(f);
        return true;
    }
    if (w->in_flight == 0)
        return false;
    ws_io_reap(w, true);
    return true;
}

static bool name_taken(struct ws_wfile *f)
{
    struct stat st;
    return fstatat(f->ch->out->dirfd, disk_name(f, false), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* One try to open f under its present name. fd or -errno. */
static int open_once(struct ws_wfile *f)
{
    struct ws_output *o = f->ch->out;
    struct ws_writer *w = o->w;
    bool replace = o->cfg.exists == WS_EXISTS_TRUNCATE;
    /* O_NONBLOCK: a FIFO in the way is an error, not a halt. */
    int flags = O_WRONLY | O_NONBLOCK;
    if (!f->created)
        flags |= O_CREAT | O_EXCL;
    bool made_dirs = false;
    if (!f->created && f->part && !replace && name_taken(f))
        return -EEXIST;
    for (;;) {
        int fd = ws_path_open(o, disk_name(f, f->part), flags);
        if (fd >= 0) {
            if (flags & O_TRUNC)
                ws_count(&w->counters, WS_C_OUT_REPLACED, 1);
            return fd;
        }
        if (fd == -EINTR)
            continue;
        if (fd == -EEXIST && replace && flags & O_EXCL) {
            flags = (flags & ~O_EXCL) | O_TRUNC;
            continue;
        }
        if (fd == -ENOENT && !f->created && !made_dirs) {
            fd = ws_path_mkdirs(o->dirfd, f->path);
            if (fd == 0) {
                made_dirs = true;
                continue;
            }
        }
        if ((fd == -EMFILE || fd == -ENFILE) && evict_one(w)) {
            /* The limit is lower than it looked: others use descriptors too. */
            if (w->open_files + 1 < w->open_files_max)
                w->open_files_max = WS_MAX(w->open_files, 1u);
            continue;
        }
        return fd;
    }
}

/* Makes f->fd valid. False: it cannot be (then the reason was counted and the output perhaps
 * suspended). */
static bool file_open(struct ws_wfile *f)
{
    struct ws_output *o = f->ch->out;
    struct ws_writer *w = o->w;
    int fd;
    if (f->fd >= 0) {
        lru_touch(w, f);
        return true;
    }
    if (f->dead || !ws_out_may_try(o))
        return false;
    while (w->open_files >= w->open_files_max && evict_one(w))
        ;
    while ((fd = open_once(f)) == -EEXIST && o->cfg.exists == WS_EXISTS_COUNT && !f->created &&
           f->name_count < WS_NAME_TRIES)
        f->name_count++;
    if (fd < 0) {
        if (ws_error_is_disk(fd)) {
            ws_out_suspend(o, f->created ? "open" : "create", fd);
        } else {
            if (fd == -EEXIST && !f->created && o->cfg.exists == WS_EXISTS_REFUSE) {
                f->error = fd;
                ws_out_file_exists(o, disk_name(f, false));
            } else {
                file_error(f, f->created ? "open" : "create", fd);
            }
            f->dead = true;
        }
        return false;
    }
    if (!f->created) {
        f->created = true;
        ws_count(&w->counters, WS_C_OUT_FILES, 1);
        if (o->cfg.on_opened && !f->aside)
            o->cfg.on_opened(o->cfg.user, disk_name(f, false));
        /* An empty file finds room on a disk that is full. */
        if (!o->write_failed)
            ws_out_ok(o);
    }
    f->fd = fd;
    lru_append(w, f);
    w->open_files++;
    return true;
}

/* ---- pending extents ---- */

static void file_lost(struct ws_wfile *f, uint64_t bytes)
{
    f->lost += bytes;
    if (!f->error)
        f->error = f->ch->out->last_error;
    ws_out_lost(f->ch->out, bytes, 0);
}

static void pending_append(struct ws_wfile *f, struct ws_op *op)
{
    struct ws_channel *ch = f->ch;
    uint32_t ref = ws_op_ref(ch, op);
    op->file = f;
    op->aux = 0;
    if (f->pend_last)
        ws_op_at(ch, f->pend_last)->aux = ref;
    else
        f->pend_first = ref;
    f->pend_last = ref;
    f->pend_bytes += op->len;
}

/* Takes the first pending extent off the list; its reference of the block is the caller's. */
static struct ws_op *pending_pop(struct ws_wfile *f)
{
    struct ws_op *op = ws_op_at(f->ch, f->pend_first);
    f->pend_first = op->aux;
    if (!f->pend_first)
        f->pend_last = 0;
    f->pend_bytes -= op->len;
    op->kind = WS_OP_DONE;
    return op;
}

static void pending_drop(struct ws_wfile *f)
{
    while (f->pend_first) {
        struct ws_op *op = pending_pop(f);
        file_lost(f, op->len);
        ws_wblock_put(ws_op_block(f->ch, op));
    }
}

/* Fills the hole from the end of r up to off with explicit zeros, so that one write goes on behind it.
 * Only below a page: both its neighbours are in r, so each page that it touches is allocated anyway.
 * And only beyond f->end, where nothing has ever been written: in a file that is written at any offset a
 * hole between two extents may hold bytes of an earlier write. False: not filled. */
static bool fill_hole(const struct ws_wfile *f, struct ws_io_req *r, uint64_t off)
{
    static const uint8_t zeros[WS_FILL_MAX];
    const uint64_t end = r->off + r->bytes;
    if (off < end || off - end >= WS_FILL_MAX || end < f->end || r->n + 2 > WS_IOV_MAX)
        return false;
    ws_io_add(r, (void *)(uintptr_t)zeros, (size_t)(off - end), NULL);
    r->fill += (size_t)(off - end);
    return true;
}

/* Bytes of blocks in r that were not written. */
static size_t unwritten(const struct ws_io_req *r)
{
    size_t n = 0;
    for (uint32_t i = r->at; i < r->n; i++)
        n += r->blk[i] ? r->iov[i].iov_len : 0;
    return n;
}

/* Fills r with pending extents that follow each other in the file. */
static void gather(struct ws_wfile *f, struct ws_io_req *r)
{
    struct ws_channel *ch = f->ch;
    r->off = ws_op_at(ch, f->pend_first)->off;
    while (f->pend_first) {
        struct ws_op *op = ws_op_at(ch, f->pend_first);
        if (r->n == WS_IOV_MAX ||
            (op->off != r->off + r->bytes && (f->direct || !fill_hole(f, r, op->off))))
            break;
        struct ws_wblock *blk = ws_op_block(ch, op);
        void *data = (uint8_t *)ws_channel_block(ch, (uint32_t)(blk - ch->block)) + op->pos;
        pending_pop(f);
        ws_io_add(r, data, op->len, blk);
    }
}

/* Writes all pending extents of f, in order. A file has one write in flight at most and the rest follows when
 * it has ended: so what is on disk at any moment, also after a kill -9, is what came first. */
static void file_flush(struct ws_wfile *f)
{
    struct ws_output *o = f->ch->out;
    struct ws_writer *w = o->w;
    f->flush = f->inflight;
    while (f->pend_first && !f->inflight) {
        struct ws_io_req *r = ws_io_get(w);
        /* Getting a request may have completed others of f, and suspended the output. */
        if (!f->pend_first || !ws_out_may_try(o) || !file_open(f)) {
            ws_io_put(w, r);
            pending_drop(f);
            return;
        }
        gather(f, r);
        r->out = o;
        r->file = f;
        r->fd = f->fd;
        f->inflight = true;
        f->flush = true; /* until the list is seen to be empty */
        int rc = f->direct ? ws_direct_prepare(f->direct, r) : 0;
        if (WS_LIKELY(!rc)) {
            ws_io_submit(w, r);
            continue;
        }
        ws_io_complete(w, r, rc);
        if (w->uring) /* it has come back here already, and the file may be gone */
            return;
    }
    if (!f->pend_first)
        f->flush = false;
}

void ws_tree_complete(struct ws_writer *w, struct ws_io_req *r, int error)
{
    struct ws_wfile *f = r->file;
    struct ws_output *o = r->out;
    const size_t lost = !error ? 0 : f->direct ? r->bytes - r->done : unwritten(r);
    f->inflight = false;
    f->end = WS_MAX(f->end, r->off + r->done);
    ws_count(&w->counters, WS_C_WRITE_BYTES, r->bytes - r->fill - lost);
    if (WS_LIKELY(!error)) {
        ws_out_ok(o);
    } else {
        /* Too large is one file's trouble: an offset that hostile traffic chose must not cost the others. */
        if (ws_error_is_disk(error) && error != -EFBIG) {
            ws_out_suspend(o, "write", error);
            if (!f->error)
                f->error = error;
        } else {
            file_error(f, "write", error);
            f->dead = true;
        }
        file_lost(f, lost);
    }
    ws_io_release(r);
    ws_io_put(w, r);
    /* Only io_uring's completions find something here: synchronous writes come back into file_flush(). */
    if (w->uring && f->flush)
        file_flush(f);
    if (f->closing)
        file_advance(f);
}

/* ---- the end of a file ---- */

static int set_size_and_time(struct ws_wfile *f)
{
    int rc = 0;
    if (f->fd >= 0 && (rc = direct_close(f)) != 0)
        return rc;
    if (f->close_size != UINT64_MAX && f->close_size != f->end) {
        if (!file_open(f))
            return 0; /* said */
        if (ftruncate(f->fd, (off_t)f->close_size) != 0)
            rc = -errno;
    }
    if (f->close_mtime_ns == INT64_MIN)
        return rc;
    int64_t s = f->close_mtime_ns / 1000000000, ns = f->close_mtime_ns % 1000000000;
    if (ns < 0) {
        s--;
        ns += 1000000000;
    }
    struct timespec t[2] = {{.tv_sec = s, .tv_nsec = ns}, {.tv_sec = s, .tv_nsec = ns}};
    int no = f->fd >= 0
                 ? futimens(f->fd, t)
                 : utimensat(f->ch->out->dirfd, disk_name(f, f->part), t, AT_SYMLINK_NOFOLLOW);
    return no == 0 || rc ? rc : -errno;
}

static int commit(struct ws_wfile *f)
{
    struct ws_output *o = f->ch->out;
    bool replace = o->cfg.exists == WS_EXISTS_TRUNCATE;
    if (f->part) {
        char from[WS_PATH_MAX + NAME_SPARE];
        int rc;
        snprintf(from, sizeof(from), "%s", disk_name(f, true));
        while ((rc = ws_path_rename(o->dirfd, from, disk_name(f, false), replace)) == -EEXIST &&
               o->cfg.exists == WS_EXISTS_COUNT && f->name_count < WS_NAME_TRIES)
            f->name_count++;
        if (rc)
            return rc;
    }
    if (o->w->cfg.fsync == WS_FSYNC_CLOSE)
        return ws_path_sync_dir(o->dirfd, disk_name(f, false));
    return 0;
}

static void file_free(struct ws_wfile *f)
{
    if (f)
        free(f->direct);
    free(f);
}

/* The end of a file that was not wanted: most often nothing has been written yet. */
static void file_discard(struct ws_wfile *f)
{
    struct ws_output *o = f->ch->out;
    if (f->fd >= 0)
        fd_close(f);
    if (f->created && unlinkat(o->dirfd, disk_name(f, f->part), 0) != 0)
        file_error(f, "remove", -errno);
    o->files_live--;
    file_free(f);
}

static void file_finalise(struct ws_wfile *f)
{
    if (f->discard) {
        file_discard(f);
        return;
    }
    struct ws_output *o = f->ch->out;
    bool aborted = atomic_load_explicit(&o->w->abort, memory_order_relaxed);
    int rc;
    /* A file without data appears too. */
    if (!aborted && !f->created && !f->dead && !f->lost)
        file_open(f);
    if (f->created && !aborted) {
        if ((rc = set_size_and_time(f)) != 0)
            file_error(f, "set size or time", rc);
        if (o->w->cfg.fsync == WS_FSYNC_CLOSE && file_open(f) && fsync(f->fd) != 0)
            file_error(f, "fsync", -errno);
    }
    if (f->fd >= 0)
        fd_close(f);
    /* A .part file that is not whole keeps its name. */
    if (f->created && !aborted && !(f->part && (f->lost || f->dead || f->not_closed)) && (rc = commit(f)) != 0)
        file_error(f, "rename", rc);
    if (!f->created && !f->error)
        f->error = -ECANCELED;
    if (o->cfg.on_closed && !aborted)
        o->cfg.on_closed(o->cfg.user, disk_name(f, false), f->close_tag, f->error);
    o->files_live--;
    file_free(f);
}

/* Moves a closing file on: when nothing is pending or in flight, it ends (f is gone then). */
static void file_advance(struct ws_wfile *f)
{
    if (!f->inflight && !f->pend_first)
        file_finalise(f);
}

static void file_close(struct ws_wfile *f, uint64_t size, int64_t mtime_ns, uint64_t tag)
{
    f->close_size = size;
    f->close_mtime_ns = mtime_ns;
    f->close_tag = tag;
    f->discard = size == WS_FILE_DISCARD;
    while (f->discard && f->pend_first)
        ws_wblock_put(ws_op_block(f->ch, pending_pop(f)));
    file_flush(f);
    f->closing = true;
    file_advance(f);
}

/* ---- operations ---- */

static void op_open(struct ws_channel *ch, const struct ws_op *op, const char *path)
{
    struct ws_output *o = ch->out;
    struct ws_wfile *f = malloc(sizeof(*f) + op->len + NAME_SPARE);
    int rc = f ? 0 : -ENOMEM;
    if (f) {
        *f = (struct ws_wfile){
            .ch = ch, .id = op->id, .fd = -1, .path_len = op->len, .part = op->off & WS_FILE_PART, .strict = op->off & WS_FILE_STRICT,
            .aside = op->off & WS_FILE_ASIDE};
        memcpy(f->path, path, op->len);
        f->path[op->len] = '\0';
        parse_counter(f, op->off);
        if (o->cfg.direct) /* without memory for it: through the page cache */
            f->direct = ws_direct_create(0, NULL);
        rc = ws_idmap_put(&ch->files, op->id, f);
    }
    if (rc) {
        file_free(f);
        ws_out_file_error(o, NULL, "create", rc);
        return;
    }
    o->files_live++;
    rc = op->off & WS_OPEN_PATH_CUT ? -ENAMETOOLONG : ws_path_check(f->path);
    if (rc) {
        f->dead = true;
        file_error(f, "create", rc);
    }
}

static void op_data(struct ws_channel *ch, struct ws_wblock *b, struct ws_op *op)
{
    struct ws_wfile *f = ws_idmap_get(&ch->files, op->id);
    if (WS_UNLIKELY(!f || f->dead)) {
        op->kind = WS_OP_DONE;
        if (f)
            f->lost += op->len;
        ws_out_lost(ch->out, op->len, 0);
        return;
    }
    b->refs++;
    pending_append(f, op);
    if (f->pend_bytes >= (f->direct ? WS_DIRECT_FLUSH : WS_FLUSH_BYTES))
        file_flush(f);
}

/* Moves [0, end) of the file on disk n bytes up, from the end on so that nothing is overwritten before it was
 * read, and clears what it leaves. 0 or -errno. */
static int move_up(int fd, uint64_t end, uint64_t n)
{
    uint8_t *buf = malloc(WS_FLUSH_BYTES);
    int rc = buf ? 0 : -ENOMEM;
    for (uint64_t left = end; left && !rc;) {
        size_t len = (size_t)WS_MIN(left, (uint64_t)WS_FLUSH_BYTES);
        left -= len;
        ssize_t got = pread(fd, buf, len, (off_t)left);
        ssize_t put = got == (ssize_t)len ? pwrite(fd, buf, len, (off_t)(left + n)) : got;
        if (put != (ssize_t)len)
            rc = put < 0 ? -errno : -EIO;
    }
    if (!rc)
        memset(buf, 0, WS_FLUSH_BYTES);
    for (uint64_t at = 0, to = WS_MIN(end, n); at < to && !rc;) {
        ssize_t put = pwrite(fd, buf, (size_t)WS_MIN(to - at, (uint64_t)WS_FLUSH_BYTES), (off_t)at);
        if (put <= 0)
            rc = put < 0 ? -errno : -EIO;
        else
            at += (uint64_t)put;
    }
    free(buf);
    return rc;
}

static int file_move_up(struct ws_wfile *f, uint64_t n)
{
    struct ws_output *o = f->ch->out;
    if (!ws_out_may_try(o))
        return o->last_error ? o->last_error : -EIO;
    int fd = ws_path_open(o, disk_name(f, f->part), O_RDWR | O_NONBLOCK);
    if (fd == -EMFILE && evict_one(o->w))
        fd = ws_path_open(o, disk_name(f, f->part), O_RDWR | O_NONBLOCK);
    if (fd < 0)
        return fd;
    int rc = move_up(fd, f->end, n);
    if (close(fd) != 0 && !rc)
        rc = -errno;
    return rc;
}

static void op_insert(struct ws_channel *ch, const struct ws_op *op)
{
    struct ws_wfile *f = ws_idmap_get(&ch->files, op->id);
    if (!f || f->dead)
        return;
    while (f->inflight)
        ws_io_reap(ch->out->w, true);
    if (f->end) {
        int rc = file_move_up(f, op->off);
        if (rc) {
            /* What follows has no place any more. */
            file_error(f, "move", rc);
            f->dead = true;
            pending_drop(f);
            return;
        }
        f->end += op->off;
    }
    for (uint32_t ref = f->pend_first; ref;) {
        struct ws_op *data = ws_op_at(ch, ref);
        data->off += op->off;
        ref = data->aux;
    }
}

static void op_close(struct ws_channel *ch, const struct ws_op *op, const uint8_t *payload)
{
    struct ws_wfile *f = ws_idmap_take(&ch->files, op->id);
    int64_t mtime_ns;
    uint64_t tag;
    memcpy(&mtime_ns, payload, sizeof(mtime_ns));
    memcpy(&tag, payload + sizeof(mtime_ns), sizeof(tag));
    if (!f) { /* no memory at its open: who waits for the tag gets an answer all the same */
        if (ch->out->cfg.on_closed)
            ch->out->cfg.on_closed(ch->out->cfg.user, "", tag, -ENOMEM);
        return;
    }
    file_close(f, op->off, mtime_ns, tag);
}

/* Carries out the operations of a block that came; the caller holds a reference. */
void ws_tree_block(struct ws_wblock *b)
{
    struct ws_channel *ch = b->ch;
    struct ws_block *blk = ws_channel_block(ch, (uint32_t)(b - ch->block));
    for (uint32_t i = 0; i < b->ops; i++) {
        struct ws_op *op = ws_block_op(blk, ch->block_bytes, i);
        uint8_t *payload = (uint8_t *)blk + op->pos;
        switch (op->kind) {
        case WS_OP_DATA:
            op_data(ch, b, op);
            break;
        case WS_OP_OPEN:
            op_open(ch, op, (const char *)payload);
            break;
        case WS_OP_INSERT:
            op_insert(ch, op);
            break;
        case WS_OP_CLOSE:
            op_close(ch, op, payload);
            break;
        default:
            break;
        }
    }
}

/* Writes whatever needs the block: then it goes back when the writes are done. The caller holds a
 * reference. */
void ws_tree_flush_block(struct ws_wblock *b)
{
    struct ws_channel *ch = b->ch;
    struct ws_block *blk = ws_channel_block(ch, (uint32_t)(b - ch->block));
    for (uint32_t i = 0; i < b->ops; i++) {
        struct ws_op *op = ws_block_op(blk, ch->block_bytes, i);
        if (op->kind == WS_OP_DATA)
            file_flush(op->file);
    }
}

void ws_tree_end_channel(struct ws_channel *ch)
{
    struct ws_idmap *m = &ch->files;
    for (size_t i = 0; m->entry && i <= m->mask; i++)
        if (m->entry[i].id) {
            m->entry[i].file->not_closed = m->entry[i].file->strict;
            file_close(m->entry[i].file, UINT64_MAX, INT64_MIN, 0);
        }
    ws_idmap_fini(m);
}

/* ---- the output ---- */

int ws_tree_add(struct ws_output *o, char *err, size_t err_len)
{
    int rc = ws_path_mkdir_p(o->path);
    if (!rc) {
        o->dirfd = open(o->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = o->dirfd >= 0 ? 0 : -errno;
    }
    if (!rc && faccessat(o->dirfd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        rc = -errno;
    o->cfg.direct = o->cfg.direct && !rc && ws_direct_possible(o->dirfd);
    if (rc)
        snprintf(err, err_len, "%s: cannot write into this directory: %s", o->path, strerror(-rc));
    return rc;
}

void ws_tree_fini(struct ws_output *o)
{
    for (unsigned c = 0; c < o->cfg.channels; c++) {
        struct ws_idmap *m = &o->channel[c].files;
        for (size_t i = 0; m->entry && i <= m->mask; i++) {
            struct ws_wfile *f = m->entry[i].id ? m->entry[i].file : NULL;
            if (f && f->fd >= 0)
                close(f->fd);
            file_free(f);
        }
    }
    if (o->dirfd >= 0)
        close(o->dirfd);
}
