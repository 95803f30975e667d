/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes past the page cache (O_DIRECT) of a file that is written from front to end.
 *
 * The kernel wants memory, file offset and length aligned; records are of any length. So the worker lays payload where
 * its address is that of the file modulo WS_DIRECT_ALIGN, with the beginning of that page left free, and the writer
 * fills it: each page that two blocks share is laid together in the second one, and the end of a write that fills
 * no page is kept, in tail, until the next write brings its rest.
 *
 *   block k    | .... records ....ee|            ee: copied to where the next block left room,
 *   block k+1            |eerecords .... |       and cut from the write of block k
 *   file       |----|----|----|----|----|
 *
 * What cannot be aligned (a small write of a slow hour, what follows a lost one) goes through the page cache: before that,
 * and before the end, the tail does. One write of a file is in flight at a time, so that O_DIRECT is switched on its descriptor as
 * each write needs it. Writer's thread only.
 */
#ifndef WS_WRITER_DIRECT_H
#define WS_WRITER_DIRECT_H

#include "base/compiler.h"

#define WS_DIRECT_ALIGN 4096u         /* of address, offset and length: any disk's block, any page */
#define WS_DIRECT_SLACK (2 * WS_DIRECT_ALIGN) /* of a block: what laying a payload costs at most */
#define WS_DIRECT_FLUSH (8u << 20)    /* bytes pending that are written: so large that one write keeps a disk busy */
#define WS_DIRECT_MIN   (64u * 1024u) /* below, the page cache is faster, and readers see the bytes at once */

struct ws_io_req;

struct ws_direct {
    uint64_t end;       /* bytes of the file that were written, the tail included */
    uint64_t top;       /* where bytes end that a failed write put behind end all the same */
    uint64_t allocated; /* space is reserved up to here */
    bool usable;        /* not refused, and no hole before end */
    bool on;            /* the descriptor has O_DIRECT */
    bool reserve;       /* the file system reserves space */
    bool tail_on_disk;
    unsigned now;       /* tail[now] holds [end - end % ALIGN, end); the other one is for the write in flight */
    uint8_t tail[2][WS_DIRECT_ALIGN];
};

/* Whether files below or at path can be written so: not on file systems in memory. */
bool ws_direct_possible(int fd);

/* A file of end bytes, the last of which are at last (all of them, or at least its last page's). Heap; NULL = no memory. */
struct ws_direct *ws_direct_create(uint64_t end, const uint8_t *last);

/* Prepares r, which is to be written at the file's end: past the cache if that is possible and gains, else through it.
 * 0 or -errno (of the tail: then nothing may be written). */
int ws_direct_prepare(struct ws_direct *d, struct ws_io_req *r);

/* The write has ended: r counts what its caller put in again, and on success the file has grown. */
void ws_direct_end(struct ws_io_req *r, bool ok);

/* The kernel refused (EINVAL): r can be submitted again and goes through the cache, as does all that follows. */
void ws_direct_refused(struct ws_direct *d, struct ws_io_req *r);

/* Puts the tail on disk and gives the descriptor back to the page cache. 0 or -errno. */
int ws_direct_settle(struct ws_direct *d, int fd);

/* The same, and gives back space that was reserved. At the end of the file, and when it was cut. */
int ws_direct_close(struct ws_direct *d, int fd);

/* When closing failed: gives up the tail, so that the file ends before it. Its bytes, which were told as written. */
size_t ws_direct_give_up(struct ws_direct *d, int fd);

/* The descriptor was closed: the next one is another. */
static inline void ws_direct_reopened(struct ws_direct *d)
{
    d->on = false;
}

#endif
