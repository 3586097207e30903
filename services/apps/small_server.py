"""A small ASGI server: one request a connection, HTTP/1.1, no keep-alive. It knows nothing of lifespan.

Who runs it decides what comes before the first request and after the last one:

    server = Server(application)
    await server.listen(sock)               from here on connections are accepted
    server.stop_accepting()                 from here on they are not
    cut_off = await server.drain(10.0)      until those that were accepted are through, or time is over

`main(run)` is the command line of such a program: it imports the application, binds the socket, turns SIGTERM
and SIGINT into an asyncio.Event, and ends the process with the code that `run` returns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
Run = Callable[[Application, socket.socket, asyncio.Event, float | None], Awaitable[int]]

HEAD_SECONDS = 2.0  # for a head to be complete
HANDED_OVER = 5  # turns of the loop from accept(2) to `_connected`
NOT_HTTP = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Server:
    """Accepts connections from a socket, and calls the application once for each."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._listener: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """How many connections were accepted and are not through yet."""
        return len(self._running)

    async def listen(self, sock: socket.socket) -> None:
        """Accept connections on a bound socket; returns when it listens."""
        self._listener = await asyncio.start_server(self._connected, sock=sock)

    def stop_accepting(self) -> None:
        """Close the socket. Requests in flight go on."""
        if self._listener is not None:
            self._listener.close()

    async def drain(self, seconds: float | None = None) -> int:
        """Wait until no request is in flight; after `seconds` (None: never) cancel those that are left.

        Returns how many were cut off.
        """
        # A connection that was accepted a moment ago is handed over some turns of the loop later.
        for _ in range(HANDED_OVER):
            await asyncio.sleep(0)
        if not self._running:
            return 0
        _, late = await asyncio.wait(self._running, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
        return len(late)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            await Exchange(scope_of(head), reader, writer).run(self._application)
        except (ValueError, asyncio.LimitOverrunError):
            writer.write(NOT_HTTP)
        except (OSError, EOFError, TimeoutError):
            pass  # the client left, or never said anything
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def scope_of(head: bytes) -> dict[str, Any]:
    """The scope of a request's head (ASGI www, "HTTP Connection Scope"). Raises ValueError for no HTTP."""
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, version = first.split(" ")
    fields = [line.split(":", 1) for line in lines]
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": version.removeprefix("HTTP/"),
        "method": method.upper(),
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(n.lower().encode("latin-1"), v.strip().encode("latin-1")) for n, v in fields],
        "client": None,
        "server": None,
    }


class Exchange:
    """One request and its response: the application's receive and send."""

    def __init__(
        self, scope: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.scope, self.reader, self.writer = scope, reader, writer
        self.left = int(dict(scope["headers"]).get(b"content-length", b"0"))
        self.asked = self.started = self.complete = False

    async def run(self, application: Application) -> None:
        """Call the application; when it raises before a response has begun, answer 500."""
        try:
            await application(self.scope, self.receive, self.send)
        except Exception:
            traceback.print_exc()
            if not self.started:
                await self.send({"type": "http.response.start", "status": 500})
                await self.send({"type": "http.response.body", "body": b"Internal Server Error\n"})

    async def receive(self) -> Event:
        """http.request, a piece at a time; then, when the client has left, http.disconnect."""
        if self.left or not self.asked:
            self.asked = True
            data = await self.reader.read(min(self.left, 1 << 16)) if self.left else b""
            if data or not self.left:
                self.left -= len(data)
                return {"type": "http.request", "body": data, "more_body": self.left > 0}
        while not self.complete and await self.reader.read(1 << 16):
            pass
        return {"type": "http.disconnect"}

    async def send(self, message: Event) -> None:
        """http.response.start is written at once, with Connection: close; the body ends with it."""
        if message["type"] == "http.response.start":
            self.started = True
            status = HTTPStatus(message["status"])
            fields = [*message.get("headers", []), (b"connection", b"close")]
            lines = [
                f"HTTP/1.1 {status.value} {status.phrase}".encode(),
                *(b"%b: %b" % (n, v) for n, v in fields),
            ]
            self.writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        elif self.scope["method"] != "HEAD":
            self.writer.write(message.get("body", b""))
        self.complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self.writer.drain()


# --- the command line -------------------------------------------------------------------------------


def imported(text: str) -> Application:
    """The application that "module:attribute" names."""
    module, _, attribute = text.partition(":")
    found: Application = getattr(importlib.import_module(module), attribute)
    return found


def bound(host: str, port: int) -> socket.socket:
    """A socket with an address, that does not listen yet: to connect is refused."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock


def main(run: Run) -> int:
    """python lifespan.py module:attribute --host H --port P [--grace SECONDS]; or --fd N."""
    parser = argparse.ArgumentParser()
    parser.add_argument("application", help="module:attribute")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--fd", type=int, help="a socket that somebody else has bound")
    parser.add_argument("--grace", type=float, default=None, help="seconds for requests in flight at the end")
    options = parser.parse_args()
    application = imported(options.application)
    sock = bound(options.host, options.port) if options.fd is None else socket.socket(fileno=options.fd)
    return asyncio.run(_until_told(run, application, sock, options.grace))


async def _until_told(run: Run, application: Application, sock: socket.socket, grace: float | None) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return await run(application, sock, stop, grace)


if __name__ == "__main__":
    sys.exit("lab 12's lifespan.py runs this server: python lifespan.py module:attribute")
