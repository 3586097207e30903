"""An ASGI server: python server.py module:attribute --host 127.0.0.1 --port 8000

How it works. One event loop, one `HTTPProtocol` a connection, one `Exchange` a request. The loop tells the
protocol that bytes came; the protocol feeds them to a parser that knows no sockets, and begins an exchange
for each head. The exchange is the application's `receive` and `send`, and its task.

    buffer_updated ─▶ Parser ─▶ Head ─▶ scope ─▶ task: application(scope, receive, send)
                         │                                             ▲         │
                         └─ body ─▶ Exchange.feed ─────────────────────┘         ▼
                  transport.write ◀── head + body, in one piece where it fits ── Exchange.send

Nobody waits in the protocol. Two things say stop: the application takes no more of the body, then the
transport reads no more (`pause_reading`); the client takes no more of the answer, then `send` does not return
(`pause_writing`). So a connection costs a bounded number of bytes, whoever is slow.

All of it runs in one thread: between two `await`s nothing else happens, and nothing needs a lock.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import contextvars
import http
import importlib
import re
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from http1_parser import TOKEN, Head, Parser, Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
# For a client that asks for WebSocket: the HTTP scope, the transport, the bytes that came after the head, the
# application. What it returns is the connection's protocol from there on.
Upgrade = Callable[[Scope, asyncio.Transport, bytes, Application], asyncio.Protocol]

HIGH_WATER = 65_536  # bytes that wait for the application before the client is no longer read
DISCARD_LIMIT = 65_536  # bytes of an unread body that are read away to keep a connection
ONE_WRITE = 65_536  # bytes of a body that are copied behind the head, to leave in one piece
ONE_READ = 65_536  # bytes that are read at once
LINGER = 2.0  # seconds in which a client may still be sending after the last answer
HALF_CLOSED = 1.5  # seconds without a write until a client that sends no more is taken for gone
TICK = 0.5  # seconds between two looks at who is overdue
STOP = 2.0  # seconds for the requests in flight after SIGTERM
BACKLOG = 2048
NEVER = float("inf")
BYTES = (bytes, bytearray, memoryview)
PERCENT = ord("%")  # a number is found in bytes several times as fast as bytes are

STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}
# RFC 9110 §5.5: a line break in a value would begin a header, or a response, of its own.
HEADER = re.compile(rb"%b: [^\x00-\x08\x0a-\x1f\x7f]*\r\n" % TOKEN)
# RFC 9112 §6, §9: the framing and the connection are the server's.
FRAMING = frozenset([b"content-length", b"transfer-encoding", b"connection", b"keep-alive"])


class MessageOrder(RuntimeError):
    """The application sent what must not come now (ASGI, HTTP & WebSocket, "HTTP")."""


class ClientGone(OSError):
    """What `send` raises when the client has left (ASGI spec_version 2.4, "Disconnected Client")."""


# --- task 1: the scope --------------------------------------------------------------------------------


def build_scope(head: Head, connection: HTTPProtocol) -> dict[str, Any]:
    """The scope of one request: a new dict, for this call alone (ASGI, "HTTP Connection Scope")."""
    raw_path, _, query = head.target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": head.version,
        "method": head.method.upper(),
        "scheme": connection.scheme,
        # "path": percent-decoded, and then UTF-8. "raw_path": as it came. Neither has the query.
        "path": decode_path(raw_path),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": head.headers,
        "client": connection.client,
        "server": connection.server,
    }
    if connection.owner.state is not None:
        # "Lifespan State": each request has a shallow copy of what startup left.
        scope["state"] = connection.owner.state.copy()
    return scope


def decode_path(raw: bytes) -> str:
    """`b"/caf%C3%A9"` is "/café"; bytes that are no UTF-8 become U+FFFD, as with uvicorn."""
    return (unquote_to_bytes(raw) if PERCENT in raw else raw).decode("utf-8", "replace")


# --- tasks 2 and 3: one request -----------------------------------------------------------------------


class Exchange:
    """One request and its answer: the `receive` and `send` of one call of the application."""

    __slots__ = (
        *("_body", "_body_ended", "_chunked", "_has_body", "_head", "_headers", "_left", "_news", "_status"),
        *("_told_end", "begun", "complete", "connection", "continue_due", "keep_alive", "unread"),
    )

    def __init__(self, connection: HTTPProtocol, head: Head) -> None:
        self.connection, self._head = connection, head
        self.keep_alive = head.keep_alive
        self.continue_due = head.expects_continue and head.length != 0
        # the request
        self._body: list[bytes] = []
        self.unread = 0  # bytes of the body that wait for the application
        self._body_ended = head.length == 0
        self._told_end = False
        self._news: asyncio.Event | None = None
        # the response
        self._status, self._headers = 0, b""
        self._left: int | None = None  # bytes that Content-Length still allows
        self._chunked = False
        self.begun = self.complete = False

    async def run(self, application: Application) -> None:
        """Call the application, and make the best of what it raises."""
        try:
            await application(build_scope(self._head, self.connection), self.receive, self.send)
            if not self.complete and not self.connection.ended:
                raise MessageOrder(
                    "the application returned before an http.response.body with more_body False"
                )
        except BaseException as error:
            if not self._is_because_client_left(error):
                traceback.print_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self.connection.owner.ended(self)
            if not self.complete:
                self._end_early()

    def _end_early(self) -> None:
        """Before the first byte a 500 can be sent; after it, only an end that is no end of a body."""
        self.complete = True
        if self.begun or self.connection.gone:
            self.connection.abort(by_reset=self.ends_with_connection)
        else:
            self.connection.refuse(500, "the application did not answer")

    def _is_because_client_left(self, error: BaseException | None) -> bool:
        """Whether it is what `send` raised, or what a framework made of that."""
        while error is not None and not isinstance(error, ClientGone | asyncio.CancelledError):
            error = error.__context__
        return error is not None

    # --- from the client

    def feed(self, data: bytes, ended: bool) -> None:
        """Take in what came of the body."""
        if data:
            self._body.append(data)
            self.unread += len(data)
        self._body_ended = ended
        if data or ended:
            self.wake()

    def wake(self) -> None:
        """Something happened that a waiting `receive` has to know."""
        if self._news is not None:
            self._news.set()

    async def receive(self) -> Message:
        """The next event: a piece of the body, or that the client left or has its whole answer."""
        while True:
            if self.complete or (self.connection.lost and not self._body):
                return {"type": "http.disconnect"}
            if self._body or (self._body_ended and not self._told_end):
                return self._request_event()
            if self.connection.gone or (self.connection.ended and not self._body_ended):
                # Who closes after the request has left; and a body cut short is no shorter body.
                return {"type": "http.disconnect"}
            if not self._body_ended:
                self._ask_for_body()
            # Two tasks may wait here at once: each one looks again.
            self._news = self._news or asyncio.Event()
            self._news.clear()
            await self._news.wait()
            self.connection.deadline = NEVER

    def _request_event(self) -> Message:
        data = b"".join(self._body)
        self._body.clear()
        self.unread = 0
        self._told_end = self._body_ended
        self.connection.read_on()
        return {"type": "http.request", "body": data, "more_body": not self._body_ended}

    def _ask_for_body(self) -> None:
        self.connection.expect_bytes()
        if self.continue_due:
            # RFC 9110 §10.1.1: the client waits for this before it sends the body.
            self.continue_due = False
            self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # --- to the client

    async def send(self, message: Message) -> None:
        """Take one event of the response; returns when the connection can take more.

        Raises MessageOrder for an event out of order, ClientGone when nobody is there, ValueError or
        TypeError for an event that can't be sent.
        """
        kind, connection = message["type"], self.connection
        if connection.lost and not self.complete:
            raise ClientGone("the client has left")
        if kind == "http.response.body":
            self._send_body(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
        else:
            raise MessageOrder(
                f"{kind!r} is no event of an HTTP response: http.response.start and http.response.body are"
            )
        if connection.writing_paused:
            # "send waits" is all of back-pressure: the application makes no more than the client takes.
            await connection.writable()

    def _start(self, status: int, headers: Any) -> None:
        """Keep status and headers: "Response Start" has the head leave with the first body event."""
        if self._status:
            raise MessageOrder("'http.response.start' came twice: it is the first event, and comes once")
        if not 200 <= status <= 999:
            raise ValueError(f"{status} can't be the status of an answer: 1xx are interim (RFC 9110 §15.2)")
        self._headers = self._header_lines(headers)
        self._status = status
        # RFC 9110 §9.3.2, §15.3.5, §15.4.5: nothing follows the head of these.
        self._has_body = self._head.method != "HEAD" and self._status != 204 and self._status != 304

    def _header_lines(self, headers: Any) -> bytes:
        """The application's headers as they go on the wire; what it says of the framing is looked at."""
        lines, date = [], date_line()
        for name, value in headers:
            lower = name.lower()
            # "Response Start": Transfer-Encoding from the application is ignored.
            if lower not in FRAMING:
                line = b"%b: %b\r\n" % (name, value)
                if not HEADER.fullmatch(line):
                    raise ValueError(f"{line!r} can't be sent: a name is a token, a value has no line break")
                lines.append(line)
                if lower == b"date":
                    date = b""
            elif lower == b"content-length":
                self._left = content_length(value, self._left)
            elif lower == b"connection" and b"close" in value.lower():
                self.keep_alive = False
        lines.append(date)
        return b"".join(lines)

    def _send_body(self, data: bytes, more: bool) -> None:
        if not self._status:
            raise MessageOrder("'http.response.body' came before 'http.response.start'")
        if self.complete:
            raise MessageOrder("'http.response.body' came after one with more_body False, which is the last")
        if not isinstance(data, BYTES):
            raise TypeError(f"a body is made of bytes, not {type(data).__name__}")
        data = bytes(data)
        out = b"" if self.begun else self._begin(None if more else len(data))
        if not self._has_body:
            data = b""
        elif self._left is not None:
            self._count(len(data), more)
        elif self._chunked:
            data = self._as_chunk(data, more)
        self.begun = True
        if len(data) > ONE_WRITE:
            self.connection.write(out)
            self.connection.write(data)
        elif out or data:
            self.connection.write(out + data)
        if not more:
            self.complete = True
            self.connection.answered(self)

    def _count(self, length: int, more: bool) -> None:
        """RFC 9112 §6.3: Content-Length is a promise. One byte more would begin the next answer."""
        assert self._left is not None
        self._left -= length
        if self._left < 0:
            raise ValueError(f"the body is at least {-self._left} bytes longer than its Content-Length")
        if self._left and not more:
            raise ValueError(f"the body is {self._left} bytes shorter than its Content-Length")

    @staticmethod
    def _as_chunk(data: bytes, more: bool) -> bytes:
        """RFC 9112 §7.1: an empty chunk would be the last one."""
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return chunk if more else chunk + b"0\r\n\r\n"

    def _begin(self, length: int | None) -> bytes:
        """The head of the response; `length` is the body's where the first event is the only one."""
        lines = [STATUS_LINES.get(self._status) or b"HTTP/1.1 %d \r\n" % self._status, self._headers]
        if self._left is None and self._has_body:
            if length is not None:
                self._left = length
            elif self._head.version == "1.1":
                self._chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                # RFC 9112 §6.3: HTTP/1.0 knows no chunks: the end of the connection ends the body.
                self.keep_alive = False
        if self._left is not None and self._status != 204:
            lines.append(b"content-length: %d\r\n" % self._left)
        # A client that waits for a 100 that won't come: whether the body follows can't be known.
        if self.continue_due or self.connection.is_last:
            self.keep_alive = False
        # RFC 9110 §15.2: interim responses come before the final one, which begins here.
        self.continue_due = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        elif self._head.version == "1.0":
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    @property
    def is_head(self) -> bool:
        """Whether no content may follow, whoever answers (RFC 9110 §9.3.2)."""
        return self._head.method == "HEAD"

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is what ends this body."""
        return self.begun and self._left is None and not self._chunked and self._has_body


def content_length(value: bytes, before: int | None) -> int:
    """RFC 9110 §8.6: digits only, and one length only."""
    if not value.isdigit() or before not in (None, int(value)):
        raise ValueError(f"not the one Content-Length of a body: {value!r}")
    return int(value)


_date = (0, b"")


def date_line() -> bytes:
    """The Date field (RFC 9110 §6.6.1), made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, b"date: %b\r\n" % formatdate(now, usegmt=True).encode("ascii"))
    return _date[1]


