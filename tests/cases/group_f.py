# SPDX-License-Identifier: BSD-3-Clause
"""Cases 71-86: headers, lengths, checksums, snap lengths."""
import struct

from build import ICMP, Packet, Talk, checksum, eth, ip, ip4, ip6, tcp, timestamps, udp, wscale
from case import Case, plain


def hello(t, *middle, **more):
    """A connection whose client says 'hello' in the given packets."""
    return Case([*t.open(), *middle, t.s(0, "world"), t.c.fin(5, forged=True), t.s.fin(5), t.c(6)],
                {t.c: b"hello", t.s: b"world"}, **more)


def case_71():
    """40 bytes of TCP options: the most that fit; the payload begins behind them (RFC 9293 section 3.1)."""
    t = Talk()
    padding = hello(t, t.c(0, "hello", options=b"\1" * 40), label="no operation")
    t = Talk()
    mixed = hello(t, t.c(0, "hello", options=timestamps(1, 2) + b"\1\1\5\x1a" + bytes(24)), label="SACK, timestamps")
    return [padding, mixed]


def case_72():
    """Data offset below 5: no segment, counted (RFC 9293 section 3.1)."""
    out = []
    for words in (0, 4):
        t = Talk()
        out.append(hello(t, t.c(0, "he"), t.c(2, "EVIL", words=words, forged=True), t.c(2, "llo"),
                         counters={"undec_bad_tcp": 1}, label=f"offset {words}"))
    return out


def case_73():
    """Data offset past the end: no segment, counted."""
    t = Talk()
    bad = hello(t, t.c(0, "he"), t.c(2, "EVIL", words=7, forged=True), t.c(2, "llo"), counters={"undec_bad_tcp": 1},
                label="by 4 bytes")
    t = Talk()
    exact = hello(t, t.c(0, "he"), t.c(2, "EVIL", words=6, forged=True), t.c(2, "llo"), counters={"undec_bad_tcp": 0},
                  label="the header fills the segment: no payload")
    return [bad, exact]


def case_74():
    """A bad checksum: stored and counted by default, refused with --verify-checksums."""
    t = Talk()
    stored = hello(t, t.c(0, "he", bad_sum=True), t.c(2, "llo"), counters={"tcp_bad_checksum": 1}, label="stored")
    t = Talk()
    refused = Case([*t.open(), t.c(0, "he", bad_sum=True), t.c(2, "llo"), t.s(0, "world"), *t.close()],
                   {t.c: b"\0\0llo", t.s: b"world"}, {t.c: [(0, 2, "never_seen")]}, args=("--verify-checksums",),
                   counters={"tcp_bad_checksum": 1, "refused_checksum": 2}, label="refused")
    t = Talk()
    again = hello(t, t.c(0, "EV", bad_sum=True, forged=True), t.c(0, "he"), t.c(2, "llo"),
                  args=("--verify-checksums",), label="refused, then sent again")
    return [stored, refused, again]


def case_75():
    """Ethernet padding never becomes data."""
    t = Talk(wrap=lambda datagram: eth(datagram).ljust(60, b"P"))
    four = plain(t, label="IPv4", counters={"payload_seen": 10})
    t = Talk("2001:db8::1", "2001:db8::2", wrap=lambda datagram: eth(datagram) + b"PADDING")
    six = plain(t, label="IPv6", counters={"payload_seen": 10})
    return [four, six]


def case_76():
    """Nor does a trailing frame check sequence."""
    t = Talk(wrap=lambda datagram: eth(datagram).ljust(60, b"\0") + b"FCS!")
    four = plain(t, label="IPv4", counters={"payload_seen": 10})
    t = Talk("2001:db8::1", "2001:db8::2", wrap=lambda datagram: eth(datagram) + b"FCS!")
    six = plain(t, label="IPv6", counters={"payload_seen": 10})
    return [four, six]


def unsized4(payload, src, dst, proto=6):
    return ip4(payload, src, dst, proto, total=0)


