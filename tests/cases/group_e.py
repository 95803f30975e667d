# SPDX-License-Identifier: BSD-3-Clause
"""Cases 41-70: order, overlap, loss, and sequence numbers that wrap."""
from build import RAW, Packet, Talk, timestamps
from case import Case

MIB = 1 << 20
POLICIES = ("first", "last", "bsd", "linux", "old-linux", "windows", "solaris")


def small(t, *middle, **more):
    """A whole connection whose client sends 'hello' in the given packets."""
    return Case([*t.open(), *middle, t.s(0, "world"), t.c.fin(5, forged=True), t.s.fin(5), t.c(6)],
                {t.c: b"hello", t.s: b"world"}, **more)


def case_41():
    """A swapped pair."""
    t = Talk()
    start = t.open()
    a, b = t.c(0, "he"), t.c(2, "llo")
    return Case([*start, b, a, t.s(0, "world"), *t.close()], {t.c: b"hello", t.s: b"world"})


def case_42():
    """Fifty segments in reverse."""
    t = Talk()
    parts = [b"%04d" % i for i in range(50)]
    start = t.open()
    p = [t.c(i * 4, part) for i, part in enumerate(parts)]
    return Case([*start, *reversed(p), t.s(0, "world"), *t.close()], {t.c: b"".join(parts), t.s: b"world"})


def case_43():
    """Exact retransmission: stored once."""
    t = Talk()
    a, b = t.c(0, "he"), t.c(2, "llo")
    delivered = small(t, a, b, a, b, label="of what was delivered", counters={"payload_duplicate": 5})
    t = Talk()
    a, b = t.c(0, "he"), t.c(2, "llo")
    held = small(t, b, b, a, label="of what was held", counters={"payload_duplicate": 3})
    return [delivered, held]


def case_44():
    """Longer retransmission: its new bytes count."""
    t = Talk()
    delivered = small(t, t.c(0, "he"), t.c(0, "hello"), label="of what was delivered")
    t = Talk()
    held = small(t, t.c(2, "l"), t.c(2, "llo"), t.c(0, "he"), label="of what was held")
    return [delivered, held]


def case_45():
    """Several segments sent again as one: stored once."""
    t = Talk()
    delivered = small(t, t.c(0, "he"), t.c(2, "ll"), t.c(0, "hello"), label="of what was delivered")
    t = Talk()
    holes = small(t, t.c(1, "e"), t.c(3, "l"), t.c(0, "hello"), label="with holes between")
    t = Talk()
    above = small(t, t.c(2, "l"), t.c(4, "o"), t.c(1, "ello"), t.c(0, "h"), label="above a hole")
    return [delivered, holes, above]


def overlap(first, second, wanted, label, fill=0, total=8):
    """Two segments (offset, bytes) above a hole that is filled last; by policy the bytes from fill + 1 on."""
    out = []
    for policy in POLICIES:
        want = wanted.get(policy, wanted["else"])
        t = Talk()
        p = [*t.open(), t.c(*first), t.c(*second), t.c(0, "0" * (fill + 1)), t.s(0, "world"), *t.close()]
        out.append(Case(p, {t.c: b"0" * (fill + 1) + want.encode(), t.s: b"world"},
                        args=("--overlap", policy), counters={"tcp_overlap_diff": 1}, label=f"{label}, {policy}"))
    return out


def case_46():
    """The same range with other bytes: the policy decides, an event is raised. What was delivered stays."""
    out = overlap((1, "aaa"), (1, "bbb"), {"last": "bbb", "old-linux": "bbb", "solaris": "bbb", "else": "aaa"}, "held")
    for policy in POLICIES:
        t = Talk()
        out.append(Case([*t.open(), t.c(0, "hello"), t.c(0, "EVIL!"), t.s(0, "world"), *t.close()],
                        {t.c: b"hello", t.s: b"world"}, args=("--overlap", policy), label=f"delivered, {policy}"))
    return out


