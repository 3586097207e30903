"""HTTP/1.1 as text: a parser that knows no socket; a server and a client around it."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

Fields = list[tuple[str, str]]  # field lines in the order in which they came, repeats and all
Handler = Callable[["Request", int, int], tuple[int, Fields, bytes]]

MAX_TARGET = 8_000  # bytes of a request's target; more: 414
MAX_HEAD = 32_768  # bytes of a head, up to its empty line; more: 431
MAX_FIELDS = 100  # field lines of a head; more: 431
MAX_BODY = 1_048_576  # bytes of a request's body; more: 413


@dataclass(frozen=True)
class Request:
    """One request. Text is latin-1, so that each character is one byte of the wire; the body is bytes."""

    method: str  # "GET"
    target: str  # "/tasks/42?done=1", nothing decoded
    version: str  # "HTTP/1.1"
    fields: Fields = field(default_factory=list)  # [("Host", "localhost"), ...], names as they were sent
    body: bytes = b""
    trailers: Fields = field(default_factory=list)  # the fields after a chunked body


@dataclass(frozen=True)
class Response:
    """One response, as `fetch` returns it."""

    status: int
    reason: str
    version: str
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    trailers: Fields = field(default_factory=list)


class Refused(Exception):
    """The client sent what is no HTTP/1.1 request, or too much of it; `status` is the answer to that."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class BadAnswer(Exception):
    """What came back to `fetch` is no response, or not a whole one."""


def values(fields: Fields, name: str) -> list[str]:
    """Every value of a field, in order: names compare without case (RFC 9110 §5.1)."""
    return [value for key, value in fields if key.lower() == name.lower()]


def parse_request(data: bytes) -> Request:
    r"""b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n" → Request("GET", "/a", "HTTP/1.1", [("Host", "b")]).

    Task 2: raises Refused with 400, 413, 414, 431, 501 or 505 for what is none. See the README's rules.
    """
    # TODO task 1: the request line, the fields, and as much body as Content-Length counts
    # TODO task 2: refuse what is malformed
    raise NotImplementedError("lab 2 task 1: parse the request")


def build_response(status: int, fields: Fields, body: bytes = b"", method: str = "GET") -> bytes:
    r"""build_response(404, [("A", "b")], b"no") → b"HTTP/1.1 404 Not Found\r\nA: b\r\n…\r\n\r\nno".

    Adds Date and Content-Length. No content in answer to HEAD, nor with 1xx, 204, 304. Raises ValueError
    for a field that could split the response, and for a Content-Length or Transfer-Encoding that is given.
    """
    # TODO task 3
    raise NotImplementedError("lab 2 task 3: build the response")


class Reader:
    """Whole requests from a stream that comes in any pieces. No socket in it."""

    def __init__(self) -> None:
        # TODO task 4: what must be remembered between two pieces?
        raise NotImplementedError("lab 2 task 4: read messages from a stream")

    def feed(self, data: bytes) -> None:
        r"""Take what `recv` returned: b"GET / HT", then b"TP/1.1\r\n…"; b"" is the end of the stream."""
        raise NotImplementedError("lab 2 task 4: feed")

    def next_request(self) -> Request | None:
        """The next whole request; None: not whole yet, or none follows. Raises Refused."""
        raise NotImplementedError("lab 2 task 4: next_request")


def serve(host: str, port: int, handler: Handler) -> None:
    """Listen, accept, and answer every connection until it must close; never returns.

    handler(request, connection, nth) → status, fields, body: the nth request on connection 1, 2, 3 …
    """
    # TODO task 5: socket.create_server((host, port)), and a thread for each connection
    raise NotImplementedError("lab 2 task 5: the loop")


def fetch(url: str, method: str = "GET") -> Response:
    """fetch("http://localhost:8000/tasks?page=2") → the final response, read as its framing says.

    Raises ValueError for a URL that is not http:// or has a space or a line end in it, BadAnswer for half an
    answer or one that is no HTTP.
    """
    # TODO task 5
    raise NotImplementedError("lab 2 task 5: fetch")


def mirror(request: Request, connection: int, nth: int, close: bool = False) -> tuple[int, Fields, bytes]:
    """Given: the request as text again, and on which connection it came, as which one."""
    lines = [f"{request.method} {request.target} {request.version}"]
    lines += [f"{name}: {value}" for name, value in request.fields]
    text = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    fields = [("Content-Type", "text/plain"), ("X-Connection", str(connection)), ("X-Nth", str(nth))]
    return 200, [*fields, ("Connection", "close")] if close else fields, text + b"\r\n" + request.body


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a mirror of requests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--close", action="store_true", help="end the connection after each answer")
    options = parser.parse_args()
    serve(options.host, options.port, partial(mirror, close=options.close))


if __name__ == "__main__":
    main()
