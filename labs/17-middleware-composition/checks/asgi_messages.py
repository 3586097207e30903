"""What is sent and received, as data: scopes, steps of a scripted application, the answer in a transcript."""

import random
import string
from collections.abc import Sequence
from typing import Any

from workshop.judge.checks import Transcript, fail, http_scope, that

START = 'ASGI www, "Response Start - send event"'
BODY = 'ASGI www, "Response Body - send event"'
Pairs = Sequence[tuple[bytes, bytes]]


def word(rng: random.Random, size: int = 8) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=size))


def scope_with(*fields: tuple[bytes, bytes], method: str = "GET", **more: Any) -> dict[str, Any]:
    return http_scope(method, headers=[(b"host", b"localhost"), *fields], **more)


def socket_scope(*fields: tuple[bytes, bytes]) -> dict[str, Any]:
    """A WebSocket's scope (ASGI www, "WebSocket Connection Scope")."""
    scope = scope_with(*fields)
    del scope["method"]
    return {**scope, "type": "websocket", "scheme": "ws", "subprotocols": []}


LIFESPAN = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}


def start(*headers: tuple[bytes, bytes], status: int = 200) -> list[Any]:
    """A step of a scripted application."""
    message = {"type": "http.response.start", "status": status, "headers": [list(pair) for pair in headers]}
    return ["send", message]


def piece(data: bytes, more: bool = False) -> list[Any]:
    return ["send", {"type": "http.response.body", "body": data, "more_body": more}]


def ended_well(seen: Transcript, why: str = "an answer, and no exception", **more: str) -> None:
    error = seen.raised
    if error is not None:
        fail(f"{error['type']}: {error['message']}".rstrip(": "), why, **more)
    if "still running" in seen.names():
        sent = [message.get("type") for message in seen.sends if isinstance(message, dict)]
        fail(f"the call did not end; sent {sent}", why, **more)


def messages(seen: Transcript, kind: str) -> list[dict[str, Any]]:
    return [one for one in seen.sends if isinstance(one, dict) and one.get("type") == kind]


class Answer:
    """The one response in a transcript; fails where the messages are not what ASGI asks for."""

    def __init__(self, seen: Transcript) -> None:
        ended_well(seen)
        types = [one.get("type") if isinstance(one, dict) else one for one in seen.sends]
        that(
            types[:1] == ["http.response.start"] and set(types[1:]) == {"http.response.body"},
            got=f"sent {types}",
            expected="sent one http.response.start, then http.response.body",
            rule=START,
        )
        self.status = seen.sends[0].get("status")
        pairs = seen.sends[0].get("headers", [])
        wrong = [pair for pair in pairs if not is_pair(pair)] if isinstance(pairs, list | tuple) else [pairs]
        that(
            not wrong,
            got=f"the header {wrong[:1]!r}",
            expected="(name, value), both of them bytes",
            rule=START,
        )
        self.headers: list[tuple[bytes, bytes]] = [(pair[0].lower(), pair[1]) for pair in pairs]
        self.pieces = [one.get("body", b"") for one in seen.sends[1:]]
        more = [bool(one.get("more_body", False)) for one in seen.sends[1:]]
        that(
            more == [True] * (len(more) - 1) + [False],
            got=f"more_body {more} in the body messages",
            expected="True in all of them but the last",
            rule=BODY,
        )
        self.body = b"".join(self.pieces)

    def all(self, field: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == field]

    def members(self, field: bytes) -> list[str]:
        """The members of a field that is a list, in lower case."""
        text = b",".join(self.all(field)).decode("latin-1").lower()
        return [part.strip() for part in text.split(",") if part.strip()]


def is_pair(pair: Any) -> bool:
    return isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(part, bytes) for part in pair)


def is_called(seen: Transcript) -> bool:
    return seen.first("inner called") is not None


def inner_scope(seen: Transcript) -> dict[str, Any]:
    found = (seen.first("inner called") or {}).get("scope", {})
    return found if isinstance(found, dict) else {}


def inner_values(seen: Transcript, field: bytes) -> list[bytes]:
    """Every value of a field in the scope that the inner application got."""
    headers = inner_scope(seen).get("headers") or []
    return [pair[1] for pair in headers if is_pair(pair) and pair[0].lower() == field]
