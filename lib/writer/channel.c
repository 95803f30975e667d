/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's end of an output: fills blocks and hands them over.
 *
 * Why no wait here can last for ever (given that each worker ticks all its channels at least once a
 * burst and once an idle poll, and that its watermark follows the reader's position also when
 * idle):
 *
 * 1. A worker waits in a channel only while all blocks of the channel are at the writer.
 * 2. TREE: the writer flushes the oldest blocks as soon as it holds half of those of a channel's
 * quota that data may take, and writing needs no worker; a suspended output drops. So a block comes back.
 * 3. MERGED: a block comes back when its records were merged. The merge takes the least order p
 * that is queued; it stops only at a channel with nothing queued whose bound is below p. Let p be
 * queued by worker A, and B be the worker of that channel. B is not waiting in this very channel
 * (1: then it had something queued). If B runs or idles, it ticks: its bound rises to its watermark
 * and, since the writer sets "want", its partial block comes. If B waits in another output's
 * channel, it serves its siblings while it waits: their partial blocks are handed over and, when it
 * waits with a record of order q, their bounds rise to q (a worker's records come from one
 * non-falling sequence). A cycle of such waits would need p < q <= p' < q' <= ... <= p, as the
 * record with which a worker waits is not below what it has queued: impossible, so some output of
 * the cycle goes on.
 */
#include "writer/internal.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Room in a block that is asked for ahead, at most: a packet's payload. */
enum { PREFETCH_BYTES = 2048 };

int ws_channel_init(struct ws_channel *ch, struct ws_output *out, void *mem)
{
    size_t ring_bytes = ws_ring_bytes(out->cfg.blocks, sizeof(uint32_t));
    *ch = (struct ws_channel){
        .out = out,
        .mem = mem,
        .block_bytes = out->cfg.block_bytes,
        .blocks = out->cfg.blocks,
        .may_wait = out->cfg.may_wait,
        .merge = out->cfg.kind == WS_OUTPUT_MERGED && out->cfg.channels > 1,
        .direct = out->cfg.direct,
        .record_off = out->cfg.header_len,
        .flush_ns = out->cfg.flush_ns,
        .abort = &out->w->abort,
    };
    /* A close that finds no block would leave the file open until the end of the run. */
    if (!ch->may_wait && out->cfg.kind == WS_OUTPUT_TREE && ch->blocks > 2)
        ch->reserve = 1;
    ch->sibling = ch;
    ch->part[0] = ch;
    ch->parts = 1;
    ch->ring_mem = aligned_alloc(WS_CACHE_LINE, 2 * ring_bytes);
    ch->block = calloc(ch->blocks, sizeof(*ch->block));
    if (!ch->ring_mem || !ch->block) {
        ws_channel_fini(ch);
        return -ENOMEM;
    }
    memset(ch->ring_mem, 0, 2 * ring_bytes);
    ws_ring_init(&ch->full, ch->ring_mem, ch->blocks, sizeof(uint32_t));
    ws_ring_init(&ch->free, (uint8_t *)ch->ring_mem + ring_bytes, ch->blocks, sizeof(uint32_t));
    size_t n = ws_ring_space(&ch->free, ch->blocks);
    for (uint32_t i = 0; i < n; i++) {
        ch->block[i].ch = ch;
        *(uint32_t *)ws_ring_slot(&ch->free, i) = i;
    }
    ws_ring_publish(&ch->free, n);
    return 0;
}

void ws_channel_fini(struct ws_channel *ch)
{
    free(ch->ring_mem);
    free(ch->block);
    ws_idmap_fini(&ch->files);
    ch->ring_mem = NULL;
    ch->block = NULL;
}

/* ---- joined channels ---- */

/* The number of a part is in the ids of its files, above all that a run can count to. */
#define PART_SHIFT 56

void ws_channel_join(struct ws_channel *ch, struct ws_channel *other)
{
    assert(ch->parts < WS_CHANNEL_PARTS_MAX && ch->out->cfg.kind == WS_OUTPUT_TREE);
    other->next_id = (uint64_t)ch->parts << PART_SHIFT;
    ch->part[ch->parts++] = other;
}

