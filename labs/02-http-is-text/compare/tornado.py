"""Tornado's HTTP/1 connection, over bytes in the place of a socket."""

import asyncio

from shared_request import Refused, Request
from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import HTTPMessageDelegate
from tornado.iostream import IOStream


class Kept(HTTPMessageDelegate):
    def __init__(self):
        self.head, self.fields, self.body, self.is_whole = None, None, b"", False

    def headers_received(self, start_line, headers):
        self.head, self.fields = start_line, headers

    def data_received(self, chunk):
        self.body += chunk

    def finish(self):
        self.is_whole = True


async def read(data):
    import socket

    ours, theirs = socket.socketpair()
    stream = IOStream(ours)
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    sending = loop.create_task(loop.sock_sendall(theirs, data))
    sending.add_done_callback(lambda _: theirs.shutdown(socket.SHUT_WR))
    kept = Kept()
    parameters = HTTP1ConnectionParameters(max_header_size=32_768, max_body_size=1_048_576)
    connection = HTTP1Connection(stream, False, parameters)
    reading = loop.create_task(connection.read_response(kept))
    await asyncio.wait([reading], timeout=0.5)
    theirs.setblocking(True)
    theirs.settimeout(0.2)
    answer = b""
    if not kept.is_whole:
        try:
            answer = theirs.recv(100)
        except OSError:
            answer = b""
    stream.close()
    reading.cancel()
    sending.cancel()
    theirs.close()
    return kept, answer


def parse_request(data):
    kept, answer = asyncio.run(read(data))
    if not kept.is_whole:
        status = int(answer.split()[1]) if answer.startswith(b"HTTP/") else 400
        raise Refused(status, answer.decode("latin-1"))
    fields = list(kept.fields.get_all())
    return Request(kept.head.method, kept.head.path, kept.head.version, fields, kept.body)
