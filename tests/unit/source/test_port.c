/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of ports that need no device: --dev strings and the calibration of NIC clocks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "source/port_clock.h"
#include "source/port_devargs.h"

static void names_get_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *args;
        bool pci, pcap;
    } t[] = {
        {"net_pcap,rx_pcap=f.pcap", "net_pcap4", ",rx_pcap=f.pcap", false, true},
        {"net_pcap0,rx_pcap=f.pcap", "net_pcap0", ",rx_pcap=f.pcap", false, true},
        {"net_pcap12", "net_pcap12", "", false, true},
        {"eth_pcap", "eth_pcap4", "", false, true},
        {"net_af_packet,iface=e0", "net_af_packet4", ",iface=e0", false, false},
        {"net_ring_x", "net_ring_x4", "", false, false},
        {"0000:3b:00.1", "0000:3b:00.1", "", true, false},
        {"3b:00.1,mprq_en=1", "3b:00.1", ",mprq_en=1", true, false},
    };
    for (size_t i = 0; i < WS_ARRAY_SIZE(t); i++) {
        struct ws_port_devargs d;
        assert_int_equal(ws_port_devargs_parse(&d, t[i].text, 4), 0);
        assert_string_equal(d.name, t[i].name);
        assert_string_equal(d.args, t[i].args);
        assert_int_equal(d.pci, t[i].pci);
        assert_int_equal(d.pcap, t[i].pcap);
    }
}

static void pairs_are_found(void **state)
{
    (void)state;
    struct ws_port_devargs d;
    assert_int_equal(ws_port_devargs_parse(
                         &d, "net_pcap,rx_pcap=a,tx_pcap=t,rx_pcap=/b/c.pcap,infinite_rx=1", 0),
                     0);
    assert_int_equal(d.rx_files, 2);
    assert_int_equal(d.rx_ifaces, 0);
    assert_true(d.infinite);
    assert_int_equal(d.file[0].len, 1);
    assert_memory_equal(d.file[1].path, "/b/c.pcap", 9);
    assert_int_equal(d.file[1].len, 9);

    assert_int_equal(ws_port_devargs_parse(&d, "net_pcap,rx_iface=eth0,rx_iface_in=eth1", 0), 0);
    assert_int_equal(d.rx_ifaces, 2);
    assert_string_equal(d.iface, "eth0");

    assert_int_equal(
        ws_port_devargs_parse(&d, "net_af_packet,iface=e0,framesz=4096,blocksz=8192", 0), 0);
    assert_true(d.af_packet && d.block_given);
    assert_int_equal(d.frame_bytes, 4096);

    /* a key must be whole, a value may be empty or missing, an interface's name may be too long */
    assert_int_equal(
        ws_port_devargs_parse(&d, "net_pcap,xrx_pcap=a,rx_pcap,rx_pcap=,infinite_rx=0,,", 0), 0);
    assert_int_equal(d.rx_files, 1);
    assert_int_equal(d.file[0].len, 0);
    assert_false(d.infinite);
    assert_int_equal(
        ws_port_devargs_parse(
            &d, "net_tap,iface=abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", 0),
        0);
    assert_int_equal(strlen(d.iface), 31);
}

static void bounds_are_kept(void **state)
{
    (void)state;
    struct ws_port_devargs d;
    char text[1024];
    assert_int_equal(ws_port_devargs_parse(&d, "", 0), -EINVAL);
    assert_int_equal(ws_port_devargs_parse(&d, ",rx_pcap=a", 0), -EINVAL);
    memset(text, 'n', 200);
    text[200] = '\0';
    assert_int_equal(ws_port_devargs_parse(&d, text, 0), -E2BIG);
    strcpy(text, "net_pcap");
    for (unsigned i = 0; i < WS_PORT_FILES_MAX; i++)
        strcat(text, ",rx_pcap=f");
    assert_int_equal(ws_port_devargs_parse(&d, text, 0), 0);
    assert_int_equal(d.rx_files, WS_PORT_FILES_MAX);
    strcat(text, ",rx_pcap=f");
    assert_int_equal(ws_port_devargs_parse(&d, text, 0), -E2BIG);
}

/* A clock of 156.25 MHz that is 20 ppm fast, read once a second with up to 2 us of error. */
static void clock_follows(void **state)
{
    (void)state;
    const double hz = 156250000.0 * 1.00002;
    const int64_t start = INT64_C(1700000000123456789);
    struct ws_port_clock c = {0};
    assert_false(ws_port_clock_ready(&c));
    ws_port_clock_update(&c, 1000, start);
    assert_false(ws_port_clock_ready(&c));
    for (int s = 1; s <= 3600; s++) {
        const uint64_t ticks = 1000 + (uint64_t)(hz * s);
        const int64_t error = (s * 7919) % 4001 - 2000;
        ws_port_clock_update(&c, ticks, start + INT64_C(1000000000) * s + error);
        assert_true(ws_port_clock_ready(&c));
        /* half a second on, and half a second back */
        for (int half = -1; half <= 1; half += 2) {
            const uint64_t at = ticks + (uint64_t)(int64_t)(hz / 2 * half);
            const int64_t want = start + INT64_C(1000000000) * s + INT64_C(500000000) * half;
            const int64_t off = ws_port_clock_ns(&c, at) - want;
            assert_true(off > -4100 && off < 4100);
        }
    }
    /* after an hour the slope is right to 2 us in 3600 s */
    const double slope = 1e9 / hz;
    assert_true(c.ns_per_tick > slope * (1 - 2e-9) && c.ns_per_tick < slope * (1 + 2e-9));
}

static void clock_reset_is_noticed(void **state)
{
    (void)state;
    struct ws_port_clock c = {0};
    ws_port_clock_update(&c, 5000, 1000000000);
    ws_port_clock_update(&c, 6000, 1000001000);
    assert_int_equal(ws_port_clock_ns(&c, 6500), 1000001500);
    assert_int_equal(ws_port_clock_ns(&c, 5500), 1000000500);
    ws_port_clock_update(&c, 10, 1000002000);
    assert_false(ws_port_clock_ready(&c));
    ws_port_clock_update(&c, 1010, 1000003000);
    assert_int_equal(ws_port_clock_ns(&c, 2010), 1000004000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_get_numbers),      cmocka_unit_test(pairs_are_found),
        cmocka_unit_test(bounds_are_kept),        cmocka_unit_test(clock_follows),
        cmocka_unit_test(clock_reset_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
