/* SPDX-License-Identifier: BSD-3-Clause */
/* What ports on kernel interfaces (af_packet, af_xdp) need from the kernel itself. Needs no DPDK.
 */
#ifndef WS_SOURCE_PORT_KERNEL_H
#define WS_SOURCE_PORT_KERNEL_H

#include "base/compiler.h"

/* Makes libbpf and libxdp silent, which af_xdp brings in and which write to stderr on their own;
 * nothing when they are not loaded or debug lines are wanted. Main thread. */
void ws_port_kernel_quiet(void);

/* True when the interface takes VLAN tags off received frames: XDP has no place for them, so that
 * they are lost. False when that cannot be found out. */
bool ws_port_kernel_strips_vlan(unsigned if_index);

/* Promiscuous mode as a socket's membership: it ends when the descriptor is closed, however we end;
 * a driver would set a flag of the interface that outlives a killed process. The descriptor (the
 * caller closes it), or -1. */
int ws_port_kernel_promiscuous(unsigned if_index);

#endif
