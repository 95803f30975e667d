/* SPDX-License-Identifier: BSD-3-Clause */
/* The report of finished stream files. */
#include "app/streamreport.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/flowlist.h"
#include "app/run.h"
#include "format/json.h"
#include "post/post.h"
#include "sink/stream.h"

#define LINES_MAX_DEFAULT (UINT64_C(1) << 24)
/* A listed gap: two numbers of 20 digits, a cause, punctuation. */
#define GAP_TEXT_MAX   64u
#define LINE_MAX_BYTES (1024u * 6 + 2048u + 2 * STREAM_REPORT_GAPS * GAP_TEXT_MAX)

int stream_report_init(struct stream_report *rep, uint64_t lines_max)
{
    rep->lines_max = lines_max ? lines_max : LINES_MAX_DEFAULT;
    rep->room = 64;
    rep->line = malloc(rep->room * sizeof(*rep->line));
    rep->buf = malloc(LINE_MAX_BYTES);
    return rep->line && rep->buf ? 0 : -ENOMEM;
}

void stream_report_fini(struct stream_report *rep)
{
    for (size_t i = 0; i < rep->n; i++)
        free(rep->line[i].text);
    free(rep->line);
    free(rep->buf);
}

/* The gaps of direction d that the record lists; the rest as a number. */
static void json_gaps(struct ws_json *j, const char *const key[2],
                      const struct ws_stream_record *rec, unsigned d, bool list)
{
    uint32_t listed = list ? rec->gaps_listed[d] : 0;
    ws_json_key(j, key[0]);
    ws_json_array(j);
    for (uint32_t n = 0, i = rec->gap_first[d]; n < listed; n++, i = rec->gap[i].next) {
        const struct ws_stream_gap *g = &rec->gap[i];
        ws_json_array(j);
        ws_json_u64(j, g->off);
        ws_json_u64(j, g->len);
        ws_json_strz(j, ws_gap_cause_name((enum ws_gap_cause)g->cause));
        ws_json_array_end(j);
    }
    ws_json_array_end(j);
    if (rec->gaps[d] > listed) {
        ws_json_key(j, key[1]);
        ws_json_u64(j, rec->gaps[d] - listed);
    }
}

static void json_pair(struct ws_json *j, const char *key, const uint64_t v[2], unsigned dir,
                      bool joined)
{
    ws_json_key(j, key);
    ws_json_u64(j, joined ? v[0] + v[1] : v[dir]);
}

/* One finished stream file as a line of JSON (docs/formats/streams-report.md). */
static void stream_json(struct ws_text *t, const struct ws_stream_record *rec, bool list)
{
    const struct ws_flow *f = rec->flow;
    const uint64_t gaps[2] = {rec->gaps[0], rec->gaps[1]};
    unsigned d = rec->dir;
    struct ws_json j;

    ws_json_init(&j, t);
    ws_json_object(&j);
    ws_json_key(&j, "file");
    ws_json_strz(&j, rec->path);
    ws_json_key(&j, "first_ordinal");
    ws_json_u64(&j, ws_flow_first(f)->ordinal[d]);
    ws_json_key(&j, "proto");
    if (ws_proto_name(f->key.proto))
        ws_json_strz(&j, ws_proto_name(f->key.proto));
    else
        ws_json_u64(&j, f->key.proto);
    for (unsigned end = 0; end < 2; end++) {
        unsigned e = end ? !d : d;
        char addr[64];
        struct ws_text a;
        ws_text_init(&a, addr, sizeof(addr));
        ws_text_addr(&a, f->key.addr[e], f->key.ip_version);
        ws_text_end(&a);
        ws_json_key(&j, end ? "dst" : "src");
        ws_json_strz(&j, addr);
        ws_json_key(&j, end ? "dst_port" : "src_port");
        ws_json_u64(&j, f->key.port[e]);
    }
    ws_json_key(&j, "both_directions");
    ws_json_bool(&j, rec->joined);
    ws_json_key(&j, "first_ts_ns");
    ws_json_ns_str(&j, rec->first_ts_ns);
    ws_json_key(&j, "last_ts_ns");
    ws_json_ns_str(&j, rec->last_ts_ns);
    ws_json_key(&j, "file_bytes");
    ws_json_u64(&j, rec->file_bytes);
    json_pair(&j, "bytes", rec->data_bytes, d, rec->joined);
    json_pair(&j, "gaps", gaps, d, rec->joined);
    json_pair(&j, "gap_bytes", rec->gap_bytes, d, rec->joined);
    ws_json_key(&j, "shed_bytes");
    ws_json_u64(&j, rec->shed_bytes);
    json_gaps(&j, (const char *const[2]){"gap_list", "gap_list_more"}, rec, d, list);
    if (rec->joined)
        json_gaps(&j, (const char *const[2]){"back_gap_list", "back_gap_list_more"}, rec, !d, list);
    ws_json_object_end(&j);
    ws_text_putc(t, '\n');
}

