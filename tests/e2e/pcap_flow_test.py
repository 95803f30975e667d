#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""pcap_flow's command line, against a small reader of captures of this test's own and against native commands."""
import os
import pwd
import re
import socket
import struct

import e2e
from e2e import DONE, ENVIRONMENT, LOST, USAGE, WIRESPOOL, data, run

PLAIN = ("gen-impaired", "gen-reuse", "sample")
MAC_A, MAC_B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
T0 = 1_700_000_000


def packets(path):
    """(ns, wire length, captured bytes) of a classic pcap, and its link type."""
    with open(path, "rb") as f:
        raw = f.read()
    order = "<" if raw[0] != 0xa1 else ">"
    magic, link = struct.unpack(order + "I", raw[:4])[0], struct.unpack(order + "I", raw[20:24])[0]
    scale = {0xa1b2c3d4: 1000, 0xa1b23c4d: 1}[magic]
    at, out = 24, []
    while at < len(raw):
        s, sub, cap, wire = struct.unpack(order + "IIII", raw[at:at + 16])
        out.append((s * 10**9 + sub * scale, wire, raw[at + 16:at + 16 + cap]))
        at += 16 + cap
    return out, link


class Flow:
    def __init__(self, number, key):
        self.id, self.key, self.count, self.bytes, self.frames, self.begin = number, key, 0, 0, [], 0


def tuple_of(frame, link, fragments):
    """(protocol, source MAC, destination MAC, addresses, ports), TCP header or None; None: no TCP or UDP."""
    macs = (bytes(6), bytes(6))
    if link == 1:
        macs, at = (frame[6:12], frame[:6]), 12
    else:
        at = 14
    kind = struct.unpack(">H", frame[at:at + 2])[0]
    at += 2
    while kind in (0x8100, 0x88a8):
        kind = struct.unpack(">H", frame[at + 2:at + 4])[0]
        at += 4
    ports = None
    if kind == 0x0800:
        proto, src, dst = frame[at + 9], frame[at + 12:at + 16], frame[at + 16:at + 20]
        frag = struct.unpack(">H", frame[at + 6:at + 8])[0]
        ident = (src, dst, proto, frame[at + 4:at + 6])
        at += (frame[at] & 15) * 4
        if frag & 0x1fff:
            ports = fragments[ident]
    elif kind == 0x86dd:
        proto, src, dst = frame[at + 6], frame[at + 8:at + 24], frame[at + 24:at + 40]
        frag = 0
        ident = None
        at += 40
        if proto == 44: # a fragment header; its offset counts as IPv4's does
            proto, where = frame[at], struct.unpack(">H", frame[at + 2:at + 4])[0]
            frag, ident = where >> 3 | (where & 1) << 13, (src, dst, frame[at + 4:at + 8])
            at += 8
            if frag & 0x1fff:
                ports = fragments[ident]
    else:
        return None, None
    if proto not in (6, 17):
        return None, None
    if ports is None:
        ports = struct.unpack(">HH", frame[at:at + 4])
        if frag & 0x2000:
            fragments[ident] = ports
    tcp = frame[at:] if proto == 6 and not frag & 0x1fff else None
    return (proto, *macs, src, dst, *ports), tcp


def flows_of(path):
    found, fragments = {}, {}
    capture, link = packets(path)
    for ns, wire, frame in capture:
        key, tcp = tuple_of(frame, link, fragments)
        if key is None:
            continue
        f = found.setdefault(key, Flow(len(found) + 1, key))
        if not f.count and tcp and tcp[13] & 2:
            seq, ack = struct.unpack(">II", tcp[4:12])
            f.begin = (ack - 1) & 0xffffffff if tcp[13] & 16 else seq
        f.count += 1
        f.bytes += wire
        f.frames.append((ns, wire, frame))
    return list(found.values())


def mac(raw):
    return ":".join("%02x" % b for b in raw)


def ip(raw):
    if len(raw) == 4:
        return "%3i.%3i.%3i.%3i" % tuple(raw)
    return socket.inet_ntop(socket.AF_INET6, raw)


