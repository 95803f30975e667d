#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is done with packets before and beside streams: --continue, --rest, --time-shift, numbers from zero, --chroot."""
import io
import os
import struct
import zipfile

import e2e
from e2e import USAGE, counters, data, run, tree


def records(path):
    """(header, [(stamp, record bytes)]) of a little-endian pcap."""
    with open(path, "rb") as f:
        raw = f.read()
    at, out = 24, []
    while at < len(raw):
        sec, frac, cap = struct.unpack_from("<III", raw, at)
        out.append(((sec, frac), raw[at:at + 16 + cap]))
        at += 16 + cap
    return raw[:24], out


class Inputs(e2e.Case):
    def halves(self):
        head, packets = records(data("sample"))
        half = len(packets) // 2
        for name, part in (("first.pcap", packets[:half]), ("second.pcap", packets[half:])):
            with open(self.path(name), "wb") as f:
                f.write(head + b"".join(raw for _, raw in part))
        return self.path("first.pcap"), self.path("second.pcap")

    def test_continue(self):
        """The second half completes what the first began, and begins nothing."""
        first, second = self.halves()
        whole = self.streams("whole", data("sample"))
        both = self.streams("both", first, second)
        self.assertEqual(both, whole)
        begun = self.streams("begun", first)
        self.streams("open", "--continue", second, first)
        completed = tree(self.path("open"))
        self.assertEqual(set(completed), set(begun))
        self.assertEqual(completed, {name: whole[name] for name in begun})
        self.assertTrue(any(begun[name] != whole[name] for name in begun), "no stream crosses the middle: no test")
        for workers in ("1", "3"):
            _, count = counters("streams", "-q", "--workers", workers, "-o", self.path("n" + workers), first, "--continue", second)
            self.assertGreater(count["not_continued"], 0)
            self.assertEqual(tree(self.path("n" + workers)), completed)
        _, count = counters("streams", "-q", "-o", self.path("none"), "--continue", data("sample"))
        self.assertEqual(count["flows_created"], 0)

    def test_continue_renews_nothing(self):
        """A tuple that is used again is no open flow."""
        tuple_reused = data("gen-reuse")
        once = self.streams("once", tuple_reused)
        self.assertEqual(self.streams("twice", tuple_reused, "--continue", tuple_reused), once)
        # A filtered packet that numbers count has one fate; a ledger that does not agree is a code of 1.
        _, count = counters("streams", "-q", "-o", self.path("numbered"), "--template", "%N", "-f", "udp", "--continue",
                            tuple_reused, tuple_reused)
        self.assertEqual((count["filtered"], count["not_continued"]), (count["rx_packets"], 0))

    def test_zip(self):
        """An archive of one file, however it was packed; what is not that is said."""
        with open(data("sample"), "rb") as f:
            raw = f.read()
        want = self.streams("plain", data("sample"))

        class Pipe(io.RawIOBase):
            """Cannot seek: lengths come after the data."""
            def __init__(self, f):
                self.f = f
            def writable(self):
                return True
            def write(self, b):
                return self.f.write(b)

        def pack(name, method, pipe=False, extra=()):
            with open(self.path(name), "wb") as f:
                with zipfile.ZipFile(Pipe(f) if pipe else f, "w", method) as z:
                    for n, b in extra[:1]:
                        z.writestr(n, b)
                    z.writestr("in.pcap", raw)
                    for n, b in extra[1:]:
                        z.writestr(n, b)
            return self.path(name)

        one = [pack("deflate.zip", zipfile.ZIP_DEFLATED), pack("pipe.zip", zipfile.ZIP_DEFLATED, pipe=True),
               pack("stored.zip", zipfile.ZIP_STORED), pack("folder.zip", zipfile.ZIP_STORED, extra=[("d/", b"")])]
        for i, path in enumerate(one):
            self.assertEqual(self.streams("z%d" % i, path), want, path)
        with open(one[0], "rb") as f:
            self.assertEqual(self.streams("stdin", "-", stdin=f.read()), want)
        for pipe in (False, True):
            two = pack("two.zip", zipfile.ZIP_DEFLATED, pipe=pipe, extra=[("a/", b""), ("b.pcap", raw)] if not pipe else
                       [("in.pcap", raw), ("b.pcap", raw)])
            result = run("streams", "-q", two, "-o", self.path("two%d" % pipe), code=e2e.LOST)
            self.assertIn("more than one", result.err)
        with open(one[0], "rb") as f:
            good = bytearray(f.read())
        for name, bad, said in (("cut", good[:len(good) // 2], "cut"), ("crc", good[:14] + b"abcd" + good[18:], "CRC"),
                                ("method", good[:8] + b"\x0c\0" + good[10:], "deflate"),
                                ("secret", good[:6] + b"\1\0" + good[8:], "encrypted")):
            with open(self.path(name), "wb") as f:
                f.write(bad)
            result = run("streams", "-q", self.path(name), "-o", self.path("x" + name), code=e2e.LOST)
            self.assertIn(said, result.err)

    def test_rest(self):
        """What is not TCP, whole and in order, however many workers there are."""
        run("extract", "-q", data("sample"), "-o", self.path("want.pcap"), "--", "not tcp and not (ip6 proto 6) and not "
            "(vlan and tcp)")
        _, want = records(self.path("want.pcap"))
        for workers in ("1", "4"):
            rest = self.path("rest%s.pcap" % workers)
            run("streams", "-q", "--workers", workers, data("sample"), "-o", self.path("d" + workers), "--rest", rest)
            self.assertEqual([x[1] for x in records(rest)[1]], [x[1] for x in want])
        self.assertEqual(tree(self.path("d1")), self.streams("plain", data("sample")))
        run("streams", "-q", data("sample"), "-o", self.path("d1"), "--rest", "x.pcapng", code=USAGE)

    def test_time_shift(self):
        _, plain = records(data("sample"))
        for text, seconds in (("1h", 3600), ("-1d", -86400), ("+2s", 2)):
            run("extract", "-q", "--us", "--overwrite", data("sample"), "--time-shift", text, "-o", self.path("out.pcap"))
            shifted = records(self.path("out.pcap"))[1]
            self.assertEqual([x[0] for x in shifted], [(s + seconds, f) for (s, f), _ in plain])
        for text in ("x", "-", "--1", "1y"):
            run("extract", data("sample"), "--time-shift", text, "-o", self.path("n.pcap"), code=USAGE)

    def test_numbers_from_zero(self):
        """Each stream has a number of its own from 0, in order of begin; filters renumber; standard input needs no copy."""
        words = ("--template", "%N-%A.%a-%B.%b", "--number-from-zero")
        first = self.streams("one", data("sample"), *words)
        tcp = [f for f in e2e.flows(data("sample")) if f["proto"] == "tcp"]
        began = {}
        for f in tcp:
            began[e2e.stream_name(f["id.orig_h"], f["id.orig_p"], f["id.resp_h"], f["id.resp_p"])] = int(f["ts_ns"])
        numbers = sorted(int(name[:3]) for name in first)
        self.assertEqual(len(set(numbers)), len(first))
        self.assertLess(numbers[-1], 2 * len(tcp))
        order = [began[name[4:]] for name in sorted(first) if name[4:] in began]
        self.assertGreater(len(order), 5)
        self.assertEqual(order, sorted(order))
        filtered = self.streams("f1", data("sample"), *words, "-f", "port 443")
        self.assertEqual({name[:3] for name in filtered}, {"000", "001"})
        run("streams", data("sample"), "--workers", "3", *words, "-o", self.path("x"), code=USAGE)
        with open(data("sample"), "rb") as f:
            self.assertEqual(self.streams("pipe", "-", *words, stdin=f.read()), first)

    def test_chroot(self):
        run("streams", "--chroot", "/", data("sample"), "-o", self.path("x"), code=USAGE)
        e2e.need_root()
        os.chmod(self.directory, 0o755)
        os.mkdir(self.path("jail"))
        out = self.path("out")
        os.mkdir(self.path("theirs"))
        os.chmod(self.path("theirs"), 0o777)
        run("streams", "-q", "-U", "nobody", "--chroot", self.path("jail"), data("sample"), "-o", out, "--rest",
            self.path("rest.pcap"), "--report", self.path("theirs/r.xml"), ASAN_OPTIONS="detect_leaks=0")  # which needs /proc
        self.assertTrue(os.path.exists(self.path("rest.pcap")) and os.path.exists(self.path("theirs/r.xml")))
        self.assertEqual(tree(out), self.streams("plain", data("sample")))
        self.assertEqual(os.listdir(self.path("jail")), [])
        run("streams", "-q", "-U", "nobody", "--chroot", self.path("nowhere"), data("sample"), "-o", self.path("y"),
            code=e2e.ENVIRONMENT)


if __name__ == "__main__":
    e2e.main()
