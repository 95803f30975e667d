/* SPDX-License-Identifier: BSD-3-Clause */
/* A single-producer single-consumer ring of fixed-size elements, read and written in place.
 *
 * One thread is the producer, one the consumer, for the ring's whole life. Both work in bursts on
 * the ring's own slots: the producer fills slots and then publishes them, the consumer reads
 * slots and then releases them. A slot is the consumer's until it is released, so the consumed
 * count tells the producer which borrowed memory (file chunks) is free again (docs/adr/0002).
 */
#ifndef WS_BASE_RING_H
#define WS_BASE_RING_H

#include <stdatomic.h>
#include "base/compiler.h"

struct ws_ring {
    /* written by the producer only */
    WS_CACHE_ALIGNED _Atomic uint64_t tail; /* count of elements ever published */
    uint64_t head_seen;                     /* producer's last look at head */
    /* written by the consumer only */
    WS_CACHE_ALIGNED _Atomic uint64_t head; /* count of elements ever released */
    uint64_t tail_seen;
    /* constant */
    WS_CACHE_ALIGNED uint8_t *slots;
    uint64_t mask;
    size_t elem_size;
};

/* Bytes of memory that a ring of count elements (rounded up to a power of two) needs. */
size_t ws_ring_bytes(size_t count, size_t elem_size);

/* Prepares *r over mem (borrowed, 64-byte aligned, ws_ring_bytes() long) before any thread uses it. */
void ws_ring_init(struct ws_ring *r, void *mem, size_t count, size_t elem_size);

/* Producer: how many of up to want slots may be filled now. */
static inline size_t ws_ring_space(struct ws_ring *r, size_t want)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint64_t free_count = r->mask + 1 - (tail - r->head_seen);
    if (free_count < want) {
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
        free_count = r->mask + 1 - (tail - r->head_seen);
    }
    return free_count < want ? (size_t)free_count : want;
}

/* Producer: the i-th unpublished slot; i below what ws_ring_space() returned. */
static inline void *ws_ring_slot(struct ws_ring *r, size_t i)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    return r->slots + ((tail + i) & r->mask) * r->elem_size;
}

/* Producer: hands n filled slots to the consumer; returns the count ever published. */
static inline uint64_t ws_ring_publish(struct ws_ring *r, size_t n)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed) + n;
    atomic_store_explicit(&r->tail, tail, memory_order_release);
    return tail;
}

/* Consumer: how many of up to want elements can be read now. */
static inline size_t ws_ring_count(struct ws_ring *r, size_t want)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t n = r->tail_seen - head;
    if (n < want) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        n = r->tail_seen - head;
    }
    return n < want ? (size_t)n : want;
}

/* Consumer: the i-th readable element; i below what ws_ring_count() returned. */
static inline void *ws_ring_peek(struct ws_ring *r, size_t i)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    return r->slots + ((head + i) & r->mask) * r->elem_size;
}

/* Consumer: gives n read slots back. */
static inline void ws_ring_release(struct ws_ring *r, size_t n)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    atomic_store_explicit(&r->head, head + n, memory_order_release);
}

/* Any thread: elements ever released (with acquire: what the consumer did before is visible). */
static inline uint64_t ws_ring_released(struct ws_ring *r)
{
    return atomic_load_explicit(&r->head, memory_order_acquire);
}

/* Any thread: elements that wait now, about: the two ends move meanwhile. For gauges. */
static inline uint64_t ws_ring_used(const struct ws_ring *r)
{
    struct ws_ring *ring = (struct ws_ring *)(uintptr_t)r;
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t n = atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
    return n > ring->mask ? ring->mask + 1 : n;
}

#endif
