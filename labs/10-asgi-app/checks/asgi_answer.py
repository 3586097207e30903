"""What an application sent, from the probe's transcript; fails where it is no answer that ASGI allows."""

from __future__ import annotations

import json
from typing import Any

from workshop.judge.checks import NOT_JSON, Probe, Transcript, fail, made, ref, that

START = 'ASGI www, "Response Start - send event"'
BODY = 'ASGI www, "Response Body - send event"'


def answer_of(seen: Transcript) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body that were sent; fails where the messages are not what the ASGI text asks."""
    if seen.raised is not None:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", "an answer, and no exception")
    sends = [message if isinstance(message, dict) else {} for message in seen.sends]
    types = [message.get("type") for message in sends]
    more = f", then it was {seen.names()[-1]}" if seen.names()[-1] == "still running" else ""
    that(
        types[:1] == ["http.response.start"] and set(types[1:]) == {"http.response.body"},
        got=f"sent {types}{more}",
        expected="sent one http.response.start, then http.response.body",
        rule=START,
    )
    that(
        not sends[-1].get("more_body", False),
        got=f"the last http.response.body has more_body {sends[-1].get('more_body')!r}{more}",
        expected="more_body False (or absent) in the last one: else the client waits for more",
        rule=BODY,
    )
    bodies = [message.get("body", b"") for message in sends[1:]]
    that(
        all(isinstance(body, bytes) for body in bodies),
        got=f"a body of {[type(body).__name__ for body in bodies]}",
        expected="a body of bytes",
        rule=BODY,
    )
    status = sends[0].get("status")
    return status if isinstance(status, int) else 0, headers_of(sends[0]), b"".join(bodies)


def headers_of(start: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """The headers of http.response.start, all of them pairs of bytes."""
    headers = [
        tuple(pair) if isinstance(pair, tuple | list) else (pair,) for pair in start.get("headers", [])
    ]
    wrong = [pair for pair in headers if not is_header(pair)]
    that(
        not wrong,
        got=f"the header {wrong[:1]!r}",
        expected="(name, value), both bytes, the name in lower case",
        rule=START,
    )
    return [(pair[0], pair[1]) for pair in headers]


def is_header(pair: tuple[Any, ...]) -> bool:
    return len(pair) == 2 and all(isinstance(one, bytes) for one in pair) and pair[0] == pair[0].lower()


def nothing_is_left_over(probe: Probe, queries: list[bytes]) -> None:
    """Fail unless each of several responses in a row has the headers of one (apps/responses_in_a_row.py)."""
    sent = f"GET /echo, in one process, with each of the queries {queries!r}"
    call = made("responses_in_a_row:responses_in_a_row", ref("app:app"), queries)
    responses = probe_value(probe, call, sent)
    first = names_of(responses[0])
    for number, response in enumerate(responses, 1):
        names = names_of(response)
        more = [name for name in dict.fromkeys(names) if names.count(name) > first.count(name)]
        said = ", ".join(map(repr, more))
        that(
            not more,
            got=f"response {number} has {said} more often than response 1: {response!r}",
            expected="its own headers alone: a list that outlives its response (the default of a parameter, "
            "headers=[]) still has what was appended to it before",
            rule="RFC 9110 §5.3",
            sent=sent,
        )


def names_of(headers: Any) -> list[Any]:
    return [pair[0] for pair in headers]


def probe_value(probe: Probe, call: Any, sent: str) -> Any:
    """What a call gave; an exception of the application's fails the check."""
    seen = probe.steps(call, sent=sent)
    if seen.raised is not None:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", "an answer, and no exception")
    return seen.values[-1]


def media_type(value: str | bytes | None) -> str:
    """A Content-Type without its parameters."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value or ""
    return text.partition(";")[0].strip().lower()


def json_of(body: bytes) -> Any:
    try:
        return json.loads(body)
    except NOT_JSON:
        fail(f"the body {body[:200]!r}", "a body that is JSON (RFC 8259)")


def key_of(value: Any, key: str) -> Any:
    """A key of a JSON object; fails when it is no object, or has no such key."""
    that(
        isinstance(value, dict) and key in value,
        got=f"the JSON {value!r}",
        expected=f"a JSON object with the key {key!r}",
    )
    return value[key]


def echoed(got: Any, text: str) -> None:
    """Fail unless /echo said this text back as its "body"; say which mistake it looks like."""
    if isinstance(got, str) and got != text and text.startswith(got.rstrip("\ufffd")):
        why = "more_body True: there is another piece"
    elif isinstance(got, str) and "\ufffd" in got:
        why = "a piece may end in the middle of a character: join the bytes, then decode"
    else:
        why = "every piece, in order"
    that(got == text, got=f"body = {got!r}", expected=f"body = {text!r}     {why}")
