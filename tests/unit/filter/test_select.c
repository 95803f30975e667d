/* SPDX-License-Identifier: BSD-3-Clause */
/* Selectors on flows: same kind or, different kinds and, exclusions, directions. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter/select.h"

enum { NO = 0, ZERO = 1, ONE = 2, BOTH = 3 };

/* Endpoint 0 is the lower one, as in a real key: the caller sees to it. */
static struct ws_key key4(uint8_t proto, const char *a, uint16_t pa, const char *b, uint16_t pb)
{
    struct ws_key k = {.proto = proto, .ip_version = 4, .port = {pa, pb}};
    assert_int_equal(inet_pton(AF_INET, a, k.addr[0]), 1);
    assert_int_equal(inet_pton(AF_INET, b, k.addr[1]), 1);
    return k;
}

static struct ws_select with(const char *port, const char *host, const char *tuple)
{
    struct ws_select s;
    char err[256];
    ws_select_init(&s);
    if (port)
        assert_int_equal(ws_select_add_port(&s, port, err, sizeof(err)), 0);
    if (host)
        assert_int_equal(ws_select_add_host(&s, host, err, sizeof(err)), 0);
    if (tuple)
        assert_int_equal(ws_select_add_tuple(&s, tuple, err, sizeof(err)), 0);
    return s;
}

static void nothing_given_is_all(void **state)
{
    (void)state;
    struct ws_select s;
    struct ws_key k = key4(6, "1.1.1.1", 1, "2.2.2.2", 2);
    ws_select_init(&s);
    assert_true(s.after_ns == INT64_MIN && s.before_ns == INT64_MAX);
    assert_true(ws_select_flows_all(&s));
    assert_int_equal(ws_select_flow(&s, &k, 9), BOTH);
    s.after_ns = 5; /* times are about packets, not flows */
    assert_true(ws_select_flows_all(&s));
}

static void ports(void **state)
{
    (void)state;
    struct ws_select s = with("80-90", NULL, NULL);
    struct ws_key tcp = key4(6, "1.1.1.1", 85, "2.2.2.2", 2000);
    struct ws_key udp = key4(17, "1.1.1.1", 2000, "2.2.2.2", 90);
    struct ws_key none = key4(6, "1.1.1.1", 79, "2.2.2.2", 91);
    assert_false(ws_select_flows_all(&s));
    assert_int_equal(ws_select_flow(&s, &tcp, 0), BOTH);
    assert_int_equal(ws_select_flow(&s, &udp, 0), BOTH);
    assert_int_equal(ws_select_flow(&s, &none, 0), NO);
    s.port[0].proto = 17;
    assert_int_equal(ws_select_flow(&s, &tcp, 0), NO);
    assert_int_equal(ws_select_flow(&s, &udp, 0), BOTH);
    /* port 0 exists; a protocol without ports does not have it */
    s = with("0", NULL, NULL);
    struct ws_key icmp = key4(1, "1.1.1.1", 0, "2.2.2.2", 0);
    struct ws_key zero = key4(17, "1.1.1.1", 0, "2.2.2.2", 5);
    assert_int_equal(ws_select_flow(&s, &icmp, 0), NO);
    assert_int_equal(ws_select_flow(&s, &zero, 0), BOTH);
}

static void excluded_ports_win(void **state)
{
    (void)state;
    char err[256];
    struct ws_select s = with("80", NULL, NULL);
    struct ws_key k = key4(6, "1.1.1.1", 80, "2.2.2.2", 443);
    assert_int_equal(ws_select_add_port_not(&s, "443", err, sizeof(err)), 0);
    assert_int_equal(ws_select_flow(&s, &k, 0), NO);
    s.port_not[0].proto = 17;
    assert_int_equal(ws_select_flow(&s, &k, 0), BOTH);
    /* an exclusion alone lets the rest through, protocols without ports too */
    ws_select_init(&s);
    assert_int_equal(ws_select_add_port_not(&s, "443", err, sizeof(err)), 0);
    struct ws_key icmp = key4(1, "1.1.1.1", 0, "2.2.2.2", 0);
    assert_false(ws_select_flows_all(&s));
    assert_int_equal(ws_select_flow(&s, &k, 0), NO);
    assert_int_equal(ws_select_flow(&s, &icmp, 0), BOTH);
}

