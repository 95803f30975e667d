/* SPDX-License-Identifier: BSD-3-Clause */
/* The sink that writes streams to files: its formats and events. */
#include "sink/stream_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "format/chunk.h"
#include "sink/overload.h"

#define UDP_HEADER_LEN 8u

/* How long the end of a run waits for room for them, in ms. */
#define CLOSES_WAIT_MS 500u

/* What tells the records of workers apart in a merged output (the engine has at most 64). */
#define WS_MERGED_WORKERS_MAX 64u
#define MERGED_ORDINAL_MAX    (UINT64_MAX / WS_MERGED_WORKERS_MAX - 1)
/* What the end of the input lets go comes behind all packets, by the flows' first ones. */
#define MERGED_END (MERGED_ORDINAL_MAX / 2)

/* Stream bytes of one record: with its header, or as JSON at its longest, below WS_RECORD_MAX. */
#define MERGED_PIECE_MAX      (256u * 1024u)
#define MERGED_JSON_PIECE_MAX 61440u

/* --- formats --- */

/* The place of a record in the merged output: after all that was promised or written, and never
 * another worker's. Bytes that had waited come with the packet that let them go. */
static uint64_t merged_order(const struct stream_sink *ss, uint64_t ordinal)
{
    return WS_MIN(ordinal, MERGED_ORDINAL_MAX) * WS_MERGED_WORKERS_MAX + ss->base.worker;
}

/* What is written next was let go by the packet of this ordinal, or by the end of the input. */
static void note_order(struct stream_sink *ss, const struct ws_flow *flow, uint64_t ordinal)
{
    if (ss->base.ordinal) /* not that of bytes which had waited */
        ordinal = *ss->base.ordinal;
    if (ss->base.ending)
        ordinal = MERGED_END + WS_MIN(ws_flow_first_ordinal(flow), MERGED_END);
    ss->order = WS_MAX(ss->order, ordinal);
}

/* Appends the pieces as one: all of them or, when the channel has no block, none. */
static bool append(struct stream_sink *ss, struct stream_file *f, const struct ws_bytes *piece,
                   unsigned n)
{
    uint64_t len = 0;
    for (unsigned i = 0; i < n; i++)
        len += piece[i].len;
    if (ss->cfg.merged)
        return ws_channel_record(ss->cfg.channel, merged_order(ss, ss->order), piece, n) == 0;
    if (ws_channel_file_write(ss->cfg.channel, f->id, f->pos, piece, n) != 0)
        return false;
    f->pos += len;
    return true;
}

/* Stream bytes that could not be written: no silent loss. */
static void shed(struct stream_sink *ss, struct stream_file *f, uint64_t len)
{
    f->shed += len;
    ws_count(ss->base.counters, WS_C_SHED_BLOCK_BYTES, len);
}

static void wrote(struct stream_sink *ss, struct stream_dir *d, uint64_t len)
{
    d->data_bytes += len;
    ws_count(ss->base.counters, WS_C_OUT_STREAM_BYTES, len);
}

/* Lets the next piece begin len bytes further on. False: that is beyond what holes may be. */
static bool hole(struct stream_sink *ss, struct stream_file *f, struct stream_dir *d, uint64_t len)
{
    uint64_t max = ss->cfg.holes_max ? ss->cfg.holes_max : UINT64_MAX;
    if (ss->cfg.merged || len > max - WS_MIN(max, d->holes) || len > INT64_MAX - f->pos)
        return false;
    d->holes += len;
    f->pos += len;
    return true;
}

/* HEADERS32: a record without payload says that a connection begins, as its SYN did where that is kept, else as the
 * packet that meta tells of. */
