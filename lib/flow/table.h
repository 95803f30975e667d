/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's own flow table: cache-line buckets of tags and indices over an array of flows.
 *
 * A bucket is 64 bytes: 10 x 16-bit tag and 10 x 32-bit index; entries that find their
 * two buckets full go to an overflow that is bounded and searched. Sized once over memory that is
 * handed in; no allocation after ws_flow_table_init(). One thread only; no locks.
 *
 * Of the counters the table itself counts flows_created (add), flows_closed (every way out, remove
 * included), flows_idle (expire only), flows_evicted* by class and flows_crowded; why a
 * flow was removed (reuse, idle at lookup) only the caller knows and counts.
 */
#ifndef WS_FLOW_TABLE_H
#define WS_FLOW_TABLE_H

#include "base/counters.h"
#include "flow/flow.h"

struct ws_flow_table_config {
    uint32_t flows_max;                  /* 1 .. 2^30 */
    uint32_t ext_bytes;                  /* per-flow area behind struct ws_flow; rounded up to 8 */
    uint32_t hot_bytes;                  /* of transport and that area, what nearly every packet touches: prefetched at lookup */
    uint64_t seed;                       /* of the hash */
    int64_t timeout_ns[WS_FLOW_CLASSES]; /* idle timeouts by class; 0 = never */
};

struct ws_flow_table;

/* Called when the table lets a flow go (idle or evicted), before its memory is reused. The flow is
 * borrowed for the call; the callback must not touch the table. A flow that ws_flow_table_remove()
 * takes out does not come here. */
typedef void (*ws_flow_gone_fn)(void *user, struct ws_flow *flow, enum ws_flow_cause cause);

/* Bytes of memory that a table of this configuration needs (64-byte aligned): for each flow 16 of
 * buckets, 192 + ext_bytes rounded up to 64, 32 of struct ws_flow_first, and 12 of links. */
size_t ws_flow_table_bytes(const struct ws_flow_table_config *cfg);

/* Builds an empty table in mem. mem must be zero (fresh mmap: pages are touched only as used) and
 * is borrowed until the table is no longer used, as are counters (the calling thread's own).
 * gone/user are called as said above. Returns NULL when flows_max or ext_bytes is out of range. */
struct ws_flow_table *ws_flow_table_init(void *mem, const struct ws_flow_table_config *cfg,
                                         struct ws_counters *counters, ws_flow_gone_fn gone,
                                         void *user);

/* Seeded hash of a whole key (CRC32C of its 8 words, mixed with secrets; hash.h says what it
 * resists). The same seed gives the same value on every CPU of a byte order. */
uint32_t ws_flow_table_hash(const struct ws_flow_table *t, const struct ws_key *key);

/* Looks up n (at most WS_BURST_MAX) keys; hash[i] as from ws_flow_table_hash(). out[i] is the flow
 * or NULL. Prefetches buckets, then the lines of the flows that packets touch. Does not apply timeouts. */
void ws_flow_table_lookup_burst(struct ws_flow_table *t, const struct ws_key *const *key,
                                const uint32_t *hash, unsigned n, struct ws_flow **out);

/* The number of a flow in the table, below its capacity: its own while it lives. */
uint32_t ws_flow_table_id(const struct ws_flow_table *t, const struct ws_flow *f);

/* Looks up one key. */
struct ws_flow *ws_flow_table_lookup(struct ws_flow_table *t, const struct ws_key *key,
                                     uint32_t hash);

/* Adds a flow for a key that is not in the table; all other fields zero but for key,
 * last_clock_ns = now_ns, first ordinals = WS_ORDINAL_NONE, class UNANSWERED; ext is zeroed. When
 * the table is full it first evicts (gone() with WS_FLOW_EVICTED): the oldest of the lowest class
 * that has any, or more than a 64th of the table where it is the unanswered or the answered. "Oldest" is approximate: the longest unused of 16 drawn where the class fills half of
 * the table, else by second chance with 64 looked at at most; unanswered flows that were never used
 * again go in order of age. Independently of that, a hash
 * that finds its two buckets and the overflow full evicts the oldest of the lowest class in there
 * (counted also as flows_crowded), which without chosen hashes does not happen. Evicting never
 * frees a flow of protect[0..n_protect), n_protect <= WS_BURST_MAX (flows that the current burst
 * still refers to; NULL entries are ignored). Returns NULL only if nothing could be evicted. */
struct ws_flow *ws_flow_table_add(struct ws_flow_table *t, const struct ws_key *key, uint32_t hash,
                                  int64_t now_ns, struct ws_flow *const *protect,
                                  unsigned n_protect);

/* Prefetches the lines of a flow (or NULL) again, but for its key, and, of one whose class is not the last yet, what tells its
 * place in the table's lists: the CPU drops prefetches when too many wait, for pages above all. */
void ws_flow_table_prefetch(const struct ws_flow_table *t, const struct ws_flow *f);

/* Prefetches what putting the flow in another class, or taking it out, touches besides it. Its own lines should be near. */
void ws_flow_table_prefetch_links(const struct ws_flow_table *t, const struct ws_flow *f);

/* Puts a flow in another class. */
void ws_flow_table_reclass(struct ws_flow_table *t, struct ws_flow *f, enum ws_flow_class cls);

/* Marks a flow as used now and puts it in a class: one store when the class is unchanged. now_ns
 * never goes back. */
static inline void ws_flow_table_touch(struct ws_flow_table *t, struct ws_flow *f, int64_t now_ns,
                                       enum ws_flow_class cls)
{
    f->last_clock_ns = now_ns;
    if (WS_UNLIKELY(f->flow_class != cls))
        ws_flow_table_reclass(t, f, cls);
}

/* Whether the flow's idle timeout has passed at now_ns: its next packet is a new flow (6a.3). */
bool ws_flow_table_is_idle(const struct ws_flow_table *t, const struct ws_flow *f, int64_t now_ns);

/* Takes a flow out; no callback. Its memory may be reused by the next add. */
void ws_flow_table_remove(struct ws_flow_table *t, struct ws_flow *f);

/* Looks at no more than budget entries and lets idle ones go through gone() (WS_FLOW_IDLE).
 * Bounded; called each burst, between bursts (no flow pointer of a burst may be held across it). */
void ws_flow_table_expire(struct ws_flow_table *t, int64_t now_ns, unsigned budget);

/* Lets all flows go through gone(cause), in order of ws_flow_first_ordinal(), those of equal
 * ordinals by id: order of creation, where ordinals are of one input. Counts in flows_closed alone.
 * Afterwards the table is empty and usable. */
void ws_flow_table_flush(struct ws_flow_table *t, enum ws_flow_cause cause);

/* Number of flows in the table, and its capacity. */
uint32_t ws_flow_table_count(const struct ws_flow_table *t);
uint32_t ws_flow_table_capacity(const struct ws_flow_table *t);

#endif
