/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's flow table: buckets of tags and indices over an array of flows, expiry and eviction.
 */
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "flow/hash.h"
#include "flow/table.h"

/* A bucket is one cache line. A flow lives in its home bucket if that has room, else in its second
 * bucket, else in the overflow array; the home bucket counts those that live elsewhere, so that a
 * lookup goes on only where there is something to find.
 *
 *   home bucket --full--> second bucket --full--> overflow --full--> evict one of these
 *
 * Occupancy: BUCKET_LOAD = 4 flows a bucket when the table is full, so the number of flows with the
 * same home is about Poisson(4). More than 10 have 0.28 % of the buckets; 0.1 % of the flows spill
 * to their second bucket (one line more); that one is full with probability 0.8 %, so 8 flows in a
 * million come to the overflow, which has room for four times as many and 64 more. A lookup thus
 * costs 1.001 bucket lines on average, and never more than 2 and the overflow, whatever the hashes.
 *
 * Four flows a bucket are 16 bytes a flow: just what flush needs to sort, in the buckets' place. */
#define SLOTS       10u
#define BUCKET_LOAD 4u

struct bucket {
    uint16_t tag[SLOTS];  /* 0: the slot is free */
    uint16_t spilled;     /* flows at home here that live in their second bucket */
    uint16_t overflowed;  /* flows at home here that live in the overflow */
    uint32_t slot[SLOTS]; /* flow id */
};
static_assert(sizeof(struct bucket) == WS_CACHE_LINE, "a bucket is one cache line");

/* One flow of the sort at flush. */
struct rank {
    uint64_t ordinal;
    uint32_t id;
    uint32_t unused;
};
static_assert(sizeof(struct rank) * BUCKET_LOAD == sizeof(struct bucket), "ranks fit in buckets");

/* Of a flow, but touched only when it comes, changes its class, or goes. */
struct links {
    uint32_t next; /* in the free list, or the list of its class */
    uint32_t prev;
    uint32_t hash;
};

/* Flows lie in groups: what packets touch, then what they do not, so that all is near and ws_flow.first_at is small.
 *
 *   | flow 0, ext | flow 1, ext | ... | flow 15, ext | first 0 ... 15 | links 0 ... 15 | flow 16 ...
 *
 * With 192, 32 and 12 bytes a group is 59 lines without a gap. */
#define GROUP 16u

/* Bytes of a flow that a lookup prefetches at most: a burst's must fit in the second level cache beside all else. */
#define HOT_MAX 768u

/* Flows that expiry looks at before it lets the idle ones of them go. */
#define EXPIRE_CHUNK 32u

#define NONE        UINT32_MAX
#define FLOWS_LIMIT (UINT32_C(1) << 30)
/* Flows that an eviction looks at in one class, besides protected ones: along the class's list, and
 * drawn. A flow that was used more lately than a share s of n others is taken by a draw with odds
 * of 16 / n x (1 - s)^15. */
#define EVICT_LOOK   64u
#define EVICT_SAMPLE 16u
/* One flow in so many of the table is not taken from the unanswered, and as many from the answered.
 */
#define BEGINNERS_SHARE 64u
/* flow_class of an entry that is on the free list. */
#define CLASS_FREE WS_FLOW_CLASSES

struct list {
    uint32_t head, tail; /* longest in its place .. last come; NONE when empty */
    uint32_t count;
};

struct ws_flow_table {
    /* read by every lookup */
    struct bucket *buckets;
    uint8_t *flows;
    size_t stride; /* bytes from flow to flow in a group */
    size_t group;  /* and from group to group */
    size_t hot;    /* bytes of a flow that lookups prefetch */
    uint32_t n_buckets;
    uint32_t overflow_count;
    uint32_t *overflow; /* ids, any order */
    ws_flow_hash_fn hash;

    struct ws_flow_secret secret;

    uint32_t count;
    uint32_t free_head;   /* list by links.next */
    uint64_t per_group;   /* 2^64 / group bytes, 2^64 / stride: for id_of() */
    uint64_t per_stride;
    uint32_t high_water;  /* entries from here on were never used since init or flush */
    uint32_t dirty_water; /* entries from here on are still zero from the start */
    uint32_t cursor;      /* of expire */
    uint32_t overflow_max;
    uint32_t rng; /* never 0 */
    struct list class_list[WS_FLOW_CLASSES];

