/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a stream archive's records, and merging those of several workers to events. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "source/archive_private.h"

#define WALK_BYTES ((size_t)1 << 20) /* read at once, all records; more than one and a record */
#define PICK_BYTES ((size_t)1 << 16) /* and few of them; a long record takes more */

/* --- records of a worker --- */

int ws_archive_walk_begin(struct archive_walk *k, struct ws_archive *a, struct archive_worker *w, bool say)
{
    *k = (struct archive_walk){.archive = a, .worker = w, .say = say, .buf_room = WALK_BYTES};
    k->buf = malloc(k->buf_room);
    return k->buf ? 0 : -ENOMEM;
}

void ws_archive_walk_end(struct archive_walk *k)
{
    free(k->buf);
    free(k->scan);
    free((void *)(uintptr_t)k->pick);
    k->buf = NULL;
    k->scan = NULL;
    k->pick = NULL;
}

/* Fills the buffer with want bytes of s from off, or what there is. */
static bool fill(struct archive_walk *k, struct archive_segment *s, uint64_t off, uint64_t want)
{
    ssize_t n = ws_archive_read(s, k->buf, (size_t)want, off);
    k->buf_segment = n > 0 ? s : NULL;
    k->buf_off = off;
    k->buf_len = n > 0 ? (size_t)n : 0;
    k->scan_ready = false;
    if (n < 0)
        ws_archive_say(k->archive, "%s: offset %" PRIu64 ": %s", s->name, off, strerror((int)-n));
    if (n < 0 || (uint64_t)n < want)
        s->end = off + (uint64_t)WS_MAX(n, 0); /* it became shorter, or cannot be read */
    return n > 0;
}

/* Decodes what lies at off of s, with as many bytes as it takes. */
static enum ws_format_status look(struct archive_walk *k, struct archive_segment *s, uint64_t off,
                                  struct ws_archive_head *h, const uint8_t **p)
{
    size_t want = k->pick ? PICK_BYTES : k->buf_room;
    for (;;) {
        bool here = k->buf_segment == s && off >= k->buf_off && off - k->buf_off < k->buf_len;
        size_t have = here ? k->buf_len - (size_t)(off - k->buf_off) : 0;
        uint64_t left = off < s->end ? s->end - off : 0;
        *p = k->buf + (here ? off - k->buf_off : 0);
        enum ws_format_status st = ws_archive_head_decode(*p, have, off, h);
        want = WS_MIN(WS_MAX(want, (size_t)h->bytes), k->buf_room);
        if (st != WS_FORMAT_INCOMPLETE || have >= left || (here && off == k->buf_off && have >= want))
            return st;
        if (!fill(k, s, off, WS_MIN((uint64_t)want, left)))
            return WS_FORMAT_INCOMPLETE;
    }
}

