#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the program on every case: run.py BINARY [NAME...], a NAME being 50, case_50, trap_jump or a group's letter.

Each case runs on 1 and on 4 workers; Ethernet captures also with frames padded to 60 bytes and an FCS behind them.
"""
import importlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import build
from build import ETHERNET

GROUPS = "abcdefgh"
WORKERS = (1, 4)
CONTENT = {"tcp_overlap_diff"}  # counters that need the bytes, which only `streams` keeps
# What no run may ever say.
FORBIDDEN = ("ledger mismatch", "AddressSanitizer", "runtime error:", "ThreadSanitizer", "LeakSanitizer", "WRONG")


def cases(wanted):
    """(name, docstring, Case) of every case whose name is wanted."""
    names = {f"case_{w}" if re.match(r"\d", w) else w for w in wanted}
    for group in GROUPS:
        module = importlib.import_module("group_" + group)
        for name, function in vars(module).items():
            if not re.match(r"(case|trap)_", name) or (names and not names & {name, group}):
                continue
            made = function()
            for case in made if isinstance(made, list) else [made]:
                yield name, function.__doc__, case


def padded(packets):
    """The frames as a tap on the wire would see them: no shorter than 60 bytes, then the frame check sequence."""
    out = []
    for p in packets:
        if p.wire is not None or (p.link is not None and p.link != ETHERNET):
            out.append(p)
            continue
        frame = p.data + b"\xee" * (60 - len(p.data))
        out.append(build.Packet(frame + struct.pack("<I", zlib.crc32(frame)), p.note, p.at, None, p.link))
    return out


def stamped(packets):
    """Every packet with a time: its own, or a step after the one before."""
    out, now = [], build.T0 - build.STEP
    for p in packets:
        now = now + build.STEP if p.at is None else p.at
        out.append(p.stamped(now))
    return out


def read_pcap(data):
    """(stamp in ns, frame, wire length) of the records of a pcap or pcapng file as the program writes them."""
    out, at = [], 24
    if data[:4] == b"\x4d\x3c\xb2\xa1":
        while at < len(data):
            sec, ns, cap, wire = struct.unpack_from("<IIII", data, at)
            out.append((sec * 10**9 + ns, data[at + 16:at + 16 + cap], wire))
            at += 16 + cap
        return out
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 6:
            _, high, low, cap, wire = struct.unpack_from("<IIIII", data, at + 8)
            out.append((high << 32 | low, data[at + 28:at + 28 + cap], wire))
        at += size
    return out


def key_name(key):
    return key if isinstance(key, str) else key.name


class Failure(Exception):
    pass


class Run:
    """One case in one variant, in a directory of its own."""

    def __init__(self, binary, case, workers, pad, directory):
        self.binary, self.case, self.workers, self.dir = binary, case, workers, directory
        packets = stamped(case.packets)
        self.packets = padded(packets) if pad else packets
        self.file = self.path("in.pcap")
        with open(self.file, "wb") as f:
            if case.links:
                f.write(build.pcapng(self.packets, case.links, case.order))
            else:
                f.write(build.pcap(self.packets, case.link, case.order, case.ns))

    def path(self, name):
        return os.path.join(self.dir, name)

    def execute(self, command, *words):
        """Runs a command on the capture; its standard output."""
        stats = self.path("stats.json")
        line = [self.binary, command, "-q", "--workers", str(self.workers), "--stats-json", stats, *words,
                *self.case.args, self.file]
        done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False, timeout=120)
        err = done.stderr.decode("utf-8", "replace")
        if done.returncode != 0 or any(word in err for word in FORBIDDEN):
            raise Failure(f"{' '.join(line)}\nexit {done.returncode}\n{err[-3000:]}")
        with open(stats, encoding="utf-8") as f:
            said = json.load(f)
        if not said["balanced"]:
            raise Failure(f"{command}: ledger: {[e for e in said['ledger'] if not e['ok']]}")
        return done.stdout.decode("utf-8"), said["counters"]

    @staticmethod
    def same(what, expected, actual):
        if expected != actual:
            raise Failure(f"{what}\n  expected {expected!r}\n  actual   {actual!r}")

    def check_streams(self):
        """The stream files' bytes and their gaps, and the counters."""
        out = self.path("streams")
        report, counters = self.execute("streams", "-o", out, "--gaps-file", "--json", *self.case.stream_args)
        expected = {key_name(k): v for k, v in self.case.streams.items()}
        gaps = {key_name(k): v for k, v in self.case.gaps.items()}
        actual, found = {}, {}
        for name in sorted(os.listdir(out)) if os.path.isdir(out) else []:
            with open(os.path.join(out, name), "rb") as f:
                data = f.read()
            if name.endswith(".gaps"):
                found[name[:-5]] = [(g["offset"], g["length"], g["cause"]) for g in map(json.loads, data.splitlines())]
            else:
                actual[name] = data
        self.same("stream files", sorted(expected), sorted(actual))
        for name, want in expected.items():
            if want != actual[name]:
                self.same(f"stream {name}: first difference at {self.differ(want, actual[name])} of {len(want)}, "
                          f"{len(actual[name])} bytes", self.short(want), self.short(actual[name]))
        self.same("gaps", gaps, found)
        lines = {x["file"]: x for x in map(json.loads, report.splitlines())}
        self.same("streams --json: files", sorted(expected), sorted(lines))
        for name, line in lines.items():
            missing = gaps.get(name, [])
            want = {"file_bytes": len(expected[name]), "gaps": len(missing), "gap_bytes": sum(g[1] for g in missing)}
            self.same(f"streams --json: {name}", want, {k: line[k] for k in want})
        self.check_counters("streams", counters)

    @staticmethod
    def differ(a, b):
        return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))

    @staticmethod
    def short(data):
        return data if len(data) <= 200 else data[:100] + b" ... " + data[-100:]

    def check_counters(self, command, counters):
        want = {k: v for k, v in self.case.counters.items() if command == "streams" or k not in CONTENT}
        self.same(f"{command}: counters", want, {k: counters.get(k) for k in want})

    def check_flows(self):
        """The TCP conversations: how many, and what is said of them."""
        out, counters = self.execute("flows", "--json")
        found = [x for x in map(json.loads, out.splitlines()) if x["proto"] == "tcp"]
        want = self.case.flows
        if isinstance(want, int):
            self.same("TCP flows", want, len(found))
        else:
            self.same("TCP flows", want, [{k: f.get(k) for k in w} for w, f in zip(want, found)] + found[len(want):])
        self.check_counters("flows", counters)

    def check_extract(self, words, packets):
        """The packets that come out: each once, with its stamp, bytes and length, in order."""
        out = self.path("out.pcapng" if self.case.links else "out.pcap")
        self.execute("extract", "-o", out, "--overwrite", *words)
        with open(out, "rb") as f:
            found = read_pcap(f.read())
        unit = 1 if self.case.ns or self.case.links else 1000
        want = [(p.at // unit * unit, p.data, p.wire or len(p.data)) for p in packets]
        if found != want:
            raise Failure(f"extract {' '.join(words)}: expected {len(want)} packets, got {len(found)}; missing "
                          f"{[packets[i].note for i, w in enumerate(want) if w not in found][:5]}, first difference "
                          f"at packet {self.differ(want, found)}")

    def check(self):
        self.check_streams()
        self.check_flows()
        self.check_extract([], self.packets)
        if self.case.extract:
            words, chosen = self.case.extract
            self.check_extract(words, [self.packets[i] for i in chosen])


def attempt(job):
    """Runs one variant; None, or what went wrong."""
    binary, name, about, case, workers, pad = job
    directory = tempfile.mkdtemp(prefix="ws-case-")
    try:
        Run(binary, case, workers, pad, directory).check()
        return None
    except (Failure, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as error:
        what = f"{workers} worker{'s' if workers > 1 else ''}{', padded' if pad else ''}"
        shown = case.packets if len(case.packets) <= 40 else case.packets[:40]
        packets = "\n".join(f"  {i + 1:3} {p.note or f'{len(p.data)} bytes'}" for i, p in enumerate(shown))
        return (f"FAIL {name} {case.label} ({what})\n{about}\n{packets}\n"
                + (f"  ... {len(case.packets) - 40} more\n" if len(case.packets) > 40 else "")
                + f"{type(error).__name__}: {error}\n")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    jobs = []
    for name, about, case in cases(sys.argv[2:]):
        for pad in (False, True):
            if pad and (not case.pad or (case.link != ETHERNET and not case.links)):
                continue
            jobs += [(binary, name, about, case, workers, pad) for workers in WORKERS]
    passed, failed = 0, 0
    with ThreadPoolExecutor(2) as pool:
        for wrong in pool.map(attempt, jobs):
            if wrong:
                print(wrong, flush=True)
            passed, failed = passed + (wrong is None), failed + (wrong is not None)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not jobs else 0)


if __name__ == "__main__":
    main()
