/* SPDX-License-Identifier: BSD-3-Clause */
/* Temporary inputs, whole sources read into a list, and the log caught, for tests of the file
 * source. */
#ifndef WS_TESTS_SOURCE_SLURP_H
#define WS_TESTS_SOURCE_SLURP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "source/file.h"
#include "unit/source/build.h"

/* --- the log --- */

static char logged[16384]; /* all lines since the last clear */

static inline void catch_log(enum ws_log_level level, const char *line)
{
    size_t n = strlen(logged);
    (void)level;
    snprintf(logged + n, sizeof(logged) - n, "%s\n", line);
}

static inline void clear_log(void)
{
    ws_log_sink = catch_log;
    logged[0] = '\0';
}

/* --- temporary files --- */

/* A new file of these bytes; path is at least 64 bytes long. */
static inline void write_temp(char *path, const void *p, size_t len)
{
    const char *dir = getenv("TMPDIR");
    snprintf(path, 256, "%s/wirespool-source-XXXXXX", dir ? dir : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0)
        abort();
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, (const uint8_t *)p + at, len - at);
        if (n <= 0)
            abort();
        at += (size_t)n;
    }
    close(fd);
}

/* --- sources read wholly --- */

struct row {
    struct ws_packet k; /* data points to a copy */
};

struct slurp {
    struct row *row;
    unsigned n;
    bool damaged;
    unsigned n_iface;
    struct ws_source_iface iface[16];
    uint64_t bytes_total, bytes_done;
    char err[512]; /* of a failed open */
};

static inline void slurp_add(struct slurp *s, const struct ws_packet *k)
{
    if ((s->n & (s->n - 1)) == 0)
        s->row = realloc(s->row, (s->n ? 2 * s->n : 1) * sizeof(*s->row));
    uint8_t *copy = malloc(k->cap_len ? k->cap_len : 1);
    if (!s->row || !copy)
        abort();
    memcpy(copy, k->data, k->cap_len);
    s->row[s->n].k = *k;
    s->row[s->n++].k.data = copy;
}

static inline void slurp_free(struct slurp *s)
{
    for (unsigned i = 0; i < s->n; i++)
        free((void *)(uintptr_t)s->row[i].k.data);
    free(s->row);
    memset(s, 0, sizeof(*s));
}

/* Reads all that cfg names. What ws_file_open() says; rows are there on 0. */
static inline int slurp_once(struct slurp *s, const struct ws_file_config *cfg)
{
    struct ws_source *src;
    struct ws_packet pkt[WS_BURST_MAX];
    memset(s, 0, sizeof(*s));
    memset(pkt, 0xff, sizeof(pkt)); /* fields that the source forgets are seen */
    int r = ws_file_open(&src, cfg, s->err, sizeof(s->err));
    if (r)
        return r;
    for (;;) {
        int n = ws_source_rx(src, pkt, WS_BURST_MAX);
        if (n == WS_SOURCE_END)
            break;
        for (int i = 0; i < n; i++)
            slurp_add(s, &pkt[i]);
        if (src->stable)
            src->ops->release(src, src->chunk_seq);
    }
    const struct ws_source_iface *f = src->ops->ifaces(src, &s->n_iface);
    memcpy(s->iface, f, WS_MIN(s->n_iface, 16u) * sizeof(*f));
    s->damaged = src->damaged;
    s->bytes_total = src->bytes_total;
    s->bytes_done = src->bytes_done;
    src->ops->close(src);
    return 0;
}

static inline void assert_slurped_alike(const struct slurp *a, const struct slurp *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->damaged, b->damaged);
    assert_int_equal(a->n_iface, b->n_iface);
    assert_memory_equal(a->iface, b->iface, sizeof(a->iface));
    if (!a->damaged) /* of a file that stops early more or less has been read */
        assert_int_equal(a->bytes_done, b->bytes_done);
    for (unsigned i = 0; i < a->n; i++) {
        const struct ws_packet *k = &a->row[i].k, *l = &b->row[i].k;
        assert_true(k->ts_ns == l->ts_ns && k->clock_ns == l->clock_ns && k->ordinal == l->ordinal && k->flags == l->flags);
        assert_true(k->cap_len == l->cap_len && k->wire_len == l->wire_len && k->link_type == l->link_type && k->iface == l->iface);
        assert_memory_equal(k->data, l->data, k->cap_len);
    }
}

/* The same; where packets are not steered a second time with the file read ahead in small windows, which must give and
 * say the same. */
static inline int slurp(struct slurp *s, const struct ws_file_config *cfg)
{
    static char before[sizeof(logged)], told[sizeof(logged)];
    struct ws_file_config ahead = *cfg;
    struct slurp again;
    ahead.ahead_from = 1;
    ahead.ahead_window = 4096;
    memcpy(before, logged, sizeof(before));
    int r = slurp_once(s, cfg);
    if (cfg->stable || cfg->alloc || (cfg->n_path && strcmp(cfg->path[0], "-") == 0)) /* a pipe is read once */
        return r;
    memcpy(told, logged, sizeof(told));
    memcpy(logged, before, sizeof(logged));
    assert_int_equal(slurp_once(&again, &ahead), r);
    assert_string_equal(logged, told);
    assert_slurped_alike(s, &again);
    slurp_free(&again);
    return r;
}

/* The same for bytes that become a temporary file for the while; cfg may be NULL. */
static inline int slurp_bytes(struct slurp *s, const void *p, size_t len,
                              const struct ws_file_config *cfg)
{
    char path[256];
    const char *list[1] = {path};
    struct ws_file_config c = cfg ? *cfg : (struct ws_file_config){0};
    write_temp(path, p, len);
    c.path = list;
    c.n_path = 1;
    int r = slurp(s, &c);
    unlink(path);
    return r;
}

#endif
