/* SPDX-License-Identifier: BSD-3-Clause */
/* The post thread: collects what workers and writer say of a finished flow, and works it off. */
#include "post/post.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "post/internal.h"
#include "writer/path.h"

static int64_t steady_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

bool ws_post_aborted(const struct ws_post *p)
{
    return atomic_load_explicit(&p->abort, memory_order_relaxed);
}

const char *ws_post_shown(const struct ws_post *p, const char *path, char *buf)
{
    const char *dir = p->cfg.dir ? p->cfg.dir : "";
    size_t n = strlen(dir);
    /* Commands must not take a path for an option. */
    snprintf(buf, WS_POST_SHOWN, "%s%s%s%s", *dir == '-' ? "./" : "", dir,
             n && dir[n - 1] != '/' ? "/" : "", path);
    return buf;
}

/* --- a flow's work --- */

static void open_files(struct ws_post *p, struct ws_post_job *j)
{
    for (unsigned i = 0; i < 2; i++) {
        struct stat st;
        j->fd[i] = -1;
        if (!j->path[i])
            continue;
        int fd = ws_path_open_below(p->dirfd, j->path[i], O_RDONLY | O_NONBLOCK, &p->no_openat2);
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
            j->fd[i] = fd;
            j->size[i] = (uint64_t)st.st_size;
        } else {
            if (fd >= 0)
                close(fd);
            ws_count(&p->counters, WS_C_POST_UNREADABLE, 1);
        }
    }
}

static void one_side(struct ws_post *p, struct ws_post_job *j, unsigned i)
{
    const char *result = NULL;
    size_t result_len = 0;
    if (p->python && j->fd[i] >= 0 && !ws_post_aborted(p) &&
        !ws_post_python_call(p, j->fd[i], j->size[i], &result, &result_len))
        result = NULL;
    if (p->report)
        ws_post_report_side(p, j, i, result, result_len);
    if (p->cfg.keep_results && j->slot->side[i].serial)
        ws_post_results_keep(p, j, i);
}

static void work(struct ws_post *p, struct ws_post_job *j)
{
    char shown[WS_POST_SHOWN];
    bool reads = p->cfg.md5 || p->cfg.http || p->python || p->report;
    j->fd[0] = j->fd[1] = -1;
    for (unsigned i = 0; i < 2; i++)
        if (j->path[i])
            ws_post_alert(p, 0, "close", ws_post_shown(p, j->path[i], shown));
    if (reads && !ws_post_aborted(p))
        open_files(p, j);
    for (unsigned i = 0; i < 2; i++)
        if (p->cfg.md5 && j->fd[i] >= 0 && ws_post_md5(p, j->fd[i], j->md5[i]) < 0) {
            j->md5[i][0] = '\0';
            ws_count(&p->counters, WS_C_POST_UNREADABLE, 1);
        }
    if (p->cfg.http && !ws_post_aborted(p))
        ws_post_http(p, j->slot, j->fd, j->path, &j->bodies);
    for (unsigned i = 0; i < 2; i++)
        if (j->slot->side[i].used)
            one_side(p, j, i);
    for (unsigned i = 0; i < 2; i++) {
        if (j->fd[i] >= 0)
            close(j->fd[i]);
        if (p->cfg.command && j->path[i] && !ws_post_aborted(p))
            ws_post_run(p, p->cfg.command, ws_post_shown(p, j->path[i], shown));
    }
    free(j->bodies.body);
    ws_count(&p->counters, WS_C_POST_FLOWS, 1);
}

/* Works a slot off and gives it back. */
static void finish_slot(struct ws_post *p, struct ws_post_worker *w, uint32_t index)
{
    struct ws_post_progress *g = &w->progress[index];
    struct ws_post_job j = {.slot = &w->slot[index]};
    for (unsigned i = 0; i < 2; i++) {
        struct ws_post_side *s = &j.slot->side[i];
        if (!s->used || !s->has_file)
            continue;
        if (!(g->closed_as >> i & 1)) {
            j.path[i] =
                s->path; /* the writer never told: aborted, or no room to tell that it ended */
        } else {
            j.error[i] = w->close[index][i].error;
            /* A file that could not be made is none. */
            j.path[i] = *w->close[index][i].path && j.error[i] != -ECANCELED
                            ? w->close[index][i].path
                            : NULL;
        }
    }
    work(p, &j);
    memset(g, 0, sizeof(*g));
    (void)ws_ring_space(&w->free, 1); /* as many slots as the ring has room for */
    *(uint32_t *)ws_ring_slot(&w->free, 0) = index;
    ws_ring_publish(&w->free, 1);
}

