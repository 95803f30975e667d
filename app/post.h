/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run does with finished stream files: from options to lib/post. */
#ifndef WS_APP_POST_H
#define WS_APP_POST_H

#include <stdbool.h>
#include <stdint.h>

struct run;
struct ws_sink;
struct ws_output_config;
struct ws_stream_record;
struct ws_channel;

/* Whether the options make sense together. 0 or exit code. */
int post_check(const struct run *r);

/* Makes r->post where something is wanted; after the outputs, before the engine. 0 or exit code. */
int post_prepare(struct run *r);

/* Lets the output of streams tell of its files. */
/* Whether something is done with finished stream files. */
bool post_wanted(const struct run *r);

void post_listen(struct run *r, struct ws_output_config *oc);

/* The gaps of a stream that the record of its file must list. */
uint32_t post_gaps_wanted(const struct run *r);

/* The worker's sink; streams: the channel of its stream files, or NULL. 0 or -errno. */
int post_make_sink(struct run *r, unsigned worker, struct ws_channel *streams, struct ws_sink **s);

/* A stream file is over: the tag of its close. *serial as ws_post_file(). */
uint64_t post_file(struct run *r, unsigned worker, const struct ws_stream_record *rec,
                   uint64_t *serial);

/* Starts the thread, as the user of the run. 0 or exit code. */
int post_start(struct run *r);

/* After the engine's threads: waits for what is left, and adds the counters to r->sum. */
void post_finish(struct run *r);

void post_fini(struct run *r);

#endif
