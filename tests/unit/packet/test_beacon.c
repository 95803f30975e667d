/* SPDX-License-Identifier: BSD-3-Clause */
/* Beacons and probe responses behind each capture header; cut at every byte, before a guard page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "guard.h"
#include "packet/beacon.h"

enum { HEAD = 24 + 12 };

struct frame {
    uint8_t at[512];
    uint32_t len;
};

static void add(struct frame *f, const void *bytes, size_t n)
{
    memcpy(f->at + f->len, bytes, n);
    f->len += (uint32_t)n;
}

static void element(struct frame *f, uint8_t id, const void *body, uint8_t len)
{
    add(f, &id, 1);
    add(f, &len, 1);
    add(f, body, len);
}

/* An 802.11 header with its fixed fields; elements follow. */
static void begin(struct frame *f, uint8_t type, uint8_t flags)
{
    uint8_t head[HEAD + 4] = {type, flags};
    unsigned ht = flags & 0x80 ? 4 : 0;
    memcpy(head + 16, "\x02\x11\x22\x33\x44\x55", 6);
    head[24 + ht + 10] = 0x11; /* ESS, privacy */
    add(f, head, HEAD + ht);
}

/* Bitwise, another way than the one under test. */
static uint32_t crc(const uint8_t *p, uint32_t n)
{
    uint32_t c = ~UINT32_C(0);
    for (uint32_t i = 0; i < n * 8; i++) {
        uint32_t bit = (c ^ (uint32_t)p[i / 8] >> i % 8) & 1;
        c = c >> 1 ^ (bit ? UINT32_C(0xedb88320) : 0);
    }
    return ~c;
}

static void end(struct frame *f, uint32_t from)
{
    uint32_t c = crc(f->at + from, f->len - from);
    uint8_t fcs[4] = {(uint8_t)c, (uint8_t)(c >> 8), (uint8_t)(c >> 16), (uint8_t)(c >> 24)};
    add(f, fcs, 4);
}

static enum ws_beacon_status parse(struct ws_beacon *b, const struct frame *f, uint16_t link_type,
                                   bool check)
{
    struct ws_packet p = {
        .data = f->at, .cap_len = f->len, .wire_len = f->len, .link_type = link_type};
    return ws_beacon_parse(b, &p, check);
}

static void home(struct frame *f)
{
    begin(f, 0x80, 0);
    element(f, 0, "home", 4);
    element(f, 1, "\x82\x84", 2);
    element(f, 3, "\x0b", 1);
}

static void check_home(const struct ws_beacon *b)
{
    assert_memory_equal(b->bssid, "\x02\x11\x22\x33\x44\x55", 6);
    assert_int_equal(b->ssid_len, 4);
    assert_memory_equal(b->ssid, "home\0\0", 6);
    assert_int_equal(b->channel, 11);
    assert_true(b->privacy);
}

static void test_headers(void **state)
{
    struct ws_beacon b;
    (void)state;
    struct frame plain = {.len = 0};
    home(&plain);
    assert_int_equal(parse(&b, &plain, 105, true), WS_BEACON_OK);
    check_home(&b);
    assert_false(b.response);
    assert_int_equal(parse(&b, &plain, 1, true), WS_BEACON_NONE);

    struct frame radiotap = {.len = 0}; /* TSFT, flags: FCS; present words chained */
    add(&radiotap, "\0\0\x19\0\x03\0\0\x80\0\0\0\0\0\0\0\0\1\2\3\4\5\6\7\x08\x10", 25);
    home(&radiotap);
    end(&radiotap, 25);
    assert_int_equal(parse(&b, &radiotap, 127, true), WS_BEACON_OK);
    check_home(&b);
    radiotap.at[30] ^= 1;
    assert_int_equal(parse(&b, &radiotap, 127, true), WS_BEACON_BAD_FCS);
    assert_int_equal(parse(&b, &radiotap, 127, false), WS_BEACON_OK);
    radiotap.at[24] = 0x40; /* no FCS, but the receiver saw a wrong one */
    assert_int_equal(parse(&b, &radiotap, 127, true), WS_BEACON_BAD_FCS);

    struct frame avs = {.len = 0};
    uint8_t head[64] = {0x80, 0x21, 0x10, 0x01, 0, 0, 0, 64};
    add(&avs, head, 64);
    home(&avs);
    assert_int_equal(parse(&b, &avs, 163, true), WS_BEACON_OK);
    check_home(&b);

    struct frame prism = {.len = 0};
    uint8_t prism_head[144] = {0x44, 0, 0, 0, 144};
    add(&prism, prism_head, 144);
    home(&prism);
    assert_int_equal(parse(&b, &prism, 119, true), WS_BEACON_OK);
    check_home(&b);
}

