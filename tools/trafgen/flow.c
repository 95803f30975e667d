/* SPDX-License-Identifier: BSD-3-Clause */
/* The model of a connection: handshake, requests and responses, acknowledgements, close. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "payload.h"

#define CLIENTS       16384u
#define SERVERS       250u
#define PORT_FIRST    32768u /* Linux' ephemeral range: no tunnel's well-known port lies in it */
#define PORTS         28232u
#define EXCHANGES_MAX 8u
#define BURST_MAX     16u
#define UDP_LARGE     6000u
#define UDP_ORDINARY  1400u
#define WINDOW_SYN    64240u
#define TEN_TO_SIX    1000000u

static const uint16_t tcp_ports[] = {80, 443, 8080, 8443, 22, 25, 143, 3306, 5432, 6379};
static const uint16_t udp_ports[] = {53, 123, 443, 514, 5060, 27015};

/* --- opening -------------------------------------------------------------------------------------
 */

static uint64_t draw_size(struct tg *tg)
{
    const struct tg_size *size = &tg->config.size;
    switch (size->kind) {
    case TG_SIZE_FIXED:
        return size->low;
    case TG_SIZE_UNIFORM:
        return tg_rng_range(&tg->rng, size->low, size->high);
    default: {
        double x = (double)size->low * pow(tg_rng_unit(&tg->rng), -1 / size->alpha);
        return x < (double)size->high ? (uint64_t)x : size->high;
    }
    }
}

static void new_tuple(struct tg *tg, struct tg_connection *c)
{
    struct tg_tuple *t = &c->tuple;
    /* A bijection of the connection number: no two connections share client address and port. */
    uint32_t client = (uint32_t)(c->id * 0x2545u) % CLIENTS;
    uint32_t server = 1 + (uint32_t)tg_rng_below(&tg->rng, SERVERS);
    bool udp = tg_rng_chance(&tg->rng, tg->config.udp);
    t->protocol = udp ? 17 : 6;
    t->v6 = tg_rng_chance(&tg->rng, tg->config.ipv6);
    t->port[0] = (uint16_t)(PORT_FIRST + (c->id / CLIENTS * 7919 + client) % PORTS);
    t->port[1] = udp ? udp_ports[tg_rng_below(&tg->rng, 6)] : tcp_ports[tg_rng_below(&tg->rng, 10)];
    if (t->v6) {
        const uint8_t net[4] = {0x20, 0x01, 0x0d, 0xb8};
        for (int i = 0; i < 2; i++) {
            memcpy(t->address[i], net, 4);
            t->address[i][7] = (uint8_t)(i + 1);
        }
        t->address[0][14] = (uint8_t)(client >> 8);
        t->address[0][15] = (uint8_t)client;
        t->address[1][15] = (uint8_t)server;
    } else {
        const uint8_t ends[2][4] = {{10, 1, (uint8_t)(client >> 8), (uint8_t)client},
                                    {172, 20, 0, (uint8_t)server}};
        memcpy(t->address[0], ends[0], 4);
        memcpy(t->address[1], ends[1], 4);
    }
}

