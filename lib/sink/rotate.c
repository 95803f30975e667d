/* SPDX-License-Identifier: BSD-3-Clause */
/* The packet sink of a live capture: a worker's own shards, rotated by size and time. */
#include "sink/pcap.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "format/text.h"

#define STEM_MAX 512u

/* How long the end of a run waits for room for the last trailer, in ms. */
#define TRAILER_WAIT_MS 500u

struct rotate_sink {
    struct ws_sink base;
    struct ws_sink_rotate_config cfg;
    uint16_t link_type;
    uint64_t file; /* 0 = none open */
    uint64_t pos;
    int64_t until_ns;  /* end of the open shard's time */
    uint64_t to_close; /* a full shard that the channel had no room to close */
    uint64_t to_close_size;
    uint32_t number; /* of the next shard */
    bool trailer_done; /* at the end of the run */
    uint8_t *header, *trailer;
    size_t header_len;
    char stem[STEM_MAX + 1];
};

/* False: there was no room. */
static bool put_trailer(struct rotate_sink *rs)
{
    if (!rs->cfg.trailer || rs->pos == 0)
        return true;
    struct ws_bytes piece = {rs->trailer, rs->cfg.trailer(rs->cfg.user, rs->trailer, rs->cfg.trailer_max)};
    if (piece.len && ws_channel_file_write(rs->cfg.channel, rs->file, rs->pos, &piece, 1) != 0)
        return false;
    rs->pos += piece.len;
    return true;
}

