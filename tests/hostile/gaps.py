#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Gaps end to end: gaps.py WIRESPOOL [NAME...]

Each cause of a gap (never seen, cap, evicted, snap length, missing fragment, filtered) is brought about by packets
written here, and must be told with its offset and length by `streams --json` and by the .gaps sidecar; and what a hole
may cost in the file system is bounded whatever the sequence numbers say. On 1 and 4 workers.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cases"))
from build import STEP, T0, Packet, Talk, eth, fragments, pcap  # noqa: E402 pylint: disable=wrong-import-position

WIRESPOOL = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else sys.exit(__doc__)
GIB = 1 << 30


class Failure(Exception):
    pass


def same(what, expected, actual):
    if expected != actual:
        raise Failure(f"{what}\n  expected {str(expected)[:1000]}\n  actual   {str(actual)[:1000]}")


class Out:
    """One run of `streams`: lines of the report by direction, files, sidecars, counters."""

    def __init__(self, directory, packets, words, workers=1):
        self.directory = tempfile.mkdtemp(dir=directory)
        capture, self.out = os.path.join(self.directory, "in.pcap"), os.path.join(self.directory, "out")
        with open(capture, "wb") as f:
            f.write(pcap([p.stamped(p.at or T0 + i * STEP) for i, p in enumerate(packets)]))
        command = [WIRESPOOL, "streams", capture, "-o", self.out, "--json", "--gaps-file", "-q", "--workers",
                   str(workers), "--stats-json", self.out + ".json", *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=120, check=False)
        if done.returncode:
            raise Failure(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr.decode()[-2000:]}")
        with open(self.out + ".json", encoding="utf-8") as f:
            stats = json.load(f)
        same("ledger", True, stats["balanced"])
        self.counters = stats["counters"]
        self.lines = [json.loads(x) for x in done.stdout.decode().splitlines()]

    def line(self, port):
        """The report of the one file sent from this port."""
        found = [x for x in self.lines if x["src_port"] == port]
        same(f"files from port {port}", 1, len(found))
        return found[0]

    def file(self, line):
        return os.path.join(self.out, line["file"])

    def sidecar(self, line):
        path = self.file(line) + ".gaps"
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return [[g["offset"], g["length"], g["cause"]] for g in map(json.loads, f)]

    def expect(self, port, gaps, data):
        """The stream's gaps in report and sidecar, and its bytes, holes as zeros."""
        line = self.line(port)
        same("gap_list", gaps, line["gap_list"])
        same("gaps", len(gaps), line["gaps"])
        same("gap_bytes", sum(g[1] for g in gaps), line["gap_bytes"])
        same("sidecar", gaps, self.sidecar(line))
        with open(self.file(line), "rb") as f:
            same("bytes", data, f.read())
        return line


def bare(datagram):
    return datagram


def never_seen(directory, workers):
    """Two segments that nobody captured, one of them the last before the FIN."""
    t = Talk()
    packets = t.open() + [t.c(0, b"abc"), t.c(10, b"xyz"), t.c.fin(20)]
    Out(directory, packets, [], workers).expect(
        t.c.port, [[3, 7, "never_seen"], [13, 7, "never_seen"]], b"abc" + bytes(7) + b"xyz" + bytes(7))


def at_the_start(directory, workers):
    """The first segment is missing: the gap comes before any data, and is in the list all the same."""
    t = Talk()
    packets = t.open() + [t.c(5, b"late")]
    Out(directory, packets, [], workers).expect(t.c.port, [[0, 5, "never_seen"]], bytes(5) + b"late")


def cap(directory, workers):
    """More is out of order than may be held: the oldest hole is given up, and said so."""
    t = Talk()
    blocks = [bytes([65 + i]) * 1000 for i in range(40)]
    packets = t.open() + [t.c(1 + 1000 * i, b) for i, b in enumerate(blocks)] + [t.c(0, b"!")]
    out = Out(directory, packets, ["--held-max-stream", "16K"], workers)
    out.expect(t.c.port, [[0, 1, "cap"]], bytes(1) + b"".join(blocks))
    same("gaps_cap", 1, out.counters["gaps_cap"])


def evicted(directory, workers):
    """The table is full: what the flow held comes out, its hole says why nobody waited longer."""
    t = Talk()
    others = [Talk(sport=41000 + i) for i in range(200)]
    packets = t.open() + [t.c(0, b"abc"), t.c(10, b"xyz")]
    for o in others:
        packets += o.open() + [o.c(0, b"o")]
    out = Out(directory, packets, ["--flows-max", "8"], workers)
    out.expect(t.c.port, [[3, 7, "evicted"]], b"abc" + bytes(7) + b"xyz")
    if out.counters["flows_evicted"] < 100:
        raise Failure(f"only {out.counters['flows_evicted']} evicted")


def snaplen(directory, workers):
    """The capture kept the first bytes of a segment only."""
    t = Talk()
    packets = t.open() + [t.c(0, b"0123456789").cut(14 + 20 + 20 + 4), t.c(10, b"xyz")]
    Out(directory, packets, [], workers).expect(t.c.port, [[4, 6, "snaplen"]], b"0123" + bytes(6) + b"xyz")


def pieces(packet, *cuts):
    return [Packet(eth(f), packet.note) for f in fragments(packet.data, *cuts)]


def framed(packets):
    return [Packet(eth(p.data), p.note) for p in packets]


def fragment(directory, workers):
    """A fragment of a segment's datagram never came: the whole segment is missing, not its neighbour."""
    t = Talk(wrap=bare)
    whole = pieces(t.c(3, b"0123456789" * 10), 48, 80)
    packets = framed(t.open() + [t.c(0, b"abc")]) + [whole[0], whole[2]] + framed([t.c(110, b"xyz")])
    Out(directory, packets, [], workers).expect(
        t.c.port, [[3, 100, "fragment"], [103, 7, "never_seen"]], b"abc" + bytes(107) + b"xyz")