    struct ws_flow_table_config cfg;
    struct ws_counters *counters;
    ws_flow_gone_fn gone;
    void *user;
};

/* Where the parts of a table lie in its memory, as byte offsets. */
struct layout {
    uint32_t n_buckets, overflow_max;
    size_t stride, group, buckets, overflow, flows, end;
};

static struct layout layout_of(const struct ws_flow_table_config *cfg)
{
    struct layout l;
    l.n_buckets = WS_MAX((cfg->flows_max + BUCKET_LOAD - 1) / BUCKET_LOAD, 2u);
    l.overflow_max = 64 + cfg->flows_max / 32768;
    l.stride = ws_align_up(sizeof(struct ws_flow) + ws_align_up(cfg->ext_bytes, 8), WS_CACHE_LINE);
    l.buckets = ws_align_up(sizeof(struct ws_flow_table), WS_CACHE_LINE);
    l.overflow = l.buckets + l.n_buckets * sizeof(struct bucket);
    l.flows = ws_align_up(l.overflow + l.overflow_max * sizeof(uint32_t), WS_CACHE_LINE);
    l.group = GROUP * (l.stride + sizeof(struct ws_flow_first) + sizeof(struct links));
    l.end = l.flows + (cfg->flows_max + GROUP - 1) / GROUP * l.group;
    return l;
}

/* Whether each flow's struct ws_flow_first is near enough for first_at. */
static bool is_small(const struct layout *l)
{
    return GROUP * l->stride <= UINT16_MAX * 8u;
}

size_t ws_flow_table_bytes(const struct ws_flow_table_config *cfg)
{
    return layout_of(cfg).end;
}

struct ws_flow_table *ws_flow_table_init(void *mem, const struct ws_flow_table_config *cfg,
                                         struct ws_counters *counters, ws_flow_gone_fn gone,
                                         void *user)
{
    if (cfg->flows_max == 0 || cfg->flows_max > FLOWS_LIMIT)
        return NULL;
    assert((uintptr_t)mem % WS_CACHE_LINE == 0);
    struct layout l = layout_of(cfg);
    if (!is_small(&l))
        return NULL;
    uint8_t *base = mem;
    struct ws_flow_table *t = mem;
    t->buckets = (struct bucket *)(void *)(base + l.buckets);
    t->overflow = (uint32_t *)(void *)(base + l.overflow);
    t->flows = base + l.flows;
    t->stride = l.stride;
    t->group = l.group;
    t->per_group = UINT64_MAX / l.group + 1;
    t->per_stride = UINT64_MAX / l.stride + 1;
    t->hot = WS_MIN(offsetof(struct ws_flow, transport) + WS_MIN(cfg->hot_bytes, l.stride), (size_t)HOT_MAX);
    t->n_buckets = l.n_buckets;
    t->overflow_max = l.overflow_max;
    t->hash = ws_flow_hash_choose();
    ws_flow_secret_init(&t->secret, cfg->seed);
    t->rng = t->secret.start[0] | 1;
    t->free_head = NONE;
    for (unsigned c = 0; c < WS_FLOW_CLASSES; c++)
        t->class_list[c] = (struct list){.head = NONE, .tail = NONE};
    t->cfg = *cfg;
    t->counters = counters;
    t->gone = gone;
    t->user = user;
    return t;
}

uint32_t ws_flow_table_hash(const struct ws_flow_table *t, const struct ws_key *key)
{
    return t->hash(&t->secret, key);
}

static inline struct ws_flow *flow_at(const struct ws_flow_table *t, uint32_t id)
{
    return (struct ws_flow *)(void *)(t->flows + id / GROUP * t->group + id % GROUP * t->stride);
}

static inline struct ws_flow_first *first_at(const struct ws_flow_table *t, uint32_t id)
{
    return (struct ws_flow_first *)(void *)(t->flows + id / GROUP * t->group + GROUP * t->stride) + id % GROUP;
}

static inline struct links *links_at(const struct ws_flow_table *t, uint32_t id)
{
    const size_t before = GROUP * (t->stride + sizeof(struct ws_flow_first));
    return (struct links *)(void *)(t->flows + id / GROUP * t->group + before) + id % GROUP;
}

