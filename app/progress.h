/* SPDX-License-Identifier: BSD-3-Clause */
/* The progress line on standard error. */
#ifndef WS_APP_PROGRESS_H
#define WS_APP_PROGRESS_H

#include "engine/engine.h"

struct progress {
    bool on;        /* stderr is a terminal and progress is wanted */
    bool shown;     /* a line stands there now */
    int64_t start_ns, last_ns;
    uint64_t last_packets, last_bytes;
};

/* quiet: never. Takes over ws_log_sink so that messages do not mix with the line. */
void progress_init(struct progress *p, bool quiet);

/* Redraws at most four times a second. */
void progress_update(struct progress *p, struct ws_engine *e);

/* Prints a line of its own above. */
void progress_print(struct progress *p, const char *line);

/* Removes the line. */
void progress_end(struct progress *p);

#endif
