"""Asks apps/asgi_behaviours.py for a behaviour, and reads what it says, or fails."""

from __future__ import annotations

import ast
import json
import select
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from workshop.judge.checks import (
    Client,
    Deadline,
    NoAnswer,
    NotHTTP,
    Response,
    Wire,
    expect,
    fail,
    object_of,
    request_bytes,
    show_bytes,
    that,
)
from workshop.judge.stack import Stack

PATIENCE = 4.0  # seconds until what must be noted is said not to have been


def behave(what: str, /, **query: Any) -> str:
    """The target that asks for a behaviour."""
    return f"/do/{what}?{urlencode(query, doseq=True)}"


def ask(connection: Wire, what: str, method: str = "GET", fields: Any = (), /, **query: Any) -> None:
    """Send the head of a request for a behaviour."""
    connection.send(request_bytes(method, behave(what, **query), fields))


def sent_on(connection: Wire) -> str:
    """What this connection sent, for the report: others may have asked something since."""
    return show_bytes(bytes(connection.sent[:2000]), limit=300)


def answered(response: Response) -> Any:
    """The JSON of a 200."""
    expect("status", response.status, 200, f"the body was {response.text[:200]!r}")
    return response.json()


def told(response: Response, **more: str) -> dict[str, Any]:
    """The JSON object of a 200."""
    expect("status", response.status, 200, f"the body was {response.text[:200]!r}", **more)
    return object_of(response)


def scope_of(stack: Stack, client: Client, data: bytes, may_refuse: bool = False) -> dict[str, Any]:
    """The scope that the application was called with for this request, as it printed it; with its types.

    `used` is whether another call had written into it. Fails where the application was not called, unless
    the request may be refused: then {} is a scope that was never made.
    """
    mark = stack.ask("status", service=client.service)["mark"]
    with client.connect(seconds=4) as connection:
        connection.send(data)
        seen = _printed(stack, client, mark, connection)
        if seen is None:
            response = connection.response()
            if may_refuse and response.status == 400:
                return {}
            fail(f"{response.line}: the application was not called", "one call of the application")
    return {**{key: literal(text) for key, text in seen["scope"].items()}, "used": seen["used"]}


def scope_for(stack: Stack, client: Client, target: str) -> dict[str, Any]:
    """The scope of a GET for a target."""
    return scope_of(stack, client, request_bytes("GET", target, [("Connection", "close")]))


def _printed(stack: Stack, client: Client, mark: int, connection: Wire) -> Any:
    """What the application prints when it is called; None when an answer, or an exception, comes without."""
    end, over = time.monotonic() + 4, False
    while time.monotonic() < end:
        output = stack.ask("status", service=client.service, since=mark)["output"]
        for line in output.splitlines(keepends=True):
            if line.startswith("scope {") and line.endswith("\n"):
                return json.loads(line.removeprefix("scope "))
        if over:
            return None
        if "Traceback" in output or select.select([connection.socket], [], [], 0)[0]:
            over = client.rests()
        time.sleep(0.01)
    return None


def promises_os_error(scope: dict[str, Any]) -> bool:
    """Whether a scope says spec_version 2.4 or later: then `send` raises when the client has left."""
    asgi = scope.get("asgi")
    version = str(asgi.get("spec_version", "2.0") if isinstance(asgi, dict) else "2.0")
    parts = version.split(".")
    return all(part.isdecimal() for part in parts) and [int(part) for part in parts] >= [2, 4]


def mark_at_rest(stack: Stack, client: Client) -> int:
    """Where a service's output ends, when it has said all that it had to say."""
    client.rests()
    mark: int = stack.ask("status", service=client.service)["mark"]
    return mark


def prints(stack: Stack, client: Client, mark: int, word: str) -> bool:
    """Whether a service prints a word after `mark`, sooner or later."""
    output = asked_until(
        lambda: stack.ask("status", service=client.service, since=mark)["output"], lambda text: word in text
    )
    return word in output


def prints_once(stack: Stack, client: Client, mark: int, line: str) -> bool:
    """Whether a service prints a line that begins so after `mark`; fails when it does more than once."""
    if not prints(stack, client, mark, line):
        return False
    client.rests()
    output = stack.ask("status", service=client.service, since=mark)["output"]
    expected = "the whole traceback: only that shows where in the application it was raised"
    that(TRACE in output, f"{line!r} on standard error, and no traceback", expected, rule="this lab's rule 8")
    times = sum(one.startswith(line) for one in output.splitlines())
    got = f"one exception, and {times} tracebacks of it on standard error"
    that(times < 2, got, "one: it looks like two requests that failed", rule="this lab's rule 8")
    return True


