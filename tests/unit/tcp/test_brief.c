/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections in brief, widened only when they have to be, against the same that are always whole: random segments leave the
 * same streams and the same counts. With a pool that is far too small, no byte goes uncounted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tcp/brief.h"
#include "tcp/internal.h"

enum { FLOWS = 6 };

/* What lies behind a flow. */
struct area {
    struct ws_tcp_brief brief;
    struct ws_tcp_gaps gaps;
    unsigned number;
};

/* How a side keeps its connections. */
struct side {
    struct ws_tcp *t;
    struct ws_counters counters;
    uint64_t sum[FLOWS][2];  /* of what was called back of a flow, in order */
    uint64_t next[FLOWS][2]; /* offset that must come next */
    bool data;
    /* whole */
    struct ws_tcp_conn c[FLOWS];
    uint64_t payload[FLOWS][2];
    /* in brief */
    struct ws_tcp_pool *pool;
    struct area area[FLOWS];
    uint64_t straight, wide; /* segments that needed nothing else; and after which one was whole */
};

static void note(struct side *s, unsigned n, unsigned dir, uint64_t v)
{
    s->sum[n][dir] = (s->sum[n][dir] ^ v) * UINT64_C(0x9e3779b97f4a7c15);
}

static unsigned number_of(const void *flow)
{
    return ((const struct area *)flow)->number;
}

static void on_data(void *flow, unsigned dir, uint64_t off, const uint8_t *data, uint32_t len,
                    const struct ws_tcp_meta *meta, void *user)
{
    struct side *s = user;
    const unsigned n = number_of(flow);
    (void)meta;
    assert_int_equal(off, s->next[n][dir]);
    s->next[n][dir] += len;
    for (uint32_t i = 0; i < len; i++)
        note(s, n, dir, data[i]);
}

static void on_gap(void *flow, unsigned dir, uint64_t off, uint64_t len, enum ws_gap_cause cause, void *user)
{
    struct side *s = user;
    const unsigned n = number_of(flow);
    if (s->data)
        assert_int_equal(off, s->next[n][dir]);
    s->next[n][dir] += len;
    note(s, n, dir, len << 3 | cause);
}

static void on_segment(void *flow, unsigned dir, int64_t off, const struct ws_tcp_segment *seg, void *user)
{
    note(user, number_of(flow), dir, (uint64_t)off);
    note(user, number_of(flow), dir, seg->len);
}

static void on_event(void *flow, unsigned dir, enum ws_tcp_event ev, const struct ws_tcp_meta *meta, void *user)
{
    (void)meta;
    note(user, number_of(flow), dir, 100 + ev);
}

static const struct ws_tcp_ops ops = {on_data, on_gap, on_segment, on_event};

static uint32_t draw(uint32_t n)
{
    return (uint32_t)rand() % n;
}

/* What is drawn from: mostly the next bytes of an open connection. */
struct talk {
    uint32_t next[2], acked[2];
    uint64_t n;
    unsigned begun;
};

static void draw_segment(struct talk *k, struct ws_tcp_segment *s, unsigned *dir)
{
    static const uint8_t odd[] = {WS_TCP_SYN, WS_TCP_SYN | WS_TCP_ACK, WS_TCP_FIN | WS_TCP_ACK, WS_TCP_RST | WS_TCP_ACK};
    static uint8_t payload[64];
    const unsigned d = *dir = k->begun < 2 ? k->begun : draw(2);
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(k->next[d] + i);
    s->data = payload;
    s->frame_bytes = 60;
    s->wscale = 0;
    s->meta.ts_ns = (int64_t)k->n * 300000000;
    s->meta.ordinal = k->n++;
    s->meta.flags = WS_TCP_ACK | (draw(2) ? WS_TCP_PSH : 0);
    s->meta.window = (uint16_t)draw(65536);
    s->meta.seq = k->next[d];
    s->meta.ack = k->next[d ^ 1];
    s->len = s->wire_len = draw(3) ? draw(40) : 0;
    if (k->begun < 2 && draw(8)) {
        s->meta.flags = k->begun ? WS_TCP_SYN | WS_TCP_ACK : WS_TCP_SYN;
        s->wscale = (uint8_t)draw(20);
        s->len = s->wire_len = 0;
    }
    switch (draw(30)) {
    case 0:
        s->meta.seq += draw(100) - 50;
        break;
    case 1:
        s->meta.ack += draw(100) - 50;
        break;
    case 2:
        k->next[d] += draw(200);
        break; /* lost */
    case 3:
        s->wire_len += draw(24);
        break;
    case 4:
        if (draw(4) == 0)
            s->meta.flags = odd[draw(sizeof(odd))];
        break;
    case 5:
        s->meta.ack = k->acked[d];
        break;
    case 6:
        s->no_payload = draw(2);
        break;
    default:
        break;
    }
    if (draw(200) == 0)
        s->meta.seq = (uint32_t)rand() * 3u;
    k->begun += k->begun < 2;
    k->acked[d] = s->meta.ack;
    if (s->meta.seq == k->next[d])
        k->next[d] += s->wire_len + ((s->meta.flags & (WS_TCP_SYN | WS_TCP_FIN)) != 0);
}

