"""What every layer of lab 6 owes to both sides: all that it is not about passes through."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from layer_answers import answered, ended_well, word
from one_after_another import headers_stay_the_applications

from workshop.judge.checks import Probe, Transcript, expect, fail, made, name, note, ref, that, wsgi_app

BOUNDARIES = 'PEP 3333, "Middleware Handling of Block Boundaries"'
DETAILS = 'PEP 3333, "Specification Details"'
ERROR_HANDLING = 'PEP 3333, "Error Handling"'
MIDDLEWARE = 'PEP 3333, "Middleware: Components that Play Both Sides"'
START_RESPONSE = 'PEP 3333, "The start_response() Callable"'
VALIDATOR = "wsgiref.validate:validator"

Wrap = Callable[[Any], Any]
Pairs = Sequence[tuple[str, str]]


def passes_through(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs = ()) -> None:
    """Fail unless a layer passes on everything that it is not about."""
    body_is_lazy(probe, rng, layer, wrap, headers)
    body_itself_is_closed(probe, rng, layer, wrap, headers)
    request_body_stays(probe, rng, layer, wrap, headers)
    write_is_passed_on(probe, rng, layer, wrap, headers)
    exc_info_is_passed_on(probe, rng, layer, wrap, headers)
    broken_application_is_released(probe, rng, layer, wrap, headers)
    validator_is_content(probe, rng, layer, wrap, headers)
    headers_stay_the_applications(probe, layer, wrap, headers)


def body_is_lazy(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    """Chunks go out one for one, and `close` comes after them, or when the client has left."""
    chunks = [word(rng).encode(), b"", word(rng).encode(), b"!"]
    for late in (False, True):
        inner = wsgi_app(chunks=chunks, late_start=late, status="201 Created")
        seen = probe.wsgi(wrap(inner), headers=headers)
        answered(seen, "201 Created", b"".join(chunks))
        in_turn(seen, layer)
        closed(seen, layer, "after the last chunk")
    left = probe.wsgi(wrap(wsgi_app(chunks=chunks)), headers=headers, take=1)
    ended_well(left)
    closed(left, layer, "when the client left after the first chunk, and the server closed the body")
    unread = probe.wsgi(wrap(wsgi_app(chunks=chunks)), headers=headers, take=0)
    ended_well(unread)
    if "inner called" in unread.names():
        closed(unread, layer, "when the client left before the first chunk, and the server closed the body")


def body_itself_is_closed(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    """A body that is no iterator: it has the close, and the iterator that iter() makes has another one."""
    data = word(rng).encode()
    seen = probe.wsgi(wrap(made("iterable_bodies:in_an_object", note("closed"), data, b"!")), headers=headers)
    answered(seen, "200 OK", data + b"!")
    times = [event["name"] for event in seen.all("noted")].count("closed")
    missing = "of the body that was returned: what iter() makes of it is another object"
    why = "not again: a close may give back what others use by then" if times > 1 else missing
    expect(f"{layer}: calls of the application's close", times, 1, why, rule=DETAILS)


def in_turn(seen: Transcript, layer: str) -> None:
    """Between two chunks of the application's there is one of the layer's."""
    waiting = 0
    for event in seen.events:
        if event["event"] == "inner chunk":
            waiting += 1
        elif event["event"] == "chunk":
            waiting = 0
        number = event.get("number")
        if waiting > 1:
            fail(
                f"{layer}: the application had to make chunk {number} before its chunk {number - 1} was out",
                "one chunk out for each chunk in, b'' too, before you ask for the next one: a body may be "
                "larger than memory, or never end",
                rule=BOUNDARIES,
            )
    out, made_inside = len(seen.all("chunk")), len(seen.all("inner chunk"))
    that(
        out >= made_inside,
        got=f"{layer}: {out} chunks out for {made_inside} in",
        expected="at least one out for each one in, if only b'': it tells the server that work goes on",
        rule=BOUNDARIES,
    )


def closed(seen: Transcript, layer: str, when: str) -> None:
    names = seen.names()
    that(
        "inner closed" in names,
        got=f"{layer}: the application's body was not closed {when}",
        expected="close() on the application's body, when yours is closed: it frees what that holds",
        rule=DETAILS,
    )
    last = max((number for number, event in enumerate(names) if event == "chunk"), default=-1)
    that(
        names.index("inner closed") > last,
        got=f"{layer}: the application's body was closed before its last chunk was out",
        expected="close() when the server calls close(), and not before",
        rule=DETAILS,
    )


def request_body_stays(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    data = f'{{"title": "{name(rng)}"}}'.encode()
    seen = probe.wsgi(wrap(wsgi_app()), "POST", "/tasks", body=data, headers=headers)
    ended_well(seen)
    that(
        not seen.all("read"),
        got=f"{layer}: wsgi.input was read, although the application had not read it",
        expected="the request's body unread: it can be read once, and only by the application",
        rule='PEP 3333, "Input and Error Streams"',
    )
    seen = probe.wsgi(wrap(wsgi_app(read=-1)), "POST", "/tasks", body=data, headers=headers)
    ended_well(seen)
    got = (seen.first("inner read") or {}).get("data")
    expect(f"{layer}: what the application read of the body", got, data)


def write_is_passed_on(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    written, rest = [word(rng).encode(), word(rng).encode()], word(rng).encode()
    seen = probe.wsgi(wrap(wsgi_app(write=written, chunks=[rest])), headers=headers)
    answered(seen, "200 OK", b"".join(written) + rest)
    got = [event["data"] for event in seen.all("write")]
    expect(f"{layer}: what reached the server's write", got, written, "at once, not with the rest")


def exc_info_is_passed_on(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    seen = probe.wsgi(wrap(wsgi_app(chunks=[b"a", b"b"], exc_info=True)), headers=headers)
    ended_well(seen)
    starts = [(event["status"], event["exc_info"]) for event in seen.all("start_response")]
    what = f"{layer}: status and exc_info of each start_response"
    why = "without the third argument the server can't tell a failure from a mistake"
    expect(what, starts, [("200 OK", None), ("500 Failed", "ValueError")], why, rule=START_RESPONSE)


def broken_application_is_released(
    probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs
) -> None:
    """Around an application that raises: the exception comes out, and what it held is let go of."""
    for when in ("call", "iteration", "close"):
        who = word(rng)
        seen = probe.wsgi(wrap(wsgi_app(raises=when, name=who, chunks=[b"a", b"b"])), headers=headers)
        error = seen.raised or {}
        that(
            when == "close" or error,
            got=f"{layer}: no exception came out, although the application raised in {when}",
            expected="the application's own exception: what becomes of it is the server's business",
            rule='PEP 3333, "Error Handling"',
        )
        that(
            not error or who in error.get("message", ""),
            got=f"{layer}: {error.get('type')}: {error.get('message')}, where the application raised another",
            expected="the application's own exception, not one about it",
            rule='PEP 3333, "Error Handling"',
        )
        if when != "call":
            closed(seen, layer, f"by the server's call of close, after the application had raised in {when}")


def validator_is_content(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    """The standard library's validator on both sides: of the layer as an application, and as a server."""
    data = word(rng).encode()
    for script in ({"chunks": [data, b"!"]}, {"chunks": [data, b"!"], "late_start": True, "read": -1}):
        inner = made(VALIDATOR, wsgi_app(**script))
        seen = probe.wsgi(made(VALIDATOR, wrap(inner)), "POST", "/tasks", body=data, headers=headers)
        error = seen.raised
        if error is not None and error["type"] == "AssertionError":
            fail(
                f"{layer}, with wsgiref.validate on both sides of it: {error['message']}",
                "what both sides can rely on: towards the server an application, towards it a server",
                rule=MIDDLEWARE,
            )
        answered(seen, "200 OK", data + b"!")
        that(
            "without being closed" not in seen.output,
            got=f"{layer}, with wsgiref.validate on both sides of it: {seen.output.strip()[-90:]}",
            expected="close() on the application's body when yours is closed",
            rule=DETAILS,
        )


def frameworks_run_unchanged(probe: Probe, layers: list[Any], asked: Pairs) -> None:
    for framework in ("greeting_flask", "greeting_django"):
        app = made("middleware:stack", ref(f"{framework}:application"), layers)
        seen = probe.wsgi(app, "POST", "/upper", body=b"ada", headers=asked)
        answered(seen, "200 OK", b"ADA")
        seen = probe.wsgi(app, path="/letters", query="name=Ada", headers=asked)
        answered(seen, "200 OK", b"Ada")
        that(
            len(seen.all("chunk")) >= 3,
            got=f"{framework}: its three chunks came out as {len(seen.all('chunk'))}",
            expected="one chunk out for each chunk in",
            rule=BOUNDARIES,
        )
