/* SPDX-License-Identifier: BSD-3-Clause */
/* Marks between the stages of the packet path, for the bench that counts cycles by stage.
 *
 * Only a file compiled with WS_STAGES has them (tests/bench); in the product they are nothing. A mark ends a stage: the
 * time since the mark before, of whatever stage, is that stage's. They stand between bursts' steps, never between packets:
 * reading the time stamp counter costs as much as a tenth of a packet. One measured thread only.
 */
#ifndef WS_ENGINE_STAGE_H
#define WS_ENGINE_STAGE_H

#include <stdint.h>

enum ws_stage {
    WS_STAGE_SOURCE,  /* making or receiving the packets */
    WS_STAGE_NUMBER,  /* ordinals, packet clock */
    WS_STAGE_DECODE,  /* with filter, defragmentation, owner */
    WS_STAGE_HASH,
    WS_STAGE_LOOKUP,  /* buckets and keys */
    WS_STAGE_STATE,   /* new flows, TCP, counts, classes, sinks */
    WS_STAGE_EXPIRE,  /* of flows */
    WS_STAGE_REST,    /* end of burst, ticks, polling */
    WS_STAGES_COUNT
};

#ifdef WS_STAGES
#include <x86intrin.h>

struct ws_stage_clock {
    uint64_t last, bursts;
    uint64_t cycles[WS_STAGES_COUNT];
    uint64_t longest[WS_STAGES_COUNT]; /* of one burst */
};
extern struct ws_stage_clock ws_stage_clock;

static inline void ws_stage_mark(enum ws_stage s)
{
    struct ws_stage_clock *c = &ws_stage_clock;
    uint64_t now = __rdtsc(), took = now - c->last;
    c->cycles[s] += took;
    if (took > c->longest[s])
        c->longest[s] = took;
    c->last = now;
}
#define WS_STAGE_MARK(name) ws_stage_mark(WS_STAGE_##name)
#else
#define WS_STAGE_MARK(name) ((void)0)
#endif

#endif
