/* SPDX-License-Identifier: BSD-3-Clause */
/* Filter expressions: what they match on the outer frame, link types, errors, copies. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "filter/filter.h"
#include "guard.h"

enum { ETHERNET = 1, RAW = 101, LINUX_SLL = 113, IEEE802_11 = 105, NONSENSE = 147 + 4000 };

struct frame {
    uint8_t b[128];
    uint32_t len;
};

static void put(struct frame *f, const void *p, uint32_t n)
{
    memcpy(f->b + f->len, p, n);
    f->len += n;
}

/* IPv4 from 10.0.0.1 to 10.0.0.2 with 8 bytes of a transport header that begins with the ports. */
static void put_ip4(struct frame *f, uint8_t proto, uint16_t frag, uint16_t sport, uint16_t dport)
{
    uint8_t ip[28] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    ws_store_be16(ip + 6, frag);
    ws_store_be16(ip + 20, sport);
    ws_store_be16(ip + 22, dport);
    put(f, ip, sizeof(ip));
}

static void put_ethernet(struct frame *f, uint16_t type)
{
    uint8_t mac[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    ws_store_be16(mac + 12, type);
    put(f, mac, sizeof(mac));
}

static struct frame plain(uint8_t proto, uint16_t frag, uint16_t sport, uint16_t dport)
{
    struct frame f = {.len = 0};
    put_ethernet(&f, 0x0800);
    put_ip4(&f, proto, frag, sport, dport);
    return f;
}

static bool match_as(const char *expr, const struct frame *f, uint16_t link_type, uint32_t wire_len)
{
    char err[256];
    struct ws_filter *filter;
    assert_int_equal(ws_filter_create(&filter, expr, link_type, err, sizeof(err)), 0);
    struct guard g = guard_copy(f->b, f->len);
    struct ws_packet p = {
        .data = g.data, .cap_len = f->len, .wire_len = wire_len, .link_type = link_type};
    bool hit = ws_filter_match(filter, &p);
    guard_free(&g);
    ws_filter_destroy(filter);
    return hit;
}

static bool match(const char *expr, const struct frame *f)
{
    return match_as(expr, f, ETHERNET, f->len);
}

static void matches_fields(void **state)
{
    (void)state;
    struct frame tcp = plain(6, 0, 1234, 80), udp = plain(17, 0, 53, 5353);
    assert_true(match("", &tcp));
    assert_true(match("port 80", &tcp) && match("tcp dst port 80", &tcp));
    assert_false(match("src port 80", &tcp) || match("udp port 80", &tcp));
    assert_true(match("host 10.0.0.2 and net 10.0.0.0/30", &tcp));
    assert_false(match("not ip", &tcp) || match("host 10.0.0.3", &tcp));
    assert_true(match("udp and portrange 50-60", &udp));
    assert_true(match("ether[12:2] = 0x800", &udp));
}

/* What a shortcut over decoded fields would get wrong: it would look past tags, and give ports to
 * later fragments. */
static void looks_at_the_outer_frame_only(void **state)
{
    (void)state;
    struct frame later = plain(6, 100, 1234, 80), first = plain(6, 0x2000, 1234, 80);
    assert_false(match("port 80", &later));
    assert_true(match("tcp", &later) && match("port 80", &first));

    struct frame tagged = {.len = 0};
    put_ethernet(&tagged, 0x8100);
    put(&tagged, (uint8_t[]){0, 5, 8, 0}, 4);
    put_ip4(&tagged, 6, 0, 1234, 80);
    assert_false(match("port 80", &tagged));
    assert_true(match("vlan and port 80", &tagged) && match("vlan 5", &tagged));
    assert_false(match("vlan 6", &tagged));

    struct frame tunnel = {.len = 0};
    put_ethernet(&tunnel, 0x0800);
    put_ip4(&tunnel, 4, 0, 0x4500, 20);
    tunnel.len -= 8;
    put_ip4(&tunnel, 6, 0, 1234, 80);
    assert_false(match("port 80", &tunnel));
    assert_true(match("ip proto 4", &tunnel));
}

/* `len`, `less` and `greater` are about the original length, not what was captured. */
static void length_is_the_original(void **state)
{
    (void)state;
    struct frame f = plain(6, 0, 1, 2);
    assert_true(match_as("greater 1000", &f, ETHERNET, 1000));
    assert_false(match_as("less 999", &f, ETHERNET, 1000));
    assert_true(match_as("len == 1000", &f, ETHERNET, 1000));
}

/* Frames that end anywhere: never a read beyond the end (the guard page), never a port from
 * nowhere. */
static void short_frames_do_not_match(void **state)
{
    (void)state;
    struct frame f = plain(6, 0, 1234, 80);
    uint32_t need = 14 + 20 + 4;
    for (f.len = 0; f.len < need; f.len++)
        assert_false(match_as("dst port 80", &f, ETHERNET, need));
    f.len = need;
    assert_true(match_as("dst port 80", &f, ETHERNET, need));
}

static void other_link_types(void **state)
{
    (void)state;
    struct frame raw = {.len = 0}, cooked = {.len = 0};
    put_ip4(&raw, 6, 0, 1234, 80);
    assert_true(match_as("port 80", &raw, RAW, raw.len)); /* DLT_RAW has another number here */
    put(&cooked, (uint8_t[]){0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0}, 16);
    put_ip4(&cooked, 6, 0, 1234, 80);
    assert_true(match_as("port 80", &cooked, LINUX_SLL, cooked.len));
    assert_false(match_as("port 80", &cooked, ETHERNET, cooked.len));
}

/* One filter over a mix of more link types than it keeps programs for. */
static void many_link_types_in_one_input(void **state)
{
    (void)state;
    static const uint16_t odd[] = {0, 9, 50, 51, 107, 108, 109, 119, 127, 163, 192};
    struct frame eth = plain(6, 0, 1234, 80), raw = {.len = 0};
    put_ip4(&raw, 6, 0, 1234, 80);
    char err[256];
    struct ws_filter *f;
    assert_int_equal(ws_filter_create(&f, "tcp port 80", -1, err, sizeof(err)), 0);
    struct ws_packet p = {.data = eth.b, .cap_len = eth.len, .wire_len = eth.len, .link_type = 1};
    struct ws_packet q = {.data = raw.b, .cap_len = raw.len, .wire_len = raw.len, .link_type = RAW};
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < WS_ARRAY_SIZE(odd); i++) {
            struct ws_packet o = p;
            o.link_type = odd[i];
            assert_false(ws_filter_match(f, &o));
            assert_true(ws_filter_match(f, &p));
            assert_true(ws_filter_match(f, &q));
        }
    }
    assert_int_equal(ws_filter_unsupported(f), 0);
    ws_filter_destroy(f);
}