static struct ws_channel *part_of(struct ws_channel *ch, uint64_t id)
{
    return WS_LIKELY(ch->parts == 1) ? ch : ch->part[id >> PART_SHIFT];
}

static unsigned blocks_free(const struct ws_channel *ch)
{
    return (unsigned)ws_ring_used((struct ws_ring *)(uintptr_t)&ch->free);
}

/* The part for a new file: that whose writer has the least to do; in turn when there is no difference. */
static struct ws_channel *part_for_file(struct ws_channel *ch)
{
    if (WS_LIKELY(ch->parts == 1))
        return ch;
    struct ws_channel *best = NULL;
    unsigned most = 0;
    ch->turn = (ch->turn + 1) % ch->parts;
    for (unsigned i = 0; i < ch->parts; i++) {
        struct ws_channel *p = ch->part[(ch->turn + i) % ch->parts];
        unsigned n = blocks_free(p) + 1;
        if (n > most) {
            best = p;
            most = n;
        }
    }
    return best;
}

/* Tells the writer that records not handed over have order >= watermark, as far as cur allows. */
static void bound_publish(struct ws_channel *ch, uint64_t watermark)
{
    if (!ch->merge)
        return;
    uint64_t bound = ch->cur ? WS_MIN(ch->cur->first_order, watermark) : watermark;
    if (bound > ch->bound_set) {
        ch->bound_set = bound;
        /* After the blocks: who sees this bound also sees every block handed over before. */
        atomic_store_explicit(&ch->bound, bound, memory_order_release);
    }
}

static void hand_over(struct ws_channel *ch)
{
    struct ws_block *b = ch->cur;
    uint32_t index = (uint32_t)((size_t)((uint8_t *)b - ch->mem) / ch->block_bytes);
    b->used = ch->pos;
    b->ops = (ch->block_bytes - ch->op_low) / (uint32_t)sizeof(struct ws_op);
    /* The ring has a slot for each block of the quota. */
    size_t space = ws_ring_space(&ch->full, 1);
    assert(space == 1);
    (void)space;
    *(uint32_t *)ws_ring_slot(&ch->full, 0) = index;
    ws_ring_publish(&ch->full, 1);
    ch->cur = NULL;
    ch->last = NULL;
    bound_publish(ch, ch->order_last);
    if (ch->merge)
        atomic_store_explicit(&ch->want, false, memory_order_relaxed);
}

static bool has_ops(const struct ws_channel *ch)
{
    return ch->cur && ch->last;
}

/* While this worker waits in ch: keeps its other merged outputs moving (see the top of the file).
 */