static enum ws_tcp_verdict push_whole(struct side *s, unsigned n, unsigned dir, const struct ws_tcp_segment *seg)
{
    enum ws_tcp_verdict v = ws_tcp_push(s->t, &s->c[n], &s->area[n], dir, seg);
    if (v == WS_TCP_TAKEN && !seg->no_payload)
        s->payload[n][dir] += seg->wire_len;
    return v;
}

static enum ws_tcp_verdict push_brief(struct side *s, unsigned n, unsigned dir, const struct ws_tcp_segment *seg)
{
    struct area *a = &s->area[n];
    if (ws_tcp_brief_push(s->t, &a->brief, a, dir, seg)) {
        s->straight++;
        return WS_TCP_TAKEN;
    }
    struct ws_tcp_whole *w = ws_tcp_widen(s->pool, &a->brief);
    enum ws_tcp_verdict v = ws_tcp_push(s->t, &w->conn, a, dir, seg);
    if (v == WS_TCP_TAKEN && !seg->no_payload)
        w->payload[dir] += seg->wire_len;
    ws_tcp_narrow(s->pool, s->t, w, a);
    s->wide += a->brief.is_whole;
    return v;
}

static void close_whole(struct side *s, unsigned n)
{
    ws_tcp_close(s->t, &s->c[n], &s->area[n], WS_GAP_NEVER_SEEN);
}

/* Ends a connection in brief; *c is what it was. */
static void close_brief(struct side *s, unsigned n, struct ws_tcp_conn *c, uint64_t payload[2])
{
    struct area *a = &s->area[n];
    if (a->brief.is_whole) {
        struct ws_tcp_whole *w = ws_tcp_whole_of(s->pool, &a->brief);
        ws_tcp_close(s->t, &w->conn, a, WS_GAP_NEVER_SEEN);
        *c = w->conn;
        memcpy(payload, w->payload, sizeof(w->payload));
        ws_tcp_release(s->pool, w);
    } else {
        ws_tcp_unfold(&a->brief, &a->gaps, c, payload);
        ws_tcp_close(s->t, c, a, WS_GAP_NEVER_SEEN);
    }
    memset(&a->brief, 0, sizeof(a->brief));
}

static void same_end(const struct ws_tcp_conn *x, const struct ws_tcp_conn *y)
{
    assert_string_equal(ws_tcp_conn_state(x), ws_tcp_conn_state(y));
    assert_string_equal(x->history, y->history);
    assert_int_equal(x->history_len, y->history_len);
    assert_int_equal(x->events, y->events);
    assert_int_equal(x->orig, y->orig);
    assert_int_equal(x->orig_known, y->orig_known);
    for (unsigned d = 0; d < 2; d++) {
        assert_int_equal(ws_tcp_dir_length(&x->dir[d]), ws_tcp_dir_length(&y->dir[d]));
        assert_int_equal(x->dir[d].gaps, y->dir[d].gaps);
        assert_int_equal(ws_tcp_gap_bytes(x, d), ws_tcp_gap_bytes(y, d));
    }
}

