/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a sequence of TCP segments, pushed into a reassembler with tiny limits: order,
 * ledger, memory.
 *
 * Byte 0 chooses policy and wants, byte 1 the caps. Then a record a segment:
 *   direction and flags (1), sequence number (4, or 1 as an offset near the last), ack (the same),
 *   length (1), captured length cut (1 in four), packet time step (1). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tcp/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct watch {
    uint64_t off[2];
    bool content;
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void on_data(void *flow, unsigned dir, uint64_t off, const uint8_t *data, uint32_t len,
                    const struct ws_tcp_meta *meta, void *user)
{
    struct watch *w = user;
    volatile uint8_t sum = 0;
    (void)flow;
    require(meta && len && off == w->off[dir]);
    for (uint32_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + data[i]);
    w->off[dir] += len;
}

static void on_gap(void *flow, unsigned dir, uint64_t off, uint64_t len, enum ws_gap_cause cause,
                   void *user)
{
    struct watch *w = user;
    (void)flow;
    require(len && cause < WS_GAP_CAUSES);
    if (w->content)
        require(off == w->off[dir]);
    w->off[dir] = off + len;
}

static void check_ledger(const struct ws_tcp *t, const struct ws_tcp_conn *c,
                         const struct ws_counters *n)
{
    uint64_t sum = ws_count_get(n, WS_C_PAYLOAD_DELIVERED) +
                   ws_count_get(n, WS_C_PAYLOAD_DUPLICATE) + ws_count_get(n, WS_C_PAYLOAD_OVERLAP) +
                   ws_count_get(n, WS_C_PAYLOAD_HELD);
    for (int i = WS_C_REFUSED_WINDOW; i <= WS_C_REFUSED_NO_SINK; i++)
        sum += ws_count_get(n, (enum ws_counter)i);
    require(sum == ws_count_get(n, WS_C_PAYLOAD_SEEN));
    require(ws_count_get(n, WS_C_PAYLOAD_HELD) == ws_tcp_held_bytes(t));
    require(ws_count_get(n, WS_C_STREAM_BYTES) ==
            ws_count_get(n, WS_C_PAYLOAD_DELIVERED) + ws_count_get(n, WS_C_GAP_BYTES));
    require(t->pool.nodes_used == c->dir[0].held_nodes + c->dir[1].held_nodes);
    require(c->history_len < sizeof(c->history));
}

/* Input, taken a byte at a time; zeros when it is over. */
struct input {
    const uint8_t *p, *end;
};

static uint8_t take(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

/* A sequence number: mostly near the last one, sometimes any. */
static uint32_t take_seq(struct input *in, uint32_t near, bool any)
{
    if (any) {
        uint32_t v = 0;
        for (int i = 0; i < 4; i++)
            v = v << 8 | take(in);
        return v;
    }
    return near + (uint32_t)(int32_t)(int8_t)take(in) * 3;
}

static void restart(struct ws_tcp *t, struct ws_tcp_conn *c, struct watch *w,
                    enum ws_tcp_verdict verdict)
{
    struct ws_tcp_conn old = *c;
    ws_tcp_close(t, c, w, WS_GAP_NEVER_SEEN);
    require(t->pool.nodes_used == 0 && t->pool.cells_used == 0);
    memset(c, 0, sizeof(*c));
    w->off[0] = w->off[1] = 0;
    if (verdict == WS_TCP_NEW_CANDIDATE)
        ws_tcp_adopt(t, c, &old);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const unsigned wants[] = {WS_TCP_WANT_DATA, WS_TCP_WANT_GAPS,
                                     WS_TCP_WANT_DATA | WS_TCP_WANT_SEGMENT, 0};
    static const struct ws_tcp_ops ops = {.data = on_data, .gap = on_gap};
    static uint8_t text[4096];
    struct input in = {bytes, bytes + len};
    uint8_t a = take(&in), b = take(&in);
    struct ws_tcp_config cfg = {
        .overlap = (enum ws_overlap)(a % 7),
        .nodes_max = b & 15,
        .bytes_max = (b >> 4 & 7) * WS_HELD_CELL * 2,
        .dir_bytes_max = 700,
        .dir_nodes_max = 6,
        .jump_max = b & 128 ? 0 : 5000,
        .midstream_bytes = 300,
        .midstream_ns = 100,
        .want = wants[a / 7 % 4],
    };
    struct watch w = {.content = cfg.want & WS_TCP_WANT_DATA};
    struct ws_counters counters;
    struct ws_tcp_conn c;
    uint32_t seq[2] = {1000, 0xffffff00};
    int64_t ts = 0;

    memset(&counters, 0, sizeof(counters));
    memset(&c, 0, sizeof(c));
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)('a' + i % 26);
    size_t size = ws_align_up(ws_tcp_bytes(&cfg), 64);
    void *mem = aligned_alloc(64, size);
    if (!mem)
        return 0;
    memset(mem, 0, size);
    struct ws_tcp *t = ws_tcp_init(mem, &cfg, &counters, &ops, &w);

    while (in.p < in.end) {
        uint8_t h = take(&in), f = take(&in);
        unsigned dir = h & 1;
        struct ws_tcp_segment s = {
            .wire_len = h & 2 ? (uint32_t)take(&in) << (h >> 6) : 0,
            .wscale = h & 4 ? 15 : 0,
            .no_payload = (h & 0x38) == 0x38,
            .meta = {.seq = take_seq(&in, seq[dir], (f & 0xc0) == 0xc0),
                     .ack = take_seq(&in, seq[dir ^ 1], (f & 0xa0) == 0xa0),
                     .window = 2000,
                     .flags = f & 0x1f,
                     .ts_ns = ts},
        };
        uint32_t cut = (h & 0x18) == 0x08 ? take(&in) : 0;
        s.len = s.wire_len > cut ? s.wire_len - cut : 0;
        /* at its exact size on the heap: a read beyond is seen */
        uint8_t *copy = malloc(s.len ? s.len : 1);
        if (!copy)
            break;
        memcpy(copy, text + take(&in), s.len);
        s.data = copy;
        ts += h >> 4;
        enum ws_tcp_verdict v = ws_tcp_push(t, &c, &w, dir, &s);
        if (v != WS_TCP_TAKEN) {
            restart(t, &c, &w, v);
            require(ws_tcp_push(t, &c, &w, dir, &s) == WS_TCP_TAKEN);
        }
        free(copy);
        check_ledger(t, &c, &counters);
        if (f & 0x20)
            seq[dir] = s.meta.seq + s.wire_len + (s.meta.flags & 3 ? 1 : 0);
        (void)ws_tcp_conn_state(&c);
    }
    restart(t, &c, &w, WS_TCP_TAKEN);
    memset(&c, 0, sizeof(c));
    check_ledger(t, &c, &counters);
    free(mem);
    return 0;
}
