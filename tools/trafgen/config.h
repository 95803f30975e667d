/* SPDX-License-Identifier: BSD-3-Clause */
/* What the command line asks for. */
#ifndef TG_CONFIG_H
#define TG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "rng.h"

enum tg_size_kind {
    TG_SIZE_FIXED,
    TG_SIZE_UNIFORM,
    TG_SIZE_PARETO, /* low * u^(-1/alpha), cut at high */
};

struct tg_size {
    enum tg_size_kind kind;
    uint64_t low, high;
    double alpha;
};

enum tg_attack {
    TG_ATTACK_NONE,
    TG_ATTACK_SYNFLOOD,
    TG_ATTACK_ACKFLOOD,  /* one packet of no connection a tuple */
    TG_ATTACK_HANDSHAKE, /* whole handshakes: the attacker answers itself */
    TG_ATTACK_OOO,
    TG_ATTACK_TINY,
    TG_ATTACK_FRAGFLOOD,
    TG_ATTACK_TEARDROP,
    TG_ATTACK_STALL,         /* zero window */
    TG_ATTACK_RST,           /* blind: far outside the window */
    TG_ATTACK_RST_WINDOW,    /* inside the window */
    TG_ATTACK_RST_EXACT,     /* the very next number */
    TG_ATTACK_COLLIDE_OWNER, /* all tuples at one worker */
    TG_ATTACK_COLLIDE_CRC,   /* all tuples of one unseeded CRC32C */
    TG_ATTACK_ONESIDE,       /* hours of loss, one side only */
    TG_ATTACK_FAR,           /* two sequence spaces on a tuple */
    TG_ATTACK_GARBAGE,       /* overlapping garbage */
    TG_ATTACK_COUNT,
};

extern const char *const tg_attack_names[TG_ATTACK_COUNT];

#define TG_TUNNEL_MIX 255u /* a tunnel kind drawn for each connection */

struct tg_config {
    uint64_t seed;
    const char *out_path;
    const char *truth_path; /* NULL: none */
    uint64_t bytes_max;     /* 0: no limit */
    uint64_t packets_max;
    uint64_t connections; /* UINT64_MAX: no limit */
    uint32_t concurrency;
    struct tg_size size;
    uint32_t mss; /* payload of a full segment is mss, less 12 with timestamps */
    uint32_t mss_small;
    uint32_t ack_every;
    uint32_t reorder_distance;
    uint32_t snaplen;
    uint32_t spacing_ns;
    unsigned tunnel;
    enum tg_attack attack;
    uint64_t attack_packets;
    double attack_ratio; /* attack packets for each ordinary one */
    bool ns;
    bool big_endian;
    /* odds by connection */
    tg_odds ipv6, vlan, qinq, mpls, udp, wrap, reuse, tunnelled, rst, midstream, small_segments;
    /* odds by packet */
    tg_odds loss, reorder, dup, retransmit, overlap, fragment;
};

/*
 * Fills config from the command line, defaults first. Returns 0; 1 when it is done (--help); -1
 * after having said what is wrong. Strings are borrowed from argv.
 */
int tg_config_parse(struct tg_config *config, int argc, char **argv);

#endif
