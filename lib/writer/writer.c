/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer: set-up, and the loop that takes blocks, lets the outputs write them and gives them
 * back. */
#include "writer/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCKS_DEFAULT = 64,
    BLOCK_BYTES_DEFAULT = 1024 * 1024,
    BLOCK_BYTES_MIN = 64 * 1024,
    BLOCK_BYTES_MAX = 64 * 1024 * 1024,
    BLOCKS_MAX = 65536,
};
#define GATHER_BYTES_DEFAULT (UINT64_C(64) << 20)
#define RETRY_NS_DEFAULT     INT64_C(1000000000)
#define FLUSH_NS_LIVE        INT64_C(100000000)
#define FLUSH_NS_FILES       INT64_C(1000000000)

int64_t ws_writer_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- set-up ---- */

/* The process may have as many files open as its hard limit says: the soft one is for select(). */
static unsigned open_files_limit(void)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
        return 64;
    rlim_t wish = WS_MIN(rl.rlim_max, (rlim_t)(WS_OPEN_FILES_MAX + WS_FD_RESERVE));
    if (rl.rlim_cur < wish) {
        struct rlimit more = {.rlim_cur = wish, .rlim_max = rl.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            rl.rlim_cur = wish;
    }
    rlim_t n = rl.rlim_cur > WS_FD_RESERVE ? rl.rlim_cur - WS_FD_RESERVE : 1;
    return (unsigned)WS_MIN(n, (rlim_t)WS_OPEN_FILES_MAX);
}

int ws_writer_create(struct ws_writer **out, const struct ws_writer_config *cfg)
{
    struct ws_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->cfg = *cfg;
    if (!w->cfg.retry_ns)
        w->cfg.retry_ns = RETRY_NS_DEFAULT;
    if (!w->cfg.gather_bytes)
        w->cfg.gather_bytes = GATHER_BYTES_DEFAULT;
    w->open_files_max = w->cfg.open_files_max ? w->cfg.open_files_max : open_files_limit();
    w->now_ns = ws_writer_clock_ns();
    w->fsync_at_ns = w->now_ns + w->cfg.fsync_interval_ns;
    int rc = ws_io_init(w);
    if (rc) {
        free(w);
        return rc;
    }
    *out = w;
    return 0;
}

static int check_config(struct ws_output_config *c, const char **what)
{
    if (!c->blocks)
        c->blocks = BLOCKS_DEFAULT;
    if (!c->block_bytes)
        c->block_bytes = BLOCK_BYTES_DEFAULT;
    if (!c->flush_ns)
        c->flush_ns = c->may_wait ? FLUSH_NS_FILES : FLUSH_NS_LIVE;
    c->blocks = WS_MAX(c->blocks, 2u);
    *what = "the size of a block must be a power of two from 64 KiB to 64 MiB";
    if (c->block_bytes < BLOCK_BYTES_MIN || c->block_bytes > BLOCK_BYTES_MAX ||
        (c->block_bytes & (c->block_bytes - 1)))
        return -EINVAL;
    *what = "a block must hold the largest record";
    if (c->kind == WS_OUTPUT_MERGED && c->block_bytes <= WS_RECORD_MAX)
        return -EINVAL;
    *what = "too many blocks or channels";
    if (c->channels == 0 || c->channels > WS_CHANNELS_MAX || c->blocks > BLOCKS_MAX ||
        (uint64_t)c->blocks * c->block_bytes / sizeof(struct ws_op) > UINT32_MAX)
        return -EINVAL;
    return 0;
}

/* Joins the channels of one worker in a ring (see channel.c). */
static void link_siblings(struct ws_writer_group *g, struct ws_output *o)
{
    for (unsigned c = 0; c < o->cfg.channels; c++) {
        struct ws_channel *other = g->first[c];
        g->first[c] = &o->channel[c];
        if (other) {
            o->channel[c].sibling = other->sibling;
            other->sibling = &o->channel[c];
        }
    }
}

/* The words about trees of one path are said once: before the start, all channels of worker 0 know each other. */
static int join_said(struct ws_writer_group *g, struct ws_output *o)
{
    struct ws_channel *first = o->cfg.kind == WS_OUTPUT_TREE ? g->first[0] : NULL, *ch = first;
    if (first) {
        do {
            if (ch->out->cfg.kind == WS_OUTPUT_TREE && strcmp(ch->out->path, o->path) == 0)
                o->said = ch->out->said;
            ch = ch->sibling;
        } while (ch != first && !o->said);
    }
    if (!o->said && !(o->said = calloc(1, sizeof(*o->said))))
        return -ENOMEM;
    atomic_fetch_add(&o->said->refs, 1);
    return 0;
}

