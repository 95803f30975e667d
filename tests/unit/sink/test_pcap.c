/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet sinks over the real writer, read back by libpcap and by our own decoders: one file of
 * several workers, interfaces that turn up, rotation. */
#include "rig.h"

#include <pcap/pcap.h>

#include "base/bytes.h"
#include "format/pcapng.h"

#include "sink/pcap.h"

enum { LEN_MAX = 300 };

static uint8_t bytes[LEN_MAX];

static struct ws_packet packet(uint64_t ordinal, uint16_t iface, uint32_t len)
{
    return (struct ws_packet){.data = bytes,
                              .ts_ns = RIG_T0 + (int64_t)ordinal * 1001,
                              .ordinal = ordinal,
                              .cap_len = len,
                              .wire_len = len + 1,
                              .link_type = 1,
                              .iface = iface};
}

static bool describe(void *user, unsigned index, struct ws_pcapng_iface *out)
{
    unsigned *known = user;
    if (index >= *known)
        return false;
    memset(out, 0, sizeof(*out));
    out->link_type = 1;
    out->snaplen = index; /* tells the interfaces apart */
    return true;
}

static struct ws_output *add_file(struct rig *r, const char *name,
                                  const struct ws_frame_format *fmt,
                                  const struct ws_pcapng_iface *iface, unsigned n,
                                  unsigned channels)
{
    static uint8_t header[1024];
    size_t len = ws_frame_header(header, sizeof(header), fmt, iface, n);
    assert_true(len > 0);
    return bed_add(&r->bed, (struct ws_output_config){.kind = WS_OUTPUT_MERGED,
                                                      .path = bed_path(&r->bed, name),
                                                      .channels = channels,
                                                      .blocks = 8,
                                                      .block_bytes = 1 << 20,
                                                      .may_wait = true,
                                                      .commit = true,
                                                      .header = header,
                                                      .header_len = len});
}

