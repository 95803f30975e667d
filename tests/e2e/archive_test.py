#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""--format archive: what is read back is what would have been written at once; after cuts, damage, kill -9 and a full disk,
what is whole."""
import json
import os
import shutil
import struct
import subprocess
import time

import e2e
from e2e import DONE, LOST, USAGE, ENVIRONMENT, data, flows, run

FILES = ("sample", "sample-any", "sample-lossy", "gen-impaired", "gen-reuse", "gen-wrapped")
HEADER, HEAD = 64, 32
DATA, GAP, OPEN, RESTART, FLOWS, FOOTER = range(1, 7)

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(raw):
    crc = 0xffffffff
    for byte in raw:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xffffffff


def records(raw):
    """A segment's records as (offset, type, bytes), by a reader of our own from docs/formats/archive.md."""
    assert raw[:8] == b"WSA\xd3\r\n\x1a\n" and crc32c(raw[:60]) == struct.unpack_from("<I", raw, 60)[0]
    at, found = HEADER, []
    while not found or found[-1][1] != FOOTER:
        magic, kind, _, length, crc = struct.unpack_from("<HBBII", raw, at)
        assert magic == 0xd35a, at
        sealed = struct.pack("<Q", at) + raw[at:at + 8] + bytes(4) + raw[at + 12:at + length]
        assert crc == crc32c(sealed), at
        found.append((at, kind, length))
        at += length + 3 & ~3
    assert raw[at:] == struct.pack("<Q", found[-1][0]) + b"WSAEND\r\n"
    return found


def times(directory):
    """{path: (bytes, modification time)}; of files beside streams the time is that of writing."""
    return {x: (os.path.getsize(os.path.join(directory, x)), os.stat(os.path.join(directory, x)).st_mtime_ns)
            for x in e2e.tree(directory) if not x.endswith((".gaps", ".findx"))}


def content(directory):
    found = {}
    for name in e2e.tree(directory):
        with open(os.path.join(directory, name), "rb") as f:
            found[name] = f.read()
    return found


