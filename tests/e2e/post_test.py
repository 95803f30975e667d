#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is done with finished stream files: digests, bodies, the report, commands, alert descriptors, the python function."""
import hashlib
import json
import os
import signal
import stat
import subprocess
import time
import unittest
import xml.etree.ElementTree as xml

import e2e
from e2e import counters, run

SAMPLE = e2e.data("sample")
SCHEMAS = os.path.join(e2e.ROOT, "docs", "formats")
NS = "{http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML}"
if "address" not in os.environ.get("WS_SANITIZE", ""):
    os.environ["TSAN_OPTIONS"] = ":".join(filter(None, [os.environ.get("TSAN_OPTIONS"), "exitcode=99", "halt_on_error=1",
                                          "suppressions=" + os.path.join(e2e.ROOT, "tests", "tsan.supp")]))

PLUGIN = '''
import os
def tell(data):
    return "%d <&\\x01> %s" % (len(data), data.encode("latin-1")[:4].hex()) if data.startswith("HTTP/1.") else None
def die(data):
    os._exit(3)
def bad(data):
    raise ValueError("this one")
def long(data):
    return "y" * 1000000
'''


def md5(path):
    with open(path, "rb") as f:
        return hashlib.md5(f.read()).hexdigest()


def objects(report):
    """The streams of a report: (name or None, size, flow's attributes, md5, bodies, result), sorted."""
    found = []
    for o in xml.parse(report).getroot().findall("configuration/fileobject"):
        bodies = [(r.get("file_offset"), r.findtext("fileobject/filename"), r.findtext("fileobject/filesize"),
                   r.findtext("fileobject/hashdigest")) for r in o.findall("byte_runs/byte_run")]
        flow = o.find("tcpflow").attrib
        found.append((o.findtext("filename") or "", int(o.findtext("filesize")), tuple(sorted(flow.items())),
                      o.findtext("hashdigest"), tuple(bodies), o.findtext("{http://afflib.org/tcpflow/}result")))
    return sorted(found)


