/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets printed for people, against text written by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

#include "format/console.h"
#include "guard.h"

static char out[WS_CONSOLE_MAX + 1];

static const struct ws_console_style text = {.header = true, .newline = true};
static const struct ws_console_style hex = {
    .kind = WS_CONSOLE_HEX, .header = true, .newline = true};
static const struct ws_console_style json = {
    .kind = WS_CONSOLE_JSON, .header = true, .newline = true};

static const uint8_t v4_src[16] = {10, 0, 0, 1}, v4_dst[16] = {10, 0, 0, 2};

static const char *encode(const struct ws_console_style *style, const void *data, size_t len)
{
    struct ws_console_packet p = {
        .prefix = "dir/",
        .name = "NAME",
        .src = v4_src,
        .dst = v4_dst,
        .src_port = 1,
        .dst_port = 65535,
        .ip_version = 4,
        .client = true,
        .data = data,
        .len = (uint32_t)len,
    };
    struct ws_text t;
    ws_text_init(&t, out, sizeof(out));
    ws_console_encode(&t, style, &p);
    assert_true(ws_text_end(&t) >= 0);
    return out;
}

static void texts(void **state)
{
    struct ws_console_style s = text;
    (void)state;
    assert_string_equal(encode(&s, "a\tb\r\n~\x7f\x80 ", 9), "dir/NAME: a.b\r\n~.. \n");
    s.binary = true;
    assert_string_equal(encode(&s, "a\tb\xff", 4), "dir/NAME: a\tb\xff\n");
    s.header = false;
    assert_string_equal(encode(&s, "x", 1), "x\n");
    s.newline = false;
    assert_string_equal(encode(&s, "x", 1), "x");
    s.color = true;
    assert_string_equal(encode(&s, "x", 1), "\033[0;34mx\033[0m");
}

/* As Debian's tcpflow 1.6.1 prints them: the first line has no columns, later ones have. */
static void dumps(void **state)
{
    struct ws_console_style s = hex;
    uint8_t data[35];
    (void)state;
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i + 0x5c);
    assert_string_equal(encode(&s, data, 1), "dir/NAME: \n0000: 5c \\\n\n");
    assert_string_equal(encode(&s, data, 3), "dir/NAME: \n0000: 5c5d 5e \\]^\n\n");
    assert_string_equal(encode(&s, data, 4), "dir/NAME: \n0000: 5c5d 5e5f  \\]^_\n\n");
    s.header = s.newline = false;
    assert_string_equal(
        encode(&s, data, 35),
        "0000: 5c5d 5e5f 6061 6263 6465 6667 6869 6a6b 6c6d 6e6f 7071 7273 7475 7677 7879 7a7b  "
        "\\]^_`abcdefghijklmnopqrstuvwxyz{\n"
        "0020: 7c7d 7e                                                                          "
        "|}~\n");
    s.color = true;
    assert_string_equal(encode(&s, "\n", 1), "\033[0;34m0000: 0a .\n\033[0m");
}

static void long_offsets(void **state)
{
    struct ws_console_style s = hex;
    uint8_t *data = calloc(1, WS_CONSOLE_PIECE_MAX);
    (void)state;
    assert_non_null(data);
    const char *end = encode(&s, data, 0x10001) + strlen(out);
    assert_memory_equal(end - 91, "10000: 00 ", 10);
    /* the longest of all fits */
    encode(&s, data, WS_CONSOLE_PIECE_MAX);
    memset(data, 0xff, WS_CONSOLE_PIECE_MAX);
    encode(&json, data, WS_CONSOLE_PIECE_MAX);
    free(data);
}

static void json_lines(void **state)
{
    uint8_t data[256];
    json_error_t e;
    (void)state;
    assert_string_equal(encode(&json, "Gf\x01", 3),
                        "{\"src_host\":\"10.0.0.1\",\"src_port\":1,\"dst_host\":\"10.0.0.2\","
                        "\"dst_port\":65535,\"payload\": [71,102,1]}\n");
    for (unsigned i = 0; i < 256; i++)
        data[i] = (uint8_t)i;
    json_t *j = json_loads(encode(&json, data, 256), 0, &e);
    assert_non_null(j);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(json_integer_value(json_array_get(json_object_get(j, "payload"), i)), i);
    json_decref(j);
    /* IPv6, which theirs gets wrong */
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    struct ws_console_packet p = {.src = v6, .dst = v6, .ip_version = 6, .data = data, .len = 1};
    struct ws_text t;
    ws_text_init(&t, out, sizeof(out));
    ws_console_encode(&t, &json, &p);
    ws_text_end(&t);
    assert_non_null(strstr(out, "\"src_host\":\"2001:db8::1\""));
}

/* Nothing is read beyond the payload, in any style. */
static void bounds(void **state)
{
    struct ws_console_style s = {0};
    (void)state;
    for (unsigned len = 1; len < 100; len++) {
        uint8_t data[100] = {0};
        struct guard g = guard_copy(data, len);
        for (unsigned k = 0; k < 3; k++) {
            s.kind = (enum ws_console_kind)k;
            encode(&s, g.data, len);
        }
        guard_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),      cmocka_unit_test(dumps),  cmocka_unit_test(long_offsets),
        cmocka_unit_test(json_lines), cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
