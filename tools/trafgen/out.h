/* SPDX-License-Identifier: BSD-3-Clause */
/* The capture that is being written: pcap in either resolution and byte order, through one large
 * buffer. */
#ifndef TG_OUT_H
#define TG_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest frame: a jumbo IP packet of 65,535 bytes and all encapsulations. */
#define TG_FRAME_MAX 66000u

struct tg_out_config {
    const char *path; /* "-" is standard output */
    bool ns;          /* nanosecond stamps (magic 0xa1b23c4d) */
    bool big_endian;
    uint32_t snaplen; /* bytes kept of a frame; 0 = all */
};

struct tg_out {
    struct tg_out_config config;
    int fd;
    uint8_t *buffer;
    size_t used;
    uint64_t packets; /* records written: also the ordinal of the next one */
    uint64_t bytes;   /* length of the capture so far, file header in */
};

/* Creates the file (an existing one is truncated) and writes its header. 0 or -errno. */
int tg_out_open(struct tg_out *out, const struct tg_out_config *config);

/* Room for one frame of up to TG_FRAME_MAX bytes, borrowed until tg_out_commit. NULL: the write
 * failed. */
uint8_t *tg_out_reserve(struct tg_out *out, int *error);

/* Turns the first frame_len bytes of the reserved room into a record with this stamp. */
void tg_out_commit(struct tg_out *out, size_t frame_len, uint64_t time_ns);

/* Flushes and closes. 0 or -errno; the first error wins. */
int tg_out_close(struct tg_out *out);

#endif
