#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Inputs: byte orders, resolutions, pcapng, compression, standard input, several files; and packets written back."""
import bz2
import gzip
import json
import lzma
import os
import struct
import unittest

import e2e
from e2e import data, run

FIELDS = ["-T", "fields", "-e", "frame.time_epoch", "-e", "frame.cap_len", "-e", "frame.len", "-e", "eth.src", "-e", "ip.id",
          "-e", "tcp.seq_raw", "-e", "tcp.checksum", "-e", "udp.checksum"]


def packets(path, *more):
    """What tshark reads from a capture: one line a packet."""
    return e2e.tshark(path, *FIELDS, *more).splitlines()


def records(path):
    """A classic pcap file's records, by a reader of our own: (ns, wire length, bytes)."""
    with open(path, "rb") as f:
        raw = f.read()
    order, unit = {b"\xd4\xc3\xb2\xa1": ("<", 1000), b"\xa1\xb2\xc3\xd4": (">", 1000), b"\x4d\x3c\xb2\xa1": ("<", 1),
                   b"\xa1\xb2\x3c\x4d": (">", 1)}[raw[:4]]
    at, found = 24, []
    while at < len(raw):
        s, frac, caplen, length = struct.unpack_from(order + "IIII", raw, at)
        found.append((s * 10**9 + frac * unit, length, raw[at + 16:at + 16 + caplen]))
        at += 16 + caplen
    return found


