/* SPDX-License-Identifier: BSD-3-Clause */
/* The receive stage of a thread. */
#include "engine/receive.h"

#include <string.h>
#include <time.h>

#include "engine/backoff.h"
#include "engine/packet_clock.h"
#include "engine/stage.h"

/* Datagrams whose timeout is looked at after each burst. */
enum { FRAG_EXPIRE_BUDGET = 4 };

/* What a device got before it was told to stop may stand in its queue yet, or in a block that the kernel has not handed
 * over (10 ms): so long it is polled on, and longer while it gives packets from before, up to a limit. */
#define STOP_LINGER_NS     UINT64_C(30000000)
#define STOP_LINGER_MAX_NS UINT64_C(1000000000)

/* Marks of source chunks that may be in flight; more than a file source has chunks. */
enum { SOURCE_MARKS = 64 };

/* Entries of the RSS indirection that stands for all ports': those of most NICs. */
enum { OWNERS = 128 };

struct ws_receive {
    struct ws_receive_config cfg;
    struct ws_counters *counters;
    struct ws_frag *frag;
    struct ws_steer steer;
    bool steering;             /* some link is set */
    bool source_ended[WS_RECEIVE_SOURCES_MAX];
    unsigned ended;
    bool done;
    struct ws_source *source;  /* of this burst, or the last one */
    bool can_wait;             /* of that */
    bool stable;
    uint8_t owner[OWNERS];     /* worker by owner hash */
    uint64_t ordinal;          /* of the next packet */
    uint64_t trigger;          /* ordinal of the packet that is being handled */
    int64_t trigger_ns;        /* its clock: that of a whole burst is ahead of it */
    struct ws_packet_clock clock;
    unsigned polls;
    uint64_t stop_seen_ns;     /* steady clock; 0: not yet */
    int64_t stop_wall_ns;      /* the same on the packets' clock, if that is the system's */
    unsigned n_local;
    uint32_t trailer_len[WS_BURST_MAX]; /* of the packets of this burst, when trailers are read */
    const struct ws_packet *local[WS_BURST_MAX];
    struct ws_packet pkt[WS_BURST_MAX];
    WS_CACHE_ALIGNED _Atomic uint64_t published;
    _Atomic uint64_t bytes_done, bytes_total;
    _Atomic bool damaged;
    _Atomic int64_t progress_ns; /* the clock, as others may read it */
};

static int stop_level(const struct ws_receive *r)
{
    return atomic_load_explicit(r->cfg.stop, memory_order_relaxed);
}

static bool can_all_wait(const struct ws_receive *r)
{
    for (unsigned i = 0; i < r->cfg.n_source; i++)
        if (!r->source_ended[i] && !r->cfg.source[i]->can_wait)
            return false;
    return true;
}

static uint64_t steady_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* After a round of n packets: whether what came before the stop has been taken. */
static bool stops_now(struct ws_receive *r, unsigned n)
{
    struct timespec t;
    if (stop_level(r) == 2 || can_all_wait(r))
        return true;
    uint64_t now = steady_ns();
    if (!r->stop_seen_ns) {
        clock_gettime(CLOCK_REALTIME, &t);
        r->stop_seen_ns = now;
        r->stop_wall_ns = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
    }
    uint64_t since = now - r->stop_seen_ns;
    if (since < STOP_LINGER_NS)
        return false;
    return n == 0 || r->clock.now_ns >= r->stop_wall_ns || since >= STOP_LINGER_MAX_NS;
}

static void flush_local(struct ws_receive *r)
{
    if (r->n_local) {
        ws_flow_stage_burst(r->cfg.local, r->local, r->n_local);
        r->n_local = 0;
    }
}

/* What is lost when there is no room: each frame has one fate, so one that is counted as non-flow, undecodable or held
 * is not counted as shed as well; a datagram's frames were counted with their flow. */
