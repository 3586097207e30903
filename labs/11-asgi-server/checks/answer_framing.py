"""Where an answer ends: whole, with the fields that say so, or broken off, so that nobody is misled."""

from __future__ import annotations

import contextlib
import random
import re
import select
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from behaviours_client import ask, behave, broken, comes, notes_with, sent_on

from workshop.judge.checks import (
    Client,
    Deadline,
    NoAnswer,
    Response,
    Wire,
    WireError,
    expect,
    fail,
    request_bytes,
    that,
)

DAYS, MONTHS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun", "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
IMF_DATE = rf"({DAYS}), \d\d ({MONTHS}) \d{{4}} \d\d:\d\d:\d\d GMT"
HOUR = 3600  # seconds
START = 'ASGI, HTTP & WebSocket, "Response Start"'
IGNORED = "the server ignores the application's Transfer-Encoding, and chooses the framing"
MIB = 1 << 20


def with_other_headers(body: str, chunks: list[str]) -> list[tuple[str, Any, str, str]]:
    """Answers whose headers are unusual, or left out: (method, query, body, why)."""
    once = "headers is an iterable: this one can be read once"
    latin = "a value goes out as the bytes that the application gave: here one of them is not ASCII"
    left_out = "headers, body and more_body may be left out of an event"
    return [
        ("GET", {"chunk": chunks, "header": ["x-tag:a"], "once": "yes"}, body, once),
        ("GET", {"chunk": chunks, "header": ["x-tag:caf\xe9"]}, body, latin),
        ("GET", {"bare": "yes"}, "", left_out),
        ("GET", {"bare": "yes"}, "", "the events are the application's, which sends the same two again"),
        ("GET", {"chunk": body, "trailers": "no"}, body, "a start may have trailers, False, among its keys"),
    ]


def with_other_statuses(chunks: list[str], length: str) -> list[tuple[str, Any, str, str]]:
    """Answers with a status that few send, some beside 204 and 304: (method, query, body, why)."""
    body, why = "".join(chunks), "RFC 9110 §15: any status from 200 to 599 may come"
    return [
        ("GET", {"chunk": chunks, "status": 599}, body, why),
        ("GET", {"chunk": chunks, "status": 203, "header": [length]}, body, why),
        ("GET", {"chunk": [], "status": 205, "header": ["Content-Length:0"]}, "", "RFC 9110 §15.3.6: 205"),
        ("GET", {"chunk": chunks, "status": 303}, body, why),
        ("GET", {"chunk": chunks, "status": 305}, body, why),
    ]


def whole_body(value: dict[str, Any], whole: str, framing: str, sent: str) -> None:
    """Fail unless `receive` gave this body, in events of the right kind."""
    events = value.get("events", [])
    events = events if isinstance(events, list) else []
    types = {str(event[0]) for event in events if isinstance(event, list) and event}
    that(
        types == {"http.request"},
        f"events of type {sorted(types)}",
        "http.request, until the body ended",
        sent=sent,
    )
    expect("the type of body in its events", value.get("kinds"), ["bytes"], "ASGI: a byte string", sent=sent)
    why = f"the body's bytes, without its framing ({framing}), and not one of the next request"
    expect("the body that receive gave", value.get("body"), whole, why, sent=sent)


def is_framed(connection: Wire, method: str, query: dict[str, Any], expected: str, why: str) -> None:
    """One answer of the table: its status, its body, and the fields that say where it ends."""
    try:
        response = connection.response(method)
    except WireError as error:
        fail(f"{error.got}, for a {method}", f"the whole answer to a {method}: {why}")
    expect("status", response.status, int(query.get("status", 200)), why)
    expect("body", response.text, expected, why)
    if response.status < 500 and not {"bare", "trailers", "whole"} & query.keys():
        has_date(response.get("Date"))
    if "whole" in query:
        length, right = response.get("Content-Length"), str(len(query["chunk"]))
        got = f"Content-Length: {length}, and the body that a GET gets has {right} bytes"
        that(length in (None, right), got, f"{right}, or no Content-Length", rule="RFC 9110 §8.6, a MUST NOT")
    if response.status == 204:
        expect("Transfer-Encoding of a 204", response.all("Transfer-Encoding"), [], rule="RFC 9112 §6.1")
    if "header" in query:
        has_fields(response, [one.partition(":") for one in query["header"]], why)


