/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments case by case: order, copies, overlap policies, loss, tunnels, tiny and odd ones. */
#include "fixture.h"

static struct build b, whole;
static uint8_t payload[65536];

/* A UDP datagram of len bytes in whole.at, from A to B, ports 1000 and 80. */
static void make_udp(uint32_t len)
{
    for (uint32_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 7 + (i >> 8));
    build_start(&whole);
    build_data(&whole, payload, len - 8);
    build_udp(&whole, 1000, 80);
    build_l4_sum(&whole, A4, B4, 4, 17);
}

static void check_udp(uint32_t len)
{
    assert_int_equal(out.status, WS_DECODE_OK);
    assert_int_equal(out.len, len);
    assert_int_equal(out.wire_len, len);
    assert_memory_equal(out.bytes, whole.at, len);
    assert_int_equal(out.datagram.payload_len, len - 8);
    assert_int_equal(out.datagram.key.port[0], 1000);
    assert_true(out.datagram.flags & WS_PKT_UDP);
    assert_memory_equal(&out.datagram.key, &out.last.key, sizeof(struct ws_key));
    assert_int_equal(out.datagram.owner_hash, out.last.owner_hash);
}

static void in_order(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(3000);
    fragment4(&b, whole.at, 0, 1480, true, 17, 1);
    push(&b);
    fragment4(&b, whole.at, 1480, 1480, true, 17, 1);
    push(&b);
    assert_int_equal(out.datagrams, 0);
    fragment4(&b, whole.at, 2960, 40, false, 17, 1);
    push(&b);
    assert_int_equal(out.datagrams, 1);
    check_udp(3000);
    assert_int_equal(out.known, 3); /* the first one brings the ports */
    assert_int_equal(out.unknown, 0);
    assert_int_equal(counted(WS_C_FRAG_DATAGRAMS), 1);
    frag_end();
}

static void reversed(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(3000);
    fragment4(&b, whole.at, 2960, 40, false, 17, 1);
    push(&b);
    fragment4(&b, whole.at, 1480, 1480, true, 17, 1);
    push(&b);
    assert_int_equal(out.unknown, 2);
    struct build middle = b;
    middle.at = middle.buf + (b.at - b.buf);
    fragment4(&b, whole.at, 0, 1480, true, 17, 1);
    push(&b);
    assert_int_equal(out.datagrams, 1);
    check_udp(3000);
    assert_int_equal(out.released, 2); /* in order of arrival, bytes intact */
    assert_int_equal(out.released_ordinal[0], 0);
    assert_int_equal(out.released_ordinal[1], 1);
    assert_int_equal(out.released_len, middle.len);
    assert_memory_equal(out.released_frame, middle.at, middle.len);
    assert_int_equal(out.known, 1);
    frag_end();
}

/* Frames larger than a chunk are kept whole too. */
static void reversed_jumbo(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(60000);
    fragment4(&b, whole.at, 20000, 40000, false, 17, 1);
    build_ether(&b, 0x0800);
    push_link(&b, 1, (uint32_t)b.len);
    struct build last = b;
    last.at = last.buf + (b.at - b.buf);
    fragment4(&b, whole.at, 0, 20000, true, 17, 1);
    build_ether(&b, 0x0800);
    push_link(&b, 1, (uint32_t)b.len);
    assert_int_equal(out.datagrams, 1);
    check_udp(60000);
    assert_int_equal(out.released, 1);
    assert_int_equal(out.released_len, last.len);
    assert_memory_equal(out.released_frame, last.at, last.len);
    frag_end();
}

static void duplicated(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(3000);
    for (uint32_t off = 0; off < 3000; off += 1000)
        for (int copy = 0; copy < 2; copy++) { /* as a mirror port shows them */
            fragment4(&b, whole.at, off, 1000, off < 2000, 17, 1);
            push(&b);
        }
    assert_int_equal(out.datagrams, 1);
    check_udp(3000);
    assert_int_equal(out.known, 6);
    assert_int_equal(counted(WS_C_FRAG_DUPLICATE), 3);
    assert_int_equal(counted(WS_C_FRAG_OVERLAP), 0);
    frag_end();
    assert_int_equal(out.lost, 0);
    assert_int_equal(counted(WS_C_FRAG_TIMEOUT), 0);
}

