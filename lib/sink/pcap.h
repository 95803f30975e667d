/* SPDX-License-Identifier: BSD-3-Clause */
/* Sinks that write packets: to one merged file, and to rotating shards of a live capture. */
#ifndef WS_SINK_PCAP_H
#define WS_SINK_PCAP_H

#include "sink/frame.h"
#include "sink/losses.h"
#include "sink/sink.h"

/* Who describes interfaces that turn up while reading (pcapng over a merged output).
 *
 * A description stands before the packet that is the first to be read from its interface, and after
 * all packets read before that one, whichever packets are selected: so the file's bytes do not
 * depend on the number of workers. Interfaces known at the start stand in the output's header. */
enum ws_sink_pcap_role {
    WS_SINK_PCAP_ALONE,     /* the only channel: writes packets and descriptions */
    WS_SINK_PCAP_PACKETS,   /* one of several workers: packets only */
    WS_SINK_PCAP_ANNOUNCER, /* the reader's own channel of the output: descriptions only */
};

struct ws_sink_pcap_config {
    struct ws_channel *channel; /* of a MERGED output; borrowed */
    struct ws_frame_format format;
    enum ws_sink_pcap_role role;
    bool rest; /* only what was not taken as TCP: other protocols, no IP, undecodable frames */
    struct ws_losses *losses; /* kept, and told where pcapng can; borrowed, NULL = none */
    const struct ws_sink *announcer; /* PACKETS: the output's announcer, made before and destroyed
                                        after; NULL = no interface turns up later */
    const struct ws_pcapng_iface *iface; /* known at the start: in the header; iface[0] gives the
                                            link type of a classic file; copied */
    unsigned n_iface;                    /* >= 1 for a classic file */
    /* ALONE, ANNOUNCER: describes interface index, which turned up later; false = not known. Called
     * on the sink's thread in announce() or packet(). NULL: none will turn up. */
    bool (*describe)(void *user, unsigned index, struct ws_pcapng_iface *out);
    void *user;
};

/* Makes a sink that writes each packet that it is given as a record. Orders are ordinals, shifted
 * by the descriptions before (ws_sink_ops.order tells watermarks by the same rule). Heap at
 * creation only. 0 or -errno. */
int ws_sink_pcap_create(struct ws_sink **s, const struct ws_sink_pcap_config *cfg);

/* Tells the sink (ALONE or ANNOUNCER) of a burst, in input order and before any filter, before its
 * packets are processed or handed to another thread: new interfaces among them are described in
 * time. Cheap when there are none. */
void ws_sink_pcap_announce(struct ws_sink *s, const struct ws_packet *pkt, unsigned n);

/* Rotating shards: STEM_YYYYmmdd-HHMMSS_NNNNN[_wK].pcap[ng], each whole: renamed from .part when
 * closed. */
struct ws_sink_rotate_config {
    struct ws_channel *channel; /* of a TREE output; borrowed */
    struct ws_frame_format format;
    const char *stem; /* path relative to the output's directory; copied, at most 512 bytes */
    unsigned worker, workers;            /* _wK is there when workers > 1 */
    const struct ws_pcapng_iface *iface; /* all interfaces; copied */
    unsigned n_iface;                    /* >= 1 */
    uint64_t size_max; /* bytes a file; 0 = no limit. A file has one packet at least */
    int64_t time_ns;   /* packet time a file, counted from multiples of it; 0 = no limit */
    struct ws_losses *losses; /* kept, and told where pcapng can; borrowed, NULL = none */
    /* Bytes put behind the last packet of each shard (interface statistics), at most trailer_max; they count for
     * size_max. Called on the sink's thread. Left out when the channel has no room, for the last shard not before half a
     * second. NULL = none. */
    size_t (*trailer)(void *user, uint8_t *buf, size_t max);
    size_t trailer_max;
    void *user;
};
int ws_sink_rotate_create(struct ws_sink **s, const struct ws_sink_rotate_config *cfg);

/* Closes a shard whose time is over at now_ns (same clock as packet stamps); for idle polls. */
void ws_sink_rotate_tick(struct ws_sink *s, int64_t now_ns);

#endif
