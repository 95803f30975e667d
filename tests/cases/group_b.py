# SPDX-License-Identifier: BSD-3-Clause
"""Cases 15-20: captures that begin in the middle, or see one side."""
from build import Talk
from case import Case


def case_15():
    """Midstream, both directions: each stream begins with its first byte captured."""
    t = Talk()
    return Case([t.c(500, "hel"), t.s(700, "wor"), t.c(503, "lo"), t.s(703, "ld")], {t.c: b"hello", t.s: b"world"},
                flows=[{"conn_state": "OTH"}])


def case_16():
    """Midstream, the first captured segment is not the lowest: the earlier bytes are kept."""
    t = Talk()
    a, b, c = t.c(500, "he"), t.c(502, "ll"), t.c(504, "o", "PA")
    first = Case([b, a, c, t.s(700, "world")], {t.c: b"hello", t.s: b"world"}, label="second, first, third")
    t = Talk()
    a, b, c = t.c(500, "he"), t.c(502, "ll"), t.c(504, "o", "PA")
    second = Case([c, b, a, t.s(700, "world")], {t.c: b"hello", t.s: b"world"}, label="third, second, first")
    t = Talk()
    a, b, c = t.c(500, "he"), t.c(502, "ll"), t.c(504, "o", "PA")
    third = Case([c, a], {t.c: b"he\0\0o"}, {t.c: [(2, 2, "never_seen")]}, label="third, first")
    return [first, second, third]


def case_17():
    """SYN lost, SYN/ACK seen, first segment lost: the leading hole is known, its ACK being ISN + 1."""
    t = Talk()
    synack, ack = t.open()[1:]
    with_ack = Case([synack, ack, t.c(2, "llo"), t.s(0, "world"), *t.close()], {t.c: b"\0\0llo", t.s: b"world"},
                    {t.c: [(0, 2, "never_seen")]}, label="ACK seen")
    t = Talk()
    synack = t.open()[1]
    without = Case([synack, t.c(2, "llo"), t.s(0, "world"), *t.close()], {t.c: b"\0\0llo", t.s: b"world"},
                   {t.c: [(0, 2, "never_seen")]}, label="ACK lost too")
    return [with_ack, without]


def case_18():
    """Only one direction captured: its stream is whole, the other has no file."""
    t = Talk()
    client = Case([p for p in t.plain() if p.note.startswith("C")], {t.c: b"hello"}, label="the client's")
    t = Talk()
    server = Case([p for p in t.plain() if p.note.startswith("S")], {t.s: b"world"}, label="the server's",
                  flows=[{"id.orig_h": "10.0.0.1", "id.orig_p": 40000}])
    return [client, server]


def case_19():
    """Midstream FIN with data; a window whose scale is unknown does not make segments fall outside."""
    t = Talk()
    first = Case([t.s(700, "world", window=2), t.c.fin(500, "hello"), t.s.fin(705, window=2), t.c(506)],
                 {t.c: b"hello", t.s: b"world"}, label="FIN first")
    t = Talk()
    body = [bytes([65 + i]) * 1000 for i in range(26)]
    parts = [t.c(500 + i * 1000, part, ack=705) for i, part in enumerate(body)]
    second = Case([t.s(700, "world", ack=500, window=2), *parts, t.c.fin(26500, ack=705)],
                  {t.c: b"".join(body), t.s: b"world"}, label="26,000 bytes in a window of 2")
    return [first, second]


def case_20():
    """Midstream, a keep-alive of one byte first: no stream begins with it, no gap is reported (RFC 9293 3.8.4)."""
    t = Talk()
    garbage = Case([t.c(499, "\0", note="keep-alive"), t.s(700, ack=500), t.c(500, "hello"), t.s(700, "world")],
                   {t.c: b"hello", t.s: b"world"}, label="garbage byte")
    t = Talk()
    empty = Case([t.c(499, note="keep-alive"), t.s(700, ack=500), t.c(500, "hello"), t.s(700, "world")],
                 {t.c: b"hello", t.s: b"world"}, label="no byte")
    t = Talk()
    real = Case([t.s(700, "world", ack=500), t.c(500, "h"), t.c(501, "ello")], {t.c: b"hello", t.s: b"world"},
                label="no keep-alive: the peer waits for that byte")
    return [garbage, empty, real]
