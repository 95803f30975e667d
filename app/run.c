/* SPDX-License-Identifier: BSD-3-Clause */
/* One run of the engine on behalf of a command. */
#include "app/run.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <dirent.h>
#include <unistd.h>

#include "app/plan.h"
#include "app/post.h"
#include "app/progress.h"
#include "app/stats.h"
#include "base/log.h"
#include "engine/ledger.h"
#include "post/post.h"
#include "ws_config.h"
#if WS_HAVE_DPDK
#include "source/port.h"
#endif

/* How long threads have to heed an abort. */
#define ABORT_NS INT64_C(3000000000)

/* The run that signals act on; set by the main thread around the engine's life. */
static struct ws_engine *_Atomic signalled_engine;
static struct ws_post *_Atomic signalled_post;
static volatile sig_atomic_t signals_seen;

static int64_t steady_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The first signal stops, a later one aborts. One Ctrl-C may come twice at once, from the terminal and from a
 * supervisor such as timeout(1): what follows within 300 ms is the same one. */
static void on_signal(int sig)
{
    static int64_t first_ns;
    struct ws_engine *e = atomic_load(&signalled_engine);
    struct ws_post *p = atomic_load(&signalled_post);
    (void)sig;
    if (signals_seen++ == 0) {
        first_ns = steady_ns();
        if (e)
            ws_engine_stop(e);
    } else if (steady_ns() - first_ns > 300000000) {
        if (e)
            ws_engine_abort(e);
        if (p)
            ws_post_abort(p);
    }
}

bool run_signalled(void)
{
    return signals_seen;
}

void run_catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

int run_init(struct run *r, const struct options *o, enum command cmd, const char *name)
{
    memset(r, 0, sizeof(*r));
    r->o = o;
    r->cmd = cmd;
    r->name = name;
    if (o->user && !(r->user = getpwnam(o->user))) {
        fprintf(stderr, "wirespool: -U %s: no such user\n", o->user);
        return 2;
    }
    return plan_engine(&r->ec, o, cmd);
}

