/* SPDX-License-Identifier: BSD-3-Clause */
/* Trailers that switches and taps put behind a frame: when it came, and where. Pure. */
#ifndef WS_PACKET_TRAILER_H
#define WS_PACKET_TRAILER_H

#include "base/compiler.h"

/* The Metamako (now Arista) trailer, 20 bytes, big-endian:
 *
 *   0    FCS of the frame as it came
 *   4    seconds since the Unix epoch
 *   8    nanoseconds
 *   12   flags
 *   13   device id, 16 bits
 *   15   port of the device
 *   16   FCS of the whole; most capture cards cut it off
 *
 * A second device takes the first one's last FCS for the first field of its own trailer, so that the
 * two overlap by 4 bytes. */
enum ws_trailer_kind {
    WS_TRAILER_NONE,
    WS_TRAILER_METAMAKO,
    WS_TRAILER_METAMAKO_DOUBLE, /* of two, the one that came first into the frame */
};

struct ws_trailer_config {
    enum ws_trailer_kind kind;
    bool offset_known; /* false: with and without the last FCS, whichever has a stamp within 30 days
                          of the capture's */
    int32_t offset;    /* where the last trailer begins, from the 20th last captured byte on */
};

struct ws_trailer {
    int64_t ts_ns;
    uint16_t device;
    uint8_t port;
    uint32_t len; /* captured bytes from the begin of the trailer to the end of the frame */
};

/* Finds the trailer of a frame of cap_len captured bytes that the capture stamped ts_ns. False: there
 * is none, or it is not valid. Reads within data only. */
bool ws_trailer_find(struct ws_trailer *t, const struct ws_trailer_config *cfg, const uint8_t *data,
                     uint32_t cap_len, int64_t ts_ns);

#endif