static bool begin_record(struct stream_sink *ss, struct ws_flow *flow, unsigned dir, struct stream_file *f,
                         struct stream_dir *d, const struct ws_tcp_meta *meta)
{
    uint8_t head[WS_CHUNK32_LEN];
    struct ws_bytes piece = {head, WS_CHUNK32_LEN};
    struct ws_tcp_meta *syn = ss->syn_off ? ws_stream_syn_of(ss, flow, dir) : NULL;
    if (syn && syn->piece) /* this connection's, and not used yet */
        meta = syn;
    struct ws_chunk c = {
        .ts_ns = (uint64_t)meta->ts_ns,
        .stream_id = (uint16_t)ws_stream_flow_id(ss, flow, dir),
        .seq = meta->seq,
        .ack = meta->ack,
        .window = meta->window,
        .flags = (uint16_t)(meta->flags | WS_CHUNK32_RESET),
    };
    ws_chunk32_encode(head, &c);
    if (!append(ss, f, &piece, 1))
        return false;
    d->begun = 1;
    if (syn)
        syn->piece = 0;
    return true;
}

/* A packet without payload has a record too, once the file is there; of a SYN the record that begins the connection is
 * made when something follows. */
static void empty_record(struct stream_sink *ss, struct ws_flow *flow, const struct ws_packet *p)
{
    uint8_t head[WS_CHUNK32_LEN];
    bool wide = ss->cfg.format == WS_STREAM_HEADERS32;
    struct stream_file *f = &ws_stream_area(ss, flow)->file[p->dir];
    struct stream_dir *d = &ws_stream_area(ss, flow)->dir[p->dir];
    struct ws_bytes piece = {head, wide ? WS_CHUNK32_LEN : WS_CHUNK12_LEN};
    const struct ws_tcp_meta meta = {
        .ts_ns = p->ts_ns,
        .ordinal = p->ordinal,
        .seq = p->tcp_seq,
        .ack = p->tcp_ack,
        .window = p->tcp_window,
        .flags = p->tcp_flags,
        .piece = 1,
    };
    if (!(p->flags & WS_PKT_TCP))
        return;
    if (p->tcp_flags & WS_TCP_SYN) {
        *ws_stream_syn_of(ss, flow, p->dir) = meta;
        return;
    }
    if (p->payload_wire_len || !f->id || (wide && !d->begun && !begin_record(ss, flow, p->dir, f, d, &meta)))
        return;
    struct ws_chunk c = {
        .ts_ns = (uint64_t)p->ts_ns,
        .stream_id = (uint16_t)ws_stream_flow_id(ss, flow, p->dir),
        .seq = p->tcp_seq,
        .ack = p->tcp_ack,
        .window = p->tcp_window,
        .flags = p->tcp_flags,
    };
    if (wide)
        ws_chunk32_encode(head, &c);
    else
        ws_chunk12_encode(head, &c);
    append(ss, f, &piece, 1);
}

static void headers_data(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                         struct stream_file *f, struct stream_dir *d, const uint8_t *data,
                         uint32_t len, const struct ws_tcp_meta *meta)
{
    uint8_t head[WS_CHUNK32_LEN];
    bool wide = ss->cfg.format == WS_STREAM_HEADERS32;
    uint32_t done = 0;
    struct ws_chunk c = {
        .ts_ns = (uint64_t)meta->ts_ns,
        .stream_id = (uint16_t)ws_stream_flow_id(ss, flow, dir),
        .ack = meta->ack,
        .window = meta->window,
        .flags = meta->flags,
    };
    if (wide && !d->begun && !begin_record(ss, flow, dir, f, d, meta)) {
        shed(ss, f, len);
        return;
    }
    /* Bytes of an earlier packet than the one before were held. */
    c.flags = (uint16_t)(meta->flags | (meta->ordinal < d->ordinal ? WS_CHUNK32_REASSEMBLE : 0));
    while (done < len) {
        uint32_t n = WS_MIN(len - done, WS_CHUNK_PAYLOAD_MAX);
        struct ws_bytes piece[2] = {{head, wide ? WS_CHUNK32_LEN : WS_CHUNK12_LEN},
                                    {data + done, n}};
        c.len = (uint16_t)n;
        c.seq = meta->seq + done;
        if (wide)
            ws_chunk32_encode(head, &c);
        else
            ws_chunk12_encode(head, &c);
        if (append(ss, f, piece, 2))
            wrote(ss, d, n);
        else
            shed(ss, f, n);
        done += n;
    }
}

