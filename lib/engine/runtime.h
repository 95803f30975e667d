/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads and memory: plain threads with ordinary or huge pages, or EAL lcores with DPDK's memory.
 *
 * The engine runs the same on both. EAL starts only when a port is used (design section 2).
 */
#ifndef WS_ENGINE_RUNTIME_H
#define WS_ENGINE_RUNTIME_H

#include "base/compiler.h"

struct ws_runtime;

struct ws_runtime_config {
    bool eal;             /* ports are used */
    const char *eal_args; /* --eal "...", passed through; NULL = none */
    unsigned threads;     /* workers + receive threads + writers (the main thread is not counted) */
    size_t eal_memory_bytes; /* EAL: for mbuf pools, the sum of ws_port_pool_bytes(); 0 = 256 MiB */
    bool hugepages;          /* plain runtime: MAP_HUGETLB asked for (falls back, said once) */
    const int *cpu; /* optional: CPU of each thread, -1 = free; NULL = all free (plain) / spread
                       over the allowed CPUs (EAL) */
};

/* Starts the runtime. EAL: builds arguments (--in-memory with hugepages when there are any free,
 * else --no-huge --no-shconf -m N; lcores mapped with --lcores so that more threads than CPUs work;
 * user's eal_args win). Says once, through ws_log, when ordinary memory is used. 0 or -errno with a
 * line in err. Once a process. */
int ws_runtime_start(struct ws_runtime **rt, const struct ws_runtime_config *cfg, char *err,
                     size_t err_len);

/* Zeroed memory, 4096-aligned, for the whole run, on the NUMA node (-1 = any); pages are touched
 * only as they are used on the plain runtime. NULL: not to be had. Main thread. */
void *ws_runtime_alloc(struct ws_runtime *rt, size_t bytes, int numa_node);

/* Runs fn(arg) on thread number index (0..threads). 0 or -errno. Main thread. */
int ws_runtime_launch(struct ws_runtime *rt, unsigned index, const char *name, int (*fn)(void *),
                      void *arg);

/* Waits for a launched thread; returns what fn returned. Main thread. */
int ws_runtime_join(struct ws_runtime *rt, unsigned index);

/* True when memory is hugepages (MAP_HUGETLB or DPDK's). */
bool ws_runtime_has_hugepages(const struct ws_runtime *rt);

/* Releases all memory and, with EAL, cleans it up. After all threads were joined and ports closed.
 */
void ws_runtime_stop(struct ws_runtime *rt);

#endif
