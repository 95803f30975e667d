/* SPDX-License-Identifier: BSD-3-Clause */
/* A defragmenter with callbacks that write down what it gives out, and a maker of fragments. */
#ifndef WS_TESTS_FRAG_FIXTURE_H
#define WS_TESTS_FRAG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "build.h"
#include "frag/frag.h"
#include "guard.h"
#include "packet/toeplitz.h"

static const uint8_t A4[4] = {10, 0, 0, 1}, B4[4] = {10, 0, 0, 2};
static const uint8_t C4[4] = {192, 0, 2, 1}, D4[4] = {192, 0, 2, 2};
static const uint8_t A6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1},
                     B6[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};

/* What came out. */
struct out {
    unsigned known, unknown, released, lost, datagrams;
    uint64_t released_ordinal[64];
    uint8_t released_frame[1 << 17];
    uint32_t released_len;
    unsigned gave_up;          /* datagrams of a known flow that never became whole */
    struct ws_packet given_up; /* the last of them, decoded */
    struct ws_packet last;     /* the last frame with a flow */
    struct ws_packet datagram; /* the last datagram, decoded */
    enum ws_decode_status status;
    uint8_t bytes[1 << 16]; /* its bytes */
    uint32_t len, wire_len;
    uint8_t proto;
};

static struct out out;
static struct ws_counters counters;
static struct ws_frag *frag;
static void *frag_mem;
static int64_t now_ns;
static uint64_t ordinal;

static void on_frame(void *user, const struct ws_packet *p)
{
    (void)user;
    assert_true(p->flags & WS_PKT_FRAGMENT);
    assert_false(p->flags & WS_PKT_DATAGRAM);
    assert_true(p->l4 >= p->data && p->l4 + p->l4_len <= p->data + p->cap_len);
    if (p->flags & WS_PKT_FLOW_KNOWN) {
        assert_int_equal(p->owner_hash, ws_toeplitz_owner(&p->key));
        out.last = *p;
        if (p->flags & WS_PKT_RELEASED) {
            if (out.released < 64)
                out.released_ordinal[out.released] = p->ordinal;
            memcpy(out.released_frame, p->data, p->cap_len);
            out.released_len = p->cap_len;
            out.released++;
        } else {
            out.known++;
        }
    } else {
        assert_false(p->flags & WS_PKT_RELEASED);
        out.unknown++;
    }
}

static void on_datagram(void *user, const struct ws_packet *p, uint8_t proto, const uint8_t *l4,
                        uint32_t len, uint32_t wire_len)
{
    (void)user;
    assert_true(p->flags & WS_PKT_DATAGRAM);
    struct ws_packet d = *p;
    struct guard g = guard_copy(l4, len);
    enum ws_decode_status s =
        ws_decode_datagram(&d, &ws_decode_defaults, proto, g.data, len, wire_len);
    guard_free(&g);
    d = *p;
    ws_decode_datagram(&d, &ws_decode_defaults, proto, l4, len, wire_len);
    if (s == WS_DECODE_OK && d.flags & WS_PKT_FRAGMENT) {
        ws_frag_push(frag, &d);
        return;
    }
    out.datagrams++;
    out.status = s;
    out.datagram = d;
    memcpy(out.bytes, l4, len);
    out.len = len;
    out.wire_len = wire_len;
    out.proto = proto;
}

static void on_lost(void *user, uint32_t n, enum ws_counter cause)
{
    (void)user;
    assert_true(cause >= WS_C_FRAG_TIMEOUT && cause <= WS_C_FRAG_DUPLICATE);
    assert_true(n > 0);
    out.lost += n;
}

static void on_gave_up(void *user, const struct ws_packet *p, uint8_t proto, const uint8_t *l4,
                       uint32_t len, uint32_t wire_len)
{
    (void)user;
    struct guard g = guard_copy(l4, len);
    out.given_up = *p;
    ws_decode_datagram(&out.given_up, &ws_decode_defaults, proto, g.data, len, wire_len);
    guard_free(&g);
    out.gave_up++;
}

static const struct ws_frag_ops ops = {on_frame, on_datagram, on_lost, on_gave_up};

static inline void frag_begin(const struct ws_frag_config *cfg)
{
    size_t bytes = ws_frag_bytes(cfg);
    free(frag_mem);
    frag_mem = aligned_alloc(64, ws_align_up(bytes, 64));
    memset(&counters, 0, sizeof(counters));
    memset(&out, 0, sizeof(out));
    now_ns = 1000;
    ordinal = 0;
    frag = ws_frag_init(frag_mem, cfg, &counters, &ops, NULL);
}

/* What must hold at the end: each frame without a flow was shown again or lost. */
static inline void frag_end(void)
{
    ws_frag_flush(frag);
    assert_int_equal(out.unknown, out.released + out.lost);
    free(frag_mem);
    frag_mem = NULL;
}

/* Decodes the frame in b from a copy that ends at a guard page, and pushes it. */
static inline void push_link(const struct build *b, uint16_t link_type, uint32_t cap_len)
{
    struct guard g = guard_copy(b->at, cap_len);
    struct ws_packet p = build_packet(b, link_type);
    p.data = g.data;
    p.cap_len = cap_len;
    p.ts_ns = p.clock_ns = now_ns;
    p.ordinal = ordinal++;
    assert_int_equal(ws_decode(&p, &ws_decode_defaults), WS_DECODE_OK);
    assert_true(p.flags & WS_PKT_FRAGMENT);
    ws_frag_push(frag, &p);
    guard_free(&g);
}

static inline void push(const struct build *b)
{
    push_link(b, 101, (uint32_t)b->len);
}

/* A fragment [off, off + len) of data, from A to B. */
static inline void fragment4(struct build *b, const uint8_t *data, uint32_t off, uint32_t len,
                             bool more, uint8_t proto, uint16_t id)
{
    build_start(b);
    build_data(b, data + off, len);
    build_ip4_full(b, A4, B4, proto, id, (uint16_t)(off / 8 | (more ? 0x2000u : 0)), NULL, 0);
}

static inline void fragment6(struct build *b, const uint8_t *data, uint32_t off, uint32_t len,
                             bool more, uint8_t proto, uint32_t id)
{
    build_start(b);
    build_data(b, data + off, len);
    uint8_t *h = build_front(b, NULL, 8);
    h[0] = proto;
    ws_store_be16(h + 2, (uint16_t)(off | more));
    ws_store_be32(h + 4, id);
    build_ip6(b, A6, B6, 44);
}

static inline uint64_t counted(enum ws_counter c)
{
    return ws_count_get(&counters, c);
}

#endif
