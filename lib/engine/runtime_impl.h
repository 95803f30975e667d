/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two runtimes share: the operations table and the list of mapped memory. */
#ifndef WS_ENGINE_RUNTIME_IMPL_H
#define WS_ENGINE_RUNTIME_IMPL_H

#include <stdatomic.h>

#include "engine/runtime.h"

/* Threads that one runtime can have (an EAL has RTE_MAX_LCORE, usually 128, with the main one). */
#define WS_RUNTIME_THREADS_MAX 127u

/* Bytes that a thread's name may have, with its end (pthread_setname_np's limit). */
#define WS_RUNTIME_NAME_MAX 16u

struct ws_runtime_ops {
    void *(*alloc)(struct ws_runtime *rt, size_t bytes, int numa_node);
    int (*launch)(struct ws_runtime *rt, unsigned index);
    int (*join)(struct ws_runtime *rt, unsigned index);
    void (*stop)(struct ws_runtime *rt);
};

/* One piece of memory, to be released at stop. Cold: a run has a few dozen. */
struct ws_runtime_piece {
    struct ws_runtime_piece *next;
    void *mem;
    size_t bytes;
    enum ws_runtime_piece_kind {
        WS_PIECE_MMAP,
        WS_PIECE_HEAP, /* sanitizer builds: small pieces, so that overruns are seen */
        WS_PIECE_EAL,
    } kind;
};

struct ws_runtime_thread {
    char name[WS_RUNTIME_NAME_MAX];
    int (*fn)(void *);
    void *arg;
    int ret;           /* of fn; read after the join */
    int cpu;           /* plain: -1 = free */
    unsigned lcore;    /* EAL */
    uintptr_t pthread; /* plain */
    bool launched;
    _Atomic unsigned gate; /* EAL: order between main and thread that sanitizers can see */
};

struct ws_runtime {
    const struct ws_runtime_ops *ops;
    struct ws_runtime_piece *pieces;
    bool want_hugetlb; /* plain: MAP_HUGETLB is tried first */
    bool hugepages;    /* memory is (also) hugepages */
    unsigned threads;
    struct ws_runtime_thread thread[WS_RUNTIME_THREADS_MAX];
};

/* Fill in *rt (zeroed, threads set). 0 or -errno with a line in err. */
int ws_runtime_threads_init(struct ws_runtime *rt, const struct ws_runtime_config *cfg, char *err,
                            size_t err_len);
int ws_runtime_eal_init(struct ws_runtime *rt, const struct ws_runtime_config *cfg, char *err,
                        size_t err_len);

/* Zeroed, 4096-aligned memory by mmap (MAP_HUGETLB when rt->want_hugetlb, else MADV_HUGEPAGE),
 * entered in rt->pieces. NULL: not to be had. */
void *ws_runtime_map(struct ws_runtime *rt, size_t bytes, int numa_node);

/* Enters memory in the list. 0 or -ENOMEM (the memory is then still the caller's). */
int ws_runtime_piece_add(struct ws_runtime *rt, void *mem, size_t bytes,
                         enum ws_runtime_piece_kind kind);

/* Releases all pieces but the EAL's own. */
void ws_runtime_unmap_all(struct ws_runtime *rt);

#endif
