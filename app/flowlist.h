/* SPDX-License-Identifier: BSD-3-Clause */
/* All flows of a finished run, ranked: FlowIDs, and the choice of flows by FlowID. */
#ifndef WS_APP_FLOWLIST_H
#define WS_APP_FLOWLIST_H

#include "app/run.h"

struct flow_list {
    struct ws_flow_record **rec; /* records stay the run's */
    size_t n;
    uint64_t *ordinal; /* sorted first ordinals of all directions: index + 1 is the FlowID */
    size_t n_ordinal;
};

/* Gathers the records of all workers and gives them their FlowIDs. 0 or exit code 3. */
int flow_list_gather(struct flow_list *l, struct run *r);
void flow_list_free(struct flow_list *l);

/* The same from elsewhere: makes room for n records, whose places the caller fills, and ranks them. 0 or exit code 3. */
int flow_list_room(struct flow_list *l, size_t n);
int flow_list_rank(struct flow_list *l);

/* FlowID of the direction whose first packet has this ordinal; 0 = none. */
uint64_t flow_list_id(const struct flow_list *l, uint64_t ordinal);

/* What a first pass over the input found for a second one. */
struct first_pass {
    uint64_t *ordinal;      /* as above; heap */
    size_t n_ordinal;
    uint64_t flow_ordinal[WS_OPT_LIST_MAX]; /* first ordinals of the flows chosen by --flow, sorted */
    uint8_t flow_dirs[WS_OPT_LIST_MAX];
    unsigned n_flow;
};

/* Reads the input once, unfiltered, to number its flows and to find the flows of --flow. 0 or exit code (1: an unknown FlowID). */
int first_pass_run(struct first_pass *fp, const struct options *o);

/* Adds the direction of this FlowID, or both of its flow, to the chosen ones. False: there is none, or too many are chosen. */
bool first_pass_choose(struct first_pass *fp, const struct flow_list *l, uint64_t id, bool one_way);

/* Adds all flows of --flow. 0 or exit code (1: an unknown FlowID). */
int first_pass_choose_ids(struct first_pass *fp, const struct flow_list *l, const struct options *o);

/* Makes run r (not yet executed) use what the first pass found. fp must outlive it. */
void first_pass_apply(const struct first_pass *fp, struct run *r);
void first_pass_free(struct first_pass *fp);

/* Standard input can be read only once: when it is among the inputs, it is copied to an unnamed temporary file that takes its place
 * in o->input. path (at least 32 bytes) holds the new name. 0 or exit code. */
int spool_stdin(struct options *o, char *path, size_t path_len);

#endif
