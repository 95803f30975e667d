/* SPDX-License-Identifier: BSD-3-Clause */
/* Selectors on flows and times: --port --host --tuple --community-id --after --before --flow.
 * Same kind: or; different kinds: and. They look at the innermost, defragmented header. */
#ifndef WS_FILTER_SELECT_H
#define WS_FILTER_SELECT_H

#include "packet/packet.h"

struct ws_select_port {
    uint16_t lo, hi; /* inclusive */
    uint8_t proto;   /* 0 = any protocol with ports */
};
struct ws_select_host {
    uint8_t addr[16];
    uint8_t ip_version, prefix;
};
struct ws_select_tuple {
    uint8_t proto;          /* 0 = any */
    uint8_t ip_version;
    uint8_t addr[2][16];
    uint16_t port[2];
    bool one_way;           /* addr[0]:port[0] -> addr[1]:port[1] only */
};

/* Lists are bounded by WS_SELECT_MAX each; a further one is a usage error. */
#define WS_SELECT_MAX 64u
struct ws_select {
    struct ws_select_port port[WS_SELECT_MAX], port_not[WS_SELECT_MAX];
    struct ws_select_host host[WS_SELECT_MAX];
    struct ws_select_tuple tuple[WS_SELECT_MAX];
    char community_id[WS_SELECT_MAX][40];
    unsigned n_port, n_port_not, n_host, n_tuple, n_community_id;
    uint16_t community_seed;
    int64_t after_ns, before_ns;  /* half-open [after, before); INT64_MIN / INT64_MAX = open */
    /* FlowIDs resolved by the first pass: sorted first ordinals of the chosen flows */
    const uint64_t *flow_ordinal; /* borrowed */
    const uint8_t *flow_dirs;     /* bit d: direction d chosen; same length */
    unsigned n_flow;
    bool by_flow;                 /* --flow was given (n_flow may be 0: none found) */
};

void ws_select_init(struct ws_select *s);

/* Parsers of the option values; 0 or -EINVAL with a line in err. LO[-HI]; ADDR[/N] (also a.b.c.d/m.m.m.m); "proto,src:port,dst:port" with [v6]; "1:base64". Times: epoch
 * seconds with fraction, or ISO 8601 "2026-01-02T03:04:05.123456789[Z|+hh:mm]" (UTC without zone). */
int ws_select_add_port(struct ws_select *s, const char *text, char *err, size_t err_len);
int ws_select_add_host(struct ws_select *s, const char *text, char *err, size_t err_len);
int ws_select_add_tuple(struct ws_select *s, const char *text, char *err, size_t err_len);
int ws_select_add_community_id(struct ws_select *s, const char *text, char *err, size_t err_len);
int ws_select_time(const char *text, int64_t *ns, char *err, size_t err_len);

/* True when nothing on flows is selected: every packet passes, also those without a flow. */
bool ws_select_flows_all(const struct ws_select *s);

/* Directions (bit d) of a flow that the selectors want; 0 = none. first_ordinal identifies the flow for by_flow. Pure. */
unsigned ws_select_flow(const struct ws_select *s, const struct ws_key *key, uint64_t first_ordinal);

/* Community ID v1 (Corelight's specification): "1:" + base64(sha1(...)); buf at least 40 bytes. ICMP
 * type/code are taken as ports icmp_port[2] when proto is ICMP/ICMPv6, else the key's. */
void ws_community_id(const struct ws_key *key, uint16_t seed, char *buf);

#endif
