"""Asking services/apps/wsgi_behaviours.py for a behaviour, and reading what it says of its server."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from workshop.judge.checks import (
    Client,
    Deadline,
    NoAnswer,
    NotHTTP,
    Response,
    expect,
    fail,
    object_of,
    request_bytes,
    show_bytes,
    that,
)

Value = dict[str, Any]


def behave(what: str, /, **query: Any) -> str:
    """The target that asks for a behaviour."""
    return f"/do/{what}?{urlencode(query, doseq=True, encoding='latin-1')}"


def shown_request(target: str, method: str = "GET") -> str:
    """A request as the report shows it, for a verdict that comes after other requests."""
    return show_bytes(request_bytes(method, target, [("Connection", "close")]))


def answered(response: Response) -> Value:
    """The JSON object of a 200."""
    expect("status", response.status, 200, f"the body was {response.text[:200]!r}")
    return object_of(response)


def told(response: Response) -> Value:
    """The environ that the application was called with, and the rest that it says about it."""
    value = answered(response)
    parts = [value.get("environ"), value.get("others", {})]
    if not all(isinstance(part, dict) and all(isinstance(v, str) for v in part.values()) for part in parts):
        fail(f"{response.line} with {response.text[:200]!r}", "the environ as JSON, with 200 OK")
    return {"others": {}, **value}


def notes(client: Client, notebook: str) -> list[str]:
    """What the application wrote into a notebook."""
    value = client.get(behave("notes", say=notebook)).json()
    return value if isinstance(value, list) else []


def notes_with(client: Client, notebook: str, word: str) -> list[str]:
    """The notes, as soon as `word` is among them, or when the server has nothing left to do."""
    seen: list[str] = []
    try:
        seen = notes(client, notebook)
        while word not in seen:
            rests = client.rests()
            seen = notes(client, notebook)
            if rests:
                break
    except Deadline:
        pass
    return seen


def printed(client: Client, stack: Any, word: str) -> bool:
    """Whether the service prints a word, now or before it has nothing left to do."""
    try:
        while word not in stack.ask("status", service=client.service, since=0)["output"]:
            if client.rests():
                return word in stack.ask("status", service=client.service, since=0)["output"]
    except Deadline:
        return False
    return True


def must_fail(client: Client, target: str, secret: str, expected: str, rule: str = "") -> None:
    """Fail unless the answer is a 500 without `secret` in it, or the end of the connection."""
    more = {"rule": rule, "sent": shown_request(target)}
    try:
        response = client.get(target)
    except NoAnswer as error:
        that(secret.encode() not in error.partial, f"{error.partial!r}", expected, **more)
        return
    except NotHTTP as error:
        # gunicorn's status line when the application never named a status: no client believes it.
        nothing = error.partial.startswith(b"HTTP/1.1 None") and secret.encode() not in error.partial
        that(nothing, error.got, expected, **more)
        return
    got = f"{response.line}, with {response.raw[-150:]!r}"
    that(secret.encode("latin-1") not in response.raw, got, expected, **more)
    that(response.status == 500, response.line, expected, **more)


def gate_line(connection: Any, index: int, how: str, in_time: bool = True) -> tuple[int, int]:
    """The gate's line number `index`, waited for; it names a process and a signal.

    With `in_time` it fails when the application has waited for a line to arrive, and gave up. Where a check
    is about something else, it does not look: whether that is there beside the line is chance.
    """
    at_once = "at once: the application makes the next only when this one has arrived"
    expected = f"line {index} {at_once}"
    while True:
        gave_up = re.search(rb"gave up after line (\d+)", connection.received)
        if gave_up and in_time:
            line = f"line {int(gave_up[1])}"
            late = f"{line}, which the application had waited for in vain ({how})"
            fail(f"only at the end: {late}", f"{line} {at_once}")
        found = re.search(rb"^%d (\d+) (\d+)\n" % index, connection.received, re.MULTILINE)
        if found:
            return int(found[1]), int(found[2])
        try:
            ended = not connection.read()
        except Deadline:
            fail(f"nothing of line {index} while the application waits ({how})", expected)
        that(not ended, f"a closed connection before line {index} ({how})", expected)
