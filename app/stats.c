/* SPDX-License-Identifier: BSD-3-Clause */
/* --stats-interval: what happens now, a line each interval, as text or JSON.
 *
 * Only the main thread works here, on counters and ring positions that the other threads keep anyway. */
#include "app/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/progress.h"
#include "app/run.h"
#include "engine/forecast.h"
#include "engine/ledger.h"
#include "format/text.h"
#include "ws_config.h"
#if WS_HAVE_DPDK
#include "source/port.h"
#endif

#define LINE_BYTES   16384u /* a line grows when it must */
#define THREADS_MAX  (WS_WORKERS_MAX + WS_RECEIVERS_MAX + WS_WRITERS_MAX)
#define OUTPUTS_SHOWN  6u /* pcap, streams, flows, rest, console, metadata */

/* One look at everything. */
struct sample {
    int64_t steady_ns, real_ns;
    struct ws_counters count;
    struct ws_engine_gauges gauge;
    unsigned n_out;
    struct {
        const char *name;
        struct ws_output_gauges g;
    } out[OUTPUTS_SHOWN];
    uint64_t mbufs, mbufs_used;
    struct ws_busy_look busy[THREADS_MAX]; /* workers, receivers, writers */
};

struct interval_stats {
    const struct run *run;
    FILE *file; /* NULL: standard error */
    bool json, failed;
    int64_t interval_ns, start_ns, due_ns;
    struct sample before, now;
    char *line;
    size_t line_bytes;
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static unsigned threads(const struct run *r)
{
    return r->ec.workers + r->ec.receivers + r->ec.n_writer;
}

/* What a thread is, and its number among those. */
static const char *thread_kind(const struct run *r, unsigned t, unsigned *number)
{
    *number = t;
    if (t < r->ec.workers)
        return "worker";
    *number -= r->ec.workers;
    if (*number < r->ec.receivers)
        return "receiver";
    *number -= r->ec.receivers;
    return "writer";
}

static void look(const struct run *r, struct sample *s)
{
    const struct {
        const char *name;
        struct ws_output *o;
    } outs[OUTPUTS_SHOWN] = {{"pcap", r->out.pcap}, {"streams", r->out.streams}, {"flows", r->out.flows},
                             {"rest", r->out.rest}, {"console", r->out.console}, {"metadata", r->out.metadata}};
    s->steady_ns = clock_ns(CLOCK_MONOTONIC);
    s->real_ns = clock_ns(CLOCK_REALTIME);
    ws_engine_counters(r->engine, &s->count);
    ws_engine_gauges(r->engine, &s->gauge);
    s->n_out = 0;
    for (unsigned i = 0; i < OUTPUTS_SHOWN; i++) {
        if (!outs[i].o)
            continue;
        s->out[s->n_out].name = outs[i].name;
        ws_output_gauges(outs[i].o, &s->out[s->n_out++].g);
    }
    for (unsigned t = 0; t < threads(r); t++)
        s->busy[t] = ws_engine_thread_busy(r->engine, t);
    s->mbufs = s->mbufs_used = 0;
#if WS_HAVE_DPDK
    for (unsigned i = 0; i < r->n_port; i++) {
        s->mbufs += ws_port_info(r->port[i])->mbufs;
        s->mbufs_used += ws_port_mbufs_used(r->port[i]);
    }
#endif
}

int interval_stats_create(struct interval_stats **out, const struct run *r, FILE *f)
{
    struct interval_stats *s = calloc(1, sizeof(*s));
    if (!s || !(s->line = malloc(LINE_BYTES))) {
        free(s);
        fprintf(stderr, "wirespool: --stats-interval: out of memory\n");
        if (f)
            fclose(f);
        return 3;
    }
    s->run = r;
    s->line_bytes = LINE_BYTES;
    s->file = f;
    s->json = r->o->stats_interval_json != NULL;
    s->interval_ns = r->o->stats_interval ? r->o->stats_interval : 1000000000;
    *out = s;
    return 0;
}

/* What a counter grew by in the interval. Bytes written are taken back when the end of a file is lost: that is no growth. */
static uint64_t grew(const struct interval_stats *s, enum ws_counter c)
{
    uint64_t now = ws_count_get(&s->now.count, c), before = ws_count_get(&s->before.count, c);
    return now > before ? now - before : 0;
}

/* Seconds until output i drops, of which the fullest channel is the measure. Who may wait drops nothing. */
static double drops_in_s(const struct interval_stats *s, unsigned i, double dt)
{
    const struct ws_output_gauges *g = &s->now.out[i].g, *b = &s->before.out[i].g;
    if (g->may_wait)
        return WS_FORECAST_NEVER;
    /* A channel's share of the rates is not known: as if the fullest one took them all. */
    return ws_forecast_s(g->least_free, g->taken - b->taken, g->given_back - b->given_back, dt);
}

/* What parts of the interval a thread worked, by its loop, and had a CPU. */
static void busy_shares(const struct interval_stats *s, unsigned t, double dt, double *busy, double *cpu)
{
    *busy = ws_busy_share(&s->before.busy[t], &s->now.busy[t]);
    *cpu = (double)(s->now.busy[t].cpu_ns - s->before.busy[t].cpu_ns) / 1e9 / dt;
}

static void text_line(struct interval_stats *s, struct ws_text *t, double dt)
{
    char buf[256];
    const struct ws_engine_gauges *g = &s->now.gauge;
    double first = WS_FORECAST_NEVER;
    uint64_t lost = 0;

    for (const enum ws_counter *c = ws_ledger_losses; *c != WS_C_COUNT; c++)
        lost += grew(s, *c);
    snprintf(buf, sizeof(buf), "stats %.1f s: %.3f Mpps, %.3f Gbit/s, disk %.1f MB/s, lost %" PRIu64 " (+%" PRIu64 ")",
             (double)(s->now.steady_ns - s->start_ns) / 1e9, (double)grew(s, WS_C_RX_PACKETS) / dt / 1e6,
             (double)grew(s, WS_C_RX_WIRE_BYTES) * 8 / dt / 1e9, (double)grew(s, WS_C_WRITE_BYTES) / dt / 1e6,
             ws_ledger_lost(&s->now.count), lost);
    ws_text_puts(t, buf);
    for (const enum ws_counter *c = ws_ledger_losses; *c != WS_C_COUNT; c++)
        if (grew(s, *c)) {
            snprintf(buf, sizeof(buf), " %s +%" PRIu64, ws_counter_info[*c].name, grew(s, *c));
            ws_text_puts(t, buf);
        }
    snprintf(buf, sizeof(buf), "; flows %" PRIu64 " of %" PRIu64 ", held %.1f %%, fragments %.1f %%", g->flows, g->flows_max,
             g->held_bytes_max ? 100.0 * (double)g->held_bytes / (double)g->held_bytes_max : 0,
             g->frag_bytes_max ? 100.0 * (double)g->frag_bytes / (double)g->frag_bytes_max : 0);
    ws_text_puts(t, buf);
    if (g->steer_slots) {
        snprintf(buf, sizeof(buf), ", steering %.1f %% (fullest %.1f %%)",
                 100.0 * (double)g->steer_used / (double)g->steer_slots, 100.0 * g->steer_fullest);
        ws_text_puts(t, buf);
    }
    if (s->now.mbufs) {
        snprintf(buf, sizeof(buf), ", mbufs %.1f %%", 100.0 * (double)s->now.mbufs_used / (double)s->now.mbufs);
        ws_text_puts(t, buf);
    }
    ws_text_puts(t, ", busy");
    for (unsigned i = 0, n; i < threads(s->run); i++) {
        double busy, cpu;
        const char *kind = thread_kind(s->run, i, &n);
        busy_shares(s, i, dt, &busy, &cpu);
        snprintf(buf, sizeof(buf), " %s %u %.0f %%", kind, n, 100 * WS_MIN(busy, cpu));
        ws_text_puts(t, buf);
    }
    for (unsigned i = 0; i < s->now.n_out; i++) {
        const struct ws_output_gauges *o = &s->now.out[i].g;
        snprintf(buf, sizeof(buf), "%s%s blocks %.1f %% full%s", i ? ", " : "; ", s->now.out[i].name,
                 100.0 - 100.0 * (double)o->blocks_free / (double)o->blocks, o->suspended ? " (suspended)" : "");
        ws_text_puts(t, buf);
        first = ws_forecast_sooner(first, drops_in_s(s, i, dt));
    }
    if (first >= 0)
        snprintf(buf, sizeof(buf), "; drops in %.1f s", first);
    else
        snprintf(buf, sizeof(buf), "; drops never");
    ws_text_puts(t, s->now.n_out ? buf : "");
}

static void json_seconds(char *buf, size_t len, double s)
{
    if (s < 0)
        snprintf(buf, len, "null");
    else
        snprintf(buf, len, "%.3f", s);
}

static void json_outputs(struct interval_stats *s, struct ws_text *t, double dt)
{
    char buf[512], in[32];
    double first = WS_FORECAST_NEVER;
    ws_text_puts(t, ",\"outputs\":[");
    for (unsigned i = 0; i < s->now.n_out; i++) {
        const struct ws_output_gauges *o = &s->now.out[i].g, *b = &s->before.out[i].g;
        double sec = drops_in_s(s, i, dt);
        first = ws_forecast_sooner(first, sec);
        json_seconds(in, sizeof(in), sec);
        snprintf(buf, sizeof(buf),
                 "%s{\"output\":\"%s\",\"blocks\":%" PRIu64 ",\"blocks_free\":%" PRIu64 ",\"least_free\":%" PRIu64
                 ",\"blocks_each\":%" PRIu64 ",\"block_bytes\":%" PRIu32
                 ",\"fill_per_s\":%.3f,\"drain_per_s\":%.3f,\"waits\":%s,\"suspended\":%s,\"drops_in_s\":%s}",
                 i ? "," : "", s->now.out[i].name, o->blocks, o->blocks_free, o->least_free, o->blocks_each, o->block_bytes,
                 (double)(o->taken - b->taken) / dt, (double)(o->given_back - b->given_back) / dt,
                 o->may_wait ? "true" : "false", o->suspended ? "true" : "false", in);
        ws_text_puts(t, buf);
    }
    json_seconds(in, sizeof(in), first);
    snprintf(buf, sizeof(buf), "],\"drops_in_s\":%s", in);
    ws_text_puts(t, buf);
}

static void json_threads(struct interval_stats *s, struct ws_text *t, double dt)
{
    char buf[128];
    ws_text_puts(t, ",\"threads\":[");
    for (unsigned i = 0, n; i < threads(s->run); i++) {
        double busy, cpu;
        const char *kind = thread_kind(s->run, i, &n);
        busy_shares(s, i, dt, &busy, &cpu);
        snprintf(buf, sizeof(buf), "%s{\"thread\":\"%s\",\"number\":%u,\"busy\":%.4f,\"cpu\":%.4f}", i ? "," : "", kind, n,
                 busy, cpu);
        ws_text_puts(t, buf);
    }
    ws_text_putc(t, ']');
}

static void json_line(struct interval_stats *s, struct ws_text *t, double dt, bool end)
{
    char buf[512];
    const struct ws_engine_gauges *g = &s->now.gauge;
    const struct ws_counters *c = &s->now.count;
    snprintf(buf, sizeof(buf),
             "{\"time\":%" PRId64 ".%09" PRId64 ",\"interval_s\":%.6f,\"end\":%s,\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64
             ",\"packets_per_s\":%.1f,\"bits_per_s\":%.1f,\"disk_bytes\":%" PRIu64 ",\"disk_bytes_per_s\":%.1f,\"drops\":{",
             s->now.real_ns / 1000000000, s->now.real_ns % 1000000000, dt, end ? "true" : "false",
             ws_count_get(c, WS_C_RX_PACKETS), ws_count_get(c, WS_C_RX_WIRE_BYTES),
             (double)grew(s, WS_C_RX_PACKETS) / dt, (double)grew(s, WS_C_RX_WIRE_BYTES) * 8 / dt,
             ws_count_get(c, WS_C_WRITE_BYTES), (double)grew(s, WS_C_WRITE_BYTES) / dt);
    ws_text_puts(t, buf);
    for (const enum ws_counter *l = ws_ledger_losses; *l != WS_C_COUNT; l++) {
        snprintf(buf, sizeof(buf), "%s\"%s\":{\"interval\":%" PRIu64 ",\"total\":%" PRIu64 "}", l == ws_ledger_losses ? "" : ",",
                 ws_counter_info[*l].name, grew(s, *l), ws_count_get(c, *l));
        ws_text_puts(t, buf);
    }
    snprintf(buf, sizeof(buf),
             "},\"flows\":{\"used\":%" PRIu64 ",\"max\":%" PRIu64 "},\"held_bytes\":{\"used\":%" PRIu64 ",\"max\":%" PRIu64
             "},\"fragment_bytes\":{\"used\":%" PRIu64 ",\"max\":%" PRIu64 "},\"steering\":{\"used\":%" PRIu64
             ",\"max\":%" PRIu64 ",\"fullest\":%.4f},\"mbufs\":{\"used\":%" PRIu64 ",\"max\":%" PRIu64 "}",
             g->flows, g->flows_max, g->held_bytes, g->held_bytes_max, g->frag_bytes, g->frag_bytes_max, g->steer_used,
             g->steer_slots, g->steer_fullest, s->now.mbufs_used, s->now.mbufs);
    ws_text_puts(t, buf);
    json_threads(s, t, dt);
    json_outputs(s, t, dt);
    ws_text_putc(t, '}');
}

void interval_stats_begin(struct interval_stats *s)
{
    look(s->run, &s->before);
    s->start_ns = s->before.steady_ns;
    s->due_ns = s->start_ns + s->interval_ns;
}

static bool grow_line(struct interval_stats *s)
{
    char *more = realloc(s->line, 2 * s->line_bytes);
    if (!more)
        return false;
    s->line = more;
    s->line_bytes *= 2;
    return true;
}

void interval_stats_tick(struct interval_stats *s, struct progress *p, bool end)
{
    struct ws_text t;
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (now < s->due_ns && !end)
        return;
    look(s->run, &s->now);
    double dt = WS_MAX((double)(s->now.steady_ns - s->before.steady_ns) / 1e9, 1e-9);
    bool whole;
    do {
        ws_text_init(&t, s->line, s->line_bytes);
        if (s->json)
            json_line(s, &t, dt, end);
        else
            text_line(s, &t, dt);
        whole = ws_text_end(&t) > 0;
    } while (!whole && grow_line(s));
    if (!whole)
        s->failed = true;
    else if (!s->file)
        progress_print(p, s->line);
    else if (fprintf(s->file, "%s\n", s->line) < 0 || fflush(s->file) != 0)
        s->failed = true;
    s->before = s->now;
    s->due_ns += s->interval_ns;
    if (s->due_ns <= now) /* the machine slept: no lines are made up for */
        s->due_ns = now + s->interval_ns;
}

bool interval_stats_failed(struct interval_stats *s)
{
    if (s->file && fclose(s->file) != 0)
        s->failed = true;
    s->file = NULL;
    if (s->failed)
        fprintf(stderr, "wirespool: %s: statistics could not be written\n", s->run->o->stats_interval_json);
    bool failed = s->failed;
    s->failed = false;
    return failed;
}

void interval_stats_destroy(struct interval_stats *s)
{
    if (s && s->file)
        fclose(s->file);
    if (s)
        free(s->line);
    free(s);
}
