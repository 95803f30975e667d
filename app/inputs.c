/* SPDX-License-Identifier: BSD-3-Clause */
/* Inputs of a run: capture files, devices, kernel interfaces, and files replayed as devices. */
#include "app/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/outputs.h"
#include "base/log.h"
#include "sink/frame.h"
#include "source/archive.h"
#include "source/file.h"
#include "source/live.h"
#include "ws_config.h"
#if WS_HAVE_DPDK
#include "source/port.h"
#endif

/* Chunks of a file whose packets travel to workers by reference: 32 x 4 MiB in flight at most. */
enum { STEERED_CHUNKS = 32, DIRECT_CHUNKS = 2 };

/* Smaller files are read before a second thread has woken up. */
enum { READ_AHEAD_FROM = 4 * 1024 * 1024 };

static int add_source(struct run *r, struct ws_source *s, unsigned thread, int node)
{
    if (r->ec.n_source == WS_SOURCES_MAX) {
        s->ops->close(s);
        fprintf(stderr, "wirespool %s: more than %u sources\n", r->name, WS_SOURCES_MAX);
        return 2;
    }
    r->ec.source[r->ec.n_source++] = (struct ws_engine_source){s, thread, node};
    return 0;
}

/* Copies a source's interfaces to what output headers need. */
static void note_ifaces(struct run *r, struct ws_source *s)
{
    unsigned n;
    const struct ws_source_iface *t = s->ops->ifaces(s, &n);
    for (unsigned i = 0; i < n && r->n_iface < DEVICES_MAX; i++) {
        r->us_input = t[i].us && (r->us_input || r->n_iface == 0);
        r->iface_source[r->n_iface] = (struct iface_source){s, i};
        outputs_iface(&r->iface[r->n_iface++], &t[i]);
    }
}

/* Exit code of an input that could not be opened: what it holds is damaged, or it cannot be had at all. */
static int open_failed(int rc)
{
    return rc == -EINVAL || rc == -ENODATA || rc == -EBADMSG ? 1 : 3;
}

/* All paths in the order of reading. The number of them, 0 when there is none or no memory. */
static unsigned gather_paths(struct run *r, unsigned *n_continue)
{
    const struct options *o = r->o;
    const struct {
        const char *const *item;
        unsigned n;
    } part[] = {{o->input.item, o->input.n},
                {o->files, o->n_files},
                {o->resume.item, o->resume.n},
                {o->resume_files, o->n_resume_files}};
    unsigned n = 0;
    *n_continue = o->resume.n + o->n_resume_files;
    r->paths = calloc(o->input.n + o->n_files + *n_continue + 1, sizeof(*r->paths));
    for (size_t i = 0; r->paths && i < WS_ARRAY_SIZE(part); i++)
        for (unsigned k = 0; k < part[i].n; k++)
            r->paths[n++] = part[i].item[k];
    r->n_paths = n;
    return n;
}

/* FILE tcp port 80: as other tools take it. */
static void hint_filter(const struct run *r)
{
    static const char *const word[] = {"tcp", "udp", "icmp", "ip", "ip6", "arp", "port", "host", "net", "vlan", "not"};
    for (unsigned i = 1; i < r->n_paths; i++)
        for (size_t k = 0; k < WS_ARRAY_SIZE(word); k++)
            if (strcmp(r->paths[i], word[k]) == 0 && access(word[k], F_OK) != 0) {
                fprintf(stderr, "wirespool: '%s' is taken for a file: a filter expression stands behind -- or in -f 'EXPR'\n",
                        word[k]);
                return;
            }
}

/* Whether a processor would idle: flows keep one busy, packets to a file two, streams to files three. */
static bool has_idle_processor(const struct run *r)
{
    cpu_set_t cpus;
    const int busy = r->cmd == CMD_FLOWS ? 1 : r->cmd == CMD_STREAMS ? 3 : 2;
    return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > busy;
}

