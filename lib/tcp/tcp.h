/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP connection state and stream reassembly (RFC 9293), for an observer that sees both directions,
 * one, or part of them, with loss, reordering and hostile segments.
 *
 * One reassembler per worker thread. A connection (struct ws_tcp_conn) lies in its flow's area.
 * In-order payload is given straight from the packet; out-of-order payload is copied to a capped
 * pool. Stream offsets are 64-bit and start at 0 with the first byte after the SYN, or the first
 * byte delivered of a midstream direction. A range that never comes is an explicit gap.
 */
#ifndef WS_TCP_TCP_H
#define WS_TCP_TCP_H

#include "base/counters.h"
#include "base/overlap.h"
#include "packet/packet.h"

/* What is known of the segment that brought bytes; travels with held bytes. */
struct ws_tcp_meta {
    int64_t ts_ns;
    uint64_t ordinal;
    uint32_t seq, ack;
    uint16_t window;
    uint8_t flags; /* enum ws_tcp_flag */
    uint8_t piece; /* in data(): 1 if bytes of the same segment have been delivered before */
};

/* Why a range of a stream is missing. */
enum ws_gap_cause {
    WS_GAP_NEVER_SEEN, /* not in the capture */
    WS_GAP_CAP,        /* given up because a cap on held bytes was hit */
    WS_GAP_SNAPLEN,    /* on the wire, but cut by the snap length */
    WS_GAP_FRAGMENT,   /* a fragment of its datagram is missing */
    WS_GAP_EVICTED,    /* the flow was evicted before */
    WS_GAP_FILTERED,   /* rejected by the filter expression */
    WS_GAP_SHED,       /* captured, but left out by an output that was overloaded (sink/overload.h) */
    WS_GAP_CAUSES
};

/* What happened on a connection besides bytes. */
enum ws_tcp_event {
    WS_TCP_EV_ESTABLISHED,
    WS_TCP_EV_FIN,         /* dir: end of that stream known */
    WS_TCP_EV_RST,         /* a reset that counts */
    WS_TCP_EV_RST_IGNORED, /* outside the window, or the stream went on */
    WS_TCP_EV_OVERLAP,     /* same range, other bytes */
    WS_TCP_EV_MIDSTREAM,   /* dir began without its SYN */
    WS_TCP_EV_FAR_SEGMENT, /* dropped: too far ahead */
    WS_TCP_EV_SYN_IGNORED, /* a SYN that opened nothing */
    WS_TCP_EV_EVENTS
};

/* A segment as decode gives it; data is borrowed. */
struct ws_tcp_segment {
    const uint8_t *data;
    uint32_t len;      /* captured payload bytes */
    uint32_t wire_len; /* payload bytes on the wire, >= len */
    uint8_t wscale;    /* as ws_packet.tcp_wscale */
    bool no_payload;   /* filtered: see the header, treat the payload as a hole (WS_GAP_FILTERED) */
    bool keep_alive;   /* to observers: the last byte again, perhaps another value; refused */
    struct ws_tcp_meta meta;
    uint64_t frame_bytes; /* wire bytes of the frame, for candidates */
};

/* What an observer can ask for; the reassembler skips the rest. */
enum ws_tcp_want {
    WS_TCP_WANT_DATA = 1,    /* ordered bytes and gaps with content */
    WS_TCP_WANT_SEGMENT = 2, /* each segment in arrival order with its 64-bit offset;
                                retransmissions and keep-alives too, other refused payload not */
    WS_TCP_WANT_GAPS = 4,    /* gaps and lengths only: ranges are tracked, bytes not stored */
};

struct ws_tcp_conn;

/* Called from ws_tcp_push()/ws_tcp_close(), in stream order per direction for data and gap. Data
 * pointers are borrowed for the call. Any member may be NULL. off is the stream offset of data[0].
 * The offset of segment() counts from ISN + 1; in a direction begun midstream from the first
 * payload byte captured, so that earlier bytes that come later have negative ones (and the stream's
 * offset 0, the lowest byte, may differ). */
struct ws_tcp_ops {
    void (*data)(void *flow, unsigned dir, uint64_t off, const uint8_t *data, uint32_t len,
                 const struct ws_tcp_meta *meta, void *user);
    void (*gap)(void *flow, unsigned dir, uint64_t off, uint64_t len, enum ws_gap_cause cause,
                void *user);
    void (*segment)(void *flow, unsigned dir, int64_t off, const struct ws_tcp_segment *seg,
                    void *user);
    void (*event)(void *flow, unsigned dir, enum ws_tcp_event ev, const struct ws_tcp_meta *meta,
                  void *user);
};

