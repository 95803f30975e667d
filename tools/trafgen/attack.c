/* SPDX-License-Identifier: BSD-3-Clause */
/* Hostile packets in between: none of them belongs to a connection of the truth, except forged
 * RSTs. */
#include <string.h>

#include "model.h"

/* Attackers are 198.18.0.0/15 (RFC 2544), so that a test can tell them from the others. */
#define ATTACKER_NET 0xc6120000u
#define VICTIM       0xac140001u /* 172.20.0.1 */
#define OOO_FLOWS    1024u
#define TINY_FLOWS   64u
#define SPACING      2896u /* between the islands of out-of-order data: each leaves a hole */

const char *const tg_attack_names[TG_ATTACK_COUNT] = {"none",      "synflood", "ooo", "tiny",
                                                      "fragflood", "teardrop", "rst"};

static void to_bytes(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static struct tg_tuple attacker(uint32_t number)
{
    struct tg_tuple t = {.protocol = 6, .port = {(uint16_t)(1024 + number % 60000), 80}};
    to_bytes(t.address[0], ATTACKER_NET | (number * 2654435761u >> 15));
    to_bytes(t.address[1], VICTIM);
    return t;
}

static void synflood(struct tg *tg)
{
    uint64_t random = tg_rng_next(&tg->attack_rng);
    struct tg_tuple t = attacker((uint32_t)random);
    t.port[0] = (uint16_t)(random >> 32);
    struct tg_segment s = {.flags = TG_TCP_SYN, .seq = (uint32_t)(random >> 16), .window = 1024};
    tg_emit_foreign(tg, &t, &s, 0);
}

/*
 * Established connections whose first byte never comes: each later segment has to be held. Segments
 * are len bytes, stride bytes apart, in descending or ascending order.
 */
static void holes(struct tg *tg, uint32_t flows, uint32_t len, uint32_t stride)
{
    uint32_t flow = (uint32_t)(tg->attack_step % flows);
    uint32_t round = (uint32_t)(tg->attack_step / flows);
    struct tg_tuple t = attacker(flow);
    uint32_t isn = flow * 2654435761u;
    uint32_t peer_isn = ~isn;
    struct tg_segment s = {.window = 1024, .seq = isn};
    if (round == 0) {
        s.flags = TG_TCP_SYN;
    } else if (round == 1) {
        s.flags = TG_TCP_SYN | TG_TCP_ACK;
        s.direction = 1;
        s.seq = peer_isn;
        s.ack = isn + 1;
    } else {
        s.flags = TG_TCP_ACK;
        s.off = 1 + (uint64_t)(round - 1) * stride;
        s.len = len;
        s.seq = isn + 1 + (uint32_t)s.off;
        s.ack = peer_isn + 1;
    }
    tg_emit_foreign(tg, &t, &s, flow);
}

static struct tg_raw_fragment hostile_fragment(uint64_t random)
{
    struct tg_raw_fragment f = {
        .source = ATTACKER_NET | (uint32_t)(random >> 47),
        .destination = VICTIM,
        .id = (uint16_t)random,
        .protocol = 17,
    };
    return f;
}

/* First or middle fragments of datagrams that never become whole. */
static void fragflood(struct tg *tg)
{
    uint64_t random = tg_rng_next(&tg->attack_rng);
    struct tg_raw_fragment f = hostile_fragment(random);
    f.off = (random >> 16) % 4 == 0 ? (uint16_t)((random >> 18) % 64 * 512) : 0;
    f.len = 512;
    f.more = true;
    tg_emit_raw_fragment(tg, &f, random);
}

/* Pairs that overlap, end inside one another, disagree on the end, or pass 65,535 (CVE-1999-0015,
 * -0128). */
static void teardrop(struct tg *tg)
{
    static const struct {
        uint16_t off, len;
        bool more;
    } pairs[][2] = {
        {{0, 40, true}, {24, 4, false}},         {{0, 512, true}, {8, 1024, false}},
        {{0, 64, true}, {0, 64, true}},          {{64, 64, false}, {128, 64, true}},
        {{0, 1480, true}, {65528, 1480, false}}, {{8, 0, true}, {0, 8, false}},
    };
    uint64_t pair = tg->attack_step / 2;
    struct tg_raw_fragment f = hostile_fragment(tg_mix64(tg->config.seed + pair));
    unsigned shape = (unsigned)(pair % (sizeof(pairs) / sizeof(pairs[0])));
    unsigned half = (unsigned)(tg->attack_step % 2);
    f.off = pairs[shape][half].off;
    f.len = pairs[shape][half].len;
    f.more = pairs[shape][half].more;
    tg_emit_raw_fragment(tg, &f, pair);
}

/* A reset far outside the window of a live connection: the stream goes on (RFC 5961 3.2). */
static void forged_rst(struct tg *tg)
{
    if (tg->live_count == 0) {
        synflood(tg);
        return;
    }
    uint64_t random = tg_rng_next(&tg->attack_rng);
    struct tg_connection *c = tg->live[random % tg->live_count];
    unsigned from = (unsigned)(random >> 63);
    struct tg_direction *d = &c->dir[from];
    if (c->tuple.protocol != 6 || d->packets == 0) {
        synflood(tg);
        return;
    }
    struct tg_segment s = {
        .off = d->next,
        .seq = d->isn + (uint32_t)d->next + (1u << 30) + (uint32_t)(random >> 32) % (1u << 30),
        .ip_id = d->ip_id++,
        .direction = (uint8_t)from,
        .flags = TG_TCP_RST,
    };
    tg->counts.attack_packets++;
    tg_emit_segment(tg, c, &s);
}

void tg_attack_step(struct tg *tg)
{
    switch (tg->config.attack) {
    case TG_ATTACK_SYNFLOOD:
        synflood(tg);
        break;
    case TG_ATTACK_OOO:
        holes(tg, OOO_FLOWS, SPACING / 2, SPACING);
        break;
    case TG_ATTACK_TINY:
        holes(tg, TINY_FLOWS, 1, 2);
        break;
    case TG_ATTACK_FRAGFLOOD:
        fragflood(tg);
        break;
    case TG_ATTACK_TEARDROP:
        teardrop(tg);
        break;
    case TG_ATTACK_RST:
        forged_rst(tg);
        break;
    default:
        break;
    }
    tg->attack_step++;
}
