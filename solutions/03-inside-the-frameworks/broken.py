"""Three small applications, mended. Each had one fault, and no page showed it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Message = dict[str, Any]


def export(opened: Callable[[], object], released: Callable[[], object]) -> WSGIApplication:
    """The tasks as CSV, row by row; `opened` and `released` are called once each, in every ending."""

    def lines() -> Iterator[bytes]:
        yield b"id,title\n"
        opened()
        try:
            for number, title in enumerate(("Ask Ada", "Ask Grace"), 1):
                yield f"{number},{title}\n".encode()
        finally:
            released()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/csv; charset=utf-8")])
        # PEP 3333, "Specification Details": close() of what is returned. A generator has one, and it runs
        # `finally`; itertools.chain has none, and hides those of what it chains.
        return lines()

    return application


def quotient(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """252 divided by the query; a 500 of our own for what can't be divided."""
    text = [("Content-Type", "text/plain; charset=utf-8")]
    start_response("200 OK", text)
    try:
        body = f"{252 / int(environ.get('QUERY_STRING') or '0')}\n".encode()
    except (ValueError, ZeroDivisionError):
        # PEP 3333, "The start_response() Callable": a second call without exc_info is an error. With it, the
        # server replaces what was not sent yet.
        error: Any = sys.exc_info()
        start_response("500 Internal Server Error", text, error)
        body = b"Ask for a number that is not 0.\n"
    return [body]


async def upload(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """The number of bytes of the request's body. Raises ValueError on a scope that is not HTTP."""
    if scope["type"] != "http":
        raise ValueError(f"no {scope['type']!r} here")
    size, more = 0, True
    while more:
        message = await receive()
        # ASGI www, "Disconnect": nobody is there to be answered.
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        # ASGI www, "Request": more_body says whether another piece follows; absent means no.
        more = message.get("more_body", False)
    body = f"{size}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
