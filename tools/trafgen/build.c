/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames, written from the outermost header inwards; lengths are known before the first byte. */
#include "build.h"

#include <string.h>

#include "payload.h"

#define ETHERNET_BYTES     14u
#define ETHERNET_MIN_BYTES 60u /* without FCS: IEEE 802.3 */
#define IPV4_BYTES         20u
#define IPV6_BYTES         40u
#define UDP_BYTES          8u
#define TTL                64u

const char *const tg_tunnel_names[TG_TUNNEL_COUNT] = {"none",   "gre",  "vxlan",
                                                      "geneve", "gtpu", "ipip"};

static uint8_t *put8(uint8_t *p, unsigned v)
{
    *p = (uint8_t)v;
    return p + 1;
}

static uint8_t *put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    return put16(put16(p, v >> 16), v & 0xffff);
}

static uint8_t *put_bytes(uint8_t *p, const void *src, size_t n)
{
    memcpy(p, src, n);
    return p + n;
}

/* RFC 1071: the sum does not depend on byte order as long as loads and the store agree
 * (section 2.B). */
static uint64_t checksum_add(uint64_t sum, const uint8_t *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        sum += (w & 0xffffffff) + (w >> 32);
    }
    uint64_t tail = 0;
    memcpy(&tail, p, n);
    return sum + (tail & 0xffffffff) + (tail >> 32);
}

static void checksum_store(uint8_t *p, uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t folded = (uint16_t)~sum;
    memcpy(p, &folded, 2);
}

/* --- layers --------------------------------------------------------------------------------------
 */

static uint8_t *put_ipv4(uint8_t *p, const uint8_t *source, const uint8_t *destination,
                         unsigned total_len, unsigned id, unsigned flags_offset, unsigned protocol)
{
    uint8_t *start = p;
    p = put16(p, 0x4500);
    p = put16(p, total_len);
    p = put16(p, id);
    p = put16(p, flags_offset);
    p = put8(p, TTL);
    p = put8(p, protocol);
    p = put16(p, 0);
    p = put_bytes(p, source, 4);
    p = put_bytes(p, destination, 4);
    checksum_store(start + 10, checksum_add(0, start, IPV4_BYTES));
    return p;
}

static uint8_t *put_ipv6(uint8_t *p, const uint8_t *source, const uint8_t *destination,
                         unsigned payload_len, unsigned next_header)
{
    p = put32(p, 0x60000000);
    p = put16(p, payload_len);
    p = put8(p, next_header);
    p = put8(p, TTL);
    p = put_bytes(p, source, 16);
    return put_bytes(p, destination, 16);
}

static size_t tcp_bytes(const struct tg_segment *s)
{
    if ((s->flags & TG_TCP_SYN) != 0)
        return s->timestamps ? 44 : 32;
    return s->timestamps ? 32 : 20;
}

static uint8_t *put_tcp(uint8_t *p, const struct tg_tuple *t, const struct tg_segment *s)
{
    unsigned from = s->direction;
    p = put16(p, t->port[from]);
    p = put16(p, t->port[from ^ 1]);
    p = put32(p, s->seq);
    p = put32(p, s->ack);
    p = put8(p, (unsigned)(tcp_bytes(s) / 4) << 4);
    p = put8(p, s->flags);
    p = put16(p, s->window);
    p = put32(p, 0);
    if ((s->flags & TG_TCP_SYN) != 0) { /* RFC 9293 3.2, RFC 2018, RFC 7323 */
        p = put16(p, 0x0204);
        p = put16(p, TG_MSS_OFFERED);
        p = put32(p, 0x01010402);
        p = put32(p, 0x01030300 | TG_WINDOW_SCALE);
    }
    if (s->timestamps) { /* RFC 7323 appendix A */
        p = put32(p, 0x0101080a);
        p = put32(p, s->ts_value);
        p = put32(p, s->ts_echo);
    }
    return p;
}

static size_t l4_bytes(const struct tg_tuple *t, const struct tg_segment *s)
{
    return t->protocol == 6 ? tcp_bytes(s) : UDP_BYTES;
}

static uint64_t pseudo_header_sum(const struct tg_tuple *t, unsigned from, size_t l4_len)
{
    uint8_t tail[8];
    size_t address_bytes = t->v6 ? 16 : 4;
    put32(put32(tail, (uint32_t)l4_len), t->protocol);
    uint64_t sum = checksum_add(0, t->address[from], address_bytes);
    sum = checksum_add(sum, t->address[from ^ 1], address_bytes);
    return checksum_add(sum, tail, sizeof(tail));
}

