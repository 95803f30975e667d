/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of lib/tcp share. */
#ifndef WS_TCP_INTERNAL_H
#define WS_TCP_INTERNAL_H

#include "tcp/held.h"
#include "tcp/seq.h"
#include "tcp/tcp.h"

enum {
    WS_TCP_TRACK = WS_TCP_WANT_DATA | WS_TCP_WANT_GAPS,
    /* Far segments in a row, each near the end of the one before and nothing of the known sequence
     * space in between, until the direction follows them (docs in README.md). */
    WS_TCP_FAR_RUN = 4,
    WS_TCP_FAR_RUN_ACK =
        16, /* the same when they acknowledge nothing that the peer can have sent, or when the peer has been
               acknowledging and does not acknowledge them */
    WS_TCP_FAR_NEAR = 1 << 20, /* "near", in bytes */
    WS_TCP_WINDOW_MIN = 65535, /* assumed where no window was seen */
    WS_TCP_COVER_MAX = 32,     /* held nodes under one segment from which on they are joined */
};

/* ws_tcp_dir.flags */
enum {
    DIR_SYNCED = 1u << 0, /* seq0 is set: sequence numbers have positions */
    DIR_STARTED =
        1u << 1, /* base is fixed (while nothing is delivered, a handshake may still move it) */
    DIR_HOLD = 1u << 2,     /* midstream: delivery waits for lower bytes */
    DIR_SYN = 1u << 3,      /* its SYN was seen */
    DIR_SYNACK = 1u << 4,   /* with ACK */
    DIR_INFERRED = 1u << 5, /* its ISN is known from the peer's ACK only */
    DIR_SYNDATA = 1u << 6,  /* holds payload of a SYN that the handshake has not chosen yet */
    DIR_ACKED = 1u << 7,    /* acked is valid */
    DIR_ACKRAW = 1u << 8,   /* ack_raw is valid */
    DIR_FIN = 1u << 9,      /* fin is valid */
    DIR_RST = 1u << 10,     /* sent the reset that counts */
    DIR_SEEN = 1u << 11,    /* has had a packet */
    DIR_MISSING = 1u << 12, /* may have ranges in ws_tcp.missing */
    DIR_FIN_ACKED = 1u << 13, /* the peer has accepted the FIN: it is the end */
    DIR_FIN_OTHER = 1u << 14, /* another FIN was seen, at sequence number far_seq */
    DIR_FAR_ACKED = 1u << 15, /* the peer acknowledges where the run of far segments is */
};

/* ws_tcp_conn.candidate_state */
enum {
    CAND_NONE,
    CAND_ALT,    /* another ISN of dir in an undecided handshake */
    CAND_SYN,    /* a SYN on an open tuple */
    CAND_SYNACK, /* a SYN/ACK on an open tuple */
};

/* A range that was sent in an incomplete datagram (missing.c). */
struct ws_tcp_missing {
    const struct ws_tcp_conn *c; /* NULL: none */
    uint64_t from, to;
    uint8_t dir;
};
#define WS_TCP_MISSING 256u

struct ws_tcp {
    struct ws_tcp_config cfg;
    struct ws_counters *counters;
    struct ws_tcp_ops ops; /* members that nobody wants are NULL */
    void *user;
    struct ws_held_pool pool;
    struct ws_tcp_missing missing[WS_TCP_MISSING]; /* a ring */
    uint32_t missing_next;
    uint8_t scratch[WS_HELD_PIECE]; /* a node's bytes in one piece, for one callback */
};

/* A segment on its way through the slow path. */
struct ws_tcp_ctx {
    struct ws_tcp *t;
    struct ws_tcp_conn *c;
    void *flow;
    const struct ws_tcp_segment *seg; /* NULL in ws_tcp_close() */
    bool exact; /* it begins at the next byte expected, so its ACK is to be trusted */
};

/* Captured payload that counts. */
static inline uint32_t ws_tcp_captured(const struct ws_tcp_segment *s)
{
    return s->no_payload ? 0 : s->len;
}

static inline void ws_tcp_note(const struct ws_tcp *t, enum ws_counter id, uint64_t n)
{
    if (n)
        ws_count(t->counters, id, n);
}

static inline uint32_t ws_tcp_isn(const struct ws_tcp_dir *d)
{
    return ws_seq_of(d->seq0, d->base) - 1;
}

/* How far a segment of dir may lie from what is known; UINT64_MAX: no limit. */
static inline uint64_t ws_tcp_reach(const struct ws_tcp *t, const struct ws_tcp_conn *c,
                                    unsigned dir)
{
    return t->cfg.jump_max ? t->cfg.jump_max + c->dir[dir ^ 1].window : UINT64_MAX >> 1;
}

/* Where delivery ends: nothing at or beyond it leaves while the FIN stands. */
static inline uint64_t ws_tcp_limit(const struct ws_tcp_dir *d)
{
    return d->flags & DIR_FIN ? d->fin : UINT64_MAX;
}

/* conn.c */
/* The state of an open connection by its FINs. */
void ws_conn_reopen(struct ws_tcp_conn *c);
/* Asks the peer's ACKs whether the FIN of dir was meant: after each segment of either side. */
void ws_conn_judge_fin(struct ws_tcp_ctx *x, unsigned dir);
/* Whether the segment belongs to another connection; changes nothing. */
enum ws_tcp_verdict ws_conn_verdict(const struct ws_tcp_conn *c, unsigned dir,
                                    const struct ws_tcp_segment *seg);
