"""Look through the boundary between a server and any application, and change nothing.

How it works. Whatever crosses the boundary does so in one of a few calls, each of one side by the other:

    server calls application       app(environ, start_response), next(body), body.close()
    application calls server       start_response(…), write(data)

    server calls application       app(scope, receive, send)
    application calls server       receive(), send(message)

So for each of them there is a function here of the same shape, which records and then does the same call.
None of them calls anything that nobody called: that is all there is to staying lazy.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sized
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Record = Callable[..., object]
Headers = list[tuple[str, str]]
Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


def numbered(record: Record) -> Callable[[], Record]:
    """A function that gives each call a `record` with a number of its own, from 1.

    PEP 3333, "Thread Support": calls may overlap. `next` of a count is one step of the interpreter.
    """
    numbers = itertools.count(1)

    def of_this_call() -> Record:
        number = next(numbers)
        return lambda *event: record(number, *event)

    return of_this_call


# --- WSGI -------------------------------------------------------------------------------------------


def wsgi_xray(app: WSGIApplication, record: Record) -> WSGIApplication:
    """An application that does what `app` does, and records what crosses the boundary.

    `record` is called with the call's number (from 1), a word and details, before the thing is passed on.
    Raises what `app` raises, and what the server's start_response and write raise.
    """
    record_of_a_call = numbered(record)

    def traced(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        tell = record_of_a_call()
        tell(
            "called", environ["REQUEST_METHOD"], environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        )
        try:
            body = app(environ, recorded_start(start_response, tell))
        except BaseException as error:
            tell("raised", type(error).__name__, "call")
            raise
        tell("returned", type(body).__name__)
        return SizedBody(body, tell) if isinstance(body, Sized) else Body(body, tell)

    return traced


def recorded_start(start_response: StartResponse, tell: Record) -> StartResponse:
    """A start_response that records, and returns a `write` that does."""

    def start(status: str, headers: Headers, *exc_info: Any) -> Callable[[bytes], object]:
        kind = exc_info[0][0].__name__ if exc_info and exc_info[0] else None
        # PEP 3333, "The start_response() Callable": the list is the server's now; the record has a copy.
        tell("start_response", status, list(headers), kind)
        # The same: with exc_info and headers sent, the server raises: through here, to the application.
        write = start_response(status, headers, *exc_info)

        def recorded_write(data: bytes) -> object:
            tell("write", data)
            return write(data)

        # The same: it must return write(bytes), for those that push.
        return recorded_write

    return start


class Body:
    """Around the application's body: a chunk is asked for when the server asks, and never before."""

    def __init__(self, body: Iterable[bytes], tell: Record) -> None:
        self.body, self.tell = body, tell
        self.chunks: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        # PEP 3333, "Middleware Handling of Block Boundaries": one out for each one in, b"" too.
        try:
            if self.chunks is None:
                self.chunks = iter(self.body)
            chunk = next(self.chunks)
        except StopIteration:
            self.tell("exhausted")
            raise
        except BaseException as error:
            self.tell("raised", type(error).__name__, "iteration")
            raise
        self.tell("chunk", chunk)
        return chunk

    def close(self) -> None:
        # PEP 3333, "Specification Details": the server calls close in every ending; so does this.
        close = getattr(self.body, "close", None)
        if close is None:
            return
        self.tell("close")
        try:
            close()
        except BaseException as error:
            self.tell("raised", type(error).__name__, "close")
            raise


class SizedBody(Body):
    """PEP 3333, "Handling the Content-Length Header": a server may ask for len, and add it if it is 1."""

    body: Any

    def __len__(self) -> int:
        return len(self.body)


# --- ASGI -------------------------------------------------------------------------------------------


def asgi_xray(app: ASGIApplication, record: Record) -> ASGIApplication:
    """The same for ASGI, for every type of scope. Raises what `app` raises; a cancellation too."""
    record_of_a_call = numbered(record)

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        tell = record_of_a_call()

        async def recorded_receive() -> Message:
            message = await receive()
            # The application may change the message; the record has a copy.
            tell("receive", dict(message))
            return message

        async def recorded_send(message: Message) -> None:
            tell("send", dict(message))
            # ASGI, "Applications": send waits while the client is slow. So this has to wait for it.
            await send(message)

        # ASGI, "Lifespan Scope": it has no path.
        tell("called", scope["type"], scope.get("path", ""))
        try:
            await app(scope, recorded_receive, recorded_send)
        except BaseException as error:
            tell("raised", type(error).__name__)
            raise
        tell("returned")

    return traced
