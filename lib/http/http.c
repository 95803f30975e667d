/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection's run: which side answers, its messages one by one, and where each body ends. */
#include "http/http.h"

#include "base/compiler.h"
#include "http/decode.h"
#include "http/head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Longest line with a chunk's size, extensions included. */
#define CHUNK_LINE_MAX 4096u

struct ws_http {
    struct ws_http_options options;
    struct ws_http_parser *parser;
    struct ws_http_decoder *decoder;
    uint8_t *buf[2]; /* WS_HTTP_PIECE_BYTES a side */
};

/* What a message of a stream leaves behind. */
enum after {
    AFTER_NEXT,   /* the next message follows */
    AFTER_SEARCH, /* bytes are missing: the next message has to be searched */
    AFTER_OVER,   /* nothing more that could be read: the end, a tunnel, or no HTTP */
};

/* One direction on its way. */
struct direction {
    struct run *run;
    struct ws_http_reader reader;
    bool request;
    enum after after;
    uint32_t count;
    struct ws_http_head head;
    struct ws_http_message message;
    bool decoding; /* false: bytes are handed out as they came */
};

/* One call of ws_http_run(). */
struct run {
    struct ws_http *http;
    const struct ws_http_output *output;
    struct ws_http_sums *sums;
    struct direction responses, requests;
    bool paired; /* the next request is the one that the next response answers */
};

const char *ws_http_fate_name(enum ws_http_fate fate)
{
    static const char *const names[WS_HTTP_FATES] = {"complete", "cut", "gap", "bad coding",
                                                     "limited"};

    return (unsigned)fate < WS_HTTP_FATES ? names[fate] : "?";
}

bool ws_http_is_response(const uint8_t *data, size_t len)
{
    return len >= 7 && memcmp(data, "HTTP/1.", 7) == 0;
}

bool ws_http_may_be_request(const uint8_t *data, size_t len)
{
    size_t i = 0;

    while (i < len && (data[i] == '\r' || data[i] == '\n'))
        i++;
    data += i;
    len -= i;
    for (i = 0; i < len && i < 20 && data[i] >= 'A' && data[i] <= 'Z'; i++)
        ;
    return i > 0 && (i == len || data[i] == ' ');
}

struct ws_http *ws_http_create(const struct ws_http_options *options)
{
    struct ws_http *http = calloc(1, sizeof *http);

    if (http == NULL)
        return NULL;
    http->options = *options;
    if (http->options.ratio_max == 0)
        http->options.ratio_max = WS_HTTP_RATIO_MAX;
    http->parser = ws_http_parser_create();
    http->decoder = ws_http_decoder_create();
    http->buf[0] = malloc(WS_HTTP_PIECE_BYTES);
    http->buf[1] = malloc(WS_HTTP_PIECE_BYTES);
    if (http->parser == NULL || http->decoder == NULL || http->buf[0] == NULL ||
        http->buf[1] == NULL) {
        ws_http_destroy(http);
        return NULL;
    }
    return http;
}

void ws_http_destroy(struct ws_http *http)
{
    if (http == NULL)
        return;
    ws_http_parser_destroy(http->parser);
    ws_http_decoder_destroy(http->decoder);
    free(http->buf[0]);
    free(http->buf[1]);
    free(http);
}

/* Decoded bytes to who wants them. */
static int hand_out(void *user, const uint8_t *data, size_t len)
{
    struct direction *d = user;
    struct run *run = d->run;

    d->message.body_bytes += len;
    if (d->request && !run->http->options.requests)
        return 0;
    return run->output->data == NULL ? 0
                                     : run->output->data(run->output->user, &d->message, data, len);
}

/* Bytes of a body, its framing taken off. < 0 ends the run. */
static int body_bytes(struct direction *d, const uint8_t *data, size_t len)
{
    int r;

    if (d->message.fate == WS_HTTP_BAD_CODING || d->message.fate == WS_HTTP_LIMITED)
        return 0;
    if (d->decoding && d->message.fate == WS_HTTP_GAP)
        return 0;
    r = ws_http_decoder_feed(d->run->http->decoder, data, len);
    if (r == WS_HTTP_DECODE_BAD)
        d->message.fate = WS_HTTP_BAD_CODING;
    if (r == WS_HTTP_DECODE_LIMITED)
        d->message.fate = WS_HTTP_LIMITED;
    return r < 0 ? r : 0;
}