struct ws_tcp_config {
    enum ws_overlap overlap;  /* default first */
    uint32_t nodes_max;       /* held segments in all (default 262,144) */
    uint64_t bytes_max;       /* held bytes in all (default 256 MiB) */
    uint64_t dir_bytes_max;   /* held bytes of a direction (default 16 MiB) */
    uint32_t dir_nodes_max;   /* held segments of a direction (default 16,384) */
    uint64_t jump_max;        /* a segment further than this ahead is refused (default 16 MiB..
                                 the reassembler adds the scaled window; 0 = no limit) */
    uint64_t midstream_bytes; /* hold a midstream direction's delivery up to these bytes, */
    int64_t midstream_ns;     /* or this packet time, for lower bytes (default 64 KiB, 1 s) */
    unsigned want;            /* enum ws_tcp_want bits */
    uint32_t seed;            /* of the shape of the sets of held ranges: who sends the traffic must
                                 not know it; nothing that comes out depends on it */
};

extern const struct ws_tcp_config ws_tcp_defaults;

struct ws_tcp;

size_t ws_tcp_bytes(const struct ws_tcp_config *cfg);
/* Builds a reassembler in mem (64-byte aligned, zero, borrowed). ops, counters borrowed. */
struct ws_tcp *ws_tcp_init(void *mem, const struct ws_tcp_config *cfg, struct ws_counters *counters,
                           const struct ws_tcp_ops *ops, void *user);

/* One direction's state; all zero is a fresh one. The layout is private to lib/tcp. Positions are
 * 64-bit and internal (lib/tcp/seq.h); base is that of stream offset 0. */
struct ws_tcp_dir {
    /* hot: what an in-order segment touches of its direction or of its peer's */
    uint64_t next;  /* next byte to deliver; while a midstream direction waits: lowest seen */
    uint64_t top;   /* highest seen + 1 */
    uint64_t acked; /* highest position the peer acknowledged */
    uint32_t seq0;  /* anchor between sequence numbers and positions */
    uint32_t head;  /* held segments: list (held.h) */
    uint32_t window; /* last advertised, scaled */
    uint16_t flags;
    uint8_t wscale; /* of its SYN: shift + 1, 0 none */
    uint8_t far_count;

    uint64_t base; /* stream offset 0 */
    uint64_t fin;  /* the FIN, when known: the end of the stream */
    uint32_t root; /* held segments: treap */
    uint32_t held_nodes, held_bytes;
    uint32_t far_seq; /* where the last refused far segment ended; with a FIN: where another FIN is */
    uint32_t ack_raw; /* the peer's last ACK number while there is no anchor */
    uint32_t gaps;
};
#define WS_TCP_DIR_HOT 40u /* bytes of the hot part */
static_assert(sizeof(struct ws_tcp_dir) == 80, "the hot parts of a connection share two lines");
static_assert(offsetof(struct ws_tcp_dir, base) == WS_TCP_DIR_HOT, "hot part first");

/* A connection: zero it to start afresh. The straight path touches two cache lines of one that begins on a line:
 *
 *   0      8            48            64      88            128
 *   |shared|dir[0] hot  |dir[0] cold  |       |dir[1] hot   |dir[1] cold ...
 */
struct ws_tcp_conn {
    uint8_t state;           /* enum ws_tcp_state */
    uint8_t candidate_state; /* what candidate is; 0: none */
    uint8_t unused;
    uint8_t orig;   /* direction of the originator once known */
    uint8_t events; /* bit per enum ws_tcp_event that occurred */
    uint8_t closed; /* ws_tcp_close() was called */
    uint16_t history_seen; /* bit per letter and direction */
    struct ws_tcp_dir dir[2];

    union {
        int64_t hold_until_ns; /* packet time that ends the midstream wait, which comes before any gap */
        uint64_t gap_bytes;    /* where dir.gaps is not 0 (ws_tcp_gap_bytes()) */
    } rare[2];
    /* A SYN on an open tuple that may turn out to be a new connection (6a.8). */
    struct {
        uint64_t ordinal;
        int64_t ts_ns;
        uint32_t frame_bytes, packets; /* held at their maximum */
        uint32_t isn, ack;
    } candidate;
    uint8_t candidate_dir, candidate_wscale;
    uint8_t orig_known;
    uint8_t history_len;
    char history[20]; /* Zeek's letters: originator upper case (set by orig); 17 at most */
};
static_assert(sizeof(struct ws_tcp_conn) == 240, "with a flow and its two FlowIDs seven cache lines");
#define WS_TCP_CONN_HOT (2 * WS_CACHE_LINE) /* bytes from its start */
static_assert(offsetof(struct ws_tcp_conn, dir) + sizeof(struct ws_tcp_dir) + WS_TCP_DIR_HOT == WS_TCP_CONN_HOT,
              "hot parts end with the second line");

