/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of flow records. */
#include "format/record.h"

#include <stdlib.h>

#include "format/json.h"

static bool has_dir(const struct ws_flow_record *r, unsigned d)
{
    return r->first_ordinal[d] != UINT64_MAX;
}

int64_t ws_flow_record_start_ns(const struct ws_flow_record *r)
{
    if (has_dir(r, 0) && has_dir(r, 1))
        return WS_MIN(r->first_ts_ns[0], r->first_ts_ns[1]);
    return r->first_ts_ns[has_dir(r, 1)];
}

int64_t ws_flow_record_end_ns(const struct ws_flow_record *r)
{
    if (has_dir(r, 0) && has_dir(r, 1))
        return WS_MAX(r->last_ts_ns[0], r->last_ts_ns[1]);
    return r->last_ts_ns[has_dir(r, 1)];
}

/* Stamps of a capture may go back: then the duration is 0. */
static int64_t duration_ns(const struct ws_flow_record *r)
{
    int64_t a = ws_flow_record_start_ns(r), b = ws_flow_record_end_ns(r);
    return b > a ? (int64_t)((uint64_t)b - (uint64_t)a) : 0;
}

/* --- ranking --- */

struct rank_entry {
    uint64_t ordinal;
    uint64_t *id;
};

size_t ws_flow_record_rank_bytes(size_t n)
{
    return 2 * n * sizeof(struct rank_entry);
}

static int by_ordinal(const void *a, const void *b)
{
    uint64_t x = ((const struct rank_entry *)a)->ordinal;
    uint64_t y = ((const struct rank_entry *)b)->ordinal;
    return (x > y) - (x < y);
}

void ws_flow_record_rank(struct ws_flow_record *const *rec, size_t n, void *scratch)
{
    struct rank_entry *e = scratch;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        for (unsigned d = 0; d < 2; d++) {
            rec[i]->flow_id[d] = 0;
            if (has_dir(rec[i], d))
                e[k++] = (struct rank_entry){rec[i]->first_ordinal[d], &rec[i]->flow_id[d]};
        }
    }
    if (k)
        qsort(e, k, sizeof(*e), by_ordinal);
    for (size_t i = 0; i < k; i++)
        *e[i].id = i + 1;
}

/* --- human table --- */

static void put_proto(struct ws_text *t, uint8_t proto)
{
    const char *name = ws_proto_name(proto);
    if (name) {
        ws_text_puts(t, name);
    } else {
        ws_text_puts(t, "ip-");
        ws_text_u64(t, proto, 0, '0');
    }
}

static void put_endpoint(struct ws_text *t, const struct ws_flow_record *r, unsigned d)
{
    ws_text_endpoint(t, r->key.addr[d], r->key.ip_version, r->key.port[d]);
}

static unsigned digits(uint64_t v)
{
    unsigned n = 1;
    while (v /= 10)
        n++;
    return n;
}

void ws_record_table_measure(struct ws_record_table *t, const struct ws_flow_record *r)
{
    char buf[64];
    for (unsigned d = 0; d < 2; d++) {
        struct ws_text x;
        ws_text_init(&x, buf, sizeof(buf));
        put_endpoint(&x, r, d);
        t->endpoint_width = WS_MAX(t->endpoint_width, (unsigned)x.len);
        t->id_width = WS_MAX(t->id_width, digits(r->flow_id[d]));
    }
}

static unsigned id_width(const struct ws_record_table *t)
{
    return WS_MAX(t->id_width, 6u);
}

static unsigned endpoint_width(const struct ws_record_table *t)
{
    return WS_MAX(t->endpoint_width, 10u);
}

void ws_record_table_header(struct ws_text *out, const struct ws_record_table *t)
{
    static const char *const tail[2] = {
        "  Packets ->  <- Packets   Bytes ->  <- Bytes    Duration  State  Notes\n",
        "  ----------  ----------  ---------  --------  ----------  -----  -----\n",
    };
    ws_text_right(out, "FlowID", id_width(t));
    ws_text_puts(out, "  ");
    ws_text_right(out, "Reply", id_width(t));
    ws_text_puts(out, "  Proto  ");
    ws_text_left(out, "Originator", endpoint_width(t));
    ws_text_puts(out, "     ");
    ws_text_left(out, "Responder", endpoint_width(t));
    ws_text_puts(out, tail[0]);
    ws_text_fill(out, '-', id_width(t));
    ws_text_puts(out, "  ");
    ws_text_fill(out, '-', id_width(t));
    ws_text_puts(out, "  -----  ");
    ws_text_fill(out, '-', endpoint_width(t));
    ws_text_puts(out, "     ");
    ws_text_fill(out, '-', endpoint_width(t));
    ws_text_puts(out, tail[1]);
}

