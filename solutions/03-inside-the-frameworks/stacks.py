"""The broken stacks that were recorded, and how: `python stacks.py FOLDER` writes its traffic/*.txt anew.

Every stack is a server, a middleware and an application, with an X-ray on both sides of the middleware:

    server ──(outer)── middleware ──(inner)── application

One layer of each breaks one rule (one stack breaks none). findings.py says which.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from xray import asgi_xray, wsgi_xray

TEXT = ("Content-Type", "text/plain; charset=utf-8")
Lines = list[str]


def recorder(lines: Lines, boundary: str) -> Callable[..., None]:
    def record(number: int, kind: str, *details: Any) -> None:
        said = "  ".join(map(repr, details))
        lines.append(f"{len(lines) + 1:2}  {boundary}  {kind:14}  {said}".rstrip())

    return record


# --- WSGI -------------------------------------------------------------------------------------------


def wsgi(
    app: Any, middleware: Any = lambda app: app, path: str = "/", take: int = -1, close: bool = True
) -> Lines:
    """One request to a stack: its recording. `take` is how many chunks the client stays for."""
    lines: Lines = []
    outer = wsgi_xray(middleware(wsgi_xray(app, recorder(lines, "inner"))), recorder(lines, "outer"))
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path}
    body: Any = outer(environ, lambda *args: lambda data: None)
    for number, _ in enumerate(body, 1):
        if number == take:
            break
    if close:
        body.close()
    return lines


class Rows:
    """A body that has a close."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = iter(chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def close(self) -> None:
        pass


def csv(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/csv")])
    return Rows(b"id,title\n", b"1,Ask Ada\n", b"2,Ask Grace\n")


def in_characters(environ: Any, start_response: Any) -> Iterable[bytes]:
    text = "Hello, Zoë!\n"
    start_response("200 OK", [TEXT, ("Content-Length", str(len(text)))])
    return Rows(text.encode())


def fails_late(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [TEXT])
    try:
        raise LookupError("no task 42")
    except LookupError:
        start_response("500 Internal Server Error", [TEXT], sys.exc_info())
    return [b"It is our fault.\n"]


def late(environ: Any, start_response: Any) -> Iterator[bytes]:
    yield b""
    start_response("200 OK", [TEXT, ("Content-Length", "12")])
    yield b"Hello, "
    yield b""
    yield b"Ada!\n"


def greedy(app: Any) -> Any:
    """Compresses, and needs the whole body for it."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = app(environ, start_response)
        data = b"".join(body)
        body.close()
        return Rows(data)

    return application


def upper(app: Any) -> Any:
    """A generator over the body: it has a close of its own, and tells nobody."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = app(environ, start_response)
        return (chunk.upper() for chunk in body)

    return application


def request_id(app: Any) -> Any:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("X-Request-ID", "7f3a")])

        result: Iterable[bytes] = app(environ, start)
        return result

    return application


def mounted(app: Any) -> Any:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        inner = {**environ, "PATH_INFO": environ["PATH_INFO"].removeprefix("/shop")}
        result: Iterable[bytes] = app(inner, start_response)
        return result

    return application


# --- ASGI -------------------------------------------------------------------------------------------


def asgi(app: Any, middleware: Any, scope: dict[str, Any], *events: dict[str, Any]) -> Lines:
    lines: Lines = []
    waiting = list(events)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        pass

    outer = asgi_xray(middleware(asgi_xray(app, recorder(lines, "inner"))), recorder(lines, "outer"))

    async def call() -> None:
        await outer(scope, receive, send)

    asyncio.run(call())
    return lines


START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def unchanged(app: Any) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return application


def body_logger(app: Any) -> Any:
    """Writes the first piece of each request's body to a log."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await app(scope, receive, send)

    return application


async def ticker(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    for number in (3, 2, 1):
        await send({"type": "http.response.body", "body": b"%d\n" % number, "more_body": True})


async def counter(scope: Any, receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send(START)
    await send({"type": "http.response.body", "body": b"%d\n" % size})


async def talkative(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"Hello!\n"})


def recordings() -> dict[str, Lines]:
    """Every stack's recording, by its number."""
    post = {"type": "http", "path": "/count"}
    pieces = [{"type": "http.request", "body": b"x" * size, "more_body": size > 2} for size in (5, 4, 2)]
    return {
        "01": wsgi(csv, greedy, "/tasks.csv"),
        "02": wsgi(csv, path="/tasks.csv", take=1, close=False),
        "03": wsgi(fails_late, request_id, "/tasks/42"),
        "04": wsgi(late),
        "05": wsgi(csv, upper, "/tasks.csv", take=1),
        "06": wsgi(in_characters),
        "07": wsgi(csv, mounted, "/shop/tasks.csv"),
        "08": asgi(ticker, unchanged, {"type": "http", "path": "/countdown"}),
        "09": asgi(counter, body_logger, post, *pieces),
        "10": asgi(talkative, unchanged, {"type": "lifespan"}),
    }


if __name__ == "__main__":
    for name, lines in recordings().items():
        (Path(sys.argv[1]) / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
