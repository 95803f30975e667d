/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK ports as sources: device set-up, RSS, queues. Only with DPDK (WS_HAVE_DPDK). */
#ifndef WS_SOURCE_PORT_H
#define WS_SOURCE_PORT_H

#include "source/source.h"

struct ws_port;

struct ws_port_config {
    const char *devargs;  /* PCI address or vdev string, as for EAL -a / --vdev */
    unsigned queues_want; /* RX queues wished: one a worker */
    uint16_t descriptors; /* per queue; 0 = default 2,048, adjusted to the device */
    uint32_t mtu;         /* 0 = leave; sets MTU or reports that it cannot */
    uint32_t mbufs;       /* pool size a port; 0 = derived from queues, descriptors, bursts */
    uint64_t rate;        /* bytes a second that each queue gives at most; 0 = no limit */
    bool promiscuous;
    bool hw_timestamps;            /* use them where offered */
    unsigned device_id;            /* number of this --dev, becomes ws_packet.device and iface */
    const uint64_t *ordinal_start; /* unused: live packets are numbered by the polling thread */
};

/* What a port turned out to offer. */
struct ws_port_info {
    char name[64], driver[64];
    uint16_t queues;
    bool rss; /* symmetric RSS programmed, key read back and checked; packets carry the hash flag */
    bool hw_timestamps, promiscuous, scattered, link_up, vlan_kept;
    bool replay;         /* net_pcap with rx_pcap: ends by itself at end of file, can wait */
    bool missed_unknown; /* the driver cannot count what it lost */
    uint32_t mtu;
    uint32_t link_mbps; /* 0 = unknown; link_* are known after start */
    int numa_node;      /* -1 = any */
    uint32_t mbufs;     /* size of the pool */
};

/* Bytes of DPDK memory that the port's mbuf pool will take, for ws_runtime_config.eal_memory_bytes.
 * May be called before EAL starts; it reads infinite_rx files to count their packets. */
size_t ws_port_pool_bytes(const struct ws_port_config *cfg);

/* Probes and configures a device (not started). -errno and one line in err. Main thread, after EAL.
 */
int ws_port_open(struct ws_port **p, const struct ws_port_config *cfg, char *err, size_t err_len);
const struct ws_port_info *ws_port_info(const struct ws_port *p);
int ws_port_start(struct ws_port *p, char *err, size_t err_len);
void ws_port_stop(struct ws_port *p);
void ws_port_close(struct ws_port *p);

/* What a receive queue gave, and lost before it. */
struct ws_port_queue_counts {
    uint64_t packets; /* handed on */
    uint64_t missed;  /* dropped by the device for want of a free descriptor; UINT64_MAX = the driver does not say */
    uint64_t shed_steer, shed_other; /* of packets: lost on their way to the worker that owns their flow */
};

/* After the port was stopped, or from the thread that polls the queue. */
void ws_port_queue_counts(struct ws_port *p, uint16_t queue, struct ws_port_queue_counts *c);

/* Packet buffers that are in use now, of ws_port_info.mbufs: those that the device may fill count as free only while they
 * lie in the pool. For gauges; any thread. */
uint32_t ws_port_mbufs_used(const struct ws_port *p);

/* True once a packet of any queue carried the device's RSS hash: net_null, for one, offers RSS and
 * hashes nothing. Any thread. */
bool ws_port_rss_seen(const struct ws_port *p);

/* The source of one RX queue; borrowed from the port; polled by one thread. Its interface table has
 * one entry (packets' iface is device_id all the same: the engine joins the ports' tables); the
 * device's totals are in that of queue 0, the others say UINT64_MAX. Packets are numbered and
 * stamped there (ordinal = per-source count; the engine makes them worker:seq). */
struct ws_source *ws_port_queue(struct ws_port *p, uint16_t queue);

#endif
