# SPDX-License-Identifier: BSD-3-Clause
"""Cases 99-132: tags, tunnels, link types, file formats."""
import struct

from build import (ETHERNET, GRE, IPIP, IPV6, LOOP, NULL, PPP, RADIOTAP, RAW, SLL, SLL2, T0, UDP, WLAN, Packet, Talk,
                   erspan1, erspan2, erspan3, eth, fragments, geneve, gre, gtpu, ip, l2tp, loop, mpls, null, nvgre, ppp,
                   pppoe, radiotap, sll, sll2, snap, udp, vlan, vxlan, wlan)
from case import Case, plain

SIX = ("2001:db8::1", "2001:db8::2")


def both(wrap, label="", four=True, six=True, **more):
    """The small connection in this wrapping, over IPv4 and over IPv6."""
    out = []
    if four:
        out.append(plain(Talk(wrap=wrap), label=f"{label} IPv4".strip(), **more))
    if six:
        out.append(plain(Talk(*SIX, wrap=wrap), label=f"{label} IPv6".strip(), **more))
    return out


def tagged(wrap, suffix, **more):
    t = Talk(wrap=wrap)
    return Case(t.plain(), {t.c.name + suffix: b"hello", t.s.name + suffix: b"world"}, **more)


def case_99():
    """A VLAN tag (IEEE 802.1Q): it is part of the flow and of the file's name."""
    return tagged(lambda d: eth(vlan(5, d)), "--5", flows=[{"vlan": 5, "conn_state": "SF"}])


def case_100():
    """Priority bits change nothing; VID 0 is only a priority and no VLAN."""
    def changing(priorities):
        state = [0]
        def wrap(datagram):
            state[0] += 1
            return eth(vlan(5, datagram, priority=priorities[state[0] % len(priorities)]))
        return wrap
    return [tagged(changing((0, 7, 3)), "--5", flows=[{"vlan": 5}], label="of VLAN 5"),
            tagged(lambda d: eth(vlan(0, d, priority=6)), "", flows=[{"vlan": None}], label="VID 0")]


def case_101():
    """QinQ: both tags are part of the flow."""
    return [tagged(lambda d, tpid=tpid: eth(vlan(100, vlan(200, d), tpid=tpid)), "--100.200",
                   flows=[{"vlan": 100, "inner_vlan": 200}], label=f"{tpid:#x}") for tpid in (0x88a8, 0x8100, 0x9100)]


def case_102():
    """The same tuple in two VLANs: two flows."""
    a, b = Talk(wrap=lambda d: eth(vlan(5, d))), Talk(wrap=lambda d: eth(vlan(6, d)), cisn=70000, sisn=80000)
    p = [*b.open(), b.c(0, "other"), b.s(0, "thing"), *b.close()]
    return Case([x for pair in zip(a.plain(), p) for x in pair],
                {a.c.name + "--5": b"hello", a.s.name + "--5": b"world", b.c.name + "--6": b"other",
                 b.s.name + "--6": b"thing"}, flows=[{"vlan": 5}, {"vlan": 6}])