/* Whether path leads to a file that is read. */
static bool is_input(const struct run *r, const char *path)
{
    struct stat a, b;
    bool found = false;
    if (stat(path, &a) < 0 || !S_ISREG(a.st_mode))
        return false;
    for (unsigned i = 0; i < r->n_paths && !found; i++)
        found = stat(r->paths[i], &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    return found;
}

/* A file for machines; that of -U's user. 0 or exit code. */
static int open_for_user(const struct run *r, const char *path, FILE **f)
{
    if (is_input(r, path)) {
        fprintf(stderr, "wirespool %s: %s: statistics would replace the input\n", r->name, path);
        return 2;
    }
    *f = fopen(path, "we");
    if (!*f) {
        fprintf(stderr, "wirespool: %s: %s\n", path, strerror(errno));
        return 3;
    }
    struct stat st;
    if (r->user && fstat(fileno(*f), &st) == 0 && S_ISREG(st.st_mode) &&
        fchown(fileno(*f), r->user->pw_uid, r->user->pw_gid) < 0 && errno != EPERM)
        fprintf(stderr, "wirespool: -U: cannot give %s to that user: %s\n", path, strerror(errno));
    return 0;
}

/* Before any output is made and any packet read: a place that cannot be written is known at once. */
static int open_stats(struct run *r)
{
    const char *path = r->o->stats_json, *lines = r->o->stats_interval_json;
    FILE *f = NULL;
    int code = 0;
    if (path && !r->stats_json && strcmp(path, "-") != 0)
        code = open_for_user(r, path, &r->stats_json);
    if (code || r->interval || (!lines && !r->o->stats_interval))
        return code;
    if (lines && strcmp(lines, "-") != 0 && (code = open_for_user(r, lines, &f)))
        return code;
    return interval_stats_create(&r->interval, r, f);
}

/* Gives up root for good. Files that are opened later are this user's. */
static int become_user(struct run *r)
{
    const struct passwd *pw = r->user;
    if (!pw)
        return 0;
    outputs_chown(&r->out, pw->pw_uid, pw->pw_gid);
    if (r->post && ws_post_chown(r->post, pw->pw_uid, pw->pw_gid) < 0)
        fprintf(stderr, "wirespool: -U: cannot give the report to that user: %s\n", strerror(errno));
    if (initgroups(pw->pw_name, pw->pw_gid) < 0) {
        fprintf(stderr, "wirespool: -U %s: %s%s\n", r->o->user, strerror(errno),
                errno == EPERM ? " (only root can become another user)" : "");
        return 3;
    }
    if (r->o->chroot && (chroot(r->o->chroot) < 0 || chdir("/") < 0)) {
        fprintf(stderr, "wirespool: --chroot %s: %s\n", r->o->chroot, strerror(errno));
        return 3;
    }
    if (setgid(pw->pw_gid) < 0 ||
        setuid(pw->pw_uid) < 0) {
        fprintf(stderr, "wirespool: -U %s: %s\n", r->o->user, strerror(errno));
        return 3;
    }
    return 0;
}

static int start_plain_runtime(struct run *r)
{
    char err[512];
    struct ws_runtime_config rc = {
        .threads = r->ec.workers + r->ec.receivers + r->out.n_writer,
        .hugepages = r->o->hugepages,
    };
    if (r->ec.runtime || ws_runtime_start(&r->ec.runtime, &rc, err, sizeof(err)) == 0)
        return 0;
    fprintf(stderr, "wirespool: %s\n", err);
    return 3;
}

#if WS_HAVE_DPDK
static void say_port(const struct run *r, const struct ws_port_info *i)
{
    ws_log(WS_LOG_INFO, "%s: %s, %u queue%s, %s, %s timestamps%s%s", i->name, i->driver, i->queues,
           i->queues == 1 ? "" : "s",
           i->rss               ? "symmetric RSS"
           : r->ec.workers > 1 ? "software steering"
                                : "one worker",
           i->replay          ? "file (microsecond)"
           : i->hw_timestamps ? "hardware"
                              : "system",
           i->replay    ? ", original lengths unknown"
           : i->link_up ? ", link up"
                        : ", link down",
           i->missed_unknown ? ", drops unknown" : "");
}
#endif

static int start_ports(struct run *r)
{
#if WS_HAVE_DPDK
    char err[512];
    for (unsigned i = 0; i < r->n_port; i++) {
        if (ws_port_start(r->port[i], err, sizeof(err)) < 0) {
            fprintf(stderr, "wirespool: %s\n", err);
            return 3;
        }
        r->drops_unknown |= ws_port_info(r->port[i])->missed_unknown;
        if (!r->o->quiet)
            say_port(r, ws_port_info(r->port[i]));
    }
#else
    (void)r;
#endif
    return 0;
}

static void stop_ports(struct run *r)
{
#if WS_HAVE_DPDK
    for (unsigned i = 0; i < r->n_port; i++)
        ws_port_stop(r->port[i]);
#else
    (void)r;
#endif
}

/* An abort that a thread does not heed, because the kernel keeps it in a write to a pipe that nobody reads. */
static void leave_if_stuck(struct run *r, int64_t *aborted_ns)
{
    struct ws_engine_gauges g;
    ws_engine_gauges(r->engine, &g);
    if (!g.aborted)
        return;
    if (r->post) /* workers and writer may wait for it */
        ws_post_abort(r->post);
    if (!*aborted_ns)
        *aborted_ns = steady_ns();
    if (steady_ns() - *aborted_ns < ABORT_NS)
        return;
    fprintf(stderr, "wirespool: aborted: an output takes nothing any more: output is incomplete\n");
    _exit(1);
}

/* Waits for the end with progress; stops after --duration. */
static void watch(struct run *r, struct progress *progress, int64_t start)
{
    int64_t aborted_ns = 0;
    while (!ws_engine_wait(r->engine, 50000000)) {
        if (r->on_progress)
            r->on_progress(r, false);
        else
            progress_update(progress, r->engine);
        if (r->interval)
            interval_stats_tick(r->interval, progress, false);
        leave_if_stuck(r, &aborted_ns);
        if (r->o->duration && steady_ns() - start >= r->o->duration)
            ws_engine_stop(r->engine);
    }
    r->elapsed_ns = steady_ns() - start;
}

/* A table has no more entries than the input can have flows: the places of few flows in a table of millions are spread
 * over as many huge pages, each of which the kernel clears first. Twice as many and never few, since a file may grow while it
 * is read. */
static void fit_flow_table(struct run *r)
{
    uint64_t packets = 0;
    for (unsigned i = 0; i < r->ec.n_source; i++) {
        uint64_t n = r->ec.source[i].source->packets_about;
        if (!n)
            return;
        packets += n;
    }
    r->ec.flow.flows_max = (uint32_t)WS_MIN(r->ec.flow.flows_max, WS_MAX(2 * packets, UINT64_C(65536)));
}

int run_execute(struct run *r)
{
    char err[512];
    struct ws_engine_gauges g;
    struct progress progress;
    int code;

    if ((code = outputs_count(r)) || (code = open_stats(r)) || (code = start_plain_runtime(r)) ||
        (code = outputs_prepare(r)) || (code = post_prepare(r)) ||
        (code = outputs_make_announcer(r)))
        return code;
    r->ec.make_sinks = outputs_make_sinks;
    r->ec.user = r;
    memcpy(r->ec.writer, r->out.writer, sizeof(r->ec.writer));
    r->ec.n_writer = r->out.n_writer;
    fit_flow_table(r);
    if (ws_engine_create(&r->engine, &r->ec, err, sizeof(err)) < 0) {
        r->ec.n_source = 0; /* closed by the engine */
        fprintf(stderr, "wirespool: %s\n", err);
        return 3;
    }
    /* Some drivers need root to start, too. */
    if ((code = start_ports(r)) || (code = become_user(r)))
        return code;
    run_catch_signals();
    atomic_store(&signalled_engine, r->engine);
    atomic_store(&signalled_post, r->post);
    if (signals_seen)
        ws_engine_stop(r->engine);
    progress_init(&progress, r->o->quiet); /* threads that log use it */
    code = post_start(r);
    if (r->interval)
        interval_stats_begin(r->interval);
    int64_t start = steady_ns(); /* before the engine, which may be done at once */
    if (!code && ws_engine_start(r->engine, err, sizeof(err)) < 0) {
        fprintf(stderr, "wirespool: %s\n", err);
        code = 3;
    }
    if (!code)
        watch(r, &progress, start);
    ws_engine_join(r->engine);
    atomic_store(&signalled_engine, NULL);
    stop_ports(r);
    if (r->interval && !code)
        interval_stats_tick(r->interval, &progress, true);
    ws_engine_counters(r->engine, &r->sum);
    post_finish(r);
    atomic_store(&signalled_post, NULL);
    progress_end(&progress);
    if (r->on_progress)
        r->on_progress(r, true);
    ws_engine_gauges(r->engine, &g);
    r->damaged |= g.source_damaged;
    r->filter_unsupported = g.filter_unsupported;
    r->interrupted = g.stopping;
    r->aborted |= g.aborted;
    return code;
}

/* Kinds of selection of flows that were asked for. */
static unsigned selectors(const struct options *o)
{
    return (unsigned)((o->port.n > 0) + (o->not_port.n > 0) + (o->host.n > 0) + (o->tuple.n > 0) +
                      (o->community_id.n > 0) + (o->flow.n > 0));
}

/* Why there may be nothing. */
static void explain_nothing(const struct run *r)
{
    uint64_t received = ws_count_get(&r->sum, WS_C_RX_PACKETS);
    if (received == 0) {
        fprintf(stderr, "wirespool: 0 packets: %s\n",
                r->cmd & CMD_FILES || r->cmd == CMD_REPLAY
                    ? "the input holds none"
                    : "is the interface up, is it the mirror port, is there traffic?");
    } else if (r->filter_unsupported == received) {
        fprintf(stderr, "wirespool: 0 packets left of %" PRIu64
                        ": the filter expression has no meaning on this link type\n",
                received);
    } else if (ws_count_get(&r->sum, WS_C_FILTERED) == received) {
        fprintf(stderr,
                "wirespool: 0 packets left of %" PRIu64
                ": the filter expression or time range matches none (on VLAN-tagged traffic write "
                "'vlan and ...')\n",
                received);
    } else if (ws_count_get(&r->sum, WS_C_FLOWS_CREATED) && !ws_count_get(&r->sum, WS_C_FLOWS_SELECTED)) {
        fprintf(stderr, "wirespool: none of %" PRIu64 " flows is selected:%s%s%s%s%s%s match%s none\n",
                ws_count_get(&r->sum, WS_C_FLOWS_CREATED), r->o->port.n ? " --port" : "",
                r->o->not_port.n ? " --not-port" : "", r->o->host.n ? " --host" : "",
                r->o->tuple.n ? " --tuple" : "", r->o->community_id.n ? " --community-id" : "",
                r->o->flow.n ? " --flow" : "", selectors(r->o) == 1 ? "es" : "");
    }
}

/* Each thread's own part of the counters: with a queue each, those are the queues'. */
static unsigned ledger_parts(const struct run *r, struct ws_ledger_part *part)
{
    static const char *const kinds[] = {"worker", "receiver", "writer"};
    const unsigned n[] = {r->ec.workers, r->ec.receivers, r->ec.n_writer};
    unsigned t = 0;
    for (unsigned k = 0; k < WS_ARRAY_SIZE(kinds); k++)
        for (unsigned i = 0; i < n[k]; i++, t++)
            part[t] = (struct ws_ledger_part){kinds[k], i, ws_engine_thread_counters(r->engine, t)};
    return t;
}

/* Memory by flow, all in, of tables as large as they are. */
static double bytes_per_flow(const struct run *r)
{
    struct ws_engine_gauges g;
    ws_engine_gauges(r->engine, &g);
    return g.flows_max ? (double)g.flow_bytes / (double)g.flows_max : 0;
}

/* More members of the statistics: memory by flow; what each receive queue of the devices gave and lost. */
static char *more_json(const struct run *r)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return NULL;
    fprintf(f, ",\"bytes_per_flow\":%.1f", bytes_per_flow(r));
#if WS_HAVE_DPDK
    fputs(r->n_port ? ",\"queues\":[" : "", f);
    for (unsigned i = 0, n = 0; i < r->n_port; i++) {
        for (uint16_t q = 0; q < ws_port_info(r->port[i])->queues; q++, n++) {
            struct ws_port_queue_counts c;
            ws_port_queue_counts(r->port[i], q, &c);
            fprintf(f, "%s{\"device\":%u,\"queue\":%u,\"packets\":%" PRIu64 ",\"missed\":", n ? "," : "", i, q, c.packets);
            if (c.missed == UINT64_MAX)
                fputs("null", f);
            else
                fprintf(f, "%" PRIu64, c.missed);
            fprintf(f, ",\"shed_steer\":%" PRIu64 ",\"shed_other\":%" PRIu64 "}", c.shed_steer, c.shed_other);
        }
    }
    fputs(r->n_port ? "]" : "", f);
#endif
    if (fclose(f) == 0)
        return text;
    free(text);
    return NULL;
}

