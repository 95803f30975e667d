#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Live capture in network namespaces of our own: interfaces through libpcap and through DPDK's af_packet, Ctrl-C, forced
loss. Needs root, and a kernel that lets us make namespaces and veth."""
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import e2e
from files_test import records

A, B = f"ws{os.getpid()}a", f"ws{os.getpid()}b"

SERVER = """
import socket, threading, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("10.99.0.2", 8000)); s.listen(64)
print("ready", flush=True)
def serve(c):
    n = int(c.makefile().readline())
    block = bytes(range(256)) * 256
    while n > 0:
        c.sendall(block[:n]); n -= len(block)
    c.close()
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""
CLIENT = """
import socket, sys, time
until = time.time() + float(sys.argv[2])
count = 0
while count < int(sys.argv[1]) and time.time() < until:
    s = socket.create_connection(("10.99.0.2", 8000)); s.sendall(b"%d\\n" % int(sys.argv[3]))
    while s.recv(1 << 16): pass
    s.close(); count += 1
print(count)
"""


def ip(*words):
    return subprocess.run(["ip", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def inside(namespace, *command):
    return ["ip", "netns", "exec", namespace, *command]


class Live(e2e.Case):
    @classmethod
    def setUpClass(cls):
        e2e.need_root()
        e2e.need("ip")
        if ip("netns", "add", A).returncode != 0 or ip("netns", "add", B).returncode != 0:
            cls.tearDownClass()
            raise unittest.SkipTest("cannot make network namespaces here")
        made = ip("link", "add", "v0", "netns", A, "type", "veth", "peer", "name", "v1", "netns", B)
        if made.returncode != 0:
            cls.tearDownClass()
            raise unittest.SkipTest("cannot make veth here")
        for name, dev, address in ((A, "v0", "10.99.0.1/24"), (B, "v1", "10.99.0.2/24")):
            ip("-n", name, "addr", "add", address, "dev", dev)
            ip("-n", name, "link", "set", dev, "up")
            ip("-n", name, "link", "set", "lo", "up")
            # frames as a wire would have them
            subprocess.run(inside(name, "ethtool", "-K", dev, "tso", "off", "gso", "off", "gro", "off"), check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if e2e.shutil.which("ethtool") else None
        cls.server = subprocess.Popen(inside(B, e2e.sys.executable, "-c", SERVER), stdout=subprocess.PIPE)
        cls.server.stdout.readline()

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "server"):
            cls.server.kill()
            cls.server.wait()
            cls.server.stdout.close()
        ip("netns", "del", A)
        ip("netns", "del", B)

    def start(self, *words, namespace=B):
        process = subprocess.Popen(inside(namespace, e2e.WIRESPOOL, "capture", *words), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)

        def stop():
            if process.poll() is None:
                process.kill()
                process.communicate()
        self.addCleanup(stop)
        return process

    def wait_ready(self, path, seconds=15):
        """A capture is ready once its packet file has been opened."""
        until = time.time() + seconds
        while time.time() < until:
            if any(x.startswith(os.path.basename(path)) for x in os.listdir(os.path.dirname(path))):
                time.sleep(0.5)
                return
            time.sleep(0.05)
        self.fail("the capture did not start")

    def client(self, count, seconds=30, size=20000):
        done = subprocess.run(inside(A, e2e.sys.executable, "-c", CLIENT, str(count), str(seconds), str(size)),
                              stdout=subprocess.PIPE, check=True, timeout=seconds + 30)
        return int(done.stdout)

    def end(self, process, *signals, seconds=60):
        time.sleep(0.7)
        for s in signals or (signal.SIGINT,):
            process.send_signal(s)
            time.sleep(0.05)
        out, err = process.communicate(timeout=seconds)
        result = e2e.Result(["capture"], process.returncode, out, err.decode("utf-8", "replace"))
        return e2e.sane(result)

    def check_capture(self, words, connections=20, size=20000):
        """Everything that went over the wire is in the PCAP, the flow file and the stream files."""
        pcap, flows, streams = self.path("x.pcap"), self.path("f.json"), self.path("s")
        stats = self.path("stats.json")
        p = self.start(*words, "--pcap", pcap, "--flows", flows, "--streams", streams, "--stats-json", stats)
        self.wait_ready(pcap)
        if "--dev" in words:  # a device starts after the files are open, and then says what it is
            while b" timestamps" not in (line := p.stderr.readline()):
                self.assertTrue(line, "the device did not start")
            time.sleep(1)
        self.client(connections, size=size)
        result = self.end(p)
        self.assertEqual(result.code, 0, result)
        with open(stats, encoding="ascii") as f:
            counted = json.load(f)
        self.assertTrue(counted["balanced"], counted["ledger"])
        self.assertIn("packets", result.err)
        packets = records(pcap)
        self.assertEqual(len(packets), counted["counters"]["out_packets"])
        self.assertEqual(counted["counters"]["out_packets"], counted["counters"]["rx_packets"])
        body = (bytes(range(256)) * 256 * (size // 65536 + 1))
        want = hashlib.sha256(b"".join((bytes(range(256)) * 256)[:min(65536, size - i)] for i in range(0, size, 65536))).hexdigest()
        del body
        got = [v for k, v in e2e.tree(streams).items() if ".08000-" in k]
        self.assertEqual(len(got), connections, result)
        self.assertEqual(set(got), {want})
        with open(flows, encoding="utf-8") as f:
            lines = [json.loads(x) for x in f]
        self.assertEqual(len([x for x in lines if x["proto"] == "tcp"]), connections)
        return result

    def test_tcpflow(self):
        """tcpflow's words: an interface, any, and none; the filter; the console."""
        for words in (["-i", "v1"], ["-i", "any", "-p"], []):
            out = self.path("tcpflow" + "".join(words))
            p = subprocess.Popen(inside(B, e2e.WIRESPOOL, "tcpflow", *words, "-a", "-o", out, "tcp", "port", "8000"),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(lambda p=p: p.poll() is None and p.kill())
            until = time.time() + 15
            while not os.path.exists(out + "/report.xml.part") and time.time() < until:
                time.sleep(0.05)
            time.sleep(0.7)
            self.client(3)
            self.assertEqual(self.end(p).code, 0)
            found = [x for x in os.listdir(out) if ".08000-" in x and "-HTTPBODY-" not in x]
            self.assertEqual(len(found), 3 if words != ["-i", "any"] else len(found), words)
            self.assertTrue(found and os.path.exists(out + "/report.xml") and os.path.exists(out + "/report.pdf"), words)

    def test_interface(self):
        self.check_capture(["-i", "v1"])

    def test_interface_workers(self):
        self.check_capture(["-i", "v1", "--workers", "2"])

    def test_any(self):
        pcap = self.path("x.pcapng")
        p = self.start("-i", "any", "--pcap", pcap)
        self.wait_ready(pcap)
        self.client(5)
        result = self.end(p)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(len([x for x in e2e.flows(pcap) if x["proto"] == "tcp"]), 5)

    def test_device(self):
        """DPDK's af_packet on the same interface. Its ring of 512 frames holds them all: a busy machine may not poll for a while."""
        e2e.need_dpdk()
        self.check_capture(["--dev", "net_af_packet0,iface=v1"], connections=12)

    def test_filter_and_selectors(self):
        pcap = self.path("x.pcap")
        p = self.start("-i", "v1", "--pcap", pcap, "-f", "tcp[tcpflags] & tcp-syn != 0")
        self.wait_ready(pcap)
        self.client(7)
        result = self.end(p)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(len(records(pcap)), 14)

    def test_interrupt_in_traffic(self):
        """Ctrl-C amid traffic: all that was received is on disk, counts are printed, the file is whole."""
        pcap, stats = self.path("x.pcap"), self.path("stats.json")
        p = self.start("-i", "v1", "--pcap", pcap, "--streams", self.path("s"), "--stats-json", stats)
        self.wait_ready(pcap)
        load = threading.Thread(target=self.client, args=(100000, 6, 1000000))
        load.start()
        time.sleep(2)
        result = self.end(p)
        self.assertIn(result.code, (0, 1), result)
        load.join()
        with open(stats, encoding="ascii") as f:
            counted = json.load(f)
        self.assertTrue(counted["balanced"], counted["ledger"])
        c = counted["counters"]
        self.assertEqual(len(records(pcap)), c["out_packets"])
        self.assertEqual(c["rx_packets"], c["out_packets"] + c["shed_block_packets"])
        self.assertGreater(c["rx_packets"], 100)
        if result.code == 1:  # said what was lost
            self.assertIn("lost", result.err)

    def test_interrupt_takes_what_came(self):
        """Packets that the kernel had before Ctrl-C, and has not handed over yet, are taken."""
        pcap = self.path("x.pcap")
        p = self.start("-i", "lo", "--pcap", pcap, "-f", "udp port 9999")
        self.wait_ready(pcap)
        send = ("import os, signal, socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "for i in range(2000): s.sendto(b'x' * 100, ('127.0.0.1', 9999))\n"
                f"os.kill({p.pid}, signal.SIGINT)")
        subprocess.run(inside(B, e2e.sys.executable, "-c", send), check=True, timeout=30)
        out, err = p.communicate(timeout=60)
        result = e2e.sane(e2e.Result(["capture"], p.returncode, out, err.decode("utf-8", "replace")))
        self.assertEqual(result.code, 0, result)
        self.assertEqual(len(records(pcap)), 2000, result)  # lo shows each twice, libpcap takes what comes in

    def test_second_interrupt_aborts(self):
        """An output that never drains: the first Ctrl-C waits for it, the second gives up."""
        # The threads stand in the kernel: the program leaves without them, which ThreadSanitizer calls a leak.
        before = os.environ.get("TSAN_OPTIONS", "")
        os.environ["TSAN_OPTIONS"] = before + ":report_thread_leaks=0"
        self.addCleanup(os.environ.__setitem__, "TSAN_OPTIONS", before)
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        p = self.start("-i", "v1", "--pcap", fifo, "--drain", "60s", "--overwrite")
        time.sleep(1.5)
        self.client(10, size=1000000)
        began = time.time()
        p.send_signal(signal.SIGINT)
        time.sleep(1)
        self.assertIsNone(p.poll(), "ended though its output is stuck")
        result = self.end(p, seconds=20)
        self.assertLess(time.time() - began, 20)
        self.assertEqual(result.code, e2e.LOST, result)
        self.assertIn("abort", result.err)

    def test_slow_output_sheds(self):
        """A live source does not wait: a stuck output with little room sheds, counted; exit 1; equations hold."""
        fifo, stats = self.path("fifo"), self.path("stats.json")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        p = self.start("-i", "v1", "--pcap", fifo, "--blocks", "2", "--block-size", "1M", "--overwrite", "--stats-json", stats)
        time.sleep(1.5)
        self.client(20, size=1000000)
        time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        drained = 0
        os.set_blocking(reader, True)
        while chunk := os.read(reader, 1 << 16):
            drained += len(chunk)
        os.close(reader)
        out, err = p.communicate(timeout=60)
        result = e2e.sane(e2e.Result(["capture"], p.returncode, out, err.decode()))
        self.assertEqual(result.code, e2e.LOST, result)
        with open(stats, encoding="ascii") as f:
            counted = json.load(f)
        self.assertTrue(counted["balanced"], counted["ledger"])
        c = counted["counters"]
        self.assertGreater(c["shed_block_packets"], 0)
        self.assertEqual(c["rx_packets"], c["out_packets"] + c["shed_block_packets"])
        self.assertRegex(result.err, r"lost \d+ packets")

    def test_duration_and_packet_max(self):
        p = self.start("-i", "v1", "--pcap", self.path("d.pcap"), "--duration", "1s")
        p.communicate(timeout=20)
        self.assertEqual(p.returncode, 0)
        pcap = self.path("x.pcap")
        p = self.start("-i", "v1", "--pcap", pcap, "--packet-max", "50")
        self.wait_ready(pcap)
        self.client(10)
        p.communicate(timeout=20)
        self.assertEqual(p.returncode, 0)
        self.assertEqual(len(records(pcap)), 50)

    def test_nothing_and_nowhere(self):
        """0 packets says why it may be; an interface that is not there is named."""
        p = self.start("-i", "v1", "--pcap", self.path("d.pcap"), "--duration", "1s", "-f", "udp port 4")
        _, err = p.communicate(timeout=20)
        self.assertRegex(err.decode(), r"\b0 packets")
        p = self.start("-i", "nowhere0", "--pcap", self.path("n.pcap"))
        _, err = p.communicate(timeout=20)
        self.assertEqual(p.returncode, e2e.ENVIRONMENT)
        self.assertIn("nowhere0", err.decode())

    def test_rotation(self):
        d = self.path("r")
        os.mkdir(d)
        p = self.start("-i", "v1", "--pcap", d + "/x.pcap", "--rotate-size", "200K")
        time.sleep(1.5)
        self.client(20, size=100000)
        result = self.end(p)
        self.assertEqual(result.code, 0, result)
        names = sorted(os.listdir(d))
        self.assertGreater(len(names), 3, names)
        # some of the received may lie in each: all files are whole
        total = sum(len(records(os.path.join(d, n))) for n in names)
        self.assertGreater(total, 500)

    def test_user(self):
        os.chmod(self.directory, 0o777)
        pcap = self.path("x.pcap")
        p = self.start("-i", "v1", "--pcap", pcap, "-U", "nobody")
        self.wait_ready(pcap)
        with open(f"/proc/{p.pid}/status", encoding="ascii") as f:
            uids = re.search(r"^Uid:\s+(\d+)\s+(\d+)", f.read(), re.M)
        self.client(3)
        result = self.end(p)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(uids.group(2), "65534")
        self.assertEqual(os.stat(pcap).st_uid, 65534)

    def test_user_device(self):
        """-U with a port whose driver needs root to start."""
        e2e.need_dpdk()
        os.chmod(self.directory, 0o777)
        pcap = self.path("x.pcap")
        p = self.start("--dev", "net_af_packet0,iface=v1", "--pcap", pcap, "-U", "nobody")
        self.wait_ready(pcap)
        self.client(3)
        result = self.end(p)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(os.stat(pcap).st_uid, 65534)
        self.assertEqual(len([x for x in e2e.flows(pcap) if x["proto"] == "tcp"]), 3)


if __name__ == "__main__":
    e2e.main()
