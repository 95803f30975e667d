#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Hostile traffic against small caps: attacks.py WIRESPOOL WS_TRAFGEN [ATTACK...]

Each attack is mixed with connections whose truth is known. Of every run it must hold: memory within the caps, the
connections' streams byte for byte, each eviction counted by cause and said in the evicted flow's record, the
established never evicted while others are there, and a ledger that balances. Prints a table of figures; rates are
printed and never judged. WS_HOSTILE_LONG=1 takes the counts of the table in docs/threat-model.md (minutes, 3 GB).
"""
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

WIRESPOOL, TRAFGEN = (os.path.abspath(x) for x in sys.argv[1:3]) if len(sys.argv) > 2 else sys.exit(__doc__)
LONG = os.environ.get("WS_HOSTILE_LONG") == "1"
SANITIZED = os.environ.get("WS_SANITIZE", "none") != "none"
FLOWS_MAX, HELD_MAX, FRAG_MAX = 65536 if LONG else 16384, 4 << 20, 1 << 20
CAPS = ["--flows-max", str(FLOWS_MAX), "--held-max", str(HELD_MAX), "--frag-max", str(FRAG_MAX)]
BLOCKS = ["--blocks", "8", "--block-size", "256K"]
RATIO = 20  # hostile packets for each ordinary one
CONCURRENCY = 20
# attack: packets, packets of a long run; whether its flows are so many that only the victims' streams are written
ATTACKS = {
    "none": (0, 0, False),
    "synflood": (60000, 20000000, True),
    "ackflood": (60000, 2000000, True),
    "handshake": (150000, 3000000, True),
    "collide-owner": (60000, 2000000, True),
    "collide-crc": (60000, 2000000, True),
    "ooo": (30000, 500000, False),
    "tiny": (50000, 2000000, False),
    "fragflood": (50000, 1000000, False),
    "teardrop": (50000, 1000000, False),
    "stall": (50000, 2000000, False),
    "rst": (10000, 500000, False),
    "rst-window": (10000, 500000, False),
    "rst-exact": (10000, 500000, False),
    "oneside": (50000, 1000000, False),
    "far": (50000, 2000000, False),
    "garbage": (50000, 1000000, False),
}
LISTED = 2000000  # flows whose records are looked at one by one
EVICTED = ("flows_evicted_syn", "flows_evicted_closed", "flows_evicted_answered", "flows_evicted")
VICTIMS = "10.0.0.0/8"


class Failure(Exception):
    pass


def need(truth, *what):
    if not truth:
        raise Failure(" ".join(str(x) for x in what))


def stream_name(line):
    def address(text):
        return ".".join("%03d" % int(x) for x in text.split("."))
    return "%s.%05d-%s.%05d" % (address(line["src"]), line["sport"], address(line["dst"]), line["dport"])


def peak_kib(pid):
    """The resident set's high-water mark so far; 0 when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return next((int(x.split()[1]) for x in f if x.startswith("VmHWM:")), 0)
    except OSError:
        return 0


def run(directory, *words):
    """Runs wirespool: its counters, output, peak MiB and seconds of CPU time (all threads)."""
    stats = os.path.join(directory, "stats.json")
    command = [WIRESPOOL, *words, *CAPS, "-q", "--stats-json", stats]
    out = os.path.join(directory, "out")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(out, "wb") as f, open(out + ".err", "wb") as err:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f, stderr=err)
        peak = 0
        while child.poll() is None:  # (ru_maxrss would count our own pages before the exec)
            peak = max(peak, peak_kib(child.pid))
            time.sleep(0.005)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = max(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1e-3)
    with open(out + ".err", encoding="utf-8", errors="replace") as f:
        said = f.read()
    need(child.returncode == 0, " ".join(command), "exit", child.returncode, said[-2000:])
    with open(stats, encoding="utf-8") as f:
        s = json.load(f)
    need(s["balanced"], "ledger:", [e for e in s["ledger"] if not e["ok"]])
    return s["counters"], out, peak / 1024, seconds


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while data := f.read(1 << 20):
            h.update(data)
    return h.hexdigest()


def check_streams(directory, capture, truth, chosen):
    """Streams of the connections whose truth is known: all there, all exact."""
    out = os.path.join(directory, "streams")
    c, _, peak, seconds = run(directory, "streams", capture, "-o", out, *BLOCKS, *chosen)
    exact = 0
    for line in truth:
        path = os.path.join(out, stream_name(line))
        if line["stream_bytes"] == 0:
            continue
        need(os.path.exists(path), "no stream", path)
        need(digest(path) == line["sha256"], "other bytes:", path, os.path.getsize(path), "not", line)
        exact += 1
    held = sum(os.path.getsize(os.path.join(out, n)) for n in os.listdir(out)) if os.path.isdir(out) else 0
    need(held <= c["out_stream_bytes"] + c["gap_bytes"], "files of", held, "bytes: more than payload and gaps")
    shutil.rmtree(out, ignore_errors=True)
    return c, peak, seconds, exact


