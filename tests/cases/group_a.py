# SPDX-License-Identifier: BSD-3-Clause
"""Cases 1-14: the handshake."""
from build import Talk, wscale
from case import Case, plain


def case_1():
    """Plain three-way handshake: both streams begin at ISN + 1 (RFC 9293 section 3.5)."""
    return plain(Talk(), flows=[{"conn_state": "SF", "history": "ShADdFf", "orig_bytes": 5, "resp_bytes": 5}])


def case_2():
    """SYN sent again with the same ISN: the same connection."""
    t = Talk()
    return Case([t.c.syn(), t.c.syn(), *t.plain()], {t.c: b"hello", t.s: b"world"})


def case_3():
    """SYN unanswered, then a SYN with a new ISN is answered: only the answered ISN counts."""
    def tries(*isns):
        t = Talk()
        return Case([*(t.c.syn(isn=i) for i in isns), *t.plain()], {t.c: b"hello", t.s: b"world"},
                    label=f"ISNs {isns}")
    def late_answer():
        t = Talk()
        p = [t.c.syn(isn=1000), t.c.syn(isn=700000)]
        t.c.isn = 1000  # it is the first that is answered
        return Case([*p, *t.plain()[1:]], {t.c: b"hello", t.s: b"world"}, label="the first is answered")
    return [tries(900, 1000), tries(3_000_000_000, 1000), tries(1, 2, 1000), late_answer()]


def case_4():
    """SYN/ACK twice: the same connection."""
    t = Talk()
    return Case([t.c.syn(), t.s.synack(), t.s.synack(), *t.plain()[2:]], {t.c: b"hello", t.s: b"world"})


def case_5():
    """Two SYN/ACKs with different ISNs: the client's ACK selects."""
    def chosen(isn):
        t = Talk()
        p = [t.c.syn(), t.s.synack(isn=5000), t.s.synack(isn=900_000)]
        t.s.isn = isn
        return Case([*p, *t.plain()[2:]], {t.c: b"hello", t.s: b"world"}, label=f"ISN {isn}")
    return [chosen(5000), chosen(900_000)]


def case_6():
    """Simultaneous open: one connection (RFC 9293 section 3.5, figure 7)."""
    t = Talk()
    first = Case([t.c.syn(), t.s.syn(), t.c.synack(), t.s.synack(), t.c(0, "hello"), t.s(0, "world"), *t.close()],
                 {t.c: b"hello", t.s: b"world"}, label="SYN/ACKs")
    t = Talk()
    second = Case([t.c.syn(), t.s.syn(), t.c(0), t.s(0), t.c(0, "hello"), t.s(0, "world"), *t.close()],
                  {t.c: b"hello", t.s: b"world"}, label="bare ACKs")
    return [first, second]


def case_7():
    """Split handshakes: the server answers with ACK and a SYN of its own; one connection, both streams whole."""
    def four():
        t = Talk()
        return [t.c.syn(), t.s(-1, flags="A", note="ACK of the SYN", forged=True), t.s.syn(), t.c(0)], t
    def four_short():
        t = Talk()
        return [t.c.syn(), t.s.syn(), t.c.synack(), t.s(0)], t
    def five():
        t = Talk()
        return [t.c.syn(), t.s(-1, flags="A", note="ACK of the SYN", forged=True), t.s.syn(), t.c.synack(), t.s(0)], t
    out = []
    for make in (four, four_short, five):
        opening, t = make()
        out.append(Case([*opening, t.c(0, "hello"), t.s(0, "world"), *t.close()], {t.c: b"hello", t.s: b"world"},
                        label=make.__name__))
    return out


def case_8():
    """SYN/ACK captured before the SYN: no second connection."""
    t = Talk()
    p = t.plain()
    return Case([p[1], p[0], *p[2:]], {t.c: b"hello", t.s: b"world"},
                flows=[{"id.orig_h": "10.0.0.1", "id.orig_p": 40000, "conn_state": "SF"}])


