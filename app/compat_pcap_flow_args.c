/* SPDX-License-Identifier: BSD-3-Clause */
/* The arguments of pcap_flow's front-end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/compat_pcap_flow.h"

#define AT(field) offsetof(struct pcap_flow_args, field)
#define GROUP(title) {"", 0, WS_OPT_FLAG, NULL, 1, 0, title}

const struct ws_opt compat_pcap_flow_table[] = {
    GROUP("Input"),
    {"stdin", 0, WS_OPT_FLAG, NULL, 1, AT(from_stdin), "read standard input too (so does the name -)"},
    {"packet-max", 0, WS_OPT_U64, "N", 1, AT(packet_max), "only the first N packets"},
    {"vlan", 0, WS_OPT_FLAG, NULL, 1, AT(vlan), "the VLAN is the DeviceID"},
    {"metamako", 0, WS_OPT_FLAG, NULL, 1, AT(metamako), "take time, DeviceID and DevicePort from each frame's Metamako trailer"},
    {"metamako-double", 0, WS_OPT_FLAG, NULL, 1, AT(metamako_double), "the same, of two trailers from the first"},
    {"metamako-offset", 0, WS_OPT_STRING, "BYTES", 1, AT(metamako_offset),
     "the trailer begins so many bytes after the 20th last one, e.g. 4 when the last FCS was not captured (default: found out)"},
    GROUP("Packets to one pcap file (each says another reason to take a packet)"),
    {"extract", 0, WS_OPT_LIST, "ID", 1, AT(extract), "those of this FlowID; repeatable"},
    {"extract-ip", 0, WS_OPT_LIST, "ADDR[/MASK]", 1, AT(extract_ip),
     "those from or to it; MASK is a.b.c.d or a number of bits; also IPv6; repeatable"},
    {"extract-port", 0, WS_OPT_LIST, "LO HI", 1, AT(extract_port), "those with a TCP or UDP port in this range; repeatable"},
    GROUP("Streams to files"),
    {"extract-tcp", 0, WS_OPT_LIST, "ID", 1, AT(extract_tcp), "the TCP stream of this FlowID; repeatable"},
    {"extract-tcp-port", 0, WS_OPT_LIST, "LO HI", 1, AT(extract_tcp_port), "all TCP streams with a port in this range; repeatable"},
    {"extract-tcp-all", 0, WS_OPT_FLAG, NULL, 1, AT(tcp_all), "all TCP streams"},
    {"extract-udp-port", 0, WS_OPT_LIST, "LO HI", 1, AT(extract_udp_port), "all UDP streams with a port in this range; repeatable"},
    {"extract-udp-all", 0, WS_OPT_FLAG, NULL, 1, AT(udp_all), "all UDP streams"},
    {"disable-tcp-port", 0, WS_OPT_LIST, "LO HI", 1, AT(disable_tcp_port), "nothing of TCP with a port in this range, whatever else says so; repeatable"},
    {"disable-udp-port", 0, WS_OPT_LIST, "LO HI", 1, AT(disable_udp_port), "the same of UDP"},
    GROUP("Output"),
    {"output", 'o', WS_OPT_STRING, "PATH", 1, AT(out),
     "the pcap file; the file of one --extract-tcp; else what names of stream files begin with (2015's names and table)"},
    {"output-tcp", 0, WS_OPT_STRING, "PREFIX", 1, AT(out_tcp), "what names of TCP stream files begin with; the pcap file when there is no -o"},
    {"output-udp", 0, WS_OPT_STRING, "PREFIX", 1, AT(out_udp), "what names of UDP stream files begin with"},
    {"output-pcap", 0, WS_OPT_FLAG, NULL, 1, AT(output_pcap), "a stream's packets to NAME.pcap instead of its bytes"},
    {"tcpheader", 0, WS_OPT_CHOICE, "12|32", 1, AT(tcp_header),
     "a header before each piece of a TCP stream: the documented one of 12 bytes, also where no size follows, or the later one of 32"},
    {"udpheader", 0, WS_OPT_FLAG, NULL, 1, AT(udp_header), "a 12-byte header and the UDP header before each datagram"},
    {"flow-size-min", 0, WS_OPT_SIZE_OR_0, "BYTES", 1, AT(size_min), "no file for a stream of at most so many bytes (default 0)"},
    {"flow-5tuple", 0, WS_OPT_FLAG, NULL, 1, AT(five_tuple), "DeviceID and DevicePort are no part of a flow, nor of names"},
    {"flow-flush", 0, WS_OPT_FLAG, NULL, 1, AT(flow_flush), "hand bytes to files within a tenth of a second"},
    {"disable-display", 0, WS_OPT_FLAG, NULL, 1, AT(no_display), "no table of flows"},
    {"flow-packet-min", 0, WS_OPT_U64_OR_0, "N", 1, AT(packets_min), "show only flows of at least N packets"},
    {"disable-timezone", 0, WS_OPT_FLAG, NULL, 1, AT(no_timezone), "accepted: times are UTC in any case"},
    GROUP("Running"),
    {"flow-max", 0, WS_OPT_U64, "N", 1, AT(flow_max), "flows to be prepared for; more need more memory, and are never an error"},
    {"flow-hash-bits", 0, WS_OPT_U64, "N", 1, AT(flow_hash_bits), "accepted: the table is sized by --flow-max"},
    {"cpu", 0, WS_OPT_LIST, "N", 1, AT(cpu), "run on this CPU only; repeatable"},
    {"uid", 0, WS_OPT_STRING, "USER", 1, AT(uid), "become this user (name or number) once inputs are open"},
    {"verbose", 0, WS_OPT_FLAG, NULL, 1, AT(verbose), "more messages"},
    {"help", 'h', WS_OPT_FLAG, NULL, 1, AT(help), "this text"},
    GROUP("Not in pcap_flow"),
    {"gaps-file", 0, WS_OPT_FLAG, NULL, 1, AT(gaps_file), "list what is missing from a stream in NAME.gaps (as --tcpheader does)"},
    {"workers", 0, WS_OPT_U64, "N", 1, AT(workers), "worker threads (default 1)"},
    {"quiet", 'q', WS_OPT_FLAG, NULL, 1, AT(quiet), "no progress lines"},
    {"stats", 0, WS_OPT_FLAG, NULL, 1, AT(stats), "print all counters at the end"},
    {"version", 0, WS_OPT_FLAG, NULL, 1, AT(version), "the version"},
    {NULL, 0, WS_OPT_FLAG, NULL, 0, 0, NULL},
};

const char compat_pcap_flow_manual[] =
    ".SH FLOWS\n"
    "A flow is one direction of a tuple: MAC addresses, IP addresses, ports, DeviceID and DevicePort. FlowIDs\n"
    "count TCP and UDP flows from 1 in the order of their first packets, the same for any number of workers.\n"
    "A later connection of the same tuple has the FlowID of the first, and its stream goes on in the same file.\n"
    ".SH FILES\n"
    "A stream file is PREFIX_SMAC\\->DMAC_SADDR\\->DADDR_SPORT\\->DPORT; with \\-\\-output\\-tcp and\n"
    "\\-\\-output\\-udp, _DEVICEID_DEVICEPORT follows. What a file of that name held is replaced.\n";

static bool is_one_of(const char *name, size_t len, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(list[i]) == len && memcmp(list[i], name, len) == 0)
            return true;
    return false;
}

static bool is_number(const char *word)
{
    uint64_t v;
    return word && ws_parse_u64(word, &v) == 0;
}

/* "1e3" and the like become plain digits, as the engine's ranges have them. */
static void put_number(char *buf, size_t len, const char *word)
{
    uint64_t v = 0;
    ws_parse_u64(word, &v);
    snprintf(buf, len, "%llu", (unsigned long long)(v - (v == 65536)));
}