/* Bytes of a body that are missing: zeros where they are not compressed, so that the rest keeps its
 * place, as in the stream's own file. */
static int body_gap(struct direction *d, uint64_t len)
{
    static const uint8_t zeros[16 * 1024];

    if (d->message.fate == WS_HTTP_COMPLETE)
        d->message.fate = WS_HTTP_GAP;
    while (!d->decoding && len > 0 && d->message.fate != WS_HTTP_LIMITED) {
        size_t n = (size_t)WS_MIN(len, (uint64_t)sizeof zeros);
        int r = body_bytes(d, zeros, n);

        if (r < 0)
            return r;
        len -= n;
    }
    return 0;
}

static void cut(struct direction *d)
{
    if (d->message.fate == WS_HTTP_COMPLETE)
        d->message.fate = WS_HTTP_CUT;
    d->after = AFTER_OVER;
}

/* A body, or a chunk of one: len bytes, UINT64_MAX = until the end. 1: all were there or missing,
 * 0: the stream ended before, < 0: end of the run. */
static int take(struct direction *d, uint64_t len)
{
    while (len > 0) {
        const uint8_t *data = NULL;
        uint64_t n = 0;
        int r, next = ws_http_reader_peek(&d->reader, &data, &n);

        if (next < 0)
            return next;
        if (next == WS_HTTP_NEXT_END)
            return 0;
        n = WS_MIN(n, len);
        r = next == WS_HTTP_NEXT_GAP ? body_gap(d, n) : body_bytes(d, data, (size_t)n);
        if (r < 0)
            return r;
        ws_http_reader_skip(&d->reader, n);
        if (len != UINT64_MAX)
            len -= n;
    }
    return 1;
}

/* Reads a line of at most CHUNK_LINE_MAX bytes; its first size - 1 go to line, without the line's
 * end. 1, 0 where it ends early (after says how), or < 0. */
static int take_line(struct direction *d, char *line, size_t size)
{
    size_t len = 0;

    for (unsigned all = 0; all < CHUNK_LINE_MAX;) {
        const uint8_t *data = NULL, *end;
        uint64_t n = 0;
        int next = ws_http_reader_peek(&d->reader, &data, &n);

        if (next < 0)
            return next;
        if (next == WS_HTTP_NEXT_GAP) {
            body_gap(d, 0);
            d->after = AFTER_SEARCH;
            return 0;
        }
        if (next == WS_HTTP_NEXT_END)
            break;
        n = WS_MIN(n, CHUNK_LINE_MAX - all);
        end = memchr(data, '\n', (size_t)n);
        if (end != NULL)
            n = (uint64_t)(end - data) + 1;
        for (uint64_t i = 0; i < n && len < size - 1; i++)
            line[len++] = (char)data[i];
        ws_http_reader_skip(&d->reader, n);
        all += (unsigned)n;
        if (end != NULL) {
            while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
                len--;
            line[len] = 0;
            return 1;
        }
    }
    cut(d);
    return 0;
}

/* chunk-size of RFC 9112 section 7.1, before extensions; false: none. */
static bool parse_chunk_size(const char *line, uint64_t *size)
{
    unsigned digits = 0;

    *size = 0;
    for (line += strspn(line, " \t");; line++, digits++) {
        unsigned digit;

        if (*line >= '0' && *line <= '9')
            digit = (unsigned)(*line - '0');
        else if (*line >= 'a' && *line <= 'f')
            digit = (unsigned)(*line - 'a') + 10;
        else if (*line >= 'A' && *line <= 'F')
            digit = (unsigned)(*line - 'A') + 10;
        else
            break;
        if (*size >> 58 != 0)
            return false;
        *size = *size * 16 + digit;
    }
    return digits > 0 && (*line == 0 || *line == ';' || *line == ' ' || *line == '\t');
}

static int take_chunks(struct direction *d)
{
    for (;;) {
        char line[64];
        uint64_t size;
        int r = take_line(d, line, sizeof line);

        if (r <= 0)
            return r;
        if (!parse_chunk_size(line, &size)) {
            cut(d);
            return 0;
        }
        if (size == 0)
            break;
        r = take(d, size);
        if (r == 0)
            cut(d);
        if (r <= 0)
            return r;
        r = take_line(d, line, sizeof line);
        if (r <= 0)
            return r;
        if (line[0] != 0) {
            cut(d);
            return 0;
        }
    }
    for (unsigned fields = 0;; fields++) { /* trailer section */
        char line[64];
        int r = take_line(d, line, sizeof line);

        if (r <= 0)
            return r;
        if (line[0] == 0)
            return 0;
        if (fields == WS_HTTP_FIELDS_MAX) {
            cut(d);
            return 0;
        }
    }
}