def case_9():
    """Data captured before its SYN: offset 0 stays ISN + 1."""
    t = Talk()
    syn, synack, ack = t.open()
    first = Case([t.c(0, "hello"), syn, synack, ack, t.s(0, "world"), *t.close()], {t.c: b"hello", t.s: b"world"},
                 label="the first bytes")
    t = Talk()
    syn, synack, ack = t.open()
    later, lower = t.c(2, "llo"), t.c(0, "he")
    second = Case([later, syn, synack, ack, lower, t.s(0, "world"), *t.close()], {t.c: b"hello", t.s: b"world"},
                  label="later bytes, the first ones last")
    t = Talk()
    syn, synack, ack = t.open()
    data = t.s(0, "world")
    third = Case([syn, data, synack, ack, t.c(0, "hello"), *t.close()], {t.c: b"hello", t.s: b"world"},
                 label="the server's, before its SYN/ACK")
    return [first, second, third]


def case_10():
    """SYN with ECE and CWR, SYN/ACK with ECE (RFC 3168 section 6.1.1): a SYN like any other."""
    t = Talk()
    return Case([t.c.syn(flags="SEC"), t.s.syn(flags="SAE"), t.c(0), t.c(0, "hello", "APE"), t.s(0, "world", "AC"),
                 *t.close()], {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF"}])


def case_11():
    """Data on the SYN, acknowledged: it counts from offset 0 (RFC 7413 section 4.2)."""
    t = Talk()
    whole = Case([t.c.syn("hel"), t.s.synack(ack=3), t.c(3), t.c(3, "lo"), t.s(0, "world"), *t.close()],
                 {t.c: b"hello", t.s: b"world"}, label="all of it")
    t = Talk()
    part = Case([t.c.syn("hel"), t.s.synack(ack=2), t.c(2, "llo"), t.s(0, "world"), *t.close()],
                {t.c: b"hello", t.s: b"world"}, label="part of it, the rest sent again")
    return [whole, part]


def case_12():
    """Data on the SYN, not acknowledged and sent again: stored once (RFC 7413 section 4.2.2)."""
    t = Talk()
    same = Case([t.c.syn("hel"), t.s.synack(ack=0), t.c(0, "hello"), t.s(0, "world"), *t.close()],
                {t.c: b"hello", t.s: b"world"}, label="the same bytes")
    t = Talk()
    other = Case([t.c.syn("XXX"), t.s.synack(ack=0), t.c(0, "hello"), t.s(0, "world"), *t.close()],
                 {t.c: b"hello", t.s: b"world"}, label="other bytes: those of the SYN were never taken")
    t = Talk()
    dropped = Case([t.c.syn("hel"), t.c.syn(), t.s.synack(ack=0), t.c(0, "hello", ack=0), t.s(0, "world"), *t.close()],
                   {t.c: b"hello", t.s: b"world"}, label="the SYN sent again without it")
    return [same, other, dropped]


def case_13():
    """Data on the SYN/ACK is stream data (RFC 9293 section 3.10.7.4 keeps the text of a SYN segment)."""
    t = Talk()
    return Case([t.c.syn(), t.s.synack("wor"), t.c(0, ack=3), t.c(0, "hello"), t.s(3, "ld"), *t.close()],
                {t.c: b"hello", t.s: b"world"})


def case_14():
    """A stale connection's challenge ACK, RST, SYN again: the real data is kept (RFC 9293 section 3.5.1, RFC 5961)."""
    t = Talk()
    syn = t.c.syn(options=wscale(7))
    challenge = t.s(70_000_000, flags="A", ack=80_000_000, note="challenge ACK of an older connection", forged=True)
    rst = t.c.rst(80_000_000, note="answers the challenge")
    return Case([syn, challenge, rst, syn, *t.plain()[1:]], {t.c: b"hello", t.s: b"world"},
                flows=[{"conn_state": "SF"}])
