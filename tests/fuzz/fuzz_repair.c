/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a damaged capture file: what the scanner keeps does not depend on the pieces that it
 * is fed, is a prefix, and scanned again is whole.
 *
 * Byte 0 chooses the size of the pieces; the rest is the file. */
#include <stdlib.h>
#include <string.h>

#include "format/repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* Scans the file as a reader with a buffer of its own would: pieces at their exact size on the
 * heap. */
static struct ws_repair scan(const uint8_t *data, size_t len, size_t piece)
{
    struct ws_repair r;
    size_t at = 0, shown = 0;
    ws_repair_init(&r);
    for (;;) {
        size_t want = r.need > piece ? (r.need > len ? len : (size_t)r.need) : piece;
        shown = want < len - at ? want : len - at;
        bool at_end = at + shown == len;
        uint8_t *copy = malloc(shown ? shown : 1);
        require(copy != NULL);
        memcpy(copy, data + at, shown);
        size_t used = ws_repair_feed(&r, copy, shown, at_end);
        free(copy);
        require(used <= shown);
        at += used;
        if (r.reason || at_end)
            break;
        /* what it has not consumed is less than a unit: it asks for more than it was shown */
        require(used || r.need > shown);
    }
    require(r.keep <= len && r.packets <= len);
    require(!r.reason || (r.reason_off >= r.keep && r.reason_off <= len));
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (!len)
        return 0;
    size_t piece = 1 + data[0];
    data++;
    len--;
    struct ws_repair whole = scan(data, len, len + 1), parts = scan(data, len, piece);
    require(whole.kind == parts.kind && whole.keep == parts.keep && whole.packets == parts.packets);
    require(!whole.reason == !parts.reason);
    if (whole.reason)
        require(strcmp(whole.reason, parts.reason) == 0 && whole.reason_off == parts.reason_off);
    struct ws_repair again = scan(data, (size_t)whole.keep, piece);
    if (ws_repair_usable(&whole)) {
        require(ws_repair_usable(&again) && !again.reason);
        require(again.keep == whole.keep && again.packets == whole.packets);
    }
    return 0;
}
