/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files as a source: the list of files, reading on, and classic pcap records. */
#include "source/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#include "source/file_private.h"

enum {
    CHUNK_BYTES = 4 * 1024 * 1024,
    CHUNKS_STEERED = 32,
    PACKET_BYTES_MAX = 256 * 1024,
    AHEAD_WINDOW = 256 * 1024,
    AHEAD_WINDOWS = 8,
    AHEAD_FRONT = 64 * 1024 + WS_FILE_RECORD_EXTRA, /* longer rests are not worth a place in front of each window */
};

static struct ws_file *file_of(struct ws_source *s)
{
    return (struct ws_file *)s;
}

void ws_file_damage(struct ws_file *f, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    f->base.damaged = true;
    ws_log(WS_LOG_ERROR, "%s: offset %" PRIu64 "%s: %s", f->name, ws_file_offset(f),
           ws_input_compressed(f->in) ? " (unpacked)" : "", text);
}

/* --- reading ahead --- */

/* Tries it once a file, when its header is known. */
static void ahead_begin(struct ws_file *f)
{
    uint64_t at;
    f->ahead_tried = true;
    int fd = f->ahead ? ws_input_plain(f->in, &at) : -1;
    if (fd < 0)
        return;
    ws_ahead_begin(f->ahead, fd, at);
    f->ahead_on = true;
    f->ahead_bytes = 0;
}

/* From here on the file is read in the ordinary way, which finds out why there was no more, if so. */
static int ahead_end(struct ws_file *f)
{
    ws_ahead_end(f->ahead);
    ws_chunks_return(&f->chunks);
    f->ahead_on = false;
    return ws_input_pass(f->in, f->ahead_bytes);
}

/* The next window becomes the bytes at hand: their count, 0 the end, -EAGAIN nothing now. */
static ssize_t ahead_read(struct ws_file *f)
{
    uint8_t *data;
    if (ws_chunks_unread(&f->chunks) > AHEAD_FRONT)
        return 0;
    size_t n = ws_ahead_next(f->ahead, &data);
    if (n == SIZE_MAX)
        return -EAGAIN;
    if (n == 0)
        return 0;
    ws_chunks_borrow(&f->chunks, data, n);
    ws_ahead_free(f->ahead);
    f->ahead_bytes += n;
    return (ssize_t)n;
}

/* --- one file --- */

static void close_file(struct ws_file *f)
{
    f->chunks.pos = f->chunks.end; /* what is left is not a packet */
    if (f->ahead_on)
        ahead_end(f);
    f->done_before += ws_input_consumed(f->in);
    ws_input_close(f->in);
    f->in = NULL;
    f->state = WS_FILE_NONE;
}

/* Opens the next path. -errno with "PATH: reason" in err. */
static int open_file(struct ws_file *f, char *err, size_t err_len)
{
    const char *path = f->path[f->next++];
    f->flags = f->next > f->n_path - f->n_continue ? WS_PKT_CONTINUES : 0;
    f->name = strcmp(path, "-") ? path : "standard input";
    int r = ws_input_open(&f->in, path, err, err_len);
    if (r)
        return r == -ENODATA ? -EINVAL : r; /* an empty file is as little a capture as text */
    if (f->begins)
        f->begins(f->begins_user, path);
    f->state = WS_FILE_HEADER;
    f->read = 0;
    f->skip = 0;
    f->need = 0;
    f->ahead_tried = false;
    ws_ifaces_begin(&f->ifaces);
    return 0;
}

/* Reads on behind the unread bytes: 1 more are there, 0 end of file, -EAGAIN nothing now (or no
 * chunk is free), else unreadable from here. */
static int read_more(struct ws_file *f)
{
    ssize_t n = 0;
    if (!f->ahead_tried && f->state > WS_FILE_HEADER)
        ahead_begin(f);
    if (f->ahead_on) {
        n = ahead_read(f);
        if (n == 0 && (n = ahead_end(f)) < 0)
            return (int)n;
    }
    if (n == 0) {
        uint8_t *dst;
        size_t room = ws_chunks_room(&f->chunks, &dst);
        if (!room)
            return -EAGAIN;
        if (f->ahead && f->state == WS_FILE_HEADER)
            room = WS_MIN(room, (size_t)WS_PCAP_HEADER_LEN); /* all else is read ahead */
        n = ws_input_read(f->in, dst, room);
        if (n > 0)
            f->chunks.end += n;
    }
    if (n <= 0)
        return (int)n;
    f->read += (uint64_t)n;
    uint64_t ahead = f->ahead_on ? f->ahead_bytes : 0;
    __atomic_store_n(&f->base.bytes_done, f->done_before + ws_input_consumed(f->in) + ahead, __ATOMIC_RELAXED);
    return 1;
}