static void serve_siblings(struct ws_channel *ch, uint64_t order)
{
    for (struct ws_channel *s = ch->sibling; s != ch; s = s->sibling) {
        if (!s->merge)
            continue;
        if (has_ops(s) && atomic_load_explicit(&s->want, memory_order_relaxed))
            hand_over(s);
        bound_publish(s, WS_MAX(order, s->order_last));
    }
}

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Waits a little: spin, then yield, then sleep. False: the run was aborted. */
static bool wait_step(struct ws_channel *ch, unsigned *step, uint64_t order)
{
    if (atomic_load_explicit(ch->abort, memory_order_relaxed))
        return false;
    serve_siblings(ch, order);
    unsigned n = (*step)++;
    if (n < 64) {
        for (unsigned i = 0; i < 32; i++)
            cpu_relax();
    } else if (n < 256) {
        sched_yield();
    } else {
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    return true;
}

static void block_begin(struct ws_channel *ch, uint32_t index)
{
    ch->cur = ws_channel_block(ch, index);
    ch->cur->first_order = UINT64_MAX;
    ch->last = NULL;
    ch->pos = (uint32_t)sizeof(struct ws_block);
    ch->op_low = ch->block_bytes;
    ch->cur_seen = false;
}

/* Takes a free block when more than reserve are there; waits if the channel may. order: of the
 * record at hand, 0 when none. */
static bool block_take(struct ws_channel *ch, uint32_t reserve, uint64_t order)
{
    unsigned step = 0;
    while (ws_ring_count(&ch->free, reserve + 1u) <= reserve)
        if (!ch->may_wait || !wait_step(ch, &step, order))
            return false;
    uint32_t index = *(uint32_t *)ws_ring_peek(&ch->free, 0);
    ws_ring_release(&ch->free, 1);
    block_begin(ch, index);
    ch->from_reserve = false;
    return true;
}

/* What payload and operations may take yet; room for laying the next payload is kept. */
static size_t room(const struct ws_channel *ch)
{
    uint32_t used = ch->direct ? ch->pos + WS_DIRECT_SLACK : ch->pos;
    return ch->cur && ch->op_low > used ? ch->op_low - used : 0;
}

/* Lays the next payload, which goes to off in its file, for a direct write (direct.h). */
static void lay(struct ws_channel *ch, uint64_t off)
{
    if (ch->direct)
        ch->pos = (uint32_t)(ws_align_up(ch->pos, WS_DIRECT_ALIGN) + off % WS_DIRECT_ALIGN);
}

/* Makes room for bytes and an operation in cur. order: as above; close: may take the reserve. */
static bool make_room(struct ws_channel *ch, size_t bytes, uint64_t order, bool close)
{
    uint32_t reserve = close ? 0 : ch->reserve;
    if (WS_UNLIKELY(ch->from_reserve) && ch->cur && !close) {
        if (ws_ring_count(&ch->free, ch->reserve) < ch->reserve)
            return false;
        ch->from_reserve = false;
    }
    if (WS_LIKELY(bytes + sizeof(struct ws_op) <= room(ch)))
        return true;
    /* Without a successor the block in hand stays, so that smaller operations still find room. */
    if (!ch->may_wait && ws_ring_count(&ch->free, reserve + 1u) <= reserve)
        return false;
    if (has_ops(ch))
        hand_over(ch);
    if (!ch->cur && !block_take(ch, reserve, order))
        return false;
    if (ch->reserve && ws_ring_count(&ch->free, ch->reserve) < ch->reserve)
        ch->from_reserve = true;
    return true;
}

static struct ws_op *op_new(struct ws_channel *ch, enum ws_op_kind kind, uint64_t id, uint64_t off,
                            uint32_t len)
{
    ch->op_low -= (uint32_t)sizeof(struct ws_op);
    struct ws_op *op = (struct ws_op *)(void *)((uint8_t *)ch->cur + ch->op_low);
    *op = (struct ws_op){.id = id, .off = off, .pos = ch->pos, .len = len, .kind = kind};
    ch->last = op;
    return op;
}

static void copy(struct ws_channel *ch, const void *data, size_t len)
{
    memcpy((uint8_t *)ch->cur + ch->pos, data, len);
    ch->pos += (uint32_t)len;
}

/* Asks for the lines that the next piece will be written to, when it is as long as the one before: a block comes back
 * cold from its writer, and stores that wait for their lines hold up everything behind them. */
static void prefetch_room(const struct ws_channel *ch, size_t len)
{
    const uint8_t *at = (const uint8_t *)ch->cur + ch->pos;
    for (size_t i = 0; i < len && i < PREFETCH_BYTES; i += WS_CACHE_LINE)
        __builtin_prefetch(at + i, 1, 3);
}

static size_t pieces_len(const struct ws_bytes *piece, unsigned n)
{
    size_t len = 0;
    for (unsigned i = 0; i < n; i++)
        len += piece[i].len;
    return len;
}

static void copy_pieces(struct ws_channel *ch, const struct ws_bytes *piece, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (piece[i].len)
            copy(ch, piece[i].data, piece[i].len);
}

uint64_t ws_channel_file_open(struct ws_channel *ch, const char *path, unsigned flags)
{
    ch = part_for_file(ch);
    uint64_t off = flags;
    size_t len = strnlen(path, WS_PATH_MAX);
    if (len == WS_PATH_MAX && path[len] != '\0')
        off |= WS_OPEN_PATH_CUT;
    if (!make_room(ch, len, 0, false))
        return 0;
    uint64_t id = ++ch->next_id;
    op_new(ch, WS_OP_OPEN, id, off, (uint32_t)len);
    copy(ch, path, len);
    return id;
}

/* The extent operation that the next byte for (id, off) belongs to: the last one grown, or a new
 * one. */
static struct ws_op *extent(struct ws_channel *ch, uint64_t id, uint64_t off)
{
    struct ws_op *op = ch->last;
    if (op && op->kind == WS_OP_DATA && op->id == id && op->off + op->len == off)
        return op;
    lay(ch, off);
    return op_new(ch, WS_OP_DATA, id, off, 0);
}

/* A write that does not fit into cur: fills it and goes on in further blocks. */
static int write_split(struct ws_channel *ch, uint64_t id, uint64_t off,
                       const struct ws_bytes *piece, unsigned n, size_t len)
{
    if (!ch->may_wait) {
        size_t body = ch->block_bytes - sizeof(struct ws_block) - sizeof(struct ws_op) -
                      (ch->direct ? WS_DIRECT_SLACK : 0);
        size_t here = room(ch) > sizeof(struct ws_op) ? room(ch) - sizeof(struct ws_op) : 0;
        size_t need = len <= here ? 0 : (len - here + body - 1) / body;
        if (need > ch->blocks || ws_ring_count(&ch->free, need + ch->reserve) < need + ch->reserve)
            return -EAGAIN;
    }
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *p = piece[i].data;
        size_t left = piece[i].len;
        while (left) {
            if (!make_room(ch, 1, 0, false))
                return -EAGAIN; /* aborted */
            size_t take = WS_MIN(left, room(ch) - sizeof(struct ws_op));
            struct ws_op *op = extent(ch, id, off);
            copy(ch, p, take);
            op->len += (uint32_t)take;
            off += take;
            p += take;
            left -= take;
        }
    }
    return 0;
}

