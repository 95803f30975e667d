/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run does with finished stream files. */
#include "app/post.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/run.h"
#include "app/ssids.h"
#include "post/post.h"
#include "ws_config.h"

#define COMMAND_LINE_MAX (128u * 1024u)

static const char *stream_dir(const struct run *r)
{
    return r->cmd == CMD_STREAMS ? r->o->out : r->cmd & CMD_LIVE ? r->o->streams : NULL;
}

/* Our own words as a shell would need them. Heap, or NULL. */
static char *command_line(void)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=./:,@%";
    char *raw = malloc(COMMAND_LINE_MAX), *text = malloc(COMMAND_LINE_MAX * 4 + 8);
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 && raw ? read(fd, raw, COMMAND_LINE_MAX - 1) : -1;
    char *at = text;
    if (fd >= 0)
        close(fd);
    if (n < 0 || !text) {
        free(raw);
        free(text);
        return NULL;
    }
    raw[n] = '\0';
    for (char *word = raw; word < raw + n; word += strlen(word) + 1) {
        bool quoted = !*word || word[strspn(word, plain)];
        if (at > text)
            *at++ = ' ';
        if (quoted)
            *at++ = '\'';
        for (const char *c = word; *c; c++) {
            if (*c == '\'')
                at = stpcpy(at, "'\\''");
            else
                *at++ = *c;
        }
        if (quoted)
            *at++ = '\'';
    }
    *at = '\0';
    free(raw);
    return text;
}

static bool reads_http(const struct run *r)
{
    return r->o->http;
}

static int alert_fd(uint64_t option)
{
    return option > INT32_MAX ? -1 : (int)option;
}

static void configure(const struct run *r, struct ws_post_config *pc)
{
    const struct options *o = r->o;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    *pc = (struct ws_post_config){
        .dir = r->out.streams && stream_dir(r) && strcmp(stream_dir(r), "-") != 0 ? stream_dir(r)
                                                                                  : NULL,
        .workers = r->ec.workers,
        .exists = o->overwrite         ? WS_EXISTS_TRUNCATE
                  : o->number_existing ? WS_EXISTS_COUNT
                                       : WS_EXISTS_REFUSE,
        .md5 = o->md5,
        .http = o->http,
        .http_raw = o->http_raw,
        .http_requests = o->http_requests,
        .http_bytes_max = o->http_max,
        .http_old_names = o->http_names == 1,
        .keep_results = o->json && r->cmd == CMD_STREAMS,
        .offsets_shift = o->gaps == 1,
        .report = o->report,
        .report_replace = o->overwrite || o->number_existing,
        .report_in_place = o->user != NULL,
        .creator =
            {
                .layout = o->dfxml == 1 ? WS_DFXML_STRICT : WS_DFXML_TCPFLOW,
                .version = WS_VERSION,
                .build_date = WS_BUILD_DATE,
                .start_ns = t.tv_sec * INT64_C(1000000000) + t.tv_nsec,
                .inputs = r->paths,
                .n_inputs = r->n_paths,
            },
        .command = o->on_close,
        .http_command = o->http_command,
        .alert_fd = alert_fd(o->alert_fd),
        .http_alert_fd = alert_fd(o->http_alert_fd),
        .python = o->python,
        .may_wait = true,
    };
    for (unsigned i = 0; i < r->ec.n_source; i++)
        pc->may_wait = pc->may_wait && r->ec.source[i].source->can_wait;
}

static int usage(const struct run *r, const char *text)
{
    fprintf(stderr, "wirespool %s: %s\n", r->name, text);
    return 2;
}

