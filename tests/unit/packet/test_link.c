/* SPDX-License-Identifier: BSD-3-Clause */
/* Link layers: each must lead to the same inner packet, or say why not. */
#include "frames.h"

static struct build b;
static struct ws_packet p;

static void ethernet(void **state)
{
    (void)state;
    inner4(&b);
    build_ether(&b, 0x0800);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    assert_memory_equal(p.mac_dst, "\2\0\0\0\0\xd", 6);
    assert_memory_equal(p.mac_src, "\2\0\0\0\0\5", 6);
    assert_int_equal(p.vlan_tci, 0);
    inner6(&b);
    build_ether(&b, 0x86dd);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);

    build_start(&b);
    build_fill(&b, 0, 28);
    build_ether(&b, 0x0806);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_NON_IP);
    assert_int_equal(p.flags, WS_PKT_NON_IP);
    assert_int_equal(p.owner_hash, 0);
}

static void padding_and_fcs(void **state)
{
    (void)state;
    inner4(&b);
    build_fill(&b, 0xee, 60); /* padding and FCS */
    build_ether(&b, 0x0800);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    inner6(&b);
    build_fill(&b, 0xee, 60);
    build_ether(&b, 0x86dd);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
    /* An acknowledgement without payload in a padded minimum frame. */
    build_start(&b);
    build_tcp(&b, 1, 2, 3, 4, WS_TCP_ACK);
    build_ip4(&b, A4, B4, 6);
    build_ether(&b, 0x0800);
    build_fill(&b, 0, 6);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_OK);
    assert_int_equal(p.payload_len, 0);
    assert_int_equal(p.payload_wire_len, 0);
}

static void vlan(void **state)
{
    (void)state;
    static const uint16_t tpid[] = {0x8100, 0x88a8, 0x9100, 0x9200};
    for (size_t i = 0; i < WS_ARRAY_SIZE(tpid); i++) {
        inner4(&b);
        build_vlan(&b, 0xe005, 0x0800); /* priority bits do not count */
        build_ether(&b, tpid[i]);
        decode_as(&b, 1, &p);
        check_inner(&p, 4);
        assert_int_equal(p.key.vlan[0], 5);
        assert_int_equal(p.key.vlan[1], 0);
        assert_int_equal(p.vlan_tci, 0xe005);
    }
    struct ws_packet in_5 = p;
    inner4(&b);
    build_vlan(&b, 6, 0x0800);
    build_ether(&b, 0x8100);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    assert_memory_not_equal(&p.key, &in_5.key, sizeof(p.key)); /* another flow */
    assert_int_equal(p.owner_hash, in_5.owner_hash);           /* of the same owner */

    struct ws_decode_config cfg = ws_decode_defaults;
    cfg.key_vlan = false; /* asymmetric VLANs */
    decode_with(&b, 1, &p, (uint32_t)b.len, &cfg);
    check_inner(&p, 4);
    assert_int_equal(p.key.vlan[0], 0);
    assert_int_equal(p.vlan_tci, 6);
}

static void priority_tag_and_qinq(void **state)
{
    (void)state;
    inner4(&b);
    build_vlan(&b, 0x6000, 0x0800); /* VID 0: a priority only */
    build_ether(&b, 0x8100);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    assert_int_equal(p.key.vlan[0], 0);

    inner6(&b);
    build_vlan(&b, 7, 0x86dd);
    build_vlan(&b, 5, 0x8100);
    build_ether(&b, 0x88a8);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
    assert_int_equal(p.key.vlan[0], 5);
    assert_int_equal(p.key.vlan[1], 7);

    inner4(&b);
    build_vlan(&b, 9, 0x0800);
    build_vlan(&b, 7, 0x8100);
    build_vlan(&b, 5, 0x8100);
    build_ether(&b, 0x88a8);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    assert_int_equal(p.key.vlan[0], 5); /* first and last */
    assert_int_equal(p.key.vlan[1], 9);

    build_start(&b);
    build_bytes(&b, 0, 5);
    build_ether(&b, 0x8100);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_TRUNC_TAG);

    inner4(&b);
    build_vlan(&b, 1, 0x0800);
    for (int i = 0; i < 100; i++)
        build_vlan(&b, 1, 0x8100);
    build_ether(&b, 0x8100);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_DEPTH);
}