/* The innermost packet: IP, TCP or UDP, payload. Returns its end. */
static uint8_t *put_packet(uint8_t *p, const struct tg_tuple *t, const struct tg_segment *s,
                           uint64_t key)
{
    unsigned from = s->direction;
    size_t l4_len = l4_bytes(t, s) + s->len;
    /* RFC 6864: the id means something only when the datagram may be split. */
    unsigned dont_fragment = s->fragmenting == TG_WHOLE && t->protocol == 6 ? 0x4000 : 0;
    if (t->v6)
        p = put_ipv6(p, t->address[from], t->address[from ^ 1], (unsigned)l4_len, t->protocol);
    else
        p = put_ipv4(p, t->address[from], t->address[from ^ 1], (unsigned)(IPV4_BYTES + l4_len),
                     s->ip_id, dont_fragment, t->protocol);
    uint8_t *l4 = p;
    size_t checksum_at;
    if (t->protocol == 6) {
        p = put_tcp(p, t, s);
        checksum_at = 16;
    } else {
        p = put16(p, t->port[from]);
        p = put16(p, t->port[from ^ 1]);
        p = put16(p, (unsigned)l4_len);
        p = put16(p, 0);
        checksum_at = 6;
    }
    if (s->garbage)
        tg_payload_fill_garbage(key, s->off, p, s->len);
    else
        tg_payload_fill(key, s->off, p, s->len);
    checksum_store(l4 + checksum_at, checksum_add(pseudo_header_sum(t, from, l4_len), l4, l4_len));
    /* RFC 768: a computed zero goes out as all ones. */
    if (t->protocol == 17 && l4[6] == 0 && l4[7] == 0)
        put16(l4 + 6, 0xffff);
    return p + s->len;
}

/* --- wrapping ------------------------------------------------------------------------------------
 */

static size_t l2_bytes(const struct tg_wrap *w)
{
    return ETHERNET_BYTES + 4u * w->vlan_count + 4u * w->mpls_count;
}

static size_t outer_ip_bytes(const struct tg_wrap *w)
{
    return w->tunnel == TG_TUNNEL_NONE ? 0 : w->outer_v6 ? IPV6_BYTES : IPV4_BYTES;
}

static size_t tunnel_bytes(const struct tg_wrap *w)
{
    switch (w->tunnel) {
    case TG_TUNNEL_GRE:
        return 12;
    case TG_TUNNEL_VXLAN:
        return UDP_BYTES + 8 + ETHERNET_BYTES;
    case TG_TUNNEL_GENEVE:
        return UDP_BYTES + 16 + ETHERNET_BYTES;
    case TG_TUNNEL_GTPU:
        return UDP_BYTES + 16;
    default:
        return 0;
    }
}

static size_t prefix_bytes(const struct tg_wrap *w)
{
    return l2_bytes(w) + outer_ip_bytes(w) + tunnel_bytes(w);
}

static uint8_t *put_ethernet(uint8_t *p, unsigned from, unsigned site)
{
    const uint8_t macs[2][6] = {{0x02, 0, 0, (uint8_t)site, 0, 0x0a},
                                {0x02, 0, 0, (uint8_t)site, 0, 0x0b}};
    p = put_bytes(p, macs[from ^ 1], 6);
    return put_bytes(p, macs[from], 6);
}

static uint8_t *put_l2(uint8_t *p, const struct tg_wrap *w, unsigned from, unsigned ethertype)
{
    p = put_ethernet(p, from, 1);
    for (unsigned i = 0; i < w->vlan_count; i++) {
        /* IEEE 802.1ad: the outer of two tags has its own type. */
        p = put16(p, i + 1 < w->vlan_count ? 0x88a8 : 0x8100);
        p = put16(p, w->vlan[i]);
    }
    if (w->mpls_count == 0)
        return put16(p, ethertype);
    p = put16(p, 0x8847);
    for (unsigned i = 0; i < w->mpls_count; i++) { /* RFC 3032 2.1: label, bottom of stack, TTL */
        uint32_t bottom = i + 1 == w->mpls_count;
        p = put32(p, (w->mpls_label + i) << 12 | bottom << 8 | TTL);
    }
    return p;
}

static uint8_t *put_outer_udp(uint8_t *p, unsigned source_port, unsigned destination_port,
                              size_t len)
{
    p = put16(p, source_port);
    p = put16(p, destination_port);
    p = put16(p, (unsigned)(UDP_BYTES + len));
    return put16(p, 0); /* RFC 7348 5, RFC 8926 3.3: zero over IPv4 */
}

