# SPDX-License-Identifier: BSD-3-Clause
"""Cases 21-31: FIN and RST."""
from build import Talk
from case import Case


def case_21():
    """FIN with data, sent again: stored once, one connection (RFC 9293 section 3.6)."""
    t = Talk()
    fin = t.c.fin(2, "llo")
    same = Case([*t.open(), t.c(0, "he"), fin, fin, t.s(0, "world"), t.s.fin(5), t.c(6)],
                {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF"}], label="the same segment")
    t = Talk()
    other = Case([*t.open(), t.c(0, "he"), t.c.fin(2, "llo"), t.c.fin(0, "hello"), t.s(0, "world"), t.s.fin(5), t.c(6)],
                 {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF"}], label="with all of the data")
    return [same, other]


def case_22():
    """FIN captured before the last data: the bytes are kept."""
    t = Talk()
    start = [*t.open(), t.c(0, "he")]
    data, fin = t.c(2, "llo"), t.c.fin(5)
    bare = Case([*start, fin, data, t.s(0, "world"), t.s.fin(5), t.c(6)], {t.c: b"hello", t.s: b"world"},
                flows=[{"conn_state": "SF"}], label="bare FIN")
    t = Talk()
    start = [*t.open(), t.c(0, "he")]
    data, fin = t.c(2, "ll"), t.c.fin(4, "o")
    full = Case([*start, fin, t.s(0, "world", ack=2), data, t.s.fin(5), t.c(6)], {t.c: b"hello", t.s: b"world"},
                flows=[{"conn_state": "SF"}], label="FIN with data")
    return [bare, full]


def case_23():
    """Data beyond the FIN is no stream data (RFC 9293 section 3.10.7.4: nothing follows a FIN), and is counted."""
    t = Talk()
    after = Case([*t.open(), t.c(0, "hello"), t.c.fin(5), t.c(6, "EVIL", forged=True), t.s(0, "world"), t.s.fin(5), t.c(6)],
                 {t.c: b"hello", t.s: b"world"}, counters={"refused_beyond_fin": 4}, label="behind it")
    t = Talk()
    across = Case([*t.open(), t.c(0, "he"), t.c.fin(5), t.c(2, "lloEVIL", forged=True), t.s(0, "world"), t.s.fin(5), t.c(6)],
                  {t.c: b"hello", t.s: b"world"}, counters={"refused_beyond_fin": 4}, label="across it")
    t = Talk()
    start = [*t.open(), t.c(0, "he")]
    held = Case([*start, t.c(4, "oEVIL", forged=True), t.c.fin(5), t.c(2, "ll"), t.s(0, "world"), t.s.fin(5), t.c(6)],
                {t.c: b"hello", t.s: b"world"}, counters={"refused_beyond_fin": 4}, label="held before the FIN came")
    t = Talk()
    forged = Case([*t.open(), t.c(0, "hello"), t.c.fin(5), t.c(5, " world"), t.s(0, "fine", ack=11), t.c(11, "!"), t.c.fin(12),
                   t.s.fin(4, ack=13), t.c(13)],
                  {t.c: b"hello world!", t.s: b"fine"}, counters={"fin_ignored": 1, "refused_beyond_fin": 0},
                  label="not accepted: the peer acknowledges bytes behind it")
    return [after, across, held, forged]


def case_24():
    """Half-close: the other side goes on (RFC 9293 section 3.6, case 2)."""
    t = Talk()
    return Case([*t.open(), t.c(0, "hello"), t.c.fin(5), t.s(0), t.s(0, "wor"), t.c(6), t.s(3, "ld"), t.c(6),
                 t.s.fin(5), t.c(6)], {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF"}])


def case_25():
    """Retransmission after both FINs: no new connection."""
    t = Talk()
    return Case([*t.plain(), t.c(0, "hello"), t.c.fin(5), t.s(0, "world"), t.s.fin(5)], {t.c: b"hello", t.s: b"world"},
                flows=[{"conn_state": "SF"}])


def case_26():
    """A hole filled after the FIN: the bytes are kept."""
    t = Talk()
    start = [*t.open(), t.c(0, "he")]
    hole, rest = t.c(2, "l"), t.c.fin(3, "lo")
    one = Case([*start, rest, hole, t.s(0, "world"), t.s.fin(5), t.c(6)], {t.c: b"hello", t.s: b"world"},
               flows=[{"conn_state": "SF"}], label="after its own FIN")
    t = Talk()
    start = [*t.open(), t.c(0, "he")]
    hole, rest = t.c(2, "l"), t.c.fin(3, "lo")
    both = Case([*start, rest, t.s(0, "world"), t.s.fin(5), t.c(6), hole], {t.c: b"hello", t.s: b"world"},
                flows=[{"conn_state": "SF"}], label="after both FINs")
    return [one, both]


def case_27():
    """RST, then a late retransmission: stored once, no new connection."""
    t = Talk()
    own = Case([*t.open(), t.c(0, "hello"), t.s(0, "world"), t.c.rst(5), t.c(0, "hello")],
               {t.c: b"hello", t.s: b"world"}, label="of the sender of the RST")
    t = Talk()
    other = Case([*t.open(), t.c(0, "hello"), t.s(0, "world"), t.s.rst(5), t.c(0, "hello")],
                 {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "RSTR"}], label="of its peer")
    return [own, other]


def case_28():
    """The payload of a RST is no stream data: it may say why (RFC 9293 section 3.5.3)."""
    t = Talk()
    return Case([*t.open(), t.c(0, "hello"), t.s(0, "world"), t.s.rst(5, "go away")], {t.c: b"hello", t.s: b"world"},
                counters={"refused_rst": 7}, flows=[{"conn_state": "RSTR"}])


def case_29():
    """A RST outside the window is ignored (RFC 5961 section 3.2)."""
    out = []
    for offset, label in ((70_000_000, "far ahead"), (-500_000, "far behind")):
        t = Talk()
        out.append(Case([*t.open(), t.c(0, "he"), t.c.rst(offset), t.s(0, "world"), t.c(2, "llo"), *t.close()],
                        {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF"}], label=label))
    return out


def case_30():
    """A forged RST with the exact sequence, and the stream goes on: the bytes are kept, and an event is raised."""
    t = Talk()
    return Case([*t.open(), t.c(0, "he"), t.c.rst(2, note="forged"), t.c(2, "llo"), t.s(0, "world"), *t.close()],
                {t.c: b"hello", t.s: b"world"}, flows=[{"conn_state": "SF", "events": "rst_ignored"}])


def case_31():
    """RST before all data is acknowledged: the data is delivered, and there is no false gap."""
    t = Talk()
    peer = Case([*t.open(), t.c(0, "he"), t.c(2, "llo"), t.s.rst(0, flags="RA", ack=2)], {t.c: b"hello"},
                label="by the peer")
    t = Talk()
    start = [*t.open(), t.c(0, "hello"), t.s(0, "wor")]
    flying = Case([*start, t.c.rst(5), t.s(3, "ld")], {t.c: b"hello", t.s: b"world"}, label="more was under way")
    t = Talk()
    ahead = Case([*t.open(), t.c(0, "hello"), t.s(0, "world"), t.c.rst(900)], {t.c: b"hello", t.s: b"world"},
                 label="its sequence number counts what was never sent")
    t = Talk()
    start = [*t.open(), t.c(0, "he")]
    hole, rest = t.c(2, "l"), t.c(3, "lo")
    held = Case([*start, rest, t.s.rst(0, flags="RA", ack=2), hole], {t.c: b"hello"}, label="hole filled after it")
    return [peer, flying, ahead, held]
