/* SPDX-License-Identifier: BSD-3-Clause */
/* The checksum of TCP and UDP over addresses, header and payload. */
#ifndef WS_PACKET_CHECKSUM_H
#define WS_PACKET_CHECKSUM_H

#include "base/compiler.h"

/* True if the checksum over the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) and len bytes of transport
 * header and payload is right. src and dst are addresses of addr_len bytes, 4 or 16. Pure. */
bool ws_checksum_ok(const uint8_t *src, const uint8_t *dst, uint32_t addr_len, uint8_t proto, const uint8_t *at,
                    uint32_t len);

#endif
