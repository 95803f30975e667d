/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the stream sink: its state, and the part that names, opens and closes files
 * (stream_file.c). */
#ifndef WS_SINK_STREAM_IMPL_H
#define WS_SINK_STREAM_IMPL_H

#include "sink/names.h"
#include "sink/stream.h"

/* Closes that the channel had no room for; live only. Past it, a file keeps the size and time that
 * it has. */
#define CLOSES_MAX 65536u

/* Paths: the longest template expansion, a counter or ordinal, ".gaps". */
#define STREAM_PATH_MAX 1000u

enum file_state {
    FILE_NAMED = 1,   /* counter is decided */
    FILE_NO_NAME = 2, /* the name is unusable: nothing is written */
    FILE_UNIQUE = 4,  /* the name table was full: the name carries the flow's ordinal */
};

/* An output file of a flow. A joined format uses the first of the two only. */
struct stream_file {
    uint64_t id;   /* in the channel; 0 = not open */
    uint64_t pos;  /* where the next piece goes; RAW: end of the highest byte or hole */
    uint64_t shed; /* bytes refused by the channel */
    uint32_t counter;
    uint16_t link_type; /* PCAP */
    uint8_t state;      /* enum file_state bits */
};

/* A direction of a flow. */
struct stream_dir {
    uint64_t data_bytes;
    uint64_t gap_bytes;
    uint64_t skipped;                  /* RAW: stream offset less position in the file */
    uint64_t holes;                    /* RAW: bytes of holes */
    uint64_t pending_off, pending_len; /* a gap that is to be told with the next data */
    uint64_t flow_id;                  /* cached */
    uint64_t ordinal;                  /* of the latest packet whose bytes came */
    uint64_t base; /* length of the connections before on the tuple: where offset 0 lies */
    uint64_t bulk_off, bulk_len; /* shed since the last data: a gap once more comes, or the end */
    uint32_t gaps;
    uint8_t pending_cause;
    uint8_t pending_list; /* the sidecar is still to tell what the list holds */
    uint8_t begun;        /* HEADERS32: a record has said that a connection begins */
};

struct stream_flow {
    struct stream_file file[2];
    struct stream_dir dir[2];
};

/* Kept only when a template names MACs. */
struct stream_macs {
    uint8_t src[6], dst[6];
    uint8_t known, pad[3];
};

struct sidecar {
    uint64_t id, pos;
};

/* Kept when records list gaps, or there are sidecars. */
struct gap_list {
    uint32_t first, last, n; /* in stream_sink.gap; first and last valid when n is not 0 */
};

/* Kept of a direction whose segments are written as they come (segment.c). */
struct segment_dir {
    int64_t base;        /* offset of the file's first byte, as ws_tcp_ops.segment() counts */
    int64_t next;        /* where the segment before ended */
    int64_t end;         /* of the stream, when fin */
    int64_t first_ts_ns; /* of a file that begins after the direction */
    uint64_t moved;      /* bytes that insertions in front of the file may have moved */
    /* The direction's packets and their bytes when this file began, and, when the next one does,
     * then. */
    uint64_t packets_from, bytes_from, packets_to, bytes_to;
    uint32_t out_of_order, violations;
    uint8_t later; /* the file begins after the direction */
    uint8_t fin;   /* its FIN was seen */
    uint8_t pad[6];
};

/* Kept when there are metadata files. */
struct stream_metadata {
    uint64_t packets[2], bytes[2], messages[2];
    uint8_t side; /* of the last data: 1 + side, 0 = none yet */
    uint8_t pad[7];
};

struct closing {
    uint64_t id, size, tag;
    int64_t mtime_ns;
};

struct stream_sink {
    struct ws_sink base;
    struct ws_sink_stream_config cfg;
    struct ws_name name;
    struct ws_names names;
    bool joined;
    uint32_t syn_off; /* likewise: the last SYN of each direction, piece 1 until told */
    uint32_t macs_off, sidecar_off, gaps_off, meta_off; /* in the flow's area; 0 = not there */
    uint32_t findx_off, segment_off;                    /* likewise */
    struct ws_stream_gap *gap;                          /* pool */
    uint32_t gap_free, gap_fresh;                       /* free list; from here on never used */
    uint32_t gaps_kept;                                 /* of a direction */
    uint64_t order; /* merged: ordinal that the next record comes with, at least */
    unsigned n_closing;
    struct closing closing[CLOSES_MAX];
    uint8_t *file_header; /* PCAP */
    size_t file_header_len;
    char path[STREAM_PATH_MAX];
    char *line; /* JSON: WS_CHUNK_JSON_MAX bytes */
    uint8_t stripped[4096];
};

static inline struct stream_flow *ws_stream_area(const struct stream_sink *ss, struct ws_flow *flow)
{
    return ws_flow_ext(flow, ss->base.flow_off);
}

