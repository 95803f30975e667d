/* SPDX-License-Identifier: BSD-3-Clause */
/* A streaming JSON writer (RFC 8259) into a bounded buffer: commas and escapes are its business. */
#ifndef WS_FORMAT_JSON_H
#define WS_FORMAT_JSON_H

#include "format/text.h"

#define WS_JSON_DEPTH_MAX 31u

/* Where the text is and whether the next member needs a comma. Nested deeper than WS_JSON_DEPTH_MAX
 * is a programming error (assert). Overflow of the text sets t->cut, see ws_text. */
struct ws_json {
    struct ws_text *t; /* borrowed */
    uint32_t comma;    /* bit d: depth d has had a member */
    unsigned depth;
    bool value; /* a key was just put: no comma */
};

void ws_json_init(struct ws_json *j, struct ws_text *t);

void ws_json_object(struct ws_json *j);     /* { */
void ws_json_object_end(struct ws_json *j); /* } */
void ws_json_array(struct ws_json *j);      /* [ */
void ws_json_array_end(struct ws_json *j);  /* ] */

/* Key of the next value; plain ASCII without anything to escape. */
void ws_json_key(struct ws_json *j, const char *key);

/* A string of n bytes. Control characters, '"' and '\' are escaped; valid UTF-8 (RFC 3629) stands
 * as it is; each byte that is not part of valid UTF-8 becomes \u00XX of its value, so that the line
 * is valid JSON whatever came in. */
void ws_json_str(struct ws_json *j, const void *s, size_t n);
void ws_json_strz(struct ws_json *j, const char *s);

void ws_json_u64(struct ws_json *j, uint64_t v);
void ws_json_i64(struct ws_json *j, int64_t v);
void ws_json_bool(struct ws_json *j, bool v);
void ws_json_null(struct ws_json *j);

/* ns as a number of seconds with exactly 9 decimals; exact to any parser that keeps decimals (a
 * double keeps about 100 ns). */
void ws_json_seconds(struct ws_json *j, int64_t ns);

/* ns as a string of digits, which no parser rounds. */
void ws_json_ns_str(struct ws_json *j, int64_t ns);

/* Begins a value that the caller puts into j->t himself (valid JSON). */
void ws_json_raw(struct ws_json *j);

/* Escapes n bytes as a JSON string body (no quotes). ascii: every byte outside 0x20..0x7e becomes
 * \u00XX with capital digits, as pcap2conn does; else as ws_json_str(). At most 6 characters a
 * byte. */
void ws_json_escape(struct ws_text *t, const uint8_t *s, size_t n, bool ascii);

#endif
