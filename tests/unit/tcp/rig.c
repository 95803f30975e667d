/* SPDX-License-Identifier: BSD-3-Clause */
/* The rig of the reassembly tests (rig.h). */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tcp/brief.h"
#include "tcp/internal.h"

struct ws_tcp_config rig_config(void)
{
    struct ws_tcp_config cfg = ws_tcp_defaults;
    cfg.nodes_max = 4096;
    cfg.bytes_max = 8 << 20;
    cfg.dir_nodes_max = 2048;
    cfg.dir_bytes_max = 4 << 20;
    return cfg;
}

static void make_room(struct rig_stream *s, uint64_t len)
{
    assert_true(s->len + len <= RIG_STREAM_MAX);
    if (s->len + len <= s->room)
        return;
    s->room = 2 * (s->len + len);
    s->bytes = realloc(s->bytes, s->room);
    assert_non_null(s->bytes);
}

static void on_data(void *flow, unsigned dir, uint64_t off, const uint8_t *data, uint32_t len,
                    const struct ws_tcp_meta *meta, void *user)
{
    struct rig *r = user;
    struct rig_stream *s = &r->stream[dir];
    assert_ptr_equal(flow, r);
    assert_non_null(meta);
    assert_int_equal(off, s->len);
    assert_true(len > 0);
    make_room(s, len);
    memcpy(s->bytes + s->len, data, len);
    s->len += len;
    r->calls++;
    r->pieces += meta->piece;
}

static void on_gap(void *flow, unsigned dir, uint64_t off, uint64_t len, enum ws_gap_cause cause,
                   void *user)
{
    struct rig *r = user;
    struct rig_stream *s = &r->stream[dir];
    assert_ptr_equal(flow, r);
    assert_true(len > 0);
    if (r->cfg.want & WS_TCP_WANT_DATA) {
        assert_int_equal(off, s->len);
        make_room(s, len);
        memset(s->bytes + s->len, '.', len);
        s->len += len;
    }
    s->gaps++;
    s->gap_bytes += len;
    s->causes |= 1u << cause;
}

static void on_segment(void *flow, unsigned dir, int64_t off, const struct ws_tcp_segment *seg,
                       void *user)
{
    struct rig *r = user;
    size_t used = strlen(r->segments);
    assert_ptr_equal(flow, r);
    if (dir == 0)
        snprintf(r->segments + used, sizeof(r->segments) - used, "%lld:%.*s ", (long long)off,
                 (int)seg->len, (const char *)seg->data);
}

static void on_event(void *flow, unsigned dir, enum ws_tcp_event ev, const struct ws_tcp_meta *meta,
                     void *user)
{
    struct rig *r = user;
    (void)dir;
    (void)meta;
    (void)flow;
    r->events |= 1u << ev;
    r->event_count[ev]++;
}

void rig_init(struct rig *r, const struct ws_tcp_config *cfg)
{
    static const struct ws_tcp_ops ops = {on_data, on_gap, on_segment, on_event};
    memset(r, 0, sizeof(*r));
    r->cfg = cfg ? *cfg : rig_config();
    r->window = 65535;
    r->step_ns = 1000;
    r->ts_ns = 1000000000;
    size_t bytes = ws_tcp_bytes(&r->cfg);
    r->mem = aligned_alloc(64, ws_align_up(bytes, 64));
    assert_non_null(r->mem);
    memset(r->mem, 0, bytes); /* as the runtime gives it */
    for (int i = 0; i < 2; i++) {
        make_room(&r->stream[i], 256);
    }
    r->t = ws_tcp_init(r->mem, &r->cfg, &r->counters, &ops, r);
}

void rig_fini(struct rig *r)
{
    for (int i = 0; i < 2; i++)
        free(r->stream[i].bytes);
    free(r->mem);
}

void rig_restart(struct rig *r)
{
    struct ws_tcp_config cfg = r->cfg;
    rig_fini(r);
    rig_init(r, &cfg);
}

uint64_t rig_count(struct rig *r, enum ws_counter id)
{
    return ws_count_get(&r->counters, id);
}

void rig_ledger(struct rig *r)
{
    static const enum ws_counter fates[] = {
        WS_C_PAYLOAD_DELIVERED, WS_C_PAYLOAD_DUPLICATE,    WS_C_PAYLOAD_OVERLAP,
        WS_C_PAYLOAD_HELD,      WS_C_REFUSED_WINDOW,       WS_C_REFUSED_BEYOND_FIN,
        WS_C_REFUSED_CLOSED,    WS_C_REFUSED_RST,          WS_C_REFUSED_CHECKSUM,
        WS_C_REFUSED_CAP,       WS_C_REFUSED_SYN,          WS_C_REFUSED_KEEPALIVE,
        WS_C_REFUSED_NO_SINK,   WS_C_REFUSED_BEFORE_START,
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < WS_ARRAY_SIZE(fates); i++)
        sum += rig_count(r, fates[i]);
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_SEEN), sum);
    assert_int_equal(rig_count(r, WS_C_PAYLOAD_HELD), ws_tcp_held_bytes(r->t));
    assert_int_equal(rig_count(r, WS_C_STREAM_BYTES),
                     rig_count(r, WS_C_PAYLOAD_DELIVERED) + rig_count(r, WS_C_GAP_BYTES));
    assert_int_equal(r->t->pool.bytes, r->c.dir[0].held_bytes + (uint64_t)r->c.dir[1].held_bytes);
    assert_int_equal(r->t->pool.nodes_used, r->c.dir[0].held_nodes + r->c.dir[1].held_nodes);
    if (r->cfg.want & WS_TCP_WANT_DATA)
        for (unsigned d = 0; d < 2; d++) {
            assert_int_equal(ws_tcp_dir_length(&r->c.dir[d]), r->stream[d].len);
            assert_int_equal(r->c.dir[d].gaps, r->stream[d].gaps);
            assert_int_equal(ws_tcp_gap_bytes(&r->c, d), r->stream[d].gap_bytes);
        }
}

