/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzes decode. Input: link type (2 bytes, big-endian), options (1 byte), then the frame. */
#include <stdlib.h>

#include "packet/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 3)
        return 0;
    struct ws_decode_config cfg = ws_decode_defaults;
    cfg.verify_l4 = data[2] & 1;
    cfg.key_mac = data[2] & 2;
    cfg.tunnels = !(data[2] & 4);
    struct ws_packet p = {.data = data + 3,
                          .cap_len = (uint32_t)len - 3,
                          .wire_len = (uint32_t)len - 3 + (data[2] >> 3) * 50u,
                          .link_type = ws_load_be16(data)};
    struct ws_packet q = p;
    enum ws_decode_status s = ws_decode(&p, &cfg);
    check(ws_decode_general(&q, &cfg) == s && memcmp(&p, &q, sizeof(p)) == 0);
    if (s != WS_DECODE_OK)
        return 0;
    const uint8_t *end = p.data + p.cap_len;
    check(p.l4 >= p.data && p.l4 + p.l4_len <= end);
    check(p.payload >= p.l4 && p.payload + p.payload_len <= p.l4 + p.l4_len);
    check(p.flags & WS_PKT_FRAGMENT || p.payload_len <= p.payload_wire_len);
    check(memcmp(p.key.addr[0], p.key.addr[1], 16) <= 0);
    if (p.flags & WS_PKT_FRAGMENT)
        ws_decode_datagram(&p, &cfg, p.key.proto, p.l4, p.l4_len, p.frag_wire_len);
    return 0;
}
