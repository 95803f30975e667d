#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Options that shape output: containers, names, gaps, sync, limits on open files, the user to become."""
import json
import os
import pwd
import resource
import struct
import unittest

import e2e
from e2e import data, run
from files_test import records


def contents(directory):
    found = {}
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as f:
            found[name] = f.read()
    return found


class Containers(e2e.Case):
    """Whatever the container, its payloads in order are the raw stream."""

    def setUp(self):
        super().setUp()
        # no holes: a container tells of them in its own way
        self.source = data("sample")
        run("streams", self.source, "-o", self.path("raw"), "-q")
        self.raw = contents(self.path("raw"))

    def test_headers(self):
        """12 bytes (u64 time in ns, u16 length, u16 stream) before each piece."""
        run("streams", self.source, "-o", self.path("h"), "-q", "--format", "headers")
        got = contents(self.path("h"))
        self.assertEqual(set(got), set(self.raw))
        for name, body in got.items():
            at, data_ = 0, b""
            while at < len(body):
                ns, length, _ = struct.unpack_from("<QHH", body, at)
                self.assertGreater(ns, 1_500_000_000 * 10**9)
                data_ += body[at + 12:at + 12 + length]
                at += 12 + length
            self.assertEqual(data_, self.raw[name], name)

    def test_json(self):
        """A file a connection; its payloads by direction are the raw streams."""
        run("streams", self.source, "-o", self.path("j"), "-q", "--format", "json")
        for name, body in contents(self.path("j")).items():
            for line in body.decode().splitlines():
                json.loads(line)
            self.assertTrue(body, name)

    def test_json_separate(self):
        run("streams", self.source, "-o", self.path("j"), "-q", "--format", "json", "--separate")
        self.assertGreaterEqual(len(os.listdir(self.path("j"))), len(self.raw))

    def test_chunks(self):
        run("streams", self.source, "-o", self.path("c"), "-q", "--format", "chunks", "--separate")
        got = contents(self.path("c"))
        self.assertEqual(len(got), len(self.raw))
        total = sum(map(len, self.raw.values()))
        self.assertGreater(sum(map(len, got.values())), total)

    def test_pcap(self):
        """A capture a direction: together all TCP packets of connections with payload."""
        run("streams", self.source, "-o", self.path("p"), "-q", "--format", "pcap")
        all_packets = set(records(self.source))
        for name in os.listdir(self.path("p")):
            part = records(os.path.join(self.path("p"), name))
            self.assertTrue(part)
            self.assertLessEqual(set(part), all_packets)


class Names(e2e.Case):
    def test_template(self):
        run("streams", data("sample"), "-o", self.path("t"), "-q", "--template", "%B/%b/%A-%a%C%c", "--port", "443")
        files = e2e.tree(self.path("t"))
        self.assertTrue(all(x.split("/")[1] in ("00443",) or x.split("/")[2].endswith("-00443") for x in files), files)
        self.assertEqual(sorted(files.values()), sorted(self.streams("plain", data("sample"), "--port", "443").values()))

    def test_no_colon(self):
        self.assertTrue(any(":" in x for x in self.streams("a", data("sample"))))
        self.assertFalse(any(":" in x for x in self.streams("b", data("sample"), "--no-colon")))

    def test_template_cannot_leave(self):
        """No name leads out of the directory."""
        for template in ("../%A%a%B%b", "/tmp/%A%a%B%b", "x/../../%A%a%B%b"):
            before = set(os.listdir(self.directory))
            run("streams", data("sample"), "-o", self.path("in"), "-q", "--template", template, "--overwrite", code=None)
            self.assertLessEqual(set(os.listdir(self.directory)) - before, {"in"}, template)

    def test_part(self):
        self.assertEqual(self.streams("a", data("sample"), "--part"), self.streams("b", data("sample")))

    def test_mtime(self):
        """A stream file's time is that of its first packet."""
        self.streams("a", data("sample"))
        last = max(t for t, _, _ in records(data("sample"))) // 10**9
        for name in os.listdir(self.path("a")):
            self.assertLessEqual(os.stat(os.path.join(self.path("a"), name)).st_mtime, last + 1, name)


class Payloads(e2e.Case):
    def test_udp(self):
        tcp = self.streams("tcp", data("gen-wrapped"))
        both = self.streams("both", data("gen-wrapped"), "--udp")
        only = self.streams("only", data("gen-wrapped"), "--udp", "--no-tcp")
        self.assertEqual(set(both), set(tcp) | set(only))
        want = sorted(x["sha256"] for x in e2e.generated_truth(data("gen-wrapped.truth.jsonl")) if x["proto"] == "udp")
        self.assertEqual(sorted(only.values()), want)

    def test_all_ip(self):
        self.assertGreater(len(self.streams("all", data("sample"), "--all-ip", "--udp")),
                           len(self.streams("udp", data("sample"), "--udp")))


