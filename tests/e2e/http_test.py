#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bodies of HTTP/1 responses: against what servers and clients wrote down, and beside tcpflow."""
import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
import zlib

import e2e
from e2e import data, run

SUFFIXES = {"text/html": ".html", "text/plain": ".txt", "text/css": ".css", "text/csv": ".csv", "image/png": ".png", "image/jpeg": ".jpg",
            "image/svg+xml": ".svg", "application/json": ".json", "application/javascript": ".js", "application/pdf": ".pdf",
            "application/xml": ".xml"}


def truth():
    """{name of the body's file: its line of the truth}, bodies without bytes too."""
    with open(data("sample-http.truth.json"), encoding="ascii") as f:
        return {e2e.stream_name(x["src"], x["sport"], x["dst"], x["dport"]) +
                f"-HTTPBODY-{x['number']:03d}{SUFFIXES.get(x['type'], '')}": x for x in json.load(f)}


class Http(e2e.Case):
    def bodies(self, capture, *words, name="out", **how):
        out = self.path(name)
        run("streams", "--http", "-o", out, *words, capture, **how)
        return {n: body for n, body in self.files(out).items() if "-HTTPBODY" in n}

    @staticmethod
    def files(directory):
        found = {}
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), "rb") as f:
                found[name] = f.read()
        return found

    def test_truth(self):
        expected = {n: x["sha256"] for n, x in truth().items() if x["bytes"]}
        self.assertEqual(len(expected), 56)
        for workers in "1", "3":
            got = self.bodies(data("sample-http"), "--workers", workers, name="w" + workers)
            self.assertEqual({n: hashlib.sha256(b).hexdigest() for n, b in got.items()}, expected)

    def test_raw(self):
        lines, got = truth(), self.bodies(data("sample-http"), "--http-raw")
        coded = 0
        for name, line in lines.items():
            if not line["bytes"]:
                continue
            body = got.pop(name)
            if line["coding"] == "gzip" and "members" not in line["what"]:
                body = zlib.decompress(body, 31)
            if line["coding"] in ("", "gzip"):
                self.assertTrue(hashlib.sha256(body).hexdigest() == line["sha256"] or "members" in line["what"], name)
            coded += bool(line["coding"])
        self.assertEqual(got, {})
        self.assertGreater(coded, 15)

    def test_requests_and_limit(self):
        got = self.bodies(data("sample-http"), "--http-requests", "--http-max", "1000")
        self.assertEqual(max(len(b) for b in got.values()), 1000)
        asked = [n for n in got if ".08080-HTTPBODY-" in n]
        self.assertEqual([n[-3:] for n in asked], ["001"]) # one POST, of a form to curl's mind
        self.assertIn("HTTP bodies cut: they decode to more than the limit", run("streams", "--stats", "--http", "--http-max", "10",
                                                                               "-o", self.path("s"), data("sample-http")).err)
        self.assertEqual(run("streams", "--http-max", "10", "-o", self.path("x"), data("sample"), code=e2e.USAGE).code, e2e.USAGE)

    def test_holes(self):
        """Zeros by the megabyte take no room on disk, in the middle and at the end of a body."""
        sys.path.insert(0, os.path.join(e2e.ROOT, "tests", "cases"))
        import build  # pylint: disable=import-outside-toplevel
        body = b"begin" + bytes(3 << 20) + b"middle" + bytes(4 << 20)
        wire = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(body)
        packets, at = [], 0
        for flags, data_ in [(build.SYN, b"")] + [(build.ACK, wire[i:i + 1400]) for i in range(0, len(wire), 1400)] + [(build.FIN | build.ACK, b"")]:
            packets.append(build.Packet(build.eth(build.ip4(build.tcp("10.0.0.2", "10.0.0.1", 80, 1000, seq=at, ack=1, flags=flags, data=data_),
                                                            "10.0.0.2", "10.0.0.1")), at=10**18 + at * 1000))
            at += len(data_) + (flags == build.SYN)
        path = self.path("zeros.pcap")
        with open(path, "wb") as f:
            f.write(build.pcap(packets))
        (name, got), = self.bodies(path).items()
        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(body).digest())
        self.assertLess(os.stat(os.path.join(self.path("out"), name)).st_blocks * 512, 2 << 20)

    def test_lost_packets(self):
        """Every 25th packet is missing: no name that the truth lacks, nothing beyond a body's length, most as they were."""
        with open(data("sample-http"), "rb") as f:
            capture = f.read()
        kept, at, n = [capture[:24]], 24, 0
        while at < len(capture):
            size = 16 + struct.unpack_from("<I", capture, at + 8)[0]
            n += 1
            if n % 25:
                kept.append(capture[at:at + size])
            at += size
        path = self.path("lost.pcap")
        with open(path, "wb") as f:
            f.write(b"".join(kept))
        lines, same = truth(), 0
        for name, body in self.bodies(path).items():
            stream, number = name.split("-HTTPBODY-")
            if name in lines:
                same += hashlib.sha256(body).hexdigest() == lines[name]["sha256"]
            else: # numbers after a lost head are those of the responses that were seen
                self.assertTrue(any(x.startswith(stream + "-") for x in lines), name)
                self.assertLessEqual(int(number[:3]), 30)
        self.assertGreater(same, 15)

    def test_beside_tcpflow(self):
        """What tcpflow writes for a lossless capture is what we write, name and bytes."""
        e2e.need("tcpflow")
        theirs = self.path("theirs")
        subprocess.run(["tcpflow", "-e", "http", "-r", data("sample"), "-o", theirs], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)
        wanted = {n: b for n, b in self.files(theirs).items() if "-HTTPBODY-" in n}
        self.assertGreater(len(wanted), 10)
        got = self.bodies(data("sample"))
        self.assertEqual({n: got.get(n) for n in wanted}, wanted)
        # and one more: it leaves out a flow whose bytes equal another's
        self.assertEqual([n for n in got if n not in wanted and ":" not in n], [])


if __name__ == "__main__":
    e2e.main()