static void count_shed(struct ws_receive *r, const struct ws_packet *p)
{
    bool no_flow = p->status != WS_DECODE_OK ||
                   (p->flags & (WS_PKT_FRAGMENT | WS_PKT_FLOW_KNOWN)) == WS_PKT_FRAGMENT;
    if (p->flags & (WS_PKT_FILTERED | WS_PKT_INCOMPLETE))
        return;
    if (p->flags & WS_PKT_DATAGRAM) {
        ws_count(r->counters, WS_C_SHED_DATAGRAM, 1);
        return;
    }
    ws_count(r->counters, no_flow ? WS_C_SHED_OTHER : WS_C_SHED_STEER, 1);
    *(no_flow ? &r->source->shed_other : &r->source->shed_steer) += 1;
}

/* Waits for room on a link when the source can wait; sheds the packet otherwise. */
static void steer_packet(struct ws_receive *r, unsigned worker, const struct ws_packet *p, bool copy)
{
    struct ws_backoff backoff = {0};
    while (!ws_steer_put(&r->steer, worker, p, copy)) {
        ws_steer_publish(&r->steer);
        if (ws_steer_put(&r->steer, worker, p, copy))
            break;
        if (!r->can_wait || stop_level(r) == 2) {
            count_shed(r, p);
            return;
        }
        if (r->cfg.local)
            flush_local(r);
        r->cfg.drain(r->cfg.user, r->cfg.local ? r->trigger : r->ordinal);
        ws_backoff_wait(&backoff);
    }
    ws_count(r->counters, WS_C_STEERED, 1);
    if (copy)
        ws_count(r->counters, WS_C_STEER_COPIED, 1);
}

/* The worker that owns a packet's flow: RSS over the owner hash. */
static inline unsigned owner_of(const struct ws_receive *r, const struct ws_packet *p)
{
    return r->owner[p->owner_hash % OWNERS];
}

/* Hands a packet of the current burst on. Its bytes live as long as the burst (or the source chunk). */
static inline void emit(struct ws_receive *r, const struct ws_packet *p, unsigned worker)
{
    if (r->cfg.local && worker == r->cfg.local_worker) {
        r->local[r->n_local++] = p;
        if (r->n_local == WS_BURST_MAX)
            flush_local(r);
    } else {
        steer_packet(r, worker, p, !r->stable);
    }
}

/* Hands on a packet whose bytes are valid for this call only. */
static void emit_now(struct ws_receive *r, const struct ws_packet *p)
{
    unsigned worker = owner_of(r, p);
    if (r->cfg.local && worker == r->cfg.local_worker) {
        flush_local(r);
        ws_flow_stage_burst(r->cfg.local, &p, 1);
    } else {
        steer_packet(r, worker, p, true);
    }
}

/* Frames without a flow: for packet sinks only. On a receiver worker 0 takes them. */
static void emit_other(struct ws_receive *r, const struct ws_packet *p)
{
    if (r->cfg.frames_all && !(p->flags & WS_PKT_FILTERED))
        emit(r, p, r->cfg.local ? r->cfg.local_worker : 0);
}

static void on_frag_frame(void *user, const struct ws_packet *p)
{
    struct ws_receive *r = user;
    if (!(p->flags & WS_PKT_FLOW_KNOWN)) {
        ws_count(r->counters, WS_C_FRAG_HELD, 1);
        if (r->cfg.frames_all) {
            if (r->cfg.local) {
                flush_local(r);
                ws_flow_stage_burst(r->cfg.local, &p, 1);
            } else {
                steer_packet(r, 0, p, true);
            }
        }
        return;
    }
    if (p->flags & WS_PKT_RELEASED) {
        /* It takes its place in the order of packets now: later than when it came. */
        struct ws_packet now = *p;
        now.ordinal = r->trigger;
        now.clock_ns = r->trigger_ns;
        ws_count(r->counters, WS_C_FRAG_HELD, (uint64_t)-1);
        emit_now(r, &now);
    } else {
        emit_now(r, p);
    }
}

static void handle_decoded(struct ws_receive *r, struct ws_packet *p, bool burst);

