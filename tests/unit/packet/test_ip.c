/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv4, IPv6, extension headers, lengths that lie, and fragments as decode leaves them. */
#include "frames.h"

static struct build b;
static struct ws_packet p;

static void options4(void **state)
{
    (void)state;
    static const uint8_t options[40] = {1, 1, 0x94, 4};
    for (size_t len = 4; len <= 40; len += 4) {
        build_start(&b);
        build_text(&b, HELLO);
        build_tcp(&b, 1000, 80, 7, 9, WS_TCP_ACK);
        build_ip4_full(&b, A4, B4, 6, 1, 0x4000, options, len);
        build_ether(&b, 0x0800);
        decode_as(&b, 1, &p);
        check_inner(&p, 4);
        assert_int_equal(p.ip_hdr_len, 20 + len);
    }
}

static void bad4(void **state)
{
    (void)state;
    inner4(&b);
    b.at[0] = 0x44;
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_BAD_IP);
    inner4(&b);
    ws_store_be16(b.at + 2, 19);
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_BAD_IP);
    inner4(&b);
    b.at[0] = 0x4f; /* header longer than the packet */
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_BAD_IP);
    inner4(&b);
    b.at[0] = 0x65;
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_BAD_IP);
}

static void direction(void **state)
{
    (void)state;
    inner4(&b);
    decode_as(&b, 101, &p);
    struct ws_key there = p.key;
    build_start(&b);
    build_tcp(&b, 80, 1000, 1, 1, WS_TCP_ACK);
    build_ip4(&b, B4, A4, 6);
    decode_as(&b, 101, &p);
    assert_memory_equal(&p.key, &there, sizeof(there));
    assert_int_equal(p.dir, 1);

    /* One address: ports decide. LAND: all equal, direction 0. Port 0 is a port. */
    build_start(&b);
    build_tcp(&b, 9, 5, 1, 1, WS_TCP_ACK);
    build_ip4(&b, A4, A4, 6);
    assert_int_equal(decode_as(&b, 101, &p), WS_DECODE_OK);
    assert_int_equal(p.dir, 1);
    assert_int_equal(p.key.port[0], 5);
    build_start(&b);
    build_tcp(&b, 9, 9, 1, 1, WS_TCP_SYN);
    build_ip4(&b, A4, A4, 6);
    assert_int_equal(decode_as(&b, 101, &p), WS_DECODE_OK);
    assert_int_equal(p.dir, 0);
    build_start(&b);
    build_tcp(&b, 0, 0, 1, 1, WS_TCP_SYN);
    build_ip4(&b, A4, B4, 6);
    assert_int_equal(decode_as(&b, 101, &p), WS_DECODE_OK);
    assert_true(p.flags & WS_PKT_TCP);

    inner6(&b);
    decode_as(&b, 101, &p);
    there = p.key;
    build_start(&b);
    build_tcp(&b, 80, 1000, 1, 1, WS_TCP_ACK);
    build_ip6(&b, B6, A6, 6);
    decode_as(&b, 101, &p);
    assert_memory_equal(&p.key, &there, sizeof(there));
    assert_int_equal(p.dir, 1);
}

static void key_composition(void **state)
{
    (void)state;
    struct ws_decode_config cfg = ws_decode_defaults;
    cfg.key_mac = true;
    cfg.key_device = true;
    inner4(&b);
    build_ether(&b, 0x0800);
    decode_with(&b, 1, &p, (uint32_t)b.len, &cfg);
    check_inner(&p, 4);
    assert_int_equal(p.key.device, 3);
    assert_memory_equal(p.key.mac[0], p.mac_src, 6);
    assert_memory_equal(p.key.mac[1], p.mac_dst, 6);
    decode_as(&b, 1, &p);
    assert_int_equal(p.key.device, 0);
    assert_memory_equal(p.key.mac, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
}

/* Length 0 as segmentation offload leaves it; a length field that cannot hold 70,000 bytes. */
static void lengths(void **state)
{
    (void)state;
    inner4(&b);
    ws_store_be16(b.at + 2, 0);
    build_ether(&b, 0x0800);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    inner6(&b);
    ws_store_be16(b.at + 4, 0);
    build_ether(&b, 0x86dd);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);

    build_start(&b);
    build_fill(&b, 'x', 70000);
    build_tcp(&b, 1, 2, 3, 4, WS_TCP_ACK);
    ws_store_be16(build_ip4(&b, A4, B4, 6) + 2, 0);
    build_ether(&b, 0x0800);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_OK);
    assert_int_equal(p.payload_len, 70000);

    build_start(&b);
    build_fill(&b, 'x', 65535 - 40);
    build_tcp(&b, 1, 2, 3, 4, WS_TCP_ACK);
    build_ip4(&b, A4, B4, 6);
    build_ether(&b, 0x0800);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_OK);
    assert_int_equal(p.payload_len, 65535 - 40);

    /* A jumbogram, with a trailer that its length option keeps out. */
    build_start(&b);
    build_fill(&b, 'x', 70000);
    build_tcp(&b, 1, 2, 3, 4, WS_TCP_ACK);
    build_bytes(&b, 6, 0, 0xc2, 4, 0, 1, 0x11, 0x8c); /* 70,000 + 20 + 8 */
    ws_store_be16(build_ip6(&b, A6, B6, 0) + 4, 0);
    build_fill(&b, 0xee, 4);
    assert_int_equal(decode_as(&b, 229, &p), WS_DECODE_OK);
    assert_int_equal(p.payload_len, 70000);
    assert_int_equal(p.payload_wire_len, 70000);

    /* A length beyond the frame makes no phantom hole: the whole frame was captured. */
    inner4(&b);
    ws_store_be16(b.at + 2, 5000);
    decode_as(&b, 228, &p);
    check_inner(&p, 4);
    inner6(&b);
    ws_store_be16(b.at + 4, 5000);
    decode_as(&b, 229, &p);
    check_inner(&p, 6);
}

