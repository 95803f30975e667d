/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a capture file through the whole path of one worker, with tiny limits: file source,
 * receive stage, flow stage, sinks, writer; then the ledger must balance.
 *
 * The last three bytes of the input choose options; the rest is the file. A spy sink checks what
 * every sink may rely on; the real sinks write to memory-backed files with one input in four. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/flow_stage.h"
#include "engine/ledger.h"
#include "engine/receive.h"
#include "sink/pcap.h"
#include "sink/record.h"
#include "sink/stream.h"
#include "source/file.h"
#include "writer/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum {
    OPTION_BYTES = 3,
    PACKETS_MAX = 4096, /* a small input may unpack to a large one */
    MAPS_MAX = 16,
    SWEEP_EVERY = 64, /* inputs after which written files are removed */
};

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}
#define REQUIRE(x) require((x), #x)

static void be_silent(enum ws_log_level level, const char *line)
{
    (void)level;
    (void)line;
}

/* --- memory: zero, touched as needed, with a guard page behind --- */

struct maps {
    struct {
        void *at;
        size_t bytes;
    } map[MAPS_MAX];
    unsigned n;
};

static void *map_alloc(void *user, size_t bytes)
{
    struct maps *m = user;
    size_t room = ws_align_up(bytes, 4096);
    REQUIRE(m->n < MAPS_MAX);
    uint8_t *p = mmap(NULL, room + 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(p != MAP_FAILED);
    REQUIRE(mprotect(p + room, 4096, PROT_NONE) == 0);
    m->map[m->n].at = p;
    m->map[m->n++].bytes = room + 4096;
    return p;
}

static void *map_blocks(void *user, unsigned channel, size_t bytes)
{
    (void)channel;
    return map_alloc(user, bytes);
}

static void map_free_all(struct maps *m)
{
    while (m->n) {
        m->n--;
        munmap(m->map[m->n].at, m->map[m->n].bytes);
    }
}

/* --- a source that gives each packet at its exact size on the heap, so that a read beyond it is
 * seen --- */

struct exact {
    struct ws_source source;
    struct ws_source *file;
    unsigned burst, n;
    uint8_t *copy[WS_BURST_MAX];
};

static void drop_copies(struct exact *x)
{
    while (x->n)
        free(x->copy[--x->n]);
}

static int exact_rx(struct ws_source *s, struct ws_packet *pkt, unsigned max)
{
    struct exact *x = (struct exact *)(void *)s;
    drop_copies(x);
    int n = ws_source_rx(x->file, pkt, WS_MIN(max, x->burst));
    for (int i = 0; i < n; i++) {
        uint8_t *p = malloc(pkt[i].cap_len ? pkt[i].cap_len : 1);
        REQUIRE(p);
        memcpy(p, pkt[i].data, pkt[i].cap_len);
        pkt[i].data = p;
        x->copy[x->n++] = p;
    }
    return n;
}

static void exact_close(struct ws_source *s)
{
    struct exact *x = (struct exact *)(void *)s;
    drop_copies(x);
    x->file->ops->close(x->file);
}

static const struct ws_source_ops exact_ops = {.rx = exact_rx, .close = exact_close};

/* --- a sink that checks what sinks are promised --- */

struct spy {
    struct ws_sink sink;
    uint64_t opened, closed, packets;
};

struct spy_flow {
    uint64_t next[2];
    uint64_t open;
};

static struct spy_flow *spy_flow(struct ws_sink *s, struct ws_flow *f)
{
    struct spy_flow *x = ws_flow_ext(f, s->flow_off);
    REQUIRE(x->open == 1);
    return x;
}

static void spy_open(struct ws_sink *s, struct ws_flow *f)
{
    struct spy_flow *x = ws_flow_ext(f, s->flow_off);
    REQUIRE(x->open == 0 && x->next[0] == 0 && x->next[1] == 0);
    x->open = 1;
    ((struct spy *)(void *)s)->opened++;
}

static void spy_packet(struct ws_sink *s, struct ws_flow *f, const struct ws_packet *p)
{
    volatile uint8_t sum = 0;
    if (f)
        spy_flow(s, f);
    REQUIRE(!(p->flags & (WS_PKT_DATAGRAM | WS_PKT_FILTERED)));
    for (uint32_t i = 0; i < p->cap_len; i++)
        sum = (uint8_t)(sum + p->data[i]);
    ((struct spy *)(void *)s)->packets++;
}

static void spy_segment(struct ws_sink *s, struct ws_flow *f, unsigned dir, int64_t off,
                        const struct ws_tcp_segment *seg)
{
    (void)dir;
    (void)off;
    spy_flow(s, f);
    REQUIRE(seg->len <= seg->wire_len);
}

static void spy_data(struct ws_sink *s, struct ws_flow *f, unsigned dir, uint64_t off,
                     const uint8_t *data, uint32_t len, const struct ws_tcp_meta *meta)
{
    struct spy_flow *x = spy_flow(s, f);
    volatile uint8_t sum = 0;
    REQUIRE(meta && len && off == x->next[dir]);
    for (uint32_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + data[i]);
    x->next[dir] += len;
}

static void spy_gap(struct ws_sink *s, struct ws_flow *f, unsigned dir, uint64_t off, uint64_t len,
                    enum ws_gap_cause cause)
{
    struct spy_flow *x = spy_flow(s, f);
    REQUIRE(len && off == x->next[dir] && cause < WS_GAP_CAUSES);
    x->next[dir] += len;
}

static void spy_close(struct ws_sink *s, struct ws_flow *f, const struct ws_tcp_conn *c,
                      enum ws_flow_cause cause)
{
    struct spy_flow *x = spy_flow(s, f);
    (void)cause;
    if (c && f->selected == 3)
        for (unsigned d = 0; d < 2; d++)
            REQUIRE(ws_tcp_dir_length(&c->dir[d]) == x->next[d]);
    if (c)
        (void)ws_tcp_conn_state(c);
    x->open = 2;
    ((struct spy *)(void *)s)->closed++;
}

static const struct ws_sink_ops spy_ops = {
    .flow_open = spy_open,
    .packet = spy_packet,
    .segment = spy_segment,
    .data = spy_data,
    .gap = spy_gap,
    .flow_close = spy_close,
};

/* --- outputs --- */

static char scratch[64];

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    return ftw->level ? remove(path) : 0;
}

