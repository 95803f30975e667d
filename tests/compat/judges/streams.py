#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compares every TCP stream of every public capture with Wireshark and with tcpflow.

usage: streams.py WIRESPOOL [-l LIST] [-j JOBS] [-v] [PATTERN ...]

For each capture below $WIRESPOOL_CORPORA (whose path contains a PATTERN, where given):
  - `streams` gives the bytes and gaps that Wireshark's follower gives, and the bytes that tcpflow's
    files hold;
  - `flows` counts the packets of each TCP conversation that Wireshark counts;
  - each frame in which Wireshark sees IP, TCP or UDP is counted so by wirespool;
  - `flows` prints the same with 1 and 4 workers; the ledger balances.
A difference is a failure unless a rule of reasons.py recognises it, or it stands with its reason in
docs/compat-differences.md (LIST), by capture, check and stream. So is an entry of that list that no
capture shows any more.
Exit 0 the same, 1 a difference, 77 nothing to compare with.
"""
import argparse
import collections
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reasons  # noqa: E402
import sharkd  # noqa: E402
from pieces import Cut, shown, tokens  # noqa: E402

MISSING = re.compile(rb"\[(\d+) bytes missing in capture file\][.\0]?\Z")
Difference = collections.namedtuple("Difference", "capture check stream detail reason")


def run(args, timeout_s=60):
    """(exit status, standard output, standard error) of a command; status -1 after a time-out."""
    try:
        p = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s,
                           env=dict(os.environ, LC_ALL="C"))
    except subprocess.TimeoutExpired:
        return -1, b"", b"timed out"
    return p.returncode, p.stdout, p.stderr


def parse_lines(text):
    return [json.loads(line) for line in text.decode("utf-8", "replace").splitlines() if line]


def read_file(path):
    with open(path, "rb") as f:
        return f.read()


class Ours:
    """What wirespool makes of a capture."""

    def __init__(self, wirespool, path, scratch):
        out, stats = os.path.join(scratch, "ours"), os.path.join(scratch, "stats.json")
        self.status, text, self.errors = run([wirespool, "streams", "-q", path, "-o", out, "--json",
                                              "--gaps-file", "--stats-json", stats])
        self.streams = collections.defaultdict(list)  # tuple -> [(first frame, tokens, bytes)]
        self.counters, self.ledger = {}, []
        if os.path.exists(stats):
            s = json.loads(read_file(stats))
            self.counters, self.ledger = s["counters"], s["ledger"]
        for line in parse_lines(text):
            name = os.path.join(out, line["file"])
            data = read_file(name)
            key = (line["src"], line["src_port"], line["dst"], line["dst_port"])
            self.streams[key].append((line["first_ordinal"], self.pieces(name, data), data))
        for found in self.streams.values():
            found.sort(key=lambda s: s[0])
        base = [wirespool, "flows", "-q", path, "--all", "--json", "--sort", "id", "--workers"]
        self.flows_1, self.flows_4 = run(base + ["1"]), run(base + ["4"])
        self.flows = parse_lines(self.flows_1[1])

    @staticmethod
    def pieces(name, data):
        at, out = 0, []
        if os.path.exists(name + ".gaps"):
            for gap in parse_lines(read_file(name + ".gaps")):
                length = Cut(gap["length"]) if gap["cause"] == "snaplen" else gap["length"]
                out += [data[at:gap["offset"]], length]
                at = gap["offset"] + length
        return tokens(out + [data[at:]])


class Tcpflow:
    """The files that tcpflow makes of a capture."""

    NAME = re.compile(r"(?P<a>[0-9a-f.:]+)\.(?P<p>\d{5})-(?P<b>[0-9a-f.:]+)\.(?P<q>\d{5})"
                      r"(--\d+)?(c(?P<n>\d+))?\Z")

    def __init__(self, path, scratch):
        out = os.path.join(scratch, "tcpflow")
        os.mkdir(out)
        self.status = run(["tcpflow", "-q", "-r", path, "-o", out, "-S", "enable_report=0"])[0]
        found = collections.defaultdict(list)
        for name in os.listdir(out):
            m = self.NAME.match(name)
            if m:
                key = (self.addr(m["a"]), int(m["p"]), self.addr(m["b"]), int(m["q"]))
                found[key].append((int(m["n"] or 0), read_file(os.path.join(out, name))))
        self.streams = {k: [[data] for _, data in sorted(v, key=lambda s: s[0]) if data]
                        for k, v in found.items()}

    @staticmethod
    def addr(text):
        return text if ":" in text else ".".join(str(int(o)) for o in text.split("."))


class Wireshark:
    """What Wireshark makes of a capture."""

    FIELDS = ("frame.protocols", "tcp.stream", "tcp.len", "tcp.flags.syn", "tcp.flags.reset",
              "eth.padding", "eth.trailer", "frame.cap_len", "frame.len")

    def __init__(self, shark, path):
        self.frames = {}  # number -> what is in it
        self.streams = collections.defaultdict(list)  # tuple -> [tokens]
        self.sources = collections.defaultdict(set)   # tuple -> frames of its bytes
        self.traits = collections.defaultdict(set)    # tuple -> what its conversation has
        self.packets = collections.defaultdict(int)   # stream number -> frames
        source = shark if shark.load(path) else sharkd.Tshark(path)
        traits = collections.defaultdict(set)
        frames = source.frames(*self.FIELDS)
        self.readable = bool(frames) or source is shark
        for number, values in frames:
            protocols, stream = values[0].split(":"), values[1].split(",")[-1]
            if path.endswith(".pcapng") and protocols[0] == "data":
                continue  # a block that is no packet
            # what an ICMP error quotes is no packet of that connection
            quoted = any(p in ("icmp", "icmpv6") for p in protocols)
            self.frames[number] = reasons.traits(protocols, values[2:])
            if stream and not quoted:
                self.packets[int(stream)] += 1
                traits[int(stream)] |= self.frames[number]
        for stream in sorted(self.packets):
            for key, payloads in source.follow(stream).items():
                pieces = []
                for _, data in payloads:
                    m = MISSING.match(data)
                    pieces.append(int(m[1]) if m else data)
                self.traits[key] |= traits[stream]
                if tokens(pieces):
                    self.streams[key].append(tokens(pieces))
                    self.sources[key] |= {n for n, _ in payloads}

    def only(self, key, trait):
        """True if every byte of the tuple came in frames with that trait."""
        return bool(self.sources[key]) and all(trait in self.frames[n] for n in self.sources[key])


def name_of(key):
    return "%s %d > %s %d" % key


def compare_streams(check, ours, theirs, why):
    """Streams of the same tuple, in order of appearance."""
    for key in sorted(set(ours) | set(theirs), key=str):
        a, b = ours.get(key, []), theirs.get(key, [])
        if a != b:
            yield check, name_of(key), "%s; theirs %s" % (
                " and ".join(map(shown, a)) or "nothing",
                " and ".join(map(shown, b)) or "nothing"), why(key, a, b)


def judge(args):
    wirespool, capture, path = args
    shark = Wireshark(judge.shark, path)
    scratch = tempfile.mkdtemp(prefix="judges-")
    try:
        ours = Ours(wirespool, path, scratch)
        tcp = ours.streams or shark.packets  # tcpflow writes files for nothing else
        flow = Tcpflow(path, scratch) if tcp else None
    finally:
        shutil.rmtree(scratch)
    found = []
    if ours.status not in (0, 1):
        found.append(("run", "-", "exit %d: %s" % (ours.status, ours.errors.decode()[:200])))
    if ours.flows_1 != ours.flows_4:
        lines = [set(f[1].splitlines()) for f in (ours.flows_1, ours.flows_4)]
        odd = sorted(lines[0] ^ lines[1]) or [ours.flows_4[2]]
        found.append(("workers", "-", "1 and 4 workers differ: %s" % odd[0].decode()[:200]))
    for e in ours.ledger:
        if not e["ok"]:
            found.append(("ledger", e["equation"], "%d, %d" % (e["left"], e["right"])))
    mine = {k: [s[1] for s in v] for k, v in ours.streams.items()}
    found += compare_streams("wireshark", mine, shark.streams,
                             lambda k, a, b: reasons.wireshark(k, a, b, shark))
    if flow and flow.status == 0:
        files = {k: [[s[2]] for s in v] for k, v in ours.streams.items()}
        found += compare_streams("tcpflow", files, flow.streams,
                                 lambda k, a, b: reasons.tcpflow(k, mine.get(k, []), b, shark))
    found += compare_frames(ours, shark)
    return [Difference(capture, *(f if len(f) == 4 else f + (None,))) for f in found]


def compare_frames(ours, shark):
    """Packets in all, in TCP, and in each TCP conversation."""
    c = ours.counters
    if not shark.readable:
        return
    if c.get("rx_packets", 0) != len(shark.frames):
        yield "packets", "-", "%d, theirs %d" % (c.get("rx_packets", 0), len(shark.frames))
    ip = sum(1 for t in shark.frames.values() if "ip" in t)
    mine = c.get("flow_packets", 0) + c.get("undec_fragment", 0)
    if mine != ip:
        why = ", ".join("%s %d" % (k, v) for k, v in c.items()
                        if v and (k.startswith("undec") or k == "non_flow"))
        yield "ip", "-", "%d, theirs %d; %s" % (mine, ip, why)
    a = sorted(f["orig_pkts"] + f["resp_pkts"] for f in ours.flows if f["proto"] == "tcp")
    b = sorted(shark.packets.values())
    if a != b:
        yield "conversations", "-", "%s, theirs %s" % (compact(a), compact(b))


def first_difference(a, b):
    for x, y in zip(a, b):
        if x != y:
            return "%r, %r" % (x, y) if isinstance(x, int) else "%r, %r" % next(
                ((m, n) for m, n in zip(x.splitlines(), y.splitlines()) if m != n), (x, y))
    return ""


def compact(numbers):
    text = " ".join("%d*%d" % (n, k) if n > 1 else str(k)
                    for k, n in sorted(collections.Counter(numbers).items()))
    return "%d (%s)" % (len(numbers), text if len(text) < 200 else text[:200] + "...")


def start_judge():
    judge.shark = sharkd.Sharkd()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wirespool")
    parser.add_argument("-l", "--list")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("patterns", nargs="*")
    a = parser.parse_intermixed_args()
    corpora = os.environ.get("WIRESPOOL_CORPORA", "")
    for tool in ("sharkd", "tshark", "tcpflow"):
        if not shutil.which(tool):
            print("skipped: no %s" % tool)
            return 77
    if not os.path.isdir(corpora):
        print("skipped: WIRESPOOL_CORPORA names no folder")
        return 77
    work = []
    for folder, _, files in os.walk(corpora):
        for name in files:
            path = os.path.join(folder, name)
            capture = os.path.relpath(path, corpora)
            if name.endswith((".pcap", ".cap", ".pcapng")) and (
                    not a.patterns or any(p in capture for p in a.patterns)):
                work.append((a.wirespool, capture, path))
    work.sort(key=lambda w: -os.path.getsize(w[2]))
    with multiprocessing.Pool(a.jobs, start_judge) as pool:
        results = [d for found in pool.imap_unordered(judge, work, 4) for d in found]
    known = read_list(a.list) if a.list else set()
    met = {listed(d, known) for d in results if not d.reason}
    new = [d for d in results if not d.reason and not listed(d, known)]
    gone = [k for k in known - met if not a.patterns]
    for d in sorted(results if a.verbose else new, key=str):
        print("\t".join(map(str, d)))
    for k in sorted(gone):
        print("no longer met:\t" + "\t".join(k))
    counts = collections.Counter(d.reason or ("listed" if listed(d, known) else "NEW")
                                 for d in results)
    print("%d captures; differences: %s" % (
        len(work), ", ".join("%d %s" % (counts[r], r) for r in sorted(counts)) or "none"))
    return 1 if new or gone else 0


def listed(d, known):
    """The entry of the list that covers the difference, or None."""
    exact, all_streams = (d.capture, d.check, d.stream), (d.capture, d.check, "*")
    return exact if exact in known else all_streams if all_streams in known else None


def read_list(path):
    """The first three cells of each row of the list's tables: capture, check, stream (* all)."""
    rows = [[c.strip().strip("`") for c in line.strip().strip("|").split("|")]
            for line in read_file(path).decode().splitlines() if line.startswith("| `")]
    return {(r[0], r[1], r[2]) for r in rows if len(r) > 3}


if __name__ == "__main__":
    sys.exit(main())
