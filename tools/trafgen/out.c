/* SPDX-License-Identifier: BSD-3-Clause */
/* pcap records into a large buffer, the buffer into the file by few writes. */
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES      (1u << 20)
#define RECORD_BYTES      16u
#define FILE_HEADER_BYTES 24u
#define LINKTYPE_ETHERNET 1u

static void put32(const struct tg_out *out, uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (out->config.big_endian ? 24 - 8 * i : 8 * i));
}

static void put16(const struct tg_out *out, uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(out->config.big_endian ? v >> 8 : v);
    p[1] = (uint8_t)(out->config.big_endian ? v : v >> 8);
}

static int flush(struct tg_out *out)
{
    size_t done = 0;
    while (done < out->used) {
        ssize_t n = write(out->fd, out->buffer + done, out->used - done);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        done += (size_t)n;
    }
    out->used = 0;
    return 0;
}

int tg_out_open(struct tg_out *out, const struct tg_out_config *config)
{
    memset(out, 0, sizeof(*out));
    out->config = *config;
    out->fd = STDOUT_FILENO;
    if (strcmp(config->path, "-") != 0) {
        out->fd = open(config->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (out->fd < 0)
            return -errno;
    }
    out->buffer = malloc(BUFFER_BYTES);
    if (out->buffer == NULL)
        return -ENOMEM;
    /* The file header of draft-ietf-opsawg-pcap, section 4. */
    uint8_t *p = out->buffer;
    put32(out, p, config->ns ? 0xa1b23c4d : 0xa1b2c3d4);
    put16(out, p + 4, 2);
    put16(out, p + 6, 4);
    put32(out, p + 8, 0);
    put32(out, p + 12, 0);
    put32(out, p + 16, config->snaplen != 0 ? config->snaplen : 262144);
    put32(out, p + 20, LINKTYPE_ETHERNET);
    out->used = FILE_HEADER_BYTES;
    out->bytes = FILE_HEADER_BYTES;
    return 0;
}

uint8_t *tg_out_reserve(struct tg_out *out, int *error)
{
    if (BUFFER_BYTES - out->used < RECORD_BYTES + TG_FRAME_MAX) {
        *error = flush(out);
        if (*error != 0)
            return NULL;
    }
    return out->buffer + out->used + RECORD_BYTES;
}

void tg_out_commit(struct tg_out *out, size_t frame_len, uint64_t time_ns)
{
    uint8_t *p = out->buffer + out->used;
    uint32_t snaplen = out->config.snaplen;
    uint32_t kept = (uint32_t)frame_len;
    if (snaplen != 0 && kept > snaplen)
        kept = snaplen;
    uint32_t fraction = (uint32_t)(time_ns % 1000000000u);
    put32(out, p, (uint32_t)(time_ns / 1000000000u));
    put32(out, p + 4, out->config.ns ? fraction : fraction / 1000);
    put32(out, p + 8, kept);
    put32(out, p + 12, (uint32_t)frame_len);
    out->used += RECORD_BYTES + kept;
    out->bytes += RECORD_BYTES + kept;
    out->packets++;
}

int tg_out_close(struct tg_out *out)
{
    int error = flush(out);
    if (out->fd != STDOUT_FILENO && close(out->fd) != 0 && error == 0)
        error = -errno;
    free(out->buffer);
    out->buffer = NULL;
    return error;
}
