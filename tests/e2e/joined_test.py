#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Streams of both directions in one file, all streams on standard output, and metadata, by the native commands."""
import json
import os
import unittest

import e2e
from e2e import LOST, data, run

FILES = ("sample", "sample-lossy", "gen-impaired", "gen-reuse", "gen-wrapped")


class Joined(e2e.Case):
    def bodies(self, name):
        found = {}
        for file in sorted(os.listdir(self.path(name))):
            with open(os.path.join(self.path(name), file), "rb") as f:
                found[file] = f.read()
        return found

    def test_is_what_json_says(self):
        """The joined file is the row of all chunks, gaps as text, holes or nothing; its name that of the originator's stream."""
        template = "%A.%a-%B.%b%V%v%C%c"
        for name in FILES:
            with self.subTest(name):
                self.streams(name + "-json", data(name), "--format", "json", "-T", template)
                want = {kind: {} for kind in ("text", "skip", "zeros")}
                for file, body in self.bodies(name + "-json").items():
                    for kind, found in want.items():
                        found[file] = b""
                        for c in map(json.loads, body.splitlines()):
                            missing = int(c.get("missing", "0"))
                            if missing:
                                found[file] += {"text": b"[%d bytes missing]" % missing, "skip": b"", "zeros": b"\0" * missing}[kind]
                            found[file] += bytes.fromhex(c["data_hex"])
                for kind, found in want.items():
                    self.streams(name + kind, data(name), "--joined", "--gaps", kind)
                    self.assertEqual(self.bodies(name + kind), found, kind)
                self.streams(name, data(name), "--joined")
                self.assertEqual(self.bodies(name), want["text"])
                self.assertEqual(set(self.bodies(name)) - set(os.listdir(self.path(name + "-json"))), set())

    def test_workers(self):
        for name in FILES:
            for words in (["--joined", "--metadata", "json"], ["--gaps", "text"], ["--format", "json", "--metadata", "text", "--all-ip"]):
                with self.subTest(name, words=words):
                    trees = [self.streams("w", data(name), "--overwrite", "--workers", n, *words) for n in ("1", "4")]
                    self.assertEqual(trees[0], trees[1])
                    e2e.shutil.rmtree(self.path("w"))

    def test_standard_output(self):
        """The pieces of all connections, in one order whatever the number of workers."""
        for name in FILES:
            for words in ([], ["--format", "chunks", "--udp"], ["--format", "json", "--all-ip"]):
                with self.subTest(name, words=words):
                    one, *more = [run("streams", data(name), "-q", "-o", "-", "--workers", n, *words).raw for n in ("1", "2", "4")]
                    self.assertTrue(one)
                    for other in more:
                        self.assertTrue(one == other, "another order")
        lines = sorted(run("streams", data("gen-impaired"), "-q", "-o", "-", "--format", "json", "--all-ip").raw.splitlines())
        self.streams("files", data("gen-impaired"), "--format", "json", "--all-ip")
        self.assertEqual(lines, sorted(line for body in self.bodies("files").values() for line in body.splitlines()))

    def test_impaired(self):
        path = self.path("x.pcap")
        e2e.generate(path, "--connections", "300", "--size", "uniform:0-20000", "--loss", "0.02", "--reorder", "0.1", "--dup", "0.05", "--wrap", "40",
                     "--fragment", "0.1", "--tunnel", "mix:40", "--udp", "20", "--rst", "20", "--reuse", "10", "--midstream", "20", "--seed", "9")
        one, four = (run("streams", path, "-q", "-o", "-", "--udp", "--format", "chunks", "--workers", n).raw for n in ("1", "4"))
        self.assertTrue(one == four and one, "another order")

    def test_metadata(self):
        """The counts are those of the JSON chunks."""
        for name in FILES:
            with self.subTest(name):
                self.streams(name, data(name), "--format", "json", "--metadata", "json", "--all-ip")
                bodies, silent = self.bodies(name), 0
                for file, body in bodies.items():
                    if not file.endswith("-metadata.json"):
                        self.assertIn(file[:-5] + "-metadata.json", bodies)
                        continue
                    got = json.loads(body)
                    lines = bodies.get(file.replace("-metadata", ""), b"").splitlines()
                    silent += not lines
                    sides = [c["side"] for c in map(json.loads, lines) if c["size"] != "0"]
                    for side in "01":
                        chunks = [c for c in map(json.loads, lines) if c["side"] == side and c["size"] != "0"]
                        self.assertEqual(got["side_" + side]["bytes"], str(sum(int(c["size"]) for c in chunks)))
                        self.assertLessEqual(int(got["side_" + side]["packets"]), len(chunks))
                        self.assertEqual(got["side_" + side]["messages"],
                                         str(sum(s == side and (i == 0 or sides[i - 1] != s) for i, s in enumerate(sides))))
                    for key in ("bytes", "packets", "messages"):
                        self.assertEqual(int(got["total"][key]), int(got["side_0"][key]) + int(got["side_1"][key]))
        # the directory of the metadata where streams are no files
        run("streams", data("sample"), "-q", "-o", "-", "--format", "json", "--metadata", "json", "--metadata-dir", self.path("only"), "--all-ip")
        self.assertEqual(self.bodies("only"), {k: v for k, v in self.bodies("sample").items() if "-metadata" in k})

    def test_local_time(self):
        for zone, want in (("Asia/Kolkata", "2026-11-21T13:40:20+05:30"), ("UTC", "2026-11-21T08:10:20Z")):
            tree = self.streams(zone.replace("/", "-"), data("sample-any"), "--local-time", "-T", "%T-%A%a%B%b", TZ=zone)
            self.assertTrue(any(x.startswith(want) for x in tree), tree)
        self.assertTrue(any(x.startswith("2026-11-21T08:10:20Z") for x in self.streams("x", data("sample-any"), "-T", "%T-%A%a%B%b",
                                                                                      TZ="Asia/Kolkata")))

    def test_full_disk_on_standard_output(self):
        if not os.path.exists("/dev/full"):
            raise unittest.SkipTest("no /dev/full")
        with open("/dev/full", "wb") as full:
            done = e2e.subprocess.run([e2e.WIRESPOOL, "streams", data("sample"), "-o", "-", "--joined"], stdout=full, stderr=e2e.subprocess.PIPE,
                                      check=False, timeout=60)
        self.assertIn(done.returncode, (LOST, e2e.ENVIRONMENT))
        self.assertIn(b"No space left", done.stderr)

    def test_live(self):
        """From a file through a device as if live."""
        e2e.need_dpdk()
        want = run("streams", data("sample"), "-q", "-o", "-", "--joined").raw
        result = run("replay", data("sample"), "-q", "--streams", "-", "--joined", code=None)
        if result.code == e2e.ENVIRONMENT:
            raise unittest.SkipTest("no device here")
        self.assertEqual(result.code, 0, result)
        self.assertTrue(result.raw.endswith(want) or result.raw == want, "other bytes")


if __name__ == "__main__":
    e2e.main()