/* Right-aligns what put() would put. */
#define COLUMN(out, width, call)                                                                   \
    do {                                                                                           \
        char col_buf[80];                                                                          \
        struct ws_text col;                                                                        \
        ws_text_init(&col, col_buf, sizeof(col_buf));                                              \
        call;                                                                                      \
        if (col.len < (width))                                                                     \
            ws_text_fill(out, ' ', (width)-col.len);                                               \
        ws_text_put(out, col_buf, col.len);                                                        \
    } while (0)

/* "0.000123 s", "12.345 s", "1:02:03". */
static void put_duration(struct ws_text *t, int64_t ns)
{
    int64_t s = ns / 1000000000;
    if (s < 3600) {
        ws_text_seconds(t, ns, s < 10 ? 6 : 3);
        ws_text_puts(t, " s");
        return;
    }
    ws_text_u64(t, (uint64_t)(s / 3600), 0, '0');
    ws_text_putc(t, ':');
    ws_text_u64(t, (uint64_t)(s / 60 % 60), 2, '0');
    ws_text_putc(t, ':');
    ws_text_u64(t, (uint64_t)(s % 60), 2, '0');
}

static void put_id(struct ws_text *t, uint64_t id)
{
    if (id)
        ws_text_u64(t, id, 0, '0');
    else
        ws_text_putc(t, '-');
}

static const char *tunnel_name(uint8_t type)
{
    static const char *const name[] = {
        [WS_TUNNEL_NONE] = "",         [WS_TUNNEL_GRE] = "gre",     [WS_TUNNEL_NVGRE] = "nvgre",
        [WS_TUNNEL_ERSPAN] = "erspan", [WS_TUNNEL_VXLAN] = "vxlan", [WS_TUNNEL_GENEVE] = "geneve",
        [WS_TUNNEL_GTPU] = "gtpu",     [WS_TUNNEL_IPIP] = "ipip",   [WS_TUNNEL_TEREDO] = "teredo",
        [WS_TUNNEL_L2TP] = "l2tp",
    };
    return type < WS_ARRAY_SIZE(name) ? name[type] : "unknown";
}

/* VLANs, tunnel, gaps: what most rows do not have. */
static void put_notes(struct ws_text *t, const struct ws_flow_record *r)
{
    const char *sep = "";
    if (r->key.vlan[0]) {
        ws_text_puts(t, "vlan ");
        ws_text_u64(t, r->key.vlan[0], 0, '0');
        if (r->key.vlan[1]) {
            ws_text_putc(t, '.');
            ws_text_u64(t, r->key.vlan[1], 0, '0');
        }
        sep = ", ";
    }
    if (r->key.tunnel_type) {
        ws_text_puts(t, sep);
        ws_text_puts(t, tunnel_name(r->key.tunnel_type));
        ws_text_putc(t, ' ');
        ws_text_u64(t, r->key.tunnel_id, 0, '0');
        sep = ", ";
    }
    uint64_t gaps = (uint64_t)r->gaps[0] + r->gaps[1];
    if (gaps) {
        ws_text_puts(t, sep);
        ws_text_grouped(t, gaps);
        ws_text_puts(t, gaps == 1 ? " gap (" : " gaps (");
        ws_text_si(t, r->gap_bytes[0] + r->gap_bytes[1]);
        ws_text_putc(t, ')');
    }
}

