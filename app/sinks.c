/* SPDX-License-Identifier: BSD-3-Clause */
/* The sinks of each worker, of what the options say. */
#include <errno.h>
#include <stdio.h>

#include "app/console.h"
#include "app/outputs.h"
#include "app/post.h"
#include "app/run.h"
#include "app/ssids.h"
#include "filter/select.h"
#include "sink/archive.h"
#include "sink/pcap.h"
#include "sink/stream.h"

/* Interfaces that turned up while reading, for the packet sink. */
static bool describe_iface(void *user, unsigned index, struct ws_pcapng_iface *out)
{
    struct run *r = user;
    unsigned n;
    const struct ws_source_iface *t = r->describer->ops->ifaces(r->describer, &n);
    if (index >= n)
        return false;
    outputs_iface(out, &t[index]);
    return true;
}

static void announce(void *user, const struct ws_packet *pkt, unsigned n)
{
    struct run *r = user;
    ws_sink_pcap_announce(r->out.announce_to, pkt, n);
}

static int make_pcap_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    bool growing = r->out.pcapng && r->describer;
    struct ws_sink_pcap_config pc = {
        .channel = ws_output_channel(r->out.pcap, worker),
        .format = outputs_frame_format(r),
        .role = r->ec.receivers ? WS_SINK_PCAP_PACKETS : WS_SINK_PCAP_ALONE,
        .losses = r->out.losses ? &r->out.losses[worker] : NULL,
        .announcer = r->ec.announcer,
        .iface = r->iface,
        .n_iface = r->n_iface,
        .describe = growing ? describe_iface : NULL,
        .user = r,
    };
    int rc = ws_sink_pcap_create(s, &pc);
    if (rc < 0 || !growing)
        return rc;
    if (pc.role == WS_SINK_PCAP_ALONE)
        r->out.announce_to = *s;
    return 0;
}

/* The reader's sink on the output's last channel; made once, before the engine. */
int outputs_make_announcer(struct run *r)
{
    if (!r->out.pcap || r->out.pcap_rotates || !r->out.pcapng)
        return 0;
    if (!r->ec.receivers) {
        /* the only worker's own sink hears them, once make_pcap_sink() has made it */
        if (r->describer)
            r->ec.announce = announce;
        return 0;
    }
    struct ws_sink_pcap_config pc = {
        .channel = ws_output_channel(r->out.pcap, r->ec.workers),
        .format = outputs_frame_format(r),
        .role = WS_SINK_PCAP_ANNOUNCER,
        .iface = r->iface,
        .n_iface = r->n_iface,
        .describe = r->describer ? describe_iface : NULL,
        .user = r,
    };
    int rc = ws_sink_pcap_create(&r->ec.announcer, &pc);
    if (rc < 0) {
        fprintf(stderr, "wirespool: packet output: %s\n", strerror(-rc));
        return 3;
    }
    r->out.announce_to = r->ec.announcer;
    r->ec.announce = announce;
    return 0;
}

static int make_rotate_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    struct ws_sink_rotate_config rc = {
        .channel = ws_output_channel(r->out.pcap, worker),
        .format = outputs_frame_format(r),
        .stem = r->out.pcap_stem,
        .worker = worker,
        .workers = r->ec.workers,
        .iface = r->iface,
        .n_iface = r->n_iface,
        .size_max = r->o->rotate_size,
        .time_ns = r->o->rotate_time,
        .losses = r->out.losses ? &r->out.losses[worker] : NULL,
        .trailer = r->out.pcapng ? outputs_pcapng_trailer : NULL,
        .trailer_max = r->n_iface * WS_PCAPNG_STATS_MAX,
        .user = r,
    };
    return ws_sink_rotate_create(s, &rc);
}

static enum ws_stream_format stream_format(const struct run *r)
{
    static const enum ws_stream_format formats[] = {
        [FORMAT_RAW] = WS_STREAM_RAW,           [FORMAT_HEADERS] = WS_STREAM_HEADERS12,
        [FORMAT_HEADERS32] = WS_STREAM_HEADERS32, [FORMAT_CHUNKS] = WS_STREAM_CHUNKS,
        [FORMAT_JSON] = WS_STREAM_JSON,         [FORMAT_PCAP] = WS_STREAM_PCAP,
        [FORMAT_ARCHIVE] = WS_STREAM_NONE,
    };
    bool plain = r->o->joined || r->o->gaps == 2 || outputs_streams_merged(r);
    return r->o->format == FORMAT_RAW && plain ? WS_STREAM_PLAIN : formats[r->o->format];
}

static enum ws_stream_metadata metadata_kind(const struct run *r)
{
    return r->o->metadata < 0   ? WS_STREAM_NO_METADATA
           : r->o->metadata == 0 ? WS_STREAM_METADATA_TEXT
                                 : WS_STREAM_METADATA_JSON;
}

