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


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


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


class Outputs(e2e.Case):
    def test_refused(self):
        """What cannot be meant is a matter of usage: one line, nothing made."""
        def refused(*words, says):
            result = run(*words, code=USAGE)
            self.one_line(result, says)
            self.assertEqual(os.listdir(self.directory), [])
        sample, out = data("sample"), self.path("out")
        refused("extract", sample, "-o", "", says="name")
        refused("extract", sample, "-o", self.path("x.pcap.gz"), says="x.pcap.gz")
        refused("extract", sample, "-o", self.path(""), says="file")
        refused("streams", sample, "-o", "-", "--format", "pcap", says="standard output")
        refused("streams", sample, "-o", "-", "--metadata", "text", says="--metadata-dir")
        refused("streams", sample, "-o", self.path("x"), "--joined", "--separate", says="opposites")
        refused("flows", sample, "--flow", "1", "--one-way", says="one-way")
        for template in ("../%A%a%B%b", "/x/%A%a%B%b", "%A%a%B%b/", "x/./%A%a%B%b", ".."):
            refused("streams", sample, "-o", out, "--template", template, says=template)
        refused("streams", sample, "-o", out, "--template", "%A%a", "--workers", "2", says="--workers 1")
        run("streams", sample, "-o", out, "--template", "a..b/.%A%a%B%b/...x", "-q")

    def test_second_try(self):
        """A run that fails before its first packet leaves nothing that the next one stumbles over."""
        run("extract", data("sample"), "-o", self.path("x.pcap"), "-U", "no-such-user", code=USAGE)
        self.assertEqual(os.listdir(self.directory), [])
        run("extract", data("sample"), "-o", self.path("x.pcap"), "-q")

    def test_packets_of_streams(self):
        """--format pcap writes the protocols that the other formats would."""
        def count(*words):
            return len(self.streams("p%d" % len(os.listdir(self.directory)), data("sample"), *words))
        tcp, udp, every = (sum(f["proto"] in x for f in e2e.flows(data("sample")))
                           for x in (("tcp",), ("udp",), ("tcp", "udp", "icmp")))
        self.assertEqual(count("--format", "pcap"), tcp)
        self.assertEqual(count("--format", "pcap", "--udp"), tcp + udp)
        self.assertEqual(count("--format", "pcap", "--udp", "--no-tcp"), udp)
        self.assertEqual(count("--format", "pcap", "--all-ip"), every)

    def test_snaplen(self):
        for words, header in ((["--snaplen", "100"], 100), (["--snaplen", "4294967297"], 262144), ([], 262144)):
            run("extract", data("sample"), "-o", self.path("s.pcap"), "-q", "--overwrite", *words)
            with open(self.path("s.pcap"), "rb") as f:
                self.assertEqual(struct.unpack("<I", f.read(20)[16:])[0], header)
                self.assertEqual(os.fstat(f.fileno()).st_size < 300000, header == 100)

    def test_broken_pipe(self):
        """What did not arrive is not called written."""
        done = subprocess.run(["sh", "-c", '"$0" extract "$1" -o - | head -c 10', WIRESPOOL, data("sample")],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertNotIn(b"831 of 831", done.stderr)


class Replayed(e2e.Case):
    def setUp(self):
        super().setUp()
        e2e.need_dpdk()

    def test_captured_file(self):
        """A device that replays an old file has the file's time: no flow is cut by the clock on the wall."""
        path = capture(self.path("old.pcap"), [(1000 + i, ipv4(udp(10 + i % 3, 20, b"x"))) for i in range(2000)])
        for n in ("1", "3"):
            run("capture", "--dev", "net_pcap0,rx_pcap=" + path, "--flows", self.path(n), "--workers", n, "-q")
            with open(self.path(n), encoding="ascii") as f:
                ends = [json.loads(x)["end"] for x in f]
            self.assertEqual(ends, 3 * ["end_of_input"])

    def test_other_link_types(self):
        """Frames that net_pcap cannot carry are left out and said, not passed off as Ethernet."""
        frame = ipv4(udp(1, 2, b"x"))
        with open(self.path("two.pcapng"), "wb") as f:
            f.write(block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1)))
            for link in (1, 101):
                f.write(block(1, struct.pack("<HHI", link, 0, 0)))
            for iface, data_ in ((0, frame), (1, frame[14:]), (0, frame)):
                f.write(block(6, struct.pack("<IIIII", iface, 0, 1, len(data_), len(data_)) + data_))
        result = run("replay", self.path("two.pcapng"), "--flows", "-", code=e2e.LOST)
        self.assertIn("1 packets left out", result.err)
        self.assertIn("2 packets received", result.err)

    def test_standard_output(self):
        """Only one thing goes to standard output."""
        run("replay", data("sample"), "--pcap", "-", "--flows", "-", code=USAGE)
        result = run("replay", data("sample"), "--flows", "-", "--json", "-q")
        self.assertTrue(all("id.orig_h" in json.loads(x) for x in result.out.splitlines()))
        self.assertIn('"packets":831', result.err)

    def test_stream_packets(self):
        """Stream files are pcap whatever --pcap writes, and are not counted as its packets."""
        _, counted = e2e.counters("replay", data("sample"), "--streams", self.path("d"), "--format", "pcap",
                                  "--pcap", self.path("x.pcapng"), "-q")
        self.assertEqual(counted["out_packets"], 831)
        self.assertGreater(counted["out_stream_packets"], 0)
        for name in os.listdir(self.path("d")):
            with open(os.path.join(self.path("d"), name), "rb") as f:
                self.assertEqual(f.read(4).hex(), "4d3cb2a1", name)


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
