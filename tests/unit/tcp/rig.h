/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection under test: pushes segments written as short lines, records streams, checks the
 * ledger. */
#ifndef WS_TESTS_TCP_RIG_H
#define WS_TESTS_TCP_RIG_H

#include "tcp/tcp.h"

enum { RIG_STREAM_MAX = 4 << 20, RIG_PAST_MAX = 8 };

struct rig_stream {
    uint8_t *bytes; /* gaps are filled with '.' */
    uint64_t len, room;
    uint32_t gaps;
    uint64_t gap_bytes;
    unsigned causes; /* bit per enum ws_gap_cause */
};

struct rig {
    struct ws_tcp_config cfg;
    struct ws_tcp *t;
    void *mem;
    struct ws_tcp_conn c;
    struct ws_counters counters;
    struct rig_stream stream[2];
    struct {
        char text[2][256]; /* streams of connections that were replaced */
        char history[24];
        const char *state;
    } past[RIG_PAST_MAX];
    unsigned past_count;
    unsigned events; /* bit per enum ws_tcp_event, of the current connection */
    unsigned event_count[WS_TCP_EV_EVENTS];
    char segments[1024]; /* "off:text " per segment callback */
    uint32_t calls;      /* data callbacks */
    uint32_t pieces;     /* of those, with meta.piece */
    int64_t ts_ns, step_ns;
    uint64_t ordinal;
    uint16_t window;
    uint8_t wscale;
    uint32_t snap; /* payload cut to this many bytes; 0: not */
    bool no_payload;
    enum ws_tcp_verdict verdict; /* of the last push, before the connection was replaced */
};

/* Settings of every test unless it says otherwise: small pools, first copy wins. */
struct ws_tcp_config rig_config(void);
void rig_init(struct rig *r, const struct ws_tcp_config *cfg);
void rig_fini(struct rig *r);
/* Begins again with r->cfg, which the test has changed. */
void rig_restart(struct rig *r);

/* Pushes a segment of dir. flags: letters of SAFRPU. A verdict of a new connection is obeyed as the
 * flow stage does: close, begin anew, push again. */
enum ws_tcp_verdict S(struct rig *r, unsigned dir, const char *flags, uint32_t seq, uint32_t ack,
                      const char *data);
enum ws_tcp_verdict rig_push(struct rig *r, unsigned dir, const char *flags, uint32_t seq,
                             uint32_t ack, const void *data, uint32_t len);
/* The handshake of client 0 (ISN isn0) and server 1. */
void rig_open(struct rig *r, uint32_t isn0, uint32_t isn1);
/* Closes the connection and checks the ledger and the pool. */
void rig_close(struct rig *r);
/* The equations that hold at every moment. */
void rig_ledger(struct rig *r);
/* The stream of dir so far, gaps as dots. */
void rig_expect(struct rig *r, unsigned dir, const char *want);
uint64_t rig_count(struct rig *r, enum ws_counter id);

/* One test: a fresh rig, the steps, the end. */
#define CASE(name)                                                                                 \
    static void name##_steps(struct rig *r);                                                       \
    static void name(void **state)                                                                 \
    {                                                                                              \
        struct rig r;                                                                              \
        (void)state;                                                                               \
        rig_init(&r, NULL);                                                                        \
        name##_steps(&r);                                                                          \
        rig_close(&r);                                                                             \
        rig_fini(&r);                                                                              \
    }                                                                                              \
    static void name##_steps(struct rig *r)

#define EVENT(r, ev) (((r)->events >> WS_TCP_EV_##ev) & 1u)

#endif
