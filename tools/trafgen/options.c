/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line: one table of options for parsing and for --help. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "config.h"

enum option_id {
    OPT_HELP = 1,
    OPT_OUT,
    OPT_TRUTH,
    OPT_SEED,
    OPT_PROFILE,
    OPT_BYTES,
    OPT_PACKETS,
    OPT_CONNECTIONS,
    OPT_CONCURRENCY,
    OPT_SIZE,
    OPT_MSS,
    OPT_ACK_EVERY,
    OPT_RATE,
    OPT_NS,
    OPT_BIG_ENDIAN,
    OPT_SNAPLEN,
    OPT_IPV6,
    OPT_VLAN,
    OPT_QINQ,
    OPT_MPLS,
    OPT_UDP,
    OPT_TUNNEL,
    OPT_WRAP,
    OPT_REUSE,
    OPT_RST,
    OPT_MIDSTREAM,
    OPT_LOSS,
    OPT_REORDER,
    OPT_DUP,
    OPT_RETRANSMIT,
    OPT_OVERLAP,
    OPT_FRAGMENT,
    OPT_ATTACK,
    OPT_ATTACK_PACKETS,
    OPT_ATTACK_RATIO,
    OPT_END,
};

static const struct {
    const char *name, *argument, *help;
} table[OPT_END] = {
    [OPT_HELP] = {"help", NULL, "show this"},
    [OPT_OUT] = {"out", "FILE", "capture to write, - = standard output (default -)"},
    [OPT_TRUTH] = {"truth", "FILE",
                   "JSON lines: each direction of each connection, then a summary"},
    [OPT_SEED] = {"seed", "N", "same seed and options, same bytes (default 1)"},
    [OPT_PROFILE] = {"profile", "NAME",
                     "bulk: 1 GB in 8,000 streams; small-flows: 500 MB in 105,000 connections; "
                     "later options override"},
    [OPT_BYTES] = {"bytes", "SIZE",
                   "stop when the capture has this size (K, M, G are powers of 1024; 1e9 works)"},
    [OPT_PACKETS] = {"packets", "N", "stop at this many packets"},
    [OPT_CONNECTIONS] =
        {"connections", "N",
         "connections in all (default 100; no limit when --bytes or --packets is given)"},
    [OPT_CONCURRENCY] = {"concurrency", "N",
                         "connections live at a time, mixed packet by packet (default 64)"},
    [OPT_SIZE] = {"size", "DIST",
                  "bytes of the larger direction: fixed:N, uniform:A-B, pareto:MIN:ALPHA:MAX "
                  "(default pareto:1000:1.2:1M)"},
    [OPT_MSS] = {"mss", "N", "largest segment, TCP options in (default 1460)"},
    [OPT_ACK_EVERY] = {"ack-every", "N", "segments for one acknowledgement (default 2)"},
    [OPT_RATE] = {"rate", "NS", "mean time between packets (default 1000)"},
    [OPT_NS] = {"ns", NULL, "nanosecond pcap"},
    [OPT_BIG_ENDIAN] = {"big-endian", NULL, "big-endian pcap"},
    [OPT_SNAPLEN] =
        {"snaplen", "N",
         "keep the first N bytes of a frame; what is cut off is a hole (not with --fragment)"},
    [OPT_IPV6] = {"ipv6", "PCT", "connections over IPv6"},
    [OPT_VLAN] = {"vlan", "PCT", "connections with one VLAN tag"},
    [OPT_QINQ] = {"qinq", "PCT", "connections with two VLAN tags"},
    [OPT_MPLS] = {"mpls", "PCT", "connections with one or two MPLS labels"},
    [OPT_UDP] = {"udp", "PCT", "conversations over UDP"},
    [OPT_TUNNEL] = {"tunnel", "KIND[:PCT]",
                    "none, gre, vxlan, geneve, gtpu, ipip or mix (PCT default 100)"},
    [OPT_WRAP] = {"wrap", "PCT", "connections whose sequence numbers pass 2^32"},
    [OPT_REUSE] =
        {"reuse", "PCT",
         "connections on the tuple of a finished one; a third of all closes is not captured"},
    [OPT_RST] = {"rst", "PCT", "connections that end by RST"},
    [OPT_MIDSTREAM] = {"midstream", "PCT", "connections whose handshake is not captured"},
    [OPT_LOSS] = {"loss", "P", "probability (0 to 1) that a packet is missing from the capture"},
    [OPT_REORDER] = {"reorder", "P[:N]",
                     "that a packet comes up to N of its connection's packets later (default 3)"},
    [OPT_DUP] = {"dup", "P", "that a packet stands in the capture twice; 1 = every one"},
    [OPT_RETRANSMIT] = {"retransmit", "P",
                        "of a retransmission: exact, coalesced, or longer by new bytes"},
    [OPT_OVERLAP] = {"overlap", "P",
                     "of other bytes in a range shown before; the first copy is the truth"},
    [OPT_FRAGMENT] = {"fragment", "P",
                      "that a datagram with payload is fragmented, in order or reversed"},
    [OPT_ATTACK] = {"attack", "KIND", "mix in synflood, ackflood, handshake, ooo, tiny, fragflood, teardrop, stall, rst, "
                    "rst-window, rst-exact, collide-owner, collide-crc, oneside, far or garbage"},
    [OPT_ATTACK_PACKETS] = {"attack-packets", "N", "hostile packets (default 10000)"},
    [OPT_ATTACK_RATIO] = {"attack-ratio", "R", "hostile packets for each ordinary one (default 1)"},
};

