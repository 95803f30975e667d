/* SPDX-License-Identifier: BSD-3-Clause */
/* A kernel interface as a source, through libpcap. */
#include "source/live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum {
    SNAPLEN_DEFAULT = 262144, /* also the longest packet: libpcap's own maximum */
    BUFFER_BYTES = 64 * 1024 * 1024,
    HANDOVER_MS = 10,
    LINKTYPE_RAW = 101,
};

struct live {
    struct ws_source base; /* first: the source is this object */
    pcap_t *p;
    /* libpcap's bytes are valid inside its callback only: a burst is copied here, packed from the
     * start */
    uint8_t *buf;
    size_t used, buf_len;
    uint64_t ordinal;
    int64_t clock_ns;
    unsigned frac_ns; /* ns that a unit of tv_usec stands for */
    bool over;
    uint32_t device;
    struct ws_source_iface iface;
    struct pcap_stat last; /* libpcap's counts have 32 bits: differences are added up */
    uint64_t received, missed;
    /* during one rx */
    struct ws_packet *pkt;
    unsigned n;
};

static struct live *live_of(struct ws_source *s)
{
    return (struct live *)s;
}

static void take_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *bytes)
{
    struct live *l = (struct live *)(uintptr_t)user;
    struct ws_packet *k = &l->pkt[l->n++];
    /* snaplen was set: caplen is within it, and the buffer holds a burst of that length */
    k->cap_len = WS_MIN(h->caplen, l->iface.snaplen);
    k->wire_len = WS_MAX(h->len, k->cap_len);
    k->data = memcpy(l->buf + l->used, bytes, k->cap_len);
    l->used += ws_align_up(k->cap_len, WS_CACHE_LINE);
    k->ts_ns = (int64_t)h->ts.tv_sec * 1000000000 + (int64_t)h->ts.tv_usec * l->frac_ns;
    l->clock_ns = WS_MAX(l->clock_ns, k->ts_ns);
    k->clock_ns = l->clock_ns;
    k->ordinal = l->ordinal++;
    k->flags = k->cap_len < k->wire_len ? WS_PKT_SNAPPED : 0;
    k->flags |= WS_PKT_SUM_UNKNOWN; /* this host's own packets pass here before the NIC sums them */
    k->link_type = l->iface.link_type;
    k->iface = 0;
    k->device = l->device;
}

static int live_rx(struct ws_source *s, struct ws_packet *pkt, unsigned max)
{
    struct live *l = live_of(s);
    if (l->over)
        return WS_SOURCE_END;
    l->pkt = pkt;
    l->n = 0;
    l->used = 0;
    int r =
        pcap_dispatch(l->p, (int)WS_MIN(max, WS_BURST_MAX), take_packet, (u_char *)(uintptr_t)l);
    if (r < 0 && r != PCAP_ERROR_BREAK) {
        ws_log(WS_LOG_ERROR, "%s: capture ends: %s", l->iface.name, pcap_geterr(l->p));
        l->base.damaged = true;
        l->over = true;
        return l->n ? (int)l->n : WS_SOURCE_END;
    }
    return (int)l->n;
}

static const struct ws_source_iface *live_ifaces(struct ws_source *s, unsigned *n)
{
    *n = 1;
    return &live_of(s)->iface;
}

static void live_stats(struct ws_source *s, struct ws_counters *c)
{
    struct live *l = live_of(s);
    struct pcap_stat now;
    if (l->over || pcap_stats(l->p, &now) != 0)
        return;
    l->received += now.ps_recv - l->last.ps_recv;
    uint64_t missed = now.ps_drop - l->last.ps_drop;
    missed += now.ps_ifdrop - l->last.ps_ifdrop;
    l->missed += missed;
    l->last = now;
    __atomic_store_n(&l->iface.received, l->received, __ATOMIC_RELAXED); /* trailers of files read them */
    __atomic_store_n(&l->iface.dropped, l->missed, __ATOMIC_RELAXED);
    ws_count(c, WS_C_PORT_MISSED, missed); /* a thread may poll several interfaces */
}

static void live_close(struct ws_source *s)
{
    struct live *l = live_of(s);
    if (l->p)
        pcap_close(l->p);
    free(l->buf);
    free(l);
}

static const struct ws_source_ops live_ops = {
    .rx = live_rx,
    .ifaces = live_ifaces,
    .stats = live_stats,
    .close = live_close,
};

