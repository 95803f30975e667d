/* SPDX-License-Identifier: BSD-3-Clause */
/* The archive sink: a worker's log of stream bytes, gaps and flows, in segments that it alone writes. */
#include "sink/archive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "sink/overload.h"

#define SIZE_DEFAULT (UINT64_C(1) << 30)
#define SIZE_LIMIT   (UINT64_C(1) << 38) /* far below WS_ARCHIVE_OFF_MAX: a segment ends between records */

/* How old a finished flow's entry may get in memory while no packets come. */
#define BATCH_NS INT64_C(1000000000)
/* How long the end of a run waits for room for its last flows and its footer, in ms, all in all. */
#define FINISH_WAIT_MS 10000u

/* Of a flow. The number is given with its first record. */
struct archive_flow {
    uint64_t last; /* place of its last record; 0 = none */
    uint32_t number;
    uint8_t told;  /* directions that an OPEN record told of */
    uint8_t macs;  /* directions whose MACs are known */
    uint8_t restart_owed; /* the channel had no room for the record that says so */
    uint8_t pad;
    uint8_t mac[2][12];
    uint64_t bulk_off[2], bulk_len[2]; /* shed since the last data: a gap once more comes, or the end */
};

struct archive_sink {
    struct ws_sink base;
    struct ws_sink_archive_config cfg;
    uint64_t file, pos;   /* the open segment; 0 = none, or its header is still to be written */
    uint64_t to_close, to_close_size; /* a whole segment that the channel had no room to close */
    uint32_t segment;     /* number of the open one, or the next */
    uint32_t numbered;    /* flows so far */
    uint32_t n_entry, n_batch;
    unsigned waited_ms;
    bool lost_entry; /* the index is not whole */
    int64_t entry_since_ns; /* of the oldest entry, by the first tick that saw it; 0 = not seen yet */
    uint64_t batch_prev;
    uint64_t flows, data_bytes;
    int64_t first_ts_ns, last_ts_ns;
    uint8_t batch[WS_ARCHIVE_HEAD_LEN + WS_ARCHIVE_BATCH_MAX * WS_ARCHIVE_ENTRY_LEN];
    uint8_t list[WS_ARCHIVE_BATCHES_MAX * 8]; /* offsets of the records of flows, as in the footer */
};

static struct archive_flow *area(const struct archive_sink *as, struct ws_flow *flow)
{
    return ws_flow_ext(flow, as->base.flow_off);
}

void ws_archive_segment_name(char buf[WS_ARCHIVE_NAME_MAX], unsigned worker, uint32_t segment)
{
    snprintf(buf, WS_ARCHIVE_NAME_MAX, "w%02u-%06u" WS_ARCHIVE_SUFFIX, worker, segment);
}

/* --- segments --- */

static bool retry_close(struct archive_sink *as)
{
    if (as->to_close &&
        ws_channel_file_close(as->cfg.channel, as->to_close, as->to_close_size, INT64_MIN, 0) == 0)
        as->to_close = 0;
    return as->to_close == 0;
}

/* Completes the record that begins with head and goes on with body, and appends it. False: no block. */
static bool append(struct archive_sink *as, uint8_t *head, size_t head_len, const void *body, size_t body_len)
{
    static const uint8_t zeros[4];
    size_t bytes = head_len + body_len;
    ws_archive_seal(head, head_len, body, body_len, as->pos);
    struct ws_bytes piece[3] = {{head, head_len}, {body, body_len}, {zeros, -bytes & 3}};
    if (ws_channel_file_write(as->cfg.channel, as->file, as->pos, piece, 3) != 0)
        return false;
    as->pos += bytes + piece[2].len;
    return true;
}