static void on_frag_datagram(void *user, const struct ws_packet *p, uint8_t proto,
                             const uint8_t *l4, uint32_t len, uint32_t wire_len)
{
    struct ws_receive *r = user;
    struct ws_packet d = *p;
    d.ordinal = r->trigger;
    d.clock_ns = r->trigger_ns;
    d.flags &= ~(uint32_t)(WS_PKT_RELEASED | WS_PKT_FLOW_KNOWN);
    ws_decode_datagram(&d, &r->cfg.decode, proto, l4, len, wire_len);
    handle_decoded(r, &d, false);
}

static void on_frag_lost(void *user, uint32_t n, enum ws_counter cause)
{
    struct ws_receive *r = user;
    (void)cause; /* counted by the defragmenter; here the frames' fate */
    ws_count(r->counters, WS_C_FRAG_HELD, (uint64_t)0 - n);
    ws_count(r->counters, WS_C_UNDEC_FRAGMENT, n);
}

/* The header of a datagram that never became whole, to its flow: why the bytes are missing. */
static void on_frag_gave_up(void *user, const struct ws_packet *p, uint8_t proto, const uint8_t *l4,
                            uint32_t len, uint32_t wire_len)
{
    struct ws_receive *r = user;
    struct ws_packet d = *p;
    d.ordinal = r->trigger;
    d.clock_ns = r->trigger_ns;
    ws_decode_datagram(&d, &r->cfg.decode, proto, l4, len, wire_len);
    if (d.status != WS_DECODE_OK || d.flags & (WS_PKT_FRAGMENT | WS_PKT_FILTERED) ||
        !(d.flags & WS_PKT_TCP) || !d.payload_wire_len)
        return;
    d.flags |= WS_PKT_INCOMPLETE;
    emit_now(r, &d);
}

static const struct ws_frag_ops frag_ops = {on_frag_frame, on_frag_datagram, on_frag_lost,
                                            on_frag_gave_up};

/* Whether a datagram is of another protocol than TCP and UDP. What a fragment carries is not known where its header names
 * an extension header or a tunnel. */
static bool is_other_proto(const struct ws_packet *p)
{
    static const uint8_t unknown[] = {0, 4, 41, 43, 44, 47, 51, 60};
    if (p->key.proto == 6 || p->key.proto == 17)
        return false;
    return !(p->flags & WS_PKT_FRAGMENT) || !memchr(unknown, p->key.proto, sizeof(unknown));
}

/* A decoded packet: of the burst, or a datagram whose bytes are valid for this call only. */
static void handle_decoded(struct ws_receive *r, struct ws_packet *p, bool burst)
{
    if (WS_LIKELY(burst && p->status == WS_DECODE_OK && !(p->flags & WS_PKT_FRAGMENT) && !r->cfg.tcp_udp_only)) {
        emit(r, p, owner_of(r, p)); /* nearly every packet */
        return;
    }
    bool frame = !(p->flags & WS_PKT_DATAGRAM);
    if (WS_UNLIKELY(r->cfg.tcp_udp_only) && p->status == WS_DECODE_OK && is_other_proto(p)) {
        p->status = WS_DECODE_NON_IP;
        p->flags = (p->flags & ~(uint32_t)WS_PKT_FRAGMENT) | WS_PKT_NON_IP;
    }
    if (WS_LIKELY(p->status == WS_DECODE_OK)) {
        if (WS_LIKELY(!(p->flags & WS_PKT_FRAGMENT))) {
            if (burst)
                emit(r, p, owner_of(r, p));
            else
                emit_now(r, p);
        } else {
            ws_frag_push(r->frag, p);
        }
        return;
    }
    if (!frame) {
        /* Its frames were counted with their flow; only the reason is noted. */
        if (p->status != WS_DECODE_NON_IP)
            ws_count(r->counters, WS_C_DATAGRAM_UNDECODABLE, 1);
        return;
    }
    if (!(p->flags & WS_PKT_FILTERED))
        ws_count(r->counters,
                 p->status == WS_DECODE_NON_IP ? WS_C_NON_FLOW : ws_decode_counter(p->status), 1);
    emit_other(r, p);
}