static void usage(FILE *f)
{
    fputs("usage: ws-trafgen [options] --out FILE.pcap\n"
          "Writes a capture of modelled TCP and UDP conversations whose every stream is known.\n\n",
          f);
    for (unsigned i = 1; i < OPT_END; i++) {
        char left[40];
        snprintf(left, sizeof(left), "--%s %s", table[i].name,
                 table[i].argument != NULL ? table[i].argument : "");
        fprintf(f, "  %-22s %s\n", left, table[i].help);
    }
}

/* --- values --------------------------------------------------------------------------------------
 */

static bool parse_number(const char *text, char stop, const char **rest, double *value)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    if (end == text || errno != 0 || !(*value >= 0) || *value > 1e18)
        return false;
    const char *units = "KMG";
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (unit != NULL) {
        for (long i = 0; i <= unit - units; i++)
            *value *= 1024;
        end++;
    }
    if (rest != NULL)
        *rest = end;
    return *end == '\0' || (stop != '\0' && *end == stop);
}

static bool parse_u64(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
    char *end;
    errno = 0;
    if (*text >= '0' && *text <= '9') { /* exact where a double is not: seeds */
        unsigned long long exact = strtoull(text, &end, 0);
        if (errno == 0 && *end == '\0') {
            *value = exact;
            return *value >= low && *value <= high;
        }
    }
    double number;
    if (!parse_number(text, '\0', NULL, &number) || number > 9e18)
        return false;
    *value = (uint64_t)number;
    return *value >= low && *value <= high;
}

static bool parse_u32(const char *text, uint32_t low, uint32_t high, uint32_t *value)
{
    uint64_t wide = 0;
    if (!parse_u64(text, low, high, &wide))
        return false;
    *value = (uint32_t)wide;
    return true;
}

static bool parse_odds(const char *text, double whole, tg_odds *odds)
{
    double value;
    if (!parse_number(text, '\0', NULL, &value) || value > whole)
        return false;
    *odds = tg_odds_from(value / whole);
    return true;
}