/* Writes the entries that wait as one record. */
static bool put_batch(struct archive_sink *as)
{
    struct ws_archive_head h = {
        .type = WS_ARCHIVE_FLOWS,
        .bytes = WS_ARCHIVE_HEAD_LEN + as->n_entry * WS_ARCHIVE_ENTRY_LEN,
        .flow = as->n_entry,
        .order = as->base.ordinal ? *as->base.ordinal : 0,
        .prev = as->batch_prev,
    };
    uint64_t off = as->pos;
    if (as->n_entry == 0)
        return true;
    ws_archive_head_encode(as->batch, &h);
    if (as->n_batch == WS_ARCHIVE_BATCHES_MAX ||
        !append(as, as->batch, WS_ARCHIVE_HEAD_LEN, as->batch + WS_ARCHIVE_HEAD_LEN, h.bytes - WS_ARCHIVE_HEAD_LEN))
        return false;
    ws_store_le64(as->list + 8 * (size_t)as->n_batch++, off);
    as->batch_prev = ws_archive_place(as->segment, off);
    as->flows += as->n_entry;
    as->n_entry = 0;
    as->entry_since_ns = 0;
    return true;
}

static bool open_segment(struct archive_sink *as)
{
    char name[WS_ARCHIVE_NAME_MAX];
    uint8_t buf[WS_ARCHIVE_HEADER_LEN];
    struct ws_archive_header h = {as->cfg.flags, as->cfg.worker, as->cfg.workers, as->segment};
    struct ws_bytes piece = {buf, sizeof(buf)};

    if (!retry_close(as) || as->segment == WS_ARCHIVE_SEGMENTS_MAX)
        return false;
    if (!as->file) {
        ws_archive_segment_name(name, as->cfg.worker, as->segment);
        as->file = ws_channel_file_open(as->cfg.channel, name, WS_FILE_PART | WS_FILE_STRICT);
        as->pos = 0;
    }
    ws_archive_header_encode(buf, &h);
    if (!as->file || ws_channel_file_write(as->cfg.channel, as->file, 0, &piece, 1) != 0)
        return false;
    as->pos = sizeof(buf);
    as->n_batch = 0;
    as->flows = as->data_bytes = 0;
    as->first_ts_ns = INT64_MAX;
    as->last_ts_ns = INT64_MIN;
    return true;
}

/* Writes index and footer, which make the segment whole. False: no block; it can go on meanwhile. */
static bool end_segment(struct archive_sink *as, bool last)
{
    uint8_t buf[WS_ARCHIVE_FOOTER_LEN], tail[WS_ARCHIVE_TAIL_LEN];
    if (!put_batch(as))
        return false;
    struct ws_archive_head h = {.type = WS_ARCHIVE_FOOTER, .bytes = WS_ARCHIVE_FOOTER_LEN + as->n_batch * 8};
    struct ws_archive_footer f = {last, as->flows, as->data_bytes, as->first_ts_ns, as->last_ts_ns, as->n_batch, NULL};
    ws_archive_footer_encode(buf, &h, &f);
    ws_archive_seal(buf, sizeof(buf), as->list, (size_t)as->n_batch * 8, as->pos);
    ws_archive_tail_encode(tail, as->pos);
    struct ws_bytes piece[3] = {{buf, sizeof(buf)}, {as->list, (size_t)as->n_batch * 8}, {tail, sizeof(tail)}};
    if (ws_channel_file_write(as->cfg.channel, as->file, as->pos, piece, 3) != 0)
        return false;
    as->to_close = as->file;
    as->to_close_size = as->pos + h.bytes + sizeof(tail);
    as->file = as->pos = 0;
    as->segment++;
    retry_close(as);
    return true;
}

/* Makes an open segment ready for the next record. */
static bool ready(struct archive_sink *as)
{
    if (WS_UNLIKELY(as->pos >= as->cfg.size_max || as->n_batch + 1 >= WS_ARCHIVE_BATCHES_MAX) && as->pos > WS_ARCHIVE_HEADER_LEN)
        end_segment(as, false); /* without room for that it goes on */
    return WS_LIKELY(as->pos) || open_segment(as);
}

/* --- records of a flow --- */

