"""The oracle: h11 reads and writes every byte. Limits and versions, which it leaves to servers, are added."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

import h11
from h11._headers import Headers

Fields = list[tuple[str, str]]
Handler = Callable[["Request", int, int], tuple[int, Fields, bytes]]

MAX_TARGET = 8_000
MAX_HEAD = 32_768
MAX_FIELDS = 100
MAX_BODY = 1_048_576


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


def values(fields: Fields, name: str) -> list[str]:
    return [value for key, value in fields if key.lower() == name.lower()]


def text_of(headers: Headers) -> Fields:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers.raw_items()]


class Reader:
    """h11 pauses after each request until it is answered; here a new connection of h11's takes the rest."""

    def __init__(self) -> None:
        self._refused: Refused | None = None
        self._begin(b"", False)

    def _begin(self, data: bytes, ended: bool) -> None:
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._head: h11.Request | None = None
        self._body: list[bytes] = []
        if data:
            self._h11.receive_data(data)
        if ended:
            self._h11.receive_data(b"")

    def feed(self, data: bytes) -> None:
        if self._refused is None:
            self._h11.receive_data(data)

    def next_request(self) -> Request | None:
        if self._refused is not None:
            raise self._refused
        try:
            return self._next()
        except h11.RemoteProtocolError as error:
            self._refused = Refused(error.error_status_hint, str(error))
        except Refused as refused:
            self._refused = refused
        raise self._refused

    def _next(self) -> Request | None:
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Request):
                self._take_head(event)
            elif isinstance(event, h11.Data):
                self._body.append(bytes(event.data))
                if sum(map(len, self._body)) > MAX_BODY:
                    raise Refused(413, "too much body")
            elif isinstance(event, h11.EndOfMessage):
                return self._whole(event)
            else:
                return None

    def _take_head(self, head: h11.Request) -> None:
        fields = text_of(head.headers)
        if len(head.target) > MAX_TARGET:
            raise Refused(414, "target too long")
        if len(fields) > MAX_FIELDS or sum(len(name) + len(value) for name, value in fields) > MAX_HEAD:
            raise Refused(431, "too many fields")
        if not head.http_version.startswith(b"1."):
            raise Refused(505, "no such version")
        lengths = values(fields, "Content-Length")
        if lengths and int(lengths[0]) > MAX_BODY:
            raise Refused(413, "too much body")
        self._head = head

    def _whole(self, end: h11.EndOfMessage) -> Request:
        assert self._head is not None
        head = self._head
        request = Request(
            head.method.decode("ascii"),
            head.target.decode("ascii"),
            f"HTTP/{head.http_version.decode('ascii')}",
            text_of(head.headers),
            b"".join(self._body),
            text_of(end.headers),
        )
        self._begin(*self._h11.trailing_data)
        return request


def parse_request(data: bytes) -> Request:
    reader = Reader()
    reader.feed(data)
    reader.feed(b"")
    request = reader.next_request()
    if request is None:
        raise Refused(400, "no request")
    return request


def build_response(status: int, fields: Fields, body: bytes = b"", method: str = "GET") -> bytes:
    writer = h11.Connection(h11.SERVER)
    writer.receive_data(f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    writer.next_event()
    empty = method == "HEAD" or status < 200 or status in (204, 304)
    if values(fields, "Content-Length") or values(fields, "Transfer-Encoding"):
        raise ValueError("framing is not given")
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    if not values(fields, "Date"):
        headers.append((b"Date", formatdate(usegmt=True).encode()))
    if status >= 200 and status not in (204, 304):
        headers.append((b"Content-Length", b"%d" % len(body)))
    reason = (HTTPStatus(status).phrase if status in set(HTTPStatus) else "").encode()
    kind = h11.InformationalResponse if status < 200 else h11.Response
    try:
        head = writer.send(kind(status_code=status, headers=headers, reason=reason))
    except h11.LocalProtocolError as error:
        raise ValueError(str(error)) from error
    return (head or b"") + (b"" if empty else writer.send(h11.Data(data=body)) or b"")


def serve(host: str, port: int, handler: Handler) -> None:
    with socket.create_server((host, port), backlog=128) as listener:
        for number in itertools.count(1):
            connection, _ = listener.accept()
            threading.Thread(target=serve_connection, args=(connection, number, handler), daemon=True).start()


def serve_connection(connection: socket.socket, number: int, handler: Handler) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(75.0)
        reader = Reader()
        for nth in itertools.count(1):
            try:
                request = receive_request(connection, reader)
            except Refused as refused:
                fields = [("Connection", "close")]
                connection.sendall(build_response(refused.status, fields, refused.reason.encode("latin-1")))
                break
            if request is None:
                break
            status, fields, body = handler(request, number, nth)
            # h11's own rule: only HTTP/1.1, and only while neither side says close
            said = ",".join(values(request.fields, "Connection") + values(fields, "Connection"))
            options = [word.strip().lower() for word in said.split(",")]
            both = values(request.fields, "Content-Length") and values(request.fields, "Transfer-Encoding")
            end = request.version == "HTTP/1.0" or "close" in options or bool(both)
            connection.sendall(build_response(status, fields, body, request.method))
            if end:
                break
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(2.0)
        until = time.monotonic() + 2.0
        while connection.recv(65_536) and time.monotonic() < until:
            pass


def receive_request(connection: socket.socket, reader: Reader) -> Request | None:
    while (request := reader.next_request()) is None:
        data = connection.recv(65_536)
        reader.feed(data)
        if not data:
            return reader.next_request()
    return request


def fetch(url: str, method: str = "GET") -> Response:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme != "http" or not parts.hostname or any(char <= " " for char in url):
        raise ValueError(url)
    reader = h11.Connection(h11.CLIENT)
    asked = reader.send(h11.Request(method=method, target=target, headers=[("Host", parts.netloc)]))
    reader.send(h11.EndOfMessage())
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=10) as connection:
        connection.sendall(asked or b"")
        try:
            return receive_response(connection, reader)
        except h11.RemoteProtocolError as error:
            raise BadAnswer(str(error)) from error


def receive_response(connection: socket.socket, reader: h11.Connection) -> Response:
    head: h11.Response | None = None
    body = b""
    while True:
        event = reader.next_event()
        if event is h11.NEED_DATA:
            reader.receive_data(connection.recv(65_536))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            version = f"HTTP/{head.http_version.decode('ascii')}"
            reason = bytes(head.reason).decode("latin-1")
            trailers = text_of(event.headers)
            return Response(head.status_code, reason, version, text_of(head.headers), body, trailers)
        elif not isinstance(event, h11.InformationalResponse):
            raise BadAnswer(f"no answer: {event!r}")


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
