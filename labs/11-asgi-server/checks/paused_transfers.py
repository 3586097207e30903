"""Sends until the other side takes no more, and asks how far an application got that its client holds up."""

from __future__ import annotations

import contextlib

from behaviours_client import answered, asked_until, behave, notes, notes_with

from workshop.judge.checks import Client, Wire, fail

MIB = 1 << 20
FLOOD = 200  # pieces of 1 MiB
BOUND = 24  # MiB that may wait in buffers: the kernel's are several MiB, the server's should be small
HELD = 28  # MiB of an upload


def push(connection: Wire, piece: bytes, most: int, what: str, before: int = 0) -> int:
    """How many bytes of `piece`, again and again, the other side takes before it takes no more.

    `before` counts those that it has taken already: the next one is in the middle of a piece.
    """
    sent = 0
    connection.socket.settimeout(0.1)
    try:
        while sent < most:
            at = (before + sent) % len(piece)
            sent += connection.socket.send(piece[at : at + most - sent])
    except TimeoutError:
        pass
    except OSError:
        fail(f"the connection ended after {sent} bytes of {what}", f"{what}, that has to wait")
    return sent


def push_until_full(client: Client, connection: Wire, piece: bytes, what: str) -> int:
    """How many bytes, of HELD MiB at most, are taken until no more are, though the server had its turns."""
    sent, more = 0, 1
    while more:
        more = push(connection, piece, HELD * MIB - sent, what, before=sent)
        sent += more
        answered(client.get(behave("ignore", name="Ada")))  # its answer says that the server had a turn
    return sent


def push_all(connection: Wire, data: bytes, asked: str) -> None:
    """Send the rest; fails when it is not taken."""
    view = memoryview(data)
    while view:
        connection.socket.settimeout(6)
        try:
            view = view[connection.socket.send(view[:MIB]) :]
        except OSError:
            fail("the server did not go on reading", "the rest, when the application reads", sent=asked)


def taken(client: Client, book: str) -> int:
    """How many MiB the application has sent when it sends no more, or more than BOUND."""
    seen, same = -1, 0
    while same < 8:
        number = count(notes_with(client, book, ""))
        same = same + 1 if number == seen else 0
        seen = number
        if seen > BOUND:
            return seen
    return seen


def count(noted: list[str]) -> int:
    word = noted[0] if noted else "0"
    return FLOOD if word == "all" else int(word)


def goes_beyond(client: Client, book: str, before: int) -> bool:
    """Whether the application gets further."""
    return asked_until(lambda: count(notes(client, book)) > before, bool)


def read_on(connection: Wire, most: int) -> int:
    """How many bytes come until they are `most`, or more, or no more come for a while."""
    read = 0
    connection.socket.settimeout(4)
    with contextlib.suppress(OSError):  # nothing more comes: what the application did tells why
        while read < most and (data := connection.socket.recv(MIB)):
            read += len(data)
    return read
