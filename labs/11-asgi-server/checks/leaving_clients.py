"""Clients that leave before they have their answer, and what their application is told."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from behaviours_client import (
    answered,
    ask,
    comes,
    mark_at_rest,
    no_traceback,
    notes,
    notes_with,
    promises_os_error,
    scope_for,
    sent_on,
)
from paused_transfers import FLOOD, taken

from workshop.judge.checks import Client, expect, that
from workshop.judge.stack import Stack

RESPONSE = 'ASGI, HTTP & WebSocket, "Response Start" and "Response Body"'
HOW = ("the end of the connection", "a reset")


@contextlib.contextmanager
def stays_meanwhile(client: Client, stack: Stack, rng: random.Random) -> Iterator[None]:
    """A client that waits for more of its answer while the block runs: it has not left.

    Those who have left are no error: nothing is printed of them.
    """
    book = f"stays {rng.random()}"
    mark = mark_at_rest(stack, client)
    with client.connect(seconds=19) as connection:
        ask(connection, "listen", say=book)
        comes(connection, b"listening", "the beginning of an answer")
        ask(connection, "ignore", name="the next request, which waits")
        yield
        seen = notes(client, book)
        got = f"receive gave {seen} to the application of a client that is still there"
        expected = "no http.disconnect: it is for a client that has left, not for one that waits"
        that("http.disconnect" not in seen, got, expected, sent=sent_on(connection))
        left = "clients that leave: in the middle of a response, of an upload, and while send waits for them"
        no_traceback(stack, client, mark, left)


def in_the_middle_of_an_answer(client: Client, stack: Stack, rng: random.Random) -> None:
    """`receive` says http.disconnect; and `send` raises, where the scope promises that."""
    promised = promises_os_error(scope_for(stack, client, "/promises"))
    for by_reset in (False, True):
        book = f"listen {rng.random()}"
        with client.connect(seconds=5) as connection:
            ask(connection, "listen", say=book)
            comes(connection, b"listening", "the beginning of an answer")
            if by_reset:
                connection.reset()
        is_told_of_it(client, book, f"{sent_on(connection)}, and {HOW[by_reset]}", promised)


def is_told_of_it(client: Client, book: str, sent: str, promised: bool) -> None:
    """What `receive` and `send` did after a client has left, as the application noted it."""
    expected = "http.disconnect: its client closed the connection in the middle of a response"
    seen = notes_with(client, book, "http.disconnect")
    that("http.disconnect" in seen, f"receive gave {seen}", expected, sent=sent)
    if promised:
        raised = notes_with(client, book, "send raised")[-1]
        expected = "OSError: the scope says spec_version 2.4, and from that on it is raised"
        rule = 'ASGI, HTTP & WebSocket, "Disconnected Client - send exception"'
        got = f"{raised}, long after its client had left"
        that(raised == "send raised OSError", got, expected, rule=rule, sent=sent)


def in_the_middle_of_an_upload(client: Client, rng: random.Random) -> None:
    """Half a body is not the whole one."""
    for by_reset in (False, True):
        book = f"upload {rng.random()}"
        with client.connect(seconds=5) as connection:
            ask(connection, "upload", "POST", [("Content-Length", "100")], say=book)
            connection.send(b"half")
            notes_with(client, book, "called")
            if by_reset:
                connection.reset()
        seen = notes_with(client, book, "last")
        events = ["http.disconnect last"] if seen and "http.disconnect" in seen[-1] else seen[-1:]
        why = "a body cut short is not a shorter body: no more_body False"
        sent = f"{sent_on(connection)}, and {HOW[by_reset]}"
        expect("the last event of half an upload", events, ["http.disconnect last"], why, sent=sent)


def not_after_the_answer(client: Client, rng: random.Random) -> None:
    """When the answer is whole, nothing else can come."""
    book = f"after {rng.random()}"
    with client.connect(seconds=5) as connection:
        ask(connection, "after", say=book)
        expect("the answer", answered(connection.response()), {"answered": True})
        seen = notes_with(client, book, "")
        got = f"receive gave {seen} after the whole response, on a connection that is kept"
        expected = "http.disconnect: no other event can follow"
        that(seen == ["http.disconnect"], got, expected, sent=sent_on(connection))


def while_send_waits(client: Client, rng: random.Random) -> None:
    """A `send` that waits for its client to read is woken up."""
    book = f"flood {rng.random()}"
    with client.connect(receive_buffer=65536) as connection:
        ask(connection, "flood", say=book, pieces=FLOOD)
        comes(connection, b"\r\n\r\n", "the beginning of an answer")
        taken(client, book)
        connection.reset()
    seen = notes_with(client, book, "over")
    expected = "send raises OSError, or returns (a waiting send has to be woken up)"
    got = f"the application still waits in send (the notes {seen}), although its client has left"
    that("over" in seen, got, expected, rule=f"{RESPONSE}: its client has left", sent=sent_on(connection))
