/* SPDX-License-Identifier: BSD-3-Clause */
/* Text into a bounded buffer: numbers, addresses and times, without locale, clock or allocation. */
#ifndef WS_FORMAT_TEXT_H
#define WS_FORMAT_TEXT_H

#include <string.h>
#include "base/compiler.h"

/* A buffer being filled. When something does not fit, nothing of it is put, and cut is set for
 * good: callers put everything and look at cut once at the end. Not NUL-terminated until
 * ws_text_end(). */
struct ws_text {
    char *buf; /* borrowed, max bytes */
    size_t len, max;
    bool cut;
};

static inline void ws_text_init(struct ws_text *t, char *buf, size_t max)
{
    *t = (struct ws_text){.buf = buf, .max = max};
}

/* Makes room for n bytes and returns where they go, or NULL (cut). */
static inline char *ws_text_room(struct ws_text *t, size_t n)
{
    if (t->cut || n > t->max - t->len) {
        t->cut = true;
        return NULL;
    }
    char *p = t->buf + t->len;
    t->len += n;
    return p;
}

static inline void ws_text_put(struct ws_text *t, const void *s, size_t n)
{
    char *p = ws_text_room(t, n);
    if (p && n)
        memcpy(p, s, n);
}

static inline void ws_text_puts(struct ws_text *t, const char *s)
{
    ws_text_put(t, s, strlen(s));
}

static inline void ws_text_putc(struct ws_text *t, char c)
{
    char *p = ws_text_room(t, 1);
    if (p)
        *p = c;
}

/* NUL-terminates without counting the NUL; returns the length, or -ENOBUFS when something was cut.
 */
int ws_text_end(struct ws_text *t);

/* v in decimal, at least width characters, padded on the left with pad. */
void ws_text_u64(struct ws_text *t, uint64_t v, unsigned width, char pad);
void ws_text_i64(struct ws_text *t, int64_t v);

/* n copies of c. */
void ws_text_fill(struct ws_text *t, char c, size_t n);

/* Puts s in a column of width characters: left-aligned, or right-aligned. Longer text stands whole.
 */
void ws_text_left(struct ws_text *t, const char *s, size_t width);
void ws_text_right(struct ws_text *t, const char *s, size_t width);

/* v with a comma between thousands. */
void ws_text_grouped(struct ws_text *t, uint64_t v);

/* v bytes as at most 8 characters: "999", "1.00 kB", "12.3 MB", "456 GB" (powers of 1000). */
void ws_text_si(struct ws_text *t, uint64_t v);

/* n bytes in hexadecimal, upper case on request. */
void ws_text_hex(struct ws_text *t, const uint8_t *p, size_t n, bool upper);

/* An IPv4 or IPv6 address (16-byte field, IPv4 in the first 4 bytes): dotted decimal, or the
 * shortest form of RFC 5952. */
void ws_text_addr(struct ws_text *t, const uint8_t addr[16], unsigned ip_version);

/* Address and port: "1.2.3.4:80", "[2001:db8::1]:80"; only the address when port is 0. */
void ws_text_endpoint(struct ws_text *t, const uint8_t addr[16], unsigned ip_version,
                      uint16_t port);

/* Length of the well-formed UTF-8 character at s (RFC 3629 section 4; n bytes, at least 1) that is not
 * ASCII, 0 if there is none. */
size_t ws_text_utf8(const uint8_t *s, size_t n);

/* ns as decimal seconds with digits (1..9) decimals, cut (not rounded) to them: -1500000000 with 9
 * = "-1.500000000". */
void ws_text_seconds(struct ws_text *t, int64_t ns, unsigned digits);

/* Calendar of the proleptic Gregorian UTC day and second that ns lies in. */
struct ws_calendar {
    int64_t year;
    unsigned month, day, hour, minute, second;
    uint32_t ns;
};
struct ws_calendar ws_calendar_from_ns(int64_t ns);

/* "2026-01-02T03:04:05Z"; the same with digits decimals when digits > 0. */
void ws_text_iso(struct ws_text *t, int64_t ns, unsigned digits);

/* "20260102030405", or with dash "20260102-030405". */
void ws_text_stamp(struct ws_text *t, int64_t ns, bool dash);

/* Lower-case name of an IP protocol ("tcp", "udp", "icmp", "icmp6", "sctp", ...), NULL if it has
 * none here. */
const char *ws_proto_name(uint8_t proto);

/* IANA's keyword in capitals ("TCP", "IPV6-ICMP", "OSPFIGP", ...), NULL if it has none. No slashes. */
const char *ws_proto_keyword(uint8_t proto);

#endif
