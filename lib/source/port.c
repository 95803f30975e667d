/* SPDX-License-Identifier: BSD-3-Clause */
/* Opens, configures, starts and closes DPDK ports; the control path. */
#include "source/port_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pcap/pcap.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_mbuf_dyn.h>

#include "base/log.h"
#include "source/port_kernel.h"
#include "source/port_log.h"

#define DESCRIPTORS_DEFAULT 2048u

/* Buffers that each queue needs besides those in its descriptors: the burst at the worker, the one
 * being received, and what lies in the cache of the lcore that polls it (1.5 times its size). */
#define MBUF_CACHE   128u
#define MBUFS_BESIDE (2 * WS_BURST_MAX + MBUF_CACHE * 3 / 2)

/* A frame has this much besides its MTU: Ethernet header, two VLAN tags, checksum. */
#define FRAME_OVERHEAD (RTE_ETHER_HDR_LEN + 2 * 4 + RTE_ETHER_CRC_LEN)

/* The largest data room that an mbuf can have (uint16_t). With it net_pcap makes no chains. */
#define ROOM_MAX 65535u

/* A burst's chained packets are copied here; what does not fit is cut. 64 jumbo frames of 64 KiB.
 */
#define BOUNCE_BYTES ((size_t)4 << 20)

/* af_packet's own frames of 2,048 bytes would cut what the kernel aggregates (GRO, TSO: up to 64
 * KiB), without a trace. These fit ROOM_MAX; the driver takes frames to lie back to back, so that a
 * block must be whole pages and whole frames: 32 x 65,408 = 511 x 4,096. A frame's data begin at
 * most 66 bytes in; 65,342 remain. */
#define AF_PACKET_FRAME_BYTES 65408u
#define AF_PACKET_BLOCK_BYTES 2093056u
static_assert(AF_PACKET_BLOCK_BYTES % AF_PACKET_FRAME_BYTES == 0, "whole frames");
static_assert(AF_PACKET_BLOCK_BYTES % 4096 == 0, "whole pages");

/* How long to wait for a link that is not up yet. */
#define LINK_WAIT_MS 1000u
#define LINK_STEP_MS 50u

static const struct ws_port_driver drivers[] = {
    {.name = "net_pcap", .all_queues = true, .no_promiscuous = true, .no_link = true},
    {.name = "net_ring",
     .all_queues = true,
     .missed_unknown = true,
     .no_promiscuous = true,
     .no_link = true},
    {.name = "net_null", .no_promiscuous = true, .no_link = true},
    {.name = "net_af_packet",
     .all_queues = true,
     .missed_unknown = true,
     .sum_unknown = true,
     .kernel = true},
    {.name = "net_af_xdp", .all_queues = true, .sum_unknown = true, .kernel = true, .xdp = true},
    {.name = "net_tap", .missed_unknown = true, .sum_unknown = true},
    {.name = "net_memif", .all_queues = true, .missed_unknown = true},
    {.name = "net_virtio_user", .missed_unknown = true, .sum_unknown = true},
    {.name = "net_vhost", .all_queues = true, .missed_unknown = true, .no_promiscuous = true},
};
static const struct ws_port_driver any_driver = {.name = ""};

/* Ports that are open, so that one is not opened twice. Main thread. */
static bool port_taken[RTE_MAX_ETHPORTS];

static const struct ws_port_driver *driver_find(const char *name)
{
    for (size_t i = 0; i < WS_ARRAY_SIZE(drivers); i++)
        if (strcmp(drivers[i].name, name) == 0)
            return &drivers[i];
    return &any_driver;
}

/* ---- size of the pool ---- */

struct pool_plan {
    uint32_t mbufs;
    uint32_t room; /* data room with headroom */
};

/* net_pcap with infinite_rx loads its files into our pool: counts packets and finds the longest. */
static void count_packets(const struct ws_port_devargs *d, uint64_t *packets, uint32_t *longest)
{
    for (unsigned i = 0; i < d->rx_files; i++) {
        char path[4096], err[PCAP_ERRBUF_SIZE];
        struct pcap_pkthdr *h;
        const u_char *data;
        snprintf(path, sizeof(path), "%.*s", (int)WS_MIN(d->file[i].len, sizeof(path) - 1),
                 d->file[i].path);
        pcap_t *f = pcap_open_offline(path, err);
        if (!f)
            continue; /* the driver will say so */
        while (pcap_next_ex(f, &h, &data) == 1) {
            (*packets)++;
            *longest = WS_MAX(*longest, h->caplen);
        }
        pcap_close(f);
    }
}