static void ledger(struct side *s)
{
    const struct ws_counters *n = &s->counters;
    uint64_t sum = ws_count_get(n, WS_C_PAYLOAD_DELIVERED) + ws_count_get(n, WS_C_PAYLOAD_DUPLICATE) +
                   ws_count_get(n, WS_C_PAYLOAD_OVERLAP) + ws_count_get(n, WS_C_PAYLOAD_HELD);
    for (int i = WS_C_REFUSED_WINDOW; i <= (int)WS_C_REFUSED_NO_SINK; i++)
        sum += ws_count_get(n, (enum ws_counter)i);
    assert_int_equal(sum, ws_count_get(n, WS_C_PAYLOAD_SEEN));
    assert_int_equal(ws_count_get(n, WS_C_PAYLOAD_HELD), ws_tcp_held_bytes(s->t));
    assert_int_equal(ws_count_get(n, WS_C_STREAM_BYTES),
                     ws_count_get(n, WS_C_PAYLOAD_DELIVERED) + ws_count_get(n, WS_C_GAP_BYTES));
}

static struct side *open_side(const struct ws_tcp_config *cfg, uint32_t wholes)
{
    struct side *s = calloc(1, sizeof(*s));
    const struct ws_tcp_pool_config pc = {.wholes_max = wholes, .gaps = cfg->want & WS_TCP_TRACK};
    const size_t bytes = ws_align_up(ws_tcp_bytes(cfg), 64);
    void *mem = aligned_alloc(64, bytes), *pool = calloc(1, ws_tcp_pool_bytes(&pc));
    assert_true(s && mem && pool);
    memset(mem, 0, bytes);
    s->t = ws_tcp_init(mem, cfg, &s->counters, &ops, s);
    s->pool = ws_tcp_pool_init(pool, &pc, &s->counters);
    for (unsigned i = 0; i < FLOWS; i++)
        s->area[i].number = i;
    s->data = cfg->want & WS_TCP_WANT_DATA;
    return s;
}

static void close_side(struct side *s)
{
    free(s->t);
    free(s->pool);
    free(s);
}

static struct ws_tcp_config config(unsigned want)
{
    struct ws_tcp_config cfg = ws_tcp_defaults;
    cfg.want = want;
    cfg.nodes_max = 256;
    cfg.bytes_max = 1 << 18;
    return cfg;
}

static void begin_talk(struct talk *k)
{
    *k = (struct talk){.next = {(uint32_t)rand() * 2u, (uint32_t)rand() * 2u}};
}

/* The next segment of one of FLOWS talks: which. All zeros: a talk that has not begun. */
static unsigned draw_of(struct talk *talk, struct ws_tcp_segment *seg, unsigned *dir)
{
    const unsigned n = draw(FLOWS);
    if (!talk[n].next[0] && !talk[n].next[1])
        begin_talk(&talk[n]);
    draw_segment(&talk[n], seg, dir);
    return n;
}

/* Both ways, a pool that is large enough. */
static void run(void **state)
{
    const unsigned want = *(const unsigned *)*state;
    const struct ws_tcp_config cfg = config(want);
    struct side *x = open_side(&cfg, FLOWS), *y = open_side(&cfg, FLOWS);
    struct talk talk[FLOWS] = {0};
    for (unsigned i = 0; i < 300000; i++) {
        struct ws_tcp_segment seg;
        unsigned dir;
        const unsigned n = draw_of(talk, &seg, &dir);
        enum ws_tcp_verdict v = push_whole(x, n, dir, &seg), w = push_brief(y, n, dir, &seg);
        assert_int_equal(v, w);
        assert_memory_equal(x->sum[n], y->sum[n], sizeof(x->sum[n]));
        if (v != WS_TCP_TAKEN || draw(150) == 0) {
            struct ws_tcp_conn c;
            uint64_t payload[2];
            close_whole(x, n);
            close_brief(y, n, &c, payload);
            same_end(&x->c[n], &c);
            assert_memory_equal(payload, x->payload[n], sizeof(payload));
            assert_memory_equal(x->sum[n], y->sum[n], sizeof(x->sum[n]));
            memset(&x->c[n], 0, sizeof(x->c[n]));
            memset(x->payload[n], 0, sizeof(x->payload[n]));
            memset(x->next[n], 0, sizeof(x->next[n]));
            memset(y->next[n], 0, sizeof(y->next[n]));
            begin_talk(&talk[n]);
        }
        assert_memory_equal(&x->counters, &y->counters, sizeof(x->counters));
        assert_true(ws_tcp_pool_used(y->pool) <= FLOWS);
    }
    assert_true(y->straight > 30000 && y->wide > 1000);
    close_side(x);
    close_side(y);
}

