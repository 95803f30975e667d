#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is looked at before anything is made, what is said when nothing matches, and what does not stay behind."""
import glob
import gzip
import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
import time
import unittest

import e2e
from e2e import data, run


def ethernet(payload):
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + payload


def icmp(src, dst, kind, code):
    body = struct.pack(">BBHHH", kind, code, 0, 1, 1)
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 1, 0, bytes(src), bytes(dst))
    return ethernet(head + body)


def pcap(frames):
    out = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)
    return out + b"".join(struct.pack("<IIII", 1, i, len(f), len(f)) + f for i, f in enumerate(frames))


class Early(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="ws-early-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content)
        return self.path(name)

    def test_unknown_user(self):
        """-U is looked up before an output is made."""
        for words in (("streams", data("sample"), "-o", self.path("s")),
                      ("extract", data("sample"), "-o", self.path("x.pcap"))):
            r = run(*words, "-U", "no-such-user", code=e2e.USAGE)
            self.assertIn("no such user", r.err)
        self.assertEqual(os.listdir(self.directory), [])

    def test_statistics_that_cannot_be_written(self):
        """--stats-json is opened before an output is made."""
        r = run("streams", data("sample"), "-o", self.path("s"), "--stats-json", self.path("no/such/place"),
                code=e2e.ENVIRONMENT)
        self.assertIn("no/such/place", r.err)
        self.assertEqual(os.listdir(self.directory), [])

    def test_nothing_selected(self):
        """A selection that matches no flow says so, by the name of the option."""
        for option, value in (("--port", "1"), ("--host", "203.0.113.77"), ("--tuple", "tcp,203.0.113.1:1,203.0.113.2:2"),
                              ("--community-id", "1:AAAAAAAAAAAAAAAAAAAAAAAAAAA=")):
            with self.subTest(option):
                r = run("extract", data("sample"), "-o", self.path(option + ".pcap"), option, value)
                self.assertIn("flows is selected:", r.err)
                self.assertIn(option + " matches none", r.err)
                self.assertNotIn("selected:", run("extract", data("sample"), "-o", self.path(option + ".all.pcap")).err)

    def test_icmp_community_id(self):
        """Of an ICMP flow the ID is that of its first message (the specification's baseline)."""
        a, b, c, d = (192, 168, 0, 89), (192, 168, 0, 1), (10, 0, 0, 1), (10, 0, 0, 2)
        want = {"192.168.0.89": "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", "10.0.0.1": "1:YHxtAirCG//0OzkcVAukqKQN9xM="}
        capture = self.write("icmp.pcap", pcap([icmp(a, b, 8, 0), icmp(b, a, 0, 0), icmp(c, d, 11, 0), icmp(c, d, 3, 1)]))
        self.assertEqual({f["id.orig_h"]: f.get("community_id") for f in e2e.flows(capture)}, want)
        backwards = self.write("answer.pcap", pcap([icmp(b, a, 0, 0)]))
        self.assertEqual(e2e.flows(backwards)[0]["community_id"], want["192.168.0.89"])
        run("replay", capture, "--flows", self.path("f.json"), "-q", code=None)
        if os.path.exists(self.path("f.json")):
            with open(self.path("f.json"), encoding="ascii") as f:
                self.assertEqual({x["id.orig_h"]: x.get("community_id") for x in map(json.loads, f)}, want)

    def test_devices_stay(self):
        """--overwrite replaces files: a device or FIFO that an output is named after stays what it is."""
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)  # so that nobody waits for one
        self.addCleanup(os.close, reader)
        small = self.write("small.pcap", pcap([icmp((10, 0, 0, 1), (10, 0, 0, 2), 8, 0)]))
        for words in (("repair", small, "-o", fifo),
                      ("streams", small, "-o", self.path("tree"), "--report", fifo),
                      ("flows", small, "--chart", fifo),
                      ("extract", small, "-o", fifo)):
            with self.subTest(words[0]):
                run(*words, "--overwrite", *(() if words[0] == "repair" else ("-q",)), code=None)
                self.assertTrue(stat.S_ISFIFO(os.stat(fifo).st_mode))

    def test_interrupted_while_unpacking(self):
        """Ctrl-C while replay unpacks its input leaves no scratch directory behind."""
        frame = ethernet(b"\x45" + bytes(1400))
        one = struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame
        with gzip.open(self.path("big.pcap.gz"), "wb", 1) as f:
            f.write(pcap([]))
            for _ in range(30):
                f.write(one * 10000)
        scratch = self.path("tmp")
        os.mkdir(scratch)
        p = subprocess.Popen([e2e.WIRESPOOL, "replay", self.path("big.pcap.gz"), "--flows", self.path("f"), "-q"],
                             stderr=subprocess.PIPE, env=dict(os.environ, TMPDIR=scratch))
        while p.poll() is None and not any(os.path.getsize(x) for x in glob.glob(scratch + "/wirespool-*/0.pcap")):
            time.sleep(0.001)
        p.send_signal(signal.SIGINT)
        said = p.communicate(timeout=60)[1].decode()
        if p.returncode == e2e.ENVIRONMENT:
            self.skipTest(said.strip())
        self.assertEqual(p.returncode, e2e.LOST, said)
        self.assertIn("interrupted while it was unpacked", said)
        self.assertEqual(os.listdir(scratch), [])


if __name__ == "__main__":
    e2e.main()
