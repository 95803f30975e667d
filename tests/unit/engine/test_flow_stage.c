/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow stage over hand-made frames: which flows there are, and what sinks are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow_stage.h"
#include "engine/ledger.h"
#include "../packet/build.h"

static const uint8_t A4[4] = {10, 0, 0, 1}, B4[4] = {10, 0, 0, 2};

/* A sink that writes what it is shown as text: "open", "p0" packet of direction 0, "d1@0:abc" data,
 * "g0@3+5" gap, "close(cause):packets". */
struct spy {
    struct ws_sink sink;
    char log[4096];
};

static void note(struct spy *s, const char *fmt, ...) WS_PRINTF(2, 3);

static void note(struct spy *s, const char *fmt, ...)
{
    size_t n = strlen(s->log);
    va_list ap;
    if (n)
        s->log[n++] = ' ';
    va_start(ap, fmt);
    vsnprintf(s->log + n, sizeof(s->log) - n, fmt, ap);
    va_end(ap);
}

static void spy_open(struct ws_sink *s, struct ws_flow *f)
{
    note((struct spy *)(void *)s, "open%u", f->orig);
}

static void spy_packet(struct ws_sink *s, struct ws_flow *f, const struct ws_packet *p)
{
    if (f)
        note((struct spy *)(void *)s, "p%u", p->dir);
    else
        note((struct spy *)(void *)s, "p-");
}

static void spy_data(struct ws_sink *s, struct ws_flow *f, unsigned dir, uint64_t off,
                     const uint8_t *data, uint32_t len, const struct ws_tcp_meta *meta)
{
    (void)f;
    (void)meta;
    note((struct spy *)(void *)s, "d%u@%llu:%.*s", dir, (unsigned long long)off, (int)len,
         (const char *)data);
}

static void spy_gap(struct ws_sink *s, struct ws_flow *f, unsigned dir, uint64_t off, uint64_t len,
                    enum ws_gap_cause cause)
{
    (void)f;
    (void)cause;
    note((struct spy *)(void *)s, "g%u@%llu+%llu", dir, (unsigned long long)off,
         (unsigned long long)len);
}

static void spy_close(struct ws_sink *s, struct ws_flow *f, const struct ws_tcp_conn *c,
                      enum ws_flow_cause cause)
{
    static const char *const names[] = {"end", "idle", "reused", "evicted", "finished"};
    assert_true((c != NULL) == (f->key.proto == 6));
    note((struct spy *)(void *)s, "close(%s):%llu+%llu", names[cause],
         (unsigned long long)f->packets[0], (unsigned long long)f->packets[1]);
}

static void spy_restart(struct ws_sink *s, struct ws_flow *f)
{
    (void)f;
    note((struct spy *)(void *)s, "restart");
}

static void spy_first(struct ws_sink *s, struct ws_flow *f, const struct ws_packet *p)
{
    (void)f;
    note((struct spy *)(void *)s, "first%u:%x", p->dir, p->tcp_flags);
}

static const struct ws_sink_ops spy_ops = {
    .restart = spy_restart,
    .first = spy_first,
    .flow_open = spy_open,
    .packet = spy_packet,
    .data = spy_data,
    .gap = spy_gap,
    .flow_close = spy_close,
};

struct bed {
    struct ws_select select;
    struct ws_flow_ids ids;
    struct ws_counters counters;
    struct spy spy;
    struct ws_flow_stage *fs;
    void *mem;
    uint64_t ordinal;
    int64_t now_ns;
    bool per_tuple;
};

static struct bed bed;

