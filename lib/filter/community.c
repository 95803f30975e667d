/* SPDX-License-Identifier: BSD-3-Clause */
/* Community ID, version 1: a flow's name that other tools compute alike. */
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/bytes.h"
#include "filter/select.h"

/* The ID of endpoints in their final order. */
static void make_id(const struct ws_key *key, bool swap, bool with_ports, const uint16_t port[2],
                    uint16_t seed, char *buf)
{
    uint8_t in[2 + 2 * 16 + 2 + 4], digest[SHA_DIGEST_LENGTH];
    size_t addr_len = key->ip_version == 4 ? 4 : 16, n = 2;
    ws_store_be16(in, seed);
    for (unsigned e = 0; e < 2; e++, n += addr_len)
        memcpy(in + n, key->addr[swap ? !e : e], addr_len);
    in[n++] = key->proto;
    in[n++] = 0;
    for (unsigned e = 0; with_ports && e < 2; e++, n += 2)
        ws_store_be16(in + n, port[swap ? !e : e]);
    SHA1(in, n, digest);
    buf[0] = '1';
    buf[1] = ':';
    EVP_EncodeBlock((unsigned char *)buf + 2, digest, sizeof(digest));
}

void ws_community_id(const struct ws_key *key, uint16_t seed, char *buf)
{
    buf[0] = '\0';
    switch (key->proto) {
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return; /* it depends on a packet: ws_community_id_icmp() */
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
        make_id(key, false, true, key->port, seed, buf); /* a key is sorted as the ID wants it */
        return;
    default:
        make_id(key, false, false, NULL, seed, buf);
    }
}

/* Types that are request and answer of each other (the specification takes them from Zeek). */
static const uint8_t pair4[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}, {10, 9}};
static const uint8_t pair6[][2] = {{128, 129}, {133, 134}, {135, 136},
                                   {130, 131}, {139, 140}, {144, 145}};
/* ICMP errors and notices that have no counterpart, for ws_community_id_may_be(). */
static const uint8_t alone4[] = {3, 4, 5, 11, 12};
static const uint8_t alone6[] = {1, 2, 3, 4, 132, 137, 143};
#define CODES 16u

/* The type that answers a type; -1 if none. */
static int counterpart(const uint8_t pair[][2], size_t n, uint8_t type)
{
    for (size_t i = 0; i < n; i++)
        for (unsigned side = 0; side < 2; side++)
            if (pair[i][side] == type)
                return pair[i][!side];
    return -1;
}

void ws_community_id_icmp(const struct ws_key *key, unsigned dir, uint8_t type, uint8_t code,
                          uint16_t seed, char *buf)
{
    int answer = key->proto == IPPROTO_ICMP ? counterpart(pair4, WS_ARRAY_SIZE(pair4), type)
                                            : counterpart(pair6, WS_ARRAY_SIZE(pair6), type);
    uint16_t port[2];
    port[dir & 1] = type;
    port[!(dir & 1)] = answer < 0 ? code : (uint16_t)answer;
    /* without a counterpart the sender comes first; else the lower endpoint, where equal addresses
     * leave the choice to the ports */
    bool swap =
        answer < 0 ? dir & 1 : memcmp(key->addr[0], key->addr[1], 16) == 0 && port[1] < port[0];
    make_id(key, swap, true, port, seed, buf);
}

bool ws_community_id_may_be(const struct ws_key *key, uint16_t seed, const char *id)
{
    char own[WS_COMMUNITY_ID_LEN];
    if (key->proto != IPPROTO_ICMP && key->proto != IPPROTO_ICMPV6) {
        ws_community_id(key, seed, own);
        return strcmp(own, id) == 0;
    }
    bool v4 = key->proto == IPPROTO_ICMP;
    size_t pairs = v4 ? WS_ARRAY_SIZE(pair4) : WS_ARRAY_SIZE(pair6);
    size_t alone = v4 ? sizeof(alone4) : sizeof(alone6);
    for (unsigned dir = 0; dir < 2; dir++) {
        for (size_t i = 0; i < pairs; i++) {
            ws_community_id_icmp(key, dir, v4 ? pair4[i][0] : pair6[i][0], 0, seed, own);
            if (strcmp(own, id) == 0)
                return true;
        }
        for (size_t i = 0; i < alone * CODES; i++) {
            uint8_t type = v4 ? alone4[i / CODES] : alone6[i / CODES];
            ws_community_id_icmp(key, dir, type, (uint8_t)(i % CODES), seed, own);
            if (strcmp(own, id) == 0)
                return true;
        }
    }
    return false;
}