static struct ws_archive_head head_of(const struct archive_sink *as, const struct ws_flow *flow,
                                      const struct archive_flow *a, enum ws_archive_type type, uint32_t bytes)
{
    return (struct ws_archive_head){
        .type = (uint8_t)type,
        .flags = as->base.ending ? WS_ARCHIVE_ENDING : 0,
        .bytes = bytes,
        .flow = a->number,
        .order = as->base.ending || !as->base.ordinal ? ws_flow_first_ordinal(flow) : *as->base.ordinal,
        .prev = a->last,
    };
}

/* Appends a record of the flow. */
static bool put(struct archive_sink *as, struct archive_flow *a, uint8_t *head, size_t head_len, const void *body,
                size_t body_len)
{
    uint64_t place = ws_archive_place(as->segment, as->pos);
    if (!append(as, head, head_len, body, body_len))
        return false;
    a->last = place;
    return true;
}

/* Tells who the flow is, unless that was told. */
static bool introduce(struct archive_sink *as, struct ws_flow *flow, struct archive_flow *a)
{
    uint8_t buf[WS_ARCHIVE_OPEN_LEN];
    struct ws_archive_open o = {.key = flow->key, .orig = flow->orig, .seen = flow->seen};
    if (!a->number)
        a->number = ++as->numbered;
    struct ws_archive_head h = head_of(as, flow, a, WS_ARCHIVE_OPEN, sizeof(buf));
    for (unsigned d = 0; d < 2; d++) {
        o.first_ordinal[d] = ws_flow_first(flow)->ordinal[d];
        o.first_ts_ns[d] = ws_flow_first(flow)->ts_ns[d];
    }
    memcpy(o.mac, a->mac, sizeof(o.mac));
    ws_archive_open_encode(buf, &h, &o);
    if (!put(as, a, buf, sizeof(buf), NULL, 0))
        return false;
    a->told = flow->seen;
    return true;
}

static bool restart_record(struct archive_sink *as, struct ws_flow *flow, struct archive_flow *a)
{
    uint8_t buf[WS_ARCHIVE_HEAD_LEN];
    struct ws_archive_head h = head_of(as, flow, a, WS_ARCHIVE_RESTART, sizeof(buf));
    ws_archive_head_encode(buf, &h);
    a->restart_owed = !put(as, a, buf, sizeof(buf), NULL, 0);
    return !a->restart_owed;
}

/* Whether a record of direction dir can follow. */
static bool prepare(struct archive_sink *as, struct ws_flow *flow, struct archive_flow *a, unsigned dir)
{
    if (!ready(as) || (WS_UNLIKELY(!(a->told >> dir & 1)) && !introduce(as, flow, a)))
        return false;
    return WS_LIKELY(!a->restart_owed) || restart_record(as, flow, a);
}

static void gap_record(struct archive_sink *as, struct ws_flow *flow, struct archive_flow *a, unsigned dir, uint64_t off,
                       uint64_t len, enum ws_gap_cause cause)
{
    uint8_t buf[WS_ARCHIVE_GAP_LEN];
    struct ws_archive_gap g = {off, len, (uint8_t)cause};
    if (prepare(as, flow, a, dir)) {
        struct ws_archive_head h = head_of(as, flow, a, WS_ARCHIVE_GAP, sizeof(buf));
        h.flags |= (uint8_t)dir;
        ws_archive_gap_encode(buf, &h, &g);
        if (put(as, a, buf, sizeof(buf), NULL, 0))
            return;
    }
    ws_count(as->base.counters, WS_C_GAP_RECORDS_LOST, 1); /* a reader sees that bytes are missing all the same */
}

/* Whether these bytes are left out; ranges of one stream that follow each other become one gap. */
static bool shed_bulk(struct archive_sink *as, struct archive_flow *a, unsigned dir, uint64_t off, uint32_t len)
{
    if (!ws_overload_sheds(as->cfg.channel, as->cfg.shed_keep, off))
        return false;
    if (!a->bulk_len[dir])
        a->bulk_off[dir] = off;
    a->bulk_len[dir] += len;
    ws_count(as->base.counters, WS_C_SHED_BULK_BYTES, len);
    return true;
}

