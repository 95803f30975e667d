/* SPDX-License-Identifier: BSD-3-Clause */
/* Steering of packets to the worker that owns their flow. */
#include "engine/steer.h"

#include <string.h>

size_t ws_steer_bytes(uint32_t n_copy, uint32_t mark_max)
{
    return (size_t)n_copy * WS_STEER_CHUNK_BYTES +
           ((size_t)n_copy + mark_max) * sizeof(struct ws_steer_mark);
}

void ws_steer_init(struct ws_steer *s, void *mem, uint32_t n_copy, uint32_t mark_max)
{
    memset(s, 0, sizeof(*s));
    s->copy_mem = mem;
    s->n_copy = n_copy;
    s->copy_mark = (struct ws_steer_mark *)(void *)(s->copy_mem +
                                                    (size_t)n_copy * WS_STEER_CHUNK_BYTES);
    s->mark = s->copy_mark + n_copy;
    s->mark_max = mark_max;
}

/* Notes what each link will have published once the pending slots are out. */
static void mark_now(const struct ws_steer *s, struct ws_steer_mark *m)
{
    for (unsigned w = 0; w < s->n_link; w++) {
        struct ws_steer_link *l = s->link[w];
        if (l)
            m->published[w] =
                atomic_load_explicit(&l->ring.tail, memory_order_relaxed) + l->pending;
    }
}

static bool mark_passed(const struct ws_steer *s, const struct ws_steer_mark *m)
{
    for (unsigned w = 0; w < s->n_link; w++) {
        struct ws_steer_link *l = s->link[w];
        if (l && ws_ring_released(&l->ring) < m->published[w])
            return false;
    }
    return true;
}

/* The first chunk that all links are through with: few chunks in turn stay in the caches, all of them would not. False: none. */
static bool next_chunk(struct ws_steer *s)
{
    /* The mark is set each time that this is tried: later than needed is safe. */
    mark_now(s, &s->copy_mark[s->copy_cur]);
    for (uint32_t k = 0; k < s->n_copy; k++) {
        if (!mark_passed(s, &s->copy_mark[k]))
            continue;
        s->copy_cur = k;
        s->copy_used = 0;
        return true;
    }
    return false;
}

/* Room for len bytes in the copy chunks, or NULL when the other chunks are still in use. */
static uint8_t *copy_room(struct ws_steer *s, uint32_t len)
{
    if (len > WS_STEER_CHUNK_BYTES || s->n_copy == 0)
        return NULL;
    if (s->copy_used + len > WS_STEER_CHUNK_BYTES && !next_chunk(s))
        return NULL;
    return s->copy_mem + (size_t)s->copy_cur * WS_STEER_CHUNK_BYTES + s->copy_used;
}

bool ws_steer_put(struct ws_steer *s, unsigned w, const struct ws_packet *p, bool copy)
{
    struct ws_steer_link *l = s->link[w];
    if (ws_ring_space(&l->ring, (size_t)l->pending + 1) <= l->pending)
        return false;
    struct ws_packet *slot = ws_ring_slot(&l->ring, l->pending);
    if (!copy) {
        *slot = *p;
    } else {
        /* A datagram has no frame of its own: only its transport bytes travel. */
        bool datagram = p->flags & WS_PKT_DATAGRAM;
        const uint8_t *from = datagram ? p->l4 : p->data;
        uint32_t len = datagram ? p->l4_len : p->cap_len;
        uint8_t *to = copy_room(s, len);
        if (!to)
            return false;
        if (len)
            memcpy(to, from, len);
        s->copy_used += (uint32_t)ws_align_up(len, 8);
        *slot = *p;
        slot->data = to;
        if (p->l4)
            slot->l4 = to + (p->l4 - from);
        if (p->payload)
            slot->payload = to + (p->payload - from);
    }
    l->pending++;
    return true;
}

void ws_steer_publish(struct ws_steer *s)
{
    for (unsigned w = 0; w < s->n_link; w++) {
        struct ws_steer_link *l = s->link[w];
        if (l && l->pending) {
            ws_ring_publish(&l->ring, l->pending);
            l->pending = 0;
        }
    }
}

void ws_steer_source_chunk(struct ws_steer *s, uint64_t seq)
{
    if (s->source_chunk_open && s->chunk_seq_cur == seq)
        return;
    if (s->source_chunk_open && s->mark_count < s->mark_max) {
        struct ws_steer_mark *m = &s->mark[(s->mark_head + s->mark_count++) % s->mark_max];
        mark_now(s, m);
        m->chunk_seq = s->chunk_seq_cur;
    }
    /* With no room for a mark the later mark of a following chunk releases this one too. */
    s->source_chunk_open = true;
    s->chunk_seq_cur = seq;
}

void ws_steer_retire(struct ws_steer *s, struct ws_source *src)
{
    while (s->mark_count && mark_passed(s, &s->mark[s->mark_head])) {
        if (src && src->ops->release)
            src->ops->release(src, s->mark[s->mark_head].chunk_seq);
        s->mark_head = (s->mark_head + 1) % s->mark_max;
        s->mark_count--;
    }
}
