/* SPDX-License-Identifier: BSD-3-Clause */
/* All flows of a finished run, ranked. */
#include "app/flowlist.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/plan.h"
#include "sink/record.h"

static int out_of_memory(void)
{
    fprintf(stderr, "wirespool: out of memory for the list of flows\n");
    return 3;
}

int flow_list_room(struct flow_list *l, size_t n)
{
    memset(l, 0, sizeof(*l));
    l->n = n;
    size_t room = n ? n : 1;
    l->rec = malloc(room * sizeof(struct ws_flow_record *));
    l->ordinal = malloc(2 * room * sizeof(*l->ordinal));
    if (l->rec && l->ordinal)
        return 0;
    flow_list_free(l);
    return out_of_memory();
}

int flow_list_gather(struct flow_list *l, struct run *r)
{
    size_t at = 0, n = 0;
    for (unsigned w = 0; w < r->ec.workers; w++)
        n += ws_sink_record_count(r->out.record[w]);
    int code = flow_list_room(l, n);
    if (code)
        return code;
    for (unsigned w = 0; w < r->ec.workers; w++)
        for (uint64_t i = 0; i < ws_sink_record_count(r->out.record[w]); i++)
            l->rec[at++] = ws_sink_record_at(r->out.record[w], i);
    return flow_list_rank(l);
}

int flow_list_rank(struct flow_list *l)
{
    void *scratch = malloc(ws_flow_record_rank_bytes(l->n ? l->n : 1));
    if (!scratch) {
        flow_list_free(l);
        return out_of_memory();
    }
    ws_flow_record_rank(l->rec, l->n, scratch);
    free(scratch);
    for (size_t i = 0; i < l->n; i++) {
        for (unsigned d = 0; d < 2; d++) {
            uint64_t id = l->rec[i]->flow_id[d];
            if (!id)
                continue;
            l->ordinal[id - 1] = l->rec[i]->first_ordinal[d];
            l->n_ordinal++;
        }
    }
    return 0;
}

void flow_list_free(struct flow_list *l)
{
    free(l->rec);
    free(l->ordinal);
    memset(l, 0, sizeof(*l));
}

uint64_t flow_list_id(const struct flow_list *l, uint64_t ordinal)
{
    size_t lo = 0, hi = l->n_ordinal;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (l->ordinal[mid] < ordinal)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < l->n_ordinal && l->ordinal[lo] == ordinal ? lo + 1 : 0;
}

/* Adds a chosen flow in order of its first ordinal; a flow chosen twice gets both directions' bits. */
static void choose(struct first_pass *fp, uint64_t ordinal, uint8_t dirs)
{
    unsigned at = 0;
    while (at < fp->n_flow && fp->flow_ordinal[at] < ordinal)
        at++;
    if (at < fp->n_flow && fp->flow_ordinal[at] == ordinal) {
        fp->flow_dirs[at] = (uint8_t)(fp->flow_dirs[at] | dirs);
        return;
    }
    for (unsigned i = fp->n_flow++; i > at; i--) {
        fp->flow_ordinal[i] = fp->flow_ordinal[i - 1];
        fp->flow_dirs[i] = fp->flow_dirs[i - 1];
    }
    fp->flow_ordinal[at] = ordinal;
    fp->flow_dirs[at] = dirs;
}

bool first_pass_choose(struct first_pass *fp, const struct flow_list *l, uint64_t id, bool one_way)
{
    bool found = false;
    for (size_t k = 0; k < l->n && !found && fp->n_flow < WS_OPT_LIST_MAX; k++) {
        const struct ws_flow_record *rec = l->rec[k];
        for (unsigned d = 0; d < 2; d++) {
            if (rec->flow_id[d] != id)
                continue;
            choose(fp, WS_MIN(rec->first_ordinal[0], rec->first_ordinal[1]),
                   one_way ? (uint8_t)(1u << d) : 3);
            found = true;
        }
    }
    return found;
}

int first_pass_choose_ids(struct first_pass *fp, const struct flow_list *l, const struct options *o)
{
    uint64_t id[WS_OPT_LIST_MAX];
    unsigned n;
    int code = plan_flow_ids(o, id, &n, WS_OPT_LIST_MAX);
    if (code)
        return code;
    for (unsigned i = 0; i < n; i++) {
        if (!first_pass_choose(fp, l, id[i], o->one_way)) {
            fprintf(stderr, "wirespool: --flow %" PRIu64 ": no such FlowID, the input has %zu\n",
                    id[i], l->n_ordinal);
            return 1;
        }
    }
    return 0;
}

