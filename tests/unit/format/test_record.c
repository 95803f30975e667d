/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of flow records: JSON by a parser, CSV against JSON, the table's columns, FlowIDs against a
 * naive count. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "format/record.h"
#include "guard.h"

static struct ws_flow_record sample(void)
{
    struct ws_flow_record r = {
        .key = {.addr = {{10, 0, 0, 1}, {10, 0, 0, 2}},
                .port = {80, 40000},
                .ip_version = 4,
                .proto = 6,
                .vlan = {7, 0}},
        .first_ordinal = {4, 2},
        .first_ts_ns = {INT64_C(1700000000000000002), INT64_C(1700000000000000001)},
        .last_ts_ns = {INT64_C(1700000001500000002), INT64_C(1700000001000000000)},
        .packets = {3, 5},
        .bytes = {300, 5000},
        .ip_bytes = {WS_RECORD_UNKNOWN, WS_RECORD_UNKNOWN},
        .payload_bytes = {100, 4000},
        .stream_bytes = {90, 3900},
        .gap_bytes = {0, 1460},
        .gaps = {0, 1},
        .flow_id = {2, 1},
        .orig = 1,
        .worker = UINT32_MAX,
        .conn_state = "SF",
        .history = "ShADadFf",
        .end = "end_of_input",
    };
    return r;
}

static json_t *parse(const struct ws_flow_record *r, const char *cid)
{
    char buf[WS_RECORD_LINE_MAX];
    struct ws_text t;
    json_error_t e;
    ws_text_init(&t, buf, sizeof(buf));
    ws_record_json(&t, r, cid);
    assert_true(ws_text_end(&t) > 0);
    assert_int_equal(buf[strlen(buf) - 1], '\n');
    json_t *j = json_loads(buf, 0, &e);
    if (!j)
        fail_msg("%s: %s", buf, e.text);
    return j;
}

static void json_names(void **state)
{
    struct ws_flow_record r = sample();
    char buf[WS_RECORD_LINE_MAX];
    struct ws_text t;
    (void)state;
    ws_text_init(&t, buf, sizeof(buf));
    ws_record_json(&t, &r, "1:x=");
    ws_text_end(&t);
    assert_string_equal(
        buf, "{\"ts\":1700000000.000000001,\"ts_ns\":\"1700000000000000001\","
             "\"duration\":1.500000001,\"id.orig_h\":\"10.0.0.2\",\"id.orig_p\":40000,"
             "\"id.resp_h\":\"10.0.0.1\",\"id.resp_p\":80,\"proto\":\"tcp\",\"ip_proto\":6,"
             "\"orig_bytes\":3900,\"resp_bytes\":90,\"conn_state\":\"SF\",\"missed_bytes\":1460,"
             "\"history\":\"ShADadFf\",\"orig_pkts\":5,\"resp_pkts\":3,\"vlan\":7,"
             "\"community_id\":\"1:x=\",\"flow_id\":1,\"resp_flow_id\":2,"
             "\"orig_frame_bytes\":5000,\"resp_frame_bytes\":300,\"orig_payload_bytes\":4000,"
             "\"resp_payload_bytes\":100,\"orig_gaps\":1,\"resp_gaps\":0,"
             "\"orig_gap_bytes\":1460,\"resp_gap_bytes\":0,\"first_packet\":3,"
             "\"end\":\"end_of_input\"}\n");
}

/* One direction only, IPv6, unknown protocol, tunnel: what is not there is left out. */
static void json_sparse(void **state)
{
    struct ws_flow_record r = sample();
    (void)state;
    r.first_ordinal[0] = UINT64_MAX;
    r.first_ts_ns[0] = r.last_ts_ns[0] = 0;
    r.flow_id[0] = 0;
    r.key.ip_version = 6;
    r.key.proto = 253;
    r.key.tunnel_type = WS_TUNNEL_VXLAN;
    r.key.tunnel_id = 0;
    r.stream_bytes[0] = r.stream_bytes[1] = WS_RECORD_UNKNOWN;
    r.ip_bytes[1] = 77;
    r.worker = 0;
    r.tcp_events = 0xff;
    json_t *j = parse(&r, NULL);
    assert_string_equal(json_string_value(json_object_get(j, "events")),
                        "rst_ignored overlap midstream far_segment syn_ignored");
    assert_null(json_object_get(j, "resp_flow_id"));
    assert_null(json_object_get(j, "community_id"));
    assert_null(json_object_get(j, "resp_ip_bytes"));
    assert_int_equal(json_integer_value(json_object_get(j, "orig_ip_bytes")), 77);
    assert_int_equal(json_integer_value(json_object_get(j, "orig_bytes")), 4000);
    assert_string_equal(json_string_value(json_object_get(j, "proto")), "ip-253");
    assert_string_equal(json_string_value(json_object_get(j, "tunnel")), "vxlan");
    assert_int_equal(json_integer_value(json_object_get(j, "tunnel_id")), 0);
    assert_non_null(json_object_get(j, "tunnel_id"));
    assert_string_equal(json_string_value(json_object_get(j, "ts_ns")), "1700000000000000001");
    assert_non_null(json_object_get(j, "worker"));
    json_decref(j);
}

