/* SPDX-License-Identifier: BSD-3-Clause */
/* The receive stage of a thread: polls sources, filters, decodes, defragments and finds each packet's owner.
 * One thread only; packets go to the thread's own flow stage directly, to other workers by ring. */
#ifndef WS_ENGINE_RECEIVE_H
#define WS_ENGINE_RECEIVE_H

#include "engine/flow_stage.h"
#include "engine/steer.h"
#include "filter/filter.h"
#include "frag/frag.h"
#include "packet/decode.h"
#include "packet/trailer.h"

#define WS_RECEIVE_SOURCES_MAX 64u

/* --packet-max, shared by all stages. Each reserves before it receives, since what was received cannot be given back. */
struct ws_packet_budget {
    _Atomic uint64_t left; /* that may still be reserved */
    _Atomic uint64_t due;  /* that have not come yet, reserved or not */
};

struct ws_receive_config {
    struct ws_source *source[WS_RECEIVE_SOURCES_MAX];
    unsigned n_source;
    struct ws_decode_config decode;
    struct ws_frag_config frag;
    struct ws_filter *filter; /* taken; NULL = none */
    bool filter_late;
    bool tcp_udp_only; /* packets of other protocols are of no flow */
    struct ws_trailer_config trailer; /* says when frames came, and where; taken before all else */
    int64_t time_shift_ns;          /* added to every stamp, before all else */
    const struct ws_select *select; /* time range; borrowed */
    struct ws_packet_budget *budget; /* NULL = no limit */
    /* Several stages: ordinals follow the steady clock, so that all stages advance alike and
     * merged outputs come out in order of receipt. */
    bool clock_ordinals;
    struct ws_flow_stage *local;    /* of this thread; NULL on a receiver */
    unsigned local_worker;          /* its number */
    unsigned workers;
    bool frames_all;                /* some packet sink takes all frames */
    uint32_t copy_chunks;
    struct ws_counters *counters;   /* the thread's own */
    const _Atomic int *stop;        /* 0 run, 1 take what has come and stop receiving, 2 abort */
    /* Called while waiting for room on a link: drains the thread's own in-links and lets its channels
     * know that nothing below ordinal low will come, so that no output waits for this thread. */
    void (*drain)(void *user, uint64_t low);
    void *user;
    /* Shows each burst in input order before any filter (interface descriptions). May be NULL. */
    void (*announce)(void *user, const struct ws_packet *pkt, unsigned n);
    void *announce_user;
};

struct ws_receive;

size_t ws_receive_bytes(const struct ws_receive_config *cfg);
struct ws_receive *ws_receive_init(void *mem, const struct ws_receive_config *cfg);

/* Connects the link to a worker, before the threads start. Producer: this stage. */
void ws_receive_set_link(struct ws_receive *r, unsigned worker, struct ws_steer_link *link);

/* Polls each source once. Returns how many packets came; 0 = idle. */
unsigned ws_receive_poll(struct ws_receive *r);

/* True when all sources have ended (or stop was asked), the defragmenter is flushed and the links are closed. */
bool ws_receive_done(const struct ws_receive *r);

/* All packets with a lower ordinal have been handed on; UINT64_MAX at the end. Any thread. */
uint64_t ws_receive_published(struct ws_receive *r);

/* Largest packet time so far (owner's thread). */
int64_t ws_receive_clock_ns(const struct ws_receive *r);

/* Any thread: bytes of input done and in all, for progress; damaged inputs. */
void ws_receive_progress(struct ws_receive *r, uint64_t *done, uint64_t *total, bool *damaged);

/* Any thread: packet time not long ago; INT64_MIN before the first packet. */
int64_t ws_receive_progress_ns(struct ws_receive *r);

/* Packets that the filter could not judge because of their link type; after the end. */
uint64_t ws_receive_filter_unsupported(const struct ws_receive *r);

/* Bytes that fragments hold, and the pool's size (owner's thread), for gauges. */
uint64_t ws_receive_frag_bytes(const struct ws_receive *r, uint64_t *max);

/* Releases what init took (filter). Sources stay the engine's. */
void ws_receive_fini(struct ws_receive *r);

#endif
