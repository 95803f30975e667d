/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of the counters, and sums over threads. */
#include "base/counters.h"

const struct ws_counter_info ws_counter_info[WS_C_COUNT] = {
#define WS_COUNTER_INFO(id, name, unit, help) [WS_C_##id] = {name, unit, help},
    WS_COUNTER_TABLE(WS_COUNTER_INFO)
#undef WS_COUNTER_INFO
};

void ws_counters_add(struct ws_counters *dst, const struct ws_counters *src)
{
    for (int i = 0; i < WS_C_COUNT; i++)
        ws_count(dst, (enum ws_counter)i, ws_count_get(src, (enum ws_counter)i));
}