static void start(unsigned needs, uint32_t flows_max)
{
    struct ws_sink *sink = &bed.spy.sink;
    bed.spy.sink.ops = &spy_ops;
    bed.spy.sink.needs = needs;
    struct ws_flow_stage_config cfg = {
        .sink = &sink, .n_sink = 1, .select = &bed.select, .ids = &bed.ids,
        .counters = &bed.counters, .udp = true, .tcp = ws_tcp_defaults, .per_tuple = bed.per_tuple,
        .flow = {.flows_max = flows_max, .seed = 1,
                 .timeout_ns = {10000000000, 10000000000, 10000000000, 60000000000}},
    };
    if (bed.per_tuple)
        memset(cfg.flow.timeout_ns, 0, sizeof(cfg.flow.timeout_ns));
    cfg.tcp.nodes_max = 64;
    cfg.tcp.bytes_max = 65536;
    size_t bytes = ws_align_up(ws_flow_stage_bytes(&cfg), 64);
    bed.mem = aligned_alloc(64, bytes);
    memset(bed.mem, 0, bytes);
    bed.fs = ws_flow_stage_init(bed.mem, &cfg);
}

static int set_up(void **state)
{
    (void)state;
    memset(&bed, 0, sizeof(bed));
    ws_select_init(&bed.select);
    bed.now_ns = 1000000000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(bed.mem);
    return 0;
}

static void push(const struct build *b)
{
    struct ws_packet p = build_packet(b, 1);
    const struct ws_packet *pp = &p;
    p.ts_ns = p.clock_ns = bed.now_ns += 1000000;
    p.ordinal = bed.ordinal++;
    ws_decode(&p, &ws_decode_defaults);
    ws_flow_stage_burst(bed.fs, &pp, 1);
    ws_count(&bed.counters, WS_C_RX_PACKETS, 1);
    if (p.status == WS_DECODE_NON_IP)
        ws_count(&bed.counters, WS_C_NON_FLOW, 1);
}

/* A segment: a to b when forward. Port 80 is B's. */
static void tcp(bool forward, uint16_t port, uint32_t seq, uint32_t ack, uint8_t flags,
                const char *text)
{
    struct build b;
    build_start(&b);
    build_text(&b, text);
    build_tcp(&b, forward ? port : 80, forward ? 80 : port, seq, ack, flags);
    build_ip4(&b, forward ? A4 : B4, forward ? B4 : A4, 6);
    build_ether(&b, 0x0800);
    push(&b);
}

static void udp(bool forward, uint16_t port, const char *text)
{
    struct build b;
    build_start(&b);
    build_text(&b, text);
    build_udp(&b, forward ? port : 53, forward ? 53 : port);
    build_ip4(&b, forward ? A4 : B4, forward ? B4 : A4, 17);
    build_ether(&b, 0x0800);
    push(&b);
}

/* Ends the run; want: all that the sink was told, NULL where that is no matter. */
static void end(const char *want)
{
    struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS];
    ws_flow_stage_finish(bed.fs);
    if (want)
        assert_string_equal(bed.spy.log, want);
    assert_int_equal(ws_ledger_check(&bed.counters, eq), 0);
}

enum { ALL = WS_SINK_OPEN | WS_SINK_PACKET | WS_SINK_DATA | WS_SINK_CLOSE };
enum { NO_PACKETS = WS_SINK_OPEN | WS_SINK_DATA | WS_SINK_CLOSE };

static void a_connection(void **state)
{
    (void)state;
    start(ALL, 16);
    tcp(true, 1000, 99, 0, WS_TCP_SYN, "");
    tcp(false, 1000, 499, 100, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 100, 500, WS_TCP_ACK, "abc");
    tcp(false, 1000, 500, 103, WS_TCP_ACK, "xy");
    end("open0 p0 p1 p0 d0@0:abc p1 d1@0:xy close(end):2+2");
}

