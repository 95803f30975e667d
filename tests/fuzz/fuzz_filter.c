/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: frames through compiled filters, and texts through the selector parsers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "filter/filter.h"
#include "filter/select.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Fixed: libpcap's own compiler is not what is fuzzed here, and names would be looked up. */
static const char *const expressions[] = {
    "tcp port 80", "vlan and ip6 and udp", "ip6 protochain 6", "tcp[((tcp[12] & 0xf0) >> 2):4] = 1",
    "mpls and ip", "pppoes and tcp",       "icmp6 or less 60", "geneve and tcp",
};
#define EXPRESSIONS WS_ARRAY_SIZE(expressions)

/* expression, link type, wire length: 5 bytes; then the frame */
static void fuzz_match(const uint8_t *data, size_t len)
{
    static struct ws_filter *filter[EXPRESSIONS];
    if (len < 5)
        return;
    struct ws_filter **f = &filter[data[0] % EXPRESSIONS];
    char err[256];
    if (!*f && ws_filter_create(f, expressions[data[0] % EXPRESSIONS], -1, err, sizeof(err)) < 0)
        abort();
    struct ws_packet p = {.data = data + 5,
                          .cap_len = (uint32_t)(len - 5),
                          .wire_len = ws_load_le16(data + 3),
                          .link_type = ws_load_le16(data + 1)};
    (void)ws_filter_match(*f, &p);
}

typedef int (*add_fn)(struct ws_select *s, const char *text, char *err, size_t err_len);

static void fuzz_parse(const char *text)
{
    static const add_fn add[] = {ws_select_add_port, ws_select_add_port_not, ws_select_add_host,
                                 ws_select_add_tuple, ws_select_add_community_id};
    struct ws_select s;
    char err[64];
    int64_t ns;
    ws_select_init(&s);
    for (size_t i = 0; i < WS_ARRAY_SIZE(add); i++) {
        err[0] = '\0';
        int rc = add[i](&s, text, err, sizeof(err));
        if ((rc < 0) != (err[0] != '\0')) /* a refusal says why */
            abort();
    }
    (void)ws_select_time(text, &ns, err, sizeof(err));
    if (s.n_port && s.port[0].lo > s.port[0].hi)
        abort();
    if (s.n_host && s.host[0].prefix > (s.host[0].ip_version == 4 ? 32 : 128))
        abort();
    /* what was taken can be asked */
    struct ws_key key = {.ip_version = 4, .proto = 6, .port = {80, 443}};
    (void)ws_select_flow(&s, &key, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len && data[0] == 'M') {
        fuzz_match(data + 1, len - 1);
        return 0;
    }
    char *text = malloc(len + 1);
    if (!text)
        return 0;
    if (len)
        memcpy(text, data, len);
    text[len] = '\0';
    fuzz_parse(text);
    free(text);
    return 0;
}
