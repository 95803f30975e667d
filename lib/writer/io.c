/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests and the synchronous backends: plain system calls, and the same with injected faults. */
#include "writer/internal.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

static ssize_t plain_write(struct ws_writer *w, struct ws_io_req *r)
{
    const struct iovec *iov = r->iov + r->at;
    int n = (int)(r->n - r->at);
    ssize_t rc;
    ws_count(&w->counters, WS_C_WRITE_CALLS, 1);
    if (!r->stream) {
        rc = pwritev(r->fd, iov, n, (off_t)(r->off + r->done));
        return rc >= 0 ? rc : -errno;
    }
    /* A full pipe should not stop the other outputs; not every kernel can say so. (For a regular
     * file RWF_NOWAIT may say "again" for ever.) */
    rc = r->out->regular ? -1 : pwritev2(r->fd, iov, n, -1, RWF_NOWAIT);
    if (r->out->regular ||
        (rc < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == ESPIPE)))
        rc = writev(r->fd, iov, n);
    return rc >= 0 ? rc : -errno;
}

/* Cuts what is left of r to max bytes for one call and puts the rest back afterwards. */
static ssize_t fault_cut_write(struct ws_writer *w, struct ws_io_req *r, size_t max)
{
    struct iovec saved;
    uint32_t n = r->n, i = r->at;
    size_t sum = 0;
    while (i < n && sum + r->iov[i].iov_len <= max)
        sum += r->iov[i++].iov_len;
    if (i == n)
        return plain_write(w, r);
    saved = r->iov[i];
    r->iov[i].iov_len = max - sum;
    r->n = r->iov[i].iov_len ? i + 1 : i;
    ssize_t rc = r->n > r->at ? plain_write(w, r) : 0;
    r->iov[i] = saved;
    r->n = n;
    return rc;
}

/* A disk that takes so many bytes a second, and gets no credit for when it had nothing to do, but for the time between two
 * writes. */
static void fault_pace(struct ws_writer *w, size_t bytes)
{
    int64_t now = ws_writer_clock_ns();
    if (!w->cfg.fault.rate)
        return;
    w->fault_free_ns = WS_MAX(now - 50000000, w->fault_free_ns) + (int64_t)((double)bytes * 1e9 / (double)w->cfg.fault.rate);
    int64_t wait = w->fault_free_ns - now;
    if (wait > 0)
        nanosleep(&(struct timespec){.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000}, NULL);
}

static ssize_t fault_write(struct ws_writer *w, struct ws_io_req *r)
{
    const struct ws_fault *f = &w->cfg.fault;
    size_t left = r->bytes - r->done, max = left;
    if (f->path && !strstr(r->out->path, f->path))
        return plain_write(w, r);
    if (f->discard) {
        fault_pace(w, left);
        return (ssize_t)left;
    }
    if (f->stall_ns && !w->fault_stalled && w->fault_bytes + left > f->stall_at) {
        w->fault_stalled = true;
        nanosleep(&(struct timespec){.tv_sec = f->stall_ns / 1000000000,
                                     .tv_nsec = f->stall_ns % 1000000000},
                  NULL);
    }
    /* A cut write past the cache ends between blocks of the disk, as a real one does. */
    size_t unit = r->past_cache ? WS_DIRECT_ALIGN : 1;
    bool broken = f->error && (!f->recover_after || w->fault_failures < f->recover_after);
    if (broken && w->fault_bytes + unit > f->byte_budget) {
        w->fault_failures++;
        return -f->error;
    }
    if (broken && f->byte_budget - w->fault_bytes < max)
        max = (size_t)(f->byte_budget - w->fault_bytes) / unit * unit;
    if (f->short_every && ++w->fault_writes % f->short_every == 0 && max > unit)
        max = max / 2 / unit * unit;
    ssize_t rc = fault_cut_write(w, r, max);
    if (rc > 0) {
        w->fault_bytes += (uint64_t)rc;
        fault_pace(w, (size_t)rc);
    }
    return rc;
}

int ws_io_init(struct ws_writer *w)
{
    static _Atomic int said;
    w->write = w->cfg.backend == WS_BACKEND_FAULT ? fault_write : plain_write;
    if (w->cfg.backend == WS_BACKEND_AUTO || w->cfg.backend == WS_BACKEND_URING) {
        int rc = ws_uring_create(&w->uring);
        if (rc && w->cfg.backend == WS_BACKEND_URING)
            return rc;
        if (rc)
            ws_log_once(&said, WS_LOG_INFO, "no io_uring here (%s): plain writes", strerror(-rc));
    }
    w->req = calloc(WS_IO_DEPTH, sizeof(*w->req));
    if (!w->req) {
        ws_io_fini(w);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < WS_IO_DEPTH; i++)
        ws_io_put(w, &w->req[i]);
    return 0;
}