static bool parse_size(const char *text, struct tg_size *size)
{
    double low, high, alpha;
    const char *rest;
    if (strncmp(text, "fixed:", 6) == 0) {
        if (!parse_number(text + 6, '\0', NULL, &low))
            return false;
        *size = (struct tg_size){.kind = TG_SIZE_FIXED, .low = (uint64_t)low};
        return true;
    }
    if (strncmp(text, "uniform:", 8) == 0) {
        if (!parse_number(text + 8, '-', &rest, &low) || *rest != '-' ||
            !parse_number(rest + 1, '\0', NULL, &high) || high < low)
            return false;
        *size =
            (struct tg_size){.kind = TG_SIZE_UNIFORM, .low = (uint64_t)low, .high = (uint64_t)high};
        return true;
    }
    if (strncmp(text, "pareto:", 7) == 0) {
        if (!parse_number(text + 7, ':', &rest, &low) || *rest != ':' || low < 1 ||
            !parse_number(rest + 1, ':', &rest, &alpha) || *rest != ':' || alpha <= 0 ||
            !parse_number(rest + 1, '\0', NULL, &high) || high < low)
            return false;
        *size = (struct tg_size){
            .kind = TG_SIZE_PARETO, .low = (uint64_t)low, .high = (uint64_t)high, .alpha = alpha};
        return true;
    }
    return false;
}

static bool parse_tunnel(const char *text, struct tg_config *config)
{
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    if (!parse_odds(colon != NULL ? colon + 1 : "100", 100, &config->tunnelled))
        return false;
    if (len == 3 && strncmp(text, "mix", 3) == 0) {
        config->tunnel = TG_TUNNEL_MIX;
        return true;
    }
    for (unsigned i = 0; i < TG_TUNNEL_COUNT; i++) {
        if (strlen(tg_tunnel_names[i]) == len && strncmp(text, tg_tunnel_names[i], len) == 0) {
            config->tunnel = i;
            if (i == TG_TUNNEL_NONE)
                config->tunnelled = 0;
            return true;
        }
    }
    return false;
}

static bool parse_reorder(const char *text, struct tg_config *config)
{
    double p;
    const char *rest;
    if (!parse_number(text, ':', &rest, &p) || p > 1)
        return false;
    config->reorder = tg_odds_from(p);
    return *rest == '\0' || parse_u32(rest + 1, 1, 1000, &config->reorder_distance);
}

static bool parse_attack(const char *text, struct tg_config *config)
{
    for (unsigned i = 0; i < TG_ATTACK_COUNT; i++) {
        if (strcmp(text, tg_attack_names[i]) == 0) {
            config->attack = (enum tg_attack)i;
            return true;
        }
    }
    return false;
}

/* The two captures that the benchmarks use; sizes were fitted to the totals. */
static bool apply_profile(const char *name, struct tg_config *config)
{
    if (strcmp(name, "bulk") == 0) {
        config->connections = 4000;
        config->concurrency = 512;
        config->size = (struct tg_size){.kind = TG_SIZE_UNIFORM, .low = 30000, .high = 410000};
        config->ack_every = 1;
        config->small_segments = tg_odds_from(0.02);
        return true;
    }
    if (strcmp(name, "small-flows") == 0 || strcmp(name, "small") == 0) {
        config->connections = 105000;
        config->concurrency = 1024;
        config->size =
            (struct tg_size){.kind = TG_SIZE_PARETO, .low = 616, .high = 1000000, .alpha = 1.2};
        return true;
    }
    return false;
}

