/* SPDX-License-Identifier: BSD-3-Clause */
/* The stream sink in arrival order: each captured segment of TCP goes to its offset in the file
 * when it comes, as tcpflow writes: nothing waits, the last copy of a byte stays, what never comes
 * is a sparse hole. */
#include "sink/overload.h"
#include "sink/stream_impl.h"

/* What insertions in front of a file may move: so much, and so many times the bytes written to it.
 * Without a bound, a stream sent backwards would cost its size squared. */
#define MOVED_FREE  (UINT64_C(16) << 20)
#define MOVED_TIMES 8u

static uint64_t distance(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

/* The direction goes on in a new file, the next one of the name, which begins at off. */
static void begin_file(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                       struct segment_dir *g, int64_t off, const struct ws_tcp_segment *seg)
{
    struct stream_flow *a = ws_stream_area(ss, flow);
    struct stream_dir *d = &a->dir[dir];
    /* The flow has counted the segment's frame already. */
    g->packets_to = flow->packets[dir] - WS_MIN(flow->packets[dir], UINT64_C(1));
    g->bytes_to = flow->bytes[dir] - WS_MIN(flow->bytes[dir], seg->frame_bytes);
    if (a->file[dir].id) {
        ws_stream_end_file(ss, flow, dir, WS_FLOW_END_OF_INPUT, true);
        a->file[dir] = (struct stream_file){0};
        *d = (struct stream_dir){.flow_id = d->flow_id};
    }
    *g = (struct segment_dir){.base = off,
                              .next = off,
                              .first_ts_ns = seg->meta.ts_ns,
                              .packets_from = g->packets_to,
                              .bytes_from = g->bytes_to,
                              .later = 1};
}

/* Whether a file of size bytes is more hole than a file may be, that of shed bytes aside. */
static bool too_hollow(const struct stream_sink *ss, const struct stream_dir *d, uint64_t shed, uint64_t size,
                       uint32_t len)
{
    uint64_t data = d->data_bytes + shed + len;
    /* A file position is a signed 64-bit number of the kernel's. */
    return size > INT64_MAX ||
           (ss->cfg.holes_max && size > data && size - data > ss->cfg.holes_max);
}

/* Opens n bytes in front of the file, for bytes that come before its first. False: refused, or no
 * block. */
static bool insert(struct stream_sink *ss, struct stream_file *f, const struct stream_dir *d,
                   struct segment_dir *g, uint64_t n, uint32_t len)
{
    uint64_t size = f->pos;
    if (ss->cfg.cut && ss->cfg.bytes_max < size)
        size = ss->cfg.bytes_max;
    if (g->moved + size > MOVED_FREE + MOVED_TIMES * d->data_bytes) {
        ws_count(ss->base.counters, WS_C_FRONT_REFUSED, len);
        return false;
    }
    if (ws_channel_file_insert(ss->cfg.channel, f->id, n) != 0) {
        f->shed += len;
        ws_count(ss->base.counters, WS_C_SHED_BLOCK_BYTES, len);
        return false;
    }
    g->moved += size;
    g->base -= (int64_t)n;
    f->pos += n;
    return true;
}

/* Whether a segment lies in a file that has reached its FIN: a late copy, however far from the last one. */
static bool is_late_copy(const struct stream_file *f, const struct segment_dir *g, int64_t off, uint32_t len)
{
    return f->id && g->fin && off >= g->base && off + len <= g->end &&
           f->pos >= (uint64_t)(g->end - g->base);
}

void ws_stream_segment(struct ws_sink *s, struct ws_flow *flow, unsigned dir, int64_t off,
                       const struct ws_tcp_segment *seg)
{
    struct stream_sink *ss = (struct stream_sink *)s;
    struct stream_flow *a = ws_stream_area(ss, flow);
    struct stream_file *f = &a->file[dir];
    struct stream_dir *d = &a->dir[dir];
    struct segment_dir *g = ws_stream_segment_of(ss, flow, dir);
    uint32_t len = seg->len;

    if (seg->meta.flags & WS_TCP_FIN) {
        g->end = off + len;
        g->fin = 1;
    }
    if (len == 0)
        return;
    if (seg->meta.flags & WS_TCP_SYN)
        g->violations++;
    /* A keep-alive repeats the last byte, perhaps with another value (RFC 9293 section 3.8.4). */
    if (seg->keep_alive || (f->id && len == 1 && off == g->next - 1))
        return;
    if (!f->id && off < g->base)
        g->base = g->next = off;
    uint64_t low = off < g->base ? (uint64_t)(g->base - off) : 0;
    uint64_t end = off < g->base ? f->pos + low : (uint64_t)(off - g->base) + len;
    bool far = ss->cfg.split && distance(off, g->next) > ss->cfg.split_gap;
    if ((far && !is_late_copy(f, g, off, len)) ||
        too_hollow(ss, d, f->shed, WS_MAX(f->pos, end), len)) {
        begin_file(ss, flow, dir, g, off, seg);
        low = 0;
    }
    if (WS_UNLIKELY(!ws_stream_open_file(ss, flow, dir, f))) {
        f->shed += len;
        f->pos = WS_MAX(f->pos, (uint64_t)(off - g->base) + len);
        ws_count(ss->base.counters, WS_C_SHED_BLOCK_BYTES, len);
        return;
    }
    g->out_of_order += off < g->next;
    g->next = off + len;
    if (WS_UNLIKELY(!low && ws_overload_sheds(ss->cfg.channel, ss->cfg.shed_keep, (uint64_t)(off - g->base)))) {
        f->shed += len;
        f->pos = WS_MAX(f->pos, end);
        ws_count(ss->base.counters, WS_C_SHED_BULK_BYTES, len);
        return;
    }
    if (WS_UNLIKELY(low) && !insert(ss, f, d, g, low, len))
        return;
    ws_stream_put(ss, flow, dir, (uint64_t)(off - g->base), seg->data, len, seg->meta.ts_ns);
}
