/* SPDX-License-Identifier: BSD-3-Clause */
/* Decompressors behind one step function. Private to lib/source. */
#ifndef WS_SOURCE_CODEC_H
#define WS_SOURCE_CODEC_H

#include "base/compiler.h"

/* Longest magic number: bytes to look at before choosing. */
#define WS_CODEC_MAGIC_MAX 6u

enum ws_codec_result {
    WS_CODEC_MORE,    /* go on: more input or more room is needed */
    WS_CODEC_BETWEEN, /* at the end of a member: the input may end here, or another follows */
    WS_CODEC_FAILED,  /* damaged: see reason */
};

struct ws_codec_io {
    const uint8_t *in; /* unread compressed bytes; the step advances it */
    size_t in_len;
    uint8_t *out; /* room for plain bytes; the step advances it */
    size_t out_len;
    const char *reason; /* static text, set with WS_CODEC_FAILED */
};

struct ws_codec_ops {
    const char *name;
    uint8_t magic[WS_CODEC_MAGIC_MAX];
    uint8_t magic_len;
    void *(*create)(void); /* NULL: no memory */
    enum ws_codec_result (*step)(void *state, struct ws_codec_io *io);
    void (*destroy)(void *state);
};

/* An archive of one file. */
extern const struct ws_codec_ops ws_codec_zip;

/* The codec whose magic begins p, or NULL: plain bytes. */
const struct ws_codec_ops *ws_codec_find(const uint8_t *p, size_t len);

#endif
