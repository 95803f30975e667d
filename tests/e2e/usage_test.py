#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Odd but legal uses: every option does what --help says of it, or is refused."""
import json
import os
import struct
import subprocess

import e2e
from e2e import USAGE, ENVIRONMENT, WIRESPOOL, data, run

ETHERNET = bytes.fromhex("020000000002" "020000000001" "0800")


def ipv4(payload, proto=17, ident=1, offset=0, more=False):
    return ETHERNET + struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, offset // 8 | more << 13, 64,
                                  proto, 0, bytes((1, 1, 1, 1)), bytes((2, 2, 2, 2))) + payload


def udp(sport, dport, payload):
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def capture(path, packets):
    """packets: (time in s, frame)."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for seconds, frame in packets:
            f.write(struct.pack("<IIII", seconds, 0, len(frame), len(frame)) + frame)
    return path


class Lists(e2e.Case):
    def test_machine_lists(self):
        """--json is whole and by FlowID unless --sort or --top say otherwise."""
        def some(*words):
            out = run("flows", "--json", "-q", data("sample"), *words).out
            return [json.loads(x) for x in out.splitlines()]
        whole = [f["flow_id"] for f in some()]
        self.assertEqual(whole, sorted(whole))
        size = [f["orig_frame_bytes"] + f["resp_frame_bytes"] for f in some("--sort", "bytes")]
        self.assertEqual(len(size), len(whole))
        self.assertEqual(size, sorted(size, reverse=True))
        self.assertEqual([f["flow_id"] for f in some("--top", "2")], [f["flow_id"] for f in some("--sort", "bytes")[:2]])
        self.assertEqual(len(some("--top", "0")), 0)
        run("flows", "--json", "--csv", data("sample"), code=USAGE)

    def test_stamps_that_go_back(self):
        """A flow whose stamps go back has no duration, and is no long one."""
        path = capture(self.path("back.pcap"), [(1000, ipv4(udp(1, 1, b"a"))), (10, ipv4(udp(1, 1, b"b"))),
                                                (100, ipv4(udp(2, 2, b"a"))), (105, ipv4(udp(2, 2, b"b")))])
        self.assertEqual([f["id.orig_p"] for f in e2e.flows(path, "--sort", "duration")], [2, 1])


class Numbers(e2e.Case):
    def test_filtered_fragments(self):
        """A flow of fragments keeps its number though a filter refuses some or all of them (6a.1)."""
        datagram = udp(5, 6, b"x" * 2992)
        pieces = [(at, datagram[at:at + 1000], at + 1000 < len(datagram)) for at in range(0, len(datagram), 1000)]
        for order in (pieces, pieces[::-1]):
            packets = [(100, ipv4(body, ident=7, offset=at, more=more)) for at, body, more in order]
            path = capture(self.path("frag.pcap"), packets + [(200, ipv4(udp(7, 8, b"hello")))])
            want = {f["id.orig_p"]: (f["flow_id"], f["orig_pkts"]) for f in e2e.flows(path)}
            self.assertEqual(want, {5: (1, 3), 7: (2, 1)})
            for words, ports in ((("-f", "port 7"), {7: (2, 1)}), (("--after", "150"), {7: (2, 1)}),
                                 (("-f", "port 5"), {5: (1, 1)}),
                                 (("-f", "ip[6:2] & 0x1fff != 0"), {5: (1, 2)})):
                for n in ("1", "3"):
                    got = {f["id.orig_p"]: (f["flow_id"], f["orig_pkts"])
                           for f in e2e.flows(path, "--workers", n, *words)}
                    self.assertEqual(got, ports, words)
            self.assertFalse(self.streams("part", path, "--udp", "--json", "-f", "port 5", "--overwrite"))
            self.assertEqual(len(self.streams("whole", path, "--udp", "--json", "-f", "udp or ip[6:2] & 0x1fff != 0",
                                              "--overwrite")), 2)


class StandardStreams(e2e.Case):
    def test_full_output(self):
        """What is printed has arrived, or the exit code tells."""
        for words in (("flows", data("sample")), ("flows", data("sample"), "--json"), ("flows", "--help"), ("--version",),
                      ("streams", data("sample"), "-o", self.path("s"), "--overwrite", "--json"),
                      ("extract", data("sample"), "-o", self.path("e.pcap"), "--overwrite", "--json")):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([WIRESPOOL, *words], stdout=full, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, ENVIRONMENT, words)
            self.assertIn(b"standard output", done.stderr, words)

    def test_closed(self):
        """No output takes the number of a closed standard stream."""
        run("streams", data("sample"), "-o", self.path("want"), "-q")
        cut = self.path("cut.pcap")
        with open(data("sample"), "rb") as f, open(cut, "wb") as g:
            g.write(f.read()[:-5])
        for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
            name = self.path("d%d" % len(os.listdir(self.directory)))
            done = subprocess.run(["sh", "-c", '"$0" streams "$1" -o "$2" --stats ' + closed, WIRESPOOL, data("sample"), name],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, 0, closed)
            self.assertEqual(e2e.tree(name), e2e.tree(self.path("want")), closed)
            done = subprocess.run(["sh", "-c", '"$0" extract "$1" -o "$2" --stats ' + closed, WIRESPOOL, cut, name + ".pcap"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, 1, closed)
            run("flows", name + ".pcap", "-q")


if __name__ == "__main__":
    e2e.main()
