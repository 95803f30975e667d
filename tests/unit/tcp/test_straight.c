/* SPDX-License-Identifier: BSD-3-Clause */
/* The straight path against the general one: random segments, which only an ECN flag keeps from it,
 * leave the same connection and the same counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tcp/tcp.h"

/* A side: how it takes segments. */
struct side {
    struct ws_tcp *t;
    struct ws_tcp_conn c;
    struct ws_counters counters;
    uint64_t sum;      /* of what was called back, in order */
    uint64_t straight; /* packets that needed no segment */
};

enum { PACKETS, SEGMENTS, SLOWLY, SIDES };

static void note(struct side *s, uint64_t v)
{
    s->sum = (s->sum ^ v) * UINT64_C(0x9e3779b97f4a7c15);
}

static void on_gap(void *flow, unsigned dir, uint64_t off, uint64_t len, enum ws_gap_cause cause,
                   void *user)
{
    (void)flow;
    note(user, dir);
    note(user, off);
    note(user, len << 3 | cause);
}

static void on_event(void *flow, unsigned dir, enum ws_tcp_event ev, const struct ws_tcp_meta *meta,
                     void *user)
{
    (void)flow, (void)meta;
    note(user, dir << 8 | ev);
}

static void on_data(void *flow, unsigned dir, uint64_t off, const uint8_t *data, uint32_t len,
                    const struct ws_tcp_meta *meta, void *user)
{
    (void)flow, (void)data, (void)meta;
    note(user, dir);
    note(user, off);
    note(user, len);
}

static void on_segment(void *flow, unsigned dir, int64_t off, const struct ws_tcp_segment *seg,
                       void *user)
{
    (void)flow;
    note(user, dir);
    note(user, (uint64_t)off);
    note(user, seg->wire_len);
}

static const struct ws_tcp_ops ops = {on_data, on_gap, on_segment, on_event};

static uint32_t draw(uint32_t n)
{
    return (uint32_t)rand() % n;
}

/* What is drawn from: mostly the next bytes of an open connection. */
struct talk {
    uint32_t next[2], acked[2]; /* sequence numbers */
    uint64_t n;
};

static void draw_packet(struct talk *k, struct ws_packet *p)
{
    static const uint8_t odd[] = {WS_TCP_SYN, WS_TCP_SYN | WS_TCP_ACK, WS_TCP_FIN | WS_TCP_ACK,
                                  WS_TCP_RST, WS_TCP_RST | WS_TCP_ACK, 0};
    static const uint8_t payload[64];
    const unsigned d = draw(2);
    memset(p, 0, sizeof(*p));
    p->dir = (uint8_t)d;
    p->ts_ns = (int64_t)k->n * 300000000;
    p->ordinal = k->n++;
    p->tcp_flags = WS_TCP_ACK | (draw(2) ? WS_TCP_PSH : 0);
    p->tcp_window = (uint16_t)draw(65536);
    p->tcp_seq = k->next[d];
    p->tcp_ack = k->next[d ^ 1];
    p->payload = payload;
    p->payload_len = p->payload_wire_len = draw(3) ? draw(40) : 0;
    p->wire_len = 54 + p->payload_len;
    switch (draw(12)) {
    case 0:
        p->tcp_seq += draw(100) - 50;
        break;
    case 1:
        p->tcp_ack += draw(100) - 50;
        break;
    case 2:
        k->next[d] += draw(200);
        break; /* lost */
    case 3:
        p->payload_wire_len += draw(30);
        break;
    case 4:
        p->tcp_flags = odd[draw(sizeof(odd))];
        break;
    case 5:
        p->tcp_ack = k->acked[d];
        break;
    default:
        break;
    }
    if (draw(400) == 0)
        p->tcp_seq = (uint32_t)rand() * 3u;
    if (p->tcp_flags & WS_TCP_SYN)
        p->tcp_wscale = (uint8_t)draw(16);
    k->acked[d] = p->tcp_ack;
    if (p->tcp_seq == k->next[d])
        k->next[d] += p->payload_wire_len + ((p->tcp_flags & (WS_TCP_SYN | WS_TCP_FIN)) != 0);
}

