/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes past the page cache: alignment, the end that fills no page, space ahead. */
#include "writer/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"
#include "writer/internal.h"

/* Space is reserved in steps that grow with the file: a short capture asks for little, a long one seldom. */
#define RESERVE_MIN (UINT64_C(32) << 20)
#define RESERVE_MAX (UINT64_C(512) << 20)

static size_t into_page(uint64_t at)
{
    return (size_t)(at % WS_DIRECT_ALIGN);
}

bool ws_direct_possible(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC;
}

struct ws_direct *ws_direct_create(uint64_t end, const uint8_t *last)
{
    struct ws_direct *d = malloc(sizeof(*d));
    if (!d)
        return NULL;
    *d = (struct ws_direct){.end = end, .usable = true, .reserve = true, .tail_on_disk = true};
    if (into_page(end))
        memcpy(d->tail[0], last, into_page(end));
    return d;
}

/* Switches O_DIRECT. False: not to be had. */
static bool set_mode(struct ws_direct *d, int fd, bool on)
{
    static _Atomic int said;
    if (d->on == on)
        return true;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) < 0) {
        d->usable = false;
        ws_log_once(&said, WS_LOG_INFO, "no direct writes here (%s): through the page cache", strerror(errno));
        return false;
    }
    d->on = on;
    return true;
}

int ws_direct_settle(struct ws_direct *d, int fd)
{
    const size_t len = into_page(d->end);
    if (!set_mode(d, fd, false))
        return -errno;
    for (size_t at = 0; !d->tail_on_disk && at < len;) {
        ssize_t n = pwrite(fd, d->tail[d->now] + at, len - at, (off_t)(d->end - len + at));
        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return n < 0 ? -errno : -EIO;
    }
    d->tail_on_disk = true;
    return 0;
}

int ws_direct_close(struct ws_direct *d, int fd)
{
    int rc = ws_direct_settle(d, fd);
    if (rc)
        return rc;
    if (d->allocated > d->end && ftruncate(fd, (off_t)WS_MAX(d->end, d->top)) != 0)
        rc = -errno;
    d->allocated = d->top = 0;
    return rc;
}

size_t ws_direct_give_up(struct ws_direct *d, int fd)
{
    size_t n = d->tail_on_disk ? 0 : into_page(d->end);
    d->end -= n;
    d->top = 0;
    d->tail_on_disk = true;
    d->usable = false;
    d->allocated = UINT64_MAX; /* what came of it is cut */
    (void)ws_direct_close(d, fd);
    return n;
}

/* Whether the pieces lie in blocks where the file's pages have them. */
static bool aligned(const struct ws_io_req *r)
{
    uint64_t at = r->off;
    for (uint32_t i = 0; i < r->n; i++) {
        if (!r->blk[i] || into_page((uintptr_t)r->iov[i].iov_base - at))
            return false;
        at += r->iov[i].iov_len;
    }
    return true;
}

/* Reserves space before it is needed: the file system need not look for it write by write. Beyond the file's size, so that
 * what a kill leaves is a prefix of the file and no more. */
static void reserve(struct ws_direct *d, int fd, uint64_t until)
{
    struct stat st;
    if (!d->reserve || until <= d->allocated)
        return;
    uint64_t step = WS_MIN(WS_MAX(until, RESERVE_MIN), RESERVE_MAX);
    uint64_t to = ws_align_up(until + step, WS_DIRECT_ALIGN);
    uint64_t from = WS_MAX(d->allocated, d->end - into_page(d->end));
    d->reserve = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) == 0;
    if (d->reserve)
        d->allocated = to;
    /* A disk that has less may have given all of it: others need that. */
    else if (fstat(fd, &st) == 0 && ftruncate(fd, st.st_size) != 0)
        ws_log(WS_LOG_WARN, "space that was reserved cannot be given back: %s", strerror(errno));
}

/* Moves the n bytes before end, which fill no page, to before the bytes that follow them in the file. */
static void move_lead(struct iovec *next, const uint8_t *end, size_t n)
{
    next->iov_base = (uint8_t *)next->iov_base - n;
    next->iov_len += n;
    memcpy(next->iov_base, end - n, n);
}

/* Makes whole pages of r's pieces. */
static void make_pages(struct ws_direct *d, struct ws_io_req *r)
{
    r->lead = into_page(d->end);
    move_lead(&r->iov[0], d->tail[d->now] + r->lead, r->lead);
    for (uint32_t i = 0; i < r->n; i++) {
        struct iovec *v = &r->iov[i];
        const uint8_t *end = (uint8_t *)v->iov_base + v->iov_len;
        size_t n = into_page((uintptr_t)end);
        v->iov_len -= n;
        if (i + 1 < r->n) {
            move_lead(&r->iov[i + 1], end, n);
        } else {
            memcpy(d->tail[!d->now], end - n, n);
            r->rest = n;
        }
    }
    r->off -= r->lead;
    r->bytes = r->bytes + r->lead - r->rest;
}

/* The last page's bytes of the file as it will be after r, which goes through the cache. */
static void next_tail(struct ws_direct *d, const struct ws_io_req *r)
{
    size_t want = into_page(r->off + r->bytes);
    uint8_t *to = d->tail[!d->now];
    for (uint32_t i = r->n; i-- && want;) {
        size_t n = WS_MIN(want, r->iov[i].iov_len);
        want -= n;
        memcpy(to + want, (const uint8_t *)r->iov[i].iov_base + r->iov[i].iov_len - n, n);
    }
    memcpy(to, d->tail[d->now], want); /* r lies wholly in the page that the tail begins */
}

int ws_direct_prepare(struct ws_direct *d, struct ws_io_req *r)
{
    int rc;
    r->direct = d;
    r->lead = r->rest = 0;
    r->past_cache = d->usable && r->off == d->end && r->bytes >= WS_DIRECT_MIN && aligned(r) && set_mode(d, r->fd, true);
    if (r->past_cache) {
        reserve(d, r->fd, r->off + r->bytes);
        make_pages(d, r);
        return 0;
    }
    rc = ws_direct_settle(d, r->fd);
    if (r->off != d->end)
        d->usable = false; /* the bytes before are not known */
    else
        next_tail(d, r);
    return rc;
}

void ws_direct_end(struct ws_io_req *r, bool ok)
{
    struct ws_direct *d = r->direct;
    if (!d)
        return;
    r->direct = NULL;
    r->off += r->lead;
    r->bytes = r->bytes + r->rest - r->lead;
    r->done = ok ? r->bytes : r->done > r->lead ? r->done - r->lead : 0;
    if (ok) {
        d->end = r->off + r->bytes;
        d->tail_on_disk = r->rest == 0;
        d->now = !d->now;
    } else {
        d->top = r->off + r->done;
        if (r->past_cache)
            d->tail_on_disk = false; /* part of its page may have been written */
    }
    r->lead = r->rest = 0;
    r->past_cache = false;
}

void ws_direct_refused(struct ws_direct *d, struct ws_io_req *r)
{
    static _Atomic int said;
    ws_log_once(&said, WS_LOG_INFO, "direct writes are refused here: through the page cache");
    d->usable = false;
    r->past_cache = false;
    (void)set_mode(d, r->fd, false);
}
