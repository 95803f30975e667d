#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The ledger where something has to give: tiny tables, tiny pools. The equations hold, and what we lose is said."""
import os
import sys
import unittest

import e2e
from e2e import data, run


class Caps(e2e.Case):
    def setUp(self):
        super().setUp()
        self.busy = self.path("busy.pcap")
        self.truth = e2e.generate(self.busy, "--connections", "600", "--concurrency", "300", "--size", "uniform:100-20000",
                                  "--reorder", "0.2:5", "--loss", "0.01", "--seed", "11")

    def balanced(self, *words, code=None):
        """Equations hold (counters() and run() see to it), for one worker and for three."""
        got = []
        for n in ("1", "3"):
            got.append(e2e.counters(*words, "--workers", n, "--overwrite", code=code))
        return got

    def test_few_flows(self):
        """Evicted flows still give their records and bytes: nothing is lost, and it is counted."""
        for result, c in self.balanced("streams", self.busy, "-o", self.path("s"), "--flows-max", "64", code=e2e.DONE):
            self.assertGreater(sum(v for k, v in c.items() if k.startswith("flows_evicted")), 0, result)
            self.assertEqual(c["flow_packets"], c["rx_packets"], result)
            self.assertEqual(c["flows_created"], c["flows_closed"])
            self.assertEqual(c["shed_flow"], 0)

    def test_little_held(self):
        """At the cap the oldest hole becomes a gap, and delivery goes on."""
        for words in (["--held-max", "4K"], ["--held-max-stream", "2K"], ["--held-max", "1"]):
            for result, c in self.balanced("streams", self.busy, "-o", self.path("s"), *words):
                self.assertIn(result.code, (0, 1))
                self.assertEqual(c["payload_held"], 0)
                self.assertGreater(c["gaps"] + c["refused_cap"], 0, result)
                self.assertEqual(c["payload_delivered"], c["out_stream_bytes"])

    def test_jump(self):
        for result, c in self.balanced("streams", self.busy, "-o", self.path("s"), "--jump-max", "1"):
            self.assertIn(result.code, (0, 1))
            self.assertGreater(c["payload_seen"], 0)

    def test_fragments(self):
        path = self.path("f.pcap")
        e2e.generate(path, "--connections", "50", "--fragment", "0.5", "--udp", "50", "--loss", "0.05", "--reorder", "0.2:5",
                     "--attack", "fragflood", "--attack-packets", "20000", "--seed", "2")
        for words in ([], ["--frag-max", "64K"], ["--frag-timeout", "1ms"]):
            for result, c in self.balanced("extract", path, "-o", self.path("x.pcap"), *words):
                self.assertEqual(c["frag_held"], 0)
                self.assertEqual(c["out_packets"], c["rx_packets"], result)
            self.assertGreater(c["undec_fragment"], 0)

    def test_fragments_backwards(self):
        """Fragments before the one with the ports count in their flow as those behind it: IP bytes, and packets of its capture."""
        sys.path.insert(0, os.path.join(e2e.ROOT, "tests", "cases"))
        import build
        whole = build.ip4(build.udp("10.0.0.1", "10.0.0.2", 1000, 2000, bytes(range(200))), "10.0.0.1", "10.0.0.2", proto=17)
        parts = [build.Packet(build.eth(x)) for x in build.fragments(whole, 64, 128)]
        seen = []
        for n, order in enumerate((parts, parts[::-1])):
            path = self.path(f"{n}.pcap")
            with open(path, "wb") as f:
                f.write(build.pcap([p.stamped(10**18 + i) for i, p in enumerate(order)]))
            for words in ([], ["--workers", "3"], ["--port", "1000"]):
                flow, = e2e.flows(path, *words)
                out = self.path(f"{n}-{len(seen)}")
                run("streams", path, "--udp", "--format", "pcap", "-o", out, "-q", *words)
                name, = os.listdir(out)
                seen.append((flow["orig_pkts"], flow["orig_ip_bytes"], os.path.getsize(os.path.join(out, name))))
        self.assertEqual(seen[0][:2], (3, len(whole) + 2 * 20))
        self.assertEqual(len(set(seen)), 1, seen)

    def test_hostile(self):
        for attack in ("synflood", "ooo", "tiny", "fragflood", "teardrop", "rst"):
            path = self.path("a.pcap")
            e2e.generate(path, "--connections", "40", "--attack", attack, "--attack-packets", "30000", "--seed", "4")
            with self.subTest(attack):
                for result, c in self.balanced("streams", path, "-o", self.path("s" + attack), "--flows-max", "256", "--held-max",
                                               "64K", "--frag-max", "64K"):
                    self.assertIn(result.code, (0, 1), result)
                    self.assertEqual(c["flow_packets"] + c["undec_fragment"] + c["shed_flow"] + c["non_flow"] +
                                     sum(v for k, v in c.items() if k.startswith("undec_") and k != "undec_fragment"),
                                     c["rx_packets"])

    def test_idle(self):
        """Time-outs by packet time: the same for any number of workers."""
        lists = []
        for n in ("1", "2", "4"):
            lists.append(run("flows", "--all", "--json", "-q", self.busy, "--idle-timeout", "1ms", "--workers", n).out)
        self.assertEqual(lists[0], lists[1])
        self.assertEqual(lists[0], lists[2])
        self.assertIn('"end":"idle"', lists[0])

    def test_printed(self):
        """--stats prints each equation with both sides."""
        result = run("flows", data("sample"), "--stats")
        self.assertEqual(len([x for x in result.err.splitlines() if x.startswith("ok ")]), 4, result)

    def test_small_blocks(self):
        """Few and small blocks: a file waits, so nothing is lost."""
        want = self.streams("want", self.busy)
        for words in (["--blocks", "2", "--block-size", "64K"], ["--blocks", "3", "--block-size", "128K"]):
            name = "-".join(words)
            result, c = e2e.counters("streams", self.busy, "-o", self.path(name), *words, code=None)
            if result.code == e2e.ENVIRONMENT:
                self.one_line(result, "block")
                continue
            self.assertEqual(result.code, 0, result)
            self.assertEqual(c["shed_block_bytes"], 0)
            self.assertEqual(e2e.tree(self.path(name)), want)


if __name__ == "__main__":
    e2e.main()