/* Whether the filter expression and the time range let the packet pass. */
static bool passes(struct ws_receive *r, const struct ws_packet *p)
{
    const struct ws_select *sel = r->cfg.select;
    if (p->ts_ns < sel->after_ns || p->ts_ns >= sel->before_ns)
        return false;
    return !r->cfg.filter || ws_filter_match(r->cfg.filter, p);
}

/* A trailer lies behind the datagram: what cuts into it is payload that looks like one. */
static bool cuts_datagram(const struct ws_receive *r, const struct ws_packet *p, uint32_t trailer_len)
{
    struct ws_packet q = *p;
    ws_decode(&q, &r->cfg.decode);
    return q.status == WS_DECODE_OK && q.l4_off + q.l4_len + trailer_len > p->cap_len;
}

/* Takes time and device of the burst's frames from their trailers. */
static void read_trailers(struct ws_receive *r, unsigned n)
{
    struct ws_trailer t;
    for (unsigned i = 0; i < n; i++) {
        struct ws_packet *p = &r->pkt[i];
        r->trailer_len[i] = 0;
        /* What the snap length cut has no end. */
        if (p->cap_len < p->wire_len ||
            !ws_trailer_find(&t, &r->cfg.trailer, p->data, p->cap_len, p->ts_ns) ||
            cuts_datagram(r, p, t.len)) {
            ws_count(r->counters, WS_C_TRAILER_MISSING, 1);
            continue;
        }
        p->ts_ns = t.ts_ns;
        p->device = (uint32_t)t.port << 16 | t.device;
        r->trailer_len[i] = WS_MIN(t.len, p->wire_len);
    }
}

/* Decodes the frame without its trailer, which stays part of the frame in packet outputs. */
static void decode_frame(struct ws_receive *r, struct ws_packet *p, uint32_t trailer_len)
{
    p->cap_len -= trailer_len;
    p->wire_len -= trailer_len;
    ws_decode(p, &r->cfg.decode);
    p->cap_len += trailer_len;
    p->wire_len += trailer_len;
}

/* Stamps are held at the ends of the scale rather than let wrap. */
static void shift_times(struct ws_receive *r, unsigned n)
{
    int64_t shift = r->cfg.time_shift_ns;
    for (unsigned i = 0; i < n; i++)
        if (__builtin_add_overflow(r->pkt[i].ts_ns, shift, &r->pkt[i].ts_ns))
            r->pkt[i].ts_ns = shift < 0 ? INT64_MIN : INT64_MAX;
}

static void handle_burst(struct ws_receive *r, unsigned n)
{
    uint64_t bytes = 0, wire = 0;
    bool trailers = r->cfg.trailer.kind != WS_TRAILER_NONE;
    if (WS_UNLIKELY(trailers))
        read_trailers(r, n);
    if (WS_UNLIKELY(r->cfg.time_shift_ns))
        shift_times(r, n);
    for (unsigned i = 0; i < n; i++) {
        struct ws_packet *p = &r->pkt[i];
        p->ordinal = r->ordinal++;
        p->clock_ns = ws_packet_clock_advance(&r->clock, p->ts_ns, i + 1 < n ? &p[1].ts_ns : NULL);
        bytes += p->cap_len;
        wire += p->wire_len;
    }
    if (r->cfg.announce)
        r->cfg.announce(r->cfg.announce_user, r->pkt, n);
    WS_STAGE_MARK(NUMBER);
    for (unsigned i = 0; i < n; i++) {
        struct ws_packet *p = &r->pkt[i];
        r->trigger = p->ordinal;
        r->trigger_ns = p->clock_ns;
        if (WS_UNLIKELY(!passes(r, p))) {
            ws_count(r->counters, WS_C_FILTERED, 1);
            if (!r->cfg.filter_late)
                continue;
            p->flags |= WS_PKT_FILTERED;
        }
        if (WS_UNLIKELY(trailers))
            decode_frame(r, p, r->trailer_len[i]);
        else
            ws_decode(p, &r->cfg.decode);
        if (WS_UNLIKELY(p->flags & WS_PKT_FRAGMENT))
            ws_count(r->counters, WS_C_FRAG_PACKETS, 1);
        handle_decoded(r, p, true);
    }
    flush_local(r);
    ws_count(r->counters, WS_C_RX_PACKETS, n);
    ws_count(r->counters, WS_C_RX_BYTES, bytes);
    ws_count(r->counters, WS_C_RX_WIRE_BYTES, wire);
    ws_frag_expire(r->frag, r->clock.now_ns, FRAG_EXPIRE_BUDGET);
    flush_local(r);
}

