/* SPDX-License-Identifier: BSD-3-Clause */
/* The encoders of packets for people. */
#include "format/console.h"

#define HEX_LINE 32u

static bool printable(uint8_t c)
{
    return c >= ' ' && c <= '~';
}

void ws_console_strip(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = from[i];
        to[i] = printable(c) || c == '\r' || c == '\n' ? c : '.';
    }
}

/* "0020: 6162 63   abc": groups of two bytes, and in columns from the second line on. The first
 * line is as long as its bytes, as tcpflow's. */
static void hex_line(struct ws_text *t, uint32_t off, const uint8_t *data, uint32_t len)
{
    static const char digit[] = "0123456789abcdef";
    uint32_t full = off ? HEX_LINE : len;
    uint32_t shift = 12;

    while (shift < 28 && off >> (shift + 4))
        shift += 4;
    for (uint32_t s = shift + 4; s; s -= 4)
        ws_text_putc(t, digit[off >> (s - 4) & 15]);
    ws_text_puts(t, ": ");
    for (uint32_t i = 0; i < full; i++) {
        ws_text_putc(t, i < len ? digit[data[i] >> 4] : ' ');
        ws_text_putc(t, i < len ? digit[data[i] & 15] : ' ');
        if (i & 1)
            ws_text_putc(t, ' ');
    }
    ws_text_putc(t, ' ');
    for (uint32_t i = 0; i < len; i++)
        ws_text_putc(t, printable(data[i]) ? (char)data[i] : '.');
    ws_text_putc(t, '\n');
}

static void put_json(struct ws_text *t, const struct ws_console_packet *p)
{
    ws_text_puts(t, "{\"src_host\":\"");
    ws_text_addr(t, p->src, p->ip_version);
    ws_text_puts(t, "\",\"src_port\":");
    ws_text_u64(t, p->src_port, 0, '0');
    ws_text_puts(t, ",\"dst_host\":\"");
    ws_text_addr(t, p->dst, p->ip_version);
    ws_text_puts(t, "\",\"dst_port\":");
    ws_text_u64(t, p->dst_port, 0, '0');
    ws_text_puts(t, ",\"payload\": [");
    for (uint32_t i = 0; i < p->len; i++) {
        if (i)
            ws_text_putc(t, ',');
        ws_text_u64(t, p->data[i], 0, '0');
    }
    ws_text_puts(t, "]}");
}

static void put_text(struct ws_text *t, const struct ws_console_packet *p, bool binary)
{
    char *to = ws_text_room(t, p->len);
    if (to && binary)
        memcpy(to, p->data, p->len);
    else if (to)
        ws_console_strip((uint8_t *)to, p->data, p->len);
}

void ws_console_encode(struct ws_text *t, const struct ws_console_style *style,
                       const struct ws_console_packet *p)
{
    if (style->color)
        ws_text_puts(t, p->client ? "\033[0;34m" : "\033[0;31m");
    if (style->header && style->kind != WS_CONSOLE_JSON) {
        ws_text_puts(t, p->prefix);
        ws_text_puts(t, p->name);
        ws_text_puts(t, style->kind == WS_CONSOLE_HEX ? ": \n" : ": ");
    }
    switch (style->kind) {
    case WS_CONSOLE_TEXT:
        put_text(t, p, style->binary);
        break;
    case WS_CONSOLE_HEX:
        for (uint32_t off = 0; off < p->len; off += HEX_LINE)
            hex_line(t, off, p->data + off, WS_MIN(p->len - off, HEX_LINE));
        break;
    case WS_CONSOLE_JSON:
        put_json(t, p);
        break;
    }
    if (style->color)
        ws_text_puts(t, "\033[0m");
    if (style->newline)
        ws_text_putc(t, '\n');
}
