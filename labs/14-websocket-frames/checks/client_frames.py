"""Frames as a client sends them, each with words for the report."""

from __future__ import annotations

import itertools
import struct

from workshop.judge.checks import name

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NAMES = {0: "CONTINUATION", 1: "TEXT", 2: "BINARY", 8: "CLOSE", 9: "PING", 10: "PONG"}


def head_bytes(opcode, length, mask, fin=True, reserved=0, size=None):
    """A head that says whatever it is told to say; `size` is how many bytes of length follow the 7 bits."""
    size = (0 if length < 126 else 2 if length < 65_536 else 8) if size is None else size
    short = length if size == 0 else 126 if size == 2 else 127
    first = bytes([fin << 7 | reserved << 4 | opcode, (mask is not None) << 7 | short])
    return first + (length.to_bytes(size, "big") if size else b"") + (mask or b"")


def xor(data, mask, offset=0):
    return bytes(byte ^ mask[(offset + at) % 4] for at, byte in enumerate(data))


def short(value):
    """A payload or an argument for the report."""
    many = isinstance(value, bytes) and len(value) > 40
    return f"({len(value)} bytes)" if many else repr(value).removeprefix("b")


class Said(bytes):
    """Bytes that know how to be described."""

    said = ""


def frame(rng, opcode, payload=b"", fin=True, said="", **more):
    """A client's frame, masked with four random bytes."""
    mask = rng.randbytes(4)
    made_up = Said(head_bytes(opcode, len(payload), mask, fin, **more) + xor(payload, mask))
    made_up.said = said or f"{NAMES[opcode]}{'' if fin else ' (more)'} {short(payload)}"
    return made_up


def text(rng, words, **more):
    return frame(rng, TEXT, words.encode(), **more)


def close_frame(rng, code, reason=b""):
    payload = b"" if code is None else struct.pack("!H", code) + reason
    return frame(rng, CLOSE, payload, said=f"CLOSE {'without a code' if code is None else code} {reason!r}")


def hexed(data):
    """A head for the report."""
    return f"the bytes {data[:14].hex(' ')}{' …' if len(data) > 14 else ''}"


def joined(frames):
    """Several frames in one piece."""
    whole = Said(b"".join(frames))
    whole.said = "in one piece: " + " + ".join(one.said for one in frames)
    return whole


def cut(data, places):
    """A frame, or several, in pieces, cut at these places."""
    edges = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    pieces = []
    for start, end in itertools.pairwise(edges):
        piece = Said(data[start:end])
        where = f"bytes {start} to {end - 1}" if end - start > 1 else f"byte {start}"
        piece.said = where if pieces else f"{where} of {data.said}"
        pieces.append(piece)
    return pieces


def frame_after():
    """A good message that comes too late."""
    late = Said(b"\x81\x83\x01\x02\x03\x04" + xor(b"Ada", b"\x01\x02\x03\x04"))
    late.said = "TEXT 'Ada'"
    return late


def conversation(rng):
    """Frames of some messages, with control frames between their fragments, and the events that they are."""
    who = name(rng)
    long, short = rng.randbytes(70_000), rng.randbytes(rng.randrange(126, 300))
    ping, pong = rng.randbytes(rng.randrange(126)), rng.randbytes(5)
    return [
        (text(rng, f"{who} \u00e9t\u00e9 \u2713"), ("Text", f"{who} \u00e9t\u00e9 \u2713")),
        (frame(rng, BINARY, short), ("Binary", short)),
        (text(rng, ""), ("Text", "")),
        (frame(rng, PING), ("Ping", b"")),
        (text(rng, "Hello, ", fin=False), None),
        (frame(rng, PING, ping), ("Ping", ping)),
        (frame(rng, CONTINUATION, b"", fin=False), None),
        (frame(rng, PONG, pong), ("Pong", pong)),
        (frame(rng, CONTINUATION, who.encode()), ("Text", f"Hello, {who}")),
        (frame(rng, BINARY, long[:30_000], fin=False), None),
        (frame(rng, CONTINUATION, long[30_000:-99], fin=False), None),
        (frame(rng, CONTINUATION, long[-99:]), ("Binary", long)),
        (text(rng, "last"), ("Text", "last")),
    ]
