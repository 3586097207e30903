"""Bytes that are no UTF-8, and where that can be known first."""

from __future__ import annotations

from client_frames import CONTINUATION, NAMES, TEXT, Said, frame, head_bytes, xor

from workshop.judge.checks import show_bytes

# What no UTF-8 has, the byte that is too many, and how many more a decoder may wait (RFC 3629 §3, §4)
BAD_UTF8 = [
    ("a continuation byte first", b"\x80", 0, 0),
    ("C0, which never is", b"\xc0\xaf", 0, 0),
    ("a letter instead of a continuation", b"\xc3A", 1, 0),
    ("three bytes for what needs two", b"\xe0\x9f\xbf", 1, 0),
    ("half of a surrogate pair", b"\xed\xa0\x80", 1, 1),
    ("the end of a surrogate pair", b"\xed\xbf\xbf", 1, 1),
    ("four bytes for what needs three", b"\xf0\x8f\xbf\xbf", 1, 0),
    ("a code point above 10FFFF", b"\xf4\x90\x80\x80", 1, 0),
    ("F5, which never is", b"\xf5\x80\x80\x80", 0, 0),
    ("FF", b"\xff", 0, 0),
]


def bad_text(rng, good, bad, parted):
    """A long text that begins well and then goes bad, a byte at a time; `parted`: in a second fragment."""
    size = len(good) + len(bad) + 500
    opening = [frame(rng, TEXT, good, fin=False)] if parted else []
    mask = rng.randbytes(4)
    opcode, before = (CONTINUATION, b"") if parted else (TEXT, good)
    bytes_in = xor(before + bad, mask)
    start = Said(head_bytes(opcode, size, mask) + bytes_in[: len(before)])
    start.said = f"{NAMES[opcode]} of {size} bytes, which begins {show_bytes(before)!r}"
    acts = [*opening, start]
    for place, byte in enumerate(bad):
        one = Said(bytes_in[len(before) + place :][:1])
        one.said = f"byte {byte:#x}"
        acts.append(one)
    return acts