/* The decoder for this body. Codings that are not known leave the bytes as they are. */
static int begin_decoding(struct direction *d, bool body)
{
    enum ws_http_coding list[WS_HTTP_CODINGS_MAX];
    unsigned count = 0;
    const struct ws_http_options *o = &d->run->http->options;
    bool known = body && !o->raw && (!d->request || o->requests) &&
                 ws_http_codings_parse(d->head.coding, list, &count) &&
                 ws_http_codings_parse(d->head.transfer_coding, list, &count);

    if (!known)
        count = 0;
    d->decoding = count > 0;
    return ws_http_decoder_begin(d->run->http->decoder, list, count, o->bytes_max, o->ratio_max,
                                 hand_out, d);
}

/* RFC 9112 section 6.3: how the body of the message whose head stands in d is framed. */
static enum ws_http_framing framing_of(const struct direction *d, const char *method)
{
    int status = d->head.status;

    if (d->request)
        return d->head.framing == WS_HTTP_FRAMING_CLOSE ? WS_HTTP_FRAMING_NONE : d->head.framing;
    if (status < 200 || status == 204 || status == 304 || strcmp(method, "HEAD") == 0 ||
        (strcmp(method, "CONNECT") == 0 && status < 300))
        return WS_HTTP_FRAMING_NONE;
    return d->head.framing == WS_HTTP_FRAMING_NONE ? WS_HTTP_FRAMING_CLOSE : d->head.framing;
}

/* Whether what stands next begins like a response: 1, 0, or -errno. */
static int response_follows(struct direction *d)
{
    static const char form[] = "HTTP/1.d ddd";
    enum { FORM = sizeof(form) - 1 };
    uint8_t start[FORM];
    size_t have = 0, skipped = 0;

    while (have < FORM) {
        const uint8_t *data = NULL;
        uint64_t len = 0;
        int next = ws_http_reader_peek(&d->reader, &data, &len);

        if (next < 0)
            return next;
        if (next != WS_HTTP_NEXT_DATA)
            break;
        len = WS_MIN(len, (uint64_t)(FORM - have));
        memcpy(start + have, data, (size_t)len);
        have += (size_t)len;
        if (have == FORM)
            break;
        ws_http_reader_skip(&d->reader, len);
        skipped += (size_t)len;
    }
    if (skipped)
        ws_http_reader_back(&d->reader, skipped);
    for (size_t i = 0; i < have; i++)
        if (form[i] == 'd' ? start[i] < '0' || start[i] > '9' : start[i] != (uint8_t)form[i])
            return 0;
    return have == FORM;
}

