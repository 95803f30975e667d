/* SPDX-License-Identifier: BSD-3-Clause */
/* A run of the engine: builds the stages, starts threads in order, stops them in reverse. */
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "engine/backoff.h"
#include "engine/busy.h"
#include "engine/flow_stage.h"
#include "engine/receive.h"
#include "engine/steer.h"

/* Bursts between two looks at the steady clock for the channels' flush interval. */
enum { TICK_BURSTS = 16 };

struct worker {
    struct ws_engine *engine;
    unsigned index;
    struct ws_receive *receive; /* NULL when no source is assigned here */
    struct ws_flow_stage *flows;
    struct in_link {
        struct ws_steer_link *link; /* consumer: this worker */
        struct ws_receive *from;
        uint64_t low; /* no packet below this ordinal will come from it */
    } in[WS_WORKERS_MAX + WS_RECEIVERS_MAX];
    unsigned n_in;
    struct ws_sink *sink[WS_SINKS_MAX];
    unsigned n_sink;
    struct ws_flow_ids ids;
    size_t flow_bytes; /* of memory, for its flow table and connections */
    _Atomic uint32_t flows_now;
    _Atomic uint64_t frag_now; /* bytes that its receive stage's fragments hold */
    struct ws_engine_feed feed;
    struct ws_busy busy;
    struct ws_counters counters;
};

struct receiver {
    struct ws_engine *engine;
    struct ws_receive *receive;
    _Atomic uint64_t frag_now;
    struct ws_busy busy;
    struct ws_counters counters;
};

struct writer_arg {
    struct ws_engine *engine;
    struct ws_writer *writer;
    struct ws_busy busy;
};

struct ws_engine {
    struct ws_engine_config cfg;
    struct worker worker[WS_WORKERS_MAX];
    struct receiver receiver[WS_RECEIVERS_MAX];
    struct writer_arg writer_arg[WS_WRITERS_MAX];
    struct ws_packet_budget budget;
    uint64_t frag_bytes_max; /* of all receive stages */
    _Atomic int stop;      /* 0 run, 1 stop receiving, 2 abort */
    _Atomic unsigned workers_left, writers_left, receivers_left;
    unsigned launched;     /* threads that run, for the join */
    _Atomic bool crippled; /* some could not be started: their links will never be closed */
    int64_t stop_seen_ns;
    unsigned order[WS_WORKERS_MAX + WS_RECEIVERS_MAX + WS_WRITERS_MAX];
};

static int64_t steady_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t real_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static inline void prefetch_packet(const struct ws_packet *p)
{
    for (size_t at = 0; at < sizeof(*p); at += WS_CACHE_LINE)
        WS_PREFETCH((const uint8_t *)p + at);
}

/* Takes one burst from an in-link, in place, and asks for the next one, whose descriptors its stage's core has written. What its
 * stage had published before is, when the link is then found with less than a burst, all processed: so nothing lower will come. */
static unsigned drain_link(struct worker *w, struct in_link *l)
{
    const struct ws_packet *pkt[WS_BURST_MAX];
    uint64_t published = ws_receive_published(l->from);
    struct ws_ring *ring = &l->link->ring;
    unsigned ready = (unsigned)ws_ring_count(ring, 2 * WS_BURST_MAX), n = WS_MIN(ready, WS_BURST_MAX);
    for (unsigned i = 0; i < n; i++)
        pkt[i] = ws_ring_peek(ring, i);
    for (unsigned i = n; i < ready; i++)
        prefetch_packet(ws_ring_peek(ring, i));
    if (n) {
        ws_flow_stage_burst(w->flows, pkt, n);
        if (n == WS_BURST_MAX)
            published = pkt[n - 1]->ordinal;
        ws_ring_release(ring, n);
    }
    l->low = WS_MAX(l->low, published);
    return n;
}

