/* SPDX-License-Identifier: BSD-3-Clause */
/* The console sink. */
#include "sink/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink/flow_values.h"

/* What tells the records of workers apart in the merged output (the engine has at most 64). */
#define WORKERS_MAX 64u
#define ORDINAL_MAX (UINT64_MAX / WORKERS_MAX - 1)

static_assert(WS_CONSOLE_MAX < 512 * 1024, "a packet is one record (WS_RECORD_MAX)");

/* A direction of a flow. */
struct console_dir {
    uint64_t printed; /* bytes */
    uint8_t src[6], dst[6];
    uint8_t client; /* sent a SYN without ACK */
    uint8_t macs;   /* src and dst are known */
    uint8_t pad[2];
};

struct console_sink {
    struct ws_sink base;
    struct ws_sink_console_config cfg;
    struct ws_name name;
    uint64_t order; /* ordinal that the next record comes with, at least */
    char path[WS_CONSOLE_NAME_MAX];
    char text[WS_CONSOLE_MAX];
};

static struct console_dir *area(const struct console_sink *cs, struct ws_flow *flow, unsigned dir)
{
    return (struct console_dir *)ws_flow_ext(flow, cs->base.flow_off) + dir;
}

static void name_values(const struct console_sink *cs, struct ws_flow *flow, unsigned dir,
                        struct ws_name_values *v)
{
    ws_flow_values(flow, dir, v);
    v->ts_ns = ws_flow_first(flow)->ts_ns[dir];
    if (cs->name.uses & WS_NAME_USES_NUMBER && cs->base.ids) {
        uint64_t id = ws_flow_ids_get(cs->base.ids, flow, dir);
        v->number = id && cs->cfg.number_from_zero ? id - 1 : id;
    }
    if (cs->name.uses & WS_NAME_USES_MAC) {
        const struct console_dir *d = area(cs, flow, dir), *peer = area(cs, flow, !dir);
        memcpy(v->src_mac, d->macs ? d->src : peer->dst, 6);
        memcpy(v->dst_mac, d->macs ? d->dst : peer->src, 6);
    }
}

/* The place of a record: never below what was promised, and never another worker's. */
static uint64_t place(const struct console_sink *cs, uint64_t ordinal)
{
    return WS_MIN(ordinal, ORDINAL_MAX) * WORKERS_MAX + cs->base.worker;
}

static void print(struct console_sink *cs, struct ws_flow *flow, unsigned dir, const uint8_t *data,
                  uint32_t len, uint64_t ordinal)
{
    struct console_dir *d = area(cs, flow, dir);
    struct ws_console_packet p = {
        .prefix = cs->cfg.prefix ? cs->cfg.prefix : "",
        .name = cs->path,
        .src = flow->key.addr[dir],
        .dst = flow->key.addr[!dir],
        .src_port = flow->key.port[dir],
        .dst_port = flow->key.port[!dir],
        .ip_version = flow->key.ip_version,
        .client = flow->key.proto == 6 ? d->client : dir == flow->orig,
    };
    if (cs->cfg.cut) {
        uint64_t left = cs->cfg.bytes_max - WS_MIN(cs->cfg.bytes_max, d->printed);
        uint32_t n = (uint32_t)WS_MIN(left, (uint64_t)len);
        ws_count(cs->base.counters, WS_C_STREAM_CUT, len - n);
        len = n;
    }
    if (len == 0)
        return;
    if (cs->cfg.style.header && cs->cfg.style.kind != WS_CONSOLE_JSON) {
        struct ws_name_values v;
        name_values(cs, flow, dir, &v);
        if (ws_name_render(&cs->name, &v, cs->path, sizeof(cs->path)) < 0) {
            cs->path[0] = '\0';
            ws_count(cs->base.counters, WS_C_OUT_NAME_FAILED, 1);
        }
    }
    cs->order = WS_MAX(cs->order, ordinal);
    d->printed += len;
    for (uint32_t done = 0; done < len; done += p.len) {
        struct ws_text t;
        p.data = data + done;
        p.len = WS_MIN(len - done, WS_CONSOLE_PIECE_MAX);
        ws_text_init(&t, cs->text, sizeof(cs->text));
        ws_console_encode(&t, &cs->cfg.style, &p);
        struct ws_bytes piece = {t.buf, t.len};
        bool put = ws_channel_record(cs->cfg.channel, place(cs, cs->order), &piece, 1) == 0;
        ws_count(cs->base.counters, put ? WS_C_OUT_STREAM_BYTES : WS_C_SHED_BLOCK_BYTES, p.len);
    }
}

