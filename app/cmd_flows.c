/* SPDX-License-Identifier: BSD-3-Clause */
/* wirespool flows: lists the conversations of captures. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/archive.h"
#include "app/commands.h"
#include "app/flowlist.h"
#include "app/ssids.h"

enum { SORT_BYTES, SORT_PACKETS, SORT_START, SORT_DURATION, SORT_ID };

static uint64_t first_id(const struct ws_flow_record *r)
{
    return r->flow_id[r->orig] ? r->flow_id[r->orig] : r->flow_id[!r->orig];
}

/* The larger comes first; equal ones by FlowID. */
static int descending(uint64_t a, uint64_t b, const struct ws_flow_record *x,
                      const struct ws_flow_record *y)
{
    if (a != b)
        return a > b ? -1 : 1;
    return first_id(x) < first_id(y) ? -1 : first_id(x) > first_id(y);
}

static int by_bytes(const void *a, const void *b)
{
    const struct ws_flow_record *x = *(struct ws_flow_record *const *)a;
    const struct ws_flow_record *y = *(struct ws_flow_record *const *)b;
    return descending(x->bytes[0] + x->bytes[1], y->bytes[0] + y->bytes[1], x, y);
}

static int by_packets(const void *a, const void *b)
{
    const struct ws_flow_record *x = *(struct ws_flow_record *const *)a;
    const struct ws_flow_record *y = *(struct ws_flow_record *const *)b;
    return descending(x->packets[0] + x->packets[1], y->packets[0] + y->packets[1], x, y);
}

/* Stamps of a capture may go back: then the duration is 0. */
static uint64_t duration_ns(const struct ws_flow_record *r)
{
    int64_t a = ws_flow_record_start_ns(r), b = ws_flow_record_end_ns(r);
    return b > a ? (uint64_t)b - (uint64_t)a : 0;
}

static int by_duration(const void *a, const void *b)
{
    const struct ws_flow_record *x = *(struct ws_flow_record *const *)a;
    const struct ws_flow_record *y = *(struct ws_flow_record *const *)b;
    return descending(duration_ns(x), duration_ns(y), x, y);
}

static int by_start(const void *a, const void *b)
{
    const struct ws_flow_record *x = *(struct ws_flow_record *const *)a;
    const struct ws_flow_record *y = *(struct ws_flow_record *const *)b;
    int64_t s = ws_flow_record_start_ns(x), t = ws_flow_record_start_ns(y);
    if (s != t)
        return s < t ? -1 : 1;
    return descending(0, 0, x, y);
}

static int by_id(const void *a, const void *b)
{
    return descending(0, 0, *(struct ws_flow_record *const *)a, *(struct ws_flow_record *const *)b);
}

/* Drops what is not to be shown: not selected, fully filtered, too few packets. */
static size_t keep_shown(struct ws_flow_record **rec, size_t n, uint64_t packets_min)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t packets = rec[i]->packets[0] + rec[i]->packets[1];
        if (rec[i]->selected && packets && packets >= packets_min)
            rec[kept++] = rec[i];
    }
    return kept;
}

static void print_lines(const struct options *o, struct ws_flow_record **rec, size_t n)
{
    char buf[WS_RECORD_LINE_MAX + 1], id[48];
    struct ws_text t;

    ws_text_init(&t, buf, WS_RECORD_LINE_MAX);
    if (o->csv) {
        ws_record_csv_header(&t);
        fwrite(buf, 1, t.len, stdout);
    }
    for (size_t i = 0; i < n; i++) {
        outputs_community_id(rec[i], 0, id);
        ws_text_init(&t, buf, WS_RECORD_LINE_MAX);
        if (o->csv)
            ws_record_csv(&t, rec[i], id);
        else
            ws_record_json(&t, rec[i], id);
        fwrite(buf, 1, t.len, stdout);
    }
}

