/* SPDX-License-Identifier: BSD-3-Clause */
/* The longest valid prefix of a capture file that was cut off or damaged.
 *
 * A scanner that is fed the file from its start, in pieces of any size. "Valid" is what libpcap and
 * Wireshark read to the end without complaint (docs/formats/part-files.md). Pure functions, any
 * thread; a scanner belongs to one.
 */
#ifndef WS_FORMAT_REPAIR_H
#define WS_FORMAT_REPAIR_H

#include "format/archive.h"
#include "format/pcap.h"
#include "format/pcapng.h"

#define WS_REPAIR_NO_NUMBER UINT64_MAX

/* No unit (record or block) that is valid is longer: D-Bus messages have 128 MiB (LINKTYPE_DBUS),
 * blocks of other types 16 MiB; the rest is what stands around a packet. */
#define WS_REPAIR_UNIT_MAX ((128u << 20) + 4096u)

enum ws_repair_kind {
    WS_REPAIR_UNKNOWN, /* too little was seen, or it is no capture file */
    WS_REPAIR_PCAP,
    WS_REPAIR_PCAPNG,
    WS_REPAIR_ARCHIVE, /* a segment of a stream archive */
};

struct ws_repair {
    enum ws_repair_kind kind;
    uint64_t keep;    /* bytes of the valid prefix: the file should end here */
    uint64_t packets; /* in it; of an archive: records */
    uint64_t need;    /* bytes that the unit behind what was consumed has at least */
    /* Where reading must stop, once something is wrong: NULL = nothing. Equal to keep but for a
     * run of zeros in front of it. number belongs to the text ("absurd record length", 999999). */
    const char *reason;
    uint64_t reason_off, number;

    /* the scanner's own */
    uint64_t at;           /* file offset of the next unit */
    uint64_t zero_packets; /* records of nothing but zeros since keep */
    struct ws_pcap_file pcap;
    uint32_t cap_max;
    struct ws_pcapng_section section;
    uint32_t ifaces;     /* described in this section */
    bool ever_described; /* an interface was described in any section */
    uint32_t block_max;
    uint32_t snaplen0; /* of interface 0 */
    uint8_t footer;    /* ARCHIVE: 1 it was met, 2 so was the tail */
};

void ws_repair_init(struct ws_repair *r);

/* Looks at the len bytes that follow what was consumed so far; at_end: the file has no more.
 * Returns how many bytes it consumed: whole units only. Unless reason is set or the end was
 * reached, the caller presents the rest again, with at least need bytes in all (at most
 * WS_REPAIR_UNIT_MAX). */
size_t ws_repair_feed(struct ws_repair *r, const uint8_t *p, size_t len, bool at_end);

/* Whether the prefix is a capture file of its own that readers open: a file header; in pcapng also
 * an interface. */
bool ws_repair_usable(const struct ws_repair *r);

#endif
