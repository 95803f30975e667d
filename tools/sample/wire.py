#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A wire in user space, for what a test machine's kernel may not have (8021q, netem).

wire.py tag PORT TRUNK VID                      an access port of a VLAN switch: PORT untagged, TRUNK tagged
wire.py lossy A B SEED LOSS REORDER DUP         a link that loses, delays and doubles frames (probabilities)

Runs in the network namespace of its two interfaces until it is ended. Says "ready" on stdout.
"""
import random
import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
TP_STATUS_VLAN_VALID = 1 << 4
TPID = 0x8100
HOLD_S = 0.01


def open_port(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.bind((name, 0))
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    return s


def receive(s):
    """(frame without VLAN tag, VLAN id or None): the kernel takes tags off and keeps them aside."""
    frame, controls, _, _ = s.recvmsg(70000, 256)
    for level, kind, data in controls:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci = struct.unpack_from("=IIIHHH", data)
            if status & TP_STATUS_VLAN_VALID:
                return frame, tci & 0xfff
    if frame[12:14] == struct.pack("!H", TPID):
        return frame[:12] + frame[16:], struct.unpack("!H", frame[14:16])[0] & 0xfff
    return frame, None


def tag(port_name, trunk_name, vid):
    port, trunk = open_port(port_name), open_port(trunk_name)
    print("ready", flush=True)
    while True:
        for s in select.select([port, trunk], [], [])[0]:
            frame, seen = receive(s)
            if s is port:
                trunk.send(frame[:12] + struct.pack("!HH", TPID, vid) + frame[12:])
            elif seen == vid:
                port.send(frame)


def lossy(a_name, b_name, seed, loss, reorder, dup):
    a, b = open_port(a_name), open_port(b_name)
    peer = {a: b, b: a}
    rng = random.Random(seed)
    held = []  # (time to let go, out, frame)
    print("ready", flush=True)
    while True:
        wait = max(0, held[0][0] - time.monotonic()) if held else None
        for s in select.select([a, b], [], [], wait)[0]:
            frame, _ = receive(s)
            ip = frame[12:14] in (b"\x08\x00", b"\x86\xdd")
            if ip and rng.random() < loss:
                continue
            if ip and rng.random() < reorder:
                held.append((time.monotonic() + HOLD_S, peer[s], frame))
                continue
            peer[s].send(frame)
            if ip and rng.random() < dup:
                peer[s].send(frame)
        while held and held[0][0] <= time.monotonic():
            _, out, frame = held.pop(0)
            out.send(frame)


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "tag":
        tag(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif len(sys.argv) == 8 and sys.argv[1] == "lossy":
        lossy(sys.argv[2], sys.argv[3], int(sys.argv[4]), *map(float, sys.argv[5:]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
