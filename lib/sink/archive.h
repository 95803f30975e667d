/* SPDX-License-Identifier: BSD-3-Clause */
/* The sink that writes all streams of a worker to the segments of an archive (docs/formats/archive.md). */
#ifndef WS_SINK_ARCHIVE_H
#define WS_SINK_ARCHIVE_H

#include "format/archive.h"
#include "sink/sink.h"

struct ws_sink_archive_config {
    struct ws_channel *channel; /* of a TREE output; borrowed */
    unsigned worker, workers;
    uint32_t flags;             /* enum ws_archive_flag */
    uint64_t size_max;          /* a segment that is longer is ended; 0 = 1 GiB */
    /* Live: bytes of a stream beyond this are left out when blocks get short (overload.h), each time as a gap of cause shed. 0: never. */
    uint64_t shed_keep;
};

/* Makes the sink: the worker's own segments, wWW-NNNNNN.wsa, each renamed from .part when it is whole. 0 or -errno. */
int ws_sink_archive_create(struct ws_sink **s, const struct ws_sink_archive_config *cfg);

/* Notes a flow that has ended, selected or not: ws_sink_record_told_config.told with this sink as user. This sink must
 * stand before that one. */
void ws_sink_archive_flow(void *user, struct ws_flow *flow, const struct ws_flow_record *rec);

/* The name of a segment, in buf. */
#define WS_ARCHIVE_NAME_MAX 32u
void ws_archive_segment_name(char buf[WS_ARCHIVE_NAME_MAX], unsigned worker, uint32_t segment);

#endif