static void output_free(struct ws_output *o)
{
    if (o->said && atomic_fetch_sub(&o->said->refs, 1) == 1)
        free(o->said);
    if (o->cfg.kind == WS_OUTPUT_TREE)
        ws_tree_fini(o);
    else
        ws_merged_fini(o);
    for (unsigned c = 0; c < o->cfg.channels; c++)
        ws_channel_fini(&o->channel[c]);
    free(o->channel);
    free(o->path);
    free(o);
}

static int output_init(struct ws_output *o, ws_writer_alloc_fn alloc, void *alloc_user, char *err,
                       size_t err_len)
{
    const struct ws_output_config *c = &o->cfg;
    int rc;
    for (unsigned i = 0; i < c->channels; i++) {
        void *mem = alloc(alloc_user, i, (size_t)c->blocks * c->block_bytes);
        rc = mem ? ws_channel_init(&o->channel[i], o, mem) : -ENOMEM;
        if (rc) {
            snprintf(err, err_len, "%s: no memory for %u blocks of %u bytes", o->path, c->blocks,
                     c->block_bytes);
            return rc;
        }
    }
    return c->kind == WS_OUTPUT_TREE ? ws_tree_add(o, err, err_len)
                                     : ws_merged_add(o, err, err_len);
}

int ws_writer_add_output(struct ws_writer *w, const struct ws_output_config *cfg,
                         ws_writer_alloc_fn alloc, void *alloc_user, struct ws_output **out,
                         char *err, size_t err_len)
{
    const char *what;
    struct ws_output_config c = *cfg;
    int rc = check_config(&c, &what);
    if (!rc && w->out_count == WS_OUTPUTS_MAX) {
        what = "too many outputs";
        rc = -EINVAL;
    }
    if (rc) {
        snprintf(err, err_len, "%s: %s", cfg->path, what);
        return rc;
    }
    snprintf(err, err_len, "%s: out of memory", cfg->path);
    struct ws_output *o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->w = w;
    o->cfg = c;
    o->dirfd = o->fd = -1;
    o->path = strdup(cfg->path);
    o->channel = aligned_alloc(WS_CACHE_LINE, c.channels * sizeof(*o->channel));
    if (o->channel)
        memset(o->channel, 0, c.channels * sizeof(*o->channel));
    else
        o->cfg.channels = 0;
    struct ws_writer_group *group = w->cfg.group ? w->cfg.group : &w->own_group;
    rc = o->path && o->channel && join_said(group, o) == 0 ? output_init(o, alloc, alloc_user, err, err_len) : -ENOMEM;
    if (rc) {
        output_free(o);
        return rc;
    }
    link_siblings(group, o);
    w->out[w->out_count++] = o;
    *out = o;
    return 0;
}

struct ws_channel *ws_output_channel(struct ws_output *o, unsigned worker)
{
    return &o->channel[worker];
}

/* Adds a channel's; the blocks that are free. */
static uint64_t channel_gauges(struct ws_channel *ch, struct ws_output_gauges *g)
{
    uint64_t n = WS_MIN(ws_ring_used(&ch->free), (uint64_t)ch->blocks);
    g->blocks += ch->blocks;
    g->blocks_free += n;
    g->taken += atomic_load_explicit(&ch->free.head, memory_order_relaxed);
    g->given_back += atomic_load_explicit(&ch->free.tail, memory_order_relaxed) - ch->blocks;
    g->suspended |= atomic_load_explicit(&ch->out->suspended, memory_order_relaxed);
    return n;
}

void ws_output_gauges(const struct ws_output *o, struct ws_output_gauges *g)
{
    *g = (struct ws_output_gauges){
        .path = o->path,
        .block_bytes = o->cfg.block_bytes,
        .blocks_each = (uint64_t)o->cfg.blocks * o->channel[0].parts,
        .least_free = UINT64_MAX,
        .may_wait = o->cfg.may_wait,
    };
    for (unsigned c = 0; c < o->cfg.channels; c++) {
        uint64_t n = 0;
        for (unsigned i = 0; i < o->channel[c].parts; i++)
            n += channel_gauges(o->channel[c].part[i], g);
        g->least_free = WS_MIN(g->least_free, n);
    }
}

/* ---- blocks ---- */

static void held_append(struct ws_channel *ch, struct ws_wblock *b)
{
    b->prev = ch->newest;
    b->next = NULL;
    if (ch->newest)
        ch->newest->next = b;
    else
        ch->oldest = b;
    ch->newest = b;
    ch->held++;
    if (b->flushed)
        return;
    if (!ch->flush_next)
        ch->flush_next = b;
    ch->unflushed++;
    ch->out->w->unflushed_bytes += b->used;
}