/* From the begin of a connection to ns; stamps of damaged files may lie further apart than an
 * int64_t can say. */
static int64_t since_begin(const struct ws_flow *flow, unsigned dir, int64_t ns)
{
    int64_t begin = flow->seen == 3 ? WS_MIN(ws_flow_first(flow)->ts_ns[0], ws_flow_first(flow)->ts_ns[1])
                                    : ws_flow_first(flow)->ts_ns[dir];
    int64_t since;
    if (__builtin_sub_overflow(ns, begin, &since))
        since = ns > begin ? INT64_MAX : INT64_MIN;
    return since;
}

/* A piece of PLAIN, with what it says of missing bytes. */
static bool put_plain(struct stream_sink *ss, struct stream_file *f, struct stream_dir *d,
                      uint64_t missing, const uint8_t *data, uint32_t len)
{
    char gap_buf[40];
    struct ws_text gap;
    ws_text_init(&gap, gap_buf, sizeof(gap_buf));
    if (missing && !ss->cfg.gaps_skip && !ss->cfg.gaps_holes)
        ws_chunk_missing(&gap, missing);
    if (missing && ss->cfg.gaps_holes && !hole(ss, f, d, missing))
        ws_count(ss->base.counters, WS_C_HOLE_BYTES_SKIPPED, missing);
    struct ws_bytes piece[2] = {{gap.buf, gap.len}, {data, len}};
    return gap.len + len == 0 || append(ss, f, piece, 2);
}

/* A chunk of a text format; data may be empty when only missing bytes are told. */
static bool put_chunk(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                      struct stream_file *f, uint64_t missing, const uint8_t *data, uint32_t len,
                      int64_t ts_ns)
{
    unsigned side = dir != flow->orig;
    struct ws_text t;

    if (ss->cfg.format == WS_STREAM_JSON) {
        struct ws_chunk_json c = {
            .side = side,
            .ts_ns = ts_ns,
            .conn_ns = since_begin(flow, dir, ts_ns),
            .data = data,
            .len = len,
            .missing = missing,
            .missing_text = ss->cfg.missing_text,
            .ns = ss->cfg.json_ns,
        };
        ws_text_init(&t, ss->line, WS_CHUNK_JSON_MAX);
        ws_chunk_json_line(&t, &c);
        struct ws_bytes piece = {t.buf, t.len};
        return append(ss, f, &piece, 1);
    }
    if (ss->cfg.format == WS_STREAM_PLAIN)
        return put_plain(ss, f, &ws_stream_area(ss, flow)->dir[dir], missing, data, len);
    char head_buf[WS_CHUNK_TEXT_HEADER_MAX], gap_buf[40];
    struct ws_text gap;
    ws_text_init(&gap, gap_buf, sizeof(gap_buf));
    if (missing)
        ws_chunk_missing(&gap, missing);
    ws_text_init(&t, head_buf, sizeof(head_buf));
    ws_chunk_text_header(&t, side, gap.len + len);
    struct ws_bytes piece[3] = {{t.buf, t.len}, {gap.buf, gap.len}, {data, len}};
    return append(ss, f, piece, 3);
}

static void chunk_data(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                       struct stream_file *f, struct stream_dir *d, const uint8_t *data,
                       uint32_t len, int64_t ts_ns)
{
    bool json = ss->cfg.format == WS_STREAM_JSON;
    uint32_t piece_max = ss->cfg.merged ? (json ? MERGED_JSON_PIECE_MAX : MERGED_PIECE_MAX)
                         : json         ? WS_CHUNK_PAYLOAD_MAX
                                        : UINT32_MAX;
    for (uint32_t done = 0; done < len;) {
        uint32_t n = WS_MIN(len - done, piece_max);
        if (put_chunk(ss, flow, dir, f, d->pending_len, data + done, n, ts_ns)) {
            d->pending_len = 0;
            wrote(ss, d, n);
        } else {
            shed(ss, f, n);
            d->pending_len += n; /* the reader of the file is told as well */
        }
        done += n;
    }
}