void ws_record_table_row(struct ws_text *out, const struct ws_record_table *t,
                         const struct ws_flow_record *r)
{
    unsigned o = r->orig, p = !o;
    COLUMN(out, id_width(t), put_id(&col, r->flow_id[o]));
    ws_text_puts(out, "  ");
    COLUMN(out, id_width(t), put_id(&col, r->flow_id[p]));
    ws_text_puts(out, "  ");
    size_t at = out->len;
    put_proto(out, r->key.proto);
    ws_text_fill(out, ' ', out->len - at < 7 ? 7 - (out->len - at) : 1);
    at = out->len;
    put_endpoint(out, r, o);
    ws_text_fill(out, ' ',
                 endpoint_width(t) - WS_MIN(endpoint_width(t), (unsigned)(out->len - at)));
    ws_text_puts(out, has_dir(r, p) ? " <-> " : "  -> ");
    at = out->len;
    put_endpoint(out, r, p);
    ws_text_fill(out, ' ',
                 endpoint_width(t) - WS_MIN(endpoint_width(t), (unsigned)(out->len - at)));
    ws_text_puts(out, "  ");
    COLUMN(out, 10u, ws_text_grouped(&col, r->packets[o]));
    ws_text_puts(out, "  ");
    COLUMN(out, 10u, ws_text_grouped(&col, r->packets[p]));
    ws_text_puts(out, "  ");
    COLUMN(out, 9u, ws_text_si(&col, r->bytes[o]));
    ws_text_puts(out, "  ");
    COLUMN(out, 8u, ws_text_si(&col, r->bytes[p]));
    ws_text_puts(out, "  ");
    COLUMN(out, 10u, put_duration(&col, duration_ns(r)));
    ws_text_puts(out, "  ");
    ws_text_left(out, r->conn_state, 5);
    ws_text_puts(out, "  ");
    put_notes(out, r);
    while (out->len && out->buf[out->len - 1] == ' ')
        out->len--;
    ws_text_putc(out, '\n');
}

/* --- fields of JSON and CSV: one table, so that both agree --- */

enum field_kind {
    FIELD_SECONDS, /* number, 9 decimals */
    FIELD_NS,      /* string of digits */
    FIELD_TEXT,
    FIELD_COUNT,
};

struct field {
    const char *name;
    enum field_kind kind;
};

#define FIELD_TABLE(X)                                                                             \
    X(TS, "ts", SECONDS)                                                                           \
    X(TS_NS, "ts_ns", NS)                                                                          \
    X(DURATION, "duration", SECONDS)                                                               \
    X(ORIG_H, "id.orig_h", TEXT)                                                                   \
    X(ORIG_P, "id.orig_p", COUNT)                                                                  \
    X(RESP_H, "id.resp_h", TEXT)                                                                   \
    X(RESP_P, "id.resp_p", COUNT)                                                                  \
    X(PROTO, "proto", TEXT)                                                                        \
    X(IP_PROTO, "ip_proto", COUNT)                                                                 \
    X(ORIG_BYTES, "orig_bytes", COUNT)                                                             \
    X(RESP_BYTES, "resp_bytes", COUNT)                                                             \
    X(CONN_STATE, "conn_state", TEXT)                                                              \
    X(MISSED_BYTES, "missed_bytes", COUNT)                                                         \
    X(HISTORY, "history", TEXT)                                                                    \
    X(ORIG_PKTS, "orig_pkts", COUNT)                                                               \
    X(ORIG_IP_BYTES, "orig_ip_bytes", COUNT)                                                       \
    X(RESP_PKTS, "resp_pkts", COUNT)                                                               \
    X(RESP_IP_BYTES, "resp_ip_bytes", COUNT)                                                       \
    X(VLAN, "vlan", COUNT)                                                                         \
    X(INNER_VLAN, "inner_vlan", COUNT)                                                             \
    X(COMMUNITY_ID, "community_id", TEXT)                                                          \
    X(FLOW_ID, "flow_id", COUNT)                                                                   \
    X(RESP_FLOW_ID, "resp_flow_id", COUNT)                                                         \
    X(ORIG_FRAME_BYTES, "orig_frame_bytes", COUNT)                                                 \
    X(RESP_FRAME_BYTES, "resp_frame_bytes", COUNT)                                                 \
    X(ORIG_PAYLOAD_BYTES, "orig_payload_bytes", COUNT)                                             \
    X(RESP_PAYLOAD_BYTES, "resp_payload_bytes", COUNT)                                             \
    X(ORIG_GAPS, "orig_gaps", COUNT)                                                               \
    X(RESP_GAPS, "resp_gaps", COUNT)                                                               \
    X(ORIG_GAP_BYTES, "orig_gap_bytes", COUNT)                                                     \
    X(RESP_GAP_BYTES, "resp_gap_bytes", COUNT)                                                     \
    X(TUNNEL, "tunnel", TEXT)                                                                      \
    X(TUNNEL_ID, "tunnel_id", COUNT)                                                               \
    X(FIRST_PACKET, "first_packet", COUNT)                                                         \
    X(EVENTS, "events", TEXT)                                                                      \
    X(END, "end", TEXT)                                                                            \
    X(WORKER, "worker", COUNT)

