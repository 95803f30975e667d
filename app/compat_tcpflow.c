/* SPDX-License-Identifier: BSD-3-Clause */
/* wirespool tcpflow: fills struct options as tcpflow's words mean them, and runs `streams` or `capture`. */
#include "app/compat_tcpflow.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/compat_tcpflow_args.h"
#include "app/manual.h"
#include "base/log.h"
#include "base/overlap.h"
#include "filter/filter.h"
#include "format/console.h"
#include "ws_config.h"

/* Flows never end of silence: a century, which no sum with a time of day overflows. */
#define NO_TIMEOUT_NS (INT64_C(100) * 365 * 86400 * 1000000000)

const char compat_tcpflow_usage[] =
    "[-aBcCDgHhIJKlPpqsvVZ0] [-b BYTES] [-d N] [-e|-E|-x SCANNER] [-f N] [-F LETTERS] [-i IFACE] [-L NAME] [-m BYTES] "
    "[-o DIR] [-r FILE]... [-R FILE]... [-S NAME=VALUE]... [-T TEMPLATE] [-U USER] [-w FILE] [-X FILE] [-z DIR] [EXPRESSION]";
const char compat_tcpflow_summary[] = "write the TCP streams of captures to files, as tcpflow does";
const char compat_tcpflow_manual[] =
    ".SH FILES\n"
    "\\fIsource.port\\-destination.port\\fR[\\fB\\-\\-\\fIvlan\\fR][\\fBc\\fIN\\fR]: the bytes of one direction of a connection; "
    "IPv4 octets have 3 digits and ports 5.\n"
    "A name that is taken, also by an earlier run, gets c1, c2, ...\n"
    "A file's time is that of its first packet. Without data there is no file.\n"
    ".SH DIFFERENCES\n"
    "What differs from tcpflow 1.6.1 stands in docs/compat-tcpflow.md.\n";

/* The whole of one run: the words, and the options they mean. */
struct tcpflow {
    struct tcpflow_args a;
    struct options o;
    char pcap_template[WS_NAME_TEMPLATE_MAX + 16];
    char report[4096], chart[4096], python[4096], prefix[4096];
};

static int refuse(const char *text)
{
    fprintf(stderr, "tcpflow: %s\n", text);
    return 2;
}

static void print_settings(void)
{
    puts("\nSettings (-S NAME=VALUE) and their defaults:");
    for (const struct tcpflow_setting *s = tcpflow_settings; s->name; s++)
        printf("  %-24s %-8s %s\n", s->name, s->value, s->help);
}

static void print_letters(void)
{
    puts("\nLetters of -F, each put before (c: after) the names so far:\n"
         "  c    the counter on every name        t    seconds since 1970 and T\n"
         "  T    2026-01-31T12:00:00Z              X    no files, only the report\n"
         "  M    MD5 of each stream in the report\n"
         "  k    %K/                               m    %M000-%M999/%M%K/\n"
         "  g    %G000000-%G999999/%G%M000-%G%M999/%G%M%K/\n"
         "\nTemplates of -T:\n"
         "  %A %a  source address, port            %B %b  destination address, port\n"
         "  %E %e  source, destination MAC         %V %v  -- and the VLAN, when there is one\n"
         "  %T %t  first packet, ISO or seconds    %C %c  c and the counter, when it is not 0\n"
         "  %#     the counter                     %S     the connection's number, 20 digits\n"
         "  %N %K %M %G  its last 3 digits, thousands, millions, milliards\n"
         "  %%     a per cent sign                 /      makes directories\n"
         "Default: " WS_NAME_DEFAULT ". Without %c or %#, %C%c is appended.");
}

static void print_scanners(void)
{
    static const char *const text[SCANNERS] = {
        [SCAN_HTTP] = "bodies of HTTP responses in files of their own, decompressed",
        [SCAN_MD5] = "MD5 of each file, in the report",
        [SCAN_NETVIZ] = "one page about the traffic: report.pdf",
        [SCAN_PYTHON] = "a function of yours sees each stream; what it returns goes into the report",
        [SCAN_TCPDEMUX] = "the streams themselves; on unless switched off",
        [SCAN_WIFIVIZ] = "names of wireless networks, in the report",
    };
    for (int i = 0; i < SCANNERS; i++)
        printf("%-9s %-4s %s\n", tcpflow_scanners[i], i == SCAN_TCPDEMUX ? "on" : "off", text[i]);
    print_settings();
}

static int print_help(const struct tcpflow_args *a)
{
    printf("usage: tcpflow %s\n\n%s\n", compat_tcpflow_usage, compat_tcpflow_summary);
    ws_opts_help(stdout, tcpflow_options, 1);
    if (a->help > 1) {
        print_settings();
        print_letters();
    }
    printf("\nEXPRESSION is a filter as of pcap-filter(7), in one or several words.\n%s", manual_exit_codes);
    return 0;
}