/* --- events --- */

/* Whether a UDP header stands before a payload. Of UDP-Lite it is part of the payload where its ports were not read
 * (struct ws_decode_config.tcp_udp_ports). */
static bool has_udp_header(const struct ws_flow *flow)
{
    return flow->key.proto == 17 || (flow->key.proto == 136 && (flow->key.port[0] || flow->key.port[1]));
}

static void on_gap(struct ws_sink *s, struct ws_flow *flow, unsigned dir, uint64_t off,
                   uint64_t len, enum ws_gap_cause cause);

/* Whether these bytes are left out; ranges of one stream that follow each other become one gap. off: without base. */
static bool shed_bulk(struct stream_sink *ss, struct ws_flow *flow, unsigned dir, uint64_t off, uint32_t len)
{
    struct stream_dir *d = &ws_stream_area(ss, flow)->dir[dir];
    if (!ws_overload_sheds(ss->cfg.channel, ss->cfg.shed_keep, off))
        return false;
    if (!d->bulk_len)
        d->bulk_off = off;
    d->bulk_len += len;
    ws_count(ss->base.counters, WS_C_SHED_BULK_BYTES, len);
    return true;
}

/* Tells the gap that shed bytes are, before what comes behind them. */
static void tell_bulk(struct stream_sink *ss, struct ws_flow *flow, unsigned dir)
{
    struct stream_dir *d = &ws_stream_area(ss, flow)->dir[dir];
    uint64_t len = d->bulk_len;
    if (WS_LIKELY(!len))
        return;
    d->bulk_len = 0;
    on_gap(&ss->base, flow, dir, d->bulk_off, len, WS_GAP_SHED);
}

static void on_data(struct ws_sink *s, struct ws_flow *flow, unsigned dir, uint64_t off,
                    const uint8_t *data, uint32_t len, const struct ws_tcp_meta *meta)
{
    struct stream_sink *ss = (struct stream_sink *)s;
    struct stream_flow *a = ws_stream_area(ss, flow);
    struct stream_file *f = &a->file[ss->joined ? 0 : dir];
    struct stream_dir *d = &a->dir[dir];

    if (WS_UNLIKELY(len == 0))
        return;
    if (ss->meta_off)
        ws_stream_metadata_note(ss, flow, dir, len, meta);
    if (ss->cfg.format == WS_STREAM_NONE)
        return;
    if (WS_UNLIKELY(shed_bulk(ss, flow, dir, off, len)))
        return;
    tell_bulk(ss, flow, dir);
    note_order(ss, flow, meta->ordinal);
    off += d->base;
    if (ss->cfg.udp_header && has_udp_header(flow)) {
        /* each datagram is as much longer, so those before moved the place of this one */
        off = d->data_bytes + d->gap_bytes + f->shed;
        data -= UDP_HEADER_LEN;
        len += UDP_HEADER_LEN;
    }
    if (WS_UNLIKELY(ss->cfg.cut) && ss->cfg.format != WS_STREAM_RAW &&
        (len = ws_stream_within(ss, off, len)) == 0)
        return;
    if (WS_UNLIKELY(!ws_stream_open_file(ss, flow, dir, f))) {
        shed(ss, f, len);
        if (ss->cfg.format == WS_STREAM_RAW)
            f->pos = WS_MAX(f->pos, off - d->skipped + len);
        else if (ss->cfg.format >= WS_STREAM_PLAIN)
            d->pending_len += len;
        return;
    }
    switch (ss->cfg.format) {
    case WS_STREAM_RAW:
        ws_stream_sidecar_pending(ss, flow, dir, d);
        ws_stream_put(ss, flow, dir, off - d->skipped, data, len, meta->ts_ns);
        break;
    case WS_STREAM_HEADERS12:
    case WS_STREAM_HEADERS32:
        ws_stream_sidecar_pending(ss, flow, dir, d);
        headers_data(ss, flow, dir, f, d, data, len, meta);
        break;
    case WS_STREAM_PLAIN:
    case WS_STREAM_CHUNKS:
    case WS_STREAM_JSON:
        chunk_data(ss, flow, dir, f, d, data, len, meta->ts_ns);
        break;
    case WS_STREAM_PCAP:
    case WS_STREAM_NONE:
        break;
    }
    d->ordinal = WS_MAX(d->ordinal, meta->ordinal);
}

