/* SPDX-License-Identifier: BSD-3-Clause */
/* Large zeroed memory by mmap: hugepages where asked for, transparent ones else, near a NUMA node.
 */
#include "engine/runtime_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "ws_config.h"

#if WS_HAVE_NUMA
#include <numaif.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WS_ASAN 1
#endif
#endif
#ifndef WS_ASAN
#define WS_ASAN 0
#endif

#if WS_ASAN
#include <sanitizer/lsan_interface.h>
#endif

/* Transparent hugepages are 2 MiB on the machines meant here; elsewhere the alignment costs only
 * address space. */
#define THP_BYTES ((size_t)2 << 20)

/* Sanitizer builds take pieces up to this size from the heap, whose red zones show overruns. The
 * bound is there because zeroing touches every page. */
#define ASAN_HEAP_BYTES_MAX ((size_t)64 << 20)

/* Size of the kernel's default hugepage, which MAP_HUGETLB gives; 0: none. */
static size_t hugetlb_page_bytes(void)
{
    size_t kib = 0;
    char line[128];
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Hugepagesize: %zu kB", &kib) == 1)
            break;
    }
    fclose(f);
    return kib << 10;
}

static void prefer_node(void *mem, size_t bytes, int numa_node)
{
#if WS_HAVE_NUMA
    unsigned long mask[16] = {0};
    const unsigned bits = 8 * sizeof(mask[0]);
    if (numa_node < 0 || (unsigned)numa_node >= bits * WS_ARRAY_SIZE(mask))
        return;
    mask[(unsigned)numa_node / bits] = 1ul << ((unsigned)numa_node % bits);
    /* Preferred, not bound: a full node costs speed, not the run. A kernel without NUMA says
     * ENOSYS, which changes nothing. */
    (void)mbind(mem, bytes, MPOL_PREFERRED, mask, bits * WS_ARRAY_SIZE(mask), 0);
#else
    (void)mem;
    (void)bytes;
    (void)numa_node;
#endif
}

/* MAP_HUGETLB without MAP_NORESERVE: the pages are promised at mmap, so that using them later
 * cannot end in SIGBUS. */
static void *map_hugetlb(size_t bytes, size_t *mapped)
{
    static size_t page;
    if (page == 0)
        page = hugetlb_page_bytes();
    if (page == 0)
        return NULL;
    *mapped = ws_align_up(bytes, page);
    void *mem = mmap(NULL, *mapped, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    return mem == MAP_FAILED ? NULL : mem;
}

/* Ordinary pages, touched as used; aligned so that the kernel can back them with large ones. */
static void *map_ordinary(size_t bytes, size_t *mapped)
{
    const size_t align = bytes >= THP_BYTES ? THP_BYTES : 4096;
    const size_t want = ws_align_up(bytes, align);
    const size_t reserve = align > 4096 ? want + align : want;
    uint8_t *base = mmap(NULL, reserve, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    uint8_t *mem = base + (ws_align_up((uintptr_t)base, align) - (uintptr_t)base);
    if (mem > base)
        munmap(base, (size_t)(mem - base));
    if (mem + want < base + reserve)
        munmap(mem + want, (size_t)(base + reserve - (mem + want)));
    if (align == THP_BYTES)
        (void)madvise(mem, want, MADV_HUGEPAGE);
    *mapped = want;
    return mem;
}

int ws_runtime_piece_add(struct ws_runtime *rt, void *mem, size_t bytes,
                         enum ws_runtime_piece_kind kind)
{
    struct ws_runtime_piece *p = malloc(sizeof(*p));
    if (!p)
        return -ENOMEM;
    *p = (struct ws_runtime_piece){.next = rt->pieces, .mem = mem, .bytes = bytes, .kind = kind};
    rt->pieces = p;
    return 0;
}

void *ws_runtime_map(struct ws_runtime *rt, size_t bytes, int numa_node)
{
    static _Atomic int said;
    size_t mapped = 0;
    void *mem = NULL;

#if WS_ASAN
    if (bytes <= ASAN_HEAP_BYTES_MAX) {
        if (posix_memalign(&mem, 4096, bytes) != 0)
            return NULL;
        memset(mem, 0, bytes);
        if (ws_runtime_piece_add(rt, mem, bytes, WS_PIECE_HEAP) < 0) {
            free(mem);
            return NULL;
        }
        return mem;
    }
#endif
    if (rt->want_hugetlb) {
        mem = map_hugetlb(bytes, &mapped);
        if (mem)
            rt->hugepages = true;
        else
            ws_log_once(&said, WS_LOG_INFO,
                        "not enough free hugepages; using ordinary memory for the rest");
    }
    if (!mem)
        mem = map_ordinary(bytes, &mapped);
    if (!mem)
        return NULL;
    prefer_node(mem, mapped, numa_node);
    if (ws_runtime_piece_add(rt, mem, mapped, WS_PIECE_MMAP) < 0) {
        munmap(mem, mapped);
        return NULL;
    }
#if WS_ASAN
    /* The leak checker must find heap pointers that are kept in here. */
    __lsan_register_root_region(mem, mapped);
#endif
    return mem;
}

void ws_runtime_unmap_all(struct ws_runtime *rt)
{
    struct ws_runtime_piece **at = &rt->pieces;
    while (*at) {
        struct ws_runtime_piece *p = *at;
        if (p->kind == WS_PIECE_EAL) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        if (p->kind == WS_PIECE_HEAP) {
            free(p->mem);
        } else {
#if WS_ASAN
            __lsan_unregister_root_region(p->mem, p->bytes);
#endif
            munmap(p->mem, p->bytes);
        }
        free(p);
    }
}
