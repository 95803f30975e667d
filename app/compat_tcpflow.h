/* SPDX-License-Identifier: BSD-3-Clause */
/* wirespool tcpflow: tcpflow's command line over the engine's own options. */
#ifndef WS_APP_COMPAT_TCPFLOW_H
#define WS_APP_COMPAT_TCPFLOW_H

#include "base/opts.h"

/* As struct front_end wants it: argv[0] is the name it was called by; returns the exit code. */
int compat_tcpflow(int argc, char **argv);

extern const char compat_tcpflow_usage[], compat_tcpflow_summary[], compat_tcpflow_manual[];
extern const struct ws_opt tcpflow_options[];

#endif