/* Adds to the gap that waits for the next data; gaps without data between them are one. */
static void note_pending(struct stream_dir *d, uint64_t off, uint64_t len, enum ws_gap_cause cause)
{
    if (d->pending_len == 0) {
        d->pending_off = off;
        d->pending_cause = (uint8_t)cause;
    }
    d->pending_len += len;
}

static void on_gap(struct ws_sink *s, struct ws_flow *flow, unsigned dir, uint64_t off,
                   uint64_t len, enum ws_gap_cause cause)
{
    struct stream_sink *ss = (struct stream_sink *)s;
    struct stream_flow *a = ws_stream_area(ss, flow);
    struct stream_file *f = &a->file[ss->joined ? 0 : dir];
    struct stream_dir *d = &a->dir[dir];

    if (len == 0 || ss->cfg.format >= WS_STREAM_PCAP)
        return;
    tell_bulk(ss, flow, dir); /* which lies before */
    off += d->base;
    if (ss->cfg.udp_header && ss->cfg.format == WS_STREAM_RAW && has_udp_header(flow))
        off = d->data_bytes + d->gap_bytes + f->shed; /* as in on_data() */
    d->gaps++;
    d->gap_bytes += len;
    bool listed = ss->gaps_off && (ss->cfg.gaps_listed || !f->id) &&
                  ws_stream_gaps_note(ss, flow, dir, off, len, cause);
    if (ss->cfg.format >= WS_STREAM_PLAIN) {
        note_pending(d, off, len, cause);
        return;
    }
    if (ss->sidecar_off) {
        if (f->id)
            ws_stream_sidecar_line(ss, flow, dir, off, len, ws_gap_cause_name(cause));
        else if (listed)
            d->pending_list = 1;
        else
            note_pending(d, off, len, cause);
    }
    if (ss->cfg.format != WS_STREAM_RAW)
        return;
    uint64_t end = off - d->skipped + len;
    bool too_many =
        ss->cfg.holes_max && len > ss->cfg.holes_max - WS_MIN(ss->cfg.holes_max, d->holes);
    /* A file position is a signed 64-bit number of the kernel's. */
    if (ss->cfg.gaps_skip || too_many || end > INT64_MAX) {
        d->skipped += len;
        ws_count(s->counters, WS_C_HOLE_BYTES_SKIPPED, len);
        return;
    }
    d->holes += len;
    f->pos = WS_MAX(f->pos, end);
}

