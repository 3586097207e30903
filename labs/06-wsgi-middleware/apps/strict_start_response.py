"""A server's strictness about start_response, for calls by hand: `strict(application)`.

PEP 3333, "The start_response() Callable": a second call without exc_info is an error; with exc_info it
replaces the first one while nothing was sent, and raises that exception again once something was.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def strict(application: WSGIApplication) -> WSGIApplication:
    """As servers are: start_response again only with exc_info, and that is raised when something was sent."""

    def served(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        started = sent = False

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], object]:
            nonlocal started
            if exc_info and sent:
                raise exc_info[1].with_traceback(exc_info[2])
            if started and not exc_info:
                raise AssertionError("start_response was called a second time without exc_info")
            started = True
            return start_response(status, headers, *([exc_info] if exc_info else []))

        result: Iterable[bytes] = application(environ, start)
        try:
            for chunk in result:
                sent = sent or bool(chunk)
                yield chunk
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    return served
