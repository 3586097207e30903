"""WSGI applications whose bodies are iterables, not iterators: `iter` of one gives another object each time.

A list is such a body. So is an object with a `close`: PEP 3333 has the server close the body that was
returned, and not the iterator that `iter` made of it, which may have a close of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

TEXT = [("Content-Type", "text/plain")]


class Body:
    """A body that can be looped over, and closed; its iterators are generators: they have a close, too."""

    def __init__(self, chunks: Iterable[bytes], closed: Callable[[], object]) -> None:
        self.chunks, self.close = chunks, closed

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks


class SizedBody:
    """A body that says how many chunks it has, and is no list and no tuple."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def __len__(self) -> int:
        return len(self.chunks)


class UnreadableBody:
    """A body whose `iter` raises; it has to be closed all the same."""

    def __init__(self, closed: Callable[[], object]) -> None:
        self.close = closed

    def __iter__(self) -> Iterator[bytes]:
        raise RuntimeError("this body can't be read")


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


def in_a_sized_object(*chunks: bytes) -> WSGIApplication:
    """An application that returns an object with these chunks and a `__len__`."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT])
        return SizedBody(chunks)

    return application


def in_no_way(closed: Callable[[], object]) -> WSGIApplication:
    """An application that returns a body which raises when it is looped over; its close calls `closed`."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*TEXT])
        return UnreadableBody(closed)

    return application
