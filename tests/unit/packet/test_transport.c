/* SPDX-License-Identifier: BSD-3-Clause */
/* Transport headers: TCP and UDP in all their lengths, other protocols, checksums. */
#include "frames.h"

static struct build b;
static struct ws_packet p;

static void tcp_header_lengths(void **state)
{
    (void)state;
    static const uint8_t options[40] = {1, 1, 1, 1};
    for (size_t len = 0; len <= 40; len += 4) {
        build_start(&b);
        build_text(&b, HELLO);
        build_tcp_options(&b, 1000, 80, 7, 9, WS_TCP_ACK, options, len);
        build_ip4(&b, A4, B4, 6);
        assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_OK);
        assert_int_equal(p.tcp_hdr_len, 20 + len);
        assert_memory_equal(p.payload, HELLO, strlen(HELLO));
        assert_int_equal(p.payload_len, strlen(HELLO));
        assert_int_equal(p.tcp_window, 8192);
        /* Cut inside the options: no payload captured, but known how much there was. */
        decode_with(&b, 228, &p, 40, &ws_decode_defaults);
        assert_int_equal(p.status, WS_DECODE_OK);
        assert_int_equal(p.payload_len, 0);
        assert_int_equal(p.payload_wire_len, strlen(HELLO));
    }
    inner4(&b);
    for (unsigned offset = 0; offset < 5; offset++) {
        b.at[20 + 12] = (uint8_t)(offset << 4);
        assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_BAD_TCP);
    }
    b.at[20 + 12] = 9 << 4; /* 36 bytes of the 32 */
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_BAD_TCP);
    b.at[20 + 12] = 8 << 4; /* ends with the packet */
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_OK);
    assert_int_equal(p.payload_len, 0);
    build_start(&b);
    build_fill(&b, 0, 19);
    build_ip4(&b, A4, B4, 6);
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_TRUNC_L4);
}

/* Ports but no whole header: a frame of its flow when the snap length cut it, and no segment. */
static void tcp_header_cut(void **state)
{
    struct ws_packet whole;
    (void)state;
    inner4(&b);
    decode_as(&b, 228, &whole);
    for (uint32_t len = 4; len < 20; len++) {
        assert_int_equal(decode_with(&b, 228, &p, 20 + len, &ws_decode_defaults), WS_DECODE_OK);
        assert_int_equal(p.flags & (WS_PKT_IP | WS_PKT_TCP), WS_PKT_IP);
        assert_memory_equal(&p.key, &whole.key, sizeof(p.key));
        assert_int_equal(p.owner_hash, whole.owner_hash);
        assert_int_equal(p.dir, whole.dir);
        assert_int_equal(p.l4_len, len);
        assert_int_equal(p.payload_len, 0);
        assert_int_equal(p.payload_wire_len, 0);
        assert_int_equal(p.tcp_flags, 0);
    }
    assert_int_equal(decode_with(&b, 228, &p, 20 + 3, &ws_decode_defaults), WS_DECODE_TRUNC_L4);
    /* too short on the wire, snapped or not */
    build_start(&b);
    build_fill(&b, 0, 19);
    build_ip4(&b, A4, B4, 6);
    assert_int_equal(decode_with(&b, 228, &p, 20 + 10, &ws_decode_defaults), WS_DECODE_TRUNC_L4);
}

static void udp_header_cut(void **state)
{
    struct ws_packet whole;
    (void)state;
    build_start(&b);
    build_text(&b, HELLO);
    build_udp(&b, 1000, 53);
    build_ip4(&b, A4, B4, 17);
    decode_as(&b, 228, &whole);
    for (uint32_t len = 4; len < 8; len++) {
        assert_int_equal(decode_with(&b, 228, &p, 20 + len, &ws_decode_defaults), WS_DECODE_OK);
        assert_int_equal(p.flags & (WS_PKT_IP | WS_PKT_UDP), WS_PKT_IP);
        assert_memory_equal(&p.key, &whole.key, sizeof(p.key));
        assert_int_equal(p.l4_len, len);
        assert_int_equal(p.payload_len, 0);
        assert_int_equal(p.payload_wire_len, 0);
    }
    assert_int_equal(decode_with(&b, 228, &p, 20 + 3, &ws_decode_defaults), WS_DECODE_TRUNC_L4);
    build_start(&b);
    build_fill(&b, 0, 7);
    build_ip4(&b, A4, B4, 17);
    assert_int_equal(decode_with(&b, 228, &p, 20 + 5, &ws_decode_defaults), WS_DECODE_TRUNC_L4);
}

