"""Connections on which nothing comes for a while: before a body or within it, or before the next request."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from behaviours_client import ask, behave, comes, ignored, notes_with, sent_on, told

from workshop.judge.checks import (
    Client,
    Deadline,
    NoAnswer,
    Response,
    Wire,
    expect,
    fail,
    request_bytes,
    that,
)


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


def only_idle_ones_end(client: Client, patient: Client, rng: random.Random, who: str) -> None:
    """With --keep-alive 1 an idle connection is closed, and a busy one is not; with 60, none is."""
    got = "a connection that is still open, long after --keep-alive 1"
    with (
        idle_meanwhile(patient, who),
        busy_meanwhile(client, rng, who),
        client.connect(seconds=8) as idle,
    ):
        ask(idle, "ignore", name=who)
        ignored(idle, who, "an idle connection was busy once")
        that(idle.closed_within(5), got, "a close, when nothing came for a second", sent=sent_on(idle))


@contextlib.contextmanager
def busy_meanwhile(client: Client, rng: random.Random, who: str) -> Iterator[None]:
    """Requests that are under way with --keep-alive 1 while the block runs: they go on after it.

    The one waits in the application, behind an answer from which the time could still run; the other's body
    is half there.
    """
    place, book = f"busy {rng.random()}", f"busy {rng.random()}"
    with client.connect(seconds=14) as slow, client.connect(seconds=14) as upload:
        ask(slow, "ignore", name=who)
        ignored(slow, who, "the first request")
        ask(upload, "read", "POST", [("Content-Length", "6")], say=book)
        upload.send(b"Ada")
        notes_with(client, book, "http.request")
        ask(slow, "lines", place=place)
        comes(slow, b"first\n", "the first line")
        yield
        with contextlib.suppress(NoAnswer):
            upload.send(b"Ada")
        whole = goes_on(upload, "POST", "a body that paused for longer than --keep-alive")
        expect("the body that receive gave", told(whole).get("body"), "AdaAda", sent=sent_on(upload))
        client.get(behave("open", place=place))
        text = goes_on(slow, "GET", "a response that takes longer than --keep-alive").text
        expect("the answer", text, "first\nsecond\n", sent=sent_on(slow))


def goes_on(connection: Wire, method: str, what: str) -> Response:
    """The response of a connection that is in the middle of a request: it is not idle."""
    try:
        return connection.response(method)
    except (NoAnswer, Deadline) as error:
        expected = "the response: a connection is idle between a response and the next request, not before it"
        fail(f"{error.got}, for {what}", expected, rule="RFC 9112 §9.5", sent=sent_on(connection))


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
