/* SPDX-License-Identifier: BSD-3-Clause */
/* How busy a thread is: shares of rounds, CPU time while it works and after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "engine/busy.h"

static void shares(void **state)
{
    const struct ws_busy_look from = {.work = 100, .idle = 50}, to = {.work = 130, .idle = 60};
    (void)state;
    assert_float_equal(ws_busy_share(&from, &to), 0.75, 1e-9);
    assert_float_equal(ws_busy_share(&from, &from), 0, 1e-9);
}

static void rounds(void **state)
{
    struct ws_busy b;
    (void)state;
    memset(&b, 0, sizeof(b));
    struct ws_busy_look none = ws_busy_look(&b);
    assert_int_equal(none.work + none.idle, 0);
    assert_int_equal(none.cpu_ns, 0);
    ws_busy_begin(&b);
    while (ws_busy_look(&b).work < 1000)
        ws_busy_round(&b, true);
    struct ws_busy_look l = ws_busy_look(&b);
    assert_int_equal(l.idle, 0);
    ws_busy_round(&b, false);
    struct ws_busy_look more = ws_busy_look(&b);
    assert_int_equal(more.work, l.work);
    assert_true(more.idle > 0);
    assert_true(more.cpu_ns >= l.cpu_ns);
}

static void *thread(void *arg)
{
    struct ws_busy *b = arg;
    ws_busy_begin(b);
    while (ws_busy_look(b).cpu_ns == 0)
        ws_busy_round(b, true);
    ws_busy_end(b);
    return NULL;
}

/* Its time is known when the thread is gone. */
static void ended(void **state)
{
    struct ws_busy b;
    pthread_t t;
    (void)state;
    memset(&b, 0, sizeof(b));
    assert_int_equal(pthread_create(&t, NULL, thread, &b), 0);
    pthread_join(t, NULL);
    int64_t cpu_ns = ws_busy_look(&b).cpu_ns;
    assert_true(cpu_ns > 0);
    assert_int_equal(ws_busy_look(&b).cpu_ns, cpu_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shares), cmocka_unit_test(rounds), cmocka_unit_test(ended)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
