# SPDX-License-Identifier: BSD-3-Clause
"""Builds captures packet by packet: headers with real checksums, pcap and pcapng files, and a small TCP talk.

Every builder takes what it carries and returns bytes; what an EtherType must announce is a Typed. So a frame reads
from the outside in:  eth(vlan(5, ip(udp(...)))).  Standard library only.
"""
import ipaddress
import struct

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
FLAG = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK, "U": URG, "E": ECE, "C": CWR}

# LINKTYPE_ numbers, https://www.tcpdump.org/linktypes.html
NULL, ETHERNET, PPP, RAW, WLAN, LOOP, SLL, RADIOTAP, SLL2 = 0, 1, 9, 101, 105, 108, 113, 127, 276
TCP, UDP, ICMP, IPIP, IPV6, GRE = 6, 17, 1, 4, 41, 47

T0 = 1_700_000_000_000_000_000  # stamp of the first packet, in ns
STEP = 1_000_000                # between packets unless told otherwise


class Typed(bytes):
    """Bytes and the EtherType that announces them. Below 0x600: the 802.3 length, for LLC."""

    def __new__(cls, ethertype, data):
        self = super().__new__(cls, data)
        self.type = ethertype
        return self


def typed(payload):
    """IP datagrams announce themselves by their version."""
    if isinstance(payload, Typed):
        return payload
    return Typed(0x86dd if payload[0] >> 4 == 6 else 0x0800, payload)


def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def address(text):
    return ipaddress.ip_address(text).packed


# --- transport ---

def pseudo(src, dst, proto, length):
    """RFC 9293 section 3.1, RFC 8200 section 8.1."""
    a, b = address(src), address(dst)
    if len(a) == 4:
        return a + b + struct.pack(">BBH", 0, proto, length & 0xffff)
    return a + b + struct.pack(">II", length, proto)


def tcp(src, dst, sport, dport, seq=0, ack=0, flags=ACK, data=b"", window=65535, options=b"", urgent=0,
        words=None, bad_sum=False):
    """RFC 9293 section 3.1. words: the data offset, when it is to be wrong."""
    options += b"\0" * (-len(options) % 4)
    size = 5 + len(options) // 4 if words is None else words
    head = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, size << 4, flags, window,
                       0, urgent) + options
    total = checksum(pseudo(src, dst, TCP, len(head) + len(data)) + head + data)
    if bad_sum:
        total ^= 0x5555
    return head[:16] + struct.pack(">H", total) + head[18:] + data


def udp(src, dst, sport, dport, data):
    """RFC 768."""
    head = struct.pack(">HHHH", sport, dport, 8 + len(data), 0)
    total = checksum(pseudo(src, dst, UDP, len(head) + len(data)) + head + data) or 0xffff
    return head[:6] + struct.pack(">H", total) + data


# TCP options
def wscale(shift):
    return bytes([3, 3, shift])


def timestamps(value, echo=0):
    return b"\1\1" + struct.pack(">BBII", 8, 10, value, echo)


# --- IP ---

