/* SPDX-License-Identifier: BSD-3-Clause */
/* When blocks run out: free / (fill - drain), and the cases without an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/forecast.h"

static void rates(void **state)
{
    (void)state;
    assert_float_equal(ws_forecast_s(60, 30, 0, 1), 2.0, 1e-9);
    assert_float_equal(ws_forecast_s(60, 30, 10, 1), 3.0, 1e-9);
    assert_float_equal(ws_forecast_s(60, 30, 10, 0.5), 1.5, 1e-9); /* 40 a second net */
    assert_float_equal(ws_forecast_s(1, 1001, 1000, 10), 10.0, 1e-9);
    assert_float_equal(ws_forecast_s(UINT64_C(1) << 40, UINT64_MAX, UINT64_MAX - 1, 1), 1099511627776.0, 1);
}

static void never(void **state)
{
    (void)state;
    assert_true(ws_forecast_s(60, 0, 0, 1) == WS_FORECAST_NEVER);
    assert_true(ws_forecast_s(60, 30, 30, 1) == WS_FORECAST_NEVER);
    assert_true(ws_forecast_s(60, 10, 30, 1) == WS_FORECAST_NEVER);
    assert_true(ws_forecast_s(60, 30, 10, 0) == WS_FORECAST_NEVER);
}

static void now(void **state)
{
    (void)state;
    assert_true(ws_forecast_s(0, 30, 10, 1) == 0);
    assert_true(ws_forecast_s(0, 0, 10, 1) == 0); /* the next block comes when it comes */
    assert_true(ws_forecast_s(0, 0, 0, 0) == 0);
}

static void sooner(void **state)
{
    (void)state;
    assert_true(ws_forecast_sooner(WS_FORECAST_NEVER, WS_FORECAST_NEVER) == WS_FORECAST_NEVER);
    assert_true(ws_forecast_sooner(WS_FORECAST_NEVER, 3) == 3);
    assert_true(ws_forecast_sooner(3, WS_FORECAST_NEVER) == 3);
    assert_true(ws_forecast_sooner(3, 2) == 2);
    assert_true(ws_forecast_sooner(0, 2) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates),
        cmocka_unit_test(never),
        cmocka_unit_test(now),
        cmocka_unit_test(sooner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
