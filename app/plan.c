/* SPDX-License-Identifier: BSD-3-Clause */
/* From options to the engine's configuration. */
#include "app/plan.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "app/console.h"
#include "app/fault.h"

#define NS_PER_S INT64_C(1000000000)

/* A seed that an attacker cannot know; results do not depend on it. */
static uint64_t random_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed)) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        seed = (uint64_t)t.tv_nsec * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)(uintptr_t)&t;
    }
    return seed;
}

static int usage(const char *text)
{
    fprintf(stderr, "wirespool: %s\n", text);
    return 2;
}

static int add_all(const struct ws_opt_list *list, struct ws_select *s, const char *option,
                   int (*add)(struct ws_select *, const char *, char *, size_t))
{
    char err[200], line[300];
    for (unsigned i = 0; i < list->n; i++) {
        if (add(s, list->item[i], err, sizeof(err)) < 0) {
            snprintf(line, sizeof(line), "--%s %s: %s", option, list->item[i], err);
            return usage(line);
        }
    }
    return 0;
}

static int plan_time(const char *text, const char *option, int64_t *ns)
{
    char err[200], line[300];
    if (!text || ws_select_time(text, ns, err, sizeof(err)) == 0)
        return 0;
    snprintf(line, sizeof(line), "--%s %s: %s", option, text, err);
    return usage(line);
}

static int plan_shift(const char *text, int64_t *ns)
{
    bool back = text && *text == '-';
    *ns = 0;
    if (!text)
        return 0;
    if (ws_parse_duration(text + (back || *text == '+'), ns) < 0) {
        fprintf(stderr, "wirespool: --time-shift: '%s' is not a time such as 10s or -1h\n", text);
        return 2;
    }
    *ns = back ? -*ns : *ns;
    return 0;
}

static int plan_select(struct ws_select *s, const struct options *o)
{
    int rc;
    ws_select_init(s);
    if ((rc = add_all(&o->port, s, "port", ws_select_add_port)) ||
        (rc = add_all(&o->not_port, s, "not-port", ws_select_add_port_not)) ||
        (rc = add_all(&o->host, s, "host", ws_select_add_host)) ||
        (rc = add_all(&o->tuple, s, "tuple", ws_select_add_tuple)) ||
        (rc = add_all(&o->community_id, s, "community-id", ws_select_add_community_id)) ||
        (rc = plan_time(o->after, "after", &s->after_ns)) ||
        (rc = plan_time(o->before, "before", &s->before_ns)))
        return rc;
    s->any = o->any_kind;
    for (unsigned i = 0; o->one_way && i < s->n_tuple; i++)
        s->tuple[i].one_way = true;
    return 0;
}

static int plan_trailer(struct ws_trailer_config *t, const struct options *o)
{
    static const enum ws_trailer_kind kinds[] = {
        [TRAILER_NONE] = WS_TRAILER_NONE,
        [TRAILER_METAMAKO] = WS_TRAILER_METAMAKO,
        [TRAILER_METAMAKO_DOUBLE] = WS_TRAILER_METAMAKO_DOUBLE,
    };
    char *end;
    t->kind = kinds[o->trailer];
    if (!o->trailer_offset)
        return 0;
    long off = strtol(o->trailer_offset, &end, 10);
    if (!*o->trailer_offset || *end || off < -65536 || off > 4)
        return usage("--trailer-offset: a number of bytes, -65536 to 4");
    t->offset_known = true;
    t->offset = (int32_t)off;
    return 0;
}

/* Keeps the process, and so all its threads to come, on the CPUs of --cpu. */
static int plan_cpus(const struct options *o)
{
    cpu_set_t set;
    uint64_t cpu;
    if (!o->cpu.n)
        return 0;
    CPU_ZERO(&set);
    for (unsigned i = 0; i < o->cpu.n; i++) {
        if (ws_parse_u64(o->cpu.item[i], &cpu) < 0 || cpu >= CPU_SETSIZE) {
            fprintf(stderr, "wirespool: --cpu %s: no number of a CPU\n", o->cpu.item[i]);
            return 2;
        }
        CPU_SET((size_t)cpu, &set);
    }
    if (sched_setaffinity(0, sizeof(set), &set) == 0)
        return 0;
    fprintf(stderr, "wirespool: --cpu: %s\n", errno == EINVAL ? "no such CPU here" : strerror(errno));
    return 3;
}

