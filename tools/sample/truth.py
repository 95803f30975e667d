#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The truth of a sample capture, from what its endpoints wrote down.

truth.py curl TRACE NAMES LOG           a curl --trace file (with --raw) as one line of an endpoint's log
truth.py merge OUT.json CLIENT SERVER   both logs into one list; where both ends wrote, they have to agree
truth.py verify OUT.json PCAP           against tshark's reassembly; exits 77 without tshark
"""
import hashlib
import json
import re
import shutil
import subprocess
import sys

from peers import write_log


def curl(trace, names, log):
    """NAMES: local address, local port, remote address, remote port."""
    sides = {"=>": bytearray(), "<=": bytearray()}
    side = None
    with open(trace, encoding="latin-1") as f:
        for line in f:
            if line[:2] in ("=>", "<=", "=="):
                side = sides[line[:2]] if re.match(r".. (Send|Recv) (header|data)", line) else None
            elif side is not None:
                # "0010: 47 45 54 ...  text": 16 bytes a line, the text column after them
                side += bytes.fromhex(line[6:6 + 48].strip())
    local, local_port, remote, remote_port = names.split()
    write_log(log, "curl", ((local, int(local_port)), (remote, int(remote_port))), sides["=>"], sides["<="])


def read_log(path):
    uses, out = {}, {}
    with open(path, encoding="ascii") as f:
        for line in map(json.loads, f):
            key = (tuple(line["local"]), tuple(line["remote"]))
            uses[key] = uses.get(key, -1) + 1
            out[key + (uses[key],)] = line
    return out


def merge(out, client_log, server_log):
    servers = read_log(server_log)
    streams = []
    for (local, remote, use), line in read_log(client_log).items():
        other = servers.pop((remote, local, use), None)
        if other is not None and (other["sent"] != line["received"] or other["received"] != line["sent"]):
            sys.exit(f"the two ends disagree: {line} {other}")
        witnesses = "client and server" if other is not None else "client"
        for a, b, side in ((local, remote, "sent"), (remote, local, "received")):
            streams.append({"src": a[0], "sport": a[1], "dst": b[0], "dport": b[1], "use": use,
                            **line[side], "what": line["what"], "witness": witnesses})
    if servers:
        sys.exit(f"connections that no client wrote down: {list(servers)}")
    with open(out, "w", encoding="ascii") as f:
        f.write("[\n" + ",\n".join(json.dumps(x) for x in streams) + "\n]\n")


def verify(truth, pcap):
    if shutil.which("tshark") is None:
        print("SKIP: no tshark")
        sys.exit(77)
    with open(truth, encoding="ascii") as f:
        expected = {(x["src"], x["sport"], x["dst"], x["dport"], x["use"]): x for x in json.load(f)}

    def tshark(*arguments):
        return subprocess.run(["tshark", "-n", "-r", pcap, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=True).stdout.decode()

    rows = tshark("-T", "fields", "-E", "separator=|", "-e", "tcp.stream", "-e", "ip.src", "-e", "ipv6.src",
                  "-e", "tcp.srcport", "-e", "ip.dst", "-e", "ipv6.dst", "-e", "tcp.dstport", "-Y",
                  "tcp && !icmp && !icmpv6")
    first, uses = {}, {}
    for stream, s4, s6, sport, d4, d6, dport in (row.split("|") for row in rows.splitlines()):
        if stream not in first:
            key = (s4 or s6, int(sport), d4 or d6, int(dport))
            uses[key] = uses.get(key, -1) + 1
            first[stream] = key + (uses[key],)
    bad = seen = 0
    for stream, key in first.items():
        sides = ["", ""]
        for line in tshark("-q", "-z", f"follow,tcp,raw,{stream}").splitlines():
            if re.fullmatch(r"\t?[0-9a-f]+", line):
                sides[line.startswith("\t")] += line.strip()
        for side, name in ((0, key), (1, (key[2], key[3], key[0], key[1], key[4]))):
            data = bytes.fromhex(sides[side])
            want = expected.pop(name, None)
            if want is None:
                if data:
                    print("no truth for", name, len(data), "bytes")
                    bad += 1
                continue
            seen += 1
            if hashlib.sha256(data).hexdigest() != want["sha256"]:
                print("differs:", name, "tshark", len(data), "bytes, endpoints", want["bytes"])
                bad += 1
    for name in expected:
        print("not in the capture:", name)
    print(f"{pcap}: {seen} streams, {bad + len(expected)} differences")
    sys.exit(1 if bad or expected else 0)


if __name__ == "__main__":
    {"curl": curl, "merge": merge, "verify": verify}[sys.argv[1]](*sys.argv[2:])
