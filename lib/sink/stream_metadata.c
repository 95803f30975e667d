/* SPDX-License-Identifier: BSD-3-Clause */
/* The stream sink's metadata files: counts of each connection, as pcap2conn -m writes them. */
#include "format/chunk.h"
#include "sink/stream_impl.h"

static struct stream_metadata *area(const struct stream_sink *ss, struct ws_flow *flow)
{
    return ws_flow_ext(flow, ss->base.flow_off + ss->meta_off);
}

void ws_stream_metadata_note(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                             uint32_t len, const struct ws_tcp_meta *meta)
{
    struct stream_metadata *m = area(ss, flow);
    unsigned side = dir != flow->orig;
    m->bytes[side] += len;
    m->packets[side] += meta->piece == 0;
    if (m->side != side + 1) {
        m->messages[side]++;
        m->side = (uint8_t)(side + 1);
    }
}

/* Turns the name in ss->path into that of its metadata. False: too long. */
static bool metadata_path(struct stream_sink *ss)
{
    static const char *const endings[] = {".txt", ".json", ".pcap"};
    const char *suffix =
        ss->cfg.metadata == WS_STREAM_METADATA_JSON ? "-metadata.json" : "-metadata.txt";
    struct ws_text t;

    ws_text_init(&t, ss->path, sizeof(ss->path));
    t.len = strlen(ss->path);
    for (size_t i = 0; i < WS_ARRAY_SIZE(endings); i++) {
        size_t n = strlen(endings[i]);
        if (t.len > n && memcmp(ss->path + t.len - n, endings[i], n) == 0) {
            t.len -= n;
            break;
        }
    }
    ws_text_puts(&t, suffix);
    return ws_text_end(&t) > 0;
}

void ws_stream_metadata_write(struct stream_sink *ss, struct ws_flow *flow)
{
    const struct stream_metadata *m = area(ss, flow);
    struct stream_file *f = &ws_stream_area(ss, flow)->file[ss->joined ? 0 : flow->orig];
    char text[WS_CHUNK_METADATA_MAX];
    struct ws_chunk_metadata c;
    struct ws_text t;

    /* The data may have had no name, which is counted already. */
    if (!ws_stream_make_path(ss, flow, flow->orig, f, ""))
        return;
    if (!metadata_path(ss)) {
        ws_count(ss->base.counters, WS_C_OUT_NAME_FAILED, 1);
        return;
    }
    memcpy(c.packets, m->packets, sizeof(c.packets));
    memcpy(c.bytes, m->bytes, sizeof(c.bytes));
    memcpy(c.messages, m->messages, sizeof(c.messages));
    ws_text_init(&t, text, sizeof(text));
    if (ss->cfg.metadata == WS_STREAM_METADATA_JSON)
        ws_chunk_metadata_json(&t, &c);
    else
        ws_chunk_metadata_text(&t, &c);
    struct ws_bytes piece = {text, t.len};
    uint64_t id = ws_channel_file_open(ss->cfg.channel, ss->path, ss->cfg.file_flags | WS_FILE_ASIDE);
    if (!id || ws_channel_file_write(ss->cfg.channel, id, 0, &piece, 1) != 0)
        ws_count(ss->base.counters, WS_C_SHED_BLOCK_BYTES, t.len);
    if (id)
        ws_stream_close_file(ss, id, t.len, ws_stream_first_ts(ss, flow, flow->orig), 0);
}