/* The last shard tells the whole run's losses: its trailer is worth a wait for a block. */
static void wait_for_trailer(struct rotate_sink *rs)
{
    for (unsigned ms = 0; rs->file && !rs->to_close && !put_trailer(rs) && ms < TRAILER_WAIT_MS; ms++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    rs->trailer_done = true;
}

/* Gives the close of the last shard to the channel; false while there is no room. */
static bool close_shard(struct rotate_sink *rs)
{
    if (rs->file && !rs->to_close) {
        if (!rs->trailer_done)
            put_trailer(rs);
        rs->to_close = rs->file;
        rs->to_close_size = rs->pos;
        rs->file = 0;
    }
    if (rs->to_close && ws_channel_file_close(rs->cfg.channel, rs->to_close, rs->to_close_size,
                                              INT64_MIN, rs->number) == 0)
        rs->to_close = 0;
    return rs->to_close == 0;
}

static bool open_shard(struct rotate_sink *rs, int64_t ts_ns)
{
    char path[STEM_MAX + 64];
    struct ws_text t;
    struct ws_bytes piece = {rs->header, rs->header_len};

    ws_text_init(&t, path, sizeof(path));
    ws_text_puts(&t, rs->stem);
    ws_text_putc(&t, '_');
    ws_text_stamp(&t, ts_ns, true);
    ws_text_putc(&t, '_');
    ws_text_u64(&t, rs->number, 5, '0');
    if (rs->cfg.workers > 1) {
        ws_text_puts(&t, "_w");
        ws_text_u64(&t, rs->cfg.worker, 0, '0');
    }
    ws_text_puts(&t, rs->cfg.format.pcapng ? ".pcapng" : ".pcap");
    if (ws_text_end(&t) < 0)
        return false;
    rs->file = ws_channel_file_open(rs->cfg.channel, path, WS_FILE_PART);
    if (!rs->file)
        return false;
    rs->number++;
    rs->pos = 0;
    if (rs->cfg.time_ns) {
        int64_t into = ts_ns % rs->cfg.time_ns;
        if (into < 0)
            into += rs->cfg.time_ns;
        rs->until_ns =
            ts_ns - into > INT64_MAX - rs->cfg.time_ns ? INT64_MAX : ts_ns - into + rs->cfg.time_ns;
    }
    if (ws_channel_file_write(rs->cfg.channel, rs->file, 0, &piece, 1) == 0)
        rs->pos = rs->header_len;
    return true;
}

/* Makes the shard for a packet of len bytes ready, header included. */
static bool ready(struct rotate_sink *rs, int64_t ts_ns, size_t len)
{
    if (rs->file) {
        bool full =
            rs->cfg.size_max && rs->pos > rs->header_len && rs->pos + len + rs->cfg.trailer_max > rs->cfg.size_max;
        bool over = rs->cfg.time_ns && ts_ns >= rs->until_ns;
        if (WS_UNLIKELY(full || over))
            close_shard(rs);
    }
    if (WS_UNLIKELY(!rs->file)) {
        if (!close_shard(rs) || !open_shard(rs, ts_ns))
            return false;
    }
    if (WS_UNLIKELY(rs->pos == 0)) { /* opened when there was no room for its header */
        struct ws_bytes piece = {rs->header, rs->header_len};
        if (ws_channel_file_write(rs->cfg.channel, rs->file, 0, &piece, 1) != 0)
            return false;
        rs->pos = rs->header_len;
    }
    return true;
}

/* At the shard's end: in place in the block in hand, else in pieces that go on in the next one. */
static bool put_packet(struct rotate_sink *rs, const struct ws_packet *p, uint64_t drops, size_t len, uint32_t cap_len)
{
    uint8_t *to = ws_channel_file_place(rs->cfg.channel, rs->file, rs->pos, len);
    if (WS_LIKELY(to)) {
        ws_frame_put(to, &rs->cfg.format, p->iface, p, drops, cap_len);
        return true;
    }
    struct ws_frame f;
    ws_frame_encode_after(&f, &rs->cfg.format, p->iface, p, drops);
    return ws_channel_file_write(rs->cfg.channel, rs->file, rs->pos, f.piece, f.n) == 0;
}

static void on_packet(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p)
{
    struct rotate_sink *rs = (struct rotate_sink *)s;
    uint32_t cap_len;
    (void)flow;
    if (p->flags & WS_PKT_DATAGRAM)
        return;
    if (rs->cfg.format.pcapng ? p->iface >= rs->cfg.n_iface : p->link_type != rs->link_type) {
        ws_count(s->counters, WS_C_OUT_LINK_TYPE, 1);
        return;
    }
    uint64_t drops = ws_losses_before(rs->cfg.losses, p->iface);
    size_t len = ws_frame_len(&rs->cfg.format, p, drops, &cap_len);
    if (WS_UNLIKELY(!ready(rs, p->ts_ns, len) || !put_packet(rs, p, drops, len, cap_len))) {
        ws_count(s->counters, WS_C_SHED_BLOCK_PACKETS, 1);
        ws_losses_shed(rs->cfg.losses, p->iface);
        return;
    }
    rs->pos += len;
    ws_losses_written(rs->cfg.losses, p->iface);
    ws_count(s->counters, WS_C_OUT_PACKETS, 1);
    ws_count(s->counters, WS_C_OUT_PACKET_BYTES, cap_len);
}

void ws_sink_rotate_tick(struct ws_sink *s, int64_t now_ns)
{
    struct rotate_sink *rs = (struct rotate_sink *)s;
    if (rs->to_close || (rs->file && rs->cfg.time_ns && now_ns >= rs->until_ns))
        close_shard(rs);
}

static void on_finish(struct ws_sink *s)
{
    wait_for_trailer((struct rotate_sink *)s);
    /* When there is no room the channel's end closes the file. */
    close_shard((struct rotate_sink *)s);
}

static void on_destroy(struct ws_sink *s)
{
    free(((struct rotate_sink *)s)->header);
    free(((struct rotate_sink *)s)->trailer);
    free(s);
}

static const struct ws_sink_ops rotate_ops = {
    .packet = on_packet,
    .tick = ws_sink_rotate_tick,
    .finish = on_finish,
    .destroy = on_destroy,
};

int ws_sink_rotate_create(struct ws_sink **s, const struct ws_sink_rotate_config *cfg)
{
    size_t room = ws_frame_header_room(cfg->n_iface);
    if (cfg->n_iface == 0 || strlen(cfg->stem) > STEM_MAX)
        return -EINVAL;
    struct rotate_sink *rs = calloc(1, sizeof(*rs));
    if (rs && cfg->trailer)
        rs->trailer = malloc(cfg->trailer_max);
    if (!rs || (cfg->trailer && !rs->trailer) || !(rs->header = malloc(room))) {
        free(rs ? rs->trailer : NULL);
        free(rs);
        return -ENOMEM;
    }
    rs->cfg = *cfg;
    rs->cfg.trailer_max = cfg->trailer ? cfg->trailer_max : 0;
    rs->header_len = ws_frame_header(rs->header, room, &cfg->format, cfg->iface, cfg->n_iface);
    rs->link_type = cfg->iface[0].link_type;
    memcpy(rs->stem, cfg->stem, strlen(cfg->stem) + 1);
    rs->base =
        (struct ws_sink){.ops = &rotate_ops, .needs = WS_SINK_PACKET, .channel = cfg->channel};
    *s = &rs->base;
    return 0;
}
