#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tools/read-headers: files with 12- and 32-byte record headers as text, bytes and packets, and what is no such file."""
import hashlib
import os
import struct
import unittest

import e2e
from e2e import data, run

TOOL = os.path.join(e2e.ROOT, "tools", "read-headers")


def read(*words, code=0, **how):
    result = e2e.execute([e2e.sys.executable, TOOL, *words], **how)
    if result.code != code or "Traceback" in result.err:
        raise AssertionError(f"exit code {result.code}, not {code}: {result}")
    return result


def record12(ts, stream, payload, length=None):
    return struct.pack("<qHH", ts, len(payload) if length is None else length, stream) + payload


def record32(ts, stream, payload, seq=7, ack=8, window=70000, flags=0x10, wrong=0):
    ts &= 2**64 - 1
    total = sum(x & 0xffff for x in (ts, len(payload), stream, seq, ack, window, flags)) + wrong
    return struct.pack("<QHHIIIHHI", ts, len(payload), stream, seq, ack, window, flags, total & 0xffff, 0) + payload


class ReadHeaders(e2e.Case):
    def write(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content)
        return self.path(name)

    def test_text(self):
        self.assertEqual(read(self.write("a", record12(1_700_000_000_000_000_005, 3, b"GET /\r\n\\\0") + record12(-1, 3, b"x"))).out,
                         "1700000000.000000005 stream 3 length 9: GET /\\r\\n\\\\\\x00\n-0.000000001 stream 3 length 1: x\n")
        wide = record32(5, 9, b"", flags=0x8002) + record32(5, 9, b"hi", flags=0x4018)
        self.assertEqual(read(self.write("b", wide)).out,
                         "0.000000005 stream 9 length 0 seq 7 ack 8 window 70000 flags SYN,RESET\n"
                         "0.000000005 stream 9 length 2 seq 7 ack 8 window 70000 flags PSH,ACK,REASSEMBLE: hi\n")
        self.assertEqual(read("-", "--to", "raw", stdin=wide).raw, b"hi")
        self.assertEqual(read(self.write("empty", b"")).out, "")

    def test_damage(self):
        """Each whole record is given; the rest is said with its offset, and the exit code is 1."""
        good = record12(1, 1, b"good")
        wide = record32(1, 1, b"", flags=0x8000)
        for content, part, layout in (
                (good + b"\0" * 11, "offset 16: the header is cut, 1 bytes", "12"),
                (good + record12(1, 1, b"x" * 9)[:-2], "offset 28: the payload is cut, 2 bytes", "12"),
                (good + record12(1, 1, b"", 5), "offset 28: the payload is cut, 5 bytes", "12"),
                (good + record12(1, 1, b""), "offset 16: a record without payload", "12"),
                (wide + record32(1, 1, b"good")[:20], "offset 32: the header is cut, 12 bytes", "32"),
                (wide + record32(1, 1, b"good")[:-1], "offset 64: the payload is cut, 1 bytes", "32"),
                (wide + record32(1, 1, b"good", wrong=1), "offset 32: the header's sum", "32"),
                (wide + record32(1, 1, b"good")[:28] + b"\1\0\0\0good", "offset 32: the header's padding", "32"),
                (wide + record32(1, 1, b"good", flags=0x8000), "offset 32: RESET", "32")):
            with self.subTest(part):
                result = read("--layout", layout, "--to", "raw", self.write("x", content), code=1)
                self.assertIn(part, result.err)
                self.assertEqual(len(result.err.splitlines()), 1, result)
                self.assertEqual(result.raw, b"good" if content.startswith(good) else b"")
                if content.startswith(wide):
                    self.assertEqual(read(self.path("x"), code=1).err, result.err)  # the layout is seen
        read(self.path("none"), code=3)

    def directories(self, name):
        for kind in ("raw", "headers", "headers32"):
            run("streams", "-q", data(name), "--format", kind, "-o", self.path(kind))
        return self.path("raw")

    def files(self, kind):
        return [os.path.join(self.path(kind), x) for x in sorted(os.listdir(self.path(kind)))]

    def test_round_trip(self):
        """Streams to records, records to packets, packets to streams: the same files, names, VLANs and reuse included."""
        for name in ("sample", "sample-any"):
            raw = e2e.tree(self.directories(name))
            for kind in ("headers", "headers32"):
                with self.subTest(name, kind=kind):
                    whole = b""
                    for path in self.files("raw"):
                        with open(path, "rb") as f:
                            whole += f.read()
                    self.assertEqual(hashlib.sha256(read("--to", "raw", *self.files(kind)).raw).hexdigest(), hashlib.sha256(whole).hexdigest())
                    read("--to", "pcapng", "-o", self.path("x.pcapng"), *self.files(kind))
                    self.assertEqual(self.streams("again-" + name + kind, self.path("x.pcapng")), raw)
            for kind in ("raw", "headers", "headers32"):
                e2e.shutil.rmtree(self.path(kind))

    def test_empty_records(self):
        """Packets without payload, and connections one after another in a file, as pcap_flow has them."""
        run("streams", "-q", data("gen-reuse"), "-o", self.path("raw"))
        raw = sorted(e2e.tree(self.path("raw")).values())
        run("streams", "-q", data("gen-reuse"), "--format", "headers32", "--empty-records", "--per-tuple", "-o", self.path("e"))
        self.assertLess(len(os.listdir(self.path("e"))), len(raw))
        read("--to", "pcapng", "-o", self.path("x.pcapng"), *self.files("e"))
        self.streams("again", self.path("x.pcapng"))
        self.assertEqual(sorted(e2e.tree(self.path("again")).values()), raw)

    def test_packets(self):
        """tshark takes the packets for sound ones, with the records' stamps and the endpoints of the name."""
        stamp = 1_700_000_000_123_456_789
        for name, want in (("010.000.000.001.00080-010.000.000.002.40000", ("10.0.0.1", "80", "10.0.0.2", "40000")),
                           ("fd00::1.80-fd00::2.4000--5c1", ("fd00::1", "80", "fd00::2", "4000")),
                           ("20231114221320-TCP-10.0.0.1.80-10.0.0.2.9.txt", ("10.0.0.1", "80", "10.0.0.2", "9")),
                           ("whatever", ("192.0.2.1", "1", "198.51.100.1", "2"))):
            with self.subTest(name):
                path = self.write(name, record12(stamp, 1, b"x" * 65535) + record12(stamp + 1, 1, b"yz"))
                read("--to", "pcapng", "-o", self.path("x.pcapng"), path)
                rows = [x.split("\t") for x in e2e.tshark(
                    self.path("x.pcapng"), "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields", "-e", "frame.time_epoch",
                    "-e", "ip.src", "-e", "ipv6.src", "-e", "tcp.srcport", "-e", "ip.dst", "-e", "ipv6.dst", "-e", "tcp.dstport", "-e", "tcp.len",
                    "-e", "tcp.checksum.status", "-e", "tcp.seq").splitlines()]
                self.assertEqual([r[7] for r in rows], ["0", "65000", "535", "2"])
                self.assertEqual([r[9] for r in rows], ["0", "1", "65001", "65536"])
                self.assertEqual([r[0] for r in rows], ["1700000000.123456789"] * 3 + ["1700000000.123456790"])
                for r in rows:
                    self.assertEqual((r[1] or r[2], r[3], r[4] or r[5], r[6]), want)
                    self.assertEqual(r[8], "1", r)  # good


if __name__ == "__main__":
    e2e.main()
