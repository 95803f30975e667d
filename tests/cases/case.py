# SPDX-License-Identifier: BSD-3-Clause
"""What a case is: packets, and what the program must make of them."""
from dataclasses import dataclass, field

from build import ETHERNET


@dataclass
class Case:
    """One capture and its truth. Streams and gaps are keyed by a Side of a talk or by a file name."""
    packets: list
    streams: dict = field(default_factory=dict)   # bytes of every stream file; a gap's bytes are zero
    gaps: dict = field(default_factory=dict)      # (offset, length, cause) of every gap
    flows: object = 1                             # TCP conversations: how many, or for each the members to hold
    counters: dict = field(default_factory=dict)  # of --stats-json
    args: tuple = ()                              # options of every command
    stream_args: tuple = ()                       # of `streams` only
    extract: object = None                        # (options, indices of the packets that must come out)
    link: int = ETHERNET
    links: tuple = ()                             # a pcapng file with these interfaces instead of a pcap file
    order: str = "<"
    ns: bool = True
    pad: bool = True                              # false: the frame's end is not told by any header (offload)
    label: str = ""


def plain(talk, **more):
    """A whole small connection and its two streams."""
    return Case(talk.plain(), {talk.c: b"hello", talk.s: b"world"}, **more)
