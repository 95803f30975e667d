#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every selector of `extract`, judged by tshark's display filters and tcpdump's filters on the same capture."""
import unittest

import e2e
from e2e import data, run
from files_test import records


def shown(path, display):
    """The packets that a display filter picks."""
    numbers = e2e.tshark(path, "-T", "fields", "-e", "frame.number", "-Y", display).split()
    packets = records(path)
    return [packets[int(n) - 1] for n in numbers]


class Extract(e2e.Case):
    def setUp(self):
        super().setUp()
        e2e.need("tshark")
        self.sample = data("sample")

    def extract(self, *words, source=None, **how):
        out = self.path("out.pcap")
        run("extract", source or self.sample, "-o", out, "--overwrite", "-q", *words, **how)
        return records(out)

    def same(self, words, display, source=None):
        want = shown(source or self.sample, display)
        self.assertTrue(want, display)
        for n in ("1", "2"):
            self.assertEqual(self.extract(*words, "--workers", n, source=source), want, f"{words} against {display}")

    def test_flow(self):
        """--flow ID: the connection with this FlowID, both directions; --one-way: one."""
        connections = [f for f in e2e.flows(self.sample) if f["proto"] == "tcp" and "resp_flow_id" in f]
        for f in connections[::4] + connections[-1:]:
            orig, resp = f["id.orig_p"], f["id.resp_p"]
            both = self.extract("--flow", f["flow_id"])
            self.assertEqual(len(both), f["orig_pkts"] + f["resp_pkts"], f)
            self.assertEqual(both, self.extract("--flow", f["resp_flow_id"]))
            one = self.extract("--flow", f["flow_id"], "--one-way")
            other = self.extract("--flow", f["resp_flow_id"], "--one-way")
            self.assertEqual((len(one), len(other)), (f["orig_pkts"], f["resp_pkts"]), f)
            self.assertEqual(sorted(one + other), sorted(both))
            want = shown(self.sample, f"tcp.port=={orig} && tcp.port=={resp}")
            self.assertLessEqual(set(both), set(want), f)

    def test_flow_of_several(self):
        a, b = [f for f in e2e.flows(self.sample) if f["proto"] == "tcp"][:2]
        self.assertEqual(sorted(self.extract("--flow", a["flow_id"], "--flow", b["flow_id"])),
                         sorted(self.extract("--flow", a["flow_id"]) + self.extract("--flow", b["flow_id"])))

    def test_unknown_flow(self):
        result = run("extract", self.sample, "-o", self.path("x.pcap"), "--flow", "99999", code=e2e.LOST)
        self.one_line(result, "99999")

    def test_port(self):
        self.same(["--port", "443"], "tcp.port==443")
        self.same(["--port", "7000-7099"], "tcp.port in {7000..7099}")
        self.same(["--port", "443", "--port", "7001"], "tcp.port==443 || tcp.port==7001")
        # all fragments of a UDP datagram come along, though only the first has ports
        self.same(["--port", "53"], "udp.port==53")

    def test_fragments_come_along(self):
        plain = shown(self.sample, "ip.flags.mf==1 || ip.frag_offset>0 || ipv6.fraghdr")
        self.assertTrue(plain)
        ports = set(e2e.tshark(self.sample, "-T", "fields", "-e", "udp.dstport", "-Y",
                               "udp && (ip.frag_offset>0 || ipv6.fraghdr)").split())
        self.assertTrue(ports)
        words = []
        for p in sorted(ports):
            words += ["--port", p]
        self.assertLessEqual(set(plain), set(self.extract(*words)))

    def test_host(self):
        self.same(["--host", "10.42.0.1"], "ip.addr==10.42.0.1")
        self.same(["--host", "10.42.0.0/16"], "ip.addr==10.42.0.0/16")
        self.same(["--host", "fd77::1"], "ipv6.addr==fd77::1")
        self.same(["--host", "fd77::/64"], "ipv6.addr==fd77::/64")
        self.same(["--host", "10.77.0.1", "--host", "fd77::1"], "ip.addr==10.77.0.1 || ipv6.addr==fd77::1")
        self.same(["--host", "10.77.0.1", "--port", "443"], "ip.addr==10.77.0.1 && tcp.port==443")

    def test_innermost(self):
        """Selectors look inside tunnels: nothing of the outer header."""
        path = self.path("t.pcap")
        records = e2e.generate(path, "--connections", "12", "--tunnel", "vxlan", "--seed", "3")
        first = records[0]
        got = self.extract("--host", first["src"], "--port", first["sport"], source=path)
        want = sum(r["packets"] for r in records if (first["src"], first["sport"]) in
                   ((r["src"], r["sport"]), (r["dst"], r["dport"])))
        self.assertEqual(len(got), want)

    def test_tuple(self):
        f = [f for f in e2e.flows(self.sample) if f["proto"] == "tcp" and ":" not in f["id.orig_h"]][0]
        a, b = "%s:%d" % (f["id.orig_h"], f["id.orig_p"]), "%s:%d" % (f["id.resp_h"], f["id.resp_p"])
        display = (f"ip.src=={f['id.orig_h']} && tcp.srcport=={f['id.orig_p']} && ip.dst=={f['id.resp_h']} && "
                   f"tcp.dstport=={f['id.resp_p']}")
        both = f"tcp.port=={f['id.orig_p']} && tcp.port=={f['id.resp_p']} && ip.addr=={f['id.orig_h']}"
        self.same(["--tuple", f"tcp,{a},{b}"], both)
        self.same(["--tuple", f"tcp,{b},{a}"], both)
        self.same(["--tuple", f"tcp,{a},{b}", "--one-way"], display)
        g = [f for f in e2e.flows(self.sample) if f["proto"] == "tcp" and ":" in f["id.orig_h"]][0]
        a, b = "[%s]:%d" % (g["id.orig_h"], g["id.orig_p"]), "[%s]:%d" % (g["id.resp_h"], g["id.resp_p"])
        self.same(["--tuple", f"tcp,{a},{b}"], f"ipv6 && tcp.port=={g['id.orig_p']} && tcp.port=={g['id.resp_p']}")

    def test_community_id(self):
        f = [f for f in e2e.flows(self.sample) if f["proto"] == "tcp"][0]
        both = f"tcp.port=={f['id.orig_p']} && tcp.port=={f['id.resp_p']}"
        self.same(["--community-id", f["community_id"]], both)

    def test_community_id_by_tshark(self):
        """tshark's own Community IDs, where its build has them (a plugin that is off by default)."""
        rows = e2e.execute(["tshark", "-n", "--enable-protocol", "communityid", "-r", self.sample, "-T", "fields", "-e",
                            "communityid", "-e", "tcp.stream"]).out.splitlines()
        ids = {x.split("\t")[0] for x in rows if x.startswith("1:") and x.split("\t")[-1]}
        if not ids:
            self.skipTest("this tshark computes no Community IDs")
        ours = {f["community_id"] for f in e2e.flows(self.sample) if f["proto"] == "tcp"}
        self.assertEqual(ours, ids)

    def test_time(self):
        stamps = e2e.tshark(self.sample, "-T", "fields", "-e", "frame.time_epoch").split()
        a, b = stamps[len(stamps) // 3], stamps[len(stamps) // 2]
        self.same(["--after", a], f"frame.time_epoch >= {a}")
        self.same(["--before", b], f"frame.time_epoch < {b}")
        self.same(["--after", a, "--before", b], f"frame.time_epoch >= {a} && frame.time_epoch < {b}")

    def test_packet_max(self):
        """--packet-max counts at the reader, before any filter."""
        self.same(["--packet-max", "100"], "frame.number <= 100")
        self.same(["--packet-max", "100", "--port", "80"], "frame.number <= 100 && tcp.port==80")
        for n in ("1", "3"):
            _, counted = e2e.counters("flows", self.sample, "--packet-max", "100", "--workers", n)
            self.assertEqual(counted["rx_packets"], 100)

    def test_selectors_in_every_command(self):
        only = self.streams("s", self.sample, "--port", "443")
        self.assertTrue(only)
        self.assertTrue(all(".00443" in x for x in only))
        self.assertTrue(all(443 in (f["id.orig_p"], f["id.resp_p"]) for f in e2e.flows(self.sample, "--port", "443")))
        self.assertEqual(only, self.streams("f", self.sample, "-f", "tcp port 443"))
        flow = [f for f in e2e.flows(self.sample) if f["proto"] == "tcp" and f["orig_bytes"] and f["resp_bytes"]][0]
        self.assertEqual(len(self.streams("one", self.sample, "--flow", flow["flow_id"])), 2)
        self.assertEqual(len(self.streams("way", self.sample, "--flow", flow["flow_id"], "--one-way")), 1)
        self.assertEqual([f["flow_id"] for f in e2e.flows(self.sample, "--flow", flow["resp_flow_id"])], [flow["flow_id"]])

    def test_filters_never_renumber(self):
        """FlowIDs are those of the whole capture, whatever is selected (6a.1)."""
        want = {f["flow_id"]: f["id.orig_p"] for f in e2e.flows(self.sample)}
        for words in (["--port", "443"], ["-f", "tcp port 443"], ["-f", "ip6"], ["--host", "10.42.0.0/16"]):
            for n in ("1", "2", "4"):
                for f in e2e.flows(self.sample, "--workers", n, *words):
                    self.assertEqual(want.get(f["flow_id"]), f["id.orig_p"], words)


class Expressions(e2e.Case):
    """Filter expressions mean what tcpdump makes of them."""

    def test_against_tcpdump(self):
        e2e.need("tcpdump")
        for name in ("sample", "sample-any", "gen-wrapped"):
            for text in ("tcp", "udp port 53", "host 10.77.0.1 and tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "ip6", "vlan",
                         "vlan 42 and tcp", "not ip", "icmp or icmp6", "greater 500", "less 80",
                         "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", "ip[6:2] & 0x3fff != 0", "portrange 7000-7099", "arp"):
                theirs = e2e.execute(["tcpdump", "-r", data(name), "-w", self.path("t.pcap"), *([] if e2e.os.geteuid() else
                                      ["-Z", "root"]), text])
                if theirs.code != 0:
                    continue  # no meaning on this link type; what we do then is below
                with self.subTest(name, text=text):
                    for words in ((["-f", text]), (["--", *text.split()])):
                        run("extract", data(name), "-o", self.path("o.pcap"), "--us", "--overwrite", "-q", *words)
                        with open(self.path("t.pcap"), "rb") as f, open(self.path("o.pcap"), "rb") as g:
                            # tcpdump keeps the source's resolution; our samples are in microseconds
                            self.assertEqual(f.read()[24:], g.read()[24:])

    def test_bad_expression(self):
        for words in (["-f", "tcp port"], ["--", "nonsense", "and"], ["--port", "70000"], ["--port", "9-5"], ["--host", "1.2.3"],
                      ["--host", "10.0.0.0/33"], ["--tuple", "tcp,1"], ["--community-id", "2:xx"], ["--after", "yesterday"],
                      ["--flow", "0"], ["--flow", "x"]):
            with self.subTest(words):
                result = run("extract", data("sample"), "-o", self.path("x.pcap"), *words, code=e2e.USAGE)
                self.assertEqual(len(result.err.strip().splitlines()), 1, result)
                self.assertFalse(e2e.os.path.exists(self.path("x.pcap")))


if __name__ == "__main__":
    e2e.main()
