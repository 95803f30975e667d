/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two files of the archive reader share: archive.c (segments, flows) and archive_events.c. */
#ifndef WS_SOURCE_ARCHIVE_PRIVATE_H
#define WS_SOURCE_ARCHIVE_PRIVATE_H

#include <sys/types.h>

#include "base/compiler.h"
#include "source/archive.h"

#define ARCHIVE_WORKERS_MAX 64u
#define ARCHIVE_FAULTS_MAX  16u
#define ARCHIVE_NONE        SIZE_MAX

struct archive_segment {
    int fd;
    bool part;
    uint64_t size, end; /* records end at end at the latest */
    struct ws_archive_header header;
    char name[280];
};

/* The records of a worker one after another: all, or those at given places. */
struct archive_walk {
    struct ws_archive *archive;
    struct archive_worker *worker;
    struct archive_segment *segment; /* of the record */
    bool say; /* faults */
    const uint64_t *pick; /* places, rising; NULL: all records. Owned */
    size_t n_pick, picked;
    uint64_t place; /* of the record */
    uint64_t off;   /* where the next one is looked for */
    uint8_t *buf;
    uint64_t buf_off; /* of the segment */
    size_t buf_len, buf_room;
    struct archive_segment *buf_segment;
    uint32_t *scan;    /* of buf, for finding records among damaged bytes; NULL until then */
    bool scan_ready;   /* it is that of what buf holds */
};

/* One worker's log and where reading it stands. */
struct archive_worker {
    struct archive_segment *segment;
    unsigned n_segment;
    size_t first_flow, n_flow; /* in ws_archive.entry */
    uint32_t *map;             /* pairs of number, index */
    unsigned map_bits;
    uint64_t map_factor;       /* odd */
    uint64_t mapped, ended;
    bool read_through;         /* for its flows: there was no whole index */

    struct archive_walk walk;
    size_t next_close;
    bool has_record;           /* head and bytes of the next one are there */
    const uint8_t *record;
    struct ws_archive_head head;
    size_t record_flow;
};

struct ws_archive {
    struct archive_segment *segment;
    unsigned n_segment;
    struct archive_worker *worker;
    unsigned n_worker;
    uint32_t flags;
    struct ws_archive_entry *entry;
    size_t n, room;
    uint64_t bytes;
    uint8_t *scratch;
    const uint8_t *wanted;
    bool reading;
    uint64_t passed;
    unsigned n_fault;
    char fault[ARCHIVE_FAULTS_MAX + 1][400]; /* the last one says how many more there were */
    unsigned n_note;
    char note[ARCHIVE_WORKERS_MAX][400]; /* one a worker */
};

WS_PRINTF(2, 3) void ws_archive_say(struct ws_archive *a, const char *format, ...);

/* pread() of as many bytes as there are: their count or -errno. */
ssize_t ws_archive_read(const struct archive_segment *s, void *buf, size_t len, uint64_t off);

/* Index of the worker's flow of that number, or ARCHIVE_NONE. */
size_t ws_archive_find(const struct archive_worker *w, uint32_t number);

/* 0 or -ENOMEM. */
int ws_archive_walk_begin(struct archive_walk *k, struct ws_archive *a, struct archive_worker *w, bool say);
/* The next valid record, borrowed until the next call; NULL: the end. What is damaged is stepped over. */
const uint8_t *ws_archive_walk_next(struct archive_walk *k, struct ws_archive_head *h);
void ws_archive_walk_end(struct archive_walk *k);

/* Frees what ws_archive_begin() took. */
void ws_archive_end(struct ws_archive *a);

#endif
