# SPDX-License-Identifier: BSD-3-Clause
"""Differences that have a known reason, each recognised by its own evidence in the packets.

docs/compat-differences.md explains each rule by its name.
"""
from pieces import Cut, tokens

PADDING_MAX = 46  # of an Ethernet frame without payload (IEEE 802.3 section 4.2.3.3)


def traits(protocols, values):
    """What of a frame can explain a difference. values follow "tcp.len" in Wireshark.FIELDS."""
    length, syn, rst, padding, trailer, cap_len, frame_len = (v.split(",")[-1] for v in values)
    data = length not in ("", "0")
    found = {
        "ip": "ip" in protocols or "ipv6" in protocols,
        "ipv6": "ipv6" in protocols,
        "tunnel": sum(p in ("ip", "ipv6") for p in protocols) > 1 or any(
            p in protocols for p in ("mpls", "pppoes", "vlan", "ppp")),
        "syn": syn in ("1", "True", "Set"),
        "rst data": data and rst in ("1", "True", "Set"),
        "padded": bool(padding or trailer),
        "cut": cap_len != frame_len,
    }
    return {name for name, is_so in found.items() if is_so}


def wireshark(key, ours, theirs, shark):
    """Why Wireshark follows the tuple's streams otherwise; None if no rule knows."""
    if not ours:
        return "reset-payload" if shark.only(key, "rst data") else None
    if len(ours) != 1 or len(theirs) != 1:
        return None
    x, y = ours[0], theirs[0]
    if tokens([t for t in x if not isinstance(t, Cut)]) == y:
        return "snap-length"
    if isinstance(x[-1], int) and x[:-1] == y:
        return "hole-before-fin"
    if any(isinstance(t, int) and x[:i] == y for i, t in enumerate(x)):
        return "hole-not-acknowledged"
    if len(x) == len(y) == 1 and "syn" not in shark.traits[key] and x[0].endswith(y[0]):
        return "lowest-not-first"
    return None


def tcpflow(key, ours, theirs, shark):
    """Why tcpflow writes the tuple's files otherwise; None if no rule knows."""
    has = shark.traits[key]
    theirs = [f[0] for f in theirs]
    if shark.streams.get(key, []) != ours and not wireshark(key, ours, shark.streams.get(key, []),
                                                            shark):
        return None
    if not ours:
        if shark.only(key, "rst data"):
            return "reset-payload"
        if "padded" in has and not any(any(f) for f in theirs):
            return "tcpflow-padding"  # zeros at the place of a FIN behind lost data
    if not theirs:
        return "tcpflow-not-decoded" if has & {"ipv6", "tunnel"} else None
    if "cut" in has and len(ours) == len(theirs) == 1 and isinstance(ours[0][-1], Cut) and \
            tokens(ours[0][:-1]) == theirs:
        return "snap-length"
    if "padded" in has and padded([b"".join(bytes(t) if isinstance(t, int) else t for t in s)
                                   for s in ours], theirs):
        return "tcpflow-padding"
    return None


def padded(ours, theirs):
    """True if theirs are ours with an Ethernet frame's padding behind, or in files of its own."""
    rest = list(ours)
    for data in theirs:
        if rest and data.startswith(rest[0]) and len(data) - len(rest[0]) <= PADDING_MAX:
            rest.pop(0)
        elif len(data) > PADDING_MAX:
            return False
    return not rest
