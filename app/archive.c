/* SPDX-License-Identifier: BSD-3-Clause */
/* Stream archives: what may be asked of one as output, and reading one as input. */
#include "app/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/play.h"
#include "source/archive.h"

/* An option and whether it was given. */
struct given {
    bool given;
    const char *name;
};

static const char *first_given(const struct given *g, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (g[i].given)
            return g[i].name;
    return NULL;
}

/* --- output --- */

int archive_check_output(const struct run *r, const char *path)
{
    const struct options *o = r->o;
    const struct given of_files[] = {
        {o->template != NULL, "--template"},
        {o->gaps >= 0, "--gaps"},
        {o->gaps_file, "--gaps-file"},
        {o->joined, "--joined"},
        {o->separate, "--separate"},
        {o->metadata >= 0, "--metadata"},
        {o->metadata_dir != NULL, "--metadata-dir"},
        {o->order == ORDER_ARRIVAL, "--order arrival"},
        {o->split_gap != WS_UNSET, "--split-gap"},
        {o->holes_max != UINT64_C(1) << 30, "--holes-max"}, /* the default */
        {o->local_time, "--local-time"},
        {o->json_ns, "--json-ns"},
        {o->missing_text, "--missing-text"},
        {o->number_existing, "--number-existing"},
        {o->findx || o->findx_ns, "--findx"},
        {o->strip, "--strip"},
        {o->stream_max != WS_UNSET, "--stream-max"},
        {o->size_min != 0, "--size-min"},
        {o->udp_header, "--udp-header"},
        {o->empty_records, "--empty-records"},
        {o->number_from_zero, "--number-from-zero"},
        {o->no_colon, "--no-colon"},
        {o->md5, "--md5"},
        {o->http, "--http"},
        {o->on_close != NULL, "--on-close"},
        {o->report != NULL, "--report"},
        {o->python != NULL, "--python"},
        {o->alert_fd != WS_UNSET, "--alert-fd"},
        {o->json && r->cmd == CMD_STREAMS, "--json"},
    };
    const char *name = first_given(of_files, WS_ARRAY_SIZE(of_files));
    if (strcmp(path, "-") == 0) {
        fprintf(stderr, "wirespool %s: an archive goes to a directory, not to standard output\n", r->name);
        return 2;
    }
    if (!name)
        return 0;
    fprintf(stderr, "wirespool %s: %s is about stream files: give it when they are made from the archive\n", r->name, name);
    return 2;
}

static bool is_segment(const char *name)
{
    static const char *const endings[] = {WS_ARCHIVE_SUFFIX, WS_ARCHIVE_SUFFIX ".part"};
    size_t n = strlen(name);
    for (size_t i = 0; i < WS_ARRAY_SIZE(endings); i++) {
        size_t m = strlen(endings[i]);
        if (n > m && strcmp(name + n - m, endings[i]) == 0)
            return true;
    }
    return false;
}

int archive_clear(const struct run *r, const char *path)
{
    DIR *d = opendir(path);
    int code = 0;
    for (struct dirent *e; d && !code && (e = readdir(d));) {
        if (!is_segment(e->d_name))
            continue;
        if (!r->o->overwrite) {
            fprintf(stderr, "wirespool: %s: holds an archive already (--overwrite replaces it)\n", path);
            code = 3;
        } else if (unlinkat(dirfd(d), e->d_name, 0) < 0) {
            fprintf(stderr, "wirespool: %s/%s: %s\n", path, e->d_name, strerror(errno));
            code = 3;
        }
    }
    if (d)
        closedir(d);
    return code;
}

/* --- input --- */