static void mpls(void **state)
{
    (void)state;
    inner4(&b);
    build_bytes(&b, 0, 0x10, 0x11, 64); /* label 0x101, bottom */
    build_bytes(&b, 0, 0x10, 0x20, 64);
    build_ether(&b, 0x8847);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    inner6(&b);
    build_bytes(&b, 0, 0, 0x21, 64);
    build_ether(&b, 0x8848);
    decode_as(&b, 1, &p);
    check_inner(&p, 6);
    /* Ethernet pseudo-wire: with a control word, and without but with MACs that look like IP. */
    inner4(&b);
    build_vlan(&b, 5, 0x0800);
    build_ether(&b, 0x8100);
    build_bytes(&b, 0, 0, 0, 1);
    build_bytes(&b, 0, 0x10, 0x11, 64);
    build_ether(&b, 0x8847);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    assert_int_equal(p.key.vlan[0], 5);
    for (uint8_t first = 0; first < 0x70; first = (uint8_t)(first + 0x10)) {
        inner4(&b);
        build_ether(&b, 0x0800)[0] = first;
        build_bytes(&b, 0, 0x10, 0x11, 64);
        build_ether(&b, 0x8847);
        decode_as(&b, 1, &p);
        check_inner(&p, 4);
    }
    build_start(&b); /* the associated channel of a pseudo-wire */
    build_bytes(&b, 0x10, 0, 0, 7, 1, 2, 3, 4);
    build_bytes(&b, 0, 0x10, 0x11, 64);
    build_ether(&b, 0x8847);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_NON_IP);
    build_start(&b);
    build_bytes(&b, 0, 0x10, 0x10, 64);
    build_ether(&b, 0x8847);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_TRUNC_TAG);
}

static void pppoe_front(uint16_t ppp)
{
    uint16_t len = (uint16_t)(b.len + 2);
    build_fill(&b, 0xee, 9); /* padding behind the PPPoE length */
    build_bytes(&b, (uint8_t)(ppp >> 8), (uint8_t)ppp);
    build_bytes(&b, 0x11, 0, 0, 9, (uint8_t)(len >> 8), (uint8_t)len);
}

static void pppoe_and_ppp(void **state)
{
    (void)state;
    inner4(&b);
    pppoe_front(0x21);
    build_ether(&b, 0x8864);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    inner6(&b);
    pppoe_front(0x57);
    decode_as(&b, 51, &p);
    check_inner(&p, 6);
    build_start(&b);
    build_text(&b, "LCP...");
    pppoe_front(0xc021);
    build_ether(&b, 0x8864);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_NON_IP);

    inner4(&b);
    build_bytes(&b, 0xff, 0x03, 0x00, 0x21);
    decode_as(&b, 9, &p);
    check_inner(&p, 4);
    decode_as(&b, 50, &p);
    check_inner(&p, 4);
    inner4(&b);
    build_bytes(&b, 0x21); /* compressed protocol field */
    decode_as(&b, 9, &p);
    check_inner(&p, 4);
    inner6(&b);
    build_bytes(&b, 0x0f, 0, 0x86, 0xdd); /* Cisco HDLC */
    decode_as(&b, 104, &p);
    check_inner(&p, 6);
    decode_as(&b, 50, &p);
    check_inner(&p, 6);
    inner4(&b);
    build_bytes(&b, 0, 0x10, 0x11, 64);
    build_bytes(&b, 0x02, 0x81); /* MPLS in PPP */
    decode_as(&b, 9, &p);
    check_inner(&p, 4);
}