static bool apply(struct tg_config *c, enum option_id id, const char *arg)
{
    double ratio;
    switch (id) {
    case OPT_OUT:
        c->out_path = arg;
        return true;
    case OPT_TRUTH:
        c->truth_path = arg;
        return true;
    case OPT_SEED:
        return parse_u64(arg, 0, UINT64_MAX, &c->seed);
    case OPT_PROFILE:
        return apply_profile(arg, c);
    case OPT_BYTES:
        return parse_u64(arg, 1, INT64_MAX, &c->bytes_max);
    case OPT_PACKETS:
        return parse_u64(arg, 1, INT64_MAX, &c->packets_max);
    case OPT_CONNECTIONS:
        /* Clients times ports: beyond, tuples would meet. */
        return parse_u64(arg, 0, 400000000, &c->connections);
    case OPT_CONCURRENCY:
        return parse_u32(arg, 1, 10000000, &c->concurrency);
    case OPT_SIZE:
        return parse_size(arg, &c->size);
    case OPT_MSS:
        return parse_u32(arg, 64, 65000, &c->mss);
    case OPT_ACK_EVERY:
        return parse_u32(arg, 1, 16, &c->ack_every);
    case OPT_RATE:
        return parse_u32(arg, 0, 1000000000, &c->spacing_ns);
    case OPT_NS:
        c->ns = true;
        return true;
    case OPT_BIG_ENDIAN:
        c->big_endian = true;
        return true;
    case OPT_SNAPLEN:
        return parse_u32(arg, 64, 65535, &c->snaplen);
    case OPT_IPV6:
        return parse_odds(arg, 100, &c->ipv6);
    case OPT_VLAN:
        return parse_odds(arg, 100, &c->vlan);
    case OPT_QINQ:
        return parse_odds(arg, 100, &c->qinq);
    case OPT_MPLS:
        return parse_odds(arg, 100, &c->mpls);
    case OPT_UDP:
        return parse_odds(arg, 100, &c->udp);
    case OPT_TUNNEL:
        return parse_tunnel(arg, c);
    case OPT_WRAP:
        return parse_odds(arg, 100, &c->wrap);
    case OPT_REUSE:
        return parse_odds(arg, 100, &c->reuse);
    case OPT_RST:
        return parse_odds(arg, 100, &c->rst);
    case OPT_MIDSTREAM:
        return parse_odds(arg, 100, &c->midstream);
    case OPT_LOSS:
        return parse_odds(arg, 1, &c->loss);
    case OPT_REORDER:
        return parse_reorder(arg, c);
    case OPT_DUP:
        return parse_odds(arg, 1, &c->dup);
    case OPT_RETRANSMIT:
        return parse_odds(arg, 1, &c->retransmit) && c->retransmit < tg_odds_from(0.95);
    case OPT_OVERLAP:
        return parse_odds(arg, 1, &c->overlap) && c->overlap < tg_odds_from(0.95);
    case OPT_FRAGMENT:
        return parse_odds(arg, 1, &c->fragment);
    case OPT_ATTACK:
        return parse_attack(arg, c);
    case OPT_ATTACK_PACKETS:
        return parse_u64(arg, 0, INT64_MAX, &c->attack_packets);
    case OPT_ATTACK_RATIO:
        if (!parse_number(arg, '\0', NULL, &ratio) || ratio > 1000)
            return false;
        c->attack_ratio = ratio;
        return true;
    default:
        return false;
    }
}

int tg_config_parse(struct tg_config *config, int argc, char **argv)
{
    *config = (struct tg_config){
        .seed = 1,
        .out_path = "-",
        .connections = UINT64_MAX,
        .concurrency = 64,
        .size = {.kind = TG_SIZE_PARETO, .low = 1000, .high = 1 << 20, .alpha = 1.2},
        .mss = TG_MSS_OFFERED,
        .mss_small = 256,
        .ack_every = 2,
        .reorder_distance = 3,
        .spacing_ns = 1000,
        .attack_packets = 10000,
        .attack_ratio = 1,
    };
    struct option options[OPT_END] = {{0}};
    for (unsigned i = 1; i < OPT_END; i++)
        options[i - 1] = (struct option){
            table[i].name, table[i].argument != NULL ? required_argument : no_argument, NULL,
            (int)i};
    int id;
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == OPT_HELP) {
            usage(stdout);
            return 1;
        }
        if (id <= 0 || id >= OPT_END)
            return -1; /* getopt has said why */
        if (!apply(config, (enum option_id)id, optarg)) {
            fprintf(stderr, "ws-trafgen: bad value for --%s: %s\n", table[id].name, optarg);
            return -1;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ws-trafgen: unexpected argument: %s\n", argv[optind]);
        return -1;
    }
    if (config->snaplen != 0 && config->fragment != 0) {
        fputs("ws-trafgen: --snaplen and --fragment exclude each other\n", stderr);
        return -1;
    }
    if (config->connections == UINT64_MAX && config->bytes_max == 0 && config->packets_max == 0)
        config->connections = 100;
    return 0;
}