static struct pool_plan pool_plan(const struct ws_port_config *cfg, const struct ws_port_devargs *d,
                                  unsigned queues, unsigned descriptors, uint32_t mtu)
{
    uint64_t frame = mtu + FRAME_OVERHEAD;
    uint64_t mbufs = (uint64_t)queues * (descriptors + MBUFS_BESIDE);

    if (d->pcap && d->infinite) {
        uint64_t packets = 0;
        uint32_t longest = 0;
        count_packets(d, &packets, &longest);
        mbufs = packets + (uint64_t)queues * MBUFS_BESIDE;
        frame = WS_MAX(frame, longest);
    } else if (d->pcap) {
        mbufs = (uint64_t)queues * MBUFS_BESIDE; /* it has no descriptors */
        frame = ROOM_MAX;
    } else if (d->af_packet) {
        mbufs = (uint64_t)queues * MBUFS_BESIDE; /* nor has this one: its ring is the kernel's */
        frame = d->frame_bytes ? WS_MIN(d->frame_bytes, ROOM_MAX) : ROOM_MAX;
    }
    uint64_t room = frame + RTE_PKTMBUF_HEADROOM;
    if (room <= RTE_MBUF_DEFAULT_BUF_SIZE)
        room = RTE_MBUF_DEFAULT_BUF_SIZE;
    return (struct pool_plan){
        .mbufs = cfg->mbufs ? cfg->mbufs : (uint32_t)WS_MIN(mbufs, (uint64_t)1 << 30),
        .room = (uint32_t)WS_MIN(ws_align_up(room, WS_CACHE_LINE), (size_t)ROOM_MAX),
    };
}

size_t ws_port_pool_bytes(const struct ws_port_config *cfg)
{
    struct ws_port_devargs d;
    if (ws_port_devargs_parse(&d, cfg->devargs, cfg->device_id) < 0)
        return 0;
    unsigned queues = WS_MAX(cfg->queues_want, WS_MAX(d.rx_files, d.rx_ifaces));
    const struct pool_plan plan = pool_plan(
        cfg, &d, WS_MAX(queues, 1u), cfg->descriptors ? cfg->descriptors : DESCRIPTORS_DEFAULT,
        cfg->mtu ? cfg->mtu : RTE_ETHER_MTU);
    /* an element: mempool header, mbuf, data; then a tenth for page ends and the ring */
    const size_t element = 64 + sizeof(struct rte_mbuf) + plan.room + 64;
    return (size_t)plan.mbufs * element / 10 * 11 + ((size_t)2 << 20);
}

/* ---- probing ---- */

static int find_new_port(const bool *before, uint16_t *id)
{
    for (uint16_t port = 0; port < RTE_MAX_ETHPORTS; port++) {
        if (rte_eth_dev_is_valid_port(port) && !before[port]) {
            *id = port;
            return 0;
        }
    }
    return -ENODEV;
}

/* Files of net_pcap are checked first: the driver's own message names neither file nor reason. */
static int check_files(const struct ws_port_devargs *d, char *err, size_t err_len)
{
    for (unsigned i = 0; i < d->rx_files; i++) {
        char path[4096], why[PCAP_ERRBUF_SIZE] = "";
        if (d->file[i].len >= sizeof(path)) {
            snprintf(err, err_len, "path too long");
            return -ENAMETOOLONG;
        }
        memcpy(path, d->file[i].path, d->file[i].len);
        path[d->file[i].len] = '\0';
        errno = 0;
        pcap_t *f = pcap_open_offline(path, why);
        if (!f) {
            const int rc = errno ? -errno : -EINVAL;
            snprintf(err, err_len, "%s", why);
            return rc;
        }
        pcap_close(f);
    }
    return 0;
}

