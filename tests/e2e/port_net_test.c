/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports on kernel interfaces, with real clients and servers in network namespaces of their own. */
#include "port_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

/* How long a case may take to see everything; it ends as soon as it has. */
#define DEADLINE_S 30

int test_run(const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    int rc = system(line);
    return rc >= 0 && WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static void nap_ms(long ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&ts, NULL);
}

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- the two ends ---- */

static void child_check(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    _exit(1);
}

static void send_all(int fd, size_t bytes, int dir)
{
    unsigned char buf[16384];
    for (size_t at = 0; at < bytes;) {
        size_t n = bytes - at < sizeof(buf) ? bytes - at : sizeof(buf);
        for (size_t i = 0; i < n; i++)
            buf[i] = test_pattern(at + i, dir);
        ssize_t done = send(fd, buf, n, MSG_NOSIGNAL);
        child_check(done > 0, "send");
        at += (size_t)done;
    }
}

static void recv_all(int fd, size_t bytes, int dir)
{
    unsigned char buf[16384];
    for (size_t at = 0; at < bytes;) {
        ssize_t n = recv(fd, buf, sizeof(buf), 0);
        child_check(n > 0, "recv");
        for (ssize_t i = 0; i < n; i++)
            child_check(buf[i] == test_pattern(at + (size_t)i, dir), "content");
        at += (size_t)n;
    }
}

static struct sockaddr_in server_address(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(TEST_PORT)};
    inet_pton(AF_INET, "10.77.0.1", &a.sin_addr);
    return a;
}

static void be_server(int ready)
{
    struct sockaddr_in a = server_address();
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    child_check(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "bind");
    child_check(bind(udp, (struct sockaddr *)&a, sizeof(a)) == 0, "bind udp");
    child_check(listen(fd, 1) == 0, "listen");
    child_check(write(ready, "r", 1) == 1, "ready");
    int conn = accept(fd, NULL, NULL);
    child_check(conn >= 0, "accept");
    recv_all(conn, TEST_TCP_BYTES, 0);
    send_all(conn, TEST_TCP_BYTES, 1);
    close(conn);
    _exit(0);
}

/* Frames to a host that does not exist: the hub floods them, and only promiscuous ears hear them.
 */
static void send_tagged(void)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
    unsigned char frame[100] = {2, 0, 0, 0, 0, 99, 2, 0, 0, 0, 0, 98, 0x81, 0, 0xa0, 7, 0x08, 0x06};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    child_check(fd >= 0, "raw socket");
    to.sll_ifindex = (int)if_nametoindex("c");
    for (unsigned i = 0; i < TEST_VLAN_COUNT; i++) {
        frame[18] = (unsigned char)i;
        child_check(sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) ==
                        (ssize_t)sizeof(frame),
                    "send tagged");
    }
    close(fd);
}

static void be_client(int go)
{
    char c;
    unsigned char buf[1500] = {0};
    struct sockaddr_in a = server_address();
    child_check(read(go, &c, 1) == 1, "go");
    int udp = socket(AF_INET, SOCK_DGRAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    for (unsigned i = 0; i < TEST_UDP_COUNT; i++) {
        ws_store_be32(buf, i);
        for (unsigned k = 4; k < i * 7 % 1400 + 4; k++)
            buf[k] = test_pattern(k, (int)i);
        child_check(sendto(udp, buf, i * 7 % 1400 + 4, 0, (struct sockaddr *)&a, sizeof(a)) > 0,
                    "sendto");
        if (i % 8 == 0)
            nap_ms(1);
    }
    send_tagged();
    child_check(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "connect");
    send_all(fd, TEST_TCP_BYTES, 0);
    recv_all(fd, TEST_TCP_BYTES, 1);
    close(fd);
    _exit(0);
}

/* A child in a namespace of its own that waits for one byte before it acts. */
static pid_t spawn(void (*be)(int), int *to_child, int *from_child)
{
    int down[2], up[2];
    char c;
    CHECK(pipe(down) == 0 && pipe(up) == 0, "pipe");
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        child_check(unshare(CLONE_NEWNET) == 0, "unshare");
        test_run("ip link set lo up");
        child_check(write(up[1], "u", 1) == 1, "up");
        child_check(read(down[0], &c, 1) == 1, "down"); /* the interface is there now */
        be(from_child ? up[1] : down[0]);
    }
    CHECK(read(up[0], &c, 1) == 1, "child did not start");
    *to_child = down[1];
    if (from_child)
        *from_child = up[0];
    return pid;
}