int run_open_files(struct run *r)
{
    unsigned n_continue, n = gather_paths(r, &n_continue);
    char err[512];
    struct ws_source *s;
    struct ws_file_config fc = {
        .path = r->paths,
        .n_path = n,
        .n_continue = n_continue,
        .packet_max = r->o->packet_max,
        .stable = r->ec.workers > 1,
        .chunks = r->ec.workers > 1 ? STEERED_CHUNKS : DIRECT_CHUNKS,
        .begins = r->file_begins,
        .ahead_from = has_idle_processor(r) ? READ_AHEAD_FROM : 0,
    };
    if (!r->paths) {
        fprintf(stderr, "wirespool %s: out of memory for the list of inputs\n", r->name);
        return 3;
    }
    if (n == 0) {
        fprintf(stderr, "wirespool %s: no input file (see wirespool %s --help)\n", r->name,
                r->name);
        return 2;
    }
    hint_filter(r);
    for (unsigned i = 0; i < n; i++) {
        if (ws_archive_is(r->paths[i])) {
            fprintf(stderr, "wirespool %s: %s is a stream archive, which has no packets: streams and flows read it, alone\n",
                    r->name, r->paths[i]);
            return 2;
        }
    }
    int rc = ws_file_open(&s, &fc, err, sizeof(err));
    if (rc < 0) {
        fprintf(stderr, "wirespool: %s\n", err);
        return open_failed(rc);
    }
    /* One worker reads by itself; several are fed by a receiver. */
    r->ec.receivers = r->ec.workers > 1 ? 1 : 0;
    r->describer = s;
    note_ifaces(r, s);
    return add_source(r, s, r->ec.workers > 1 ? r->ec.workers : 0, -1);
}

static int open_iface(struct run *r, const char *name, unsigned id)
{
    char err[512];
    struct ws_source *s;
    struct ws_live_config lc = {
        .iface = name,
        .snaplen = (uint32_t)r->o->snaplen,
        .promiscuous = !r->o->no_promiscuous,
        .device_id = id,
    };
    int rc = ws_live_open(&s, &lc, err, sizeof(err));
    if (rc < 0) {
        fprintf(stderr, "wirespool: %s\n", err);
        return 3;
    }
    note_ifaces(r, s);
    if (r->ec.workers > 1)
        r->ec.receivers = 1;
    return add_source(r, s, r->ec.workers > 1 ? r->ec.workers : 0, -1);
}

#if WS_HAVE_DPDK
static struct ws_port_config port_config(const struct run *r, const char *devargs, unsigned id)
{
    return (struct ws_port_config){
        .devargs = devargs,
        .queues_want = r->o->queues ? (unsigned)r->o->queues : r->ec.workers,
        .descriptors = (uint16_t)WS_MIN(r->o->descriptors, 65535u),
        .mtu = (uint32_t)r->o->mtu,
        .mbufs = (uint32_t)r->o->mbufs,
        .rate = r->o->rate,
        .promiscuous = !r->o->no_promiscuous,
        .hw_timestamps = true,
        .device_id = id,
    };
}

/* Memory that EAL must have for the packet pools of all devices. */
static size_t pools_bytes(const struct run *r)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < r->o->dev.n; i++) {
        struct ws_port_config pc = port_config(r, r->o->dev.item[i], i);
        bytes += ws_port_pool_bytes(&pc);
    }
    for (unsigned i = 0; r->cmd == CMD_REPLAY && i < r->o->input.n; i++) {
        struct ws_port_config pc = port_config(r, "net_pcap,rx_pcap=x", i);
        bytes += ws_port_pool_bytes(&pc);
    }
    return bytes;
}

/* Queues of a port with RSS go to the workers in turn; others to the one receiver, or the only worker. */
static int open_port(struct run *r, const char *devargs, unsigned id)
{
    char err[512];
    struct ws_port_config pc = port_config(r, devargs, id);
    struct ws_port *p;
    if (ws_port_open(&p, &pc, err, sizeof(err)) < 0) {
        fprintf(stderr, "wirespool: %s\n", err);
        return 3;
    }
    r->port[r->n_port++] = p;
    const struct ws_port_info *info = ws_port_info(p);
    bool to_workers = info->rss || r->ec.workers == 1;
    if (!to_workers)
        r->ec.receivers = 1;
    for (uint16_t q = 0; q < info->queues; q++) {
        struct ws_source *s = ws_port_queue(p, q);
        if (q == 0)
            note_ifaces(r, s);
        int rc = add_source(r, s, to_workers ? q % r->ec.workers : r->ec.workers, info->numa_node);
        if (rc)
            return rc;
    }
    return 0;
}
#endif

