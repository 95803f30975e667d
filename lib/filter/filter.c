/* SPDX-License-Identifier: BSD-3-Clause */
/* pcap-filter expressions: one libpcap program for each link type that comes up. */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "filter/filter.h"

/* Link types whose programs are kept at once. One more takes the place of another, which is
 * compiled again when it comes back: slow then, never wrong. */
#define PROGRAMS 8u

/* What a program returns for a match; also the largest snap length that libpcap takes from a file.
 */
#define SNAPLEN 262144u

struct program {
    struct bpf_program bpf;
    uint16_t link_type;
    bool used;
    bool compiled; /* used, but not compiled: the expression has no meaning for the link type */
};

struct ws_filter {
    char *expr;
    struct program program[PROGRAMS];
    unsigned last; /* most frames have the link type of the one before */
    unsigned next; /* to be replaced when all are used */
    uint64_t unsupported;
};

/* A libpcap handle that takes itself to be reading a capture file of this link type: libpcap itself
 * then maps LINKTYPE_ to DLT_, and compiles as it does for reading files (with no Linux packet
 * metadata). */
static pcap_t *open_as_file(uint16_t link_type, char *err)
{
    uint8_t header[24] = {0};
    ws_store_le32(header, 0xa1b2c3d4u);
    ws_store_le16(header + 4, 2);
    ws_store_le16(header + 6, 4);
    ws_store_le32(header + 16, SNAPLEN);
    ws_store_le32(header + 20, link_type);
    FILE *file = fmemopen(header, sizeof(header), "rb");
    if (!file) {
        snprintf(err, PCAP_ERRBUF_SIZE, "%s", strerror(errno));
        return NULL;
    }
    pcap_t *pcap = pcap_fopen_offline(file, err);
    if (!pcap)
        fclose(file);
    return pcap;
}

/* Compiles the expression for a link type. Returns 0, or -EINVAL with libpcap's message in err. */
static int compile(struct program *prog, const char *expr, uint16_t link_type, char *err)
{
    *prog = (struct program){.link_type = link_type, .used = true};
    pcap_t *pcap = open_as_file(link_type, err);
    if (!pcap)
        return -EINVAL;
    prog->compiled = pcap_compile(pcap, &prog->bpf, expr, 1, PCAP_NETMASK_UNKNOWN) == 0;
    if (!prog->compiled)
        snprintf(err, PCAP_ERRBUF_SIZE, "%s", pcap_geterr(pcap));
    pcap_close(pcap);
    return prog->compiled ? 0 : -EINVAL;
}

static void drop(struct program *prog)
{
    if (prog->compiled)
        pcap_freecode(&prog->bpf);
    *prog = (struct program){0};
}

/* Link types that stand for all when none is named: Ethernet, then those that give a meaning to the
 * rest of the language: 802.11, Linux cooked (inbound), BSD firewall logs, ATM, SS7. */
static const uint16_t representative[] = {1, 105, 113, 117, 123, 140};

/* Compiles for the first link type that gives the expression a meaning. err is from the first. */
static int compile_any(struct program *prog, const char *expr, char *err)
{
    char other[PCAP_ERRBUF_SIZE];
    int rc = compile(prog, expr, representative[0], err);
    for (size_t i = 1; rc < 0 && i < WS_ARRAY_SIZE(representative); i++)
        rc = compile(prog, expr, representative[i], other);
    return rc;
}

int ws_filter_create(struct ws_filter **f, const char *expr, int link_type, char *err,
                     size_t err_len)
{
    char message[PCAP_ERRBUF_SIZE] = "";
    struct ws_filter *n = calloc(1, sizeof(*n));
    int rc = -ENOMEM;
    if (n && (n->expr = strdup(expr)))
        rc = link_type < 0 ? compile_any(&n->program[0], expr, message)
                           : compile(&n->program[0], expr, (uint16_t)link_type, message);
    if (rc < 0) {
        snprintf(err, err_len, "%s", rc == -ENOMEM ? strerror(ENOMEM) : message);
        ws_filter_destroy(n);
        return rc;
    }
    n->next = 1;
    *f = n;
    return 0;
}

void ws_filter_destroy(struct ws_filter *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < PROGRAMS; i++)
        drop(&f->program[i]);
    free(f->expr);
    free(f);
}

int ws_filter_clone(struct ws_filter **copy, const struct ws_filter *f)
{
    struct ws_filter *n = calloc(1, sizeof(*n));
    if (!n)
        return -ENOMEM;
    *n = *f;
    n->unsupported = 0;
    bool whole = (n->expr = strdup(f->expr)) != NULL;
    for (unsigned i = 0; i < PROGRAMS; i++) {
        const struct bpf_program *from = &f->program[i].bpf;
        if (!f->program[i].compiled)
            continue;
        /* as libpcap allocates it: pcap_freecode() frees it. Copied rather than compiled again,
         * because an expression with host names may mean something else by now */
        struct bpf_insn *insns = calloc(from->bf_len, sizeof(*insns));
        if (insns)
            memcpy(insns, from->bf_insns, from->bf_len * sizeof(*insns));
        n->program[i].bpf.bf_insns = insns;
        n->program[i].compiled = insns != NULL;
        whole = whole && insns;
    }
    if (!whole) {
        ws_filter_destroy(n);
        return -ENOMEM;
    }
    *copy = n;
    return 0;
}

/* The program for a link type, compiled now if it is new. */
static const struct program *program_for(struct ws_filter *f, uint16_t link_type)
{
    for (unsigned i = 0; i < PROGRAMS; i++) {
        if (f->program[i].used && f->program[i].link_type == link_type) {
            f->last = i;
            return &f->program[i];
        }
    }
    char err[PCAP_ERRBUF_SIZE];
    struct program *prog = &f->program[f->next];
    f->last = f->next;
    f->next = (f->next + 1) % PROGRAMS;
    drop(prog);
    (void)compile(prog, f->expr, link_type, err);
    return prog;
}

bool ws_filter_match(struct ws_filter *f, const struct ws_packet *p)
{
    const struct program *prog = &f->program[f->last];
    if (WS_UNLIKELY(!prog->used || prog->link_type != p->link_type))
        prog = program_for(f, p->link_type);
    if (WS_UNLIKELY(!prog->compiled)) {
        f->unsupported++;
        return false;
    }
    return bpf_filter(prog->bpf.bf_insns, p->data, p->wire_len, p->cap_len) != 0;
}

uint64_t ws_filter_unsupported(const struct ws_filter *f)
{
    return f->unsupported;
}
