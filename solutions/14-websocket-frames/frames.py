"""RFC 6455 as functions of bytes: the handshake, frames, and a connection that is fed. No socket in it.

Theory of operation
-------------------
A WebSocket begins as an HTTP request. `read_handshake` says whether it is a good one, `accept` writes the
answer, and after that answer's empty line the connection is HTTP no more.

What follows are frames. A frame is a head of 2 to 14 bytes, and a payload. `parse_head` reads a head, or says
that it isn't whole yet; it knows every rule that a head can break. `encode_frame` is the other way.

`Connection` puts the two together. Bytes go in (`receive`), events come out; what must be sent waits in
`data_to_send`. It reads a head, then takes payload as it arrives: a payload is never waited for, so bad UTF-8
is refused at the byte that makes it bad, and a frame that is too long is refused by its head.

A connection ends in one of three ways, each of them with exactly one event, the last one:

    their Close frame came    →  Closed(their code or 1005, reason)     ours has been sent, before or now
    they broke a rule         →  Failed(code, reason)                   our Close frame says the code
    the stream ended          →  Closed(1006, "")                       there was nobody to say anything to

After that `state` is "closed": whoever has the socket sends `data_to_send()`, and closes it. Sections are of
RFC 6455 where nothing else is said. This is a server's end: it expects masks and sends none.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import io
import re
import runpy
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Headers = Iterable[tuple[bytes, bytes]]  # as in an ASGI scope: names in any case, repeats kept

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # §1.3
CONTINUATION, TEXT, BINARY = 0x0, 0x1, 0x2  # §5.2: opcodes of data frames
CLOSE, PING, PONG = 0x8, 0x9, 0xA  # and of control frames
OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
MAX_HEAD = 14  # bytes of a frame's head (§5.2)
MAX_CONTROL = 125  # bytes of a control frame's payload (§5.5)
SMALL = 4096  # bytes of a piece that is not worth an object of its own
MAX_MESSAGE = 1 << 20  # bytes of a message, all fragments together; more: 1009

NORMAL, PROTOCOL_ERROR, NO_CODE, ABNORMAL = 1000, 1002, 1005, 1006  # §7.4.1
BAD_DATA, TOO_BIG = 1007, 1009
# §7.4.1 and IANA's registry: what may be in a Close frame. 1004 has no meaning; 1005, 1006 and 1015 are for
# saying that there was no such frame. 3000 to 4999 are for libraries and applications (§7.4.2)
SENDABLE = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))

# RFC 9110 §5.6.2: token = 1*tchar; §5.5: a value has no CR, LF or NUL
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
OURS = (b"upgrade", b"connection", b"content-length", b"transfer-encoding")


class Refused(Exception):
    """The request is no good handshake: answer `status`, with `headers`; nothing was switched."""

    def __init__(self, status: int, reason: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers or []


class Violation(Exception):
    """The other end broke a rule; `code` is for our Close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class NotOpen(Exception):
    """Our Close frame is sent, or the connection is over: nothing more may be sent."""


@dataclass(frozen=True)
class Offer:
    """What a good handshake asks for."""

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
    """They asked whether we are there; the Pong is in `data_to_send` already."""

    data: bytes


@dataclass(frozen=True)
class Pong:
    """They answered a Ping, or say of themselves that they are there."""

    data: bytes


@dataclass(frozen=True)
class Closed:
    """The end: their code, 1005 for a Close frame without one, 1006 for no Close frame at all."""

    code: int
    reason: str


@dataclass(frozen=True)
class Failed:
    """The end: they broke a rule, and this is what our Close frame says of it."""

    code: int
    reason: str


Event = Text | Binary | Ping | Pong | Closed | Failed


# --- task 1: the handshake --------------------------------------------------------------------------


