#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures capture to disk: one worker, one writer, packets of a device that never ends (net_pcap with infinite_rx).

usage: tools/bench_capture.py [--json] [--runs N] [--build DIR] [--dir DIR] [--seconds S] [--sizes 60,mix,1514] [--formats pcap,pcapng]
                              [--source file|ring] [--rotate WORDS]

DIR lies on the disk to measure (default: the working directory; it holds a file of some GB at a time). In turns, medians of N runs (5):
  fio       sequential writes past the page cache, 4 MiB, 8 in flight, space reserved ahead: what the disk takes
  receive   capture without an output: receive, decode, flow lookup
  path      the same with packets encoded into blocks, and a disk that takes everything at once: what the worker can make
  ours      to the disk
The figure is ours against the smaller of fio and path, in bytes of the file; `shed` is what the device gave beyond that. Busy is the writer
thread with the kernel's threads that write for it. 60 is the shortest Ethernet frame without its check sum (64 B on the wire); mix is
7 x 60, 4 x 590, 1 x 1514.
--source ring: from DPDK's net_ring, filled by the thread that polls it, instead of net_pcap's infinite_rx. --rotate "--rotate-size 256M": into shards.
--stall instead: 10 Gbit/s of 1,514 B, a disk that stalls for 2 s (injected), with 2,560 blocks of 1 MiB, and with 1,024; each run a line,
exact: offered = in the file + shed + lost. Hugepages make it what it would be on a server: 2,800 MiB."""
import argparse
import json
import os
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SIZES = {"60": [60], "mix": [60] * 7 + [590] * 4 + [1514], "1514": [1514]}


def source(path, sizes, count=8184):
    """A capture of UDP packets of some thousand flows."""
    noise = random.Random(1)
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for i in range(count):
            n = sizes[i % len(sizes)]
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, n - 14, i, 0, 64, 17, 0, 0x0a000000 + i * 7919 % 65536, 0x0a010000 + i % 251)
            frame = bytes(12) + b"\x08\x00" + ip + struct.pack(">HHHH", 1024 + i, 53, n - 34, 0) + noise.randbytes(n - 42)
            f.write(struct.pack("<IIII", 1700000000, i, n, n) + frame)
    return path


def busy(pid, seen):
    """CPU seconds of the threads of a process so far, by thread: the scheduler's own count in ns, not ticks."""
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as f:
                name = f.read().strip()
            with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as f:
                seen[tid] = name, int(f.read().split()[0]) / 1e9
    except OSError:
        pass


def capture(a, pcap, out, *words, fault=None):
    """One run: its counters, seconds, and the writer's share of a CPU."""
    stats = out + ".json"
    source_words = [a.program, "capture", "--dev", f"net_pcap0,rx_pcap={pcap},infinite_rx=1"]
    if a.source == "ring":
        source_words = [a.ring_program, ",".join(map(str, SIZES[a.size])), "capture", "--dev", "net_ring_lab"]
    command = [*source_words, "--duration", f"{a.seconds}s",
               "--overwrite", "--stats-json", stats, *words]
    env = dict(os.environ, **({"WS_FAULT": fault} if fault else {}))
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as p:
        seen = {}
        while p.poll() is None:
            busy(p.pid, seen)
            time.sleep(0.02)
        said = p.stderr.read().decode()
    if p.returncode not in (0, 1):
        sys.exit(f"bench_capture: {' '.join(command)}: {said}")
    with open(stats, encoding="ascii") as f:
        found = json.load(f)
    os.unlink(stats)
    if not found["balanced"]:
        sys.exit(f"bench_capture: the ledger does not balance: {found['ledger']}")
    seconds = float(re.search(r"in ([\d.]+) s", said).group(1))
    writer = sum(x for name, x in seen.values() if name.startswith(("ws-writer", "iou-wrk")))
    return found["counters"], seconds, 100 * writer / seconds


