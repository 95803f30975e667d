/* SPDX-License-Identifier: BSD-3-Clause */
/* Hostile packets in between: none of them belongs to a connection of the truth, except forged
 * RSTs and data that pretends to be a copy. */
#include <string.h>

#include "collide.h"
#include "model.h"

/* Attackers are 198.18.0.0/15 (RFC 2544), so that a test can tell them from the others. */
#define ATTACKER_NET 0xc6120000u
#define VICTIM       0xac140001u /* 172.20.0.1 */
#define OOO_FLOWS    1024u
#define TINY_FLOWS   64u
#define SPACING      2896u /* between the islands of out-of-order data: each leaves a hole */

#define STALL_FLOWS   1024u
#define ONESIDE_FLOWS 256u
#define FAR_FLOWS     256u
#define GARBAGE_FLOWS 64u
#define GARBAGE_BYTES 65536u             /* range that overlapping garbage falls in */
#define ONESIDE_NS    UINT64_C(20000000) /* between packets: 180,000 of them are an hour */
#define FAR_APART     (UINT32_C(1) << 30)

const char *const tg_attack_names[TG_ATTACK_COUNT] = {
    [TG_ATTACK_NONE] = "none",
    [TG_ATTACK_SYNFLOOD] = "synflood",
    [TG_ATTACK_ACKFLOOD] = "ackflood",
    [TG_ATTACK_HANDSHAKE] = "handshake",
    [TG_ATTACK_OOO] = "ooo",
    [TG_ATTACK_TINY] = "tiny",
    [TG_ATTACK_FRAGFLOOD] = "fragflood",
    [TG_ATTACK_TEARDROP] = "teardrop",
    [TG_ATTACK_STALL] = "stall",
    [TG_ATTACK_RST] = "rst",
    [TG_ATTACK_RST_WINDOW] = "rst-window",
    [TG_ATTACK_RST_EXACT] = "rst-exact",
    [TG_ATTACK_COLLIDE_OWNER] = "collide-owner",
    [TG_ATTACK_COLLIDE_CRC] = "collide-crc",
    [TG_ATTACK_ONESIDE] = "oneside",
    [TG_ATTACK_FAR] = "far",
    [TG_ATTACK_GARBAGE] = "garbage",
};

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

/* A packet of a live TCP connection to forge; NULL when there is none fit. */
static struct tg_connection *live_tcp(struct tg *tg, uint64_t random, unsigned *from)
{
    *from = (unsigned)(random >> 63);
    if (tg->live_count == 0)
        return NULL;
    struct tg_connection *c = tg->live[random % tg->live_count];
    return c->tuple.protocol != 6 || c->dir[*from].packets == 0 ? NULL : c;
}

/* A reset of a live connection that its endpoint did not send: where the connection goes on, so
 * does the stream (RFC 5961 3.2 for blind ones). */
static void forged_rst(struct tg *tg)
{
    uint64_t random = tg_rng_next(&tg->attack_rng);
    unsigned from;
    struct tg_connection *c = live_tcp(tg, random, &from);
    if (c == NULL) {
        synflood(tg);
        return;
    }
    struct tg_direction *d = &c->dir[from];
    uint32_t seq = d->isn + (uint32_t)d->next + (d->fin_sent ? 1 : 0);
    if (tg->config.attack == TG_ATTACK_RST)
        seq += (1u << 30) + (uint32_t)(random >> 32) % (1u << 30);
    else if (tg->config.attack == TG_ATTACK_RST_WINDOW)
        seq += 1 + (uint32_t)(random >> 32) % 16384;
    struct tg_segment s = {
        .off = d->next,
        .seq = seq,
        .ip_id = d->ip_id++,
        .direction = (uint8_t)from,
        .flags = TG_TCP_RST,
    };
    tg->counts.attack_packets++;
    tg_emit_segment(tg, c, &s);
}

/* One packet of a connection that nobody opened: costs the attacker one packet a tuple, as a SYN.
 */
static void ackflood(struct tg *tg)
{
    uint64_t random = tg_rng_next(&tg->attack_rng);
    struct tg_tuple t = attacker((uint32_t)random);
    t.port[0] = (uint16_t)(random >> 32);
    struct tg_segment s = {.flags = TG_TCP_ACK | TG_TCP_PSH,
                           .seq = (uint32_t)(random >> 16),
                           .ack = (uint32_t)(random >> 8),
                           .len = 16,
                           .window = 1024};
    tg_emit_foreign(tg, &t, &s, random);
}

