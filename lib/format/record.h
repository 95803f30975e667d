/* SPDX-License-Identifier: BSD-3-Clause */
/* A finished flow as plain data, its FlowIDs, and its rows: human table, JSON, CSV. */
#ifndef WS_FORMAT_RECORD_H
#define WS_FORMAT_RECORD_H

#include "format/text.h"
#include "packet/packet.h"

/* A count that nobody kept; left out of JSON, empty in CSV. */
#define WS_RECORD_UNKNOWN UINT64_MAX

/* Everything about a closed flow. Self-contained: may be copied and outlives the run. Index 0 and 1
 * are the directions sent by key endpoint 0 and 1. */
struct ws_flow_record {
    struct ws_key key;
    uint64_t first_ordinal[2]; /* UINT64_MAX: the direction had no packet */
    int64_t first_ts_ns[2];    /* valid when packets or first_ordinal of the direction are */
    int64_t last_ts_ns[2];
    uint64_t packets[2];
    uint64_t bytes[2];         /* wire bytes of whole frames */
    uint64_t ip_bytes[2];      /* of IP datagrams, header included; or UNKNOWN */
    uint64_t payload_bytes[2]; /* transport payload: of TCP as on the wire, retransmissions included; of others as
                                  captured */
    uint64_t stream_bytes[2]; /* TCP: stream length, delivered and gaps; UNKNOWN when not tracked */
    uint64_t gap_bytes[2];
    uint64_t flow_id[2]; /* filled by ws_flow_record_rank(); 0 = the direction has none */
    uint32_t gaps[2];
    /* with ws_sink_record_config.order, else 0: */
    uint32_t begin_seq[2]; /* TCP: ISN of the originator's SYN, when a SYN or SYN/ACK was the first */
    uint32_t late[2];      /* TCP segments with bytes that came after later bytes */
    uint32_t icmp;      /* ICMP: 1 << 24 | direction << 16 | type << 8 | code of its first message; 0 unknown */
    uint32_t worker;    /* of a live run; UINT32_MAX = not told, as results do not depend on it */
    uint8_t orig;       /* direction of the originator */
    uint8_t selected;   /* bit d: direction d was chosen by the selectors */
    uint8_t tcp_events; /* bit per enum ws_tcp_event */
    uint8_t reserved;
    char conn_state[8]; /* Zeek's, NUL-terminated */
    char history[24];   /* Zeek's letters, NUL-terminated; may be empty */
    char end[16];       /* why it ended: "end_of_input", "idle", "reused", "evicted", "finished" */
};

/* First and last packet of the flow, both directions. */
int64_t ws_flow_record_start_ns(const struct ws_flow_record *r);
int64_t ws_flow_record_end_ns(const struct ws_flow_record *r);

/* Gives every direction of the n records that had a packet its FlowID: its rank by first_ordinal,
 * from 1 (design 6a.1). The records must be all flows of the input. scratch:
 * ws_flow_record_rank_bytes(n) bytes. */
size_t ws_flow_record_rank_bytes(size_t n);
void ws_flow_record_rank(struct ws_flow_record *const *rec, size_t n, void *scratch);

/* --- human table: a conversation a line --- */

/* Column widths, so that IPv6 fits and short tables stay narrow. */
struct ws_record_table {
    unsigned endpoint_width; /* of the widest endpoint */
    unsigned id_width;
};
/* Widens the columns for a record; call for every row before the first is rendered. */
void ws_record_table_measure(struct ws_record_table *t, const struct ws_flow_record *r);
/* Two header lines / one row, each ending in '\n'. */
void ws_record_table_header(struct ws_text *out, const struct ws_record_table *t);
void ws_record_table_row(struct ws_text *out, const struct ws_record_table *t,
                         const struct ws_flow_record *r);
#define WS_RECORD_ROW_MAX 512u

/* --- one object or row a line, ending in '\n'; community_id may be NULL --- */

/* docs/formats/flow-json.md: Zeek's conn.log names where they exist. */
void ws_record_json(struct ws_text *out, const struct ws_flow_record *r, const char *community_id);
/* The same fields as columns, dots of names kept. */
void ws_record_csv_header(struct ws_text *out);
void ws_record_csv(struct ws_text *out, const struct ws_flow_record *r, const char *community_id);
#define WS_RECORD_LINE_MAX 2048u

#endif
