/* SPDX-License-Identifier: BSD-3-Clause */
/* The page of --chart, drawn by cairo. */
#include "app/chart_page.h"

#include <errno.h>

#include "ws_config.h"

#if !WS_HAVE_CAIRO

int chart_page_write(FILE *f, const struct ws_traffic *t, const struct chart_text *text)
{
    (void)f, (void)t, (void)text;
    return -ENOTSUP;
}

#else

#include <cairo-pdf.h>
#include <fontconfig/fontconfig.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/chart_draw.h"
#include "app/chart_scale.h"
#include "format/text.h"

/* A4 in points, and the page's grid. */
#define PAGE_W 595.0
#define PAGE_H 842.0
#define LEFT   42.0
#define RIGHT  (PAGE_W - LEFT)
#define WIDTH  (RIGHT - LEFT)
#define GUTTER 23.0
#define COLUMN ((WIDTH - GUTTER) / 2)

enum {
    SERIES = 7, /* ports with a colour of their own */
    TOP = 10,   /* rows of a list */
    BARS = 128, /* of the histogram, at most */
};

/* Colours that the colour-blind tell apart: Okabe and Ito, "Color Universal Design". */
static const unsigned palette[SERIES] = {0x0072b2, 0xe69f00, 0x009e73, 0xcc79a7,
                                         0x56b4e9, 0xd55e00, 0xb3a400};

enum {
    INK = 0x1a1a1a,
    QUIET = 0x666666,
    RULE = 0xcccccc,
    GRID = 0xe6e6e6,
    OTHER = 0x8c8c8c,
    NO_PORT = 0xc4c4c4,
    LINE = 0x303030
};

struct page {
    cairo_t *cr;
    const struct ws_traffic *t;
    const struct chart_text *text;
    uint32_t series[SERIES]; /* ports, largest first */
    unsigned n_series;
};

/* A bar of the histogram: bytes by series, then of other ports, then of no port. */
struct bar {
    uint64_t bytes[SERIES + 2], packets;
};

static void format_bytes(char *buf, size_t len, uint64_t bytes)
{
    chart_si(buf, len, (double)bytes, "B");
}

static void format_share(char *buf, size_t len, uint64_t part, uint64_t all)
{
    double v = all ? 100.0 * (double)part / (double)all : 0;
    if (part && v < 0.05)
        snprintf(buf, len, "<0.1 %%");
    else
        snprintf(buf, len, "%.1f %%", v);
}

static const char *grouped(char buf[32], uint64_t v)
{
    struct ws_text t;
    ws_text_init(&t, buf, 31);
    ws_text_grouped(&t, v);
    ws_text_end(&t);
    return buf;
}

static void draw_inputs(struct page *p, double y)
{
    cairo_t *cr = p->cr;
    char line[1024], name[512];
    size_t n = 0;
    unsigned shown = 0;
    line[0] = '\0';
    draw_font(cr, 9, false);
    /* names until the line is full, then how many more there are */
    for (; shown < p->text->n_input; shown++) {
        const char *path = p->text->input[shown], *slash = strrchr(path, '/');
        draw_clean(name, sizeof(name),
                   strcmp(path, "-") == 0 ? "standard input"
                   : slash && slash[1]    ? slash + 1
                                          : path);
        if (shown)
            draw_fit(cr, name, sizeof(name), WIDTH / 2);
        int k = snprintf(line + n, sizeof(line) - n, "%s%s", shown ? ", " : "", name);
        if (k < 0 || n + (size_t)k >= sizeof(line) ||
            (shown && draw_text_width(cr, line) > WIDTH - 70)) {
            line[n] = '\0';
            break;
        }
        n += (size_t)k;
    }
    if (shown < p->text->n_input)
        snprintf(line + n, sizeof(line) - n, " and %u more", p->text->n_input - shown);
    draw_fit(cr, line, sizeof(line), WIDTH);
    draw_text(cr, AT_LEFT, INK, LEFT, y, line);
}

