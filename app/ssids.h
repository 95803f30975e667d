/* SPDX-License-Identifier: BSD-3-Clause */
/* --ssids: the wireless networks of a capture, for people, as JSON, and for the report. */
#ifndef WS_APP_SSIDS_H
#define WS_APP_SSIDS_H

#include <stddef.h>

struct run;
struct ws_sink;

/* A worker's sink, when --ssids is given. 0 or -errno. */
int ssids_make_sink(struct run *r, unsigned worker, struct ws_sink **s);

/* After the run: prints the list (JSON lines with --json) where it belongs. Nothing without
 * --ssids, or when it stands in the report. 0 or exit code. */
int ssids_print(const struct run *r);

/* After the engine's threads: the list as XML for the report's summary, as tcpflow writes it: an
 * element <ssids>. NULL without --ssids or memory. The caller's (free). */
char *ssids_xml(const struct run *r);

#endif
