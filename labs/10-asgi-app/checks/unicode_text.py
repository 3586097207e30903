"""Text of more than a byte a character, cut anywhere; data for events, with every kind of line end."""

from __future__ import annotations

import random

from workshop.judge.checks import name

FAR_WORDS = ("Zoë", "Łódź", "naïve", "東京", "Ωmega", "δ", "🙂")
# Line ends to str.splitlines, and none to a browser: VT, FF, NEL, LINE SEPARATOR.
NO_LINE_ENDS = ("\v", "\f", "\x85", "\u2028")
EACH_LINE = "each line of the data has its own `data: `"


def far_text(rng: random.Random) -> str:
    """Text of many characters that take more than one byte in UTF-8."""
    return " ".join(rng.choices(FAR_WORDS, k=6)) + f" {rng.randrange(1000)}"


def cut(rng: random.Random, data: bytes, count: int) -> list[bytes]:
    """The data in pieces, one of them empty, cut anywhere, once at least in the middle of a character."""
    within = rng.choice([place for place, byte in enumerate(data) if byte & 0xC0 == 0x80])
    elsewhere = [place for place in range(1, len(data)) if place != within]
    places = sorted([within, *rng.sample(elsewhere, count - 2)])
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    pieces.insert(rng.randrange(1, len(pieces)), b"")
    return pieces


def event_data(rng: random.Random, ends: list[str]) -> list[tuple[str, str]]:
    """Data for an event, and what a browser makes of its lines."""
    return [
        (f"{far_text(rng)} {name(rng)}", "an empty line sends the event off"),
        *((f"{far_text(rng)}{end} {name(rng)}{end}last", EACH_LINE) for end in ends),
        (f"{name(rng)}\n", f"{EACH_LINE}, an empty last one, too"),
        ("", "no data is an event as well: its line is `data: `"),
        *((f"{name(rng)}{one}Ada", f"{one!r} ends no line: only CR, LF, CRLF do") for one in NO_LINE_ENDS),
    ]
