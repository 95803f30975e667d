/* SPDX-License-Identifier: BSD-3-Clause */
/* Community IDs against the published baseline of the specification (seeds 0 and 1). */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter/select.h"

/* For ICMP, port[0] and port[1] are the type and its counterpart, or the code. */
static const struct {
    uint8_t proto;
    const char *src, *dst;
    uint16_t sport, dport;
    bool code;
    const char *id[2];
} baseline[] = {
    {58,
     "fe80::200:86ff:fe05:80da",
     "fe80::260:97ff:fe07:69ea",
     135,
     136,
     false,
     {"1:dGHyGvjMfljg6Bppwm3bg0LO8TY=", "1:kHa1FhMYIT6Ym2Vm2AOtoOARDzY="}},
    {58,
     "fe80::260:97ff:fe07:69ea",
     "fe80::200:86ff:fe05:80da",
     136,
     135,
     false,
     {"1:dGHyGvjMfljg6Bppwm3bg0LO8TY=", "1:kHa1FhMYIT6Ym2Vm2AOtoOARDzY="}},
    {58,
     "fe80::260:97ff:fe07:69ea",
     "fe80::200:86ff:fe05:80da",
     135,
     136,
     false,
     {"1:zavyT/cezQr1fmImYCwYnMXbgck=", "1:2hSqmsDZ2kdcY9kbiUzOEBic0iM="}},
    {58,
     "3ffe:501:1800:2345::2",
     "3ffe:507:0:1:200:86ff:fe05:80da",
     3,
     0,
     true,
     {"1:2ObVBgIn28oZvibYZhZMBgh7WdQ=", "1:lVEtCZpYu84Xqaa++3lXFyuu2n4="}},
    {58,
     "3ffe:501:410:0:2c0:dfff:fe47:33e",
     "3ffe:507:0:1:200:86ff:fe05:80da",
     1,
     4,
     true,
     {"1:hLZd0XGWojozrvxqE0dWB1iM6R0=", "1:W8MHwXpWzpoSTD+cGcaJr4u0ys8="}},
    {58,
     "3ffe:507:0:1:200:86ff:fe05:80da",
     "3ffe:501:0:1001::2",
     128,
     129,
     false,
     {"1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=", "1:GfZxjAkDk2MkegpBYHV6tadtFXQ="}},
    {58,
     "3ffe:501:0:1001::2",
     "3ffe:507:0:1:200:86ff:fe05:80da",
     129,
     128,
     false,
     {"1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=", "1:GfZxjAkDk2MkegpBYHV6tadtFXQ="}},
    {58,
     "fe80::200:86ff:fe05:80da",
     "ff02::2",
     133,
     134,
     false,
     {"1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=", "1:L7Ka0ZMYu+J3bL4ulW2PrqyXNo8="}},
    {58,
     "fe80::260:97ff:fe07:69ea",
     "ff02::1",
     134,
     133,
     false,
     {"1:pkvHqCL88/tg1k4cPigmZXUtL00=", "1:K/ee5UCqAMAQXDorP5nSa2CGLjc="}},
    {1,
     "192.168.0.89",
     "192.168.0.1",
     8,
     0,
     false,
     {"1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", "1:03g6IloqVBdcZlPyX8r0hgoE7kA="}},
    {1,
     "192.168.0.1",
     "192.168.0.89",
     0,
     8,
     false,
     {"1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", "1:03g6IloqVBdcZlPyX8r0hgoE7kA="}},
    {1,
     "10.0.0.1",
     "10.0.0.2",
     11,
     0,
     true,
     {"1:YHxtAirCG//0OzkcVAukqKQN9xM=", "1:XjUibYHaafLQ3pxQeiMI8g25q20="}},
    {6,
     "2001:470:e5bf:dead:4957:2174:e82c:4887",
     "2607:f8b0:400c:c03::1a",
     63943,
     25,
     false,
     {"1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=", "1:eJYTW6AOzFLlSUoESovMjnu7rMw="}},
    {132,
     "192.168.170.8",
     "192.168.170.56",
     7,
     7,
     false,
     {"1:MP2EtRCAUIZvTw6MxJHLV7N7JDs=", "1:5w3ZRjeKBzqT3zsaEECDGjUbYeg="}},
    {6,
     "128.232.110.120",
     "66.35.250.204",
     34855,
     80,
     false,
     {"1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "1:3V71V58M3Ksw/yuFALMcW0LAHvc="}},
    {6,
     "66.35.250.204",
     "128.232.110.120",
     80,
     34855,
     false,
     {"1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "1:3V71V58M3Ksw/yuFALMcW0LAHvc="}},
    {17,
     "192.168.1.52",
     "8.8.8.8",
     54585,
     53,
     false,
     {"1:d/FP5EW3wiY1vCndhwleRRKHowQ=", "1:Q9We8WO3piVF8yEQBNJF4uiSVrI="}},
    {46,
     "10.1.12.1",
     "10.1.12.2",
     0,
     0,
     false,
     {"1:KHlLkgoJW7ifUTyTSgyVfkFHzKw=", "1:rYir8gphR31noO9iDRQmF/BteEI="}},
};

/* The key that decode makes of a packet from src to dst, and the packet's direction. */
static struct ws_key make_key(uint8_t proto, const char *src, const char *dst, uint16_t sport,
                              uint16_t dport, unsigned *dir)
{
    struct ws_key k = {.proto = proto, .ip_version = strchr(src, ':') ? 6 : 4};
    uint8_t a[2][16] = {{0}};
    int family = k.ip_version == 6 ? AF_INET6 : AF_INET;
    assert_int_equal(inet_pton(family, src, a[0]), 1);
    assert_int_equal(inet_pton(family, dst, a[1]), 1);
    uint16_t port[2] = {sport, dport};
    int order = memcmp(a[0], a[1], 16);
    *dir = order > 0 || (order == 0 && sport > dport);
    for (unsigned e = 0; e < 2; e++) {
        memcpy(k.addr[e], a[e ^ *dir], 16);
        k.port[e] = port[e ^ *dir];
    }
    return k;
}

static void agrees_with_baseline(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WS_ARRAY_SIZE(baseline); i++) {
        bool icmp = baseline[i].proto == 1 || baseline[i].proto == 58;
        for (uint16_t seed = 0; seed < 2; seed++) {
            unsigned dir;
            char id[WS_COMMUNITY_ID_LEN];
            struct ws_key k =
                make_key(baseline[i].proto, baseline[i].src, baseline[i].dst,
                         icmp ? 0 : baseline[i].sport, icmp ? 0 : baseline[i].dport, &dir);
            if (icmp)
                ws_community_id_icmp(&k, dir, (uint8_t)baseline[i].sport,
                                     (uint8_t)(baseline[i].code ? baseline[i].dport : 0), seed, id);
            else
                ws_community_id(&k, seed, id);
            assert_string_equal(id, baseline[i].id[seed]);
            assert_true(ws_community_id_may_be(&k, seed, baseline[i].id[seed]));
            assert_false(ws_community_id_may_be(&k, seed, baseline[i].id[!seed]));
        }
    }
}

static void icmp_flow_has_no_one_id(void **state)
{
    (void)state;
    unsigned dir;
    char id[WS_COMMUNITY_ID_LEN] = "x";
    struct ws_key k = make_key(1, "10.0.0.1", "10.0.0.2", 0, 0, &dir);
    ws_community_id(&k, 0, id);
    assert_string_equal(id, "");
}

/* An error sent by the higher address: the sender comes first (not in the baseline; by the pseudo
 * code). */
static void error_from_the_higher_address(void **state)
{
    (void)state;
    unsigned dir;
    char id[WS_COMMUNITY_ID_LEN];
    struct ws_key k = make_key(1, "10.0.0.2", "10.0.0.1", 0, 0, &dir);
    assert_int_equal(dir, 1);
    ws_community_id_icmp(&k, dir, 3, 1, 0, id);
    assert_string_equal(id, "1:JHjlyD5IJJjl3wHWOMj46lLWZag=");
    assert_true(ws_community_id_may_be(&k, 0, id));
}

/* A host that pings itself: request and answer still have one ID. */
static void equal_addresses(void **state)
{
    (void)state;
    unsigned dir;
    char ask[WS_COMMUNITY_ID_LEN], answer[WS_COMMUNITY_ID_LEN];
    struct ws_key k = make_key(1, "127.0.0.1", "127.0.0.1", 0, 0, &dir);
    ws_community_id_icmp(&k, 0, 8, 0, 0, ask);
    ws_community_id_icmp(&k, 0, 0, 0, 0, answer);
    assert_string_equal(ask, answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_baseline),
        cmocka_unit_test(icmp_flow_has_no_one_id),
        cmocka_unit_test(error_from_the_higher_address),
        cmocka_unit_test(equal_addresses),
    };
    return cmocka_run_group_tests_name("filter/community", tests, NULL, NULL);
}
