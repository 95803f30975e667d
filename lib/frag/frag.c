/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of datagrams under reassembly: finding, completing, giving up, and the fragments'
 * frames. */
#include "frag/frag.h"

#include <string.h>

#include "base/bytes.h"
#include "frag/store.h"
#include "packet/toeplitz.h"

const struct ws_frag_config ws_frag_defaults = {
    .datagrams_max = 4096,
    .bytes_max = 64u << 20,
    .timeout_ns = INT64_C(60000000000),
    .overlap = WS_OVERLAP_FIRST,
};

enum {
    /* A frame is kept up to this length; the largest datagram with its link header fits. */
    FRAME_MAX = 68 << 10,
    /* The largest datagram's payload, and what a copy in whole chunks needs. */
    DATAGRAM_MAX = 64 << 10,
};

/* A finished datagram is remembered this long, so that copies of its fragments (a mirror port shows
 * packets twice) do not begin a new one. Longer would hit reused identifications (RFC 4963). */
#define LINGER_NS INT64_C(250000000)

/* What fragments of one datagram have in common: RFC 791 section 3.2 (addresses, protocol,
 * identification) and RFC 8200 section 4.5 (without protocol), in one direction, in one VLAN and
 * tunnel. Without padding: compared and hashed as words. */
struct datagram_key {
    uint8_t src[16], dst[16];
    uint32_t id;
    uint32_t tunnel_id;
    uint32_t device;
    uint16_t vlan[2];
    uint8_t ip_version, proto, tunnel_type, tunnel_depth;
    uint8_t zero[4];
};
static_assert(sizeof(struct datagram_key) == 56, "seven words");

/* Held frames: each a chain of chunks that begins with its descriptor; the frames of a datagram are
 * chained by their first chunks.  frame -> [next | more | packet | data...] -more-> [more |
 * data...] */
struct frame_head {
    uint32_t next; /* first chunk of the next frame */
    uint32_t more; /* next chunk of this frame */
    struct ws_packet packet;
};

struct frame_list {
    uint32_t first, last;
    uint32_t count;
};

struct entry {
    struct datagram_key key;
    uint32_t next;         /* in the bucket */
    uint32_t newer, older; /* in the age list of its state */
    bool done;             /* whole and handed out: lingers */
    bool known;            /* the flow is known: flow, owner_hash and dir are valid */
    bool filtered;         /* a filter refused some fragment: the datagram is not to be shown */
    uint8_t dir;
    uint8_t proto; /* of the payload */
    uint32_t owner_hash;
    uint32_t total;     /* length, 0 while the last fragment is missing */
    uint32_t fragments; /* that came */
    int64_t since_ns;   /* first fragment came; when done: completed */
    struct ws_key flow;
    struct frame_list frames; /* shown without a flow, to be shown again or lost */
    struct ws_frag_bytes bytes;
};

/* Entries by age: oldest leaves first. */
struct age_list {
    uint32_t oldest, newest;
};

struct ws_frag {
    struct ws_frag_config cfg;
    struct ws_counters *counters;
    struct ws_frag_ops ops;
    void *user;
    uint64_t secret[sizeof(struct datagram_key) / 8]; /* odd multipliers of the hash */
    uint32_t *bucket;
    uint32_t bucket_mask;
    struct ws_frag_pool entries, runs, chunks;
    struct age_list active, done;
    uint32_t keep;           /* entry that reclaim must not take */
    struct frame_list carry; /* frames of a datagram that is being handed out without a flow: a
                              * fragment inside it takes them over */
    uint8_t *datagram;       /* DATAGRAM_MAX bytes: the whole datagram */
    uint8_t *frame;          /* FRAME_MAX bytes: a frame that spans chunks */
};

static const struct frame_list no_frames = {WS_FRAG_NONE, WS_FRAG_NONE, 0};

static struct entry *entry_at(const struct ws_frag *f, uint32_t i)
{
    return ws_frag_pool_at(&f->entries, i);
}

/* ---- memory ---- */