static void pcap_packet(struct stream_sink *ss, struct ws_flow *flow, const struct ws_packet *p)
{
    struct stream_file *f = &ws_stream_area(ss, flow)->file[ss->joined ? 0 : p->dir];
    struct stream_dir *d = &ws_stream_area(ss, flow)->dir[p->dir];
    struct ws_frame frame;
    struct ws_bytes piece[4];
    uint8_t header[WS_PCAP_HEADER_LEN];
    unsigned n = 0;

    if (!f->id)
        f->link_type = p->link_type;
    bool fits = ss->cfg.frame.pcapng ? p->iface < ss->cfg.n_iface : p->link_type == f->link_type;
    if (!fits) {
        ws_count(ss->base.counters, WS_C_OUT_LINK_TYPE, 1);
        return;
    }
    if (WS_UNLIKELY(ws_overload_sheds(ss->cfg.channel, ss->cfg.shed_keep, f->pos))) {
        ws_count(ss->base.counters, WS_C_SHED_BULK_PACKETS, 1);
        return;
    }
    if (!ws_stream_open_file(ss, flow, p->dir, f)) {
        ws_count(ss->base.counters, WS_C_SHED_BLOCK_PACKETS, 1);
        return;
    }
    if (f->pos == 0) { /* the file's header goes with its first packet, or not at all */
        if (ss->cfg.frame.pcapng) {
            piece[n++] = (struct ws_bytes){ss->file_header, ss->file_header_len};
        } else {
            struct ws_pcapng_iface iface = {.link_type = f->link_type};
            ws_frame_header(header, sizeof(header), &ss->cfg.frame, &iface, 1);
            piece[n++] = (struct ws_bytes){header, sizeof(header)};
        }
    }
    ws_frame_encode(&frame, &ss->cfg.frame, p->iface, p);
    for (unsigned i = 0; i < frame.n; i++)
        piece[n++] = frame.piece[i];
    if (!append(ss, f, piece, n)) {
        ws_count(ss->base.counters, WS_C_SHED_BLOCK_PACKETS, 1);
        return;
    }
    d->data_bytes += frame.cap_len;
    ws_count(ss->base.counters, WS_C_OUT_STREAM_PACKETS, 1);
}

/* As the flow stage decides whose payload becomes data. */
static bool wants_proto(const struct stream_sink *ss, uint8_t proto)
{
    if (proto == 6)
        return ss->cfg.pcap_tcp;
    return proto == 17 || proto == 136 ? ss->cfg.pcap_udp : ss->cfg.pcap_other;
}

static void on_packet(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p)
{
    struct stream_sink *ss = (struct stream_sink *)s;
    if (!flow || (p->flags & WS_PKT_DATAGRAM))
        return;
    if (ss->macs_off) {
        struct stream_macs *m = ws_stream_macs_of(ss, flow, p->dir);
        if (!m->known) {
            memcpy(m->src, p->mac_src, 6);
            memcpy(m->dst, p->mac_dst, 6);
            m->known = 1;
        }
    }
    if (ss->syn_off)
        empty_record(ss, flow, p);
    if (ss->cfg.format == WS_STREAM_PCAP && wants_proto(ss, flow->key.proto))
        pcap_packet(ss, flow, p);
}

/* Tells about missing bytes after the last data, in the formats that tell them in the data. */
static void trailing_gaps(struct stream_sink *ss, struct ws_flow *flow, struct stream_flow *a)
{
    for (unsigned d = 0; d < 2; d++) {
        struct stream_file *f = &a->file[ss->joined ? 0 : d];
        if (a->dir[d].pending_len && f->id)
            put_chunk(ss, flow, d, f, a->dir[d].pending_len, NULL, 0, flow->last_ts_ns[d]);
    }
}

/* A later connection of the tuple: its bytes follow those of the one before. */
static void on_restart(struct ws_sink *s, struct ws_flow *flow)
{
    struct stream_sink *ss = (struct stream_sink *)s;
    struct stream_flow *a = ws_stream_area(ss, flow);
    for (unsigned i = 0; i < 2; i++) {
        struct stream_dir *d = &a->dir[i];
        tell_bulk(ss, flow, i);
        d->base = d->data_bytes + d->gap_bytes + (ss->joined ? 0 : a->file[i].shed);
        d->begun = 0;
        if (ss->segment_off) {
            struct segment_dir *g = ws_stream_segment_of(ss, flow, i);
            g->base = -(int64_t)a->file[i].pos;
            g->next = 0;
        }
    }
}