def case_47():
    """Left overlap: the second copy begins before the first and ends in it."""
    return overlap((3, "aaa"), (1, "bbb"),
                   {"first": "bbaaa", "solaris": "bbaaa", "else": "bbbaa"}, "")


def case_48():
    """Right overlap: the second copy begins in the first and ends behind it."""
    return overlap((1, "aaa"), (3, "bbb"), {"last": "aabbb", "solaris": "aabbb", "else": "aaabb"}, "")


def case_49():
    """Covering overlap: one copy lies in the other."""
    return [*overlap((2, "aaa"), (1, "bbbbb"), {"first": "baaab", "else": "bbbbb"}, "the second covers"),
            *overlap((1, "aaaaa"), (2, "bbb"), {"last": "abbba", "else": "aaaaa"}, "the first covers")]


# Novak and Sturges, "Target-Based TCP Stream Reassembly" (2007): offset, bytes.
NOVAK = ((1, "AAA"), (5, "BB"), (7, "CCC"), (11, "D"), (14, "EE"), (16, "FFF"), (19, "GG"), (21, "HH"), (23, "I"),
         (2, "JJJJ"), (7, "KKK"), (10, "LLL"), (13, "MMM"), (17, "N"), (20, "O"), (21, "P"), (23, "QQ"))
NOVAK_RESULT = {
    "first": b"AAAJBBCCCLDLMEEFFFGGHHIQ",
    "bsd": b"AAAJJBCCCLLLMMMFFFGGHHIQ",
    "windows": b"AAAJJBCCCLLLMMMFFFGGHHIQ",  # the older ones; Vista and later are first
    "linux": b"AAAJJBCCCLLLMMMFFFGGHHQQ",
    "old-linux": b"AAAJJBKKKLLLMMMFFFGGHHQQ",
    "solaris": b"AJJJBBKKKLLLMMMFFFGGHHQQ",
    "last": b"AJJJJBKKKLLLMMMFNFGOPHQQ",
}


def case_50():
    """The sequence of Novak and Sturges, without and with the last segment, which fills offset 0."""
    out = []
    for policy, want in NOVAK_RESULT.items():
        for isn in (1000, 0xfffffff0):
            t = Talk(cisn=isn)
            p = [*t.open(), *(t.c(offset, data) for offset, data in NOVAK)]
            out.append(Case(p, {t.c: b"\0" + want}, {t.c: [(0, 1, "never_seen")]}, args=("--overlap", policy),
                            label=f"{policy}, offset 0 missing, ISN {isn}"))
            t = Talk(cisn=isn)
            p = [*t.open(), *(t.c(offset, data) for offset, data in NOVAK), t.c(0, "0")]
            out.append(Case(p, {t.c: b"0" + want}, args=("--overlap", policy), label=f"{policy}, filled, ISN {isn}"))
    return out


def case_51():
    """A hole never filled is an explicit gap."""
    t = Talk()
    whole = Case([*t.open(), t.c(0, "he"), t.c(4, "o"), t.s(0, "world"), *t.close()], {t.c: b"he\0\0o", t.s: b"world"},
                 {t.c: [(2, 2, "never_seen")]}, label="zeros",
                 flows=[{"missed_bytes": 2, "orig_gaps": 1, "orig_gap_bytes": 2, "resp_gaps": 0, "orig_bytes": 5}])
    t = Talk()
    skip = Case([*t.open(), t.c(0, "he"), t.c(4, "o"), t.s(0, "world"), *t.close()], {t.c: b"heo", t.s: b"world"},
                {t.c: [(2, 2, "never_seen")]}, stream_args=("--gaps", "skip"), label="left out")
    t = Talk()
    end = Case([*t.open(), t.c(0, "hel"), t.s(0, "world"), t.c.fin(5), t.s.fin(5), t.c(6)],
               {t.c: b"hel\0\0", t.s: b"world"}, {t.c: [(3, 2, "never_seen")]}, label="before the FIN")
    t = Talk()
    two = Case([*t.open(), t.c(0, "h"), t.c(2, "l"), t.c(4, "o"), t.s(0, "world"), *t.close()],
               {t.c: b"h\0l\0o", t.s: b"world"}, {t.c: [(1, 1, "never_seen"), (3, 1, "never_seen")]}, label="two")
    return [whole, skip, end, two]