static uint8_t *put_tunnel(uint8_t *p, const struct tg_wrap *w, const struct tg_segment *s,
                           bool inner_v6, size_t inner_len)
{
    unsigned from = s->direction;
    unsigned ethertype = inner_v6 ? 0x86dd : 0x0800;
    /* RFC 7348 5: the source port carries entropy of the inner flow. */
    unsigned entropy = 49152 + (unsigned)((w->tunnel_id * 2654435761u) >> 18);
    switch (w->tunnel) {
    case TG_TUNNEL_GRE:
        p = put16(p, 0x3000);
        p = put16(p, ethertype);
        p = put32(p, w->tunnel_id);
        return put32(p, s->ip_id);
    case TG_TUNNEL_VXLAN:
        p = put_outer_udp(p, entropy, 4789, 8 + ETHERNET_BYTES + inner_len);
        p = put32(p, 0x08000000);
        p = put32(p, w->tunnel_id << 8);
        return put16(put_ethernet(p, from, 2), ethertype);
    case TG_TUNNEL_GENEVE:
        p = put_outer_udp(p, entropy, 6081, 16 + ETHERNET_BYTES + inner_len);
        p = put16(p, 0x0200); /* options: two 4-byte words */
        p = put16(p, 0x6558);
        p = put32(p, w->tunnel_id << 8);
        p = put32(p, 0xfff00101); /* experimental class, RFC 8926 7; one word of data */
        p = put32(p, 0x01020304);
        return put16(put_ethernet(p, from, 2), ethertype);
    case TG_TUNNEL_GTPU:
        p = put_outer_udp(p, 2152, 2152, 16 + inner_len);
        p = put16(p, 0x34ff); /* version 1, GTP, extension header; G-PDU */
        p = put16(p, (unsigned)(8 + inner_len));
        p = put32(p, w->tunnel_id);
        p = put32(p, 0x00000085); /* no sequence; next: PDU session container, TS 38.415 */
        return put32(p, from == 0 ? 0x01100900 : 0x01000900);
    default:
        return p;
    }
}

/* Everything that stands in front of the inner IP packet. */
static void put_prefix(uint8_t *p, const struct tg_wrap *w, const struct tg_segment *s,
                       bool inner_v6, size_t inner_len)
{
    unsigned from = s->direction;
    unsigned inner_type = inner_v6 ? 0x86dd : 0x0800;
    if (w->tunnel == TG_TUNNEL_NONE) {
        put_l2(p, w, from, inner_type);
        return;
    }
    size_t outer_payload = tunnel_bytes(w) + inner_len;
    unsigned protocol = w->tunnel == TG_TUNNEL_GRE    ? 47
                        : w->tunnel == TG_TUNNEL_IPIP ? (inner_v6 ? 41 : 4)
                                                      : 17;
    p = put_l2(p, w, from, w->outer_v6 ? 0x86dd : 0x0800);
    if (w->outer_v6) {
        uint8_t ends[2][16] = {{0x20, 0x01, 0x0d, 0xb8, 0xff}, {0x20, 0x01, 0x0d, 0xb8, 0xff}};
        ends[0][15] = w->outer[0];
        ends[1][15] = w->outer[1];
        p = put_ipv6(p, ends[from], ends[from ^ 1], (unsigned)outer_payload, protocol);
    } else {
        const uint8_t ends[2][4] = {{192, 168, 1, w->outer[0]}, {192, 168, 2, w->outer[1]}};
        p = put_ipv4(p, ends[from], ends[from ^ 1], (unsigned)(IPV4_BYTES + outer_payload),
                     s->ip_id, 0, protocol);
    }
    put_tunnel(p, w, s, inner_v6, inner_len);
}

/* Frames towards endpoint 0 look received: padded to the minimum. The others look as sent. */
static size_t pad(uint8_t *p, size_t len, unsigned from)
{
    if (from == 1 && len < ETHERNET_MIN_BYTES) {
        memset(p + len, 0, ETHERNET_MIN_BYTES - len);
        return ETHERNET_MIN_BYTES;
    }
    return len;
}

size_t tg_build_header_bytes(const struct tg_tuple *tuple, const struct tg_wrap *wrap,
                             const struct tg_segment *segment)
{
    return prefix_bytes(wrap) + (tuple->v6 ? IPV6_BYTES : IPV4_BYTES) + l4_bytes(tuple, segment);
}

