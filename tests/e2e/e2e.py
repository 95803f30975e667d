# SPDX-License-Identifier: BSD-3-Clause
"""What the end-to-end tests share: running the program, generating captures, comparing trees.

The environment says where things are (meson.build sets it; by hand set it likewise):
  WIRESPOOL          the program                WS_TRAFGEN         the generator
  WS_ROOT            the source tree            WIRESPOOL_CORPORA  public captures, may be missing
A test file is a unittest module that ends in e2e.main(): exit 0, 1, or 77 when every test was skipped.
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.environ.get("WS_ROOT", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
WIRESPOOL = os.path.abspath(os.environ.get("WIRESPOOL", ROOT + "/build/app/wirespool"))
TRAFGEN = os.path.abspath(os.environ.get("WS_TRAFGEN", ROOT + "/build/tools/trafgen/ws-trafgen"))
DATA = os.path.join(ROOT, "tests", "data")
CORPORA = os.environ.get("WIRESPOOL_CORPORA")
SAMPLES = ("sample", "sample-any", "sample-lossy", "sample-tso")
GENERATED = ("gen-impaired", "gen-wrapped", "gen-reuse")

DONE, LOST, USAGE, ENVIRONMENT = 0, 1, 2, 3
# What no run may ever say, whatever its input.
FORBIDDEN = ("ledger mismatch", "AddressSanitizer", "runtime error:", "ThreadSanitizer", "LeakSanitizer", "WRONG")


class Result:
    def __init__(self, command, code, out, err):
        self.command, self.code, self.raw, self.err = command, code, out, err

    @property
    def out(self):
        return self.raw.decode("utf-8", "replace")

    def __str__(self):
        return f"{' '.join(self.command)}\nexit {self.code}\n{self.err[-3000:]}"


def data(name):
    return os.path.join(DATA, name if "." in name else name + ".pcap")


def execute(command, stdin=None, timeout=120, cwd=None, preexec_fn=None, **environment):
    env = dict(os.environ, **environment)
    done = subprocess.run([str(x) for x in command], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, check=False, cwd=cwd, env=env, preexec_fn=preexec_fn,
                          stdin=subprocess.DEVNULL if stdin is None else None)
    return Result([str(x) for x in command], done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def sane(result):
    """Refuses crashes, sanitizer reports and ledgers that do not balance."""
    if result.code < 0 or result.code > 3:
        raise AssertionError(f"died: {result}")
    for word in FORBIDDEN:
        if word in result.err:
            raise AssertionError(f"said {word!r}: {result}")
    return result


def run(*words, code=DONE, **how):
    """Runs wirespool; code None accepts any of its exit codes."""
    result = sane(execute([WIRESPOOL, *words], **how))
    if code is not None and result.code != code:
        raise AssertionError(f"exit code {result.code}, not {code}: {result}")
    return result


def counters(*words, **how):
    """Runs wirespool with --stats-json; (result, counters)."""
    with tempfile.NamedTemporaryFile(mode="r", suffix=".json") as f:
        result = run(*words, "--stats-json", f.name, **how)
        stats = json.load(f)
    if not stats["balanced"]:
        raise AssertionError(f"ledger: {stats['ledger']}\n{result}")
    return result, stats["counters"]


def flows(*words, **how):
    """The conversations of `flows --all --json`."""
    return [json.loads(x) for x in run("flows", "--all", "--json", "-q", *words, **how).out.splitlines()]


def generate(path, *options):
    """A generated capture: its truth records, one a direction."""
    subprocess.run([TRAFGEN, "--out", path, "--truth", path + ".truth", *options], check=True,
                   stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return generated_truth(path + ".truth")


def generated_truth(path):
    with open(path, encoding="ascii") as f:
        return [json.loads(x) for x in f][:-1]


def tree(directory):
    """{path below directory: sha256} of every file."""
    found = {}
    for base, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(base, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, directory)] = hashlib.sha256(f.read()).hexdigest()
    return found


def address(text):
    """An address as tcpflow's file names have it."""
    return text if ":" in text else ".".join("%03d" % int(x) for x in text.split("."))


def stream_name(src, sport, dst, dport, vlan=()):
    name = "%s.%05d-%s.%05d" % (address(src), sport, address(dst), dport)
    return name + ("--" + ".".join(map(str, vlan)) if vlan else "")


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise unittest.SkipTest("no " + program)


def need_root():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root")


def need_corpora():
    if not CORPORA or not os.path.isdir(CORPORA):
        raise unittest.SkipTest("no public captures (WIRESPOOL_CORPORA)")
    return CORPORA


def need_dpdk():
    if "DPDK: yes" not in execute([WIRESPOOL, "--version"]).out:
        raise unittest.SkipTest("built without DPDK")


def tshark(path, *arguments):
    need("tshark")
    result = execute(["tshark", "-n", "-r", path, *arguments])
    return result.out


class Case(unittest.TestCase):
    """A test with a directory of its own that goes when the test ends."""
    maxDiff = 2000

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="ws-e2e-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def streams(self, name, *words, **how):
        """Runs `streams` into a directory of this name; its tree."""
        run("streams", *words, "-o", self.path(name), "-q", **how)
        return tree(self.path(name))

    def one_line(self, result, *parts):
        """The error is one line that has all of parts."""
        lines = [x for x in result.err.splitlines() if "wirespool" in x or any(str(p) in x for p in parts)]
        self.assertTrue(any(all(str(p) in line for p in parts) for line in lines), f"no line with {parts}: {result}")
        for line in lines:
            self.assertLess(len(line), 500, result)


def main():
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2)
    result = unittest.main(argv=sys.argv, exit=False, testRunner=runner).result
    for test, why in result.skipped:
        print(f"skipped {test}: {why}")
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun and len(result.skipped) >= result.testsRun:
        sys.exit(77)
    sys.exit(0)
