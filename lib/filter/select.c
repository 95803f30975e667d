/* SPDX-License-Identifier: BSD-3-Clause */
/* Selectors: which directions of a flow are wanted. */
#include <netinet/in.h>
#include <string.h>

#include "filter/select.h"

#define BOTH 3u

void ws_select_init(struct ws_select *s)
{
    memset(s, 0, sizeof(*s));
    s->after_ns = INT64_MIN;
    s->before_ns = INT64_MAX;
}

bool ws_select_flows_all(const struct ws_select *s)
{
    return !(s->n_port | s->n_port_not | s->n_host | s->n_tuple | s->n_community_id) && !s->by_flow;
}

bool ws_select_has_ports(uint8_t proto)
{
    switch (proto) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_DCCP:
    case IPPROTO_SCTP:
    case IPPROTO_UDPLITE:
        return true;
    default:
        return false;
    }
}

static bool any_port(const struct ws_select_port *r, unsigned n, const struct ws_key *key)
{
    if (!ws_select_has_ports(key->proto))
        return false;
    for (; n; n--, r++) {
        if (r->proto && r->proto != key->proto)
            continue;
        for (unsigned e = 0; e < 2; e++)
            if (key->port[e] >= r->lo && key->port[e] <= r->hi)
                return true;
    }
    return false;
}

static bool in_prefix(const uint8_t *addr, const struct ws_select_host *h)
{
    unsigned whole = h->prefix / 8u, rest = h->prefix % 8u;
    if (memcmp(addr, h->addr, whole) != 0)
        return false;
    return !rest || (addr[whole] ^ h->addr[whole]) >> (8 - rest) == 0;
}

static bool any_host(const struct ws_select *s, const struct ws_key *key)
{
    for (const struct ws_select_host *h = s->host; h < s->host + s->n_host; h++) {
        if (h->ip_version == key->ip_version &&
            (in_prefix(key->addr[0], h) || in_prefix(key->addr[1], h)))
            return true;
    }
    return false;
}

/* Whether side a of the tuple is the key's endpoint e, and the other side the other endpoint. */
static bool tuple_at(const struct ws_select_tuple *t, const struct ws_key *key, unsigned e)
{
    return t->port[0] == key->port[e] && t->port[1] == key->port[!e] &&
           memcmp(t->addr[0], key->addr[e], 16) == 0 && memcmp(t->addr[1], key->addr[!e], 16) == 0;
}

static unsigned tuple_dirs(const struct ws_select *s, const struct ws_key *key)
{
    unsigned dirs = 0;
    for (const struct ws_select_tuple *t = s->tuple; t < s->tuple + s->n_tuple; t++) {
        if (t->ip_version != key->ip_version || (t->proto && t->proto != key->proto))
            continue;
        unsigned from = (unsigned)tuple_at(t, key, 0) | (unsigned)tuple_at(t, key, 1) << 1;
        if (from)
            dirs |= t->one_way ? from : BOTH;
    }
    return dirs;
}

static bool any_community_id(const struct ws_select *s, const struct ws_key *key)
{
    for (unsigned i = 0; i < s->n_community_id; i++)
        if (ws_community_id_may_be(key, s->community_seed, s->community_id[i]))
            return true;
    return false;
}

/* Directions chosen by FlowID: the flow's first ordinal looked up in the sorted list. */
static unsigned flow_dirs(const struct ws_select *s, uint64_t first_ordinal)
{
    unsigned lo = 0, hi = s->n_flow;
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (s->flow_ordinal[mid] < first_ordinal)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n_flow && s->flow_ordinal[lo] == first_ordinal ? s->flow_dirs[lo] & BOTH : 0;
}

/* What any one kind of selection wants, when they are alternatives. */
static unsigned any_kind(const struct ws_select *s, const struct ws_key *key,
                         uint64_t first_ordinal)
{
    if (!(s->n_port | s->n_host | s->n_tuple | s->n_community_id) && !s->by_flow)
        return BOTH;
    if (any_port(s->port, s->n_port, key) || any_host(s, key) || any_community_id(s, key))
        return BOTH;
    return tuple_dirs(s, key) | (s->by_flow ? flow_dirs(s, first_ordinal) : 0);
}

unsigned ws_select_flow(const struct ws_select *s, const struct ws_key *key, uint64_t first_ordinal)
{
    if (ws_select_flows_all(s))
        return BOTH;
    if (s->any)
        return any_port(s->port_not, s->n_port_not, key) ? 0 : any_kind(s, key, first_ordinal);
    if (any_port(s->port_not, s->n_port_not, key) ||
        (s->n_port && !any_port(s->port, s->n_port, key)) || (s->n_host && !any_host(s, key)))
        return 0;
    unsigned dirs = BOTH;
    if (s->n_tuple)
        dirs &= tuple_dirs(s, key);
    if (s->by_flow)
        dirs &= flow_dirs(s, first_ordinal);
    if (dirs && s->n_community_id && !any_community_id(s, key))
        dirs = 0;
    return dirs;
}
