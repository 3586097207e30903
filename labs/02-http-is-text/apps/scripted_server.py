"""A server that says exactly the bytes that it is asked for: for clients that must cope with anything.

    python -m scripted_server --host 127.0.0.1 --port 8000

    GET /heard            the request itself, byte for byte, as text
    GET /say/BASE64       the bytes of that (URL-safe) base64 as the answer; then the connection closes
        ?piece=3          … three bytes at a time
        ?hold=1           … and the connection stays open until the client leaves

It reads the head of one request and nothing more; it believes every word of it. It is no example.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import socket
import threading
import time
from urllib.parse import parse_qs, urlsplit

PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.001
HEAD_LIMIT = 65_536


def serve(host: str, port: int, descriptor: int | None = None) -> None:
    """Answer for ever, each connection in a thread of its own; a descriptor is a socket that has the port."""
    made = socket.create_server((host, port)) if descriptor is None else socket.socket(fileno=descriptor)
    with made as listener:
        listener.listen(64)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=[connection], daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(PATIENCE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        heard = _head(connection)
        words = heard.split(b" ")
        parts = urlsplit(words[1].decode("latin-1") if len(words) > 1 else "/")
        if parts.path.startswith("/say/"):
            _say(connection, parts.path.removeprefix("/say/"), parse_qs(parts.query))
        else:
            _send_text(connection, heard)
        _close_in_stages(connection)


def _head(connection: socket.socket) -> bytes:
    heard = b""
    while b"\r\n\r\n" not in heard and len(heard) < HEAD_LIMIT:
        piece = connection.recv(4096)
        if not piece:
            break
        heard += piece
    return heard


def _send_text(connection: socket.socket, data: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(data)}\r\n"
    connection.sendall(head.encode("ascii") + b"Connection: close\r\n\r\n" + data)


def _say(connection: socket.socket, text: str, options: dict[str, list[str]]) -> None:
    data = base64.urlsafe_b64decode(text)
    piece, hold = (int(options.get(name, ["0"])[0]) for name in ("piece", "hold"))
    size = piece or len(data) or 1
    for start in range(0, len(data), size):
        connection.sendall(data[start : start + size])
        if piece:
            time.sleep(PAUSE_SECONDS)
    while hold and connection.recv(4096):
        pass


def _close_in_stages(connection: socket.socket) -> None:
    """Say that nothing more comes, and wait for the client to leave: no reset overtakes the answer."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripted_server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--fd", type=int, help="the descriptor of a socket that has a port already")
    options = parser.parse_args()
    serve(options.host, options.port, options.fd)


if __name__ == "__main__":
    main()
