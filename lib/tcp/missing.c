/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges that were sent in datagrams of which a fragment is missing: why their gaps are there. */
#include "tcp/internal.h"

/* Ranges are remembered in a ring of the reassembler, not in the direction: they are seldom, and
 * the flag DIR_MISSING spares all other directions the search. A range pushed out of the ring costs
 * a cause, nothing else. */

void ws_tcp_note_missing(struct ws_tcp *t, struct ws_tcp_conn *c, unsigned dir, uint32_t seq,
                         uint32_t len)
{
    struct ws_tcp_dir *d = &c->dir[dir];
    if (!(t->cfg.want & WS_TCP_TRACK) || !(d->flags & DIR_SYNCED) || c->closed)
        return;
    uint64_t from = ws_seq_extend(d->seq0, d->next, seq);
    if (from + len <= d->next || from > d->next + ws_tcp_reach(t, c, dir))
        return;
    t->missing[t->missing_next++ % WS_TCP_MISSING] =
        (struct ws_tcp_missing){.c = c, .from = from, .to = from + len, .dir = (uint8_t)dir};
    d->flags |= DIR_MISSING;
}

enum ws_gap_cause ws_missing_cause(const struct ws_tcp *t, const struct ws_tcp_conn *c,
                                   unsigned dir, uint64_t at, uint64_t *to)
{
    enum ws_gap_cause cause = WS_GAP_NEVER_SEEN;
    for (unsigned i = 0; i < WS_TCP_MISSING; i++) {
        const struct ws_tcp_missing *m = &t->missing[i];
        if (m->c != c || m->dir != dir || m->to <= at)
            continue;
        if (m->from <= at)
            cause = WS_GAP_FRAGMENT;
        *to = WS_MIN(*to, m->from <= at ? m->to : m->from);
    }
    return cause;
}

void ws_missing_forget(struct ws_tcp *t, const struct ws_tcp_conn *c)
{
    for (unsigned i = 0; i < WS_TCP_MISSING; i++)
        if (t->missing[i].c == c)
            t->missing[i].c = NULL;
}