/* What concerns packets, of which an archive has none; or was decided when it was written. */
static const char *about_packets(const struct options *o)
{
    const struct given of_packets[] = {
        {o->filter != NULL, "a filter expression"},
        {o->packet_max != 0, "--packet-max"},
        {o->time_shift != NULL, "--time-shift"},
        {o->resume.n != 0, "--continue"},
        {o->rest != NULL, "--rest"},
        {o->chart != NULL, "--chart"},
        {o->ssids, "--ssids"},
        {o->console >= 0, "--console"},
        {o->format == FORMAT_PCAP, "--format pcap"},
        {o->format == FORMAT_ARCHIVE, "--format archive"},
        {o->order == ORDER_ARRIVAL, "--order arrival"},
        {o->empty_records, "--empty-records"},
        {o->udp_header, "--udp-header"},
        {o->number_from_zero, "--number-from-zero"},
        {o->report != NULL, "--report"},
        {o->overlap != 0, "--overlap"},
        {o->idle_timeout != 0, "--idle-timeout"},
        {o->frag_timeout != 0, "--frag-timeout"},
        {o->verify_checksums, "--verify-checksums"},
        {o->no_tunnels, "--no-tunnels"},
        {o->no_vlan_key, "--ignore-vlan"},
        {o->key_mac, "--key-mac"},
        {o->key_device || o->device_vlan, "--key-device"},
        {o->per_tuple, "--per-tuple"},
        {o->tcp_udp_only, "--tcp-udp-only"},
        {o->trailer != TRAILER_NONE, "--trailer"},
        {o->trailer_offset != NULL, "--trailer-offset"},
        {o->tcp_udp_ports, "--tcp-udp-ports"},
        {o->held_max != 0, "--held-max"},
        {o->dir_held_max != 0, "--held-max-stream"},
        {o->jump_max != 0, "--jump-max"},
        {o->frag_max != 0, "--frag-max"},
    };
    return first_given(of_packets, WS_ARRAY_SIZE(of_packets));
}

static int check_input(const struct options *o, enum command cmd, const char *path)
{
    const char *name = about_packets(o);
    const char *program = cmd == CMD_FLOWS ? "flows" : "streams";
    if (o->input.n != 1) {
        fprintf(stderr, "wirespool %s: %s is a stream archive: give it alone\n", program, path);
        return 2;
    }
    if (!name)
        return 0;
    fprintf(stderr, "wirespool %s: %s: an archive holds streams, no packets: not with %s\n", program, path, name);
    return 2;
}

/* Payloads that are asked for must be there. */
static int check_content(const struct options *o, const char *path, uint32_t flags)
{
    const char *name = o->udp && !(flags & WS_ARCHIVE_UDP)          ? "--udp"
                       : o->all_ip && !(flags & WS_ARCHIVE_ALL_IP) ? "--all-ip"
                                                                    : NULL;
    if (!name)
        return 0;
    fprintf(stderr, "wirespool streams: %s: the archive was written without %s\n", path, name);
    return 2;
}

static int number(struct archive_input *in)
{
    size_t n = ws_archive_count(in->archive);
    int code = flow_list_room(&in->list, n);
    if (code)
        return code;
    for (size_t i = 0; i < n; i++)
        in->list.rec[i] = &ws_archive_flow(in->archive, i)->rec;
    return flow_list_rank(&in->list);
}

int archive_open(struct archive_input *in, const struct options *o, enum command cmd)
{
    const char *path = NULL;
    char err[512];
    int code;
    memset(in, 0, sizeof(*in));
    for (unsigned i = 0; i < o->input.n && !path; i++)
        if (ws_archive_is(o->input.item[i]))
            path = o->input.item[i];
    if (!path)
        return 0;
    if ((code = check_input(o, cmd, path)))
        return code;
    int rc = ws_archive_open(&in->archive, path, err, sizeof(err));
    if (rc < 0) {
        fprintf(stderr, "wirespool: %s\n", err);
        return rc == -EBADMSG ? 1 : 3;
    }
    code = cmd == CMD_STREAMS ? check_content(o, path, ws_archive_flags(in->archive)) : 0;
    return code ? code : number(in);
}

/* Time ranges choose connections that have a packet in them, or one before and one after. */
static bool in_time(const struct ws_select *s, const struct ws_flow_record *r)
{
    return ws_flow_record_start_ns(r) < s->before_ns && ws_flow_record_end_ns(r) >= s->after_ns;
}

