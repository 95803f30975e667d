/* SPDX-License-Identifier: BSD-3-Clause */
/* Outputs of a run: writers, files, and each worker's sinks. */
#ifndef WS_APP_OUTPUTS_H
#define WS_APP_OUTPUTS_H

#include <sys/types.h>

#include "app/chart.h"
#include "app/streamreport.h"
#include "engine/engine.h"
#include "format/pcapng.h"
#include "sink/record.h"

struct run;
struct flow_list;

struct outputs {
    struct ws_writer *writer[WS_WRITERS_MAX];
    struct ws_writer_group group;
    unsigned n_writer;
    struct ws_output *pcap, *streams, *flows, *rest;
    struct ws_output *console;
    struct ws_output *metadata; /* a directory of its own, when streams go to standard output */
    struct ws_losses *losses; /* of the packet output, one a worker; live pcapng only, else NULL */
    struct chart chart;
    struct ws_sink *ssids[WS_WORKERS_MAX]; /* destroyed with the engine */
    bool pcap_rotates, pcapng;
    unsigned n_output;
    unsigned stream_parts; /* writers that share the tree of streams */
    const char *dir;        /* made by us: handed to -U's user */
    bool dir_is_new;
    char pcap_dir[1024], pcap_stem[512]; /* of rotating shards */
    struct ws_sink *announce_to;  /* packet sink that describes interfaces, or NULL */
    struct ws_sink *record[WS_WORKERS_MAX]; /* keep the flow records; destroyed with the engine */
    bool want_records;      /* keep flow records for the end */
    bool record_lengths;    /* with stream lengths and gaps */
    bool record_order;      /* with what came late, and the first sequence numbers */
    bool report_streams;    /* keep a line a stream file */
    struct stream_report report[WS_WORKERS_MAX];
};

/* An input interface as pcapng describes it (nanosecond stamps). */
void outputs_iface(struct ws_pcapng_iface *out, const struct ws_source_iface *in);

/* The Community ID of a record: of an ICMP flow that of its first message, as Zeek does. */
void outputs_community_id(const struct ws_flow_record *rec, uint16_t seed, char *buf);

/* Decides which outputs there are and so how many writers run. 0 or exit code. */
int outputs_count(struct run *r);

/* Makes writers and outputs; files and directories are opened here. 0 or exit code. */
int outputs_prepare(struct run *r);

/* Adds an output to the next writer; completes *oc with what the options say of all outputs. 0 or exit code. */
int outputs_add(struct run *r, struct ws_output_config *oc, struct ws_output **out);

/* What packet files are like: of --pcap and extract, and of --rest with its interface. */
struct ws_frame_format outputs_frame_format(const struct run *r);
struct ws_frame_format outputs_rest_format(const struct run *r);
const struct ws_pcapng_iface *outputs_rest_iface(const struct run *r);

/* ws_output_config.trailer of a pcapng file: interface statistics, which say what the file lacks. */
size_t outputs_pcapng_trailer(void *user, uint8_t *buf, size_t max);

/* Whether the input can wait for outputs, so that nothing is shed. */
bool outputs_may_wait(const struct run *r);

/* Whether all streams go to one file, standard output. */
bool outputs_streams_merged(const struct run *r);

/* The rest is in sinks.c. */

/* Makes the reader's own packet sink where interfaces may turn up while reading. 0 or exit code. */
int outputs_make_announcer(struct run *r);

/* ws_engine_config.make_sinks; user is the run. */
int outputs_make_sinks(void *user, unsigned worker, struct ws_sink **out);

void outputs_chown(struct outputs *o, uid_t uid, gid_t gid);

/* True when there were outputs and every one of them ended suspended. */
bool outputs_all_failed(const struct outputs *o);

void outputs_fini(struct outputs *o);

#endif
