"""Echoes over WebSockets: the complete server (labs 11, 12, 14 and 15) beside its peers, in processor time.

    .venv/bin/python bench/websocket_echoes.py [--rounds 5]

A message's cost is what the server's process spent on it (user and system time, all threads), so that
the client does not count. The servers are driven in turn, round after round; each number is the least of
the rounds, the one that other work on the machine disturbed least. The ratios are to uvicorn on uvloop
with websockets, whose masks are C.
"""

from __future__ import annotations

import argparse
import os
import socket
import struct
import tempfile
from pathlib import Path

from asgi_servers import complete, cpu_seconds, free_port, started, stopped, uvicorn

ECHO = """
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})
"""
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SIZES = {100: 4000, 4096: 2000, 65536: 400, 1 << 20: 60}  # bytes of a message: how many of them a round has


def commands(port: int) -> dict[str, list[str]]:
    """How each server is started on a port."""
    plain = ["--ws-per-message-deflate", "false", "--ws-ping-interval", "600"]
    return {
        "uvicorn, uvloop": [*uvicorn("echo:application", port, "httptools", "uvloop"), *plain],
        "uvicorn, asyncio": [*uvicorn("echo:application", port, "h11", "asyncio"), *plain],
        "complete server": complete("echo:application", port),
    }


def frame(size: int) -> bytes:
    """A masked binary frame."""
    mask, payload = os.urandom(4), os.urandom(size)
    if size < 126:
        head = struct.pack("!BB", 0x82, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x82, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x82, 0x80 | 127, size)
    return head + mask + payload


class Client:
    """A connection that sends a frame and waits for as many bytes as its echo has."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(HANDSHAKE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise SystemExit(head.decode("latin-1"))

    def echo(self, message: bytes) -> None:
        self.socket.sendall(message)
        left = len(message) - 4  # what a server sends has no mask
        while left:
            data = self.socket.recv(min(left, 1 << 20))
            if not data:
                raise SystemExit("a connection ended in the middle of an echo")
            left -= len(data)


def measure(rounds: int) -> dict[str, dict[int, list[float]]]:
    """Microseconds of processor time for a message, by server and size."""
    ports = {name: free_port() for name in commands(0)}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "echo.py").write_text(ECHO, encoding="utf-8")
        servers = {}
        try:
            for name, port in ports.items():
                servers[name] = started(commands(port)[name], folder, port)
            clients = {name: Client(port) for name, port in ports.items()}
            results: dict[str, dict[int, list[float]]] = {
                name: {size: [] for size in SIZES} for name in ports
            }
            for _ in range(rounds):
                for size, times in SIZES.items():
                    message = frame(size)
                    for name, client in clients.items():
                        before = cpu_seconds(servers[name].pid)
                        for _ in range(times):
                            client.echo(message)
                        spent = cpu_seconds(servers[name].pid) - before
                        results[name][size].append(spent / times * 1e6)
            return results
        finally:
            stopped(servers.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    results = measure(parser.parse_args().rounds)
    base = {size: min(times) for size, times in results["uvicorn, uvloop"].items()}
    print(f"{'µs of processor time':<22}" + "".join(f"{size:>17} B" for size in SIZES))
    for name, by_size in results.items():
        cells = []
        for size, times in by_size.items():
            middle = min(times)
            cells.append(f"{middle:>11.0f} {middle / base[size]:>5.2f}×")
        print(f"{name:<22}" + " ".join(cells))


if __name__ == "__main__":
    main()
