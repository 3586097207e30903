"""The checks' own HTTP client: a total deadline, a cap on bytes, and every byte kept for the report.

It follows no redirect, decompresses nothing and reads no proxy variables. Parsing is h11's.
A host "unix:/folder" is a sandbox's: its port 8000 is behind /folder/8000.sock (workshop/run/unix_to_tcp.py).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import h11

from workshop.run import unix_to_tcp

Fields = list[tuple[str, str]]
BYTES_CAP = 64 * 1024 * 1024
NOTHING = "the connection closed without an answer"
UNIX = "unix:"
POLL = 0.01  # seconds
SCARCE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}  # what a connection may lack here
# Called with (connection, what, bytes) for whatever happens on any connection: the grader keeps a transcript.
Observer = Callable[["Wire", str, bytes], None]
observers: list[Observer] = []


class WireError(Exception):
    """The other side did not do what HTTP asks of it. `got` says what it did instead, in words."""

    expected = "a whole HTTP response"

    def __init__(self, got: str, partial: bytes = b"") -> None:
        super().__init__(got)
        self.got = got
        self.partial = partial


class NoAnswer(WireError):
    """The connection ended, or could not be made, before a whole answer."""


class Deadline(WireError):
    """Time was over first."""


class NotHTTP(WireError):
    """Bytes came that are no HTTP/1.1 message (RFC 9112)."""


@dataclass
class Response:
    """A response as it crossed the wire: fields in order, names as sent, the body undecoded."""

    status: int
    reason: str
    version: str
    fields: Fields
    body: bytes = b""
    interim: list[int] = field(default_factory=list)
    raw: bytes = b""

    def all(self, name: str) -> list[str]:
        """Every value of a field, in order; names compare without case (RFC 9110 §5.1)."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """A field's values, combined with commas (RFC 9110 §5.3); None when it is absent."""
        values = self.all(name)
        return ", ".join(values) if values else None

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "backslashreplace")

    def json(self) -> Any:
        """The body as JSON. Raises NotHTTP with the body shown when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise NotHTTP(f"a body that is not JSON: {self.text[:200]!r}") from error

    @property
    def line(self) -> str:
        return f"HTTP/{self.version} {self.status} {self.reason}".rstrip()


def spoken(seconds: float) -> str:
    """A span of time for a person: to the second, or to a tenth below two."""
    return f"{seconds:.1f} s" if seconds < 2 else f"{seconds:.0f} s"


class Wire:
    """One TCP connection with a total deadline in seconds, counted from its making."""

    def __init__(self, host: str, port: int, seconds: float, receive_buffer: int | None = None) -> None:
        self.deadline = time.monotonic() + seconds
        self.seconds = seconds
        self.sent = bytearray()
        self.received = bytearray()
        self._read = 0
        self.port = port
        self.used: Callable[[], None] | None = (
            None  # called before each use: the report shows what was used last
        )
        self.bridged = host.startswith(UNIX)
        self.socket = socket.socket(socket.AF_UNIX if self.bridged else socket.AF_INET)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.settimeout(self._left())
            if self.bridged:
                self._cross(host.removeprefix(UNIX), port)
            else:
                self.socket.connect((host, port))
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self.socket.close()
            _see_whose(error)
            self._tell("refused")
            named = "127.0.0.1" if self.bridged else host
            kind = Deadline if self.bridged and isinstance(error, TimeoutError) else NoAnswer
            raise kind(f"no connection to {named}:{port}: {error.strerror or error}") from error
        self._tell("open")

    def _tell(self, what: str, data: bytes = b"") -> None:
        for observer in observers:
            observer(self, what, data)

    def _use(self) -> None:
        if self.used is not None:
            self.used()

    def _cross(self, folder: str, port: int) -> None:
        """Connect through a sandbox's bridge, which says first whether somebody listens behind it.

        Raises TimeoutError where the bridge has no processor: then nobody knows.
        """
        while True:
            try:
                self.socket.connect(f"{folder}/{port}.sock")
                break
            except BlockingIOError:  # a Unix socket does not wait where others wait already
                if time.monotonic() > self.deadline:
                    raise TimeoutError("timed out") from None
                time.sleep(POLL)
        if self.socket.recv(1) != unix_to_tcp.OPEN:
            raise ConnectionRefusedError("Connection refused")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            self._tell("close")
        self.socket.close()

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Deadline(f"no end within {spoken(self.seconds)}", bytes(self.received))
        return left

    def send(self, data: bytes) -> None:
        """Send all of it. Raises NoAnswer when the other side is gone, Deadline when it doesn't take it."""
        self._use()
        self.sent += data
        self._tell(">", data)
        view = memoryview(data)
        while view:
            try:
                self.socket.settimeout(self._left())
                view = view[self.socket.send(view[:65536]) :]
            except TimeoutError as error:
                raise Deadline(f"the other side took no more bytes within {spoken(self.seconds)}") from error
            except OSError as error:
                _see_whose(error)
                raise NoAnswer("the connection was reset while the request was sent") from error

    def send_pieces(self, pieces: Iterable[bytes], pause: float = 0.002) -> None:
        """Send pieces one packet at a time, with a pause that lets each one arrive alone."""
        for piece in pieces:
            self.send(piece)
            time.sleep(pause)

    def half_close(self) -> None:
        """Say that nothing more will be sent; answers can still be read."""
        self._tell("half-close")
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave at once, with a TCP reset."""
        self._tell("reset")
        with contextlib.suppress(OSError):
            if self.bridged:
                self._reset_behind()
            else:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _reset_behind(self) -> None:
        """A Unix socket knows no reset: to the bridge, a descriptor passed along stands for one."""
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            socket.send_fds(self.socket, [unix_to_tcp.RESET], [null])
        finally:
            os.close(null)

    def read(self, size: int = 65536) -> bytes:
        """Bytes as they come; b"" at the end of the stream.

        Raises Deadline when time is over, NoAnswer on a reset.
        """
        self._use()
        try:
            self.socket.settimeout(self._left())
            data = self.socket.recv(size)
        except TimeoutError as error:
            self._tell("nothing came in time")
            raise Deadline(
                f"nothing more came within {spoken(self.seconds)}", bytes(self.received)
            ) from error
        except OSError as error:
            _see_whose(error)
            self._tell("was reset")
            raise NoAnswer("the connection was reset", bytes(self.received)) from error
        self._tell("<" if data else "end", data)
        self.received += data
        if len(self.received) > BYTES_CAP:
            raise WireError(f"more than {BYTES_CAP >> 20} MiB of answer")
        return data

    def read_all(self) -> bytes:
        """Everything up to the end of the stream."""
        while self.read():
            pass
        return bytes(self.received)

    def closed_within(self, seconds: float) -> bool:
        """Whether the other side closes the connection within that time, sending nothing more."""
        self.deadline, before = time.monotonic() + seconds, self.deadline
        try:
            return self.read() == b""
        except NoAnswer:
            return True
        except Deadline:
            return False
        finally:
            self.deadline = before

    def unread(self) -> bytes:
        """What has come after the last whole response."""
        return bytes(self.received[self._read :])

    def response(self, method: str = "GET") -> Response:
        """The next final response on this connection, and the interim ones before it.

        `method` is that of the request it answers: a HEAD's has no content (RFC 9110 §9.3.2).
        Raises NoAnswer, Deadline or NotHTTP, with what did come.
        """
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        parser.receive_data(bytes(self.received[self._read :]) or self._more())
        result: Response | None = None
        body = bytearray()  # thousands of pieces: bytes would be copied for each of them
        interim: list[int] = []
        start = self._read
        while True:
            event = self._next_event(parser)
            if event is h11.NEED_DATA:
                parser.receive_data(self._more(result, len(body)))
            elif isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                result = _response_of(event, interim)
            elif isinstance(event, h11.Data) and result is not None:
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and result is not None:
                result.body = bytes(body)
                self._read = len(self.received) - len(parser.trailing_data[0])
                result.raw = bytes(self.received[start : self._read])
                return result
            else:
                raise NoAnswer(_nothing(bytes(self.received[start:])), bytes(self.received[start:]))

    def ask(self, data: bytes, method: str = "GET") -> Response:
        """One request and its response, which may be there before the other side took all of the request.

        RFC 9112 §9.5: a client that sends a body should look for a response meanwhile. A server that closes
        with some of the body unread resets the connection; what came before the reset is kept.
        Raises as `send` and `response` do.
        """
        try:
            self.send(data)
        except NoAnswer as gone:
            try:
                return self.response(method)
            except NoAnswer as nothing:
                raise (nothing if nothing.partial else gone) from None
        return self.response(method)

    def stream(self, method: str = "GET") -> tuple[Response, Iterator[bytes]]:
        """The next final response's head as soon as it is there, and its body's pieces as they come.

        For an answer that goes on: an event stream, or one that is to be left in the middle. Raises as
        `response` does; so does the iterator, which ends where the body ends.
        """
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        events = self._events(parser)
        interim: list[int] = []
        for event in events:
            if isinstance(event, h11.Response):
                return _response_of(event, interim), _pieces(events)
            interim.append(event.status_code)
        raise NoAnswer(_nothing(bytes(self.received)), bytes(self.received))

    def _events(self, parser: h11.Connection) -> Iterator[Any]:
        """A response's events as its bytes come, up to its end."""
        if self.unread():
            parser.receive_data(self.unread())
        self._read = len(self.received)
        while True:
            event = self._next_event(parser)
            if event is h11.NEED_DATA:
                data = self.read()
                self._read = len(self.received)
                parser.receive_data(data)
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return
            else:
                yield event

    def _more(self, partial: Response | None = None, size: int = 0) -> bytes:
        try:
            data = self.read()
        except Deadline as error:
            if partial is not None:
                error.got = f"{partial.line}, then {size} bytes of body and no end of it"
            raise
        except NoAnswer as error:
            if partial is None and not self.received[self._read :]:
                # A reset or an end: which of them comes is a race between the request and the close.
                raise NoAnswer(NOTHING) from error
            raise
        if not data and partial is None and not self.received[self._read :]:
            raise NoAnswer(NOTHING)
        return data

    def _next_event(self, parser: h11.Connection) -> Any:
        in_head = parser.their_state is h11.SEND_RESPONSE
        try:
            return parser.next_event()
        except h11.RemoteProtocolError as error:
            seen = bytes(self.received[self._read :])
            if "without sending complete" in str(error):
                raise NoAnswer(f"an answer cut short: {error}", seen) from error
            if "peer unexpectedly closed" in str(error):
                raise NoAnswer(_nothing(seen), seen) from error
            # How much of a body has come with a wrong head is chance: the head alone is shown.
            head, end, _ = seen.partition(b"\r\n\r\n")
            shown = head + end if in_head else seen
            raise NotHTTP(f"bytes that are not an HTTP response ({error}): {shown[:120]!r}", seen) from error


