/* SPDX-License-Identifier: BSD-3-Clause */
/* The stream archive: segment files of records, encoded and decoded (docs/formats/archive.md).
 *
 *   segment = header, records, footer (a record too), tail
 *
 * Pure functions, any thread; results point into the input. All numbers are little-endian. A record's checksum
 * takes in its place in the segment, so that bytes of traffic that look like a record are none.
 */
#ifndef WS_FORMAT_ARCHIVE_H
#define WS_FORMAT_ARCHIVE_H

#include "format/record.h"
#include "format/status.h"

#define WS_ARCHIVE_SUFFIX ".wsa"

#define WS_ARCHIVE_MAGIC      0x575341d3u /* a segment's first 4 bytes, the first one highest */
#define WS_ARCHIVE_HEADER_LEN 64u
#define WS_ARCHIVE_HEAD_LEN   32u /* what every record begins with */
#define WS_ARCHIVE_DATA_LEN   60u /* a data record without its bytes, */
#define WS_ARCHIVE_HELD_LEN   68u /* or this long when its packet came before others (WS_ARCHIVE_HELD) */
#define WS_ARCHIVE_GAP_LEN    52u
#define WS_ARCHIVE_OPEN_LEN   156u
#define WS_ARCHIVE_ENTRY_LEN  320u /* a flow in a record of flows */
#define WS_ARCHIVE_FOOTER_LEN 72u  /* without its list */
#define WS_ARCHIVE_TAIL_LEN   16u
#define WS_ARCHIVE_PIECE_MAX  65536u /* stream bytes of a record; longer ones take several */
#define WS_ARCHIVE_BATCH_MAX  64u        /* flows of a record */
#define WS_ARCHIVE_BATCHES_MAX 8192u     /* records of flows in a segment: more begin a new one */
/* No record is longer, so that looking for the next one behind damage is bounded. */
#define WS_ARCHIVE_RECORD_MAX (WS_ARCHIVE_FOOTER_LEN + 65536u)

/* A place in a worker's log: its segment and the offset in it. 0 = none. */
#define WS_ARCHIVE_OFF_BITS 40u
#define WS_ARCHIVE_OFF_MAX  ((UINT64_C(1) << WS_ARCHIVE_OFF_BITS) - 1)
#define WS_ARCHIVE_SEGMENTS_MAX (1u << 24)
static inline uint64_t ws_archive_place(uint64_t segment, uint64_t off)
{
    return segment << WS_ARCHIVE_OFF_BITS | off;
}

enum ws_archive_flag {
    WS_ARCHIVE_TCP = 1, /* what was written: TCP streams, */
    WS_ARCHIVE_UDP = 2, /* payloads of UDP, */
    WS_ARCHIVE_ALL_IP = 4, /* payloads of other protocols */
    WS_ARCHIVE_OWN_ORDINALS = 8, /* live, several receive stages: ordinals are of each worker */
    WS_ARCHIVE_PER_TUPLE = 16,
};

struct ws_archive_header {
    uint32_t flags; /* enum ws_archive_flag */
    uint32_t worker, workers;
    uint32_t segment; /* from 0 */
};

enum ws_archive_type {
    WS_ARCHIVE_DATA = 1, /* bytes of a stream, as a packet brought them */
    WS_ARCHIVE_GAP,      /* a range that is missing */
    WS_ARCHIVE_OPEN,     /* who the flow is, before its first bytes; again when its other direction appears */
    WS_ARCHIVE_RESTART,  /* a later connection of the same flow: offsets begin anew */
    WS_ARCHIVE_FLOWS,    /* flows that have ended */
    WS_ARCHIVE_FOOTER,
    WS_ARCHIVE_TYPES
};

enum ws_archive_record_flag {
    WS_ARCHIVE_DIR = 1,    /* direction 1 */
    WS_ARCHIVE_PIECE = 2,  /* DATA: bytes of the same packet came before */
    WS_ARCHIVE_ENDING = 4, /* let go by the end of the input: order is the flow's first ordinal */
    WS_ARCHIVE_HELD = 8,   /* DATA: the packet's own ordinal follows, order is of the one that let it go */
};

/* What every record begins with. */
struct ws_archive_head {
    uint8_t type, flags;
    uint32_t bytes; /* of the record */
    uint32_t flow;  /* the worker's number of it, from 1; FLOWS: their count */
    uint64_t order; /* ordinal of the packet that let it go */
    uint64_t prev;  /* place of the flow's record before; FLOWS: of the record of flows before */
};

struct ws_archive_data {
    uint64_t off; /* of the stream */
    int64_t ts_ns;
    uint64_t ordinal;
    uint32_t seq, ack;
    uint16_t window;
    uint8_t tcp_flags;
    const uint8_t *bytes;
    uint32_t len;
};

struct ws_archive_gap {
    uint64_t off, len;
    uint8_t cause; /* enum ws_gap_cause */
};

/* Who a flow is, as far as was seen. */
struct ws_archive_open {
    struct ws_key key;
    uint64_t first_ordinal[2]; /* UINT64_MAX: no packet yet */
    int64_t first_ts_ns[2];
    uint8_t mac[2][12]; /* of the first packet of each direction: source, destination */
    uint8_t orig, seen;
};

