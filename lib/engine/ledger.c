/* SPDX-License-Identifier: BSD-3-Clause */
/* The ledger: equations between counters. */
#include "engine/ledger.h"

#include <inttypes.h>
#include <stdbool.h>

static uint64_t range(const struct ws_counters *c, enum ws_counter first, enum ws_counter last)
{
    uint64_t n = 0;
    for (int i = (int)first; i <= (int)last; i++)
        n += ws_count_get(c, (enum ws_counter)i);
    return n;
}

unsigned ws_ledger_check(const struct ws_counters *s, struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS])
{
    unsigned wrong = 0;
    eq[0] = (struct ws_ledger_equation){
        "packets: received = filtered + undecodable + non-flow + flow + shed + held fragments",
        ws_count_get(s, WS_C_RX_PACKETS),
        ws_count_get(s, WS_C_FILTERED) + range(s, WS_C_UNDEC_LINK_TYPE, WS_C_UNDEC_FRAGMENT) +
            ws_count_get(s, WS_C_NON_FLOW) + ws_count_get(s, WS_C_FLOW_PACKETS) +
            ws_count_get(s, WS_C_SHED_STEER) + ws_count_get(s, WS_C_SHED_FLOW) +
            ws_count_get(s, WS_C_NOT_CONTINUED) + ws_count_get(s, WS_C_FRAG_HELD)};
    eq[1] = (struct ws_ledger_equation){
        "payload: seen = delivered + duplicate + overlap + refused + held",
        ws_count_get(s, WS_C_PAYLOAD_SEEN),
        ws_count_get(s, WS_C_PAYLOAD_DELIVERED) + ws_count_get(s, WS_C_PAYLOAD_DUPLICATE) +
            ws_count_get(s, WS_C_PAYLOAD_OVERLAP) +
            range(s, WS_C_REFUSED_WINDOW, WS_C_REFUSED_NO_SINK) +
            ws_count_get(s, WS_C_PAYLOAD_HELD)};
    eq[2] = (struct ws_ledger_equation){
        "streams: length = delivered + gaps", ws_count_get(s, WS_C_STREAM_BYTES),
        ws_count_get(s, WS_C_PAYLOAD_DELIVERED) + ws_count_get(s, WS_C_GAP_BYTES)};
    eq[3] = (struct ws_ledger_equation){"flows: created = closed",
                                        ws_count_get(s, WS_C_FLOWS_CREATED),
                                        ws_count_get(s, WS_C_FLOWS_CLOSED)};
    for (unsigned i = 0; i < WS_LEDGER_EQUATIONS; i++)
        wrong += eq[i].left != eq[i].right;
    return wrong;
}

const char *ws_ledger_not_deterministic(const struct ws_counters *s)
{
    static const enum ws_counter causes[] = {
        WS_C_SHED_STEER,      WS_C_SHED_FLOW,        WS_C_FLOWS_EVICTED_SYN,  WS_C_FLOWS_EVICTED,
        WS_C_FLOWS_EVICTED_CLOSED,                   WS_C_FLOWS_EVICTED_ANSWERED,
        WS_C_FRAG_EVICTED,    WS_C_GAPS_CAP,         WS_C_REFUSED_CAP,        WS_C_FLOW_RECORDS_LOST,
        WS_C_SHED_OTHER,      WS_C_SHED_DATAGRAM,
        WS_C_SHED_BULK_BYTES, WS_C_SHED_BULK_PACKETS, WS_C_GAP_RECORDS_LOST,
        WS_C_TCP_POOL_FULL,
        WS_C_NAME_TABLE_FULL, WS_C_SHED_BLOCK_BYTES, WS_C_SHED_BLOCK_PACKETS, WS_C_WRITE_LOST_BYTES,
    };
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
        if (ws_count_get(s, causes[i]))
            return ws_counter_info[causes[i]].name;
    return NULL;
}

