"""Connections on which nothing comes for a while: before a body, or before the next request."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from behaviours_client import ask, behave, comes, ignored, notes_with, sent_on, told

from workshop.judge.checks import Client, Deadline, NoAnswer, expect, fail, request_bytes, that


def continued(
    client: Client, rng: random.Random, body: str, fields: list[tuple[str, str]], pieces: tuple[bytes, bytes]
) -> None:
    """A client that waits for 100 Continue; it sends the second piece when the application has the first."""
    book = f"expect {rng.random()}"
    with client.connect(seconds=9) as connection:
        ask(connection, "read", "POST", fields, say=book)
        shown = sent_on(connection)
        try:
            comes(connection, b"\r\n\r\n", "100 Continue")
        except Deadline:
            got = "nothing, while the client waits before it sends the body"
            fail(got, "HTTP/1.1 100 Continue", sent=shown)
        for piece in pieces:
            connection.send(piece)
            notes_with(client, book, "http.request")
        response = connection.response("POST")
    expect("informational responses", response.interim, [100], "one 100, then the response", sent=shown)
    expect("the body that the application read", told(response).get("body"), body, sent=shown)


@contextlib.contextmanager
def idle_meanwhile(client: Client, who: str) -> Iterator[None]:
    """Connections to the patient server, silent while the block runs: all are answered after it."""
    whole = request_bytes("GET", behave("ignore", name=who))
    with client.connect(seconds=14) as new, client.connect(seconds=14) as used:
        ask(used, "ignore", name=who)
        ignored(used, who, "the first request")
        yield
        with client.connect(seconds=9) as slow:
            slow.send(whole[:30])
            got = "the end of a connection on which nothing came for a second"
            that(not used.closed_within(1), got, "it is kept: --keep-alive is 60 here", sent=sent_on(used))
            with contextlib.suppress(NoAnswer):
                slow.send(whole[30:])
            ignored(slow, who, "a head that comes in two pieces is waited for")
        for connection, what in ((used, "idle since its last answer"), (new, "that has sent nothing yet")):
            ask(connection, "ignore", name=who)
            why = f"a connection {what} for a moment is kept: --keep-alive is 60 here"
            ignored(connection, who, why)
