/* SPDX-License-Identifier: BSD-3-Clause */
/* wirespool extract: writes chosen packets of captures to one file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/flowlist.h"
#include "app/ssids.h"

int cmd_extract(struct options *o)
{
    struct first_pass fp = {0};
    struct run r;
    char spool[32];
    int code = 0;

    if (o->flow.n) {
        if ((code = spool_stdin(o, spool, sizeof(spool))) || (code = first_pass_run(&fp, o)))
            return code;
    }
    code = run_init(&r, o, CMD_EXTRACT, "extract");
    if (!code) {
        if (o->flow.n)
            first_pass_apply(&fp, &r);
        code = run_open_files(&r);
    }
    if (!code)
        code = run_execute(&r);
    if (!code) {
        code = run_verdict(&r);
        if (!o->quiet)
            fprintf(stderr, "%" PRIu64 " of %" PRIu64 " packets written to %s\n",
                    run_written_packets(&r, WS_C_OUT_PACKETS, r.out.pcap), ws_count_get(&r.sum, WS_C_RX_PACKETS),
                    strcmp(o->out, "-") == 0 ? "standard output" : ws_output_name(r.out.pcap));
        if (o->json)
            fprintf(strcmp(o->out, "-") == 0 ? stderr : stdout,
                    "{\"packets_read\":%" PRIu64 ",\"packets_written\":%" PRIu64
                    ",\"bytes_written\":%" PRIu64 "}\n",
                    ws_count_get(&r.sum, WS_C_RX_PACKETS), run_written_packets(&r, WS_C_OUT_PACKETS, r.out.pcap),
                    run_written_bytes(&r, WS_C_OUT_PACKET_BYTES, r.out.pcap));
        int listed = ssids_print(&r);
        code = WS_MAX(code, listed);
    }
    run_fini(&r);
    first_pass_free(&fp);
    return code;
}