static void new_wrap(struct tg *tg, struct tg_connection *c)
{
    const struct tg_config *config = &tg->config;
    struct tg_wrap *w = &c->wrap;
    if (tg_rng_chance(&tg->rng, config->qinq))
        w->vlan_count = 2;
    else if (tg_rng_chance(&tg->rng, config->vlan))
        w->vlan_count = 1;
    for (unsigned i = 0; i < w->vlan_count; i++)
        w->vlan[i] = (uint16_t)tg_rng_range(&tg->rng, 1, 4094);
    if (tg_rng_chance(&tg->rng, config->mpls)) {
        w->mpls_count = (uint8_t)tg_rng_range(&tg->rng, 1, 2);
        w->mpls_label = (uint32_t)tg_rng_range(&tg->rng, 16, 1000000);
    }
    if (tg_rng_chance(&tg->rng, config->tunnelled)) {
        w->tunnel = (uint8_t)(config->tunnel == TG_TUNNEL_MIX
                                  ? tg_rng_range(&tg->rng, 1, TG_TUNNEL_COUNT - 1)
                                  : config->tunnel);
        w->tunnel_id = (uint32_t)tg_rng_range(&tg->rng, 1, 0xffffff);
        w->outer_v6 = w->tunnel == TG_TUNNEL_IPIP && tg_rng_below(&tg->rng, 3) == 0;
        w->outer[0] = (uint8_t)tg_rng_range(&tg->rng, 1, 250);
        w->outer[1] = (uint8_t)tg_rng_range(&tg->rng, 1, 250);
        if (w->tunnel == TG_TUNNEL_IPIP)
            w->tunnel_id = 0;
    }
}

/* Takes a finished connection's tuple, both sequence numbers above its last ones (RFC 9293 3.6.1).
 */
static bool old_tuple(struct tg *tg, struct tg_connection *c)
{
    if (tg->spent_count == 0 || !tg_rng_chance(&tg->rng, tg->config.reuse))
        return false;
    struct tg_spent *spent = &tg->spent[tg_rng_below(&tg->rng, tg->spent_count)];
    c->swapped = tg_rng_below(&tg->rng, 8) == 0;
    c->reused = true;
    c->tuple = spent->tuple;
    c->wrap = spent->wrap;
    for (unsigned i = 0; i < 2; i++) {
        unsigned from = i ^ c->swapped;
        memcpy(c->tuple.address[i], spent->tuple.address[from], 16);
        c->tuple.port[i] = spent->tuple.port[from];
        c->wrap.outer[i] = spent->wrap.outer[from];
        uint64_t step = tg_rng_below(&tg->rng, 2) != 0 ? tg_rng_range(&tg->rng, 1, 1000)
                                                       : tg_rng_range(&tg->rng, 65536, 1u << 28);
        c->dir[i].isn = spent->next_seq[from] + (uint32_t)step;
    }
    *spent = tg->spent[--tg->spent_count];
    return true;
}

static void draw_messages(struct tg *tg, struct tg_connection *c)
{
    uint64_t big = draw_size(tg);
    uint32_t n = 1;
    while (n < EXCHANGES_MAX && n < big && tg_rng_below(&tg->rng, 2) != 0)
        n++;
    bool upload = tg_rng_below(&tg->rng, 100) < 15;
    c->exchanges = n;
    c->dir[upload ? 0 : 1].total = big;
    c->dir[upload ? 1 : 0].total = n * tg_rng_range(&tg->rng, 60, 600);
}

/* An initial sequence number that makes the stream cross 2^32, the edges on purpose. */
static uint32_t wrapping_isn(struct tg *tg, uint64_t total)
{
    static const uint32_t edges[] = {0xfffffff0, 0xfffffffe, 0xffffffff};
    uint64_t reach = total < (UINT64_C(1) << 31) ? total : UINT64_C(1) << 31;
    if (tg_rng_below(&tg->rng, 4) == 0 || reach < 2)
        return edges[tg_rng_below(&tg->rng, 3)];
    return (uint32_t)(0 - tg_rng_range(&tg->rng, 1, reach));
}

static uint64_t message_bytes(const struct tg_connection *c, unsigned from)
{
    uint64_t total = c->dir[from].total;
    uint64_t share = total / c->exchanges;
    return c->exchange + 1 < c->exchanges ? share : total - share * (c->exchanges - 1);
}

static uint32_t draw_burst(struct tg *tg)
{
    if (tg_rng_below(&tg->rng, 4) != 0)
        return tg->config.ack_every;
    return (uint32_t)tg_rng_range(&tg->rng, tg->config.ack_every, BURST_MAX);
}

