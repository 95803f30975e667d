/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool between workers, writer and post thread: full, waited for, given back; files that the
 * writer never tells of. */
#include "unit/sink/rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "post/post.h"

#define CLOSED_AT 8u

struct rig_post {
    struct rig r;
    struct ws_post *p;
    char dir[64], report[96];
    unsigned files;
};

static void begin(struct rig_post *rp, unsigned flows, bool may_wait)
{
    char err[256];
    memset(rp, 0, sizeof(*rp));
    snprintf(rp->dir, sizeof(rp->dir), "/tmp/ws-post-XXXXXX");
    assert_non_null(mkdtemp(rp->dir));
    snprintf(rp->report, sizeof(rp->report), "%s.xml", rp->dir);
    struct ws_post_config c = {.dir = rp->dir,
                               .workers = 1,
                               .flows = flows,
                               .may_wait = may_wait,
                               .md5 = true,
                               .keep_results = true,
                               .report = rp->report,
                               .creator = {.version = "1", .build_date = "2026-01-01T00:00:00"},
                               .alert_fd = -1,
                               .http_alert_fd = -1};
    assert_int_equal(ws_post_create(&rp->p, &c, err, sizeof(err)), 0);
    assert_int_equal(ws_post_sink_create(&rp->r.sink, rp->p, 0, NULL), 0);
    rig_attach(&rp->r, rp->r.sink);
}

static void start(struct rig_post *rp)
{
    char err[256];
    assert_int_equal(ws_post_start(rp->p, err, sizeof(err)), 0);
}

/* A file as the writer leaves it. */
static void make_file(struct rig_post *rp, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", rp->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* The end of a flow with a file of direction 0; its tag and serial. */
static uint64_t end_flow(struct rig_post *rp, const char *name, enum ws_flow_cause cause,
                         uint64_t *serial)
{
    struct rig_flow f;
    rig_flow_init(&f, 0);
    f.flow.packets[0] = 3;
    f.flow.bytes[0] = 300;
    struct ws_stream_record rec = {
        .path = name, .cause = cause, .flow = &f.flow, .file_bytes = 3, .length = 3};
    uint64_t tag = ws_post_file(rp->p, 0, &rec, serial);
    rp->r.sink->ops->flow_close(rp->r.sink, &f.flow, NULL, cause);
    return tag;
}

static unsigned count_in_report(const struct rig_post *rp, const char *what)
{
    char buf[65536];
    FILE *f = fopen(rp->report, "r");
    assert_non_null(f);
    size_t n = fread(buf, 1, sizeof(buf) - 1, f);
    fclose(f);
    buf[n] = '\0';
    unsigned k = 0;
    for (const char *at = buf; (at = strstr(at, what)) != NULL; at++)
        k++;
    return k;
}

static void fini(struct rig_post *rp)
{
    char path[400];
    DIR *d = opendir(rp->dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof(path), "%s/%s", rp->dir, e->d_name);
        unlink(path);
    }
    closedir(d);
    rmdir(rp->dir);
    unlink(rp->report);
    rp->r.sink->ops->destroy(rp->r.sink);
    ws_post_destroy(rp->p);
}

/* Live: nobody waits; flows beyond the pool are skipped and counted. At the end of the run they
 * wait. */
