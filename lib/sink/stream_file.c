/* SPDX-License-Identifier: BSD-3-Clause */
/* The stream sink's files: names with counters, opening, closing, .gaps sidecars. */
#include "sink/flow_values.h"
#include "sink/stream_impl.h"

#include <time.h>

#include "format/chunk.h"

int64_t ws_stream_first_ts(const struct stream_sink *ss, const struct ws_flow *flow, unsigned dir)
{
    if (ss->segment_off) {
        const struct segment_dir *g = ws_stream_segment_of(ss, (struct ws_flow *)(uintptr_t)flow, dir);
        if (g->later)
            return g->first_ts_ns;
    }
    if (ss->joined && flow->seen == 3)
        return WS_MIN(ws_flow_first(flow)->ts_ns[0], ws_flow_first(flow)->ts_ns[1]);
    return ws_flow_first(flow)->ts_ns[ss->joined && !(flow->seen >> dir & 1) ? !dir : dir];
}

uint64_t ws_stream_flow_id(const struct stream_sink *ss, struct ws_flow *flow, unsigned dir)
{
    struct stream_dir *d = &ws_stream_area(ss, flow)->dir[dir];
    if (d->flow_id == 0 && ss->base.ids)
        d->flow_id = ws_flow_ids_get(ss->base.ids, flow, dir);
    return d->flow_id;
}

/* --- names --- */