/* A classic pcap file begins. */
static int begin_pcap(struct ws_file *f)
{
    struct ws_source_iface iface = {
        .link_type = f->pcap.link_type, .snaplen = f->pcap.snaplen, .us = !f->pcap.ns};
    int number = ws_ifaces_add(&f->ifaces, &iface);
    if (number < 0)
        return number;
    f->iface = (uint16_t)number;
    f->cap_max = ws_file_cap_max(f, f->pcap.snaplen);
    f->chunks.pos += WS_PCAP_HEADER_LEN;
    f->state = WS_FILE_PCAP;
    return 0;
}

static int foreign(const struct ws_file *f, char *err, size_t err_len)
{
    const uint8_t *p = f->chunks.pos;
    snprintf(err, err_len, "%s: not a pcap or pcapng file (starts with %02x %02x %02x %02x)",
             f->name, p[0], p[1], p[2], p[3]);
    return -EINVAL;
}

/* Recognises the file by its first bytes: 0 recognised, -EAGAIN more bytes are needed, else -errno
 * and text. */
static int parse_header(struct ws_file *f, char *err, size_t err_len)
{
    const uint8_t *p = f->chunks.pos;
    size_t len = ws_chunks_unread(&f->chunks);
    struct ws_pcapng_section section = {0};
    struct ws_pcapng_block block;
    enum ws_format_status st;
    f->need = WS_PCAP_HEADER_LEN;
    if (len < 4)
        return -EAGAIN;
    bool ng = ws_load_be32(p) == WS_PCAPNG_SHB;
    if (!ng && !ws_pcap_is_magic(p))
        return foreign(f, err, err_len);
    st = ng ? ws_pcapng_block_decode(&block, &section, p, len)
            : ws_pcap_header_decode(&f->pcap, p, len);
    if (st == WS_FORMAT_INCOMPLETE)
        return -EAGAIN;
    if (st == WS_FORMAT_INVALID && ng)
        return foreign(f, err, err_len);
    if (st == WS_FORMAT_INVALID) {
        snprintf(err, err_len, "%s: pcap version %u.%u is not known", f->name,
                 f->pcap.version_major, f->pcap.version_minor);
        return -EINVAL;
    }
    int r = ng ? ws_file_ng_begin(f) : begin_pcap(f);
    if (r)
        snprintf(err, err_len, "%s: %s", f->name,
                 r == -ENOSPC ? "too many interfaces in all inputs" : strerror(-r));
    return r;
}

/* Works on the first bytes of the file: 0 recognised, -EAGAIN nothing now, else -errno and text. */
static int recognise(struct ws_file *f, char *err, size_t err_len)
{
    for (;;) {
        int r = parse_header(f, err, err_len);
        if (r != -EAGAIN)
            return r;
        r = read_more(f);
        if (r == 1)
            continue;
        if (r == -EAGAIN)
            return r;
        if (r < 0)
            snprintf(err, err_len, "%s: %s", f->name, ws_input_error(f->in));
        else if (f->read == 0)
            snprintf(err, err_len, "%s: empty file", f->name);
        else
            snprintf(err, err_len, "%s: offset 0: file header is cut: %zu bytes missing", f->name,
                     (size_t)f->need - ws_chunks_unread(&f->chunks));
        return r < 0 && r != -EBADMSG ? r : -EINVAL;
    }
}

/* --- classic pcap records --- */

static int pcap_stop(struct ws_file *f, const struct ws_pcap_record *r)
{
    ws_file_damage(f, "record length %u is absurd; reading of this file stops here", r->cap_len);
    return -1;
}