static void full_pool(void **state)
{
    struct rig_post rp;
    uint64_t serial[4], tag[4];
    (void)state;
    begin(&rp, 2, false);
    make_file(&rp, "a", "abc");
    make_file(&rp, "b", "abd");
    tag[0] = end_flow(&rp, "a", WS_FLOW_IDLE, &serial[0]);
    tag[1] = end_flow(&rp, "b", WS_FLOW_IDLE, &serial[1]);
    tag[2] = end_flow(&rp, "c", WS_FLOW_IDLE, &serial[2]);
    assert_true(tag[0] && tag[1] && tag[0] != tag[1]);
    assert_int_equal(tag[2], 0);
    assert_int_equal(serial[2], 0);
    assert_int_equal(rig_count(&rp.r, WS_C_POST_SKIPPED), 1);
    ws_post_closed(rp.p, "b", tag[1], 0);
    ws_post_closed(rp.p, "c", 0, 0); /* not ours */
    ws_post_closed(rp.p, "a", tag[0], 0);
    start(&rp);
    make_file(&rp, "d", "xyz");
    tag[3] = end_flow(&rp, "d", WS_FLOW_END_OF_INPUT, &serial[3]);
    assert_int_not_equal(tag[3], 0);
    ws_post_closed(rp.p, "d", tag[3], 0);
    assert_int_equal(ws_post_finish(rp.p, NULL), 0);
    assert_int_equal(ws_count_get(ws_post_counters(rp.p), WS_C_POST_FLOWS), 3);
    assert_string_equal(ws_post_result(rp.p, serial[0]),
                        ",\"md5\":\"900150983cd24fb0d6963f7d28e17f72\"");
    assert_string_equal(ws_post_result(rp.p, serial[3]),
                        ",\"md5\":\"d16fb36f0911f878998c136191af705e\"");
    assert_string_equal(ws_post_result(rp.p, serial[2]), "");
    assert_int_equal(count_in_report(&rp, "<filename>"), 3);
    fini(&rp);
}

/* Slots go round many times; the name is the one that the writer tells. */
static void many_rounds(void **state)
{
    struct rig_post rp;
    uint64_t serial = 0, tag;
    (void)state;
    begin(&rp, 2, true);
    start(&rp);
    make_file(&rp, "ac9", "abc");
    for (unsigned i = 0; i < 100; i++) {
        tag = end_flow(&rp, "a", WS_FLOW_IDLE, &serial);
        assert_int_not_equal(tag, 0);
        ws_post_closed(rp.p, "ac9", tag, 0);
    }
    assert_int_equal(ws_post_finish(rp.p, NULL), 0);
    assert_int_equal(ws_count_get(ws_post_counters(rp.p), WS_C_POST_FLOWS), 100);
    assert_int_equal(count_in_report(&rp, "/ac9</filename>"), 100);
    assert_int_equal(count_in_report(&rp, "900150983cd24fb0d6963f7d28e17f72"), 100);
    fini(&rp);
}

/* The writer was stopped before it told; a file that it could not make; a file that somebody
 * removed. */
static void untold_files(void **state)
{
    struct rig_post rp;
    uint64_t tag;
    (void)state;
    begin(&rp, CLOSED_AT, true);
    start(&rp);
    make_file(&rp, "a", "abc");
    assert_int_not_equal(end_flow(&rp, "a", WS_FLOW_END_OF_INPUT, NULL), 0);
    tag = end_flow(&rp, "b", WS_FLOW_END_OF_INPUT, NULL);
    ws_post_closed(rp.p, "b", tag, -ECANCELED);
    tag = end_flow(&rp, "c", WS_FLOW_END_OF_INPUT, NULL);
    ws_post_closed(rp.p, "c", tag, 0);
    assert_int_equal(ws_post_finish(rp.p, NULL), 0);
    assert_int_equal(ws_count_get(ws_post_counters(rp.p), WS_C_POST_FLOWS), 3);
    assert_int_equal(ws_count_get(ws_post_counters(rp.p), WS_C_POST_UNREADABLE), 1);
    assert_int_equal(count_in_report(&rp, "<hashdigest"), 1);
    assert_int_equal(count_in_report(&rp, "<filename>"), 2);
    fini(&rp);
}

/* A worker that waits for a slot is let go by an abort. */
static void abort_ends_waiting(void **state)
{
    struct rig_post rp;
    (void)state;
    begin(&rp, 1, true);
    assert_int_not_equal(end_flow(&rp, "a", WS_FLOW_IDLE, NULL), 0);
    ws_post_abort(rp.p);
    assert_int_equal(end_flow(&rp, "b", WS_FLOW_IDLE, NULL), 0);
    assert_int_equal(rig_count(&rp.r, WS_C_POST_SKIPPED), 1);
    start(&rp);
    assert_int_equal(ws_post_finish(rp.p, NULL), 0);
    fini(&rp);
}