static void draw_figure(struct page *p, unsigned column, double y, const char *what,
                        const char *value, const char *more)
{
    double x = LEFT + column * WIDTH / 4;
    draw_font(p->cr, 7.5, false);
    draw_text(p->cr, AT_LEFT, QUIET, x, y, what);
    draw_font(p->cr, 13, true);
    draw_text(p->cr, AT_LEFT, INK, x, y + 15, value);
    draw_font(p->cr, 7.5, false);
    draw_text(p->cr, AT_LEFT, QUIET, x, y + 26, more);
}

static void draw_figures(struct page *p, double y)
{
    const struct ws_traffic *t = p->t;
    char value[64], more[64], number[32];
    uint64_t ns = t->all.packets ? (uint64_t)t->last_ns - (uint64_t)t->first_ns : 0;
    double s = (double)ns / 1e9;

    snprintf(more, sizeof(more), "%.0f bytes on average",
             t->all.packets ? (double)t->all.bytes / (double)t->all.packets : 0.0);
    draw_figure(p, 0, y, "Packets", grouped(number, t->all.packets), more);
    format_bytes(value, sizeof(value), t->all.bytes);
    snprintf(more, sizeof(more), "%s bytes", grouped(number, t->all.bytes));
    draw_figure(p, 1, y, "Bytes", value, more);
    chart_duration(value, sizeof(value), ns);
    draw_figure(p, 2, y, "Duration", ns ? value : "0 s", "");
    if (ns) {
        chart_si(value, sizeof(value), (double)t->all.bytes * 8 / s, "bit/s");
        chart_si(more, sizeof(more), (double)t->all.packets / s, "packets/s");
    }
    draw_figure(p, 3, y, "Average rate", ns ? value : "\xe2\x80\x93", ns ? more : "");
}

struct part {
    const char *name;
    uint64_t bytes;
    unsigned rgb;
};

/* A thin bar of parts, and what they are. Parts of nothing are left out. */
static void draw_mix(struct page *p, double y, const char *what, const struct part *part,
                     unsigned n, uint64_t all)
{
    cairo_t *cr = p->cr;
    double x = LEFT + 62, w = RIGHT - x, legend = x;
    char label[96], share[24];
    draw_font(cr, 7.5, false);
    draw_text(cr, AT_LEFT, QUIET, LEFT, y + 6.5, what);
    for (unsigned i = 0; i < n && all; i++) {
        double part_w = w * (double)part[i].bytes / (double)all;
        if (part[i].bytes == 0)
            continue;
        draw_box(cr, part[i].rgb, x, y, part_w, 7);
        x += part_w;
        format_share(share, sizeof(share), part[i].bytes, all);
        snprintf(label, sizeof(label), "%s %s", part[i].name, share);
        draw_box(cr, part[i].rgb, legend, y + 12, 6, 6);
        draw_text(cr, AT_LEFT, INK, legend + 9, y + 17.5, label);
        legend += 9 + draw_text_width(cr, label) + 14;
    }
}

static void draw_mixes(struct page *p, double y)
{
    const struct ws_traffic *t = p->t;
    const struct part network[] = {
        {"IPv4", t->layer[WS_TRAFFIC_IP4].bytes, palette[0]},
        {"IPv6", t->layer[WS_TRAFFIC_IP6].bytes, palette[4]},
        {"ARP", t->layer[WS_TRAFFIC_ARP].bytes, palette[1]},
        {"other", t->layer[WS_TRAFFIC_OTHER].bytes, NO_PORT},
    };
    uint64_t icmp = t->proto[1].bytes + t->proto[58].bytes;
    uint64_t known = t->proto[6].bytes + t->proto[17].bytes + t->proto[132].bytes + icmp;
    uint64_t ip = t->layer[WS_TRAFFIC_IP4].bytes + t->layer[WS_TRAFFIC_IP6].bytes;
    const struct part transport[] = {
        {"TCP", t->proto[6].bytes, palette[0]},    {"UDP", t->proto[17].bytes, palette[2]},
        {"SCTP", t->proto[132].bytes, palette[3]}, {"ICMP", icmp, palette[1]},
        {"other IP", ip - known, OTHER},           {"not IP", t->all.bytes - ip, NO_PORT},
    };
    char line[160], a[24], b[24];
    draw_mix(p, y, "Network", network, WS_ARRAY_SIZE(network), t->all.bytes);
    draw_mix(p, y + 25, "Transport", transport, WS_ARRAY_SIZE(transport), t->all.bytes);
    if (t->vlan.bytes || t->tunnel.bytes) {
        format_share(a, sizeof(a), t->vlan.bytes, t->all.bytes);
        format_share(b, sizeof(b), t->tunnel.bytes, t->all.bytes);
        if (t->vlan.bytes && t->tunnel.bytes)
            snprintf(line, sizeof(line), "in VLANs %s, in tunnels %s", a, b);
        else
            snprintf(line, sizeof(line), "in %s %s", t->vlan.bytes ? "VLANs" : "tunnels",
                     t->vlan.bytes ? a : b);
        draw_text(p->cr, AT_RIGHT, QUIET, RIGHT, y + 17.5, line);
    }
}

