/* SPDX-License-Identifier: BSD-3-Clause */
/* What the decode tests share: addresses, one inner packet to recognise, and the check for it. */
#ifndef WS_TESTS_FRAMES_H
#define WS_TESTS_FRAMES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "build.h"
#include "guard.h"
#include "packet/cursor.h"

static const uint8_t A4[4] = {10, 0, 0, 1}, B4[4] = {10, 0, 0, 2};
static const uint8_t C4[4] = {192, 0, 2, 1}, D4[4] = {192, 0, 2, 2};
static const uint8_t A6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1},
                     B6[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};
static const uint8_t C6[16] = {0x20, 1, 0xd, 0xb9, [15] = 1},
                     D6[16] = {0x20, 1, 0xd, 0xb9, [15] = 2};

#define HELLO "hello, world"

/* Decodes the frame from an exact copy that ends at a guard page, both with and without the short
 * cut, which must agree. The descriptor's pointers are moved back into the frame. */
static inline enum ws_decode_status decode_with(const struct build *b, uint16_t link_type,
                                                struct ws_packet *p, uint32_t cap_len,
                                                const struct ws_decode_config *cfg)
{
    struct guard g = guard_copy(b->at, cap_len);
    memset(p, 0xa5, sizeof(*p)); /* decode must fill whatever it owns */
    p->data = g.data;
    p->cap_len = cap_len;
    p->wire_len = (uint32_t)b->len;
    p->link_type = link_type;
    p->flags = 0;
    p->device = 3;
    struct ws_packet q = *p;
    enum ws_decode_status s = ws_decode(p, cfg);
    assert_int_equal(s, p->status);
    assert_int_equal(ws_decode_general(&q, cfg), s);
    assert_memory_equal(p, &q, sizeof(q));
    if (p->l4) {
        assert_true(p->l4 >= g.data && p->l4 + p->l4_len <= g.data + cap_len);
        p->l4 = b->at + (p->l4 - g.data);
    }
    if (p->payload) {
        assert_true(p->payload >= g.data && p->payload + p->payload_len <= g.data + cap_len);
        assert_true(p->payload_len <= p->payload_wire_len);
        p->payload = b->at + (p->payload - g.data);
    }
    p->data = b->at;
    guard_free(&g);
    return s;
}

static inline enum ws_decode_status decode_as(const struct build *b, uint16_t link_type,
                                              struct ws_packet *p)
{
    return decode_with(b, link_type, p, (uint32_t)b->len, &ws_decode_defaults);
}

/* Starts the inner packet: TCP from A, port 1000, to B, port 80, sequence 7, "hello, world". */
static inline void inner4(struct build *b)
{
    build_start(b);
    build_text(b, HELLO);
    build_tcp(b, 1000, 80, 7, 9, WS_TCP_ACK);
    build_ip4(b, A4, B4, 6);
}

static inline void inner6(struct build *b)
{
    build_start(b);
    build_text(b, HELLO);
    build_tcp(b, 1000, 80, 7, 9, WS_TCP_ACK);
    build_ip6(b, A6, B6, 6);
}

/* That p is the inner packet, whole. */
static inline void check_inner(const struct ws_packet *p, int version)
{
    assert_int_equal(p->status, WS_DECODE_OK);
    assert_int_equal(p->flags & (WS_PKT_IP | WS_PKT_TCP | WS_PKT_UDP | WS_PKT_FRAGMENT |
                                 WS_PKT_NON_IP | WS_PKT_BAD_L4_SUM),
                     WS_PKT_IP | WS_PKT_TCP);
    assert_int_equal(p->key.ip_version, version);
    assert_int_equal(p->key.proto, 6);
    if (version == 4) {
        uint8_t rest[12] = {0};
        assert_memory_equal(p->key.addr[0], A4, 4);
        assert_memory_equal(p->key.addr[1], B4, 4);
        assert_memory_equal(p->key.addr[0] + 4, rest, 12);
        assert_memory_equal(p->key.addr[1] + 4, rest, 12);
    } else {
        assert_memory_equal(p->key.addr[0], A6, 16);
        assert_memory_equal(p->key.addr[1], B6, 16);
    }
    assert_int_equal(p->key.port[0], 1000);
    assert_int_equal(p->key.port[1], 80);
    assert_int_equal(p->dir, 0);
    assert_int_equal(p->tcp_seq, 7);
    assert_int_equal(p->tcp_ack, 9);
    assert_int_equal(p->tcp_flags, WS_TCP_ACK);
    assert_int_equal(p->payload_len, strlen(HELLO));
    assert_int_equal(p->payload_wire_len, strlen(HELLO));
    assert_memory_equal(p->payload, HELLO, strlen(HELLO));
    assert_int_equal(p->l4_len, 20 + strlen(HELLO));
    assert_ptr_equal(p->l4, p->payload - 20);
    assert_int_equal(p->l4_off, p->l4 - p->data);
    assert_int_equal(p->ip_hdr_len, p->l4_off - p->l3_off);
    assert_int_equal(p->data[p->l3_off] >> 4, version);
    assert_int_equal(p->owner_hash, ws_toeplitz_owner(&p->key));
}

static inline void check_tunnel(const struct ws_packet *p, enum ws_tunnel type, uint32_t id,
                                int depth)
{
    assert_int_equal(p->key.tunnel_type, type);
    assert_int_equal(p->key.tunnel_id, id);
    assert_int_equal(p->key.tunnel_depth, depth);
}

#endif