/* The missing tail of a snapped packet is part of its wire length; padding is not. */
static void snapped(void **state)
{
    (void)state;
    inner4(&b);
    build_ether(&b, 0x0800);
    build_fill(&b, 0, 10);
    uint32_t full = (uint32_t)b.len - 10;
    decode_with(&b, 1, &p, full - 5, &ws_decode_defaults);
    assert_int_equal(p.status, WS_DECODE_OK);
    assert_true(p.flags & WS_PKT_SNAPPED);
    assert_int_equal(p.payload_len, strlen(HELLO) - 5);
    assert_int_equal(p.payload_wire_len, strlen(HELLO));
    assert_int_equal(p.l4_len, 20 + strlen(HELLO) - 5);
    assert_int_equal(decode_with(&b, 1, &p, 14 + 20 + 3, &ws_decode_defaults), WS_DECODE_TRUNC_L4);
    assert_int_equal(decode_with(&b, 1, &p, 14 + 19, &ws_decode_defaults), WS_DECODE_TRUNC_IP);
    assert_int_equal(decode_with(&b, 1, &p, 13, &ws_decode_defaults), WS_DECODE_TRUNC_LINK);
    assert_int_equal(decode_with(&b, 1, &p, 0, &ws_decode_defaults), WS_DECODE_TRUNC_LINK);
}

/* The inner packet with extension headers built by the caller in front of its TCP. */
static void tcp6(void)
{
    build_start(&b);
    build_text(&b, HELLO);
    build_tcp(&b, 1000, 80, 7, 9, WS_TCP_ACK);
    build_l4_sum(&b, A6, B6, 16, 6);
}

static void extension_headers(void **state)
{
    (void)state;
    struct ws_decode_config cfg = ws_decode_defaults;
    cfg.verify_l4 = true;
    tcp6();
    build_bytes(&b, 6, 0, 1, 4, 0, 0, 0, 0); /* dstopts */
    build_bytes(&b, 60, 4, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
                2);                              /* AH */
    build_bytes(&b, 51, 0xff, 0, 0, 0, 0, 0, 9); /* atomic fragment */
    build_bytes(&b, 44, 0, 99, 0, 0, 0, 0, 0);   /* routing, done */
    build_bytes(&b, 43, 0, 1, 4, 0, 0, 0, 0);    /* hop-by-hop */
    build_ip6(&b, A6, B6, 0);
    decode_with(&b, 229, &p, (uint32_t)b.len, &cfg);
    check_inner(&p, 6);
    assert_int_equal(p.ip_hdr_len, 40 + 8 + 24 + 8 + 8 + 8);

    /* No next header: what follows is no payload. */
    build_start(&b);
    build_text(&b, "ignored");
    build_ip6(&b, A6, B6, 59);
    assert_int_equal(decode_as(&b, 229, &p), WS_DECODE_OK);
    assert_int_equal(p.key.proto, 59);
    assert_int_equal(p.payload_len, 0);

    tcp6();
    build_bytes(&b, 6, 200, 1, 4, 0, 0, 0, 0); /* longer than the packet */
    build_ip6(&b, A6, B6, 60);
    assert_int_equal(decode_as(&b, 229, &p), WS_DECODE_BAD_EXT);
    build_start(&b);
    build_bytes(&b, 6, 0, 0, 0);
    build_ip6(&b, A6, B6, 60);
    assert_int_equal(decode_as(&b, 229, &p), WS_DECODE_BAD_EXT);
    tcp6();
    for (int i = 0; i < 40; i++)
        build_bytes(&b, (uint8_t)(i ? 60 : 6), 0, 1, 4, 0, 0, 0, 0);
    build_ip6(&b, A6, B6, 60);
    assert_int_equal(decode_as(&b, 229, &p), WS_DECODE_BAD_EXT);

    /* AH in IPv4 */
    build_start(&b);
    build_text(&b, HELLO);
    build_tcp(&b, 1000, 80, 7, 9, WS_TCP_ACK);
    build_bytes(&b, 6, 4, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2);
    build_ip4(&b, A4, B4, 51);
    decode_as(&b, 228, &p);
    check_inner(&p, 4);
    /* Protocol 0 in IPv4 is no hop-by-hop header. */
    inner4(&b);
    b.at[9] = 0;
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_OK);
    assert_int_equal(p.key.proto, 0);
}

