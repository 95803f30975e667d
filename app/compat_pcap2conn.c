/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end with pcap2conn's command line: its options become those of streams and capture. */
#include "app/compat_pcap2conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/run.h"
#include "base/log.h"
#include "source/live.h"
#include "ws_config.h"

#define FILES_MAX_DEFAULT 500u
/* Its names: local time, IP protocol, side 0, side 1; ours counts the files of one name. */
#define TEMPLATE "%D-%P-%-A.%-a-%-B.%-b%C%c"
/* pcap2conn never ends a connection for its silence. */
#define NEVER_NS (INT64_MAX / 4)

enum own_option {
    OWN_INTERFACE = 'i', OWN_READ = 'r', OWN_OUT = 'o', OWN_LIST = 'l', OWN_FILTER = 'e', OWN_CHUNKS = 'd',
    OWN_JSON = 'j', OWN_METADATA = 'm', OWN_CONSOLE = 'c', OWN_SEPARATE = 's', OWN_FILES_MAX = 'f', OWN_HELP = 'h',
    OWN_VERSION = 'v',
    /* without a letter: told apart by offset */
    OWN_NS = 0, OWN_IDLE, OWN_WORKERS, OWN_STATS,
};

const struct ws_opt compat_pcap2conn_table[] = {
    {"input-file", OWN_READ, WS_OPT_LIST, "FILE", 1, 0,
     "read this capture (pcap or pcapng, also gz, zst, xz, bz2, zip; - is standard input); repeatable, connections go on from one to the next"},
    {"interface", OWN_INTERFACE, WS_OPT_STRING, "IFACE", 1, 0, "capture from this interface, by name or IPv4 address, until Ctrl-C"},
    {"output-dir", OWN_OUT, WS_OPT_STRING, "DIR", 1, 0, "write files here; made if it is not there (default .)"},
    {"filter", OWN_FILTER, WS_OPT_STRING, "EXPR", 1, 0, "only packets that this pcap-filter expression lets pass"},
    {"max-file-desc", OWN_FILES_MAX, WS_OPT_U64, "N", 1, 0, "files open at once (default 500)"},
    {"write-to-console", OWN_CONSOLE, WS_OPT_FLAG, NULL, 1, 0, "data to standard output instead of files"},
    {"write-metadata", OWN_METADATA, WS_OPT_FLAG, NULL, 1, 0, "a metadata file of each connection"},
    {"separate-sides", OWN_SEPARATE, WS_OPT_FLAG, NULL, 1, 0, "a file a side (default: both sides in one file)"},
    {"chunks-header", OWN_CHUNKS, WS_OPT_FLAG, NULL, 1, 0, "a line with side and size before each chunk of data"},
    {"json", OWN_JSON, WS_OPT_FLAG, NULL, 1, 0, "data and metadata as JSON, a line a chunk"},
    {"list-interfaces", OWN_LIST, WS_OPT_FLAG, NULL, 1, 0, "list the interfaces"},
    {"version", OWN_VERSION, WS_OPT_FLAG, NULL, 1, 0, "the version"},
    {"help", OWN_HELP, WS_OPT_FLAG, NULL, 1, 0, "this text"},
    {"", 0, WS_OPT_FLAG, NULL, 1, 0, "Not in pcap2conn"},
    {"json-ns", 0, WS_OPT_FLAG, NULL, 1, OWN_NS, "with --json: times with 9 decimals instead of 5"},
    {"idle-timeout", 0, WS_OPT_DURATION, "TIME", 1, OWN_IDLE,
     "a connection ends after this silence (default: never from files, an hour live)"},
    {"workers", 0, WS_OPT_U64, "N", 1, OWN_WORKERS, "worker threads (default 1)"},
    {"stats", 0, WS_OPT_FLAG, NULL, 1, OWN_STATS, "print all counters at the end"},
    {NULL, 0, WS_OPT_FLAG, NULL, 0, 0, NULL},
};

/* What the command line says. */
struct own {
    struct options o;
    const char *iface, *out, *filter;
    uint64_t files_max;
    bool list, chunks, json, metadata, console, separate, help, version;
};

static int bad_value(const struct ws_opt *opt, const char *value, char *err, size_t err_len)
{
    snprintf(err, err_len, "--%s: '%s' is not a %s", opt->name, value,
             opt->type == WS_OPT_DURATION ? "time such as 10s or 5m" : "number from 1");
    return -EINVAL;
}

