/* SPDX-License-Identifier: BSD-3-Clause */
/* Symmetric RSS on a port: both directions of a flow come to one queue. */
#include "source/port_impl.h"

#include <string.h>

#include "base/log.h"
#include "packet/toeplitz.h"
#include "source/port_log.h"

/* What the owner hash covers (toeplitz.h): addresses, and ports of these three. */
#define RSS_WANTED (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP)

/* Drivers that give 0 mean 40 bytes (rte_eth_dev_info.hash_key_size). */
#define RSS_KEY_LEN_DEFAULT 40u

/* The largest table that one update call is made for (rte_ethdev.h: RTE_ETH_RSS_RETA_SIZE_512;
 * larger ones exist and are left as the driver filled them, round robin as a rule). */
#define RSS_RETA_MAX 512u

static void fill_key(uint8_t *key, size_t len)
{
    /* The key is one 16-bit word repeated, so that it can be cut and extended at will. */
    for (size_t i = 0; i < len; i++)
        key[i] = ws_toeplitz_key[i % 2];
}

void ws_port_rss_prepare(struct ws_port *p, const struct rte_eth_dev_info *info,
                         struct rte_eth_conf *conf, uint8_t key[static 256])
{
    const uint8_t key_len = info->hash_key_size ? info->hash_key_size : RSS_KEY_LEN_DEFAULT;
    p->rss_hf = info->flow_type_rss_offloads & RSS_WANTED;
    if (p->rss_hf == 0)
        return;
    fill_key(key, key_len);
    p->rss_key_len = key_len;
    p->reta_size = info->reta_size;
    conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf->rx_adv_conf.rss_conf =
        (struct rte_eth_rss_conf){.rss_key = key, .rss_key_len = key_len, .rss_hf = p->rss_hf};
    if (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH)
        conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
}

static void spread_table(const struct ws_port *p)
{
    struct rte_eth_rss_reta_entry64 reta[RSS_RETA_MAX / RTE_ETH_RETA_GROUP_SIZE];
    if (p->reta_size == 0 || p->reta_size > RSS_RETA_MAX)
        return;
    memset(reta, 0, sizeof(reta));
    for (uint32_t i = 0; i < p->reta_size; i++) {
        struct rte_eth_rss_reta_entry64 *group = &reta[i / RTE_ETH_RETA_GROUP_SIZE];
        group->mask |= UINT64_C(1) << (i % RTE_ETH_RETA_GROUP_SIZE);
        group->reta[i % RTE_ETH_RETA_GROUP_SIZE] = (uint16_t)(i % p->info.queues);
    }
    /* A driver that refuses has its own spread; the engine's owner check covers both. */
    (void)rte_eth_dev_rss_reta_update(p->id, reta, (uint16_t)p->reta_size);
}

static bool key_is(const struct ws_port *p, const uint8_t *want)
{
    uint8_t have[256] = {0};
    struct rte_eth_rss_conf conf = {.rss_key = have, .rss_key_len = p->rss_key_len};
    return rte_eth_dev_rss_hash_conf_get(p->id, &conf) == 0 &&
           memcmp(want, have, p->rss_key_len) == 0;
}

void ws_port_rss_check(struct ws_port *p)
{
    uint8_t want[256];
    char line[256];
    struct rte_eth_rss_conf conf = {
        .rss_key = want, .rss_key_len = p->rss_key_len, .rss_hf = p->rss_hf};

    p->info.rss = false;
    if (p->rss_hf == 0 || p->info.queues < 2)
        return;
    fill_key(want, p->rss_key_len);
    ws_port_log_hold(); /* a driver's refusal is no error of ours */
    spread_table(p);
    /* some drivers take the key only by the update call */
    p->info.rss =
        key_is(p, want) || (rte_eth_dev_rss_hash_update(p->id, &conf) == 0 && key_is(p, want));
    ws_port_log_release(line, sizeof(line));
    if (!p->info.rss && !p->started)
        ws_log(WS_LOG_INFO,
               "%s: the device does not show the symmetric RSS key: flows are steered by software",
               p->info.name);
}
