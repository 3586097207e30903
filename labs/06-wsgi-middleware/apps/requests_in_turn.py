"""Requests that overlap, to one WSGI application: `served(app, "/ok", "/broken")`, as threads serve them.

All are called first. Then each body gives a chunk in turn, until all have ended; then all are closed. What a
body raises ends that request, as in a server.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
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