/* As ws_file_ng_parse(). */
static inline __attribute__((always_inline)) int
pcap_parse(struct ws_file *f, struct ws_packet *pkt, unsigned max, const bool big_endian)
{
    const uint8_t *p = f->chunks.pos;
    unsigned n = 0;
    while (n < max) {
        struct ws_pcap_record r;
        enum ws_format_status st = ws_pcap_record_decode(
            &f->pcap, big_endian, p, (size_t)(f->chunks.end - p), f->cap_max, &r);
        if (WS_UNLIKELY(st != WS_FORMAT_COMPLETE)) {
            f->need = r.len;
            f->chunks.pos = p;
            return st == WS_FORMAT_INVALID && n == 0 ? pcap_stop(f, &r) : (int)n;
        }
        struct ws_packet *k = &pkt[n++];
        k->cap_len = r.cap_len;
        k->wire_len = r.wire_len;
        k->link_type = f->pcap.link_type;
        k->iface = f->iface;
        ws_file_give(f, k, p + f->pcap.record_len, r.ts_ns);
        p += r.len;
    }
    f->chunks.pos = p;
    return (int)n;
}

static int parse(struct ws_file *f, struct ws_packet *pkt, unsigned max)
{
    if (f->state == WS_FILE_PCAPNG)
        return ws_file_ng_parse(f, pkt, max);
    return f->pcap.big_endian ? pcap_parse(f, pkt, max, true) : pcap_parse(f, pkt, max, false);
}

/* --- the source --- */

/* The file gave all it has; says what was cut off, if anything. */
static void finish(struct ws_file *f, int r)
{
    size_t unread = ws_chunks_unread(&f->chunks);
    if (r < 0) {
        f->base.damaged = true;
        ws_log(WS_LOG_ERROR, "%s: %s", f->name, ws_input_error(f->in));
    }
    if (unread || f->skip)
        ws_file_damage(f, "the last record is cut: %" PRIu64 " bytes missing",
                       f->skip ? f->skip : f->need - unread);
    close_file(f);
}

/* Steps to the next readable file. 0, -EAGAIN nothing now, or WS_SOURCE_END. */
static int next_file(struct ws_file *f)
{
    char err[512];
    int r = 0;
    while (f->state == WS_FILE_NONE || f->state == WS_FILE_HEADER) {
        if (f->state == WS_FILE_NONE && f->next == f->n_path)
            return WS_SOURCE_END;
        if (f->state == WS_FILE_NONE)
            r = open_file(f, err, sizeof(err));
        if (r == 0)
            r = recognise(f, err, sizeof(err));
        if (r == -EAGAIN)
            return r;
        if (r == 0)
            continue;
        ws_log(WS_LOG_ERROR, "%s", err);
        f->base.damaged = true;
        if (f->in)
            close_file(f);
        r = 0;
    }
    return 0;
}

static int file_rx(struct ws_source *s, struct ws_packet *pkt, unsigned max)
{
    struct ws_file *f = file_of(s);
    max = f->left < max ? (unsigned)f->left : max;
    if (!max)
        return WS_SOURCE_END;
    for (;;) {
        if (f->state <= WS_FILE_HEADER) {
            int r = next_file(f);
            if (r)
                return r == -EAGAIN ? 0 : r;
        }
        int n = parse(f, pkt, max);
        if (n > 0) {
            f->left -= (unsigned)n;
            f->base.chunk_seq = f->chunks.seq;
            f->chunks.given = true;
            return n;
        }
        int r = n < 0 ? n : read_more(f);
        if (n < 0)
            close_file(f);
        else if (r == -EAGAIN)
            return 0;
        else if (r <= 0)
            finish(f, r);
    }
}

static void file_release(struct ws_source *s, uint64_t seq)
{
    atomic_store_explicit(&file_of(s)->chunks.released, seq, memory_order_release);
}

static const struct ws_source_iface *file_ifaces(struct ws_source *s, unsigned *n)
{
    /* pairs with ws_ifaces_add(): entries below n are whole */
    *n = __atomic_load_n(&file_of(s)->ifaces.n, __ATOMIC_ACQUIRE);
    return file_of(s)->ifaces.v;
}

/* A file is no device: its own drop counts stand in the interface table. */
static void file_stats(struct ws_source *s, struct ws_counters *c)
{
    (void)s;
    (void)c;
}

static void file_close(struct ws_source *s)
{
    struct ws_file *f = file_of(s);
    ws_ahead_destroy(f->ahead);
    ws_input_close(f->in);
    ws_ifaces_fini(&f->ifaces);
    ws_chunks_fini(&f->chunks);
    free(f->ng.iface);
    free(f);
}

static const struct ws_source_ops file_ops = {
    .rx = file_rx,
    .release = file_release,
    .ifaces = file_ifaces,
    .stats = file_stats,
    .close = file_close,
};

