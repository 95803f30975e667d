#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Many threads: 4 workers and 2 writers through every command, Ctrl-C and failing outputs among them. In a build with
-Db_sanitize=thread any race is an error; in all builds the results are those of one worker."""
import os
import pty
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import e2e
from e2e import run
from files_test import records, write_pcapng

SUPPRESSIONS = os.path.join(e2e.ROOT, "tests", "tsan.supp")
os.environ["TSAN_OPTIONS"] = ":".join(filter(None, [os.environ.get("TSAN_OPTIONS"), "exitcode=99", "halt_on_error=1",
                                                    "suppressions=" + SUPPRESSIONS]))
MANY = ("--workers", "4")


class Threads(e2e.Case):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.mkdtemp(prefix="ws-threads-")
        cls.input = os.path.join(cls.base, "in.pcap")
        e2e.generate(cls.input, "--bytes", "12M", "--seed", "11", "--concurrency", "300", "--reorder", "0.02", "--fragment",
                     "0.02", "--udp", "10", "--tunnel", "mix:20", "--overlap", "0.01", "--reuse", "5")
        cls.random = random.Random(5)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.base, ignore_errors=True)

    def interfaces(self):
        """A pcapng file of several sections and interfaces: descriptions turn up while it is read."""
        path = self.path("many.pcapng")
        write_pcapng(path, records(e2e.data("gen-impaired")), interfaces=(1, 1, 1), several_sections=True)
        return path

    def test_streams(self):
        one = self.streams("one", self.input, "--udp", "--writers", "1")
        self.assertEqual(self.streams("shared", self.input, "--udp", "--writers", "3"), one)
        self.assertEqual(self.streams("four", self.input, "--udp", *MANY), one)
        # little memory: workers wait for blocks, rings are full
        self.assertEqual(self.streams("tight", self.input, "--udp", *MANY, "--blocks", "2", "--block-size", "64K",
                                      "--open-files", "20"), one)
        for how in ("--format", "chunks"), ("--format", "json"), ("--format", "pcap"), ("--gaps-file", "--part"), ("--json",):
            name = "f" + how[-1]
            run("streams", self.input, "-o", self.path(name), *how, *MANY, "-q")

    def test_extract(self):
        for suffix in "pcap", "pcapng":
            for source in [self.input] + [self.interfaces()] * (suffix == "pcapng"):
                outs = []
                for workers in "1", "4":
                    out = self.path("o" + workers + "." + suffix)
                    run("extract", source, "-o", out, "--workers", workers, "--overwrite", "-q")
                    with open(out, "rb") as f:
                        outs.append(f.read())
                self.assertTrue(outs[0] == outs[1], f"{source} to {suffix}")

    def test_flows(self):
        one = e2e.flows(self.input)
        self.assertEqual(e2e.flows(self.input, *MANY), one)
        run("flows", self.input, "--flow", "3", *MANY)
        run("flows", self.input, "--flows-max", "64", *MANY, code=None)
        run("flows", self.input, e2e.data("sample"), self.interfaces(), *MANY)

    def test_replay(self):
        e2e.need_dpdk()
        for writers in "1", "2":
            where = self.path(writers)
            os.mkdir(where)
            run("replay", self.input, e2e.data("sample"), *MANY, "--writers", writers, "--pcap", where + "/p.pcapng", "--streams",
                where + "/s", "--flows", where + "/f.jsonl", "-q")
            self.assertEqual(e2e.tree(where + "/s").keys(), e2e.tree(self.path("1/s")).keys())

    def test_failing_outputs(self):
        for fault in "bytes=1M,error=ENOSPC,recover=4,retry=1ms", "bytes=300K,error=EIO,retry=1ms", "short=3":
            run("streams", self.input, "-o", self.path("s"), *MANY, "--overwrite", code=None, WS_FAULT=fault)
            run("extract", self.input, "-o", self.path("o.pcapng"), *MANY, "--overwrite", code=None, WS_FAULT=fault)

    def test_failing_outputs_of_two_writers(self):
        e2e.need_dpdk()
        for bad in "bad.pcap", "bads":
            run("replay", self.input, e2e.data("sample"), *MANY, "--writers", "2", "--pcap", self.path("bad.pcapng"), "--streams",
                self.path("bads"), "--flows", self.path("f"), "--overwrite", code=None,
                WS_FAULT=f"output={bad},bytes=300K,error=EIO,retry=1ms")

    def test_progress(self):
        """With a terminal the main thread looks at all threads' counters and gauges."""
        main, side = pty.openpty()
        with subprocess.Popen([e2e.WIRESPOOL, "streams", self.input, "-o", self.path("s"), *MANY, "--stats"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=side) as p:
            os.close(side)
            text = b""
            try:
                while chunk := os.read(main, 65536):
                    text += chunk
            except OSError:
                pass
            os.close(main)
        self.assertEqual(p.returncode, 0, text[-3000:])
        self.assertNotIn(b"WRONG", text)

    def interrupt(self, signals, *words, may_lose=False):
        for _ in range(4):
            for name in os.listdir(self.directory):
                shutil.rmtree(self.path(name)) if os.path.isdir(self.path(name)) else os.unlink(self.path(name))
            with subprocess.Popen([e2e.WIRESPOOL, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as p:
                for _ in range(signals):
                    time.sleep(self.random.uniform(0.02, 0.6))
                    p.send_signal(signal.SIGINT)
                out, err = p.communicate(timeout=120)
            # before the handlers stand, the signal's own effect is right too
            if p.returncode != -signal.SIGINT:
                e2e.sane(e2e.Result(words, p.returncode, out, err.decode()))
                if signals == 1 and not may_lose:
                    self.assertEqual(p.returncode, 0, err)

    def test_interrupts(self):
        for signals in 1, 2:
            self.interrupt(signals, "streams", self.input, "-o", self.path("s"), *MANY)
            self.interrupt(signals, "extract", self.input, "-o", self.path("o.pcapng"), *MANY)

    def test_interrupts_of_replay(self):
        e2e.need_dpdk()
        for signals in 1, 2:
            self.interrupt(signals, "replay", self.input, e2e.data("sample"), *MANY, "--writers", "2", "--pcap", self.path("p.pcap"),
                           "--streams", self.path("s"), "--flows", self.path("f"))

    def test_live(self):
        """Kernel interfaces: two, four workers, two writers, rotation, stopped by time and by Ctrl-C."""
        e2e.need_root()
        stop = threading.Event()

        def traffic():
            import socket
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                while not stop.is_set():
                    for _ in range(100):
                        s.sendto(b"x" * 300, ("127.0.0.1", 9))
                    time.sleep(0.001)
        sender = threading.Thread(target=traffic)
        sender.start()
        try:
            words = ["capture", "-i", "lo", "-i", "any", *MANY, "--writers", "2", "--pcap", self.path("l.pcapng"), "--streams",
                     self.path("s"), "--udp", "--flows", self.path("f"), "--rotate-size", "200K", "--blocks", "3"]
            run(*words, "--duration", "2s", code=None)
            self.interrupt(1, *words[:-2], "--blocks", "64", may_lose=True)
        finally:
            stop.set()
            sender.join()


if __name__ == "__main__":
    e2e.main()