/* --- the rings --- */

static void finish_if_whole(struct ws_post *p, struct ws_post_worker *w, uint32_t index)
{
    const struct ws_post_progress *g = &w->progress[index];
    if (g->described && g->closed == w->slot[index].files)
        finish_slot(p, w, index);
}

static unsigned drain_opened(struct ws_post *p)
{
    char shown[WS_POST_SHOWN];
    unsigned n = 0;
    if (!p->opened_mem)
        return 0;
    for (; ws_ring_count(&p->opened, 1); n++) {
        const struct ws_post_opened_name *o = ws_ring_peek(&p->opened, 0);
        ws_post_alert(p, 0, "open", ws_post_shown(p, o->path, shown));
        ws_ring_release(&p->opened, 1);
    }
    return n;
}

static unsigned drain_closed(struct ws_post *p)
{
    unsigned n = 0;
    for (; ws_ring_count(&p->closed, 1); n++) {
        uint64_t tag = *(uint64_t *)ws_ring_peek(&p->closed, 0) - 1;
        struct ws_post_worker *w = &p->worker[tag >> 32];
        uint32_t index = (uint32_t)tag >> 1;
        ws_ring_release(&p->closed, 1);
        drain_opened(p); /* its own open came before */
        w->progress[index].closed++;
        w->progress[index].closed_as |= (uint8_t)(1u << (tag & 1));
        finish_if_whole(p, w, index);
    }
    return n;
}

static unsigned drain_described(struct ws_post *p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < p->cfg.workers; i++) {
        struct ws_post_worker *w = &p->worker[i];
        for (; ws_ring_count(&w->described, 1); n++) {
            uint32_t index = *(uint32_t *)ws_ring_peek(&w->described, 0);
            ws_ring_release(&w->described, 1);
            w->progress[index].described = true;
            finish_if_whole(p, w, index);
        }
    }
    return n;
}

static unsigned drain(struct ws_post *p)
{
    unsigned n = drain_opened(p);
    n += drain_closed(p);
    n += drain_described(p);
    if (p->n_child)
        ws_post_reap(p, false);
    return n;
}

/* Flows whose files the writer never spoke of, at the end. */
static void finish_rest(struct ws_post *p)
{
    for (unsigned i = 0; i < p->cfg.workers; i++)
        for (uint32_t s = 0; s < p->flows; s++)
            if (p->worker[i].progress[s].described)
                finish_slot(p, &p->worker[i], s);
}

static void *thread_main(void *arg)
{
    struct ws_post *p = arg;
    static const struct timespec nap = {0, 1000000};
    unsigned idle = 0;
    (void)pthread_setname_np(pthread_self(), "ws-post");
    for (;;) {
        bool ending = atomic_load_explicit(&p->ending, memory_order_acquire);
        if (drain(p)) {
            idle = 0;
            continue;
        }
        if (ending)
            break;
        if (++idle < 16)
            sched_yield();
        else
            nanosleep(&nap, NULL);
    }
    finish_rest(p);
    ws_post_reap(p, true);
    ws_post_python_stop(p);
    return NULL;
}

/* --- from the writer --- */

void ws_post_closed(void *user, const char *path, uint64_t tag, int error)
{
    struct ws_post *p = user;
    if (tag == 0)
        return;
    uint64_t t = tag - 1;
    struct ws_post_close *c = &p->worker[t >> 32].close[(uint32_t)t >> 1][t & 1];
    snprintf(c->path, sizeof(c->path), "%s", path);
    c->error = error;
    /* Room for every side of every slot. */
    (void)ws_ring_space(&p->closed, 1);
    *(uint64_t *)ws_ring_slot(&p->closed, 0) = tag;
    ws_ring_publish(&p->closed, 1);
}

void ws_post_opened(void *user, const char *path)
{
    struct ws_post *p = user;
    static const struct timespec nap = {0, 100000};
    if (!p->opened_mem)
        return;
    while (!ws_ring_space(&p->opened, 1)) {
        /* The post thread waits neither for the writer nor for a worker. */
        if (!p->cfg.may_wait || ws_post_aborted(p)) {
            atomic_fetch_add_explicit(&p->opens_lost, 1, memory_order_relaxed);
            return;
        }
        nanosleep(&nap, NULL);
    }
    struct ws_post_opened_name *o = ws_ring_slot(&p->opened, 0);
    snprintf(o->path, sizeof(o->path), "%s", path);
    ws_ring_publish(&p->opened, 1);
}

