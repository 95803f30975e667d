/* SPDX-License-Identifier: BSD-3-Clause */
/* The native commands' options: one table for command line, help and man page. */
#ifndef WS_APP_OPTIONS_H
#define WS_APP_OPTIONS_H

#include "base/opts.h"

enum command {
    CMD_FLOWS = 1,
    CMD_EXTRACT = 2,
    CMD_STREAMS = 4,
    CMD_CAPTURE = 8,
    CMD_REPLAY = 16,
    CMD_REPAIR = 32, /* no run of the engine: not in CMD_ALL */
    CMD_FILES = CMD_FLOWS | CMD_EXTRACT | CMD_STREAMS,
    CMD_LIVE = CMD_CAPTURE | CMD_REPLAY,
    CMD_ALL = CMD_FILES | CMD_LIVE,
};

enum stream_format { FORMAT_RAW, FORMAT_HEADERS, FORMAT_HEADERS32, FORMAT_CHUNKS, FORMAT_JSON, FORMAT_PCAP, FORMAT_ARCHIVE };

/* Values of --trailer. */
enum trailer_kind { TRAILER_NONE, TRAILER_METAMAKO, TRAILER_METAMAKO_DOUBLE };

enum stream_order { ORDER_STREAM, ORDER_ARRIVAL };

/* A number that was not given. */
#define WS_UNSET UINT64_MAX

struct options {
    struct ws_opt_list input;  /* positionals and -r */
    struct ws_opt_list resume; /* --continue */
    /* A front-end's own lists, which may be longer: read after input, and after resume. Borrowed. */
    const char **files, **resume_files;
    unsigned n_files, n_resume_files;
    const char *program;       /* command's name in messages; a front-end's is its own */
    const char *time_shift;
    char *filter;              /* words after "--", or -f; NULL = none (heap) */
    const char *filter_text;   /* -f */

    /* selection */
    struct ws_opt_list port, host, tuple, community_id, flow;
    const char *after, *before;
    uint64_t packet_max;
    bool one_way;

    /* common */
    uint64_t workers, writers;
    bool stats, quiet, overwrite, json, help, verbose, hugepages;
    const char *user, *chroot, *eal;
    bool many_files_hint;      /* say so when a directory gets very many files, though quiet */
    const char *stats_json, *stats_interval_json;
    int64_t stats_interval; /* 0: not asked for */

    /* listing */
    uint64_t top, packets_min;
    bool all, csv;
    int sort;

    /* output */
    const char *out;
    int format, gaps, overlap, fsync_mode;
    const char *fsync, *template;
    const char *rest;
    bool number_from_zero, us_as_input;
    bool udp, all_ip, no_tcp, gaps_file, part, us, separate, no_colon;
    bool in_place;
    bool joined, local_time, json_ns, missing_text;
    const char *chart;        /* FILE.pdf: a page of pictures of the traffic */
    uint64_t chart_addresses;
    bool chart_list;
    bool ssids, ssids_bad_fcs;
    int metadata; /* -1: none; 0: text, 1: JSON */
    const char *metadata_dir;
    uint64_t shed_keep; /* WS_UNSET = not given */
    uint64_t snaplen, holes_max, open_files, block_bytes, blocks;
    int backend;
    int direct; /* 0 auto, 1 on, 2 off */

    /* stream files in arrival order, and how they are written */
    int order; /* enum stream_order; -1 = not given: files stream, console arrival */
    uint64_t split_gap, stream_max; /* WS_UNSET = not given */
    bool findx, findx_ns, strip, number_existing;

    /* console */
    int console; /* enum ws_console_kind; -1 = none */
    const char *console_out, *console_prefix, *lock;
    bool no_header, no_newline, binary, color;

    /* engine */
    uint64_t records_max, flows_max, held_max, dir_held_max, jump_max, frag_max;
    int64_t idle_timeout, frag_timeout;
    bool tcp_udp_ports;
    bool verify_checksums, no_tunnels, no_vlan_key;

    /* identity of flows and choice of streams, as pcap_flow has them */
    struct ws_opt_list not_port, cpu;
    bool key_mac, key_device, device_vlan, per_tuple, tcp_udp_only, any_kind, udp_header, empty_records;
    int trailer;
    const char *trailer_offset;
    uint64_t size_min;
    int64_t flush;

    /* finished stream files */
    bool md5, http, http_raw, http_requests;
    uint64_t http_max;
    int http_names, dfxml;
    const char *report, *on_close, *http_command, *python;
    uint64_t alert_fd, http_alert_fd; /* WS_UNSET: none */

    /* live */
    struct ws_opt_list dev, iface;
    const char *pcap, *streams, *flows_out;
    uint64_t rotate_size, queues, mtu, mbufs, descriptors, rate;
    int64_t rotate_time, duration, drain;
    bool no_promiscuous;
};

extern const struct ws_opt options_table[];

/* What holds where nothing was given. */
void options_defaults(struct options *o);

/* Parses a command's words (argv[0] is the command). 0, or exit code 2 with the message printed. */
int options_parse(struct options *o, enum command cmd, const char *name, int argc, char **argv);
void options_free(struct options *o);

/* Name, one-line summary and usage of the native commands; name NULL ends. */
struct command_info {
    enum command cmd;
    const char *name, *usage, *summary;
};
extern const struct command_info commands[];

#endif