/* The same identification again: in other bytes, or after a while, it is another datagram. */
static void identification_reused(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(2000);
    for (int n = 0; n < 3; n++) {
        whole.at[100] = (uint8_t)n;
        whole.at[1900] = (uint8_t)n;
        for (uint32_t off = 0; off < 2000; off += 1000) {
            fragment4(&b, whole.at, off, 1000, off < 1000, 17, 1);
            push(&b);
        }
        assert_int_equal(out.datagrams, n + 1);
        check_udp(2000);
    }
    now_ns += 1000000000;
    for (uint32_t off = 0; off < 2000; off += 1000) {
        fragment4(&b, whole.at, off, 1000, off < 1000, 17, 1);
        push(&b);
    }
    assert_int_equal(out.datagrams, 4);
    frag_end();
}

static void opposite_directions(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(2000);
    struct build back;
    for (uint32_t off = 0; off < 2000; off += 1000) {
        fragment4(&b, whole.at, off, 1000, off < 1000, 17, 1);
        push(&b);
        build_start(&back);
        build_fill(&back, (uint8_t)('p' + off / 1000), 1000);
        build_ip4_full(&back, B4, A4, 17, 1, (uint16_t)(off / 8 | (off < 1000 ? 0x2000u : 0)), NULL,
                       0);
        if (off == 0)
            ws_store_be16(back.at + 24, 2000); /* UDP length */
        push(&back);
        if (off == 1000) {
            assert_int_equal(out.datagrams, 2);
            assert_int_equal(out.datagram.dir, 1);
            assert_int_equal(out.bytes[999], 'p');
            assert_int_equal(out.bytes[1000], 'q');
        }
    }
    frag_end();
}

/* Case 91: the fragments of Novak's paper: letters, offsets and lengths in units of 8 bytes. */
static void overlap_policies(void **state)
{
    (void)state;
    static const struct {
        char letter;
        uint8_t off, len;
    } f[] = {{'A', 0, 3},  {'B', 4, 2},  {'C', 6, 3},  {'D', 10, 1}, {'E', 13, 2}, {'F', 15, 3},
             {'G', 18, 2}, {'H', 20, 2}, {'I', 22, 1}, {'J', 1, 4},  {'K', 6, 3},  {'L', 9, 3},
             {'M', 12, 3}, {'N', 16, 1}, {'O', 19, 1}, {'P', 20, 1}, {'Q', 22, 2}};
    static const char *const expect[] = {
        [WS_OVERLAP_FIRST] = "AAAJBBCCCLDLMEEFFFGGHHIQ",
        [WS_OVERLAP_LAST] = "AJJJJBKKKLLLMMMFNFGOPHQQ",
        [WS_OVERLAP_BSD] = "AAAJJBCCCLLLMMMFFFGGHHIQ",
        [WS_OVERLAP_LINUX] = "AAAJJBKKKLLLMMMFFFGGPHQQ",
        [WS_OVERLAP_WINDOWS] = "AAAJBBCCCLLLMEEFFFGGHHIQ",
        [WS_OVERLAP_SOLARIS] = "AAAJBBCCCLLLMMMFFFGGHHIQ",
        [WS_OVERLAP_OLD_LINUX] = "AAAJJBKKKLLLMMMFFFGGPHQQ",
    };
    for (unsigned policy = 0; policy < WS_ARRAY_SIZE(expect); policy++)
        for (int version = 4; version <= 6; version += 2) {
            struct ws_frag_config cfg = ws_frag_defaults;
            cfg.overlap = (enum ws_overlap)policy;
            frag_begin(&cfg);
            for (size_t i = 0; i < WS_ARRAY_SIZE(f); i++) {
                assert_int_equal(out.datagrams, 0);
                uint8_t bytes[200];
                memset(bytes, f[i].letter, sizeof(bytes));
                if (version == 4)
                    fragment4(&b, bytes, f[i].off * 8u, f[i].len * 8u, f[i].letter != 'Q', 1, 7);
                else
                    fragment6(&b, bytes, f[i].off * 8u, f[i].len * 8u, f[i].letter != 'Q', 58, 7);
                push(&b);
            }
            assert_int_equal(out.datagrams, 1);
            assert_int_equal(out.len, 192);
            char letters[25] = "";
            for (unsigned i = 0; i < 24; i++) {
                letters[i] = (char)out.bytes[i * 8];
                assert_int_equal(out.bytes[i * 8], out.bytes[i * 8 + 7]);
            }
            assert_string_equal(letters, expect[policy]);
            assert_int_equal(counted(WS_C_FRAG_OVERLAP), 8);
            frag_end();
        }
}

