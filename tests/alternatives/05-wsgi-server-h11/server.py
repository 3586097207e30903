"""Another shape of lab 5: h11 knows HTTP, and every connection has a thread of its own while it lasts.

A semaphore lets --threads requests into the application at a time. Memory pays for what the porter of the
solution saves: an idle connection costs a thread, but blocks nobody.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import signal
import socket
import socketserver
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h11

Headers = list[tuple[str, str]]
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"} | {
    "proxy-authenticate",
    "proxy-authorization",
}


class Gone(ConnectionError):
    """The client left, or is silent for too long."""


class Input(io.RawIOBase):
    """h11's Data events as a stream that ends with the message."""

    def __init__(self, handler: Handler) -> None:
        self.handler, self.rest, self.ended = handler, b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self.rest and not self.ended:
            event = self.handler.next_event()
            if isinstance(event, h11.Data):
                self.rest = bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.ended = True
        piece, self.rest = self.rest[: len(into)], self.rest[len(into) :]
        into[: len(piece)] = piece
        return len(piece)


class Handler(socketserver.BaseRequestHandler):
    request: socket.socket
    server: Server

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)
        try:
            while self.serve_one():
                self.request.settimeout(self.server.options.keep_alive)
        except (Gone, OSError):
            pass
        except h11.RemoteProtocolError as error:
            self.refuse(error.error_status_hint)
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_WR)
            self.request.settimeout(1)
            while self.request.recv(65536):
                pass

    def next_event(self) -> Any:
        while (event := self.http.next_event()) is h11.NEED_DATA:
            if self.http.they_are_waiting_for_100_continue:
                self.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
            try:
                self.http.receive_data(self.request.recv(65536))
            except OSError as error:
                raise Gone from error
        if isinstance(event, h11.ConnectionClosed):
            raise Gone
        return event

    def send(self, event: Any) -> None:
        data = self.http.send(event)
        if data:
            try:
                self.request.sendall(data)
            except OSError as error:
                raise Gone from error

    def refuse(self, status: int) -> None:
        if self.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [("Content-Length", "0"), ("Connection", "close")]
            with contextlib.suppress(Gone):
                self.send(h11.Response(status_code=status, headers=headers, reason=b"Refused"))
                self.send(h11.EndOfMessage())

    def serve_one(self) -> bool:
        """Answer one request; False when the connection ends with it."""
        request = self.next_event()
        self.request.settimeout(self.server.options.time_out)
        body = Input(self)
        answer = Answer(self)
        try:
            with self.server.places:
                answer.run(self.server.application, self.environ_of(request, body))
        except (Gone, h11.RemoteProtocolError):
            raise
        except Exception:
            traceback.print_exc()
            self.refuse(500)
            return False
        while self.http.their_state is h11.SEND_BODY:
            if self.http.they_are_waiting_for_100_continue:
                return False
            self.next_event()
        if self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE:
            return False
        self.http.start_next_cycle()
        return True

    def environ_of(self, request: h11.Request, body: Input) -> dict[str, Any]:
        path, _, query = request.target.decode("latin-1").partition("?")
        environ = {
            "REQUEST_METHOD": request.method.decode("ascii"),
            # No SCRIPT_NAME: what would be empty may be left out (PEP 3333, "environ Variables").
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": self.request.getsockname()[0],
            "SERVER_PORT": str(self.request.getsockname()[1]),
            "SERVER_PROTOCOL": f"HTTP/{request.http_version.decode('ascii')}",
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BufferedReader(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }
        fields: dict[str, list[str]] = {}
        for raw, value in request.headers:
            if b"_" not in raw:
                fields.setdefault(raw.decode("ascii"), []).append(value.decode("latin-1"))
        for name, values in fields.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = ", ".join(values)
        return environ


class Answer:
    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.started: tuple[str, Headers] | None = None
        self.sent = False

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info and self.sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if self.started and not exc_info:
            raise AssertionError("start_response is called once")
        if not status.isprintable():
            raise ValueError("a status is one line of text")  # h11 does not look at it
        self.started = (status, headers)
        return self.write

    def send_head(self) -> None:
        if self.started is None:
            raise AssertionError("start_response was not called")
        status, headers = self.started
        code, _, reason = status.partition(" ")
        if HOP_BY_HOP & {name.lower() for name, _ in headers}:
            raise ValueError("a hop-by-hop header")
        if "date" not in {name.lower() for name, _ in headers}:
            headers = [*headers, ("Date", formatdate(usegmt=True))]
        event = h11.Response(
            status_code=int(code), reason=reason.encode("latin-1"), headers=self.encoded(headers)
        )
        self.handler.send(event)
        self.sent = True

    def encoded(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        own = [] if "date" in {name.lower() for name, _ in headers} else [("Date", formatdate(usegmt=True))]
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in [*headers, *own]]

    def write(self, data: bytes) -> None:
        if not data:
            return
        if not self.sent:
            self.send_head()
        if self.has_body:
            self.handler.send(h11.Data(data=data))

    @property
    def has_body(self) -> bool:
        asked: Any = self.handler.http._request_method  # h11 keeps it to frame the answer, and so do we
        return asked != b"HEAD" and self.started is not None and self.started[0][:3] not in ("204", "304")

    def run(self, application: Any, environ: dict[str, Any]) -> None:
        result: Iterable[bytes] = application(environ, self.start_response)
        try:
            for chunk in result:
                self.write(chunk)
            if not self.sent:
                self.send_head()
            self.handler.send(h11.EndOfMessage())
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    application: Any
    options: argparse.Namespace
    places: threading.Semaphore  # connections may be many, requests in the application --threads


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=8, help="requests in the application at once")
    parser.add_argument("--keep-alive", type=float, default=5.0)
    parser.add_argument("--time-out", type=float, default=10.0)
    options = parser.parse_args()
    sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = options.application.partition(":")
    with Server((options.host, options.port), Handler) as server:
        server.application = getattr(importlib.import_module(module), attribute)
        server.options = options
        server.places = threading.Semaphore(options.threads)
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever(0.1)


if __name__ == "__main__":
    main()