/* Tells the gap that shed bytes are, before what comes behind them. */
static void tell_bulk(struct archive_sink *as, struct ws_flow *flow, struct archive_flow *a, unsigned dir)
{
    uint64_t len = a->bulk_len[dir];
    if (WS_LIKELY(!len))
        return;
    a->bulk_len[dir] = 0;
    gap_record(as, flow, a, dir, a->bulk_off[dir], len, WS_GAP_SHED);
}

static void on_data(struct ws_sink *s, struct ws_flow *flow, unsigned dir, uint64_t off, const uint8_t *data,
                    uint32_t len, const struct ws_tcp_meta *meta)
{
    struct archive_sink *as = (struct archive_sink *)s;
    struct archive_flow *a = area(as, flow);
    uint8_t buf[WS_ARCHIVE_HELD_LEN];
    struct ws_archive_data d = {
        .off = off,
        .ts_ns = meta->ts_ns,
        .ordinal = meta->ordinal,
        .seq = meta->seq,
        .ack = meta->ack,
        .window = meta->window,
        .tcp_flags = meta->flags,
    };
    if (WS_UNLIKELY(shed_bulk(as, a, dir, off, len)))
        return;
    tell_bulk(as, flow, a, dir);
    for (uint32_t done = 0; done < len;) {
        uint32_t n = WS_MIN(len - done, WS_ARCHIVE_PIECE_MAX);
        bool ok = prepare(as, flow, a, dir);
        struct ws_archive_head h = head_of(as, flow, a, WS_ARCHIVE_DATA, 0);
        bool held = meta->ordinal != h.order;
        h.flags |= (uint8_t)(dir | (meta->piece || done ? WS_ARCHIVE_PIECE : 0) | (held ? WS_ARCHIVE_HELD : 0));
        h.bytes = (held ? WS_ARCHIVE_HELD_LEN : WS_ARCHIVE_DATA_LEN) + n;
        d.off = off + done;
        unsigned head_len = ws_archive_data_encode(buf, &h, &d);
        if (WS_LIKELY(ok && put(as, a, buf, head_len, data + done, n))) {
            as->data_bytes += n;
            ws_count(s->counters, WS_C_OUT_STREAM_BYTES, n);
        } else {
            ws_count(s->counters, WS_C_SHED_BLOCK_BYTES, n);
        }
        done += n;
    }
    as->first_ts_ns = WS_MIN(as->first_ts_ns, meta->ts_ns);
    as->last_ts_ns = WS_MAX(as->last_ts_ns, meta->ts_ns);
}

static void on_gap(struct ws_sink *s, struct ws_flow *flow, unsigned dir, uint64_t off, uint64_t len,
                   enum ws_gap_cause cause)
{
    struct archive_sink *as = (struct archive_sink *)s;
    struct archive_flow *a = area(as, flow);
    if (len == 0)
        return;
    tell_bulk(as, flow, a, dir); /* which lies before */
    gap_record(as, flow, a, dir, off, len, cause);
}

static void on_restart(struct ws_sink *s, struct ws_flow *flow)
{
    struct archive_sink *as = (struct archive_sink *)s;
    struct archive_flow *a = area(as, flow);
    for (unsigned d = 0; d < 2; d++)
        tell_bulk(as, flow, a, d);
    if (!a->last)
        return; /* nothing of the connection before is in the archive */
    a->restart_owed = 1;
    if (ready(as))
        restart_record(as, flow, a);
}

static void on_packet(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p)
{
    if (WS_UNLIKELY(!flow))
        return;
    struct archive_flow *a = area((struct archive_sink *)s, flow);
    if (WS_LIKELY(a->macs >> p->dir & 1) || p->flags & WS_PKT_DATAGRAM)
        return;
    memcpy(a->mac[p->dir], p->mac_src, 6);
    memcpy(a->mac[p->dir] + 6, p->mac_dst, 6);
    a->macs |= (uint8_t)(1u << p->dir);
}

