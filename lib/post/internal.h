/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of lib/post share. Not for callers.
 *
 *   worker: takes a slot, fills it ── described ──> post thread: works it off ── free ──> worker
 *   writer: closes the slot's files, notes names ── closed ──────^
 *
 * Each ring has one producer and one consumer. Every field has one writing thread: its section says
 * which.
 */
#ifndef WS_POST_INTERNAL_H
#define WS_POST_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/ring.h"
#include "http/http.h"
#include "post/post.h"

#define WS_POST_FLOWS 4096u /* slots of a worker by default */
#define WS_POST_GAPS                                                                               \
    64u /* gaps of a stream that the HTTP parser is told; the last one then reaches to the end */
#define WS_POST_OPENS    1024u /* names of opened files that may wait for the alert descriptor */
#define WS_POST_PATH_MAX (WS_PATH_MAX + 64u)
#define WS_POST_CHILDREN 10u    /* commands at once */
#define WS_POST_BODIES   65536u /* body files that the report lists for a flow */
#define WS_POST_SHOWN    (4096u + WS_POST_PATH_MAX) /* a path with its directory */
#define WS_POST_READ     65536u

/* --- a finished flow --- */

/* A direction, or a file of both. */
struct ws_post_side {
    bool used, has_file;
    uint8_t dir;
    uint64_t serial;
    uint64_t length;              /* of the stream, where the sink counts it; else the file's */
    struct ws_dfxml_object about; /* without path, filesize, results */
    struct ws_http_gap gap[WS_POST_GAPS];
    unsigned n_gap;
    char path[WS_POST_PATH_MAX]; /* relative; as the worker named it */
};

struct ws_post_slot {
    struct ws_post_side side[2]; /* the originator's first, when both are used */
    unsigned files;              /* closes to wait for */
};

/* What the writer said of a side's file. Written before its tag is published. */
struct ws_post_close {
    char path[WS_POST_PATH_MAX];
    int error;
};

/* The post thread's view of a slot. */
struct ws_post_progress {
    bool described;
    uint8_t closed;    /* number of files */
    uint8_t closed_as; /* bit s: side s has a struct ws_post_close */
};

struct ws_post_worker {
    struct ws_ring described; /* producer: worker; uint32_t slot */
    struct ws_ring free;      /* producer: post thread; uint32_t slot */
    struct ws_post_slot *slot;
    struct ws_post_close (*close)[2]; /* writer */
    struct ws_post_progress *progress;
    void *mem[2];
    /* worker */
    struct ws_post_slot *cur; /* the flow that closes; NULL = none */
    bool skipping;            /* no slot for the flow that closes */
    bool closes_wait;         /* as the latest struct ws_stream_record says */
    uint64_t serial;
    uint64_t flows, flows_max, flows_all, flows_left; /* directions */
    struct ws_channel *channel; /* of the streams' output; handed over while waiting */
    struct ws_sink *sink;
};

struct ws_post_opened_name {
    char path[WS_POST_PATH_MAX];
};

/* --- results --- */

struct ws_post_kept {
    uint64_t serial;
    char *text;
};

struct ws_post_python;

struct ws_post {
    struct ws_post_config cfg;
    struct ws_post_worker *worker; /* [cfg.workers] */
    struct ws_ring closed;         /* producer: the streams' writer; uint64_t tag */
    struct ws_ring opened;         /* producer: the same; struct ws_post_opened_name */
    void *closed_mem, *opened_mem;
    unsigned flows;
    _Atomic bool abort, ending;
    _Atomic uint64_t opens_lost; /* writer */

    /* post thread from here on */
    pthread_t thread;
    bool started, joined;
    int dirfd;
    bool no_openat2;
    struct ws_counters counters;
    struct ws_dfxml *report;
    int report_fd;
    char *report_part; /* PATH.part, NULL for standard output */
    bool report_ended;
    int report_dir; /* where it lies; valid with report_part */
    int report_error;
    struct ws_http *http, *http_raw;
    struct ws_post_python *python;
    pid_t child[WS_POST_CHILDREN];
    unsigned n_child;
    bool command_failed_said, alert_failed[2];
    struct ws_post_kept *kept;
    size_t n_kept, kept_room;
    int64_t start_ns; /* steady */
    uint8_t *buf;     /* WS_POST_READ bytes */
};

/* --- post.c --- */

/* The path as it is shown: directory and name. buf: WS_POST_SHOWN bytes. */
const char *ws_post_shown(const struct ws_post *p, const char *path, char *buf);

/* --- digest.c: hexadecimal MD5 of a file. 0 or -errno. --- */
int ws_post_md5(struct ws_post *p, int fd, char hex[33]);

/* --- bodies.c --- */

/* A body file that was made. */
struct ws_post_body {
    unsigned side;
    char path[WS_POST_PATH_MAX]; /* relative */
    char md5[33];
    uint64_t file_offset, span, filesize;
    enum ws_http_fate fate;
};

struct ws_post_bodies {
    struct ws_post_body *body;
    size_t n, room;
};

/* Writes the body files of a slot's streams; fd[s] is side s's file or -1, path[s] its final
 * relative name. */
void ws_post_http(struct ws_post *p, const struct ws_post_slot *slot, const int fd[2],
                  const char *const path[2], struct ws_post_bodies *out);

/* A flow that is worked on. */
struct ws_post_job {
    struct ws_post_slot *slot;
    const char *path[2]; /* final, relative; NULL = no file */
    int error[2];
    int fd[2];
    uint64_t size[2];
    char md5[2][33];
    struct ws_post_bodies bodies;
};

/* --- report.c --- */

int ws_post_report_open(struct ws_post *p, char *err, size_t err_len);
/* Adds a side's object; result (NULL = none) is what the python function returned. */
void ws_post_report_side(struct ws_post *p, const struct ws_post_job *j, unsigned i,
                         const char *result, size_t result_len);
/* Ends the report and gives it its name. 0 or -errno. */
int ws_post_report_finish(struct ws_post *p, const struct ws_dfxml_tail *tail);
/* Keeps what was found of a side for ws_post_result(), which needs them sorted. */
void ws_post_results_keep(struct ws_post *p, const struct ws_post_job *j, unsigned i);
void ws_post_results_sort(struct ws_post *p);
void ws_post_report_fini(struct ws_post *p);

/* --- command.c --- */

/* Runs command with path as its argument; waits while too many run. */
void ws_post_run(struct ws_post *p, const char *command, const char *path);
void ws_post_reap(struct ws_post *p, bool all);
/* One line to an alert descriptor (which: 0 streams, 1 bodies). */
void ws_post_alert(struct ws_post *p, unsigned which, const char *what, const char *path);

/* --- python.c --- */

/* Splits "PATH:MODULE:FUNCTION" in place. False: it is not that. */
bool ws_post_python_split(char *text, const char **path, const char **module,
                          const char **function);
int ws_post_python_start(struct ws_post *p, char *err, size_t err_len);
/* Gives the file's bytes to the function. True: *text, valid until the next call, is what it
 * returned. */
bool ws_post_python_call(struct ws_post *p, int fd, uint64_t size, const char **text, size_t *len);
void ws_post_python_names(const struct ws_post *p, struct ws_dfxml_object *o);
void ws_post_python_stop(struct ws_post *p);

#endif
