/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine: sources, receive stages, workers with their flows, sinks and writers, as one run.
 *
 *   source -> receive stage (filter, decode, defragment, owner) -> flow stage (flows, TCP, sinks)
 *
 * A worker thread has a flow stage, and a receive stage when sources are assigned to it. A receiver
 * thread has only a receive stage and steers packets to their owners by ring. Nothing else is shared.
 */
#ifndef WS_ENGINE_ENGINE_H
#define WS_ENGINE_ENGINE_H

#include "engine/busy.h"
#include "engine/runtime.h"
#include "filter/filter.h"
#include "filter/select.h"
#include "flow/ids.h"
#include "flow/table.h"
#include "frag/frag.h"
#include "packet/decode.h"
#include "packet/trailer.h"
#include "sink/sink.h"
#include "source/source.h"
#include "tcp/tcp.h"
#include "writer/writer.h"

#define WS_WORKERS_MAX   64u
#define WS_RECEIVERS_MAX 64u
#define WS_WRITERS_MAX   16u
#define WS_SOURCES_MAX   256u

/* What a feed (below) needs of the only worker. */
struct ws_engine_feed {
    struct ws_sink **sink;
    unsigned n_sink;
    size_t ext_bytes;    /* of the area behind each flow */
    struct ws_counters *counters;
    uint64_t ordinal;    /* of the packet whose events come, kept by the feed: the sinks see it */
    uint64_t bytes_done, bytes_total; /* kept by the feed, for progress */
    bool damaged;
    bool stop;           /* set by the engine: close what is open and return false */
};

/* A source and the thread that polls it: worker 0..workers, then receiver workers..workers+receivers. */
struct ws_engine_source {
    struct ws_source *source; /* taken: closed by ws_engine_destroy() */
    unsigned thread;
    int numa_node;            /* of the device, -1 = any */
};

struct ws_engine_config {
    struct ws_runtime *runtime; /* borrowed; started with workers + receivers + writers threads */
    unsigned workers, receivers, n_source, n_writer;
    struct ws_engine_source source[WS_SOURCES_MAX];
    struct ws_writer *writer[WS_WRITERS_MAX]; /* borrowed; outputs already added */

    /* Makes the sinks of a worker into out (at most WS_SINKS_MAX); returns their count or -errno.
     * Main thread, before the start. The engine destroys them. */
    int (*make_sinks)(void *user, unsigned worker, struct ws_sink **out);
    void *user;

    /* In place of sources and the flow stage: gives the sinks of the only worker a bounded number of events of flows
     * that the feed keeps itself (an archive). Called again until it returns false. NULL: there are sources. */
    bool (*feed)(void *user, struct ws_engine_feed *f);
    void *feed_user;

    /* Shown each burst before any filter, by the only receive stage's thread. May be NULL. */
    void (*announce)(void *user, const struct ws_packet *pkt, unsigned n);
    /* A sink of the receiver thread that announce() writes to (interface descriptions); taken. NULL = none. */
    struct ws_sink *announcer;

    struct ws_decode_config decode;
    struct ws_frag_config frag;
    struct ws_flow_table_config flow;  /* ext_bytes is computed by the engine */
    struct ws_tcp_config tcp;          /* want is computed from the sinks' needs */
    const struct ws_filter *filter;    /* borrowed, cloned a thread; NULL = none */
    bool filter_late;  /* number flows before filtering, so that filters never renumber (6a.1) */
    int64_t time_shift_ns; /* added to every packet's stamp, before filters and time ranges */
    struct ws_select select;
    struct ws_flow_ids ids;            /* ordinal list when known beforehand */
    bool udp, all_ip;  /* payload of UDP / of all other protocols goes to data sinks too */
    bool tcp_off;      /* do not give TCP payload to data sinks */
    bool per_tuple; /* a later connection of the same tuple goes on with its flow */
    bool tcp_udp_only; /* packets of other protocols are of no flow, and get no FlowID */
    struct ws_trailer_config trailer; /* frames carry their time and device behind them */
    bool verify_checksums; /* refuse TCP payload whose checksum is wrong (it is counted in any case) */

