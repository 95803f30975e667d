/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of --chart: opened before the run, filled and renamed after it. */
#ifndef WS_APP_CHART_H
#define WS_APP_CHART_H

#include <sys/types.h>

#include "sink/sink.h"

struct run;

struct chart {
    struct ws_sink *sink[64]; /* a worker each: their counts; destroyed with the engine */
    char *part;               /* FILE.part, while it is there; heap */
    int fd;                   /* of it; 0: none */
    int dir_fd;               /* where it lies; 0: none */
};

/* Refuses what cannot work, before anything is opened. 0 or exit code. */
int chart_check(const struct run *r);

/* Opens FILE.part when --chart asks for one. 0 or exit code. */
int chart_open(struct run *r);

/* Hands FILE.part to a user, as -U asks. */
void chart_chown(const struct chart *c, uid_t uid, gid_t gid);

/* A worker's sink. 0 or -errno. */
int chart_make_sink(struct run *r, unsigned worker, struct ws_sink **s);

/* Draws what the workers counted and renames the file, after the run. 0 or exit code. */
int chart_finish(struct run *r);

/* Removes FILE.part when it was not finished. */
void chart_fini(struct chart *c);

#endif
