/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of flows as pcap_flow prints it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/compat_pcap_flow.h"
#include "format/text.h"

/* One direction of a flow. */
struct row {
    const struct ws_flow_record *rec;
    unsigned dir;
};

static uint64_t packets_of(const struct row *r)
{
    return r->rec->packets[r->dir];
}

static int by_packets(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (packets_of(x) != packets_of(y))
        return packets_of(x) < packets_of(y) ? -1 : 1;
    uint64_t i = x->rec->flow_id[x->dir], j = y->rec->flow_id[y->dir];
    return i < j ? -1 : i > j;
}

const char *pcap_flow_time(char *buf, int64_t ns)
{
    uint64_t t = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, s = t / 1000000000;
    /* of a stamp the time of day, as pcap_flow: a duration of over a day begins anew likewise */
    snprintf(buf, PCAP_FLOW_TIME,
             "%s%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 ".%03" PRIu64 ".%03" PRIu64,
             ns < 0 ? "-" : "", s / 3600 % 24, s / 60 % 60, s % 60, t / 1000000 % 1000,
             t / 1000 % 1000, t % 1000);
    return buf;
}

/* v with commas, in any locale. buf: 32 bytes. */
static const char *commas(char *buf, uint64_t v)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%" PRIu64, v), at = 0;
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            buf[at++] = ',';
        buf[at++] = digits[i];
    }
    buf[at] = '\0';
    return buf;
}

static const char *mac(char *buf, const uint8_t m[6])
{
    snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    return buf;
}

static const char *address(char *buf, size_t len, const uint8_t *a, unsigned version)
{
    struct ws_text t;
    if (version == 4) {
        snprintf(buf, len, "%3u.%3u.%3u.%3u", a[0], a[1], a[2], a[3]);
        return buf;
    }
    ws_text_init(&t, buf, len);
    ws_text_addr(&t, a, version);
    ws_text_end(&t);
    return buf;
}

/* A stamp before 1970 has a time of day too. */
static int64_t time_of_day(int64_t ns)
{
    const int64_t day = INT64_C(86400000000000);
    int64_t t = ns % day;
    return t < 0 ? t + day : t;
}

static void print_row(const struct row *r, size_t rank, bool later)
{
    const struct ws_flow_record *f = r->rec;
    const struct ws_key *k = &f->key;
    unsigned d = r->dir;
    char a[80], b[80], m[2][18], n[2][32], t[3][PCAP_FLOW_TIME];
    int64_t lasted;

    printf("%5zu FlowID: %8" PRIu64
           " | %s  %s -> %s | %s -> %s | %6u -> %6u  |  %16s Pkts  %16s Bytes",
           rank, f->flow_id[d], k->proto == 6 ? "TCP" : "UDP", mac(m[0], k->mac[d]),
           mac(m[1], k->mac[!d]), address(a, sizeof(a), k->addr[d], k->ip_version),
           address(b, sizeof(b), k->addr[!d], k->ip_version), k->port[d], k->port[!d],
           commas(n[0], f->packets[d]), commas(n[1], f->bytes[d]));
    if (!later) {
        putchar('\n');
        return;
    }
    if (__builtin_sub_overflow(f->last_ts_ns[d], f->first_ts_ns[d], &lasted))
        lasted = 0;
    printf("  |  %s -> %s : %s", pcap_flow_time(t[0], time_of_day(f->first_ts_ns[d])),
           pcap_flow_time(t[1], time_of_day(f->last_ts_ns[d])), pcap_flow_time(t[2], lasted));
    if (k->proto == 6)
        printf(" |  Seq:%08" PRIx32 " PktTotal:%" PRIu64 " PktOOO:%" PRIu32 " PktDrop:%" PRIu32,
               f->begin_seq[d], f->packets[d], f->late[d], f->gaps[d]);
    putchar('\n');
}

int pcap_flow_table_print(const struct flow_list *l, const struct pcap_flow_table *t)
{
    size_t n = 0;
    struct row *row = malloc((l->n ? 2 * l->n : 1) * sizeof(*row));
    if (!row) {
        fprintf(stderr, "wirespool pcap_flow: out of memory for the table of flows\n");
        return 3;
    }
    for (size_t i = 0; i < l->n; i++)
        for (unsigned d = 0; d < 2; d++)
            if (l->rec[i]->flow_id[d])
                row[n++] = (struct row){l->rec[i], d};
    qsort(row, n, sizeof(*row), by_packets);
    for (size_t i = 0; i < n; i++)
        if (packets_of(&row[i]) >= t->packets_min)
            print_row(&row[i], i, t->later);
    free(row);
    return 0;
}