/* While a worker waits for room on a link to another one. */
static void drain_worker(void *user, uint64_t low)
{
    struct worker *w = user;
    for (unsigned i = 0; i < w->n_in; i++) {
        drain_link(w, &w->in[i]);
        low = WS_MIN(low, w->in[i].low);
    }
    ws_flow_stage_tick(w->flows, low, steady_ns(), false);
}

static void tick_announcer(struct receiver *r, uint64_t low)
{
    struct ws_sink *s = r->engine->cfg.announcer;
    if (s)
        ws_channel_tick(s->channel, s->ops->order(s, low), steady_ns(), false);
}

static void drain_receiver(void *user, uint64_t low)
{
    tick_announcer(user, low);
}

/* A lower bound of the ordinals that this worker will still see (for merged outputs). */
static uint64_t watermark(struct worker *w)
{
    uint64_t low = w->receive ? ws_receive_published(w->receive) : UINT64_MAX;
    for (unsigned i = 0; i < w->n_in; i++)
        low = WS_MIN(low, w->in[i].low);
    return low;
}

/* Whether nothing can come any more. */
static bool worker_ended(struct worker *w)
{
    if (w->receive && !ws_receive_done(w->receive))
        return false;
    if (atomic_load_explicit(&w->engine->crippled, memory_order_relaxed))
        return true;
    for (unsigned i = 0; i < w->n_in; i++) {
        struct ws_steer_link *l = w->in[i].link;
        if (!atomic_load_explicit(&l->closed, memory_order_acquire) || ws_ring_count(&l->ring, 1))
            return false;
    }
    return true;
}

/* The latest packet time of all receive stages that this worker hears of. After worker_ended(): a stage's last
 * word is behind the closing of its links. */
static int64_t last_clock_ns(const struct worker *w)
{
    int64_t now_ns = w->receive ? ws_receive_clock_ns(w->receive) : INT64_MIN;
    for (unsigned i = 0; i < w->n_in; i++)
        now_ns = WS_MAX(now_ns, ws_receive_clock_ns(w->in[i].from));
    return now_ns;
}

/* What other threads may know of a receive stage's fragments. */
static void note_fragments(_Atomic uint64_t *now, const struct ws_receive *r)
{
    uint64_t max;
    if (r)
        atomic_store_explicit(now, ws_receive_frag_bytes(r, &max), memory_order_relaxed);
}

static int worker_main(void *arg)
{
    struct worker *w = arg;
    struct ws_engine *e = w->engine;
    struct ws_backoff backoff = {0};

    ws_busy_begin(&w->busy);
    for (unsigned round = 0; !worker_ended(w); round++) {
        unsigned received = w->receive ? ws_receive_poll(w->receive) : 0;
        unsigned drained = 0;
        for (unsigned i = 0; i < w->n_in; i++)
            drained += drain_link(w, &w->in[i]);
        if (received + drained == 0 || round % TICK_BURSTS == 0) {
            ws_flow_stage_tick(w->flows, watermark(w), steady_ns(), false);
            atomic_store_explicit(&w->flows_now, ws_flow_stage_flows(w->flows),
                                  memory_order_relaxed);
            note_fragments(&w->frag_now, w->receive);
        }
        if (received + drained) {
            ws_backoff_reset(&backoff);
        } else {
            if (e->cfg.live)
                ws_flow_stage_idle(w->flows, real_ns());
            ws_backoff_wait(&backoff);
        }
        ws_busy_round(&w->busy, received + drained);
    }
    if (!e->cfg.live)
        ws_flow_stage_expire_all(w->flows, last_clock_ns(w));
    atomic_store_explicit(&w->flows_now, ws_flow_stage_flows(w->flows), memory_order_relaxed); /* what the end finds */
    ws_flow_stage_finish(w->flows);
    ws_busy_end(&w->busy);
    atomic_fetch_sub(&e->workers_left, 1);
    return 0;
}