struct layout {
    size_t entries, runs, buckets, datagram, frame, chunks, total;
    uint32_t n_entries, n_runs, n_buckets, n_chunks;
};

static struct layout lay_out(const struct ws_frag_config *cfg)
{
    struct layout l = {0};
    /* Finished datagrams that linger need entries too; they go first when there is none. */
    l.n_entries = WS_MAX(cfg->datagrams_max, 1u) + 1;
    l.n_runs = WS_MAX(l.n_entries * WS_FRAG_RUNS_EACH, 2u * WS_FRAG_RUNS_MAX);
    l.n_buckets = (uint32_t)ws_pow2_ceil(l.n_entries);
    l.n_chunks = WS_MAX(cfg->bytes_max / WS_FRAG_CHUNK, (uint32_t)WS_FRAG_CHUNKS_MIN);
    size_t at = ws_align_up(sizeof(struct ws_frag), WS_CACHE_LINE);
    l.entries = at;
    at = ws_align_up(at + l.n_entries * sizeof(struct entry), WS_CACHE_LINE);
    l.runs = at;
    at = ws_align_up(at + l.n_runs * sizeof(struct ws_frag_run), WS_CACHE_LINE);
    l.buckets = at;
    at = ws_align_up(at + l.n_buckets * sizeof(uint32_t), WS_CACHE_LINE);
    l.datagram = at;
    l.frame = l.datagram + DATAGRAM_MAX;
    l.chunks = l.frame + FRAME_MAX;
    l.total = l.chunks + (size_t)l.n_chunks * WS_FRAG_CHUNK;
    return l;
}

size_t ws_frag_bytes(const struct ws_frag_config *cfg)
{
    return lay_out(cfg).total;
}

