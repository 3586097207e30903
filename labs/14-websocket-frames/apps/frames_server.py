"""The small server of lab 14: it reads one head a connection, and hands the rest to websocket_server.

    python -m frames_server module:attribute --host 127.0.0.1 --port 8000

Lab 11 is how to read HTTP. Here nothing is parsed twice and only the grossest of nonsense is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import re
import signal
from typing import Any
from urllib.parse import unquote

import websocket_server

MAX_HEAD = 32_768
REQUEST_LINE = re.compile(rb"([A-Z]+) ([\x21-\x7e]+) HTTP/(1\.[01])")
FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")


class Reception(asyncio.Protocol):
    """Reads up to the empty line; what follows is a WebSocket, or an answer that it is none."""

    def __init__(self, application: websocket_server.Application) -> None:
        self.application = application
        self.transport: asyncio.Transport
        self.head = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.head += data
        head, end, rest = bytes(self.head).partition(b"\r\n\r\n")
        if end:
            scope = http_scope(head, self.transport)
            if scope is None:
                self._refuse(b"400 Bad Request")
                return
            protocol = websocket_server.upgrade(scope, self.transport, rest, self.application)
            self.transport.set_protocol(protocol)
        elif len(self.head) > MAX_HEAD:
            self._refuse(b"431 Request Header Fields Too Large")

    def _refuse(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
        self.transport.close()


def http_scope(head: bytes, transport: asyncio.Transport) -> dict[str, Any] | None:
    """A request's HTTP scope (ASGI, "HTTP Connection Scope"); None for what is no request."""
    first, *lines = head.split(b"\r\n")
    request, fields = REQUEST_LINE.fullmatch(first), [FIELD_LINE.fullmatch(line) for line in lines]
    if request is None or None in fields:
        return None
    target, _, query = request[2].partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request[3].decode(),
        "method": request[1].decode(),
        "scheme": "http",
        "path": unquote(target.decode()),
        "raw_path": target,
        "query_string": query,
        "root_path": "",
        "headers": [(field[1].lower(), field[2]) for field in fields if field is not None],
        "client": _address(transport.get_extra_info("peername")),
        "server": _address(transport.get_extra_info("sockname")),
    }


def _address(name: Any) -> tuple[str, int] | None:
    return (name[0], name[1]) if isinstance(name, tuple) else None


async def serve(application: websocket_server.Application, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, over.set)
    server = await loop.create_server(lambda: Reception(application), host, port, backlog=512)
    await over.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve an ASGI websocket application over frames.py.")
    parser.add_argument("application", help="module:attribute")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    module, _, attribute = options.application.partition(":")
    asyncio.run(serve(getattr(importlib.import_module(module), attribute), options.host, options.port))


if __name__ == "__main__":
    main()
