/* SPDX-License-Identifier: BSD-3-Clause */
/* Names for reports: gap causes, events, and Zeek's conn_state. */
#include "tcp/internal.h"

const char *ws_gap_cause_name(enum ws_gap_cause cause)
{
    static const char *const names[WS_GAP_CAUSES] = {
        [WS_GAP_NEVER_SEEN] = "never_seen", [WS_GAP_CAP] = "cap",
        [WS_GAP_SNAPLEN] = "snaplen",       [WS_GAP_FRAGMENT] = "fragment",
        [WS_GAP_EVICTED] = "evicted",       [WS_GAP_FILTERED] = "filtered",
        [WS_GAP_SHED] = "shed",
    };
    return (unsigned)cause < WS_GAP_CAUSES ? names[cause] : "unknown";
}

const char *ws_tcp_event_name(enum ws_tcp_event ev)
{
    static const char *const names[WS_TCP_EV_EVENTS] = {
        [WS_TCP_EV_ESTABLISHED] = "established",
        [WS_TCP_EV_FIN] = "fin",
        [WS_TCP_EV_RST] = "rst",
        [WS_TCP_EV_RST_IGNORED] = "rst_ignored",
        [WS_TCP_EV_OVERLAP] = "overlap",
        [WS_TCP_EV_MIDSTREAM] = "midstream",
        [WS_TCP_EV_FAR_SEGMENT] = "far_segment",
        [WS_TCP_EV_SYN_IGNORED] = "syn_ignored",
    };
    return (unsigned)ev < WS_TCP_EV_EVENTS ? names[ev] : "unknown";
}

/* The table of Zeek's base/protocols/conn documentation, by what each side did. A side of which no
 * SYN was seen is "inactive" there, also when it sent data. */
const char *ws_tcp_conn_state(const struct ws_tcp_conn *c)
{
    const struct ws_tcp_dir *o = &c->dir[c->orig], *r = &c->dir[c->orig ^ 1];
    const bool o_syn = o->flags & DIR_SYN, r_syn = r->flags & DIR_SYN;

    if (c->state == WS_TCP_RESET && r->flags & DIR_RST) {
        if (o_syn && !r_syn && !ws_tcp_dir_length(o) && !ws_tcp_dir_length(r))
            return "REJ";
        return o_syn ? "RSTR" : "RSTRH";
    }
    if (c->state == WS_TCP_RESET && o->flags & DIR_RST)
        return r_syn ? "RSTO" : "RSTOS0";
    if (o->flags & DIR_FIN && r->flags & DIR_FIN)
        return "SF";
    if (o->flags & DIR_FIN)
        return r_syn ? "S2" : "SH";
    if (r->flags & DIR_FIN)
        return o_syn ? "S3" : "SHR";
    if (o_syn && !r_syn && !(r->flags & DIR_SEEN))
        return "S0";
    if (o_syn && r_syn)
        return "S1";
    return "OTH";
}