/* A worker whose events come ready-made. */
static int feed_main(void *arg)
{
    struct worker *w = arg;
    struct ws_engine *e = w->engine;
    struct ws_engine_feed *f = &w->feed;
    for (unsigned i = 0; i < f->n_sink; i++)
        f->sink[i]->ordinal = &f->ordinal;
    ws_busy_begin(&w->busy);
    do {
        ws_busy_round(&w->busy, true);
        f->stop = atomic_load(&e->stop) != 0;
        ws_flow_stage_tick(w->flows, f->ordinal, steady_ns(), false);
    } while (e->cfg.feed(e->cfg.feed_user, f));
    ws_flow_stage_finish(w->flows);
    ws_busy_end(&w->busy);
    atomic_fetch_sub(&e->workers_left, 1);
    return 0;
}

static int receiver_main(void *arg)
{
    struct receiver *r = arg;
    struct ws_sink *announcer = r->engine->cfg.announcer;
    struct ws_backoff backoff = {0};
    ws_busy_begin(&r->busy);
    for (unsigned round = 0; !ws_receive_done(r->receive); round++) {
        unsigned n = ws_receive_poll(r->receive);
        if (n == 0 || round % TICK_BURSTS == 0)
            tick_announcer(r, ws_receive_published(r->receive));
        if (n == 0 || round % TICK_BURSTS == 0)
            note_fragments(&r->frag_now, r->receive);
        if (n)
            ws_backoff_reset(&backoff);
        else
            ws_backoff_wait(&backoff);
        ws_busy_round(&r->busy, n);
    }
    if (announcer)
        ws_channel_finish(announcer->channel);
    ws_busy_end(&r->busy);
    atomic_fetch_sub(&r->engine->receivers_left, 1);
    return 0;
}

static int writer_main(void *arg)
{
    struct writer_arg *wa = arg;
    struct ws_backoff backoff = {0};
    ws_busy_begin(&wa->busy);
    while (!ws_writer_done(wa->writer)) {
        unsigned work = ws_writer_poll(wa->writer);
        if (work)
            ws_backoff_reset(&backoff);
        else
            ws_backoff_nap(&backoff);
        ws_busy_round(&wa->busy, work);
    }
    ws_busy_end(&wa->busy);
    atomic_fetch_sub(&wa->engine->writers_left, 1);
    return 0;
}

static int fail(char *err, size_t err_len, int code, const char *what)
{
    snprintf(err, err_len, "%s: %s", what, strerror(-code));
    return code;
}

int ws_engine_node(const struct ws_engine_config *cfg, unsigned thread)
{
    int steered = -1;
    for (unsigned i = 0; i < cfg->n_source; i++) {
        const struct ws_engine_source *s = &cfg->source[i];
        if (s->thread == thread)
            return s->numa_node;
        if (steered < 0 && s->thread >= cfg->workers)
            steered = s->numa_node;
    }
    return steered;
}

/* Memory and stages of a worker, on its node. */
static int build_flows(struct ws_engine *e, unsigned index, char *err, size_t err_len)
{
    struct worker *w = &e->worker[index];
    struct ws_flow_stage_config fc = {
        .flow = e->cfg.flow,
        .tcp = e->cfg.tcp,
        .select = &e->cfg.select,
        .counters = &w->counters,
        .udp = e->cfg.udp,
        .all_ip = e->cfg.all_ip,
        .tcp_off = e->cfg.tcp_off,
        .per_tuple = e->cfg.per_tuple,
        .verify_checksums = e->cfg.verify_checksums,
    };
    int node = ws_engine_node(&e->cfg, index);
    int n = e->cfg.make_sinks(e->cfg.user, index, w->sink);
    if (n < 0)
        return fail(err, err_len, n, "outputs");
    w->engine = e;
    w->index = index;
    w->n_sink = (unsigned)n;
    for (unsigned i = 0; i < w->n_sink; i++) {
        w->sink[i]->counters = &w->counters;
        w->sink[i]->worker = index;
    }
    w->ids = e->cfg.ids;
    fc.ids = &w->ids;
    fc.sink = w->sink;
    fc.n_sink = w->n_sink;
    size_t bytes = ws_flow_stage_bytes(&fc);
    void *mem = ws_runtime_alloc(e->cfg.runtime, bytes, node);
    if (!mem)
        return fail(err, err_len, -ENOMEM, "flow table and reassembly pools");
    w->flows = ws_flow_stage_init(mem, &fc);
    w->flow_bytes = ws_flow_stage_flow_bytes(&fc);
    w->feed = (struct ws_engine_feed){
        .sink = w->sink, .n_sink = w->n_sink, .ext_bytes = fc.flow.ext_bytes, .counters = &w->counters};
    for (unsigned i = 0; i < w->n_sink; i++)
        w->sink[i]->ids = &w->ids;
    return 0;
}