void tg_flow_open(struct tg *tg, struct tg_connection *c)
{
    const struct tg_config *config = &tg->config;
    memset(c, 0, sizeof(*c));
    c->id = tg->opened++;
    tg->counts.connections++;
    bool reused = old_tuple(tg, c);
    if (!reused) {
        new_tuple(tg, c);
        new_wrap(tg, c);
    }
    draw_messages(tg, c);
    c->wraps = !reused && c->tuple.protocol == 6 && tg_rng_chance(&tg->rng, config->wrap);
    for (unsigned i = 0; i < 2; i++) {
        struct tg_direction *d = &c->dir[i];
        d->key = tg_payload_key(config->seed, c->id, i);
        uint64_t random = tg_rng_next(&tg->rng);
        d->ip_id = (uint16_t)random;
        d->ts_base = (uint32_t)(random >> 16);
        if (c->wraps)
            d->isn = wrapping_isn(tg, d->total);
        else if (!reused)
            d->isn = (uint32_t)(random >> 32);
    }
    c->message_left = message_bytes(c, 0);
    c->phase = TG_PHASE_DATA;
    if (c->tuple.protocol == 17)
        return;

    bool small = tg_rng_chance(&tg->rng, config->small_segments);
    c->timestamps = tg_rng_below(&tg->rng, 10) < 7;
    c->payload_max = (small ? config->mss_small : config->mss) - (c->timestamps ? 12 : 0);
    c->burst_segments = draw_burst(tg);
    c->closer = (uint8_t)tg_rng_below(&tg->rng, 2);
    c->half_close = tg_rng_below(&tg->rng, 10) == 0;
    c->rst = tg_rng_chance(&tg->rng, config->rst);
    c->quiet_close = config->reuse != 0 && tg_rng_below(&tg->rng, 3) == 0;
    c->midstream = !reused && tg_rng_chance(&tg->rng, config->midstream);
    if (c->midstream)
        c->dir[0].start_unknown = c->dir[1].start_unknown = true;
    else
        c->phase = TG_PHASE_SYN;
}

/* --- sending -------------------------------------------------------------------------------------
 */

static struct tg_segment new_segment(const struct tg *tg, struct tg_connection *c, unsigned from,
                                     unsigned flags)
{
    struct tg_direction *d = &c->dir[from];
    const struct tg_direction *peer = &c->dir[from ^ 1];
    uint32_t now_ms = (uint32_t)(tg->now_ns / TEN_TO_SIX);
    struct tg_segment s = {
        .off = d->next,
        .seq = d->isn + 1 + (uint32_t)d->next + d->fin_sent,
        .ack =
            (flags & TG_TCP_ACK) != 0 ? peer->isn + 1 + (uint32_t)peer->acked + peer->fin_acked : 0,
        .ts_value = d->ts_base + now_ms,
        .ts_echo = (flags & TG_TCP_ACK) != 0 ? peer->ts_base + now_ms : 0,
        .window = (uint16_t)(502 - c->in_burst),
        .ip_id = d->ip_id++,
        .direction = (uint8_t)from,
        .flags = (uint8_t)flags,
        .timestamps = c->timestamps,
    };
    return s;
}

static void send_control(struct tg *tg, struct tg_connection *c, unsigned from, unsigned flags)
{
    struct tg_segment s = new_segment(tg, c, from, flags);
    if ((flags & TG_TCP_SYN) != 0) {
        s.seq = c->dir[from].isn;
        s.window = WINDOW_SYN;
    }
    /* Where a tuple is used again only its handshake tells the new connection from the old. */
    s.must_show = s.in_order = c->reused && c->phase <= TG_PHASE_ESTABLISH;
    if ((flags & TG_TCP_RST) != 0) {
        tg_impair_flush(tg, c);
        s.in_order = true;
    }
    tg_impair_send(tg, c, &s);
    if ((flags & TG_TCP_FIN) != 0)
        c->dir[from].fin_sent = true;
}