static void print_stats_json(struct run *r, FILE *f)
{
    static struct ws_ledger_part part[WS_WORKERS_MAX + WS_RECEIVERS_MAX + WS_WRITERS_MAX];
    char *more = more_json(r);
    ws_ledger_print_json(f, &r->sum, part, ledger_parts(r, part), more ? more : "");
    free(more);
}

static int print_stats(struct run *r)
{
    int code = 0;
    if (r->o->stats) {
        ws_ledger_print(stderr, &r->sum);
        fprintf(stderr, "memory: %.1f bytes a flow\n", bytes_per_flow(r));
    }
    if (!r->o->stats_json)
        return code;
    FILE *f = r->stats_json ? r->stats_json : stderr;
    r->stats_json = NULL;
    print_stats_json(r, f);
    bool bad = ferror(f);
    if ((f != stderr && fclose(f) != 0) || bad) {
        fprintf(stderr, "wirespool: %s: %s\n", r->o->stats_json, strerror(errno));
        code = 3;
    }
    return code;
}

/* A line for each cause of loss that is ours. */
static void say_losses(const struct run *r)
{
    for (const enum ws_counter *c = ws_ledger_losses; *c != WS_C_COUNT; c++) {
        uint64_t n = ws_count_get(&r->sum, *c);
        if (n)
            fprintf(stderr, "wirespool: lost %" PRIu64 " %s: %s\n", n, ws_counter_info[*c].unit,
                    ws_counter_info[*c].help);
    }
}