def _see_whose(error: OSError) -> None:
    """Raises an error again that the other side has no part in: this machine lacks something."""
    if error.errno in SCARCE:
        raise error


def _pieces(events: Iterator[Any]) -> Iterator[bytes]:
    for event in events:
        if isinstance(event, h11.Data):
            yield bytes(event.data)


def _nothing(seen: bytes) -> str:
    return f"no whole HTTP response before the connection closed: {seen[:120]!r}" if seen else NOTHING


def _response_of(event: h11.Response, interim: list[int]) -> Response:
    return Response(
        status=event.status_code,
        reason=bytes(event.reason).decode("latin-1"),
        version=bytes(event.http_version).decode("ascii"),
        fields=[(k.decode("latin-1"), v.decode("latin-1")) for k, v in event.headers.raw_items()],
        interim=interim,
    )


def request_bytes(
    method: str,
    target: str,
    fields: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    host: str = "localhost",
) -> bytes:
    """A request as text on the wire. Host, and Content-Length for a body, are added when absent."""
    lines = [(name, value) for name, value in fields]
    names = {name.lower() for name, _ in lines}
    if "host" not in names:
        lines.insert(0, ("Host", host))
    if body and not names & {"content-length", "transfer-encoding"}:
        lines.append(("Content-Length", str(len(body))))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
    return head.encode("latin-1") + b"\r\n" + body