def case_52():
    """A leading hole: offset 0 is the byte after the SYN, whether captured or not."""
    t = Talk()
    return Case([*t.open(), t.c(2, "llo"), t.s(3, "ld"), *t.close()], {t.c: b"\0\0llo", t.s: b"\0\0\0ld"},
                {t.c: [(0, 2, "never_seen")], t.s: [(0, 3, "never_seen")]})


def case_53():
    """An ACK captured before its data: no gap (several receive queues can do that)."""
    t = Talk()
    start = t.open()
    a, b, c = t.c(0, "he"), t.c(2, "ll"), t.c(4, "o", "PA")
    ack = t.s(0, ack=5)
    return Case([*start, a, ack, b, c, t.s(0, "world"), *t.close()], {t.c: b"hello", t.s: b"world"})


def case_54():
    """A hole of 1 MiB."""
    t = Talk()
    return Case([*t.open(), t.c(0, "head"), t.c(4 + MIB, "tail"), t.s(0, "world"), *t.close()],
                {t.c: b"head" + bytes(MIB) + b"tail", t.s: b"world"}, {t.c: [(4, MIB, "never_seen")]})


def case_55():
    """Every packet twice, as a SPAN port can give them."""
    t = Talk()
    return Case([p for packet in t.plain() for p in (packet, packet)], {t.c: b"hello", t.s: b"world"},
                counters={"payload_duplicate": 10})


def case_56():
    """A keep-alive without a byte: no data (RFC 9293 section 3.8.4)."""
    t = Talk()
    return small(t, t.c(0, "he"), t.c(1, note="keep-alive"), t.s(0, ack=2), t.c(2, "llo"))


def case_57():
    """A keep-alive with one garbage byte: not data (RFC 9293 section 3.8.4)."""
    t = Talk()
    quiet = small(t, t.c(0, "he"), t.c(1, "\0", note="keep-alive"), t.s(0, ack=2), t.c(2, "llo"),
                  counters={"refused_keepalive": 1}, label="nothing held")
    t = Talk()
    last = small(t, t.c(0, "hello"), t.c(4, "X", note="keep-alive"), t.s(0, ack=5), counters={"refused_keepalive": 1},
                 label="at the end")
    t = Talk()
    held = small(t, t.c(2, "llo"), t.c(4, "X", note="keep-alive"), t.c(0, "he"), args=("--overlap", "last"),
                 label="its byte is held, and the policy is last")
    return [quiet, last, held]


def case_58():
    """A keep-alive at seq = ISN, before any data: not data."""
    t = Talk()
    return small(t, t.c(-1, "\0", note="keep-alive"), t.s(0, ack=0), t.c(0, "hello"))


def case_59():
    """A zero-window probe carries the next byte, then comes the whole segment (RFC 9293 section 3.8.6.1)."""
    t = Talk()
    refused = small(t, t.c(0, "he"), t.s(0, ack=2, window=0), t.c(2, "l", note="probe"),
                    t.s(0, ack=2, window=0), t.s(0, ack=2), t.c(2, "llo"), label="probe not taken")
    t = Talk()
    taken = small(t, t.c(0, "he"), t.s(0, ack=2, window=0), t.c(2, "l", note="probe"), t.s(0, ack=3), t.c(3, "lo"),
                  label="probe taken")
    t = Talk()
    thrice = small(t, t.c(0, "he"), t.s(0, ack=2, window=0), t.c(2, "l", note="probe"), t.c(2, "l", note="probe"),
                   t.c(2, "l", note="probe"), t.s(0, ack=2), t.c(2, "llo"), label="three probes")
    return [refused, taken, thrice]