/* Finds the port that devargs names, or makes it by probing. */
static int probe(struct ws_port *p, char *err, size_t err_len)
{
    bool before[RTE_MAX_ETHPORTS] = {false};
    const char *text = p->devargs_text;
    char line[256];
    uint16_t port;

    if (rte_eth_dev_get_port_by_name(p->devargs.name, &port) == 0 ||
        rte_eth_dev_get_port_by_name(text, &port) == 0) {
        if (port_taken[port]) {
            snprintf(err, err_len, "--dev %s: this device is already in use", text);
            return -EBUSY;
        }
        p->id = port;
        return 0;
    }
    int rc = check_files(&p->devargs, line, sizeof(line));
    if (rc < 0) {
        snprintf(err, err_len, "--dev %s: %s", text, line);
        return rc;
    }
    for (port = 0; port < RTE_MAX_ETHPORTS; port++)
        before[port] = rte_eth_dev_is_valid_port(port) != 0;
    const bool frames = p->devargs.af_packet && !p->devargs.frame_bytes && !p->devargs.block_given;
    size_t len = strlen(p->devargs.name) + strlen(p->devargs.args) + 64;
    char *full = malloc(len);
    if (!full) {
        snprintf(err, err_len, "out of memory");
        return -ENOMEM;
    }
    int at = snprintf(full, len, "%s%s", p->devargs.name, p->devargs.args);
    if (frames)
        snprintf(full + at, len - (size_t)at, ",framesz=%u,blocksz=%u", AF_PACKET_FRAME_BYTES,
                 AF_PACKET_BLOCK_BYTES);
    ws_port_log_hold();
    rc = rte_dev_probe(full);
    ws_port_log_release(line, sizeof(line));
    free(full);
    if (rc == 0)
        rc = find_new_port(before, &p->id);
    if (rc < 0) {
        const bool none = rc == -ENODEV || rc == -ENOENT || rc == -EFAULT;
        const bool vague = rc == -1; /* drivers' way to say "failed", not -EPERM */
        if (vague)
            rc = geteuid() == 0 ? -EIO : -EPERM;
        snprintf(err, err_len, "--dev %s: %s%s%s%s", text,
                 none    ? "no such device, or no driver for it"
                 : vague ? "the driver could not open it"
                         : strerror(-rc),
                 line[0] ? ": " : "", line,
                 vague && geteuid() != 0
                     ? " (not root: CAP_NET_RAW or CAP_NET_ADMIN may be missing)"
                     : "");
        return rc;
    }
    struct rte_eth_dev_info info;
    if (rte_eth_dev_info_get(p->id, &info) == 0)
        p->device = (struct rte_device *)(uintptr_t)info.device;
    before[p->id] = true;
    if (find_new_port(before, &port) == 0)
        ws_log(WS_LOG_INFO, "--dev %s: the device has several ports; only the first is used", text);
    return 0;
}

/* ---- configuration ---- */

static uint16_t choose_queues(const struct ws_port *p, const struct ws_port_config *cfg,
                              const struct rte_eth_dev_info *info)
{
    unsigned want = WS_MAX(cfg->queues_want, 1u);
    unsigned most = WS_MAX(info->max_rx_queues, 1u);
    if (p->driver->all_queues)
        return (uint16_t)most;
    /* Without RSS a device has no way to use a second queue, net_null apart, which fills all. */
    if (info->flow_type_rss_offloads == 0)
        return 1;
    return (uint16_t)WS_MIN(want, most);
}

static int configure_queues(struct ws_port *p, const struct rte_eth_conf *conf,
                            uint16_t descriptors, uint16_t tx, char *err, size_t err_len)
{
    struct rte_eth_dev_info info;
    uint16_t rx_desc = descriptors, tx_desc = 64;
    const int socket = rte_eth_dev_socket_id(p->id);
    const unsigned at = socket < 0 ? (unsigned)SOCKET_ID_ANY : (unsigned)socket;

    int rc = rte_eth_dev_configure(p->id, p->info.queues, tx, conf);
    if (rc < 0) {
        snprintf(err, err_len, "cannot configure %u queues: %s", p->info.queues, strerror(-rc));
        return rc;
    }
    if (rte_eth_dev_info_get(p->id, &info) != 0 ||
        rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rx_desc, &tx_desc) != 0)
        rx_desc = descriptors;
    info.default_rxconf.offloads = conf->rxmode.offloads;
    info.default_rxconf.rx_drop_en = 1; /* one slow queue must not stop the others */
    for (uint16_t q = 0; q < p->info.queues; q++) {
        rc = rte_eth_rx_queue_setup(p->id, q, rx_desc, at, &info.default_rxconf, p->pool);
        if (rc < 0) {
            snprintf(err, err_len, "cannot set up RX queue %u: %s", q, strerror(-rc));
            return rc;
        }
    }
    for (uint16_t q = 0; q < tx; q++) {
        rc = rte_eth_tx_queue_setup(p->id, q, tx_desc, at, &info.default_txconf);
        if (rc < 0) {
            snprintf(err, err_len, "cannot set up TX queue %u: %s", q, strerror(-rc));
            return rc;
        }
    }
    return 0;
}

