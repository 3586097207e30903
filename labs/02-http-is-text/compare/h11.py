"""h11 as a parser, with its limit on a head set to the lab's."""

import h11
from shared_request import Refused, Request, parsed_by, text


class Reader:
    """h11 pauses after each request until it is answered: a new connection takes what follows."""

    def __init__(self):
        self.refused, self.ended = None, False
        self.begin(b"")

    def begin(self, data):
        self.h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=32_768)
        self.head, self.body = None, b""
        if data:
            self.h11.receive_data(data)

    def feed(self, data):
        self.h11.receive_data(data)

    def next_request(self):
        if self.refused:
            raise self.refused
        try:
            return self.next()
        except h11.RemoteProtocolError as error:
            self.refused = Refused(error.error_status_hint, str(error))
        raise self.refused

    def next(self):
        while True:
            event = self.h11.next_event()
            match event:
                case h11.Request():
                    self.head = event
                case h11.Data():
                    self.body += event.data
                case h11.EndOfMessage():
                    return self.whole(event)
                case _:
                    return None

    def whole(self, end):
        head, body = self.head, self.body
        self.begin(self.h11.trailing_data[0])
        fields = [(text(name), text(value)) for name, value in head.headers]
        trailers = [(text(name), text(value)) for name, value in end.headers]
        version = f"HTTP/{text(head.http_version)}"
        return Request(text(head.method), text(head.target), version, fields, body, trailers)


def parse_request(data):
    return parsed_by(Reader(), data)
