"""What layers do to a lifespan, to a WebSocket, and to the Server-Timing field."""

import re
from typing import Any

from asgi_messages import LIFESPAN, Answer, ended_well, inner_scope, inner_values, is_pair, socket_scope

from workshop.judge.checks import Probe, asgi_app, expect, fail, made, that


def lifespan_passes(probe: Probe, layer: str, wrap: Any, text: str) -> None:
    """Fail unless a lifespan goes through a layer as it is."""
    complete = [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    failed = {"type": "lifespan.startup.failed", "message": text}
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    life = [["receive"], ["send", complete[0]], ["receive"], ["send", complete[1]]]
    seen = probe.asgi(wrap(asgi_app(*life, scope=["state"])), LIFESPAN, receive=events)
    ended_well(seen, f"{layer}: lifespan's messages, and no exception")
    expect(f"{layer}: what lifespan sent", seen.sends, complete, "the application's own answers")
    state = inner_scope(seen).get("state")
    expect(f'{layer}: lifespan\'s scope["state"]', state, {}, "the server's own dict, to be filled")
    seen = probe.asgi(wrap(asgi_app(["receive"], ["send", failed])), LIFESPAN, receive=events[:1])
    expect(f"{layer}: what lifespan sent", seen.sends, [failed], "a failed startup must reach the server")


def later_kind_passes(probe: Probe, layer: str, wrap: Any, text: str) -> None:
    """Fail unless a scope of a type that ASGI does not have yet goes through a layer as it is."""
    said = {"type": "a.later.answer", "text": text}
    scope = {"type": "a.later.kind", "asgi": LIFESPAN["asgi"], "headers": []}
    seen = probe.asgi(wrap(asgi_app(["send", said])), scope)
    ended_well(seen, f"{layer}: a scope that it does not know, and no exception")
    why = "a layer hands on the types of scope that it does not know"
    expect(f"{layer}: what an application of a later type sent", seen.sends, [said], why)


def websocket_passes(
    probe: Probe, layer: str, wrap: Any, scope: dict[str, Any], text: str, close: int
) -> None:
    """Fail unless a WebSocket goes through a layer as it is; request_id may add its field."""
    talk = [
        {"type": "websocket.accept", "headers": [[b"x-own", b"1"]]},
        {"type": "websocket.send", "text": text},
        {"type": "websocket.send", "bytes": text.encode() * 200},
        {"type": "websocket.close", "code": close, "reason": "bye"},
    ]
    heard = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": text}]
    steps = [["receive"], ["send", talk[0]], ["receive"], *[["send", one] for one in talk[1:]]]
    seen = probe.asgi(wrap(asgi_app(*steps)), scope, receive=heard)
    ended_well(seen, f"{layer}: a WebSocket's messages, and no exception")
    expect(f"{layer}: the messages of a WebSocket", seen.sends[1:], talk[1:], "as the application sent them")
    accept = seen.sends[0] if seen.sends and isinstance(seen.sends[0], dict) else {}
    expect(f"{layer}: the first message", accept.get("type"), "websocket.accept")
    pairs = [tuple(pair) for pair in accept.get("headers", []) if is_pair(pair)]
    that((b"x-own", b"1") in pairs, f"{layer}: headers {pairs!r}", "the application's x-own among them")
    if layer == "request_id":
        that(
            (b"x-request-id", b"7f3a") in pairs,
            got=f"headers of websocket.accept = {pairs!r}",
            expected="(b'x-request-id', b'7f3a') among them: a WebSocket has an id, too",
            rule='ASGI www, "Accept - send event"',
        )
        nameless_websocket(probe, wrap(asgi_app(*steps, scope=["headers"])), heard)
    events_in = [event["message"] for event in seen.all("inner received")]
    expect(f"{layer}: what the application received", events_in, heard)


def duration(got: Answer) -> float:
    """The app's milliseconds in Server-Timing, however it is spelled."""
    metrics = [part.strip() for part in got.members(b"server-timing")]
    mine = [metric for metric in metrics if metric.split(";")[0].strip() == "app"]
    found = re.search(r';\s*dur\s*=\s*"?([0-9]+(?:\.[0-9]+)?)', mine[0]) if mine else None
    if len(mine) != 1 or found is None:
        fail(
            f"values of server-timing = {got.all(b'server-timing')!r}",
            "one value: b'app;dur=12.5'",
            rule=TIMING,
        )
    return float(found[1])


TIMING = 'Server Timing, "The Server-Timing Header Field"'


def each_layer(tokens: dict[str, str]) -> dict[str, Any]:
    """Every layer, as a function of an application."""
    return {
        "timing": lambda inner: made("middleware:timing", inner),
        "request_id": lambda inner: made("middleware:request_id", inner),
        "gzip": lambda inner: made("middleware:gzip", inner),
        "bearer": lambda inner: made("middleware:bearer", inner, tokens),
    }


def nameless_websocket(probe, app, heard):
    """A WebSocket whose client sends no id gets one, in the scope and in the answer."""
    seen = probe.asgi(app, socket_scope(), receive=heard)
    inside = inner_values(seen, b"x-request-id")
    accept = seen.sends[0] if seen.sends and isinstance(seen.sends[0], dict) else {}
    outside = [pair[1] for pair in accept.get("headers", []) if is_pair(pair) and pair[0] == b"x-request-id"]
    that(
        len(inside) == 1 and inside == outside,
        got=f"x-request-id in the application's scope = {inside!r}, in websocket.accept = {outside!r}",
        expected="one new id, the same in both: the client sent none",
    )
