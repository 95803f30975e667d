/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end with pcap_flow's command line: its options become those of flows, extract and
 * streams. */
#include "app/compat_pcap_flow.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/manual.h"
#include "base/log.h"
#include "ws_config.h"

#define GB          (UINT64_C(1) << 30)
#define PROGRESS_NS INT64_C(2000000000)

/* Names of stream files, behind the prefix; later versions tell the device too. */
#define NAME_FLOW    "_%E->%e_%_A->%_B_%_6a->%_6b"
#define NAME_DEVICE  "_%I_%i"
#define TEMPLATE_MAX 1024u
#define RANGE_MAX    32u

/* What one command line does: perhaps a pass that numbers flows, then a run for each kind of
 * output. */
struct front {
    const struct pcap_flow_args *a;
    struct options base;         /* what all runs have in common */
    bool no_display;          /* no table: not wanted, or standard output is the packets' */
    bool numbered;               /* the first pass was made, */
    struct first_pass pcap, tcp; /* and what it chose; pcap holds the ordinals */
    bool listed;                 /* the table was printed, or is not wanted */
    bool dropped;                /* root was given up */
    char spool[32];
};

/* --- messages --- */

static int usage(const char *text)
{
    fprintf(stderr, "wirespool pcap_flow: %s\n", text);
    return 2;
}

static int64_t steady_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The progress line every few seconds, and once at the end. Main thread. */
static void show_progress(struct run *r, bool end)
{
    static int64_t last_ns;
    static uint64_t last_bytes;
    static const struct run *of;
    struct ws_engine_gauges g;
    struct ws_counters c;
    char time_text[PCAP_FLOW_TIME];
    int64_t now = steady_ns();

    if (r->o->quiet)
        return;
    if (of != r || last_ns == 0) {
        of = r;
        last_ns = now;
        last_bytes = 0;
    }
    if (!end && now - last_ns < PROGRESS_NS)
        return;
    ws_engine_gauges(r->engine, &g);
    ws_engine_counters(r->engine, &c);
    const int64_t day = INT64_C(86400000000000);
    int64_t clock = g.clock_ns == INT64_MIN ? 0 : g.clock_ns % day;
    double part = end             ? 100
                  : g.bytes_total ? (double)g.bytes_done * 100 / (double)g.bytes_total
                                  : 0;
    uint64_t bytes = ws_count_get(&c, WS_C_RX_WIRE_BYTES);
    double s = end ? (double)r->elapsed_ns / 1e9 : (double)(now - last_ns) / 1e9;
    fprintf(stderr, "[%s %.3f%%] Flows:%" PRIu64 " %.2fM Pkts %.3fGbps : %.2fGB Out:%.2fGB\n",
            pcap_flow_time(time_text, clock < 0 ? clock + day : clock), part,
            ws_count_get(&c, WS_C_FLOW_DIRECTIONS), (double)ws_count_get(&c, WS_C_RX_PACKETS) / 1e6,
            s > 0 ? (double)(bytes - (end ? 0 : last_bytes)) * 8 / s / 1e9 : 0,
            (double)bytes / (double)GB, (double)ws_count_get(&c, WS_C_WRITE_BYTES) / (double)GB);
    last_ns = now;
    last_bytes = bytes;
    if (end)
        of = NULL;
}

static void print_sizes(const struct pcap_flow_args *a)
{
    for (unsigned i = 0; i < a->input.n; i++) {
        struct stat st;
        bool from_stdin = strcmp(a->input.item[i], "-") == 0;
        uint64_t size = !from_stdin && stat(a->input.item[i], &st) == 0 ? (uint64_t)st.st_size : 0;
        printf("[%30s] FileSize: %" PRIu64 "GB\n", from_stdin ? "stdin" : a->input.item[i],
               size / GB);
    }
    fflush(stdout);
}

/* --- options of the engine --- */