static void llc_snap(void **state)
{
    (void)state;
    inner4(&b);
    build_bytes(&b, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0);
    uint16_t len = (uint16_t)b.len;
    build_fill(&b, 0xee, 20);
    build_ether(&b, len);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    inner4(&b);
    build_bytes(&b, 6, 6, 3); /* the IP SAP */
    build_ether(&b, (uint16_t)b.len);
    decode_as(&b, 1, &p);
    check_inner(&p, 4);
    build_start(&b); /* spanning tree */
    build_bytes(&b, 0x42, 0x42, 3, 0, 0, 0, 0);
    build_ether(&b, 7);
    assert_int_equal(decode_as(&b, 1, &p), WS_DECODE_NON_IP);
}

static void loopback(void **state)
{
    (void)state;
    static const uint8_t families6[] = {10, 24, 28, 30};
    inner4(&b);
    build_bytes(&b, 2, 0, 0, 0);
    decode_as(&b, 0, &p);
    check_inner(&p, 4);
    inner4(&b);
    build_bytes(&b, 0, 0, 0, 2);
    decode_as(&b, 0, &p);
    check_inner(&p, 4);
    decode_as(&b, 108, &p);
    check_inner(&p, 4);
    for (size_t i = 0; i < sizeof(families6); i++) {
        inner6(&b);
        build_bytes(&b, families6[i], 0, 0, 0);
        decode_as(&b, 0, &p);
        check_inner(&p, 6);
        inner6(&b);
        build_bytes(&b, 0, 0, 0, families6[i]);
        decode_as(&b, 0, &p);
        check_inner(&p, 6);
    }
    inner4(&b);
    build_bytes(&b, 7, 0, 0, 0);
    assert_int_equal(decode_as(&b, 0, &p), WS_DECODE_NON_IP);
}

static void raw(void **state)
{
    (void)state;
    static const uint16_t both[] = {12, 14, 101};
    inner4(&b);
    for (size_t i = 0; i < WS_ARRAY_SIZE(both); i++) {
        decode_as(&b, both[i], &p);
        check_inner(&p, 4);
    }
    decode_as(&b, 228, &p);
    check_inner(&p, 4);
    assert_int_equal(decode_as(&b, 229, &p), WS_DECODE_BAD_IP);
    inner6(&b);
    for (size_t i = 0; i < WS_ARRAY_SIZE(both); i++) {
        decode_as(&b, both[i], &p);
        check_inner(&p, 6);
    }
    decode_as(&b, 229, &p);
    check_inner(&p, 6);
    b.at[0] = 0x50;
    assert_int_equal(decode_as(&b, 101, &p), WS_DECODE_BAD_IP);
    assert_int_equal(decode_as(&b, 9999, &p), WS_DECODE_LINK_TYPE);
}

static void cooked(void **state)
{
    (void)state;
    inner4(&b);
    build_bytes(&b, 0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 5, 0, 0, 8, 0);
    decode_as(&b, 113, &p);
    check_inner(&p, 4);
    inner6(&b);
    build_vlan(&b, 5, 0x86dd);
    build_bytes(&b, 0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 5, 0, 0, 0x81, 0);
    decode_as(&b, 113, &p);
    check_inner(&p, 6);
    assert_int_equal(p.key.vlan[0], 5);
    inner4(&b);
    build_bytes(&b, 8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 5, 0, 0);
    decode_as(&b, 276, &p);
    check_inner(&p, 4);
    build_start(&b); /* netlink: its family stands in the protocol field */
    build_text(&b, "netlink message");
    build_bytes(&b, 0, 4, 0x03, 0x38, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0);
    assert_int_equal(decode_as(&b, 113, &p), WS_DECODE_NON_IP);
}

/* An 802.11 MAC header in front; flags is the second frame control byte. */
static void wlan_front(uint8_t subtype, uint8_t flags)
{
    build_bytes(&b, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0);
    if (subtype & 8) {
        if (flags & 0x80)
            build_front(&b, NULL, 4);
        build_front(&b, NULL, 2);
    }
    if ((flags & 3) == 3)
        build_front(&b, NULL, 6);
    uint8_t *h = build_front(&b, NULL, 24);
    h[0] = (uint8_t)(subtype << 4 | 0x08);
    h[1] = flags;
}

