/* SPDX-License-Identifier: BSD-3-Clause */
/* tcpflow's command line, as it was written: nothing of it is acted on here. */
#ifndef WS_APP_COMPAT_TCPFLOW_ARGS_H
#define WS_APP_COMPAT_TCPFLOW_ARGS_H

#include "base/opts.h"
#include "format/name.h"

/* A list that grows with the command line; items are borrowed from argv, or from globs. */
struct tcpflow_files {
    const char **item;
    size_t n, room;
};

enum tcpflow_scanner {
    SCAN_HTTP,
    SCAN_MD5,
    SCAN_NETVIZ,
    SCAN_PYTHON,
    SCAN_TCPDEMUX,
    SCAN_WIFIVIZ,
    SCANNERS,
};
extern const char *const tcpflow_scanners[SCANNERS];

struct tcpflow_args {
    struct tcpflow_files read, more; /* -r and -l, -R */
    char name_template[WS_NAME_TEMPLATE_MAX];
    char words[8192]; /* filter expression; "" = none */
    const char *outdir, *report, *rest, *iface, *lock, *user, *chroot;
    uint64_t bytes_max, skip_max, open_files; /* bytes_max UINT64_MAX: no limit; open_files 0: not given */
    uint64_t debug;
    bool console, no_headers, binary, hex, json, color, strip, no_newline;
    bool findx, pcap, no_promiscuous, list_files, quiet, no_inflate, no_files, md5;
    bool show_scanners, version;
    unsigned help;
    bool scan[SCANNERS];
    bool python_if_set; /* all scanners were asked for: python when -S says which function */
    /* -S */
    bool any_fcs; /* -S check_fcs=NO */
    bool enable_report, dfxml_strict, http_old_names;
    const char *tdelta, *http_cmd, *tcp_cmd, *http_alert_fd, *tcp_alert_fd;
    const char *py_path, *py_module, *py_function;
    const char *netviz_histogram_dump, *netviz_histogram_size;
    int64_t tcp_timeout_ns; /* 0: none */
    void *globs;            /* what of read is ours */
};

extern const struct ws_opt tcpflow_options[];

/* The -S settings for help: name, default, what it does; name NULL ends. */
struct tcpflow_setting {
    const char *name, *value, *help;
};
extern const struct tcpflow_setting tcpflow_settings[];

/* Parses the words (argv is put in order). 0; or an exit code with the reason printed, and what would be right where the
 * mistake is a known one. */
int tcpflow_args_parse(struct tcpflow_args *a, int argc, char **argv);
void tcpflow_args_free(struct tcpflow_args *a);

/* Whether a filter expression that libpcap refuses is the value of an option that takes none: prints what was meant. */
void tcpflow_args_explain_filter(const struct tcpflow_args *a);

#endif