void rig_close(struct rig *r)
{
    rig_ledger(r);
    ws_tcp_close(r->t, &r->c, r, WS_GAP_NEVER_SEEN);
    ws_tcp_close(r->t, &r->c, r, WS_GAP_NEVER_SEEN); /* idempotent */
    rig_ledger(r);
    assert_int_equal(r->t->pool.nodes_used, 0);
    assert_int_equal(r->t->pool.cells_used, 0);
}

static void replace(struct rig *r)
{
    struct ws_tcp_conn old = r->c;
    assert_true(r->past_count < RIG_PAST_MAX);
    rig_close(r);
    for (int d = 0; d < 2; d++) {
        snprintf(r->past[r->past_count].text[d], 256, "%.*s", (int)r->stream[d].len,
                 (const char *)r->stream[d].bytes);
        struct rig_stream *s = &r->stream[d];
        *s = (struct rig_stream){.bytes = s->bytes, .room = s->room};
    }
    memcpy(r->past[r->past_count].history, r->c.history, sizeof(r->c.history));
    r->past[r->past_count++].state = ws_tcp_conn_state(&r->c);
    memset(&r->c, 0, sizeof(r->c));
    r->events = 0;
    if (r->verdict == WS_TCP_NEW_CANDIDATE)
        ws_tcp_adopt(r->t, &r->c, &old);
}

/* What fits in brief comes out of it as it was, for all that a test does next. */
static void through_brief(struct rig *r)
{
    struct ws_tcp_brief b = {0};
    struct ws_tcp_gaps gaps = {{0}, {0}};
    uint64_t payload[2] = {0, 7};
    if (!ws_tcp_fold(&r->c, payload, &b, &gaps))
        return;
    memset(&r->c, 0xa5, sizeof(r->c));
    ws_tcp_unfold(&b, &gaps, &r->c, payload);
    assert_true(payload[0] == 0 && payload[1] == 7);
}

enum ws_tcp_verdict rig_push(struct rig *r, unsigned dir, const char *flags, uint32_t seq,
                             uint32_t ack, const void *data, uint32_t len)
{
    static const char letters[] = "FSRPAU";
    struct ws_tcp_segment s = {
        .len = len,
        .wire_len = len,
        .no_payload = r->no_payload,
        .frame_bytes = 54 + len,
        .meta = {.ts_ns = r->ts_ns,
                 .ordinal = r->ordinal++,
                 .seq = seq,
                 .ack = ack,
                 .window = r->window},
    };
    for (; *flags; flags++)
        s.meta.flags |= (uint8_t)(1u << (strchr(letters, *flags) - letters));
    if (s.meta.flags & WS_TCP_SYN)
        s.wscale = r->wscale;
    if (r->snap && len > r->snap)
        s.len = r->snap;
    /* an exact copy on the heap: the sanitizer sees a byte too far, and data is gone after the call
     */
    uint8_t *copy = malloc(s.len ? s.len : 1);
    assert_non_null(copy);
    if (s.len)
        memcpy(copy, data, s.len);
    s.data = copy;
    r->ts_ns += r->step_ns;
    r->verdict = ws_tcp_push(r->t, &r->c, r, dir, &s);
    if (r->verdict != WS_TCP_TAKEN) {
        replace(r);
        assert_int_equal(ws_tcp_push(r->t, &r->c, r, dir, &s), WS_TCP_TAKEN);
    }
    memset(copy, '#', s.len);
    free(copy);
    through_brief(r);
    rig_ledger(r);
    return r->verdict;
}

enum ws_tcp_verdict S(struct rig *r, unsigned dir, const char *flags, uint32_t seq, uint32_t ack,
                      const char *data)
{
    return rig_push(r, dir, flags, seq, ack, data, (uint32_t)strlen(data));
}

void rig_open(struct rig *r, uint32_t isn0, uint32_t isn1)
{
    S(r, 0, "S", isn0, 0, "");
    S(r, 1, "SA", isn1, isn0 + 1, "");
    S(r, 0, "A", isn0 + 1, isn1 + 1, "");
}

void rig_expect(struct rig *r, unsigned dir, const char *want)
{
    char got[1024];
    snprintf(got, sizeof(got), "%.*s", (int)r->stream[dir].len, (const char *)r->stream[dir].bytes);
    assert_string_equal(got, want);
}
