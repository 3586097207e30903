"""The checks' own WebSocket client: a handshake and messages over a `Wire`, under the check's deadline.

    with front.websocket("/rooms/tea?name=Ada", subprotocols=["chat.json"]) as ada:
        ada.send("hello")                    # text; bytes go as a binary message
        message = ada.receive()              # str, bytes, or Closed(code, reason)

Frames are made and read by the sans-I/O half of the `websockets` library. It answers pings, and only while
something is awaited here: a member that reads nothing says nothing. No extension is offered.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Response as Handshake
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from workshop.judge.http_wire import Deadline, NoAnswer, NotHTTP, Response, Wire, WireError

MESSAGE_CAP = 16 * 1024 * 1024
ENDING = 0.3  # seconds in which the other side ends a connection, too
ABNORMAL = 1006  # what an end without a close frame is called (RFC 6455 §7.1.5)
NO_CODE = 1005  # and a close frame without a code


@dataclass(frozen=True)
class Closed:
    """How the other side ended: the code and reason of its close frame; 1006 when it sent none."""

    code: int
    reason: str = ""

    def __str__(self) -> str:
        said = f" {self.reason!r}" if self.reason else ""
        return "an end without a close frame (1006)" if self.code == ABNORMAL else f"close {self.code}{said}"


class WebSocket:
    """One client's end of a WebSocket. Raises WireError as `Wire` does; `log` is told what is sent, in words.

    `refused` is the HTTP response instead of a 101, and None when the handshake succeeded; `subprotocol` is
    what the server chose, "" for none; `asked` is the handshake in words.
    """

    def __init__(
        self,
        wire: Wire,
        target: str,
        host: str = "localhost",
        fields: Iterable[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (),
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.wire, self._log = wire, log
        self._protocol = ClientProtocol(
            parse_uri(f"ws://{host}{target}"),
            subprotocols=[Subprotocol(one) for one in subprotocols] or None,
            max_size=MESSAGE_CAP,
        )
        self.asked = ""
        self.refused: Response | None = None
        self.subprotocol = ""
        self._events: list[Any] = []
        self._parts: list[Frame] = []
        try:
            self._handshake(target, list(fields))
        except WireError as error:
            wire.close()
            error.expected = "an answer to the handshake: 101, or another status"
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and not self.has_ended:
            self.wire.half_close()
            self.await_end()
        self.wire.close()

    @property
    def has_ended(self) -> bool:
        """Whether one side has ended it: by a refusal, by a close frame, or without one."""
        is_open = self.refused is None and self._protocol.state is State.OPEN
        return not is_open or self.wire.socket.fileno() < 0

    def await_end(self) -> None:
        """Wait until the other side ends the connection, too; what comes until then can still be received.

        Nobody waits longer than ENDING seconds, nor after a refusal: nginx may keep that connection.
        """
        if self.refused is not None:
            return
        self.wire.deadline, before = min(self.wire.deadline, time.monotonic() + ENDING), self.wire.deadline
        with contextlib.suppress(WireError):
            while self.wire.socket.fileno() >= 0 and self._protocol.state is not State.CLOSED:
                self._read("no end")
        self.wire.deadline = before

    def _handshake(self, target: str, fields: list[tuple[str, str]]) -> None:
        request = self._protocol.connect()
        for name, value in fields:
            request.headers[name] = value
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        said = [
            *(f"{name}: {value}" for name, value in fields),
            *([f"offered: {offered}"] if offered else []),
        ]
        self.asked = f"GET {target} (Upgrade: websocket{''.join(f'; {one}' for one in said)})"
        self._log(self.asked)
        self._protocol.send_request(request)
        self._flush()
        while not self._events:
            self._read("no answer to the WebSocket handshake")
            if self._protocol.handshake_exc is not None and not self._events:  # not in the middle of a 403
                raise NoAnswer("the connection closed without an answer to the handshake")
        answer = self._events.pop(0)
        problem = self._protocol.handshake_exc
        if isinstance(answer, Handshake) and answer.status_code == 101 and problem is None:
            self.subprotocol = self._protocol.subprotocol or ""
            return  # a close may have come with it already: receive says so
        if not isinstance(answer, Handshake) or answer.status_code == 101:
            raise NotHTTP(f"a handshake that is not RFC 6455's: {problem}", bytes(self.wire.received))
        fields = [(name, value) for name, value in answer.headers.raw_items()]
        body = bytes(answer.body or b"")
        self.refused = Response(answer.status_code, answer.reason_phrase, "1.1", fields, body)

    # --- what is sent

    def send(self, message: str | bytes, quiet: bool = False) -> None:
        """One message, in one frame; quiet keeps it out of the report. Raises NoAnswer when the end came."""
        shown = repr(message) if len(message) <= 80 else f"({len(message)} long)"
        self._log("" if quiet else f"message {shown}")
        with self._open():
            if isinstance(message, str):
                self._protocol.send_text(message.encode())
            else:
                self._protocol.send_binary(message)
        self._flush()

    def send_json(self, value: Any, quiet: bool = False) -> None:
        self.send(json.dumps(value), quiet)

    def send_fragments(self, *parts: str) -> None:
        """One text message in several frames."""
        self._log(f"message {''.join(parts)!r} in {len(parts)} frames")
        with self._open():
            self._protocol.send_text(parts[0].encode(), fin=len(parts) == 1)
            for number, part in enumerate(parts[1:], 2):
                self._protocol.send_continuation(part.encode(), fin=number == len(parts))
        self._flush()

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame; None sends one without a code. What comes then can still be received."""
        self._log(f"close {'without a code' if code is None else code}")
        with self._open():
            self._protocol.send_close(code, reason)
        self._flush()

    def vanish(self) -> None:
        """End the TCP connection with a reset, and no word."""
        self._log("(gone, with a TCP reset)")
        self.wire.reset()

    # --- what comes

    def receive(self, seconds: float | None = None) -> str | bytes | Closed:
        """The next whole message, or the end. Raises Deadline when neither comes in time.

        `seconds` is for this one; without it, and at most, it is what is left of the check's time.
        """
        before = self.wire.deadline
        if seconds is not None:
            self.wire.deadline = min(before, time.monotonic() + seconds)
        try:
            return self._receive()
        finally:
            self.wire.deadline = before

    def _receive(self) -> str | bytes | Closed:
        while True:
            while self._events:
                frame = self._events.pop(0)
                if frame.opcode is Opcode.CLOSE:
                    continue  # its code is known when the connection has ended
                if frame.opcode in (Opcode.PING, Opcode.PONG):
                    continue  # a ping was answered by the protocol
                self._parts.append(frame)
                if frame.fin:
                    return self._message()
            if self._protocol.close_rcvd is not None:
                return Closed(self._protocol.close_rcvd.code, self._protocol.close_rcvd.reason)
            if self._protocol.state is State.CLOSED:
                return self._ended()
            self._read("no WebSocket message")

    def _message(self) -> str | bytes:
        parts, self._parts = self._parts, []
        data = b"".join(bytes(part.data) for part in parts)
        return data.decode("utf-8", "backslashreplace") if parts[0].opcode is Opcode.TEXT else data

    def _ended(self) -> Closed:
        problem = self._protocol.parser_exc
        if problem is not None and not isinstance(problem, EOFError):
            raise NotHTTP(f"bytes that are not WebSocket frames: {problem}")
        return Closed(ABNORMAL)

    def _read(self, missing: str) -> None:
        try:
            data = self.wire.read()
        except Deadline as error:
            error.got, error.expected = f"{missing} in time", "a WebSocket that answers"
            raise
        except NoAnswer:
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        self._events += self._protocol.events_received()
        with contextlib.suppress(WireError):  # an end that came first is seen when it is received
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.wire.send(data)

    @contextlib.contextmanager
    def _open(self) -> Any:
        try:
            yield
        except InvalidState:
            raise NoAnswer("the WebSocket had ended when a message was to be sent") from None