def unsized6(payload, src, dst, proto=6):
    return ip6(payload, src, dst, proto, length=0)


def jumbogram(payload, src, dst, proto=6):
    """RFC 2675 section 2: the length, that of the extension header included, in an option."""
    return ip6(payload, src, dst, proto, ext=[(0, struct.pack(">BBI", 0xc2, 4, len(payload) + 8))], length=0)


def big(t, size, **more):
    """A segment of this many bytes from the client, and its answer."""
    data = bytes(i % 251 for i in range(size))
    return Case([*t.open(), t.c(0, data), t.s(0, "world"), *t.close()], {t.c: data, t.s: b"world"}, **more)


def case_77():
    """IPv4 total length 0 in a capture with segmentation offload: the captured length counts."""
    return [plain(Talk(ip=unsized4), pad=False), big(Talk(ip=unsized4), 40_000, pad=False, label="40,000 bytes")]


def case_78():
    """A segment of 70,000 bytes: more than the length field can say."""
    return big(Talk(ip=unsized4), 70_000, pad=False)


def case_79():
    """A datagram of 65,535 bytes: the most that the length field can say."""
    return big(Talk(), 65_535 - 40)


def case_80():
    """IPv6 payload length 0 (BIG TCP), and jumbograms (RFC 2675)."""
    six = ("2001:db8::1", "2001:db8::2")
    return [big(Talk(*six, ip=unsized6), 5, pad=False, label="length 0"),
            big(Talk(*six, ip=unsized6), 150_000, pad=False, label="length 0, 150,000 bytes"),
            big(Talk(*six, ip=jumbogram), 5, label="jumbogram of 5 bytes"),
            big(Talk(*six, ip=jumbogram), 100_000, label="jumbogram of 100,000 bytes")]


def case_81():
    """IPv4 options: the segment begins behind them (RFC 791 section 3.1)."""
    out = []
    for options, label in ((b"\x94\4\0\0", "router alert"), (b"\1" * 40, "40 bytes"),
                           (b"\x83\7\x08\xc0\0\2\1\0", "source route, travelled")):
        def optioned(payload, src, dst, proto=6, o=options):
            return ip4(payload, src, dst, proto, options=o)
        out.append(plain(Talk(ip=optioned), label=label))
    return out


def case_82():
    """IPv6 hop-by-hop, routing and destination options; with segments left the key has the final address
    (RFC 8200 sections 4 and 8.1)."""
    six = ("2001:db8::1", "2001:db8::2")

    def extended(*ext):
        return lambda payload, src, dst, proto=6: ip6(payload, src, dst, proto, ext=ext)

    def routed(payload, src, dst, proto=6):
        """Source route by way of 2001:db8::99 (RFC 2460 section 4.4): the final address is in the header."""
        final = struct.pack(">8H", *[int(x or "0", 16) for x in ("2001", "db8", "", "", "", "", "", dst[-1])])
        return ip6(payload, src, "2001:db8::99", proto, ext=[(43, b"\0\1" + bytes(4) + final)])

    def segment_routed(payload, src, dst, proto=6):
        """RFC 8754 section 2: the segment list is in reverse."""
        final = struct.pack(">8H", *[int(x or "0", 16) for x in ("2001", "db8", "", "", "", "", "", dst[-1])])
        way = struct.pack(">8H", 0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99)
        return ip6(payload, src, "2001:db8::99", proto, ext=[(43, b"\4\1\1\0\0\0" + final + way)])

    pad6 = b"\1\4\0\0\0\0"
    arrived = b"\0\0" + bytes(4) + struct.pack(">8H", 0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99)
    return [plain(Talk(*six, ip=extended((0, pad6))), label="hop-by-hop"),
            plain(Talk(*six, ip=extended((60, pad6))), label="destination options"),
            plain(Talk(*six, ip=extended((43, arrived))), label="routing, no segment left"),
            plain(Talk(*six, ip=routed), label="routing, a segment left"),
            plain(Talk(*six, ip=segment_routed), label="segment routing, a segment left"),
            plain(Talk(*six, ip=extended((0, pad6), (60, pad6), (43, arrived), (60, pad6))), label="a chain of four")]