/* A second packet output; it has no interfaces to describe. */
static int make_rest_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    struct ws_sink_pcap_config pc = {
        .channel = ws_output_channel(r->out.rest, worker),
        .format = outputs_rest_format(r),
        .role = r->ec.receivers ? WS_SINK_PCAP_PACKETS : WS_SINK_PCAP_ALONE,
        .rest = true,
        .iface = outputs_rest_iface(r),
        .n_iface = 1,
    };
    return ws_sink_pcap_create(s, &pc);
}

static uint64_t stream_closed(void *user, const struct ws_stream_record *rec)
{
    struct stream_report *rep = user;
    uint64_t serial, tag = post_file(rep->run, (unsigned)(rep - rep->run->out.report), rec, &serial);
    stream_report_closed(rep, rec, serial);
    return tag;
}

/* Large pages: each new name else faults a page in, twice, and interrupts the writer's CPU for it. */
static void *alloc_names(void *user, size_t bytes)
{
    return ws_runtime_alloc(((struct run *)user)->ec.runtime, bytes, -1);
}

/* A live run's only: others wait. */
static uint64_t shed_keep(const struct run *r)
{
    uint64_t keep = r->o->shed_keep == WS_UNSET ? 16384 : WS_MIN(r->o->shed_keep, UINT64_C(1) << 50);
    return outputs_may_wait(r) ? 0 : keep;
}

static int make_stream_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    char err[256];
    struct stream_report *rep = &r->out.report[worker];
    struct ws_frame_format frame = outputs_frame_format(r);
    frame.pcapng = false; /* the names end in .pcap, whatever --pcap writes */
    struct ws_sink_stream_config sc = {
        .channel = ws_output_channel(r->out.streams, worker),
        .format = stream_format(r),
        .name_template = r->o->template,
        .name = {.colon = r->o->no_colon ? '_' : 0},
        .separate = r->o->separate || (r->o->gaps == 2 && !r->o->joined),
        .merged = outputs_streams_merged(r),
        .local_time = r->o->local_time,
        .metadata = outputs_streams_merged(r) ? WS_STREAM_NO_METADATA : metadata_kind(r),
        .json_ns = r->o->json_ns,
        .missing_text = r->o->missing_text,
        .size_min = r->o->size_min,
        .udp_header = r->o->udp_header,
        .empty_records = r->o->empty_records,
        .key_macs = r->o->key_mac,
        .file_flags = r->o->part ? WS_FILE_PART : 0,
        .gaps_skip = r->o->gaps == 1,
        .gaps_holes = r->o->gaps == 0,
        .holes_max = r->o->holes_max,
        .arrival = r->o->order == ORDER_ARRIVAL,
        .split = r->o->split_gap != WS_UNSET,
        .split_gap = r->o->split_gap,
        .cut = r->o->stream_max != WS_UNSET,
        .bytes_max = r->o->stream_max,
        .shed_keep = shed_keep(r),
        .strip = r->o->strip,
        .findx = r->o->findx || r->o->findx_ns,
        .findx_ns = r->o->findx_ns,
        .gaps_file = r->o->gaps_file,
        .number_from_zero = r->o->number_from_zero,
        .frame = frame,
        .pcap_tcp = !r->o->no_tcp,
        .pcap_udp = r->o->udp || r->o->all_ip,
        .pcap_other = r->o->all_ip,
        .gaps_listed = r->out.report_streams ? STREAM_REPORT_GAPS : post_gaps_wanted(r),
        .closed = stream_closed,
        .user = rep,
        .alloc = alloc_names,
        .alloc_user = r,
    };
    rep->run = r;
    if (r->out.report_streams && stream_report_init(rep, r->o->records_max) < 0)
        return -ENOMEM;
    int rc = ws_sink_stream_create(s, &sc, err, sizeof(err));
    if (rc == -EINVAL)
        fprintf(stderr, "wirespool: --template: %s\n", err);
    return rc;
}

/* All streams to an archive: its sink, and behind it the one that tells it of flows that ended. The count, or -errno. */
static int make_archive_sinks(struct run *r, unsigned worker, struct ws_sink **s)
{
    const struct options *o = r->o;
    struct ws_sink_archive_config ac = {
        .channel = ws_output_channel(r->out.streams, worker),
        .worker = worker,
        .workers = r->ec.workers,
        .flags = (o->no_tcp ? 0u : WS_ARCHIVE_TCP) | (o->udp || o->all_ip ? WS_ARCHIVE_UDP : 0u) |
                 (o->all_ip ? WS_ARCHIVE_ALL_IP : 0u) | (o->per_tuple ? WS_ARCHIVE_PER_TUPLE : 0u) |
                 (ws_engine_receive_stages(&r->ec) > 1 ? WS_ARCHIVE_OWN_ORDINALS : 0u),
        .size_max = o->rotate_size,
        .shed_keep = shed_keep(r),
    };
    int rc = ws_sink_archive_create(&s[0], &ac);
    if (rc < 0)
        return rc;
    struct ws_sink_record_told_config tc = {
        .lengths = !o->per_tuple,
        .ip_bytes = true,
        .worker = (r->cmd & CMD_LIVE) != 0,
        .told = ws_sink_archive_flow,
        .user = s[0],
    };
    rc = ws_sink_record_told_create(&s[1], &tc);
    if (rc == 0)
        return 2;
    s[0]->ops->destroy(s[0]);
    return rc;
}