/* The word that stands for argv[*i] and what belongs to it: ranges of two words become "--name=LO-HI", and --tcpheader
 * gets its value. 0 and *out on the heap (NULL: out of memory), or 2 with the message printed. */
static int rewrite(int argc, char **argv, int *i, char **out)
{
    static const char *const ranges[] = {"extract-port", "extract-tcp-port", "extract-udp-port", "disable-tcp-port",
                                         "disable-udp-port"};
    const char *word = argv[*i], *name = strlen(word) > 2 ? word + 2 : "";
    char line[96], lo[24], hi[24];
    const char *first = *i + 1 < argc ? argv[*i + 1] : "", *second = *i + 2 < argc ? argv[*i + 2] : "";
    if (strcmp(word, "--tcpheader") == 0) {
        bool given = strcmp(first, "12") == 0 || strcmp(first, "32") == 0;
        word = given && *first == '3' ? "--tcpheader=32" : "--tcpheader=12";
        *i += given;
    }
    if (strcmp(word, "--output_tcp") == 0 || strcmp(word, "--output_udp") == 0) /* the README's spelling */
        word = strcmp(name, "output_tcp") == 0 ? "--output-tcp" : "--output-udp";
    if (strncmp(word, "--", 2) != 0 || !is_one_of(name, strlen(name), ranges, WS_ARRAY_SIZE(ranges))) {
        *out = strdup(word);
        return 0;
    }
    if (strchr(first, '-') && *first != '-') { /* LO-HI, as the native commands have it */
        snprintf(line, sizeof(line), "%s=%.40s", word, first);
        *i += 1;
    } else if (is_number(first) && is_number(second)) {
        put_number(lo, sizeof(lo), first);
        put_number(hi, sizeof(hi), second);
        snprintf(line, sizeof(line), "%s=%s-%s", word, lo, hi);
        *i += 2;
    } else {
        fprintf(stderr, "wirespool pcap_flow: %s needs two ports: LO HI\n", word);
        return 2;
    }
    *out = strdup(line);
    return 0;
}

