/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's log lines, brought into ours. Only with DPDK (WS_HAVE_DPDK). */
#ifndef WS_SOURCE_PORT_LOG_H
#define WS_SOURCE_PORT_LOG_H

#include "base/compiler.h"

/* Routes DPDK's log to ws_log: errors as warnings, the rest as debug lines; everything is shown at
 * INFO when verbose (the user asked with --log-level). Before rte_eal_init, once. 0 or -errno. */
int ws_port_log_open(bool verbose);

/* While held, error lines are not shown but the first one is kept, so that a failing call can be
 * reported in one line. Release shows nothing. Main thread; holds do not nest. */
void ws_port_log_hold(void);

/* Ends a hold and copies the first error line that came meanwhile ("" if none) to line. */
void ws_port_log_release(char *line, size_t line_len);

#endif