/* The ports with most bytes in the histogram. False: out of memory. */
static bool choose_series(struct page *p)
{
    const struct ws_timeline *tl = &p->t->time;
    uint64_t *bytes = calloc(65536, sizeof(*bytes));
    if (!bytes)
        return false;
    for (uint32_t k = 0; k < ws_timeline_bins(tl); k++) {
        const struct ws_time_bin *b = ws_timeline_bin(tl, k);
        for (uint32_t i = 0; i < b->n_port; i++)
            if (b->port[i].port < 65536)
                bytes[b->port[i].port] += b->port[i].bytes;
    }
    p->n_series = 0;
    for (uint32_t port = 0; port < 65536; port++) {
        if (bytes[port] == 0 ||
            (p->n_series == SERIES && bytes[port] <= bytes[p->series[SERIES - 1]]))
            continue;
        unsigned at = p->n_series < SERIES ? p->n_series++ : SERIES - 1;
        for (; at && bytes[port] > bytes[p->series[at - 1]]; at--)
            p->series[at] = p->series[at - 1];
        p->series[at] = port;
    }
    free(bytes);
    return true;
}

/* Which series a port belongs to. */
static unsigned series_of(const struct page *p, uint32_t port)
{
    unsigned i = 0;
    if (port == WS_TIMELINE_NO_PORT)
        return SERIES + 1;
    while (i < p->n_series && p->series[i] != port)
        i++;
    return i < p->n_series ? i : SERIES;
}

static unsigned series_colour(unsigned series)
{
    return series < SERIES ? palette[series] : series == SERIES ? OTHER : NO_PORT;
}

struct histogram {
    struct bar bar[BARS + 2];
    unsigned n;
    int64_t begin_ns; /* of the first bar */
    int64_t bar_ns;
    double bits_max, packets_max; /* a second, of a bar */
};

/* From bins to bars of a width that people read. */
static void fill_histogram(const struct page *p, struct histogram *h)
{
    const struct ws_timeline *tl = &p->t->time;
    uint32_t bins = ws_timeline_bins(tl);
    int64_t unit = ws_timeline_width_ns(tl), first = ws_timeline_begin_ns(tl, 0);
    h->bar_ns = chart_bar_ns(unit, (uint64_t)bins * (uint64_t)unit, BARS);
    if (bins == 1) /* a moment: as part of a second */
        h->bar_ns = WS_MAX(unit, INT64_C(1000000000));
    h->begin_ns = first - first % h->bar_ns - (first % h->bar_ns < 0 ? h->bar_ns : 0);
    for (uint32_t k = 0; k < bins; k++) {
        const struct ws_time_bin *b = ws_timeline_bin(tl, k);
        uint64_t listed = 0, at = ((uint64_t)ws_timeline_begin_ns(tl, k) - (uint64_t)h->begin_ns) /
                                  (uint64_t)h->bar_ns;
        struct bar *bar = &h->bar[WS_MIN(at, BARS + 1u)];
        h->n = (unsigned)(bar - h->bar) + 1;
        bar->packets += b->packets;
        for (uint32_t i = 0; i < b->n_port; i++) {
            bar->bytes[series_of(p, b->port[i].port)] += b->port[i].bytes;
            listed += b->port[i].bytes;
        }
        bar->bytes[SERIES] += b->bytes - listed; /* what the bin could not tell apart */
    }
    for (unsigned i = 0; i < h->n; i++) {
        double s = (double)h->bar_ns / 1e9, bytes = 0;
        for (unsigned k = 0; k < SERIES + 2; k++)
            bytes += (double)h->bar[i].bytes[k];
        h->bits_max = WS_MAX(h->bits_max, bytes * 8 / s);
        h->packets_max = WS_MAX(h->packets_max, (double)h->bar[i].packets / s);
    }
}

