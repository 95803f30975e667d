/* SPDX-License-Identifier: BSD-3-Clause */
/* Trailers of arbitrary frames: bounds, and a stamp that is one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "packet/trailer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Kind, offset or none, the capture's stamp; the rest: the frame. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ws_trailer t;
    if (len < 12)
        return 0;
    struct ws_trailer_config cfg = {
        .kind = (enum ws_trailer_kind)(data[0] % 3),
        .offset_known = data[0] & 0x80,
        .offset = (int16_t)ws_load_be16(data + 2),
    };
    int64_t ts_ns;
    memcpy(&ts_ns, data + 4, 8);
    len -= 12;
    uint8_t *frame = malloc(len ? len : 1);
    if (!frame)
        return 0;
    memcpy(frame, data + 12, len);
    if (ws_trailer_find(&t, &cfg, frame, (uint32_t)len, ts_ns) &&
        (t.len > len || t.len < 16 || t.ts_ns < 0 || cfg.kind == WS_TRAILER_NONE))
        abort();
    free(frame);
    return 0;
}