/* n / d by the rounded up 2^64 / d: exact while n x d < 2^64 (the error is below n / 2^64 in the quotient, which is below
 * 1 / d then). */
static inline uint64_t divide(uint64_t n, uint64_t per_d)
{
    __extension__ typedef unsigned __int128 u128;
    return (uint64_t)((u128)n * per_d >> 64);
}

/* The number of a flow of the table, in order of their places. */
static inline uint32_t id_of(const struct ws_flow_table *t, const struct ws_flow *f)
{
    const uint64_t at = (uint64_t)((const uint8_t *)f - t->flows), group = divide(at, t->per_group);
    return (uint32_t)(group * GROUP + divide(at - group * t->group, t->per_stride));
}

uint32_t ws_flow_table_id(const struct ws_flow_table *t, const struct ws_flow *f)
{
    return id_of(t, f);
}

/* --- buckets ---------------------------------------------------------------------------------- */

/* The high bits of the hash choose the home bucket, the low ones make the tag. */
static inline struct bucket *home_of(const struct ws_flow_table *t, uint32_t hash)
{
    return &t->buckets[(uint64_t)hash * t->n_buckets >> 32];
}

static inline uint16_t tag_of(uint32_t hash)
{
    uint16_t tag = (uint16_t)hash;
    return tag ? tag : 1;
}

/* Never the home bucket: there are at least two. */
static struct bucket *second_of(const struct ws_flow_table *t, uint32_t hash)
{
    struct bucket *b = &t->buckets[(uint64_t)(hash * 0x9e3779b1u) * t->n_buckets >> 32];
    if (b == home_of(t, hash) && ++b == t->buckets + t->n_buckets)
        b = t->buckets;
    return b;
}

/* Bit i: slot i has this tag. */
static inline uint32_t match_tags(const struct bucket *b, uint16_t tag)
{
#if defined(__SSE2__)
    const uint8_t *p = (const uint8_t *)b;
    __m128i want = _mm_set1_epi16((short)tag);
    __m128i lo = _mm_load_si128((const __m128i *)(const void *)p);
    __m128i hi = _mm_load_si128((const __m128i *)(const void *)(p + 16));
    __m128i eq = _mm_packs_epi16(_mm_cmpeq_epi16(lo, want), _mm_cmpeq_epi16(hi, want));
    return (uint32_t)_mm_movemask_epi8(eq) & ((1u << SLOTS) - 1);
#else
    uint32_t m = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        m |= (uint32_t)(b->tag[i] == tag) << i;
    return m;
#endif
}

static inline bool same_key(const struct ws_key *a, const struct ws_key *b)
{
#if defined(__SSE2__)
    const __m128i *x = (const __m128i *)(const void *)a, *y = (const __m128i *)(const void *)b;
    __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128(x), _mm_loadu_si128(y));
    for (unsigned i = 1; i < 4; i++)
        same = _mm_and_si128(same, _mm_cmpeq_epi8(_mm_loadu_si128(x + i), _mm_loadu_si128(y + i)));
    return _mm_movemask_epi8(same) == 0xffff;
#else
    uint64_t x[8], y[8], diff = 0;
    memcpy(x, a, sizeof(x));
    memcpy(y, b, sizeof(y));
    for (unsigned i = 0; i < 8; i++)
        diff |= x[i] ^ y[i];
    return diff == 0;
#endif
}

static inline struct ws_flow *find_in(const struct ws_flow_table *t, const struct bucket *b,
                                      uint32_t matches, const struct ws_key *key)
{
    for (; matches; matches &= matches - 1) {
        struct ws_flow *f = flow_at(t, b->slot[__builtin_ctz(matches)]);
        if (WS_LIKELY(same_key(&f->key, key)))
            return f;
    }
    return NULL;
}

/* The rest of a lookup whose home bucket knows of flows that live elsewhere. */
static struct ws_flow *find_away(const struct ws_flow_table *t, const struct bucket *home,
                                 const struct ws_key *key, uint32_t hash)
{
    if (home->spilled) {
        const struct bucket *b = second_of(t, hash);
        struct ws_flow *f = find_in(t, b, match_tags(b, tag_of(hash)), key);
        if (f)
            return f;
    }
    if (home->overflowed) {
        for (uint32_t i = 0; i < t->overflow_count; i++) {
            struct ws_flow *f = flow_at(t, t->overflow[i]);
            if (links_at(t, t->overflow[i])->hash == hash && same_key(&f->key, key))
                return f;
        }
    }
    return NULL;
}