def check_flows(directory, capture, victims):
    """Every eviction is in a record, and no victim's record has one."""
    c, out, peak, seconds = run(directory, "flows", capture, "--all", "--json")
    evicted, gone, records = 0, [], 0
    with open(out, encoding="utf-8") as f:
        for line in f:
            r = json.loads(line)
            records += 1
            if r["end"] != "evicted":
                continue
            evicted += 1
            if frozenset([(r["id.orig_h"], r["id.orig_p"]), (r["id.resp_h"], r["id.resp_p"])]) in victims:
                gone.append(r)
    counted = sum(c[k] for k in EVICTED)
    need(evicted == counted, evicted, "records say evicted,", counted, "counted")
    need(records == c["flows_created"], records, "records of", c["flows_created"], "flows")
    live = [r for r in gone if r["conn_state"] in ("S1", "S2", "S3")]
    need(not live, "evicted though established:", len(live), live[:2])
    return c, peak, seconds


def bound_mib(kind):
    """What the caps add up to: flow table (each flow with its areas), pools, blocks, chunks of input, program; and
    for `flows` a record a flow, which the list needs."""
    return (FLOWS_MAX * 1024 + 2 * HELD_MAX + 2 * FRAG_MAX + 8 * (256 << 10)) / 2**20 + 64 + kind


def attack(name, directory):
    packets, many = ATTACKS[name][LONG], ATTACKS[name][2]
    capture = os.path.join(directory, "attack.pcap")
    connections = max(CONCURRENCY, int((packets or ATTACKS["synflood"][0] * (20 if LONG else 1)) / RATIO / 60))
    subprocess.run([TRAFGEN, "--out", capture, "--truth", capture + ".truth", "--connections", str(connections),
                    "--concurrency", str(CONCURRENCY), "--size", "fixed:40000", "--seed", "7", "--attack", name,
                    "--attack-packets", str(packets), "--attack-ratio", str(RATIO)],
                   check=True, stderr=subprocess.DEVNULL)
    with open(capture + ".truth", encoding="ascii") as f:
        truth = [json.loads(x) for x in f][:-1]
    victims = {frozenset([(t["src"], t["sport"]), (t["dst"], t["dport"])]) for t in truth}
    chosen = ["--host", VICTIMS] if many else []
    c, peak, seconds, exact = check_streams(directory, capture, truth, chosen)
    f, flows_peak, flows_seconds = c, 0, 0
    if c["flows_created"] <= LISTED:
        f, flows_peak, flows_seconds = check_flows(directory, capture, victims)
    if not SANITIZED:
        need(peak <= bound_mib(0), "streams: peak", peak, "MiB, bound", bound_mib(0))
        records = f["flows_created"] * 512 / 2**20
        need(flows_peak <= bound_mib(records), "flows: peak", flows_peak, "MiB, bound", bound_mib(records))
    os.unlink(capture)
    return {
        "attack": name, "packets": c["rx_packets"], "mpps": c["rx_packets"] / seconds / 1e6,
        "flows mpps": f["rx_packets"] / flows_seconds / 1e6 if flows_seconds else 0, "peak": peak, "flows peak": flows_peak,
        "exact": f"{exact}/{sum(1 for t in truth if t['stream_bytes'])}",
        "evicted": " ".join(f"{k[14:] or 'established'} {f[k]}" for k in EVICTED if f[k]),
        "other": " ".join(f"{k} {c[k]}" for k in ("gaps_cap", "frag_evicted", "refused_window", "flows_crowded",
                                                  "refused_keepalive", "tcp_overlap_diff") if c[k]),
    }


def main():
    failed = 0
    print(f"{'attack':14}{'packets':>9}{'streams':>9}{'flows':>7} Mpps of CPU{'peak':>6}{'flows':>7} MiB  exact")
    for name in sys.argv[3:] or ATTACKS:
        directory = tempfile.mkdtemp(prefix="ws-hostile-", dir=os.environ.get("WS_HOSTILE_DIR"))
        try:
            r = attack(name, directory)
            print(f"{name:14}{r['packets']:9}{r['mpps']:9.2f}{r['flows mpps']:7.2f}            {r['peak']:6.0f}"
                  f"{r['flows peak']:7.0f}      {r['exact']}  {r['evicted']}; {r['other']}", flush=True)
        except (Failure, subprocess.CalledProcessError, KeyError) as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
