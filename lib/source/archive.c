/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a stream archive: its segments, and its flows by index or by reading everything. */
#include "source/archive_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "format/text.h"

#define PART_SUFFIX ".part"

/* --- small things --- */

void ws_archive_say(struct ws_archive *a, const char *format, ...)
{
    va_list ap;
    if (a->n_fault >= ARCHIVE_FAULTS_MAX) {
        snprintf(a->fault[ARCHIVE_FAULTS_MAX], sizeof(a->fault[0]), "and %u more such faults",
                 ++a->n_fault - ARCHIVE_FAULTS_MAX);
        return;
    }
    va_start(ap, format);
    vsnprintf(a->fault[a->n_fault++], sizeof(a->fault[0]), format, ap);
    va_end(ap);
}

ssize_t ws_archive_read(const struct archive_segment *s, void *buf, size_t len, uint64_t off)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(s->fd, (uint8_t *)buf + done, len - done, (off_t)(off + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* Numbers of flows to indices: open addressing, at most half full. The multiplier is not known to who wrote the file, whose
 * numbers could meet in one place otherwise. */
static uint32_t *map_slot(const struct archive_worker *w, uint32_t number)
{
    uint32_t i = (uint32_t)(number * w->map_factor >> (64 - w->map_bits));
    while (w->map[2 * (size_t)i] && w->map[2 * (size_t)i] != number)
        i = (i + 1) & ((1u << w->map_bits) - 1);
    return &w->map[2 * (size_t)i];
}

size_t ws_archive_find(const struct archive_worker *w, uint32_t number)
{
    uint32_t *slot = number && w->map ? map_slot(w, number) : NULL;
    return slot && *slot ? slot[1] : ARCHIVE_NONE;
}

static bool map_add(struct archive_worker *w, uint32_t number, size_t index)
{
    if (!w->map || (w->mapped + 1) * 2 > UINT64_C(1) << w->map_bits) {
        struct archive_worker grown = {.map_bits = w->map ? w->map_bits + 1 : 10, .map_factor = w->map_factor};
        if (grown.map_bits > 31 || !(grown.map = calloc((size_t)2 << grown.map_bits, sizeof(uint32_t))))
            return false;
        for (size_t i = 0; w->map && i < (size_t)1 << w->map_bits; i++)
            if (w->map[2 * i])
                memcpy(map_slot(&grown, w->map[2 * i]), &w->map[2 * i], 8);
        free(w->map);
        w->map = grown.map;
        w->map_bits = grown.map_bits;
    }
    uint32_t *slot = map_slot(w, number);
    w->mapped += *slot == 0;
    slot[0] = number;
    slot[1] = (uint32_t)index;
    return true;
}

/* A new flow of worker w. NULL: no memory. */
static struct ws_archive_entry *add_entry(struct ws_archive *a, struct archive_worker *w,
                                          const struct ws_archive_entry *e)
{
    if (a->n == a->room) {
        size_t room = a->room ? a->room * 2 : 1024;
        struct ws_archive_entry *more = room < UINT32_MAX ? realloc(a->entry, room * sizeof(*more)) : NULL;
        if (!more)
            return NULL;
        a->entry = more;
        a->room = room;
    }
    if (e->flow && !map_add(w, e->flow, a->n))
        return NULL;
    a->entry[a->n] = *e;
    return &a->entry[a->n++];
}

/* --- the index of whole segments --- */

/* Reads a record of at most max bytes at off into a->scratch, whole and valid. NULL: there is none. */
static const uint8_t *record_at(struct ws_archive *a, const struct archive_segment *s, uint64_t off, size_t max,
                                struct ws_archive_head *h)
{
    if (off < WS_ARCHIVE_HEADER_LEN || off > s->size)
        return NULL;
    ssize_t n = ws_archive_read(s, a->scratch, (size_t)WS_MIN((uint64_t)max, s->size - off), off);
    return n > 0 && ws_archive_head_decode(a->scratch, (size_t)n, off, h) == WS_FORMAT_COMPLETE ? a->scratch : NULL;
}

static int add_batch(struct ws_archive *a, struct archive_worker *w, const uint8_t *p, const struct ws_archive_head *h)
{
    struct ws_archive_entry e;
    for (uint32_t i = 0; i < h->flow; i++) {
        if (!ws_archive_entry_decode(p, h, i, &e))
            return -EBADMSG;
        size_t known = ws_archive_find(w, e.flow);
        if (known != ARCHIVE_NONE) { /* met by reading through: it is over now */
            e.rec.flow_id[0] = w->ended++;
            a->entry[known] = e;
            continue;
        }
        e.rec.flow_id[0] = w->ended++; /* for the sorting; FlowIDs come later */
        if (!add_entry(a, w, &e))
            return -ENOMEM;
    }
    return 0;
}

/* The flows of a segment by its footer. 0, -ENOMEM, or -EBADMSG: it has none, or not all is valid. */
static int load_index(struct ws_archive *a, struct archive_worker *w, struct archive_segment *s, bool *last)
{
    uint8_t tail[WS_ARCHIVE_TAIL_LEN];
    struct ws_archive_head h;
    struct ws_archive_footer f;
    if (s->size < WS_ARCHIVE_HEADER_LEN + WS_ARCHIVE_FOOTER_LEN + sizeof(tail) ||
        ws_archive_read(s, tail, sizeof(tail), s->size - sizeof(tail)) != sizeof(tail))
        return -EBADMSG;
    uint64_t off = ws_archive_tail_decode(tail);
    const uint8_t *p = record_at(a, s, off, WS_ARCHIVE_FOOTER_LEN + 8u * WS_ARCHIVE_BATCHES_MAX, &h);
    if (!p || !ws_archive_footer_decode(p, &h, &f) || off + h.bytes + sizeof(tail) != s->size)
        return -EBADMSG;
    size_t list_bytes = (size_t)f.batches * 8;
    uint8_t *list = malloc(list_bytes + 1);
    if (!list)
        return -ENOMEM;
    memcpy(list, f.list, list_bytes);
    int rc = 0;
    uint64_t next = WS_ARCHIVE_HEADER_LEN; /* each record once: a list cannot make many flows of few bytes */
    for (uint32_t i = 0; i < f.batches && rc == 0; i++) {
        uint64_t at = ws_load_le64(list + 8 * (size_t)i);
        p = at < next ? NULL
                      : record_at(a, s, at, WS_ARCHIVE_HEAD_LEN + WS_ARCHIVE_BATCH_MAX * WS_ARCHIVE_ENTRY_LEN, &h);
        next = p ? at + ws_archive_padded(h.bytes) : next;
        rc = p && h.type == WS_ARCHIVE_FLOWS ? add_batch(a, w, p, &h) : -EBADMSG;
    }
    free(list);
    s->end = off;
    *last = f.last;
    return rc;
}

/* --- reading a worker's segments through --- */

/* A flow that is met before its end is known, if it ever is. */
static int meet(struct ws_archive *a, struct archive_worker *w, const uint8_t *p, const struct ws_archive_head *h)
{
    struct ws_archive_open o;
    struct ws_archive_entry e = {.flow = h->flow, .at = UINT64_MAX, .ending = true};
    if (!ws_archive_open_decode(p, h, &o))
        return -EBADMSG;
    size_t known = ws_archive_find(w, h->flow);
    struct ws_archive_entry *to = &e;
    if (known != ARCHIVE_NONE) {
        to = &a->entry[known];
        if (to->at != UINT64_MAX)
            return 0;
    }
    to->rec.key = o.key;
    for (unsigned d = 0; d < 2; d++) {
        to->rec.first_ordinal[d] = o.first_ordinal[d];
        to->rec.first_ts_ns[d] = o.first_ts_ns[d];
        to->rec.last_ts_ns[d] = WS_MAX(to->rec.last_ts_ns[d], o.first_ts_ns[d]);
    }
    to->order = WS_MIN(o.first_ordinal[0], o.first_ordinal[1]);
    to->seen = o.seen;
    memcpy(to->mac, o.mac, sizeof(to->mac));
    to->orig = to->rec.orig = o.orig;
    if (known != ARCHIVE_NONE)
        return 0;
    e.rec.selected = 3;
    e.rec.worker = UINT32_MAX;
    memcpy(e.rec.conn_state, "OTH", 4);
    memcpy(e.rec.end, "unfinished", 11);
    e.rec.ip_bytes[0] = e.rec.ip_bytes[1] = WS_RECORD_UNKNOWN;
    return add_entry(a, w, &e) ? 0 : -ENOMEM;
}

/* What a record of a stream tells of a flow whose end is not known. Its packets are those that brought bytes. */
static int learn(struct ws_archive *a, struct archive_worker *w, const uint8_t *p, const struct ws_archive_head *h,
                 uint64_t place)
{
    size_t i = ws_archive_find(w, h->flow);
    struct ws_archive_data d;
    struct ws_archive_gap g;
    if (i == ARCHIVE_NONE || a->entry[i].at != UINT64_MAX)
        return 0;
    struct ws_archive_entry *e = &a->entry[i];
    struct ws_flow_record *r = &e->rec;
    unsigned dir = h->flags & WS_ARCHIVE_DIR;
    e->last = place;
    if (h->type == WS_ARCHIVE_DATA && ws_archive_data_decode(p, h, &d)) {
        r->packets[dir] += !(h->flags & WS_ARCHIVE_PIECE);
        r->bytes[dir] += d.len;
        r->payload_bytes[dir] += d.len;
        r->stream_bytes[dir] = WS_MAX(r->stream_bytes[dir], d.off + d.len);
        r->last_ts_ns[dir] = WS_MAX(r->last_ts_ns[dir], d.ts_ns);
    } else if (h->type == WS_ARCHIVE_GAP && ws_archive_gap_decode(p, h, &g)) {
        r->gaps[dir]++;
        r->gap_bytes[dir] += g.len;
        r->stream_bytes[dir] = WS_MAX(r->stream_bytes[dir], g.off + g.len);
    }
    return 0;
}

static int read_through(struct ws_archive *a, struct archive_worker *w)
{
    struct archive_walk walk = {0};
    struct ws_archive_head h;
    int rc = 0;
    if (ws_archive_walk_begin(&walk, a, w, true) < 0)
        return -ENOMEM;
    for (const uint8_t *p; rc != -ENOMEM && (p = ws_archive_walk_next(&walk, &h)) != NULL;) {
        if (h.type == WS_ARCHIVE_OPEN)
            rc = meet(a, w, p, &h);
        if (h.type == WS_ARCHIVE_FLOWS)
            rc = add_batch(a, w, p, &h);
        else if (h.type != WS_ARCHIVE_FOOTER && rc == 0)
            rc = learn(a, w, p, &h, walk.place);
        if (rc == -EBADMSG)
            ws_archive_say(a, "%s: offset %" PRIu64 ": a record that says nothing sensible is left out",
                           walk.segment->name, walk.place & WS_ARCHIVE_OFF_MAX);
        rc = rc == -EBADMSG ? 0 : rc;
    }
    ws_archive_walk_end(&walk);
    return rc == -ENOMEM ? rc : 0;
}

/* Ends in the order in which they came; flows without an end behind them, by their first packets. */
static int by_end(const void *x, const void *y)
{
    const struct ws_archive_entry *a = x, *b = y;
    bool open_a = a->at == UINT64_MAX, open_b = b->at == UINT64_MAX;
    if (open_a != open_b)
        return open_a ? 1 : -1;
    uint64_t i = open_a ? a->order : a->rec.flow_id[0], k = open_b ? b->order : b->rec.flow_id[0];
    return i < k ? -1 : i > k;
}

static void note_unfinished(struct ws_archive *a, const struct archive_worker *w, const struct archive_segment *s)
{
    size_t open = 0;
    for (size_t i = w->first_flow; i < a->n; i++)
        open += a->entry[i].at == UINT64_MAX;
    if (a->n_note < WS_ARRAY_SIZE(a->note))
        snprintf(a->note[a->n_note++], sizeof(a->note[0]),
                 "%s: unfinished (the run goes on, or was killed): reading what is whole; %zu of its worker's flows have no end", s->name,
                 open);
}

/* Loads the flows of a worker, whose segments are sorted. */
static int load_worker(struct ws_archive *a, struct archive_worker *w)
{
    bool last = false, whole = true;
    const struct archive_segment *unfinished = NULL;
    int rc = 0;
    w->first_flow = a->n;
    for (unsigned i = 0; i < w->n_segment && whole; i++) {
        struct archive_segment *s = &w->segment[i];
        if (s->header.segment != i) {
            ws_archive_say(a, "%s: segments of its worker before it are missing", s->name);
            whole = false;
        } else if (s->part || last || (rc = load_index(a, w, s, &last)) != 0) {
            if (rc == -ENOMEM)
                return rc;
            whole = false;
            unfinished = s->part && i + 1 == w->n_segment ? s : NULL;
            if (!unfinished)
                ws_archive_say(a, "%s: %s: reading what is whole", s->name, s->part ? "never finished" : "no valid index");
        }
    }
    if (whole && !last) {
        ws_archive_say(a, "%s: no segment after it says that the run ended", w->segment[w->n_segment - 1].name);
        whole = false;
    }
    if (!whole) {
        for (unsigned i = 0; i < w->n_segment; i++)
            w->segment[i].end = w->segment[i].size;
        a->n = w->first_flow;
        free(w->map);
        w->map = NULL;
        w->mapped = w->ended = 0;
        w->read_through = true;
        if ((rc = read_through(a, w)))
            return rc;
        if (a->n > w->first_flow)
            qsort(a->entry + w->first_flow, a->n - w->first_flow, sizeof(*a->entry), by_end);
        for (size_t i = w->first_flow; i < a->n; i++)
            if (a->entry[i].flow && !map_add(w, a->entry[i].flow, i))
                return -ENOMEM;
    }
    w->n_flow = a->n - w->first_flow;
    if (unfinished)
        note_unfinished(a, w, unfinished);
    for (size_t i = w->first_flow; i < a->n; i++)
        a->entry[i].rec.flow_id[0] = 0;
    return 0;
}

/* --- segments --- */

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

static bool segment_name(const char *name)
{
    return has_suffix(name, WS_ARCHIVE_SUFFIX) || has_suffix(name, WS_ARCHIVE_SUFFIX PART_SUFFIX);
}

static int open_segment(struct ws_archive *a, int dirfd, const char *path, const char *name, char *err, size_t err_len)
{
    uint8_t buf[WS_ARCHIVE_HEADER_LEN];
    struct archive_segment s = {.part = has_suffix(name, PART_SUFFIX)};
    struct stat st;
    snprintf(s.name, sizeof(s.name), "%s", name);
    s.fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (s.fd < 0 || fstat(s.fd, &st) < 0) {
        int rc = -errno;
        snprintf(err, err_len, "%s: %s", name, strerror(-rc));
        if (s.fd >= 0)
            close(s.fd);
        return rc;
    }
    ssize_t n = S_ISREG(st.st_mode) ? ws_archive_read(&s, buf, sizeof(buf), 0) : -EINVAL;
    if (n < 0 || ws_archive_header_decode(buf, (size_t)n, &s.header) != WS_FORMAT_COMPLETE) {
        close(s.fd);
        if (n != 0 || !s.part) /* one that was only just begun is no damage */
            ws_archive_say(a, "%s: no segment of an archive: left out", name);
        return 0;
    }
    s.size = s.end = (uint64_t)st.st_size;
    struct archive_segment *more = realloc(a->segment, (a->n_segment + 1) * sizeof(*more));
    if (!more) {
        close(s.fd);
        snprintf(err, err_len, "%s: out of memory", name);
        return -ENOMEM;
    }
    a->segment = more;
    a->segment[a->n_segment++] = s;
    a->bytes += s.size;
    return 0;
}

static int by_place(const void *x, const void *y)
{
    const struct archive_segment *a = x, *b = y;
    if (a->header.worker != b->header.worker)
        return a->header.worker < b->header.worker ? -1 : 1;
    if (a->header.segment != b->header.segment)
        return a->header.segment < b->header.segment ? -1 : 1;
    return (int)a->part - (int)b->part;
}

/* Of a segment that was repaired the unfinished original may be there too: it says nothing more. */
static void leave_out_originals(struct ws_archive *a)
{
    unsigned n = 0;
    for (unsigned i = 0; i < a->n_segment; i++) {
        struct archive_segment *s = &a->segment[i], *before = n ? &a->segment[n - 1] : NULL;
        if (before && s->part && !before->part && s->header.worker == before->header.worker &&
            s->header.segment == before->header.segment) {
            ws_archive_say(a, "%s: left out: there is %s", s->name, before->name);
            close(s->fd);
            a->bytes -= s->size;
            continue;
        }
        a->segment[n++] = *s;
    }
    a->n_segment = n;
}

/* Deals the sorted segments to their workers. */
static int deal(struct ws_archive *a, char *err, size_t err_len)
{
    uint32_t workers = a->segment[0].header.workers;
    a->worker = workers <= ARCHIVE_WORKERS_MAX ? calloc(workers, sizeof(*a->worker)) : NULL;
    if (!a->worker) {
        snprintf(err, err_len, "%s: %" PRIu32 " workers", a->segment[0].name, workers);
        return -EBADMSG;
    }
    a->flags = a->segment[0].header.flags;
    for (unsigned i = 0; i < a->n_segment; i++) {
        struct archive_segment *s = &a->segment[i];
        bool twice = i && by_place(s - 1, s) == 0;
        if (s->header.workers != workers || s->header.flags != a->flags || twice) {
            snprintf(err, err_len, "%s: belongs to another archive", s->name);
            return -EBADMSG;
        }
        struct archive_worker *w = &a->worker[s->header.worker];
        if (!w->n_segment++)
            w->segment = s;
    }
    uint64_t factor = 0;
    if (getrandom(&factor, sizeof(factor), GRND_NONBLOCK) != sizeof(factor))
        factor = UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t i = 0; i < workers; i++)
        a->worker[i].map_factor = factor | 1;
    for (uint32_t i = 0; i < workers; i++)
        if (!a->worker[i].n_segment)
            ws_archive_say(a, "segments of worker %" PRIu32 " are missing", i);
    a->n_worker = workers;
    return 0;
}

static int open_all(struct ws_archive *a, const char *path, char *err, size_t err_len)
{
    struct stat st;
    int rc = stat(path, &st) == 0 ? 0 : -errno;
    DIR *d = NULL;
    if (!rc && !S_ISDIR(st.st_mode)) {
        rc = open_segment(a, AT_FDCWD, path, path, err, err_len);
    } else if (!rc) {
        if (!(d = opendir(path)))
            rc = -errno;
        for (struct dirent *e; rc == 0 && d && (e = readdir(d));)
            if (segment_name(e->d_name))
                rc = open_segment(a, dirfd(d), e->d_name, e->d_name, err, err_len);
        if (d)
            closedir(d);
    }
    if (rc && !*err)
        snprintf(err, err_len, "%s: %s", path, strerror(-rc));
    return rc;
}

bool ws_archive_is(const char *path)
{
    uint8_t buf[WS_ARCHIVE_HEADER_LEN];
    struct ws_archive_header h;
    struct stat st;
    bool found = false;
    if (stat(path, &st) < 0)
        return false;
    if (S_ISDIR(st.st_mode)) {
        DIR *d = opendir(path);
        for (struct dirent *e; d && !found && (e = readdir(d));)
            found = segment_name(e->d_name);
        if (d)
            closedir(d);
        return found;
    }
    int fd = S_ISREG(st.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd >= 0 ? read(fd, buf, sizeof(buf)) : -1;
    if (fd >= 0)
        close(fd);
    return n == sizeof(buf) && ws_archive_header_decode(buf, sizeof(buf), &h) == WS_FORMAT_COMPLETE;
}

int ws_archive_open(struct ws_archive **out, const char *path, char *err, size_t err_len)
{
    struct ws_archive *a = calloc(1, sizeof(*a));
    *err = '\0';
    int rc = a && (a->scratch = malloc(WS_ARCHIVE_FOOTER_LEN + 8u * WS_ARCHIVE_BATCHES_MAX)) ? 0 : -ENOMEM;
    if (!rc)
        rc = open_all(a, path, err, err_len);
    if (!rc && !a->n_segment) {
        rc = -EBADMSG;
        snprintf(err, err_len, "%s: no segment of an archive can be read", path);
    }
    if (!rc) {
        qsort(a->segment, a->n_segment, sizeof(*a->segment), by_place);
        leave_out_originals(a);
        rc = deal(a, err, err_len);
    }
    for (unsigned i = 0; !rc && i < a->n_worker; i++)
        if (a->worker[i].n_segment)
            rc = load_worker(a, &a->worker[i]);
    if (rc) {
        if (!*err)
            snprintf(err, err_len, "%s: %s", path, strerror(-rc));
        ws_archive_close(a);
        return rc;
    }
    /* Ordinals that each worker counted by itself are made different, in the same order. */
    for (unsigned i = 0; a->flags & WS_ARCHIVE_OWN_ORDINALS && i < a->n_worker; i++)
        for (size_t k = 0; k < a->worker[i].n_flow; k++)
            for (unsigned d = 0; d < 2; d++) {
                uint64_t *o = &a->entry[a->worker[i].first_flow + k].rec.first_ordinal[d];
                if (*o < UINT64_MAX / ARCHIVE_WORKERS_MAX)
                    *o = *o * ARCHIVE_WORKERS_MAX + i;
            }
    *out = a;
    return 0;
}

void ws_archive_close(struct ws_archive *a)
{
    if (!a)
        return;
    ws_archive_end(a);
    for (unsigned i = 0; i < a->n_segment; i++)
        close(a->segment[i].fd);
    for (unsigned i = 0; a->worker && i < a->n_worker; i++)
        free(a->worker[i].map);
    free(a->worker);
    free(a->segment);
    free(a->entry);
    free(a->scratch);
    free(a);
}

uint32_t ws_archive_flags(const struct ws_archive *a)
{
    return a->flags;
}

uint64_t ws_archive_bytes(const struct ws_archive *a)
{
    return a->bytes;
}

size_t ws_archive_count(const struct ws_archive *a)
{
    return a->n;
}

struct ws_archive_entry *ws_archive_flow(struct ws_archive *a, size_t i)
{
    return &a->entry[i];
}

const char *ws_archive_fault(const struct ws_archive *a, unsigned i)
{
    return i < WS_MIN(a->n_fault, ARCHIVE_FAULTS_MAX + 1) ? a->fault[i] : NULL;
}

const char *ws_archive_note(const struct ws_archive *a, unsigned i)
{
    return i < a->n_note ? a->note[i] : NULL;
}