enum field_id {
#define X(id, name, kind) F_##id,
    FIELD_TABLE(X)
#undef X
        F_COUNT
};

static const struct field fields[F_COUNT] = {
#define X(id, name, kind) [F_##id] = {name, FIELD_##kind},
    FIELD_TABLE(X)
#undef X
};

/* A field's value; text is put in buf or points elsewhere. */
struct value {
    bool there;
    int64_t ns;
    uint64_t count;
    const char *text;
    char buf[64];
};

static void set_count(struct value *v, uint64_t n)
{
    v->there = n != WS_RECORD_UNKNOWN;
    v->count = n;
}

static void set_nonzero(struct value *v, uint64_t n)
{
    v->there = n != 0;
    v->count = n;
}

static void set_text(struct value *v, const char *s)
{
    v->there = s && *s;
    v->text = s;
}

static void set_addr(struct value *v, const struct ws_flow_record *r, unsigned d)
{
    struct ws_text t;
    ws_text_init(&t, v->buf, sizeof(v->buf));
    ws_text_addr(&t, r->key.addr[d], r->key.ip_version);
    ws_text_end(&t);
    set_text(v, v->buf);
}

/* Zeek's names: tcp, udp, icmp (both versions); others by our own name. */
static void set_proto(struct value *v, uint8_t proto)
{
    struct ws_text t;
    if (proto == 58) {
        set_text(v, "icmp");
        return;
    }
    ws_text_init(&t, v->buf, sizeof(v->buf));
    put_proto(&t, proto);
    ws_text_end(&t);
    set_text(v, v->buf);
}

/* By the bits of enum ws_tcp_event, with the names of ws_tcp_event_name(); what the history tells is left out. */
static void set_events(struct value *v, uint8_t events)
{
    static const char *const name[8] = {
        NULL, NULL, NULL, "rst_ignored", "overlap", "midstream", "far_segment", "syn_ignored",
    };
    struct ws_text t;
    ws_text_init(&t, v->buf, sizeof(v->buf));
    for (unsigned i = 0; i < WS_ARRAY_SIZE(name); i++) {
        if (!(events >> i & 1) || !name[i])
            continue;
        if (t.len)
            ws_text_putc(&t, ' ');
        ws_text_puts(&t, name[i]);
    }
    ws_text_end(&t);
    set_text(v, v->buf);
}

/* Zeek's orig_bytes: for TCP the length of the stream where it was tracked, else the payload seen.
 */
static uint64_t zeek_bytes(const struct ws_flow_record *r, unsigned d)
{
    return r->stream_bytes[d] != WS_RECORD_UNKNOWN ? r->stream_bytes[d] : r->payload_bytes[d];
}