/* Metadata alone, when the streams themselves are no files; names as those would have. */
static int make_metadata_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    char err[256];
    bool text = r->o->format != FORMAT_RAW;
    struct ws_sink_stream_config sc = {
        .channel = ws_output_channel(r->out.metadata, worker),
        .format = WS_STREAM_NONE,
        .name_template = r->o->template ? r->o->template : ws_sink_stream_template(stream_format(r)),
        .name = {.colon = r->o->no_colon || (text && !r->o->template) ? '_' : 0},
        .local_time = r->o->local_time,
        .metadata = metadata_kind(r),
        .file_flags = r->o->part ? WS_FILE_PART : 0,
        .pcap_tcp = !r->o->no_tcp,
        .pcap_udp = r->o->udp || r->o->all_ip,
        .pcap_other = r->o->all_ip,
    };
    return ws_sink_stream_create(s, &sc, err, sizeof(err));
}

void outputs_community_id(const struct ws_flow_record *rec, uint16_t seed, char *buf)
{
    if (rec->icmp)
        ws_community_id_icmp(&rec->key, rec->icmp >> 16 & 1, (uint8_t)(rec->icmp >> 8), (uint8_t)rec->icmp, seed,
                             buf);
    else
        ws_community_id(&rec->key, seed, buf);
}

static int make_flow_lines_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    struct ws_sink_record_live_config lc = {
        .channel = ws_output_channel(r->out.flows, worker),
        .format = WS_RECORD_JSON,
        .lengths = !r->o->per_tuple,
        .ip_bytes = true,
        .selected_only = true,
        .community_id = outputs_community_id,
    };
    return ws_sink_record_live_create(s, &lc);
}

static int make_record_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    struct ws_sink_record_config rc = {
        .records_max = r->o->records_max,
        .lengths = r->out.record_lengths && !r->o->per_tuple, /* of a connection */
        .order = r->out.record_order,
        .ip_bytes = r->o->json || r->o->csv,
    };
    int code = ws_sink_record_create(s, &rc);
    if (code == 0)
        r->out.record[worker] = *s;
    return code;
}

/* The sinks of one worker, as they are made. */
struct making {
    struct run *r;
    unsigned worker;
    struct ws_sink **out;
    int n, rc; /* rc: the first failure, -errno; nothing more is made then */
};

static void add(struct making *m, bool wanted, int (*make)(struct run *, unsigned, struct ws_sink **))
{
    if (m->rc || !wanted)
        return;
    m->rc = make(m->r, m->worker, &m->out[m->n]);
    m->n += m->rc == 0;
}

/* Behind the sink of streams: lib/post/README.md. */
static int make_post_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    bool tree = r->out.streams && !outputs_streams_merged(r);
    return post_make_sink(r, worker, tree ? ws_output_channel(r->out.streams, worker) : NULL, s);
}

int outputs_make_sinks(void *user, unsigned worker, struct ws_sink **out)
{
    struct run *r = user;
    struct making m = {r, worker, out, 0, 0};
    const bool archive = r->o->format == FORMAT_ARCHIVE;

    add(&m, r->out.pcap, r->out.pcap_rotates ? make_rotate_sink : make_pcap_sink);
    if (m.rc == 0 && r->out.streams && archive) { /* several sinks */
        int made = make_archive_sinks(r, worker, &out[m.n]);
        m.n += WS_MAX(made, 0);
        m.rc = WS_MIN(made, 0);
    }
    add(&m, r->out.streams && !archive, make_stream_sink);
    add(&m, r->post, make_post_sink);
    add(&m, r->out.metadata, make_metadata_sink);
    add(&m, r->out.rest, make_rest_sink);
    add(&m, r->out.flows, make_flow_lines_sink);
    add(&m, r->o->chart, chart_make_sink);
    add(&m, r->out.console, console_make_sink);
    add(&m, r->o->ssids, ssids_make_sink);
    add(&m, r->out.want_records, make_record_sink);
    if (m.rc == 0)
        return m.n;
    for (int i = 0; i < m.n; i++)
        out[i]->ops->destroy(out[i]);
    return m.rc;
}
