"""Another legal shape: a machine with named states that eats lines, an asyncio server, a client over files.

It is as lenient as RFC 9112 lets it be: takes a bare LF, unfolds obs-fold, puts a space for NUL and CR, lets
Transfer-Encoding beat Content-Length (and closes). It makes origin-form of an absolute target (§3.2.2).
An HTTP/1.0 connection that asks to be kept is kept, and the HTTP/1.1 answer need not say so (§9.3).
"""

import argparse
import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum, auto
from functools import partial
from http.client import responses
from string import ascii_letters, digits
from urllib.parse import urlsplit

Fields = list[tuple[str, str]]
Handler = Callable[["Request", int, int], tuple[int, Fields, bytes]]

MAX_TARGET = 8_000
MAX_HEAD = 32_768
MAX_FIELDS = 100
MAX_BODY = 1_048_576
TCHARS = set("!#$%&'*+-.^_`|~" + digits + ascii_letters)


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    version: str
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    trailers: Fields = field(default_factory=list)


@dataclass(frozen=True)
class Response:
    status: int
    reason: str
    version: str
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    trailers: Fields = field(default_factory=list)


class Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class BadAnswer(Exception):
    pass


class TooLong(Refused):
    """A kind of Refused of our own: what is raised need not be Refused itself."""

    def __init__(self, status: int) -> None:
        super().__init__(status, "too much of something")


def values(fields: Fields, name: str) -> list[str]:
    return [value for key, value in fields if key.lower() == name.lower()]


class State(Enum):
    REQUEST_LINE = auto()
    FIELDS = auto()
    LENGTH = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()


