#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What survives when the disk takes half of what comes: heads of streams and flow records; and how busy the worker is meanwhile.

usage: tools/bench_overload.py [--json] [--runs N] [--build DIR] [--dir DIR] [--gbit G] [--flows N] [--bytes N] [--keep SIZE...]

A generator offers TCP connections over net_ring at G Gbit/s by the clock (2; 1,400-byte segments; 4 of N connections begin each round, so that heads come all the time; all bytes known) to
`capture` with one worker, whose injected disk takes half of the bytes a second. Outputs go to DIR (/dev/shm: it holds half of flows x bytes). The worker has a CPU
for itself, generator and writer share another one. Each run, medians of N (5), with --shed-keep 16K and, as a control, 0 (nothing is left out on purpose):
  busy      the worker: share of the time in rounds with packets, at most that in which it had a CPU; median of the intervals
  records   of flows in --flows
  heads     of streams whose first 16 KiB are on disk whole, byte for byte
  shed      bytes left out or refused by the counters = bytes that are missing in the files (checked; gaps told with --shed-keep, holes without)
Exit code 0: the ledger and the files agree. device_drops above 0: the machine was too busy for the generator's pace: the run says little, and only the ledger was checked."""
import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEAD = 16384
SEGMENT = 1400


def filling(size):
    return bytes((off * 7 + (off >> 8) * 13) & 255 for off in range(size))


def check_stream(path, first, number, told):
    """(bytes that differ, head is whole): of the client's stream of this number."""
    add = number * 131 & 255
    want = bytearray(first.translate(bytes((x + add) & 255 for x in range(256))))
    with open(path, "rb") as f:
        got = f.read()
    head = got[:HEAD] == want[:HEAD]
    for off, length, _ in told:
        want[off:off + length] = bytes(length)
    if want == got:
        return 0, head
    got = got.ljust(len(want), b"\0")
    both = int.from_bytes(want, "big") ^ int.from_bytes(got, "big")
    return len(want) - both.to_bytes(len(want), "big").count(0), head


def one(a, keep, directory):
    streams, records, stats, lines = (os.path.join(directory, x) for x in ("streams", "flows.json", "stats.json", "lines.json"))
    frame_bytes = a.gbit * 1e9 / 8
    lab = (f"tcp=1,flows={a.flows},bytes={a.bytes},segment={SEGMENT},offer={a.begin},ring=32768,pace={int(frame_bytes)},seed=1")
    cpus = sorted(os.sched_getaffinity(0))
    other, own = cpus[0], cpus[-1]
    # lcore 0 is the main thread, whose CPU the generator inherits; then worker and writers
    command = [os.path.join(a.build, "tests", "e2e", "ledger_ring"), lab, "capture", "--dev", "net_ring_lab", "--workers", "1", "--eal",
               f"--no-huge -m 512 --no-shconf --lcores 0@{other},1@{own},2@{other},3@{other}", "--streams", streams, "--flows", records, "--gaps-file",
               "--shed-keep", str(keep), "--stats-json", stats, "--stats-interval", "200ms", "--stats-interval-json", lines,
               "--drain", "60s", "--backend", "plain", "-q"]
    env = dict(os.environ, WS_LAB_REPORT=os.path.join(directory, "report.json"), WS_FAULT=f"output=streams,rate={int(frame_bytes / 2)}")
    done = subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"bench_overload: {' '.join(command)}: {done.returncode}: {done.stderr.decode()[-500:]}")
    with open(stats, encoding="ascii") as f:
        found = json.load(f)
    with open(lines, encoding="ascii") as f:
        intervals = [json.loads(x) for x in f]
    c = found["counters"]
    middle = [x for x in intervals[1:] if not x["end"] and x["packets_per_s"] > 0] or intervals
    busy = [min(t["busy"], t["cpu"]) for x in middle for t in x["threads"] if t["thread"] == "worker"]
    with open(records, encoding="ascii") as f:
        seen = {json.loads(x)["id.orig_h"] for x in f}
    first = filling(a.bytes)
    names = os.listdir(streams)
    told = {}
    for name in names:
        if name.endswith(".gaps"):
            with open(os.path.join(streams, name), encoding="ascii") as f:
                told[name[:-5]] = [(g["offset"], g["length"], g["cause"]) for g in map(json.loads, f)]
    heads = silent = present = 0
    for name in names:
        if name.endswith(".gaps") or not name.startswith("010."):
            continue
        client = [int(x) for x in name.split(".")[:4]]
        number = struct.unpack(">I", bytes(client))[0] - 0x0a000000 - 1
        wrong, head = check_stream(os.path.join(streams, name), first, number, told.get(name, []))
        heads += head
        silent += wrong
        present += 1
    silent += (a.flows - present) * a.bytes  # a file that is not there lacks them all
    gaps = sum(n for g in told.values() for _, n, cause in g if cause == "shed")
    offered = a.flows * a.bytes
    shed = c["shed_bulk_bytes"] + c["shed_block_bytes"]
    exact = found["balanced"] and c["payload_delivered"] == c["out_stream_bytes"] + shed and c["write_lost_bytes"] == 0
    if not c["port_missed"]:  # else gaps of other causes, and lines about them that found no block
        exact = (exact and c["payload_delivered"] == offered and gaps == c["shed_bulk_bytes"]
                 and 0.98 * c["shed_block_bytes"] <= silent <= c["shed_block_bytes"])  # a lost zero is not seen
    return {"gbit_s": statistics.median(x["bits_per_s"] for x in middle) / 1e9, "disk_mb_s": statistics.median(x["disk_bytes_per_s"] for x in middle) / 1e6,
            "busy": 100 * statistics.median(busy), "busy_most": 100 * max(busy), "records": 100 * len(seen) / a.flows,
            "heads": 100 * heads / a.flows, "shed": 100 * shed / offered, "in_gaps": gaps, "no_block": c["shed_block_bytes"],
            "device_drops": c["port_missed"], "exact": exact}


def measure(a):
    rows = {keep: [] for keep in a.keep}
    for turn in range(a.runs + 1):
        for keep in a.keep:
            directory = tempfile.mkdtemp(prefix="ws-bench-", dir=a.dir)
            try:
                found = one(a, keep, directory)
            finally:
                shutil.rmtree(directory, ignore_errors=True)
            if turn:  # the first touch of memory is slow: the first turn does not count
                rows[keep].append(found)
    return [{"keep": keep, **{k: all(x[k] for x in runs) if k == "exact" else statistics.median(x[k] for x in runs) for k in runs[0]}}
            for keep, runs in rows.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--dir", default="/dev/shm")
    parser.add_argument("--gbit", type=float, default=2)
    parser.add_argument("--flows", type=int, default=3000)
    parser.add_argument("--begin", type=int, default=4, help="connections that begin each round")
    parser.add_argument("--bytes", type=int, default=200000)
    parser.add_argument("--keep", nargs="+", default=["16K", "0"])
    a = parser.parse_args()
    rows = measure(a)
    if a.json:
        print(json.dumps(rows))
    else:
        for r in rows:
            print("  ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in r.items()))
    sys.exit(0 if all(r["exact"] for r in rows) else 1)


if __name__ == "__main__":
    main()
