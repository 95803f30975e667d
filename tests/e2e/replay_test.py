#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`replay`: a file through DPDK's net_pcap gives the streams, packets and flows that the file itself gives."""
import json
import os
import unittest

import e2e
from e2e import data, run
from files_test import records


class Replay(e2e.Case):
    def setUp(self):
        super().setUp()
        e2e.need_dpdk()

    def replay(self, *words, **how):
        return run("replay", "-q", *words, timeout=180, **how)

    def test_streams(self):
        """Microsecond Ethernet captures without snap length: the same tree for 1, 2 and 4 workers."""
        for name in ("sample", "sample-tso", "gen-impaired"):
            want = self.streams("want-" + name, data(name))
            for n in ("1", "2", "4"):
                with self.subTest(name, workers=n):
                    out = self.path(f"r{name}{n}")
                    self.replay(data(name), "--streams", out, "--workers", n)
                    self.assertEqual(e2e.tree(out), want)

    def test_lcores(self):
        """16 workers and 4 writers on whatever CPUs there are, by a mapping of the user's own: nothing differs."""
        cpus = sorted(os.sched_getaffinity(0))
        lcores = ",".join(f"{i}@{cpus[i % len(cpus)]}" for i in range(22))  # main, 16 workers, the receiver, 4 writers
        for name in ("sample", "gen-impaired"):
            with self.subTest(name):
                out = self.path("l" + name)
                os.mkdir(out)
                _, counted = e2e.counters("replay", "-q", data(name), "--workers", "16", "--writers", "4", "--eal", "--lcores " + lcores,
                                          "--streams", out + "/s", "--pcap", out + "/x.pcap", "--flows", out + "/flows.json",
                                          "--rest", out + "/rest.pcap", timeout=180)
                self.assertEqual(e2e.tree(out + "/s"), self.streams("l-want-" + name, data(name)))
                self.assertEqual(records(out + "/x.pcap"), records(data(name)))
                with open(out + "/flows.json", encoding="utf-8") as f:
                    self.assertEqual(len(f.readlines()), counted["flows_created"])
                self.assertEqual(counted["flow_directions"], e2e.counters("flows", "-q", data(name))[1]["flow_directions"])
                self.assertGreater(counted["steered"], 0)

    def test_account_of_what_is_not_written(self):
        """Files that exist stay; the summary and --json count what was written, not what was meant to be."""
        out = self.path("s")
        for code, written in ((0, 461145), (1, 0)):
            done = run("replay", "--json", data("sample"), "--streams", out, code=code, timeout=180)
            self.assertEqual(json.loads(done.out)["stream_bytes"], written)
            self.assertRegex(done.err, rf"(?m)^{written} stream bytes written to ")

    def test_account_by_output(self):
        """What one output lost is not taken from the account of another."""
        done = run("replay", "--json", data("sample"), "--streams", self.path("s"), "--pcap", self.path("x.pcap"), code=1,
                   WS_FAULT="output=x.pcap,bytes=1000,error=ENOSPC", timeout=180)
        said = json.loads(done.out)
        self.assertEqual(said["stream_bytes"], 461145)
        self.assertLess(said["packets_written"], 831)
        self.assertRegex(done.err, r"(?m)^461145 stream bytes written to \S+$")

    def test_packets_and_flows(self):
        out, flows = self.path("x.pcap"), self.path("flows.json")
        self.replay(data("sample"), "--pcap", out, "--flows", flows)
        self.assertEqual(records(out), records(data("sample")))
        with open(flows, encoding="utf-8") as f:
            lines = [json.loads(x) for x in f]
        want = e2e.flows(data("sample"))

        def key(f):
            return f["ts_ns"], f["id.orig_p"], f["id.resp_p"], f["orig_pkts"], f["resp_pkts"], f.get("orig_bytes")
        self.assertEqual(sorted(map(key, lines)), sorted(map(key, want)))

    def test_several_files(self):
        """Several files are several devices, polled side by side: all packets, in whatever order."""
        out = self.path("x.pcapng")
        _, counted = e2e.counters("replay", "-q", data("sample"), data("gen-impaired"), "--flows", self.path("f"), timeout=180)
        self.assertEqual(counted["rx_packets"], len(records(data("sample"))) + len(records(data("gen-impaired"))))
        del out

    def test_unpacked_first(self):
        """Compressed, pcapng, big-endian, and a path with commas."""
        import gzip
        odd = self.path("a,b=c.pcap.gz")
        with open(data("sample"), "rb") as f, gzip.open(odd, "wb") as g:
            g.write(f.read())
        want = self.streams("want", data("sample"))
        self.replay(odd, "--streams", self.path("gz"))
        self.assertEqual(e2e.tree(self.path("gz")), want)
        run("extract", data("sample"), "-o", self.path("x.pcapng"))
        self.replay(self.path("x.pcapng"), "--streams", self.path("ng"))
        self.assertEqual(e2e.tree(self.path("ng")), want)
        self.replay(data("gen-reuse"), "--streams", self.path("be"))
        self.assertEqual(e2e.tree(self.path("be")), self.streams("be-want", data("gen-reuse")))

    def test_rotation(self):
        """--rotate-size: the shards together hold all packets, each no longer than it may be."""
        d = self.path("r")
        os.mkdir(d)
        self.replay(data("sample"), "--pcap", d + "/x.pcap", "--rotate-size", "100K", "--us")
        shards = sorted(os.listdir(d))
        self.assertGreater(len(shards), 4, shards)
        got = []
        for name in shards:
            self.assertLessEqual(os.path.getsize(os.path.join(d, name)), 100 * 1024 + 70000, name)
            got += records(os.path.join(d, name))
        self.assertEqual(sorted(got), sorted(records(data("sample"))))

    def test_rotation_by_time(self):
        d = self.path("r")
        os.mkdir(d)
        self.replay(data("sample"), "--pcap", d + "/x.pcap", "--rotate-time", "1s")
        got = []
        for name in sorted(os.listdir(d)):
            part = records(os.path.join(d, name))
            self.assertLessEqual(part[-1][0] - part[0][0], 1_000_000_000, name)
            got += part
        self.assertGreater(len(os.listdir(d)), 1)
        self.assertEqual(sorted(got), sorted(records(data("sample"))))

    def test_missing(self):
        missing = self.path("missing.pcap")
        result = run("replay", missing, code=e2e.ENVIRONMENT)
        self.one_line(result, missing)

    def test_packet_max(self):
        _, counted = e2e.counters("replay", "-q", data("sample"), "--packet-max", "100", "--flows", self.path("f"))
        self.assertEqual(counted["rx_packets"], 100)

    def test_filter(self):
        self.replay(data("sample"), "--pcap", self.path("x.pcap"), "-f", "tcp port 443", "--us")
        run("extract", data("sample"), "-o", self.path("y.pcap"), "-f", "tcp port 443", "--us")
        self.assertEqual(records(self.path("x.pcap")), records(self.path("y.pcap")))


if __name__ == "__main__":
    e2e.main()