/* Labels of the time axis: a tick with its time, and the date where it begins. */
static void draw_time_axis(struct page *p, const struct histogram *h, double x, double w, double y)
{
    cairo_t *cr = p->cr;
    uint64_t span = (uint64_t)h->n * (uint64_t)h->bar_ns;
    int64_t tick = chart_tick_ns(span, 7), first = h->begin_ns - h->begin_ns % tick;
    char label[48], date[48], last_date[48] = "";
    if (first < h->begin_ns)
        first += tick;
    for (uint64_t off = (uint64_t)first - (uint64_t)h->begin_ns; off <= span;
         off += (uint64_t)tick) {
        double at = x + w * (double)off / (double)span;
        int64_t ns = (int64_t)((uint64_t)h->begin_ns + off);
        if (ns < h->begin_ns)
            break; /* beyond what 64 bits of ns can say */
        draw_rule(cr, RULE, at, y, at, y + 3);
        chart_time(label, sizeof(label), ns, tick);
        double half = draw_text_width(cr, label) / 2;
        draw_text(cr, AT_CENTRE, INK, WS_MIN(at, RIGHT + 6 - half), y + 11, label);
        chart_time(date, sizeof(date), ns, INT64_C(86400000000000));
        if (strcmp(date, last_date) != 0 && tick < INT64_C(86400000000000))
            draw_text(cr, AT_CENTRE, QUIET, WS_MIN(at, RIGHT + 6 - draw_text_width(cr, date) / 2),
                      y + 20, date);
        snprintf(last_date, sizeof(last_date), "%s", date);
    }
}

static void draw_value_axes(struct page *p, double x, double y, double w, double height,
                            double bits, double packets)
{
    enum { STEPS = 5 };
    double step = chart_step(bits, STEPS);
    char label[48];
    for (unsigned i = 0; i * step <= bits * 1.0001; i++) {
        double at = y + height - height * (i * step) / bits;
        draw_rule(p->cr, i ? GRID : RULE, x, at, x + w, at);
        chart_si(label, sizeof(label), i * step, "bit/s");
        draw_text(p->cr, AT_RIGHT, INK, x - 4, at + 2.5, label);
        chart_si(label, sizeof(label), packets * i * step / bits, "");
        for (size_t n = strlen(label); n && label[n - 1] == ' ';)
            label[--n] = '\0';
        draw_text(p->cr, AT_LEFT, QUIET, x + w + 4, at + 2.5, label);
    }
}

/* Puts a series' name at (x, y), or on the next line when the page ends, and moves to where the
 * next one stands. */
static void legend_entry(struct page *p, double *x, double *y, unsigned rgb, bool line,
                         const char *label)
{
    double w = 9 + draw_text_width(p->cr, label);
    if (*x + w > RIGHT) {
        *x = LEFT;
        *y += 10;
    }
    if (line)
        draw_rule(p->cr, rgb, *x - 1, *y + 3, *x + 7, *y + 3);
    else
        draw_box(p->cr, rgb, *x, *y, 6, 6);
    draw_text(p->cr, AT_LEFT, INK, *x + 9, *y + 5.7, label);
    *x += w + 12;
}

static void port_label(char *buf, size_t len, unsigned port)
{
    const char *name = chart_port_name(port);
    snprintf(buf, len, name ? "%u %s" : "%u", port, name);
}