void pcap_flow_args_free(char **heap)
{
    for (char **w = heap; w && *w; w++)
        free(*w);
    free(heap);
}

/* What cannot be meant. 0 or 2. */
static int check(struct pcap_flow_args *a)
{
    const struct ws_opt_list *const ids[] = {&a->extract, &a->extract_tcp};
    static const char *const names[] = {"extract", "extract-tcp"};
    uint64_t id;
    for (size_t k = 0; k < 2; k++) {
        for (unsigned i = 0; i < ids[k]->n; i++) {
            if (ws_parse_u64(ids[k]->item[i], &id) == 0 && id)
                continue;
            fprintf(stderr, "wirespool pcap_flow: --%s %s: a FlowID is a number from 1\n", names[k], ids[k]->item[i]);
            return 2;
        }
    }
    if (a->output_pcap && (a->tcp_header >= 0 || a->udp_header)) {
        fprintf(stderr, "wirespool pcap_flow: --output-pcap: packets have no headers of their own: not with --%s\n",
                a->udp_header ? "udpheader" : "tcpheader");
        return 2;
    }
    return 0;
}

int pcap_flow_args_parse(struct pcap_flow_args *a, int argc, char **argv, char ***heap)
{
    char err[256];
    int n = 0, rest;
    memset(a, 0, sizeof(*a));
    a->tcp_header = -1;
    a->workers = 1;
    char **words = *heap = calloc((size_t)argc + 1, sizeof(*words));
    if (!words) {
        fprintf(stderr, "wirespool pcap_flow: out of memory\n");
        return 3;
    }
    for (int i = 0; i < argc; i++) {
        int code = rewrite(argc, argv, &i, &words[n]);
        if (code)
            return code;
        if (!words[n++]) {
            fprintf(stderr, "wirespool pcap_flow: out of memory\n");
            return 3;
        }
    }
    if (ws_opts_parse(compat_pcap_flow_table, 1, n, (const char *const *)words, a, &a->input, &rest, err, sizeof(err)) < 0) {
        fprintf(stderr, "wirespool pcap_flow: %s (see wirespool pcap_flow --help)\n", err);
        return 2;
    }
    for (; rest < n; rest++) {
        if (a->input.n == WS_OPT_LIST_MAX) {
            fprintf(stderr, "wirespool pcap_flow: more than %u files\n", WS_OPT_LIST_MAX);
            return 2;
        }
        a->input.item[a->input.n++] = words[rest];
    }
    if (a->help || a->version)
        return 0;
    if (a->from_stdin && a->input.n < WS_OPT_LIST_MAX)
        a->input.item[a->input.n++] = "-";
    if (a->input.n == 0) {
        fprintf(stderr, "wirespool pcap_flow: give a capture file, or --stdin (see wirespool pcap_flow --help)\n");
        return 2;
    }
    return check(a);
}