static void test_elements(void **state)
{
    struct ws_beacon b;
    (void)state;
    struct frame f = {.len = 0}; /* a probe response with HT control; the channel by HT operation */
    begin(&f, 0x50, 0x80);
    element(&f, 0, "\xff\0x", 3);
    element(&f, 61, "\x24\0", 2);
    element(&f, 3, "\1", 1);
    element(&f, 0, "second", 6);
    assert_int_equal(parse(&b, &f, 105, true), WS_BEACON_OK);
    assert_true(b.response);
    assert_int_equal(b.ssid_len, 3);
    assert_memory_equal(b.ssid, "\xff\0x", 3);
    assert_int_equal(b.channel, 36);
    assert_true(b.privacy);

    f.len = 0; /* hidden: zeros */
    begin(&f, 0x80, 0);
    element(&f, 0, "\0\0\0", 3);
    assert_int_equal(parse(&b, &f, 105, true), WS_BEACON_OK);
    assert_int_equal(b.ssid_len, 0);

    f.len = 0; /* the longest, and one more */
    begin(&f, 0x80, 0);
    element(&f, 0, "01234567890123456789012345678901", 32);
    assert_int_equal(parse(&b, &f, 105, true), WS_BEACON_OK);
    assert_int_equal(b.ssid_len, 32);
    f.len = HEAD;
    element(&f, 0, "012345678901234567890123456789012", 33);
    assert_int_equal(parse(&b, &f, 105, true), WS_BEACON_BAD);

    f.len = HEAD; /* no name at all */
    element(&f, 3, "\1", 1);
    assert_int_equal(parse(&b, &f, 105, true), WS_BEACON_BAD);
    f.at[1] = 0x40; /* protected */
    element(&f, 0, "x", 1);
    assert_int_equal(parse(&b, &f, 105, true), WS_BEACON_BAD);
    f.at[0] = 0x40; /* probe request */
    assert_int_equal(parse(&b, &f, 105, true), WS_BEACON_NONE);
}

/* The snap length cut into the FCS: what is there of it is no element, and it is not checked. */
static void test_cut_fcs(void **state)
{
    struct ws_beacon b;
    struct frame f = {.len = 0};
    (void)state;
    add(&f, "\0\0\x09\0\x02\0\0\0\x10", 9);
    home(&f);
    end(&f, 9);
    f.at[f.len - 4] ^= 1;
    for (uint32_t cut = 1; cut <= 4; cut++) {
        struct ws_packet p = {
            .data = f.at, .cap_len = f.len - cut, .wire_len = f.len, .link_type = 127};
        assert_int_equal(ws_beacon_parse(&b, &p, true), WS_BEACON_OK);
        check_home(&b);
    }
}

static void test_every_cut(void **state)
{
    static const uint16_t link[] = {105, 119, 127, 163};
    struct frame f = {.len = 0};
    (void)state;
    add(&f, "\0\0\x09\0\x02\0\0\0\x10", 9);
    home(&f);
    end(&f, 9);
    for (uint32_t from = 0; from <= 9; from += 9) {
        for (uint32_t len = 0; from + len <= f.len; len++) {
            struct guard g = guard_copy(f.at + from, len);
            for (size_t i = 0; i < 4; i++) {
                struct ws_beacon b;
                struct ws_packet p = {
                    .data = g.data, .cap_len = len, .wire_len = f.len - from, .link_type = link[i]};
                enum ws_beacon_status s = ws_beacon_parse(&b, &p, true);
                bool right = (link[i] == 105 && from == 9) || (link[i] == 127 && from == 0);
                /* the name is there */
                if (right && len >= 9 - from + HEAD + 6)
                    assert_int_equal(s, WS_BEACON_OK);
                else
                    assert_int_not_equal(s, WS_BEACON_OK);
            }
            guard_free(&g);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_cut_fcs),
        cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