static void on_close(struct ws_sink *s, struct ws_flow *flow, const struct ws_tcp_conn *tcp,
                     enum ws_flow_cause cause)
{
    struct stream_sink *ss = (struct stream_sink *)s;
    struct stream_flow *a = ws_stream_area(ss, flow);
    (void)tcp;
    note_order(ss, flow, 0);
    for (unsigned d = 0; d < 2; d++)
        tell_bulk(ss, flow, d);
    if (ss->cfg.format >= WS_STREAM_PLAIN && ss->cfg.format < WS_STREAM_PCAP)
        trailing_gaps(ss, flow, a);
    if (ss->meta_off && flow->selected && flow->seen && wants_proto(ss, flow->key.proto))
        ws_stream_metadata_write(ss, flow);
    for (unsigned d = 0; d < (ss->joined ? 1u : 2u); d++)
        ws_stream_end_file(ss, flow, d, cause, false);
    if (ss->gaps_off)
        for (unsigned d = 0; d < 2; d++)
            ws_stream_gaps_drop(ss, flow, d);
}

/* A merged output's next records come after what the engine promises here. */
static uint64_t on_order(struct ws_sink *s, uint64_t ordinal)
{
    struct stream_sink *ss = (struct stream_sink *)s;
    ss->order = WS_MAX(ss->order, WS_MIN(ordinal, MERGED_END));
    return merged_order(ss, ss->order);
}

static void on_finish(struct ws_sink *s)
{
    struct stream_sink *ss = (struct stream_sink *)s;
    ws_stream_retry_closes(ss);
    for (unsigned ms = 0; ss->n_closing && ms < CLOSES_WAIT_MS; ms++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        ws_stream_retry_closes(ss);
    }
    /* What still has no room is closed by the end of the channel, as written. */
    ws_count(s->counters, WS_C_OUT_CLOSES_LOST, ss->n_closing);
}

static void on_destroy(struct ws_sink *s)
{
    struct stream_sink *ss = (struct stream_sink *)s;
    if (!ss->cfg.alloc)
        free(ss->names.entry);
    free(ss->gap);
    free(ss->file_header);
    free(ss->line);
    free(ss);
}

static const struct ws_sink_ops stream_ops = {
    .packet = on_packet,
    .segment = ws_stream_segment,
    .data = on_data,
    .gap = on_gap,
    .flow_close = on_close,
    .order = on_order,
    .restart = on_restart,
    .finish = on_finish,
    .destroy = on_destroy,
};

/* --- creation --- */

const char *ws_sink_stream_template(enum ws_stream_format format)
{
    switch (format) {
    case WS_STREAM_CHUNKS:
        return "%D-%P-%-A.%-a-%-B.%-b%C%c.txt";
    case WS_STREAM_JSON:
        return "%D-%P-%-A.%-a-%-B.%-b%C%c.json";
    case WS_STREAM_PCAP:
        return WS_NAME_DEFAULT ".pcap";
    default:
        return WS_NAME_DEFAULT;
    }
}

/* Lays out the flow's area: always struct stream_flow, then what the options need. */
static void lay_out(struct stream_sink *ss)
{
    size_t size = sizeof(struct stream_flow);
    if ((ss->name.uses & WS_NAME_USES_MAC) && !ss->cfg.key_macs) {
        ss->macs_off = (uint32_t)size;
        size += 2 * sizeof(struct stream_macs);
    }
    size = ws_align_up(size, 8);
    if (ss->cfg.empty_records && (ss->cfg.format == WS_STREAM_HEADERS12 || ss->cfg.format == WS_STREAM_HEADERS32)) {
        ss->syn_off = (uint32_t)size;
        size += 2 * sizeof(struct ws_tcp_meta);
    }
    if (ss->cfg.metadata) {
        ss->meta_off = (uint32_t)size;
        size += sizeof(struct stream_metadata);
    }
    if (ss->cfg.gaps_file && ss->cfg.format < WS_STREAM_PLAIN) {
        ss->sidecar_off = (uint32_t)size;
        size += 2 * sizeof(struct sidecar);
    }
    if (ss->cfg.findx) {
        ss->findx_off = (uint32_t)size;
        size += 2 * sizeof(struct sidecar);
    }
    if (ss->cfg.arrival) {
        ss->segment_off = (uint32_t)size;
        size += 2 * sizeof(struct segment_dir);
    }
    /* before the first data there are few gaps: one, or a few of several causes */
    ss->gaps_kept = ss->sidecar_off ? WS_MAX(ss->cfg.gaps_listed, 16u) : ss->cfg.gaps_listed;
    if (ss->gaps_kept) {
        ss->gaps_off = (uint32_t)size;
        size += 2 * sizeof(struct gap_list);
    }
    ss->base.flow_bytes = (uint32_t)ws_align_up(size, 8);
}