/* The block is no more waited for by the gathering. */
static void mark_flushed(struct ws_wblock *b)
{
    struct ws_channel *ch = b->ch;
    if (b->flushed)
        return;
    b->flushed = true;
    if (ch->flush_next == b)
        ch->flush_next = b->next;
    ch->unflushed--;
    ch->out->w->unflushed_bytes -= b->used;
}

void ws_wblock_put(struct ws_wblock *b)
{
    struct ws_channel *ch = b->ch;
    if (--b->refs)
        return;
    mark_flushed(b);
    if (b->prev)
        b->prev->next = b->next;
    else
        ch->oldest = b->next;
    if (b->next)
        b->next->prev = b->prev;
    else
        ch->newest = b->prev;
    ch->held--;
    size_t space = ws_ring_space(&ch->free, 1);
    assert(space == 1);
    (void)space;
    *(uint32_t *)ws_ring_slot(&ch->free, 0) = (uint32_t)(b - ch->block);
    ws_ring_publish(&ch->free, 1);
}

static struct ws_wblock *block_take(struct ws_channel *ch)
{
    uint32_t index = *(uint32_t *)ws_ring_peek(&ch->full, 0);
    ws_ring_release(&ch->full, 1);
    const struct ws_block *blk = ws_channel_block(ch, index);
    struct ws_wblock *b = &ch->block[index];
    *b = (struct ws_wblock){
        .ch = ch,
        .since_ns = ch->out->w->now_ns,
        .refs = 1,
        .ops = blk->ops,
        .used = blk->used,
        .flushed = ch->out->cfg.kind == WS_OUTPUT_MERGED, /* gathers nothing */
    };
    held_append(ch, b);
    return b;
}

/* Takes what a channel handed over. */
static unsigned channel_take(struct ws_channel *ch)
{
    struct ws_output *o = ch->out;
    if (ch->ended)
        return 0;
    /* In this order: every block that came before the bound or the end is seen below. */
    bool finished = atomic_load_explicit(&ch->finished, memory_order_acquire);
    ch->bound_read = atomic_load_explicit(&ch->bound, memory_order_acquire);
    unsigned n = (unsigned)ws_ring_count(&ch->full, ch->blocks);
    for (unsigned i = 0; i < n; i++) {
        struct ws_wblock *b = block_take(ch);
        if (o->cfg.kind == WS_OUTPUT_TREE) {
            ws_tree_block(b);
            ws_wblock_put(b);
        } else if (!ch->merge_block) {
            ch->merge_block = b;
        }
    }
    if (finished) {
        ch->ended = true;
        o->ended++;
        if (o->cfg.kind == WS_OUTPUT_TREE)
            ws_tree_end_channel(ch);
    }
    return n + finished;
}

/* ---- the loop ---- */

static void flush_oldest(struct ws_channel *ch)
{
    struct ws_wblock *b = ch->flush_next;
    b->refs++;
    mark_flushed(b);
    ws_tree_flush_block(b);
    ws_wblock_put(b);
}

/* So many blocks of a channel are gathered before the oldest are written: half of those that data may take. Few blocks must not
 * wait for their age: the worker has one in hand, and one may be kept for closes. */
static unsigned gather_blocks(const struct ws_channel *ch)
{
    return WS_MAX((ch->blocks - ch->reserve) / 2, 1u);
}

/* Keeps blocks moving: writes the oldest when so many are held or they grow old. */
static void tree_flush(struct ws_output *o)
{
    int64_t now = o->w->now_ns;
    for (unsigned c = 0; c < o->cfg.channels; c++) {
        struct ws_channel *ch = &o->channel[c];
        while (ch->flush_next && (ch->unflushed >= gather_blocks(ch) ||
                                  now - ch->flush_next->since_ns >= o->cfg.flush_ns))
            flush_oldest(ch);
    }
}

/* Bounds what is held back over all tree outputs: the oldest go first. */
static void gather_bound(struct ws_writer *w)
{
    while (w->unflushed_bytes > w->cfg.gather_bytes) {
        struct ws_channel *oldest = NULL;
        for (unsigned i = 0; i < w->out_count; i++) {
            struct ws_output *o = w->out[i];
            for (unsigned c = 0; o->cfg.kind == WS_OUTPUT_TREE && c < o->cfg.channels; c++) {
                struct ws_channel *ch = &o->channel[c];
                if (ch->flush_next &&
                    (!oldest || ch->flush_next->since_ns < oldest->flush_next->since_ns))
                    oldest = ch;
            }
        }
        if (!oldest)
            return;
        flush_oldest(oldest);
    }
}

