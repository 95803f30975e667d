/* SPDX-License-Identifier: BSD-3-Clause */
/* wirespool repair: trims damaged or unfinished capture files to their longest valid prefix. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands.h"
#include "format/json.h"
#include "format/repair.h"

#define BUFFER_BYTES ((size_t)4 << 20)
#define PART_SUFFIX  ".part"

/* One file on its way through the command. */
struct job {
    const struct options *o;
    const char *path;
    int fd;
    struct stat st;
    struct ws_repair found;
    uint8_t *buf;
    size_t buf_bytes;
    char *out;       /* where the result is; NULL = nowhere, heap */
    const char *did; /* what was done, as a word for --json */
};

static int complain(const char *path, int error)
{
    fprintf(stderr, "wirespool repair: %s: %s\n", path, strerror(error));
    return 3;
}

static bool is_part(const char *path)
{
    size_t len = strlen(path), suffix = strlen(PART_SUFFIX);
    return len > suffix && strcmp(path + len - suffix, PART_SUFFIX) == 0;
}

/* ---- scanning ---- */

static int reserve(struct job *j, size_t bytes)
{
    if (bytes <= j->buf_bytes)
        return 0;
    uint8_t *more = realloc(j->buf, bytes);
    if (!more)
        return complain(j->path, ENOMEM);
    j->buf = more;
    j->buf_bytes = bytes;
    return 0;
}

