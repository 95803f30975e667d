/* SPDX-License-Identifier: BSD-3-Clause */
/* Flow record sinks: what a record says of a flow, the cap, and lines written as flows close. */
#include "rig.h"

#include <jansson.h>

#include "sink/record.h"

static void rig_only(struct rig *r, struct ws_sink *s)
{
    memset(r, 0, sizeof(*r));
    rig_attach(r, s);
}

static void a_tcp_flow(void **state)
{
    struct ws_sink *s;
    struct rig r;
    struct rig_flow f;
    struct ws_tcp_conn tcp = {.orig_known = 1, .orig = 1, .history = "ShAaDdFf", .history_len = 8};
    (void)state;
    struct ws_sink_record_config cfg = {.records_max = 10, .lengths = true, .ip_bytes = true};
    assert_int_equal(ws_sink_record_create(&s, &cfg), 0);
    rig_only(&r, s);
    assert_int_equal(s->needs, WS_SINK_CLOSE | WS_SINK_GAPS | WS_SINK_PACKET | WS_SINK_OF_FLOWS | WS_SINK_IDS);
    rig_flow_init(&f, 40);
    f.flow.packets[0] = 3;
    f.flow.bytes[1] = 1000;
    f.flow.payload_bytes[1] = 900;
    f.flow.orig = 0;
    tcp.dir[1].gaps = 2;
    tcp.rare[1].gap_bytes = 77;
    /* 60 bytes on the wire, of which the datagram says 46; a second one with length 0 (offload);
     * IPv6 */
    uint8_t frame[60] = {[14] = 0x45, [17] = 46};
    struct ws_packet p = {.data = frame, .cap_len = 60, .l3_off = 14, .key.ip_version = 4};
    s->ops->packet(s, &f.flow, &p);
    frame[17] = 0;
    s->ops->packet(s, &f.flow, &p);
    frame[19] = 6;
    p.key.ip_version = 6;
    p.dir = 1;
    s->ops->packet(s, &f.flow, &p);
    p.flags = WS_PKT_DATAGRAM;
    s->ops->packet(s, &f.flow, &p);
    s->ops->packet(s, NULL, &p);
    s->ops->flow_close(s, &f.flow, &tcp, WS_FLOW_REUSED);
    assert_int_equal(ws_sink_record_count(s), 1);
    struct ws_flow_record *rec = ws_sink_record_at(s, 0);
    assert_memory_equal(&rec->key, &f.flow.key, sizeof(rec->key));
    assert_int_equal(rec->ip_bytes[0], 46 + 46);
    assert_int_equal(rec->ip_bytes[1], 46);
    assert_int_equal(rec->packets[0], 3);
    assert_int_equal(rec->bytes[1], 1000);
    assert_int_equal(rec->gaps[1], 2);
    assert_int_equal(rec->gap_bytes[1], 77);
    assert_int_equal(rec->first_ordinal[1], 41);
    assert_int_equal(rec->orig, 1);
    assert_string_equal(rec->history, "ShAaDdFf");
    assert_string_equal(rec->end, "reused");
    assert_int_equal(rec->worker, UINT32_MAX);
    s->ops->destroy(s);
}

/* The rows name events as lib/tcp does: each alone, but for what the history tells. */
static void event_names(void **state)
{
    const unsigned told = 1u << WS_TCP_EV_ESTABLISHED | 1u << WS_TCP_EV_FIN | 1u << WS_TCP_EV_RST;
    (void)state;
    for (unsigned ev = 0; ev < WS_TCP_EV_EVENTS; ev++) {
        struct ws_flow_record r = {.key.proto = 6, .tcp_events = (uint8_t)(1u << ev)};
        char line[WS_RECORD_LINE_MAX];
        struct ws_text t;
        ws_text_init(&t, line, sizeof(line));
        ws_record_json(&t, &r, NULL);
        ws_text_end(&t);
        json_t *j = json_loads(line, 0, NULL);
        const char *name = json_string_value(json_object_get(j, "events"));
        if (told >> ev & 1)
            assert_null(name);
        else
            assert_string_equal(name, ws_tcp_event_name((enum ws_tcp_event)ev));
        json_decref(j);
    }
}

static void datagram_states(void **state)
{
    static const struct {
        uint8_t proto, seen, orig;
        const char *conn_state, *history;
    } cases[] = {
        {17, 3, 0, "SF", "Dd"},
        {17, 1, 0, "S0", "D"},
        {17, 2, 1, "S0", "D"},
        {1, 3, 0, "OTH", ""},
    };
    struct ws_sink *s;
    struct rig r;
    (void)state;
    assert_int_equal(ws_sink_record_create(&s, &(struct ws_sink_record_config){.lengths = true}),
                     0);
    rig_only(&r, s);
    for (size_t i = 0; i < WS_ARRAY_SIZE(cases); i++) {
        struct rig_flow f;
        rig_flow_init(&f, i);
        f.flow.key.proto = cases[i].proto;
        f.flow.seen = cases[i].seen;
        f.flow.orig = cases[i].orig;
        s->ops->flow_close(s, &f.flow, NULL, WS_FLOW_IDLE);
        struct ws_flow_record *rec = ws_sink_record_at(s, i);
        assert_string_equal(rec->conn_state, cases[i].conn_state);
        assert_string_equal(rec->history, cases[i].history);
        assert_int_equal(rec->stream_bytes[0], WS_RECORD_UNKNOWN);
        assert_int_equal(rec->ip_bytes[0], WS_RECORD_UNKNOWN);
    }
    s->ops->destroy(s);
}

