/* SPDX-License-Identifier: BSD-3-Clause */
/* Trailers of frames. */
#include "packet/trailer.h"

#include "base/bytes.h"

enum {
    TRAILER_LEN = 20,
    FCS_LEN = 4,
    NEAR_S = 30 * 86400,
};

/* What stands at byte offset at, if the fields that are needed lie within the frame and make sense.
 */
static bool read_at(struct ws_trailer *t, const uint8_t *data, uint32_t cap_len, int64_t at)
{
    if (at < 0 || at + TRAILER_LEN - FCS_LEN > (int64_t)cap_len)
        return false;
    const uint8_t *h = data + at;
    uint32_t ns = ws_load_be32(h + 8);
    if (ns >= 1000000000u)
        return false;
    t->ts_ns = (int64_t)ws_load_be32(h + 4) * 1000000000 + ns;
    t->device = ws_load_be16(h + 13);
    t->port = h[15];
    t->len = cap_len - (uint32_t)at;
    return true;
}

static bool is_near(int64_t a_ns, int64_t b_ns)
{
    int64_t a = a_ns / 1000000000, b = b_ns / 1000000000;
    return a - b <= NEAR_S && b - a <= NEAR_S;
}

bool ws_trailer_find(struct ws_trailer *t, const struct ws_trailer_config *cfg, const uint8_t *data,
                     uint32_t cap_len, int64_t ts_ns)
{
    int64_t at = (int64_t)cap_len - TRAILER_LEN + cfg->offset;
    if (cfg->kind == WS_TRAILER_NONE)
        return false;
    if (cfg->offset_known) {
        if (!read_at(t, data, cap_len, at))
            return false;
    } else {
        at = (int64_t)cap_len - TRAILER_LEN;
        if (!read_at(t, data, cap_len, at) || !is_near(t->ts_ns, ts_ns)) {
            at += FCS_LEN;
            if (!read_at(t, data, cap_len, at) || !is_near(t->ts_ns, ts_ns))
                return false;
        }
    }
    if (cfg->kind == WS_TRAILER_METAMAKO)
        return true;
    /* A frame that came through one device only has but one. */
    struct ws_trailer first;
    if ((read_at(&first, data, cap_len, at - (TRAILER_LEN - FCS_LEN)) &&
         is_near(first.ts_ns, t->ts_ns)) ||
        (read_at(&first, data, cap_len, at - TRAILER_LEN) && is_near(first.ts_ns, t->ts_ns)))
        *t = first;
    return true;
}
