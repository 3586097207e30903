"""A limit for messages: what is as long as it passes, what is longer fails at the head that says so."""

from __future__ import annotations

from client_frames import CONTINUATION, PING, TEXT, Said, frame, head_bytes
from connection_talk import all_events, must_fail, rounds_of

from workshop.judge.checks import that


def check_limit(probe, rng, opcode, limit):
    """The limit holds for TEXT or BINARY, in one frame and in fragments."""
    kind = "Text" if opcode == TEXT else "Binary"
    # Bytes count, not characters: of é there are two
    whole = "\u00e9".encode() * (limit // 2)
    message = whole.decode() if opcode == TEXT else whole
    third = limit // 6 * 2
    fragments = [
        frame(rng, opcode, whole[:third], fin=False, said=f"a fragment of {third}"),
        frame(rng, PING, b"x" * 125),
        frame(rng, CONTINUATION, whole[third:], said=f"the other {limit - third}"),
    ]
    acts = [frame(rng, opcode, whole, said=f"{limit} bytes"), *fragments, *fragments]
    got = [event for event in all_events(rounds_of(probe, *acts, max_message=limit)) if event[0] != "Ping"]
    that(
        got == [(kind, message)] * 3,
        f"messages of {limit} bytes: {[event[:2] for event in got]}"[:200],
        "three messages: the limit counts each by itself, and no Ping",
    )
    for length in (limit + 1, 70_000, 1 << 40, (1 << 63) - 1):
        head = Said(head_bytes(opcode, length, rng.randbytes(4)))
        head.said = f"only the head of a message of {length} bytes, with max_message={limit}"
        what = f"a head that announces {length} bytes, the limit is {limit}"
        must_fail(probe, [head], [1009], what, max_message=limit)
    late = Said(head_bytes(CONTINUATION, limit - third + 1, rng.randbytes(4), False))
    late.said = f"only the head of a fragment of {limit - third + 1}"
    what = f"fragments of {limit + 1} bytes, the limit is {limit}"
    must_fail(probe, [fragments[0], late], [1009], what, max_message=limit)