static unsigned count_of(const char *s, char c)
{
    unsigned n = 0;
    for (; *s; s++)
        n += *s == c;
    return n;
}

static void csv_columns(void **state)
{
    struct ws_flow_record r = sample();
    char head[WS_RECORD_LINE_MAX], row[WS_RECORD_LINE_MAX];
    struct ws_text t;
    (void)state;
    ws_text_init(&t, head, sizeof(head));
    ws_record_csv_header(&t);
    assert_true(ws_text_end(&t) > 0);
    ws_text_init(&t, row, sizeof(row));
    ws_record_csv(&t, &r, NULL);
    assert_true(ws_text_end(&t) > 0);
    assert_int_equal(count_of(head, ','), count_of(row, ','));
    assert_int_equal(count_of(row, '\n'), 1);
    static const char start[] =
        "1700000000.000000001,1700000000000000001,1.500000001,10.0.0.2,40000,";
    assert_memory_equal(row, start, sizeof(start) - 1);
    assert_memory_equal(head, "ts,ts_ns,duration,id.orig_h,", 28);
}

static void table(void **state)
{
    struct ws_flow_record r = sample(), r6 = sample();
    struct ws_record_table tab = {0};
    char buf[4 * WS_RECORD_ROW_MAX];
    struct ws_text t;
    (void)state;
    r6.key.ip_version = 6;
    memset(r6.key.addr[0], 0x21, 16);
    memset(r6.key.addr[1], 0x22, 16);
    r6.bytes[0] = UINT64_C(999999999999);
    r6.packets[0] = 12345678;
    ws_record_table_measure(&tab, &r);
    ws_text_init(&t, buf, sizeof(buf));
    ws_record_table_header(&t, &tab);
    ws_record_table_row(&t, &tab, &r);
    assert_true(ws_text_end(&t) > 0);
    assert_string_equal(
        buf, "FlowID   Reply  Proto  Originator         Responder       Packets ->  <- Packets   "
             "Bytes ->  <- Bytes    Duration  State  Notes\n"
             "------  ------  -----  --------------     --------------  ----------  ----------  "
             "---------  --------  ----------  -----  -----\n"
             "     1       2  tcp    10.0.0.2:40000 <-> 10.0.0.1:80              5           3    "
             "5.00 kB       300  1.500000 s  SF     vlan 7, 1 gap (1.46 kB)\n");
    /* columns widen for long endpoints: header and row stay aligned */
    ws_record_table_measure(&tab, &r6);
    ws_text_init(&t, buf, sizeof(buf));
    ws_record_table_header(&t, &tab);
    ws_record_table_row(&t, &tab, &r6);
    assert_true(ws_text_end(&t) > 0);
    const char *dashes = strchr(buf, '\n') + 1, *row = strchr(dashes, '\n') + 1;
    assert_int_equal(strstr(buf, "State") - buf, strstr(row, "SF") - row);
    assert_int_equal(strstr(buf, "Responder") - buf, strstr(row, "[2121:") - row);
}

static uint64_t rng_state = 42;

static uint64_t rng(void)
{
    rng_state = rng_state * UINT64_C(6364136223846793005) + 1;
    return rng_state >> 33;
}

/* FlowIDs are ranks: compared with counting how many directions came before. */
static void ranks(void **state)
{
    enum { N = 200 };
    static struct ws_flow_record rec[N];
    struct ws_flow_record *ptr[N];
    uint64_t ord[2 * N];
    (void)state;
    for (unsigned i = 0; i < 2 * N; i++)
        ord[i] = i * 3;
    for (unsigned i = 2 * N - 1; i; i--) {
        unsigned k = (unsigned)(rng() % (i + 1));
        uint64_t x = ord[i];
        ord[i] = ord[k];
        ord[k] = x;
    }
    for (unsigned i = 0; i < N; i++) {
        ptr[i] = &rec[i];
        rec[i].first_ordinal[0] = ord[2 * i];
        rec[i].first_ordinal[1] = rng() % 3 ? ord[2 * i + 1] : UINT64_MAX;
    }
    void *scratch = malloc(ws_flow_record_rank_bytes(N));
    assert_non_null(scratch);
    ws_flow_record_rank(ptr, N, scratch);
    free(scratch);
    for (unsigned i = 0; i < N; i++) {
        for (unsigned d = 0; d < 2; d++) {
            uint64_t before = 1;
            for (unsigned k = 0; k < 2 * N; k++)
                before += rec[k / 2].first_ordinal[k % 2] < rec[i].first_ordinal[d];
            assert_int_equal(rec[i].flow_id[d], rec[i].first_ordinal[d] == UINT64_MAX ? 0 : before);
        }
    }
    ws_flow_record_rank(NULL, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_names), cmocka_unit_test(json_sparse), cmocka_unit_test(csv_columns),
        cmocka_unit_test(table),      cmocka_unit_test(ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
