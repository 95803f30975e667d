#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tools/replay-json, talked to by real clients: our own, byte by byte, and curl with the web requests of a sample."""
import json
import os
import re
import socket
import subprocess
import unittest

import e2e
from e2e import data, run

TOOL = os.path.join(e2e.ROOT, "tools", "replay-json")


def line(side, payload, missing=0, text=False, conn="0.00000"):
    body = b"[%d bytes missing]" % missing * text + payload
    chunk = {"side": str(side), "time": {"abs": "1.00000", "conn": conn}, "size": str(len(body)), "data": body.decode("latin-1"),
             "data_hex": body.hex().upper()}
    return json.dumps({**chunk, "missing": str(missing)} if missing else chunk) + "\r\n"


class ReplayJson(e2e.Case):
    def dump(self, *lines):
        with open(self.path("dump.json"), "w", encoding="ascii", newline="") as f:
            f.write("".join(lines))
        return self.path("dump.json")

    def start(self, *words):
        """(process, port)"""
        p = subprocess.Popen([e2e.sys.executable, TOOL, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def end():
            p.kill()
            p.communicate()
        self.addCleanup(end)
        said = p.stdout.readline().decode()
        m = re.fullmatch(r"listening on (\S+) port (\d+)\n", said)
        self.assertTrue(m, said)
        return p, int(m[2])

    def ended(self, p):
        _, err = p.communicate(timeout=30)
        return p.returncode, err.decode()

    def read(self, s, n):
        got = b""
        while len(got) < n and (part := s.recv(n - len(got))):
            got += part
        return got

    def test_turns(self):
        """Nothing comes before its time: each answer waits for all bytes that came before it in the dump."""
        p, port = self.start("--once", self.dump(line(1, b"hello\n"), line(0, b"user"), line(0, b"name"), line(1, b"\0\xffok"),
                                                 line(0, b"quit"), line(1, b"bye")))
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            self.assertEqual(self.read(s, 6), b"hello\n")
            s.sendall(b"username"[:7])
            s.settimeout(0.3)
            with self.assertRaises(socket.timeout):
                s.recv(1)
            s.settimeout(20)
            s.sendall(b"e")
            self.assertEqual(self.read(s, 4), b"\0\xffok")
            s.sendall(b"quit")
            self.assertEqual(self.read(s, 99), b"bye")  # and the end
        code, err = self.ended(p)
        self.assertEqual(code, 0, err)
        self.assertIn("played to the end", err)
        self.assertNotIn("other bytes", err)

    def test_other_side(self):
        p, port = self.start("--once", "--side", "0", self.dump(line(0, b"ask"), line(1, b"tell")))
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            self.assertEqual(self.read(s, 3), b"ask")
            s.sendall(b"tell")
            self.assertEqual(self.read(s, 9), b"")
        self.assertEqual(self.ended(p)[0], 0)

    def test_missing(self):
        """Missing bytes of the client are waited for and may be any; those of the server are not sent, and said."""
        for text in (False, True):
            p, port = self.start("--once", "--strict", self.dump(line(0, b"ab"), line(0, b"yz", 3, text), line(1, b"tail", 5, text)))
            with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
                s.sendall(b"ab???yz")
                self.assertEqual(self.read(s, 99), b"tail")
            code, err = self.ended(p)
            self.assertEqual(code, 0, err)
            self.assertIn("5 bytes of the recorded server are missing", err)

    def test_other_bytes(self):
        dump = self.dump(line(0, b"expected"), line(1, b"reply"))
        for strict in (False, True):
            p, port = self.start("--once", *["--strict"] * strict, dump)
            with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
                s.sendall(b"expectEd")
                self.assertEqual(self.read(s, 9), b"" if strict else b"reply")
            code, err = self.ended(p)
            self.assertEqual(code, 1 if strict else 0, err)
            self.assertIn("offset 6", err)

    def test_client_goes(self):
        p, port = self.start("--once", self.dump(line(0, b"expected"), line(1, b"reply")))
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            s.sendall(b"exp")
        code, err = self.ended(p)
        self.assertEqual(code, 1, err)
        self.assertIn("offset 3", err)

    def test_several_clients(self):
        _, port = self.start(self.dump(line(0, b"?"), line(1, b"!")))
        clients = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(5)]
        for s in reversed(clients):
            with s:
                s.sendall(b"?")
                self.assertEqual(self.read(s, 2), b"!")

    def test_bad_dumps(self):
        for text, part in (("", "no chunk"), ("{}\n", ":1"), (line(0, b"x") + "what\n", ":2"), (line(2, b"x"), ":1"),
                           (line(0, b"x").replace('"size": "1"', '"size": "2"'), ":1"), ("[]\n", ":1"), ("7\n", ":1")):
            result = e2e.execute([e2e.sys.executable, TOOL, self.dump(text)])
            self.assertEqual(result.code, 1, result)
            self.assertEqual(len(result.err.splitlines()), 1, result)
            self.assertIn(part, result.err)
        self.assertEqual(e2e.execute([e2e.sys.executable, TOOL, self.path("none")]).code, 3)
        self.assertEqual(e2e.execute([e2e.sys.executable, TOOL, "--port", "70000", self.dump(line(0, b"x"))]).code, 2)

    def test_web(self):
        """curl fetches from the replayed connection what another curl fetched when the sample was made."""
        e2e.need("curl")
        run("pcap2conn", "-jr", data("sample"), "-e", "tcp port 80", "-o", self.path("json"))
        tried = 0
        for name in sorted(os.listdir(self.path("json"))):
            path = os.path.join(self.path("json"), name)
            with open(path, encoding="ascii") as f:
                chunks = [json.loads(x) for x in f]
            asked = b"".join(bytes.fromhex(c["data_hex"]) for c in chunks if c["side"] == "0")
            if asked.count(b"HTTP/1.1\r\n") != 1 or not asked.startswith(b"GET "):
                continue
            target, headers = asked.split(b" ")[1].decode(), asked.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
            p, port = self.start("--once", "--strict", path)
            got = e2e.execute(["curl", "-s", "--raw", "-i", "--max-time", "20", "-A", "", *[x for h in headers for x in ("-H", h)],
                               f"http://127.0.0.1:{port}{target}"])
            code, err = self.ended(p)
            self.assertEqual(got.code, 0, f"{name}: {got} {err}")
            answered = b"".join(bytes.fromhex(c["data_hex"]) for c in chunks if c["side"] == "1")
            self.assertEqual(got.raw, answered, name)
            self.assertEqual(code, 0, err)
            tried += 1
            if tried == 3:
                break
        self.assertGreater(tried, 0)


if __name__ == "__main__":
    e2e.main()