static enum ws_tcp_verdict push(struct side *s, unsigned how, const struct ws_packet *p)
{
    const struct ws_tcp_segment seg = {
        .data = p->payload,
        .len = p->payload_len,
        .wire_len = p->payload_wire_len,
        .wscale = p->tcp_wscale,
        .frame_bytes = p->wire_len,
        .meta = {.ts_ns = p->ts_ns,
                 .ordinal = p->ordinal,
                 .seq = p->tcp_seq,
                 .ack = p->tcp_ack,
                 .window = p->tcp_window,
                 .flags = (uint8_t)(p->tcp_flags | (how == SLOWLY ? WS_TCP_ECE : 0))}};
    if (how == PACKETS && ws_tcp_push_straight(s->t, &s->c, p)) {
        s->straight++;
        return WS_TCP_TAKEN;
    }
    return ws_tcp_push(s->t, &s->c, s, p->dir, &seg);
}

/* A connection's life; where it ends with another one on its tuple, it ends. */
static void live(struct side *side, unsigned n)
{
    struct talk k = {.next = {(uint32_t)rand() * 2u, (uint32_t)rand() * 2u}};
    struct ws_packet p;
    for (unsigned i = 0; i < SIDES; i++)
        memset(&side[i].c, 0, sizeof(side[i].c));
    for (; n; n--) {
        enum ws_tcp_verdict v[SIDES];
        draw_packet(&k, &p);
        for (unsigned i = 0; i < SIDES; i++)
            v[i] = push(&side[i], i, &p);
        for (unsigned i = 1; i < SIDES; i++) {
            assert_int_equal(v[i], v[0]);
            assert_memory_equal(&side[i].c, &side[0].c, sizeof(side[0].c));
            assert_memory_equal(&side[i].counters, &side[0].counters, sizeof(side[0].counters));
            assert_true(side[i].sum == side[0].sum);
        }
        if (v[0] != WS_TCP_TAKEN)
            break;
    }
    for (unsigned i = 0; i < SIDES; i++)
        ws_tcp_close(side[i].t, &side[i].c, &side[i], WS_GAP_NEVER_SEEN);
}

static void run(void **state)
{
    const unsigned want = *(const unsigned *)*state;
    struct side side[SIDES] = {0};
    struct ws_tcp_config cfg = ws_tcp_defaults;
    cfg.want = want;
    cfg.nodes_max = 64;
    cfg.dir_nodes_max = 16;
    cfg.bytes_max = 1 << 16;
    cfg.dir_bytes_max = 1 << 12;
    for (unsigned i = 0; i < SIDES; i++) {
        size_t bytes = ws_align_up(ws_tcp_bytes(&cfg), 64);
        void *mem = aligned_alloc(64, bytes);
        assert_non_null(mem);
        memset(mem, 0, bytes);
        side[i].t = ws_tcp_init(mem, &cfg, &side[i].counters, &ops, &side[i]);
    }
    for (unsigned i = 0; i < 3000; i++)
        live(side, 1 + draw(120));
    if (want & (WS_TCP_WANT_DATA | WS_TCP_WANT_SEGMENT))
        assert_true(side[PACKETS].straight == 0);
    else
        assert_true(side[PACKETS].straight > 1000);
    for (unsigned i = 0; i < SIDES; i++)
        free(side[i].t);
}

int main(void)
{
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
    printf("SEED=%u\n", seed);
    srand(seed);
    static unsigned want[] = {0, WS_TCP_WANT_GAPS, WS_TCP_WANT_DATA, WS_TCP_WANT_SEGMENT};
    const struct CMUnitTest tests[] = {
        {"state_only", run, NULL, NULL, &want[0]}, {"gaps", run, NULL, NULL, &want[1]},
        {"bytes", run, NULL, NULL, &want[2]},      {"segments", run, NULL, NULL, &want[3]},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
