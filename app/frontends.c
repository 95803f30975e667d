/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of front-ends. */
#include "app/frontends.h"

#include <string.h>

#include "app/compat_pcap2conn.h"
#include "app/compat_pcap_flow.h"
#include "app/compat_tcpflow.h"

/* A row each, in the order of the alphabet. */
const struct front_end front_ends[] = {
    {"pcap2conn", NULL, compat_pcap2conn_usage, compat_pcap2conn_summary, compat_pcap2conn, compat_pcap2conn_table,
     compat_pcap2conn_manual},
    {"pcap_flow", "pcap_flows", "FILE... [options]", "show the flows of captures, extract their packets and streams",
     compat_pcap_flow, compat_pcap_flow_table, compat_pcap_flow_manual},
    {"tcpflow", NULL, compat_tcpflow_usage, compat_tcpflow_summary, compat_tcpflow, tcpflow_options, compat_tcpflow_manual},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const struct front_end *front_end_find(const char *name)
{
    for (const struct front_end *f = front_ends; f->name; f++)
        if (strcmp(name, f->name) == 0 || (f->alias && strcmp(name, f->alias) == 0))
            return f;
    return NULL;
}

const struct front_end *front_end_of_program(const char *argv0)
{
    static const char prefix[] = "wirespool-";
    const char *slash = strrchr(argv0, '/');
    const char *name = slash ? slash + 1 : argv0;
    if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
        name += sizeof(prefix) - 1;
    return front_end_find(name);
}
