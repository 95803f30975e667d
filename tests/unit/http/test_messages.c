/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules of HTTP/1 message framing, each by a hand-written exchange that is read whole, byte by
 * byte, and split at every offset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "exchange.h"

#include <errno.h>

static struct exchange exchange_of(const char *asked, const char *answered)
{
    struct exchange x = {.data = {(const uint8_t *)asked, (const uint8_t *)answered}};
    x.len[0] = asked == NULL ? 0 : strlen(asked);
    x.len[1] = answered == NULL ? 0 : strlen(answered);
    x.absent[0] = asked == NULL;
    x.absent[1] = answered == NULL;
    return x;
}

/* The exchange must give this log however it is read. */
static void expect_run(struct exchange x, const char *expected)
{
    exchange_run(&x);
    assert_int_equal(x.result, 0);
    assert_string_equal(x.log, expected);
    for (x.piece = 1; x.piece < 5; x.piece++) {
        exchange_run(&x);
        assert_string_equal(x.log, expected);
    }
    x.piece = 0;
    for (unsigned side = 0; side < 2; side++) {
        for (x.split[side] = 1; x.split[side] < x.len[side]; x.split[side]++) {
            exchange_run(&x);
            assert_string_equal(x.log, expected);
        }
        x.split[side] = 0;
    }
    free(x.body);
}

static void expect(const char *asked, const char *answered, const char *expected)
{
    expect_run(exchange_of(asked, answered), expected);
}

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK   "HTTP/1.1 200 OK\r\n"
#define TWO  OK "Content-Length: 3\r\n\r\ntwo"

static void test_content_length(void **state)
{
    (void)state;
    expect(GET, OK "Content-Length: 5\r\n\r\nhello", "1: 200 GET   @38+5/5 complete 'hello'\n");
    expect(GET GET, OK "Content-Length: 5\r\n\r\nhello" TWO,
           "1: 200 GET   @38+5/5 complete 'hello'\n2: 200 GET   @81+3/3 complete 'two'\n");
    /* equal twice; digits only */
    expect(GET, OK "Content-Length: 3\r\nContent-Length: 3\r\n\r\none",
           "1: 200 GET   @57+3/3 complete 'one'\n");
    expect(GET, OK "Content-Length: 3, 3\r\n\r\none", "1: 200 GET   @41+3/3 complete 'one'\n");
    expect(GET, OK "Content-Length: 3, 4\r\n\r\none", "1: 200 GET   @41+3/3 cut 'one'\n");
    expect(GET, OK "Content-Length: 3x\r\n\r\none", "1: 200 GET   @39+3/3 cut 'one'\n");
    expect(GET, OK "Content-Length: -3\r\n\r\none", "1: 200 GET   @39+3/3 cut 'one'\n");
    expect(GET, OK "Content-Length: 99999999999999999999\r\n\r\none",
           "1: 200 GET   @57+3/3 cut 'one'\n");
    /* without a body, still a message with a number */
    expect(GET GET, OK "Content-Length: 0\r\n\r\n" TWO,
           "1: 200 GET   @38+0/0 complete\n2: 200 GET   @76+3/3 complete 'two'\n");
}

static void test_chunked(void **state)
{
    (void)state;
    const char *t = OK "Transfer-Encoding: chunked\r\n\r\n"; /* 47 bytes */
    char a[512];
#define CHUNKED(body) (snprintf(a, sizeof a, "%s%s", t, body), a)
    expect(GET, CHUNKED("5\r\nhello\r\n0\r\n\r\n"), "1: 200 GET   @47+15/5 complete 'hello'\n");
    expect(GET GET, CHUNKED("3\r\none\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n" TWO),
           "1: 200 GET   @47+46/13 complete 'one0123456789'\n"
           "2: 200 GET   @131+3/3 complete 'two'\n");
    expect(GET, CHUNKED("5\nhello\n0\n\n"), "1: 200 GET   @47+11/5 complete 'hello'\n");
    expect(GET, CHUNKED("5 \r\nhello\r\n000\r\n\r\n"), "1: 200 GET   @47+18/5 complete 'hello'\n");
    /* cut, or no chunks: what came before stays */
    expect(GET, CHUNKED("5\r\nhel"), "1: 200 GET   @47+6/3 cut 'hel'\n");
    expect(GET, CHUNKED("5\r\nhello\r\n0\r\n"), "1: 200 GET   @47+13/5 cut 'hello'\n");
    expect(GET, CHUNKED("5\r\nhello\r\nzzz\r\nabc"), "1: 200 GET   @47+15/5 cut 'hello'\n");
    expect(GET, CHUNKED("5\r\nhelloworld\r\n0\r\n\r\n"), "1: 200 GET   @47+15/5 cut 'hello'\n");
    expect(GET, CHUNKED("fffffffffffffffff\r\nhello"), "1: 200 GET   @47+19/0 cut\n");
    /* chunked wins over a length, RFC 9112 section 6.3 */
    expect(GET, OK "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
           "1: 200 GET   @66+15/5 complete 'hello'\n");
    expect(GET, OK "transfer-encoding:CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n",
           "1: 200 GET   @46+11/1 complete 'x'\n");
    /* another transfer coding alone: until the end */
    expect(GET, OK "Transfer-Encoding: xchunked\r\nContent-Length: 1\r\n\r\nabc",
           "1: 200 GET   @67+3/3 complete 'abc'\n");
#undef CHUNKED
}

