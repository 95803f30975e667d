/* SPDX-License-Identifier: BSD-3-Clause */
/* What a --dev string says, as far as ports must know it before the driver does. */
#include "source/port_devargs.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The drivers of virtual devices that we know to need a number after their name; names of other
 * buses (PCI addresses) have none. */
static bool is_virtual(const char *name)
{
    return strncmp(name, "net_", 4) == 0 || strncmp(name, "eth_", 4) == 0;
}

static void take_pair(struct ws_port_devargs *d, const char *key, size_t key_len, const char *value,
                      size_t value_len)
{
#define KEY_IS(text) (key_len == sizeof(text) - 1 && memcmp(key, text, key_len) == 0)
    if (KEY_IS("rx_pcap")) {
        if (d->rx_files < WS_PORT_FILES_MAX) {
            d->file[d->rx_files].path = value;
            d->file[d->rx_files].len = value_len;
        }
        d->rx_files++;
    } else if (KEY_IS("infinite_rx")) {
        d->infinite = value_len > 0 && value[0] != '0';
    } else if (KEY_IS("framesz")) {
        d->frame_bytes = (uint32_t)strtoul(value, NULL, 0);
    } else if (KEY_IS("blocksz")) {
        d->block_given = true;
    } else if (KEY_IS("rx_iface") || KEY_IS("rx_iface_in") || KEY_IS("iface")) {
        if (d->rx_ifaces++ == 0)
            snprintf(d->iface, sizeof(d->iface), "%.*s", (int)WS_MIN(value_len, (size_t)31), value);
    }
#undef KEY_IS
}

int ws_port_devargs_parse(struct ws_port_devargs *d, const char *text, unsigned number)
{
    const size_t name_len = strcspn(text, ",");
    memset(d, 0, sizeof(*d));
    if (name_len == 0)
        return -EINVAL;
    if (name_len + 10 >= sizeof(d->name))
        return -E2BIG;
    memcpy(d->name, text, name_len);
    d->args = text + name_len;
    d->pci = !is_virtual(d->name);
    d->pcap = strncmp(d->name, "net_pcap", 8) == 0 || strncmp(d->name, "eth_pcap", 8) == 0;
    d->af_packet =
        strncmp(d->name, "net_af_packet", 13) == 0 || strncmp(d->name, "eth_af_packet", 13) == 0;
    if (!d->pci && !isdigit((unsigned char)d->name[name_len - 1]))
        snprintf(d->name + name_len, sizeof(d->name) - name_len, "%u", number);

    for (const char *p = d->args; *p == ',';) {
        const char *key = ++p;
        p += strcspn(p, ",");
        const char *eq = memchr(key, '=', (size_t)(p - key));
        if (eq)
            take_pair(d, key, (size_t)(eq - key), eq + 1, (size_t)(p - eq - 1));
    }
    return d->rx_files > WS_PORT_FILES_MAX ? -E2BIG : 0;
}