/* The hub pushes VLAN tags into frames itself, instead of leaving them beside. */
static void tags_in_frames(const char *iface)
{
    struct ethtool_value v = {.cmd = ETHTOOL_GFLAGS};
    struct ifreq req;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    memset(&req, 0, sizeof(req));
    snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", iface);
    req.ifr_data = (void *)&v;
    CHECK(fd >= 0 && ioctl(fd, SIOCETHTOOL, &req) == 0, "ETHTOOL_GFLAGS");
    v.cmd = ETHTOOL_SFLAGS;
    v.data &= ~(unsigned)ETH_FLAG_TXVLAN;
    CHECK(ioctl(fd, SIOCETHTOOL, &req) == 0, "ETHTOOL_SFLAGS");
    close(fd);
}

int test_net_start(struct test_net *net, int jumbo_ok)
{
    int server_in, server_out;
    char c;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
        printf("skipped: network namespaces need root\n");
        return SKIP;
    }
    if (test_run("ip link add hub type bridge ageing_time 0 2>/dev/null") != 0) {
        printf("skipped: this kernel has no bridges (or ip is missing)\n");
        return SKIP;
    }
    test_run("ip link set hub type bridge mcast_snooping 0 2>/dev/null");
    net->server = spawn(be_server, &server_in, &server_out);
    net->client = spawn(be_client, &net->go, NULL);
    CHECK(test_run("ip link add hs type veth peer name s netns %d", net->server) == 0, "veth");
    CHECK(test_run("ip link add hc type veth peer name c netns %d", net->client) == 0, "veth");
    CHECK(test_run("ip link add hm type veth peer name mon") == 0, "veth");
    CHECK(test_run("for i in hs hc hm; do ip link set $i master hub up || exit 1; done;"
                   "ip link set hub up && ip link set mon up") == 0,
          "hub");
    CHECK(test_run("nsenter -t %d -n sh -c 'ip addr add 10.77.0.1/24 dev s && ip link set s up'",
                   net->server) == 0,
          "server's address");
    CHECK(test_run("nsenter -t %d -n sh -c 'ip addr add 10.77.0.2/24 dev c && ip link set c up'",
                   net->client) == 0,
          "client's address");
    if (!jumbo_ok) {
        tags_in_frames("hm");
        CHECK(test_run("nsenter -t %d -n ip link set s gso_max_segs 1", net->server) == 0, "gso");
        CHECK(test_run("nsenter -t %d -n ip link set c gso_max_segs 1", net->client) == 0, "gso");
    }
    nap_ms(200);
    CHECK(write(server_in, "g", 1) == 1, "server");
    CHECK(read(server_out, &c, 1) == 1, "server is not ready");
    CHECK(write(net->go, "g", 1) == 1, "client");
    return 0;
}

void test_net_go(struct test_net *net)
{
    CHECK(write(net->go, "g", 1) == 1, "client");
}

int test_net_over(const struct test_net *net)
{
    siginfo_t si[2] = {0};
    return waitid(P_PID, (id_t)net->client, &si[0], WEXITED | WNOHANG | WNOWAIT) == 0 &&
           waitid(P_PID, (id_t)net->server, &si[1], WEXITED | WNOHANG | WNOWAIT) == 0 &&
           si[0].si_pid != 0 && si[1].si_pid != 0;
}

