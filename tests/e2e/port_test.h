/* SPDX-License-Identifier: BSD-3-Clause */
/* What the port tests share: checks, skips, a runtime with a port, and networks of namespaces. */
#ifndef WS_TESTS_PORT_TEST_H
#define WS_TESTS_PORT_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "engine/runtime.h"
#include "source/port.h"

#define SKIP 77

#define CHECK(cond, ...)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: failed: %s: ", __FILE__, __LINE__, #cond);                     \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Starts EAL with threads and memory for cfg (NULL: a little); ends the test on failure. */
struct ws_runtime *test_runtime(unsigned threads, const struct ws_port_config *cfg);

/* Opens and starts; ends the test on failure. */
struct ws_port *test_port(const struct ws_port_config *cfg);

/* The monitor's namespace, where this process now is, has an interface "mon" that gets a copy of
 * all that a client and a server in two other namespaces say to each other over a hub. */
struct test_net {
    pid_t server, client;
    int go; /* one byte starts the client */
};

/* What the client and the server exchange, once told: UDP_COUNT datagrams (numbered; number * 7 %
 * 1400 + 4 bytes), VLAN_COUNT frames with VLAN 7 and priority 5, and TCP_BYTES of pattern in each
 * direction. */
#define TEST_UDP_COUNT  500u
#define TEST_VLAN_COUNT 20u
#define TEST_TCP_BYTES                                                                             \
    (256u << 10) /* so little that no device ring overflows, however slow the monitor is */
#define TEST_PORT 4433u

/* Byte at offset of the stream in direction dir (0: from the client). */
static inline unsigned char test_pattern(size_t offset, int dir)
{
    return (unsigned char)(offset * 31 + (offset >> 8) + (size_t)dir * 101);
}

/* Before EAL starts. Returns SKIP with a reason said, or 0. jumbo_ok: the monitor takes what the
 * kernel aggregates; else the ends are told to send frames as on a wire. */
int test_net_start(struct test_net *net, int jumbo_ok);

/* Lets the client go. */
void test_net_go(struct test_net *net);

/* True once both have ended. */
int test_net_over(const struct test_net *net);

/* Waits for both; ends the test if one failed. */
void test_net_end(struct test_net *net);

/* Runs a command line; its exit code. */
int test_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

int case_af_packet(void);
int case_af_packet_queues(void);
int case_af_xdp(void);
int case_pcap_iface(void);
int case_gone(void);
int case_tap(void);

#endif