int first_pass_run(struct first_pass *fp, const struct options *o)
{
    struct options all = *o;
    struct flow_list l = {0};
    struct run r;
    int code;

    memset(fp, 0, sizeof(*fp));
    all.filter = NULL;
    all.port.n = all.host.n = all.tuple.n = all.community_id.n = all.not_port.n = 0;
    all.after = all.before = NULL;
    all.stats = false;
    all.stats_json = all.stats_interval_json = NULL;
    all.stats_interval = 0;
    all.json = all.csv = false;
    all.out = all.chart = NULL;
    all.ssids = false;
    all.user = all.chroot = NULL;
    all.rest = NULL;
    all.console = -1;
    all.console_out = all.console_prefix = all.lock = NULL;
    all.no_header = all.no_newline = all.binary = all.color = false;
    all.md5 = all.http = all.http_raw = all.http_requests = false;
    all.http_max = 0;
    all.report = all.on_close = all.http_command = all.python = NULL;
    all.alert_fd = all.http_alert_fd = WS_UNSET;
    code = run_init(&r, &all, CMD_FLOWS, "flows");
    if (!code)
        code = run_open_files(&r);
    if (!code) {
        r.out.want_records = true;
        code = run_execute(&r);
    }
    if (!code && r.interrupted) {
        fprintf(stderr, "wirespool: stopped while numbering flows, before anything was written\n");
        code = 1;
    }
    if (!code && ws_count_get(&r.sum, WS_C_FLOW_RECORDS_LOST))
        code = out_of_memory();
    if (!code)
        code = flow_list_gather(&l, &r);
    if (!code)
        code = first_pass_choose_ids(fp, &l, o);
    if (!code) {
        fp->ordinal = l.ordinal;
        fp->n_ordinal = l.n_ordinal;
        l.ordinal = NULL;
    }
    flow_list_free(&l);
    run_fini(&r);
    return code;
}

void first_pass_apply(const struct first_pass *fp, struct run *r)
{
    r->ec.ids.ordinal = fp->ordinal;
    r->ec.ids.n = fp->n_ordinal;
    r->ec.filter_late = true;
    if (r->o->flow.n) {
        r->ec.select.by_flow = true;
        r->ec.select.flow_ordinal = fp->flow_ordinal;
        r->ec.select.flow_dirs = fp->flow_dirs;
        r->ec.select.n_flow = fp->n_flow;
    }
}

void first_pass_free(struct first_pass *fp)
{
    free(fp->ordinal);
    memset(fp, 0, sizeof(*fp));
}

static const char **find_stdin(const char **item, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(item[i], "-") == 0)
            return &item[i];
    return NULL;
}

int spool_stdin(struct options *o, char *path, size_t path_len)
{
    static char buf[1 << 20];
    const char *tmp = getenv("TMPDIR");
    char name[512];
    ssize_t n;
    const char **place = find_stdin(o->input.item, o->input.n);
    if (!place)
        place = find_stdin(o->files, o->n_files);
    if (!place)
        place = find_stdin(o->resume.item, o->resume.n);
    if (!place)
        place = find_stdin(o->resume_files, o->n_resume_files);
    if (!place)
        return 0;
    snprintf(name, sizeof(name), "%s/wirespool-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    int fd = mkstemp(name);
    if (fd < 0) {
        fprintf(stderr, "wirespool: %s: %s\n", name, strerror(errno));
        return 3;
    }
    unlink(name);
    while ((n = read(0, buf, sizeof(buf))) > 0) {
        for (ssize_t done = 0; done < n;) {
            ssize_t w = write(fd, buf + done, (size_t)(n - done));
            if (w < 0) {
                fprintf(stderr, "wirespool: copying standard input to %s: %s\n", name,
                        strerror(errno));
                close(fd);
                return 3;
            }
            done += w;
        }
    }
    if (n < 0) {
        fprintf(stderr, "wirespool: standard input: %s\n", strerror(errno));
        close(fd);
        return 3;
    }
    snprintf(path, path_len, "/proc/self/fd/%d", fd);
    *place = path;
    return 0;
}
