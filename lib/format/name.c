/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiles and renders file name templates. */
#include "format/name.h"

#include <errno.h>
#include <stdio.h>

static unsigned use_of(char letter)
{
    switch (letter) {
    case 'E':
    case 'e':
        return WS_NAME_USES_MAC;
    case 'N':
    case 'K':
    case 'M':
    case 'G':
    case 'S':
        return WS_NAME_USES_NUMBER;
    case 'c':
    case '#':
        return WS_NAME_USES_COUNTER;
    case 'T':
    case 'D':
        return WS_NAME_USES_TIME;
    default:
        return 0;
    }
}

/* Default padding and width of a letter: tcpflow's, unless the template says otherwise. */
static void defaults_of(char letter, struct ws_name_part *p)
{
    p->pad = '0';
    switch (letter) {
    case 'A': /* an octet of IPv4 */
    case 'B':
    case 'N':
    case 'K':
    case 'M':
    case 'G':
        p->width = 3;
        break;
    case 'a':
    case 'b':
    case 'I':
        p->width = 5;
        break;
    case 'i':
        p->width = 2;
        break;
    case 'S':
        p->width = 20;
        break;
    default:
        p->width = 0;
    }
}

static int put_part(struct ws_name *n, struct ws_name_part p, char *err, size_t err_len)
{
    if (n->parts == WS_NAME_PARTS_MAX) {
        snprintf(err, err_len, "file name template: more than %u parts", WS_NAME_PARTS_MAX);
        return -E2BIG;
    }
    n->part[n->parts++] = p;
    return 0;
}

int ws_name_compile(struct ws_name *n, const char *template_text, const struct ws_name_options *opt,
                    char *err, size_t err_len)
{
    static const char letters[] = "AaBbEeTtVvCc#NKMGSPDIi";
    unsigned seen = 0;
    size_t used = 0;

    memset(n, 0, sizeof(*n));
    n->colon = opt && opt->colon ? opt->colon : ':';
    if (*template_text == '\0') {
        snprintf(err, err_len, "file name template: empty");
        return -EINVAL;
    }
    for (const char *s = template_text; *s;) {
        struct ws_name_part p = {0};
        size_t lit = *s == '%' && s[1] == '%' ? 1 : strcspn(s, "%");
        if (lit) {
            if (used + lit > sizeof(n->text)) {
                snprintf(err, err_len, "file name template: longer than %zu bytes",
                         sizeof(n->text));
                return -E2BIG;
            }
            memcpy(n->text + used, s, lit);
            p.off = (uint16_t)used;
            p.len = (uint16_t)lit;
            used += lit;
            s += *s == '%' ? 2 : lit;
        } else {
            const char *start = s++;
            char pad = '0';
            unsigned width = 0;
            bool given = false;
            if (*s == '-' || *s == '_') {
                pad = *s++ == '-' ? '\0' : ' ';
                given = true;
            }
            bool width_given = *s >= '0' && *s <= '9';
            while (*s >= '0' && *s <= '9' && width < 100)
                width = width * 10 + (unsigned)(*s++ - '0');
            if (*s == '\0' || !strchr(letters, *s) || width > 40) {
                snprintf(err, err_len, "file name template: unknown \"%.*s\" (letters: %s %%)",
                         (int)(s - start + (*s ? 1 : 0)), start, letters);
                return -EINVAL;
            }
            defaults_of(*s, &p);
            p.letter = (uint8_t)*s;
            if (given)
                p.pad = pad;
            if (width_given)
                p.width = (uint8_t)width;
            const char *at = strchr("AaBb", *s);
            if (at)
                seen |= 1u << (at - "AaBb");
            n->uses |= use_of(*s);
            s++;
        }
        int rc = put_part(n, p, err, err_len);
        if (rc)
            return rc;
    }
    if (!(n->uses & WS_NAME_USES_COUNTER) && !(opt && opt->no_counter)) {
        struct ws_name_part c = {.letter = 'C'};
        int rc = put_part(n, c, err, err_len);
        c.letter = 'c';
        if (!rc)
            rc = put_part(n, c, err, err_len);
        if (rc)
            return rc;
        n->uses |= WS_NAME_USES_COUNTER;
    }
    if ((seen & 5) == 5)
        n->uses |= WS_NAME_USES_ADDR;
    if ((seen & 10) == 10)
        n->uses |= WS_NAME_USES_PORT;
    n->complete = seen == 15;
    return 0;
}

/* Replaces the colons of what was put since from. */
static void recolour(struct ws_text *t, size_t from, char colon)
{
    if (colon != ':')
        for (size_t i = from; i < t->len; i++)
            if (t->buf[i] == ':')
                t->buf[i] = colon;
}