int plan_engine(struct ws_engine_config *cfg, const struct options *o, enum command cmd)
{
    char err[512];
    bool live = (cmd & CMD_LIVE) != 0;
    int rc = plan_select(&cfg->select, o);
    if (rc || (rc = plan_shift(o->time_shift, &cfg->time_shift_ns)))
        return rc;
    if (o->workers < 1 || o->workers > WS_WORKERS_MAX)
        return usage("--workers: 1 to 64");
    if (o->writers != WS_UNSET && (o->writers < 1 || o->writers > WS_WRITERS_MAX))
        return usage("--writers: 1 to 16");
    if ((rc = plan_cpus(o)))
        return rc;
    cfg->workers = (unsigned)o->workers;
    /* Bytes that waited come with what let them go: one worker tells always the same order of that. */
    if (console_ordered(o))
        cfg->workers = 1;

    cfg->decode = ws_decode_defaults;
    cfg->decode.key_vlan = !o->no_vlan_key;
    cfg->decode.tunnels = !o->no_tunnels;
    cfg->decode.tcp_udp_ports = o->tcp_udp_ports;
    /* Reading each payload for a count that nobody asked for would cost a third of the time of `flows`. */
    cfg->decode.verify_l4 = o->verify_checksums || o->stats || o->stats_json;

    cfg->decode.key_mac = o->key_mac;
    cfg->decode.key_device = o->key_device;
    cfg->decode.device_vlan = o->device_vlan;
    cfg->tcp_udp_only = o->tcp_udp_only;
    cfg->per_tuple = o->per_tuple;
    if ((rc = plan_trailer(&cfg->trailer, o)))
        return rc;

    cfg->frag.datagrams_max = 4096;
    cfg->frag.bytes_max = o->frag_max ? (uint32_t)WS_MIN(o->frag_max, UINT64_C(0xf0000000))
                                      : 64u << 20;
    cfg->frag.timeout_ns = o->frag_timeout ? o->frag_timeout : 60 * NS_PER_S;
    cfg->frag.overlap = (enum ws_overlap)o->overlap;
    cfg->frag.seed = random_seed();

    uint64_t flows_max = o->flows_max ? o->flows_max : live ? 1u << 20 : 4u << 20;
    if (flows_max > 1u << 30)
        return usage("--flows-max: at most 1G");
    cfg->flow.flows_max = (uint32_t)flows_max;
    cfg->flow.seed = random_seed();
    int64_t idle = o->idle_timeout;
    if (o->per_tuple && idle)
        return usage("--per-tuple: a flow never ends, also not by --idle-timeout");
    cfg->flow.timeout_ns[WS_FLOW_UNANSWERED] = idle ? idle : 120 * NS_PER_S;
    cfg->flow.timeout_ns[WS_FLOW_CLOSED] = idle ? idle : 120 * NS_PER_S;
    cfg->flow.timeout_ns[WS_FLOW_ANSWERED] = idle ? idle : 120 * NS_PER_S;
    cfg->flow.timeout_ns[WS_FLOW_ESTABLISHED] = idle ? idle : 3600 * NS_PER_S;

    if (o->per_tuple)
        memset(cfg->flow.timeout_ns, 0, sizeof(cfg->flow.timeout_ns));

    cfg->tcp = ws_tcp_defaults;
    cfg->tcp.seed = (uint32_t)random_seed();
    cfg->tcp.overlap = (enum ws_overlap)o->overlap;
    if (o->held_max)
        cfg->tcp.bytes_max = o->held_max;
    if (o->dir_held_max)
        cfg->tcp.dir_bytes_max = o->dir_held_max;
    if (o->jump_max)
        cfg->tcp.jump_max = o->jump_max;
    /* Far segments are not refused when they are to begin a file, or are printed as they come. */
    bool console_all = console_only(o, cmd) && !console_ordered(o);
    if (((o->order == ORDER_ARRIVAL && o->split_gap != WS_UNSET) || console_all) && !o->jump_max)
        cfg->tcp.jump_max = 0;
    cfg->verify_checksums = o->verify_checksums;
    cfg->udp = o->udp;
    cfg->ids.streams = o->number_from_zero;
    if (o->number_from_zero && o->workers > 1)
        return usage("--number-from-zero: only one worker can count streams; give --workers 1");
    cfg->all_ip = o->all_ip;
    cfg->tcp_off = o->no_tcp;
    cfg->live = cmd == CMD_CAPTURE;
    cfg->drain_ns = o->drain;
    cfg->packet_max = o->packet_max;
    if (o->filter) {
        struct ws_filter *f;
        rc = ws_filter_create(&f, o->filter, -1, err, sizeof(err));
        if (rc < 0) {
            fprintf(stderr, "wirespool: filter '%s': %s\n", o->filter, err);
            return rc == -ENOMEM ? 3 : 2;
        }
        cfg->filter = f;
    }
    return 0;
}

void plan_free(struct ws_engine_config *cfg)
{
    struct ws_filter *f;
    memcpy(&f, &cfg->filter, sizeof(f));
    ws_filter_destroy(f);
    cfg->filter = NULL;
}

int plan_flow_ids(const struct options *o, uint64_t *id, unsigned *n, unsigned max)
{
    *n = 0;
    for (unsigned i = 0; i < o->flow.n; i++) {
        if (*n == max)
            return usage("--flow: given too often");
        if (ws_parse_u64(o->flow.item[i], &id[*n]) < 0 || id[*n] == 0) {
            fprintf(stderr, "wirespool: --flow %s: a FlowID is a number from 1\n", o->flow.item[i]);
            return 2;
        }
        (*n)++;
    }
    return 0;
}

int plan_writer(struct ws_writer_config *w, const struct options *o)
{
    static const enum ws_backend_kind backends[] = {WS_BACKEND_AUTO, WS_BACKEND_URING,
                                                    WS_BACKEND_PLAIN};
    memset(w, 0, sizeof(*w));
    w->backend = backends[o->backend];
    w->open_files_max = (unsigned)WS_MIN(o->open_files, UINT64_C(1000000));
    if (!o->fsync || strcmp(o->fsync, "none") == 0) {
        w->fsync = WS_FSYNC_NONE;
    } else if (strcmp(o->fsync, "close") == 0) {
        w->fsync = WS_FSYNC_CLOSE;
    } else if (ws_parse_duration(o->fsync, &w->fsync_interval_ns) == 0 && w->fsync_interval_ns > 0) {
        w->fsync = WS_FSYNC_INTERVAL;
    } else {
        fprintf(stderr, "wirespool: --fsync %s: none, close, or a number of seconds\n", o->fsync);
        return 2;
    }
    return fault_from_environment(w);
}