/* At the end of a run a disk that stalled may give blocks back. False: it took too long, or packets still come. */
static bool wait_for_room(struct archive_sink *as)
{
    if (!as->base.ending || as->waited_ms == FINISH_WAIT_MS)
        return false;
    as->waited_ms++;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return true;
}

void ws_sink_archive_flow(void *user, struct ws_flow *flow, const struct ws_flow_record *rec)
{
    struct archive_sink *as = user;
    struct archive_flow *a = area(as, flow);
    for (unsigned d = 0; d < 2; d++)
        tell_bulk(as, flow, a, d);
    bool open = ready(as);
    while (as->n_entry == WS_ARCHIVE_BATCH_MAX && !(open && put_batch(as))) {
        if (!wait_for_room(as)) {
            as->lost_entry = true;
            ws_count(as->base.counters, WS_C_FLOW_RECORDS_LOST, 1);
            return;
        }
        open = ready(as);
    }
    struct ws_archive_head h = head_of(as, flow, a, WS_ARCHIVE_FLOWS, 0);
    struct ws_archive_entry e = {
        .rec = *rec,
        .seen = flow->seen,
        .orig = flow->orig,
        .ending = as->base.ending,
        .flow = a->number,
        .order = h.order,
        .at = ws_archive_place(as->segment, as->pos),
        .last = a->last,
    };
    memcpy(e.mac, a->mac, sizeof(e.mac));
    ws_archive_entry_encode(as->batch + WS_ARCHIVE_HEAD_LEN + as->n_entry * WS_ARCHIVE_ENTRY_LEN, &e);
    if (++as->n_entry == WS_ARCHIVE_BATCH_MAX && as->pos)
        put_batch(as);
}

/* --- the rest --- */

static void on_tick(struct ws_sink *s, int64_t now_ns)
{
    struct archive_sink *as = (struct archive_sink *)s;
    retry_close(as);
    if (as->n_entry == 0)
        return;
    if (as->entry_since_ns == 0)
        as->entry_since_ns = now_ns;
    else if (now_ns - as->entry_since_ns >= BATCH_NS && ready(as))
        put_batch(as);
}

static void on_finish(struct ws_sink *s)
{
    struct archive_sink *as = (struct archive_sink *)s;
    bool ended = false;
    do {
        /* An archive without a flow has a segment too. One whose index lacks flows is not whole: its reader finds them. */
        ended = ended || ((as->pos || open_segment(as)) && end_segment(as, !as->lost_entry));
    } while (!(ended && retry_close(as)) && wait_for_room(as));
    /* What the channel's end closes instead has no footer and keeps the name of an unfinished segment. */
    ws_count(s->counters, WS_C_FLOW_RECORDS_LOST, as->n_entry);
}

static void on_destroy(struct ws_sink *s)
{
    free(s);
}

static const struct ws_sink_ops archive_ops = {
    .packet = on_packet,
    .data = on_data,
    .gap = on_gap,
    .restart = on_restart,
    .tick = on_tick,
    .finish = on_finish,
    .destroy = on_destroy,
};

int ws_sink_archive_create(struct ws_sink **s, const struct ws_sink_archive_config *cfg)
{
    struct archive_sink *as = calloc(1, sizeof(*as));
    if (!as)
        return -ENOMEM;
    as->cfg = *cfg;
    if (as->cfg.size_max == 0)
        as->cfg.size_max = SIZE_DEFAULT;
    as->cfg.size_max = WS_MIN(as->cfg.size_max, SIZE_LIMIT);
    as->base = (struct ws_sink){
        .ops = &archive_ops,
        .needs = WS_SINK_DATA | WS_SINK_PACKET | WS_SINK_OF_FLOWS,
        .flow_bytes = (uint32_t)ws_align_up(sizeof(struct archive_flow), 8),
        .channel = cfg->channel,
    };
    *s = &as->base;
    return 0;
}