/* libpcap's error or warning as -errno; text in err. */
static int pcap_fault(pcap_t *p, const char *iface, int r, char *err, size_t err_len)
{
    const char *detail = pcap_geterr(p);
    switch (r) {
    case PCAP_ERROR_PERM_DENIED:
        snprintf(err, err_len, "%s: capture needs root or the CAP_NET_RAW capability", iface);
        return -EPERM;
    case PCAP_ERROR_PROMISC_PERM_DENIED:
        snprintf(err, err_len, "%s: promiscuous mode needs root or the CAP_NET_ADMIN capability",
                 iface);
        return -EPERM;
    case PCAP_ERROR_NO_SUCH_DEVICE:
        snprintf(err, err_len, "%s: no such interface", iface);
        return -ENODEV;
    case PCAP_ERROR_IFACE_NOT_UP:
        snprintf(err, err_len, "%s: the interface is down", iface);
        return -ENETDOWN;
    default:
        snprintf(err, err_len, "%s: %s", iface, detail && *detail ? detail : pcap_statustostr(r));
        return -EIO;
    }
}

/* Sets what must be set before activation; none of these fails on an inactive handle. */
static void set_options(pcap_t *p, const struct ws_live_config *cfg, uint32_t snaplen)
{
    uint32_t buffer = cfg->buffer_bytes ? cfg->buffer_bytes : (uint32_t)BUFFER_BYTES;
    pcap_set_snaplen(p, (int)snaplen);
    pcap_set_promisc(p, cfg->promiscuous);
    /* Not immediate mode: with it Linux gives every packet a slot of the longest length
     * (TPACKET_V2), a thousand packets in 64 MiB; without, packets are packed in blocks handed over
     * after this time. */
    pcap_set_timeout(p, HANDOVER_MS);
    pcap_set_buffer_size(p, (int)WS_MIN(buffer, (uint32_t)INT32_MAX));
    pcap_set_tstamp_precision(p, PCAP_TSTAMP_PRECISION_NANO); /* refused: us, seen afterwards */
}

static int set_filter(pcap_t *p, const struct ws_live_config *cfg, char *err, size_t err_len)
{
    struct bpf_program prog;
    if (!cfg->filter)
        return 0;
    if (pcap_compile(p, &prog, cfg->filter, 1, PCAP_NETMASK_UNKNOWN) != 0) {
        snprintf(err, err_len, "filter: %s", pcap_geterr(p));
        return -EINVAL;
    }
    int r = pcap_setfilter(p, &prog);
    pcap_freecode(&prog);
    return r ? pcap_fault(p, "filter", r, err, err_len) : 0;
}

/* The LINKTYPE_ number of a DLT_ number as libpcap gives it for a live device: they differ for raw
 * IP only among those that Linux has. */
static uint16_t link_type_of(int dlt)
{
    return dlt == DLT_RAW ? LINKTYPE_RAW : (uint16_t)dlt;
}

static int activate(struct live *l, const struct ws_live_config *cfg, char *err, size_t err_len)
{
    char text[PCAP_ERRBUF_SIZE];
    const char *iface = l->iface.name;
    int r = pcap_activate(l->p);
    if (r < 0)
        return pcap_fault(l->p, iface, r, err, err_len);
    if (r > 0) {
        const char *detail = pcap_geterr(l->p);
        ws_log(WS_LOG_WARN, "%s: %s", iface, *detail ? detail : pcap_statustostr(r));
    }
    if (!strcmp(iface, "any"))
        pcap_set_datalink(l->p, DLT_LINUX_SLL2); /* says the interface; else SLL as before */
    r = set_filter(l->p, cfg, err, err_len);
    if (r)
        return r;
    if (pcap_setnonblock(l->p, 1, text) != 0) {
        snprintf(err, err_len, "%s: %s", iface, text);
        return -EIO;
    }
    l->iface.link_type = link_type_of(pcap_datalink(l->p));
    l->frac_ns = pcap_get_tstamp_precision(l->p) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;
    return 0;
}

/* libpcap's first device, where the user named none. */
static int first_device(char *name, size_t len, char *err, size_t err_len)
{
    char text[PCAP_ERRBUF_SIZE] = "";
    pcap_if_t *all = NULL;
    int r = pcap_findalldevs(&all, text);
    if (r == 0 && all)
        snprintf(name, len, "%s", all->name);
    else
        snprintf(err, err_len, "no interface to capture from%s%s", *text ? ": " : "", text);
    bool found = r == 0 && all;
    if (all)
        pcap_freealldevs(all);
    return found ? 0 : -ENODEV;
}

