"""wsproto at the other end of a raw connection."""

from __future__ import annotations

from handshakes import response_head
from wsproto import ConnectionType, WSConnection, events
from wsproto.utilities import RemoteProtocolError

from workshop.judge.checks import WireError, fail, that


class Peer:
    """wsproto at the other end of a raw connection, its handshake done."""

    def __init__(self, link, target="/"):
        self.link, self.client = link, WSConnection(ConnectionType.CLIENT)
        self.waiting = []
        self.say(events.Request(host="localhost", target=target))
        if not isinstance(self.hear(), events.AcceptConnection):
            response_head(link)  # says what came instead

    def say(self, *said):
        self.link.send(b"".join(self.client.send(event) for event in said))

    def hear(self, wanted="an answer to the handshake: 101, or another status"):
        """The next event; None at the end of the stream."""
        try:
            while not self.waiting:
                data = self.link.read()
                self.client.receive_data(data or None)
                self.waiting += self.client.events()
                if not data and not self.waiting:
                    return None
        except RemoteProtocolError as error:
            fail(f"wsproto, as the client: {error}", "frames that a client can read")
        except WireError as error:
            error.expected = wanted
            raise
        return self.waiting.pop(0)

    def message(self):
        """The next whole message, and the Pongs before it."""
        parts, pongs = [], []
        while True:
            event = self.hear("an echo")
            if isinstance(event, events.Pong):
                pongs.append(bytes(event.payload))
            elif isinstance(event, events.Message):
                parts.append(event.data)
                if event.message_finished:
                    return type(parts[0])().join(parts), pongs
            else:
                fail(f"wsproto, as the client, heard {event or 'the end of the stream'}"[:200], "an echo")

    def closing(self, code):
        """Their Close frame, which must have this code, as wsproto has it."""
        event = self.hear(f"a Close frame with {code}")
        good = isinstance(event, events.CloseConnection) and event.code == code
        got = f"wsproto, as the client, heard {event or 'the end of the stream'}"[:200]
        that(good, got, f"a Close frame with {code}")
        return event

    def must_end(self):
        """The server closes TCP: both Close frames are sent."""
        that(self.link.closed_within(3), "the TCP connection stays open", "a close", rule="RFC 6455 §7.1.1")
