/* SPDX-License-Identifier: BSD-3-Clause */
/* What a name takes from a flow itself. */
#ifndef WS_SINK_FLOW_VALUES_H
#define WS_SINK_FLOW_VALUES_H

#include <string.h>

#include "flow/flow.h"
#include "format/name.h"

/* Fills addresses, ports, VLANs and protocol of direction dir; the rest is zero. */
static inline void ws_flow_values(const struct ws_flow *flow, unsigned dir,
                                  struct ws_name_values *v)
{
    const struct ws_key *k = &flow->key;
    memset(v, 0, sizeof(*v));
    memcpy(v->src, k->addr[dir], 16);
    memcpy(v->dst, k->addr[!dir], 16);
    v->src_port = k->port[dir];
    v->dst_port = k->port[!dir];
    v->vlan[0] = k->vlan[0];
    v->vlan[1] = k->vlan[1];
    v->ip_version = k->ip_version;
    v->proto = k->proto;
    v->device = (uint16_t)k->device;
    v->device_port = (uint16_t)(k->device >> 16);
}

#endif
