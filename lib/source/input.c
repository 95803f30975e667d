/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of an input, pulled in order through a decompressor where needed. */
#include "source/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/codec.h"

enum {
    STORED_BYTES = 256 * 1024, /* compressed bytes read at a time */
    WAIT_MS = 10,              /* how long a read waits for a pipe before it says "nothing now" */
};

struct ws_input {
    int fd;
    bool own_fd, pollable;
    bool stored_end;                  /* the descriptor is at its end */
    const struct ws_codec_ops *codec; /* NULL: plain */
    void *codec_state;
    bool between;    /* the codec is at the end of a member */
    bool pending;    /* the last step filled its room: the codec may hold more */
    int failed;      /* -errno that every further read returns */
    uint64_t taken;  /* bytes taken from the descriptor */
    uint8_t *stored; /* STORED_BYTES; plain inputs use only the first bytes, looked at by open */
    size_t stored_pos, stored_len;
    char error[200];
};

static int set_error(struct ws_input *in, int code, const char *reason)
{
    snprintf(in->error, sizeof(in->error), "offset %" PRIu64 ": %s",
             in->taken - (in->stored_len - in->stored_pos), reason);
    in->failed = code;
    return code;
}

/* read(2) with waiting bounded: a count, 0 at the end, -EAGAIN, -EINTR or a lasting -errno. */
static ssize_t read_fd(struct ws_input *in, uint8_t *buf, size_t len)
{
    if (in->stored_end)
        return 0;
    if (in->pollable) {
        struct pollfd p = {.fd = in->fd, .events = POLLIN};
        int r = poll(&p, 1, WAIT_MS);
        if (r <= 0)
            return r == 0 ? -EAGAIN : -errno;
    }
    ssize_t n = read(in->fd, buf, len);
    if (n < 0)
        return -errno;
    in->taken += (uint64_t)n;
    in->stored_end = n == 0;
    return n;
}

/* The same, for reading on: interruptions are "nothing now", and errors have their text. */
static ssize_t read_on(struct ws_input *in, uint8_t *buf, size_t len)
{
    ssize_t n = read_fd(in, buf, len);
    if (n >= 0 || n == -EAGAIN)
        return n;
    return n == -EINTR ? -EAGAIN : set_error(in, (int)n, strerror((int)-n));
}

static ssize_t read_plain(struct ws_input *in, uint8_t *buf, size_t len)
{
    size_t looked_at = in->stored_len - in->stored_pos;
    if (!looked_at)
        return read_on(in, buf, len);
    size_t n = WS_MIN(looked_at, len);
    memcpy(buf, in->stored + in->stored_pos, n);
    in->stored_pos += n;
    return (ssize_t)n;
}

/* Called when a step made no progress: more stored bytes, or the end, or damage. 1: step again. */
static ssize_t refill(struct ws_input *in)
{
    if (in->stored_pos < in->stored_len)
        return set_error(in, -EBADMSG, "decompression makes no progress");
    if (!in->stored_end) {
        ssize_t n = read_on(in, in->stored, STORED_BYTES);
        if (n < 0)
            return n;
        in->stored_pos = 0;
        in->stored_len = (size_t)n;
        if (n)
            return 1;
    }
    if (in->between)
        return 0;
    char text[64];
    snprintf(text, sizeof(text), "%s data is cut short", in->codec->name);
    return set_error(in, -EBADMSG, text);
}

static ssize_t read_compressed(struct ws_input *in, uint8_t *buf, size_t len)
{
    for (;;) {
        /* a step with nothing new to work on is taken as a fault by some libraries */
        if (in->stored_pos == in->stored_len && !in->pending) {
            ssize_t more = refill(in);
            if (more <= 0)
                return more;
        }
        struct ws_codec_io io = {
            .in = in->stored + in->stored_pos,
            .in_len = in->stored_len - in->stored_pos,
            .out = buf,
            .out_len = len,
        };
        bool was_between = in->between;
        enum ws_codec_result r = in->codec->step(in->codec_state, &io);
        bool took = io.in_len != in->stored_len - in->stored_pos;
        in->stored_pos = in->stored_len - io.in_len;
        in->between = r == WS_CODEC_BETWEEN;
        in->pending = io.out_len == 0;
        if (r == WS_CODEC_FAILED)
            set_error(in, -EBADMSG, io.reason);
        if (io.out_len < len) /* what came before the damage is delivered first */
            return (ssize_t)(len - io.out_len);
        if (r == WS_CODEC_FAILED)
            return in->failed;
        if (took || (was_between && !in->between))
            continue;
        ssize_t more = refill(in);
        if (more <= 0)
            return more;
    }
}

