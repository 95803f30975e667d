/* SPDX-License-Identifier: BSD-3-Clause */
/* Small compiler helpers that every module uses. */
#ifndef WS_BASE_COMPILER_H
#define WS_BASE_COMPILER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_LIKELY(x)   __builtin_expect(!!(x), 1)
#define WS_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Brings the cache line of p near for reading; p may be any address. */
#define WS_PREFETCH(p) __builtin_prefetch((p), 0, 3)

#define WS_CACHE_LINE    64u
#define WS_CACHE_ALIGNED __attribute__((aligned(64)))
#define WS_UNUSED        __attribute__((unused))
#define WS_PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define WS_WARN_UNUSED   __attribute__((warn_unused_result))

#define WS_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define WS_MIN(a, b)     ((a) < (b) ? (a) : (b))
#define WS_MAX(a, b)     ((a) > (b) ? (a) : (b))

/* Rounds n up to a multiple of the power of two align. */
static inline size_t ws_align_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

/* The smallest power of two that is at least n; 1 for 0. */
static inline uint64_t ws_pow2_ceil(uint64_t n)
{
    return n <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(n - 1));
}

#endif
