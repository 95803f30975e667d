/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of finished flows: the report's file and objects, results kept for streams --json.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "format/json.h"
#include "post/internal.h"

#define PART_SUFFIX ".part"

static int64_t steady_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* --- the report --- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The report appears whole: it is written as PATH.part. */
int ws_post_report_open(struct ws_post *p, char *err, size_t err_len)
{
    const char *path = p->cfg.report;
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    int rc;
    if (strcmp(path, "-") == 0) {
        p->report_fd = STDOUT_FILENO;
        return 0;
    }
    if (!p->cfg.report_replace && access(path, F_OK) == 0) {
        snprintf(err, err_len, "%s: File exists (--overwrite replaces it)", path);
        return -EEXIST;
    }
    struct stat st;
    /* a device or FIFO that the user named is written as it is */
    const bool special = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    if (!p->cfg.report_in_place && !special) {
        p->report_part = malloc(strlen(path) + sizeof(PART_SUFFIX));
        if (!p->report_part)
            return -ENOMEM;
        stpcpy(stpcpy(p->report_part, path), PART_SUFFIX);
        path = p->report_part;
        const char *name;
        p->report_dir = ws_path_parent(path, &name);
        if (p->report_dir < 0) {
            rc = p->report_dir;
            snprintf(err, err_len, "%s: %s", path, strerror(-rc));
            return rc;
        }
        flags |= O_NOFOLLOW;
    }
    p->report_fd = open(path, flags, 0666);
    if (p->report_fd >= 0)
        return 0;
    rc = -errno;
    snprintf(err, err_len, "%s: %s", path, strerror(-rc));
    return rc;
}

void ws_post_report_side(struct ws_post *p, const struct ws_post_job *j, unsigned i,
                         const char *result, size_t result_len)
{
    struct ws_post_side *s = &j->slot->side[i];
    struct ws_dfxml_object o = s->about;
    struct ws_dfxml_run *run = NULL;
    size_t n = 0;
    char shown[WS_POST_SHOWN];

    for (size_t b = 0; b < j->bodies.n; b++)
        n += j->bodies.body[b].side == i;
    char(*names)[WS_POST_SHOWN] = n ? malloc(n * sizeof(*names)) : NULL;
    run = n ? calloc(n, sizeof(*run)) : NULL;
    if (n && (!run || !names)) {
        ws_count(&p->counters, WS_C_POST_REPORT_LOST, n);
        n = 0;
    }
    size_t at = 0;
    for (size_t b = 0; b < j->bodies.n && at < n; b++) {
        const struct ws_post_body *body = &j->bodies.body[b];
        if (body->side != i)
            continue;
        run[at] = (struct ws_dfxml_run){ws_post_shown(p, body->path, names[at]), body->file_offset,
                                        body->span, body->filesize, body->md5};
        at++;
    }
    o.path = j->path[i] ? ws_post_shown(p, j->path[i], shown) : NULL;
    /* tcpflow tells the stream's length, of a file that was cut too; the schema means the file's. */
    o.filesize = p->cfg.creator.layout == WS_DFXML_STRICT ? j->size[i]
                                                          : WS_MAX(s->length, j->size[i]);
    o.md5 = j->md5[i];
    o.run = run;
    o.n_run = at;
    if (result) {
        o.result = result;
        o.result_len = result_len;
        ws_post_python_names(p, &o);
    }
    int rc = ws_dfxml_object(p->report, &o);
    if (rc < 0 && !p->report_error) {
        p->report_error = rc;
        ws_log(WS_LOG_ERROR, "%s: %s", p->cfg.report, strerror(-rc));
    }
    if (rc < 0)
        ws_count(&p->counters, WS_C_POST_REPORT_LOST, 1);
    free(names);
    free(run);
}

static int commit_report(struct ws_post *p)
{
    if (!p->report_part)
        return 0;
    return ws_path_rename(p->report_dir, base_name(p->report_part), base_name(p->cfg.report),
                          p->cfg.report_replace);
}

