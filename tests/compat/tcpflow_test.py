#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Debian's tcpflow and ours, option by option: the same names, bytes and console output.

tcpflow_test.py [--full]: without, on one capture of our own; with, on all lossless ones and on $WIRESPOOL_CORPORA.
A difference is a failure unless DIFFERENCES has it; a row there that no longer differs is a failure, too.
Bytes behind the IP datagram (Ethernet padding, frame check sequences) are cut off before both read a capture: tcpflow stores
them as data, and nothing else could be compared.
"""
import fnmatch
import gzip
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import e2e  # noqa: E402
from e2e import WIRESPOOL  # noqa: E402

FULL = "--full" in sys.argv
THEIRS = shutil.which("tcpflow")

OWN = ["sample"] + ["sample-http", "sample-lossy", "sample-tso", "gen-reuse", "gen-impaired"] * FULL

# Options whose files must be the same; of a capture that is not the first of OWN, some. {d}: a directory of the run's own beside its output.
FILES = [
    "", "-Ft", "-FT", "-Fk", "-Fm", "-Fg", "-Fkt", "-Ftk", "-FX", "-b 0", "-b 1", "-b 100", "-I", "-f 6", "-q", "-d 0", "-p",
    "-T %A/%a-%B.%b", "-T %E-%e-%A.%a-%B.%b%V%v%C%c", "-T %t-%T-%A.%a-%B.%b", "-T %G%M%K%N-%A.%a-%B.%b", "-T x%%%#-%A.%a-%B.%b",
    "-T %A.%a-%B.%b -Fk", "-Fk -T %a-%A.%b-%B", "-e http", "-a", "-a -Z", "-e md5", "-E md5", "-E http", "-x tcpdemux", "-e netviz",
    "-S enable_report=NO", "-S tcp_timeout=0", "-S tdelta=3600 -Ft", "-m 100000", "-w {d}/rest.pcap", "-X {d}/my.xml", "-FM -e md5",
]
FILTERS = ["tcp", "port 80", "src port 80", "not port 80", "host 10.77.0.1 and tcp", "ip6", "vlan"]
# By default, one of each kind.
QUICK_FILES = ["", "-Ftk", "-Fg", "-b 100", "-I", "-T %E-%e-%A.%a-%B.%b%V%v%C%c", "-T %G%M%K%N-%A.%a-%B.%b", "-a", "-m 100000"]
QUICK_CONSOLE = ["-c", "-C -B", "-c -D -g", "-c -J", "-c -Fk", "-c -s -0"]
SOME_FILES = ["", "-Fk", "-b 100", "-I", "-a", "-e md5", "-T %G%M%K%N-%A.%a-%B.%b", "-m 1000"]
SOME_CONSOLE = ["-c", "-C -B", "-c -D -g", "-c -J"]
CONSOLE = [
    "-c", "-C", "-c -B", "-C -B", "-c -D", "-C -D", "-c -g", "-C -g", "-c -0", "-C -0 -B", "-c -s", "-c -J", "-C -J", "-c -Fk", "-c -FT",
    "-c -o {d}", "-C -g -D", "-c -b 10", "-BDc",
]

# (options, capture, why): where the two differ, and ours is right.
DIFFERENCES = [
    ("-[cC] -J", "*", "IPv6 addresses and ports are cut out of a name at the wrong place"),
    ("-c -b 10", "*", "a tuple used again goes on with the count of the connection before"),
    ("-w *", "*", "packets without IP, such as ARP, are left out, which were not processed either"),
    ("-R part0.pcap -r part1.pcap", "sample.pcap", "what -R brings from before is lost where it overlaps a hole"),
    ("-e http", "sample*.pcap", "what did not end by a FIN, and all of IPv6, is not post-processed"),
    ("-a*", "*", "what did not end by a FIN, and all of IPv6, is not post-processed"),
    ("report -FX", "*", "filesize is 0; ours is the stream's length"),
    ("report -E *", "*", "lists no flows; ours does, without files"),
    ("report -x tcpdemux", "*", "lists no flows; ours does, without files"),
    ("-[cC]*", "sample-lossy.pcap", "keep-alives are printed"),
    ("*-b 100", "*", "late copies are compared with the cut file; a file that begins midstream is cut at the wrong place"),
    ("-I", "sample-lossy.pcap", "late copies after the close are not listed"),
    ("-I", "gen-impaired.pcap", "late copies after the close are not listed"),
    ("-I", "tests__bug[23].pcap", "late copies after the close are not listed"),
    ("*-m 1000", "*", "late copies of what went to an earlier file never begin one; ours do when they are that far"),
    ("*", "gen-reuse.pcap", "a SYN on an open tuple is ignored, and the new connection's bytes are misplaced"),
    ("*", "tests__bug5.pcap", "a SYN on an open tuple is ignored"),
    ("*", "tests__bug7.pcap", "an IP length of 0 is believed"),
    ("*", "tests__local*.pcap", "IPv6 over BSD's loopback link is not read"),
    ("report *", "gen-impaired.pcap", "a direction begins with its first SYN or byte; ours with its first packet"),
    ("report *", "tests__bug8.pcap", "MACs of a link that has none are bytes of the IP header"),
    ("report *", "tests__test4.pcap", "MACs of a link that has none are bytes of the IP header"),
]


def datagram_end(frame):
    """Where the IP datagram of an Ethernet frame ends; the frame's end for all else."""
    at, kind = 12, None
    while at + 2 <= len(frame):
        kind = struct.unpack_from(">H", frame, at)[0]
        at += 2
        if kind not in (0x8100, 0x88a8):
            break
        at += 2
    if kind == 0x0800 and len(frame) >= at + 20:
        length = struct.unpack_from(">H", frame, at + 2)[0]
        return at + length if length >= 20 else len(frame)
    if kind == 0x86dd and len(frame) >= at + 40:
        return at + 40 + struct.unpack_from(">H", frame, at + 4)[0]
    return len(frame)


