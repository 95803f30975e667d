/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end with pcap_flow's command line: its arguments, its table, and the runs that they ask for. */
#ifndef WS_APP_COMPAT_PCAP_FLOW_H
#define WS_APP_COMPAT_PCAP_FLOW_H

#include "app/flowlist.h"
#include "app/options.h"

int compat_pcap_flow(int argc, char **argv);
extern const struct ws_opt compat_pcap_flow_table[];
extern const char compat_pcap_flow_manual[];

/* What the command line says. */
struct pcap_flow_args {
    struct ws_opt_list input;
    const char *out, *out_tcp, *out_udp; /* -o, --output-tcp, --output-udp */
    struct ws_opt_list extract, extract_tcp; /* FlowIDs */
    struct ws_opt_list extract_ip, extract_port, extract_tcp_port, extract_udp_port, disable_tcp_port, disable_udp_port;
    bool from_stdin, tcp_all, udp_all, no_display, udp_header, output_pcap, flow_flush, vlan, five_tuple;
    bool metamako, metamako_double, no_timezone;
    const char *metamako_offset, *uid;
    struct ws_opt_list cpu;
    int tcp_header; /* index into "12|32", -1: none */
    uint64_t packet_max, flow_max, flow_hash_bits, packets_min, size_min, workers;
    bool verbose, quiet, stats, gaps_file, help, version;
};

/* Parses argv; words are kept in *heap, which pcap_flow_args_free() releases. 0, or 2 with the message printed. */
int pcap_flow_args_parse(struct pcap_flow_args *a, int argc, char **argv, char ***heap);
void pcap_flow_args_free(char **heap);

/* "HH:MM:SS.mmm.uuu.nnn" of a time or a duration; of negative ones, with a minus. buf: PCAP_FLOW_TIME bytes. */
#define PCAP_FLOW_TIME 40u
const char *pcap_flow_time(char *buf, int64_t ns);

/* How the table looks. */
struct pcap_flow_table {
    bool later;            /* the later version's rows, with times and sequence numbers */
    uint64_t packets_min;  /* shorter flows are not shown */
};

/* Prints a row a direction, by ascending packets, those of as many by FlowID. 0 or exit code 3. */
int pcap_flow_table_print(const struct flow_list *l, const struct pcap_flow_table *t);

#endif