class Archive(e2e.Case):
    def archive(self, name, *words, **how):
        run("streams", *words, "--format", "archive", "-o", self.path(name), "-q", **how)
        return self.path(name)

    def segment(self, archive):
        """The only segment, and its bytes."""
        names = os.listdir(archive)
        self.assertEqual(len(names), 1, names)
        with open(os.path.join(archive, names[0]), "rb") as f:
            return os.path.join(archive, names[0]), f.read()

    def same(self, archive, capture, *words, of_capture=()):
        """The two trees are one: names, bytes, sizes and times; and so is what is printed."""
        for name in "direct", "read":
            shutil.rmtree(self.path(name), ignore_errors=True)
        direct = run("streams", capture, *of_capture, *words, "-o", self.path("direct"), "-q")
        read = run("streams", archive, *words, "-o", self.path("read"), "-q")
        self.assertEqual(e2e.tree(self.path("read")), e2e.tree(self.path("direct")), words)
        self.assertEqual(times(self.path("read")), times(self.path("direct")), words)
        self.assertEqual(read.out, direct.out, words)

    def test_same_as_direct(self):
        for name in FILES:
            for workers in ("1", "4") if name.startswith("gen") else ("2",):
                with self.subTest(name, workers=workers):
                    a = self.archive(name + workers, data(name), "--workers", workers)
                    self.same(a, data(name), "--json")
                    self.assertEqual(flows(a), flows(data(name)))
                    for words in (["--top", "5"], ["--csv"], ["--sort", "start", "--port", "1-1024"]):
                        self.assertEqual(run("flows", "-q", a, *words).out, run("flows", "-q", data(name), *words).out, words)

    def test_options(self):
        for name, workers in ("sample", "3"), ("gen-impaired", "1"):
            a = self.archive(name, data(name), "--all-ip", "--workers", workers)
            for words in (["--all-ip", "--format", "chunks", "--metadata", "json"], ["--format", "json", "--udp"],
                          ["--format", "headers32"], ["--joined", "--gaps", "zeros"], ["--gaps", "skip", "--gaps-file"],
                          ["-T", "%N-%A-%a-%E%V%C%c"], ["-T", "%A-%B"], ["--findx", "--stream-max", "100"], ["--no-tcp", "--udp"], ["--md5", "--json"]):
                with self.subTest(name, words=words):
                    self.same(a, data(name), *words)
            for words in ([], ["--format", "chunks", "--all-ip"]):
                self.assertEqual(run("streams", a, "-q", "-o", "-", *words).raw, run("streams", data(name), "-q", "-o", "-", *words).raw)
        a = self.archive("tuples", data("gen-reuse"), "--per-tuple")
        self.same(a, data("gen-reuse"), "--format", "json", of_capture=["--per-tuple"])

    def test_selection(self):
        a = self.archive("a", data("gen-impaired"), "--rotate-size", "16K", "--workers", "2")
        self.assertGreater(len(os.listdir(a)), 6)
        one = flows(data("gen-impaired"))[3]
        for words in (["--flow", "7"], ["--flow", "7", "--one-way"], ["--port", "1-1024"], ["--host", one["id.orig_h"]],
                      ["--community-id", one["community_id"]], ["--port", "80", "--host", "10.0.0.0/8", "--any"],
                      ["--tuple", f"tcp,{one['id.orig_h']}:{one['id.orig_p']},{one['id.resp_h']}:{one['id.resp_p']}"]):
            with self.subTest(words=words):
                self.same(a, data("gen-impaired"), *words)
        few = self.archive("few", data("gen-impaired"), "--port", "80")
        self.same(few, data("gen-impaired"), of_capture=["--port", "80"])
        self.assertEqual(flows(few), flows(data("gen-impaired"), "--port", "80"))
        result = run("streams", a, "--flow", "99999", "-o", self.path("none"), code=LOST)
        self.one_line(result, "no such FlowID")
        every = flows(a)
        start = sorted(float(x["ts"]) for x in every)[len(every) // 2]
        late = flows(a, "--after", "%.9f" % (start + 1000))
        self.assertEqual(late, [])
        chosen = flows(a, "--before", "%.9f" % start)
        self.assertEqual([x for x in every if float(x["ts"]) < start], chosen)

    def test_layout(self):
        """The segments are as documented, and their records are those of the streams."""
        _, raw = self.segment(self.archive("a", data("gen-impaired")))
        found = records(raw)
        kinds = [kind for _, kind, _ in found]
        self.assertEqual(kinds.count(FOOTER), 1)
        self.assertEqual(sum(struct.unpack_from("<I", raw, at + 12)[0] for at, kind, _ in found if kind == FLOWS),
                         len(flows(data("gen-impaired"))))
        held = [struct.unpack_from("<B", raw, at + 3)[0] & 8 for at, kind, _ in found if kind == DATA]
        stream = sum(length - (68 if h else 60) for (_, kind, length), h in zip([x for x in found if x[1] == DATA], held))
        self.assertEqual(stream, e2e.counters("streams", data("gen-impaired"), "-q", "-o", self.path("d"))[1]["out_stream_bytes"])
        self.assertIn(GAP, kinds)

    def prefixes(self, part, whole, exact=False):
        """Each stream that was read is the begin of the whole one."""
        for name, body in part.items():
            self.assertTrue(name in whole and whole[name].startswith(body), name)

    def test_cuts(self):
        """Cut anywhere: the streams up to there; repair makes it whole records; the index is made anew."""
        a = self.archive("a", data("gen-impaired"))
        path, raw = self.segment(a)
        run("streams", a, "-q", "-o", self.path("whole"), "--gaps", "skip")
        found = records(raw)
        whole, ends = content(self.path("whole")), [at for at, _, _ in found] + [found[-1][0] + found[-1][2], len(raw)]
        os.unlink(path)
        places = ends[::len(ends) // 4] + [ends[k] + 7 for k in range(3, len(ends) - 1, len(ends) // 4)] + [HEADER, HEADER + 1, 3, len(raw) - 1]
        had = -1
        for at in sorted(set(places)):
            with self.subTest(at=at):
                with open(path + ".part", "wb") as f:
                    f.write(raw[:at])
                out = self.path("cut")
                torn = DONE if at in ends + [HEADER] or at > ends[-2] else LOST
                result = run("streams", a, "-q", "-o", out, "--gaps", "skip", code=torn)
                if at < HEADER:
                    continue
                self.one_line(result, "unfinished")
                self.assertEqual("record's end" in result.err, torn == LOST)
                part = content(out)
                self.prefixes(part, whole)
                size = sum(map(len, part.values()))
                self.assertGreaterEqual(size, had)
                had = size
                before = run("flows", a, "--json", "-q", code=torn).out
                self.assertEqual(run("repair", path + ".part", "-q", code=None).code, 0)
                with open(path, "rb") as f:
                    kept = len(f.read())
                self.assertEqual(kept, max([x for x in ends + [HEADER] if x <= at] or [0]))
                self.assertEqual(run("flows", a, "--json", "-q", code=LOST).out, before)  # the original is there too
                os.unlink(path + ".part")
                no_index = DONE if kept == len(raw) else LOST
                self.assertEqual(run("flows", a, "--json", "-q", code=no_index).out, before)
                shutil.rmtree(out)
                run("streams", a, "-q", "-o", out, "--gaps", "skip", code=no_index)
                self.assertEqual(content(out), part)
                shutil.rmtree(out)
                os.unlink(path)

    def test_damage(self):
        """Bytes of one record are wrong: said in a line, exit code 1, and all else is there."""
        a = self.archive("a", data("sample"))
        path, raw = self.segment(a)
        run("streams", a, "-q", "-o", self.path("whole"))
        whole = e2e.tree(self.path("whole"))
        found = records(raw)
        victims = [[x for x in found if x[1] == kind][0] for kind in (DATA, FLOWS, FOOTER)] + [found[len(found) // 2]]
        for at, kind, length in victims:
            for k in 2, 40, length - 1:
                with self.subTest(kind=kind, byte=k):
                    with open(path, "wb") as f:
                        f.write(raw[:at + k] + bytes([raw[at + k] ^ 0x41]) + raw[at + k + 1:])
                    out = self.path("damaged")
                    result = run("streams", a, "-q", "-o", out, code=LOST)
                    self.one_line(result, "wirespool:")
                    tree = e2e.tree(out)
                    lost = [x for x in whole if tree.get(x) != whole[x]]
                    self.assertLessEqual(len(lost), 1 if kind == DATA else 2 if kind == OPEN else len(whole) if kind == FLOWS else 0, lost)
                    shutil.rmtree(out)
        with open(path, "wb") as f:
            f.write(raw[:HEADER] + os.urandom(len(raw) - HEADER))
        run("streams", a, "-q", "-o", self.path("noise"), code=LOST)
        with open(path, "wb") as f:
            f.write(b"nothing")
        self.one_line(run("flows", a, code=LOST), "no segment")

    def test_false_heads(self):
        """Noise that looks like the heads of long records, each at the next one's bytes: the true records behind it are found."""
        a = self.archive("a", data("sample"))
        path, raw = self.segment(a)
        whole = flows(a)
        head = struct.pack("<HBBIII", 0xd35a, DATA, 0, 60000, 0x12345678, 7)
        first = records(raw)[0][0]
        # the records move, so that their checksums, which take in their places, are made anew
        moved = bytearray(raw[:first] + head * 20000)
        for at, _, length in records(raw):
            record = bytearray(raw[at:at + length])
            struct.pack_into("<I", record, 8, 0)
            struct.pack_into("<Q", record, 24, 0)
            struct.pack_into("<I", record, 8, crc32c(struct.pack("<Q", len(moved)) + record))
            moved += record + bytes(-length & 3)
        os.unlink(path)
        with open(path + ".part", "wb") as f:
            f.write(moved)
        result = run("flows", a, "-q", "--json", code=LOST)
        self.one_line(result, "320000 bytes are damaged")
        self.assertEqual(len(result.out.splitlines()), len(whole))

    def test_long_records(self):
        """Datagrams of the greatest length: all records, and those of one flow alone."""
        with open(self.path("long.pcap"), "wb") as f:
            f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 101))
            for i in range(20):
                ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 65535, i, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
                f.write(struct.pack("<IIII", 1000 + i, 0, 65535, 65535) + ip + struct.pack(">HHHH", 1000 + i, 53, 65515, 0) + bytes([i]) * 65507)
        a = self.archive("a", self.path("long.pcap"), "--udp")
        self.same(a, self.path("long.pcap"), "--udp")
        self.same(a, self.path("long.pcap"), "--udp", "--port", "1003")

    def test_listed_twice(self):
        """A footer that lists a record of flows again and again is none, and the flows are met once."""
        a = self.archive("a", data("sample"))
        before = flows(a)
        path, raw = self.segment(a)
        at = records(raw)[-1][0]
        first = struct.unpack_from("<Q", raw, at + 72)[0]
        foot = bytearray(raw[at:at + 72]) + struct.pack("<Q", first) * 5000
        struct.pack_into("<I", foot, 4, len(foot))
        struct.pack_into("<I", foot, 8, 0)
        struct.pack_into("<I", foot, 36, 5000)
        struct.pack_into("<I", foot, 8, crc32c(struct.pack("<Q", at) + foot))
        with open(path, "wb") as f:
            f.write(raw[:at] + foot + struct.pack("<Q", at) + b"WSAEND\r\n")
        self.one_line(run("flows", a, "-q", code=LOST), "no valid index")
        self.assertEqual([json.loads(x) for x in run("flows", a, "-q", "--json", code=LOST).out.splitlines()], before)

    def test_twice(self):
        """A record that tells bytes again is left out, and that is said."""
        a = self.archive("a", data("sample"))
        path, raw = self.segment(a)
        found = records(raw)
        run("streams", a, "-q", "-o", self.path("whole"))
        at, _, length = [x for x in found if x[1] == DATA and not raw[x[0] + 3] & 8][0]
        again = bytearray(raw[at:at + length])
        place = found[-1][0]
        struct.pack_into("<I", again, 8, 0)
        struct.pack_into("<I", again, 8, crc32c(struct.pack("<Q", place) + again))
        with open(path + ".part", "wb") as f:  # no index: flows end after all records
            f.write(raw[:[x for x in found if x[1] == FLOWS][0][0]].ljust(place, b"\0") + again)
        os.unlink(path)
        self.one_line(run("streams", a, "-q", "-o", self.path("read"), code=LOST), "again")
        self.assertEqual(e2e.tree(self.path("read")), e2e.tree(self.path("whole")))

    def test_missing_segment(self):
        a = self.archive("a", data("gen-impaired"), "--rotate-size", "16K")
        os.unlink(os.path.join(a, sorted(os.listdir(a))[-1]))
        self.one_line(run("flows", a, "-q", code=LOST), "run ended")
        os.unlink(os.path.join(a, "w00-000002.wsa"))
        self.one_line(run("streams", a, "-q", "-o", self.path("r"), code=LOST), "missing")

    def test_kill(self):
        """kill -9 while the archive grows: what is there is read, each stream up to some point."""
        path = self.path("in.pcap")
        e2e.generate(path, "--profile", "small-flows", "--bytes", "5M", "--seed", "5")
        run("streams", path, "-q", "-o", self.path("whole"))
        whole = content(self.path("whole"))
        for share in 0.4, 0.9:
            a = self.path("a%d" % (share * 10))
            p = subprocess.Popen([e2e.WIRESPOOL, "streams", "-", "-q", "--format", "archive", "-o", a, "--flush", "10ms"],
                                 stdin=subprocess.PIPE)
            with open(path, "rb") as f:
                p.stdin.write(f.read(int(os.path.getsize(path) * share)))
            p.stdin.flush()
            until = time.monotonic() + 60
            while time.monotonic() < until and not (os.path.isdir(a) and sum(os.path.getsize(os.path.join(a, x)) for x in os.listdir(a)) > 400000):
                time.sleep(0.01)
            p.kill()
            p.wait()
            p.stdin.close()
            self.assertTrue(all(x.endswith(".part") for x in os.listdir(a)))
            out = self.path("out")
            result = run("streams", a, "-q", "-o", out, code=None)
            self.one_line(result, "unfinished")
            self.assertEqual(result.code, LOST if "record's end" in result.err else DONE, result)
            part = content(out)
            self.assertGreater(sum(map(len, part.values())), 200000)
            self.prefixes(part, whole)
            shutil.rmtree(out)

    def test_full_disk(self):
        """ENOSPC in the middle, with and without an end: said, counted, and the rest is read."""
        whole = self.streams("whole", data("gen-impaired"))
        for fault in "error=ENOSPC,bytes=60000,retry=1ms,recover=3", "error=EIO,bytes=60000":
            with self.subTest(fault):
                a = self.path("full")
                result = run("streams", data("gen-impaired"), "-q", "--format", "archive", "-o", a, "--block-size", "64K", "--flush", "1ms",
                             code=None, WS_FAULT=fault)
                self.assertIn(result.code, (LOST, ENVIRONMENT))
                read = run("streams", a, "-q", "-o", self.path("read"), code=LOST)
                self.assertTrue(read.err)
                self.assertLessEqual(set(e2e.tree(self.path("read"))), set(whole))
                for name in "full", "read":
                    shutil.rmtree(self.path(name))

    def test_existing(self):
        a = self.archive("a", data("sample"), "--workers", "4")
        self.one_line(run("streams", data("sample"), "--format", "archive", "-o", a, code=ENVIRONMENT), "--overwrite")
        self.archive("a", data("sample-any"), "--overwrite")
        self.assertEqual(os.listdir(a), ["w00-000000.wsa"])
        self.same(a, data("sample-any"))

    def test_refused(self):
        a = self.archive("a", data("sample"))
        capture = data("sample")
        for words in (["extract", a, "-o", self.path("x.pcap")], ["streams", a, capture], ["flows", a, a], ["streams", a, "--udp"],
                      ["streams", a, "--format", "pcap"], ["streams", a, "--format", "archive"], ["flows", a, "--", "tcp"],
                      ["streams", a, "--order", "arrival"], ["flows", a, "--packet-max", "3"], ["streams", a, "--console", "ascii"],
                      ["streams", capture, "--format", "archive", "--template", "%A"], ["streams", capture, "--format", "archive", "--json"],
                      ["streams", capture, "--format", "archive", "--holes-max", "5"], ["streams", capture, "--format", "archive", "--local-time"],
                      ["streams", capture, "--format", "archive", "--split-gap", "5"], ["streams", capture, "--rotate-size", "1M"],
                      ["streams", a, "--tcp-udp-ports"], ["streams", a, "--held-max", "1M"]):
            with self.subTest(words=words):
                out = [] if words[0] != "streams" else ["-o", self.path("x")]
                result = run(*words[:2], *out, *words[2:], code=USAGE)
                self.one_line(result, "wirespool")
        self.one_line(run("streams", capture, "--format", "archive", "-o", "-", code=USAGE), "directory")
        self.assertFalse(os.path.exists(self.path("x")))

    def test_empty(self):
        with open(data("sample"), "rb") as f, open(self.path("no.pcap"), "wb") as g:
            g.write(f.read(24))
        a = self.archive("a", self.path("no.pcap"))
        self.assertEqual(flows(a), [])
        self.assertEqual(self.streams("out", a), {})

    def test_live(self):
        """From devices, with several workers and many segments: as stream files of the same run would be."""
        e2e.need_dpdk()
        capture = data("gen-impaired")
        run("replay", capture, "--streams", self.path("direct"), "-q")
        run("replay", capture, "--streams", self.path("a"), "--format", "archive", "--rotate-size", "20K", "-q")
        run("streams", self.path("a"), "-o", self.path("read"), "-q")
        self.assertEqual(e2e.tree(self.path("read")), e2e.tree(self.path("direct")))
        self.assertEqual(times(self.path("read")), times(self.path("direct")))
        self.assertTrue(json.dumps(flows(self.path("a"))))


if __name__ == "__main__":
    e2e.main()
