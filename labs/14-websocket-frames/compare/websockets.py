"""websockets: its ServerProtocol, which has no socket. Messages are put together of its frames, as its own
connections do."""

import runpy

from shared_frames import (
    MAX_MESSAGE,
    Binary,
    Closed,
    Failed,
    NotOpen,
    Offer,
    Ping,
    Pong,
    Refused,
    Text,
    Violation,
)
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState, PayloadTooBig, ProtocolError
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import CLOSED, CLOSING, OPEN
from websockets.server import ServerProtocol

__all__ = ["MAX_MESSAGE", "Violation"]


def request_of(method, version, headers):
    fields = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
    return Request(path="/", headers=fields, method=method, protocol=f"HTTP/{version}")


def read_handshake(method, http_version, headers):
    offered = []
    protocol = ServerProtocol(subprotocols=[], select_subprotocol=lambda _, names: offered.extend(names))
    request = request_of(method, http_version, headers)
    response = protocol.accept(request)
    if response.status_code != 101:
        fields = [
            (name.lower().encode(), value.encode())
            for name, value in response.headers.raw_items()
            if name.lower() in ("upgrade", "sec-websocket-version")
        ]
        raise Refused(response.status_code, response.reason_phrase, fields)
    return Offer(request.headers["Sec-WebSocket-Key"].encode(), offered, list(headers))


def accept(offer, subprotocol=None, headers=()):
    protocol = ServerProtocol(select_subprotocol=lambda *_: subprotocol)
    response = protocol.accept(request_of("GET", "1.1", offer.headers))
    for name, value in headers:
        response.headers[name.decode()] = value.decode()
    return response.serialize()


CODES = {ProtocolError: 1002, UnicodeDecodeError: 1007, PayloadTooBig: 1009}


class Connection:
    def __init__(self, max_message=MAX_MESSAGE):
        self.protocol = ServerProtocol(state=OPEN, max_size=max_message)
        self.parts, self.over = [], False

    @property
    def state(self):
        over = self.over or self.protocol.state is CLOSED
        return "closed" if over else {OPEN: "open", CLOSING: "closing"}[self.protocol.state]

    def data_to_send(self):
        return b"".join(self.protocol.data_to_send())

    def receive(self, data):
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
        found = [one for frame in self.protocol.events_received() for one in self.events_of(frame)]
        failed = self.protocol.parser_exc
        if not self.over and (failed is not None or not data):
            self.over = True
            code = next((code for kind, code in CODES.items() if isinstance(failed, kind)), None)
            found.append(Failed(code, str(failed)) if code else Closed(1006, ""))
        return found

    def events_of(self, frame):
        if frame.opcode == Opcode.PING:
            return [Ping(bytes(frame.data))]
        if frame.opcode == Opcode.PONG:
            return [Pong(bytes(frame.data))]
        if frame.opcode == Opcode.CLOSE:
            self.over = True
            return [Closed(self.protocol.close_rcvd.code, self.protocol.close_rcvd.reason)]
        if frame.opcode != Opcode.CONT:
            self.parts, self.is_text = [], frame.opcode == Opcode.TEXT
        self.parts.append(bytes(frame.data))
        if not frame.fin:
            return []
        whole = b"".join(self.parts)
        if not self.is_text:
            return [Binary(whole)]
        try:
            return [Text(whole.decode())]
        except UnicodeDecodeError as error:
            self.protocol.fail(1007, str(error))
            self.over = True
            return [Failed(1007, str(error))]

    def call(self, function, *words):
        try:
            function(*words)
        except InvalidState as error:
            raise NotOpen(str(error)) from error
        except ProtocolError as error:
            raise ValueError(str(error)) from error

    def send_text(self, text):
        self.call(self.protocol.send_text, text.encode())

    def send_bytes(self, data):
        self.call(self.protocol.send_binary, data)

    def ping(self, data=b""):
        self.call(self.protocol.send_ping, data)

    def close(self, code=1000, reason=""):
        self.call(self.protocol.send_close, code, reason)


if __name__ == "__main__":
    runpy.run_module("frames_server", run_name="__main__")