TRACE = "Traceback (most recent call last)"


def no_traceback(stack: Stack, client: Client, mark: int, sent: str) -> None:
    """Fail when a service has printed a traceback since `mark`, though no application raised."""
    last = traced(stack, client, mark)
    got = f"a traceback on standard error, {last!r}, though the application raised nothing of its own"
    expected = (
        "none: whatever a client sends, and whenever it leaves: your server does not raise; and what its own "
        "send raised, when the client had left, is no fault of the application"
    )
    that(last is None, got, expected, rule="this lab's rule 8", sent=sent)


def traced(stack: Stack, client: Client, mark: int) -> str | None:
    """The last line of the traceback that a service has printed since `mark`, when it has come to rest."""
    client.rests()
    _, found, trace = stack.ask("status", service=client.service, since=mark)["output"].rpartition(TRACE)
    return next((line for line in trace.splitlines()[1:] if line[:1].strip()), "") if found else None


def literal(text: str) -> Any:
    """A repr as the value it shows; what is no plain value stays a text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


def is_address(value: Any, port: int | None = None) -> bool:
    """Whether it is (host, port): text and a number."""
    good = isinstance(value, tuple | list) and [type(part) for part in value] == [str, int]
    return good and port in (None, value[1])


def notes(client: Client, notebook: str) -> list[str]:
    """What the application wrote into a notebook."""
    value = answered(client.get(behave("notes", say=notebook)))
    return value if isinstance(value, list) else []


def notes_with(client: Client, notebook: str, word: str) -> list[str]:
    """The notes, as soon as one of them has `word` in it; asked for again and again, but not for ever."""
    return asked_until(lambda: notes(client, notebook), lambda seen: any(word in note for note in seen))


def asked_until(ask_for: Callable[[], Any], is_wanted: Callable[[Any], bool]) -> Any:
    """What is asked for, as soon as it is what is wanted; what it is at last when it never becomes that."""
    deadline = time.monotonic() + PATIENCE
    while not is_wanted(got := ask_for()) and time.monotonic() < deadline:
        time.sleep(0.002)
    return got


def ignored(connection: Wire, who: str, why: str, **more: str) -> Response:
    """The next answer on the connection must be the one to /do/ignore?name=WHO."""
    more.setdefault("sent", sent_on(connection))
    try:
        response = connection.response()
    except (NoAnswer, Deadline) as error:
        fail(f"{error.got}, where an answer was due", f"an answer: {why}", **more)
    expect("status", response.status, 200, why, **more)
    expect("the answer", response.json(), {"ignored": who}, why, **more)
    return response


def comes(connection: Wire, data: bytes, what: str) -> None:
    """Read until this has come."""
    while data not in connection.received:
        that(connection.read(), "the end of the connection", what, sent=sent_on(connection))


def broken(client: Client, target: str) -> Response | None:
    """The answer to a request that must fail; None when what came instead is no answer at all."""
    try:
        return client.get(target)
    except (NoAnswer, NotHTTP):
        return None


def released(client: Client, book: str, site: str) -> None:
    """Fail unless a site's stream was ended when its client left, and noted that."""
    seen = asked_until(lambda: answered(client.get(f"/notes?say={quote(book)}")), bool)
    why = "its client left: the generator of the stream is ended, and lets go of what it holds"
    expect(f"what {site} noted", seen, ["released"], why)


def read_in_two_pieces(
    client: Client, book: str, fields: Any, pieces: tuple[bytes, bytes], never: tuple[str, str]
) -> tuple[dict[str, Any], str]:
    """What an application says it received of a body, and what was sent.

    The second piece is sent when the application has the first; the next request begins behind it. `never`
    has the words (got, expected) for an application that goes on waiting.
    """
    with client.connect(seconds=6) as connection:
        ask(connection, "read", "POST", fields, say=book)
        connection.send(pieces[0])
        notes_with(client, book, "http.request")
        connection.send(pieces[1] + b"GET /next HTTP/1.1\r\n")
        shown = sent_on(connection)
        try:
            return told(connection.response("POST"), sent=shown), shown
        except Deadline:
            fail(*never, sent=shown)
