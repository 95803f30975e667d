/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoders of text, JSON and record headers, read back by other means: jansson, strtoull, the layout of the documents. */
#include <inttypes.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/chunk.h"
#include "format/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(int ok)
{
    if (!ok)
        abort();
}

static uint64_t little(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | p[n];
    return v;
}

static void try_headers(const struct ws_chunk *c)
{
    uint8_t h[WS_CHUNK32_LEN], h12[WS_CHUNK12_LEN];
    ws_chunk12_encode(h12, c);
    ws_chunk32_encode(h, c);
    check(memcmp(h, h12, sizeof(h12)) == 0);
    check(little(h, 8) == c->ts_ns && little(h + 8, 2) == c->len && little(h + 10, 2) == c->stream_id);
    check(little(h + 12, 4) == c->seq && little(h + 16, 4) == c->ack && little(h + 20, 4) == c->window);
    check(little(h + 24, 2) == c->flags && little(h + 28, 4) == 0);
    uint64_t sum = 0;
    static const uint8_t low[] = {0, 8, 10, 12, 16, 20, 24};
    for (size_t i = 0; i < sizeof(low); i++)
        sum += little(h + low[i], 2);
    check(little(h + 26, 2) == (sum & 0xffff));
}

/* The bytes of a JSON string whose characters are all below U+0100. */
static size_t latin(const char *s, size_t n, uint8_t *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t b = (uint8_t)s[i];
        if (b >= 0x80) {
            check((b & 0xfe) == 0xc2 && i + 1 < n);
            b = (uint8_t)(b << 6 | ((uint8_t)s[++i] & 0x3f));
        }
        out[k++] = b;
    }
    return k;
}

static uint64_t quoted(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    check(s != NULL && *s);
    return strtoull(s, NULL, 10);
}

/* Room that is too small cuts: never a byte beyond it, and the same text up to there or less. */
static void try_cut(const struct ws_chunk_json *c, const char *whole, size_t whole_len)
{
    size_t room = whole_len ? (size_t)(c->missing % whole_len) : 0;
    char *buf = malloc(room ? room : 1);
    struct ws_text t;
    check(buf != NULL);
    ws_text_init(&t, buf, room);
    ws_chunk_json_line(&t, c);
    check(t.cut && t.len <= room && memcmp(buf, whole, t.len) == 0);
    free(buf);
}

static void try_json_line(const struct ws_chunk_json *c)
{
    size_t room = (size_t)c->len * 8 + 640;
    char *buf = malloc(room);
    uint8_t *bytes = malloc((size_t)c->len + 64);
    struct ws_text t;
    char gap[64] = "";
    check(buf && bytes);
    ws_text_init(&t, buf, room);
    ws_chunk_json_line(&t, c);
    check(!t.cut && t.len > 2 && memcmp(buf + t.len - 2, "\r\n", 2) == 0);
    check(memchr(buf, '\n', t.len) == buf + t.len - 1);
    json_t *o = json_loadb(buf, t.len, JSON_ALLOW_NUL, NULL);
    check(o != NULL);
    if (c->missing && c->missing_text)
        snprintf(gap, sizeof(gap), "[%" PRIu64 " bytes missing]", c->missing);
    size_t gap_len = strlen(gap);
    check(quoted(o, "side") == c->side && quoted(o, "size") == gap_len + c->len);
    check(!c->missing == !json_object_get(o, "missing") && (!c->missing || quoted(o, "missing") == c->missing));
    const json_t *d = json_object_get(o, "data");
    size_t n = latin(json_string_value(d), json_string_length(d), bytes);
    check(n == gap_len + c->len && memcmp(bytes, gap, gap_len) == 0);
    check(c->len == 0 || memcmp(bytes + gap_len, c->data, c->len) == 0);
    const char *hex = json_string_value(json_object_get(o, "data_hex"));
    check(hex && strlen(hex) == 2 * n);
    for (size_t i = 0; i < n; i++) {
        char two[3];
        snprintf(two, sizeof(two), "%02X", bytes[i]);
        check(memcmp(hex + 2 * i, two, 2) == 0);
    }
    json_decref(o);
    try_cut(c, buf, t.len);
    free(bytes);
    free(buf);
}