static void hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        unsigned want;
    } table[] = {
        {"10.1.2.3", BOTH},         {"10.1.2.4", NO},
        {"10.0.0.0/8", BOTH},       {"11.0.0.0/8", NO},
        {"10.1.2.2/31", BOTH},      {"10.1.2.0/31", NO},
        {"192.168.128.0/17", BOTH}, {"192.168.0.0/17", NO},
        {"0.0.0.0/0", BOTH},        {"::/0", NO},
        {"a01:203::", NO},
    };
    struct ws_key k = key4(6, "10.1.2.3", 1, "192.168.200.1", 2);
    for (unsigned i = 0; i < WS_ARRAY_SIZE(table); i++) {
        struct ws_select s = with(NULL, table[i].host, NULL);
        assert_int_equal(ws_select_flow(&s, &k, 0), table[i].want);
    }
}

static void same_kind_or_different_kinds_and(void **state)
{
    (void)state;
    char err[256];
    struct ws_select s = with("80", "10.0.0.1", NULL);
    assert_int_equal(ws_select_add_port(&s, "443", err, sizeof(err)), 0);
    assert_int_equal(ws_select_add_host(&s, "10.0.0.2", err, sizeof(err)), 0);
    struct ws_key a = key4(6, "10.0.0.2", 443, "10.0.0.9", 5),
                  b = key4(6, "10.0.0.1", 5, "10.0.0.3", 6);
    struct ws_key c = key4(6, "10.0.0.3", 80, "10.0.0.4", 6);
    assert_int_equal(ws_select_flow(&s, &a, 0), BOTH);
    assert_int_equal(ws_select_flow(&s, &b, 0), NO);
    assert_int_equal(ws_select_flow(&s, &c, 0), NO);
}

/* any: one kind is enough; an exclusion still wins, a direction chosen alone stays alone. */
static void any_kind(void **state)
{
    (void)state;
    char err[256];
    const uint64_t ordinal[] = {7};
    const uint8_t dirs[] = {ZERO};
    struct ws_select s = with("tcp,80", "10.0.0.1", NULL);
    struct ws_key a = key4(6, "10.0.0.2", 443, "10.0.0.9", 5),
                  b = key4(6, "10.0.0.1", 5, "10.0.0.3", 6);
    struct ws_key c = key4(6, "10.0.0.3", 80, "10.0.0.4", 6), d = key4(17, "10.0.0.3", 80, "10.0.0.4", 6);
    s.any = true;
    assert_int_equal(ws_select_flow(&s, &a, 0), NO);
    assert_int_equal(ws_select_flow(&s, &b, 0), BOTH);
    assert_int_equal(ws_select_flow(&s, &c, 0), BOTH);
    assert_int_equal(ws_select_flow(&s, &d, 0), NO);
    s.by_flow = true;
    s.flow_ordinal = ordinal;
    s.flow_dirs = dirs;
    s.n_flow = 1;
    assert_int_equal(ws_select_flow(&s, &a, 7), ZERO);
    assert_int_equal(ws_select_flow(&s, &a, 8), NO);
    assert_int_equal(ws_select_flow(&s, &b, 7), BOTH);
    assert_int_equal(ws_select_add_port_not(&s, "tcp,80-90", err, sizeof(err)), 0);
    assert_int_equal(ws_select_flow(&s, &c, 7), NO);
    assert_int_equal(ws_select_flow(&s, &d, 7), ZERO);
    s = with(NULL, NULL, NULL);
    s.any = true;
    assert_int_equal(ws_select_add_port_not(&s, "udp,80", err, sizeof(err)), 0);
    assert_int_equal(ws_select_flow(&s, &c, 0), BOTH);
    assert_int_equal(ws_select_flow(&s, &d, 0), NO);
}

