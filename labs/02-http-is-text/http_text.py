"""HTTP/1.1 as text: a parser that knows no socket; a server and a client around it.

Given: `Request`, `Response`, `Refused`, `BadAnswer` and `values` in messages.py, what is served in mirror.py.
"""

from messages import BadAnswer, Fields, Refused, Request, Response, values  # noqa: F401 - for the tasks
from mirror import Handler, main

MAX_TARGET = 8_000  # bytes of a request's target; more: 414
MAX_HEAD = 32_768  # bytes of a head, up to its empty line; more: 431
MAX_FIELDS = 100  # field lines of a head; more: 431
MAX_BODY = 1_048_576  # bytes of a request's body; more: 413


def parse_request(data: bytes) -> Request:
    r"""b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n" → Request("GET", "/a", "HTTP/1.1", [("Host", "b")]).

    Task 2: raises Refused with 400, 413, 414, 431, 501 or 505 for an invalid request. See the README's rules.
    """
    # TODO task 1: the request line, the fields, and as much body as Content-Length counts
    # TODO task 2: refuse what is malformed
    raise NotImplementedError("lab 2 task 1: parse the request")


def build_response(status: int, fields: Fields, body: bytes = b"", method: str = "GET") -> bytes:
    r"""build_response(404, [("A", "b")], b"no") → b"HTTP/1.1 404 Not Found\r\nA: b\r\n…\r\n\r\nno".

    Adds Date and Content-Length. No content in a response to HEAD, nor with 1xx, 204, 304. Raises ValueError
    for a field that could split the response, and for a Content-Length or Transfer-Encoding that is given.
    """
    # TODO task 3
    raise NotImplementedError("lab 2 task 3: build the response")


class Reader:
    """Whole requests from a stream that comes in any pieces. No socket in it."""

    def __init__(self) -> None:
        # TODO task 4: what must the Reader remember between two pieces?
        raise NotImplementedError("lab 2 task 4: read messages from a stream")

    def feed(self, data: bytes) -> None:
        r"""Take what `recv` returned: b"GET / HT", then b"TP/1.1\r\n…"; b"" is the end of the stream."""
        raise NotImplementedError("lab 2 task 4: feed")

    def next_request(self) -> Request | None:
        """Return the next whole request; None if it isn't whole yet, or none follows. Raises Refused."""
        raise NotImplementedError("lab 2 task 4: next_request")


def serve(host: str, port: int, handler: Handler) -> None:
    """Listen, accept, and serve every connection until it must close; never returns.

    handler(request, connection, nth) → status, fields, body: the nth request on connection 1, 2, 3 …
    """
    # TODO task 5: socket.create_server((host, port)), and a thread for each connection
    raise NotImplementedError("lab 2 task 5: the loop")


def fetch(url: str, method: str = "GET") -> Response:
    """fetch("http://localhost:8000/tasks?page=2") → the final response, read as its framing says.

    Raises ValueError for a URL that is not http:// or has a space or a line break in it, BadAnswer for half a
    response or one that isn't valid HTTP.
    """
    # TODO task 5
    raise NotImplementedError("lab 2 task 5: fetch")


if __name__ == "__main__":
    main(serve)
