/* SPDX-License-Identifier: BSD-3-Clause */
/* Test inputs that end at an unreadable page: a read of one byte too many is a crash. */
#ifndef WS_TESTS_GUARD_H
#define WS_TESTS_GUARD_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
    uint8_t *map;
    size_t map_len;
    uint8_t *data; /* len bytes, the next byte is PROT_NONE */
    size_t len;
};

/* Copies len bytes of src so that they end at a guard page. Ends the test program on failure. */
static inline struct guard guard_copy(const void *src, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t body = (len + page - 1) / page * page;
    struct guard g = {.map_len = body + page, .len = len};
    g.map = mmap(NULL, g.map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED || mprotect(g.map + body, page, PROT_NONE) != 0)
        abort();
    g.data = g.map + body - len;
    if (len)
        memcpy(g.data, src, len);
    return g;
}

static inline void guard_free(struct guard *g)
{
    munmap(g->map, g->map_len);
}

#endif