static int make_buffers(struct stream_sink *ss)
{
    size_t names_bytes = ws_names_bytes(ss->cfg.names_max);
    void *mem =
        ss->cfg.alloc ? ss->cfg.alloc(ss->cfg.alloc_user, names_bytes) : calloc(1, names_bytes);
    if (!mem)
        return -ENOMEM;
    ws_names_init(&ss->names, mem, ss->cfg.names_max);
    if ((ss->cfg.gaps_listed || ss->cfg.gaps_file) && ws_stream_gaps_init(ss) != 0)
        return -ENOMEM;
    if (ss->cfg.format == WS_STREAM_JSON && !(ss->line = malloc(WS_CHUNK_JSON_MAX)))
        return -ENOMEM;
    if (ss->cfg.format == WS_STREAM_PCAP && ss->cfg.frame.pcapng) {
        size_t room = ws_frame_header_room(ss->cfg.n_iface);
        if (!(ss->file_header = malloc(room)))
            return -ENOMEM;
        ss->file_header_len =
            ws_frame_header(ss->file_header, room, &ss->cfg.frame, ss->cfg.iface, ss->cfg.n_iface);
    }
    return 0;
}

int ws_sink_stream_create(struct ws_sink **s, const struct ws_sink_stream_config *cfg, char *err,
                          size_t err_len)
{
    struct stream_sink *ss = calloc(1, sizeof(*ss));
    if (!ss)
        return -ENOMEM;
    ss->cfg = *cfg;
    if (ss->cfg.names_max == 0)
        ss->cfg.names_max = 1u << 20;
    if (!ss->cfg.name_template) {
        ss->cfg.name_template = ws_sink_stream_template(cfg->format);
        if ((cfg->format == WS_STREAM_CHUNKS || cfg->format == WS_STREAM_JSON) && !cfg->name.colon)
            ss->cfg.name.colon = '_';
    }
    ss->joined = cfg->format >= WS_STREAM_PLAIN && !cfg->separate;
    if (cfg->local_time)
        tzset();
    int rc = ws_name_compile(&ss->name, ss->cfg.name_template, &ss->cfg.name, err, err_len);
    if (!rc)
        rc = make_buffers(ss);
    if (rc) {
        on_destroy(&ss->base);
        return rc;
    }
    ss->base.ops = &stream_ops;
    ss->base.channel = cfg->channel;
    ss->base.needs = WS_SINK_CLOSE;
    ss->base.needs |= cfg->format == WS_STREAM_PCAP ? WS_SINK_PACKET | WS_SINK_OF_FLOWS : WS_SINK_DATA;
    if (cfg->arrival)
        ss->base.needs = WS_SINK_SEGMENT | WS_SINK_DATAGRAM | WS_SINK_CLOSE;
    if (cfg->metadata)
        ss->base.needs |= WS_SINK_DATA;
    if ((ss->name.uses & WS_NAME_USES_MAC) && !ss->cfg.key_macs)
        ss->base.needs |= WS_SINK_PACKET | WS_SINK_OF_FLOWS;
    ss->base.needs |= WS_SINK_IDS;
    lay_out(ss);
    if (ss->syn_off)
        ss->base.needs |= WS_SINK_PACKET | WS_SINK_OF_FLOWS;
    *s = &ss->base;
    return 0;
}

bool ws_sink_stream_names_complete(const struct ws_sink *s)
{
    return ((const struct stream_sink *)s)->name.complete;
}
