/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet-time clock: never backwards, and one damaged stamp does not move it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/packet_clock.h"

#define S   INT64_C(1000000000)
#define DAY WS_PACKET_CLOCK_JUMP_NS

/* The clock of each packet of one burst. */
static void run(const int64_t *ts, unsigned n, int64_t *clock)
{
    struct ws_packet_clock c = {.now_ns = INT64_MIN};
    for (unsigned i = 0; i < n; i++)
        clock[i] = ws_packet_clock_advance(&c, ts[i], i + 1 < n ? &ts[i + 1] : NULL);
}

#define CHECK(n, ...)                                                                              \
    do {                                                                                           \
        const int64_t expected[] = {__VA_ARGS__};                                                  \
        int64_t clock[n];                                                                          \
        run(ts, n, clock);                                                                         \
        for (unsigned k = 0; k < n; k++)                                                           \
            assert_int_equal(clock[k], expected[k]);                                               \
    } while (0)

static void never_backwards(void **state)
{
    (void)state;
    const int64_t ts[4] = {5 * S, 3 * S, 6 * S, 5 * S};
    CHECK(4, 5 * S, 5 * S, 6 * S, 6 * S);
}

static void one_damaged_stamp(void **state)
{
    (void)state;
    const int64_t ts[4] = {5 * S, 5 * S + 2 * DAY, 6 * S, 7 * S};
    CHECK(4, 5 * S, 5 * S, 6 * S, 7 * S);
}

/* Two captures in one file: the first packet of the second one has its own time, or the flow that
 * it begins would be idle for the next packet. */
static void a_real_jump(void **state)
{
    (void)state;
    const int64_t ts[3] = {5 * S, 5 * S + 2 * DAY, 6 * S + 2 * DAY};
    CHECK(3, 5 * S, 5 * S + 2 * DAY, 6 * S + 2 * DAY);
}

/* Across bursts the next stamp is not known: the clock follows a packet later. */
static void a_jump_at_the_end_of_a_burst(void **state)
{
    (void)state;
    struct ws_packet_clock c = {.now_ns = INT64_MIN};
    assert_int_equal(ws_packet_clock_advance(&c, 5 * S, NULL), 5 * S);
    assert_int_equal(ws_packet_clock_advance(&c, 5 * S + 2 * DAY, NULL), 5 * S);
    assert_int_equal(ws_packet_clock_advance(&c, 6 * S + 2 * DAY, NULL), 6 * S + 2 * DAY);
}

static void jumps_in_a_row(void **state)
{
    (void)state;
    const int64_t ts[4] = {5 * S, 5 * S + 2 * DAY, 5 * S + 4 * DAY, 5 * S + 4 * DAY};
    CHECK(4, 5 * S, 5 * S + 2 * DAY, 5 * S + 4 * DAY, 5 * S + 4 * DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_backwards), cmocka_unit_test(one_damaged_stamp),
        cmocka_unit_test(a_real_jump),     cmocka_unit_test(a_jump_at_the_end_of_a_burst),
        cmocka_unit_test(jumps_in_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