/* Any bytes as a string, and numbers, in a tree as deep as is allowed. */
static void try_json(const uint8_t *data, size_t len, uint64_t u, int64_t i)
{
    size_t room = len * 6 + 512;
    char *buf = malloc(room);
    struct ws_json j;
    struct ws_text t;
    unsigned depth = 1 + (unsigned)(u % 20);
    check(buf != NULL);
    ws_text_init(&t, buf, room);
    ws_json_init(&j, &t);
    for (unsigned k = 0; k < depth; k++)
        ws_json_array(&j);
    ws_json_str(&j, data, len);
    ws_json_i64(&j, i);
    ws_json_ns_str(&j, i);
    ws_json_bool(&j, u & 1);
    ws_json_seconds(&j, i);
    for (unsigned k = 0; k < depth; k++)
        ws_json_array_end(&j);
    check(!t.cut);
    json_t *o = json_loadb(buf, t.len, JSON_ALLOW_NUL, NULL), *a = o;
    check(o != NULL);
    for (unsigned k = 1; k < depth; k++)
        a = json_array_get(a, 0);
    check(json_array_size(a) == 5 && json_integer_value(json_array_get(a, 1)) == i);
    check(strtoll(json_string_value(json_array_get(a, 2)), NULL, 10) == i);
    check(json_is_true(json_array_get(a, 3)) == (int)(u & 1) && json_is_real(json_array_get(a, 4)));
    const json_t *s = json_array_get(a, 0), *same = json_stringn((const char *)data, len);
    if (same) /* valid UTF-8 stands as it is */
        check(json_equal(s, same));
    json_decref((json_t *)(uintptr_t)same);
    json_decref(o);
    free(buf);
}

static void try_numbers(uint64_t u, int64_t i)
{
    char buf[64], want[64];
    struct ws_text t;
    ws_text_init(&t, buf, sizeof(buf));
    ws_text_u64(&t, u, 0, '0');
    ws_text_putc(&t, ' ');
    ws_text_i64(&t, i);
    check(ws_text_end(&t) > 0);
    snprintf(want, sizeof(want), "%" PRIu64 " %" PRId64, u, i);
    check(strcmp(buf, want) == 0);
    for (unsigned digits = 1; digits <= 9; digits++) {
        ws_text_init(&t, buf, sizeof(buf));
        ws_text_seconds(&t, i, digits);
        check(ws_text_end(&t) > 0 && strspn(buf, "-0123456789.") == strlen(buf));
    }
    ws_text_init(&t, buf, sizeof(buf));
    ws_text_iso(&t, i, 9);
    ws_text_stamp(&t, i, true);
    check(!t.cut);
}

/* 40 bytes of numbers, the rest is payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t head[40] = {0};
    size_t n = len < sizeof(head) ? len : sizeof(head);
    memcpy(head, data, n);
    data += n;
    len = len - n > WS_CHUNK_PAYLOAD_MAX ? WS_CHUNK_PAYLOAD_MAX : len - n;
    const uint64_t u = little(head, 8);
    const int64_t i = (int64_t)little(head + 8, 8);
    const struct ws_chunk c = {
        .ts_ns = u,
        .len = (uint16_t)len,
        .stream_id = (uint16_t)little(head + 16, 2),
        .seq = (uint32_t)little(head + 18, 4),
        .ack = (uint32_t)little(head + 22, 4),
        .window = (uint32_t)little(head + 26, 4),
        .flags = (uint16_t)little(head + 30, 2),
    };
    const struct ws_chunk_json line = {
        .side = head[32] & 1,
        .ts_ns = i,
        .conn_ns = (int64_t)u,
        .data = data,
        .len = (uint32_t)len,
        .missing = head[33] & 1 ? u : 0,
        .missing_text = head[33] & 2,
        .ns = head[33] & 4,
    };
    try_headers(&c);
    try_json_line(&line);
    try_json(data, len, u, i);
    try_numbers(u, i);
    return 0;
}
