"""http.server, from the standard library: its parse_request, over bytes in the place of a socket.

It reads a head and leaves the body to the handler, which here reads what Content-Length says, as most do.
"""

import io
from http.server import BaseHTTPRequestHandler

from shared_request import Refused, Request


class Handler(BaseHTTPRequestHandler):
    def __init__(self, data):
        self.rfile, self.wfile = io.BytesIO(data), io.BytesIO()
        self.client_address, self.close_connection, self.refused = ("127.0.0.1", 0), True, None

    def send_error(self, code, message=None, explain=None):
        self.refused = self.refused or Refused(int(code), message or "")


def parse_request(data):
    handler = Handler(data)
    handler.raw_requestline = handler.rfile.readline(65_537)
    handler.requestline = handler.request_version = handler.command = ""
    if not handler.parse_request():
        raise handler.refused or Refused(400, "no request")
    length = handler.headers.get("Content-Length", "0")
    body = handler.rfile.read(int(length) if length.isdigit() else 0)
    fields = [(name, value) for name, value in handler.headers.items()]
    return Request(handler.command, handler.path, handler.request_version, fields, body)