/* --- life --- */

bool ws_post_wanted(const struct ws_post_config *c)
{
    return c->md5 || c->http || c->report || c->command || c->http_command || c->alert_fd >= 0 ||
           c->http_alert_fd >= 0 || c->python;
}

static int wrong(char *err, size_t err_len, const char *text)
{
    snprintf(err, err_len, "%s", text);
    return -EINVAL;
}

int ws_post_check(const struct ws_post_config *c, char *err, size_t err_len)
{
    if (c->python) {
        const char *part[3];
        char *copy = strdup(c->python);
        if (!copy) {
            snprintf(err, err_len, "--python: %s", strerror(ENOMEM));
            return -ENOMEM;
        }
        bool good = ws_post_python_split(copy, &part[0], &part[1], &part[2]);
        free(copy);
        if (!good)
            return wrong(err, err_len, "--python: give PATH:MODULE:FUNCTION");
    }
    if ((c->alert_fd >= 0 && fcntl(c->alert_fd, F_GETFD) < 0) ||
        (c->http_alert_fd >= 0 && fcntl(c->http_alert_fd, F_GETFD) < 0))
        return wrong(err, err_len, "--alert-fd, --http-alert-fd: that descriptor is not open");
    if ((c->http_command || c->http_alert_fd >= 0) && !c->http)
        return wrong(err, err_len, "--http-command and --http-alert-fd need --http");
    return 0;
}

static int make_ring(struct ws_ring *r, void **mem, size_t n, size_t elem)
{
    size_t bytes = ws_align_up(ws_ring_bytes(n, elem), 64);
    *mem = aligned_alloc(64, bytes);
    if (!*mem)
        return -ENOMEM;
    memset(*mem, 0, elem <= 8 ? bytes : 64);
    ws_ring_init(r, *mem, n, elem);
    return 0;
}

static int make_worker(struct ws_post *p, struct ws_post_worker *w)
{
    w->slot = calloc(p->flows, sizeof(*w->slot));
    w->close = calloc(p->flows, sizeof(*w->close));
    w->progress = calloc(p->flows, sizeof(*w->progress));
    if (!w->slot || !w->close || !w->progress ||
        make_ring(&w->described, &w->mem[0], p->flows, sizeof(uint32_t)) < 0 ||
        make_ring(&w->free, &w->mem[1], p->flows, sizeof(uint32_t)) < 0)
        return -ENOMEM;
    (void)ws_ring_space(&w->free, p->flows);
    for (uint32_t i = 0; i < p->flows; i++)
        *(uint32_t *)ws_ring_slot(&w->free, i) = i;
    ws_ring_publish(&w->free, p->flows);
    return 0;
}

static int make_http(struct ws_post *p)
{
    const struct ws_http_options decoded = {.requests = p->cfg.http_requests,
                                            .bytes_max = p->cfg.http_bytes_max};
    const struct ws_http_options raw = {
        .raw = true, .requests = p->cfg.http_requests, .bytes_max = p->cfg.http_bytes_max};
    if (!p->cfg.http)
        return 0;
    if (!p->cfg.http_raw && !(p->http = ws_http_create(&decoded)))
        return -ENOMEM;
    if ((p->cfg.http_raw || p->cfg.http_old_names) && !(p->http_raw = ws_http_create(&raw)))
        return -ENOMEM;
    return 0;
}