static void wlan(void **state)
{
    (void)state;
    static const uint8_t flags[] = {0, 1, 2, 3, 0x83};
    for (size_t i = 0; i < sizeof(flags); i++)
        for (uint8_t subtype = 0; subtype <= 8; subtype = (uint8_t)(subtype + 8)) {
            if (!subtype && flags[i] & 0x80)
                continue;
            inner4(&b);
            wlan_front(subtype, flags[i]);
            decode_as(&b, 105, &p);
            check_inner(&p, 4);
        }
    inner4(&b);
    wlan_front(8, 0x41); /* encrypted */
    assert_int_equal(decode_as(&b, 105, &p), WS_DECODE_NON_IP);
    inner4(&b);
    wlan_front(4, 1); /* null function */
    assert_int_equal(decode_as(&b, 105, &p), WS_DECODE_NON_IP);
    inner4(&b);
    wlan_front(8, 1);
    b.at[24] = 0x80; /* A-MSDU */
    assert_int_equal(decode_as(&b, 105, &p), WS_DECODE_NON_IP);
    inner4(&b);
    wlan_front(0, 1);
    b.at[22] = 1; /* second fragment */
    assert_int_equal(decode_as(&b, 105, &p), WS_DECODE_NON_IP);
    build_start(&b); /* beacon */
    build_fill(&b, 0, 40);
    b.at[0] = 0x80;
    assert_int_equal(decode_as(&b, 105, &p), WS_DECODE_NON_IP);
}

static void radiotap(void **state)
{
    (void)state;
    /* IP length 0, so that only the FCS flag keeps the trailer out of the payload. */
    inner4(&b);
    ws_store_be16(b.at + 2, 0);
    build_fill(&b, 0xee, 4);
    wlan_front(8, 1);
    build_bytes(&b, 0, 0, 17, 0, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x10);
    decode_as(&b, 127, &p);
    check_inner(&p, 4);
    /* Two presence words, FLAGS without TSFT. */
    inner4(&b);
    ws_store_be16(b.at + 2, 0);
    build_fill(&b, 0xee, 4);
    wlan_front(8, 1);
    build_bytes(&b, 0, 0, 14, 0, 2, 0, 0, 0x80, 0, 0, 0, 0, 0x10, 0);
    decode_as(&b, 127, &p);
    check_inner(&p, 4);
    /* DATAPAD: the 26-byte QoS header is padded to 28. */
    inner4(&b);
    build_bytes(&b, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0);
    build_front(&b, NULL, 2 + 2);
    build_front(&b, NULL, 24)[0] = 0x88;
    build_bytes(&b, 0, 0, 9, 0, 2, 0, 0, 0, 0x20);
    decode_as(&b, 127, &p);
    check_inner(&p, 4);
    b.at[2] = 200; /* header length beyond the frame */
    b.at[3] = 200;
    assert_int_equal(decode_as(&b, 127, &p), WS_DECODE_TRUNC_LINK);
}

static void prism_and_avs(void **state)
{
    (void)state;
    inner4(&b);
    wlan_front(0, 1);
    uint8_t *h = build_front(&b, NULL, 144);
    h[0] = 0x44;
    h[4] = 144;
    decode_as(&b, 119, &p);
    check_inner(&p, 4);
    inner4(&b);
    wlan_front(0, 1);
    h = build_front(&b, NULL, 64);
    ws_store_be32(h, 0x80211001);
    ws_store_be32(h + 4, 64);
    decode_as(&b, 163, &p);
    check_inner(&p, 4);
    decode_as(&b, 119, &p);
    check_inner(&p, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ethernet),      cmocka_unit_test(padding_and_fcs),
        cmocka_unit_test(vlan),          cmocka_unit_test(priority_tag_and_qinq),
        cmocka_unit_test(mpls),          cmocka_unit_test(pppoe_and_ppp),
        cmocka_unit_test(llc_snap),      cmocka_unit_test(loopback),
        cmocka_unit_test(raw),           cmocka_unit_test(cooked),
        cmocka_unit_test(wlan),          cmocka_unit_test(radiotap),
        cmocka_unit_test(prism_and_avs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
