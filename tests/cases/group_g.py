# SPDX-License-Identifier: BSD-3-Clause
"""Cases 87-98: IP fragments."""
import struct

from build import T0, Packet, Talk, eth, fragment4, fragment6, fragments, ip
from case import Case

SECOND = 10**9
SIX = ("2001:db8::1", "2001:db8::2")
HELLO = b"hello, this is one datagram"  # 27 bytes: with its header 47, so cuts at 24 and 40


def bare(datagram):
    return datagram


def framed(packets):
    return [Packet(eth(p.data), p.note, p.at) for p in packets]


def pieces(packet, *cuts, **more):
    """A datagram's fragments in frames."""
    return [Packet(eth(f), f"{packet.note}, fragment {i + 1}")
            for i, f in enumerate(fragments(packet.data, *cuts, **more))]


def talk(version):
    return Talk(*(SIX if version == 6 else ()), wrap=bare)


def around(t, middle, **more):
    """A connection whose client sends HELLO in the given frames."""
    start = t.open()
    end = [t.s(0, "world"), *t.close()]
    return Case([*framed(start), *middle, *framed(end)], {t.c: HELLO, t.s: b"world"}, **more)


def orders(order, label, **more):
    """HELLO in three fragments, in this order."""
    out = []
    for version in (4, 6):
        t = talk(version)
        f = pieces(t.c(0, HELLO, ack=0), 24, 40)
        out.append(around(t, [f[i] for i in order], label=f"IPv{version} {label}", **more))
    return out


def case_87():
    """Fragments in order (RFC 791 section 3.2, RFC 8200 section 4.5); an extract by port brings all of them."""
    return orders((0, 1, 2), "", extract=(["--port", "80"], range(10)))


def case_88():
    """Fragments reversed: the last one first, the ports at the end."""
    out = []
    for version in (4, 6):
        t = talk(version)
        f = pieces(t.c(0, HELLO, ack=0), 24, 40)
        out.append(around(t, f[::-1], label=f"IPv{version}"))
    return out + orders((1, 0, 2), "middle first") + orders((2, 0, 1), "last first")


def case_89():
    """Fragments twice: one datagram."""
    return [*orders((0, 0, 1, 1, 2, 2), "each twice"), *orders((0, 1, 2, 0, 1, 2), "all again"),
            *orders((2, 1, 2, 0), "last twice")]


def case_90():
    """The same identification in opposite directions, interleaved: two datagrams."""
    out = []
    for version in (4, 6):
        t = talk(version)
        start = t.open()
        f = pieces(t.c(0, b"hello from the client", ack=0), 24)
        g = pieces(t.s(0, b"world from the server"), 24)
        out.append(Case([*framed(start), f[0], g[0], g[1], f[1], *framed(t.close())],
                        {t.c: b"hello from the client", t.s: b"world from the server"}, label=f"IPv{version}"))
    return out


# Novak, "Target-Based Fragmentation Reassembly" (2005): letter, offset, length in units of 8 bytes.
NOVAK = (("A", 0, 3), ("B", 4, 2), ("C", 6, 3), ("D", 10, 1), ("E", 13, 2), ("F", 15, 3), ("G", 18, 2), ("H", 20, 2),
         ("I", 22, 1), ("J", 1, 4), ("K", 6, 3), ("L", 9, 3), ("M", 12, 3), ("N", 16, 1), ("O", 19, 1), ("P", 20, 1),
         ("Q", 22, 2))
NOVAK_RESULT = {
    "first": "AAAJBBCCCLDLMEEFFFGGHHIQ",
    "bsd": "AAAJJBCCCLLLMMMFFFGGHHIQ",
    "linux": "AAAJJBKKKLLLMMMFFFGGPHQQ",
    "windows": "AAAJBBCCCLLLMEEFFFGGHHIQ",
    "solaris": "AAAJBBCCCLLLMMMFFFGGHHIQ",
    "last": "AJJJJBKKKLLLMMMFNFGOPHQQ",
}


