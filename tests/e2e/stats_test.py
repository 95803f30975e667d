#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""--stats-interval: lines while a run goes on, whose sums are the ledger's."""
import json
import os
import threading

import e2e
from e2e import DONE, ENVIRONMENT, USAGE, data, run

KEYS = {"time", "interval_s", "end", "packets", "bytes", "packets_per_s", "bits_per_s", "disk_bytes", "disk_bytes_per_s",
        "drops", "flows", "held_bytes", "fragment_bytes", "steering", "mbufs", "threads", "outputs", "drops_in_s"}
OUTPUT = {"output", "blocks", "blocks_free", "least_free", "blocks_each", "block_bytes", "fill_per_s", "drain_per_s", "waits",
          "suspended", "drops_in_s"}


class Stats(e2e.Case):
    def lines(self, path):
        with open(path, encoding="ascii") as f:
            return [json.loads(x) for x in f]

    def test_json(self):
        """Every interval and the end; what intervals add up to is what the run counted."""
        out, stats = self.path("i.json"), self.path("s.json")
        big = self.path("big.pcap")
        e2e.generate(big, "--connections", "300", "--size", "fixed:20000", "--seed", "3")
        fifo = self.path("fifo")  # a run that lasts: its input comes in two halves
        os.mkfifo(fifo)
        with open(big, "rb") as f:
            content = f.read()
        more = threading.Event()

        def feed():
            with open(fifo, "wb", buffering=0) as f:
                f.write(content[:len(content) // 2])
                more.wait(60)
                f.write(content[len(content) // 2:])

        def watch():  # the second half comes when two lines are there
            while not more.is_set():
                with open(out, encoding="ascii") as f:
                    if len(f.readlines()) >= 2:
                        more.set()
                more.wait(0.02)
        with open(out, "wb"):
            pass
        threads = [threading.Thread(target=feed, daemon=True), threading.Thread(target=watch, daemon=True)]
        for t in threads:
            t.start()
        run("streams", fifo, "-o", self.path("d"), "-q", "--workers", "2", "--stats-interval", "100ms",
            "--stats-interval-json", out, "--stats-json", stats)
        for t in threads:
            t.join()
        got = self.lines(out)
        with open(stats, encoding="ascii") as f:
            total = json.load(f)["counters"]
        self.assertGreaterEqual(len(got), 3)
        self.assertEqual([x["end"] for x in got], [False] * (len(got) - 1) + [True])
        for x in got:
            self.assertEqual(set(x), KEYS)
            self.assertEqual([o["output"] for o in x["outputs"]], ["streams"])
            for o in x["outputs"]:
                self.assertEqual(set(o), OUTPUT)
                self.assertLessEqual(o["blocks_free"], o["blocks"])
                self.assertEqual(o["blocks"], 2 * o["blocks_each"])
                self.assertTrue(o["waits"])
            self.assertIsNone(x["drops_in_s"])  # a file waits
            self.assertEqual([(t["thread"], t["number"]) for t in x["threads"]],
                             [("worker", 0), ("worker", 1), ("receiver", 0)] + [("writer", n) for n in range(len(x["threads"]) - 3)])
            for t in x["threads"]:
                self.assertTrue(0 <= t["busy"] <= 1 and t["cpu"] >= 0, t)
            self.assertGreater(x["steering"]["max"], 0)
            self.assertLessEqual(x["flows"]["used"], x["flows"]["max"])
        for n in range(4):  # all had some work, and a CPU for it
            self.assertGreater(sum(x["threads"][n]["busy"] for x in got), 0)
            self.assertGreater(sum(x["threads"][n]["cpu"] for x in got), 0)
        self.assertEqual(got[-1]["packets"], total["rx_packets"])
        self.assertEqual(got[-1]["disk_bytes"], total["write_bytes"])
        self.assertAlmostEqual(sum(x["packets_per_s"] * x["interval_s"] for x in got), total["rx_packets"], delta=len(got))
        for name, drop in got[-1]["drops"].items():
            self.assertEqual(drop["total"], total[name])
            self.assertEqual(sum(x["drops"][name]["interval"] for x in got), total[name])
        self.assertEqual([x["time"] for x in got], sorted(x["time"] for x in got))

    def test_text(self):
        """A line on standard error, --quiet or not; without outputs no word of drops to come."""
        result = run("flows", data("sample"), "-q", "--stats-interval", "1s")
        self.assertRegex(result.err, r"(?m)^stats \d+\.\d s: .* Mpps, .* Gbit/s, disk .* lost 0 \(\+0\); flows \d+ of \d+.* busy worker 0 \d+ %")
        self.assertNotIn("drops", result.err)
        result = run("streams", data("sample"), "-o", self.path("d"), "-q", "--stats-interval", "1s")
        self.assertRegex(result.err, r"streams blocks .* % full; drops never")
        result = run("flows", data("sample"), "-q", "--stats-interval-json", "-")
        self.assertTrue(json.loads(result.err)["end"])

    def test_refused(self):
        result = run("flows", data("sample"), "-q", "--stats-interval-json", self.path("no/such"), code=ENVIRONMENT)
        self.one_line(result, "no/such")
        run("flows", data("sample"), "--stats-interval", "fast", code=USAGE)
        path = self.path("x.pcap")
        run("extract", data("sample"), "-o", path, "--stats-interval-json", path, code=USAGE)
        self.assertFalse(os.path.exists(path))

    def test_full(self):
        """A place that takes no lines: said, exit 1; the results are whole."""
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        want = run("flows", "--json", "-q", data("sample"), code=DONE).out
        result = run("flows", "--json", "-q", data("sample"), "--stats-interval-json", "/dev/full", code=e2e.LOST)
        self.assertEqual(result.out, want)
        self.one_line(result, "/dev/full")


    def test_never_the_input(self):
        """Statistics do not replace the capture that is read, by whatever name."""
        with open(data("sample"), "rb") as f:
            raw = f.read()
        with open(self.path("in.pcap"), "wb") as f:
            f.write(raw)
        os.symlink("in.pcap", self.path("other"))
        for option in "--stats-json", "--stats-interval-json":
            self.one_line(run("flows", self.path("in.pcap"), option, self.path("other"), "-q", code=USAGE), "input")
        with open(self.path("in.pcap"), "rb") as f:
            self.assertEqual(f.read(), raw)


if __name__ == "__main__":
    e2e.main()
