#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Damaged and missing inputs, outputs that fail: what is said, what is delivered, exit codes (0 done, 1 damaged or lost,
2 usage, 3 environment)."""
import os
import struct
import subprocess
import unittest

import e2e
from e2e import data, run
from files_test import records, write_pcap, write_pcapng


class Damaged(e2e.Case):
    def write(self, name, raw):
        with open(self.path(name), "wb") as f:
            f.write(raw)
        return self.path(name)

    def cuts(self, raw, suffix, whole):
        """Every cut: never a crash; the packets before it are delivered; a cut inside a record is said, with its offset."""
        for at in range(0, len(raw) + 1, 1 if len(raw) < 700 else 7):
            path = self.write("cut." + suffix, raw[:at])
            result, counted = e2e.counters("flows", path, "--json", "--all", code=None, cwd=self.directory) \
                if at >= 28 else (run("flows", path, code=None), None)
            self.assertIn(result.code, (0, 1), f"cut at {at}: {result}")
            if at < 24:
                self.assertEqual(result.code, 1, f"cut at {at}: {result}")
                self.one_line(result, path)
            if counted and whole is not None:
                inside = at not in whole
                complete = sum(1 for end in whole if end <= at and end != 24)
                self.assertEqual(counted["rx_packets"], complete, f"cut at {at}: {result}")
                self.assertEqual(result.code, 1 if inside else 0, f"cut at {at}: {result}")
                if inside:
                    self.one_line(result, path, "offset")

    def test_every_cut_of_a_pcap(self):
        few = [(t, n, b[:60]) for t, n, b in records(data("sample"))[:6]]
        path = self.path("small.pcap")
        write_pcap(path, few)
        with open(path, "rb") as f:
            raw = f.read()
        ends, at = {24}, 24
        for _, _, body in few:
            at += 16 + len(body)
            ends.add(at)
        self.cuts(raw, "pcap", ends)

    def test_every_cut_of_a_pcapng(self):
        path = self.path("small.pcapng")
        write_pcapng(path, [(t, n, b[:60]) for t, n, b in records(data("sample"))[:4]], resolution=6)
        with open(path, "rb") as f:
            raw = f.read()
        self.cuts(raw, "pcapng", None)

    def test_truncated_streams(self):
        """What could be read is written."""
        with open(data("sample"), "rb") as f:
            raw = f.read()
        path = self.write("half.pcap", raw[:len(raw) // 2 + 3])
        self.streams("s", path, code=e2e.LOST)
        self.assertGreater(len(os.listdir(self.path("s"))), 5)
        run("extract", path, "-o", self.path("x.pcap"), code=e2e.LOST)
        got = records(self.path("x.pcap"))
        self.assertEqual(got, records(data("sample"))[:len(got)])
        self.assertGreater(len(got), 100)

    def test_wrong_magic(self):
        for raw in (b"", b"\0", b"PK\3\4" + b"x" * 100, b"hello, world\n" * 50, b"\xd4\xc3\xb2\xa2" + b"\0" * 100):
            path = self.write("wrong", raw)
            result = run("flows", path, code=e2e.LOST)
            self.one_line(result, path)
            for words in (["extract", path, "-o", self.path("never.pcap")], ["streams", path, "-o", self.path("never")]):
                run(*words, code=e2e.LOST)

    def test_absurd_lengths(self):
        good = records(data("sample"))[:3]
        path = self.path("x.pcap")
        write_pcap(path, good)
        with open(path, "rb") as f:
            raw = f.read()
        for length in (0x7fffffff, 0xffffffff, 0x80000000, 300000, 0x10000000):
            head = struct.pack("<IIII", 1, 2, length, length)
            self.write("x.pcap", raw + head + b"\0" * 100)
            result, counted = e2e.counters("flows", path, code=e2e.LOST)
            self.assertEqual(counted["rx_packets"], 3)
            self.one_line(result, path, "offset %d" % len(raw))
        for length in (0, 1, 11, 13, 0xfffffff0, 0x7ffffffc):
            write_pcapng(path, good)
            with open(path, "ab") as f:
                f.write(struct.pack("<II", 6, length) + b"\0" * 64)
            result, counted = e2e.counters("flows", path, code=e2e.LOST)
            # a block too long for the file may still hold its whole packet
            self.assertIn(counted["rx_packets"], (3, 4) if length > 2**24 else (3,), f"block length {length}")
            self.one_line(result, path, "offset")

    def test_missing_and_unreadable(self):
        for command in (["flows"], ["extract", "-o", self.path("o.pcap")], ["streams", "-o", self.path("o")]):
            missing = self.path("missing.pcap")
            result = run(*command, missing, code=e2e.ENVIRONMENT)
            self.one_line(result, missing, "No such file")
            result = run(*command, self.directory, code=None)
            self.assertIn(result.code, (1, 3))
            self.one_line(result, self.directory, "directory")
            self.assertFalse(os.path.exists(self.path("o.pcap")))
        result = run("flows", data("sample"), "tcp", "port", "80", code=None, cwd=self.directory)
        self.assertEqual(result.code, e2e.LOST, result)
        self.assertIn("-f 'EXPR'", result.err)

    def test_unreadable(self):
        path = self.write("closed.pcap", open(data("sample"), "rb").read())
        os.chmod(path, 0)
        command = [e2e.WIRESPOOL, "flows", path]
        if os.geteuid() == 0:
            e2e.need("setpriv")
            os.chmod(self.directory, 0o755)
            probe = e2e.execute(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", e2e.WIRESPOOL, "--version"])
            if probe.code != 0:
                self.skipTest("an ordinary user cannot reach the program here")
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        result = e2e.sane(e2e.execute(command))
        self.assertEqual(result.code, e2e.ENVIRONMENT, result)
        self.one_line(result, path, "Permission denied")

    def test_usage(self):
        for words in ([], ["nonsense"], ["flows"], ["extract", data("sample")], ["streams", data("sample")], ["flows", "--nonsense", "x"],
                      ["flows", "--workers", "0", data("sample")], ["flows", "--workers", "x", data("sample")], ["capture"],
                      ["flows", "--sort", "colour", data("sample")], ["extract", data("sample"), "-o"],
                      ["flows", "--top", "-1", data("sample")], ["streams", data("sample"), "-o", self.path("x"), "--template", ""],
                      ["streams", data("sample"), "-o", self.path("x"), "--template", "%Q"]):
            with self.subTest(words):
                result = run(*words, code=e2e.USAGE)
                self.assertTrue(result.err.strip(), words)
                self.assertEqual(result.out, "")
        for words in (["--help"], ["flows", "--help"], ["--version"], ["streams", "-h"]):
            self.assertTrue(run(*words).out.strip(), words)


class Outputs(e2e.Case):
    def test_existing(self):
        out, tree = self.path("x.pcap"), self.path("t")
        run("extract", data("sample"), "-o", out)
        before = open(out, "rb").read()
        result = run("extract", data("sample-any"), "-o", out, code=e2e.ENVIRONMENT)
        self.one_line(result, out)
        self.assertEqual(open(out, "rb").read(), before)
        run("extract", data("sample-any"), "-o", out, "--overwrite")
        self.assertEqual(records(out), records(data("sample-any")))
        self.streams("t", data("sample"))
        before = e2e.tree(tree)
        result = run("streams", data("sample"), "-o", tree, code=None)
        self.assertIn(result.code, (1, 3), result)
        self.assertIn("--overwrite", result.err)
        self.assertEqual(e2e.tree(tree), before)
        self.assertEqual(self.streams("t", data("sample"), "--overwrite"), before)

    def test_unwritable(self):
        out = self.path("no/such/dir/x.pcap")
        result = run("extract", data("sample"), "-o", out, code=e2e.ENVIRONMENT)
        self.one_line(result, out)
        with open(self.path("file"), "w", encoding="ascii"):
            pass
        result = run("streams", data("sample"), "-o", self.path("file"), code=e2e.ENVIRONMENT)
        self.one_line(result, self.path("file"))
        result = run("extract", data("sample"), "-o", self.directory, "--overwrite", code=e2e.ENVIRONMENT)
        self.one_line(result, self.directory)

    def test_input_is_output(self):
        path = self.path("x.pcap")
        run("extract", data("sample"), "-o", path)
        before = open(path, "rb").read()
        run("extract", path, "-o", path, code=None)
        run("extract", path, "-o", path, "--overwrite", code=None)
        self.assertEqual(open(path, "rb").read(), before)

    def test_nothing_left_behind_on_failure(self):
        """A PCAP appears whole or not at all; no temporary file stays."""
        run("extract", self.path("missing.pcap"), "-o", self.path("x.pcap"), code=e2e.ENVIRONMENT)
        self.assertEqual(os.listdir(self.directory), [])

    def test_full_device(self):
        with open("/dev/full", "wb") as full:
            for words in (["extract", data("sample"), "-o", "-"], ["flows", data("sample")], ["flows", "--json", data("sample")]):
                done = subprocess.run([e2e.WIRESPOOL, *words], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
                result = e2e.Result(words, done.returncode, b"", done.stderr.decode())
                e2e.sane(result)
                self.assertIn(result.code, (1, 3), result)
                self.one_line(result, "No space left")

    def test_closed_pipe(self):
        reader, writer = os.pipe()
        os.close(reader)
        for words in (["extract", data("sample"), "-o", "-"], ["flows", "--all", data("sample")]):
            done = subprocess.run([e2e.WIRESPOOL, *words], stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60)
            e2e.sane(e2e.Result(words, done.returncode, b"", done.stderr.decode()))
            self.assertNotEqual(done.returncode, 0)
        os.close(writer)

    def test_full_disk(self):
        """A tmpfs that is too small: said, counted, exit code 1 or 3, the ledger balanced, the disk freed."""
        e2e.need_root()
        mount = self.path("small")
        os.mkdir(mount)
        if e2e.execute(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount]).code != 0:
            self.skipTest("cannot mount a tmpfs here")
        self.addCleanup(e2e.execute, ["umount", "-l", mount])
        for backend in ("plain", "uring"):
            for words in (["extract", data("sample"), "-o", mount + "/x.pcap"], ["streams", data("sample"), "-o", mount + "/s"]):
                with self.subTest(words[0], backend=backend):
                    result, counted = e2e.counters(*words, "--backend", backend, "--overwrite", "--drain", "1s", code=None,
                                                   timeout=120)
                    self.assertIn(result.code, (1, 3), result)
                    self.one_line(result, "No space left", mount)
                    self.assertGreater(counted["write_lost_bytes"] + counted["write_lost_packets"] +
                                       counted["shed_block_packets"], 0, result)
                    e2e.execute(["rm", "-rf", mount + "/s", mount + "/x.pcap"])
        self.assertEqual(os.listdir(mount), [])


if __name__ == "__main__":
    e2e.main()
