"""A clock that stands still unless `worker` is at work: for checks of whatever takes times without waiting.

clock()               seconds, like time.perf_counter()
worker(0.25, 5.0)     an application that takes 0.25 s until it starts its response, then 5 s for its body
delayed(app, 3.0)     a layer that takes 3 s before it calls the application
"""

from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

now = 1000.0


def clock() -> float:
    """The time, which passes only where a check says so."""
    return now


def work(seconds: float) -> None:
    global now
    now += seconds


def worker(before: float, after: float, late: bool = False) -> WSGIApplication:
    """An application that takes `before` seconds until it starts (late: at its first chunk), then `after`."""

    def start(start_response: StartResponse) -> None:
        work(before)
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Worker", "yes")])

    def body(start_response: StartResponse) -> Iterator[bytes]:
        if late:
            start(start_response)
        yield b"some work"
        work(after)
        yield b", and more"

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not late:
            start(start_response)
        return body(start_response)

    return application


def delayed(inner: WSGIApplication, seconds: float) -> WSGIApplication:
    """A layer that takes a while before it calls what it is around."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        work(seconds)
        return inner(environ, start_response)

    return application
