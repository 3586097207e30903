"""aiohttp's parser of requests: llhttp again, with limits of its own set to the lab's."""

import asyncio

from aiohttp import http_exceptions
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from shared_request import Refused, Request, parsed_by, text

LOOP = asyncio.new_event_loop()


class Reader:
    def __init__(self):
        limits = {"max_line_size": 8_190, "max_field_size": 32_768, "max_headers": 100}
        self.parser = HttpRequestParser(BaseProtocol(LOOP), LOOP, 2**16, **limits)
        self.waiting, self.refused = [], None

    def feed(self, data):
        try:
            if data:
                self.waiting += self.parser.feed_data(data)[0]
            else:
                self.parser.feed_eof()
        except http_exceptions.HttpProcessingError as error:
            self.refused = Refused(error.code, error.message)

    def next_request(self):
        if self.waiting and self.waiting[0][1].is_eof():
            head, payload = self.waiting.pop(0)
            if payload.exception():
                raise Refused(400, str(payload.exception()))
            body = b"".join(getattr(payload, "_buffer", ()))  # none: EmptyStreamReader
            version = f"HTTP/{head.version.major}.{head.version.minor}"
            fields = [(text(name), value.decode("latin-1")) for name, value in head.raw_headers]
            return Request(head.method, head.path, version, fields, body)
        if self.refused:
            raise self.refused
        return None


def parse_request(data):
    return parsed_by(Reader(), data)
