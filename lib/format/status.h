/* SPDX-License-Identifier: BSD-3-Clause */
/* What a decoder of file formats says about the bytes that it was given. */
#ifndef WS_FORMAT_STATUS_H
#define WS_FORMAT_STATUS_H

enum ws_format_status {
    WS_FORMAT_COMPLETE,   /* decoded; outputs are valid */
    WS_FORMAT_INCOMPLETE, /* a longer input with this beginning may be valid: ask for more bytes */
    WS_FORMAT_INVALID,    /* no continuation makes this valid */
};

#endif
