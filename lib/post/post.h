/* SPDX-License-Identifier: BSD-3-Clause */
/* Work on finished stream files, on a thread of its own, off the data path: digests, HTTP bodies,
 * the report, commands. */
#ifndef WS_POST_POST_H
#define WS_POST_POST_H

#include "base/counters.h"
#include "post/dfxml.h"
#include "sink/stream.h"
#include "writer/writer.h"

struct ws_post;

struct ws_post_config {
    const char
        *dir; /* of the stream files, as it is shown in paths; NULL: none are written. Borrowed. */
    unsigned workers;
    unsigned flows; /* finished flows of a worker that may wait for this thread; 0 = 4,096 */
    bool
        may_wait; /* a worker waits for room (files), else the flow is skipped and counted (live) */
    enum ws_exists exists; /* what happens to files in the way of body files */

    bool md5;
    bool http;          /* bodies of HTTP/1 into files; needs raw stream files, one a direction */
    bool http_raw;      /* left compressed */
    bool http_requests; /* those of requests too */
    uint64_t http_bytes_max; /* of a decoded body; 0 = no bound */
    bool http_old_names;     /* -HTTP, -HTTPBODY, -HTTPBODY-GZIP */
    bool keep_results;       /* for ws_post_result() */
    bool offsets_shift; /* gaps are left out of the files: where they were is not told to the HTTP
                           parser */

    const char
        *report; /* path of the DFXML report, "-" = standard output; NULL = none. Borrowed. */
    bool report_replace;
    bool report_in_place; /* no .part and rename: for a run that gives up the right to rename */
    struct ws_dfxml_creator creator; /* of the report; what it points to is borrowed */

    const char *command, *http_command; /* run as: sh -c 'COMMAND "$1"' sh PATH; NULL = none */
    int alert_fd, http_alert_fd;        /* get "open\\tPATH\\n" and "close\\tPATH\\n"; -1 = none */
    const char *python;                 /* "PATH:MODULE:FUNCTION", NULL = none */
};

/* Whether there is anything to do. Pure. */
bool ws_post_wanted(const struct ws_post_config *cfg);

/* 0, or -EINVAL (or -ENOMEM) with a line in err: what of a configuration is wrong in itself. */
int ws_post_check(const struct ws_post_config *cfg, char *err, size_t err_len);

/* Makes it, after the directory of the stream files; opens the report. 0 or -errno with a line in
 * err. Main thread. */
int ws_post_create(struct ws_post **p, const struct ws_post_config *cfg, char *err, size_t err_len);

/* Gives the opened report to another owner. 0 or -errno. */
int ws_post_chown(struct ws_post *p, uid_t uid, gid_t gid);

/* Starts the thread and the python child, as the user that files are written as. 0 or -errno with a
 * line in err. */
int ws_post_start(struct ws_post *p, char *err, size_t err_len);

/* --- worker's thread --- */

/* The worker's sink. It stands behind the sink that writes the streams: a flow's files are told by
 * ws_post_file() before its flow_close(). streams: that sink's channel, of a TREE output, or NULL.
 * Taken by the engine. 0 or -errno. */
int ws_post_sink_create(struct ws_sink **s, struct ws_post *p, unsigned worker,
                        struct ws_channel *streams);

/* A stream file is over (ws_sink_stream_config.closed). Returns the tag for its close, 0 when the
 * flow was skipped. *serial, unless NULL, gets a number > 0 that names the file to
 * ws_post_result(), or 0. */
uint64_t ws_post_file(struct ws_post *p, unsigned worker, const struct ws_stream_record *rec,
                      uint64_t *serial);

/* --- writer's thread: ws_output_config.on_closed and on_opened of the output of streams; user is
 * the struct ws_post --- */

void ws_post_closed(void *user, const char *path, uint64_t tag, int error);
void ws_post_opened(void *user, const char *path);

/* --- main thread --- */

/* Gives up: what is under way is cut short, nothing new begins. Async-signal-safe, any thread. */
void ws_post_abort(struct ws_post *p);
bool ws_post_aborted(const struct ws_post *p);

/* After the engine's threads have ended: works off what is left, finishes the report, waits for all
 * commands, joins the thread. Then the counters hold. 0 or -errno of the report. */
int ws_post_finish(struct ws_post *p, const struct ws_dfxml_tail *tail);

/* After ws_post_finish(). */
const struct ws_counters *ws_post_counters(const struct ws_post *p);

/* Flow directions in all, and at once at most, and those that were open at the end. */
void ws_post_totals(const struct ws_post *p, struct ws_dfxml_tail *tail);

/* What was found of a file, as members of a JSON object with a leading comma:
 * ,"md5":"...","http":[...]. "" when nothing. Lives as long as p. */
const char *ws_post_result(const struct ws_post *p, uint64_t serial);

void ws_post_destroy(struct ws_post *p);

#endif