static const struct ws_source_ops file_ops_direct = {
    .rx = file_rx,
    .ifaces = file_ifaces,
    .stats = file_stats,
    .close = file_close,
};

/* The sum of sizes for progress; 0 (unknown) as soon as one input has none. */
static uint64_t total_size(const struct ws_file_config *cfg)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < cfg->n_path; i++) {
        uint64_t size = ws_input_size(cfg->path[i]);
        if (!size)
            return 0;
        sum += size;
    }
    return sum;
}

/* Starts the helper that reads ahead, if wanted. Without one all is read in the ordinary way. */
static void make_ahead(struct ws_file *f, const struct ws_file_config *cfg)
{
    const struct ws_ahead_config like = {
        .window_bytes = cfg->ahead_window ? cfg->ahead_window : AHEAD_WINDOW,
        .windows = AHEAD_WINDOWS,
        .front_bytes = AHEAD_FRONT,
    };
    uint64_t largest = 0;
    for (unsigned i = 0; i < cfg->n_path; i++)
        largest = WS_MAX(largest, ws_input_size(cfg->path[i]));
    if (!cfg->stable && cfg->ahead_from && largest >= cfg->ahead_from && ws_ahead_create(&f->ahead, &like) < 0)
        f->ahead = NULL;
}

/* A record with an IP header takes at least so many bytes: a pcap record header or a pcapng SPB, and the header. */
#define IP_RECORD_BYTES 36u

static int set_up(struct ws_file *f, const struct ws_file_config *cfg)
{
    size_t chunk = cfg->chunk_bytes ? cfg->chunk_bytes : CHUNK_BYTES;
    f->packet_bytes_max = cfg->packet_bytes_max ? cfg->packet_bytes_max : PACKET_BYTES_MAX;
    chunk = WS_MAX(chunk, (size_t)f->packet_bytes_max + WS_FILE_RECORD_EXTRA);
    struct ws_chunks like = {
        .chunk_bytes = ws_align_up(chunk, 4096),
        .n = cfg->chunks ? cfg->chunks : CHUNKS_STEERED,
        .stable = cfg->stable,
    };
    f->base.ops = cfg->stable ? &file_ops : &file_ops_direct;
    f->base.can_wait = true;
    f->base.stable = cfg->stable;
    f->base.bytes_total = total_size(cfg);
    f->begins = cfg->begins;
    f->begins_user = cfg->begins_user;
    f->path = cfg->path;
    f->n_path = cfg->n_path;
    f->n_continue = cfg->n_continue;
    f->left = cfg->packet_max ? cfg->packet_max : UINT64_MAX;
    f->clock_ns = INT64_MIN;
    int r = ws_ifaces_init(&f->ifaces);
    if (!r)
        r = ws_chunks_init(&f->chunks, &like, cfg->alloc, cfg->alloc_user);
    if (!r)
        make_ahead(f, cfg);
    return r;
}

/* Reads the first file as far as its first packet, so that whoever writes a header before it knows
 * the interfaces; of a pipe that pauses, as far as one is known. An end of file or an error comes
 * again in file_rx(). */
static void describe(struct ws_file *f)
{
    for (int r = 1; r == 1 || (r == -EAGAIN && f->ng.n_iface == 0);) {
        if (!ws_file_ng_describe(f))
            return;
        r = read_more(f);
    }
}

int ws_file_open(struct ws_source **s, const struct ws_file_config *cfg, char *err, size_t err_len)
{
    struct ws_file *f = calloc(1, sizeof(*f));
    int r = f ? set_up(f, cfg) : -ENOMEM;
    if (r) {
        snprintf(err, err_len, "no memory for reading files");
    } else if (!cfg->n_path) {
        snprintf(err, err_len, "no input file");
        r = -EINVAL;
    } else {
        r = open_file(f, err, err_len);
        if (r == 0) {
            do
                r = recognise(f, err, err_len);
            while (r == -EAGAIN);
        }
        if (r == 0 && cfg->n_path == 1 && !ws_input_compressed(f->in))
            f->base.packets_about = f->base.bytes_total / IP_RECORD_BYTES;
        if (r == 0 && f->state == WS_FILE_PCAPNG)
            describe(f);
    }
    if (r) {
        if (f)
            file_close(&f->base);
        return r;
    }
    *s = &f->base;
    return 0;
}
