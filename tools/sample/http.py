#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The endpoints of sample-http.pcap: a server with every coding and framing, and clients by curl.

http.py files FOLDER                    what nginx serves
http.py serve ADDRESS LOG               port 8080; logs each response, with the body before coding
http.py fetch ADDRESS FOLDER LOG        runs curl and a pipelining client; logs what curl made of each body
http.py merge OUT.json CLIENT SERVER    both logs into one; where both ends wrote, they have to agree

A line of a log: local and remote (address, port) of the server's socket, number of the response in its connection,
status, media type, content coding, bytes and sha256 of the body as it is meant, what.
"""
import gzip
import hashlib
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import zlib

PORT = 8080


def text(seed, lines):
    words = "the wire carries what the ends agreed upon and nothing else is certain".split()
    r = random.Random(seed)
    return "".join(" ".join(r.choice(words) for _ in range(9)) + "\n" for _ in range(lines)).encode()


FILES = {
    "index.html": b"<!doctype html><title>sample</title>\n<pre>\n" + text(1, 200) + b"</pre>\n",
    "style.css": b"/* sample */\n" + b"p { margin: 0 }\n" * 80,
    "code.js": b"'use strict';\n" + b"void 0;\n" * 300,
    "data.json": json.dumps([{"n": i, "s": str(i * i)} for i in range(400)]).encode(),
    "pixel.png": b"\x89PNG\r\n\x1a\n" + random.Random(2).randbytes(3000),
    "photo.jpg": b"\xff\xd8\xff\xe0" + random.Random(3).randbytes(9000),
    "paper.pdf": b"%PDF-1.4\n" + random.Random(4).randbytes(6000),
    "feed.xml": b"<?xml version='1.0'?>\n<feed>\n" + b"<item/>\n" * 200 + b"</feed>\n",
    "notes.txt": text(5, 300),
    "blob.bin": random.Random(6).randbytes(12000),
    "empty.txt": b"",
}


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def brotli(data):
    import brotli as b  # pylint: disable=import-outside-toplevel
    return b.compress(data, quality=7)


def bare(data):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return c.compress(data) + c.flush()


def chunks(data, size):
    pieces = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x;piece=%d\r\n%s\r\n" % (len(p), i, p) for i, p in enumerate(pieces)) + b"0\r\nX-Check: ok\r\n\r\n"


# path: (media type, content coding, body, how it is coded, framing)
PAGES = {
    "/gzip": ("text/html; charset=utf-8", "gzip", FILES["index.html"], gzip.compress, "length"),
    "/gzip-chunked": ("text/plain", "gzip", FILES["notes.txt"], gzip.compress, "chunked"),
    "/gzip-members": ("text/plain", "gzip", text(7, 100), lambda d: gzip.compress(d[:2000]) + gzip.compress(d[2000:]), "length"),
    "/deflate": ("application/json", "deflate", FILES["data.json"], zlib.compress, "length"),
    "/deflate-bare": ("text/css", "deflate", FILES["style.css"], bare, "length"),
    "/br": ("application/javascript", "br", FILES["code.js"], brotli, "length"),
    "/br-chunked": ("text/html", "br", FILES["index.html"], brotli, "chunked"),
    "/zstd": ("image/svg+xml", "zstd", b"<svg xmlns='http://www.w3.org/2000/svg'/>\n" * 50, zstd, "length"),
    "/zstd-chunked": ("text/csv", "zstd", b"a,b,c\n1,2,3\n" * 300, zstd, "chunked"),
    "/two-codings": ("text/plain", "br, gzip", text(8, 60), lambda d: gzip.compress(brotli(d)), "length"),
    "/chunked": ("application/xml", "", FILES["feed.xml"], bytes, "chunked"),
    "/plain": ("text/plain", "", FILES["notes.txt"], bytes, "length"),
    "/close": ("application/pdf", "", FILES["paper.pdf"], bytes, "close"),
    "/large": ("application/octet-stream", "", random.Random(9).randbytes(12000), bytes, "chunked"),
    "/unknown": ("application/x-of-nobody", "", b"nobody knows this type\n", bytes, "length"),
    "/untyped": ("", "", b"no type at all\n", bytes, "length"),
    "/nothing": ("text/plain", "", b"", bytes, "length"),
}


class Log:
    def __init__(self, path):
        self.file, self.lock = open(path, "a", encoding="ascii"), threading.Lock()

    def write(self, local, remote, number, status, mime, coding, body, what):
        line = {"src": local[0], "sport": local[1], "dst": remote[0], "dport": remote[1], "number": number,
                "status": status, "type": mime, "coding": coding, "bytes": len(body),
                "sha256": hashlib.sha256(body).hexdigest(), "what": what}
        with self.lock:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()


def serve_one(sock, log):
    local, remote = sock.getsockname()[:2], sock.getpeername()[:2]
    f, number = sock.makefile("rb"), 0

    def say(status, fields, wire=b"", body=b"", mime="", coding="", what=""):
        nonlocal number
        number += 1
        head = f"HTTP/1.1 {status}\r\nServer: sample\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields)
        sock.sendall(head.encode() + b"\r\n" + wire)
        log.write(local, remote, number, int(status.split()[0]), mime.split(";")[0], coding, body, what)

    while True:
        line = f.readline().split()
        if len(line) != 3:
            break
        method, path = line[0].decode(), line[1].decode()
        fields = {}
        while (field := f.readline().strip()):
            key, _, value = field.decode().partition(":")
            fields[key.lower()] = value.strip()
        if fields.get("expect") == "100-continue":
            say("100 Continue", [], what=path)
        f.read(int(fields.get("content-length", 0)))
        if path == "/204":
            say("204 No Content", [], what=path)
        elif path == "/304":
            say("304 Not Modified", [("Content-Length", 1234), ("ETag", '"x"')], what=path)
        elif path == "/hints":
            say("103 Early Hints", [("Link", "</style.css>; rel=preload")], what=path)
            say("200 OK", [("Content-Type", "text/css"), ("Content-Length", 7)], b"p { }\r\n", b"p { }\r\n", "text/css", what=path)
        elif path == "/part":
            body = FILES["notes.txt"][100:600]
            say("206 Partial Content", [("Content-Range", f"bytes 100-599/{len(FILES['notes.txt'])}"), ("Content-Type", "text/plain"),
                                        ("Content-Length", len(body))], body, body, "text/plain", what=path)
        elif path == "/upgrade":
            say("101 Switching Protocols", [("Upgrade", "sample"), ("Connection", "Upgrade")], what=path)
            sock.sendall(b"HTTP/1.1 is not what this is any more\r\n" * 3)
            break
        else:
            mime, coding, body, code, framing = PAGES[path]
            wire = code(body)
            head = [("Content-Type", mime)] if mime else []
            head += [("Content-Encoding", coding)] if coding else []
            if framing == "chunked":
                head.append(("Transfer-Encoding", "chunked"))
            elif framing == "length":
                head.append(("Content-Length", len(wire)))
            else:
                head.append(("Connection", "close"))
            if method == "HEAD":
                wire = body = b""
            elif framing == "chunked":
                wire = chunks(wire, 1500)
            say("200 OK", head, wire, body, mime, coding, f"{method} {path}")
            if framing == "close":
                break
    sock.shutdown(socket.SHUT_WR)
    f.read()
    sock.close()


def serve(address, log):
    log = Log(log)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, PORT))
        s.listen()
        print("ready", flush=True)
        while True:
            threading.Thread(target=serve_one, args=(s.accept()[0], log), daemon=True).start()


def curl(log, what, requests):
    """requests: (URL, options...); one connection, kept alive. Interim responses are counted by the header dump."""
    with tempfile.TemporaryDirectory() as work:
        command = ["curl"]
        for i, (url, *options) in enumerate(requests):
            command += ["--next"] if i else []
            command += ["-sS", "--max-time", "20", "--compressed", "-D", f"{work}/h{i}", "-o", f"{work}/b{i}", "-w",
                        "%{remote_ip}|%{remote_port}|%{local_ip}|%{local_port}|%{response_code}|%{content_type}\n", *options, url]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        number, last = 0, None
        for i, line in enumerate(done):
            src, sport, dst, dport, status, mime = line.split("|")
            number = number if (dst, dport) == last else 0
            last = (dst, dport)
            with open(f"{work}/h{i}", encoding="latin-1") as f:
                head = f.read()
            number += head.count("HTTP/1.1 ")
            coding = [x.split(":")[1].strip() for x in head.splitlines() if x.lower().startswith("content-encoding:")]
            try:
                with open(f"{work}/b{i}", "rb") as f:
                    body = f.read()
            except FileNotFoundError:
                body = b""
            if "-I" in requests[i]:
                body = b""
            log.write((src, int(sport)), (dst, int(dport)), number, int(status), mime.split(";")[0], "".join(coding), body, what)


def fetch(address, folder, log):
    log = Log(log)
    host = f"[{address}]" if ":" in address else address
    web, own = f"http://{host}", f"http://{host}:{PORT}"
    # curl knows one gzip member only
    curl(log, "all pages on one connection", [(own + p,) for p in PAGES if p not in ("/close", "/gzip-members")])
    if ":" in address:
        return
    curl(log, "until the end", [(own + "/close",)])
    curl(log, "without bodies", [(own + "/204",), (own + "/plain", "-I"), (own + "/304",), (own + "/plain",), (own + "/hints",),
                                 (own + "/gzip-chunked", "-I"), (own + "/chunked",)])
    curl(log, "continue", [(own + "/plain", "-H", "Expect: 100-continue", "--data-binary", "@" + folder + "/notes.txt"), (own + "/part",)])
    curl(log, "nginx", [(f"{web}/{f}",) for f in sorted(FILES)])
    curl(log, "nginx, parts and nothing", [(web + "/blob.bin", "-r", "1000-1999"), (web + "/photo.jpg", "-I"),
                                           (web + "/photo.jpg", "-z", folder + "/photo.jpg"), (web + "/missing",),
                                           (web + "/blob.bin", "-r", "0-9,100-109"), (web + "/style.css",)])
    paths = ["/plain", "/gzip", "/204", "/br", "/nothing", "/zstd-chunked", "/gzip-members", "/304", "/deflate-bare", "/large"]
    with socket.create_connection((address, PORT)) as s:  # pipelined: the server alone writes it down
        s.sendall(b"".join(b"%s %s HTTP/1.1\r\nHost: sample\r\n\r\n" % (m, p.encode()) for p in paths for m in (b"HEAD", b"GET")))
        s.shutdown(socket.SHUT_WR)
        while s.recv(65536):
            pass
    with socket.create_connection((address, PORT)) as s:
        s.sendall(b"GET /plain HTTP/1.1\r\nHost: sample\r\n\r\nGET /upgrade HTTP/1.1\r\nHost: sample\r\nConnection: Upgrade\r\nUpgrade: sample\r\n\r\n")
        s.shutdown(socket.SHUT_WR)
        while s.recv(65536):
            pass


def merge(out, client, server):
    def read(path):
        with open(path, encoding="ascii") as f:
            return {(x["src"], x["sport"], x["dst"], x["dport"], x["number"]): x for x in map(json.loads, f)}
    ours, theirs = read(server), read(client)
    both = 0
    for key, x in theirs.items():
        if key not in ours:
            if x["sport"] == PORT:
                sys.exit(f"the server knows nothing of {x}")
            ours[key] = dict(x, witness="client")
            continue
        y = ours[key]
        for field in ("status", "type", "coding", "sha256"):
            if x[field] != y[field]:
                sys.exit(f"the two ends disagree on {field}: {x} {y}")
        both += 1
        y["witness"] = "client and server"
    for x in ours.values():
        x.setdefault("witness", "server")
    with open(out, "w", encoding="ascii") as f:
        f.write("[\n" + ",\n".join(json.dumps(ours[k]) for k in sorted(ours)) + "\n]\n")
    print(f"{len(ours)} responses, {both} seen alike by both ends")


def files(folder):
    for name, data in FILES.items():
        with open(f"{folder}/{name}", "wb") as f:
            f.write(data)


if __name__ == "__main__":
    {"files": files, "serve": serve, "fetch": fetch, "merge": merge}[sys.argv[1]](*sys.argv[2:])
