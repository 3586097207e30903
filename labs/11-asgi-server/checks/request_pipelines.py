"""Requests behind one another on a connection: a body nobody read, a slow first one, a flood of them."""

from __future__ import annotations

import contextlib
import random

from answer_framing import ends
from behaviours_client import ask, behave, comes, ignored, sent_on, told
from paused_transfers import BOUND, MIB, push_until_full

from workshop.judge.checks import (
    Client,
    Deadline,
    NoAnswer,
    Wire,
    WireError,
    expect,
    fail,
    name,
    request_bytes,
    that,
)

PIPELINED = "RFC 9112 §9.3.2"
UNREAD = 200_000  # bytes of an upload: more than a server keeps, less than the two kernels do


def kept_as_said(connection: Wire, who: str) -> None:
    """A response on a connection that is kept, and does not say that it is the last."""
    response = ignored(connection, who, "the next request on the same connection")
    said = response.get("Connection") or ""
    got = f"Connection: {said}, in a response after which the connection is kept"
    expected = "close only before the end of the connection"
    that("close" not in said.lower(), got, expected, rule="RFC 9112 §9.6", sent=sent_on(connection))


def ends_no_connection(connection: Wire, who: str) -> None:
    """An application's Connection: keep-alive, and the length of what a HEAD does not get."""
    for method, headers, what in (
        (
            "GET",
            ["connection:keep-alive", "keep-alive:timeout=60"],
            "the application's Connection: keep-alive",
        ),
        ("HEAD", ["Content-Length:5"], "an answer to HEAD with the Content-Length of a GET"),
    ):
        ask(connection, "answer", method, header=headers)
        shown, why = sent_on(connection), f"{what} is legal"
        expect("status", connection.response(method).status, 200, why, sent=shown)
        ask(connection, "ignore", name=who)
        ignored(connection, who, f"the next request, after {what}")


def unread_body(client: Client, rng: random.Random) -> None:
    """A body that the application does not read is never taken for the next request, whenever it comes."""
    smuggled = request_bytes("GET", behave("ignore", name="smuggled"))
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled)
    length, chunked = ("Content-Length", str(len(smuggled))), ("Transfer-Encoding", "chunked")
    for field, body, early in (
        (length, smuggled, len(smuggled)),
        (length, smuggled, 0),
        (chunked, chunk, len(chunk)),
        (chunked, chunk, 5),
    ):
        first, second = name(rng), f"{name(rng)} 2"
        with client.connect(seconds=4) as connection:
            # At once: with a body that comes after its head, which part is late would be chance.
            connection.send(request_bytes("POST", behave("ignore", name=first), [field]) + body[:early])
            ignored(connection, first, "a POST whose body the application leaves unread")
            try:
                connection.send(body[early:] + request_bytes("GET", behave("ignore", name=second)))
                response = connection.response()
            except NoAnswer:
                continue
            late = "" if early == len(body) else ", whose rest came after the answer"
            why = f"the unread body{late} is skipped, or the connection ends: it is not the next request"
            got = f"the next answer is {response.text!r}"
            skipped = response.text == f'{{"ignored": "{second}"}}'
            that(skipped, got, why, sent=sent_on(connection))


def unread_upload(client: Client, rng: random.Random) -> None:
    """A body longer than what a server keeps, that is never read, does not hold up the next request."""
    place, who = f"upload {rng.random()}", name(rng)
    with client.connect(seconds=6) as connection:
        ask(connection, "lines", "POST", [("Content-Length", str(UNREAD))], place=place)
        shown = f"{sent_on(connection)}, {UNREAD} bytes of body, and GET /do/ignore"
        try:
            connection.send(b"." * UNREAD)
            comes(connection, b"first\n", "the first line")
            client.get(behave("open", place=place))
            connection.send(request_bytes("GET", behave("ignore", name=who)))
            expect("the first answer", connection.response("POST").text, "first\nsecond\n", sent=shown)
            text = connection.response().text
        except NoAnswer:
            return
        except Deadline as error:
            expected = "the rest of the body is skipped, or the connection ends: nobody will read it any more"
            fail(f"{error.got}, after a POST whose application left the body unread", expected, sent=shown)
        why = "the unread body is skipped, or the connection ends: it is not the next request"
        expect("the next answer", text, f'{{"ignored": "{who}"}}', why, sent=shown)