def ip4(payload, src, dst, proto=TCP, ident=0, offset=0, more=False, options=b"", total=None):
    """RFC 791 section 3.1. offset in bytes; total: the total length, when it is not the true one."""
    options += b"\0" * (-len(options) % 4)
    size = 20 + len(options)
    total = size + len(payload) if total is None else total
    head = struct.pack(">BBHHHBBH4s4s", 0x40 | size // 4, 0, total, ident, more << 13 | offset // 8, 64, proto, 0,
                       address(src), address(dst)) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ip6(payload, src, dst, proto=TCP, ext=(), length=None):
    """RFC 8200 section 3. ext: (number, contents) of extension headers, contents without the first two bytes;
    a Fragment header (44) has 6 of them. length: the payload length, when it is not the true one."""
    chain = b""
    after = proto
    for number, contents in reversed(ext):
        chain = bytes([after, 0 if number == 44 else (len(contents) + 2) // 8 - 1]) + contents + chain
        after = number
    length = len(chain) + len(payload) if length is None else length
    return struct.pack(">IHBB", 6 << 28, length, after, 64) + address(src) + address(dst) + chain + payload


def ip(payload, src, dst, proto=TCP, **more):
    return (ip6 if ":" in src else ip4)(payload, src, dst, proto, **more)


def fragment4(datagram, first, end, more=None, ident=None):
    """Bytes [first, end) of an IPv4 datagram's payload as a fragment (RFC 791 section 3.2)."""
    size = (datagram[0] & 15) * 4
    payload = datagram[size:]
    more = end < len(payload) if more is None else more
    ident = 0x1234 if ident is None else ident
    return ip4(payload[first:end], str(ipaddress.ip_address(datagram[12:16])),
               str(ipaddress.ip_address(datagram[16:20])), datagram[9], ident, first, more)


def fragment6(datagram, first, end, more=None, ident=0x12345678):
    """The same of an IPv6 datagram without extension headers (RFC 8200 section 4.5)."""
    payload = datagram[40:]
    more = end < len(payload) if more is None else more
    return ip6(payload[first:end], str(ipaddress.ip_address(datagram[8:24])),
               str(ipaddress.ip_address(datagram[24:40])), datagram[6],
               ext=[(44, struct.pack(">HI", first | more, ident))])


def fragments(datagram, *cuts, **more):
    """All fragments of a datagram, cut at these offsets of its payload."""
    cut = fragment6 if datagram[0] >> 4 == 6 else fragment4
    length = len(datagram) - (40 if datagram[0] >> 4 == 6 else (datagram[0] & 15) * 4)
    edges = [0, *cuts, length]
    return [cut(datagram, a, b, **more) for a, b in zip(edges, edges[1:])]


# --- link layers and tags ---

MAC_A, MAC_B = b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b"


def eth(payload, dst=MAC_B, src=MAC_A):
    payload = typed(payload)
    return dst + src + struct.pack(">H", payload.type) + payload


def vlan(vid, payload, priority=0, tpid=0x8100):
    payload = typed(payload)
    return Typed(tpid, struct.pack(">HH", priority << 13 | vid, payload.type) + payload)


def mpls(labels, payload):
    """RFC 3032 section 2.1; payload: IP, or the bytes of a pseudo-wire."""
    stack = b"".join(struct.pack(">I", label << 12 | (i == len(labels) - 1) << 8 | 64)
                     for i, label in enumerate(labels))
    return Typed(0x8847, stack + payload)


def ppp(payload, framed=False):
    """RFC 1661; framed: with address and control (RFC 1662)."""
    return (b"\xff\x03" if framed else b"") + (b"\0\x57" if payload[0] >> 4 == 6 else b"\0\x21") + payload


def pppoe(payload, session=1):
    """RFC 2516 section 4."""
    inner = ppp(payload)
    return Typed(0x8864, struct.pack(">BBHH", 0x11, 0, session, len(inner)) + inner)


def snap(payload):
    """RFC 1042: LLC, SNAP, EtherType."""
    payload = typed(payload)
    data = b"\xaa\xaa\3\0\0\0" + struct.pack(">H", payload.type) + payload
    return Typed(len(data), data)


def null(payload, family=2, order="<"):
    return struct.pack(order + "I", family) + payload


def loop(payload, family=2):
    return null(payload, family, ">")


def sll(payload):
    payload = typed(payload)
    return struct.pack(">HHH8sH", 0, 1, 6, MAC_A + b"\0\0", payload.type) + payload


def sll2(payload):
    payload = typed(payload)
    return struct.pack(">HHIHBB8s", payload.type, 0, 1, 1, 0, 6, MAC_A + b"\0\0") + payload


def wlan(payload, qos=True):
    """IEEE 802.11 data frame to the access point; LLC follows."""
    head = struct.pack("<BBH6s6s6sH", 0x88 if qos else 0x08, 1, 0, b"\x02\0\0\0\0\x0c", MAC_A, MAC_B, 0)
    return head + (b"\0\0" if qos else b"") + snap(payload)


def radiotap(frame, fcs=False):
    """https://www.radiotap.org: TSFT (bit 0), then the flags (bit 1), of which 0x10 says that an FCS is there."""
    return struct.pack("<BBHIQB", 0, 0, 17, 3, 99, 0x10 if fcs else 0) + frame + (b"FCS!" if fcs else b"")


# --- tunnels: each returns what the outer IP or UDP carries ---

def gre(payload, key=None, sequence=None, kind=None):
    """RFC 2784, RFC 2890."""
    if kind is None:
        payload = typed(payload)
        kind = payload.type
    flags = (0x2000 if key is not None else 0) | (0x1000 if sequence is not None else 0)
    out = struct.pack(">HH", flags, kind)
    out += struct.pack(">I", key) if key is not None else b""
    out += struct.pack(">I", sequence) if sequence is not None else b""
    return out + payload


def nvgre(frame, vsid, flow=0):
    """RFC 7637 section 3.2."""
    return gre(frame, key=vsid << 8 | flow, kind=0x6558)


def erspan1(frame):
    return gre(frame, kind=0x88be)


def erspan2(frame, session, index=0):
    """draft-foschiano-erspan-03 section 4.2."""
    return gre(struct.pack(">HHI", 1 << 12, session, index) + frame, sequence=1, kind=0x88be)


def erspan3(frame, session, platform=False):
    """Section 4.3 of the same; platform: with the 8 bytes that the O bit announces."""
    head = struct.pack(">HHIHH", 2 << 12, session, 0, 0, 1 if platform else 0)
    return gre(head + (b"\0" * 8 if platform else b"") + frame, sequence=1, kind=0x22eb)


def vxlan(frame, vni):
    """RFC 7348 section 5."""
    return struct.pack(">II", 0x08000000, vni << 8) + frame


def geneve(payload, vni, options=b"", kind=0x6558):
    """RFC 8926 section 3.4."""
    return struct.pack(">BBHI", len(options) // 4, 0, kind, vni << 8) + options + payload


def gtpu(payload, teid, extensions=()):
    """3GPP TS 29.281 section 5.1. extensions: (type, contents); contents fill 4 n - 2 bytes."""
    body = b""
    if extensions:
        body = struct.pack(">HBB", 7, 0, extensions[0][0])
        for i, (_, contents) in enumerate(extensions):
            following = extensions[i + 1][0] if i + 1 < len(extensions) else 0
            body += bytes([(len(contents) + 2) // 4]) + contents + bytes([following])
    body += payload
    return struct.pack(">BBHI", 0x34 if extensions else 0x30, 255, len(body), teid) + body


def l2tp(payload, tunnel=1, session=2):
    """RFC 2661 section 3.1, with length and sequence numbers."""
    inner = ppp(payload, framed=True)
    return struct.pack(">HHHHHH", 0x4802, 12 + len(inner), tunnel, session, 1, 0) + inner


# --- files ---

class Packet:
    """A frame for a file. wire: its length on the wire when fewer bytes were captured."""

    def __init__(self, data, note="", at=None, wire=None, link=None):
        self.data, self.note, self.at, self.wire, self.link = bytes(data), note, at, wire, link

    def cut(self, snaplen):
        """The packet as captured with a snap length."""
        return Packet(self.data[:snaplen], f"{self.note} cut to {snaplen}", self.at, self.wire or len(self.data),
                      self.link)

    def stamped(self, at):
        return Packet(self.data, self.note, at, self.wire, self.link)


def pcap(packets, link=ETHERNET, order="<", ns=True):
    """https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html"""
    out = [struct.pack(order + "IHHiIII", 0xa1b23c4d if ns else 0xa1b2c3d4, 2, 4, 0, 0, 1 << 18, link)]
    for p in packets:
        fraction = p.at % 10**9 // (1 if ns else 1000)
        out += [struct.pack(order + "IIII", p.at // 10**9, fraction, len(p.data), p.wire or len(p.data)), p.data]
    return b"".join(out)


def pcapng(packets, links, order="<"):
    """https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html; an interface for each link type."""
    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)
    out = [block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1))]
    for link in links:
        out.append(block(1, struct.pack(order + "HHI", link, 0, 1 << 18)
                         + struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0)))  # if_tsresol: ns
    for p in packets:
        out.append(block(6, struct.pack(order + "IIIII", links.index(p.link), p.at >> 32, p.at & 0xffffffff,
                                        len(p.data), p.wire or len(p.data)) + p.data))
    return b"".join(out)


# --- a TCP talk ---

class Side:
    """One end of a talk. Offsets count from the byte after its SYN; called, it sends a segment."""

    def __init__(self, talk, letter, ip_, port, isn):
        self.talk, self.letter, self.ip, self.port, self.isn = talk, letter, ip_, port, isn
        self.sent = 0      # highest offset sent, so that the peer acknowledges it unless told otherwise
        self.peer = None

    @property
    def name(self):
        """The name of its stream's file."""
        def host(text):
            return text if ":" in text else ".".join(f"{int(x):03d}" for x in text.split("."))
        return f"{host(self.ip)}.{self.port:05d}-{host(self.peer.ip)}.{self.peer.port:05d}"

    def __call__(self, offset, data=b"", flags="A", ack=None, note="", **fields):
        """A segment at this offset. ack: offset of the peer's stream that it acknowledges."""
        data = data.encode() if isinstance(data, str) else data
        ack = self.peer.sent if ack is None else ack
        bits = 0
        for letter in flags:
            bits |= FLAG[letter]
        if not fields.pop("forged", False) and not bits & RST:
            self.sent = max(self.sent, offset + len(data) + bool(bits & FIN) + bool(bits & SYN))
        acked = (self.peer.isn + 1 + ack if bits & ACK else 0) & 0xffffffff
        shown = data if len(data) <= 12 else data[:9] + b"..."
        text = f"{self.letter} off {offset} len {len(data)} [{flags}]" + (f" ack {ack}" if bits & ACK else "")
        text += (f" {shown!r}" if data else "") + (f" {note}" if note else "")
        segment = tcp(self.ip, self.peer.ip, self.port, self.peer.port, self.isn + 1 + offset, acked, bits, data,
                      **fields)
        return Packet(self.talk.wrap(self.talk.ip(segment, self.ip, self.peer.ip)), text)

    def syn(self, data=b"", isn=None, flags="S", note="SYN", **more):
        """A SYN; another isn becomes this side's."""
        if isn is not None:
            self.isn = isn
        packet = self(-1, data, flags, note=note, **more)
        self.sent = max(0, self.sent)
        return packet

    def synack(self, data=b"", isn=None, ack=None, **more):
        return self.syn(data, isn, "SA", ack=ack, **more)

    def fin(self, offset, data=b"", **more):
        return self(offset, data, "FA", **more)

    def rst(self, offset, data=b"", flags="R", **more):
        return self(offset, data, flags, **more)


class Talk:
    """A client c and a server s. wrap: from IP datagrams to frames; ip: from segments to datagrams."""

    def __init__(self, client="10.0.0.1", server="10.0.0.2", sport=40000, dport=80, cisn=1000, sisn=5000, wrap=eth,
                 ip=ip):  # pylint: disable=redefined-outer-name
        self.wrap, self.ip = wrap, ip
        self.c = Side(self, "C", client, sport, cisn)
        self.s = Side(self, "S", server, dport, sisn)
        self.c.peer, self.s.peer = self.s, self.c

    @property
    def sides(self):
        return self.c, self.s

    def open(self):
        """The handshake of RFC 9293 section 3.5, figure 6. It may be built after what follows it."""
        return [self.c.syn(), self.s.synack(ack=0), self.c(0, ack=0)]

    def close(self):
        """FIN from the client, FIN from the server, the last ACK."""
        return [self.c.fin(self.c.sent), self.s.fin(self.s.sent), self.c(self.c.sent)]

    def plain(self):
        """A whole connection: 'hello' to the server, 'world' back."""
        return [*self.open(), self.c(0, "hello"), self.s(0, "world"), *self.close()]
