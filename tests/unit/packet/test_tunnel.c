/* SPDX-License-Identifier: BSD-3-Clause */
/* Tunnels: each leads to the inner packet; what only looks like one stays the outer flow. */
#include "frames.h"

static struct build b;
static struct ws_packet p;

/* Puts the outer IP header (from C to D) and Ethernet around. */
static void outer4(uint8_t proto)
{
    build_ip4(&b, C4, D4, proto);
    build_ether(&b, 0x0800);
}

static void outer6(uint8_t proto)
{
    build_ip6(&b, C6, D6, proto);
    build_ether(&b, 0x86dd);
}

static void check_outer(uint8_t proto)
{
    assert_int_equal(p.status, WS_DECODE_OK);
    assert_int_equal(p.key.proto, proto);
    assert_memory_equal(p.key.addr[0], C4, 4);
    check_tunnel(&p, WS_TUNNEL_NONE, 0, 0);
    assert_int_equal(p.flags, WS_PKT_IP | (proto == 17 ? WS_PKT_UDP : 0u));
    assert_int_equal(p.l3_off, 14);
    assert_int_equal(p.l4_off, 34);
    assert_int_equal(p.owner_hash, ws_toeplitz_owner(&p.key));
}

static void ip_in_ip(void **state)
{
    (void)state;
    inner4(&b);
    outer4(4);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_IPIP, 0, 1);
    inner6(&b);
    outer4(41);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
    inner4(&b);
    outer6(4);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    inner6(&b);
    outer6(41);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
    check_tunnel(&p, WS_TUNNEL_IPIP, 0, 1);

    struct ws_decode_config cfg = ws_decode_defaults;
    cfg.tunnels = false;
    inner4(&b);
    outer4(4);
    decode_with(&b, 1, &p, (uint32_t)b.len, &cfg);
    check_outer(4);
    inner4(&b);
    b.at[0] = 0x15;
    outer4(4);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_BAD_IP);
}

static void depth(void **state)
{
    (void)state;
    struct ws_decode_config cfg = ws_decode_defaults;
    inner4(&b);
    for (int i = 0; i < 8; i++)
        build_ip4(&b, C4, D4, 4);
    decode_as(&b, 101, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_IPIP, 0, 8);
    build_ip4(&b, C4, D4, 4);
    assert_int_equal(decode_as(&b, 101, &p), WS_DECODE_DEPTH);
    cfg.depth_max = 255;
    decode_with(&b, 101, &p, (uint32_t)b.len, &cfg);
    check_inner(&p, 4);
    for (int i = 0; i < 60; i++)
        build_ip4(&b, C4, D4, 4);
    assert_int_equal(decode_with(&b, 101, &p, (uint32_t)b.len, &cfg), WS_DECODE_DEPTH);
}

static void gre(void **state)
{
    (void)state;
    inner4(&b);
    build_bytes(&b, 0, 0, 8, 0);
    outer4(47);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_GRE, 0, 1);
    inner6(&b); /* checksum, key, sequence */
    build_bytes(&b, 0xb0, 0, 0x86, 0xdd, 1, 2, 0, 0, 0, 1, 2, 3, 0, 0, 0, 9);
    outer4(47);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
    check_tunnel(&p, WS_TUNNEL_GRE, 0x10203, 1);
    inner4(&b);
    build_bytes(&b, 0x20, 0, 8, 0, 0, 0, 0, 8);
    outer6(47);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_GRE, 8, 1);
    inner4(&b); /* Ethernet without key */
    build_ether(&b, 0x0800);
    build_bytes(&b, 0, 0, 0x65, 0x58);
    outer4(47);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_GRE, 0, 1);
    inner4(&b); /* NVGRE: the key's low byte is a flow hint */
    build_ether(&b, 0x0800);
    build_bytes(&b, 0x20, 0, 0x65, 0x58, 0, 0x12, 0x34, 0x77);
    outer4(47);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_NVGRE, 0x1234, 1);
    inner4(&b); /* PPTP */
    build_bytes(&b, 0xff, 3, 0, 0x21);
    build_bytes(&b, 0x30, 0x81, 0x88, 0x0b, 0, 36, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0);
    outer4(47);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_GRE, 0, 1);

    for (int v2 = 0; v2 < 2; v2++) { /* WCCP, with and without its own header */
        inner4(&b);
        if (v2)
            build_bytes(&b, 0, 0, 0, 9);
        build_bytes(&b, 0, 0, 0x88, 0x3e);
        outer4(47);
        decode_as(&b, 1, &p);
        check_inner(&p, 4);
    }

    build_start(&b); /* unknown inside, ARP inside, an acknowledgement alone: GRE flows */
    build_text(&b, "something");
    build_bytes(&b, 0, 0, 0x12, 0x34);
    outer4(47);
    decode_as(&b, 1, &p);
    check_outer(47);
    build_start(&b);
    build_fill(&b, 0, 28);
    build_ether(&b, 0x0806);
    build_bytes(&b, 0x20, 0, 0x65, 0x58, 0, 0, 1, 0);
    outer4(47);
    decode_as(&b, 1, &p);
    check_outer(47);
    build_start(&b);
    build_bytes(&b, 0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 9, 0, 0, 0, 1);
    outer4(47);
    decode_as(&b, 1, &p);
    check_outer(47);

    build_start(&b); /* contradictions */
    build_bytes(&b, 0, 7, 8, 0);
    outer4(47);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_BAD_TUNNEL);
    build_start(&b);
    build_bytes(&b, 0xb0, 0, 8, 0, 0, 0, 0, 0);
    outer4(47);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_BAD_TUNNEL);
}