static void fsync_interval(struct ws_writer *w)
{
    if (w->cfg.fsync != WS_FSYNC_INTERVAL || w->now_ns < w->fsync_at_ns)
        return;
    for (unsigned i = 0; i < w->out_count; i++) {
        struct ws_output *o = w->out[i];
        /* syncfs: files that were closed since the last time count too. */
        bool tree = o->cfg.kind == WS_OUTPUT_TREE;
        if (o->done || o->failed || (!tree && !o->regular))
            continue;
        if ((tree ? syncfs(o->dirfd) : fdatasync(o->fd)) != 0)
            ws_out_file_error(o, NULL, "fsync", -errno);
    }
    w->now_ns = ws_writer_clock_ns();
    w->fsync_at_ns = w->now_ns + w->cfg.fsync_interval_ns;
}

static void check_done(struct ws_writer *w)
{
    for (unsigned i = 0; i < w->out_count; i++) {
        struct ws_output *o = w->out[i];
        if (o->cfg.kind == WS_OUTPUT_TREE && !o->done && o->ended == o->cfg.channels &&
            o->files_live == 0) {
            if (w->cfg.fsync == WS_FSYNC_INTERVAL && syncfs(o->dirfd) != 0)
                ws_out_file_error(o, NULL, "fsync", -errno);
            o->done = true;
        }
        if (!o->done)
            return;
    }
    atomic_store_explicit(&w->done, true, memory_order_release);
}

/* Second Ctrl-C: nothing more is written; what was held is counted as lost. */
static unsigned abort_all(struct ws_writer *w)
{
    while (w->in_flight)
        ws_io_reap(w, true);
    for (unsigned i = 0; i < w->out_count; i++) {
        struct ws_output *o = w->out[i];
        for (unsigned c = 0; c < o->cfg.channels; c++) {
            struct ws_channel *ch = &o->channel[c];
            if (ch->ended)
                continue;
            channel_take(ch);
            if (!ch->ended && o->cfg.kind == WS_OUTPUT_TREE)
                ws_tree_end_channel(ch);
            ch->ended = true;
        }
        if (o->cfg.kind == WS_OUTPUT_MERGED)
            ws_merged_abort(o);
        o->done = true;
    }
    atomic_store_explicit(&w->done, true, memory_order_release);
    return 1;
}

unsigned ws_writer_poll(struct ws_writer *w)
{
    if (atomic_load_explicit(&w->done, memory_order_relaxed))
        return 0;
    if (WS_UNLIKELY(atomic_load_explicit(&w->abort, memory_order_relaxed)))
        return abort_all(w);
    w->now_ns = ws_writer_clock_ns();
    unsigned work = ws_io_reap(w, false);
    for (unsigned i = 0; i < w->out_count; i++) {
        struct ws_output *o = w->out[i];
        for (unsigned c = 0; c < o->cfg.channels; c++)
            work += channel_take(&o->channel[c]);
        if (o->cfg.kind == WS_OUTPUT_TREE)
            tree_flush(o);
        else
            work += ws_merged_poll(o);
    }
    gather_bound(w);
    fsync_interval(w);
    ws_io_kick(w);
    check_done(w);
    if (work == 0 && w->in_flight)
        ws_io_pause(w);
    return work + w->in_flight;
}

bool ws_writer_done(const struct ws_writer *w)
{
    return atomic_load_explicit(&w->done, memory_order_acquire);
}

void ws_writer_abort(struct ws_writer *w)
{
    atomic_store_explicit(&w->abort, true, memory_order_relaxed);
}

const struct ws_counters *ws_writer_counters(const struct ws_writer *w)
{
    return &w->counters;
}

unsigned ws_writer_suspended(const struct ws_writer *w)
{
    return atomic_load_explicit(&w->out_bad, memory_order_relaxed);
}

const char *ws_writer_first_error(const struct ws_writer *w)
{
    return atomic_load_explicit(&w->first_error_set, memory_order_acquire) ? w->first_error : "";
}

void ws_io_complete(struct ws_writer *w, struct ws_io_req *r, int error)
{
    if (WS_UNLIKELY(error == -EINVAL && r->direct && r->past_cache)) {
        ws_direct_refused(r->direct, r);
        ws_io_submit(w, r);
        return;
    }
    if (!error && r->past_cache)
        ws_count(&w->counters, WS_C_WRITE_DIRECT, r->bytes);
    ws_direct_end(r, error == 0);
    if (r->file)
        ws_tree_complete(w, r, error);
    else
        ws_merged_complete(w, r, error);
}

void ws_writer_destroy(struct ws_writer *w)
{
    if (!w)
        return;
    while (w->in_flight)
        ws_io_reap(w, true);
    for (unsigned i = 0; i < w->out_count; i++)
        output_free(w->out[i]);
    ws_io_fini(w);
    free(w);
}