static uint8_t scale_of(const uint8_t *options, size_t len, uint8_t flags)
{
    build_start(&b);
    build_tcp_options(&b, 1000, 80, 7, 0, flags, options, len);
    build_ip4(&b, A4, B4, 6);
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_OK);
    return p.tcp_wscale;
}

static void window_scale(void **state)
{
    (void)state;
    static const uint8_t usual[] = {2, 4, 5, 0xb4, 1, 3, 3, 7}, zero[] = {1, 3, 3, 0},
                         huge[] = {3, 3, 200, 0}, none[] = {1, 1, 1, 1}, ended[] = {0, 3, 3, 7},
                         cut[] = {1, 1, 3, 3}, stuck[] = {5, 0, 3, 3}, wrong[] = {3, 4, 7, 7},
                         beyond[] = {2, 40, 3, 3};
    assert_int_equal(scale_of(usual, sizeof(usual), WS_TCP_SYN), 8);
    assert_int_equal(scale_of(usual, sizeof(usual), WS_TCP_SYN | WS_TCP_ACK | WS_TCP_ECE), 8);
    assert_int_equal(scale_of(usual, sizeof(usual), WS_TCP_ACK), 0); /* on SYN only */
    assert_int_equal(scale_of(zero, sizeof(zero), WS_TCP_SYN), 1);
    assert_int_equal(scale_of(huge, sizeof(huge), WS_TCP_SYN), 15);
    assert_int_equal(scale_of(none, sizeof(none), WS_TCP_SYN), 0);
    assert_int_equal(scale_of(ended, sizeof(ended), WS_TCP_SYN), 0);
    assert_int_equal(scale_of(cut, sizeof(cut), WS_TCP_SYN), 0);
    assert_int_equal(scale_of(stuck, sizeof(stuck), WS_TCP_SYN), 0);
    assert_int_equal(scale_of(wrong, sizeof(wrong), WS_TCP_SYN), 0);
    assert_int_equal(scale_of(beyond, sizeof(beyond), WS_TCP_SYN), 0);
}

static void udp(void **state)
{
    (void)state;
    build_start(&b);
    build_text(&b, HELLO);
    build_udp(&b, 53, 1000);
    build_data(&b, "options", 7); /* IP payload beyond the UDP length */
    build_ip4(&b, A4, B4, 17);
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_OK);
    assert_int_equal(p.flags, WS_PKT_IP | WS_PKT_UDP);
    assert_int_equal(p.key.port[0], 53);
    assert_int_equal(p.payload_len, strlen(HELLO));
    assert_int_equal(p.payload_wire_len, strlen(HELLO));
    assert_int_equal(p.payload - p.l4, 8);
    for (uint16_t len = 0; len < 8; len++) {
        ws_store_be16(b.at + 24, len);
        assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_BAD_UDP);
    }
    ws_store_be16(b.at + 24, 8);
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_OK);
    assert_int_equal(p.payload_len, 0);
    ws_store_be16(b.at + 24, 500);
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_BAD_UDP);
    ws_store_be16(b.at + 2, 520); /* IP agrees: cut by a hop that did not say so */
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_OK);

    build_start(&b);
    build_text(&b, HELLO);
    build_udp(&b, 53, 1000);
    build_ip6(&b, A6, B6, 17);
    decode_with(&b, 229, &p, 50, &ws_decode_defaults); /* snapped */
    assert_int_equal(p.status, WS_DECODE_OK);
    assert_int_equal(p.payload_len, 2);
    assert_int_equal(p.payload_wire_len, strlen(HELLO));

    build_start(&b); /* a UDP jumbogram: length 0 */
    build_fill(&b, 'x', 70000);
    ws_store_be16(build_udp(&b, 53, 1000) + 4, 0);
    build_bytes(&b, 17, 0, 0xc2, 4, 0, 1, 0x11, 0x80); /* 70,000 + 8 + 8 */
    ws_store_be16(build_ip6(&b, A6, B6, 0) + 4, 0);
    assert_int_equal(decode_as(&b, 229, &p), WS_DECODE_OK);
    assert_int_equal(p.payload_len, 70000);
}