/* A segment without options: flags, numbers, len bytes. */
static void send(struct side *s, unsigned n, unsigned dir, unsigned flags, uint32_t seq, uint32_t ack, uint32_t len)
{
    static const uint8_t bytes[64] = "whatever";
    const struct ws_tcp_segment seg = {.data = bytes, .len = len, .wire_len = len, .frame_bytes = 60,
        .meta = {.seq = seq, .ack = ack, .window = 1000, .flags = (uint8_t)flags}};
    assert_int_equal(push_brief(s, n, dir, &seg), WS_TCP_TAKEN);
}

/* A handshake, and 10 bytes at 101. */
static void send_open(struct side *s, unsigned n)
{
    send(s, n, 0, WS_TCP_SYN, 100, 0, 0);
    send(s, n, 1, WS_TCP_SYN | WS_TCP_ACK, 500, 101, 0);
    send(s, n, 0, WS_TCP_ACK, 101, 501, 10);
}

/* How many clients end: a reset behind their own FIN. It takes no place in the pool, and is no other end in brief. */
static void reset_behind_fin(void **state)
{
    (void)state;
    const unsigned wants[] = {0, WS_TCP_WANT_DATA};
    for (unsigned i = 0; i < 2; i++) {
        const struct ws_tcp_config cfg = config(wants[i]);
        struct side *s = open_side(&cfg, 4);
        send_open(s, 0);
        send(s, 0, 0, WS_TCP_FIN | WS_TCP_ACK, 111, 501, 0);
        send(s, 0, 0, WS_TCP_RST, 112, 0, 0);
        assert_false(s->area[0].brief.is_whole);
        assert_int_equal(s->area[0].brief.state, WS_TCP_RESET);
        struct ws_tcp_conn c;
        uint64_t payload[2];
        ws_tcp_unfold(&s->area[0].brief, &s->area[0].gaps, &c, payload);
        assert_int_equal(c.dir[0].top, c.dir[0].next + 1);
        close_side(s);
    }
}

/* Connections that leave holes open keep the pool from nobody: who reorders later still gets all its bytes in order. And a
 * FIN behind a hole that was given up does not end what comes next on its tuple. */
static void holes_for_ever(void **state)
{
    (void)state;
    const struct ws_tcp_config cfg = config(WS_TCP_WANT_DATA);
    struct side *s = open_side(&cfg, 2);
    for (unsigned n = 0; n < 5; n++) {
        send_open(s, n);
        send(s, n, 0, n ? WS_TCP_ACK : WS_TCP_FIN | WS_TCP_ACK, 131, 501, n ? 10 : 0);
    }
    assert_int_equal(ws_count_get(&s->counters, WS_C_TCP_POOL_FULL), 3);
    assert_int_equal(s->next[0][0], 30);
    assert_false(s->area[0].brief.closed);
    const uint64_t gaps = ws_count_get(&s->counters, WS_C_GAPS);
    assert_int_equal(gaps, 3);
    send_open(s, 5);
    send(s, 5, 0, WS_TCP_ACK, 121, 501, 10);
    assert_int_equal(s->next[5][0], 10);
    send(s, 5, 0, WS_TCP_ACK, 111, 501, 10);
    assert_int_equal(s->next[5][0], 30);
    assert_int_equal(ws_count_get(&s->counters, WS_C_GAPS), gaps + 1); /* of another */
    ledger(s);
    close_side(s);
}

/* One place for six flows that lose segments all the time: streams stay in order, what was given up is a gap of cause cap,
 * and every byte has a fate. */
static void full_pool(void **state)
{
    (void)state;
    const struct ws_tcp_config cfg = config(WS_TCP_WANT_DATA | WS_TCP_WANT_SEGMENT);
    struct side *s = open_side(&cfg, 1);
    struct talk talk[FLOWS] = {0};
    for (unsigned i = 0; i < 300000; i++) {
        struct ws_tcp_segment seg;
        unsigned dir;
        const unsigned n = draw_of(talk, &seg, &dir);
        if (push_brief(s, n, dir, &seg) != WS_TCP_TAKEN || draw(150) == 0) {
            struct ws_tcp_conn c;
            uint64_t payload[2];
            close_brief(s, n, &c, payload);
            for (unsigned d = 0; d < 2; d++)
                assert_int_equal(ws_tcp_dir_length(&c.dir[d]), s->next[n][d]);
            memset(s->next[n], 0, sizeof(s->next[n]));
            begin_talk(&talk[n]);
        }
        ledger(s);
        assert_true(ws_tcp_pool_used(s->pool) <= 1);
    }
    assert_true(ws_count_get(&s->counters, WS_C_TCP_POOL_FULL) > 1000);
    assert_true(ws_count_get(&s->counters, WS_C_GAPS_CAP) > 100);
    close_side(s);
}