static int make_pool(struct ws_port *p, const struct pool_plan *plan, char *err, size_t err_len)
{
    char name[RTE_MEMPOOL_NAMESIZE];
    /* a pool must hold more than one and a half caches */
    const unsigned cache = WS_MIN(MBUF_CACHE, plan->mbufs / 2);
    const int nodes[] = {p->info.numa_node, SOCKET_ID_ANY};

    snprintf(name, sizeof(name), "ws_port_%u", p->id);
    for (size_t i = p->info.numa_node < 0; i < WS_ARRAY_SIZE(nodes) && !p->pool; i++)
        p->pool =
            rte_pktmbuf_pool_create(name, plan->mbufs, cache, 0, (uint16_t)plan->room, nodes[i]);
    if (!p->pool) {
        snprintf(
            err, err_len,
            "no memory for %u packet buffers of %u bytes; more comes with --eal \"-m MIB\" (%s)",
            plan->mbufs, plan->room, rte_strerror(rte_errno));
        return -ENOMEM;
    }
    p->info.mbufs = plan->mbufs;
    return 0;
}

static void set_mtu(struct ws_port *p, const struct ws_port_config *cfg)
{
    uint16_t mtu = 0;
    char line[256];
    if (cfg->mtu != 0) {
        ws_port_log_hold();
        int rc = cfg->mtu > UINT16_MAX ? -EINVAL : rte_eth_dev_set_mtu(p->id, (uint16_t)cfg->mtu);
        ws_port_log_release(line, sizeof(line));
        if (rc < 0)
            ws_log(WS_LOG_WARN, "%s: cannot set the MTU to %u: %s", p->info.name, cfg->mtu,
                   rc == -ENOTSUP ? "the driver cannot do it" : strerror(-rc));
    }
    if (rte_eth_dev_get_mtu(p->id, &mtu) == 0)
        p->info.mtu = mtu;
}

/* Asks for what the device offers and we can use. VLAN stripping, LRO and CRC removal stay as they
 * are by default: off, off, on. */
static void choose_offloads(struct ws_port *p, const struct ws_port_config *cfg,
                            const struct rte_eth_dev_info *info, struct rte_eth_conf *conf,
                            bool needs_scatter)
{
    if (needs_scatter && (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER)) {
        conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
        p->info.scattered = true;
    }
    if (cfg->hw_timestamps && (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_TIMESTAMP)) {
        conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_TIMESTAMP;
        p->hw_timestamps = true;
    }
}

/* What a driver complains of while stopping changes nothing for us. */
static void stop_device(struct ws_port *p)
{
    char line[256];
    ws_port_log_hold();
    (void)rte_eth_dev_stop(p->id);
    ws_port_log_release(line, sizeof(line));
}