/* Whole handshakes and a byte each way: the attacker answers itself (spoofing both ends, or owning
 * them). A tuple takes six packets; the last comes HANDSHAKE_LAG tuples later, so that the flow
 * looks used again. */
#define HANDSHAKE_LAG 512u
static void handshake(struct tg *tg)
{
    static const struct {
        uint8_t from, flags;
        uint32_t seq, ack, len;
    } script[] = {
        {0, TG_TCP_SYN, 0, 0, 0},
        {1, TG_TCP_SYN | TG_TCP_ACK, 0, 1, 0},
        {0, TG_TCP_ACK, 1, 1, 0},
        {0, TG_TCP_ACK | TG_TCP_PSH, 1, 1, 8},
        {1, TG_TCP_ACK | TG_TCP_PSH, 1, 9, 8},
        {0, TG_TCP_ACK | TG_TCP_PSH, 9, 9, 8},
    };
    uint64_t tuple = tg->attack_step / 6;
    unsigned i = (unsigned)(tg->attack_step % 6);
    if (i == 5) {
        if (tuple < HANDSHAKE_LAG) {
            synflood(tg);
            return;
        }
        tuple -= HANDSHAKE_LAG;
    }
    uint64_t random = tg_mix64(tg->config.seed ^ tg_mix64(tuple));
    struct tg_tuple t = attacker((uint32_t)random);
    t.port[0] = (uint16_t)(random >> 32);
    uint32_t isn[2] = {(uint32_t)(random >> 20), (uint32_t)(random >> 9)};
    struct tg_segment s = {.direction = script[i].from,
                           .flags = script[i].flags,
                           .seq = isn[script[i].from] + script[i].seq,
                           .ack = script[i].ack ? isn[!script[i].from] + script[i].ack : 0,
                           .len = script[i].len,
                           .off = script[i].seq ? script[i].seq - 1 : 0,
                           .window = 1024};
    tg_emit_foreign(tg, &t, &s, tuple * 2 + script[i].from);
}

/* Opens attacker connection number flow in its first two rounds. Returns whether it is open. */
static bool opened(struct tg *tg, const struct tg_tuple *t, uint32_t isn, uint32_t round)
{
    struct tg_segment s = {.window = 65535, .flags = TG_TCP_SYN, .seq = isn};
    if (round == 1)
        s = (struct tg_segment){.window = 65535,
                                .flags = TG_TCP_SYN | TG_TCP_ACK,
                                .seq = ~isn,
                                .ack = isn + 1,
                                .direction = 1};
    if (round < 2)
        tg_emit_foreign(tg, t, &s, 0);
    return round >= 2;
}

/* Zero-window stalls: a byte out of order waits while the receiver says 0 and the sender probes
 * with the byte before its next (RFC 9293 3.8.6.1), for as long as the attack lasts. */
static void stall(struct tg *tg)
{
    uint32_t flow = (uint32_t)(tg->attack_step % STALL_FLOWS);
    uint32_t round = (uint32_t)(tg->attack_step / STALL_FLOWS);
    struct tg_tuple t = attacker(flow);
    uint32_t isn = flow * 2654435761u;
    if (!opened(tg, &t, isn, round))
        return;
    struct tg_segment s = {.flags = TG_TCP_ACK, .window = 65535, .seq = isn + 1, .ack = ~isn + 1};
    if (round == 2) {
        s.off = 1000;
        s.seq += 1000;
        s.len = 1000;
    } else if (round % 2 != 0) {
        s.direction = 1;
        s.seq = ~isn + 1;
        s.ack = isn + 1;
        s.window = 0;
    } else {
        s.seq = isn;
        s.len = 1;
        s.garbage = true;
    }
    tg_emit_foreign(tg, &t, &s, flow);
}

/* Hours of a transfer of which every other segment and the whole other side are missing. */
static void oneside(struct tg *tg)
{
    uint32_t flow = (uint32_t)(tg->attack_step % ONESIDE_FLOWS);
    uint32_t round = (uint32_t)(tg->attack_step / ONESIDE_FLOWS);
    struct tg_tuple t = attacker(flow);
    struct tg_segment s = {.flags = TG_TCP_ACK, .window = 65535, .off = (uint64_t)round * 2000};
    s.len = 1000;
    s.seq = flow * 2654435761u + (uint32_t)s.off;
    s.ack = flow;
    tg->now_ns += ONESIDE_NS;
    tg_emit_foreign(tg, &t, &s, flow);
}