static void one_missing(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(3000);
    fragment4(&b, whole.at, 0, 1000, true, 17, 1);
    push(&b);
    fragment4(&b, whole.at, 2000, 1000, false, 17, 1);
    push(&b);
    fragment4(&b, whole.at, 2000, 1000, false, 17, 2); /* a first one that never comes */
    push(&b);
    now_ns += ws_frag_defaults.timeout_ns;
    ws_frag_expire(frag, now_ns, 10);
    assert_int_equal(counted(WS_C_FRAG_TIMEOUT), 0);
    ws_frag_expire(frag, now_ns + 1, 1); /* the budget bounds the work */
    assert_int_equal(counted(WS_C_FRAG_TIMEOUT), 2);
    ws_frag_expire(frag, now_ns + 1, 10);
    assert_int_equal(counted(WS_C_FRAG_TIMEOUT), 3);
    assert_int_equal(out.lost, 1);
    assert_int_equal(out.datagrams, 0);
    frag_end();
}

/* A fragment later than the timeout begins anew, whether or not the old one was expired. */
static void timeout_at_push(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(2000);
    fragment4(&b, whole.at, 0, 1000, true, 17, 1);
    push(&b);
    now_ns += ws_frag_defaults.timeout_ns + 1;
    fragment4(&b, whole.at, 1000, 1000, false, 17, 1);
    push(&b);
    assert_int_equal(out.datagrams, 0);
    assert_int_equal(counted(WS_C_FRAG_TIMEOUT), 1);
    assert_int_equal(out.unknown, 1);
    fragment4(&b, whole.at, 0, 1000, true, 17, 1);
    push(&b);
    assert_int_equal(out.datagrams, 1);
    frag_end();
}

static void teardrop(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(2000);
    fragment4(&b, whole.at, 0, 40, true, 17, 1);
    push(&b);
    fragment4(&b, whole.at, 24, 4, false, 17, 1); /* ends inside the first one */
    push(&b);
    assert_int_equal(out.datagrams, 0);
    assert_int_equal(counted(WS_C_FRAG_INVALID), 1);
    assert_int_equal(out.known, 2);
    frag_end();
}

static void inconsistent_sizes(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(2000);
    fragment4(&b, whole.at, 0, 13, true, 17, 1); /* not the last, no multiple of 8 */
    push(&b);
    assert_int_equal(counted(WS_C_FRAG_INVALID), 1);
    assert_int_equal(out.known, 1);              /* its frame belongs to a flow all the same */
    fragment4(&b, whole.at, 16, 0, true, 17, 1); /* nothing in it */
    push(&b);
    assert_int_equal(counted(WS_C_FRAG_INVALID), 2);
    assert_int_equal(out.lost, 1);
    fragment4(&b, whole.at, 1000, 1000, false, 17, 1);
    push(&b);
    fragment4(&b, whole.at, 1000, 1008, true, 17, 1); /* beyond the end */
    push(&b);
    fragment4(&b, whole.at, 1000, 500, false, 17, 1); /* another end */
    push(&b);
    assert_int_equal(counted(WS_C_FRAG_INVALID), 4);
    fragment4(&b, whole.at, 0, 1000, true, 17, 1); /* and still it works */
    push(&b);
    assert_int_equal(out.datagrams, 1);
    check_udp(2000);
    assert_int_equal(out.released, 3);
    frag_end();
}

