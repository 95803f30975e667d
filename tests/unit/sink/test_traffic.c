/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts for a picture of the traffic: totals, bins that grow, heavy hitters against a naive twin,
 * merging. */
#include "rig.h"

#include <stdlib.h>

#include "packet/decode.h"
#include "sink/traffic.h"

#define S INT64_C(1000000000)

static uint64_t random_state;

static uint64_t draw(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state >> 33;
}

static struct ws_packet packet(int64_t ts_ns, uint8_t from, uint8_t to, uint16_t sport,
                               uint16_t dport, uint32_t len)
{
    struct ws_packet p = {.ts_ns = ts_ns, .wire_len = len, .flags = WS_PKT_IP, .link_type = 1};
    p.dir = from > to;
    p.key.ip_version = 4;
    p.key.proto = 6;
    p.key.addr[p.dir][0] = from;
    p.key.addr[!p.dir][0] = to;
    p.key.port[p.dir] = sport;
    p.key.port[!p.dir] = dport;
    return p;
}

static void test_totals(void **state)
{
    static const uint8_t arp[] = {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 0x81, 0, 0, 9, 8, 6, 0, 1};
    struct ws_packet frame = {
        .ts_ns = 5, .wire_len = 60, .link_type = 1, .data = arp, .cap_len = sizeof(arp)};
    struct ws_sink *s;
    struct ws_counters counters = {0};
    uint16_t port[4];
    (void)state;
    assert_int_equal(ws_sink_traffic_create(&s, &(struct ws_sink_traffic_config){0}), 0);
    assert_int_equal(s->needs, WS_SINK_PACKET);
    s->counters = &counters;
    const struct ws_traffic *t = ws_sink_traffic_counts(s);
    struct ws_packet p = packet(7, 9, 3, 443, 50000, 1000);
    s->ops->packet(s, NULL, &p);
    p = packet(-7, 3, 9, 50000, 443, 100);
    p.vlan_tci = 5;
    p.key.tunnel_type = WS_TUNNEL_GRE;
    s->ops->packet(s, NULL, &p);
    p.flags |= WS_PKT_DATAGRAM; /* its fragments' frames were counted */
    s->ops->packet(s, NULL, &p);
    frame.status = WS_DECODE_NON_IP;
    s->ops->packet(s, NULL, &frame);
    frame.cap_len = 17; /* cut inside the EtherType */
    s->ops->packet(s, NULL, &frame);
    s->ops->finish(s);
    assert_int_equal(t->all.packets, 4);
    assert_int_equal(t->all.bytes, 1220);
    assert_int_equal(t->layer[WS_TRAFFIC_IP4].bytes, 1100);
    assert_int_equal(t->layer[WS_TRAFFIC_ARP].packets, 1);
    assert_int_equal(t->layer[WS_TRAFFIC_OTHER].packets, 1);
    assert_int_equal(t->proto[6].packets, 2);
    assert_int_equal(t->vlan.bytes, 100);
    assert_int_equal(t->tunnel.packets, 1);
    assert_int_equal(t->first_ns, -7);
    assert_int_equal(t->last_ns, 7);
    assert_int_equal(t->port[443][0], 1000);
    assert_int_equal(t->port[443][1], 100);
    assert_int_equal(ws_traffic_top_ports(t, 0, port, 4), 2);
    assert_int_equal(port[0], 443);
    assert_int_equal(port[1], 50000);
    assert_int_equal(ws_count_get(&counters, WS_C_CHART_ADDRESSES_FULL), 0);
    s->ops->destroy(s);
}

static void test_service(void **state)
{
    struct rig_flow f;
    (void)state;
    rig_flow_init(&f, 0);
    struct {
        uint16_t from, to, service;
    } c[] = {{50000, 443, 443},   {443, 50000, 443}, {8080, 40000, 8080},
             {40000, 8080, 8080}, {53, 53, 53},      {0, 7, 7}};
    for (size_t i = 0; i < WS_ARRAY_SIZE(c); i++) {
        struct ws_packet p = packet(0, 1, 2, c[i].from, c[i].to, 1);
        assert_int_equal(ws_traffic_service(NULL, &p), c[i].service);
    }
    /* both ephemeral: where the first packet went, seen from either side */
    struct ws_packet p = packet(0, 1, 2, 60000, 50000, 1);
    f.flow.orig = 0;
    assert_int_equal(ws_traffic_service(&f.flow, &p), 50000);
    p = packet(0, 2, 1, 50000, 60000, 1);
    assert_int_equal(ws_traffic_service(&f.flow, &p), 50000);
    f.flow.orig = 1;
    assert_int_equal(ws_traffic_service(&f.flow, &p), 60000);
    p.key.port[0] = p.key.port[1] = 0;
    assert_int_equal(ws_traffic_service(&f.flow, &p), WS_TIMELINE_NO_PORT);
}

