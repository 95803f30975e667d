/* SPDX-License-Identifier: BSD-3-Clause */
/* The sink that writes streams to files: raw bytes, or framed by pcap_flow's and pcap2conn's
 * headers, or packets. Or, merged, all of them to one output as they come. */
#ifndef WS_SINK_STREAM_H
#define WS_SINK_STREAM_H

#include "format/name.h"
#include "sink/frame.h"
#include "sink/sink.h"

enum ws_stream_format {
    WS_STREAM_RAW,       /* the bytes, at their offsets; a file a direction */
    WS_STREAM_HEADERS12, /* a 12-byte header before each piece; a file a direction */
    WS_STREAM_HEADERS32, /* a 32-byte header before each piece; a file a direction */
    WS_STREAM_PLAIN,     /* the bytes as they come, gaps as text; a file a connection */
    WS_STREAM_CHUNKS,    /* a text line before each piece; a file a connection */
    WS_STREAM_JSON,      /* a line of JSON a piece; a file a connection */
    WS_STREAM_PCAP,      /* the packets; a file a connection */
    WS_STREAM_NONE,      /* nothing but metadata */
};

/* A file of counts beside each connection's file or files, NAME-metadata.txt or .json. */
enum ws_stream_metadata { WS_STREAM_NO_METADATA, WS_STREAM_METADATA_TEXT, WS_STREAM_METADATA_JSON };

/* A gap in the list of a stream; next is an index into the same array. */
struct ws_stream_gap {
    uint64_t off, len;
    uint32_t next; /* WS_STREAM_GAP_END: the last one */
    uint8_t cause; /* enum ws_gap_cause */
};
#define WS_STREAM_GAP_END UINT32_MAX

/* What becomes of a finished stream file; path and flow are borrowed for the call. */
struct ws_stream_record {
    const char *path; /* relative to the output's directory */
    enum ws_flow_cause cause; /* why the flow ended; of no meaning when it goes on */
    bool goes_on; /* only this file is over: the direction continues in another one */
    bool closes_wait; /* the ends of earlier files wait for a block: who waits for those here waits in vain */
    const struct ws_flow *flow;
    unsigned dir; /* direction in the file; both: the originator's, joined is set */
    bool joined;
    uint64_t flow_id;       /* FlowID of dir, 0 = not numbered */
    uint64_t file_bytes;    /* size of the file */
    uint64_t length;        /* of the stream: more than file_bytes when the file was cut (bytes_max) */
    /* Of the packets that this file's bytes came with: all of the flow's, or, arrival, those since the file before. */
    uint64_t packets[2], wire_bytes[2];
    /* Arrival: segments that began before the end of the one before, and SYNs with data. */
    uint64_t out_of_order, violations;
    uint64_t data_bytes[2]; /* stream bytes written, per direction */
    uint64_t gap_bytes[2];
    uint32_t gaps[2];
    const struct ws_stream_gap *gap; /* where the lists below lie, for the call */
    uint32_t gap_first[2];           /* in stream order, as many as config and pool allowed */
    uint32_t gaps_listed[2];         /* their number; gap_first is valid when it is not 0 */
    uint64_t shed_bytes;             /* lost by us: no free block */
    int64_t first_ts_ns, last_ts_ns;
};

struct ws_sink_stream_config {
    struct ws_channel *channel; /* of a TREE output, or MERGED; borrowed */
    enum ws_stream_format format;
    uint64_t size_min; /* streams of at most so many bytes leave no file */
    bool udp_header;   /* UDP: the 8 bytes before data, which are the header, are written too */
    bool empty_records; /* HEADERS12, HEADERS32: a record also for TCP packets without payload */
    bool key_macs;     /* flow keys hold the MACs that names need */
    const char *name_template;   /* NULL = ws_sink_stream_template(format) */
    struct ws_name_options name; /* colon 0: ':' is kept, except in pcap2conn's default names */
    bool separate; /* PLAIN, CHUNKS, JSON, PCAP: a file a direction; the others always have that */
    bool merged;   /* PLAIN, CHUNKS, JSON: no files; each piece is a record of the MERGED output */
    bool local_time;                  /* times in names are the host's, else UTC */
    enum ws_stream_metadata metadata; /* not when merged */
    unsigned file_flags;              /* enum ws_file_flag */
    bool gaps_skip;                   /* RAW, PLAIN: leave gaps out instead of holes or text */
    bool gaps_holes;                  /* PLAIN: holes instead of text */
    uint64_t holes_max;    /* RAW: hole bytes of a file, gaps beyond are left out; 0 = no limit */
    bool arrival;        /* RAW: TCP segments go to their offsets as they come, the last copy of a byte stays (segment.c) */
    bool split;          /* arrival: one further than split_gap from the end of the one before begins a new file */
    uint64_t split_gap;
    bool cut;            /* bytes of a stream at and beyond bytes_max are not written */
    uint64_t bytes_max;
    /* Live: of each direction (PCAP: of each file) the first shed_keep bytes are what counts; later ones are left out when
     * blocks get short, of the longest streams first (overload.h). 0: nothing is left out while there is a block. With arrival
     * no gap tells of them, but a hole, which a later copy may fill. */
    uint64_t shed_keep;
    bool strip;          /* RAW, PLAIN: what is not printable, CR or LF becomes a dot */
    bool findx, findx_ns; /* RAW: FILE.findx, a line a piece: offset|time|length (docs/formats/findx.md) */
    bool gaps_file;        /* a FILE.gaps sidecar for each stream with gaps */
    uint32_t gaps_listed;  /* gaps of a direction that the record lists; 0 = none */
    uint32_t gap_pool;     /* gaps listed of all open streams together (default 262,144) */
    bool missing_text;     /* JSON: also as text in the data, as pcap2conn; CHUNKS always has it */
    bool json_ns;          /* JSON: 9 decimals */
    bool number_from_zero; /* %N counts from 0, as tcpflow, else it is the FlowID */
    struct ws_frame_format frame;        /* PCAP */
    bool pcap_tcp, pcap_udp, pcap_other; /* PCAP, metadata: protocols whose flows get a file */
    const struct ws_pcapng_iface *iface; /* PCAP with pcapng: all interfaces; copied */
    unsigned n_iface;
    uint32_t names_max; /* names remembered for counters (default 1,048,576) */
    /* Zeroed memory for the name table, not given back; NULL = calloc. */
    void *(*alloc)(void *user, size_t bytes);
    void *alloc_user;
    /* Told of each finished file just before it is closed, on the worker's thread. What it returns is the tag
     * that the output's on_closed() gets for this file. May be NULL: 0. Sidecars have 0 too. */
    uint64_t (*closed)(void *user, const struct ws_stream_record *rec);
    void *user;
};

/* The default template of a format. */
const char *ws_sink_stream_template(enum ws_stream_format format);

/* Makes the sink. 0, -EINVAL with a line in err (template), or -ENOMEM. */
int ws_sink_stream_create(struct ws_sink **s, const struct ws_sink_stream_config *cfg, char *err,
                          size_t err_len);

/* Whether files of different flows never share a name across workers: with several workers and
 * false, names may clash, and one worker should be used. */
bool ws_sink_stream_names_complete(const struct ws_sink *s);

#endif
