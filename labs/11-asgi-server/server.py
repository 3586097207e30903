"""Lab 11: an ASGI server. Start it as: python server.py module:attribute --host 127.0.0.1 --port 8000

What lab 2 built is in http1_parser.py: `Parser` with `feed`, `next_head`, `next_body`, `body_ended` and
`waiting`; `Head`; `Refused` with `status` and `why`. Everything below is yours: change whatever you like.
"""

import argparse
import asyncio
import importlib
import signal
import socket
import sys
import traceback
from pathlib import Path

from http1_parser import Parser, Refused


def build_scope(head, connection):
    """The scope of a request: a new dict each time (ASGI, "HTTP Connection Scope").

    b"GET /caf%C3%A9?x=%20 HTTP/1.1" has path "/café", raw_path b"/caf%C3%A9" and query_string b"x=%20".
    `head.target` is bytes, `head.headers` is as ASGI has it; connection.client and .server are (host, port).
    """
    # TODO task 1
    raise NotImplementedError("lab 11 task 1: build scope")


class Exchange:
    """One request and its response: the `receive` and `send` of one call of the application."""

    def __init__(self, connection, head):
        self.connection, self.head = connection, head
        self.body, self.body_ended = b"", head.length == 0
        self.complete = False  # the last byte of the response was written
        self.news = asyncio.Event()  # set it when `receive` has to check again

    async def run(self, application):
        """Call the application. What it raises, asyncio.CancelledError too, ends this request alone."""
        try:
            await application(build_scope(self.head, self.connection), self.receive, self.send)
        except Exception:
            # TODO task 5: before the first byte was written, 500; after it, close without ending the body.
            traceback.print_exc()
            self.connection.transport.close()

    def feed(self, data, ended):
        """Take in b"Ad", False, and then b"a", True: a piece of the body, and whether it was the last."""
        self.body, self.body_ended = self.body + data, ended
        self.news.set()

    async def receive(self):
        """{"type": "http.request", "body": b"Ada", "more_body": False}, or {"type": "http.disconnect"}."""
        # TODO task 2: wait for `news`. Task 3: resume reading. Task 4: 100 Continue; http.disconnect.
        raise NotImplementedError("lab 11 task 2: receive")

    async def send(self, message):
        """Write http.response.start (status, headers) and each http.response.body (body, more_body)."""
        # TODO task 2: order, framing, HEAD, 204 and 304. Task 3: return only when the client can take more.
        raise NotImplementedError("lab 11 task 2: send")


class HTTPProtocol(asyncio.Protocol):
    """One connection. The loop calls connection_made once, then data_received with bytes as they come."""

    def __init__(self, server):
        self.owner, self.parser, self.exchange = server, Parser(), None

    def connection_made(self, transport):
        self.transport = transport
        self.client = address(transport.get_extra_info("peername"))
        self.server = address(transport.get_extra_info("sockname"), named=True)

    def data_received(self, data):
        """Feed the parser; begin an exchange for a head, and feed it the body.

        A connection is idle after a response, until the first byte of the next request comes.
        """
        # TODO task 4: one request after the other, in order; timeouts: loop.call_later and --keep-alive.
        self.parser.feed(data)
        try:
            if self.exchange is None:
                head = self.parser.next_head()
                if head is None:
                    return
                self.exchange = Exchange(self, head)
                self.owner.start(self.exchange)
            if not self.parser.body_ended:
                self.exchange.feed(self.parser.next_body(), self.parser.body_ended)
        except Refused as refused:
            # TODO task 4: a response, and a close that does not destroy it.
            raise NotImplementedError("lab 11 task 4: refuse") from refused

    def pause_writing(self):
        """More than 64 KiB wait for the client: `send` must not return before resume_writing is called."""
        # TODO task 3; then the other direction, with transport.pause_reading() and resume_reading().
        raise NotImplementedError("lab 11 task 3: pause writing")

    def connection_lost(self, error):
        """The client has left."""
        # TODO task 4: wake up `receive` and `send`, which may be waiting.


def address(found, named=False):
    """(host, port) of one end of a connection; for a Unix socket its path and None, or None."""
    if isinstance(found, tuple):
        return found[:2]
    return (found, None) if named and found else None


class Server:
    """The connections of one application; `options` are those of `main`."""

    def __init__(self, application, options):
        self.application, self.options = application, options
        self.tasks = set()

    def start(self, exchange):
        """Run the application for one request, in a task of its own; the loop alone would lose it."""
        task = asyncio.get_running_loop().create_task(exchange.run(self.application))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def serve(self, listener):
        """Accept connections until SIGTERM or SIGINT."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        await loop.create_server(lambda: HTTPProtocol(self), sock=listener, backlog=2048)
        await stopped.wait()


def load(name):
    """The application that "module:attribute" names; the current directory is on the path."""
    sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    for part in (attribute or "application").split("."):
        found = getattr(found, part)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("application", help="module:attribute")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--keep-alive", type=float, default=5.0, help="seconds an idle connection is kept")
    parser.add_argument("--time-out", type=float, default=10.0, help="seconds that a request's head may take")
    options = parser.parse_args()
    application = load(options.application)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.create_server((options.host, options.port), family=family, backlog=2048) as listener:
        print(f"Listening on http://{options.host}:{listener.getsockname()[1]}", flush=True)
        asyncio.run(Server(application, options).serve(listener))


if __name__ == "__main__":
    main()
