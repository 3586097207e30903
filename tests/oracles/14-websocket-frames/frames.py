"""The oracle: websockets reads the handshake, wsproto reads and writes the frames.

What both leave to others is added: Host and the version's answer for the handshake; limits, the state and the
Pong for the connection.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterable
from dataclasses import dataclass

from websockets.datastructures import Headers as HeaderMap
from websockets.http11 import Request
from websockets.server import ServerProtocol
from wsproto.frame_protocol import (
    CloseReason,
    FrameDecoder,
    FrameProtocol,
    Opcode,
    ParseFailed,
    XorMaskerSimple,
)

Headers = Iterable[tuple[bytes, bytes]]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MAX_MESSAGE = 1 << 20


class Refused(Exception):
    def __init__(self, status: int, reason: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers or []


class Violation(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class NotOpen(Exception):
    pass


@dataclass(frozen=True)
class Offer:
    key: bytes
    subprotocols: list[str]
    headers: list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Head:
    fin: bool
    opcode: int
    length: int
    mask: bytes
    size: int


@dataclass(frozen=True)
class Text:
    data: str


@dataclass(frozen=True)
class Binary:
    data: bytes


@dataclass(frozen=True)
class Ping:
    data: bytes


@dataclass(frozen=True)
class Pong:
    data: bytes


@dataclass(frozen=True)
class Closed:
    code: int
    reason: str


@dataclass(frozen=True)
class Failed:
    code: int
    reason: str


Event = Text | Binary | Ping | Pong | Closed | Failed


def request_of(method: str, http_version: str, headers: Headers) -> Request:
    """The request as websockets has it."""
    fields = HeaderMap([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
    return Request(path="/", headers=fields, method=method, protocol=f"HTTP/{http_version}")


def read_handshake(method: str, http_version: str, headers: Headers) -> Offer:
    fields = list(headers)
    request = request_of(method, http_version, fields)
    if len(request.headers.get_all("Host")) != 1:
        raise Refused(400, "one Host, please")
    offered: list[str] = []

    def select(_: ServerProtocol, subprotocols: list[str]) -> None:
        offered.extend(subprotocols)

    response = ServerProtocol(subprotocols=[], select_subprotocol=select).accept(request)  # type: ignore
    if response.status_code != 101:
        answer = [(b"sec-websocket-version", b"13")] if response.status_code == 400 else []
        raise Refused(response.status_code, response.reason_phrase, answer)
    return Offer(request.headers["Sec-WebSocket-Key"].encode(), offered, fields)


def accept(offer: Offer, subprotocol: str | None = None, headers: Headers = ()) -> bytes:
    if subprotocol is not None and subprotocol not in offer.subprotocols:
        raise ValueError(subprotocol)
    protocol = ServerProtocol(select_subprotocol=lambda *_: subprotocol)  # type: ignore
    response = protocol.accept(request_of("GET", "1.1", offer.headers))
    for name, value in headers:
        if re.search(rb"[\r\n]", name + value):
            raise ValueError(value)
        if name.lower() in (b"upgrade", b"connection") or name.lower().startswith(b"sec-websocket-"):
            raise ValueError(name)
        response.headers[name.decode()] = value.decode()
    data: bytes = response.serialize()
    return data


def parse_head(data: bytes | bytearray) -> Head | None:
    decoder = FrameDecoder(client=False)
    decoder.receive_bytes(data)
    try:
        if not decoder.parse_header():
            return None
    except ParseFailed as error:
        raise Violation(int(error.code), str(error)) from None
    assert decoder.header is not None
    size = len(data) - len(decoder.buffer)
    header = decoder.header
    return Head(header.fin, int(header.opcode), header.payload_len, bytes(data[size - 4 : size]), size)


def apply_mask(data: bytes | bytearray, mask: bytes, offset: int = 0) -> bytes:
    masker = XorMaskerSimple(mask)
    masker.process(bytearray(offset))
    return bytes(masker.process(bytearray(data)))


def encode_frame(opcode: int, payload: bytes, fin: bool = True, mask: bytes | None = None) -> bytes:
    if opcode >= CLOSE and not fin:
        raise ValueError("control frames are whole")
    frame = bytes(FrameProtocol(client=False, extensions=[])._serialize_frame(Opcode(opcode), payload, fin))
    if mask is None:
        return frame
    head = bytearray(frame[: len(frame) - len(payload)])
    head[1] |= 0x80
    return bytes(head) + mask + apply_mask(payload, mask)


class Connection:
    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self.state = "open"
        self.max_message = max_message
        self._protocol = FrameProtocol(client=False, extensions=[])
        self._to_send = bytearray()
        self._parts: list[str | bytes] = []
        self._before = 0  # bytes of the fragments before this one
        self._head: object = None

    def data_to_send(self) -> bytes:
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def receive(self, data: bytes) -> list[Event]:
        if self.state == "closed":
            return []
        if not data:
            self.state = "closed"
            return [Closed(1006, "")]
        self._protocol.receive_bytes(data)
        found: list[Event] = []
        try:
            for frame in self._protocol.received_frames():
                self._take(frame, found)
                if self.state == "closed":
                    return found
                self._measure()
            self._measure()
        except ParseFailed as error:
            self._fail(int(error.code), str(error), found)
        return found

    def _measure(self) -> None:
        """wsproto has no limit: look at the head that it has read."""
        header = self._protocol._frame_decoder.header
        data = header is not None and header.opcode < CLOSE
        if data and self._before + header.payload_len > self.max_message:
            raise ParseFailed("too big", CloseReason.MESSAGE_TOO_BIG)

    def _take(self, frame, found: list[Event]) -> None:  # type: ignore[no-untyped-def]
        if frame.opcode is Opcode.PING:
            self._to_send += self._protocol.pong(frame.payload)
            found.append(Ping(bytes(frame.payload)))
        elif frame.opcode is Opcode.PONG:
            found.append(Pong(bytes(frame.payload)))
        elif frame.opcode is Opcode.CLOSE:
            code, reason = frame.payload
            if self.state == "open":
                self._to_send += self._protocol.close(code)
            self.state = "closed"
            found.append(Closed(int(code), reason))
        else:
            self._parts.append(frame.payload)
            if frame.frame_finished:
                self._before = sum(len(p.encode() if isinstance(p, str) else p) for p in self._parts)
            if self._before > self.max_message:
                raise ParseFailed("too big", CloseReason.MESSAGE_TOO_BIG)
            if frame.message_finished:
                parts, self._parts, self._before = self._parts, [], 0
                text = frame.opcode is Opcode.TEXT
                found.append(Text("".join(parts)) if text else Binary(b"".join(parts)))  # type: ignore

    def _fail(self, code: int, reason: str, found: list[Event]) -> None:
        if self.state == "open":
            self._to_send += self._protocol.close(code, reason)
        self.state = "closed"
        found.append(Failed(code, reason))

    def _check_open(self) -> None:
        if self.state != "open":
            raise NotOpen(self.state)

    def send_text(self, text: str) -> None:
        self._check_open()
        self._to_send += self._protocol.send_data(text)

    def send_bytes(self, data: bytes) -> None:
        self._check_open()
        self._to_send += self._protocol.send_data(data)

    def ping(self, data: bytes = b"") -> None:
        self._check_open()
        self._to_send += self._protocol.ping(data)

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        self._check_open()
        if code is None and reason:
            raise ValueError("a reason without a code")
        if code is not None:
            # wsproto judges what it hears more strictly than what it says: let it hear this first
            heard = FrameProtocol(client=True, extensions=[])
            heard.receive_bytes(encode_frame(CLOSE, code.to_bytes(2, "big") + reason.encode()))
            try:
                list(heard.received_frames())
            except ParseFailed as error:
                raise ValueError(str(error)) from None
        self._to_send += self._protocol.close(code, reason or None)
        self.state = "closing"


if __name__ == "__main__":
    runpy.run_module("frames_server", run_name="__main__")
