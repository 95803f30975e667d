/* SPDX-License-Identifier: BSD-3-Clause */
/* pcap-filter expressions on the outer frame, compiled and run by libpcap, with a decoded fast path. */
#ifndef WS_FILTER_FILTER_H
#define WS_FILTER_FILTER_H

#include "packet/packet.h"

struct ws_filter;

/* Compiles expr once for each link type that comes up (up to 8; lazily). Returns 0, or -EINVAL with libpcap's own message in err. The expression is
 * checked at once for LINKTYPE_ETHERNET, or for link_type if >= 0. */
int ws_filter_create(struct ws_filter **f, const char *expr, int link_type, char *err,
                     size_t err_len);
void ws_filter_destroy(struct ws_filter *f);

/* A copy for another thread (programs are shared read-only after creation where possible). */
int ws_filter_clone(struct ws_filter **copy, const struct ws_filter *f);

/* Whether the frame matches: exactly libpcap's answer (cap_len, wire_len and link type are used). Not thread-safe: clone. An
 * expression that does not compile for a link type matches nothing there and is counted by the caller via ws_filter_unsupported(). */
bool ws_filter_match(struct ws_filter *f, const struct ws_packet *p);
uint64_t ws_filter_unsupported(const struct ws_filter *f);

#endif
