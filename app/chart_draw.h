/* SPDX-License-Identifier: BSD-3-Clause */
/* What the page of --chart is drawn with: boxes, lines and text of one line, by cairo. Lengths are
 * points, colours 0xRRGGBB. */
#ifndef WS_APP_CHART_DRAW_H
#define WS_APP_CHART_DRAW_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>

enum align { AT_LEFT, AT_CENTRE, AT_RIGHT };

void draw_colour(cairo_t *cr, unsigned rgb);

/* The colour mixed with white, so that text on it can be read. */
unsigned draw_tint(unsigned rgb);

void draw_box(cairo_t *cr, unsigned rgb, double x, double y, double w, double h);
void draw_rule(cairo_t *cr, unsigned rgb, double x1, double y1, double x2, double y2);

/* Of the text that follows. */
void draw_font(cairo_t *cr, double size, bool bold);
double draw_text_width(cairo_t *cr, const char *s);

/* Text (UTF-8) with its base line at y. */
void draw_text(cairo_t *cr, enum align align, unsigned rgb, double x, double y, const char *s);

/* Copies any bytes as text that can be drawn, at most len - 1 bytes: what is no character becomes a
 * question mark. */
void draw_clean(char *out, size_t len, const char *in);

/* Cuts text to a width, with an ellipsis at its end; s has room for len bytes. */
void draw_fit(cairo_t *cr, char *s, size_t len, double width);

#endif