/* Returns the y of its last line. */
static double draw_legend(struct page *p, const struct histogram *h, double x, double y)
{
    char label[48];
    bool other = false, none = false;
    for (unsigned i = 0; i < h->n; i++) {
        other |= h->bar[i].bytes[SERIES] != 0;
        none |= h->bar[i].bytes[SERIES + 1] != 0;
    }
    draw_font(p->cr, 7, false);
    for (unsigned i = 0; i < p->n_series; i++) {
        port_label(label, sizeof(label), p->series[i]);
        legend_entry(p, &x, &y, palette[i], false, label);
    }
    if (other)
        legend_entry(p, &x, &y, OTHER, false, "other");
    if (none)
        legend_entry(p, &x, &y, NO_PORT, false, "no port");
    legend_entry(p, &x, &y, LINE, true, "packets/s (right)");
    return y;
}

static void draw_histogram(struct page *p, double y, double height)
{
    static struct histogram h; /* large, and there is one page */
    cairo_t *cr = p->cr;
    const double x = LEFT + 50, w = RIGHT - 24 - x;
    char width[48], title[96];

    memset(&h, 0, sizeof(h));
    fill_histogram(p, &h);
    chart_duration(width, sizeof(width), (uint64_t)h.bar_ns);
    snprintf(title, sizeof(title), "each bar is %s", width);
    draw_font(cr, 10, true);
    draw_text(cr, AT_LEFT, INK, LEFT, y, "Throughput by service port");
    draw_font(cr, 7.5, false);
    draw_text(cr, AT_RIGHT, QUIET, RIGHT, y, title);
    double bottom = y + height;
    y = draw_legend(p, &h, LEFT, y + 8) + 18;
    height = bottom - y;

    double step = chart_step(h.bits_max, 5), bits = ceil(h.bits_max / step - 1e-9) * step;
    /* The second axis shares the grid: as many steps, of its own round size. */
    double steps = round(bits / step), packets = chart_step(h.packets_max, (unsigned)steps) * steps;
    draw_font(cr, 7, false);
    draw_value_axes(p, x, y, w, height, bits, packets);
    draw_time_axis(p, &h, x, w, y + height);

    double s = (double)h.bar_ns / 1e9, bar_w = w / h.n, gap = bar_w > 5 ? 1 : bar_w * 0.1;
    double shown_w = WS_MIN(bar_w - gap, 60);
    for (unsigned i = 0; i < h.n; i++) {
        double top = y + height;
        for (unsigned k = 0; k < SERIES + 2; k++) {
            double part = height * ((double)h.bar[i].bytes[k] * 8 / s) / bits;
            if (part <= 0)
                continue;
            top -= part;
            draw_box(cr, series_colour(k), x + i * bar_w + (bar_w - shown_w) / 2, top, shown_w,
                     part);
        }
    }
    draw_colour(cr, LINE);
    cairo_set_line_width(cr, 0.6);
    for (unsigned i = 0; i < h.n; i++) {
        double at = y + height - height * ((double)h.bar[i].packets / s) / packets;
        cairo_line_to(cr, x + i * bar_w, at);
        cairo_line_to(cr, x + (i + 1) * bar_w, at);
    }
    cairo_stroke(cr);
}

/* A row of a list: a bar behind its label, bytes and share at the right. */
static void draw_row(struct page *p, double x, double y, const char *label, uint64_t bytes,
                     uint64_t most, unsigned rgb)
{
    enum { ROW = 13 };
    cairo_t *cr = p->cr;
    char text[64], size[32], share[24];
    const double values = 82; /* width of the numbers at the right */
    draw_box(cr, draw_tint(rgb), x, y, (COLUMN - values) * (double)bytes / (double)most, ROW - 2);
    snprintf(text, sizeof(text), "%s", label);
    draw_font(cr, strlen(label) > 32 ? 6.6 : 8, false);
    draw_fit(cr, text, sizeof(text), COLUMN - values - 3);
    draw_text(cr, AT_LEFT, INK, x + 3, y + 8.2, text);
    draw_font(cr, 8, false);
    format_bytes(size, sizeof(size), bytes);
    format_share(share, sizeof(share), bytes, p->t->all.bytes);
    draw_text(cr, AT_RIGHT, INK, x + COLUMN - 36, y + 8.2, size);
    draw_text(cr, AT_RIGHT, QUIET, x + COLUMN, y + 8.2, share);
}