/* Room for one more line. */
static bool make_room(struct stream_report *rep)
{
    if (rep->n >= rep->lines_max)
        return false;
    if (rep->n == rep->room) {
        struct stream_line *more = realloc(rep->line, rep->room * 2 * sizeof(*more));
        if (!more)
            return false;
        rep->line = more;
        rep->room *= 2;
    }
    return true;
}

void stream_report_closed(struct stream_report *rep, const struct ws_stream_record *rec, uint64_t serial)
{
    struct ws_text t;
    char *text = NULL;

    rep->files++;
    rep->bytes += rec->data_bytes[0] + rec->data_bytes[1];
    rep->gaps += rec->gaps[0] + rec->gaps[1];
    rep->gap_bytes += rec->gap_bytes[0] + rec->gap_bytes[1];
    if (!rep->line)
        return;
    if (make_room(rep)) {
        ws_text_init(&t, rep->buf, LINE_MAX_BYTES);
        stream_json(&t, rec, rep->text_bytes < STREAM_REPORT_BYTES);
        text = ws_text_end(&t) < 0 ? NULL : strdup(rep->buf);
    }
    if (!text) {
        rep->lost++;
        return;
    }
    rep->text_bytes += t.len;
    rep->line[rep->n++] = (struct stream_line){serial, ws_flow_first(rec->flow)->ordinal[rec->dir], text};
}

static int by_ordinal(const void *a, const void *b)
{
    const struct stream_line *x = a, *y = b;
    return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal ? 1 : strcmp(x->text, y->text);
}

/* The line with its FlowID, which is known only now, put in front. */
static void print_line(const struct run *r, const struct stream_line *l, const struct flow_list *flows)
{
    uint64_t id = flow_list_id(flows, l->ordinal);
    const char *found = r->post && l->serial ? ws_post_result(r->post, l->serial) : "";
    int len = (int)strlen(l->text) - 2; /* without the brace and line feed at its end */
    printf("{\"flow_id\":%" PRIu64 ",%.*s%s}\n", id, len - 1, l->text + 1, found);
}

int stream_report_print(struct run *r, const struct flow_list *flows)
{
    struct stream_line *all;
    uint64_t lost = 0;
    size_t n = 0, at = 0;

    for (unsigned w = 0; w < r->ec.workers; w++) {
        n += r->out.report[w].n;
        lost += r->out.report[w].lost;
    }
    all = malloc((n ? n : 1) * sizeof(*all));
    if (!all) {
        fprintf(stderr, "wirespool: the report of streams: out of memory\n");
        return 1;
    }
    for (unsigned w = 0; w < r->ec.workers; w++)
        for (size_t i = 0; i < r->out.report[w].n; i++)
            all[at++] = r->out.report[w].line[i];
    qsort(all, n, sizeof(*all), by_ordinal);
    for (size_t i = 0; i < n; i++)
        print_line(r, &all[i], flows);
    free(all);
    if (lost)
        fprintf(stderr,
                "wirespool: the report of streams lacks %" PRIu64
                " files: --records-max, or memory\n",
                lost);
    return lost ? 1 : 0;
}