int run_verdict(struct run *r)
{
    struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS];
    int code = print_stats(r);

    if (!r->o->quiet)
        explain_nothing(r);
    for (unsigned i = 0; i < r->out.n_writer; i++) {
        const char *first = ws_writer_first_error(r->out.writer[i]);
        bool said = false; /* by another writer of the same place */
        for (unsigned k = 0; k < i && first; k++)
            said |= strcmp(first, ws_writer_first_error(r->out.writer[k])) == 0;
        if (first && *first)
            code = WS_MAX(code, 1);
        bool exists = first && strstr(first, strerror(EEXIST));
        if (exists && ws_count_get(&r->sum, WS_C_OUT_EXISTS))
            continue; /* a line of its own */
        if (first && *first && !said)
            fprintf(stderr, "wirespool: first write error: %s%s\n", first,
                    exists ? " (--overwrite replaces what is there)" : "");
    }
    if (ws_ledger_lost(&r->sum)) {
        say_losses(r);
        code = WS_MAX(code, 1);
    }
    if (r->interval && interval_stats_failed(r->interval))
        code = WS_MAX(code, 1);
    if (r->report_failed)
        code = WS_MAX(code, 1);
    if (outputs_all_failed(&r->out))
        code = 3;
    if (r->aborted) {
        fprintf(stderr, "wirespool: aborted: output is incomplete\n");
        code = WS_MAX(code, 1);
    } else if (ws_ledger_check(&r->sum, eq)) {
        for (unsigned i = 0; i < WS_LEDGER_EQUATIONS; i++)
            if (eq[i].left != eq[i].right)
                fprintf(stderr, "wirespool: ledger mismatch: %s: %" PRIu64 " != %" PRIu64 "\n",
                        eq[i].name, eq[i].left, eq[i].right);
        code = WS_MAX(code, 1);
    }
    if (r->damaged)
        code = WS_MAX(code, 1);
    int drawn = chart_finish(r);
    return WS_MAX(code, drawn);
}

