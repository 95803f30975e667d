/* SPDX-License-Identifier: BSD-3-Clause */
/* What the capture truly holds, as JSON lines: one a connection and direction, then a summary. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "payload.h"

#define DIGEST_BYTES 32
#define CHUNK_BYTES  65536u

struct record {
    uint64_t first_ordinal;
    uint64_t connection;
    uint64_t packets, stream_bytes, sent_bytes;
    struct tg_tuple tuple;
    struct tg_wrap wrap;
    struct tg_holes holes;
    uint8_t digest[DIGEST_BYTES];
    uint8_t direction;
    bool reused, swapped, wraps, midstream, rst, quiet_close;
};

struct tg_truth {
    struct record *records;
    size_t count, capacity;
    EVP_MD_CTX *digest;
    uint8_t chunk[CHUNK_BYTES];
};

struct tg_truth *tg_truth_create(void)
{
    struct tg_truth *truth = calloc(1, sizeof(*truth));
    if (truth == NULL)
        return NULL;
    truth->digest = EVP_MD_CTX_new();
    if (truth->digest == NULL) {
        free(truth);
        return NULL;
    }
    return truth;
}

void tg_truth_destroy(struct tg_truth *truth)
{
    if (truth == NULL)
        return;
    for (size_t i = 0; i < truth->count; i++)
        tg_holes_fini(&truth->records[i].holes);
    free(truth->records);
    EVP_MD_CTX_free(truth->digest);
    free(truth);
}

void tg_truth_udp(struct tg_direction *d, const uint8_t *payload, size_t len)
{
    if (d->udp_digest == NULL) {
        d->udp_digest = EVP_MD_CTX_new();
        if (d->udp_digest == NULL || EVP_DigestInit_ex(d->udp_digest, EVP_sha256(), NULL) != 1)
            abort();
    }
    EVP_DigestUpdate(d->udp_digest, payload, len);
    d->udp_bytes += len;
}

/* The stream again from its function, holes as zeros. */
static void digest_stream(struct tg_truth *truth, const struct tg_direction *d, uint64_t bytes,
                          uint8_t *out)
{
    const struct tg_holes *holes = &d->holes;
    uint32_t h = 0;
    EVP_DigestInit_ex(truth->digest, EVP_sha256(), NULL);
    for (uint64_t off = 0; off < bytes;) {
        uint64_t end = off + CHUNK_BYTES < bytes ? off + CHUNK_BYTES : bytes;
        tg_payload_fill(d->key, off, truth->chunk, (size_t)(end - off));
        while (h < holes->count && holes->range[h].begin < end) {
            uint64_t from = holes->range[h].begin > off ? holes->range[h].begin : off;
            uint64_t to = holes->range[h].end < end ? holes->range[h].end : end;
            memset(truth->chunk + (from - off), 0, (size_t)(to - from));
            if (holes->range[h].end > end)
                break;
            h++;
        }
        EVP_DigestUpdate(truth->digest, truth->chunk, (size_t)(end - off));
        off = end;
    }
    EVP_DigestFinal_ex(truth->digest, out, NULL);
}

static struct record *new_record(struct tg_truth *truth)
{
    if (truth->count == truth->capacity) {
        size_t capacity = truth->capacity != 0 ? truth->capacity * 2 : 1024;
        struct record *records = realloc(truth->records, capacity * sizeof(*records));
        if (records == NULL)
            abort();
        truth->records = records;
        truth->capacity = capacity;
    }
    struct record *r = &truth->records[truth->count++];
    memset(r, 0, sizeof(*r));
    return r;
}

/* Bytes past the last one that the capture tells of are no part of the stream. */
static void clip(struct tg_holes *holes, uint64_t end)
{
    while (holes->count != 0 && holes->range[holes->count - 1].begin >= end)
        holes->count--;
    if (holes->count != 0 && holes->range[holes->count - 1].end > end)
        holes->range[holes->count - 1].end = end;
}

void tg_truth_add(struct tg *tg, struct tg_connection *c)
{
    for (unsigned i = 0; i < 2; i++) {
        struct tg_direction *d = &c->dir[i];
        if (d->packets == 0)
            continue;
        struct record *r = new_record(tg->truth);
        r->first_ordinal = d->first_ordinal;
        r->connection = c->id;
        r->packets = d->packets;
        r->tuple = c->tuple;
        r->wrap = c->wrap;
        r->direction = (uint8_t)i;
        r->reused = c->reused;
        r->swapped = c->swapped;
        r->wraps = c->wraps;
        r->midstream = c->midstream;
        r->rst = c->rst;
        r->quiet_close = c->quiet_close;
        r->sent_bytes = d->next;
        if (c->tuple.protocol == 17) {
            r->stream_bytes = d->udp_bytes;
            if (d->udp_digest == NULL)
                tg_truth_udp(d, (const uint8_t *)"", 0);
            EVP_DigestFinal_ex(d->udp_digest, r->digest, NULL);
            EVP_MD_CTX_free(d->udp_digest);
            d->udp_digest = NULL;
        } else {
            r->stream_bytes = d->captured_end;
            clip(&d->holes, d->captured_end);
            digest_stream(tg->truth, d, d->captured_end, r->digest);
            for (uint32_t h = 0; h < d->holes.count; h++)
                tg->counts.hole_bytes += d->holes.range[h].end - d->holes.range[h].begin;
            r->holes = d->holes;
            memset(&d->holes, 0, sizeof(d->holes));
        }
        tg->counts.stream_bytes += r->stream_bytes;
    }
}