unsigned ws_engine_receive_stages(const struct ws_engine_config *cfg)
{
    unsigned n = 0;
    for (unsigned t = 0; t < cfg->workers + cfg->receivers; t++) {
        bool has = false;
        for (unsigned i = 0; i < cfg->n_source; i++)
            has |= cfg->source[i].thread == t;
        n += has;
    }
    return n;
}

/* The receive stage of a thread that has sources; leaves *out NULL without. */
static int build_receive(struct ws_engine *e, unsigned thread, struct ws_counters *counters,
                         struct ws_receive **out, char *err, size_t err_len)
{
    bool is_worker = thread < e->cfg.workers;
    struct ws_receive_config rc = {
        .decode = e->cfg.decode,
        .frag = e->cfg.frag,
        .filter_late = e->cfg.filter_late,
        .tcp_udp_only = e->cfg.tcp_udp_only,
        .trailer = e->cfg.trailer,
        .time_shift_ns = e->cfg.time_shift_ns,
        .select = &e->cfg.select,
        .budget = e->cfg.packet_max ? &e->budget : NULL,
        .clock_ordinals = ws_engine_receive_stages(&e->cfg) > 1,
        .workers = e->cfg.workers,
        .copy_chunks = e->cfg.copy_chunks,
        .counters = counters,
        .stop = &e->stop,
        .announce = e->cfg.announce,
        .announce_user = e->cfg.user,
    };
    unsigned needs = 0;

    for (unsigned i = 0; i < e->cfg.n_source; i++) {
        if (e->cfg.source[i].thread != thread)
            continue;
        if (rc.n_source == WS_RECEIVE_SOURCES_MAX)
            return fail(err, err_len, -E2BIG, "sources of one thread");
        rc.source[rc.n_source++] = e->cfg.source[i].source;
    }
    if (rc.n_source == 0)
        return 0;
    for (unsigned i = 0; i < e->worker[0].n_sink; i++)
        if (!(e->worker[0].sink[i]->needs & WS_SINK_OF_FLOWS))
            needs |= e->worker[0].sink[i]->needs;
    rc.frames_all = (needs & WS_SINK_PACKET) && ws_select_flows_all(&e->cfg.select);
    if (is_worker) {
        rc.local = e->worker[thread].flows;
        rc.local_worker = thread;
        rc.drain = drain_worker;
        rc.user = &e->worker[thread];
    } else {
        rc.drain = drain_receiver;
        rc.user = &e->receiver[thread - e->cfg.workers];
    }
    if (e->cfg.workers == 1 && is_worker)
        rc.copy_chunks = 0;
    if (e->cfg.filter && ws_filter_clone(&rc.filter, e->cfg.filter) < 0)
        return fail(err, err_len, -ENOMEM, "filter");
    void *mem = ws_runtime_alloc(e->cfg.runtime, ws_receive_bytes(&rc), ws_engine_node(&e->cfg, thread));
    if (!mem) {
        ws_filter_destroy(rc.filter);
        return fail(err, err_len, -ENOMEM, "receive stage");
    }
    *out = ws_receive_init(mem, &rc);
    uint64_t frag_max;
    ws_receive_frag_bytes(*out, &frag_max);
    e->frag_bytes_max += frag_max;
    return 0;
}