static int configure(struct ws_port *p, const struct ws_port_config *cfg, char *err, size_t err_len)
{
    struct rte_eth_dev_info info;
    struct rte_eth_conf conf;
    uint8_t key[256];
    uint16_t mtu = RTE_ETHER_MTU;
    const uint16_t descriptors = cfg->descriptors ? cfg->descriptors : DESCRIPTORS_DEFAULT;

    int rc = rte_eth_dev_info_get(p->id, &info);
    if (rc < 0) {
        snprintf(err, err_len, "cannot ask the device: %s", strerror(-rc));
        return rc;
    }
    p->driver = driver_find(info.driver_name ? info.driver_name : "");
    if (p->driver->kernel)
        p->if_index = info.if_index;
    if (p->driver->xdp)
        ws_port_kernel_quiet();
    snprintf(p->info.driver, sizeof(p->info.driver), "%s",
             info.driver_name ? info.driver_name : "?");
    rte_eth_dev_get_name_by_port(p->id, p->info.name);
    p->info.numa_node = rte_eth_dev_socket_id(p->id);
    p->info.queues = choose_queues(p, cfg, &info);
    p->info.missed_unknown = p->driver->missed_unknown;
    p->info.replay = p->devargs.pcap && p->devargs.rx_files > 0 && p->devargs.rx_ifaces == 0 &&
                     !p->devargs.infinite;
    p->info.vlan_kept = !p->driver->xdp || !ws_port_kernel_strips_vlan(p->if_index);
    if (!p->info.vlan_kept)
        ws_log(WS_LOG_WARN,
               "%s: VLAN tags may be lost on their way to XDP (ethtool -K %s rxvlan off)",
               p->info.name, p->devargs.iface);

    (void)rte_eth_dev_get_mtu(p->id, &mtu);
    uint32_t mtu_want = cfg->mtu ? cfg->mtu : mtu;
    const struct pool_plan plan =
        pool_plan(cfg, &p->devargs, p->info.queues, descriptors, mtu_want);
    rc = make_pool(p, &plan, err, err_len);
    if (rc < 0)
        return rc;

    memset(&conf, 0, sizeof(conf));
    /* rxmode.mtu decides the longest frame of NICs; the device's limits apply */
    mtu_want = WS_MIN(mtu_want, info.max_mtu ? (uint32_t)info.max_mtu : UINT16_MAX);
    if (info.max_rx_pktlen > RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN)
        mtu_want = WS_MIN(mtu_want, info.max_rx_pktlen - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN);
    mtu_want = WS_MAX(mtu_want, (uint32_t)info.min_mtu);
    conf.rxmode.mtu = mtu_want;
    choose_offloads(p, cfg, &info, &conf,
                    mtu_want + FRAME_OVERHEAD + RTE_PKTMBUF_HEADROOM > plan.room);
    ws_port_rss_prepare(p, &info, &conf, key);

    /* Some drivers want as many TX queues as RX queues, others none; some offer RSS and refuse it.
     */
    char why[256];
    for (int attempt = 0; attempt < 4; attempt++) {
        const uint16_t tx = attempt & 1 ? p->info.queues : 0;
        if (attempt == 2) {
            if (p->rss_hf == 0)
                break;
            p->rss_hf = 0;
            conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
            conf.rxmode.offloads &= ~(uint64_t)RTE_ETH_RX_OFFLOAD_RSS_HASH;
        }
        ws_port_log_hold();
        rc = configure_queues(p, &conf, descriptors, tx, err, err_len);
        ws_port_log_release(why, sizeof(why));
        if (rc == 0)
            break;
    }
    if (rc < 0) {
        size_t len = strlen(err);
        if (why[0])
            snprintf(err + len, err_len - len, ": %s", why);
        return rc;
    }
    set_mtu(p, cfg);
    /* Many devices take the key only when started. Who plans the threads must know before: so it is
     * started once. */
    if (p->rss_hf != 0 && p->info.queues > 1) {
        ws_port_log_hold();
        rc = rte_eth_dev_start(p->id);
        ws_port_log_release(why, sizeof(why));
        if (rc == 0) {
            ws_port_rss_check(p);
            stop_device(p);
        }
    }
    return 0;
}

/* ---- promiscuous mode ---- */

static void promiscuous_on(struct ws_port *p)
{
    char line[256];
    int rc = 0;
    if (p->if_index)
        p->promiscuous_fd = ws_port_kernel_promiscuous(p->if_index);
    p->info.promiscuous = p->promiscuous_fd >= 0;
    if (!p->info.promiscuous) {
        ws_port_log_hold();
        rc = rte_eth_promiscuous_enable(p->id);
        (void)rte_eth_allmulticast_enable(p->id);
        ws_port_log_release(line, sizeof(line));
        p->info.promiscuous = rte_eth_promiscuous_get(p->id) == 1;
    }
    if (rc < 0 && !p->driver->no_promiscuous)
        ws_log(WS_LOG_WARN, "%s: no promiscuous mode (%s): only packets for this host may come",
               p->info.name, strerror(-rc));
}

