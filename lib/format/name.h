/* SPDX-License-Identifier: BSD-3-Clause */
/* File names of streams from a template of tcpflow's letters, compiled once. */
#ifndef WS_FORMAT_NAME_H
#define WS_FORMAT_NAME_H

#include "format/text.h"

/* tcpflow's default. */
#define WS_NAME_DEFAULT "%A.%a-%B.%b%V%v%C%c"

#define WS_NAME_PARTS_MAX    64u
#define WS_NAME_TEMPLATE_MAX 512u

/* What a name is made of. Sender and receiver, not key endpoints: a stream is named after its
 * sender. */
struct ws_name_values {
    uint8_t src[16], dst[16]; /* IPv4 in the first 4 bytes */
    uint8_t src_mac[6], dst_mac[6];
    int64_t ts_ns;    /* of the stream's first packet */
    int32_t zone_s;   /* east of UTC: dates are of that zone */
    uint64_t number;  /* connection number for %N %K %M %G %S */
    uint64_t counter; /* how many files had this name before; 0 = first */
    uint16_t src_port, dst_port;
    uint16_t vlan[2]; /* outer, inner VID; 0 = none */
    uint16_t device, device_port;
    uint8_t ip_version;
    uint8_t proto;
};

/* What a template uses, in ws_name.uses. */
enum ws_name_use {
    WS_NAME_USES_ADDR = 1, /* both addresses */
    WS_NAME_USES_PORT = 2, /* both ports */
    WS_NAME_USES_MAC = 4,
    WS_NAME_USES_NUMBER = 8,
    WS_NAME_USES_COUNTER = 16,
    WS_NAME_USES_TIME = 32, /* as a date */
};

/* A compiled template. Self-contained: holds its own copy of the literal text. */
struct ws_name {
    struct ws_name_part {
        uint8_t letter; /* 0: literal text[off, off+len) */
        char pad;       /* '0', ' ', or 0 = no padding */
        uint16_t off, len;
        uint8_t width;
    } part[WS_NAME_PARTS_MAX];
    unsigned parts;
    unsigned uses; /* enum ws_name_use bits */
    /* Holds both addresses and both ports, so that two flows of different tuples never share a
     * name, and flows that do share one (VLANs, tunnels, protocols, reuse) are on the same worker.
     */
    bool complete;
    char colon; /* stands for ':' in addresses and times */
    char text[WS_NAME_TEMPLATE_MAX];
};

struct ws_name_options {
    char colon;      /* what replaces ':' of addresses, MACs and times; 0 = keep */
    bool no_counter; /* do not append %C%c to a template without a counter */
};

/* Compiles a template. Letters, as tcpflow 1.6.1 renders them:
 *
 *   %A %a  sender's address, port
 *   %B %b  receiver's address, port
 *   %E %e  sender's, receiver's MAC
 *   %T %t  first packet as 2026-01-02T03:04:05Z (or +01:00), as Unix seconds
 *   %V %v  "--" and the VID, both only when tagged (ours: VID.VID for two tags)
 *   %C %c  "c" and the counter, both only when the counter is not 0
 *   %#     the counter, always
 *   %N %K %M %G  the connection number's last 3 digits, its thousands, millions, milliards
 *   %S     the connection number, 20 digits
 *   %%     a per cent sign
 *   %P %D  ours: IANA's protocol name in capitals, first packet as 20260102030405
 *   %I %i  ours: the device that captured and its port, 5 and 2 digits
 *
 * Between % and the letter may stand "-" (no padding) or "_" (padding with spaces), and a width:
 * %-A is 10.0.0.1, %-a is 80, %04# is 0001. Addresses are padded to 3 digits an octet, ports to 5.
 * "%C%c" is appended when neither %c nor %# is there.
 * Returns 0, or -EINVAL/-E2BIG with a line in err. Pure. */
int ws_name_compile(struct ws_name *n, const char *template_text, const struct ws_name_options *opt,
                    char *err, size_t err_len);

/* Renders into buf (NUL-terminated). Returns the length, or -ENOBUFS when max is too small. */
int ws_name_render(const struct ws_name *n, const struct ws_name_values *v, char *buf, size_t max);

#endif