def write_pcap(path, packets_, order="<", ns=False, link=1, snap=262144):
    with open(path, "wb") as f:
        f.write(struct.pack(order + "IHHiIII", 0xa1b23c4d if ns else 0xa1b2c3d4, 2, 4, 0, 0, snap, link))
        for t, length, body in packets_:
            f.write(struct.pack(order + "IIII", t // 10**9, t % 10**9 // (1 if ns else 1000), len(body), length) + body)


def block(order, kind, body):
    body += b"\0" * (-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def write_pcapng(path, packets_, order="<", resolution=9, interfaces=(1,), several_sections=False):
    option = struct.pack(order + "HHB3x", 9, 1, resolution) + struct.pack(order + "HH", 0, 0)
    head = block(order, 0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1))
    head += b"".join(block(order, 1, struct.pack(order + "HHI", link, 0, 0) + option) for link in interfaces)
    with open(path, "wb") as f:
        f.write(head)
        for i, (t, length, body) in enumerate(packets_):
            if several_sections and i and i % 10 == 0:
                f.write(head)
            ticks = t // 10**(9 - resolution)
            f.write(block(order, 6, struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xffffffff, len(body), length) + body))


class Inputs(e2e.Case):
    def setUp(self):
        super().setUp()
        self.source = data("gen-impaired")
        self.records = records(self.source)
        self.want_streams = self.streams("want", self.source)
        self.want_flows = e2e.flows(self.source)

    def check(self, path, name):
        self.assertEqual(self.streams(name, path), self.want_streams)
        self.assertEqual(e2e.flows(path), self.want_flows)

    def test_byte_orders_and_resolutions(self):
        for order in "<>":
            for ns in (False, True):
                path = self.path("x.pcap")
                write_pcap(path, self.records, order, ns)
                with self.subTest(order=order, ns=ns):
                    self.check(path, f"o{ord(order)}{ns}")

    def test_exact_nanoseconds(self):
        shifted = [(t + 7, n, b) for t, n, b in self.records]
        for kind in ("pcap", "pcapng"):
            path, out = self.path("ns." + kind), self.path("out.pcap")
            (write_pcap(path, shifted, ">", True) if kind == "pcap" else write_pcapng(path, shifted))
            run("extract", path, "-o", out, "--overwrite")
            self.assertEqual(records(out), shifted)
            self.assertEqual(e2e.flows(path)[0]["ts_ns"][-1], "7")

    def test_pcapng(self):
        for order in "<>":
            for resolution in (6, 9):
                for sections in (False, True):
                    path = self.path("x.pcapng")
                    write_pcapng(path, self.records, order, resolution, several_sections=sections)
                    with self.subTest(order=order, resolution=resolution, sections=sections):
                        self.check(path, f"o{ord(order)}{resolution}{sections}")

    def test_compressed(self):
        with open(self.source, "rb") as f:
            raw = f.read()
        half = len(raw) // 2
        kinds = {
            "gz": gzip.compress(raw), "xz": lzma.compress(raw), "bz2": bz2.compress(raw),
            # several members one after the other, as `cat a.gz b.gz` gives
            "2.gz": gzip.compress(raw[:half]) + gzip.compress(raw[half:]),
            "2.bz2": bz2.compress(raw[:half]) + bz2.compress(raw[half:]),
        }
        for kind, squeezed in kinds.items():
            # told by content, not by name
            for path in (self.path("x.pcap." + kind), self.path("noname")):
                with open(path, "wb") as f:
                    f.write(squeezed)
                with self.subTest(kind, path=os.path.basename(path)):
                    self.check(path, kind + os.path.basename(path))
            with self.subTest("stdin " + kind):
                got = run("flows", "--all", "--json", "-q", "-", stdin=squeezed).out
                self.assertEqual(got, run("flows", "--all", "--json", "-q", self.source).out)

    def test_zstd(self):
        e2e.need("zstd")
        path = self.path("x.pcap.zst")
        self.assertEqual(e2e.execute(["zstd", "-q", self.source, "-o", path]).code, 0)
        self.check(path, "zst")

    def test_cut_compressed(self):
        """A truncated compressed file: what could be read is delivered, the run says so and ends with 1."""
        with open(self.source, "rb") as f:
            squeezed = gzip.compress(f.read())
        path = self.path("cut.pcap.gz")
        with open(path, "wb") as f:
            f.write(squeezed[:len(squeezed) * 2 // 3])
        result = run("flows", path, code=e2e.LOST)
        self.one_line(result, path)
        self.assertGreater(len(result.out.splitlines()), 4)

    def test_standard_input(self):
        with open(self.source, "rb") as f:
            raw = f.read()
        for words in (["-"], ["-r", "-"]):
            self.assertEqual(run("flows", "--all", "--json", "-q", *words, stdin=raw).out,
                             run("flows", "--all", "--json", "-q", self.source).out)
        run("streams", "-", "-o", self.path("s"), "-q", stdin=raw)
        self.assertEqual(e2e.tree(self.path("s")), self.want_streams)
        run("extract", "-", "-o", self.path("e.pcap"), "--flow", "3", "--us", stdin=raw)
        run("extract", self.source, "-o", self.path("f.pcap"), "--flow", "3", "--us")
        self.assertEqual(records(self.path("e.pcap")), records(self.path("f.pcap")))

    def test_several_in_order(self):
        third = len(self.records) // 3
        names = []
        for i in range(3):
            names.append(self.path(f"{i}.pcap"))
            write_pcap(names[-1], self.records[i * third:(i + 1) * third if i < 2 else None], "<>"[i % 2], i == 1)
        self.assertEqual(self.streams("several", *names), self.want_streams)
        self.assertEqual(e2e.flows(*names), self.want_flows)
        self.assertEqual(e2e.flows(names[0], "-r", names[1], "-r", names[2]), self.want_flows)
        for n in ("1", "4"):
            run("extract", *names, "-o", self.path("all.pcap"), "--overwrite", "--workers", n)
            self.assertEqual(records(self.path("all.pcap")), self.records)

    def test_fragments_in_a_sparse_capture(self):
        """A datagram put together has the time of its packet, not that of a later one that was read along: its flow goes on."""
        def ip(src, ident, frag, payload):
            head = struct.pack(">BBHHHBBH4B4B", 0x45, 0, 20 + len(payload), ident, frag, 64, 17, 0, 10, 0, 0, src, 10, 0, 0, 99)
            return b"\2" * 12 + b"\x08\0" + head + payload

        def udp(payload):
            return struct.pack(">HHHH", 5000, 53, 8 + len(payload), 0) + payload
        whole = udp(b"x" * 40)
        frames = [ip(1, 1, 0, udp(b"hello")), ip(1, 2, 0x2000, whole[:24]), ip(1, 2, 3, whole[24:]), ip(1, 3, 0, udp(b"again"))]
        packets_ = [(i * 10**9, len(x), x) for i, x in enumerate(frames)]
        packets_ += [(60 * (i + 1) * 10**9, 47, ip(2 + i, 9, 0, udp(b"other"))) for i in range(40)]
        path = self.path("sparse.pcap")
        write_pcap(path, packets_)
        for workers in "1", "2":
            out = run("flows", path, "--json", "-q", "--host", "10.0.0.1", "--workers", workers).out
            self.assertEqual([json.loads(x)["orig_pkts"] for x in out.splitlines()], [4])

    def test_one_bad_of_several(self):
        """A missing or damaged input is named; the others still count."""
        bad = self.path("missing.pcap")
        result = run("flows", "--all", "--json", bad, self.source, code=None)
        self.assertNotEqual(result.code, 0)
        self.one_line(result, bad)

    def test_empty(self):
        """A capture without packets is no error, and says why nothing came."""
        path = self.path("empty.pcap")
        write_pcap(path, [])
        result = run("flows", path)
        self.assertIn("0 packets", result.err + result.out)
        run("streams", path, "-o", self.path("s"))
        run("extract", path, "-o", self.path("e.pcap"))
        self.assertEqual(records(self.path("e.pcap")), [])


class WrittenBack(e2e.Case):
    """`extract` without a selection: the same packets in the same order."""

    def test_whole_pcap(self):
        for name in e2e.SAMPLES + e2e.GENERATED:
            for n in ("1", "3"):
                out = self.path(name + n + ".pcap")
                run("extract", data(name), "-o", out, "--workers", n)
                self.assertEqual(records(out), records(data(name)), name)

    def test_us(self):
        out = self.path("us.pcap")
        run("extract", data("sample"), "-o", out, "--us")
        with open(out, "rb") as f, open(data("sample"), "rb") as g:
            got, want = f.read(), g.read()
        self.assertEqual(got[24:], want[24:])

    def test_whole_by_tshark(self):
        e2e.need("tshark", "capinfos")
        for name in e2e.SAMPLES + e2e.GENERATED:
            want = packets(data(name))
            for kind in ("pcap", "pcapng"):
                out = self.path(name + "." + kind)
                run("extract", data(name), "-o", out)
                self.assertEqual(packets(out), want, out)
                info = e2e.execute(["capinfos", "-t", "-E", out])
                self.assertEqual(info.code, 0, info)
                self.assertEqual(info.err, "", info)

    def test_standard_output(self):
        out = run("extract", data("sample"), "-o", "-", "-q").raw
        with open(self.path("o.pcap"), "wb") as f:
            f.write(out)
        self.assertEqual(records(self.path("o.pcap")), records(data("sample")))
        again = run("flows", "--all", "--json", "-q", "-", stdin=out).out
        self.assertEqual(again, run("flows", "--all", "--json", "-q", data("sample")).out)

    def test_several_link_types(self):
        """pcapng holds several link types; a classic pcap file counts what it cannot hold."""
        e2e.need("tshark")
        result, counted = e2e.counters("extract", data("sample"), data("sample-any"), "-o", self.path("x.pcapng"))
        self.assertEqual(len(packets(self.path("x.pcapng"))), len(packets(data("sample"))) + len(packets(data("sample-any"))))
        _, counted = e2e.counters("extract", data("sample"), data("sample-any"), "-o", self.path("x.pcap"), code=e2e.LOST)
        self.assertEqual(counted["out_link_type"], len(records(data("sample-any"))))
        self.assertEqual(records(self.path("x.pcap")), records(data("sample")))

    def test_snaplen(self):
        out = self.path("s.pcap")
        run("extract", data("sample"), "-o", out, "--snaplen", "60")
        self.assertEqual(records(out), [(t, n, b[:60]) for t, n, b in records(data("sample"))])


if __name__ == "__main__":
    e2e.main()