/* A filter that libpcap refuses may be a value that its option does not take. */
static int take_filter(struct tcpflow *t)
{
    char err[512];
    struct ws_filter *f;
    if (!*t->a.words)
        return 0;
    bool number = strspn(t->a.words, "0123456789") == strlen(t->a.words);
    int rc = number ? -EINVAL : ws_filter_create(&f, t->a.words, -1, err, sizeof(err));
    if (rc < 0) {
        fprintf(stderr, "tcpflow: filter '%s': %s\n", t->a.words, number ? "a number alone filters nothing" : err);
        tcpflow_args_explain_filter(&t->a);
        return rc == -ENOMEM ? 3 : 2;
    }
    ws_filter_destroy(f);
    t->o.filter = strdup(t->a.words);
    if (t->o.filter)
        return 0;
    fprintf(stderr, "tcpflow: out of memory for the filter\n");
    return 3;
}

static const char *outdir(const struct tcpflow *t)
{
    if (!t->a.outdir)
        return ".";
    return strcmp(t->a.outdir, "-") == 0 ? "./-" : t->a.outdir; /* a directory of that name */
}

/* Names, files and engine: what is the same for captures and files. */
static void set_common(struct tcpflow *t)
{
    const struct tcpflow_args *a = &t->a;
    struct options *o = &t->o;
    o->program = "tcpflow";
    o->quiet = a->debug < 10;
    o->verbose = a->debug >= 10;
    o->many_files_hint = !a->quiet && a->debug > 0;
    o->overlap = WS_OVERLAP_LAST;
    o->idle_timeout = a->tcp_timeout_ns ? a->tcp_timeout_ns : NO_TIMEOUT_NS;
    o->template = a->name_template;
    o->number_from_zero = true;
    o->open_files = a->open_files;
    o->user = a->user;
    o->chroot = a->chroot;
    o->rest = a->rest;
    o->us_as_input = true;
    o->overwrite = true; /* reports and pcap files; stream files are numbered */
    o->time_shift = a->tdelta;
    o->number_existing = true;
    o->stream_max = a->bytes_max;
    o->findx = a->findx;
    o->strip = a->strip;
    if (a->console) {
        o->console = a->json ? WS_CONSOLE_JSON : a->hex ? WS_CONSOLE_HEX : WS_CONSOLE_TEXT;
        o->no_header = a->no_headers;
        o->no_newline = a->no_newline;
        o->binary = a->binary;
        o->color = a->color;
        o->lock = a->lock;
        /* The names in headers are those of the files that there are none of. */
        snprintf(t->prefix, sizeof(t->prefix), "%s/", outdir(t));
        o->console_prefix = a->outdir ? t->prefix : NULL;
        o->findx = o->strip = false;
        return;
    }
    if (a->pcap) {
        snprintf(t->pcap_template, sizeof(t->pcap_template), "%s.pcap", a->name_template);
        o->template = t->pcap_template;
        o->format = FORMAT_PCAP;
        o->separate = true;
        o->findx = o->strip = false; /* -K has no streams to cut, strip or list */
        o->stream_max = WS_UNSET;
        return;
    }
    o->order = ORDER_ARRIVAL;
    o->split_gap = a->skip_max;
    if (a->skip_max > o->holes_max)
        o->holes_max = 0; /* holes of that size are wanted */
}

static int take_fd(const char *name, const char *text, uint64_t *fd)
{
    if (!text || strcmp(text, "-1") == 0)
        return 0;
    if (ws_parse_u64(text, fd) == 0 && *fd <= INT32_MAX)
        return 0;
    fprintf(stderr, "tcpflow: -S %s: '%s' is not a file descriptor\n", name, text);
    return 2;
}

/* Whether stream files are written. */
static bool writes_files(const struct tcpflow_args *a)
{
    return a->scan[SCAN_TCPDEMUX] && !a->no_files && !a->console;
}

