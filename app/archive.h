/* SPDX-License-Identifier: BSD-3-Clause */
/* Stream archives: what may be asked of one as output, and reading one as input. */
#ifndef WS_APP_ARCHIVE_H
#define WS_APP_ARCHIVE_H

#include "app/flowlist.h"
#include "app/run.h"

/* --- output: --format archive --- */

/* Whether the options fit an archive in directory path. 0 or exit code 2. */
int archive_check_output(const struct run *r, const char *path);

/* An archive has its directory for itself: refuses one that has segments, or removes them (--overwrite). 0 or exit
 * code. */
int archive_clear(const struct run *r, const char *path);

/* --- input --- */

struct ws_archive;
struct ws_play;

struct archive_input {
    struct ws_archive *archive; /* NULL: the input is no archive */
    struct ws_play *play;
    struct flow_list list; /* its flows, numbered */
    struct first_pass chosen;
    uint8_t *dirs; /* a byte a flow: what is selected */
};

/* Opens the archive if the input is one, tells what is wrong with it, numbers its flows. 0 or exit code. */
int archive_open(struct archive_input *in, const struct options *o, enum command cmd);

/* Makes run r (prepared, not executed) read it in place of packets: CMD_STREAMS plays it, CMD_FLOWS counts its flows
 * and selects them in the list. 0 or exit code. */
int archive_attach(struct archive_input *in, struct run *r);

/* Says what was found wrong while it was read. Exit code. */
int archive_verdict(const struct archive_input *in);

void archive_close(struct archive_input *in);

#endif