/* Sebastiano Vigna's splitmix64: turns one seed into independent words. */
static uint64_t next_secret(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct ws_frag *ws_frag_init(void *mem, const struct ws_frag_config *cfg,
                             struct ws_counters *counters, const struct ws_frag_ops *ops,
                             void *user)
{
    struct layout l = lay_out(cfg);
    uint8_t *m = mem;
    struct ws_frag *f = mem;
    *f = (struct ws_frag){.cfg = *cfg, .counters = counters, .ops = *ops, .user = user};
    if (!f->cfg.decode)
        f->cfg.decode = &ws_decode_defaults;
    ws_frag_pool_init(&f->entries, m + l.entries, sizeof(struct entry), l.n_entries);
    ws_frag_pool_init(&f->runs, m + l.runs, sizeof(struct ws_frag_run), l.n_runs);
    ws_frag_pool_init(&f->chunks, m + l.chunks, WS_FRAG_CHUNK, l.n_chunks);
    uint64_t seed = cfg->seed;
    for (unsigned i = 0; i < WS_ARRAY_SIZE(f->secret); i++)
        f->secret[i] = next_secret(&seed) | 1;
    f->bucket = (uint32_t *)(void *)(m + l.buckets);
    f->bucket_mask = l.n_buckets - 1;
    memset(f->bucket, 0xff, l.n_buckets * sizeof(uint32_t));
    f->active = f->done = (struct age_list){WS_FRAG_NONE, WS_FRAG_NONE};
    f->keep = WS_FRAG_NONE;
    f->carry = no_frames;
    f->datagram = m + l.datagram;
    f->frame = m + l.frame;
    return f;
}

/* ---- the table ---- */

/* Whether more than limit_ns lie between. Stamps of damaged files may lie further apart than an
 * int64_t can say. */
static bool older(int64_t since_ns, int64_t now_ns, int64_t limit_ns)
{
    return now_ns > since_ns && (uint64_t)now_ns - (uint64_t)since_ns > (uint64_t)limit_ns;
}

static void age_append(struct ws_frag *f, struct age_list *list, uint32_t i)
{
    struct entry *e = entry_at(f, i);
    e->older = list->newest;
    e->newer = WS_FRAG_NONE;
    if (list->newest == WS_FRAG_NONE)
        list->oldest = i;
    else
        entry_at(f, list->newest)->newer = i;
    list->newest = i;
}

static void age_remove(struct ws_frag *f, struct age_list *list, uint32_t i)
{
    struct entry *e = entry_at(f, i);
    if (e->older == WS_FRAG_NONE)
        list->oldest = e->newer;
    else
        entry_at(f, e->older)->newer = e->newer;
    if (e->newer == WS_FRAG_NONE)
        list->newest = e->older;
    else
        entry_at(f, e->newer)->older = e->older;
}

static struct datagram_key key_of(const struct ws_packet *p)
{
    struct datagram_key k = {
        .id = p->frag_id,
        .tunnel_id = p->key.tunnel_id,
        .device = p->key.device,
        .vlan = {p->key.vlan[0], p->key.vlan[1]},
        .ip_version = p->key.ip_version,
        .proto = p->key.ip_version == 4 ? p->key.proto : 0,
        .tunnel_type = p->key.tunnel_type,
        .tunnel_depth = p->key.tunnel_depth,
    };
    memcpy(k.src, p->key.addr[p->dir & 1], 16);
    memcpy(k.dst, p->key.addr[~p->dir & 1], 16);
    return k;
}

/* Both halves of a product with a secret for each word, so that nobody without the seed can choose
 * keys that share a bucket. (With a known multiplier, differences in the highest bits of a word
 * come out the same whatever the seed, and the next word can undo them.) */
static uint32_t *bucket_of(const struct ws_frag *f, const struct datagram_key *key)
{
    __extension__ typedef unsigned __int128 u128;
    uint64_t w[sizeof(*key) / 8], h = f->cfg.seed;
    memcpy(w, key, sizeof(w));
    for (unsigned i = 0; i < WS_ARRAY_SIZE(w); i++) {
        u128 product = (u128)(h ^ w[i]) * f->secret[i];
        h = (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    return &f->bucket[h & f->bucket_mask];
}

static uint32_t find(const struct ws_frag *f, const struct datagram_key *key)
{
    uint32_t i = *bucket_of(f, key);
    while (i != WS_FRAG_NONE && memcmp(&entry_at(f, i)->key, key, sizeof(*key)) != 0)
        i = entry_at(f, i)->next;
    return i;
}

static void free_frames(struct ws_frag *f, struct frame_list *list)
{
    for (uint32_t i = list->first; i != WS_FRAG_NONE;) {
        struct frame_head head;
        memcpy(&head, ws_frag_pool_at(&f->chunks, i), sizeof(head));
        ws_frag_pool_put(&f->chunks, i);
        for (uint32_t more = head.more; more != WS_FRAG_NONE;) {
            uint32_t after;
            memcpy(&after, ws_frag_pool_at(&f->chunks, more), sizeof(after));
            ws_frag_pool_put(&f->chunks, more);
            more = after;
        }
        i = head.next;
    }
    *list = no_frames;
}

static void lose_frames(struct ws_frag *f, struct frame_list *list, enum ws_counter cause)
{
    uint32_t n = list->count;
    free_frames(f, list);
    if (n)
        f->ops.lost(f->user, n, cause);
}

static void remove_entry(struct ws_frag *f, uint32_t i)
{
    struct entry *e = entry_at(f, i);
    uint32_t *link = bucket_of(f, &e->key);
    while (*link != i)
        link = &entry_at(f, *link)->next;
    *link = e->next;
    age_remove(f, e->done ? &f->done : &f->active, i);
    ws_frag_bytes_free(&e->bytes, &f->chunks, &f->runs);
    ws_frag_pool_put(&f->entries, i);
}

/* Says which bytes of a known flow go with a datagram that is given up. */
static void tell_missing(struct ws_frag *f, const struct entry *e)
{
    uint8_t head[WS_FRAG_HEAD_MAX];
    const struct ws_frag_run *first =
        e->bytes.head == WS_FRAG_NONE ? NULL : ws_frag_pool_at(&f->runs, e->bytes.head);
    if (!f->ops.gave_up || !e->known || e->done || !first || first->from != 0)
        return;
    struct ws_packet p = {.key = e->flow, .dir = e->dir, .owner_hash = e->owner_hash};
    uint32_t len = WS_MIN(WS_MIN((uint32_t)first->to, e->bytes.cut), (uint32_t)WS_FRAG_HEAD_MAX);
    uint32_t wire_len = e->total ? e->total : ws_frag_bytes_end(&e->bytes, &f->runs);
    if (e->filtered)
        p.flags |= WS_PKT_FILTERED;
    ws_frag_bytes_copy(&e->bytes, &f->chunks, len, head);
    f->ops.gave_up(f->user, &p, e->proto, head, len, wire_len);
}

/* An unfinished datagram leaves for a cause: its fragments are counted, frames without flow lost.
 */
static void give_up(struct ws_frag *f, uint32_t i, enum ws_counter cause)
{
    struct entry *e = entry_at(f, i);
    ws_count(f->counters, cause, e->fragments);
    tell_missing(f, e);
    struct frame_list frames = e->frames;
    remove_entry(f, i);
    lose_frames(f, &frames, cause);
}

/* Makes room: finished datagrams go first, then the oldest unfinished one. */
static bool reclaim(void *user)
{
    struct ws_frag *f = user;
    for (uint32_t i = f->done.oldest; i != WS_FRAG_NONE; i = entry_at(f, i)->newer)
        if (i != f->keep) {
            remove_entry(f, i);
            return true;
        }
    for (uint32_t i = f->active.oldest; i != WS_FRAG_NONE; i = entry_at(f, i)->newer)
        if (i != f->keep) {
            give_up(f, i, WS_C_FRAG_EVICTED);
            return true;
        }
    return false;
}

static uint32_t get_chunk(struct ws_frag *f)
{
    uint32_t i;
    while ((i = ws_frag_pool_get(&f->chunks)) == WS_FRAG_NONE)
        if (!reclaim(f))
            break;
    return i;
}

static uint32_t create(struct ws_frag *f, const struct datagram_key *key, const struct ws_packet *p)
{
    uint32_t i;
    while ((i = ws_frag_pool_get(&f->entries)) == WS_FRAG_NONE)
        reclaim(f); /* with no entry free, one is in use and nothing is kept */
    struct entry *e = entry_at(f, i);
    memset(e, 0, sizeof(*e));
    e->key = *key;
    e->proto = p->key.proto;
    e->since_ns = p->clock_ns;
    e->frames = no_frames;
    ws_frag_bytes_init(&e->bytes);
    uint32_t *bucket = bucket_of(f, key);
    e->next = *bucket;
    *bucket = i;
    age_append(f, &f->active, i);
    return i;
}

/* ---- frames ---- */

/* Keeps a copy of the frame at the end of the list. False: no room. */
static bool hold_frame(struct ws_frag *f, struct frame_list *list, const struct ws_packet *p)
{
    struct frame_head head = {.next = WS_FRAG_NONE, .more = WS_FRAG_NONE, .packet = *p};
    uint32_t len = WS_MIN(p->cap_len, (uint32_t)FRAME_MAX), first = get_chunk(f), last = first;
    if (first == WS_FRAG_NONE)
        return false;
    uint32_t in = sizeof(head), at = 0, n = WS_MIN(len, WS_FRAG_CHUNK - in);
    memcpy((uint8_t *)ws_frag_pool_at(&f->chunks, first) + in, p->data, n);
    struct frame_list one = {first, first, 1};
    while ((at += n) < len) {
        uint32_t more = get_chunk(f), none = WS_FRAG_NONE;
        if (more != WS_FRAG_NONE) {
            uint8_t *chunk = ws_frag_pool_at(&f->chunks, more);
            n = WS_MIN(len - at, WS_FRAG_CHUNK - (uint32_t)sizeof(more));
            memcpy(chunk, &none, sizeof(none));
            memcpy(chunk + sizeof(none), p->data + at, n);
        }
        if (last == first)
            head.more = more;
        else
            memcpy(ws_frag_pool_at(&f->chunks, last), &more, sizeof(more));
        if (more == WS_FRAG_NONE) {
            memcpy(ws_frag_pool_at(&f->chunks, first), &head, sizeof(head));
            free_frames(f, &one);
            return false;
        }
        last = more;
    }
    head.packet.cap_len = len;
    memcpy(ws_frag_pool_at(&f->chunks, first), &head, sizeof(head));
    if (list->last == WS_FRAG_NONE)
        list->first = first;
    else
        memcpy(ws_frag_pool_at(&f->chunks, list->last), &first, sizeof(first)); /* its next */
    list->last = first;
    list->count++;
    return true;
}

/* Gives a frame the flow of its datagram and shows it. */
static void show_known(struct ws_frag *f, const struct entry *e, struct ws_packet *p)
{
    p->key = e->flow;
    p->dir = e->dir;
    p->owner_hash = e->owner_hash;
    p->flags |= WS_PKT_FLOW_KNOWN;
    f->ops.frame(f->user, p);
}

/* Shows held frames again, now that their flow is known. */
static void release_frames(struct ws_frag *f, const struct entry *e, struct frame_list *list)
{
    for (uint32_t i = list->first; i != WS_FRAG_NONE;) {
        struct frame_head head;
        const uint8_t *chunk = ws_frag_pool_at(&f->chunks, i);
        memcpy(&head, chunk, sizeof(head));
        const uint8_t *data = chunk + sizeof(head);
        uint32_t len = head.packet.cap_len;
        uint32_t at = WS_MIN(len, WS_FRAG_CHUNK - (uint32_t)sizeof(head));
        if (at < len) {
            memcpy(f->frame, data, at);
            data = f->frame;
            for (uint32_t more = head.more; more != WS_FRAG_NONE;) {
                chunk = ws_frag_pool_at(&f->chunks, more);
                uint32_t n = WS_MIN(len - at, WS_FRAG_CHUNK - (uint32_t)sizeof(more));
                memcpy(f->frame + at, chunk + sizeof(more), n);
                at += n;
                memcpy(&more, chunk, sizeof(more));
            }
        }
        struct ws_packet *p = &head.packet;
        uint32_t l4_off = WS_MIN((uint32_t)(p->l4 - p->data), len);
        p->data = data;
        p->l4 = p->payload = data + l4_off;
        p->l4_len = WS_MIN(p->l4_len, len - l4_off);
        p->flags |= WS_PKT_RELEASED;
        show_known(f, e, p);
        i = head.next;
    }
    free_frames(f, list);
}

/* Shows a pushed frame, with its flow if e (may be NULL) knows it; else keeps it for later. cause:
 * why it is lost if it cannot be kept. */
static void show(struct ws_frag *f, struct entry *e, const struct ws_packet *p,
                 enum ws_counter cause)
{
    if (p->flags & WS_PKT_DATAGRAM) {
        /* No frame of its own, but those of the datagram around it. */
        if (e && e->known) {
            release_frames(f, e, &f->carry);
        } else if (e && !e->done && f->carry.count) {
            if (e->frames.last == WS_FRAG_NONE) {
                e->frames = f->carry;
            } else {
                memcpy(ws_frag_pool_at(&f->chunks, e->frames.last), &f->carry.first,
                       sizeof(f->carry.first));
                e->frames.last = f->carry.last;
                e->frames.count += f->carry.count;
            }
            f->carry = no_frames;
        }
        return;
    }
    struct ws_packet q = *p;
    if (e && e->known) {
        show_known(f, e, &q);
    } else if (p->flags & WS_PKT_FLOW_KNOWN) {
        q.owner_hash = ws_toeplitz_owner(&q.key);
        f->ops.frame(f->user, &q);
    } else if (!(p->flags & WS_PKT_FILTERED)) {
        f->ops.frame(f->user, &q);
        if (!e || e->done) {
            f->ops.lost(f->user, 1, cause);
        } else if (!hold_frame(f, &e->frames, p)) {
            ws_count(f->counters, WS_C_FRAG_EVICTED, 1);
            f->ops.lost(f->user, 1, WS_C_FRAG_EVICTED);
        }
    }
}

static void learn_flow(struct ws_frag *f, struct entry *e, const struct ws_packet *p)
{
    e->known = true;
    e->flow = p->key;
    e->dir = p->dir;
    e->owner_hash = ws_toeplitz_owner(&p->key);
    release_frames(f, e, &e->frames);
}

/* ---- pushing ---- */

/* Whether the fragment may be part of the datagram e (NULL: a new one); WS_C_COUNT if so. */
static enum ws_counter refuse(const struct ws_frag *f, const struct entry *e,
                              const struct ws_packet *p)
{
    uint32_t len = p->frag_wire_len, end = p->frag_off + len;
    /* The whole datagram must fit its length field: with the header in IPv4 (RFC 791 section 3.1),
     * without the fixed header and this Fragment header in IPv6 (RFC 8200 section 4.5). */
    uint32_t around = p->flags & WS_PKT_DATAGRAM ? 0 : p->ip_hdr_len;
    if (p->key.ip_version == 6)
        around = WS_MAX(around, 48u) - 48u;
    else
        around = WS_MAX(around, 20u);
    if (len > UINT16_MAX || end + around > UINT16_MAX)
        return WS_C_FRAG_OVERSIZE;
    if (len == 0 || (p->frag_more && len % 8 != 0))
        return WS_C_FRAG_INVALID;
    if (!e || e->done)
        return WS_C_COUNT;
    if (e->total && (end > e->total || (!p->frag_more && end != e->total)))
        return WS_C_FRAG_INVALID;
    if (!p->frag_more && end < ws_frag_bytes_end(&e->bytes, &f->runs)) /* as in teardrop */
        return WS_C_FRAG_INVALID;
    return WS_C_COUNT;
}

/* True if p is a copy of a fragment of the finished datagram e. */
static bool is_copy(const struct ws_frag *f, const struct entry *e, const struct ws_packet *p,
                    const struct ws_frag_piece *piece)
{
    return !older(e->since_ns, p->clock_ns, LINGER_NS) && piece->to <= e->total &&
           p->frag_more == (piece->to < e->total) &&
           ws_frag_bytes_equal(&e->bytes, &f->chunks, piece);
}

/* The datagram is whole: hands it out, p being the fragment that completed it. */
static void complete(struct ws_frag *f, uint32_t i, const struct ws_packet *p)
{
    struct entry *e = entry_at(f, i);
    uint32_t len = WS_MIN(e->total, e->bytes.cut), total = e->total;
    uint8_t proto = e->proto;
    bool filtered = e->filtered;
    ws_count(f->counters, WS_C_FRAG_DATAGRAMS, 1);
    ws_frag_bytes_copy(&e->bytes, &f->chunks, len, f->datagram);
    enum ws_decode_status status = WS_DECODE_OK;
    if (!e->known) {
        /* No fragment showed the ports: a tunnel, extension headers, or cut short. */
        struct ws_packet inner = *p;
        status = ws_decode_datagram(&inner, f->cfg.decode, proto, f->datagram, len, total);
        if (status == WS_DECODE_OK &&
            (!(inner.flags & WS_PKT_FRAGMENT) || inner.flags & WS_PKT_FLOW_KNOWN))
            learn_flow(f, e, &inner);
    }
    show(f, e, p, WS_C_FRAG_INVALID);

    struct frame_list frames = e->frames;
    e->frames = no_frames;
    age_remove(f, &f->active, i);
    e->done = true;
    e->since_ns = p->clock_ns;
    age_append(f, &f->done, i);
    f->keep = WS_FRAG_NONE;
    /* From here on a fragment inside the datagram may be pushed: e may go, the buffer be reused. */
    f->carry = frames;
    struct ws_packet whole = *p;
    whole.flags |= WS_PKT_DATAGRAM | (filtered ? WS_PKT_FILTERED : 0u);
    f->ops.datagram(f->user, &whole, proto, f->datagram, len, total);
    if (f->carry.count) {
        ws_count(f->counters, WS_C_FRAG_INVALID, f->carry.count);
        lose_frames(f, &f->carry, WS_C_FRAG_INVALID);
    }
}

void ws_frag_push(struct ws_frag *f, const struct ws_packet *p)
{
    struct datagram_key key = key_of(p);
    struct ws_frag_piece piece = {p->l4, p->frag_off, p->frag_off + p->frag_wire_len,
                                  WS_MIN(p->l4_len, p->frag_wire_len)};
    uint32_t i = find(f, &key);
    if (i != WS_FRAG_NONE && !entry_at(f, i)->done &&
        older(entry_at(f, i)->since_ns, p->clock_ns, f->cfg.timeout_ns)) {
        give_up(f, i, WS_C_FRAG_TIMEOUT);
        i = WS_FRAG_NONE;
    }
    struct entry *e = i == WS_FRAG_NONE ? NULL : entry_at(f, i);
    enum ws_counter cause = refuse(f, e, p);
    f->keep = i;
    if (cause != WS_C_COUNT) {
        ws_count(f->counters, cause, 1);
        show(f, e, p, cause);
        f->keep = WS_FRAG_NONE;
        return;
    }
    if (e && e->done) {
        if (is_copy(f, e, p, &piece)) {
            ws_count(f->counters, WS_C_FRAG_DUPLICATE, 1);
            show(f, e, p, WS_C_FRAG_DUPLICATE);
            f->keep = WS_FRAG_NONE;
            return;
        }
        remove_entry(f, i); /* the identification is used again */
        e = NULL;
    }
    if (!e) {
        f->keep = WS_FRAG_NONE;
        i = create(f, &key, p);
        e = entry_at(f, i);
        f->keep = i;
    }

    struct ws_frag_change change;
    e->fragments++;
    e->filtered |= (p->flags & WS_PKT_FILTERED) != 0;
    if (ws_frag_bytes_put(&e->bytes, &f->chunks, &f->runs, &piece, f->cfg.overlap, reclaim, f,
                          &change) != 0) {
        if (p->flags & WS_PKT_FLOW_KNOWN && !e->known)
            learn_flow(f, e, p);
        show(f, e, p, WS_C_FRAG_EVICTED);
        f->keep = WS_FRAG_NONE;
        give_up(f, i, WS_C_FRAG_EVICTED);
        return;
    }
    if (change.overlap)
        ws_count(f->counters,
                 change.added || change.differs ? WS_C_FRAG_OVERLAP : WS_C_FRAG_DUPLICATE, 1);
    if (p->frag_off == 0)
        e->proto = p->key.proto; /* only the first one's counts (RFC 8200 section 4.5) */
    if (!p->frag_more)
        e->total = piece.to;
    if (p->flags & WS_PKT_FLOW_KNOWN && !e->known)
        learn_flow(f, e, p);
    if (e->total && e->bytes.covered == e->total)
        complete(f, i, p);
    else
        show(f, e, p, WS_C_FRAG_EVICTED);
    f->keep = WS_FRAG_NONE;
}

void ws_frag_expire(struct ws_frag *f, int64_t now_ns, unsigned budget)
{
    while (budget-- > 0) {
        uint32_t done = f->done.oldest, active = f->active.oldest;
        if (done != WS_FRAG_NONE && older(entry_at(f, done)->since_ns, now_ns, LINGER_NS))
            remove_entry(f, done);
        else if (active != WS_FRAG_NONE &&
                 older(entry_at(f, active)->since_ns, now_ns, f->cfg.timeout_ns))
            give_up(f, active, WS_C_FRAG_TIMEOUT);
        else
            break;
    }
}

void ws_frag_flush(struct ws_frag *f)
{
    while (f->done.oldest != WS_FRAG_NONE)
        remove_entry(f, f->done.oldest);
    while (f->active.oldest != WS_FRAG_NONE)
        give_up(f, f->active.oldest, WS_C_FRAG_TIMEOUT);
}

uint64_t ws_frag_held_bytes(const struct ws_frag *f, uint64_t *max)
{
    *max = (uint64_t)f->chunks.items * WS_FRAG_CHUNK;
    return (uint64_t)f->chunks.used * WS_FRAG_CHUNK;
}