def case_60():
    """Urgent data stays in line (RFC 6093 section 2.1)."""
    t = Talk()
    return small(t, t.c(0, "he"), t.c(2, "ll", "APU", urgent=2), t.c(4, "o", "PA"))


def case_61():
    """A segment 1 GiB away: dropped and counted, no new stream."""
    t = Talk()
    far = small(t, t.c(0, "he"), t.c(1 << 30, "FAR!", forged=True), t.c(2, "llo"), counters={"refused_window": 4},
                flows=[{"events": "far_segment", "conn_state": "SF"}], label="above")
    t = Talk()
    below = small(t, t.c(0, "he"), t.c(-(1 << 30), "FAR!", forged=True), t.c(2, "llo"), counters={"refused_window": 4},
                  label="below")
    return [far, below]


def wrap(isn):
    """A stream across this ISN: in order, swapped, with a hole, twice."""
    out = []
    for label, order in (("in order", (0, 1, 2, 3)), ("reversed", (3, 2, 1, 0)), ("swapped pairs", (1, 0, 3, 2)),
                         ("twice", (0, 0, 1, 1, 3, 3, 2, 2)), ("hole", (0, 1, 3))):
        t = Talk(cisn=isn, sisn=isn)
        start = t.open()
        p = [t.c(i * 10, b"%010d" % i) for i in range(4)]
        q = [t.s(i * 10, b"%010d" % (i + 5), ack=40) for i in range(4)]
        parts = [b"%010d" % i if i in order else bytes(10) for i in range(4)]
        answer = [b"%010d" % (i + 5) if i in order else bytes(10) for i in range(4)]
        gaps = {s: [(20, 10, "never_seen")] for s in t.sides} if label == "hole" else {}
        out.append(Case([*start, *(x for i in order for x in (p[i], q[i])), *t.close()],
                        {t.c: b"".join(parts), t.s: b"".join(answer)}, gaps, label=f"{isn:#x}, {label}"))
    return out


def case_62():
    """ISN 0xfffffff0: the wrap lies inside the data (RFC 9293 section 3.4: arithmetic modulo 2**32)."""
    return wrap(0xfffffff0)


def case_63():
    """ISN 0xfffffffe: the first byte has sequence number 0xffffffff."""
    return wrap(0xfffffffe)


def case_64():
    """ISN 0xffffffff: the first byte has sequence number 0."""
    return wrap(0xffffffff)


def case_65():
    """ISN 0x7ffffffe: the sign bit changes inside the data."""
    return wrap(0x7ffffffe)


def case_66():
    """Reordering across the wrap: fifty segments in reverse around it."""
    out = []
    for isn in (0xffffffff - 100, 0x7fffffff - 100):
        t = Talk(cisn=isn)
        start = t.open()
        parts = [b"%04d" % i for i in range(50)]
        p = [t.c(i * 4, part) for i, part in enumerate(parts)]
        out.append(Case([*start, *reversed(p), t.s(0, "world"), *t.close()], {t.c: b"".join(parts), t.s: b"world"},
                        label=f"{isn:#x}"))
    return out


def case_67():
    """Streams over 4 GiB have 64-bit offsets."""
    # 64 KiB segments of which a snap length kept no payload, but of every 16,384th (1 GiB on) and of the last.
    t = Talk(wrap=lambda datagram: datagram)
    size, payload, count = 65536 - 256, b"x" * 256, 66_000
    p, gaps, want = t.open(), [], b""
    head = t.c(0, payload).data
    for i in range(count):
        at = i * size
        seq = (t.c.isn + 1 + at) & 0xffffffff
        frame = head[:2] + (size + 40).to_bytes(2, "big") + head[4:24] + seq.to_bytes(4, "big") + head[28:]
        kept = 256 if i % 16_384 == 0 or i == count - 1 else 0
        p.append(Packet(frame[:40 + kept], f"C off {at} len {size}", wire=size + 40))
        gaps.append((at + kept, size - kept, "snaplen"))
        want += payload[:kept]
    t.c.sent = count * size
    return Case([*p, t.s(0, "world"), *t.close()], {t.c: want, t.s: b"world"}, {t.c: gaps}, link=RAW,
                stream_args=("--gaps", "skip"),
                flows=[{"orig_bytes": count * size, "orig_gap_bytes": count * size - 6 * 256, "conn_state": "SF"}])