/* A message whose head is in d: calls out, and goes to its end. */
static int take_message(struct direction *d, uint64_t head_offset, const char *method)
{
    struct run *run = d->run;
    const struct ws_http_output *output = run->output;
    struct ws_http_message *m = &d->message;
    bool wanted = !d->request || run->http->options.requests;
    enum ws_http_framing framing = framing_of(d, method);
    int r = 0;

    /* Of whom nobody knows what was asked, and behind whose head the next answer stands: it was asked by HEAD. */
    if (!d->request && !*method && (framing == WS_HTTP_FRAMING_CLOSE || framing == WS_HTTP_FRAMING_LENGTH) &&
        (r = response_follows(d)) > 0)
        framing = WS_HTTP_FRAMING_NONE;
    if (r < 0)
        return r;
    *m = (struct ws_http_message){
        .side = d->reader.side,
        .request = d->request,
        .number = ++d->count,
        .status = d->head.status,
        .method = method,
        .target = d->head.target,
        .mime = d->head.mime,
        .extension = ws_http_extension(d->head.mime),
        .coding = d->head.coding,
        .partial = d->head.status == 206 || d->head.partial,
        .head_offset = head_offset,
        .head_bytes = d->reader.offset - head_offset,
        .body_offset = d->reader.offset,
        .fate = WS_HTTP_COMPLETE,
    };
    d->after = AFTER_NEXT;
    if (wanted && output->begin != NULL && (r = output->begin(output->user, m)) < 0)
        return r;
    r = begin_decoding(d, framing != WS_HTTP_FRAMING_NONE);
    if (r < 0)
        return r;
    switch (framing) {
    case WS_HTTP_FRAMING_NONE:
        break;
    case WS_HTTP_FRAMING_LENGTH:
        r = take(d, d->head.length);
        if (r == 0)
            cut(d);
        break;
    case WS_HTTP_FRAMING_CHUNKED:
        r = take_chunks(d);
        break;
    case WS_HTTP_FRAMING_CLOSE:
        r = take(d, UINT64_MAX);
        d->after = AFTER_OVER;
        break;
    case WS_HTTP_FRAMING_BROKEN: /* a response's goes on to the end, for what it is worth */
        r = d->request ? 0 : take(d, UINT64_MAX);
        cut(d);
        break;
    }
    if (r < 0)
        return r;
    if (!ws_http_decoder_end(run->http->decoder) && m->fate == WS_HTTP_COMPLETE &&
        framing != WS_HTTP_FRAMING_NONE && d->decoding)
        m->fate = WS_HTTP_BAD_CODING;
    m->body_span = d->reader.offset - m->body_offset;
    /* nothing is HTTP behind "101 Switching Protocols" and a tunnel's "200" */
    if (!d->request && (m->status == 101 ||
                        (strcmp(method, "CONNECT") == 0 && m->status >= 200 && m->status < 300)))
        d->after = AFTER_OVER;
    if (wanted) {
        run->sums->fates[m->fate]++;
        run->sums->bodies += m->body_bytes > 0;
        run->sums->bytes += m->body_bytes;
        if (output->end != NULL && (r = output->end(output->user, m)) < 0)
            return r;
    }
    return 0;
}

/* After lost bytes: goes to the next line that begins like a response. */
static int search(struct direction *d)
{
    static const char start[] = "\nHTTP/1.";
    unsigned matched = 1; /* whatever failed before did so at the end of a line */

    for (;;) {
        const uint8_t *data = NULL;
        uint64_t len = 0, i;
        int next = ws_http_reader_peek(&d->reader, &data, &len);

        if (next < 0)
            return next;
        if (next == WS_HTTP_NEXT_END) {
            d->after = AFTER_OVER;
            return 0;
        }
        if (next == WS_HTTP_NEXT_GAP) {
            matched = 1; /* a response may begin right behind it */
            ws_http_reader_skip(&d->reader, len);
            continue;
        }
        for (i = 0; i < len && start[matched] != 0; i++) {
            if (data[i] == (uint8_t)start[matched])
                matched++;
            else
                matched = data[i] == '\n';
        }
        ws_http_reader_skip(&d->reader, i);
        if (start[matched] == 0) {
            ws_http_reader_back(&d->reader, sizeof start - 2);
            d->after = AFTER_NEXT;
            return 0;
        }
    }
}

/* The next head of a direction into d->head: 1, 0 when there is none (after says why), or < 0. */
static int next_head(struct direction *d, uint64_t *offset)
{
    bool searched = false;

    while (d->after != AFTER_OVER) {
        int r;

        if (d->after == AFTER_SEARCH) {
            d->run->paired = false;
            if (d->request) { /* nothing would say which response is whose */
                d->after = AFTER_OVER;
                break;
            }
            r = search(d);
            if (r < 0)
                return r;
            searched = true;
            continue;
        }
        r = ws_http_head_parse(d->run->http->parser, &d->reader, d->request, &d->head, offset);
        if (r < 0)
            return r;
        if (r == WS_HTTP_HEAD_PARSED && (d->request || d->head.status >= 100))
            return 1;
        if (r == WS_HTTP_HEAD_GAP)
            d->after = AFTER_SEARCH;
        else /* a line found by search may have been part of a body */
            d->after = r != WS_HTTP_HEAD_END && searched ? AFTER_SEARCH : AFTER_OVER;
    }
    return 0;
}

/* Goes through one request: 1, 0 when there is none, or < 0. */
static int next_request(struct run *run)
{
    struct direction *d = &run->requests;
    uint64_t offset = 0;
    int r = next_head(d, &offset);

    if (r <= 0)
        return r;
    if (strcmp(d->head.method, "PRI") == 0) { /* HTTP/2, RFC 9113 section 3.4 */
        d->after = AFTER_OVER;
        return 0;
    }
    r = take_message(d, offset, d->head.method);
    run->sums->requests += run->http->options.requests;
    return r < 0 ? r : 1;
}