static void erspan(void **state)
{
    (void)state;
    inner4(&b);
    build_ether(&b, 0x0800);
    build_bytes(&b, 0, 0, 0x88, 0xbe); /* I */
    outer4(47);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_ERSPAN, 0, 1);
    inner4(&b);
    build_vlan(&b, 5, 0x0800);
    build_ether(&b, 0x8100);
    build_bytes(&b, 0x10, 1, 0xfd, 0x23, 0, 0, 0, 0); /* II, session 0x123 */
    build_bytes(&b, 0x10, 0, 0x88, 0xbe, 0, 0, 0, 1);
    outer4(47);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_ERSPAN, 0x123, 1);
    assert_int_equal(p.key.vlan[0], 5);
    for (uint8_t subheader = 0; subheader < 2; subheader++) { /* III */
        inner4(&b);
        build_ether(&b, 0x0800);
        if (subheader)
            build_front(&b, NULL, 8);
        build_bytes(&b, 0x20, 1, 0xfd, 0x23, 1, 2, 3, 4, 0, 0, 0, subheader);
        build_bytes(&b, 0x10, 0, 0x22, 0xeb, 0, 0, 0, 1);
        outer4(47);
        decode_as(&b, 1, &p);
        check_inner(&p, 4);
        check_tunnel(&p, WS_TUNNEL_ERSPAN, 0x123, 1);
    }
    inner6(&b); /* III with a bare IP packet */
    build_bytes(&b, 0x20, 1, 0, 0x23, 1, 2, 3, 4, 0, 0, 2 << 2, 0);
    build_bytes(&b, 0x10, 0, 0x22, 0xeb, 0, 0, 0, 1);
    outer4(47);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
    inner4(&b); /* wrong version */
    build_ether(&b, 0x0800);
    build_bytes(&b, 0x50, 1, 0, 0x23, 0, 0, 0, 0);
    build_bytes(&b, 0x10, 0, 0x88, 0xbe, 0, 0, 0, 1);
    outer4(47);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_BAD_TUNNEL);
}

/* Puts UDP and the outer header around. */
static void over_udp(uint16_t sport, uint16_t dport)
{
    build_udp(&b, sport, dport);
    outer4(17);
}

static void vxlan(void **state)
{
    (void)state;
    inner4(&b);
    build_vlan(&b, 5, 0x0800);
    build_ether(&b, 0x8100);
    build_bytes(&b, 8, 0, 0, 0, 0x12, 0x34, 0x56, 0);
    over_udp(55555, 4789);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_VXLAN, 0x123456, 1);
    assert_int_equal(p.key.vlan[0], 5);

    struct ws_decode_config cfg = ws_decode_defaults;
    cfg.port_vxlan = 0;
    decode_with(&b, 1, &p, (uint32_t)b.len, &cfg);
    check_outer(17);
    cfg.port_vxlan = 8472;
    inner6(&b);
    build_ether(&b, 0x86dd);
    build_bytes(&b, 8, 0, 0, 0, 0, 0, 1, 0);
    over_udp(55555, 8472);
    decode_with(&b, 1, &p, (uint32_t)b.len, &cfg);
    check_inner(&p, 6);

    /* A bad inner TCP header in a proven tunnel is what it is. */
    inner4(&b);
    b.at[32] = 0;
    build_ether(&b, 0x0800);
    build_bytes(&b, 8, 0, 0, 0, 0, 0, 1, 0);
    over_udp(55555, 4789);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_BAD_TCP);
}

