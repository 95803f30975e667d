/* SPDX-License-Identifier: BSD-3-Clause */
/* The console sink over the real writer: order of workers, names, limits, colors, the semaphore. */
#include "rig.h"

#include <semaphore.h>

#include "sink/console.h"

#define A "010.000.000.001.01111-010.000.000.002.00080"
#define B "010.000.000.002.00080-010.000.000.001.01111"

struct pair {
    struct rig r[2];
    struct rig_flow f[2];
};

/* One output, a sink of each of two workers. */
static void begin(struct pair *p, struct ws_sink_console_config cfg, const char *lock_name)
{
    char err[200] = "";
    memset(p, 0, sizeof(*p));
    bed_init(&p->r[0].bed, &(struct ws_writer_config){.backend = WS_BACKEND_PLAIN});
    struct ws_output *o = bed_add(&p->r[0].bed, (struct ws_output_config){
                                                    .kind = WS_OUTPUT_MERGED,
                                                    .path = bed_path(&p->r[0].bed, "out"),
                                                    .channels = 2,
                                                    .blocks = 8,
                                                    .block_bytes = 1 << 20,
                                                    .lock = lock_name,
                                                    .may_wait = true,
                                                });
    for (unsigned w = 0; w < 2; w++) {
        struct ws_sink *s;
        cfg.channel = ws_output_channel(o, w);
        assert_int_equal(ws_sink_console_create(&s, &cfg, err, sizeof(err)), 0);
        s->worker = w;
        rig_attach(&p->r[w], s);
        rig_flow_init(&p->f[w], w);
    }
}

static void segment(struct pair *p, unsigned worker, unsigned dir, uint64_t ordinal,
                    const char *text)
{
    struct ws_sink *s = p->r[worker].sink;
    struct ws_tcp_segment seg = {
        .data = (const uint8_t *)text, .len = (uint32_t)strlen(text), .meta = {.ordinal = ordinal}};
    s->ops->segment(s, &p->f[worker].flow, dir, 0, &seg);
}

static void end(struct pair *p)
{
    ws_channel_finish(p->r[1].sink->channel);
    rig_finish(&p->r[0]);
}

static void fini(struct pair *p)
{
    p->r[1].sink->ops->destroy(p->r[1].sink);
    rig_fini(&p->r[0]);
}

static void expect(struct pair *p, const char *want)
{
    bed_expect(bed_path(&p->r[0].bed, "out"), want, strlen(want));
}

/* Records of two workers come in the order of packets. */
static void merged(void **state)
{
    struct pair p;
    (void)state;
    begin(
        &p,
        (struct ws_sink_console_config){.style = {.header = true, .newline = true}, .prefix = "d/"},
        NULL);
    segment(&p, 1, 0, 1, "one");
    segment(&p, 1, 1, 3, "three");
    segment(&p, 0, 0, 0, "zero");
    segment(&p, 0, 0, 2, "two");
    segment(&p, 0, 0, 4, ""); /* no payload left */
    end(&p);
    expect(&p, "d/" A ": zero\nd/" A ": one\nd/" A ": two\nd/" B ": three\n");
    assert_int_equal(rig_count(&p.r[0], WS_C_OUT_STREAM_BYTES), 7);
    fini(&p);
}

static void limit(void **state)
{
    struct pair p;
    (void)state;
    begin(&p,
          (struct ws_sink_console_config){.style = {.newline = true}, .cut = true, .bytes_max = 5},
          NULL);
    segment(&p, 0, 0, 0, "abc");
    segment(&p, 0, 1, 1, "ABCDEFG");
    segment(&p, 0, 0, 2, "def");
    segment(&p, 0, 0, 3, "ghi");
    end(&p);
    expect(&p, "abc\nABCDE\nde\n");
    assert_int_equal(rig_count(&p.r[0], WS_C_STREAM_CUT), 6);
    fini(&p);
}

/* Who sent a SYN without ACK is blue; nobody knows: red. */
static void colors(void **state)
{
    struct pair p;
    (void)state;
    begin(&p, (struct ws_sink_console_config){.style = {.color = true, .newline = true}}, NULL);
    for (unsigned dir = 0; dir < 2; dir++) {
        struct ws_packet syn = {.flags = WS_PKT_TCP,
                                .tcp_flags = WS_TCP_SYN | (dir ? WS_TCP_ACK : 0),
                                .dir = (uint8_t)dir};
        p.r[0].sink->ops->packet(p.r[0].sink, &p.f[0].flow, &syn);
    }
    segment(&p, 0, 0, 2, "c");
    segment(&p, 0, 1, 3, "s");
    segment(&p, 1, 0, 4, "?");
    end(&p);
    expect(&p, "\033[0;34mc\033[0m\n\033[0;31ms\033[0m\n\033[0;31m?\033[0m\n");
    fini(&p);
}

/* A payload longer than a record is several. */
static void long_payload(void **state)
{
    struct pair p;
    size_t len = WS_CONSOLE_PIECE_MAX + 10;
    char *text = malloc(len + 1), *want = malloc(len + 5);
    (void)state;
    assert_non_null(text);
    assert_non_null(want);
    memset(text, 'x', len);
    text[len] = '\0';
    snprintf(want, len + 5, "%.*s\n%s\n", (int)WS_CONSOLE_PIECE_MAX, text, "xxxxxxxxxx");
    begin(&p, (struct ws_sink_console_config){.style = {.newline = true}}, NULL);
    segment(&p, 0, 0, 0, text);
    end(&p);
    expect(&p, want);
    fini(&p);
    free(text);
    free(want);
}

/* The semaphore is free before and after, and held in between: nothing is written while another has
 * it. */
static void locked(void **state)
{
    struct pair p;
    struct stat st;
    char name[64];
    int value;
    (void)state;
    snprintf(name, sizeof(name), "/ws-test-%d", (int)getpid());
    sem_t *sem = sem_open(name, O_CREAT, 0600, 0);
    assert_ptr_not_equal(sem, SEM_FAILED);
    begin(&p, (struct ws_sink_console_config){.style = {.newline = true}}, name);
    segment(&p, 0, 0, 0, "text");
    ws_channel_finish(p.r[0].sink->channel);
    ws_channel_finish(p.r[1].sink->channel);
    bed_start(&p.r[0].bed);
    assert_int_equal(stat(bed_path(&p.r[0].bed, "out"), &st), 0);
    assert_int_equal(st.st_size, 0);
    sem_post(sem);
    bed_drain(&p.r[0].bed);
    expect(&p, "text\n");
    assert_int_equal(sem_getvalue(sem, &value), 0);
    assert_int_equal(value, 1);
    fini(&p);
    sem_close(sem);
    sem_unlink(name);
}

static void bad_template(void **state)
{
    struct ws_sink *s;
    char err[200] = "";
    (void)state;
    assert_int_equal(ws_sink_console_create(&s,
                                            &(struct ws_sink_console_config){.name_template = "%y"},
                                            err, sizeof(err)),
                     -EINVAL);
    assert_true(err[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged),       cmocka_unit_test(limit),  cmocka_unit_test(colors),
        cmocka_unit_test(long_payload), cmocka_unit_test(locked), cmocka_unit_test(bad_template),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
