/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as an input file, compressed or not; direct and steered reading give the same packets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "source/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void be_silent(enum ws_log_level level, const char *line)
{
    (void)level;
    (void)line;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    return (h ^ v) * UINT64_C(0x100000001b3);
}

static uint64_t packet_digest(uint64_t h, const struct ws_packet *k)
{
    if (k->cap_len > k->wire_len || k->clock_ns < k->ts_ns)
        abort();
    h = mix(h, (uint64_t)k->ts_ns);
    h = mix(h, k->cap_len);
    h = mix(h, k->wire_len);
    h = mix(h, (uint64_t)k->iface << 16 | k->link_type);
    for (uint32_t i = 0; i < k->cap_len; i++)
        h = mix(h, k->data[i]);
    return h;
}

/* All packets of the input in one number, the way it ended included. */
static uint64_t digest(const char *path, bool stable)
{
    struct ws_source *s;
    struct ws_packet pkt[WS_BURST_MAX];
    char err[256];
    struct ws_file_config cfg = {.path = &path,
                                 .n_path = 1,
                                 .chunk_bytes = 8192, /* few packets: many straddle */
                                 .packet_bytes_max = 2048,
                                 .packet_max = 100000, /* a small input may unpack to a large one */
                                 .stable = stable,
                                 .chunks = 2};
    uint64_t h = UINT64_C(0xcbf29ce484222325), ordinal = 0;
    if (ws_file_open(&s, &cfg, err, sizeof(err)) != 0)
        return 0;
    for (int n; (n = ws_source_rx(s, pkt, WS_BURST_MAX)) != WS_SOURCE_END;) {
        for (int i = 0; i < n; i++) {
            if (pkt[i].ordinal != ordinal++)
                abort();
            h = packet_digest(h, &pkt[i]);
        }
        if (stable)
            s->ops->release(s, s->chunk_seq);
    }
    h = mix(h, s->damaged);
    s->ops->close(s);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char path[64];
    int fd = memfd_create("input", MFD_CLOEXEC);
    ws_log_sink = be_silent;
    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    /* direct reading moves the rest of a chunk to its head, steered reading to the next chunk */
    if (digest(path, true) != digest(path, false))
        abort();
    close(fd);
    return 0;
}