static void on_segment(struct ws_sink *s, struct ws_flow *flow, unsigned dir, int64_t off,
                       const struct ws_tcp_segment *seg)
{
    (void)off;
    if (seg->len)
        print((struct console_sink *)s, flow, dir, seg->data, seg->len, seg->meta.ordinal);
}

static void on_data(struct ws_sink *s, struct ws_flow *flow, unsigned dir, uint64_t off,
                    const uint8_t *data, uint32_t len, const struct ws_tcp_meta *meta)
{
    (void)off;
    print((struct console_sink *)s, flow, dir, data, len, meta->ordinal);
}

/* What a packet says of its direction: who opened the connection, and MACs. */
static void on_packet(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p)
{
    if (!flow || (p->flags & WS_PKT_DATAGRAM))
        return;
    struct console_dir *d = area((struct console_sink *)s, flow, p->dir);
    if (p->flags & WS_PKT_TCP && (p->tcp_flags & (WS_TCP_SYN | WS_TCP_ACK)) == WS_TCP_SYN)
        d->client = 1;
    /* The first packet came before the flow was one: a SYN on a tuple whose old connection was open. */
    if (!d->macs && p->dir == flow->orig && p->ordinal != ws_flow_first(flow)->ordinal[p->dir])
        d->client = 1;
    if (!d->macs) {
        memcpy(d->src, p->mac_src, 6);
        memcpy(d->dst, p->mac_dst, 6);
        d->macs = 1;
    }
}

static uint64_t on_order(struct ws_sink *s, uint64_t ordinal)
{
    struct console_sink *cs = (struct console_sink *)s;
    cs->order = WS_MAX(cs->order, WS_MIN(ordinal, ORDINAL_MAX));
    return place(cs, ordinal);
}

static void on_destroy(struct ws_sink *s)
{
    free(s);
}

static const struct ws_sink_ops console_ops = {
    .packet = on_packet,
    .segment = on_segment,
    .data = on_data,
    .order = on_order,
    .destroy = on_destroy,
};

int ws_sink_console_create(struct ws_sink **s, const struct ws_sink_console_config *cfg, char *err,
                           size_t err_len)
{
    struct console_sink *cs = calloc(1, sizeof(*cs));
    if (!cs)
        return -ENOMEM;
    cs->cfg = *cfg;
    cs->cfg.name.no_counter = true;
    int rc = 0;
    if (cfg->prefix && strlen(cfg->prefix) > WS_CONSOLE_NAME_MAX) {
        snprintf(err, err_len, "more than %u characters before names", WS_CONSOLE_NAME_MAX);
        rc = -EINVAL;
    }
    if (!rc)
        rc = ws_name_compile(&cs->name, cfg->name_template ? cfg->name_template : WS_NAME_DEFAULT,
                             &cs->cfg.name, err, err_len);
    if (rc) {
        free(cs);
        return rc;
    }
    cs->base.ops = &console_ops;
    cs->base.channel = cfg->channel;
    cs->base.flow_bytes = 2 * sizeof(struct console_dir);
    cs->base.needs = WS_SINK_IDS | (cfg->ordered ? WS_SINK_DATA : WS_SINK_SEGMENT | WS_SINK_DATAGRAM);
    if (cfg->style.color || cs->name.uses & WS_NAME_USES_MAC)
        cs->base.needs |= WS_SINK_PACKET | WS_SINK_OF_FLOWS;
    *s = &cs->base;
    return 0;
}