static void note_progress(struct ws_receive *r)
{
    uint64_t done = 0, total = 0;
    bool damaged = false;
    for (unsigned i = 0; i < r->cfg.n_source; i++) {
        struct ws_source *s = r->cfg.source[i];
        done += s->bytes_done;
        total += s->bytes_total;
        damaged |= s->damaged;
        if (s->ops->stats)
            s->ops->stats(s, r->counters);
    }
    atomic_store_explicit(&r->bytes_done, done, memory_order_relaxed);
    atomic_store_explicit(&r->bytes_total, total, memory_order_relaxed);
    atomic_store_explicit(&r->progress_ns, r->clock.now_ns, memory_order_relaxed);
    atomic_store_explicit(&r->damaged, damaged, memory_order_relaxed);
}

/* The end of input: what the defragmenter holds, the links, the last chunk. */
static void finish(struct ws_receive *r)
{
    if (!r->done) {
        ws_frag_flush(r->frag);
        flush_local(r);
        ws_steer_publish(&r->steer);
        for (unsigned w = 0; w < r->steer.n_link; w++)
            if (r->steer.link[w])
                atomic_store_explicit(&r->steer.link[w]->closed, true, memory_order_release);
        atomic_store_explicit(&r->published, UINT64_MAX, memory_order_release);
        note_progress(r);
        r->done = true;
    }
}

/* Takes up to a burst of the packets that the limit still lets in. None: WS_SOURCE_END when all have come, 0 while other
 * stages have reserved the rest and may give it back. */
static int reserve_burst(struct ws_receive *r)
{
    struct ws_packet_budget *b = r->cfg.budget;
    if (!b)
        return WS_BURST_MAX;
    uint64_t left = atomic_load(&b->left), take;
    do
        take = left < WS_BURST_MAX ? left : WS_BURST_MAX;
    while (!atomic_compare_exchange_weak(&b->left, &left, left - take));
    if (take == 0)
        return atomic_load(&b->due) ? 0 : WS_SOURCE_END;
    return (int)take;
}

/* Settles a reservation of which some packets came. */
static void settle(struct ws_receive *r, unsigned reserved, unsigned used)
{
    struct ws_packet_budget *b = r->cfg.budget;
    if (!b)
        return;
    atomic_fetch_sub(&b->due, used);
    atomic_fetch_add(&b->left, reserved - used);
}

/* Lets the ordinals follow the clock: those of an idle stage too, or merged outputs would wait for it. */
static void advance_ordinal(struct ws_receive *r)
{
    if (r->cfg.clock_ordinals)
        r->ordinal = WS_MAX(r->ordinal, steady_ns());
}

static unsigned poll_source(struct ws_receive *r, unsigned i)
{
    struct ws_source *s = r->cfg.source[i];
    int room = reserve_burst(r), n = room;
    if (room > 0) {
        WS_STAGE_MARK(REST);
        n = ws_source_rx(s, r->pkt, (unsigned)room);
        WS_STAGE_MARK(SOURCE);
        settle(r, (unsigned)room, n > 0 ? (unsigned)n : 0);
    }
    if (n == WS_SOURCE_END) {
        r->source_ended[i] = true;
        r->ended++;
        return 0;
    }
    if (n <= 0)
        return 0;
    r->source = s;
    r->can_wait = s->can_wait;
    r->stable = s->stable;
    if (s->stable && r->steering)
        ws_steer_source_chunk(&r->steer, s->chunk_seq);
    handle_burst(r, (unsigned)n);
    if (r->steering)
        ws_steer_publish(&r->steer);
    return (unsigned)n;
}