static inline struct stream_macs *ws_stream_macs_of(const struct stream_sink *ss,
                                                    struct ws_flow *flow, unsigned dir)
{
    return (struct stream_macs *)ws_flow_ext(flow, ss->base.flow_off + ss->macs_off) + dir;
}

static inline struct ws_tcp_meta *ws_stream_syn_of(const struct stream_sink *ss, struct ws_flow *flow,
                                                   unsigned dir)
{
    return (struct ws_tcp_meta *)ws_flow_ext(flow, ss->base.flow_off + ss->syn_off) + dir;
}

static inline struct sidecar *ws_stream_sidecar_of(const struct stream_sink *ss,
                                                   struct ws_flow *flow, unsigned dir)
{
    return (struct sidecar *)ws_flow_ext(flow, ss->base.flow_off + ss->sidecar_off) + dir;
}

static inline struct sidecar *ws_stream_findx_of(const struct stream_sink *ss, struct ws_flow *flow,
                                                 unsigned dir)
{
    return (struct sidecar *)ws_flow_ext(flow, ss->base.flow_off + ss->findx_off) + dir;
}

static inline struct segment_dir *ws_stream_segment_of(const struct stream_sink *ss,
                                                       struct ws_flow *flow, unsigned dir)
{
    return (struct segment_dir *)ws_flow_ext(flow, ss->base.flow_off + ss->segment_off) + dir;
}

static inline struct gap_list *ws_stream_gaps_of(const struct stream_sink *ss, struct ws_flow *flow,
                                                 unsigned dir)
{
    return (struct gap_list *)ws_flow_ext(flow, ss->base.flow_off + ss->gaps_off) + dir;
}

/* Makes the pool of gaps. 0 or -ENOMEM. */
int ws_stream_gaps_init(struct stream_sink *ss);

/* Lists a gap. False: the direction's list or the pool is full. */
bool ws_stream_gaps_note(struct stream_sink *ss, struct ws_flow *flow, unsigned dir, uint64_t off,
                         uint64_t len, enum ws_gap_cause cause);

/* Gives a direction's list back. */
void ws_stream_gaps_drop(struct stream_sink *ss, struct ws_flow *flow, unsigned dir);

/* The first packet of the flow, or of the direction for a file of its own. */
int64_t ws_stream_first_ts(const struct stream_sink *ss, const struct ws_flow *flow, unsigned dir);

/* FlowID of a direction, cached; 0 = not numbered. */
uint64_t ws_stream_flow_id(const struct stream_sink *ss, struct ws_flow *flow, unsigned dir);

/* Puts the path of file f, named after direction dir, into ss->path, with suffix; decides its
 * counter the first time. False: no usable name (counted once). */
bool ws_stream_make_path(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                         struct stream_file *f, const char *suffix);

/* Opens the file of the path that ws_stream_make_path() made for f with a suffix of that length. 0: no block. */
uint64_t ws_stream_open_path(struct stream_sink *ss, const struct stream_file *f,
                             size_t suffix_len);

/* Opens the file unless it is open. False: no block free now, or no usable name. */
bool ws_stream_open_file(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                         struct stream_file *f);

/* Ends file d of the flow, with its sidecars, and reports it, when it is open. goes_on: the
 * direction goes on in another file. */
void ws_stream_end_file(struct stream_sink *ss, struct ws_flow *flow, unsigned d,
                        enum ws_flow_cause cause, bool goes_on);

/* Writes stream bytes to position pos of the file: stripped, cut and indexed as configured; counts
 * them. */
void ws_stream_put(struct stream_sink *ss, struct ws_flow *flow, unsigned dir, uint64_t pos,
                   const uint8_t *data, uint32_t len, int64_t ts_ns);

/* How many of len bytes at position pos of a stream may be written; counts the others. */
uint32_t ws_stream_within(struct stream_sink *ss, uint64_t pos, uint32_t len);

/* ws_sink_ops.segment: segments of TCP as they come. */
void ws_stream_segment(struct ws_sink *s, struct ws_flow *flow, unsigned dir, int64_t off,
                       const struct ws_tcp_segment *seg);

/* Ends a file; kept for later when the channel has no room. */
void ws_stream_close_file(struct stream_sink *ss, uint64_t id, uint64_t size, int64_t mtime_ns,
                          uint64_t tag);

/* Gives the channel the ends that it had no room for, while it takes them. */
void ws_stream_retry_closes(struct stream_sink *ss);

/* One line of the .gaps sidecar, which is opened by the first. */
void ws_stream_sidecar_line(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                            uint64_t off, uint64_t len, const char *cause);

/* Tells the gaps that came before the file was there. */
void ws_stream_sidecar_pending(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                               struct stream_dir *d);

/* Counts a piece of stream data for the connection's metadata. */
void ws_stream_metadata_note(struct stream_sink *ss, struct ws_flow *flow, unsigned dir,
                             uint32_t len, const struct ws_tcp_meta *meta);

/* Writes the metadata file of a connection that ends. */
void ws_stream_metadata_write(struct stream_sink *ss, struct ws_flow *flow);

#endif
