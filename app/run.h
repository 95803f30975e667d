/* SPDX-License-Identifier: BSD-3-Clause */
/* One run of the engine on behalf of a command: inputs, outputs, threads, signals, progress, verdict. */
#ifndef WS_APP_RUN_H
#define WS_APP_RUN_H

#include <pwd.h>
#include <stdio.h>

#include "app/options.h"
#include "app/outputs.h"
#include "engine/engine.h"

#define DEVICES_MAX 64u

struct ws_port;
struct ws_post;
struct interval_stats;

struct run {
    const struct options *o;
    enum command cmd;
    const char *name;           /* of the command, for messages */
    struct ws_engine_config ec;
    struct ws_engine *engine;
    struct outputs out;
    struct ws_post *post; /* works on finished stream files, or NULL */
    char *command_line;   /* for its report */
    struct passwd *user;  /* of -U; static storage of the C library; NULL: nobody */
    FILE *stats_json;     /* open from before the outputs are made */
    struct interval_stats *interval; /* --stats-interval, or NULL */
    bool report_failed;
    struct ws_port *port[DEVICES_MAX];
    unsigned n_port;
    struct ws_pcapng_iface iface[DEVICES_MAX]; /* input interfaces known at the start */
    struct iface_source {
        struct ws_source *source;
        unsigned index; /* in the source's own table */
    } iface_source[DEVICES_MAX];
    unsigned n_iface;
    bool us_input; /* stamps of the interfaces known at the start are no finer than a microsecond */
    void (*file_begins)(void *user, const char *path); /* as of struct ws_file_config; NULL: not told */
    const char **paths;         /* of the input files, or NULL */
    unsigned n_paths;
    char *scratch;              /* directory of unpacked replay inputs, or NULL */
    struct ws_source *describer; /* source whose interface table may grow */
    struct ws_counters sum;     /* after the run */
    bool drops_unknown; /* some device cannot count what it lost */
    bool damaged, interrupted, aborted;
    /* A front-end's own progress, in place of the usual line: called some 20 times a second, and at the end. */
    void (*on_progress)(struct run *r, bool end);
    uint64_t filter_unsupported; /* packets whose link type the filter has no meaning on */
    int64_t elapsed_ns;
};

/* Prepares r for a command: engine configuration of its options. 0 or exit code. */
int run_init(struct run *r, const struct options *o, enum command cmd, const char *name);

/* Opens the capture files (positionals and -r) as one source on the right thread. 0 or exit code. */
int run_open_files(struct run *r);

/* Opens devices and interfaces (capture) or the files as net_pcap devices (replay). Starts the runtime first,
 * since devices need EAL. 0 or exit code. */
int run_open_devices(struct run *r);

/* Starts the runtime when it is not yet, makes the outputs, runs the engine to its end, with progress and signals, and
 * takes the counters. The engine stays for reading records until run_fini(). 0 or exit code. */
int run_execute(struct run *r);

/* The exit code of a run that ended: 0, 1 (damaged input, loss by us, ledger mismatch) or 3 (outputs failed). Prints the
 * reasons, and --stats. */
int run_verdict(struct run *r);

/* How much of what was handed to an output (NULL: to none) did not fail there: bytes, packets of a MERGED one. */
uint64_t run_written_bytes(const struct run *r, enum ws_counter handed, const struct ws_output *o);
uint64_t run_written_packets(const struct run *r, enum ws_counter handed, const struct ws_output *o);

/* Where lists go that a command prints beside its results: standard output, or error when an output goes there or
 * results for machines do. */
FILE *run_text_out(const struct run *r);
/* From here on Ctrl-C and SIGTERM end what goes on instead of the process. */
void run_catch_signals(void);
bool run_signalled(void);

void run_fini(struct run *r);

#endif
