/* SPDX-License-Identifier: BSD-3-Clause */
/* When an output's blocks run out, at the rates of the last interval. Pure. */
#ifndef WS_ENGINE_FORECAST_H
#define WS_ENGINE_FORECAST_H

#include <stdint.h>

/* What ws_forecast_s() says when blocks come back at least as fast as they are taken. */
#define WS_FORECAST_NEVER (-1.0)

/* Seconds until nothing is free, when of blocks_free blocks `taken` were taken and `given_back` came back in seconds s:
 * free / (fill rate - drain rate). 0 when nothing is free now; WS_FORECAST_NEVER when draining, or s is not above 0. */
static inline double ws_forecast_s(uint64_t blocks_free, uint64_t taken, uint64_t given_back, double s)
{
    if (blocks_free == 0)
        return 0;
    if (s <= 0 || taken <= given_back)
        return WS_FORECAST_NEVER;
    return (double)blocks_free * s / (double)(taken - given_back);
}

/* The sooner of two forecasts. */
static inline double ws_forecast_sooner(double a, double b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

#endif