static void test_until_close(void **state)
{
    (void)state;
    expect(GET, OK "\r\nto the end", "1: 200 GET   @19+10/10 complete 'to the end'\n");
    expect(GET, "HTTP/1.0 200 OK\r\n\r\nto the end",
           "1: 200 GET   @19+10/10 complete 'to the end'\n");
    /* libhtp refuses this one itself */
    expect(GET, OK "Content-Type: multipart/byteranges; boundary=x\r\n\r\n--x",
           "1: 200 GET multipart/byteranges  @67+3/3 complete '--x'\n");
    expect(GET, OK "\r\n", "1: 200 GET   @19+0/0 complete\n");
}

static void test_no_body(void **state)
{
    (void)state;
    /* the asking side was not captured: an answer to HEAD is one behind whose head the next one begins */
    expect("", OK "\r\n" TWO, "1: 200    @19+0/0 complete\n2: 200    @57+3/3 complete 'two'\n");
    expect("", OK "Content-Length: 5\r\n\r\n" TWO, "1: 200    @38+0/0 complete\n2: 200    @76+3/3 complete 'two'\n");
    expect("", OK "\r\nHTTP/1.1 ok", "1: 200    @19+11/11 complete 'HTTP/1.1 ok'\n");
    expect("", OK "Content-Length: 8\r\n\r\nHTTP/1.1", "1: 200    @38+8/8 complete 'HTTP/1.1'\n");
    expect(GET, OK "Content-Length: 12\r\n\r\nHTTP/1.1 200", "1: 200 GET   @39+12/12 complete 'HTTP/1.1 200'\n");
    expect(HEAD GET, OK "Content-Length: 5\r\n\r\n" TWO,
           "1: 200 HEAD   @38+0/0 complete\n2: 200 GET   @76+3/3 complete 'two'\n");
    expect(HEAD GET, OK "Transfer-Encoding: chunked\r\n\r\n" TWO,
           "1: 200 HEAD   @47+0/0 complete\n2: 200 GET   @85+3/3 complete 'two'\n");
    expect(GET GET, "HTTP/1.1 204 No Content\r\n\r\n" TWO,
           "1: 204 GET   @27+0/0 complete\n2: 200 GET   @65+3/3 complete 'two'\n");
    expect(GET GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" TWO,
           "1: 304 GET   @48+0/0 complete\n2: 200 GET   @86+3/3 complete 'two'\n");
    /* interim responses belong to the same request */
    expect(HEAD GET,
           "HTTP/1.1 100 Continue\r\n\r\n"
           "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK "Content-Length: 5\r\n\r\n" TWO,
           "1: 100    @25+0/0 complete\n2: 103    @62+0/0 complete\n"
           "3: 200 HEAD   @100+0/0 complete\n4: 200 GET   @138+3/3 complete 'two'\n");
    expect(GET, "HTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 B\r\n\r\n" TWO,
           "1: 100    @18+0/0 complete\n2: 100    @36+0/0 complete\n"
           "3: 200 GET   @74+3/3 complete 'two'\n");
}

static void test_tunnels(void **state)
{
    (void)state;
    const char *connect = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nHEAD / HTTP/1.1\r\n\r\n";
    expect(connect, OK "\r\n" TWO, "1: 200 CONNECT   @19+0/0 complete\n");
    /* refused: the connection stays one of HTTP */
    expect("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n" HEAD GET,
           "HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno" OK "Content-Length: 9\r\n\r\n" TWO,
           "1: 407 CONNECT   @40+2/2 complete 'no'\n2: 200 HEAD   @80+0/0 complete\n"
           "3: 200 GET   @118+3/3 complete 'two'\n");
    expect("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x05hello",
           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n" TWO,
           "1: 101 GET   @56+0/0 complete\n");
}

