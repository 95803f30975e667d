#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Stream files, byte for byte: against what endpoints wrote down, what the generator made, and each other."""
import hashlib
import json
import os
import unittest

import e2e
from e2e import data, run

IMPAIRED = ["--loss", "0.02", "--reorder", "0.1", "--dup", "0.05", "--retransmit", "0.1", "--wrap", "40"]
MIXED = ["--ipv6", "40", "--vlan", "20", "--qinq", "10", "--mpls", "10"]


def endpoint_truth(name):
    with open(data(name + ".truth.json"), encoding="ascii") as f:
        return json.load(f)


def name_of(record, use):
    vlan = record.get("vlan", [])
    if isinstance(vlan, int):
        vlan = [vlan]
    return e2e.stream_name(record["src"], record["sport"], record["dst"], record["dport"], vlan) + ("c%d" % use if use else "")


class Truth(e2e.Case):
    def test_samples(self):
        """Every stream that the endpoints of our samples wrote down, and no other."""
        for sample in e2e.SAMPLES:
            with self.subTest(sample):
                got = self.streams(sample, data(sample))
                want = {}
                for x in endpoint_truth(sample):
                    if x["bytes"]:
                        want[e2e.stream_name(x["src"], x["sport"], x["dst"], x["dport"]), x["use"]] = x["sha256"]
                # the endpoints know nothing of VLANs
                have = {}
                for file, digest in got.items():
                    stem, _, tail = file.partition("--")
                    tail = tail.lstrip("0123456789") if tail else ""
                    if not tail and "c" in stem.rpartition(".")[2]:
                        stem, _, use = stem.rpartition("c")
                    else:
                        use = tail.lstrip("c") or 0
                    have[stem, int(use)] = digest
                self.assertEqual(have, want)

    def generated(self, name, *options, known=None):
        path = data(name) if known else self.path(name + ".pcap")
        records = known or e2e.generate(path, *options)
        got = self.streams(name, path)
        uses, want = {}, {}
        for x in records:
            if x["proto"] != "tcp":
                continue
            key = (x["src"], x["sport"], x["dst"], x["dport"], tuple(x["vlan"]), x["tunnel_id"], x["tunnel"])
            use = uses[key] = uses.get(key, -1) + 1
            if x["stream_bytes"] == sum(h[1] for h in x["holes"]):
                continue  # nothing captured: no file
            want[name_of(x, use)] = x["sha256"]
        wrong = {k: (got.get(k), want.get(k)) for k in set(got) | set(want) if got.get(k) != want.get(k)}
        self.assertEqual(len(wrong), 0, f"{name}: {len(wrong)} of {len(want)} streams: {sorted(wrong.items())[:4]}")
        self.assertGreater(len(want), 0)

    def test_shipped(self):
        for name in e2e.GENERATED:
            with self.subTest(name):
                self.generated(name, known=e2e.generated_truth(data(name + ".truth.jsonl")))

    def test_generated(self):
        plain = ["--connections", "60", "--size", "uniform:0-30000"]
        cases = {
            "plain": plain,
            "mixed": plain + MIXED + ["--udp", "20", "--rst", "20"],
            "loss": plain + MIXED + ["--loss", "0.05"],
            "reorder": plain + MIXED + ["--reorder", "0.2:5"],
            "dup": plain + ["--dup", "1"],
            "retransmit": plain + ["--retransmit", "0.2", "--loss", "0.05"],
            "overlap": plain + ["--overlap", "0.2", "--reorder", "0.1"],
            "wrap": plain + ["--wrap", "100", "--reorder", "0.2"],
            "midstream": plain + ["--midstream", "100"],
            "midstream-impaired": plain + ["--midstream", "100", "--reorder", "0.1", "--loss", "0.02"],
            "reuse": plain + ["--reuse", "60", "--concurrency", "8", "--rst", "20"],
            "fragment": plain + MIXED + ["--fragment", "0.3", "--loss", "0.05", "--udp", "30"],
            "tunnels": plain + MIXED + ["--tunnel", "mix", "--fragment", "0.2"],
            "snaplen": plain + ["--snaplen", "200"],
            "all": plain + MIXED + IMPAIRED + ["--overlap", "0.1", "--fragment", "0.1", "--tunnel", "mix:50", "--udp", "20",
                                               "--rst", "20"],
        }
        for attack in ("synflood", "ooo", "tiny", "fragflood", "teardrop", "rst"):
            cases["attack-" + attack] = plain + ["--attack", attack, "--attack-packets", "2000"]
        for name, options in cases.items():
            for seed in ("1", "2"):
                with self.subTest(name, seed=seed):
                    if name.startswith("attack-"):
                        self.attacked(name + seed, *options, "--seed", seed)
                    else:
                        self.generated(name + seed, *options, "--seed", seed)

    def attacked(self, name, *options):
        """The victims' streams are whole; what the attacker's own addresses give is no matter here."""
        path = self.path(name + ".pcap")
        records = e2e.generate(path, *options)
        got = self.streams(name, path)
        for x in records:
            if x["proto"] == "tcp" and x["stream_bytes"]:
                self.assertEqual(got.get(name_of(x, 0)), x["sha256"], f"{name}: {name_of(x, 0)}")


class Workers(e2e.Case):
    """1, 2 and 4 workers: the same trees and the same flows (6a.2)."""

    def same(self, path, *words):
        trees, lists, extracts = [], [], []
        for n in ("1", "2", "4"):
            trees.append(self.streams("w" + n, path, "--workers", n, "--overwrite", *words))
            for order in ([], ["--sort", "id"]):
                lists.append((tuple(order), run("flows", path, "--json", "--all", "-q", "--workers", n, *order).out))
            out = self.path(f"{n}.pcapng")
            run("extract", path, "-o", out, "--workers", n, "--overwrite", "-q")
            with open(out, "rb") as f:
                extracts.append(hashlib.sha256(f.read()).hexdigest())
        for i in (1, 2):
            self.assertEqual(trees[0], trees[i])
            self.assertEqual(extracts[0], extracts[i])
            self.assertEqual(lists[0], lists[2 * i])
            self.assertEqual(lists[1], lists[2 * i + 1])
        self.assertTrue(trees[0])

    def test_samples(self):
        for name in e2e.SAMPLES + e2e.GENERATED:
            with self.subTest(name):
                self.same(data(name))

    def test_udp_too(self):
        self.same(data("gen-wrapped"), "--udp")
        self.same(data("sample"), "--all-ip")

    def test_impaired(self):
        path = self.path("x.pcap")
        e2e.generate(path, "--connections", "400", "--size", "uniform:0-20000", *IMPAIRED, *MIXED, "--overlap", "0.1",
                     "--fragment", "0.1", "--tunnel", "mix:40", "--udp", "20", "--rst", "20", "--reuse", "10", "--seed", "5")
        self.same(path)

    def test_containers(self):
        for kind in ("headers", "headers32", "chunks", "json", "pcap"):
            with self.subTest(kind):
                self.same(data("gen-impaired"), "--format", kind)


if __name__ == "__main__":
    e2e.main()