static void send_data(struct tg *tg, struct tg_connection *c, unsigned from, struct tg_range range,
                      unsigned flags)
{
    struct tg_direction *d = &c->dir[from];
    struct tg_segment s = new_segment(tg, c, from, flags | TG_TCP_ACK);
    s.off = range.begin;
    s.len = (uint32_t)(range.end - range.begin);
    s.seq = d->isn + 1 + (uint32_t)range.begin;
    tg_impair_send(tg, c, &s);
    d->sent[d->sent_count++ % TG_RECENT] = range;
    if (range.end > d->next) {
        c->message_left -= range.end - d->next;
        d->next = range.end;
    }
    if ((flags & TG_TCP_FIN) != 0)
        d->fin_sent = true;
}

static struct tg_range pick(struct tg *tg, const struct tg_range *ring, uint32_t count)
{
    uint32_t back = (uint32_t)tg_rng_below(&tg->rng, count < TG_RECENT ? count : TG_RECENT);
    return ring[(count - 1 - back) % TG_RECENT];
}

/* Exact, coalesced with what followed, or longer by new bytes (RFC 9293 3.8.1 allows each). */
static void retransmit(struct tg *tg, struct tg_connection *c, unsigned from)
{
    struct tg_direction *d = &c->dir[from];
    struct tg_range range = pick(tg, d->sent, d->sent_count);
    uint64_t kind = tg_rng_below(&tg->rng, 3);
    uint64_t limit = kind == 2 && from == c->turn ? d->next + c->message_left : d->next;
    if (kind != 0) {
        uint64_t end = range.begin + c->payload_max;
        if (end > limit)
            end = limit;
        if (end > range.end)
            range.end = end;
    }
    tg->counts.retransmitted++;
    send_data(tg, c, from, range, TG_TCP_PSH);
}

/* Other bytes in a range that the capture already shows: whole, a part, or a 1-byte keep-alive. */
static void overlap(struct tg *tg, struct tg_connection *c, unsigned from)
{
    struct tg_direction *d = &c->dir[from];
    struct tg_range range = pick(tg, d->shown, d->shown_count);
    uint64_t len = range.end - range.begin;
    switch (tg_rng_below(&tg->rng, 4)) {
    case 0:
        break;
    case 1:
        range.end = range.begin + 1 + tg_rng_below(&tg->rng, len);
        break;
    case 2:
        range.begin += tg_rng_below(&tg->rng, len);
        break;
    default:
        range.begin = range.end - 1;
        break;
    }
    struct tg_segment s = new_segment(tg, c, from, TG_TCP_ACK);
    s.off = range.begin;
    s.len = (uint32_t)(range.end - range.begin);
    s.seq = d->isn + 1 + (uint32_t)range.begin;
    s.garbage = true;
    tg->counts.overlapping++;
    tg_impair_send(tg, c, &s);
}

/* --- steps ---------------------------------------------------------------------------------------
 */

static void acknowledge_all(struct tg_direction *d)
{
    d->acked = d->next;
    d->fin_acked = d->fin_sent;
}

static void next_message(struct tg *tg, struct tg_connection *c)
{
    acknowledge_all(&c->dir[c->turn]); /* the answer carries the acknowledgement */
    c->in_burst = 0;
    if (c->turn == 0) {
        bool last = c->exchange + 1 == c->exchanges;
        if (last && c->half_close && c->tuple.protocol == 6 && !c->rst && !c->dir[0].fin_sent)
            send_control(tg, c, 0, TG_TCP_FIN | TG_TCP_ACK);
        c->dir[0].fin_acked = c->dir[0].fin_sent;
        c->turn = 1;
        c->message_left = message_bytes(c, 1);
        return;
    }
    c->exchange++;
    bool abort_now = c->rst && tg_rng_below(&tg->rng, 3) == 0;
    if (c->exchange == c->exchanges || abort_now) {
        c->phase = c->quiet_close || c->tuple.protocol == 17 ? TG_PHASE_DONE
                   : c->rst                                  ? TG_PHASE_RST
                                                             : TG_PHASE_FIN;
        return;
    }
    c->turn = 0;
    c->message_left = message_bytes(c, 0);
}

