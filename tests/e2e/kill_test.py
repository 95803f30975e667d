#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 at random moments: what is left is whole, or named .part and a prefix of the whole; `repair` makes it a capture that
others open. And `repair` by itself. WS_TEST_KILLS: how many kills in all (default 60), WS_TEST_SEED: which."""
import atexit
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import e2e
from e2e import run
from files_test import block, records, write_pcap, write_pcapng

KILLS = int(os.environ.get("WS_TEST_KILLS", "60"))
# In memory where there is room: each repair waits for the disk.
if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 2 << 30:
    tempfile.tempdir = tempfile.mkdtemp(prefix="ws-kills-", dir="/dev/shm")
    atexit.register(shutil.rmtree, tempfile.tempdir, ignore_errors=True)
SEED = int(os.environ.get("WS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def boundaries(raw):
    """Ends of the units of a capture, by a reader of our own."""
    ends, at = [], 0
    if raw[:4] == b"\n\r\r\n":
        while at + 12 <= len(raw):
            at += struct.unpack_from("<I", raw, at + 4)[0]
            ends.append(at)
    else:
        at = 24
        ends.append(at)
        while at + 16 <= len(raw):
            at += 16 + struct.unpack_from("<I", raw, at + 8)[0]
            ends.append(at)
    return ends


class Repair(e2e.Case):
    def write(self, name, raw):
        with open(self.path(name), "wb") as f:
            f.write(raw)
        return self.path(name)

    def opens(self, path):
        """The packets that capinfos counts; it and tshark have nothing to complain about."""
        e2e.need("capinfos", "tshark")
        result = e2e.execute(["capinfos", "-M", "-c", path])
        self.assertEqual((result.code, result.err), (0, ""), result)
        if os.path.getsize(path) < 3000000:
            shown = e2e.execute(["tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.number"])
            self.assertEqual(shown.code, 0, shown)
            self.assertNotIn("cut short", shown.err)
        return int(result.out.split()[-1])

    def captures(self):
        few = [(t, n, b[:80]) for t, n, b in records(e2e.data("sample"))[:6]]
        for order in "<", ">":
            write_pcap(self.path("whole.pcap"), few, order=order, ns=order == "<")
            yield "pcap", read(self.path("whole.pcap"))
            write_pcapng(self.path("whole.pcapng"), few, order=order)
            yield "pcapng", read(self.path("whole.pcapng"))

    def test_cuts(self):
        for suffix, raw in self.captures():
            for at in range(0, len(raw), 23):
                path = self.write("cut." + suffix + ".part", raw[:at])
                out = self.path("cut." + suffix)
                result = run("repair", path, "--json", code=None)
                self.assertIn(result.code, (0, 1))
                if result.code == 1:
                    self.assertFalse(os.path.exists(out))
                    self.assertLess(at, 24 if suffix == "pcap" else 28 + 32)
                    continue
                self.opens(out)
                self.assertTrue(raw.startswith(read(out)))
                self.assertIn('"bytes_kept":%d' % os.path.getsize(out), result.out)
                self.assertEqual(read(path), raw[:at])
                os.unlink(out)

    def test_in_place(self):
        raw = read(e2e.data("sample"))
        path = self.write("x.pcap", raw[:50000])
        result = run("repair", path, code=e2e.LOST)
        self.one_line(result, path, "offset", "--in-place")
        self.assertEqual(read(path), raw[:50000])
        run("repair", "--in-place", path)
        self.assertTrue(raw.startswith(read(path)))
        self.assertLess(50000 - os.path.getsize(path), 1600)
        result = run("repair", "--in-place", path)
        self.one_line(result, path, "whole")
        self.opens(path)

    def test_damage_in_the_middle(self):
        raw = bytearray(read(e2e.data("sample")))
        write_pcapng(self.path("x.pcapng"), records(e2e.data("sample"))[:50])
        for name, data in ("x.pcap", raw), ("x.pcapng", bytearray(read(self.path("x.pcapng")))):
            ends = boundaries(bytes(data))
            at = ends[30]
            struct.pack_into("<I", data, at + (8 if name == "x.pcap" else 4), 0x7fffffff)
            path, out = self.write(name, data), self.path("out-" + name)
            result = run("repair", path, "-o", out)
            self.one_line(result, path, "offset %d" % at)
            self.assertEqual(read(out), bytes(data[:at]))
            self.opens(out)

    def test_refusals(self):
        raw = read(e2e.data("sample"))
        part = self.write("a.pcap.part", raw[:9999])
        self.write("a.pcap", b"mine")
        result = run("repair", part, code=e2e.ENVIRONMENT)
        self.one_line(result, "a.pcap", "exists", "--overwrite")
        self.assertEqual(read(self.path("a.pcap")), b"mine")
        run("repair", part, "--overwrite")
        self.opens(self.path("a.pcap"))
        self.assertEqual(sorted(os.listdir(self.directory)), ["a.pcap", "a.pcap.part"])
        run("repair", self.directory, code=e2e.ENVIRONMENT)
        run("repair", self.path("missing"), code=e2e.ENVIRONMENT)
        run("repair", self.write("text", b"hello world " * 20), code=e2e.LOST)
        run("repair", self.write("empty", b""), code=e2e.LOST)
        run("repair", code=e2e.USAGE)
        run("repair", part, "-o", "x", "--in-place", code=e2e.USAGE)
        run("repair", part, part, "-o", "x", code=e2e.USAGE)
        self.assertEqual(run("repair", part, "-o", "-", "-q").raw, read(self.path("a.pcap")))

    def test_zeros_at_the_end(self):
        """What a machine that went down leaves of a file."""
        raw = read(e2e.data("sample"))
        cut = boundaries(raw)[20]
        out = self.path("o.pcap")
        run("repair", self.write("z.pcap", raw[:cut] + bytes(4096)), "-o", out)
        self.assertEqual(read(out), raw[:cut])

    def test_large_blocks(self):
        """Blocks larger than the buffer, up to what readers take."""
        few = records(e2e.data("sample"))[:2]
        write_pcapng(self.path("l.pcapng"), few)
        raw = read(self.path("l.pcapng")) + block("<", 0x80000bad, bytes(15 << 20))
        path, out = self.write("l.pcapng", raw + raw[-100:-3]), self.path("o.pcapng")
        run("repair", path, "-o", out)
        self.assertEqual(os.path.getsize(out), len(raw))
        self.assertEqual(self.opens(out), 2)


class Kill(Repair):
    """load_tests() does not repeat the cases of Repair."""

    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.mkdtemp(prefix="ws-kill-")
        cls.input = os.path.join(cls.base, "in.pcap")
        e2e.generate(cls.input, "--bytes", "40M", "--seed", "7", "--concurrency", "200", "--size", "pareto:3000:1.1:4M",
                     "--reorder", "0.01", "--retransmit", "0.01")
        cls.random = random.Random(SEED)
        print(f"{KILLS} kills, WS_TEST_SEED={SEED}", flush=True)
        cls.whole = {}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.base, ignore_errors=True)

    def truth(self, name, *words):
        """Output of an undisturbed run, and how long it took; kept."""
        if name not in self.whole:
            out = os.path.join(self.base, name)
            began = time.monotonic()
            run(*words, out, "-q")
            took = time.monotonic() - began
            if os.path.isdir(out):
                found = {n: read(os.path.join(out, n)) for n in os.listdir(out)}
            else:
                found = read(out)
            self.whole[name] = found, took
        return self.whole[name]

    def kill(self, took, *words):
        """Starts the program and kills it within the time that it needs; the outcome is in self.directory."""
        after = self.random.uniform(0, 1.15 * took * self.scale)
        with subprocess.Popen([e2e.WIRESPOOL, words[0], "-q", *words[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as process:
            try:
                _, err = process.communicate(timeout=after)
            except subprocess.TimeoutExpired:
                process.kill()
                _, err = process.communicate()
        self.assertIn(process.returncode, (-signal.SIGKILL, 0), err)
        return process.returncode != 0

    def check_capture(self, out, truth):
        """Whole under its name, or a prefix under .part; repair makes it whole records. How much there is: 0 to 1."""
        part = out + ".part"
        if os.path.exists(out):
            self.assertFalse(os.path.exists(part))
            self.assertTrue(read(out) == truth, "a file with its own name is not whole")
            return 1
        if not os.path.exists(part):
            return 0
        got = read(part)
        self.assertTrue(truth.startswith(got), f"{len(got)} bytes are no prefix of the whole")
        self.check_repair(part, out)
        return len(got) / len(truth)

    def check_repair(self, part, out):
        raw = read(part)
        ends = [0] + [x for x in boundaries(raw) if x <= len(raw)]
        result = run("repair", part, code=None)
        if result.code == 1:
            self.assertLess(len(raw), 120, result)
            return
        self.assertEqual(os.path.getsize(out), ends[-1])
        self.opens(out)
        run("repair", "--in-place", part)
        self.assertTrue(read(part) == read(out))

    def check_streams(self, directory, truth):
        """Every file is a prefix of the whole, without holes; without .part also whole where --part was asked for."""
        bytes_ = 0
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            got = read(os.path.join(directory, name))
            bytes_ += len(got)
            whole = truth.get(name.removesuffix(".part"))
            self.assertIsNotNone(whole, name)
            if got != whole[:len(got)]:
                wrong = next(i for i in range(len(got)) if got[i:i + 1] != whole[i:i + 1])
                self.fail(f"{name}: no prefix of the whole: byte {wrong} of {len(got)} differs")
        return bytes_ / sum(map(len, truth.values()))

    def rounds(self, share, one):
        """Runs one(i) for this share of all kills; says how they were spread."""
        n = max(1, round(KILLS * share))
        reached, self.scale = [], 1
        for i in range(n):
            for name in os.listdir(self.directory):
                path = self.path(name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
            try:
                reached.append(one(i))
            except AssertionError as error:
                raise AssertionError(f"WS_TEST_SEED={SEED}, kill {i}: {error}") from error
            # The machine's load changes: most kills should come in the middle.
            self.scale *= 0.8 if reached[-1] == 1 else 1.2 if reached[-1] == 0 else 1
        print("%s: %d kills, %d before any output, %d in the middle, %d when all was there" % (
            self.id().rsplit(".", 1)[-1], n, sum(x == 0 for x in reached), sum(0 < x < 1 for x in reached),
            sum(x == 1 for x in reached)), flush=True)

    def how(self):
        """Random ways to run that must not matter."""
        return ["--workers", str(self.random.choice((1, 2, 4))), "--backend", self.random.choice(("auto", "plain"))]

    def test_extract_pcap(self):
        whole, took = self.truth("whole.pcap", "extract", self.input, "-o")

        def one(_):
            self.kill(took, "extract", self.input, "-o", self.path("o.pcap"), *self.how())
            return self.check_capture(self.path("o.pcap"), whole)
        self.rounds(0.25, one)

    def test_extract_pcapng(self):
        whole, took = self.truth("whole.pcapng", "extract", self.input, "-o")

        def one(_):
            self.kill(took, "extract", self.input, "-o", self.path("o.pcapng"), *self.how())
            return self.check_capture(self.path("o.pcapng"), whole)
        self.rounds(0.2, one)

    def test_streams(self):
        whole, took = self.truth("whole.streams", "streams", self.input, "-o")

        def one(i):
            part = ["--part"] if i % 3 == 0 else []
            small = ["--blocks", "4", "--block-size", "64K"] if i % 2 else []  # writing begins sooner
            killed = self.kill(took, "streams", self.input, "-o", self.path("s"), *part, *small, *self.how())
            if part and killed and os.path.isdir(self.path("s")):
                for name in os.listdir(self.path("s")):
                    if not name.endswith(".part"):
                        self.assertTrue(read(self.path("s/" + name)) == whole[name], name + " is not whole")
            return self.check_streams(self.path("s"), whole)
        self.rounds(0.25, one)

    def test_replay(self):
        e2e.need_dpdk()
        streams, took = self.truth("whole.streams", "streams", self.input, "-o")
        pcap, _ = self.truth("replayed.pcap", "replay", self.input, "--pcap")
        took = 1.2 * took + 0.3  # EAL needs its time

        def one(_):
            self.kill(took, "replay", self.input, "--pcap", self.path("o.pcap"), "--streams", self.path("s"), "--writers",
                      str(self.random.choice((1, 2))), "--direct", self.random.choice(("on", "off")))
            reached = self.check_capture(self.path("o.pcap"), pcap)
            self.check_streams(self.path("s"), streams)
            return reached
        self.rounds(0.2, one)

    def test_live(self):
        """capture -i lo, in shards: all but the last have their names and are whole."""
        e2e.need_root()
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        stop = threading.Event()

        def send():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                for i in range(1 << 30):
                    if stop.is_set():
                        return
                    s.sendto(struct.pack(">I", i) * 100, ("127.0.0.1", port))
                    if i % 50 == 0:
                        time.sleep(0.0005)

        def numbers(path):
            found = []
            for _, _, frame in records(path):
                self.assertEqual(len(frame), 42 + 400)
                number = frame[42:46]
                self.assertEqual(frame[42:], number * 100)
                found.append(struct.unpack(">I", number)[0])
            return found

        def one(i):
            suffix = "pcapng" if i % 2 else "pcap"
            rotate = ["--rotate-size", "300K"] if i % 3 else []
            self.kill(1.2, "capture", "-i", "lo", "--pcap", self.path("l." + suffix), *rotate, "--", "udp dst port", str(port))
            last = -1
            for name in sorted(os.listdir(self.directory)):
                path = self.path(name)
                if name.endswith(".part"):
                    self.check_repair(path, path[:-5])
                else:
                    self.assertEqual(run("repair", path).code, 0)
                    self.assertEqual(boundaries(read(path))[-1], os.path.getsize(path), "a named shard is cut")
                path = path.removesuffix(".part")
                if suffix == "pcap" and os.path.exists(path):
                    found = numbers(path)
                    self.assertEqual(found, sorted(found))
                    if found:
                        self.assertGreater(found[0], last)
                        last = found[-1]
            return 0.5 if os.listdir(self.directory) else 0

        sender = threading.Thread(target=send)
        sender.start()
        try:
            self.rounds(0.1, one)
        finally:
            stop.set()
            sender.join()
            receiver.close()


def load_tests(loader, _tests, _pattern):
    suite = loader.loadTestsFromTestCase(Repair)
    for name in loader.getTestCaseNames(Kill):
        if name not in Repair.__dict__:
            suite.addTest(Kill(name))
    return suite


if __name__ == "__main__":
    e2e.main()