static int set_ours(struct own *w, const struct ws_opt *opt, const char *value, char *err, size_t err_len)
{
    switch (opt->offset) {
    case OWN_NS:
        w->o.json_ns = true;
        return 0;
    case OWN_STATS:
        w->o.stats = true;
        return 0;
    case OWN_IDLE:
        if (ws_parse_duration(value, &w->o.idle_timeout) < 0 || w->o.idle_timeout == 0)
            return bad_value(opt, value, err, err_len);
        return 0;
    default: /* OWN_WORKERS */
        if (ws_parse_u64(value, &w->o.workers) < 0 || w->o.workers == 0)
            return bad_value(opt, value, err, err_len);
        return 0;
    }
}

static int set_option(void *user, const struct ws_opt *opt, const char *value, char *err, size_t err_len)
{
    struct own *w = user;
    switch (opt->letter) {
    case OWN_READ:
        if (w->o.input.n == WS_OPT_LIST_MAX) {
            snprintf(err, err_len, "-r: more than %u files", WS_OPT_LIST_MAX);
            return -EINVAL;
        }
        w->o.input.item[w->o.input.n++] = value;
        return 0;
    case OWN_INTERFACE:
        w->iface = value;
        return 0;
    case OWN_OUT:
        w->out = value;
        return 0;
    case OWN_FILTER:
        w->filter = value;
        return 0;
    case OWN_FILES_MAX:
        return ws_parse_u64(value, &w->files_max) < 0 || w->files_max == 0 ? bad_value(opt, value, err, err_len) : 0;
    case OWN_LIST:
        w->list = true;
        return 0;
    case OWN_CHUNKS:
        w->chunks = true;
        return 0;
    case OWN_JSON:
        w->json = true;
        return 0;
    case OWN_METADATA:
        w->metadata = true;
        return 0;
    case OWN_CONSOLE:
        w->console = true;
        return 0;
    case OWN_SEPARATE:
        w->separate = true;
        return 0;
    case OWN_HELP:
        w->help = true;
        return 0;
    case OWN_VERSION:
        w->version = true;
        return 0;
    default:
        return set_ours(w, opt, value, err, err_len);
    }
}

/* --- interfaces --- */

static bool print_interface(void *user, const char *name, const char *ipv4)
{
    (void)user;
    printf("    -> Name: '%s'   IP address: %s\n", name, ipv4 ? ipv4 : "0.0.0.0");
    return false;
}

static int list_interfaces(void)
{
    char err[300];
    printf("\nNetwork interfaces:\n");
    if (ws_live_each(print_interface, NULL, err, sizeof(err)) == 0)
        return 0;
    fprintf(stderr, "pcap2conn: %s\n", err);
    return 3;
}

/* The interface that was asked for, by name or by address. */
struct wanted {
    const char *given;
    bool by_address;
    char name[64], ipv4[INET_ADDRSTRLEN];
};

static bool is_wanted(void *user, const char *name, const char *ipv4)
{
    struct wanted *w = user;
    if (w->by_address ? !ipv4 || strcmp(ipv4, w->given) != 0 : strcmp(name, w->given) != 0)
        return false;
    snprintf(w->name, sizeof(w->name), "%s", name);
    snprintf(w->ipv4, sizeof(w->ipv4), "%s", ipv4 ? ipv4 : "0.0.0.0");
    return true;
}

static int find_interface(struct wanted *w, const char *given)
{
    char err[300];
    struct in_addr in;
    memset(w, 0, sizeof(*w));
    w->given = given;
    w->by_address = inet_pton(AF_INET, given, &in) == 1;
    int rc = ws_live_each(is_wanted, w, err, sizeof(err));
    if (rc == 1)
        return 0;
    if (rc < 0)
        fprintf(stderr, "pcap2conn: %s\n", err);
    else
        fprintf(stderr, "pcap2conn: -i %s: no interface has this %s (-l lists them)\n", given,
                w->by_address ? "address" : "name");
    return 3;
}

/* --- the run --- */

/* From its options to ours. */
static int translate(struct own *w)
{
    struct options *o = &w->o;
    bool live = o->input.n == 0;
    const char *dir = w->out ? w->out : ".";

    o->format = w->json ? FORMAT_JSON : w->chunks ? FORMAT_CHUNKS : FORMAT_RAW;
    o->joined = o->format == FORMAT_RAW && !w->separate;
    o->separate = w->separate;
    o->gaps = o->format == FORMAT_RAW ? 2 : -1;
    o->template = w->json ? TEMPLATE ".json" : TEMPLATE ".txt";
    o->no_colon = o->local_time = o->missing_text = true;
    o->udp = o->all_ip = o->no_vlan_key = o->tcp_udp_ports = true;
    o->overwrite = o->quiet = true;
    o->open_files = w->files_max;
    o->metadata = !w->metadata ? -1 : w->json;
    if (w->console && w->metadata)
        o->metadata_dir = dir;
    o->out = o->streams = w->console ? "-" : dir;
    if (!o->idle_timeout)
        o->idle_timeout = live ? 3600 * INT64_C(1000000000) : NEVER_NS;
    if (w->filter && !(o->filter = strdup(w->filter))) {
        fprintf(stderr, "pcap2conn: out of memory for the filter\n");
        return 3;
    }
    return 0;
}