/* A ring from a receive stage to each worker but its own thread's. */
static int build_links(struct ws_engine *e, struct ws_receive *r, unsigned thread, char *err,
                       size_t err_len)
{
    for (unsigned w = 0; r && w < e->cfg.workers; w++) {
        struct worker *to = &e->worker[w];
        if (w == thread)
            continue;
        size_t head = ws_align_up(sizeof(struct ws_steer_link), 64);
        size_t ring = ws_ring_bytes(e->cfg.steer_slots, sizeof(struct ws_packet));
        uint8_t *mem = ws_runtime_alloc(e->cfg.runtime, head + ring, ws_engine_node(&e->cfg, thread));
        if (!mem)
            return fail(err, err_len, -ENOMEM, "steering rings");
        struct ws_steer_link *l = (struct ws_steer_link *)(void *)mem;
        ws_ring_init(&l->ring, mem + head, e->cfg.steer_slots, sizeof(struct ws_packet));
        atomic_init(&l->closed, false);
        ws_receive_set_link(r, w, l);
        to->in[to->n_in++] = (struct in_link){l, r, 0};
    }
    return 0;
}

static int build(struct ws_engine *e, char *err, size_t err_len)
{
    int rc = 0;
    for (unsigned w = 0; w < e->cfg.workers && rc == 0; w++)
        rc = build_flows(e, w, err, err_len);
    for (unsigned w = 0; w < e->cfg.workers && rc == 0; w++) {
        rc = build_receive(e, w, &e->worker[w].counters, &e->worker[w].receive, err, err_len);
        if (rc == 0)
            rc = build_links(e, e->worker[w].receive, w, err, err_len);
    }
    for (unsigned i = 0; i < e->cfg.receivers && rc == 0; i++) {
        struct receiver *r = &e->receiver[i];
        unsigned thread = e->cfg.workers + i;
        r->engine = e;
        rc = build_receive(e, thread, &r->counters, &r->receive, err, err_len);
        if (rc == 0 && !r->receive)
            rc = fail(err, err_len, -EINVAL, "receiver without a source");
        if (rc == 0)
            rc = build_links(e, r->receive, thread, err, err_len);
    }
    return rc;
}

int ws_engine_create(struct ws_engine **out, const struct ws_engine_config *cfg, char *err,
                     size_t err_len)
{
    /* The caches' alignment of the counters matters: calloc does not give it. */
    struct ws_engine *e = aligned_alloc(64, ws_align_up(sizeof(*e), 64));
    if (!e) {
        if (cfg->announcer)
            cfg->announcer->ops->destroy(cfg->announcer);
        for (unsigned i = 0; i < cfg->n_source; i++)
            cfg->source[i].source->ops->close(cfg->source[i].source);
        return fail(err, err_len, -ENOMEM, "engine");
    }
    memset(e, 0, sizeof(*e));
    e->cfg = *cfg;
    if (!e->cfg.steer_slots)
        e->cfg.steer_slots = 1024;
    if (!e->cfg.copy_chunks)
        e->cfg.copy_chunks = 16;
    atomic_init(&e->budget.left, e->cfg.packet_max);
    atomic_init(&e->budget.due, e->cfg.packet_max);
    if (e->cfg.announcer)
        e->cfg.announcer->counters = &e->receiver[0].counters;
    if (!e->cfg.drain_ns)
        e->cfg.drain_ns = INT64_C(30) * 1000000000;
    int rc = build(e, err, err_len);
    if (rc < 0) {
        ws_engine_destroy(e);
        return rc;
    }
    *out = e;
    return 0;
}

/* Threads are numbered workers, receivers, writers in the runtime. */
static int launch(struct ws_engine *e, unsigned thread, const char *kind, unsigned n,
                  int (*fn)(void *), void *arg, char *err, size_t err_len)
{
    char name[32];
    snprintf(name, sizeof(name), "ws-%s%u", kind, n);
    int rc = ws_runtime_launch(e->cfg.runtime, thread, name, fn, arg);
    if (rc < 0)
        return fail(err, err_len, rc, "cannot start a thread");
    e->order[e->launched++] = thread;
    return 0;
}