static void tuples(void **state)
{
    (void)state;
    struct ws_key k = key4(6, "1.1.1.1", 1000, "2.2.2.2", 80);
    struct ws_select forth = with(NULL, NULL, "tcp,1.1.1.1:1000,2.2.2.2:80");
    struct ws_select back = with(NULL, NULL, "tcp,2.2.2.2:80,1.1.1.1:1000");
    struct ws_select crossed = with(NULL, NULL, "tcp,1.1.1.1:80,2.2.2.2:1000");
    struct ws_select udp = with(NULL, NULL, "udp,1.1.1.1:1000,2.2.2.2:80");
    struct ws_select any = with(NULL, NULL, "any,1.1.1.1:1000,2.2.2.2:80");
    assert_int_equal(ws_select_flow(&forth, &k, 0), BOTH);
    assert_int_equal(ws_select_flow(&back, &k, 0), BOTH);
    assert_int_equal(ws_select_flow(&any, &k, 0), BOTH);
    assert_int_equal(ws_select_flow(&crossed, &k, 0), NO);
    assert_int_equal(ws_select_flow(&udp, &k, 0), NO);
    forth.tuple[0].one_way = back.tuple[0].one_way = true;
    assert_int_equal(ws_select_flow(&forth, &k, 0), ZERO);
    assert_int_equal(ws_select_flow(&back, &k, 0), ONE);
    /* tunnels and VLANs are not part of a tuple */
    k.vlan[0] = 7;
    k.tunnel_type = WS_TUNNEL_VXLAN;
    assert_int_equal(ws_select_flow(&forth, &k, 0), ZERO);
}

static void community_ids(void **state)
{
    (void)state;
    char err[256];
    struct ws_select s;
    ws_select_init(&s);
    assert_int_equal(
        ws_select_add_community_id(&s, "1:wCb3OG7yAFWelaUydu0D+125CLM=", err, sizeof(err)), 0);
    struct ws_key k = key4(6, "1.2.3.4", 1122, "5.6.7.8", 3344);
    assert_int_equal(ws_select_flow(&s, &k, 0), BOTH);
    s.community_seed = 1;
    assert_int_equal(ws_select_flow(&s, &k, 0), NO);
    s.community_seed = 0;
    k.port[0]++;
    assert_int_equal(ws_select_flow(&s, &k, 0), NO);
}

static void flows_by_ordinal(void **state)
{
    (void)state;
    static const uint64_t ordinal[] = {3, 10, UINT64_C(1) << 40};
    static const uint8_t dirs[] = {1, 2, 3};
    struct ws_select s;
    struct ws_key k = key4(6, "1.1.1.1", 1, "2.2.2.2", 2);
    ws_select_init(&s);
    s.by_flow = true;
    assert_false(ws_select_flows_all(&s));
    assert_int_equal(ws_select_flow(&s, &k, 3), NO); /* none was found */
    s.flow_ordinal = ordinal;
    s.flow_dirs = dirs;
    s.n_flow = 3;
    assert_int_equal(ws_select_flow(&s, &k, 2), NO);
    assert_int_equal(ws_select_flow(&s, &k, 3), ZERO);
    assert_int_equal(ws_select_flow(&s, &k, 10), ONE);
    assert_int_equal(ws_select_flow(&s, &k, 11), NO);
    assert_int_equal(ws_select_flow(&s, &k, UINT64_C(1) << 40), BOTH);
    assert_int_equal(ws_select_flow(&s, &k, UINT64_MAX), NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_is_all),
        cmocka_unit_test(ports),
        cmocka_unit_test(excluded_ports_win),
        cmocka_unit_test(hosts),
        cmocka_unit_test(same_kind_or_different_kinds_and),
        cmocka_unit_test(any_kind),
        cmocka_unit_test(tuples),
        cmocka_unit_test(community_ids),
        cmocka_unit_test(flows_by_ordinal),
    };
    return cmocka_run_group_tests_name("filter/select", tests, NULL, NULL);
}