/* While segments are left the flow's endpoint is the final address, in each kind of routing header.
 */
static void routing_headers(void **state)
{
    (void)state;
    struct ws_decode_config cfg = ws_decode_defaults;
    cfg.verify_l4 = true; /* the checksum is over the final address */
    for (uint8_t type = 0; type <= 2; type = (uint8_t)(type + 2)) {
        tcp6();
        build_front(&b, B6, 16); /* the last address */
        if (type == 0)
            build_front(&b, D6, 16);
        build_bytes(&b, 6, (uint8_t)(type == 0 ? 4 : 2), type, 1, 0, 0, 0, 0);
        build_ip6(&b, A6, C6, 43);
        decode_with(&b, 229, &p, (uint32_t)b.len, &cfg);
        check_inner(&p, 6);
    }
    tcp6(); /* RPL: two addresses, 14 leading bytes left out of the last one, 4 bytes of pad */
    build_bytes(&b, 0, 7, 0, 2, 0, 0, 0, 0);
    build_bytes(&b, 6, 1, 3, 1, 0xee, 0x40, 0, 0);
    build_ip6(&b, A6, D6, 43);
    memcpy(b.at + 24, B6, 16);
    b.at[39] = 0x77; /* a waypoint under the same prefix */
    decode_with(&b, 229, &p, (uint32_t)b.len, &cfg);
    check_inner(&p, 6);

    tcp6(); /* segment routing: the last segment stands first */
    build_front(&b, C6, 16);
    build_front(&b, B6, 16);
    build_bytes(&b, 6, 4, 4, 1, 1, 0, 0, 0);
    build_ip6(&b, A6, C6, 43);
    decode_with(&b, 229, &p, (uint32_t)b.len, &cfg);
    check_inner(&p, 6);
    tcp6();
    build_bytes(&b, 6, 0, 4, 1, 1, 0, 0, 0); /* no room for a segment */
    build_ip6(&b, A6, C6, 43);
    assert_int_equal(decode_as(&b, 229, &p), WS_DECODE_BAD_EXT);
}

static void fragments4(void **state)
{
    (void)state;
    build_start(&b);
    build_fill(&b, 'x', 12);
    build_udp(&b, 1000, 80);
    build_ip4_full(&b, A4, B4, 17, 0x1234, 0x2000, NULL, 0);
    build_ether(&b, 0x0800);
    build_fill(&b, 0, 10);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_OK);
    assert_int_equal(p.flags, WS_PKT_IP | WS_PKT_FRAGMENT | WS_PKT_FLOW_KNOWN);
    assert_int_equal(p.frag_id, 0x1234);
    assert_int_equal(p.frag_off, 0);
    assert_int_equal(p.frag_more, 1);
    assert_int_equal(p.l4_len, 20);
    assert_int_equal(p.frag_wire_len, 20);
    assert_int_equal(p.l4_off, 34);
    assert_int_equal(p.payload_len, 0);
    assert_int_equal(p.payload_wire_len, 0);
    assert_int_equal(p.key.port[0], 1000);
    uint32_t owner = p.owner_hash;

    build_start(&b);
    build_fill(&b, 'y', 5);
    build_ip4_full(&b, A4, B4, 17, 0x1234, 0x1fff, NULL, 0);
    assert_int_equal(decode_as(&b, 101, &p), WS_DECODE_OK);
    assert_int_equal(p.flags, WS_PKT_IP | WS_PKT_FRAGMENT);
    assert_int_equal(p.frag_off, 65528);
    assert_int_equal(p.frag_more, 0);
    assert_int_equal(p.key.port[0], 0);
    assert_int_equal(p.owner_hash, owner); /* all fragments meet at one owner */

    /* Protocols without ports know their flow at once; a tunnel does not. */
    b.at[9] = 1;
    decode_as(&b, 101, &p);
    assert_true(p.flags & WS_PKT_FLOW_KNOWN);
    b.at[9] = 47;
    decode_as(&b, 101, &p);
    assert_false(p.flags & WS_PKT_FLOW_KNOWN);
    build_start(&b);
    build_fill(&b, 'x', 16);
    build_udp(&b, 1000, 4789);
    build_ip4_full(&b, A4, B4, 17, 1, 0x2000, NULL, 0);
    decode_as(&b, 101, &p);
    assert_false(p.flags & WS_PKT_FLOW_KNOWN);
    assert_int_equal(p.key.port[0], 0);
}

