"""Another shape: one generator reads the stream, and where it stands is the state; masks by tables."""

import base64
import codecs
import hashlib
import runpy
from collections import namedtuple

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

Offer = namedtuple("Offer", "key subprotocols")
Head = namedtuple("Head", "fin opcode length mask size")
Text = namedtuple("Text", "data")
Binary = namedtuple("Binary", "data")
Ping = namedtuple("Ping", "data")
Pong = namedtuple("Pong", "data")
Closed = namedtuple("Closed", "code reason")
Failed = namedtuple("Failed", "code reason")


class Refused(Exception):
    def __init__(self, status, reason, headers=()):
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, list(headers)


class Violation(Exception):
    def __init__(self, code, reason):
        super().__init__(reason)
        self.code, self.reason = code, reason


class NotOpen(Exception):
    pass


# --- the handshake


def read_handshake(method, http_version, headers):
    fields = {}
    for name, value in headers:
        fields.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())

    def words(name):
        joined = ",".join(fields.get(name, []))
        return [word.strip() for word in joined.split(",") if word.strip()]

    def lower(name):
        return {word.lower() for word in words(name)}

    problems = [
        (405, "not a GET", method != "GET"),
        (505, "not HTTP/1.1", http_version != "1.1"),
        (400, "not one Host", len(fields.get("host", [])) != 1),
        (400, "no upgrade", "websocket" not in lower("upgrade") or "upgrade" not in lower("connection")),
        (400, "not one key", len(fields.get("sec-websocket-key", [])) != 1),
    ]
    for status, reason, wrong in problems:
        if wrong:
            raise Refused(status, reason)
    if fields.get("sec-websocket-version") != ["13"]:
        raise Refused(400, "another version", [(b"Sec-WebSocket-Version", b"13")])
    key = fields["sec-websocket-key"][0]
    try:
        raw = base64.b64decode(key, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise Refused(400, "no key")
    return Offer(key, words("sec-websocket-protocol"))


def accept(offer, subprotocol=None, headers=()):
    digest = hashlib.sha1((offer.key + GUID).encode()).digest()
    fields = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    fields.append(("Sec-WebSocket-Accept", base64.b64encode(digest).decode()))
    if subprotocol is not None:
        if subprotocol not in offer.subprotocols:
            raise ValueError(subprotocol)
        fields.append(("Sec-WebSocket-Protocol", subprotocol))
    for name, value in headers:
        if set(name + value) & set(b"\r\n\0"):
            raise ValueError(value)
        if name.lower() in (b"upgrade", b"connection") or name.lower().startswith(b"sec-websocket"):
            raise ValueError(name)
        fields.append((name.decode("latin-1"), value.decode("latin-1")))
    lines = ["HTTP/1.1 101 WebSocket", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")


# --- frames


def violated(condition, reason, code=1002):
    if condition:
        raise Violation(code, reason)


def head_reader():
    """Yields how many bytes it needs, is sent them, and returns a Head."""
    first, second = yield 2
    opcode, length = first & 15, second & 127
    control = opcode >= 8
    violated(first & 0x70, "reserved")
    violated(opcode not in (0, 1, 2, 8, 9, 10), "opcode")
    violated(control and (first < 128 or length > 125), "control frame")
    violated(second < 128, "no mask")
    extra = {126: 2, 127: 8}.get(length, 0)
    if extra:
        length = int.from_bytes((yield extra), "big")
        violated(length < {2: 126, 8: 65536}[extra] or length >= 2**63, "length")
    mask = yield 4
    return Head(first >= 128, opcode, length, bytes(mask), 6 + extra)


def parse_head(data):
    reader, at = head_reader(), 0
    wanted = next(reader)
    while len(data) >= at + wanted:
        piece, at = bytes(data[at : at + wanted]), at + wanted
        try:
            wanted = reader.send(piece)
        except StopIteration as done:
            return done.value
    return None


def apply_mask(data, mask, offset=0):
    size = len(data)
    key = ((mask * 2)[offset % 4 :][:4] * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def encode_frame(opcode, payload, fin=True, mask=None):
    size = len(payload)
    if opcode >= 8 and (size > 125 or not fin):
        raise ValueError("a control frame")
    out = bytearray([opcode + 128 * bool(fin)])
    if size < 126:
        out.append(size)
    elif size < 65536:
        out += b"\x7e" + size.to_bytes(2, "big")
    else:
        out += b"\x7f" + size.to_bytes(8, "big")
    if mask is not None:
        out[1] += 128
        out += mask
        payload = apply_mask(payload, mask)
    return bytes(out + payload)


# --- a connection


def allowed(code):
    return code in (1000, 1001, 1002, 1003) or 1007 <= code <= 1014 or 3000 <= code <= 4999


class Connection:
    def __init__(self, max_message=2**20):
        self.state, self.max_message = "open", max_message
        self.out, self.events, self.buffer = [], [], bytearray()
        self.message = None
        self.stream = self.read()
        next(self.stream)

    def data_to_send(self):
        out, self.out = self.out, []
        return b"".join(out)

    def receive(self, data):
        self.events = []
        if self.state == "closed":
            return []
        if data == b"":
            self.state = "closed"
            return [Closed(1006, "")]
        self.buffer += data
        try:
            self.stream.send(None)
        except Violation as violation:
            if self.state == "open":
                self.out.append(encode_frame(CLOSE, violation.code.to_bytes(2, "big") + b"your fault"))
            self.state = "closed"
            self.events.append(Failed(violation.code, violation.reason))
        except StopIteration:
            self.state = "closed"
        return self.events

    def take(self, size):
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def read(self):
        """The whole stream: yields when it needs more bytes, returns after their Close frame."""
        while True:
            while (head := parse_head(self.buffer)) is None:
                yield
            self.take(head.size)
            if head.opcode >= CLOSE:
                while len(self.buffer) < head.length:
                    yield
                if self.control(head.opcode, apply_mask(self.take(head.length), head.mask)):
                    return
            else:
                yield from self.data_frame(head)

    def data_frame(self, head):
        violated((self.message is None) == (head.opcode == CONTINUATION), "out of turn")
        if self.message is None:
            decoder = codecs.getincrementaldecoder("utf-8")() if head.opcode == TEXT else None
            self.message = [decoder, 0, []]
        decoder, size, parts = self.message
        self.message[1] = size + head.length
        violated(size + head.length > self.max_message, "too big", 1009)
        done = 0
        while done < head.length:
            while not self.buffer:
                yield
            piece = apply_mask(self.take(head.length - done), head.mask, done)
            done += len(piece)
            parts.append(self.decoded(decoder, piece))
        if head.fin:
            parts.append(self.decoded(decoder, b"", True))
            self.message = None
            self.events.append(Text("".join(parts)) if decoder else Binary(b"".join(parts)))

    def decoded(self, decoder, piece, final=False):
        try:
            return piece if decoder is None else decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            raise Violation(1007, str(error)) from None

    def control(self, opcode, payload):
        if opcode == PING:
            self.out.append(encode_frame(PONG, payload))
            self.events.append(Ping(payload))
        elif opcode == PONG:
            self.events.append(Pong(payload))
        else:
            violated(len(payload) == 1, "half a code")
            code = int.from_bytes(payload[:2], "big") if payload else 1005
            violated(payload and not allowed(code), "such a code")
            try:
                reason = payload[2:].decode()
            except UnicodeDecodeError:
                raise Violation(1002, "such a reason") from None
            if self.state == "open":
                self.out.append(encode_frame(CLOSE, payload))
            self.events.append(Closed(code, reason))
        return opcode == CLOSE

    def say(self, opcode, payload):
        if self.state != "open":
            raise NotOpen(self.state)
        self.out.append(encode_frame(opcode, payload))

    def send_text(self, text):
        self.say(TEXT, text.encode())

    def send_bytes(self, data):
        self.say(BINARY, data)

    def ping(self, data=b""):
        self.say(PING, data)

    def close(self, code=1000, reason=""):
        if reason if code is None else not allowed(code):
            raise ValueError(code)
        self.say(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason.encode())
        self.state = "closing"


if __name__ == "__main__":
    runpy.run_module("frames_server", run_name="__main__")