static struct archive_segment *segment_of(const struct archive_worker *w, uint64_t place)
{
    uint64_t number = place >> WS_ARCHIVE_OFF_BITS;
    for (unsigned lo = 0, hi = w->n_segment; lo < hi;) {
        unsigned mid = lo + (hi - lo) / 2;
        if (w->segment[mid].header.segment == number)
            return &w->segment[mid];
        if (w->segment[mid].header.segment < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* The next place that was picked and holds a record. */
static const uint8_t *next_pick(struct archive_walk *k, struct ws_archive_head *h)
{
    while (k->picked < k->n_pick) {
        const uint8_t *p;
        k->place = k->pick[k->picked++];
        k->segment = segment_of(k->worker, k->place);
        if (look(k, k->segment, k->place & WS_ARCHIVE_OFF_MAX, h, &p) == WS_FORMAT_COMPLETE)
            return p;
        ws_archive_say(k->archive, "%s: offset %" PRIu64 ": a record is damaged", k->segment->name,
                       k->place & WS_ARCHIVE_OFF_MAX);
    }
    return NULL;
}

/* Whether a valid record lies at k->off, among bytes that may be made to look like many. */
static bool found(struct archive_walk *k)
{
    struct archive_segment *s = k->segment;
    struct ws_archive_head h;
    const uint8_t *p;
    if (!k->scan && !(k->scan = malloc((k->buf_room / 4 + 1) * sizeof(*k->scan))))
        return look(k, s, k->off, &h, &p) == WS_FORMAT_COMPLETE;
    uint64_t need = WS_MIN((uint64_t)WS_ARCHIVE_RECORD_MAX, s->end - k->off);
    bool here = k->buf_segment == s && k->off >= k->buf_off && k->off + need <= k->buf_off + k->buf_len &&
                (k->off - k->buf_off) % 4 == 0;
    if (!here && !fill(k, s, k->off, WS_MIN((uint64_t)k->buf_room, s->end - k->off)))
        return false;
    if (!k->scan_ready)
        ws_archive_scan_begin(k->scan, k->buf, k->buf_len);
    k->scan_ready = true;
    return ws_archive_scan(k->scan, k->buf, k->buf_len, (size_t)(k->off - k->buf_off), k->off, &h) == WS_FORMAT_COMPLETE;
}

/* Room that was taken ahead of records. */
static bool all_zeros(const struct archive_segment *s, uint64_t from, uint64_t to)
{
    uint8_t buf[4096];
    for (ssize_t n; from < to; from += (uint64_t)n) {
        n = ws_archive_read(s, buf, (size_t)WS_MIN(to - from, (uint64_t)sizeof(buf)), from);
        if (n <= 0 || buf[0] || memcmp(buf, buf + 1, (size_t)n - 1) != 0)
            return false;
    }
    return true;
}

/* From damaged bytes at k->off to the next record, or the segment's end. */
static void step_over(struct archive_walk *k)
{
    struct archive_segment *s = k->segment;
    uint64_t from = k->off;
    for (k->off += 4; k->off < s->end && !found(k);)
        k->off += 4;
    k->off = WS_MIN(k->off, s->end);
    bool torn = s->part && k->off == s->end; /* how a segment may end whose run was killed */
    if (k->say && !(torn && all_zeros(s, from, k->off)))
        ws_archive_say(k->archive, "%s: offset %" PRIu64 ": %" PRIu64 " bytes are %s", s->name, from, k->off - from,
                       torn ? "missing their record's end" : "damaged");
}

const uint8_t *ws_archive_walk_next(struct archive_walk *k, struct ws_archive_head *h)
{
    if (k->pick)
        return next_pick(k, h);
    for (;;) {
        const uint8_t *p;
        if (!k->segment || k->off >= k->segment->end) {
            k->segment = k->segment ? k->segment + 1 : k->worker->segment;
            if (k->segment == k->worker->segment + k->worker->n_segment) {
                k->segment--;
                k->off = k->segment->end;
                return NULL;
            }
            k->off = WS_ARCHIVE_HEADER_LEN;
            continue;
        }
        if (look(k, k->segment, k->off, h, &p) != WS_FORMAT_COMPLETE) {
            step_over(k);
            continue;
        }
        k->place = ws_archive_place(k->segment->header.segment, k->off);
        k->archive->passed += h->bytes;
        k->off = h->type == WS_ARCHIVE_FOOTER ? k->segment->end : k->off + ws_archive_padded(h->bytes);
        return p;
    }
}

/* --- of few flows --- */

struct picks {
    uint64_t *place;
    size_t n, room;
};

/* Adds the places of a flow's records, which lead from the last to the first. 0 or -ENOMEM. */
static int pick_flow(struct ws_archive *a, const struct archive_worker *w, const struct ws_archive_entry *e,
                     struct picks *k)
{
    uint8_t buf[WS_ARCHIVE_HEAD_LEN];
    struct ws_archive_head h;
    for (uint64_t place = e->last; place; place = h.prev) {
        struct archive_segment *s = segment_of(w, place);
        if (!s || ws_archive_read(s, buf, sizeof(buf), place & WS_ARCHIVE_OFF_MAX) != sizeof(buf) ||
            !ws_archive_head_peek(buf, &h) || h.flow != e->flow || h.prev >= place) {
            ws_archive_say(a, "%s: offset %" PRIu64 ": what a flow has before it cannot be found",
                           s ? s->name : "a missing segment", place & WS_ARCHIVE_OFF_MAX);
            break;
        }
        if (k->n == k->room) {
            size_t room = k->room ? k->room * 2 : 1024;
            uint64_t *more = realloc(k->place, room * sizeof(*more));
            if (!more)
                return -ENOMEM;
            k->place = more;
            k->room = room;
        }
        k->place[k->n++] = place;
    }
    return 0;
}

static int by_number(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

/* Of many flows all records are read: one long read is faster than many short ones. */
static bool is_few(const struct ws_archive *a)
{
    size_t n = 0;
    for (size_t i = 0; a->wanted && i < a->n; i++)
        n += a->wanted[i] != 0;
    return a->wanted && n <= a->n / 8;
}

int ws_archive_begin(struct ws_archive *a, const uint8_t *wanted)
{
    int rc = 0;
    ws_archive_end(a);
    a->wanted = wanted;
    a->reading = true;
    a->passed = 0;
    bool few = is_few(a);
    for (unsigned i = 0; i < a->n_worker && rc == 0; i++) {
        struct archive_worker *w = &a->worker[i];
        struct picks k = {0};
        if (!w->n_segment)
            continue;
        /* who read it through for its flows has told its faults */
        rc = ws_archive_walk_begin(&w->walk, a, w, !w->read_through);
        w->next_close = w->first_flow;
        w->has_record = false;
        for (size_t f = w->first_flow; few && f < w->first_flow + w->n_flow && rc == 0; f++)
            if (wanted[f])
                rc = pick_flow(a, w, &a->entry[f], &k);
        if (few && rc == 0 && !k.place && !(k.place = malloc(sizeof(*k.place))))
            rc = -ENOMEM;
        if (k.n)
            qsort(k.place, k.n, sizeof(*k.place), by_number);
        w->walk.pick = k.place;
        w->walk.n_pick = k.n;
    }
    if (rc)
        ws_archive_say(a, "out of memory for the archive's records");
    return rc;
}

void ws_archive_end(struct ws_archive *a)
{
    for (unsigned i = 0; a->reading && i < a->n_worker; i++)
        ws_archive_walk_end(&a->worker[i].walk);
    a->reading = false;
}

uint64_t ws_archive_passed(const struct ws_archive *a)
{
    return a->passed;
}

/* --- events --- */

static bool is_wanted(const struct ws_archive *a, size_t flow)
{
    return !a->wanted || a->wanted[flow];
}

/* Makes the worker's next record of a stream that is wanted ready. */
static void fetch(struct ws_archive *a, struct archive_worker *w)
{
    while (!w->has_record && (w->record = ws_archive_walk_next(&w->walk, &w->head)) != NULL) {
        if (w->head.type != WS_ARCHIVE_DATA && w->head.type != WS_ARCHIVE_GAP && w->head.type != WS_ARCHIVE_RESTART)
            continue;
        w->record_flow = ws_archive_find(w, w->head.flow);
        if (w->record_flow == ARCHIVE_NONE)
            ws_archive_say(a, "%s: offset %" PRIu64 ": bytes of an unknown flow are left out", w->walk.segment->name,
                           w->walk.place & WS_ARCHIVE_OFF_MAX);
        else
            w->has_record = is_wanted(a, w->record_flow);
    }
}

/* The flow that ends before the worker's next record; ARCHIVE_NONE: none does. */
static size_t closing(const struct ws_archive *a, struct archive_worker *w)
{
    size_t end = w->first_flow + w->n_flow;
    while (w->next_close < end && !is_wanted(a, w->next_close))
        w->next_close++;
    if (w->next_close == end || (w->has_record && a->entry[w->next_close].at > w->walk.place))
        return ARCHIVE_NONE;
    return w->next_close;
}

/* The worker whose next event comes first, by the packet that let it go; the end of the input is behind all packets. */
static struct archive_worker *first_worker(struct ws_archive *a, size_t *close)
{
    struct archive_worker *best = NULL;
    bool best_ending = false;
    uint64_t best_order = 0;
    for (unsigned i = 0; i < a->n_worker; i++) {
        struct archive_worker *w = &a->worker[i];
        if (!w->n_segment)
            continue;
        fetch(a, w);
        size_t c = closing(a, w);
        if (c == ARCHIVE_NONE && !w->has_record)
            continue;
        bool ending = c != ARCHIVE_NONE ? a->entry[c].ending : (w->head.flags & WS_ARCHIVE_ENDING) != 0;
        uint64_t order = c != ARCHIVE_NONE ? a->entry[c].order : w->head.order;
        if (best && (ending > best_ending || (ending == best_ending && order >= best_order)))
            continue;
        best = w;
        best_ending = ending;
        best_order = order;
        *close = c;
    }
    return best;
}

/* False: the record does not say what its type says, or its flow is over. */
static bool record_event(struct archive_worker *w, struct ws_archive_event *ev)
{
    const struct ws_archive_head *h = &w->head;
    if (w->record_flow < w->next_close)
        return false;
    ev->flow = w->record_flow;
    ev->order = h->order;
    ev->ending = (h->flags & WS_ARCHIVE_ENDING) != 0;
    ev->dir = h->flags & WS_ARCHIVE_DIR;
    ev->piece = (h->flags & WS_ARCHIVE_PIECE) != 0;
    switch (h->type) {
    case WS_ARCHIVE_DATA:
        ev->kind = WS_ARCHIVE_EV_DATA;
        return ws_archive_data_decode(w->record, h, &ev->data);
    case WS_ARCHIVE_GAP:
        ev->kind = WS_ARCHIVE_EV_GAP;
        return ws_archive_gap_decode(w->record, h, &ev->gap);
    default:
        ev->kind = WS_ARCHIVE_EV_RESTART;
        return true;
    }
}

bool ws_archive_next(struct ws_archive *a, struct ws_archive_event *ev)
{
    size_t close = ARCHIVE_NONE;
    for (struct archive_worker *w; (w = first_worker(a, &close)) != NULL;) {
        if (close != ARCHIVE_NONE) {
            w->next_close++;
            ev->kind = WS_ARCHIVE_EV_CLOSE;
            ev->flow = close;
            ev->order = a->entry[close].order;
            ev->ending = a->entry[close].ending;
            return true;
        }
        w->has_record = false;
        if (record_event(w, ev))
            return true;
        ws_archive_say(a, "%s: offset %" PRIu64 ": a record that makes no sense is left out", w->walk.segment->name,
                       w->walk.place & WS_ARCHIVE_OFF_MAX);
    }
    return false;
}
