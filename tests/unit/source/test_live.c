/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernel interfaces through libpcap: datagrams sent over the loopback come out; needs the right to
 * capture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "source/live.h"

enum {
    SKIP = 77,
    DATAGRAMS = 200,
    POLLS_MAX = 3000, /* of a ms each: only a failing test waits so long */
    ETHERNET = 1,
    LINUX_SLL2 = 276,
};

static uint16_t port; /* of the receiver, ours alone while it is open */

/* A UDP socket on the loopback; its port goes into the filter. */
static int open_receiver(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    port = ntohs(a.sin_port);
    return fd;
}

/* Datagram i has 100 + i bytes, all of them i. */
static void send_datagrams(int fd)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint8_t data[100 + DATAGRAMS];
    for (int i = 0; i < DATAGRAMS; i++) {
        memset(data, i, sizeof(data));
        ssize_t n = sendto(fd, data, (size_t)(100 + i), 0, (struct sockaddr *)&a, sizeof(a));
        assert_int_equal(n, 100 + i);
    }
}

/* The loopback shows a datagram when it leaves and when it comes, where the kernel says which. */
static void check_packet(const struct ws_packet *k, unsigned i, uint32_t snaplen)
{
    size_t head = k->link_type == ETHERNET ? 14 : 20;
    size_t off = head + 28; /* IPv4 and UDP headers */
    uint32_t size = k->wire_len - (uint32_t)off;
    assert_true(size >= 100 && size < 100 + DATAGRAMS);
    assert_int_equal(k->cap_len, WS_MIN(k->wire_len, snaplen));
    assert_int_equal((k->flags & WS_PKT_SNAPPED) != 0, k->wire_len > snaplen);
    assert_int_equal(k->data[off], size - 100);
    assert_int_equal(k->data[k->cap_len - 1], size - 100);
    assert_int_equal(k->ordinal, i);
    assert_int_equal(k->device, 3);
    assert_true(k->clock_ns >= k->ts_ns);
    assert_true(k->ts_ns > INT64_C(1500000000) * 1000000000);
}

static void capture(const char *iface, uint16_t link_type, uint32_t snaplen)
{
    struct ws_source *s;
    struct ws_packet pkt[WS_BURST_MAX];
    struct ws_counters counters = {0};
    char err[256], filter[64];
    unsigned total = 0, n_iface, last = 0;
    int fd = open_receiver();
    snprintf(filter, sizeof(filter), "udp dst port %u", port);
    struct ws_live_config cfg = {.iface = iface,
                                 .snaplen = snaplen,
                                 .buffer_bytes = 4 << 20,
                                 .filter = filter,
                                 .device_id = 3};
    int r = ws_live_open(&s, &cfg, err, sizeof(err));
    if (r)
        fail_msg("%s", err);
    assert_false(s->can_wait);
    send_datagrams(fd);
    for (int i = 0; i < POLLS_MAX && last != DATAGRAMS - 1; i++) {
        int n = ws_source_rx(s, pkt, 16);
        assert_true(n >= 0 && n <= 16);
        for (int k = 0; k < n; k++) {
            check_packet(&pkt[k], total++, snaplen);
            last = pkt[k].data[pkt[k].cap_len - 1];
        }
        if (n == 0)
            poll(NULL, 0, 1);
    }
    assert_true(total >= DATAGRAMS);
    const struct ws_source_iface *f = s->ops->ifaces(s, &n_iface);
    s->ops->stats(s, &counters);
    assert_int_equal(n_iface, 1);
    assert_string_equal(f->name, iface);
    assert_int_equal(f->link_type, link_type);
    assert_true(f->received >= DATAGRAMS);
    assert_int_equal(f->dropped, 0);
    assert_int_equal(ws_count_get(&counters, WS_C_PORT_MISSED), 0);
    assert_false(s->damaged);
    s->ops->close(s);
    close(fd);
}

static void loopback(void **state)
{
    (void)state;
    capture("lo", ETHERNET, 65535);
}

static void snap_length(void **state)
{
    (void)state;
    capture("lo", ETHERNET, 180);
}

static void all_interfaces(void **state)
{
    (void)state;
    capture("any", LINUX_SLL2, 65535);
}

static void what_cannot_be_opened(void **state)
{
    struct ws_source *s;
    char err[256];
    struct ws_live_config cfg = {.iface = "nonexistent0"};
    (void)state;
    assert_int_equal(ws_live_open(&s, &cfg, err, sizeof(err)), -ENODEV);
    assert_string_equal(err, "nonexistent0: no such interface");
    cfg = (struct ws_live_config){.iface = "lo", .filter = "no such filter"};
    assert_int_equal(ws_live_open(&s, &cfg, err, sizeof(err)), -EINVAL);
    assert_memory_equal(err, "filter: ", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback),
        cmocka_unit_test(snap_length),
        cmocka_unit_test(all_interfaces),
        cmocka_unit_test(what_cannot_be_opened),
    };
    struct ws_source *s;
    char err[256];
    struct ws_live_config cfg = {.iface = "lo"};
    int r = ws_live_open(&s, &cfg, err, sizeof(err));
    if (r) {
        printf("skipped: %s\n", err);
        return SKIP;
    }
    s->ops->close(s);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
