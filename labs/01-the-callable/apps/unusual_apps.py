"""What `call` is given besides Flask and Django: legal WSGI applications of unusual shapes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def other_names(env: WSGIEnvironment, start: StartResponse, /) -> Iterable[bytes]:
    """PEP 3333, "Specification Overview": two positional arguments, whatever they are called."""
    start("200 OK", [("Content-Type", "text/plain")])
    return [env["QUERY_STRING"].encode("latin-1")]


def pushes_its_error(env: WSGIEnvironment, start: StartResponse, /) -> Iterable[bytes]:
    """It fails after start_response, and pushes the query into the response that replaces the first one."""
    start("200 OK", [("Content-Type", "text/plain")])
    try:
        raise ValueError("after start_response")
    except ValueError:
        write = start("500 Failed", [("Content-Type", "text/plain")], sys.exc_info())
    write(env["QUERY_STRING"].encode("latin-1"))
    return [b"!"]


def interrupted(closed: Callable[[], object]) -> WSGIApplication:
    """An application that is interrupted while its body is made, as by Ctrl-C: that is no Exception."""

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"first"
            raise KeyboardInterrupt

        def close(self) -> None:
            closed()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body()

    return application
