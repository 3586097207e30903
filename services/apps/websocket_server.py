"""An ASGI websocket application over the frames of lab 14: the asyncio side, which is given.

    upgrade(scope, transport, data, application) → the connection's protocol from now on

is what a server calls that has read the head of a handshake: `scope` is the HTTP scope of that request,
`data` what came after its head. The server then does transport.set_protocol(...) with the result. What is
written here is events, tasks, flow control, time limits, and the HTTP responses of who refuses; every byte of
RFC 6455 is `frames`' business.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import frames

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Application = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Any]

# RFC 9110 §5.6.2: a field's name is a token; §5.5: a line break in its value would begin another field
FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [^\x00-\x08\x0a-\x1f\x7f]*")
FRAMING = frozenset([b"connection", b"transfer-encoding", b"keep-alive", b"upgrade"])  # the server's business
PHRASES = {status.value: status.phrase for status in HTTPStatus}
WAITING = 16  # messages that the application has not asked for yet: more, and nothing is read
CLOSE_SECONDS = 10.0  # for the other end's Close frame, and then for the end of its stream


class ClientGone(OSError):
    """What `send` raises when nobody is there any more (ASGI, "Disconnected Client - send exception")."""


def upgrade(
    scope: Scope, transport: asyncio.Transport, data: bytes, application: Application
) -> asyncio.Protocol:
    """Take a connection over. A request that is no good handshake is answered, and the connection closed."""
    protocol = WebSocketProtocol(scope, application)
    protocol.connection_made(transport)
    if data:
        protocol.data_received(data)
    return protocol


class WebSocketProtocol(asyncio.Protocol):
    """One connection: frames on one side, an application with its events on the other."""

    def __init__(self, http_scope: Scope, application: Application) -> None:
        self.http_scope, self.application = http_scope, application
        self.transport: asyncio.Transport
        self.offer: Any = None
        self.connection: Any = None  # from the moment that the application accepts
        self.denial: Denial | None = None  # from the moment that it begins to refuse
        self.ending = False  # nothing more will be read or written
        self.closed_by = ""  # who was first with a Close frame: "application", "server" or "client"
        self._early = bytearray()  # what came before the application accepted
        self._events: deque[Message] = deque([{"type": "websocket.connect"}])
        self._arrived = asyncio.Event()
        self._arrived.set()
        self._writable = asyncio.Event()
        self._writable.set()
        self._over: Message | None = None  # the disconnect event, once there is one
        self._timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None

    # --- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        scope = self.http_scope
        try:
            self.offer = frames.read_handshake(scope["method"], scope["http_version"], scope["headers"])
            subprotocols = list(self.offer.subprotocols)
        except frames.Refused as refused:
            self._answer(refused.status, refused.reason, refused.headers)
        except Exception:
            self._broken()
        else:
            if not transport.is_reading():
                transport.resume_reading()
            self.task = asyncio.get_running_loop().create_task(self._run(subprotocols))

    def data_received(self, data: bytes) -> None:
        if self.ending:
            return
        if self.connection is None:
            self._early += data
            if len(self._early) > 65_536:
                self.transport.pause_reading()
            return
        self._feed(data)

    def eof_received(self) -> None:
        if self.connection is not None and not self.ending:
            self._feed(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        if self.connection is not None and not self.ending:
            self._feed(b"")
        self.ending = True
        if self._timer is not None:
            self._timer.cancel()
        self._disconnect(1006, "")
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- frames

    def _feed(self, data: bytes) -> None:
        try:
            for event in self.connection.receive(data):
                self._take(event)
            self._flush()
        except Exception:
            self._broken()

    def _take(self, event: Any) -> None:
        if isinstance(event, frames.Text):
            self._put({"type": "websocket.receive", "text": event.data})
        elif isinstance(event, frames.Binary):
            self._put({"type": "websocket.receive", "bytes": event.data})
        elif isinstance(event, frames.Closed):
            if event.code != 1006:
                self.closed_by = self.closed_by or "client"
            self._disconnect(event.code, event.reason)
        elif isinstance(event, frames.Failed):
            self.closed_by = self.closed_by or "server"
            # RFC 6455 §7.1.5: no Close frame was received, and that is 1006
            self._disconnect(1006, event.reason)

    def _flush(self) -> None:
        """Send what frames wants sent; close when it says that all is over (§7.1.1: the server does it)."""
        data = self.connection.data_to_send()
        if data and not self.transport.is_closing():
            # A view: asyncio slices off what it could send at once, which of bytes would be a copy
            self.transport.write(memoryview(data))
        if self.connection.state == "closed":
            self._end()
        elif self.connection.state == "closing" and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.transport.abort)

    def _end(self) -> None:
        """End our half, and read on until they end theirs: a reset would overtake our last frame."""
        if self.ending:
            return
        self.ending = True
        if self._timer is not None:
            self._timer.cancel()
        if self.transport.is_closing():
            return
        self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.transport.abort)

    # --- the application's side

    async def _run(self, subprotocols: list[str]) -> None:
        kept = {key: value for key, value in self.http_scope.items() if key != "method"}
        scope = {**kept, "type": "websocket", "subprotocols": subprotocols}
        scope["scheme"] = "wss" if self.http_scope.get("scheme") == "https" else "ws"
        # ASGI, "Extensions": what is in here, an application may use
        scope["extensions"] = {**kept.get("extensions", {}), "websocket.http.response": {}}
        try:
            await self.application(scope, self.receive, self.send)
        except Exception as error:
            # "Disconnected Client": what `send` has raised is no error of the application's, to be logged
            if not is_because_client_left(error):
                traceback.print_exc()
            self._finish(1011)
        else:
            self._finish(1000)

    def _finish(self, code: int) -> None:
        """The application has ended; what it left open is closed."""
        if self.ending:
            return
        if self.connection is not None:
            if self.connection.state == "open":
                self._close(code, "", by="server")
        elif self.denial is not None and self.denial.begun:
            # Half a response must not look like a whole one
            self.ending = True
            self.transport.abort()
        else:
            self._answer(500, "the application ended without an answer")

    async def receive(self) -> Message:
        """The next event; after the disconnect event, that one again."""
        while not self._events:
            if self._over is not None:
                return self._over
            self._arrived.clear()
            await self._arrived.wait()
        message = self._events.popleft()
        if len(self._events) < WAITING and not self.ending and self.connection is not None:
            self.transport.resume_reading()
        return message

    def _put(self, message: Message) -> None:
        self._events.append(message)
        self._arrived.set()
        if len(self._events) >= WAITING:
            self.transport.pause_reading()

    def _disconnect(self, code: int, reason: str) -> None:
        if self._over is None:
            self._over = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self._arrived.set()

    async def send(self, message: Message) -> None:
        """accept, send or close; or a response that refuses, which is the extension websocket.http.response.

        Raises ClientGone after a disconnect, RuntimeError out of turn.
        """
        kind = message["type"]
        if kind == "websocket.close" and self.closed_by in ("client", "server"):
            return  # RFC 6455 §7.1.3: the closing handshake has begun; this is all that a close could do
        if self._over is not None or (self.ending and self.connection is None):
            raise ClientGone("the other end is gone")
        if self.connection is None:
            self._answer_handshake(kind, message)
        elif self.connection.state != "open":
            if self.closed_by == "server":
                raise ClientGone("the server has closed this connection")
            raise RuntimeError(f"{kind} is out of turn: this application has closed the connection")
        elif kind == "websocket.send":
            self._send(message)
        elif kind == "websocket.close":
            self._close(message.get("code", 1000), message.get("reason") or "", by="application")
        else:
            raise RuntimeError(f"{kind} is out of turn: websocket.send and websocket.close are not")
        if kind in ("websocket.send", "websocket.http.response.body"):
            await self._writable.wait()

    def _answer_handshake(self, kind: str, message: Message) -> None:
        if self.denial is not None:
            if kind != "websocket.http.response.body":
                raise RuntimeError(f"{kind} is out of turn: a refusal has begun")
            self._deny(self.denial.body(message.get("body", b""), message.get("more_body", False)))
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._answer(403, "the application refused")
            self._disconnect(1006, "")
        elif kind == "websocket.http.response.start":
            self.denial = Denial(message["status"], message.get("headers") or ())
        else:
            raise RuntimeError(f"{kind} is out of turn: accept, close or refuse first")

    def _deny(self, data: bytes) -> None:
        assert self.denial is not None
        self.transport.write(data)
        if self.denial.complete:
            self._end()
            self._disconnect(1006, "")

    def _accept(self, message: Message) -> None:
        head = frames.accept(self.offer, message.get("subprotocol"), message.get("headers") or [])
        self.connection = frames.Connection()
        self.transport.write(head)
        early, self._early = bytes(self._early), bytearray()
        self.transport.resume_reading()
        if early:
            self._feed(early)

    def _send(self, message: Message) -> None:
        text = message.get("text")
        if text is not None:
            self.connection.send_text(text)
        else:
            self.connection.send_bytes(bytes(message["bytes"]))
        self._flush()

    def _close(self, code: int, reason: str, by: str) -> None:
        try:
            self.connection.close(code, reason)
            self.closed_by = by
            self._flush()
        except ValueError:
            raise
        except Exception:
            self._broken()

    def shutdown(self) -> None:
        """The server goes away (RFC 6455 §7.4.1, IANA 1012): close, or refuse what was not accepted yet."""
        if self.ending:
            return
        if self.connection is None:
            self._answer(503, "the server goes away")
            self._disconnect(1006, "")
        elif self.connection.state == "open":
            self._close(1012, "", by="server")

    # --- answers that are HTTP still

    def _answer(self, status: int, reason: str, headers: Any = ()) -> None:
        """A response instead of the switch; the connection ends with it."""
        body = f"{reason}\n".encode()
        lines = [f"HTTP/1.1 {status} {PHRASES.get(status, '')}".encode()]
        lines += [bytes(name) + b": " + bytes(value) for name, value in headers]
        names = {bytes(name).lower() for name, _ in headers}
        if b"connection" not in names:
            lines.append(b"connection: close")
        lines += [date(), b"content-type: text/plain; charset=utf-8", b"content-length: %d" % len(body)]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self._end()

    def _broken(self) -> None:
        """An exception in `frames`: it is printed, and this connection ends."""
        traceback.print_exc()
        self._disconnect(1006, "")
        if self.connection is None:
            self._answer(500, "frames raised an exception")
        else:
            self.ending = True
            self.transport.abort()


class Denial:
    """An application's refusal as the bytes of an HTTP response; the connection ends with it.

    Raises ValueError for what can't be sent.
    """

    def __init__(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        if not 200 <= status <= 999:
            raise ValueError(f"{status} can't be the status of a refusal")
        self.begun = self.complete = False
        self._bodiless = status in (204, 304)  # RFC 9110 §15.3.5, §15.4.5
        self._left: int | None = None  # bytes that Content-Length still allows
        self._lines = [f"HTTP/1.1 {status} {PHRASES.get(status, '')}".encode(), b"connection: close"]
        names = set()
        for name, value in headers:
            names.add(bytes(name).lower())
            self._add(bytes(name), bytes(value))
        if b"date" not in names:
            self._lines.append(date())

    def _add(self, name: bytes, value: bytes) -> None:
        if not FIELD.fullmatch(name + b": " + value):
            raise ValueError(f"a header that can't be sent: {name!r}: {value!r}")
        if name.lower() == b"content-length":
            if not value.isdigit():
                raise ValueError(f"no Content-Length: {value!r}")
            self._left = int(value)
        elif name.lower() not in FRAMING:
            self._lines.append(name + b": " + value)

    def body(self, data: bytes, more: bool) -> bytes:
        """What goes out for one websocket.http.response.body; the head goes with the first."""
        data = bytes(data)
        out = b"" if self.begun else self._head(None if more else len(data))
        self.begun, self.complete = True, not more
        if self._bodiless:
            return out
        if self._left is None:
            # RFC 9112 §7.1: an empty chunk would be the last one
            chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            return out + chunk + (b"" if more else b"0\r\n\r\n")
        self._left -= len(data)
        if self._left < 0 or (self._left and not more):
            self.complete = False
            raise ValueError(f"the body differs from its Content-Length by {abs(self._left)} bytes")
        return out + data

    def _head(self, length: int | None) -> bytes:
        if self._left is None:
            self._left = length
        if self._left is not None and not self._bodiless:
            self._lines.append(b"content-length: %d" % self._left)
        elif not self._bodiless:
            # RFC 9112 §6.3: a handshake is HTTP/1.1, so its client knows chunks
            self._lines.append(b"transfer-encoding: chunked")
        return b"\r\n".join([*self._lines, b"", b""])


def date() -> bytes:
    """The Date field (RFC 9110 §6.6.1)."""
    return f"date: {formatdate(usegmt=True)}".encode("ascii")


def is_because_client_left(error: BaseException | None) -> bool:
    """Whether it is what `send` raised, or what a framework made of that."""
    while error is not None and not isinstance(error, ClientGone):
        error = error.__context__
    return error is not None