class Reader:
    """One state at a time; each knows whether it wants a line or a number of bytes."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = False
        self._start()

    def _start(self) -> None:
        self.state = State.REQUEST_LINE
        self.head_size = self.wanted = 0
        self.words: list[str] = []
        self.fields: Fields = []
        self.trailers: Fields = []
        self.body = b""

    def feed(self, data: bytes) -> None:
        self.data += data
        self.ended = not data

    def next_request(self) -> Request | None:
        while True:
            request = self._step()
            if request is not None:
                return request
            if self._is_stuck():
                self._check_end()
                return None

    def _is_stuck(self) -> bool:
        if self.state in (State.LENGTH, State.CHUNK):
            return len(self.data) < self.wanted
        return b"\n" not in self.data

    def _check_end(self) -> None:
        waits = self.state is State.REQUEST_LINE and not self.data.strip()
        if self.ended and not waits:
            raise Refused(400, f"ended in {self.state.name}")
        if self.head_size + len(self.data) > MAX_HEAD and self.state not in (State.LENGTH, State.CHUNK):
            raise TooLong(431)

    def _line(self) -> str:
        line, _, self.data = self.data.partition(b"\n")
        self.head_size += len(line)
        return line.removesuffix(b"\r").decode("latin-1")

    def _step(self) -> Request | None:
        if self._is_stuck():
            return None
        match self.state:
            case State.REQUEST_LINE:
                self._request_line(self._line())
            case State.FIELDS | State.TRAILERS:
                return self._field(self._line())
            case State.LENGTH:
                self.body, self.data = self.data[: self.wanted], self.data[self.wanted :]
                return self._done()
            case State.CHUNK_SIZE:
                self._chunk_size(self._line())
            case State.CHUNK:
                self.body += self.data[: self.wanted]
                self.data = self.data[self.wanted :]
                self.state = State.CHUNK_END
            case State.CHUNK_END:
                if self._line():
                    raise Refused(400, "a chunk longer than its size")
                self.state = State.CHUNK_SIZE
        return None

    def _request_line(self, line: str) -> None:
        if not line:
            return
        words = line.split(" ")
        if len(words) != 3 or not set(words[0]) <= TCHARS or not all(words):
            raise Refused(400, "three words, please")
        if len(words[1]) > MAX_TARGET:
            raise TooLong(414)
        if not all("!" <= char <= "~" for char in words[1]):
            raise Refused(400, "visible characters, please")
        name, _, version = words[2].partition("/")
        if name != "HTTP" or len(version) != 3 or version[1] != "." or not version.replace(".", "").isdigit():
            raise Refused(400, "no version")
        if version[0] != "1":
            raise Refused(505, "no such version")
        parts = urlsplit(words[1])
        if parts.scheme == "http":
            words[1] = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        self.words, self.state = words, State.FIELDS

    def _field(self, line: str) -> Request | None:
        into = self.fields if self.state is State.FIELDS else self.trailers
        if self.head_size > MAX_HEAD or len(into) > MAX_FIELDS:
            raise TooLong(431)
        if not line:
            return self._after_head() if self.state is State.FIELDS else self._done()
        if line[0] in " \t":
            if into:
                into[-1] = (into[-1][0], f"{into[-1][1]} {line.strip()}")
            return None
        name, colon, value = line.partition(":")
        if not colon or not name or not set(name) <= TCHARS:
            raise Refused(400, "no field")
        into.append((name, value.replace("\0", " ").replace("\r", " ").strip(" \t")))
        return None

    def _after_head(self) -> Request | None:
        hosts = values(self.fields, "Host")
        if len(hosts) > 1 or (not hosts and self.words[2] != "HTTP/1.0"):
            raise Refused(400, "one Host, please")
        codings = values(self.fields, "Transfer-Encoding")
        if codings:
            *others, last = [word.strip().lower() for word in ",".join(codings).split(",")]
            if others or last != "chunked":
                raise Refused(501, "chunked alone, please")
            self.state = State.CHUNK_SIZE
            return None
        lengths = set(values(self.fields, "Content-Length")) or {"0"}
        length = lengths.pop()
        if lengths or not length.isascii() or not length.isdigit() or len(length) > 4000:
            raise Refused(400, "one length, please")
        if int(length) > MAX_BODY:
            raise TooLong(413)
        self.wanted, self.state = int(length), State.LENGTH
        return None

    def _chunk_size(self, line: str) -> None:
        size = line.partition(";")[0].rstrip()
        if not size or len(size) > 16 or not set(size) <= set("0123456789abcdefABCDEF"):
            raise Refused(400, "no chunk size")
        self.wanted = int(size, 16)
        if self.wanted + len(self.body) > MAX_BODY:
            raise TooLong(413)
        self.state = State.CHUNK if self.wanted else State.TRAILERS

    def _done(self) -> Request:
        method, target, version = self.words
        request = Request(method, target, version, self.fields, self.body, self.trailers)
        self._start()
        return request


def parse_request(data: bytes) -> Request:
    reader = Reader()
    reader.feed(data)
    request = reader.next_request()
    if request is None:
        raise Refused(400, "not a whole request")
    return request


def build_response(status: int, fields: Fields, body: bytes = b"", method: str = "GET") -> bytes:
    out = bytearray(b"HTTP/1.1 %d %b\r\n" % (status, responses.get(status, "").encode()))
    own = [("Date", formatdate(usegmt=True))] if not values(fields, "date") else []
    if status >= 200 and status != 204:
        own.append(("content-length", str(len(body))))
    for name, value in fields:
        forbidden = name.lower() in ("content-length", "transfer-encoding")
        if forbidden or not name or not set(name) <= TCHARS or set(value) & set("\r\n\0"):
            raise ValueError(name)
    for name, value in [*own, *fields]:
        out += f"{name}: {value}\r\n".encode("latin-1")
    out += b"\r\n"
    return bytes(out if method == "HEAD" or status in (103, 204, 304) else out + body)


class Connection(asyncio.Protocol):
    """One connection; nothing here ever waits."""

    opened = 0

    def __init__(self, handler: Handler) -> None:
        Connection.opened += 1
        self.number, self.nth, self.handler = Connection.opened, 0, handler
        self.reader = Reader()
        self.over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.over:
            self.reader.feed(data)
            self._answer_all()

    def eof_received(self) -> bool:
        if not self.over:
            self.reader.feed(b"")
            self._answer_all()
        return False

    def _answer_all(self) -> None:
        try:
            while not self.over and (request := self.reader.next_request()) is not None:
                self._answer(request)
        except Refused as refused:
            self.transport.write(build_response(refused.status, [("connection", "close")], b"no\n"))
            self._end()

    def _answer(self, request: Request) -> None:
        self.nth += 1
        status, fields, body = self.handler(request, self.number, self.nth)
        said = ",".join(values(request.fields, "Connection") + values(fields, "Connection"))
        options = [word.strip().lower() for word in said.split(",")]
        lengths, old = values(request.fields, "Content-Length"), request.version == "HTTP/1.0"
        faulty = values(request.fields, "Transfer-Encoding") and (lengths or old)
        self.transport.write(build_response(status, fields, body, request.method))
        if "close" in options or (old and "keep-alive" not in options) or faulty:
            self._end()

    def _end(self) -> None:
        self.over = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        asyncio.get_running_loop().call_later(2.0, self.transport.close)


def serve(host: str, port: int, handler: Handler) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Connection(handler), host, port)
        await server.serve_forever()

    asyncio.run(run())


def fetch(url: str, method: str = "GET") -> Response:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or set(url) & set(" \r\n"):
        raise ValueError("an http:// URL, please")
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=10) as link:
        link.sendall(f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode("ascii"))
        with link.makefile("rb") as file:
            return read_response(file, method)


def read_response(file, method: str) -> Response:  # type: ignore[no-untyped-def]
    status = 100
    while status < 200:
        version, _, rest = read_line(file).partition(" ")
        number, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or not number.isdigit():
            raise BadAnswer("no status line")
        status, fields = int(number), read_fields(file)
    coded, lengths = values(fields, "Transfer-Encoding"), set(values(fields, "Content-Length"))
    body, trailers = b"", Fields()
    if method == "HEAD" or status in (204, 304):
        pass
    elif coded:
        body, trailers = read_chunks(file)
    elif lengths:
        if len(lengths) > 1:
            raise BadAnswer("two lengths")
        body = read_exactly(file, int(lengths.pop()))
    else:
        body = file.read()
    return Response(status, reason, version, fields, body, trailers)


def read_line(file) -> str:  # type: ignore[no-untyped-def]
    line: bytes = file.readline(MAX_HEAD)
    if not line.endswith(b"\n"):
        raise BadAnswer("a line cut short")
    return line.rstrip(b"\r\n").decode("latin-1")


def read_fields(file) -> Fields:  # type: ignore[no-untyped-def]
    fields = []
    while line := read_line(file):
        name, _, value = line.partition(":")
        fields.append((name, value.strip(" \t")))
    return fields


def read_exactly(file, size: int) -> bytes:  # type: ignore[no-untyped-def]
    data: bytes = file.read(size)
    if len(data) < size:
        raise BadAnswer("cut short")
    return data


def read_chunks(file) -> tuple[bytes, Fields]:  # type: ignore[no-untyped-def]
    body = b""
    while True:
        try:
            size = int(read_line(file).partition(";")[0], 16)
        except ValueError:
            raise BadAnswer("no chunk size") from None
        if not size:
            return body, read_fields(file)
        body += read_exactly(file, size)
        read_line(file)


def mirror(request: Request, connection: int, nth: int, close: bool = False) -> tuple[int, Fields, bytes]:
    lines = [f"{request.method} {request.target} {request.version}"]
    lines += [f"{name}: {value}" for name, value in request.fields]
    text = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    fields = [("Content-Type", "text/plain"), ("X-Connection", str(connection)), ("X-Nth", str(nth))]
    return 200, [*fields, ("Connection", "close")] if close else fields, text + b"\r\n" + request.body


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--close", action="store_true")
    options = parser.parse_args()
    serve(options.host, options.port, partial(mirror, close=options.close))


if __name__ == "__main__":
    main()