def has_fields(response: Response, sent: list[tuple[str, str, str]], why: str) -> None:
    """The fields of an answer to a start with these; what they say of the framing is the server's affair."""
    lengths, tags = ([value for name, _, value in sent if name == one] for one in ("Content-Length", "x-tag"))
    every = f"every header of the start goes out, wherever Content-Length stands among them; {why}"
    expect("X-Tag", response.all("X-Tag"), tags, every)
    codings = response.all("Transfer-Encoding")
    if not lengths:
        right = f"chunked, once, or none: {IGNORED}"
        that(codings in ([], ["chunked"]), f"Transfer-Encoding = {codings!r}", right, rule=START)
        return
    expect("Content-Length", response.all("Content-Length"), lengths, "once")
    expect("Transfer-Encoding", codings, [], "there is a length")


def has_date(date: str | None) -> None:
    """Fail unless it is a Date as HTTP writes it, and the time is now."""
    right = re.fullmatch(IMF_DATE, date or "")
    expected = "the time as in Sun, 06 Nov 1994 08:49:37 GMT: email.utils.formatdate(usegmt=True)"
    that(right, f"Date = {date!r}", expected, rule="RFC 9110 §6.6.1, a MUST")
    expected = "the time at which the response was made"
    that(
        not right or is_now(date or ""),
        f"Date = {date!r}, which is not now",
        expected,
        rule="RFC 9110 §6.6.1",
    )


def is_now(date: str) -> bool:
    """Whether it is less than an hour from now, by this machine's clock."""
    try:
        then = parsedate_to_datetime(date)
    except ValueError:  # the 31st of February
        return False
    return abs((then - datetime.now(UTC)).total_seconds()) < HOUR


def no_line_break_goes_out(client: Client) -> None:
    """Fail when an application's header becomes two, in whatever way it breaks the line."""
    for header in ("X-Tag:a{}X-Evil: yes", "X-Tag{}X-Evil: yes"):
        for line_break in ("\r\n", "\n", "\r"):
            target = behave("answer", chunk="Ada", header=header.format(line_break))
            with client.connect(seconds=4) as connection, contextlib.suppress(NoAnswer):
                connection.send(request_bytes("GET", target, [("Connection", "close")]))
                connection.read_all()
            head = bytes(connection.received).partition(b"\r\n\r\n")[0]
            evil = re.search(rb"[\r\n]X-Evil", head, re.IGNORECASE)
            got = f"X-Evil: yes, smuggled in by a line break, {line_break!r}"
            that(not evil, got, "500, or no answer", rule="RFC 9110 §5.5", sent=sent_on(connection))


def nothing_follows(client: Client, answered: list[tuple[Wire, str, str]]) -> None:
    """Fail when bytes come after these answers: (connection, which answer, why nothing may follow)."""
    client.rests()  # what it has to say, it has said
    for connection, which, why in answered:
        more = connection.unread()
        if select.select([connection.socket], [], [], 0)[0]:
            with contextlib.suppress(NoAnswer):
                more += connection.read()
        that(not more, f"{more[:80]!r} after {which}", f"nothing: {why}", sent=sent_on(connection))


def raises_out_of_order(client: Client, rng: random.Random) -> None:
    """Events in an order that makes no response: the application is told which one was wrong."""
    expected = {
        "body_first": "an exception that says http.response.start has to come first",
        "start_twice": "an exception that says http.response.start came already",
        "start_late": "an exception that says http.response.start came already",
        "unknown": "an exception that names the events that there are",
        "unknown_stop": "an exception that names the events that there are",
        "unknown_late": "an exception that names the events that there are",
    }
    for how, rule in expected.items():
        book = f"{how} {rng.random()}"
        response = broken(client, behave("order", how=how, say=book))
        raised = notes_with(client, book, "")
        that(raised and raised != ["nothing was raised"], f"send raised nothing ({how})", rule)
        says = "http.response" in raised[0]
        that(says, f"send raised {raised[0]!r} ({how})", f"{rule}: name the event in its text")
        got = f"{response and response.line} ({how})"
        that(response is None or response.status == 500, got, "500, or an answer that breaks off")


def raises_for_what_can_not_be_sent(client: Client, rng: random.Random) -> None:
    """A body of text, one unlike its Content-Length, a line break in a header: the application is told."""
    for how, what in (
        ("text", "the application sent a body of text, not of bytes"),
        ("longer", "Content-Length is 7, and the body has 8 bytes"),
        ("shorter", "Content-Length is 7, and the body has 2 bytes"),
        ("line_break", "a header's value has a line break"),
    ):
        book = f"{how} {rng.random()}"
        response = broken(client, behave("order", how=how, say=book))
        if how == "text":  # what a client gets of the others is asked of their bytes
            got = f"{response and response.line} ({what})"
            that(response is None or response.status == 500, got, "500, or an answer that breaks off")
        raised = notes_with(client, book, "")
        told = raised and raised != ["nothing was raised"]
        that(told, f"send raised nothing ({what})", "an exception: the application can't know otherwise")