def fio(a, out):
    done = subprocess.run(["fio", "--name=x", f"--filename={out}", "--rw=write", "--bs=4m", "--iodepth=8", "--ioengine=io_uring",
                           "--direct=1", "--size=16g", f"--runtime={int(1000 * a.seconds)}ms", "--fallocate=keep", "--output-format=json"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    os.unlink(out)
    return json.loads(done[done.index(b"{"):])["jobs"][0]["write"]["bw_bytes"] / 1e6


def measure(a, directory):
    rows = {}
    for a.size in a.sizes.split(","):
        size = a.size
        pcap = source(os.path.join(directory, "source.pcap"), SIZES[size])
        for turn in range(a.runs + 1):
            disk = fio(a, os.path.join(directory, "fio"))
            c, seconds, _ = capture(a, pcap, os.path.join(directory, "x"))
            receive = c["rx_packets"] / seconds / 1e6
            for form in a.formats.split(","):
                out = os.path.join(directory, "x." + form)
                c, seconds, _ = capture(a, pcap, out, "--pcap", out, fault="discard=1")
                path = c["write_bytes"] / seconds / 1e6
                os.unlink(out)
                shards = os.path.join(directory, "shards")
                os.mkdir(shards)
                made = os.path.join(shards, "x." + form)
                c, seconds, writer = capture(a, pcap, out, "--pcap", made, *a.rotate.split())
                files = [os.path.join(shards, name) for name in os.listdir(shards)]
                there = sum(map(os.path.getsize, files))
                if there != c["write_bytes"]:
                    sys.exit(f"bench_capture: {there} bytes in {len(files)} files, {c['write_bytes']} were written")
                shutil.rmtree(shards)
                ours = c["write_bytes"] / seconds / 1e6
                if turn:  # the first touch of memory is slow: the first turn does not count
                    rows.setdefault((size, form), []).append({
                        "fio_mb_s": disk, "receive_mpps": receive, "path_mb_s": path, "ours_mb_s": ours,
                        "ours_mpps": (c["out_packets"] - c["write_lost_packets"]) / seconds / 1e6,
                        "ratio": ours / min(disk, path), "writer_busy": writer, "files": len(files),
                        "shed": 100 * c["shed_block_packets"] / c["rx_packets"], "direct": 100 * c["write_direct_bytes"] / c["write_bytes"]})
    return [{"size": size, "format": form, **{k: statistics.median(x[k] for x in found) for k in found[0]}}
            for (size, form), found in rows.items()]


def stall(a, directory):
    pcap = source(os.path.join(directory, "source.pcap"), SIZES["1514"])
    rows = []
    a.seconds = max(a.seconds, 4)  # traffic before, during and after the stall
    for blocks in [2560, 1024] * a.runs:
        out = os.path.join(directory, "x.pcap")
        c, seconds, _ = capture(a, pcap, out, "--pcap", out, "--rate", "1250000000", "--blocks", str(blocks),
                                fault="stall_at=1G,stall=2s")
        with subprocess.Popen([a.program, "flows", "-q", "--json", "--top", "1", "--stats-json", out + ".json", out], stdout=subprocess.DEVNULL) as p:
            p.wait()
        with open(out + ".json", encoding="ascii") as f:
            read = json.load(f)["counters"]["rx_packets"]
        size = os.path.getsize(out)
        os.unlink(out)
        os.unlink(out + ".json")
        rows.append({"blocks": blocks, "seconds": seconds, "gbit_s": c["rx_bytes"] * 8 / a.seconds / 1e9, "offered": c["rx_packets"],
                     "in_file": read, "file_bytes": size, "shed": c["shed_block_packets"], "lost": c["write_lost_packets"],
                     "exact": c["rx_packets"] == read + c["shed_block_packets"] + c["write_lost_packets"]})
        if not a.json:
            show(rows.pop())
    return rows


def show(row):
    print("  ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--dir", default=".")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--sizes", default="60,mix,1514")
    parser.add_argument("--formats", default="pcap,pcapng")
    parser.add_argument("--source", choices=["file", "ring"], default="file")
    parser.add_argument("--rotate", default="", help="words of a rotation, as '--rotate-size 256M': shards instead of one file")
    parser.add_argument("--stall", action="store_true")
    a = parser.parse_args()
    a.program = os.path.join(a.build, "app", "wirespool")
    a.ring_program = os.path.join(a.build, "tests", "bench", "ws-bench-capture-ring")
    a.size = "1514"
    with tempfile.TemporaryDirectory(prefix="ws-bench-", dir=a.dir) as directory:
        rows = stall(a, directory) if a.stall else measure(a, directory)
    if a.json:
        print(json.dumps(rows))
        return
    for r in rows:
        show(r)


if __name__ == "__main__":
    main()