static void print_table(struct ws_flow_record **rec, size_t shown, size_t all)
{
    struct ws_record_table table = {0};
    char buf[2 * WS_RECORD_ROW_MAX];
    struct ws_text t;

    for (size_t i = 0; i < shown; i++)
        ws_record_table_measure(&table, rec[i]);
    ws_text_init(&t, buf, sizeof(buf));
    ws_record_table_header(&t, &table);
    if (shown)
        fwrite(buf, 1, t.len, stdout);
    for (size_t i = 0; i < shown; i++) {
        ws_text_init(&t, buf, sizeof(buf));
        ws_record_table_row(&t, &table, rec[i]);
        fwrite(buf, 1, t.len, stdout);
    }
    if (shown < all)
        printf("... and %zu more conversations: --all shows them\n", all - shown);
}

static void print_summary(const struct run *r, size_t conversations)
{
    double s = (double)r->elapsed_ns / 1e9;
    uint64_t packets = ws_count_get(&r->sum, WS_C_RX_PACKETS);
    uint64_t bytes = ws_count_get(&r->sum, WS_C_RX_WIRE_BYTES);
    fflush(stdout); /* where both go to one place the table comes first */
    fprintf(stderr,
            "%" PRIu64 " packets, %" PRIu64 " bytes, %zu conversations in %.3f s (%.2f Mpps, %.2f "
            "Gbit/s)\n",
            packets, bytes, conversations, s, s > 0 ? (double)packets / s / 1e6 : 0,
            s > 0 ? (double)bytes * 8 / s / 1e9 : 0);
}

static void print_flows(struct run *r, struct flow_list *l)
{
    static int (*const order[])(const void *, const void *) = {
        [SORT_BYTES] = by_bytes,       [SORT_PACKETS] = by_packets, [SORT_START] = by_start,
        [SORT_DURATION] = by_duration, [SORT_ID] = by_id,
    };
    const struct options *o = r->o;
    bool machine = o->json || o->csv;
    size_t n = keep_shown(l->rec, l->n, o->packets_min);
    /* Machine output is whole and in order of FlowIDs unless something else was asked for. */
    bool whole = o->all || (machine && o->top == WS_UNSET);
    uint64_t top = o->top == WS_UNSET ? 50 : o->top;
    size_t shown = whole ? n : (size_t)WS_MIN(top, (uint64_t)n);
    int sort = o->sort >= 0 ? o->sort : machine && whole ? SORT_ID : SORT_BYTES;

    qsort(l->rec, n, sizeof(struct ws_flow_record *), order[sort]);
    if (machine)
        print_lines(o, l->rec, shown);
    else
        print_table(l->rec, shown, n);
    if (!o->quiet && !machine)
        print_summary(r, n);
}

int cmd_flows(struct options *o)
{
    struct first_pass fp = {0};
    struct flow_list l = {0};
    struct archive_input in;
    struct run r;
    char spool[32];
    int code, verdict;

    if (o->json && o->csv) {
        fprintf(stderr, "wirespool flows: --json or --csv, not both\n");
        return 2;
    }
    if ((code = archive_open(&in, o, CMD_FLOWS))) {
        archive_close(&in);
        return code;
    }
    if (o->flow.n && !in.archive) {
        if ((code = spool_stdin(o, spool, sizeof(spool))) || (code = first_pass_run(&fp, o)))
            return code;
    }
    code = run_init(&r, o, CMD_FLOWS, "flows");
    if (!code) {
        r.ec.filter_late = true;
        if (o->flow.n && !in.archive)
            first_pass_apply(&fp, &r);
        r.out.want_records = r.out.record_lengths = !in.archive;
        code = in.archive ? archive_attach(&in, &r) : run_open_files(&r);
    }
    if (!code)
        code = run_execute(&r);
    if (!code) {
        verdict = run_verdict(&r);
        code = in.archive ? archive_verdict(&in) : flow_list_gather(&l, &r);
        if (in.archive || !code)
            print_flows(&r, in.archive ? &in.list : &l);
        int listed = ssids_print(&r);
        code = WS_MAX(code, listed);
        code = WS_MAX(code, verdict);
    }
    flow_list_free(&l);
    run_fini(&r);
    archive_close(&in);
    first_pass_free(&fp);
    return code;
}
