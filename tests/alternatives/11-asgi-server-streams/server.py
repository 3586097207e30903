"""Lab 11 in another legal shape: asyncio's streams and h11, one coroutine a connection, no protocol class.

Back-pressure comes with the streams: `drain` waits for the client, and nobody reads a body that `receive`
was not asked for. A client's leaving is seen by whoever reads: `receive`, when the body is through.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import signal
import sys
import traceback
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h11

PIECE = 64 * 1024
LOST = (OSError, asyncio.IncompleteReadError, h11.RemoteProtocolError)


class Connection:
    """One client: h11's state, and the two streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.http = h11.Connection(h11.SERVER)
        self.gone = False
        self.pulling = asyncio.Lock()

    async def pull(self) -> None:
        """Read some bytes; the end of the stream is noted."""
        async with self.pulling:
            data = b""
            with contextlib.suppress(OSError):
                data = await self.reader.read(PIECE)
            self.gone = self.gone or not data
            if data or self.http.their_state is not h11.DONE:
                self.http.receive_data(data)

    async def next_event(self) -> Any:
        while (event := self.http.next_event()) is h11.NEED_DATA:
            await self.pull()
        return event

    def write(self, event: Any) -> None:
        self.writer.write(self.http.send(event) or b"")


class Call:
    """One call of the application."""

    def __init__(self, link: Connection, request: h11.Request) -> None:
        self.link, self.request = link, request
        self.started: dict[str, Any] | None = None
        self.complete = False

    def scope(self) -> dict[str, Any]:
        raw, _, query = self.request.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": self.request.http_version.decode(),
            "method": self.request.method.decode().upper(),
            "scheme": "http",
            "path": unquote(raw.decode("ascii")),
            "raw_path": raw,
            "query_string": query,
            "root_path": "",
            "headers": [[bytes(name), bytes(value)] for name, value in self.request.headers],
            # "client" and "server" are optional (ASGI, "HTTP Connection Scope").
            "client": None,
        }

    async def receive(self) -> dict[str, Any]:
        http = self.link.http
        if http.they_are_waiting_for_100_continue and not self.complete:
            self.link.write(h11.InformationalResponse(status_code=100, headers=[]))
        try:
            while not self.complete and not self.link.gone:
                if http.their_state is not h11.SEND_BODY:
                    await self.link.pull()  # nothing is due: this is how an end is seen
                    continue
                event = await self.link.next_event()
                if isinstance(event, h11.Data):
                    return {"type": "http.request", "body": bytes(event.data), "more_body": True}
                if isinstance(event, h11.EndOfMessage):
                    return {"type": "http.request", "body": b"", "more_body": False}
        except LOST:
            self.link.gone = True
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        wanted = "http.response.body" if self.started else "http.response.start"
        if kind != wanted or self.complete:
            raise RuntimeError(f"{kind} came where {'nothing' if self.complete else wanted} was due")
        if self.link.writer.is_closing():
            raise ConnectionResetError("the client has left")
        if kind == "http.response.start":
            self.started = dict(message)
            return
        if self.link.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.send_head()
        data, more = message.get("body", b""), message.get("more_body", False)
        if not isinstance(data, bytes):
            raise TypeError("a body is made of bytes")
        if self.request.method != b"HEAD" and self.started and self.started["status"] not in (204, 304):
            self.link.write(h11.Data(data=data))
        if not more:
            self.link.write(h11.EndOfMessage())
            self.complete = True
        await self.link.writer.drain()

    def send_head(self) -> None:
        assert self.started is not None
        ours = (b"transfer-encoding", b"connection")
        headers = [(n, v) for n, v in self.started.get("headers", []) if n.lower() not in ours]
        date = (b"date", formatdate(usegmt=True).encode("ascii"))
        self.link.write(h11.Response(status_code=self.started["status"], headers=[*headers, date]))


async def refuse(link: Connection, status: int) -> None:
    """An answer in the server's own name, if nothing was sent yet; and the end."""
    if link.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
        text = b"this server can't answer\n"
        headers = [("Content-Length", str(len(text))), ("Connection", "close")]
        link.write(h11.Response(status_code=status, headers=headers))
        link.write(h11.Data(data=text))
        link.write(h11.EndOfMessage())


async def answer(link: Connection, request: h11.Request, application: Any) -> bool:
    """One request; whether another one may follow."""
    call = Call(link, request)
    try:
        # A task, and so a context, for each request: what it sets there is gone with it.
        await asyncio.create_task(application(call.scope(), call.receive, call.send))
    except OSError:
        return False
    except Exception:
        traceback.print_exc()
    if not call.complete:
        if not link.gone:
            await refuse(link, 500)
        return False
    skipped = 0
    while link.http.their_state is h11.SEND_BODY and skipped < PIECE:
        if link.http.they_are_waiting_for_100_continue:
            return False
        skipped += len(getattr(await link.next_event(), "data", b""))
    if link.http.our_state is not h11.DONE or link.http.their_state is not h11.DONE:
        return False
    link.http.start_next_cycle()
    return True


async def serve_connection(link: Connection, application: Any, keep_alive: float) -> None:
    try:
        while True:
            async with asyncio.timeout(keep_alive):
                request = await link.next_event()
            if not isinstance(request, h11.Request) or not await answer(link, request, application):
                return
    except h11.RemoteProtocolError as error:
        await refuse(link, error.error_status_hint)
    except (OSError, TimeoutError):
        pass
    finally:
        with contextlib.suppress(OSError):
            link.writer.close()
            await link.writer.wait_closed()


async def serve(application: Any, options: argparse.Namespace) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_connection(Connection(reader, writer), application, options.keep_alive)

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await asyncio.start_server(connected, options.host, options.port, backlog=1024)
    print("Listening", flush=True)
    await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--keep-alive", type=float, default=5.0)
    parser.add_argument("--time-out", type=float, default=10.0)
    options = parser.parse_args()
    sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = options.application.partition(":")
    asyncio.run(serve(getattr(importlib.import_module(module), attribute), options))


if __name__ == "__main__":
    main()
