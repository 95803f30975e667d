/* SPDX-License-Identifier: BSD-3-Clause */
/* pcap-filter expressions on the outer frame, compiled and run by libpcap. */
#ifndef WS_FILTER_FILTER_H
#define WS_FILTER_FILTER_H

#include "packet/packet.h"

struct ws_filter;

/* Compiles expr (copied) for each link type that comes up, lazily; the programs of 8 link types are
 * kept. libpcap compiles as for reading a capture file of that link type. Returns 0 and the filter
 * (the caller destroys it); -EINVAL with libpcap's own message in err; -ENOMEM. The expression is
 * checked at once: for link_type if >= 0, else whether any link type gives it a meaning (`wlan` has
 * none on Ethernet; the message is then Ethernet's). An empty expression matches all. Names in it
 * are looked up now, by the system's resolver. */
int ws_filter_create(struct ws_filter **f, const char *expr, int link_type, char *err,
                     size_t err_len);
void ws_filter_destroy(struct ws_filter *f);

/* A copy for another thread, its count of unsupported packets zero. Programs compiled so far are
 * copied, not compiled again. Returns 0 or -ENOMEM. */
int ws_filter_clone(struct ws_filter **copy, const struct ws_filter *f);

/* Whether the frame matches: exactly libpcap's answer (data, cap_len, wire_len and link_type are
 * used). Not thread-safe: clone. An expression that does not compile for a link type matches
 * nothing there. Allocates only when a link type comes up for the first time. */
bool ws_filter_match(struct ws_filter *f, const struct ws_packet *p);

/* Packets that matched nothing because the expression has no meaning for their link type. */
uint64_t ws_filter_unsupported(const struct ws_filter *f);

#endif
