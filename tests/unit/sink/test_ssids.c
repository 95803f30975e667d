/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of wireless networks: counts, order, several sinks, the full table. */
#include "rig.h"

#include <stdlib.h>

#include "sink/ssids.h"

/* A beacon or probe response of access point ap with a name. */
static void announce(struct rig *r, uint8_t type, uint32_t ap, const char *name, uint8_t channel)
{
    uint8_t frame[128] = {type};
    uint32_t len = 24 + 12;
    frame[16] = (uint8_t)(ap >> 16);
    frame[17] = (uint8_t)(ap >> 8);
    frame[18] = (uint8_t)ap;
    frame[len + 1] = (uint8_t)strlen(name);
    memcpy(frame + len + 2, name, strlen(name));
    len += 2 + (uint32_t)strlen(name);
    if (channel) {
        frame[len] = 3;
        frame[len + 1] = 1;
        frame[len + 2] = channel;
        len += 3;
    }
    struct ws_packet p = {.data = frame, .cap_len = len, .wire_len = len, .link_type = 105};
    r->sink->ops->packet(r->sink, NULL, &p);
}

static void test_list(void **state)
{
    struct rig a = {0}, b = {0};
    struct ws_ssid *list;
    size_t n;
    (void)state;
    assert_int_equal(ws_sink_ssids_create(&a.sink, true), 0);
    assert_int_equal(ws_sink_ssids_create(&b.sink, true), 0);
    a.sink->counters = &a.counters;
    b.sink->counters = &b.counters;
    announce(&a, 0x80, 2, "two", 0);
    announce(&b, 0x80, 2, "two", 11);
    announce(&b, 0x50, 2, "two", 6);
    announce(&b, 0x80, 1, "z", 0);
    announce(&a, 0x80, 1, "a", 0);
    announce(&a, 0x80, 1, "", 0);
    announce(&a, 0x40, 1, "request", 0);                             /* neither */
    announce(&a, 0x80, 1, "a name of more than 32 bytes is one", 0); /* bad */
    struct ws_sink *const sinks[] = {a.sink, NULL, b.sink};
    assert_int_equal(ws_ssids_list(sinks, 3, &list, &n), 0);
    assert_int_equal(n, 4);
    static const char *const names[] = {"", "a", "z", "two"};
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(list[i].network.ssid, names[i], strlen(names[i]) + 1);
    assert_int_equal(list[3].beacons, 2);
    assert_int_equal(list[3].responses, 1);
    assert_int_equal(list[3].network.channel, 6);
    assert_int_equal(list[0].beacons, 1);
    assert_int_equal(ws_count_get(&a.counters, WS_C_BEACONS_BAD), 1);
    free(list);
    a.sink->ops->destroy(a.sink);
    b.sink->ops->destroy(b.sink);
}

static void test_full(void **state)
{
    struct rig r = {0};
    struct ws_ssid *list;
    size_t n;
    (void)state;
    assert_int_equal(ws_sink_ssids_create(&r.sink, false), 0);
    r.sink->counters = &r.counters;
    for (uint32_t i = 0; i < WS_SSIDS_MAX + 1000; i++)
        announce(&r, 0x80, i, "x", 0);
    announce(&r, 0x80, 5, "x", 0); /* known: goes on */
    assert_int_equal(ws_ssids_list(&r.sink, 1, &list, &n), 0);
    assert_true(n <= WS_SSIDS_MAX);
    assert_true(n > WS_SSIDS_MAX - 100); /* few were crowded out before */
    assert_int_equal(n + ws_count_get(&r.counters, WS_C_SSIDS_FULL), WS_SSIDS_MAX + 1000);
    assert_int_equal(list[5].beacons, 2);
    free(list);
    r.sink->ops->destroy(r.sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_list), cmocka_unit_test(test_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