def case_83():
    """TCP quoted inside ICMP is ignored (RFC 792): no flow and no bytes come of it."""
    t = Talk()
    start = [*t.open(), t.c(0, "he")]
    quoted = ip(tcp("10.0.0.1", "10.0.0.2", 40000, 80, 1003, 5001, data=b"EVIL"), "10.0.0.1", "10.0.0.2")
    strange = ip(tcp("10.9.9.9", "10.0.0.2", 1, 2, 1003, 5001, data=b"EVIL"), "10.9.9.9", "10.0.0.2")
    out = []
    for q in (quoted, strange):
        message = b"\3\1\0\0\0\0\0\0" + q
        message = message[:2] + struct.pack(">H", checksum(message)) + message[4:]
        out.append(Packet(eth(ip(message, "10.0.0.254", "10.0.0.1", ICMP)), "ICMP host unreachable"))
    return Case([*start, *out, t.c(2, "llo"), t.s(0, "world"), *t.close()], {t.c: b"hello", t.s: b"world"})


def case_84():
    """LAND: source and destination are the same; one flow, and nothing hangs."""
    t = Talk("10.0.0.1", "10.0.0.1", 80, 80)
    return Case([t.c.syn(), t.c.syn(), t.c(0, "hello"), t.c.fin(5)], {t.c: b"hello"},
                flows=[{"id.orig_h": "10.0.0.1", "id.resp_h": "10.0.0.1", "id.orig_p": 80, "id.resp_p": 80}])


def case_85():
    """Port 0 is a port."""
    return [plain(Talk(sport=0), label="client"), plain(Talk(dport=0), label="server"),
            plain(Talk(sport=0, dport=0), label="both")]


def case_86():
    """Snap length: the missing tail is a hole; of a segment whose header is cut only the ports are known."""
    def cut(snaplen, side_bytes, gaps, label, **more):
        t = Talk()
        p = [x.cut(snaplen) if len(x.data) > snaplen else x for x in t.plain()]
        return Case(p, {t.c: side_bytes[0], t.s: side_bytes[1]}, {t.c: gaps, t.s: gaps}, label=label, **more)
    t = Talk()
    p = [x.cut(54) if len(x.data) > 54 else x for x in t.plain()]
    headers = Case(p, {}, {}, label="headers only: no stream has a byte",
                   flows=[{"orig_bytes": 5, "resp_bytes": 5, "orig_gap_bytes": 5, "conn_state": "SF"}])
    t = Talk()
    p = [*t.open(), t.c(0, "he"), t.c(2, "llo!").cut(55), t.c(6, "more"), t.s(0, "world"), *t.close()]
    inside = Case(p, {t.c: b"hel\0\0\0more", t.s: b"world"}, {t.c: [(3, 3, "snaplen")]}, label="one segment cut")
    t = Talk()
    p = [*t.open(), t.c(0, "he"), t.c(2, "llo!").cut(55), t.c(2, "llo!"), t.s(0, "world"), *t.close()]
    again = Case(p, {t.c: b"hel\0\0\0", t.s: b"world"}, {t.c: [(3, 3, "snaplen")]},
                 label="sent again whole, after the hole was declared")
    t = Talk()
    start = [*t.open(), t.c(0, "he")]
    a, b = t.c(2, "ll"), t.c(4, "o!").cut(55)
    c = t.c(4, "o!")
    filled = Case([*start, b, c, a, t.s(0, "world"), *t.close()], {t.c: b"hello!", t.s: b"world"},
                  label="sent again whole, before the hole was declared")
    wide = Talk()
    p = [x.cut(60) if len(x.data) > 60 else x for x in
         [wide.c.syn(options=wscale(3)), wide.s.synack(options=wscale(3)), wide.c(0), wide.c(0, "x" * 5000)]]
    tail = Case(p, {wide.c: b"x" * 6 + bytes(4994)}, {wide.c: [(6, 4994, "snaplen")]}, label="the tail")
    return [cut(57, (b"hel\0\0", b"wor\0\0"), [(3, 2, "snaplen")], "57 bytes"), headers, inside, again, filled, tail]


