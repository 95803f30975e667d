/* SPDX-License-Identifier: BSD-3-Clause */
/* The sink that lists wireless networks. */
#include "sink/ssids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS (2 * WS_SSIDS_MAX)
/* Slots that a look-up tries: whoever makes names collide on purpose gains no more. */
#define PROBES 64u

struct ssids_sink {
    struct ws_sink base;
    bool check_fcs;
    unsigned n;
    struct ws_ssid slot[SLOTS]; /* free: neither beacons nor responses */
};

/* The order of the list. */
static int compare(const struct ws_beacon *a, const struct ws_beacon *b)
{
    int order = memcmp(a->bssid, b->bssid, sizeof(a->bssid));
    if (order == 0)
        order = memcmp(a->ssid, b->ssid, sizeof(a->ssid));
    return order ? order : (a->ssid_len > b->ssid_len) - (a->ssid_len < b->ssid_len);
}

/* FNV-1a. */
static uint32_t hash(const struct ws_beacon *b)
{
    uint32_t h = 2166136261u;
    for (unsigned i = 0; i < sizeof(b->bssid); i++)
        h = (h ^ b->bssid[i]) * 16777619u;
    for (unsigned i = 0; i < b->ssid_len; i++)
        h = (h ^ b->ssid[i]) * 16777619u;
    return h ^ h >> 15;
}

static bool is_free(const struct ws_ssid *s)
{
    return s->beacons + s->responses == 0;
}

/* The network's slot, or a free one, or NULL: full. */
static struct ws_ssid *find(struct ssids_sink *ss, const struct ws_beacon *b)
{
    uint32_t h = hash(b);
    for (unsigned i = 0; i < PROBES; i++) {
        struct ws_ssid *s = &ss->slot[(h + i) % SLOTS];
        if (is_free(s))
            return ss->n < WS_SSIDS_MAX ? s : NULL;
        if (compare(&s->network, b) == 0)
            return s;
    }
    return NULL;
}

/* A network's second face adds what it says. */
static void join(struct ws_beacon *known, const struct ws_beacon *b)
{
    if (b->channel && (known->channel == 0 || b->channel < known->channel))
        known->channel = b->channel;
    known->privacy |= b->privacy;
}

static void on_packet(struct ws_sink *s, struct ws_flow *flow, const struct ws_packet *p)
{
    struct ssids_sink *ss = (struct ssids_sink *)s;
    struct ws_beacon b;
    (void)flow;
    if (p->flags & (WS_PKT_IP | WS_PKT_DATAGRAM | WS_PKT_FILTERED))
        return;
    enum ws_beacon_status status = ws_beacon_parse(&b, p, ss->check_fcs);
    if (status == WS_BEACON_NONE)
        return;
    if (status != WS_BEACON_OK) {
        ws_count(s->counters, status == WS_BEACON_BAD ? WS_C_BEACONS_BAD : WS_C_BEACONS_BAD_FCS, 1);
        return;
    }
    struct ws_ssid *at = find(ss, &b);
    if (WS_UNLIKELY(!at)) {
        ws_count(s->counters, WS_C_SSIDS_FULL, 1);
        return;
    }
    if (is_free(at)) {
        at->network = b;
        at->network.response = false;
        ss->n++;
    }
    join(&at->network, &b);
    at->beacons += !b.response;
    at->responses += b.response;
}

static void on_destroy(struct ws_sink *s)
{
    free(s);
}

static const struct ws_sink_ops ssids_ops = {.packet = on_packet, .destroy = on_destroy};

int ws_sink_ssids_create(struct ws_sink **s, bool check_fcs)
{
    struct ssids_sink *ss = calloc(1, sizeof(*ss));
    if (!ss)
        return -ENOMEM;
    ss->check_fcs = check_fcs;
    ss->base = (struct ws_sink){.ops = &ssids_ops, .needs = WS_SINK_PACKET};
    *s = &ss->base;
    return 0;
}

static int by_bssid(const void *a, const void *b)
{
    return compare(&((const struct ws_ssid *)a)->network, &((const struct ws_ssid *)b)->network);
}

int ws_ssids_list(struct ws_sink *const *sink, unsigned n_sink, struct ws_ssid **list, size_t *n)
{
    size_t all = 0, kept = 0;
    for (unsigned i = 0; i < n_sink; i++)
        all += sink[i] ? ((const struct ssids_sink *)sink[i])->n : 0;
    struct ws_ssid *l = malloc((all ? all : 1) * sizeof(*l));
    *list = l;
    *n = 0;
    if (!l)
        return -ENOMEM;
    for (unsigned i = 0; i < n_sink; i++) {
        const struct ssids_sink *ss = (const struct ssids_sink *)sink[i];
        for (unsigned k = 0; ss && k < SLOTS; k++)
            if (!is_free(&ss->slot[k]))
                l[(*n)++] = ss->slot[k];
    }
    qsort(l, *n, sizeof(*l), by_bssid);
    for (size_t i = 0; i < *n; i++) {
        if (kept && compare(&l[kept - 1].network, &l[i].network) == 0) {
            join(&l[kept - 1].network, &l[i].network);
            l[kept - 1].beacons += l[i].beacons;
            l[kept - 1].responses += l[i].responses;
        } else {
            l[kept++] = l[i];
        }
    }
    *n = kept;
    return 0;
}
