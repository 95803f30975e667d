/* SPDX-License-Identifier: BSD-3-Clause */
/* Text into a bounded buffer. */
#include "format/text.h"

#include <errno.h>
#include "base/bytes.h"

#define NS_PER_S INT64_C(1000000000)

int ws_text_end(struct ws_text *t)
{
    if (t->max == 0)
        return -ENOBUFS;
    if (t->len == t->max)
        t->cut = true;
    t->buf[t->cut && t->len ? t->len - 1 : t->len] = '\0';
    return t->cut ? -ENOBUFS : (int)t->len;
}

void ws_text_fill(struct ws_text *t, char c, size_t n)
{
    char *p = ws_text_room(t, n);
    if (p && n)
        memset(p, c, n);
}

/* Digits of v at the end of d[20]; returns their count. */
static unsigned digits_of(uint64_t v, char d[20])
{
    unsigned n = 0;
    do {
        d[19 - n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return n;
}

void ws_text_u64(struct ws_text *t, uint64_t v, unsigned width, char pad)
{
    char d[20];
    unsigned n = digits_of(v, d);
    if (width > n)
        ws_text_fill(t, pad, width - n);
    ws_text_put(t, d + 20 - n, n);
}

void ws_text_i64(struct ws_text *t, int64_t v)
{
    if (v < 0)
        ws_text_putc(t, '-');
    ws_text_u64(t, v < 0 ? -(uint64_t)v : (uint64_t)v, 0, '0');
}

void ws_text_left(struct ws_text *t, const char *s, size_t width)
{
    size_t n = strlen(s);
    ws_text_put(t, s, n);
    if (width > n)
        ws_text_fill(t, ' ', width - n);
}

void ws_text_right(struct ws_text *t, const char *s, size_t width)
{
    size_t n = strlen(s);
    if (width > n)
        ws_text_fill(t, ' ', width - n);
    ws_text_put(t, s, n);
}

void ws_text_grouped(struct ws_text *t, uint64_t v)
{
    char d[20];
    unsigned n = digits_of(v, d);
    for (unsigned i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            ws_text_putc(t, ',');
        ws_text_putc(t, d[20 - n + i]);
    }
}

void ws_text_si(struct ws_text *t, uint64_t v)
{
    static const char unit[] = "kMGTPE";
    if (v < 1000) {
        ws_text_u64(t, v, 0, ' ');
        return;
    }
    unsigned u = 0;
    uint64_t div = 1000;
    while (v / div >= 1000 && u + 2 < sizeof(unit)) {
        div *= 1000;
        u++;
    }
    /* three significant digits, cut: never shows more than there is */
    uint64_t whole = v / div, rest = v % div / (div / 1000);
    ws_text_u64(t, whole, 0, ' ');
    if (whole < 10) {
        ws_text_putc(t, '.');
        ws_text_u64(t, rest / 10, 2, '0');
    } else if (whole < 100) {
        ws_text_putc(t, '.');
        ws_text_u64(t, rest / 100, 1, '0');
    }
    ws_text_putc(t, ' ');
    ws_text_putc(t, unit[u]);
    ws_text_putc(t, 'B');
}

void ws_text_hex(struct ws_text *t, const uint8_t *p, size_t n, bool upper)
{
    const char *hex = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char *o = ws_text_room(t, n * 2);
    if (!o)
        return;
    for (size_t i = 0; i < n; i++) {
        o[2 * i] = hex[p[i] >> 4];
        o[2 * i + 1] = hex[p[i] & 15];
    }
}

static void put_ip4(struct ws_text *t, const uint8_t a[4])
{
    for (int i = 0; i < 4; i++) {
        if (i)
            ws_text_putc(t, '.');
        ws_text_u64(t, a[i], 0, '0');
    }
}

/* RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as "::",
 * IPv4-mapped addresses in mixed notation (section 5). */
static void put_ip6(struct ws_text *t, const uint8_t a[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(a, mapped, 12) == 0) {
        ws_text_puts(t, "::ffff:");
        put_ip4(t, a + 12);
        return;
    }
    int best = -1, best_n = 1;
    for (int i = 0; i < 8;) {
        int n = 0;
        while (i + n < 8 && ws_load_be16(a + 2 * (i + n)) == 0)
            n++;
        if (n > best_n) {
            best = i;
            best_n = n;
        }
        i += n ? n : 1;
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            ws_text_puts(t, "::");
            i += best_n - 1;
            continue;
        }
        if (i && !(best >= 0 && i == best + best_n))
            ws_text_putc(t, ':');
        uint16_t g = ws_load_be16(a + 2 * i);
        int shift = 12;
        while (shift && (g >> shift) == 0)
            shift -= 4;
        for (; shift >= 0; shift -= 4)
            ws_text_putc(t, "0123456789abcdef"[g >> shift & 15]);
    }
}

void ws_text_addr(struct ws_text *t, const uint8_t addr[16], unsigned ip_version)
{
    if (ip_version == 6) {
        put_ip6(t, addr);
        return;
    }
    put_ip4(t, addr);
}

void ws_text_endpoint(struct ws_text *t, const uint8_t addr[16], unsigned ip_version, uint16_t port)
{
    if (port == 0) {
        ws_text_addr(t, addr, ip_version);
        return;
    }
    if (ip_version == 6)
        ws_text_putc(t, '[');
    ws_text_addr(t, addr, ip_version);
    if (ip_version == 6)
        ws_text_putc(t, ']');
    ws_text_putc(t, ':');
    ws_text_u64(t, port, 0, '0');
}

void ws_text_seconds(struct ws_text *t, int64_t ns, unsigned digits)
{
    uint64_t v = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    uint64_t frac = v % (uint64_t)NS_PER_S;
    if (ns < 0)
        ws_text_putc(t, '-');
    ws_text_u64(t, v / (uint64_t)NS_PER_S, 0, '0');
    if (digits == 0)
        return;
    for (unsigned i = digits; i < 9; i++)
        frac /= 10;
    ws_text_putc(t, '.');
    ws_text_u64(t, frac, digits, '0');
}

/* Days to year-month-day by counting from 1 March of year 0 in 400-year eras of 146,097 days, so
 * that the leap day is the last of a year. */
struct ws_calendar ws_calendar_from_ns(int64_t ns)
{
    int64_t s = ns / NS_PER_S, sub = ns % NS_PER_S;
    if (sub < 0) {
        sub += NS_PER_S;
        s--;
    }
    int64_t days = s / 86400, sec = s % 86400;
    if (sec < 0) {
        sec += 86400;
        days--;
    }
    days += 719468; /* 0000-03-01 to 1970-01-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    return (struct ws_calendar){
        .year = yoe + era * 400 + (mp >= 10),
        .month = (unsigned)(mp < 10 ? mp + 3 : mp - 9),
        .day = (unsigned)(doy - (153 * mp + 2) / 5 + 1),
        .hour = (unsigned)(sec / 3600),
        .minute = (unsigned)(sec / 60 % 60),
        .second = (unsigned)(sec % 60),
        .ns = (uint32_t)sub,
    };
}

static void put_year(struct ws_text *t, int64_t year)
{
    if (year < 0) /* int64 ns reach back to 1677 only */
        year = 0;
    ws_text_u64(t, (uint64_t)year, 4, '0');
}

void ws_text_iso(struct ws_text *t, int64_t ns, unsigned digits)
{
    struct ws_calendar c = ws_calendar_from_ns(ns);
    put_year(t, c.year);
    ws_text_putc(t, '-');
    ws_text_u64(t, c.month, 2, '0');
    ws_text_putc(t, '-');
    ws_text_u64(t, c.day, 2, '0');
    ws_text_putc(t, 'T');
    ws_text_u64(t, c.hour, 2, '0');
    ws_text_putc(t, ':');
    ws_text_u64(t, c.minute, 2, '0');
    ws_text_putc(t, ':');
    ws_text_u64(t, c.second, 2, '0');
    if (digits) {
        uint32_t frac = c.ns;
        for (unsigned i = digits; i < 9; i++)
            frac /= 10;
        ws_text_putc(t, '.');
        ws_text_u64(t, frac, digits, '0');
    }
    ws_text_putc(t, 'Z');
}

void ws_text_stamp(struct ws_text *t, int64_t ns, bool dash)
{
    struct ws_calendar c = ws_calendar_from_ns(ns);
    put_year(t, c.year);
    ws_text_u64(t, c.month, 2, '0');
    ws_text_u64(t, c.day, 2, '0');
    if (dash)
        ws_text_putc(t, '-');
    ws_text_u64(t, c.hour, 2, '0');
    ws_text_u64(t, c.minute, 2, '0');
    ws_text_u64(t, c.second, 2, '0');
}

const char *ws_proto_name(uint8_t proto)
{
    /* https://www.iana.org/assignments/protocol-numbers */
    static const char *const name[256] = {
        [0] = "hopopt",   [1] = "icmp",   [2] = "igmp",      [4] = "ipip",   [6] = "tcp",
        [8] = "egp",      [9] = "igp",    [17] = "udp",      [27] = "rdp",   [33] = "dccp",
        [41] = "ipv6",    [46] = "rsvp",  [47] = "gre",      [50] = "esp",   [51] = "ah",
        [58] = "icmp6",   [59] = "nonxt", [88] = "eigrp",    [89] = "ospf",  [94] = "ipip-old",
        [97] = "etherip", [103] = "pim",  [108] = "ipcomp",  [112] = "vrrp", [115] = "l2tp",
        [132] = "sctp",   [133] = "fc",   [136] = "udplite", [137] = "mpls",
    };
    return name[proto];
}

size_t ws_text_utf8(const uint8_t *s, size_t n)
{
    uint8_t b = s[0], lo = 0x80, hi = 0xbf;
    size_t len;
    if (b >= 0xc2 && b <= 0xdf) {
        len = 2;
    } else if (b >= 0xe0 && b <= 0xef) {
        len = 3;
        lo = b == 0xe0 ? 0xa0 : 0x80; /* no overlong forms */
        hi = b == 0xed ? 0x9f : 0xbf; /* no surrogates */
    } else if (b >= 0xf0 && b <= 0xf4) {
        len = 4;
        lo = b == 0xf0 ? 0x90 : 0x80;
        hi = b == 0xf4 ? 0x8f : 0xbf; /* nothing above U+10FFFF */
    } else {
        return 0;
    }
    if (n < len || s[1] < lo || s[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return len;
}
