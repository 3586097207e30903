"""How the checks ask a test client: steps in the learner's process, and what came of them."""

from __future__ import annotations

import json
from typing import Any

from workshop.judge.checks import (
    NOT_JSON,
    attribute,
    expect,
    fail,
    made,
    method,
    named,
    ref,
    that,
)

LOG = made("builtins:list", ref("apps_to_test:LOG"))  # what apps_to_test lived through, up to now
RAISED = (
    "this lab, as werkzeug's and Starlette's clients do: what the application raises, its test gets to see"
)


def ask(probe: Any, *steps: Any, sent: str, seconds: float = 5.0, **more: str) -> dict[str, Any]:
    """The values of the steps, by name; an exception of the client's fails the check."""
    return ask_seen(probe, *steps, sent=sent, seconds=seconds, **more)[1]


def ask_seen(
    probe: Any, *steps: Any, sent: str, seconds: float = 5.0, **more: str
) -> tuple[Any, dict[str, Any]]:
    """The same, and all that happened meanwhile."""
    seen = probe.steps(*steps, sent=sent, seconds=seconds)
    if seen.raised:
        fail(said(seen.raised), "no exception: the application did nothing wrong", **more)
    names = [step[0] if isinstance(step, tuple) else "" for step in steps]
    return seen, dict(zip(names, seen.values, strict=False))


def said(error: dict[str, Any]) -> str:
    return f"{error['type']}: {error['message']}".rstrip(": ")


def must_raise(seen: Any, kind: str, why: str, holding: str = "", **more: str) -> None:
    """The client raised an exception of this kind, with these words; a hole in the starter is none."""
    got = said(seen.raised) if seen.raised else "nothing was raised"
    bases = seen.raised["bases"] if seen.raised else []
    well = kind in bases and "NotImplementedError" not in bases and holding in got
    wanted = f"{kind}: {holding}     {why}" if holding else f"{kind}: {why}"
    that(well, got=got, expected=wanted, **more)


def entered(kind: str, app: Any) -> tuple[Any, Any]:
    """A client as "c", inside of its with block."""
    return ("client", made(kind, app)), ("c", method(named("client"), "__enter__"))


def left(thing: str = "client") -> Any:
    """The end of a with block, without an exception."""
    return method(named(thing), "__exit__", None, None, None)


ASGI = "client:ASGIClient"
# `make debug-16` makes all calls in one process: what an earlier one left is no part of this one.
FRESH = tuple(method(ref(f"apps_to_test:{name}"), "clear") for name in ("LOG", "SENT"))
APP = (*FRESH, *entered(ASGI, ref("apps_to_test:asgi")))


def asked(how: str, *args: Any, of: str = "c", **more: Any) -> Any:
    return method(named(of), how, *args, **more)


def opened(thing: str, value: Any) -> tuple[Any, Any]:
    """What a method gave for a with block, and the block's own value, as "in THING"."""
    return (thing, value), (f"in {thing}", method(named(thing), "__enter__"))


def session(path: str, of: str = "session", **more: Any) -> tuple[Any, Any]:
    """A WebSocket session, inside of its with block."""
    return opened(of, asked("websocket", path, **more))


def caught(how: str, *args: Any, of: str = "in session") -> Any:
    """A method call whose exception is data: see apps_to_test."""
    return made("apps_to_test:caught", attribute(named(of), how), *args)


def text_of(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)


def seen_by_app(response: Any, sent: str = "") -> dict[str, Any]:
    """What apps_to_test's /echo says that it got."""
    more = {"sent": sent} if sent else {}
    expect("status", response.status, 200, **more)
    try:
        value = json.loads(text_of(response.body))
    except NOT_JSON:
        value = None
    that(
        isinstance(value, dict),
        got=f"the body {response.body!r}",
        expected="the JSON that the application sent, as bytes",
        **more,
    )
    assert isinstance(value, dict)
    return value


def pairs(value: Any, what: str) -> list[tuple[Any, Any]]:
    """A list of pairs, as tuples."""
    whole = isinstance(value, list) and all(isinstance(one, tuple | list) and len(one) == 2 for one in value)
    that(whole, got=f"{what} = {value!r}", expected=f"{what} as a list of pairs")
    return [(one[0], one[1]) for one in value]


def key_of(mapping: Any, key: str, what: str, **more: str) -> Any:
    """What is at a key; None where `make compare` goes on without it."""
    that(
        isinstance(mapping, dict) and key in mapping,
        got=f"no {key!r} in {what}" if isinstance(mapping, dict) else f"{what} = {mapping!r}",
        expected=f"{what} with {key!r}",
        **more,
    )
    return mapping.get(key) if isinstance(mapping, dict) else None


def cookies_of(fields: Any) -> list[str]:
    """The cookies in the fields that an application saw, sorted.

    A Set-Cookie that is no pair ("crumbs", of apps_to_test) may be there: RFC 6265 §5.2 ignores it, browsers
    keep it.
    """
    values = [value for name, value in pairs(fields, "headers") if name == "cookie"]
    that(
        len(values) < 2,
        got=f"{len(values)} Cookie fields: {values!r}",
        expected="one Cookie field for all cookies",
        rule="RFC 6265 §5.4",
    )
    cookies = sorted(part.strip() for value in values for part in value.split(";") if part.strip())
    return [one for one in cookies if one.strip("=") != "crumbs"]