def case_91():
    """Overlapping fragments with other bytes: by policy, the sequence of Novak behind a TCP header of three units."""
    out = []
    for version in (4, 6):
        for policy, letters in NOVAK_RESULT.items():
            want = b"".join(x.encode() * 8 for x in letters)
            for first in (True, False):
                t = talk(version)
                start = t.open()
                whole = t.c(0, want, ack=0, options=b"\1\1\1\1")  # its checksum is that of the result
                cut = fragment6 if version == 6 else fragment4
                size = 40 if version == 6 else 20
                header = Packet(eth(cut(whole.data, 0, 24)), "header")
                f = []
                for letter, offset, units in NOVAK:
                    datagram = whole.data[:size + 24] + bytes((offset + units) * 8)
                    datagram = datagram[:size + 24 + offset * 8] + letter.encode() * (units * 8)
                    f.append(Packet(eth(cut(datagram, 24 + offset * 8, 24 + (offset + units) * 8, letter != "Q")),
                                    f"{letter} at {offset}, {units} units"))
                body = [header, *f] if first else [*f, header]
                out.append(Case([*framed(start), *body, *framed([t.s(0, "world"), *t.close()])],
                                {t.c: want, t.s: b"world"}, args=("--overlap", policy),
                                counters={"tcp_bad_checksum": 0, "frag_datagrams": 1},
                                label=f"IPv{version}, {policy}, header {'first' if first else 'last'}"))
    return out


def case_92():
    """One fragment missing: a hole, no half segment. Why is known from the header on, as far as the fragments reach."""
    out = []
    missing = ([(4, 27, "never_seen")], [(4, 27, "fragment")], [(4, 20, "fragment"), (24, 7, "never_seen")])
    for version in (4, 6):
        for lost in range(3):
            t = talk(version)
            start = [*t.open(), t.c(0, "head")]
            f = pieces(t.c(4, HELLO, ack=0), 24, 40)
            del f[lost]
            end = [t.c(4 + len(HELLO), "tail"), t.s(0, "world"), *t.close()]
            known = 2 if lost else 0
            out.append(Case([*framed(start), *f, *framed(end)],
                            {t.c: b"head" + bytes(len(HELLO)) + b"tail", t.s: b"world"},
                            {t.c: missing[lost]},
                            counters={"frag_datagrams": 0, "undec_fragment": 2 - known, "frag_held": 0},
                            flows=[{"orig_pkts": 6 + known}], label=f"IPv{version}, number {lost + 1}"))
    return out


def case_93():
    """Teardrop: a fragment that ends inside the one before it. No datagram, no harm."""
    t = talk(4)
    start = t.open()
    whole = t.c(0, HELLO, ack=0)
    a = Packet(eth(fragment4(whole.data, 0, 40, True, 7)), "offset 0, 40 bytes")
    b = Packet(eth(fragment4(whole.data, 24, 28, False, 7)), "offset 24, 4 bytes, the last")
    t.c.sent = 0
    end = framed([t.c(0, "hello", ack=0), t.s(0, "world", ack=5)])
    return [Case([*framed(start), *order, *end], {t.c: b"hello", t.s: b"world"},
                 counters={"frag_datagrams": 0, "frag_invalid": 1}, label=label)
            for order, label in (((a, b), ""), ((b, a), "the short one first"))]


def case_94():
    """Fragments of 8 bytes that split the TCP header."""
    out = []
    for version in (4, 6):
        for backwards in (False, True):
            t = talk(version)
            f = pieces(t.c(0, HELLO, ack=0), 8, 16, 24, 32, 40)
            out.append(around(t, f[::-1] if backwards else f, extract=(["--port", "80"], range(13)) if not backwards
                              else None, label=f"IPv{version}{', reversed' if backwards else ''}"))
    return out


def case_95():
    """IPv6 fragments, and atomic ones, which are whole datagrams whatever their identification (RFC 6946)."""
    def with_fragment_header(payload, src, dst, proto=6):
        return ip(payload, src, dst, proto, ext=[(44, struct.pack(">HI", 0, 7))])
    t = Talk(*SIX, ip=with_fragment_header)
    atomic = Case(t.plain(), {t.c: b"hello", t.s: b"world"}, counters={"frag_packets": 0}, label="atomic, all one id")
    t = talk(6)
    f = pieces(t.c(0, HELLO, ack=0), 24, ident=7)
    alone = Talk(*SIX, ip=with_fragment_header, wrap=bare).c(0, HELLO, ack=0)
    mixed = around(t, [f[0], *framed([alone]), f[1]], counters={"frag_datagrams": 1},
                   label="atomic between the fragments of the same id")
    long = bytes(i % 251 for i in range(9000))
    t = talk(6)
    start = t.open()
    f = pieces(t.c(0, long, ack=0), *range(1448, 9000, 1448))
    jumbo = Case([*framed(start), *f[::2], *f[1::2], *framed([t.s(0, "world"), *t.close()])],
                 {t.c: long, t.s: b"world"}, label="9,000 bytes in 7")
    return [atomic, mixed, jumbo]


