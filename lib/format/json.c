/* SPDX-License-Identifier: BSD-3-Clause */
/* The streaming JSON writer. */
#include "format/json.h"

void ws_json_init(struct ws_json *j, struct ws_text *t)
{
    *j = (struct ws_json){.t = t};
}

void ws_json_raw(struct ws_json *j)
{
    uint32_t bit = UINT32_C(1) << j->depth;
    if (!j->value && j->depth && (j->comma & bit))
        ws_text_putc(j->t, ',');
    j->comma |= bit;
    j->value = false;
}

static void open_level(struct ws_json *j, char c)
{
    ws_json_raw(j);
    assert(j->depth < WS_JSON_DEPTH_MAX);
    j->depth++;
    j->comma &= ~(UINT32_C(1) << j->depth);
    ws_text_putc(j->t, c);
}

static void close_level(struct ws_json *j, char c)
{
    assert(j->depth > 0 && !j->value);
    j->depth--;
    ws_text_putc(j->t, c);
}

void ws_json_object(struct ws_json *j)
{
    open_level(j, '{');
}

void ws_json_object_end(struct ws_json *j)
{
    close_level(j, '}');
}

void ws_json_array(struct ws_json *j)
{
    open_level(j, '[');
}

void ws_json_array_end(struct ws_json *j)
{
    close_level(j, ']');
}

void ws_json_key(struct ws_json *j, const char *key)
{
    ws_json_raw(j);
    ws_text_putc(j->t, '"');
    ws_text_puts(j->t, key);
    ws_text_put(j->t, "\":", 2);
    j->value = true;
}

static void put_u00(struct ws_text *t, uint8_t b, bool upper)
{
    ws_text_put(t, "\\u00", 4);
    ws_text_hex(t, &b, 1, upper);
}

/* The two-character escape of b, 0 if it has none. */
static char short_escape(uint8_t b)
{
    switch (b) {
    case '"':
    case '\\':
        return (char)b;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

void ws_json_escape(struct ws_text *t, const uint8_t *s, size_t n, bool ascii)
{
    size_t run = 0; /* start of what needs no escape */
    if (!n)
        return; /* s may be NULL: a gap at the end has no bytes */
    for (size_t i = 0; i < n;) {
        uint8_t b = s[i];
        char e = short_escape(b);
        size_t ok = b >= 0x20 && b < 0x7f && !e ? 1 : 0;
        if (!ok && b >= 0x80 && !ascii)
            ok = ws_text_utf8(s + i, n - i);
        if (!ok && b == 0x7f && !ascii)
            ok = 1;
        if (ok) {
            i += ok;
            continue;
        }
        ws_text_put(t, s + run, i - run);
        if (e) {
            ws_text_putc(t, '\\');
            ws_text_putc(t, e);
        } else {
            put_u00(t, b, ascii);
        }
        run = ++i;
    }
    ws_text_put(t, s + run, n - run);
}

void ws_json_str(struct ws_json *j, const void *s, size_t n)
{
    ws_json_raw(j);
    ws_text_putc(j->t, '"');
    ws_json_escape(j->t, s, n, false);
    ws_text_putc(j->t, '"');
}

void ws_json_strz(struct ws_json *j, const char *s)
{
    ws_json_str(j, s, strlen(s));
}

void ws_json_u64(struct ws_json *j, uint64_t v)
{
    ws_json_raw(j);
    ws_text_u64(j->t, v, 0, '0');
}

void ws_json_i64(struct ws_json *j, int64_t v)
{
    ws_json_raw(j);
    ws_text_i64(j->t, v);
}

void ws_json_bool(struct ws_json *j, bool v)
{
    ws_json_raw(j);
    ws_text_puts(j->t, v ? "true" : "false");
}

void ws_json_null(struct ws_json *j)
{
    ws_json_raw(j);
    ws_text_put(j->t, "null", 4);
}

void ws_json_seconds(struct ws_json *j, int64_t ns)
{
    ws_json_raw(j);
    ws_text_seconds(j->t, ns, 9);
}

void ws_json_ns_str(struct ws_json *j, int64_t ns)
{
    ws_json_raw(j);
    ws_text_putc(j->t, '"');
    ws_text_i64(j->t, ns);
    ws_text_putc(j->t, '"');
}
