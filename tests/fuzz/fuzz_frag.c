/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzes defragmentation. Input: options (1 byte: policy), then records: length (2 bytes,
 * big-endian), time step in units of 100 ms (1 byte), an IP packet of that length. */
#include <stdlib.h>

#include "base/bytes.h"
#include "frag/frag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct ws_frag *frag;
static unsigned unknown, settled;

static void on_frame(void *user, const struct ws_packet *p)
{
    (void)user;
    unknown += !(p->flags & WS_PKT_FLOW_KNOWN);
    settled += (p->flags & WS_PKT_RELEASED) != 0;
    for (uint32_t i = 0; i < p->cap_len; i++) /* let the sanitizer see every byte read */
        *(volatile const uint8_t *)(p->data + i);
}

static void on_datagram(void *user, const struct ws_packet *p, uint8_t proto, const uint8_t *l4,
                        uint32_t len, uint32_t wire_len)
{
    (void)user;
    struct ws_packet d = *p;
    if (ws_decode_datagram(&d, &ws_decode_defaults, proto, l4, len, wire_len) == WS_DECODE_OK &&
        d.flags & WS_PKT_FRAGMENT)
        ws_frag_push(frag, &d);
}

static void on_lost(void *user, uint32_t n, enum ws_counter cause)
{
    (void)user;
    (void)cause;
    settled += n;
}

static void on_gave_up(void *user, const struct ws_packet *p, uint8_t proto, const uint8_t *l4,
                       uint32_t len, uint32_t wire_len)
{
    (void)user;
    struct ws_packet d = *p;
    if (len > wire_len || len > WS_FRAG_HEAD_MAX)
        abort();
    ws_decode_datagram(&d, &ws_decode_defaults, proto, l4, len, wire_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct ws_frag_ops ops = {on_frame, on_datagram, on_lost, on_gave_up};
    static struct ws_counters counters;
    if (!len)
        return 0;
    struct ws_frag_config cfg = ws_frag_defaults;
    cfg.datagrams_max = 4;
    cfg.bytes_max = 1;
    cfg.overlap = (enum ws_overlap)(data[0] % (WS_OVERLAP_OLD_LINUX + 1));
    void *mem = aligned_alloc(64, ws_align_up(ws_frag_bytes(&cfg), 64));
    if (!mem)
        abort();
    frag = ws_frag_init(mem, &cfg, &counters, &ops, NULL);
    unknown = settled = 0;
    int64_t now = 0;
    for (data++, len--; len >= 3;) {
        size_t n = ws_load_be16(data);
        now += data[2] * INT64_C(100000000);
        data += 3;
        len -= 3;
        if (n > len)
            n = len;
        struct ws_packet p = {.data = data,
                              .cap_len = (uint32_t)n,
                              .wire_len = (uint32_t)n,
                              .link_type = 101,
                              .clock_ns = now};
        if (ws_decode(&p, &ws_decode_defaults) == WS_DECODE_OK && p.flags & WS_PKT_FRAGMENT)
            ws_frag_push(frag, &p);
        ws_frag_expire(frag, now, 1);
        data += n;
        len -= n;
    }
    ws_frag_flush(frag);
    if (unknown != settled)
        abort();
    free(mem);
    return 0;
}
