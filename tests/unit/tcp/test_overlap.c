/* SPDX-License-Identifier: BSD-3-Clause */
/* Case 50: the sequence of Novak and Sturges under every policy, before and after its first byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

/* "Target-Based TCP Stream Reassembly" (2007): offset from ISN, bytes. */
static const struct {
    uint32_t at;
    const char *bytes;
} novak[] = {
    {2, "AAA"},  {6, "BB"},  {8, "CCC"}, {12, "D"},   {15, "EE"}, {17, "FFF"},
    {20, "GG"},  {22, "HH"}, {24, "I"},  {3, "JJJJ"}, {8, "KKK"}, {11, "LLL"},
    {14, "MMM"}, {18, "N"},  {21, "O"},  {22, "P"},   {24, "QQ"},
};

static const struct {
    enum ws_overlap policy;
    const char *want; /* from offset 1 */
} rows[] = {
    {WS_OVERLAP_FIRST, "AAAJBBCCCLDLMEEFFFGGHHIQ"},
    {WS_OVERLAP_BSD, "AAAJJBCCCLLLMMMFFFGGHHIQ"},
    {WS_OVERLAP_WINDOWS, "AAAJJBCCCLLLMMMFFFGGHHIQ"}, /* the older ones; Vista is FIRST */
    {WS_OVERLAP_LINUX, "AAAJJBCCCLLLMMMFFFGGHHQQ"},
    {WS_OVERLAP_OLD_LINUX, "AAAJJBKKKLLLMMMFFFGGHHQQ"},
    {WS_OVERLAP_SOLARIS, "AJJJBBKKKLLLMMMFFFGGHHQQ"},
    {WS_OVERLAP_LAST, "AJJJJBKKKLLLMMMFNFGOPHQQ"},
};

static void run(enum ws_overlap policy, uint32_t isn, bool filled, const char *want)
{
    struct rig r;
    struct ws_tcp_config cfg = rig_config();
    char text[32] = {0};
    cfg.overlap = policy;
    rig_init(&r, &cfg);
    rig_open(&r, isn, 5000);
    for (size_t i = 0; i < WS_ARRAY_SIZE(novak); i++)
        S(&r, 0, "A", isn + novak[i].at, 5001, novak[i].bytes);
    if (filled)
        S(&r, 0, "A", isn + 1, 5001, "0");
    else
        rig_close(&r);
    text[0] = filled ? '0' : '.';
    strcat(text, want);
    rig_expect(&r, 0, text);
    assert_true(r.events >> WS_TCP_EV_OVERLAP & 1);
    rig_close(&r);
    rig_fini(&r);
}

static void c50_novak_sturges(void **state)
{
    static const uint32_t isns[] = {0, 1, 1000, 0xfffffff5, 0xffffffff, 0x7ffffffa};
    (void)state;
    for (size_t i = 0; i < WS_ARRAY_SIZE(rows); i++)
        for (size_t k = 0; k < WS_ARRAY_SIZE(isns); k++) {
            run(rows[i].policy, isns[k], false, rows[i].want);
            run(rows[i].policy, isns[k], true, rows[i].want);
        }
}

/* Two segments and the policy's choice, all above a hole. */
static void pair(enum ws_overlap policy, uint32_t a, const char *first, uint32_t b,
                 const char *second, const char *want)
{
    struct rig r;
    struct ws_tcp_config cfg = rig_config();
    cfg.overlap = policy;
    rig_init(&r, &cfg);
    rig_open(&r, 0, 5000);
    S(&r, 0, "A", a, 5001, first);
    S(&r, 0, "A", b, 5001, second);
    rig_close(&r);
    rig_expect(&r, 0, want);
    rig_fini(&r);
}

static void starts_before(void **state)
{
    (void)state;
    pair(WS_OVERLAP_FIRST, 4, "bbb", 2, "aaaa", ".aabbb");
    pair(WS_OVERLAP_BSD, 4, "bbb", 2, "aaaa", ".aaaab");
    pair(WS_OVERLAP_LINUX, 4, "bbb", 2, "aaaa", ".aaaab");
    pair(WS_OVERLAP_SOLARIS, 4, "bbb", 2, "aaaa", ".aabbb");
    pair(WS_OVERLAP_LAST, 4, "bbb", 2, "aaaa", ".aaaab");
}

static void starts_the_same(void **state)
{
    (void)state;
    pair(WS_OVERLAP_BSD, 2, "bb", 2, "aaa", ".bba");
    pair(WS_OVERLAP_LINUX, 2, "bb", 2, "aa", ".bb");
    pair(WS_OVERLAP_LINUX, 2, "bb", 2, "aaa", ".aaa");
    pair(WS_OVERLAP_OLD_LINUX, 2, "bb", 2, "aa", ".aa");
    pair(WS_OVERLAP_SOLARIS, 2, "bb", 2, "aa", ".aa");
    pair(WS_OVERLAP_SOLARIS, 2, "bb", 2, "a", ".bb");
    pair(WS_OVERLAP_LAST, 2, "bb", 2, "a", ".ab");
}

static void starts_after(void **state)
{
    (void)state;
    pair(WS_OVERLAP_BSD, 2, "bb", 3, "aa", ".bba");
    pair(WS_OVERLAP_SOLARIS, 2, "bb", 3, "aa", ".baa");
    pair(WS_OVERLAP_SOLARIS, 2, "bbb", 3, "a", ".bbb");
    pair(WS_OVERLAP_LAST, 2, "bbbbb", 4, "a", ".bbabb"); /* splits what is held */
}

/* A copy with the same bytes is a copy: the next one is judged by the range of the winner. */
static void equal_bytes(void **state)
{
    static const struct {
        enum ws_overlap policy;
        const char *want;
    } equal_rows[] = {
        {WS_OVERLAP_FIRST, ".zzzzaaabb"},  {WS_OVERLAP_BSD, ".zzzzaaabb"},
        {WS_OVERLAP_LINUX, ".zzzzaaabb"},  {WS_OVERLAP_OLD_LINUX, ".zzzzaaabb"},
        {WS_OVERLAP_SOLARIS, ".zzzzaaabb"}, {WS_OVERLAP_LAST, ".zzzzcccbb"},
    };
    (void)state;
    for (size_t i = 0; i < WS_ARRAY_SIZE(equal_rows); i++)
        for (unsigned cut = 0; cut < 2; cut++) { /* the whole of what is held, or a part of it */
            struct rig r;
            struct ws_tcp_config cfg = rig_config();
            cfg.overlap = equal_rows[i].policy;
            rig_init(&r, &cfg);
            rig_open(&r, 0, 5000);
            S(&r, 0, "A", 6, 5001, cut ? "aaabb" : "aaa");
            S(&r, 0, "A", 2, 5001, "zzzzaaa"); /* begins before */
            S(&r, 0, "A", 5, 5001, "zccc");    /* before the first one, not before the second */
            if (!cut)
                S(&r, 0, "A", 9, 5001, "bb");
            rig_close(&r);
            rig_expect(&r, 0, equal_rows[i].want);
            rig_fini(&r);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c50_novak_sturges),
        cmocka_unit_test(starts_before),
        cmocka_unit_test(starts_the_same),
        cmocka_unit_test(starts_after),
        cmocka_unit_test(equal_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
