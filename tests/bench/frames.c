/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of many TCP connections: what varies is written over a template, checksums are folded from precomputed sums. */
#include "frames.h"

#include <string.h>

#include "packet/packet.h"

enum { ETHER = 14, IP = 20, TCP = 20 };

#define SCATTER     UINT32_C(0x9e3779b1) /* odd: goes through all residues of a power of two */
#define SERVER_ADDR UINT32_C(0xac100001) /* 172.16.0.1 */
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

void ws_bench_frames_init(struct ws_bench_frames *f)
{
    uint8_t p[WS_BENCH_FRAME_MAX];
    f->flow_bits = (unsigned)__builtin_ctz(f->flows);
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
    uint32_t client, port; /* the client's address and port */
    uint32_t seq, ack, flags, payload;
    bool back; /* sent by the server */
};

/* Turn 0: SYN, 1: SYN/ACK, then data: the client's in even turns, the server's in odd ones. */
static struct turn turn_of(const struct ws_bench_frames *f, uint64_t k)
{
    uint32_t slot = (uint32_t)k * SCATTER & (f->flows - 1);
    uint32_t t = (uint32_t)(k >> f->flow_bits), nth = 0;
    if (f->life) {
        t += slot * SCATTER >> (32 - f->life_bits); /* else all would end at once */
        nth = t >> f->life_bits;
        t &= f->life - 1;
    }
    struct turn s = {.client = 0x0a000000 | slot, .port = 1024 + ((slot + nth * SCATTER) & 0x7fff)};
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

void ws_bench_frames_make(const struct ws_bench_frames *f, uint8_t *p, uint64_t k)
{
    const struct turn s = turn_of(f, k);
    const uint32_t total = IP + TCP + s.payload;
    const uint32_t addrs = halves(s.client) + halves(SERVER_ADDR);
    uint8_t *ip = p + ETHER, *tcp = ip + IP;
    put16(ip + 2, total);
    put32(ip + 12, s.back ? SERVER_ADDR : s.client);
    put32(ip + 16, s.back ? s.client : SERVER_ADDR);
    put16(ip + 10, fold(f->ip_sum + total + addrs));
    put16(tcp, s.back ? SERVER_PORT : s.port);
    put16(tcp + 2, s.back ? s.port : SERVER_PORT);
    put32(tcp + 4, s.seq);
    put32(tcp + 8, s.ack);
    tcp[13] = (uint8_t)s.flags;
    put16(tcp + 16, fold(f->tcp_sum + (s.payload ? f->payload_sum : 0) + addrs + SERVER_PORT + s.port + s.flags +
                         halves(s.seq) + halves(s.ack)));
}

uint64_t ws_bench_frames_opened(const struct ws_bench_frames *f, uint64_t n)
{
    if (!f->life)
        return n < f->flows ? n : f->flows;
    uint64_t opened = 0;
    for (uint64_t k = 0; k < n; k++) {
        uint32_t slot = (uint32_t)k * SCATTER & (f->flows - 1);
        uint32_t t = (uint32_t)(k >> f->flow_bits) + (slot * SCATTER >> (32 - f->life_bits));
        opened += k < f->flows || !(t & (f->life - 1));
    }
    return opened;
}
