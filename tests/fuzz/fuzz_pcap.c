/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a classic pcap file: header, then records to the end. */
#include <stdlib.h>

#include "format/pcap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

extern volatile uint8_t touched;
volatile uint8_t touched; /* every byte of a packet is read, so that a sanitizer sees a wrong one */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ws_pcap_file f;
    if (ws_pcap_header_decode(&f, data, len) != WS_FORMAT_COMPLETE)
        return 0;
    for (size_t at = WS_PCAP_HEADER_LEN;;) {
        struct ws_pcap_record r;
        enum ws_format_status st =
            ws_pcap_record_decode(&f, f.big_endian, data + at, len - at, 262144, &r);
        if (st == WS_FORMAT_INCOMPLETE && r.len <= len - at)
            abort(); /* what it asked for was there */
        if (st != WS_FORMAT_COMPLETE)
            return 0;
        if (r.cap_len > r.wire_len || f.record_len + (uint64_t)r.cap_len > r.len)
            abort();
        for (uint32_t i = 0; i < r.cap_len; i++)
            touched = data[at + f.record_len + i];
        at += r.len;
    }
}
