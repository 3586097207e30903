"""What `call` is given besides Flask and Django: legal WSGI applications of unusual shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def other_names(env: WSGIEnvironment, start: StartResponse, /) -> Iterable[bytes]:
    """PEP 3333, "Specification Overview": two positional arguments, whatever they are called."""
    start("200 OK", [("Content-Type", "text/plain")])
    return [env["QUERY_STRING"].encode("latin-1")]


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