/* Its ports tell the flow, in which the frame counts; its flags and bytes are nobody's. */
static void a_cut_tcp_header(void **state)
{
    struct build b;
    (void)state;
    start(ALL, 16);
    for (unsigned i = 0; i < 4; i++) {
        build_start(&b);
        build_text(&b, "never");
        build_tcp(&b, i & 1 ? 80 : 1000, i & 1 ? 1000 : 80, 103, 500, i == 2 ? WS_TCP_RST : WS_TCP_ACK);
        build_ip4(&b, i & 1 ? B4 : A4, i & 1 ? A4 : B4, 6);
        build_ether(&b, 0x0800);
        struct ws_packet p = build_packet(&b, 1);
        const struct ws_packet *pp = &p;
        p.cap_len = 14 + 20 + 4 + 5 * i; /* the last one lacks a byte */
        p.ts_ns = p.clock_ns = bed.now_ns += 1000000;
        p.ordinal = bed.ordinal++;
        assert_int_equal(ws_decode(&p, &ws_decode_defaults), WS_DECODE_OK);
        ws_flow_stage_burst(bed.fs, &pp, 1);
        ws_count(&bed.counters, WS_C_RX_PACKETS, 1);
        if (i == 1)
            tcp(true, 1000, 99, 0, WS_TCP_SYN, "");
    }
    tcp(false, 1000, 499, 100, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 100, 500, WS_TCP_ACK, "abc");
    end("open0 p0 p1 p0 p0 p1 p1 p0 d0@0:abc close(end):4+3");
    assert_int_equal(ws_count_get(&bed.counters, WS_C_TCP_SEGMENTS), 3);
    assert_int_equal(ws_count_get(&bed.counters, WS_C_PAYLOAD_SEEN), 3);
    assert_int_equal(ws_count_get(&bed.counters, WS_C_UDP_BYTES), 0);
}

static void datagrams_and_other_frames(void **state)
{
    struct build b;
    (void)state;
    start(ALL, 16);
    udp(true, 1000, "q");
    udp(false, 1000, "rr");
    udp(true, 1000, "s");
    build_start(&b);
    build_fill(&b, 0, 28);
    build_ether(&b, 0x0806);
    push(&b);
    end("open0 p0 d0@0:q p1 d1@0:rr p0 d0@1:s p- close(end):2+1");
}

static void a_selection_hides_the_rest(void **state)
{
    struct build b;
    char err[100];
    (void)state;
    assert_int_equal(ws_select_add_port(&bed.select, "1001", err, sizeof(err)), 0);
    start(ALL, 16);
    udp(true, 1000, "no");
    udp(true, 1001, "yes");
    build_start(&b);
    build_fill(&b, 0, 28);
    build_ether(&b, 0x0806);
    push(&b);
    end("open0 open0 p0 d0@0:yes close(end):1+0 close(end):1+0");
}

static void one_way(void **state)
{
    static const uint64_t first[] = {0};
    static const uint8_t dirs[] = {2};
    (void)state;
    bed.select.by_flow = true;
    bed.select.flow_ordinal = first;
    bed.select.flow_dirs = dirs;
    bed.select.n_flow = 1;
    start(ALL, 16);
    udp(true, 1000, "q");
    udp(false, 1000, "r");
    end("open0 p1 d1@0:r close(end):1+1");
}

static void silence_ends_a_flow(void **state)
{
    (void)state;
    start(NO_PACKETS, 16);
    udp(true, 1000, "a");
    bed.now_ns += 11000000000;
    udp(true, 1000, "b");
    end("open0 d0@0:a close(idle):1+0 open0 d0@0:b close(end):1+0");
    assert_int_equal(ws_count_get(&bed.counters, WS_C_FLOWS_IDLE), 1);
}

static void a_closed_tuple_is_reused_at_once(void **state)
{
    (void)state;
    start(NO_PACKETS, 16);
    tcp(true, 1000, 99, 0, WS_TCP_SYN, "");
    tcp(false, 1000, 499, 100, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 100, 500, WS_TCP_ACK | WS_TCP_FIN, "one");
    tcp(false, 1000, 500, 104, WS_TCP_ACK | WS_TCP_FIN, "");
    tcp(true, 1000, 9999, 0, WS_TCP_SYN, "");
    tcp(false, 1000, 7777, 10000, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 10000, 7778, WS_TCP_ACK, "two");
    end("open0 d0@0:one close(reused):2+2 open0 d0@0:two close(end):2+1");
}

