"""WSGI applications whose bodies are iterables, not iterators: `iter` of one gives another object each time.

A list is such a body. So is an object with a `close`: PEP 3333 has the server close the body that was
returned, and not the iterator that `iter` made of it, which may have a close of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

TEXT = [("Content-Type", "text/plain")]


class Body:
    """A body that can be looped over, and closed; its iterators are generators: they have a close, too."""

    def __init__(self, chunks: Iterable[bytes], closed: Callable[[], object]) -> None:
        self.chunks, self.close = chunks, closed

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks


def in_a_list(*chunks: bytes) -> WSGIApplication:
    """An application that returns these chunks in a list, which has no close."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT])
        return list(chunks)

    return application


def in_an_object(closed: Callable[[], object], *chunks: bytes) -> WSGIApplication:
    """An application that returns an object with these chunks; its close calls `closed`."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT])
        return Body(chunks, closed)

    return application