static inline struct ws_flow *find(const struct ws_flow_table *t, const struct bucket *home,
                                   uint32_t matches, const struct ws_key *key, uint32_t hash)
{
    struct ws_flow *f = find_in(t, home, matches, key);
    if (WS_UNLIKELY(!f && (home->spilled | home->overflowed)))
        f = find_away(t, home, key, hash);
    return f;
}

struct ws_flow *ws_flow_table_lookup(struct ws_flow_table *t, const struct ws_key *key,
                                     uint32_t hash)
{
    const struct bucket *b = home_of(t, hash);
    return find(t, b, match_tags(b, tag_of(hash)), key, hash);
}

void ws_flow_table_lookup_burst(struct ws_flow_table *t, const struct ws_key *const *key,
                                const uint32_t *hash, unsigned n, struct ws_flow **out)
{
    const struct bucket *home[WS_BURST_MAX];
    uint32_t matches[WS_BURST_MAX];
    const size_t hot = t->hot;
    assert(n <= WS_BURST_MAX);

    for (unsigned i = 0; i < n; i++) {
        home[i] = home_of(t, hash[i]);
        WS_PREFETCH(home[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        matches[i] = match_tags(home[i], tag_of(hash[i]));
        if (matches[i]) {
            const uint8_t *f = (const uint8_t *)flow_at(t, home[i]->slot[__builtin_ctz(matches[i])]);
            for (size_t at = 0; at < hot; at += WS_CACHE_LINE)
                WS_PREFETCH(f + at);
        }
    }
    for (unsigned i = 0; i < n; i++)
        out[i] = find(t, home[i], matches[i], key[i], hash[i]);
}

static bool put_in(struct bucket *b, uint16_t tag, uint32_t id)
{
    uint32_t room = match_tags(b, 0);
    if (!room)
        return false;
    unsigned i = (unsigned)__builtin_ctz(room);
    b->tag[i] = tag;
    b->slot[i] = id;
    return true;
}

static bool take_from(struct bucket *b, uint16_t tag, uint32_t id)
{
    for (uint32_t m = match_tags(b, tag); m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);
        if (b->slot[i] == id) {
            b->tag[i] = 0;
            return true;
        }
    }
    return false;
}

/* Enters a flow where there is room; false if there is none. */
static bool place(struct ws_flow_table *t, uint32_t hash, uint32_t id)
{
    struct bucket *home = home_of(t, hash);
    if (put_in(home, tag_of(hash), id))
        return true;
    if (put_in(second_of(t, hash), tag_of(hash), id)) {
        /* at its maximum the count stays for ever: it then costs time, never a flow */
        if (home->spilled != UINT16_MAX)
            home->spilled++;
        return true;
    }
    if (t->overflow_count == t->overflow_max)
        return false;
    t->overflow[t->overflow_count++] = id;
    home->overflowed++; /* at most overflow_max < 65,536 */
    return true;
}

static void unplace(struct ws_flow_table *t, uint32_t hash, uint32_t id)
{
    struct bucket *home = home_of(t, hash);
    if (take_from(home, tag_of(hash), id))
        return;
    if (home->spilled && take_from(second_of(t, hash), tag_of(hash), id)) {
        if (home->spilled != UINT16_MAX)
            home->spilled--;
        return;
    }
    for (uint32_t i = 0; i < t->overflow_count; i++) {
        if (t->overflow[i] == id) {
            t->overflow[i] = t->overflow[--t->overflow_count];
            home->overflowed--;
            return;
        }
    }
    assert(false && "a flow that is removed is in the table");
}

/* --- class lists ------------------------------------------------------------------------------ */

/* A clock that tells flows used again: milliseconds and a bit, modulo 69 seconds. A false match only
 * takes from one flow its second chance. */
static inline uint16_t coarse(int64_t clock_ns)
{
    return (uint16_t)((uint64_t)clock_ns >> 20);
}

static void list_append(struct ws_flow_table *t, struct ws_flow *f)
{
    struct list *l = &t->class_list[f->flow_class];
    const uint32_t id = id_of(t, f);
    struct links *own = links_at(t, id);
    own->next = NONE;
    own->prev = l->tail;
    f->table_age = coarse(f->last_clock_ns);
    if (l->tail == NONE)
        l->head = id;
    else
        links_at(t, l->tail)->next = id;
    l->tail = id;
    l->count++;
}

static void list_unlink(struct ws_flow_table *t, struct ws_flow *f)
{
    struct list *l = &t->class_list[f->flow_class];
    const struct links *own = links_at(t, id_of(t, f));
    if (own->prev == NONE)
        l->head = own->next;
    else
        links_at(t, own->prev)->next = own->next;
    if (own->next == NONE)
        l->tail = own->prev;
    else
        links_at(t, own->next)->prev = own->prev;
    l->count--;
}

/* What holds a flow's place in a list. */
static inline void prefetch_links_of(const struct ws_flow_table *t, uint32_t id)
{
    if (id != NONE)
        WS_PREFETCH(links_at(t, id));
}

void ws_flow_table_prefetch(const struct ws_flow_table *t, const struct ws_flow *f)
{
    if (!f)
        return;
    for (size_t at = WS_CACHE_LINE; at < t->hot; at += WS_CACHE_LINE)
        WS_PREFETCH((const uint8_t *)f + at);
    if (f->flow_class != WS_FLOW_ESTABLISHED)
        WS_PREFETCH(links_at(t, id_of(t, f)));
    if (f->flow_class == WS_FLOW_UNANSWERED)
        WS_PREFETCH(ws_flow_first(f));
}

void ws_flow_table_prefetch_links(const struct ws_flow_table *t, const struct ws_flow *f)
{
    const struct links *own = links_at(t, id_of(t, f));
    prefetch_links_of(t, own->prev);
    prefetch_links_of(t, own->next);
}

void ws_flow_table_reclass(struct ws_flow_table *t, struct ws_flow *f, enum ws_flow_class cls)
{
    list_unlink(t, f);
    f->flow_class = (uint8_t)cls;
    list_append(t, f);
}

bool ws_flow_table_is_idle(const struct ws_flow_table *t, const struct ws_flow *f, int64_t now_ns)
{
    return ws_flow_is_idle(f, t->cfg.timeout_ns, now_ns);
}

/* --- letting flows go ------------------------------------------------------------------------- */

void ws_flow_table_remove(struct ws_flow_table *t, struct ws_flow *f)
{
    const uint32_t id = id_of(t, f);
    unplace(t, links_at(t, id)->hash, id);
    list_unlink(t, f);
    f->flow_class = CLASS_FREE;
    links_at(t, id)->next = t->free_head;
    t->free_head = id;
    t->count--;
    ws_count(t->counters, WS_C_FLOWS_CLOSED, 1);
}

static void evict(struct ws_flow_table *t, struct ws_flow *f)
{
    static const enum ws_counter of_class[WS_FLOW_CLASSES] = {
        [WS_FLOW_UNANSWERED] = WS_C_FLOWS_EVICTED_SYN,
        [WS_FLOW_CLOSED] = WS_C_FLOWS_EVICTED_CLOSED,
        [WS_FLOW_ANSWERED] = WS_C_FLOWS_EVICTED_ANSWERED,
        [WS_FLOW_ESTABLISHED] = WS_C_FLOWS_EVICTED,
    };
    ws_count(t->counters, of_class[f->flow_class], 1);
    t->gone(t->user, f, WS_FLOW_EVICTED);
    ws_flow_table_remove(t, f);
}

static bool is_protected(const struct ws_flow *f, struct ws_flow *const *protect, unsigned n)
{
    bool hit = false;
    for (unsigned i = 0; i < n; i++)
        hit |= protect[i] == f;
    return hit;
}

static uint32_t next_random(struct ws_flow_table *t)
{
    uint32_t x = t->rng; /* xorshift32 (Marsaglia 2003) */
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return t->rng = x;
}

/* The longest unused of EVICT_SAMPLE flows drawn from a full table. NULL: too few of those drawn
 * are of the class to tell. */
static struct ws_flow *oldest_of_sample(struct ws_flow_table *t, unsigned c,
                                        struct ws_flow *const *protect, unsigned n_protect)
{
    struct ws_flow *drawn[EVICT_SAMPLE], *oldest = NULL;
    unsigned fit = 0;
    for (unsigned i = 0; i < EVICT_SAMPLE; i++) {
        drawn[i] = flow_at(t, (uint32_t)((uint64_t)next_random(t) * t->cfg.flows_max >> 32));
        WS_PREFETCH((const uint8_t *)drawn[i] + WS_CACHE_LINE);
    }
    for (unsigned i = 0; i < EVICT_SAMPLE; i++) {
        struct ws_flow *f = drawn[i];
        if (f->flow_class != c || is_protected(f, protect, n_protect))
            continue;
        fit++;
        if (!oldest || f->last_clock_ns < oldest->last_clock_ns)
            oldest = f;
    }
    return fit >= EVICT_SAMPLE / 2 ? oldest : NULL;
}

/* Second chance: a flow at the head of its list that was used since it was put there goes to the
 * end instead; after EVICT_LOOK of those the longest unused one of them goes. */
static struct ws_flow *oldest_of_list(struct ws_flow_table *t, unsigned c,
                                      struct ws_flow *const *protect, unsigned n_protect)
{
    const struct list *l = &t->class_list[c];
    struct ws_flow *oldest = NULL;
    for (uint32_t look = WS_MIN(l->count, EVICT_LOOK + n_protect); look; look--) {
        struct ws_flow *f = flow_at(t, l->head);
        bool held = is_protected(f, protect, n_protect);
        if (!held && coarse(f->last_clock_ns) == f->table_age)
            return f;
        if (!held && (!oldest || f->last_clock_ns < oldest->last_clock_ns))
            oldest = f;
        list_unlink(t, f);
        list_append(t, f);
    }
    return oldest;
}

/* Of unanswered flows the head, if it was never used again, is the oldest: so it is in a flood of
 * SYNs. Where the class fills the table a sample is drawn: who opens flows that look as good as
 * others and touches each twice makes second chances go round so fast that they find flows unused
 * that had no time to be. NULL: all are protected. */
static struct ws_flow *victim_of_class(struct ws_flow_table *t, unsigned c,
                                       struct ws_flow *const *protect, unsigned n_protect)
{
    const struct ws_flow *head = flow_at(t, t->class_list[c].head);
    struct ws_flow *f = NULL;
    if (c != WS_FLOW_UNANSWERED || coarse(head->last_clock_ns) != head->table_age)
        f = oldest_of_sample(t, c, protect, n_protect);
    return f ? f : oldest_of_list(t, c, protect, n_protect);
}

/* The flow to evict from a full table: of the lowest class, but for a share of the table that is
 * kept for connections that begin. Without that, a table full of established flows would let no
 * other become established: each would go for the next. NULL: all flows are protected. */
static struct ws_flow *victim_of_table(struct ws_flow_table *t, struct ws_flow *const *protect,
                                       unsigned n_protect)
{
    const uint32_t kept[WS_FLOW_CLASSES] = {
        [WS_FLOW_UNANSWERED] = t->cfg.flows_max / BEGINNERS_SHARE,
        [WS_FLOW_ANSWERED] = t->cfg.flows_max / BEGINNERS_SHARE,
    };
    struct ws_flow *f = NULL;
    for (unsigned c = 0; c < WS_FLOW_CLASSES && !f; c++)
        if (t->class_list[c].count > kept[c])
            f = victim_of_class(t, c, protect, n_protect);
    for (unsigned c = 0; c < WS_FLOW_CLASSES && !f; c++)
        if (t->class_list[c].count)
            f = victim_of_class(t, c, protect, n_protect);
    return f;
}

/* Whether a is to go rather than b. */
static bool goes_before(const struct ws_flow *a, const struct ws_flow *b)
{
    if (a->flow_class != b->flow_class)
        return a->flow_class < b->flow_class;
    return a->last_clock_ns < b->last_clock_ns;
}

/* The flow to evict when a hash finds both its buckets and the overflow full: the oldest of the
 * lowest class of all in there. They are more than protected ones can be, so that there is one
 * always (2 x 10 + 64 against WS_BURST_MAX). */
static struct ws_flow *victim_of_hash(struct ws_flow_table *t, uint32_t hash,
                                      struct ws_flow *const *protect, unsigned n_protect)
{
    const struct bucket *pair[2] = {home_of(t, hash), second_of(t, hash)};
    struct ws_flow *victim = NULL;
    for (uint32_t i = 0; i < 2 * SLOTS + t->overflow_count; i++) {
        uint32_t id = i < 2 * SLOTS ? pair[i / SLOTS]->slot[i % SLOTS] : t->overflow[i - 2 * SLOTS];
        struct ws_flow *f = flow_at(t, id);
        if ((!victim || goes_before(f, victim)) && !is_protected(f, protect, n_protect))
            victim = f;
    }
    return victim;
}

/* --- adding ----------------------------------------------------------------------------------- */

/* An unused place; NONE: there is none. It is zero, but for first_at. */
static uint32_t take_free(struct ws_flow_table *t)
{
    const uint32_t id = t->free_head != NONE ? t->free_head : t->high_water;
    if (id == t->cfg.flows_max)
        return NONE;
    struct ws_flow *f = flow_at(t, id);
    struct ws_flow_first *first = first_at(t, id);
    if (t->free_head != NONE) {
        t->free_head = links_at(t, id)->next;
        if (t->free_head != NONE) { /* the next one, which has lain idle */
            const uint8_t *next = (const uint8_t *)flow_at(t, t->free_head);
            for (size_t at = 0; at < t->stride; at += WS_CACHE_LINE)
                WS_PREFETCH(next + at);
            WS_PREFETCH(links_at(t, t->free_head));
            WS_PREFETCH(first_at(t, t->free_head));
        }
    } else {
        t->high_water++;
    }
    if (id < t->dirty_water)
        memset(f, 0, sizeof(*f) + t->cfg.ext_bytes);
    t->dirty_water = WS_MAX(t->dirty_water, t->high_water);
    *first = (struct ws_flow_first){.ordinal = {WS_ORDINAL_NONE, WS_ORDINAL_NONE}};
    ws_flow_set_first(f, first);
    return id;
}

struct ws_flow *ws_flow_table_add(struct ws_flow_table *t, const struct ws_key *key, uint32_t hash,
                                  int64_t now_ns, struct ws_flow *const *protect,
                                  unsigned n_protect)
{
    assert(n_protect <= WS_BURST_MAX);
    if (t->count == t->cfg.flows_max) {
        struct ws_flow *victim = victim_of_table(t, protect, n_protect);
        if (!victim)
            return NULL;
        evict(t, victim);
    }
    const uint32_t id = take_free(t);
    struct ws_flow *f = flow_at(t, id);
    while (!place(t, hash, id)) {
        ws_count(t->counters, WS_C_FLOWS_CROWDED, 1);
        evict(t, victim_of_hash(t, hash, protect, n_protect));
    }
    f->key = *key;
    links_at(t, id)->hash = hash;
    f->last_clock_ns = now_ns;
    f->flow_class = WS_FLOW_UNANSWERED;
    list_append(t, f);
    t->count++;
    ws_count(t->counters, WS_C_FLOWS_CREATED, 1);
    return f;
}

/* --- expiry and the end ----------------------------------------------------------------------- */

/* Looks at n flows from the cursor on and says which are idle. Prefetches what letting them go touches. */
static unsigned find_idle(struct ws_flow_table *t, int64_t now_ns, unsigned n, struct ws_flow **idle)
{
    unsigned found = 0;
    for (; n; n--) {
        if (t->cursor >= t->high_water)
            t->cursor = 0;
        struct ws_flow *f = flow_at(t, t->cursor++);
        WS_PREFETCH((const uint8_t *)f + 4 * t->stride + WS_CACHE_LINE); /* near the end of a group: nearly there */
        if (f->flow_class == CLASS_FREE || !ws_flow_table_is_idle(t, f, now_ns))
            continue;
        for (size_t at = 0; at < t->hot; at += WS_CACHE_LINE)
            WS_PREFETCH((const uint8_t *)f + at);
        WS_PREFETCH(links_at(t, id_of(t, f)));
        WS_PREFETCH(ws_flow_first(f));
        idle[found++] = f;
    }
    return found;
}

void ws_flow_table_expire(struct ws_flow_table *t, int64_t now_ns, unsigned budget)
{
    struct ws_flow *idle[EXPIRE_CHUNK];
    for (uint32_t left = WS_MIN(budget, t->high_water); left;) {
        const unsigned n = WS_MIN(left, EXPIRE_CHUNK), found = find_idle(t, now_ns, n, idle);
        left -= n;
        for (unsigned i = 0; i < found; i++) {
            WS_PREFETCH(home_of(t, links_at(t, id_of(t, idle[i]))->hash));
            ws_flow_table_prefetch_links(t, idle[i]);
        }
        for (unsigned i = 0; i < found; i++) {
            ws_count(t->counters, WS_C_FLOWS_IDLE, 1);
            t->gone(t->user, idle[i], WS_FLOW_IDLE);
            ws_flow_table_remove(t, idle[i]);
        }
    }
}

/* Bit of the sort key (ordinal, then id), counted from the least significant. */
static inline bool rank_bit(const struct rank *r, unsigned bit)
{
    return (bit >= 32 ? r->ordinal >> (bit - 32) : r->id >> bit) & 1;
}

/* Radix exchange sort in place: each level streams over its range once and splits it by a bit. Its
 * depth is at most 96, of which about log2(n) levels do work. */
static void sort_ranks(struct rank *r, uint32_t n, unsigned bits)
{
    while (n > 1 && bits) {
        unsigned bit = --bits;
        uint32_t lo = 0, hi = n;
        while (lo < hi) {
            if (!rank_bit(&r[lo], bit)) {
                lo++;
            } else if (rank_bit(&r[hi - 1], bit)) {
                hi--;
            } else {
                struct rank swap = r[lo];
                r[lo++] = r[--hi];
                r[hi] = swap;
            }
        }
        sort_ranks(r, lo, bit);
        r += lo;
        n -= lo;
    }
}

/* Empties the buckets by way of the flows, so that pages that were never used stay so. */
static void clear_buckets(struct ws_flow_table *t)
{
    for (uint32_t id = 0; id < t->high_water; id++) {
        const uint32_t hash = links_at(t, id)->hash;
        memset(home_of(t, hash), 0, sizeof(struct bucket));
        memset(second_of(t, hash), 0, sizeof(struct bucket));
    }
    t->overflow_count = 0;
}

void ws_flow_table_flush(struct ws_flow_table *t, enum ws_flow_cause cause)
{
    uint32_t n = t->count;
    uint64_t all = 0, before = 0;
    bool in_order = true;

    clear_buckets(t);
    struct rank *r = (struct rank *)(void *)t->buckets;
    uint32_t fill = 0;
    for (uint32_t id = 0; id < t->high_water; id++) {
        const struct ws_flow *f = flow_at(t, id);
        if (f->flow_class == CLASS_FREE)
            continue;
        uint64_t ordinal = ws_flow_first_ordinal(f);
        r[fill++] = (struct rank){.ordinal = ordinal, .id = id};
        in_order = in_order && ordinal >= before;
        before = ordinal;
        all |= ordinal;
    }
    assert(fill == n);
    if (!in_order)
        sort_ranks(r, n, 32 + (all ? 64 - (unsigned)__builtin_clzll(all) : 0));

    for (uint32_t i = 0; i < n; i++) {
        if (i + 4 < n) {
            const uint8_t *ahead = (const uint8_t *)flow_at(t, r[i + 4].id);
            WS_PREFETCH(ahead);
            WS_PREFETCH(ahead + WS_CACHE_LINE);
            WS_PREFETCH(ahead + 2 * WS_CACHE_LINE);
            WS_PREFETCH(first_at(t, r[i + 4].id));
        }
        t->gone(t->user, flow_at(t, r[i].id), cause);
    }
    ws_count(t->counters, WS_C_FLOWS_CLOSED, n);
    memset(r, 0, n * sizeof(*r));

    for (unsigned c = 0; c < WS_FLOW_CLASSES; c++)
        t->class_list[c] = (struct list){.head = NONE, .tail = NONE};
    t->count = 0;
    t->free_head = NONE;
    t->high_water = 0;
    t->cursor = 0;
}

uint32_t ws_flow_table_count(const struct ws_flow_table *t)
{
    return t->count;
}

uint32_t ws_flow_table_capacity(const struct ws_flow_table *t)
{
    return t->cfg.flows_max;
}
