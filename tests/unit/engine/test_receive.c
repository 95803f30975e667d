/* SPDX-License-Identifier: BSD-3-Clause */
/* The receive stage: what it sheds has one fate, and a shared limit ends no stage too early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/receive.h"

enum { SLOTS = 4 };

static const uint8_t arp[60] = {[12] = 0x08, [13] = 0x06};

static const uint8_t udp[60] = {
    [12] = 0x08, [13] = 0x00, [14] = 0x45, [17] = 28, [22] = 64, [23] = 17, [26] = 10,
    [29] = 1,    [30] = 10,   [33] = 2,    [35] = 7,  [37] = 9,  [39] = 8,
};

/* A middle fragment: its flow is never known. */
static const uint8_t piece[60] = {
    [12] = 0x08, [13] = 0x00, [14] = 0x45, [17] = 28, [20] = 0x20, [21] = 0x01,
    [22] = 64,   [23] = 17,   [26] = 10,   [29] = 1,  [30] = 10,   [33] = 2,
};

/* A device that has one burst of frames, each kind in turn, or none yet. */
struct device {
    struct ws_source source;
    unsigned frames;
    void (*before)(void); /* called when it is polled */
};

static int device_rx(struct ws_source *s, struct ws_packet *pkt, unsigned max)
{
    static const uint8_t *const kind[] = {arp, udp, piece};
    struct device *d = (struct device *)s;
    unsigned n = WS_MIN(max, d->frames);
    if (d->before)
        d->before();
    for (unsigned i = 0; i < n; i++)
        pkt[i] =
            (struct ws_packet){.data = kind[i % 3], .cap_len = 60, .wire_len = 60, .link_type = 1};
    d->frames -= n;
    return (int)n;
}

static const struct ws_source_ops device_ops = {.rx = device_rx};

struct rig {
    struct device device;
    struct ws_counters counters;
    struct ws_receive *stage;
    struct ws_steer_link *link;
    void *ring;
};

static _Atomic int stop;

static void no_drain(void *user, uint64_t low)
{
    (void)user;
    (void)low;
    fail_msg("a device cannot wait");
}

static void begin(struct rig *r, unsigned frames, struct ws_packet_budget *budget)
{
    static struct ws_select select;
    ws_select_init(&select);
    memset(r, 0, sizeof(*r));
    r->device = (struct device){.source = {.ops = &device_ops}, .frames = frames};
    struct ws_receive_config rc = {
        .source = {&r->device.source},
        .n_source = 1,
        .decode = ws_decode_defaults,
        .frag = ws_frag_defaults,
        .select = &select,
        .budget = budget,
        .workers = 1,
        .frames_all = true,
        .copy_chunks = 2,
        .counters = &r->counters,
        .stop = &stop,
        .drain = no_drain,
    };
    rc.frag.bytes_max = 1 << 20;
    size_t bytes = ws_align_up(ws_receive_bytes(&rc), 64);
    void *mem = aligned_alloc(64, bytes);
    memset(mem, 0, bytes);
    r->stage = ws_receive_init(mem, &rc);
    r->link = aligned_alloc(64, ws_align_up(sizeof(*r->link), 64));
    memset(r->link, 0, sizeof(*r->link));
    r->ring = aligned_alloc(64, ws_ring_bytes(SLOTS, sizeof(struct ws_packet)));
    ws_ring_init(&r->link->ring, r->ring, SLOTS, sizeof(struct ws_packet));
    ws_receive_set_link(r->stage, 0, r->link);
}

static void end(struct rig *r)
{
    ws_receive_fini(r->stage);
    free(r->stage);
    free(r->link);
    free(r->ring);
}

static uint64_t count(const struct rig *r, enum ws_counter c)
{
    return ws_count_get(&r->counters, c);
}

/* Nobody reads the ring: all but the first few frames are shed, and the ledger still balances. */
static void shed_once(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, 30, NULL);
    assert_int_equal(ws_receive_poll(r.stage), 30);
    uint64_t flow_frames = 0;
    for (size_t i = 0; i < ws_ring_count(&r.link->ring, SLOTS); i++) {
        const struct ws_packet *p = ws_ring_peek(&r.link->ring, i);
        flow_frames += p->status == WS_DECODE_OK && !(p->flags & WS_PKT_FRAGMENT);
    }
    assert_true(count(&r, WS_C_SHED_STEER) > 0);
    assert_true(count(&r, WS_C_SHED_OTHER) > 0);
    assert_int_equal(count(&r, WS_C_NON_FLOW), 10);
    assert_int_equal(count(&r, WS_C_SHED_STEER) + flow_frames, 10);
    assert_int_equal(count(&r, WS_C_FRAG_HELD) + count(&r, WS_C_UNDEC_FRAGMENT), 10);
    assert_int_equal(count(&r, WS_C_SHED_STEER) + count(&r, WS_C_SHED_OTHER), 30 - SLOTS);
    assert_int_equal(r.device.source.shed_steer, count(&r, WS_C_SHED_STEER));
    assert_int_equal(r.device.source.shed_other, count(&r, WS_C_SHED_OTHER));
    end(&r);
}

static struct rig other;

static void poll_other(void)
{
    ws_receive_poll(other.stage);
    assert_false(ws_receive_done(other.stage));
}

/* A stage that finds all packets of the limit reserved by an idle one goes on. */
static void shared_limit(void **state)
{
    struct rig r;
    struct ws_packet_budget budget;
    (void)state;
    atomic_init(&budget.left, 2);
    atomic_init(&budget.due, 2);
    begin(&r, 0, &budget);
    begin(&other, 5, &budget);
    r.device.before = poll_other;
    assert_int_equal(ws_receive_poll(r.stage), 0);
    assert_int_equal(ws_receive_poll(other.stage), 2);
    assert_int_equal(ws_receive_poll(other.stage), 0);
    assert_int_equal(ws_receive_poll(r.stage), 0);
    assert_true(ws_receive_done(other.stage));
    assert_true(ws_receive_done(r.stage));
    end(&r);
    end(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shed_once),
        cmocka_unit_test(shared_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