/* Leaves out what cannot be opened, as pcap2conn does; the exit code tells. */
static int check_files(struct ws_opt_list *l)
{
    unsigned n = 0;
    int code = 0;
    for (unsigned i = 0; i < l->n; i++) {
        const char *path = l->item[i];
        printf("Opening file '%s'.\n", path);
        if (strcmp(path, "-") != 0 && access(path, R_OK) != 0) {
            fprintf(stderr, "pcap2conn: %s: %s\n", path, strerror(errno));
            code = 3;
        } else {
            l->item[n++] = path;
        }
    }
    l->n = n;
    fflush(stdout);
    return code;
}

static void say_processing(void *user, const char *path)
{
    (void)user;
    printf("Processing file '%s'.\n", path);
    fflush(stdout); /* what a writer puts on standard output comes behind */
}

static int open_input(struct run *r, struct own *w)
{
    struct wanted found;
    if (w->o.input.n) {
        r->file_begins = say_processing;
        return run_open_files(r);
    }
    int code = find_interface(&found, w->iface);
    if (code)
        return code;
    w->o.iface.item[w->o.iface.n++] = found.by_address ? found.name : w->iface;
    if ((code = run_open_devices(r)))
        return code;
    printf("Starting packet capture on '%s'...\n", found.ipv4);
    fflush(stdout);
    return 0;
}

static int run(struct own *w)
{
    struct run r;
    int missing = 0, code;
    bool files = w->o.input.n != 0;

    if ((code = translate(w)))
        return code;
    if (files && (missing = check_files(&w->o.input)) && !w->o.input.n)
        return missing;
    code = run_init(&r, &w->o, files ? CMD_STREAMS : CMD_CAPTURE, "pcap2conn");
    if (!code)
        code = open_input(&r, w);
    if (!code)
        code = run_execute(&r);
    if (!code) {
        code = run_verdict(&r);
        printf("Done! processed %" PRIu64 " connections\n", ws_count_get(&r.sum, WS_C_FLOWS_CREATED));
    }
    run_fini(&r);
    return WS_MAX(code, missing);
}

static int usage(const char *text)
{
    fprintf(stderr, "pcap2conn: %s (see pcap2conn --help)\n", text);
    return 2;
}

static int dispatch(struct own *w, int argc, char **argv)
{
    char err[300];
    int rest;
    if (ws_opts_getopt(compat_pcap2conn_table, 1, argc, argv, set_option, w, &rest, err, sizeof(err)) < 0)
        return usage(err);
    if (w->help) {
        printf("usage: pcap2conn %s\n\n%s\n", compat_pcap2conn_usage, compat_pcap2conn_summary);
        ws_opts_help(stdout, compat_pcap2conn_table, 1);
        return 0;
    }
    if (w->version) {
        printf("pcap2conn (wirespool %s)\n", WS_VERSION);
        return 0;
    }
    if (w->list)
        return list_interfaces();
    if (rest < argc) {
        snprintf(err, sizeof(err), "'%.200s': files are given with -r, a filter with -e", argv[rest]);
        return usage(err);
    }
    if (!w->o.input.n && !w->iface)
        return usage("neither an interface (-i) nor an input file (-r) was given");
    return run(w);
}

const char compat_pcap2conn_usage[] = "[-cmsdj] [-r FILE]... [-i IFACE] [-o DIR] [-e EXPR] [-f N] | -l | -v | -h";
const char compat_pcap2conn_summary[] = "write the connections of captures to text or JSON files, as pcap2conn does";

const char compat_pcap2conn_manual[] =
    ".SH FILES\n"
    "\\fIYYYYMMDDhhmmss-PROTO-src.port-dst.port.txt\\fR, or \\fI.json\\fR, and \\fI-metadata.txt\\fR: local time of the first packet;\n"
    "src is side 0, the endpoint that was seen first. A second file of a name ends in c1.\n"
    "Missing bytes are told as [N bytes missing].\n";

int compat_pcap2conn(int argc, char **argv)
{
    struct own w = {.files_max = FILES_MAX_DEFAULT};
    ws_log_level = WS_LOG_WARN;
    options_defaults(&w.o);
    int code = dispatch(&w, argc, argv);
    options_free(&w.o);
    return code;
}
