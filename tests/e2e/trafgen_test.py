#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Judges ws-trafgen's captures and truth by tshark: usage trafgen_test.py WS_TRAFGEN [SEED]

tshark decodes (tunnels, fragments, checksums); a naive twin here puts the bytes at their sequence
numbers, first copy first; the result has to be what the truth says. Exits 77 without tshark.
"""
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

FIELDS = ["frame.number", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
          "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.len", "tcp.flags", "tcp.payload",
          "udp.srcport", "udp.dstport", "udp.payload"]
# Random payload means nothing to these, nor to those that guess by content.
NOISY = ["tls", "http", "http2", "ssh", "smtp", "imap", "mysql", "pgsql", "resp", "dns", "ntp", "quic",
         "syslog", "sip", "tds", "data-text-lines"]
PLAIN = ["--connections", "40", "--size", "uniform:0-30000"]
MIXED = PLAIN + ["--ipv6", "40", "--vlan", "20", "--qinq", "10", "--mpls", "10"]
SYN, FIN, ACK = 0x02, 0x01, 0x10

failures = 0


def check(ok, what):
    global failures
    if not ok:
        failures += 1
        print("FAIL:", what)
    return ok


@functools.lru_cache(None)
def noisy():
    listed = subprocess.run(["tshark", "-G", "heuristic-decodes"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=True).stdout.decode()
    rows = [line.split("\t") for line in listed.splitlines()]
    return sorted({row[1] for row in rows if row[0] in ("udp", "tcp")} | set(NOISY))


def tshark(path, *arguments):
    command = ["tshark", "-n", "-r", path, "-o", "tcp.desegment_tcp_streams:false",
               "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
               "-o", "udp.check_checksum:TRUE"]
    for protocol in noisy():
        command += ["--disable-protocol", protocol]
    done = subprocess.run(command + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    return done.stdout.decode()


class Direction:
    def __init__(self, first):
        self.first = first
        self.isn = None
        self.segments = []  # (seq, wire length, bytes)
        self.fin = None
        self.datagrams = []

    def stream(self):
        """(bytes with holes as zeros, [[offset, length], ...])"""
        if self.datagrams:
            return b"".join(self.datagrams), []
        data = [s for s in self.segments if s[1]]
        base = (self.isn + 1) if self.isn is not None else data[0][0] if data else None
        if base is None:
            return b"", []

        def offset(seq):
            return ((seq - base + 2**31) % 2**32) - 2**31
        end = max([offset(seq) + length for seq, length, _ in data], default=0)
        if self.fin is not None:
            end = max(end, offset(self.fin))
        out, have = bytearray(end), bytearray(end)
        for seq, _, payload in data:
            at = offset(seq)
            for i, byte in enumerate(payload, at):
                if not have[i]:
                    out[i], have[i] = byte, 1
        holes, i = [], 0
        while (i := have.find(0, i)) >= 0:
            j = have.find(1, i)
            j = end if j < 0 else j
            holes.append([i, j - i])
            i = j
        return bytes(out), holes


def twin(path):
    """{(src, sport, dst, dport): [Direction, ...]}: a new one for each use of the tuple."""
    flows, connections = {}, {}
    arguments = ["-T", "fields", "-E", "separator=|"]
    for field in FIELDS:
        arguments += ["-e", field]
    for line in tshark(path, *arguments).splitlines():
        row = dict(zip(FIELDS, line.split("|")))
        layers = row["frame.protocols"].split(":")
        last = {name: row[name].split(",")[-1] for name in FIELDS}
        l3 = [x for x in layers if x in ("ip", "ipv6")]
        l4 = [x for x in layers if x in ("tcp", "udp")]
        if not l4 or layers.index(l4[-1]) == 0 or layers[::-1].index(l4[-1]) > layers[::-1].index(l3[-1]):
            continue  # a fragment of an unfinished datagram
        ip, proto = l3[-1], l4[-1]
        key = (last[ip + ".src"], int(last[proto + ".srcport"]), last[ip + ".dst"], int(last[proto + ".dstport"]))
        pair = frozenset([key[:2], key[2:]])
        number = int(row["frame.number"]) - 1
        flags = int(last["tcp.flags"], 16) if proto == "tcp" else 0
        sequence = int(last["tcp.seq_raw"]) if proto == "tcp" else 0
        if pair in connections and flags & (SYN | ACK) == SYN:
            old = connections[pair].get(key)
            if old and old.isn not in (None, sequence):
                del connections[pair]
        sides = connections.setdefault(pair, {})
        if key not in sides:
            sides[key] = Direction(number)
            flows.setdefault(key, []).append(sides[key])
        d = sides[key]
        if proto == "udp":
            d.datagrams.append(bytes.fromhex(last["udp.payload"]))
            continue
        if flags & SYN:
            d.isn = sequence
        length = int(last["tcp.len"])
        d.segments.append((sequence, length, bytes.fromhex(last["tcp.payload"])))
        if flags & FIN:
            d.fin = (sequence + length) % 2**32
    return flows


def generate(trafgen, path, options):
    truth = path + ".json"
    subprocess.run([trafgen, "--out", path, "--truth", truth] + options, check=True, stderr=subprocess.DEVNULL)
    with open(truth, encoding="ascii") as f:
        lines = [json.loads(x) for x in f]
    return lines[:-1], lines[-1]["summary"]


def judge(trafgen, directory, name, options, need=()):
    path = os.path.join(directory, name + ".pcap")
    records, summary = generate(trafgen, path, options)
    bad = tshark(path, "-Y", "_ws.malformed || ip.checksum.status==0 || tcp.checksum.status==0 || "
                             "udp.checksum.status==0")
    check(not bad or "--snaplen" in options or "teardrop" in options, f"{name}: tshark objects:\n{bad[:500]}")
    for counter in need:
        check(summary[counter] > 0, f"{name}: nothing counted as {counter}")
    flows = twin(path)
    check([r["first_ordinal"] for r in records] == sorted(r["first_ordinal"] for r in records),
          f"{name}: truth is not in order of first packet")
    uses = {}
    for r in records:
        key = (r["src"], r["sport"], r["dst"], r["dport"])
        nth = uses[key] = uses.get(key, -1) + 1
        who = f"{name}: connection {r['connection']} direction {r['direction']} {key}"
        if not check(nth < len(flows.get(key, [])), f"{who}: not in the capture"):
            continue
        d = flows[key][nth]
        if "--fragment" not in options:
            check(d.first == r["first_ordinal"], f"{who}: first packet {d.first}, truth {r['first_ordinal']}")
        data, holes = d.stream()
        check(len(data) == r["stream_bytes"], f"{who}: {len(data)} bytes, truth {r['stream_bytes']}")
        check(holes == r["holes"], f"{who}: holes {holes[:4]}, truth {r['holes'][:4]}")
        check(hashlib.sha256(data).hexdigest() == r["sha256"], f"{who}: digest differs")
        if "--loss" not in options and "--snaplen" not in options and r["proto"] == "tcp":
            check(r["stream_bytes"] == r["sent_bytes"] and not r["holes"], f"{who}: bytes missing without loss")
    if "--attack" not in options:
        check(sum(map(len, flows.values())) == len(records), f"{name}: more flows in the capture than in the truth")
    print(f"{name}: {summary['packets']} packets, {len(records)} directions, {summary['hole_bytes']} bytes of holes")


def same_seed_same_bytes(trafgen, directory):
    digests = []
    for seed in ("7", "7", "8"):
        path = os.path.join(directory, "seed.pcap")
        generate(trafgen, path, ["--seed", seed, "--loss", "0.05", "--reorder", "0.1"] + MIXED)
        with open(path, "rb") as f, open(path + ".json", "rb") as t:
            digests.append(hashlib.sha256(f.read() + t.read()).hexdigest())
    check(digests[0] == digests[1], "same seed, other bytes")
    check(digests[0] != digests[2], "other seed, same bytes")


def follow(trafgen, directory):
    """tshark's own reassembly of a few streams against the truth."""
    path = os.path.join(directory, "follow.pcap")
    records, _ = generate(trafgen, path, ["--connections", "6", "--concurrency", "3", "--size", "uniform:100-50000"])
    by_connection = {}
    for r in records:
        by_connection.setdefault(r["connection"], {})[r["direction"]] = r
    order = sorted(by_connection, key=lambda c: by_connection[c][0]["first_ordinal"])
    for stream, connection in enumerate(order):
        sides = {0: "", 1: ""}
        for line in tshark(path, "-q", "-z", f"follow,tcp,raw,{stream}").splitlines():
            text = line.strip()
            if text and all(c in "0123456789abcdef" for c in text):
                sides[line.startswith("\t")] += text
        for direction, text in sides.items():
            check(hashlib.sha256(bytes.fromhex(text)).hexdigest() == by_connection[connection][direction]["sha256"],
                  f"follow: stream {stream} direction {direction} differs")
    print(f"follow: {len(order)} streams as tshark follows them")