static int make(struct ws_post *p, char *err, size_t err_len)
{
    int rc;
    if ((rc = ws_post_check(&p->cfg, err, err_len)) < 0)
        return rc;
    p->buf = malloc(WS_POST_READ);
    p->worker = calloc(p->cfg.workers, sizeof(*p->worker));
    if (!p->buf || !p->worker)
        return -ENOMEM;
    for (unsigned i = 0; i < p->cfg.workers; i++)
        if ((rc = make_worker(p, &p->worker[i])) < 0)
            return rc;
    if ((rc = make_ring(&p->closed, &p->closed_mem, (size_t)p->cfg.workers * p->flows * 2,
                        sizeof(uint64_t))) < 0)
        return rc;
    if (p->cfg.alert_fd >= 0 && (rc = make_ring(&p->opened, &p->opened_mem, WS_POST_OPENS,
                                                sizeof(struct ws_post_opened_name))) < 0)
        return rc;
    if (p->cfg.dir) {
        p->dirfd = open(p->cfg.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (p->dirfd < 0) {
            rc = -errno;
            snprintf(err, err_len, "%s: %s", p->cfg.dir, strerror(-rc));
            return rc;
        }
    }
    if ((rc = make_http(p)) < 0)
        return rc;
    return p->cfg.report ? ws_post_report_open(p, err, err_len) : 0;
}

int ws_post_create(struct ws_post **out, const struct ws_post_config *cfg, char *err,
                   size_t err_len)
{
    struct ws_post *p = calloc(1, sizeof(*p));
    snprintf(err, err_len, "finished files: %s", strerror(ENOMEM));
    if (!p)
        return -ENOMEM;
    p->cfg = *cfg;
    p->flows = cfg->flows ? cfg->flows : WS_POST_FLOWS;
    p->dirfd = p->report_fd = -1;
    p->start_ns = steady_ns();
    int rc = make(p, err, err_len);
    if (rc < 0) {
        ws_post_destroy(p);
        return rc;
    }
    *out = p;
    return 0;
}

int ws_post_chown(struct ws_post *p, uid_t uid, gid_t gid)
{
    struct stat st;
    bool file = p->report_fd >= 0 && p->report_fd != STDOUT_FILENO && fstat(p->report_fd, &st) == 0 &&
                S_ISREG(st.st_mode);
    return file && fchown(p->report_fd, uid, gid) < 0 ? -errno : 0;
}

int ws_post_start(struct ws_post *p, char *err, size_t err_len)
{
    sigset_t all, old;
    int rc;
    if (p->cfg.report) {
        rc = ws_dfxml_open(&p->report, p->report_fd, &p->cfg.creator);
        if (rc < 0) {
            snprintf(err, err_len, "%s: %s", p->cfg.report, strerror(-rc));
            return rc;
        }
    }
    if (p->cfg.python && (rc = ws_post_python_start(p, err, err_len)) < 0)
        return rc;
    /* Signals are the main thread's. SIGPIPE of a reader that went is an error of the write here.
     */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = -pthread_create(&p->thread, NULL, thread_main, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc < 0)
        snprintf(err, err_len, "finished files: %s", strerror(-rc));
    p->started = rc == 0;
    return rc;
}

void ws_post_abort(struct ws_post *p)
{
    atomic_store(&p->abort, true);
}

void ws_post_totals(const struct ws_post *p, struct ws_dfxml_tail *tail)
{
    for (unsigned i = 0; i < p->cfg.workers; i++) {
        tail->total_flows += p->worker[i].flows_all;
        tail->max_open_flows += p->worker[i].flows_max;
        tail->flows_left += p->worker[i].flows_left;
    }
}

int ws_post_finish(struct ws_post *p, const struct ws_dfxml_tail *tail)
{
    if (p->started && !p->joined) {
        atomic_store_explicit(&p->ending, true, memory_order_release);
        pthread_join(p->thread, NULL);
        p->joined = true;
        ws_count(&p->counters, WS_C_POST_ALERTS_LOST,
                 atomic_load_explicit(&p->opens_lost, memory_order_relaxed));
        ws_post_results_sort(p);
    }
    return ws_post_report_finish(p, tail);
}

const struct ws_counters *ws_post_counters(const struct ws_post *p)
{
    return &p->counters;
}

void ws_post_destroy(struct ws_post *p)
{
    if (!p)
        return;
    if (p->started && !p->joined) {
        ws_post_abort(p);
        (void)ws_post_finish(p, NULL);
    }
    ws_post_report_fini(p);
    ws_post_python_stop(p);
    ws_http_destroy(p->http);
    ws_http_destroy(p->http_raw);
    for (unsigned i = 0; p->worker && i < p->cfg.workers; i++) {
        struct ws_post_worker *w = &p->worker[i];
        free(w->slot);
        free(w->close);
        free(w->progress);
        free(w->mem[0]);
        free(w->mem[1]);
    }
    free(p->worker);
    free(p->closed_mem);
    free(p->opened_mem);
    free(p->buf);
    if (p->dirfd >= 0)
        close(p->dirfd);
    free(p);
}
