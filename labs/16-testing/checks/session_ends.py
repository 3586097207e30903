"""A WebSocket's scope, and the ways in which a session ends."""

from __future__ import annotations

from typing import Any

from client_steps import (
    APP,
    LOG,
    RAISED,
    ask,
    asked,
    caught,
    cookies_of,
    left,
    must_raise,
    pairs,
    seen_by_app,
    session,
)

from workshop.judge.checks import as_object, attribute, expect, made, that

CLOSE_EVENT = 'ASGI www, "Close - send event"'
STATE = 'ASGI lifespan, "Lifespan State"'
COOKIES = "RFC 6265 §5.2, §5.3 and §5.4"


def websocket_scope(probe: Any, rng: Any) -> None:
    number = rng.randrange(1000)
    values = ask(
        probe,
        *APP,
        asked("get", f"/cookies?session={number}"),
        *session(f"/scope?n={number}", subprotocols=["a", "b"], headers=[("X-Word", f"w{number}")]),
        ("text", asked("receive", of="in session")),
        left("session"),
        ("after", asked("get", "/echo")),
        left(),
        sent=f"client.websocket('/scope?n={number}', subprotocols=['a', 'b'], "
        f"headers=[('X-Word', 'w{number}')]), after a response that set session={number}",
    )
    scope = as_object(values["text"] if isinstance(values["text"], str) else "", f"text {values['text']!r}")
    wanted = {"type": "websocket", "scheme": "ws", "path": "/scope", "query": f"n={number}"}
    wanted |= {"subprotocols": ["a", "b"], "state": ["letters"]}
    for key, value in wanted.items():
        expect(f"scope {key}", scope.get(key), value, rule='ASGI www, "WebSocket Connection Scope"')
    expect("method in the scope", "method" in scope, False, "a WebSocket's scope has none")
    headers = pairs(scope.get("headers", []), "headers")
    expect("its x-word field", dict(headers).get("x-word"), f"w{number}")
    expect("its cookies", cookies_of(headers), [f"session={number}"], "as a browser sends them", rule=COOKIES)
    why = "a session has a copy of the state, too: what it puts there, a request does not see"
    expect("scope['state'] afterwards", seen_by_app(values["after"])["state"], ["letters"], why, rule=STATE)


def session_ends(probe: Any, rng: Any) -> None:
    """The application closes, refuses, raises; the browser closes with a code of its own."""
    code = rng.randrange(4000, 4400)
    shown = f"s.send('close {code}'), s.receive(): the application closes with {code}"
    closing = (*APP, *session("/echo"), asked("send", f"close {code}", of="in session"))
    values = ask(probe, *closing, ("closed", caught("receive")), left("session"), left(), sent=shown)
    ends = [values["closed"].get("code"), values["closed"].get("reason")]
    expect("code and reason of what receive() raised", ends, [code, "as asked"], "the application closed")
    shown += ", which raises Closed; then s.receive() a second time"
    values = ask(
        probe, *closing, caught("receive"), ("again", caught("receive")), left("session"), left(), sent=shown
    )
    that(
        "type" in values["again"],
        got=f"receive() after that: {values['again']!r}",
        expected="an exception: the session is over, and nothing will come",
    )
    returning = (*APP, *session("/echo"), asked("send", "return", of="in session"))
    shown = "s.send('return'), s.receive(): the application returns, without websocket.close"
    ended = caught("__exit__", None, None, None, of="session")
    values = ask(probe, *returning, ("got", caught("receive")), ended, left(), sent=shown)
    that(
        "type" in values["got"],
        got=f"receive() gave {values['got']!r}",
        expected="an exception: the application has ended, and nothing will come",
        rule="this lab, rule 8",
    )
    codeless = (*APP, *session("/echo"), asked("send", "close", of="in session"))
    shown = "s.send('close'), s.receive(): the application sends websocket.close, without a code"
    values = ask(probe, *codeless, ("closed", caught("receive")), left("session"), left(), sent=shown)
    why = "the code that a websocket.close without one has"
    expect("code of what receive() raised", values["closed"].get("code"), 1000, why, rule=CLOSE_EVENT)
    refusing = made("apps_to_test:caught", attribute(asked("websocket", "/closed"), "__enter__"))
    shown = "with client.websocket('/closed'): the application refuses with 4403"
    values = ask(probe, *APP, ("refused", refusing), left(), sent=shown)
    refused = [values["refused"].get("code"), values["refused"].get("reason")]
    expect("code and reason of what the refused block raised", refused, [4403, "members only"], "")
    values = ask(
        probe,
        *APP,
        *session("/echo"),
        asked("close", code + 400, of="in session"),
        ("log", LOG),
        left("session"),
        left(),
        sent=f"s.close({code + 400}), from this end",
    )
    that(
        values["log"][-1:] == [f"disconnect {code + 400}"],
        got=f"the application lived through {values['log']!r}",
        expected=f"'disconnect {code + 400}' at the end: close({code + 400}) is told, and waited for",
    )
    values = ask(
        probe,
        *APP,
        *session("/echo"),
        asked("send", "raise", of="in session"),
        ("raised", caught("receive")),
        ("or here", caught("__exit__", None, None, None, of="session")),
        left(),
        sent="s.send('raise'), s.receive(): the application raises LookupError",
    )
    later = probe.steps(
        *APP,
        *session("/echo"),
        asked("send", "raise later", of="in session"),
        left("session"),
        sent="s.send('raise later'), and the block is left: the application raises LookupError when it hears "
        "websocket.disconnect",
    )
    must_raise(later, "LookupError", "the application's own, when the block is left", rule=RAISED)
    kinds = [values[step].get("type") for step in ("raised", "or here")]
    that(
        "LookupError" in kinds,
        got=f"receive() gave {values['raised']!r}, and the end of the block {values['or here']!r}",
        expected="LookupError, the application's own, from one of the two",
        rule=RAISED,
    )