static void test_pipelining(void **state)
{
    (void)state;
    /* the request's own body must be stepped over to find the next */
    expect("POST /p HTTP/1.1\r\nContent-Length: 20\r\n\r\nHEAD / HTTP/1.1\r\n\r\nx" HEAD
           "PUT /q HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n" GET,
           OK "Content-Length: 3\r\n\r\none" OK "Content-Length: 8\r\n\r\n" OK
              "Content-Length: 1\r\n\r\n3" OK "Content-Length: 1\r\n\r\n4",
           "1: 200 POST   @38+3/3 complete 'one'\n2: 200 HEAD   @79+0/0 complete\n"
           "3: 200 PUT   @117+1/1 complete '3'\n4: 200 GET   @156+1/1 complete '4'\n");
    /* empty lines between messages, RFC 9112 section 2.2 */
    expect("\r\n" HEAD "\r\n\r\n" GET, OK "Content-Length: 5\r\n\r\n\r\n\r\n" TWO "\r\n",
           "1: 200 HEAD   @38+0/0 complete\n2: 200 GET   @80+3/3 complete 'two'\n");
}

static void test_heads(void **state)
{
    (void)state;
    expect(GET, OK "Content-Type: Text/HTML; charset=utf-8\r\nContent-Length: 1\r\n\r\nx",
           "1: 200 GET text/html.html  @78+1/1 complete 'x'\n");
    expect(GET, OK "content-type:\timage/jpeg \r\nCONTENT-LENGTH:1\r\n\r\nx",
           "1: 200 GET image/jpeg.jpg  @64+1/1 complete 'x'\n");
    expect(GET, OK "Content-Type: a/b\r\nX: folded\r\n line\r\nContent-Length: 1\r\n\r\nx",
           "1: 200 GET a/b  @75+1/1 complete 'x'\n");
    expect(GET, "HTTP/1.1 200 OK\nContent-Length: 1\n\nx", "1: 200 GET   @35+1/1 complete 'x'\n");
    expect(GET, "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
           "1: 200 GET   @35+1/1 complete 'x'\n");
    expect(GET,
           "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-2/9\r\n"
           "Content-Type: text/css\r\nContent-Length: 2\r\n\r\nel",
           "1: 206 GET text/css.css  partial @103+2/2 complete 'el'\n");
    /* ends inside, or is none: no message */
    expect(GET, "HTTP/1.1 200 OK\r\nContent-Len", "");
    expect(GET, "HTTP/1.1 abc\r\n\r\nx", "");
    expect(GET, TWO "rubbish\r\n\r\n" TWO, "1: 200 GET   @38+3/3 complete 'two'\n");
}

static void test_one_sided(void **state)
{
    (void)state;
    expect(NULL, TWO TWO, "1: 200    @38+3/3 complete 'two'\n2: 200    @79+3/3 complete 'two'\n");
    expect("", TWO, "1: 200    @38+3/3 complete 'two'\n");
    /* the next answer says that this one answers HEAD */
    expect(NULL, OK "Content-Length: 4\r\n\r\n" TWO, "1: 200    @38+0/0 complete\n2: 200    @76+3/3 complete 'two'\n");
    expect(GET, NULL, "");
    expect("SSH-2.0-x\r\n", "SSH-2.0-y\r\n", "");
    expect("\x16\x03\x01", "\x16\x03\x03", "");
    /* fewer requests than responses */
    expect(HEAD, OK "Content-Length: 4\r\n\r\n" TWO TWO,
           "1: 200 HEAD   @38+0/0 complete\n2: 200    @76+3/3 complete 'two'\n"
           "3: 200    @117+3/3 complete 'two'\n");
    /* the answering side may be the first */
    struct exchange x = exchange_of(TWO, HEAD);
    expect_run(x, "1: 200 HEAD   @38+0/0 complete\n");
    /* begins in the middle of a body, seen because the other side asks */
    expect(GET, "the end\r\n\r\n" TWO, "1: 200    @49+3/3 complete 'two'\n");
    expect("mid\r\n", "the end\r\n\r\n" TWO, "");
}