int ws_post_report_finish(struct ws_post *p, const struct ws_dfxml_tail *tail)
{
    struct ws_dfxml_tail t = {0};
    if (!p->report)
        return 0;
    if (tail)
        t = *tail;
    t.clock_s = (double)(steady_ns() - p->start_ns) / 1e9;
    int rc = ws_dfxml_close(p->report, &t);
    p->report = NULL;
    p->report_fd = -1;
    p->report_ended = true;
    if (rc == 0)
        rc = commit_report(p);
    if (rc < 0 && !p->report_error)
        ws_log(WS_LOG_ERROR, "%s: %s", p->cfg.report, strerror(-rc));
    return rc;
}

/* --- results --- */

static void json_bodies(struct ws_json *js, const struct ws_post_job *j, unsigned i)
{
    ws_json_array(js);
    for (size_t b = 0; b < j->bodies.n; b++) {
        const struct ws_post_body *body = &j->bodies.body[b];
        if (body->side != i)
            continue;
        ws_json_object(js);
        ws_json_key(js, "file");
        ws_json_strz(js, body->path);
        ws_json_key(js, "offset");
        ws_json_u64(js, body->file_offset);
        ws_json_key(js, "span");
        ws_json_u64(js, body->span);
        ws_json_key(js, "bytes");
        ws_json_u64(js, body->filesize);
        ws_json_key(js, "fate");
        ws_json_strz(js, ws_http_fate_name(body->fate));
        if (*body->md5) {
            ws_json_key(js, "md5");
            ws_json_strz(js, body->md5);
        }
        ws_json_object_end(js);
    }
    ws_json_array_end(js);
}

void ws_post_results_keep(struct ws_post *p, const struct ws_post_job *j, unsigned i)
{
    size_t bodies = 0, max;
    for (size_t b = 0; b < j->bodies.n; b++)
        bodies += j->bodies.body[b].side == i;
    max = 256 + bodies * (6 * WS_POST_PATH_MAX + 256);
    char *buf = malloc(max), *text = NULL;
    struct ws_text t;
    struct ws_json js;
    if (p->n_kept == p->kept_room) {
        size_t room = p->kept_room ? 2 * p->kept_room : 256;
        struct ws_post_kept *more = realloc(p->kept, room * sizeof(*more));
        if (more) {
            p->kept = more;
            p->kept_room = room;
        }
    }
    if (buf && p->n_kept < p->kept_room) {
        ws_text_init(&t, buf, max);
        ws_json_init(&js, &t);
        ws_json_object(&js);
        if (*j->md5[i]) {
            ws_json_key(&js, "md5");
            ws_json_strz(&js, j->md5[i]);
        }
        if (p->cfg.http) {
            ws_json_key(&js, "http");
            json_bodies(&js, j, i);
        }
        ws_json_object_end(&js);
        if (ws_text_end(&t) > 2) {
            buf[0] = ','; /* the members are to follow others */
            buf[t.len - 1] = '\0';
            text = strdup(buf);
        }
    }
    free(buf);
    if (text)
        p->kept[p->n_kept++] = (struct ws_post_kept){j->slot->side[i].serial, text};
    else if (p->cfg.md5 || p->cfg.http)
        ws_count(&p->counters, WS_C_POST_RESULTS_LOST, 1);
}

static int by_serial(const void *a, const void *b)
{
    const struct ws_post_kept *x = a, *y = b;
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

void ws_post_results_sort(struct ws_post *p)
{
    if (p->n_kept)
        qsort(p->kept, p->n_kept, sizeof(*p->kept), by_serial);
}

const char *ws_post_result(const struct ws_post *p, uint64_t serial)
{
    const struct ws_post_kept key = {serial, NULL};
    const struct ws_post_kept *k =
        p->n_kept ? bsearch(&key, p->kept, p->n_kept, sizeof(key), by_serial) : NULL;
    return k ? k->text : "";
}

void ws_post_report_fini(struct ws_post *p)
{
    if (p->report)
        (void)ws_dfxml_close(p->report, NULL);
    else if (p->report_fd >= 0 && p->report_fd != STDOUT_FILENO)
        close(p->report_fd);
    /* A run that did not begin leaves nothing in the way of the next; what failed at its end stays
     * to be seen. */
    if (p->report_part && p->report_fd >= 0 && !p->report_ended)
        (void)unlinkat(p->report_dir, base_name(p->report_part), 0);
    if (p->report_part && p->report_dir >= 0)
        close(p->report_dir);
    free(p->report_part);
    for (size_t i = 0; i < p->n_kept; i++)
        free(p->kept[i].text);
    free(p->kept);
}