void test_net_end(struct test_net *net)
{
    int st;
    CHECK(waitpid(net->client, &st, 0) == net->client && st == 0, "the client failed: %x", st);
    CHECK(waitpid(net->server, &st, 0) == net->server && st == 0, "the server failed: %x", st);
}

/* ---- what the monitor must see ---- */

struct seen {
    unsigned char udp[TEST_UDP_COUNT];
    unsigned udp_count, vlan_count;
    struct {
        int have_isn;
        uint32_t isn;
        size_t got;
        unsigned char have[TEST_TCP_BYTES];
    } tcp[2];
    uint64_t packets;
};

static void see_tcp(struct seen *s, const uint8_t *ip, size_t ihl, size_t total)
{
    const uint8_t *tcp = ip + ihl;
    const int dir = ws_load_be16(tcp) == TEST_PORT;
    const uint32_t seq = ws_load_be32(tcp + 4);
    const size_t header = (size_t)(tcp[12] >> 4) * 4;
    if (tcp[13] & WS_TCP_SYN) {
        s->tcp[dir].have_isn = 1;
        s->tcp[dir].isn = seq + 1;
        return;
    }
    if (!s->tcp[dir].have_isn)
        return; /* the SYN was missed; so are the bytes, then */
    const uint8_t *data = tcp + header;
    for (size_t i = 0; i < total - ihl - header; i++) {
        const size_t at = seq - s->tcp[dir].isn + i;
        CHECK(at < TEST_TCP_BYTES, "offset %zu", at);
        CHECK(data[i] == test_pattern(at, dir), "wrong byte at %zu of direction %d", at, dir);
        s->tcp[dir].got += !s->tcp[dir].have[at];
        s->tcp[dir].have[at] = 1;
    }
}

static void see(struct seen *s, const struct ws_packet *p)
{
    const uint8_t *d = p->data;
    s->packets++;
    CHECK(p->link_type == 1 && p->cap_len >= 14 && p->wire_len >= p->cap_len, "descriptor");
    CHECK(p->clock_ns >= p->ts_ns && p->ts_ns > 1700000000000000000, "stamp %lld",
          (long long)p->ts_ns);
    if (ws_load_be16(d + 12) == 0x8100) {
        CHECK(p->cap_len == 100 && d[14] == 0xa0 && d[15] == 7 && ws_load_be16(d + 16) == 0x0806,
              "tag of %u bytes: %02x%02x", p->cap_len, d[14], d[15]);
        s->vlan_count++;
        return;
    }
    if (ws_load_be16(d + 12) != 0x0800)
        return;
    const uint8_t *ip = d + 14;
    const size_t ihl = (size_t)(ip[0] & 15) * 4, total = ws_load_be16(ip + 2);
    CHECK(14 + total <= p->cap_len, "cut: %zu of %u bytes", 14 + total, p->cap_len);
    if (ip[9] == 6) {
        see_tcp(s, ip, ihl, total);
    } else if (ip[9] == 17 && ws_load_be16(ip + ihl + 2) == TEST_PORT) {
        const uint8_t *data = ip + ihl + 8;
        const uint32_t n = ws_load_be32(data);
        CHECK(n < TEST_UDP_COUNT && total - ihl - 8 == n * 7 % 1400 + 4, "datagram %u", n);
        for (unsigned k = 4; k < n * 7 % 1400 + 4; k++)
            CHECK(data[k] == test_pattern(k, (int)n), "datagram %u byte %u", n, k);
        CHECK(!s->udp[n], "datagram %u came twice", n);
        s->udp[n] = 1;
        s->udp_count++;
    }
}

static int complete(const struct seen *s)
{
    return s->udp_count == TEST_UDP_COUNT && s->vlan_count == TEST_VLAN_COUNT &&
           s->tcp[0].got == TEST_TCP_BYTES && s->tcp[1].got == TEST_TCP_BYTES;
}

