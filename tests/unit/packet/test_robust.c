/* SPDX-License-Identifier: BSD-3-Clause */
/* Every truncation and many mutations of sample frames decode without a read past their end, with
 * results that are consistent in themselves; and statuses have names and counters. */
#include <stdio.h>
#include <time.h>

#include "frames.h"

static struct build b;

/* Sample frames, the deeper the better. Returns the link type of sample i, or -1 past the last. */
static int sample(unsigned i)
{
    inner4(&b);
    switch (i) {
    case 0:
        build_ether(&b, 0x0800);
        return 1;
    case 1:
        inner6(&b);
        build_vlan(&b, 7, 0x86dd);
        build_vlan(&b, 5, 0x8100);
        build_ether(&b, 0x88a8);
        return 1;
    case 2:
        build_bytes(&b, 0, 0x21);
        build_bytes(&b, 0x11, 0, 0, 9, 0, 54);
        build_ether(&b, 0x8864);
        return 1;
    case 3:
        build_ether(&b, 0x0800);
        build_bytes(&b, 0, 0, 0, 1);
        build_bytes(&b, 0, 0x10, 0x11, 64);
        build_ether(&b, 0x8847);
        return 1;
    case 4:
        build_ether(&b, 0x0800);
        build_bytes(&b, 1, 2, 0x80, 1, 0, 0, 0, 9);
        build_bytes(&b, 2, 0, 0x65, 0x58, 0, 0, 7, 0);
        build_udp(&b, 1, 6081);
        build_ip4(&b, C4, D4, 17);
        build_ether(&b, 0x0800);
        return 1;
    case 5:
        build_bytes(&b, 0, 1, 0, 0x85, 1, 7, 7, 0);
        build_bytes(&b, 0x36, 255, 0, (uint8_t)b.len, 0, 0, 0, 9);
        build_udp(&b, 2152, 2152);
        build_ip6(&b, C6, D6, 17);
        return 101;
    case 6:
        build_ether(&b, 0x0800);
        build_front(&b, NULL, 8);
        build_bytes(&b, 0x20, 1, 0xfd, 0x23, 1, 2, 3, 4, 0, 0, 0, 1);
        build_bytes(&b, 0x10, 0, 0x22, 0xeb, 0, 0, 0, 1);
        build_ip4(&b, C4, D4, 47);
        build_bytes(&b, 0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 5, 0, 0, 8, 0);
        return 113;
    case 7:
        build_bytes(&b, 0xff, 3, 0, 0x21);
        build_bytes(&b, 0x4a, 2, 0, (uint8_t)(b.len + 17), 0, 1, 0, 2, 0, 0, 0, 0, 0, 3, 9, 9, 9);
        build_udp(&b, 1701, 1701);
        build_ip4(&b, C4, D4, 17);
        build_bytes(&b, 8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 5, 0, 0);
        return 276;
    case 8:
        build_bytes(&b, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0);
        build_front(&b, NULL, 26)[0] = 0x88;
        build_bytes(&b, 0, 0, 17, 0, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0);
        return 127;
    case 9:
        inner6(&b);
        build_bytes(&b, 0, 0, 1, 2, 3, 4, 5, 6);
        build_bytes(&b, 0, 1, 2, 1, 'i', 'd', 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0);
        build_udp(&b, 3544, 3544);
        build_ip4(&b, C4, D4, 17);
        build_bytes(&b, 2, 0, 0, 0);
        return 0;
    case 10:
        build_start(&b);
        build_text(&b, HELLO);
        build_tcp(&b, 1000, 80, 7, 9, WS_TCP_SYN);
        build_bytes(&b, 6, 0, 0, 1, 0, 0, 0, 9); /* first fragment */
        build_front(&b, B6, 16);
        build_bytes(&b, 44, 2, 4, 1, 0, 0, 0, 0);
        build_bytes(&b, 43, 0, 1, 4, 0, 0, 0, 0);
        build_ip6(&b, A6, C6, 0);
        build_bytes(&b, 0xff, 3, 0, 0x57);
        return 9;
    case 11: {
        static const uint8_t options[] = {2, 4, 5, 0xb4, 1, 3, 3, 7};
        build_start(&b);
        build_tcp_options(&b, 1000, 80, 7, 0, WS_TCP_SYN, options, sizeof(options));
        build_ip4(&b, A4, B4, 6);
        build_bytes(&b, 0x30, 0x81, 0x08, 0, 0, 36, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0);
        build_ip4(&b, C4, D4, 47);
        build_bytes(&b, 0x0f, 0, 8, 0);
        return 104;
    }
    case 12: {
        build_bytes(&b, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0);
        build_front(&b, NULL, 24)[0] = 0x08;
        uint8_t *h = build_front(&b, NULL, 64);
        ws_store_be32(h, 0x80211001);
        ws_store_be32(h + 4, 64);
        return 119;
    }
    case 13: { /* the short cut's, with all that it looks at: options of a SYN, payload, padding */
        static const uint8_t options[] = {2, 4, 5, 0xb4, 1, 3, 3, 7};
        build_start(&b);
        build_text(&b, HELLO);
        build_tcp_options(&b, 80, 1000, 7, 0, WS_TCP_SYN, options, sizeof(options));
        build_ip4(&b, A4, B4, 6);
        build_ether(&b, 0x0800);
        build_fill(&b, 0, 6);
        return 1;
    }
    default:
        return -1;
    }
}