/* What is done with finished files, and told of all flows. */
static int set_scanners(struct tcpflow *t)
{
    const struct tcpflow_args *a = &t->a;
    struct options *o = &t->o;
    bool files = writes_files(a);
    int code;
    if (a->enable_report && a->report) {
        o->report = a->report;
    } else if (a->enable_report && !a->console) {
        snprintf(t->report, sizeof(t->report), "%s/report.xml", outdir(t));
        o->report = t->report;
    }
    o->dfxml = a->dfxml_strict;
    if (a->scan[SCAN_NETVIZ]) {
        snprintf(t->chart, sizeof(t->chart), "%s/report.pdf", outdir(t));
        o->chart = t->chart;
    }
    o->chart_list = o->chart && a->netviz_histogram_dump && strcmp(a->netviz_histogram_dump, "0") != 0;
    o->ssids = a->scan[SCAN_WIFIVIZ] && o->report;
    o->ssids_bad_fcs = a->any_fcs;
    if (a->netviz_histogram_size &&
        (ws_parse_u64(a->netviz_histogram_size, &o->chart_addresses) < 0 || !o->chart_addresses))
        return refuse("-S netviz_histogram_size: not a number from 1");
    if (a->console && a->debug > 0 &&
        (a->scan[SCAN_HTTP] || a->scan[SCAN_MD5] || a->md5 || a->scan[SCAN_PYTHON] || a->http_cmd || a->tcp_cmd))
        fputs("tcpflow: -c and -C write no files, so that http, md5, python and commands have nothing to do\n", stderr);
    if (!files)
        return 0;
    o->md5 = a->scan[SCAN_MD5] || a->md5;
    o->http = a->scan[SCAN_HTTP] && !a->pcap;
    o->http_raw = o->http && a->no_inflate;
    o->http_names = a->http_old_names;
    o->on_close = a->tcp_cmd && *a->tcp_cmd ? a->tcp_cmd : NULL;
    o->http_command = o->http && a->http_cmd && *a->http_cmd ? a->http_cmd : NULL;
    if ((code = take_fd("tcp_alert_fd", a->tcp_alert_fd, &o->alert_fd)) ||
        (code = take_fd("http_alert_fd", o->http ? a->http_alert_fd : NULL, &o->http_alert_fd)))
        return code;
    if (a->scan[SCAN_PYTHON]) {
        int n = snprintf(t->python, sizeof(t->python), "%s:%s:%s", a->py_path, a->py_module, a->py_function);
        if (n < 0 || (size_t)n >= sizeof(t->python))
            return refuse("-S py_path: too long");
        o->python = t->python;
    }
    return 0;
}

/* The report and the picture lie among the files, or where files would lie: the directory must be there first. */
static int make_outdir(const struct tcpflow *t)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s", outdir(t));
    if (!(t->o.report == t->report || t->o.chart) || (n > 0 && (size_t)n >= sizeof(path)))
        return 0;
    for (char *slash = path; *slash; slash++) {
        if (*slash != '/' || slash == path)
            continue;
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    struct passwd *pw = t->a.user ? getpwnam(t->a.user) : NULL;
    int rc = mkdir(path, 0777);
    if (rc == 0 && pw && chown(path, pw->pw_uid, pw->pw_gid) < 0)
        rc = -1;
    if (rc == 0 || errno == EEXIST)
        return 0;
    fprintf(stderr, "tcpflow: %s: %s\n", path, strerror(errno));
    return 3;
}

static int translate(struct tcpflow *t)
{
    int code = take_filter(t);
    if (!code)
        code = set_scanners(t);
    if (!code)
        set_common(t);
    return code;
}

static int run_files(struct tcpflow *t)
{
    struct options *o = &t->o;
    o->files = t->a.read.item;
    o->n_files = (unsigned)t->a.read.n;
    o->resume_files = t->a.more.item;
    o->n_resume_files = (unsigned)t->a.more.n;
    o->out = writes_files(&t->a) ? outdir(t) : NULL;
    return cmd_streams(o);
}

static int run_live(struct tcpflow *t)
{
    struct options *o = &t->o;
    o->iface.item[o->iface.n++] = t->a.iface; /* NULL: libpcap's first */
    o->no_promiscuous = t->a.no_promiscuous;
    o->streams = writes_files(&t->a) ? outdir(t) : NULL;
    return cmd_capture(o);
}

int compat_tcpflow(int argc, char **argv)
{
    struct tcpflow t;
    int code = tcpflow_args_parse(&t.a, argc, argv);
    if (code)
        return code;
    options_defaults(&t.o);
    if (t.a.help) {
        code = print_help(&t.a);
    } else if (t.a.version) {
        printf("tcpflow (wirespool %s)\n", WS_VERSION);
    } else if (t.a.show_scanners) {
        print_scanners();
    } else if (!(code = translate(&t))) {
        ws_log_level = t.a.debug == 0 ? WS_LOG_ERROR : t.a.debug >= 10 ? WS_LOG_DEBUG : WS_LOG_WARN;
        code = make_outdir(&t);
        if (!code)
            code = t.a.read.n + t.a.more.n ? run_files(&t) : run_live(&t);
    }
    options_free(&t.o);
    tcpflow_args_free(&t.a);
    return code;
}