# --- task 4: one connection ---------------------------------------------------------------------------


class HTTPProtocol(asyncio.BufferedProtocol):
    """One connection: its parser, the exchange that is under way, and who waits for whom.

    All connections read into one buffer of their server. A `data_received` would take a new piece of 256 KiB
    for each read, of which a request fills a thousandth: the C library may ask the kernel for it each time.
    """

    # A thousand idle connections are a thousand of these.
    __slots__ = (
        *("_discarded", "_in_head", "_wrote_last", "_writable", "client", "deadline", "ended", "exchange"),
        *("gone", "lingering", "loop", "lost", "owner", "parser", "reading_paused", "scheme", "server"),
        *("transport", "writing_paused"),
    )

    # per connection, from connection_made on
    transport: asyncio.Transport
    scheme: str
    client: tuple[str, int] | None
    server: tuple[str, int | None] | None

    def __init__(self, owner: Server) -> None:
        self.owner, self.loop = owner, owner.loop
        self.parser = Parser()
        self.exchange: Exchange | None = None  # per request
        self.deadline = self.loop.time() + owner.time_out  # when patience with the client ends
        self.lost = self.ended = self.gone = self.lingering = False
        self.writing_paused = self.reading_paused = False
        self._discarded, self._in_head, self._wrote_last = 0, False, 0.0
        self._writable: asyncio.Event | None = None

    # --- the loop calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.client = address(transport.get_extra_info("peername"))
        self.server = address(transport.get_extra_info("sockname"), named=True)
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self.owner.connections.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport reads to; it calls `buffer_updated` before anything else is read."""
        return self.owner.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have come; the next read will overwrite them."""
        if self.lingering:
            return
        self.parser.feed(self.owner.buffer[:nbytes].tobytes())
        self.advance()

    def eof_received(self) -> bool:
        """The client sends no more. It has left, or it waits for its answer with one side closed.

        Which of the two, TCP tells who writes: one that has left answers with a reset, and the connection is
        lost. So it is there as long as the answer goes on; `look` ends that when nothing is written.
        """
        self.ended = True
        if self.exchange is None:
            return False
        self._wrote_last = self.loop.time()
        self.exchange.wake()
        return self.transport.can_write_eof()  # TLS knows no half of a connection

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = self.ended = self.gone = True
        self.owner.connections.discard(self)
        self.resume_writing()
        if self.exchange is not None:
            self.exchange.wake()

    def pause_writing(self) -> None:
        """More than the transport's high-water mark waits for the client."""
        self.writing_paused = True

    def resume_writing(self) -> None:
        self.writing_paused = False
        if self._writable is not None:
            self._writable.set()

    # --- reading

    def advance(self) -> None:
        """Go on with what has come: the body of this request, or the head of the next one."""
        parser = self.parser
        try:
            while not self.lingering:
                if not parser.body_ended:
                    self._take_body()
                    if not parser.body_ended:
                        break
                elif self.exchange is not None:
                    break  # RFC 9112 §9.3.2: pipelined requests are answered in order
                else:
                    head = parser.next_head()
                    if head is None:
                        self._wait_for_head()
                        break
                    self._begin(head)
        except Refused as refused:
            self._refuse_request(refused)
        self._balance()

    def _take_body(self) -> None:
        data = self.parser.next_body()
        if self.exchange is not None:
            self.exchange.feed(data, self.parser.body_ended)
            return
        # The answer is out, and the application left its body: RFC 9112 §9.3: it is no request.
        self._discarded += len(data)
        if self._discarded > DISCARD_LIMIT:
            self.close_gently()

    def _begin(self, head: Head) -> None:
        if head.upgrade == b"websocket" and self.owner.upgrade and head.method == "GET" and head.length == 0:
            self._hand_over(head, self.owner.upgrade)
            return
        self.deadline, self._discarded, self._in_head = NEVER, 0, False
        self.exchange = Exchange(self, head)
        self.owner.start(self.exchange)

    def _hand_over(self, head: Head, upgrade: Upgrade) -> None:
        """RFC 9110 §7.8: from here on the connection speaks another protocol."""
        self.lingering = True  # nothing more is this protocol's
        self.owner.connections.discard(self)
        scope = build_scope(head, self)
        application, rest = self.owner.application, self.parser.rest
        protocol = self.owner.fresh_context().run(upgrade, scope, self.transport, rest, application)
        self.transport.set_protocol(protocol)
        self.owner.took_over(self.transport, protocol)

    def _wait_for_head(self) -> None:
        if self.ended:
            self.transport.close()
        elif self.parser.waiting and not self._in_head:
            # The limit is for the whole head: one byte now and then does not extend it.
            self._in_head = True
            self.expect_bytes()

    def expect_bytes(self) -> None:
        """The client's turn, within `time_out`."""
        self.deadline = self.loop.time() + self.owner.time_out

    def _balance(self) -> None:
        """Read while there is room. What is not read stays in the kernel, and then with the client."""
        waiting = self.parser.waiting + (self.exchange.unread if self.exchange is not None else 0)
        if waiting > HIGH_WATER and not self.lingering:
            self.reading_paused = True
            self.transport.pause_reading()
        else:
            self.read_on()

    def read_on(self) -> None:
        """There is room again."""
        if self.reading_paused:
            self.reading_paused = False
            self.transport.resume_reading()

    # --- writing

    def write(self, data: bytes) -> None:
        if self.ended:  # half-closed: `look` asks when
            self._wrote_last = self.loop.time()
        self.transport.write(data)

    async def writable(self) -> None:
        """Wait until the client has taken enough. Raises ClientGone when it has left instead."""
        while self.writing_paused:  # connection_lost ends that, too
            self._writable = self._writable or asyncio.Event()
            self._writable.clear()
            await self._writable.wait()
        if self.lost:
            raise ClientGone("the client left before its answer was sent")

    def answered(self, exchange: Exchange) -> None:
        """The last byte of an answer is on its way: keep the connection, or end it."""
        exchange.wake()
        self.exchange = None
        if not exchange.keep_alive:
            self.close_gently()
            return
        self.deadline = self.loop.time() + self.owner.keep_alive
        if self.parser.waiting or self.ended or self.reading_paused:
            self.advance()

    # --- ending

    def _refuse_request(self, refused: Refused) -> None:
        """A malformed head, or a body that breaks off into nonsense while the application waits for it."""
        exchange = self.exchange
        if exchange is not None:
            self.ended = exchange.complete = True
            exchange.wake()
            if exchange.begun:
                self.abort(by_reset=exchange.ends_with_connection)
                return
        if exchange is None and not self.parser.body_ended:
            self.close_gently()  # nonsense in what is read away: its request was answered
        else:
            self.refuse(refused.status, refused.why)

    @property
    def is_last(self) -> bool:
        """Whether no request can follow the one that is answered now."""
        return self.owner.draining or (self.ended and not self.parser.waiting)

    def refuse(self, status: int, why: str) -> None:
        """Answer in the server's own name; nothing may follow."""
        phrase = STATUS_LINES[status]
        text = phrase.removeprefix(b"HTTP/1.1 ") + why.encode() + b"\n"
        fields = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n" % len(text)
        if self.exchange is not None and self.exchange.is_head:
            text = b""
        self.write(phrase + fields + date_line() + b"\r\n" + text)
        self.exchange = None
        self.close_gently(expecting_more=True)

    def close_gently(self, expecting_more: bool = False) -> None:
        """RFC 9112 §9.6: closing with unread bytes would send a reset, which can overtake the answer."""
        unread = expecting_more or not self.parser.body_ended or self.parser.waiting
        self.lingering = True
        if unread and not self.ended and self.transport.can_write_eof():
            self.transport.write_eof()
            self.read_on()
            self.deadline = self.loop.time() + LINGER
        else:
            self.transport.close()

    def abort(self, by_reset: bool) -> None:
        """End the connection so that nobody takes half a body for a whole one.

        By a reset, where the end of the connection would be the end of the body.
        """
        if by_reset:
            with contextlib.suppress(OSError):
                raw = self.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()
        self.lingering = True

    def look(self, now: float) -> None:
        """Close who is overdue: idle, in a head, silent where a body is waited for, lingering."""
        if self.ended and self.exchange is not None and not self.writing_paused:
            self.gone = self.gone or now - self._wrote_last > HALF_CLOSED
            self.exchange.wake()
        if self.deadline > now or (self.lingering and self.transport.get_write_buffer_size()):
            return
        if self.exchange is not None or self.lingering:
            self.transport.abort()
        elif self._in_head:
            self.refuse(408, "the request's head took too long")
        else:
            self.transport.close()


