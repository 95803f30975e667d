# SPDX-License-Identifier: BSD-3-Clause
"""Wireshark's dissection as a judge: one sharkd process that loads capture after capture.

sharkd ships with tshark in Debian (wireshark-common) and follows streams with the same code as
`tshark -z follow,tcp,raw`, but starts once, not once a capture and stream.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile


class Sharkd:
    """A running sharkd with an empty configuration. It never frees a capture, and answers some
    requests never: it is started afresh after captures_max captures, or timeout_s without word."""

    def __init__(self, captures_max=60, timeout_s=15):
        self.captures_max, self.timeout_s, self.captures = captures_max, timeout_s, 0
        self.config = tempfile.mkdtemp(prefix="judges-")
        self.started = 0
        self.proc = None
        self.start()

    def start(self):
        environ = dict(os.environ, WIRESHARK_CONFIG_DIR=self.config, HOME=self.config, LC_ALL="C")
        self.proc = subprocess.Popen(["sharkd", "-"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                     bufsize=0, env=environ)
        self.started += 1
        self.captures = 0
        self.buffer = b""

    def stop(self):
        self.proc.kill()
        self.proc.stdin.close()
        self.proc.stdout.close()
        self.proc.wait()

    def line(self):
        """The next line of output; None at its end or after timeout_s."""
        while b"\n" not in self.buffer:
            if not select.select([self.proc.stdout], [], [], self.timeout_s)[0]:
                return None
            data = os.read(self.proc.stdout.fileno(), 1 << 20)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def ask(self, method, **params):
        """The result of a request; None where sharkd reports an error or dies on the capture."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method}
        if params:
            request["params"] = params
        try:
            self.proc.stdin.write((json.dumps(request) + "\n").encode())
            self.proc.stdin.flush()
            line = self.line()
            while line is not None and not line.startswith(b"{"):
                line = self.line()
        except BrokenPipeError:
            line = None
        if line is not None:
            return json.loads(line.decode("utf-8", "replace"), strict=False).get("result")
        self.stop()
        self.start()
        return None

    def load(self, path):
        """True if the capture, or what can be read of it, is loaded."""
        if self.captures == self.captures_max:
            self.stop()
            self.start()
        self.captures += 1
        result = self.ask("load", file=path)
        return bool(result) and result.get("status") == "OK"

    def frames(self, *fields):
        """[(number, [field values])]; a value lists all in the frame, innermost last."""
        columns = {"column%d" % i: f + ":0" for i, f in enumerate(fields)}
        result = self.ask("frames", **columns) or []
        return [(f["num"], f["c"]) for f in result]

    def follow(self, stream):
        """The two directions of a stream as {(addr, port, addr, port): [(frame, bytes)]}."""
        r = self.ask("follow", follow="TCP", filter="tcp.stream==%d" % stream)
        if not r:
            return {}
        # sharkd's "s" (server) is the side that sent first in these names: take the port and
        # address pairs with their own flag
        a, b = (r["chost"], int(r["cport"])), (r["shost"], int(r["sport"]))
        sides = {a + b: [], b + a: []}
        for p in r.get("payloads", []):
            key = b + a if p.get("s") else a + b
            sides[key].append((p["n"], base64.b64decode(p["d"])))
        return sides

    def close(self):
        self.stop()
        shutil.rmtree(self.config, ignore_errors=True)


class Tshark:
    """The same of a capture that sharkd refuses because it is damaged: tshark reads up to there."""

    def __init__(self, path):
        self.base = ["tshark", "-n", "-r", path]

    def run(self, *args):
        p = subprocess.run(self.base + list(args), stdin=subprocess.DEVNULL, capture_output=True,
                           env=dict(os.environ, LC_ALL="C"), check=False)
        return p.stdout.decode("utf-8", "replace").splitlines()

    def frames(self, *fields):
        args = ["-T", "fields", "-e", "frame.number", "-E", "occurrence=a"]
        for f in fields:
            args += ["-e", f]
        rows = [line.split("\t") for line in self.run(*args)]
        return [(int(r[0]), r[1:]) for r in rows if r[0].isdigit()]

    def follow(self, stream):
        nodes, payloads = [], ([], [])
        for line in self.run("-q", "-z", "follow,tcp,raw,%d" % stream):
            if line.startswith("Node "):
                addr, port = line.split(": ", 1)[1].rsplit(":", 1)
                nodes.append((addr.strip("[]"), int(port)))
            elif nodes and line.strip("\t") and not line.startswith("="):
                payloads[line.startswith("\t")].append((0, bytes.fromhex(line.strip())))
        if len(nodes) != 2:
            return {}
        return {nodes[0] + nodes[1]: payloads[0], nodes[1] + nodes[0]: payloads[1]}
