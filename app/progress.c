/* SPDX-License-Identifier: BSD-3-Clause */
/* The progress line on standard error. */
#include "app/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/ledger.h"

static struct progress *current; /* whose line log messages must clear; main thread sets it before threads start */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void log_over_progress(enum ws_log_level level, const char *line)
{
    (void)level;
    fprintf(stderr, "%swirespool: %s\n", current && current->on ? "\r\033[K" : "", line);
}

void progress_init(struct progress *p, bool quiet)
{
    *p = (struct progress){.on = !quiet && isatty(2)};
    p->start_ns = p->last_ns = now_ns();
    current = p;
    ws_log_sink = log_over_progress;
}

/* "1h02m", "3m05s" or "42s". */
static void format_eta(char *buf, size_t len, double s)
{
    long t = (long)s;
    if (t >= 3600)
        snprintf(buf, len, "%ldh%02ldm", t / 3600, t / 60 % 60);
    else if (t >= 60)
        snprintf(buf, len, "%ldm%02lds", t / 60, t % 60);
    else
        snprintf(buf, len, "%lds", t);
}

void progress_update(struct progress *p, struct ws_engine *e)
{
    struct ws_counters sum;
    struct ws_engine_gauges g;
    char head[64] = "";
    int64_t now = now_ns();

    if (!p->on || now - p->last_ns < 250000000)
        return;
    double dt = (double)(now - p->last_ns) / 1e9;
    ws_engine_counters(e, &sum);
    ws_engine_gauges(e, &g);
    uint64_t packets = ws_count_get(&sum, WS_C_RX_PACKETS);
    uint64_t bytes = ws_count_get(&sum, WS_C_RX_WIRE_BYTES);
    if (g.bytes_total) {
        char eta[32];
        double part = (double)g.bytes_done / (double)g.bytes_total;
        double spent = (double)(now - p->start_ns) / 1e9;
        format_eta(eta, sizeof(eta), part > 0.001 ? spent / part - spent : 0);
        snprintf(head, sizeof(head), "%5.1f %% ETA %s  ", part * 100, eta);
    }
    fprintf(stderr, "\r\033[K%s%.2f Mpps  %.2f Gbit/s  %" PRIu64 " packets  %" PRIu64 " flows  %" PRIu64 " lost%s",
            head, (double)(packets - p->last_packets) / dt / 1e6,
            (double)(bytes - p->last_bytes) * 8 / dt / 1e9, packets, g.flows,
            ws_ledger_lost(&sum), g.stopping ? "  finishing" : "");
    fflush(stderr);
    p->shown = true;
    p->last_ns = now;
    p->last_packets = packets;
    p->last_bytes = bytes;
}

void progress_print(struct progress *p, const char *line)
{
    fprintf(stderr, "%s%s\n", p->shown ? "\r\033[K" : "", line);
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->on = p->shown = false;
    current = NULL;
}
