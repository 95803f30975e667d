/* SPDX-License-Identifier: BSD-3-Clause */
/* NUMA: what a thread works on is taken from the node of the port whose packets it handles; nodes made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/runtime_impl.h"

enum { PIECES = 64 };

/* Which node each piece of memory was asked from. */
static struct {
    int node[PIECES];
    size_t bytes[PIECES];
    void *mem[PIECES];
    unsigned n;
} asked;

static void *fake_alloc(struct ws_runtime *rt, size_t bytes, int numa_node)
{
    (void)rt;
    assert_true(asked.n < PIECES);
    void *mem = aligned_alloc(4096, ws_align_up(bytes, 4096));
    assert_non_null(mem);
    memset(mem, 0, bytes);
    asked.node[asked.n] = numa_node;
    asked.bytes[asked.n] = bytes;
    asked.mem[asked.n++] = mem;
    return mem;
}

static const struct ws_runtime_ops fake_ops = {.alloc = fake_alloc};

static void fake_close(struct ws_source *s)
{
    free(s);
}

static const struct ws_source_ops source_ops = {.close = fake_close};

static int no_sinks(void *user, unsigned worker, struct ws_sink **out)
{
    (void)user, (void)worker, (void)out;
    return 0;
}

static struct ws_engine_config config(struct ws_runtime *rt, unsigned workers, unsigned receivers)
{
    struct ws_engine_config cfg = {
        .runtime = rt,
        .workers = workers,
        .receivers = receivers,
        .make_sinks = no_sinks,
        .decode = ws_decode_defaults,
        .frag = {.datagrams_max = 4, .bytes_max = 1 << 16, .timeout_ns = 1, .seed = 1},
        .flow = {.flows_max = 64, .seed = 1},
        .tcp = ws_tcp_defaults,
    };
    cfg.tcp.nodes_max = 16;
    cfg.tcp.bytes_max = 1 << 16;
    ws_select_init(&cfg.select);
    return cfg;
}

static void add_source(struct ws_engine_config *cfg, unsigned thread, int node)
{
    struct ws_source *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->ops = &source_ops;
    cfg->source[cfg->n_source++] = (struct ws_engine_source){s, thread, node};
}

/* Builds the engine; how many pieces it asked of each node is in count[node + 1]. */
static void build(const struct ws_engine_config *cfg, unsigned *count)
{
    char err[256];
    struct ws_engine *e;
    memset(&asked, 0, sizeof(asked));
    assert_int_equal(ws_engine_create(&e, cfg, err, sizeof(err)), 0);
    memset(count, 0, 4 * sizeof(*count));
    for (unsigned i = 0; i < asked.n; i++)
        count[asked.node[i] + 1]++;
    ws_engine_destroy(e);
    for (unsigned i = 0; i < asked.n; i++)
        free(asked.mem[i]);
}

/* Two ports on two nodes, a queue of each for each worker: flow table, receive stage and its ring on the port's node. */
static void queues_of_two_ports(void **state)
{
    struct ws_runtime rt = {.ops = &fake_ops};
    struct ws_engine_config cfg = config(&rt, 2, 0);
    unsigned count[4];
    (void)state;
    add_source(&cfg, 0, 0);
    add_source(&cfg, 1, 1);
    assert_int_equal(ws_engine_node(&cfg, 0), 0);
    assert_int_equal(ws_engine_node(&cfg, 1), 1);
    build(&cfg, count);
    assert_int_equal(count[0], 0);
    assert_int_equal(count[1], 3);
    assert_int_equal(count[2], 3);
}

/* A receiver that steers: its workers work for the port that it polls. */
static void workers_behind_a_receiver(void **state)
{
    struct ws_runtime rt = {.ops = &fake_ops};
    struct ws_engine_config cfg = config(&rt, 2, 1);
    unsigned count[4];
    (void)state;
    add_source(&cfg, 2, 1);
    for (unsigned t = 0; t < 3; t++)
        assert_int_equal(ws_engine_node(&cfg, t), 1);
    build(&cfg, count);
    assert_int_equal(count[0] + count[1], 0);
    assert_int_equal(count[2], 5); /* two tables, a receive stage, two rings */
}

/* Files and kernel interfaces have no node, nor need one. */
static void no_node(void **state)
{
    struct ws_runtime rt = {.ops = &fake_ops};
    struct ws_engine_config cfg = config(&rt, 1, 0);
    unsigned count[4];
    (void)state;
    add_source(&cfg, 0, -1);
    build(&cfg, count);
    assert_int_equal(count[0], asked.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queues_of_two_ports),
        cmocka_unit_test(workers_behind_a_receiver),
        cmocka_unit_test(no_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
