"""Lab 1 in another shape: a class is the application, its instance the body; another pushes through write."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes
from wsgiref.headers import Headers
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Message = dict[str, Any]


def name_in(query: str) -> str:
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if unquote_plus(key) == "name":
            return unquote_plus(value)
    return "world"


class application:
    """Calling the class makes the iterable (PEP 3333, "The Application/Framework Side")."""

    def __init__(self, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        self.environ = environ
        self.start = start_response

    def __iter__(self) -> Iterator[bytes]:
        method = self.environ["REQUEST_METHOD"]
        if self.environ["PATH_INFO"] != "/":
            yield from self.pushed("404 ", "")
        elif method in ("GET", "HEAD"):
            yield from self.pulled(method, name_in(self.environ.get("QUERY_STRING", "")))
        else:
            yield from self.pushed("405 Not Here", "GET, HEAD")

    def pulled(self, method: str, name: str) -> Iterator[bytes]:
        pieces = [piece.encode() for piece in ("Hello, ", name, "!\n")]
        length = str(sum(map(len, pieces)))
        self.start("200 Fine", [("content-type", 'text/plain;charset="UTF-8"'), ("content-length", length)])
        if method == "GET":
            yield b""
            yield from pieces

    def pushed(self, status: str, allow: str) -> Iterator[bytes]:
        headers = Headers([("Content-Type", "text/plain")])
        if allow:
            headers["Allow"] = allow
        write = self.start(status, headers.items())
        if self.environ["REQUEST_METHOD"] != "HEAD":
            write(b"no\n")
        yield b""


def call(
    app: WSGIApplication, method: str = "GET", path: str = "/", body: bytes = b""
) -> tuple[str, list[tuple[str, str]], bytes]:
    out = io.BytesIO()
    first: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
        if exc_info is not None:
            raise exc_info[1]
        first.update(status=status, headers=headers)
        return out.write

    result = app(environ_for(method, path, body), start_response)
    with contextlib.ExitStack() as ending:
        ending.callback(getattr(result, "close", lambda: None))
        out.writelines(result)
    return first["status"], first["headers"], out.getvalue()


def environ_for(method: str, target: str, body: bytes) -> WSGIEnvironment:
    path, _, query = target.partition("?")
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


class Streaming:
    """ASGI by an instance, the body in several messages, whose last one is empty."""

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        assert scope["type"] == "http"
        await receive()
        status, allow = self.status(scope)
        headers = [[b"content-type", b"text/plain; charset=utf-8"], *allow]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if status == 200:
            async for piece in self.pieces(scope):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    def status(self, scope: dict[str, Any]) -> tuple[int, list[list[bytes]]]:
        if scope["path"] != "/":
            return 404, []
        if scope["method"] not in ("GET", "HEAD"):
            return 405, [[b"allow", b"HEAD,GET,OPTIONS"]]
        return 200, []

    async def pieces(self, scope: dict[str, Any]) -> AsyncIterator[bytes]:
        yield b"Hello, "
        yield name_in(scope["query_string"].decode()).encode()
        yield b"!\n"


asgi = Streaming()
