/* SPDX-License-Identifier: BSD-3-Clause */
/* The layout of a block: a log of file operations and the bytes that they carry.
 *
 *   0        64                                                          block_bytes
 *   | header | payload: paths, data, records -->    free    <-- op[1] op[0] |
 *
 * Never on disk: both ends are threads of one process. The filling worker owns all of it until it
 * is handed over, then the writer until it is given back.
 */
#ifndef WS_WRITER_BLOCK_H
#define WS_WRITER_BLOCK_H

#include "base/compiler.h"

struct ws_wfile;

enum ws_op_kind {
    WS_OP_DONE,    /* nothing left to do (set by the writer) */
    WS_OP_OPEN,    /* id; payload = path, off = enum ws_file_flag and WS_OPEN_* bits */
    WS_OP_DATA,    /* id; payload goes to off */
    WS_OP_CLOSE,   /* id; off = size; payload = mtime_ns, tag (8 bytes each) */
    WS_OP_INSERT,  /* id; off = bytes to open in front of what was written */
    WS_OP_VITAL,   /* one record that later ones need; id = off = order, aux = 0 */
    WS_OP_RECORDS, /* id = first order, off = last order, aux = count; payload = the records */
};

/* Bit of WS_OP_OPEN's off: the path was cut since it was longer than WS_PATH_MAX. */
#define WS_OPEN_PATH_CUT (UINT64_C(1) << 32)

struct ws_op {
    union {
        uint64_t id;
        struct ws_wfile *file; /* DATA, once the writer has linked it */
    };
    uint64_t off;
    uint32_t pos, len; /* of the payload, from the block's start */
    uint32_t aux;      /* DATA: the writer's link to the file's next pending extent */
    uint32_t kind;
};
static_assert(sizeof(struct ws_op) == 32, "two operations a cache line");

#define WS_CLOSE_PAYLOAD 16u

struct ws_block {
    uint32_t used;        /* end of the payload */
    uint32_t ops;         /* count of operations */
    uint64_t first_order; /* of the records in it; UINT64_MAX = none */
    uint8_t reserved[48];
};
static_assert(sizeof(struct ws_block) == 64, "payload starts at a cache line");

/* The i-th operation of a block of block_bytes bytes. */
static inline struct ws_op *ws_block_op(struct ws_block *b, uint32_t block_bytes, uint32_t i)
{
    return (struct ws_op *)(void *)((uint8_t *)b + block_bytes) - (i + 1);
}

#endif
