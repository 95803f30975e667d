/* SPDX-License-Identifier: BSD-3-Clause */
/* A test bed for the writer: a scratch directory, a writer with one output, and its thread. */
#ifndef WS_TESTS_WRITER_BED_H
#define WS_TESTS_WRITER_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "writer/writer.h"

#define BED_MEM_MAX 64

struct bed {
    char dir[64];
    struct ws_writer *w;
    struct ws_output *out;
    char err[512];
    void *mem[BED_MEM_MAX];
    unsigned mem_count;
    pthread_t thread;
    bool threaded;
    /* from on_closed() */
    unsigned closed;
    char closed_path[WS_PATH_MAX + 32];
    uint64_t closed_tag;
    int closed_error;
};

static inline void *bed_alloc(void *user, unsigned channel, size_t bytes)
{
    (void)channel;
    struct bed *b = user;
    void *p = NULL;
    assert_true(b->mem_count < BED_MEM_MAX);
    assert_int_equal(posix_memalign(&p, 4096, bytes), 0);
    memset(p, 0, bytes);
    b->mem[b->mem_count++] = p;
    return p;
}

static inline void bed_closed(void *user, const char *path, uint64_t tag, int error)
{
    struct bed *b = user;
    b->closed++;
    snprintf(b->closed_path, sizeof(b->closed_path), "%s", path);
    b->closed_tag = tag;
    b->closed_error = error;
}

/* Lines that were logged, newest last. */
static char bed_log[16384];

static inline void bed_log_sink(enum ws_log_level level, const char *line)
{
    (void)level;
    size_t len = strlen(bed_log);
    snprintf(bed_log + len, sizeof(bed_log) - len, "%s\n", line);
}

/* The path of name in the scratch directory; valid until 8 more calls. */
static inline const char *bed_path(const struct bed *b, const char *name)
{
    static char buf[8][512];
    static unsigned at;
    at = (at + 1) % 8;
    snprintf(buf[at], sizeof(buf[at]), "%s/%s", b->dir, name);
    return buf[at];
}

static inline void bed_init_at(struct bed *b, const struct ws_writer_config *cfg, const char *where)
{
    memset(b, 0, sizeof(*b));
    bed_log[0] = '\0';
    ws_log_sink = bed_log_sink;
    snprintf(b->dir, sizeof(b->dir), "%s/ws-writer-XXXXXX", where);
    assert_non_null(mkdtemp(b->dir));
    assert_int_equal(ws_writer_create(&b->w, cfg), 0);
}

static inline void bed_init(struct bed *b, const struct ws_writer_config *cfg)
{
    /* Memory rather than a disk that others keep busy. */
    bed_init_at(b, cfg, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static inline struct ws_output *bed_add(struct bed *b, struct ws_output_config cfg)
{
    cfg.on_closed = bed_closed;
    cfg.user = b;
    int rc = ws_writer_add_output(b->w, &cfg, bed_alloc, b, &b->out, b->err, sizeof(b->err));
    if (rc)
        fail_msg("add_output: %d %s", rc, b->err);
    return b->out;
}

static void *bed_thread(void *arg)
{
    struct bed *b = arg;
    while (!ws_writer_done(b->w))
        if (ws_writer_poll(b->w) == 0)
            sched_yield();
    return NULL;
}

static inline void bed_start(struct bed *b)
{
    assert_int_equal(pthread_create(&b->thread, NULL, bed_thread, b), 0);
    b->threaded = true;
}

/* Waits for the end (with a thread) or polls to the end (without). */
static inline void bed_drain(struct bed *b)
{
    if (b->threaded)
        pthread_join(b->thread, NULL);
    else
        bed_thread(b);
    b->threaded = false;
    assert_true(ws_writer_done(b->w));
}

static int bed_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void bed_fini(struct bed *b)
{
    ws_writer_destroy(b->w);
    for (unsigned i = 0; i < b->mem_count; i++)
        free(b->mem[i]);
    nftw(b->dir, bed_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline uint64_t bed_count(const struct bed *b, enum ws_counter id)
{
    return ws_count_get(ws_writer_counters(b->w), id);
}

/* Reads a whole file; the caller frees. NULL when it is not there. */
static inline uint8_t *bed_read(const char *path, size_t *len)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return NULL;
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t *p = malloc((size_t)st.st_size + 1);
    assert_non_null(p);
    *len = 0;
    for (ssize_t n; (n = read(fd, p + *len, (size_t)st.st_size + 1 - *len)) > 0;)
        *len += (size_t)n;
    close(fd);
    return p;
}

static inline void bed_expect(const char *path, const void *data, size_t len)
{
    size_t got = 0;
    uint8_t *p = bed_read(path, &got);
    if (!p)
        fail_msg("%s is not there", path);
    assert_int_equal(got, len);
    assert_memory_equal(p, data, len);
    free(p);
}

static inline bool bed_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static inline int put(struct ws_channel *ch, uint64_t id, uint64_t off, const void *data,
                      size_t len)
{
    return ws_channel_file_write(ch, id, off, &(struct ws_bytes){data, len}, 1);
}

static inline int put_str(struct ws_channel *ch, uint64_t id, uint64_t off, const char *s)
{
    return put(ch, id, off, s, strlen(s));
}

static inline int put_record(struct ws_channel *ch, uint64_t order, const void *data, size_t len)
{
    return ws_channel_record(ch, order, &(struct ws_bytes){data, len}, 1);
}

/* A reproducible stream of numbers. */
static inline uint64_t bed_random(uint64_t *s)
{
    uint64_t x = *s += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Sets *backend to io_uring where the machine has it, else says so and leaves it. */
static inline void bed_want_uring(enum ws_backend_kind *backend)
{
    struct ws_writer *w;
    if (ws_writer_create(&w, &(struct ws_writer_config){.backend = WS_BACKEND_URING}) != 0) {
        print_message("no io_uring here: these cases run on plain writes\n");
        return;
    }
    ws_writer_destroy(w);
    *backend = WS_BACKEND_URING;
}

#endif
