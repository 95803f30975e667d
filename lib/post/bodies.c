/* SPDX-License-Identifier: BSD-3-Clause */
/* Body files of HTTP connections, beside the stream files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/log.h"
#include "format/text.h"
#include "post/internal.h"
#include "writer/path.h"

#define BODY_BUFFER (256u * 1024u)
#define NAME_TRIES  65536u
#define ERRORS_SAID 8u

/* A run over a connection. */
struct run {
    struct ws_post *p;
    const int *fd;
    const char *const *path;
    struct ws_post_bodies *out;
    const char *suffix; /* behind the number; NULL: by media type */
    bool old_names, heads, only_coded;
    /* the body in the making */
    struct ws_post_body body;
    int body_fd;
    bool failed;
    bool holes;   /* not all of it was written: its end may lie behind what was */
    uint8_t *buf; /* BODY_BUFFER */
    size_t fill;
    EVP_MD_CTX *md5;
};

static ssize_t read_side(void *user, unsigned side, uint64_t offset, uint8_t *buf, size_t len)
{
    const struct run *r = user;
    ssize_t n;
    if (ws_post_aborted(r->p))
        return -ECANCELED;
    if (offset > INT64_MAX)
        return 0;
    do
        n = pread(r->fd[side], buf, len, (off_t)offset);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* --- names --- */

static void name_body(struct run *r, const struct ws_http_message *m, const char *kind,
                      unsigned again)
{
    struct ws_text t;
    ws_text_init(&t, r->body.path, sizeof(r->body.path));
    ws_text_puts(&t, r->path[m->side]);
    if (r->old_names) { /* the first has no number */
        ws_text_puts(&t, kind);
        if (m->number > 1) {
            ws_text_putc(&t, '-');
            ws_text_u64(&t, m->number, 0, '0');
        }
        ws_text_puts(&t, r->suffix ? r->suffix : "");
    } else {
        ws_text_puts(&t, "-HTTPBODY-");
        ws_text_u64(&t, m->number, 3, '0');
        if (*m->extension) {
            ws_text_putc(&t, '.');
            ws_text_puts(&t, m->extension);
        }
    }
    if (again) {
        ws_text_putc(&t, 'c');
        ws_text_u64(&t, again, 0, '0');
    }
    if (ws_text_end(&t) < 0)
        r->body.path[0] = '\0';
}

static void fail(struct run *r, int error)
{
    struct ws_post *p = r->p;
    char shown[WS_POST_SHOWN];
    if (r->failed)
        return;
    r->failed = true;
    ws_count(&p->counters, WS_C_HTTP_BODIES_LOST, 1);
    if (ws_count_get(&p->counters, WS_C_HTTP_BODIES_LOST) <= ERRORS_SAID)
        ws_log(WS_LOG_ERROR, "%s: %s", ws_post_shown(p, r->body.path, shown), strerror(-error));
}

static int make_file(struct run *r, const struct ws_http_message *m, const char *kind)
{
    struct ws_post *p = r->p;
    bool replace = p->cfg.exists == WS_EXISTS_TRUNCATE;
    int fd = -ENAMETOOLONG;
    for (unsigned again = 0; again < NAME_TRIES; again++) {
        name_body(r, m, kind, again);
        if (!*r->body.path)
            break;
        fd = ws_path_open_below(p->dirfd, r->body.path,
                                O_WRONLY | O_CREAT | O_NONBLOCK | (replace ? O_TRUNC : O_EXCL),
                                &p->no_openat2);
        if (fd != -EEXIST || p->cfg.exists != WS_EXISTS_COUNT)
            break;
    }
    if (fd < 0) {
        fail(r, fd);
        return fd;
    }
    char shown[WS_POST_SHOWN];
    ws_post_alert(p, 1, "open", ws_post_shown(p, r->body.path, shown));
    return fd;
}

/* --- a body --- */

/* A gap of the stream, or a bomb's zeros, should not cost what it stands for. */
static bool leave_hole(struct run *r)
{
    if (r->fill < BODY_BUFFER || r->buf[0] || memcmp(r->buf, r->buf + 1, r->fill - 1) != 0 ||
        lseek(r->body_fd, (off_t)r->fill, SEEK_CUR) < 0)
        return false;
    r->holes = true;
    return true;
}

static void flush(struct run *r)
{
    bool hole = !r->failed && leave_hole(r);
    for (size_t done = 0; done < r->fill && !r->failed && !hole;) {
        ssize_t n = write(r->body_fd, r->buf + done, r->fill - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail(r, -errno);
        else
            done += (size_t)n;
    }
    if (r->md5)
        (void)EVP_DigestUpdate(r->md5, r->buf, r->fill);
    r->fill = 0;
}

static bool add_body(struct ws_post_bodies *b, const struct ws_post_body *body)
{
    if (b->n == b->room) {
        size_t room = b->room ? 2 * b->room : 4;
        struct ws_post_body *more =
            b->n < WS_POST_BODIES ? realloc(b->body, room * sizeof(*more)) : NULL;
        if (!more)
            return false;
        b->body = more;
        b->room = room;
    }
    b->body[b->n++] = *body;
    return true;
}

/* Ends the body's file: it is listed, told and handed to the command. */
static void end_file(struct run *r)
{
    struct ws_post *p = r->p;
    char shown[WS_POST_SHOWN];
    uint8_t sum[EVP_MAX_MD_SIZE];
    flush(r);
    if (r->holes && !r->failed && ftruncate(r->body_fd, (off_t)r->body.filesize) < 0)
        fail(r, -errno);
    r->holes = false;
    if (close(r->body_fd) != 0 && errno != EINTR)
        fail(r, -errno);
    r->body_fd = -1;
    r->body.md5[0] = '\0';
    if (r->md5 && EVP_DigestFinal_ex(r->md5, sum, NULL) == 1) {
        struct ws_text t;
        ws_text_init(&t, r->body.md5, sizeof(r->body.md5));
        ws_text_hex(&t, sum, 16, false);
        (void)ws_text_end(&t);
    }
    (void)ws_post_shown(p, r->body.path, shown);
    ws_post_alert(p, 1, "close", shown);
    ws_count(&p->counters, WS_C_HTTP_BODIES, 1);
    ws_count(&p->counters, WS_C_HTTP_BODY_BYTES, r->body.filesize);
    if (!add_body(r->out, &r->body))
        ws_count(&p->counters, WS_C_POST_RESULTS_LOST, 1);
    if (p->cfg.http_command && !r->failed)
        ws_post_run(p, p->cfg.http_command, shown);
}

static int on_data(void *user, const struct ws_http_message *m, const uint8_t *data, size_t len)
{
    struct run *r = user;
    if (r->failed || (r->only_coded && !*m->coding))
        return ws_post_aborted(r->p) ? -ECANCELED : 0;
    if (r->body_fd < 0) { /* an empty body has no file, but a number */
        r->body.side = m->side;
        r->body.filesize = 0;
        r->fill = 0;
        if (r->md5)
            (void)EVP_DigestInit_ex(r->md5, EVP_md5(), NULL);
        r->body_fd = make_file(r, m, "-HTTPBODY");
        if (r->body_fd < 0)
            return 0;
    }
    r->body.filesize += len;
    while (len) {
        size_t n = WS_MIN(len, BODY_BUFFER - r->fill);
        memcpy(r->buf + r->fill, data, n);
        r->fill += n;
        data += n;
        len -= n;
        if (r->fill == BODY_BUFFER)
            flush(r);
    }
    return ws_post_aborted(r->p) ? -ECANCELED : 0;
}

static int on_end(void *user, const struct ws_http_message *m)
{
    struct run *r = user;
    if (r->body_fd >= 0) {
        r->body.file_offset = m->body_offset;
        r->body.span = m->body_span;
        r->body.fate = m->fate;
        end_file(r);
    }
    r->failed = false;
    return 0;
}

/* Old names: the head is a file too. */
static int on_begin(void *user, const struct ws_http_message *m)
{
    struct run *r = user;
    r->failed = false;
    if (!r->heads)
        return 0;
    r->body.side = m->side;
    r->body.filesize = 0;
    r->body.file_offset = m->head_offset;
    r->body.span = m->head_bytes;
    r->body.fate = WS_HTTP_COMPLETE;
    r->fill = 0;
    if (r->md5)
        (void)EVP_DigestInit_ex(r->md5, EVP_md5(), NULL);
    r->body_fd = make_file(r, m, "-HTTP");
    for (uint64_t done = 0; r->body_fd >= 0 && done < m->head_bytes;) {
        ssize_t n = read_side(r, m->side, m->head_offset + done, r->buf,
                              WS_MIN((size_t)(m->head_bytes - done), (size_t)BODY_BUFFER));
        if (n <= 0)
            break;
        r->fill = (size_t)n;
        r->body.filesize += (uint64_t)n;
        done += (uint64_t)n;
        flush(r);
    }
    if (r->body_fd >= 0)
        end_file(r);
    r->failed = false;
    return 0;
}

static void count_fates(struct ws_post *p, const struct ws_http_sums *sums)
{
    ws_count(&p->counters, WS_C_HTTP_MESSAGES, sums->responses + sums->requests);
    ws_count(&p->counters, WS_C_HTTP_CUT, sums->fates[WS_HTTP_CUT]);
    ws_count(&p->counters, WS_C_HTTP_GAP, sums->fates[WS_HTTP_GAP]);
    ws_count(&p->counters, WS_C_HTTP_BAD_CODING, sums->fates[WS_HTTP_BAD_CODING]);
    ws_count(&p->counters, WS_C_HTTP_LIMITED, sums->fates[WS_HTTP_LIMITED]);
}

static int one_run(struct run *r, struct ws_http *http, const struct ws_http_input *in,
                   struct ws_http_sums *sums)
{
    const struct ws_http_output out = {
        .begin = on_begin, .data = on_data, .end = on_end, .user = r};
    int rc = ws_http_run(http, in, &out, sums);
    if (r->body_fd >= 0) { /* the run ended inside a body */
        r->body.file_offset = r->body.span = 0;
        r->body.fate = WS_HTTP_CUT;
        end_file(r);
    }
    return rc;
}

/* Whether a side can be an answer at all: most flows cannot, and are left alone after one small
 * read. */
static bool answers(struct run *r, const int fd[2])
{
    uint8_t head[16];
    for (unsigned s = 0; s < 2; s++) {
        ssize_t n = fd[s] >= 0 ? read_side(r, s, 0, head, sizeof(head)) : 0;
        if (n > 0 && ws_http_is_response(head, (size_t)n))
            return true;
        if (n > 0 && r->p->cfg.http_requests && ws_http_may_be_request(head, (size_t)n))
            return true;
    }
    return false;
}

void ws_post_http(struct ws_post *p, const struct ws_post_slot *slot, const int fd[2],
                  const char *const path[2], struct ws_post_bodies *out)
{
    struct run r = {.p = p, .fd = fd, .path = path, .out = out, .body_fd = -1};
    struct ws_http_input in = {.read = read_side, .user = &r};
    struct ws_http_sums sums = {0}, coded;
    int rc = -ENOMEM;

    if (!answers(&r, fd))
        return;
    for (unsigned s = 0; s < 2; s++) {
        off_t size = fd[s] >= 0 ? lseek(fd[s], 0, SEEK_END) : 0;
        in.side[s] = (struct ws_http_stream){
            .present = fd[s] >= 0,
            .bytes = size > 0 ? (uint64_t)size : 0,
            .gaps = slot->side[s].gap,
            .gap_count = p->cfg.offsets_shift ? 0 : slot->side[s].n_gap,
        };
    }
    r.buf = malloc(BODY_BUFFER);
    if (p->cfg.md5)
        r.md5 = EVP_MD_CTX_new();
    if (r.buf && p->cfg.http_old_names) {
        r.old_names = r.heads = true;
        rc = one_run(&r, p->http_raw, &in, &sums);
        if (rc == 0 && p->http) {
            r.heads = false;
            r.only_coded = true;
            r.suffix = "-GZIP";
            rc = one_run(&r, p->http, &in, &coded);
            memcpy(sums.fates, coded.fates, sizeof(sums.fates));
        }
    } else if (r.buf) {
        rc = one_run(&r, p->http ? p->http : p->http_raw, &in, &sums);
    }
    if (rc < 0 && rc != -ECANCELED)
        ws_count(&p->counters, WS_C_HTTP_FAILED, 1);
    count_fates(p, &sums);
    EVP_MD_CTX_free(r.md5);
    free(r.buf);
}