int ws_engine_start(struct ws_engine *e, char *err, size_t err_len)
{
    unsigned base = e->cfg.workers + e->cfg.receivers;
    int rc = 0;
    atomic_store(&e->writers_left, e->cfg.n_writer);
    atomic_store(&e->workers_left, e->cfg.workers);
    atomic_store(&e->receivers_left, e->cfg.receivers);
    for (unsigned i = 0; i < e->cfg.n_writer && rc == 0; i++) {
        e->writer_arg[i] = (struct writer_arg){.engine = e, .writer = e->cfg.writer[i]};
        rc = launch(e, base + i, "writer", i, writer_main, &e->writer_arg[i], err, err_len);
    }
    for (unsigned i = 0; i < e->cfg.workers && rc == 0; i++)
        rc = launch(e, i, "worker", i, e->cfg.feed ? feed_main : worker_main, &e->worker[i], err, err_len);
    for (unsigned i = 0; i < e->cfg.receivers && rc == 0; i++)
        rc = launch(e, e->cfg.workers + i, "recv", i, receiver_main, &e->receiver[i], err,
                    err_len);
    if (rc < 0) {
        atomic_store(&e->crippled, true);
        ws_engine_abort(e);
    }
    return rc;
}

void ws_engine_stop(struct ws_engine *e)
{
    int run = 0;
    atomic_compare_exchange_strong(&e->stop, &run, 1);
}

void ws_engine_abort(struct ws_engine *e)
{
    atomic_store(&e->stop, 2);
    for (unsigned i = 0; i < e->cfg.n_writer; i++)
        ws_writer_abort(e->cfg.writer[i]);
}

bool ws_engine_done(struct ws_engine *e)
{
    return atomic_load(&e->receivers_left) == 0 && atomic_load(&e->workers_left) == 0 &&
           atomic_load(&e->writers_left) == 0;
}

bool ws_engine_wait(struct ws_engine *e, int64_t timeout_ns)
{
    static const struct timespec nap = {0, 1000000};
    int64_t until = steady_ns() + timeout_ns;
    while (!ws_engine_done(e)) {
        int64_t now = steady_ns();
        int level = atomic_load(&e->stop);
        if (level == 1 && e->stop_seen_ns == 0)
            e->stop_seen_ns = now;
        if (level == 1 && now - e->stop_seen_ns > e->cfg.drain_ns) {
            ws_log(WS_LOG_ERROR, "outputs took longer than %.3g s to finish: giving up",
                   (double)e->cfg.drain_ns / 1e9);
            ws_engine_abort(e);
        }
        if (now >= until)
            return false;
        nanosleep(&nap, NULL);
    }
    return true;
}

void ws_engine_join(struct ws_engine *e)
{
    while (e->launched)
        ws_runtime_join(e->cfg.runtime, e->order[--e->launched]);
}

const struct ws_counters *ws_engine_thread_counters(struct ws_engine *e, unsigned thread)
{
    if (thread < e->cfg.workers)
        return &e->worker[thread].counters;
    thread -= e->cfg.workers;
    if (thread < e->cfg.receivers)
        return &e->receiver[thread].counters;
    thread -= e->cfg.receivers;
    if (thread < e->cfg.n_writer)
        return ws_writer_counters(e->cfg.writer[thread]);
    return NULL;
}

struct ws_busy_look ws_engine_thread_busy(struct ws_engine *e, unsigned thread)
{
    struct ws_busy *b = NULL;
    if (thread < e->cfg.workers)
        b = &e->worker[thread].busy;
    else if (thread - e->cfg.workers < e->cfg.receivers)
        b = &e->receiver[thread - e->cfg.workers].busy;
    else if (thread - e->cfg.workers - e->cfg.receivers < e->cfg.n_writer)
        b = &e->writer_arg[thread - e->cfg.workers - e->cfg.receivers].busy;
    return b ? ws_busy_look(b) : (struct ws_busy_look){0};
}