class Gaps(e2e.Case):
    def setUp(self):
        super().setUp()
        self.truth = [x for x in e2e.generated_truth(data("gen-impaired.truth.jsonl")) if x["holes"]]
        self.assertTrue(self.truth)

    def name(self, x):
        return e2e.stream_name(x["src"], x["sport"], x["dst"], x["dport"], x["vlan"])

    def test_skip(self):
        run("streams", data("gen-impaired"), "-o", self.path("s"), "-q", "--gaps", "skip")
        for x in self.truth:
            lost = sum(h[1] for h in x["holes"])
            self.assertEqual(os.path.getsize(os.path.join(self.path("s"), self.name(x))), x["stream_bytes"] - lost)

    def test_file(self):
        run("streams", data("gen-impaired"), "-o", self.path("s"), "-q", "--gaps-file")
        for x in self.truth:
            with open(os.path.join(self.path("s"), self.name(x) + ".gaps"), encoding="ascii") as f:
                listed = [[x["offset"], x["length"]] for x in map(json.loads, f)]
            self.assertEqual(listed, x["holes"], x)

    def test_holes_max(self):
        _, counted = e2e.counters("streams", data("gen-impaired"), "-o", self.path("s"), "--holes-max", "1")
        self.assertGreater(counted["hole_bytes_skipped"], 0)


class System(e2e.Case):
    def test_fsync_and_backends(self):
        want = self.streams("want", data("sample"))
        for words in (["--fsync", "close"], ["--fsync", "1"], ["--fsync", "none"], ["--backend", "plain"], ["--backend", "uring"],
                      ["--open-files", "4"], ["--blocks", "4"], ["--blocks", "2", "--block-size", "64K"]):
            with self.subTest(words):
                name = "-".join(words)
                result = run("streams", data("sample"), "-o", self.path(name), "-q", *words, code=None)
                if "uring" in words and result.code == 3:
                    continue  # not in this kernel
                self.assertEqual(result.code, 0, result)
                self.assertEqual(e2e.tree(self.path(name)), want)

    def test_user(self):
        """-U: files are that user's; the run gives up root."""
        e2e.need_root()
        nobody = pwd.getpwnam("nobody")
        os.chmod(self.directory, 0o777)
        run("streams", data("sample"), "-o", self.path("s"), "-q", "-U", "nobody")
        names = os.listdir(self.path("s"))
        self.assertTrue(names)
        for name in names:
            self.assertEqual(os.stat(os.path.join(self.path("s"), name)).st_uid, nobody.pw_uid)
        run("extract", data("sample"), "-o", self.path("x.pcap"), "-q", "-U", "nobody")
        self.assertEqual(os.stat(self.path("x.pcap")).st_uid, nobody.pw_uid)
        self.assertEqual(run("flows", data("sample"), "-U", "no-such-user", code=None).code, e2e.USAGE)

    def test_user_may_not_rename(self):
        """-U in a directory of root: files keep .part, are whole, and the run says so."""
        e2e.need_root()
        os.chmod(self.directory, 0o755)
        result = run("extract", data("sample"), "-o", self.path("x.pcap"), "--chart", self.path("c.pdf"), "-U", "nobody", code=None)
        if "built without cairo" in result.err:
            result = run("extract", data("sample"), "-o", self.path("x.pcap"), "-U", "nobody", code=None)
        else:
            self.assertIn("the page is " + self.path("c.pdf.part"), result.err)
            with open(self.path("c.pdf.part"), "rb") as f:
                self.assertIn(b"%%EOF", f.read())
        self.assertEqual(result.code, e2e.LOST, result)
        self.assertIn(self.path("x.pcap.part") + ": keeps this name", result.err)
        self.assertIn("packets written to " + self.path("x.pcap.part") + "\n", result.err)
        run("repair", self.path("x.pcap.part"))

    def test_many_streams_few_files(self):
        """100,000 streams under ulimit -n 256."""
        count = 20000 if os.environ.get("WS_SANITIZE", "none") != "none" else 100000
        path = self.path("many.pcap")
        records_ = e2e.generate(path, "--connections", str(count // 2), "--size", "uniform:1-300", "--concurrency", "2000",
                                "--seed", "3")

        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        out = self.path("s")
        _, counted = e2e.counters("streams", path, "-o", out, "-q", preexec_fn=few, timeout=400)
        want = sum(1 for x in records_ if x["stream_bytes"])
        self.assertEqual(counted["out_files"], want)
        names = os.listdir(out)
        self.assertEqual(len(names), want)
        truth = {e2e.stream_name(x["src"], x["sport"], x["dst"], x["dport"]): x for x in records_}
        got = 0
        for name in names[::37]:
            with open(os.path.join(out, name), "rb") as f:
                self.assertEqual(e2e.hashlib.sha256(f.read()).hexdigest(), truth[name]["sha256"], name)
            got += 1
        self.assertGreater(got, 100)


if __name__ == "__main__":
    e2e.main()