void ws_conn_event(struct ws_tcp_ctx *x, unsigned dir, enum ws_tcp_event ev);
/* Zeek's letters of c->history, in the order of history_seen. */
enum ws_history {
    WS_HISTORY_SYN,
    WS_HISTORY_SYNACK,
    WS_HISTORY_ACK,
    WS_HISTORY_DATA,
    WS_HISTORY_FIN,
    WS_HISTORY_RST,
    WS_HISTORY_RETRANSMITTED,
    WS_HISTORY_GAP,
};
/* Their letters, by twice the kind and 1 for the responder. */
extern const char ws_conn_letters[17];
static inline unsigned ws_conn_letter(char letter)
{
    unsigned code = 0;
    while (code < 15 && ws_conn_letters[code] != letter)
        code++;
    return code;
}
void ws_conn_history_add(struct ws_tcp_conn *c, unsigned dir, enum ws_history what);
/* Writes the letter when it is new for that side: each comes once. */
static inline void ws_conn_history(struct ws_tcp_conn *c, unsigned dir, enum ws_history what)
{
    if (!(c->history_seen >> (what * 2u + (dir != c->orig)) & 1u))
        ws_conn_history_add(c, dir, what);
}
/* Returns whether the segment's payload is to be looked at. */
bool ws_conn_syn(struct ws_tcp_ctx *x, unsigned dir);
void ws_conn_rst(struct ws_tcp_ctx *x, unsigned dir);
void ws_conn_ack(struct ws_tcp_ctx *x, unsigned dir);
/* A segment without SYN and RST: what it says about the handshake. */
void ws_conn_plain(struct ws_tcp_ctx *x, unsigned dir);
/* Takes the end of dir's stream; fin is its position. */
void ws_conn_fin(struct ws_tcp_ctx *x, unsigned dir, uint64_t fin);
/* Begins dir in the middle; seq is that of the first byte seen. */
void ws_conn_midstream(struct ws_tcp_ctx *x, unsigned dir, uint32_t seq);

/* overlap.c */
bool ws_overlap_new_wins(enum ws_overlap policy, uint64_t new_from, uint64_t new_to,
                         uint64_t old_from, uint64_t old_to);

/* A run of payload or of a hole to be put in its place. */
struct ws_tcp_run {
    uint64_t from, to;         /* what is still to be placed */
    uint64_t seg_from, seg_to; /* the whole segment, for the policies */
    const uint8_t *data;       /* the byte of position seg_from, NULL for a hole */
    enum ws_gap_cause cause;   /* of a hole */
    const struct ws_tcp_meta *meta;
    const struct ws_held_owner *owner; /* whose it is, when it is held */
    bool placed;                       /* some of it has been: the rest are later pieces */
    bool differed;                     /* out: some range had other bytes before */
    bool own_cap; /* out: what ran out was a cap of the direction, not the pool */
};
/* Holds what of *r is to be held under the policy, and moves r->from on over what is dealt with.
 * Returns false when the pool or a cap of the direction ran out before r->to. */
bool ws_overlap_hold(struct ws_tcp *t, struct ws_tcp_dir *d, struct ws_tcp_run *r);
/* What becomes of a range that a run shares with a held node. */
enum ws_overlap_fate {
    WS_OVERLAP_OLD,         /* other bytes: the held ones stay */
    WS_OVERLAP_NEW,         /* other bytes: the run's replace them */
    WS_OVERLAP_SAME,        /* the same bytes (or nobody keeps them): the held ones stay */
    WS_OVERLAP_SAME_NEW,    /* the same bytes, but the run's segment is what later copies are judged by */
    WS_OVERLAP_HOLE_LOSES,  /* the run is a hole */
    WS_OVERLAP_HOLE_FILLED, /* the node is a hole: the run's bytes fill it */
};
/* Decides the range [r->from, to), which node i covers; changes nothing. */
enum ws_overlap_fate ws_overlap_decide(const struct ws_tcp *t, uint32_t i,
                                       const struct ws_tcp_run *r, uint64_t to);
/* Counts the losing side's len bytes. */
void ws_overlap_count(struct ws_tcp *t, struct ws_tcp_run *r, enum ws_overlap_fate fate,
                      uint64_t len);

/* deliver.c */
/* What lies beyond a FIN that the peer has not accepted is held until ws_conn_judge_fin() decides. */
void ws_deliver_run(struct ws_tcp_ctx *x, unsigned dir, struct ws_tcp_run *r);
void ws_deliver_drain(struct ws_tcp_ctx *x, unsigned dir);
void ws_deliver_gap(struct ws_tcp_ctx *x, unsigned dir, uint64_t to, enum ws_gap_cause cause);
/* Ends a midstream wait: the stream begins at the lowest byte seen. */
void ws_deliver_start(struct ws_tcp_ctx *x, unsigned dir);
/* Fixes the base, at or below the lowest byte held, before anything was delivered; delivers. */
void ws_deliver_rebase(struct ws_tcp_ctx *x, unsigned dir, uint64_t base);
/* missing.c: why the byte at a position of a gap is not there, and, in *to, where that reason ends
 * at the latest: *to is lowered only. */
enum ws_gap_cause ws_missing_cause(const struct ws_tcp *t, const struct ws_tcp_conn *c,
                                   unsigned dir, uint64_t at, uint64_t *to);
void ws_missing_forget(struct ws_tcp *t, const struct ws_tcp_conn *c);
/* Drops what is held at and beyond from; its bytes go to counter id. */
void ws_deliver_drop_from(struct ws_tcp *t, struct ws_tcp_dir *d, uint64_t from,
                          enum ws_counter id);
/* Gives up all that a direction waits for: holes become gaps of cause WS_GAP_CAP, nothing stays held. */
void ws_deliver_settle(struct ws_tcp_ctx *x, unsigned dir);
/* Delivers what is held and begins below to, and what follows it without a hole, with gaps of that cause. */
void ws_deliver_flush(struct ws_tcp_ctx *x, unsigned dir, uint64_t to, enum ws_gap_cause cause);

#endif