size_t tg_build_frame(uint8_t *p, const struct tg_tuple *tuple, const struct tg_wrap *wrap,
                      const struct tg_segment *segment, uint64_t key)
{
    uint8_t *packet = p + prefix_bytes(wrap);
    uint8_t *end = put_packet(packet, tuple, segment, key);
    put_prefix(p, wrap, segment, tuple->v6, (size_t)(end - packet));
    return pad(p, (size_t)(end - p), segment->direction);
}

/* --- fragments -----------------------------------------------------------------------------------
 */

void tg_fragmenter_init(struct tg_fragmenter *f, uint8_t *scratch, const struct tg_tuple *tuple,
                        const struct tg_wrap *wrap, const struct tg_segment *segment, uint64_t key)
{
    bool outer = segment->fragment_outer && wrap->tunnel != TG_TUNNEL_NONE;
    uint8_t *packet = scratch + prefix_bytes(wrap);
    uint8_t *end = put_packet(packet, tuple, segment, key);
    put_prefix(scratch, wrap, segment, tuple->v6, (size_t)(end - packet));
    f->tuple = tuple;
    f->wrap = wrap;
    f->segment = segment;
    f->prefix = scratch;
    f->prefix_len = outer ? l2_bytes(wrap) : prefix_bytes(wrap);
    f->packet = scratch + f->prefix_len;
    f->packet_len = (size_t)(end - f->packet);
    f->header_len = f->packet[0] >> 4 == 6 ? IPV6_BYTES : IPV4_BYTES;
    size_t payload = f->packet_len - f->header_len;
    f->count = (unsigned)((payload + segment->fragment_bytes - 1) / segment->fragment_bytes);
    f->index = 0;
}

size_t tg_fragmenter_next(struct tg_fragmenter *f, uint8_t *p)
{
    const struct tg_segment *s = f->segment;
    /* The missing one is the last of the datagram, so that the first still shows the ports. */
    unsigned left_out = s->fragment_missing ? f->count - 1 : f->count;
    bool reversed = s->fragmenting == TG_FRAGMENTS_REVERSED;
    unsigned which = reversed ? f->count - 1 - f->index : f->index;
    if (f->index < f->count && which == left_out) {
        f->index++;
        which = reversed ? which - 1 : which + 1;
    }
    if (f->index >= f->count)
        return 0;
    f->index++;

    bool v6 = f->header_len == IPV6_BYTES;
    size_t off = (size_t)which * s->fragment_bytes;
    size_t payload = f->packet_len - f->header_len;
    size_t n = payload - off < s->fragment_bytes ? payload - off : s->fragment_bytes;
    unsigned more = which + 1 < f->count;
    size_t header = f->header_len + (v6 ? 8 : 0);

    if (f->prefix_len == prefix_bytes(f->wrap))
        put_prefix(p, f->wrap, s, f->tuple->v6, header + n);
    else
        memcpy(p, f->prefix, f->prefix_len);
    uint8_t *ip = p + f->prefix_len;
    memcpy(ip, f->packet, f->header_len);
    if (v6) { /* RFC 8200 4.5 */
        uint8_t *extension = ip + IPV6_BYTES;
        put16(ip + 4, (unsigned)(8 + n));
        extension[0] = ip[6];
        extension[1] = 0;
        put16(extension + 2, (unsigned)off | more);
        put32(extension + 4, 0x77000000u | (uint32_t)s->direction << 16 | s->ip_id);
        ip[6] = 44;
    } else { /* RFC 791 3.2 */
        put16(ip + 2, (unsigned)(IPV4_BYTES + n));
        put16(ip + 6, (unsigned)(off / 8) | more << 13);
        put16(ip + 10, 0);
        checksum_store(ip + 10, checksum_add(0, ip, IPV4_BYTES));
    }
    memcpy(ip + header, f->packet + f->header_len + off, n);
    return pad(p, f->prefix_len + header + n, s->direction);
}

size_t tg_build_raw_fragment(uint8_t *p, const struct tg_raw_fragment *fragment, uint64_t key)
{
    const struct tg_wrap plain = {0};
    uint8_t source[4], destination[4];
    put32(source, fragment->source);
    put32(destination, fragment->destination);
    uint8_t *ip = put_l2(p, &plain, 0, 0x0800);
    uint8_t *body =
        put_ipv4(ip, source, destination, IPV4_BYTES + fragment->len, fragment->id,
                 (unsigned)fragment->off / 8 | (fragment->more ? 0x2000u : 0), fragment->protocol);
    tg_payload_fill(key, fragment->off, body, fragment->len);
    return (size_t)(body + fragment->len - p);
}
