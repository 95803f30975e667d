#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every allocation of our own code fails in turn (alloc_fail.c): one line and an exit code, no crash, no leak, no wrong result.
WS_ALLOC_PROGRAM: the program with failing allocations. WS_TEST_ALLOCS: at most so many a command, spread evenly (default 150)."""
import os
import shutil

import e2e
from e2e import data
from files_test import records, write_pcapng

PROGRAM = os.environ.get("WS_ALLOC_PROGRAM")
MOST = int(os.environ.get("WS_TEST_ALLOCS", "150"))


class Alloc(e2e.Case):
    def setUp(self):
        super().setUp()
        if not PROGRAM:
            self.skipTest("no WS_ALLOC_PROGRAM")

    def once(self, words, fail, count=""):
        out = self.path("out")
        if os.path.isdir(out):
            shutil.rmtree(out)
        os.mkdir(out)
        result = e2e.sane(e2e.execute([PROGRAM, *words], cwd=out, WS_ALLOC_FAIL=str(fail), WS_ALLOC_COUNT=count))
        return result, e2e.tree(out)

    def check(self, failed, tree, result, truth):
        self.assertIn(failed.code, (0, 1, 3), failed)
        lines = failed.err.splitlines()
        if failed.code == 0:
            self.assertEqual((tree, failed.raw), (truth, result.raw), failed)
        else:
            self.assertTrue(lines, f"nothing was said: {failed}")
            self.assertLess(len(lines), 8, failed)
            self.assertTrue(any("emory" in x for x in lines), f"the cause was not said: {failed}")
        for line in lines:
            self.assertTrue(line.isascii() and line.isprintable())
        if failed.code == 3:
            # nothing stands in the way of a second try
            self.assertFalse([x for x in tree if x.endswith(".part")], failed)

    def every(self, *words, most=1 << 30):
        words = list(words)
        result, truth = self.once(words, 0, self.path("count"))
        self.assertEqual(result.code, 0, result)
        with open(self.path("count"), encoding="ascii") as f:
            total = min(int(f.read()), most)
        # the first ones are those of the start: all of them are tried
        tried = sorted(set(range(1, min(total, MOST // 2) + 1)) |
                       {1 + i * total // (MOST // 2) for i in range(MOST // 2)})
        codes, wrong = {}, []
        for n in tried:
            try:
                failed, tree = self.once(words, n)
                codes[failed.code] = codes.get(failed.code, 0) + 1
                self.check(failed, tree, result, truth)
            except AssertionError as error:
                wrong.append(f"allocation {n} of {total}: {error}")
        self.assertFalse(wrong, f"{len(wrong)} times\n" + "\n".join(wrong[:12]))
        print(f"{words[0]}: {len(tried)} of {total} allocations failed; exit codes {dict(sorted(codes.items()))}", flush=True)

    def test_flows(self):
        self.every("flows", data("sample"), "--all", "--json", "-q", "--workers", "2", "--", "ip or ip6")

    def test_flow_by_id(self):
        self.every("flows", data("sample"), "--flow", "3", "--json", "-q")

    def test_extract(self):
        self.every("extract", data("sample"), "-o", "x.pcap", "-q")

    def test_extract_several_interfaces(self):
        path = self.path("many.pcapng")
        write_pcapng(path, records(data("sample"))[:200], interfaces=(1, 1), several_sections=True)
        self.every("extract", path, "-o", "x.pcapng", "-q", "--workers", "2")

    def test_streams(self):
        self.every("streams", data("sample"), "-o", "s", "-q", "--json", "--workers", "2")

    def test_finished_files(self):
        self.every("streams", data("sample"), "-o", "s", "-q", "--json", "--md5", "--http", "--http-names", "old", "--report",
                   self.path("r.xml"), "--overwrite", "--on-close", ":", "--port", "57672")
        # what starts is the same for each run of python, which takes long
        self.every("streams", data("sample"), "-o", "s", "-q", "--python", "/:os:getenv", "--port", "57672", most=20)

    def test_streams_of_another_format(self):
        self.every("streams", data("sample"), "-o", "s", "-q", "--format", "headers", "--part", "--gaps-file")

    def test_pcap_flow(self):
        self.every("pcap_flow", data("gen-reuse"), "--extract", "1", "--extract-port", "1", "99", "--extract-tcp-all",
                   "--tcpheader", "-o", "x", "-q")

    def test_chart_and_ssids(self):
        words = ["flows", data("sample"), "--json", "-q", "--workers", "2", "--ssids"]
        os.environ["SOURCE_DATE_EPOCH"] = "1"
        self.addCleanup(os.environ.pop, "SOURCE_DATE_EPOCH")
        if e2e.run(*words, "--chart", self.path("probe.pdf"), code=None).code == 0: # else built without cairo
            words += ["--chart", "page.pdf"]
        self.every(*words)

    def test_repair(self):
        self.every("repair", data("sample"), "-o", "r.pcap", "--json")

    def test_replay(self):
        e2e.need_dpdk()
        # AddressSanitizer builds copy each burst to the heap, on purpose without a way out
        most = 40 if "address" in os.environ.get("WS_SANITIZE", "") else 1 << 30
        self.every("replay", data("sample"), "-q", "--pcap", "x.pcap", "--streams", "s", "--flows", "f", most=most)


if __name__ == "__main__":
    e2e.main()
