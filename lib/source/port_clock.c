/* SPDX-License-Identifier: BSD-3-Clause */
/* Calibration of a NIC's clock against the system's. */
#include "source/port_clock.h"

void ws_port_clock_update(struct ws_port_clock *c, uint64_t ticks, int64_t ns)
{
    const bool first = c->ns_first == 0 && c->ticks_first == 0;
    if (first || ticks <= c->ticks_last || ns <= c->ns_last) {
        *c = (struct ws_port_clock){
            .ticks_first = ticks, .ticks_last = ticks, .ns_first = ns, .ns_last = ns};
        return;
    }
    c->ns_per_tick = (double)(ns - c->ns_first) / (double)(ticks - c->ticks_first);
    c->ticks_last = ticks;
    c->ns_last = ns;
}