def trim(source, target):
    """A capture without what lies behind the datagrams. False: not a classic pcap file."""
    with open(source, "rb") as f:
        raw = f.read()
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}.get(raw[:4])
    if order is None:
        return False
    ethernet = struct.unpack_from(order + "I", raw, 20)[0] & 0xffff == 1
    with open(target, "wb") as f:
        f.write(raw[:24])
        at = 24
        while at + 16 <= len(raw):
            sec, frac, cap, length = struct.unpack_from(order + "IIII", raw, at)
            frame = raw[at + 16:at + 16 + cap]
            if len(frame) < cap:
                break
            at += 16 + cap
            end = datagram_end(frame) if ethernet else cap
            f.write(struct.pack(order + "IIII", sec, frac, min(cap, end), min(length, end)) + frame[:end])
    return True


def stripped(body):
    return bytes(c if 32 <= c < 127 or c in b"\r\n" else ord(".") for c in body)


class Side:
    """What one of the two left of a run."""

    def __init__(self, program, words, capture, directory, cwd=None):
        self.directory = directory
        os.makedirs(directory + "/beside")
        words = [w.replace("{d}", directory + "/beside") for w in words]
        if "-o" not in words and not any(w.startswith("-c") or w.startswith("-C") for w in words):
            words += ["-o", directory + "/out"]
        command = program + words + [w for c in capture for w in c]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              cwd=cwd or directory, timeout=300, check=False)
        self.code, self.console, self.err = done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")
        self.console = self.console.replace(directory.encode(), b"")
        self.files = {}
        for base, _, names in os.walk(directory):
            for name in names:
                path = os.path.join(base, name)
                with open(path, "rb") as f:
                    self.files[os.path.relpath(path, directory)] = f.read()

    def streams(self):
        """Files that hold streams or parts of them."""
        return {n: b for n, b in self.files.items() if not n.endswith((".xml", ".pdf"))}

    def report(self):
        """The fileobjects of the report: {what identifies one: what counts it}."""
        out = {}
        for name, body in self.files.items():
            if not name.endswith(".xml"):
                continue
            for o in ElementTree.fromstring(body).iter():
                cap = o.find("{*}tcpflow")
                if not o.tag.endswith("fileobject") or cap is None:
                    continue
                path, digest = o.findtext("{*}filename"), o.findtext("{*}hashdigest")
                key = (os.path.relpath(path, self.directory) if path else None, o.findtext("{*}filesize"), digest,
                       *(cap.get(a) for a in ("startime", "family", "src_ipn", "dst_ipn", "srcport", "dstport", "mac_saddr",
                                              "mac_daddr")))
                out[key] = (cap.get("endtime"), int(cap.get("packets")), int(cap.get("len")))
        return out