static void test_cut(void **state)
{
    (void)state;
    expect(GET, OK "Content-Length: 10\r\n\r\nabc", "1: 200 GET   @39+3/3 cut 'abc'\n");
    expect(GET, OK "Content-Length: 10\r\n\r\n", "1: 200 GET   @39+0/0 cut\n");
    /* a file shorter than said */
    struct exchange x = exchange_of(GET, TWO);
    x.len[1] = 39;
    expect_run(x, "1: 200 GET   @38+1/1 cut 't'\n");
}

static struct exchange with_gap(const char *asked, const char *answered, unsigned side,
                                uint64_t offset, uint64_t bytes)
{
    struct exchange x = exchange_of(asked, answered);
    x.gaps[side][0] = (struct ws_http_gap){.offset = offset, .bytes = bytes};
    x.gap_count[side] = 1;
    return x;
}

static void test_gaps(void **state)
{
    (void)state;
    /* in a body of known length: zeros keep the places, the next message is found */
    expect_run(with_gap(HEAD HEAD, OK "Content-Length: 6\r\n\r\nabcdef" TWO, 1, 40, 2),
               "1: 200 HEAD   @38+0/0 complete\n");
    expect_run(with_gap(GET HEAD, OK "Content-Length: 6\r\n\r\nabcdef" TWO, 1, 40, 2),
               "1: 200 GET   @38+6/6 gap 'ab\\x00\\x00ef'\n2: 200 HEAD   @82+0/0 complete\n");
    expect_run(with_gap(GET, OK "Content-Length: 6\r\n\r\nabcdef", 1, 42, 2),
               "1: 200 GET   @38+6/6 gap 'abcd\\x00\\x00'\n");
    expect_run(with_gap(GET, OK "\r\nabcdef", 1, 20, 2),
               "1: 200 GET   @19+6/6 gap 'a\\x00\\x00def'\n");
    /* in a chunk; and over a chunk's size, where the framing is lost and a response searched */
    const char *chunked =
        OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n2\r\nxy\r\n0\r\n\r\n" TWO;
    expect_run(with_gap(GET HEAD, chunked, 1, 51, 2),
               "1: 200 GET   @47+22/7 gap 'h\\x00\\x00loxy'\n2: 200 HEAD   @107+0/0 complete\n");
    expect_run(with_gap(GET HEAD, chunked, 1, 56, 2),
               "1: 200 GET   @47+9/5 gap 'hello'\n2: 200    @107+3/3 complete 'two'\n");
    /* over the end of one message and the head of the next */
    expect_run(
        with_gap(GET GET GET, TWO OK "A: b\r\nContent-Length: 4\r\n\r\none\n" TWO, 1, 40, 30),
        "1: 200 GET   @38+3/3 gap 'tw\\x00'\n2: 200    @127+3/3 complete 'two'\n");
    /* in a head; at the very beginning */
    expect_run(with_gap(HEAD GET, OK "Content-Length: 3\r\n\r\nab\n" TWO, 1, 5, 3),
               "1: 200    @79+3/3 complete 'two'\n");
    expect_run(with_gap(HEAD GET, TWO TWO, 1, 0, 41), "1: 200    @79+3/3 complete 'two'\n");
    /* what looks like a head there, but is none */
    expect_run(with_gap(GET, "xxx\r\nHTTP/1.z\r\nHTTP/1.1 x\r\n\r\n" TWO, 1, 0, 2),
               "1: 200    @67+3/3 complete 'two'\n");
    /* among the requests: in a body nothing is lost, in a head all that follow */
    const char *post = "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody" HEAD;
    expect_run(with_gap(post, TWO OK "Content-Length: 9\r\n\r\n", 0, 40, 2),
               "1: 200 POST   @38+3/3 complete 'two'\n2: 200 HEAD   @79+0/0 complete\n");
    expect_run(with_gap(post, TWO TWO, 0, 20, 4),
               "1: 200    @38+3/3 complete 'two'\n2: 200    @79+3/3 complete 'two'\n");
}

static void test_requests(void **state)
{
    (void)state;
    struct exchange x = exchange_of(
        "POST /form HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 3\r\n\r\na=b" GET "PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1\r\nz\r\n0\r\n\r\n",
        TWO TWO);
    x.options.requests = true;
    expect_run(x, "1: > POST /form application/x-www-form-urlencoded  @91+3/3 complete 'a=b'\n"
                  "1: 200 POST   @38+3/3 complete 'two'\n"
                  "2: > GET /   @121+0/0 complete\n"
                  "2: 200 GET   @79+3/3 complete 'two'\n"
                  "3: > PUT /x   @168+11/1 complete 'z'\n");
    x = exchange_of("PUT /x HTTP/1.1\r\nContent-Length: 3\r\n\r\none", NULL);
    x.options.requests = true;
    expect_run(x, "1: > PUT /x   @38+3/3 complete 'one'\n");
    x = exchange_of(GET, HEAD); /* two that ask */
    x.options.requests = true;
    expect_run(x, "1: > HEAD /   @28+0/0 complete\n1: > GET /   @27+0/0 complete\n");
    x = exchange_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NULL);
    x.options.requests = true;
    expect_run(x, "");
}

