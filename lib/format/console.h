/* SPDX-License-Identifier: BSD-3-Clause */
/* A packet's payload as text for people, as tcpflow prints it: plain, as a hexadecimal dump, or as
 * JSON. */
#ifndef WS_FORMAT_CONSOLE_H
#define WS_FORMAT_CONSOLE_H

#include "format/text.h"

enum ws_console_kind { WS_CONSOLE_TEXT, WS_CONSOLE_HEX, WS_CONSOLE_JSON };

struct ws_console_style {
    enum ws_console_kind kind;
    bool header;  /* TEXT, HEX: "NAME: " before the payload */
    bool newline; /* after each packet */
    bool binary;  /* TEXT: bytes as they are */
    bool color;   /* the client's packets blue, others red */
};

struct ws_console_packet {
    const char *prefix, *name; /* of the stream */
    const uint8_t *src, *dst;  /* 16 bytes, IPv4 in the first 4 */
    uint16_t src_port, dst_port;
    uint8_t ip_version;
    bool client; /* its sender opened the connection */
    const uint8_t *data;
    uint32_t len; /* at most WS_CONSOLE_PIECE_MAX */
};

/* Longer payloads are printed as several. */
#define WS_CONSOLE_PIECE_MAX 98304u

/* Longest prefix or name. */
#define WS_CONSOLE_NAME_MAX 1100u

/* Longest output: JSON needs 4 characters a byte, the dump 122 for 32 bytes. */
#define WS_CONSOLE_MAX (4u * WS_CONSOLE_PIECE_MAX + 2u * WS_CONSOLE_NAME_MAX + 1024u)

/* Puts one packet (docs/formats/console.md). Cut when t has less than WS_CONSOLE_MAX left and it
 * does not fit. Pure. */
void ws_console_encode(struct ws_text *t, const struct ws_console_style *style,
                       const struct ws_console_packet *p);

/* Copies len bytes; what is not printable ASCII, CR or LF becomes a dot. to may be from. */
void ws_console_strip(uint8_t *to, const uint8_t *from, size_t len);

#endif