static void draw_addresses(struct page *p, double x, double y, const char *title,
                           const struct ws_heavy *heavy)
{
    struct ws_heavy_item top[TOP];
    unsigned n = ws_heavy_top(heavy, top, TOP);
    char label[64], number[32], count[64];
    draw_font(p->cr, 10, true);
    draw_text(p->cr, AT_LEFT, INK, x, y, title);
    draw_font(p->cr, 7.5, false);
    if (n > 0) {
        snprintf(count, sizeof(count), heavy->purges ? "more than %s" : "of %s",
                 grouped(number, heavy->n));
        draw_text(p->cr, AT_RIGHT, QUIET, x + COLUMN, y, count);
    } else {
        draw_text(p->cr, AT_LEFT, QUIET, x, y + 14, "no IP packets");
    }
    for (unsigned i = 0; i < n; i++) {
        struct ws_text t;
        ws_text_init(&t, label, sizeof(label) - 1);
        ws_text_addr(&t, top[i].addr, top[i].ip_version);
        ws_text_end(&t);
        draw_row(p, x, y + 6 + 13 * i, label, top[i].bytes, top[0].bytes, palette[0]);
    }
}

static void draw_ports(struct page *p, double x, double y, const char *title, unsigned dir)
{
    uint16_t top[TOP];
    unsigned n = ws_traffic_top_ports(p->t, dir, top, TOP), used = 0;
    char label[64], number[32], count[64];
    for (unsigned i = 0; i < 65536; i++)
        used += p->t->port[i][dir] != 0;
    draw_font(p->cr, 10, true);
    draw_text(p->cr, AT_LEFT, INK, x, y, title);
    draw_font(p->cr, 7.5, false);
    if (n > 0) {
        snprintf(count, sizeof(count), "of %s", grouped(number, used));
        draw_text(p->cr, AT_RIGHT, QUIET, x + COLUMN, y, count);
    } else {
        draw_text(p->cr, AT_LEFT, QUIET, x, y + 14, "no ports");
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned series = series_of(p, top[i]);
        port_label(label, sizeof(label), top[i]);
        draw_row(p, x, y + 6 + 13 * i, label, p->t->port[top[i]][dir], p->t->port[top[0]][dir],
                 series < SERIES ? palette[series] : OTHER);
    }
}

static void draw_notes(struct page *p)
{
    const struct ws_traffic *t = p->t;
    char line[256], size[32], when[48];
    struct ws_text text;
    double y = PAGE_H - 46;
    draw_font(p->cr, 6.5, false);
    draw_rule(p->cr, RULE, LEFT, y - 10, RIGHT, y - 10);
    draw_text(p->cr, AT_LEFT, QUIET, LEFT, y,
              "Bytes are those of whole frames as on the wire, also those that the capture cut. "
              "Addresses and ports are the innermost datagram's.");
    draw_text(
        p->cr, AT_LEFT, QUIET, LEFT, y + 9,
        "The service port is the lower one if it alone is below 1024 or 32768, else the one that "
        "the flow's first packet went to.");
    ws_text_init(&text, when, sizeof(when) - 1);
    ws_text_iso(&text, p->text->made_ns, 0);
    ws_text_end(&text);
    snprintf(line, sizeof(line), "Made %s", when);
    draw_text(p->cr, AT_RIGHT, QUIET, RIGHT, y + 18, line);
    if (t->src.purges || t->dst.purges) {
        format_bytes(size, sizeof(size), WS_MAX(t->src.missing, t->dst.missing));
        snprintf(line, sizeof(line),
                 "Too many addresses to tell all apart: bytes by address are lower bounds, at most "
                 "%s too low.",
                 size);
        draw_text(p->cr, AT_LEFT, INK, LEFT, y + 18, line);
    } else if (t->time.trims) {
        draw_text(p->cr, AT_LEFT, INK, LEFT, y + 18,
                  "Too many service ports at once to tell all apart over time: the rest is in "
                  "\"other\".");
    }
}

