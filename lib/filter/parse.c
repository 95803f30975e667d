/* SPDX-License-Identifier: BSD-3-Clause */
/* Parsers of the selectors' option values: strict, with a line that says what is wrong. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "filter/select.h"

/* Writes the message, which begins with the value itself, and gives the error. */
WS_PRINTF(4, 5)
static int refuse(char *err, size_t err_len, const char *text, const char *fmt, ...)
{
    char why[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    snprintf(err, err_len, "'%.80s': %s", text, why);
    return -EINVAL;
}

static int too_many(char *err, size_t err_len, const char *text, const char *what)
{
    return refuse(err, err_len, text, "more than %u %s", WS_SELECT_MAX, what);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads decimal digits, at least one and none beyond max. Returns what follows, or NULL. */
static const char *read_number(const char *s, uint64_t max, uint64_t *value)
{
    uint64_t v = 0;
    if (!is_digit(*s))
        return NULL;
    for (; is_digit(*s); s++) {
        uint64_t digit = (uint64_t)(*s - '0');
        if (v > (max - digit) / 10)
            return NULL;
        v = v * 10 + digit;
    }
    *value = v;
    return s;
}

/* Reads exactly width digits. Returns what follows, or NULL. */
static const char *read_fixed(const char *s, unsigned width, unsigned *value)
{
    *value = 0;
    for (; width; width--, s++) {
        if (!is_digit(*s))
            return NULL;
        *value = *value * 10 + (unsigned)(*s - '0');
    }
    return s;
}

static const char *read_port(const char *s, uint16_t *port)
{
    uint64_t v;
    s = read_number(s, UINT16_MAX, &v);
    if (s)
        *port = (uint16_t)v;
    return s;
}

/* --- ports ------------------------------------------------------------------------------------ */

/* Skips "PROTO," of a protocol with ports. Returns what follows, or NULL when the name is none. */
static const char *read_port_proto(const char *text, uint8_t *proto)
{
    static const struct {
        const char *name;
        uint8_t proto;
    } known[] = {{"tcp", IPPROTO_TCP},
                 {"udp", IPPROTO_UDP},
                 {"udplite", IPPROTO_UDPLITE},
                 {"dccp", IPPROTO_DCCP},
                 {"sctp", IPPROTO_SCTP}};
    const char *comma = strchr(text, ',');
    *proto = 0;
    if (!comma)
        return text;
    size_t len = (size_t)(comma - text);
    for (size_t i = 0; i < WS_ARRAY_SIZE(known); i++) {
        if (strlen(known[i].name) == len && memcmp(text, known[i].name, len) == 0) {
            *proto = known[i].proto;
            return comma + 1;
        }
    }
    return NULL;
}

int ws_select_parse_port(struct ws_select_port *port, const char *text, char *err, size_t err_len)
{
    uint16_t lo = 0, hi;
    uint8_t proto;
    const char *s = read_port_proto(text, &proto);
    if (!s)
        return refuse(err, err_len, text, "no protocol with ports: tcp, udp, udplite, dccp or sctp");
    s = read_port(s, &lo);
    hi = lo;
    if (s && *s == '-')
        s = read_port(s + 1, &hi);
    if (!s || *s)
        return refuse(err, err_len, text, "not a port or range of ports LO-HI, each 0 to 65535");
    if (lo > hi)
        return refuse(err, err_len, text, "the range ends before it begins");
    *port = (struct ws_select_port){.lo = lo, .hi = hi, .proto = proto};
    return 0;
}

int ws_select_add_port(struct ws_select *s, const char *text, char *err, size_t err_len)
{
    if (s->n_port == WS_SELECT_MAX)
        return too_many(err, err_len, text, "ports");
    int rc = ws_select_parse_port(&s->port[s->n_port], text, err, err_len);
    s->n_port += rc == 0;
    return rc;
}

int ws_select_add_port_not(struct ws_select *s, const char *text, char *err, size_t err_len)
{
    if (s->n_port_not == WS_SELECT_MAX)
        return too_many(err, err_len, text, "ports");
    int rc = ws_select_parse_port(&s->port_not[s->n_port_not], text, err, err_len);
    s->n_port_not += rc == 0;
    return rc;
}

/* --- addresses -------------------------------------------------------------------------------- */

/* An address of either version, len characters long. Returns 4, 6, or 0 if it is none. */
static uint8_t read_addr(const char *text, size_t len, uint8_t addr[16])
{
    char copy[INET6_ADDRSTRLEN];
    memset(addr, 0, 16);
    if (len >= sizeof(copy))
        return 0;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (inet_pton(AF_INET, copy, addr) == 1)
        return 4;
    return inet_pton(AF_INET6, copy, addr) == 1 ? 6 : 0;
}

/* The prefix length of a dotted mask. Returns 0, or -EINVAL if its ones are not all in front. */
static int mask_prefix(const uint8_t mask[4], uint8_t *prefix)
{
    uint32_t m =
        (uint32_t)mask[0] << 24 | (uint32_t)mask[1] << 16 | (uint32_t)mask[2] << 8 | mask[3];
    if ((~m & (~m + 1)) != 0)
        return -EINVAL;
    *prefix = (uint8_t)__builtin_popcount(m);
    return 0;
}

int ws_select_add_host(struct ws_select *s, const char *text, char *err, size_t err_len)
{
    struct ws_select_host h = {0};
    size_t len = strcspn(text, "/");
    if (s->n_host == WS_SELECT_MAX)
        return too_many(err, err_len, text, "hosts");
    h.ip_version = read_addr(text, len, h.addr);
    if (!h.ip_version)
        return refuse(err, err_len, text, "not an IPv4 or IPv6 address (names are not looked up)");
    unsigned width = h.ip_version == 4 ? 32 : 128;
    h.prefix = (uint8_t)width;
    if (text[len]) {
        const char *net = text + len + 1;
        uint8_t mask[16];
        uint64_t bits;
        const char *end = read_number(net, width, &bits);
        if (end && !*end)
            h.prefix = (uint8_t)bits;
        else if (h.ip_version != 4 || read_addr(net, strlen(net), mask) != 4)
            return refuse(err, err_len, text, "what follows the / is no prefix length 0 to %u%s",
                          width, width == 32 ? " and no mask" : "");
        else if (mask_prefix(mask, &h.prefix) < 0)
            return refuse(err, err_len, text, "the ones of the mask are not all in front");
    }
    for (unsigned i = 0; i < 16; i++) /* host bits do not count */
        h.addr[i] &= (uint8_t)(i * 8 + 8 <= h.prefix ? 0xff
                               : i * 8 >= h.prefix   ? 0
                                                     : 0xff << (8 - h.prefix % 8));
    s->host[s->n_host++] = h;
    return 0;
}

/* --- tuples ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint8_t proto;
} protocols[] = {
    {"any", 0},
    {"tcp", IPPROTO_TCP},
    {"udp", IPPROTO_UDP},
    {"sctp", IPPROTO_SCTP},
    {"dccp", IPPROTO_DCCP},
    {"udplite", IPPROTO_UDPLITE},
    {"icmp", IPPROTO_ICMP},
    {"icmp6", IPPROTO_ICMPV6},
    {"igmp", IPPROTO_IGMP},
    {"gre", IPPROTO_GRE},
    {"esp", IPPROTO_ESP},
    {"ah", IPPROTO_AH},
};

static int read_protocol(const char *text, size_t len, uint8_t *proto)
{
    for (size_t i = 0; i < WS_ARRAY_SIZE(protocols); i++) {
        if (strlen(protocols[i].name) == len && strncasecmp(text, protocols[i].name, len) == 0) {
            *proto = protocols[i].proto;
            return 0;
        }
    }
    uint64_t v;
    const char *end = read_number(text, UINT8_MAX, &v);
    if (!end || end != text + len)
        return -EINVAL;
    *proto = (uint8_t)v;
    return 0;
}

/* ADDR:PORT, [ADDR]:PORT, or for protocols without ports ADDR alone; len characters long. Returns
 * the address's version, or 0. */
static uint8_t read_endpoint(const char *text, size_t len, bool with_port, uint8_t addr[16],
                             uint16_t *port)
{
    const char *end = text + len, *host = text, *host_end = end, *colon = end;
    *port = 0;
    if (len && *text == '[') {
        host_end = memchr(text, ']', len);
        if (!host_end)
            return 0;
        host = text + 1;
        colon = host_end + 1;
    } else if (with_port) {
        colon = memchr(text, ':', len);
        if (!colon)
            return 0;
        host_end = colon;
    }
    uint8_t version = read_addr(host, (size_t)(host_end - host), addr);
    if (colon == end)
        return with_port ? 0 : version;
    if (!with_port || *colon != ':' || read_port(colon + 1, port) != end)
        return 0;
    return version;
}

int ws_select_add_tuple(struct ws_select *s, const char *text, char *err, size_t err_len)
{
    struct ws_select_tuple t = {0};
    if (s->n_tuple == WS_SELECT_MAX)
        return too_many(err, err_len, text, "tuples");
    const char *src = strchr(text, ',');
    const char *dst = src ? strchr(src + 1, ',') : NULL;
    if (!dst || strchr(dst + 1, ','))
        return refuse(err, err_len, text, "not of the form PROTO,SRC:PORT,DST:PORT");
    if (read_protocol(text, (size_t)(src - text), &t.proto) < 0)
        return refuse(err, err_len, text, "the protocol is no known name and no number 0 to 255");
    bool with_port = t.proto == 0 || ws_select_has_ports(t.proto);
    const char *form = with_port ? "ADDR:PORT or [ADDR]:PORT" : "ADDR (the protocol has no ports)";
    t.ip_version =
        read_endpoint(src + 1, (size_t)(dst - src - 1), with_port, t.addr[0], &t.port[0]);
    if (!t.ip_version)
        return refuse(err, err_len, text, "the source is not of the form %s", form);
    uint8_t other = read_endpoint(dst + 1, strlen(dst + 1), with_port, t.addr[1], &t.port[1]);
    if (!other)
        return refuse(err, err_len, text, "the destination is not of the form %s", form);
    if (other != t.ip_version)
        return refuse(err, err_len, text, "one address is IPv4 and the other IPv6");
    s->tuple[s->n_tuple++] = t;
    return 0;
}

/* --- Community IDs ---------------------------------------------------------------------------- */

int ws_select_add_community_id(struct ws_select *s, const char *text, char *err, size_t err_len)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t digits = 27; /* 160 bits */
    if (s->n_community_id == WS_SELECT_MAX)
        return too_many(err, err_len, text, "Community IDs");
    bool good = strncmp(text, "1:", 2) == 0 && strlen(text) == 2 + digits + 1 &&
                strspn(text + 2, base64) == digits && text[2 + digits] == '=' &&
                /* the last digit says 4 bits of the digest and 2 that are zero */
                (strchr(base64, text[1 + digits]) - base64) % 4 == 0;
    if (!good)
        return refuse(err, err_len, text,
                      "not a Community ID of version 1 (1: and 28 characters of base64)");
    snprintf(s->community_id[s->n_community_id++], sizeof(s->community_id[0]), "%s", text);
    return 0;
}

/* --- times ------------------------------------------------------------------------------------ */

#define SECOND INT64_C(1000000000)

/* Reads an optional fraction of a second, 1 to 9 digits after a point. Returns what follows, or
 * NULL. */
static const char *read_fraction(const char *s, int64_t *ns)
{
    *ns = 0;
    if (*s != '.')
        return s;
    int64_t unit = SECOND;
    for (s++; is_digit(*s); s++) {
        if (unit == 1)
            return NULL;
        unit /= 10;
        *ns += (*s - '0') * unit;
    }
    return unit == SECOND ? NULL : s;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. Counted from 1 March of year 0, so
 * that the leap day is the last day of a year: 153 days are the five months from March or August
 * on. */
static int64_t days_since_epoch(int64_t year, unsigned month, unsigned day)
{
    if (month < 3)
        year--;
    int64_t of_year = (153 * ((int64_t)month + (month < 3 ? 9 : -3)) + 2) / 5 + (int64_t)day - 1;
    return 365 * year + year / 4 - year / 100 + year / 400 + of_year - 719468;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

/* "2026-01-02T03:04:05[.fraction][Z|+hh:mm|-hh:mm]" (RFC 3339; a space may stand for the T).
 * Returns 0, or -EINVAL. */
static int read_date(const char *s, int64_t *seconds, int64_t *ns)
{
    unsigned year, month, day, hour, minute, second, zone_hour = 0, zone_minute = 0;
    if (!(s = read_fixed(s, 4, &year)) || *s++ != '-' || !(s = read_fixed(s, 2, &month)) ||
        *s++ != '-' || !(s = read_fixed(s, 2, &day)) || (*s != 'T' && *s != ' ') ||
        !(s = read_fixed(s + 1, 2, &hour)) || *s++ != ':' || !(s = read_fixed(s, 2, &minute)) ||
        *s++ != ':' || !(s = read_fixed(s, 2, &second)) || !(s = read_fraction(s, ns)))
        return -EINVAL;
    int64_t east = 1;
    if (*s == 'Z') {
        s++;
    } else if (*s == '+' || *s == '-') {
        east = *s == '+' ? 1 : -1;
        if (!(s = read_fixed(s + 1, 2, &zone_hour)) || *s++ != ':' ||
            !(s = read_fixed(s, 2, &zone_minute)))
            return -EINVAL;
    }
    if (*s || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 59 || zone_hour > 23 || zone_minute > 59)
        return -EINVAL;
    *seconds = days_since_epoch(year, month, day) * 86400 + (int64_t)hour * 3600 +
               (int64_t)minute * 60 + (int64_t)second -
               east * ((int64_t)zone_hour * 3600 + (int64_t)zone_minute * 60);
    return 0;
}

int ws_select_time(const char *text, int64_t *ns, char *err, size_t err_len)
{
    int64_t seconds = 0, fraction = 0, result;
    uint64_t epoch;
    const char *s = read_number(text, INT64_MAX, &epoch);
    bool is_epoch = s && (*s == '\0' || *s == '.');
    if (is_epoch) {
        seconds = (int64_t)epoch;
        s = read_fraction(s, &fraction);
    }
    if (is_epoch ? !s || *s : read_date(text, &seconds, &fraction) < 0)
        return refuse(err, err_len, text,
                      "not a time: seconds since 1970 with up to 9 decimals, or "
                      "2026-01-02T03:04:05.123456789 with Z or +hh:mm (UTC without)");
    if (__builtin_mul_overflow(seconds, SECOND, &result) ||
        __builtin_add_overflow(result, fraction, &result))
        return refuse(err, err_len, text, "beyond what 64 bits of nanoseconds can say");
    *ns = result;
    return 0;
}