/* A number becomes the name of the user. */
static int plan_user(struct front *f)
{
    uint64_t uid;
    struct passwd *pw;
    if (!f->a->uid)
        return 0;
    f->base.user = f->a->uid;
    if (getpwnam(f->a->uid) || ws_parse_u64(f->a->uid, &uid) < 0)
        return 0; /* an unknown name is refused by the run */
    if (uid > UINT32_MAX || !(pw = getpwuid((uid_t)uid))) {
        fprintf(stderr, "wirespool pcap_flow: --uid %s: no such user\n", f->a->uid);
        return 2;
    }
    static char name[256];
    snprintf(name, sizeof(name), "%s", pw->pw_name);
    f->base.user = name;
    return 0;
}

static int plan_base(struct front *f)
{
    const struct pcap_flow_args *a = f->a;
    struct options *o = &f->base;
    options_defaults(o);
    o->input = a->input;
    o->packet_max = a->packet_max;
    o->workers = a->workers;
    o->flows_max = a->flow_max > UINT64_C(4) << 20 ? WS_MIN(a->flow_max, UINT64_C(16) << 20) : 0;
    o->cpu = a->cpu;
    o->stats = a->stats;
    o->quiet = a->quiet;
    o->verbose = a->verbose;
    o->per_tuple = o->key_mac = o->tcp_udp_only = true;
    o->no_tunnels = o->no_vlan_key = true;
    o->key_device = !a->five_tuple;
    o->device_vlan = a->vlan;
    o->trailer = a->metamako_double ? TRAILER_METAMAKO_DOUBLE
                 : a->metamako      ? TRAILER_METAMAKO
                                    : TRAILER_NONE;
    o->trailer_offset = a->metamako_offset;
    o->one_way = o->any_kind = true;
    o->overwrite = true;
    o->holes_max = 0;
    if (a->flow_flush)
        o->flush = 100000000;
    if (a->metamako_offset && o->trailer == TRAILER_NONE)
        return usage("--metamako-offset: of which trailer? Give --metamako or --metamako-double");
    return plan_user(f);
}

/* Adds ranges of a protocol's ports to a list, in text that lasts as long as the front. */
static int add_ranges(struct ws_opt_list *to, const struct ws_opt_list *from, const char *proto,
                      char (*text)[RANGE_MAX])
{
    for (unsigned i = 0; i < from->n; i++) {
        if (to->n == WS_OPT_LIST_MAX)
            return usage("too many ranges of ports");
        char *t = text[to->n];
        if (snprintf(t, RANGE_MAX, "%s%s", proto, from->item[i]) >= (int)RANGE_MAX) {
            fprintf(stderr, "wirespool pcap_flow: '%s': no range of ports\n", from->item[i]);
            return 2;
        }
        to->item[to->n++] = t;
    }
    return 0;
}

static int plan_exclusions(struct options *o, const struct pcap_flow_args *a)
{
    static char text[WS_OPT_LIST_MAX][RANGE_MAX];
    o->not_port.n = 0;
    int code = add_ranges(&o->not_port, &a->disable_tcp_port, "tcp,", text);
    return code ? code : add_ranges(&o->not_port, &a->disable_udp_port, "udp,", text);
}

/* --- runs --- */

static void before_run(struct front *f, struct run *r, const struct first_pass *chosen)
{
    r->on_progress = show_progress;
    if (f->numbered) {
        r->ec.ids.ordinal = f->pcap.ordinal;
        r->ec.ids.n = f->pcap.n_ordinal;
    }
    if (chosen && chosen->n_flow) {
        r->ec.select.by_flow = true;
        r->ec.select.flow_ordinal = chosen->flow_ordinal;
        r->ec.select.flow_dirs = chosen->flow_dirs;
        r->ec.select.n_flow = chosen->n_flow;
    }
    if (!f->listed && !f->no_display) {
        r->out.want_records = true;
        r->out.record_order = !f->a->out;
    }
}

static int print_table(struct front *f, const struct flow_list *l)
{
    const struct pcap_flow_table t = {.later = !f->a->out, .packets_min = f->a->packets_min};
    f->listed = true;
    return f->no_display ? 0 : pcap_flow_table_print(l, &t);
}

/* One run of the engine for an output; the last one shows the table when no pass before has.
 * chosen: FlowIDs, or NULL. */
