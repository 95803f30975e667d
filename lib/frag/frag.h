/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv4 and IPv6 defragmentation with caps (RFC 791 section 3.2, RFC 815, RFC 8200 section 4.5).
 *
 * A defragmenter belongs to one thread. It copies what it keeps. It holds, besides the datagram's
 * bytes, copies of the original frames of fragments that came before their first one, so that
 * an extract by port can bring all fragments along once the flow is known.
 */
#ifndef WS_FRAG_FRAG_H
#define WS_FRAG_FRAG_H

#include "base/counters.h"
#include "base/overlap.h"
#include "packet/decode.h"

struct ws_frag_config {
    uint32_t datagrams_max;  /* datagrams under reassembly (default 4,096) */
    uint32_t bytes_max;      /* held fragment and frame bytes (default 64 MiB) */
    int64_t timeout_ns;      /* default 60 s (RFC 8200 section 4.5) */
    enum ws_overlap overlap;
    uint64_t seed;           /* of the hash */
    /* How to look into whole datagrams whose flow their fragments do not show (tunnels). Borrowed;
     * the one that the packets were decoded with. NULL: ws_decode_defaults. */
    const struct ws_decode_config *decode;
};

/* The defaults named above; overlap first, seed 0. */
extern const struct ws_frag_config ws_frag_defaults;

/* Takes packets out of the defragmenter, in order; the descriptor is borrowed for the call. They are
 * - WS_PKT_FRAGMENT | WS_PKT_FLOW_KNOWN: the frame of the pushed fragment itself, its key complete;
 * - the same with WS_PKT_RELEASED: the frame of an earlier fragment (copied data), flow now known;
 * - WS_PKT_FRAGMENT without FLOW_KNOWN: the frame of the pushed fragment, flow not known (yet);
 *   (it will be seen again RELEASED, or in lost() below)
 * - WS_PKT_DATAGRAM: a whole datagram, to be counted as payload, not as a frame; not decoded yet:
 *   the receiver calls ws_decode_datagram() with the given bytes.
 * Fragments that a filter refused (WS_PKT_FILTERED) take part, so that flows are numbered alike with and without the
 * filter; their frames keep the flag, come only once the flow is known, and are never held or lost. A datagram with such
 * a fragment has the flag too. */
struct ws_frag_ops {
    void (*frame)(void *user, const struct ws_packet *p);
    void (*datagram)(void *user, const struct ws_packet *p, uint8_t proto, const uint8_t *l4,
                     uint32_t len, uint32_t wire_len);
    /* n frames of one datagram whose flow never became known leave for a cause (a FRAG_ counter). */
    void (*lost)(void *user, uint32_t n, enum ws_counter cause);
    /* A datagram of a known flow is given up incomplete: what is there of its first bytes (at most
     * WS_FRAG_HEAD_MAX), and how long it is at least. p has key and dir alone. No frame, no payload:
     * it only says which bytes will be missing. May be NULL. Must not push. */
    void (*gave_up)(void *user, const struct ws_packet *p, uint8_t proto, const uint8_t *l4,
                    uint32_t len, uint32_t wire_len);
};
enum { WS_FRAG_HEAD_MAX = 256 };

struct ws_frag;

/* Bytes of memory that a defragmenter with this configuration needs. */
size_t ws_frag_bytes(const struct ws_frag_config *cfg);

/* Builds a defragmenter in mem (borrowed, 64-byte aligned). counters and ops are borrowed. */
struct ws_frag *ws_frag_init(void *mem, const struct ws_frag_config *cfg,
                             struct ws_counters *counters, const struct ws_frag_ops *ops,
                             void *user);

/* Takes one packet with WS_PKT_FRAGMENT, now at p->clock_ns. Calls back as above. */
void ws_frag_push(struct ws_frag *f, const struct ws_packet *p);

/* Times out at most budget datagrams that are older than the timeout at now_ns. */
void ws_frag_expire(struct ws_frag *f, int64_t now_ns, unsigned budget);

/* Gives up everything (end of input). */
void ws_frag_flush(struct ws_frag *f);

/* Bytes of the pool that are taken now; *max: of the whole pool. For gauges, the owner's thread. */
uint64_t ws_frag_held_bytes(const struct ws_frag *f, uint64_t *max);

#endif
