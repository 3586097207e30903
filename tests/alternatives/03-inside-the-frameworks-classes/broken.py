"""Another shape: a class with a close, the start put off until the answer is known, a match on messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Export:
    rows = (b"id,title\n", b"1,Ask Ada\n", b"2,Ask Grace\n")

    def __init__(self, opened: Any, released: Any) -> None:
        opened()
        self.released, self.waiting = released, iter(self.rows)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.waiting)

    def close(self) -> None:
        self.released()


def export(opened: Any, released: Any) -> Any:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/csv; charset=utf-8")])
        return Export(opened, released)

    return application


def quotient(environ: Any, start_response: Any) -> Any:
    status, body = "200 OK", b""
    try:
        body = f"{252 / int(environ['QUERY_STRING'] or '0')}\n".encode()
    except (ValueError, ZeroDivisionError):
        status, body = "500 Internal Server Error", b"Ask for a number that is not 0.\n"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    yield body


async def upload(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    size = 0
    while True:
        match await receive():
            case {"type": "http.disconnect"}:
                return
            case {"body": piece, "more_body": True}:
                size += len(piece)
            case message:
                size += len(message.get("body", b""))
                break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d\n" % size})
