/* SPDX-License-Identifier: BSD-3-Clause */
/* The DFXML report: a stream of file objects between a head and a tail (docs/formats/dfxml.md). */
#ifndef WS_POST_DFXML_H
#define WS_POST_DFXML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ws_dfxml;

enum ws_dfxml_layout {
    WS_DFXML_TCPFLOW, /* as tcpflow 1.6.1 writes it */
    WS_DFXML_STRICT,  /* what the published schema allows */
};

/* Who wrote the report. Strings are borrowed until ws_dfxml_close(). */
struct ws_dfxml_creator {
    enum ws_dfxml_layout layout;
    const char *version, *build_date; /* build_date: YYYY-MM-DDThh:mm:ss */
    const char *command_line;
    int64_t start_ns;          /* of the run, Unix time */
    const char *const *inputs; /* STRICT: input files */
    size_t n_inputs;
};

/* A file that was made out of a stream. */
struct ws_dfxml_run {
    const char *path;
    uint64_t file_offset, span; /* in the stream file */
    uint64_t filesize;
    const char *md5; /* hexadecimal, "" = none */
};

/* One direction of a flow, or a file of it. */
struct ws_dfxml_object {
    const char *path; /* NULL: no file was written */
    uint64_t filesize;
    int64_t start_ns, end_ns;
    bool has_flow; /* what follows is known */
    bool macs;
    uint8_t mac_src[6], mac_dst[6];
    uint8_t src[16], dst[16]; /* as struct ws_key has them */
    uint8_t ip_version, proto;
    uint16_t src_port, dst_port;
    uint64_t packets, out_of_order, violations, bytes, captured_bytes;
    const char *md5; /* hexadecimal, "" = none */
    const struct ws_dfxml_run *run;
    size_t n_run;
    const char *result; /* NULL = none; n bytes that may be anything */
    size_t result_len;
    const char *result_path, *result_module, *result_function;
};

/* The tail. Strings are borrowed for the call. */
struct ws_dfxml_tail {
    unsigned open_fds;
    uint64_t max_open_flows, total_flows, flows_left, total_packets;
    const char *ssids; /* XML text for <summary>, NULL = none */
    double clock_s;
};

/* Takes fd, which is closed by ws_dfxml_close(). 0 or -errno. */
int ws_dfxml_open(struct ws_dfxml **x, int fd, const struct ws_dfxml_creator *creator);

/* 0 or -errno; after a failure of the file nothing more is written and close tells. */
int ws_dfxml_object(struct ws_dfxml *x, const struct ws_dfxml_object *o);

/* Ends the document. tail NULL: without sums. 0 or -errno of whatever failed. */
int ws_dfxml_close(struct ws_dfxml *x, const struct ws_dfxml_tail *tail);

#endif