/* A flow that has ended. */
struct ws_archive_entry {
    struct ws_flow_record rec; /* without flow_id, begin_seq and late */
    uint8_t mac[2][12];
    uint8_t seen;
    uint8_t orig;   /* who sent the first packet; rec.orig is who opened the connection */
    bool ending;    /* as WS_ARCHIVE_ENDING */
    uint32_t flow;  /* 0: it has no records */
    uint64_t order; /* of its end */
    uint64_t at;    /* place where the worker's log stood when it ended */
    uint64_t last;  /* place of its last record; 0 = none */
};

struct ws_archive_footer {
    bool last;      /* the worker's last segment: the run has ended */
    uint64_t flows; /* in the records of flows */
    uint64_t data_bytes;
    int64_t first_ts_ns, last_ts_ns; /* of data; first > last: none */
    uint32_t batches;
    const uint8_t *list; /* offsets of the records of flows, 8 bytes each */
};

/* Encoders write the given lengths; records are completed by ws_archive_seal(). */
void ws_archive_header_encode(uint8_t buf[WS_ARCHIVE_HEADER_LEN], const struct ws_archive_header *h);
void ws_archive_head_encode(uint8_t buf[WS_ARCHIVE_HEAD_LEN], const struct ws_archive_head *h);
/* Returns the length of what stands before the bytes: WS_ARCHIVE_DATA_LEN or, with HELD, WS_ARCHIVE_HELD_LEN. */
unsigned ws_archive_data_encode(uint8_t buf[WS_ARCHIVE_HELD_LEN], const struct ws_archive_head *h,
                                const struct ws_archive_data *d);
void ws_archive_gap_encode(uint8_t buf[WS_ARCHIVE_GAP_LEN], const struct ws_archive_head *h,
                           const struct ws_archive_gap *g);
void ws_archive_open_encode(uint8_t buf[WS_ARCHIVE_OPEN_LEN], const struct ws_archive_head *h,
                            const struct ws_archive_open *o);
void ws_archive_entry_encode(uint8_t buf[WS_ARCHIVE_ENTRY_LEN], const struct ws_archive_entry *e);
/* Without the list, which follows. */
void ws_archive_footer_encode(uint8_t buf[WS_ARCHIVE_FOOTER_LEN], const struct ws_archive_head *h,
                              const struct ws_archive_footer *f);
void ws_archive_tail_encode(uint8_t buf[WS_ARCHIVE_TAIL_LEN], uint64_t footer_off);

/* The checksum of a record at off that begins with the head_len bytes of head and goes on with body goes into head. */
void ws_archive_seal(uint8_t *head, size_t head_len, const void *body, size_t body_len, uint64_t off);

/* Bytes of a record up to the next one: records begin at multiples of 4. */
static inline uint32_t ws_archive_padded(uint32_t bytes)
{
    return (bytes + 3u) & ~3u;
}

/* A segment's header. INCOMPLETE: fewer bytes; INVALID: another file, or damaged. */
enum ws_format_status ws_archive_header_decode(const uint8_t *p, size_t len, struct ws_archive_header *h);

/* The record at p, which lies at off of its segment. INCOMPLETE: h->bytes are needed, or a head, h->bytes then 0;
 * INVALID: no record, or one whose checksum is wrong. */
enum ws_format_status ws_archive_head_decode(const uint8_t *p, size_t len, uint64_t off, struct ws_archive_head *h);

/* For finding records among damaged bytes, where many heads may be false ones that each name a long record. ws_archive_scan_begin() fills
 * prefix, of len / 4 + 1 words; then ws_archive_scan() is ws_archive_head_decode() of the record at p + at, a multiple of 4, that lies at
 * off of its segment, at a cost that does not depend on the record's length. */
void ws_archive_scan_begin(uint32_t *prefix, const uint8_t *p, size_t len);
enum ws_format_status ws_archive_scan(const uint32_t *prefix, const uint8_t *p, size_t len, size_t at, uint64_t off,
                                      struct ws_archive_head *h);

/* The head alone, without the checksum: for walking along a flow's chain. */
bool ws_archive_head_peek(const uint8_t p[WS_ARCHIVE_HEAD_LEN], struct ws_archive_head *h);

/* What a valid record of that type holds. False: it is not what the type says. */
bool ws_archive_data_decode(const uint8_t *p, const struct ws_archive_head *h, struct ws_archive_data *d);
bool ws_archive_gap_decode(const uint8_t *p, const struct ws_archive_head *h, struct ws_archive_gap *g);
bool ws_archive_open_decode(const uint8_t *p, const struct ws_archive_head *h, struct ws_archive_open *o);
/* Entry i < h->flow of a record of flows. */
bool ws_archive_entry_decode(const uint8_t *p, const struct ws_archive_head *h, uint32_t i, struct ws_archive_entry *e);
bool ws_archive_footer_decode(const uint8_t *p, const struct ws_archive_head *h, struct ws_archive_footer *f);

/* The footer's offset of a segment's last WS_ARCHIVE_TAIL_LEN bytes; 0 = there is none. */
uint64_t ws_archive_tail_decode(const uint8_t p[WS_ARCHIVE_TAIL_LEN]);

#endif