static void draw_header(struct page *p)
{
    const struct ws_traffic *t = p->t;
    char line[160], from[64], to[64];
    struct ws_text text;
    draw_font(p->cr, 17, true);
    draw_text(p->cr, AT_LEFT, INK, LEFT, 56, "Network traffic");
    draw_font(p->cr, 7.5, false);
    draw_text(p->cr, AT_RIGHT, QUIET, RIGHT, 56, "wirespool " WS_VERSION);
    draw_inputs(p, 72);
    if (t->all.packets == 0)
        return;
    ws_text_init(&text, from, sizeof(from) - 1);
    ws_text_iso(&text, t->first_ns, 3);
    ws_text_end(&text);
    ws_text_init(&text, to, sizeof(to) - 1);
    ws_text_iso(&text, t->last_ns, 3);
    ws_text_end(&text);
    from[strcspn(from, "Z")] = to[strcspn(to, "Z")] = '\0';
    from[strcspn(from, "T")] = to[strcspn(to, "T")] = ' ';
    snprintf(line, sizeof(line), "%s to %s UTC%s", from, to,
             p->text->selected ? ", selected packets only" : "");
    draw_font(p->cr, 9, false);
    draw_text(p->cr, AT_LEFT, QUIET, LEFT, 85, line);
    draw_rule(p->cr, RULE, LEFT, 94, RIGHT, 94);
}

static void draw(struct page *p)
{
    draw_header(p);
    if (p->t->all.packets == 0) {
        draw_font(p->cr, 15, true);
        draw_text(p->cr, AT_CENTRE, QUIET, PAGE_W / 2, 300, "No packets");
        draw_font(p->cr, 9, false);
        draw_text(p->cr, AT_CENTRE, QUIET, PAGE_W / 2, 318,
                  p->text->selected ? "The selection left none." : "The input holds none.");
        return;
    }
    draw_figures(p, 109);
    draw_mixes(p, 150);
    draw_histogram(p, 222, 200);
    draw_addresses(p, LEFT, 474, "Top source addresses", &p->t->src);
    draw_addresses(p, LEFT + COLUMN + GUTTER, 474, "Top destination addresses", &p->t->dst);
    draw_ports(p, LEFT, 634, "Top source ports", 0);
    draw_ports(p, LEFT + COLUMN + GUTTER, 634, "Top destination ports", 1);
    draw_notes(p);
}

struct file {
    FILE *f;
    int error; /* of the first write that failed; cairo forgets it */
};

static cairo_status_t write_some(void *user, const unsigned char *data, unsigned len)
{
    struct file *out = user;
    if (out->error == 0 && fwrite(data, 1, len, out->f) != len)
        out->error = errno ? -errno : -EIO;
    return out->error ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static int status_errno(cairo_status_t status)
{
    return status == CAIRO_STATUS_SUCCESS ? 0 : status == CAIRO_STATUS_NO_MEMORY ? -ENOMEM : -EIO;
}

int chart_page_write(FILE *f, const struct ws_traffic *t, const struct chart_text *text)
{
    struct page p = {.t = t, .text = text};
    struct file out = {.f = f};
    struct ws_text made;
    char when[48];
    if (!choose_series(&p))
        return -ENOMEM;
    cairo_surface_t *s = cairo_pdf_surface_create_for_stream(write_some, &out, PAGE_W, PAGE_H);
    ws_text_init(&made, when, sizeof(when) - 1);
    ws_text_iso(&made, text->made_ns, 0);
    ws_text_end(&made);
    cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_TITLE, "Network traffic");
    cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_CREATOR, "wirespool " WS_VERSION);
    cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_CREATE_DATE, when);
    p.cr = cairo_create(s);
    draw(&p);
    int rc = status_errno(cairo_status(p.cr));
    cairo_destroy(p.cr);
    cairo_surface_finish(s);
    if (rc == 0)
        rc = status_errno(cairo_surface_status(s));
    cairo_surface_destroy(s);
    /* Fonts and their caches, which both libraries keep: no further page is drawn. */
    cairo_debug_reset_static_data();
    FcFini();
    return out.error ? out.error : rc;
}

#endif