static int run_output(struct front *f, struct options *o, enum command cmd,
                      const struct first_pass *chosen, bool last)
{
    struct run r;
    struct flow_list l = {0};
    if (f->dropped)
        o->user = NULL;
    int code = run_init(&r, o, cmd, "pcap_flow");
    if (!code) {
        if (last)
            before_run(f, &r, chosen);
        else {
            bool listed = f->listed;
            f->listed = true;
            before_run(f, &r, chosen);
            f->listed = listed;
        }
        code = run_open_files(&r);
    }
    if (!code)
        code = run_execute(&r);
    if (!code) {
        f->dropped = o->user != NULL;
        code = run_verdict(&r);
        uint64_t replaced = ws_count_get(&r.sum, WS_C_OUT_REPLACED);
        if (replaced)
            fprintf(stderr, "wirespool pcap_flow: %" PRIu64 " file%s of earlier runs replaced\n",
                    replaced, replaced == 1 ? "" : "s");
        if (r.out.want_records) {
            int rc = flow_list_gather(&l, &r);
            if (!rc)
                rc = print_table(f, &l);
            code = WS_MAX(code, rc);
        }
        if (r.interrupted && !last) {
            fprintf(stderr, "wirespool pcap_flow: stopped: other outputs were not begun\n");
            code = WS_MAX(code, 1);
        }
    }
    flow_list_free(&l);
    run_fini(&r);
    return code;
}

/* Finds the flows of FlowIDs. 0, or 1 when there is none of that number. */
static int choose(struct first_pass *fp, const struct flow_list *l, const struct ws_opt_list *ids,
                  const char *option, bool tcp)
{
    for (unsigned i = 0; i < ids->n; i++) {
        uint64_t id = 0;
        ws_parse_u64(ids->item[i], &id);
        bool is_tcp = false;
        for (size_t k = 0; k < l->n && !is_tcp; k++)
            is_tcp = (l->rec[k]->flow_id[0] == id || l->rec[k]->flow_id[1] == id) &&
                     l->rec[k]->key.proto == 6;
        if (!first_pass_choose(fp, l, id, true)) {
            fprintf(stderr, "wirespool pcap_flow: --%s %s: no such FlowID, the input has %zu\n",
                    option, ids->item[i], l->n_ordinal);
            return 1;
        }
        if (tcp && !is_tcp) {
            fprintf(stderr, "wirespool pcap_flow: --%s %s: that flow is not TCP\n", option,
                    ids->item[i]);
            return 1;
        }
    }
    return 0;
}

/* Reads the input once to number its flows; shows the table. */
static int number_flows(struct front *f)
{
    struct options o = f->base;
    struct flow_list l = {0};
    struct run r;
    o.stats = false;
    o.user = NULL;
    int code = run_init(&r, &o, CMD_FLOWS, "pcap_flow");
    if (!code)
        code = run_open_files(&r);
    if (!code) {
        before_run(f, &r, NULL);
        r.out.want_records = true;
        code = run_execute(&r);
    }
    if (!code && r.interrupted) {
        fprintf(
            stderr,
            "wirespool pcap_flow: stopped while numbering flows, before anything was written\n");
        code = 1;
    }
    if (!code && ws_count_get(&r.sum, WS_C_FLOW_RECORDS_LOST)) {
        fprintf(stderr, "wirespool pcap_flow: out of memory for the list of flows\n");
        code = 3;
    }
    if (!code)
        code = flow_list_gather(&l, &r);
    if (!code)
        code = print_table(f, &l);
    if (!code && !(code = choose(&f->pcap, &l, &f->a->extract, "extract", false)))
        code = choose(&f->tcp, &l, &f->a->extract_tcp, "extract-tcp", true);
    if (!code) {
        f->pcap.ordinal = l.ordinal;
        f->pcap.n_ordinal = l.n_ordinal;
        l.ordinal = NULL;
        f->numbered = true;
    }
    flow_list_free(&l);
    run_fini(&r);
    return code;
}

/* --- outputs --- */

