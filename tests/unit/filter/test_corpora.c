/* SPDX-License-Identifier: BSD-3-Clause */
/* Filter expressions against libpcap itself, on every frame of real and malformed captures. */
#include <dirent.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "filter/filter.h"
#include "guard.h"

static const char *const expressions[] = {
    "tcp",
    "udp port 53",
    "ip6",
    "host 10.0.0.1 or net 192.168.0.0/16",
    "vlan and tcp",
    "less 100",
    "portrange 1-1023",
    "icmp or icmp6",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "ip[6:2] & 0x1fff != 0",
    "not ip",
    "ip6 protochain 6",
    "mpls",
    "pppoes and tcp",
    "geneve",
    "wlan type mgt",
    "ether broadcast",
    "inbound",
};
#define EXPRESSIONS WS_ARRAY_SIZE(expressions)

struct totals {
    unsigned files, frames, hits, refused;
};

/* The number that a classic file's header gives to its link type; -1 for other formats. */
static int link_type_of(const char *path)
{
    uint8_t h[24];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(h, 1, sizeof(h), f) : 0;
    if (f)
        fclose(f);
    if (n != sizeof(h))
        return -1;
    bool little = (h[0] == 0xd4 && h[1] == 0xc3) || (h[0] == 0x4d && h[1] == 0x3c);
    bool big = h[0] == 0xa1 && h[1] == 0xb2;
    if (!little && !big)
        return -1;
    return little ? h[21] << 8 | h[20] : h[22] << 8 | h[23];
}

static void compare_frame(struct ws_filter *ours, bool compiled, const struct bpf_program *theirs,
                          const struct pcap_pkthdr *h, const u_char *data, int link_type,
                          struct totals *sum)
{
    struct guard g = guard_copy(data, h->caplen);
    struct ws_packet p = {
        .data = g.data, .cap_len = h->caplen, .wire_len = h->len, .link_type = (uint16_t)link_type};
    bool want = compiled && pcap_offline_filter(theirs, h, data) != 0;
    assert_int_equal(ws_filter_match(ours, &p), want);
    sum->hits += want;
    sum->frames++;
    guard_free(&g);
}

static void compare_file(const char *path, struct ws_filter *const *ours, struct totals *sum)
{
    char err[PCAP_ERRBUF_SIZE];
    int link_type = link_type_of(path);
    pcap_t *pcap = link_type < 0 ? NULL : pcap_open_offline(path, err);
    if (!pcap)
        return;
    struct bpf_program theirs[EXPRESSIONS] = {0};
    bool compiled[EXPRESSIONS];
    for (unsigned i = 0; i < EXPRESSIONS; i++) {
        compiled[i] = pcap_compile(pcap, &theirs[i], expressions[i], 1, PCAP_NETMASK_UNKNOWN) == 0;
        sum->refused += !compiled[i];
    }
    struct pcap_pkthdr *h;
    const u_char *data;
    for (unsigned n = 0; n < 300 && pcap_next_ex(pcap, &h, &data) == 1; n++)
        for (unsigned i = 0; i < EXPRESSIONS; i++)
            compare_frame(ours[i], compiled[i], &theirs[i], h, data, link_type, sum);
    for (unsigned i = 0; i < EXPRESSIONS; i++)
        pcap_freecode(&theirs[i]);
    pcap_close(pcap);
    sum->files++;
}

static void same_as_libpcap(void **state)
{
    struct totals sum = {0};
    struct ws_filter *ours[EXPRESSIONS];
    char err[256];
    for (unsigned i = 0; i < EXPRESSIONS; i++)
        assert_int_equal(ws_filter_create(&ours[i], expressions[i], -1, err, sizeof(err)), 0);
    const char *root = *state;
    DIR *d = opendir(root);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char folder[2048];
        snprintf(folder, sizeof(folder), "%s/%s", root, e->d_name);
        DIR *sub = e->d_name[0] == '.' ? NULL : opendir(folder);
        for (struct dirent *s; sub && (s = readdir(sub));) {
            char path[4096];
            snprintf(path, sizeof(path), "%s/%s", folder, s->d_name);
            if (s->d_name[0] != '.')
                compare_file(path, ours, &sum);
        }
        if (sub)
            closedir(sub);
    }
    closedir(d);
    printf("%u files, %u comparisons, %u matches, %u expressions without meaning\n", sum.files,
           sum.frames, sum.hits, sum.refused);
    assert_true(sum.files > 100 && sum.hits > 1000 && sum.refused > 10);
    for (unsigned i = 0; i < EXPRESSIONS; i++)
        ws_filter_destroy(ours[i]);
}

int main(void)
{
    char *root = getenv("WIRESPOOL_CORPORA");
    if (!root) {
        printf("skipped: WIRESPOOL_CORPORA is not set\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(same_as_libpcap, root)};
    return cmocka_run_group_tests_name("filter/corpora", tests, NULL, NULL);
}