    bool live;            /* on idle polls time goes on by the system clock */
    uint64_t packet_max;  /* in all; 0 = no limit */
    uint32_t steer_slots; /* descriptors per steering ring; 0 = 1,024 */
    uint32_t copy_chunks; /* 1 MiB chunks per receive stage for steered copies; 0 = 16 */
    int64_t drain_ns;     /* how long a first stop may take before it becomes an abort; 0 = 30 s */
};

struct ws_engine;

/* The NUMA node whose packets a thread (worker, then receiver) handles: that of its own source's device, or of the
 * first that is steered to it; -1 = any. Pure. */
int ws_engine_node(const struct ws_engine_config *cfg, unsigned thread);

/* How many threads have sources: with more than one there is no common order of packets. Pure. */
unsigned ws_engine_receive_stages(const struct ws_engine_config *cfg);

/* Builds the whole run: memory, stages, rings. Source and sink ownership passes to the engine on success
 * and on failure. 0 or -errno with a line in err. Main thread. */
int ws_engine_create(struct ws_engine **e, const struct ws_engine_config *cfg, char *err,
                     size_t err_len);

/* Starts the threads: writers, then workers, then receivers. */
int ws_engine_start(struct ws_engine *e, char *err, size_t err_len);

/* Asks for the end of receiving (first Ctrl-C, --duration): what was received is still written.
 * Async-signal-safe, any thread. */
void ws_engine_stop(struct ws_engine *e);

/* Gives up: unwritten data is lost (second Ctrl-C). Async-signal-safe, any thread. */
void ws_engine_abort(struct ws_engine *e);

/* True once every thread has ended its work. Main thread. */
bool ws_engine_done(struct ws_engine *e);

/* Sleeps until done or timeout_ns passed; returns ws_engine_done(). Applies the drain deadline. */
bool ws_engine_wait(struct ws_engine *e, int64_t timeout_ns);

/* Joins all threads, in reverse order of their start. */
void ws_engine_join(struct ws_engine *e);

/* Sums the counters of all threads, now, into sum. Main thread. */
void ws_engine_counters(struct ws_engine *e, struct ws_counters *sum);

/* Counters of one thread (worker, then receiver, then writer number); NULL past the last. */
const struct ws_counters *ws_engine_thread_counters(struct ws_engine *e, unsigned thread);

/* How busy that thread is, numbered as above; all 0 past the last. Any thread. */
struct ws_busy_look ws_engine_thread_busy(struct ws_engine *e, unsigned thread);

/* Gauges for progress. */
struct ws_engine_gauges {
    uint64_t bytes_total, bytes_done; /* of file sources; total 0 = unknown */
    uint64_t flows, flows_max;
    uint64_t flow_bytes; /* of memory for flows_max flows: tables, connections, what outputs keep by flow */
    uint64_t held_bytes, held_bytes_max; /* out of order, of all workers' pools */
    uint64_t frag_bytes, frag_bytes_max; /* fragments, of all receive stages' pools */
    uint64_t steer_used, steer_slots;    /* descriptors in all steering rings; 0 slots = there is none */
    double steer_fullest;                /* 0..1 */
    int64_t clock_ns; /* packet time, INT64_MIN before the first packet */
    uint64_t filter_unsupported; /* packets of a link type that the filter expression has no meaning on (after the end) */
    bool stopping, aborted, source_damaged;
};
void ws_engine_gauges(struct ws_engine *e, struct ws_engine_gauges *g);

/* The sinks of a worker after the end (to read their records). *n is their count. */
struct ws_sink **ws_engine_sinks(struct ws_engine *e, unsigned worker, unsigned *n);

/* Frees all. After join. */
void ws_engine_destroy(struct ws_engine *e);

#endif