void ws_ledger_print(FILE *out, const struct ws_counters *s)
{
    struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS];
    ws_ledger_check(s, eq);
    for (int i = 0; i < WS_C_COUNT; i++) {
        uint64_t v = ws_count_get(s, (enum ws_counter)i);
        if (v)
            fprintf(out, "%-24s %16" PRIu64 " %-9s %s\n", ws_counter_info[i].name, v,
                    ws_counter_info[i].unit, ws_counter_info[i].help);
    }
    for (unsigned i = 0; i < WS_LEDGER_EQUATIONS; i++)
        fprintf(out, "%-5s %s: %" PRIu64 " = %" PRIu64 "\n",
                eq[i].left == eq[i].right ? "ok" : "WRONG", eq[i].name, eq[i].left, eq[i].right);
    const char *cause = ws_ledger_not_deterministic(s);
    fprintf(out, "deterministic: %s%s%s%s\n", cause ? "no" : "yes", cause ? " (" : "",
            cause ? cause : "", cause ? ")" : "");
}

static void print_part_json(FILE *out, const struct ws_ledger_part *p)
{
    bool first = true;
    fprintf(out, "{\"thread\":\"%s\",\"number\":%u,\"counters\":{", p->kind, p->number);
    for (int i = 0; i < WS_C_COUNT; i++) {
        uint64_t v = ws_count_get(p->counters, (enum ws_counter)i);
        if (v)
            fprintf(out, "%s\"%s\":%" PRIu64, first ? "" : ",", ws_counter_info[i].name, v);
        first = first && !v;
    }
    fputs("}}", out);
}

void ws_ledger_print_json(FILE *out, const struct ws_counters *s, const struct ws_ledger_part *part, unsigned parts,
                          const char *more)
{
    struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS];
    unsigned wrong = ws_ledger_check(s, eq);
    fputs("{\"counters\":{", out);
    for (int i = 0; i < WS_C_COUNT; i++)
        fprintf(out, "%s\"%s\":%" PRIu64, i ? "," : "", ws_counter_info[i].name,
                ws_count_get(s, (enum ws_counter)i));
    fputs("},\"ledger\":[", out);
    for (unsigned i = 0; i < WS_LEDGER_EQUATIONS; i++)
        fprintf(out, "%s{\"equation\":\"%s\",\"left\":%" PRIu64 ",\"right\":%" PRIu64 ",\"ok\":%s}",
                i ? "," : "", eq[i].name, eq[i].left, eq[i].right,
                eq[i].left == eq[i].right ? "true" : "false");
    fprintf(out, "],\"balanced\":%s,\"deterministic\":%s,\"threads\":[", wrong ? "false" : "true",
            ws_ledger_not_deterministic(s) ? "false" : "true");
    for (unsigned i = 0; i < parts; i++) {
        fputs(i ? "," : "", out);
        print_part_json(out, &part[i]);
    }
    fprintf(out, "]%s}\n", more);
}

const enum ws_counter ws_ledger_losses[] = {
    WS_C_PORT_MISSED,      WS_C_PORT_NOMBUF,       WS_C_SHED_STEER,         WS_C_SHED_OTHER,
    WS_C_SHED_DATAGRAM,    WS_C_SHED_FLOW,         WS_C_FLOW_RECORDS_LOST,  WS_C_SHED_BLOCK_PACKETS,
    WS_C_SHED_BULK_BYTES,  WS_C_SHED_BULK_PACKETS, WS_C_GAP_RECORDS_LOST,
    WS_C_SHED_BLOCK_BYTES, WS_C_WRITE_LOST_BYTES,  WS_C_WRITE_LOST_PACKETS, WS_C_OUT_LINK_TYPE,
    WS_C_WRITE_LOST_RECORDS, WS_C_WRITE_LOST_TRAILERS,
    WS_C_OUT_NAME_FAILED,  WS_C_OUT_EXISTS,        WS_C_FRONT_REFUSED,
    WS_C_POST_SKIPPED,     WS_C_POST_UNREADABLE,   WS_C_POST_REPORT_LOST,   WS_C_POST_RESULTS_LOST,
    WS_C_HTTP_BODIES_LOST, WS_C_HTTP_FAILED,       WS_C_POST_ALERTS_LOST,   WS_C_COUNT,
};

uint64_t ws_ledger_lost(const struct ws_counters *s)
{
    uint64_t n = 0;
    for (const enum ws_counter *c = ws_ledger_losses; *c != WS_C_COUNT; c++)
        n += ws_count_get(s, *c);
    return n;
}
