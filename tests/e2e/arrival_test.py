#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Segments as they come: files in arrival order, their index, cuts; and the console, byte for byte."""
import ctypes
import os
import signal
import subprocess
import sys
import unittest

import e2e
from e2e import data, run

sys.path.insert(0, os.path.join(e2e.ROOT, "tests", "cases"))
import build  # noqa: E402  pylint: disable=wrong-import-position

A, B = "10.0.0.1", "10.0.0.2"
NAME = e2e.stream_name(A, 1000, B, 80)
BACK = e2e.stream_name(B, 80, A, 1000)
ARRIVAL = ["--order", "arrival"]


def frame(payload=b"", seq=0, flags=build.ACK, back=False, port=1000, wire=None):
    """A TCP segment of A's (or, back, B's) connection; at most wire bytes of payload captured."""
    src, dst, sport, dport = (B, A, 80, port) if back else (A, B, port, 80)
    whole = build.eth(build.ip4(build.tcp(src, dst, sport, dport, seq=seq, ack=100 if back else 500, flags=flags, data=payload), src, dst))
    return whole, len(whole) - (len(payload) - wire if wire is not None else 0)


class Files(e2e.Case):
    def capture(self, *frames):
        path = self.path("in.pcap")
        packets = [build.Packet(f[:n], at=10**18 + i * 1001, wire=len(f)) for i, (f, n) in enumerate(frames)]
        with open(path, "wb") as out:
            out.write(build.pcap(packets))
        return path

    def files(self, path, *words, **how):
        """The files that `streams` writes, with 1 and 4 workers alike: {name: bytes}."""
        trees = []
        for workers in "1", "4":
            out = self.path("out%s-%d" % (workers, len(os.listdir(self.directory))))
            e2e.counters("streams", path, "-o", out, "-q", "--workers", workers, *words, **how)
            found = {}
            for name in os.listdir(out) if os.path.isdir(out) else ():
                with open(os.path.join(out, name), "rb") as f:
                    found[name] = f.read()
            trees.append(found)
        self.assertEqual(*trees)
        return trees[0]

    def test_offsets(self):
        """Out of order, twice with other bytes, a hole, a segment cut by the snap length."""
        path = self.capture(frame(seq=99, flags=build.SYN), frame(b"def", 103), frame(b"abc", 100), frame(b"XY", 102),
                            frame(b"jklmn", 109, wire=2), frame(b"q", 116))
        want = b"abXYef\0\0\0jk\0\0\0\0\0q"
        self.assertEqual(self.files(path, *ARRIVAL), {NAME: want})
        # the first copy stays in stream order
        self.assertEqual(self.files(path), {NAME: want.replace(b"XY", b"cd")})
        index = self.files(path, *ARRIVAL, "--findx")[NAME + ".findx"]
        self.assertEqual(index, b"3|1000000000.000001|3\n0|1000000000.000002|3\n2|1000000000.000003|2\n"
                                b"9|1000000000.000004|2\n16|1000000000.000005|1\n")
        index = self.files(path, "--findx-ns")[NAME + ".findx"]
        self.assertEqual(index, b"0|1000000000.000002002|3\n3|1000000000.000001001|3\n9|1000000000.000004004|2\n"
                                b"16|1000000000.000005005|1\n")

    def test_in_front(self):
        """No SYN, and earlier bytes come later: they end in front, the SYN or not."""
        late = [frame(b"klm", 110), frame(b"hi", 107), frame(b"de", 103)]
        self.assertEqual(self.files(self.capture(*late), *ARRIVAL), {NAME: b"de\0\0hi\0klm"})
        # a SYN that was seen says where the stream begins
        path = self.capture(frame(seq=106, flags=build.SYN), *late)
        self.assertEqual(self.files(path, *ARRIVAL), {NAME: b"hi\0klm"})
        # bytes below it are not the stream's, those of the same segment above it are
        path = self.capture(frame(seq=106, flags=build.SYN), frame(b"klm", 110), frame(b"ghi", 106))
        self.assertEqual(self.files(path, *ARRIVAL), {NAME: b"hi\0klm"})

    def test_late_syn(self):
        """The SYN comes behind the first data: one stream, which begins behind the SYN; a far one begins another."""
        syn = frame(seq=99, flags=build.SYN)
        path = self.capture(frame(b"def", 103), syn, frame(b"abc", 100), frame(b"ghi", 106))
        self.assertEqual(self.files(path, *ARRIVAL), {NAME: b"abcdefghi"})
        self.assertEqual(self.files(path), {NAME: b"abcdefghi"})
        path = self.capture(frame(b"def", 10**6), syn, frame(b"abc", 100))
        for words in [], ["--split-gap", "16M"]:
            self.assertEqual(self.files(path, *ARRIVAL, *words), {NAME: b"def", NAME + "c1": b"abc"})

    def test_in_front_on_disk(self):
        """The same with a file that is far longer than what the writer gathers."""
        body = [bytes([65 + i % 26]) * 1000 for i in range(2000)]
        path = self.capture(*[frame(x, 100000 + 1000 * i) for i, x in enumerate(body)], frame(b"early", 99990))
        self.assertEqual(self.files(path, *ARRIVAL), {NAME: b"early\0\0\0\0\0" + b"".join(body)})

    def test_backwards(self):
        """A stream sent backwards is put together; a long one must not cost its size squared."""
        for n, code in (200, e2e.DONE), (1500, e2e.LOST):
            pieces = [b"%06d" % i * 100 for i in range(n)]
            path = self.capture(*[frame(pieces[i], 10**6 + 600 * i) for i in reversed(range(n))])
            out = self.path("backwards%d" % n)
            _, c = e2e.counters("streams", path, "-o", out, "-q", *ARRIVAL, "--block-size", "64K", "--blocks", "4", code=code)
            with open(os.path.join(out, NAME), "rb") as f:
                got = f.read()
            self.assertEqual(got, b"".join(pieces)[-len(got):])
            self.assertEqual(len(got) + c["front_refused"], 600 * n)

    def test_split(self):
        """A segment too far from the one before begins the next file."""
        far = 50 << 20
        path = self.capture(frame(seq=99, flags=build.SYN), frame(b"one", 100), frame(b"two", 103 + far),
                            frame(b"2", 106 + far), frame(b"three", 103), frame(seq=107 + far, flags=build.ACK))
        self.assertEqual(self.files(path, *ARRIVAL, "--split-gap", "16M", "--findx"),
                         {NAME: b"one", NAME + ".findx": b"0|1000000000.000001|3\n",
                          NAME + "c1": b"two2", NAME + "c1.findx": b"0|1000000000.000002|3\n3|1000000000.000003|1\n",
                          NAME + "c2": b"three", NAME + "c2.findx": b"0|1000000000.000004|5\n"})
        # without it they are refused, as in stream order
        self.assertEqual(self.files(path, *ARRIVAL), {NAME: b"onethree"})
        # and a hole too large begins a file as well
        path = self.capture(frame(seq=99, flags=build.SYN), frame(b"one", 100), frame(b"two", 5103))
        self.assertEqual(self.files(path, *ARRIVAL, "--holes-max", "4000"), {NAME: b"one", NAME + "c1": b"two"})
        self.assertEqual(len(self.files(path, *ARRIVAL, "--holes-max", "5000")[NAME]), 5006)

    def test_after_the_end(self):
        """Late copies after both FINs go to the same file."""
        fin = build.FIN | build.ACK
        path = self.capture(frame(seq=99, flags=build.SYN), frame(seq=499, flags=build.SYN | build.ACK, back=True),
                            frame(b"abc", 100), frame(seq=103, flags=fin), frame(seq=500, flags=fin, back=True),
                            frame(b"B", 101), frame(b"late", 103))
        self.assertEqual(self.files(path, *ARRIVAL), {NAME: b"aBc"})

    def test_cut_and_strip(self):
        path = self.capture(frame(seq=99, flags=build.SYN), frame(b"ab\tcd\xff\r\n", 100))
        for order in ARRIVAL, []:
            self.assertEqual(self.files(path, *order, "--strip"), {NAME: b"ab.cd.\r\n"})
            self.assertEqual(self.files(path, *order, "--stream-max", "3"), {NAME: b"ab\t"})
            self.assertEqual(self.files(path, *order, "--stream-max", "0"), {NAME: b""})
            self.assertEqual(self.files(path, *order, "--stream-max", "1K"), {NAME: b"ab\tcd\xff\r\n"})
        self.assertEqual(self.files(path, "--format", "chunks", "--stream-max", "2").popitem()[1][-2:], b"ab")

    def test_samples(self):
        """Where nothing is lost and no copy differs, both orders write the same files."""
        for sample in "sample", "sample-any", "sample-tso":
            self.assertEqual(self.streams(sample + "a", data(sample), *ARRIVAL, "--workers", "4"),
                             self.streams(sample + "s", data(sample)))

    def test_udp(self):
        """Datagrams follow each other in either order; no TCP on request."""
        words = [data("gen-wrapped"), "--udp", "--no-tcp"]
        self.assertEqual(self.streams("a", *words, *ARRIVAL), self.streams("s", *words))

    def test_numbers(self):
        """A second run beside the files of the first."""
        path = self.capture(frame(seq=99, flags=build.SYN), frame(b"ab", 100))
        out = self.path("again")
        run("streams", path, "-o", out, "-q")
        run("streams", path, "-o", out, "-q", code=e2e.LOST)
        for _ in range(2):
            run("streams", path, "-o", out, "-q", "--number-existing", *ARRIVAL)
        self.assertEqual(sorted(os.listdir(out)), [NAME, NAME + "c1", NAME + "c2"])
        # counters of this run and of those before are one series, also of what lies beside the files
        path = self.capture(frame(seq=99, flags=build.SYN), frame(b"ab", 100), frame(b"cd", 10 << 20))
        out = self.path("series")
        for _ in range(2):
            run("streams", path, "-o", out, "-q", "--number-existing", *ARRIVAL, "--split-gap", "1M", "--findx")
        self.assertEqual(sorted(os.listdir(out)), sorted(NAME + c + x for c in ("", "c1", "c2", "c3") for x in ("", ".findx")))

    def test_usage(self):
        for words in (["--split-gap", "1"], ["--format", "json", *ARRIVAL], ["--gaps-file", *ARRIVAL],
                      ["--joined", *ARRIVAL], ["--format", "headers", "--findx"], ["--color"], ["--lock", "x"]):
            run("streams", data("sample-any"), "-o", self.path("u"), *words, code=e2e.USAGE)
        run("streams", data("sample-any"), "-o", "-", "--console", "text", code=e2e.USAGE)
        run("streams", data("sample-any"), "--console", "text", "--template", "%y", code=e2e.USAGE)