static void a_lone_syn_changes_nothing_but_an_answered_one_does(void **state)
{
    (void)state;
    start(NO_PACKETS, 16);
    tcp(true, 1000, 99, 0, WS_TCP_SYN, "");
    tcp(false, 1000, 499, 100, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 100, 500, WS_TCP_ACK, "old");
    tcp(true, 1000, 50000000, 0, WS_TCP_SYN, ""); /* injected */
    tcp(true, 1000, 103, 500, WS_TCP_ACK, "still");
    tcp(true, 1000, 90000000, 0, WS_TCP_SYN, ""); /* the close was not captured */
    tcp(false, 1000, 70000000, 90000001, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 90000001, 70000001, WS_TCP_ACK, "new");
    /* the SYN of the new connection counts there */
    end("open0 d0@0:old d0@3:still close(reused):4+1 open0 d0@0:new close(end):2+1");
}

/* What is held of the old connection comes out before the new one begins; a gap is told. */
static void a_tuple_goes_on(void **state)
{
    (void)state;
    bed.per_tuple = true;
    start(NO_PACKETS | WS_SINK_FIRST, 16);
    tcp(true, 1000, 99, 0, WS_TCP_SYN, "");
    tcp(false, 1000, 499, 100, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 100, 500, WS_TCP_ACK, "one");
    tcp(true, 1000, 108, 500, WS_TCP_ACK | WS_TCP_FIN, "held");
    tcp(false, 1000, 500, 104, WS_TCP_ACK | WS_TCP_FIN, "");
    bed.now_ns += INT64_C(86400000000000);
    tcp(true, 1000, 9999, 0, WS_TCP_SYN, "");
    tcp(false, 1000, 7777, 10000, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 10000, 7778, WS_TCP_ACK, "two");
    end("open0 first0:2 first1:12 d0@0:one g0@3+5 d0@8:held restart d0@0:two close(end):5+3");
    assert_int_equal(ws_count_get(&bed.counters, WS_C_FLOWS_RESTARTED), 1);
    assert_int_equal(ws_count_get(&bed.counters, WS_C_FLOWS_CREATED), 1);
    assert_int_equal(ws_count_get(&bed.counters, WS_C_FLOW_DIRECTIONS), 2);
}

static void a_tuple_goes_on_with_a_candidate(void **state)
{
    (void)state;
    bed.per_tuple = true;
    start(NO_PACKETS, 16);
    tcp(true, 1000, 99, 0, WS_TCP_SYN, "");
    tcp(false, 1000, 499, 100, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 100, 500, WS_TCP_ACK, "old");
    tcp(true, 1000, 90000000, 0, WS_TCP_SYN, ""); /* the close was not captured */
    tcp(false, 1000, 70000000, 90000001, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 90000001, 70000001, WS_TCP_ACK, "new");
    end("open0 d0@0:old restart d0@0:new close(end):4+2");
}

static void a_full_table_evicts_and_still_tells(void **state)
{
    (void)state;
    start(NO_PACKETS, 2);
    udp(true, 1000, "a");
    udp(true, 1001, "b");
    udp(true, 1002, "c");
    end("open0 d0@0:a open0 d0@0:b close(evicted):1+0 open0 d0@0:c close(end):1+0 close(end):1+0");
    assert_int_equal(ws_count_get(&bed.counters, WS_C_FLOWS_EVICTED_SYN), 1);
}