static int start_runtime(struct run *r, bool eal)
{
    char err[512];
    struct ws_runtime_config rc = {
        .eal = eal,
        .eal_args = r->o->eal,
        .threads = r->ec.workers + 1 + (r->o->writers == WS_UNSET ? 1 : (unsigned)r->o->writers),
        .hugepages = r->o->hugepages,
#if WS_HAVE_DPDK
        .eal_memory_bytes = eal ? pools_bytes(r) : 0,
#endif
    };
    if (ws_runtime_start(&r->ec.runtime, &rc, err, sizeof(err)) < 0) {
        fprintf(stderr, "wirespool: %s\n", err);
        return 3;
    }
    return 0;
}

#if WS_HAVE_DPDK
/* Writes what net_pcap can take from any capture that we read: a plain microsecond pcap. */
static int unpack(struct run *r, const char *from, const char *to)
{
    char err[512];
    struct ws_source *s;
    const struct ws_frame_format fmt = {.us = true};
    struct ws_file_config fc = {.path = &from, .n_path = 1};
    struct ws_pcapng_iface iface;
    uint8_t head[64];
    unsigned n_iface;
    uint64_t left_out = 0;
    int n, code = ws_file_open(&s, &fc, err, sizeof(err));

    if (code < 0) {
        fprintf(stderr, "wirespool: %s\n", err);
        return open_failed(code);
    }
    FILE *f = fopen(to, "wb");
    if (!f) {
        fprintf(stderr, "wirespool: %s: %s\n", to, strerror(errno));
        s->ops->close(s);
        return 3;
    }
    const struct ws_source_iface *t = s->ops->ifaces(s, &n_iface);
    if (n_iface)
        outputs_iface(&iface, &t[0]);
    else
        iface = (struct ws_pcapng_iface){.link_type = 1};
    size_t len = ws_frame_header(head, sizeof(head), &fmt, &iface, 1);
    fwrite(head, 1, len, f);
    struct ws_packet pkt[WS_BURST_MAX];
    while (!run_signalled() && (n = ws_source_rx(s, pkt, WS_BURST_MAX)) >= 0) {
        for (int i = 0; i < n; i++) {
            struct ws_frame fr;
            if (pkt[i].link_type != iface.link_type) {
                left_out++;
                continue;
            }
            ws_frame_encode(&fr, &fmt, 0, &pkt[i]);
            for (unsigned k = 0; k < fr.n; k++)
                fwrite(fr.piece[k].data, 1, fr.piece[k].len, f);
        }
    }
    if (left_out)
        fprintf(stderr, "wirespool: %s: %" PRIu64 " packets left out: net_pcap carries Ethernet frames only\n",
                from, left_out);
    if (s->damaged || left_out)
        r->damaged = true;
    s->ops->close(s);
    if (ferror(f) || fclose(f) != 0) {
        fprintf(stderr, "wirespool: %s: %s\n", to, strerror(errno));
        code = 3;
    }
    if (!code && run_signalled()) {
        fprintf(stderr, "wirespool: %s: interrupted while it was unpacked\n", from);
        code = 1;
    }
    return code;
}

