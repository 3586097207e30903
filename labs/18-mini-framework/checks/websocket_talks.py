"""What comes over a WebSocket, and how it ends."""

import time
from typing import Any

from http_answers import PATIENCE, sent_types, value

from workshop.judge.checks import (
    Client,
    Closed,
    Deadline,
    Probe,
    WebSocket,
    expect,
    fail,
    http_scope,
    that,
)


def opened(socket: WebSocket) -> WebSocket:
    if socket.refused is not None:
        fail(f"{socket.refused.line}: not let in", "101 Switching Protocols")
    return socket


def heard(socket: WebSocket, awaited: str, who: str = "the client") -> str | bytes | Closed:
    try:
        return socket.receive(PATIENCE)
    except Deadline:
        fail(f"nothing more came to {who} within {PATIENCE:g} s", awaited)
        raise


def hears(socket: WebSocket, wanted: str | bytes, who: str = "the client") -> None:
    got = heard(socket, f"{wanted!r}", who)
    that(got == wanted, f"{who} received {got!s:.200}", f"{wanted!r}")


def closes(socket: WebSocket, code: int, why: str, reason: str = "") -> None:
    got = heard(socket, f"close {code}: {why}")
    that(
        isinstance(got, Closed) and (got.code, got.reason) == (code, reason),
        f"received {got!s:.200}",
        f"{Closed(code, reason)}: {why}",
    )


def an_end_is_raised(client: Client, code: int) -> None:
    """A handler that waits for the next text hears that the client has closed, with this code."""
    end = time.monotonic() + PATIENCE
    while code not in (codes := value(client.get("/heard"))):
        if time.monotonic() > end:
            fail(f"codes of WebSocketDisconnect: {codes}", f"{code}: the client's close, as an exception")
        time.sleep(0.02)


def the_first_route_talks(client: Client) -> None:
    """Of two routes for WebSockets the first that fits is taken; a close without arguments is 1000."""
    with client.websocket("/first/fixed") as socket:
        hears(opened(socket), "the first route: fixed, ws")
        closes(socket, 1000, "close()")


def are_refused(client: Client) -> None:
    for target, why in (
        ("/shout/many", "times is an int"),
        ("/nowhere", "there is no such route"),
        ("/closed", "the handler closes before it accepts"),
        ("/line", "that is a route for requests"),
    ):
        with client.websocket(target) as socket:
            refusal = socket.refused
            that(refusal is not None, f"{target}: 101, it was accepted", f"403: {why}")
            that(refusal and refusal.status == 403, f"{target}: {refusal and refusal.line}", f"403: {why}")


def websocket_scope(path: str, query: bytes = b"", **more: Any) -> dict[str, Any]:
    scope = http_scope(path=path, query=query, type="websocket", scheme="ws", subprotocols=[], **more)
    del scope["method"]
    return scope


def conversations_get_no_response(probe: Probe) -> None:
    """An exception in a conversation: nothing of HTTP is sent, and what nobody handles is raised."""
    events = [{"type": "websocket.connect"}]
    for path, whose in (
        ("/ws-raises", "a WebSocket's handler"),
        ("/ws-trouble", "a WebSocket's handler, and has a handler for requests"),
        ("/stumbles/x", "a mounted application, and has a handler for requests"),
    ):
        seen = probe.asgi("framework_features:app", websocket_scope(path), events)
        types = [str(one.get("type")) for one in seen.sends if isinstance(one, dict)]
        that(
            not any(one.startswith("http.") for one in types),
            f"sent {types}",
            f"no event of HTTP: the exception comes from {whose}; this scope is a WebSocket",
            rule='ASGI www, "WebSocket"',
        )
    seen = probe.asgi("framework_features:app", websocket_scope("/ws-raises"), events)
    that(seen.raised, "no exception from /ws-raises", "the LookupError, so that the server logs it")


def a_client_has_left(probe: Probe, text: str) -> None:
    """A handler that does not catch the end, and a `send` that is the first to know."""
    events = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": text}]
    gone = {"type": "websocket.disconnect", "code": 1001}
    seen = probe.asgi("framework_features:app", websocket_scope("/careless"), [*events, gone])
    sent = sent_types(seen)
    answered = ["websocket.accept", "websocket.send"]
    that(
        sent in (answered, answered[:1]),  # who reads ahead knows before it answers
        f"sent = {sent}",
        f"{answered}: one text, one answer, and nothing after a disconnect",
    )
    that("still running" not in seen.names(), "the call goes on", "the call returns: the client has left")
    expect(
        "what the handler saw",
        probe.call("framework_features:socket_whose_send_fails"),
        ["WebSocketDisconnect 1006"],
        "`send` may be the first to raise when the client has left; 1006 is an end without a close",
        rule='ASGI www, "WebSocket": Disconnected Client; RFC 6455 §7.1.5',
        sent="a WebSocket whose `send` raises OSError after accept, and await websocket.send_text(…)",
    )
