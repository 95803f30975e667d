/* SPDX-License-Identifier: BSD-3-Clause */
/* Sinks of flow records: kept for the end of the run, or written as flows close. */
#ifndef WS_SINK_RECORD_H
#define WS_SINK_RECORD_H

#include "format/record.h"
#include "sink/sink.h"

/* --- kept: every closed flow of the worker, selected or not, since FlowIDs count all of them ---
 */

struct ws_sink_record_config {
    uint64_t records_max; /* more are counted as FLOW_RECORDS_LOST; 0 = 16,777,216 (about 5 GB when
                             full, taken as needed) */
    bool lengths;         /* stream lengths and gaps of TCP */
    bool ip_bytes;        /* count IP bytes (looks at each packet of selected flows) */
    bool worker;          /* records tell their worker (live) */
    bool order;           /* begin_seq, late and gaps, over all connections of the tuple */
    /* Memory for WS_RECORD_CHUNK records at a time, when a chunk is full; not given back. NULL =
     * malloc, freed with the sink. Returning NULL counts as the cap. */
    void *(*alloc)(void *user, size_t bytes);
    void *alloc_user;
};
#define WS_RECORD_CHUNK 4096u

int ws_sink_record_create(struct ws_sink **s, const struct ws_sink_record_config *cfg);

/* Records kept so far, in order of closing; read them after the run. i below the count. Borrowed
 * until the sink is destroyed; the reader may fill flow_id. */
uint64_t ws_sink_record_count(const struct ws_sink *s);
struct ws_flow_record *ws_sink_record_at(struct ws_sink *s, uint64_t i);

/* --- told: each record to who asks, as its flow closes --- */

struct ws_sink_record_told_config {
    bool lengths, ip_bytes, worker; /* as above */
    void (*told)(void *user, struct ws_flow *flow, const struct ws_flow_record *rec); /* borrowed for the call */
    void *user;
};
int ws_sink_record_told_create(struct ws_sink **s, const struct ws_sink_record_told_config *cfg);

/* --- written: a line a flow, as it closes --- */

enum ws_record_format {
    WS_RECORD_JSON,
    WS_RECORD_CSV,
};

struct ws_sink_record_live_config {
    struct ws_channel *channel; /* borrowed */
    enum ws_record_format format;
    const char *path; /* TREE output: the worker's own file; NULL: a MERGED output, whose header has
                         the CSV names; copied */
    bool lengths, ip_bytes;
    bool selected_only; /* leave out flows that the selectors did not choose */
    /* Writes a community id (at least 40 bytes) for a record; NULL = none. */
    void (*community_id)(const struct ws_flow_record *r, uint16_t seed, char *buf);
    uint16_t community_seed;
};
int ws_sink_record_live_create(struct ws_sink **s, const struct ws_sink_record_live_config *cfg);

#endif
