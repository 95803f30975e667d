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
    uint8_t proto; /* 0 = any */
    uint8_t ip_version;
    uint8_t addr[2][16];
    uint16_t port[2];
    bool one_way; /* addr[0]:port[0] -> addr[1]:port[1] only */
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
    int64_t after_ns, before_ns; /* half-open [after, before); INT64_MIN / INT64_MAX = open */
    /* FlowIDs resolved by the first pass: sorted first ordinals of the chosen flows */
    const uint64_t *flow_ordinal; /* borrowed */
    const uint8_t *flow_dirs;     /* bit d: direction d chosen; same length */
    unsigned n_flow;
    bool by_flow; /* --flow was given (n_flow may be 0: none found) */
    bool any;     /* kinds: or, in place of and; not against port_not */
};

void ws_select_init(struct ws_select *s);

/* Parsers of the option values; the list is unchanged unless they succeed. 0 or -EINVAL with a line
 * in err. [PROTO,]LO[-HI]; ADDR[/N] (also a.b.c.d/m.m.m.m); "proto,src:port,dst:port" with [v6];
 * "1:base64". Times: epoch seconds with fraction, or ISO 8601
 * "2026-01-02T03:04:05.123456789[Z|+hh:mm]" (UTC without zone). A protocol without ports has tuples
 * "proto,src,dst". Host bits beyond a prefix are ignored. */
int ws_select_add_port(struct ws_select *s, const char *text, char *err, size_t err_len);
int ws_select_add_port_not(struct ws_select *s, const char *text, char *err, size_t err_len);
int ws_select_add_host(struct ws_select *s, const char *text, char *err, size_t err_len);
int ws_select_add_tuple(struct ws_select *s, const char *text, char *err, size_t err_len);
int ws_select_add_community_id(struct ws_select *s, const char *text, char *err, size_t err_len);
/* One range of ports, for callers that add it themselves. */
int ws_select_parse_port(struct ws_select_port *port, const char *text, char *err, size_t err_len);
int ws_select_time(const char *text, int64_t *ns, char *err, size_t err_len);

/* True when nothing on flows is selected: every packet passes, also those without a flow. */
bool ws_select_flows_all(const struct ws_select *s);

/* Whether ports belong to a protocol: TCP, UDP, UDP-Lite, DCCP, SCTP. --port is about these alone.
 */
bool ws_select_has_ports(uint8_t proto);

/* Directions (bit d) of a flow that the selectors want; 0 = none. first_ordinal identifies the flow
 * for by_flow. port_not wins over all. Pure; any thread may ask while nobody adds. */
unsigned ws_select_flow(const struct ws_select *s, const struct ws_key *key,
                        uint64_t first_ordinal);

/* Room for a Community ID with its end. */
#define WS_COMMUNITY_ID_LEN 40u

/* Community ID v1 (Corelight's community-id-spec): "1:" + base64(sha1(...)); buf has
 * WS_COMMUNITY_ID_LEN bytes. Ports count for TCP, UDP and SCTP only, as specified; the innermost
 * tuple is taken. An ICMP flow has no one ID, since type and code belong to it: buf is then empty.
 */
void ws_community_id(const struct ws_key *key, uint16_t seed, char *buf);

/* The Community ID of an ICMP or ICMPv6 message sent in direction dir of the flow. A request and
 * its answer have the same one. */
void ws_community_id_icmp(const struct ws_key *key, unsigned dir, uint8_t type, uint8_t code,
                          uint16_t seed, char *buf);

/* Whether id names the flow. For an ICMP flow: whether it names any usual message that its
 * endpoints might exchange (requests and answers, errors with codes up to 15), since a key knows no
 * type. */
bool ws_community_id_may_be(const struct ws_key *key, uint16_t seed, const char *id);

#endif