static void other_protocols(void **state)
{
    (void)state;
    static const struct {
        uint8_t proto, header;
    } ports[] = {{132, 12}, {33, 12}, {136, 8}};
    for (size_t i = 0; i < WS_ARRAY_SIZE(ports); i++) {
        build_start(&b);
        build_text(&b, HELLO);
        uint8_t *h = build_front(&b, NULL, ports[i].header);
        ws_store_be16(h, 1000);
        ws_store_be16(h + 2, 80);
        h[4] = 3; /* DCCP's data offset in words */
        build_ip4(&b, A4, B4, ports[i].proto);
        assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_OK);
        assert_int_equal(p.flags, WS_PKT_IP);
        assert_int_equal(p.key.proto, ports[i].proto);
        assert_int_equal(p.key.port[0], 1000);
        assert_memory_equal(p.payload, HELLO, strlen(HELLO));
        assert_int_equal(p.payload_len, strlen(HELLO));

        struct ws_decode_config whole = ws_decode_defaults;
        whole.tcp_udp_ports = true; /* as any other protocol: header and all */
        assert_int_equal(decode_with(&b, 228, &p, (uint32_t)b.len, &whole), WS_DECODE_OK);
        assert_int_equal(p.key.proto, ports[i].proto);
        assert_int_equal(p.key.port[0] | p.key.port[1], 0);
        assert_int_equal(p.payload_len, ports[i].header + strlen(HELLO));
    }
    static const uint8_t plain[] = {1, 50, 58, 89, 255};
    for (size_t i = 0; i < sizeof(plain); i++) {
        build_start(&b);
        build_text(&b, HELLO);
        build_ip4(&b, A4, B4, plain[i]);
        assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_OK);
        assert_int_equal(p.key.proto, plain[i]);
        assert_int_equal(p.key.port[0] | p.key.port[1], 0);
        assert_int_equal(p.payload_len, strlen(HELLO));
    }
    inner4(&b); /* TCP quoted by ICMP is no TCP */
    build_bytes(&b, 3, 1, 0, 0, 0, 0, 0, 0);
    build_ip4(&b, C4, D4, 1);
    assert_int_equal(decode_as(&b, 228, &p), WS_DECODE_OK);
    assert_int_equal(p.flags, WS_PKT_IP);
    assert_int_equal(p.key.proto, 1);
    assert_memory_equal(p.key.addr[0], C4, 4);
    assert_int_equal(p.key.tunnel_depth, 0);
}

static void checksums(void **state)
{
    (void)state;
    struct ws_decode_config cfg = ws_decode_defaults;
    cfg.verify_l4 = true;
    for (int odd = 0; odd < 2; odd++)
        for (int version = 4; version <= 6; version += 2)
            for (uint8_t proto = 6; proto <= 17; proto = (uint8_t)(proto + 11)) {
                build_start(&b);
                build_text(&b, HELLO);
                if (odd)
                    build_text(&b, "!");
                if (proto == 6)
                    build_tcp(&b, 1000, 80, 7, 9, WS_TCP_ACK);
                else
                    build_udp(&b, 1000, 80);
                if (version == 4)
                    build_ip4(&b, A4, B4, proto);
                else
                    build_ip6(&b, A6, B6, proto);
                size_t len = b.len;
                build_fill(&b, 0xee, 6); /* a trailer is not summed */
                decode_with(&b, 101, &p, (uint32_t)b.len, &cfg);
                assert_int_equal(p.status, WS_DECODE_OK);
                assert_false(p.flags & WS_PKT_BAD_L4_SUM);
                b.at[len - 1] ^= 1;
                decode_with(&b, 101, &p, (uint32_t)b.len, &cfg);
                assert_true(p.flags & WS_PKT_BAD_L4_SUM);
                decode_with(&b, 101, &p, (uint32_t)b.len, &ws_decode_defaults);
                assert_false(p.flags & WS_PKT_BAD_L4_SUM); /* not asked */
                decode_with(&b, 101, &p, (uint32_t)len - 2, &cfg);
                assert_false(p.flags & WS_PKT_BAD_L4_SUM); /* not all there */
                p = build_packet(&b, 101);
                p.flags = WS_PKT_SUM_UNKNOWN; /* not computed yet */
                ws_decode(&p, &cfg);
                assert_false(p.flags & WS_PKT_BAD_L4_SUM);
                assert_true(p.flags & WS_PKT_SUM_UNKNOWN);
                if (proto == 17) { /* 0: none was made */
                    ws_store_be16(b.at + (version == 4 ? 20 : 40) + 6, 0);
                    decode_with(&b, 101, &p, (uint32_t)b.len, &cfg);
                    assert_false(p.flags & WS_PKT_BAD_L4_SUM);
                }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_header_lengths), cmocka_unit_test(tcp_header_cut),
        cmocka_unit_test(udp_header_cut),
        cmocka_unit_test(window_scale),       cmocka_unit_test(udp),
        cmocka_unit_test(other_protocols),    cmocka_unit_test(checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