static void get_value(struct value *v, enum field_id id, const struct ws_flow_record *r,
                      const char *community_id)
{
    unsigned o = r->orig, p = !o;
    memset(v, 0, offsetof(struct value, buf));
    switch (id) {
    case F_TS:
    case F_TS_NS:
        v->there = true;
        v->ns = ws_flow_record_start_ns(r);
        break;
    case F_DURATION:
        v->there = true;
        v->ns = duration_ns(r);
        break;
    case F_ORIG_H:
        set_addr(v, r, o);
        break;
    case F_RESP_H:
        set_addr(v, r, p);
        break;
    case F_ORIG_P:
        set_count(v, r->key.port[o]);
        break;
    case F_RESP_P:
        set_count(v, r->key.port[p]);
        break;
    case F_PROTO:
        set_proto(v, r->key.proto);
        break;
    case F_IP_PROTO:
        set_count(v, r->key.proto);
        break;
    case F_ORIG_BYTES:
        set_count(v, zeek_bytes(r, o));
        break;
    case F_RESP_BYTES:
        set_count(v, zeek_bytes(r, p));
        break;
    case F_CONN_STATE:
        set_text(v, r->conn_state);
        break;
    case F_MISSED_BYTES:
        set_count(v, r->gap_bytes[0] + r->gap_bytes[1]);
        break;
    case F_HISTORY:
        set_text(v, r->history);
        break;
    case F_ORIG_PKTS:
        set_count(v, r->packets[o]);
        break;
    case F_RESP_PKTS:
        set_count(v, r->packets[p]);
        break;
    case F_ORIG_IP_BYTES:
        set_count(v, r->ip_bytes[o]);
        break;
    case F_RESP_IP_BYTES:
        set_count(v, r->ip_bytes[p]);
        break;
    case F_VLAN:
        set_nonzero(v, r->key.vlan[0]);
        break;
    case F_INNER_VLAN:
        set_nonzero(v, r->key.vlan[1]);
        break;
    case F_COMMUNITY_ID:
        set_text(v, community_id);
        break;
    case F_FLOW_ID:
        set_nonzero(v, r->flow_id[o]);
        break;
    case F_RESP_FLOW_ID:
        set_nonzero(v, r->flow_id[p]);
        break;
    case F_ORIG_FRAME_BYTES:
        set_count(v, r->bytes[o]);
        break;
    case F_RESP_FRAME_BYTES:
        set_count(v, r->bytes[p]);
        break;
    case F_ORIG_PAYLOAD_BYTES:
        set_count(v, r->payload_bytes[o]);
        break;
    case F_RESP_PAYLOAD_BYTES:
        set_count(v, r->payload_bytes[p]);
        break;
    case F_ORIG_GAPS:
        set_count(v, r->gaps[o]);
        break;
    case F_RESP_GAPS:
        set_count(v, r->gaps[p]);
        break;
    case F_ORIG_GAP_BYTES:
        set_count(v, r->gap_bytes[o]);
        break;
    case F_RESP_GAP_BYTES:
        set_count(v, r->gap_bytes[p]);
        break;
    case F_TUNNEL:
        set_text(v, tunnel_name(r->key.tunnel_type));
        break;
    case F_TUNNEL_ID:
        v->there = r->key.tunnel_type != WS_TUNNEL_NONE;
        v->count = r->key.tunnel_id;
        break;
    case F_FIRST_PACKET:
        set_count(v, WS_MIN(r->first_ordinal[0], r->first_ordinal[1]) + 1);
        break;
    case F_EVENTS:
        set_events(v, r->tcp_events);
        break;
    case F_END:
        set_text(v, r->end);
        break;
    case F_WORKER:
        v->there = r->worker != UINT32_MAX;
        v->count = r->worker;
        break;
    case F_COUNT:
        break;
    }
}

void ws_record_json(struct ws_text *out, const struct ws_flow_record *r, const char *community_id)
{
    struct ws_json j;
    ws_json_init(&j, out);
    ws_json_object(&j);
    for (unsigned i = 0; i < F_COUNT; i++) {
        struct value v;
        get_value(&v, (enum field_id)i, r, community_id);
        if (!v.there)
            continue;
        ws_json_key(&j, fields[i].name);
        switch (fields[i].kind) {
        case FIELD_SECONDS:
            ws_json_seconds(&j, v.ns);
            break;
        case FIELD_NS:
            ws_json_ns_str(&j, v.ns);
            break;
        case FIELD_TEXT:
            ws_json_strz(&j, v.text);
            break;
        case FIELD_COUNT:
            ws_json_u64(&j, v.count);
            break;
        }
    }
    ws_json_object_end(&j);
    ws_text_putc(out, '\n');
}

void ws_record_csv_header(struct ws_text *out)
{
    for (unsigned i = 0; i < F_COUNT; i++) {
        if (i)
            ws_text_putc(out, ',');
        ws_text_puts(out, fields[i].name);
    }
    ws_text_putc(out, '\n');
}

/* No value holds a comma, a quote or a line end (addresses, names, numbers): none is quoted (RFC
 * 4180). */
void ws_record_csv(struct ws_text *out, const struct ws_flow_record *r, const char *community_id)
{
    for (unsigned i = 0; i < F_COUNT; i++) {
        struct value v;
        if (i)
            ws_text_putc(out, ',');
        get_value(&v, (enum field_id)i, r, community_id);
        if (!v.there)
            continue;
        switch (fields[i].kind) {
        case FIELD_SECONDS:
            ws_text_seconds(out, v.ns, 9);
            break;
        case FIELD_NS:
            ws_text_i64(out, v.ns);
            break;
        case FIELD_TEXT:
            ws_text_puts(out, v.text);
            break;
        case FIELD_COUNT:
            ws_text_u64(out, v.count, 0, '0');
            break;
        }
    }
    ws_text_putc(out, '\n');
}
