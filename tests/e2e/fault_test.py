#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Disks that fail: full, broken, slow, writing in pieces (WS_FAULT, see app/fault.h). What is lost is said once, counted exactly,
and costs no other output anything."""
import os
import struct
import tempfile

import e2e
from e2e import run
from files_test import write_pcap

CONNECTIONS, BYTES, MSS = 40, 1500000, 1400


def body(connection, n):
    """Payload without a zero byte, so that holes can be told from data."""
    period = bytes((connection * 37 + i) % 251 + 1 for i in range(251))
    return (period * (n // 251 + 1))[:n]


def segment(connection, forth, seq, ack, flags, payload):
    client, server = bytes((10, 0, connection >> 8, connection & 255)), bytes((192, 168, 0, 1))
    ports = (20000 + connection, 80)
    (src, dst), (sport, dport) = ((client, server), ports) if forth else ((server, client), ports[::-1])
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, 0x50, flags, 65535, 0, 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0, src, dst)
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + tcp + payload


def capture(path):
    """Connections that send all at once. {stream file: its bytes}."""
    frames, truth = [], {}
    bodies = [body(c, BYTES) for c in range(CONNECTIONS)]
    for c in range(CONNECTIONS):
        frames += [segment(c, True, 999, 0, 2, b""), segment(c, False, 4999, 1000, 0x12, b""),
                   segment(c, True, 1000, 5000, 0x10, b"")]
        name = e2e.stream_name("10.0.%d.%d" % (c >> 8, c & 255), 20000 + c, "192.168.0.1", 80)
        truth[name] = bodies[c]
    for at in range(0, BYTES, MSS):
        frames += [segment(c, True, 1000 + at, 5000, 0x18, bodies[c][at:at + MSS]) for c in range(CONNECTIONS)]
    for c in range(CONNECTIONS):
        frames += [segment(c, True, 1000 + BYTES, 5000, 0x11, b""), segment(c, False, 5000, 1001 + BYTES, 0x11, b""),
                   segment(c, True, 1001 + BYTES, 5001, 0x10, b"")]
    write_pcap(path, [(10**18 + i * 1000, len(f), f) for i, f in enumerate(frames)], ns=True)
    return truth


class Fault(e2e.Case):
    @classmethod
    def setUpClass(cls):
        cls.input = tempfile.NamedTemporaryFile(suffix=".pcap")
        cls.truth = capture(cls.input.name)

    @classmethod
    def tearDownClass(cls):
        cls.input.close()

    def faulty(self, fault, *words, code):
        return e2e.counters(*words, code=code, WS_FAULT=fault)

    def packet_count(self, path):
        """Counted by a reader of our own; every record is whole and the file has nothing else."""
        with open(path, "rb") as f:
            raw = f.read()
        at, n = 0, 0
        if raw[:4] == b"\n\r\r\n":
            while at < len(raw):
                kind, length = struct.unpack_from("<II", raw, at)
                self.assertEqual(struct.unpack_from("<I", raw, at + length - 4)[0], length)
                n, at = n + (kind == 6), at + length
        else:
            at = 24
            while at < len(raw):
                length = struct.unpack_from("<I", raw, at + 8)[0]
                n, at = n + 1, at + 16 + length
        self.assertEqual(at, len(raw))
        return n

    def stream_bytes(self, directory):
        """Bytes that are there: each equals the truth at its offset."""
        total = 0
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), "rb") as f:
                got = f.read()
            truth = self.truth.get(name, b"")
            self.assertLessEqual(len(got), len(truth), name)
            if got != truth:
                holes = got.translate(bytes([255]) + bytes(255))  # 255 where nothing was written
                expected = int.from_bytes(truth[:len(got)], "big") & ~int.from_bytes(holes, "big")
                self.assertTrue(int.from_bytes(got, "big") == expected, name + ": foreign bytes")
            total += len(got) - got.count(0)
        return total

    def said(self, result, *parts):
        """Exactly one line has all of parts."""
        lines = [x for x in result.err.splitlines() if all(p in x for p in parts)]
        self.assertEqual(len(lines), 1, f"{parts}: {result}")

    # --- extract ---

    def extract(self, fault, code, *more):
        for suffix in "pcap", "pcapng":
            for workers in "1", "3":
                out = self.path(f"o{workers}.{suffix}")
                result, c = self.faulty(fault, "extract", self.input.name, "-o", out, "--workers", workers,
                                        "--overwrite", *more, code=code)
                self.assertEqual(self.packet_count(out), c["out_packets"] - c["write_lost_packets"], result)
                yield result, c, out

    def test_extract_full_disk_that_recovers(self):
        for result, c, out in self.extract("bytes=1M,error=ENOSPC,recover=3,retry=1us", e2e.LOST):
            self.said(result, out, "write failed", "No space left on device", "suspended")
            self.said(result, out, "resumed", str(c["write_lost_bytes"]))
            self.assertGreater(c["write_lost_packets"], 0)
            self.assertEqual((c["write_suspends"], c["write_resumes"], c["write_errors"]), (1, 1, 3))
            run("repair", out)

    def test_extract_broken_disk(self):
        for result, c, out in self.extract("bytes=700000,error=EIO", e2e.ENVIRONMENT):
            self.said(result, out, "write failed", "Input/output error", "suspended")
            self.assertLessEqual(os.path.getsize(out), 700000)
            self.assertEqual(c["write_resumes"], 0)
            run("repair", out)

    def test_extract_other_errors_end_the_output(self):
        for result, c, out in self.extract("bytes=700000,error=EBADF", e2e.ENVIRONMENT):
            self.said(result, out, "write failed", "output ended")
            self.assertEqual(c["write_suspends"], 0)

    def test_extract_nothing_fits(self):
        """The header does not fit: no file is left in the way of the next run."""
        for suffix in "pcap", "pcapng":
            out = self.path("o." + suffix)
            result = run("extract", self.input.name, "-o", out, code=e2e.ENVIRONMENT, WS_FAULT="error=ENOSPC")
            self.one_line(result, out, "No space left on device")
            self.assertEqual(os.listdir(self.directory), [])

    def test_extract_short_writes_and_stalls(self):
        whole = self.path("whole.pcap")
        run("extract", self.input.name, "-o", whole, "-q")
        for fault in "short=2", "short=7", "stall_at=2M,stall=2s":
            out = self.path("o.pcap")
            _, c = self.faulty(fault, "extract", self.input.name, "-o", out, "-q", "--overwrite", code=e2e.DONE)
            self.assertEqual(c["write_lost_bytes"] + c["shed_block_packets"], 0)
            with open(out, "rb") as a, open(whole, "rb") as b:
                self.assertTrue(a.read() == b.read(), fault)

    def test_statistics_that_do_not_fit(self):
        """A disk that is full behind the last packet: none is lost, and it is said what is."""
        e2e.need_dpdk()
        out = self.path("o.pcapng")
        run("replay", self.input.name, "--pcap", out, "-q")
        with open(out, "rb") as f:
            raw = f.read()
        last = struct.unpack("<I", raw[-4:])[0]
        self.assertEqual(struct.unpack_from("<I", raw, len(raw) - last)[0], 5)
        result, c = self.faulty(f"bytes={len(raw) - last // 2},error=ENOSPC", "replay", self.input.name, "--pcap", out,
                                "--overwrite", "--direct", "off", code=e2e.ENVIRONMENT)
        self.assertEqual((c["write_lost_packets"], c["write_lost_bytes"], c["write_lost_trailers"]), (0, last, 1))
        self.assertEqual(self.packet_count(out), c["out_packets"])
        self.said(result, "lost 1 files", "without the statistics")

    # --- streams ---

    def streams(self, fault, code, *more):
        for workers in "1", "3":
            out = self.path("s" + workers)
            result, c = self.faulty(fault, "streams", self.input.name, "-o", out, "--workers", workers, *more, code=code)
            self.assertEqual(self.stream_bytes(out), c["out_stream_bytes"] - c["write_lost_bytes"], result)
            yield result, c, out

    def test_streams_full_disk_that_recovers(self):
        for result, c, out in self.streams("bytes=1M,error=ENOSPC,recover=3,retry=1us", e2e.LOST, "--blocks", "8"):
            self.said(result, out, "write failed", "No space left on device", "suspended")
            self.said(result, out, "resumed")
            self.assertGreater(c["write_lost_bytes"], 0)
            self.assertEqual((c["write_suspends"], c["write_resumes"]), (1, 1))

    def test_streams_broken_disk(self):
        for result, c, out in self.streams("bytes=1M,error=EIO", e2e.ENVIRONMENT):
            self.said(result, out, "write failed", "Input/output error", "suspended")
            self.assertEqual(c["out_stream_bytes"] - c["write_lost_bytes"], 1 << 20)

    def test_streams_of_two_writers(self):
        """Two writers of one tree: a broken disk is said once."""
        result, c = self.faulty("bytes=200K,error=EIO", "streams", self.input.name, "-o", self.path("s"), "--writers", "2",
                                code=e2e.ENVIRONMENT)
        self.assertEqual(c["write_suspends"], 2)
        self.assertEqual(result.err.count("output suspended"), 1, result)
        self.assertEqual(result.err.count("first write error"), 1, result)

    def test_streams_that_exist(self):
        """Files that exist stay as they are: one line says so, and at the end how many."""
        out = self.path("s")
        e2e.run("streams", self.input.name, "-o", out, "-q")
        gone = sorted(os.listdir(out))[0]
        os.unlink(os.path.join(out, gone))
        before = e2e.tree(out)
        result, c = e2e.counters("streams", self.input.name, "-o", out, "-q", code=e2e.LOST)
        self.assertEqual(c["out_exists"], len(self.truth) - 1)
        self.assertEqual(len([x for x in result.err.splitlines() if "exist" in x]), 2, result)
        self.one_line(result, "exists already", "--overwrite")
        after = e2e.tree(out)
        self.assertEqual({x: after[x] for x in before}, before)
        self.assertEqual(os.path.getsize(os.path.join(out, gone)), len(self.truth[gone]))
        e2e.run("streams", self.input.name, "-o", out, "-q", "--overwrite")

    def test_streams_in_part_files(self):
        """What lost bytes keeps its suffix; what is whole has its name."""
        out = self.path("s")
        _, c = self.faulty("bytes=1M,error=EIO", "streams", self.input.name, "-o", out, "--part", code=e2e.ENVIRONMENT)
        for name in os.listdir(out):
            with open(os.path.join(out, name), "rb") as f:
                got = f.read()
            if name.endswith(".part"):
                self.assertNotEqual(got, self.truth[name[:-5]])
            else:
                self.assertEqual(got, self.truth[name])
        self.assertGreater(c["write_lost_bytes"], 0)

    def test_streams_short_writes_and_stalls(self):
        for fault in "short=2", "short=7", "stall_at=2M,stall=2s":
            for _, c, out in self.streams(fault, e2e.DONE, "--overwrite"):
                self.assertEqual(c["write_lost_bytes"] + c["shed_block_bytes"], 0)
                self.assertEqual(self.stream_bytes(out), CONNECTIONS * BYTES)

    # --- replay: several outputs ---

    def replay(self, fault, code, *more):
        e2e.need_dpdk()
        for writers in "1", "2":
            where = self.path("w" + writers)
            os.mkdir(where)
            words = ["--pcap", where + "/bad.pcap", "--streams", where + "/good", "--flows", where + "/flows.jsonl"]
            result, c = self.faulty(fault, "replay", self.input.name, *words, "--writers", writers, *more, code=code)
            yield result, c, where

    def test_replay_bad_pcap_good_streams(self):
        for result, c, where in self.replay("output=bad.pcap,bytes=1M,error=EIO", e2e.LOST):
            self.said(result, "bad.pcap", "write failed", "suspended")
            self.assertEqual(self.packet_count(where + "/bad.pcap"), c["out_packets"] - c["write_lost_packets"])
            self.assertGreater(c["write_lost_packets"], 0)
            self.assertEqual(self.stream_bytes(where + "/good"), CONNECTIONS * BYTES)
            with open(where + "/flows.jsonl", encoding="ascii") as f:
                self.assertEqual(len(f.readlines()), CONNECTIONS)

    def test_replay_direct(self):
        """The same past the page cache: what cannot be aligned after a failure goes through it."""
        for _, c, where in self.replay("output=bad.pcap,bytes=1M,error=EIO,recover=2,retry=1ms", e2e.LOST, "--direct", "on"):
            self.assertEqual(self.packet_count(where + "/bad.pcap"), c["out_packets"] - c["write_lost_packets"])
            self.assertGreater(c["write_lost_packets"], 0)

    def test_replay_direct_short(self):
        for _, c, where in self.replay("output=bad.pcap,short=2", e2e.DONE, "--direct", "on"):
            self.assertEqual(self.packet_count(where + "/bad.pcap"), c["rx_packets"])

    def test_replay_good_pcap_bad_streams(self):
        for result, c, where in self.replay("output=good,bytes=1M,error=ENOSPC,recover=2,retry=1ms", e2e.LOST, "--blocks",
                                            "4"):
            self.said(result, "good", "write failed", "suspended")
            self.assertEqual(c["write_lost_packets"], 0)
            self.assertEqual(self.packet_count(where + "/bad.pcap"), c["out_packets"])
            self.assertEqual(self.stream_bytes(where + "/good"), c["out_stream_bytes"] - c["write_lost_bytes"])

    def test_replay_all_fail(self):
        for result, c, where in self.replay("bytes=100K,error=EIO", e2e.ENVIRONMENT):
            self.assertEqual(c["write_resumes"], 0)
            self.assertEqual(self.packet_count(where + "/bad.pcap"), c["out_packets"] - c["write_lost_packets"], result)

    def test_replay_stall(self):
        """net_pcap waits: a stalled disk loses nothing."""
        for _, c, where in self.replay("output=bad.pcap,stall_at=2M,stall=2s", e2e.DONE, "--blocks", "2"):
            self.assertEqual(c["write_lost_bytes"] + c["shed_block_packets"] + c["shed_block_bytes"] + c["shed_steer"], 0)
            self.assertEqual(self.packet_count(where + "/bad.pcap"), c["rx_packets"])
            self.assertEqual(self.stream_bytes(where + "/good"), CONNECTIONS * BYTES)

    # --- the real thing ---

    def test_a_file_system_that_is_full(self):
        e2e.need_root()
        e2e.need("mount", "umount")
        disk = self.path("disk")
        os.mkdir(disk)
        if e2e.execute(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk]).code != 0:
            self.skipTest("cannot mount a tmpfs here")
        try:
            out = disk + "/o.pcapng"
            result, c = e2e.counters("extract", self.input.name, "-o", out, code=None)
            self.assertIn(result.code, (e2e.LOST, e2e.ENVIRONMENT))
            self.said(result, out, "write failed", "No space left on device")
            self.assertEqual(self.packet_count(out), c["out_packets"] - c["write_lost_packets"])
            os.unlink(out)
            result, c = e2e.counters("streams", self.input.name, "-o", disk + "/s", code=None)
            self.assertIn(result.code, (e2e.LOST, e2e.ENVIRONMENT))
            self.assertEqual(self.stream_bytes(disk + "/s"), c["out_stream_bytes"] - c["write_lost_bytes"])
        finally:
            e2e.execute(["umount", "-l", disk])

    def test_bad_description(self):
        for text in "bytes", "bytes=x", "error=NONE", "what=1", "error=0", "x" * 2000:
            result = run("extract", self.input.name, "-o", self.path("o.pcap"), code=e2e.USAGE, WS_FAULT=text)
            self.one_line(result, "WS_FAULT")


if __name__ == "__main__":
    e2e.main()
