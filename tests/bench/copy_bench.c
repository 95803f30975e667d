/* SPDX-License-Identifier: BSD-3-Clause */
/* The bound of `streams`: what the kernel alone takes to read a capture and to write as many bytes to as many files.
 *
 * usage: ws-bench-copy INPUT OUT-DIR FILES [THREADS [WRITE-BYTES [CHUNK-BYTES]]]
 *
 * Each thread reads its part of INPUT in chunks (256 KiB) and writes each byte, in writes of at most WRITE-BYTES
 * (64 KiB), to its part of FILES new files of OUT-DIR, one after another: openat, pwrite, futimens, close. Nothing is
 * looked at and nothing copied in between: no program that reads and writes files with system calls can be faster on so
 * many threads. OUT-DIR "-" only reads. Prints seconds of the wall and of the processors.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

struct part {
    pthread_t thread;
    int in, dir; /* dir -1: only read */
    unsigned number;
    uint64_t from, to; /* of the input */
    uint64_t files, file_bytes;
    size_t write_bytes, chunk_bytes;
    uint64_t calls;
    int error;
};

/* The file that is written now. */
struct file {
    int fd;
    uint64_t pos, made;
};

static int file_end(struct file *f)
{
    int rc = 0;
    if (f->fd >= 0 && (futimens(f->fd, (const struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}) != 0 || close(f->fd) != 0))
        rc = -errno;
    f->fd = -1;
    f->pos = 0;
    return rc;
}

static int write_out(struct part *p, struct file *f, const uint8_t *data, size_t len)
{
    while (len) {
        /* the last file takes what division left */
        if (f->fd >= 0 && f->pos >= p->file_bytes && f->made < p->files) {
            int rc = file_end(f);
            if (rc)
                return rc;
        }
        if (f->fd < 0) {
            char name[64];
            snprintf(name, sizeof(name), "bench-%u-%" PRIu64, p->number, f->made++);
            f->fd = openat(p->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
            if (f->fd < 0)
                return -errno;
        }
        size_t n = len < p->write_bytes ? len : p->write_bytes;
        if (f->made < p->files && n > p->file_bytes - f->pos)
            n = (size_t)(p->file_bytes - f->pos);
        ssize_t put = pwrite(f->fd, data, n, (off_t)f->pos);
        if (put <= 0)
            return put ? -errno : -EIO;
        p->calls++;
        f->pos += (uint64_t)put;
        data += put;
        len -= (size_t)put;
    }
    return 0;
}

static void *run(void *arg)
{
    struct part *p = arg;
    struct file f = {.fd = -1};
    uint8_t *chunk = aligned_alloc(4096, p->chunk_bytes);
    if (!chunk) {
        p->error = -ENOMEM;
        return NULL;
    }
    for (uint64_t at = p->from; at < p->to && !p->error;) {
        size_t want = p->to - at < p->chunk_bytes ? (size_t)(p->to - at) : p->chunk_bytes;
        ssize_t got = pread(p->in, chunk, want, (off_t)at);
        if (got <= 0) {
            p->error = got ? -errno : -EIO;
            break;
        }
        at += (uint64_t)got;
        if (p->dir >= 0)
            p->error = write_out(p, &f, chunk, (size_t)got);
    }
    int rc = file_end(&f);
    p->error = p->error ? p->error : rc;
    free(chunk);
    return NULL;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static uint64_t number(char **arg, int n, int i, uint64_t otherwise, uint64_t max)
{
    uint64_t v = i < n ? strtoull(arg[i], NULL, 10) : otherwise;
    return v < 1 ? 1 : v > max ? max : v;
}

int main(int n, char **arg)
{
    static struct part part[THREADS_MAX];
    if (n < 4) {
        fprintf(stderr, "usage: ws-bench-copy INPUT OUT-DIR FILES [THREADS [WRITE-BYTES [CHUNK-BYTES]]]\n");
        return 2;
    }
    uint64_t files = number(arg, n, 3, 1, UINT32_MAX), calls = 0;
    unsigned threads = (unsigned)number(arg, n, 4, 1, THREADS_MAX);
    struct stat st;
    int in = open(arg[1], O_RDONLY | O_CLOEXEC);
    bool only_read = strcmp(arg[2], "-") == 0;
    int dir = only_read ? -1 : open(arg[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (in < 0 || fstat(in, &st) != 0 || (!only_read && dir < 0)) {
        fprintf(stderr, "ws-bench-copy: %s: %s\n", in < 0 ? arg[1] : arg[2], strerror(errno));
        return 3;
    }
    uint64_t bytes = (uint64_t)st.st_size;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned i = 0; i < threads; i++) {
        struct part *p = &part[i];
        *p = (struct part){.in = in, .dir = dir, .number = i, .from = bytes / threads * i,
                           .to = i + 1 < threads ? bytes / threads * (i + 1) : bytes,
                           .files = files / threads + !(files / threads),
                           .write_bytes = number(arg, n, 5, 64 << 10, 1 << 30),
                           .chunk_bytes = number(arg, n, 6, 256 << 10, 1 << 30)};
        p->file_bytes = (p->to - p->from) / p->files + !((p->to - p->from) / p->files);
        int rc = pthread_create(&p->thread, NULL, run, p);
        if (rc) {
            fprintf(stderr, "ws-bench-copy: thread: %s\n", strerror(rc));
            return 3;
        }
    }
    int error = 0;
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(part[i].thread, NULL);
        calls += part[i].calls;
        error = error ? error : part[i].error;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (error) {
        fprintf(stderr, "ws-bench-copy: %s\n", strerror(-error));
        return 3;
    }
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double wall = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("%.3f s, %.3f s user, %.3f s system, %.2f Gbit/s, %" PRIu64 " writes\n", wall, seconds(u.ru_utime),
           seconds(u.ru_stime), (double)bytes * 8 / wall / 1e9, calls);
    return 0;
}