def case_103():
    """Asymmetric VLANs: two flows, or one with --ignore-vlan."""
    def wrap(datagram):
        return eth(vlan(5 if datagram[15] == 1 else 6, datagram))  # by the last byte of the source address
    t = Talk(wrap=wrap)
    two = Case(t.plain(), {t.c.name + "--5": b"hello", t.s.name + "--6": b"world"}, flows=2, label="two flows")
    t = Talk(wrap=wrap)
    one = Case(t.plain(), {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF"}], args=("--ignore-vlan",),
               label="--ignore-vlan")
    return [two, one]


def case_104():
    """MPLS: IP behind the last label (RFC 3032)."""
    return [*both(lambda d: eth(mpls([16], d)), "one label"),
            *both(lambda d: eth(mpls([16, 17, 18], d)), "three labels")]


def case_105():
    """MPLS pseudo-wire: Ethernet behind the last label, with and without control word (RFC 4448, RFC 4385)."""
    return [*both(lambda d: eth(mpls([16], bytes(4) + eth(d))), "control word"),
            *both(lambda d: eth(mpls([16], eth(d))), "none"),
            *both(lambda d: eth(mpls([16], b"\x40\0\0\0\0\1" + eth(d)[6:])), "none, a MAC address like an IP header")]


def case_106():
    """PPPoE session (RFC 2516)."""
    return both(lambda d: eth(pppoe(d)))


def case_107():
    """LLC and SNAP (RFC 1042): the 802.3 length cuts the padding off."""
    return both(lambda d: eth(snap(d)))


def outer(payload, proto):
    return eth(ip(payload, "192.0.2.1", "192.0.2.2", proto))


def in_udp(payload, dport, sport=50000):
    return outer(udp("192.0.2.1", "192.0.2.2", sport, dport, payload), UDP)


def tunnel(name, number=0):
    return [{"tunnel": name, "tunnel_id": number, "conn_state": "SF"}]


def case_108():
    """GRE with key and sequence number (RFC 2784, RFC 2890)."""
    return [*both(lambda d: outer(gre(d), GRE), "plain", flows=tunnel("gre")),
            *both(lambda d: outer(gre(d, key=77), GRE), "key", flows=tunnel("gre", 77)),
            *both(lambda d: outer(gre(d, key=77, sequence=1), GRE), "key and sequence", flows=tunnel("gre", 77)),
            *both(lambda d: outer(gre(eth(d), sequence=5, kind=0x6558), GRE), "Ethernet inside", flows=tunnel("gre"))]


def case_109():
    """NVGRE: the VSID is part of the flow, the FlowID of its key is not (RFC 7637 section 3.2)."""
    state = [0]
    def wrap(datagram):
        state[0] += 1
        return outer(nvgre(eth(datagram), 5001, state[0]), GRE)
    return both(wrap, flows=tunnel("nvgre", 5001))


def case_110():
    """ERSPAN I, II, III."""
    return [*both(lambda d: outer(erspan1(eth(d)), GRE), "I", flows=tunnel("erspan")),
            *both(lambda d: outer(erspan2(eth(d), 42), GRE), "II", flows=tunnel("erspan", 42)),
            *both(lambda d: outer(erspan3(eth(d), 42), GRE), "III", flows=tunnel("erspan", 42)),
            *both(lambda d: outer(erspan3(eth(d), 42, True), GRE), "III with O bit", flows=tunnel("erspan", 42))]


def case_111():
    """VXLAN: the source port varies by flow, the VNI is part of the flow (RFC 7348)."""
    out = both(lambda d: in_udp(vxlan(eth(d), 42), 4789), flows=tunnel("vxlan", 42))
    a, b = (Talk(wrap=lambda d, vni=vni: in_udp(vxlan(eth(d), vni), 4789)) for vni in (1, 2))
    out.append(Case([x for pair in zip(a.plain(), b.plain()) for x in pair],
                    {a.c: b"hello", a.s: b"world", a.c.name + "c1": b"hello", a.s.name + "c1": b"world"},
                    flows=[{"tunnel_id": 1}, {"tunnel_id": 2}], label="the same tuple in two networks"))
    return out


def case_112():
    """Geneve with options, with Ethernet and with IP inside (RFC 8926)."""
    options = b"\1\2\3\1\xaa\xbb\xcc\xdd" + b"\0\0\1\0"
    return [*both(lambda d: in_udp(geneve(eth(d), 42, options), 6081), "Ethernet", flows=tunnel("geneve", 42)),
            *both(lambda d: in_udp(geneve(d, 42, options, 0x86dd if d[0] >> 4 == 6 else 0x0800), 6081), "IP",
                  flows=tunnel("geneve", 42)),
            *both(lambda d: in_udp(geneve(eth(d), 42), 6081), "no options", flows=tunnel("geneve", 42))]


def case_113():
    """GTP-U with extension headers; the TEID differs by direction and is no part of the flow (TS 29.281)."""
    def by_direction(extensions):
        return lambda d: in_udp(gtpu(d, 1 if d[15 if d[0] >> 4 == 4 else 23] == 1 else 2, extensions), 2152, 2152)
    container = (0x85, b"\0\x09")              # PDU session container
    long = (0xc0, b"\1\2\3\4\5\6")             # PDCP number and more
    return [*both(by_direction(()), "plain", flows=tunnel("gtpu")),
            *both(by_direction((container,)), "one", flows=tunnel("gtpu")),
            *both(by_direction((container, long)), "two", flows=tunnel("gtpu"))]


def case_114():
    """IP in IP (RFC 2003)."""
    return both(lambda d: outer(d, IPIP), six=False, flows=tunnel("ipip"))


def case_115():
    """IPv6 in IPv4 (RFC 4213)."""
    return both(lambda d: outer(d, IPV6), four=False, flows=tunnel("ipip"))


def case_116():
    """IPv4, and IPv6, in IPv6 (RFC 2473), with and without destination options."""
    def wrap(datagram, ext=()):
        return eth(ip(datagram, "2001:db8:f::1", "2001:db8:f::2", IPIP if datagram[0] >> 4 == 4 else IPV6, ext=ext))
    return [*both(wrap, flows=tunnel("ipip")),
            *both(lambda d: wrap(d, [(60, b"\4\1\4\1\1\0")]), "tunnel encapsulation limit", flows=tunnel("ipip"))]


def case_117():
    """Teredo, with authentication and origin indication (RFC 4380 section 5.1.1)."""
    authentication = b"\0\1\0\0" + bytes(8) + b"\0"
    origin = b"\0\0" + struct.pack(">H4s", 0xffff ^ 40000, bytes(4))
    return [x for prefix, label in ((b"", "bare"), (authentication, "authentication"), (origin, "origin"),
                                    (authentication + origin, "both"))
            for x in both(lambda d, p=prefix: in_udp(p + d, 3544), label, four=False, flows=tunnel("teredo"))]


def case_118():
    """L2TP data (RFC 2661)."""
    return both(lambda d: in_udp(l2tp(d), 1701, 1701), flows=tunnel("l2tp"))


def case_119():
    """A fragmented outer packet: the inner segment is whole again."""
    out = []
    for backwards in (False, True):
        for version in (4, 6):
            t = Talk(wrap=lambda d: vxlan(eth(d), 42))
            p = []
            for number, packet in enumerate(t.plain()):
                ends = SIX if version == 6 else ("192.0.2.1", "192.0.2.2")
                datagram = ip(udp(*ends, 50000, 4789, packet.data), *ends, UDP)
                f = [Packet(eth(x), f"{packet.note}, fragment {i + 1}")
                     for i, x in enumerate(fragments(datagram, 16, 64, ident=1000 + number))]
                p += f[::-1] if backwards else f
            out.append(Case(p, {t.c: b"hello", t.s: b"world"}, counters={"frag_datagrams": 8},
                            flows=[{"tunnel": "vxlan", "tunnel_id": 42, "orig_pkts": 15, "resp_pkts": 9}],
                            label=f"IPv{version}{', reversed' if backwards else ''}"))
    t = Talk(wrap=lambda d: d)
    p = []
    for number, packet in enumerate(t.plain()):
        for i, inner in enumerate(fragments(packet.data, 8, ident=2000 + number)):
            whole = ip(gre(inner), "192.0.2.1", "192.0.2.2", GRE)
            p += [Packet(eth(x), f"{packet.note}, fragment {i + 1}.{k + 1}")
                  for k, x in enumerate(fragments(whole, 16, ident=3000 + 2 * number + i))]
    out.append(Case(p, {t.c: b"hello", t.s: b"world"}, counters={"frag_datagrams": 24},
                    flows=[{"tunnel": "gre", "orig_pkts": 20, "resp_pkts": 12}], label="fragments in fragments"))
    return out


def bare(datagram):
    return datagram


def case_120():
    """Raw IP."""
    return [*both(bare, link=RAW, pad=False), *both(bare, "link type 12", link=12), *both(bare, "14", link=14),
            *both(bare, "228", six=False, link=228), *both(bare, "229", four=False, link=229)]


def case_121():
    """BSD loopback, NULL: the family in the byte order of the capturing host."""
    return [*both(null, six=False, link=NULL),
            *both(lambda d: null(d, 2, ">"), "other byte order", six=False, link=NULL)]


def case_122():
    """BSD loopback, LOOP: the family in network byte order."""
    return [*both(loop, six=False, link=LOOP), *both(lambda d: loop(d, 24), four=False, link=LOOP)]


def case_123():
    """NULL with the families of IPv6: 24 NetBSD and OpenBSD, 28 FreeBSD, 30 Darwin."""
    return [x for family in (24, 28, 30) for order in "<>"
            for x in both(lambda d, f=family, o=order: null(d, f, o), f"family {family} {order}", four=False,
                          link=NULL)]


def case_124():
    """Linux cooked capture, also with a VLAN tag."""
    t = Talk(wrap=lambda d: sll(vlan(5, d)))
    return [*both(sll, link=SLL),
            Case(t.plain(), {t.c.name + "--5": b"hello", t.s.name + "--5": b"world"}, flows=[{"vlan": 5}], link=SLL,
                 label="VLAN")]


def case_125():
    """Linux cooked capture, version 2, also with a VLAN tag."""
    t = Talk(wrap=lambda d: sll2(vlan(5, d)))
    return [*both(sll2, link=SLL2),
            Case(t.plain(), {t.c.name + "--5": b"hello", t.s.name + "--5": b"world"}, flows=[{"vlan": 5}], link=SLL2,
                 label="VLAN")]


def case_126():
    """PPP, with and without address and control (RFC 1661, RFC 1662)."""
    return [*both(ppp, link=PPP), *both(lambda d: ppp(d, framed=True), "framed", link=PPP)]


def case_127():
    """IEEE 802.11 data and QoS data, and radiotap with a frame check sequence."""
    return [*both(wlan, "QoS", link=WLAN), *both(lambda d: wlan(d, qos=False), "no QoS", link=WLAN),
            *both(lambda d: radiotap(wlan(d)), "radiotap", link=RADIOTAP),
            *both(lambda d: radiotap(wlan(d), fcs=True), "radiotap with FCS", link=RADIOTAP,
                  counters={"payload_seen": 10})]


def case_128():
    """A big-endian file, us and ns."""
    return [*both(eth, "us", order=">", ns=False), *both(eth, "ns", order=">")]


def case_129():
    """A file with nanoseconds: stamps are exact; and one with microseconds."""
    def stamped(ns):
        t = Talk()
        p = [x.stamped(T0 + i * 1_000_000_123 + 999_999_001) for i, x in enumerate(t.plain())]
        first = p[0].at if ns else p[0].at // 1000 * 1000
        return Case(p, {t.c: b"hello", t.s: b"world"}, flows=[{"ts_ns": str(first)}], ns=ns, label="ns" if ns else "us")
    return [stamped(True), stamped(False)]


def case_130():
    """Timestamps that go backwards: the order of the file counts, no flow ends, no duration is negative."""
    out = []
    for step, label in ((1_000_000, "by 1 ms"), (200 * 10**9, "by 200 s"), (86_400 * 10**9, "by a day")):
        t = Talk()
        p = [x.stamped(T0 - i * step) for i, x in enumerate(t.plain())]
        out.append(Case(p, {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF"}], label=label))
    t = Talk()
    p = [x.stamped(T0 - (i % 2) * 10**9) for i, x in enumerate(t.plain())]
    out.append(Case(p, {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF"}], label="to and fro"))
    return out


def case_131():
    """Equal timestamps: the order of the file counts."""
    t = Talk()
    start = t.open()
    p = [t.c(i, bytes([65 + i]), "PA") for i in range(26)]
    return Case([x.stamped(T0) for x in [*start, *p, t.s(0, "world"), *t.close()]],
                {t.c: b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", t.s: b"world"}, flows=[{"duration": 0}])


def case_132():
    """A pcapng file with two interfaces of different link types: one connection, seen in halves."""
    out = []
    for order in "<>":
        t = Talk(wrap=lambda d: d)
        p = []
        for packet in t.plain():
            link = ETHERNET if packet.note.startswith("C") else RAW
            p.append(Packet(eth(packet.data) if link == ETHERNET else packet.data, packet.note, link=link))
        out.append(Case(p, {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF"}], links=(ETHERNET, RAW),
                        order=order, label=order))
    return out