class Post(e2e.Case):
    def valid(self, report, layout="tcpflow"):
        e2e.need("xmllint")
        done = e2e.execute(["xmllint", "--noout", "--relaxng", os.path.join(SCHEMAS, f"dfxml-{layout}.rng"), report])
        self.assertEqual(done.code, 0, done)

    def streams_in(self, directory, *words, **how):
        out = os.path.join(directory, "out")
        return run("streams", SAMPLE, "-o", out, "-q", *words, **how), out

    def script(self, name, text):
        path = self.path(name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(path, 0o755)
        return path

    # --- digests and bodies ---

    def test_json_tells_digests_and_bodies(self):
        result, out = self.streams_in(self.directory, "--md5", "--http", "--json", "--workers", "3")
        lines = [json.loads(x) for x in result.out.splitlines()]
        seen = set()
        for line in lines:
            seen.add(line["file"])
            self.assertEqual(line["md5"], md5(os.path.join(out, line["file"])), line["file"])
            for body in line["http"]:
                seen.add(body["file"])
                path = os.path.join(out, body["file"])
                self.assertEqual(body["md5"], md5(path))
                self.assertEqual(body["bytes"], os.path.getsize(path))
                self.assertEqual(body["fate"], "complete")
        self.assertEqual(seen, set(os.listdir(out)))
        self.assertGreater(sum(len(x["http"]) for x in lines), 5)

    def test_body_is_what_the_stream_holds(self):
        _, out = self.streams_in(self.directory, "--http")
        name = next(x for x in sorted(os.listdir(out)) if x.endswith("-HTTPBODY-001.txt"))
        with open(os.path.join(out, name), "rb") as f, open(os.path.join(out, name.split("-HTTP")[0]), "rb") as g:
            self.assertEqual(f.read(), g.read().split(b"\r\n\r\n", 1)[1])

    def test_old_names_and_raw(self):
        _, out = self.streams_in(self.directory, "--http", "--http-names", "old")
        old = set(os.listdir(out))
        coded = [x for x in old if x.endswith("-GZIP")]
        self.assertTrue(coded)
        for name in coded:
            with open(os.path.join(out, name[:-5]), "rb") as f:
                self.assertEqual(f.read(2), b"\x1f\x8b")
            self.assertIn(name[:-len("BODY-GZIP")], old)
        self.streams_in(self.directory, "--http", "--overwrite")
        self.streams_in(self.directory, "--http", "--http-raw", "--overwrite")
        decoded = coded[0].replace("-HTTPBODY-GZIP", "-HTTPBODY-001.html")
        self.assertEqual(md5(os.path.join(out, decoded)), md5(os.path.join(out, coded[0][:-5])))

    def test_body_in_the_way(self):
        _, out = self.streams_in(self.directory, "--http")
        bodies = sorted(x for x in os.listdir(out) if "HTTPBODY" in x)
        for name in os.listdir(out):
            if name not in bodies[:2]:
                os.remove(os.path.join(out, name))
        outside = self.path("outside")
        os.remove(os.path.join(out, bodies[1]))
        os.symlink(outside, os.path.join(out, bodies[1]))
        result, _ = self.streams_in(self.directory, "--http", code=e2e.LOST)
        self.one_line(result, bodies[0], "File exists")
        self.assertFalse(os.path.exists(outside))
        for name in os.listdir(out):
            if name not in bodies[:2]:
                os.remove(os.path.join(out, name))
        self.streams_in(self.directory, "--http", "--overwrite", code=e2e.LOST)
        self.assertFalse(os.path.exists(outside))

    # --- the report ---

    def test_report(self):
        report = self.path("r.xml")
        _, out = self.streams_in(self.directory, "--md5", "--http", "--report", report)
        self.valid(report)
        text = xml.parse(report).getroot()
        words = text.findtext("creator/execution_environment/command_line")
        self.assertIn("streams", words)
        self.assertIn(report, words)
        self.assertEqual(text.findtext("total_packets"), "831")
        named, bodies = {}, 0
        for name, size, flow, digest, runs, _ in objects(report):
            flow = dict(flow)
            if not name:
                self.assertEqual(size, 0)
                continue
            named[os.path.relpath(name, out)] = None
            self.assertEqual((size, digest), (os.path.getsize(name), md5(name)))
            src, dst = os.path.basename(name).split("--")[0].split("c")[0].split("-")
            self.assertTrue(src.endswith("%05d" % int(flow["srcport"])) and dst.endswith("%05d" % int(flow["dstport"])))
            for offset, path, length, digest in runs:
                bodies += 1
                named[os.path.relpath(path, out)] = None
                self.assertEqual((int(length), digest), (os.path.getsize(path), md5(path)))
                with open(name, "rb") as f:
                    head = f.read(int(offset))
                self.assertTrue(head.endswith(b"\n"), path)
        self.assertEqual(set(named), set(os.listdir(out)))
        self.assertGreater(bodies, 5)

    def test_report_as_tcpflow(self):
        e2e.need("tcpflow")
        for name in ("sample", "sample-lossy", "sample-tso"):
            theirs, ours = self.path(name + "-theirs"), self.path(name + "-ours")
            e2e.execute(["tcpflow", "-r", e2e.data(name), "-o", theirs])
            run("streams", e2e.data(name), "-o", ours, "-q", "--order", "arrival", "--idle-timeout", "1000d", "--report",
                self.path(name + ".xml"))
            # the connection that has no file: theirs lists it once or twice as FIN or RST come
            a = [(os.path.basename(x[0]),) + x[1:3] for x in objects(os.path.join(theirs, "report.xml")) if x[0]]
            b = [(os.path.basename(x[0]),) + x[1:3] for x in objects(self.path(name + ".xml")) if x[0]]
            self.assertEqual(a, b, name)

    def test_report_is_the_same_for_many_workers(self):
        found = []
        for workers in (1, 4):
            report = self.path(f"r{workers}.xml")
            self.streams_in(self.directory, "--md5", "--http", "--overwrite", "--workers", workers, "--report", report)
            self.valid(report)
            found.append(objects(report))
        self.assertEqual(found[0], found[1])

    def test_report_of_connections_that_share_a_tuple(self):
        """With --per-tuple a direction's packets are those of all its connections."""
        found = []
        for words in ((), ("--per-tuple",)):
            report, sums = self.path("r.xml"), {}
            run("streams", e2e.data("gen-reuse"), "-o", self.path("out"), "-q", "--overwrite", "--report", report, *words)
            for _, _, flow, *_ in objects(report):
                flow = dict(flow)
                key = tuple(flow[x] for x in ("src_ipn", "srcport", "dst_ipn", "dstport"))
                sums[key] = sums.get(key, 0) + int(flow["packets"])
            found.append(sums)
        self.assertEqual(found[0].keys(), found[1].keys())
        fewer = {key: (found[0][key], n) for key, n in found[1].items() if n < found[0][key]}
        self.assertEqual(fewer, {})

    def test_strict_report(self):
        report = self.path("r.xml")
        _, out = self.streams_in(self.directory, "--md5", "--http", "--dfxml", "strict", "--report", report)
        self.valid(report, "strict")
        found = {o.findtext(NS + "filename"): o.findtext(NS + "hashdigest")
                 for o in xml.parse(report).getroot().findall(NS + "fileobject")}
        self.assertEqual(found, {os.path.join(out, x): md5(os.path.join(out, x)) for x in os.listdir(out)})

    def test_size_of_a_cut_file(self):
        for layout, ns in (("tcpflow", ""), ("strict", NS)):
            report = self.path("r.xml")
            _, out = self.streams_in(self.directory, "--stream-max", "10", "--dfxml", layout, "--report", report, "--overwrite")
            self.assertEqual(max(os.path.getsize(os.path.join(out, x)) for x in os.listdir(out)), 10)
            sizes = [int(x.text) for x in xml.parse(report).getroot().iter(ns + "filesize")]
            self.assertEqual(max(sizes) > 10, layout == "tcpflow", layout)

    def test_report_replaced_only_when_asked(self):
        report = self.path("r.xml")
        with open(report, "w", encoding="ascii") as f:
            f.write("mine")
        result, _ = self.streams_in(self.directory, "--report", report, code=e2e.ENVIRONMENT)
        self.one_line(result, report, "exists")
        with open(report, encoding="ascii") as f:
            self.assertEqual(f.read(), "mine")
        self.streams_in(self.directory, "--report", report, "--overwrite")
        self.valid(report)
        self.assertEqual([x for x in os.listdir(self.directory) if x.endswith(".part")], [])
        result, _ = self.streams_in(self.directory, "--overwrite", "--report", self.path("no/where.xml"), code=e2e.ENVIRONMENT)
        self.one_line(result, "where.xml", "No such file")

    def test_report_to_stdout(self):
        result, _ = self.streams_in(self.directory, "--report", "-")
        self.assertEqual(xml.fromstring(result.raw).tag, "dfxml")

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_report_on_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([e2e.WIRESPOOL, "streams", SAMPLE, "-o", self.path("o"), "-q", "--report", "-"], stdout=full,
                                  stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, e2e.LOST, done.stderr)
        self.assertIn(b"No space left", done.stderr)

    def test_odd_names_in_the_report(self):
        odd = self.path("a <&'\"> \x01\udcff")
        os.mkdir(odd)
        report = self.path("r.xml")
        run("streams", SAMPLE, "-o", os.path.join(odd, "o"), "-q", "--report", report)
        self.valid(report)
        self.assertIn("a <&'\"> \ufffd\ufffd", objects(report)[-1][0])

    def test_a_run_that_is_interrupted_has_a_whole_report(self):
        report, fifo = self.path("r.xml"), self.path("fifo")
        os.mkfifo(fifo)
        with open(SAMPLE, "rb") as f:
            capture = f.read()
        with subprocess.Popen([e2e.WIRESPOOL, "streams", fifo, "-o", self.path("o"), "-q", "--report", report],
                              stderr=subprocess.PIPE) as p:
            with open(fifo, "wb", buffering=0) as f:
                f.write(capture[:60000])
                while not os.path.isdir(self.path("o")) or not os.listdir(self.path("o")):
                    time.sleep(0.01)
                p.send_signal(signal.SIGINT)
            err = p.communicate(timeout=60)[1]
        self.assertIn(p.returncode, (e2e.DONE, e2e.LOST), err)
        self.valid(report)
        self.assertTrue([x for x in objects(report) if x[0]])

    def test_a_device_is_written_never_replaced_nor_given_away(self):
        """What --report, --chart and --stats-json name may be a FIFO, or /dev/null of a root user."""
        fifo, out = self.path("fifo"), self.path("read.xml")
        os.mkfifo(fifo)
        user = ("-U", "nobody") if os.geteuid() == 0 else ()
        os.chmod(self.directory, 0o777)
        for i, words in enumerate((("--overwrite",), ("--overwrite", *user))):
            with open(out, "wb") as f, subprocess.Popen(["cat", fifo], stdout=f):
                run("streams", SAMPLE, "-o", self.path("o%d" % i), "-q", "--report", fifo, *words)
            self.valid(out)
            self.assertTrue(stat.S_ISFIFO(os.lstat(fifo).st_mode), words)
            self.assertEqual(os.stat(fifo).st_uid, os.geteuid())
        run("streams", SAMPLE, "-o", self.path("c"), "-q", "--chart", fifo, "--overwrite", code=None)
        self.assertTrue(stat.S_ISFIFO(os.lstat(fifo).st_mode))
        if stat.S_ISCHR(os.stat("/dev/full").st_mode) and not os.access("/dev", os.W_OK):
            full = run("streams", SAMPLE, "-o", self.path("f"), "-q", "--report", "/dev/full", code=None)
            self.assertIn(full.code, (e2e.LOST, e2e.ENVIRONMENT), full)

    def test_with_flows_numbered_first(self):
        """Where FlowIDs must be known, the input is read twice, and only the second time is for the streams."""
        marks, report = self.path("marks"), self.path("r.xml")
        run("streams", SAMPLE, "-o", self.path("o"), "-q", "--flow", "22", "--md5", "--report", report,
            "--on-close", "echo >>%s x" % marks)
        self.valid(report)
        with open(marks, encoding="ascii") as f:
            self.assertEqual(len(f.readlines()), len(os.listdir(self.path("o"))))
        run("streams", SAMPLE, "-o", self.path("h"), "-q", "--format", "headers", "--md5", "--json")
        once = run("streams", SAMPLE, "-q", "--flow", "22", "--console", "text").out
        self.assertEqual(once.count("GET /large.bin"), 1)

    def test_values_that_cannot_be_meant(self):
        for words in (("--on-close", ""), ("--on-close", " "), ("--http", "--http-command", ""),
                      ("--alert-fd", "99999999999")):
            run("streams", SAMPLE, "-o", self.path("o"), "-q", *words, code=e2e.USAGE)

    def test_report_of_another_user(self):
        e2e.need_root()
        report, log = self.path("r.xml"), self.path("log")
        os.chmod(self.directory, 0o755)
        with open(log, "w", encoding="ascii"):
            os.chmod(log, 0o666)
        _, out = self.streams_in(self.directory, "-U", "nobody", "--http", "--report", report, "--on-close", f"id -un >> {log}; :")
        self.valid(report)
        self.assertEqual(len([x for x in os.listdir(out) if "HTTPBODY" in x]), sum(len(x[4]) for x in objects(report)))
        with open(log, encoding="ascii") as f:
            self.assertEqual(f.read().split(), ["nobody"] * 44)

    # --- commands ---

    def test_on_close_sees_each_file_once(self):
        log = self.path("log")
        script = self.script("note", f"#!/bin/sh\ntest $# = 1 && test -f \"$1\" && printf '%s\\n' \"$1\" >> '{log}'\n")
        odd = self.path("o'x $(touch bad) \"y\" `touch bad`;touch bad")
        os.mkdir(odd)
        run("streams", SAMPLE, "-o", os.path.join(odd, "out"), "-q", "--on-close", script, "--workers", "4", cwd=self.directory)
        with open(log, encoding="utf-8") as f:
            seen = f.read().splitlines()
        self.assertEqual(sorted(seen), sorted(os.path.join(odd, "out", x) for x in os.listdir(os.path.join(odd, "out"))))
        self.assertFalse(os.path.exists(self.path("bad")))

    def test_http_command(self):
        log = self.path("log")
        self.streams_in(self.directory, "--http", "--http-command", f"echo >> {log}", "--on-close", ": 'quoted'")
        out = [x for x in os.listdir(self.path("out")) if "HTTPBODY" in x]
        with open(log, encoding="utf-8") as f: # the path is the command's last word
            self.assertEqual(f.read().count("\n"), len(out))

    def test_ten_commands_at_once(self):
        at, log = self.path("running"), self.path("log")
        os.mkdir(at)
        script = self.script("count", f"#!/bin/sh\n: > {at}/$$\nls {at} | wc -l >> {log}\nsleep 0.05\nrm {at}/$$\n")
        self.streams_in(self.directory, "--on-close", script)
        with open(log, encoding="ascii") as f:
            most = [int(x) for x in f.read().split()]
        self.assertEqual(len(most), 44)
        self.assertLessEqual(max(most), 10)
        self.assertEqual(os.listdir(at), [], "all are waited for")

    def test_failing_command(self):
        result, count = counters("streams", SAMPLE, "-o", self.path("o"), "--on-close", "false")
        self.assertEqual(count["post_commands_failed"], 44)
        self.assertEqual(result.err.count("ended with code"), 1, result)

    # --- alert descriptors ---

    def alerts(self, *words):
        r, w = os.pipe()
        with os.fdopen(r, encoding="utf-8") as f:
            done = subprocess.Popen([e2e.WIRESPOOL, "streams", SAMPLE, "-o", self.path("o"), "-q",
                                     *(x.replace("FD", str(w)) for x in words)], pass_fds=(w,))
            os.close(w)
            lines = f.read().splitlines()
            self.assertEqual(done.wait(60), 0)
        return lines

    def test_alerts(self):
        lines = self.alerts("--alert-fd", "FD", "--gaps-file", "--workers", "4")
        files = sorted(self.path("o/" + x) for x in os.listdir(self.path("o")))
        for word in ("open", "close"):
            self.assertEqual(sorted(x.split("\t")[1] for x in lines if x.startswith(word + "\t")), files)
        for name in files:
            self.assertLess(lines.index("open\t" + name), lines.index("close\t" + name))

    def test_alerts_of_bodies(self):
        lines = self.alerts("--http", "--http-alert-fd", "FD")
        files = sorted(self.path("o/" + x) for x in os.listdir(self.path("o")) if "HTTPBODY" in x)
        self.assertEqual(sorted(lines), sorted(f"{w}\t{x}" for w in ("open", "close") for x in files))

    def test_nobody_reads_alerts(self):
        r, w = os.pipe()
        os.close(r)
        done = subprocess.run([e2e.WIRESPOOL, "streams", SAMPLE, "-o", self.path("o"), "--alert-fd", str(w)], pass_fds=(w,),
                              stderr=subprocess.PIPE, check=False, timeout=60)
        os.close(w)
        self.assertEqual(done.returncode, e2e.LOST, done.stderr)
        self.assertIn(b"Broken pipe", done.stderr)
        self.assertEqual(len(os.listdir(self.path("o"))), 44)

    # --- the python function ---

    def python(self, function, *words, **how):
        with open(self.path("plug.py"), "w", encoding="ascii") as f:
            f.write(PLUGIN)
        return counters("streams", SAMPLE, "-o", self.path("o"), "--overwrite", "--python",
                        f"{self.directory}:plug:{function}", *words, **how)

    def test_python_result(self):
        report = self.path("r.xml")
        self.python("tell", "--report", report)
        self.valid(report)
        found = [(x[0], x[1], x[5]) for x in objects(report) if x[5]]
        self.assertGreater(len(found), 5)
        for name, size, result in found:
            self.assertEqual(result, f"{size} <&\ufffd> {b'HTTP'.hex()}", name)
        self.python("long", "--report", report)
        self.assertGreater(len(objects(report)[-1][5]), 100000)

    def test_python_takes_nothing_from_the_working_directory(self):
        """Captures of strangers lie there, perhaps: a socket.py among them is not run."""
        with open(self.path("socket.py"), "w", encoding="ascii") as f:
            f.write("raise SystemExit('run')\n")
        os.mkdir(self.path("plugins"))
        with open(self.path("plugins/plugin.py"), "w", encoding="ascii") as f:
            f.write(PLUGIN)
        run("streams", SAMPLE, "-o", self.path("out"), "-q", "--python", self.path("plugins") + ":plugin:tell",
            cwd=self.directory)

    def test_python_that_fails(self):
        result, count = self.python("bad")
        self.assertEqual((count["post_python_failed"], result.err.count("this one")), (44, 1), result)
        result, count = self.python("die")
        self.assertEqual((count["post_python_failed"], result.err.count("python3 ended")), (44, 1), result)
        result = run("streams", SAMPLE, "-o", self.path("o2"), "--python", f"{self.directory}:plug:none", code=e2e.ENVIRONMENT)
        self.one_line(result, "no attribute 'none'")

    def test_killed_python_child(self):
        """Killed from outside while it works on a file: the run goes on without it."""
        pid = self.path("pid")
        with open(self.path("plug.py"), "w", encoding="ascii") as f:
            f.write("import os, time\ndef wait(data):\n    with open(%r, 'w') as f:\n        f.write(str(os.getpid()))\n"
                    "    os.rename(%r, %r)\n    time.sleep(1000)\n" % (pid + "x", pid + "x", pid))
        with subprocess.Popen([e2e.WIRESPOOL, "streams", SAMPLE, "-o", self.path("o"), "--report", self.path("r.xml"), "--python",
                               f"{self.directory}:plug:wait"], stderr=subprocess.PIPE) as p:
            while not os.path.exists(pid):
                time.sleep(0.01)
            with open(pid, encoding="ascii") as f:
                os.kill(int(f.read()), signal.SIGKILL)
            err = p.communicate(timeout=60)[1]
        self.assertEqual((p.returncode, err.count(b"python3 ended")), (0, 1), err)
        self.valid(self.path("r.xml"))

    def test_python_function_that_hangs(self):
        """A second Ctrl-C ends the wait for it, when all packets are read as well."""
        with open(self.path("plug.py"), "w", encoding="ascii") as f:
            f.write("import time\ndef wait(data):\n    open(%r, 'w').close()\n    time.sleep(1000)\n" % self.path("called"))
        with subprocess.Popen([e2e.WIRESPOOL, "streams", SAMPLE, "-o", self.path("o"), "--report", self.path("r.xml"), "--python",
                               f"{self.directory}:plug:wait"], stderr=subprocess.PIPE) as p:
            while not os.path.exists(self.path("called")):
                time.sleep(0.01)
            p.send_signal(signal.SIGINT)
            while p.poll() is None: # what comes within 0.3 s is the same Ctrl-C
                time.sleep(0.1)
                p.send_signal(signal.SIGINT)
            err = p.communicate(timeout=60)[1]
        self.assertEqual(p.returncode, e2e.LOST, err)
        self.assertIn(b"aborted", err)
        self.valid(self.path("r.xml"))

    # --- usage ---

    def test_usage(self):
        for words, part in ((("--python", "a:b"), "PATH:MODULE:FUNCTION"), (("--http-raw",), "--http"),
                            (("--http", "--format", "json"), "raw"), (("--http-command", "x"), "--http"),
                            (("--alert-fd", "77"), "not open"), (("--report", "-", "--json"), "standard output")):
            result = run("streams", SAMPLE, "-o", self.path("o"), *words, code=e2e.USAGE)
            self.one_line(result, part)

    def test_replay_and_capture_options(self):
        e2e.need_dpdk()
        report = self.path("r.xml")
        result = run("replay", SAMPLE, "--streams", self.path("o"), "--md5", "--http", "--report", report, "-q", code=None)
        if result.code == e2e.ENVIRONMENT:
            raise unittest.SkipTest(result.err.strip().splitlines()[-1])
        self.valid(report)
        self.assertEqual(len([x for x in objects(report) if x[0]]), 44)
        run("replay", SAMPLE, "--report", report, "-q", "--overwrite")
        self.assertFalse([x for x in objects(report) if x[0]])
        run("replay", SAMPLE, "--md5", "-q", code=e2e.USAGE)


if __name__ == "__main__":
    e2e.main()
