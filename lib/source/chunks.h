/* SPDX-License-Identifier: BSD-3-Clause */
/* Refillable chunks of input bytes: packets are read in place, and only a cut record is moved. */
#ifndef WS_SOURCE_CHUNKS_H
#define WS_SOURCE_CHUNKS_H

#include <stdatomic.h>

#include "base/compiler.h"

/*
 *   chunk seq s                        chunk seq s + 1
 *   |records read|records|cut rec|     |cut rec|room ...            |
 *                ^pos             ^end
 *
 * Not stable: one chunk, whose unread rest moves to its head before each read, unless it is long. Reads are
 * of WINDOW_BYTES at most, so that only the head is used, and stays in the cache nearest the core that it fits.
 * Stable: n chunks in a ring; a slot is used again when its sequence number was released. A chunk
 * that no packet was given of is used again at once: its number would never be released.
 */
struct ws_chunks {
    const uint8_t *pos; /* next unread byte of the current chunk */
    uint8_t *end;       /* end of the bytes read so far */
    uint8_t *base;      /* of the current chunk */
    uint64_t seq;       /* of the current chunk; the first is 1 */
    uint8_t *mem;
    size_t chunk_bytes;
    unsigned n;
    bool stable, own_mem;
    bool
        given; /* somebody holds bytes of the current chunk; set by the owner when packets go out */
    _Atomic uint64_t
        released; /* all chunks up to here may be used again; written by the releasing thread */
};

/* Takes n chunks of chunk_bytes from alloc (NULL: from the C library, with transparent hugepages
 * where they help). n is 1 when not stable, at least 2 when stable. 0 or -ENOMEM. */
int ws_chunks_init(struct ws_chunks *c, const struct ws_chunks *like,
                   void *(*alloc)(void *user, size_t bytes), void *user);
void ws_chunks_fini(struct ws_chunks *c);

/* Room behind the unread bytes: its size, with *dst its start; not stable: as much as should be read at a time. Moves
 * the unread rest to fresh room when the tail has run short or, not stable, to the head again, so that bytes given before become invalid (not stable) or lie in an
 * earlier chunk (stable). 0: no chunk is free. The unread rest must be below chunk_bytes. */
size_t ws_chunks_room(struct ws_chunks *c, uint8_t **dst);

/* Not stable: len bytes at data, which somebody else owns, are what comes next. The unread rest is put in front of them. */
void ws_chunks_borrow(struct ws_chunks *c, uint8_t *data, size_t len);

/* Not stable: brings the unread rest, less than chunk_bytes, back into the chunk: no borrowed bytes are used any more. */
void ws_chunks_return(struct ws_chunks *c);

/* Memory for much data, from the C library, in transparent hugepages where that helps. For free(). */
void *ws_chunks_alloc(size_t bytes);

static inline size_t ws_chunks_unread(const struct ws_chunks *c)
{
    return (size_t)(c->end - c->pos);
}

#endif