static void test_sums(void **state)
{
    (void)state;
    struct exchange x = exchange_of(GET HEAD GET, TWO OK "Content-Length: 5\r\n\r\n" OK
                                                         "Content-Length: 5\r\n\r\nab");
    exchange_run(&x);
    assert_true(x.sums.found);
    assert_int_equal(x.sums.responses, 3);
    assert_int_equal(x.sums.requests, 0);
    assert_int_equal(x.sums.bodies, 2);
    assert_int_equal(x.sums.bytes, 5);
    assert_int_equal(x.sums.fates[WS_HTTP_COMPLETE], 2);
    assert_int_equal(x.sums.fates[WS_HTTP_CUT], 1);
    free(x.body);
    x = exchange_of("a", "b");
    exchange_run(&x);
    assert_false(x.sums.found);
}

static void test_errors(void **state)
{
    (void)state;
    struct exchange x = exchange_of(GET GET, TWO TWO);
    int reads;
    x.piece = 3;
    exchange_run(&x);
    reads = x.reads;
    for (x.fail_at = 1; x.fail_at <= reads; x.fail_at++) {
        exchange_run(&x);
        assert_int_equal(x.result, -EIO);
    }
    x.fail_at = 0;
    x.refuse = -ENOSPC;
    exchange_run(&x);
    assert_int_equal(x.result, -ENOSPC);
    free(x.body);
}

/* Memory and time stay bounded for heads and lines that never end, and for very many messages. */
static void test_bounds(void **state)
{
    (void)state;
    size_t len = 4u << 20;
    char *big = malloc(len + 1);
    assert_non_null(big);
    memset(big, 'a', len);
    big[len] = 0;
    memcpy(big, "HTTP/1.1 200 OK\r\nX: ", 20);
    struct exchange x = exchange_of(GET, big);
    exchange_run(&x);
    assert_string_equal(x.log, "");
    const char *chunked = OK "Transfer-Encoding: chunked\r\n\r\n1;";
    memset(big, 'a', len);
    memcpy(big, chunked, strlen(chunked));
    exchange_run(&x);
    assert_string_equal(x.log, "1: 200 GET   @47+4096/0 cut\n");
    memset(big, 'a', len);
    for (size_t i = 0; i + 11 < len; i += 11)
        memcpy(big + i, i == 0 ? "HTTP/1.1 20" : "\nHTTP/1.1 2", 11);
    x.gaps[1][0] = (struct ws_http_gap){.offset = 4, .bytes = 1};
    x.gap_count[1] = 1; /* searched: every line may be a head */
    exchange_run(&x);
    assert_string_equal(x.log, "");
    x.gap_count[1] = 0;
    for (size_t i = 0; i + 38 <= len; i += 38)
        memcpy(big + i, OK "Content-Length: 0\r\n\r\n", 38);
    x.options.requests = false;
    struct ws_http *http = ws_http_create(&x.options);
    struct ws_http_input input = {.read = exchange_read, .user = &x};
    struct ws_http_output output = {0};
    input.side[1] = (struct ws_http_stream){.present = true, .bytes = len / 38 * 38};
    assert_int_equal(ws_http_run(http, &input, &output, &x.sums), 0);
    assert_int_equal(x.sums.responses, len / 38);
    ws_http_destroy(http);
    free(x.body);
    free(big);
}

static void test_extensions(void **state)
{
    (void)state;
    assert_string_equal(ws_http_extension("text/html"), "html");
    assert_string_equal(ws_http_extension("application/andrew-inset"), "ez");
    assert_string_equal(ws_http_extension("video/x-sgi-movie"), "movie");
    assert_string_equal(ws_http_extension("audio/mpeg"), "mpga");
    assert_string_equal(ws_http_extension("text/x-unknown"), "");
    assert_string_equal(ws_http_extension(""), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_until_close),
        cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_tunnels),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_one_sided),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_extensions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