/* What the host's time is ahead of UTC at ns, in seconds. */
static int32_t zone_of(int64_t ns)
{
    time_t s = ns / 1000000000 - (ns % 1000000000 < 0);
    struct tm tm;
    return localtime_r(&s, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}

static void name_values(const struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                        struct ws_name_values *v)
{
    ws_flow_values(flow, dir, v);
    /* Of text formats all files of a connection have its time; of any joined one, one that never
     * changes. */
    bool connection =
        ss->joined || (ss->cfg.format >= WS_STREAM_PLAIN && ss->cfg.format != WS_STREAM_PCAP);
    v->ts_ns = connection ? ws_flow_first(flow)->ts_ns[flow->orig] : ws_stream_first_ts(ss, flow, dir);
    if (ss->cfg.local_time && ss->name.uses & WS_NAME_USES_TIME)
        v->zone_s = zone_of(v->ts_ns);
    if (ss->name.uses & WS_NAME_USES_NUMBER) {
        uint64_t id = ws_stream_flow_id(ss, flow, dir);
        v->number = id && ss->cfg.number_from_zero ? id - 1 : id;
    }
    if (ss->cfg.key_macs) {
        memcpy(v->src_mac, flow->key.mac[dir], 6);
        memcpy(v->dst_mac, flow->key.mac[!dir], 6);
    } else if (ss->macs_off) {
        const struct stream_macs *m = ws_stream_macs_of(ss, flow, dir),
                                 *peer = ws_stream_macs_of(ss, flow, !dir);
        memcpy(v->src_mac, m->known ? m->src : peer->dst, 6);
        memcpy(v->dst_mac, m->known ? m->dst : peer->src, 6);
    }
}

bool ws_stream_make_path(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                         struct stream_file *f, const char *suffix)
{
    struct ws_name_values v;
    int len;

    if (f->state & FILE_NO_NAME)
        return false;
    name_values(ss, flow, dir, &v);
    if (!(f->state & FILE_NAMED)) {
        f->state |= FILE_NAMED;
        len = ws_name_render(&ss->name, &v, ss->path, sizeof(ss->path));
        if (len > 0) {
            uint64_t before = ws_names_take(&ss->names, ss->path, (size_t)len);
            if (before > UINT32_MAX) {
                f->state |= FILE_UNIQUE;
                ws_count(ss->base.counters, WS_C_NAME_TABLE_FULL, 1);
            } else {
                f->counter = (uint32_t)before;
            }
        }
    }
    v.counter = f->counter;
    len = ws_name_render(&ss->name, &v, ss->path, sizeof(ss->path));
    if (len > 0) {
        struct ws_text t;
        ws_text_init(&t, ss->path, sizeof(ss->path));
        t.len = (size_t)len;
        if (f->state & FILE_UNIQUE) {
            ws_text_puts(&t, ".p");
            ws_text_u64(&t, ws_flow_first_ordinal(flow), 0, '0');
        }
        ws_text_puts(&t, suffix);
        len = ws_text_end(&t);
    }
    if (len <= 0) {
        f->state |= FILE_NO_NAME;
        ws_count(ss->base.counters, WS_C_OUT_NAME_FAILED, 1);
        return false;
    }
    return true;
}

/* --- files --- */

void ws_stream_retry_closes(struct stream_sink *ss)
{
    while (ss->n_closing) {
        struct closing *c = &ss->closing[ss->n_closing - 1];
        if (ws_channel_file_close(ss->cfg.channel, c->id, c->size, c->mtime_ns, c->tag) != 0)
            return;
        ss->n_closing--;
    }
}

void ws_stream_close_file(struct stream_sink *ss, uint64_t id, uint64_t size, int64_t mtime_ns,
                          uint64_t tag)
{
    struct closing c = {id, size, tag, mtime_ns};
    if (ws_channel_file_close(ss->cfg.channel, id, size, mtime_ns, tag) == 0)
        return;
    if (ss->n_closing < CLOSES_MAX)
        ss->closing[ss->n_closing++] = c;
    else
        ws_count(ss->base.counters, WS_C_OUT_CLOSES_LOST, 1);
}

uint64_t ws_stream_open_path(struct stream_sink *ss, const struct stream_file *f, size_t suffix_len)
{
    char counter[16];
    unsigned flags = ss->cfg.file_flags | (suffix_len ? WS_FILE_ASIDE : 0);
    size_t len = strlen(ss->path), n = 0;
    if (f->counter) {
        struct ws_text t;
        ws_text_init(&t, counter, sizeof(counter));
        ws_text_putc(&t, 'c');
        ws_text_u64(&t, f->counter, 0, '0');
        /* unless the template has it elsewhere */
        if (len >= suffix_len + t.len &&
            memcmp(ss->path + len - suffix_len - t.len, counter, t.len) == 0)
            n = t.len;
    }
    return ws_channel_file_open(ss->cfg.channel, ss->path, flags | WS_FILE_COUNTER(n, suffix_len));
}

bool ws_stream_open_file(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                         struct stream_file *f)
{
    if (WS_LIKELY(f->id))
        return true;
    if (ss->cfg.merged) {
        f->id = 1; /* no file: only that there was data */
        return true;
    }
    if (WS_UNLIKELY(ss->n_closing))
        ws_stream_retry_closes(ss);
    unsigned named_by = ss->joined ? flow->orig : dir;
    if (!ws_stream_make_path(ss, flow, named_by, f, ""))
        return false;
    f->id = ws_stream_open_path(ss, f, 0);
    return f->id != 0;
}

/* The size of a raw file; others are as long as what was written. */
static uint64_t file_size(const struct stream_sink *ss, const struct stream_file *f)
{
    bool cut = ss->cfg.cut && ss->cfg.format == WS_STREAM_RAW;
    return cut ? WS_MIN(f->pos, ss->cfg.bytes_max) : f->pos;
}

/* Tells that a file is over; the tag of its close. */
static uint64_t report(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                       struct stream_flow *a, struct stream_file *f, enum ws_flow_cause cause,
                       bool goes_on)
{
    ws_stream_retry_closes(ss);
    struct ws_stream_record r = {
        .closes_wait = ss->n_closing > 0,
        .path = ss->path,
        .cause = cause,
        .goes_on = goes_on,
        .flow = flow,
        .dir = ss->joined ? flow->orig : dir,
        .joined = ss->joined,
        .flow_id = ws_stream_flow_id(ss, flow, ss->joined ? flow->orig : dir),
        .file_bytes = file_size(ss, f),
        .length = f->pos,
        .gap = ss->gap,
        .shed_bytes = f->shed,
        .first_ts_ns = ws_stream_first_ts(ss, flow, dir),
        .last_ts_ns = flow->last_ts_ns[dir],
    };
    for (unsigned d = 0; d < 2; d++) {
        if (!ss->joined && d != dir)
            continue;
        r.data_bytes[d] = a->dir[d].data_bytes;
        r.gap_bytes[d] = a->dir[d].gap_bytes;
        r.gaps[d] = a->dir[d].gaps;
        r.packets[d] = flow->packets[d];
        r.wire_bytes[d] = flow->bytes[d];
        if (ss->gaps_off) {
            const struct gap_list *l = ws_stream_gaps_of(ss, flow, d);
            r.gap_first[d] = l->first;
            r.gaps_listed[d] = l->n;
        }
        if (flow->seen >> d & 1)
            r.last_ts_ns = WS_MAX(r.last_ts_ns, flow->last_ts_ns[d]);
    }
    if (ss->segment_off) {
        const struct segment_dir *g = ws_stream_segment_of(ss, flow, dir);
        r.packets[dir] = (goes_on ? g->packets_to : flow->packets[dir]) - g->packets_from;
        r.wire_bytes[dir] = (goes_on ? g->bytes_to : flow->bytes[dir]) - g->bytes_from;
        r.out_of_order = g->out_of_order;
        r.violations = g->violations;
    }
    if (!ws_stream_make_path(ss, flow, r.dir, f, ""))
        return 0;
    return ss->cfg.closed(ss->cfg.user, &r);
}

/* Whether the file of direction dir is too small to stay. */
static bool is_small(const struct stream_sink *ss, const struct ws_flow *flow, unsigned dir,
                     const struct stream_flow *a)
{
    uint64_t bytes = 0;
    if (!ss->cfg.size_min)
        return false;
    for (unsigned d = 0; d < 2; d++)
        if (ss->joined || d == dir)
            bytes += ss->cfg.format == WS_STREAM_PCAP ? flow->payload_bytes[d] : a->dir[d].data_bytes;
    if (bytes > ss->cfg.size_min)
        return false;
    ws_count(ss->base.counters, WS_C_OUT_SMALL, 1);
    ws_count(ss->base.counters, WS_C_OUT_SMALL_BYTES, bytes);
    return true;
}

void ws_stream_end_file(struct stream_sink *ss, struct ws_flow *flow, unsigned d,
                        enum ws_flow_cause cause, bool goes_on)
{
    struct stream_flow *a = ws_stream_area(ss, flow);
    struct stream_file *f = &a->file[d];
    unsigned dir = ss->joined ? flow->orig : d;
    if (!f->id || ss->cfg.merged)
        return;
    bool small = is_small(ss, flow, d, a);
    uint64_t side_size = small ? WS_FILE_DISCARD : UINT64_MAX;
    uint64_t tag = ss->cfg.closed && !small ? report(ss, flow, dir, a, f, cause, goes_on) : 0;
    ws_stream_close_file(ss, f->id, small ? WS_FILE_DISCARD : file_size(ss, f),
                         ws_stream_first_ts(ss, flow, dir), tag);
    if (ss->sidecar_off && ws_stream_sidecar_of(ss, flow, d)->id)
        ws_stream_close_file(ss, ws_stream_sidecar_of(ss, flow, d)->id, side_size, INT64_MIN, 0);
    if (ss->findx_off && ws_stream_findx_of(ss, flow, d)->id) {
        ws_stream_close_file(ss, ws_stream_findx_of(ss, flow, d)->id, side_size, INT64_MIN, 0);
        *ws_stream_findx_of(ss, flow, d) = (struct sidecar){0};
    }
    f->id = 0;
}

/* --- the .gaps sidecar --- */

void ws_stream_sidecar_line(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                            uint64_t off, uint64_t len, const char *cause)
{
    struct sidecar *sc = ws_stream_sidecar_of(ss, flow, dir);
    char buf[WS_CHUNK_GAP_MAX];
    struct ws_text t;

    if (!sc->id) {
        if (!ws_stream_make_path(ss, flow, dir, &ws_stream_area(ss, flow)->file[dir], ".gaps"))
            return;
        sc->id = ws_stream_open_path(ss, &ws_stream_area(ss, flow)->file[dir], strlen(".gaps"));
    }
    ws_text_init(&t, buf, sizeof(buf));
    ws_chunk_gap_line(&t, off, len, cause);
    struct ws_bytes piece = {buf, t.len};
    if (sc->id && ws_channel_file_write(ss->cfg.channel, sc->id, sc->pos, &piece, 1) == 0)
        sc->pos += t.len;
    else
        ws_count(ss->base.counters, WS_C_SHED_BLOCK_BYTES, t.len);
}

void ws_stream_sidecar_pending(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                               struct stream_dir *d)
{
    if (!ss->sidecar_off)
        return;
    if (d->pending_list) {
        const struct gap_list *l = ws_stream_gaps_of(ss, flow, dir);
        for (uint32_t n = 0, i = l->first; n < l->n; n++, i = ss->gap[i].next)
            ws_stream_sidecar_line(ss, flow, dir, ss->gap[i].off, ss->gap[i].len,
                                   ws_gap_cause_name((enum ws_gap_cause)ss->gap[i].cause));
        if (!ss->cfg.gaps_listed)
            ws_stream_gaps_drop(ss, flow, dir);
        d->pending_list = 0;
    }
    if (!d->pending_len)
        return;
    ws_stream_sidecar_line(ss, flow, dir, d->pending_off, d->pending_len,
                           ws_gap_cause_name((enum ws_gap_cause)d->pending_cause));
    d->pending_len = 0;
}