static int set_up(struct live *l, const struct ws_live_config *cfg, char *err, size_t err_len)
{
    char text[PCAP_ERRBUF_SIZE];
    uint32_t snaplen = cfg->snaplen ? cfg->snaplen : (uint32_t)SNAPLEN_DEFAULT;
    snaplen = WS_MIN(snaplen, (uint32_t)SNAPLEN_DEFAULT);
    l->base.ops = &live_ops;
    l->clock_ns = INT64_MIN;
    l->device = cfg->device_id;
    l->iface.snaplen = snaplen;
    l->iface.received = l->iface.dropped = UINT64_MAX;
    if (cfg->iface)
        snprintf(l->iface.name, sizeof(l->iface.name), "%s", cfg->iface);
    else if (first_device(l->iface.name, sizeof(l->iface.name), err, err_len))
        return -ENODEV;
    l->buf_len = WS_BURST_MAX * ws_align_up(snaplen, WS_CACHE_LINE);
    l->buf = aligned_alloc(WS_CACHE_LINE, l->buf_len); /* touched only as far as bursts reach */
    l->p = l->buf ? pcap_create(l->iface.name, text) : NULL;
    if (!l->p) {
        snprintf(err, err_len, "%s: %s", l->iface.name, l->buf ? text : "no memory");
        return l->buf ? -EIO : -ENOMEM;
    }
    set_options(l->p, cfg, snaplen);
    return activate(l, cfg, err, err_len);
}

int ws_live_open(struct ws_source **s, const struct ws_live_config *cfg, char *err, size_t err_len)
{
    struct live *l = calloc(1, sizeof(*l));
    if (!l) {
        snprintf(err, err_len, "no memory for a capture");
        return -ENOMEM;
    }
    int r = set_up(l, cfg, err, err_len);
    if (r) {
        live_close(&l->base);
        return r;
    }
    *s = &l->base;
    return 0;
}

/* The first IPv4 address of a device as text, or NULL. */
static const char *ipv4_of(const pcap_if_t *d, char buf[INET_ADDRSTRLEN])
{
    for (const pcap_addr_t *a = d->addresses; a; a = a->next) {
        struct sockaddr_in in;
        if (!a->addr || a->addr->sa_family != AF_INET)
            continue;
        memcpy(&in, a->addr, sizeof(in));
        return inet_ntop(AF_INET, &in.sin_addr, buf, INET_ADDRSTRLEN);
    }
    return NULL;
}

int ws_live_each(bool (*each)(void *user, const char *name, const char *ipv4), void *user, char *err,
                 size_t err_len)
{
    char text[PCAP_ERRBUF_SIZE], addr[INET_ADDRSTRLEN];
    pcap_if_t *all;
    int found = 0;
    if (pcap_findalldevs(&all, text) != 0) {
        snprintf(err, err_len, "list of interfaces: %s", text);
        return -EIO;
    }
    for (const pcap_if_t *d = all; d && !found; d = d->next)
        found = each(user, d->name, ipv4_of(d, addr));
    pcap_freealldevs(all);
    return found;
}

static void print_device(unsigned number, const pcap_if_t *d)
{
    static const struct {
        bpf_u_int32 flag;
        const char *text;
    } flags[] = {{PCAP_IF_UP, "Up"},
                 {PCAP_IF_RUNNING, "Running"},
                 {PCAP_IF_LOOPBACK, "Loopback"},
                 {PCAP_IF_WIRELESS, "Wireless"}};
    const char *sep = " [";
    printf("%u. %s", number, d->name);
    if (d->description)
        printf(" (%s)", d->description);
    for (size_t i = 0; i < WS_ARRAY_SIZE(flags); i++) {
        if (d->flags & flags[i].flag) {
            printf("%s%s", sep, flags[i].text);
            sep = ", ";
        }
    }
    printf("%s\n", *sep == ',' ? "]" : "");
}

int ws_live_list(void)
{
    char text[PCAP_ERRBUF_SIZE];
    pcap_if_t *all;
    unsigned number = 0;
    if (pcap_findalldevs(&all, text) != 0) {
        ws_log(WS_LOG_ERROR, "list of interfaces: %s", text);
        return -EIO;
    }
    for (const pcap_if_t *d = all; d; d = d->next)
        print_device(++number, d);
    pcap_freealldevs(all);
    return 0;
}
