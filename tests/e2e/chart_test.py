# SPDX-License-Identifier: BSD-3-Clause
"""--chart: a page whose numbers are those of the capture, the same for any number of workers."""
import os
import resource
import shutil
import signal
import subprocess
import unittest

import e2e


def text(path):
    return subprocess.run(["pdftotext", "-layout", path, "-"], stdout=subprocess.PIPE, check=True).stdout.decode()


@unittest.skipUnless(shutil.which("pdftotext"), "pdftotext is missing (poppler-utils)")
class Chart(e2e.Case):
    def setUp(self):
        super().setUp()
        probe = e2e.run("flows", e2e.data("sample"), "-q", "--chart", self.path("probe.pdf"), code=None)
        if "without cairo" in probe.err:
            self.skipTest("built without cairo")

    def chart(self, *words, command="flows", code=0, **environment):
        path = self.path("page.pdf")
        result = e2e.run(command, *words, "--chart", path, "--overwrite", code=code, **environment)
        self.assertFalse(os.path.exists(path + ".part"))
        return path, result

    def test_numbers(self):
        """Totals and addresses are those of the counters."""
        path, _ = self.chart(e2e.data("sample"))
        page = text(path)
        result, c = e2e.counters("flows", e2e.data("sample"))
        self.assertEqual(result.code, 0)
        self.assertIn(f"{c['rx_packets']:,}", page)
        self.assertIn(f"{c['rx_wire_bytes']:,} bytes", page)
        for word in ("sample.pcap", "10.77.0.1", "fd77::2", "80 http", "443 https", "in VLANs", "TCP", "UDP", "ARP",
                     "Top destination ports", "Mbit/s"):
            self.assertIn(word, page)

    def test_same_for_any_workers(self):
        pages = []
        for workers in ("1", "4"):
            path, _ = self.chart(e2e.data("sample"), e2e.data("sample-lossy"), "--workers", workers, SOURCE_DATE_EPOCH="86400")
            with open(path, "rb") as f:
                pages.append(f.read())
        self.assertEqual(pages[0], pages[1])
        self.assertIn("Made 1970-01-02T00:00:00Z", text(path))

    def test_selection(self):
        path, _ = self.chart(e2e.data("sample"), "--port", "443")
        page = text(path)
        self.assertIn("selected packets only", page)
        self.assertNotIn("80 http", page)
        path, _ = self.chart(e2e.data("sample"), "--port", "9")
        self.assertIn("The selection left none.", text(path))

    def test_flow_id(self):
        """With --flow the first pass draws nothing."""
        path, _ = self.chart(e2e.data("sample"), "--flow", "1")
        self.assertIn("selected packets only", text(path))

    def test_empty(self):
        capture = self.path("empty\x01\udcff.pcap")
        with open(e2e.data("sample"), "rb") as f, open(capture, "wb") as out:
            out.write(f.read(24))
        path, _ = self.chart(capture)
        page = text(path)
        self.assertIn("No packets", page)
        self.assertIn("empty??.pcap", page)

    def test_one_packet(self):
        path, _ = self.chart(e2e.data("sample"), "--packet-max", "1")
        self.assertIn("each bar is 1 s", text(path))

    def test_streams_and_extract(self):
        for command, out in (("streams", "dir"), ("extract", "out.pcap")):
            path, _ = self.chart(e2e.data("sample"), "-o", self.path(out), command=command)
            self.assertIn("831", text(path))

    def test_too_many_addresses(self):
        """At the bound the page says that its counts are lower bounds, and it is counted."""
        capture = self.path("many.pcap")
        with open(capture, "wb") as f:
            f.write(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000065000000"))
            for i in range(500):
                packet = bytes([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, i >> 8, i & 255, 10, 0, 0, 1]) + \
                    (4000).to_bytes(2, "big") + (53).to_bytes(2, "big") + bytes([0, 8, 0, 0])
                f.write((1000 + i).to_bytes(4, "little") + bytes(4) + len(packet).to_bytes(4, "little") * 2 + packet)
        path, _ = self.chart(capture, "--chart-addresses", "64")
        self.assertIn("bytes by address are lower bounds", text(path))
        result, c = e2e.counters("flows", capture, "--chart", path, "--overwrite", "--chart-addresses", "64")
        self.assertGreater(c["chart_addresses_full"], 0)
        path, _ = self.chart(capture)
        self.assertIn("of 500", text(path))

    def test_list(self):
        path = self.path("page.pdf")
        result = e2e.run("flows", e2e.data("sample"), "-q", "--all", "--chart", path, "--chart-list")
        self.assertIn("source 10.77.0.2 231737\n", result.out)
        self.assertIn("destination-port 80 ", result.out)
        lines = [x for x in result.out.splitlines() if x.startswith("source ")]
        self.assertEqual(len(lines), 11)

    def test_tcpflow(self):
        """The front-end's own names: report.pdf in its directory, drawn anew by a second run."""
        for _ in range(2):
            e2e.run("tcpflow", "-e", "netviz", "-r", e2e.data("sample"), "-o", self.path("out"))
            page = text(self.path("out") + "/report.pdf")
            self.assertIn("sample.pcap", page)
            self.assertIn("831", page)

    def test_refused(self):
        path, _ = self.chart(e2e.data("sample"))
        before = os.stat(path).st_mtime_ns
        result = e2e.run("flows", e2e.data("sample"), "--chart", path, code=3)
        self.assertIn("exists already", result.err)
        self.assertEqual(os.stat(path).st_mtime_ns, before)
        result = e2e.run("flows", e2e.data("sample"), "--chart", self.path("no/such/page.pdf"), code=3)
        self.assertIn("No such file", result.err)
        result = e2e.run("flows", e2e.data("sample"), "--chart", "-", code=2)
        self.assertIn("goes to a file", result.err)

    def test_stale_part(self):
        path = self.path("other.pdf")
        with open(path + ".part", "w", encoding="ascii") as f:
            f.write("somebody's")
        result = e2e.run("flows", e2e.data("sample"), "--chart", path, code=3)
        self.assertIn("exists already", result.err)
        self.assertTrue(os.path.exists(path + ".part"))

    def test_disk_full(self):
        def no_room():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        path, result = self.chart(e2e.data("sample"), code=3, preexec_fn=no_room)
        self.assertIn("File too large", result.err)
        self.assertFalse(os.path.exists(path))

    def test_damaged_input(self):
        """What was read before the damage is drawn."""
        capture = self.path("cut.pcap")
        with open(e2e.data("sample"), "rb") as f, open(capture, "wb") as out:
            out.write(f.read(20000))
        path, _ = self.chart(capture, code=1)
        self.assertIn("10.77.0.1", text(path))


if __name__ == "__main__":
    e2e.main()