ssize_t ws_input_read(struct ws_input *in, uint8_t *buf, size_t len)
{
    if (in->failed)
        return in->failed;
    return in->codec ? read_compressed(in, buf, len) : read_plain(in, buf, len);
}

const char *ws_input_error(const struct ws_input *in)
{
    return in->error;
}

bool ws_input_compressed(const struct ws_input *in)
{
    return in->codec != NULL;
}

uint64_t ws_input_consumed(const struct ws_input *in)
{
    return in->taken - (in->stored_len - in->stored_pos);
}

int ws_input_plain(const struct ws_input *in, uint64_t *offset)
{
    if (in->codec || in->pollable || in->failed || in->stored_end || in->stored_pos < in->stored_len)
        return -1;
    off_t at = lseek(in->fd, 0, SEEK_CUR); /* standard input may have begun anywhere */
    if (at < 0)
        return -1;
    *offset = (uint64_t)at;
    return in->fd;
}

int ws_input_pass(struct ws_input *in, uint64_t len)
{
    in->taken += len;
    return lseek(in->fd, (off_t)len, SEEK_CUR) < 0 ? (int)set_error(in, -errno, strerror(errno)) : 0;
}

void ws_input_close(struct ws_input *in)
{
    if (!in)
        return;
    if (in->codec_state)
        in->codec->destroy(in->codec_state);
    if (in->own_fd && in->fd >= 0)
        close(in->fd);
    free(in->stored);
    free(in);
}

static bool is_stdin(const char *path)
{
    return !strcmp(path, "-");
}

static int open_fd(struct ws_input *in, const char *path)
{
    struct stat st;
    in->own_fd = !is_stdin(path);
    in->fd = in->own_fd ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
    if (in->fd < 0 || fstat(in->fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    in->pollable = !S_ISREG(st.st_mode);
    if (S_ISREG(st.st_mode))
        posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

/* Reads the first bytes, by which compression is recognised; fewer only at the end of the file. */
static int look(struct ws_input *in)
{
    while (in->stored_len < WS_CODEC_MAGIC_MAX) {
        ssize_t n = read_fd(in, in->stored + in->stored_len, WS_CODEC_MAGIC_MAX - in->stored_len);
        if (n == 0)
            break;
        if (n == -EAGAIN)
            continue;
        if (n < 0)
            return (int)n;
        in->stored_len += (size_t)n;
    }
    return in->stored_len ? 0 : -ENODATA;
}

static int start(struct ws_input *in, const char *path)
{
    int r = open_fd(in, path);
    if (r)
        return r;
    in->stored = malloc(STORED_BYTES);
    if (!in->stored)
        return -ENOMEM;
    r = look(in);
    if (r)
        return r;
    in->codec = ws_codec_find(in->stored, in->stored_len);
    if (in->codec && !(in->codec_state = in->codec->create()))
        return -ENOMEM;
    return 0;
}

int ws_input_open(struct ws_input **out, const char *path, char *err, size_t err_len)
{
    struct ws_input *in = calloc(1, sizeof(*in));
    int r = -ENOMEM;
    if (in) {
        in->fd = -1;
        r = start(in, path);
    }
    if (r) {
        const char *name = is_stdin(path) ? "standard input" : path;
        snprintf(err, err_len, "%s: %s", name, r == -ENODATA ? "empty file" : strerror(-r));
        ws_input_close(in);
        return r;
    }
    *out = in;
    return 0;
}

uint64_t ws_input_size(const char *path)
{
    struct stat st;
    int r = is_stdin(path) ? fstat(STDIN_FILENO, &st) : stat(path, &st);
    return r == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}