static void step_tcp_data(struct tg *tg, struct tg_connection *c)
{
    struct tg_direction *d = &c->dir[c->turn];
    if (d->sent_count != 0 && tg_rng_chance(&tg->rng, tg->config.retransmit)) {
        retransmit(tg, c, c->turn);
        return;
    }
    if (d->shown_count != 0 && tg_rng_chance(&tg->rng, tg->config.overlap)) {
        overlap(tg, c, c->turn);
        return;
    }
    if (c->acking) {
        uint64_t step = (uint64_t)tg->config.ack_every * c->payload_max;
        d->acked = d->next - d->acked > step ? d->acked + step : d->next;
        d->fin_acked = d->fin_sent && d->acked == d->next;
        send_control(tg, c, c->turn ^ 1u, TG_TCP_ACK);
        if (d->acked == d->next) {
            c->acking = false;
            c->in_burst = 0;
            c->burst_segments = draw_burst(tg);
        }
        return;
    }
    if (c->message_left == 0) {
        if (d->acked != d->next && tg_rng_below(&tg->rng, 2) != 0)
            c->acking = true;
        else
            next_message(tg, c);
        return;
    }
    uint64_t len = c->message_left < c->payload_max ? c->message_left : c->payload_max;
    if (tg->config.retransmit != 0 && tg_rng_below(&tg->rng, 8) == 0)
        len = tg_rng_range(&tg->rng, 1, len); /* leaves room for a longer retransmission */
    unsigned flags = len == c->message_left ? TG_TCP_PSH : 0;
    bool last = c->turn == 1 && c->exchange + 1 == c->exchanges && len == c->message_left;
    if (last && c->closer == 1 && !c->rst && !c->quiet_close && tg_rng_below(&tg->rng, 3) == 0)
        flags |= TG_TCP_FIN;
    send_data(tg, c, c->turn, (struct tg_range){d->next, d->next + len}, flags);
    if (++c->in_burst >= c->burst_segments)
        c->acking = true;
}

static void step_udp(struct tg *tg, struct tg_connection *c)
{
    struct tg_direction *d = &c->dir[c->turn];
    if (c->message_left == 0) {
        next_message(tg, c);
        return;
    }
    bool large = tg->config.fragment != 0 && tg_rng_below(&tg->rng, 4) == 0;
    uint64_t most = large                           ? UDP_LARGE
                    : tg->config.mss < UDP_ORDINARY ? tg->config.mss
                                                    : UDP_ORDINARY;
    uint64_t len = tg_rng_range(&tg->rng, 20, most);
    if (len > c->message_left)
        len = c->message_left;
    struct tg_segment s = {
        .off = d->next, .len = (uint32_t)len, .ip_id = d->ip_id++, .direction = c->turn};
    tg_impair_send(tg, c, &s);
    d->next += len;
    c->message_left -= len;
}

