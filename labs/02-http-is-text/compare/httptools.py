"""httptools: llhttp, the parser of Node.js. What comes after the head is a trailer."""

import httptools
from shared_request import Refused, Request, parsed_by, text


class Reader:
    def __init__(self):
        self.parser = httptools.HttpRequestParser(self)
        self.done, self.refused = [], None

    def on_message_begin(self):
        self.target, self.fields, self.trailers, self.body = b"", [], [], b""
        self.in_head = True

    def on_url(self, url):
        self.target += url

    def on_header(self, name, value):
        (self.fields if self.in_head else self.trailers).append((text(name), text(value)))

    def on_headers_complete(self):
        self.in_head = False

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        version = f"HTTP/{self.parser.get_http_version()}"
        head = (text(self.parser.get_method()), text(self.target), version)
        self.done.append(Request(*head, self.fields, self.body, self.trailers))

    def feed(self, data):
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            self.refused = Refused(400, str(error))

    def next_request(self):
        if self.done:
            return self.done.pop(0)
        if self.refused:
            raise self.refused
        return None


def parse_request(data):
    return parsed_by(Reader(), data)