static int extract_packets(struct front *f, const char *path, bool last)
{
    static char text[WS_OPT_LIST_MAX][RANGE_MAX];
    const struct pcap_flow_args *a = f->a;
    struct options o = f->base;
    struct stat st;
    o.out = path;
    o.host = a->extract_ip;
    int code = add_ranges(&o.port, &a->extract_port, "", text);
    if (!code)
        code = plan_exclusions(&o, a);
    if (code)
        return code;
    fprintf(stderr, "writing PCAP to [%s]\n", path);
    if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
        fprintf(stderr, "wirespool pcap_flow: %s of an earlier run is replaced\n", path);
    return run_output(f, &o, CMD_EXTRACT, &f->pcap, last);
}

/* Splits a prefix into the directory and the template of names in it. 0 or 2. */
static int plan_names(const char *prefix, const char *rest, char *dir, char *template)
{
    const char *slash = strrchr(prefix, '/'), *base = slash ? slash + 1 : prefix;
    size_t at = 0, dir_len = slash ? (size_t)(slash - prefix) : 1;
    if (dir_len >= TEMPLATE_MAX || strlen(base) > 200)
        return usage("the name of the output is too long");
    snprintf(dir, TEMPLATE_MAX, "%.*s", slash == prefix ? 1 : (int)dir_len, slash ? prefix : ".");
    for (const char *c = base; *c; c++) {
        template[at++] = *c;
        if (*c == '%')
            template[at++] = '%';
    }
    snprintf(template + at, TEMPLATE_MAX - at, "%s", rest);
    return 0;
}

/* The streams of a protocol. exact: the one file's name is the prefix. */
static int extract_streams(struct front *f, bool tcp, const char *prefix, bool exact, bool last)
{
    static char text[WS_OPT_LIST_MAX][RANGE_MAX];
    const struct pcap_flow_args *a = f->a;
    static const struct ws_opt_list all = {.item = {"0-65535"}, .n = 1};
    char dir[TEMPLATE_MAX], template[TEMPLATE_MAX], rest[64];
    struct options o = f->base;
    bool headers = tcp ? a->tcp_header >= 0 : a->udp_header;

    bool device = !a->five_tuple && prefix != a->out;
    snprintf(rest, sizeof(rest), "%s%s%s", exact ? "" : NAME_FLOW,
             device && !exact ? NAME_DEVICE : "", a->output_pcap && !exact ? ".pcap" : "");
    int code = plan_names(prefix, rest, dir, template);
    if (!code)
        code = add_ranges(&o.port,
                          (tcp ? a->tcp_all : a->udp_all) ? &all
                          : tcp                           ? &a->extract_tcp_port
                                                          : &a->extract_udp_port,
                          tcp ? "tcp," : "udp,", text);
    if (!code)
        code = plan_exclusions(&o, a);
    if (code)
        return code;
    bool to_stdout = exact && strcmp(prefix, "-") == 0;
    o.out = to_stdout ? "-" : dir;
    o.template = to_stdout ? NULL : template;
    o.udp = !tcp;
    o.no_tcp = !tcp;
    o.size_min = a->size_min;
    o.udp_header = headers;
    o.empty_records = o.udp_header && tcp && a->tcp_header == 1; /* as that version writes them */
    o.separate = true;
    o.format = a->output_pcap                         ? FORMAT_PCAP
               : headers && tcp && a->tcp_header == 1 ? FORMAT_HEADERS32
               : headers                              ? FORMAT_HEADERS
                                                      : FORMAT_RAW;
    o.gaps_file = a->gaps_file || (headers && tcp);
    if (exact)
        o.workers = 1; /* which asks for no addresses in names */
    fprintf(stderr, "writing %s to [%s%s]\n", tcp ? "TCP streams" : "UDP streams", prefix,
            exact ? "" : "_*");
    return run_output(f, &o, CMD_STREAMS, tcp ? &f->tcp : NULL, last);
}

static int no_output(const char *what)
{
    fprintf(stderr, "wirespool pcap_flow: %s needs an output: give -o PATH\n", what);
    return 2;
}

