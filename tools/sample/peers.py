#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Clients and servers of the sample captures; each endpoint writes down what it sent and received.

peers.py files DIR                      the files that the web server serves
peers.py serve ADDRESS LOG              TCP services on ports 7001.., UDP on 53 and 9000; until ended
peers.py CASE ADDRESS LOG [PORT]        one client case, see CASES
"""
import hashlib
import json
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time

HALF_CLOSE, RESET, REUSE, CLOSED, DUPLEX, URGENT, TYPING = 7001, 7002, 7003, 7004, 7005, 7006, 7007
DNS, ECHO = 53, 9000
WORDS = ("the packet flow stream block writer worker source port ring table ledger gap hole order window "
         "segment fragment tunnel capture offset byte header burst core lane wire spool").split()


def text(seed, size):
    """Deterministic prose, so that gzip has something to do."""
    rng = random.Random(seed)
    out = []
    length = 0
    while length < size:
        line = " ".join(rng.choice(WORDS) for _ in range(rng.randint(6, 14))).capitalize() + ".\n"
        out.append(line)
        length += len(line)
    return "".join(out)[:size].encode("ascii")


def noise(seed, size):
    return random.Random(seed).randbytes(size)


def files(directory):
    os.makedirs(directory, exist_ok=True)
    for name, data in (("small.txt", text(1, 1000)), ("medium.html", text(2, 20000)),
                       ("large.bin", noise(3, 100000)), ("upload.bin", noise(4, 60000))):
        with open(os.path.join(directory, name), "wb") as f:
            f.write(data)


class Endpoint:
    """A TCP socket that remembers its bytes."""

    def __init__(self, s, log, what):
        self.s, self.log, self.what = s, log, what
        self.sent, self.received = bytearray(), bytearray()
        self.names = (s.getsockname()[:2], s.getpeername()[:2])

    def send(self, data):
        self.s.sendall(data)
        self.sent += data

    def read(self, size=None):
        """size bytes, or all up to the end of the stream."""
        got = bytearray()
        while size is None or len(got) < size:
            part = self.s.recv(65536 if size is None else min(65536, size - len(got)))
            if not part:
                break
            got += part
        self.received += got
        return bytes(got)

    def close(self, abort=False):
        if abort:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()
        write_log(self.log, self.what, self.names, self.sent, self.received)


def write_log(log, what, names, sent, received):
    def digest(data):
        return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    line = {"what": what, "local": names[0], "remote": names[1], "sent": digest(sent), "received": digest(received)}
    with open(log, "a", encoding="ascii") as f:
        f.write(json.dumps(line) + "\n")


# --- servers --------------------------------------------------------------------------------------

def serve_half_close(e):
    e.read()
    e.send(noise(11, 8000))
    e.close()


def serve_reset(e):
    e.read(3000)
    e.send(noise(12, 2000))
    try:
        e.read()
    except ConnectionResetError:
        pass
    e.close()


def serve_reuse(e):
    e.send(b"you said: " + e.read(100))
    e.close()  # first, so that the client may use its port again at once


def serve_duplex(e):
    writer = threading.Thread(target=e.send, args=(noise(13, 30000),))
    writer.start()
    e.read(30000)
    writer.join()
    e.close()


def serve_urgent(e):
    e.s.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    e.send(b"ready\n")
    e.read()
    e.close()


def serve_typing(e):
    e.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while key := e.read(1):
        e.send(key)
    e.close()


TCP_SERVICES = {HALF_CLOSE: serve_half_close, RESET: serve_reset, REUSE: serve_reuse, DUPLEX: serve_duplex,
                URGENT: serve_urgent, TYPING: serve_typing}


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp_server(address, port, service, log):
    listener = socket.socket(family(address), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(16)

    def loop():
        while True:
            s, _ = listener.accept()
            threading.Thread(target=service, args=(Endpoint(s, log, "server"),), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()


def dns_answer(query):
    """RFC 1035 4: the question again, and one A record for it."""
    question = query[12:]
    return (query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + question +
            b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + bytes([192, 0, 2, 7]))


def udp_server(address, port, answer):
    s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.bind((address, port))

    def loop():
        while True:
            data, peer = s.recvfrom(65535)
            s.sendto(answer(data), peer)
    threading.Thread(target=loop, daemon=True).start()


def serve(address, log):
    for port, service in TCP_SERVICES.items():
        tcp_server(address, port, service, log)
    udp_server(address, DNS, dns_answer)
    udp_server(address, ECHO, lambda data: data[::-1])
    print("ready", flush=True)
    threading.Event().wait()


# --- clients --------------------------------------------------------------------------------------

def connect(address, port, log, what, source_port=0):
    s = socket.socket(family(address), socket.SOCK_STREAM)
    s.settimeout(30)
    if source_port:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("::" if ":" in address else "0.0.0.0", source_port))
    s.connect((address, port))
    return Endpoint(s, log, what)


def half_close(address, log):
    e = connect(address, HALF_CLOSE, log, "half-close: client ends first, server answers after")
    e.send(noise(21, 5000))
    e.s.shutdown(socket.SHUT_WR)
    e.read()
    e.close()


def reset(address, log):
    e = connect(address, RESET, log, "client aborts by RST")
    e.send(noise(22, 3000))
    e.read(2000)
    e.close(abort=True)


def refused(address, _log):
    try:
        socket.create_connection((address, CLOSED), 5).close()
    except ConnectionRefusedError:
        return
    sys.exit("a port that should be closed is open")


def reuse(address, log):
    for i in range(3):
        e = connect(address, REUSE, log, f"use {i + 1} of the same ports", source_port=40003)
        e.send(noise(30 + i, 100))
        e.read()
        e.close()
        time.sleep(0.05)


def duplex(address, log):
    e = connect(address, DUPLEX, log, "both sides send at once")
    writer = threading.Thread(target=e.send, args=(noise(23, 30000),))
    writer.start()
    e.read(30000)
    writer.join()
    e.read()
    e.close()


def urgent(address, log):
    e = connect(address, URGENT, log, "urgent byte in line")
    e.read(6)
    e.send(b"before ")
    e.s.send(b"!", socket.MSG_OOB)
    e.sent += b"!"
    time.sleep(0.05)
    e.send(b" after\n")
    e.close()


def typing(address, log):
    e = connect(address, TYPING, log, "one byte at a time")
    e.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for key in b"make sample; exit\n":
        e.send(bytes([key]))
        e.read(1)
    e.close()


def pipelined(address, log):
    e = connect(address, 80, log, "pipelined HTTP requests")
    names = ("small.txt", "medium.html", "missing", "small.txt")
    for i, name in enumerate(names):
        last = "Connection: close\r\n" if i + 1 == len(names) else ""
        e.send(f"GET /{name} HTTP/1.1\r\nHost: sample.test\r\n{last}\r\n".encode("ascii"))
    e.read()
    e.close()


def tls(address, log, port):
    """The ciphertext passes through memory, so that it can be written down."""
    e = connect(address, port, log, "TLS")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing)

    def turn(call):
        while True:
            try:
                result = call()
                e.send(outgoing.read())
                return result
            except ssl.SSLWantReadError:
                e.send(outgoing.read())
                part = e.s.recv(65536)
                e.received += part
                if part:
                    incoming.write(part)
                else:
                    incoming.write_eof()
    turn(session.do_handshake)
    turn(lambda: session.write(b"GET /medium.html HTTP/1.0\r\n\r\n"))
    try:
        while turn(lambda: session.read(16384)):
            pass
    except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
        pass
    e.read()
    e.close()


def dns(address, _log):
    with socket.socket(family(address), socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        for i, name in enumerate(("www.sample.test", "mail.sample.test", "wirespool.test")):
            labels = b"".join(bytes([len(x)]) + x.encode("ascii") for x in name.split("."))
            s.sendto(struct.pack("!HHHHHH", 0x1000 + i, 0x0100, 1, 0, 0, 0) + labels +
                     struct.pack("!BHH", 0, 1, 1), (address, DNS))
            s.recv(512)


def datagrams(address, _log):
    """Larger than the link allows: fragments, both ways."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        for i, size in enumerate((5000, 3000)):
            s.sendto(noise(40 + i, size), (address, ECHO))
            if s.recv(65535) != noise(40 + i, size)[::-1]:
                sys.exit("a datagram came back changed")


def ping(address, _log):
    """RFC 792 and RFC 4443 echo requests; the kernel answers, and fills in ICMPv6 checksums."""
    v6 = ":" in address
    protocol = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    with socket.socket(family(address), socket.SOCK_RAW, protocol) as s:
        s.settimeout(5)
        for i in range(3):
            message = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 0x7773, i) + bytes(range(48))
            total = sum(struct.unpack(f"!{len(message) // 2}H", message))
            total = (total & 0xffff) + (total >> 16)
            message = message[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + message[4:]
            s.sendto(message, (address, 0))
            while True:
                answer = s.recv(2000)
                if answer[0 if v6 else 20] == (129 if v6 else 0):
                    break


CASES = {f.__name__.replace("_", "-"): f for f in (half_close, reset, refused, reuse, duplex, urgent, typing,
                                                   pipelined, dns, datagrams, ping)}


def main():
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "files":
        files(*arguments)
    elif command == "serve":
        serve(*arguments)
    elif command == "tls":
        tls(arguments[0], arguments[1], int(arguments[2]))
    else:
        CASES[command](*arguments)


if __name__ == "__main__":
    main()
