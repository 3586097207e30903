"""What comes over a WebSocket, and how it ends."""

from typing import Any

from http_answers import PATIENCE

from workshop.judge.checks import Client, Closed, Deadline, WebSocket, fail, http_scope, that


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


def closes(socket: WebSocket, code: int, why: str) -> None:
    got = heard(socket, f"close {code}: {why}")
    that(isinstance(got, Closed) and got.code == code, f"received {got!s:.200}", f"close {code}: {why}")


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