void ws_engine_counters(struct ws_engine *e, struct ws_counters *sum)
{
    const struct ws_counters *c;
    memset(sum, 0, sizeof(*sum));
    for (unsigned t = 0; (c = ws_engine_thread_counters(e, t)); t++)
        ws_counters_add(sum, c);
}

static void receive_gauges(struct ws_receive *r, bool ended, struct ws_engine_gauges *g)
{
    if (!r)
        return;
    ws_receive_progress(r, &g->bytes_done, &g->bytes_total, &g->source_damaged);
    g->clock_ns = WS_MAX(g->clock_ns, ws_receive_progress_ns(r));
    if (ended)
        g->filter_unsupported += ws_receive_filter_unsupported(r);
}

void ws_engine_gauges(struct ws_engine *e, struct ws_engine_gauges *g)
{
    bool ended = ws_engine_done(e);
    memset(g, 0, sizeof(*g));
    g->clock_ns = INT64_MIN;
    g->frag_bytes_max = e->frag_bytes_max;
    for (unsigned w = 0; w < e->cfg.workers; w++) {
        g->flows += atomic_load_explicit(&e->worker[w].flows_now, memory_order_relaxed);
        g->flows_max += e->cfg.flow.flows_max;
        g->flow_bytes += e->worker[w].flow_bytes;
        g->held_bytes += ws_count_get(&e->worker[w].counters, WS_C_PAYLOAD_HELD);
        g->held_bytes_max += e->cfg.tcp.bytes_max;
        g->frag_bytes += atomic_load_explicit(&e->worker[w].frag_now, memory_order_relaxed);
        for (unsigned i = 0; i < e->worker[w].n_in; i++) {
            const struct ws_ring *ring = &e->worker[w].in[i].link->ring;
            uint64_t used = ws_ring_used(ring);
            g->steer_used += used;
            g->steer_slots += ring->mask + 1;
            g->steer_fullest = WS_MAX(g->steer_fullest, (double)used / (double)(ring->mask + 1));
        }
        receive_gauges(e->worker[w].receive, ended, g);
        const struct ws_engine_feed *f = &e->worker[w].feed;
        g->bytes_done += __atomic_load_n(&f->bytes_done, __ATOMIC_RELAXED);
        g->bytes_total += __atomic_load_n(&f->bytes_total, __ATOMIC_RELAXED);
        g->source_damaged |= ended && f->damaged;
    }
    for (unsigned r = 0; r < e->cfg.receivers; r++) {
        receive_gauges(e->receiver[r].receive, ended, g);
        g->frag_bytes += atomic_load_explicit(&e->receiver[r].frag_now, memory_order_relaxed);
    }
    g->stopping = atomic_load(&e->stop) != 0;
    g->aborted = atomic_load(&e->stop) == 2;
}

struct ws_sink **ws_engine_sinks(struct ws_engine *e, unsigned worker, unsigned *n)
{
    *n = e->worker[worker].n_sink;
    return e->worker[worker].sink;
}

void ws_engine_destroy(struct ws_engine *e)
{
    if (!e)
        return;
    for (unsigned r = 0; r < e->cfg.receivers; r++)
        if (e->receiver[r].receive)
            ws_receive_fini(e->receiver[r].receive);
    for (unsigned w = 0; w < e->cfg.workers; w++) {
        struct worker *wk = &e->worker[w];
        if (wk->receive)
            ws_receive_fini(wk->receive);
        for (unsigned i = 0; i < wk->n_sink; i++)
            if (wk->sink[i]->ops->destroy)
                wk->sink[i]->ops->destroy(wk->sink[i]);
    }
    if (e->cfg.announcer)
        e->cfg.announcer->ops->destroy(e->cfg.announcer);
    for (unsigned i = 0; i < e->cfg.n_source; i++)
        e->cfg.source[i].source->ops->close(e->cfg.source[i].source);
    free(e);
}
