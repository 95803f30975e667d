/* SPDX-License-Identifier: BSD-3-Clause */
/* What ports on kernel interfaces (af_packet, af_xdp) need from the kernel itself. */
#include "source/port_kernel.h"

#include <dlfcn.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

void ws_port_kernel_quiet(void)
{
    static const struct {
        const char *library, *setter;
    } all[] = {{"libbpf.so.1", "libbpf_set_print"},
               {"libbpf.so.0", "libbpf_set_print"},
               {"libxdp.so.1", "libxdp_set_print"}};
    if (ws_log_level >= WS_LOG_DEBUG)
        return;
    for (size_t i = 0; i < WS_ARRAY_SIZE(all); i++) {
        void *lib = dlopen(all[i].library, RTLD_LAZY | RTLD_NOLOAD);
        if (!lib)
            continue;
        void *symbol = dlsym(lib, all[i].setter);
        void *(*setter)(void *) = NULL;
        if (symbol)
            memcpy(&setter, &symbol, sizeof(setter)); /* as POSIX has it */
        if (setter)
            setter(NULL);
        dlclose(lib);
    }
}

bool ws_port_kernel_strips_vlan(unsigned if_index)
{
    struct ethtool_value get = {.cmd = ETHTOOL_GFLAGS};
    struct ifreq req;
    bool on = false;
    memset(&req, 0, sizeof(req));
    req.ifr_data = (void *)&get;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    if (if_indextoname(if_index, req.ifr_name) && ioctl(fd, SIOCETHTOOL, &req) == 0)
        on = (get.data & ETH_FLAG_RXVLAN) != 0;
    close(fd);
    return on;
}

int ws_port_kernel_promiscuous(unsigned if_index)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const struct packet_mreq req = {.mr_ifindex = (int)if_index, .mr_type = PACKET_MR_PROMISC};
    if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &req, sizeof(req)) == 0)
        return fd;
    close(fd);
    return -1;
}