/* Polls all queues until everything was seen; frames may be TCP retransmissions, never lost ones.
 */
static void watch(const char *devargs, int jumbo_ok, unsigned queues_expected)
{
    static struct seen seen;
    static struct ws_packet pkt[WS_BURST_MAX];
    struct test_net net;
    struct ws_counters counters = {0};
    struct ws_port_config cfg = {
        .devargs = devargs, .queues_want = queues_expected, .promiscuous = true, .device_id = 3};
    unsigned n;

    int rc = test_net_start(&net, jumbo_ok);
    if (rc != 0)
        exit(rc);
    struct ws_runtime *rt = test_runtime(1, &cfg);
    struct ws_port *port = test_port(&cfg);
    const struct ws_port_info *info = ws_port_info(port);
    CHECK(info->queues == queues_expected, "%u queues", info->queues);
    CHECK(info->link_up && info->promiscuous && !info->replay, "port's properties");
    test_net_go(&net);
    double until = seconds() + DEADLINE_S;
    uint64_t each[8] = {0};
    bool over = false;
    while (!complete(&seen) && seconds() < until) {
        if (!over && test_net_over(&net)) {
            over = true;
            until = seconds() + 1;
        }
        for (uint16_t q = 0; q < info->queues; q++) {
            struct ws_source *src = ws_port_queue(port, q);
            CHECK(!src->can_wait, "a live port waits");
            int got = ws_source_rx(src, pkt, WS_BURST_MAX);
            CHECK(got >= 0, "rx: %d", got);
            for (int i = 0; i < got; i++) {
                CHECK(pkt[i].ordinal == each[q]++, "ordinal");
                CHECK(pkt[i].device == 3 && pkt[i].flags == WS_PKT_SUM_UNKNOWN, "flags %x",
                      pkt[i].flags);
                see(&seen, &pkt[i]);
            }
        }
    }
    printf("%s: %llu packets, udp %u, vlan %u, tcp %zu and %zu bytes\n", devargs,
           (unsigned long long)seen.packets, seen.udp_count, seen.vlan_count, seen.tcp[0].got,
           seen.tcp[1].got);
    for (uint16_t q = 0; q < info->queues; q++) {
        struct ws_source *src = ws_port_queue(port, q);
        src->ops->stats(src, &counters);
        const struct ws_source_iface *iface = src->ops->ifaces(src, &n);
        CHECK(n == 1 && strcmp(iface->name, "mon") == 0 && iface->link_type == 1, "interface");
        CHECK(info->missed_unknown == (iface->dropped == UINT64_MAX) || q != 0, "drops");
    }
    /* A small kernel buffer may overflow when this process had to wait for a CPU: said, then. */
    const uint64_t missed = ws_count_get(&counters, WS_C_PORT_MISSED);
    CHECK(complete(&seen) || missed > 0, "not everything was seen, and nothing counted as missed");
    if (!complete(&seen))
        printf("%llu packets missed\n", (unsigned long long)missed);
    test_net_end(&net);
    ws_port_close(port);
    /* nothing of ours stays on the interface */
    CHECK(test_run("ip -d link show mon | grep -E 'PROMISC|promiscuity [1-9]|prog/xdp' >&2") == 1,
          "left behind");
    ws_runtime_stop(rt);
}

int case_af_packet(void)
{
    watch("net_af_packet,iface=mon", 1, 1);
    return 0;
}

int case_af_packet_queues(void)
{
    watch("net_af_packet5,iface=mon,qpairs=2", 1, 2);
    return 0;
}

