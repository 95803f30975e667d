/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference reassembler: what streams a captured sequence of segments on one tuple must give.
 *
 * Slow and simple on purpose, and built the other way round than lib/tcp: it only writes down which
 * segment arrived when; what each byte position holds is decided at the end, from all copies of
 * that position. It knows no pools and no caps. The rules are those of lib/tcp/README.md.
 */
#ifndef WS_TESTS_MODEL_TCP_MODEL_H
#define WS_TESTS_MODEL_TCP_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/overlap.h"
#include "packet/packet.h"

enum {
    MODEL_SEGMENTS_MAX = 64,
    MODEL_SEGMENT_BYTES = 640,
    MODEL_CONNS_MAX = 8,
    MODEL_SPACE =
        8192, /* positions of a direction; position MODEL_ZERO is the first sequence number known */
    MODEL_ZERO = 4096,
    MODEL_FAR =
        20
        << 20, /* further than this is far, whatever the window; nearer than MODEL_ZERO is near */
};

struct model_segment {
    uint8_t dir, flags; /* enum ws_tcp_flag */
    bool no_payload;    /* filtered: its payload is a hole */
    uint32_t seq, ack;
    uint16_t len, wire_len; /* captured, on the wire */
    int64_t ts_ns;
    uint8_t bytes[MODEL_SEGMENT_BYTES];
};

struct model_input {
    enum ws_overlap policy;
    uint32_t midstream_bytes;
    int64_t midstream_ns;
    unsigned n;
    struct model_segment segment[MODEL_SEGMENTS_MAX];
};

/* A position of a stream: a byte, or why it is missing. */
enum {
    MODEL_GAP_NEVER_SEEN = -1,
    MODEL_GAP_SNAPLEN = -2,
    MODEL_GAP_FILTERED = -3,
    MODEL_GAP_OTHER = -4
};

struct model_conn {
    unsigned len[2];
    int16_t at[2][MODEL_SPACE];
};

struct model_result {
    unsigned n;
    struct model_conn conn[MODEL_CONNS_MAX];
    unsigned last[MODEL_SEGMENTS_MAX]; /* connection that each segment fell to */
    const char *outside;               /* why the input is none that the rules decide; else NULL */
};

/* Runs the input. False: the rules do not decide it (r->outside says why). */
bool model_run(const struct model_input *in, struct model_result *r);

#endif