/* Feeds the scanner until it knows. 0 or exit code. */
static int scan(struct job *j)
{
    struct ws_repair *r = &j->found;
    size_t held = 0;
    uint64_t read_to = 0;
    bool end = false;
    int code;

    ws_repair_init(r);
    posix_fadvise(j->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while (!r->reason && !end) {
        if ((code = reserve(j, WS_MAX(BUFFER_BYTES, (size_t)r->need))))
            return code;
        while (held < j->buf_bytes && !end) {
            ssize_t n = pread(j->fd, j->buf + held, j->buf_bytes - held, (off_t)read_to);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return complain(j->path, errno);
            held += (size_t)n;
            read_to += (uint64_t)n;
            end = n == 0;
        }
        size_t used = ws_repair_feed(r, j->buf, held, end);
        held -= used;
        memmove(j->buf, j->buf + used, held);
    }
    return 0;
}

/* ---- writing ---- */

static int write_all(int fd, const uint8_t *p, size_t len)
{
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The first len bytes of j's file to fd; in the kernel where it can. 0 or -errno. */
static int copy(struct job *j, int fd, uint64_t len)
{
    off_t at = 0;
    while ((uint64_t)at < len) {
        ssize_t n = copy_file_range(j->fd, &at, fd, NULL,
                                    (size_t)WS_MIN(len - (uint64_t)at, UINT64_C(1) << 30), 0);
        if (n <= 0)
            break;
    }
    while ((uint64_t)at < len) {
        ssize_t n =
            pread(j->fd, j->buf, (size_t)WS_MIN(len - (uint64_t)at, (uint64_t)j->buf_bytes), at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO; /* shorter than when it was scanned */
        int rc = write_all(fd, j->buf, (size_t)n);
        if (rc)
            return rc;
        at += n;
    }
    return 0;
}

/* Gives the finished file its name. 0 or -errno. */
static int commit(const char *temp, const char *path, bool replace)
{
    struct stat st;
    if (replace && lstat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST; /* no device goes */
    if (replace)
        return rename(temp, path) == 0 ? 0 : -errno;
    if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (link(temp, path) != 0) /* a file system without that flag */
        return -errno;
    unlink(temp);
    return 0;
}

/* Writes the prefix to a file beside j->out and renames it: a reader sees all of it or nothing. */
static int write_out(struct job *j)
{
    char *temp;
    if (strcmp(j->out, "-") == 0) {
        int rc = copy(j, STDOUT_FILENO, j->found.keep);
        return rc ? complain("standard output", -rc) : 0;
    }
    if (!j->o->overwrite && access(j->out, F_OK) == 0) {
        fprintf(stderr, "wirespool repair: %s: exists already (--overwrite replaces it)\n", j->out);
        return 3;
    }
    if (asprintf(&temp, "%s.repair-XXXXXX", j->out) < 0)
        return complain(j->out, ENOMEM);
    int fd = mkstemp(temp);
    int rc = fd >= 0 ? copy(j, fd, j->found.keep) : -errno;
    if (!rc && (fchmod(fd, j->st.st_mode & 0777) != 0 || fsync(fd) != 0))
        rc = -errno;
    if (fd >= 0 && close(fd) != 0 && !rc)
        rc = -errno;
    if (!rc)
        rc = commit(temp, j->out, j->o->overwrite);
    if (rc && fd >= 0)
        unlink(temp);
    free(temp);
    return rc ? complain(j->out, -rc) : 0;
}

static int trim(struct job *j)
{
    if (ftruncate(j->fd, (off_t)j->found.keep) != 0 || fsync(j->fd) != 0)
        return complain(j->path, errno);
    return 0;
}

/* What is to be done with a file that was scanned. Exit code. */
static int act(struct job *j)
{
    const struct options *o = j->o;
    int code;
    j->did = "nothing";
    if (!ws_repair_usable(&j->found) && j->found.reason)
        return 1;
    if (o->in_place) {
        if (!j->found.reason)
            return 0;
        code = trim(j);
        j->did = code ? "failed" : "trimmed";
        return code;
    }
    if (o->out)
        j->out = strdup(o->out);
    else if (is_part(j->path))
        j->out = strndup(j->path, strlen(j->path) - strlen(PART_SUFFIX));
    else
        return j->found.reason ? 1 : 0;
    if (!j->out)
        return complain(j->path, ENOMEM);
    code = write_out(j);
    j->did = code ? "failed" : "written";
    return code;
}

/* ---- the report ---- */

static const char *const format_name[] = {
    [WS_REPAIR_UNKNOWN] = "unknown", [WS_REPAIR_PCAP] = "pcap", [WS_REPAIR_PCAPNG] = "pcapng",
    [WS_REPAIR_ARCHIVE] = "archive"};

/* What the whole units of a file are. */
static const char *units(const struct job *j)
{
    return j->found.kind == WS_REPAIR_ARCHIVE ? "records" : "packets";
}

static void print_json(const struct job *j, uint64_t size)
{
    const struct ws_repair *r = &j->found;
    char buf[32768]; /* two paths, each byte at most 6 characters */
    struct ws_text t;
    struct ws_json w;
    ws_text_init(&t, buf, sizeof(buf));
    ws_json_init(&w, &t);
    ws_json_object(&w);
    ws_json_key(&w, "file");
    ws_json_strz(&w, j->path);
    ws_json_key(&w, "format");
    ws_json_strz(&w, format_name[r->kind]);
    ws_json_key(&w, "whole");
    ws_json_bool(&w, r->reason == NULL);
    ws_json_key(&w, units(j));
    ws_json_u64(&w, r->packets);
    ws_json_key(&w, "bytes_kept");
    ws_json_u64(&w, r->keep);
    ws_json_key(&w, "bytes_trimmed");
    ws_json_u64(&w, size - r->keep);
    if (r->reason) {
        ws_json_key(&w, "reason");
        ws_json_strz(&w, r->reason);
        if (r->number != WS_REPAIR_NO_NUMBER) {
            ws_json_key(&w, "reason_number");
            ws_json_u64(&w, r->number);
        }
        ws_json_key(&w, "reason_offset");
        ws_json_u64(&w, r->reason_off);
    }
    ws_json_key(&w, "did");
    ws_json_strz(&w, j->did);
    if (j->out) {
        ws_json_key(&w, "out");
        ws_json_strz(&w, j->out);
    }
    ws_json_object_end(&w);
    if (ws_text_end(&t) < 0)
        return;
    fprintf(j->out && strcmp(j->out, "-") == 0 ? stderr : stdout, "%s\n", buf);
}

static void print_line(const struct job *j, uint64_t size, int code)
{
    const struct ws_repair *r = &j->found;
    FILE *f = stderr;
    if (j->o->quiet && code == 0)
        return;
    if (!r->reason) {
        fprintf(f, "%s: whole, %" PRIu64 " %s, %" PRIu64 " bytes", j->path, r->packets,
                units(j), r->keep);
    } else {
        fprintf(f, "%s: offset %" PRIu64 ": %s", j->path, r->reason_off, r->reason);
        if (r->number != WS_REPAIR_NO_NUMBER)
            fprintf(f, ": %" PRIu64, r->number);
        fputs("; ", f);
        if (!ws_repair_usable(r))
            fprintf(f, "nothing can be saved");
        else
            fprintf(f, "%" PRIu64 " %s, %" PRIu64 " bytes are kept, %" PRIu64 " bytes trimmed",
                    r->packets, units(j), r->keep, size - r->keep);
    }
    if (strcmp(j->did, "written") == 0)
        fprintf(f, "; written to %s", strcmp(j->out, "-") == 0 ? "standard output" : j->out);
    else if (strcmp(j->did, "trimmed") == 0)
        fprintf(f, "; trimmed in place");
    else if (code == 1 && ws_repair_usable(r))
        fprintf(f, "; nothing was written: give -o OUT or --in-place");
    fputc('\n', f);
}

static int repair(const struct options *o, const char *path)
{
    struct job j = {.o = o, .path = path, .did = "failed"};
    int code = 0;
    j.fd = open(path, (o->in_place ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (j.fd < 0)
        return complain(path, errno);
    if (fstat(j.fd, &j.st) != 0) {
        code = complain(path, errno);
    } else if (!S_ISREG(j.st.st_mode)) {
        fprintf(stderr, "wirespool repair: %s: not a regular file\n", path);
        code = 3;
    } else if ((code = scan(&j)) == 0) {
        uint64_t size = WS_MAX((uint64_t)j.st.st_size, j.found.keep);
        code = act(&j);
        if (o->json)
            print_json(&j, size);
        else
            print_line(&j, size, code);
    }
    close(j.fd);
    free(j.buf);
    free(j.out);
    return code;
}

static int usage(const char *text)
{
    fprintf(stderr, "wirespool repair: %s (see wirespool repair --help)\n", text);
    return 2;
}

int cmd_repair(struct options *o)
{
    int code = 0;
    if (o->input.n == 0)
        return usage("give a file");
    if (o->out && o->in_place)
        return usage("-o and --in-place exclude each other");
    if (o->out && o->input.n > 1)
        return usage("-o takes one input file");
    for (unsigned i = 0; i < o->input.n; i++) {
        int one = repair(o, o->input.item[i]);
        code = WS_MAX(code, one);
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        return complain("standard output", errno);
    return code;
}
