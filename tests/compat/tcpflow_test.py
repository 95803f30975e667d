#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Debian's tcpflow and ours, option by option: the same names, bytes and console output.

tcpflow_test.py [--full]: without, on one capture of our own; with, on all lossless ones and on $WIRESPOOL_CORPORA.
A difference is a failure unless DIFFERENCES has it; a row there that no longer differs is a failure, too.
Bytes behind the IP datagram (Ethernet padding, frame check sequences) are cut off before both read a capture: tcpflow stores
them as data, and nothing else could be compared.
"""
import collections
import datetime
import fnmatch
import gzip
import hashlib
import ipaddress
import json
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

# A rule excuses single files or values, of which its relation (a method of Case) must hold; None: the name alone decides.
# One that excused nothing in a whole run fails as stale.
REUSED = ("010.001.010.138.35466-172.020.000.218.00022", "172.020.000.100.00143-010.001.015.109.36717",
          "172.020.000.120.00022-010.001.031.158.40862", "172.020.000.132.05432-010.001.021.020.38164")
# (options, capture, file, relation, why)
FILE_RULES = [
    ("-b 100", "*", "*", "cut", "late copies are compared with the cut file; bytes in front move it; a hole at its end is not written"),
    ("-I", "*", "*.findx", "listed", "late copies after the close are not listed"),
    ("-m 1000", "gen-impaired.pcap", "out/172.020.000.176.00025-010.001.000.000.32768*", "regrouped", "an ACK that comes late ends a file"),
    ("-a*", "sample.pcap", "out/fd77::2.00080-fd77::1.38508-HTTPBODY-001.html", "body", "a stream of the same bytes as one before"),
    ("-e http", "sample.pcap", "out/fd77::2.00080-fd77::1.38508-HTTPBODY-001.html", "body", "a stream of the same bytes as one before"),
    ("-a", "sample-http.pcap", "*-HTTPBODY-*", "body", "what comes behind a response without a body"),
    ("-w *", "sample.pcap", "beside/rest.pcap", None, "packets without IP; see test_rest"),
    *(("*", "gen-reuse.pcap", "*" + name + "*", "truth", "a SYN on an open tuple is ignored") for name in REUSED),
    ("-T %G*", "gen-reuse.pcap", "*", "renumbered", "a SYN on an open tuple is ignored, and later flows have other numbers"),
    ("-R part0.pcap -r part1.pcap", "sample.pcap", "out/010.077.000.001.57702-010.077.000.002.00080", "filled",
     "what comes in front is dropped once -R brought the SYN"),
]
# (options, capture, attribute, relation, why)
REPORT_RULES = [
    ("-FX", "*", "packets endtime len filesize", "as_plain", "filesize is 0, and no FIN lets a flow go; ours are those of no option"),
    ("-m 1000", "*", "*", "other_file", "files divided otherwise; see FILE_RULES"),
    ("-m 1000", "*", "packets endtime len", "later", "the packets of a file that is not its stream's only one"),
    ("*", "gen-reuse.pcap", "*", "reused", "a SYN on an open tuple is ignored"),
    ("*", "*", "packets endtime len", "gone_on", "packets after theirs has let the flow go"),
    ("*", "*", "flow", "silent", "a direction without SYN and data is no flow"),
    ("-b 100", "*", "flow", "other_file", "copies of what was cut"),
    ("*", "*", "md5", "doubled", "a stream of the same bytes as one before, or of one pattern below 10 bytes, is not post-processed"),
    *(("*", c, "startime packets endtime len", "wider", "a direction begins with its first SYN or byte, a SYN on an open tuple is ignored")
      for c in ("gen-reuse.pcap", "gen-impaired.pcap", "tests__bug5.pcap", "tests__local*.pcap")),
    ("*", "gen-impaired.pcap", "packets endtime len", "one_more", "counts the ACK behind the FIN of a stream with a hole"),
    ("-m 1000", "*", "startime", "earlier", "a direction begins with its first packet, and so does each of its files"),
    ("*", "tests__bug8.pcap", "startime", "overflow", "a second of more than 1,000,000 microseconds"),
    ("-FX", "*", "flow", "used_again", "what no FIN ends goes on; ours are those of no option"),
    ("-m 1000", "*", "flow", "divided", "files divided otherwise; see FILE_RULES"),
    ("-E *", "*", "flow", "unlisted", "lists no flows"),
    ("-x tcpdemux", "*", "flow", "unlisted", "lists no flows"),
]
CONSOLE_RULES = [
    ("-[cC] -J", "*", "JSON of IPv6", "json", "IPv6 addresses and ports are cut out of a name at the wrong place"),
    ("-c -b 10", "sample.pcap", "a tuple used again", "counted_on", "goes on with the count of the connection before"),
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


def plain(frame, link):
    """The frame for theirs: Ethernet for loopback and raw IP, which theirs reads in part; with the length that IPv4 leaves at 0."""
    if link in (0, 12, 101) and len(frame) > 4:
        at = 4 if link == 0 else 0
        frame = bytes(12) + (b"\x86\xdd" if frame[at] >> 4 == 6 else b"\x08\x00") + frame[at:]
    if frame[12:14] == b"\x08\x00" and frame[16:18] == b"\0\0" and len(frame) >= 34:
        frame = frame[:16] + struct.pack(">H", len(frame) - 14) + frame[18:]
    return frame


def trim(source, target, theirs=None):
    """A capture without what lies behind the datagrams; theirs: as plain() says. Returns the packets, None: not a classic pcap file."""
    with open(source, "rb") as f:
        raw = f.read()
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}.get(raw[:4])
    if order is None:
        return None
    link = struct.unpack_from(order + "I", raw, 20)[0] & 0xffff
    nano = b"\x3c" in raw[:4]
    both, packets, at = [raw[:24], raw[:20] + struct.pack(order + "I", 1 if link in (0, 12, 101) else link)], [], 24
    while at + 16 <= len(raw):
        sec, frac, cap, length = struct.unpack_from(order + "IIII", raw, at)
        frame = raw[at + 16:at + 16 + cap]
        if len(frame) < cap:
            break
        at += 16 + cap
        frame = frame[:datagram_end(frame)] if link == 1 else frame
        length = min(length, len(frame)) if link == 1 else length
        other = plain(frame, link) if link in (0, 1, 12, 101) else frame
        for i, x in enumerate((frame, other)):
            both[i] += struct.pack(order + "IIII", sec, frac, len(x), length + len(x) - len(frame)) + x
        packets.append(Packet.of(sec + frac // (1000000000 if nano else 1000000), frac // 1000 if nano else frac, other, length)
                       if link in (0, 1, 12, 101) else None)
    for path, body in zip((target, theirs), both):
        if path:
            with open(path, "wb") as f:
                f.write(body)
    return packets


class Packet(collections.namedtuple("Packet", "stamp tuple flags data length")):
    """A TCP packet as the report counts it; what is no TCP on IP on Ethernet: None."""

    @classmethod
    def of(cls, sec, micros, frame, length):
        at, kind = 12, 0x8100
        while kind in (0x8100, 0x88a8) and at + 2 <= len(frame):
            kind = struct.unpack_from(">H", frame, at)[0]
            at += 2 if kind not in (0x8100, 0x88a8) else 4
        ip = frame[at:]
        if kind == 0x0800 and len(ip) >= 20 and ip[9] == 6 and not ip[6] & 0x1f and not ip[7]:
            addresses, tcp, end = (ip[12:16], ip[16:20]), (ip[0] & 15) * 4, struct.unpack_from(">H", ip, 2)[0]
        elif kind == 0x86dd and len(ip) >= 40 and ip[6] == 6:
            addresses, tcp, end = (ip[8:24], ip[24:40]), 40, 40 + struct.unpack_from(">H", ip, 4)[0]
        else:
            return None
        if len(ip) < tcp + 20:
            return None
        names = tuple(str(ipaddress.ip_address(a)) for a in addresses)
        ports = tuple(str(p) for p in struct.unpack_from(">HH", ip, tcp))
        stamp = datetime.datetime.fromtimestamp(sec, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + ".%06dZ" % micros
        return cls(stamp, names + ports, ip[tcp + 13], max(0, end - tcp - (ip[tcp + 12] >> 4) * 4), length)


def stripped(body):
    return bytes(c if 32 <= c < 127 or c in b"\r\n" else ord(".") for c in body)


# What of a fileobject is compared, beside its addresses, its size and its MD5.
COMPARED = ("startime", "endtime", "packets", "len", "family", "mac_saddr", "mac_daddr")


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
        """The fileobjects of the report: {(name or None, source, destination, ports, start without a name): {attribute: value}}."""
        out = {}
        for name, body in self.files.items():
            if not name.endswith(".xml"):
                continue
            for o in ElementTree.fromstring(body).iter():
                cap = o.find("{*}tcpflow")
                if not o.tag.endswith("fileobject") or cap is None:
                    continue
                path = o.findtext("{*}filename")
                values = {k: v for k, v in cap.attrib.items() if k in COMPARED}
                values.update(filesize=o.findtext("{*}filesize"), md5=o.findtext("{*}hashdigest"))
                out[(os.path.relpath(path, self.directory) if path else None,
                     *(cap.get(a) for a in ("src_ipn", "dst_ipn", "srcport", "dstport")), None if path else cap.get("startime"))] = values
        return out


def shifted(stamp, seconds):
    if not seconds:
        return stamp
    form = "%Y-%m-%dT%H:%M:%S.%fZ"
    return (datetime.datetime.strptime(stamp, form) + datetime.timedelta(seconds=seconds)).strftime(form)


def without_counter(name):
    return re.sub(r"c\d+(?=$|\.findx$|-HTTPBODY)", "", name)


class Case:
    """One comparison: both sides, the capture's packets, and what may be between them."""

    def __init__(self, test, words, name, capture, theirs, ours):
        self.test, self.words, self.name, self.capture = test, words, name, capture
        self.theirs, self.ours = theirs, ours
        self.t, self.o = theirs.streams(), ours.streams()

    def cut(self, name):
        """-b: ours are the files of no option, cut; theirs has copies of parts in c1, what was put in front, and no hole at the end."""
        t, o, plain = self.t.get(name), self.o.get(name), self.test.whole(self.name, self.capture)
        if o is None:
            return name not in plain and re.search(r"c\d+$", name) and t in plain[without_counter(name)]
        if t is None:
            return False
        return o == plain[name][:100] and (o.startswith(t) and not o[len(t):].strip(b"\0") or t.startswith(o))

    def listed(self, name):
        """-I: theirs' lines, then such as tell of bytes that the file has, at times of this capture's packets."""
        if name not in self.t or name not in self.o or not self.o[name].startswith(self.t[name]):
            return False
        size, stamps = len(self.o[name[:-6]]), {p.stamp[-7:-1] for p in self.capture.packets if p}
        more = [line.split("|") for line in self.o[name][len(self.t[name]):].decode().splitlines()]
        return more and all(int(at) + int(n) <= size and stamp.split(".")[1] in stamps for at, stamp, n in more)

    def regrouped(self, name):
        """-m: other files of the same stream, all of them parts of it; and together as many bytes of it."""
        whole = self.test.whole(self.name, self.capture)[without_counter(name)]
        parts = [[b for n, b in side.items() if without_counter(n) == without_counter(name)] for side in (self.t, self.o)]
        return all(b in whole for side in parts for b in side) and len(set(map(sum, (map(len, x) for x in parts)))) == 1

    def body(self, name):
        """Bodies: ours are those of the truth."""
        if name not in self.o:
            return name in self.t
        if self.name == "sample.pcap":
            return self.o[name] in self.test.whole(self.name, self.capture)[name.split("-HTTPBODY")[0]]
        flow = re.match(r"out/(.+)\.(\d+)-(.+)\.(\d+)-HTTPBODY-(\d+)", name)
        return any(x["sha256"] == hashlib.sha256(self.o[name]).hexdigest() and (x["sport"], x["dport"], x["number"]) ==
                   (int(flow[2]), int(flow[4]), int(flow[5])) for x in self.test.bodies) or "-Z" in self.words

    def truth(self, name):
        """Each of ours is a stream that was sent, cut by -b; theirs is longer or has none."""
        if name.endswith(".findx"):
            return name in self.o and (name not in self.t or self.t[name].startswith(self.o[name]))
        if name not in self.o:
            return re.match(r"out/\d+-", name) is not None
        use = re.search(r"c(\d+)$", name)
        flow = re.search(r"(\d+)\.(\d+)\.(\d+)\.(\d+)\.(\d+)-(\d+)\.(\d+)\.(\d+)\.(\d+)\.(\d+)(c\d+)?$", name)
        n = [int(x) for x in flow.groups()[:10]]
        key = ("%d.%d.%d.%d" % tuple(n[:4]), n[4], "%d.%d.%d.%d" % tuple(n[5:9]), n[9])
        sent = [x for x in self.test.sent if (x["src"], x["sport"], x["dst"], x["dport"]) == key and x["stream_bytes"]]
        if re.match(r"out/\d{12}-", name):
            return hashlib.sha256(self.o[name]).hexdigest() in [x["sha256"] for x in sent]
        want = sent[int(use[1]) if use else 0]
        if self.words == "-b 100":
            return len(self.o[name]) == min(100, want["stream_bytes"])
        return hashlib.sha256(self.o[name]).hexdigest() == want["sha256"]

    def renumbered(self, name):
        """The same files but for %N, those of REUSED left out."""
        both = [sorted((n[17:], b) for n, b in side.items() if n[17:] not in REUSED) for side in (self.t, self.o)]
        return both[0] == both[1]

    def filled(self, name):
        """Ours has the bytes of -R in front of theirs, as a run over all of the capture."""
        t, o = self.t[name], self.o[name]
        return o.endswith(t) and o == self.test.whole(self.name, self.capture)[name]

    def run(self, key, values):
        """(all packets of the direction, first, behind the last) of what a report tells of a flow; None: no such run of packets."""
        shift = 3600 if "tdelta" in self.words else 0
        packets = [p._replace(stamp=shifted(p.stamp, shift)) for p in self.capture.packets if p and p.tuple == tuple(key[1:5])]
        count = int(values["packets"])
        for i in range(len(packets) - count + 1):
            part = packets[i:i + count]
            if part[0].stamp == values["startime"] and part[-1].stamp == values["endtime"] and sum(p.length for p in part) == int(values["len"]):
                return packets, i, i + count
        return None

    def gone_on(self, key, t, o):
        """Ours are all packets of the connection. Theirs begins with the first SYN or data; what it lacks at the end is after FIN or RST."""
        ours, theirs = self.run(key, o), self.run(key, t)
        if not ours or not theirs:
            return False
        packets, first, end = ours
        whole = end == len(packets) or packets[end].flags & 2
        late = theirs[2] == end or any(p.flags & 5 for p in packets[first:theirs[2]])
        return whole and late and not any(p.flags & 2 or p.data for p in packets[first:theirs[1]])

    def doubled(self, key, t, o):
        body = self.o[key[0]]
        repeated = any(body == (body[:n] * len(body))[:len(body)] for n in range(1, 10))
        return t["md5"] is None and hashlib.md5(body).hexdigest() == o["md5"] and (
            repeated or o["md5"] in [x["md5"] for x in self.theirs.report().values()])

    @staticmethod
    def wider(_, t, o):
        return t and o and o["startime"] <= t["startime"] and int(o["packets"]) >= int(t["packets"]) and o["endtime"] >= t["endtime"]

    @staticmethod
    def one_more(key, t, o):
        """Of this flow alone."""
        return t and o and key[1:5] == ("172.20.0.23", "10.1.15.109", "25", "36717") and int(t["packets"]) == int(o["packets"]) + 1

    @staticmethod
    def earlier(_, t, o):
        return t and o and o["startime"].rstrip("Z") <= t["startime"].rstrip("Z")

    @staticmethod
    def overflow(_, t, o):
        return t and o and len(t["startime"].split(".")[1]) > 7 and len(o["startime"].split(".")[1]) == 7

    def used_again(self, key, t, o):
        return t is None and any(k[1:5] == key[1:5] and all(x[n] == o[n] for n in ("startime", "packets", "endtime", "len", "filesize"))
                                 for k, x in self.test.plain_report(self.name, self.capture).items())

    def divided(self, key, t, o):
        flow = [k for k in list(self.theirs.report()) + list(self.ours.report()) if k[1:5] == key[1:5]]
        return (t is None or o is None) and len(set(flow)) > 1

    def silent(self, key, t, o):
        if t is not None or key[0] is not None:
            return False
        ours = self.run(key, o)
        return ours and not any(p.flags & 2 or p.data for p in ours[0][ours[1]:ours[2]])

    def as_plain(self, key, t, o):
        plain = [x for k, x in self.test.plain_report(self.name, self.capture).items() if k[1:5] == key[1:5]]
        return t["filesize"] == "0" and any(all(x[n] == o[n] for n in ("startime", "packets", "endtime", "len", "filesize")) for x in plain)

    def other_file(self, key, t, o):
        """Only one side has the file; the other files of its stream differ, too, as judge_files() found right."""
        return key[0] is not None and (t is None and key[0] not in self.t or o is None and key[0] not in self.o or
                                       t is not None and o is not None and self.t.get(key[0]) != self.o.get(key[0]))

    def later(self, key, t, o):
        return any(without_counter(n) == without_counter(key[0]) and n != key[0] for n in list(self.o) + list(self.t))

    def reused(self, key, t, o):
        return key[0] is not None and key[0].startswith("out/") and any(name in key[0] for name in REUSED) or \
            self.words.startswith("-T %G")

    def unlisted(self, key, t, o):
        return t is None and not self.theirs.report() and key[0] is None

    def json(self):
        """Ours: of each payload of theirs, one that says the right addresses; IPv4 the same to the byte."""
        t, o = self.theirs.console.splitlines(), self.ours.console.splitlines()
        if len(t) != len(o):
            return False
        seen = {p.tuple for p in self.capture.packets if p}
        for a, b in zip(t, o):
            x = json.loads(b)
            if a != b and (b":" not in x["src_host"].encode() or a[a.index(b'"payload"'):] != b[b.index(b'"payload"'):] or
                           (x["src_host"], x["dst_host"], str(x["src_port"]), str(x["dst_port"])) not in seen):
                return False
        return True

    def counted_on(self):
        """Theirs' packets, and more of tuples that were used before."""
        t, o = (collections.Counter(re.split(rb"\n(?=\S+-\S+: )", x.console.rstrip(b"\n"))) for x in (self.theirs, self.ours))
        return not t - o