static void geneve(void **state)
{
    (void)state;
    inner4(&b);
    build_ether(&b, 0x0800);
    build_bytes(&b, 1, 2, 0x80, 1, 0, 0, 0, 9); /* an option */
    build_bytes(&b, 2, 0, 0x65, 0x58, 0, 0, 7, 0);
    over_udp(55555, 6081);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_GENEVE, 7, 1);
    inner6(&b);
    build_bytes(&b, 0, 0, 0x86, 0xdd, 0, 0, 7, 0);
    over_udp(55555, 6081);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
}

static void gtpu(void **state)
{
    (void)state;
    inner4(&b);
    build_bytes(&b, 0x30, 255, 0, 52, 0, 0, 0, 9);
    over_udp(2152, 2152);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_GTPU, 0, 1);
    inner6(&b); /* sequence number and two extension headers */
    build_bytes(&b, 2, 1, 2, 3, 4, 5, 6, 0);
    build_bytes(&b, 0, 1, 0, 0x85, 1, 7, 7, 0x40);
    build_bytes(&b, 0x36, 255, 0, (uint8_t)b.len, 0, 0, 0, 9);
    over_udp(2152, 40000);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
    build_start(&b); /* an echo request stays UDP */
    build_bytes(&b, 0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0);
    over_udp(2152, 2152);
    decode_as(&b, 1, &p);
    check_outer(17);
}

static void teredo(void **state)
{
    (void)state;
    inner6(&b);
    over_udp(50000, 3544);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
    check_tunnel(&p, WS_TUNNEL_TEREDO, 0, 1);
    inner6(&b); /* origin indication behind authentication */
    build_bytes(&b, 0, 0, 1, 2, 3, 4, 5, 6);
    build_bytes(&b, 0, 1, 2, 1, 'i', 'd', 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0);
    over_udp(3544, 50000);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
}

static void l2tp(void **state)
{
    (void)state;
    inner4(&b);
    build_bytes(&b, 0xff, 3, 0, 0x21);
    build_bytes(&b, 0, 2, 0, 1, 0, 2);
    over_udp(1701, 1701);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_L2TP, 0, 1);
    inner6(&b); /* length, sequence, offset */
    build_bytes(&b, 0, 0x57);
    build_bytes(&b, 0x4a, 2, 0, (uint8_t)(b.len + 17), 0, 1, 0, 2, 0, 0, 0, 0, 0, 3, 9, 9, 9);
    over_udp(1701, 5000);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
    build_start(&b); /* control */
    build_bytes(&b, 0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0);
    over_udp(1701, 1701);
    decode_as(&b, 1, &p);
    check_outer(17);
}

/* Anything may use these ports: what does not parse is plain UDP, whatever its bytes. */
static void port_guesses_never_fail(void **state)
{
    (void)state;
    static const uint16_t ports[] = {4789, 6081, 2152, 3544, 1701};
    srand(1);
    for (unsigned n = 0; n < 20000; n++) {
        build_start(&b);
        unsigned len = (unsigned)rand() % 80;
        for (unsigned i = 0; i < len; i++) {
            uint8_t byte = (uint8_t)rand();
            build_data(&b, &byte, 1);
        }
        if (n % 4 == 0)
            build_bytes(&b, 8, 0, 0, 0, 0, 0, 1, 0); /* a plausible VXLAN header */
        over_udp(9, ports[n % WS_ARRAY_SIZE(ports)]);
        assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_OK);
    }
}

static void mixed(void **state)
{
    (void)state;
    inner4(&b); /* GRE in IPv6 in VXLAN, all inside QinQ */
    build_bytes(&b, 0x20, 0, 8, 0, 0, 0, 0, 5);
    build_ip6(&b, C6, D6, 47);
    build_ether(&b, 0x86dd);
    build_bytes(&b, 8, 0, 0, 0, 0, 0, 1, 0);
    build_udp(&b, 1, 4789);
    build_ip4(&b, C4, D4, 17);
    build_vlan(&b, 3, 0x0800);
    build_vlan(&b, 2, 0x8100);
    build_ether(&b, 0x88a8);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    check_tunnel(&p, WS_TUNNEL_GRE, 5, 2);
    assert_int_equal(p.key.vlan[0], 2);
    assert_int_equal(p.key.vlan[1], 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ip_in_ip), cmocka_unit_test(depth),
        cmocka_unit_test(gre),      cmocka_unit_test(erspan),
        cmocka_unit_test(vxlan),    cmocka_unit_test(geneve),
        cmocka_unit_test(gtpu),     cmocka_unit_test(teredo),
        cmocka_unit_test(l2tp),     cmocka_unit_test(port_guesses_never_fail),
        cmocka_unit_test(mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