/* The runs in their order. */
static int run_all(struct front *f)
{
    const struct pcap_flow_args *a = f->a;
    bool pcap = a->extract.n || a->extract_ip.n || a->extract_port.n;
    bool tcp = a->extract_tcp.n || a->extract_tcp_port.n || a->tcp_all;
    bool udp = a->extract_udp_port.n || a->udp_all;
    bool ids =
        a->extract.n || a->extract_tcp.n || (tcp && a->tcp_header >= 0) || (udp && a->udp_header);
    const char *dflt = a->from_stdin ? "stdin" : NULL; /* as pcap_flow names them */
    const char *pcap_path = a->out ? a->out : a->out_tcp ? a->out_tcp : a->out_udp;
    const char *tcp_prefix = a->out_tcp ? a->out_tcp : a->out ? a->out : dflt;
    const char *udp_prefix = a->out_udp   ? a->out_udp
                             : a->out     ? a->out
                             : a->out_tcp ? a->out_tcp
                                          : dflt;
    bool exact = tcp_prefix && tcp_prefix == a->out && a->extract_tcp.n == 1 &&
                 !a->extract_tcp_port.n && !a->tcp_all;
    char beside[TEMPLATE_MAX];
    int code = 0;

    if (pcap && !pcap_path)
        return no_output(a->extract.n      ? "--extract"
                         : a->extract_ip.n ? "--extract-ip"
                                           : "--extract-port");
    if (tcp && !tcp_prefix)
        return no_output("--extract-tcp");
    if (udp && !udp_prefix)
        return no_output("--extract-udp");
    if (exact && pcap) { /* the name is the packets' */
        if (snprintf(beside, sizeof(beside), "%s.tcp", a->out) >= (int)sizeof(beside))
            return usage("the name of the output is too long");
        tcp_prefix = beside;
    }
    bool to_stdout = (pcap && strcmp(pcap_path, "-") == 0) || (exact && strcmp(tcp_prefix, "-") == 0);
    if (to_stdout && pcap && tcp && (exact || strcmp(tcp_prefix, "-") == 0))
        return usage("packets or a stream to standard output, not both");
    f->no_display = a->no_display || to_stdout;
    if (!to_stdout)
        print_sizes(a);
    if ((unsigned)pcap + tcp + udp + ids > 1) {
        if ((code = spool_stdin(&f->base, f->spool, sizeof(f->spool))))
            return code;
        struct passwd *pw = f->spool[0] && f->base.user ? getpwnam(f->base.user) : NULL;
        if (pw && chown(f->spool, pw->pw_uid, pw->pw_gid) < 0)
            ws_log(WS_LOG_DEBUG, "copy of standard input: %s", strerror(errno));
    }
    if (ids && (code = number_flows(f)))
        return code;
    if (pcap)
        code = extract_packets(f, pcap_path, !tcp && !udp);
    int rc = 0;
    if (tcp && code < 2)
        rc = extract_streams(f, true, tcp_prefix, exact, !udp);
    code = WS_MAX(code, rc);
    if (udp && code < 2)
        rc = extract_streams(f, false, udp_prefix, false, true);
    code = WS_MAX(code, rc);
    if (!pcap && !tcp && !udp)
        code = run_output(f, &f->base, CMD_FLOWS, NULL, true);
    return code;
}

int compat_pcap_flow(int argc, char **argv)
{
    struct pcap_flow_args *a = malloc(sizeof(*a));
    struct front *f = calloc(1, sizeof(*f));
    char **heap = NULL;
    int code = 3;
    if (!a || !f) {
        fprintf(stderr, "wirespool pcap_flow: out of memory\n");
    } else if ((code = pcap_flow_args_parse(a, argc, argv, &heap)) == 0) {
        f->a = a;
        if (a->help) {
            printf("usage: wirespool pcap_flow FILE... [options]\n\nshow the flows of captures; "
                   "extract packets and streams\n");
            ws_opts_help(stdout, compat_pcap_flow_table, 1);
            printf("\n%s", manual_exit_codes);
        } else if (a->version) {
            printf("wirespool %s, as pcap_flow\n", WS_VERSION);
        } else {
            ws_log_level = a->verbose ? WS_LOG_DEBUG : WS_LOG_WARN;
            if ((code = plan_base(f)) == 0)
                code = run_all(f);
            first_pass_free(&f->pcap);
        }
    }
    pcap_flow_args_free(heap);
    free(f);
    free(a);
    return code;
}
