/* SPDX-License-Identifier: BSD-3-Clause */
/* The DFXML report: read back with libxml2, whatever its texts hold; failing files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "post/dfxml.h"

static struct ws_dfxml_creator creator(enum ws_dfxml_layout layout)
{
    static const char *const inputs[] = {"a.pcap", "b & c.pcap"};
    return (struct ws_dfxml_creator){.layout = layout,
                                     .version = "1.2",
                                     .build_date = "2026-01-02T03:04:05",
                                     .command_line = "wirespool streams '<&>\x02' a.pcap",
                                     .start_ns = INT64_C(1000000000123456789),
                                     .inputs = inputs,
                                     .n_inputs = 2};
}

static struct ws_dfxml_object object(void)
{
    struct ws_dfxml_object o = {.path = "out/1",
                                .filesize = 10,
                                .has_flow = true,
                                .start_ns = INT64_C(1000000000000000999),
                                .end_ns = INT64_C(1000000001250000000),
                                .macs = true,
                                .mac_src = {2, 0, 0, 0, 0, 0xab},
                                .mac_dst = {2, 0, 0, 0, 0, 1},
                                .src = {10, 0, 0, 1},
                                .dst = {10, 0, 0, 2},
                                .ip_version = 4,
                                .proto = 6,
                                .src_port = 80,
                                .dst_port = 65535,
                                .packets = 3,
                                .bytes = 300,
                                .captured_bytes = 300};
    return o;
}

/* A report in memory. */
struct rig {
    char path[32];
    struct ws_dfxml *x;
    xmlDocPtr doc;
    xmlXPathContextPtr xp;
};

static void begin(struct rig *r, enum ws_dfxml_layout layout)
{
    const struct ws_dfxml_creator c = creator(layout);
    snprintf(r->path, sizeof(r->path), "/tmp/ws-dfxml-XXXXXX");
    int fd = mkstemp(r->path);
    assert_true(fd >= 0);
    assert_int_equal(ws_dfxml_open(&r->x, fd, &c), 0);
}

static void end(struct rig *r, const struct ws_dfxml_tail *tail)
{
    assert_int_equal(ws_dfxml_close(r->x, tail), 0);
    r->doc = xmlReadFile(r->path, NULL, XML_PARSE_NONET);
    assert_non_null(r->doc);
    r->xp = xmlXPathNewContext(r->doc);
    assert_non_null(r->xp);
    xmlXPathRegisterNs(
        r->xp, (const xmlChar *)"d",
        (const xmlChar *)"http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML");
    xmlXPathRegisterNs(r->xp, (const xmlChar *)"t", (const xmlChar *)"http://afflib.org/tcpflow/");
}

static void expect(struct rig *r, const char *path, const char *value)
{
    char expr[256];
    snprintf(expr, sizeof(expr), "string(%s)", path);
    xmlXPathObjectPtr o = xmlXPathEvalExpression((const xmlChar *)expr, r->xp);
    assert_non_null(o);
    assert_string_equal((const char *)o->stringval, value);
    xmlXPathFreeObject(o);
}

static void fini(struct rig *r)
{
    xmlXPathFreeContext(r->xp);
    xmlFreeDoc(r->doc);
    unlink(r->path);
}

#define FO "/dfxml/configuration[2]/fileobject"

static void tcpflow_layout(void **state)
{
    struct rig r;
    struct ws_dfxml_object o = object();
    const struct ws_dfxml_run run[2] = {
        {"out/1-HTTPBODY-001.html", 240, 100, 90, ""},
        {"out/1-HTTPBODY-002", 500, 7, 7, "00112233445566778899aabbccddeeff"}};
    const struct ws_dfxml_tail tail = {
        .open_fds = 4, .max_open_flows = 5, .total_flows = 6, .total_packets = 7};
    (void)state;
    begin(&r, WS_DFXML_TCPFLOW);
    o.md5 = "d41d8cd98f00b204e9800998ecf8427e";
    o.run = run;
    o.n_run = 2;
    assert_int_equal(ws_dfxml_object(r.x, &o), 0);
    o = object();
    o.path = NULL;
    o.ip_version = 6;
    memset(o.src, 0, 16);
    o.src[15] = 1;
    o.macs = false;
    o.out_of_order = 8;
    o.violations = 9;
    o.captured_bytes = 200;
    o.proto = 17;
    o.end_ns = -1;
    assert_int_equal(ws_dfxml_object(r.x, &o), 0);
    end(&r, &tail);
    expect(&r, "/dfxml/creator/execution_environment/command_line",
           "wirespool streams '<&>\xef\xbf\xbd' a.pcap");
    expect(&r, "/dfxml/creator/execution_environment/start_time", "2001-09-09T01:46:40Z");
    expect(&r, FO "[1]/filename", "out/1");
    expect(&r, FO "[1]/tcpflow/@startime",
           "2001-09-09T01:46:40Z"); /* no microsecond: no decimals */
    expect(&r, FO "[1]/tcpflow/@endtime", "2001-09-09T01:46:41.250000Z");
    expect(&r, FO "[1]/tcpflow/@mac_saddr", "02:00:00:00:00:ab");
    expect(&r, FO "[1]/tcpflow/@family", "2");
    expect(&r, FO "[1]/tcpflow/@src_ipn", "10.0.0.1");
    expect(&r, FO "[1]/tcpflow/@dstport", "65535");
    expect(&r, "count(" FO "[1]/tcpflow/@caplen)", "0");
    expect(&r, "count(" FO "[1]/tcpflow/@violations)", "0");
    expect(&r, FO "[1]/hashdigest[@type='MD5']", "d41d8cd98f00b204e9800998ecf8427e");
    expect(&r, FO "[1]/byte_runs/byte_run[@file_offset=240]/fileobject/filesize", "90");
    expect(&r, FO "[1]/byte_runs/byte_run[2]/fileobject/hashdigest",
           "00112233445566778899aabbccddeeff");
    expect(&r, "count(" FO "[2]/filename)", "0");
    expect(&r, FO "[2]/tcpflow/@family", "10");
    expect(&r, FO "[2]/tcpflow/@src_ipn", "::1");
    expect(&r, "count(" FO "[2]/tcpflow/@mac_saddr)", "0");
    expect(&r, FO "[2]/tcpflow/@out_of_order_count", "8");
    expect(&r, FO "[2]/tcpflow/@violations", "9");
    expect(&r, FO "[2]/tcpflow/@caplen", "200");
    expect(&r, FO "[2]/tcpflow/@proto", "17");
    expect(&r, "/dfxml/total_packets", "7");
    expect(&r, "/dfxml/max_open_flows", "5");
    fini(&r);
}