/* Decodes cap_len bytes of a frame that was wire_len long, and checks what always holds. */
static void try_with(const uint8_t *frame, uint32_t cap_len, uint32_t wire_len, int link, bool key_mac)
{
    static struct ws_decode_config cfg;
    cfg = ws_decode_defaults;
    cfg.verify_l4 = true;
    cfg.key_mac = key_mac;
    struct guard g = guard_copy(frame, cap_len);
    struct ws_packet p;
    memset(&p, 0xa5, sizeof(p));
    p.data = g.data;
    p.cap_len = cap_len;
    p.wire_len = wire_len;
    p.link_type = (uint16_t)link;
    p.flags = 0;
    struct ws_packet q = p;
    enum ws_decode_status s = ws_decode(&p, &cfg);
    ws_decode_general(&q, &cfg);
    assert_memory_equal(&p, &q, sizeof(p));
    assert_true(s <= WS_DECODE_OFFSET);
    if (s == WS_DECODE_OK) {
        assert_true(p.flags & WS_PKT_IP);
        assert_true(p.l4 >= g.data && p.l4 + p.l4_len <= g.data + cap_len);
        assert_true(p.payload >= p.l4 && p.payload + p.payload_len <= p.l4 + p.l4_len);
        assert_true(p.payload_len <= p.payload_wire_len || p.flags & WS_PKT_FRAGMENT);
        assert_true(p.payload_wire_len <= (cap_len > wire_len ? cap_len : wire_len));
        assert_int_equal(p.l4 - g.data, p.l4_off);
        assert_true(p.l3_off < p.l4_off);
        int order = memcmp(p.key.addr[0], p.key.addr[1], 16);
        assert_true(order < 0 || (order == 0 && p.key.port[0] <= p.key.port[1]));
        if (p.flags & WS_PKT_FRAGMENT) {
            struct ws_packet d = p;
            s = ws_decode_datagram(&d, &cfg, p.key.proto, p.l4, p.l4_len, p.frag_wire_len);
            assert_true(s <= WS_DECODE_OFFSET);
        }
    } else if (s == WS_DECODE_NON_IP) {
        assert_true(p.flags & WS_PKT_NON_IP);
    }
    guard_free(&g);
}

/* With MAC addresses in the key there is no short cut to hold against the general way. */
static void try(const uint8_t *frame, uint32_t cap_len, uint32_t wire_len, int link)
{
    try_with(frame, cap_len, wire_len, link, false);
    try_with(frame, cap_len, wire_len, link, true);
}

static void truncations(void **state)
{
    (void)state;
    int link;
    for (unsigned i = 0; (link = sample(i)) >= 0; i++) {
        struct ws_packet p = build_packet(&b, (uint16_t)link);
        assert_int_equal(ws_decode(&p, &ws_decode_defaults), WS_DECODE_OK);
        for (uint32_t n = 0; n <= b.len; n++) {
            try(b.at, n, (uint32_t)b.len, link); /* snapped */
            try(b.at, n, n, link);               /* that short on the wire */
        }
    }
}

static void mutations(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
    printf("SEED=%u\n", seed);
    srand(seed);
    int link;
    for (unsigned i = 0; sample(i) >= 0; i++)
        for (unsigned n = 0; n < 1500; n++) {
            link = sample(i);
            for (unsigned m = 1 + (unsigned)rand() % 6; m; m--)
                b.at[(size_t)rand() % b.len] = (uint8_t)rand();
            uint32_t len = (uint32_t)b.len;
            uint32_t wire_len = n % 5 ? len : (uint32_t)rand() % (2 * len);
            try(b.at, n % 3 ? len : (uint32_t)rand() % (len + 1), wire_len, link);
        }
}

static void statuses(void **state)
{
    (void)state;
    for (int s = 0; s <= WS_DECODE_OFFSET; s++) {
        assert_true(strlen(ws_decode_status_name((enum ws_decode_status)s)) > 3);
        for (int t = 0; t < s; t++)
            assert_int_not_equal(ws_decode_counter((enum ws_decode_status)s),
                                 ws_decode_counter((enum ws_decode_status)t));
    }
    assert_int_equal(ws_decode_counter(WS_DECODE_BAD_TCP), WS_C_UNDEC_BAD_TCP);
}

/* Headers that reach beyond what 16-bit offsets can say. */
static void offsets(void **state)
{
    (void)state;
    inner4(&b);
    build_bytes(&b, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0);
    build_front(&b, NULL, 24)[0] = 0x08;
    static uint8_t frame[70000]; /* radiotap has the longest header there is */
    ws_store_le16(frame + 2, 65500);
    memcpy(frame + 65500, b.at, b.len);
    build_start(&b);
    build_data(&b, frame, 65600);
    struct ws_packet p = build_packet(&b, 127);
    assert_int_equal(ws_decode(&p, &ws_decode_defaults), WS_DECODE_OFFSET);

    /* a fragment whose IP header begins within them and ends beyond */
    static const uint8_t llc[] = {0xaa, 0xaa, 3, 0, 0, 0, 8, 0};
    uint8_t *ip = frame + 65448 + 24 + sizeof(llc);
    memset(frame, 0, sizeof(frame));
    ws_store_le16(frame + 2, 65448);
    frame[65448] = 0x08;
    memcpy(frame + 65448 + 24, llc, sizeof(llc));
    ip[0] = 0x4f;
    ws_store_be16(ip + 2, 60 + 16);
    ws_store_be16(ip + 6, 0x2000);
    ip[9] = 17;
    build_start(&b);
    build_data(&b, frame, (size_t)(ip - frame) + 60 + 16);
    p = build_packet(&b, 127);
    assert_int_equal(ws_decode(&p, &ws_decode_defaults), WS_DECODE_OFFSET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncations),
        cmocka_unit_test(mutations),
        cmocka_unit_test(statuses),
        cmocka_unit_test(offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