static void fragments6(void **state)
{
    (void)state;
    build_start(&b);
    build_fill(&b, 'x', 16);
    build_tcp(&b, 1000, 80, 7, 9, WS_TCP_ACK);
    build_bytes(&b, 6, 0, 0, 1, 0, 1, 2, 3);
    build_ip6(&b, A6, B6, 44);
    assert_int_equal(decode_as(&b, 229, &p), WS_DECODE_OK);
    assert_int_equal(p.flags, WS_PKT_IP | WS_PKT_FRAGMENT | WS_PKT_FLOW_KNOWN);
    assert_int_equal(p.frag_id, 0x10203);
    assert_int_equal(p.frag_wire_len, 36);
    assert_int_equal(p.ip_hdr_len, 48);
    assert_int_equal(p.key.proto, 6);
    assert_int_equal(p.key.port[1], 80);
    build_start(&b);
    build_fill(&b, 'x', 16);
    build_bytes(&b, 6, 0, 0, 0x28, 0, 1, 2, 3);
    build_ip6(&b, A6, B6, 44);
    assert_int_equal(decode_as(&b, 229, &p), WS_DECODE_OK);
    assert_int_equal(p.flags, WS_PKT_IP | WS_PKT_FRAGMENT);
    assert_int_equal(p.frag_off, 0x28);
    /* A Fragment header inside a datagram that was already put together is invalid. */
    struct ws_packet d = p;
    static const uint8_t nested[16] = {6, 0, 0, 1};
    assert_int_equal(ws_decode_datagram(&d, &ws_decode_defaults, 44, nested, 16, 16),
                     WS_DECODE_BAD_EXT);
}

/* After defragmentation: the key of the fragment completed from the whole payload. */
static void datagram(void **state)
{
    (void)state;
    inner4(&b);
    build_vlan(&b, 5, 0x0800);
    build_ether(&b, 0x8100);
    decode_as(&b, 1, &p);
    struct ws_packet whole = p;
    for (int swap = 0; swap < 2; swap++) {
        inner4(&b);
        if (swap) { /* from B to A */
            memcpy(b.at + 12, B4, 4);
            memcpy(b.at + 16, A4, 4);
        }
        ws_store_be16(b.at + 6, 5); /* a later fragment */
        build_vlan(&b, 5, 0x0800);
        build_ether(&b, 0x8100);
        struct ws_packet d;
        decode_as(&b, 1, &d);
        assert_true(d.flags & WS_PKT_FRAGMENT);
        struct guard g = guard_copy(whole.l4, whole.l4_len);
        assert_int_equal(ws_decode_datagram(&d, &ws_decode_defaults, 6, g.data, (uint32_t)g.len,
                                            (uint32_t)g.len),
                         WS_DECODE_OK);
        assert_int_equal(d.flags, WS_PKT_IP | WS_PKT_TCP | WS_PKT_DATAGRAM);
        assert_int_equal(d.dir, swap);
        if (!swap) {
            assert_memory_equal(&d.key, &whole.key, sizeof(d.key));
            assert_int_equal(d.owner_hash, whole.owner_hash);
        }
        assert_int_equal(d.frag_off, 0);
        assert_int_equal(d.tcp_ack, 9);
        assert_int_equal(d.payload_len, strlen(HELLO));
        assert_memory_equal(d.payload, HELLO, strlen(HELLO));
        assert_int_equal(d.vlan_tci, 5);
        guard_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options4),          cmocka_unit_test(bad4),
        cmocka_unit_test(direction),         cmocka_unit_test(key_composition),
        cmocka_unit_test(lengths),           cmocka_unit_test(snapped),
        cmocka_unit_test(extension_headers), cmocka_unit_test(routing_headers),
        cmocka_unit_test(fragments4),        cmocka_unit_test(fragments6),
        cmocka_unit_test(datagram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