static void unsupported_is_counted(void **state)
{
    (void)state;
    struct frame f = plain(6, 0, 1234, 80);
    char err[256];
    struct ws_filter *filter, *copy;
    assert_int_equal(ws_filter_create(&filter, "ether host 2:0:0:0:0:1", -1, err, sizeof(err)), 0);
    struct ws_packet p = {.data = f.b, .cap_len = f.len, .wire_len = f.len, .link_type = RAW};
    assert_false(ws_filter_match(filter, &p));
    p.link_type = NONSENSE;
    assert_false(ws_filter_match(filter, &p));
    assert_int_equal(ws_filter_unsupported(filter), 2);
    p.link_type = ETHERNET;
    assert_true(ws_filter_match(filter, &p));
    assert_int_equal(ws_filter_unsupported(filter), 2);
    assert_int_equal(ws_filter_clone(&copy, filter), 0);
    assert_int_equal(ws_filter_unsupported(copy), 0);
    ws_filter_destroy(filter);
    assert_true(ws_filter_match(copy, &p));
    p.link_type = RAW;
    assert_false(ws_filter_match(copy, &p));
    assert_int_equal(ws_filter_unsupported(copy), 1);
    ws_filter_destroy(copy);
}

static void errors_are_libpcaps_own(void **state)
{
    (void)state;
    char err[256] = "";
    struct ws_filter *f = NULL;
    assert_int_equal(ws_filter_create(&f, "tcp port port", -1, err, sizeof(err)), -EINVAL);
    assert_null(f);
    assert_non_null(strstr(err, "syntax error"));
    assert_int_equal(ws_filter_create(&f, "wlan type mgt", ETHERNET, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "802.11"));
    f = NULL;
    assert_int_equal(ws_filter_create(&f, "wlan type mgt and inbound", -1, err, sizeof(err)),
                     -EINVAL);
    assert_null(f);
    char tiny[5];
    assert_int_equal(ws_filter_create(&f, "(", -1, tiny, sizeof(tiny)), -EINVAL);
    assert_int_equal(strlen(tiny), 4);
    ws_filter_destroy(NULL);
}

/* Without a link type, an expression is good when it has a meaning on some. */
static void expressions_of_other_link_types(void **state)
{
    (void)state;
    static const char *const good[] = {"wlan type mgt", "inbound", "ether host 2:0:0:0:0:1"};
    struct frame f = plain(6, 0, 1234, 80);
    for (unsigned i = 0; i < WS_ARRAY_SIZE(good); i++) {
        char err[256];
        struct ws_filter *filter;
        assert_int_equal(ws_filter_create(&filter, good[i], -1, err, sizeof(err)), 0);
        struct ws_packet p = {.data = f.b, .cap_len = f.len, .wire_len = f.len, .link_type = 1};
        assert_int_equal(ws_filter_match(filter, &p), i == 2);
        assert_int_equal(ws_filter_unsupported(filter), i != 2);
        ws_filter_destroy(filter);
    }
    /* and it works on the link type that it is for */
    struct frame mgt = {.b = {0x80}, .len = 30};
    assert_true(match_as("wlan type mgt", &mgt, IEEE802_11, 30));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_fields),
        cmocka_unit_test(looks_at_the_outer_frame_only),
        cmocka_unit_test(length_is_the_original),
        cmocka_unit_test(short_frames_do_not_match),
        cmocka_unit_test(other_link_types),
        cmocka_unit_test(many_link_types_in_one_input),
        cmocka_unit_test(unsupported_is_counted),
        cmocka_unit_test(errors_are_libpcaps_own),
        cmocka_unit_test(expressions_of_other_link_types),
    };
    return cmocka_run_group_tests_name("filter/filter", tests, NULL, NULL);
}