/* Counts the flows as a run would; there is nothing to play. */
static bool count_flows(void *user, struct ws_engine_feed *f)
{
    struct archive_input *in = user;
    for (size_t i = 0; i < ws_archive_count(in->archive); i++) {
        const struct ws_flow_record *r = &ws_archive_flow(in->archive, i)->rec;
        ws_count(f->counters, WS_C_FLOWS_CREATED, 1);
        ws_count(f->counters, WS_C_FLOWS_CLOSED, 1);
        ws_count(f->counters, WS_C_FLOWS_SELECTED, r->selected != 0);
        for (unsigned d = 0; d < 2; d++) {
            ws_count(f->counters, WS_C_RX_PACKETS, r->packets[d]);
            ws_count(f->counters, WS_C_FLOW_PACKETS, r->packets[d]);
            ws_count(f->counters, WS_C_RX_WIRE_BYTES, r->bytes[d]);
        }
    }
    f->damaged = ws_archive_fault(in->archive, 0) != NULL;
    return false;
}

int archive_attach(struct archive_input *in, struct run *r)
{
    size_t n = ws_archive_count(in->archive);
    int code;
    if (r->o->flow.n) {
        if ((code = first_pass_choose_ids(&in->chosen, &in->list, r->o)))
            return code;
        r->ec.select.by_flow = true;
        r->ec.select.flow_ordinal = in->chosen.flow_ordinal;
        r->ec.select.flow_dirs = in->chosen.flow_dirs;
        r->ec.select.n_flow = in->chosen.n_flow;
    }
    if (!(in->dirs = malloc(n + 1))) {
        fprintf(stderr, "wirespool: out of memory for the flows of the archive\n");
        return 3;
    }
    for (size_t i = 0; i < n; i++) {
        struct ws_flow_record *rec = &ws_archive_flow(in->archive, i)->rec;
        uint64_t first = WS_MIN(rec->first_ordinal[0], rec->first_ordinal[1]);
        unsigned dirs = in_time(&r->ec.select, rec) ? ws_select_flow(&r->ec.select, &rec->key, first) : 0;
        rec->selected &= (uint8_t)dirs;
        in->dirs[i] = rec->selected;
    }
    r->ec.workers = 1;
    r->ec.flow.flows_max = 1024; /* the table has nothing to do */
    r->ec.ids.ordinal = in->list.ordinal;
    r->ec.ids.n = in->list.n_ordinal;
    if (r->cmd == CMD_FLOWS) {
        r->ec.feed = count_flows;
        r->ec.feed_user = in;
        return 0;
    }
    struct ws_play_config pc = {
        .archive = in->archive,
        .dirs = in->dirs,
        .udp = r->o->udp,
        .all_ip = r->o->all_ip,
        .tcp_off = r->o->no_tcp,
    };
    if (ws_play_create(&in->play, &pc) < 0) {
        fprintf(stderr, "wirespool: out of memory for the flows of the archive\n");
        return 3;
    }
    r->ec.feed = ws_play_feed;
    r->ec.feed_user = in->play;
    return 0;
}

int archive_verdict(const struct archive_input *in)
{
    const char *text;
    int code = 0;
    for (unsigned i = 0; in->archive && (text = ws_archive_note(in->archive, i)); i++)
        fprintf(stderr, "wirespool: %s\n", text);
    for (unsigned i = 0; in->archive && (text = ws_archive_fault(in->archive, i)); i++) {
        fprintf(stderr, "wirespool: %s\n", text);
        code = 1;
    }
    if (in->play && ws_play_missing(in->play)) {
        fprintf(stderr, "wirespool: %" PRIu64 " bytes of streams are missing from the archive\n", ws_play_missing(in->play));
        code = 1;
    }
    if (in->play && ws_play_twice(in->play)) {
        fprintf(stderr, "wirespool: %" PRIu64 " bytes of streams are in the archive again and are left out\n", ws_play_twice(in->play));
        code = 1;
    }
    return code;
}

void archive_close(struct archive_input *in)
{
    ws_play_destroy(in->play);
    flow_list_free(&in->list);
    free(in->dirs);
    ws_archive_close(in->archive);
    memset(in, 0, sizeof(*in));
}
