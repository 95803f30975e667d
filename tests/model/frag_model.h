/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference defragmenter: which datagrams a sequence of fragments gives.
 *
 * It writes down the fragments of each datagram and looks through all of them, byte by byte,
 * whenever one has come. The rules are those of lib/frag/README.md. It knows no pools and no caps.
 */
#ifndef WS_TESTS_MODEL_FRAG_MODEL_H
#define WS_TESTS_MODEL_FRAG_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/overlap.h"

enum {
    FRAG_MODEL_FRAGMENTS = 32,
    FRAG_MODEL_BYTES = 320,     /* of a fragment */
    FRAG_MODEL_DATAGRAM = 4096, /* the space of offsets but for far ones */
    FRAG_MODEL_TOP = 65535,
};

struct frag_model_fragment {
    uint8_t flow; /* which addresses, direction, version and protocol */
    uint8_t
        header; /* bytes in front that count for the largest datagram: 20 for IPv4, 0 for IPv6 */
    uint32_t id;
    uint32_t from;         /* byte offset, a multiple of 8 */
    uint16_t len, cap_len; /* on the wire, captured */
    bool more;
    int64_t ts_ns;
    uint8_t bytes[FRAG_MODEL_BYTES];
};

struct frag_model_input {
    enum ws_overlap policy;
    int64_t timeout_ns;
    unsigned n;
    struct frag_model_fragment fragment[FRAG_MODEL_FRAGMENTS];
};

/* What one fragment brought about. */
struct frag_model_step {
    enum { FRAG_MODEL_NOTHING, FRAG_MODEL_WHOLE } what;
    uint32_t len, wire_len;
    uint8_t bytes[FRAG_MODEL_DATAGRAM];
};

struct frag_model_result {
    struct frag_model_step step[FRAG_MODEL_FRAGMENTS];
    unsigned whole, invalid, oversize, timed_out, copies; /* fragments, by what became of them */
};

void frag_model_run(const struct frag_model_input *in, struct frag_model_result *r);

#endif
