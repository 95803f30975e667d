/* SPDX-License-Identifier: BSD-3-Clause */
/* wirespool streams: writes the streams of captures to files. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/archive.h"
#include "app/commands.h"
#include "app/flowlist.h"
#include "app/ssids.h"

/* Whether the output shows FlowIDs before the input was read to its end: then it is read twice. */
static bool ids_at_first_packet(const struct options *o)
{
    if (o->flow.n || o->format == FORMAT_HEADERS || o->format == FORMAT_HEADERS32)
        return true;
    if (o->number_from_zero) /* the one worker meets them in this order */
        return false;
    for (const char *c = o->template ? o->template : ""; (c = strchr(c, '%')); c++) {
        c += 1 + strspn(c + 1, "-_0123456789");
        if (!*c)
            return false;
        if (strchr("NKMGS", *c))
            return true;
    }
    return false;
}

static void print_summary(const struct run *r)
{
    uint64_t files = 0, bytes = 0, gaps = 0, gap_bytes = 0;
    for (unsigned w = 0; w < r->ec.workers; w++) {
        files += r->out.report[w].files;
        bytes += r->out.report[w].bytes;
        gaps += r->out.report[w].gaps;
        gap_bytes += r->out.report[w].gap_bytes;
    }
    if (!r->o->out && r->o->console < 0)
        return;
    if (!r->o->out || strcmp(r->o->out, "-") == 0) {
        fprintf(stderr, "%" PRIu64 " stream bytes written to %s\n",
                run_written_bytes(r, WS_C_OUT_STREAM_BYTES, r->out.streams ? r->out.streams : r->out.console),
                r->o->console >= 0 && r->o->console_out ? r->o->console_out : "standard output");
        return;
    }
    uint64_t lost, records;
    ws_output_lost(r->out.streams, &lost, &records);
    if (r->o->format == FORMAT_ARCHIVE) {
        fprintf(stderr, "%" PRIu64 " flows, %" PRIu64 " stream bytes to the archive %s from %" PRIu64 " packets in %.3f s\n",
                ws_count_get(&r->sum, WS_C_FLOWS_CLOSED), run_written_bytes(r, WS_C_OUT_STREAM_BYTES, r->out.streams),
                r->o->out, ws_count_get(&r->sum, WS_C_RX_PACKETS), (double)r->elapsed_ns / 1e9);
        return;
    }
    fprintf(stderr, "%" PRIu64 " stream files, %" PRIu64 " bytes%s in %s from %" PRIu64 " packets in %.3f s\n",
            files, bytes - WS_MIN(bytes, lost), lost ? " (the rest is lost)" : "", r->o->out, ws_count_get(&r->sum, WS_C_RX_PACKETS),
            (double)r->elapsed_ns / 1e9);
    if (gaps)
        fprintf(stderr, "%" PRIu64 " gaps, %" PRIu64 " bytes are missing from the capture\n", gaps,
                gap_bytes);
}

/* Directories of very many files are slow to list; a template can make several. */
static void hint_many_files(const struct run *r)
{
    enum { MANY = 10000 };
    uint64_t files = 0;
    const struct options *o = r->o;
    for (unsigned w = 0; w < r->ec.workers; w++)
        files += r->out.report[w].files;
    if (files > MANY && !(o->template && strchr(o->template, '/')))
        fprintf(stderr, "wirespool: %" PRIu64 " files in one directory: %%K/ before the --template (tcpflow: -Fk) makes a "
                        "directory a thousand\n",
                files);
}

int cmd_streams(struct options *o)
{
    struct first_pass fp = {0};
    struct flow_list l = {0};
    struct archive_input in;
    struct run r;
    char spool[32];
    int code = archive_open(&in, o, CMD_STREAMS);
    bool ids = !in.archive && ids_at_first_packet(o);

    if (code) {
        archive_close(&in);
        return code;
    }
    if (ids) {
        if ((code = spool_stdin(o, spool, sizeof(spool))) || (code = first_pass_run(&fp, o)))
            return code;
    }
    code = run_init(&r, o, CMD_STREAMS, o->program ? o->program : "streams");
    if (!code) {
        if (ids)
            first_pass_apply(&fp, &r);
        r.out.report_streams = o->json;
        r.out.want_records = o->json && !in.archive;
        r.ec.filter_late = ids || o->json || o->format == FORMAT_ARCHIVE;
        code = in.archive ? archive_attach(&in, &r) : run_open_files(&r);
    }
    if (!code)
        code = run_execute(&r);
    if (!code) {
        code = run_verdict(&r);
        if (!o->quiet)
            print_summary(&r);
        if (!o->quiet || o->many_files_hint)
            hint_many_files(&r);
        if (o->json) {
            int rc = in.archive ? 0 : flow_list_gather(&l, &r);
            if (!rc)
                rc = stream_report_print(&r, in.archive ? &in.list : &l);
            code = WS_MAX(code, rc);
        }
        int listed = ssids_print(&r), read = archive_verdict(&in);
        code = WS_MAX(code, WS_MAX(listed, read));
    }
    flow_list_free(&l);
    run_fini(&r);
    archive_close(&in);
    first_pass_free(&fp);
    return code;
}
