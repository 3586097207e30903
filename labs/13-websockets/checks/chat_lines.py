"""Members that speak chat.lines, or no subprotocol at all, in one room."""

from __future__ import annotations

import random

from chat_guests import (
    Guest,
    Party,
    ended,
    message,
    names,
    opened,
    reads_one_line,
    room_name,
    target,
    words,
)

from workshop.judge.checks import WebSocket, that


def reads(lines: WebSocket, who: str, line: str, why: str) -> None:
    """Fail unless what comes next is this line."""
    got = message(lines, who, f"the line {line!r}")
    that(got == line, got=f"{who} reads {got!r}", expected=f"{line!r}: {why}")


def stays_one_line(guest: Guest, lines: WebSocket, who: str) -> None:
    """Fail unless a text with a line end in it is one line in chat.lines, and as it is in JSON."""
    for end in ("\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028", "\u2029"):
        text = f"tea{end}* {guest.who} left"
        guest.say(text)
        reads_one_line(lines, who)
        guest.hears_that("her own words, in JSON as they are", type="said", text=text)


def lines_beside_no_subprotocol(made: Party, rng: random.Random) -> None:
    """A newcomer without a subprotocol speaks JSON; in chat.lines a text may be empty, and bytes end it."""
    room, text = room_name(rng), words(rng)
    ada, grace = names(rng)
    lines = opened(made.open(target(room, ada), ada, subprotocols=["chat.lines"]), ada)
    reads(lines, ada, f"* welcome: {ada}", "she is the first")
    guest = made.join(room, grace, subprotocols=[])
    reads(lines, ada, f"* {grace} joined", "a member joined")
    guest.say(text)
    reads(lines, ada, f"{grace}: {text}", f"{grace} has no subprotocol, so her messages are JSON")
    guest.hears_that("her own words", type="said", name=grace, text=text)
    lines.send("")
    guest.hears_that("in chat.lines an empty text is a text", type="said", name=ada, text="")
    reads_one_line(lines, ada)
    lines.send(rng.randbytes(6))
    ended(lines, ada, 1003, "a room takes text, in chat.lines, too")
    guest.hears_that("bytes ended it", type="left", name=ada, code=1003)