def read_handshake(method: str, http_version: str, headers: Headers) -> Offer:
    """A request's method ("GET"), version ("1.1") and header fields → what it asks for (§4.2.1).

    Raises Refused with 426 where the request is for something else, and 400 where it is malformed.
    """
    fields = [(name.lower(), value.strip(b" \t")) for name, value in headers]
    # §4.2.1: a GET request, of HTTP/1.1 or higher
    if method != "GET":
        raise Refused(400, f"a handshake is a GET, not {method}")
    if http_version != "1.1":
        raise Refused(400, f"HTTP/{http_version} has no Upgrade")
    if len(values(fields, b"host")) != 1:
        raise Refused(400, "a handshake has one Host")
    # §4.2.1: both names compare without case. RFC 9110 §15.5.22: a 426 says what to upgrade to
    if b"websocket" not in members(fields, b"upgrade") or b"upgrade" not in members(fields, b"connection"):
        upgrade = [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
        raise Refused(426, "this is a WebSocket: ask for an upgrade", upgrade)
    # §4.4: another version is answered with those that we speak
    if values(fields, b"sec-websocket-version") != [b"13"]:
        raise Refused(426, "only version 13 is spoken here", [(b"sec-websocket-version", b"13")])
    return Offer(only_key(fields), offered(fields))


def values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Every value of a field, in order; `name` is in lower case."""
    return [value for key, value in fields if key == name]


def listed(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """The members of a field that is a list: repeated lines are one list (RFC 9110 §5.3)."""
    return [
        one for one in (part.strip(b" \t") for part in b",".join(values(fields, name)).split(b",")) if one
    ]


def members(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [member.lower() for member in listed(fields, name)]


def only_key(fields: list[tuple[bytes, bytes]]) -> bytes:
    """The one Sec-WebSocket-Key. Raises Refused."""
    # §4.2.1: base64 that decodes to 16 bytes; §11.3.1: not more than once
    keys = values(fields, b"sec-websocket-key")
    try:
        lengths = [len(base64.b64decode(key, validate=True)) for key in keys]
    except binascii.Error:
        lengths = []
    if lengths != [16]:
        raise Refused(400, "a handshake has one Sec-WebSocket-Key: 16 bytes, in base64")
    return keys[0]


def offered(fields: list[tuple[bytes, bytes]]) -> list[str]:
    """The subprotocols, in order. Raises Refused."""
    names = listed(fields, b"sec-websocket-protocol")
    # §4.1: tokens, none of them twice
    if not all(TOKEN.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise Refused(400, f"no list of subprotocols: {names!r}")
    return [name.decode("ascii") for name in names]


def accept(offer: Offer, subprotocol: str | None = None, headers: Headers = ()) -> bytes:
    """The 101 that switches: every byte up to its empty line (§4.2.2).

    Raises ValueError for a subprotocol that was not offered, and for headers that are malformed or not the
    application's business.
    """
    # §4.2.2: the SHA-1 of key and GUID proves that a WebSocket server read this very request
    proof = base64.b64encode(hashlib.sha1(offer.key + GUID).digest())
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"upgrade: websocket",
        b"connection: Upgrade",
        b"sec-websocket-accept: " + proof,
    ]
    # §4.2.2: one of those offered, or no field at all. No extension either: none is implemented
    if subprotocol is not None:
        if subprotocol not in offer.subprotocols:
            raise ValueError(f"{subprotocol!r} was not offered: {offer.subprotocols}")
        lines.append(b"sec-websocket-protocol: " + subprotocol.encode("ascii"))
    lines += [checked(name, value) for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def checked(name: bytes, value: bytes) -> bytes:
    """A field line for the 101. Raises ValueError."""
    # RFC 9110 §5.5: a CR or LF would begin a field of somebody else's making
    if not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
        raise ValueError(f"no field: {name!r}: {value!r}")
    if name.lower() in OURS or name.lower().startswith(b"sec-websocket-"):
        raise ValueError(f"{name!r} is written here, not given")
    return name + b": " + value


# --- task 2: frames ---------------------------------------------------------------------------------


def parse_head(data: bytes | bytearray) -> Head | None:
    """The head that `data` begins with (§5.2); None while it isn't whole.

    Raises Violation with code 1002 for a head that no client may send.
    """
    if len(data) < 2:
        return None
    first, second = data[0], data[1]
    opcode, short = first & 0x0F, second & 0x7F
    check_first_bytes(first, second)
    size = 2 + {126: 2, 127: 8}.get(short, 0) + 4
    if len(data) < size:
        return None
    mask = bytes(data[size - 4 : size])
    return Head(bool(first & 0x80), opcode, whole_length(short, bytes(data[2 : size - 4])), mask, size)


def check_first_bytes(first: int, second: int) -> None:
    """What two bytes of a head can have wrong. Raises Violation."""
    opcode = first & 0x0F
    # §5.2: the reserved bits belong to extensions, and none was accepted
    if first & 0x70:
        raise Violation(PROTOCOL_ERROR, "a reserved bit is set")
    if opcode not in OPCODES:
        raise Violation(PROTOCOL_ERROR, f"no such opcode: {opcode:#x}")
    # §5.1: a client masks every frame, a server closes upon one that is not
    if not second & 0x80:
        raise Violation(PROTOCOL_ERROR, "a frame without a mask")
    # §5.5: control frames are never fragments, and are short
    if opcode >= CLOSE and not first & 0x80:
        raise Violation(PROTOCOL_ERROR, "a fragment of a control frame")
    if opcode >= CLOSE and second & 0x7F > MAX_CONTROL:
        raise Violation(PROTOCOL_ERROR, f"a control frame of more than {MAX_CONTROL} bytes")


def whole_length(short: int, extended: bytes) -> int:
    """The length that the 7 bits, and what follows them, say. Raises Violation."""
    if not extended:
        return short
    length = int.from_bytes(extended, "big")
    # §5.2: the fewest bytes that can say it; the most significant bit of eight is 0
    if length < (126 if short == 126 else 1 << 16):
        raise Violation(PROTOCOL_ERROR, f"{len(extended)} bytes to say a length of {length}")
    if length >> 63:
        raise Violation(PROTOCOL_ERROR, "the first bit of a length is set")
    return length


# XOR[key][byte] is byte ^ key: tables for `translate`, which looks up every byte of its object in C
XOR = [bytes(byte ^ key for byte in range(256)) for key in range(256)]


def apply_mask(data: bytes | bytearray, mask: bytes, offset: int = 0) -> bytes:
    """XOR with the mask (§5.3), to mask and to unmask; `offset` bytes of the payload came before `data`."""
    return bytes(masked(data, mask, offset))


def masked(data: bytes | bytearray | memoryview, mask: bytes, offset: int) -> bytearray:
    """What `apply_mask` gives, in a copy that may be changed."""
    out = bytearray(data)
    # j = i MOD 4, for the whole payload: a later piece begins where the mask stood. Every fourth byte has the
    # same key: four steps for the lot. A loop over the bytes takes a hundred times as long
    for at in range(min(4, len(out))):
        out[at::4] = out[at::4].translate(XOR[mask[(at + offset) % 4]])
    return out


def encode_frame(opcode: int, payload: bytes, fin: bool = True, mask: bytes | None = None) -> bytes:
    """One frame, ready to be sent (§5.2); masked when there is a mask.

    Raises ValueError for a control frame that is a fragment, or of more than 125 bytes.
    """
    if opcode not in OPCODES:
        raise ValueError(f"no such opcode: {opcode:#x}")
    if opcode >= CLOSE and (len(payload) > MAX_CONTROL or not fin):
        raise ValueError(f"a control frame is whole, and of {MAX_CONTROL} bytes at most")
    first, masked = fin << 7 | opcode, (mask is not None) << 7
    # §5.2: 7 bits, 7 + 16 or 7 + 64, in network byte order, and never more than needed
    if len(payload) < 126:
        head = struct.pack("!BB", first, masked | len(payload))
    elif len(payload) < 1 << 16:
        head = struct.pack("!BBH", first, masked | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, masked | 127, len(payload))
    return head + payload if mask is None else head + mask + apply_mask(payload, mask)


# --- tasks 3 to 5: a connection ---------------------------------------------------------------------


class TextMessage:
    """A text message while its pieces come. What is bad UTF-8 is known at the first byte that makes it so."""

    def __init__(self) -> None:
        self.size = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = io.StringIO()

    def add(self, piece: bytes | bytearray, final: bool = False) -> None:
        """Take the next bytes. Raises Violation with code 1007."""
        # §8.1: UTF-8 over the whole message: a character may begin in one fragment and end in the next
        try:
            self._text.write(self._decoder.decode(piece, final))
        except UnicodeDecodeError as error:
            raise Violation(BAD_DATA, f"no UTF-8: {error.reason}") from None
        # RFC 3629 §4: ED is followed by 80 to 9F. Python's decoder waits for a third byte before it minds
        pending = self._decoder.getstate()[0]
        if pending[:1] == b"\xed" and pending[1:2] >= b"\xa0":
            raise Violation(BAD_DATA, "no UTF-8: half of a surrogate pair")

    def event(self) -> Event:
        self.add(b"", final=True)
        return Text(self._text.getvalue())


class BinaryMessage:
    """A binary message while its pieces come."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytearray] = []

    def add(self, piece: bytearray) -> None:
        # Large pieces are copied once, at the end. Many small ones would be an object for a byte or two each
        if self._pieces and len(piece) < SMALL:
            self._pieces[-1] += piece
        else:
            self._pieces.append(piece)

    def event(self) -> Event:
        return Binary(b"".join(self._pieces))


class Connection:
    """A server's end, after the handshake. `state` is "open", "closing" (our Close is sent) or "closed"."""

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self.state = "open"
        self.max_message = max_message
        self._to_send: list[bytes] = []
        # What came last, and how much of it is used; between two calls no more than a head that isn't whole
        self._buffer, self._at = b"", 0
        # The frame whose payload is arriving: its head, and how much of it has come
        self._head: Head | None = None
        self._arrived = 0
        self._control = bytearray()
        # The message whose fragments are arriving
        self._message: TextMessage | BinaryMessage | None = None

    def data_to_send(self) -> bytes:
        """What must be sent now; it is handed out once."""
        data = b"".join(self._to_send)
        self._to_send.clear()
        return data

    # --- what comes

    def receive(self, data: bytes) -> list[Event]:
        """What these bytes bring about, in order; b"" is the end of the stream."""
        # §1.4: after their Close frame, whatever comes is discarded; §7.1.7: so it is after a failure
        if self.state == "closed":
            return []
        if not data:
            self.state = "closed"
            # §7.1.5: no Close frame was received
            return [Closed(ABNORMAL, "")]
        self._buffer, self._at = self._buffer + data, 0
        events: list[Event] = []
        try:
            for event in self._events():
                events.append(event)
        except Violation as violation:
            events.append(self._fail(violation))
        self._buffer = self._buffer[self._at :]
        return events

    def _events(self) -> Iterator[Event]:
        """Take what the buffer has, frame by frame, and the last one as far as it has come."""
        while self.state != "closed":
            if self._head is None and not self._begin_frame():
                return
            head, piece = self._take_payload()
            if head.opcode >= CLOSE:
                self._control += piece
            elif self._message is not None:
                self._message.add(piece)
            if self._arrived < head.length:
                return
            self._head = None
            if head.opcode >= CLOSE:
                yield self._control_frame(head.opcode, bytes(self._control))
            elif head.fin and self._message is not None:
                message, self._message = self._message, None
                yield message.event()

    def _begin_frame(self) -> bool:
        """Read a head, when it is whole, and see what it may do here. Raises Violation."""
        head = parse_head(self._buffer[self._at : self._at + MAX_HEAD])
        if head is None:
            return False
        self._at += head.size
        self._head, self._arrived = head, 0
        if head.opcode >= CLOSE:
            # §5.4: control frames may come between the fragments of a message
            self._control.clear()
            return True
        # §5.4: a message is a TEXT or BINARY frame, then CONTINUATION frames up to one with FIN
        if (head.opcode == CONTINUATION) != (self._message is not None):
            wrong = "a new message within a message" if self._message else "a continuation of nothing"
            raise Violation(PROTOCOL_ERROR, wrong)
        if self._message is None:
            self._message = TextMessage() if head.opcode == TEXT else BinaryMessage()
        # §10.4: a limit after reassembly, too; and the head says it before the first byte has come
        self._message.size += head.length
        if self._message.size > self.max_message:
            raise Violation(TOO_BIG, f"a message of more than {self.max_message} bytes")
        return True

    def _take_payload(self) -> tuple[Head, bytearray]:
        """The frame that is arriving, and the next piece of its payload, unmasked."""
        assert self._head is not None
        size = min(len(self._buffer) - self._at, self._head.length - self._arrived)
        piece = masked(memoryview(self._buffer)[self._at : self._at + size], self._head.mask, self._arrived)
        self._at += size
        self._arrived += size
        return self._head, piece

    def _control_frame(self, opcode: int, payload: bytes) -> Event:
        if opcode == PONG:
            # §5.5.3: nobody must have asked for it
            return Pong(payload)
        if opcode == PING:
            # §5.5.2: a Pong with the same data, as long as their Close frame has not come
            self._to_send.append(encode_frame(PONG, payload))
            return Ping(payload)
        return self._their_close(payload)

    # --- how it ends

    def _their_close(self, payload: bytes) -> Event:
        code, reason = read_close(payload)
        if self.state == "open":
            # §5.5.1: the answer is a Close frame with the same code
            self._to_send.append(encode_frame(CLOSE, payload[:2]))
        # §7.1.1: both have sent one: the server closes the TCP connection
        self.state = "closed"
        return Closed(code, reason)

    def _fail(self, violation: Violation) -> Event:
        """§7.1.7: say why, unless our Close frame is sent already, and read nothing more."""
        if self.state == "open":
            payload = struct.pack("!H", violation.code) + violation.reason.encode()
            self._to_send.append(encode_frame(CLOSE, payload))
        self.state = "closed"
        return Failed(violation.code, violation.reason)

    def close(self, code: int | None = NORMAL, reason: str = "") -> None:
        """Begin to close (§7.1.2): no more data is sent, and their Close frame is waited for.

        Raises ValueError for a code or a reason that can't be in a Close frame, NotOpen the second time.
        """
        if code is None and reason:
            raise ValueError("a reason needs a code before it")
        # §7.4: 1005, 1006 and 1015 are never on the wire
        if code is not None and code not in SENDABLE:
            raise ValueError(f"{code} can't be in a Close frame")
        payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
        self._send(CLOSE, payload)
        self.state = "closing"

    # --- what is sent

    def send_text(self, text: str) -> None:
        """A text message. Raises NotOpen, and ValueError for half of a surrogate pair."""
        self._send(TEXT, text.encode())

    def send_bytes(self, data: bytes) -> None:
        """A binary message. Raises NotOpen."""
        self._send(BINARY, data)

    def ping(self, data: bytes = b"") -> None:
        """Ask whether they are there. Raises NotOpen, and ValueError for more than 125 bytes."""
        self._send(PING, data)

    def _send(self, opcode: int, payload: bytes) -> None:
        # §5.5.1: after a Close frame nothing is sent
        if self.state != "open":
            raise NotOpen(f"the connection is {self.state}")
        self._to_send.append(encode_frame(opcode, payload))


def read_close(payload: bytes) -> tuple[int, str]:
    """A Close frame's code and reason; 1005 when it has none. Raises Violation."""
    # §7.1.5: no code is 1005
    if not payload:
        return NO_CODE, ""
    # §5.5.1: if there is a body, it begins with two bytes of code
    if len(payload) == 1:
        raise Violation(PROTOCOL_ERROR, "half of a close code")
    code = int.from_bytes(payload[:2], "big")
    if code not in SENDABLE:
        raise Violation(PROTOCOL_ERROR, f"{code} can't be in a Close frame")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError as error:
        raise Violation(BAD_DATA, f"a reason that is no UTF-8: {error.reason}") from None


if __name__ == "__main__":
    # python frames.py module:attribute --host H --port P: apps/frames_server.py is given
    runpy.run_module("frames_server", run_name="__main__")
