/* SPDX-License-Identifier: BSD-3-Clause */
/* Real and malformed captures ($WIRESPOOL_CORPORA): wherever libpcap reads a packet, so do we, and
 * it is the same. */
#include <dirent.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <sys/stat.h>

#include "unit/source/slurp.h"

enum { SKIP = 77 };

struct totals {
    unsigned files, read_by_libpcap, complete, packets;
    unsigned failures;
};

static void differs(struct totals *t, const char *path, unsigned i, const char *what, int64_t ours,
                    int64_t theirs)
{
    t->failures++;
    printf("%s: packet %u: %s is %" PRId64 ", libpcap has %" PRId64 "\n", path, i, what, ours,
           theirs);
}

/* libpcap takes both fields of a stamp as signed, the format has them unsigned: 2^32 s, us or ns
 * apart. */
static bool same_stamp(int64_t ours, int64_t theirs)
{
    int64_t wrap = (ours - theirs) / (INT64_C(1) << 32);
    bool whole = (ours - theirs) % (INT64_C(1) << 32) == 0;
    return whole && (wrap == 0 || wrap == 1 || wrap == 1000 || wrap == 1000000000);
}

/* Compares one packet; libpcap cuts to the snap length of the file, which some files exceed. */
static void compare(struct totals *t, const char *path, unsigned i, const struct ws_packet *k,
                    const struct pcap_pkthdr *h, const u_char *bytes, pcap_t *p)
{
    int64_t ts = (int64_t)h->ts.tv_sec * 1000000000 + h->ts.tv_usec;
    bool cut = h->caplen == (bpf_u_int32)pcap_snapshot(p) && k->cap_len > h->caplen;
    if (!same_stamp(k->ts_ns, ts))
        differs(t, path, i, "stamp", k->ts_ns, ts);
    if (k->cap_len != h->caplen && !cut)
        differs(t, path, i, "captured length", k->cap_len, h->caplen);
    else if (memcmp(k->data, bytes, h->caplen) != 0)
        differs(t, path, i, "content", 0, 0);
    if (k->wire_len != WS_MAX(h->len, k->cap_len))
        differs(t, path, i, "original length", k->wire_len, h->len);
}

static void one_file(struct totals *t, const char *path)
{
    char text[PCAP_ERRBUF_SIZE];
    struct slurp s;
    const char *list[1] = {path};
    struct ws_file_config cfg = {.path = list, .n_path = 1};
    int opened = slurp(&s, &cfg);
    pcap_t *p = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
    t->files++;
    if (p && opened != 0) {
        t->failures++;
        printf("%s: libpcap opens it, we say: %s\n", path, s.err);
    } else if (p) {
        struct pcap_pkthdr *h;
        const u_char *bytes;
        unsigned n = 0;
        int r;
        t->read_by_libpcap++;
        for (; (r = pcap_next_ex(p, &h, &bytes)) == 1; n++) {
            if (n < s.n)
                compare(t, path, n, &s.row[n].k, h, bytes, p);
        }
        t->packets += n;
        t->complete += r == PCAP_ERROR_BREAK;
        if (s.n < n || (r == PCAP_ERROR_BREAK && s.n != n))
            differs(t, path, n, "number of packets", s.n, n);
        if (r == PCAP_ERROR_BREAK && s.damaged)
            differs(t, path, n, "damage", 1, 0);
    }
    if (p)
        pcap_close(p);
    if (opened == 0)
        slurp_free(&s);
}

static void walk(struct totals *t, const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        char path[4096];
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= (int)sizeof(path) ||
            stat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode))
            walk(t, path);
        else if (S_ISREG(st.st_mode))
            one_file(t, path);
    }
    closedir(d);
}

int main(void)
{
    const char *dir = getenv("WIRESPOOL_CORPORA");
    struct totals t = {0};
    if (!dir || !*dir) {
        printf("skipped: WIRESPOOL_CORPORA is not set\n");
        return SKIP;
    }
    clear_log();
    walk(&t, dir);
    printf("%u files, %u opened by libpcap, %u of them read to the end, %u packets compared\n",
           t.files, t.read_by_libpcap, t.complete, t.packets);
    if (!t.packets)
        printf("no capture in %s\n", dir);
    return t.failures || !t.packets ? 1 : 0;
}