/* State of the connection as the observer knows it. */
enum ws_tcp_state {
    WS_TCP_NEW,
    WS_TCP_SYN_SENT,
    WS_TCP_SYN_RECEIVED, /* SYN/ACK seen */
    WS_TCP_OPEN,         /* data or the last ACK of the handshake, or midstream */
    WS_TCP_CLOSING,      /* one FIN */
    WS_TCP_CLOSED,       /* both FINs */
    WS_TCP_RESET,
};

/* What the caller must do with a segment. */
enum ws_tcp_verdict {
    WS_TCP_TAKEN,
    WS_TCP_NEW_CONNECTION, /* the segment opens a new connection on the tuple: close this flow
                              (ws_tcp_close with REUSED), begin a new one, push again */
    WS_TCP_NEW_CANDIDATE,  /* the same, and the connection begins with conn->candidate: copy the
                              struct, and give it to ws_tcp_adopt() on the fresh conn before the push
                            */
};

/* What ws_tcp_push() would say to this segment, without taking it: so that the caller can end the old flow and begin
 * the new one before anything is delivered. Pure. A segment without SYN on a connection without a candidate
 * (candidate_state 0) is always TAKEN. */
enum ws_tcp_verdict ws_tcp_verdict(const struct ws_tcp_conn *c, unsigned dir,
                                   const struct ws_tcp_segment *seg);

/* Takes one segment. flow is passed to the callbacks. */
enum ws_tcp_verdict ws_tcp_push(struct ws_tcp *t, struct ws_tcp_conn *c, void *flow, unsigned dir,
                                const struct ws_tcp_segment *seg);

/* Takes a TCP packet without FILTERED content as ws_tcp_push() would, if it is the next of its direction and nobody wants
 * bytes or segments: no callback is called then. False: it is for ws_tcp_push(), nothing was done. */
bool ws_tcp_push_straight(struct ws_tcp *t, struct ws_tcp_conn *c, const struct ws_packet *p);

/* Tells that len bytes from sequence number seq on were sent in a datagram of which a fragment never
 * came. Should they not come otherwise, the cause of their gap is WS_GAP_FRAGMENT instead of
 * NEVER_SEEN. Nothing else changes. The last 256 such ranges of all connections are remembered. */
void ws_tcp_note_missing(struct ws_tcp *t, struct ws_tcp_conn *c, unsigned dir, uint32_t seq,
                         uint32_t len);

/* Starts a fresh connection with the SYN of a candidate of old (a copy of the old conn). */
void ws_tcp_adopt(struct ws_tcp *t, struct ws_tcp_conn *c, const struct ws_tcp_conn *old);

/* Delivers what is held, with gaps, up to the highest byte seen (and the FIN), frees the nodes.
 * Idempotent. cause of the gaps: NEVER_SEEN, or EVICTED. */
void ws_tcp_close(struct ws_tcp *t, struct ws_tcp_conn *c, void *flow, enum ws_gap_cause cause);

/* A bounded step that ends midstream holds whose time is over is not needed for files: holds are
 * looked at whenever the direction or its peer has a packet, and at close. */

/* Zeek's conn_state for the connection (S0, S1, SF, REJ, S2, S3, RSTO, RSTR, RSTOS0, RSTRH, SH,
 * SHR, OTH). */
const char *ws_tcp_conn_state(const struct ws_tcp_conn *c);

/* Bytes in the gaps of a direction. */
static inline uint64_t ws_tcp_gap_bytes(const struct ws_tcp_conn *c, unsigned dir)
{
    return c->dir[dir].gaps ? c->rare[dir].gap_bytes : 0;
}

/* Stream length so far (delivered and gaps), gap count and bytes of a direction. */
uint64_t ws_tcp_dir_length(const struct ws_tcp_dir *d);

/* Held bytes and nodes now, for gauges. */
uint64_t ws_tcp_held_bytes(const struct ws_tcp *t);
uint32_t ws_tcp_held_nodes(const struct ws_tcp *t);

/* Names for reports. Static strings: "never_seen", "overlap", ... */
const char *ws_gap_cause_name(enum ws_gap_cause cause);
const char *ws_tcp_event_name(enum ws_tcp_event ev);

#endif