/* All responses of a side, each with the request that it answers, if that is known. */
static int run_sides(struct run *run)
{
    struct direction *d = &run->responses;
    bool tunnel = false;

    for (;;) {
        const char *method = "";
        uint64_t offset = 0;
        int r = next_head(d, &offset);

        if (r < 0)
            return r;
        if (r == 0)
            break;
        /* interim responses answer nothing yet, RFC 9110 section 15.2 */
        if (run->paired && (d->head.status >= 200 || d->head.status == 101)) {
            r = next_request(run);
            if (r < 0)
                return r;
            run->paired = r == 1;
            if (r == 1)
                method = run->requests.head.method;
        }
        run->sums->responses++;
        r = take_message(d, offset, method);
        if (r < 0)
            return r;
        tunnel = d->head.status == 101 ||
                 (strcmp(method, "CONNECT") == 0 && d->head.status >= 200 && d->head.status < 300);
    }
    while (run->http->options.requests && !tunnel && run->requests.after != AFTER_OVER) {
        int r = next_request(run);

        if (r < 0)
            return r;
        if (r == 1 && strcmp(run->requests.head.method, "CONNECT") == 0)
            break; /* what follows may be a tunnel */
    }
    return 0;
}

/* Whether a stream begins with a request line of HTTP/1. */
static bool is_request(const uint8_t *data, size_t len)
{
    const uint8_t *end;

    while (len > 0 && (*data == '\r' || *data == '\n')) {
        data++;
        len--;
    }
    end = memchr(data, '\n', len);
    return end != NULL && end - data > 9 && ws_http_may_be_request(data, len) &&
           memmem(end - 10, 10, "HTTP/1.", 7) != NULL;
}

enum kind { KIND_NONE, KIND_RESPONSES, KIND_REQUESTS };

/* What a side is, by its first bytes, or -errno. */
static int kind_of(struct ws_http *http, const struct ws_http_input *input, unsigned side)
{
    struct ws_http_reader r;
    uint8_t start[4096];
    size_t have = 0;

    ws_http_reader_init(&r, input, side, http->buf[side]);
    while (have < sizeof start) {
        const uint8_t *data = NULL;
        uint64_t len = 0;
        int next = ws_http_reader_peek(&r, &data, &len);

        if (next < 0)
            return next;
        if (next != WS_HTTP_NEXT_DATA)
            break;
        len = WS_MIN(len, sizeof start - have);
        memcpy(start + have, data, (size_t)len);
        have += (size_t)len;
        ws_http_reader_skip(&r, len);
    }
    return ws_http_is_response(start, have) ? KIND_RESPONSES
           : is_request(start, have)        ? KIND_REQUESTS
                                            : KIND_NONE;
}

int ws_http_run(struct ws_http *http, const struct ws_http_input *input,
                const struct ws_http_output *output, struct ws_http_sums *sums)
{
    int kinds[2];

    memset(sums, 0, sizeof *sums);
    for (unsigned side = 0; side < 2; side++) {
        kinds[side] = kind_of(http, input, side);
        if (kinds[side] < 0)
            return kinds[side];
    }
    for (unsigned side = 0; side < 2; side++) {
        unsigned other = 1 - side;
        bool requests = kinds[other] == KIND_REQUESTS, responses = kinds[side] == KIND_RESPONSES;
        bool unknown = kinds[side] == KIND_NONE && input->side[side].present;
        struct run run = {.http = http, .output = output, .sums = sums};
        int r;

        if (!responses && !(requests && (unknown || http->options.requests)))
            continue;
        sums->found = true;
        run.responses.run = run.requests.run = &run;
        run.requests.request = true;
        /* A side that answers requests but begins in the middle of something is searched. */
        run.responses.after = responses ? AFTER_NEXT : unknown ? AFTER_SEARCH : AFTER_OVER;
        run.requests.after = requests ? AFTER_NEXT : AFTER_OVER;
        run.paired = requests;
        ws_http_reader_init(&run.responses.reader, input, side, http->buf[side]);
        ws_http_reader_init(&run.requests.reader, input, other, http->buf[other]);
        r = run_sides(&run);
        if (r < 0)
            return r;
    }
    return 0;
}
