#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The pcap2conn front-end: its files, names and messages against what was put into captures made here, packet by packet, and
against what the endpoints of our samples wrote down."""
import collections
import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import unittest

import e2e
from e2e import DONE, ENVIRONMENT, LOST, USAGE, data, run

sys.path.insert(0, os.path.join(e2e.ROOT, "tests", "cases"))
import build  # noqa: E402  pylint: disable=wrong-import-position
from build import ACK, FIN, RST, SYN, Packet, eth, ip, tcp, udp  # noqa: E402  pylint: disable=wrong-import-position

A, B = "10.1.2.3", "192.168.0.9"
A6, B6 = "2001:db8::1", "2001:db8::9"
T0 = 1_700_000_000_250_000_000  # 2023-11-14 22:13:20.25 UTC
MS = 1_000_000
STAMP = "20231114221320"


class Talk:
    """Packets of a TCP connection between two endpoints, a millisecond apart."""

    def __init__(self, a=A, aport=40000, b=B, bport=80, at=T0, isn=(1000, 9000)):
        self.ends, self.next, self.at, self.packets = ((a, aport), (b, bport)), list(isn), at, []

    def send(self, side, flags, payload=b"", skip=0, seq=None, ack=None):
        """skip: bytes that were sent before and not captured."""
        (src, sport), (dst, dport) = self.ends[side], self.ends[1 - side]
        self.next[side] += skip
        seq = self.next[side] if seq is None else seq
        ack = self.next[1 - side] if ack is None else ack
        segment = tcp(src, dst, sport, dport, seq, ack if flags & ACK else 0, flags, payload)
        self.packets.append(Packet(eth(ip(segment, src, dst)), at=self.at))
        self.at += MS
        self.next[side] = max(self.next[side], seq + len(payload) + bool(flags & (SYN | FIN)))

    def open(self):
        self.send(0, SYN)
        self.send(1, SYN | ACK)
        self.send(0, ACK)
        return self

    def say(self, side, payload, **more):
        self.send(side, ACK, payload, **more)
        return self

    def close(self):
        for side in (0, 1):
            self.send(side, FIN | ACK)
        self.send(0, ACK)
        return self


def plain_packet(payload, src, dst, proto, at):
    return Packet(eth(ip(payload, src, dst, proto)), at=at)


def chunk_line(side, payload):
    return b'\r\n{"_":"--------------------","side":"%d","size":"%d"}\r\n' % (side, len(payload)) + payload


def escaped(payload):
    special = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
    return "".join(special.get(x) or (chr(x) if 32 <= x < 127 else "\\u00%02X" % x) for x in payload)


def json_chunk(side, at, begin, payload, missing=""):
    """A line as the format page describes it, made without our code; times to the nearest 10 us, in integers."""
    def seconds(ns):
        return "%d.%05d" % divmod((ns + 5000) // 10000, 100000)
    lost = f'"missing":"{missing}",' if missing else ""
    return (f'{{"side":"{side}","time":{{"abs":"{seconds(at)}","conn":"{seconds(at - begin)}"}},"size":"{len(payload)}",{lost}'
            f'"data":"{escaped(payload)}","data_hex":"{payload.hex().upper()}"}}\r\n').encode()


class Pcap2conn(e2e.Case):
    def capture(self, packets, name="x.pcap"):
        with open(self.path(name), "wb") as f:
            f.write(build.pcap(packets))
        return self.path(name)

    def convert(self, *words, code=DONE, out="out", **how):
        """{name: bytes} of a run, and its result."""
        how.setdefault("TZ", "UTC")
        result = run("pcap2conn", *words, "-o", self.path(out), code=code, **how)
        return self.files(out), result

    def files(self, out="out"):
        found = {}
        for name in os.listdir(self.path(out)) if os.path.isdir(self.path(out)) else ():
            with open(os.path.join(self.path(out), name), "rb") as f:
                found[name] = f.read()
        return found

    def name(self, proto="TCP", a=A, ap=40000, b=B, bp=80, tail=".txt", stamp=STAMP):
        return f"{stamp}-{proto}-{a.replace(':', '_')}.{ap}-{b.replace(':', '_')}.{bp}{tail}"


class Files(Pcap2conn):
    def setUp(self):
        super().setUp()
        self.talk = Talk().open().say(0, b"GET /\r\n").say(1, b"one ").say(1, b"\0\xff\"\\").say(0, b"more").close()
        self.file = self.capture(self.talk.packets)

    def test_plain(self):
        got, result = self.convert("-r", self.file)
        self.assertEqual(got, {self.name(): b"GET /\r\none \0\xff\"\\more"})
        self.assertEqual(result.out, f"Opening file '{self.file}'.\nProcessing file '{self.file}'.\nDone! processed 1 connections\n")
        self.assertEqual(result.err, "")

    def test_long_options_and_the_program_s_name(self):
        want, _ = self.convert("-sdmr", self.file)
        self.assertEqual(len(want), 3)
        link = self.path("pcap2conn")
        os.symlink(e2e.WIRESPOOL, link)
        done = e2e.sane(e2e.execute([link, "--separate-sides", "--chunks-header", "--write-metadata", f"--input-file={self.file}",
                                     "--output-dir", self.path("long"), "--max-file-desc", "3", "--filter", "tcp port 80"], TZ="UTC"))
        self.assertEqual(done.code, DONE, done)
        self.assertEqual(self.files("long"), want)

    def test_chunks(self):
        got, _ = self.convert("-d", "-r", self.file)
        self.assertEqual(got, {self.name(): chunk_line(0, b"GET /\r\n") + chunk_line(1, b"one ") + chunk_line(1, b"\0\xff\"\\")
                               + chunk_line(0, b"more")})

    def test_json(self):
        got, _ = self.convert("-j", "-r", self.file)
        want = b"".join(json_chunk(side, T0 + i * MS, T0, payload) for i, side, payload in
                        ((3, 0, b"GET /\r\n"), (4, 1, b"one "), (5, 1, b"\0\xff\"\\"), (6, 0, b"more")))
        self.assertEqual(got, {self.name(tail=".json"): want})
        self.assertIn(b'"data":"\\u0000\\u00FF\\"\\\\"', want)

    def test_json_ns(self):
        talk = Talk(at=T0 + 123).open()
        talk.at += 4567
        file = self.capture(talk.say(0, b"x").packets, "ns.pcap")
        got, _ = self.convert("-j", "--json-ns", "-r", file)
        line = json.loads(list(got.values())[0])
        self.assertEqual(line["time"], {"abs": "1700000000.253004690", "conn": "0.003004567"})

    def test_separate(self):
        got, _ = self.convert("-s", "-r", self.file)
        self.assertEqual(got, {self.name(): b"GET /\r\nmore", self.name(a=B, ap=80, b=A, bp=40000): b"one \0\xff\"\\"})
        got, _ = self.convert("-sj", "-r", self.file, out="json")
        self.assertEqual(sorted(got), sorted([self.name(tail=".json"), self.name(a=B, ap=80, b=A, bp=40000, tail=".json")]))

    def test_time_of_both_sides(self):
        """The names of both sides have the time of the connection's first packet, whenever the other spoke."""
        talk = Talk()
        talk.send(0, SYN)
        talk.at += 7_000_000_000
        talk.send(1, SYN | ACK)
        talk.say(0, b"a")
        got, _ = self.convert("-s", "-r", self.capture(talk.say(1, b"b").packets))
        self.assertEqual(sorted(got), sorted([self.name(), self.name(a=B, ap=80, b=A, bp=40000)]))

    def test_local_time(self):
        for zone, stamp in (("Asia/Tokyo", "20231115071320"), ("America/New_York", "20231114171320"), ("XYZ-5:30", "20231115034320"),
                            ("UTC", STAMP)):
            with self.subTest(zone):
                got, _ = self.convert("-r", self.file, out=zone.replace("/", "-").replace(":", "-"), TZ=zone)
                self.assertEqual(list(got), [self.name(stamp=stamp)])
        # in July New York has its summer time
        july = Talk(at=1_720_000_000 * 10**9).open().say(0, b"x")
        got, _ = self.convert("-r", self.capture(july.packets), out="july", TZ="America/New_York")
        self.assertEqual(list(got), [self.name(stamp="20240703054640")])

    def test_metadata(self):
        """By hand: packets with data, bytes, changes of side; also of a connection without data."""
        silent = Talk(aport=40001, at=T0 + MS // 2).open().close()
        file = self.capture(sorted(self.talk.packets + silent.packets, key=lambda p: p.at))
        got, _ = self.convert("-m", "-r", file)
        self.assertEqual(sorted(got), sorted([self.name(), self.name(tail="-metadata.txt"), self.name(ap=40001, tail="-metadata.txt")]))
        def text(packets, sizes, messages):
            return ("Number of data packets in side 0:  %d\nNumber of data packets in side 1:  %d\nTotal number of data packets:      %d\n\n"
                    "Number of bytes in side 0:         %d\nNumber of bytes in side 1:         %d\nTotal number of bytes:             %d\n\n"
                    "Number of messages in side 0:      %d\nNumber of messages in side 1:      %d\n"
                    % (*packets, sum(packets), *sizes, sum(sizes), *messages)).encode()
        self.assertEqual(got[self.name(tail="-metadata.txt")], text((2, 2), (11, 8), (2, 1)))
        self.assertEqual(got[self.name(ap=40001, tail="-metadata.txt")], text((0, 0), (0, 0), (0, 0)))
        got, _ = self.convert("-mjr", file, out="json")
        self.assertEqual(json.loads(got[self.name(tail="-metadata.json")]),
                         {"total": {"bytes": "19", "packets": "4", "messages": "3"},
                          "side_0": {"bytes": "11", "packets": "2", "messages": "2"},
                          "side_1": {"bytes": "8", "packets": "2", "messages": "1"}})

    def test_console(self):
        for words, want in (([], b"GET /\r\none \0\xff\"\\more"), (["-d"], self.convert("-d", "-r", self.file)[0][self.name()]),
                            (["-j"], self.convert("-j", "-r", self.file)[0][self.name(tail=".json")])):
            with self.subTest(words):
                got, result = self.convert("-c", *words, "-r", self.file, out="none")
                self.assertEqual(got, {})
                head = f"Opening file '{self.file}'.\nProcessing file '{self.file}'.\n".encode()
                self.assertEqual(result.raw, head + want + b"Done! processed 1 connections\n")
        got, result = self.convert("-cm", "-r", self.file, out="meta")
        self.assertEqual(list(got), [self.name(tail="-metadata.txt")])
        self.assertIn(b"one ", result.raw)

    def test_console_mixes_connections(self):
        other = Talk(aport=40001, at=T0 + MS // 2).open().say(0, b"[other]").say(1, b"[reply]").close()
        file = self.capture(sorted(self.talk.packets + other.packets, key=lambda p: p.at))
        _, result = self.convert("-c", "-r", file)
        self.assertIn(b"GET /\r\n[other]one [reply]\0\xff\"\\more", result.raw)

    def test_again(self):
        """A second run replaces the files of the first, as pcap2conn does."""
        self.convert("-r", self.file)
        with open(os.path.join(self.path("out"), self.name()), "ab") as f:
            f.write(b"x" * 99)
        got, _ = self.convert("-r", self.file)
        self.assertEqual(got, {self.name(): b"GET /\r\none \0\xff\"\\more"})


class Behaviour(Pcap2conn):
    def test_gap(self):
        talk = Talk().open().say(0, b"abc").say(0, b"def", skip=100).say(1, b"reply").close()
        file = self.capture(talk.packets)
        self.assertEqual(self.convert("-r", file)[0], {self.name(): b"abcreply[100 bytes missing]def"})
        self.assertEqual(self.convert("-dr", file)[0][self.name()],
                         chunk_line(0, b"abc") + chunk_line(1, b"reply") + chunk_line(0, b"[100 bytes missing]def"))
        lines = self.convert("-jr", file)[0][self.name(tail=".json")]
        self.assertEqual(lines, json_chunk(0, T0 + 3 * MS, T0, b"abc") + json_chunk(1, T0 + 5 * MS, T0, b"reply")
                         + json_chunk(0, T0 + 4 * MS, T0, b"[100 bytes missing]def", 100))
        got, _ = self.convert("-sr", file, out="sides")
        self.assertEqual(got, {self.name(): b"abc[100 bytes missing]def", self.name(a=B, ap=80, b=A, bp=40000): b"reply"})

    def test_out_of_order(self):
        """What came too early waits, also when the other side speaks meanwhile."""
        talk = Talk().open()
        talk.say(0, b"CCC", seq=1007).say(1, b"xx").say(0, b"BBB", seq=1004).say(1, b"yy").say(0, b"AAA", seq=1001).close()
        self.assertEqual(self.convert("-r", self.capture(talk.packets))[0], {self.name(): b"xxyyAAABBBCCC"})

    def test_overlap(self):
        talk = Talk().open().say(0, b"AAAAAA").say(0, b"bbbbbbbb", seq=1001).close()
        self.assertEqual(self.convert("-r", self.capture(talk.packets))[0], {self.name(): b"AAAAAAbb"})

    def test_wrap(self):
        talk = Talk(isn=(0xfffffffa, 5)).open().say(0, b"before").say(0, b"behind")
        talk.say(0, b"before", seq=0xfffffffb).close()
        self.assertEqual(self.convert("-r", self.capture(talk.packets))[0], {self.name(): b"beforebehind"})

    def test_early_fin(self):
        """Data of the other side after a FIN, and data captured after its own FIN, are kept."""
        talk = Talk().open().say(0, b"ask")
        talk.send(0, FIN | ACK, seq=1008)
        talk.say(1, b"answer").say(0, b" now", seq=1004).say(1, b"!")
        talk.send(1, FIN | ACK)
        self.assertEqual(self.convert("-sr", self.capture(talk.packets))[0],
                         {self.name(): b"ask now", self.name(a=B, ap=80, b=A, bp=40000): b"answer!"})

    def test_no_syn(self):
        """Midstream; the segment that was captured first is not the lowest."""
        talk = Talk().say(0, b"second", seq=1006).say(0, b"first", seq=1001).say(1, b"reply")
        self.assertEqual(self.convert("-sr", self.capture(talk.packets))[0],
                         {self.name(): b"firstsecond", self.name(a=B, ap=80, b=A, bp=40000): b"reply"})

    def test_reuse(self):
        """The same ports again within a second: a counter, not one file over the other; after a RST of one side, too."""
        for end in ("fin", "rst"):
            with self.subTest(end):
                first = Talk().open().say(0, b"first")
                if end == "fin":
                    first.close()
                else:
                    first.send(1, RST | ACK)
                second = Talk(at=first.at, isn=(500_000_000, 700_000_000)).open().say(0, b"second").close()
                got, result = self.convert("-mr", self.capture(first.packets + second.packets), out=end)
                self.assertEqual({k: v for k, v in got.items() if "metadata" not in k},
                                 {self.name(): b"first", self.name(tail="c1.txt"): b"second"})
                self.assertIn(self.name(tail="c1-metadata.txt"), got)
                self.assertIn("processed 2 connections", result.out)

    def test_protocols(self):
        sctp = struct.pack(">HHII", 1000, 2000, 3, 4) + b"chunks"
        packets = [
            plain_packet(udp(A, B, 5000, 53, b"query"), A, B, 17, T0),
            plain_packet(udp(B, A, 53, 5000, b"answer"), B, A, 17, T0 + MS),
            plain_packet(udp(A, B, 5000, 53, b"again"), A, B, 17, T0 + 2 * MS),
            plain_packet(b"\x08\0\0\0ping", A, B, 1, T0 + 3 * MS),
            plain_packet(b"\0\0\0\0pong", B, A, 1, T0 + 4 * MS),
            plain_packet(b"\x80\0\0\0six", A6, B6, 58, T0 + 5 * MS),
            plain_packet(sctp, A, B, 132, T0 + 6 * MS),
            plain_packet(b"ospf", A, B, 89, T0 + 7 * MS),
            plain_packet(b"what", A, B, 200, T0 + 8 * MS),
            *Talk(A6, 1, B6, 2, at=T0 + 9 * MS).open().say(1, b"v6").packets,
        ]
        got, result = self.convert("-r", self.capture(packets))
        self.assertEqual(got, {
            self.name("UDP", ap=5000, bp=53): b"queryansweragain",
            self.name("ICMP", ap=0, bp=0): b"\x08\0\0\0ping\0\0\0\0pong",
            self.name("IPV6-ICMP", A6, 0, B6, 0): b"\x80\0\0\0six",
            self.name("SCTP", ap=0, bp=0): sctp,
            self.name("OSPFIGP", ap=0, bp=0): b"ospf",
            self.name("IP(200)", ap=0, bp=0): b"what",
            self.name("TCP", A6, 1, B6, 2): b"v6",
        })
        self.assertIn("processed 7 connections", result.out)

    def test_udp_never_ends(self):
        packets = [plain_packet(udp(A, B, 5000, 53, b"%d" % i), A, B, 17, T0 + i * 86400 * 10**9) for i in range(3)]
        file = self.capture(packets)
        self.assertEqual(self.convert("-r", file)[0], {self.name("UDP", ap=5000, bp=53): b"012"})
        got, _ = self.convert("--idle-timeout", "1h", "-r", file, out="idle")
        self.assertEqual(sorted(got.values()), [b"0", b"1", b"2"])

    def test_vlans(self):
        """One connection, whatever tags its directions have: the key is the 5-tuple."""
        talk = Talk().open().say(0, b"a").say(1, b"b")
        tagged = [Packet(p.data[:12] + struct.pack(">HH", 0x8100, 5 + i % 2) + p.data[12:], at=p.at) for i, p in enumerate(talk.packets)]
        self.assertEqual(self.convert("-r", self.capture(tagged))[0], {self.name(): b"ab"})

    def test_fragments(self):
        talk = Talk().open()
        (src, sport), (dst, dport) = talk.ends
        whole = ip(tcp(src, dst, sport, dport, 1001, 9001, ACK, bytes(range(200))), src, dst, ident=7)
        talk.packets += [Packet(eth(f), at=talk.at) for f in build.fragments(whole, 64, 128)]
        self.assertEqual(self.convert("-r", self.capture(talk.packets))[0], {self.name(): bytes(range(200))})

    def test_several_files(self):
        """State goes on from file to file; one that cannot be opened is left out, said, and told by the exit code."""
        talk = Talk().open().say(0, b"left ").say(0, b"right").close()
        one, two = self.capture(talk.packets[:4], "1.pcap"), self.capture(talk.packets[4:], "2.pcap")
        got, result = self.convert("-r", one, "-r", two)
        self.assertEqual(got, {self.name(): b"left right"})
        self.assertEqual(result.out, "".join(f"{verb} file '{x}'.\n" for verb in ("Opening", "Processing") for x in (one, two))
                         + "Done! processed 1 connections\n")
        gone = self.path("gone.pcap")
        got, result = self.convert("-r", gone, "-r", one, "-r", two, code=ENVIRONMENT, out="again")
        self.assertEqual(got, {self.name(): b"left right"})
        self.one_line(result, gone, "No such file")
        self.assertNotIn(f"Processing file '{gone}'", result.out)

    def test_filter(self):
        packets = Talk().open().say(0, b"http").packets + Talk(bport=23).open().say(0, b"telnet").packets
        got, result = self.convert("-e", "tcp port 23", "-r", self.capture(packets))
        self.assertEqual(list(got.values()), [b"telnet"])
        self.assertIn("processed 1 connections", result.out)

    def test_few_files(self):
        """Many connections at once, two files open: each has its own bytes, both sides too."""
        talks = [Talk(aport=1000 + i, at=T0 + i).open().say(0, b"a%d " % i).say(1, b"b%d " % i).say(0, b"c%d" % i) for i in range(300)]
        file = self.capture(sorted((p for t in talks for p in t.packets), key=lambda p: p.at))
        for words in ([], ["-s"]):
            got, _ = self.convert("-f", "2", *words, "-r", file, out="x" + "".join(words))
            self.assertEqual(len(got), 600 if words else 300)
            for i in range(300):
                want = b"a%d c%d" if words else b"a%d b%d c%d"
                self.assertEqual(got[self.name(ap=1000 + i)], want % ((i,) * want.count(b"%d")))


class Samples(Pcap2conn):
    def test_endpoints(self):
        """What both endpoints of our lossless samples wrote down is in the JSON, and in the files of sides."""
        for sample in ("sample", "sample-any", "sample-tso"):
            with self.subTest(sample):
                with open(data(sample + ".truth.json"), encoding="ascii") as f:
                    want = collections.Counter((x["src"], x["sport"], x["dst"], x["dport"], x["sha256"]) for x in json.load(f) if x["bytes"])
                got, _ = self.convert("-sr", data(sample), out=sample)
                name = re.compile(r"\d{14}-TCP-(.+)\.(\d+)-(.+)\.(\d+?)(?:c\d+)?\.txt$")
                have = collections.Counter()
                for file, body in got.items():
                    m = name.match(file)
                    if m:
                        a, ap, b, bp = m.groups()
                        have[a.replace("_", ":"), int(ap), b.replace("_", ":"), int(bp), hashlib.sha256(body).hexdigest()] += 1
                self.assertEqual(have, want)
                got, _ = self.convert("-jr", data(sample), out=sample + "-json")
                digests = collections.Counter()
                for file, body in got.items():
                    if "-TCP-" not in file:
                        continue
                    chunks = [json.loads(x) for x in body.decode("ascii").splitlines()]
                    for side in "01":
                        whole = bytes.fromhex("".join(c["data_hex"] for c in chunks if c["side"] == side))
                        self.assertEqual(whole, "".join(c["data"] for c in chunks if c["side"] == side).encode("latin-1"))
                        digests[hashlib.sha256(whole).hexdigest()] += bool(whole)
                self.assertEqual(+digests, collections.Counter(d for *_, d in want.elements()))

    def test_workers(self):
        for sample in ("sample", "gen-impaired", "gen-reuse"):
            for words in (["-m"], ["-jm"], ["-ds"]):
                with self.subTest(sample, words=words):
                    one = self.convert(*words, "-r", data(sample), out="one")[0]
                    four = self.convert(*words, "-r", data(sample), "--workers", "4", out="four")[0]
                    self.assertEqual(one, four)
                    self.assertTrue(one)
                    for x in ("one", "four"):
                        e2e.shutil.rmtree(self.path(x))

    def test_native(self):
        """The front-end's results by the native command."""
        native = ["streams", data("sample"), "-q", "--all-ip", "--ignore-vlan", "--tcp-udp-ports", "--local-time", "--no-colon"]
        template = "%D-%P-%-A.%-a-%-B.%-b%C%c"
        for words, same in ((["--joined", "--metadata", "text"], ["-m"]), (["--gaps", "text", "--separate"], ["-s"]),
                            (["--format", "json", "--missing-text", "--metadata", "json"], ["-jm"]), (["--format", "chunks"], ["-d"])):
            with self.subTest(same):
                tail = ".json" if same == ["-jm"] else ".txt"
                run(*native, *words, "-T", template + tail, "-o", self.path("native"), TZ="Asia/Tokyo")
                got, _ = self.convert(*same, "-r", data("sample"), TZ="Asia/Tokyo")
                self.assertEqual(self.files("native"), got)
                for x in ("native", "out"):
                    e2e.shutil.rmtree(self.path(x))


class CommandLine(Pcap2conn):
    def test_usage(self):
        for words in ([], ["-x"], ["-r"], ["--no-such"], ["-f", "0", "-r", data("sample")], ["file.pcap"], ["-r", data("sample"), "tcp"],
                      ["-e", "no filter", "-r", data("sample")]):
            with self.subTest(words):
                result = run("pcap2conn", *words, code=USAGE, cwd=self.directory)
                self.assertEqual(len(result.err.splitlines()), 1, result)
        self.assertIn("-e", run("pcap2conn", "-r", data("sample"), "tcp", code=USAGE).err)

    def test_help(self):
        out = run("pcap2conn", "-h").out
        for word in ("-r", "-i", "-o", "-e", "-f", "-c", "-m", "-s", "-d", "-j", "-l", "-v", "--write-to-console", "--max-file-desc"):
            self.assertRegex(out, rf"(?m)^ *(-\w, )?{word}|^  {word},")
        self.assertIn("wirespool", run("pcap2conn", "--version").out)
        self.assertIn("pcap2conn", run("--man", "pcap2conn").out)

    def test_interfaces(self):
        out = run("pcap2conn", "-l", code=None).out
        self.assertTrue(out.startswith("\nNetwork interfaces:\n"), out)
        self.one_line(run("pcap2conn", "-i", "203.0.113.77", code=ENVIRONMENT, cwd=self.directory), "203.0.113.77", "address")
        self.one_line(run("pcap2conn", "-i", "nosuch0", code=ENVIRONMENT, cwd=self.directory), "nosuch0", "name")

    def test_damaged(self):
        with open(data("sample"), "rb") as f:
            whole = f.read()
        with open(self.path("cut.pcap"), "wb") as f:
            f.write(whole[:len(whole) // 2])
        got, result = self.convert("-r", self.path("cut.pcap"), code=LOST)
        self.assertTrue(got)
        self.assertIn("Done!", result.out)
        with open(self.path("text"), "w", encoding="ascii") as f:
            f.write("no capture at all, only text")
        self.convert("-r", self.path("text"), code=LOST, out="none")

    def test_nobody_reads(self):
        """A console that closes early: said, and no success."""
        p = subprocess.Popen([e2e.WIRESPOOL, "pcap2conn", "-c", "-r", data("sample")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdout.close()
        err = p.stderr.read().decode()
        p.stderr.close()
        self.assertNotEqual(p.wait(60), 0, err)


class Live(Pcap2conn):
    SEND = ("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('127.0.0.1', 5000))\n"
            "s.sendto(b'hello ', ('127.0.0.1', 5001))\ns.sendto(b'there', ('127.0.0.1', 5001))\n")

    def test_live(self):
        e2e.need_root()
        e2e.need("ip")
        space = f"ws{os.getpid()}p"
        def ip_command(*words):
            return subprocess.run(["ip", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
        if ip_command("netns", "add", space):
            raise unittest.SkipTest("cannot make network namespaces here")
        self.addCleanup(ip_command, "netns", "del", space)
        ip_command("-n", space, "link", "set", "lo", "up")
        inside = ["ip", "netns", "exec", space]
        for number, asked in enumerate(("127.0.0.1", "lo")):
            out = self.path(f"live{number}")
            p = subprocess.Popen([*inside, e2e.WIRESPOOL, "pcap2conn", "-i", asked, "-e", "udp port 5001", "-o", out],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(p.kill)
            self.assertEqual(p.stdout.readline(), b"Starting packet capture on '127.0.0.1'...\n")
            subprocess.run([*inside, sys.executable, "-c", self.SEND], check=True)
            until = time.time() + 30
            while list(self.files(f"live{number}").values()) != [b"hello there"] and time.time() < until:
                time.sleep(0.05)
            p.send_signal(signal.SIGINT)
            out, err = p.communicate(timeout=60)
            self.assertEqual(p.returncode, DONE, err)
            self.assertIn(b"Done! processed 1 connections", out)
            self.assertEqual(list(self.files(f"live{number}").values()), [b"hello there"])


if __name__ == "__main__":
    e2e.main()
