/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers on the axes of --chart: steps that people read, units, times, names of ports. */
#ifndef WS_APP_CHART_SCALE_H
#define WS_APP_CHART_SCALE_H

#include <stddef.h>
#include <stdint.h>

/* The smallest of 1, 2, 5 times a power of ten that reaches max within steps steps; max > 0. */
double chart_step(double max, unsigned steps);

/* The smallest width for bars that people read, a multiple of unit_ns (one of ws_timeline's), that
 * covers span_ns with at most bars bars. */
int64_t chart_bar_ns(int64_t unit_ns, uint64_t span_ns, unsigned bars);

/* The smallest distance of ticks that people read that gives at most ticks of them over span_ns. */
int64_t chart_tick_ns(uint64_t span_ns, unsigned ticks);

/* A length of time: "200 ms", "1.5 s", "3 min 20 s", "2 d 4 h". */
void chart_duration(char *buf, size_t len, uint64_t ns);

/* A time of day with as many decimals as ticks of step_ns need, "08:10:13.5"; or the date for steps
 * of days. */
void chart_time(char *buf, size_t len, int64_t ns, int64_t step_ns);

/* A number with a unit, three digits: "12.3 Mbit/s", "0 bit/s". */
void chart_si(char *buf, size_t len, double v, const char *unit);

/* The usual name of a port's service, or NULL. */
const char *chart_port_name(unsigned port);

#endif
