#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tcpflow's command line: every option means what tcpflow means by it. Compared with the original in tests/compat."""
import glob
import gzip
import hashlib
import os
import pwd
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

import e2e
from e2e import DONE, ENVIRONMENT, USAGE, WIRESPOOL, data, run, tree

sys.path.insert(0, os.path.join(e2e.ROOT, "tests", "cases"))
import build  # noqa: E402  pylint: disable=wrong-import-position

NAME = re.compile(r"(\d{3}\.){4}\d{5}-(\d{3}\.){4}\d{5}|[0-9a-f:]+\.\d{5}-[0-9a-f:]+\.\d{5}")


def tcpflow(*words, code=DONE, **how):
    return run("tcpflow", *words, code=code, **how)


class Tcpflow(e2e.Case):
    def flows(self, name, *words, **how):
        """Runs it into a directory: its stream files."""
        tcpflow(*words, "-o", self.path(name), **how)
        return {n: h for n, h in tree(self.path(name)).items() if n != "report.xml"}

    def plain(self):
        """What every run of the sample holds, by the native command."""
        return self.streams("plain", data("sample"), "--overlap", "last", "--overwrite")

    def test_help(self):
        for words in (("-h",), ("--help",), ("-hh",), ("-H",), ("-V",), ("--version",), ("--vers",)):
            self.assertTrue(tcpflow(*words).out, words)
        self.assertIn("tcp_timeout", tcpflow("-hh").out)
        self.assertIn("wifiviz", tcpflow("-H").out)

    def test_called_by_name(self):
        for name in ("tcpflow", "wirespool-tcpflow"):
            os.symlink(WIRESPOOL, self.path(name))
            done = e2e.execute([self.path(name), "-V"])
            self.assertEqual((done.code, done.out.split()[0]), (DONE, "tcpflow"))

    def test_plain(self):
        self.assertEqual(self.flows("out", "-r", data("sample")), self.plain())
        self.assertEqual(tcpflow("-r", data("sample"), "-o", self.path("q")).err, "")
        with open(data("sample"), "rb") as f:
            raw = f.read()
        self.assertEqual(self.flows("stdin", "-r", "-", stdin=raw), self.plain())
        os.mkdir(self.path("here"))
        tcpflow("-r", data("sample"), cwd=self.path("here"))
        self.assertLessEqual(set(self.plain()), set(os.listdir(self.path("here"))))

    def test_words_are_a_filter(self):
        want = {n: h for n, h in self.plain().items() if ".00443" in n}
        self.assertTrue(want)
        self.assertEqual(self.flows("one", "-r", data("sample"), "port 443"), want)
        self.assertEqual(self.flows("many", "port", "-r", data("sample"), "443"), want)
        self.assertEqual(self.flows("dash", "-r", data("sample"), "port", "443"), want)
        tcpflow("-r", data("sample"), "-o", self.path("dashes"), "--", "port", "443")
        self.assertEqual({n: h for n, h in tree(self.path("dashes")).items() if n != "report.xml"}, want)
        tcpflow("-r", data("sample"), "-o", self.path("x"), "no", "such", "word", code=USAGE)

    def test_files(self):
        """-r repeated, -l with names and patterns, more than a table holds."""
        for i in range(3):
            shutil.copy(data("sample"), self.path("in%d.pcap" % i))
        files = sorted(glob.glob(self.path("in*.pcap")))
        want = self.flows("r", *[w for f in files for w in ("-r", f)])
        self.assertEqual(self.flows("l", "-l", *files), want)
        self.assertEqual(self.flows("glob", "-l", self.path("in[0-9].pcap")), want)
        self.assertEqual(self.flows("both", "-r", files[0], "-l", *files[1:]), want)
        tcpflow("-l", "-o", self.path("x"), code=USAGE)
        tcpflow("-l", self.path("none*.pcap"), "-o", self.path("x"), code=ENVIRONMENT)
        empty = self.path("empty.pcap")
        with open(data("sample"), "rb") as f, open(empty, "wb") as out:
            out.write(f.read(24))
        self.assertEqual(self.flows("many", "-l", *[empty] * 600, data("sample")), self.plain())

    def test_completes(self):
        """-R files complete flows, wherever they stand on the line."""
        with open(data("sample"), "rb") as f:
            raw = f.read()
        with open(self.path("none.pcap"), "wb") as f:
            f.write(raw[:24])
        self.assertEqual(self.flows("R", "-R", data("sample"), "-r", self.path("none.pcap")), {})
        self.assertEqual(self.flows("Rr", "-R", self.path("none.pcap"), "-r", data("sample")), self.plain())

    def test_packed(self):
        with open(data("sample"), "rb") as f, gzip.open(self.path("s.gz"), "wb") as out:
            out.write(f.read())
        self.assertEqual(self.flows("gz", "-r", self.path("s.gz")), self.plain())

    def test_letters(self):
        plain = self.plain()
        for letters, form in (("k", r"\d{3}/{n}"), ("m", r"\d{3}000-\d{3}999/\d{6}/{n}"),
                              ("g", r"\d{3}0{6}-\d{3}9{6}/\d{6}000-\d{6}999/\d{9}/{n}"), ("t", r"\d{10}T{n}"),
                              ("T", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ{n}"), ("kt", r"\d{10}T\d{3}/{n}"),
                              ("tk", r"\d{3}/\d{10}T{n}"), ("c", r"{n}c\d+"), ("kc", r"\d{3}/{n}c\d+")):
            found = self.flows("F" + letters, "-F" + letters, "-r", data("sample"))
            form = re.compile(form.replace("{n}", "(%s)(--\\d+)?" % NAME.pattern) + (r"(c\d+)?" if "c" not in letters else ""))
            for name in found:
                self.assertTrue(form.fullmatch(name), (letters, name))
            self.assertEqual(sorted(found.values()), sorted(plain.values()), letters)
        self.assertEqual(set(self.flows("Tk", "-T", "%A.%a-%B.%b", "-Fk", "-r", data("sample"))),
                         {"000/" + n for n in self.flows("T", "-T", "%A.%a-%B.%b", "-r", data("sample"))})
        self.assertTrue(all(n.startswith("x/") for n in self.flows("kT", "-Fk", "-T", "x/%A.%a-%B.%b", "-r", data("sample"))))

    def test_second_run_counts(self):
        """Names that are taken by files of an earlier run are counted on."""
        first = self.flows("out", "-r", data("sample"))
        both = self.flows("out", "-r", data("sample"))
        self.assertEqual({n: both[n] for n in first}, first)
        new = {n: h for n, h in both.items() if n not in first}
        self.assertEqual(sorted(new.values()), sorted(first.values()))
        self.assertTrue(all(re.search(r"c\d+$", n) for n in new))

    def test_cut_strip_findx(self):
        want = {}
        tcpflow("-r", data("sample"), "-o", self.path("plain"))
        for name in os.listdir(self.path("plain")):
            with open(self.path("plain/" + name), "rb") as f:
                want[name] = f.read()
        for words, form in ((("-b", "100"), lambda b: b[:100]), (("-b", "0"), lambda b: b""),
                            (("-s",), lambda b: bytes(c if 32 <= c < 127 or c in b"\r\n" else ord(".") for c in b))):
            tcpflow("-r", data("sample"), *words, "-o", self.path("x"))
            for name, body in want.items():
                if name != "report.xml":
                    with open(self.path("x/" + name), "rb") as f:
                        self.assertEqual(f.read(), form(body), (words, name))
            shutil.rmtree(self.path("x"))
        tcpflow("-r", data("sample"), "-I", "-o", self.path("x"))
        for name in want:
            if name != "report.xml":
                with open(self.path("x/" + name + ".findx"), encoding="ascii") as f:
                    rows = [line.rstrip("\n").split("|") for line in f]
                self.assertEqual(sum(int(n) for _, _, n in rows), len(want[name]), name)

    def test_far_segments(self):
        """-m: a jump of more begins a new file; without, holes are written."""
        self.assertEqual(self.flows("m", "-m", "16777216", "-r", data("gen-impaired")), self.flows("d", "-r", data("gen-impaired")))
        self.assertGreater(len(self.flows("m0", "-m", "0", "-r", data("gen-impaired"))), len(self.flows("e", "-r", data("gen-impaired"))))

    def test_rest(self):
        tcpflow("-r", data("sample"), "-o", self.path("o"), "-w", self.path("rest.pcap"))
        native = self.path("native.pcap")
        run("streams", "-q", data("sample"), "-o", self.path("n"), "--rest", native, "--us-as-input")
        with open(self.path("rest.pcap"), "rb") as a, open(native, "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_packets(self):
        """-K: the packets of a direction, and nothing else."""
        found = self.flows("K", "-K", "-r", data("sample"))
        self.assertTrue(found)
        self.assertTrue(all(n.endswith(".pcap") for n in found))
        total = sum(f["orig_pkts"] + f["resp_pkts"] for f in e2e.flows(data("sample")) if f["proto"] == "tcp")
        packets = 0
        for name in found:
            packets += sum(f["orig_pkts"] + f["resp_pkts"] for f in e2e.flows(self.path("K/" + name)))
        self.assertEqual(packets, total)

    def test_report(self):
        """report.xml among the files, -X elsewhere, -FX alone, none on request; a scanner alone writes no flows."""
        def names(path):
            return sorted(x.text for x in ElementTree.parse(path).iter() if x.tag.endswith("filename"))
        tcpflow("-r", data("sample"), "-o", self.path("o"))
        flows = sorted(x for x in os.listdir(self.path("o")) if x != "report.xml")
        self.assertEqual(names(self.path("o/report.xml")), [self.path("o/" + n) for n in flows])
        tcpflow("-r", data("sample"), "-o", self.path("x"), "-X", self.path("my.xml"))
        self.assertEqual(names(self.path("my.xml")), [self.path("x/" + n) for n in flows])
        self.assertFalse(os.path.exists(self.path("x/report.xml")))
        tcpflow("-r", data("sample"), "-o", self.path("n"), "-S", "enable_report=NO")
        self.assertEqual(sorted(os.listdir(self.path("n"))), flows)
        for i, words in enumerate((("-FX",), ("-E", "http"), ("-x", "tcpdemux"), ("-E", "scan_md5"))):
            tcpflow("-r", data("sample"), "-o", self.path("deep/er/%d" % i), *words)
            self.assertEqual(os.listdir(self.path("deep/er/%d" % i)), ["report.xml"], words)
            self.assertEqual(names(self.path("deep/er/%d/report.xml" % i)), [])
        tcpflow("-r", data("sample"), "-o", self.path("pdf"), "-E", "netviz")
        self.assertEqual(sorted(os.listdir(self.path("pdf"))), ["report.pdf", "report.xml"])

    def test_scanners(self):
        sums = {}
        for words in (("-FM",), ("-e", "md5"), ("-a",), ("-e", "scan_md5"), ("-e", "all", "-x", "http", "-x", "netviz")):
            out = self.path("o")
            tcpflow("-r", data("sample"), "-o", out, *words)
            found = {}
            for o in ElementTree.parse(out + "/report.xml").iter():
                name, digest = o.find("{*}filename"), o.find("{*}hashdigest")
                if name is not None and digest is not None:
                    with open(name.text, "rb") as f:
                        self.assertEqual(digest.text, hashlib.md5(f.read()).hexdigest())
                    found[name.text] = digest.text
            self.assertTrue(found)
            self.assertEqual(sums.setdefault(words != ("-a",), found), found)
            bodies = [x for x in os.listdir(out) if "-HTTPBODY" in x]
            self.assertEqual(bool(bodies), words == ("-a",))
            shutil.rmtree(out)

    def test_console(self):
        """Payloads as they come, headers or none; report only on request; two programs share a lock."""
        texts = {}
        for words in ("-c", "-C", "-c -B", "-c -D", "-c -J", "-c -L ws-test-%d" % os.getpid(), "-C -0 -B"):
            here = self.path("d%d" % len(texts))
            os.mkdir(here)
            done = tcpflow("-r", data("sample"), *words.split(), cwd=here)
            self.assertEqual((os.listdir(here), done.err), ([], ""), words)
            texts[words.split(" -L")[0] + " -L" * ("-L" in words)] = done.raw
        self.assertEqual(texts["-c"], texts["-c -L"])
        self.assertEqual(len(texts["-C -0 -B"]), sum(
            f["orig_payload_bytes"] + f["resp_payload_bytes"] for f in e2e.flows(data("sample")) if f["proto"] == "tcp"))
        self.assertTrue(all(line.startswith(b'{"src_host":"') for line in texts["-c -J"].splitlines()))
        self.assertGreater(len(texts["-c"]), len(texts["-C"]))
        tcpflow("-r", data("sample"), "-c", "-X", self.path("x.xml"))
        self.assertTrue(os.path.exists(self.path("x.xml")))

    def test_copies(self):
        """A lone byte sent again is printed again; a copy behind the last FIN begins no file, though it is farther back than -m."""
        def segment(number, seq, flags, body=b""):
            return build.Packet(build.eth(build.ip(build.tcp("10.0.0.1", "10.0.0.2", 4000, 80, seq=seq, ack=1, flags=flags, data=body),
                                                   "10.0.0.1", "10.0.0.2")), at=build.T0 + number * build.STEP)
        push = build.ACK | build.PSH
        talk = [(0, build.SYN), (1, push, b"a"), (1, push, b"a"), (2, push, b"b" * 40), (42, build.ACK | build.FIN), (2, push, b"b" * 40)]
        with open(self.path("copies.pcap"), "wb") as f:
            f.write(build.pcap([segment(i, *x) for i, x in enumerate(talk)]))
        self.assertEqual(tcpflow("-r", self.path("copies.pcap"), "-C").raw, b"a\na\n" + (b"b" * 40 + b"\n") * 2)
        tcpflow("-r", self.path("copies.pcap"), "-m", "20", "-o", self.path("copies"))
        self.assertEqual(sorted(os.listdir(self.path("copies"))), ["010.000.000.001.04000-010.000.000.002.00080", "report.xml"])
        with open(self.path("copies/010.000.000.001.04000-010.000.000.002.00080"), "rb") as f:
            self.assertEqual(f.read(), b"a" + b"b" * 40)

    def test_many_files(self):
        """More than 10,000 files in a directory are worth a word, unless -q."""
        out = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.addCleanup(shutil.rmtree, out, ignore_errors=True)
        with open(self.path("many.pcap"), "wb") as f:
            f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
            for i in range(10001):
                ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 41, 1, 0, 64, 6, 0, bytes((10, 0, i >> 8, i & 255)), bytes((10, 9, 0, 1)))
                tcp = struct.pack(">HHIIBBHHH", 1, 2, 1000, 0, 0x50, 0x18, 100, 0, 0)
                f.write(struct.pack("<IIII", 1, 0, 41, 41) + ip + tcp + b"x")
        for words, said in (((), True), (("-q",), False)):
            err = tcpflow("-r", self.path("many.pcap"), "-o", out + "/o" + "".join(words), "-S", "enable_report=NO", *words).err
            self.assertEqual("-Fk" in err, said, words)

    def test_alert_fd(self):
        read, write = os.pipe()
        with os.fdopen(read, encoding="utf-8") as f:
            subprocess.run([WIRESPOOL, "tcpflow", "-r", data("sample"), "-o", self.path("o"), "-S", "tcp_alert_fd=%d" % write],
                           pass_fds=[write], check=True)
            os.close(write)
            lines = [x.rstrip("\n").split("\t") for x in f]
        names = sorted(self.path("o/" + x) for x in os.listdir(self.path("o")) if x != "report.xml")
        for kind in ("open", "close"):
            self.assertEqual(sorted(x[1] for x in lines if x[0] == kind), names)

    def test_commands(self):
        log = self.path("log")
        tcpflow("-r", data("sample"), "-o", self.path("o"), "-e", "http", "-S", "tcp_cmd=echo tcp >>%s" % log, "-S",
                "http_cmd=echo http >>%s" % log)
        with open(log, encoding="utf-8") as f:
            lines = [x.split() for x in f]
        files = [self.path("o/" + x) for x in os.listdir(self.path("o")) if x != "report.xml"]
        self.assertEqual(sorted(x[1] for x in lines if x[0] == "http"), sorted(x for x in files if "-HTTPBODY" in x))
        self.assertEqual(sorted(x[1] for x in lines if x[0] == "tcp"), sorted(x for x in files if "-HTTPBODY" not in x))

    def test_user(self):
        e2e.need_root()
        os.chmod(self.directory, 0o755)
        tcpflow("-r", data("sample"), "-o", self.path("o"), "-U", "nobody")
        owner = pwd.getpwnam("nobody").pw_uid
        for name in [""] + os.listdir(self.path("o")):
            self.assertEqual(os.stat(self.path("o/" + name)).st_uid, owner, name)
        self.assertEqual({n: h for n, h in tree(self.path("o")).items() if n != "report.xml"}, self.plain())
        os.mkdir(self.path("jail"))
        tcpflow("-r", data("sample"), "-o", self.path("j"), "-U", "nobody", "-z", self.path("jail"),
                ASAN_OPTIONS="detect_leaks=0")  # which needs /proc
        self.assertEqual({n: h for n, h in tree(self.path("j")).items() if n != "report.xml"}, self.plain())

    def test_settings(self):
        """-S tdelta moves times, tcp_timeout ends flows."""
        moved = self.flows("tdelta", "-S", "tdelta=3600", "-Ft", "-r", data("sample"))
        plain = self.flows("t", "-Ft", "-r", data("sample"))
        shift = {str(int(n[:10]) + 3600) + n[10:]: h for n, h in plain.items()}
        self.assertEqual(moved, shift)
        for good in ("packet-buffer-timeout=5", "tcp_timeout=60", "tcp_timeout=0", "check_fcs=NO"):
            self.flows("good", "-S", good, "-r", data("sample"), "-q")
            shutil.rmtree(self.path("good"))

    def test_refused(self):
        """Mistakes, and what tutorials say wrongly: one line that names what is right."""
        out = ("-r", data("sample"), "-o", self.path("never"))
        for words, said in ((("-md5",), "-FM"), (("-m", "x"), "not a number"), (("-C", "1024"), "-b"), (("-F", "%A.%a-%B.%b"), "-T"),
                            (("-T", "-o", self.path("never")), "-T"), (("-s", "1500"), "-s"), (("-R", "-q"), "-R"),
                            (("-Fz",), "'z'"), (("-e", "nosuch"), "nosuch"), (("-S", "nosuch=1"), "nosuch"), (("-S", "x"), "NAME=VALUE"),
                            (("-A", "H"), "-a"), (("-J",), "-c"), (("-S", "tdelta=x"), "tdelta"), (("-T", "%Q"), "-T: "), (("-T", "/"), "-T: "),
                            (("-z", "/"), "-U"),
                            (("-Q",), "-Q"), (("-i", "lo"), "-i"), (("-b", "x"), "-b"), (("-f", "0"), "-f"), (("-w", "-q"), "-w"),
                            (("-e", "python"), "py_path")):
            result = tcpflow(*words, *out, code=USAGE)
            self.assertIn(said, result.err, words)
            self.assertLessEqual(len(result.err.splitlines()), 3, result)
        self.assertFalse(os.path.exists(self.path("never")))
        tcpflow("-r", code=USAGE)
        tcpflow("-r", self.path("missing"), "-o", self.path("never"), code=ENVIRONMENT)

    def test_in_any_company(self):
        """Options that the original takes together, though one has nothing to do then."""
        packets = self.flows("k", "-K", "-r", data("sample"))
        self.assertEqual(self.flows("ks", "-K", "-s", "-I", "-b", "10", "-r", data("sample")), packets)
        plain = tcpflow("-c", "-r", data("sample"), cwd=self.directory).out
        alone = tcpflow("-c", "-a", "-FM", "-r", data("sample"), cwd=self.directory)
        self.assertEqual((alone.out, len(alone.err.splitlines())), (plain, 1))
        self.assertTrue(os.path.exists(self.path("report.pdf")))
        bare = tcpflow("-C", "-r", data("sample")).out
        self.assertNotEqual(bare, plain)
        self.assertEqual(tcpflow("-C", "-c", "-r", data("sample")).out, bare)
        self.assertEqual(self.flows("t", "-T", "//%A.%a-%B.%b%V%v%C%c", "-r", data("sample")), self.plain())
        tcpflow("-r", data("sample"), "-o", "-", cwd=self.directory)
        self.assertEqual({n: h for n, h in tree(self.path("-")).items() if n != "report.xml"}, self.plain())
        for words in (("-w", "x", "-X", "x"), ("-w", "-", "-X", "-"), ("-w", "o/report.xml"), ("-e", "netviz", "-X", "o/report.pdf")):
            one = tcpflow("-r", data("sample"), "-o", "o", *words, cwd=self.directory, code=USAGE)
            self.assertIn("two outputs cannot share", one.err)

    def test_manual_and_completion(self):
        for name in ("tcpflow", "wirespool-tcpflow"):
            man = run("--man", name).out
            self.assertIn(".TH WIRESPOOL", man)
            for letter in "aBbcCDdeEFfgHhIiJKLlmoPpqrRsSTUVvwxXzZ0":
                self.assertIn("\\fB\\-%s\\fR" % letter, man)
        run("--man", "nosuch", code=USAGE)
        if shutil.which("man"):
            with open(self.path("x.1"), "w", encoding="utf-8") as f:
                f.write(man)
            done = e2e.execute(["man", "--warnings=all", "-l", self.path("x.1")], MANWIDTH="100", LC_ALL="C.UTF-8")
            self.assertEqual((done.code, done.err), (0, ""))
        script = run("--completion", "bash").out
        run("--completion", "fish", code=USAGE)
        ask = script + "\nCOMP_WORDS=(%s); COMP_CWORD=%d; _wirespool; echo ${COMPREPLY[@]}"
        for words, want in (("wirespool tcp", "tcpflow"), ("wirespool tcpflow --rel", "--relinquish-privileges"),
                            ("tcpflow --chr", "--chroot"), ("/usr/bin/wirespool-tcpflow --verb", "--verbose"),
                            ("wirespool streams --gaps-f", "--gaps-file")):
            n = len(words.split()) - 1
            done = subprocess.run(["bash", "-c", ask % (words, n)], stdout=subprocess.PIPE, check=True)
            self.assertEqual(done.stdout.decode().split(), [want])


if __name__ == "__main__":
    e2e.main()