static void sweep(void)
{
    nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void sweep_all(void)
{
    sweep();
    rmdir(scratch);
}

static void have_scratch(void)
{
    static unsigned inputs;
    if (!scratch[0]) {
        snprintf(scratch, sizeof(scratch), "%s/ws-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        REQUIRE(mkdtemp(scratch));
        atexit(sweep_all);
    }
    if (++inputs % SWEEP_EVERY == 0)
        sweep();
}

struct options {
    uint8_t policy, how, what;
};

/* Adds stream, packet and record sinks behind a writer. */
static unsigned add_outputs(struct ws_writer *w, struct maps *m, const struct options *o,
                            struct ws_source *src, struct ws_sink **sink, unsigned n)
{
    char err[256], path[128];
    struct ws_output *out;
    struct ws_pcapng_iface iface = {.link_type = 1};
    unsigned n_if = 0;
    const struct ws_source_iface *t = src->ops->ifaces(src, &n_if);
    if (n_if)
        iface.link_type = t[0].link_type;

    struct ws_output_config tree = {.kind = WS_OUTPUT_TREE,
                                    .path = scratch,
                                    .exists = WS_EXISTS_TRUNCATE,
                                    .channels = 1,
                                    .blocks = 4,
                                    .block_bytes = 64u << 10};
    REQUIRE(ws_writer_add_output(w, &tree, map_blocks, m, &out, err, sizeof(err)) == 0);
    struct ws_sink_stream_config sc = {.channel = ws_output_channel(out, 0),
                                       .format = (enum ws_stream_format)(o->what % 6u),
                                       .gaps_skip = o->how & 1,
                                       .holes_max = 4096,
                                       .gaps_file = o->how & 2,
                                       .frame = {.pcapng = o->how & 4},
                                       .iface = &iface,
                                       .n_iface = 1,
                                       .names_max = 4};
    REQUIRE(ws_sink_stream_create(&sink[n++], &sc, err, sizeof(err)) == 0);

    uint8_t head[512];
    struct ws_frame_format fmt = {.pcapng = o->how & 4, .us = o->how & 8, .snaplen = 0};
    snprintf(path, sizeof(path), "%s/packets", scratch);
    struct ws_output_config file = {.kind = WS_OUTPUT_MERGED,
                                    .path = path,
                                    .exists = WS_EXISTS_TRUNCATE,
                                    .commit = true,
                                    .channels = 1,
                                    .blocks = 3,
                                    .block_bytes = 1u << 20,
                                    .header = head};
    file.header_len = ws_frame_header(head, sizeof(head), &fmt, &iface, 1);
    REQUIRE(ws_writer_add_output(w, &file, map_blocks, m, &out, err, sizeof(err)) == 0);
    struct ws_sink_pcap_config pc = {.channel = ws_output_channel(out, 0),
                                     .format = fmt,
                                     .role = WS_SINK_PCAP_ALONE,
                                     .iface = &iface,
                                     .n_iface = 1};
    REQUIRE(ws_sink_pcap_create(&sink[n++], &pc) == 0);
    struct ws_sink_record_config rc = {.records_max = 8, .lengths = true, .ip_bytes = true};
    REQUIRE(ws_sink_record_create(&sink[n++], &rc) == 0);
    return n;
}

/* --- one run --- */

static void check(const struct ws_counters *c, const struct spy *spy, const struct options *o)
{
    struct ws_ledger_equation eq[WS_LEDGER_EQUATIONS];
    if (ws_ledger_check(c, eq)) {
        ws_ledger_print(stderr, c);
        abort();
    }
    REQUIRE(ws_count_get(c, WS_C_FRAG_HELD) == 0 && ws_count_get(c, WS_C_PAYLOAD_HELD) == 0);
    REQUIRE(spy->opened == spy->closed && spy->opened == ws_count_get(c, WS_C_FLOWS_CREATED));
    /* with nothing selected each frame is shown exactly once */
    if (!(o->how & 0x20))
        REQUIRE(spy->packets == ws_count_get(c, WS_C_RX_PACKETS) - ws_count_get(c, WS_C_FILTERED));
}

static void run(struct ws_source *file, const struct options *o)
{
    static const uint16_t bursts[] = {1, 3, 17, WS_BURST_MAX};
    struct maps maps = {.n = 0};
    struct ws_counters counters;
    struct ws_select select;
    struct ws_flow_ids ids = {.ordinal = NULL};
    struct exact src = {.source = {.ops = &exact_ops, .can_wait = true},
                        .file = file,
                        .burst = bursts[o->policy >> 6]};
    struct spy spy = {
        .sink = {.ops = &spy_ops,
                 .needs = WS_SINK_OPEN | WS_SINK_PACKET | WS_SINK_CLOSE | WS_SINK_DATA,
                 .flow_bytes = sizeof(struct spy_flow)}};
    struct ws_sink *sink[WS_SINK_GAPS] = {&spy.sink};
    struct ws_writer *w = NULL;
    unsigned n_sink = 1;
    char err[256];
    const _Atomic int stop = 0;

    memset(&counters, 0, sizeof(counters));
    ws_select_init(&select);
    if (o->how & 0x20)
        ws_select_add_port(&select, "0-1023", err, sizeof(err));
    if (o->how & 0x10)
        spy.sink.needs |= WS_SINK_SEGMENT;
    if (o->what >= 192) {
        struct ws_writer_config wc = {.backend = WS_BACKEND_PLAIN, .open_files_max = 2};
        have_scratch();
        REQUIRE(ws_writer_create(&w, &wc) == 0);
        n_sink = add_outputs(w, &maps, o, file, sink, n_sink);
    }
    for (unsigned i = 0; i < n_sink; i++) {
        sink[i]->counters = &counters;
        sink[i]->ids = &ids;
    }

    enum ws_overlap policy = (enum ws_overlap)(o->policy % (WS_OVERLAP_OLD_LINUX + 1u));
    struct ws_flow_stage_config fc = {
        .sink = sink,
        .n_sink = n_sink,
        .select = &select,
        .ids = &ids,
        .counters = &counters,
        .udp = true,
        .all_ip = o->how & 0x40,
        .verify_checksums = o->how & 0x80,
        .tcp = ws_tcp_defaults,
        .flow = {.flows_max = 4,
                 .seed = 1,
                 .timeout_ns = {1000000000, 1000000000, 2000000000, 4000000000}},
    };
    fc.tcp.overlap = policy;
    fc.tcp.nodes_max = 16;
    fc.tcp.bytes_max = 4096;
    fc.tcp.dir_nodes_max = 8;
    fc.tcp.dir_bytes_max = 3000;
    fc.tcp.jump_max = 20000;
    fc.tcp.midstream_bytes = 1000;
    struct ws_flow_stage *fs = ws_flow_stage_init(map_alloc(&maps, ws_flow_stage_bytes(&fc)), &fc);
    struct ws_receive_config rc = {
        .source = {&src.source},
        .n_source = 1,
        .decode = ws_decode_defaults,
        .frag = ws_frag_defaults,
        .select = &select,
        .local = fs,
        .workers = 1,
        .frames_all = ws_select_flows_all(&select),
        .counters = &counters,
        .stop = &stop,
    };
    rc.decode.verify_l4 = true;
    rc.frag.datagrams_max = 4;
    rc.frag.bytes_max = 4096;
    rc.frag.overlap = policy;
    struct ws_receive *r = ws_receive_init(map_alloc(&maps, ws_receive_bytes(&rc)), &rc);

    for (int64_t now = 0; !ws_receive_done(r); now += 1000000) {
        ws_receive_poll(r);
        ws_flow_stage_tick(fs, ws_receive_published(r), now, false);
        if (w)
            ws_writer_poll(w);
    }
    ws_flow_stage_expire_all(fs, ws_receive_clock_ns(r));
    ws_flow_stage_finish(fs);
    while (w && !ws_writer_done(w))
        ws_writer_poll(w);
    ws_receive_fini(r);
    check(&counters, &spy, o);
    for (unsigned i = 1; i < n_sink; i++)
        sink[i]->ops->destroy(sink[i]);
    if (w)
        ws_writer_destroy(w);
    src.source.ops->close(&src.source);
    map_free_all(&maps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char path[64], err[256];
    const char *p = path;
    if (len < OPTION_BYTES)
        return 0;
    len -= OPTION_BYTES;
    struct options o = {data[len], data[len + 1], data[len + 2]};
    int fd = memfd_create("input", MFD_CLOEXEC);
    ws_log_sink = be_silent;
    REQUIRE(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct ws_file_config cfg = {.path = &p,
                                 .n_path = 1,
                                 .chunk_bytes = 8192,
                                 .packet_bytes_max = 70000,
                                 .packet_max = PACKETS_MAX};
    struct ws_source *file;
    if (ws_file_open(&file, &cfg, err, sizeof(err)) == 0)
        run(file, &o);
    close(fd);
    return 0;
}
