/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files written by hand, byte by byte and in either byte order, for tests of their readers.
 */
#ifndef WS_TESTS_SOURCE_BUILD_H
#define WS_TESTS_SOURCE_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Bytes being put together; be: numbers are big-endian. */
struct build {
    uint8_t *p;
    size_t len, room;
    bool be;
};

static inline void put_bytes(struct build *b, const void *src, size_t n)
{
    if (b->len + n > b->room) {
        b->room = 2 * (b->len + n);
        b->p = realloc(b->p, b->room);
        if (!b->p)
            abort();
    }
    if (n)
        memcpy(b->p + b->len, src, n);
    b->len += n;
}

static inline void put_uint(struct build *b, uint64_t v, unsigned bytes)
{
    uint8_t t[8];
    for (unsigned i = 0; i < bytes; i++)
        t[b->be ? bytes - 1 - i : i] = (uint8_t)(v >> (8 * i));
    put_bytes(b, t, bytes);
}

static inline void put16(struct build *b, uint16_t v)
{
    put_uint(b, v, 2);
}

static inline void put32(struct build *b, uint32_t v)
{
    put_uint(b, v, 4);
}

static inline void put64(struct build *b, uint64_t v)
{
    put_uint(b, v, 8);
}

static inline void put_pad(struct build *b, size_t align)
{
    while (b->len % align)
        put_bytes(b, "", 1);
}

/* n bytes that depend on their place and on seed, so that misplaced ones are seen. */
static inline void put_fill(struct build *b, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)(i * 7 + seed * 31 + (i >> 8));
        put_bytes(b, &c, 1);
    }
}

static inline void build_free(struct build *b)
{
    free(b->p);
    b->p = NULL;
    b->len = b->room = 0; /* the byte order stays */
}

/* --- classic pcap --- */

static inline void put_pcap_header_v(struct build *b, uint32_t magic, uint16_t minor,
                                     uint32_t snaplen, uint32_t link)
{
    put32(b, magic);
    put16(b, 2);
    put16(b, minor);
    put32(b, 0);
    put32(b, 0);
    put32(b, snaplen);
    put32(b, link);
}

static inline void put_pcap_header(struct build *b, uint32_t magic, uint32_t snaplen, uint32_t link)
{
    put_pcap_header_v(b, magic, 4, snaplen, link);
}

static inline void put_pcap_record(struct build *b, uint32_t sec, uint32_t frac, uint32_t cap,
                                   uint32_t wire)
{
    put32(b, sec);
    put32(b, frac);
    put32(b, cap);
    put32(b, wire);
}

/* --- pcapng --- */

/* Begins a block; give the result to end_block(). */
static inline size_t begin_block(struct build *b, uint32_t type)
{
    size_t at = b->len;
    put32(b, type);
    put32(b, 0);
    return at;
}

static inline void end_block(struct build *b, size_t at)
{
    struct build field = {.be = b->be};
    put_pad(b, 4);
    put32(&field, (uint32_t)(b->len + 4 - at));
    memcpy(b->p + at + 4, field.p, 4);
    put_bytes(b, field.p, 4);
    build_free(&field);
}

static inline void put_option(struct build *b, uint16_t code, const void *value, size_t len)
{
    put16(b, code);
    put16(b, (uint16_t)len);
    put_bytes(b, value, len);
    put_pad(b, 4);
}

static inline void put_option_uint(struct build *b, uint16_t code, uint64_t v, unsigned bytes)
{
    struct build t = {.be = b->be};
    put_uint(&t, v, bytes);
    put_option(b, code, t.p, t.len);
    build_free(&t);
}

static inline void put_shb(struct build *b)
{
    size_t at = begin_block(b, 0x0a0d0d0a);
    put32(b, 0x1a2b3c4d);
    put16(b, 1);
    put16(b, 0);
    put64(b, UINT64_MAX);
    end_block(b, at);
}

/* An interface with the default resolution and no options. */
static inline void put_idb(struct build *b, uint16_t link, uint32_t snaplen)
{
    size_t at = begin_block(b, 1);
    put16(b, link);
    put16(b, 0);
    put32(b, snaplen);
    end_block(b, at);
}

/* An enhanced packet of len bytes filled by seed. */
static inline void put_epb(struct build *b, uint32_t iface, uint64_t ticks, uint32_t len,
                           uint32_t wire, unsigned seed)
{
    size_t at = begin_block(b, 6);
    put32(b, iface);
    put32(b, (uint32_t)(ticks >> 32));
    put32(b, (uint32_t)ticks);
    put32(b, len);
    put32(b, wire);
    put_fill(b, len, seed);
    end_block(b, at);
}

#endif
