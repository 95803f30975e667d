/* SPDX-License-Identifier: BSD-3-Clause */
/* What a --dev string says, as far as ports must know it before the driver does. Needs no DPDK. */
#ifndef WS_SOURCE_PORT_DEVARGS_H
#define WS_SOURCE_PORT_DEVARGS_H

#include "base/compiler.h"

/* net_pcap's own limit (RTE_PMD_RING_MAX_RX_RINGS and its kin are 16, too). */
#define WS_PORT_FILES_MAX 16u

struct ws_port_devargs {
    char name[64];                /* device name with its number: "net_pcap" becomes "net_pcap0" */
    const char *args;             /* borrowed: what follows the name, "" or ",key=value..." */
    bool pci;                     /* a PCI address (or another bus's device), probed as it stands */
    bool pcap;                    /* net_pcap */
    bool infinite;                /* infinite_rx=1 */
    bool af_packet;               /* net_af_packet */
    uint32_t frame_bytes;         /* framesz=, 0 = not given */
    bool block_given;             /* blocksz= */
    unsigned rx_files, rx_ifaces; /* rx_pcap= and (rx_)iface(_in)= given: the queues of net_pcap */
    struct {
        const char *path; /* borrowed, not terminated */
        size_t len;
    } file[WS_PORT_FILES_MAX]; /* of rx_pcap, in order of the queues */
    char iface[32];            /* the first iface=: a kernel interface, or "" */
};

/* Splits text (borrowed by *d). number is appended to a virtual device's name that has none.
 * 0, -EINVAL (empty), -E2BIG (name too long or more than WS_PORT_FILES_MAX files). */
int ws_port_devargs_parse(struct ws_port_devargs *d, const char *text, unsigned number);

#endif