static void put_number(struct ws_text *t, const struct ws_name_part *p, uint64_t v)
{
    ws_text_u64(t, v, p->pad ? p->width : 0, p->pad);
}

static void put_addr(struct ws_text *t, const struct ws_name_part *p, const uint8_t *addr,
                     unsigned ip_version)
{
    if (ip_version != 4) {
        ws_text_addr(t, addr, ip_version);
        return;
    }
    for (int i = 0; i < 4; i++) {
        if (i)
            ws_text_putc(t, '.');
        put_number(t, p, addr[i]);
    }
}

static void put_mac(struct ws_text *t, const uint8_t mac[6])
{
    for (int i = 0; i < 6; i++) {
        if (i)
            ws_text_putc(t, ':');
        ws_text_hex(t, mac + i, 1, false);
    }
}

static void put_vlan(struct ws_text *t, const struct ws_name_part *p, const uint16_t vlan[2])
{
    if (!vlan[0])
        return;
    put_number(t, p, vlan[0]);
    if (vlan[1]) {
        ws_text_putc(t, '.');
        put_number(t, p, vlan[1]);
    }
}

static void put_proto(struct ws_text *t, uint8_t proto)
{
    const char *name = ws_proto_keyword(proto);
    if (name) {
        ws_text_puts(t, name);
        return;
    }
    ws_text_puts(t, "IP(");
    ws_text_u64(t, proto, 0, '0');
    ws_text_putc(t, ')');
}

/* The time on clocks of the zone, where such a number exists. */
static int64_t zone_ns(const struct ws_name_values *v)
{
    int64_t ns;
    return __builtin_add_overflow(v->ts_ns, v->zone_s * INT64_C(1000000000), &ns) ? v->ts_ns : ns;
}

static void put_iso(struct ws_text *t, const struct ws_name_values *v)
{
    ws_text_iso(t, zone_ns(v), 0);
    if (v->zone_s == 0 || t->cut)
        return;
    uint32_t minutes = (uint32_t)(v->zone_s < 0 ? -v->zone_s : v->zone_s) / 60;
    t->len--; /* the Z */
    ws_text_putc(t, v->zone_s < 0 ? '-' : '+');
    ws_text_u64(t, minutes / 60, 2, '0');
    ws_text_putc(t, ':');
    ws_text_u64(t, minutes % 60, 2, '0');
}

static void put_value(struct ws_text *t, const struct ws_name_part *p,
                      const struct ws_name_values *v)
{
    switch (p->letter) {
    case 'A':
        put_addr(t, p, v->src, v->ip_version);
        break;
    case 'B':
        put_addr(t, p, v->dst, v->ip_version);
        break;
    case 'a':
        put_number(t, p, v->src_port);
        break;
    case 'b':
        put_number(t, p, v->dst_port);
        break;
    case 'E':
        put_mac(t, v->src_mac);
        break;
    case 'e':
        put_mac(t, v->dst_mac);
        break;
    case 'T':
        put_iso(t, v);
        break;
    case 'D':
        ws_text_stamp(t, zone_ns(v), false);
        break;
    case 't':
        ws_text_i64(t, v->ts_ns / 1000000000 - (v->ts_ns % 1000000000 < 0));
        break;
    case 'V':
        if (v->vlan[0])
            ws_text_puts(t, "--");
        break;
    case 'v':
        put_vlan(t, p, v->vlan);
        break;
    case 'C':
        if (v->counter)
            ws_text_putc(t, 'c');
        break;
    case 'c':
        if (v->counter)
            put_number(t, p, v->counter);
        break;
    case '#':
        put_number(t, p, v->counter);
        break;
    case 'N':
        put_number(t, p, v->number % 1000);
        break;
    case 'K':
        put_number(t, p, v->number / 1000 % 1000);
        break;
    case 'M':
        put_number(t, p, v->number / 1000000 % 1000);
        break;
    case 'G':
        put_number(t, p, v->number / 1000000000 % 1000);
        break;
    case 'S':
        put_number(t, p, v->number);
        break;
    case 'P':
        put_proto(t, v->proto);
        break;
    case 'I':
        put_number(t, p, v->device);
        break;
    case 'i':
        put_number(t, p, v->device_port);
        break;
    default:
        assert(0 && "letter without a rendering");
    }
}

int ws_name_render(const struct ws_name *n, const struct ws_name_values *v, char *buf, size_t max)
{
    struct ws_text t;
    ws_text_init(&t, buf, max);
    for (unsigned i = 0; i < n->parts; i++) {
        const struct ws_name_part *p = &n->part[i];
        size_t from = t.len;
        if (p->letter == 0) {
            ws_text_put(&t, n->text + p->off, p->len);
        } else {
            put_value(&t, p, v);
            recolour(&t, from, n->colon);
        }
    }
    return ws_text_end(&t);
}
