"""From TCP to a sandbox's sockets: the load generator speaks TCP, and a sandbox has no network.

Each Unix socket gets a port of 127.0.0.1, chosen by the kernel. Bytes are carried both ways and never looked
at; no buffer grows, for nobody is read from while the other side takes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from pathlib import Path
from typing import Self

from workshop.run import unix_to_tcp

PIECE = 1 << 16
BACKLOG = 1024
AT_ONCE = 64  # connections that are being made: fewer than a sandbox's socket lets wait
OPEN_SECONDS = 10.0


class TcpToUnix:
    """Ports of this machine, open within a `with` block; an event loop in a thread of its own."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def open(self, path: Path) -> int:
        """The port that leads to a Unix socket from now on."""
        return asyncio.run_coroutine_threadsafe(self._listen(path), self._loop).result()

    async def _listen(self, path: Path) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        turn = asyncio.Semaphore(AT_ONCE)

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with contextlib.suppress(OSError, EOFError):
                    await _carry(path, turn, reader, writer)
            finally:
                writer.transport.abort()

        self._servers.append(await asyncio.start_server(carry, sock=listener))
        return int(listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # for the transports to close their sockets


async def _carry(
    path: Path, turn: asyncio.Semaphore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection, to its end. Raises OSError or EOFError when it can't be made."""
    async with turn, asyncio.timeout(OPEN_SECONDS):
        inner, outer = await asyncio.open_unix_connection(path)
        try:
            is_open = await inner.readexactly(1) == unix_to_tcp.OPEN
        except BaseException:
            outer.transport.abort()
            raise
    try:
        if is_open:
            await asyncio.gather(_pump(reader, outer), _pump(inner, writer))
    finally:
        outer.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(PIECE):
        sink.write(data)
        await sink.drain()
    sink.write_eof()