static uint64_t bytes_of(const struct ws_time_bin *b, uint32_t port)
{
    for (uint32_t i = 0; i < b->n_port; i++)
        if (b->port[i].port == port)
            return b->port[i].bytes;
    return 0;
}

static void test_bins_grow(void **state)
{
    struct ws_timeline t;
    (void)state;
    assert_int_equal(ws_timeline_init(&t, 0), 0);
    assert_int_equal(ws_timeline_bins(&t), 0);
    ws_timeline_add(&t, 10 * S + 1, 80, 5);
    assert_int_equal(ws_timeline_bins(&t), 1);
    assert_int_equal(ws_timeline_width_ns(&t), 1000);
    assert_int_equal(ws_timeline_begin_ns(&t, 0), 10 * S);
    /* 2 s in at most 256 bins: 10 ms, after 2 and 1 ms did not do */
    ws_timeline_add(&t, 12 * S, 53, 7);
    assert_int_equal(ws_timeline_width_ns(&t), 10000000);
    assert_int_equal(ws_timeline_bins(&t), 201);
    /* before the first: no wider than needed */
    ws_timeline_add(&t, 10 * S - 1, 80, 1);
    assert_int_equal(ws_timeline_width_ns(&t), 10000000);
    assert_int_equal(ws_timeline_bins(&t), 202);
    assert_int_equal(bytes_of(ws_timeline_bin(&t, 0), 80), 1);
    assert_int_equal(bytes_of(ws_timeline_bin(&t, 1), 80), 5);
    assert_int_equal(ws_timeline_bin(&t, 2)->packets, 0);
    assert_int_equal(bytes_of(ws_timeline_bin(&t, 201), 53), 7);
    ws_timeline_fini(&t);
}

static void test_bins_all_time(void **state)
{
    struct ws_timeline t;
    uint64_t packets = 0;
    (void)state;
    assert_int_equal(ws_timeline_init(&t, 0), 0);
    ws_timeline_add(&t, INT64_MAX, 1, 1);
    ws_timeline_add(&t, INT64_MIN, 1, 1);
    ws_timeline_add(&t, 0, 1, 1);
    ws_timeline_add(&t, INT64_MIN, 1, 1);
    assert_true(ws_timeline_bins(&t) <= 256);
    for (uint32_t k = 0; k < ws_timeline_bins(&t); k++)
        packets += ws_timeline_bin(&t, k)->packets;
    assert_int_equal(packets, 4);
    assert_int_equal(ws_timeline_begin_ns(&t, 0), INT64_MIN);
    ws_timeline_fini(&t);
}

static void test_bin_ports_full(void **state)
{
    struct ws_timeline t;
    uint64_t listed = 0;
    (void)state;
    assert_int_equal(ws_timeline_init(&t, 0), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        ws_timeline_add(&t, 0, 80, 10);
        ws_timeline_add(&t, 0, 1000 + i, 1);
    }
    const struct ws_time_bin *b = ws_timeline_bin(&t, 0);
    assert_true(t.trims > 0);
    assert_true(b->n_port <= WS_TIMELINE_PORTS);
    assert_int_equal(b->bytes, 11000);
    for (uint32_t i = 0; i < b->n_port; i++)
        listed += b->port[i].bytes;
    assert_true(listed <= b->bytes);
    /* Misra-Gries: at most total / (places + 1) too low */
    assert_in_range(bytes_of(b, 80), 10000 - 11000 / (WS_TIMELINE_PORTS + 1), 10000);
    ws_timeline_fini(&t);
}

static void address(uint8_t out[16], uint32_t i)
{
    memset(out, 0, 16);
    memcpy(out, &i, sizeof(i));
}

/* Against exact counts: equal below the bound, between truth less missing and truth above it. */
static void twin(uint32_t addresses, uint32_t items_max)
{
    struct ws_heavy h, half;
    uint64_t *exact = calloc(addresses, sizeof(*exact));
    uint8_t a[16];
    uint32_t found = 0;
    assert_non_null(exact);
    assert_int_equal(ws_heavy_init(&h, items_max, 12345), 0);
    assert_int_equal(ws_heavy_init(&half, items_max, 999), 0);
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t who =
            (uint32_t)(draw() % (draw() % addresses + 1)); /* the lower ones are more frequent */
        uint64_t bytes = 1 + draw() % 1500;
        address(a, who);
        exact[who] += bytes;
        ws_heavy_add(i & 1 ? &h : &half, a, 4, bytes);
    }
    ws_heavy_merge(&h, &half);
    assert_true(h.n <= items_max);
    for (uint32_t k = 0; k <= h.mask; k++) {
        if (h.slot[k].bytes == 0)
            continue;
        uint32_t who;
        memcpy(&who, h.slot[k].addr, sizeof(who));
        assert_true(h.slot[k].bytes <= exact[who]);
        assert_true(h.slot[k].bytes + h.missing >= exact[who]);
        exact[who] |= UINT64_C(1) << 63; /* found */
        found++;
    }
    assert_int_equal(found, h.n);
    for (uint32_t i = 0; i < addresses; i++)
        assert_true(exact[i] >> 63 || exact[i] <= h.missing);
    if (addresses <= items_max)
        assert_int_equal(h.missing, 0);
    else
        assert_true(h.purges > 0);
    ws_heavy_fini(&h);
    ws_heavy_fini(&half);
    free(exact);
}

