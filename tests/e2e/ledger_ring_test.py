#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The ledger to the packet: stamped traffic over net_ring into a throttled pipeline, read back by a reader of our own.

By default a few runs of each rate; WS_LEDGER_RUNS=100 makes that many."""
import concurrent.futures
import glob
import json
import os
import struct
import unittest

import e2e

LAB = os.environ.get("WS_LEDGER_RING", "")
RUNS = int(os.environ.get("WS_LEDGER_RUNS", "24"))
TAKES = 64  # packets a queue and round that the whole pipeline takes; the receive stage alone takes twice that


def lab(directory, name, settings, *words, code=(0, 1)):
    """A run: (result, statistics, the generator's report). settings: struct lab of ledger_ring.c."""
    base = os.path.join(directory, name)
    text = ",".join(f"{k}={v}" for k, v in settings.items())
    result = e2e.sane(e2e.execute([LAB, text, "capture", "--dev", "net_ring_lab", "--workers", settings.get("workers", 1),
                                   "--queues", settings.get("queues", 1), "--eal", "--no-huge -m 256 --no-shconf",
                                   "--stats-json", base + ".stats", "--drain", "60s", "--backend", "plain", *words],
                                  WS_LAB_REPORT=base + ".report"))
    if result.code not in code:
        raise AssertionError(f"exit code {result.code}: {result}")
    with open(base + ".stats", encoding="ascii") as f:
        stats = json.load(f)
    with open(base + ".report", encoding="ascii") as f:
        report = json.load(f)
    if not stats["balanced"]:
        raise AssertionError(f"{stats['ledger']}\n{result}")
    return result, stats, report


def filling(a, off):
    return (a * 131 + off * 7 + (off >> 8) * 13) & 255


def pcap_frames(path):
    """(frame, 0) of a classic file, which cannot tell of drops."""
    with open(path, "rb") as f:
        b = f.read()
    magic, = struct.unpack_from("<I", b)
    assert magic in (0xa1b23c4d, 0xa1b2c3d4), hex(magic)
    at = 24
    while at < len(b):
        cap, wire = struct.unpack_from("<II", b, at + 8)
        assert at + 16 + cap <= len(b) and cap == wire
        yield b[at + 16:at + 16 + cap], 0
        at += 16 + cap


def pcapng_read(path):
    """([(frame, packets said to be lost before it)], last interface statistics as {option: value}) of one section."""
    with open(path, "rb") as f:
        b = f.read()
    frames, stats, at = [], None, 0
    while at < len(b):
        kind, length = struct.unpack_from("<II", b, at)
        assert length % 4 == 0 and at + length <= len(b)
        assert struct.unpack_from("<I", b, at + length - 4) == (length,)
        body, end = at + 8, at + length - 4
        if kind == 6:
            cap, wire = struct.unpack_from("<II", b, body + 12)
            assert cap == wire
            options = pcapng_options(b, body + 20 + (cap + 3) // 4 * 4, end)
            assert options.get(4) != 0, "a drop count of nothing"
            frames.append((b[body + 20:body + 20 + cap], options.get(4, 0)))
        elif kind == 5:
            stats = pcapng_options(b, body + 12, end)
        else:
            assert kind in (0x0a0d0d0a, 1), hex(kind)
        at += length
    return frames, stats


def pcapng_options(b, at, end):
    found = {}
    while at < end:
        code, length = struct.unpack_from("<HH", b, at)
        if code == 0:
            return found
        if length == 8:
            found[code], = struct.unpack_from("<Q", b, at + 4)
        at += 4 + (length + 3) // 4 * 4
    return found


def check_frame(frame):
    """(queue, sequence number) of a stamped frame, whose bytes are the generator's."""
    assert frame[12:14] == b"\x08\x00" and frame[23] == 17
    assert len(frame) == 14 + struct.unpack_from(">H", frame, 16)[0]
    p = frame[42:]
    queue, seq, _ = struct.unpack_from(">BQI", p)
    assert all(p[i] == filling(seq, i) for i in range(13, len(p), 97)), "bytes of another packet"
    return queue, seq


def lost_before_output(counters):
    """Packets of a thread that never came to a packet output."""
    return sum(counters.get(x, 0) for x in ("shed_steer", "shed_other", "shed_flow"))


def one_run(directory, number, rate, shape):
    """Offered = on disk + rejected by the device + shed, by cause, for each queue. shape: queues, workers, placed."""
    queues, workers, placed = shape
    name = f"r{number}"
    settings = {"queues": queues, "workers": workers, "placed": int(placed), "packets": 1500 + number % 7 * 100,
                "offer": int(TAKES * rate), "polls": 2, "ring": 256, "bytes": 200 + number % 5 * 60, "seed": number}
    # the writer takes some two blocks a time, the receive stage twice what that is
    settings["every"] = 2 * 65536 // (TAKES * (settings["bytes"] + 71))
    ng = bool(number // len(SHAPES) % 2)
    stem = os.path.join(directory, name, "x.pcapng" if ng else "x.pcap")
    os.mkdir(os.path.dirname(stem))
    rotate = ["--rotate-size", "300K"] if number % 3 else []
    result, stats, report = lab(directory, name, settings, "--pcap", stem, "--blocks", "8", "--block-size", "64K"
                                if rotate or placed and queues > 1 else "1M", *rotate)
    disk = [set() for _ in range(queues)]
    said, isb, order = 0, [], []
    for path in sorted(glob.glob(os.path.join(directory, name, "*"))):
        assert path.endswith(".pcapng" if ng else ".pcap"), path
        frames = pcap_frames(path)
        if ng:
            frames, stats_block = pcapng_read(path)
            isb += [stats_block] if stats_block else []
        for frame, dropped in frames:
            queue, seq = check_frame(frame)
            said += dropped
            order.append((seq, dropped))
            assert seq not in disk[queue], f"{queue}:{seq} twice: {result}"
            disk[queue].add(seq)
    thread = {(t["thread"], t["number"]): t["counters"] for t in stats["threads"]}
    total = stats["counters"]
    assert report["buffers_left"] == 0, report
    assert total["rx_packets"] + total["port_missed"] == sum(q["offered"] for q in report["queues"]), result
    for q in range(queues):
        r, c = report["queues"][q], stats["queues"][q]
        assert c["missed"] == r["rejected"] and c["packets"] == r["offered"] - r["rejected"], (c, r)
        if placed:
            w = thread["worker", q]
            got = len(disk[q]) + w.get("shed_block_packets", 0) + lost_before_output(w)
            assert w["rx_packets"] == c["packets"] == got, (q, w, len(disk[q]), str(result))
            assert r["offered"] == len(disk[q]) + r["rejected"] + w.get("shed_block_packets", 0) + lost_before_output(w)
        elif not total["shed_block_packets"] + total["shed_flow"]:  # behind the rings packets are of workers, no more of queues
            assert len(disk[q]) == c["packets"] - c["shed_steer"] - c["shed_other"], (q, c, str(result))
    for cause in ("shed_steer", "shed_other"):
        assert sum(c[cause] for c in stats["queues"]) == total[cause], result
    on_disk = sum(len(d) for d in disk)
    assert total["out_packets"] == on_disk
    assert sum(q["offered"] for q in report["queues"]) == (on_disk + total["port_missed"] + total["shed_block_packets"] +
                                                            lost_before_output(total)), result
    if ng:  # the files themselves tell: interface statistics all, drop counts all but what no packet followed
        last = {k: max(x.get(k, 0) for x in isb) for k in (4, 5, 7, 8)}
        assert last[4] == sum(q["offered"] for q in report["queues"]), (last, str(result))
        assert last[5] == total["port_missed"], (last, str(result))
        assert last[7] == total["shed_block_packets"] + lost_before_output(total), (last, str(result))
        assert last[8] == on_disk, (last, str(result))
        assert said <= last[5] + last[7], (said, last)
        if queues == 1 and not last[5]:  # what the sink itself lost is told in its place
            before = -1
            for seq, dropped in order:
                assert dropped == seq - before - 1, (seq, before, dropped, str(result))
                before = seq
    lost = total["port_missed"] + total["shed_block_packets"] + lost_before_output(total)
    assert result.code == (1 if lost else 0), result
    return rate, total["port_missed"], total["shed_block_packets"], lost_before_output(total), said


SHAPES = [(1, 1, True), (2, 2, True), (2, 2, False)]


@unittest.skipUnless(LAB, "no net_ring to link with")
class Rates(e2e.Case):
    def test_exact(self):
        jobs = [(n, (0.5, 1, 2, 4)[n % 4], SHAPES[n // 4 % len(SHAPES)]) for n in range(RUNS)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda j: one_run(self.directory, *j), jobs))
        for rate in (0.5, 1, 2, 4):
            mine = [d for d in done if d[0] == rate]
            print(f"rate {rate}: {len(mine)} runs, rejected {sum(d[1] for d in mine)}, no block {sum(d[2] for d in mine)}, "
                  f"steering {sum(d[3] for d in mine)}, said by drop counts {sum(d[4] for d in mine)}")
        self.assertGreater(sum(d[4] for d in done), 0)
        lost = {rate: sum(sum(d[1:4]) for d in done if d[0] == rate) for rate in (0.5, 1, 2, 4)}
        self.assertLess(lost[0.5], lost[2])
        self.assertLess(lost[0.5], lost[4])
        self.assertGreater(sum(d[1] for d in done if d[0] == 4), 0)
        self.assertGreater(sum(d[2] for d in done if d[0] >= 2), 0)


@unittest.skipUnless(LAB, "no net_ring to link with")
class Overload(e2e.Case):
    KEEP = 16384

    def test_streams_twice(self):
        """At twice what the stream output takes: all flow records, the first 16 KiB of all but a few streams, exact gaps."""
        flows, size = 300, 150000
        settings = {"tcp": 1, "flows": flows, "bytes": size, "offer": 4, "polls": 100000, "ring": 8192, "every": 36, "seed": 5}
        streams, records = self.path("streams"), self.path("flows.json")
        result, stats, report = lab(self.directory, "tcp", settings, "--streams", streams, "--flows", records, "--gaps-file",
                                    "--blocks", "16", "--block-size", "1M", code=(1,))
        c = stats["counters"]
        with open(records, encoding="ascii") as f:
            seen = {json.loads(x)["id.orig_h"] for x in f}
        self.assertEqual(len(seen), flows, result)
        self.assertEqual(c["port_missed"], 0)
        self.assertEqual(c["rx_packets"], report["queues"][0]["offered"])
        self.assertEqual(c["payload_delivered"], flows * size)
        self.assertEqual(c["payload_delivered"], c["out_stream_bytes"] + c["shed_bulk_bytes"] + c["shed_block_bytes"], result)
        missing = self.missing(streams, flows, size)
        self.assertLessEqual(missing, c["shed_block_bytes"], result)  # a lost zero is not seen
        self.assertEqual(self.told, c["shed_bulk_bytes"], result)
        self.assertGreater(c["shed_bulk_bytes"], flows * size // 4, "no overload")
        print(f"written {c['out_stream_bytes']}, bulk shed {c['shed_bulk_bytes']}, no block {c['shed_block_bytes']}, "
              f"whole heads {self.heads} of {flows}")
        self.assertGreaterEqual(self.heads, flows * 0.99)

    def overload(self, name, flows, size, every, *words):
        """A small run that sheds: counters, and where its streams are. Flow records of all flows are a file of their own."""
        settings = {"tcp": 1, "flows": flows, "bytes": size, "offer": 4, "polls": 100000, "ring": 8192, "every": every, "seed": 5}
        streams, records = self.path(name), self.path(name + ".json")
        result, stats, report = lab(self.directory, "lab-" + name, settings, "--streams", streams, "--flows", records,
                                    "--blocks", "8", "--block-size", "1M", *words, code=(1,))
        with open(records, encoding="ascii") as f:
            self.assertEqual(len({json.loads(x)["id.orig_h"] for x in f}), flows, result)
        self.assertEqual(stats["counters"]["rx_packets"], report["queues"][0]["offered"])
        return stats["counters"], streams

    def test_archive(self):
        """An archive keeps the heads as files do; what it left out reads back as gaps of cause shed, and is nobody's fault then."""
        flows, size = 120, 100000
        c, archive = self.overload("archive", flows, size, 100, "--format", "archive")
        self.assertEqual(c["payload_delivered"], c["out_stream_bytes"] + c["shed_bulk_bytes"] + c["shed_block_bytes"])
        self.assertGreater(c["shed_bulk_bytes"], flows * size // 10, "no overload")
        self.assertEqual((c["shed_block_bytes"], c["gap_records_lost"], c["flow_records_lost"]), (0, 0, 0))
        streams = self.path("files")
        e2e.run("streams", archive, "-o", streams, "--gaps-file", "-q")
        self.assertEqual(self.missing(streams, flows, size), 0)
        self.assertEqual(self.heads, flows)
        self.assertEqual(self.told, c["shed_bulk_bytes"])
        self.assertEqual(len(e2e.flows(archive)), flows)

    def test_arrival(self):
        """In arrival order what is left out is a hole."""
        flows, size = 120, 100000
        c, streams = self.overload("arrival", flows, size, 100, "--order", "arrival")
        self.assertGreater(c["shed_bulk_bytes"], flows * size // 10, "no overload")
        self.assertEqual(flows * size, c["out_stream_bytes"] + c["shed_bulk_bytes"] + c["shed_block_bytes"])
        missing = self.missing(streams, flows, size)
        self.assertLessEqual(missing, c["shed_bulk_bytes"] + c["shed_block_bytes"])  # a lost zero is not seen
        self.assertGreaterEqual(missing, c["shed_bulk_bytes"] * 0.98)
        self.assertGreaterEqual(self.heads, flows * 0.99)

    def test_packets(self):
        """Of captures of flows the first bytes of each file are kept, whole packets."""
        flows, size = 120, 100000
        c, streams = self.overload("pcap", flows, size, 100, "--format", "pcap")
        self.assertGreater(c["shed_bulk_packets"], c["rx_packets"] // 10, "no overload")
        self.assertEqual(c["rx_packets"], c["out_stream_packets"] + c["shed_bulk_packets"] + c["shed_block_packets"])
        written = whole = 0
        for name in os.listdir(streams):
            at, expected = 24, None
            gap_at = None
            for frame, _ in pcap_frames(os.path.join(streams, name)):
                written += 1
                if frame[23] == 6 and struct.unpack_from(">H", frame, 34)[0] != 80:  # the client's
                    seq, = struct.unpack_from(">I", frame, 38)
                    flags = frame[47]
                    if expected not in (None, seq) and gap_at is None:
                        gap_at = at
                    expected = seq + len(frame) - 54 + (flags & 2) // 2
                at += 16 + len(frame)
            whole += gap_at is None or gap_at >= self.KEEP
        self.assertEqual(written, c["out_stream_packets"])
        self.assertGreaterEqual(whole, flows * 0.99)

    def missing(self, streams, flows, size):
        """Checks every file against the generator's bytes; returns how many are missing that no gap of cause shed tells."""
        names = set(os.listdir(streams))
        first = bytes(filling(0, off) for off in range(size))
        missing = self.heads = self.told = 0
        for n in range(flows):
            start = e2e.address("10.0.%d.%d" % ((n + 1) >> 8, (n + 1) & 255)) + "."
            mine = [x for x in names if x.startswith(start) and not x.endswith(".gaps")]
            self.assertLessEqual(len(mine), 1)
            if not mine:
                missing += size
                continue
            with open(os.path.join(streams, mine[0]), "rb") as f:
                got = f.read()
            add = filling(n, 0)
            want = bytearray(first.translate(bytes((x + add) & 255 for x in range(256))))
            self.heads += got[:self.KEEP] == want[:self.KEEP]
            end = 0
            if mine[0] + ".gaps" in names:
                with open(os.path.join(streams, mine[0] + ".gaps"), encoding="ascii") as f:
                    for g in map(json.loads, f):
                        self.assertEqual(g["cause"], "shed")
                        self.assertGreaterEqual(g["offset"], self.KEEP)
                        self.assertGreaterEqual(g["offset"], end, "told twice")
                        end = g["offset"] + g["length"]
                        self.told += g["length"]
                        want[g["offset"]:end] = bytes(g["length"])
            self.assertEqual(len(got), size)
            if want != got:  # a gap is a hole, and all else is there, but for what found no block
                missing += sum(1 for w, b in zip(want, got) if w != b)
        return missing


if __name__ == "__main__":
    e2e.main()