unsigned ws_receive_poll(struct ws_receive *r)
{
    unsigned n = 0;
    if (r->done)
        return 0;
    advance_ordinal(r);
    for (unsigned i = 0; i < r->cfg.n_source; i++) {
        bool over = stop_level(r) == 2 || (stop_level(r) && r->cfg.source[i]->can_wait);
        if (!r->source_ended[i] && !over)
            n += poll_source(r, i);
        /* A stable source has one file list a stage: its marks are this source's. */
        if (r->steering && r->cfg.source[i]->stable)
            ws_steer_retire(&r->steer, r->cfg.source[i]);
    }
    if (WS_UNLIKELY(stop_level(r)) && stops_now(r, n)) {
        finish(r);
        return n;
    }
    atomic_store_explicit(&r->published, r->ordinal, memory_order_release);
    if ((++r->polls & 255) == 0) /* asking a device for its totals costs system calls */
        note_progress(r);
    if (r->ended == r->cfg.n_source)
        finish(r);
    return n;
}

bool ws_receive_done(const struct ws_receive *r)
{
    return r->done;
}

uint64_t ws_receive_published(struct ws_receive *r)
{
    return atomic_load_explicit(&r->published, memory_order_acquire);
}

int64_t ws_receive_clock_ns(const struct ws_receive *r)
{
    return r->clock.now_ns;
}

void ws_receive_progress(struct ws_receive *r, uint64_t *done, uint64_t *total, bool *damaged)
{
    *done += atomic_load_explicit(&r->bytes_done, memory_order_relaxed);
    *total += atomic_load_explicit(&r->bytes_total, memory_order_relaxed);
    *damaged |= atomic_load_explicit(&r->damaged, memory_order_relaxed);
}

int64_t ws_receive_progress_ns(struct ws_receive *r)
{
    return atomic_load_explicit(&r->progress_ns, memory_order_relaxed);
}

size_t ws_receive_bytes(const struct ws_receive_config *cfg)
{
    return ws_align_up(sizeof(struct ws_receive), 64) +
           ws_align_up(ws_steer_bytes(cfg->copy_chunks, SOURCE_MARKS), 64) +
           ws_frag_bytes(&cfg->frag);
}

struct ws_receive *ws_receive_init(void *mem, const struct ws_receive_config *cfg)
{
    struct ws_receive *r = mem;
    uint8_t *at = (uint8_t *)mem + ws_align_up(sizeof(*r), 64);
    r->cfg = *cfg;
    r->counters = cfg->counters;
    r->clock.now_ns = INT64_MIN;
    atomic_store_explicit(&r->progress_ns, INT64_MIN, memory_order_relaxed);
    ws_steer_init(&r->steer, at, cfg->copy_chunks, SOURCE_MARKS);
    at += ws_align_up(ws_steer_bytes(cfg->copy_chunks, SOURCE_MARKS), 64);
    r->cfg.frag.decode = &r->cfg.decode;
    r->cfg.decode.no_owner = cfg->workers == 1;
    for (unsigned i = 0; i < OWNERS; i++)
        r->owner[i] = (uint8_t)(i % cfg->workers);
    r->frag = ws_frag_init(at, &r->cfg.frag, r->counters, &frag_ops, r);
    return r;
}

void ws_receive_set_link(struct ws_receive *r, unsigned worker, struct ws_steer_link *link)
{
    r->steer.link[worker] = link;
    r->steer.n_link = WS_MAX(r->steer.n_link, worker + 1);
    r->steering = true;
}

uint64_t ws_receive_frag_bytes(const struct ws_receive *r, uint64_t *max)
{
    return ws_frag_held_bytes(r->frag, max);
}

uint64_t ws_receive_filter_unsupported(const struct ws_receive *r)
{
    return r->cfg.filter ? ws_filter_unsupported(r->cfg.filter) : 0;
}

void ws_receive_fini(struct ws_receive *r)
{
    ws_filter_destroy(r->cfg.filter);
    r->cfg.filter = NULL;
}
