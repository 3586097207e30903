"""wsproto: its handshake and its Connection."""

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
from wsproto import events
from wsproto.connection import Connection as WSConnection
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.handshake import H11Handshake
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

__all__ = ["MAX_MESSAGE", "Violation"]


def begun(headers):
    handshake = H11Handshake(ConnectionType.SERVER)
    handshake.initiate_upgrade_connection(list(headers), "/")
    return handshake, next(iter(handshake.events()))


def read_handshake(method, http_version, headers):
    try:
        _, request = begun(headers)
    except RemoteProtocolError as error:
        hint = error.event_hint
        raise Refused(hint.status_code if hint else 400, str(error), hint.headers if hint else []) from error
    key = next(value for name, value in headers if name.lower() == b"sec-websocket-key")
    return Offer(key, request.subprotocols, list(headers))


def accept(offer, subprotocol=None, headers=()):
    handshake, _ = begun(offer.headers)
    try:
        return handshake.send(events.AcceptConnection(subprotocol=subprotocol, extra_headers=list(headers)))
    except LocalProtocolError as error:
        raise ValueError(str(error)) from error


STATES = {
    ConnectionState.OPEN: "open",
    ConnectionState.LOCAL_CLOSING: "closing",
    ConnectionState.REMOTE_CLOSING: "open",
    ConnectionState.CLOSED: "closed",
}


class Connection:
    """wsproto leaves the Pong, the answer to a Close, whole messages and a limit to its user."""

    def __init__(self, max_message=MAX_MESSAGE):
        self.one = WSConnection(ConnectionType.SERVER)
        self.parts, self.out, self.over = [], b"", False

    @property
    def state(self):
        return "closed" if self.over else STATES[self.one.state]

    def data_to_send(self):
        data, self.out = self.out, b""
        return data

    def receive(self, data):
        found = []
        if self.over:
            return found
        try:
            self.one.receive_data(data or None)
            for event in self.one.events():
                found += self.event_of(event)
        except RemoteProtocolError as error:
            close = error.event_hint
            self.out += self.one.send(close)
            found.append(Failed(int(close.code), close.reason))
        except LocalProtocolError:
            return found  # it is closed already
        return found

    def event_of(self, event):
        match event:
            case events.Ping():
                self.out += self.one.send(event.response())
                return [Ping(bytes(event.payload))]
            case events.Pong():
                return [Pong(bytes(event.payload))]
            case events.CloseConnection():
                self.over = True
                broken = self.one.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)
                if self.one.state is not ConnectionState.CLOSED:
                    self.out += self.one.send(event.response())
                kind = Failed if broken and event.code != 1006 else Closed
                return [kind(int(event.code), event.reason or "")]
        self.parts.append(event.data)
        if not event.message_finished:
            return []
        parts, self.parts = self.parts, []
        text = isinstance(event, events.TextMessage)
        return [Text("".join(parts)) if text else Binary(b"".join(map(bytes, parts)))]

    def call(self, event):
        try:
            self.out += self.one.send(event)
        except LocalProtocolError as error:
            raise NotOpen(str(error)) from error

    def send_text(self, text):
        self.call(events.TextMessage(text))

    def send_bytes(self, data):
        self.call(events.BytesMessage(data))

    def ping(self, data=b""):
        self.call(events.Ping(data))

    def close(self, code=1000, reason=""):
        self.call(events.CloseConnection(code, reason))


if __name__ == "__main__":
    runpy.run_module("frames_server", run_name="__main__")