def fragment_sent_again(directory, workers):
    """The same, but the segment was sent again: no gap at all, even if the datagram was given up before."""
    t = Talk(wrap=bare)
    data = b"0123456789" * 10
    whole = pieces(t.c(3, data), 48, 80)
    again = framed([t.c(3, data), t.c(103, b"xyz")])
    for p in again:
        p.at = T0 + 100 * 10**9
    packets = framed(t.open() + [t.c(0, b"abc")]) + [whole[0], whole[2]] + again
    Out(directory, packets, ["--frag-timeout", "1"], workers).expect(t.c.port, [], b"abc" + data + b"xyz")


def filtered(directory, workers):
    """The filter refuses a segment of a connection that it lets pass otherwise."""
    t = Talk()
    packets = t.open() + [t.c(0, b"abc"), t.c(3, b"long one" * 4), t.c(35, b"xyz")]
    Out(directory, packets, ["-f", "less 80"], workers).expect(
        t.c.port, [[3, 32, "filtered"]], b"abc" + bytes(32) + b"xyz")


def skip(directory, workers):
    """--gaps skip: nothing in the file, all in the lists."""
    t = Talk()
    packets = t.open() + [t.c(0, b"abc"), t.c(10, b"xyz")]
    out = Out(directory, packets, ["--gaps", "skip"], workers)
    line = out.expect(t.c.port, [[3, 7, "never_seen"]], b"abcxyz")
    same("file_bytes", 6, line["file_bytes"])


def far_away(directory, workers):
    """A segment 1 GiB away, by a sequence space of its own: no file of 1 GiB, and no file more."""
    t = Talk()
    packets = t.open() + [t.c(0, b"abc"), t.c(GIB, b"far"), t.c(3, b"def")]
    out = Out(directory, packets, [], workers)
    out.expect(t.c.port, [], b"abcdef")
    same("refused_window", 3, out.counters["refused_window"])


def far_for_good(directory, workers):
    """The same, and the stream goes on there: one declared hole, within --holes-max, left out beyond."""
    t = Talk()
    packets = t.open() + [t.c(0, b"abc")] + [t.c(GIB + 3 * i, b"far") for i in range(64)]
    out = Out(directory, packets, ["--holes-max", "1M"], workers)
    line = out.line(t.c.port)
    same("one gap", 1, line["gaps"])
    if os.path.getsize(out.file(line)) > 1000:
        raise Failure(f"{os.path.getsize(out.file(line))} bytes in the file")
    same("hole_bytes_skipped", line["gap_bytes"], out.counters["hole_bytes_skipped"])
    out = Out(directory, packets, ["--holes-max", "2G"], workers)
    line = out.line(t.c.port)
    same("size: payload and declared hole", line["bytes"] + line["gap_bytes"], os.path.getsize(out.file(line)))
    if os.stat(out.file(line)).st_blocks * 512 > 1 << 20:
        raise Failure("the hole takes space")


def two_spaces(directory, workers):
    """Two sequence spaces on one tuple, turn about: one file a direction, its size as declared."""
    t = Talk()
    packets = t.open()
    for turn in range(40):
        packets += [t.c(turn // 2 * 300 + 10 * i + (GIB if turn % 2 else 0), b"0123456789") for i in range(30)]
    out = Out(directory, packets, [], workers)
    same("files", 1, len(out.lines))
    line = out.line(t.c.port)
    size = os.path.getsize(out.file(line))
    if size > line["bytes"] + line["gap_bytes"] or size > 2 * GIB:
        raise Failure(f"size {size}: {line}")


def many(directory, workers):
    """More gaps than a line lists: the first 1,000, and how many more; the sidecar has all."""
    t = Talk()
    packets = t.open() + [t.c(2 * i, b"x") for i in range(1502)]
    out = Out(directory, packets, [], workers)
    line = out.line(t.c.port)
    same("listed", [[2 * i + 1, 1, "never_seen"] for i in range(1000)], line["gap_list"])
    same("more", 501, line["gap_list_more"])
    same("gaps", 1501, line["gaps"])
    same("sidecar", 1501, len(out.sidecar(line)))


def joined(directory, workers):
    """A file of both directions: a list for each."""
    t = Talk()
    packets = t.open() + [t.c(0, b"abc"), t.s(0, b"de", ack=3), t.c(10, b"xyz"), t.s(5, b"fg", ack=13)]
    line = Out(directory, packets, ["--format", "chunks"], workers).line(t.c.port)
    same("there", [[3, 7, "never_seen"]], line["gap_list"])
    same("back", [[2, 3, "never_seen"]], line["back_gap_list"])


TESTS = [never_seen, at_the_start, cap, evicted, snaplen, fragment, fragment_sent_again, filtered, skip, far_away,
         far_for_good, two_spaces, many, joined]


def main():
    failed = 0
    for test in TESTS:
        if sys.argv[2:] and test.__name__ not in sys.argv[2:]:
            continue
        for workers in (1, 4):
            if test is evicted and workers > 1:
                continue  # which flow goes depends on how they are spread
            directory = tempfile.mkdtemp(prefix="ws-gaps-")
            try:
                test(directory, workers)
            except (Failure, subprocess.TimeoutExpired, OSError, KeyError, ValueError) as error:
                failed += 1
                print(f"FAIL {test.__name__} ({workers} workers): {test.__doc__}\n  {type(error).__name__}: {error}")
            finally:
                shutil.rmtree(directory, ignore_errors=True)
    print(f"{failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
