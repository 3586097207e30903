"""Connections on which nothing comes for a while: before a body or within it, or before the next request."""

from __future__ import annotations

import contextlib
import functools
import random
import select
import socket
import time
from collections.abc import Callable, Iterator

from behaviours_client import (
    ask,
    behave,
    comes,
    ignored,
    no_traceback,
    notes,
    notes_with,
    sent_on,
    told,
)

from workshop.judge.checks import (
    Client,
    Deadline,
    NoAnswer,
    Wire,
    expect,
    fail,
    request_bytes,
    that,
)
from workshop.judge.processor_time import ProcessorTime
from workshop.judge.stack import Stack

LOOKS = 0.5  # seconds between a server's looks at who is idle, or less
IN_PIECES = "a request is a request in whatever pieces it comes"


def comes_in_pieces(stack: Stack, client: Client, who: str) -> None:
    """A head that comes byte by byte, and is longer than what is read at once; its client then leaves."""
    mark = stack.ask("status", service=client.service)["mark"]
    good = request_bytes("GET", behave("ignore", name=who), [("X-Long", "x" * 4000)])
    with client.connect(seconds=5) as connection:
        with contextlib.suppress(NoAnswer):
            connection.send_pieces([*(good[i : i + 1] for i in range(60)), good[60:3000], good[3000:]])
        ignored(connection, who, IN_PIECES)
    no_traceback(
        stack, client, mark, f"{sent_on(connection)}, and after the answer the end of the connection"
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


def no_continue_within_a_response(client: Client, rng: random.Random) -> None:
    """The application begins its response, and then asks for the body: it is too late for a 100."""
    book = f"expect {rng.random()}"
    with client.connect(seconds=5) as connection:
        fields = [("Expect", "100-continue"), ("Content-Length", "3")]
        ask(connection, "listen", "POST", fields, say=book)
        comes(connection, b"listening", "the beginning of a response")
        with contextlib.suppress(NoAnswer):
            connection.send(b"Ada")
            notes_with(client, book, "http.")
            client.rests(1)
            if select.select([connection.socket], [], [], 0)[0]:
                connection.read()
        response = bytes(connection.received).partition(b"listening")[2]
        got = f"{response[:80]!r} in the body of the response"
        expected = "no 100 Continue after the head of the response: the client would take it for the body"
        that(b"100 Continue" not in response, got, expected, sent=sent_on(connection))


def answered_or_closed(idle: list[Wire]) -> None:
    """The next request on each: a server may close an idle connection when it wants to (RFC 9112 §9.5)."""
    for index, connection in enumerate(idle):
        with contextlib.suppress(NoAnswer):
            connection.send(request_bytes("GET", behave("ignore", name=index)))
            expect("the answer", connection.response().json(), {"ignored": str(index)})


@contextlib.contextmanager
def only_idle_ones_end(
    stack: Stack, service: Callable[[str], Client], rng: random.Random, who: str
) -> Iterator[None]:
    """While the block runs, --keep-alive 1.1 closes idle connections and no busy one; 60 closes none."""
    client = service("idle")
    with (
        half_a_head_meanwhile(service("fastapi")),
        idle_meanwhile(stack, service("patient"), who) as has_waited,
        busy_meanwhile(client, rng, who),
        client.connect(seconds=14) as idle,
        client.connect(seconds=14) as left,
    ):
        ask(idle, "ignore", name=who)
        ignored(idle, who, "an idle connection was busy once")
        left.socket.shutdown(socket.SHUT_WR)
        comes_in_pieces(stack, client, who)
        has_waited()  # what never comes to a rest would take all the time of what waits for one
        yield
        got = "a connection that is still open, long after --keep-alive 1.1"
        expected = "a close, when nothing came for a second"
        that(idle.closed_within(5), got, expected, sent=sent_on(idle))
        sent = "nothing, and then the end of the client's side of the connection"
        that(left.closed_within(5), got, "a close: nothing can come any more", sent=sent)


@contextlib.contextmanager
def half_a_head_meanwhile(client: Client) -> Iterator[None]:
    """A head that stops in the middle, with --time-out 0.8: a server may say so, hang up, or wait."""
    with client.connect(seconds=14) as slow:
        slow.send(b"GET / HTTP/1.1\r\nHost: local")
        shown = sent_on(slow)
        yield
        slow.deadline = time.monotonic() + LOOKS
        with contextlib.suppress(NoAnswer, Deadline):
            response = slow.response()
            expected = "408 Request Timeout, or the end of the connection"
            rule = "RFC 9110 §15.5.9"
            that(response.status in (400, 408), response.line, expected, rule=rule, sent=shown)


@contextlib.contextmanager
def busy_meanwhile(client: Client, rng: random.Random, who: str) -> Iterator[None]:
    """Requests that are under way with --keep-alive 1.1 while the block runs: they go on after it.

    One waits in the application, behind an answer from which the time could still run; the other's body is
    half there.
    """
    heard, read = f"busy {rng.random()}", f"busy {rng.random()}"
    with client.connect(seconds=14) as slow, client.connect(seconds=14) as upload:
        ask(slow, "ignore", name=who)
        ignored(slow, who, "the first request")
        ask(upload, "read", "POST", [("Content-Length", "6")], say=read)
        upload.send(b"Ada")
        notes_with(client, read, "http.request")
        ask(slow, "listen", say=heard)
        comes(slow, b"listening", "the beginning of a response")
        yield
        with contextlib.suppress(NoAnswer):
            upload.send(b"Ada")
        try:
            body = told(upload.response("POST")).get("body")
            expect("the body that receive gave", body, "AdaAda", sent=sent_on(upload))
        except (NoAnswer, Deadline) as error:
            cut_off(f"{error.got}, for a body that paused for longer than --keep-alive", upload)
        if "http.disconnect" in notes(client, heard) or slow.closed_within(0.1):
            cut_off("the end of a response that takes longer than --keep-alive", slow)


def cut_off(got: str, connection: Wire) -> None:
    expected = "it goes on: a connection is idle between a response and the next request, not during one"
    fail(got, expected, rule="RFC 9112 §9.5", sent=sent_on(connection))


@contextlib.contextmanager
def idle_meanwhile(stack: Stack, client: Client, who: str) -> Iterator[Callable[[], None]]:
    """Connections to the patient server, silent while the block runs: all are answered after it.

    What it gives fails when the server has not waited until then, but spent a processor's time.
    """
    whole = request_bytes("GET", behave("ignore", name=who))
    with (
        client.connect(seconds=14) as slow,
        client.connect(seconds=14) as new,
        client.connect(seconds=14) as used,
    ):
        slow.send(whole[:30])
        ask(used, "ignore", name=who)
        ignored(used, who, "the first request")
        spent = ProcessorTime(stack, client.service)
        has_waited = functools.partial(spent.expect_idle, "your server", sent_on(used))
        yield has_waited
        has_waited()
        got = "the end of a connection on which nothing came for a second"
        that(not used.closed_within(LOOKS), got, "it is kept: --keep-alive is 60 here", sent=sent_on(used))
        with contextlib.suppress(NoAnswer):
            slow.send(whole[30:])
        ignored(slow, who, IN_PIECES)
        for connection, what in ((used, "idle since its last answer"), (new, "that has sent nothing yet")):
            ask(connection, "ignore", name=who)
            why = f"a connection {what} for a moment is kept: --keep-alive is 60 here"
            ignored(connection, who, why)
