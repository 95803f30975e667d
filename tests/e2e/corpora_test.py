#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every public capture, many of them malformed on purpose, through every command: no crash, no sanitizer line, exit 0 or 1,
ledger balanced, the same answer twice.   corpora_test.py PART/PARTS runs every PARTS-th capture."""
import concurrent.futures
import os
import sys
import tempfile
import unittest

import e2e

part, parts = 0, 1


def captures():
    found = []
    for base, _, names in os.walk(e2e.need_corpora()):
        found += [os.path.join(base, x) for x in names if not x.endswith((".md", ".txt"))]
    return sorted(found)[part::parts]


def one(number_path):
    number, path = number_path
    with tempfile.TemporaryDirectory(prefix="ws-e2e-") as d:
        # the odd ones with several workers: both ways see many captures
        workers = ["--workers", "2"] if number % 4 == 3 else []
        extra = [["--udp"], ["--all-ip", "--format", "chunks"], ["--format", "headers"], ["--format", "json"],
                 ["--format", "pcap"], ["--gaps", "skip", "--gaps-file"], ["--overlap", "last"],
                 ["--verify-checksums", "--part"],
                 ["--per-tuple", "--key-mac", "--key-device", "--device-vlan", "--tcp-udp-only", "--trailer", "metamako", "--udp",
                  "--udp-header", "--format", "headers32", "--empty-records", "--size-min", "100"]][number % 9]
        kind = ["pcapng", "pcap"][number % 2]
        try:
            flows, counted = e2e.counters("flows", "--json", "--all", path, *workers, code=None)
            streams, _ = e2e.counters("streams", path, "-o", d + "/s", *workers, *extra, code=None)
            extract, written = e2e.counters("extract", path, "-o", f"{d}/x.{kind}", *workers, code=None)
        except Exception as problem:  # pylint: disable=broad-except
            return f"{path}: {problem}"
        for r in (flows, streams, extract):
            if r.code not in (0, 1):
                return f"{path}: {r}"
        kept = written["out_packets"] + written["out_link_type"]
        if flows.code == 0 and kept != counted["rx_packets"]:
            return f"{path}: {counted['rx_packets']} packets read, {kept} of them written\n{extract}"
        # a classic pcap file's seconds end in 2106; sanitizers are slow, and have seen all by now
        if extract.code == 0 and "time_2106" not in path and os.environ.get("WS_SANITIZE", "none") == "none":
            again, read = e2e.counters("flows", "--json", "--all", f"{d}/x.{kind}", code=None)
            if read["rx_packets"] != counted["rx_packets"] or again.out != flows.out:
                return f"{path}: the extract reads otherwise: {read['rx_packets']} packets\n{again}"
    return None


class Corpora(unittest.TestCase):
    def test_all(self):
        paths = captures()
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            wrong = [x for x in pool.map(one, enumerate(paths)) if x]
        print(f"{len(paths)} captures")
        self.assertEqual(len(wrong), 0, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:12]))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        part, parts = (int(x) for x in sys.argv.pop().split("/"))
    e2e.main()