class Compared(unittest.TestCase):
    maxDiff = 1500

    def setUp(self):
        if not THEIRS:
            self.skipTest("no tcpflow")
        self.top = tempfile.mkdtemp(prefix="ws-compat-")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.n = 0

    def captures(self):
        """[(name, path of a trimmed copy)]"""
        paths = [e2e.data(name) for name in OWN]
        if FULL and e2e.CORPORA:
            paths += sorted(str(p) for p in pathlib.Path(e2e.CORPORA, "simsong+tcpflow").iterdir())
        out = []
        for path in paths:
            copy = os.path.join(self.top, os.path.basename(path))
            if trim(path, copy):
                out.append((os.path.basename(path), copy))
        return out

    def both(self, words, capture):
        self.n += 1
        return [Side(program, list(words), capture, os.path.join(self.top, "%d%s" % (self.n, name)))
                for program, name in (([THEIRS], "t"), ([WIRESPOOL, "tcpflow"], "o"))]

    def judge(self, what, capture, differs):
        """differs: a text, or None. Known differences must differ."""
        why = [w for o, c, w in DIFFERENCES if fnmatch.fnmatch(what, o) and fnmatch.fnmatch(capture, c)]
        exact = [w for o, c, w in DIFFERENCES if what == o and capture == c]
        if differs and not why:
            self.fail("%s: %s: %s" % (capture, what or "(no options)", differs))
        if not differs and exact:
            self.fail("%s: %s: no longer differs: %s" % (capture, what, exact))

    def trees(self, theirs, ours):
        """How the trees of stream files differ; None: not at all."""
        t, o = theirs.streams(), ours.streams()
        if t == o:
            return None
        text = ["only theirs: %s" % n for n in sorted(set(t) - set(o))] + ["only ours: %s" % n for n in sorted(set(o) - set(t))]
        text += ["%s: %d and %d bytes" % (n, len(t[n]), len(o[n])) for n in sorted(set(t) & set(o)) if t[n] != o[n]]
        return "; ".join(text[:6]) + " (%d in all; theirs exits %d, ours %d %s)" % (len(text), theirs.code, ours.code, ours.err[:300])

    def reports(self, theirs, ours):
        """How the sets of fileobjects differ. Ours count packets that come after the FIN, theirs have let the flow go.
        A direction that had neither SYN nor data is no flow to them, and what did not end by a FIN gets no MD5."""
        t, o = theirs.report(), ours.report()
        o = {k: v for k, v in o.items() if k in t or k[:2] != (None, "0")}
        o = {k if k in t else (*k[:2], None, *k[3:]): v for k, v in o.items()}
        text = ["only theirs: %s" % (k,) for k in t if k not in o] + ["only ours: %s" % (k,) for k in o if k not in t]
        text += ["%s: %s and %s" % (k[0], t[k], o[k]) for k in t if k in o and not all(a <= b for a, b in zip(t[k], o[k]))]
        return "; ".join(text[:4]) + " (%d in all)" % len(text) if text else None

    def test_files(self):
        for name, capture in self.captures():
            for words in QUICK_FILES if not FULL else FILES if name == "sample.pcap" else SOME_FILES:
                with self.subTest(capture=name, options=words):
                    theirs, ours = self.both(words.split(), [["-r", capture]])
                    self.assertIn(ours.code, (0, 1), ours.err)
                    self.judge(words, name, self.trees(theirs, ours))
                    self.judge("report " + words, name, self.reports(theirs, ours))

    def test_filters(self):
        for name, capture in self.captures():
            for words in FILTERS if FULL else FILTERS[1:2]:
                with self.subTest(capture=name, filter=words):
                    theirs, ours = self.both([], [["-r", capture], words.split()])
                    self.judge("filter " + words, name, self.trees(theirs, ours))

    def test_console(self):
        for name, capture in self.captures():
            for words in QUICK_CONSOLE if not FULL else CONSOLE + QUICK_CONSOLE[-1:] if name == "sample.pcap" else SOME_CONSOLE:
                with self.subTest(capture=name, options=words):
                    theirs, ours = self.both(words.split(), [["-r", capture]])
                    same = theirs.console == ours.console
                    at = next((i for i, (a, b) in enumerate(zip(theirs.console, ours.console)) if a != b),
                              min(len(theirs.console), len(ours.console)))
                    self.judge(words, name, None if same else "%d and %d bytes, byte %d: %r and %r" % (
                        len(theirs.console), len(ours.console), at, theirs.console[at:at + 60], ours.console[at:at + 60]))

    def test_inputs(self):
        """-r repeated, -l, -R, compressed files, standard input is in e2e."""
        capture = os.path.join(self.top, "sample.pcap")
        trim(e2e.data("sample"), capture)
        with open(capture, "rb") as f:
            raw = f.read()
        at, packets = 24, []
        while at < len(raw):
            size = 16 + struct.unpack_from("<I", raw, at + 8)[0]
            packets.append(raw[at:at + size])
            at += size
        part = []
        for i in range(3):
            part.append(os.path.join(self.top, "part%d.pcap" % i))
            with open(part[i], "wb") as f:
                f.write(raw[:24] + b"".join(packets[i * len(packets) // 3:(i + 1) * len(packets) // 3]))
        with open(capture, "rb") as f, gzip.open(capture + ".gz", "wb") as out:
            out.write(f.read())
        for words in ([["-r", part[0]], ["-r", part[1]], ["-r", part[2]]], [["-l"], part], [["-r", part[0]], ["-R", part[1]]],
                      [["-R", part[1]], ["-r", part[0]], ["-R", part[2]]], [["-R", part[0]], ["-r", part[1]]],
                      [["-r", capture + ".gz"]]):
            with self.subTest(inputs=words):
                theirs, ours = self.both([], words)
                shown = " ".join(os.path.basename(w) for x in words for w in x)
                self.judge(shown, "sample.pcap", self.trees(theirs, ours))

    def test_second_run(self):
        """Into a directory that has files: names are counted on."""
        capture = os.path.join(self.top, "sample.pcap")
        trim(e2e.data("sample"), capture)
        trees = []
        for program in ([THEIRS], [WIRESPOOL, "tcpflow"]):
            out = os.path.join(self.top, "again%d" % len(trees))
            for _ in range(2):
                subprocess.run(program + ["-o", out, "-r", capture], stderr=subprocess.DEVNULL, check=True)
            trees.append({n: h for n, h in e2e.tree(out).items() if n != "report.xml"})
        self.assertEqual(trees[0], trees[1])

    def test_strip(self):
        """-s: the man page's words, which the original forgets in files."""
        theirs, _ = self.both([], [["-r", e2e.data("sample")]])
        _, ours = self.both(["-s"], [["-r", e2e.data("sample")]])
        self.assertEqual(ours.streams(), {n: stripped(b) for n, b in theirs.streams().items()})

    def test_counter_on_all(self):
        """-Fc, which makes the original hang at the third file of a name."""
        theirs, _ = self.both([], [["-r", e2e.data("sample")]])
        ours = Side([WIRESPOOL, "tcpflow"], ["-Fc"], [["-r", e2e.data("sample")]], self.top + "/counted")
        want = {n if re.search(r"c\d+$", n) else n + "c0": b for n, b in theirs.streams().items()}
        self.assertEqual(ours.streams(), want)

    def test_rest(self):
        """-w: as theirs but for packets without IP, which theirs leaves out."""
        run = ["-w", "{d}/rest.pcap"]
        theirs, ours = self.both(run, [["-r", e2e.data("sample")]])
        cut = {}
        for side in (theirs, ours):
            raw, at, kept = side.files["beside/rest.pcap"], 24, b""
            while at < len(raw):
                size = 16 + struct.unpack_from("<I", raw, at + 8)[0]
                if raw[at + 28:at + 30] != b"\x08\x06" and raw[at + 32:at + 34] != b"\x08\x06":
                    kept += raw[at:at + size]
                at += size
            cut[side] = (raw[:16] + raw[20:24], kept)
        self.assertEqual(cut[theirs], cut[ours])

    def test_packets(self):
        """-K: the same packets, under the right link type; tuples used again are files of their own."""
        theirs, ours = self.both(["-K"], [["-r", e2e.data("sample")]])
        merged = {}
        for name, body in sorted(ours.streams().items()):
            merged.setdefault(re.sub(r"c\d+\.pcap$", ".pcap", name), []).append(body)
        t = theirs.streams()
        self.assertEqual(set(merged), set(t))
        for name, bodies in merged.items():
            self.assertEqual(b"".join(b[24:] for b in bodies), t[name][24:], name)


if __name__ == "__main__":
    sys.argv = [a for a in sys.argv if a != "--full"]
    e2e.main()