static void oversize(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(2000);
    fragment4(&b, payload, 65528 - 8, 8, true, 17, 1); /* with the header beyond 65,535 */
    push(&b);
    build_start(&b);
    build_fill(&b, 'x', 100);
    build_ip4_full(&b, A4, B4, 17, 1, 0x1fff, NULL, 0); /* ping of death */
    push(&b);
    assert_int_equal(counted(WS_C_FRAG_OVERSIZE), 2);
    assert_int_equal(out.lost, 2);
    fragment6(&b, payload, 65528, 7, false, 17, 1); /* just right in IPv6 */
    push(&b);
    assert_int_equal(counted(WS_C_FRAG_OVERSIZE), 2);
    frag_end();
}

/* The largest datagram there is, in the smallest fragments there are, backwards. */
static void tiny_fragments(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(65515);
    uint32_t off = 65512;
    fragment4(&b, whole.at, off, 3, false, 17, 1);
    push(&b);
    while (off) {
        off -= 8;
        fragment4(&b, whole.at, off, 8, true, 17, 1);
        push(&b);
    }
    assert_int_equal(out.datagrams, 1);
    check_udp(65515);
    frag_end();

    /* TCP's header split into 8-byte fragments. */
    frag_begin(&ws_frag_defaults);
    build_start(&whole);
    build_text(&whole, "abc");
    build_tcp(&whole, 1000, 80, 7, 9, WS_TCP_ACK);
    for (off = 0; off < 23; off += 8) {
        fragment4(&b, whole.at, off, off < 16 ? 8 : 7, off < 16, 6, 1);
        push(&b);
    }
    assert_int_equal(out.datagrams, 1);
    assert_int_equal(out.known, 3);
    assert_true(out.datagram.flags & WS_PKT_TCP);
    assert_int_equal(out.datagram.tcp_seq, 7);
    assert_int_equal(out.datagram.payload_len, 3);
    frag_end();
}

static void ipv6(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    build_start(&whole); /* destination options, then UDP, in the fragmentable part */
    build_fill(&whole, 'x', 2000);
    build_udp(&whole, 1000, 80);
    build_bytes(&whole, 17, 0, 1, 4, 0, 0, 0, 0);
    fragment6(&b, whole.at, 1008, 1008, false, 17, 0x12345678); /* its next header does not count */
    push(&b);
    assert_int_equal(out.unknown, 1);
    fragment6(&b, whole.at, 0, 1008, true, 60, 0x12345678);
    push(&b);
    assert_int_equal(out.datagrams, 1);
    assert_int_equal(out.proto, 60);
    assert_int_equal(out.status, WS_DECODE_OK);
    assert_int_equal(out.datagram.key.port[1], 80);
    assert_int_equal(out.datagram.payload_len, 2000);
    assert_int_equal(out.released, 1);
    assert_memory_equal(&out.last.key, &out.datagram.key, sizeof(struct ws_key));
    frag_end();
}

/* A fragmented outer packet: frames show up in the flow inside once it is whole. */
static void fragmented_tunnel(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    build_start(&whole);
    build_fill(&whole, 'x', 1000);
    build_tcp(&whole, 1000, 80, 7, 9, WS_TCP_ACK);
    build_ip4(&whole, D4, C4, 6);
    build_ether(&whole, 0x0800);
    build_bytes(&whole, 8, 0, 0, 0, 0, 0, 5, 0);
    build_udp(&whole, 9, 4789);
    uint32_t len = (uint32_t)whole.len;
    fragment4(&b, whole.at, 0, 800, true, 17, 1);
    push(&b);
    assert_int_equal(out.unknown, 1); /* the outer ports say nothing */
    fragment4(&b, whole.at, 800, len - 800, false, 17, 1);
    push(&b);
    assert_int_equal(out.datagrams, 1);
    assert_int_equal(out.datagram.key.tunnel_type, WS_TUNNEL_VXLAN);
    assert_int_equal(out.datagram.key.tunnel_id, 5);
    assert_memory_equal(out.datagram.key.addr[0], C4, 4);
    assert_int_equal(out.datagram.dir, 1);
    assert_int_equal(out.datagram.payload_len, 1000);
    assert_int_equal(out.released, 1);
    assert_int_equal(out.known, 1);
    assert_memory_equal(&out.last.key, &out.datagram.key, sizeof(struct ws_key));
    assert_int_equal(out.last.dir, 1);
    frag_end();
}

