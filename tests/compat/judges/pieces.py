# SPDX-License-Identifier: BSD-3-Clause
"""A stream as a list of bytes and gap lengths, comparable between tools."""


class Cut(int):
    """The length of a gap that the snap length cut."""


def tokens(pieces):
    """Bytes and gap lengths in order, neighbours joined, nothing empty: a comparable stream."""
    out = []
    for p in pieces:
        if not p:
            continue
        if out and type(out[-1]) is type(p):
            out[-1] += p
        else:
            out.append(p)
    return out


def shown(stream):
    return "+".join("gap %d" % t if isinstance(t, int) else str(len(t)) for t in stream)