/* Live, at the end: nobody waits for a slot whose files' ends are not on their way. */
static void stuck_closes(void **state)
{
    struct rig_post rp;
    struct rig_flow f;
    (void)state;
    begin(&rp, 1, false);
    assert_int_not_equal(end_flow(&rp, "a", WS_FLOW_IDLE, NULL), 0);
    rig_flow_init(&f, 0);
    struct ws_stream_record rec = {
        .path = "b", .cause = WS_FLOW_END_OF_INPUT, .flow = &f.flow, .closes_wait = true};
    assert_int_equal(ws_post_file(rp.p, 0, &rec, NULL), 0);
    rp.r.sink->ops->flow_close(rp.r.sink, &f.flow, NULL, WS_FLOW_END_OF_INPUT);
    assert_int_equal(rig_count(&rp.r, WS_C_POST_SKIPPED), 1);
    start(&rp);
    assert_int_equal(ws_post_finish(rp.p, NULL), 0);
    fini(&rp);
}

/* A direction that goes on in another file: packets are told with the part that they belong to. */
static void parts(void **state)
{
    struct rig_post rp;
    struct rig_flow f;
    struct ws_packet pkt = {.cap_len = 100, .wire_len = 100};
    (void)state;
    begin(&rp, 4, true);
    start(&rp);
    make_file(&rp, "a", "abc");
    make_file(&rp, "ac1", "abc");
    rig_flow_init(&f, 0);
    rp.r.sink->ops->flow_open(rp.r.sink, &f.flow);
    for (unsigned i = 0; i < 5; i++) {
        pkt.ts_ns = RIG_T0 + (int64_t)i * 1000000000;
        f.flow.packets[0]++;
        f.flow.bytes[0] += 100;
        rp.r.sink->ops->packet(rp.r.sink, &f.flow, &pkt);
        if (i == 3) { /* the fourth packet begins the second file */
            struct ws_stream_record rec = {.path = "a", .goes_on = true, .flow = &f.flow};
            f.flow.last_ts_ns[0] = pkt.ts_ns;
            uint64_t tag = ws_post_file(rp.p, 0, &rec, NULL);
            ws_post_closed(rp.p, "a", tag, 0);
        }
    }
    f.flow.last_ts_ns[0] = pkt.ts_ns;
    f.flow.seen = 1;
    struct ws_stream_record rec = {.path = "ac1", .flow = &f.flow};
    uint64_t tag = ws_post_file(rp.p, 0, &rec, NULL);
    ws_post_closed(rp.p, "ac1", tag, 0);
    rp.r.sink->ops->flow_close(rp.r.sink, &f.flow, NULL, WS_FLOW_END_OF_INPUT);
    assert_int_equal(ws_post_finish(rp.p, NULL), 0);
    assert_int_equal(count_in_report(&rp, "packets='3' len='300'/>"), 1);
    assert_int_equal(count_in_report(&rp, "packets='2' len='200'/>"), 1);
    assert_int_equal(count_in_report(&rp, "endtime='2001-09-09T01:46:42.250000Z'"), 1);
    assert_int_equal(count_in_report(&rp, "startime='2001-09-09T01:46:43.250000Z'"), 1);
    fini(&rp);
}

static void checks(void **state)
{
    char err[256];
    struct ws_post_config c = {.alert_fd = -1, .http_alert_fd = -1};
    (void)state;
    assert_false(ws_post_wanted(&c));
    assert_int_equal(ws_post_check(&c, err, sizeof(err)), 0);
    const char *const bad[] = {"", "a", "a:b", ":b:c", "a::c", "a:b:"};
    for (size_t i = 0; i < WS_ARRAY_SIZE(bad); i++) {
        c.python = bad[i];
        assert_int_equal(ws_post_check(&c, err, sizeof(err)), -EINVAL);
    }
    c.python = "/a:b/c:m.n:f";
    assert_int_equal(ws_post_check(&c, err, sizeof(err)), 0);
    assert_true(ws_post_wanted(&c));
    c.http_alert_fd = 1;
    assert_int_equal(ws_post_check(&c, err, sizeof(err)), -EINVAL);
    c.http = true;
    assert_int_equal(ws_post_check(&c, err, sizeof(err)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_pool),    cmocka_unit_test(many_rounds),
        cmocka_unit_test(untold_files), cmocka_unit_test(abort_ends_waiting), cmocka_unit_test(stuck_closes),
        cmocka_unit_test(parts),        cmocka_unit_test(checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