class Console(Files):
    def show(self, path, *words, console="text", **how):
        """What is printed, with 1 and 4 workers alike."""
        out = [run("streams", path, "-q", "--console", console, "--workers", n, *words, **how).raw for n in "14"]
        self.assertEqual(*out)
        return out[0]

    def talk(self):
        return self.capture(frame(seq=99, flags=build.SYN), frame(seq=499, flags=build.SYN | build.ACK, back=True),
                            frame(b"GET\t/\r\n", 100), frame(b"\x00ok", 500, back=True), frame(b"GET\t/\r\n", 100),
                            frame(b"last", 110), frame(b"gap", 107))

    def test_styles(self):
        path, head, back = self.talk(), NAME.encode() + b": ", BACK.encode() + b": "
        get, blue, red, end = b"GET./\r\n", b"\033[0;34m", b"\033[0;31m", b"\033[0m"
        self.assertEqual(self.show(path), head + get + b"\n" + back + b".ok\n" + head + get + b"\n" + head + b"last\n" +
                         head + b"gap\n")
        self.assertEqual(self.show(path, "--order", "stream", "--no-header"), get + b"\n.ok\ngap\nlast\n")
        self.assertEqual(self.show(path, "--no-header", "--no-newline", "--binary"),
                         b"GET\t/\r\n\x00okGET\t/\r\nlastgap")
        self.assertEqual(self.show(path, "--color", "--stream-max", "3", "--console-prefix", "d/"),
                         blue + b"d/" + head + b"GET" + end + b"\n" + red + b"d/" + back + b".ok" + end + b"\n")
        self.assertEqual(self.show(path, "--template", "%-A>%-B", "--stream-max", "3"),
                         b"10.0.0.1>10.0.0.2: GET\n10.0.0.2>10.0.0.1: .ok\n")
        self.assertEqual(self.show(path, "--stream-max", "3", console="hex"),
                         head + b"\n0000: 4745 54 GET\n\n" + back + b"\n0000: 006f 6b .ok\n\n")
        self.assertEqual(self.show(path, "--stream-max", "1", console="json"),
                         b'{"src_host":"10.0.0.1","src_port":1000,"dst_host":"10.0.0.2","dst_port":80,"payload": [71]}\n'
                         b'{"src_host":"10.0.0.2","src_port":80,"dst_host":"10.0.0.1","dst_port":1000,"payload": [0]}\n')

    def test_beside_files(self):
        """Console and files in one run; to a file; an existing one is refused."""
        path, out, text = self.talk(), self.path("f"), self.path("text")
        run("streams", path, "-o", out, "--console", "text", "--console-out", text, "-q")
        with open(text, "rb") as f:
            self.assertEqual(f.read(), self.show(path))
        with open(os.path.join(out, NAME), "rb") as f:
            self.assertEqual(f.read(), b"GET\t/\r\ngaplast")
        run("streams", path, "--console", "text", "--console-out", text, "-q", code=e2e.ENVIRONMENT)

    def test_many_workers(self):
        """Every packet in its place, whatever the number of workers."""
        for name in "gen-impaired", "sample-lossy":
            for console in "text", "json":
                self.show(data(name), console=console)
            self.show(data(name), "--order", "stream", "--udp")

    def test_balances(self):
        for words in [], ["--order", "stream"]:
            e2e.counters("streams", data("gen-impaired"), "-q", "--console", "text", *words)

    def test_tcpflow(self):
        e2e.need("tcpflow")
        for old, new, console in (("-c", [], "text"), ("-C", ["--no-header"], "text"), ("-cB", ["--binary"], "text"),
                                  ("-cD", [], "hex"), ("-C0D", ["--no-header", "--no-newline"], "hex"), ("-cJ", [], "json"),
                                  ("-cg", ["--color"], "text"), ("-cb100", ["--stream-max", "100"], "text")):
            theirs = e2e.execute(["tcpflow", old, "-r", os.path.abspath(data("sample-tso"))], cwd=self.directory)
            self.assertEqual(theirs.raw, self.show(data("sample-tso"), *new, console=console), old)

    def test_closed_pipe(self):
        """A reader that goes away ends the output, with a line that says so."""
        for workers in "1", "4":
            p = subprocess.Popen([e2e.WIRESPOOL, "streams", "-q", "--console", "hex", "--workers", workers, data("sample")],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            p.stdout.read(1)
            p.stdout.close()
            err = p.stderr.read().decode()
            p.stderr.close()
            self.assertEqual(p.wait(60), e2e.ENVIRONMENT, err)
            self.assertIn("Broken pipe", err)

    def test_replay(self):
        e2e.need_dpdk()
        got = run("replay", "-q", "--console", "text", data("sample-tso")).raw
        self.assertEqual(got, self.show(data("sample-tso")))

    def test_lock(self):
        """Nothing is printed while another has the semaphore; it is free again afterwards."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.sem_open.restype = ctypes.c_void_p
        name = b"/ws-e2e-%d" % os.getpid()
        path = self.talk()
        want = self.show(path, "--lock", name.decode())
        self.addCleanup(libc.sem_unlink, name)
        sem = ctypes.c_void_p(libc.sem_open(name, 0))
        self.assertEqual(libc.sem_trywait(sem), 0, "held after the end")
        p = subprocess.Popen([e2e.WIRESPOOL, "streams", "-q", "--console", "text", "--lock", name, path],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while True:
            try:
                p.wait(0.4)
                break
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGINT)  # the second one gives up
        self.assertEqual(p.stdout.read(), b"")
        p.stdout.close()
        self.assertEqual(p.returncode, e2e.LOST)
        libc.sem_post(sem)
        self.assertEqual(self.show(path, "--lock", name.decode()), want)


# the inherited helpers are wanted, not the inherited tests
for inherited in [x for x in vars(Files) if x.startswith("test_")]:
    setattr(Console, inherited, None)


if __name__ == "__main__":
    e2e.main()