/* Fragments inside a fragmented tunnel: the frames follow into the inner datagram. */
static void fragments_in_fragments(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        frag_begin(&ws_frag_defaults);
        make_udp(2000);
        for (unsigned n = 0; n < 2; n++) {
            uint32_t off = (n ^ (unsigned)order) * 1000;
            struct build outer;
            build_start(&outer);
            build_data(&outer, whole.at + off, 1000);
            build_ip4_full(&outer, A4, B4, 17, 77, (uint16_t)(off / 8 | (off ? 0 : 0x2000u)), NULL,
                           0);
            for (uint32_t o = 0; o < 1020; o += 512) {
                uint32_t len = WS_MIN(512u, 1020 - o);
                build_start(&b);
                build_data(&b, outer.at + o, len);
                build_ip4_full(&b, C4, D4, 4, (uint16_t)(n + 1),
                               (uint16_t)(o / 8 | (o + len < 1020 ? 0x2000u : 0)), NULL, 0);
                push(&b);
            }
        }
        assert_int_equal(out.datagrams, 1);
        assert_int_equal(out.status, WS_DECODE_OK);
        assert_memory_equal(out.bytes, whole.at, 2000);
        assert_int_equal(out.datagram.key.tunnel_type, WS_TUNNEL_IPIP);
        assert_int_equal(out.datagram.key.port[0], 1000);
        assert_int_equal(out.known + out.released, 4);
        assert_memory_equal(&out.last.key, &out.datagram.key, sizeof(struct ws_key));
        frag_end();
        assert_int_equal(out.lost, 0);
    }
}

/* Snap length: the datagram is whole on the wire, but only its beginning was captured. */
static void snapped(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    make_udp(2000);
    fragment4(&b, whole.at, 0, 1000, true, 17, 1);
    push_link(&b, 101, 20 + 300);
    fragment4(&b, whole.at, 1000, 1000, false, 17, 1);
    push_link(&b, 101, 20 + 300);
    assert_int_equal(out.datagrams, 1);
    assert_int_equal(out.len, 300);
    assert_int_equal(out.wire_len, 2000);
    assert_memory_equal(out.bytes, whole.at, 300);
    assert_int_equal(out.datagram.payload_len, 292);
    assert_int_equal(out.datagram.payload_wire_len, 1992);
    frag_end();
}

/* A whole datagram that holds nothing that can be decoded. */
static void undecodable(void **state)
{
    (void)state;
    frag_begin(&ws_frag_defaults);
    build_start(&whole);
    build_fill(&whole, 0, 100);
    build_bytes(&whole, 0, 7, 8, 0); /* no such GRE version */
    fragment4(&b, whole.at, 0, 48, true, 47, 1);
    push(&b);
    fragment4(&b, whole.at, 48, 56, false, 47, 1);
    push(&b);
    fragment4(&b, whole.at, 48, 56, false, 47, 1); /* and a copy */
    push(&b);
    assert_int_equal(out.datagrams, 1);
    assert_int_equal(out.status, WS_DECODE_BAD_TUNNEL);
    assert_int_equal(out.unknown, 3);
    assert_int_equal(out.lost, 3);
    frag_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(reversed),
        cmocka_unit_test(reversed_jumbo),
        cmocka_unit_test(duplicated),
        cmocka_unit_test(identification_reused),
        cmocka_unit_test(opposite_directions),
        cmocka_unit_test(overlap_policies),
        cmocka_unit_test(one_missing),
        cmocka_unit_test(timeout_at_push),
        cmocka_unit_test(teardrop),
        cmocka_unit_test(inconsistent_sizes),
        cmocka_unit_test(oversize),
        cmocka_unit_test(tiny_fragments),
        cmocka_unit_test(ipv6),
        cmocka_unit_test(fragmented_tunnel),
        cmocka_unit_test(fragments_in_fragments),
        cmocka_unit_test(snapped),
        cmocka_unit_test(undecodable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
