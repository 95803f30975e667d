/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers and lines that frame the pieces of a stream: pcap_flow's records, pcap2conn's chunks and
 * JSON. */
#ifndef WS_FORMAT_CHUNK_H
#define WS_FORMAT_CHUNK_H

#include "format/text.h"

/* A record's length field has 16 bits: a longer piece is split by the caller. */
#define WS_CHUNK_PAYLOAD_MAX 65535u

#define WS_CHUNK12_LEN 12u
#define WS_CHUNK32_LEN 32u

/* Flag bits of the 32-byte header above the TCP flags. */
enum ws_chunk32_flag {
    WS_CHUNK32_RESET = 0x8000,      /* a new connection begins here; no payload */
    WS_CHUNK32_REASSEMBLE = 0x4000, /* came out of order and was held */
};

/* What the two binary headers are made of. */
struct ws_chunk {
    uint64_t ts_ns;
    uint16_t len;       /* payload bytes that follow */
    uint16_t stream_id; /* FlowID modulo 65,536 */
    uint32_t seq, ack, window;
    uint16_t flags; /* TCP flags and enum ws_chunk32_flag */
};

/* docs/formats/headers12.md: u64 ts, u16 len, u16 stream, little-endian, packed. */
void ws_chunk12_encode(uint8_t out[WS_CHUNK12_LEN], const struct ws_chunk *c);

/* docs/formats/headers32.md. The last field before the padding is the sum that pcap_flow calls CRC.
 */
void ws_chunk32_encode(uint8_t out[WS_CHUNK32_LEN], const struct ws_chunk *c);

/* "[N bytes missing]", as pcap2conn puts it into the data. */
void ws_chunk_missing(struct ws_text *t, uint64_t missing);

/* docs/formats/chunks.md: the line before a chunk of size bytes (missing text included). */
void ws_chunk_text_header(struct ws_text *t, unsigned side, uint64_t size);
#define WS_CHUNK_TEXT_HEADER_MAX 80u

/* One chunk as a line of JSON, docs/formats/stream-json.md. */
struct ws_chunk_json {
    unsigned side;       /* 0 or 1 */
    int64_t ts_ns;       /* of the packet that brought the data */
    int64_t conn_ns;     /* since the first packet of the connection */
    const uint8_t *data; /* len bytes, at most WS_CHUNK_PAYLOAD_MAX */
    uint32_t len;
    uint64_t missing;  /* bytes lost just before data; 0 = none, no field */
    bool missing_text; /* also put "[N bytes missing]" into data, size and data_hex, as pcap2conn
                          does */
    bool ns;           /* 9 decimals instead of pcap2conn's 5 (rounded) */
};
void ws_chunk_json_line(struct ws_text *t, const struct ws_chunk_json *c);

/* Room that one line never exceeds: 6 characters escaped and 2 of hex a byte, and the fields. */
#define WS_CHUNK_JSON_MAX (WS_CHUNK_PAYLOAD_MAX * 8u + 640u)

/* Counts of a connection, docs/formats/metadata.md; by side. */
struct ws_chunk_metadata {
    uint64_t packets[2];  /* that brought stream data */
    uint64_t bytes[2];    /* of stream data */
    uint64_t messages[2]; /* times that the side began to speak */
};
void ws_chunk_metadata_text(struct ws_text *t, const struct ws_chunk_metadata *m);
void ws_chunk_metadata_json(struct ws_text *t, const struct ws_chunk_metadata *m);
#define WS_CHUNK_METADATA_MAX 768u

/* A line of a .gaps sidecar, docs/formats/gaps.md. cause is a static name. */
void ws_chunk_gap_line(struct ws_text *t, uint64_t offset, uint64_t length, const char *cause);
#define WS_CHUNK_GAP_MAX 128u

#endif
