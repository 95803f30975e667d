/* SPDX-License-Identifier: BSD-3-Clause */
/* Outputs of a run. */
#include "app/outputs.h"

#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "app/archive.h"
#include "app/console.h"
#include "app/plan.h"
#include "app/post.h"
#include "app/run.h"
#include "format/name.h"
#include "sink/losses.h"
#include "sink/stream.h"

void outputs_iface(struct ws_pcapng_iface *out, const struct ws_source_iface *in)
{
    memset(out, 0, sizeof(*out));
    out->link_type = in->link_type;
    out->tsresol = 9;
    out->snaplen = in->snaplen;
    snprintf(out->name, sizeof(out->name), "%s", in->name);
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static const char *pcap_path(const struct run *r)
{
    return r->cmd == CMD_EXTRACT ? r->o->out : r->cmd & CMD_LIVE ? r->o->pcap : NULL;
}

static const char *streams_path(const struct run *r)
{
    return r->cmd == CMD_STREAMS ? r->o->out : r->cmd & CMD_LIVE ? r->o->streams : NULL;
}

/* Whether all streams go to standard output. */
bool outputs_streams_merged(const struct run *r)
{
    const char *path = streams_path(r);
    return path && strcmp(path, "-") == 0;
}

/* Whether the template's own text makes every name one that the writer refuses. */
static bool leads_out(const char *template)
{
    for (const char *c = template;;) {
        size_t n = strcspn(c, "/");
        if ((n == 0 && (c == template || !c[n])) || (n == 1 && c[0] == '.') ||
            (n == 2 && c[0] == '.' && c[1] == '.'))
            return true;
        if (!c[n])
            return false;
        c += n + 1;
    }
}

/* The template is tried before anything is opened: a bad one is a matter of usage. */
static int check_template(const struct run *r)
{
    struct ws_name name;
    const struct ws_name_options opt = {.colon = r->o->no_colon ? '_' : 0};
    char err[256];
    if (!r->o->template)
        return 0;
    if (ws_name_compile(&name, r->o->template, &opt, err, sizeof(err)) < 0) {
        fprintf(stderr, "wirespool %s: --template: %s\n", r->name, err);
        return 2;
    }
    if (leads_out(r->o->template)) {
        fprintf(stderr,
                "wirespool %s: --template %s: names are relative, without . and .., and do not end in /\n",
                r->name, r->o->template);
        return 2;
    }
    if (r->ec.workers > 1 && !name.complete) {
        fprintf(stderr,
                "wirespool %s: --template %s: without both addresses and both ports (%%A %%a %%B %%b), names "
                "of two workers could clash; use --workers 1\n",
                r->name, r->o->template);
        return 2;
    }
    return 0;
}

static int usage(const struct run *r, const char *path, const char *text)
{
    fprintf(stderr, "wirespool %s: %s%s%s\n", r->name, path, *path ? ": " : "", text);
    return 2;
}

/* Streams on standard output: a format that shows whose bytes they are, or the bytes alone. */
static int check_merged_streams(const struct run *r)
{
    const struct options *o = r->o;
    if (o->format != FORMAT_RAW && o->format != FORMAT_CHUNKS && o->format != FORMAT_JSON)
        return usage(r, "-", "only --format raw, chunks and json go to standard output");
    if (o->json)
        return usage(r, "-", "--json has a line for each file: it goes with a directory");
    if (o->metadata >= 0 && !o->metadata_dir)
        return usage(r, "--metadata", "give --metadata-dir DIR, since streams go to standard output");
    return 0;
}

/* The same of files in arrival order and what lies beside files. */
static int check_arrival(const struct run *r)
{
    const struct options *o = r->o;
    bool plain = o->joined || o->gaps == 2 || outputs_streams_merged(r);
    if ((o->findx || o->findx_ns) && (o->format != FORMAT_RAW || plain))
        return usage(r, "--findx", "is for --format raw, a file a direction");
    if (o->strip && (o->format != FORMAT_RAW || plain))
        return usage(r, "--strip", "is for --format raw, a file a direction");
    if (o->stream_max != WS_UNSET && o->format == FORMAT_PCAP)
        return usage(r, "--stream-max", "is for streams, not packets");
    if (o->empty_records && o->format != FORMAT_HEADERS && o->format != FORMAT_HEADERS32)
        return usage(r, "--empty-records", "is for --format headers or headers32");
    if (o->order == ORDER_ARRIVAL && (o->per_tuple || o->size_min || o->udp_header))
        return usage(r, "--order arrival",
                     o->per_tuple ? "writes each connection to a file of its own: not with --per-tuple"
                     : o->size_min ? "knows no sizes before the end: not with --size-min"
                                   : "is about TCP: not with --udp-header");
    if (o->split_gap != WS_UNSET && o->order != ORDER_ARRIVAL)
        return usage(r, "--split-gap", "is for --order arrival");
    if (o->order != ORDER_ARRIVAL)
        return 0;
    if (o->format != FORMAT_RAW || plain)
        return usage(r, "--order arrival", "is for --format raw, a file a direction");
    if (o->gaps >= 0 || o->gaps_file)
        return usage(r, "--order arrival", "knows no gaps: what does not come is a hole");
    return 0;
}

/* What the options of stream files need of each other. */
static int check_stream_options(const struct run *r, const char *streams)
{
    const struct options *o = r->o;
    bool text = o->gaps == 2 || o->joined || outputs_streams_merged(r);
    if (o->format == FORMAT_ARCHIVE)
        return archive_check_output(r, streams);
    if (o->rotate_size && r->cmd == CMD_STREAMS)
        return usage(r, "--rotate-size", "is for --format archive");
    if (o->joined && o->separate)
        return usage(r, "--joined", "and --separate are opposites");
    if (o->joined && o->format != FORMAT_RAW)
        return usage(r, "--joined", "is for --format raw; chunks and json are so anyway");
    if (o->gaps == 2 && o->format != FORMAT_RAW)
        return usage(r, "--gaps text", "is for --format raw; chunks and json tell gaps anyway");
    if (text && o->gaps_file)
        return usage(r, "--gaps-file", "is for files of one direction without text in them");
    if (o->metadata_dir && (!outputs_streams_merged(r) || o->metadata < 0))
        return usage(r, "--metadata-dir", "is for --metadata with streams on standard output");
    if (check_arrival(r))
        return 2;
    return strcmp(streams, "-") == 0 ? check_merged_streams(r) : 0;
}

/* Two outputs of one name would overwrite each other; a device takes both. */
static int check_shared(const struct run *r, const char *pcap, const char *flows)
{
    const struct options *o = r->o;
    const char *stats = o->stats_json && strcmp(o->stats_json, "-") != 0 ? o->stats_json : NULL;
    const char *lines = o->stats_interval_json && strcmp(o->stats_interval_json, "-") != 0 ? o->stats_interval_json : NULL;
    const char *const path[] = {pcap, flows, o->rest, o->report, o->chart, stats, lines};
    struct stat st;
    for (size_t i = 0; i < WS_ARRAY_SIZE(path); i++)
        for (size_t k = 0; k < i; k++) {
            if (!path[i] || !path[k] || strcmp(path[i], path[k]) != 0)
                continue;
            if (strcmp(path[i], "-") == 0)
                return usage(r, path[i], "two outputs cannot share standard output");
            if (stat(path[i], &st) != 0 || S_ISREG(st.st_mode))
                return usage(r, path[i], "two outputs cannot share a file");
        }
    return 0;
}

/* Names of outputs that cannot be meant. */
static int check_paths(const struct run *r, const char *pcap, const char *streams, const char *flows)
{
    static const char *const packed[] = {".gz", ".zst", ".xz", ".bz2"};
    const char *const path[] = {pcap, streams, flows};
    for (size_t i = 0; i < WS_ARRAY_SIZE(path); i++)
        if (path[i] && !*path[i])
            return usage(r, "", "an output needs a name");
    for (size_t i = 0; pcap && i < WS_ARRAY_SIZE(packed); i++)
        if (has_suffix(pcap, packed[i]))
            return usage(r, pcap, "packets are not written compressed");
    if (pcap && pcap[strlen(pcap) - 1] == '/')
        return usage(r, pcap, "packets go to a file");
    if (streams && strcmp(streams, "-") == 0 && ((pcap && strcmp(pcap, "-") == 0) || (flows && strcmp(flows, "-") == 0)))
        return usage(r, streams, "two outputs cannot share standard output");
    return check_shared(r, pcap, flows);
}

/* Whether `streams` is asked for something besides streams, so that no directory for them need be given. */
static bool other_output(const struct run *r)
{
    const struct options *o = r->o;
    return r->cmd == CMD_STREAMS && (o->rest || o->report || o->chart);
}

/* Writers when no number was given. Making and writing small files takes several times as long as reading them, so that a
 * second thread pays as soon as there is a CPU for it. Faults are injected by a writer's own count. */
static unsigned writers_default(const struct run *r)
{
    cpu_set_t cpus;
    bool alone = r->cmd == CMD_STREAMS && r->out.n_output == 1 && !getenv("WS_FAULT");
    return alone && sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 1 ? 2 : 1;
}

/* Decides the number of writers. Those that are left over share the streams' tree; not where one thread must see all of
 * it: for names that count on from files that are there, for what is done with finished files, and for archives. */
static void count_writers(struct run *r, const char *streams)
{
    struct outputs *o = &r->out;
    bool shared = streams && !outputs_streams_merged(r) && r->o->format != FORMAT_ARCHIVE && !r->o->number_existing &&
                  !post_wanted(r);
    uint64_t writers = r->o->writers == WS_UNSET ? writers_default(r) : r->o->writers;
    o->stream_parts = 1;
    if (shared && writers > o->n_output)
        o->stream_parts = (unsigned)WS_MIN(writers - o->n_output + 1, (uint64_t)WS_CHANNEL_PARTS_MAX);
    o->n_output += o->stream_parts - 1;
    o->n_writer = o->n_output ? (unsigned)WS_MIN(writers, (uint64_t)o->n_output) : 0;
}

int outputs_count(struct run *r)
{
    struct outputs *o = &r->out;
    const char *pcap = pcap_path(r), *streams = streams_path(r);
    const char *flows = r->cmd & CMD_LIVE ? r->o->flows_out : NULL;

    if ((r->cmd & (CMD_EXTRACT | CMD_STREAMS)) && !r->o->out && !console_only(r->o, r->cmd) && !other_output(r)) {
        fprintf(stderr, "wirespool %s: give -o %s\n", r->name,
                r->cmd == CMD_EXTRACT ? "FILE" : "DIR");
        return 2;
    }
    if (check_paths(r, pcap, streams, flows))
        return 2;
    int code = post_check(r);
    if (code)
        return code;
    if (pcap) {
        o->pcapng = has_suffix(pcap, ".pcapng") || has_suffix(pcap, ".ntar");
        /* A pcapng input that describes no interface: a classic file's header needs some link type. */
        if (!o->pcapng && r->n_iface == 0)
            r->iface[r->n_iface++] = (struct ws_pcapng_iface){.link_type = 1, .tsresol = 9};
        o->n_output++;
        /* Several receive stages have no common order of packets: a shard each. */
        o->pcap_rotates = r->o->rotate_size || r->o->rotate_time || ws_engine_receive_stages(&r->ec) > 1;
        if (o->pcap_rotates && strcmp(pcap, "-") == 0) {
            fprintf(stderr, "wirespool %s: --pcap -: standard output cannot rotate or be sharded\n",
                    r->name);
            return 2;
        }
    }
    if (streams && (check_template(r) || check_stream_options(r, streams)))
        return 2;
    code = chart_check(r);
    if (code)
        return code;
    code = console_count(r);
    if (code)
        return code;
    o->n_output += r->o->metadata_dir != NULL;
    o->n_output += streams != NULL;
    if (r->o->rest) {
        if (!*r->o->rest || (pcap && strcmp(r->o->rest, pcap) == 0) || has_suffix(r->o->rest, ".pcapng"))
            return usage(r, r->o->rest, "--rest needs a pcap file of its own");
        o->n_output++;
    }
    o->n_output += flows != NULL;
    count_writers(r, streams);
    return 0;
}

/* On the node of the worker that fills them. */
static void *alloc_block(void *user, unsigned channel, size_t bytes)
{
    const struct run *r = user;
    return ws_runtime_alloc(r->ec.runtime, bytes, ws_engine_node(&r->ec, channel));
}

bool outputs_may_wait(const struct run *r)
{
    for (unsigned i = 0; i < r->ec.n_source; i++)
        if (!r->ec.source[i].source->can_wait)
            return false;
    return true;
}

static void common_config(const struct run *r, struct ws_output_config *oc)
{
    oc->exists = r->o->overwrite ? WS_EXISTS_TRUNCATE : WS_EXISTS_REFUSE;
    oc->channels = r->ec.workers;
    oc->blocks = (unsigned)WS_MIN(r->o->blocks, UINT64_C(1) << 20);
    oc->block_bytes = (uint32_t)WS_MIN(r->o->block_bytes, UINT64_C(1) << 30);
    /* Files and net_pcap can wait for a slow disk, NICs cannot. */
    oc->may_wait = outputs_may_wait(r);
    oc->flush_ns = r->o->flush ? r->o->flush : r->cmd == CMD_CAPTURE ? 100000000 : 1000000000;
}

static int add_output(struct run *r, const struct ws_output_config *oc, struct ws_output **out)
{
    char err[512];
    static unsigned next; /* outputs are dealt round the writers */
    struct ws_writer *w = r->out.writer[next++ % r->out.n_writer];
    int rc = ws_writer_add_output(w, oc, alloc_block, r, out, err, sizeof(err));
    if (rc < 0) {
        fprintf(stderr, "wirespool: %s%s\n", err, rc == -EEXIST ? " (--overwrite replaces it)" : "");
        return rc == -EINVAL ? 2 : 3; /* block sizes and the like are a matter of usage */
    }
    return 0;
}

/* Packets of a live device stream to the disk and are not read soon: the page cache would cost a copy and memory. */
static bool wants_direct(const struct run *r, const struct ws_output_config *oc)
{
    return r->o->direct == 0 ? r->ec.live && r->cmd == CMD_CAPTURE && !oc->may_wait : r->o->direct == 1;
}

/* Whether a path that is or will be made lies on tmpfs. */
static bool on_tmpfs(const char *path)
{
    char dir[WS_PATH_MAX];
    struct statfs fs;
    if (statfs(path, &fs) < 0) {
        const char *slash = strrchr(path, '/');
        snprintf(dir, sizeof(dir), "%.*s", slash > path ? (int)(slash - path) : 1,
                 slash ? path : ".");
        if (statfs(dir, &fs) < 0)
            return false;
    }
    return fs.f_type == TMPFS_MAGIC;
}

/* Why --direct on has no effect; NULL: it has one. */
static const char *direct_in_vain(const struct run *r, const char *pcap)
{
    if (!pcap)
        return "it is about --pcap, which is not given";
    if (strcmp(pcap, "-") == 0)
        return "standard output is written as it is";
    if (!r->out.pcap_rotates && (r->ec.receivers || r->ec.workers > 1))
        return "several workers write one file, which goes through the page cache; with --rotate-size each has its own";
    return on_tmpfs(pcap) ? "the file system is in memory" : NULL;
}

int outputs_add(struct run *r, struct ws_output_config *oc, struct ws_output **out)
{
    common_config(r, oc);
    return add_output(r, oc, out);
}

/* Where packets were lost before they came to the packet sink of a worker: its own thread, and for worker 0 also the
 * receivers, which lose for all. */
static const struct ws_counters *lost_before(void *user, unsigned i)
{
    const struct ws_losses *l = user;
    const struct run *r = l->run;
    if (i == 0)
        return ws_engine_thread_counters(r->engine, l->worker);
    return l->worker == 0 && i - 1 < r->ec.receivers ? ws_engine_thread_counters(r->engine, r->ec.workers + i - 1) : NULL;
}

static int prepare_losses(struct run *r)
{
    if (!r->out.pcapng || !(r->cmd & CMD_LIVE))
        return 0;
    r->out.losses = calloc(r->ec.workers, sizeof(*r->out.losses));
    if (!r->out.losses) {
        fprintf(stderr, "wirespool: out of memory\n");
        return 3;
    }
    for (unsigned w = 0; w < r->ec.workers; w++)
        r->out.losses[w] = (struct ws_losses){.n_iface = r->n_iface, .before = lost_before, .run = r, .worker = w};
    return 0;
}

/* What we lost of an interface, and what is in files, of all workers. With several interfaces it is not known of which one
 * the packets were that did not come as far as a sink. */
static void add_losses(const struct run *r, unsigned iface, struct ws_pcapng_stats *st)
{
    if (!r->out.losses)
        return;
    st->os_dropped = st->delivered = 0;
    for (unsigned w = 0; w < r->ec.workers; w++) {
        st->os_dropped += atomic_load_explicit(&r->out.losses[w].shed[iface], memory_order_relaxed);
        st->delivered += atomic_load_explicit(&r->out.losses[w].written[iface], memory_order_relaxed);
    }
    for (unsigned t = 0; r->n_iface == 1 && t < r->ec.workers + r->ec.receivers; t++)
        st->os_dropped += ws_losses_ours(ws_engine_thread_counters(r->engine, t));
}

/* Interface statistics at the end of a pcapng file: what a file itself can tell of loss. */
size_t outputs_pcapng_trailer(void *user, uint8_t *buf, size_t max)
{
    struct run *r = user;
    size_t len = 0;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    for (unsigned i = 0; i < r->n_iface; i++) {
        struct ws_source *s = r->iface_source[i].source;
        unsigned n;
        const struct ws_source_iface *f = s->ops->ifaces(s, &n) + r->iface_source[i].index;
        struct ws_pcapng_stats st = {
            .iface = i,
            .ticks = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec,
            .start_ticks = WS_PCAPNG_UNKNOWN,
            .end_ticks = WS_PCAPNG_UNKNOWN,
            /* the thread that polls the interface counts on meanwhile */
            .received = __atomic_load_n(&f->received, __ATOMIC_RELAXED),
            .dropped = __atomic_load_n(&f->dropped, __ATOMIC_RELAXED),
            .os_dropped = WS_PCAPNG_UNKNOWN,
            .delivered = WS_PCAPNG_UNKNOWN,
        };
        add_losses(r, i, &st);
        if ((r->out.losses || st.received != UINT64_MAX || st.dropped != UINT64_MAX) && max - len >= WS_PCAPNG_STATS_MAX)
            len += ws_pcapng_stats_encode(buf + len, max - len, &st);
    }
    return len;
}

struct ws_frame_format outputs_frame_format(const struct run *r)
{
    /* No source gives packets longer than libpcap's limit: cutting at more is cutting nothing. */
    uint64_t snaplen = r->o->snaplen > 262144 ? 0 : r->o->snaplen;
    return (struct ws_frame_format){
        .pcapng = r->out.pcapng, .us = r->o->us || (r->o->us_as_input && r->us_input), .snaplen = (uint32_t)snaplen};
}

static int prepare_merged_pcap(struct run *r, const char *path)
{
    struct ws_output_config oc = {
        .kind = WS_OUTPUT_MERGED, .path = path, .commit = strcmp(path, "-") != 0, .user = r};
    const struct ws_frame_format fmt = outputs_frame_format(r);
    size_t room = ws_frame_header_room(DEVICES_MAX);
    uint8_t *head = malloc(room);
    if (!head) {
        fprintf(stderr, "wirespool: %s: out of memory\n", path);
        return 3;
    }
    common_config(r, &oc);
    oc.direct = wants_direct(r, &oc) && !r->ec.receivers && oc.channels == 1;
    /* The reader's own channel describes interfaces that turn up while reading. */
    if (r->out.pcapng && r->ec.receivers)
        oc.channels++;
    oc.header_len = ws_frame_header(head, room, &fmt, r->iface, r->n_iface);
    oc.header = head;
    if (r->out.pcapng && (r->cmd & CMD_LIVE))
        oc.trailer = outputs_pcapng_trailer;
    int code = add_output(r, &oc, &r->out.pcap);
    free(head);
    return code;
}

/* PATH "dir/name.pcap" becomes shards in dir that begin with name. */
static int prepare_rotating_pcap(struct run *r, const char *path)
{
    struct ws_output_config oc = {.kind = WS_OUTPUT_TREE, .path = r->out.pcap_dir};
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    size_t dir_len = slash ? (size_t)(slash - path) : 0;
    size_t stem_len = dot && dot > base ? (size_t)(dot - base) : strlen(base);

    if (dir_len >= sizeof(r->out.pcap_dir) || stem_len >= sizeof(r->out.pcap_stem)) {
        fprintf(stderr, "wirespool: %s: name too long\n", path);
        return 3;
    }
    snprintf(r->out.pcap_dir, sizeof(r->out.pcap_dir), "%.*s", slash ? (int)dir_len : 1,
             slash ? path : ".");
    if (slash == path)
        snprintf(r->out.pcap_dir, sizeof(r->out.pcap_dir), "/");
    snprintf(r->out.pcap_stem, sizeof(r->out.pcap_stem), "%.*s", (int)stem_len, base);
    common_config(r, &oc);
    oc.direct = wants_direct(r, &oc);
    return add_output(r, &oc, &r->out.pcap);
}

static int prepare_streams(struct run *r, const char *path)
{
    struct ws_output_config oc = {.kind = WS_OUTPUT_TREE, .path = path};
    struct stat st;
    if (outputs_streams_merged(r)) {
        oc.kind = WS_OUTPUT_MERGED;
        oc.not_packets = true;
        common_config(r, &oc);
        int code = add_output(r, &oc, &r->out.streams);
        if (code || !r->o->metadata_dir)
            return code;
        oc = (struct ws_output_config){.kind = WS_OUTPUT_TREE, .path = path = r->o->metadata_dir};
    }
    int cleared = r->o->format == FORMAT_ARCHIVE ? archive_clear(r, path) : 0;
    if (cleared)
        return cleared;
    r->out.dir = path;
    r->out.dir_is_new = stat(path, &st) < 0;
    post_listen(r, &oc);
    common_config(r, &oc);
    if (r->o->number_existing)
        oc.exists = WS_EXISTS_COUNT;
    if (r->out.stream_parts > 1 && oc.blocks) /* they share the quota */
        oc.blocks = WS_MAX(oc.blocks / r->out.stream_parts, 2u);
    int code = add_output(r, &oc, outputs_streams_merged(r) ? &r->out.metadata : &r->out.streams);
    for (unsigned i = 1; i < r->out.stream_parts && !code; i++) {
        struct ws_output *part;
        if ((code = add_output(r, &oc, &part)))
            break;
        for (unsigned w = 0; w < oc.channels; w++)
            ws_channel_join(ws_output_channel(r->out.streams, w), ws_output_channel(part, w));
    }
    return code;
}

struct ws_frame_format outputs_rest_format(const struct run *r)
{
    struct ws_frame_format fmt = outputs_frame_format(r);
    fmt.pcapng = false;
    return fmt;
}

/* A pcapng input that describes no interface yet: a header needs some link type. */
const struct ws_pcapng_iface *outputs_rest_iface(const struct run *r)
{
    static const struct ws_pcapng_iface ethernet = {.link_type = 1, .tsresol = 9};
    return r->n_iface ? r->iface : &ethernet;
}

static int prepare_rest(struct run *r, const char *path)
{
    /* Another user may not be allowed to rename where the file could be opened. */
    bool commit = strcmp(path, "-") != 0 && !r->o->user;
    struct ws_output_config oc = {
        .kind = WS_OUTPUT_MERGED, .path = path, .commit = commit, .user = r};
    const struct ws_frame_format fmt = outputs_rest_format(r);
    uint8_t head[64];
    common_config(r, &oc);
    oc.header_len = ws_frame_header(head, sizeof(head), &fmt, outputs_rest_iface(r), 1);
    oc.header = head;
    return add_output(r, &oc, &r->out.rest);
}

static int prepare_flows(struct run *r, const char *path)
{
    struct ws_output_config oc = {
        .kind = WS_OUTPUT_MERGED, .path = path, .commit = false, .not_packets = true};
    common_config(r, &oc);
    return add_output(r, &oc, &r->out.flows);
}

/* Writing to tmpfs waits for nothing, so that handing the copies to the kernel's io_uring threads only costs: measured
 * 8 % of a run that writes 8,000 streams. */
static bool io_uring_gains(const struct run *r)
{
    const char *path[] = {pcap_path(r), streams_path(r)};
    bool all = true;
    for (size_t i = 0; i < WS_ARRAY_SIZE(path); i++)
        all = all && (!path[i] || on_tmpfs(path[i]));
    return !all;
}

int outputs_prepare(struct run *r)
{
    struct ws_writer_config wc;
    const char *pcap = pcap_path(r), *streams = streams_path(r);
    const char *in_vain = r->o->direct == 1 ? direct_in_vain(r, pcap) : NULL;
    int code = plan_writer(&wc, r->o);
    if (code)
        return code;
    if (in_vain)
        fprintf(stderr, "wirespool %s: --direct on has no effect: %s\n", r->name, in_vain);
    if (wc.backend == WS_BACKEND_AUTO && r->out.n_writer && !io_uring_gains(r))
        wc.backend = WS_BACKEND_PLAIN;
    wc.group = &r->out.group;
    for (unsigned i = 0; i < r->out.n_writer; i++) {
        int rc = ws_writer_create(&r->out.writer[i], &wc);
        if (rc < 0) {
            fprintf(stderr, "wirespool: writer: %s\n", strerror(-rc));
            return 3;
        }
    }
    if ((code = prepare_losses(r)))
        return code;
    if (pcap && (code = r->out.pcap_rotates ? prepare_rotating_pcap(r, pcap)
                                            : prepare_merged_pcap(r, pcap)))
        return code;
    if (streams && (code = prepare_streams(r, streams)))
        return code;
    if (r->o->rest && (code = prepare_rest(r, r->o->rest)))
        return code;
    if ((r->cmd & CMD_LIVE) && r->o->flows_out && (code = prepare_flows(r, r->o->flows_out)))
        return code;
    if ((code = chart_open(r)))
        return code;
    return console_prepare(r);
}

void outputs_chown(struct outputs *o, uid_t uid, gid_t gid)
{
    if (o->dir && o->dir_is_new && chown(o->dir, uid, gid) < 0)
        fprintf(stderr, "wirespool: %s: %s\n", o->dir, strerror(errno));
    chart_chown(&o->chart, uid, gid);
    struct ws_output *const opened[] = {o->pcap_rotates ? NULL : o->pcap, o->flows, o->rest,
                                         o->console};
    for (size_t i = 0; i < WS_ARRAY_SIZE(opened); i++) {
        int rc = opened[i] ? ws_output_chown(opened[i], uid, gid) : 0;
        if (rc < 0)
            fprintf(stderr, "wirespool: -U: cannot give an output to that user: %s\n", strerror(-rc));
    }
}

bool outputs_all_failed(const struct outputs *o)
{
    unsigned suspended = 0;
    for (unsigned i = 0; i < o->n_writer; i++)
        suspended += ws_writer_suspended(o->writer[i]);
    return o->n_output && suspended >= o->n_output;
}

void outputs_fini(struct outputs *o)
{
    chart_fini(&o->chart);
    for (unsigned i = 0; i < o->n_writer; i++)
        if (o->writer[i])
            ws_writer_destroy(o->writer[i]);
    free(o->losses);
    for (unsigned w = 0; w < WS_WORKERS_MAX; w++)
        stream_report_fini(&o->report[w]);
}
