# SPDX-License-Identifier: BSD-3-Clause
"""Cases 33-40: a tuple used again."""
from build import UDP, Packet, Talk, eth, ip, udp
from case import Case


def again(first, label, cisn=500_000_000, sisn=600_000_000, flows=2):
    """first: packets of an old connection on the default tuple, of which each side's stream is 'hello' or 'world'."""
    t = Talk(cisn=cisn, sisn=sisn)
    p = [*t.open(), t.c(0, "second"), t.s(0, "answer"), *t.close()]
    return Case([*first, *p], {t.c: b"hello", t.s: b"world", t.c.name + "c1": b"second", t.s.name + "c1": b"answer"},
                flows=flows, label=label)


def case_33():
    """The tuple used again after FIN: a new connection (RFC 9293 section 3.6.1)."""
    return [again(Talk().plain(), "SYN above", flows=[{"end": "reused"}, {"end": "end_of_input"}]),
            again(Talk(cisn=900_000_000).plain(), "SYN below")]


def case_34():
    """The tuple used again after RST: a new connection."""
    out = []
    for side in ("c", "s"):
        t = Talk()
        out.append(again([*t.open(), t.c(0, "hello"), t.s(0, "world"), getattr(t, side).rst(5)], f"RST by {side}"))
    return out


def case_35():
    """The tuple used again, the close not captured: a new connection once the SYN is answered."""
    t = Talk()
    whole = again(t.plain()[:-3], "SYN answered")
    t, n = Talk(), Talk(cisn=500_000_000, sisn=600_000_000)
    p = n.open()
    lost = Case([*t.plain()[:-3], p[0], p[2], n.c(0, "second"), n.s(0, "answer"), *n.close()],
                {t.c: b"hello", t.s: b"world", t.c.name + "c1": b"second", t.s.name + "c1": b"answer"}, flows=2,
                label="SYN/ACK lost, the client goes on behind its SYN")
    t, n = Talk(), Talk(cisn=500_000_000, sisn=600_000_000)
    p = n.open()
    late = Case([*t.plain()[:-3], p[1], p[2], n.c(0, "second"), n.s(0, "answer"), *n.close()],
                {t.c: b"hello", t.s: b"world", t.c.name + "c1": b"second", t.s.name + "c1": b"answer"}, flows=2,
                label="SYN lost")
    return [whole, lost, late]


def case_36():
    """A lone injected SYN in an open connection: the old stream goes on (RFC 5961 section 4)."""
    out = []
    for isn, label in ((77_000_000, "far away"), (1003, "inside the window"), (1002, "the next byte but one")):
        t = Talk()
        start = [*t.open(), t.c(0, "he"), t.s(0, "wor")]
        syn = Talk(cisn=isn).c.syn(note="injected")
        out.append(Case([*start, syn, t.s(3, "", ack=2), t.c(2, "llo"), t.s(3, "ld"), *t.close()],
                        {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF"}], label=label))
    return out


def case_37():
    """A new ISN just above the old end (RFC 9293 section 3.4.3 asks for that): still a new connection."""
    return [again(Talk().plain(), "closed", cisn=1000 + 7, sisn=5000 + 7),
            again(Talk().plain(), "closed, 100 above", cisn=1100, sisn=5100),
            again(Talk().plain()[:-3], "close not captured", cisn=1000 + 7, sisn=5000 + 7)]


def case_38():
    """A late duplicate of the old connection inside the new one is no part of it."""
    out = []
    for cisn, sisn, label in ((500_000_000, 600_000_000, "far below"), (3_000_000_000, 4_000_000_000, "far above"),
                              (2000, 6000, "just below")):
        old = Talk()
        first = old.plain()
        t = Talk(cisn=cisn, sisn=sisn)
        p = [*t.open(), old.c(0, "hello", note="old"), t.c(0, "sec"), old.s(0, "world", note="old"), t.s(0, "answer"),
             old.c(0, "hello", note="old"), t.c(3, "ond"), *t.close()]
        out.append(Case([*first, *p], {t.c: b"hello", t.s: b"world", t.c.name + "c1": b"second",
                                       t.s.name + "c1": b"answer"}, flows=2, label=label))
    return out


def case_39():
    """The tuple used again with roles swapped: a new connection, whose originator is the old server."""
    t = Talk()
    n = Talk("10.0.0.2", "10.0.0.1", 80, 40000, 500_000_000, 600_000_000)
    p = [*n.open(), n.c(0, "second"), n.s(0, "answer"), *n.close()]
    return Case([*t.plain(), *p],
                {t.c: b"hello", t.s: b"world", n.c.name + "c1": b"second", n.s.name + "c1": b"answer"},
                flows=[{"id.orig_h": "10.0.0.1", "id.orig_p": 40000}, {"id.orig_h": "10.0.0.2", "id.orig_p": 80}])


def case_40():
    """A closed flow is replaced at once; the key is the whole tuple, never a hash of it."""
    p, streams = [], {}
    for i in range(5):
        t = Talk(cisn=1000 + i * 300_000_000, sisn=5000 + i * 300_000_000)
        p += [*t.open(), t.c(0, f"hello {i}"), t.s(0, f"world {i}"), *t.close()]
        number = f"c{i}" if i else ""
        streams[t.c.name + number] = b"hello %d" % i
        streams[t.s.name + number] = b"world %d" % i
    at_once = Case(p, streams, flows=5, label="five in a row")

    # The exclusive or of the addresses is the same for all, that of the ports too: symmetric hashes collide.
    talks = [Talk("10.0.0.1", "10.0.0.2", 1000, 2000), Talk("10.0.0.1", "10.0.0.2", 2000, 1000),
             Talk("10.0.0.5", "10.0.0.6", 1000, 2000), Talk("10.0.0.3", "10.0.0.0", 1000, 2000),
             Talk("10.0.1.0", "10.0.1.3", 1000, 2000), Talk("10.0.1.1", "10.0.1.2", 1000, 2000)]
    steps = [t.plain() for t in talks]
    streams = {}
    for t in talks:
        streams.update({t.c: b"hello", t.s: b"world"})
    mixed = Case([packet for step in zip(*steps) for packet in step], streams, flows=6,
                 label="six tuples with one hash, interleaved")
    t = Talk()
    first = t.plain()
    other = Case([*first[:4], Packet(eth(ip(udp("10.0.0.1", "10.0.0.2", 40000, 80, b"datagram"), "10.0.0.1", "10.0.0.2",
                                                  UDP)), "UDP"), *first[4:]], {t.c: b"hello", t.s: b"world"},
                 label="UDP with the same ports")
    return [at_once, mixed, other]


def trap_two_sequence_spaces():
    """One tuple seen on both sides of a device that rewrites sequence numbers: few connections, not one a segment."""
    inside, outside = Talk(), Talk(cisn=2_000_001_000, sisn=3_000_005_000)
    p = []
    for a, b in zip(inside.open(), outside.open()):
        p += [a, b]
    for i in range(50):
        p += [inside.c(i * 10, b"%010d" % i), outside.c(i * 10, b"%010d" % i)]
        p += [inside.s(i * 10, b"%010d" % i), outside.s(i * 10, b"%010d" % i)]
    want = b"".join(b"%010d" % i for i in range(50))
    return Case(p, {inside.c: want, inside.s: want}, flows=1)