def raises_after_the_end(client: Client, rng: random.Random) -> None:
    """An event after the last one raises, and the client gets nothing of it."""
    with contextlib.ExitStack() as opened:
        answers = []
        for how in ("after_the_end", "start_after_the_end"):
            connection, book = opened.enter_context(client.connect(seconds=6)), f"late {rng.random()}"
            ask(connection, "order", how=how, say=book)
            why = "nothing after the last event belongs to the body"
            expect("body", connection.response().text, "in time", why)
            raised = notes_with(client, book, "")
            rule = "an exception that names http.response.body: the last one was sent before"
            that("http.response" in str(raised), f"send raised {raised} after the last event", rule)
            answers.append((connection, "the answer", "the next answer begins there"))
        nothing_follows(client, answers)


def head_leaves_with_an_empty_piece(client: Client, rng: random.Random) -> None:
    """The first body event is empty, and more come later: the client has the head meanwhile."""
    place = f"quiet {rng.random()}"
    with client.connect(seconds=5) as connection:
        ask(connection, "lines", "GET", [("Connection", "close")], place=place, quiet="yes")
        try:
            comes(connection, b"\r\n\r\n", "the head of the response")
        except Deadline:
            got = "nothing, though the application has sent the start and a body event, which was empty"
            fail(got, "the head: it leaves with the first body event, empty or not", sent=sent_on(connection))
        client.get(behave("open", place=place))
        why = "the second body event, after an empty one"
        expect("body", connection.response().text, "second\n", why, sent=sent_on(connection))


def head_has_no_content(client: Client) -> None:
    """The server's own 500 to a HEAD: a head alone."""
    with client.connect(seconds=4) as connection:
        connection.send(request_bytes("HEAD", behave("answer", raise_at=-1), [("Connection", "close")]))
        with contextlib.suppress(NoAnswer):
            connection.read_all()
    content = bytes(connection.received).partition(b"\r\n\r\n")[2]
    got = f"{content[:80]!r} after the head of the 500 to a HEAD"
    rule = "RFC 9110 §9.3.2, a MUST"
    that(not content, got, "nothing: a HEAD's answer has no content", rule=rule, sent=sent_on(connection))


def old_client(client: Client, chunks: list[str]) -> None:
    """A body of unknown length for an HTTP/1.0 client that wants to keep the connection: it has an end."""
    head = (
        f"GET {behave('answer', chunk=chunks)} HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    )
    with client.connect(seconds=4) as connection:
        connection.send(head.encode())
        try:
            text = connection.response().text
        except Deadline:
            got = "no end of the body: several events, no Content-Length, for HTTP/1.0 with keep-alive"
            fail(got, "the end of the connection: HTTP/1.0 knows no chunks", sent=sent_on(connection))
        why = "HTTP/1.0 knows no chunks: the end of the connection ends the body"
        expect("body", text, "".join(chunks), why, sent=sent_on(connection))


def ends_within(connection: Wire, promised: int, much: str) -> None:
    """A body unlike its Content-Length: no byte after it, and no wait for bytes that never come."""
    expected = f"at most {promised} bytes of body, and the end of the connection, or a 500"
    try:
        raw = connection.read_all()
    except Deadline:
        fail(f"a connection that stays open: the body was {much} than its Content-Length", expected)
    except NoAnswer:
        raw = bytes(connection.received)
    head, _, sent = raw.partition(b"\r\n\r\n")
    if b" 500 " not in head[:20]:
        that(len(sent) <= promised, f"{len(sent)} bytes of body: it was {much} than promised", expected)


def breaks_off(client: Client, target: str, what: str) -> None:
    """No answer, half of one, or a 500: nothing that looks whole."""
    try:
        response = client.get(target)
    except NoAnswer:
        return
    except Deadline:
        fail(f"no end of an answer whose application {what}", "a connection that ends before the body does")
    got = f"{response.line} and a body that looks whole, though the application {what}: {response.text!r}"
    that(response.status >= 500, got, "a connection that ends before the body does: no last chunk")


def ends(connection: Wire, got: str) -> None:
    """Fail with `got` unless the other side ends the connection."""
    that(connection.closed_within(3), got, "a close", rule="RFC 9112 §9.6", sent=sent_on(connection))
