/* SPDX-License-Identifier: BSD-3-Clause */
/* The sink that lists wireless networks: who announced which name, and how often. */
#ifndef WS_SINK_SSIDS_H
#define WS_SINK_SSIDS_H

#include "packet/beacon.h"
#include "sink/sink.h"

/* Pairs of BSSID and SSID of a worker; announcements of more are counted (ssids_full). Half of the
 * table's slots. */
#define WS_SSIDS_MAX 8192u

/* A pair of an access point and a name. */
struct ws_ssid {
    struct ws_beacon
        network; /* of its first announcement to be counted; channel: the lowest announced */
    uint64_t beacons, responses;
};

/* check_fcs: frames with a wrong check sequence are left out, and counted (beacons_bad_fcs). Heap,
 * 1 MiB, at creation only. 0 or -ENOMEM. */
int ws_sink_ssids_create(struct ws_sink **s, bool check_fcs);

/* What several sinks saw, as one list in order of BSSID, then SSID; the same however packets were
 * dealt to them while no table was full. After the run. *list is the caller's (free). 0 or -ENOMEM.
 */
int ws_ssids_list(struct ws_sink *const *sink, unsigned n_sink, struct ws_ssid **list, size_t *n);

#endif