uint64_t run_written_bytes(const struct run *r, enum ws_counter handed, const struct ws_output *o)
{
    uint64_t n = ws_count_get(&r->sum, handed), bytes = 0, records;
    if (o)
        ws_output_lost(o, &bytes, &records);
    return n - WS_MIN(n, bytes);
}

uint64_t run_written_packets(const struct run *r, enum ws_counter handed, const struct ws_output *o)
{
    uint64_t n = ws_count_get(&r->sum, handed), bytes, records = 0;
    if (o)
        ws_output_lost(o, &bytes, &records);
    return n - WS_MIN(n, records);
}

FILE *run_text_out(const struct run *r)
{
    const struct options *o = r->o;
    const char *const path[] = {o->out, o->pcap, o->streams, o->flows_out, o->report};
    bool taken = o->csv || (o->console >= 0 && !o->console_out);
    for (size_t i = 0; i < WS_ARRAY_SIZE(path); i++)
        taken |= path[i] && strcmp(path[i], "-") == 0;
    return taken ? stderr : stdout;
}

static void remove_scratch(struct run *r)
{
    DIR *d = r->scratch ? opendir(r->scratch) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d) {
        closedir(d);
        rmdir(r->scratch);
    }
    free(r->scratch);
}

void run_fini(struct run *r)
{
    if (r->engine) {
        ws_engine_destroy(r->engine);
    } else {
        for (unsigned i = 0; i < r->ec.n_source; i++)
            r->ec.source[i].source->ops->close(r->ec.source[i].source);
    }
#if WS_HAVE_DPDK
    for (unsigned i = 0; i < r->n_port; i++)
        ws_port_close(r->port[i]);
#endif
    post_fini(r);
    outputs_fini(&r->out);
    if (r->ec.runtime)
        ws_runtime_stop(r->ec.runtime);
    plan_free(&r->ec);
    if (r->stats_json)
        fclose(r->stats_json);
    interval_stats_destroy(r->interval);
    free(r->paths);
    remove_scratch(r);
}
