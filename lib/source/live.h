/* SPDX-License-Identifier: BSD-3-Clause */
/* A kernel interface as a source, through libpcap (also "any"); needs no DPDK. */
#ifndef WS_SOURCE_LIVE_H
#define WS_SOURCE_LIVE_H

#include "source/source.h"

struct ws_live_config {
    const char *iface;      /* name, "any", or NULL for libpcap's first device */
    uint32_t snaplen;       /* 0 = 262,144 */
    uint32_t buffer_bytes;  /* kernel ring; 0 = 64 MiB */
    bool promiscuous;
    const char *filter;     /* pcap expression given to the kernel, or NULL */
    unsigned device_id;
};

/* -errno and one line in err (-EPERM says which capability is missing). */
int ws_live_open(struct ws_source **s, const struct ws_live_config *cfg, char *err, size_t err_len);

/* Tells of each of libpcap's devices: its name and its first IPv4 address as text, NULL when it has none (both valid for the
 * call), until each returns true. 1 when one did, 0, or -errno with a line in err. */
int ws_live_each(bool (*each)(void *user, const char *name, const char *ipv4), void *user, char *err, size_t err_len);

/* Prints libpcap's devices, one a line "N. name (description) [flags]". 0 or -errno. */
int ws_live_list(void);

#endif