int ws_channel_file_write(struct ws_channel *ch, uint64_t id, uint64_t off,
                          const struct ws_bytes *piece, unsigned n)
{
    ch = part_of(ch, id);
    size_t len = pieces_len(piece, n);
    if (WS_UNLIKELY(len == 0))
        return 0;
    if (WS_UNLIKELY(ch->from_reserve) && !make_room(ch, 0, 0, false))
        return -EAGAIN;
    if (WS_UNLIKELY(len + sizeof(struct ws_op) > room(ch)))
        return write_split(ch, id, off, piece, n, len);
    struct ws_op *op = extent(ch, id, off);
    copy_pieces(ch, piece, n);
    op->len += (uint32_t)len;
    prefetch_room(ch, len);
    return 0;
}

uint8_t *ws_channel_file_place(struct ws_channel *ch, uint64_t id, uint64_t off, size_t len)
{
    struct ws_op *op = ch->last;
    if (WS_UNLIKELY(ch->from_reserve || !op || op->kind != WS_OP_DATA || op->id != id || op->off + op->len != off ||
                    len > room(ch)))
        return NULL;
    uint8_t *place = (uint8_t *)ch->cur + ch->pos;
    ch->pos += (uint32_t)len;
    op->len += (uint32_t)len;
    return place;
}

int ws_channel_file_insert(struct ws_channel *ch, uint64_t id, uint64_t len)
{
    ch = part_of(ch, id);
    if (!make_room(ch, 0, 0, false))
        return -EAGAIN;
    op_new(ch, WS_OP_INSERT, id, len, 0);
    return 0;
}

int ws_channel_file_close(struct ws_channel *ch, uint64_t id, uint64_t size, int64_t mtime_ns,
                          uint64_t tag)
{
    ch = part_of(ch, id);
    if (!make_room(ch, WS_CLOSE_PAYLOAD, 0, true))
        return -EAGAIN;
    op_new(ch, WS_OP_CLOSE, id, size, WS_CLOSE_PAYLOAD);
    copy(ch, &mtime_ns, sizeof(mtime_ns));
    copy(ch, &tag, sizeof(tag));
    return 0;
}

