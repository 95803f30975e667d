/* SPDX-License-Identifier: BSD-3-Clause */
/* wirespool capture and replay: live devices, or files through net_pcap as if live. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/run.h"
#include "app/ssids.h"

static bool lost_some(const struct ws_output *o)
{
    uint64_t bytes, records;
    ws_output_lost(o, &bytes, &records);
    return bytes > 0;
}

static void print_summary(const struct run *r)
{
    const struct ws_counters *s = &r->sum;
    double sec = (double)r->elapsed_ns / 1e9;
    fprintf(stderr,
            "%" PRIu64 " packets received (%" PRIu64 " bytes) in %.3f s, %" PRIu64
            "%s dropped by devices, %" PRIu64 " filtered, %" PRIu64 " flows\n",
            ws_count_get(s, WS_C_RX_PACKETS), ws_count_get(s, WS_C_RX_WIRE_BYTES), sec,
            ws_count_get(s, WS_C_PORT_MISSED) + ws_count_get(s, WS_C_PORT_NOMBUF),
            r->drops_unknown ? " known and an unknown number" : "", ws_count_get(s, WS_C_FILTERED), ws_count_get(s, WS_C_FLOWS_CREATED));
    if (r->out.pcap)
        fprintf(stderr, "%" PRIu64 " packets written to %s%s\n", run_written_packets(r, WS_C_OUT_PACKETS, r->out.pcap),
                r->out.pcap_rotates ? r->o->pcap : ws_output_name(r->out.pcap), r->out.pcap_rotates ? " (in shards)" : "");
    const uint64_t handed = ws_count_get(s, WS_C_OUT_STREAM_BYTES);
    const uint64_t bytes = run_written_bytes(r, WS_C_OUT_STREAM_BYTES, r->out.streams);
    if (r->out.streams && r->o->format == FORMAT_PCAP)
        fprintf(stderr, "%" PRIu64 " packets %s files in %s\n", ws_count_get(s, WS_C_OUT_STREAM_PACKETS),
                lost_some(r->out.streams) ? "of which some are lost for" : "written to", r->o->streams);
    else if (r->out.streams)
        fprintf(stderr, "%" PRIu64 " stream bytes written to %s%s\n", bytes, r->o->streams,
                bytes < handed ? " (the rest is lost)" : "");
    if (r->out.flows)
        fprintf(stderr, "flow records written to %s\n", r->o->flows_out);
}

/* Standard output that an output writes to is not for the report. */
static bool to_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

static int run_live(struct options *o, enum command cmd, const char *name)
{
    struct run r;
    int code = run_init(&r, o, cmd, name);
    if (!code)
        code = run_open_devices(&r);
    if (!code)
        code = run_execute(&r);
    if (!code) {
        code = run_verdict(&r);
        if (!o->quiet)
            print_summary(&r);
        if (o->json)
            fprintf(to_stdout(o->pcap) || to_stdout(o->flows_out) ? stderr : stdout,
                   "{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"flows\":%" PRIu64
                   ",\"device_drops\":%" PRIu64 ",\"device_drops_unknown\":%s,\"packets_written\":%" PRIu64
                   ",\"stream_bytes\":%" PRIu64 "}\n",
                   ws_count_get(&r.sum, WS_C_RX_PACKETS), ws_count_get(&r.sum, WS_C_RX_WIRE_BYTES),
                   ws_count_get(&r.sum, WS_C_FLOWS_CREATED),
                   ws_count_get(&r.sum, WS_C_PORT_MISSED) +
                       ws_count_get(&r.sum, WS_C_PORT_NOMBUF),
                   r.drops_unknown ? "true" : "false",
                   run_written_packets(&r, WS_C_OUT_PACKETS, r.out.pcap),
                   run_written_bytes(&r, WS_C_OUT_STREAM_BYTES, r.out.streams));
        int listed = ssids_print(&r);
        code = WS_MAX(code, listed);
    }
    run_fini(&r);
    return code;
}

int cmd_capture(struct options *o)
{
    return run_live(o, CMD_CAPTURE, o->program ? o->program : "capture");
}

int cmd_replay(struct options *o)
{
    return run_live(o, CMD_REPLAY, o->program ? o->program : "replay");
}