/* ---- queues ---- */

static void queue_init(struct ws_port *p, struct ws_port_queue *q, uint16_t id,
                       const struct ws_port_config *cfg)
{
    q->source.ops = &ws_port_queue_ops;
    q->source.can_wait = p->info.replay;
    q->port = p;
    q->port_id = p->id;
    q->queue_id = id;
    q->replay = p->info.replay;
    q->rate = cfg->rate;
    q->ts_offset = -1;
    q->device = cfg->device_id;
    q->flags_base = p->driver->sum_unknown || p->devargs.rx_ifaces > 0 ? WS_PKT_SUM_UNKNOWN : 0;
    q->bounce_bytes = BOUNCE_BYTES;
    q->iface = (struct ws_source_iface){
        .link_type = 1, .snaplen = 262144, .received = UINT64_MAX, .dropped = UINT64_MAX};
    snprintf(q->iface.name, sizeof(q->iface.name), "%s",
             p->devargs.iface[0] ? p->devargs.iface : p->info.name);
    if (p->info.replay && id < p->devargs.rx_files) {
        char path[4096];
        struct stat st;
        snprintf(path, sizeof(path), "%.*s", (int)p->devargs.file[id].len,
                 p->devargs.file[id].path);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
            q->source.bytes_total = (uint64_t)st.st_size;
    }
}

static int make_queues(struct ws_port *p, const struct ws_port_config *cfg)
{
    const size_t bytes = ws_align_up(p->info.queues * sizeof(*p->queue), WS_CACHE_LINE);
    p->queue = aligned_alloc(WS_CACHE_LINE, bytes);
    if (!p->queue)
        return -ENOMEM;
    memset(p->queue, 0, bytes);
    for (uint16_t i = 0; i < p->info.queues; i++) {
        queue_init(p, &p->queue[i], i, cfg);
        p->queue[i].bounce = malloc(BOUNCE_BYTES); /* untouched, unless chains come */
        if (!p->queue[i].bounce)
            return -ENOMEM;
    }
    return 0;
}

/* Finds where stamps lie in mbufs: a NIC's, once the offload is on, or net_pcap's own. */
static void find_stamps(struct ws_port *p)
{
    int offset = -1;
    uint64_t flag = 0;
    if (!p->hw_timestamps && !p->devargs.pcap)
        return;
    if (rte_mbuf_dyn_rx_timestamp_register(&offset, &flag) != 0) {
        p->hw_timestamps = false;
        return;
    }
    for (uint16_t i = 0; i < p->info.queues; i++) {
        p->queue[i].ts_offset = offset;
        p->queue[i].ts_flag = flag;
    }
}

/* ---- public ---- */

int ws_port_open(struct ws_port **out, const struct ws_port_config *cfg, char *err, size_t err_len)
{
    char why[384] = "";
    *out = NULL;
    struct ws_port *p = calloc(1, sizeof(*p));
    if (p)
        p->devargs_text = strdup(cfg->devargs);
    if (!p || !p->devargs_text) {
        free(p);
        snprintf(err, err_len, "out of memory");
        return -ENOMEM;
    }
    p->id = RTE_MAX_ETHPORTS;
    p->promiscuous_fd = -1;
    int rc = ws_port_devargs_parse(&p->devargs, p->devargs_text, cfg->device_id);
    if (rc < 0) {
        snprintf(err, err_len, "--dev %s: %s", cfg->devargs,
                 rc == -EINVAL ? "no device name" : "name too long or too many files");
        ws_port_close(p);
        return rc;
    }
    rc = probe(p, err, err_len);
    if (rc < 0) {
        p->id = RTE_MAX_ETHPORTS;
        ws_port_close(p);
        return rc;
    }
    port_taken[p->id] = true;
    rc = configure(p, cfg, why, sizeof(why));
    if (rc == 0) {
        rc = make_queues(p, cfg);
        if (rc < 0)
            snprintf(why, sizeof(why), "out of memory");
    }
    if (rc < 0) {
        snprintf(err, err_len, "--dev %s: %s", cfg->devargs, why);
        ws_port_close(p);
        return rc;
    }
    find_stamps(p);
    if (cfg->promiscuous)
        promiscuous_on(p);
    *out = p;
    return 0;
}