/* The place of a record of len bytes in cur; NULL: no block. */
static uint8_t *record_place(struct ws_channel *ch, uint64_t order, size_t len, bool vital)
{
    if (!make_room(ch, len, order, false))
        return NULL;
    struct ws_op *op = ch->last;
    /* Orders of different channels differ, so that nothing can come between n and n + 1. */
    if (WS_LIKELY(op && op->kind == WS_OP_RECORDS && !vital && (!ch->merge || order - op->off <= 1))) {
        op->off = order;
        op->aux++;
    } else {
        if (!op)
            lay(ch, ch->record_off + atomic_load_explicit(&ch->record_shift, memory_order_relaxed));
        op = op_new(ch, vital ? WS_OP_VITAL : WS_OP_RECORDS, order, order, 0);
        op->aux = !vital;
        if (ch->cur->first_order == UINT64_MAX)
            ch->cur->first_order = order;
    }
    uint8_t *place = (uint8_t *)ch->cur + ch->pos;
    ch->pos += (uint32_t)len;
    op->len += (uint32_t)len;
    ch->record_off += len;
    ch->order_last = order;
    return place;
}

static int put_record(struct ws_channel *ch, uint64_t order, const struct ws_bytes *piece, unsigned n,
                      bool vital)
{
    size_t len = pieces_len(piece, n);
    if (WS_UNLIKELY(len > WS_RECORD_MAX))
        return -EMSGSIZE;
    if (WS_UNLIKELY(len == 0))
        return 0;
    uint8_t *to = record_place(ch, order, len, vital);
    if (!to)
        return -EAGAIN;
    for (unsigned i = 0; i < n; i++) {
        if (piece[i].len)
            memcpy(to, piece[i].data, piece[i].len);
        to += piece[i].len;
    }
    return 0;
}

uint8_t *ws_channel_record_place(struct ws_channel *ch, uint64_t order, size_t len)
{
    assert(len > 0 && len <= WS_RECORD_MAX);
    return record_place(ch, order, len, false);
}

int ws_channel_record(struct ws_channel *ch, uint64_t order, const struct ws_bytes *piece,
                      unsigned n)
{
    return put_record(ch, order, piece, n, false);
}

int ws_channel_record_vital(struct ws_channel *ch, uint64_t order, const struct ws_bytes *piece,
                            unsigned n)
{
    return put_record(ch, order, piece, n, true);
}

static void tick(struct ws_channel *ch, uint64_t watermark, int64_t now_ns, bool force)
{
    if (has_ops(ch)) {
        if (!ch->cur_seen) {
            ch->cur_seen = true;
            ch->cur_ns = now_ns;
        }
        if (force || now_ns - ch->cur_ns >= ch->flush_ns ||
            (ch->merge && atomic_load_explicit(&ch->want, memory_order_relaxed)))
            hand_over(ch);
    }
    bound_publish(ch, watermark);
}

void ws_channel_tick(struct ws_channel *ch, uint64_t watermark, int64_t now_ns, bool force)
{
    for (unsigned i = 0; i < ch->parts; i++)
        tick(ch->part[i], watermark, now_ns, force);
}

static void finish(struct ws_channel *ch)
{
    if (has_ops(ch))
        hand_over(ch);
    ch->cur = NULL;
    bound_publish(ch, UINT64_MAX);
    atomic_store_explicit(&ch->finished, true, memory_order_release);
}

void ws_channel_finish(struct ws_channel *ch)
{
    for (unsigned i = 0; i < ch->parts; i++)
        finish(ch->part[i]);
}

bool ws_channel_suspended(const struct ws_channel *ch)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ch->parts; i++)
        n += atomic_load_explicit(&ch->part[i]->out->suspended, memory_order_relaxed);
    return n == ch->parts;
}

unsigned ws_channel_blocks_free(const struct ws_channel *ch)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ch->parts; i++)
        n += blocks_free(ch->part[i]);
    return n;
}

unsigned ws_channel_blocks(const struct ws_channel *ch)
{
    return ch->blocks;
}