def case_68():
    """PAWS: a recorder does not drop on an old timestamp (RFC 7323 section 5 is the receiver's affair)."""
    t = Talk()
    return small(t, t.c(0, "he", options=timestamps(9000)), t.c(2, "ll", options=timestamps(10)),
                 t.c(4, "o", "PA", options=timestamps(0xffffff00)))


def case_69():
    """Caps: what goes beyond is given up and marked, and counting goes on."""
    out = []
    for option, size in (("--held-max-stream", "8000"), ("--held-max", "8K")):
        t = Talk()
        parts = [bytes([97 + i]) * 1000 for i in range(20)]
        p = [*t.open(), *(t.c(1 + i * 1000, part) for i, part in enumerate(parts)), t.s(0, "world"), *t.close()]
        out.append(Case(p, {t.c: b"\0" + b"".join(parts), t.s: b"world"}, {t.c: [(0, 1, "cap")]}, args=(option, size),
                        flows=[{"orig_bytes": 20001, "orig_gaps": 1}], label=option))
    t = Talk()
    p = [*t.open(), *(t.c(1 + i * 1000, b"x" * 1000) for i in range(20)), t.c(0, "0"), t.s(0, "world"), *t.close()]
    out.append(Case(p, {t.c: b"\0" + b"x" * 20000, t.s: b"world"}, {t.c: [(0, 1, "cap")]},
                    args=("--held-max-stream", "8000"), flows=[{"orig_gaps": 0}],
                    label="the hole's byte comes after it was given up; lengths alone need no memory"))
    return out


def case_70():
    """The first non-empty segment is out of order: arrival 2 H H 1 3 H gives H123."""
    t = Talk()
    start = t.open()
    head, one, two, three = t.c(0, "HHHH"), t.c(4, "1111"), t.c(8, "2222"), t.c(12, "3333")
    return Case([*start, two, head, head, one, three, head, t.s(0, "world"), *t.close()],
                {t.c: b"HHHH111122223333", t.s: b"world"})


def trap_ack_first():
    """Acknowledged but not yet seen is not lost: all data comes after all ACKs."""
    t = Talk()
    start = t.open()
    data = [t.c(i * 4, b"%04d" % i) for i in range(30)]
    acks = [t.s(0, ack=(i + 1) * 4) for i in range(30)]
    return Case([*start, *acks, *data, t.s(0, "world"), *t.close()],
                {t.c: b"".join(b"%04d" % i for i in range(30)), t.s: b"world"})


def trap_jump():
    """At 100 Gbit/s 16 MiB are lost in 1.3 ms: the limit of a jump is an option, and what goes on far away is
    followed."""
    far = 64 * MIB
    t = Talk()
    option = Case([*t.open(), t.c(0, "he"), t.c(2 + far, "llo"), t.s(0, "world"), *t.close()],
                  {t.c: b"hello", t.s: b"world"}, {t.c: [(2, far, "never_seen")]}, args=("--jump-max", "100M"),
                  stream_args=("--gaps", "skip"), label="--jump-max")
    t = Talk()
    p = [t.c(2 + far + i * 5, b"%05d" % i) for i in range(10)]
    follow = Case([*t.open(), t.c(0, "he"), p[0], t.s(0), *p[1:], t.s(0, "world"), *t.close()],
                  {t.c: b"he" + b"".join(b"%05d" % i for i in range(3, 10)), t.s: b"world"},
                  {t.c: [(2, far + 15, "never_seen")]}, stream_args=("--gaps", "skip"),
                  label="followed after three segments, which the peer acknowledges")
    return [option, follow]