def case_96():
    """A total above 65,535: dropped, counted (RFC 791 section 3.1: the length has 16 bits)."""
    t = talk(4)
    start = t.open()
    whole = t.c(0, HELLO, ack=0)
    f = pieces(whole, 24, 40)
    death = ip(b"X" * 40, "10.0.0.1", "10.0.0.2", 6, offset=65_528, ident=0x1234)
    ping = Packet(eth(death), "offset 65,528, 40 bytes, the last")
    return Case([*framed(start), f[0], ping, f[1], f[2], *framed([t.s(0, "world"), *t.close()])],
                {t.c: HELLO, t.s: b"world"}, counters={"frag_oversize": 1, "frag_datagrams": 1})


def case_97():
    """Fragments are given up after 60 s (RFC 8200 section 4.5)."""
    out = []
    for wait, whole in ((59, True), (61, False)):
        t = talk(4)
        start = t.open()
        f = pieces(t.c(0, HELLO, ack=0), 24)
        end = [t.c(len(HELLO), "tail"), t.s(0, "world"), *t.close()]
        f[0] = f[0].stamped(T0 + SECOND)
        f[1] = f[1].stamped(T0 + (1 + wait) * SECOND)
        body = HELLO if whole else bytes(len(HELLO))
        out.append(Case([*framed(start), *f, *framed(end)], {t.c: body + b"tail", t.s: b"world"},
                        {} if whole else {t.c: [(0, 4, "fragment"), (4, 23, "never_seen")]},
                        counters={"frag_datagrams": int(whole)}, label=f"{wait} s"))
    t = talk(4)
    start = t.open()
    f = pieces(t.c(0, HELLO, ack=0), 24)
    f[0] = f[0].stamped(T0 + SECOND)
    f[1] = f[1].stamped(T0 + 12 * SECOND)
    end = [t.c(len(HELLO), "tail"), t.s(0, "world"), *t.close()]
    out.append(Case([*framed(start), *f, *framed(end)], {t.c: bytes(len(HELLO)) + b"tail", t.s: b"world"},
                    {t.c: [(0, 4, "fragment"), (4, 23, "never_seen")]}, args=("--frag-timeout", "10s"),
                    label="10 s by option"))
    return out


def case_98():
    """Inconsistent sizes: what contradicts is dropped and counted, the datagram stays."""
    t = talk(4)
    start = t.open()
    whole = t.c(0, HELLO, ack=0)
    f = pieces(whole, 24, 40)
    odd = Packet(eth(fragment4(whole.data, 24, 35, True)), "11 bytes, but not the last")
    rest = framed([t.s(0, "world"), *t.close()])
    sizes = Case([*framed(start), f[0], odd, f[1], f[2], *rest], {t.c: HELLO, t.s: b"world"},
                 counters={"frag_invalid": 1, "frag_datagrams": 1}, label="no multiple of 8")
    end = Packet(eth(fragment4(whole.data + b"EVILEVILEVIL", 48, 56, False)), "a second, later end")
    second = Case([*framed(start), f[0], f[2], end, f[1], *rest], {t.c: HELLO, t.s: b"world"},
                  counters={"frag_invalid": 1, "frag_datagrams": 1}, label="two ends")
    beyond = Packet(eth(fragment4(whole.data + b"EVILEVILEVIL", 48, 56, True)), "beyond the end")
    third = Case([*framed(start), f[2], beyond, f[0], f[1], *rest], {t.c: HELLO, t.s: b"world"},
                 counters={"frag_invalid": 1, "frag_datagrams": 1}, label="beyond the end")
    empty = Packet(eth(fragment4(whole.data, 24, 24, True)), "no bytes")
    fourth = Case([*framed(start), f[0], empty, f[1], f[2], *rest], {t.c: HELLO, t.s: b"world"},
                  counters={"frag_datagrams": 1}, label="an empty one")
    return [sizes, second, third, fourth]
