# SPDX-License-Identifier: BSD-3-Clause
"""--ssids: wireless networks from generated beacons, and beside tshark on public captures."""
import json
import os
import struct
import zlib

import e2e

A, B = bytes.fromhex("021122334455"), bytes.fromhex("021122334466")


def beacon(bssid, ssid, subtype=8, bad=False):
    frame = bytes([subtype << 4, 0, 0, 0]) + b"\xff" * 6 + bssid + bssid + b"\x10\0"
    frame += bytes(8) + struct.pack("<HH", 100, 0x11) + bytes([0, len(ssid)]) + ssid + b"\x03\x01\x06"
    return frame + struct.pack("<I", zlib.crc32(frame) ^ bad)


FRAMES = [beacon(A, b"home"), beacon(A, b"home"), beacon(B, "caf\u00e9 <&> 'x'".encode()), beacon(B, b"", 5),
          beacon(A, b"bad", bad=True), beacon(B, b"\0\0\0"), beacon(A, b"\xff\x01raw", 5)]


def radiotap(frame):
    return struct.pack("<BBHIB", 0, 0, 9, 2, 0x10) + frame


def capture(path, frames, link_type=127):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link_type))
        for i, frame in enumerate(frames):
            f.write(struct.pack("<IIII", 1000000000 + i, 0, len(frame), len(frame)) + frame)
    return path


class Ssids(e2e.Case):
    def listed(self, *words, command="flows"):
        out = e2e.run(command, *words, "--ssids", "--json", "-q").out
        return {(x["bssid"], x["ssid"]): (x["beacons"], x["probe_responses"])
                for x in map(json.loads, out.splitlines()) if "ssid" in x}

    def test_list(self):
        path = capture(self.path("wifi.pcap"), [radiotap(x) for x in FRAMES])
        a, b = "02:11:22:33:44:55", "02:11:22:33:44:66"
        expected = {(a, "home"): (2, 0), (a, "\u00ff\x01raw"): (0, 1), (b, ""): (1, 1),
                    (b, "caf\u00e9 <&> 'x'"): (1, 0)}
        self.assertEqual(self.listed(path), expected)
        self.assertEqual(self.listed(path, "--workers", "4"), expected)
        self.assertEqual(self.listed(path, "-o", self.path("all.pcap"), command="extract"), expected)
        expected[a, "bad"] = (1, 0)
        self.assertEqual(self.listed(path, "--ssids-bad-fcs"), expected)
        _, c = e2e.counters("flows", path, "--ssids")
        self.assertEqual((c["beacons_bad"], c["beacons_bad_fcs"], c["ssids_full"]), (0, 1, 0))

    def test_text(self):
        path = capture(self.path("wifi.pcap"), [radiotap(x) for x in FRAMES])
        out = e2e.run("flows", path, "--ssids", "-q").out
        self.assertIn("(hidden)", out)
        self.assertIn("??raw", out)
        self.assertIn("no wireless networks", e2e.run("flows", e2e.data("sample"), "--ssids", "-q").out)

    def report(self, path):
        report = self.path("report.xml")
        e2e.run("streams", path, "-o", self.path("out"), "--report", report, "--ssids", "-q", "--overwrite")
        with open(report, encoding="utf-8") as f:
            return [x.strip() for x in f if "<ssid " in x]

    def test_report(self):
        path = capture(self.path("wifi.pcap"), [radiotap(x) for x in FRAMES])
        self.assertEqual(self.report(path), [
            "<ssid mac='02:11:22:33:44:55' ssid='home' count='2'/>",
            "<ssid mac='02:11:22:33:44:55' ssid='??raw' count='0' responses='1' hex='ff01726177'/>",
            "<ssid mac='02:11:22:33:44:66' ssid='' count='1' responses='1'/>",
            "<ssid mac='02:11:22:33:44:66' ssid='caf\u00e9 &lt;&amp;&gt; &apos;x&apos;' count='1'/>"])

    def test_report_beside_tcpflow(self):
        """Beacons alone, with text for names: line by line what tcpflow writes."""
        e2e.need("tcpflow")
        path = capture(self.path("wifi.pcap"), [radiotap(FRAMES[i]) for i in (0, 1, 2, 4, 5)])
        e2e.execute(["tcpflow", "-e", "wifiviz", "-r", path, "-o", self.path("theirs")])
        with open(self.path("theirs") + "/report.xml", encoding="utf-8") as f:
            theirs = [x.strip() for x in f if "<ssid " in x]
        self.assertEqual(len(theirs), 3)
        self.assertEqual(self.report(path), theirs)

    def test_public_captures(self):
        """Names and counts as tshark reads them, in captures with a check sequence that is right or none."""
        root, seen = e2e.need_corpora(), 0
        e2e.need("tshark")
        for name in ("tests__ieee802.11_exthdr.pcap", "tests__ieee802.11_meshid.pcap"):
            path = os.path.join(root, "the-tcpdump-group+tcpdump", name)
            if not os.path.exists(path):
                continue
            expected = {}
            for line in e2e.tshark(path, "-Y", "wlan.fc.type_subtype in {5, 8}", "-T", "fields", "-e", "wlan.bssid",
                                   "-e", "wlan.ssid", "-e", "wlan.fc.type_subtype").splitlines():
                bssid, ssid, kind = line.split("\t")
                text = "" if ssid in ("<MISSING>", "") else bytes.fromhex(ssid).decode()
                count = expected.setdefault((bssid, text), [0, 0])
                count[int(kind, 16) == 5] += 1
            self.assertEqual(self.listed(path), {k: tuple(v) for k, v in expected.items()})
            seen += len(expected)
        if not seen:
            self.skipTest("captures not found")


if __name__ == "__main__":
    e2e.main()