def ends_as_said(client: Client, names: list[str]) -> None:
    """HTTP/1.0 without keep-alive, and the Connection: close of an application, which ends what it says."""
    with client.connect(seconds=4) as connection:
        connection.send(f"GET {behave('ignore', name='old')} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        ignored(connection, "old", "HTTP/1.0")
        ends(connection, "an HTTP/1.0 connection that stayed open without Connection: keep-alive")
    with client.connect(seconds=4) as connection:
        ask(connection, "answer", chunk=names, header=["connection:close", "x-tag:a"])
        response = connection.response()
        expect("X-Tag", response.all("X-Tag"), ["a"], "a header behind Connection goes out as any other")
        if "close" in (response.get("Connection") or "").lower():
            ends(connection, "the application's Connection: close, and a connection that stayed open")


def nothing_after_the_last(client: Client, who: str) -> None:
    """A request that says Connection: close is the last, also where another one came with it."""
    said = [behave("answer", chunk=who, header=f"connection:{option}") for option in ("close", "keep-alive")]
    for target in (behave("ignore", name=who), *said):
        last = request_bytes("GET", target, [("Connection", "close")])
        with client.connect(seconds=4) as connection:
            connection.send(last + request_bytes("GET", behave("ignore", name="one more")))
            with contextlib.suppress(NoAnswer, Deadline):
                connection.read_all()
            got = "an answer to the request behind one with Connection: close"
            expected = "nothing: the server MUST NOT process any further requests"
            more = b'"one more"' in connection.received
            that(not more, got, expected, rule="RFC 9112 §9.6", sent=sent_on(connection))


def slow_first(client: Client, rng: random.Random) -> None:
    """The first of two pipelined requests takes longer than the second would."""
    place, who = f"pipeline {rng.random()}", name(rng)
    slow = request_bytes("GET", behave("lines", place=place))
    quick = request_bytes("GET", behave("ignore", name=who))
    with client.connect(seconds=6) as connection:
        connection.send(slow + quick)
        comes(connection, b"first\n", "the first answer")
        client.get(behave("open", place=place))
        why = "answers come in the order of the requests, also when the first one is slow"
        more = {"rule": PIPELINED, "sent": sent_on(connection)}
        try:
            text = connection.response().text
        except WireError as error:
            fail(f"{error.got}: the second answer is in the first one", why, **more)
        expect("the first answer", text, "first\nsecond\n", why, **more)
        ignored(connection, who, why, **more)


def flood(client: Client, rng: random.Random) -> None:
    """Pipelined requests without end, behind one that takes long: what waits of them is bounded."""
    place = f"pipeline {rng.random()}"
    quick = request_bytes("GET", behave("ignore", name=name(rng)))
    with client.connect(seconds=12) as connection:
        ask(connection, "lines", place=place)
        comes(connection, b"first\n", "the first answer")
        sent = push_until_full(client, connection, quick * (65536 // len(quick)), "pipelined requests")
        got = f"{sent // MIB} MiB of pipelined requests taken, while the first one is being answered"
        less = f"less than {BOUND} MiB: what waits of them is bounded, as of a body"
        that(sent < BOUND * MIB, got, less, rule="this lab's rule 5", sent=sent_on(connection))
        connection.reset()
    client.get(behave("open", place=place))


def fresh_contexts(client: Client, rng: random.Random) -> None:
    """What one request's application puts into a ContextVar, the next one's does not find there."""
    names = [name(rng) for _ in range(3)]
    targets = [behave("remember", name=who) for who in names]
    upload = request_bytes("POST", targets[0], body=rng.randbytes(300_000))
    ways = {
        "each after the response before": [request_bytes("GET", target) for target in targets],
        "pipelined": [b"".join(request_bytes("GET", target) for target in targets)],
        "after an upload": [upload + b"".join(request_bytes("GET", target) for target in targets[1:])],
    }
    for way, pieces in ways.items():
        with client.connect(seconds=6) as connection:
            for index, who in enumerate(names):
                if index < len(pieces):
                    connection.send(pieces[index])
                value = told(connection.response())
                before = value.get("before")
                got = f"a ContextVar that says {before!r}: the request before it, on this connection, set it"
                expected = "'': each request begins in a context of its own (create_task has context=)"
                that(before == "", f"{got} ({way})", expected, rule="PEP 567, contextvars.Context")
                expect("what it set itself", value.get("now"), who)