void ws_io_fini(struct ws_writer *w)
{
    if (w->uring)
        ws_uring_destroy(w->uring);
    free(w->req);
}

struct ws_io_req *ws_io_get(struct ws_writer *w)
{
    while (!w->req_free)
        ws_io_reap(w, true);
    struct ws_io_req *r = w->req_free;
    w->req_free = r->next_free;
    r->file = NULL;
    r->direct = NULL;
    r->stream = false;
    r->again = false;
    r->bytes = r->done = r->fill = 0;
    r->records = 0;
    r->n = r->at = 0;
    return r;
}

void ws_io_put(struct ws_writer *w, struct ws_io_req *r)
{
    r->next_free = w->req_free;
    w->req_free = r;
}

bool ws_io_add(struct ws_io_req *r, void *data, size_t len, struct ws_wblock *blk)
{
    if (r->n) {
        struct iovec *last = &r->iov[r->n - 1];
        if (blk && r->blk[r->n - 1] == blk &&
            (uint8_t *)last->iov_base + last->iov_len == (uint8_t *)data) {
            last->iov_len += len;
            r->bytes += len;
            ws_wblock_put(blk); /* the iovec has one already */
            return true;
        }
        if (r->n == WS_IOV_MAX)
            return false;
    }
    r->iov[r->n] = (struct iovec){.iov_base = data, .iov_len = len};
    r->blk[r->n] = blk;
    r->n++;
    r->bytes += len;
    return true;
}

void ws_io_advance(struct ws_io_req *r, size_t n)
{
    r->done += n;
    while (r->at < r->n && n >= r->iov[r->at].iov_len)
        n -= r->iov[r->at++].iov_len;
    if (n) {
        r->iov[r->at].iov_base = (uint8_t *)r->iov[r->at].iov_base + n;
        r->iov[r->at].iov_len -= n;
    }
}

void ws_io_release(struct ws_io_req *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->blk[i])
            ws_wblock_put(r->blk[i]);
    r->n = r->at = 0;
}

static bool try_later(int error)
{
    return error == -EAGAIN || error == -EINTR;
}

/* Writes all of r, short writes continued. */
static void submit_sync(struct ws_writer *w, struct ws_io_req *r)
{
    r->again = false;
    while (r->done < r->bytes) {
        ssize_t n = w->write(w, r);
        if (n > 0) {
            ws_io_advance(r, (size_t)n);
            continue;
        }
        if (n < 0 && try_later((int)n)) {
            if (r->stream && !atomic_load_explicit(&w->abort, memory_order_relaxed)) {
                r->again = true;
                return;
            }
            if (!r->stream)
                continue;
        }
        /* No progress and no error is what a full device may answer to a cut write. */
        if (n == 0 && w->cfg.backend == WS_BACKEND_FAULT)
            continue;
        ws_io_complete(w, r, n ? (int)n : -EIO);
        return;
    }
    ws_io_complete(w, r, 0);
}

void ws_io_submit(struct ws_writer *w, struct ws_io_req *r)
{
    if (w->uring && !r->stream) {
        ws_count(&w->counters, WS_C_WRITE_CALLS, 1);
        w->in_flight++;
        ws_uring_queue(w->uring, r);
    } else {
        submit_sync(w, r);
    }
}

void ws_io_pause(struct ws_writer *w)
{
    if (!w->in_flight || !ws_uring_pause(w->uring, WS_IO_PAUSE_NS))
        sched_yield();
}

void ws_io_kick(struct ws_writer *w)
{
    if (w->uring)
        ws_uring_kick(w->uring);
}

unsigned ws_io_reap(struct ws_writer *w, bool wait)
{
    unsigned n = 0;
    while (w->in_flight) {
        int res;
        struct ws_io_req *r = ws_uring_next(w->uring, wait && n == 0, &res);
        if (!r)
            break;
        w->in_flight--;
        n++;
        if (res > 0)
            ws_io_advance(r, (size_t)res);
        if (r->done == r->bytes) {
            ws_io_complete(w, r, 0);
        } else if (res > 0 || res == -EINTR) {
            ws_io_submit(w, r);
        } else if (res == -EAGAIN || res == -EINVAL || res == -EOPNOTSUPP) {
            submit_sync(w, r); /* a file that the ring cannot write */
        } else {
            ws_io_complete(w, r, res ? res : -EIO);
        }
    }
    return n;
}