static void begin(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    bed_init(&r->bed, &(struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
}

/* Classic: ns or us magic, snap length, foreign link types left out, datagrams are no frames. */
static void classic(void **state)
{
    static const struct ws_pcapng_iface iface = {.link_type = 1};
    (void)state;
    for (int us = 0; us < 2; us++) {
        struct rig r;
        struct ws_sink *s;
        char err[PCAP_ERRBUF_SIZE];
        struct ws_frame_format fmt = {.us = us != 0, .snaplen = 50};
        begin(&r);
        struct ws_output *o = add_file(&r, "f.pcap", &fmt, &iface, 1, 1);
        struct ws_sink_pcap_config cfg = {
            .channel = ws_output_channel(o, 0), .format = fmt, .iface = &iface, .n_iface = 1};
        assert_int_equal(ws_sink_pcap_create(&s, &cfg), 0);
        rig_attach(&r, s);
        struct ws_packet p = packet(0, 0, 40), q = packet(1, 0, 60), raw = packet(2, 0, 60),
                         dgram = packet(3, 0, 60);
        raw.link_type = 101;
        dgram.flags = WS_PKT_DATAGRAM;
        s->ops->packet(s, NULL, &p);
        s->ops->packet(s, NULL, &q);
        s->ops->packet(s, NULL, &raw);
        s->ops->packet(s, NULL, &dgram);
        rig_finish(&r);
        assert_int_equal(rig_count(&r, WS_C_OUT_PACKETS), 2);
        assert_int_equal(rig_count(&r, WS_C_OUT_PACKET_BYTES), 90);
        assert_int_equal(rig_count(&r, WS_C_OUT_LINK_TYPE), 1);
        pcap_t *pc = pcap_open_offline_with_tstamp_precision(bed_path(&r.bed, "f.pcap"),
                                                             PCAP_TSTAMP_PRECISION_NANO, err);
        if (!pc)
            fail_msg("%s", err);
        struct pcap_pkthdr *h;
        const u_char *data;
        assert_int_equal(pcap_next_ex(pc, &h, &data), 1);
        assert_int_equal(h->caplen, 40);
        assert_int_equal(h->len, 41);
        assert_int_equal(h->ts.tv_usec, 250000000);
        assert_int_equal(pcap_next_ex(pc, &h, &data), 1);
        assert_int_equal(h->caplen, 50);
        assert_int_equal(h->len, 61);
        assert_int_equal(h->ts.tv_usec, us ? 250001000 : 250001001);
        assert_int_equal(pcap_next_ex(pc, &h, &data), PCAP_ERROR_BREAK);
        pcap_close(pc);
        rig_fini(&r);
    }
}

static void needs_a_link_type(void **state)
{
    struct ws_sink *s;
    (void)state;
    assert_int_equal(ws_sink_pcap_create(&s, &(struct ws_sink_pcap_config){0}), -EINVAL);
}

/* --- pcapng with growing interfaces: one worker and several must give the same bytes --- */

enum { PACKETS = 4000, IFACES = 90, WORKERS_MAX = 4 };

struct input {
    struct ws_packet pkt[PACKETS];
    bool selected[PACKETS];
    uint8_t owner[PACKETS];
    unsigned known; /* interfaces */
};

static uint64_t seed;

static uint64_t rng(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return seed >> 33;
}

static struct input *make_input(bool first_known)
{
    struct input *in = calloc(1, sizeof(*in));
    assert_non_null(in);
    unsigned top = first_known ? 0 : UINT16_MAX;
    for (unsigned i = 0; i < PACKETS; i++) {
        unsigned iface = top == UINT16_MAX ? 0 : (unsigned)(rng() % (top + 1));
        if (top == UINT16_MAX || (rng() % 30 == 0 && top + 3 < IFACES)) {
            iface = top == UINT16_MAX ? 0 : top + 1 + (unsigned)(rng() % 3); /* may skip some */
            top = iface;
        }
        in->pkt[i] = packet(i, (uint16_t)iface, 20 + (uint32_t)(rng() % 200));
        in->selected[i] = rng() % 3 == 0;
        in->owner[i] = (uint8_t)(rng() % WORKERS_MAX);
    }
    in->known = top + 1;
    return in;
}

struct worker {
    struct ws_sink *sink;
    struct input *in;
    unsigned index, workers;
    _Atomic unsigned *published;
    struct ws_counters counters;
    pthread_t thread;
};

static uint64_t order_of(struct ws_sink *s, uint64_t ordinal)
{
    return s->ops->order ? s->ops->order(s, ordinal) : ordinal;
}

/* A worker: takes its packets as the reader publishes them, in bursts with a tick after each. */
static void *work(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < PACKETS;) {
        unsigned end = atomic_load(w->published);
        for (; i < end; i++)
            if (w->in->owner[i] % w->workers == w->index && w->in->selected[i])
                w->sink->ops->packet(w->sink, NULL, &w->in->pkt[i]);
        ws_channel_tick(w->sink->channel, order_of(w->sink, end), 0, false);
        if (i == end)
            sched_yield();
    }
    w->sink->ops->finish(w->sink);
    ws_channel_finish(w->sink->channel);
    return NULL;
}

static uint8_t *run(struct input *in, unsigned workers, unsigned n_iface, size_t *len)
{
    static const struct ws_pcapng_iface iface0 = {.link_type = 1};
    struct ws_frame_format fmt = {.pcapng = true};
    struct worker w[WORKERS_MAX];
    struct ws_sink *announcer = NULL;
    _Atomic unsigned published = 0;
    struct rig r;
    memset(w, 0, sizeof(w));
    begin(&r);
    bool alone = workers == 1;
    struct ws_output *o = add_file(&r, "f.pcapng", &fmt, &iface0, n_iface, workers + !alone);
    struct ws_sink_pcap_config cfg = {.format = fmt,
                                      .iface = &iface0,
                                      .n_iface = n_iface,
                                      .describe = describe,
                                      .user = &in->known};
    if (!alone) {
        cfg.channel = ws_output_channel(o, workers);
        cfg.role = WS_SINK_PCAP_ANNOUNCER;
        assert_int_equal(ws_sink_pcap_create(&announcer, &cfg), 0);
        announcer->counters = &r.counters;
        cfg.role = WS_SINK_PCAP_PACKETS;
        cfg.announcer = announcer;
    }
    bed_start(&r.bed);
    for (unsigned i = 0; i < workers; i++) {
        cfg.channel = ws_output_channel(o, i);
        assert_int_equal(ws_sink_pcap_create(&w[i].sink, &cfg), 0);
        w[i].sink->counters = &w[i].counters;
        w[i].in = in;
        w[i].index = i;
        w[i].workers = workers;
        w[i].published = &published;
        if (!alone)
            assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (unsigned at = 0; at < PACKETS;) {
        unsigned n = 1 + (unsigned)(rng() % WS_BURST_MAX);
        n = WS_MIN(n, PACKETS - at);
        struct ws_sink *s = alone ? w[0].sink : announcer;
        ws_sink_pcap_announce(s, in->pkt + at, n);
        if (alone) {
            for (unsigned i = at; i < at + n; i++)
                if (in->selected[i])
                    s->ops->packet(s, NULL, &in->pkt[i]);
        } else {
            atomic_store(&published, at + n);
            ws_channel_tick(s->channel, order_of(s, at + n), 0, false);
        }
        at += n;
    }
    if (alone) {
        w[0].sink->ops->finish(w[0].sink);
        ws_channel_finish(w[0].sink->channel);
    } else {
        announcer->ops->finish(announcer);
        ws_channel_finish(announcer->channel);
        for (unsigned i = 0; i < workers; i++)
            pthread_join(w[i].thread, NULL);
    }
    bed_drain(&r.bed);
    uint8_t *file = bed_read(bed_path(&r.bed, "f.pcapng"), len);
    assert_non_null(file);
    for (unsigned i = 0; i < workers; i++)
        w[i].sink->ops->destroy(w[i].sink);
    if (announcer)
        announcer->ops->destroy(announcer);
    bed_fini(&r.bed);
    return file;
}

/* Walks the blocks: every packet's interface is described before it, as late as may be, in order.
 */
static void check_file(const uint8_t *p, size_t len, const struct input *in)
{
    unsigned ifaces = 0, next = 0, top = 0;
    for (size_t at = 0; at < len;) {
        struct ws_pcapng_section sec = {0};
        struct ws_pcapng_block b;
        assert_int_equal(ws_pcapng_block_decode(&b, &sec, p + at, len - at), WS_FORMAT_COMPLETE);
        assert_true(b.len <= len - at);
        if (b.type == WS_PCAPNG_IDB) {
            struct ws_pcapng_iface f;
            assert_int_equal(ws_pcapng_iface_decode(&f, &sec, p + at, &b), WS_FORMAT_COMPLETE);
            assert_int_equal(f.snaplen, ifaces);
            ifaces++;
        } else if (b.type == WS_PCAPNG_EPB) {
            struct ws_pcapng_packet e;
            assert_int_equal(ws_pcapng_packet_decode(&e, &sec, p + at, b.len, &b, 0),
                             WS_FORMAT_COMPLETE);
            for (;; next++) {
                top = WS_MAX(top, in->pkt[next].iface + 1u);
                if (in->selected[next])
                    break;
            }
            assert_int_equal(e.ticks, (uint64_t)in->pkt[next].ts_ns);
            assert_int_equal(e.iface, in->pkt[next].iface);
            assert_int_equal(ifaces, top);
            next++;
        }
        at += b.len;
    }
    while (next < PACKETS && !in->selected[next])
        next++;
    assert_int_equal(next, PACKETS);
    assert_int_equal(ifaces, in->known);
}

static void growing_interfaces(void **state)
{
    const char *env = getenv("WS_TEST_SEED");
    (void)state;
    seed = env ? strtoull(env, NULL, 0) : 20;
    for (int round = 0; round < 6; round++) {
        uint64_t start = seed;
        struct input *in = make_input(round & 1);
        size_t len1, len;
        uint8_t *one = run(in, 1, round & 1, &len1);
        check_file(one, len1, in);
        for (unsigned workers = 2; workers <= WORKERS_MAX; workers += 2) {
            uint8_t *many = run(in, workers, round & 1, &len);
            if (len != len1 || memcmp(one, many, len) != 0)
                fail_msg("%u workers give another file (WS_TEST_SEED=%llu)", workers,
                         (unsigned long long)start);
            free(many);
        }
        free(one);
        free(in);
    }
}

/* An interface that nobody can describe: its packets are left out and counted, the file stays
 * valid. */
static void unknown_interface(void **state)
{
    struct ws_frame_format fmt = {.pcapng = true};
    struct ws_pcapng_iface iface = {.link_type = 1};
    unsigned known = 1;
    struct ws_sink *s;
    struct rig r;
    (void)state;
    begin(&r);
    struct ws_output *o = add_file(&r, "f.pcapng", &fmt, &iface, 1, 1);
    struct ws_sink_pcap_config cfg = {.channel = ws_output_channel(o, 0),
                                      .format = fmt,
                                      .iface = &iface,
                                      .n_iface = 1,
                                      .describe = describe,
                                      .user = &known};
    assert_int_equal(ws_sink_pcap_create(&s, &cfg), 0);
    rig_attach(&r, s);
    struct ws_packet p[3] = {packet(0, 0, 20), packet(1, 5, 20), packet(2, 0, 20)};
    ws_sink_pcap_announce(s, p, 3);
    for (unsigned i = 0; i < 3; i++)
        s->ops->packet(s, NULL, &p[i]);
    rig_finish(&r);
    assert_int_equal(rig_count(&r, WS_C_OUT_PACKETS), 2);
    assert_int_equal(rig_count(&r, WS_C_OUT_LINK_TYPE), 1);
    rig_fini(&r);
}

/* --- rotation --- */

static unsigned packets_in(const char *path)
{
    char err[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *h;
    const u_char *data;
    unsigned n = 0;
    pcap_t *pc = pcap_open_offline(path, err);
    if (!pc)
        fail_msg("%s: %s", path, err);
    while (pcap_next_ex(pc, &h, &data) == 1)
        n++;
    pcap_close(pc);
    return n;
}

static void rotate(struct rig *r, struct ws_sink_rotate_config cfg)
{
    static const struct ws_pcapng_iface iface = {.link_type = 1};
    struct ws_sink *s;
    begin(r);
    struct ws_output *o = bed_add(&r->bed, (struct ws_output_config){.kind = WS_OUTPUT_TREE,
                                                                     .path = bed_path(&r->bed, "o"),
                                                                     .channels = 1,
                                                                     .blocks = 8,
                                                                     .block_bytes = 65536,
                                                                     .may_wait = true});
    cfg.channel = ws_output_channel(o, 0);
    cfg.stem = "cap";
    cfg.iface = &iface;
    cfg.n_iface = 1;
    assert_int_equal(ws_sink_rotate_create(&s, &cfg), 0);
    rig_attach(r, s);
}

static void by_size(void **state)
{
    struct rig r;
    (void)state;
    /* header 24, records of 16 + 100: two fit in 260 bytes, a third does not */
    rotate(&r, (struct ws_sink_rotate_config){.size_max = 260, .worker = 3, .workers = 4});
    for (unsigned i = 0; i < 5; i++) {
        struct ws_packet p = packet(i, 0, 100);
        r.sink->ops->packet(r.sink, NULL, &p);
    }
    struct ws_packet big = packet(5, 0, 300); /* alone longer than a shard may be */
    r.sink->ops->packet(r.sink, NULL, &big);
    rig_finish(&r);
    assert_int_equal(packets_in(bed_path(&r.bed, "o/cap_20010909-014640_00000_w3.pcap")), 2);
    assert_int_equal(packets_in(bed_path(&r.bed, "o/cap_20010909-014640_00001_w3.pcap")), 2);
    assert_int_equal(packets_in(bed_path(&r.bed, "o/cap_20010909-014640_00002_w3.pcap")), 1);
    assert_int_equal(packets_in(bed_path(&r.bed, "o/cap_20010909-014640_00003_w3.pcap")), 1);
    assert_false(bed_exists(bed_path(&r.bed, "o/cap_20010909-014640_00004_w3.pcap.part")));
    assert_int_equal(rig_count(&r, WS_C_OUT_PACKETS), 6);
    rig_fini(&r);
}

static size_t statistics(void *user, uint8_t *buf, size_t max)
{
    uint64_t *seen = user;
    const struct ws_pcapng_stats st = {.ticks = 1, .start_ticks = WS_PCAPNG_UNKNOWN, .end_ticks = WS_PCAPNG_UNKNOWN,
                                       .received = ++*seen, .dropped = 7};
    return ws_pcapng_stats_encode(buf, max, &st);
}

/* Each pcapng shard tells what its interfaces lost up to its end, within the size asked for. */
static void statistics_of_shards(void **state)
{
    static const char *const names[] = {"o/cap_20010909-014640_00000.pcapng", "o/cap_20010909-014640_00001.pcapng"};
    struct rig r;
    uint64_t seen = 0;
    (void)state;
    rotate(&r, (struct ws_sink_rotate_config){.size_max = 600, .workers = 1, .format = {.pcapng = true},
                                              .trailer = statistics, .trailer_max = WS_PCAPNG_STATS_MAX, .user = &seen});
    for (unsigned i = 0; i < 5; i++) {
        struct ws_packet p = packet(i, 0, 100);
        r.sink->ops->packet(r.sink, NULL, &p);
    }
    rig_finish(&r);
    assert_int_equal(seen, 2);
    for (unsigned i = 0; i < 2; i++) {
        size_t len = 0, at = 0, last = 0;
        uint8_t *b = bed_read(bed_path(&r.bed, names[i]), &len);
        assert_non_null(b);
        assert_in_range(len, 1, 600);
        for (; at < len; last = at, at += ws_load_le32(b + at + 4))
            assert_true(at + 12 <= len && ws_load_le32(b + at + 4) >= 12);
        assert_int_equal(at, len);
        assert_int_equal(ws_load_le32(b + last), WS_PCAPNG_ISB);
        assert_int_equal(ws_load_le32(b + last + 4), len - last);
        assert_int_equal(packets_in(bed_path(&r.bed, names[i])), i ? 2 : 3);
        free(b);
    }
    rig_fini(&r);
}

/* Time shards begin at multiples of the interval; an idle shard is closed by a tick. */
static void by_time(void **state)
{
    struct rig r;
    (void)state;
    rotate(&r, (struct ws_sink_rotate_config){
                   .time_ns = INT64_C(60000000000), .workers = 1, .format = {.pcapng = true}});
    struct ws_packet p = packet(0, 0, 100);
    p.ts_ns = INT64_C(1000000019999999999); /* 01:46:59.99 */
    r.sink->ops->packet(r.sink, NULL, &p);
    p.ts_ns++; /* 01:47:00 */
    r.sink->ops->packet(r.sink, NULL, &p);
    p.ts_ns += INT64_C(59999999999);
    r.sink->ops->packet(r.sink, NULL, &p);
    ws_sink_rotate_tick(r.sink, p.ts_ns);
    ws_channel_tick(r.sink->channel, 0, 0, true);
    while (ws_writer_poll(r.bed.w))
        ;
    assert_false(bed_exists(bed_path(&r.bed, "o/cap_20010909-014700_00001.pcapng")));
    ws_sink_rotate_tick(r.sink, p.ts_ns + 1);
    ws_channel_tick(r.sink->channel, 0, 0, true);
    while (ws_writer_poll(r.bed.w))
        ;
    assert_int_equal(packets_in(bed_path(&r.bed, "o/cap_20010909-014659_00000.pcapng")), 1);
    assert_int_equal(packets_in(bed_path(&r.bed, "o/cap_20010909-014700_00001.pcapng")), 2);
    rig_finish(&r);
    rig_fini(&r);
}

int main(void)
{
    for (unsigned i = 0; i < LEN_MAX; i++)
        bytes[i] = (uint8_t)i;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classic),
        cmocka_unit_test(needs_a_link_type),
        cmocka_unit_test(growing_interfaces),
        cmocka_unit_test(unknown_interface),
        cmocka_unit_test(by_size),
        cmocka_unit_test(by_time), cmocka_unit_test(statistics_of_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
