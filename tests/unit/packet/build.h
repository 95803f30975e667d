/* SPDX-License-Identifier: BSD-3-Clause */
/* Builds test frames from the inside out: start, data, then each header in front of what is there.
 *
 *     struct build b;
 *     build_start(&b);
 *     build_text(&b, "hello");
 *     build_tcp(&b, 1000, 80, 1, 1, WS_TCP_ACK);
 *     build_ip4(&b, A4, B4, 6);
 *     build_vlan(&b, 5, 0x0800);
 *     build_ether(&b, 0x8100);
 *
 * build_ip4 and build_ip6 fill in lengths and, for TCP and UDP, checksums. */
#ifndef WS_TESTS_BUILD_H
#define WS_TESTS_BUILD_H

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "packet/decode.h"

enum { BUILD_ROOM = 100000, BUILD_HEAD = 2000 };

struct build {
    uint8_t buf[BUILD_ROOM];
    uint8_t *at; /* first byte of the frame so far */
    size_t len;
};

static inline void build_start(struct build *b)
{
    b->at = b->buf + BUILD_HEAD;
    b->len = 0;
}

/* Appends bytes at the end (payload; or padding and trailers). */
static inline void build_data(struct build *b, const void *data, size_t len)
{
    if ((size_t)(b->at - b->buf) + b->len + len > BUILD_ROOM)
        abort();
    memcpy(b->at + b->len, data, len);
    b->len += len;
}

static inline void build_text(struct build *b, const char *text)
{
    build_data(b, text, strlen(text));
}

static inline void build_fill(struct build *b, uint8_t byte, size_t len)
{
    if ((size_t)(b->at - b->buf) + b->len + len > BUILD_ROOM)
        abort();
    memset(b->at + b->len, byte, len);
    b->len += len;
}

/* Puts a header of raw bytes in front. */
static inline uint8_t *build_front(struct build *b, const void *header, size_t len)
{
    if ((size_t)(b->at - b->buf) < len)
        abort();
    b->at -= len;
    b->len += len;
    if (header)
        memcpy(b->at, header, len);
    else
        memset(b->at, 0, len);
    return b->at;
}

/* ... given as a list of bytes: build_bytes(&b, 0x08, 0, 0, 0) */
#define build_bytes(b, ...)                                                                        \
    build_front((b), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static inline uint8_t *build_tcp_options(struct build *b, uint16_t sport, uint16_t dport,
                                         uint32_t seq, uint32_t ack, uint8_t flags,
                                         const uint8_t *options, size_t options_len)
{
    if (options_len)
        build_front(b, options, options_len);
    uint8_t *h = build_front(b, NULL, 20);
    ws_store_be16(h, sport);
    ws_store_be16(h + 2, dport);
    ws_store_be32(h + 4, seq);
    ws_store_be32(h + 8, ack);
    h[12] = (uint8_t)((20 + options_len) / 4 << 4);
    h[13] = flags;
    ws_store_be16(h + 14, 8192);
    return h;
}

static inline uint8_t *build_tcp(struct build *b, uint16_t sport, uint16_t dport, uint32_t seq,
                                 uint32_t ack, uint8_t flags)
{
    return build_tcp_options(b, sport, dport, seq, ack, flags, NULL, 0);
}

static inline uint8_t *build_udp(struct build *b, uint16_t sport, uint16_t dport)
{
    uint8_t *h = build_front(b, NULL, 8);
    ws_store_be16(h, sport);
    ws_store_be16(h + 2, dport);
    ws_store_be16(h + 4, (uint16_t)b->len);
    return h;
}

static inline uint32_t build_sum(uint32_t sum, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* Fills the checksum of the TCP or UDP header at the front. */
static inline void build_l4_sum(struct build *b, const uint8_t *src, const uint8_t *dst,
                                size_t addr_len, uint8_t proto)
{
    size_t off = proto == 6 ? 16 : 6;
    if ((proto != 6 && proto != 17) || b->len < off + 2)
        return;
    ws_store_be16(b->at + off, 0);
    uint32_t sum = build_sum(proto, src, addr_len);
    sum = build_sum(sum, dst, addr_len);
    sum = build_sum(sum + (uint32_t)(b->len >> 16) + (uint32_t)(b->len & 0xffff), b->at, b->len);
    sum = ~sum & 0xffff;
    ws_store_be16(b->at + off, (uint16_t)(proto == 17 && sum == 0 ? 0xffff : sum));
}

/* An IPv4 header; frag is the flags and offset field. Options as raw bytes, a multiple of 4. */
static inline uint8_t *build_ip4_full(struct build *b, const uint8_t *src, const uint8_t *dst,
                                      uint8_t proto, uint16_t id, uint16_t frag,
                                      const uint8_t *options, size_t options_len)
{
    if ((frag & 0x3fff) == 0)
        build_l4_sum(b, src, dst, 4, proto);
    if (options_len)
        build_front(b, options, options_len);
    uint8_t *h = build_front(b, NULL, 20);
    h[0] = (uint8_t)(0x40 | (5 + options_len / 4));
    ws_store_be16(h + 2, (uint16_t)b->len);
    ws_store_be16(h + 4, id);
    ws_store_be16(h + 6, frag);
    h[8] = 64;
    h[9] = proto;
    memcpy(h + 12, src, 4);
    memcpy(h + 16, dst, 4);
    ws_store_be16(h + 10, (uint16_t)~build_sum(0, h, 20 + options_len));
    return h;
}

static inline uint8_t *build_ip4(struct build *b, const uint8_t *src, const uint8_t *dst,
                                 uint8_t proto)
{
    return build_ip4_full(b, src, dst, proto, 1, 0, NULL, 0);
}

/* An IPv6 header in front of next_header (a transport or an extension header). */
static inline uint8_t *build_ip6(struct build *b, const uint8_t *src, const uint8_t *dst,
                                 uint8_t next_header)
{
    build_l4_sum(b, src, dst, 16, next_header);
    size_t len = b->len;
    uint8_t *h = build_front(b, NULL, 40);
    h[0] = 0x60;
    ws_store_be16(h + 4, (uint16_t)len);
    h[6] = next_header;
    h[7] = 64;
    memcpy(h + 8, src, 16);
    memcpy(h + 24, dst, 16);
    return h;
}

/* The inside of a tag: what stands behind its TPID, which the header in front names. */
static inline uint8_t *build_vlan(struct build *b, uint16_t tci, uint16_t type)
{
    uint8_t *h = build_front(b, NULL, 4);
    ws_store_be16(h, tci);
    ws_store_be16(h + 2, type);
    return h;
}

static inline uint8_t *build_ether(struct build *b, uint16_t type)
{
    static const uint8_t mac[12] = {2, 0, 0, 0, 0, 0xd, 2, 0, 0, 0, 0, 0x5};
    uint8_t *h = build_front(b, NULL, 14);
    memcpy(h, mac, 12);
    ws_store_be16(h + 12, type);
    return h;
}

/* A descriptor of the frame, whole, ready to be decoded. Borrows the frame's bytes. */
static inline struct ws_packet build_packet(const struct build *b, uint16_t link_type)
{
    return (struct ws_packet){.data = b->at,
                              .cap_len = (uint32_t)b->len,
                              .wire_len = (uint32_t)b->len,
                              .link_type = link_type};
}

#endif