def address(found: Any, named: bool = False) -> Any:
    """(host, port) of one end of a connection; for a Unix socket its path and None, or None."""
    if isinstance(found, tuple):
        return found[:2]
    return (found, None) if named and found else None


# --- task 5: many connections -------------------------------------------------------------------------


class Server:
    """The connections of one application, on the running loop. `keep_alive` and `time_out` are seconds.

    `state` is what each scope's "state" is a copy of; `upgrade` takes over connections for WebSocket.
    """

    loop: asyncio.AbstractEventLoop
    _context: contextvars.Context  # of the place where serving began

    def __init__(
        self,
        application: Application,
        *,
        state: dict[str, Any] | None = None,
        upgrade: Upgrade | None = None,
        keep_alive: float = 5.0,
        time_out: float = 10.0,
    ) -> None:
        self.application, self.state, self.upgrade = application, state, upgrade
        self.keep_alive, self.time_out = keep_alive, time_out
        self.connections: set[HTTPProtocol] = set()
        self.upgraded: list[tuple[asyncio.Transport, asyncio.Protocol]] = []
        self.draining = False
        self.buffer = memoryview(bytearray(ONE_READ))
        self._tasks: dict[Exchange | asyncio.Protocol, asyncio.Task[None]] = {}
        self._listeners: list[asyncio.Server] = []
        self._ticker: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """How many calls of the application have not returned."""
        return len(self._tasks)

    async def listen(self, sock: socket.socket) -> None:
        """Accept connections on a bound, listening socket; returns at once. Call it for each socket."""
        self.loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        listener = await self.loop.create_server(lambda: HTTPProtocol(self), sock=sock, backlog=BACKLOG)
        self._listeners.append(listener)
        if self._ticker is None:
            self._look()

    def start(self, exchange: Exchange) -> None:
        """Run the application for one request, in a task of its own: what it raises is nobody else's."""
        context = self.fresh_context()
        task = self.loop.create_task(exchange.run(self.application), name="request", context=context)
        self._tasks[exchange] = task  # the loop itself holds tasks weakly

    def ended(self, exchange: Exchange) -> None:
        """The application has returned. (A done callback would be one more call of the loop's, each time.)"""
        self._tasks.pop(exchange, None)

    def took_over(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """A protocol has the connection from here on. Its `task`, if any, is the call of the application."""
        self.upgraded.append((transport, protocol))
        task: asyncio.Task[None] | None = getattr(protocol, "task", None)
        if task is not None:
            self._tasks[protocol] = task
            task.add_done_callback(lambda _: self._tasks.pop(protocol, None))

    def fresh_context(self) -> contextvars.Context:
        """What ContextVars say when a request begins, whatever the requests before it have set.

        PEP 567: a task begins with a copy of the context that it is made in. For a pipelined request that is
        the task of the request before; and so it is after `resume_reading`, whose callbacks keep the context
        of the `receive` that called it.
        """
        return self._context.copy()

    def _look(self) -> None:
        """Every TICK seconds: one look at every connection costs less than a timer for each request."""
        now = self.loop.time()
        for connection in list(self.connections):
            connection.look(now)
        self.upgraded = [pair for pair in self.upgraded if not pair[0].is_closing()]
        self._ticker = self.loop.call_later(TICK, self._look)

    # --- the end

    def stop_accepting(self) -> None:
        """Take no new connections; those that are there go on."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def drain(self, seconds: float | None) -> int:
        """Close idle connections, let requests in flight finish; after `seconds`, None for ever, cancel them.

        Returns how many were cut off. A protocol that took a connection over is asked with its `shutdown()`,
        where it has one.
        """
        self.draining = True
        for connection in list(self.connections):
            if connection.exchange is None and not connection.lingering:
                connection.transport.close()
        for transport, protocol in self.upgraded:
            getattr(protocol, "shutdown", transport.close)()
        cut = 0
        try:
            async with asyncio.timeout(seconds):
                await self._all_gone()
        except TimeoutError:
            cut = await self._cut_off()
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        return cut

    async def _all_gone(self) -> None:
        """Until every task has returned, and every connection has taken its last byte."""
        while self._tasks or self.connections or self.upgraded:
            if self._tasks:
                await asyncio.wait(self._tasks.values(), timeout=TICK)
            else:
                await asyncio.sleep(TICK / 10)
            self.upgraded = [pair for pair in self.upgraded if not pair[0].is_closing()]

    async def _cut_off(self) -> int:
        cut = list(self._tasks.values())
        for task in cut:
            task.cancel()
        if cut:
            await asyncio.wait(cut, timeout=STOP)
        self._tasks.clear()  # who was cancelled before the first step has ended without a word
        transports = [connection.transport for connection in self.connections]
        transports += [transport for transport, _ in self.upgraded]
        unsent = sum(transport.get_write_buffer_size() > 0 for transport in transports)
        for transport in transports:
            transport.abort()
        return len(cut) + unsent


# --- the command line ---------------------------------------------------------------------------------


def load(name: str) -> Application:
    """The application that "module:attribute" names; the current directory is on the path."""
    sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in (attribute or "application").split("."):
        found = getattr(found, part)
    application: Application = found
    return application


async def serve(server: Server, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; then let what is in flight finish, for at most STOP seconds."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await server.listen(listener)
    await stopped.wait()
    server.stop_accepting()
    await server.drain(STOP)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("application", help="module:attribute")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--keep-alive", type=float, default=5.0, help="seconds an idle connection is kept")
    parser.add_argument("--time-out", type=float, default=10.0, help="seconds that a request's head may take")
    options = parser.parse_args()
    application = load(options.application)
    server = Server(application, keep_alive=options.keep_alive, time_out=options.time_out)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.create_server((options.host, options.port), family=family, backlog=BACKLOG) as listener:
        print(f"Listening on http://{options.host}:{listener.getsockname()[1]}", flush=True)
        asyncio.run(serve(server, listener))


if __name__ == "__main__":
    main()
