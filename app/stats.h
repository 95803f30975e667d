/* SPDX-License-Identifier: BSD-3-Clause */
/* --stats-interval: what happens now, a line each interval, as text or JSON. */
#ifndef WS_APP_STATS_H
#define WS_APP_STATS_H

#include <stdbool.h>
#include <stdio.h>

struct run;
struct progress;
struct interval_stats;

/* f: where the JSON lines go, taken; NULL: standard error, as the run's options say text or JSON. 0 or exit code. */
int interval_stats_create(struct interval_stats **s, const struct run *r, FILE *f);

/* The first interval begins: the engine is made, its threads do not run. */
void interval_stats_begin(struct interval_stats *s);

/* Prints a line when the interval is over; end: in any case, the run's last one. Main thread, often. */
void interval_stats_tick(struct interval_stats *s, struct progress *p, bool end);

/* Whether lines could not be written; closes the file. Says so once. */
bool interval_stats_failed(struct interval_stats *s);

void interval_stats_destroy(struct interval_stats *s);

#endif