const struct ws_port_info *ws_port_info(const struct ws_port *p)
{
    return &p->info;
}

static void wait_for_link(struct ws_port *p)
{
    struct rte_eth_link link = {0};
    for (unsigned ms = 0;; ms += LINK_STEP_MS) {
        if (rte_eth_link_get_nowait(p->id, &link) != 0)
            break;
        if (link.link_status == RTE_ETH_LINK_UP || p->driver->no_link || ms >= LINK_WAIT_MS)
            break;
        usleep(LINK_STEP_MS * 1000);
    }
    p->info.link_up = link.link_status == RTE_ETH_LINK_UP;
    p->info.link_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
    if (!p->info.link_up && !p->driver->no_link)
        ws_log(WS_LOG_WARN, "%s: the link is down", p->info.name);
}

int ws_port_start(struct ws_port *p, char *err, size_t err_len)
{
    char why[256];
    ws_port_log_hold();
    int rc = rte_eth_dev_start(p->id);
    ws_port_log_release(why, sizeof(why));
    if (rc < 0) {
        snprintf(err, err_len, "--dev %s: cannot start: %s%s%s", p->devargs_text, strerror(-rc),
                 why[0] ? ": " : "", why);
        return rc;
    }
    p->started = true;
    ws_port_rss_check(p);
    p->info.hw_timestamps = p->hw_timestamps;
    wait_for_link(p);
    return 0;
}

void ws_port_stop(struct ws_port *p)
{
    for (uint16_t i = 0; p->queue && i < p->info.queues; i++)
        ws_port_queue_drain(&p->queue[i]);
    if (!p->started)
        return;
    stop_device(p);
    p->started = false;
}

void ws_port_close(struct ws_port *p)
{
    if (!p)
        return;
    ws_port_stop(p);
    if (p->id < RTE_MAX_ETHPORTS) {
        if (p->promiscuous_fd >= 0)
            close(p->promiscuous_fd);
        else if (p->info.promiscuous)
            (void)rte_eth_promiscuous_disable(p->id);
        (void)rte_eth_dev_close(p->id);
        if (p->device)
            (void)rte_dev_remove(p->device);
        port_taken[p->id] = false;
    }
    rte_mempool_free(p->pool);
    for (uint16_t i = 0; p->queue && i < p->info.queues; i++)
        free(p->queue[i].bounce);
    free(p->queue);
    free(p->devargs_text);
    free(p);
}

/* Drivers that count misses by queue say so by q_errors that add up to imissed; others leave them 0. */
void ws_port_queue_counts(struct ws_port *p, uint16_t queue, struct ws_port_queue_counts *c)
{
    struct rte_eth_stats st;
    uint64_t sum = 0;
    const struct ws_source *s = ws_port_queue(p, queue);
    *c = (struct ws_port_queue_counts){
        .packets = p->queue[queue].ordinal, .missed = UINT64_MAX, .shed_steer = s->shed_steer, .shed_other = s->shed_other};
    if (p->info.missed_unknown || rte_eth_stats_get(p->id, &st) != 0)
        return;
    for (unsigned q = 0; q < WS_MIN(p->info.queues, RTE_ETHDEV_QUEUE_STAT_CNTRS); q++)
        sum += st.q_errors[q];
    if (p->info.queues == 1 || st.imissed == 0)
        c->missed = st.imissed;
    else if (sum == st.imissed && queue < RTE_ETHDEV_QUEUE_STAT_CNTRS)
        c->missed = st.q_errors[queue];
}

uint32_t ws_port_mbufs_used(const struct ws_port *p)
{
    return rte_mempool_in_use_count(p->pool);
}

bool ws_port_rss_seen(const struct ws_port *p)
{
    for (uint16_t i = 0; i < p->info.queues; i++)
        if (atomic_load_explicit(&p->queue[i].rss_seen, memory_order_relaxed))
            return true;
    return false;
}

struct ws_source *ws_port_queue(struct ws_port *p, uint16_t queue)
{
    return queue < p->info.queues ? &p->queue[queue].source : NULL;
}