int post_check(const struct run *r)
{
    const struct options *o = r->o;
    struct ws_post_config pc;
    char err[256];
    const char *const command[] = {o->on_close, o->http_command};
    for (size_t i = 0; i < WS_ARRAY_SIZE(command); i++)
        if (command[i] && !command[i][strspn(command[i], " \t\n")])
            return usage(r, "--on-close and --http-command need a command"); /* else the file would be it */
    if ((o->alert_fd != WS_UNSET && o->alert_fd > INT32_MAX) ||
        (o->http_alert_fd != WS_UNSET && o->http_alert_fd > INT32_MAX))
        return usage(r, "--alert-fd, --http-alert-fd: that descriptor is not open");
    configure(r, &pc);
    if (!ws_post_wanted(&pc))
        return o->http_raw || o->http_requests || o->http_max
                   ? usage(r, "--http-raw, --http-requests and --http-max need --http")
                   : 0;
    int rc = ws_post_check(&pc, err, sizeof(err));
    if (rc < 0) {
        (void)usage(r, err);
        return rc == -EINVAL ? 2 : 3;
    }
    if (o->report && !*o->report)
        return usage(r, "--report needs a name");
    bool files = pc.md5 || pc.http || pc.command || pc.python || pc.alert_fd >= 0;
    if (files && (!stream_dir(r) || strcmp(stream_dir(r), "-") == 0))
        return usage(r,
                     "--md5, --http, --on-close, --alert-fd and --python are about stream files: "
                     "give a directory for them");
    if (reads_http(r) && (o->format != FORMAT_RAW || o->joined))
        return usage(r, "--http reads raw streams, a file a direction");
    if (o->report && strcmp(o->report, "-") == 0 && o->json)
        return usage(r, "--report - and --json cannot share standard output");
    return 0;
}

int post_prepare(struct run *r)
{
    struct ws_post_config pc;
    char err[512];
    configure(r, &pc);
    if (!ws_post_wanted(&pc))
        return 0;
    r->command_line = command_line();
    pc.creator.command_line = r->command_line;
    int rc = ws_post_create(&r->post, &pc, err, sizeof(err));
    if (rc == 0)
        return 0;
    fprintf(stderr, "wirespool: %s\n", err);
    return rc == -EINVAL ? 2 : 3;
}

static void on_closed(void *user, const char *path, uint64_t tag, int error)
{
    struct run *r = user;
    if (r->post)
        ws_post_closed(r->post, path, tag, error);
}

static void on_opened(void *user, const char *path)
{
    struct run *r = user;
    if (r->post)
        ws_post_opened(r->post, path);
}

bool post_wanted(const struct run *r)
{
    struct ws_post_config pc;
    configure(r, &pc);
    return ws_post_wanted(&pc);
}

void post_listen(struct run *r, struct ws_output_config *oc)
{
    oc->on_closed = on_closed;
    oc->on_opened = on_opened;
    oc->user = r;
}

uint32_t post_gaps_wanted(const struct run *r)
{
    return r->o->http ? 64 : 0;
}

int post_make_sink(struct run *r, unsigned worker, struct ws_channel *streams, struct ws_sink **s)
{
    return ws_post_sink_create(s, r->post, worker, streams);
}

uint64_t post_file(struct run *r, unsigned worker, const struct ws_stream_record *rec,
                   uint64_t *serial)
{
    *serial = 0;
    return r->post ? ws_post_file(r->post, worker, rec, serial) : 0;
}

int post_start(struct run *r)
{
    char err[512];
    int rc = r->post ? ws_post_start(r->post, err, sizeof(err)) : 0;
    if (rc == 0)
        return 0;
    fprintf(stderr, "wirespool: %s\n", err);
    return 3;
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n ? n - 1 : 0; /* less the one that reads them */
}

void post_finish(struct run *r)
{
    struct ws_dfxml_tail tail = {
        .open_fds = open_descriptors(),
        .total_packets = ws_count_get(&r->sum, WS_C_RX_PACKETS),
    };
    if (!r->post)
        return;
    ws_post_totals(r->post, &tail);
    char *ssids = ssids_xml(r);
    tail.ssids = ssids;
    r->report_failed = ws_post_finish(r->post, &tail) < 0;
    free(ssids);
    ws_counters_add(&r->sum, ws_post_counters(r->post));
    r->aborted |= ws_post_aborted(r->post);
}

void post_fini(struct run *r)
{
    ws_post_destroy(r->post);
    r->post = NULL;
    free(r->command_line);
    r->command_line = NULL;
}