def formats(trafgen, directory):
    """The two byte orders and resolutions hold the same packets."""
    seen = set()
    for extra in ([], ["--big-endian"], ["--ns"], ["--ns", "--big-endian"]):
        path = os.path.join(directory, "format.pcap")
        generate(trafgen, path, PLAIN + extra)
        seen.add(hashlib.sha256(tshark(path, "-T", "fields", "-e", "frame.len", "-e", "tcp.seq_raw",
                                       "-e", "tcp.checksum").encode()).hexdigest())
    check(len(seen) == 1, "formats: the packets differ")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: trafgen_test.py WS_TRAFGEN [SEED]")
    seed = sys.argv[2] if len(sys.argv) == 3 else "1"
    if shutil.which("tshark") is None:
        print("SKIP: no tshark")
        sys.exit(77)
    trafgen = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        same_seed_same_bytes(trafgen, directory)
        follow(trafgen, directory)
        formats(trafgen, directory)
        cases = [
            ("plain", PLAIN, ()),
            ("mixed", MIXED + ["--udp", "30", "--rst", "20"], ()),
            ("loss", MIXED + ["--loss", "0.05"], ["hole_bytes"]),
            ("reorder", MIXED + ["--reorder", "0.2:5"], ["reordered"]),
            ("dup", MIXED + ["--dup", "1"], ["duplicated"]),
            ("retransmit", MIXED + ["--retransmit", "0.2", "--loss", "0.05"], ["retransmitted"]),
            ("overlap", MIXED + ["--overlap", "0.2", "--reorder", "0.1"], ["overlapping"]),
            ("wrap", MIXED + ["--wrap", "100", "--reorder", "0.2"], ()),
            ("midstream", MIXED + ["--midstream", "100", "--reorder", "0.1", "--loss", "0.02"], ()),
            ("reuse", PLAIN + ["--reuse", "60", "--concurrency", "8", "--rst", "20"], ()),
            ("fragment", MIXED + ["--fragment", "0.3", "--udp", "30", "--loss", "0.1"],
             ["fragments", "orphan_fragments"]),
            ("tunnels", MIXED + ["--tunnel", "mix", "--fragment", "0.2"], ["tunnelled_packets"]),
            ("snaplen", PLAIN + ["--snaplen", "200"], ["hole_bytes"]),
            ("all", MIXED + ["--loss", "0.02", "--reorder", "0.1", "--dup", "0.1", "--retransmit", "0.1",
                             "--overlap", "0.1", "--wrap", "50", "--fragment", "0.1", "--tunnel", "mix:50",
                             "--udp", "20", "--rst", "20"], ["overlapping", "hole_bytes"]),
        ]
        for kind in ("synflood", "ooo", "tiny", "fragflood", "teardrop", "rst"):
            cases.append(("attack-" + kind, PLAIN + ["--attack", kind, "--attack-packets", "2000"],
                          ["attack_packets"]))
        for name, options, need in cases:
            judge(trafgen, directory, name, options + ["--seed", seed], need)
    if failures:
        sys.exit(f"{failures} failures")


if __name__ == "__main__":
    main()
