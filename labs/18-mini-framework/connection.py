"""Given: what a request and a WebSocket have in common, and the exceptions that both know."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]


class HTTPException(Exception):
    """Raise it in a handler: the answer is {"detail": detail} with this status and these headers."""

    def __init__(
        self, status_code: int, detail: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status_code, detail)
        self.status_code, self.headers = status_code, headers
        self.detail = HTTPStatus(status_code).phrase if detail is None else detail


class WebSocketDisconnect(Exception):
    """The other side has left, with this close code (RFC 6455 §7.1.5)."""

    def __init__(self, code: int = 1000, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class ClientDisconnect(Exception):
    """The client left before its body was complete. Nobody is there to be answered."""


class Pairs:
    """Names with values, in order, repeats kept. `get` is the last value of a name, as in a query."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = [(self.key(name), value) for name, value in pairs]

    def key(self, name: str) -> str:
        return name

    def getlist(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == self.key(name)]

    def get(self, name: str, default: str | None = None) -> str | None:
        return next(reversed(self.getlist(name)), default)

    def __contains__(self, name: str) -> bool:
        return bool(self.getlist(name))

    def __getitem__(self, name: str) -> str:
        """Raises KeyError."""
        values = self.getlist(name)
        if not values:
            raise KeyError(name)
        return values[-1]


class Headers(Pairs):
    """RFC 9110 §5.1: field names are compared without case. The first of several is the one that counts."""

    def key(self, name: str) -> str:
        return name.lower()

    def get(self, name: str, default: str | None = None) -> str | None:
        return next(iter(self.getlist(name)), default)


class State:
    """What the lifespan yielded: request.state.tasks."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"the lifespan gave no {name!r}") from None


class Connection:
    """What a request and a WebSocket have in common: what their scope says."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope, self._receive = scope, receive
        self.path: str = scope["path"]
        self.path_params: dict[str, str] = scope.get("path_params", {})
        # ASGI www: names and values are bytes; latin-1 says every byte, and can't fail (RFC 9110 §5.5).
        pairs = [
            (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
            for name, value in scope["headers"]
        ]
        self.headers = Headers(pairs)
        query = bytes(scope.get("query_string", b"")).decode("latin-1")
        self.query_params = Pairs(parse_qsl(query, keep_blank_values=True))
        self.state = State(scope.get("state", {}))


def encoded_header(name: str, value: str) -> tuple[bytes, bytes]:
    """ASGI www, "Response Start": names in lower case, and bytes. Raises ValueError."""
    # RFC 9110 §5.5: whoever chose the value must not get to write the next line.
    if re.search(r"[\r\n\0]", name + value):
        raise ValueError(f"a header of one line, please: {name!r}: {value!r}")
    return name.lower().encode("latin-1"), value.encode("latin-1")