static unsigned chunks_left;

static void *few_chunks(void *user, size_t bytes)
{
    (void)user;
    assert_int_equal(bytes, WS_RECORD_CHUNK * sizeof(struct ws_flow_record));
    static uint8_t mem[2][WS_RECORD_CHUNK * sizeof(struct ws_flow_record)];
    return chunks_left ? mem[--chunks_left] : NULL;
}

/* Both bounds, the cap and the memory, lose records by count and keep the rest. */
static void caps(void **state)
{
    struct ws_sink *s;
    struct rig r;
    struct rig_flow f;
    (void)state;
    for (int by_memory = 0; by_memory < 2; by_memory++) {
        struct ws_sink_record_config cfg = {
            .records_max = by_memory ? 3 * WS_RECORD_CHUNK : WS_RECORD_CHUNK + 1,
            .alloc = few_chunks,
        };
        chunks_left = 2;
        uint64_t room = by_memory ? 2 * WS_RECORD_CHUNK : WS_RECORD_CHUNK + 1;
        assert_int_equal(ws_sink_record_create(&s, &cfg), 0);
        rig_only(&r, s);
        for (uint64_t i = 0; i < room + 5; i++) {
            rig_flow_init(&f, i);
            s->ops->flow_close(s, &f.flow, NULL, WS_FLOW_IDLE);
        }
        assert_int_equal(ws_sink_record_count(s), room);
        assert_int_equal(rig_count(&r, WS_C_FLOW_RECORDS_LOST), 5);
        for (uint64_t i = 0; i < room; i++)
            assert_int_equal(ws_sink_record_at(s, i)->first_ordinal[0], i);
        s->ops->destroy(s);
    }
}

static void fake_id(const struct ws_flow_record *record, uint16_t s, char *buf)
{
    snprintf(buf, 40, "1:%u-%u", record->key.port[0], s);
}

static void live_json(void **state)
{
    struct ws_sink *s;
    struct rig r;
    struct rig_flow f;
    size_t len = 0;
    (void)state;
    memset(&r, 0, sizeof(r));
    bed_init(&r.bed, &(struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
    struct ws_output *o =
        bed_add(&r.bed, (struct ws_output_config){.kind = WS_OUTPUT_MERGED,
                                                  .path = bed_path(&r.bed, "f.json"),
                                                  .channels = 1,
                                                  .blocks = 8,
                                                  .block_bytes = 1 << 20,
                                                  .may_wait = true});
    struct ws_sink_record_live_config cfg = {.channel = ws_output_channel(o, 0),
                                             .format = WS_RECORD_JSON,
                                             .community_id = fake_id,
                                             .community_seed = 3,
                                             .selected_only = true};
    assert_int_equal(ws_sink_record_live_create(&s, &cfg), 0);
    rig_attach(&r, s);
    s->worker = 2;
    for (unsigned i = 0; i < 4; i++) {
        rig_flow_init(&f, i);
        f.flow.selected = i != 1;
        ws_channel_tick(s->channel, i * 100, 0, false);
        s->ops->flow_close(s, &f.flow, NULL, WS_FLOW_IDLE);
    }
    rig_finish(&r);
    char *p = (char *)bed_read(bed_path(&r.bed, "f.json"), &len);
    assert_non_null(p);
    p[len] = '\0';
    unsigned lines = 0;
    for (char *at = p, *e; (e = strchr(at, '\n')); at = e + 1, lines++) {
        json_t *j = json_loadb(at, (size_t)(e - at), 0, NULL);
        assert_non_null(j);
        assert_string_equal(json_string_value(json_object_get(j, "community_id")), "1:1111-3");
        assert_int_equal(json_integer_value(json_object_get(j, "worker")), 2);
        json_decref(j);
    }
    assert_int_equal(lines, 3);
    free(p);
    rig_fini(&r);
}

static void live_csv_own_file(void **state)
{
    struct ws_sink *s;
    struct rig r;
    struct rig_flow f;
    size_t len = 0;
    (void)state;
    memset(&r, 0, sizeof(r));
    bed_init(&r.bed, &(struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
    struct ws_output *o = bed_add(&r.bed, (struct ws_output_config){.kind = WS_OUTPUT_TREE,
                                                                    .path = bed_path(&r.bed, "o"),
                                                                    .channels = 1,
                                                                    .blocks = 8,
                                                                    .block_bytes = 65536,
                                                                    .may_wait = true});
    struct ws_sink_record_live_config cfg = {
        .channel = ws_output_channel(o, 0), .format = WS_RECORD_CSV, .path = "flows_w0.csv"};
    assert_int_equal(ws_sink_record_live_create(&s, &cfg), 0);
    rig_attach(&r, s);
    for (unsigned i = 0; i < 2; i++) {
        rig_flow_init(&f, i);
        s->ops->flow_close(s, &f.flow, NULL, WS_FLOW_IDLE);
    }
    rig_finish(&r);
    char *p = (char *)bed_read(bed_path(&r.bed, "o/flows_w0.csv"), &len);
    assert_non_null(p);
    p[len] = '\0';
    unsigned lines = 0;
    for (char *at = p; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, 3);
    assert_memory_equal(p, "ts,ts_ns,", 9);
    free(p);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tcp_flow), cmocka_unit_test(datagram_states),   cmocka_unit_test(caps),
        cmocka_unit_test(live_json),  cmocka_unit_test(live_csv_own_file), cmocka_unit_test(event_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
