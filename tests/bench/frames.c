/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of many TCP connections: what varies is written over a template, checksums are folded from precomputed sums. */
#include "frames.h"

#include <string.h>

#include "packet/packet.h"

enum { ETHER = 14, IP = 20, TCP = 20 };

#define SCATTER     UINT32_C(0x9e3779b1) /* the golden ratio of 2^32 */
/* Half of the servers have lower addresses than their clients, so that directions come as they come: 172.16.0.1, 9.0.0.1. */
#define SERVER_ABOVE UINT32_C(0xac100001)
#define SERVER_BELOW UINT32_C(0x09000001)
#define SERVER_PORT UINT32_C(443)
#define CLIENT_ISN  UINT32_C(0x10000)
#define SERVER_ISN  UINT32_C(0x20000)

static void put16(uint8_t *p, uint32_t v)
{
    uint16_t be = __builtin_bswap16((uint16_t)v);
    memcpy(p, &be, 2);
}

static void put32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}

static uint32_t sum16(const uint8_t *p, uint32_t len)
{
    uint32_t s = 0;
    for (uint32_t i = 0; i + 1 < len; i += 2)
        s += (uint32_t)p[i] << 8 | p[i + 1];
    return len & 1 ? s + ((uint32_t)p[len - 1] << 8) : s;
}

static uint32_t halves(uint32_t v)
{
    return (v >> 16) + (v & 0xffff);
}

static uint32_t fold(uint32_t s)
{
    s = halves(s);
    return ~halves(s) & 0xffff;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

void ws_bench_frames_init(struct ws_bench_frames *f)
{
    uint8_t p[WS_BENCH_FRAME_MAX];
    f->step = (uint32_t)((uint64_t)f->flows * SCATTER >> 32) | 1;
    while (gcd(f->step, f->flows) != 1)
        f->step += 2;
    f->slot = f->round = 0;
    f->life_bits = f->life ? (unsigned)__builtin_ctz(f->life) : 0;
    f->payload = f->frame_len - ETHER - IP - TCP;
    ws_bench_frames_prepare(f, p);
    f->ip_sum = sum16(p + ETHER, IP);
    f->tcp_sum = sum16(p + ETHER + IP, TCP) + 6 + TCP;
    f->payload_sum = f->payload + sum16(p + ETHER + IP + TCP, f->payload);
}

void ws_bench_frames_prepare(const struct ws_bench_frames *f, uint8_t *p)
{
    memset(p, 0x5a, f->frame_len);
    memset(p, 2, 12);
    put16(p + 12, 0x0800);
    uint8_t *ip = p + ETHER, *tcp = ip + IP;
    memset(ip, 0, IP + TCP);
    ip[0] = 0x45;
    ip[8] = 64;
    ip[9] = 6;
    tcp[12] = 5 << 4;
    put16(tcp + 14, 65535);
}

struct turn {
    uint32_t client, port, server; /* the client's address and port, the server's address */
    uint32_t seq, ack, flags, payload;
    bool back; /* sent by the server */
};

/* Turn 0: SYN, 1: SYN/ACK, then data: the client's in even turns, the server's in odd ones. */
static inline struct turn turn_of(const struct ws_bench_frames *f, uint32_t slot, uint32_t round)
{
    uint32_t t = round, nth = 0;
    if (f->life) {
        t += slot * SCATTER >> (32 - f->life_bits); /* else all would end at once */
        nth = t >> f->life_bits;
        t &= f->life - 1;
    }
    struct turn s = {.client = 0x0a000000 | slot, .port = 1024 + ((slot + nth * SCATTER) & 0x7fff)};
    s.server = slot * SCATTER & UINT32_C(1) << 30 ? SERVER_ABOVE : SERVER_BELOW;
    s.flags = WS_TCP_ACK;
    s.payload = f->payload;
    if (f->one_way) {
        s.seq = CLIENT_ISN + 1 + t * f->payload;
        return s;
    }
    s.back = t & 1;
    uint32_t mine = t < 2 ? 0 : (t / 2 - 1) * f->payload;
    s.seq = (s.back ? SERVER_ISN : CLIENT_ISN) + 1 + mine;
    s.ack = (s.back ? CLIENT_ISN + 1 + mine + f->payload : SERVER_ISN + 1 + mine);
    if (t < 2) {
        s.flags = t ? WS_TCP_SYN | WS_TCP_ACK : WS_TCP_SYN;
        s.seq--;
        s.ack = t ? CLIENT_ISN + 1 : 0;
        s.payload = 0;
    }
    return s;
}

/* To the next connection; back at the first one, a round is over. In the first round they come one after the other, so that a
 * table that fills its memory as they come is not gone through in the order of its memory ever after. */
static inline void advance(struct ws_bench_frames *f)
{
    if (f->round)
        f->slot = ws_bench_frames_after(f, f->slot);
    else
        f->slot = f->slot + 1 < f->flows ? f->slot + 1 : 0;
    f->round += f->slot == 0;
}

void ws_bench_frames_next(struct ws_bench_frames *f, uint8_t *p)
{
    ws_bench_frames_make(f, p, f->slot, f->round);
    advance(f);
}

void ws_bench_frames_make(const struct ws_bench_frames *f, uint8_t *p, uint32_t slot, uint32_t round)
{
    const struct turn s = turn_of(f, slot, round);
    const uint32_t total = IP + TCP + s.payload;
    const uint32_t addrs = halves(s.client) + halves(s.server);
    uint8_t *ip = p + ETHER, *tcp = ip + IP;
    put16(ip + 2, total);
    put32(ip + 12, s.back ? s.server : s.client);
    put32(ip + 16, s.back ? s.client : s.server);
    put16(ip + 10, fold(f->ip_sum + total + addrs));
    put16(tcp, s.back ? SERVER_PORT : s.port);
    put16(tcp + 2, s.back ? s.port : SERVER_PORT);
    put32(tcp + 4, s.seq);
    put32(tcp + 8, s.ack);
    tcp[13] = (uint8_t)s.flags;
    put16(tcp + 16, fold(f->tcp_sum + (s.payload ? f->payload_sum : 0) + addrs + SERVER_PORT + s.port + s.flags +
                         halves(s.seq) + halves(s.ack)));
}

uint64_t ws_bench_frames_opened(struct ws_bench_frames f, uint64_t n)
{
    if (!f.life)
        return n < f.flows ? n : f.flows;
    uint64_t opened = 0;
    f.slot = f.round = 0;
    for (uint64_t k = 0; k < n; k++, advance(&f))
        opened += f.round == 0 || !((f.round + (f.slot * SCATTER >> (32 - f.life_bits))) & (f.life - 1));
    return opened;
}
