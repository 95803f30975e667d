/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as pcapng: block after block, each given to every decoder that could take it. */
#include <stdlib.h>

#include "format/pcapng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

extern volatile uint8_t touched;
volatile uint8_t touched; /* every byte of a packet is read, so that a sanitizer sees a wrong one */

static void packet(const struct ws_pcapng_section *sec, const uint8_t *p,
                   const struct ws_pcapng_block *b)
{
    struct ws_pcapng_packet k;
    if (ws_pcapng_packet_decode(&k, sec, p, b->len, b, 96) != WS_FORMAT_COMPLETE)
        return;
    if ((uint64_t)k.data_off + k.cap_len > b->len - 4)
        abort();
    for (uint32_t i = 0; i < k.cap_len; i++)
        touched = p[k.data_off + i];
    ws_pcapng_packet_options(&k, sec, p, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ws_pcapng_section sec = {0};
    struct ws_pcapng_iface iface = {.tsresol = 6};
    struct ws_pcapng_stats st;
    struct ws_pcapng_block b;
    for (size_t at = 0;; at += b.len) {
        const uint8_t *p = data + at;
        if (ws_pcapng_block_decode(&b, &sec, p, len - at) != WS_FORMAT_COMPLETE)
            return 0;
        if (b.len > len - at)
            return 0;
        if (b.type == WS_PCAPNG_SHB)
            ws_pcapng_section_decode(&sec, p, &b);
        if (b.type == WS_PCAPNG_IDB)
            ws_pcapng_iface_decode(&iface, &sec, p, &b);
        if (b.type == WS_PCAPNG_ISB &&
            ws_pcapng_stats_decode(&st, &sec, p, &b) == WS_FORMAT_COMPLETE)
            ws_pcapng_ticks_to_ns(&iface, st.ticks);
        if (b.type == WS_PCAPNG_EPB || b.type == WS_PCAPNG_PB || b.type == WS_PCAPNG_SPB)
            packet(&sec, p, &b);
    }
}
