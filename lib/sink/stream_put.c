/* SPDX-License-Identifier: BSD-3-Clause */
/* The stream sink's raw bytes: cut and made printable on request, listed in .findx. */
#include "format/console.h"
#include "sink/stream_impl.h"

#define FINDX_LINE_MAX 64u

uint32_t ws_stream_within(struct stream_sink *ss, uint64_t pos, uint32_t len)
{
    if (!ss->cfg.cut)
        return len;
    uint64_t max = ss->cfg.bytes_max;
    uint32_t within = pos >= max ? 0 : (uint32_t)WS_MIN(max - pos, (uint64_t)len);
    ws_count(ss->base.counters, WS_C_STREAM_CUT, len - within);
    return within;
}

/* Bytes written of data, which is len long. */
static uint32_t write_at(struct stream_sink *ss, struct stream_file *f, uint64_t pos,
                         const uint8_t *data, uint32_t len)
{
    uint32_t put = 0;
    if (!ss->cfg.strip) {
        struct ws_bytes piece = {data, len};
        return ws_channel_file_write(ss->cfg.channel, f->id, pos, &piece, 1) == 0 ? len : 0;
    }
    for (uint32_t done = 0; done < len;) {
        uint32_t n = WS_MIN(len - done, (uint32_t)sizeof(ss->stripped));
        struct ws_bytes piece = {ss->stripped, n};
        ws_console_strip(ss->stripped, data + done, n);
        put += ws_channel_file_write(ss->cfg.channel, f->id, pos + done, &piece, 1) == 0 ? n : 0;
        done += n;
    }
    return put;
}

/* offset|seconds.fraction|length; the file is opened by its first line. */
static void findx_line(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                       struct stream_file *f, uint64_t pos, uint32_t len, int64_t ts_ns)
{
    struct sidecar *sc = ws_stream_findx_of(ss, flow, dir);
    char buf[FINDX_LINE_MAX];
    struct ws_text t;

    ws_text_init(&t, buf, sizeof(buf));
    ws_text_u64(&t, pos, 0, '0');
    ws_text_putc(&t, '|');
    ws_text_seconds(&t, ts_ns, ss->cfg.findx_ns ? 9 : 6);
    ws_text_putc(&t, '|');
    ws_text_u64(&t, len, 0, '0');
    ws_text_putc(&t, '\n');
    if (!sc->id && ws_stream_make_path(ss, flow, dir, f, ".findx"))
        sc->id = ws_stream_open_path(ss, f, strlen(".findx"));
    struct ws_bytes piece = {buf, t.len};
    if (sc->id && ws_channel_file_write(ss->cfg.channel, sc->id, sc->pos, &piece, 1) == 0)
        sc->pos += t.len;
    else
        ws_count(ss->base.counters, WS_C_SHED_BLOCK_BYTES, t.len);
}

void ws_stream_put(struct stream_sink *ss, struct ws_flow *flow, unsigned dir, uint64_t pos,
                   const uint8_t *data, uint32_t len, int64_t ts_ns)
{
    struct stream_flow *a = ws_stream_area(ss, flow);
    struct stream_file *f = &a->file[dir];
    uint32_t within = ws_stream_within(ss, pos, len);
    uint32_t put = within ? write_at(ss, f, pos, data, within) : 0;

    a->dir[dir].data_bytes += put;
    ws_count(ss->base.counters, WS_C_OUT_STREAM_BYTES, put);
    if (WS_UNLIKELY(put < within)) {
        f->shed += within - put;
        ws_count(ss->base.counters, WS_C_SHED_BLOCK_BYTES, within - put);
    }
    if (ss->findx_off)
        findx_line(ss, flow, dir, f, pos, within, ts_ns);
    f->pos = WS_MAX(f->pos, pos + len);
}
