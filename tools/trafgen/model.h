/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator's state: connections, their two directions, and what a run counts. One thread owns
 * all. */
#ifndef TG_MODEL_H
#define TG_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "build.h"
#include "config.h"
#include "out.h"
#include "rng.h"

/* Half-open range of stream offsets. */
struct tg_range {
    uint64_t begin, end;
};

/* Ascending, disjoint ranges that no captured packet has carried. Grows by malloc. */
struct tg_holes {
    struct tg_range *range;
    uint32_t count, capacity;
};

#define TG_RECENT 4u /* segments that a retransmission may pick from */

struct tg_direction {
    uint64_t key;   /* of the payload */
    uint64_t total; /* bytes that it will send */
    uint64_t next;  /* offset of its next new byte */
    uint64_t acked; /* offset that the peer has acknowledged */
    uint32_t isn;
    uint32_t ts_base;
    uint16_t ip_id;
    bool fin_sent, fin_acked;
    bool start_unknown; /* no captured packet tells where the stream begins, yet */
    /* rings: [count % TG_RECENT] */
    struct tg_range sent[TG_RECENT];  /* segments sent, captured or not */
    struct tg_range shown[TG_RECENT]; /* segments that stand in the capture whole */
    uint32_t sent_count, shown_count;
    /* truth */
    uint64_t first_ordinal; /* valid when packets != 0 */
    uint64_t packets;       /* frames in the capture, fragments of whole datagrams one by one */
    uint64_t captured_end;  /* one past the highest captured byte or FIN position */
    struct tg_holes holes;
    void *udp_digest; /* EVP_MD_CTX: UDP streams are what was captured, in that order */
    uint64_t udp_bytes;
};

enum tg_phase {
    TG_PHASE_SYN,
    TG_PHASE_SYN_ACK,
    TG_PHASE_ESTABLISH,
    TG_PHASE_DATA,
    TG_PHASE_FIN,
    TG_PHASE_FIN_ACK,
    TG_PHASE_FIN_BACK,
    TG_PHASE_LAST_ACK,
    TG_PHASE_RST,
    TG_PHASE_DONE,
};

/* A segment that is held back to come later than its successors. */
struct tg_held {
    struct tg_segment segment;
    uint64_t release_at; /* count of the connection's packets */
};

#define TG_HELD_MAX 16u /* when full, nothing more is delayed */

struct tg_connection {
    uint64_t id;
    struct tg_tuple tuple;
    struct tg_wrap wrap;
    struct tg_direction dir[2];
    enum tg_phase phase;
    uint32_t payload_max;    /* bytes of a full segment */
    uint32_t exchanges;      /* request/response pairs in all */
    uint32_t exchange;       /* the current one */
    uint32_t burst_segments; /* to send before the peer acknowledges */
    uint32_t in_burst;
    uint64_t message_left; /* bytes of the current message */
    uint8_t turn;          /* who sends the message */
    uint8_t closer;        /* who sends the first FIN */
    bool acking;           /* the peer acknowledges the burst */
    bool timestamps;
    bool half_close; /* the client closes after its last request */
    bool rst;
    bool quiet_close; /* the close is not captured */
    bool reused, swapped, wraps, midstream;
    uint64_t emitted; /* packets, for the release of held ones */
    uint32_t held_count;
    struct tg_held held[TG_HELD_MAX];
};

/* A finished connection's tuple, to be used again. */
struct tg_spent {
    struct tg_tuple tuple;
    struct tg_wrap wrap;
    uint32_t next_seq[2];
};

#define TG_SPENT 256u

struct tg_counts {
    uint64_t connections, payload_bytes, stream_bytes, hole_bytes, lost_packets, reordered,
        duplicated, retransmitted, overlapping, fragmented, fragments, orphan_fragments,
        attack_packets, tunnelled_packets;
};

struct tg_truth; /* truth.c */

struct tg {
    struct tg_config config;
    struct tg_rng rng;
    struct tg_out out;
    struct tg_counts counts;
    struct tg_truth *truth; /* NULL when not asked for */
    uint64_t now_ns;
    int error; /* first write error, -errno; ends the run */
    struct tg_connection **live;
    uint32_t live_count;
    uint64_t opened;
    struct tg_spent spent[TG_SPENT];
    uint64_t spent_count;
    struct tg_rng attack_rng; /* its own, so that an attack changes no connection */
    uint64_t attack_step;
    uint8_t scratch[TG_FRAME_MAX];
};

/* flow.c: opens the next connection in c (taken over, memset first). */
void tg_flow_open(struct tg *tg, struct tg_connection *c);
/* flow.c: sends the connection's next packet; false when it had none left. */
bool tg_flow_step(struct tg *tg, struct tg_connection *c);
/* flow.c: the connection is over or cut: sends what is held, hands it to the truth, frees its
 * parts. */
void tg_flow_close(struct tg *tg, struct tg_connection *c);

/* impair.c: decides whether a segment is captured, when, how often and in how many fragments. */
void tg_impair_send(struct tg *tg, struct tg_connection *c, struct tg_segment *s);
/* impair.c: sends all that is held back. */
void tg_impair_flush(struct tg *tg, struct tg_connection *c);

/* emit.c: puts one segment into the capture now, and into the connection's truth. */
void tg_emit_segment(struct tg *tg, struct tg_connection *c, const struct tg_segment *s);
/* emit.c: puts a segment of no connection (attack) into the capture now. */
void tg_emit_foreign(struct tg *tg, const struct tg_tuple *tuple, const struct tg_segment *s,
                     uint64_t key);
void tg_emit_raw_fragment(struct tg *tg, const struct tg_raw_fragment *f, uint64_t key);

/* attack.c: sends the next attack packet. */
void tg_attack_step(struct tg *tg);

/* holes.c. add: range begins at or after the end of the last hole. */
void tg_holes_add(struct tg_holes *h, uint64_t begin, uint64_t end);
void tg_holes_remove(struct tg_holes *h, uint64_t begin, uint64_t end);
void tg_holes_fini(struct tg_holes *h);

/* truth.c: the record of what the capture truly holds. NULL when out of memory. */
struct tg_truth *tg_truth_create(void);
void tg_truth_destroy(struct tg_truth *truth);
/* Takes c's holes and digests. */
void tg_truth_add(struct tg *tg, struct tg_connection *c);
/* Adds a captured datagram's payload to its stream. */
void tg_truth_udp(struct tg_direction *d, const uint8_t *payload, size_t len);
/* Writes all lines. 0 or -errno. */
int tg_truth_write(struct tg *tg, const char *path);

#endif