static int by_ordinal(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    return x->first_ordinal < y->first_ordinal ? -1 : x->first_ordinal > y->first_ordinal;
}

static void print_record(FILE *f, const struct record *r)
{
    char address[2][INET6_ADDRSTRLEN];
    const struct tg_tuple *t = &r->tuple;
    const struct tg_wrap *w = &r->wrap;
    unsigned from = r->direction;
    for (unsigned i = 0; i < 2; i++)
        inet_ntop(t->v6 ? AF_INET6 : AF_INET, t->address[i], address[i], sizeof(address[i]));
    fprintf(f,
            "{\"connection\":%" PRIu64
            ",\"direction\":%u,\"src\":\"%s\",\"sport\":%u,\"dst\":\"%s\",\"dport\":%u,"
            "\"proto\":\"%s\",\"vlan\":[",
            r->connection, from, address[from], t->port[from], address[from ^ 1], t->port[from ^ 1],
            t->protocol == 6 ? "tcp" : "udp");
    for (unsigned i = 0; i < w->vlan_count; i++)
        fprintf(f, "%s%u", i != 0 ? "," : "", w->vlan[i]);
    fprintf(f, "],\"tunnel\":\"%s\",\"tunnel_id\":%u,", tg_tunnel_names[w->tunnel], w->tunnel_id);
    fprintf(f,
            "\"first_ordinal\":%" PRIu64 ",\"packets\":%" PRIu64 ",\"stream_bytes\":%" PRIu64
            ",\"sent_bytes\":%" PRIu64 ",\"sha256\":\"",
            r->first_ordinal, r->packets, r->stream_bytes, r->sent_bytes);
    for (unsigned i = 0; i < DIGEST_BYTES; i++)
        fprintf(f, "%02x", r->digest[i]);
    fputs("\",\"holes\":[", f);
    for (uint32_t i = 0; i < r->holes.count; i++)
        fprintf(f, "%s[%" PRIu64 ",%" PRIu64 "]", i != 0 ? "," : "", r->holes.range[i].begin,
                r->holes.range[i].end - r->holes.range[i].begin);
    fputs("],\"marks\":[", f);
    const struct {
        bool set;
        const char *name;
    } marks[] = {{r->reused, "reuse"}, {r->swapped, "swapped"},
                 {r->wraps, "wrap"},   {r->midstream, "midstream"},
                 {r->rst, "rst"},      {r->quiet_close, "close-not-captured"}};
    const char *comma = "";
    for (unsigned i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (!marks[i].set)
            continue;
        fprintf(f, "%s\"%s\"", comma, marks[i].name);
        comma = ",";
    }
    fputs("]}\n", f);
}

static void print_summary(FILE *f, const struct tg *tg)
{
    const struct tg_counts *c = &tg->counts;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"seed", tg->config.seed},
        {"packets", tg->out.packets},
        {"capture_bytes", tg->out.bytes},
        {"connections", c->connections},
        {"directions", tg->truth->count},
        {"payload_bytes", c->payload_bytes},
        {"stream_bytes", c->stream_bytes},
        {"hole_bytes", c->hole_bytes},
        {"lost_packets", c->lost_packets},
        {"reordered", c->reordered},
        {"duplicated", c->duplicated},
        {"retransmitted", c->retransmitted},
        {"overlapping", c->overlapping},
        {"fragmented", c->fragmented},
        {"fragments", c->fragments},
        {"orphan_fragments", c->orphan_fragments},
        {"tunnelled_packets", c->tunnelled_packets},
        {"attack_packets", c->attack_packets},
    };
    fputs("{\"summary\":{", f);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        fprintf(f, "%s\"%s\":%" PRIu64, i != 0 ? "," : "", rows[i].name, rows[i].value);
    fputs("}}\n", f);
}

int tg_truth_write(struct tg *tg, const char *path)
{
    struct tg_truth *truth = tg->truth;
    FILE *f = fopen(path, "we");
    if (f == NULL)
        return -errno;
    if (truth->count != 0)
        qsort(truth->records, truth->count, sizeof(*truth->records), by_ordinal);
    for (size_t i = 0; i < truth->count; i++)
        print_record(f, &truth->records[i]);
    print_summary(f, tg);
    int error = ferror(f) != 0 ? -EIO : 0;
    if (fclose(f) != 0 && error == 0)
        error = -errno;
    return error;
}
