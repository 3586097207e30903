"""Requests that overlap, to one WSGI application: `served(app, "/ok", "/broken")`, as threads serve them.

All are called first. Then each body gives a chunk in turn, until all have ended; then all are closed. What a
body raises ends that request, as in a server.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import setup_testing_defaults


def by_path(pages: Mapping[str, WSGIApplication]) -> WSGIApplication:
    """One application of several, each at its path."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return pages[environ["PATH_INFO"]](environ, start_response)

    return application


def served(app: WSGIApplication, *paths: str) -> None:
    bodies = [called(app, path) for path in paths]
    waiting = [iter(body) for body in bodies]
    while waiting:
        waiting = [chunks for chunks in waiting if gives_one(chunks)]
    for body in bodies:
        if hasattr(body, "close"):
            body.close()


def called(app: WSGIApplication, path: str) -> Iterable[bytes]:
    environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1"}
    setup_testing_defaults(environ)
    return app(environ, lambda *start: lambda data: None)


def gives_one(chunks: Iterator[bytes]) -> bool:
    with contextlib.suppress(StopIteration, RuntimeError):
        next(chunks)
        return True
    return False


def answered(app: WSGIApplication, environ: dict[str, Any]) -> dict[str, Any]:
    """A whole answer to one request, read to its end and closed: status, headers, body."""
    said: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[..., object]:
        said.update(status=status, headers=[tuple(pair) for pair in headers])
        return lambda data: None

    environ = {"SCRIPT_NAME": "", "PATH_INFO": "/", "REMOTE_ADDR": "127.0.0.1", **environ}
    setup_testing_defaults(environ)
    body = app(environ, start_response)
    said["body"] = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return said


class OneList:
    """An application that passes the same list of headers to start_response each time."""

    def __init__(self) -> None:
        self.headers = [("Content-Type", "text/plain"), ("Vary", "Accept")]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", self.headers)
        return [b"one list"]


class Counted:
    """A layer that adds a field X-Layer, and counts around how many applications it was put."""

    def __init__(self, letter: str) -> None:
        self.letter, self.times = letter, 0

    def __call__(self, app: WSGIApplication) -> WSGIApplication:
        self.times += 1

        def layer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
                return start_response(status, [*headers, ("X-Layer", self.letter)], *exc_info)

            return app(environ, start)

        return layer


def times_made(layer: Counted) -> int:
    return layer.times