static void test_heavy(void **state)
{
    (void)state;
    random_state = 42;
    twin(90, 96);
    twin(3000, 3072);
    twin(3000, 500);
    twin(50000, 1000);
    twin(200, 64);
}

static void test_heavy_top(void **state)
{
    struct ws_heavy h;
    struct ws_heavy_item top[3];
    uint8_t a[16];
    (void)state;
    assert_int_equal(ws_heavy_init(&h, 0, 1), 0);
    assert_int_equal(ws_heavy_top(&h, top, 3), 0);
    for (uint32_t i = 0; i < 10; i++) {
        address(a, i);
        ws_heavy_add(&h, a, 4, i < 5 ? 100 : i);
        ws_heavy_add(&h, a, 6, 0); /* nothing: not an item */
    }
    assert_int_equal(h.n, 10);
    assert_int_equal(ws_heavy_top(&h, top, 3), 3);
    for (uint8_t i = 0; i < 3; i++) /* equal counts: by address */
        assert_int_equal(top[i].addr[0], i);
    ws_heavy_fini(&h);
}

/* The same packets in one count, and dealt to three in any order that are then merged. */
static void test_merge(void **state)
{
    enum { N = 5000, PARTS = 3 };
    struct ws_sink_traffic_config cfg = {.seed = 7};
    struct ws_traffic all, sum, part[PARTS];
    struct ws_heavy_item x[8], y[8];
    (void)state;
    random_state = 7;
    cfg.bins_max = 300;
    assert_int_equal(ws_traffic_init(&all, &cfg), 0);
    for (unsigned i = 0; i < PARTS; i++) {
        cfg.seed = i;
        assert_int_equal(ws_traffic_init(&part[i], &cfg), 0);
    }
    assert_int_equal(ws_traffic_init(&sum, &cfg), 0);
    for (unsigned i = 0; i < N; i++) {
        int64_t ts = -3 * S + (int64_t)(draw() % 1000000) * 1000 * (i < N / 2 ? 1 : 60);
        struct ws_packet p = packet(ts, (uint8_t)(draw() % 200), (uint8_t)(draw() % 200),
                                    (uint16_t)(draw() % 3), 7000, (uint32_t)(draw() % 1500));
        ws_traffic_add(&all, NULL, &p);
        ws_traffic_add(&part[i < 10 ? 2 : draw() % 2], NULL, &p);
    }
    for (unsigned i = 0; i < PARTS; i++)
        ws_traffic_merge(&sum, &part[i]);
    assert_int_equal(all.time.trims, 0);
    assert_int_equal(sum.time.trims, 0);
    assert_memory_equal(&all.all, &sum.all, sizeof(all.all));
    assert_memory_equal(all.proto, sum.proto, sizeof(all.proto));
    assert_memory_equal(all.port, sum.port, 65536 * sizeof(*all.port));
    assert_int_equal(all.first_ns, sum.first_ns);
    assert_int_equal(all.last_ns, sum.last_ns);
    assert_int_equal(ws_timeline_width_ns(&all.time), ws_timeline_width_ns(&sum.time));
    assert_int_equal(ws_timeline_bins(&all.time), ws_timeline_bins(&sum.time));
    for (uint32_t k = 0; k < ws_timeline_bins(&all.time); k++) {
        const struct ws_time_bin *a = ws_timeline_bin(&all.time, k),
                                 *b = ws_timeline_bin(&sum.time, k);
        assert_int_equal(a->packets, b->packets);
        assert_int_equal(a->bytes, b->bytes);
        assert_int_equal(a->n_port, b->n_port);
        for (uint32_t i = 0; i < a->n_port; i++)
            assert_int_equal(a->port[i].bytes, bytes_of(b, a->port[i].port));
    }
    assert_int_equal(ws_heavy_top(&all.src, x, 8), 8);
    assert_int_equal(ws_heavy_top(&sum.src, y, 8), 8);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(x[i].bytes, y[i].bytes);
        assert_memory_equal(x[i].addr, y[i].addr, 16);
    }
    ws_traffic_fini(&all);
    ws_traffic_fini(&sum);
    for (unsigned i = 0; i < PARTS; i++)
        ws_traffic_fini(&part[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals),         cmocka_unit_test(test_service),
        cmocka_unit_test(test_bins_grow),      cmocka_unit_test(test_bins_all_time),
        cmocka_unit_test(test_bin_ports_full), cmocka_unit_test(test_heavy),
        cmocka_unit_test(test_heavy_top),      cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