static void step_fin(struct tg *tg, struct tg_connection *c)
{
    unsigned closer = c->dir[0].fin_sent ? 0 : c->dir[1].fin_sent ? 1 : c->closer;
    unsigned other = closer ^ 1;
    switch (c->phase) {
    case TG_PHASE_FIN:
        c->closer = (uint8_t)closer;
        if (!c->dir[closer].fin_sent)
            send_control(tg, c, closer, TG_TCP_FIN | TG_TCP_ACK);
        c->phase = tg_rng_below(&tg->rng, 2) != 0 ? TG_PHASE_FIN_ACK : TG_PHASE_FIN_BACK;
        break;
    case TG_PHASE_FIN_ACK:
        acknowledge_all(&c->dir[c->closer]);
        send_control(tg, c, c->closer ^ 1u, TG_TCP_ACK);
        c->phase = TG_PHASE_FIN_BACK;
        break;
    case TG_PHASE_FIN_BACK:
        other = c->closer ^ 1u;
        acknowledge_all(&c->dir[c->closer]);
        if (!c->dir[other].fin_sent)
            send_control(tg, c, other, TG_TCP_FIN | TG_TCP_ACK);
        c->phase = TG_PHASE_LAST_ACK;
        break;
    default:
        other = c->closer ^ 1u;
        acknowledge_all(&c->dir[other]);
        send_control(tg, c, c->closer, TG_TCP_ACK);
        /* A late copy after both FINs belongs to this connection, not to a new one. */
        if (c->dir[other].sent_count != 0 && tg_rng_chance(&tg->rng, tg->config.retransmit)) {
            tg->counts.retransmitted++;
            send_data(tg, c, other, pick(tg, c->dir[other].sent, c->dir[other].sent_count), 0);
        }
        c->phase = TG_PHASE_DONE;
        break;
    }
}

static void step_handshake(struct tg *tg, struct tg_connection *c)
{
    switch (c->phase) {
    case TG_PHASE_SYN:
        send_control(tg, c, 0, TG_TCP_SYN);
        if (tg_rng_chance(&tg->rng, tg->config.retransmit)) {
            tg->counts.retransmitted++;
            send_control(tg, c, 0, TG_TCP_SYN);
        }
        c->phase = TG_PHASE_SYN_ACK;
        break;
    case TG_PHASE_SYN_ACK:
        send_control(tg, c, 1, TG_TCP_SYN | TG_TCP_ACK);
        c->phase = TG_PHASE_ESTABLISH;
        break;
    default:
        send_control(tg, c, 0, TG_TCP_ACK);
        c->phase = TG_PHASE_DATA;
        break;
    }
}

bool tg_flow_step(struct tg *tg, struct tg_connection *c)
{
    uint64_t before = tg->out.packets;
    uint64_t lost = tg->counts.lost_packets;
    uint32_t held = c->held_count;
    /* Some steps only change state; a step of ours is one that sends. */
    while (c->phase != TG_PHASE_DONE && tg->out.packets == before &&
           tg->counts.lost_packets == lost && c->held_count == held && tg->error == 0) {
        if (c->phase <= TG_PHASE_ESTABLISH) {
            step_handshake(tg, c);
        } else if (c->phase == TG_PHASE_DATA) {
            if (c->tuple.protocol == 17)
                step_udp(tg, c);
            else
                step_tcp_data(tg, c);
        } else if (c->phase == TG_PHASE_RST) {
            send_control(tg, c, (unsigned)tg_rng_below(&tg->rng, 2), TG_TCP_RST | TG_TCP_ACK);
            c->phase = TG_PHASE_DONE;
        } else {
            step_fin(tg, c);
        }
    }
    return c->phase != TG_PHASE_DONE;
}

void tg_flow_close(struct tg *tg, struct tg_connection *c)
{
    tg_impair_flush(tg, c);
    if (c->phase == TG_PHASE_DONE && c->tuple.protocol == 6 && tg->config.reuse != 0) {
        uint64_t slot =
            tg->spent_count < TG_SPENT ? tg->spent_count++ : tg_rng_below(&tg->rng, TG_SPENT);
        struct tg_spent *spent = &tg->spent[slot];
        spent->tuple = c->tuple;
        spent->wrap = c->wrap;
        for (unsigned i = 0; i < 2; i++)
            spent->next_seq[i] = c->dir[i].isn + 2 + (uint32_t)c->dir[i].next;
    }
    if (tg->truth != NULL)
        tg_truth_add(tg, c);
    for (unsigned i = 0; i < 2; i++)
        tg_holes_fini(&c->dir[i].holes);
}
