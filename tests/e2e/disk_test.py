#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Packets of a live device to disk: stalls, rotation under load, direct writes. A device that never ends (net_pcap with
infinite_rx) is as live as a NIC: what finds no block is dropped and counted. Files are read here, not by the program."""
import os
import struct
import tempfile

import e2e

PACKETS = 60000
SIZES = (60, 1514, 590, 60, 61, 1024, 60, 66, 67)


def frame(number, size):
    payload = size - 42
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, size - 14, number, 0, 64, 17, 0, 0x0a000001 + number % 500, 0x0a010001)
    udp = struct.pack(">HHHH", 1024 + number, 53, payload + 8, 0)
    return bytes(12) + b"\x08\x00" + ip + udp + bytes((number * 7 + i) & 255 for i in range(payload))


def records(path):
    """Frames of a pcap or pcapng file that must be whole."""
    with open(path, "rb") as f:
        raw = f.read()
    if raw[:4] != b"\x0a\x0d\x0d\x0a":
        at = 24
        while at < len(raw):
            length, = struct.unpack_from("<I", raw, at + 8)
            yield raw[at + 16:at + 16 + length]
            at += 16 + length
    else:
        at = 0
        while at < len(raw):
            kind, total = struct.unpack_from("<II", raw, at)
            assert struct.unpack_from("<I", raw, at + total - 4) == (total,), at
            if kind == 6:
                length, = struct.unpack_from("<I", raw, at + 20)
                yield raw[at + 28:at + 28 + length]
            at += total
    assert at == len(raw), (path, at, len(raw))


class Disk(e2e.Case):
    @classmethod
    def setUpClass(cls):
        e2e.need_dpdk()
        cls.frames = [frame(i, SIZES[i % len(SIZES)]) for i in range(900)]

    def capture(self, name, *words, code=e2e.DONE, **how):
        source = self.path("source.pcap")
        with open(source, "wb") as f:
            f.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
            for x in self.frames:
                f.write(struct.pack("<IIII", 1, 0, len(x), len(x)) + x)
        out = tempfile.mkdtemp(dir=self.directory)
        result, c = e2e.counters("capture", "--dev", f"net_pcap0,rx_pcap={source},infinite_rx=1", "--packet-max", str(PACKETS),
                                 "--pcap", os.path.join(out, name), *words, code=code, **how)
        self.assertEqual(c["rx_packets"], PACKETS)
        return result, c, [os.path.join(out, x) for x in sorted(os.listdir(out))]

    def check(self, files, c):
        """Whole frames of the source, in its order, as many as the ledger says; what is missing is what it says."""
        at = n = 0
        index = {x: i for i, x in enumerate(self.frames)}
        for path in files:
            self.assertNotIn(".part", path)
            for x in records(path):
                i = index[x]  # a frame that is not one of the source's fails here
                self.assertTrue(n == 0 or c["shed_block_packets"] or i == (at + 1) % len(self.frames), (path, n, at, i))
                at = i
                n += 1
        self.assertEqual(n, c["out_packets"] - c["write_lost_packets"])
        self.assertEqual(PACKETS, n + c["shed_block_packets"] + c["write_lost_packets"])

    def test_stall_that_the_blocks_cover(self):
        for name in "s.pcap", "s.pcapng":
            with self.subTest(name):
                _, c, files = self.capture(name, "--blocks", "128", "--direct", "on", WS_FAULT="stall_at=1M,stall=500ms")
                self.assertEqual(c["shed_block_packets"], 0)
                self.check(files, c)

    def test_stall_that_is_too_long(self):
        for direct in "on", "off":
            with self.subTest(direct):
                result, c, files = self.capture("s.pcapng", "--blocks", "8", "--direct", direct, code=e2e.LOST,
                                                WS_FAULT="stall_at=1M,stall=500ms")
                self.assertGreater(c["shed_block_packets"], 0)
                self.assertRegex(result.err, r"lost \d+ packets")
                self.check(files, c)

    def test_rotation(self):
        """Shards are whole and follow each other without a packet between them, also while the disk stalls."""
        for name, words in (("r.pcap", ["--rotate-size", "3M"]), ("r.pcapng", ["--rotate-size", "3M", "--direct", "off"]),
                            ("r.pcap", ["--rotate-time", "1s", "--rate", "15M"])):
            with self.subTest((name, words)):
                _, c, files = self.capture(name, "--blocks", "128", *words, WS_FAULT="stall_at=5M,stall=300ms")
                self.assertEqual(c["shed_block_packets"], 0)
                self.assertGreater(len(files), 1)
                if "--rotate-size" in words:
                    self.assertLessEqual(max(map(os.path.getsize, files)), 3 << 20)
                self.check(files, c)

    def test_past_the_page_cache(self):
        """What is not said about direct writes holds for both ways: the same frames, and room that was reserved is free again."""
        _, c, files = self.capture("d.pcap", "--blocks", "128", "--direct", "on")
        self.check(files, c)
        if not c["write_direct_bytes"]:
            self.skipTest("no direct writes in the temporary directory")
        self.assertLess(os.stat(files[0]).st_blocks * 512, os.path.getsize(files[0]) + (64 << 10))

    def test_direct_without_effect(self):
        """Said in one line, never silently."""
        source = self.path("source.pcap")
        with open(source, "wb") as f:
            f.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        cases = (("--pcap", ["--flows", self.path("flows")]), ("standard output", ["--pcap", "-"]),
                 ("several workers", ["--pcap", self.path("o.pcap"), "--workers", "2"]))
        for why, words in cases:
            with self.subTest(why):
                result = e2e.run("replay", source, "-q", "--direct", "on", *words)
                self.assertEqual([why in x for x in result.err.splitlines() if "--direct on has no effect" in x], [True], result)


if __name__ == "__main__":
    e2e.main()
