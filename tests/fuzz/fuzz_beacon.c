/* SPDX-License-Identifier: BSD-3-Clause */
/* Beacons in arbitrary frames: bounds, and what a result must hold to. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "packet/beacon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Link type, whether to check, how many bytes more were on the wire; the rest: the frame. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint16_t link[] = {105, 127, 119, 163, 1};
    if (len < 3)
        return 0;
    uint8_t *frame = malloc(len - 3 ? len - 3 : 1);
    if (!frame)
        return 0;
    memcpy(frame, data + 3, len - 3);
    struct ws_packet p = {.data = frame,
                          .cap_len = (uint32_t)len - 3,
                          .wire_len = (uint32_t)len - 3 + data[2],
                          .link_type = link[data[0] % 5]};
    struct ws_beacon b;
    memset(&b, 0xee, sizeof(b));
    if (ws_beacon_parse(&b, &p, data[1] & 1) == WS_BEACON_OK) {
        if (b.ssid_len > sizeof(b.ssid) || p.link_type == 1)
            abort();
        for (unsigned i = b.ssid_len; i < sizeof(b.ssid); i++)
            if (b.ssid[i])
                abort();
    }
    free(frame);
    return 0;
}
