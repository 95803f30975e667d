/* SPDX-License-Identifier: BSD-3-Clause */
/* Stream framings against bytes written by hand, and against a JSON parser. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "format/chunk.h"
#include "guard.h"

static const struct ws_chunk chunk = {
    .ts_ns = UINT64_C(0x1112131415161718),
    .len = 0x2122,
    .stream_id = 0x3132,
    .seq = 0x41424344,
    .ack = 0x51525354,
    .window = 0x00016162,
    .flags = WS_CHUNK32_REASSEMBLE | 0x18,
};

static void headers12(void **state)
{
    static const uint8_t want[12] = {0x18, 0x17, 0x16, 0x15, 0x14, 0x13,
                                     0x12, 0x11, 0x22, 0x21, 0x32, 0x31};
    uint8_t out[12];
    (void)state;
    ws_chunk12_encode(out, &chunk);
    assert_memory_equal(out, want, 12);
}

static void headers32(void **state)
{
    /* 0x1718 + 0x2122 + 0x3132 + 0x4344 + 0x5354 + 0x6162 + 0x4018 = 0x1a17e */
    static const uint8_t want[32] = {
        0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0x22, 0x21, 0x32,
        0x31, 0x44, 0x43, 0x42, 0x41, 0x54, 0x53, 0x52, 0x51, 0x62, 0x61,
        0x01, 0x00, 0x18, 0x40, 0x7e, 0xa1, 0,    0,    0,    0,
    };
    uint8_t out[32];
    (void)state;
    ws_chunk32_encode(out, &chunk);
    assert_memory_equal(out, want, 32);
}

static void text_header(void **state)
{
    char buf[WS_CHUNK_TEXT_HEADER_MAX];
    struct ws_text t;
    (void)state;
    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_text_header(&t, 0, 191);
    ws_text_end(&t);
    assert_string_equal(buf,
                        "\r\n{\"_\":\"--------------------\",\"side\":\"0\",\"size\":\"191\"}\r\n");
    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_text_header(&t, 1, UINT64_MAX);
    assert_true(ws_text_end(&t) > 0);
}

static void json_line(void **state)
{
    static char buf[4096];
    struct ws_chunk_json c = {
        .side = 1,
        .ts_ns = INT64_C(1700000000123456789),
        .conn_ns = 2000005000,
        .data = (const uint8_t *)"a\"\x80\n",
        .len = 4,
    };
    struct ws_text t;
    (void)state;
    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_json_line(&t, &c);
    ws_text_end(&t);
    assert_string_equal(buf, "{\"side\":\"1\",\"time\":{\"abs\":\"1700000000.12346\","
                             "\"conn\":\"2.00001\"},\"size\":\"4\",\"data\":\"a\\\"\\u0080\\n\","
                             "\"data_hex\":\"6122800A\"}\r\n");
    c.ns = true;
    c.missing = 5;
    c.missing_text = true;
    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_json_line(&t, &c);
    ws_text_end(&t);
    assert_string_equal(buf, "{\"side\":\"1\",\"time\":{\"abs\":\"1700000000.123456789\","
                             "\"conn\":\"2.000005000\"},\"size\":\"21\",\"missing\":\"5\","
                             "\"data\":\"[5 bytes missing]a\\\"\\u0080\\n\",\"data_hex\":"
                             "\"5B35206279746573206D697373696E675D6122800A\"}\r\n");
    c.data = NULL; /* a gap at the stream's end (UBSan) */
    c.len = 0;
    c.missing_text = false;
    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_json_line(&t, &c);
    ws_text_end(&t);
    assert_non_null(strstr(buf, "\"missing\":\"5\",\"data\":\"\",\"data_hex\":\"\"}"));
}

/* The worst line fits the room promised, and any bytes make a line that a parser takes. */
static void json_worst(void **state)
{
    static uint8_t data[WS_CHUNK_PAYLOAD_MAX];
    static char buf[WS_CHUNK_JSON_MAX];
    struct ws_chunk_json c = {
        .side = 1,
        .ts_ns = INT64_MIN,
        .conn_ns = INT64_MIN,
        .data = data,
        .len = sizeof(data),
        .missing = UINT64_MAX,
        .missing_text = true,
        .ns = true,
    };
    struct ws_text t;
    (void)state;
    for (int round = 0; round < 4; round++) {
        c.ns = round < 2;
        for (size_t i = 0; i < sizeof(data); i++)
            data[i] = round % 2 ? (uint8_t)(i * 7 + i / 256) : 0;
        ws_text_init(&t, buf, sizeof(buf));
        ws_chunk_json_line(&t, &c);
        assert_true(ws_text_end(&t) > 0);
        json_error_t e;
        json_t *j = json_loads(buf, JSON_ALLOW_NUL, &e);
        assert_non_null(j);
        assert_int_equal(strlen(json_string_value(json_object_get(j, "data_hex"))),
                         2 * (sizeof(data) + strlen("[18446744073709551615 bytes missing]")));
        json_decref(j);
    }
}

static void gap_line(void **state)
{
    char buf[WS_CHUNK_GAP_MAX];
    struct ws_text t;
    (void)state;
    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_gap_line(&t, 1460, UINT64_MAX, "never_seen");
    ws_text_end(&t);
    assert_string_equal(
        buf, "{\"offset\":1460,\"length\":18446744073709551615,\"cause\":\"never_seen\"}\n");
}

static void metadata(void **state)
{
    static const char text[] = "Number of data packets in side 0:  3\n"
                               "Number of data packets in side 1:  4\n"
                               "Total number of data packets:      7\n"
                               "\n"
                               "Number of bytes in side 0:         100\n"
                               "Number of bytes in side 1:         20\n"
                               "Total number of bytes:             120\n"
                               "\n"
                               "Number of messages in side 0:      2\n"
                               "Number of messages in side 1:      1\n";
    const struct ws_chunk_metadata m = {{3, 4}, {100, 20}, {2, 1}};
    const struct ws_chunk_metadata most = {{UINT64_MAX, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}};
    char buf[WS_CHUNK_METADATA_MAX];
    struct ws_text t;
    (void)state;
    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_metadata_text(&t, &m);
    assert_int_equal(t.len, sizeof(text) - 1);
    assert_memory_equal(buf, text, t.len);

    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_metadata_json(&t, &m);
    json_t *j = json_loadb(buf, t.len, 0, NULL);
    assert_non_null(j);
    static const char *const key[] = {"total", "side_0", "side_1"};
    static const char *const bytes[] = {"120", "100", "20"}, *const messages[] = {"3", "2", "1"};
    for (int i = 0; i < 3; i++) {
        json_t *o = json_object_get(j, key[i]);
        assert_string_equal(json_string_value(json_object_get(o, "bytes")), bytes[i]);
        assert_string_equal(json_string_value(json_object_get(o, "messages")), messages[i]);
    }
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "side_1"), "packets")), "4");
    json_decref(j);

    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_metadata_text(&t, &most);
    assert_false(t.cut);
    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_metadata_json(&t, &most);
    assert_false(t.cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers12), cmocka_unit_test(headers32),  cmocka_unit_test(text_header),
        cmocka_unit_test(json_line), cmocka_unit_test(json_worst), cmocka_unit_test(gap_line), cmocka_unit_test(metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