/* What replay must know of a file before net_pcap opens it: 0 as it is, 1 unpack first, negative: exit code. */
static int look_at(const char *path)
{
    static const uint8_t plain[][4] = {{0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0xc3, 0xd4},
                                       {0x4d, 0x3c, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d}};
    char err[512];
    unsigned n;
    uint8_t magic[4] = {0};
    struct ws_source *s;
    struct ws_file_config fc = {.path = &path, .n_path = 1};

    int rc = ws_file_open(&s, &fc, err, sizeof(err));
    if (rc < 0) {
        fprintf(stderr, "wirespool: %s\n", err);
        return -open_failed(rc);
    }
    const struct ws_source_iface *t = s->ops->ifaces(s, &n);
    unsigned link = n ? t[0].link_type : 1;
    s->ops->close(s);
    if (link != 1) {
        fprintf(stderr,
                "wirespool: %s: link type %u; net_pcap carries Ethernet frames only: use flows, "
                "extract or streams\n",
                path, link);
        return -1;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, magic, sizeof(magic));
    if (fd >= 0)
        close(fd);
    for (size_t i = 0; got == 4 && i < WS_ARRAY_SIZE(plain); i++)
        if (memcmp(magic, plain[i], 4) == 0)
            return strpbrk(path, ", \"'=") ? 1 : 0;
    return 1;
}

static int make_scratch(struct run *r)
{
    const char *tmp = getenv("TMPDIR");
    char path[512];
    if (r->scratch)
        return 0;
    snprintf(path, sizeof(path), "%s/wirespool-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(path) || !(r->scratch = strdup(path))) {
        fprintf(stderr, "wirespool: %s: %s\n", path, strerror(errno));
        rmdir(path); /* if it was made */
        return 3;
    }
    return 0;
}

static int open_replay(struct run *r)
{
    run_catch_signals(); /* what is unpacked does not stay behind */
    for (unsigned i = 0; i < r->o->input.n; i++) {
        const char *path = r->o->input.item[i];
        char unpacked[600], devargs[1200];
        int code = look_at(path);
        if (code < 0)
            return -code;
        if (code == 1) {
            if ((code = make_scratch(r)))
                return code;
            snprintf(unpacked, sizeof(unpacked), "%s/%u.pcap", r->scratch, i);
            if ((code = unpack(r, path, unpacked)))
                return code;
            path = unpacked;
        }
        snprintf(devargs, sizeof(devargs), "net_pcap%u,rx_pcap=%s", i, path);
        if ((code = open_port(r, devargs, i)))
            return code;
    }
    return 0;
}
#endif

int run_open_devices(struct run *r)
{
    unsigned id = 0;
    int code;
    bool eal = r->cmd == CMD_REPLAY || r->o->dev.n;

    if (r->cmd == CMD_REPLAY ? r->o->input.n == 0 : r->o->dev.n + r->o->iface.n == 0) {
        fprintf(stderr, "wirespool %s: %s (see wirespool %s --help)\n", r->name,
                r->cmd == CMD_REPLAY ? "no input file" : "give --dev DEVARGS or -i IFACE", r->name);
        return 2;
    }
    if (r->cmd == CMD_CAPTURE && r->o->input.n) {
        fprintf(stderr, "wirespool capture: '%s': capture reads devices; a filter follows --\n",
                r->o->input.item[0]);
        return 2;
    }
    if (r->o->dev.n + r->o->iface.n + r->o->input.n > DEVICES_MAX) {
        fprintf(stderr, "wirespool %s: more than %u devices\n", r->name, DEVICES_MAX);
        return 2;
    }
    if (eal && !WS_HAVE_DPDK) {
        fprintf(stderr, "wirespool: built without DPDK: no --dev and no replay; -i IFACE works\n");
        return 3;
    }
    if ((code = start_runtime(r, eal)))
        return code;
#if WS_HAVE_DPDK
    if (r->cmd == CMD_REPLAY)
        return open_replay(r);
    for (unsigned i = 0; i < r->o->dev.n; i++)
        if ((code = open_port(r, r->o->dev.item[i], id++)))
            return code;
#endif
    for (unsigned i = 0; i < r->o->iface.n; i++)
        if ((code = open_iface(r, r->o->iface.item[i], id++)))
            return code;
    /* Devices that replay a file have its time and wait: nothing about them is live. */
    bool waits = true;
    for (unsigned i = 0; i < r->ec.n_source; i++)
        waits &= r->ec.source[i].source->can_wait;
    r->ec.live = !waits;
    return 0;
}
