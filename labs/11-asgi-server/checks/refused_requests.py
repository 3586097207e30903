"""Requests that a server must not pass on: 400 or its like, or the end of the connection."""

from __future__ import annotations

import contextlib
import random
from typing import Any

from behaviours_client import ask, no_traceback, notes_with, sent_on, traced

from workshop.judge.checks import (
    Client,
    Deadline,
    NoAnswer,
    WireCase,
    WireError,
    expect,
    fail,
    object_of,
    that,
)
from workshop.judge.stack import Stack


def all_refused(stack: Stack, client: Client, cases: list[WireCase]) -> None:
    """Malformed requests, one after the other: none is answered as a request, none makes the server raise.

    Where it has, each is sent once more, to see which one it was.
    """
    mark = stack.ask("status", service=client.service)["mark"]
    for case in cases:
        refused(client, case.data, case.notes.get("why", case.name), "status" in case.notes)
    if traced(stack, client, mark) is not None:
        for case in cases:
            before = stack.ask("status", service=client.service)["mark"]
            refused(client, case.data, case.notes.get("why", case.name), "status" in case.notes)
            no_traceback(stack, client, before, shown(case.data))
        no_traceback(stack, client, mark, "malformed requests, in turn")


def refused(client: Client, data: bytes, why: str, must_answer: bool = False) -> None:
    """400 or its like, or (unless RFC 9112 says MUST) the end of the connection: no application's answer."""
    with client.connect(seconds=4) as connection:
        with contextlib.suppress(NoAnswer):
            connection.send(data)
        try:
            response = connection.response()
        except Deadline:
            fail(f"neither an answer nor an end ({why})", "400 Bad Request or its like", sent=shown(data))
        except NoAnswer as error:
            expected = "400 Bad Request, and then the end of the connection"
            that(not must_answer, f"{error.got} ({why})", expected, sent=shown(data))
            return
        except WireError as error:
            fail(f"{error.got} ({why})", "400 Bad Request or its like", sent=shown(data))
        refused = 400 <= response.status < 600 and response.status != 500
        that(refused, f"{response.line} ({why})", "400 Bad Request or its like", sent=shown(data))
        got = f"{response.line}, and a connection that stays open ({why})"
        ended = connection.closed_within(3)
        that(ended, got, "an end: nobody knows where the next request would begin", sent=shown(data))


def two_framings(client: Client, cases: list[WireCase]) -> None:
    """RFC 9112 §6.3: refused, or Transfer-Encoding alone counts; Content-Length never does."""
    for case in cases:
        try:
            response = client.send(case.data, "POST")
        except NoAnswer:
            continue
        if response.status == 200:
            why = "with Transfer-Encoding there, Content-Length says nothing: 400 is best"
            expect("the body", object_of(response).get("body"), "", why, rule="RFC 9112 §6.3")
        else:
            that(400 <= response.status < 500, response.line, "400 Bad Request", sent=shown(case.data))


def broken_bodies(client: Client, cases: list[WireCase]) -> None:
    """A body that breaks off into nonsense: refused, or its application is told of no end of it."""
    for case in cases:
        why = case.notes.get("why", case.name)
        try:
            response = client.send(case.data, "POST")
        except (NoAnswer, Deadline) as error:
            got = error.got if isinstance(error, NoAnswer) else "neither an answer nor an end"
            fail(f"{got} ({why})", "400 Bad Request or its like", sent=shown(case.data))
        if response.status != 200:
            refused = 400 <= response.status < 500
            that(refused, f"{response.line} ({why})", "400 Bad Request or its like", sent=shown(case.data))
            continue
        events = object_of(response).get("events")
        last = events[-1] if isinstance(events, list) and events else None
        told = isinstance(last, list) and last[:1] == ["http.disconnect"]
        expected = (
            "400, or http.disconnect: the body broke off, so the application must not take it for a whole one"
        )
        that(told, f"receive gave {in_words(events)} ({why})", expected, sent=shown(case.data))


def in_words(events: Any) -> str:
    """What the application says that receive gave: [type, bytes, more_body] for each event."""
    if not isinstance(events, list) or not all(isinstance(one, list) and len(one) == 3 for one in events):
        return repr(events)
    return (
        ", ".join(f"{kind} with {size} bytes, more_body {more}" for kind, size, more in events) or "nothing"
    )


def is_told(client: Client, rng: random.Random) -> None:
    """An application whose body breaks off, after it was called, does not wait for the rest of it."""
    book = f"broken {rng.random()}"
    with client.connect(seconds=5) as connection:
        ask(connection, "upload", "POST", [("Transfer-Encoding", "chunked")], say=book)
        with contextlib.suppress(NoAnswer):
            connection.send(b"3\r\nAda\r\n")
            notes_with(client, book, "http.request")
            connection.send(b"no size\r\n")
            connection.read()
        seen = notes_with(client, book, "disconnect") or ["http.disconnect last"]  # it need not be called
        expected = "http.disconnect, where the body broke off: it would wait for the rest in vain"
        got = f"receive gave {seen[1:]}, and then nothing more"
        that(seen[-1] == "http.disconnect last", got, expected, sent=sent_on(connection))


def shown(data: bytes) -> str:
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text if len(text) < 300 else f"{text[:150]} … and {len(data)} bytes in all"
