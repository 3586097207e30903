"""RFC 6455 as functions of bytes: the handshake, frames, and a connection without a socket."""

import runpy
from collections.abc import Iterable
from dataclasses import dataclass

Headers = Iterable[tuple[bytes, bytes]]  # as in an ASGI scope: names in any case, repeats kept

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA  # opcodes
MAX_MESSAGE = 1 << 20  # bytes of a message, all fragments together; more: 1009


class Refused(Exception):
    """The request is not a valid handshake: respond with `status` and `headers`; the protocol stays HTTP."""

    def __init__(self, status: int, reason: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers or []


class Violation(Exception):
    """The other end broke a rule; `code` is for our Close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class NotOpen(Exception):
    """Our Close frame was sent, or the connection is closed: nothing more may be sent."""


@dataclass(frozen=True)
class Offer:
    """What a valid handshake asks for."""

    key: bytes  # b"dGhlIHNhbXBsZSBub25jZQ=="
    subprotocols: list[str]  # ["chat.v2", "chat"], the one preferred most comes first


@dataclass(frozen=True)
class Head:
    """The first bytes of a frame; `size` is how many they are, `length` counts the payload after them."""

    fin: bool
    opcode: int
    length: int
    mask: bytes
    size: int


@dataclass(frozen=True)
class Text:
    """A whole text message."""

    data: str


@dataclass(frozen=True)
class Binary:
    """A whole binary message."""

    data: bytes


@dataclass(frozen=True)
class Ping:
    """They sent a Ping; the Pong is in `data_to_send` already."""

    data: bytes


@dataclass(frozen=True)
class Pong:
    """They answered a Ping, or sent a Pong unasked."""

    data: bytes


@dataclass(frozen=True)
class Closed:
    """The last event: their code, 1005 for a Close frame without one, 1006 for no Close frame at all."""

    code: int
    reason: str


@dataclass(frozen=True)
class Failed:
    """The last event: they broke a rule; our Close frame has this code and reason."""

    code: int
    reason: str


Event = Text | Binary | Ping | Pong | Closed | Failed


def read_handshake(method: str, http_version: str, headers: Headers) -> Offer:
    """("GET", "1.1", [(b"upgrade", b"websocket"), …]) → Offer(b"dGhl…", ["chat"]).

    Raises Refused with 400 or 426. See the README's rules.
    """
    # TODO task 1
    raise NotImplementedError("lab 14 task 1: read the handshake")


def accept(offer: Offer, subprotocol: str | None = None, headers: Headers = ()) -> bytes:
    r"""Offer(…) → b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n…\r\n\r\n".

    Raises ValueError for a subprotocol that was not offered, for a header with CR or LF in its name or value,
    and for Upgrade, Connection and Sec-WebSocket-*, which are written here.
    """
    # TODO task 1
    raise NotImplementedError("lab 14 task 1: accept")


def parse_head(data: bytes | bytearray) -> Head | None:
    r"""b"\x81\x83\x01\x02\x03\x04…" → Head(True, TEXT, 3, b"\x01\x02\x03\x04", 6); None: not whole yet.

    Raises Violation(1002, …) for a head that no client may send.
    """
    # TODO task 2
    raise NotImplementedError("lab 14 task 2: parse a head")


def apply_mask(data: bytes | bytearray, mask: bytes, offset: int = 0) -> bytes:
    r"""(b"@fb", b"\x01\x02\x03\x04") → b"Ada"; `offset` bytes of the payload came before `data`."""
    # TODO task 2
    raise NotImplementedError("lab 14 task 2: apply a mask")


def encode_frame(opcode: int, payload: bytes, fin: bool = True, mask: bytes | None = None) -> bytes:
    r"""(TEXT, b"Ada") → b"\x81\x03Ada". Raises ValueError for a forbidden control frame."""
    # TODO task 2
    raise NotImplementedError("lab 14 task 2: write a frame")


class Connection:
    """A server's end, after the handshake. `state` is "open", "closing" (our Close is sent) or "closed"."""

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self.state = "open"
        self.max_message = max_message
        self._to_send = bytearray()
        # TODO task 3: what must you remember between two calls of receive?

    def data_to_send(self) -> bytes:
        """Given: the bytes to send now; each is returned once."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def receive(self, data: bytes) -> list[Event]:
        r"""b"\x81\x83\x01\x02\x03\x04@fb" → [Text("Ada")]; b"" is the end of the stream. Raises nothing."""
        # TODO task 3: messages, fragments, Ping and Pong
        # TODO task 4: Close frames, and the end of the stream
        # TODO task 5: UTF-8 as it arrives, and max_message
        raise NotImplementedError("lab 14 task 3: receive")

    def send_text(self, text: str) -> None:
        """A text message, in one frame. Raises NotOpen unless the state is "open"; so do all below."""
        # TODO task 3
        raise NotImplementedError("lab 14 task 3: send text")

    def send_bytes(self, data: bytes) -> None:
        """A binary message, in one frame."""
        raise NotImplementedError("lab 14 task 3: send bytes")

    def ping(self, data: bytes = b"") -> None:
        """A Ping. Raises ValueError for more than 125 bytes."""
        raise NotImplementedError("lab 14 task 3: ping")

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        r"""(4001, "Ada") → b"\x88\x05\x0f\xa1Ada"; None: no code, no reason. ValueError for a bad code."""
        # TODO task 4
        raise NotImplementedError("lab 14 task 4: close")


if __name__ == "__main__":
    # python frames.py module:attribute --host H --port P: apps/frames_server.py is given
    runpy.run_module("frames_server", run_name="__main__")