def clock(ns):
    s, sub = divmod(ns, 10**9)
    return "%02d:%02d:%02d.%03d.%03d.%03d" % (s // 3600 % 24, s // 60 % 60, s % 60, sub // 10**6, sub // 1000 % 1000, sub % 1000)


def row(rank, f):
    proto, smac, dmac, src, dst, sport, dport = f.key
    return "%5i FlowID: %8i | %s  %s -> %s | %s -> %s | %6i -> %6i  |  %16s Pkts  %16s Bytes" % (
        rank, f.id, "TCP" if proto == 6 else "UDP", mac(smac), mac(dmac), ip(src), ip(dst), sport, dport,
        format(f.count, ","), format(f.bytes, ","))


def table(flows, later=False, least=0):
    out = []
    for rank, f in enumerate(sorted(flows, key=lambda f: (f.count, f.id))):
        if f.count < least:
            continue
        line = row(rank, f)
        if later:
            first, last = f.frames[0][0], f.frames[-1][0]
            line += "  |  %s -> %s : %s" % (clock(first), clock(last), clock(last - first))
            if f.key[0] == 6:
                line += " |  Seq:%08x" % f.begin
        out.append(line)
    return out


def name(prefix, f, device=None):
    proto, smac, dmac, src, dst, sport, dport = f.key
    text = "%s_%s->%s_%s->%s_%6i->%6i" % (prefix, mac(smac), mac(dmac), ip(src), ip(dst), sport, dport)
    return text if device is None else text + "_%05i_%02i" % device


def read(path):
    with open(path, "rb") as f:
        return f.read()


def records(raw, size):
    """(ns, payload, stream id, flags or None) of each record of a file with headers."""
    at, out = 0, []
    while at < len(raw):
        ns, length, stream = struct.unpack_from("<QHH", raw, at)
        flags = None
        if size == 32:
            seq, ack, window, flags, total, pad = struct.unpack_from("<IIIHHI", raw, at + 12)
            assert pad == 0
            assert total == (ns + length + stream + seq + ack + window + flags) & 0xffff
        at += size
        assert at + length <= len(raw)
        out.append((ns, raw[at:at + length], stream, flags))
        at += length
    return out


def capture(path, frames):
    """frames: (ns, bytes)."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, 1))
        for ns, frame in frames:
            f.write(struct.pack("<IIII", ns // 10**9, ns % 10**9, len(frame), len(frame)) + frame)
    return path


def ethernet(src, dst, payload, vlan=None):
    tag = struct.pack(">HH", 0x8100, vlan) if vlan else b""
    return dst + src + tag + b"\x08\x00" + payload


def ipv4(src, dst, proto, payload):
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0, bytes(src), bytes(dst)) + payload


def udp(sport, dport, payload):
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def tcp(sport, dport, seq, flags, payload=b"", ack=0):
    return struct.pack(">HHIIBBHHH", sport, dport, seq & 0xffffffff, ack, 0x50, flags, 1000, 0, 0) + payload


ONE, TWO = (10, 0, 0, 1), (10, 0, 0, 2)


class PcapFlow(e2e.Case):
    def front(self, *words, **how):
        return run("pcap_flow", *words, **how)


class Table(PcapFlow):
    def test_rows_of_2015(self):
        for n in PLAIN:
            with self.subTest(n):
                lines = self.front(data(n), "-o", self.path("unused")).out.splitlines()
                self.assertEqual(lines[0], "[%30s] FileSize: %dGB" % (data(n), 0))
                self.assertEqual(lines[1:], table(flows_of(data(n))))
                self.assertFalse(os.path.exists(self.path("unused")))

    def test_later_rows(self):
        for n in PLAIN:
            with self.subTest(n):
                lines = self.front(data(n)).out.splitlines()[1:]
                want = table(flows_of(data(n)), later=True)
                self.assertEqual([re.sub(r" PktTotal:\d+ PktOOO:\d+ PktDrop:\d+$", "", x) for x in lines], want)
                totals = [int(x) for x in re.findall(r"PktTotal:(\d+)", "\n".join(lines))]
                self.assertEqual(totals, [f.count for f in sorted(flows_of(data(n)), key=lambda f: (f.count, f.id))
                                          if f.key[0] == 6])

    def test_order_columns(self):
        """A segment that comes after later bytes, and a hole."""
        def side(seq, payload):
            return ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 6, tcp(5, 6, seq, 16, payload)))
        path = capture(self.path("x.pcap"), [
            (T0 * 10**9 + i, f) for i, f in enumerate([
                ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 6, tcp(5, 6, 99, 2))),
                side(100, b"aaaa"), side(108, b"cccc"), side(104, b"bbbb"), side(120, b"dddd")])])
        line = self.front(path).out.splitlines()[1]
        self.assertTrue(line.endswith("Seq:00000063 PktTotal:5 PktOOO:1 PktDrop:1"), line)

    def test_least_packets(self):
        """The rank counts hidden flows too."""
        path = data("gen-impaired")
        lines = self.front(path, "-o", "x", "--flow-packet-min", "10").out.splitlines()[1:]
        self.assertEqual(lines, table(flows_of(path), least=10))
        self.assertGreater(int(lines[0].split()[0]), 0)
        self.assertEqual(len(self.front(path, "--disable-display").out.splitlines()), 1)

    def test_workers(self):
        for n in PLAIN + ("gen-wrapped",):
            one = self.front(data(n), "-q").out
            self.assertEqual(self.front(data(n), "--workers", "4", "-q").out, one, n)

    def test_other_protocols(self):
        """Only TCP and UDP are numbered."""
        icmp = ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 1, bytes(8)))
        arp = MAC_B + MAC_A + b"\x08\x06" + bytes(28)
        path = capture(self.path("x.pcap"), [(T0 * 10**9, icmp), (T0 * 10**9, arp),
                                             (T0 * 10**9, ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 17, udp(1, 2, b"x"))))])
        result, counts = e2e.counters("flows", "--tcp-udp-only", "--json", path)
        self.assertEqual(result.out.count("\n"), 1)
        self.assertEqual(counts["non_flow"], 2)
        self.assertEqual(self.front(path, "-o", "x").out.splitlines()[1:], table(flows_of(path)))

    def test_macs(self):
        """The same addresses and ports behind other MACs are another flow."""
        frames = [ethernet(a, b, ipv4(ONE, TWO, 17, udp(1, 2, b"x"))) for a, b in ((MAC_A, MAC_B), (MAC_B, MAC_A), (MAC_A, MAC_B))]
        path = capture(self.path("x.pcap"), [(T0 * 10**9 + i, f) for i, f in enumerate(frames)])
        self.assertEqual(self.front(path, "-o", "x").out.splitlines()[1:], table(flows_of(path)))
        self.assertEqual(len(flows_of(path)), 2)

    def test_progress(self):
        err = self.front(data("sample")).err.splitlines()
        self.assertTrue(any(re.fullmatch(r"\[\d\d:\d\d:\d\d\.\d{3}\.\d{3}\.\d{3} 100\.000%\] Flows:\d+ \d+\.\d\dM Pkts "
                                         r"\d+\.\d{3}Gbps : \d+\.\d\dGB Out:\d+\.\d\dGB", x) for x in err), err)

    def test_numbers(self):
        path = data("gen-impaired")
        some = self.path("some.pcap")
        capture(some, [(ns, frame) for ns, _, frame in packets(path)[0][:10]])
        for words in (("1e1",), ("10",)):
            self.assertEqual(self.front(path, "-o", "x", "--packet-max", *words).out.splitlines()[1:],
                             table(flows_of(some)))
        self.front(path, "--flow-max", "1e6", "--flow-hash-bits", "26", "--disable-timezone", "--verbose", "--flow-flush")
        self.front(path, "--flow-max", "1e18")
        few = self.front(path, "--flow-max", "2", "-o", "x").out.splitlines()[1:]
        self.assertEqual(few, table(flows_of(path)))

    def test_names_of_the_program(self):
        for n in ("pcap_flow", "pcap_flows", "wirespool-pcap_flow"):
            os.symlink(WIRESPOOL, self.path(n))
            out = e2e.sane(e2e.execute([self.path(n), data("sample"), "-o", "x", "-q"])).out
            self.assertEqual(out.splitlines()[1:], table(flows_of(data("sample"))))


class Extract(PcapFlow):
    def test_each_flow(self):
        path = data("gen-reuse")
        for f in flows_of(path):
            out = self.path("x.pcap")
            result = self.front(path, "--extract", str(f.id), "-o", out, "-q", "--disable-display")
            self.assertIn("writing PCAP to [%s]" % out, result.err)
            self.assertEqual(packets(out)[0], f.frames)

    def test_to_standard_output(self):
        path = data("gen-reuse")
        f = next(f for f in flows_of(path) if f.key[0] == 6)
        with open(self.path("o.pcap"), "wb") as out:
            out.write(self.front("--stdin", "--extract", str(f.id), "-o", "-", "-q", stdin=read(path)).raw)
        self.assertEqual(packets(self.path("o.pcap"))[0], f.frames)
        self.front(path, "--extract-tcp", str(f.id), "-o", self.path("s"), "-q")
        self.assertEqual(self.front(path, "--extract-tcp", str(f.id), "-o", "-", "-q").raw, read(self.path("s")))

    def test_reasons_add(self):
        path = data("gen-impaired")
        every = flows_of(path)
        chosen = every[4]
        port = next(f.key[6] for f in every if f.key[6] < 1024)
        net = every[9].key[3]
        masked = bytes(net[:3]) + b"\0" if len(net) == 4 else net
        where = "%s/255.255.255.0" % ".".join(map(str, masked)) if len(net) == 4 else ip(net)

        def wanted(f):
            inside = any(a[:3] == net[:3] if len(net) == 4 else a == net for a in f.key[3:5] if len(a) == len(net))
            return f is chosen or port in f.key[5:] or inside
        out = self.path("x.pcap")
        for n in ("1", "3"):
            self.front(path, "--extract", str(chosen.id), "--extract-port", str(port), str(port), "--extract-ip", where,
                       "-o", out, "-q", "--workers", n)
            want = sorted((x for f in every if wanted(f) for x in f.frames), key=lambda x: (x[0], x[2]))
            self.assertEqual(sorted(packets(out)[0], key=lambda x: (x[0], x[2])), want)
        self.front(path, "--extract-port", "0", "65535", "--disable-tcp-port", "0", "65535", "-o", out, "-q")
        self.assertEqual(len(packets(out)[0]), sum(f.count for f in every if f.key[0] == 17))

    def test_ip_masks(self):
        path, out = data("gen-impaired"), self.path("x.pcap")
        address = next(f.key[3] for f in flows_of(path) if len(f.key[3]) == 4)
        dotted = ".".join(map(str, address))
        sizes = set()
        for mask in ("", "/32", "/255.255.255.255"):
            self.front(path, "--extract-ip", dotted + mask, "-o", out, "-q")
            sizes.add(os.path.getsize(out))
        self.assertEqual(len(sizes), 1)
        self.assertGreater(sizes.pop(), 24)
        six = [f for f in flows_of(data("sample")) if len(f.key[3]) == 16]
        self.front(data("sample"), "--extract-ip", ip(six[0].key[3]) + "/128", "-o", out, "-q")
        self.assertEqual(len(packets(out)[0]), sum(f.count for f in six if six[0].key[3] in f.key[3:5]))

    def test_unknown(self):
        for option in ("--extract", "--extract-tcp"):
            result = self.front(data("sample"), option, "999", "-o", self.path("no.pcap"), code=LOST)
            self.one_line(result, option, "999", "no such FlowID")
        self.assertFalse(os.path.exists(self.path("no.pcap")))
        number = next(f.id for f in flows_of(data("sample")) if f.key[0] == 17)
        self.one_line(self.front(data("sample"), "--extract-tcp", str(number), "-o", self.path("no"), code=LOST), "not TCP")


class Streams(PcapFlow):
    def native(self, path, flows):
        """{FlowID: bytes of all its connections}, from streams with a file a connection."""
        out = self.path("native")
        run("streams", path, "-o", out, "-q", "-T", "%E->%e_%_A->%_B_%_6a->%_6b", "--key-mac", "--no-tunnels", "--ignore-vlan", "--overwrite")
        found = {}
        for f in flows:
            base, parts, n = os.path.join(out, name("", f)[1:]), [], 0
            while os.path.exists(base + ("c%d" % n if n else "")):
                parts.append(read(base + ("c%d" % n if n else "")))
                n += 1
            if parts:
                found[f.id] = parts
        return found

    def test_all(self):
        """Connections of a tuple follow each other in one file; both spellings of names."""
        for n in ("gen-reuse", "sample"):
            path = data(n)
            flows = [f for f in flows_of(path) if f.key[0] == 6]
            want = self.native(path, flows)
            for words, prefix, device in ((("-o",), "old/p", None), (("--output-tcp",), "new/p", (0, 0)),
                                          (("--flow-5tuple", "--output-tcp"), "five/p", None)):
                self.front(path, "--extract-tcp-all", *words, self.path(prefix), "-q", "--workers", "2")
                got = {os.path.join(prefix.split("/")[0], x) for x in os.listdir(self.path(prefix.split("/")[0]))}
                self.assertEqual(got, {name(prefix, f, device) for f in flows if f.id in want})
                for f in flows:
                    if f.id in want:
                        self.assertEqual(read(self.path(name(prefix, f, device))), b"".join(want[f.id]), f.key)
            for x in ("old", "new", "five", "native"):
                for base, _, names in os.walk(self.path(x)):
                    for y in names:
                        os.unlink(os.path.join(base, y))
        self.assertTrue(any(len(x) > 1 for x in self.native(data("gen-reuse"), flows_of(data("gen-reuse"))).values()))

    def test_headers(self):
        path = data("gen-reuse")
        flows = [f for f in flows_of(path) if f.key[0] == 6]
        want = self.native(path, flows)
        acks = 0
        for words, size in ((("--tcpheader",), 12), (("--tcpheader=32",), 32), (("--tcpheader", "32"), 32)):
            for n in ("1", "4"):
                out = "h%d-%s/p" % (size, n)
                self.front(path, "--extract-tcp-all", *words, "-o", self.path(out), "-q", "--workers", n)
                for f in flows:
                    if f.id not in want:
                        continue
                    got = records(read(self.path(name(out, f))), size)
                    self.assertEqual(b"".join(x[1] for x in got), b"".join(want[f.id]))
                    self.assertEqual({x[2] for x in got}, {f.id & 0xffff})
                    stamps = {ns for ns, _, _ in f.frames}
                    self.assertTrue(all(x[0] in stamps for x in got))
                    empty = [x for x in got if not x[1] and not x[3] & 0x8000] if size == 32 else []
                    self.assertTrue(size == 32 or all(x[1] for x in got))
                    acks += len(empty)
                    if size == 32:
                        begins = [i for i, x in enumerate(got) if x[3] & 0x8000]
                        self.assertEqual(len(begins), len(want[f.id]))
                        self.assertEqual([got[i][1] for i in begins], [b""] * len(begins))
                        # what was captured from its middle on has none
                        self.assertTrue(all(got[i][3] & 2 for i in begins[1:]), "a SYN begins")
                        for i, part in zip(begins, want[f.id]):
                            end = next((j for j in begins if j > i), len(got))
                            self.assertEqual(b"".join(x[1] for x in got[i:end]), part)
            self.assertEqual(e2e.tree(self.path("h%d-1" % size)), e2e.tree(self.path("h%d-4" % size)))
        self.assertGreater(acks, 10)

    def test_gaps(self):
        """A hole is told beside a file with headers, at its place in all connections of the tuple."""
        def side(seq, flags, payload=b""):
            return ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 6, tcp(5, 6, seq, flags, payload)))
        frames = [side(99, 2), side(100, 16, b"aaaa"), side(108, 16, b"cccc"), side(112, 17),
                  side(70000, 2), side(70001, 16, b"eeee"), side(70010, 16, b"ffff")]
        path = capture(self.path("x.pcap"), [(T0 * 10**9 + i, f) for i, f in enumerate(frames)])
        self.front(path, "--extract-tcp-all", "--tcpheader", "-o", self.path("p"), "-q")
        file = self.path(name("p", flows_of(path)[0]))
        self.assertEqual(b"".join(x[1] for x in records(read(file), 12)), b"aaaacccceeeeffff")
        lines = read(file + ".gaps").decode().splitlines()
        self.assertEqual([re.findall(r"\d+", x)[:2] for x in lines], [["4", "4"], ["16", "5"]])
        # raw: holes keep the places
        self.front(path, "--extract-tcp-all", "-o", self.path("r"), "-q")
        self.assertEqual(read(self.path(name("r", flows_of(path)[0]))), b"aaaa\0\0\0\0cccceeee\0\0\0\0\0ffff")

    def test_one_stream(self):
        path = data("gen-reuse")
        flows = [f for f in flows_of(path) if f.key[0] == 6]
        want = self.native(path, flows)
        f = next(f for f in flows if f.id in want and len(want[f.id]) > 1)
        self.front(path, "--extract-tcp", str(f.id), "-o", self.path("100%"), "-q", "--workers", "4")
        self.assertEqual(read(self.path("100%")), b"".join(want[f.id]))
        result = self.front(path, "--extract-tcp", str(f.id), "-o", self.path("100%"), "-q")
        self.one_line(result, "1 file", "replaced")
        self.assertEqual(read(self.path("100%")), b"".join(want[f.id]))
        self.front(path, "--extract-tcp", str(f.id), "--output-tcp", self.path("new"), "-q")
        self.assertEqual(read(self.path(name("new", f, (0, 0)))), b"".join(want[f.id]))

    def test_from_standard_input(self):
        """Packets of one flow and the stream of another, of a pipe that can be read once."""
        path = data("gen-reuse")
        flows = [f for f in flows_of(path) if f.key[0] == 6]
        want = self.native(path, flows)
        f, g = flows[0], next(f for f in flows[1:] if f.id in want)
        for n in ("1", "4"):
            result = self.front("--stdin", "--extract", str(f.id), "--extract-tcp", str(g.id), "-o", self.path("f.pcap"),
                                "--output-tcp", self.path("g"), "--workers", n, "-q", stdin=read(path))
            self.assertEqual(packets(self.path("f.pcap"))[0], f.frames)
            self.assertEqual(read(self.path(name("g", g, (0, 0)))), b"".join(want[g.id]))
            self.assertEqual(result.out.splitlines()[1:], table(flows_of(path)))
            self.front("--stdin", "--extract", str(f.id), "--extract-tcp", str(g.id), "-o", self.path("h"), "--workers", n, "-q",
                       stdin=read(path))
            self.assertEqual(packets(self.path("h"))[0], f.frames)
            self.assertEqual(read(self.path("h.tcp")), b"".join(want[g.id]))

    def test_choice(self):
        path = data("gen-impaired")
        flows = [f for f in flows_of(path) if f.key[0] == 6]
        want = self.native(path, flows)
        port = next(f.key[6] for f in flows if f.key[6] < 1024)
        other = next(f for f in flows if f.id in want and port not in f.key[5:])

        def got(*words):
            directory = self.path("c%d" % len(os.listdir(self.directory)))
            self.front(path, *words, "-o", directory + "/p", "-q")
            return set(os.listdir(directory)) if os.path.isdir(directory) else set()

        def names(test):
            return {name("p", f) for f in flows if f.id in want and test(f)}
        self.assertEqual(got("--extract-tcp-port", str(port), str(port)), names(lambda f: port in f.key[5:]))
        self.assertEqual(got("--extract-tcp-port", str(port), str(port), "--extract-tcp", str(other.id)),
                         names(lambda f: port in f.key[5:] or f is other))
        self.assertEqual(got("--extract-tcp-all", "--disable-tcp-port", str(port), str(port)),
                         names(lambda f: port not in f.key[5:]))
        self.assertEqual(got("--extract-tcp-all", "--disable-udp-port", "0", "65535"), names(lambda f: True))
        least = sorted(len(b"".join(x)) for x in want.values())[len(want) // 2]
        self.assertEqual(got("--extract-tcp-all", "--flow-size-min", str(least)),
                         names(lambda f: len(b"".join(want[f.id])) > least))

    def test_pcaps(self):
        path = data("gen-impaired")
        self.front(path, "--extract-tcp-all", "--extract-udp-all", "--output-pcap", "--output-tcp", self.path("p/t"),
                   "--output-udp", self.path("p/u"), "-q")
        flows = flows_of(path)
        self.assertEqual({os.path.join(self.path("p"), x) for x in os.listdir(self.path("p"))},
                         {name(self.path("p/t" if f.key[0] == 6 else "p/u"), f, (0, 0)) + ".pcap" for f in flows})
        for f in flows:
            file = name(self.path("p/t" if f.key[0] == 6 else "p/u"), f, (0, 0)) + ".pcap"
            self.assertEqual(packets(file)[0], f.frames)


class Udp(PcapFlow):
    def setUp(self):
        super().setUp()
        texts = [b"one", b"2", b"three" * 100]
        self.file = capture(self.path("x.pcap"), [
            (T0 * 10**9 + i, ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 17, udp(1000 + i % 2, 53, t)))) for i, t in enumerate(texts * 2)])
        self.texts = {1000: [b"one", b"three" * 100, b"2"], 1001: [b"2", b"one", b"three" * 100]}

    def test_payload(self):
        self.front(self.file, "--extract-udp-port", "53", "53", "-o", self.path("u"), "-q")
        for f in flows_of(self.file):
            self.assertEqual(read(self.path(name("u", f))), b"".join(self.texts[f.key[5]]))

    def test_headers(self):
        self.front(self.file, "--extract-udp-all", "--udpheader", "--output-udp", self.path("u"), "-q")
        for f in flows_of(self.file):
            got = records(read(self.path(name("u", f, (0, 0)))), 12)
            self.assertEqual([x[1] for x in got], [udp(f.key[5], 53, t) for t in self.texts[f.key[5]]])
            self.assertEqual([x[0] for x in got], [ns for ns, _, _ in f.frames])
            self.assertEqual({x[2] for x in got}, {f.id})
        run("streams", self.file, "--udp", "--udp-header", "-o", self.path("raw"), "-q", "-T", "%a")
        for port, texts in self.texts.items():
            self.assertEqual(read(self.path("raw/%05d" % port)), b"".join(udp(port, 53, t) for t in texts))

    def test_excluded(self):
        self.front(self.file, "--extract-udp-all", "--disable-udp-port", "1000", "1000", "-o", self.path("d/u"), "-q")
        self.assertEqual(len(os.listdir(self.path("d"))), 1)


class Devices(PcapFlow):
    def trailer(self, ns, device, port, fcs=True):
        return b"\xf0" * 4 + struct.pack(">IIBHB", ns // 10**9, ns % 10**9, 1, device, port) + (b"\xee" * 4 if fcs else b"")

    def test_metamako(self):
        frame = ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 6, tcp(5, 6, 100, 24, b"payload")))
        again = ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 6, tcp(5, 6, 107, 24, b"second")))
        stamp = T0 * 10**9 + 123456789
        for fcs in (True, False):
            path = capture(self.path("m.pcap"), [
                ((T0 + 3) * 10**9, frame + self.trailer(stamp, 300, 7, fcs)),
                ((T0 + 3) * 10**9, frame + self.trailer(stamp + 5, 300, 8, fcs)),
                ((T0 + 4) * 10**9, again + self.trailer(stamp + 1000, 300, 7, fcs))])
            words = ("--metamako",) if fcs else ("--metamako", "--metamako-offset", "4")
            for choice in (words, ("--metamako",)):
                lines = self.front(path, *choice, "-q", "--extract-tcp-all", "--tcpheader", "--output-tcp", self.path("m")).out
                self.assertEqual(lines.count("FlowID"), 2)
                self.assertIn("%s -> %s : 00:00:00.000.001.000" % (clock(stamp), clock(stamp + 1000)), lines)
                f = flows_of(path)[0]
                got = records(read(self.path(name("m", f, (300, 7)))), 12)
                self.assertEqual([x[:2] for x in got], [(stamp, b"payload"), (stamp + 1000, b"second")])
                self.assertEqual(len(records(read(self.path(name("m", f, (300, 8)))), 12)), 1)
            lines = self.front(path, "--metamako", "--flow-5tuple", "-q", "--extract-tcp-all", "--output-tcp", self.path("m")).out
            self.assertEqual(lines.count("FlowID"), 1)
            self.assertEqual(read(self.path(name("m", f))), b"payloadsecond")
            # the trailer stays with the frame, whose stamp is the trailer's
            self.front(path, "--metamako", "--extract", "1", "-o", self.path("m.out"), "-q")
            self.assertEqual([x[0] for x in packets(self.path("m.out"))[0]], [stamp, stamp + 1000])
            self.assertEqual(packets(self.path("m.out"))[0][0][2], frame + self.trailer(stamp, 300, 7, fcs))

    def test_no_trailer(self):
        frame = ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 17, udp(5, 6, b"payload")))
        path = capture(self.path("m.pcap"), [(T0 * 10**9, frame), (T0 * 10**9, frame + self.trailer(T0 * 10**9 + 5, 1, 2))])
        _, counts = e2e.counters("flows", "--trailer", "metamako", "-q", path)
        self.assertEqual(counts["trailer_missing"], 1)
        # payload that looks like one is none: neither stamp nor bytes are taken from the datagram
        for last in (True, False):
            body = b"0123456789" + self.trailer(T0 * 10**9 + 5, 1, 2, last)
            for datagram in (udp(5, 6, body), tcp(5, 6, 100, 24, body)):
                path = capture(self.path("m.pcap"), [
                    ((T0 - 60) * 10**9, ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 17 if len(datagram) == len(body) + 8 else 6, datagram)))])
                _, counts = e2e.counters("streams", "--udp", "--trailer", "metamako", "-q", path, "-o", self.path("n"), "--overwrite",
                                         "-T", "x")
                self.assertEqual((counts["trailer_missing"], read(self.path("n/x"))), (1, body))

    def test_double(self):
        frame = ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 17, udp(5, 6, b"payload")))
        stamp = T0 * 10**9 + 77
        both = frame + self.trailer(stamp, 10, 1, False) + self.trailer(stamp + 500, 20, 2)
        path = capture(self.path("m.pcap"), [(T0 * 10**9, both)])
        for option, device in (("--metamako", (20, 2)), ("--metamako-double", (10, 1))):
            self.front(path, option, "--extract-udp-all", "--output-udp", self.path("d"), "-q")
            self.assertEqual(read(self.path(name("d", flows_of(path)[0], device))), b"payload")

    def test_vlan(self):
        frames = [ethernet(MAC_A, MAC_B, ipv4(ONE, TWO, 17, udp(5, 6, b"in %d" % v)), v) for v in (42, 7, 42)]
        path = capture(self.path("v.pcap"), [(T0 * 10**9 + i, f) for i, f in enumerate(frames)])
        f = flows_of(path)[0]
        self.front(path, "--vlan", "--extract-udp-all", "--output-udp", self.path("v"), "-q")
        self.assertEqual(read(self.path(name("v", f, (42, 0)))), b"in 42in 42")
        self.assertEqual(read(self.path(name("v", f, (7, 0)))), b"in 7")
        self.front(path, "--extract-udp-all", "--output-udp", self.path("w"), "-q")
        self.assertEqual(read(self.path(name("w", f, (0, 0)))), b"in 42in 7in 42")


class Usage(PcapFlow):
    def test_errors(self):
        path = data("sample")
        for words, said in (((), "capture file"), ((path, "--extract", "0", "-o", "x"), "number from 1"),
                            ((path, "--extract", "1"), "-o"), ((path, "--extract-tcp-all"), "-o"),
                            ((path, "--extract-udp-port", "53"), "two ports"), ((path, "--no-such"), "--no-such"),
                            ((path, "--extract-ip", "10.0.0.0/255.0.255.0", "-o", "x"), "10.0.0.0"),
                            ((path, "--metamako-offset", "4"), "--metamako"), ((path, "--tcpheader=13"), "13"),
                            ((path, "--extract-port", "9", "3", "-o", "x"), "9-3"),
                            ((path, "--extract-port", "9", "70000", "-o", "x"), "65535"),
                            ((path, "--extract-port", "9-" + "1" * 60, "-o", "x"), "9-1"), ((path, "--extract-port"), "two ports"),
                            ((path, "-"*3), "---"), ((path, "-x"), "-x"),
                            ((path, "--cpu", "x"), "--cpu"), ((path, "--uid", "no such user"), "no such user"),
                            ((path, "--tcpheader", "--output-pcap", "--extract-tcp-all", "-o", "x"), "--output-pcap")):
            self.one_line(self.front(*words, code=USAGE), said)
        self.one_line(self.front("/no/such.pcap", code=ENVIRONMENT), "/no/such.pcap")
        self.assertIn("--extract-tcp-port LO HI", self.front("--help").out)

    def test_native(self):
        """What the options do not go with is said."""
        for words in (("--per-tuple", "--order", "arrival"), ("--per-tuple", "--idle-timeout", "5s"),
                      ("--size-min", "5", "--order", "arrival"), ("--empty-records",), ("--trailer-offset", "x")):
            result = run("streams", data("sample"), "-o", self.path("no"), *words, code=USAGE)
            self.one_line(result, words[0] if "order" not in " ".join(words) else "--order arrival")
        self.assertFalse(os.path.exists(self.path("no")))

    def test_cpu(self):
        self.front(data("sample"), "--cpu", "0")
        self.one_line(self.front(data("sample"), "--cpu", "1023", code=ENVIRONMENT), "--cpu")

    def test_damaged(self):
        cut = self.path("cut.pcap")
        with open(cut, "wb") as f:
            f.write(read(data("gen-reuse"))[:-5])
        self.front(cut, code=LOST)

    def test_user(self):
        e2e.need_root()
        os.chmod(self.directory, 0o777)
        with open(self.path("in.pcap"), "wb") as f:
            f.write(read(data("gen-reuse")))
        for n, uid in (("nobody", "nobody"), ("number", str(pwd.getpwnam("nobody").pw_uid))):
            self.front("--stdin", "--extract-tcp-all", "--extract", "1", "--tcpheader", "-o", self.path(n), "--uid", uid,
                       stdin=read(data("gen-reuse")))
            made = [x for x in os.listdir(self.directory) if x.startswith(n)]
            self.assertGreater(len(made), 2)
            self.assertEqual({os.stat(self.path(x)).st_uid for x in made}, {pwd.getpwnam("nobody").pw_uid})


if __name__ == "__main__":
    e2e.main()