/* The next segment of an open connection, and what has grown to the edge of its place in brief: it is whole from there on,
 * and nothing is lost. */
static void outgrown(void **state)
{
    (void)state;
    const struct ws_tcp_config cfg = config(WS_TCP_WANT_DATA);
    struct side *s = open_side(&cfg, 2);
    struct area *a = &s->area[0];
    static const uint8_t byte[8] = "12345678";
    const uint64_t edge = UINT64_C(1) << 48;
    for (unsigned i = 0; i < 3; i++) {
        const struct ws_tcp_segment seg = {.data = byte, .frame_bytes = 60, .meta = {.seq = i == 1 ? 200 : 100 + (i == 2),
            .ack = i == 1 ? 101 : 201, .window = 9, .flags = (uint8_t)(i == 2 ? WS_TCP_ACK : i ? WS_TCP_SYN | WS_TCP_ACK : WS_TCP_SYN)}};
        push_brief(s, 0, i & 1, &seg);
    }
    assert_int_equal(a->brief.state, WS_TCP_OPEN);
    assert_false(a->brief.is_whole);
    struct ws_tcp_conn c;
    uint64_t payload[2], before = edge - WS_SEQ_BIAS - 4;
    ws_tcp_unfold(&a->brief, &a->gaps, &c, payload);
    c.dir[0].next = c.dir[0].top = c.dir[0].acked = edge - 4;
    payload[0] = before;
    assert_true(ws_tcp_fold(&c, payload, &a->brief, &a->gaps));
    s->next[0][0] = before;
    struct ws_tcp_segment seg = {.data = byte, .len = 8, .wire_len = 8,
        .meta = {.seq = ws_seq_of(c.dir[0].seq0, edge - 4), .ack = 201, .window = 9, .flags = WS_TCP_ACK}};
    push_brief(s, 0, 0, &seg);
    assert_true(a->brief.is_whole);
    assert_int_equal(s->next[0][0], before + 8);
    seg.meta.seq += 8;
    push_brief(s, 0, 0, &seg);
    assert_int_equal(s->next[0][0], before + 16);
    close_brief(s, 0, &c, payload);
    assert_int_equal(payload[0], before + 16);
    assert_int_equal(ws_tcp_dir_length(&c.dir[0]), before + 16);
    /* the peer's ACKs are not seen any more: 2 GiB on, the difference has no place */
    c = (struct ws_tcp_conn){.state = WS_TCP_OPEN};
    c.dir[0].flags = DIR_SYNCED | DIR_STARTED | DIR_SEEN | DIR_ACKED;
    c.dir[0].base = c.dir[0].acked = WS_SEQ_BIAS;
    c.dir[0].next = c.dir[0].top = WS_SEQ_BIAS + INT32_MAX;
    payload[0] = payload[1] = 0;
    assert_true(ws_tcp_fold(&c, payload, &a->brief, &a->gaps));
    c.dir[0].next = ++c.dir[0].top;
    assert_false(ws_tcp_fold(&c, payload, &a->brief, &a->gaps));
    close_side(s);
}

int main(void)
{
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
    printf("SEED=%u\n", seed);
    srand(seed);
    static unsigned want[] = {0, WS_TCP_WANT_GAPS, WS_TCP_WANT_DATA, WS_TCP_WANT_SEGMENT,
                              WS_TCP_WANT_SEGMENT | WS_TCP_WANT_DATA | WS_TCP_WANT_GAPS};
    const struct CMUnitTest tests[] = {
        {"state_only", run, NULL, NULL, &want[0]}, {"gaps", run, NULL, NULL, &want[1]},
        {"bytes", run, NULL, NULL, &want[2]},      {"segments", run, NULL, NULL, &want[3]},
        {"all", run, NULL, NULL, &want[4]},        cmocka_unit_test(full_pool),
        cmocka_unit_test(reset_behind_fin),        cmocka_unit_test(holes_for_ever),
        cmocka_unit_test(outgrown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
