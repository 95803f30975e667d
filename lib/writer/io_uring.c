/* SPDX-License-Identifier: BSD-3-Clause */
/* The io_uring backend: several writes in flight at once. */
#include "writer/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "ws_config.h"

#if WS_HAVE_URING

#include <liburing.h>

/* Requests in flight: the pool's and one of each merged output. */
#define RING_ENTRIES 128u
static_assert(RING_ENTRIES >= WS_IO_DEPTH + WS_OUTPUTS_MAX, "the queue never overflows");

struct ws_uring {
    struct io_uring ring;
    unsigned queued;
};

int ws_uring_create(struct ws_uring **u)
{
    *u = calloc(1, sizeof(**u));
    if (!*u)
        return -ENOMEM;
    int rc = io_uring_queue_init(RING_ENTRIES, &(*u)->ring, 0);
    if (rc) {
        free(*u);
        *u = NULL;
        return rc;
    }
    /* Buffered writes that would block go to kernel threads: few, since they take the workers'
     * CPUs. */
    unsigned workers[2] = {2, 2};
    io_uring_register_iowq_max_workers(&(*u)->ring, workers);
    return 0;
}

void ws_uring_destroy(struct ws_uring *u)
{
    io_uring_queue_exit(&u->ring);
    free(u);
}

void ws_uring_queue(struct ws_uring *u, struct ws_io_req *r)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (!sqe) {
        ws_uring_kick(u);
        sqe = io_uring_get_sqe(&u->ring);
    }
    assert(sqe);
    io_uring_prep_writev(sqe, r->fd, r->iov + r->at, r->n - r->at, r->off + r->done);
    io_uring_sqe_set_data(sqe, r);
    u->queued++;
}

void ws_uring_kick(struct ws_uring *u)
{
    while (u->queued) {
        int n = io_uring_submit(&u->ring);
        if (n == -EINTR || n == -EAGAIN || n == -EBUSY)
            continue;
        if (n <= 0)
            break;
        u->queued -= WS_MIN(u->queued, (unsigned)n); /* the kernel may stop early */
    }
}

bool ws_uring_pause(struct ws_uring *u, int64_t ns)
{
    struct __kernel_timespec t = {.tv_nsec = ns};
    struct io_uring_cqe *cqe;
    /* Without this feature (before Linux 5.11) liburing makes the timeout a request of its own. */
    return (u->ring.features & IORING_FEAT_EXT_ARG) && io_uring_wait_cqe_timeout(&u->ring, &cqe, &t) != -EINVAL;
}

struct ws_io_req *ws_uring_next(struct ws_uring *u, bool wait, int *res)
{
    struct io_uring_cqe *cqe = NULL;
    if (io_uring_peek_cqe(&u->ring, &cqe) != 0) {
        if (!wait)
            return NULL;
        ws_uring_kick(u);
        int rc;
        do {
            rc = io_uring_wait_cqe(&u->ring, &cqe);
        } while (rc == -EINTR || rc == -EAGAIN);
        if (rc)
            return NULL;
    }
    struct ws_io_req *r = io_uring_cqe_get_data(cqe);
    *res = cqe->res;
    io_uring_cqe_seen(&u->ring, cqe);
    return r;
}

#else

int ws_uring_create(struct ws_uring **u)
{
    *u = NULL;
    return -ENOSYS;
}

void ws_uring_destroy(struct ws_uring *u)
{
    (void)u;
}

void ws_uring_queue(struct ws_uring *u, struct ws_io_req *r)
{
    (void)u;
    (void)r;
}

void ws_uring_kick(struct ws_uring *u)
{
    (void)u;
}

bool ws_uring_pause(struct ws_uring *u, int64_t ns)
{
    (void)u;
    (void)ns;
    return false;
}

struct ws_io_req *ws_uring_next(struct ws_uring *u, bool wait, int *res)
{
    (void)u;
    (void)wait;
    (void)res;
    return NULL;
}

#endif