/* Bytes of every kind stand in the report as text, or as U+FFFD. */
static void any_bytes(void **state)
{
    struct rig r;
    struct ws_dfxml_object o = object();
    const char *const text[][2] = {
        {"plain \t\n<>&\"'", "plain \t\n<>&\"'"},
        {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\x01\x1f\x7f", "\xef\xbf\xbd\xef\xbf\xbd\x7f"},
        {"\xc3", "\xef\xbf\xbd"},                                 /* cut */
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {"\xef\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* no character */
        {"\xf5\x80\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"]]>", "]]>"},
    };
    (void)state;
    begin(&r, WS_DFXML_TCPFLOW);
    o.result_path = "p'\"";
    o.result_module = "m<";
    o.result_function = "f\x03";
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        size_t n = strlen(text[i][0]);
        char *copy = malloc(n); /* exact, for the sanitizer */
        assert_non_null(copy);
        memcpy(copy, text[i][0], n);
        o.result = copy;
        o.result_len = n;
        assert_int_equal(ws_dfxml_object(r.x, &o), 0);
        free(copy);
    }
    size_t big = 1u << 20; /* cut, and still well-formed */
    char *y = malloc(big);
    assert_non_null(y);
    memset(y, '&', big);
    o.result = y;
    o.result_len = big;
    assert_int_equal(ws_dfxml_object(r.x, &o), 0);
    free(y);
    end(&r, NULL);
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), FO "[%zu]/t:result", i + 1);
        expect(&r, path, text[i][1]);
    }
    expect(&r, FO "[1]/t:result/@path", "p'\"");
    expect(&r, FO "[1]/t:result/@function", "f\xef\xbf\xbd");
    fini(&r);
}

static void strict_layout(void **state)
{
    struct rig r;
    struct ws_dfxml_object o = object();
    const struct ws_dfxml_run run = {"out/1-HTTPBODY-001.html", 240, 100, 90, ""};
    (void)state;
    begin(&r, WS_DFXML_STRICT);
    o.run = &run;
    o.n_run = 1;
    assert_int_equal(ws_dfxml_object(r.x, &o), 0);
    o.path = NULL; /* no file: no object */
    assert_int_equal(ws_dfxml_object(r.x, &o), 0);
    end(&r, NULL);
    expect(&r, "/d:dfxml/d:source/d:image_filename[2]", "b & c.pcap");
    expect(&r, "count(/d:dfxml/d:fileobject)", "2");
    expect(&r, "/d:dfxml/d:fileobject[1]/d:mtime", "2001-09-09T01:46:40.000000999Z");
    expect(&r, "/d:dfxml/d:fileobject[1]/d:byte_runs/d:byte_run[@file_offset=240]/@len", "100");
    expect(&r, "/d:dfxml/d:fileobject[2]/d:filename", "out/1-HTTPBODY-001.html");
    expect(&r, "/d:dfxml/d:fileobject[2]/d:filesize", "90");
    fini(&r);
}

static void full_disk(void **state)
{
    const struct ws_dfxml_creator c = creator(WS_DFXML_TCPFLOW);
    const struct ws_dfxml_object o = object();
    struct ws_dfxml *x;
    int fd = open("/dev/full", O_WRONLY), rc = 0;
    (void)state;
    if (fd < 0)
        skip();
    assert_int_equal(ws_dfxml_open(&x, fd, &c), 0);
    for (unsigned i = 0; i < 1000 && rc == 0; i++)
        rc = ws_dfxml_object(x, &o);
    assert_int_equal(rc, -ENOSPC);
    assert_int_equal(ws_dfxml_object(x, &o), -ENOSPC);
    assert_int_equal(ws_dfxml_close(x, NULL), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcpflow_layout),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(strict_layout),
        cmocka_unit_test(full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
