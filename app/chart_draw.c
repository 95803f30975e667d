/* SPDX-License-Identifier: BSD-3-Clause */
/* What the page of --chart is drawn with. */
#include "app/chart_draw.h"

#include <string.h>

#include "format/text.h"

void draw_colour(cairo_t *cr, unsigned rgb)
{
    cairo_set_source_rgb(cr, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0,
                         (rgb & 255) / 255.0);
}

unsigned draw_tint(unsigned rgb)
{
    unsigned out = 0;
    for (unsigned shift = 0; shift < 24; shift += 8)
        out |= (255 - (255 - (rgb >> shift & 255)) * 2 / 5) << shift;
    return out;
}

void draw_box(cairo_t *cr, unsigned rgb, double x, double y, double w, double h)
{
    draw_colour(cr, rgb);
    cairo_rectangle(cr, x, y, w, h);
    cairo_fill(cr);
}

void draw_rule(cairo_t *cr, unsigned rgb, double x1, double y1, double x2, double y2)
{
    draw_colour(cr, rgb);
    cairo_set_line_width(cr, 0.5);
    cairo_move_to(cr, x1, y1);
    cairo_line_to(cr, x2, y2);
    cairo_stroke(cr);
}

void draw_font(cairo_t *cr, double size, bool bold)
{
    cairo_select_font_face(cr, "sans", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

double draw_text_width(cairo_t *cr, const char *s)
{
    cairo_text_extents_t e;
    cairo_text_extents(cr, s, &e);
    return e.x_advance;
}

void draw_text(cairo_t *cr, enum align align, unsigned rgb, double x, double y, const char *s)
{
    draw_colour(cr, rgb);
    if (align != AT_LEFT)
        x -= draw_text_width(cr, s) * (align == AT_RIGHT ? 1 : 0.5);
    cairo_move_to(cr, x, y);
    cairo_show_text(cr, s);
}

void draw_clean(char *out, size_t len, const char *in)
{
    const uint8_t *s = (const uint8_t *)in;
    size_t n = 0, left = strlen(in);
    while (left) {
        size_t k = *s < 0x80 ? *s >= 0x20 && *s != 0x7f : ws_text_utf8(s, left);
        size_t used = WS_MAX(k, (size_t)1);
        if (n + used >= len)
            break;
        if (k)
            memcpy(out + n, s, k);
        else
            out[n] = '?';
        n += used;
        s += used;
        left -= used;
    }
    out[n] = '\0';
}

void draw_fit(cairo_t *cr, char *s, size_t len, double width)
{
    size_t n = strlen(s);
    if (draw_text_width(cr, s) <= width)
        return;
    n = WS_MIN(n, len - 4);
    do {
        while (n && ((unsigned char)s[--n] & 0xc0) == 0x80)
            ;
        memcpy(s + n, "\xe2\x80\xa6", 4);
    } while (n && draw_text_width(cr, s) > width);
}