class Capture:
    """A trimmed copy for each side, and its packets."""

    def __init__(self, path, top):
        self.path, self.for_theirs = (os.path.join(top, x, os.path.basename(path)) for x in ("ours", "theirs"))
        for x in (self.path, self.for_theirs):
            os.makedirs(os.path.dirname(x), exist_ok=True)
        self.packets = trim(path, self.path, self.for_theirs)
        if self.packets is None:
            return
        with open(self.path, "rb") as f:
            link = f.read(24)[20:]
        self.no_macs = link not in (b"\1\0\0\0", b"\0\0\0\1")
        self.added = {b"\0\0\0\0": 10, b"\x65\0\0\0": 14, b"\x0c\0\0\0": 14, b"\0\0\0\x65": 14, b"\0\0\0\x0c": 14}.get(link, 0)


class Compared(unittest.TestCase):
    maxDiff = 1500
    used = set()

    def setUp(self):
        if not THEIRS:
            self.skipTest("no tcpflow")
        self.top = tempfile.mkdtemp(prefix="ws-compat-")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.n, self.wholes, self.plain_reports = 0, {}, {}
        with open(e2e.data("gen-reuse.truth.jsonl"), encoding="ascii") as f:
            self.sent = [x for x in map(json.loads, f) if "sport" in x]
        with open(e2e.data("sample-http.truth.json"), encoding="ascii") as f:
            self.bodies = json.load(f)

    def captures(self):
        """[(name, Capture)]"""
        paths = [e2e.data(name) for name in OWN]
        if FULL and e2e.CORPORA:
            paths += sorted(str(p) for p in pathlib.Path(e2e.CORPORA, "simsong+tcpflow").iterdir())
        both = [(os.path.basename(path), Capture(path, self.top)) for path in paths]
        return [(name, c) for name, c in both if c.packets is not None]

    def both(self, words, capture):
        """capture: [[words with a path or a Capture]]"""
        self.n += 1
        sides = []
        for program, name in (([THEIRS], "t"), ([WIRESPOOL, "tcpflow"], "o")):
            given = [[w if isinstance(w, str) else w.for_theirs if name == "t" else w.path for w in c] for c in capture]
            sides.append(Side(program, list(words), given, os.path.join(self.top, "%d%s" % (self.n, name))))
        return sides

    def whole(self, name, capture):
        """Our files of no option."""
        if name not in self.wholes:
            ours = self.both([], [["-r", capture]])[1]
            self.wholes[name], self.plain_reports[name] = ours.streams(), ours.report()
        return self.wholes[name]

    def plain_report(self, name, capture):
        """Our report of no option."""
        self.whole(name, capture)
        return self.plain_reports[name]

    def excused(self, rules, what, capture, thing, relation):
        for rule in rules:
            if fnmatch.fnmatch(what, rule[0]) and fnmatch.fnmatch(capture, rule[1]) and relation(rule):
                Compared.used.add(rule)
                return True
        return False

    @staticmethod
    def added(case, flow):
        """Bytes that plain() added to theirs' packets of a flow."""
        return int(flow["packets"]) * case.capture.added

    def judge_files(self, case, what):
        t, o = case.t, case.o
        bad = []
        for name in sorted(set(t) | set(o)):
            if t.get(name) != o.get(name) and not self.excused(
                    FILE_RULES, what, case.name, name,
                    lambda r, n=name: fnmatch.fnmatch(n, r[2]) and (r[3] is None or getattr(case, r[3])(n))):
                bad.append("%s: %s and %s bytes" % (name, *(len(x[name]) if name in x else "no" for x in (t, o))))
        self.assertFalse(bad, "%s: %s: theirs exits %d, ours %d %s" % (case.name, what, case.theirs.code, case.ours.code, case.ours.err[:300]))

    def judge_reports(self, case, what):
        t, o = case.theirs.report(), case.ours.report()
        bad = []
        for x in t.values():
            x["len"] = str(int(x["len"]) - self.added(case, x))
        for key in list(t) + [k for k in o if k not in t]:
            a, b = t.get(key), o.get(key)
            names = ["flow"] if a is None or b is None else [n for n in sorted(set(a) | set(b)) if a.get(n) != b.get(n)]
            for n in names:
                if n.startswith("mac_") and case.capture.no_macs and b.get(n) is None:
                    continue
                if not self.excused(REPORT_RULES, what, case.name, n, lambda r, n=n: (r[2] == "*" or n in r[2].split()) and getattr(case, r[3])(key, a, b)):
                    bad.append((key, n, a if n == "flow" else a.get(n), b if n == "flow" else b.get(n)))
        self.assertFalse(bad[:6], "%s: report: %s: %d in all" % (case.name, what, len(bad)))

    def test_files(self):
        for name, capture in self.captures():
            for words in QUICK_FILES if not FULL else FILES if name == "sample.pcap" else SOME_FILES:
                with self.subTest(capture=name, options=words):
                    theirs, ours = self.both(words.split(), [["-r", capture]])
                    self.assertIn(ours.code, (0, 1), ours.err)
                    case = Case(self, words, name, capture, theirs, ours)
                    self.judge_files(case, words)
                with self.subTest(capture=name, report=words):
                    self.judge_reports(case, words)

    def test_filters(self):
        for name, capture in self.captures():
            for words in FILTERS if FULL else FILTERS[1:2]:
                with self.subTest(capture=name, filter=words):
                    theirs, ours = self.both([], [["-r", capture], words.split()])
                    self.judge_files(Case(self, "", name, capture, theirs, ours), "filter " + words)

    def test_console(self):
        for name, capture in self.captures():
            for words in QUICK_CONSOLE if not FULL else CONSOLE + QUICK_CONSOLE[-1:] if name == "sample.pcap" else SOME_CONSOLE:
                with self.subTest(capture=name, options=words):
                    theirs, ours = self.both(words.split(), [["-r", capture]])
                    a, b = theirs.console, ours.console
                    case = Case(self, words, name, capture, theirs, ours)
                    if a == b or self.excused(CONSOLE_RULES, words, name, "", lambda r: getattr(case, r[3])()):
                        continue
                    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
                    self.fail("%s: %d and %d bytes, byte %d: %r and %r" % (name, len(a), len(b), at, a[at:at + 60], b[at:at + 60]))

    def test_inputs(self):
        """-r repeated, -l, -R, compressed files, standard input is in e2e."""
        sample = Capture(e2e.data("sample"), self.top)
        capture = sample.path
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
                self.judge_files(Case(self, "", "sample.pcap", sample, theirs, ours), shown)

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


    @classmethod
    def tearDownClass(cls):
        """In a whole run a rule that excused nothing is stale."""
        if THEIRS and FULL and e2e.CORPORA and len(sys.argv) == 1:
            stale = [r for r in FILE_RULES + REPORT_RULES + CONSOLE_RULES if r not in cls.used]
            if stale:
                raise AssertionError("no longer differs: %s" % stale)


if __name__ == "__main__":
    sys.argv = [a for a in sys.argv if a != "--full"]
    e2e.main()