def case_86_header():
    """A TCP header that the snap length cut: its ports tell the flow, in which the frame counts; it is no segment and
    says nothing of the connection."""
    def counts(packets, **more):
        return [{"orig_pkts": packets[0], "resp_pkts": packets[1], **more}]
    out = []
    for snaplen in (38, 40, 53):
        t = Talk()
        p = [x.cut(snaplen) for x in t.plain()]
        out.append(Case(p, {}, flows=counts((5, 3), orig_payload_bytes=0, resp_payload_bytes=0),
                        counters={"undec_trunc_l4": 0, "flow_packets": 8, "tcp_segments": 0, "payload_seen": 0},
                        extract=(["--port", "80"], range(8)), label=f"all of them, {snaplen} bytes"))
    t = Talk()
    p = [x.cut(37) for x in t.plain()]
    out.append(Case(p, {}, flows=0, counters={"undec_trunc_l4": 8, "flow_packets": 0}, label="no ports, 37 bytes"))
    t = Talk()
    start = [*t.open(), t.c(0, "he")]
    lies = [t.c.rst(2).cut(50), t.c.fin(2, forged=True).cut(50), t.s.rst(0).cut(46), t.c.syn(isn=77).cut(40),
            t.s.synack(isn=99).cut(40)]
    t.c.isn, t.s.isn = 1000, 5000
    out.append(Case([*start, *lies, t.c(2, "llo"), t.s(0, "world"), *t.close()], {t.c: b"hello", t.s: b"world"},
                    flows=counts((9, 5), conn_state="SF", history="ShADdFf"), label="RST, FIN, SYN among whole ones"))
    t = Talk()
    start = [*t.open(), t.c(0, "he")]
    lost, rest = t.c(2, "ll").cut(45), t.c(4, "o", "PA")
    out.append(Case([*start, lost, rest, t.s(0, "world"), *t.close()], {t.c: b"he\0\0o", t.s: b"world"},
                    {t.c: [(2, 2, "never_seen")]}, label="its payload is a hole"))
    t = Talk()
    p = t.plain()
    out.append(Case([*p, t.c(0, "late").cut(42), t.c.syn().cut(42)], {t.c: b"hello", t.s: b"world"},
                    flows=counts((7, 3), conn_state="SF"), label="after the close"))
    t = Talk()
    p = t.plain()
    first = Case([p[0].cut(40), *p], {t.c: b"hello", t.s: b"world"}, flows=counts((6, 3), conn_state="SF"),
                 label="before the SYN")
    t = Talk()
    runt = Packet(eth(ip4(b"\x9c\x40\0\x50" + bytes(8), "10.0.0.1", "10.0.0.2")), "12 bytes of TCP")
    short = Case([*t.plain(), runt], {t.c: b"hello", t.s: b"world"}, counters={"undec_trunc_l4": 1},
                 label="not cut, but too short for a header")
    datagrams = [Packet(eth(ip(udp(*ends, *ports, b"datagram"), *ends, 17)), "UDP").cut(14 + 20 + 6)
                 for ends, ports in ((("10.0.0.1", "10.0.0.2"), (1000, 53)), (("10.0.0.2", "10.0.0.1"), (53, 1000)))]
    other = Case(datagrams, {}, flows=0, counters={"undec_trunc_l4": 0, "flow_packets": 2, "flows_created": 1},
                 extract=(["--port", "53"], range(2)), stream_args=("--udp",), label="the same of UDP")
    return [*out, first, short, other]