/* Two sequence spaces on one tuple, each a stream of its own that goes on. */
static void far(struct tg *tg)
{
    uint32_t flow = (uint32_t)(tg->attack_step % FAR_FLOWS);
    uint32_t round = (uint32_t)(tg->attack_step / FAR_FLOWS);
    struct tg_tuple t = attacker(flow);
    uint32_t isn = flow * 2654435761u;
    if (!opened(tg, &t, isn, round))
        return;
    struct tg_segment s = {.flags = TG_TCP_ACK, .window = 65535, .len = 100, .ack = ~isn + 1};
    /* Bursts of 24: longer than the run by which a reassembler believes that a stream has moved. */
    uint32_t burst = (round - 2) / 24;
    s.off = (uint64_t)(burst / 2 * 24 + (round - 2) % 24) * 100;
    s.seq = isn + 1 + (uint32_t)s.off + (burst % 2) * FAR_APART;
    tg_emit_foreign(tg, &t, &s, flow);
}

/* Overlapping garbage: copies of ranges that live connections have sent, and on the attacker's own
 * connections segments of any length at any place behind a hole. */
static void garbage(struct tg *tg)
{
    uint64_t random = tg_rng_next(&tg->attack_rng);
    unsigned from;
    struct tg_connection *c = tg->attack_step % 2 != 0 ? live_tcp(tg, random, &from) : NULL;
    struct tg_direction *d = c != NULL ? &c->dir[from] : NULL;
    if (d != NULL && d->shown_count != 0) {
        struct tg_range r = d->shown[(d->shown_count - 1) % TG_RECENT];
        struct tg_segment s = {.off = r.begin,
                               .len = (uint32_t)(r.end - r.begin),
                               .kept = (uint32_t)(r.end - r.begin),
                               .seq = d->isn + (uint32_t)r.begin + 1,
                               .ack = c->dir[!from].isn + (uint32_t)c->dir[!from].acked + 1,
                               .ip_id = d->ip_id++,
                               .window = 65535,
                               .direction = (uint8_t)from,
                               .flags = TG_TCP_ACK,
                               .garbage = true};
        tg->counts.attack_packets++;
        tg_emit_segment(tg, c, &s);
        return;
    }
    uint32_t flow = (uint32_t)(tg->attack_step / 2 % GARBAGE_FLOWS);
    uint32_t round = (uint32_t)(tg->attack_step / 2 / GARBAGE_FLOWS);
    struct tg_tuple t = attacker(flow);
    uint32_t isn = flow * 2654435761u;
    if (!opened(tg, &t, isn, round))
        return;
    struct tg_segment s = {.flags = TG_TCP_ACK, .window = 65535, .ack = ~isn + 1};
    s.off = 1 + random % GARBAGE_BYTES;
    s.len = 1 + (uint32_t)(random >> 32) % 1460;
    s.seq = isn + 1 + (uint32_t)s.off;
    tg_emit_foreign(tg, &t, &s, random);
}

/* SYNs whose tuples meet in one place of whoever hashes them without a secret. */
static void collide(struct tg *tg)
{
    struct tg_tuple t = {.protocol = 6};
    if (tg->config.attack == TG_ATTACK_COLLIDE_OWNER)
        tg_collide_owner(&t, (uint32_t)tg->attack_step);
    else
        tg_collide_crc(&t, (uint32_t)tg->attack_step);
    struct tg_segment s = {.flags = TG_TCP_SYN, .seq = (uint32_t)tg->attack_step, .window = 1024};
    tg_emit_foreign(tg, &t, &s, 0);
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
    case TG_ATTACK_RST_WINDOW:
    case TG_ATTACK_RST_EXACT:
        forged_rst(tg);
        break;
    case TG_ATTACK_ACKFLOOD:
        ackflood(tg);
        break;
    case TG_ATTACK_HANDSHAKE:
        handshake(tg);
        break;
    case TG_ATTACK_STALL:
        stall(tg);
        break;
    case TG_ATTACK_COLLIDE_OWNER:
    case TG_ATTACK_COLLIDE_CRC:
        collide(tg);
        break;
    case TG_ATTACK_ONESIDE:
        oneside(tg);
        break;
    case TG_ATTACK_FAR:
        far(tg);
        break;
    case TG_ATTACK_GARBAGE:
        garbage(tg);
        break;
    default:
        break;
    }
    tg->attack_step++;
}