/* An interface that is removed ends its source. */
int case_gone(void)
{
    static struct ws_packet pkt[WS_BURST_MAX];
    struct ws_port_config cfg = {.devargs = "net_af_packet,iface=wsgone", .promiscuous = true};
    struct ws_counters c = {0};
    int n = 0;

    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
        printf("skipped: network namespaces need root\n");
        return SKIP;
    }
    CHECK(test_run("ip link add wsgone type veth peer name wsother && ip link set wsgone up && "
                   "ip link set wsother up") == 0,
          "veth");
    struct ws_runtime *rt = test_runtime(1, &cfg);
    struct ws_port *port = test_port(&cfg);
    struct ws_source *src = ws_port_queue(port, 0);
    double until = seconds() + 1;
    while (seconds() < until) {
        CHECK(ws_source_rx(src, pkt, WS_BURST_MAX) >= 0, "ended while the interface was there");
        src->ops->stats(src, &c);
    }
    CHECK(test_run("ip link del wsgone") == 0, "del");
    until = seconds() + DEADLINE_S;
    while ((n = ws_source_rx(src, pkt, WS_BURST_MAX)) >= 0 && seconds() < until)
        src->ops->stats(src, &c);
    CHECK(n == WS_SOURCE_END && src->damaged, "%d", n);
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}

/* net_pcap on an interface: live, never at its end; the driver cuts frames at 16,128 bytes. */
int case_pcap_iface(void)
{
    watch("net_pcap,rx_iface=mon", 0, 1);
    return 0;
}

/* The driver does not free what libxdp gave it (DPDK 22.11). */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libxdp.so\n";
}

int case_af_xdp(void)
{
    int fd = socket(44 /* AF_XDP */, SOCK_RAW, 0);
    if (fd < 0 && errno == EAFNOSUPPORT) {
        printf("skipped: this kernel has no AF_XDP sockets\n");
        return SKIP;
    }
    close(fd);
    watch("net_af_xdp,iface=mon", 0, 1);
    return 0;
}

/* The kernel sends into the tap interface; the port receives. */
int case_tap(void)
{
    static struct ws_packet pkt[WS_BURST_MAX];
    struct ws_port_config cfg = {
        .devargs = "net_tap,iface=wstap", .queues_want = 1, .promiscuous = true};
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
    unsigned char frame[1514] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};
    unsigned got = 0;

    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
        printf("skipped: network namespaces need root\n");
        return SKIP;
    }
    if (access("/dev/net/tun", R_OK | W_OK) != 0) {
        printf("skipped: no /dev/net/tun\n");
        return SKIP;
    }
    struct ws_runtime *rt = test_runtime(1, &cfg);
    struct ws_port *port = test_port(&cfg);
    struct ws_source *src = ws_port_queue(port, 0);
    CHECK(ws_port_info(port)->queues == 1 && ws_port_info(port)->missed_unknown, "properties");
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    to.sll_ifindex = (int)if_nametoindex("wstap");
    CHECK(fd >= 0 && to.sll_ifindex > 0, "no interface");
    const double until = seconds() + DEADLINE_S;
    for (unsigned sent = 0; got < 300 && seconds() < until;) {
        if (sent < 300 && sent - got < 32) {
            const size_t len = 60 + sent * 5 % 1400;
            ws_store_be32(frame + 14, sent);
            memset(frame + 18, (int)sent, len - 18);
            CHECK(sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)len,
                  "sendto");
            sent++;
        }
        int n = ws_source_rx(src, pkt, WS_BURST_MAX);
        for (int i = 0; i < n; i++) {
            if (ws_load_be16(pkt[i].data + 12) != 0x88b5)
                continue; /* the kernel's own neighbour discovery */
            const size_t len = 60 + got * 5 % 1400;
            CHECK(pkt[i].cap_len == len && ws_load_be32(pkt[i].data + 14) == got, "frame %u", got);
            CHECK(pkt[i].data[len - 1] == (unsigned char)got, "content of frame %u", got);
            got++;
        }
    }
    CHECK(got == 300, "%u of 300 frames came", got);
    close(fd);
    ws_port_close(port);
    ws_runtime_stop(rt);
    return 0;
}