/* A packet of no connection a tuple costs as little as a SYN, and buys no more. */
static void stray_segments_evict_each_other(void **state)
{
    (void)state;
    start(NO_PACKETS, 2);
    tcp(true, 1000, 99, 0, WS_TCP_SYN, "");
    tcp(false, 1000, 499, 100, WS_TCP_SYN | WS_TCP_ACK, "");
    tcp(true, 1000, 100, 500, WS_TCP_ACK, "old");
    bed.now_ns += 10000000;
    tcp(true, 1001, 7000, 1, WS_TCP_ACK, "x");
    tcp(true, 1002, 8000, 1, WS_TCP_ACK, "y");
    tcp(true, 1003, 9000, 1, WS_TCP_ACK, "z");
    assert_int_equal(ws_count_get(&bed.counters, WS_C_FLOWS_EVICTED_SYN), 2);
    assert_int_equal(ws_count_get(&bed.counters, WS_C_FLOWS_EVICTED), 0);
    tcp(false, 1000, 500, 103, WS_TCP_ACK, "still");
    assert_int_equal(ws_count_get(&bed.counters, WS_C_FLOWS_CREATED), 4);
    end(NULL);
}

/* A capture of one side, begun midstream: after a few packets it is a connection as good as any. */
static void one_sided_flows_become_established(void **state)
{
    (void)state;
    start(NO_PACKETS, 2);
    for (unsigned i = 0; i < 4; i++)
        tcp(true, 1000, 100 + i, 1, WS_TCP_ACK, "a");
    tcp(true, 1001, 7000, 1, WS_TCP_ACK, "x");
    tcp(true, 1002, 8000, 1, WS_TCP_ACK, "y"); /* takes 1001's place */
    tcp(true, 1000, 104, 1, WS_TCP_ACK, "b");
    assert_int_equal(ws_count_get(&bed.counters, WS_C_FLOWS_EVICTED_SYN), 1);
    assert_int_equal(ws_count_get(&bed.counters, WS_C_FLOWS_CREATED), 3);
    end(NULL);
}

static void an_evicted_stream_gives_what_it_held(void **state)
{
    (void)state;
    start(NO_PACKETS, 1);
    tcp(true, 1000, 99, 0, WS_TCP_SYN, "");
    tcp(true, 1000, 103, 0, WS_TCP_ACK, "late");
    udp(true, 1001, "b");
    end("open0 g0@0+3 d0@3:late close(evicted):2+0 open0 d0@0:b close(end):1+0");
}

static void many_of_one_flow_in_one_burst(void **state)
{
    static struct build b[3];
    struct ws_packet p[3];
    const struct ws_packet *pp[3];
    static const char *const text[] = {"x", "y", "z"};
    (void)state;
    start(NO_PACKETS, 16);
    for (unsigned i = 0; i < 3; i++) {
        build_start(&b[i]);
        build_text(&b[i], text[i]);
        build_udp(&b[i], 1000, 53);
        build_ip4(&b[i], A4, B4, 17);
        build_ether(&b[i], 0x0800);
        p[i] = build_packet(&b[i], 1);
        p[i].ordinal = i;
        ws_decode(&p[i], &ws_decode_defaults);
        pp[i] = &p[i];
        ws_count(&bed.counters, WS_C_RX_PACKETS, 1);
    }
    ws_flow_stage_burst(bed.fs, pp, 3);
    end("open0 d0@0:x d0@1:y d0@2:z close(end):3+0");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_connection),
        TEST(a_cut_tcp_header),
        TEST(datagrams_and_other_frames),
        TEST(a_selection_hides_the_rest),
        TEST(one_way),
        TEST(silence_ends_a_flow),
        TEST(a_closed_tuple_is_reused_at_once),
        TEST(a_lone_syn_changes_nothing_but_an_answered_one_does),
        TEST(a_tuple_goes_on),
        TEST(a_tuple_goes_on_with_a_candidate),
        TEST(a_full_table_evicts_and_still_tells),
        TEST(stray_segments_evict_each_other),
        TEST(one_sided_flows_become_established),
        TEST(an_evicted_stream_gives_what_it_held),
        TEST(many_of_one_flow_in_one_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
