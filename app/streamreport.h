/* SPDX-License-Identifier: BSD-3-Clause */
/* The report of finished stream files: streams --json (docs/formats/streams-report.md). */
#ifndef WS_APP_STREAMREPORT_H
#define WS_APP_STREAMREPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run;
struct flow_list;
struct ws_stream_record;

/* Gaps that a line lists; the rest are counted. */
#define STREAM_REPORT_GAPS 1000u
/* Text that a worker's report keeps; from there on lines list no gaps. */
#define STREAM_REPORT_BYTES (UINT64_C(256) << 20)

/* A finished stream file. */
struct stream_line {
    uint64_t serial;  /* of what is found in the file later; 0 = none */
    uint64_t ordinal; /* of its direction's first packet: the order of the report */
    char *text;       /* heap */
};

/* One worker's report. Zeroed: files are counted only. */
struct stream_report {
    struct run *run;
    struct stream_line *line;
    size_t n, room;
    uint64_t lines_max;
    uint64_t text_bytes;
    char *buf; /* a line in the making */
    uint64_t files, bytes, gaps, gap_bytes;
    uint64_t lost; /* lines beyond lines_max, or for which there was no memory */
};

/* Lets the report keep lines: lines_max of them, 0 = 16,777,216. 0 or -ENOMEM. */
int stream_report_init(struct stream_report *rep, uint64_t lines_max);
void stream_report_fini(struct stream_report *rep);

/* A file is over. serial: what ws_post_result() knows it by, or 0. */
void stream_report_closed(struct stream_report *rep, const struct ws_stream_record *rec, uint64_t serial);

/* Prints the lines of all workers in order of first packets. 0 or exit code. */
int stream_report_print(struct run *r, const struct flow_list *flows);

#endif
