/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end with pcap2conn's command line. */
#ifndef WS_APP_COMPAT_PCAP2CONN_H
#define WS_APP_COMPAT_PCAP2CONN_H

#include "base/opts.h"

extern const struct ws_opt compat_pcap2conn_table[];
extern const char compat_pcap2conn_usage[], compat_pcap2conn_summary[], compat_pcap2conn_manual[];

/* Runs it; argv[0] is the name it was called by. The exit code. */
int compat_pcap2conn(int argc, char **argv);

#endif
